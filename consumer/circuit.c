/*
 * circuit.c — stops all transfers while the store takes none.
 *
 * Way:  job -> [circuit] -> slots
 */
#include "consumer/circuit.h"

#include <inttypes.h>

#include "common/backoff.h"
#include "common/log.h"
#include "common/random.h"
#include "consumer/metrics_table.h"

#define CIRCUIT_MAGIC 0x43495243u
#define REFUSALS_MAX  3

#define NO_GAUGE      METRIC_COUNT

/* What the store may say, how often until nothing is sent any more, and the gauges that people are alerted by: of the first
 * store, and of the fallback store, which has no marks of ours. */
static const struct circuit_row {
    enum rb_code code;
    unsigned threshold;
    size_t gauges[2];
} circuit_rows[] = {
    {RB_E_STORE_FULL, 1, {METRIC_CIRCUIT_FULL, METRIC_FALLBACK_FULL}},
    {RB_E_STORE_DENIED, 1, {METRIC_CIRCUIT_DENIED, METRIC_FALLBACK_DENIED}},
    {RB_E_STORE_REFUSED, 1, {METRIC_CIRCUIT_REFUSED, METRIC_FALLBACK_REFUSED}},
    {RB_E_STORE_ANSWER, 5, {METRIC_CIRCUIT_ANSWER, METRIC_FALLBACK_ANSWER}},
    {RB_E_STORE_AWAY, 5, {METRIC_CIRCUIT_AWAY, METRIC_FALLBACK_AWAY}},
    {RB_E_STORE_BUSY, 5, {METRIC_CIRCUIT_BUSY, METRIC_FALLBACK_BUSY}},
    {RB_E_QUOTA_ALL, 1, {METRIC_CIRCUIT_QUOTA, NO_GAUGE}},
};

/* What differs between the two, by enum rb_circuit_of. */
static const struct circuit_kind {
    const char *name;
    size_t probes;
} kinds[] = {
    {"first", METRIC_CIRCUIT_PROBES},
    {"fallback", METRIC_FALLBACK_PROBES},
};

struct rb_circuit {
    uint32_t magic;
    enum rb_circuit_of of;
    struct rb_slots *slots;     /* borrowed; NULL for the fallback store */
    struct rb_metrics *metrics; /* borrowed */
    struct rb_timer *timer;
    struct rb_backoff backoff;
    int64_t join_ms;
    struct rb_circuit *fallback;  /* borrowed; NULL when there is none */
    struct rb_timer *spill_timer; /* while the store is out */
    int64_t spill_after_ms;
    bool spilling;
    bool probe_is_due; /* while it spills, or without slots: the next transfer is a probe */
    enum rb_circuit_state state;
    unsigned failures;             /* since the last success, while it is closed */
    uint64_t taken;                /* objects that the store has taken */
    const struct circuit_row *row; /* why it is not closed; NULL when it is */
    struct rb_error why;           /* in words */
};

static const struct circuit_row *find_row(enum rb_code code)
{
    for (size_t i = 0; i < RB_COUNT(circuit_rows); i++)
        if (circuit_rows[i].code == code)
            return &circuit_rows[i];
    return NULL;
}

unsigned rb_circuit_threshold(enum rb_code code)
{
    const struct circuit_row *row = find_row(code);

    return row != NULL ? row->threshold : 0;
}

static void show(struct rb_circuit *circuit, const struct circuit_row *row, int64_t value)
{
    size_t gauge = row != NULL ? row->gauges[circuit->of] : NO_GAUGE;

    if (gauge != NO_GAUGE)
        rb_metrics_set(circuit->metrics, gauge, value);
}

static void let_in(struct rb_circuit *circuit, size_t limit)
{
    if (circuit->slots != NULL)
        rb_slots_limit(circuit->slots, limit);
}

static void circuit_enter(struct rb_circuit *circuit, enum rb_circuit_state state, const struct circuit_row *row)
{
    static const size_t limits[] = {SIZE_MAX, 0, 1};

    show(circuit, circuit->row, 0);
    show(circuit, row, 1);
    circuit->row = row;
    circuit->state = state;
    circuit->failures = 0;
    circuit->probe_is_due = state == RB_CIRCUIT_HALF_OPEN;
    if (state == RB_CIRCUIT_CLOSED) {
        circuit->spilling = false;
        rb_timer_stop(circuit->spill_timer);
    }
    let_in(circuit, circuit->spilling ? SIZE_MAX : limits[state]);
}

static void on_spill_timer(void *arg)
{
    struct rb_circuit *circuit = RB_CAST(rb_circuit, arg, CIRCUIT_MAGIC);

    rb_log(NULL, RB_EV_STORE_SPILLS, "code=%s after_ms=%" PRId64, rb_code_name(circuit->row->code),
           circuit->spill_after_ms);
    circuit->spilling = true;
    let_in(circuit, SIZE_MAX);
}

/* It may be out for long. What an operator has set as a quota is no such case: quota_then says what becomes of it. */
static void watch_outage(struct rb_circuit *circuit, const struct circuit_row *row)
{
    if (row->code == RB_E_QUOTA_ALL) {
        circuit->spilling = false;
        rb_timer_stop(circuit->spill_timer);
    } else if (circuit->fallback != NULL && !circuit->spilling && !rb_timer_is_started(circuit->spill_timer)) {
        rb_timer_start(circuit->spill_timer, circuit->spill_after_ms);
    }
}

static bool is_shut(const struct rb_circuit *circuit)
{
    return circuit->state != RB_CIRCUIT_CLOSED && !circuit->probe_is_due;
}

bool rb_circuit_admits(struct rb_circuit *circuit)
{
    bool admits = !is_shut(circuit);

    circuit->probe_is_due = false;
    return admits;
}

enum rb_circuit_route rb_circuit_route(struct rb_circuit *circuit)
{
    if (!circuit->spilling || rb_circuit_admits(circuit))
        return RB_ROUTE_FIRST;
    return is_shut(circuit->fallback) ? RB_ROUTE_NOWHERE : RB_ROUTE_FALLBACK;
}

bool rb_circuit_blocks(const struct rb_circuit *circuit)
{
    bool explained = circuit->row != NULL && circuit->row->code != RB_E_STORE_ANSWER;
    bool blocks = circuit->state != RB_CIRCUIT_CLOSED && explained;

    return blocks && (!circuit->spilling || rb_circuit_blocks(circuit->fallback));
}

/* The pause is over: the next transfer, or one that waits already, is the probe. Or one takes long: one more beside it. */
static void on_timer(void *arg)
{
    struct rb_circuit *circuit = RB_CAST(rb_circuit, arg, CIRCUIT_MAGIC);

    rb_metrics_add(circuit->metrics, kinds[circuit->of].probes, 1);
    rb_timer_start(circuit->timer, circuit->join_ms);
    if (circuit->state == RB_CIRCUIT_HALF_OPEN && (circuit->spilling || circuit->slots == NULL))
        circuit->probe_is_due = true;
    else if (circuit->state == RB_CIRCUIT_HALF_OPEN)
        rb_slots_limit(circuit->slots, rb_slots_used(circuit->slots) + 1);
    else
        circuit_enter(circuit, RB_CIRCUIT_HALF_OPEN, circuit->row);
}

struct rb_circuit *rb_circuit_new(struct rb_loop *loop, const struct rb_circuit_config *config)
{
    struct rb_circuit *circuit = rb_xalloc(sizeof(*circuit));

    *circuit = (struct rb_circuit){
        .magic = CIRCUIT_MAGIC,
        .of = config->of,
        .slots = config->slots,
        .fallback = config->fallback,
        .metrics = config->metrics,
        .backoff = {config->first_ms, config->max_ms, 0},
        .join_ms = config->join_ms,
        .spill_after_ms = config->spill_after_ms,
    };
    circuit->spill_timer = rb_timer_new(loop, on_spill_timer, circuit);
    circuit->timer = rb_timer_new(loop, on_timer, circuit);
    return circuit;
}

void rb_circuit_free(struct rb_circuit *circuit)
{
    if (circuit == NULL)
        return;
    rb_timer_free(circuit->timer);
    rb_timer_free(circuit->spill_timer);
    circuit->magic = 0;
    free(circuit);
}

void rb_circuit_took(struct rb_circuit *circuit)
{
    circuit->taken++;
}

bool rb_circuit_is_alone(const struct rb_circuit *circuit, struct rb_refusals *refusals, const struct rb_error *err)
{
    if (err->code != RB_E_STORE_ANSWER || (refusals->count > 0 && refusals->taken == circuit->taken))
        return false;
    refusals->taken = circuit->taken;
    return ++refusals->count >= REFUSALS_MAX;
}

void rb_circuit_good(struct rb_circuit *circuit)
{
    if (circuit->state == RB_CIRCUIT_CLOSED)
        circuit->failures = 0;
    if (circuit->state != RB_CIRCUIT_HALF_OPEN)
        return; /* OPEN: it had begun before, and says nothing about what comes */
    rb_backoff_reset(&circuit->backoff);
    rb_timer_stop(circuit->timer);
    rb_log(NULL, RB_EV_CIRCUIT_CLOSED, "store=%s", kinds[circuit->of].name);
    circuit_enter(circuit, RB_CIRCUIT_CLOSED, NULL);
}

void rb_circuit_bad(struct rb_circuit *circuit, const struct rb_error *err)
{
    const struct circuit_row *row = find_row(err->code);
    int64_t pause_ms;

    if (row == NULL) /* it was a probe perhaps, which failed by its source: then another has to be */
        circuit->probe_is_due = circuit->state == RB_CIRCUIT_HALF_OPEN;
    if (row == NULL || circuit->state == RB_CIRCUIT_OPEN)
        return;
    if (circuit->state == RB_CIRCUIT_CLOSED && ++circuit->failures < row->threshold)
        return;
    pause_ms = RB_MAX(rb_backoff_next_ms(&circuit->backoff, rb_random()), err->wait_ms);
    circuit->why = *err;
    circuit->why.wait_ms = 0; /* the pause is it */
    rb_log_error(NULL, RB_EV_CIRCUIT_OPENED, err, "store=%s retry_ms=%" PRId64, kinds[circuit->of].name, pause_ms);
    watch_outage(circuit, row);
    circuit_enter(circuit, RB_CIRCUIT_OPEN, row);
    rb_timer_start(circuit->timer, pause_ms);
}

const struct rb_error *rb_circuit_why(const struct rb_circuit *circuit)
{
    return &circuit->why;
}

enum rb_circuit_state rb_circuit_state(const struct rb_circuit *circuit)
{
    return circuit->state;
}

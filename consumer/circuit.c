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

/* What the store may say, how often until nothing is sent any more, and the gauge that people are alerted by. */
static const struct circuit_row {
    enum rb_code code;
    unsigned threshold;
    size_t gauge;
} circuit_rows[] = {
    {RB_E_STORE_FULL, 1, METRIC_CIRCUIT_FULL},       {RB_E_STORE_DENIED, 1, METRIC_CIRCUIT_DENIED},
    {RB_E_STORE_REFUSED, 1, METRIC_CIRCUIT_REFUSED}, {RB_E_STORE_ANSWER, 5, METRIC_CIRCUIT_ANSWER},
    {RB_E_STORE_AWAY, 5, METRIC_CIRCUIT_AWAY},       {RB_E_STORE_BUSY, 5, METRIC_CIRCUIT_BUSY},
    {RB_E_QUOTA_ALL, 1, METRIC_CIRCUIT_QUOTA},
};

struct rb_circuit {
    uint32_t magic;
    struct rb_slots *slots;     /* borrowed */
    struct rb_metrics *metrics; /* borrowed */
    struct rb_timer *timer;
    struct rb_backoff backoff;
    int64_t join_ms;
    struct rb_timer *spill_timer; /* while the store is out */
    int64_t spill_after_ms;
    bool spilling;
    bool probe_is_due; /* while it spills: the next transfer is a probe */
    enum rb_circuit_state state;
    unsigned failures;             /* since the last success, while it is closed */
    uint64_t taken;                /* objects that the store has taken */
    const struct circuit_row *row; /* why it is not closed; NULL when it is */
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

static void circuit_enter(struct rb_circuit *circuit, enum rb_circuit_state state, const struct circuit_row *row)
{
    static const size_t limits[] = {SIZE_MAX, 0, 1};

    if (circuit->row != NULL)
        rb_metrics_set(circuit->metrics, circuit->row->gauge, 0);
    if (row != NULL)
        rb_metrics_set(circuit->metrics, row->gauge, 1);
    circuit->row = row;
    circuit->state = state;
    circuit->failures = 0;
    circuit->probe_is_due = state == RB_CIRCUIT_HALF_OPEN;
    if (state == RB_CIRCUIT_CLOSED) {
        circuit->spilling = false;
        rb_timer_stop(circuit->spill_timer);
    }
    rb_slots_limit(circuit->slots, circuit->spilling ? SIZE_MAX : limits[state]);
}

static void on_spill_timer(void *arg)
{
    struct rb_circuit *circuit = RB_CAST(rb_circuit, arg, CIRCUIT_MAGIC);

    rb_log(NULL, RB_EV_STORE_SPILLS, "code=%s after_ms=%" PRId64, rb_code_name(circuit->row->code),
           circuit->spill_after_ms);
    circuit->spilling = true;
    rb_slots_limit(circuit->slots, SIZE_MAX);
}

/* It may be out for long. What an operator has set as a quota is no such case: quota_then says what becomes of it. */
static void watch_outage(struct rb_circuit *circuit, const struct circuit_row *row)
{
    if (row->code == RB_E_QUOTA_ALL) {
        circuit->spilling = false;
        rb_timer_stop(circuit->spill_timer);
    } else if (!circuit->spilling && circuit->spill_after_ms != RB_NO_SPILL &&
               !rb_timer_is_started(circuit->spill_timer)) {
        rb_timer_start(circuit->spill_timer, circuit->spill_after_ms);
    }
}

enum rb_circuit_route rb_circuit_route(struct rb_circuit *circuit)
{
    if (!circuit->spilling)
        return RB_ROUTE_FIRST;
    if (!circuit->probe_is_due)
        return RB_ROUTE_FALLBACK;
    circuit->probe_is_due = false;
    return RB_ROUTE_FIRST;
}

bool rb_circuit_blocks(const struct rb_circuit *circuit)
{
    bool explained = circuit->row != NULL && circuit->row->code != RB_E_STORE_ANSWER;

    return circuit->state != RB_CIRCUIT_CLOSED && !circuit->spilling && explained;
}

/* The pause is over: the next transfer, or one that waits already, is the probe. Or one takes long: one more beside it. */
static void on_timer(void *arg)
{
    struct rb_circuit *circuit = RB_CAST(rb_circuit, arg, CIRCUIT_MAGIC);

    rb_metrics_add(circuit->metrics, METRIC_CIRCUIT_PROBES, 1);
    rb_timer_start(circuit->timer, circuit->join_ms);
    if (circuit->state == RB_CIRCUIT_HALF_OPEN && circuit->spilling)
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
        .slots = config->slots,
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
    rb_log(NULL, RB_EV_CIRCUIT_CLOSED, "");
    circuit_enter(circuit, RB_CIRCUIT_CLOSED, NULL);
}

void rb_circuit_bad(struct rb_circuit *circuit, const struct rb_error *err)
{
    const struct circuit_row *row = find_row(err->code);
    int64_t pause_ms;

    if (row == NULL || circuit->state == RB_CIRCUIT_OPEN)
        return;
    if (circuit->state == RB_CIRCUIT_CLOSED && ++circuit->failures < row->threshold)
        return;
    pause_ms = RB_MAX(rb_backoff_next_ms(&circuit->backoff, rb_random()), err->wait_ms);
    rb_log_error(NULL, RB_EV_CIRCUIT_OPENED, err, "retry_ms=%" PRId64, pause_ms);
    watch_outage(circuit, row);
    circuit_enter(circuit, RB_CIRCUIT_OPEN, row);
    rb_timer_start(circuit->timer, pause_ms);
}

enum rb_circuit_state rb_circuit_state(const struct rb_circuit *circuit)
{
    return circuit->state;
}

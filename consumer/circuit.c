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

/* What the store may say, how often until nothing is sent any more, and the gauge that people are alerted by. */
static const struct circuit_row {
    enum rb_code code;
    unsigned threshold;
    size_t gauge;
} circuit_rows[] = {
    {RB_E_STORE_FULL, 1, METRIC_CIRCUIT_FULL},       {RB_E_STORE_DENIED, 1, METRIC_CIRCUIT_DENIED},
    {RB_E_STORE_REFUSED, 1, METRIC_CIRCUIT_REFUSED}, {RB_E_STORE_AWAY, 5, METRIC_CIRCUIT_AWAY},
    {RB_E_STORE_BUSY, 5, METRIC_CIRCUIT_BUSY},
};

struct rb_circuit {
    uint32_t magic;
    struct rb_slots *slots;     /* borrowed */
    struct rb_metrics *metrics; /* borrowed */
    struct rb_timer *timer;
    struct rb_backoff backoff;
    int64_t join_ms;
    enum rb_circuit_state state;
    unsigned failures;             /* since the last success, while it is closed */
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
    rb_slots_limit(circuit->slots, limits[state]);
}

/* The pause is over: the next transfer, or one that waits already, is the probe. Or one takes long: one more beside it. */
static void on_timer(void *arg)
{
    struct rb_circuit *circuit = RB_CAST(rb_circuit, arg, CIRCUIT_MAGIC);

    rb_metrics_add(circuit->metrics, METRIC_CIRCUIT_PROBES, 1);
    rb_timer_start(circuit->timer, circuit->join_ms);
    if (circuit->state == RB_CIRCUIT_HALF_OPEN)
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
    };
    circuit->timer = rb_timer_new(loop, on_timer, circuit);
    return circuit;
}

void rb_circuit_free(struct rb_circuit *circuit)
{
    if (circuit == NULL)
        return;
    rb_timer_free(circuit->timer);
    circuit->magic = 0;
    free(circuit);
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
    pause_ms = rb_backoff_next_ms(&circuit->backoff, rb_random());
    rb_log_error(NULL, RB_EV_CIRCUIT_OPENED, err, "retry_ms=%" PRId64, pause_ms);
    circuit_enter(circuit, RB_CIRCUIT_OPEN, row);
    rb_timer_start(circuit->timer, pause_ms);
}

enum rb_circuit_state rb_circuit_state(const struct rb_circuit *circuit)
{
    return circuit->state;
}

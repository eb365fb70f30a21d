/*
 * outbox.c — the way to Kafka that leads over a disk while Kafka is away.
 *
 * Way:  publish -> [outbox] -> spool -> Kafka
 */
#include "common/clock.h"
#include "common/log.h"
#include "producer/metrics_table.h"
#include "producer/outbox_inside.h"

#define PARCEL_MAGIC       0x50524345u
#define RETRY_FIRST_MS     100
#define RETRY_MAX_MS       1000
#define HELD_MAX           4096
#define HELD_MAX_BYTES     ((size_t)8 << 20)
#define ROOM_FOR_A_WEBHOOK (64 << 10)

/* A record on its way, and who wants to know. */
struct parcel {
    uint32_t magic;
    struct rb_outbox *outbox; /* borrowed */
    rb_producer_fn fn;
    void *arg;              /* borrowed */
    struct rb_buffer bytes; /* the record, as the spool has it */
    struct parcel *next;    /* held behind this one */
};

static void parcel_free(struct parcel *parcel)
{
    rb_buffer_done(&parcel->bytes);
    parcel->magic = 0;
    free(parcel);
}

static void answer(struct parcel *parcel, const struct rb_delivery *delivery, const struct rb_error *err)
{
    parcel->fn(delivery, err, parcel->arg);
    parcel_free(parcel);
}

static void destroy_headers(const struct rb_record *record)
{
    if (record->headers != NULL)
        rd_kafka_headers_destroy(record->headers);
}

static void parcel_record(const struct parcel *parcel, struct rb_spool_record *ret_record)
{
    size_t used;

    if (rb_spool_format_parse((const uint8_t *)parcel->bytes.bytes, parcel->bytes.used, true, ret_record, &used) !=
        RB_SPOOL_GOOD)
        RB_BUG("a record in memory has changed");
}

/* -- into the spool ----------------------------------------------------------------------------------------------------- */

static void on_spooled(const struct rb_error *err, void *arg)
{
    struct parcel *parcel = RB_CAST(parcel, arg, PARCEL_MAGIC);
    const struct rb_delivery delivery = {.partition = RB_SPOOLED, .offset = RB_SPOOLED};

    if (err == NULL)
        rb_metrics_add(parcel->outbox->metrics, METRIC_SPOOLED, 1);
    answer(parcel, err == NULL ? &delivery : NULL, err);
}

/* Takes the parcel over only when it succeeds. */
static int to_spool(struct parcel *parcel, const struct rb_error *cause, struct rb_error *err)
{
    struct rb_outbox *outbox = parcel->outbox;
    struct rb_spool_record record;

    parcel_record(parcel, &record);
    RB_TRY(rb_spool_put(outbox->spool, &record, on_spooled, parcel, err));
    rb_buffer_done(&parcel->bytes); /* the spool has them */
    if (!outbox->filling) {
        outbox->filling = true;
        outbox->filling_since_ms = rb_clock_ms();
        outbox->drained = 0;
        if (cause != NULL)
            rb_log_error(NULL, RB_EV_SPOOL_FILLS, cause, "");
    }
    return 0;
}

static void to_spool_or_fail(struct parcel *parcel, const struct rb_error *cause)
{
    struct rb_error err = {0};

    if (to_spool(parcel, cause, &err) < 0)
        answer(parcel, NULL, &err);
}

/* -- directly to Kafka -------------------------------------------------------------------------------------------------- */

/* Kafka may have the record all the same; then it comes twice, with one event id. What Kafka refuses it refuses again. */
static bool may_spool(const struct rb_outbox *outbox, const struct rb_error *err)
{
    return outbox->producer != NULL && err->class != RB_PERMANENT;
}

static void on_direct(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct parcel *parcel = RB_CAST(parcel, arg, PARCEL_MAGIC);

    if (err != NULL && may_spool(parcel->outbox, err))
        to_spool_or_fail(parcel, err);
    else
        answer(parcel, delivery, err);
}

static int send_directly(struct parcel *parcel, struct rb_error *err)
{
    struct rb_spool_record spooled;
    struct rb_record record;

    parcel_record(parcel, &spooled);
    record = rb_outbox_unpack(&spooled);
    return rb_producer_send(parcel->outbox->producer, &record, on_direct, parcel, err);
}

static void hold(struct parcel *parcel)
{
    struct rb_outbox *outbox = parcel->outbox;

    *outbox->held_end = parcel;
    outbox->held_end = &parcel->next;
    outbox->held_count++;
    outbox->held_bytes += parcel->bytes.used;
}

/* All that is held, out of the outbox: whoever is answered may send again at once. */
static struct parcel *take_held(struct rb_outbox *outbox)
{
    struct parcel *held = outbox->held;

    outbox->held = NULL;
    outbox->held_end = &outbox->held;
    outbox->held_count = outbox->held_bytes = 0;
    return held;
}

static void send_or_spool(struct parcel *parcel)
{
    struct rb_error err = {0};

    if (send_directly(parcel, &err) == 0)
        return;
    if (may_spool(parcel->outbox, &err))
        to_spool_or_fail(parcel, &err);
    else
        answer(parcel, NULL, &err);
}

void rb_outbox_release(struct rb_outbox *outbox)
{
    struct parcel *next;

    for (struct parcel *parcel = take_held(outbox); parcel != NULL; parcel = next) {
        next = parcel->next;
        if (rb_spool_is_empty(outbox->spool))
            send_or_spool(parcel);
        else
            to_spool_or_fail(parcel, NULL); /* one before it went there */
    }
}

void rb_outbox_spool_held(struct rb_outbox *outbox)
{
    struct parcel *next;

    for (struct parcel *parcel = take_held(outbox); parcel != NULL; parcel = next) {
        next = parcel->next;
        to_spool_or_fail(parcel, NULL);
    }
}

/*
 * The last of the spool goes to a Kafka that has just taken what came before it: that is a matter of a moment. Records of
 * one key go one by one, so what comes meanwhile would be as many again, and a busy producer would never leave its spool.
 */
static bool may_hold(const struct rb_outbox *outbox)
{
    return outbox->has_chunk && !outbox->failed && outbox->backoff.tries == 0 && rb_spool_is_read(outbox->spool) &&
           outbox->held_count < HELD_MAX && outbox->held_bytes < HELD_MAX_BYTES;
}

static int send_parcel(struct parcel *parcel, struct rb_error *err)
{
    struct rb_outbox *outbox = parcel->outbox;
    struct rb_error trouble = {0};

    if (rb_spool_is_empty(outbox->spool)) {
        if (send_directly(parcel, &trouble) == 0)
            return 0;
        if (may_spool(outbox, &trouble))
            return to_spool(parcel, &trouble, err);
        *err = trouble;
        return -1;
    }
    if (may_hold(outbox)) {
        hold(parcel);
        return 0;
    }
    if (outbox->held != NULL)
        rb_outbox_spool_held(outbox);
    return to_spool(parcel, NULL, err);
}

int rb_outbox_send(struct rb_outbox *outbox, const struct rb_record *record, rb_producer_fn fn, void *arg,
                   struct rb_error *err)
{
    struct parcel *parcel;
    int result;

    if (outbox->spool == NULL && outbox->producer != NULL)
        return rb_producer_send(outbox->producer, record, fn, arg, err);
    if (outbox->producer == NULL) {
        destroy_headers(record);
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "the program stops");
    }
    parcel = rb_xalloc(sizeof(*parcel));
    *parcel = (struct parcel){.magic = PARCEL_MAGIC, .outbox = outbox, .fn = fn, .arg = arg};
    result = rb_outbox_pack(record, &parcel->bytes, err);
    destroy_headers(record);
    if (result == 0)
        result = send_parcel(parcel, err);
    if (result < 0)
        parcel_free(parcel);
    return result;
}

/* -- the outbox itself --------------------------------------------------------------------------------------------------- */

static void set_gauges(struct rb_metrics *metrics, void *arg)
{
    const struct rb_outbox *outbox = RB_CAST(rb_outbox, arg, RB_OUTBOX_MAGIC);
    struct rb_spool_stats stats;
    int64_t age_ms;

    if (outbox->spool == NULL)
        return;
    stats = rb_spool_stats(outbox->spool);
    age_ms = stats.oldest_unix_ms != 0 ? RB_MAX(rb_clock_unix_ms() - stats.oldest_unix_ms, 0) : 0;
    rb_metrics_set(metrics, METRIC_SPOOL_RECORDS, (int64_t)stats.records);
    rb_metrics_set(metrics, METRIC_SPOOL_BYTES, (int64_t)stats.bytes);
    rb_metrics_set(metrics, METRIC_SPOOL_AGE, age_ms / 1000);
    rb_metrics_set(metrics, METRIC_SPOOL_DAMAGED, (int64_t)stats.damaged);
}

int rb_outbox_new(struct rb_loop *loop, const struct rb_outbox_config *config, struct rb_outbox **ret_outbox,
                  struct rb_error *err)
{
    struct rb_outbox *outbox = rb_xalloc(sizeof(*outbox));
    const struct rb_spool_config spool = {config->spool, config->spool_max_bytes, rb_outbox_on_spool, outbox};

    *outbox = (struct rb_outbox){
        .magic = RB_OUTBOX_MAGIC,
        .producer = config->producer,
        .metrics = config->metrics,
        .backoff = {.first_ms = RETRY_FIRST_MS, .max_ms = RETRY_MAX_MS},
        .held_end = &outbox->held,
    };
    if (config->spool[0] != '\0') {
        if (rb_spool_open(loop, &spool, &outbox->spool, err) < 0) {
            rb_outbox_free(outbox);
            return -1;
        }
        outbox->retry = rb_timer_new(loop, rb_outbox_drain, outbox);
        outbox->filling = !rb_spool_is_empty(outbox->spool);
        outbox->filling_since_ms = rb_clock_ms();
        rb_timer_start(outbox->retry, 0);
        rb_metrics_on_show(outbox->metrics, set_gauges, outbox);
    }
    *ret_outbox = outbox;
    return 0;
}

void rb_outbox_stop(struct rb_outbox *outbox)
{
    struct rb_error err = {0};
    struct parcel *next;

    outbox->producer = NULL;
    rb_fail(&err, RB_E_KAFKA_AWAY, 0, "the program stops");
    for (struct parcel *parcel = take_held(outbox); parcel != NULL; parcel = next) {
        next = parcel->next;
        answer(parcel, NULL, &err);
    }
    rb_spool_close(RB_STEAL(outbox->spool));
    rb_timer_free(RB_STEAL(outbox->retry));
}

void rb_outbox_free(struct rb_outbox *outbox)
{
    if (outbox == NULL)
        return;
    rb_outbox_stop(outbox);
    free(outbox->settled);
    outbox->magic = 0;
    free(outbox);
}

int rb_outbox_check(const struct rb_outbox *outbox, struct rb_error *err)
{
    bool up = outbox->producer != NULL && rb_producer_is_up(outbox->producer);

    if (outbox->producer != NULL && outbox->spool != NULL && !(up && rb_spool_is_empty(outbox->spool)))
        return rb_spool_check(outbox->spool, ROOM_FOR_A_WEBHOOK, err);
    return up ? 0 : rb_fail(err, RB_E_KAFKA_AWAY, 0, "no Kafka broker is connected");
}

uint64_t rb_outbox_spooled(const struct rb_outbox *outbox)
{
    return outbox->spool != NULL ? rb_spool_stats(outbox->spool).records : 0;
}

/*
 * outbox_drain.c — out of the spool, to Kafka.
 *
 * Way:  publish -> [outbox] -> spool -> Kafka
 *
 * A chunk goes as a whole, in batches that librdkafka makes; but of one key only one record is on its way at a time: were
 * it to fail, the next one would be on Kafka before it. A broker that refuses one record refuses the batch that it is in.
 * So after a refusal the records go one by one until the chunk is over, and a record that is refused by itself is set
 * aside: sending it again would keep all others waiting for ever.
 */
#include <inttypes.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/random.h"
#include "producer/metrics_table.h"
#include "producer/outbox_inside.h"

#define FLIGHT_MAGIC 0x464c4954u

/* One record of the chunk, by its place in it. */
struct flight {
    uint32_t magic;
    struct rb_outbox *outbox; /* borrowed */
    size_t place;
};

static void try_later(struct rb_outbox *outbox)
{
    if (!rb_timer_is_started(outbox->retry))
        rb_timer_start(outbox->retry, rb_backoff_next_ms(&outbox->backoff, rb_random()));
}

/* How many records at the front of the chunk are settled. */
static size_t count_settled(const struct rb_outbox *outbox)
{
    size_t count = 0;

    while (count < outbox->sent && outbox->settled[count])
        count++;
    return count;
}

static void finish_chunk(struct rb_outbox *outbox)
{
    size_t count = count_settled(outbox);

    outbox->has_chunk = false;
    if (outbox->producer == NULL)
        return;                                 /* what is left stays for the next process */
    outbox->drained += count - outbox->refused; /* these are among them: who goes alone is settled in order */
    rb_metrics_add(outbox->metrics, METRIC_SPOOL_DRAINED, (int64_t)(count - outbox->refused));
    rb_metrics_add(outbox->metrics, METRIC_SPOOL_ASIDE, (int64_t)outbox->refused);
    rb_spool_done(outbox->spool, count);
    if (outbox->failed) {
        if (outbox->backoff.tries == 0)
            rb_log_error(NULL, RB_EV_SPOOL_WAITS, &outbox->trouble, "");
        rb_outbox_spool_held(outbox);
        try_later(outbox);
        return;
    }
    outbox->suspect = false;
    rb_backoff_reset(&outbox->backoff);
    if (rb_spool_is_empty(outbox->spool)) {
        rb_log(NULL, RB_EV_SPOOL_EMPTY, "drained=%" PRIu64 " took_ms=%" PRId64, outbox->drained,
               rb_clock_ms() - outbox->filling_since_ms);
        outbox->filling = false;
    }
    rb_outbox_release(outbox);
}

static void take_failure(struct rb_outbox *outbox, size_t place, const struct rb_error *err)
{
    if (err->class == RB_PERMANENT && outbox->alone) {
        rb_spool_refuse(outbox->spool, place, err);
        outbox->settled[place] = true;
        outbox->refused++;
        return;
    }
    outbox->suspect |= err->class == RB_PERMANENT;
    outbox->trouble = *err;
    outbox->failed = true;
}

static void send_some(struct rb_outbox *outbox);

static void on_drained(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct flight *flight = RB_CAST(flight, arg, FLIGHT_MAGIC);
    struct rb_outbox *outbox = flight->outbox;
    size_t place = flight->place;

    (void)delivery;
    flight->magic = 0;
    free(flight);
    outbox->flying--;
    if (err == NULL)
        RB_FAIL_HERE(spool_drained);
    outbox->settled[place] = err == NULL;
    if (err != NULL && outbox->producer != NULL)
        take_failure(outbox, place, err);
    if (outbox->flying == 0)
        send_some(outbox);
}

static void send_flight(struct rb_outbox *outbox, const struct rb_spool_record *spooled)
{
    struct rb_record record = rb_outbox_unpack(spooled);
    struct flight *flight = rb_xalloc(sizeof(*flight));
    struct rb_error err = {0};

    if (outbox->sent == outbox->settled_cap) {
        outbox->settled_cap = RB_MAX(outbox->settled_cap * 2, 256);
        outbox->settled = rb_xrealloc(outbox->settled, outbox->settled_cap * sizeof(*outbox->settled));
    }
    *flight = (struct flight){.magic = FLIGHT_MAGIC, .outbox = outbox, .place = outbox->sent};
    outbox->settled[outbox->sent++] = false;
    if (rb_producer_send(outbox->producer, &record, on_drained, flight, &err) < 0) {
        take_failure(outbox, flight->place, &err);
        flight->magic = 0;
        free(flight);
        return;
    }
    outbox->flying++;
}

/* Two keys with one bit wait for each other, which costs a moment. */
static size_t bit_of_key(const struct rb_spool_record *record)
{
    uint64_t hash = rb_hash_more(RB_HASH_BEGIN, record->key, record->key_bytes);

    return (hash ^ hash >> 32) % RB_OUTBOX_KEY_BITS;
}

/* Must it wait for those on their way? Were one of its key to fail, it would be on Kafka before that one. */
static bool must_wait(const struct rb_outbox *outbox, const struct rb_spool_record *record)
{
    size_t bit = bit_of_key(record);

    return outbox->flying > 0 && (outbox->alone || (outbox->keys[bit / 64] >> bit % 64 & 1) != 0);
}

static void note_key(struct rb_outbox *outbox, const struct rb_spool_record *record)
{
    size_t bit = bit_of_key(record);

    if (outbox->flying == 0)
        memset(outbox->keys, 0, sizeof(outbox->keys));
    outbox->keys[bit / 64] |= UINT64_C(1) << bit % 64;
}

/* Send what was read, all of it or as far as it goes. */
static void send_some(struct rb_outbox *outbox)
{
    while (!outbox->failed && outbox->producer != NULL) {
        outbox->has_next = outbox->has_next || rb_spool_take(outbox->spool, &outbox->next);
        if (!outbox->has_next)
            break;
        if (must_wait(outbox, &outbox->next))
            return; /* on_drained goes on */
        outbox->has_next = false;
        note_key(outbox, &outbox->next);
        send_flight(outbox, &outbox->next);
    }
    if (outbox->flying == 0)
        finish_chunk(outbox);
}

void rb_outbox_drain(void *arg)
{
    struct rb_outbox *outbox = RB_CAST(rb_outbox, arg, RB_OUTBOX_MAGIC);

    if (outbox->producer == NULL || outbox->has_chunk)
        return;
    if (rb_spool_stats(outbox->spool).records == 0 && !rb_spool_has_failed(outbox->spool))
        return;
    if (!rb_producer_is_up(outbox->producer)) {
        try_later(outbox);
    } else if (rb_spool_has_read(outbox->spool)) {
        outbox->sent = outbox->refused = 0;
        outbox->failed = outbox->has_next = false;
        outbox->alone = outbox->suspect;
        outbox->has_chunk = true;
        send_some(outbox);
    } else {
        rb_spool_read(outbox->spool);
    }
}

/* What has just failed is not tried again before its time, whatever else happens. */
void rb_outbox_on_spool(void *arg)
{
    struct rb_outbox *outbox = RB_CAST(rb_outbox, arg, RB_OUTBOX_MAGIC);

    if (rb_spool_has_failed(outbox->spool))
        try_later(outbox);
    else if (!rb_timer_is_started(outbox->retry))
        rb_outbox_drain(outbox);
}

/*
 * limit.h — how often may one sender ask? Token buckets in a table of fixed size.
 *
 * Way:  client -> [limit] -> gate -> receive
 *
 * A bucket is one number: the time at which it is full again (the generic cell rate algorithm). A full bucket is the same
 * as none, so nothing is ever swept. The table is set-associative: a key has RB_LIMIT_WAYS places, found by a hash whose
 * seed nobody outside knows. When all are taken, the fullest bucket, which says least, makes room, and the newcomer
 * begins with what was left in it. So a flood from many addresses cannot set an offender free: it would have to empty
 * all other buckets of his set further than his, and even then he comes back to one that is as empty. The price is that
 * a newcomer among many offenders may wait for a moment; the table errs on the strict side alone.
 */
#pragma once

#include "common/error.h"

#define RB_LIMIT_WAYS       8
#define RB_LIMIT_TEXT_BYTES 64

struct rb_limit;

/* So many in so long, and how many at once when nothing came before. */
struct rb_rate {
    int64_t quota; /* 0: no limit */
    int64_t window_s;
    int64_t burst;
};

struct rb_verdict {
    bool allowed;
    int64_t left;          /* how many more would be allowed now */
    int64_t retry_after_s; /* until the next one is allowed; 0 when one is now */
};

/*
 * Read a rate: "100/s", "600/m" or "1000/h", and how many may come at once: "100/s burst 200". Without that it is as
 * many as in the whole time. "0" is no limit.
 *
 * Fails:  BAD_OPTION.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_rate_parse(const char *text, struct rb_rate *ret_rate, struct rb_error *err);

/*
 * Make a table.
 *
 * Takes:  rate with a quota; slots, a power of two and a multiple of RB_LIMIT_WAYS; seed, random bits.
 * Gives:  owned by the caller; rb_limit_free it. 16 bytes for each slot, all of them now.
 * Loop:   pure, any thread.
 */
struct rb_limit *rb_limit_new(const struct rb_rate *rate, size_t slots, uint64_t seed);

/*
 * Free it. NULL is fine.
 *
 * Loop:   pure, any thread.
 */
void rb_limit_free(struct rb_limit *limit);

/*
 * May this key ask once more? When it may, that is counted; a refusal costs nothing, so that the time to wait does not
 * grow by asking.
 *
 * Takes:  now_ms, monotonic.
 * Loop:   pure, one thread.
 */
struct rb_verdict rb_limit_take(struct rb_limit *limit, uint64_t key, int64_t now_ms);

/*
 * The rate of a table.
 *
 * Gives:  borrowed from the table.
 * Loop:   pure, any thread.
 */
const struct rb_rate *rb_limit_rate(const struct rb_limit *limit);

/*
 * The invariant as code: no key stands in a set twice, or in a set that is not its own; aborts when it is broken.
 *
 * Loop:   pure, any thread.
 */
void rb_limit_check(const struct rb_limit *limit);

RB_DEFINE_AUTO(rb_limit);

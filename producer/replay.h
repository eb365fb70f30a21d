/*
 * replay.h — has this delivery come before? Pure: a bounded table of keys with an expiry.
 *
 * Way:  receive -> verify -> notice -> [replay] -> lookup -> publish
 *
 * A sender that did not hear our answer delivers again. What was answered 200 is remembered for a while; what is under way
 * has an owner, on whom the repeat can wait. The table forgets the oldest when it is full, and everything at a restart: an
 * event may then be published once more, which the consumer makes harmless.
 */
#pragma once

#include "common/base.h"

#define RB_REPLAY_KEY_BYTES 16

struct rb_replays;

enum rb_replay {
    RB_REPLAY_NEW,  /* seen for the first time; the caller owns it until rb_replays_end */
    RB_REPLAY_BUSY, /* under way; its owner will know the outcome */
    RB_REPLAY_DONE, /* was answered 200 */
};

/*
 * Make a table.
 *
 * Takes:  max, the most keys at once; keep_ms, how long what is done is remembered.
 * Gives:  owned by the caller; rb_replays_free it.
 * Loop:   pure, any thread.
 */
struct rb_replays *rb_replays_new(size_t max, int64_t keep_ms);

/*
 * Free it. NULL is fine.
 *
 * Loop:   pure, any thread.
 */
void rb_replays_free(struct rb_replays *replays);

/*
 * A delivery has come.
 *
 * Takes:  key, unpredictable to senders, as a keyed hash is; owner, not NULL, kept for a new key until rb_replays_end.
 * Gives:  BUSY with ret_owner; NEW and DONE without. When the table is full of deliveries under way, NEW: it is then not
 *         in the table, and rb_replays_end does nothing.
 * Loop:   pure, any thread.
 */
enum rb_replay rb_replays_begin(struct rb_replays *replays, const uint8_t key[RB_REPLAY_KEY_BYTES], void *owner,
                                int64_t now_ms, void **ret_owner);

/*
 * A delivery is answered.
 *
 * Takes:  owner, as rb_replays_begin had it; remember, it was answered 200.
 * Loop:   pure, any thread.
 */
void rb_replays_end(struct rb_replays *replays, const uint8_t key[RB_REPLAY_KEY_BYTES], const void *owner,
                    bool remember, int64_t now_ms);

/*
 * How many keys are in it.
 *
 * Loop:   pure, any thread.
 */
size_t rb_replays_count(const struct rb_replays *replays);

/*
 * Is the table as it should be? For tests.
 *
 * Loop:   pure, any thread.
 */
bool rb_replays_check(const struct rb_replays *replays);

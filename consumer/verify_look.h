/*
 * verify_look.h — a look at all objects of one video.
 *
 * Way:  verify -> [verify_look] -> store
 */
#pragma once

#include "consumer/inspect_next.h"
#include "consumer/stores.h"
#include "consumer/verify_rows.h"

/* How to look. Part of its owner. */
struct rb_verify_way {
    struct rb_loop *loop; /* borrowed, as all below */
    const struct rb_stores *stores;
    bool by_hash; /* read all bytes */
};

struct rb_verify_look {
    uint32_t magic;
    const struct rb_verify_way *way; /* borrowed */
    struct rb_verify_row *row;       /* owned */
    const struct rb_target *target;  /* borrowed; NULL when no store of ours is meant */
    size_t number; /* of the object that is looked at; in the end of the one that the verdict is about */
    struct rb_ask *ask;
    bool hashing;
    unsigned tries;
    struct rb_timer *timer;
    enum rb_inspect_object verdict;
    struct rb_store_answer answer; /* of the last ask */
    struct rb_error error;         /* why the verdict is UNKNOWN */
    int64_t bytes;                 /* of all objects that were found */
    bool ended;
    rb_loop_fn on_end;
    void *arg;                   /* borrowed */
    struct rb_verify_look *next; /* for the owner's list */
};

/*
 * Begin to look.
 *
 * Takes:  way, borrowed for as long as the look lives; row, owned by it from now on; on_end, called once with arg.
 * Gives:  owned by the caller; rb_verify_look_free it.
 * Loop:   loop thread; on_end may come before this returns.
 */
struct rb_verify_look *rb_verify_look_new(const struct rb_verify_way *way, struct rb_verify_row *row, rb_loop_fn on_end,
                                          void *arg);

/*
 * Stop and free. NULL is fine.
 *
 * Loop:   loop thread, not from on_end.
 */
void rb_verify_look_free(struct rb_verify_look *look);

/*
 * What came of it, as one line of JSON tells it.
 *
 * Gives:  owned by the caller.
 * Loop:   loop thread, once it has ended.
 */
json_t *rb_verify_look_json(const struct rb_verify_look *look);

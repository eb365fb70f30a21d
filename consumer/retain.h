/*
 * retain.h — removes videos that are due by a rule of the operator's, too old, too much of one user, too much in all; or by a wish.
 *
 * Way:  consumer cleanup, retain_schedule -> [retain] -> remove
 *
 * The database says which, some at a time, the oldest first (deploy/sql/011_retention.sql). Their rows go in that statement; what is
 * left to do is remove.h's. So it may end at any time and be begun again, also by several at once.
 */
#pragma once

#include "consumer/options.h"
#include "consumer/remove.h"

#define RB_RETAIN_RULES(X)                                                                                             \
    /* name   word     which videos are due */                                                                         \
    X(AGE, "age", "stored for too long")                                                                               \
    X(USER, "user", "of a user who has too much or too many")                                                          \
    X(TOTAL, "total", "the oldest of too much in all")                                                                 \
    X(ERASE, "erase", "all that is known of one user's")

enum rb_retain_rule {
#define ROW(name, word, which) RB_RETAIN_##name,
    RB_RETAIN_RULES(ROW)
#undef ROW
        RB_RETAIN_RULE_COUNT
};

#define RB_RETAIN_VALUES 7 /* of a statement about limits */

/* 0 is no limit. Each store is looked at by itself, but for a user's wish. */
struct rb_retain_limits {
    int64_t age_ms;
    int64_t user_bytes;
    int64_t user_videos;
    int64_t all_bytes;
    int64_t low_bytes; /* down to here the oldest go, once there are more than all_bytes */
    int64_t safe_ms;   /* younger ones stay, whatever the rule */
    const char *user;  /* whose videos go, all of them, in whatever state; NULL for nobody's; borrowed */
};

struct rb_retain_sum {
    int64_t videos;
    int64_t bytes; /* with what lies beside them */
};

struct rb_retain;

/* All borrowed for as long as it lives, but for the limits. */
struct rb_retain_config {
    struct rb_pg *pg;
    struct rb_remove *remove; /* that nobody else listens to */
    const struct rb_stores *stores;
    const struct rb_common_options *options; /* with the application's names */
    struct rb_retain_limits limits;
    size_t at_once; /* so many rows are let go by one statement, and so many objects are removed at once */
    /* It is through; err is NULL when nothing failed. Not called from inside rb_retain_start. */
    void (*on_done)(const struct rb_error *err, void *arg);
    rb_loop_fn on_gone; /* one more is gone, or failed; NULL when nobody wants to know */
    void *arg;
};

/*
 * Limits as the options have them.
 *
 * Fails:  BAD_OPTION: the low mark is above the other one.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_retain_limits_read(const struct consumer_options *options, struct rb_retain_limits *ret_limits,
                                        struct rb_error *err);

/*
 * Is there any rule?
 *
 * Loop:   pure, any thread.
 */
bool rb_retain_has_rules(const struct rb_retain_limits *limits);

/*
 * The rule's word.
 *
 * Loop:   pure, any thread.
 */
const char *rb_retain_rule_name(enum rb_retain_rule rule);

/*
 * The values of the functions in SQL behind rule, kind of store and bucket: the limits, and how many at most.
 *
 * Takes:  at_most, 0 for all; ret_values, at least RB_RETAIN_VALUES.
 * Gives:  ret_values, borrowed from ret_texts; NULL is SQL's NULL.
 * Loop:   pure, any thread.
 */
void rb_retain_values(const struct rb_retain_limits *limits, size_t at_most, char ret_texts[RB_RETAIN_VALUES][24],
                      const char **ret_values);

/*
 * Get ready.
 *
 * Takes:  config, borrowed for the call; see there for what is in it.
 * Gives:  owned by the caller; rb_retain_free it.
 * Loop:   loop thread.
 */
struct rb_retain *rb_retain_new(struct rb_loop *loop, const struct rb_retain_config *config);

/*
 * Stop and free; before the removals. Rows that were let go are seen to by those. NULL is fine.
 *
 * Loop:   loop thread, not from on_done.
 */
void rb_retain_free(struct rb_retain *retain);

/*
 * Go through all rules of all stores once. Fine while it does so already.
 *
 * Loop:   loop thread.
 */
void rb_retain_start(struct rb_retain *retain);

/*
 * Let no more rows go; on_done is not called.
 *
 * Loop:   loop thread.
 */
void rb_retain_stop(struct rb_retain *retain);

/*
 * What was let go since the last start, from the first store or from the fallback store.
 *
 * Loop:   loop thread.
 */
struct rb_retain_sum rb_retain_sum_of(const struct rb_retain *retain, bool of_fallback, enum rb_retain_rule rule);

/*
 * What of that is gone, and what failed. With what others had left half done.
 *
 * Gives:  ret_failed, how many could not be announced or removed yet.
 * Loop:   loop thread.
 */
struct rb_retain_sum rb_retain_gone(const struct rb_retain *retain, int64_t *ret_failed);

/*
 * retain.c — removes the stored videos that are due by a rule of the operator's.
 *
 * Way:  consumer cleanup, retain_schedule -> [retain] -> remove
 */
#include "consumer/retain.h"

#include <inttypes.h>

#include "common/backoff.h"
#include "common/log.h"
#include "common/random.h"

#define RETAIN_MAGIC  0x5245544eu
#define TRIES_MAX     5  /* of a statement, while the database is away */
#define IN_VAIN_MAX   20 /* removals that fail one after the other: the store removes nothing, so no more go */
#define LOOK_MS       20 /* whether others have left more */
#define STORE_COUNT   2
#define REASON_PLACES 4 /* the reason, the rule, the kind of store and the bucket */

/* $1 why; $2 rule, $3 store, $4 bucket, then the limits, and how many. */
static const char choice[] =
    "SELECT d.verdict, d.video_id FROM reelbus.take_due($2, $3, $4, $5::bigint, $6::bigint, $7::bigint, $8::bigint,"
    " $9::bigint, $10::bigint, $11::bigint) AS d";

enum retain_state {
    RETAIN_IDLE,
    RETAIN_ASKING,   /* a statement is out */
    RETAIN_PAUSING,  /* it failed, and is sent again soon */
    RETAIN_REMOVING, /* objects of rows that were let go are still there */
};

struct rb_retain {
    uint32_t magic;
    struct rb_retain_config config;
    char *sql[2]; /* and for a row of the application that refuses to be changed */
    char *erase_sql[2];
    enum retain_state state;
    size_t place; /* number of the store, and of the rule in it */
    bool begun;   /* the oldest of too many go, down to the low mark */
    size_t limit; /* rows of the next statement */
    bool alone;
    unsigned tries;
    struct rb_pg_query *query;
    struct rb_timer *timer;
    struct rb_retain_sum sums[STORE_COUNT][RB_RETAIN_RULE_COUNT];
    struct rb_retain_sum gone;
    int64_t failed;
    unsigned in_vain;
    struct rb_error error; /* of the last removal that failed */
};

static const char *const rule_names[] = {
#define ROW(name, word, which) [RB_RETAIN_##name] = (word),
    RB_RETAIN_RULES(ROW)
#undef ROW
};

/* -- limits -------------------------------------------------------------------------------------------------------- */

int rb_retain_limits_read(const struct consumer_options *options, struct rb_retain_limits *ret_limits,
                          struct rb_error *err)
{
    const struct rb_retain_limits limits = {
        .age_ms = options->retention_ms,
        .user_bytes = options->retention_user_bytes,
        .user_videos = options->retention_user_videos,
        .all_bytes = options->retention_bytes,
        .low_bytes = options->retention_low_bytes > 0 ? options->retention_low_bytes : options->retention_bytes,
        .safe_ms = options->retention_min_age_ms,
    };

    if (limits.low_bytes > limits.all_bytes)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'retention_low_bytes' is more than 'retention_bytes'");
    *ret_limits = limits;
    return 0;
}

bool rb_retain_has_rules(const struct rb_retain_limits *limits)
{
    return limits->age_ms > 0 || limits->user_bytes > 0 || limits->user_videos > 0 || limits->all_bytes > 0 ||
           limits->user != NULL;
}

const char *rb_retain_rule_name(enum rb_retain_rule rule)
{
    return rule_names[rule];
}

void rb_retain_values(const struct rb_retain_limits *limits, size_t at_most, char ret_texts[RB_RETAIN_VALUES][24],
                      const char **ret_values)
{
    const int64_t numbers[RB_RETAIN_VALUES] = {
        limits->age_ms,    limits->user_bytes, limits->user_videos, limits->all_bytes,
        limits->low_bytes, limits->safe_ms,    (int64_t)at_most,
    };

    for (size_t i = 0; i < RB_RETAIN_VALUES; i++) {
        snprintf(ret_texts[i], sizeof(ret_texts[i]), "%" PRId64, numbers[i]);
        ret_values[i] = ret_texts[i];
    }
    if (at_most == 0)
        ret_values[RB_RETAIN_VALUES - 1] = NULL;
}

/* -- one statement after the other --------------------------------------------------------------------------------- */

static void go_on(struct rb_retain *retain);

static bool of_fallback(const struct rb_retain *retain)
{
    return retain->place / RB_RETAIN_RULE_COUNT == 1;
}

static enum rb_retain_rule rule_of(const struct rb_retain *retain)
{
    return (enum rb_retain_rule)(retain->place % RB_RETAIN_RULE_COUNT);
}

static const struct rb_target *target_of(const struct rb_retain *retain)
{
    return of_fallback(retain) ? &retain->config.stores->fallback : &retain->config.stores->first;
}

static void next_place(struct rb_retain *retain)
{
    retain->place++;
    retain->begun = false;
}

static void end(struct rb_retain *retain, const struct rb_error *err)
{
    retain->state = RETAIN_IDLE;
    retain->config.on_done(err, retain->config.arg);
}

static size_t take_rows(struct rb_retain *retain, const PGresult *result)
{
    struct rb_retain_sum *sum = &retain->sums[of_fallback(retain)][rule_of(retain)];

    for (int row = 0; row < PQntuples(result); row++)
        sum->bytes += rb_pg_number(result, row, "all_bytes", 0);

    size_t count = rb_remove_take(retain->config.remove, result);

    sum->videos += (int64_t)count;
    return count;
}

/* That the application cannot be given its original URL back keeps no video from going: fewer at once, then that one alone. */
static void after_refusal(struct rb_retain *retain, const struct rb_error *err)
{
    struct rb_backoff pause = {.first_ms = 200, .max_ms = 5000, .tries = retain->tries};

    if (err->code == RB_E_DB_DATA && !retain->alone) {
        retain->alone = retain->limit == 1;
        retain->limit = 1;
        if (retain->alone)
            rb_log_error(NULL, RB_EV_ROW_REFUSES, err, "state=retention");
        go_on(retain);
    } else if (err->class == RB_OUTAGE && ++retain->tries < TRIES_MAX) {
        retain->state = RETAIN_PAUSING;
        rb_timer_start(retain->timer, rb_backoff_next_ms(&pause, rb_random()));
    } else {
        end(retain, err);
    }
}

static void on_rows(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_retain *retain = RB_CAST(rb_retain, arg, RETAIN_MAGIC);

    retain->query = NULL;
    if (err != NULL) {
        after_refusal(retain, err);
        return;
    }
    retain->tries = 0;
    retain->alone = false;
    retain->limit = RB_MIN(retain->limit * 2, retain->config.at_once);
    retain->begun = true;
    if (take_rows(retain, result) == 0)
        next_place(retain);
    go_on(retain);
}

static int send_erase(struct rb_retain *retain, struct rb_error *err)
{
    char limit[24];
    const char *values[] = {"request", retain->config.limits.user, limit};

    snprintf(limit, sizeof(limit), "%zu", retain->limit);
    return rb_pg_send(retain->config.pg, retain->erase_sql[retain->alone], RB_COUNT(values), values, on_rows, retain,
                      &retain->query, err);
}

static int send_batch(struct rb_retain *retain, struct rb_error *err)
{
    const struct rb_target *target = target_of(retain);
    struct rb_retain_limits limits = retain->config.limits;
    const char *values[REASON_PLACES + RB_RETAIN_VALUES] = {"retention", rule_names[rule_of(retain)],
                                                            target->store->ops->kind, target->bucket};
    char texts[RB_RETAIN_VALUES][24];

    if (rule_of(retain) == RB_RETAIN_ERASE)
        return send_erase(retain, err);
    if (retain->begun)
        limits.all_bytes = limits.low_bytes;
    rb_retain_values(&limits, retain->limit, texts, values + REASON_PLACES);
    return rb_pg_send(retain->config.pg, retain->sql[retain->alone], RB_COUNT(values), values, on_rows, retain,
                      &retain->query, err);
}

static bool has_rule(const struct rb_retain_limits *limits, enum rb_retain_rule rule)
{
    switch (rule) {
    case RB_RETAIN_AGE:
        return limits->age_ms > 0;
    case RB_RETAIN_USER:
        return limits->user_bytes > 0 || limits->user_videos > 0;
    case RB_RETAIN_TOTAL:
        return limits->all_bytes > 0;
    case RB_RETAIN_ERASE:
        return limits->user != NULL;
    case RB_RETAIN_RULE_COUNT:
        break;
    }
    RB_BUG("unknown rule");
}

static bool is_through(const struct rb_retain *retain)
{
    return retain->place == STORE_COUNT * RB_RETAIN_RULE_COUNT;
}

/* The next statement, once there are few enough objects that are being removed; at the end, none. */
static void go_on(struct rb_retain *retain)
{
    size_t removing = rb_remove_count(retain->config.remove);
    struct rb_error err = {0};

    while (!is_through(retain) &&
           (target_of(retain)->store == NULL || !has_rule(&retain->config.limits, rule_of(retain))))
        next_place(retain);
    retain->state = RETAIN_REMOVING;
    if (retain->in_vain >= IN_VAIN_MAX)
        end(retain, &retain->error);
    else if (is_through(retain) ? removing > 0 : removing >= retain->config.at_once)
        return; /* on_removed goes on */
    else if (is_through(retain) && rb_remove_has_more(retain->config.remove))
        rb_timer_start(retain->timer, LOOK_MS);
    else if (is_through(retain))
        end(retain, NULL);
    else if (send_batch(retain, &err) < 0)
        after_refusal(retain, &err);
    else
        retain->state = RETAIN_ASKING;
}

static void on_removed(const struct rb_video_deleted *event, const struct rb_error *err, void *arg)
{
    struct rb_retain *retain = RB_CAST(rb_retain, arg, RETAIN_MAGIC);

    if (err != NULL) {
        retain->failed++;
        retain->in_vain++;
        retain->error = *err;
    } else {
        retain->in_vain = 0;
        retain->gone.videos++;
        retain->gone.bytes += event->bytes;
    }
    if (retain->config.on_gone != NULL)
        retain->config.on_gone(retain->config.arg);
    if (retain->state == RETAIN_REMOVING)
        rb_timer_start(retain->timer, 0);
}

static void on_timer(void *arg)
{
    struct rb_retain *retain = RB_CAST(rb_retain, arg, RETAIN_MAGIC);

    if (retain->state == RETAIN_REMOVING || retain->state == RETAIN_PAUSING)
        go_on(retain);
}

/* -- all of it ----------------------------------------------------------------------------------------------------- */

struct rb_retain *rb_retain_new(struct rb_loop *loop, const struct rb_retain_config *config)
{
    struct rb_retain *retain = rb_xalloc(sizeof(*retain));

    *retain = (struct rb_retain){
        .magic = RETAIN_MAGIC,
        .config = *config,
        .sql = {rb_remove_sql(config->options, choice, false), rb_remove_sql(config->options, choice, true)},
        .erase_sql = {rb_remove_erase_sql(config->options, false), rb_remove_erase_sql(config->options, true)},
    };
    retain->timer = rb_timer_new(loop, on_timer, retain);
    rb_remove_listen(config->remove, &(struct rb_remove_listener){on_removed, retain});
    return retain;
}

void rb_retain_free(struct rb_retain *retain)
{
    if (retain == NULL)
        return;
    rb_retain_stop(retain);
    rb_remove_listen(retain->config.remove, &(struct rb_remove_listener){0});
    rb_timer_free(retain->timer);
    for (size_t i = 0; i < RB_COUNT(retain->sql); i++) {
        free(retain->sql[i]);
        free(retain->erase_sql[i]);
    }
    retain->magic = 0;
    free(retain);
}

void rb_retain_start(struct rb_retain *retain)
{
    if (retain->state != RETAIN_IDLE)
        return;
    retain->place = 0;
    retain->begun = false;
    retain->alone = false;
    retain->limit = retain->config.at_once;
    retain->tries = 0;
    retain->in_vain = 0;
    retain->failed = 0;
    retain->gone = (struct rb_retain_sum){0};
    memset(retain->sums, 0, sizeof(retain->sums));
    retain->state = RETAIN_REMOVING;
    rb_timer_start(retain->timer, 0);
}

void rb_retain_stop(struct rb_retain *retain)
{
    if (retain->query != NULL)
        rb_pg_cancel(RB_STEAL(retain->query));
    retain->state = RETAIN_IDLE;
    rb_timer_stop(retain->timer);
}

struct rb_retain_sum rb_retain_sum_of(const struct rb_retain *retain, bool of_fallback, enum rb_retain_rule rule)
{
    return retain->sums[of_fallback][rule];
}

struct rb_retain_sum rb_retain_gone(const struct rb_retain *retain, int64_t *ret_failed)
{
    *ret_failed = retain->failed;
    return retain->gone;
}

/*
 * setup.c — makes what reelbus needs.
 *
 * Way:  consumer setup
 */
#include "consumer/setup.h"

#include "common/exit_codes.h"
#include "common/units.h"
#include "consumer/command.h"
#include "consumer/say.h"
#include "consumer/setup_schemas.h"
#include "consumer/setup_sql.h"
#include "consumer/setup_topics.h"
#include "consumer/store_kinds.h"
#include "consumer/store_probe.h"

#define STORE_TIMEOUT_MS 60000

static int set_up_database(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    (void)loop;
    return rb_setup_sql_tables(options, err);
}

/* A store with nothing set is somebody else's matter: setup may run where its options are not known. */
static bool store_is_named(const struct consumer_options *options)
{
    return strcmp(options->store, "file") != 0 || options->file_root[0] != '\0';
}

static bool makes_bucket(const struct consumer_options *options)
{
    return strcmp(options->store, "supabase") == 0 ? options->supabase_make_bucket : options->s3_make_bucket;
}

/* A store that takes less than we would send is no mistake, but somebody should know. */
static void say_limit(const struct consumer_options *options, int64_t largest_bytes)
{
    char text[RB_UNITS_TEXT_BYTES];
    RB_AUTO_TEXT *limit = NULL;

    if (largest_bytes == 0 || largest_bytes >= options->video_max_bytes)
        return;
    limit = rb_xprintf("takes videos of up to %s; raise its file size limit for larger ones",
                       rb_units_bytes_text(largest_bytes, text));
    rb_say("store", options->bucket, limit);
}

static int look_at_store(struct rb_loop *loop, const struct consumer_options *options, enum rb_check how,
                         struct rb_error *err)
{
    struct rb_store_answer answer = {0};
    struct rb_store *store = NULL;
    int result;

    if (!store_is_named(options)) {
        rb_say("store", options->store, "has no options, is not checked");
        return 0;
    }
    RB_TRY(rb_store_open(loop, options, &store, err));
    result = rb_store_probe_once(loop, store, options->bucket, how, STORE_TIMEOUT_MS, &answer, err);
    store->ops->free(store);
    if (result < 0)
        return -1;
    rb_say("store", options->bucket, answer.made ? "made, can be written" : "can be written");
    say_limit(options, answer.largest_bytes);
    return 0;
}

static int set_up_store(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    return look_at_store(loop, options, makes_bucket(options) ? RB_CHECK_MAKE : RB_CHECK_WRITE, err);
}

/* After the store: there may be no bucket before. */
static int set_up_policies(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    (void)loop;
    return rb_setup_sql_policies(options, err);
}

/* -- what is missing ----------------------------------------------------------------------------------------------- */

static int check_database(struct rb_loop *loop, const struct consumer_options *options, int *ret_lacks,
                          struct rb_error *err)
{
    (void)loop;
    return rb_setup_sql_check_tables(options, ret_lacks, err);
}

/* A bucket that is missing, or a right, is what is looked for; a store that is away says nothing. */
static int check_store(struct rb_loop *loop, const struct consumer_options *options, int *ret_lacks,
                       struct rb_error *err)
{
    if (look_at_store(loop, options, RB_CHECK_WRITE, err) == 0)
        return 0;
    if (err->code != RB_E_STORE_REFUSED && err->code != RB_E_STORE_DENIED)
        return -1;
    rb_say("store", options->bucket, err->message);
    (*ret_lacks)++;
    return 0;
}

static int check_policies(struct rb_loop *loop, const struct consumer_options *options, int *ret_lacks,
                          struct rb_error *err)
{
    (void)loop;
    return rb_setup_sql_check_policies(options, ret_lacks, err);
}

/* -- all of it ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    int (*run)(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err);
    int (*check)(struct rb_loop *loop, const struct consumer_options *options, int *ret_lacks, struct rb_error *err);
    bool of_store; /* for each store */
} steps[] = {
    {"database", set_up_database, check_database, false},
    {"topics", rb_setup_topics, rb_setup_topics_check, false},
    {"schemas", rb_setup_schemas, rb_setup_schemas_check, false},
    {"store", set_up_store, check_store, true},
    {"policies", set_up_policies, check_policies, true},
};

/* What came of all steps so far. */
struct tally {
    int failures;
    int away; /* of them: try again later */
    int lacks;
};

static void take_step(size_t i, const struct consumer_options *options, bool only_check, struct tally *tally)
{
    struct rb_loop *loop = rb_loop_new();
    struct rb_error err = {0};
    int result = only_check ? steps[i].check(loop, options, &tally->lacks, &err) : steps[i].run(loop, options, &err);

    rb_loop_free(loop);
    if (result < 0 && steps[i].of_store)
        fprintf(stderr, "reelbus-consumer setup: %s '%s': %s\n", steps[i].name, options->bucket, err.message);
    else if (result < 0)
        fprintf(stderr, "reelbus-consumer setup: %s: %s\n", steps[i].name, err.message);
    tally->failures += result < 0 ? 1 : 0;
    tally->away += result < 0 && rb_command_status(err.code) == RB_EXIT_AWAY ? 1 : 0;
}

int rb_setup(const struct consumer_options *options, const struct consumer_options *fallback)
{
    bool only_check = options->command.check;
    struct tally tally = {0};

    if (options->command.acls) {
        rb_setup_topics_acls(options);
        return RB_EXIT_OK;
    }
    for (size_t i = 0; i < RB_COUNT(steps); i++) {
        take_step(i, options, only_check, &tally);
        if (steps[i].of_store && fallback != NULL)
            take_step(i, fallback, only_check, &tally);
    }
    if (tally.failures > 0)
        return tally.away == tally.failures ? RB_EXIT_AWAY : RB_EXIT_FAILED;
    return tally.lacks > 0 ? RB_EXIT_FOUND : RB_EXIT_OK;
}

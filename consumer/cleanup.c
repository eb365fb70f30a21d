/*
 * cleanup.c — removes what is not to be kept.
 *
 * Way:  consumer cleanup -> [cleanup] -> cleanup_videos, store
 */
#include "consumer/cleanup.h"

#include <inttypes.h>
#include <stdio.h>

#include "consumer/cleanup_orphans.h"
#include "consumer/cleanup_videos.h"
#include "consumer/say.h"
#include "consumer/store_kinds.h"
#include "consumer/store_probe.h"

#define CLEANUP_TIMEOUT_MS 3600000

static const struct rb_command_options *flags_of(const struct rb_command *command)
{
    return &command->options->command;
}

/* -- unfinished uploads -------------------------------------------------------------------------------------------- */

static int sweep(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    const struct rb_sweep what = {
        .bucket = options->bucket,
        .prefix = options->cleanup_prefix,
        .older_than_ms = options->cleanup_uploads_ms,
    };
    struct rb_store_answer answer = {0};
    RB_AUTO_TEXT *removed = NULL;
    struct rb_store *store = NULL;
    bool sweeps;
    int result;

    RB_TRY(rb_store_open(loop, options, &store, err));
    sweeps = store->ops->sweep != NULL;
    result = rb_store_probe_sweep(loop, store, &what, CLEANUP_TIMEOUT_MS, &answer, err);
    store->ops->free(store);
    if (result < 0)
        return -1;
    removed = rb_xprintf("%" PRId64 " unfinished removed", answer.swept);
    rb_say("uploads", options->bucket, sweeps ? removed : "the store removes unfinished ones by itself");
    return 0;
}

static bool sweep_fails(struct rb_command *command, const struct consumer_options *options)
{
    struct rb_loop *loop = rb_loop_new();
    struct rb_error err = {0};
    int result = sweep(loop, options, &err);

    rb_loop_free(loop);
    if (result < 0)
        rb_command_note(command, "store '%s': %s", options->bucket, err.message);
    return result < 0;
}

/* One store that fails does not keep it from the other; nor does it that nobody knows the other. */
static int sweep_all(struct rb_command *command)
{
    const struct consumer_options *fallback = NULL;
    struct rb_error err = {0};
    bool failed = rb_command_fallback(command, &fallback, &err) < 0;

    if (failed)
        (void)rb_command_fail(command, &err);
    failed |= sweep_fails(command, command->options);
    if (fallback != NULL)
        failed |= sweep_fails(command, fallback);
    return failed ? RB_EXIT_FAILED : RB_EXIT_OK;
}

/* -- all of it ----------------------------------------------------------------------------------------------------- */

static struct rb_retain_limits limits_of_flags(const struct rb_command *command)
{
    const struct rb_command_options *flags = flags_of(command);

    return (struct rb_retain_limits){
        .age_ms = flags->older_than,
        .user_bytes = flags->max_user_bytes,
        .user_videos = flags->max_user_videos,
        .all_bytes = flags->max_bytes,
        .low_bytes = flags->low > 0 ? flags->low : flags->max_bytes,
        .safe_ms = command->options->retention_min_age_ms,
        .user = flags->user[0] != '\0' ? flags->user : NULL,
    };
}

static bool has_rules_of_flags(const struct rb_command_options *flags)
{
    return flags->older_than > 0 || flags->max_user_bytes > 0 || flags->max_user_videos > 0 || flags->max_bytes > 0;
}

/* Flags that ask for something, when they are given at all. */
static const char *const rule_names[] = {"user",      "older_than", "max_user_bytes", "max_user_videos",
                                         "max_bytes", "low",        "uploads",        "orphans"};

static const struct rb_option *row_of(const struct rb_options *options, const char *name)
{
    return rb_options_find(options->spec, name, strlen(name));
}

static bool is_given(const struct rb_options *options, const struct rb_option *row)
{
    return options->sources[row - options->spec->rows] == RB_FROM_FLAG;
}

static bool says_nothing(const struct rb_option *row, const void *value)
{
    switch (row->type) {
    case RB_OPTION_TEXT:
        return (*(char *const *)value)[0] == '\0';
    case RB_OPTION_BOOL:
        return !*(const bool *)value;
    default:
        return *(const int64_t *)value == 0;
    }
}

/* Of a variable that is empty, in somebody's script, must not come that all the rules of the options are gone through. */
static int check_flags(const struct rb_command *command, struct rb_error *err)
{
    const struct rb_options *options = command->all_options;
    const struct rb_command_options *flags = flags_of(command);

    for (size_t i = 0; i < RB_COUNT(rule_names); i++) {
        const struct rb_option *row = row_of(options, rule_names[i]);

        if (is_given(options, row) && says_nothing(row, (const char *)options->values + row->offset))
            return rb_fail(err, RB_E_BAD_OPTION, 0, "option '%s' is given and says nothing: nothing is done",
                           row->name);
    }
    if (!flags->orphans && (flags->orphans_most || is_given(options, row_of(options, "orphan_age"))))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "options 'orphan_age' and 'orphans_most' are about 'orphans'");
    if (flags->low > flags->max_bytes)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'low' is more than 'max_bytes'");
    if (flags->user[0] != '\0' && has_rules_of_flags(flags))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'user' is about all videos of that user: it stands alone");
    return 0;
}

/* What failed last is said by the status. */
static int worse(int before, int status)
{
    return status != RB_EXIT_OK ? status : before;
}

int rb_cleanup(struct rb_command *command)
{
    const struct rb_command_options *flags = flags_of(command);
    struct rb_retain_limits limits = limits_of_flags(command);
    bool all = !rb_retain_has_rules(&limits) && !flags->uploads && !flags->orphans; /* that the options say */
    struct rb_error err = {0};
    int status = RB_EXIT_OK;

    if (check_flags(command, &err) < 0 || (all && rb_retain_limits_read(command->options, &limits, &err) < 0))
        return rb_command_fail(command, &err);
    if ((all || flags->uploads) && flags->dry_run)
        rb_say("uploads", command->options->bucket, "not looked for: removing them is the only way to find them");
    else if (all || flags->uploads)
        status = sweep_all(command);
    if (rb_retain_has_rules(&limits))
        status = worse(status, rb_cleanup_videos(command, &limits));
    if (flags->orphans && !command->stopped)
        status = worse(status, rb_cleanup_orphans(command));
    return status;
}

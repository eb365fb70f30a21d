/*
 * replay.c — read the input topics once more, and store whatever is not stored.
 *
 * Way:  consumer replay -> [replay] -> replay_read -> replay_ask -> replay_video -> job
 */
#include "consumer/replay.h"

#include <inttypes.h>
#include <unistd.h>

#include "common/clock.h"
#include "consumer/replay_inside.h"

#define READY_MS  20
#define TICK_MS   100
#define COMMIT_MS 1000

/* -- a pass -------------------------------------------------------------------------------------------------------- */

static void end(struct replay *replay)
{
    replay->over = true;
    rb_command_wake(replay->command);
}

void replay_fail(struct replay *replay, const struct rb_error *err)
{
    if (replay->error.code == RB_E_NONE)
        replay->error = *err;
    end(replay);
}

void replay_poke(struct replay *replay)
{
    rb_task_queue(&replay->go_on);
}

static bool is_through(struct replay *replay)
{
    bool is_read = replay->reading == NULL && replay->first == NULL && replay_read_is_through(replay);

    return (is_read || replay->enough) && replay->videos == NULL;
}

static void go_on(void *arg)
{
    struct replay *replay = RB_CAST(replay, arg, REPLAY_MAGIC);

    if (replay->over || !replay->runs)
        return;
    replay_take_answers(replay);
    replay_video_begin_ready(replay);
    replay_read_more(replay);
    if (is_through(replay) && replay_commit_soon(replay) && rb_history_is_idle(replay->parts.history))
        end(replay);
}

static void tick(void *arg)
{
    struct replay *replay = RB_CAST(replay, arg, REPLAY_MAGIC);
    int64_t now_ms = rb_clock_ms();
    bool waits = replay->reading != NULL && replay->ready == NULL && replay->job_count == 0;
    struct rb_error err = {0};

    rb_timer_start(replay->tick_timer, TICK_MS);
    if (now_ms - replay->commit_ms >= COMMIT_MS) {
        replay->commit_ms = now_ms;
        (void)replay_commit_soon(replay);
    }
    if (waits && now_ms - replay->moved_ms > REPLAY_AWAY_MS) {
        rb_fail(&err, RB_E_KAFKA_AWAY, 0, "Kafka has given nothing for %d s", REPLAY_AWAY_MS / 1000);
        replay_fail(replay, &err);
    }
    replay_poke(replay);
}

static void on_due(void *arg)
{
    replay_poke(RB_CAST(replay, arg, REPLAY_MAGIC));
}

static int64_t total_of(const struct replay *replay)
{
    int64_t total = 0;

    for (size_t i = 0; i < replay->range.part_count; i++)
        total += replay->range.parts[i].to - replay->parts_of[i].next;
    return total;
}

static void show_bar(struct replay *replay)
{
    struct rb_bar_config config = rb_bar_config_of("replay", "events", total_of(replay));

    config.is_quiet = replay->flags->json && config.width == 0;
    replay->command->bar = rb_bar_new(replay->command->loop, &config);
}

static void on_event(rd_kafka_event_t *event, void *arg)
{
    (void)event;
    (void)arg;
}

static int open_kafka(struct replay *replay, struct rb_error *err)
{
    const struct rb_common_options *options = &replay->command->options->common;
    const struct rb_kafka_config config = {options->kafka_brokers, "reelbus-replay", options->kafka};
    const char *const settings[] = {
        "group.id",
        replay->group,
        "auto.offset.reset",
        "earliest",
        "queued.max.messages.kbytes",
        "4096", /* what waits in librdkafka; it bounds memory, with the next two, which count what is not unpacked yet */
        "fetch.max.bytes",
        "1048576",
        "fetch.message.max.bytes",
        "262144",
        NULL,
    };

    return rb_kafka_open(replay->command->loop, RD_KAFKA_CONSUMER, &config, settings, on_event, replay, &replay->kafka,
                         err);
}

/* Before anything is asked: then whoever replayed before, and is thrown out by this, has committed its last. */
static int wait_until_ready(struct replay *replay, struct rb_error *err)
{
    int64_t until_ms = rb_clock_ms() + REPLAY_AWAY_MS;
    const struct rb_commit *commit = replay->is_dry ? NULL : rb_emit_commit(replay->parts.emit);

    while (commit != NULL && !rb_commit_is_ready(commit) && !replay->over)
        if (rb_clock_ms() >= until_ms || !rb_command_pause(replay->command, READY_MS))
            break;
    if (commit != NULL && !rb_commit_is_ready(commit))
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "Kafka lets no transaction begin");
    return 0;
}

static int pass_run(struct replay *replay, struct rb_error *err)
{
    RB_TRY(wait_until_ready(replay, err));
    RB_TRY(open_kafka(replay, err));
    RB_TRY(replay_run_begin(replay, err));
    if (replay->resumed)
        rb_command_note(replay->command, "goes on with run %" PRId64 ", which was ended before it was through%s",
                        replay->run, replay->only_announces ? "; then with what was asked for now" : "");
    if (!replay->is_dry)
        replay_commit_hook(replay);
    RB_TRY(replay_read_start(replay, err));
    show_bar(replay);
    replay->moved_ms = replay->commit_ms = rb_clock_ms();
    replay->runs = true;
    rb_timer_start(replay->tick_timer, 0);
    while (!replay->over && rb_command_wait(replay->command))
        ;
    *err = replay->error;
    return err->code == RB_E_NONE ? 0 : -1;
}

static void pass_done(struct replay *replay)
{
    replay->runs = false;
    rb_timer_stop(replay->tick_timer);
    rb_timer_stop(replay->rate_timer);
    rb_timer_stop(replay->again_timer);
    replay_read_stop(replay);
    replay_video_drop_all(replay);
    if (!replay->is_dry)
        replay_commit_unhook(replay);
    rb_bar_free(RB_STEAL(replay->command->bar));
    replay_run_done(replay);
    rb_kafka_close(
        RB_STEAL(replay->kafka)); /* topics in it remember their first owner: the next pass gets another one */
}

/* A run that goes on has rows that may not be announced yet: when --max has ended it before them, it is to go on once more. */
static int end_run(struct replay *replay, struct rb_error *err)
{
    if (!replay->resumed || !replay->enough)
        return replay_run_end(replay, err);
    rb_command_note(replay->command, "the rest of run %" PRId64 " is left: replay goes on with it", replay->run);
    return 0;
}

/* One run, or the rest of one of other arguments, and then one. */
static int run_all(struct replay *replay, struct rb_error *err)
{
    bool goes_on = true;

    while (goes_on) {
        int result = pass_run(replay, err);
        bool is_whole = result == 0 && replay->over && replay->parts.exit_status == 0;

        goes_on = is_whole && replay->only_announces;
        if (is_whole)
            result = end_run(replay, err);
        pass_done(replay);
        RB_TRY(result);
        replay->over = replay->over && !goes_on;
    }
    return 0;
}

/* -- from the beginning to the end --------------------------------------------------------------------------------- */

static int read_states(struct replay *replay, struct rb_error *err)
{
    RB_AUTO_TEXT *copy = rb_xstrdup(replay->flags->state);
    char *rest = copy;

    for (char *state; (state = strsep(&rest, ",")) != NULL;) {
        if (strcmp(state, "failed") == 0)
            replay->filter.failed = true;
        else if (strcmp(state, "missing") == 0)
            replay->filter.missing = true;
        else if (state[0] != '\0')
            return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'state' has '%.40s', expected failed or missing", state);
    }
    replay->filter.missing = replay->filter.missing || replay->flags->verify;
    return 0;
}

static int read_flags(struct replay *replay, struct rb_error *err)
{
    const struct rb_command_options *flags = replay->flags;
    const struct consumer_options *options = replay->command->options;

    if (flags->video[0] != '\0' && !rb_uuid_parse(flags->video, replay->video))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'video' is '%.40s', expected a UUID", flags->video);
    replay->filter.video = replay->video;
    replay->filter.user = flags->user;
    replay->is_dry = flags->dry_run;
    replay->group = rb_xprintf("%s.replay", options->group);
    replay->transactional_id = rb_xprintf("%s%s/replay", options->common.topic_prefix, options->group);
    replay->arguments = rb_xprintf("since=%s until=%s topic=%s user=%s video=%s state=%s verify=%d", flags->since,
                                   flags->until, flags->topic, flags->user, replay->video, flags->state, flags->verify);
    return read_states(replay, err);
}

static void on_codec(void *arg)
{
    replay_video_poke_all(RB_CAST(replay, arg, REPLAY_MAGIC));
}

static void on_parts_end(void *arg)
{
    end(RB_CAST(replay, arg, REPLAY_MAGIC));
}

static int replay_open(struct replay *replay, struct rb_error *err)
{
    struct rb_loop *loop = replay->command->loop;

    rb_task_init(&replay->go_on, loop, go_on, replay);
    replay_video_open(replay);
    replay->tick_timer = rb_timer_new(loop, tick, replay);
    replay->rate_timer = rb_timer_new(loop, on_due, replay);
    replay->again_timer = rb_timer_new(loop, on_due, replay);
    replay->sql = replay_ask_sql(replay);
    RB_TRY(read_flags(replay, err));
    replay->parts.transactional_id = replay->transactional_id;
    RB_TRY(rb_parts_open_jobs(&replay->parts, !replay->is_dry, err));
    replay->env = rb_parts_env(&replay->parts);
    replay->env.on_finished = replay_video_on_finished;
    replay->env.finished_arg = replay;
    return 0;
}

static bool replay_close(struct replay *replay)
{
    bool closed = rb_parts_close(&replay->parts);
    rb_task_done(&replay->go_on);
    rb_task_done(&replay->sweep);
    rb_timer_free(replay->tick_timer);
    rb_timer_free(replay->rate_timer);
    rb_timer_free(replay->again_timer);
    free(replay->sql);
    free(replay->group);
    free(replay->transactional_id);
    free(replay->arguments);
    return closed;
}

static int status_of(struct replay *replay, int result, const struct rb_error *err)
{
    if (replay->parts.exit_status != 0)
        return replay->parts.exit_status == RB_EXIT_GIVEN_UP ? RB_EXIT_GIVEN_UP : RB_EXIT_FAILED;
    if (result < 0 && !replay->command->stopped)
        return rb_command_fail(replay->command, err);
    return replay->command->stopped ? RB_EXIT_INTERRUPTED : RB_EXIT_OK;
}

int rb_replay(struct rb_command *command)
{
    struct replay replay = {
        .magic = REPLAY_MAGIC,
        .command = command,
        .flags = &command->options->command,
        .parts = {.magic = RB_PARTS_MAGIC,
                  .all_options = command->all_options,
                  .options = command->options,
                  .loop = command->loop,
                  .on_codec = on_codec,
                  .on_end = on_parts_end,
                  .command = &replay},
        .began_ms = rb_clock_ms(),
    };
    struct rb_error err = {0};
    bool opened = replay_open(&replay, &err) == 0;
    int status = status_of(&replay, opened ? run_all(&replay, &err) : -1, &err);

    if (opened && status != RB_EXIT_USAGE)
        status = replay_show(&replay, status);
    if (!replay_close(&replay)) {
        (void)rb_command_flush(command);
        _exit(status);
    }
    return status;
}

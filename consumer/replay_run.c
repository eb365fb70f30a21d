/*
 * replay_run.c — what is read: a new run, or the rest of one that was ended.
 *
 * Way:  replay -> [replay_run] -> Kafka, Postgres
 */
#include <inttypes.h>

#include "common/clock.h"
#include "consumer/command_sql.h"
#include "consumer/replay_inside.h"

#define CLOCKS_MS         INT64_C(31536000000) /* whatever time a record has that is there: it is there */
#define COMMITTED_MS      5000
#define COMMITTED_REST_MS 500
#define COMMITTED_ASKS    12 /* what a process that was killed has begun is pending until ours has thrown it out */

static const enum rb_event input_events[] = {RB_EVENT_VIDEO_WEBHOOK_RECEIVED, RB_EVENT_VIDEO_POLL_RESULT};

/* -- the range ----------------------------------------------------------------------------------------------------- */

static enum rb_event event_of(const struct replay *replay, const char *topic)
{
    const char *prefix = replay->command->options->common.topic_prefix;

    for (size_t i = 0; i < RB_COUNT(input_events); i++)
        if (strcmp(topic + strlen(prefix), rb_event_info(input_events[i])->topic) == 0)
            return input_events[i];
    RB_BUG("a topic that brings no work");
}

/* The input topics, or the one that is asked for. */
static size_t pick_topics(const struct replay *replay, const char *names[RB_COUNT(input_events)], struct rb_error *err)
{
    const char *wanted = replay->only_announces ? "" : replay->flags->topic;
    const char *prefix = replay->command->options->common.topic_prefix;
    size_t count = 0;

    if (prefix[0] != '\0' && strncmp(wanted, prefix, strlen(prefix)) == 0)
        wanted += strlen(prefix);
    for (size_t i = 0; i < RB_COUNT(input_events); i++)
        if (wanted[0] == '\0' || strcmp(wanted, rb_event_info(input_events[i])->topic) == 0)
            names[count++] = rb_event_info(input_events[i])->topic;
    if (count == 0)
        rb_fail(err, RB_E_BAD_OPTION, 0, "option 'topic' is '%.100s', expected %s or %s", replay->flags->topic,
                rb_event_info(input_events[0])->topic, rb_event_info(input_events[1])->topic);
    return count;
}

struct range_question {
    struct replay *replay;
    int result;
    struct rb_error error;
};

static void ask_range(void *arg)
{
    struct range_question *question = arg;
    struct replay *replay = question->replay;

    question->result = rb_tail_range_ask(&replay->range, rb_kafka_handle(replay->kafka), -1, true, &question->error);
}

/* From the beginning, or since, to the end as it is now, or until: never further, or it would never end. */
static int read_range(struct replay *replay, struct rb_error *err)
{
    struct range_question question = {.replay = replay};
    const char *names[RB_COUNT(input_events)];
    int64_t now_ms = rb_clock_unix_ms();
    size_t count = pick_topics(replay, names, err);

    if (count == 0)
        return -1;
    RB_TRY(rb_tail_range_read(&replay->range, replay->command->options, names, count, now_ms, err));
    replay->range.offset = RD_KAFKA_OFFSET_BEGINNING;
    if (replay->resumed || replay->range.until_ms == RB_NO_LONG || replay->range.until_ms > now_ms)
        replay->range.until_ms = now_ms + CLOCKS_MS;
    replay->range.is_bounded = true;
    if (replay->resumed)
        replay->range.since_ms = RB_NO_LONG; /* its own bounds are known, whatever is asked for now */
    rb_command_block(replay->command, ask_range, &question);
    *err = question.error;
    RB_TRY(question.result);
    if (replay->range.part_count == 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "there are no topics yet: is setup done, is 'topic_prefix' right?");
    return 0;
}

static void make_parts(struct replay *replay)
{
    replay->parts_of = rb_xalloc(replay->range.part_count * sizeof(*replay->parts_of));
    replay->owners = rb_xalloc(replay->range.part_count * sizeof(*replay->owners));
    for (size_t i = 0; i < replay->range.part_count; i++) {
        struct rb_tail_part *part = &replay->range.parts[i];
        struct replay_part *of = &replay->parts_of[i];

        of->event = event_of(replay, part->topic->name);
        of->next = of->reached = part->from;
        of->done = part->from >= part->to;
        of->committed = -1;
        rb_offsets_init(&of->offsets);
        (void)rb_offsets_reach(&of->offsets, part->from);
        replay->owners[i] = rb_xprintf("%s%s", part->topic->name, replay->suffix);
    }
}

/* -- the run ------------------------------------------------------------------------------------------------------- */

static char *print_bounds(const struct rb_tail_range *range)
{
    struct rb_buffer text = {0};

    for (size_t i = 0; i < range->part_count; i++)
        rb_buffer_print(&text, "%s %" PRId32 " %" PRId64 " %" PRId64 "\n", range->parts[i].topic->name,
                        range->parts[i].number, range->parts[i].from, range->parts[i].to);
    return rb_buffer_steal(&text);
}

/* What the run was about when it began. What has come since is for another one. */
static void apply_bounds(struct rb_tail_range *range, const char *text)
{
    for (size_t i = 0; i < range->part_count; i++) {
        struct rb_tail_part *part = &range->parts[i];
        RB_AUTO_TEXT *head = rb_xprintf("%s %" PRId32 " ", part->topic->name, part->number);
        const char *line = text;
        int64_t from = part->to, to = part->to;

        while (line != NULL && strncmp(line, head, strlen(head)) != 0)
            line = (line = strchr(line, '\n')) != NULL ? line + 1 : NULL;
        if (line != NULL && sscanf(line + strlen(head), "%" SCNd64 " %" SCNd64, &from, &to) != 2)
            from = to = part->to;
        part->to = RB_MIN(to, part->to);
        part->from = RB_MIN(RB_MAX(from, part->from), part->to);
    }
}

static const char last_run_sql[] =
    "SELECT run, arguments, bounds, finished_at IS NOT NULL AS finished,"
    " (extract(epoch FROM started_at) * 1000)::bigint AS started_at FROM reelbus.replay WHERE replay_group = $1";

static const char new_run_sql[] =
    "INSERT INTO reelbus.replay AS r (replay_group, run, arguments, bounds) VALUES ($1, $2::bigint, $3, $4)"
    " ON CONFLICT (replay_group) DO UPDATE SET run = excluded.run, arguments = excluded.arguments,"
    " bounds = excluded.bounds, started_at = now(), finished_at = NULL WHERE r.run = excluded.run - 1"
    " RETURNING (extract(epoch FROM started_at) * 1000)::bigint AS started_at";

static const char end_run_sql[] =
    "UPDATE reelbus.replay SET finished_at = now() WHERE replay_group = $1 AND run = $2::bigint";

static int begin_new(struct replay *replay, struct rb_error *err)
{
    RB_AUTO_TEXT *bounds = print_bounds(&replay->range);
    RB_AUTO_TEXT *run = rb_xprintf("%" PRId64, replay->run);
    const char *const values[] = {replay->group, run, replay->arguments, bounds};
    RB_AUTO_RESULT *result = NULL;

    RB_TRY(rb_command_query(replay->command, new_run_sql, RB_COUNT(values), values, &result, err));

    bool is_ours = PQntuples(result) == 1;

    replay->started_ms = is_ours ? rb_pg_number(result, 0, "started_at", 0) : 0;
    if (!is_ours)
        return rb_fail(err, RB_E_TXN_FENCED, 0, "another replay has begun in the group '%.100s'", replay->group);
    return 0;
}

struct committed_question {
    rd_kafka_t *handle;
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;
};

static void ask_committed(void *arg)
{
    struct committed_question *question = arg;

    for (unsigned i = 0; i < COMMITTED_ASKS; i++) {
        question->code = replay_committed(question->handle, question->list, COMMITTED_MS);
        if (question->code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return;
        uv_sleep(COMMITTED_REST_MS);
    }
}

static int take_committed(struct replay *replay, struct rb_error *err)
{
    struct committed_question question = {
        .handle = rb_kafka_handle(replay->kafka),
        .list = rd_kafka_topic_partition_list_new((int)replay->range.part_count),
    };
    bool is_known = false;

    for (size_t i = 0; i < replay->range.part_count; i++)
        rd_kafka_topic_partition_list_add(question.list, replay->range.parts[i].topic->name,
                                          replay->range.parts[i].number);
    rb_command_block(replay->command, ask_committed, &question);
    for (size_t i = 0; question.code == RD_KAFKA_RESP_ERR_NO_ERROR && i < replay->range.part_count; i++) {
        replay_commit_take(replay, i, &question.list->elems[i]);
        is_known = is_known || replay->parts_of[i].committed >= 0;
    }
    rd_kafka_topic_partition_list_destroy(question.list);
    if (question.code == RD_KAFKA_RESP_ERR_NO_ERROR && !is_known)
        rb_command_note(replay->command,
                        "Kafka does not know how far run %" PRId64 " was: it is read from its beginning", replay->run);
    if (question.code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rb_fail(err, RB_E_KAFKA_AWAY, question.code, "the group's offsets are not told: %s",
                       rd_kafka_err2str(question.code));
    return 0;
}

/* Which run is it? With the bounds of the one that goes on, owned by the caller. */
static int find_run(struct replay *replay, char **ret_bounds, struct rb_error *err)
{
    const char *const values[] = {replay->group};
    RB_AUTO_RESULT *result = NULL;

    *ret_bounds = NULL;
    replay->run = 1;
    if (replay->is_dry)
        return 0;
    RB_TRY(rb_command_query(replay->command, last_run_sql, RB_COUNT(values), values, &result, err));
    if (PQntuples(result) == 1) {
        replay->resumed = !rb_pg_is_true(result, 0, "finished");
        replay->run = rb_pg_number(result, 0, "run", 0) + !replay->resumed;
        replay->only_announces = replay->resumed && strcmp(rb_pg_text(result, 0, "arguments"), replay->arguments) != 0;
        replay->started_ms = rb_pg_number(result, 0, "started_at", 0);
        if (replay->resumed)
            *ret_bounds = rb_xstrdup(rb_pg_text(result, 0, "bounds"));
    }
    return 0;
}

int replay_run_begin(struct replay *replay, struct rb_error *err)
{
    char *found = NULL;
    int result = find_run(replay, &found, err);
    RB_AUTO_TEXT *bounds = found;

    RB_TRY(result);
    replay->suffix = rb_xprintf("#%s/%" PRId64, replay->group, replay->run);
    RB_TRY(read_range(replay, err));
    if (replay->resumed)
        apply_bounds(&replay->range, bounds);
    else if (!replay->is_dry)
        RB_TRY(begin_new(replay, err));
    else
        replay->started_ms = rb_clock_unix_ms();
    make_parts(replay);
    return replay->resumed ? take_committed(replay, err) : 0;
}

int replay_run_end(struct replay *replay, struct rb_error *err)
{
    RB_AUTO_TEXT *run = rb_xprintf("%" PRId64, replay->run);
    const char *const values[] = {replay->group, run};

    RB_AUTO_RESULT *result = NULL;

    return replay->is_dry ? 0 : rb_command_query(replay->command, end_run_sql, RB_COUNT(values), values, &result, err);
}

void replay_run_done(struct replay *replay)
{
    for (size_t i = 0; replay->parts_of != NULL && i < replay->range.part_count; i++) {
        rb_offsets_done(&replay->parts_of[i].offsets);
        free(replay->parts_of[i].text);
        free(replay->owners[i]);
    }
    free(replay->parts_of);
    free(replay->owners);
    free(replay->suffix);
    rb_tail_range_done(&replay->range);
    replay->parts_of = NULL;
    replay->owners = NULL;
    replay->suffix = NULL;
    replay->resumed = replay->only_announces = false;
}

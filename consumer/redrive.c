/*
 * redrive.c — dead letters and final failures once more.
 *
 * Way:  consumer redrive -> [redrive] -> Kafka -> consume
 */
#include "consumer/redrive.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/moment.h"
#include "common/show.h"
#include "consumer/outcome.h"
#include "consumer/redrive_inside.h"

static const enum rb_event written_event = RB_EVENT_VIDEO_WEBHOOK_RECEIVED;

const struct rb_command_options *redrive_flags(const struct redrive *redrive)
{
    return &redrive->command->options->command;
}

bool redrive_is_enough(const struct redrive *redrive)
{
    int64_t max = redrive_flags(redrive)->max;

    return max > 0 && redrive->sent + (int64_t)redrive->item_count >= max;
}

/* -- what is wanted ------------------------------------------------------------------------------------------------ */

bool redrive_wants(const struct redrive *redrive, const char *code, const char *class, int64_t at_ms)
{
    const struct redrive_filter *filter = &redrive->filter;

    return (filter->class[0] == '\0' || strcmp(filter->class, class) == 0) &&
           (filter->code[0] == '\0' || strcmp(filter->code, code) == 0) &&
           (filter->since_ms == RB_NO_LONG || at_ms >= filter->since_ms) &&
           (filter->until_ms == RB_NO_LONG || at_ms < filter->until_ms);
}

/* What nobody ever writes would find nothing, and that would look as if all were well. */
static int check_names(const struct redrive_filter *filter, struct rb_error *err)
{
    bool has_class = filter->class[0] == '\0', has_code = filter->code[0] == '\0';

    for (size_t i = 1; i < RB_E_COUNT; i++) {
        has_class = has_class || strcmp(rb_outcome_class((enum rb_code)i), filter->class) == 0;
        has_code = has_code || strcmp(rb_code_name((enum rb_code)i), filter->code) == 0;
    }
    if (!has_class)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'class' is '%.40s', expected one of: source, storage, quota, content, policy,"
                       " unknown_video, generation_failed",
                       filter->class);
    if (!has_code)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'code' is '%.40s', which is no code of ours", filter->code);
    return 0;
}

static int read_source(struct redrive_filter *filter, const char *source, struct rb_error *err)
{
    filter->letters = strcmp(source, "dlq") == 0 || strcmp(source, "both") == 0;
    filter->rows = strcmp(source, "failed") == 0 || strcmp(source, "both") == 0;
    if (filter->letters || filter->rows)
        return 0;
    return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'source' is '%.20s', expected one of: dlq, failed, both", source);
}

static int read_moment(const char *name, const char *text, int64_t *ret_ms, struct rb_error *err)
{
    return text[0] != '\0' ? rb_moment_parse(name, text, rb_clock_unix_ms(), ret_ms, err) : 0;
}

static int read_filter(struct redrive *redrive, struct rb_error *err)
{
    const struct rb_options *options = redrive->command->all_options;
    const struct rb_command_options *flags = redrive_flags(redrive);
    char id[RB_UUID_TEXT_BYTES];

    redrive->filter = (struct redrive_filter){
        .videos = options->operands,
        .video_count = options->operand_count,
        .class = flags->class,
        .code = flags->code,
        .since_ms = RB_NO_LONG,
        .until_ms = RB_NO_LONG,
    };
    for (size_t i = 0; i < options->operand_count; i++)
        if (!rb_uuid_parse(options->operands[i], id))
            return rb_fail(err, RB_E_BAD_OPTION, 0, "'%.40s' is no UUID of a video", options->operands[i]);
    RB_TRY(read_moment("since", flags->since, &redrive->filter.since_ms, err));
    RB_TRY(read_moment("until", flags->until, &redrive->filter.until_ms, err));
    RB_TRY(check_names(&redrive->filter, err));
    return read_source(&redrive->filter, flags->source, err);
}

/* -- what is said -------------------------------------------------------------------------------------------------- */

static const char *verdict_of(const struct redrive *redrive, const char *because)
{
    if (because != NULL)
        return "left";
    return redrive_flags(redrive)->dry_run ? "would_send" : "sent";
}

/* What is in it comes from records and rows: a terminal obeys none of it. */
static void print_line(const json_t *line, const char *verdict, const char *because)
{
    const char *topic = rb_json_text(line, "topic");
    const char *video = rb_json_text(line, "video_id");
    const char *code = rb_json_text(line, "code");
    RB_AUTO_BUFFER text = {0}, clean = {0};

    rb_buffer_print(&text, "%-10s %-6s ", verdict, rb_json_text(line, "source"));
    if (topic != NULL)
        rb_buffer_print(&text, "%s/%lld/%lld ", topic,
                        (long long)json_integer_value(json_object_get(line, "partition")),
                        (long long)json_integer_value(json_object_get(line, "offset")));
    rb_buffer_print(&text, "%s: %s", video != NULL ? video : "", code != NULL ? code : "");
    if (because != NULL)
        rb_buffer_print(&text, ", %s", because);
    rb_show_text(&clean, text.bytes, text.used);
    puts(clean.bytes);
}

void redrive_say(struct redrive *redrive, json_t *line, const char *because)
{
    const char *verdict = verdict_of(redrive, because);

    if (redrive_flags(redrive)->json) {
        json_object_set_new(line, "verdict", json_string(verdict));
        if (because != NULL)
            json_object_set_new(line, "because", json_string(because));
        rb_command_print(redrive->command, line);
        return;
    }
    rb_bar_hide(redrive->command->bar);
    print_line(line, verdict, because);
    json_decref(line);
}

static void print_sums(const struct redrive *redrive)
{
    int64_t took_ms = rb_clock_ms() - redrive->began_ms;
    bool is_dry = redrive_flags(redrive)->dry_run;
    char sent[RB_SHOW_TEXT_BYTES], left[RB_SHOW_TEXT_BYTES], time[RB_SHOW_TEXT_BYTES];

    if (redrive_flags(redrive)->json)
        rb_command_print(redrive->command, json_pack("{s{sb sI sI sI}}", "summary", "dry_run", is_dry,
                                                     is_dry ? "would_send" : "sent", (json_int_t)redrive->sent, "left",
                                                     (json_int_t)redrive->left, "took_ms", (json_int_t)took_ms));
    else
        printf("%s %s, %s left; %s\n", rb_show_count(redrive->sent, sent), is_dry ? "would be sent" : "sent once more",
               rb_show_count(redrive->left, left), rb_show_ms(took_ms, time));
    if (redrive->no_room)
        rb_command_note(redrive->command, "some dead letters stay: what was sent cannot be noted between so many that "
                                          "are left; take them in their order, with fewer filters");
}

/* -- from the beginning to the end --------------------------------------------------------------------------------- */

static void redrive_init(struct redrive *redrive)
{
    const struct consumer_options *options = redrive->command->options;
    const char *prefix = options->common.topic_prefix;
    const enum rb_event back[REDRIVE_TOPICS] = {RB_EVENT_VIDEO_WEBHOOK_RECEIVED, RB_EVENT_VIDEO_POLL_RESULT,
                                                RB_EVENT_VIDEO_STORE_RETRY};

    redrive->group = rb_xprintf("%s.redrive", options->group);
    redrive->letters = rb_xprintf("%s%s", prefix, RB_DEAD_LETTER_TOPIC);
    for (size_t i = 0; i < REDRIVE_TOPICS; i++)
        redrive->topics[i] = rb_xprintf("%s%s", prefix, rb_event_info(back[i])->topic);
}

static int run(struct redrive *redrive, struct rb_error *err)
{
    struct rb_command *command = redrive->command;
    const struct rb_codec_config codec = rb_codec_config_of(&command->options->common, &written_event, 1);
    const struct rb_bar_config bar = rb_bar_config_of("redrive", "records", -1);

    RB_TRY(read_filter(redrive, err));
    redrive->codec = rb_codec_new(command->loop, &codec, rb_command_wake, command);
    RB_TRY(redrive_open(redrive, err));
    command->bar = rb_bar_new(command->loop, &bar);
    if (redrive->filter.letters)
        RB_TRY(redrive_letters(redrive, err));
    return redrive->filter.rows && !redrive_is_enough(redrive) ? redrive_rows(redrive, err) : 0;
}

static int status_of(const struct redrive *redrive)
{
    return redrive->left > 0 || redrive->no_room ? RB_EXIT_FOUND : RB_EXIT_OK;
}

int rb_redrive(struct rb_command *command)
{
    struct redrive redrive = {.magic = REDRIVE_MAGIC, .command = command, .began_ms = rb_clock_ms()};
    struct rb_error err = {0};
    int status;

    redrive_init(&redrive);
    status = run(&redrive, &err) < 0 ? rb_command_fail(command, &err) : RB_EXIT_OK;
    if (status != RB_EXIT_USAGE)
        print_sums(&redrive);
    if (!redrive_close(&redrive))
        _exit(rb_command_flush(command) ? RB_EXIT_AWAY : RB_EXIT_FAILED); /* what hangs ends with the process */
    rb_codec_free(redrive.codec);
    for (size_t i = 0; i < REDRIVE_TOPICS; i++)
        free(redrive.topics[i]);
    free(redrive.letters);
    free(redrive.group);
    return status != RB_EXIT_OK ? status : status_of(&redrive);
}

/*
 * inspect_show.c — a video's story as lines.
 *
 * Way:  inspect -> [inspect_show]
 */
#include "consumer/inspect_show.h"

#include <inttypes.h>

#include "common/show.h"
#include "common/url.h"

/* Part of a line: a word before it, and the member of the row. */
struct part {
    const char *label;
    const char *member;
};

/* A line about the row: its name, and what of it is shown, as far as it is there. */
static const struct {
    const char *name;
    struct part parts[8];
} line_rows[] = {
    {"state", {{"", "state"}, {"since", "updated_at"}, {"because of", "delete_reason"}}},
    {"user", {{"", "user_id"}}},
    {"source", {{"", "source_url"}, {"received", "received_at"}, {"expires", "expires_at"}}},
    {"provider",
     {{"", "provider"},
      {"as", "provider_video_id"},
      {"says", "provider_status"},
      {"percent", "progress"},
      {"asked", "polls"}}},
    {"tries",
     {{"", "tries"},
      {"in attempt", "attempt"},
      {"first", "first_try_at"},
      {"last", "last_try_at"},
      {"next", "next_try_at"}}},
    {"error", {{"", "error_class"}, {"", "error_code"}, {"", "error_message"}, {"at", "failed_at"}}},
    {"stored", {{"", "stored_url"}, {"at", "stored_at"}}},
    {"claim",
     {{"", "claim_epoch"},
      {"settled by", "owner_topic"},
      {"partition", "owner_partition"},
      {"offset", "owner_offset"}}},
};

static void add_member(struct rb_buffer *text, const json_t *value)
{
    RB_AUTO_TEXT *copy = NULL;

    if (json_is_string(value)) {
        copy = rb_xstrdup(json_string_value(value));
        rb_url_hide(copy);
        rb_show_text(text, copy, strlen(copy));
    } else if (json_is_integer(value)) {
        rb_buffer_print(text, "%" PRId64, (int64_t)json_integer_value(value));
    } else {
        rb_buffer_print(text, "%s", json_is_true(value) ? "yes" : "no");
    }
}

static void add_line(struct rb_buffer *text, const char *name, const struct part *parts, const json_t *object)
{
    RB_AUTO_BUFFER line = {0};

    for (; parts->member != NULL; parts++) {
        const json_t *value = json_object_get(object, parts->member);

        if (value == NULL || json_is_null(value))
            continue;
        rb_buffer_print(&line, "%s%s%s", line.used > 0 ? ", " : "", parts->label, parts->label[0] != '\0' ? " " : "");
        add_member(&line, value);
    }
    if (line.used > 0)
        rb_buffer_print(text, "%-12s %s\n", name, line.bytes);
}

static void add_object(struct rb_buffer *text, const json_t *row, const json_t *object)
{
    char amount[RB_SHOW_TEXT_BYTES];
    const char *error = rb_json_text(object, "error");

    if (rb_json_text(row, "object_key") == NULL)
        return;
    rb_buffer_print(text, "%-12s ", "object");
    add_member(text, json_object_get(row, "store"));
    rb_buffer_print(text, " ");
    add_member(text, json_object_get(row, "bucket"));
    rb_buffer_print(text, "/");
    add_member(text, json_object_get(row, "object_key"));
    if (json_is_integer(json_object_get(row, "bytes")))
        rb_buffer_print(text, ", %s", rb_show_bytes(json_integer_value(json_object_get(row, "bytes")), amount));
    rb_buffer_print(text, ", in the store: %s", rb_json_text(object, "verdict"));
    if (error != NULL) {
        rb_buffer_print(text, " (");
        rb_show_text(text, error, strlen(error));
        rb_buffer_print(text, ")");
    }
    rb_buffer_print(text, "\n");
    add_line(text, "sha256", (const struct part[]){{"", "sha256"}, {NULL, NULL}}, row);
}

static void add_history(struct rb_buffer *text, const json_t *history)
{
    static const struct part coordinates[] = {
        {"", "detail"}, {"", "topic"}, {"partition", "partition"}, {"offset", "offset"}, {NULL, NULL}};
    const json_t *event;
    size_t i;

    if (json_array_size(history) > 0)
        rb_buffer_print(text, "\n");
    json_array_foreach(history, i, event)
    {
        const char *at = rb_json_text(event, "at");
        const char *what = rb_json_text(event, "what");

        rb_buffer_print(text, "%-32s ", at != NULL ? at : "-");
        add_line(text, what != NULL ? what : "-", coordinates, event);
        if (text->bytes[text->used - 1] != '\n')
            rb_buffer_print(text, "%s\n", what != NULL ? what : "-");
    }
}

void rb_inspect_show(const json_t *story, struct rb_buffer *text)
{
    const json_t *row = json_object_get(story, "row");
    const json_t *application = json_object_get(story, "application");
    const char *next = rb_json_text(story, "next");

    rb_buffer_print(text, "%-12s ", "video");
    add_member(text, json_object_get(story, "video_id"));
    rb_buffer_print(text, "\n");
    for (size_t i = 0; i < RB_COUNT(line_rows); i++)
        add_line(text, line_rows[i].name, line_rows[i].parts, row);
    add_object(text, row, json_object_get(story, "object"));
    if (json_is_object(application))
        add_line(
            text, "application",
            (const struct part[]){{"status", "status"}, {"shows", "video_url"}, {"of user", "user_id"}, {NULL, NULL}},
            application);
    rb_buffer_print(text, "%-12s ", "next");
    rb_show_text(text, next, strlen(next));
    rb_buffer_print(text, "\n");
    add_history(text, json_object_get(story, "history"));
}

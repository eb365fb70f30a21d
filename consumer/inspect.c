/*
 * inspect.c — one video's whole story.
 *
 * Way:  consumer inspect -> [inspect] -> Postgres, store
 */
#include "consumer/inspect.h"

#include <stdio.h>

#include "common/random.h"
#include "common/tables.h"
#include "consumer/command_sql.h"
#include "consumer/command_stores.h"
#include "consumer/inspect_next.h"
#include "consumer/inspect_show.h"

/* $1 video. All of our row, whatever columns it has. */
static const char story_template[] =
    "SELECT json_build_object('video_id', $1::uuid,"
    " 'application', (SELECT json_build_object('user_id', h.{user_id}, 'video_url', h.{video_url}, 'status', h.{status})"
    " FROM {table} h WHERE h.{id} = $1::uuid),"
    " 'row', (SELECT row_to_json(v) FROM reelbus.video v WHERE v.video_id = $1::uuid),"
    " 'history', (SELECT coalesce(json_agg(row_to_json(e) ORDER BY e.id), '[]') FROM reelbus.history e"
    " WHERE e.video_id = $1::uuid))::text AS story";

/* $1 a provider's id of the video. */
static const char id_sql[] = "SELECT video_id::text FROM reelbus.video WHERE provider_video_id = $1 LIMIT 2";

/* A UUID, or what the provider calls it. */
static int find_id(struct rb_command *command, const char *name, char ret_id[RB_UUID_TEXT_BYTES], struct rb_error *err)
{
    RB_AUTO_RESULT *result = NULL;

    if (rb_uuid_parse(name, ret_id))
        return 0;
    RB_TRY(rb_command_query(command, id_sql, 1, &name, &result, err));
    if (PQntuples(result) == 0)
        return rb_fail(err, RB_E_UNKNOWN_VIDEO, 0, "'%.80s' is no UUID, and no provider's id of a video", name);
    if (PQntuples(result) > 1)
        return rb_fail(err, RB_E_UNKNOWN_VIDEO, 0, "'%.80s' is the id of several videos; name one by its UUID", name);
    snprintf(ret_id, RB_UUID_TEXT_BYTES, "%s", PQgetvalue(result, 0, 0));
    return 0;
}

static int read_story(struct rb_command *command, const char *video_id, json_t **ret_story, struct rb_error *err)
{
    RB_AUTO_TEXT *sql = rb_tables_sql(&command->options->common, story_template);
    RB_AUTO_RESULT *result = NULL;

    RB_TRY(rb_command_query(command, sql, 1, &video_id, &result, err));

    const char *text = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";

    *ret_story = rb_json_parse_trusted(text, strlen(text));
    return *ret_story != NULL ? 0 : rb_fail(err, RB_E_DB_REFUSED, 0, "the database tells a story that is no JSON");
}

static int64_t number_of(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    return json_is_integer(value) ? json_integer_value(value) : -1;
}

/* The store may be another one than those that are configured here, or away: the story is told all the same. */
static int ask_store(struct rb_command *command, const json_t *row, struct rb_store_answer *ret_answer,
                     struct rb_error *err)
{
    struct rb_stores stores = {0};
    const struct rb_target *target = NULL;
    const char *store = rb_json_text(row, "store"), *bucket = rb_json_text(row, "bucket");
    int result = rb_stores_open(command->loop, command->all_options, &stores, err);

    if (result == 0) {
        target = rb_command_target(&stores, store, bucket);
        result = target != NULL
                     ? rb_command_find(command, target, rb_json_text(row, "object_key"), ret_answer, err)
                     : rb_fail(err, RB_E_BAD_OPTION, 0, "no store of the kind '%s' with this bucket is configured",
                               store != NULL ? store : "");
    }
    rb_stores_close(&stores);
    return result;
}

static enum rb_inspect_object look_at_object(struct rb_command *command, json_t *story)
{
    const json_t *row = json_object_get(story, "row");
    struct rb_store_answer answer = {0};
    struct rb_error err = {0};
    enum rb_inspect_object verdict = RB_INSPECT_NONE;
    json_t *object = json_object();

    if (rb_json_text(row, "object_key") != NULL) {
        if (ask_store(command, row, &answer, &err) == 0)
            verdict = rb_inspect_compare(&answer, number_of(row, "bytes"), rb_json_text(row, "sha256"));
        else
            verdict = RB_INSPECT_UNKNOWN;
    }
    json_object_set_new(object, "verdict", json_string(rb_inspect_object_name(verdict)));
    if (err.code != RB_E_NONE)
        json_object_set_new(object, "error", rb_command_text(err.message));
    if (answer.found) {
        json_object_set_new(object, "bytes", answer.bytes >= 0 ? json_integer(answer.bytes) : json_null());
        json_object_set_new(object, "sha256", answer.sha256[0] != '\0' ? json_string(answer.sha256) : json_null());
    }
    json_object_set_new(story, "object", object);
    return verdict;
}

static void print(struct rb_command *command, json_t *story)
{
    RB_AUTO_BUFFER text = {0};

    if (command->options->command.json) {
        rb_command_print(command, json_incref(story));
        return;
    }
    rb_inspect_show(story, &text);
    fputs(text.bytes, stdout);
}

/* What was stored and is gone, or not what it was: somebody should know. A removed one is to be gone. */
static bool is_wrong(const json_t *row, enum rb_inspect_object object)
{
    const char *state = rb_json_text(row, "state");

    return state == NULL ||
           (strcmp(state, "stored") == 0 && (object == RB_INSPECT_MISSING || object == RB_INSPECT_OTHER));
}

int rb_inspect(struct rb_command *command)
{
    char video_id[RB_UUID_TEXT_BYTES];
    RB_AUTO_JSON *story = NULL;
    RB_AUTO_TEXT *next = NULL;
    struct rb_error err = {0};
    enum rb_inspect_object object;

    if (find_id(command, command->all_options->operands[0], video_id, &err) < 0 ||
        read_story(command, video_id, &story, &err) < 0) {
        int status = rb_command_fail(command, &err);

        return err.code == RB_E_UNKNOWN_VIDEO ? RB_EXIT_FOUND : status;
    }
    object = look_at_object(command, story);
    if (command->stopped)
        return RB_EXIT_INTERRUPTED;
    next = rb_inspect_next(json_object_get(story, "application"), json_object_get(story, "row"), object);
    json_object_set_new(story, "next", json_string(next));
    print(command, story);
    return is_wrong(json_object_get(story, "row"), object) ? RB_EXIT_FOUND : RB_EXIT_OK;
}

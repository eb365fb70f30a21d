/*
 * row_read.c — a video as the database gives it, read.
 *
 * Way:  record -> [row_read] -> row
 */
#include "consumer/row_read.h"

#include <inttypes.h>

#include "common/json.h"

/* As enum rb_row_state has them. */
static const char *const state_names[] = {"waiting", "processing", "stored", "failed", "deleted"};

static bool parse_state(const char *name, enum rb_row_state *ret_state)
{
    for (size_t i = 0; i < RB_COUNT(state_names); i++) {
        if (strcmp(state_names[i], name) == 0) {
            *ret_state = (enum rb_row_state)i;
            return true;
        }
    }
    return false;
}

static char *copy_text(const PGresult *result, const char *column)
{
    return rb_xstrdup(rb_pg_text(result, 0, column));
}

static void read_columns(const PGresult *result, struct rb_row *row)
{
    row->user_id = copy_text(result, "user_id");
    row->source_url = copy_text(result, "source_url");
    row->provider = copy_text(result, "provider");
    row->provider_video_id = copy_text(result, "provider_video_id");
    row->expires_at = rb_pg_number(result, 0, "expires_at", RB_NO_LONG);
    row->received_at = rb_pg_number(result, 0, "received_at", 0);
    row->store = copy_text(result, "store");
    row->bucket = copy_text(result, "bucket");
    row->object_key = copy_text(result, "object_key");
    row->stored_url = copy_text(result, "stored_url");
    row->bytes = rb_pg_number(result, 0, "bytes", RB_NO_LONG);
    row->sha256 = copy_text(result, "sha256");
    row->variants = rb_variants_read(rb_pg_text(result, 0, "variants"));
    row->content_type = copy_text(result, "content_type");
    row->stored_at = rb_pg_number(result, 0, "stored_at", RB_NO_LONG);
    row->attempt = rb_pg_number(result, 0, "attempt", 0);
    row->tries = rb_pg_number(result, 0, "tries", 0);
    row->first_try_at = rb_pg_number(result, 0, "first_try_at", RB_NO_LONG);
    row->last_try_at = rb_pg_number(result, 0, "last_try_at", RB_NO_LONG);
    row->error_class = copy_text(result, "error_class");
    row->error_code = copy_text(result, "error_code");
    row->error_message = copy_text(result, "error_message");
    row->failed_at = rb_pg_number(result, 0, "failed_at", RB_NO_LONG);
    row->put_off = rb_pg_number(result, 0, "put_off", 0);
    row->spilled = rb_pg_is_true(result, 0, "spilled");
    row->claim_epoch = rb_pg_number(result, 0, "claim_epoch", 0);
    row->owner_topic = copy_text(result, "owner_topic");
    row->owner_partition = rb_pg_number(result, 0, "owner_partition", -1);
    row->owner_offset = rb_pg_number(result, 0, "owner_offset", -1);
}

int rb_row_read(const PGresult *result, struct rb_row *row, bool *ret_exists, struct rb_error *err)
{
    if (PQntuples(result) != 1)
        return rb_fail(err, RB_E_DB_REFUSED, 0, "the database has %d rows for one video", PQntuples(result));

    const char *video_id = rb_pg_text(result, 0, "video_id");

    *ret_exists = video_id != NULL;
    if (video_id == NULL)
        return 0;
    if (!rb_uuid_parse(video_id, row->video_id) || !parse_state(rb_pg_text(result, 0, "state"), &row->state))
        return rb_fail(err, RB_E_DB_REFUSED, 0, "the database has a video with an id or a state that is none");
    read_columns(result, row);
    return 0;
}

static char *take_text(const json_t *failure, const char *key)
{
    return rb_xstrdup(rb_json_text(failure, key));
}

static int64_t take_number(const json_t *failure, const char *key)
{
    const json_t *number = json_object_get(failure, key);

    return json_is_integer(number) ? json_integer_value(number) : RB_NO_LONG;
}

/* As deploy/sql/009_superseded.sql has put it aside. */
static struct rb_row row_of_failure(const json_t *failure, const struct rb_origin *origin)
{
    return (struct rb_row){
        .state = RB_ROW_FAILED,
        .source_url = take_text(failure, "source_url"),
        .provider = take_text(failure, "provider"),
        .provider_video_id = take_text(failure, "provider_video_id"),
        .expires_at = RB_NO_LONG,
        .received_at = take_number(failure, "received_at"),
        .bytes = RB_NO_LONG,
        .stored_at = RB_NO_LONG,
        .attempt = take_number(failure, "attempt"),
        .tries = take_number(failure, "tries"),
        .first_try_at = take_number(failure, "first_try_at"),
        .last_try_at = take_number(failure, "last_try_at"),
        .error_class = take_text(failure, "error_class"),
        .error_code = take_text(failure, "error_code"),
        .error_message = take_text(failure, "error_message"),
        .failed_at = take_number(failure, "failed_at"),
        .owner_topic = rb_xstrdup(origin->topic),
        .owner_partition = origin->partition,
        .owner_offset = origin->offset,
    };
}

void rb_row_read_superseded(const PGresult *result, const struct rb_origin *origin, struct rb_row *row)
{
    const char *text = rb_pg_text(result, 0, "superseded");
    RB_AUTO_JSON *all = text != NULL ? rb_json_parse_trusted(text, strlen(text)) : NULL;
    RB_AUTO_TEXT *key = rb_xprintf("%s/%" PRId32 "/%" PRId64, origin->topic, origin->partition, origin->offset);
    const json_t *failure = json_object_get(all, key);
    struct rb_row old;

    if (failure == NULL)
        return;
    old = row_of_failure(failure, origin);
    old.user_id = rb_xstrdup(row->user_id);
    memcpy(old.video_id, row->video_id, sizeof(old.video_id));
    rb_row_done(row);
    *row = old;
}

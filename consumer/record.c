/*
 * record.c — claims a video and writes its outcome.
 *
 * Way:  store -> [record] -> emit
 */
#include "consumer/record.h"

#include <inttypes.h>

#define OP_MAGIC 0x52454f50u

struct rb_record {
    struct rb_pg *pg; /* borrowed */
    char *claim;      /* SQL */
    char *stored;
    char *failed;
    char *status_completed;
    char *status_failed;
};

struct rb_record_op {
    uint32_t magic;
    struct rb_pg_query *query; /* NULL once it has been answered */
    enum rb_poll state;
    struct rb_record_answer answer;
    struct rb_error error;
    char *topic; /* of the record that asks; owned, for origin */
    struct rb_origin origin;
    rb_loop_fn on_done;
    void *arg; /* borrowed */
};

/*
 * All three statements end in this: the row as it is now, whether the application knows the video, and whether this
 * statement wrote. `written` is the row that it wrote, if it did; `before` the row as it was when the statement began.
 */
#define MS(column) "(extract(epoch FROM r." column ") * 1000)::bigint AS " column
#define SHOW_ROW                                                                                                                  \
    " SELECT EXISTS (SELECT FROM app) AS known, EXISTS (SELECT FROM written) AS mine,"                                            \
    " r.video_id::text AS video_id, r.state, r.user_id, r.source_url, r.provider, r.provider_video_id, r.store,"                  \
    " r.bucket, r.object_key, r.stored_url, r.bytes, r.sha256, r.content_type, r.attempt, r.tries, r.error_class,"                \
    " r.error_code, r.error_message, r.claim_epoch, r.owner_topic, r.owner_partition, r.owner_offset,"                            \
    " " MS("expires_at") ", " MS("received_at") ", " MS("stored_at") ", " MS(                                                     \
        "failed_at") ","                                                                                                          \
                     " " MS("first_try_at") ", " MS(                                                                              \
                         "last_try_at") " FROM (SELECT 1) AS one LEFT JOIN (SELECT * FROM written UNION ALL SELECT * FROM before" \
                                        " WHERE NOT EXISTS (SELECT FROM written)) AS r ON true"

#define APP          "app AS (SELECT h.{id} AS id, h.{user_id}::text AS user_id FROM {table} h WHERE h.{id} = $1::uuid)"
#define BEFORE       "before AS (SELECT * FROM reelbus.video WHERE video_id = $1::uuid)"
#define TIME(number) "to_timestamp($" #number "::bigint / 1000.0)"

/*
 * $1 video, $2 URL, $3 provider, $4 its id, $5 expiry, $6 received, $7 tries, $8 first, $9 last try.
 *
 * A video that waits or is worked on is claimed. One that has failed is claimed again only by something new: another URL.
 * Everything else is settled, and the statement writes nothing.
 */
static const char claim_template[] =
    "WITH " APP ", " BEFORE ", written AS ("
    "INSERT INTO reelbus.video AS v (video_id, user_id, state, source_url, provider, provider_video_id, expires_at,"
    " received_at, claim_epoch)"
    " SELECT app.id, app.user_id, 'processing', $2, $3, $4, " TIME(5) ", " TIME(
        6) ", 1 FROM app"
           " ON CONFLICT (video_id) DO UPDATE SET state = 'processing', user_id = excluded.user_id,"
           " source_url = coalesce(excluded.source_url, v.source_url), provider = coalesce(excluded.provider, v.provider),"
           " provider_video_id = coalesce(excluded.provider_video_id, v.provider_video_id),"
           " expires_at = CASE WHEN excluded.source_url IS NULL THEN v.expires_at ELSE excluded.expires_at END,"
           " received_at = excluded.received_at, tries = $7::int, first_try_at = " TIME(8) ", last_try_at = " TIME(
               9) ","
                  " error_class = NULL, error_code = NULL, error_message = NULL, failed_at = NULL,"
                  " owner_topic = NULL, owner_partition = NULL, owner_offset = NULL,"
                  " claim_epoch = v.claim_epoch + 1, updated_at = now()"
                  " WHERE v.state IN ('waiting', 'processing')"
                  " OR (v.state = 'failed' AND excluded.source_url IS NOT NULL AND v.source_url IS DISTINCT FROM excluded.source_url)"
                  " RETURNING v.*),"
                  " shown AS (UPDATE {table} h SET {video_url} = written.source_url FROM written"
                  " WHERE h.{id} = written.video_id AND h.{video_url} IS NULL AND written.source_url IS NOT NULL)" SHOW_ROW;

/*
 * $1 video, $2 claim, $3 topic, $4 partition, $5 offset, $6 tries, $7 first, $8 last try; then $9 kind of store,
 * $10 bucket, $11 key, $12 URL, $13 bytes, $14 SHA-256, $15 content type, $16 the application's status.
 */
#define SETTLE                                                                                                         \
    "attempt = v.attempt + 1, owner_topic = $3, owner_partition = $4::int, owner_offset = $5::bigint,"                 \
    " tries = $6::int, first_try_at = " TIME(7) ", last_try_at = " TIME(8) ", next_try_at = NULL, updated_at = now()"
#define UNDER_CLAIM                                                                                                    \
    " WHERE v.video_id = $1::uuid AND v.claim_epoch = $2::bigint AND v.state = 'processing' RETURNING v.*)"

static const char stored_template[] =
    "WITH " APP ", " BEFORE ", written AS ("
    "UPDATE reelbus.video v SET state = 'stored', store = $9, bucket = $10, object_key = $11, stored_url = $12,"
    " bytes = $13::bigint, sha256 = $14, content_type = $15, stored_at = now(), " SETTLE UNDER_CLAIM ","
    " shown AS (UPDATE {table} h SET {video_url} = $12, {status} = $16 FROM written WHERE h.{id} = written.video_id)" SHOW_ROW;

/* As above up to $8; then $9 class, $10 code, $11 message, $12 the application's status. */
static const char failed_template[] =
    "WITH " APP ", " BEFORE ", written AS ("
    "UPDATE reelbus.video v SET state = 'failed', error_class = $9, error_code = $10, error_message = $11,"
    " failed_at = now(), " SETTLE UNDER_CLAIM ","
    " shown AS (UPDATE {table} h SET {status} = $12 FROM written WHERE h.{id} = written.video_id)" SHOW_ROW;

struct rb_record *rb_record_new(struct rb_pg *pg, const struct rb_record_names *names)
{
    struct rb_record *record = rb_xalloc(sizeof(*record));

    record->pg = pg;
    record->claim = rb_tables_sql(names->options, claim_template);
    record->stored = rb_tables_sql(names->options, stored_template);
    record->failed = rb_tables_sql(names->options, failed_template);
    record->status_completed = rb_xstrdup(names->status_completed);
    record->status_failed = rb_xstrdup(names->status_failed);
    return record;
}

void rb_record_free(struct rb_record *record)
{
    if (record == NULL)
        return;
    free(record->claim);
    free(record->stored);
    free(record->failed);
    free(record->status_completed);
    free(record->status_failed);
    free(record);
}

static char *copy_text(const PGresult *result, const char *column)
{
    return rb_xstrdup(rb_pg_text(result, 0, column));
}

static void read_row(const PGresult *result, struct rb_row *row)
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
    row->claim_epoch = rb_pg_number(result, 0, "claim_epoch", 0);
    row->owner_topic = copy_text(result, "owner_topic");
    row->owner_partition = rb_pg_number(result, 0, "owner_partition", -1);
    row->owner_offset = rb_pg_number(result, 0, "owner_offset", -1);
}

static bool is_true(const PGresult *result, const char *column)
{
    return strcmp(rb_pg_text(result, 0, column), "t") == 0;
}

static int read_answer(struct rb_record_op *op, const PGresult *result)
{
    struct rb_record_answer *answer = &op->answer;

    if (PQntuples(result) != 1)
        return rb_fail(&op->error, RB_E_DB_REFUSED, 0, "the database has %d rows for one video", PQntuples(result));

    const char *video_id = rb_pg_text(result, 0, "video_id");
    bool exists = video_id != NULL;

    if (exists && (!rb_uuid_parse(video_id, answer->row.video_id) ||
                   !rb_row_parse_state(rb_pg_text(result, 0, "state"), &answer->row.state)))
        return rb_fail(&op->error, RB_E_DB_REFUSED, 0, "the database has a video with an id or a state that is none");
    if (exists)
        read_row(result, &answer->row);
    answer->verdict =
        rb_row_verdict(is_true(result, "known"), is_true(result, "mine"), exists ? &answer->row : NULL, &op->origin);
    return 0;
}

static void on_answer(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_record_op *op = RB_CAST(rb_record_op, arg, OP_MAGIC);

    op->query = NULL;
    if (err != NULL)
        op->error = *err;
    op->state = err == NULL && read_answer(op, result) == 0 ? RB_POLL_DONE : RB_POLL_FAILED;
    op->on_done(op->arg);
}

/* Parameters of a statement. Numbers are text too; RB_NO_LONG is SQL's NULL. */
struct values {
    const char *list[16];
    int count;
    char numbers[9][24];
    int number_count;
};

static void add_text(struct values *values, const char *text)
{
    RB_ASSERT((size_t)values->count < RB_COUNT(values->list));
    values->list[values->count++] = text;
}

static void add_number(struct values *values, int64_t number)
{
    char *space = values->numbers[values->number_count];

    if (number == RB_NO_LONG) {
        add_text(values, NULL);
        return;
    }
    RB_ASSERT((size_t)values->number_count < RB_COUNT(values->numbers));
    values->number_count++;
    snprintf(space, sizeof(values->numbers[0]), "%" PRId64, number);
    add_text(values, space);
}

static void add_tries(struct values *values, const struct rb_record_tries *tries)
{
    add_number(values, tries->tries);
    add_number(values, tries->first_try_at);
    add_number(values, tries->last_try_at);
}

/* What both outcomes begin with: $1 to $8 of their statements. */
static void add_settlement(struct values *values, const struct rb_record_ask *ask, const struct rb_row *claim)
{
    add_text(values, claim->video_id);
    add_number(values, claim->claim_epoch);
    add_text(values, ask->origin->topic);
    add_number(values, ask->origin->partition);
    add_number(values, ask->origin->offset);
    add_tries(values, ask->tries);
}

static int op_send(struct rb_record *record, const char *sql, const struct values *values,
                   const struct rb_record_ask *ask, struct rb_record_op **ret_op, struct rb_error *err)
{
    struct rb_record_op *op = rb_xalloc(sizeof(*op));

    *op = (struct rb_record_op){
        .magic = OP_MAGIC,
        .state = RB_POLL_WAIT,
        .topic = rb_xstrdup(ask->origin->topic),
        .on_done = ask->on_done,
        .arg = ask->arg,
    };
    op->origin = (struct rb_origin){op->topic, ask->origin->partition, ask->origin->offset};
    if (rb_pg_send(record->pg, sql, values->count, values->list, on_answer, op, &op->query, err) < 0) {
        rb_record_op_free(op);
        return -1;
    }
    *ret_op = op;
    return 0;
}

int rb_record_claim(struct rb_record *record, const struct rb_record_ask *ask, const struct rb_input *input,
                    struct rb_record_op **ret_op, struct rb_error *err)
{
    struct values values = {0};

    add_text(&values, input->video_id);
    add_text(&values, input->source_url);
    add_text(&values, input->provider);
    add_text(&values, input->provider_video_id);
    add_number(&values, input->expires_at);
    add_number(&values, input->received_at);
    add_tries(&values, ask->tries);
    return op_send(record, record->claim, &values, ask, ret_op, err);
}

int rb_record_stored(struct rb_record *record, const struct rb_record_ask *ask, const struct rb_row *claim,
                     const struct rb_record_object *object, struct rb_record_op **ret_op, struct rb_error *err)
{
    struct values values = {0};

    add_settlement(&values, ask, claim);
    add_text(&values, object->store);
    add_text(&values, object->bucket);
    add_text(&values, object->key);
    add_text(&values, object->url);
    add_number(&values, object->bytes);
    add_text(&values, object->sha256);
    add_text(&values, object->content_type);
    add_text(&values, record->status_completed);
    return op_send(record, record->stored, &values, ask, ret_op, err);
}

int rb_record_failed(struct rb_record *record, const struct rb_record_ask *ask, const struct rb_row *claim,
                     const struct rb_record_failure *failure, struct rb_record_op **ret_op, struct rb_error *err)
{
    struct values values = {0};

    add_settlement(&values, ask, claim);
    add_text(&values, failure->class);
    add_text(&values, failure->code);
    add_text(&values, failure->message);
    add_text(&values, record->status_failed);
    return op_send(record, record->failed, &values, ask, ret_op, err);
}

enum rb_poll rb_record_poll(struct rb_record_op *op, struct rb_record_answer *ret_answer, struct rb_error *err)
{
    if (op->state == RB_POLL_FAILED)
        *err = op->error;
    if (op->state == RB_POLL_DONE) {
        *ret_answer = op->answer;
        op->answer = (struct rb_record_answer){0};
    }
    return op->state;
}

void rb_record_op_free(struct rb_record_op *op)
{
    if (op == NULL)
        return;
    rb_pg_cancel(op->query);
    rb_row_done(&op->answer.row);
    free(op->topic);
    op->magic = 0;
    free(op);
}

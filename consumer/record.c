/*
 * record.c — claims a video and writes its outcome.
 *
 * Way:  store -> [record] -> emit
 */
#include "consumer/record.h"

#include <inttypes.h>

#include "common/failpoint.h"
#include "consumer/record_sql.h"
#include "consumer/row_read.h"

#define OP_MAGIC 0x52454f50u

struct rb_record {
    struct rb_pg *pg; /* borrowed */
    char *claim;      /* SQL */
    char *claim_alone;
    char *stored;
    char *failed;
    char *failed_alone;
    char *status_completed;
    char *status_failed;
};

struct rb_record_op {
    uint32_t magic;
    struct rb_pg_query *query; /* NULL once it has been answered */
    enum rb_poll state;
    struct rb_record_answer answer;
    struct rb_error error;
    char *topic; /* of the record that asks; owned, for asker */
    struct rb_asker asker;
    rb_loop_fn on_done;
    void *arg; /* borrowed */
};

struct rb_record *rb_record_new(struct rb_pg *pg, const struct rb_record_names *names)
{
    struct rb_record *record = rb_xalloc(sizeof(*record));

    record->pg = pg;
    record->claim = rb_tables_sql(names->options, claim_template);
    record->claim_alone = rb_tables_sql(names->options, claim_alone_template);
    record->stored = rb_tables_sql(names->options, stored_template);
    record->failed = rb_tables_sql(names->options, failed_template);
    record->failed_alone = rb_tables_sql(names->options, failed_alone_template);
    record->status_completed = rb_xstrdup(names->status_completed);
    record->status_failed = rb_xstrdup(names->status_failed);
    return record;
}

void rb_record_free(struct rb_record *record)
{
    if (record == NULL)
        return;
    free(record->claim);
    free(record->claim_alone);
    free(record->stored);
    free(record->failed);
    free(record->failed_alone);
    free(record->status_completed);
    free(record->status_failed);
    free(record);
}

static int read_answer(struct rb_record_op *op, const PGresult *result)
{
    struct rb_row *row = &op->answer.row;
    bool exists = false, mine = rb_pg_is_true(result, 0, "mine");

    RB_TRY(rb_row_read(result, row, &exists, &op->error));
    if (exists && !mine)
        rb_row_read_superseded(result, &op->asker.origin, row);
    op->answer.verdict = rb_row_verdict(rb_pg_is_true(result, 0, "known"), mine, exists ? row : NULL, &op->asker);
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
    const char *list[18];
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

/* What the history says of the record that came. */
static void add_arrival(struct values *values, const struct rb_record_ask *ask, const struct rb_input *input)
{
    const char *what = input->event == RB_EVENT_VIDEO_POLL_RESULT ? "polled" : "received";
    const char *said = input->status == RB_INPUT_COMPLETED ? "completed" : "failed";

    add_text(values, input->event == RB_EVENT_VIDEO_STORE_RETRY || ask->known ? NULL : what); /* noted before */
    add_text(values, input->error_message != NULL ? input->error_message : said);
    add_text(values, ask->origin->topic);
    add_number(values, ask->origin->partition);
    add_number(values, ask->origin->offset);
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
    op->asker = (struct rb_asker){{op->topic, ask->origin->partition, ask->origin->offset}, ask->progress};
    if (rb_pg_send_often(record->pg, sql, values->count, values->list, on_answer, op, &op->query, err) < 0) {
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

    RB_TRY(RB_FAIL_AS(claim_send, DB_AWAY, err));
    add_text(&values, input->video_id);
    add_text(&values, input->source_url);
    add_text(&values, input->provider);
    add_text(&values, input->provider_video_id);
    add_number(&values, input->expires_at);
    add_number(&values, input->received_at);
    add_tries(&values, ask->tries);
    add_arrival(&values, ask, input);
    add_text(&values, ask->keep_url ? "true" : "false");
    add_number(&values, ask->progress);
    add_number(&values, ask->reopen);
    return op_send(record, ask->alone ? record->claim_alone : record->claim, &values, ask, ret_op, err);
}

int rb_record_stored(struct rb_record *record, const struct rb_record_ask *ask, const struct rb_row *claim,
                     const struct rb_record_object *object, struct rb_record_op **ret_op, struct rb_error *err)
{
    RB_AUTO_TEXT *variants = rb_variants_print(object->variants);
    struct values values = {0};

    RB_TRY(RB_FAIL_AS(row_send, DB_AWAY, err));
    add_settlement(&values, ask, claim);
    add_text(&values, object->store);
    add_text(&values, object->bucket);
    add_text(&values, object->key);
    add_text(&values, object->url);
    add_number(&values, object->bytes);
    add_text(&values, object->sha256);
    add_text(&values, object->content_type);
    add_text(&values, record->status_completed);
    add_text(&values, variants);
    add_number(&values, rb_variants_bytes(object->variants));
    return op_send(record, record->stored, &values, ask, ret_op, err);
}

int rb_record_failed(struct rb_record *record, const struct rb_record_ask *ask, const struct rb_row *claim,
                     const struct rb_record_failure *failure, struct rb_record_op **ret_op, struct rb_error *err)
{
    struct values values = {0};

    RB_TRY(RB_FAIL_AS(row_send, DB_AWAY, err));
    add_settlement(&values, ask, claim);
    add_text(&values, failure->class);
    add_text(&values, failure->code);
    add_text(&values, failure->message);
    if (!ask->alone)
        add_text(&values, failure->kept ? record->status_completed : record->status_failed);
    return op_send(record, ask->alone ? record->failed_alone : record->failed, &values, ask, ret_op, err);
}

void rb_record_resting(struct rb_record *record, const struct rb_row *claim, const struct rb_record_tries *tries,
                       int64_t next_try_at, const struct rb_record_failure *failure)
{
    struct values values = {0};
    struct rb_error ignored = {0};

    add_text(&values, claim->video_id);
    add_number(&values, claim->claim_epoch);
    add_tries(&values, tries);
    add_number(&values, next_try_at);
    add_text(&values, failure->class);
    add_text(&values, failure->code);
    add_text(&values, failure->message);
    if (rb_pg_send(record->pg, resting_sql, values.count, values.list, NULL, NULL, NULL, &ignored) < 0)
        return; /* the database is away: the next claim will say so, and wait */
}

void rb_record_put_off(struct rb_record *record, const struct rb_row *claim, int64_t progress, int64_t next_try_at)
{
    struct values values = {0};
    struct rb_error ignored = {0};

    add_text(&values, claim->video_id);
    add_number(&values, claim->claim_epoch);
    add_number(&values, progress);
    add_number(&values, next_try_at);
    if (rb_pg_send(record->pg, put_off_sql, values.count, values.list, NULL, NULL, NULL, &ignored) < 0)
        return;
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

/*
 * usage.c — is there room for one more video?
 *
 * Way:  job -> [usage] -> Postgres
 */
#include <inttypes.h>

#include "common/log.h"
#include "common/random.h"
#include "consumer/usage_internal.h"

#define OP_MAGIC 0x5553414fu

/* $1 video, $2 claim, $3 store, $4 bucket, $5 bytes, $6 mark of the user, $7 mark of all, $8 whether it is spilled. */
static const char weigh_sql[] =
    "SELECT verdict, user_bytes, all_bytes"
    " FROM reelbus.weigh($1::uuid, $2::bigint, $3, $4, $5::bigint, $6::bigint, $7::bigint, $8::bool)";

/* $1 video, $2 claim. */
static const char spill_sql[] =
    "WITH written AS (UPDATE reelbus.video SET spilled = true, held_bytes = NULL"
    " WHERE video_id = $1::uuid AND claim_epoch = $2::bigint AND state = 'processing' RETURNING video_id)"
    " SELECT CASE WHEN EXISTS (SELECT FROM written) THEN 'fits' ELSE 'lost' END AS verdict";

static const char *const verdict_names[] = {"fits", "over_user", "over_all", "lost"};
struct rb_usage_op {
    uint32_t magic;
    struct rb_usage *usage;    /* borrowed */
    struct rb_pg_query *query; /* NULL once it has been answered */
    enum rb_poll state;
    enum rb_usage_verdict verdict;
    char video_id[RB_UUID_TEXT_BYTES];
    int64_t bytes; /* of the video */
    int64_t user_bytes;
    int64_t all_bytes;
    struct rb_error error;
    rb_loop_fn on_done;
    void *arg; /* borrowed */
};

static int read_verdict(struct rb_usage_op *op, const PGresult *result)
{
    const char *name = PQntuples(result) == 1 ? rb_pg_text(result, 0, "verdict") : NULL;

    for (size_t i = 0; name != NULL && i < RB_COUNT(verdict_names); i++) {
        if (strcmp(name, verdict_names[i]) == 0) {
            op->verdict = (enum rb_usage_verdict)i;
            return 0;
        }
    }
    return rb_fail(&op->error, RB_E_DB_REFUSED, 0, "the database does not say whether there is room");
}

/* The video that takes its user over the warning mark is the one that is told of; so it is said once. */
static void warn_of_user(const struct rb_usage_op *op)
{
    const struct rb_marks *marks = &op->usage->config.user;

    if (marks->quota_bytes == 0 || op->verdict != RB_USAGE_FITS || op->user_bytes >= marks->warn_bytes ||
        op->user_bytes + op->bytes < marks->warn_bytes)
        return;
    rb_log(NULL, RB_EV_QUOTA_USER_NEAR,
           "video=%s bytes=%" PRId64 " warn_at=%" PRId64 " stop_at=%" PRId64 " quota=%" PRId64, op->video_id,
           op->user_bytes + op->bytes, marks->warn_bytes, marks->stop_bytes, marks->quota_bytes);
}

static void on_verdict(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_usage_op *op = RB_CAST(rb_usage_op, arg, OP_MAGIC);

    op->query = NULL;
    if (err != NULL)
        op->error = *err;
    op->state = err == NULL && read_verdict(op, result) == 0 ? RB_POLL_DONE : RB_POLL_FAILED;
    if (op->state == RB_POLL_DONE && PQfnumber(result, "user_bytes") >= 0) {
        op->user_bytes = rb_pg_number(result, 0, "user_bytes", 0);
        op->all_bytes = rb_pg_number(result, 0, "all_bytes", 0);
        warn_of_user(op);
    }
    op->on_done(op->arg);
}

/* A statement with its parameters. All borrowed. */
struct question {
    const char *sql;
    int count;
    const char *const *values;
};

static int op_send(struct rb_usage *usage, const struct rb_usage_ask *ask, const struct question *question,
                   struct rb_usage_op **ret_op, struct rb_error *err)
{
    struct rb_usage_op *op = rb_xalloc(sizeof(*op));

    *op = (struct rb_usage_op){
        .magic = OP_MAGIC, .usage = usage, .state = RB_POLL_WAIT, .on_done = ask->on_done, .arg = ask->arg};
    snprintf(op->video_id, sizeof(op->video_id), "%s", ask->video_id);
    if (rb_pg_send(usage->config.pg, question->sql, question->count, question->values, on_verdict, op, &op->query,
                   err) < 0) {
        rb_usage_op_free(op);
        return -1;
    }
    *ret_op = op;
    return 0;
}

/* A mark as SQL has it: NULL where there is none. */
static const char *mark_text(const struct rb_marks *marks, char text[static 24])
{
    if (marks->quota_bytes == 0)
        return NULL;
    snprintf(text, 24, "%" PRId64, marks->stop_bytes);
    return text;
}

int rb_usage_weigh(struct rb_usage *usage, const struct rb_usage_ask *ask, int64_t bytes, bool spill,
                   struct rb_usage_op **ret_op, struct rb_error *err)
{
    char claim[24], more[24], user[24], all[24];
    const char *values[] = {
        ask->video_id,
        claim,
        usage->store,
        usage->bucket,
        more,
        mark_text(&usage->config.user, user),
        mark_text(&usage->config.all, all),
        spill ? "true" : "false",
    };

    snprintf(claim, sizeof(claim), "%" PRId64, ask->claim_epoch);
    snprintf(more, sizeof(more), "%" PRId64, bytes);
    RB_TRY(op_send(usage, ask, &(struct question){weigh_sql, RB_COUNT(values), values}, ret_op, err));
    (*ret_op)->bytes = bytes;
    return 0;
}

int rb_usage_spill(struct rb_usage *usage, const struct rb_usage_ask *ask, struct rb_usage_op **ret_op,
                   struct rb_error *err)
{
    char claim[24];
    const char *values[] = {ask->video_id, claim};

    snprintf(claim, sizeof(claim), "%" PRId64, ask->claim_epoch);
    return op_send(usage, ask, &(struct question){spill_sql, RB_COUNT(values), values}, ret_op, err);
}

enum rb_poll rb_usage_poll(const struct rb_usage_op *op, enum rb_usage_verdict *ret_verdict, struct rb_error *err)
{
    if (op->state == RB_POLL_FAILED)
        *err = op->error;
    if (op->state == RB_POLL_DONE)
        *ret_verdict = op->verdict;
    return op->state;
}

int rb_usage_refuse(const struct rb_usage_op *op, struct rb_error *err)
{
    const struct rb_usage_config *config = &op->usage->config;
    bool of_user = op->verdict == RB_USAGE_OVER_USER;
    int64_t used_bytes = of_user ? op->user_bytes : op->all_bytes;
    int64_t stop_bytes = of_user ? config->user.stop_bytes : config->all.stop_bytes;
    RB_AUTO_TEXT *why = rb_xprintf("%" PRId64 " of the %" PRId64 " bytes that may be stored %s are used up", used_bytes,
                                   stop_bytes, of_user ? "of one user" : "in all");
    RB_AUTO_TEXT *more = op->bytes > 0 ? rb_xprintf(", and the video has %" PRId64, op->bytes) : rb_xstrdup("");

    RB_ASSERT(op->verdict == RB_USAGE_OVER_USER || op->verdict == RB_USAGE_OVER_ALL);
    if (config->then == RB_USAGE_KEEP)
        return rb_fail(err, RB_E_QUOTA_KEPT, 0, "%s%s; the original URL stays", why, more);
    if (of_user)
        return rb_fail(err, RB_E_QUOTA_USER, 0, "%s%s", why, more);
    return rb_fail(err, used_bytes >= stop_bytes ? RB_E_QUOTA_ALL : RB_E_QUOTA_ROOM, 0, "%s%s", why, more);
}

void rb_usage_op_free(struct rb_usage_op *op)
{
    if (op == NULL)
        return;
    if (op->query != NULL)
        rb_pg_cancel(op->query);
    op->magic = 0;
    free(op);
}

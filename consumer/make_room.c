/*
 * make_room.c — makes room for a new video: the oldest ones go.
 *
 * Way:  job -> [make_room] -> remove
 */
#include "consumer/make_room.h"

#include <inttypes.h>

#include "common/log.h"

#define OP_MAGIC 0x4d4b524fu
#define AT_ONCE                                                                                                        \
    "100" /* videos whose objects are still there; when they are so many, the store removes none: no more go */

/* $2 video, $3 store, $4 bucket, $5 bytes, $6 whether of its user, $7 mark, $8 low mark, $9 age. */
static const char choice[] =
    "SELECT n.verdict, n.oldest AS video_id FROM reelbus.next_to_delete($2::uuid, $3, $4, $5::bigint, $6::bool,"
    " $7::bigint, $8::bigint, $9::bigint, " AT_ONCE ") AS n";

struct rb_make_room {
    struct rb_make_room_config config;
    char *store; /* owned, as is the bucket */
    char *bucket;
    char *sql;
    char *sql_alone; /* for a row of the application that refuses to be changed */
};

struct rb_make_room_op {
    uint32_t magic;
    struct rb_make_room *make_room; /* borrowed */
    struct rb_pg_query *query;      /* NULL once it has been answered */
    enum rb_poll state;
    bool made;
    char video_id[RB_UUID_TEXT_BYTES];
    int64_t bytes;
    bool of_user;
    bool alone;
    struct rb_error error;
    rb_loop_fn on_done;
    void *arg; /* borrowed */
};

struct rb_make_room *rb_make_room_new(const struct rb_make_room_config *config)
{
    struct rb_make_room *make_room = rb_xalloc(sizeof(*make_room));

    *make_room = (struct rb_make_room){
        .config = *config,
        .store = rb_xstrdup(config->store),
        .bucket = rb_xstrdup(config->bucket),
        .sql = rb_remove_sql(config->options, choice, false),
        .sql_alone = rb_remove_sql(config->options, choice, true),
    };
    return make_room;
}

void rb_make_room_free(struct rb_make_room *make_room)
{
    if (make_room == NULL)
        return;
    free(make_room->store);
    free(make_room->bucket);
    free(make_room->sql);
    free(make_room->sql_alone);
    free(make_room);
}

static void on_answer(const PGresult *result, const struct rb_error *err, void *arg);

/* The next one, please. */
static int op_send(struct rb_make_room_op *op, struct rb_error *err)
{
    struct rb_make_room *make_room = op->make_room;
    const struct rb_marks *marks = op->of_user ? &make_room->config.user : &make_room->config.all;
    char bytes[24], stop[24], low[24], age[24];
    const char *values[] = {
        "quota", op->video_id, make_room->store, make_room->bucket, bytes, op->of_user ? "true" : "false", stop,
        low,     age,
    };

    snprintf(bytes, sizeof(bytes), "%" PRId64, op->bytes);
    snprintf(stop, sizeof(stop), "%" PRId64, marks->stop_bytes);
    snprintf(low, sizeof(low), "%" PRId64, marks->low_bytes);
    snprintf(age, sizeof(age), "%" PRId64, make_room->config.age_ms);
    return rb_pg_send(make_room->config.pg, op->alone ? make_room->sql_alone : make_room->sql, RB_COUNT(values), values,
                      on_answer, op, &op->query, err);
}

/* 'next' without a row: it has changed between look and write. Then it is asked for again, too. */
static enum rb_poll take_answer(struct rb_make_room_op *op, const PGresult *result)
{
    const char *verdict = PQntuples(result) == 1 ? rb_pg_text(result, 0, "verdict") : NULL;

    (void)rb_remove_take(op->make_room->config.remove, result);
    if (verdict == NULL) {
        rb_fail(&op->error, RB_E_DB_REFUSED, 0, "the database does not say which video is to go");
        return RB_POLL_FAILED;
    }
    if (strcmp(verdict, "next") == 0)
        return op_send(op, &op->error) < 0 ? RB_POLL_FAILED : RB_POLL_WAIT;
    op->made = strcmp(verdict, "room") == 0;
    return RB_POLL_DONE;
}

/* That the application cannot be given its original URL back keeps no old video from going: the same once more, without. */
static enum rb_poll take_refusal(struct rb_make_room_op *op, const struct rb_error *err)
{
    op->error = *err;
    if (err->code != RB_E_DB_DATA || op->alone)
        return RB_POLL_FAILED;
    rb_log_error(NULL, RB_EV_ROW_REFUSES, err, "state=making_room");
    op->alone = true;
    return op_send(op, &op->error) < 0 ? RB_POLL_FAILED : RB_POLL_WAIT;
}

static void on_answer(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_make_room_op *op = RB_CAST(rb_make_room_op, arg, OP_MAGIC);

    op->query = NULL;
    if (err == NULL) {
        op->alone = false;
        op->state = take_answer(op, result);
    } else {
        op->state = take_refusal(op, err);
    }
    if (op->state != RB_POLL_WAIT)
        op->on_done(op->arg);
}

int rb_make_room_ask(struct rb_make_room *make_room, const struct rb_usage_ask *ask, int64_t bytes, bool of_user,
                     struct rb_make_room_op **ret_op, struct rb_error *err)
{
    struct rb_make_room_op *op = rb_xalloc(sizeof(*op));

    *op = (struct rb_make_room_op){
        .magic = OP_MAGIC,
        .make_room = make_room,
        .state = RB_POLL_WAIT,
        .bytes = bytes,
        .of_user = of_user,
        .on_done = ask->on_done,
        .arg = ask->arg,
    };
    snprintf(op->video_id, sizeof(op->video_id), "%s", ask->video_id);
    if (op_send(op, err) < 0) {
        rb_make_room_op_free(op);
        return -1;
    }
    *ret_op = op;
    return 0;
}

enum rb_poll rb_make_room_poll(const struct rb_make_room_op *op, bool *ret_made, struct rb_error *err)
{
    if (op->state == RB_POLL_FAILED)
        *err = op->error;
    if (op->state == RB_POLL_DONE)
        *ret_made = op->made;
    return op->state;
}

void rb_make_room_op_free(struct rb_make_room_op *op)
{
    if (op == NULL)
        return;
    if (op->query != NULL)
        rb_pg_cancel(op->query);
    op->magic = 0;
    free(op);
}

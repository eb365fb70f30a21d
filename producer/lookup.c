/*
 * lookup.c — does the application have this video, and whose is it?
 *
 * Way:  receive -> verify -> notice -> [lookup] -> publish
 */
#include "producer/lookup.h"

#include "common/buffer.h"
#include "common/random.h"

#define LOOKUP_MAGIC 0x4c4f4f4bu
#define BATCH_MAGIC  0x42415443u

struct question {
    char video_id[RB_UUID_TEXT_BYTES];
    rb_lookup_fn fn;
    void *arg; /* borrowed */
};

/* The questions of one turn, and of one query. */
struct batch {
    uint32_t magic;
    struct question *questions; /* owned */
    size_t count;
    size_t cap;
};

struct rb_lookup {
    uint32_t magic;
    struct rb_pg *pg; /* borrowed */
    char *sql;
    struct rb_task send;
    struct batch *batch; /* owned; being collected */
};

/* Answers come in the order of the array, with a NULL where there is no row. */
static const char sql_template[] = "SELECT h.{id} IS NOT NULL AS found, h.{user_id}::text AS user_id"
                                   " FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, place)"
                                   " LEFT JOIN {table} h ON h.{id} = asked.id ORDER BY asked.place";

static void batch_free(struct batch *batch)
{
    free(batch->questions);
    batch->magic = 0;
    free(batch);
}

static void answer_all(struct batch *batch, const PGresult *result, const struct rb_error *err)
{
    struct rb_error odd = {0};

    if (err == NULL && PQntuples(result) != (int)batch->count) {
        rb_fail(&odd, RB_E_DB_REFUSED, 0, "the database has %d rows for %zu videos; is the id column unique?",
                PQntuples(result), batch->count);
        err = &odd;
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct question *question = &batch->questions[i];

        if (err != NULL)
            question->fn(false, NULL, err, question->arg);
        else
            question->fn(strcmp(rb_pg_text(result, (int)i, "found"), "t") == 0, rb_pg_text(result, (int)i, "user_id"),
                         NULL, question->arg);
    }
    batch_free(batch);
}

static void on_answer(const PGresult *result, const struct rb_error *err, void *arg)
{
    answer_all(RB_CAST(batch, arg, BATCH_MAGIC), result, err);
}

static void send_batch(void *arg)
{
    struct rb_lookup *lookup = RB_CAST(rb_lookup, arg, LOOKUP_MAGIC);
    struct batch *batch = RB_STEAL(lookup->batch);
    RB_AUTO_BUFFER ids = {0};
    struct rb_error err = {0};

    for (size_t i = 0; i < batch->count; i++)
        rb_buffer_print(&ids, "%s%s", i == 0 ? "{" : ",", batch->questions[i].video_id);
    rb_buffer_print(&ids, "}");
    if (rb_pg_send(lookup->pg, lookup->sql, 1, (const char *const[]){ids.bytes}, on_answer, batch, NULL, &err) < 0)
        answer_all(batch, NULL, &err);
}

struct rb_lookup *rb_lookup_new(struct rb_loop *loop, struct rb_pg *pg, const struct rb_common_options *options)
{
    struct rb_lookup *lookup = rb_xalloc(sizeof(*lookup));

    *lookup = (struct rb_lookup){.magic = LOOKUP_MAGIC, .pg = pg, .sql = rb_tables_sql(options, sql_template)};
    rb_task_init(&lookup->send, loop, send_batch, lookup);
    return lookup;
}

void rb_lookup_free(struct rb_lookup *lookup)
{
    if (lookup == NULL)
        return;
    struct rb_error err = {0};

    rb_task_done(&lookup->send);
    rb_fail(&err, RB_E_DB_AWAY, 0, "the program stops");
    if (lookup->batch != NULL)
        answer_all(lookup->batch, NULL, &err);
    free(lookup->sql);
    lookup->magic = 0;
    free(lookup);
}

static struct question *add_question(struct rb_lookup *lookup)
{
    struct batch *batch = lookup->batch;

    if (batch == NULL) {
        batch = lookup->batch = rb_xalloc(sizeof(*batch));
        batch->magic = BATCH_MAGIC;
    }
    if (batch->count == batch->cap) {
        batch->cap = RB_MAX(batch->cap * 2, 16);
        batch->questions = rb_xrealloc(batch->questions, batch->cap * sizeof(*batch->questions));
    }
    return &batch->questions[batch->count++];
}

void rb_lookup_ask(struct rb_lookup *lookup, const char *video_id, rb_lookup_fn fn, void *arg)
{
    struct question *question = add_question(lookup);

    *question = (struct question){.fn = fn, .arg = arg};
    snprintf(question->video_id, sizeof(question->video_id), "%s", video_id);
    rb_task_queue(&lookup->send);
}

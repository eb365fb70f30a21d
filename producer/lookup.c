/*
 * lookup.c — does the application have this video, and whose is it?
 *
 * Way:  receive -> verify -> notice -> [lookup] -> resolve -> publish
 */
#include "producer/lookup.h"

#include "common/pg_array.h"
#include "common/random.h"

#define LOOKUP_MAGIC 0x4c4f4f4bu
#define BATCH_MAGIC  0x42415443u

/* How a video can be asked for. */
enum key { BY_ID, BY_PROVIDER, KEY_COUNT };

struct question {
    rb_lookup_fn fn;
    void *arg; /* borrowed */
};

/* The questions of one turn with one kind of key, and of one query. */
struct batch {
    uint32_t magic;
    struct rb_lookup *lookup;   /* borrowed; NULL when it is gone before the answer */
    struct question *questions; /* owned */
    size_t count;
    size_t cap;
    struct rb_buffer keys[2]; /* array literals of Postgres: ids; or providers and their ids */
};

struct rb_lookup {
    uint32_t magic;
    struct rb_pg *pg; /* borrowed */
    char *sql[KEY_COUNT];
    struct rb_task send;
    struct batch *batches[KEY_COUNT]; /* owned; being collected */
    struct batch *asked[KEY_COUNT];   /* borrowed; at the database */
};

/*
 * Answers come in the order of the arrays, with NULLs where there is no row. Subqueries, because planning a join of the three
 * costs Postgres more than finding the rows. '=' goes before the user's id, so that a video without one is there all the same.
 */
enum column { VIDEO_ID, USER_ID, STATE };

static const char *const sql_templates[KEY_COUNT] = {
    [BY_ID] =
        "SELECT asked.id::text, (SELECT coalesce('=' || h.{user_id}::text, '') FROM {table} h WHERE h.{id} = asked.id),"
        " (SELECT v.state FROM reelbus.video v WHERE v.video_id = asked.id)"
        " FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, place) ORDER BY asked.place",
    [BY_PROVIDER] =
        "SELECT h.{id}::text, CASE WHEN h.{id} IS NOT NULL THEN coalesce('=' || h.{user_id}::text, '') END, v.state"
        " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (provider, id, place)"
        " LEFT JOIN LATERAL (SELECT * FROM reelbus.video v WHERE v.provider = asked.provider"
        "  AND v.provider_video_id = asked.id ORDER BY v.updated_at DESC LIMIT 1) v ON true"
        " LEFT JOIN {table} h ON h.{id} = v.video_id ORDER BY asked.place",
};

/* The same, where the application's table tells the provider: a webhook may come before anybody else has looked there. It
 * is looked at only for what we do not know ourselves; it may have no index for that. */
static const char by_provider_of_table[] =
    "SELECT h.{id}::text, CASE WHEN h.{id} IS NOT NULL THEN coalesce('=' || h.{user_id}::text, '') END, v.state"
    " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (provider, id, place)"
    " LEFT JOIN LATERAL (SELECT coalesce("
    "(SELECT k.video_id FROM reelbus.video k WHERE k.provider = asked.provider AND k.provider_video_id = asked.id"
    " ORDER BY k.updated_at DESC LIMIT 1),"
    " (SELECT t.{id} FROM {table} t WHERE t.{provider}::text = asked.provider"
    " AND t.{provider_video_id}::text = asked.id ORDER BY t.{created_at} DESC LIMIT 1)) AS id) AS known ON true"
    " LEFT JOIN {table} h ON h.{id} = known.id"
    " LEFT JOIN reelbus.video v ON v.video_id = known.id ORDER BY asked.place";

static void batch_free(struct batch *batch)
{
    free(batch->questions);
    for (size_t i = 0; i < RB_COUNT(batch->keys); i++)
        rb_buffer_done(&batch->keys[i]);
    batch->magic = 0;
    free(batch);
}

static void answer_one(const struct question *question, const PGresult *result, int row)
{
    const char *user = rb_pg_text_at(result, row, USER_ID);
    const char *state = rb_pg_text_at(result, row, STATE);
    const struct rb_lookup_answer answer = {
        .found = user != NULL,
        .video_id = user != NULL ? rb_pg_text_at(result, row, VIDEO_ID) : NULL,
        .user_id = user != NULL && user[0] == '=' ? user + 1 : NULL,
        .stored = state != NULL && strcmp(state, "stored") == 0,
    };

    question->fn(&answer, NULL, question->arg);
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
        if (err != NULL)
            batch->questions[i].fn(NULL, err, batch->questions[i].arg);
        else
            answer_one(&batch->questions[i], result, (int)i);
    }
    batch_free(batch);
}

/* What came meanwhile can go now. */
static void on_answer(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct batch *batch = RB_CAST(batch, arg, BATCH_MAGIC);
    struct rb_lookup *lookup = batch->lookup;

    for (enum key key = 0; lookup != NULL && key < KEY_COUNT; key++) {
        if (lookup->asked[key] == batch)
            lookup->asked[key] = NULL;
        if (lookup->batches[key] != NULL)
            rb_task_queue(&lookup->send);
    }
    answer_all(batch, result, err);
}

/*
 * One query at a time of each kind. The database answers a connection's queries one after the other anyway, and a query
 * costs it more than a video does: while it is at one, what comes gathers for the next.
 */
static void send_batch(struct rb_lookup *lookup, enum key key)
{
    struct batch *batch = lookup->batches[key];
    struct rb_error err = {0};

    if (batch == NULL || lookup->asked[key] != NULL)
        return;
    lookup->batches[key] = NULL;

    const char *const keys[] = {rb_pg_array_end(&batch->keys[0]), rb_pg_array_end(&batch->keys[1])};

    if (rb_pg_send(lookup->pg, lookup->sql[key], key == BY_ID ? 1 : 2, keys, on_answer, batch, NULL, &err) < 0)
        answer_all(batch, NULL, &err);
    else
        lookup->asked[key] = batch;
}

static void send_batches(void *arg)
{
    struct rb_lookup *lookup = RB_CAST(rb_lookup, arg, LOOKUP_MAGIC);

    for (enum key key = 0; key < KEY_COUNT; key++)
        send_batch(lookup, key);
}

static bool table_tells(const struct rb_common_options *options)
{
    return options->column_provider[0] != '\0' && options->column_provider_video_id[0] != '\0';
}

struct rb_lookup *rb_lookup_new(struct rb_loop *loop, struct rb_pg *pg, const struct rb_common_options *options)
{
    struct rb_lookup *lookup = rb_xalloc(sizeof(*lookup));

    *lookup = (struct rb_lookup){.magic = LOOKUP_MAGIC, .pg = pg};
    for (enum key key = 0; key < KEY_COUNT; key++)
        lookup->sql[key] = rb_tables_sql(options, key == BY_PROVIDER && table_tells(options) ? by_provider_of_table
                                                                                             : sql_templates[key]);
    rb_task_init(&lookup->send, loop, send_batches, lookup);
    return lookup;
}

void rb_lookup_free(struct rb_lookup *lookup)
{
    if (lookup == NULL)
        return;
    struct rb_error err = {0};

    rb_task_done(&lookup->send);
    rb_fail(&err, RB_E_DB_AWAY, 0, "the program stops");
    for (enum key key = 0; key < KEY_COUNT; key++) {
        if (lookup->batches[key] != NULL)
            answer_all(lookup->batches[key], NULL, &err);
        if (lookup->asked[key] != NULL)
            lookup->asked[key]->lookup = NULL;
        free(lookup->sql[key]);
    }
    lookup->magic = 0;
    free(lookup);
}

static struct batch *add_question(struct rb_lookup *lookup, enum key key, rb_lookup_fn fn, void *arg)
{
    struct batch *batch = lookup->batches[key];

    if (batch == NULL) {
        batch = lookup->batches[key] = rb_xalloc(sizeof(*batch));
        batch->magic = BATCH_MAGIC;
        batch->lookup = lookup;
    }
    if (batch->count == batch->cap) {
        batch->cap = RB_MAX(batch->cap * 2, 16);
        batch->questions = rb_xrealloc(batch->questions, batch->cap * sizeof(*batch->questions));
    }
    batch->questions[batch->count++] = (struct question){.fn = fn, .arg = arg};
    rb_task_queue(&lookup->send);
    return batch;
}

void rb_lookup_ask(struct rb_lookup *lookup, const char *video_id, rb_lookup_fn fn, void *arg)
{
    struct batch *batch = add_question(lookup, BY_ID, fn, arg);

    rb_pg_array_add(&batch->keys[0], video_id);
}

void rb_lookup_ask_provider(struct rb_lookup *lookup, const char *provider, const char *provider_video_id,
                            rb_lookup_fn fn, void *arg)
{
    struct batch *batch = add_question(lookup, BY_PROVIDER, fn, arg);

    rb_pg_array_add(&batch->keys[0], provider);
    rb_pg_array_add(&batch->keys[1], provider_video_id);
}

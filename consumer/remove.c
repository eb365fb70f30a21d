/*
 * remove.c — which stored videos are removed: those that somebody has let go, and what others have left undone.
 *
 * Way:  make_room -> [remove] -> store
 */
#include "common/notify.h"
#include "common/tables.h"
#include "consumer/remove_internal.h"

#define LOOK_SOON_MS  1000
#define LOOK_AGAIN_MS 10
#define LEFT_MAX      16 /* videos that are taken over at once */
#define LEFT_LIMIT    "16"

/* The original URL comes back only where the application has not put another one there since. */
#define LET_GO_BEFORE "WITH chosen AS ("
#define LET_GO_WRITTEN                                                                                                 \
    "), written AS (UPDATE reelbus.video v SET state = 'deleted', delete_reason = $1, deleted_at = now(),"             \
    " deleting_since = now(), updated_at = greatest(clock_timestamp(), v.updated_at + interval '1 microsecond')"       \
    " FROM chosen WHERE v.video_id = chosen.video_id AND v.state = 'stored' RETURNING v.*),"
#define LET_GO_SHOWN                                                                                                   \
    " shown AS (UPDATE {table} h SET {video_url} = written.source_url FROM written"                                    \
    " WHERE h.{id} = written.video_id AND h.{video_url} = written.stored_url),"
#define LET_GO_BEHIND                                                                                                  \
    " noted AS (INSERT INTO reelbus.history (video_id, at, what, detail) SELECT video_id, clock_timestamp(),"          \
    " 'deleted', $1 || ': ' || bucket || '/' || object_key FROM written),"                                             \
    " told AS (SELECT pg_notify('" RB_NOTIFY_CHANNEL "', video_id::text) FROM written)"                                \
    " SELECT chosen.verdict, (SELECT count(*) FROM told) AS told," LEFT_TO_DO                                          \
    " FROM chosen LEFT JOIN written w ON w.video_id = chosen.video_id"

/* $1 kind and $2 bucket of the first store, $3 and $4 of the fallback store. */
static const char take_over_sql[] =
    "WITH w AS (UPDATE reelbus.video SET deleting_since = now() WHERE video_id IN"
    " (SELECT v.video_id FROM reelbus.video v WHERE v.deleting_since < now() - interval '5 minutes'"
    " AND ((v.store = $1 AND v.bucket = $2) OR (v.store = $3 AND v.bucket = $4) OR v.object_key IS NULL)"
    " ORDER BY v.deleting_since LIMIT " LEFT_LIMIT " FOR UPDATE SKIP LOCKED) RETURNING *) SELECT" LEFT_TO_DO " FROM w";

char *rb_remove_sql(const struct rb_common_options *options, const char *choice, bool alone)
{
    RB_AUTO_TEXT *template =
        rb_xprintf("%s%s%s%s%s", LET_GO_BEFORE, choice, LET_GO_WRITTEN, alone ? "" : LET_GO_SHOWN, LET_GO_BEHIND);

    return rb_tables_sql(options, template);
}

static char *copy_text(const PGresult *result, int row, const char *column)
{
    const char *text = rb_pg_text(result, row, column);

    return rb_xstrdup(text != NULL ? text : "");
}

/* Removed twice, after a death, it is the same event. */
static char *event_id(const PGresult *result, int row)
{
    RB_AUTO_TEXT *name = rb_xprintf("%s/%s/%s", rb_event_info(RB_EVENT_VIDEO_DELETED)->topic,
                                    rb_pg_text(result, row, "video_id"), rb_pg_text(result, row, "attempt"));
    char *id = rb_xalloc(RB_UUID_TEXT_BYTES);

    return rb_uuid_of_name(name, id);
}

/* The keys beside it are a line each. */
static void split_keys(struct removal *removal)
{
    char *rest = removal->beside;
    size_t lines = 1;

    for (const char *at = rest; *at != '\0'; at++)
        lines += *at == '\n' ? 1 : 0;
    removal->keys = rb_xalloc((1 + lines) * sizeof(*removal->keys));
    if (removal->event.object_key[0] != '\0')
        removal->keys[removal->key_count++] = removal->event.object_key;
    for (const char *key = strsep(&rest, "\n"); key != NULL; key = strsep(&rest, "\n"))
        if (key[0] != '\0' && removal->key_count > 0)
            removal->keys[removal->key_count++] = key;
}

static void take_row(struct rb_remove *remove, const PGresult *result, int row)
{
    struct removal *removal = rb_xalloc(sizeof(*removal));

    *removal = (struct removal){
        .magic = REMOVAL_MAGIC,
        .remove = remove,
        .next = remove->removals,
        .event = {.event_id = event_id(result, row),
                  .video_id = copy_text(result, row, "video_id"),
                  .user_id = rb_xstrdup(rb_pg_text(result, row, "user_id")),
                  .reason = copy_text(result, row, "delete_reason"),
                  .store = copy_text(result, row, "store"),
                  .bucket = copy_text(result, row, "bucket"),
                  .object_key = copy_text(result, row, "object_key"),
                  .bytes = rb_pg_number(result, row, "bytes", 0),
                  .deleted_at = rb_pg_number(result, row, "deleted_at", 0)},
        .since = copy_text(result, row, "deleting_since"),
        .beside = copy_text(result, row, "beside"),
    };
    split_keys(removal);
    remove->removals = removal;
    remove->count++;
    removal_begin(removal);
}

size_t rb_remove_take(struct rb_remove *remove, const PGresult *result)
{
    size_t count = 0;

    for (int row = 0; row < PQntuples(result); row++) {
        if (rb_pg_text(result, row, "video_id") == NULL)
            continue; /* a verdict without a video */
        take_row(remove, result, row);
        count++;
    }
    return count;
}

static void on_left(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_remove *remove = RB_CAST(rb_remove, arg, REMOVE_MAGIC);

    remove->query = NULL;
    remove->has_more = err == NULL && rb_remove_take(remove, result) == LEFT_MAX;
    rb_timer_start(remove->timer, remove->has_more ? 0 : remove->config.every_ms);
}

static void look(void *arg)
{
    struct rb_remove *remove = RB_CAST(rb_remove, arg, REMOVE_MAGIC);
    const struct rb_target *first = &remove->config.stores->first;
    const struct rb_target *second = &remove->config.stores->fallback;
    const char *values[] = {
        first->store->ops->kind,
        first->bucket,
        second->store != NULL ? second->store->ops->kind : NULL,
        second->bucket,
    };
    struct rb_error ignored = {0};

    if (remove->has_more && remove->count >= LEFT_MAX) {
        rb_timer_start(remove->timer, LOOK_AGAIN_MS);
        return;
    }
    if (!remove->config.announcer.is_up(remove->config.announcer.arg) ||
        rb_pg_send(remove->config.pg, take_over_sql, RB_COUNT(values), values, on_left, remove, &remove->query,
                   &ignored) < 0) {
        remove->has_more = false; /* nobody waits for what may take hours to come back */
        rb_timer_start(remove->timer, RB_MIN(remove->config.every_ms, LOOK_SOON_MS));
    }
}

struct rb_remove *rb_remove_new(struct rb_loop *loop, const struct rb_remove_config *config)
{
    struct rb_remove *remove = rb_xalloc(sizeof(*remove));

    *remove = (struct rb_remove){.magic = REMOVE_MAGIC, .config = *config};
    remove->timer = rb_timer_new(loop, look, remove);
    remove->gather_timer = rb_timer_new(loop, removal_flush, remove);
    rb_timer_start(remove->timer, 0);
    return remove;
}

void rb_remove_free(struct rb_remove *remove)
{
    if (remove == NULL)
        return;
    if (remove->query != NULL)
        rb_pg_cancel(remove->query);
    removal_drop_batches(remove);
    while (remove->removals != NULL) {
        struct removal *removal = remove->removals;

        remove->removals = removal->next;
        removal_free(removal);
    }
    rb_timer_free(remove->timer);
    rb_timer_free(remove->gather_timer);
    remove->magic = 0;
    free(remove);
}

size_t rb_remove_count(const struct rb_remove *remove)
{
    return remove->count;
}

bool rb_remove_has_more(const struct rb_remove *remove)
{
    return remove->has_more;
}

void rb_remove_listen(struct rb_remove *remove, const struct rb_remove_listener *listener)
{
    remove->listener = *listener;
}

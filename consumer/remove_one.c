/*
 * remove_one.c — removes one stored video: its row says so already, then the event, then the object.
 *
 * Way:  make_room -> [remove] -> store
 */
#include <inttypes.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "consumer/metrics_table.h"
#include "consumer/remove_internal.h"

/* $1 video, $2 since when it was ours, $3 whether it is done; if not, it is taken up again in a minute. Of a user who did not want
 * to be known any more the row says nothing in the end. */
#define ERASED(column) ", " column " = CASE WHEN NOT $3::bool OR delete_reason <> 'request' THEN " column " END"
static const char end_sql[] =
    "UPDATE reelbus.video SET deleting_since = CASE WHEN NOT $3::bool THEN now() - interval '4 minutes' END" ERASED(
        "user_id") ERASED("object_key") ERASED("variants") ERASED("superseded") ERASED("stored_url")
        ERASED("source_url") " WHERE video_id = $1::uuid AND deleting_since = $2::timestamptz";

void removal_free(struct removal *removal)
{
    rb_commit_cancel(&removal->receipt);
    if (removal->ask != NULL)
        removal->target->store->ops->forget(removal->ask);
    rb_event_clear(RB_EVENT_VIDEO_DELETED, &removal->event);
    free(removal->since);
    free(removal->beside);
    free(removal->keys);
    removal->magic = 0;
    free(removal);
}

static void tell(const struct rb_remove *remove, const struct rb_video_deleted *event, const struct rb_error *err)
{
    if (remove->config.metrics != NULL)
        rb_metrics_add(remove->config.metrics, err != NULL ? METRIC_REMOVE_FAILS : METRIC_REMOVED, 1);
    if (err != NULL)
        rb_log_error(NULL, RB_EV_REMOVE_FAILED, err, "video=%s key=%s/%s", event->video_id, event->bucket,
                     event->object_key);
    else
        rb_log(NULL, RB_EV_VIDEO_REMOVED, "video=%s key=%s/%s bytes=%" PRId64 " because=%s", event->video_id,
               event->bucket, event->object_key, event->bytes, event->reason);
}

void removal_end(struct removal *removal, const struct rb_error *err)
{
    struct rb_remove *remove = removal->remove;
    const struct rb_video_deleted *event = &removal->event;
    const char *values[] = {event->video_id, removal->since, err == NULL ? "true" : "false"};
    struct removal **place = &remove->removals;
    struct rb_error ignored = {0};

    tell(remove, event, err);
    if (rb_pg_send(remove->config.pg, end_sql, RB_COUNT(values), values, NULL, NULL, NULL, &ignored) < 0)
        ignored.code = RB_E_NONE; /* away: it is taken up again later, which does no harm */
    while (*place != removal)
        place = &(*place)->next;
    *place = removal->next;
    remove->count--;
    if (remove->listener.on_end != NULL)
        remove->listener.on_end(event, err, remove->listener.arg);
    removal_free(removal);
}

void removal_gone(struct removal *removal)
{
    RB_FAIL_HERE(removal_done);
    removal_end(removal, NULL);
}

static void on_removed(void *arg);

static void remove_object(struct removal *removal)
{
    const struct rb_object object = {removal->event.bucket, removal->keys[removal->key_done], "", NULL};

    removal->ask = removal->target->store->ops->remove(removal->target->store, &object, on_removed, removal);
}

static void on_removed(void *arg)
{
    struct removal *removal = RB_CAST(removal, arg, REMOVAL_MAGIC);
    struct rb_store_answer answer;
    struct rb_error err = {0};

    switch (removal->target->store->ops->answer(removal->ask, &answer, &err)) {
    case RB_POLL_WAIT:
        return;
    case RB_POLL_DONE:
        removal->target->store->ops->forget(RB_STEAL(removal->ask));
        if (++removal->key_done < removal->key_count)
            remove_object(removal);
        else
            removal_gone(removal);
        return;
    case RB_POLL_FAILED:
        removal_end(removal, &err);
        return;
    }
}

void removal_remove(struct removal *removal)
{
    removal->key_done = 0;
    remove_object(removal);
}

static void on_announced(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct removal *removal = RB_CAST(removal, arg, REMOVAL_MAGIC);

    (void)delivery;
    if (err == NULL)
        RB_FAIL_HERE(removal_announced);
    if (err != NULL || removal->key_count == 0)
        removal_end(removal, err);
    else
        removal_gather(removal);
}

static bool is_in(const struct rb_target *target, const struct rb_video_deleted *event)
{
    return target->store != NULL && strcmp(target->store->ops->kind, event->store) == 0 &&
           strcmp(target->bucket, event->bucket) == 0;
}

void removal_begin(struct removal *removal)
{
    const struct rb_stores *stores = removal->remove->config.stores;
    const struct rb_remove_announcer *announcer = &removal->remove->config.announcer;
    const struct rb_video_deleted *event = &removal->event;
    struct rb_error err = {0};

    RB_FAIL_HERE(removal_noted);
    removal->receipt = (struct rb_receipt){.fn = on_announced, .arg = removal};
    removal->target = is_in(&stores->first, event) ? &stores->first : &stores->fallback;
    if (removal->key_count > 0 && !is_in(removal->target, event))
        rb_fail(&err, RB_E_STORE_REFUSED, 0, "'%.20s/%.60s' is none of our stores", event->store, event->bucket);
    else if (announcer->send(announcer->arg, event, &removal->receipt, &err) == 0)
        return;
    removal_end(removal, &err);
}

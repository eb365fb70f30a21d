/*
 * parts_removal.c — the parts of reelbus-consumer that remove videos.
 *
 * Way:  consumer
 */
#include "consumer/parts.h"

static bool is_up(const void *arg)
{
    return rb_emit_is_up(arg);
}

static int send_deleted(void *arg, const struct rb_video_deleted *event, struct rb_receipt *receipt,
                        struct rb_error *err)
{
    return rb_emit_deleted(arg, event, receipt, err);
}

static int open_make_room(struct rb_parts *parts, struct rb_error *err)
{
    const struct consumer_options *options = parts->options;
    struct rb_make_room_config config = {
        .pg = parts->pg,
        .remove = parts->remove,
        .options = &options->common,
        .store = parts->stores.first.store->ops->kind,
        .bucket = options->bucket,
        .age_ms = options->quota_cleanup_age_ms,
    };

    rb_usage_marks(parts->usage, &config.all, &config.user);
    RB_TRY(rb_marks_read_low("quota_bytes", options->quota_low_at, &config.all, err));
    RB_TRY(rb_marks_read_low("quota_user_bytes", options->quota_user_low_at, &config.user, err));
    parts->make_room = rb_make_room_new(&config);
    return 0;
}

static int open_retention(struct rb_parts *parts, const struct rb_remove_announcer *announcer, struct rb_error *err)
{
    const struct consumer_options *options = parts->options;
    struct rb_retain_schedule_config config = {
        .retain = {.pg = parts->pg, .remove = parts->remove, .stores = &parts->stores, .options = &options->common},
        .announcer = *announcer,
        .metrics = &parts->metrics,
        .every_ms = options->retention_every_ms,
    };

    RB_TRY(rb_retain_limits_read(options, &config.retain.limits, err));
    if (rb_retain_has_rules(&config.retain.limits) && options->retention_every_ms > 0)
        parts->retention = rb_retain_schedule_new(parts->loop, &config);
    return 0;
}

int rb_parts_open_removal(struct rb_parts *parts, struct rb_error *err)
{
    const struct rb_remove_announcer announcer = {is_up, send_deleted, parts->emit};
    const struct rb_remove_config remove = {
        .pg = parts->pg,
        .announcer = announcer,
        .stores = &parts->stores,
        .metrics = &parts->metrics,
        .every_ms = parts->options->quota_check_ms,
    };

    parts->remove = rb_remove_new(parts->loop, &remove);
    if (rb_usage_then(parts->usage) == RB_USAGE_CLEANUP)
        RB_TRY(open_make_room(parts, err));
    return open_retention(parts, &announcer, err);
}

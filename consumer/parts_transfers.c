/*
 * parts_transfers.c — the parts of reelbus-consumer that fetch and store.
 *
 * Way:  consumer
 */
#include <openssl/crypto.h>

#include "common/log.h"
#include "consumer/container.h"
#include "consumer/key.h"
#include "consumer/parts.h"

/* The keys of providers: some give the bytes of their videos only to those who have one. */
static int read_providers(struct rb_parts *parts, struct rb_error *err)
{
    const struct rb_common_options *common = &parts->options->common;
    struct rb_providers_config config = {.path = common->providers, .openai_base_url = common->openai_base_url};
    struct rb_providers *before = parts->transfer.providers;
    char *key = NULL;

    RB_TRY(rb_options_read_secret(parts->all_options, "openai_api_key", &key, err));
    config.openai_api_key = key;

    int result = rb_providers_load(&config, &parts->transfer.providers, err);

    OPENSSL_cleanse(key, strlen(key));
    free(key);
    RB_TRY(result);
    rb_providers_unref(before);
    rb_log(NULL, RB_EV_PROVIDERS_READ, "providers=%zu", parts->transfer.providers->count);
    return 0;
}

/* A mistake in a file must not stop what works: it is told, and what was valid before stays. */
void rb_parts_reload(struct rb_parts *parts)
{
    struct rb_error err = {0};

    if (read_providers(parts, &err) < 0)
        rb_log_error(NULL, RB_EV_PROVIDERS_REFUSED, &err, "");
    else
        rb_redrive_auto_reloaded(parts->redrive_auto);
}

/* While one that has begun waits for room, no further one begins: the order stays what the slots made it. */
static void on_in_flight_full(bool full, void *arg)
{
    rb_slots_hold(RB_CAST(rb_parts, arg, RB_PARTS_MAGIC)->slots, RB_SLOTS_ROOM, full);
}

static int open_usage(struct rb_parts *parts, struct rb_error *err)
{
    const struct consumer_options *options = parts->options;
    struct rb_usage_config config = {
        .pg = parts->pg,
        .metrics = &parts->metrics,
        .store = parts->stores.first.store->ops->kind,
        .bucket = options->bucket,
        .every_ms = options->quota_check_ms,
    };

    RB_TRY(rb_marks_read("quota_bytes", options->quota_bytes, options->quota_warn_at, options->quota_stop_at,
                         &config.all, err));
    RB_TRY(rb_marks_read("quota_user_bytes", options->quota_user_bytes, options->quota_user_warn_at,
                         options->quota_user_stop_at, &config.user, err));
    RB_TRY(rb_usage_then_read(options->quota_then, &config.then, err));
    if (config.then == RB_USAGE_SPILL && parts->stores.fallback.store == NULL)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'quota_then' is 'spill', but there is no 'fallback_config'");
    parts->usage = rb_usage_new(parts->loop, &config);
    return 0;
}

int rb_parts_open_transfers(struct rb_parts *parts, struct rb_error *err)
{
    const struct consumer_options *options = parts->options;
    const struct rb_guard_config guard = {
        .https_only = options->source_https_only,
        .allow_private = options->source_allow_private,
        .ports = options->source_ports,
        .hosts = options->source_hosts,
        .deny_hosts = options->source_deny_hosts,
        .allow_networks = options->source_allow_networks,
        .deny_networks = options->source_deny_networks,
    };

    parts->policy = (struct rb_plan_policy){
        .key_template = options->key_template,
    };
    RB_TRY(rb_key_check(options->key_template, err));
    RB_TRY(rb_guard_init(&guard, &parts->policy.guard, err));
    RB_TRY(rb_container_formats(options->formats, &parts->policy.formats, err));
    parts->variants = (struct rb_variants_policy){
        .max_bytes = options->variant_max_bytes,
        .timeout_ms = options->variants_timeout_ms,
    };
    RB_TRY(rb_variants_option(options->variants, &parts->variants.wanted, err));
    RB_TRY(rb_stores_open(parts->loop, parts->all_options, &parts->stores, err));
    parts->probe = rb_store_probe_new(parts->loop, parts->stores.first.store, options->bucket, options->store_check_ms);
    if (parts->stores.fallback.store != NULL)
        parts->fallback_probe = rb_store_probe_new(parts->loop, parts->stores.fallback.store,
                                                   parts->stores.fallback.bucket, options->store_check_ms);
    RB_TRY(open_usage(parts, err));
    parts->media_http = rb_http_new(parts->loop, 0);
    parts->transfer = (struct rb_transfer_config){
        .loop = parts->loop,
        .http = parts->media_http,
        .guard = &parts->policy.guard,
        .limits = {.max_bytes = options->video_max_bytes,
                   .connect_timeout_ms = options->connect_timeout_ms,
                   .first_byte_timeout_ms = options->first_byte_timeout_ms,
                   .low_speed_bytes = options->low_speed_bytes,
                   .low_speed_ms = options->low_speed_ms,
                   .resume_max = (unsigned)options->resume_max},
        .timeout_ms = options->transfer_timeout_ms,
        .in_flight = &parts->in_flight,
        .queue_bytes = (size_t)options->queue_bytes,
    };
    parts->in_flight = (struct rb_in_flight){
        .max_bytes = options->in_flight_max_bytes,
        .on_full = on_in_flight_full,
        .arg = parts,
    };
    return read_providers(parts, err);
}

/*
 * store_s3.c — objects in any S3: what puts and asks share.
 *
 * Way:  download -> [store_s3] -> record
 */
#include "consumer/store_s3_internal.h"

#define PART_MIN_BYTES   (5 << 20) /* S3's own rule, for all parts but the last */
#define CLOSE_TIMEOUT_MS 3000      /* for taking back what was begun, at the end of the program */

size_t s3_storage_headers(const struct store_s3 *store, struct rb_s3_header *headers, size_t count)
{
    const struct rb_store_s3_config *config = &store->config;

    if (config->storage_class[0] != '\0')
        headers[count++] = (struct rb_s3_header){"x-amz-storage-class", config->storage_class};
    if (config->sse[0] != '\0')
        headers[count++] = (struct rb_s3_header){"x-amz-server-side-encryption", config->sse};
    if (config->sse_kms_key_id[0] != '\0')
        headers[count++] = (struct rb_s3_header){"x-amz-server-side-encryption-aws-kms-key-id", config->sse_kms_key_id};
    return count;
}

/* Put bucket and key into the form of a URL: "https://media.example.com/{key}". */
static char *fill_in(const char *form, const char *bucket, const char *key)
{
    struct rb_buffer url = {0};

    while (*form != '\0') {
        size_t plain = strcspn(form, "{");

        rb_buffer_add(&url, form, plain);
        form += plain;
        if (strncmp(form, "{bucket}", strlen("{bucket}")) == 0) {
            rb_buffer_print(&url, "%s", bucket);
            form += strlen("{bucket}");
        } else if (strncmp(form, "{key}", strlen("{key}")) == 0) {
            rb_buffer_print(&url, "%s", key);
            form += strlen("{key}");
        } else if (*form != '\0') {
            rb_buffer_add(&url, form++, 1);
        }
    }
    return rb_buffer_steal(&url);
}

static char *s3_url(const struct rb_store *base, const struct rb_object *object)
{
    const struct store_s3 *store = (const struct store_s3 *)base;
    RB_AUTO_S3_PLACE place = {0};
    RB_AUTO_BUFFER path = {0};

    rb_s3_place_init(&place, &store->address, object->bucket, object->key);
    if (store->public_url == NULL)
        return rb_xstrdup(place.url);
    rb_s3_encode(&path, object->key, "/");
    return fill_in(store->public_url, object->bucket, path.bytes);
}

static void store_done(struct store_s3 *store)
{
    rb_task_done(&store->hand_out);
    rb_s3_credentials_free(store->env.credentials);
    rb_http_free(store->env.http);
    rb_s3_address_done(&store->address);
    free(store->public_url);
    free(store->doubted);
    free(store);
}

/* Puts that have ended may be taking their uploads back: for a moment that is waited for. What is left then is for sweep. */
static void s3_free(struct rb_store *base)
{
    struct store_s3 *store = (struct store_s3 *)base;

    store->closing = true;
    if (store->puts != NULL)
        rb_loop_run_for(store->loop, CLOSE_TIMEOUT_MS);
    store->closing = false;
    while (store->puts != NULL)
        s3_put_free(store->puts);
    store_done(store);
}

static const struct rb_store_ops s3_ops = {
    .kind = "s3",
    .begin = s3_put_begin,
    .more = s3_put_more,
    .commit = s3_put_commit,
    .poll = s3_put_poll,
    .end = s3_put_end,
    .url = s3_url,
    .find = s3_ask_find,
    .read = s3_ask_read,
    .check = s3_ask_check,
    .sweep = s3_ask_sweep,
    .remove = s3_ask_remove,
    .remove_many = s3_ask_remove_many,
    .list = s3_ask_list,
    .list_on = s3_ask_list_on,
    .answer = s3_ask_answer,
    .forget = s3_ask_forget,
    .free = s3_free,
};

static int check_choice(const char *option, const char *value, const char *const *choices, struct rb_error *err)
{
    for (; *choices != NULL; choices++)
        if (strcmp(value, *choices) == 0)
            return 0;
    return rb_fail(err, RB_E_BAD_OPTION, 0, "option '%s' is '%.20s', which is none of its values", option, value);
}

static int check_config(const struct rb_store_s3_config *config, struct rb_error *err)
{
    RB_TRY(
        check_choice("s3_sse", config->sse, (const char *const[]){"", "AES256", "aws:kms", "aws:kms:dsse", NULL}, err));
    RB_TRY(check_choice("s3_md5", config->md5, (const char *const[]){"auto", "true", "false", NULL}, err));
    if (config->part_bytes < PART_MIN_BYTES)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 's3_part_bytes' is under 5MiB, which S3 refuses");
    if (config->buffers_bytes < config->part_bytes)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 's3_buffers_bytes' holds less than one part of 's3_part_bytes'");
    if (config->sse_kms_key_id[0] != '\0' && strncmp(config->sse, "aws:kms", 7) != 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 's3_sse_kms_key_id' needs 's3_sse' to be aws:kms");
    return 0;
}

int rb_store_s3_new(struct rb_loop *loop, const struct rb_store_s3_config *config, struct rb_store **ret_store,
                    struct rb_error *err)
{
    size_t url_bytes = strlen(config->public_url);
    struct store_s3 *store;

    RB_TRY(check_config(config, err));
    store = rb_xalloc(sizeof(*store));
    *store = (struct store_s3){
        .store = {.ops = &s3_ops},
        .config = *config,
        .loop = loop,
        .buffers_left = (size_t)(config->buffers_bytes / config->part_bytes),
    };
    store->line_end = &store->waiting;
    rb_task_init(&store->hand_out, loop, s3_put_hand_out, store);
    if (strstr(config->public_url, "{key}") != NULL)
        store->public_url = rb_xstrdup(config->public_url);
    else if (url_bytes > 0)
        store->public_url =
            rb_xprintf("%s%s{bucket}/{key}", config->public_url, config->public_url[url_bytes - 1] == '/' ? "" : "/");
    store->env = (struct rb_s3_env){
        .loop = loop,
        .http = rb_http_new(loop, 0),
        .address = &store->address,
        .region = config->region,
        .connect_timeout_ms = config->connect_timeout_ms,
        .timeout_ms = config->timeout_ms,
    };
    if (rb_s3_address_init(&store->address, config->endpoint, config->region, config->path_style, err) < 0 ||
        rb_s3_credentials_new(loop, store->env.http, &store->config.credentials, &store->env.credentials, err) < 0) {
        store_done(store);
        return -1;
    }
    store->md5 = strcmp(config->md5, "true") == 0 ||
                 (strcmp(config->md5, "auto") == 0 && strcmp(store->address.scheme, "http") == 0);
    *ret_store = &store->store;
    return 0;
}

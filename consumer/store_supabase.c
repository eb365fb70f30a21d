/*
 * store_supabase.c — objects in Supabase Storage: what puts and asks share.
 *
 * Way:  download -> [store_supabase] -> record
 */
#include "common/clock.h"
#include "common/url.h"
#include "consumer/store_supabase_internal.h"

#define CLOSE_TIMEOUT_MS 3000 /* for taking back what was begun, at the end of the program */

static char *supabase_url(const struct rb_store *base, const struct rb_object *object)
{
    const struct store_supabase *store = (const struct store_supabase *)base;
    bool is_public = strcmp(store->config.link, "public") == 0;
    RB_AUTO_TEXT *path =
        rb_supabase_path(is_public ? "/object/public" : "/object/authenticated", object->bucket, object->key);

    return rb_xprintf("%s%s", store->public_base, path);
}

static void store_done(struct store_supabase *store)
{
    rb_http_free(store->env.http);
    free(store->base);
    free(store->public_base);
    free(store);
}

/* Puts that have ended may be taking their uploads back: for a moment that is waited for. The server removes what is left. */
static void supabase_free(struct rb_store *base)
{
    struct store_supabase *store = (struct store_supabase *)base;

    store->closing = true;
    if (store->puts != NULL)
        rb_loop_run_for(store->loop, CLOSE_TIMEOUT_MS);
    store->closing = false;
    while (store->puts != NULL)
        supabase_put_free(store->puts);
    store_done(store);
}

#define SUPABASE_OPS(with_link)                                                                                        \
    {                                                                                                                  \
        .kind = "supabase", .begin = supabase_put_begin, .more = supabase_put_more, .commit = supabase_put_commit,     \
        .poll = supabase_put_poll, .end = supabase_put_end, .url = supabase_url, .link = (with_link),                  \
        .find = supabase_ask_find, .read = supabase_ask_read, .check = supabase_ask_check,                             \
        .remove = supabase_ask_remove, .remove_many = supabase_ask_remove_many, .answer = supabase_ask_answer,         \
        .forget = supabase_ask_forget, .free = supabase_free,                                                          \
    }

static const struct rb_store_ops plain_ops = SUPABASE_OPS(NULL);
static const struct rb_store_ops signing_ops = SUPABASE_OPS(supabase_ask_link);

static int check_url(const char *option, const char *text, struct rb_error *err)
{
    RB_AUTO_URL url = {0};
    struct rb_error why = {0};

    if (rb_url_parse(text, &url, &why) < 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option '%s': %.150s", option, why.message);
    return 0;
}

static int check_config(const struct rb_store_supabase_config *config, struct rb_error *err)
{
    const char *link = config->link;

    if (config->url[0] == '\0' && config->storage_url[0] == '\0')
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'supabase_url' is not set; it is the project's URL, https://<ref>.supabase.co");
    if (config->url[0] != '\0')
        RB_TRY(check_url("supabase_url", config->url, err));
    if (config->storage_url[0] != '\0')
        RB_TRY(check_url("supabase_storage_url", config->storage_url, err));
    if (config->public_url[0] != '\0')
        RB_TRY(check_url("supabase_public_url", config->public_url, err));
    if (strcmp(link, "public") != 0 && strcmp(link, "authenticated") != 0 && strcmp(link, "signed") != 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'supabase_link' is '%.20s', expected public, authenticated or signed", link);
    return 0;
}

static size_t length_without_slash(const char *text)
{
    size_t length = strlen(text);

    while (length > 0 && text[length - 1] == '/')
        length--;
    return length;
}

/* Of a project's URL, or of one that names the API already. */
static char *api_of(const char *text)
{
    static const char tail[] = "/storage/v1";
    size_t length = length_without_slash(text);
    bool there = length > strlen(tail) && strncmp(text + length - strlen(tail), tail, strlen(tail)) == 0;

    return rb_xprintf("%.*s%s", (int)length, text, there ? "" : tail);
}

int rb_store_supabase_new(struct rb_loop *loop, const struct rb_store_supabase_config *config,
                          struct rb_store **ret_store, struct rb_error *err)
{
    enum rb_supabase_key kind;
    struct store_supabase *store;
    const char *shown = config->public_url[0] != '\0' ? config->public_url : config->url;

    RB_TRY(check_config(config, err));
    RB_TRY(rb_supabase_key_look(config->key, rb_clock_unix_ms() / 1000, &kind, err));
    store = rb_xalloc(sizeof(*store));
    *store = (struct store_supabase){
        .store = {.ops = strcmp(config->link, "signed") == 0 ? &signing_ops : &plain_ops},
        .config = *config,
        .loop = loop,
        .buffers_left = config->buffers_bytes,
    };
    if (config->storage_url[0] != '\0')
        store->base = rb_xprintf("%.*s", (int)length_without_slash(config->storage_url), config->storage_url);
    else
        store->base = api_of(config->url);
    store->public_base = shown[0] != '\0' ? api_of(shown) : rb_xstrdup(store->base);
    store->env = (struct rb_supabase_env){
        .loop = loop,
        .http = rb_http_new(loop, 0),
        .base = store->base,
        .key = config->key,
        .key_kind = kind,
        .connect_timeout_ms = config->connect_timeout_ms,
        .timeout_ms = config->timeout_ms,
    };
    *ret_store = &store->store;
    return 0;
}

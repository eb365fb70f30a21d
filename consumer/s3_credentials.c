/*
 * s3_credentials.c — where the keys for S3 come from, and that they are fresh.
 *
 * Way:  store_s3 -> s3_call -> [s3_credentials]
 */
#include "consumer/s3_credentials.h"

#include <inttypes.h>

#include "common/clock.h"
#include "consumer/s3_credentials_internal.h"

#define REQUEST_TIMEOUT_MS 5000
#define ANSWER_MAX_BYTES   (64 << 10)
#define FAILED_FOR_MS      2000
#define EARLY_MS           300000 /* so long before the end others are fetched; at half time when it is near */
#define USABLE_MS          5000   /* keys that last no longer are not used any more */
#define SOON_MS            1000

/* The last of the sources is always there to be asked; mostly somebody has only forgotten to set the others. */
static const char *what_may_lack(const struct rb_s3_credentials *credentials)
{
    bool is_last_resort =
        strcmp(credentials->config->source, "auto") == 0 && strcmp(credentials->source->name, "instance") == 0;

    return is_last_resort ? "; neither s3_access_key and s3_secret_key are set, nor anything else that has keys" : "";
}

void s3_source_failed(struct rb_s3_credentials *credentials, const struct rb_error *err)
{
    credentials->fetching = false;
    rb_fail(&credentials->error, err->code, err->detail, "no keys for the store from '%s': %.110s%s",
            credentials->source->name, err->message, what_may_lack(credentials));
    credentials->failed_until_ms = rb_clock_ms() + FAILED_FOR_MS;
    rb_timer_start(credentials->refresh, FAILED_FOR_MS);
    rb_task_queue(&credentials->tell);
}

void s3_source_took(struct rb_s3_credentials *credentials, struct rb_s3_keys *keys)
{
    credentials->fetching = false;
    credentials->error = (struct rb_error){0};
    credentials->stale = false;
    rb_s3_keys_done(&credentials->keys);
    credentials->keys = *keys;
    *keys = (struct rb_s3_keys){0};
    if (credentials->keys.expires_unix_ms != RB_S3_NEVER) {
        int64_t left_ms = credentials->keys.expires_unix_ms - rb_clock_unix_ms();

        rb_timer_start(credentials->refresh, RB_MAX(RB_MAX(left_ms - EARLY_MS, left_ms / 2), SOON_MS));
    }
    rb_task_queue(&credentials->tell);
}

/* Keys that nobody would use: whoever waits for them would only ask for others at once, and get the same. */
static int check_lasting(const struct rb_s3_keys *keys, struct rb_error *err)
{
    int64_t left_ms = keys->expires_unix_ms - rb_clock_unix_ms();

    if (left_ms > USABLE_MS)
        return 0;
    return rb_fail(err, RB_E_STORE_DENIED, 0,
                   "its keys expire in %" PRId64 " s, or have expired; is the clock of this machine right?",
                   left_ms / 1000);
}

/* The end of a fetch whose answer has been read. */
void s3_source_settle(struct rb_s3_credentials *credentials, int result, struct rb_s3_keys *keys, struct rb_error *err)
{
    if (result < 0 || check_lasting(keys, err) < 0)
        s3_source_failed(credentials, err);
    else
        s3_source_took(credentials, keys);
}

/* Requests: drop the one before, send one; the answer must be 200 and not empty. */

void s3_source_ask(struct rb_s3_credentials *credentials, struct rb_request_spec *spec, rb_request_done_fn on_done)
{
    spec->timeout_ms = REQUEST_TIMEOUT_MS;
    spec->max_answer_bytes = ANSWER_MAX_BYTES;
    rb_request_free(credentials->request);
    credentials->request = rb_request_send(credentials->http, spec, on_done, credentials);
}

int s3_source_check(long status, const struct rb_buffer *body, const struct rb_error *away, struct rb_error *err)
{
    if (away != NULL)
        return rb_fail(err, RB_E_STORE_AWAY, away->detail, "%.200s", away->message);
    if (status != 200 || body->used == 0)
        return rb_fail(err, status >= 500 ? RB_E_STORE_AWAY : RB_E_STORE_DENIED, (int)status, "it answers %ld", status);
    return 0;
}

static const struct s3_source source_rows[] = {
    {"keys", true, s3_keys_is_configured, s3_keys_fetch},
    {"web_identity", false, s3_web_identity_is_configured, s3_web_identity_fetch},
    {"file", false, s3_file_is_configured, s3_file_fetch},
    {"container", false, s3_container_is_configured, s3_container_fetch},
    {"instance", false, s3_instance_is_configured, s3_instance_fetch},
};

static void fetch(struct rb_s3_credentials *credentials)
{
    if (credentials->fetching)
        return;
    credentials->fetching = true;
    credentials->source->fetch(credentials);
}

static void on_refresh(void *arg)
{
    struct rb_s3_credentials *credentials = RB_CAST(rb_s3_credentials, arg, CREDENTIALS_MAGIC);

    fetch(credentials);
}

static void tell_waiters(void *arg)
{
    struct rb_s3_credentials *credentials = RB_CAST(rb_s3_credentials, arg, CREDENTIALS_MAGIC);

    credentials->told = RB_STEAL(credentials->waiters);
    while (credentials->told != NULL) {
        struct rb_s3_waiter *waiter = credentials->told;

        credentials->told = waiter->next;
        waiter->waiting = false;
        waiter->on_change(waiter->arg);
    }
}

static int pick_source(const struct rb_s3_credentials_config *config, const struct s3_source **ret_source,
                       struct rb_error *err)
{
    for (const struct s3_source *row = source_rows; row < source_rows + RB_COUNT(source_rows); row++) {
        if (strcmp(config->source, row->name) == 0 ||
            (strcmp(config->source, "auto") == 0 && row->is_configured(config))) {
            *ret_source = row;
            if (row->is_configured(config))
                return 0;
            return rb_fail(err, RB_E_BAD_OPTION, 0, "option 's3_credentials' is '%s', but what that needs is not set",
                           row->name);
        }
    }
    if (strcmp(config->source, "auto") == 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "no keys for S3: set s3_access_key and s3_secret_key, or see s3_credentials");
    return rb_fail(err, RB_E_BAD_OPTION, 0,
                   "option 's3_credentials' is '%.20s', expected auto, keys, web_identity, file, container or instance",
                   config->source);
}

int rb_s3_credentials_new(struct rb_loop *loop, struct rb_http *http, const struct rb_s3_credentials_config *config,
                          struct rb_s3_credentials **ret_credentials, struct rb_error *err)
{
    const struct s3_source *source = NULL;
    struct rb_s3_credentials *credentials;

    RB_TRY(pick_source(config, &source, err));
    credentials = rb_xalloc(sizeof(*credentials));
    *credentials = (struct rb_s3_credentials){
        .magic = CREDENTIALS_MAGIC,
        .http = http,
        .config = config,
        .source = source,
    };
    credentials->refresh = rb_timer_new(loop, on_refresh, credentials);
    rb_task_init(&credentials->tell, loop, tell_waiters, credentials);
    fetch(credentials);
    *ret_credentials = credentials;
    return 0;
}

void rb_s3_credentials_free(struct rb_s3_credentials *credentials)
{
    if (credentials == NULL)
        return;
    RB_ASSERT(credentials->waiters == NULL);
    rb_request_free(credentials->request);
    rb_timer_free(credentials->refresh);
    rb_task_done(&credentials->tell);
    rb_s3_keys_done(&credentials->keys);
    free(credentials->instance_token);
    credentials->magic = 0;
    free(credentials);
}

static void wait_for_news(struct rb_s3_credentials *credentials, struct rb_s3_waiter *waiter)
{
    if (waiter->waiting)
        return;
    waiter->waiting = true;
    waiter->next = credentials->waiters;
    credentials->waiters = waiter;
}

enum rb_poll rb_s3_credentials_get(struct rb_s3_credentials *credentials, struct rb_s3_waiter *waiter,
                                   const struct rb_s3_keys **ret_keys, struct rb_error *err)
{
    bool have = credentials->keys.access_key != NULL && !credentials->stale &&
                credentials->keys.expires_unix_ms > rb_clock_unix_ms() + USABLE_MS;

    if (have) {
        *ret_keys = &credentials->keys;
        return RB_POLL_DONE;
    }
    if (!credentials->fetching && credentials->error.code != RB_E_NONE &&
        rb_clock_ms() < credentials->failed_until_ms) {
        *err = credentials->error;
        return RB_POLL_FAILED;
    }
    fetch(credentials);
    wait_for_news(credentials, waiter);
    return RB_POLL_WAIT;
}

static void drop_waiter(struct rb_s3_waiter **link, const struct rb_s3_waiter *waiter)
{
    for (; *link != NULL; link = &(*link)->next) {
        if (*link == waiter) {
            *link = waiter->next;
            return;
        }
    }
}

void rb_s3_credentials_forget(struct rb_s3_credentials *credentials, struct rb_s3_waiter *waiter)
{
    drop_waiter(&credentials->waiters, waiter);
    drop_waiter(&credentials->told, waiter);
    waiter->waiting = false;
}

bool rb_s3_credentials_renew(struct rb_s3_credentials *credentials, const char *access_key)
{
    if (credentials->source->lasts)
        return false;
    if (credentials->keys.access_key != NULL && strcmp(credentials->keys.access_key, access_key) == 0)
        credentials->stale = true;
    return true;
}

/*
 * s3_credentials.c — where the keys for S3 come from, and that they are fresh.
 *
 * Way:  store_s3 -> s3_call -> [s3_credentials]
 */
#include "consumer/s3_credentials.h"

#include <inttypes.h>
#include <openssl/crypto.h>

#include "common/clock.h"
#include "common/request.h"
#include "common/textfile.h"
#include "consumer/s3_sign.h"

#define CREDENTIALS_MAGIC  0x53334352u
#define REQUEST_TIMEOUT_MS 5000
#define ANSWER_MAX_BYTES   (64 << 10)
#define FAILED_FOR_MS      2000
#define EARLY_MS           300000 /* so long before the end others are fetched; at half time when it is near */
#define USABLE_MS          5000   /* keys that last no longer are not used any more */
#define SOON_MS            1000
#define CONTAINER_ADDRESS  "http://169.254.170.2"

struct source;

struct rb_s3_credentials {
    uint32_t magic;
    struct rb_http *http;                          /* borrowed */
    const struct rb_s3_credentials_config *config; /* borrowed */
    const struct source *source;
    struct rb_s3_keys keys; /* the newest; empty before the first */
    bool stale;             /* the store does not take them any more */
    bool fetching;
    struct rb_request *request;
    char *instance_token;  /* of the instance's own address, while it is asked */
    struct rb_error error; /* of the last fetch; code NONE when it went well */
    int64_t failed_until_ms;
    struct rb_timer *refresh;
    struct rb_s3_waiter *waiters;
    struct rb_s3_waiter *told; /* those of them whose turn it is to be told; who waits again is not among them */
    struct rb_task tell;
};

/* A place that keys come from. fetch ends, now or later, in took or in failed. */
struct source {
    const char *name;
    bool lasts; /* asking again gives the same */
    bool (*is_configured)(const struct rb_s3_credentials_config *config);
    void (*fetch)(struct rb_s3_credentials *credentials);
};

static bool is_set(const char *text)
{
    return text[0] != '\0';
}

/* The last of the sources is always there to be asked; mostly somebody has only forgotten to set the others. */
static const char *what_may_lack(const struct rb_s3_credentials *credentials)
{
    bool is_last_resort =
        strcmp(credentials->config->source, "auto") == 0 && strcmp(credentials->source->name, "instance") == 0;

    return is_last_resort ? "; neither s3_access_key and s3_secret_key are set, nor anything else that has keys" : "";
}

static void failed(struct rb_s3_credentials *credentials, const struct rb_error *err)
{
    credentials->fetching = false;
    rb_fail(&credentials->error, err->code, err->detail, "no keys for the store from '%s': %.110s%s",
            credentials->source->name, err->message, what_may_lack(credentials));
    credentials->failed_until_ms = rb_clock_ms() + FAILED_FOR_MS;
    rb_timer_start(credentials->refresh, FAILED_FOR_MS);
    rb_task_queue(&credentials->tell);
}

static void took(struct rb_s3_credentials *credentials, struct rb_s3_keys *keys)
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
static void settle(struct rb_s3_credentials *credentials, int result, struct rb_s3_keys *keys, struct rb_error *err)
{
    if (result < 0 || check_lasting(keys, err) < 0)
        failed(credentials, err);
    else
        took(credentials, keys);
}

/* Requests: drop the one before, send one; the answer must be 200 and not empty. */

static void ask(struct rb_s3_credentials *credentials, struct rb_request_spec *spec, rb_request_done_fn on_done)
{
    spec->timeout_ms = REQUEST_TIMEOUT_MS;
    spec->max_answer_bytes = ANSWER_MAX_BYTES;
    rb_request_free(credentials->request);
    credentials->request = rb_request_send(credentials->http, spec, on_done, credentials);
}

static int check_answer(long status, const struct rb_buffer *body, const struct rb_error *away, struct rb_error *err)
{
    if (away != NULL)
        return rb_fail(err, RB_E_STORE_AWAY, away->detail, "%.200s", away->message);
    if (status != 200 || body->used == 0)
        return rb_fail(err, status >= 500 ? RB_E_STORE_AWAY : RB_E_STORE_DENIED, (int)status, "it answers %ld", status);
    return 0;
}

static void on_json(long status, const struct rb_buffer *body, const struct rb_error *away, void *arg)
{
    struct rb_s3_credentials *credentials = RB_CAST(rb_s3_credentials, arg, CREDENTIALS_MAGIC);
    RB_AUTO_S3_KEYS keys = {0};
    struct rb_error err = {0};
    int result = check_answer(status, body, away, &err);

    if (result == 0)
        result = rb_s3_keys_read_json(body->bytes, body->used, &keys, &err);
    settle(credentials, result, &keys, &err);
}

/* keys: they stand in the options. */

static bool keys_is_configured(const struct rb_s3_credentials_config *config)
{
    return is_set(config->access_key) && is_set(config->secret_key);
}

static void keys_fetch(struct rb_s3_credentials *credentials)
{
    const struct rb_s3_credentials_config *config = credentials->config;
    RB_AUTO_S3_KEYS keys = {0};

    rb_s3_keys_set(&keys, config->access_key, config->secret_key, config->session_token);
    took(credentials, &keys);
}

/* web_identity: a token that the platform puts into a file, changed for keys by STS. */

static bool web_identity_is_configured(const struct rb_s3_credentials_config *config)
{
    return is_set(config->web_identity_token_file) && is_set(config->role_arn);
}

static void on_sts(long status, const struct rb_buffer *body, const struct rb_error *away, void *arg)
{
    struct rb_s3_credentials *credentials = RB_CAST(rb_s3_credentials, arg, CREDENTIALS_MAGIC);
    RB_AUTO_S3_KEYS keys = {0};
    struct rb_error err = {0};
    int result = 0;

    if (away != NULL || status >= 500 || body->used == 0)
        result = check_answer(status, body, away, &err);
    if (result == 0)
        result = rb_s3_keys_read_sts(body->bytes, body->used, &keys, &err);
    settle(credentials, result, &keys, &err);
}

static char *sts_url(const struct rb_s3_credentials_config *config)
{
    if (is_set(config->sts_endpoint))
        return rb_xstrdup(config->sts_endpoint);
    return rb_xprintf("https://sts.%s.amazonaws.com%s/", config->region,
                      strncmp(config->region, "cn-", 3) == 0 ? ".cn" : "");
}

static void web_identity_fetch(struct rb_s3_credentials *credentials)
{
    const struct rb_s3_credentials_config *config = credentials->config;
    RB_AUTO_TEXT *url = sts_url(config);
    RB_AUTO_BUFFER body = {0};
    struct rb_error err = {0};
    char *token = NULL;

    if (rb_textfile_read_secret(config->web_identity_token_file, &token, &err) < 0) {
        rb_fail(&err, RB_E_STORE_DENIED, err.detail, "cannot read the token in '%.100s'",
                config->web_identity_token_file);
        failed(credentials, &err);
        return;
    }
    rb_buffer_print(&body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=");
    rb_s3_encode(&body, config->role_arn, "");
    rb_buffer_print(&body, "&RoleSessionName=");
    rb_s3_encode(&body, is_set(config->role_session_name) ? config->role_session_name : "reelbus", "");
    rb_buffer_print(&body, "&WebIdentityToken=");
    rb_s3_encode(&body, token, "");
    ask(credentials,
        &(struct rb_request_spec){.method = "POST",
                                  .url = url,
                                  .body = body.bytes,
                                  .body_bytes = body.used,
                                  .headers =
                                      (const char *const[]){"Content-Type: application/x-www-form-urlencoded", NULL}},
        on_sts);
    OPENSSL_cleanse(token, strlen(token));
    free(token);
    OPENSSL_cleanse(body.bytes, body.used);
}

/* file: the one that the AWS tools share. */

static char *file_path(const struct rb_s3_credentials_config *config)
{
    const char *home = getenv("HOME");

    if (is_set(config->file))
        return rb_xstrdup(config->file);
    return home != NULL ? rb_xprintf("%s/.aws/credentials", home) : rb_xstrdup("");
}

static int file_read(const struct rb_s3_credentials_config *config, struct rb_s3_keys *ret_keys, struct rb_error *err)
{
    RB_AUTO_TEXT *path = file_path(config);
    char *text = NULL;
    int result;

    if (rb_textfile_read_secret(path, &text, err) < 0)
        return rb_fail(err, RB_E_STORE_DENIED, err->detail, "cannot read the credentials file '%.100s'", path);
    result = rb_s3_keys_read_profile(text, is_set(config->profile) ? config->profile : "default", ret_keys, err);
    OPENSSL_cleanse(text, strlen(text));
    free(text);
    return result;
}

/* Named by an option, or at its usual place with the profile in it. */
static bool file_is_configured(const struct rb_s3_credentials_config *config)
{
    RB_AUTO_S3_KEYS keys = {0};
    struct rb_error err = {0};

    return is_set(config->file) || file_read(config, &keys, &err) == 0;
}

static void file_fetch(struct rb_s3_credentials *credentials)
{
    RB_AUTO_S3_KEYS keys = {0};
    struct rb_error err = {0};

    settle(credentials, file_read(credentials->config, &keys, &err), &keys, &err);
}

/* container: an address that the platform offers to the container alone. */

static bool container_is_configured(const struct rb_s3_credentials_config *config)
{
    return is_set(config->container_url) || is_set(config->container_path);
}

static void container_fetch(struct rb_s3_credentials *credentials)
{
    const struct rb_s3_credentials_config *config = credentials->config;
    RB_AUTO_TEXT *url = is_set(config->container_url) ? rb_xstrdup(config->container_url)
                                                      : rb_xprintf(CONTAINER_ADDRESS "%s", config->container_path);
    char *token = NULL;
    char *header = NULL;
    struct rb_error err = {0};

    if (is_set(config->container_token_file) &&
        rb_textfile_read_secret(config->container_token_file, &token, &err) < 0) {
        rb_fail(&err, RB_E_STORE_DENIED, err.detail, "cannot read the token in '%.100s'", config->container_token_file);
        failed(credentials, &err);
        return;
    }
    if (token != NULL || is_set(config->container_token))
        header = rb_xprintf("Authorization: %s", token != NULL ? token : config->container_token);
    ask(credentials,
        &(struct rb_request_spec){
            .method = "GET", .url = url, .direct = true, .headers = (const char *const[]){header, NULL}},
        on_json);
    if (token != NULL)
        OPENSSL_cleanse(token, strlen(token));
    if (header != NULL)
        OPENSSL_cleanse(header, strlen(header));
    free(token);
    free(header);
}

/* instance: the metadata service of a virtual machine, version 2: a token, the name of the role, its keys. */

static bool instance_is_configured(const struct rb_s3_credentials_config *config)
{
    return is_set(config->instance_endpoint);
}

static void instance_ask(struct rb_s3_credentials *credentials, const char *role, rb_request_done_fn on_done)
{
    RB_AUTO_TEXT *url =
        rb_xprintf("%s/latest/meta-data/iam/security-credentials/%s", credentials->config->instance_endpoint, role);
    RB_AUTO_TEXT *header = rb_xprintf("X-aws-ec2-metadata-token: %s", credentials->instance_token);

    ask(credentials,
        &(struct rb_request_spec){
            .method = "GET", .url = url, .direct = true, .headers = (const char *const[]){header, NULL}},
        on_done);
}

/* One line of an answer, without what might do harm in a header or a path. */
static int first_line(const struct rb_buffer *body, char **ret_line, struct rb_error *err)
{
    size_t bytes = strcspn(body->bytes, "\r\n");

    if (bytes == 0 || bytes > 1024)
        return rb_fail(err, RB_E_STORE_DENIED, 0, "its answer is not one line of text");
    free(*ret_line);
    *ret_line = rb_xstrndup(body->bytes, bytes);
    return 0;
}

static void on_instance_role(long status, const struct rb_buffer *body, const struct rb_error *away, void *arg)
{
    struct rb_s3_credentials *credentials = RB_CAST(rb_s3_credentials, arg, CREDENTIALS_MAGIC);
    struct rb_error err = {0};
    RB_AUTO_TEXT *line = NULL;
    RB_AUTO_BUFFER role = {0};

    if (check_answer(status, body, away, &err) < 0 || first_line(body, &line, &err) < 0) {
        failed(credentials, &err);
        return;
    }
    rb_s3_encode(&role, line, "");
    instance_ask(credentials, role.bytes, on_json);
}

static void on_instance_token(long status, const struct rb_buffer *body, const struct rb_error *away, void *arg)
{
    struct rb_s3_credentials *credentials = RB_CAST(rb_s3_credentials, arg, CREDENTIALS_MAGIC);
    struct rb_error err = {0};

    if (check_answer(status, body, away, &err) < 0 || first_line(body, &credentials->instance_token, &err) < 0)
        failed(credentials, &err);
    else
        instance_ask(credentials, "", on_instance_role);
}

static void instance_fetch(struct rb_s3_credentials *credentials)
{
    RB_AUTO_TEXT *url = rb_xprintf("%s/latest/api/token", credentials->config->instance_endpoint);

    ask(credentials,
        &(struct rb_request_spec){.method = "PUT",
                                  .url = url,
                                  .direct = true,
                                  .headers =
                                      (const char *const[]){"X-aws-ec2-metadata-token-ttl-seconds: 21600", NULL}},
        on_instance_token);
}

static const struct source source_rows[] = {
    {"keys", true, keys_is_configured, keys_fetch},
    {"web_identity", false, web_identity_is_configured, web_identity_fetch},
    {"file", false, file_is_configured, file_fetch},
    {"container", false, container_is_configured, container_fetch},
    {"instance", false, instance_is_configured, instance_fetch},
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

static int pick_source(const struct rb_s3_credentials_config *config, const struct source **ret_source,
                       struct rb_error *err)
{
    for (const struct source *row = source_rows; row < source_rows + RB_COUNT(source_rows); row++) {
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
    const struct source *source = NULL;
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

/*
 * jwks.c — the public keys of a sender, fetched and kept.
 *
 * Way:  receive -> verify -> [jwks]
 */
#include "producer/jwks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/random.h"
#include "common/request.h"
#include "common/textfile.h"
#include "common/url.h"

#define JWKS_MAGIC      0x4a574b53u
#define SET_MAX_BYTES   (64 << 10)
#define FETCH_MS        10000
#define REFRESH_MS      INT64_C(43200000) /* 12 h, and up to as much again: never older than a day while the host is there */
#define REFRESHES_MAX   4                 /* at once for unknown keys, then ... */
#define REFRESH_EACH_MS 15000             /* ... one in this time: strangers can send what no key has signed */

struct rb_jwks {
    uint32_t magic;
    unsigned references;
    char *url;
    char *cache_path;     /* NULL: none */
    struct rb_http *http; /* borrowed */
    rb_loop_fn on_change;
    void *arg; /* borrowed */
    struct rb_keyset keyset;
    struct rb_request *request; /* NULL when none is under way */
    struct rb_timer *timer;
    struct rb_backoff backoff;
    int refreshes; /* left for unknown keys */
    int64_t refreshes_since_ms;
};

static void write_all(int fd, const struct rb_buffer *body, struct rb_error *err)
{
    if (write(fd, body->bytes, body->used) != (ssize_t)body->used)
        rb_fail(err, RB_E_SYSTEM, errno, "cannot write it: %s", strerror(errno));
}

/* Some hundred bytes, some times a day: written in the loop, to a new file that then takes the old one's place. */
static void write_cache(const struct rb_jwks *jwks, const struct rb_buffer *body)
{
    struct rb_error err = {0};
    char quoted[RB_LOG_QUOTE_BYTES];
    int fd;

    if (jwks->cache_path == NULL)
        return;

    RB_AUTO_TEXT *path = rb_xprintf("%s.new", jwks->cache_path);

    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        rb_fail(&err, RB_E_SYSTEM, errno, "cannot make it: %s", strerror(errno));
    else
        write_all(fd, body, &err);
    if (fd >= 0)
        close(fd);
    if (err.code == RB_E_NONE && rename(path, jwks->cache_path) < 0)
        rb_fail(&err, RB_E_SYSTEM, errno, "cannot rename it: %s", strerror(errno));
    if (err.code != RB_E_NONE)
        rb_log_error(NULL, RB_EV_KEYS_TROUBLE, &err, "file=%s", rb_log_quote(path, quoted));
}

static void read_cache(struct rb_jwks *jwks)
{
    RB_AUTO_TEXT *text = NULL;
    struct rb_error err = {0};
    char quoted[RB_LOG_QUOTE_BYTES];

    if (jwks->cache_path == NULL || access(jwks->cache_path, F_OK) != 0)
        return;
    if (rb_textfile_read(jwks->cache_path, SET_MAX_BYTES, &text, &err) < 0 ||
        rb_keyset_parse(text, strlen(text), &jwks->keyset, &err) < 0)
        rb_log_error(NULL, RB_EV_KEYS_TROUBLE, &err, "file=%s", rb_log_quote(jwks->cache_path, quoted));
}

static int take_set(struct rb_jwks *jwks, long status, const struct rb_buffer *body, struct rb_error *err)
{
    struct rb_keyset keyset = {0};
    char where[RB_URL_SAFE_BYTES];

    if (status != 200)
        return rb_fail(err, RB_E_KEYS_AWAY, (int)status, "the host of the keys answered %ld", status);
    RB_TRY(rb_keyset_parse(body->bytes != NULL ? body->bytes : "", body->used, &keyset, err));
    if (rb_keyset_same(&keyset, &jwks->keyset))
        return 0;
    jwks->keyset = keyset;
    write_cache(jwks, body);
    rb_log(NULL, RB_EV_KEYS_READ, "url=%s keys=%zu", rb_url_safe(jwks->url, where), keyset.count);
    return 0;
}

static void on_answer(long status, const struct rb_buffer *body, const struct rb_error *err, void *arg)
{
    struct rb_jwks *jwks = RB_CAST(rb_jwks, arg, JWKS_MAGIC);
    struct rb_error trouble = err != NULL ? *err : (struct rb_error){0};
    char where[RB_URL_SAFE_BYTES];
    int64_t wait_ms;

    if (err == NULL && take_set(jwks, status, body, &trouble) == 0) {
        rb_backoff_reset(&jwks->backoff);
        wait_ms = REFRESH_MS + (int64_t)(rb_random() % REFRESH_MS);
    } else {
        wait_ms = rb_backoff_next_ms(&jwks->backoff, rb_random());
        rb_log_error(NULL, RB_EV_KEYS_TROUBLE, &trouble, "url=%s keys=%zu retry_ms=%lld", rb_url_safe(jwks->url, where),
                     jwks->keyset.count, (long long)wait_ms);
    }
    rb_request_free(RB_STEAL(jwks->request));
    rb_timer_start(jwks->timer, wait_ms);
    jwks->on_change(jwks->arg);
}

static void fetch(void *arg)
{
    struct rb_jwks *jwks = RB_CAST(rb_jwks, arg, JWKS_MAGIC);
    static const char *const headers[] = {"Accept: application/json", NULL};
    const struct rb_request_spec spec = {
        .method = "GET",
        .url = jwks->url,
        .headers = headers,
        .timeout_ms = FETCH_MS,
        .max_answer_bytes = SET_MAX_BYTES,
    };

    if (jwks->request == NULL)
        jwks->request = rb_request_send(jwks->http, &spec, on_answer, jwks);
}

struct rb_jwks *rb_jwks_new(const struct rb_jwks_config *config)
{
    struct rb_jwks *jwks = rb_xalloc(sizeof(*jwks));

    *jwks = (struct rb_jwks){
        .magic = JWKS_MAGIC,
        .references = 1,
        .url = rb_xstrdup(config->url),
        .cache_path = rb_xstrdup(config->cache_path),
        .http = config->http,
        .on_change = config->on_change,
        .arg = config->arg,
        .backoff = {.first_ms = 500, .max_ms = 300000},
        .refreshes = REFRESHES_MAX,
        .refreshes_since_ms = rb_clock_ms(),
    };
    jwks->timer = rb_timer_new(config->loop, fetch, jwks);
    read_cache(jwks);
    fetch(jwks);
    return jwks;
}

struct rb_jwks *rb_jwks_ref(struct rb_jwks *jwks)
{
    jwks->references++;
    return jwks;
}

void rb_jwks_unref(struct rb_jwks *jwks)
{
    if (jwks == NULL || --jwks->references > 0)
        return;
    rb_request_free(jwks->request);
    rb_timer_free(jwks->timer);
    free(jwks->url);
    free(jwks->cache_path);
    jwks->magic = 0;
    free(jwks);
}

bool rb_jwks_is(const struct rb_jwks *jwks, const char *url, const char *cache_path)
{
    const char *path = jwks->cache_path;

    return strcmp(jwks->url, url) == 0 && (path == NULL) == (cache_path == NULL) &&
           (path == NULL || strcmp(path, cache_path) == 0);
}

const struct rb_keyset *rb_jwks_keys(const struct rb_jwks *jwks)
{
    return &jwks->keyset;
}

bool rb_jwks_refresh(struct rb_jwks *jwks)
{
    int64_t now = rb_clock_ms();
    int64_t earned = (now - jwks->refreshes_since_ms) / REFRESH_EACH_MS;

    if (jwks->request != NULL)
        return true;
    if (earned > 0) {
        jwks->refreshes = (int)RB_MIN(jwks->refreshes + earned, REFRESHES_MAX);
        jwks->refreshes_since_ms += earned * REFRESH_EACH_MS;
    }
    if (jwks->refreshes == 0)
        return false;
    jwks->refreshes--;
    fetch(jwks);
    return true;
}

bool rb_jwks_is_busy(const struct rb_jwks *jwks)
{
    return jwks->request != NULL;
}

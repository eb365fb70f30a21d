/*
 * download.c — the GET side of a transfer: requests one after the other, until all bytes are here.
 *
 * Way:  plan -> guard -> [download] -> store
 */
#include <inttypes.h>

#include "common/clock.h"
#include "common/random.h"
#include "consumer/download_internal.h"

#define LOOK_MS            1000 /* between two looks at the speed */
#define RESUME_FIRST_MS    200
#define RESUME_MAX_MS      5000
#define RESUME_WORTH_BYTES 1048576 /* with so many more, a request was not in vain */

const struct rb_url *download_url(const struct rb_download *download)
{
    return download->redirect.handle != NULL ? &download->redirect : download->spec.url;
}

const struct rb_provider *download_provider(const struct rb_download *download, const struct rb_url *url)
{
    const struct rb_provider *provider =
        download->spec.providers != NULL ? rb_providers_of_url(download->spec.providers, url) : NULL;

    return provider != NULL && provider->api.kind == RB_API_OPENAI ? provider : NULL;
}

void download_enter(struct rb_download *download, enum download_state state)
{
    const struct rb_download_limits *limits = download->spec.limits;
    int64_t now_ms = rb_clock_ms();

    download->state = state;
    switch (state) {
    case DOWNLOAD_RESOLVING:
        download->reach_until_ms = now_ms + limits->connect_timeout_ms;
        rb_timer_start(download->timer, limits->connect_timeout_ms);
        break;
    case DOWNLOAD_CONNECTING:
        rb_timer_start(download->timer, RB_MAX(download->reach_until_ms - now_ms, 1));
        break;
    case DOWNLOAD_WAITING:
        rb_timer_start(download->timer, limits->first_byte_timeout_ms);
        break;
    case DOWNLOAD_FLOWING:
        download->looked_ms = download->fast_ms = now_ms;
        download->looked_bytes = download->bytes;
        rb_timer_start(download->timer, RB_MIN(limits->low_speed_ms, LOOK_MS));
        break;
    case DOWNLOAD_RESTING:
        rb_timer_start(download->timer,
                       RB_MAX(rb_backoff_next_ms(&download->backoff, rb_random()), download->error.wait_ms));
        break;
    case DOWNLOAD_COMPLETE:
    case DOWNLOAD_BROKEN:
        rb_timer_stop(download->timer);
        rb_task_queue(&download->changed);
        break;
    }
}

static void on_resolved(void *arg);

void download_start_hop(struct rb_download *download)
{
    download->error = (struct rb_error){0};
    download_enter(download, DOWNLOAD_RESOLVING);
    rb_addresses_free(download->addresses);
    download->addresses =
        rb_addresses_new(download->loop, download->spec.guard, download_url(download), on_resolved, download);
}

/* Begin at the first URL: where it leads to may have expired meanwhile. */
static void start_request(struct rb_download *download)
{
    rb_url_done(&download->redirect);
    download->redirects = 0;
    download_start_hop(download);
}

/* Will it pass so soon that the upload can wait for it? What says "later" to the first request is left for later. */
static bool is_passing(const struct rb_download *download)
{
    switch (download->error.code) {
    case RB_E_SOURCE_CUT:
    case RB_E_SOURCE_SLOW:
    case RB_E_SOURCE_AWAY:
        return true;
    case RB_E_SOURCE_BUSY:
    case RB_E_SOURCE_LIMITS:
        return download->resumes > 0 && download->error.wait_ms <= RESUME_MAX_MS;
    default: /* of these SOURCE_CHANGED: there is no rest of what we have */
        return false;
    }
}

/* Is it worth asking for the rest? Only when the source says by what we can know the video again. */
static bool may_resume(struct rb_download *download)
{
    if (download->bytes == 0 || download->validator == NULL || !is_passing(download))
        return false;
    if (download->bytes - download->resumed_at >= RESUME_WORTH_BYTES) {
        download->in_vain = 0;
        rb_backoff_reset(&download->backoff);
    }
    return download->in_vain < download->spec.limits->resume_max;
}

void download_failed(struct rb_download *download)
{
    struct rb_error *err = &download->error;

    if (download->redirects > 0 && (err->code == RB_E_URL_INVALID || err->code == RB_E_URL_REFUSED)) {
        struct rb_error cause = *err;

        rb_fail(err, cause.code, cause.detail, "the source redirects to where it must not: %.180s", cause.message);
    }
    if (!may_resume(download)) {
        download_enter(download, DOWNLOAD_BROKEN);
        return;
    }
    download->in_vain++;
    download->resumes++;
    download->resumed_at = download->bytes;
    download_enter(download, DOWNLOAD_RESTING);
}

static void on_resolved(void *arg)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);
    const char *pin = NULL;

    switch (rb_addresses_poll(download->addresses, &pin, &download->error)) {
    case RB_POLL_WAIT:
        return;
    case RB_POLL_FAILED:
        download_failed(download);
        return;
    case RB_POLL_DONE:
        download_enter(download, DOWNLOAD_CONNECTING);
        download_request_start(download, pin);
        return;
    }
}

/* What a source is too slow for ends its request. */
static void give_up_request(struct rb_download *download, const char *what, int64_t ms)
{
    rb_addresses_free(download->addresses);
    download->addresses = NULL;
    rb_http_remove(download->spec.http, download->easy);
    download->paused = false;
    rb_fail(&download->error, RB_E_SOURCE_SLOW, 0, "%s within %" PRId64 " ms", what, ms);
    download_failed(download);
}

/* Too slow is who was so at every look for so long. While it waits for us, a source cannot be slow; and when the looks
 * themselves came late, we were. */
static bool is_too_slow(struct rb_download *download)
{
    const struct rb_download_limits *limits = download->spec.limits;
    int64_t now_ms = rb_clock_ms();
    int64_t passed_ms = RB_MAX(now_ms - download->looked_ms, 1);
    int64_t came = download->bytes - download->looked_bytes;

    if (download->paused || download->was_paused || passed_ms > 3 * LOOK_MS ||
        came * 1000 / passed_ms >= limits->low_speed_bytes)
        download->fast_ms = now_ms;
    download->was_paused = download->paused;
    download->looked_ms = now_ms;
    download->looked_bytes = download->bytes;
    return now_ms - download->fast_ms >= limits->low_speed_ms;
}

static void on_timer(void *arg)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);
    const struct rb_download_limits *limits = download->spec.limits;

    switch (download->state) {
    case DOWNLOAD_RESOLVING:
        give_up_request(download, "the source's host was not looked up", limits->connect_timeout_ms);
        break;
    case DOWNLOAD_CONNECTING:
        give_up_request(download, "the source could not be reached", limits->connect_timeout_ms);
        break;
    case DOWNLOAD_WAITING:
        if (download->paused) /* for room in flight */
            rb_timer_start(download->timer, limits->first_byte_timeout_ms);
        else
            give_up_request(download, "the source sent no byte of the video", limits->first_byte_timeout_ms);
        break;
    case DOWNLOAD_FLOWING:
        if (is_too_slow(download))
            give_up_request(download, "the source sent too little", limits->low_speed_ms);
        else
            rb_timer_start(download->timer, RB_MIN(limits->low_speed_ms, LOOK_MS));
        break;
    case DOWNLOAD_RESTING:
        start_request(download);
        break;
    case DOWNLOAD_COMPLETE:
    case DOWNLOAD_BROKEN:
        break;
    }
}

static void tell_owner(void *arg)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);

    if (!download->share.waiting && rb_byteq_is_low(download->spec.queue))
        rb_download_resume(download); /* it may be its turn to fly */
    download->spec.on_change(download->spec.arg);
}

/* From whoever has landed: go on from the loop. */
static void on_turn(void *arg)
{
    rb_task_queue(&RB_CAST(rb_download, arg, DOWNLOAD_MAGIC)->changed);
}

struct rb_download *rb_download_new(struct rb_loop *loop, const struct rb_download_spec *spec)
{
    struct rb_download *download = rb_xalloc(sizeof(*download));

    *download = (struct rb_download){.magic = DOWNLOAD_MAGIC,
                                     .spec = *spec,
                                     .loop = loop,
                                     .length = -1,
                                     .share = {.rank = spec->rank, .on_turn = on_turn, .arg = download},
                                     .backoff = {.first_ms = RESUME_FIRST_MS, .max_ms = RESUME_MAX_MS}};
    rb_task_init(&download->changed, loop, tell_owner, download);
    download->timer = rb_timer_new(loop, on_timer, download);
    if (spec->providers != NULL)
        rb_providers_ref(spec->providers);
    download->provider = download_provider(download, spec->url);
    rb_source_head_init(&download->head);
    download_request_init(download);
    start_request(download);
    return download;
}

void rb_download_free(struct rb_download *download)
{
    if (download == NULL)
        return;
    rb_addresses_free(download->addresses);
    download_request_done(download);
    rb_in_flight_leave(&download->share);
    rb_providers_unref(download->spec.providers);
    rb_timer_free(download->timer);
    rb_task_done(&download->changed);
    rb_url_done(&download->redirect);
    free(download->validator);
    download->magic = 0;
    free(download);
}

enum rb_poll rb_download_poll(const struct rb_download *download, struct rb_error *err)
{
    if (download->state == DOWNLOAD_BROKEN)
        *err = download->error;
    return download->state == DOWNLOAD_BROKEN     ? RB_POLL_FAILED
           : download->state == DOWNLOAD_COMPLETE ? RB_POLL_DONE
                                                  : RB_POLL_WAIT;
}

void rb_download_resume(struct rb_download *download)
{
    if (!download->paused)
        return;
    download->paused = false; /* first: unpausing may call on_body at once */
    curl_easy_pause(download->easy, CURLPAUSE_CONT);
    if (download->error.code == RB_E_NONE)
        return;
    /* on_body has refused what libcurl had kept; libcurl 7.88 would go on with what comes behind it */
    rb_http_remove(download->spec.http, download->easy);
    download->paused = false;
    download_failed(download);
}

int64_t rb_download_bytes(const struct rb_download *download)
{
    return download->bytes;
}

int64_t rb_download_length(const struct rb_download *download)
{
    return download->length;
}

const char *rb_download_type(const struct rb_download *download)
{
    return download->head.content_type;
}

bool rb_download_is_framed(const struct rb_download *download)
{
    return download->framed;
}

bool rb_download_is_paused(const struct rb_download *download)
{
    return download->paused;
}

bool rb_download_waits_for_turn(const struct rb_download *download)
{
    return download->share.waiting;
}

unsigned rb_download_resumes(const struct rb_download *download)
{
    return download->resumes;
}

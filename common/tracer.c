/*
 * tracer.c — sends traces to a collector, by OTLP over HTTP, in JSON.
 *
 * Way:  common
 */
#include "common/tracer.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/random.h"
#include "common/request.h"
#include "common/sampler.h"
#include "common/url.h"

#define TRACER_MAGIC 0x54524143u
#define WAIT_MS      1000 /* for more spans, to be sent together */
#define BATCH_MAX    256
#define KEPT_MAX     4096 /* spans in memory, about a KiB each */
#define TRIES_MAX    8    /* of one batch; half a minute or so */
#define FIRST_MS     250
#define MAX_MS       10000
#define TIMEOUT_MS   10000
#define DRAIN_MS     2000
#define ANSWER_MAX   (64 << 10)
#define HEADERS_MAX  16
#define PATH         "/v1/traces"
#define CONTENT_TYPE "Content-Type: application/json"

struct rb_tracer {
    uint32_t magic;
    struct rb_http *http;
    struct rb_timer *timer;
    char *url;
    char *service;
    struct rb_sampler sampler;
    char instance[RB_UUID_TEXT_BYTES];
    char *headers[HEADERS_MAX + 2]; /* owned; NULL at the end */
    struct rb_metrics *metrics;     /* borrowed */
    size_t sent;
    size_t dropped;
    json_t *waiting; /* array of spans */
    json_t *batch;   /* those of the request that is out or is tried again; NULL for none */
    struct rb_request *request;
    struct rb_backoff backoff;
    bool failing;          /* the last request did not go well, and that was said */
    int64_t drain_from_ms; /* 0: not yet */
};

/* -- sending ------------------------------------------------------------------------------------------------------- */

static void on_answered(long status, const struct rb_buffer *body, const struct rb_error *trouble, void *arg);

static void send_batch(struct rb_tracer *tracer)
{
    RB_AUTO_TEXT *body = rb_span_request(tracer->batch, tracer->service, tracer->instance);
    const struct rb_request_spec spec = {
        .method = "POST",
        .url = tracer->url,
        .body = body,
        .body_bytes = strlen(body),
        .headers = (const char *const *)tracer->headers,
        .timeout_ms = TIMEOUT_MS,
        .max_answer_bytes = ANSWER_MAX,
    };

    tracer->request = rb_request_send(tracer->http, &spec, on_answered, tracer);
}

/* The oldest go first, so many at once. */
static json_t *take_batch(struct rb_tracer *tracer)
{
    json_t *batch = json_array();
    json_t *rest = json_array();

    for (size_t i = 0; i < json_array_size(tracer->waiting); i++)
        json_array_append(i < BATCH_MAX ? batch : rest, json_array_get(tracer->waiting, i));
    json_decref(tracer->waiting);
    tracer->waiting = rest;
    return batch;
}

static void on_timer(void *arg)
{
    struct rb_tracer *tracer = RB_CAST(rb_tracer, arg, TRACER_MAGIC);

    if (tracer->request != NULL)
        return;
    if (tracer->batch == NULL && json_array_size(tracer->waiting) > 0)
        tracer->batch = take_batch(tracer);
    if (tracer->batch != NULL)
        send_batch(tracer);
}

/* This batch is done with, for better or worse. */
static void end_batch(struct rb_tracer *tracer, size_t metric)
{
    rb_metrics_add(tracer->metrics, metric, (int64_t)json_array_size(tracer->batch));
    json_decref(tracer->batch);
    tracer->batch = NULL;
    rb_backoff_reset(&tracer->backoff);
    if (json_array_size(tracer->waiting) > 0)
        rb_timer_start(tracer->timer, json_array_size(tracer->waiting) >= BATCH_MAX ? 0 : WAIT_MS);
}

/* Once, until it is well again. */
static void tell_trouble(struct rb_tracer *tracer, const struct rb_error *err)
{
    char url[RB_URL_SAFE_BYTES];

    if (!tracer->failing)
        rb_log_error(NULL, RB_EV_TRACES_FAIL, err, "url=%s", rb_url_safe(tracer->url, url));
    tracer->failing = true;
}

static void take_well(struct rb_tracer *tracer)
{
    char url[RB_URL_SAFE_BYTES];

    if (tracer->failing)
        rb_log(NULL, RB_EV_TRACES_GO, "url=%s", rb_url_safe(tracer->url, url));
    tracer->failing = false;
    end_batch(tracer, tracer->sent);
}

static void on_answered(long status, const struct rb_buffer *body, const struct rb_error *trouble, void *arg)
{
    struct rb_tracer *tracer = RB_CAST(rb_tracer, arg, TRACER_MAGIC);
    bool again = status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
    int64_t asked_ms = rb_request_retry_after_ms(tracer->request);
    struct rb_error err = {0};

    (void)body;
    rb_request_free(RB_STEAL(tracer->request));
    if (status >= 200 && status < 300) {
        take_well(tracer);
        return;
    }
    rb_fail(&err, RB_E_COLLECTOR_AWAY, (int)status, "%.200s",
            trouble != NULL ? trouble->message : "the collector does not take spans");
    tell_trouble(tracer, &err);
    if (again && tracer->backoff.tries + 1 < TRIES_MAX)
        rb_timer_start(tracer->timer,
                       RB_MAX(rb_backoff_next_ms(&tracer->backoff, rb_random()), RB_MIN(asked_ms, MAX_MS)));
    else
        end_batch(tracer, tracer->dropped);
}

void rb_tracer_decide(const struct rb_tracer *tracer, struct rb_trace *trace)
{
    if (tracer != NULL)
        rb_sampler_decide(&tracer->sampler, trace);
}

void rb_tracer_add(struct rb_tracer *tracer, const struct rb_span *span)
{
    size_t count;

    if (tracer == NULL || !rb_trace_is_sampled(span->trace))
        return;
    count = json_array_size(tracer->waiting);
    if (count >= KEPT_MAX) {
        rb_metrics_add(tracer->metrics, tracer->dropped, 1);
        return;
    }
    json_array_append_new(tracer->waiting, rb_span_json(span));
    if (tracer->batch != NULL)
        return; /* whatever becomes of that one, these come next */
    if (count + 1 == BATCH_MAX)
        rb_timer_start(tracer->timer, 0);
    else if (count == 0)
        rb_timer_start(tracer->timer, WAIT_MS);
}

void rb_tracer_add_part(struct rb_tracer *tracer, const struct rb_trace *trace, const char *name,
                        enum rb_span_kind kind, int64_t from_ms, const struct rb_error *err)
{
    char id[17];

    if (tracer == NULL)
        return;

    const struct rb_span span = {
        .trace = trace,
        .id = rb_random_hex(16, id),
        .parent_id = trace->span_id,
        .name = name,
        .kind = kind,
        .from = rb_clock_unix_of(from_ms),
        .to = rb_clock_unix_ms(),
        .error = err,
    };

    rb_tracer_add(tracer, &span);
}

bool rb_tracer_drain(struct rb_tracer *tracer)
{
    if (tracer == NULL)
        return true;
    if (tracer->drain_from_ms == 0)
        tracer->drain_from_ms = rb_clock_ms();
    if (tracer->batch == NULL)
        on_timer(tracer);
    return tracer->batch == NULL || tracer->failing || rb_clock_ms() - tracer->drain_from_ms >= DRAIN_MS;
}

/* -- made and freed ------------------------------------------------------------------------------------------------ */

static int read_url(const char *text, char **ret_url, struct rb_error *err)
{
    RB_AUTO_URL url = {0};
    struct rb_error cause = {0};
    size_t length = strlen(text);

    if (rb_url_parse(text, &url, &cause) < 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'otlp_url': %.200s", cause.message);
    if (strpbrk(text, "?#") != NULL)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'otlp_url' has a query or a fragment, but " PATH " is put behind it");
    while (length > 0 && text[length - 1] == '/')
        length--;
    *ret_url = rb_xprintf("%.*s%s", (int)length, text, PATH);
    return 0;
}

/* As OTEL_EXPORTER_OTLP_HEADERS has them: values may be encoded as in URLs. What is wrong is not shown: it may be a password. */
static int read_headers(const char *text, struct rb_tracer *tracer, struct rb_error *err)
{
    RB_AUTO_TEXT *copy = rb_xstrdup(text);
    char *rest = copy;
    size_t count = 0;

    tracer->headers[count++] = rb_xstrdup(CONTENT_TYPE);
    for (char *pair; (pair = strsep(&rest, ",")) != NULL;) {
        char *equals = strchr(pair, '=');

        pair += strspn(pair, " ");
        if (*pair == '\0')
            continue;
        if (equals == NULL || equals == pair || strpbrk(pair, "\r\n") != NULL || count > HEADERS_MAX)
            return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'otlp_headers' is not name=value, parted by commas");
        *equals = '\0';

        char *value = curl_easy_unescape(NULL, equals + 1, 0, NULL);
        bool good = value != NULL && strpbrk(value, "\r\n") == NULL;

        if (good)
            tracer->headers[count++] = rb_xprintf("%s: %s", pair, value);
        curl_free(value);
        if (!good)
            return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'otlp_headers' has a line feed");
    }
    return 0;
}

int rb_tracer_new(struct rb_loop *loop, const struct rb_tracer_config *config, struct rb_tracer **ret_tracer,
                  struct rb_error *err)
{
    struct rb_tracer *tracer;

    *ret_tracer = NULL;
    if (config->url[0] == '\0')
        return 0;
    tracer = rb_xalloc(sizeof(*tracer));
    *tracer = (struct rb_tracer){
        .magic = TRACER_MAGIC,
        .http = rb_http_new(loop, 0),
        .service = rb_xstrdup(config->service),
        .metrics = config->metrics,
        .sent = config->sent,
        .dropped = config->dropped,
        .waiting = json_array(),
        .backoff = {.first_ms = FIRST_MS, .max_ms = MAX_MS},
    };
    tracer->timer = rb_timer_new(loop, on_timer, tracer);
    rb_uuid_new(tracer->instance);
    if (read_url(config->url, &tracer->url, err) < 0 || read_headers(config->headers, tracer, err) < 0 ||
        rb_sampler_read(config->sampler, config->sampler_arg, &tracer->sampler, err) < 0) {
        rb_tracer_free(tracer);
        return -1;
    }
    *ret_tracer = tracer;
    return 0;
}

void rb_tracer_free(struct rb_tracer *tracer)
{
    if (tracer == NULL)
        return;
    rb_request_free(tracer->request);
    rb_http_free(tracer->http);
    rb_timer_free(tracer->timer);
    json_decref(tracer->waiting);
    json_decref(tracer->batch);
    for (size_t i = 0; tracer->headers[i] != NULL; i++)
        free(tracer->headers[i]);
    free(tracer->url);
    free(tracer->service);
    tracer->magic = 0;
    free(tracer);
}

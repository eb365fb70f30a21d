/*
 * request.c — one small HTTP request to a configured service.
 *
 * Way:  common
 */
#include "common/request.h"

#include "common/version.h"

#define REQUEST_MAGIC 0x52455155u

struct rb_request {
    uint32_t magic;
    struct rb_http *http; /* borrowed */
    CURL *easy;
    struct curl_slist *headers;
    struct rb_buffer answer;
    size_t max_answer_bytes;
    bool too_large;
    char trouble[CURL_ERROR_SIZE];
    rb_request_done_fn on_done;
    void *arg; /* borrowed */
};

static size_t on_body(char *bytes, size_t one, size_t count, void *arg)
{
    struct rb_request *request = RB_CAST(rb_request, arg, REQUEST_MAGIC);
    size_t n = one * count;

    if (n > request->max_answer_bytes - request->answer.used) {
        request->too_large = true;
        return 0;
    }
    rb_buffer_add(&request->answer, bytes, n);
    return n;
}

static void on_finished(CURL *easy, CURLcode result, void *arg)
{
    struct rb_request *request = RB_CAST(rb_request, arg, REQUEST_MAGIC);
    struct rb_error err = {0};
    long status = 0;

    if (result == CURLE_OK) {
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        request->on_done(status, &request->answer, NULL, request->arg);
        return;
    }
    if (request->too_large)
        rb_fail(&err, RB_E_SOURCE_AWAY, (int)result, "the answer is over %zu bytes", request->max_answer_bytes);
    else
        rb_fail(&err, RB_E_SOURCE_AWAY, (int)result, "%.160s",
                request->trouble[0] != '\0' ? request->trouble : curl_easy_strerror(result));
    request->on_done(0, &request->answer, &err, request->arg);
}

static void set_up(struct rb_request *request, const struct rb_request_spec *spec)
{
    CURL *easy = request->easy;

    for (const char *const *header = spec->headers; header != NULL && *header != NULL; header++)
        request->headers = curl_slist_append(request->headers, *header);
    request->headers = curl_slist_append(request->headers, "Expect:");
    curl_easy_setopt(easy, CURLOPT_URL, spec->url);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, spec->method);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    if (spec->body != NULL) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)spec->body_bytes);
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, spec->body);
    }
    if (spec->user_and_password != NULL && spec->user_and_password[0] != '\0')
        curl_easy_setopt(easy, CURLOPT_USERPWD, spec->user_and_password);
    if (spec->direct)
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->trouble);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)spec->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "reelbus/" RB_VERSION);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
}

struct rb_request *rb_request_send(struct rb_http *http, const struct rb_request_spec *spec, rb_request_done_fn on_done,
                                   void *arg)
{
    struct rb_request *request = rb_xalloc(sizeof(*request));

    *request = (struct rb_request){
        .magic = REQUEST_MAGIC,
        .http = http,
        .easy = curl_easy_init(),
        .max_answer_bytes = spec->max_answer_bytes,
        .on_done = on_done,
        .arg = arg,
    };
    if (request->easy == NULL)
        RB_BUG("libcurl cannot make an easy handle");
    set_up(request, spec);
    rb_http_add(http, request->easy, on_finished, request);
    return request;
}

int64_t rb_request_retry_after_ms(const struct rb_request *request)
{
    curl_off_t seconds = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &seconds);
    return RB_MIN(RB_MAX((int64_t)seconds, 0), INT64_MAX / 1000) * 1000;
}

void rb_request_free(struct rb_request *request)
{
    if (request == NULL)
        return;
    rb_http_remove(request->http, request->easy);
    curl_easy_cleanup(request->easy);
    curl_slist_free_all(request->headers);
    rb_buffer_done(&request->answer);
    request->magic = 0;
    free(request);
}

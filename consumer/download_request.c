/*
 * download_request.c — one request of a download: what libcurl is told, and what it asks us.
 *
 * Way:  plan -> guard -> [download] -> store
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/version.h"
#include "consumer/download_internal.h"

#define BUFFER_SHARE 4 /* what libcurl takes at once: this part of the queue */
#define BUFFER_MAX   65536

/* libcurl asks for a socket to each address that it tries. All were judged when the name was resolved: this is the lock
 * on the door, whatever way an address may have taken. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);

    (void)purpose;
    if (rb_guard_address(download->spec.guard, &address->addr, &download->error) < 0)
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Connected, by TLS too. A connection from the cache has not asked for a socket: its address is judged again. */
static int on_before_request(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    const struct sockaddr *address = NULL;

    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    if (inet_pton(AF_INET, remote_ip, &in4.sin_addr) == 1)
        address = (const struct sockaddr *)&in4;
    else if (inet_pton(AF_INET6, remote_ip, &in6.sin6_addr) == 1)
        address = (const struct sockaddr *)&in6;
    if (address == NULL || rb_guard_address(download->spec.guard, address, &download->error) < 0)
        return CURL_PREREQFUNC_ABORT;
    download_enter(download, DOWNLOAD_WAITING);
    return CURL_PREREQFUNC_OK;
}

/* The first answer says what the video is; the answers to later requests must be about the same. */
static int take_head(struct rb_download *download)
{
    const struct rb_source_rest rest = {download->bytes, download->length, download->validator};
    struct rb_source_head *head = &download->head;

    if (head->status != 200 && (head->status != 206 || download->bytes == 0))
        return 0;
    if (download->bytes > 0)
        RB_TRY(rb_source_head_check_rest(head, &rest, &download->error));
    RB_TRY(rb_source_head_check(head, download->spec.limits->max_bytes, &download->error));
    download->accepted = true;
    download->framed = rb_source_head_is_framed(head);
    if (download->bytes > 0) {
        download->length = RB_MAX(download->length, head->total);
        return 0;
    }
    download->length = head->chunked ? -1 : head->length;
    free(download->validator);
    download->validator = rb_xstrdup(rb_source_head_validator(head));
    return 0;
}

static size_t on_header(char *line, size_t one, size_t count, void *arg)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);
    bool had = download->head.complete;

    if (rb_source_head_line(&download->head, line, one * count, &download->error) < 0)
        return 0;
    if (download->head.complete && !had && take_head(download) < 0)
        return 0;
    return one * count;
}

/* What it counts as among what is in flight. */
static int64_t size_to_take(const struct rb_download *download)
{
    if (download->length >= 0)
        return download->length;
    return rb_in_flight_unsaid(download->spec.in_flight, download->spec.limits->max_bytes);
}

/* Is there room for it now? When not, libcurl keeps the bytes and offers them again. */
static bool has_room(struct rb_download *download, size_t count)
{
    if (count > rb_byteq_room(download->spec.queue))
        return false;
    if (download->share.in_flight == NULL &&
        !rb_in_flight_take(download->spec.in_flight, &download->share, size_to_take(download)))
        rb_task_queue(&download->changed); /* the owner's clock stands still from now on */
    return !download->share.waiting;
}

static size_t on_body(char *bytes, size_t one, size_t count, void *arg)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);
    size_t n = one * count;

    if (!download->accepted)
        return 0; /* the body of a redirect or an error is of no use: the status tells all */
    if (!has_room(download, n)) {
        download->paused = download->was_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (download->bytes + (int64_t)n > download->spec.limits->max_bytes) {
        rb_fail(&download->error, RB_E_TOO_LARGE, 0, "the video has more bytes than the limit of %" PRId64,
                download->spec.limits->max_bytes);
        return 0;
    }
    if (download->spec.tap((const uint8_t *)bytes, n, download->spec.arg, &download->error) < 0)
        return 0;
    if (download->state == DOWNLOAD_WAITING)
        download_enter(download, DOWNLOAD_FLOWING);
    rb_byteq_put(download->spec.queue, bytes, n);
    download->bytes += (int64_t)n;
    if (download->bytes > download->share.bytes)
        rb_in_flight_grow(&download->share, download->bytes - download->share.bytes);
    rb_task_queue(&download->changed);
    return n;
}

static void on_finished(CURL *easy, CURLcode result, void *arg)
{
    (void)easy;
    download_answered(RB_CAST(rb_download, arg, DOWNLOAD_MAGIC), result);
}

static void set_policy(struct rb_download *download)
{
    CURL *easy = download->easy;

    if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, download->spec.guard->https_only ? "https" : "http,https") !=
        CURLE_OK)
        RB_BUG("libcurl does not know http or https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* a proxy's address would be judged instead of the source's */
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_UNRESTRICTED_AUTH, 0L);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, download);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_before_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, download);
}

void download_request_init(struct rb_download *download)
{
    CURL *easy = curl_easy_init();

    if (easy == NULL)
        RB_BUG("libcurl cannot make an easy handle");
    download->easy = easy;
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "reelbus/" RB_VERSION);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, download->trouble);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, download);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, download);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE,
                     (long)RB_MIN(rb_byteq_cap(download->spec.queue) / BUFFER_SHARE, BUFFER_MAX));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)download->spec.limits->connect_timeout_ms);
    set_policy(download);
}

/* libcurl has the only copy of these; it keeps them as long as they are set. */
static void free_lists(struct rb_download *download)
{
    curl_easy_setopt(download->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(download->easy, CURLOPT_RESOLVE, NULL);
    for (struct curl_slist *header = download->headers; header != NULL; header = header->next)
        OPENSSL_cleanse(header->data, strlen(header->data));
    curl_slist_free_all(download->headers);
    curl_slist_free_all(download->pins);
    download->headers = download->pins = NULL;
}

static void add_header(struct rb_download *download, const char *line)
{
    download->headers = curl_slist_append(download->headers, line);
}

/* The key goes to the API that the first URL belongs to; a redirect that leads away from there does not get it. */
static void add_key(struct rb_download *download)
{
    const struct rb_provider *provider = download_provider(download, download_url(download));
    char *line = provider != NULL && provider == download->provider ? rb_provider_auth_line(provider) : NULL;

    if (line == NULL)
        return;
    add_header(download, line);
    OPENSSL_cleanse(line, strlen(line));
    free(line);
}

static void set_headers(struct rb_download *download)
{
    add_header(download, download->spec.accept);
    add_header(download, "Accept-Encoding: identity");
    if (download->bytes > 0) {
        RB_AUTO_TEXT *range = rb_xprintf("Range: bytes=%" PRId64 "-", download->bytes);
        RB_AUTO_TEXT *condition = rb_xprintf("If-Range: %s", download->validator);

        add_header(download, range);
        add_header(download, condition);
    }
    add_key(download);
    curl_easy_setopt(download->easy, CURLOPT_HTTPHEADER, download->headers);
}

void download_request_start(struct rb_download *download, const char *pin)
{
    free_lists(download);
    set_headers(download);
    if (pin != NULL)
        download->pins = curl_slist_append(NULL, pin);
    curl_easy_setopt(download->easy, CURLOPT_RESOLVE, download->pins);
    curl_easy_setopt(download->easy, CURLOPT_CURLU, download_url(download)->handle);
    rb_source_head_done(&download->head);
    download->accepted = false;
    download->trouble[0] = '\0';
    download->paused = false;
    rb_http_add(download->spec.http, download->easy, on_finished, download);
}

void download_request_done(struct rb_download *download)
{
    rb_http_remove(download->spec.http, download->easy);
    free_lists(download);
    curl_easy_cleanup(download->easy);
    rb_source_head_done(&download->head);
}

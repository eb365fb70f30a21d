/*
 * download.c — the GET side of a transfer.
 *
 * Way:  plan -> guard -> [download] -> store
 */
#include "consumer/download.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include "common/errmap.h"
#include "common/version.h"

#define DOWNLOAD_MAGIC 0x444f574eu
#define REDIRECTS_MAX  5
#define BUFFER_BYTES   65536L

enum download_state { RUNNING, COMPLETE, BROKEN };

struct rb_download {
    uint32_t magic;
    struct rb_download_spec spec;
    CURL *easy;
    struct curl_slist *headers;
    const struct rb_provider *provider; /* whose API the first URL belongs to; borrowed from spec.providers */
    struct rb_url redirect;             /* where we were sent to; empty at the first URL */
    unsigned redirects;
    enum download_state state;
    struct rb_error error;  /* of the first thing that went wrong; code NONE until then */
    struct rb_task changed; /* tells the owner from the loop: it may free us then */
    bool may_connect;       /* at least one address of the name is allowed */
    bool paused;
    int64_t bytes;
    int64_t length; /* of the whole video, as the source says; -1 when it does not */
    char trouble[CURL_ERROR_SIZE];
};

static const struct rb_url *current_url(const struct rb_download *download)
{
    return download->redirect.handle != NULL ? &download->redirect : download->spec.url;
}

/* libcurl asks for a socket to each address that it tries: refused addresses get none. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);
    struct rb_error refusal = {0};

    (void)purpose;
    if (rb_guard_address(download->spec.guard, &address->addr, &refusal) < 0) {
        if (!download->may_connect)
            download->error = refusal; /* stands unless another address of the name is allowed */
        return CURL_SOCKET_BAD;
    }
    download->may_connect = true;
    download->error = (struct rb_error){0};
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* A connection from the cache has not asked for a socket: the address that it leads to is judged again. */
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
    return CURL_PREREQFUNC_OK;
}

static bool header_value(const char *line, size_t bytes, const char *name, char *ret_value, size_t room)
{
    size_t length = strlen(name);
    size_t used = 0;

    if (bytes <= length || strncasecmp(line, name, length) != 0 || line[length] != ':')
        return false;
    for (size_t i = length + 1; i < bytes && used + 1 < room; i++)
        if (!isspace((unsigned char)line[i]))
            ret_value[used++] = (char)tolower((unsigned char)line[i]);
    ret_value[used] = '\0';
    return true;
}

/* What libcurl 7.88 would decode unasked, or overlook, ends the download. */
static int check_header(struct rb_download *download, const char *line, size_t bytes)
{
    char value[80];

    if (header_value(line, bytes, "content-encoding", value, sizeof(value)) && strcmp(value, "identity") != 0 &&
        value[0] != '\0')
        return rb_fail(&download->error, RB_E_SOURCE_ENCODED, 0, "the source encoded the body as '%.40s' unasked",
                       value);
    if (header_value(line, bytes, "transfer-encoding", value, sizeof(value)) && strcmp(value, "chunked") != 0)
        return rb_fail(&download->error, RB_E_SOURCE_ENCODED, 0, "the source encoded the transfer as '%.40s' unasked",
                       value);
    if (header_value(line, bytes, "content-type", value, sizeof(value)) &&
        (strncmp(value, "text/html", 9) == 0 || strncmp(value, "application/json", 16) == 0 ||
         strncmp(value, "application/xml", 15) == 0 || strncmp(value, "text/xml", 8) == 0))
        return rb_fail(&download->error, RB_E_SOURCE_PAGE, 0, "the source sent '%.40s' instead of a video", value);
    if (header_value(line, bytes, "content-length", value, sizeof(value)) &&
        strtoll(value, NULL, 10) > download->spec.limits->max_bytes)
        return rb_fail(&download->error, RB_E_TOO_LARGE, 0, "the video has %.30s bytes, more than the limit of %lld",
                       value, (long long)download->spec.limits->max_bytes);
    return 0;
}

static size_t on_header(char *line, size_t one, size_t count, void *arg)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);
    long status = 0;

    curl_easy_getinfo(download->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200 && check_header(download, line, one * count) < 0)
        return 0;
    return one * count;
}

static void take_length(struct rb_download *download)
{
    curl_off_t length = -1;

    curl_easy_getinfo(download->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    download->length = length;
}

static size_t on_body(char *bytes, size_t one, size_t count, void *arg)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);
    size_t n = one * count;
    long status = 0;

    curl_easy_getinfo(download->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return 0; /* the body of a redirect or an error is of no use: the status tells all */
    if (n > rb_byteq_room(download->spec.queue)) {
        download->paused = true; /* libcurl keeps them and offers the same bytes again */
        return CURL_WRITEFUNC_PAUSE;
    }
    if (download->bytes + (int64_t)n > download->spec.limits->max_bytes) {
        rb_fail(&download->error, RB_E_TOO_LARGE, 0, "the video has more bytes than the limit of %lld",
                (long long)download->spec.limits->max_bytes);
        return 0;
    }
    if (download->spec.tap((const uint8_t *)bytes, n, download->spec.arg, &download->error) < 0)
        return 0;
    if (download->bytes == 0)
        take_length(download);
    rb_byteq_put(download->spec.queue, bytes, n);
    download->bytes += (int64_t)n;
    rb_task_queue(&download->changed);
    return n;
}

static void download_end(struct rb_download *download, enum download_state state)
{
    download->state = state;
    rb_task_queue(&download->changed);
}

static void download_start(struct rb_download *download);

static int take_redirect(struct rb_download *download, long status)
{
    const struct rb_url *from = current_url(download);
    struct rb_url next = {0};
    char *location = NULL;
    struct rb_error *err = &download->error;

    curl_easy_getinfo(download->easy, CURLINFO_REDIRECT_URL, &location);
    if (location == NULL)
        return rb_fail(err, RB_E_SOURCE_REDIRECTS, (int)status, "the source redirects to nowhere");
    if (++download->redirects > REDIRECTS_MAX)
        return rb_fail(err, RB_E_SOURCE_REDIRECTS, (int)status, "the source redirects more than %d times",
                       REDIRECTS_MAX);
    RB_TRY(rb_url_parse(location, &next, err));
    if (strcmp(from->scheme, "https") == 0 && strcmp(next.scheme, "https") != 0) {
        rb_url_done(&next);
        return rb_fail(err, RB_E_URL_REFUSED, (int)status, "the source redirects from https to http");
    }
    if (rb_guard_url(download->spec.guard, &next, err) < 0) {
        rb_url_done(&next);
        return -1;
    }
    rb_url_done(&download->redirect);
    download->redirect = next;
    return 0;
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Nothing of ours went wrong before: what libcurl says counts. */
static void fail_by_curl(struct rb_download *download, CURLcode result)
{
    rb_fail(&download->error, rb_errmap_source_curl(result), (int)result, "cannot fetch the video: %.150s",
            download->trouble[0] != '\0' ? download->trouble : curl_easy_strerror(result));
}

static void on_finished(CURL *easy, CURLcode result, void *arg)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (download->error.code != RB_E_NONE) {
        download_end(download, BROKEN);
    } else if (is_redirect(status) && (result == CURLE_OK || result == CURLE_WRITE_ERROR)) {
        if (take_redirect(download, status) < 0)
            download_end(download, BROKEN);
        else
            download_start(download);
    } else if (status != 0 && status != 200) {
        rb_fail(&download->error, rb_errmap_source_status(status), (int)status, "the source answered %ld", status);
        download_end(download, BROKEN);
    } else if (result != CURLE_OK) {
        fail_by_curl(download, result);
        download_end(download, BROKEN);
    } else {
        download_end(download, COMPLETE);
    }
}

static void set_policy(struct rb_download *download)
{
    CURL *easy = download->easy;

    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, download->spec.guard->https_only ? "https" : "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* a proxy's address would be judged instead of the source's */
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_UNRESTRICTED_AUTH, 0L);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, download);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_before_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, download);
}

static void set_limits(struct rb_download *download)
{
    const struct rb_download_limits *limits = download->spec.limits;
    CURL *easy = download->easy;

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)limits->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)limits->low_speed_bytes);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)RB_MAX(limits->low_speed_ms / 1000, 1));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)limits->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
}

static const struct rb_provider *provider_of(const struct rb_download *download, const struct rb_url *url)
{
    const struct rb_provider *provider =
        download->spec.providers != NULL ? rb_providers_of_url(download->spec.providers, url) : NULL;

    return provider != NULL && provider->api.kind == RB_API_OPENAI ? provider : NULL;
}

/* libcurl has the only copy of these; it keeps them as long as they are set. */
static void free_headers(struct rb_download *download)
{
    for (struct curl_slist *header = download->headers; header != NULL; header = header->next)
        OPENSSL_cleanse(header->data, strlen(header->data));
    curl_slist_free_all(download->headers);
    download->headers = NULL;
}

/* The key goes to the API that the first URL belongs to; a redirect that leads away from there does not get it. */
static void set_headers(struct rb_download *download)
{
    const struct rb_provider *provider = provider_of(download, current_url(download));
    char *line = provider != NULL && provider == download->provider ? rb_provider_auth_line(provider) : NULL;

    curl_easy_setopt(download->easy, CURLOPT_HTTPHEADER, NULL);
    free_headers(download);
    download->headers = curl_slist_append(NULL, "Accept: video/mp4, video/*, application/octet-stream");
    if (line != NULL) {
        download->headers = curl_slist_append(download->headers, line);
        OPENSSL_cleanse(line, strlen(line));
    }
    free(line);
    curl_easy_setopt(download->easy, CURLOPT_HTTPHEADER, download->headers);
}

static void download_start(struct rb_download *download)
{
    download->may_connect = false;
    set_headers(download);
    curl_easy_setopt(download->easy, CURLOPT_CURLU, current_url(download)->handle);
    rb_http_add(download->spec.http, download->easy, on_finished, download);
}

static void tell_owner(void *arg)
{
    struct rb_download *download = RB_CAST(rb_download, arg, DOWNLOAD_MAGIC);

    download->spec.on_change(download->spec.arg);
}

struct rb_download *rb_download_new(struct rb_loop *loop, const struct rb_download_spec *spec)
{
    struct rb_download *download = rb_xalloc(sizeof(*download));

    *download = (struct rb_download){.magic = DOWNLOAD_MAGIC, .spec = *spec, .easy = curl_easy_init(), .length = -1};
    if (download->easy == NULL)
        RB_BUG("libcurl cannot make an easy handle");
    rb_task_init(&download->changed, loop, tell_owner, download);
    if (spec->providers != NULL)
        rb_providers_ref(spec->providers);
    download->provider = provider_of(download, spec->url);
    curl_easy_setopt(download->easy, CURLOPT_USERAGENT, "reelbus/" RB_VERSION);
    curl_easy_setopt(download->easy, CURLOPT_ERRORBUFFER, download->trouble);
    curl_easy_setopt(download->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(download->easy, CURLOPT_HEADERDATA, download);
    curl_easy_setopt(download->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(download->easy, CURLOPT_WRITEDATA, download);
    set_policy(download);
    set_limits(download);
    download_start(download);
    return download;
}

void rb_download_free(struct rb_download *download)
{
    if (download == NULL)
        return;
    rb_http_remove(download->spec.http, download->easy);
    curl_easy_cleanup(download->easy);
    free_headers(download);
    rb_providers_unref(download->spec.providers);
    rb_task_done(&download->changed);
    rb_url_done(&download->redirect);
    download->magic = 0;
    free(download);
}

enum rb_poll rb_download_poll(const struct rb_download *download, struct rb_error *err)
{
    switch (download->state) {
    case RUNNING:
        return RB_POLL_WAIT;
    case COMPLETE:
        return RB_POLL_DONE;
    case BROKEN:
        *err = download->error;
        return RB_POLL_FAILED;
    }
    RB_BUG("unknown state of a download");
}

void rb_download_resume(struct rb_download *download)
{
    if (!download->paused)
        return;
    download->paused = false; /* first: unpausing may call on_body at once */
    curl_easy_pause(download->easy, CURLPAUSE_CONT);
}

int64_t rb_download_bytes(const struct rb_download *download)
{
    return download->bytes;
}

int64_t rb_download_length(const struct rb_download *download)
{
    return download->length;
}

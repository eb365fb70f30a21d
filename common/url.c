/*
 * url.c — what an http or https URL is to us.
 *
 * Way:  common
 */
#include "common/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#define ENDS_OF_URL " \t\r\n\"<>" /* inside of other text */

static int refuse(struct rb_error *err, const char *what)
{
    return rb_fail(err, RB_E_URL_INVALID, 0, "the URL %s", what);
}

/* By the letter, before any parser: parsers differ in what they forgive. */
static int check_letters(const char *text, struct rb_error *err)
{
    size_t length = strnlen(text, RB_URL_MAX_BYTES + 1);

    if (length == 0)
        return refuse(err, "is empty");
    if (length > RB_URL_MAX_BYTES)
        return refuse(err, "is over 8192 bytes");
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c <= 0x20 || c >= 0x7f)
            return refuse(err, "has a space, a control or a non-ASCII character in it");
        if (c == '\\')
            return refuse(err, "has a backslash in it");
    }
    return 0;
}

static int check_text(const char *text, struct rb_error *err)
{
    const char *authority;

    RB_TRY(check_letters(text, err));
    if (strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0)
        return refuse(err, "does not begin with http:// or https://");
    authority = strstr(text, "://") + 3;
    if (memchr(authority, '@', strcspn(authority, "/?#")) != NULL)
        return refuse(err, "has a user name in it");
    if (strchr("/?#:", authority[0]) != NULL) /* libcurl takes http:///host for http://host */
        return refuse(err, "has no host");
    return 0;
}

static bool is_numeric(const char *label)
{
    if (label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
        return label[2 + strspn(label + 2, "0123456789abcdefABCDEF")] == '\0';
    return label[0] != '\0' && label[strspn(label, "0123456789")] == '\0';
}

/* One label of a name, as DNS has them, and underscores, which buckets have. */
static int check_label(const char *label, size_t length, struct rb_error *err)
{
    if (length == 0)
        return refuse(err, "has a host name with an empty label");
    if (length > 63)
        return refuse(err, "has a host name with a label of over 63 bytes");
    if (label[0] == '-' || (length == 4 && memcmp(label, "xn--", 4) == 0))
        return refuse(err, "has a host name that is none");
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)label[i]) && label[i] != '-' && label[i] != '_')
            return refuse(err, "has a character in its host name that does not belong there");
    return 0;
}

/* A name whose last label is a number is an address in one of its old spellings, or nothing at all. It is written out, so
 * that nobody reads it in another way. */
static int write_out(struct rb_url *url, const char *last, struct rb_error *err)
{
    struct in_addr address;
    char text[INET_ADDRSTRLEN];

    if (!is_numeric(last))
        return 0;
    if (inet_aton(url->host, &address) == 0)
        return refuse(err, "has a host that is neither a name nor an address");
    inet_ntop(AF_INET, &address, text, sizeof(text));
    free(url->host);
    url->host = rb_xstrdup(text);
    return 0;
}

static int check_host(struct rb_url *url, struct rb_error *err)
{
    size_t length = strlen(url->host);
    const char *label = url->host;

    if (url->host[0] == '[') /* libcurl has checked it; a zone is of no use to us */
        return curl_url_set(url->handle, CURLUPART_ZONEID, NULL, 0) == CURLUE_OK ? 0 : refuse(err, "has a zone in it");
    if (length > 1 && url->host[length - 1] == '.')
        url->host[--length] = '\0'; /* the root's dot: with it, one host would have two names */
    if (length > 253)
        return refuse(err, "has a host name of over 253 bytes");
    for (size_t bytes; bytes = strcspn(label, "."), true; label += bytes + 1) {
        RB_TRY(check_label(label, bytes, err));
        if (label[bytes] == '\0')
            break;
    }
    RB_TRY(write_out(url, label, err));
    if (curl_url_set(url->handle, CURLUPART_HOST, url->host, 0) != CURLUE_OK)
        return refuse(err, "has a host that is neither a name nor an address");
    return 0;
}

static int take_parts(struct rb_url *url, struct rb_error *err)
{
    char *port = NULL, *scheme = NULL, *host = NULL;

    if (curl_url_get(url->handle, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK)
        url->scheme = rb_xstrdup(scheme);
    curl_free(scheme);
    if (curl_url_get(url->handle, CURLUPART_HOST, &host, CURLU_URLDECODE) == CURLUE_OK)
        url->host = rb_xstrdup(host);
    curl_free(host);
    for (char *c = url->host; c != NULL && *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    if (curl_url_get(url->handle, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
        url->port = (int)strtol(port, NULL, 10);
    curl_free(port);
    if (url->scheme == NULL || url->host == NULL || url->host[0] == '\0')
        return refuse(err, "has no host");
    if (url->port <= 0)
        return refuse(err, "has a port that is none");
    return check_host(url, err);
}

int rb_url_parse(const char *text, struct rb_url *ret_url, struct rb_error *err)
{
    RB_AUTO_URL url = {0};

    RB_TRY(check_text(text, err));
    url.handle = curl_url();
    if (url.handle == NULL)
        RB_BUG("out of memory");

    CURLUcode code = curl_url_set(url.handle, CURLUPART_URL, text, 0);

    if (code != CURLUE_OK)
        return rb_fail(err, RB_E_URL_INVALID, (int)code, "the URL is not valid: %s", curl_url_strerror(code));
    RB_TRY(take_parts(&url, err));
    *ret_url = url;
    url = (struct rb_url){0};
    return 0;
}

int rb_url_join(const struct rb_url *base, const char *text, struct rb_url *ret_url, struct rb_error *err)
{
    CURLU *handle;
    CURLUcode code;
    char *whole = NULL;
    int result;

    RB_TRY(check_letters(text, err));
    handle = curl_url_dup(base->handle);
    code = curl_url_set(handle, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OK)
        code = curl_url_get(handle, CURLUPART_URL, &whole, 0);
    result = code == CURLUE_OK
                 ? rb_url_parse(whole, ret_url, err)
                 : rb_fail(err, RB_E_URL_INVALID, (int)code, "the URL is not valid: %s", curl_url_strerror(code));
    curl_free(whole);
    curl_url_cleanup(handle);
    return result;
}

void rb_url_done(struct rb_url *url)
{
    if (url->handle != NULL)
        curl_url_cleanup(url->handle);
    free(url->scheme);
    free(url->host);
    *url = (struct rb_url){0};
}

char *rb_url_hide(char *text)
{
    char *from = text, *to = text, *authority;

    while ((authority = strstr(from, "://")) != NULL) {
        size_t bytes = (size_t)(authority + 3 - from);

        memmove(to, from, bytes);
        to += bytes;
        from += bytes;

        char *at = memrchr(from, '@', strcspn(from, "/?#" ENDS_OF_URL));

        from = at != NULL ? at + 1 : from;
        bytes = strcspn(from, "?#" ENDS_OF_URL);
        memmove(to, from, bytes);
        to += bytes;
        from += bytes;
        from += strcspn(from, ENDS_OF_URL);
    }
    memmove(to, from, strlen(from) + 1);
    return text;
}

char *rb_url_safe(const char *text, char *ret_text)
{
    const char *authority = strstr(text, "://");
    const char *start = authority != NULL ? authority + 3 : text;
    size_t host_bytes = strcspn(start, "/?#");
    const char *at = memrchr(start, '@', host_bytes);
    int scheme_bytes = (int)(start - text);

    if (at != NULL)
        start = at + 1;
    snprintf(ret_text, RB_URL_SAFE_BYTES, "%.*s%.*s", RB_MIN(scheme_bytes, 16), text,
             (int)RB_MIN(strcspn(start, "?#"), 1000), start);
    for (char *c = ret_text; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?';
    return ret_text;
}

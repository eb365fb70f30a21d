/*
 * url.c — what an http or https URL is to us.
 *
 * Way:  common
 */
#include "common/url.h"

#include <ctype.h>
#include <stdio.h>

static int refuse(struct rb_error *err, const char *what)
{
    return rb_fail(err, RB_E_URL_INVALID, 0, "the URL %s", what);
}

/* By the letter, before any parser: parsers differ in what they forgive. */
static int check_text(const char *text, struct rb_error *err)
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
    if (strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0)
        return refuse(err, "does not begin with http:// or https://");
    if (strchr("/?#@:", strstr(text, "://")[3]) != NULL) /* libcurl takes http:///host for http://host */
        return refuse(err, "has no host");
    return 0;
}

static int check_host(const char *host, struct rb_error *err)
{
    size_t label = 0;

    if (host[0] == '[')
        return 0; /* libcurl has checked it */
    for (; *host != '\0'; host++) {
        label = *host == '.' ? 0 : label + 1;
        if (label > 63)
            return refuse(err, "has a host name with a label of over 63 bytes");
    }
    return 0;
}

static int take_parts(struct rb_url *url, struct rb_error *err)
{
    char *port = NULL, *scheme = NULL, *host = NULL, *user = NULL;
    CURLUcode got_user = curl_url_get(url->handle, CURLUPART_USER, &user, 0);

    curl_free(user);
    if (got_user != CURLUE_NO_USER)
        return refuse(err, "has a user name in it");
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
    return check_host(url->host, err);
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

void rb_url_done(struct rb_url *url)
{
    if (url->handle != NULL)
        curl_url_cleanup(url->handle);
    free(url->scheme);
    free(url->host);
    *url = (struct rb_url){0};
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

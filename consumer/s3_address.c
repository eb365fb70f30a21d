/*
 * s3_address.c — where a bucket and a key are.
 *
 * Way:  store_s3 -> s3_call -> [s3_address]
 */
#include "consumer/s3_address.h"

#include "consumer/s3_sign.h"

static int read_style(struct rb_s3_address *address, const char *path_style, struct rb_error *err)
{
    if (strcmp(path_style, "auto") == 0)
        address->style = RB_S3_STYLE_AUTO;
    else if (strcmp(path_style, "true") == 0)
        address->style = RB_S3_STYLE_PATH;
    else if (strcmp(path_style, "false") == 0)
        address->style = RB_S3_STYLE_HOST;
    else
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 's3_path_style' is '%.20s', expected auto, true or false",
                       path_style);
    return 0;
}

static void take_url(struct rb_s3_address *address, const struct rb_url *url)
{
    bool usual = url->port == (strcmp(url->scheme, "https") == 0 ? 443 : 80);
    char *path = NULL;
    size_t length;

    address->scheme = rb_xstrdup(url->scheme);
    address->host = usual ? rb_xstrdup(url->host) : rb_xprintf("%s:%d", url->host, url->port);
    if (curl_url_get(url->handle, CURLUPART_PATH, &path, 0) != CURLUE_OK)
        path = NULL;
    length = path != NULL ? strlen(path) : 0;
    while (length > 0 && path[length - 1] == '/')
        length--;
    address->path = rb_xstrndup(path != NULL ? path : "", length);
    curl_free(path);
}

int rb_s3_address_init(struct rb_s3_address *ret_address, const char *endpoint, const char *region,
                       const char *path_style, struct rb_error *err)
{
    struct rb_s3_address address = {0};
    RB_AUTO_URL url = {0};

    RB_TRY(read_style(&address, path_style, err));
    if (endpoint[0] == '\0') {
        address.scheme = rb_xstrdup("https");
        address.host = rb_xprintf("s3.%s.amazonaws.com%s", region, strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
        address.path = rb_xstrdup("");
    } else {
        struct rb_error why = {0};

        if (rb_url_parse(endpoint, &url, &why) < 0)
            return rb_fail(err, RB_E_BAD_OPTION, 0, "option 's3_endpoint': %.150s", why.message);
        take_url(&address, &url);
        if (address.style == RB_S3_STYLE_AUTO)
            address.style = RB_S3_STYLE_PATH;
    }
    *ret_address = address;
    return 0;
}

void rb_s3_address_done(struct rb_s3_address *address)
{
    free(address->scheme);
    free(address->host);
    free(address->path);
    *address = (struct rb_s3_address){0};
}

/* A dot in the name would not match the certificate, and an upper case letter no host. */
static bool fits_into_host(const char *bucket)
{
    return strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(bucket);
}

void rb_s3_place_init(struct rb_s3_place *ret_place, const struct rb_s3_address *address, const char *bucket,
                      const char *key)
{
    bool in_host = address->style == RB_S3_STYLE_HOST || (address->style == RB_S3_STYLE_AUTO && fits_into_host(bucket));
    struct rb_buffer path = {0};

    rb_buffer_print(&path, "%s", address->path);
    if (!in_host) {
        rb_buffer_add(&path, "/", 1);
        rb_s3_encode(&path, bucket, "");
    }
    if (key != NULL || in_host)
        rb_buffer_add(&path, "/", 1);
    if (key != NULL)
        rb_s3_encode(&path, key, "/");
    ret_place->host = in_host ? rb_xprintf("%s.%s", bucket, address->host) : rb_xstrdup(address->host);
    ret_place->path = rb_buffer_steal(&path);
    ret_place->url = rb_xprintf("%s://%s%s", address->scheme, ret_place->host, ret_place->path);
}

void rb_s3_place_done(struct rb_s3_place *place)
{
    free(place->host);
    free(place->path);
    free(place->url);
    *place = (struct rb_s3_place){0};
}

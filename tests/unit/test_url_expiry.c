#include "tests/unit/unit.h"

#include "common/avro.h"
#include "common/url_expiry.h"

#define HOST "https://cdn.example/v.mp4"
#define NONE RB_NO_LONG

/* 1795372200 is 2026-11-22T18:30:00Z. The tokens are {"exp":1795372200}, {"exp":"soon"}, {"exp":5} and no JSON. */
static void urls_say_when_they_expire(void **state)
{
    static const struct {
        const char *url;
        int64_t expires_at;
    } rows[] = {
        {HOST, NONE},
        {HOST "?", NONE},
        {HOST "?a=b&c", NONE},
        {HOST "?X-Amz-Date=20261122T183000Z&X-Amz-Expires=3600", 1795375800000},
        {HOST "?X-Amz-Expires=3600&a=1&x-amz-date=20261122T183000Z#top", 1795375800000},
        {HOST "?X-Amz-Expires=3600", NONE},
        {HOST "?X-Amz-Date=20261122T183000Z", NONE},
        {HOST "?X-Amz-Date=20261122T183000&X-Amz-Expires=3600", NONE},
        {HOST "?X-Amz-Date=20261122T183000Z&X-Amz-Expires=-3600", NONE},
        {HOST "?X-Amz-Date=20261122T183000Z&X-Amz-Expires=99999999999999999999", NONE},
        {HOST "?X-Goog-Date=20261122T183000Z&X-Goog-Expires=60", 1795372260000},
        {HOST "?x-oss-date=20261122T183000Z&x-oss-expires=60", 1795372260000},
        {HOST "?Expires=1795372200&Signature=x", 1795372200000},
        {HOST "?expires=1795372200000", 1795372200000},
        {HOST "?x-expires=1795372200", 1795372200000},
        {HOST "?Expires=3600", NONE},
        {HOST "?Expires=tomorrow", NONE},
        {HOST "?Expires=", NONE},
        {HOST "?sv=2024-11-04&se=2026-11-22T18%3A30%3A00Z&sig=x", 1795372200000},
        {HOST "?se=2026-11-22T18:30:00Z", 1795372200000},
        {HOST "?se=2026-11-22T18:30Z", 1795372200000},
        {HOST "?se=2026-11-22", 1795305600000},
        {HOST "?se=north", NONE},
        {HOST "?hdnts=st=1795370000~exp=1795372200~acl=/*~hmac=00", 1795372200000},
        {HOST "?hdnts=exp=1795372200~hmac=00", 1795372200000},
        {HOST "?hdnts=hmac=00", NONE},
        {HOST "?token=e30.eyJleHAiOjE3OTUzNzIyMDB9.x", 1795372200000},
        {HOST "?token=e30.eyJleHAiOiJzb29uIn0.x", NONE},
        {HOST "?token=e30.eyJleHAiOjV9.x", NONE},
        {HOST "?token=e30.bm8ganNvbg.x", NONE},
        {HOST "?token=e30.!!!!.x", NONE},
        {HOST "?token=", NONE},
        {HOST "?token=..", NONE},
        {HOST "?Expires=1795372200&token=e30.eyJleHAiOjE3OTUzNzIyMDB9.x&Expires=1795372199", 1795372199000},
        {HOST "#?Expires=1795372200", NONE},
        {"", NONE},
        {"?%", NONE},
        {"?%4", NONE},
        {"?Expires=%31%37%39%35%33%37%32%32%30%30", 1795372200000},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        if (rb_url_expiry(rows[i].url) != rows[i].expires_at)
            fail_msg("%s: %lld", rows[i].url, (long long)rb_url_expiry(rows[i].url));
}

static void long_and_endless_queries_do_no_harm(void **state)
{
    size_t bytes = 300000;
    char *url = malloc(bytes);

    (void)state;
    memset(url, 'a', bytes);
    memcpy(url, HOST "?token=", sizeof(HOST "?token=") - 1);
    url[5000] = url[200000] = '.';
    url[bytes - 1] = '\0';
    assert_int_equal(rb_url_expiry(url), NONE);
    memset(url, '&', bytes - 1);
    url[0] = '?';
    assert_int_equal(rb_url_expiry(url), NONE);
    free(url);
}

UNIT_MAIN(T(urls_say_when_they_expire), T(long_and_endless_queries_do_no_harm))

/*
 * url_expiry.c — when a URL stops working, as far as it says so itself.
 *
 * Way:  common
 */
#include "common/url_expiry.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "common/avro.h"
#include "common/clock.h"
#include "common/digits.h"
#include "common/json.h"

#define NAME_MAX_BYTES  40
#define VALUE_MAX_BYTES 4096
#define PARAMETERS_MAX  64
#define SECONDS_MIN     1000000000LL  /* 2001; below it is a lifetime or something else */
#define SECONDS_MAX     99999999999LL /* 5138; above it is milliseconds */
#define LIFETIME_MAX    (10LL * 366 * 86400)

/* What was found on the way through a query. */
struct findings {
    int64_t signed_at; /* seconds; -1: not found */
    int64_t lives_s;
    int64_t expires_ms; /* the earliest; RB_NO_LONG: none */
};

static void take_time(struct findings *findings, int64_t unix_ms)
{
    if (findings->expires_ms == RB_NO_LONG || unix_ms < findings->expires_ms)
        findings->expires_ms = unix_ms;
}

/* Digits and nothing else, not too many. */
static int64_t read_number(const char *text)
{
    int64_t number = 0;
    size_t length = strlen(text);

    if (length == 0 || length > 13)
        return -1;
    for (; *text != '\0'; text++) {
        if (!isdigit((unsigned char)*text))
            return -1;
        number = number * 10 + (*text - '0');
    }
    return number;
}

/* Seconds since 1970, or milliseconds. */
static void read_epoch(struct findings *findings, const char *text)
{
    int64_t number = read_number(text);

    if (number >= SECONDS_MIN)
        take_time(findings, number <= SECONDS_MAX ? number * 1000 : number);
}

/* 20261123T060000Z */
static void read_signed_at(struct findings *findings, const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y%m%dT%H%M%SZ", &tm);

    if (end != NULL && *end == '\0')
        findings->signed_at = timegm(&tm);
}

static void read_lifetime(struct findings *findings, const char *text)
{
    int64_t number = read_number(text);

    if (number >= 0 && number <= LIFETIME_MAX)
        findings->lives_s = number;
    else
        read_epoch(findings, text); /* x-expires of some is a time */
}

/* A date, a date and a time with or without seconds; a number for those who mean something else. */
static void read_iso(struct findings *findings, const char *text)
{
    static const char *const endings[] = {"", ":00Z", "T00:00:00Z", "Z"};
    int64_t unix_ms;

    for (size_t i = 0; i < RB_COUNT(endings); i++) {
        char whole[64];
        size_t length = strlen(text);
        bool cut = i == 1 && length > 0 && text[length - 1] == 'Z';

        snprintf(whole, sizeof(whole), "%.*s%s", (int)RB_MIN(length - cut, sizeof(whole)), text, endings[i]);
        if (rb_clock_parse(whole, &unix_ms) == 0) {
            take_time(findings, unix_ms);
            return;
        }
    }
}

/* header.payload.signature: the payload is a JSON object. */
static void read_web_token(struct findings *findings, const char *text)
{
    const char *payload = strchr(text, '.');
    const char *end = payload != NULL ? strchr(payload + 1, '.') : NULL;
    uint8_t bytes[VALUE_MAX_BYTES];
    int count =
        end != NULL ? rb_digits_from_base64url(payload + 1, (size_t)(end - payload - 1), bytes, sizeof(bytes)) : -1;

    if (count <= 0)
        return;

    RB_AUTO_JSON *object = json_loadb((const char *)bytes, (size_t)count, JSON_REJECT_DUPLICATES, NULL);
    const json_t *expiry = json_object_get(object, "exp");

    if (json_is_number(expiry) && json_number_value(expiry) >= (double)SECONDS_MIN &&
        json_number_value(expiry) <= (double)SECONDS_MAX)
        take_time(findings, (int64_t)json_number_value(expiry) * 1000);
}

/* st=...~exp=1795372200~acl=...~hmac=... */
static void read_edge_token(struct findings *findings, const char *text)
{
    const char *expiry = strncmp(text, "exp=", 4) == 0 ? text - 1 : strstr(text, "~exp=");
    char number[16];

    if (expiry == NULL)
        return;
    snprintf(number, sizeof(number), "%.*s", (int)RB_MIN(strspn(expiry + 5, "0123456789"), 14), expiry + 5);
    read_epoch(findings, number);
}

/* Names in lower case. */
static const struct {
    const char *name;
    void (*read)(struct findings *findings, const char *text);
} parameter_rows[] = {
    {"x-amz-date", read_signed_at},
    {"x-amz-expires", read_lifetime}, /* S3 and all that speak it */
    {"x-goog-date", read_signed_at},
    {"x-goog-expires", read_lifetime},
    {"x-oss-date", read_signed_at},
    {"x-oss-expires", read_lifetime},
    {"x-tos-date", read_signed_at},
    {"x-tos-expires", read_lifetime},
    {"expires", read_epoch},
    {"exp", read_epoch},
    {"x-expires", read_epoch},
    {"expiry", read_epoch},
    {"se", read_iso},
    {"token", read_web_token},
    {"hdnts", read_edge_token},
    {"hdnea", read_edge_token},
    {"__token__", read_edge_token},
};

static int hex_digit(char digit)
{
    return isdigit((unsigned char)digit) ? digit - '0' : tolower((unsigned char)digit) - 'a' + 10;
}

/* One part of the query, percent signs undone. What does not fit is cut, and so understood by nobody. */
static void copy_part(const char *from, size_t length, char *ret_text, size_t room)
{
    size_t used = 0;

    for (size_t i = 0; i < length && used + 1 < room; i++) {
        bool escaped = from[i] == '%' && i + 2 < length && isxdigit((unsigned char)from[i + 1]) &&
                       isxdigit((unsigned char)from[i + 2]);

        ret_text[used++] = escaped ? (char)(hex_digit(from[i + 1]) * 16 + hex_digit(from[i + 2])) : from[i];
        i += escaped ? 2 : 0;
    }
    ret_text[used] = '\0';
}

static void read_parameter(struct findings *findings, const char *text, size_t length)
{
    const char *equals = memchr(text, '=', length);
    char name[NAME_MAX_BYTES], value[VALUE_MAX_BYTES];

    if (equals == NULL)
        return;
    copy_part(text, (size_t)(equals - text), name, sizeof(name));
    copy_part(equals + 1, length - (size_t)(equals + 1 - text), value, sizeof(value));
    for (size_t i = 0; i < RB_COUNT(parameter_rows); i++)
        if (strcasecmp(name, parameter_rows[i].name) == 0)
            parameter_rows[i].read(findings, value);
}

int64_t rb_url_expiry(const char *url)
{
    struct findings findings = {.signed_at = -1, .lives_s = -1, .expires_ms = RB_NO_LONG};
    const char *at = url + strcspn(url, "?#");

    for (size_t i = 0; (*at == '?' || *at == '&') && i < PARAMETERS_MAX; i++) {
        size_t length = strcspn(++at, "&#");

        read_parameter(&findings, at, length);
        at += length;
    }
    if (findings.signed_at >= 0 && findings.lives_s >= 0)
        take_time(&findings, (findings.signed_at + findings.lives_s) * 1000);
    return findings.expires_ms;
}

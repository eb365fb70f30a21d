/*
 * cors.c — may a page from there read what we answer?
 *
 * Way:  [cors] -> gate
 */
#include "producer/cors.h"

/* A scheme, "://", a host and perhaps a port, in lower case: byte for byte what a browser sends. */
static bool is_origin(const char *text)
{
    const char *host = strstr(text, "://");

    if (host == NULL || host == text || host[3] == '\0' || strpbrk(host + 3, "/?#@*") != NULL)
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if (*at <= ' ' || *at >= 0x7f || (*at >= 'A' && *at <= 'Z'))
            return false;
    return true;
}

static int add_origin(struct rb_cors *cors, const char *text, struct rb_error *err)
{
    if (strcmp(text, "*") == 0) {
        cors->any = true;
        return 0;
    }
    if (!is_origin(text))
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "'%.80s' is no origin; expected such as https://app.example.com, in lower case, "
                       "without a path, or *",
                       text);
    if (cors->count == RB_CORS_ORIGINS_MAX)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "there are more than %d origins", RB_CORS_ORIGINS_MAX);
    cors->list[cors->count++] = rb_xstrdup(text);
    return 0;
}

int rb_cors_parse(const char *text, struct rb_cors *ret_cors, struct rb_error *err)
{
    struct rb_cors cors = {0};

    for (const char *at = text; *at != '\0';) {
        at += strspn(at, ", \t");

        size_t length = strcspn(at, ", \t");
        RB_AUTO_TEXT *entry = rb_xstrndup(at, length);

        if (length > 0 && add_origin(&cors, entry, err) < 0) {
            rb_cors_done(&cors);
            return -1;
        }
        at += length;
    }
    *ret_cors = cors;
    return 0;
}

void rb_cors_done(struct rb_cors *cors)
{
    for (size_t i = 0; i < cors->count; i++)
        free(cors->list[i]);
    *cors = (struct rb_cors){0};
}

bool rb_cors_is_on(const struct rb_cors *cors)
{
    return cors->any || cors->count > 0;
}

const char *rb_cors_allow(const struct rb_cors *cors, const char *origin)
{
    if (cors->any)
        return "*";
    for (size_t i = 0; origin != NULL && i < cors->count; i++)
        if (strcmp(cors->list[i], origin) == 0)
            return cors->list[i];
    return NULL;
}

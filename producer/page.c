/*
 * page.c — the status page and the usage page.
 *
 * Way:  [page]
 */
#include "producer/page.h"

#include <inttypes.h>

#include "common/embed.h"
#include "common/hash.h"

#define HTML       "text/html; charset=utf-8"
#define CSS        "text/css; charset=utf-8"
#define JAVASCRIPT "text/javascript; charset=utf-8"
#define SVG        "image/svg+xml"

/* clang-format off: one row, one line */
#define PAGE_FILES(X)                                                                                                  \
    /* name      path                  type        file of the source tree */                                          \
    X(index, "/", HTML, "producer/page/index.html")                                                                    \
    X(usage, "/usage", HTML, "producer/page/usage.html")                                                               \
    X(style, "/page/page.css", CSS, "producer/page/page.css")                                                          \
    X(usage_style, "/page/usage.css", CSS, "producer/page/usage.css")                                                  \
    X(icon, "/page/icon.svg", SVG, "producer/page/icon.svg")                                                           \
    X(theme, "/page/theme.js", JAVASCRIPT, "producer/page/theme.js")                                                   \
    X(page, "/page/page.js", JAVASCRIPT, "producer/page/page.js")                                                      \
    X(api, "/page/api.js", JAVASCRIPT, "producer/page/api.js")                                                         \
    X(list, "/page/list.js", JAVASCRIPT, "producer/page/list.js")                                                      \
    X(details, "/page/details.js", JAVASCRIPT, "producer/page/details.js")                                             \
    X(key, "/page/key.js", JAVASCRIPT, "producer/page/key.js")                                                         \
    X(filters, "/page/filters.js", JAVASCRIPT, "producer/page/filters.js")                                             \
    X(sums, "/page/usage.js", JAVASCRIPT, "producer/page/usage.js")                                                    \
    X(chart, "/page/chart.js", JAVASCRIPT, "producer/page/chart.js")                                                   \
    X(format, "/page/format.js", JAVASCRIPT, "producer/page/format.js")                                                \
    X(watch, "/reelbus-watch.js", JAVASCRIPT, "deploy/examples/reelbus-watch.js")
/* clang-format on */

#define EMBED(name, path, type, file) RB_EMBED(page_##name, file);
PAGE_FILES(EMBED)

struct page_file {
    const char *path;
    const char *content_type;
    const char *bytes;
    const char *end;
};

#define ROW(name, path, type, file) {path, type, page_##name, page_##name##_end},
static const struct page_file files[] = {PAGE_FILES(ROW)};

/* Nothing from elsewhere, nothing inline; videos may lie anywhere. */
#define POLICY                                                                                                         \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"                     \
    " media-src 'self' http: https:; form-action 'none'; base-uri 'none'; frame-ancestors 'none';"                     \
    " require-trusted-types-for 'script'"

#define ETAG_BYTES 24

static const struct page_file *find_file(const char *path)
{
    for (size_t i = 0; i < RB_COUNT(files); i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

/* Tells one version of the program from another, and need not withstand anybody. */
static void print_etag(const struct page_file *file, char ret_etag[ETAG_BYTES])
{
    uint64_t hash = rb_hash_more(RB_HASH_BEGIN, file->bytes, (size_t)(file->end - file->bytes));

    snprintf(ret_etag, ETAG_BYTES, "\"%016" PRIx64 "\"", hash);
}

void rb_page_serve(struct rb_exchange *exchange, void *arg)
{
    const struct page_file *file = find_file(rb_exchange_path(exchange));
    const char *known = rb_exchange_header(exchange, "If-None-Match");
    char etag[ETAG_BYTES];

    (void)arg;
    if (file == NULL) {
        rb_exchange_reply_error(exchange, 404, "there is nothing here", NULL);
        return;
    }
    print_etag(file, etag);

    struct rb_reply reply = {
        .status = 200,
        .content_type = file->content_type,
        .body = file->bytes,
        .body_bytes = (size_t)(file->end - file->bytes),
        .body_is_static = true,
        .headers = {{"Cache-Control", "no-cache"},
                    {"ETag", etag},
                    {"Content-Security-Policy", POLICY},
                    {"Referrer-Policy", "no-referrer"}},
    };

    if (known != NULL && strstr(known, etag) != NULL) {
        reply.status = 304;
        reply.content_type = NULL;
        reply.body_bytes = 0;
    }
    rb_exchange_reply(exchange, &reply);
}

/*
 * store_s3_list.c — what lies in a bucket of an S3 store, a page at a time.
 *
 * Way:  consumer cleanup -> [store_s3]
 */
#include "common/clock.h"
#include "common/units.h"
#include "consumer/s3_xml.h"
#include "consumer/store_s3_ask.h"

#define PAGE_TEXT "1000"

struct listing {
    struct rb_listed rows[RB_STORE_LIST_MAX];
    size_t count;
    struct rb_listed reading; /* the one that is being read */
    char *token;              /* of the next page; NULL when there is none */
    char *token_before;       /* of this one; NULL for the first */
    bool cut, ended;          /* the store says that there is a next page, or that there is none */
};

/* Of what age nobody knows is not taken for old. */
static void end_object(struct listing *listing)
{
    if (listing->reading.changed_unix_ms == 0)
        listing->reading.changed_unix_ms = rb_clock_unix_ms();
    if (listing->reading.key != NULL && listing->count < RB_STORE_LIST_MAX)
        listing->rows[listing->count++] = listing->reading;
    else
        free(listing->reading.key);
    listing->reading = (struct rb_listed){0};
}

static void on_element(const char *path, const char *text, void *arg)
{
    struct listing *listing = arg;
    struct rb_listed *reading = &listing->reading;

    if (strcmp(path, "ListBucketResult/Contents/Key") == 0) {
        free(reading->key);
        reading->key = rb_xstrdup(text);
    } else if (strcmp(path, "ListBucketResult/Contents/Size") == 0) {
        if (rb_units_parse_number(text, &reading->bytes) < 0)
            reading->bytes = 0;
    } else if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0) {
        if (rb_clock_parse(text, &reading->changed_unix_ms) < 0)
            reading->changed_unix_ms = 0;
    } else if (strcmp(path, "ListBucketResult/Contents") == 0) {
        end_object(listing);
    } else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0 && text[0] != '\0') {
        free(listing->token);
        listing->token = rb_xstrdup(text);
    } else if (strcmp(path, "ListBucketResult/IsTruncated") == 0) {
        listing->cut = strcmp(text, "true") == 0;
        listing->ended = strcmp(text, "false") == 0;
    }
}

static void clear_page(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->rows[i].key);
    free(listing->reading.key);
    listing->reading = (struct rb_listed){0};
    listing->count = 0;
    listing->cut = listing->ended = false;
}

/* A store that gives the same page again and again is not asked for ever. */
static int check_token(struct listing *listing, struct rb_error *err)
{
    if (listing->ended)
        free(RB_STEAL(listing->token));
    if (listing->cut && listing->token == NULL)
        return rb_fail(err, RB_E_STORE_ANSWER, 0, "the store says that there is more in the bucket, and not where");
    if (listing->token != NULL && listing->token_before != NULL && strcmp(listing->token, listing->token_before) == 0)
        return rb_fail(err, RB_E_STORE_ANSWER, 0, "the store lists the same page of the bucket again and again");
    return 0;
}

static void after_page(struct rb_ask *ask, const struct rb_s3_result *result)
{
    struct listing *listing = ask->listing;
    struct rb_error err = result->error;

    if (err.code == RB_E_NONE)
        (void)!rb_s3_xml_read(result->body.bytes, result->body.used, on_element, listing, &err);
    if (err.code == RB_E_NONE)
        (void)!check_token(listing, &err);
    if (err.code != RB_E_NONE) {
        s3_ask_fail(ask, &err);
        return;
    }
    ask->answer.listed = listing->rows;
    ask->answer.listed_count = listing->count;
    ask->answer.more = listing->token != NULL;
    ask->state = RB_POLL_DONE;
}

void s3_ask_list_on(struct rb_ask *ask)
{
    RB_AUTO_TEXT *token = RB_STEAL(ask->listing->token);
    RB_AUTO_BUFFER query = {0};

    clear_page(ask->listing);
    if (token != NULL) {
        rb_buffer_print(&query, "continuation-token=");
        rb_s3_encode(&query, token, "");
        rb_buffer_print(&query, "&");
    }
    rb_buffer_print(&query, "list-type=2&max-keys=" PAGE_TEXT);
    if (ask->key[0] != '\0') {
        rb_buffer_print(&query, "&prefix=");
        rb_s3_encode(&query, ask->key, "");
    }
    free(ask->listing->token_before);
    ask->listing->token_before = RB_STEAL(token);
    ask->state = RB_POLL_WAIT;
    s3_ask_call(ask, (struct rb_s3_call_spec){.doing = "list", .method = "GET", .query = query.bytes}, after_page);
}

struct rb_ask *s3_ask_list(struct rb_store *base, const char *bucket, const char *prefix, rb_loop_fn on_change,
                           void *arg)
{
    struct rb_ask *ask = s3_ask_new(base, bucket, prefix, on_change, arg);

    ask->listing = rb_xalloc(sizeof(*ask->listing));
    s3_ask_list_on(ask);
    return ask;
}

void s3_list_free(struct listing *listing)
{
    if (listing == NULL)
        return;
    clear_page(listing);
    free(listing->token);
    free(listing->token_before);
    free(listing);
}

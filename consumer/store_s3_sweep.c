/*
 * store_s3_sweep.c — finds the uploads that were begun in an S3 store and never completed, and removes them.
 *
 * Way:  consumer cleanup -> [store_s3]
 */
#include "common/clock.h"
#include "consumer/s3_xml.h"
#include "consumer/store_s3_ask.h"

#define UPLOADS_MAX     1000 /* that one page of the list holds */
#define SWEEP_PAGES_MAX 1000

/* An upload that was begun and never completed. */
struct upload {
    char *key;
    char *id;
};

/* A page of the list of them, while it is worked off. */
struct uploads {
    struct upload rows[UPLOADS_MAX];
    size_t count;
    size_t done;
    struct upload reading; /* the one that is being read */
    char *initiated;
    char *next_key; /* where the next page begins; NULL when this is the last one */
    char *next_id;
    bool more;
    size_t pages;
};

static void sweep_page(struct rb_ask *ask);

static void take_text(char **place, const char *text)
{
    free(*place);
    *place = rb_xstrdup(text);
}

static bool is_old(const struct rb_ask *ask)
{
    int64_t initiated_ms = 0;

    return ask->uploads->initiated != NULL && rb_clock_parse(ask->uploads->initiated, &initiated_ms) == 0 &&
           rb_clock_unix_ms() - initiated_ms >= ask->older_than_ms;
}

/* One <Upload> has been read: old ones are kept for removing. */
static void end_upload(struct rb_ask *ask)
{
    struct uploads *uploads = ask->uploads;

    if (uploads->reading.key != NULL && uploads->reading.id != NULL && is_old(ask) && uploads->count < UPLOADS_MAX) {
        uploads->rows[uploads->count++] = uploads->reading;
        uploads->reading = (struct upload){0};
    }
    free(uploads->initiated);
    uploads->initiated = NULL;
}

static void on_list_element(const char *path, const char *text, void *arg)
{
    struct rb_ask *ask = RB_CAST(rb_ask, arg, ASK_MAGIC);
    struct uploads *uploads = ask->uploads;

    if (strcmp(path, "ListMultipartUploadsResult/Upload/Key") == 0)
        take_text(&uploads->reading.key, text);
    else if (strcmp(path, "ListMultipartUploadsResult/Upload/UploadId") == 0)
        take_text(&uploads->reading.id, text);
    else if (strcmp(path, "ListMultipartUploadsResult/Upload/Initiated") == 0)
        take_text(&uploads->initiated, text);
    else if (strcmp(path, "ListMultipartUploadsResult/Upload") == 0)
        end_upload(ask);
    else if (strcmp(path, "ListMultipartUploadsResult/IsTruncated") == 0)
        uploads->more = strcmp(text, "true") == 0;
    else if (strcmp(path, "ListMultipartUploadsResult/NextKeyMarker") == 0)
        take_text(&uploads->next_key, text);
    else if (strcmp(path, "ListMultipartUploadsResult/NextUploadIdMarker") == 0)
        take_text(&uploads->next_id, text);
}

static void sweep_next(struct rb_ask *ask);

static void after_removal(struct rb_ask *ask, const struct rb_s3_result *result)
{
    if (result->error.code != RB_E_NONE && result->status != 404) {
        s3_ask_fail(ask, &result->error);
        return;
    }
    ask->answer.swept += result->error.code == RB_E_NONE;
    sweep_next(ask);
}

static void drop_rows(struct uploads *uploads)
{
    for (size_t i = 0; i < uploads->count; i++) {
        free(uploads->rows[i].key);
        free(uploads->rows[i].id);
    }
    uploads->count = 0;
    uploads->done = 0;
}

/* Remove the next one of the page; at its end, ask for the next page. */
static void sweep_next(struct rb_ask *ask)
{
    struct uploads *uploads = ask->uploads;

    if (uploads->done < uploads->count) {
        const struct upload *upload = &uploads->rows[uploads->done++];
        RB_AUTO_BUFFER query = {0};

        rb_buffer_print(&query, "uploadId=");
        rb_s3_encode(&query, upload->id, "");
        s3_ask_call(ask,
                    (struct rb_s3_call_spec){
                        .doing = "remove an upload of", .method = "DELETE", .key = upload->key, .query = query.bytes},
                    after_removal);
    } else if (uploads->more && uploads->next_key != NULL && ++uploads->pages < SWEEP_PAGES_MAX) {
        drop_rows(uploads);
        sweep_page(ask);
    } else {
        ask->state = RB_POLL_DONE;
    }
}

static void after_list(struct rb_ask *ask, const struct rb_s3_result *result)
{
    struct rb_error err = {0};

    if (result->error.code != RB_E_NONE) {
        s3_ask_fail(ask, &result->error);
        return;
    }
    ask->uploads->more = false;
    if (rb_s3_xml_read(result->body.bytes, result->body.used, on_list_element, ask, &err) < 0)
        s3_ask_fail(ask, &err);
    else
        sweep_next(ask);
}

static void add_parameter(struct rb_buffer *query, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    rb_buffer_print(query, "%s=", name);
    rb_s3_encode(query, value, "");
    rb_buffer_add(query, "&", 1);
}

static void sweep_page(struct rb_ask *ask)
{
    RB_AUTO_BUFFER query = {0};

    add_parameter(&query, "key-marker", ask->uploads->next_key);
    add_parameter(&query, "prefix", ask->key);
    add_parameter(&query, "upload-id-marker", ask->uploads->next_id);
    rb_buffer_print(&query, "uploads=");
    s3_ask_call(ask, (struct rb_s3_call_spec){.doing = "list the uploads of", .method = "GET", .query = query.bytes},
                after_list);
}

struct rb_ask *s3_ask_sweep(struct rb_store *base, const struct rb_sweep *what, rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = s3_ask_new(base, what->bucket, what->prefix, on_change, arg);

    ask->older_than_ms = what->older_than_ms;
    ask->uploads = rb_xalloc(sizeof(*ask->uploads));
    sweep_page(ask);
    return ask;
}

void s3_sweep_free(struct uploads *uploads)
{
    if (uploads == NULL)
        return;
    drop_rows(uploads);
    free(uploads->reading.key);
    free(uploads->reading.id);
    free(uploads->initiated);
    free(uploads->next_key);
    free(uploads->next_id);
    free(uploads);
}

/*
 * store_supabase_check.c — is the bucket there, and does it fit? And may we write?
 *
 * Way:  download -> [store_supabase] -> record
 *
 * To try it, an upload is begun and taken back: nothing is ever seen.
 */
#include "consumer/store_supabase_ask.h"
#include "consumer/store_supabase_bucket.h"

#define TRIAL_KEY ".reelbus-check.mp4"

static void after_trial_end(struct rb_ask *ask, const struct rb_supabase_result *result)
{
    (void)result; /* that it could be begun is what counts */
    ask->state = RB_POLL_DONE;
    ask->answer.found = true;
}

static void after_trial(struct rb_ask *ask, const struct rb_supabase_result *result)
{
    RB_AUTO_TEXT *path = NULL;

    if (result->error.code != RB_E_NONE) {
        supabase_ask_fail(ask, &result->error);
    } else if (result->upload_id == NULL) {
        after_trial_end(ask, result);
    } else {
        path = rb_xprintf("/upload/resumable/%s", result->upload_id);
        supabase_ask_call(
            ask,
            (struct rb_supabase_call_spec){
                .doing = "take back a test upload to",
                .method = "DELETE",
                .path = path,
                .key = ask->key,
                .headers = rb_supabase_header(rb_supabase_header(NULL, "Tus-Resumable", "1.0.0"), "x-upsert", "true")},
            after_trial_end);
    }
}

static void try_to_write(struct rb_ask *ask)
{
    RB_AUTO_TEXT *bucket = rb_supabase_base64(ask->bucket);
    RB_AUTO_TEXT *key = rb_supabase_base64(ask->key);
    RB_AUTO_TEXT *type = rb_supabase_base64(rb_format_info(RB_FORMAT_MP4)->content_type);
    RB_AUTO_TEXT *metadata = rb_xprintf("bucketName %s,objectName %s,contentType %s", bucket, key, type);
    struct curl_slist *headers = rb_supabase_header(NULL, "Tus-Resumable", "1.0.0");

    headers = rb_supabase_header(headers, "x-upsert", "true");
    headers = rb_supabase_header(headers, "Upload-Length", "1");
    headers = rb_supabase_header(headers, "Upload-Metadata", metadata);
    supabase_ask_call(ask,
                      (struct rb_supabase_call_spec){.doing = "begin a test upload to",
                                                     .method = "POST",
                                                     .path = "/upload/resumable",
                                                     .key = ask->key,
                                                     .headers = headers},
                      after_trial);
}

static void after_make(struct rb_ask *ask, const struct rb_supabase_result *result)
{
    bool there = result->meaning == 409;

    if (result->error.code != RB_E_NONE && !there) {
        supabase_ask_fail(ask, &result->error);
        return;
    }
    ask->answer.made = !there;
    try_to_write(ask);
}

static void make_bucket(struct rb_ask *ask)
{
    ask->body = supabase_bucket_request(ask->bucket, ask->store->config.link, ask->store->config.formats);
    supabase_ask_call(
        ask,
        (struct rb_supabase_call_spec){.doing = "make the bucket",
                                       .method = "POST",
                                       .path = "/bucket",
                                       .headers = rb_supabase_header(NULL, "Content-Type", "application/json"),
                                       .body = ask->body,
                                       .body_bytes = strlen(ask->body)},
        after_make);
}

static void after_look(struct rb_ask *ask, const struct rb_supabase_result *result)
{
    struct rb_error *misfit = &ask->store->misfit;

    if (result->error.code == RB_E_NONE)
        *misfit = (struct rb_error){0};
    if (result->meaning == 404 && ask->how == RB_CHECK_MAKE) {
        make_bucket(ask);
    } else if (result->meaning == 404) {
        rb_fail(&ask->error, RB_E_STORE_REFUSED, 404,
                "there is no bucket '%s'; make it, or run setup with supabase_make_bucket", ask->bucket);
        supabase_ask_fail(ask, &ask->error);
    } else if (result->error.code != RB_E_NONE) {
        supabase_ask_fail(ask, &result->error);
    } else if (supabase_bucket_fits(result->body, ask->bucket, ask->store->config.link, ask->store->config.formats,
                                    &ask->answer.largest_bytes, misfit) < 0) {
        supabase_ask_fail(ask, misfit);
    } else if (ask->how == RB_CHECK_LOOK) {
        after_trial_end(ask, result);
    } else {
        try_to_write(ask);
    }
}

struct rb_ask *supabase_ask_check(struct rb_store *base, const char *bucket, enum rb_check how, rb_loop_fn on_change,
                                  void *arg)
{
    struct rb_ask *ask = supabase_ask_new(base, bucket, TRIAL_KEY, on_change, arg);
    RB_AUTO_TEXT *path = rb_supabase_path("/bucket", bucket, NULL);

    ask->how = how;
    supabase_ask_call(ask, (struct rb_supabase_call_spec){.doing = "look at the bucket", .method = "GET", .path = path},
                      after_look);
    return ask;
}

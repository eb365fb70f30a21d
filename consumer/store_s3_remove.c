/*
 * store_s3_remove.c — removes an object from an S3 store, or many.
 *
 * Way:  remove -> [store_s3]
 */
#include <openssl/evp.h>

#include "consumer/s3_xml.h"
#include "consumer/store_s3_ask.h"

#define MD5_BYTES      16
#define MD5_TEXT_BYTES 25

/* Most servers answer 204 for what is not there, some 404. A bucket that is not there is another matter: the wrong one, maybe. */
static void after_remove(struct rb_ask *ask, const struct rb_s3_result *result)
{
    bool gone = result->status == 404 && strcmp(result->code, "NoSuchBucket") != 0;

    if (result->error.code != RB_E_NONE && !gone)
        s3_ask_fail(ask, &result->error);
    else
        ask->state = RB_POLL_DONE;
}

struct rb_ask *s3_ask_remove(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = s3_ask_new(base, object->bucket, object->key, on_change, arg);

    s3_ask_call(ask, (struct rb_s3_call_spec){.doing = "remove", .method = "DELETE", .key = ask->key}, after_remove);
    return ask;
}

/* -- many ---------------------------------------------------------------------------------------------------------- */

/* What is wrong with one of them is told by its key; without one it may be any. */
static void take_refused_key(const char *path, const char *text, void *arg)
{
    struct rb_ask *ask = RB_CAST(rb_ask, arg, ASK_MAGIC);

    if (strcmp(path, "DeleteResult/Error/Key") != 0)
        return;
    for (size_t i = 0; i < ask->keys.count; i++)
        if (text[0] == '\0' || strcmp(ask->keys.keys[i], text) == 0)
            ask->kept[i] = true;
}

static void after_remove_many(struct rb_ask *ask, const struct rb_s3_result *result)
{
    struct rb_error err = result->error;

    if (err.code != RB_E_NONE ||
        rb_s3_xml_read(result->body.bytes, result->body.used, take_refused_key, ask, &err) < 0) {
        s3_ask_fail(ask, &err);
        return;
    }
    ask->answer.kept = ask->kept;
    ask->state = RB_POLL_DONE;
}

static char *list_of_keys(const struct rb_keys *keys)
{
    struct rb_buffer text = {0};

    rb_buffer_print(&text, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
    for (size_t i = 0; i < keys->count; i++) {
        rb_buffer_print(&text, "<Object><Key>");
        for (const char *at = keys->keys[i]; *at != '\0'; at++)
            rb_buffer_print(&text, strchr("&<>", *at) != NULL ? "&#%d;" : "%c", *at);
        rb_buffer_print(&text, "</Key></Object>");
    }
    rb_buffer_print(&text, "</Delete>");
    return rb_buffer_steal(&text);
}

/* S3 wants this one with its MD5, in whatever way it is signed. */
static void md5_of(const char *text, char ret_md5[MD5_TEXT_BYTES])
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (EVP_Digest(text, strlen(text), digest, NULL, EVP_md5(), NULL) != 1)
        RB_BUG("no MD5");
    EVP_EncodeBlock((uint8_t *)ret_md5, digest, MD5_BYTES);
}

struct rb_ask *s3_ask_remove_many(struct rb_store *base, const struct rb_keys *keys, rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = s3_ask_new(base, keys->bucket, "", on_change, arg);
    char md5[MD5_TEXT_BYTES];

    ask->keys = *keys;
    ask->kept = rb_xalloc(keys->count * sizeof(*ask->kept));
    ask->body = list_of_keys(keys);
    md5_of(ask->body, md5);
    s3_ask_call(ask,
                (struct rb_s3_call_spec){.doing = "remove objects from",
                                         .method = "POST",
                                         .query = "delete=",
                                         .headers = {{"content-md5", md5}, {"content-type", "application/xml"}},
                                         .body = ask->body,
                                         .body_bytes = strlen(ask->body),
                                         .slow = true},
                after_remove_many);
    return ask;
}

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

/* Most servers answer 204 for what is not there, some 404 NoSuchKey. Any other 404 is not about the object: the bucket is the wrong
 * one, maybe, or a gateway knows no way to the store. */
static void after_remove(struct rb_ask *ask, const struct rb_s3_result *result)
{
    bool gone = result->status == 404 && strcmp(result->code, "NoSuchKey") == 0;

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

struct refused {
    struct rb_ask *ask; /* borrowed */
    bool named;         /* the error that is being read has one of our keys */
    bool answered;      /* it is an answer to what was asked */
};

/* One of them is not gone; without a key, none is. Is it one of ours? */
static bool keep(struct rb_ask *ask, const char *key)
{
    bool found = false;

    for (size_t i = 0; i < ask->keys.count; i++)
        if (key == NULL || strcmp(ask->keys.keys[i], key) == 0)
            found = ask->kept[i] = true;
    return found;
}

/* What is wrong with one of them is told by its key; without one, or with one that is not known, it may be any. */
static void take_element(const char *path, const char *text, void *arg)
{
    struct refused *refused = arg;

    if (strcmp(path, "DeleteResult/Error/Key") == 0) {
        refused->named = keep(refused->ask, text);
    } else if (strcmp(path, "DeleteResult/Error") == 0) {
        if (!refused->named)
            (void)keep(refused->ask, NULL);
        refused->named = false;
    } else if (strcmp(path, "DeleteResult") == 0) {
        refused->answered = true;
    }
}

/* Those that went well are not named: so an answer has to be one before they are taken to be gone. */
static void after_remove_many(struct rb_ask *ask, const struct rb_s3_result *result)
{
    struct refused refused = {.ask = ask};
    struct rb_error err = result->error;

    if (err.code != RB_E_NONE ||
        rb_s3_xml_read(result->body.bytes, result->body.used, take_element, &refused, &err) < 0) {
        s3_ask_fail(ask, &err);
        return;
    }
    if (!refused.answered)
        (void)keep(ask, NULL);
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

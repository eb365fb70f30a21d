/*
 * transfer.c — joins a download and a store by one byte queue.
 *
 * Way:  plan -> download -> [transfer] -> store
 */
#include "consumer/transfer.h"

#include <openssl/evp.h>

#include "consumer/mp4.h"

#define TRANSFER_MAGIC 0x5452414eu

struct rb_transfer {
    uint32_t magic;
    struct rb_store *store; /* borrowed */
    struct rb_byteq *queue;
    struct rb_download *download;
    struct rb_put *put;
    struct rb_mp4 mp4;
    EVP_MD_CTX *hash;
    bool committed; /* the store was told that all is there */
    char sha256[65];
    rb_loop_fn on_change;
    void *arg; /* borrowed */
};

static int on_bytes(const uint8_t *bytes, size_t count, void *arg, struct rb_error *err)
{
    struct rb_transfer *transfer = RB_CAST(rb_transfer, arg, TRANSFER_MAGIC);

    RB_TRY(rb_mp4_feed(&transfer->mp4, bytes, count, err));
    if (EVP_DigestUpdate(transfer->hash, bytes, count) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    return 0;
}

static void on_part_change(void *arg)
{
    struct rb_transfer *transfer = RB_CAST(rb_transfer, arg, TRANSFER_MAGIC);

    transfer->on_change(transfer->arg);
}

struct rb_transfer *rb_transfer_new(const struct rb_transfer_config *config, const struct rb_plan *plan,
                                    rb_loop_fn on_change, void *arg)
{
    struct rb_transfer *transfer = rb_xalloc(sizeof(*transfer));

    RB_ASSERT(config->queue_bytes >= RB_TRANSFER_QUEUE_MIN_BYTES);
    *transfer = (struct rb_transfer){
        .magic = TRANSFER_MAGIC,
        .store = config->store,
        .queue = rb_byteq_new(config->queue_bytes, config->queue_bytes / 2),
        .hash = EVP_MD_CTX_new(),
        .on_change = on_change,
        .arg = arg,
    };
    if (transfer->hash == NULL || EVP_DigestInit_ex(transfer->hash, EVP_sha256(), NULL) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    rb_mp4_init(&transfer->mp4);

    const struct rb_object object = {plan->bucket, plan->key, plan->content_type};
    const struct rb_download_spec download = {
        .http = config->http,
        .guard = config->guard,
        .limits = &config->limits,
        .providers = config->providers,
        .url = &plan->url,
        .queue = transfer->queue,
        .tap = on_bytes,
        .on_change = on_part_change,
        .arg = transfer,
    };

    transfer->put = config->store->ops->begin(config->store, &object, transfer->queue, on_part_change, transfer);
    transfer->download = rb_download_new(config->loop, &download);
    return transfer;
}

static void finish_hash(struct rb_transfer *transfer)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;

    if (EVP_DigestFinal_ex(transfer->hash, digest, &bytes) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    for (unsigned i = 0; i < bytes; i++)
        snprintf(transfer->sha256 + (size_t)2 * i, 3, "%02x", digest[i]);
}

/* The download is complete. Only what is a whole video gets committed. */
static int commit(struct rb_transfer *transfer, struct rb_error *err)
{
    if (transfer->committed)
        return 0;
    RB_TRY(rb_mp4_finish(&transfer->mp4, err));
    finish_hash(transfer);
    transfer->committed = true;
    transfer->store->ops->commit(transfer->put, rb_download_bytes(transfer->download), transfer->sha256);
    return 0;
}

enum rb_poll rb_transfer_poll(struct rb_transfer *transfer, struct rb_transfer_result *ret_result, struct rb_error *err)
{
    enum rb_poll stored = transfer->store->ops->poll(transfer->put, err);

    if (stored == RB_POLL_FAILED)
        return RB_POLL_FAILED;
    if (stored == RB_POLL_DONE) {
        ret_result->bytes = rb_download_bytes(transfer->download);
        memcpy(ret_result->sha256, transfer->sha256, sizeof(ret_result->sha256));
        return RB_POLL_DONE;
    }
    if (!transfer->committed && rb_byteq_is_low(transfer->queue))
        rb_download_resume(transfer->download);
    switch (rb_download_poll(transfer->download, err)) {
    case RB_POLL_FAILED:
        return RB_POLL_FAILED;
    case RB_POLL_DONE:
        return commit(transfer, err) < 0 ? RB_POLL_FAILED : RB_POLL_WAIT;
    case RB_POLL_WAIT:
        transfer->store->ops->more(transfer->put);
        return RB_POLL_WAIT;
    }
    RB_BUG("unknown poll answer");
}

void rb_transfer_progress(const struct rb_transfer *transfer, int64_t *ret_bytes, int64_t *ret_total)
{
    *ret_bytes = rb_download_bytes(transfer->download) - (int64_t)rb_byteq_used(transfer->queue);
    *ret_total = rb_download_total(transfer->download);
}

static void free_queue(void *arg)
{
    rb_byteq_free(arg);
}

void rb_transfer_free(struct rb_transfer *transfer)
{
    if (transfer == NULL)
        return;
    rb_download_free(transfer->download);
    transfer->store->ops->end(transfer->put, free_queue, transfer->queue);
    EVP_MD_CTX_free(transfer->hash);
    transfer->magic = 0;
    free(transfer);
}

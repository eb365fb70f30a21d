/*
 * transfer.c — joins a download and a store by one byte queue.
 *
 * Way:  plan -> download -> [transfer] -> store
 *
 * While the download starts, the store is asked whether it has the object already. When it has one of the right size whose
 * hash it knows, the bytes are only hashed; when the hash is the same, nothing is sent. When it is not, the download starts
 * over, this time into the store.
 */
#include "consumer/transfer.h"

#include <inttypes.h>
#include <openssl/evp.h>

#include "common/failpoint.h"
#include "consumer/container.h"

#define TRANSFER_MAGIC 0x5452414eu

struct rb_transfer {
    uint32_t magic;
    const struct rb_transfer_config *config; /* borrowed */
    const struct rb_plan *plan;              /* borrowed */
    const struct rb_target *target;          /* borrowed */
    struct rb_store *store;                  /* borrowed: the target's */
    struct rb_byteq *queue;
    struct rb_download *download;
    struct rb_timer *timer;       /* of the whole; begins anew when it was its turn to fly */
    bool waited;                  /* for that */
    struct rb_ask *ask;           /* NULL when it was answered */
    enum rb_format asked;         /* for an object of this format */
    struct rb_store_answer found; /* what the store has already */
    bool comparing;               /* with what was found; nothing is sent */
    bool weighed;                 /* nothing is sent before */
    struct rb_put *put;           /* NULL until the source has sent something */
    struct rb_container container;
    EVP_MD_CTX *hash;
    bool committed; /* all is there, and has been checked */
    char *url;      /* that the store was asked for */
    char sha256[65];
    rb_loop_fn on_change;
    void *arg; /* borrowed */
};

static int on_bytes(const uint8_t *bytes, size_t count, void *arg, struct rb_error *err)
{
    struct rb_transfer *transfer = RB_CAST(rb_transfer, arg, TRANSFER_MAGIC);
    struct rb_container *container = &transfer->container;
    bool first = container->format == RB_FORMAT_UNKNOWN;

    if (first)
        RB_FAIL_HERE(source_first);
    RB_TRY(rb_container_feed(container, bytes, count, err));
    if (first && !rb_format_agrees(container->format, rb_download_type(transfer->download)))
        return rb_fail(err, RB_E_NOT_AN_IMAGE, 0, "the source says that it is '%.40s', but it looks like %s",
                       rb_download_type(transfer->download), rb_format_info(container->format)->content_type);
    if (EVP_DigestUpdate(transfer->hash, bytes, count) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    return 0;
}

static void on_part_change(void *arg)
{
    struct rb_transfer *transfer = RB_CAST(rb_transfer, arg, TRANSFER_MAGIC);

    transfer->on_change(transfer->arg);
}

static struct rb_object object_of(const struct rb_transfer *transfer, enum rb_format format)
{
    return (struct rb_object){
        .bucket = transfer->target->bucket,
        .key = transfer->plan->keys[format],
        .content_type = rb_format_info(format)->content_type,
        .traceparent = transfer->plan->traceparent,
    };
}

static void start_download(struct rb_transfer *transfer)
{
    const struct rb_download_spec spec = {
        .http = transfer->config->http,
        .guard = transfer->config->guard,
        .limits = &transfer->config->limits,
        .providers = transfer->config->providers,
        .url = &transfer->plan->url,
        .accept = transfer->plan->accept,
        .in_flight = transfer->config->in_flight,
        .rank = transfer->plan->deadline_unix_ms,
        .queue = transfer->queue,
        .tap = on_bytes,
        .on_change = on_part_change,
        .arg = transfer,
    };

    if (EVP_DigestInit_ex(transfer->hash, EVP_sha256(), NULL) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    rb_container_init(&transfer->container, transfer->plan->formats);
    transfer->download = rb_download_new(transfer->config->loop, &spec);
}

/* Has the store such an object already? */
static void start_ask(struct rb_transfer *transfer, enum rb_format format)
{
    const struct rb_object object = object_of(transfer, format);
    const struct rb_store_ops *ops = transfer->store->ops;

    transfer->asked = format;
    transfer->found = (struct rb_store_answer){0};
    if (ops->find != NULL)
        transfer->ask = ops->find(transfer->store, &object, on_part_change, transfer);
}

struct rb_transfer *rb_transfer_new(const struct rb_transfer_config *config, const struct rb_target *target,
                                    const struct rb_plan *plan, bool weighed, rb_loop_fn on_change, void *arg)
{
    struct rb_transfer *transfer = rb_xalloc(sizeof(*transfer));
    RB_ASSERT(config->queue_bytes >= RB_TRANSFER_QUEUE_MIN_BYTES);
    *transfer = (struct rb_transfer){
        .magic = TRANSFER_MAGIC,
        .config = config,
        .plan = plan,
        .target = target,
        .store = target->store,
        .weighed = weighed,
        .queue = rb_byteq_new(config->queue_bytes, config->queue_bytes / 2),
        .hash = EVP_MD_CTX_new(),
        .on_change = on_change,
        .arg = arg,
    };
    if (transfer->hash == NULL)
        RB_BUG("OpenSSL has no SHA-256");
    transfer->timer = rb_timer_new(config->loop, on_part_change, transfer);
    rb_timer_start(transfer->timer, config->timeout_ms);
    start_ask(transfer, plan->likely);
    start_download(transfer);
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

/* The store has an object of the size that the source announces, and its hash: the bytes are only compared. */
static bool has_the_same(const struct rb_transfer *transfer)
{
    int64_t bytes = rb_download_length(transfer->download);

    return !transfer->plan->anew && transfer->found.found && transfer->found.sha256[0] != '\0' &&
           (bytes < 0 || bytes == transfer->found.bytes);
}

/* Once both the store and the source have said something: into the store with it, or only compare? */
static void begin_put(struct rb_transfer *transfer)
{
    const struct rb_object object = object_of(transfer, transfer->container.format);
    const struct rb_put_spec spec = {
        .object = &object,
        .bytes = rb_download_length(transfer->download),
        .replace = transfer->found.found,
        .queue = transfer->queue,
        .on_change = on_part_change,
        .arg = transfer,
    };

    transfer->comparing = has_the_same(transfer);
    if (!transfer->comparing)
        transfer->put = transfer->store->ops->begin(transfer->store, &spec);
}

/* What the store has is something else. */
static void start_over(struct rb_transfer *transfer)
{
    rb_download_free(transfer->download);
    rb_byteq_take(transfer->queue, rb_byteq_used(transfer->queue));
    transfer->found.sha256[0] = '\0'; /* so that it is replaced */
    transfer->comparing = false;
    start_download(transfer);
}

/* The download is complete. Only what is a whole video gets committed. */
static int finish(struct rb_transfer *transfer, struct rb_error *err)
{
    int64_t bytes = rb_download_bytes(transfer->download);

    if (transfer->committed)
        return 0;
    RB_TRY(rb_container_finish(&transfer->container, rb_download_is_framed(transfer->download), err));
    finish_hash(transfer);
    RB_FAIL_HERE(source_all);
    if (transfer->put != NULL)
        transfer->store->ops->commit(transfer->put, bytes, transfer->sha256);
    else if (bytes != transfer->found.bytes || strcmp(transfer->sha256, transfer->found.sha256) != 0) {
        start_over(transfer);
        return 0;
    }
    transfer->committed = true;
    return 0;
}

/* The source has something, and nobody has said that there is room for it. */
static bool is_held(const struct rb_transfer *transfer)
{
    return !transfer->weighed && rb_download_bytes(transfer->download) > 0 && !has_the_same(transfer);
}

bool rb_transfer_wants_room(struct rb_transfer *transfer, int64_t *ret_bytes)
{
    if (transfer->ask != NULL || transfer->put != NULL || transfer->comparing || !is_held(transfer))
        return false;
    *ret_bytes = rb_download_length(transfer->download);
    return true;
}

void rb_transfer_admit(struct rb_transfer *transfer)
{
    transfer->weighed = true;
}

/* Wait for the answer to the ask. */
static enum rb_poll poll_ask(struct rb_transfer *transfer, struct rb_error *err)
{
    struct rb_store_answer answer = {0};
    enum rb_poll answered;

    if (transfer->ask == NULL)
        return RB_POLL_DONE;
    answered = transfer->store->ops->answer(transfer->ask, &answer, err);
    if (answered == RB_POLL_WAIT)
        return RB_POLL_WAIT;
    if (answered == RB_POLL_DONE && transfer->committed)
        transfer->url = rb_xstrdup(answer.url);
    else if (answered == RB_POLL_DONE)
        transfer->found = answer;
    transfer->store->ops->forget(transfer->ask);
    transfer->ask = NULL;
    return answered;
}

/* The object is stored: ask where people get it, if that has to be asked. */
static enum rb_poll poll_link(struct rb_transfer *transfer, struct rb_error *err)
{
    const struct rb_object object = object_of(transfer, transfer->container.format);
    const struct rb_store_ops *ops = transfer->store->ops;

    if (ops->link == NULL || transfer->url != NULL)
        return RB_POLL_DONE;
    if (transfer->ask == NULL)
        transfer->ask = ops->link(transfer->store, &object, on_part_change, transfer);
    return poll_ask(transfer, err);
}

/* How is it going on the store's side? */
static enum rb_poll poll_store(struct rb_transfer *transfer, struct rb_error *err)
{
    enum rb_poll answered = poll_ask(transfer, err);

    if (answered != RB_POLL_DONE)
        return answered;
    if (transfer->put == NULL && !transfer->comparing && rb_download_bytes(transfer->download) > 0) {
        if (transfer->container.format != transfer->asked)
            start_ask(transfer, transfer->container.format);
        if (transfer->ask != NULL || is_held(transfer))
            return RB_POLL_WAIT;
        begin_put(transfer);
    }
    if (transfer->comparing)
        rb_byteq_take(transfer->queue, rb_byteq_used(transfer->queue));
    if (transfer->put == NULL)
        return transfer->committed ? RB_POLL_DONE : RB_POLL_WAIT;
    return transfer->store->ops->poll(transfer->put, err);
}

/* How is it going on the source's side? */
static enum rb_poll poll_source(struct rb_transfer *transfer, struct rb_error *err)
{
    if (!transfer->committed && rb_byteq_is_low(transfer->queue))
        rb_download_resume(transfer->download);
    switch (rb_download_poll(transfer->download, err)) {
    case RB_POLL_FAILED:
        return RB_POLL_FAILED;
    case RB_POLL_DONE:
        if (transfer->ask != NULL || (transfer->put == NULL && !transfer->comparing && is_held(transfer)))
            return RB_POLL_DONE;
        return finish(transfer, err) < 0 ? RB_POLL_FAILED : RB_POLL_DONE;
    case RB_POLL_WAIT:
        if (transfer->put != NULL)
            transfer->store->ops->more(transfer->put);
        return RB_POLL_WAIT;
    }
    RB_BUG("unknown poll answer");
}

void rb_transfer_progress(const struct rb_transfer *transfer, int64_t *ret_bytes, int64_t *ret_total)
{
    *ret_bytes = rb_download_bytes(transfer->download) - (int64_t)rb_byteq_used(transfer->queue);
    *ret_total = rb_download_length(transfer->download);
}

/* The time for the whole is up. Whom has it waited for last? */
static enum rb_poll fail_late(struct rb_transfer *transfer, struct rb_error *err)
{
    bool source = rb_download_poll(transfer->download, err) == RB_POLL_WAIT &&
                  !rb_download_is_paused(transfer->download) && transfer->ask == NULL;

    if (rb_download_waits_for_turn(transfer->download))
        rb_fail(err, RB_E_IN_FLIGHT_FULL, 0, "no room among what is in flight for %" PRId64 " ms",
                transfer->config->timeout_ms);
    else if (source)
        rb_fail(err, RB_E_SOURCE_SLOW, 0, "the transfer took over %" PRId64 " ms", transfer->config->timeout_ms);
    else
        rb_fail(err, RB_E_STORE_AWAY, 0, "the transfer took over %" PRId64 " ms; it waited for the store",
                transfer->config->timeout_ms);
    return RB_POLL_FAILED;
}

static void look_at_turn(struct rb_transfer *transfer)
{
    bool waits = rb_download_waits_for_turn(transfer->download);

    if (transfer->waited && !waits)
        rb_timer_start(transfer->timer, transfer->config->timeout_ms);
    transfer->waited = waits;
}

enum rb_poll rb_transfer_poll(struct rb_transfer *transfer, struct rb_transfer_result *ret_result, struct rb_error *err)
{
    enum rb_poll stored = poll_store(transfer, err);

    look_at_turn(transfer);
    if (stored == RB_POLL_WAIT && !rb_timer_is_started(transfer->timer))
        return fail_late(transfer, err);
    if (stored == RB_POLL_WAIT) {
        enum rb_poll fetched = poll_source(transfer, err);

        if (fetched != RB_POLL_DONE)
            return fetched;
        stored = poll_store(transfer, err);
    }
    if (stored == RB_POLL_DONE)
        stored = poll_link(transfer, err);
    if (stored == RB_POLL_DONE) {
        const struct rb_object object = object_of(transfer, transfer->container.format);

        ret_result->url = RB_STEAL(transfer->url);
        ret_result->bytes = rb_download_bytes(transfer->download);
        memcpy(ret_result->sha256, transfer->sha256, sizeof(ret_result->sha256));
        ret_result->key = object.key;
        ret_result->content_type = object.content_type;
        ret_result->sent = transfer->put != NULL;
        ret_result->resumes = rb_download_resumes(transfer->download);
    }
    return stored;
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
    rb_timer_free(transfer->timer);
    if (transfer->ask != NULL)
        transfer->store->ops->forget(transfer->ask);
    if (transfer->put != NULL)
        transfer->store->ops->end(transfer->put, free_queue, transfer->queue);
    else
        rb_byteq_free(transfer->queue);
    EVP_MD_CTX_free(transfer->hash);
    free(transfer->url);
    transfer->magic = 0;
    free(transfer);
}

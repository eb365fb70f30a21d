/*
 * transfer.h — joins a download and a store by one byte queue; hashes and checks the bytes on their way.
 *
 * Way:  plan -> download -> [transfer] -> store
 *
 * Memory is the queue's, whatever the peers do: a store that is slow pauses the download.
 */
#pragma once

#include "consumer/download.h"
#include "consumer/plan.h"
#include "consumer/store.h"

/* Half of the queue and the largest piece that libcurl hands out fit into it, or a pause might never end. */
#define RB_TRANSFER_QUEUE_MIN_BYTES (8 * CURL_MAX_WRITE_SIZE)

struct rb_transfer;

/* All of it borrowed for as long as transfers live. */
struct rb_transfer_config {
    struct rb_loop *loop;
    struct rb_http *http;
    const struct rb_guard *guard;
    struct rb_providers *providers; /* of now: later ones take their place here; NULL: none */
    struct rb_download_limits limits;
    int64_t timeout_ms;             /* for a transfer as a whole */
    struct rb_in_flight *in_flight; /* of all transfers */
    size_t queue_bytes;             /* RB_TRANSFER_QUEUE_MIN_BYTES or more */
};

struct rb_transfer_result {
    int64_t bytes;
    char sha256[65];          /* hexadecimal, in lower case */
    char *url;                /* owned by the caller; NULL when the store's url tells it */
    const char *key;          /* borrowed from the plan */
    const char *content_type; /* static */
    bool sent;                /* it was not there already */
    unsigned resumes;         /* how often the download went on after a cut */
};

/*
 * Start a transfer.
 *
 * Takes:  target and plan, borrowed for as long as the transfer lives; weighed, nobody has to ask any more whether there is
 *         room; on_change, called when rb_transfer_poll has a new answer.
 * Gives:  owned by the caller; rb_transfer_free it.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
struct rb_transfer *rb_transfer_new(const struct rb_transfer_config *config, const struct rb_target *target,
                                    const struct rb_plan *plan, bool weighed, rb_loop_fn on_change, void *arg);

/*
 * Does it wait to be told that there is room? Nothing goes to the store before that.
 *
 * Gives:  true with ret_bytes, as the source announced them, -1 when it did not. False: the source has not answered yet, or
 *         it was told, or needs none because the store has an object of this size and a hash, which is only compared.
 * Loop:   loop thread.
 */
bool rb_transfer_wants_room(struct rb_transfer *transfer, int64_t *ret_bytes);

/*
 * There is room: it may go on.
 *
 * Loop:   loop thread; poll it afterwards.
 */
void rb_transfer_admit(struct rb_transfer *transfer);

/*
 * Move what can be moved, and say how it is going.
 *
 * Gives:  DONE with ret_result once the object is in the store, whole and for good.
 * Fails:  as rb_download_poll and the store's poll do. Nothing is left in the store then.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
enum rb_poll rb_transfer_poll(struct rb_transfer *transfer, struct rb_transfer_result *ret_result,
                              struct rb_error *err);

/*
 * How far is it?
 *
 * Gives:  ret_bytes, handed to the store by now; ret_total, as the source announced them, -1 when it did not.
 * Loop:   loop thread.
 */
void rb_transfer_progress(const struct rb_transfer *transfer, int64_t *ret_bytes, int64_t *ret_total);

/*
 * Stop and free. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_transfer_free(struct rb_transfer *transfer);

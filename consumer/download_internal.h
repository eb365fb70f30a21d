/*
 * download_internal.h — what the files download*.c share: the download itself.
 *
 * Way:  plan -> guard -> [download] -> store
 */
#pragma once

#include "common/backoff.h"
#include "consumer/addresses.h"
#include "consumer/download.h"
#include "consumer/source_head.h"

#define DOWNLOAD_MAGIC 0x444f574eu

enum download_state {
    DOWNLOAD_RESOLVING,  /* the host is looked up and judged */
    DOWNLOAD_CONNECTING, /* libcurl connects */
    DOWNLOAD_WAITING,    /* the request is sent, no byte of video has come */
    DOWNLOAD_FLOWING,
    DOWNLOAD_RESTING, /* it was cut; the rest is asked for after a pause */
    DOWNLOAD_COMPLETE,
    DOWNLOAD_BROKEN,
};

struct rb_download {
    uint32_t magic;
    struct rb_download_spec spec;
    struct rb_loop *loop; /* borrowed */
    enum download_state state;
    struct rb_timer *timer; /* of the state */
    struct rb_error error;  /* of the first thing that went wrong in this request; code NONE until then */
    struct rb_task changed; /* tells the owner from the loop: it may free us then */

    const struct rb_provider *provider; /* whose API the first URL belongs to; borrowed from spec.providers */
    struct rb_url redirect;             /* where we were sent to; empty at the first URL */
    unsigned redirects;
    int64_t reach_until_ms; /* by then the source must be reached */

    struct rb_addresses *addresses;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *pins;
    struct rb_source_head head;
    bool accepted; /* what comes now is the video, or its rest */
    char trouble[CURL_ERROR_SIZE];

    struct rb_share share; /* of what is in flight */
    bool paused;
    bool was_paused; /* since the last look at the speed */
    int64_t looked_ms, looked_bytes, fast_ms;

    int64_t bytes;
    int64_t length;  /* of the whole video, as the source says; -1 when it does not */
    bool framed;     /* see rb_download_is_framed */
    char *validator; /* owned; NULL when the rest cannot be asked for */
    unsigned resumes;
    unsigned in_vain; /* of these in a row, so that little came of them */
    int64_t resumed_at;
    struct rb_backoff backoff;
};

/*
 * Make the easy handle, with all that is the same for all requests of a download.
 *
 * Loop:   loop thread.
 */
void download_request_init(struct rb_download *download);

/*
 * Ask for the current URL, at the addresses of the pin. download_answered comes from the loop.
 *
 * Takes:  pin, borrowed for the call; NULL for none.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void download_request_start(struct rb_download *download, const char *pin);

/*
 * Stop the request if one is running, and free what belongs to requests.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void download_request_done(struct rb_download *download);

/*
 * A request has ended.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void download_answered(struct rb_download *download, CURLcode result);

/*
 * Ask for the current URL: first for the addresses of its host.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void download_start_hop(struct rb_download *download);

/*
 * This request has come to nothing, as download->error says: ask for the rest after a pause, or give up.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void download_failed(struct rb_download *download);

/*
 * Go to a state and arm its deadline.
 *
 * Loop:   loop thread.
 */
void download_enter(struct rb_download *download, enum download_state state);

/*
 * The URL of the current request.
 *
 * Gives:  borrowed from the download or its spec.
 * Loop:   loop thread.
 */
const struct rb_url *download_url(const struct rb_download *download);

/*
 * The provider whose API a URL belongs to, if its bytes are kept behind its key.
 *
 * Gives:  borrowed from spec.providers; NULL when it is nobody's.
 * Loop:   loop thread.
 */
const struct rb_provider *download_provider(const struct rb_download *download, const struct rb_url *url);

/*
 * download.h — the GET side of a transfer: one video from where it is, into a byte queue.
 *
 * Way:  plan -> guard -> [download] -> store
 *
 * Redirects are followed by hand, each one judged like the first URL. Names are resolved here, not by libcurl, and all of
 * their addresses are judged; once more when they are connected to, and when a connection is used again. Nothing that
 * identifies us or the operator is ever sent, but for one thing: an API that keeps the bytes of its videos behind its key
 * gets that key, at URLs below its own base URL and nowhere else.
 *
 * A download that is cut goes on where it was, when the source says how to ask for the rest of the same video.
 */
#pragma once

#include "common/byteq.h"
#include "common/http.h"
#include "common/providers.h"
#include "consumer/guard.h"
#include "consumer/in_flight.h"

struct rb_download;

struct rb_download_limits {
    int64_t max_bytes;             /* of one video */
    int64_t connect_timeout_ms;    /* name resolution, connecting, TLS */
    int64_t first_byte_timeout_ms; /* from then to the first byte of the video */
    int64_t low_speed_bytes;       /* fewer per second than this ... */
    int64_t low_speed_ms;          /* ... for this long is too slow */
    unsigned resume_max;           /* how often the rest is asked for without much coming of it */
};

/*
 * Sees each piece of the body on its way into the queue.
 *
 * Fails:  whatever it likes; the download fails with it.
 */
typedef int (*rb_download_tap_fn)(const uint8_t *bytes, size_t count, void *arg, struct rb_error *err);

struct rb_download_spec {
    struct rb_http *http;         /* of the media downloads alone */
    const struct rb_guard *guard; /* borrowed, as all below, for as long as the download lives */
    const struct rb_download_limits *limits;
    const struct rb_url *url;       /* checked by the guard */
    const char *accept;             /* the whole header line that says what may come */
    struct rb_providers *providers; /* whose keys may be needed; a reference is kept; NULL: nobody's */
    struct rb_in_flight *in_flight; /* of all downloads */
    int64_t rank;                   /* among those that wait for it: the lowest goes first */
    struct rb_byteq *queue;
    rb_download_tap_fn tap;
    rb_loop_fn on_change; /* bytes have come, or it has ended */
    void *arg;
};

/*
 * Start a download.
 *
 * Gives:  owned by the caller; rb_download_free it.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
struct rb_download *rb_download_new(struct rb_loop *loop, const struct rb_download_spec *spec);

/*
 * Stop and free. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_download_free(struct rb_download *download);

/*
 * How is it going?
 *
 * Gives:  DONE when all bytes have come and are or were in the queue.
 * Fails:  URL_INVALID, URL_REFUSED, SOURCE_*, TOO_LARGE, and what the tap says.
 * Loop:   loop thread.
 */
enum rb_poll rb_download_poll(const struct rb_download *download, struct rb_error *err);

/*
 * Bytes were taken out of the queue: go on if it had been full.
 *
 * Loop:   loop thread, outside of libcurl callbacks; may put bytes into the queue before it returns.
 */
void rb_download_resume(struct rb_download *download);

/*
 * How many bytes of the body have come.
 *
 * Loop:   loop thread.
 */
int64_t rb_download_bytes(const struct rb_download *download);

/*
 * How many bytes the source said that the video has, once any of them has come.
 *
 * Gives:  -1 when it did not say.
 * Loop:   loop thread.
 */
int64_t rb_download_length(const struct rb_download *download);

/*
 * What the source declares the bytes to be, once any of them has come.
 *
 * Gives:  borrowed from the download, in lower case; "" when it does not.
 * Loop:   loop thread.
 */
const char *rb_download_type(const struct rb_download *download);

/*
 * Would a cut of the connection have been noticed as such? When not, only the bytes themselves can tell.
 *
 * Loop:   loop thread.
 */
bool rb_download_is_framed(const struct rb_download *download);

/*
 * Does it wait for us, not for the source: for room in the queue, or among what is in flight?
 *
 * Loop:   loop thread.
 */
bool rb_download_is_paused(const struct rb_download *download);

/*
 * Does it wait for its turn among what is in flight?
 *
 * Loop:   loop thread.
 */
bool rb_download_waits_for_turn(const struct rb_download *download);

/*
 * How often it went on after a cut.
 *
 * Loop:   loop thread.
 */
unsigned rb_download_resumes(const struct rb_download *download);

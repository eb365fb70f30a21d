/*
 * error.h — one error, and its class decides what happens next.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

/*
 * What to do about it. One row of RB_ERRORS, one class: so one failure is never treated in two ways.
 *
 * OK            nothing failed.
 * IN_PLACE      it stumbled: again in a moment, right here; and when that does not help for some seconds, as LATER.
 * LATER         it asks for a rest: again later, within the budget of the thing that was tried.
 * RENEW         the URL opens no more: ask the provider for a fresh one. With nobody to ask, as LATER.
 * RENEW_OR_END  the same, but with nobody to ask, as PERMANENT.
 * OUTAGE        our own side (database, Kafka, storage) is away: wait for it; never give up a video because of it.
 * PERMANENT     write down the refusal and move on.
 * FATAL         stop the program and commit no offset; the supervisor starts us again.
 */
enum rb_class { RB_OK, RB_IN_PLACE, RB_LATER, RB_RENEW, RB_RENEW_OR_END, RB_OUTAGE, RB_PERMANENT, RB_FATAL };

#define RB_ERRORS(X)                                                                                                   \
    /* code              class      what happened                                                         */           \
    X(NONE, OK, "nothing failed")                                                                                      \
    /* requests */                                                                                                     \
    X(BAD_REQUEST, PERMANENT, "the request is not what we accept")                                                     \
    X(BAD_SIGNATURE, PERMANENT, "the webhook signature does not match")                                                \
    X(STALE_SIGNATURE, PERMANENT, "the webhook signature is too old or too new")                                       \
    X(UNKNOWN_KEY, PERMANENT, "the webhook is signed with a key that the sender has not published")                    \
    X(KEYS_AWAY, OUTAGE, "the sender's public keys cannot be fetched")                                                 \
    X(UNKNOWN_VIDEO, PERMANENT, "no row of the application has this video id")                                         \
    /* events */                                                                                                       \
    X(BAD_EVENT, PERMANENT, "the record is not an event that we can read")                                             \
    X(UNKNOWN_SCHEMA, PERMANENT, "the record names a schema that we cannot get")                                       \
    X(GENERATION_FAILED, PERMANENT, "the provider could not make the video")                                           \
    /* sources */                                                                                                      \
    X(URL_INVALID, PERMANENT, "the URL is not one that we can fetch")                                                  \
    X(URL_REFUSED, PERMANENT, "the URL leads to an address that policy forbids")                                       \
    X(SOURCE_BUSY, IN_PLACE, "the source answered 408, 425 or 5xx")                                                    \
    X(SOURCE_LIMITS, LATER, "the source answered 429: it asks us to come more slowly")                                 \
    X(SOURCE_DENIED, RENEW, "the source answered 401 or 403")                                                          \
    X(SOURCE_GONE, RENEW_OR_END, "the source answered 404 or 410")                                                     \
    X(SOURCE_ANSWER, LATER, "the source answered with a status that brings no video")                                  \
    X(SOURCE_REDIRECTS, PERMANENT, "the source redirects too often or to nowhere")                                     \
    X(SOURCE_AWAY, IN_PLACE, "the source cannot be reached")                                                           \
    X(SOURCE_SLOW, IN_PLACE, "the source sent nothing, or too little, for too long")                                   \
    X(SOURCE_CUT, IN_PLACE, "the source closed before the video was whole")                                            \
    X(SOURCE_CHANGED, IN_PLACE, "the video became another one at the source while it was fetched")                     \
    X(SOURCE_PAGE, RENEW, "the source sent a page instead of a video")                                                 \
    X(SOURCE_ENCODED, PERMANENT, "the source encoded the body although nobody asked for that")                         \
    X(NOT_A_VIDEO, PERMANENT, "what the source sent is not an MP4 file")                                               \
    X(NOT_AN_IMAGE, PERMANENT, "what the source sent is not a WebP, JPEG or PNG file")                                 \
    X(TOO_LARGE, PERMANENT, "the video is larger than the limit")                                                      \
    X(EXPIRED, RENEW_OR_END, "the URL expired before the video could be fetched")                                      \
    /* providers */                                                                                                    \
    X(UNKNOWN_PROVIDER, PERMANENT, "no such provider is configured, or it has no API")                                 \
    X(PROVIDER_BUSY, LATER, "the provider's API answered 408, 425, 429 or 5xx")                                        \
    X(PROVIDER_AWAY, LATER, "the provider's API cannot be reached")                                                    \
    X(PROVIDER_DENIED, LATER, "the provider's API answered 401 or 403")                                                \
    X(PROVIDER_LACKS, LATER, "the provider's API answered that it has no such video")                                  \
    X(PROVIDER_ANSWER, LATER, "the provider's API answered something that cannot be understood")                       \
    /* our own side */                                                                                                 \
    X(QUOTA_USER, LATER, "what may be stored of one user is used up")                                                  \
    X(QUOTA_ROOM, LATER, "the video is larger than what may still be stored in all")                                   \
    X(QUOTA_ALL, OUTAGE, "what may be stored in all is used up")                                                       \
    X(QUOTA_KEPT, PERMANENT, "what may be stored is used up, and the original URL is kept")                            \
    X(STORE_AWAY, OUTAGE, "the store cannot be reached or is out of order")                                            \
    X(STORE_FULL, OUTAGE, "the store has no room left")                                                                \
    X(STORE_BUSY, OUTAGE, "the store asks us to come more slowly")                                                     \
    X(STORE_DENIED, OUTAGE, "the store does not accept our credentials")                                               \
    X(STORE_REFUSED, OUTAGE, "the store does not let us write")                                                        \
    X(STORE_ANSWER, OUTAGE, "the store refuses a video and does not say why in words that we know")                    \
    X(OBJECT_REFUSED, PERMANENT, "the store refuses this video, and takes others")                                     \
    X(IN_FLIGHT_FULL, OUTAGE, "as many bytes are on their way as may be at once")                                      \
    X(DB_AWAY, OUTAGE, "the database cannot be reached")                                                               \
    X(DB_REFUSED, OUTAGE, "the database does not do what we ask; is it set up?")                                       \
    X(DB_DATA, LATER, "the database refuses what is to be written about this video")                                   \
    X(SUPERSEDED, OUTAGE, "another worker has claimed this video since")                                               \
    X(KAFKA_AWAY, OUTAGE, "Kafka cannot be reached")                                                                   \
    X(KAFKA_FULL, OUTAGE, "the queue of records for Kafka is full")                                                    \
    X(KAFKA_REFUSED, PERMANENT, "Kafka refuses this record")                                                           \
    X(KAFKA_FATAL, FATAL, "the Kafka client cannot go on")                                                             \
    X(GROUP_FENCED, FATAL, "another member has taken our identity")                                                    \
    X(TXN_FENCED, FATAL, "another process has taken our transactional id")                                             \
    X(SPOOL_FULL, OUTAGE, "the spool has no room left")                                                                \
    X(SPOOL_BROKEN, OUTAGE, "the spool cannot be written or read")                                                     \
    X(REGISTRY_AWAY, OUTAGE, "the schema registry cannot be reached")                                                  \
    X(REGISTRY_REFUSED, OUTAGE, "the schema registry does not take our schema")                                        \
    X(COLLECTOR_AWAY, OUTAGE, "the collector of traces cannot be reached, or takes none")                              \
    /* programs */                                                                                                     \
    X(BAD_OPTION, PERMANENT, "an option is wrong")                                                                     \
    X(SYSTEM, FATAL, "the operating system refused")

enum rb_code {
#define ROW(code, class, what) RB_E_##code,
    RB_ERRORS(ROW)
#undef ROW
        RB_E_COUNT
};

struct rb_error {
    enum rb_code code;   /* a row above */
    enum rb_class class; /* set from that row by rb_fail, nowhere else */
    int64_t wait_ms;     /* how long the other side asked us to stay away; 0: it did not */
    int detail;          /* errno, HTTP status or library code; 0 = none */
    char message[240];   /* lower case, no full stop, subject in 'quotes'; never a secret */
};

/*
 * Fill in an error.
 *
 * Takes:  code, a row of RB_ERRORS; detail, 0 when there is none; format, the message.
 * Gives:  always -1, so that a function can end with `return rb_fail(...)`.
 * Loop:   pure, any thread.
 */
int rb_fail(struct rb_error *err, enum rb_code code, int detail, const char *format, ...) RB_PRINTF(4, 5);

/*
 * The name of a code as logs, events and metrics show it, for example "source_busy".
 *
 * Gives:  static text, never NULL.
 * Loop:   pure, any thread.
 */
const char *rb_code_name(enum rb_code code);

/*
 * What a code means, in words for people.
 *
 * Gives:  static text, never NULL.
 * Loop:   pure, any thread.
 */
const char *rb_code_what(enum rb_code code);

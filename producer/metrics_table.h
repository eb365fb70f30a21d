/*
 * metrics_table.h — what reelbus-producer counts.
 *
 * Way:  producer
 */
#pragma once

#include "common/metrics.h"

/* clang-format off: one row, one line */

/* In the order of enum rb_outcome, for each scheme in the order of enum rb_scheme. */
#define WEBHOOK_OUTCOMES(X, SCHEME, scheme)                                                                            \
    X(WEBHOOKS_##SCHEME##_ACCEPTED, COUNTER, "reelbus_webhooks_total", "scheme=\"" scheme "\",outcome=\"accepted\"",   \
      "Webhooks by scheme and by what their sender was answered")                                                      \
    X(WEBHOOKS_##SCHEME##_REPEATED, COUNTER, "reelbus_webhooks_total", "scheme=\"" scheme "\",outcome=\"repeated\"",   \
      "")                                                                                                              \
    X(WEBHOOKS_##SCHEME##_STORED, COUNTER, "reelbus_webhooks_total", "scheme=\"" scheme "\",outcome=\"stored\"", "")   \
    X(WEBHOOKS_##SCHEME##_IGNORED, COUNTER, "reelbus_webhooks_total", "scheme=\"" scheme "\",outcome=\"ignored\"", "") \
    X(WEBHOOKS_##SCHEME##_REFUSED, COUNTER, "reelbus_webhooks_total", "scheme=\"" scheme "\",outcome=\"refused\"", "") \
    X(WEBHOOKS_##SCHEME##_DENIED, COUNTER, "reelbus_webhooks_total", "scheme=\"" scheme "\",outcome=\"unauthorized\"", \
      "")                                                                                                              \
    X(WEBHOOKS_##SCHEME##_UNKNOWN, COUNTER, "reelbus_webhooks_total", "scheme=\"" scheme "\",outcome=\"unknown\"", "") \
    X(WEBHOOKS_##SCHEME##_DEFERRED, COUNTER, "reelbus_webhooks_total", "scheme=\"" scheme "\",outcome=\"deferred\"", "")

#define PRODUCER_METRICS(X)                                                                                            \
    WEBHOOK_OUTCOMES(X, PLAIN, "plain")                                                                                \
    WEBHOOK_OUTCOMES(X, STANDARD, "standard")                                                                          \
    WEBHOOK_OUTCOMES(X, OPENROUTER, "openrouter")                                                                      \
    WEBHOOK_OUTCOMES(X, FAL, "fal")                                                                                    \
    X(WEBHOOKS_NOBODY, COUNTER, "reelbus_webhooks_nobody_total", "", "Webhooks for a provider that nobody has named")  \
    X(ACK_SECONDS, HISTOGRAM(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),                  \
      "reelbus_webhook_ack_seconds", "", "From the head of a webhook to its 200")                                      \
    X(UNCHECKED, COUNTER, "reelbus_webhooks_unchecked_total", "",                                                      \
      "Webhooks published without having asked the database")                                                          \
    X(IN_FLIGHT, GAUGE, "reelbus_webhooks_in_flight", "", "Webhooks that wait for their answer")                       \
    X(HTTP_CONNECTIONS, GAUGE, "reelbus_http_connections", "", "Connections that are open")                            \
    X(HTTP_REFUSED, COUNTER, "reelbus_http_connections_refused_total", "",                                             \
      "Connections refused because their address had too many")                                                        \
    X(HTTP_EVICTED, COUNTER, "reelbus_http_connections_evicted_total", "",                                             \
      "Connections closed, while they waited for a request, to make room for others")                                  \
    X(HTTP_TIMEOUTS, COUNTER, "reelbus_http_timeouts_total", "", "Connections closed because their time was up")       \
    X(HTTP_BAD, COUNTER, "reelbus_http_bad_requests_total", "",                                                        \
      "Requests that broke the rules of HTTP and were refused unread")                                                 \
    X(KAFKA_UP, GAUGE, "reelbus_kafka_up", "", "1 when a broker is connected")                                         \
    X(LISTENING, GAUGE, "reelbus_listening", "", "1 when Postgres tells of changes of videos; 0: they are asked for")  \
    X(FEEDS, GAUGE, "reelbus_event_streams", "", "Streams of Server-Sent Events that are open")                        \
    X(LOOKS, GAUGE, "reelbus_looks", "", "Videos that are looked at, by streams and by requests")                      \
    X(DB_UP, GAUGE, "reelbus_database_up", "", "1 when Postgres is connected")
/* clang-format on */

enum {
    PRODUCER_METRICS(RB_METRIC_ENUM) /**/
    METRIC_COUNT
};

/*
 * metrics_table.h — what reelbus-producer counts.
 *
 * Way:  producer
 */
#pragma once

#include "common/metrics.h"

/* What became of the questions to APIs of one kind; in the order of enum rb_poll_result. */
#define POLL_METRICS(X, KIND, kind, help)                                                                              \
    X(POLL_##KIND##_PENDING, COUNTER, "reelbus_polls_total", "kind=\"" kind "\",result=\"pending\"", help)             \
    X(POLL_##KIND##_COMPLETED, COUNTER, "reelbus_polls_total", "kind=\"" kind "\",result=\"completed\"", "")           \
    X(POLL_##KIND##_FAILED, COUNTER, "reelbus_polls_total", "kind=\"" kind "\",result=\"failed\"", "")                 \
    X(POLL_##KIND##_EXPIRED, COUNTER, "reelbus_polls_total", "kind=\"" kind "\",result=\"expired\"", "")               \
    X(POLL_##KIND##_BUSY, COUNTER, "reelbus_polls_total", "kind=\"" kind "\",result=\"busy\"", "")                     \
    X(POLL_##KIND##_AWAY, COUNTER, "reelbus_polls_total", "kind=\"" kind "\",result=\"away\"", "")                     \
    X(POLL_##KIND##_DENIED, COUNTER, "reelbus_polls_total", "kind=\"" kind "\",result=\"denied\"", "")                 \
    X(POLL_##KIND##_LACKS, COUNTER, "reelbus_polls_total", "kind=\"" kind "\",result=\"unknown_video\"", "")           \
    X(POLL_##KIND##_ODD, COUNTER, "reelbus_polls_total", "kind=\"" kind "\",result=\"odd\"", "")

#define STAGE_BOUNDS 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200
#define LAG_BOUNDS   0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400

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
    X(STAGE_PUBLISHED, HISTOGRAM(STAGE_BOUNDS), "reelbus_stage_seconds", "stage=\"published\"",                        \
      "The first stage of a video's way: from a webhook's head, or a poll's answer, to Kafka's "                       \
      "acknowledgement; without what went through the spool")                                                          \
    X(UNCHECKED, COUNTER, "reelbus_webhooks_unchecked_total", "",                                                      \
      "Webhooks published without having asked the database")                                                          \
    X(IN_FLIGHT, GAUGE, "reelbus_webhooks_in_flight", "", "Webhooks that wait for their answer")                       \
    X(HTTP_REQUESTS, COUNTERS, "reelbus_http_requests_total",                                                          \
      "`route`: the paths that are served, empty for all others; `status`: `2xx` to `5xx`",                            \
      "HTTP requests that were answered, by route and status")                                                         \
    X(HTTP_CONNECTIONS, GAUGE, "reelbus_http_connections", "", "Connections that are open")                            \
    X(HTTP_REFUSED, COUNTER, "reelbus_http_connections_refused_total", "",                                             \
      "Connections refused because their address had too many")                                                        \
    X(HTTP_EVICTED, COUNTER, "reelbus_http_connections_evicted_total", "",                                             \
      "Connections closed, while they waited for a request, to make room for others")                                  \
    X(HTTP_TIMEOUTS, COUNTER, "reelbus_http_timeouts_total", "", "Connections closed because their time was up")       \
    X(HTTP_BAD, COUNTER, "reelbus_http_bad_requests_total", "",                                                        \
      "Requests that broke the rules of HTTP and were refused unread")                                                 \
    POLL_METRICS(X, OPENAI, "openai", "Questions to providers about videos, by the kind of API and the answer")        \
    POLL_METRICS(X, REPLICATE, "replicate", "")                                                                        \
    POLL_METRICS(X, GENERIC, "generic", "")                                                                            \
    X(POLLS_IN_FLIGHT, GAUGE, "reelbus_polls_in_flight", "", "Questions to providers that wait for their answer")      \
    X(POLL_SLOWED, GAUGE, "reelbus_poll_slowed_providers", "", "Providers that are not asked for a while")             \
    X(RESULT_QUEUED, COUNTER, "reelbus_poll_results_total", "status=\"queued\"", "Poll results published")             \
    X(RESULT_IN_PROGRESS, COUNTER, "reelbus_poll_results_total", "status=\"in_progress\"", "")                         \
    X(RESULT_COMPLETED, COUNTER, "reelbus_poll_results_total", "status=\"completed\"", "")                             \
    X(RESULT_FAILED, COUNTER, "reelbus_poll_results_total", "status=\"failed\"", "")                                   \
    X(RESULT_EXPIRED, COUNTER, "reelbus_poll_results_total", "status=\"expired\"", "")                                 \
    X(COMPLETIONS_WEBHOOK, COUNTER, "reelbus_completions_total", "by=\"webhook\"",                                     \
      "Ends of generations that were published, by how they were heard of")                                            \
    X(COMPLETIONS_POLL, COUNTER, "reelbus_completions_total", "by=\"poll\"", "")                                       \
    X(WEBHOOK_MISSED, COUNTER, "reelbus_webhook_missed_total", "",                                                     \
      "Ends that polling found and that no webhook told of within poll_grace_ms")                                      \
    X(COMPLETION_LAG_WEBHOOK, HISTOGRAM(LAG_BOUNDS), "reelbus_completion_lag_seconds", "by=\"webhook\"",               \
      "From the end of a generation to our event on Kafka. The end is the provider's completed_at, of its webhook or " \
      "its API; for webhooks without one the event's created_at, else the time of the signature; not counted when "    \
      "nothing tells it")                                                                                              \
    X(COMPLETION_LAG_POLL, HISTOGRAM(LAG_BOUNDS), "reelbus_completion_lag_seconds", "by=\"poll\"", "")                 \
    X(LIMITED_ADDRESS, COUNTER, "reelbus_rate_limited_total", "limit=\"address\"", "Requests answered 429, by limit")  \
    X(LIMITED_SCHEME, COUNTER, "reelbus_rate_limited_total", "limit=\"scheme\"", "")                                   \
    X(LIMITED_STATUS, COUNTER, "reelbus_rate_limited_total", "limit=\"status\"", "")                                   \
    X(STATUS_DENIED, COUNTER, "reelbus_status_denied_total", "", "Requests of the status API without a valid key")     \
    X(SPOOL_RECORDS, GAUGE, "reelbus_spool_records", "", "Records in the spool that Kafka has not acknowledged")       \
    X(SPOOL_BYTES, GAUGE, "reelbus_spool_bytes", "", "Size of the spool's files")                                      \
    X(SPOOL_AGE, GAUGE, "reelbus_spool_oldest_age_seconds", "", "Age of the oldest record in the spool, 0 when empty") \
    X(SPOOLED, COUNTER, "reelbus_spool_written_total", "", "Records that were written to the spool")                   \
    X(SPOOL_DRAINED, COUNTER, "reelbus_spool_drained_total", "", "Records that went from the spool to Kafka")          \
    X(SPOOL_REFUSED, COUNTER, "reelbus_spool_refused_total", "",                                                       \
      "Webhooks answered 503 because the spool was full or its disk failed")                                           \
    X(SPOOL_ASIDE, COUNTER, "reelbus_spool_set_aside_total", "",                                                       \
      "Records of the spool that Kafka refuses for good, kept in its file 'refused'")                                  \
    X(SPOOL_DAMAGED, COUNTER, "reelbus_spool_damaged_total", "", "Places of the spool whose bytes were changed")       \
    X(KAFKA_UP, GAUGE, "reelbus_kafka_up", "", "1 when a broker is connected")                                         \
    X(KAFKA_ERRORS_CLIENT, COUNTER, "reelbus_kafka_errors_total", "of=\"client\"",                                     \
      "Errors of Kafka: those that its client reports, and records that it did not take or acknowledge")               \
    X(KAFKA_ERRORS_RECORD, COUNTER, "reelbus_kafka_errors_total", "of=\"record\"", "")                                 \
    X(LISTENING, GAUGE, "reelbus_listening", "", "1 when Postgres tells of changes of videos; 0: they are asked for")  \
    X(FEEDS, GAUGE, "reelbus_event_streams", "", "Streams of Server-Sent Events that are open")                        \
    X(LOOKS, GAUGE, "reelbus_looks", "", "Videos that are looked at, by streams and by requests")                      \
    X(SPANS_SENT, COUNTER, "reelbus_spans_total", "outcome=\"sent\"", "Spans of traces, by what became of them")       \
    X(SPANS_DROPPED, COUNTER, "reelbus_spans_total", "outcome=\"dropped\"", "")                                        \
    X(DB_UP, GAUGE, "reelbus_database_up", "", "1 when Postgres is connected")
/* clang-format on */

enum {
    PRODUCER_METRICS(RB_METRIC_ENUM) /**/
    METRIC_COUNT
};

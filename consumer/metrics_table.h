/*
 * metrics_table.h — what reelbus-consumer counts.
 *
 * Way:  consumer
 */
#pragma once

#include "common/metrics.h"

#define STAGE_BOUNDS 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200
#define WAY_BOUNDS   0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600, 14400, 86400
#define LIFE_BOUNDS  0, 10, 60, 300, 900, 1800, 3600, 14400, 86400, 604800
#define SIZE_BOUNDS  65536, 262144, 1048576, 4194304, 16777216, 67108864, 268435456, 1073741824, 4294967296, 17179869184

/* clang-format off: one row, one line */
#define CONSUMER_METRICS(X)                                                                                            \
    X(STORED, COUNTER, "reelbus_videos_total", "outcome=\"stored\"", "Records by how the work on them ended")          \
    X(FAILED, COUNTER, "reelbus_videos_total", "outcome=\"failed\"", "")                                               \
    X(SILENT, COUNTER, "reelbus_videos_total", "outcome=\"silent\"", "")                                               \
    X(DEAD_LETTER, COUNTER, "reelbus_videos_total", "outcome=\"dead_letter\"", "")                                     \
    X(FAILED_GENERATION, COUNTER, "reelbus_failures_total", "class=\"generation_failed\"",                             \
      "Videos that were given up, by the class that video.store_failed names: a source is one whose URL "              \
      "died or brought nothing; alert when that grows")                                                                \
    X(FAILED_UNKNOWN, COUNTER, "reelbus_failures_total", "class=\"unknown_video\"", "")                                \
    X(FAILED_POLICY, COUNTER, "reelbus_failures_total", "class=\"policy\"", "")                                        \
    X(FAILED_CONTENT, COUNTER, "reelbus_failures_total", "class=\"content\"", "")                                      \
    X(FAILED_QUOTA, COUNTER, "reelbus_failures_total", "class=\"quota\"", "")                                          \
    X(FAILED_STORAGE, COUNTER, "reelbus_failures_total", "class=\"storage\"", "")                                      \
    X(FAILED_SOURCE, COUNTER, "reelbus_failures_total", "class=\"source\"", "")                                        \
    X(STAGE_STARTED, HISTOGRAM(STAGE_BOUNDS), "reelbus_stage_seconds", "stage=\"started\"",                            \
      "Stages of a video's way: started, from its first record on Kafka to its first transfer; stored, from"           \
      " there to its row, with all pauses and retries; announced, from there to the commit of its event")              \
    X(STAGE_STORED, HISTOGRAM(STAGE_BOUNDS), "reelbus_stage_seconds", "stage=\"stored\"", "")                          \
    X(STAGE_ANNOUNCED, HISTOGRAM(STAGE_BOUNDS), "reelbus_stage_seconds", "stage=\"announced\"", "")                    \
    X(WHOLE_WAY, HISTOGRAM(WAY_BOUNDS), "reelbus_video_seconds", "",                                                   \
      "The whole way: from the webhook, or the answer to a poll, to the commit of video.stored")                       \
    X(LIFE_LEFT, HISTOGRAM(LIFE_BOUNDS), "reelbus_expiry_left_seconds", "",                                            \
      "How long the URL would have gone on working when its video was stored, of those that tell")                     \
    X(SIZES, HISTOGRAM(SIZE_BOUNDS), "reelbus_video_bytes", "", "Sizes of stored videos")                              \
    X(BYTES, COUNTER, "reelbus_stored_bytes_total", "", "Bytes of videos that were stored")                            \
    X(MOVED, COUNTER, "reelbus_moved_bytes_total", "",                                                                 \
      "Bytes that went from sources to the store, also in tries that failed; counted when a try ends")                 \
    X(VARIANTS_STORED, COUNTER, "reelbus_variants_total", "outcome=\"stored\"", "Thumbnails and spritesheets")         \
    X(VARIANTS_MISSED, COUNTER, "reelbus_variants_total", "outcome=\"missed\"", "")                                    \
    X(TRIES, COUNTER, "reelbus_transfers_started_total", "", "Transfers that were started")                            \
    X(TRIED_OK, COUNTER, "reelbus_attempts_total", "class=\"ok\"",                                                     \
      "Tries to fetch and store a video that have ended, by what the end means: common/error.h says what "             \
      "each class is")                                                                                                 \
    X(TRIED_IN_PLACE, COUNTER, "reelbus_attempts_total", "class=\"in_place\"", "")                                     \
    X(TRIED_LATER, COUNTER, "reelbus_attempts_total", "class=\"later\"", "")                                           \
    X(TRIED_RENEW, COUNTER, "reelbus_attempts_total", "class=\"renew\"", "")                                           \
    X(TRIED_RENEW_OR_END, COUNTER, "reelbus_attempts_total", "class=\"renew_or_end\"", "")                             \
    X(TRIED_OUTAGE, COUNTER, "reelbus_attempts_total", "class=\"outage\"", "")                                         \
    X(TRIED_PERMANENT, COUNTER, "reelbus_attempts_total", "class=\"permanent\"", "")                                   \
    X(TRIED_FATAL, COUNTER, "reelbus_attempts_total", "class=\"fatal\"", "")                                           \
    X(RESUMES, COUNTER, "reelbus_resumes_total", "", "Cut downloads that went on where they were, of stored videos")   \
    X(RETRIES, COUNTER, "reelbus_retries_total", "why=\"error\"", "Pauses before a step was tried again")              \
    X(WAITS, COUNTER, "reelbus_retries_total", "why=\"outage\"", "")                                                   \
    X(LATERS, COUNTER, "reelbus_retries_total", "why=\"later\"", "")                                                   \
    X(ASKS, COUNTER, "reelbus_url_renewals_total", "result=\"asked\"", "Questions to providers for a fresh URL")       \
    X(FRESH, COUNTER, "reelbus_url_renewals_total", "result=\"fresh\"", "")                                            \
    X(LAG_WEBHOOK, GAUGE, "reelbus_lag_records", "topic=\"video.webhook.received\"",                                   \
      "Records of our partitions that are not finished, be they worked on, put off, or on Kafka still; by "            \
      "topic, without its prefix")                                                                                     \
    X(LAG_POLL, GAUGE, "reelbus_lag_records", "topic=\"video.poll.result\"", "")                                       \
    X(LAG_RETRY, GAUGE, "reelbus_lag_records", "topic=\"video.store.retry\"", "")                                      \
    X(OLDEST, GAUGE, "reelbus_oldest_record_age_seconds", "",                                                          \
      "Age of the oldest record that is worked on, but for those of the topic of retries; 0 without any")              \
    X(NEXT_EXPIRY, GAUGE, "reelbus_expiry_next_seconds", "",                                                           \
      "Until the first URL of the videos that we have and have not stored stops working, below 0 when it "             \
      "has; +Inf: of none is that known")                                                                              \
    X(AT_RISK, GAUGE, "reelbus_videos_at_risk", "",                                                                    \
      "Videos that we have and have not stored, whose URL stops working within at_risk_ms; alert on that")             \
    X(DELAYED, GAUGE, "reelbus_delayed", "", "Records of the topic of retries whose time has not come yet")            \
    X(CIRCUIT_FULL, GAUGE, "reelbus_store_circuit_open", "code=\"store_full\"",                                        \
      "1 while nothing is stored but one probe at a time, because the store says so: somebody has to look")            \
    X(CIRCUIT_DENIED, GAUGE, "reelbus_store_circuit_open", "code=\"store_denied\"", "")                                \
    X(CIRCUIT_REFUSED, GAUGE, "reelbus_store_circuit_open", "code=\"store_refused\"", "")                              \
    X(CIRCUIT_ANSWER, GAUGE, "reelbus_store_circuit_open", "code=\"store_answer\"", "")                                \
    X(CIRCUIT_AWAY, GAUGE, "reelbus_store_circuit_open", "code=\"store_away\"", "")                                    \
    X(CIRCUIT_BUSY, GAUGE, "reelbus_store_circuit_open", "code=\"store_busy\"", "")                                    \
    X(CIRCUIT_QUOTA, GAUGE, "reelbus_store_circuit_open", "code=\"quota_all\"", "")                                    \
    X(CIRCUIT_PROBES, COUNTER, "reelbus_store_circuit_probes_total", "", "Times that a probe was let through")         \
    X(FALLBACK_FULL, GAUGE, "reelbus_fallback_circuit_open", "code=\"store_full\"",                                    \
      "1 while nothing is sent to the fallback store but one probe at a time, because it says so")                     \
    X(FALLBACK_DENIED, GAUGE, "reelbus_fallback_circuit_open", "code=\"store_denied\"", "")                            \
    X(FALLBACK_REFUSED, GAUGE, "reelbus_fallback_circuit_open", "code=\"store_refused\"", "")                          \
    X(FALLBACK_ANSWER, GAUGE, "reelbus_fallback_circuit_open", "code=\"store_answer\"", "")                            \
    X(FALLBACK_AWAY, GAUGE, "reelbus_fallback_circuit_open", "code=\"store_away\"", "")                                \
    X(FALLBACK_BUSY, GAUGE, "reelbus_fallback_circuit_open", "code=\"store_busy\"", "")                                \
    X(FALLBACK_PROBES, COUNTER, "reelbus_fallback_circuit_probes_total", "", "Times that a probe was let through")     \
    X(SPILLED, COUNTER, "reelbus_spilled_total", "", "Videos that were sent to the fallback store")                    \
    X(REMOVED, COUNTER, "reelbus_removed_total", "", "Stored videos whose objects were removed")                       \
    X(REMOVE_FAILS, COUNTER, "reelbus_remove_failures_total", "",                                                      \
      "Objects of deleted videos that could not be removed or announced yet; alert when it grows")                     \
    X(RETENTION_RUNS, COUNTER, "reelbus_retention_runs_total", "",                                                     \
      "Times that this process began to go through the rules of retention")                                            \
    X(USAGE_BYTES, GAUGE, "reelbus_usage_bytes", "", "Bytes that the first store keeps, by what the database counts")  \
    X(USAGE_VIDEOS, GAUGE, "reelbus_usage_videos", "", "Videos that they belong to")                                   \
    X(QUOTA_BYTES, GAUGE, "reelbus_quota_bytes", "", "What may be stored in all; 0: no limit is set")                  \
    X(QUOTA_LEVEL, GAUGE, "reelbus_quota_level", "",                                                                   \
      "0: well, 1: over the warning mark, 2: over the mark where quota_then happens; alert on 1")                      \
    X(QUOTA_DAYS, GAUGE, "reelbus_quota_left_days", "",                                                                \
      "Days until that mark, by the growth of the last week; -1: nobody can say")                                      \
    X(REDRIVEN, COUNTER, "reelbus_redriven_total", "",                                                                 \
      "Failures that were sent once more because their cause is cleared, see redrive_auto")                            \
    X(SKIPPED, COUNTER, "reelbus_records_skipped_total", "",                                                           \
      "Records that came again and were finished already, by what was committed beside the offset")                    \
    X(TRANSACTIONS, COUNTER, "reelbus_transactions_total", "", "Kafka transactions that were committed")               \
    X(TRANSACTION_FAILS, COUNTER, "reelbus_transaction_failures_total", "",                                            \
      "Kafka transactions that were not, and were made anew; alert when it grows fast")                                \
    X(JOBS, GAUGE, "reelbus_jobs", "", "Records that are worked on")                                                   \
    X(TRANSFERRING, GAUGE, "reelbus_transfers", "", "Transfers that are running")                                      \
    X(IN_FLIGHT, GAUGE, "reelbus_in_flight_bytes", "", "Size of the videos that are being transferred")                \
    X(PARTITIONS, GAUGE, "reelbus_partitions", "", "Partitions that the group gave us")                                \
    X(PAUSED, GAUGE, "reelbus_paused", "",                                                                             \
      "1 while records are not taken: enough are worked on, our own side is away, or an operator wants it so")         \
    X(HELD, GAUGE, "reelbus_paused_by_operator", "",                                                                   \
      "1 while an operator has paused the group: nothing is stored until resume, or until its time is over")           \
    X(KAFKA_UP, GAUGE, "reelbus_kafka_up", "", "1 when a broker is connected")                                         \
    X(SPANS_SENT, COUNTER, "reelbus_spans_total", "outcome=\"sent\"", "Spans of traces, by what became of them")       \
    X(SPANS_DROPPED, COUNTER, "reelbus_spans_total", "outcome=\"dropped\"", "")                                        \
    X(DB_UP, GAUGE, "reelbus_database_up", "", "1 when Postgres is connected")                                         \
    X(STORE_UP, GAUGE, "reelbus_store_up", "", "1 when the store answers, knows us and has the bucket")                \
    X(FALLBACK_UP, GAUGE, "reelbus_fallback_up", "", "1 when there is a fallback store, and it does so too")
/* clang-format on */

enum {
    CONSUMER_METRICS(RB_METRIC_ENUM) /**/
    METRIC_COUNT
};

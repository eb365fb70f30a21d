/*
 * metrics_table.h — what reelbus-consumer counts.
 *
 * Way:  consumer
 */
#pragma once

#include "common/metrics.h"

/* clang-format off: one row, one line */
#define CONSUMER_METRICS(X)                                                                                            \
    X(STORED, COUNTER, "reelbus_videos_total", "outcome=\"stored\"", "Records by how the work on them ended")          \
    X(FAILED, COUNTER, "reelbus_videos_total", "outcome=\"failed\"", "")                                               \
    X(SILENT, COUNTER, "reelbus_videos_total", "outcome=\"silent\"", "")                                               \
    X(DEAD_LETTER, COUNTER, "reelbus_videos_total", "outcome=\"dead_letter\"", "")                                     \
    X(BYTES, COUNTER, "reelbus_stored_bytes_total", "", "Bytes of videos that were stored")                            \
    X(VARIANTS_STORED, COUNTER, "reelbus_variants_total", "outcome=\"stored\"", "Thumbnails and spritesheets")         \
    X(VARIANTS_MISSED, COUNTER, "reelbus_variants_total", "outcome=\"missed\"", "")                                    \
    X(TRIES, COUNTER, "reelbus_transfers_started_total", "", "Transfers that were started")                            \
    X(RESUMES, COUNTER, "reelbus_resumes_total", "", "Cut downloads that went on where they were, of stored videos")   \
    X(RETRIES, COUNTER, "reelbus_retries_total", "why=\"error\"", "Pauses before a step was tried again")              \
    X(WAITS, COUNTER, "reelbus_retries_total", "why=\"outage\"", "")                                                   \
    X(LATERS, COUNTER, "reelbus_retries_total", "why=\"later\"", "")                                                   \
    X(ASKS, COUNTER, "reelbus_url_renewals_total", "result=\"asked\"", "Questions to providers for a fresh URL")       \
    X(FRESH, COUNTER, "reelbus_url_renewals_total", "result=\"fresh\"", "")                                            \
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
    X(USAGE_BYTES, GAUGE, "reelbus_usage_bytes", "", "Bytes that the first store keeps, by what the database counts")  \
    X(USAGE_VIDEOS, GAUGE, "reelbus_usage_videos", "", "Videos that they belong to")                                   \
    X(QUOTA_BYTES, GAUGE, "reelbus_quota_bytes", "", "What may be stored in all; 0: no limit is set")                  \
    X(QUOTA_LEVEL, GAUGE, "reelbus_quota_level", "",                                                                   \
      "0: well, 1: over the warning mark, 2: over the mark where quota_then happens; alert on 1")                      \
    X(QUOTA_DAYS, GAUGE, "reelbus_quota_left_days", "",                                                                \
      "Days until that mark, by the growth of the last week; -1: nobody can say")                                      \
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
      "1 while records are not taken: enough are worked on, or our own side is away")                                  \
    X(KAFKA_UP, GAUGE, "reelbus_kafka_up", "", "1 when a broker is connected")                                         \
    X(DB_UP, GAUGE, "reelbus_database_up", "", "1 when Postgres is connected")                                         \
    X(STORE_UP, GAUGE, "reelbus_store_up", "", "1 when the store answers, knows us and has the bucket")                \
    X(FALLBACK_UP, GAUGE, "reelbus_fallback_up", "", "1 when there is a fallback store, and it does so too")
/* clang-format on */

enum {
    CONSUMER_METRICS(RB_METRIC_ENUM) /**/
    METRIC_COUNT
};

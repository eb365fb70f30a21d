/*
 * options.h — the options of reelbus-consumer.
 *
 * Way:  consumer
 */
#pragma once

#include "common/common_options.h"

/* clang-format off: one row, one line */
#define CONSUMER_OPTIONS(X)                                                                                            \
    /* name                 type    default       min     max          also  help */                                   \
    X(group, TEXT, "reelbus", 1, 255, "", "consumer group; its members share the work")                                \
    X(group_instance_id, TEXT, "", 0, 249, "",                                                                         \
      "static member: a restart under the same id takes its partitions up again at once")                              \
    X(records_max, NUMBER, "1000", 1, 100000, "", "records worked on at once; then no more are taken")                 \
    X(commit_interval_ms, MS, "1s", 10, 60000, "", "how often finished offsets are committed")                         \
    X(publish_timeout_ms, MS, "10s", 100, 300000, "",                                                                  \
      "how long Kafka may take to acknowledge an outcome before it is sent again")                                     \
    X(transfers_max, NUMBER, "16", 1, 1024, "", "transfers at once")                                                   \
    X(queue_bytes, BYTES, "256KiB", 131072, 268435456, "",                                                             \
      "memory between the download and the upload of one transfer")                                                    \
    X(video_max_bytes, BYTES, "2GiB", 1024, 1099511627776, "", "largest video that is stored")                         \
    X(connect_timeout_ms, MS, "10s", 100, 300000, "", "for reaching a source: name resolution, connecting, TLS")       \
    X(low_speed_bytes, BYTES, "10KiB", 0, 1073741824, "", "a source that sends fewer bytes a second ...")              \
    X(low_speed_ms, MS, "30s", 1000, 3600000, "", "... for this long is given up")                                     \
    X(transfer_timeout_ms, MS, "1h", 1000, 86400000, "", "for one transfer as a whole")                                \
    X(retry_first_ms, MS, "500ms", 1, 3600000, "", "longest pause after the first failure")                            \
    X(retry_max_ms, MS, "1m", 1, 86400000, "", "longest pause between two tries")                                      \
    X(retry_for_ms, MS, "1h", 0, 2592000000, "", "how long a video is tried whose URL has no known expiry")            \
    X(source_https_only, BOOL, "false", 0, 1, "", "fetch from https URLs only")                                        \
    X(source_ports, TEXT, "80,443", 1, 255, "", "ports that videos may be fetched from, or 'any'")                     \
    X(source_allow_private, BOOL, "false", 0, 1, "",                                                                   \
      "fetch from loopback and private networks too; for providers in one's own network")                              \
    X(bucket, TEXT, "videos", 1, 63, "", "bucket that videos are stored in")                                           \
    X(store, TEXT, "file", 1, 32, "", "where videos are kept: file")                                                   \
    X(file_root, TEXT, "", 0, 4096, "", "folder of the file store")                                                    \
    X(file_public_url, TEXT, "", 0, 2048, "", "what stands before bucket and key in the URL of a stored file")         \
    X(status_completed, TEXT, "completed", 1, 255, "", "what the application's status column says of a stored video")  \
    X(status_failed, TEXT, "failed", 1, 255, "", "and of a video that could not be made or stored")                    \
    X(metrics_listen, TEXT, "", 0, 255, "",                                                                            \
      "address and port of an HTTP server with /metrics, /healthz and /readyz; empty: none")                           \
    X(topic_partitions, NUMBER, "6", 1, 10000, "", "setup: partitions of a topic that is made")                        \
    X(topic_replication, NUMBER, "-1", -1, 100, "",                                                                    \
      "setup: replicas of a topic that is made; -1: as the brokers have it")
/* clang-format on */

struct consumer_options {
    struct rb_common_options common;
    CONSUMER_OPTIONS(RB_OPTION_FIELD)
};

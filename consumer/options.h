/*
 * options.h — the options of reelbus-consumer.
 *
 * Way:  consumer
 */
#pragma once

#include "common/common_options.h"
#include "consumer/command_options.h"

/* clang-format off: one row, one line */
#define CONSUMER_OPTIONS(X)                                                                                            \
    /* name                 type    default       min     max          also  help */                                   \
    X(group, TEXT, "reelbus", 1, 255, "", "consumer group; its members share the work")                                \
    X(group_instance_id, TEXT, "", 0, 249, "",                                                                         \
      "static member: a restart under the same id takes its partitions up again at once")                              \
    X(records_max, NUMBER, "2000", 1, 100000, "", "records worked on at once; then no more are taken")                 \
    X(delayed_max, NUMBER, "5000", 1, 1000000, "",                                                                     \
      "records of the topic of retries kept until their time comes; then no more of these are taken")                  \
    X(transactional_id, TEXT, "", 0, 255, "",                                                                          \
      "of this process alone, and the same after a restart; empty: group and group_instance_id, or the host's name")   \
    X(transaction_wait_ms, MS, "5ms", 0, 1000, "", "how long an outcome waits for others, to be committed together")   \
    X(transaction_timeout_ms, MS, "30s", 5000, 900000, "",                                                             \
      "after which the brokers abort what a process that has vanished was committing; readers may wait so long")       \
    X(commit_interval_ms, MS, "1s", 10, 60000, "",                                                                     \
      "how often finished offsets are committed when there is no outcome to commit them with")                         \
    X(publish_timeout_ms, MS, "10s", 100, 300000, "",                                                                  \
      "how long an outcome may wait for a transaction before its job pauses and tries again")                          \
    X(transfers_max, NUMBER, "16", 1, 1024, "", "transfers at once")                                                   \
    X(host_transfers_max, NUMBER, "0", 0, 1024, "", "and from one host; 0: three quarters of them")                    \
    X(queue_bytes, BYTES, "256KiB", 131072, 268435456, "",                                                             \
      "memory between the download and the upload of one transfer; as much as half of it goes to buffers beside it")   \
    X(formats, TEXT, "mp4", 1, 32, "", "containers that are stored: 'mp4' or 'mp4,webm'")                              \
    X(variants, TEXT, "", 0, 64, "",                                                                                   \
      "what else is stored, of providers that have it: 'thumbnail,spritesheet', one of them; empty: nothing")          \
    X(variant_max_bytes, BYTES, "16MiB", 1024, 1073741824, "", "largest thumbnail or spritesheet that is stored")      \
    X(variants_timeout_ms, MS, "20s", 100, 600000, "",                                                                 \
      "time for all of these, for which the video waits; what has not come by then is left out")                       \
    X(video_max_bytes, BYTES, "2GiB", 1024, 1099511627776, "", "largest video that is stored")                         \
    X(in_flight_max_bytes, BYTES, "0", 0, 1099511627776, "",                                                           \
      "size of all videos that are transferred at once; more wait; 0: no limit")                                       \
    X(connect_timeout_ms, MS, "10s", 100, 300000, "", "for reaching a source: name resolution, connecting, TLS")       \
    X(first_byte_timeout_ms, MS, "60s", 100, 3600000, "",                                                              \
      "from then to the first byte of the video; anew at each redirect")                                               \
    X(low_speed_bytes, BYTES, "10KiB", 0, 1073741824, "", "a source that sends fewer bytes a second ...")              \
    X(low_speed_ms, MS, "30s", 1000, 3600000, "", "... for this long is given up")                                     \
    X(transfer_timeout_ms, MS, "1h", 1000, 86400000, "", "for one transfer as a whole")                                \
    X(resume_max, NUMBER, "5", 0, 1000, "",                                                                            \
      "how often a download that was cut goes on where it was without another 1 MiB coming; 0: never")                 \
    X(retry_first_ms, MS, "500ms", 1, 3600000, "", "longest pause after the first failure; it doubles with each one")  \
    X(retry_max_ms, MS, "10m", 1, 86400000, "", "longest pause between two tries")                                     \
    X(retry_in_place_ms, MS, "10s", 0, 3600000, "",                                                                    \
      "pauses up to this are waited for in place, longer ones on the topic of retries")                                \
    X(retry_for_ms, MS, "1h", 0, 2592000000, "",                                                                       \
      "how long after its first failure a video is tried when nobody knows how long its URL lives")                    \
    X(retry_longest_ms, MS, "7d", 1000, 31536000000, "", "and at the longest, however late its URL expires")           \
    X(retry_last_ms, MS, "1m", 0, 86400000, "",                                                                        \
      "a last try begins so long before the URL expires; at most a tenth of its life")                                 \
    X(renew_for_ms, MS, "1d", 0, 2592000000, "",                                                                       \
      "how long after the first failure a provider is asked for fresh URLs of a video whose own opens no more")        \
    X(redrive_auto, TEXT, "", 0, 32, "",                                                                               \
      "failures that are tried once more by themselves: 'quota', once there is room; 'credentials', once providers "   \
      "were read again (SIGHUP); or 'quota,credentials'; empty: none")                                                 \
    X(redrives_max, NUMBER, "3", 1, 1000, "",                                                                          \
      "what was sent once more so often, and has failed again, is left where it is")                                   \
    X(at_risk_ms, MS, "5m", 0, 2592000000, "",                                                                         \
      "a video that is not stored so long before its URL stops working counts as reelbus_videos_at_risk")              \
    X(store_probe_first_ms, MS, "1s", 1, 86400000, "",                                                                 \
      "the store takes nothing: longest pause before one transfer is tried; it doubles ...")                           \
    X(store_probe_max_ms, MS, "2m", 1, 86400000, "", "... up to this")                                                 \
    X(source_https_only, BOOL, "false", 0, 1, "", "fetch from https URLs only")                                        \
    X(source_ports, TEXT, "80,443", 1, 255, "", "ports that videos may be fetched from, or 'any'")                     \
    X(source_hosts, TEXT, "", 0, 2047, "",                                                                             \
      "hosts that videos may be fetched from, as in 'cdn.example.com,*.example.net'; empty: any")                      \
    X(source_deny_hosts, TEXT, "", 0, 2047, "", "hosts that they are never fetched from")                              \
    X(source_deny_networks, TEXT, "", 0, 4096, "",                                                                     \
      "networks that they are never fetched from, as in '198.51.100.0/24,2001:db8::/32'")                              \
    X(source_allow_networks, TEXT, "", 0, 4096, "",                                                                    \
      "private or special networks that they may be fetched from, as in '10.1.0.0/16'")                                \
    X(source_allow_private, BOOL, "false", 0, 1, "",                                                                   \
      "fetch from loopback and private networks too; for providers in one's own network")                              \
    X(bucket, TEXT, "videos", 1, 63, "", "bucket that videos are stored in")                                           \
    X(key_template, TEXT, "{user_id}/{video_id}.mp4", 1, 255, "",                                                      \
      "key of a video in it: {video_id}, {user_id} (if all have only A-Z a-z 0-9 _ -), and A-Z a-z 0-9 _ - . = /")     \
    X(store, TEXT, "file", 1, 32, "", "where videos are kept: file, s3 or supabase")                                   \
    X(fallback_config, TEXT, "", 0, 4096, "",                                                                          \
      "config file of a second store, with its own 'store', 'bucket' and their options; empty: there is none")         \
    X(fallback_after_ms, MS, "5m", 0, 2592000000, "",                                                                  \
      "videos go there once the first store takes nothing for this long")                                              \
    X(quota_bytes, BYTES, "0", 0, 4611686018427387904, "",                                                             \
      "what the provider lets be stored in all, 1GB for example; 0: no limit")                                         \
    X(quota_warn_at, TEXT, "80%", 1, 32, "", "from here on it is said: a percentage of it, or bytes")                  \
    X(quota_stop_at, TEXT, "95%", 1, 32, "", "up to here it is stored; then quota_then happens")                       \
    X(quota_low_at, TEXT, "90%", 1, 32, "", "under cleanup: down to here the oldest videos go")                        \
    X(quota_user_bytes, BYTES, "0", 0, 4611686018427387904, "", "what may be stored of one user; 0: no limit")         \
    X(quota_user_warn_at, TEXT, "80%", 1, 32, "", "from here on it is said: a percentage of it, or bytes")             \
    X(quota_user_stop_at, TEXT, "100%", 1, 32, "", "up to here it is stored; then quota_then happens")                 \
    X(quota_user_low_at, TEXT, "90%", 1, 32, "", "under cleanup: down to here the oldest videos of that user go")      \
    X(quota_then, TEXT, "wait", 1, 8, "",                                                                              \
      "a video without room: wait, spill (to the fallback store), keep (its original URL), cleanup (the oldest go)")   \
    X(quota_cleanup_age_ms, MS, "1d", 0, 315360000000, "", "under cleanup: younger videos stay")                       \
    X(quota_check_ms, MS, "30s", 10, 86400000, "",                                                                     \
      "how often sums are read for metrics and the forecast, and half-done removals of others are looked for")         \
    X(retention_ms, MS, "0", 0, 315360000000, "",                                                                      \
      "videos that were stored longer ago than this are removed, 90d for example; 0: never")                           \
    X(retention_user_bytes, BYTES, "0", 0, 4611686018427387904, "",                                                    \
      "what is kept of one user in a store; above it the oldest of that user are removed; 0: no limit")                \
    X(retention_user_videos, NUMBER, "0", 0, 1000000000, "", "the same as a number of videos; 0: no limit")            \
    X(retention_bytes, BYTES, "0", 0, 4611686018427387904, "",                                                         \
      "what is kept in all in a store; above it the oldest are removed; 0: no limit")                                  \
    X(retention_low_bytes, BYTES, "0", 0, 4611686018427387904, "", "down to this; 0: down to retention_bytes")         \
    X(retention_min_age_ms, MS, "1h", 0, 315360000000, "", "none of these removes a video that is younger than this")  \
    X(retention_every_ms, MS, "1h", 0, 31536000000, "",                                                                \
      "how often one of the running consumers removes what these say; 0: only cleanup does")                           \
    X(file_root, TEXT, "", 0, 4096, "", "folder of the file store")                                                    \
    X(file_public_url, TEXT, "", 0, 2048, "", "what stands before bucket and key in the URL of a stored file")         \
    X(file_mode, TEXT, "0644", 3, 4, "", "permissions of a stored file, as of chmod; the umask takes nothing away")    \
    X(file_dir_mode, TEXT, "0755", 3, 4, "", "and of the folders that are made for it")                                \
    X(s3_endpoint, TEXT, "", 0, 2048, "AWS_ENDPOINT_URL",                                                              \
      "S3 server, https://host[:port][/path]; empty: AWS in s3_region")                                                \
    X(s3_region, TEXT, "us-east-1", 1, 64, "AWS_REGION", "region that requests are signed for")                        \
    X(s3_path_style, TEXT, "auto", 1, 8, "",                                                                           \
      "bucket in the path (true) or in the host's name (false); auto: in the name at AWS only")                        \
    X(s3_public_url, TEXT, "", 0, 2048, "",                                                                            \
      "URL of a stored object: what stands before bucket and key, or a form as https://cdn/{key}; empty: its place")   \
    X(s3_single_max_bytes, BYTES, "16MiB", 0, 5368709120, "",                                                          \
      "up to this size an object is sent in one request, above it in parts")                                           \
    X(s3_part_bytes, BYTES, "8MiB", 5242880, 5368709120, "", "size of a part")                                         \
    X(s3_buffers_bytes, BYTES, "16MiB", 5242880, 68719476736, "",                                                      \
      "memory for objects whose length the source does not say: one part each, all of them together")                  \
    X(s3_hash_max_bytes, BYTES, "5GiB", 0, 5368709120, "",                                                             \
      "up to this size an object is copied onto itself to give it its SHA-256 as metadata; 0: never")                  \
    X(s3_md5, TEXT, "auto", 1, 8, "",                                                                                  \
      "compare ETags with the MD5 of what was sent: true, false; auto: over plain http")                               \
    X(s3_storage_class, TEXT, "", 0, 64, "",                                                                           \
      "storage class of new objects, STANDARD_IA for example; empty: the bucket's")                                    \
    X(s3_sse, TEXT, "", 0, 16, "",                                                                                     \
      "server-side encryption of new objects: AES256, aws:kms or aws:kms:dsse; empty: the bucket's")                   \
    X(s3_sse_kms_key_id, TEXT, "", 0, 2048, "", "key of aws:kms; empty: the account's own")                            \
    X(s3_timeout_ms, MS, "60s", 1000, 3600000, "", "a request in which nothing moves for this long is given up")       \
    X(store_check_ms, MS, "30s", 100, 86400000, "", "how often the store is asked whether it is there")                \
    X(cleanup_uploads_ms, MS, "1d", 0, 31536000000, "",                                                                \
      "cleanup: unfinished uploads that are older than this are removed from the bucket")                              \
    X(cleanup_prefix, TEXT, "", 0, 1024, "",                                                                           \
      "cleanup: only those whose key begins so; for a bucket that others write to as well")                            \
    X(s3_make_bucket, BOOL, "false", 0, 1, "", "setup: make the bucket when it is missing")                            \
    X(s3_credentials, TEXT, "auto", 1, 16, "",                                                                         \
      "where keys come from: keys, web_identity, file, container, instance; auto: the first that is set")              \
    X(s3_access_key, TEXT, "", 0, 256, "AWS_ACCESS_KEY_ID", "access key")                                              \
    X(s3_secret_key, SECRET, "", 0, 256, "AWS_SECRET_ACCESS_KEY", "its secret")                                        \
    X(s3_session_token, SECRET, "", 0, 8192, "AWS_SESSION_TOKEN", "and its token, if it is a temporary one")           \
    X(s3_credentials_file, TEXT, "", 0, 4096, "AWS_SHARED_CREDENTIALS_FILE",                                           \
      "file of profiles with keys; empty: ~/.aws/credentials")                                                         \
    X(s3_profile, TEXT, "", 0, 256, "AWS_PROFILE", "profile in it; empty: default")                                    \
    X(s3_web_identity_token_file, TEXT, "", 0, 4096, "AWS_WEB_IDENTITY_TOKEN_FILE",                                    \
      "file with a token that STS changes for keys")                                                                   \
    X(s3_role_arn, TEXT, "", 0, 2048, "AWS_ROLE_ARN", "role to take with it")                                          \
    X(s3_role_session_name, TEXT, "reelbus", 1, 64, "AWS_ROLE_SESSION_NAME", "how the role's log names us")            \
    X(s3_sts_endpoint, TEXT, "", 0, 2048, "AWS_ENDPOINT_URL_STS", "STS server; empty: AWS in s3_region")               \
    X(s3_container_url, TEXT, "", 0, 2048, "AWS_CONTAINER_CREDENTIALS_FULL_URI",                                       \
      "address that gives a container its keys")                                                                       \
    X(s3_container_path, TEXT, "", 0, 2048, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",                                  \
      "the same, at the usual address")                                                                                \
    X(s3_container_token, SECRET, "", 0, 8192, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "what to show there")              \
    X(s3_container_token_file, TEXT, "", 0, 4096, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "file with it")            \
    X(s3_instance_endpoint, TEXT, "http://169.254.169.254", 0, 2048, "AWS_EC2_METADATA_SERVICE_ENDPOINT",              \
      "metadata service of the virtual machine; empty: there is none")                                                 \
    X(supabase_url, TEXT, "", 0, 2048, "SUPABASE_URL", "the project: https://<ref>.supabase.co, or one's own server")  \
    X(supabase_key, SECRET, "", 0, 4096, "SUPABASE_SERVICE_ROLE_KEY",                                                  \
      "its secret key (sb_secret_...) or service_role key (eyJ...)")                                                   \
    X(supabase_storage_url, TEXT, "", 0, 2048, "",                                                                     \
      "its Storage API; empty: supabase_url and /storage/v1; https://<ref>.storage.supabase.co/storage/v1 is faster")  \
    X(supabase_public_url, TEXT, "", 0, 2048, "",                                                                      \
      "what stands in links instead of supabase_url: a domain of one's own, the address outside of the network")       \
    X(supabase_link, TEXT, "public", 1, 16, "",                                                                        \
      "links that people get: public, authenticated (with a user's token, as policies allow), signed")                 \
    X(supabase_link_ms, MS, "365d", 1000, 315360000000, "", "how long a signed link works")                            \
    X(supabase_cache_ms, MS, "1h", 0, 31536000000, "", "how long browsers and caches may keep a video")                \
    X(supabase_single_max_bytes, BYTES, "6MiB", 0, 6291456, "",                                                        \
      "up to this size an object is sent in one request, above it in a resumable upload")                              \
    X(supabase_buffers_bytes, BYTES, "24MiB", 0, 68719476736, "",                                                      \
      "memory for bytes that are on their way, all objects together; what gets none starts over after a cut")          \
    X(supabase_hash_max_bytes, BYTES, "5GiB", 0, 5368709120, "",                                                       \
      "up to this size an object is copied onto itself to give it its SHA-256 as metadata; 0: never")                  \
    X(supabase_timeout_ms, MS, "60s", 10000, 3600000, "",                                                              \
      "a request in which nothing moves for this long is given up")                                                    \
    X(supabase_make_bucket, BOOL, "true", 0, 1, "", "setup: make the bucket when it is missing")                       \
    X(supabase_policies, BOOL, "true", 0, 1, "",                                                                       \
      "setup: make the policies of deploy/sql/supabase when they are missing, and the project's database is ours")     \
    X(status_completed, TEXT, "completed", 1, 255, "", "what the application's status column says of a stored video")  \
    X(status_failed, TEXT, "failed", 1, 255, "", "and of a video that could not be made or stored")                    \
    X(metrics_listen, TEXT, "", 0, 255, "",                                                                            \
      "address and port of an HTTP server with /metrics, /healthz and /readyz; empty: none")                           \
    X(setup_lock_ms, MS, "2s", 1, 600000, "",                                                                          \
      "setup: how long a table that somebody has locked is waited for at once: others wait behind us meanwhile")       \
    X(topic_partitions, NUMBER, "6", 1, 10000, "", "setup: partitions of a topic that is made")                        \
    X(topic_retention_ms, MS, "30d", 60000, 315360000000, "",                                                          \
      "setup: how long a topic that is made keeps records; retries at least a day longer than they may wait")          \
    X(topic_replication, NUMBER, "-1", -1, 100, "",                                                                    \
      "setup: replicas of a topic that is made; -1: as the brokers have it")
/* clang-format on */

struct consumer_options {
    struct rb_common_options common;
    CONSUMER_OPTIONS(RB_OPTION_FIELD)
    struct rb_command_options command; /* what is asked of a command, this time */
};

/*
 * log_table.h — every line that the programs can log, and what it means to the person who reads it.
 *
 * Way:  common
 */
#pragma once

#define RB_LOG_EVENTS(X)                                                                                               \
    /* event              level    fields                               meaning                                     */ \
    X(START, INFO, "version, pid", "the program has read its options and starts")                                      \
    X(READY, INFO, "what it listens to or works on", "everything it needs answers; work begins")                       \
    X(STOP, INFO, "reason, drain_ms", "asked to stop; finishes what it has begun")                                     \
    X(STOPPED, INFO, "left", "the end; left counts what was not finished and will come again")                         \
    X(FATAL, CRIT, "code, error", "cannot go on and ends with 1, 2 or 3 (deploy/README.md says what they mean)")       \
    X(STUCK, CRIT, "front, stuck_ms, limit_ms, loop_at",                                                               \
      "the watchdog sees no progress and exits with 3; the supervisor should start it again; loop_at is a wchan")      \
    X(LOG_LEVEL, NOTICE, "shows", "SIGUSR1 or SIGUSR2 has changed up to which level lines are shown")                  \
    X(LISTENING, INFO, "address, tls", "the HTTP server accepts connections")                                          \
    X(ACCEPT_FAILS, WARNING, "connections, error",                                                                     \
      "the system has no descriptor or no memory for one more connection; trying again, error is its errno")           \
    X(TLS_LOADED, NOTICE, "cert", "the certificate was read again; new connections get it")                            \
    X(TLS_KEPT, WARNING, "code, error", "the new certificate cannot be used; the one before stays; ignoring")          \
    X(WEBHOOK_ACCEPTED, INFO, "trace, video, status, topic, partition, offset, took_ms",                               \
      "Kafka has the event, or with partition -1 the spool, and the sender was answered 200")                          \
    X(WEBHOOK_REFUSED, NOTICE, "trace, video, or sender, scheme; code, error, client",                                 \
      "the sender was answered 4xx; nothing was published")                                                            \
    X(WEBHOOK_DEFERRED, WARNING, "trace, video, code, error", "the sender was answered 503 and should try again")      \
    X(WEBHOOK_SILENT, INFO, "trace, video, because",                                                                   \
      "answered 200 and nothing published: it came before, is stored, or is about nothing finished")                   \
    X(PROVIDER_SILENT, NOTICE, "trace, video, provider, code, error",                                                  \
      "the provider's API was asked about a webhook and did not help; the webhook alone counts")                       \
    X(PROVIDERS_READ, NOTICE, "providers, webhooks", "the providers and their secrets are those of the files now")     \
    X(PROVIDERS_REFUSED, WARNING, "code, error", "a file has a mistake; what was valid before stays")                  \
    X(STATUS_KEYS_KEPT, WARNING, "code, error",                                                                        \
      "the new keys of the status API cannot be used; those before stay valid")                                        \
    X(KEYS_READ, INFO, "url, keys", "a sender's public keys have changed")                                             \
    X(KEYS_TROUBLE, WARNING, "url, keys, code, error, retry_ms",                                                       \
      "public keys cannot be fetched or kept; those that are known stay valid")                                        \
    X(POLL_PUBLISHED, INFO, "trace, video, provider, status, progress, polls, partition, offset",                      \
      "polling brought something new about a video, and Kafka has it")                                                 \
    X(POLL_ODD, NOTICE, "video, provider, polls, code, error",                                                         \
      "the provider's answer about one video is none that helps; it is asked again, and this is said less and less")   \
    X(POLL_UNPUBLISHED, WARNING, "trace, video, code, error",                                                          \
      "Kafka did not take a poll result; the video is asked for again")                                                \
    X(POLL_UNWRITTEN, WARNING, "code, error",                                                                          \
      "the database did not take what polls brought; those videos are asked for again")                                \
    X(POLL_ADOPTED, INFO, "videos", "the application's table has videos that wait and that nobody told us of")         \
    X(POLL_UNADOPTED, WARNING, "code, error",                                                                          \
      "the application's table cannot be looked at for videos that wait; are the options column_* right?")             \
    X(POLL_SLOWED, WARNING, "provider, code, error, retry_ms", "this provider is not asked for a while; others are")   \
    X(POLL_WELL, INFO, "provider", "a provider that was not well answers again")                                       \
    X(POLL_PAUSED, WARNING, "code, error", "nobody is asked while the database or Kafka is away")                      \
    X(POLL_RUNS, INFO, "providers", "videos that wait are asked for")                                                  \
    X(RATE_LIMITED, NOTICE, "limit, client, path, unlogged",                                                           \
      "somebody asked too often and was answered 429; at most one line a second, unlogged counts the others")          \
    X(SPOOL_OPENED, INFO, "records, bytes", "the spool is open; what an earlier process left in it goes out first")    \
    X(SPOOL_CUT, NOTICE, "segment, bytes",                                                                             \
      "a record was being written when an earlier process died; nobody was answered 200 for it")                       \
    X(SPOOL_DAMAGED, WARNING, "segment, offset", "bytes of the spool were changed on the disk; a record is lost")      \
    X(SPOOL_FAILS, WARNING, "code, error", "the spool's disk fails; webhooks are answered 503 while Kafka is away")    \
    X(SPOOL_WORKS, INFO, "records", "the spool can be written again")                                                  \
    X(SPOOL_FILLS, WARNING, "code, error", "Kafka does not take webhooks; they go to the spool, and senders get 200")  \
    X(SPOOL_WAITS, WARNING, "code, error", "Kafka is there and did not take records of the spool; trying again")       \
    X(SPOOL_ASIDE, WARNING, "code, error, topic, key, bytes",                                                          \
      "Kafka refuses this record of the spool for good; it is kept in the spool's file 'refused'")                     \
    X(SPOOL_EMPTY, INFO, "drained, took_ms",                                                                           \
      "all that was in the spool is on Kafka; webhooks go there directly again")                                       \
    X(KAFKA_UP, INFO, "brokers", "at least one broker is connected")                                                   \
    X(KAFKA_DOWN, WARNING, "brokers", "no broker is connected; waiting")                                               \
    X(KAFKA_TROUBLE, WARNING, "code, error", "the Kafka client reports an error that it handles itself")               \
    X(KAFKA_LOG, NOTICE, "facility, text", "a line of librdkafka's own log")                                           \
    X(PARTITIONS_TAKEN, INFO, "topic, partition, offset, finished",                                                    \
      "the group gave us this partition; so many records above the offset are finished already")                       \
    X(PARTITIONS_LOST, INFO, "topic, partition, dropped",                                                              \
      "the group took this partition away; its unfinished events go to another member")                                \
    X(OFFSETS_UNREAD, WARNING, "code, error", "the group's offsets cannot be read now; trying again")                  \
    X(OFFSETS_FOREIGN, NOTICE, "topic, partition, offset",                                                             \
      "what stands beside the committed offset is not ours, or about other records; ignoring")                         \
    X(LOG_ANEW, WARNING, "topic, partition, offset",                                                                   \
      "the partition is shorter than what was read of it: it was made anew, and is read from its beginning")           \
    X(TXN_READY, INFO, "transactional_id", "Kafka transactions can begin; nothing of before is pending")               \
    X(TXN_TROUBLE, WARNING, "code, error, action, took_ms",                                                            \
      "a transaction was not committed, or it is in doubt; what was in it is sent again if it is not there")           \
    X(TXN_LOOKED, NOTICE, "committed, records",                                                                        \
      "nobody knew whether a transaction was committed; the group's offsets tell")                                     \
    X(DB_UP, INFO, "host", "connected to Postgres")                                                                    \
    X(DB_DOWN, WARNING, "code, error, retry_ms", "the connection to Postgres is lost; waiting")                        \
    X(DB_NAMELESS, INFO, "state",                                                                                      \
      "prepared statements cannot be used, as behind some poolers, or since a table changed: each is planned anew")    \
    X(LISTEN_UP, INFO, "channel", "Postgres tells of changes of videos; nobody has to ask")                            \
    X(LISTEN_DOWN, WARNING, "code, error",                                                                             \
      "Postgres does not tell of changes; the videos that somebody looks at are asked for regularly instead")          \
    X(VIDEOS_UNREAD, WARNING, "code, error, retry_ms", "the states of videos cannot be read now; trying again")        \
    X(REGISTRY_READY, INFO, "subjects", "the schema registry knows all our schemas")                                   \
    X(REGISTRY_DOWN, WARNING, "code, error, retry_ms", "the schema registry does not answer as it should; waiting")    \
    X(TRACES_FAIL, WARNING, "url, code, error",                                                                        \
      "the collector of traces does not take them; they are kept for a while, then dropped; nothing waits for that")   \
    X(TRACES_GO, INFO, "url", "the collector takes traces again")                                                      \
    X(JOB_STARTED, INFO, "video, topic, partition, offset", "an event was taken up")                                   \
    X(JOB_CLAIMED, INFO, "video, epoch, source", "this worker stores the video; source without its query")             \
    X(JOB_STATE, DEBUG, "video, from, to, after_ms", "a job went on to the next state")                                \
    X(JOB_RESTS, WARNING, "video, state, code, error, try, retry_ms", "a step failed and will be tried again")         \
    X(JOB_WAITS, WARNING, "video, state, code, error, retry_ms", "our own side is away; the job waits for it")         \
    X(JOB_LATER, WARNING, "video, code, error, tries, retry_ms",                                                       \
      "a step failed; the video is on the topic of retries and will be tried again from there")                        \
    X(ROW_REFUSES, WARNING, "video, state, code, error",                                                               \
      "the application's row refuses to be changed, by a trigger or a constraint; it is left as it is")                \
    X(JOB_RENEWED, NOTICE, "video, provider, source", "the provider gave a fresh URL; source without its query")       \
    X(JOB_UNRENEWED, WARNING, "video, provider, code, error", "the provider was asked for a fresh URL and gave none")  \
    X(JOB_STORED, INFO, "video, key, bytes, sha256, took_ms, tries",                                                   \
      "the bytes are in storage, the row points at them, the event is out")                                            \
    X(VARIANT_STORED, INFO, "video, variant, key, bytes", "a thumbnail or spritesheet was stored next to the video")   \
    X(VARIANT_MISSED, WARNING, "video, variant, code, error, tries",                                                   \
      "a thumbnail or spritesheet could not be had; the video is stored without it")                                   \
    X(JOB_FAILED, WARNING, "video, class, code, error, tries",                                                         \
      "given up; video.store_failed is out; the original URL stays in the row")                                        \
    X(JOB_SILENT, INFO, "video, because", "nothing to do: another event already settled this video")                   \
    X(JOB_DEAD_LETTER, WARNING, "topic, partition, offset, code, error",                                               \
      "the record cannot be read and went to the dead letter topic")                                                   \
    X(JOB_DROPPED, INFO, "video, state", "the job's partition is gone; whoever has it now starts over")                \
    X(STORE_SWEPT, NOTICE, "files", "unfinished files of a killed process were removed")                               \
    X(STORE_UP, INFO, "store, bucket", "the store answers, knows us and has the bucket")                               \
    X(STORE_DOWN, WARNING, "store, code, error", "it does not; asked again until it does")                             \
    X(REDRIVEN, NOTICE, "cause, videos", "the cause of failures is cleared: they are tried once more")                 \
    X(GROUP_PAUSED, NOTICE, "group, by, left_ms, running, reason",                                                     \
      "an operator wants nothing stored for now; what runs goes on to its end; left_ms is -1 without an end")          \
    X(GROUP_RESUMED, NOTICE, "group", "videos are stored again")                                                       \
    X(PAUSE_UNREAD, WARNING, "group, code, error",                                                                     \
      "the database does not tell whether the group is paused; without the table (has setup been run?) nobody has "    \
      "paused it, else nothing is begun until it was told once")                                                       \
    X(QUOTA, INFO, "level, bytes, warn_at, stop_at, quota, days_left", "how much of what may be stored is used")       \
    X(QUOTA_NEAR, WARNING, "level, bytes, warn_at, stop_at, quota, days_left",                                         \
      "more than the warning mark is stored, or with level stop so much that quota_then happens")                      \
    X(QUOTA_USER_NEAR, NOTICE, "video, bytes, warn_at, stop_at, quota",                                                \
      "with this video, so much of its user is stored that the warning mark is passed")                                \
    X(USAGE_UNREAD, WARNING, "code, error", "the database does not tell what is stored; has setup been run?")          \
    X(JOB_SPILLED, NOTICE, "video, store, bucket, because", "the video goes to the fallback store")                    \
    X(STORE_SPILLS, WARNING, "code, after_ms", "the first store is out for so long that videos go to the fallback")    \
    X(VIDEO_REMOVED, NOTICE, "video, key, bytes, because", "a stored video was removed, and that was announced")       \
    X(REMOVE_FAILED, WARNING, "video, key, code, error",                                                               \
      "a deleted video could not be announced, or its object not removed; tried again in a minute")                    \
    X(RETAINED, NOTICE, "videos, bytes, failed, age, user, total, took_ms",                                            \
      "the rules of retention were gone through: so many videos are gone, so many were let go by each rule")           \
    X(RETENTION_FAILED, WARNING, "code, error",                                                                        \
      "the rules of retention were not gone through; has setup been run? Tried again when it is time")                 \
    X(CIRCUIT_OPENED, WARNING, "code, error, store, retry_ms",                                                         \
      "the store takes nothing: no video is given up, but none is stored until somebody mends that")                   \
    X(CIRCUIT_CLOSED, NOTICE, "store", "the store takes videos again")                                                 \
    X(STORE_LIMITED, NOTICE, "without", "the store does not know something that we can do without; ignoring")

enum rb_log_event {
#define ROW(event, level, fields, meaning) RB_EV_##event,
    RB_LOG_EVENTS(ROW)
#undef ROW
        RB_EV_COUNT
};

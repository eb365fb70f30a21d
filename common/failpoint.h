/*
 * failpoint.h — places at which a test has the program die, stop, hang, or meet an error: between two steps of its work.
 *
 * Way:  common
 *
 * They are there only in the programs that `make fail` builds; everywhere else the macros below are nothing.
 * REELBUS_FAIL=name:nth:what says which; several are parted by commas. nth counts from 1; with a plus
 * behind it, it is the nth and all that come after it. what is kill (SIGKILL), stop
 * (SIGSTOP), hang (the thread goes no further), or the name of an errno, where the table says ERRNO. The word
 * count in place of one of them has the program say at its end how often each was reached.
 */
#pragma once

#include "common/error.h"

/* clang-format off: one row, one line */
#define RB_FAILPOINTS_TABLE(X)                                                                                         \
    /* name                  of        takes  when                                                               */    \
    X(kafka_statistics, BOTH, ERRNO, "librdkafka tells how it is; with an error nobody hears it")                      \
    X(program_closing, BOTH, PLAIN, "the loop has ended; all is taken down")                                           \
    /* the consumer: a record and its job */                                                                           \
    X(partitions_given, CONSUMER, PLAIN, "the group gives us partitions; what is finished of them is not known")       \
    X(partitions_taken, CONSUMER, PLAIN, "it is, and nothing is fetched yet")                                          \
    X(partitions_lost, CONSUMER, PLAIN, "the group takes our partitions; their jobs are still there")                  \
    X(record_taken, CONSUMER, PLAIN, "a record has come")                                                              \
    X(record_decoded, CONSUMER, PLAIN, "it can be read")                                                               \
    X(claim_send, CONSUMER, ERRNO, "before the video is claimed")                                                      \
    X(claim_had, CONSUMER, PLAIN, "the row says that it is ours")                                                      \
    X(transfer_begun, CONSUMER, PLAIN, "the source is asked")                                                          \
    X(source_first, CONSUMER, PLAIN, "its first bytes are there")                                                      \
    X(source_all, CONSUMER, PLAIN, "its last bytes are there and right; the store does not know yet")                  \
    X(store_done, CONSUMER, PLAIN, "the store has the object and it was looked at; the row does not know")             \
    X(row_send, CONSUMER, ERRNO, "before the outcome is written down")                                                 \
    X(row_written, CONSUMER, PLAIN, "the row has the outcome; nobody was told")                                        \
    X(event_send, CONSUMER, ERRNO, "before the outcome is announced")                                                  \
    X(txn_begin, CONSUMER, ERRNO, "the event waits for its transaction, before that begins")                           \
    X(txn_records, CONSUMER, PLAIN, "the transaction has begun")                                                       \
    X(txn_offsets, CONSUMER, ERRNO, "its records are handed over, before the offsets are")                             \
    X(txn_flush, CONSUMER, ERRNO, "its offsets are there, before its records are waited for")                          \
    X(txn_commit, CONSUMER, ERRNO, "all of it is there, before the commit; with an error nobody knows")                \
    X(txn_abort, CONSUMER, PLAIN, "before it is aborted")                                                              \
    X(txn_committed, CONSUMER, ERRNO, "it is committed; with an error nobody knows")                                   \
    X(txn_look, CONSUMER, PLAIN, "nobody knows whether it is committed, before that is looked up")                     \
    X(event_acknowledged, CONSUMER, PLAIN, "the job hears of it")                                                      \
    X(record_finished, CONSUMER, PLAIN, "nothing is left to do for the record")                                        \
    /* the consumer: objects as files, in S3, in Supabase Storage */                                                   \
    X(file_open, CONSUMER, ERRNO, "before the partial file is made")                                                   \
    X(file_write, CONSUMER, ERRNO, "before bytes are written to it")                                                   \
    X(file_sync, CONSUMER, ERRNO, "all bytes are written, before they are synced")                                     \
    X(file_rename, CONSUMER, ERRNO, "they are synced, before the file gets its name")                                  \
    X(file_folder_sync, CONSUMER, ERRNO, "it has its name, before the folder is synced")                               \
    X(s3_upload_begun, CONSUMER, PLAIN, "S3 has given an upload its id")                                               \
    X(s3_part_sent, CONSUMER, PLAIN, "S3 has a part")                                                                  \
    X(s3_complete, CONSUMER, PLAIN, "it has all parts, before the upload is completed")                                \
    X(s3_object_there, CONSUMER, PLAIN, "the object is there, before it is looked at")                                 \
    X(supabase_upload_begun, CONSUMER, PLAIN, "Supabase Storage has given an upload its id")                           \
    X(supabase_chunk_sent, CONSUMER, PLAIN, "it has a chunk")                                                          \
    X(supabase_object_there, CONSUMER, PLAIN, "the object is there, before it is looked at")                           \
    /* the consumer: a video that makes room */                                                                        \
    X(removal_noted, CONSUMER, PLAIN, "the row says that the video goes; it is not announced")                         \
    X(removal_announced, CONSUMER, PLAIN, "Kafka has video.deleted; the object is still there")                        \
    X(removal_done, CONSUMER, PLAIN, "the object is gone; the row does not know")                                      \
    /* the producer: a webhook */                                                                                      \
    X(webhook_verified, PRODUCER, PLAIN, "the sender is who it says")                                                  \
    X(webhook_publish, PRODUCER, ERRNO, "before the event is handed to librdkafka, or to the spool")                   \
    X(webhook_handed_over, PRODUCER, PLAIN, "one of them has it")                                                      \
    X(webhook_acknowledged, PRODUCER, PLAIN, "Kafka, or the disk, has it; the sender has no answer")                   \
    X(webhook_answered, PRODUCER, PLAIN, "the answer was handed to the server; it may not have left")                  \
    /* the producer: the spool */                                                                                      \
    X(spool_write, PRODUCER, ERRNO, "before records are written to the spool")                                         \
    X(spool_sync, PRODUCER, ERRNO, "they are written, before they are synced")                                         \
    X(spool_drained, PRODUCER, PLAIN, "Kafka has records of the spool; the spool does not know")                       \
    X(spool_mark, PRODUCER, ERRNO, "before the spool notes how far it was sent")                                       \
    /* the producer: the poller */                                                                                     \
    X(poll_leased, PRODUCER, PLAIN, "videos are leased; nobody was asked")                                             \
    X(poll_answered, PRODUCER, PLAIN, "the provider has answered")                                                     \
    X(poll_publish, PRODUCER, ERRNO, "before the result is handed to librdkafka")                                      \
    X(poll_acknowledged, PRODUCER, PLAIN, "Kafka has it; the row does not know")                                       \
    X(poll_settled, PRODUCER, PLAIN, "the row was told, and has not answered")
/* clang-format on */

#ifdef RB_FAILPOINTS

#include <errno.h>

enum rb_failpoint {
#define ROW(name, of, takes, when) RB_FAIL_##name,
    RB_FAILPOINTS_TABLE(ROW)
#undef ROW
        RB_FAIL_COUNT
};

/* Is the step to fail, with errno saying of what? The same for a step that has nothing to fail of. The same as an error: -1
 * or 0, for RB_TRY. */
#define RB_FAILS(name)                rb_failpoint_fails(RB_FAIL_##name)
#define RB_FAIL_HERE(name)            ((void)RB_FAILS(name))
#define RB_FAIL_AS(name, code, error) (RB_FAILS(name) ? rb_fail(error, RB_E_##code, errno, "a failpoint: " #name) : 0)

/*
 * Read what is to fail. With --failpoints, print the table instead.
 *
 * Takes:  program, "consumer" or "producer"; text as of REELBUS_FAIL, NULL for nothing.
 * Gives:  -1 when the program should go on, else the status with which it should exit: a mistake is told on standard error,
 *         with all names.
 * Loop:   before the loop runs.
 */
RB_MUST_CHECK int rb_failpoint_start(const char *program, int argc, char **argv, const char *text);

/*
 * Read one text as of REELBUS_FAIL.
 *
 * Fails:  BAD_OPTION.
 * Loop:   before the loop runs.
 */
RB_MUST_CHECK int rb_failpoint_read(const char *program, const char *text, struct rb_error *err);

/*
 * The program is at this place.
 *
 * Gives:  whether the step is to fail, with errno saying of what.
 * Loop:   any thread.
 */
bool rb_failpoint_fails(enum rb_failpoint point);

#else

#define RB_FAILS(name)                                false
#define RB_FAIL_HERE(name)                            ((void)0)
#define RB_FAIL_AS(name, code, error)                 0
#define rb_failpoint_start(program, argc, argv, text) (-1)

#endif

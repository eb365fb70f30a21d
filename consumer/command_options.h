/*
 * command_options.h — the flags of the commands of reelbus-consumer. They are in no file and no variable: they say what is
 * wanted this time.
 *
 * Way:  consumer
 */
#pragma once

#include "common/options.h"

#define RB_FOR_ALL_COMMANDS "setup cleanup tail inspect usage verify replay backfill pause resume drain redrive"

/* clang-format off: one row, one line */
#define COMMAND_OPTIONS(X)                                                                                             \
    /* name   commands             type    default  min max  help */                                                   \
    X(json, RB_FOR_ALL_COMMANDS, BOOL, "false", 0, 1, "print JSON, one value on a line, for scripts")                  \
    X(check, "setup", BOOL, "false", 0, 1, "change nothing, say what is missing, and end with 4 when something is")    \
    X(acls, "setup", BOOL, "false", 0, 1, "change nothing, print the commands that give each program its rights")      \
    X(since, "tail verify replay redrive", TEXT, "", 0, 64,                                                            \
      "begin at this moment: '15m' (so long ago), '2026-10-01', '2026-10-01T12:30:00Z'")                               \
    X(until, "tail verify replay redrive", TEXT, "", 0, 64, "end at this moment: 'now' for what is there already")     \
    X(offset, "tail", TEXT, "", 0, 24,                                                                                 \
      "begin at this offset of each partition: a number, 'beginning', 'end', or -N for so many before the end")        \
    X(partition, "tail", NUMBER, "-1", -1, 100000, "only this partition of each topic; -1: all")                       \
    X(video, "tail verify replay backfill", TEXT, "", 0, 128, "only what is about this video")                         \
    X(user, "tail usage verify cleanup replay backfill", TEXT, "", 0, 255,                                             \
      "only what is about this user's videos; cleanup: remove all of them, and what is known of them")                 \
    X(type, "tail", TEXT, "", 0, 255, "only events of these types, as in 'video.stored,video.deleted'")                \
    X(days, "usage", NUMBER, "14", 1, 3660, "so many days, up to today")                                               \
    X(top, "usage", NUMBER, "10", 0, 1000000, "so many users, those with the most bytes first")                        \
    X(hash, "verify", BOOL, "false", 0, 1,                                                                             \
      "read all bytes and compare their hash; else the store is only asked what it has")                               \
    X(repair, "verify", BOOL, "false", 0, 1, "have what is missing or wrong stored again, from its source")            \
    X(after, "verify", TEXT, "", 0, 36, "begin behind this video: videos are looked at in the order of their ids")     \
    X(at_once, "verify", NUMBER, "16", 1, 256, "so many videos at once")                                               \
    X(uploads, "cleanup", BOOL, "false", 0, 1, "remove unfinished uploads, and nothing that is not asked for")         \
    X(orphans, "cleanup", BOOL, "false", 0, 1, "remove objects that no row has; cleanup_prefix narrows them")          \
    X(orphan_age, "cleanup", MS, "1d", 0, 315360000000, "and that are older than this: others may still get a row")    \
    X(orphans_most, "cleanup", BOOL, "false", 0, 1, "and when the database knows nothing of most of the bucket, too")  \
    X(older_than, "cleanup", MS, "0", 0, 315360000000, "remove videos that were stored longer ago, 90d for example")   \
    X(max_user_bytes, "cleanup", BYTES, "0", 0, 4611686018427387904,                                                   \
      "remove the oldest of each user who has more, down to this")                                                     \
    X(max_user_videos, "cleanup", NUMBER, "0", 0, 1000000000, "the same as a number of videos")                        \
    X(max_bytes, "cleanup", BYTES, "0", 0, 4611686018427387904, "remove the oldest of all, when there are more bytes") \
    X(low, "cleanup", BYTES, "0", 0, 4611686018427387904, "down to this; else to --max-bytes")                         \
    X(count, "tail", NUMBER, "0", 0, 1000000000, "end after so many; 0: do not")                                       \
    X(topic, "replay", TEXT, "", 0, 249, "only this input topic: video.webhook.received or video.poll.result")         \
    X(state, "replay", TEXT, "", 0, 64,                                                                                \
      "beside what is not stored yet: 'failed' ones once more, and 'missing' ones, whose object is not there")         \
    X(verify, "replay", BOOL, "false", 0, 1, "as --state missing, and read all bytes to compare their hash")           \
    X(rate, "replay backfill redrive", NUMBER, "0", 0, 1000000,                                                        \
      "begin with no more than so many videos a second; 0: any number")                                                \
    X(max, "replay backfill redrive", NUMBER, "0", 0, 1000000000, "end after so many videos; 0: do not")               \
    X(dry_run, "cleanup replay backfill pause resume drain redrive", BOOL, "false", 0, 1,                              \
      "say what would be done, and do nothing")                                                                        \
    X(store_now, "backfill", BOOL, "false", 0, 1, "then have stored what is not, in this process, as replay does")     \
    X(from_database, "backfill", BOOL, "false", 0, 1, "from the application's table")                                  \
    X(lasts, "pause drain", MS, "0", 0, 31536000000, "until resume, and no longer than this; 0: until resume")         \
    X(reason, "pause drain", TEXT, "", 0, 255, "why, for whoever wonders")                                             \
    X(class, "redrive", TEXT, "", 0, 32, "only what has failed by this: source, storage, quota, content, policy, ...") \
    X(code, "redrive", TEXT, "", 0, 32, "only what has failed with this code, as 'source_gone'")                       \
    X(source, "redrive", TEXT, "both", 1, 8, "dlq: dead letters; failed: final failures; both")                        \
    X(timeout, "drain", MS, "10m", 0, 86400000, "wait no longer than this for what runs")
/* clang-format on */

#define RB_COMMAND_OPTION_FIELD(name, commands, type, default_, min, max, help) RB_OPTION_CTYPE_##type name;

struct rb_command_options {
    COMMAND_OPTIONS(RB_COMMAND_OPTION_FIELD)
};

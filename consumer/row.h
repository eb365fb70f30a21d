/*
 * row.h — a video as reelbus.video has it, and what a claim on it means for the record that made it.
 *
 * Way:  job -> [row] <- record
 */
#pragma once

#include "common/avro.h"
#include "common/random.h"
#include "consumer/message.h"
#include "consumer/variants.h"

enum rb_row_state { RB_ROW_WAITING, RB_ROW_PROCESSING, RB_ROW_STORED, RB_ROW_FAILED, RB_ROW_DELETED };

/* All text is owned; NULL and RB_NO_LONG stand for SQL's NULL. Times are milliseconds since 1970. */
struct rb_row {
    char video_id[RB_UUID_TEXT_BYTES];
    enum rb_row_state state;
    char *user_id;
    char *source_url;
    char *provider;
    char *provider_video_id;
    int64_t expires_at;
    int64_t received_at;
    char *store;
    char *bucket;
    char *object_key;
    char *stored_url;
    int64_t bytes;
    char *sha256;
    char *content_type;
    struct rb_variants variants;
    int64_t stored_at;
    int64_t attempt;
    int64_t tries;
    int64_t first_try_at;
    int64_t last_try_at;
    char *error_class;
    char *error_code;
    char *error_message;
    int64_t failed_at;
    int64_t put_off; /* tries and renewals of the newest record on the topic of retries; 0 when there is none */
    bool spilled;    /* it goes to the fallback store */
    int64_t claim_epoch;
    char *owner_topic;
    int64_t owner_partition;
    int64_t owner_offset;
};

/* A record that asks. */
struct rb_asker {
    struct rb_origin origin;
    int64_t progress; /* tries and renewals so far; INT64_MAX for one that has claimed before */
};

/* What the database says to a record that wants to work on a video. */
enum rb_verdict {
    RB_VERDICT_MINE,     /* the claim is ours, or the outcome was written by us just now */
    RB_VERDICT_ANNOUNCE, /* this very record has settled the video before; its event may not be out */
    RB_VERDICT_SETTLED,  /* another record has settled it: be silent */
    RB_VERDICT_PUT_OFF,  /* a newer record, on the topic of retries, goes on with it: be silent */
    RB_VERDICT_LOST,     /* another worker has claimed it meanwhile: claim again */
    RB_VERDICT_UNKNOWN,  /* the application has no such video */
};

/*
 * Decide what an answer of the database means.
 *
 * Takes:  known, the application has the video; mine, the statement has written our claim or outcome; row, as the
 *         database has it, NULL when it has none; asker, the record that asks.
 * Loop:   pure, any thread.
 */
enum rb_verdict rb_row_verdict(bool known, bool mine, const struct rb_row *row, const struct rb_asker *asker);

/*
 * Free what is in it; fine for an empty one.
 *
 * Loop:   pure, any thread.
 */
void rb_row_done(struct rb_row *row);

/*
 * notify.h — the Postgres channel by which whoever changes a video tells whoever shows it.
 *
 * Way:  common
 *
 * A payload is a video's id when its row has changed, and {"id", "bytes", "total", "percent"} while its bytes are being
 * stored; the last two are absent when nobody knows how many there will be. For these nothing is written to a table.
 */
#pragma once

#include "common/buffer.h"
#include "common/random.h"

#define RB_NOTIFY_CHANNEL "reelbus_video"
#define RB_NOTIFY_UNKNOWN (-1)
#define RB_HISTORY_MAX    "200" /* events of one video in reelbus.history, for SQL; the oldest make room */

struct rb_notify {
    char video_id[RB_UUID_TEXT_BYTES]; /* in lower case */
    bool progress;                     /* the numbers are meant; else the row has changed */
    int64_t bytes;                     /* in the store by now */
    int64_t total;                     /* RB_NOTIFY_UNKNOWN when nobody knows, as is percent then */
    int64_t percent;
};

/*
 * Percent of what is stored, rounded down.
 *
 * Gives:  0 to 100, RB_NOTIFY_UNKNOWN when total is not known.
 * Loop:   pure, any thread.
 */
int64_t rb_notify_percent(int64_t bytes, int64_t total);

/*
 * Write the payload of a video's progress.
 *
 * Loop:   pure, any thread.
 */
void rb_notify_print(const struct rb_notify *notify, struct rb_buffer *buffer);

/*
 * Read a payload. Anyone who may connect to the database can send one, so it is checked as what comes from outside.
 *
 * Takes:  payload, borrowed for the call.
 * Gives:  false when it is none of ours.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK bool rb_notify_parse(const char *payload, struct rb_notify *ret_notify);

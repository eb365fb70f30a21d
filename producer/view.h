/*
 * view.h — what people see of a video: rows of the database as JSON, with a message in plain words.
 *
 * Way:  status
 */
#pragma once

#include "common/json.h"

/* One video as the database has it. All borrowed; NULL where the database has NULL. */
struct rb_view {
    const char *video_id;
    const char *user_id;
    const char *video_url;  /* the application's column */
    const char *state;      /* reelbus' own; NULL when reelbus has not heard of it */
    const char *source_url; /* the original URL */
    const char *provider;
    const char *progress; /* percent of the generation */
    const char *bytes;    /* in the store */
    const char *tries;
    const char *next_try_at; /* times are RFC 3339 */
    const char *expires_at;
    const char *stored_at;
    const char *updated_at;
    const char *error_class;
    const char *error_code;
    const char *error_message;
};

/*
 * One video as JSON: videoId, status, videoUrl, storage, message, and what else is known. status is the generation's:
 * waiting, completed or failed; storage is ours: none, processing, stored, failed or deleted.
 *
 * Gives:  owned by the caller; json_decref it.
 * Loop:   pure, any thread.
 */
json_t *rb_view_json(const struct rb_view *view);

/*
 * Write into such a JSON how much of the video is in the store by now. Only a video that is being stored has that; all
 * others stay as they are.
 *
 * Takes:  bytes and total, negative when not known; percent, 0 to 100, negative when not known.
 * Loop:   pure, any thread.
 */
void rb_view_set_stored(json_t *object, int64_t bytes, int64_t total, int64_t percent);

/*
 * Has it come to an end, as far as is known now? A new URL may begin it anew.
 *
 * Loop:   pure, any thread.
 */
bool rb_view_is_terminal(const json_t *object);

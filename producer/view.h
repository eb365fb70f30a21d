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
    const char *video_url; /* the application's column */
    const char *state;     /* reelbus' own; NULL when reelbus has not heard of it */
    const char *source_url;
    const char *bytes;
    const char *tries;
    const char *expires_at; /* times are RFC 3339 */
    const char *stored_at;
    const char *updated_at;
    const char *error_class;
    const char *error_code;
    const char *error_message;
};

/*
 * The message that people read, for example "Waiting for video...".
 *
 * Gives:  owned by the caller; free() it.
 * Loop:   pure, any thread.
 */
char *rb_view_message(const struct rb_view *view);

/*
 * One video as JSON: videoId, status, videoUrl, storage, message, and what else is known. status is the generation's:
 * waiting, completed or failed; storage is ours: none, processing, stored, failed or deleted.
 *
 * Gives:  owned by the caller; json_decref it.
 * Loop:   pure, any thread.
 */
json_t *rb_view_json(const struct rb_view *view);

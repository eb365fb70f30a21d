/*
 * key.h — the key of an object, made from a template and ids that nobody has to trust.
 *
 * Way:  [key] -> plan
 */
#pragma once

#include "common/error.h"

#define RB_KEY_ID_MAX_BYTES 128

/*
 * Is this a template? It has {video_id} in it, may have {user_id}, and ends in .mp4.
 *
 * Fails:  BAD_OPTION: something else in braces, a letter that some store or path takes amiss, a path that leads out of the
 *         bucket, or too long.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_key_check(const char *key_template, struct rb_error *err);

/*
 * Make a key.
 *
 * Takes:  key_template, checked; user_id, NULL when there is none; extension, as "webm" or "thumbnail.webp", takes the place of mp4.
 * Gives:  ret_key, owned by the caller; free() it.
 * Fails:  BAD_EVENT when an id of the template cannot be part of a key: nothing in it may mean anything in a path.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_key_make(const char *key_template, const char *user_id, const char *video_id,
                              const char *extension, char **ret_key, struct rb_error *err);

/*
 * Which video's key is this? One of its own, or of what lies beside it.
 *
 * Takes:  key_template, checked; key, that anybody may have written; ret_video_id, at least RB_UUID_TEXT_BYTES.
 * Gives:  true and ret_video_id; false when it is no key that the template makes.
 * Loop:   pure, any thread.
 */
bool rb_key_read(const char *key_template, const char *key, char *ret_video_id);

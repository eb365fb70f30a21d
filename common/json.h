/*
 * json.h — JSON as we accept it from outside, and the few ways in which we read and write it. jansson does the work.
 *
 * Way:  common
 */
#pragma once

#include <jansson.h>

#include "common/error.h"

#define RB_JSON_MAX_DEPTH         16
#define RB_JSON_MAX_KEYS          64
#define RB_JSON_MAX_TEXT_BYTES    8192
#define RB_JSON_MAX_POINTER_BYTES 255

/*
 * Read one JSON object from bytes that anyone may have sent: no duplicate keys, no NUL, at most RB_JSON_MAX_DEPTH deep,
 * RB_JSON_MAX_KEYS keys in an object or array, RB_JSON_MAX_TEXT_BYTES in a string.
 *
 * Gives:  ret_object, owned by the caller; json_decref it.
 * Fails:  BAD_REQUEST; the message says what is wrong and where.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_json_parse(const char *bytes, size_t count, json_t **ret_object, struct rb_error *err);

/*
 * As rb_json_parse, for objects of verified senders: much may be in them that nobody reads, such as a log, a prompt or a
 * list of frames. So strings, objects and lists may be of any length.
 *
 * Gives:  ret_object, owned by the caller; json_decref it.
 * Fails:  BAD_REQUEST.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_json_parse_long(const char *bytes, size_t count, json_t **ret_object, struct rb_error *err);

/*
 * Read JSON from a peer that we asked ourselves: an object, whatever its size.
 *
 * Gives:  owned by the caller, or NULL when it is no JSON object.
 * Loop:   pure, any thread.
 */
json_t *rb_json_parse_trusted(const char *bytes, size_t count);

/*
 * A text member of an object.
 *
 * Gives:  borrowed from the object; NULL when it is absent, null or no text.
 * Loop:   pure, any thread.
 */
const char *rb_json_text(const json_t *object, const char *key);

/*
 * What a JSON pointer (RFC 6901) leads to: "/data/0/url".
 *
 * Takes:  pointer, "" for the value itself; NULL leads to nothing.
 * Gives:  borrowed from value; NULL when there is nothing.
 * Loop:   pure, any thread.
 */
json_t *rb_json_at(json_t *value, const char *pointer);

/*
 * Free a json_t when its scope ends: RB_AUTO_JSON *object = NULL;
 *
 * Loop:   pure, any thread.
 */
static inline void rb_json_auto_free(json_t **ptr)
{
    json_decref(*ptr);
}

#define RB_AUTO_JSON __attribute__((cleanup(rb_json_auto_free))) json_t

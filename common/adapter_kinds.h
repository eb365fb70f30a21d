/*
 * adapter_kinds.h — what the files of the adapters share: for them, and for bodies that look like an answer.
 *
 * Way:  common
 */
#pragma once

#include "common/adapter.h"

/* A kind of API. */
struct adapter_kind {
    /* Gives the URL to ask at, owned by the caller; id is percent-encoded already. */
    char *(*url)(const struct rb_provider *provider, const char *id);
    /* Fills an empty answer; what it filled is freed by the caller when it fails. */
    int (*read)(const struct rb_provider *provider, const char *id, json_t *object, struct rb_adapter_answer *answer,
                struct rb_error *err);
    /* Gives the URL of a variant, as url does. NULL: this kind has none. */
    char *(*variant_url)(const struct rb_provider *provider, const char *id, const char *variant);
};

extern const struct adapter_kind adapter_openai;
extern const struct adapter_kind adapter_replicate;
extern const struct adapter_kind adapter_generic;

/* A word of a provider, and what it means to us. Some mean a failure and are its code as well. */
struct adapter_word {
    const char *word;
    enum rb_adapter_status status;
    bool is_code;
};

/*
 * Fill in the status by the word for it. An unknown word is taken for "not finished yet": providers invent new ones, and
 * the deadline of the video ends what never ends.
 *
 * Takes:  word, NULL when the answer has none; case does not matter.
 * Fails:  PROVIDER_ANSWER without a word.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int adapter_take_status(const char *word, const struct adapter_word *words, size_t count,
                                      struct rb_adapter_answer *answer, struct rb_error *err);

/*
 * Fill in code and message of a failure: error is a text, or an object with "code" and "message", or nothing.
 *
 * Loop:   pure, any thread.
 */
void adapter_take_error(const json_t *error, struct rb_adapter_answer *answer);

/*
 * The first URL that can be fetched, in a text, in an array of them, or below "url" of an object.
 *
 * Takes:  value, may be NULL.
 * Gives:  owned by the caller; NULL when there is none.
 * Loop:   pure, any thread.
 */
char *adapter_find_url(const json_t *value);

/*
 * A time: seconds since 1970, milliseconds when it is too large for that, or RFC 3339.
 *
 * Takes:  value, may be NULL.
 * Gives:  milliseconds since 1970; RB_NO_LONG when it is none.
 * Loop:   pure, any thread.
 */
int64_t adapter_time(const json_t *value);

/*
 * A percentage.
 *
 * Takes:  value, may be NULL.
 * Gives:  0 to 100; RB_NO_LONG when it is no number.
 * Loop:   pure, any thread.
 */
int64_t adapter_progress(const json_t *value);

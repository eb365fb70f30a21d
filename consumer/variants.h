/*
 * variants.h — what is stored of a video beside it: which of it is wanted, and where it lies.
 *
 * Way:  job -> [variants] -> record -> emit
 */
#pragma once

#include "common/adapter.h"

/* Where one of them lies. All text is owned; url is NULL when there is none. */
struct rb_variant_object {
    char *url;
    char *object_key; /* in the bucket of the video */
    int64_t bytes;
    char *sha256;
    char *content_type;
};

struct rb_variants {
    struct rb_variant_object list[RB_VARIANT_COUNT];
};

/*
 * Read the option 'variants': names with commas between them, or nothing.
 *
 * Gives:  ret_wanted, a bit for each enum rb_variant.
 * Fails:  BAD_OPTION.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_variants_option(const char *text, unsigned *ret_wanted, struct rb_error *err);

/*
 * How many bytes they have, all together.
 *
 * Loop:   pure, any thread.
 */
int64_t rb_variants_bytes(const struct rb_variants *variants);

/*
 * As JSON, for the row: {"thumbnail":{"url":...,"object_key":...,"bytes":...,"sha256":...,"content_type":...}}.
 *
 * Gives:  owned by the caller; NULL when there are none.
 * Loop:   pure, any thread.
 */
char *rb_variants_print(const struct rb_variants *variants);

/*
 * Read that again. What is not whole is left out.
 *
 * Takes:  text, may be NULL.
 * Gives:  rb_variants_done it.
 * Loop:   pure, any thread.
 */
struct rb_variants rb_variants_read(const char *text);

/*
 * Free what is in it; fine for an empty one.
 *
 * Loop:   pure, any thread.
 */
void rb_variants_done(struct rb_variants *variants);

/*
 * inspect_next.h — what comes next for a video, in words; and what its object looks like beside its row.
 *
 * Way:  inspect -> [inspect_next]
 */
#pragma once

#include "common/json.h"
#include "consumer/store.h"

/* What the store says about an object, compared with the row. */
enum rb_inspect_object {
    RB_INSPECT_NONE,    /* the row points at none */
    RB_INSPECT_SAME,    /* as the row says, as far as the store tells */
    RB_INSPECT_OTHER,   /* another size or hash */
    RB_INSPECT_MISSING, /* it is not there */
    RB_INSPECT_UNKNOWN, /* nobody could say */
};

/*
 * The name of a verdict for scripts: "same", "missing".
 *
 * Gives:  static.
 * Loop:   pure, any thread.
 */
const char *rb_inspect_object_name(enum rb_inspect_object object);

/*
 * Compare what a store has with what the row says.
 *
 * Takes:  answer, to a find; bytes, -1 when the row does not say; sha256, NULL likewise.
 * Loop:   pure, any thread.
 */
enum rb_inspect_object rb_inspect_compare(const struct rb_store_answer *answer, int64_t bytes, const char *sha256);

/*
 * What comes next?
 *
 * Takes:  application and row, JSON objects; JSON's null when there is none.
 * Gives:  owned by the caller; free() it.
 * Loop:   pure, any thread.
 */
char *rb_inspect_next(const json_t *application, const json_t *row, enum rb_inspect_object object);

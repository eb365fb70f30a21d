/*
 * httpd_chunks.h — a chunked body, read strictly. Pure.
 *
 * Way:  common
 *
 * Refused: bare line feeds, spaces, signs, sizes of more than 15 digits, extensions over 256 bytes, trailers.
 */
#pragma once

#include "common/base.h"

/* Zero before the first byte. */
struct rb_chunks {
    int state;
    uint64_t left;   /* of the chunk */
    unsigned digits; /* of its size */
    unsigned extension_bytes;
};

/*
 * Read on until data or the end comes, or the bytes are used up.
 *
 * Takes:  bytes, borrowed for the call.
 * Gives:  WAIT, with ret_used of the bytes read and ret_data, ret_data_count: the data among them, perhaps none; DONE at
 *         the end of the body; FAILED when it is not as it should be.
 * Loop:   pure, any thread.
 */
enum rb_poll rb_chunks_next(struct rb_chunks *chunks, const char *bytes, size_t count, size_t *ret_used,
                            const char **ret_data, size_t *ret_data_count);

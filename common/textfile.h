/*
 * textfile.h — small text files of the operator's, read whole: configuration, secrets.
 *
 * Way:  common
 */
#pragma once

#include "common/error.h"

#define RB_TEXTFILE_SECRET_BYTES (64 << 10)

/*
 * Read a file.
 *
 * Gives:  ret_text, owned by the caller, NUL at the end; free() it, after wiping when it holds secrets.
 * Fails:  BAD_OPTION when it cannot be read, is over max_bytes or has a NUL in it; the message names the path.
 * Loop:   reads from the file system: at start, or for files that an operator asked to be read again.
 */
RB_MUST_CHECK int rb_textfile_read(const char *path, size_t max_bytes, char **ret_text, struct rb_error *err);

/*
 * Read a file that holds a secret. It usually ends with the line feed that an editor put there, which is not part of it.
 *
 * Gives:  ret_text, owned by the caller; wipe and free() it.
 * Fails:  as rb_textfile_read, and when there is nothing in it; the message never holds what is in the file.
 * Loop:   as rb_textfile_read.
 */
RB_MUST_CHECK int rb_textfile_read_secret(const char *path, char **ret_text, struct rb_error *err);

/*
 * random.h — unpredictable bits, and identifiers made of them.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

#define RB_UUID_TEXT_BYTES 37 /* "7f3a0c4e-....-....-....-............" and its NUL */

/*
 * Random bits from the kernel.
 *
 * Loop:   any thread.
 */
uint64_t rb_random(void);

/*
 * Random bytes from the kernel.
 *
 * Loop:   any thread.
 */
void rb_random_fill(void *ret_bytes, size_t count);

/*
 * Random hexadecimal digits in lower case, not all of them zero.
 *
 * Takes:  digits, an even number up to 32; ret_text, room for one more.
 * Gives:  ret_text.
 * Loop:   any thread.
 */
char *rb_random_hex(size_t digits, char *ret_text);

/*
 * A new random UUID, version 4 (RFC 9562).
 *
 * Takes:  ret_text, at least RB_UUID_TEXT_BYTES bytes.
 * Gives:  ret_text.
 * Loop:   any thread.
 */
char *rb_uuid_new(char *ret_text);

/*
 * A UUID that is the same whenever the name is the same, version 8 (RFC 9562): the first bits of the name's SHA-256.
 *
 * Takes:  name, borrowed; ret_text, at least RB_UUID_TEXT_BYTES bytes.
 * Gives:  ret_text.
 * Loop:   pure, any thread.
 */
char *rb_uuid_of_name(const char *name, char *ret_text);

/*
 * Is this text a UUID in its usual form: 8-4-4-4-12 hexadecimal digits of either case? When it is, write it in lower
 * case, as Postgres does, so that one video has one spelling.
 *
 * Takes:  text, borrowed, may be NULL; ret_text, at least RB_UUID_TEXT_BYTES bytes, or NULL.
 * Gives:  true when it is; only then is ret_text written.
 * Loop:   pure, any thread.
 */
bool rb_uuid_parse(const char *text, char *ret_text);

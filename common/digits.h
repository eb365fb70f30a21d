/*
 * digits.h — bytes as text: base64, base64url and hexadecimal, read strictly. What has two spellings is refused, so that
 * nobody can change a signature's text and keep its meaning.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

/*
 * Read standard base64 with its padding: A-Z a-z 0-9 + / and = at the end.
 *
 * Takes:  text of length bytes, borrowed; ret_bytes with room for room bytes.
 * Gives:  how many bytes there are, or -1 when this is no such text or does not fit.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_digits_from_base64(const char *text, size_t length, uint8_t *ret_bytes, size_t room);

/*
 * Read standard base64 as people write secrets: its padding may be missing.
 *
 * Gives:  as rb_digits_from_base64.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_digits_from_secret(const char *text, size_t length, uint8_t *ret_bytes, size_t room);

/*
 * Read base64url without padding, as JSON Web Keys have it (RFC 7515, section 2).
 *
 * Gives:  as rb_digits_from_base64.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_digits_from_base64url(const char *text, size_t length, uint8_t *ret_bytes, size_t room);

/*
 * Read hexadecimal digits of either case.
 *
 * Gives:  as rb_digits_from_base64.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_digits_from_hex(const char *text, size_t length, uint8_t *ret_bytes, size_t room);

/*
 * Write hexadecimal digits in lower case.
 *
 * Takes:  ret_text, room for two characters a byte and a NUL.
 * Gives:  ret_text.
 * Loop:   pure, any thread.
 */
char *rb_digits_hex(const uint8_t *bytes, size_t count, char *ret_text);

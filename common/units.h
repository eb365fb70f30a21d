/*
 * units.h — amounts as people write them: "4MiB", "20s".
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

#define RB_UNITS_TEXT_BYTES 32

/*
 * Read an amount of bytes: digits and one of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB; digits alone are bytes.
 *
 * Gives:  0 and ret_bytes, or -1 when it is no such text or does not fit.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_units_parse_bytes(const char *text, int64_t *ret_bytes);

/*
 * Read a duration: digits and one of ms, s, m, h, d; only 0 needs no unit.
 *
 * Gives:  0 and ret_ms, or -1 when it is no such text or does not fit.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_units_parse_ms(const char *text, int64_t *ret_ms);

/*
 * Read a whole number: digits, a leading minus sign allowed.
 *
 * Gives:  0 and ret_number, or -1 when it is no such text or does not fit.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_units_parse_number(const char *text, int64_t *ret_number);

/*
 * Write bytes in the largest binary unit that divides them, as rb_units_parse_bytes reads it.
 *
 * Takes:  ret_text, at least RB_UNITS_TEXT_BYTES bytes.
 * Gives:  ret_text.
 * Loop:   pure, any thread.
 */
char *rb_units_bytes_text(int64_t bytes, char *ret_text);

/*
 * Write a duration in the largest unit that divides it, as rb_units_parse_ms reads it.
 *
 * Takes:  ret_text, at least RB_UNITS_TEXT_BYTES bytes.
 * Gives:  ret_text.
 * Loop:   pure, any thread.
 */
char *rb_units_ms_text(int64_t ms, char *ret_text);

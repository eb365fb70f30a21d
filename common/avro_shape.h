/*
 * avro_shape.h — do these bytes have the shape of this schema? Asked before avro-c sees them.
 *
 * Way:  common
 *
 * avro-c 1.11 trusts what it reads: a claimed length is allocated, a recursive schema recurses without end. So schemas
 * are limited to what our events need, and every length and branch in the bytes is checked here first.
 */
#pragma once

#include <avro.h>

#include "common/error.h"

#define RB_AVRO_MAX_BYTES      (256 << 10) /* of one encoded record */
#define RB_AVRO_MAX_TEXT_BYTES (64 << 10)  /* of one string in it */

/*
 * Is this a schema that we are willing to read with: a record of primitives, enums, fixeds and unions of these, without
 * recursion, arrays or maps?
 *
 * Fails:  UNKNOWN_SCHEMA, saying what is in it.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_avro_shape_accept(avro_schema_t schema, struct rb_error *err);

/*
 * Walk over bytes by a schema that rb_avro_shape_accept has accepted: numbers of at most 10 bytes, lengths within what is
 * left and below the limits, existing branches and symbols, text in UTF-8 without NUL, and nothing behind the end.
 *
 * Fails:  BAD_EVENT, naming the field.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_avro_shape_check(avro_schema_t schema, const uint8_t *bytes, size_t count, struct rb_error *err);

/*
 * schema.h — what identifies an Avro schema: its Parsing Canonical Form and that form's CRC-64-AVRO fingerprint.
 *
 * Way:  common
 *
 * Source: Apache Avro specification 1.11, "Parsing Canonical Form for Schemas" and "Schema Fingerprints".
 */
#pragma once

#include "common/buffer.h"
#include "common/error.h"

/*
 * Write the Parsing Canonical Form of a schema.
 *
 * Takes:  json, the schema's text.
 * Gives:  ret_form, owned by the caller; free() it.
 * Fails:  UNKNOWN_SCHEMA when it is no schema.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_schema_canonical(const char *json, size_t bytes, char **ret_form, struct rb_error *err);

/*
 * CRC-64-AVRO (Rabin) of some bytes; of a canonical form, it is the schema's fingerprint.
 *
 * Loop:   pure, any thread.
 */
uint64_t rb_schema_fingerprint(const char *bytes, size_t count);

/*
 * s3_xml.h — reads the XML that S3 and STS answer with.
 *
 * Way:  store_s3 -> s3_call -> [s3_xml]
 */
#pragma once

#include "common/error.h"

#define RB_S3_XML_MAX_BYTES (1 << 20) /* of an answer: a page of a list of uploads is a few hundred KiB */
#define RB_S3_XML_PATH_MAX  128
#define RB_S3_XML_TEXT_MAX  4096

/*
 * One element that ended.
 *
 * Takes:  path, the names of the elements from the root down, "Error/Code", without prefixes; text, what stood directly in
 *         it. Both borrowed for the call.
 */
typedef void (*rb_s3_xml_fn)(const char *path, const char *text, void *arg);

/*
 * Read a document. Calls fn as each element ends, children before parents.
 *
 * Fails:  STORE_AWAY when it is not well-formed, has a document type, or something in it is too long or too deep; fn may
 *         have been called before.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_s3_xml_read(const char *bytes, size_t count, rb_s3_xml_fn fn, void *arg, struct rb_error *err);

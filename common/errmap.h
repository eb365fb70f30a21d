/*
 * errmap.h — the one place where foreign error codes become ours.
 *
 * Way:  common
 */
#pragma once

#include <curl/curl.h>
#include <librdkafka/rdkafka.h>

#include "common/error.h"

/*
 * A SQLSTATE (PostgreSQL 15, appendix A). NULL stands for an answer without one.
 *
 * Gives:  DB_AWAY for what passes by itself; DB_DATA for what is about these values and this row: data, constraints, and
 *         what a trigger raises; else DB_REFUSED: what is wrong for all, as a right or a table that is missing.
 * Loop:   pure, any thread.
 */
enum rb_code rb_errmap_sqlstate(const char *state);

/*
 * An HTTP status of a source of videos. 200 and 206 are not errors and must not be asked about.
 *
 * Loop:   pure, any thread.
 */
enum rb_code rb_errmap_source_status(long status);

/*
 * An HTTP status of a provider's API. 200 is not an error and must not be asked about.
 *
 * Loop:   pure, any thread.
 */
enum rb_code rb_errmap_provider_status(long status);

/*
 * A libcurl result of a download; not for CURLE_OK.
 *
 * Loop:   pure, any thread.
 */
enum rb_code rb_errmap_source_curl(CURLcode result);

/*
 * An errno of the file store.
 *
 * Loop:   pure, any thread.
 */
enum rb_code rb_errmap_store_errno(int number);

/*
 * A libcurl result of talking to a store; not for CURLE_OK.
 *
 * Loop:   pure, any thread.
 */
enum rb_code rb_errmap_store_curl(CURLcode result);

/*
 * What an S3 server refuses with: the HTTP status, and the code in its answer.
 *
 * Takes:  code, "" when there was none, as after HEAD; the status decides then.
 * Loop:   pure, any thread.
 */
enum rb_code rb_errmap_s3(long status, const char *code);

/*
 * What Supabase Storage refuses with: the status that is meant, and the code in its answer.
 *
 * Takes:  meaning, what "statusCode" says in an answer of 400, else the HTTP status; code, "" when there was none.
 * Loop:   pure, any thread.
 */
enum rb_code rb_errmap_supabase(int meaning, const char *code);

/*
 * A librdkafka error of producing a record.
 *
 * Loop:   pure, any thread.
 */
enum rb_code rb_errmap_kafka(rd_kafka_resp_err_t code);

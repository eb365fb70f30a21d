/*
 * errmap.c — the one place where foreign error codes become ours.
 *
 * Way:  common
 */
#include "common/errmap.h"

#include <errno.h>

struct prefix_row {
    const char *prefix;
    enum rb_code code;
};

/* First match wins: single states stand before their class. */
static const struct prefix_row sqlstate_rows[] = {
    {"08", RB_E_DB_AWAY},    /* connection exception */
    {"40", RB_E_DB_AWAY},    /* transaction rollback: serialization failure, deadlock */
    {"53", RB_E_DB_AWAY},    /* insufficient resources */
    {"55P03", RB_E_DB_AWAY}, /* lock not available */
    {"57", RB_E_DB_AWAY},    /* operator intervention: shutdown, cancelled, cannot connect now */
    {"58", RB_E_DB_AWAY},    /* system error */
    {"XX", RB_E_DB_AWAY},    /* internal error */
    {"25006", RB_E_DB_AWAY}, /* read-only transaction: a standby before its promotion */
    {"22", RB_E_DB_DATA},    /* data exception */
    {"23", RB_E_DB_DATA},    /* integrity constraint violation */
    {"44", RB_E_DB_DATA},    /* check option of a view */
    {"P0", RB_E_DB_DATA},    /* raised by a trigger */
};

/* By the standard classes of I to Z are free for all, and only XX is Postgres' own: such a state was raised by a trigger. */
static bool is_of_application(const char *state)
{
    return state[0] >= 'I' && state[0] <= 'Z';
}

enum rb_code rb_errmap_sqlstate(const char *state)
{
    if (state == NULL)
        return RB_E_DB_AWAY; /* made by libpq itself: the connection broke */
    for (size_t i = 0; i < RB_COUNT(sqlstate_rows); i++)
        if (strncmp(state, sqlstate_rows[i].prefix, strlen(sqlstate_rows[i].prefix)) == 0)
            return sqlstate_rows[i].code;
    return is_of_application(state) ? RB_E_DB_DATA : RB_E_DB_REFUSED;
}

enum rb_code rb_errmap_source_status(long status)
{
    switch (status) {
    case 401:
    case 403:
        return RB_E_SOURCE_DENIED;
    case 404:
    case 410:
        return RB_E_SOURCE_GONE;
    case 429:
        return RB_E_SOURCE_LIMITS;
    case 408:
    case 425:
        return RB_E_SOURCE_BUSY;
    default:
        return status >= 500 ? RB_E_SOURCE_BUSY : RB_E_SOURCE_ANSWER;
    }
}

enum rb_code rb_errmap_provider_status(long status)
{
    switch (rb_errmap_source_status(status)) {
    case RB_E_SOURCE_DENIED:
        return RB_E_PROVIDER_DENIED;
    case RB_E_SOURCE_GONE:
        return RB_E_PROVIDER_LACKS;
    case RB_E_SOURCE_BUSY:
    case RB_E_SOURCE_LIMITS:
        return RB_E_PROVIDER_BUSY;
    default:
        return RB_E_PROVIDER_ANSWER;
    }
}

enum rb_code rb_errmap_source_curl(CURLcode result)
{
    switch (result) {
    case CURLE_URL_MALFORMAT:
        return RB_E_URL_INVALID;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return RB_E_SOURCE_CUT;
    case CURLE_OPERATION_TIMEDOUT:
        return RB_E_SOURCE_SLOW;
    case CURLE_BAD_CONTENT_ENCODING:
        return RB_E_SOURCE_ENCODED;
    case CURLE_FILESIZE_EXCEEDED:
        return RB_E_TOO_LARGE;
    case CURLE_OUT_OF_MEMORY: /* so libcurl 7.88 calls a header line that is too long; for itself it never lacks any */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* the URL was checked before: the answer was in no HTTP that we speak */
        return RB_E_SOURCE_ANSWER;
    default: /* name resolution, connecting, TLS, sending */
        return RB_E_SOURCE_AWAY;
    }
}

enum rb_code rb_errmap_store_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return RB_E_STORE_FULL;
    case EFBIG:
        return RB_E_TOO_LARGE;
    case EACCES:
    case EPERM:
    case EROFS:
    case EXDEV:
        return RB_E_STORE_REFUSED;
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENOTDIR:
        return RB_E_OBJECT_REFUSED;
    default:
        return RB_E_STORE_AWAY;
    }
}

enum rb_code rb_errmap_store_curl(CURLcode result)
{
    switch (result) {
    case CURLE_PEER_FAILED_VERIFICATION: /* time does not mend these */
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_URL_MALFORMAT:
        return RB_E_STORE_REFUSED;
    default:
        return RB_E_STORE_AWAY;
    }
}

/* The names are S3's own; those of MinIO, Ceph and others stand beside the one that they mean. */
static const struct {
    const char *name;
    enum rb_code code;
} s3_rows[] = {
    {"SlowDown", RB_E_STORE_BUSY},
    {"ServiceUnavailable", RB_E_STORE_BUSY},
    {"Busy", RB_E_STORE_BUSY},
    {"TooManyRequests", RB_E_STORE_BUSY},
    {"RequestLimitExceeded", RB_E_STORE_BUSY},
    {"InternalError", RB_E_STORE_AWAY},
    {"RequestTimeout", RB_E_STORE_AWAY},
    {"OperationAborted", RB_E_STORE_AWAY},
    {"ConditionalRequestConflict", RB_E_STORE_AWAY},
    {"PreconditionFailed", RB_E_STORE_AWAY}, /* another worker stored it meanwhile: the next look shows what */
    {"NoSuchUpload", RB_E_STORE_AWAY},       /* removed by somebody: a new one is begun */
    {"InvalidPart", RB_E_STORE_AWAY},
    {"IncompleteBody", RB_E_STORE_AWAY},
    {"BadDigest", RB_E_STORE_AWAY},
    {"XAmzContentSHA256Mismatch", RB_E_STORE_AWAY},
    {"AccessDenied", RB_E_STORE_DENIED},
    {"AccountProblem", RB_E_STORE_DENIED},
    {"AllAccessDisabled", RB_E_STORE_DENIED},
    {"AuthorizationHeaderMalformed", RB_E_STORE_DENIED},
    {"ExpiredToken", RB_E_STORE_DENIED},
    {"ExpiredTokenException", RB_E_STORE_DENIED},
    {"InvalidAccessKeyId", RB_E_STORE_DENIED},
    {"InvalidSecurity", RB_E_STORE_DENIED},
    {"InvalidToken", RB_E_STORE_DENIED},
    {"NotSignedUp", RB_E_STORE_DENIED},
    {"RequestExpired", RB_E_STORE_DENIED},
    {"RequestTimeTooSkewed", RB_E_STORE_DENIED},
    {"SignatureDoesNotMatch", RB_E_STORE_DENIED},
    {"TokenRefreshRequired", RB_E_STORE_DENIED},
    {"InsufficientCapacity", RB_E_STORE_FULL},
    {"QuotaExceeded", RB_E_STORE_FULL},
    {"XMinioAdminBucketQuotaExceeded", RB_E_STORE_FULL},
    {"XMinioStorageFull", RB_E_STORE_FULL},
    {"EntityTooLarge", RB_E_TOO_LARGE},
    {"InvalidBucketName", RB_E_STORE_REFUSED},
    {"InvalidStorageClass", RB_E_STORE_REFUSED},
    {"KMS.DisabledException", RB_E_STORE_REFUSED},
    {"KMS.KMSInvalidStateException", RB_E_STORE_REFUSED},
    {"KMS.NotFoundException", RB_E_STORE_REFUSED},
    {"NoSuchBucket", RB_E_STORE_REFUSED},
    {"PermanentRedirect", RB_E_STORE_REFUSED},
    {"InvalidKey", RB_E_OBJECT_REFUSED}, /* Supabase's */
    {"InvalidObjectName", RB_E_OBJECT_REFUSED},
    {"InvalidURI", RB_E_OBJECT_REFUSED},
    {"KeyTooLongError", RB_E_OBJECT_REFUSED},
    {"MetadataTooLarge", RB_E_OBJECT_REFUSED},
    {"XMinioInvalidObjectName", RB_E_OBJECT_REFUSED},
    {"XMinioObjectExistsAsDirectory", RB_E_OBJECT_REFUSED},
    {"XMinioParentIsObject", RB_E_OBJECT_REFUSED},
};

/* A status that says nothing more: redirects and what is nowhere are about the store; of others nobody can tell. */
static enum rb_code refused_with(long status)
{
    switch (status) {
    case 404:
    case 405:
        return RB_E_STORE_REFUSED;
    case 413:
        return RB_E_TOO_LARGE;
    case 414:
        return RB_E_OBJECT_REFUSED;
    default:
        if (status >= 300 && status < 400)
            return RB_E_STORE_REFUSED;
        return status >= 400 && status < 500 ? RB_E_STORE_ANSWER : RB_E_STORE_AWAY;
    }
}

enum rb_code rb_errmap_s3(long status, const char *code)
{
    for (size_t i = 0; i < RB_COUNT(s3_rows); i++)
        if (strcmp(code, s3_rows[i].name) == 0)
            return s3_rows[i].code;
    switch (status) {
    case 401:
    case 403:
        return RB_E_STORE_DENIED;
    case 402:
    case 507:
        return RB_E_STORE_FULL;
    case 429:
    case 503:
        return RB_E_STORE_BUSY;
    case 408:
    case 409:
    case 412:
        return RB_E_STORE_AWAY;
    default:
        return refused_with(status);
    }
}

/* The codes of Supabase Storage; what stands beside them is how servers of before July 2026 say the same in "error". */
static const struct {
    const char *name;
    const char *old_name;
    enum rb_code code;
} supabase_rows[] = {
    {"KeyAlreadyExists", "Duplicate",
     RB_E_STORE_AWAY}, /* another worker stored it meanwhile: the next look shows what */
    {"ResourceAlreadyExists", "already_exists", RB_E_STORE_AWAY},
    {"EntityTooLarge", "Payload too large", RB_E_TOO_LARGE},
    {"InvalidMimeType", "invalid_mime_type", RB_E_STORE_REFUSED},
    {"InvalidBucketName", "", RB_E_STORE_REFUSED},
    {"InvalidRequest", "", RB_E_STORE_REFUSED}, /* our headers are not what this server wants, whatever the object */
    {"NoSuchBucket", "Bucket not found", RB_E_STORE_REFUSED},
    {"InvalidKey", "", RB_E_OBJECT_REFUSED},
    {"FST_ERR_BAD_URL", "", RB_E_OBJECT_REFUSED},
    {"NoSuchKey", "not_found", RB_E_STORE_AWAY},
    {"NoSuchUpload", "", RB_E_STORE_AWAY},
    {"AccessDenied", "Unauthorized", RB_E_STORE_DENIED},
    {"InvalidJWT", "invalid_jwt", RB_E_STORE_DENIED},
    {"ResourceLocked", "resource_locked", RB_E_STORE_BUSY},
    {"LockTimeout", "acquiring_lock_timeout", RB_E_STORE_BUSY},
    {"SlowDown", "too_many_connections", RB_E_STORE_BUSY},
    {"DatabaseReadOnly", "database_read_only", RB_E_STORE_AWAY},
    {"DatabaseTimeout", "database_timeout", RB_E_STORE_AWAY},
    {"InternalError", "Internal", RB_E_STORE_AWAY},
    {"exceed_storage_size_quota", "", RB_E_STORE_FULL},
};

enum rb_code rb_errmap_supabase(int meaning, const char *code)
{
    for (size_t i = 0; i < RB_COUNT(supabase_rows); i++)
        if (code[0] != '\0' &&
            (strcmp(code, supabase_rows[i].name) == 0 || strcmp(code, supabase_rows[i].old_name) == 0))
            return supabase_rows[i].code;
    switch (meaning) {
    case 401:
    case 403:
        return RB_E_STORE_DENIED;
    case 402:
    case 507:
        return RB_E_STORE_FULL;
    case 423:
    case 429:
    case 503:
        return RB_E_STORE_BUSY;
    case 408:
    case 409:
    case 410:
    case 425:
        return RB_E_STORE_AWAY;
    default:
        return refused_with(meaning);
    }
}

enum rb_code rb_errmap_kafka(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return RB_E_KAFKA_FULL;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        return RB_E_KAFKA_REFUSED;
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
        return RB_E_GROUP_FENCED;
    default: /* transport, time-outs, missing topics and rights: an operator or time mends them */
        return RB_E_KAFKA_AWAY;
    }
}

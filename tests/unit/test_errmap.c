#include "tests/unit/unit.h"

#include <errno.h>

#include "common/errmap.h"

static void sqlstates_become_ours(void **state)
{
    static const struct {
        const char *state;
        enum rb_code code;
    } rows[] = {
        {NULL, RB_E_DB_AWAY},       {"08006", RB_E_DB_AWAY},    {"40001", RB_E_DB_AWAY},    {"40P01", RB_E_DB_AWAY},
        {"53300", RB_E_DB_AWAY},    {"55P03", RB_E_DB_AWAY},    {"57P01", RB_E_DB_AWAY},    {"25006", RB_E_DB_AWAY},
        {"22001", RB_E_DB_DATA},    {"22P02", RB_E_DB_DATA},    {"23505", RB_E_DB_DATA},    {"42P01", RB_E_DB_REFUSED},
        {"42501", RB_E_DB_REFUSED}, {"28P01", RB_E_DB_REFUSED}, {"55006", RB_E_DB_REFUSED}, {"P0001", RB_E_DB_DATA},
        {"PT403", RB_E_DB_DATA},    {"UE001", RB_E_DB_DATA},    {"44000", RB_E_DB_DATA},    {"XX000", RB_E_DB_AWAY},
        {"HV000", RB_E_DB_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        assert_string_equal(rb_code_name(rb_errmap_sqlstate(rows[i].state)), rb_code_name(rows[i].code));
}

static void answers_of_sources_become_ours(void **state)
{
    static const struct {
        long status;
        enum rb_code code;
    } rows[] = {
        {204, RB_E_SOURCE_ANSWER}, {400, RB_E_SOURCE_ANSWER}, {401, RB_E_SOURCE_DENIED}, {403, RB_E_SOURCE_DENIED},
        {404, RB_E_SOURCE_GONE},   {410, RB_E_SOURCE_GONE},   {408, RB_E_SOURCE_BUSY},   {425, RB_E_SOURCE_BUSY},
        {429, RB_E_SOURCE_LIMITS}, {500, RB_E_SOURCE_BUSY},   {503, RB_E_SOURCE_BUSY},   {599, RB_E_SOURCE_BUSY},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        assert_string_equal(rb_code_name(rb_errmap_source_status(rows[i].status)), rb_code_name(rows[i].code));
}

static void answers_of_providers_become_ours(void **state)
{
    static const struct {
        long status;
        enum rb_code code;
    } rows[] = {
        {204, RB_E_PROVIDER_ANSWER}, {302, RB_E_PROVIDER_ANSWER}, {400, RB_E_PROVIDER_ANSWER},
        {401, RB_E_PROVIDER_DENIED}, {403, RB_E_PROVIDER_DENIED}, {404, RB_E_PROVIDER_LACKS},
        {410, RB_E_PROVIDER_LACKS},  {408, RB_E_PROVIDER_BUSY},   {425, RB_E_PROVIDER_BUSY},
        {429, RB_E_PROVIDER_BUSY},   {500, RB_E_PROVIDER_BUSY},   {599, RB_E_PROVIDER_BUSY},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        assert_string_equal(rb_code_name(rb_errmap_provider_status(rows[i].status)), rb_code_name(rows[i].code));
}

static void results_of_libcurl_become_ours(void **state)
{
    static const struct {
        CURLcode result;
        enum rb_code code;
    } rows[] = {
        {CURLE_UNSUPPORTED_PROTOCOL, RB_E_SOURCE_ANSWER},
        {CURLE_URL_MALFORMAT, RB_E_URL_INVALID},
        {CURLE_COULDNT_RESOLVE_HOST, RB_E_SOURCE_AWAY},
        {CURLE_COULDNT_CONNECT, RB_E_SOURCE_AWAY},
        {CURLE_PEER_FAILED_VERIFICATION, RB_E_SOURCE_AWAY},
        {CURLE_PARTIAL_FILE, RB_E_SOURCE_CUT},
        {CURLE_RECV_ERROR, RB_E_SOURCE_CUT},
        {CURLE_GOT_NOTHING, RB_E_SOURCE_CUT},
        {CURLE_OPERATION_TIMEDOUT, RB_E_SOURCE_SLOW},
        {CURLE_BAD_CONTENT_ENCODING, RB_E_SOURCE_ENCODED},
        {CURLE_WEIRD_SERVER_REPLY, RB_E_SOURCE_ANSWER},
        {CURLE_OUT_OF_MEMORY, RB_E_SOURCE_ANSWER},
        {CURLE_FILESIZE_EXCEEDED, RB_E_TOO_LARGE},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        assert_string_equal(rb_code_name(rb_errmap_source_curl(rows[i].result)), rb_code_name(rows[i].code));
}

static void errnos_of_the_file_store_become_ours(void **state)
{
    (void)state;
    assert_int_equal(rb_errmap_store_errno(ENOSPC), RB_E_STORE_FULL);
    assert_int_equal(rb_errmap_store_errno(EDQUOT), RB_E_STORE_FULL);
    assert_int_equal(rb_errmap_store_errno(EACCES), RB_E_STORE_REFUSED);
    assert_int_equal(rb_errmap_store_errno(EROFS), RB_E_STORE_REFUSED);
    assert_int_equal(rb_errmap_store_errno(EFBIG), RB_E_TOO_LARGE); /* this one, not all of them */
    assert_int_equal(rb_errmap_store_errno(ENAMETOOLONG), RB_E_OBJECT_REFUSED);
    assert_int_equal(rb_errmap_store_errno(ELOOP), RB_E_OBJECT_REFUSED);
    assert_int_equal(rb_errmap_store_errno(EIO), RB_E_STORE_AWAY);
}

static void refusals_of_s3_become_ours(void **state)
{
    static const struct {
        long status;
        const char *name;
        enum rb_code code;
    } rows[] = {
        {503, "SlowDown", RB_E_STORE_BUSY},
        {503, "", RB_E_STORE_BUSY},
        {429, "", RB_E_STORE_BUSY},
        {500, "InternalError", RB_E_STORE_AWAY},
        {502, "", RB_E_STORE_AWAY},
        {400, "RequestTimeout", RB_E_STORE_AWAY},
        {200, "InternalError", RB_E_STORE_AWAY},
        {200, "Error", RB_E_STORE_AWAY},
        {412, "PreconditionFailed", RB_E_STORE_AWAY},
        {404, "NoSuchUpload", RB_E_STORE_AWAY},
        {403, "AccessDenied", RB_E_STORE_DENIED},
        {403, "RequestTimeTooSkewed", RB_E_STORE_DENIED},
        {400, "ExpiredToken", RB_E_STORE_DENIED},
        {403, "", RB_E_STORE_DENIED},
        {401, "", RB_E_STORE_DENIED},
        {507, "", RB_E_STORE_FULL},
        {402, "", RB_E_STORE_FULL},
        {403, "QuotaExceeded", RB_E_STORE_FULL},
        {404, "NoSuchBucket", RB_E_STORE_REFUSED},
        {301, "PermanentRedirect", RB_E_STORE_REFUSED},
        {307, "", RB_E_STORE_REFUSED},
        {404, "", RB_E_STORE_REFUSED},
        {405, "MethodNotAllowed", RB_E_STORE_REFUSED},
        {400, "InvalidStorageClass", RB_E_STORE_REFUSED},
        {400, "InvalidArgument", RB_E_STORE_ANSWER},
        {400, "", RB_E_STORE_ANSWER},
        {400, "NobodyKnows", RB_E_STORE_ANSWER},
        {400, "KeyTooLongError", RB_E_OBJECT_REFUSED},
        {400, "InvalidKey", RB_E_OBJECT_REFUSED},
        {409, "XMinioParentIsObject", RB_E_OBJECT_REFUSED},
        {414, "", RB_E_OBJECT_REFUSED},
        {400, "EntityTooLarge", RB_E_TOO_LARGE},
        {413, "", RB_E_TOO_LARGE},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        assert_string_equal(rb_code_name(rb_errmap_s3(rows[i].status, rows[i].name)), rb_code_name(rows[i].code));
    assert_int_equal(rb_errmap_store_curl(CURLE_COULDNT_CONNECT), RB_E_STORE_AWAY);
    assert_int_equal(rb_errmap_store_curl(CURLE_SEND_ERROR), RB_E_STORE_AWAY);
    assert_int_equal(rb_errmap_store_curl(CURLE_PEER_FAILED_VERIFICATION), RB_E_STORE_REFUSED);
}

static void codes_of_librdkafka_become_ours(void **state)
{
    (void)state;
    assert_int_equal(rb_errmap_kafka(RD_KAFKA_RESP_ERR__QUEUE_FULL), RB_E_KAFKA_FULL);
    assert_int_equal(rb_errmap_kafka(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE), RB_E_KAFKA_REFUSED);
    assert_int_equal(rb_errmap_kafka(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT), RB_E_KAFKA_AWAY);
    assert_int_equal(rb_errmap_kafka(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), RB_E_KAFKA_AWAY);
    assert_int_equal(rb_errmap_kafka(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID), RB_E_GROUP_FENCED);
    assert_int_equal(rb_errmap_kafka(RD_KAFKA_RESP_ERR__FENCED), RB_E_GROUP_FENCED);
}

UNIT_MAIN(T(sqlstates_become_ours), T(answers_of_sources_become_ours), T(answers_of_providers_become_ours),
          T(results_of_libcurl_become_ours), T(errnos_of_the_file_store_become_ours), T(refusals_of_s3_become_ours),
          T(codes_of_librdkafka_become_ours))

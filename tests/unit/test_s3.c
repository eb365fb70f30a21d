#include "tests/unit/unit.h"

#include "consumer/s3_address.h"
#include "consumer/s3_answer.h"
#include "consumer/s3_keys.h"
#include "consumer/s3_sign.h"
#include "consumer/s3_xml.h"

static const struct rb_s3_signer example_signer = {
    .access_key = "AKIAIOSFODNN7EXAMPLE",
    .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    .region = "us-east-1",
    .service = "s3",
};

/* The examples of the S3 manual, "Authenticating Requests (AWS Signature Version 4)". */
static void the_examples_of_the_manual_are_signed_as_it_says(void **state)
{
    const struct {
        struct rb_s3_request request;
        const char *signature;
    } rows[] = {
        {{.method = "GET",
          .path = "/test.txt",
          .query = "",
          .headers = (const struct rb_s3_header[]){{"host", "examplebucket.s3.amazonaws.com"},
                                                   {"range", "bytes=0-9"},
                                                   {"x-amz-content-sha256", RB_S3_SHA256_OF_NOTHING},
                                                   {"x-amz-date", "20130524T000000Z"}},
          .header_count = 4,
          .payload = RB_S3_SHA256_OF_NOTHING},
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        {{.method = "PUT",
          .path = "/test%24file.text",
          .query = "",
          .headers = (const struct rb_s3_header[]){{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                                                   {"x-amz-date", "20130524T000000Z"},
                                                   {"x-amz-content-sha256",
                                                    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
                                                   {"host", "examplebucket.s3.amazonaws.com"},
                                                   {"date", "Fri, 24 May 2013 00:00:00 GMT"}},
          .header_count = 5,
          .payload = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
        {{.method = "GET",
          .path = "/",
          .query = "lifecycle=",
          .headers = (const struct rb_s3_header[]){{"host", "examplebucket.s3.amazonaws.com"},
                                                   {"x-amz-content-sha256", RB_S3_SHA256_OF_NOTHING},
                                                   {"x-amz-date", "20130524T000000Z"}},
          .header_count = 3,
          .payload = RB_S3_SHA256_OF_NOTHING},
         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {{.method = "GET",
          .path = "/",
          .query = "max-keys=2&prefix=J",
          .headers = (const struct rb_s3_header[]){{"host", "examplebucket.s3.amazonaws.com"},
                                                   {"x-amz-content-sha256", RB_S3_SHA256_OF_NOTHING},
                                                   {"x-amz-date", "20130524T000000Z"}},
          .header_count = 3,
          .payload = RB_S3_SHA256_OF_NOTHING},
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_TEXT *value = rb_s3_sign(&rows[i].request, &example_signer, "20130524T000000Z");

        assert_string_equal(strstr(value, "Signature=") + strlen("Signature="), rows[i].signature);
    }
}

/* Made with botocore 1.44: one name that begins with another, spaces, a token, a query and an encoded path. */
static void what_libcurl_sorts_wrongly_is_signed_as_botocore_does(void **state)
{
    static const struct rb_s3_header headers[] = {
        {"x-amz-server-side-encryption-aws-kms-key-id", "key"},
        {"x-amz-server-side-encryption", "aws:kms"},
        {"x-amz-security-token", "token/+="},
        {"x-amz-meta-a", "one   two "},
        {"x-amz-date", "20261122T183000Z"},
        {"x-amz-content-sha256", RB_S3_SHA256_OF_NOTHING},
        {"host", "bucket.s3.eu-central-1.amazonaws.com"},
        {"content-type", "video/mp4"},
    };
    const struct rb_s3_request request = {
        .method = "PUT",
        .path = "/a%20b/c~%2B.mp4",
        .query = "partNumber=2&uploadId=a%2Bb%3D",
        .headers = headers,
        .header_count = RB_COUNT(headers),
        .payload = RB_S3_SHA256_OF_NOTHING,
    };
    struct rb_s3_signer signer = example_signer;

    (void)state;
    signer.region = "eu-central-1";

    RB_AUTO_TEXT *value = rb_s3_sign(&request, &signer, "20261122T183000Z");

    assert_string_equal(value, "AWS4-HMAC-SHA256 "
                               "Credential=AKIAIOSFODNN7EXAMPLE/20261122/eu-central-1/s3/aws4_request, "
                               "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;"
                               "x-amz-security-token;x-amz-server-side-encryption;"
                               "x-amz-server-side-encryption-aws-kms-key-id, "
                               "Signature=5d83e805915a85663f3473bc201d30654ddf573a5858343470dc0f791dd2af45");
}

static void dates_are_written_as_amz_date(void **state)
{
    char text[RB_S3_DATE_TEXT_BYTES];

    (void)state;
    assert_string_equal(rb_s3_sign_date(0, text), "19700101T000000Z");
    assert_string_equal(rb_s3_sign_date(1795372200999, text), "20261122T183000Z");
}

static void all_but_unreserved_characters_are_encoded(void **state)
{
    RB_AUTO_BUFFER buffer = {0};

    (void)state;
    rb_s3_encode(&buffer, "aZ09-._~/ +=%?#&\xc3\xa9", "/");
    assert_string_equal(buffer.bytes, "aZ09-._~/%20%2B%3D%25%3F%23%26%C3%A9");
    rb_buffer_done(&buffer);
    rb_s3_encode(&buffer, "a/b", "");
    assert_string_equal(buffer.bytes, "a%2Fb");
}

static void a_bucket_and_a_key_have_a_place_at_each_endpoint(void **state)
{
    static const struct {
        const char *endpoint, *region, *style, *bucket, *key, *url;
    } rows[] = {
        {"", "us-east-1", "auto", "videos", "u/v.mp4", "https://videos.s3.us-east-1.amazonaws.com/u/v.mp4"},
        {"", "cn-north-1", "auto", "videos", "v", "https://videos.s3.cn-north-1.amazonaws.com.cn/v"},
        {"", "us-east-1", "auto", "my.videos", "v", "https://s3.us-east-1.amazonaws.com/my.videos/v"},
        {"", "us-east-1", "auto", "Videos", "v", "https://s3.us-east-1.amazonaws.com/Videos/v"},
        {"", "us-east-1", "auto", "videos", NULL, "https://videos.s3.us-east-1.amazonaws.com/"},
        {"", "us-east-1", "true", "videos", NULL, "https://s3.us-east-1.amazonaws.com/videos"},
        {"http://127.0.0.1:9000", "us-east-1", "auto", "videos", "u/v.mp4", "http://127.0.0.1:9000/videos/u/v.mp4"},
        {"http://minio:9000/", "us-east-1", "auto", "videos", "v w", "http://minio:9000/videos/v%20w"},
        {"https://minio.example:443/", "x", "auto", "videos", "v", "https://minio.example/videos/v"},
        {"http://[::1]:9000", "x", "auto", "videos", "v", "http://[::1]:9000/videos/v"},
        {"https://a.storage.supabase.co/storage/v1/s3", "x", "auto", "videos", "v",
         "https://a.storage.supabase.co/storage/v1/s3/videos/v"},
        {"https://r2.example", "auto", "false", "videos", "v", "https://videos.r2.example/v"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_s3_address address;
        RB_AUTO_S3_PLACE place = {0};

        assert_works(rb_s3_address_init(&address, rows[i].endpoint, rows[i].region, rows[i].style, &err));
        rb_s3_place_init(&place, &address, rows[i].bucket, rows[i].key);
        assert_string_equal(place.url, rows[i].url);
        rb_s3_address_done(&address);
    }
}

static void endpoints_that_are_none_are_refused(void **state)
{
    static const char *const endpoints[] = {"minio:9000", "ftp://minio", "https://key:secret@minio", "http://", "x"};
    struct rb_s3_address address;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(endpoints); i++)
        assert_fails(rb_s3_address_init(&address, endpoints[i], "x", "auto", &err), BAD_OPTION);
    assert_fails(rb_s3_address_init(&address, "", "x", "yes", &err), BAD_OPTION);
}

static void keys_are_found_in_their_profile(void **state)
{
    static const char text[] = "# ours\r\n"
                               "[default]\r\n"
                               "aws_access_key_id=AKID1\r\n"
                               "aws_secret_access_key = secret=1\r\n"
                               "\n"
                               "[ profile reels ]\n"
                               "  AWS_ACCESS_KEY_ID =  AKID2  \n"
                               ";aws_secret_access_key = no\n"
                               "aws_secret_access_key=secret/2+\n"
                               "region = x\n"
                               "aws_session_token=token=\n"
                               "[half]\n"
                               "aws_access_key_id=AKID3\n"
                               "[broken\n"
                               "aws_secret_access_key=secret3";
    struct rb_s3_keys keys;

    (void)state;
    assert_works(rb_s3_keys_read_profile(text, "default", &keys, &err));
    assert_string_equal(keys.access_key, "AKID1");
    assert_string_equal(keys.secret_key, "secret=1");
    assert_null(keys.session_token);
    assert_true(keys.expires_unix_ms == RB_S3_NEVER);
    rb_s3_keys_done(&keys);
    assert_works(rb_s3_keys_read_profile(text, "reels", &keys, &err));
    assert_string_equal(keys.access_key, "AKID2");
    assert_string_equal(keys.secret_key, "secret/2+");
    assert_string_equal(keys.session_token, "token=");
    rb_s3_keys_done(&keys);
    assert_fails(rb_s3_keys_read_profile(text, "half", &keys, &err), STORE_DENIED);
    assert_fails(rb_s3_keys_read_profile(text, "nobody", &keys, &err), STORE_DENIED);
    assert_fails(rb_s3_keys_read_profile("", "default", &keys, &err), STORE_DENIED);
}

#define READ_JSON(text) rb_s3_keys_read_json(text, strlen(text), &keys, &err)
#define READ_STS(text)  rb_s3_keys_read_sts(text, strlen(text), &keys, &err)

static void keys_are_read_from_the_answers_of_platforms(void **state)
{
    struct rb_s3_keys keys;

    (void)state;
    assert_works(READ_JSON("{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
                           "\"Expiration\":\"2026-11-22T18:30:00Z\"}"));
    assert_string_equal(keys.session_token, "T");
    assert_true(keys.expires_unix_ms == 1795372200000);
    rb_s3_keys_done(&keys);
    assert_fails(READ_JSON("{\"Code\":\"AssumeRoleUnauthorizedAccess\"}"), STORE_DENIED);
    assert_fails(READ_JSON("{\"AccessKeyId\":\"A\"}"), STORE_DENIED);
    assert_fails(READ_JSON("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":7}"), STORE_DENIED);
    assert_fails(READ_JSON("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Expiration\":\"soon\"}"), STORE_DENIED);
    assert_fails(READ_JSON("[]"), STORE_DENIED);
    assert_fails(READ_JSON(""), STORE_DENIED);
    assert_works(READ_STS("<a:R xmlns:a=\"x\"><a:Result><Credentials><AccessKeyId>A</AccessKeyId>"
                          "<SecretAccessKey>S&amp;</SecretAccessKey><SessionToken>T</SessionToken>"
                          "<Expiration>2026-11-22T18:30:00.5Z</Expiration></Credentials></a:Result></a:R>"));
    assert_string_equal(keys.secret_key, "S&");
    assert_true(keys.expires_unix_ms == 1795372200500);
    rb_s3_keys_done(&keys);
    assert_fails(
        READ_STS("<ErrorResponse><Error><Code>ExpiredToken</Code><Message>late</Message></Error></ErrorResponse>"),
        STORE_DENIED);
    assert_fails(READ_STS("<R><Credentials><AccessKeyId>A</AccessKeyId></Credentials></R>"), STORE_DENIED);
    assert_fails(READ_STS("no"), STORE_DENIED);
}

/* What was read, one line for each element. */
static void note_element(const char *path, const char *text, void *arg)
{
    rb_buffer_print(arg, "%s=%s\n", path, text);
}

static int read_xml(const char *text, struct rb_buffer *buffer, struct rb_error *err)
{
    return rb_s3_xml_read(text, strlen(text), note_element, buffer, err);
}

static void elements_come_with_their_path_children_first(void **state)
{
    RB_AUTO_BUFFER buffer = {0};

    (void)state;
    assert_works(read_xml("<?xml version=\"1.0\"?>\n<s:Error xmlns:s='y'><s:Code>A&lt;B&#33;</s:Code><!-- c -->"
                          "<M><![CDATA[<x>]]></M><E/></s:Error>",
                          &buffer, &err));
    assert_string_equal(buffer.bytes, "Error/Code=A<B!\nError/M=<x>\nError/E=\nError=\n");
}

static void what_no_s3_answers_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a>\x01</a>",
        "<a>&unknown;</a>",
        "<!DOCTYPE a [<!ENTITY e \"eeee\">]><a>&e;</a>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
    };
    RB_AUTO_BUFFER deep = {0};
    RB_AUTO_BUFFER wide = {0};
    RB_AUTO_BUFFER seen = {0};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(texts); i++)
        assert_fails(read_xml(texts[i], &seen, &err), STORE_AWAY);
    for (size_t i = 0; i < RB_S3_XML_PATH_MAX; i++)
        rb_buffer_print(&deep, "<a>");
    assert_fails(read_xml(deep.bytes, &seen, &err), STORE_AWAY);
    rb_buffer_print(&wide, "<a>");
    for (size_t i = 0; i < RB_S3_XML_TEXT_MAX; i++)
        rb_buffer_print(&wide, "x");
    rb_buffer_print(&wide, "</a>");
    assert_fails(read_xml(wide.bytes, &seen, &err), STORE_AWAY);
}

static void an_etag_stays_as_it_came(void **state)
{
    static const char *const etags[] = {"\"507a\"", "507a", "\"507a-2\"", "W/\"x\""};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(etags); i++) {
        RB_AUTO_TEXT *line = rb_xprintf("ETag:  %s \r\n", etags[i]);
        struct rb_s3_result result = {0};

        rb_s3_answer_clear(&result);
        rb_s3_answer_take_header(&result, line, strlen(line));
        assert_string_equal(result.etag, etags[i]);
    }
}

UNIT_MAIN(T(the_examples_of_the_manual_are_signed_as_it_says), T(what_libcurl_sorts_wrongly_is_signed_as_botocore_does),
          T(dates_are_written_as_amz_date), T(all_but_unreserved_characters_are_encoded),
          T(a_bucket_and_a_key_have_a_place_at_each_endpoint), T(endpoints_that_are_none_are_refused),
          T(keys_are_found_in_their_profile), T(keys_are_read_from_the_answers_of_platforms),
          T(elements_come_with_their_path_children_first), T(what_no_s3_answers_is_refused),
          T(an_etag_stays_as_it_came))

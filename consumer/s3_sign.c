/*
 * s3_sign.c — AWS Signature Version 4.
 *
 * Way:  store_s3 -> s3_call -> [s3_sign]
 */
#include "consumer/s3_sign.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>

#include "common/digits.h"

#define HASH_BYTES      32
#define HASH_TEXT_BYTES (2 * HASH_BYTES + 1)
#define DAY_BYTES       8 /* of the date: "20261122" */

char *rb_s3_sign_date(int64_t unix_ms, char *ret_text)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;

    gmtime_r(&seconds, &parts);
    strftime(ret_text, RB_S3_DATE_TEXT_BYTES, "%Y%m%dT%H%M%SZ", &parts);
    return ret_text;
}

void rb_s3_encode(struct rb_buffer *buffer, const char *text, const char *keep)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;

        if ((byte < 128 && isalnum(byte)) || strchr("-._~", byte) != NULL || strchr(keep, byte) != NULL)
            rb_buffer_add(buffer, text, 1);
        else
            rb_buffer_print(buffer, "%%%02X", byte);
    }
}

static void hash_text(const char *text, char *ret_text)
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    rb_digits_hex(digest, HASH_BYTES, ret_text);
}

static void keyed_hash(const uint8_t *key, size_t key_bytes, const char *text, size_t text_bytes, uint8_t *ret_digest)
{
    unsigned bytes = HASH_BYTES;

    if (HMAC(EVP_sha256(), key, (int)key_bytes, (const uint8_t *)text, text_bytes, ret_digest, &bytes) == NULL)
        RB_BUG("OpenSSL has no HMAC");
}

static int compare_headers(const void *left, const void *right)
{
    return strcmp(((const struct rb_s3_header *)left)->name, ((const struct rb_s3_header *)right)->name);
}

/* A value as it is signed: no space at the ends, one where there are several. */
static void add_value(struct rb_buffer *buffer, const char *value)
{
    const char *end = value + strlen(value);

    while (*value == ' ')
        value++;
    while (end > value && end[-1] == ' ')
        end--;
    for (; value < end; value++)
        if (*value != ' ' || value[-1] != ' ')
            rb_buffer_add(buffer, value, 1);
}

static char *header_names(const struct rb_s3_header *headers, size_t count)
{
    struct rb_buffer names = {0};

    for (size_t i = 0; i < count; i++)
        rb_buffer_print(&names, "%s%s", i > 0 ? ";" : "", headers[i].name);
    return rb_buffer_steal(&names);
}

/* The request in the form that both sides hash. */
static char *canonical_request(const struct rb_s3_request *request, const struct rb_s3_header *sorted,
                               const char *names)
{
    struct rb_buffer text = {0};

    rb_buffer_print(&text, "%s\n%s\n%s\n", request->method, request->path, request->query);
    for (size_t i = 0; i < request->header_count; i++) {
        rb_buffer_print(&text, "%s:", sorted[i].name);
        add_value(&text, sorted[i].value);
        rb_buffer_add(&text, "\n", 1);
    }
    rb_buffer_print(&text, "\n%s\n%s", names, request->payload);
    return rb_buffer_steal(&text);
}

/* The key of a day, a region and a service. */
static void derive_key(const struct rb_s3_signer *signer, const char *date, uint8_t *ret_key)
{
    char *secret = rb_xprintf("AWS4%s", signer->secret_key);

    keyed_hash((const uint8_t *)secret, strlen(secret), date, DAY_BYTES, ret_key);
    keyed_hash(ret_key, HASH_BYTES, signer->region, strlen(signer->region), ret_key);
    keyed_hash(ret_key, HASH_BYTES, signer->service, strlen(signer->service), ret_key);
    keyed_hash(ret_key, HASH_BYTES, "aws4_request", strlen("aws4_request"), ret_key);
    OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}

char *rb_s3_sign(const struct rb_s3_request *request, const struct rb_s3_signer *signer, const char *date)
{
    struct rb_s3_header sorted[RB_S3_HEADERS_MAX];
    char request_hash[HASH_TEXT_BYTES];
    char signature[HASH_TEXT_BYTES];
    uint8_t key[EVP_MAX_MD_SIZE];

    RB_ASSERT(request->header_count <= RB_S3_HEADERS_MAX);
    memcpy(sorted, request->headers, request->header_count * sizeof(sorted[0]));
    qsort(sorted, request->header_count, sizeof(sorted[0]), compare_headers);

    RB_AUTO_TEXT *names = header_names(sorted, request->header_count);
    RB_AUTO_TEXT *canonical = canonical_request(request, sorted, names);
    RB_AUTO_TEXT *scope = rb_xprintf("%.*s/%s/%s/aws4_request", DAY_BYTES, date, signer->region, signer->service);

    hash_text(canonical, request_hash);

    RB_AUTO_TEXT *to_sign = rb_xprintf("AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, request_hash);

    derive_key(signer, date, key);
    keyed_hash(key, HASH_BYTES, to_sign, strlen(to_sign), key);
    rb_digits_hex(key, HASH_BYTES, signature);
    OPENSSL_cleanse(key, sizeof(key));
    return rb_xprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", signer->access_key, scope,
                      names, signature);
}

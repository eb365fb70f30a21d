/*
 * store_read.c — what the bytes of an object really are.
 *
 * Way:  verify -> store_file, store_s3, store_supabase -> [store_read]
 */
#include "consumer/store_read.h"

#include "common/digits.h"

void rb_store_read_begin(struct rb_store_read *read)
{
    if (read->hash == NULL)
        read->hash = EVP_MD_CTX_new();
    if (read->hash == NULL || EVP_DigestInit_ex(read->hash, EVP_sha256(), NULL) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    read->bytes = 0;
}

void rb_store_read_take(struct rb_store_read *read, const void *bytes, size_t count)
{
    if (EVP_DigestUpdate(read->hash, bytes, count) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    read->bytes += (int64_t)count;
}

void rb_store_read_end(struct rb_store_read *read, struct rb_store_answer *answer)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;

    if (EVP_DigestFinal_ex(read->hash, digest, &bytes) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    answer->found = true;
    answer->bytes = read->bytes;
    rb_digits_hex(digest, bytes, answer->sha256);
}

void rb_store_read_done(struct rb_store_read *read)
{
    EVP_MD_CTX_free(read->hash);
    *read = (struct rb_store_read){0};
}

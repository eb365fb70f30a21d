/*
 * s3_credentials_sts.c — keys for S3 that STS gives for a token of the platform.
 *
 * Way:  store_s3 -> s3_call -> [s3_credentials]
 */
#include <openssl/crypto.h>

#include "common/textfile.h"
#include "consumer/s3_credentials_internal.h"
#include "consumer/s3_sign.h"

/* web_identity: a token that the platform puts into a file, changed for keys by STS. */

bool s3_web_identity_is_configured(const struct rb_s3_credentials_config *config)
{
    return is_set(config->web_identity_token_file) && is_set(config->role_arn);
}

static void on_sts(long status, const struct rb_buffer *body, const struct rb_error *away, void *arg)
{
    struct rb_s3_credentials *credentials = RB_CAST(rb_s3_credentials, arg, CREDENTIALS_MAGIC);
    RB_AUTO_S3_KEYS keys = {0};
    struct rb_error err = {0};
    int result = 0;

    if (away != NULL || status >= 500 || body->used == 0)
        result = s3_source_check(status, body, away, &err);
    if (result == 0)
        result = rb_s3_keys_read_sts(body->bytes, body->used, &keys, &err);
    s3_source_settle(credentials, result, &keys, &err);
}

static char *sts_url(const struct rb_s3_credentials_config *config)
{
    if (is_set(config->sts_endpoint))
        return rb_xstrdup(config->sts_endpoint);
    return rb_xprintf("https://sts.%s.amazonaws.com%s/", config->region,
                      strncmp(config->region, "cn-", 3) == 0 ? ".cn" : "");
}

void s3_web_identity_fetch(struct rb_s3_credentials *credentials)
{
    const struct rb_s3_credentials_config *config = credentials->config;
    RB_AUTO_TEXT *url = sts_url(config);
    RB_AUTO_BUFFER body = {0};
    struct rb_error err = {0};
    char *token = NULL;

    if (rb_textfile_read_secret(config->web_identity_token_file, &token, &err) < 0) {
        rb_fail(&err, RB_E_STORE_DENIED, err.detail, "cannot read the token in '%.100s'",
                config->web_identity_token_file);
        s3_source_failed(credentials, &err);
        return;
    }
    rb_buffer_print(&body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=");
    rb_s3_encode(&body, config->role_arn, "");
    rb_buffer_print(&body, "&RoleSessionName=");
    rb_s3_encode(&body, is_set(config->role_session_name) ? config->role_session_name : "reelbus", "");
    rb_buffer_print(&body, "&WebIdentityToken=");
    rb_s3_encode(&body, token, "");
    s3_source_ask(credentials,
                  &(struct rb_request_spec){
                      .method = "POST",
                      .url = url,
                      .body = body.bytes,
                      .body_bytes = body.used,
                      .headers = (const char *const[]){"Content-Type: application/x-www-form-urlencoded", NULL}},
                  on_sts);
    OPENSSL_cleanse(token, strlen(token));
    free(token);
    OPENSSL_cleanse(body.bytes, body.used);
}

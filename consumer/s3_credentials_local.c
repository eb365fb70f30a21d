/*
 * s3_credentials_local.c — keys for S3 that lie on this machine: in the options, or in the file that the AWS tools share.
 *
 * Way:  store_s3 -> s3_call -> [s3_credentials]
 */
#include <openssl/crypto.h>

#include "common/textfile.h"
#include "consumer/s3_credentials_internal.h"

/* keys: they stand in the options. */

bool s3_keys_is_configured(const struct rb_s3_credentials_config *config)
{
    return is_set(config->access_key) && is_set(config->secret_key);
}

void s3_keys_fetch(struct rb_s3_credentials *credentials)
{
    const struct rb_s3_credentials_config *config = credentials->config;
    RB_AUTO_S3_KEYS keys = {0};

    rb_s3_keys_set(&keys, config->access_key, config->secret_key, config->session_token);
    s3_source_took(credentials, &keys);
}

/* file: the one that the AWS tools share. */

static char *file_path(const struct rb_s3_credentials_config *config)
{
    const char *home = getenv("HOME");

    if (is_set(config->file))
        return rb_xstrdup(config->file);
    return home != NULL ? rb_xprintf("%s/.aws/credentials", home) : rb_xstrdup("");
}

static int file_read(const struct rb_s3_credentials_config *config, struct rb_s3_keys *ret_keys, struct rb_error *err)
{
    RB_AUTO_TEXT *path = file_path(config);
    char *text = NULL;
    int result;

    if (rb_textfile_read_secret(path, &text, err) < 0)
        return rb_fail(err, RB_E_STORE_DENIED, err->detail, "cannot read the credentials file '%.100s'", path);
    result = rb_s3_keys_read_profile(text, is_set(config->profile) ? config->profile : "default", ret_keys, err);
    OPENSSL_cleanse(text, strlen(text));
    free(text);
    return result;
}

/* Named by an option, or at its usual place with the profile in it. */
bool s3_file_is_configured(const struct rb_s3_credentials_config *config)
{
    RB_AUTO_S3_KEYS keys = {0};
    struct rb_error err = {0};

    return is_set(config->file) || file_read(config, &keys, &err) == 0;
}

void s3_file_fetch(struct rb_s3_credentials *credentials)
{
    RB_AUTO_S3_KEYS keys = {0};
    struct rb_error err = {0};

    s3_source_settle(credentials, file_read(credentials->config, &keys, &err), &keys, &err);
}

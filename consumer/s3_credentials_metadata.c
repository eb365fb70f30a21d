/*
 * s3_credentials_metadata.c — keys for S3 that the platform offers to a container or a machine at an address of its own.
 *
 * Way:  store_s3 -> s3_call -> [s3_credentials]
 */
#include <openssl/crypto.h>

#include "common/textfile.h"
#include "consumer/s3_credentials_internal.h"
#include "consumer/s3_sign.h"

#define CONTAINER_ADDRESS "http://169.254.170.2"

static void on_json(long status, const struct rb_buffer *body, const struct rb_error *away, void *arg)
{
    struct rb_s3_credentials *credentials = RB_CAST(rb_s3_credentials, arg, CREDENTIALS_MAGIC);
    RB_AUTO_S3_KEYS keys = {0};
    struct rb_error err = {0};
    int result = s3_source_check(status, body, away, &err);

    if (result == 0)
        result = rb_s3_keys_read_json(body->bytes, body->used, &keys, &err);
    s3_source_settle(credentials, result, &keys, &err);
}

/* container: an address that the platform offers to the container alone. */

bool s3_container_is_configured(const struct rb_s3_credentials_config *config)
{
    return is_set(config->container_url) || is_set(config->container_path);
}

void s3_container_fetch(struct rb_s3_credentials *credentials)
{
    const struct rb_s3_credentials_config *config = credentials->config;
    RB_AUTO_TEXT *url = is_set(config->container_url) ? rb_xstrdup(config->container_url)
                                                      : rb_xprintf(CONTAINER_ADDRESS "%s", config->container_path);
    char *token = NULL;
    char *header = NULL;
    struct rb_error err = {0};

    if (is_set(config->container_token_file) &&
        rb_textfile_read_secret(config->container_token_file, &token, &err) < 0) {
        rb_fail(&err, RB_E_STORE_DENIED, err.detail, "cannot read the token in '%.100s'", config->container_token_file);
        s3_source_failed(credentials, &err);
        return;
    }
    if (token != NULL || is_set(config->container_token))
        header = rb_xprintf("Authorization: %s", token != NULL ? token : config->container_token);
    s3_source_ask(credentials,
                  &(struct rb_request_spec){
                      .method = "GET", .url = url, .direct = true, .headers = (const char *const[]){header, NULL}},
                  on_json);
    if (token != NULL)
        OPENSSL_cleanse(token, strlen(token));
    if (header != NULL)
        OPENSSL_cleanse(header, strlen(header));
    free(token);
    free(header);
}

/* instance: the metadata service of a virtual machine, version 2: a token, the name of the role, its keys. */

bool s3_instance_is_configured(const struct rb_s3_credentials_config *config)
{
    return is_set(config->instance_endpoint);
}

static void instance_ask(struct rb_s3_credentials *credentials, const char *role, rb_request_done_fn on_done)
{
    RB_AUTO_TEXT *url =
        rb_xprintf("%s/latest/meta-data/iam/security-credentials/%s", credentials->config->instance_endpoint, role);
    RB_AUTO_TEXT *header = rb_xprintf("X-aws-ec2-metadata-token: %s", credentials->instance_token);

    s3_source_ask(credentials,
                  &(struct rb_request_spec){
                      .method = "GET", .url = url, .direct = true, .headers = (const char *const[]){header, NULL}},
                  on_done);
}

/* One line of an answer, without what might do harm in a header or a path. */
static int first_line(const struct rb_buffer *body, char **ret_line, struct rb_error *err)
{
    size_t bytes = strcspn(body->bytes, "\r\n");

    if (bytes == 0 || bytes > 1024)
        return rb_fail(err, RB_E_STORE_DENIED, 0, "its answer is not one line of text");
    free(*ret_line);
    *ret_line = rb_xstrndup(body->bytes, bytes);
    return 0;
}

static void on_instance_role(long status, const struct rb_buffer *body, const struct rb_error *away, void *arg)
{
    struct rb_s3_credentials *credentials = RB_CAST(rb_s3_credentials, arg, CREDENTIALS_MAGIC);
    struct rb_error err = {0};
    RB_AUTO_TEXT *line = NULL;
    RB_AUTO_BUFFER role = {0};

    if (s3_source_check(status, body, away, &err) < 0 || first_line(body, &line, &err) < 0) {
        s3_source_failed(credentials, &err);
        return;
    }
    rb_s3_encode(&role, line, "");
    instance_ask(credentials, role.bytes, on_json);
}

static void on_instance_token(long status, const struct rb_buffer *body, const struct rb_error *away, void *arg)
{
    struct rb_s3_credentials *credentials = RB_CAST(rb_s3_credentials, arg, CREDENTIALS_MAGIC);
    struct rb_error err = {0};

    if (s3_source_check(status, body, away, &err) < 0 || first_line(body, &credentials->instance_token, &err) < 0)
        s3_source_failed(credentials, &err);
    else
        instance_ask(credentials, "", on_instance_role);
}

void s3_instance_fetch(struct rb_s3_credentials *credentials)
{
    RB_AUTO_TEXT *url = rb_xprintf("%s/latest/api/token", credentials->config->instance_endpoint);

    s3_source_ask(credentials,
                  &(struct rb_request_spec){
                      .method = "PUT",
                      .url = url,
                      .direct = true,
                      .headers = (const char *const[]){"X-aws-ec2-metadata-token-ttl-seconds: 21600", NULL}},
                  on_instance_token);
}

/*
 * s3_keys.c — a set of keys for S3, and how each of their sources writes it.
 *
 * Way:  store_s3 -> s3_credentials -> [s3_keys]
 */
#include "consumer/s3_keys.h"

#include <ctype.h>
#include <openssl/crypto.h>

#include "common/clock.h"
#include "common/json.h"
#include "consumer/s3_xml.h"

static void wipe(char *text)
{
    if (text != NULL)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

void rb_s3_keys_done(struct rb_s3_keys *keys)
{
    free(keys->access_key);
    wipe(keys->secret_key);
    wipe(keys->session_token);
    *keys = (struct rb_s3_keys){0};
}

void rb_s3_keys_set(struct rb_s3_keys *ret_keys, const char *access_key, const char *secret_key,
                    const char *session_token)
{
    *ret_keys = (struct rb_s3_keys){
        .access_key = rb_xstrdup(access_key),
        .secret_key = rb_xstrdup(secret_key),
        .session_token = session_token != NULL && session_token[0] != '\0' ? rb_xstrdup(session_token) : NULL,
        .expires_unix_ms = RB_S3_NEVER,
    };
}

static int set_until(struct rb_s3_keys *ret_keys, const char *const text[3], const char *expiration,
                     struct rb_error *err)
{
    if (text[0] == NULL || text[0][0] == '\0' || text[1] == NULL || text[1][0] == '\0')
        return rb_fail(err, RB_E_STORE_DENIED, 0, "the answer has no keys in it");
    rb_s3_keys_set(ret_keys, text[0], text[1], text[2]);
    if (expiration != NULL && expiration[0] != '\0' && rb_clock_parse(expiration, &ret_keys->expires_unix_ms) < 0) {
        rb_s3_keys_done(ret_keys);
        return rb_fail(err, RB_E_STORE_DENIED, 0,
                       "the answer says of its keys that they last until no time that we know");
    }
    return 0;
}

/* Cut spaces at both ends, in place. */
static char *trim(char *text)
{
    char *end = text + strlen(text);

    while (isspace((unsigned char)*text))
        text++;
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

/* "[name]", or "[profile name]" as the file of settings has it. */
static bool is_heading_of(char *line, const char *profile)
{
    char *end = strchr(line, ']');

    if (end == NULL)
        return false;
    *end = '\0';
    line = trim(line + 1);
    if (strncmp(line, "profile ", 8) == 0)
        line = trim(line + 8);
    return strcmp(line, profile) == 0;
}

int rb_s3_keys_read_profile(const char *text, const char *profile, struct rb_s3_keys *ret_keys, struct rb_error *err)
{
    static const char *const names[] = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"};
    char *copy = rb_xstrdup(text);
    const char *values[RB_COUNT(names)] = {NULL};
    bool inside = false;
    int result;

    for (char *rest = copy, *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *equals = strchr(line, '=');

        line = trim(line);
        if (*line == '[') {
            inside = is_heading_of(line, profile);
            continue;
        }
        if (!inside || *line == '#' || *line == ';' || equals == NULL)
            continue;
        *equals = '\0';
        for (size_t i = 0; i < RB_COUNT(names); i++)
            if (strcasecmp(trim(line), names[i]) == 0)
                values[i] = trim(equals + 1);
    }
    result = set_until(ret_keys, values, NULL, err);
    if (result < 0)
        rb_fail(err, RB_E_STORE_DENIED, 0, "the credentials file has no keys for the profile '%.60s'", profile);
    OPENSSL_cleanse(copy, strlen(text));
    free(copy);
    return result;
}

int rb_s3_keys_read_json(const char *bytes, size_t count, struct rb_s3_keys *ret_keys, struct rb_error *err)
{
    RB_AUTO_JSON *object = rb_json_parse_trusted(bytes, count);
    const char *const values[] = {
        rb_json_text(object, "AccessKeyId"),
        rb_json_text(object, "SecretAccessKey"),
        rb_json_text(object, "Token"),
    };
    const char *code = rb_json_text(object, "Code");

    if (object == NULL)
        return rb_fail(err, RB_E_STORE_DENIED, 0, "the answer is no JSON");
    if (code != NULL && strcmp(code, "Success") != 0)
        return rb_fail(err, RB_E_STORE_DENIED, 0, "the answer is '%.60s'", code);
    return set_until(ret_keys, values, rb_json_text(object, "Expiration"), err);
}

struct sts_answer {
    char *values[3]; /* owned */
    char *expiration;
    char *code;
    char *message;
};

static void on_sts_element(const char *path, const char *text, void *arg)
{
    struct sts_answer *answer = arg;
    const struct {
        const char *end;
        char **place;
    } rows[] = {
        {"/Credentials/AccessKeyId", &answer->values[0]},
        {"/Credentials/SecretAccessKey", &answer->values[1]},
        {"/Credentials/SessionToken", &answer->values[2]},
        {"/Credentials/Expiration", &answer->expiration},
        {"/Error/Code", &answer->code},
        {"/Error/Message", &answer->message},
    };
    size_t bytes = strlen(path);

    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        size_t end_bytes = strlen(rows[i].end);

        if (bytes > end_bytes && strcmp(path + bytes - end_bytes, rows[i].end) == 0 && *rows[i].place == NULL)
            *rows[i].place = rb_xstrdup(text);
    }
}

int rb_s3_keys_read_sts(const char *bytes, size_t count, struct rb_s3_keys *ret_keys, struct rb_error *err)
{
    struct sts_answer answer = {0};
    int result = rb_s3_xml_read(bytes, count, on_sts_element, &answer, err);

    if (result < 0)
        result = rb_fail(err, RB_E_STORE_DENIED, 0, "STS answers with something that is no XML of its own");
    else if (answer.code != NULL)
        result = rb_fail(err, RB_E_STORE_DENIED, 0, "STS answers %.60s: %.120s", answer.code,
                         answer.message != NULL ? answer.message : "");
    else
        result = set_until(ret_keys, (const char *const *)answer.values, answer.expiration, err);
    free(answer.values[0]);
    wipe(answer.values[1]);
    wipe(answer.values[2]);
    free(answer.expiration);
    free(answer.code);
    free(answer.message);
    return result;
}

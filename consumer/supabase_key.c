/*
 * supabase_key.c — which kind of key is this, and may it store videos?
 *
 * Way:  store_supabase -> supabase_call -> [supabase_key]
 */
#include "consumer/supabase_key.h"

#include <inttypes.h>
#include <openssl/evp.h>

#include "common/buffer.h"
#include "common/digits.h"
#include "common/json.h"

#define NEEDED "; storing needs the secret key (sb_secret_...) or the service_role key (eyJ...)"

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* What goes into a header must not end it. */
static bool is_plain(const char *key)
{
    for (const char *at = key; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~')
            return false;
    return true;
}

/* The middle part of a JWT, decoded. */
static json_t *read_claims(const char *key)
{
    const char *from = strchr(key, '.');
    size_t length = from != NULL ? strcspn(from + 1, ".") : 0;
    RB_AUTO_BUFFER bytes = {0};
    int count;

    if (length == 0 || from[1 + length] != '.')
        return NULL;
    count = rb_digits_from_base64url(from + 1, length, (uint8_t *)rb_buffer_room(&bytes, length), length);
    return count > 0 ? rb_json_parse_trusted(bytes.bytes, (size_t)count) : NULL;
}

static int look_at_jwt(const char *key, int64_t now_unix_s, struct rb_error *err)
{
    RB_AUTO_JSON *claims = read_claims(key);
    const char *role = claims != NULL ? rb_json_text(claims, "role") : NULL;
    json_t *expires = json_object_get(claims, "exp");

    if (claims == NULL)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'supabase_key' begins as a JWT and is none" NEEDED);
    if (role == NULL || strcmp(role, "anon") == 0 || strcmp(role, "authenticated") == 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'supabase_key' is a key of role '%.20s', which everybody has" NEEDED,
                       role != NULL ? role : "none");
    if (json_is_integer(expires) && json_integer_value(expires) <= now_unix_s)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'supabase_key' is a JWT that expired at unix time %" PRId64,
                       (int64_t)json_integer_value(expires));
    return 0;
}

int rb_supabase_key_look(const char *key, int64_t now_unix_s, enum rb_supabase_key *ret_kind, struct rb_error *err)
{
    if (key[0] == '\0')
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'supabase_key' is not set" NEEDED);
    if (!is_plain(key))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'supabase_key' has a space or a line end in it" NEEDED);
    if (begins_with(key, "sb_publishable_"))
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'supabase_key' is a publishable key, which everybody has" NEEDED);
    if (begins_with(key, "sb_secret_")) {
        *ret_kind = RB_SUPABASE_SECRET;
        return 0;
    }
    if (!begins_with(key, "eyJ"))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'supabase_key' is no key of a Supabase project" NEEDED);
    RB_TRY(look_at_jwt(key, now_unix_s, err));
    *ret_kind = RB_SUPABASE_JWT;
    return 0;
}

char *rb_supabase_base64(const char *text)
{
    size_t bytes = strlen(text);
    char *encoded = rb_xalloc((bytes + 2) / 3 * 4 + 1);

    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)text, (int)bytes);
    return encoded;
}

/*
 * supabase_key.h — which kind of key is this, and may it store videos?
 *
 * Way:  store_supabase -> supabase_call -> [supabase_key]
 */
#pragma once

#include "common/error.h"

/* How a key is shown. A secret key in the header Authorization is refused: it is no JWT. */
enum rb_supabase_key {
    RB_SUPABASE_SECRET, /* sb_secret_...: as apikey only */
    RB_SUPABASE_JWT,    /* service_role, or a role of one's own: as apikey and as bearer */
};

/*
 * Look at a key.
 *
 * Takes:  now_unix_s, to tell whether a JWT has expired.
 * Gives:  ret_kind.
 * Fails:  BAD_OPTION for what is no key, a key that everybody has (publishable, anon), and one that has expired; the message
 *         says which is needed, and nothing of the key.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_supabase_key_look(const char *key, int64_t now_unix_s, enum rb_supabase_key *ret_kind,
                                       struct rb_error *err);

/*
 * Base64 with padding, as headers of the Storage API want it.
 *
 * Gives:  owned by the caller; free() it.
 * Loop:   pure, any thread.
 */
char *rb_supabase_base64(const char *text);

/*
 * providers.h — the providers that the operator has named: whom to ask, whose webhooks to take, with which keys.
 *
 * Way:  common
 *
 * deploy/providers.md describes the file. What a provider speaks is named here; how, each program knows itself.
 */
#pragma once

#include "common/error.h"
#include "common/url.h"

#define RB_PROVIDERS_MAX       64
#define RB_PROVIDER_NAME_BYTES 64  /* [a-z0-9_-], and the NUL */
#define RB_PROVIDER_ID_BYTES   256 /* of a provider's id of a video, and the NUL */

/* Names as the file spells them stand in providers.c, in this order. */
enum rb_api_kind { RB_API_NONE, RB_API_OPENAI, RB_API_REPLICATE, RB_API_GENERIC };
enum rb_scheme { RB_SCHEME_NONE, RB_SCHEME_PLAIN, RB_SCHEME_STANDARD, RB_SCHEME_OPENROUTER, RB_SCHEME_FAL };
enum rb_body {
    RB_BODY_NONE,
    RB_BODY_PLAIN,
    RB_BODY_OPENAI,
    RB_BODY_REPLICATE,
    RB_BODY_OPENROUTER,
    RB_BODY_FAL,
    RB_BODY_GENERIC
};

/* A few short texts. */
struct rb_texts {
    char **list; /* owned, as are the texts */
    size_t count;
};

/* Where things stand in the JSON of kind or body generic: JSON pointers, owned, NULL when nobody said. */
struct rb_provider_fields {
    char *id;       /* the provider's id of the video */
    char *video_id; /* ours, when the provider carries it along */
    char *status;
    char *video_url;
    char *error_code;
    char *error_message;
    char *progress;
    char *expires_at;
    char *completed_at;
    struct rb_texts completed; /* what status says then */
    struct rb_texts failed;
    struct rb_texts expired;
};

/* The API of a provider. All text is owned. */
struct rb_provider_api {
    enum rb_api_kind kind; /* RB_API_NONE: there is nobody to ask */
    char *base_url;        /* openai, replicate: "https://host/v1", no slash at the end */
    char *url;             /* generic: has "{id}" in its path or query, once */
    char *key;             /* NULL: none is needed */
    char *auth_header;     /* never NULL: the header that carries the key */
    int64_t timeout_ms;
    int64_t requests_max;     /* at once */
    int64_t poll_interval_ms; /* 0: as the option of this name says, as the next */
    int64_t poll_deadline_ms;
    struct rb_provider_fields fields; /* generic */
};

/* The webhook of a provider, POST /webhooks/{name}. All text is owned. */
struct rb_provider_webhook {
    enum rb_scheme scheme; /* RB_SCHEME_NONE: it sends none */
    enum rb_body body;
    char *secret;                     /* several, parted by commas or line feeds, are all valid; NULL: none */
    char *signature_secret;           /* the same; plain: x-webhook-signature is needed when it is set */
    char *jwks_url;                   /* fal */
    char *jwks_cache;                 /* fal: a file that keeps the keys over a restart; NULL: none */
    int64_t tolerance_ms;             /* how old, or how far ahead, a signature's time may be */
    struct rb_provider_fields fields; /* generic; what it leaves out is the API's */
};

struct rb_provider {
    char name[RB_PROVIDER_NAME_BYTES];
    struct rb_provider_api api;
    struct rb_provider_webhook webhook;
};

/* Whoever keeps a provider over several turns of the loop keeps a reference: SIGHUP may bring a new list meanwhile. */
struct rb_providers {
    unsigned references;
    struct rb_provider *list; /* owned */
    size_t count;
};

/* Where secrets come from that the file only names. */
struct rb_provider_sources {
    /* Gives a text that is free()d after wiping. Fails with a message that names the path, not what is in it. */
    int (*read_file)(const char *path, char **ret_text, struct rb_error *err);
    /* Gives the value of an environment variable, borrowed; NULL when it is not set. */
    const char *(*read_variable)(const char *name);
};

/* What rb_providers_load reads. Texts may be "" or NULL. */
struct rb_providers_config {
    const char *path;
    const char *openai_base_url;
    const char *openai_api_key;
    const char *openai_webhook_secret;
    bool webhooks; /* false: secrets of webhooks are neither read nor kept */
};

/*
 * Read the text of the file.
 *
 * Takes:  text, borrowed for the call; webhooks, false leaves out their secrets.
 * Gives:  ret_providers with one reference.
 * Fails:  BAD_OPTION; the message names the provider, the place as a JSON pointer, and what was expected there.
 * Loop:   pure but for what sources do, any thread.
 */
RB_MUST_CHECK int rb_providers_parse(const char *text, const struct rb_provider_sources *sources, bool webhooks,
                                     struct rb_providers **ret_providers, struct rb_error *err);

/*
 * Read the file, its secrets, and the options that stand for a file with one provider named "openai". With neither there
 * are no providers, which is fine.
 *
 * Takes:  config, borrowed for the call.
 * Gives:  ret_providers with one reference.
 * Fails:  BAD_OPTION.
 * Loop:   reads from the file system: at start, and when the operator asks for it.
 */
RB_MUST_CHECK int rb_providers_load(const struct rb_providers_config *config, struct rb_providers **ret_providers,
                                    struct rb_error *err);

/*
 * Keep a list.
 *
 * Gives:  providers, to be given back with rb_providers_unref.
 * Loop:   loop thread.
 */
struct rb_providers *rb_providers_ref(struct rb_providers *providers);

/*
 * Give a reference back; with the last one the list goes and its secrets are wiped. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_providers_unref(struct rb_providers *providers);

/*
 * Find a provider by its name.
 *
 * Gives:  borrowed from the list; NULL when there is none.
 * Loop:   loop thread.
 */
const struct rb_provider *rb_providers_find(const struct rb_providers *providers, const char *name);

/*
 * Whose API does this URL belong to? Scheme, host and port are the base URL's, and the path is below its path.
 *
 * Takes:  url, parsed.
 * Gives:  borrowed from the list; NULL when it is nobody's.
 * Loop:   loop thread.
 */
const struct rb_provider *rb_providers_of_url(const struct rb_providers *providers, const struct rb_url *url);

/*
 * The header line that carries the key: "Authorization: Bearer KEY", or "X-Api-Key: KEY" for a header of another name.
 *
 * Gives:  owned by the caller, wipe and free() it; NULL when no key is needed.
 * Loop:   pure, any thread.
 */
char *rb_provider_auth_line(const struct rb_provider *provider);

/*
 * Is this text an id that a provider may have given to a video? Printable ASCII without spaces, at most
 * RB_PROVIDER_ID_BYTES - 1 bytes.
 *
 * Takes:  text, may be NULL.
 * Loop:   pure, any thread.
 */
bool rb_provider_id_valid(const char *text);

/*
 * Names as the file, events, metrics and logs spell them; "none" for none.
 *
 * Gives:  static text.
 * Loop:   pure, any thread.
 */
const char *rb_scheme_name(enum rb_scheme scheme);

/*
 * providers_inside.h — what the files providers_*.c share and nobody else sees: a table of members for each kind of object.
 *
 * Way:  common
 */
#pragma once

#include "common/json.h"
#include "common/providers.h"

enum providers_member_type {
    PROVIDERS_WORD,    /* an enum, by one of words */
    PROVIDERS_URL,     /* http or https, kept without slashes at its end */
    PROVIDERS_PATTERN, /* a URL with {id} in it */
    PROVIDERS_PATH,    /* of a file */
    PROVIDERS_HEADER,  /* the name of a header */
    PROVIDERS_POINTER, /* a JSON pointer */
    PROVIDERS_TEXTS,   /* a list of short texts */
    PROVIDERS_MS,      /* "10s" */
    PROVIDERS_NUMBER,
    PROVIDERS_KEY,    /* of an API: a text without spaces; also NAME_file and NAME_env */
    PROVIDERS_SECRET, /* of a webhook, a list; also NAME_file and NAME_env */
};

struct providers_member {
    const char *name;
    enum providers_member_type type;
    unsigned fits;   /* variants that it has a meaning for; 0: all */
    unsigned needed; /* variants that cannot do without it */
    size_t offset;
    int64_t min, max;
    const char *const *words; /* a word: the enum's names from 1 on, NULL at the end */
};

struct providers_reader {
    const struct rb_provider_sources *sources;
    bool webhooks;
    const char *provider; /* its name, for messages; NULL while it is not known */
    char place[96];       /* JSON pointer to the object that is being read */
    struct rb_error *err;
};

/* One object of the file and the struct that it fills. */
struct providers_object {
    struct providers_reader *reader;
    json_t *json; /* borrowed */
    const struct providers_member *members;
    size_t count;
    unsigned variant; /* what kind, scheme and body say that it is */
    void *into;
};

/*
 * Refuse the file.
 *
 * Takes:  key, of the member that is wrong, "" for the object; what, was expected.
 * Gives:  -1.
 * Loop:   pure, any thread.
 */
int rb_providers_fail(const struct providers_reader *reader, const char *key, const char *what);

/*
 * The part of a key behind a member's name, when it is that member: "", and for secrets "_file" and "_env".
 *
 * Gives:  borrowed from key; NULL when it is another member.
 * Loop:   pure, any thread.
 */
const char *rb_providers_suffix(const struct providers_member *member, const char *key);

/*
 * Set an enum by its word.
 *
 * Takes:  text, NULL when there is none.
 * Fails:  BAD_OPTION, with the words that are.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_providers_set_word(const struct providers_object *object, const struct providers_member *member,
                                        const char *text);

/*
 * Set a member of any type.
 *
 * Takes:  key, as the file has it.
 * Fails:  BAD_OPTION, with what was expected.
 * Loop:   pure but for reading secrets, any thread.
 */
RB_MUST_CHECK int rb_providers_set_member(const struct providers_object *object, const struct providers_member *member,
                                          const char *key, json_t *value);

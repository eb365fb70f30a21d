/*
 * providers_member.c — one member of an object of the providers file: checked, and put where it belongs.
 *
 * Way:  common
 */
#include <ctype.h>
#include <openssl/crypto.h>

#include "common/buffer.h"
#include "common/providers_inside.h"
#include "common/units.h"

int rb_providers_fail(const struct providers_reader *reader, const char *key, const char *what)
{
    return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "providers: %s%s%s%s%s%.60s: %s",
                   reader->provider != NULL ? "'" : "", reader->provider != NULL ? reader->provider : "",
                   reader->provider != NULL ? "' at " : "", reader->place, key[0] != '\0' ? "/" : "", key, what);
}

const char *rb_providers_suffix(const struct providers_member *member, const char *key)
{
    size_t length = strlen(member->name);

    if (strncmp(key, member->name, length) != 0)
        return NULL;
    key += length;
    if (key[0] == '\0' || ((member->type == PROVIDERS_KEY || member->type == PROVIDERS_SECRET) &&
                           (strcmp(key, "_file") == 0 || strcmp(key, "_env") == 0)))
        return key;
    return NULL;
}

int rb_providers_set_word(const struct providers_object *object, const struct providers_member *member,
                          const char *text)
{
    RB_AUTO_BUFFER expected = {0};
    unsigned *field = (unsigned *)((char *)object->into + member->offset);

    for (unsigned i = 0; member->words[i] != NULL; i++) {
        if (text != NULL && strcmp(text, member->words[i]) == 0) {
            *field = i + 1;
            return 0;
        }
        rb_buffer_print(&expected, "%s%s", i == 0 ? "expected one of " : ", ", member->words[i]);
    }
    return rb_providers_fail(object->reader, member->name, expected.bytes);
}

static void set_text(const struct providers_object *object, const struct providers_member *member, char *text)
{
    char **field = (char **)((char *)object->into + member->offset);

    free(*field);
    *field = text;
}

static int set_url(const struct providers_object *object, const struct providers_member *member, const char *text)
{
    RB_AUTO_URL url = {0};
    struct rb_error trouble = {0};

    if (text == NULL || rb_url_parse(text, &url, &trouble) < 0 || strpbrk(text, "?#") != NULL)
        return rb_providers_fail(object->reader, member->name, "expected a URL, https://host/path, without a query");

    size_t length = strlen(text);

    while (text[length - 1] == '/')
        length--;
    set_text(object, member, rb_xstrndup(text, length));
    return 0;
}

/* The id must not be able to change the host: it stands behind the first slash of the path. */
static int set_pattern(const struct providers_object *object, const struct providers_member *member, const char *text)
{
    const char *hole = text != NULL ? strstr(text, "{id}") : NULL;
    const char *host = text != NULL ? strstr(text, "://") : NULL;
    const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
    RB_AUTO_URL url = {0};
    struct rb_error trouble = {0};

    if (hole != NULL && path != NULL && path < hole && strstr(hole + 1, "{id}") == NULL && strchr(text, '#') == NULL) {
        RB_AUTO_TEXT *filled = rb_xprintf("%.*sx%s", (int)(hole - text), text, hole + 4);

        if (strpbrk(filled, "{}") == NULL && rb_url_parse(filled, &url, &trouble) == 0) {
            set_text(object, member, rb_xstrdup(text));
            return 0;
        }
    }
    return rb_providers_fail(object->reader, member->name, "expected a URL with {id} once in its path or query");
}

static int set_pointer(const struct providers_object *object, const struct providers_member *member, const char *text)
{
    if (text == NULL || text[0] != '/' || strlen(text) > RB_JSON_MAX_POINTER_BYTES)
        return rb_providers_fail(object->reader, member->name, "expected a JSON pointer such as \"/data/url\"");
    for (const char *c = text; *c != '\0'; c++)
        if (*c == '~' && c[1] != '0' && c[1] != '1')
            return rb_providers_fail(object->reader, member->name,
                                     "expected '~0' or '~1' where this JSON pointer has '~'");
    set_text(object, member, rb_xstrdup(text));
    return 0;
}

static int set_header(const struct providers_object *object, const struct providers_member *member, const char *text)
{
    for (size_t i = 0; text != NULL && text[i] != '\0'; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("-_", text[i]) == NULL)
            text = NULL;
    if (text == NULL || text[0] == '\0')
        return rb_providers_fail(object->reader, member->name, "expected the name of a header");
    set_text(object, member, rb_xstrdup(text));
    return 0;
}

static int set_texts(const struct providers_object *object, const struct providers_member *member, json_t *value)
{
    struct rb_texts *field = (struct rb_texts *)((char *)object->into + member->offset);
    size_t index;
    json_t *item;

    if (!json_is_array(value) || json_array_size(value) == 0)
        return rb_providers_fail(object->reader, member->name, "expected a list of texts");
    field->list = rb_xalloc(json_array_size(value) * sizeof(*field->list));
    json_array_foreach(value, index, item)
    {
        if (!json_is_string(item))
            return rb_providers_fail(object->reader, member->name, "expected a list of texts");
        field->list[field->count++] = rb_xstrdup(json_string_value(item));
    }
    return 0;
}

static int set_ms(const struct providers_object *object, const struct providers_member *member, const char *text)
{
    char low[RB_UNITS_TEXT_BYTES], high[RB_UNITS_TEXT_BYTES];
    int64_t ms;

    if (text == NULL || rb_units_parse_ms(text, &ms) < 0 || ms < member->min || ms > member->max) {
        RB_AUTO_TEXT *what = rb_xprintf("expected a time from \"%s\" to \"%s\"", rb_units_ms_text(member->min, low),
                                        rb_units_ms_text(member->max, high));

        return rb_providers_fail(object->reader, member->name, what);
    }
    *(int64_t *)((char *)object->into + member->offset) = ms;
    return 0;
}

static int set_number(const struct providers_object *object, const struct providers_member *member, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < member->min || json_integer_value(value) > member->max) {
        RB_AUTO_TEXT *what =
            rb_xprintf("expected a whole number from %lld to %lld", (long long)member->min, (long long)member->max);

        return rb_providers_fail(object->reader, member->name, what);
    }
    *(int64_t *)((char *)object->into + member->offset) = json_integer_value(value);
    return 0;
}

static int get_secret(const struct providers_object *object, const char *key, const char *suffix, json_t *value,
                      char **ret_text)
{
    const char *text = json_string_value(value);
    const char *variable;

    if (text == NULL || text[0] == '\0')
        return rb_providers_fail(object->reader, key, "expected a text");
    if (strcmp(suffix, "_file") == 0) {
        struct rb_error trouble = {0};

        if (object->reader->sources->read_file(text, ret_text, &trouble) < 0)
            return rb_providers_fail(object->reader, key, trouble.message);
        return 0;
    }
    if (suffix[0] == '\0') {
        *ret_text = rb_xstrdup(text);
        OPENSSL_cleanse((char *)(uintptr_t)text, json_string_length(value)); /* jansson would not */
        return 0;
    }
    variable = object->reader->sources->read_variable(text);
    if (variable == NULL || variable[0] == '\0')
        return rb_providers_fail(object->reader, key, "this environment variable is not set");
    *ret_text = rb_xstrdup(variable);
    return 0;
}

static bool is_header_text(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

/* A secret of webhooks is only looked at where webhooks are taken: another program may not be able to read it. */
static int set_secret(const struct providers_object *object, const struct providers_member *member, const char *key,
                      json_t *value)
{
    char **field = (char **)((char *)object->into + member->offset);
    bool is_key = member->type == PROVIDERS_KEY;
    char *text = NULL;

    if (*field != NULL)
        return rb_providers_fail(object->reader, key, "expected it only once: as a text, as _file or as _env");
    if (!is_key && !object->reader->webhooks) {
        *field = rb_xstrdup("");
        return 0;
    }
    RB_TRY(get_secret(object, key, rb_providers_suffix(member, key), value, &text));
    *field = text; /* wiped with the list, whatever comes now */
    if (text[strspn(text, ", \t\r\n")] == '\0')
        return rb_providers_fail(object->reader, key, "expected a secret, found an empty one");
    if (is_key && !is_header_text(text))
        return rb_providers_fail(object->reader, key, "expected a key without spaces and control characters");
    return 0;
}

int rb_providers_set_member(const struct providers_object *object, const struct providers_member *member,
                            const char *key, json_t *value)
{
    const char *text = json_string_value(value);

    if (member->fits != 0 && (member->fits & object->variant) == 0)
        return rb_providers_fail(object->reader, key, "this member has no meaning here");
    switch (member->type) {
    case PROVIDERS_WORD:
        return rb_providers_set_word(object, member, text);
    case PROVIDERS_URL:
        return set_url(object, member, text);
    case PROVIDERS_PATTERN:
        return set_pattern(object, member, text);
    case PROVIDERS_PATH:
        if (text == NULL || text[0] == '\0')
            return rb_providers_fail(object->reader, key, "expected the path of a file");
        set_text(object, member, rb_xstrdup(text));
        return 0;
    case PROVIDERS_HEADER:
        return set_header(object, member, text);
    case PROVIDERS_POINTER:
        return set_pointer(object, member, text);
    case PROVIDERS_TEXTS:
        return set_texts(object, member, value);
    case PROVIDERS_MS:
        return set_ms(object, member, text);
    case PROVIDERS_NUMBER:
        return set_number(object, member, value);
    case PROVIDERS_KEY:
    case PROVIDERS_SECRET:
        return set_secret(object, member, key, value);
    }
    RB_BUG("unknown member type");
}

/*
 * json.c — JSON as we accept it from outside.
 *
 * Way:  common
 */
#include "common/json.h"

struct limits {
    size_t text_bytes; /* of a string */
    size_t members;    /* of an object or a list */
};

/* jansson's own limit is 2,048 levels; ours is checked before anybody walks the tree. */
static int check_limits(const json_t *value, unsigned depth, const struct limits *limits, struct rb_error *err)
{
    const char *key;
    json_t *member;
    size_t index;

    if (depth > RB_JSON_MAX_DEPTH)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "the JSON is nested more than %d deep", RB_JSON_MAX_DEPTH);
    if (json_string_length(value) > limits->text_bytes)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "a string of the JSON is over %zu bytes", limits->text_bytes);
    if (json_object_size(value) > limits->members || json_array_size(value) > limits->members)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "an object or array of the JSON has over %zu members",
                       limits->members);
    json_object_foreach((json_t *)value, key, member) RB_TRY(check_limits(member, depth + 1, limits, err));
    json_array_foreach((json_t *)value, index, member) RB_TRY(check_limits(member, depth + 1, limits, err));
    return 0;
}

static int parse(const char *bytes, size_t count, const struct limits *limits, json_t **ret_object,
                 struct rb_error *err)
{
    json_error_t trouble;
    RB_AUTO_JSON *object = NULL;

    if (memchr(bytes, '\0', count) != NULL) /* jansson passes over one that follows a number */
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "this is no valid JSON: there is a NUL byte in it");
    object = json_loadb(bytes, count, JSON_REJECT_DUPLICATES, &trouble);
    if (object == NULL)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "this is no valid JSON: %.100s at byte %d", trouble.text,
                       trouble.position);
    if (!json_is_object(object))
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "this must be a JSON object");
    RB_TRY(check_limits(object, 1, limits, err));
    *ret_object = RB_STEAL(object);
    return 0;
}

int rb_json_parse(const char *bytes, size_t count, json_t **ret_object, struct rb_error *err)
{
    return parse(bytes, count, &(struct limits){RB_JSON_MAX_TEXT_BYTES, RB_JSON_MAX_KEYS}, ret_object, err);
}

int rb_json_parse_long(const char *bytes, size_t count, json_t **ret_object, struct rb_error *err)
{
    return parse(bytes, count, &(struct limits){count, count}, ret_object, err);
}

json_t *rb_json_parse_trusted(const char *bytes, size_t count)
{
    RB_AUTO_JSON *object = bytes != NULL ? json_loadb(bytes, count, JSON_REJECT_DUPLICATES, NULL) : NULL;

    return json_is_object(object) ? RB_STEAL(object) : NULL;
}

/* One step of a pointer: "~1" stands for '/', "~0" for '~'. */
static json_t *step(const json_t *value, const char *token, size_t bytes)
{
    char key[RB_JSON_MAX_POINTER_BYTES + 1];
    size_t used = 0, index = 0;

    for (size_t i = 0; i < bytes; i++) {
        bool escaped = token[i] == '~' && i + 1 < bytes;

        key[used++] = !escaped ? token[i] : token[++i] == '1' ? '/' : '~';
    }
    key[used] = '\0';
    if (!json_is_array(value))
        return json_object_get(value, key);
    for (size_t i = 0; i < used; i++) {
        if (key[i] < '0' || key[i] > '9' || used > 6)
            return NULL;
        index = index * 10 + (size_t)(key[i] - '0');
    }
    return used > 0 ? json_array_get(value, index) : NULL;
}

json_t *rb_json_at(json_t *value, const char *pointer)
{
    if (pointer == NULL || strlen(pointer) > RB_JSON_MAX_POINTER_BYTES)
        return NULL;
    while (value != NULL && *pointer == '/') {
        size_t bytes = strcspn(++pointer, "/");

        value = step(value, pointer, bytes);
        pointer += bytes;
    }
    return *pointer == '\0' ? value : NULL;
}

const char *rb_json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

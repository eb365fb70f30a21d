#include "tests/unit/unit.h"

#include "common/json.h"

static int parse(const char *text, struct rb_error *err)
{
    RB_AUTO_JSON *object = NULL;

    return rb_json_parse(text, strlen(text), &object, err);
}

static void an_object_is_taken(void **state)
{
    RB_AUTO_JSON *object = NULL;
    static const char text[] = "{\"a\": \"\xc3\xa9\", \"b\": [1, {\"c\": null}]}";

    (void)state;
    assert_works(rb_json_parse(text, strlen(text), &object, &err));
    assert_string_equal(rb_json_text(object, "a"), "\xc3\xa9");
    assert_null(rb_json_text(object, "b"));
    assert_null(rb_json_text(object, "absent"));
}

static void what_is_no_object_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "null",
        "1",
        "\"x\"",
        "[]",
        "{",
        "{}x",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":01}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":NaN}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"\\ud800\"}",
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(parse(wrong[i], &err), BAD_REQUEST);
}

static void depth_size_and_length_are_bounded(void **state)
{
    char deep[200] = "", wide[2000] = "{", *large = rb_xalloc(RB_JSON_MAX_TEXT_BYTES + 20);

    (void)state;
    for (int i = 0; i < RB_JSON_MAX_DEPTH; i++)
        strcat(deep, "{\"a\":");
    strcat(deep, "1");
    for (int i = 0; i < RB_JSON_MAX_DEPTH; i++)
        strcat(deep, "}");
    assert_fails(parse(deep, &err), BAD_REQUEST);

    for (int i = 0; i <= RB_JSON_MAX_KEYS; i++)
        sprintf(wide + strlen(wide), "%s\"k%d\":1", i > 0 ? "," : "", i);
    strcat(wide, "}");
    assert_fails(parse(wide, &err), BAD_REQUEST);

    sprintf(large, "{\"a\":\"%0*d\"}", RB_JSON_MAX_TEXT_BYTES + 1, 0);
    assert_fails(parse(large, &err), BAD_REQUEST);
    sprintf(large, "{\"a\":\"%0*d\"}", RB_JSON_MAX_TEXT_BYTES, 0);
    assert_works(parse(large, &err));
    free(large);
}

static void a_nul_is_nowhere_accepted(void **state)
{
    static const char *const texts[] = {"{\"a\":1@}", "{\"a\":1@,\"b\":2}", "@{}",
                                        "{}@",        "{\"a\":\"@\"}",      "{\"a\":[1.5@]}"};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(texts); i++) {
        RB_AUTO_TEXT *text = rb_xstrdup(texts[i]);
        RB_AUTO_JSON *object = NULL;

        *strchr(text, '@') = '\0';
        assert_fails(rb_json_parse(text, strlen(texts[i]), &object, &err), BAD_REQUEST);
    }
}

static void a_pointer_leads_to_a_value(void **state)
{
    static const char text[] = "{\"a\": {\"b/c\": [10, {\"~\": true}]}, \"\": 5, \"a~1b\": 6}";
    static const struct {
        const char *pointer;
        const char *wanted; /* NULL: nothing */
    } rows[] = {
        {"/a/b~1c/0", "10"},
        {"/a/b~1c/1/~0", "true"},
        {"/", "5"},
        {"/a~01b", "6"},
        {"/a/b~1c/2", NULL},
        {"/a/b~1c/-", NULL},
        {"/a/b~1c/", NULL},
        {"/a/x", NULL},
        {"/a/b~1c/0/x", NULL},
        {"a", NULL},
        {"/a/b/c/0", NULL},
        {NULL, NULL},
        {"/a/b~1c/99999999999999999999", NULL},
    };
    RB_AUTO_JSON *object = NULL;

    (void)state;
    assert_works(rb_json_parse(text, strlen(text), &object, &err));
    assert_ptr_equal(rb_json_at(object, ""), object);
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        json_t *found = rb_json_at(object, rows[i].pointer);
        RB_AUTO_TEXT *shown = found != NULL ? json_dumps(found, JSON_ENCODE_ANY) : NULL;

        assert_string_equal(shown != NULL ? shown : "nothing", rows[i].wanted != NULL ? rows[i].wanted : "nothing");
    }
}

UNIT_MAIN(T(a_nul_is_nowhere_accepted), T(a_pointer_leads_to_a_value), T(an_object_is_taken),
          T(what_is_no_object_is_refused), T(depth_size_and_length_are_bounded))

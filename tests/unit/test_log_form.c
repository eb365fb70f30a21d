/* The forms that a line of the log can have. */
#include "tests/unit/unit.h"

#include <jansson.h>

#include "common/log_form.h"

static char *json_of(const char *line, size_t length)
{
    char *text = rb_xalloc(RB_LOG_FORM_BYTES + 1);

    text[rb_log_json(line, length, text)] = '\0';
    return text;
}

static void a_line_becomes_an_object(void **state)
{
    static const struct {
        const char *line;
        const char *json;
    } cases[] = {
        {"", "{}"},
        {"ts=2026-11-22T18:30:00.123Z level=info ev=stored",
         "{\"ts\":\"2026-11-22T18:30:00.123Z\",\"level\":\"info\",\"ev\":\"stored\"}"},
        {"bytes=5242880 offset=-1 none=0", "{\"bytes\":5242880,\"offset\":-1,\"none\":0}"},
        {"zero=007 minus=- big=1234567890123456 sum=1e5 nil=-0",
         "{\"zero\":\"007\",\"minus\":\"-\",\"big\":\"1234567890123456\",\"sum\":\"1e5\",\"nil\":\"-0\"}"},
        {"text=\"12\"", "{\"text\":\"12\"}"},
        {"error=\"a \\\"b\\\" c\\\\d\\x0a\" next=1", "{\"error\":\"a \\\"b\\\" c\\\\d\\u000a\",\"next\":1}"},
        {"code=one code=two", "{\"code\":\"one\"}"},
        {"a=x y\xff=1 b=2", "{\"a\":\"x\",\"b\":2}"},
        {"word other=1", "{\"word\":\"\",\"other\":1}"},
        {"url=http://h/?a=b&c=d empty= last=x", "{\"url\":\"http://h/?a=b&c=d\",\"empty\":\"\",\"last\":\"x\"}"},
        {"error=\"cut in the mid", "{\"error\":\"cut in the mid\"}"},
        {"error=\"cut at\\", "{\"error\":\"cut at\"}"},
        {"error=\"", "{\"error\":\"\"}"},
        {"error=\"cut at\\x0", "{\"error\":\"cut atx0\"}"},
        {"name=\"gr\xc3\xbc\xc3\x9f\"", "{\"name\":\"gr\xc3\xbc\xc3\x9f\"}"},
        {"name=\"\xff\xc3\" a=\xed\xa0\x80", "{\"name\":\"\xef\xbf\xbd\xef\xbf\xbd\","
                                             "\"a\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}"},
        {"tab=a\tb", "{\"tab\":\"a\\u0009b\"}"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(cases); i++) {
        RB_AUTO_TEXT *json = json_of(cases[i].line, strlen(cases[i].line));

        assert_string_equal(json, cases[i].json);
    }
}

static uint64_t random_state = 88172645463325252u;

static unsigned next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33);
}

/* Whatever bytes come, strict readers of JSON take it, and it fits. */
static void any_bytes_become_an_object(void **state)
{
    static const char likely[] = "ab=\"\\ x0=1,\n\x7f\xc3\xbc\xe2\x82";

    (void)state;
    for (int round = 0; round < 3000; round++) {
        char line[RB_LOG_LINE_BYTES];
        size_t length = next_random() % (round % 10 == 0 ? sizeof(line) : 60);

        for (size_t i = 0; i < length; i++)
            line[i] =
                next_random() % 4 == 0 ? (char)(1 + next_random() % 255) : likely[next_random() % (sizeof(likely) - 1)];

        RB_AUTO_TEXT *json = json_of(line, length);
        json_t *read = json_loads(json, JSON_REJECT_DUPLICATES, NULL);

        assert_true(json_is_object(read));
        json_decref(read);
    }
}

static void the_worst_line_fits(void **state)
{
    char line[RB_LOG_LINE_BYTES];

    (void)state;
    memset(line, 1, sizeof(line));
    memcpy(line, "a=", 2);
    RB_AUTO_TEXT *controls = json_of(line, sizeof(line));
    assert_true(strlen(controls) <= RB_LOG_FORM_BYTES);
    for (size_t i = 0; i < sizeof(line); i++)
        line[i] = i % 3 == 2 ? ' ' : (char)('!' + (i / 3 * 7 + i % 3) % 90);
    RB_AUTO_TEXT *keys = json_of(line, sizeof(line));
    assert_true(strlen(keys) <= RB_LOG_FORM_BYTES);
}

UNIT_MAIN(T(a_line_becomes_an_object), T(any_bytes_become_an_object), T(the_worst_line_fits))

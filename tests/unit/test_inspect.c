#include "tests/unit/unit.h"

#include "consumer/inspect_next.h"
#include "consumer/inspect_show.h"

#define SHA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void an_object_is_compared_as_far_as_the_store_tells(void **state)
{
    struct rb_store_answer answer = {.found = true, .bytes = 7, .sha256 = SHA};

    (void)state;
    assert_int_equal(rb_inspect_compare(&answer, 7, SHA), RB_INSPECT_SAME);
    assert_int_equal(rb_inspect_compare(&answer, 7, NULL), RB_INSPECT_SAME);
    assert_int_equal(rb_inspect_compare(&answer, -1, SHA), RB_INSPECT_SAME);
    assert_int_equal(rb_inspect_compare(&answer, 8, SHA), RB_INSPECT_OTHER);
    assert_int_equal(rb_inspect_compare(&answer, 7, "bb"), RB_INSPECT_OTHER);
    answer.bytes = -1;
    answer.sha256[0] = '\0';
    assert_int_equal(rb_inspect_compare(&answer, 8, SHA), RB_INSPECT_SAME);
    assert_int_equal(rb_inspect_compare(&(struct rb_store_answer){0}, 7, SHA), RB_INSPECT_MISSING);
    assert_int_equal(rb_inspect_compare(&(struct rb_store_answer){.refused = true}, 7, SHA), RB_INSPECT_UNKNOWN);
}

static void assert_next(const char *row, enum rb_inspect_object object, const char *words)
{
    RB_AUTO_JSON *value = rb_json_parse_trusted(row, strlen(row));
    RB_AUTO_JSON *application = json_object();
    RB_AUTO_TEXT *next = rb_inspect_next(application, value, object);

    if (strstr(next, words) == NULL)
        fail_msg("expected '%s' in: %s", words, next);
}

static void each_state_says_what_comes_next(void **state)
{
    RB_AUTO_TEXT *unknown = rb_inspect_next(NULL, NULL, RB_INSPECT_NONE);

    (void)state;
    assert_non_null(strstr(unknown, "neither the application nor reelbus"));
    assert_next("{}", RB_INSPECT_NONE, "has not heard of it yet");
    assert_next("{\"state\":\"waiting\"}", RB_INSPECT_NONE, "nobody can be asked");
    assert_next("{\"state\":\"waiting\",\"provider_video_id\":\"x\",\"next_poll_at\":\"noon\"}", RB_INSPECT_NONE,
                "at noon");
    assert_next("{\"state\":\"processing\",\"object_key\":\"x\"}", RB_INSPECT_NONE, "stored again");
    assert_next("{\"state\":\"processing\"}", RB_INSPECT_NONE, "a consumer is at it");
    assert_next("{\"state\":\"processing\",\"next_try_at\":\"noon\"}", RB_INSPECT_NONE, "the next try, at noon");
    assert_next("{\"state\":\"failed\"}", RB_INSPECT_NONE, "it has failed (no class, no code)");
    assert_next("{\"state\":\"failed\",\"attempt\":2,\"redriven_attempt\":1}", RB_INSPECT_NONE,
                "redrive VIDEO tries it");
    assert_next("{\"state\":\"failed\",\"attempt\":2,\"redriven_attempt\":null}", RB_INSPECT_NONE,
                "but for redrive_auto");
    assert_next("{\"state\":\"failed\",\"attempt\":2,\"redriven_attempt\":2}", RB_INSPECT_NONE, "is sent once more");
    assert_next("{\"state\":\"stored\"}", RB_INSPECT_SAME, "nothing: it is stored");
    assert_next("{\"state\":\"stored\"}", RB_INSPECT_UNKNOWN, "nothing: it is stored");
    assert_next("{\"state\":\"stored\"}", RB_INSPECT_MISSING, "verify --repair");
    assert_next("{\"state\":\"stored\"}", RB_INSPECT_OTHER, "verify --repair");
    assert_next("{\"state\":\"deleted\"}", RB_INSPECT_MISSING, "it was removed");
    assert_next("{\"state\":\"deleted\",\"deleting_since\":\"noon\"}", RB_INSPECT_MISSING, "removes its object");
}

static void a_story_without_anything_is_still_lines(void **state)
{
    static const char text[] =
        "{\"video_id\":\"v\",\"application\":null,\"row\":null,\"history\":[{\"what\":\"claimed\"}],"
        "\"object\":{\"verdict\":\"none\"},\"next\":\"nothing\"}";
    RB_AUTO_JSON *story = rb_json_parse_trusted(text, strlen(text));
    RB_AUTO_BUFFER lines = {0};

    (void)state;
    rb_inspect_show(story, &lines);
    assert_string_equal(lines.bytes, "video        v\nnext         nothing\n\n"
                                     "-                                claimed\n");
}

UNIT_MAIN(T(an_object_is_compared_as_far_as_the_store_tells), T(each_state_says_what_comes_next),
          T(a_story_without_anything_is_still_lines))

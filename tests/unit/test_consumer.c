/* The small pure files of the consumer: input, row, plan, lines, and the table of job states. */
#include "tests/unit/unit.h"

#include "consumer/input.h"
#include "consumer/job.h"
#include "consumer/key.h"
#include "consumer/lines.h"
#include "consumer/outcome.h"
#include "consumer/plan.h"

#define ID "7f3a0c4e-9b1d-4c2f-8a5e-0123456789ab"

static struct rb_video_webhook_received webhook(const char *status)
{
    struct rb_video_webhook_received event;

    rb_event_init(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &event);
    event.video_id = rb_xstrdup(ID);
    event.status = rb_xstrdup(status);
    event.video_url = rb_xstrdup("https://example.com/v.mp4");
    event.received_at = 1000;
    return event;
}

static void a_webhook_and_a_poll_result_say_the_same(void **state)
{
    struct rb_video_webhook_received event = webhook("completed");
    struct rb_video_poll_result poll;
    struct rb_input input = {0};

    (void)state;
    assert_works(rb_input_take(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &event, &input, &err));
    assert_string_equal(input.video_id, ID);
    assert_string_equal(input.source_url, "https://example.com/v.mp4");
    assert_int_equal(input.status, RB_INPUT_COMPLETED);
    assert_int_equal(input.received_at, 1000);
    assert_null(event.video_url);
    rb_input_done(&input);
    rb_event_clear(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &event);

    rb_event_init(RB_EVENT_VIDEO_POLL_RESULT, &poll);
    poll.video_id = rb_xstrdup("7F3A0C4E-9B1D-4C2F-8A5E-0123456789AB");
    poll.status = rb_xstrdup("in_progress");
    poll.polled_at = 2000;
    assert_works(rb_input_take(RB_EVENT_VIDEO_POLL_RESULT, &poll, &input, &err));
    assert_string_equal(input.video_id, ID);
    assert_int_equal(input.status, RB_INPUT_PENDING);
    assert_int_equal(input.received_at, 2000);
    rb_input_done(&input);
    rb_event_clear(RB_EVENT_VIDEO_POLL_RESULT, &poll);
}

static void impossible_fields_are_refused(void **state)
{
    struct rb_video_webhook_received event = webhook("melted");
    struct rb_input input = {0};

    (void)state;
    assert_fails(rb_input_take(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &event, &input, &err), BAD_EVENT);
    free(event.video_id);
    event.video_id = rb_xstrdup("../../etc/passwd");
    assert_fails(rb_input_take(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &event, &input, &err), BAD_EVENT);
    rb_event_clear(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &event);
}

static void one_record_owns_an_outcome_and_the_others_are_silent(void **state)
{
    const struct rb_asker me = {{"t", 3, 42}, 1};
    struct rb_row mine = {
        .state = RB_ROW_STORED, .owner_topic = (char[]){"t"}, .owner_partition = 3, .owner_offset = 42};
    struct rb_row other = {
        .state = RB_ROW_FAILED, .owner_topic = (char[]){"t"}, .owner_partition = 3, .owner_offset = 43};
    struct rb_row elsewhere = {
        .state = RB_ROW_STORED, .owner_topic = (char[]){"u"}, .owner_partition = 3, .owner_offset = 42};
    struct rb_row busy = {.state = RB_ROW_PROCESSING, .put_off = 1};
    struct rb_row newer = {.state = RB_ROW_PROCESSING, .put_off = 2};
    struct rb_row deleted = {
        .state = RB_ROW_DELETED, .owner_topic = (char[]){"t"}, .owner_partition = 3, .owner_offset = 42};

    (void)state;
    assert_int_equal(rb_row_verdict(true, true, &busy, &me), RB_VERDICT_MINE);
    assert_int_equal(rb_row_verdict(true, false, &mine, &me), RB_VERDICT_ANNOUNCE);
    assert_int_equal(rb_row_verdict(false, false, &mine, &me), RB_VERDICT_ANNOUNCE);
    assert_int_equal(rb_row_verdict(true, false, &other, &me), RB_VERDICT_SETTLED);
    assert_int_equal(rb_row_verdict(true, false, &elsewhere, &me), RB_VERDICT_SETTLED);
    assert_int_equal(rb_row_verdict(true, false, &deleted, &me), RB_VERDICT_SETTLED);
    assert_int_equal(rb_row_verdict(true, false, &busy, &me), RB_VERDICT_LOST);
    assert_int_equal(rb_row_verdict(true, false, &newer, &me), RB_VERDICT_PUT_OFF);
    assert_int_equal(rb_row_verdict(true, true, &newer, &me), RB_VERDICT_MINE);
    assert_int_equal(rb_row_verdict(true, false, NULL, &me), RB_VERDICT_LOST);
    assert_int_equal(rb_row_verdict(false, false, NULL, &me), RB_VERDICT_UNKNOWN);
    assert_int_equal(rb_row_verdict(false, false, &busy, &me), RB_VERDICT_UNKNOWN);
}

static struct rb_row claimed(char *user_id)
{
    return (struct rb_row){.video_id = ID, .state = RB_ROW_PROCESSING, .user_id = user_id};
}

static const struct rb_plan_policy policy = {
    .guard = {.any_port = true}, .formats = RB_FORMAT_BIT(MP4), .key_template = "{user_id}/{video_id}.mp4"};
static const struct rb_plan_source source = {"https://example.com/v.mp4", 1500};

static void a_plan_has_key_source_and_deadline(void **state)
{
    struct rb_row row = claimed((char[]){"u-1_A"});
    RB_AUTO(rb_plan) *plan = NULL;

    (void)state;
    assert_works(rb_plan_new(&row, &source, &policy, &plan, &err));
    assert_string_equal(plan->keys[RB_FORMAT_MP4], "u-1_A/" ID ".mp4");
    assert_string_equal(plan->source, "https://example.com/v.mp4");
    assert_int_equal(plan->deadline_unix_ms, 1500);
}

static void ids_that_mean_something_in_a_path_are_refused(void **state)
{
    char *const wrong[] = {(char[]){""},     (char[]){".."},       (char[]){"a/b"}, (char[]){"a b"},
                           (char[]){"a%2e"}, (char[]){"\xc3\xa9"}, (char[]){"a.b"}};
    char large[RB_KEY_ID_MAX_BYTES + 2];

    (void)state;
    memset(large, 'a', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    for (size_t i = 0; i <= RB_COUNT(wrong); i++) {
        struct rb_row row = claimed(i < RB_COUNT(wrong) ? wrong[i] : large);
        struct rb_plan *plan = NULL;

        assert_fails(rb_plan_new(&row, &source, &policy, &plan, &err), BAD_EVENT);
    }
}

static void a_plan_needs_a_url_that_may_be_fetched(void **state)
{
    struct rb_plan_policy https = policy;
    struct rb_plan_source other = {NULL, 0};
    struct rb_row row = claimed((char[]){"u"});
    struct rb_plan *plan = NULL;

    (void)state;
    assert_fails(rb_plan_new(&row, &other, &policy, &plan, &err), URL_INVALID);
    other.url = "file:///etc/passwd";
    assert_fails(rb_plan_new(&row, &other, &policy, &plan, &err), URL_INVALID);
    other.url = "http://example.com/";
    https.guard.https_only = true;
    assert_fails(rb_plan_new(&row, &other, &https, &plan, &err), URL_REFUSED);
}

/* What a record of the topic of retries says, and that nobody can make us calculate beyond all bounds. */
static void a_retry_brings_the_first_record_along(void **state)
{
    struct rb_video_store_retry retry;
    struct rb_input input = {0};

    (void)state;
    rb_event_init(RB_EVENT_VIDEO_STORE_RETRY, &retry);
    retry.video_id = rb_xstrdup(ID);
    retry.status = rb_xstrdup("completed");
    retry.origin_topic = rb_xstrdup("video.webhook.received");
    retry.origin_partition = 2;
    retry.origin_offset = 77;
    retry.tries = INT32_MAX;
    retry.received_at = INT64_MAX;
    retry.not_before = -5;
    assert_works(rb_input_take(RB_EVENT_VIDEO_STORE_RETRY, &retry, &input, &err));
    assert_string_equal(input.origin_topic, "video.webhook.received");
    assert_int_equal(input.origin_partition, 2);
    assert_int_equal(input.origin_offset, 77);
    assert_int_equal(input.renewals, 0);
    assert_int_equal(input.url_since, RB_NO_LONG);
    assert_int_equal(input.not_before, 0);
    assert_true(input.received_at < INT64_MAX / 2 && input.tries < INT32_MAX);
    rb_input_done(&input);
    rb_event_clear(RB_EVENT_VIDEO_STORE_RETRY, &retry);
}

static void a_url_that_says_when_it_expires_is_believed_unless_it_was_dead_before(void **state)
{
    static const struct {
        const char *url;
        int64_t said, expected;
    } rows[] = {
        {"https://example.com/v?Expires=1795372200", RB_NO_LONG, 1795372200000},
        {"https://example.com/v?Expires=1795372200", 5, 5},
        {"https://example.com/v?Expires=1600000000", RB_NO_LONG, RB_NO_LONG},
        {"https://example.com/v", RB_NO_LONG, RB_NO_LONG},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_video_webhook_received event = webhook("completed");
        struct rb_input input = {0};

        free(event.video_url);
        event.video_url = rb_xstrdup(rows[i].url);
        event.expires_at = rows[i].said;
        event.received_at = 1700000000000;
        assert_works(rb_input_take(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &event, &input, &err));
        assert_int_equal(input.expires_at, rows[i].expected);
        rb_input_done(&input);
        rb_event_clear(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &event);
    }
}

static void failures_have_the_classes_of_the_schema(void **state)
{
    (void)state;
    assert_string_equal(rb_outcome_class(RB_E_GENERATION_FAILED), "generation_failed");
    assert_string_equal(rb_outcome_class(RB_E_SOURCE_GONE), "source");
    assert_string_equal(rb_outcome_class(RB_E_EXPIRED), "source");
    assert_string_equal(rb_outcome_class(RB_E_NOT_A_VIDEO), "content");
    assert_string_equal(rb_outcome_class(RB_E_URL_REFUSED), "policy");
    assert_string_equal(rb_outcome_class(RB_E_UNKNOWN_VIDEO), "unknown_video");
}

static void count_turn(void *arg)
{
    ++*(int *)arg;
}

static void one_at_a_time_gets_in_for_each_key(void **state)
{
    struct rb_turns *turns = rb_turns_new();
    int calls[4] = {0};
    struct rb_place places[4] = {
        {.key = "a", .on_turn = count_turn, .arg = &calls[0]},
        {.key = "a", .on_turn = count_turn, .arg = &calls[1]},
        {.key = "b", .on_turn = count_turn, .arg = &calls[2]},
        {.key = "a", .on_turn = count_turn, .arg = &calls[3]},
    };

    (void)state;
    assert_true(rb_turns_enter(turns, &places[0]));
    assert_false(rb_turns_enter(turns, &places[1]));
    assert_true(rb_turns_enter(turns, &places[2]));
    assert_false(rb_turns_enter(turns, &places[3]));
    rb_turns_leave(turns, &places[1]); /* out of the middle: nobody's turn comes */
    assert_int_equal(calls[1] + calls[3], 0);
    rb_turns_leave(turns, &places[0]);
    assert_int_equal(calls[3], 1);
    assert_int_equal(places[3].state, RB_PLACE_IN);
    rb_turns_leave(turns, &places[3]);
    rb_turns_leave(turns, &places[3]); /* again: nothing */
    rb_turns_leave(turns, &places[2]);
    assert_int_equal(calls[0] + calls[1] + calls[2], 0);
    rb_turns_free(turns);
}

/* All pairs of states: what is not listed here must not happen. */
static void jobs_go_only_where_the_table_lets_them(void **state)
{
    static const char *const names[] = {"DECODING",     "DELAYED",   "LINING_UP", "PLANNING", "RENEWING", "QUEUED",
                                        "TRANSFERRING", "RECORDING", "EMITTING",  "RESTING",  "DONE",     "HALTED"};
    static const char *const allowed[] = {
        "DECODING LINING_UP",    "DECODING EMITTING",      "DECODING DONE",        "DECODING RESTING",
        "DECODING HALTED",       "LINING_UP PLANNING",     "PLANNING QUEUED",      "PLANNING RECORDING",
        "PLANNING EMITTING",     "PLANNING DONE",          "PLANNING RESTING",     "PLANNING HALTED",
        "QUEUED TRANSFERRING",   "TRANSFERRING RECORDING", "TRANSFERRING RESTING", "TRANSFERRING HALTED",
        "RECORDING EMITTING",    "RECORDING DONE",         "RECORDING RESTING",    "RECORDING HALTED",
        "EMITTING DONE",         "EMITTING RESTING",       "EMITTING HALTED",      "RESTING DECODING",
        "RESTING PLANNING",      "RESTING RECORDING",      "RESTING EMITTING",     "DECODING DELAYED",
        "DELAYED LINING_UP",     "PLANNING RENEWING",      "RENEWING PLANNING",    "RENEWING RECORDING",
        "RENEWING EMITTING",     "RENEWING RESTING",       "RENEWING HALTED",      "TRANSFERRING RENEWING",
        "TRANSFERRING EMITTING", "RESTING QUEUED",
    };
    size_t found = 0;

    (void)state;
    for (size_t from = 0; from < RB_COUNT(names); from++) {
        for (size_t to = 0; to < RB_COUNT(names); to++) {
            char pair[64];
            bool listed = false;

            snprintf(pair, sizeof(pair), "%s %s", names[from], names[to]);
            for (size_t i = 0; i < RB_COUNT(allowed); i++)
                listed = listed || strcmp(allowed[i], pair) == 0;
            if (rb_job_may_go(names[from], names[to]) != listed)
                fail_msg("%s is %s", pair, listed ? "forbidden" : "allowed");
            found += listed;
        }
    }
    assert_int_equal(found, RB_COUNT(allowed));
}

UNIT_MAIN(T(a_webhook_and_a_poll_result_say_the_same), T(impossible_fields_are_refused),
          T(one_record_owns_an_outcome_and_the_others_are_silent), T(a_plan_has_key_source_and_deadline),
          T(ids_that_mean_something_in_a_path_are_refused), T(a_plan_needs_a_url_that_may_be_fetched),
          T(a_retry_brings_the_first_record_along),
          T(a_url_that_says_when_it_expires_is_believed_unless_it_was_dead_before),
          T(failures_have_the_classes_of_the_schema), T(one_at_a_time_gets_in_for_each_key),
          T(jobs_go_only_where_the_table_lets_them))

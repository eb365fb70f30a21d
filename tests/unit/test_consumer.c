/* The small pure files of the consumer: input, row, plan, outcome, lines, and the table of job states. */
#include "tests/unit/unit.h"

#include "consumer/input.h"
#include "consumer/job.h"
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
    const struct rb_origin me = {"t", 3, 42};
    struct rb_row mine = {
        .state = RB_ROW_STORED, .owner_topic = (char[]){"t"}, .owner_partition = 3, .owner_offset = 42};
    struct rb_row other = {
        .state = RB_ROW_FAILED, .owner_topic = (char[]){"t"}, .owner_partition = 3, .owner_offset = 43};
    struct rb_row elsewhere = {
        .state = RB_ROW_STORED, .owner_topic = (char[]){"u"}, .owner_partition = 3, .owner_offset = 42};
    struct rb_row busy = {.state = RB_ROW_PROCESSING};
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
    assert_int_equal(rb_row_verdict(true, false, NULL, &me), RB_VERDICT_LOST);
    assert_int_equal(rb_row_verdict(false, false, NULL, &me), RB_VERDICT_UNKNOWN);
    assert_int_equal(rb_row_verdict(false, false, &busy, &me), RB_VERDICT_UNKNOWN);
}

static struct rb_row claimed(char *user_id, char *url)
{
    return (struct rb_row){
        .video_id = ID,
        .state = RB_ROW_PROCESSING,
        .user_id = user_id,
        .source_url = url,
        .expires_at = RB_NO_LONG,
        .received_at = 1000,
    };
}

static const struct rb_plan_policy policy = {.guard = {.any_port = true}, .bucket = "videos", .retry_for_ms = 500};

static void a_plan_has_key_source_and_deadline(void **state)
{
    struct rb_row row = claimed((char[]){"u-1_A"}, (char[]){"https://example.com/v.mp4"});
    RB_AUTO(rb_plan) *plan = NULL;

    (void)state;
    assert_works(rb_plan_new(&row, &policy, &plan, &err));
    assert_string_equal(plan->bucket, "videos");
    assert_string_equal(plan->key, "u-1_A/" ID ".mp4");
    assert_string_equal(plan->source, "https://example.com/v.mp4");
    assert_int_equal(plan->deadline_unix_ms, 1500);
    row.expires_at = 1200;
    assert_int_equal(rb_plan_deadline(&row, &policy), 1200);
}

static void ids_that_mean_something_in_a_path_are_refused(void **state)
{
    char *const wrong[] = {(char[]){""},     (char[]){".."},       (char[]){"a/b"}, (char[]){"a b"},
                           (char[]){"a%2e"}, (char[]){"\xc3\xa9"}, (char[]){"a.b"}};
    char large[RB_PLAN_ID_MAX_BYTES + 2];

    (void)state;
    memset(large, 'a', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    for (size_t i = 0; i <= RB_COUNT(wrong); i++) {
        struct rb_row row = claimed(i < RB_COUNT(wrong) ? wrong[i] : large, (char[]){"https://example.com/v.mp4"});
        struct rb_plan *plan = NULL;

        assert_fails(rb_plan_new(&row, &policy, &plan, &err), BAD_EVENT);
    }
}

static void a_plan_needs_a_url_that_may_be_fetched(void **state)
{
    struct rb_plan_policy https = policy;
    struct rb_row row = claimed((char[]){"u"}, NULL);
    struct rb_plan *plan = NULL;

    (void)state;
    assert_fails(rb_plan_new(&row, &policy, &plan, &err), URL_INVALID);
    row.source_url = (char[]){"file:///etc/passwd"};
    assert_fails(rb_plan_new(&row, &policy, &plan, &err), URL_INVALID);
    row.source_url = (char[]){"http://example.com/"};
    https.guard.https_only = true;
    assert_fails(rb_plan_new(&row, &https, &plan, &err), URL_REFUSED);
}

static void the_class_of_an_error_decides_what_is_next(void **state)
{
    struct rb_error err = {0};

    (void)state;
    rb_fail(&err, RB_E_SOURCE_BUSY, 0, "x");
    assert_int_equal(rb_outcome_next(&err, 1000, 100, 1100), RB_NEXT_RETRY);
    assert_int_equal(rb_outcome_next(&err, 1000, 100, 1099), RB_NEXT_GIVE_UP);
    rb_fail(&err, RB_E_DB_AWAY, 0, "x");
    assert_int_equal(rb_outcome_next(&err, 1000, 100, 0), RB_NEXT_WAIT);
    rb_fail(&err, RB_E_STORE_FULL, 0, "x");
    assert_int_equal(rb_outcome_next(&err, 1000, 100, 0), RB_NEXT_WAIT);
    rb_fail(&err, RB_E_NOT_A_VIDEO, 0, "x");
    assert_int_equal(rb_outcome_next(&err, 1000, 100, 9999), RB_NEXT_GIVE_UP);
    rb_fail(&err, RB_E_GROUP_FENCED, 0, "x");
    assert_int_equal(rb_outcome_next(&err, 1000, 100, 9999), RB_NEXT_STOP);
}

static void no_outage_of_ours_ever_gives_a_video_up(void **state)
{
    (void)state;
    for (int code = 1; code < RB_E_COUNT; code++) {
        struct rb_error err = {0};

        rb_fail(&err, (enum rb_code)code, 0, "x");
        if (err.class == RB_OUTAGE)
            assert_int_equal(rb_outcome_next(&err, 1000, 100, 0), RB_NEXT_WAIT);
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

static void slots_go_to_the_lowest_rank_first(void **state)
{
    struct rb_slots slots = {.max = 1};
    int calls[4] = {0};
    struct rb_place places[4] = {
        {.rank = 9, .on_turn = count_turn, .arg = &calls[0]},
        {.rank = 5, .on_turn = count_turn, .arg = &calls[1]},
        {.rank = 3, .on_turn = count_turn, .arg = &calls[2]},
        {.rank = 5, .on_turn = count_turn, .arg = &calls[3]},
    };

    (void)state;
    assert_true(rb_slots_enter(&slots, &places[0]));
    for (int i = 1; i < 4; i++)
        assert_false(rb_slots_enter(&slots, &places[i]));
    rb_slots_leave(&slots, &places[0]);
    assert_int_equal(calls[2], 1);
    rb_slots_leave(&slots, &places[2]);
    assert_int_equal(calls[1], 1); /* first come, first served */
    rb_slots_leave(&slots, &places[3]);
    rb_slots_leave(&slots, &places[1]);
    assert_int_equal(calls[3], 0);
    assert_int_equal(slots.used, 0);
    assert_true(rb_slots_enter(&slots, &places[3]));
    rb_slots_leave(&slots, &places[3]);
}

/* All pairs of states: what is not listed here must not happen. */
static void jobs_go_only_where_the_table_lets_them(void **state)
{
    static const char *const names[] = {"DECODING",  "LINING_UP", "PLANNING", "QUEUED", "TRANSFERRING",
                                        "RECORDING", "EMITTING",  "RESTING",  "DONE",   "HALTED"};
    static const char *const allowed[] = {
        "DECODING LINING_UP",  "DECODING EMITTING",      "DECODING DONE",        "DECODING RESTING",
        "DECODING HALTED",     "LINING_UP PLANNING",     "PLANNING QUEUED",      "PLANNING RECORDING",
        "PLANNING EMITTING",   "PLANNING DONE",          "PLANNING RESTING",     "PLANNING HALTED",
        "QUEUED TRANSFERRING", "TRANSFERRING RECORDING", "TRANSFERRING RESTING", "TRANSFERRING HALTED",
        "RECORDING EMITTING",  "RECORDING DONE",         "RECORDING RESTING",    "RECORDING HALTED",
        "EMITTING DONE",       "EMITTING RESTING",       "EMITTING HALTED",      "RESTING DECODING",
        "RESTING PLANNING",    "RESTING RECORDING",      "RESTING EMITTING",
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
          T(the_class_of_an_error_decides_what_is_next), T(no_outage_of_ours_ever_gives_a_video_up),
          T(failures_have_the_classes_of_the_schema), T(one_at_a_time_gets_in_for_each_key),
          T(slots_go_to_the_lowest_rank_first), T(jobs_go_only_where_the_table_lets_them))

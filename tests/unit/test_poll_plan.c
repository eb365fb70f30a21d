/* When to ask a provider, and what to make of its answer: pace and poll_plan. */
#include "tests/unit/unit.h"

#include "producer/pace.h"
#include "producer/poll_plan.h"

#define HOUR INT64_C(3600000)
#define NO   RB_NO_LONG

static const struct rb_poll_policy policy = {
    .interval_ms = 5000,
    .deadline_ms = 24 * HOUR,
    .missing_ms = 600000,
    .announce_ms = 300000,
    .progress_points = 10,
};

/* A row of a video that has waited for so long, with what was published last. */
static struct rb_poll_row row_of(int64_t age_ms, const char *status, int64_t progress)
{
    return (struct rb_poll_row){
        .status = (char *)(uintptr_t)status,
        .progress = progress,
        .now_ms = 1000 * HOUR,
        .waiting_since_ms = 1000 * HOUR - age_ms,
        .missing_since_ms = NO,
    };
}

static struct rb_adapter_answer answer_of(enum rb_adapter_status status, int64_t progress)
{
    return (struct rb_adapter_answer){
        .status = status, .progress = progress, .expires_at_ms = NO, .completed_at_ms = NO};
}

static void only_what_has_changed_is_news(void **state)
{
    static const struct {
        const char *before;
        int64_t progress;
        enum rb_adapter_status status;
        int64_t now;
        enum rb_poll_verdict verdict;
    } rows[] = {
        {NULL, NO, RB_ADAPTER_QUEUED, NO, RB_PLAN_NEWS},
        {"queued", NO, RB_ADAPTER_QUEUED, NO, RB_PLAN_QUIET},
        {"queued", NO, RB_ADAPTER_QUEUED, 0, RB_PLAN_QUIET},
        {"queued", NO, RB_ADAPTER_IN_PROGRESS, 0, RB_PLAN_NEWS},
        {"in_progress", 0, RB_ADAPTER_IN_PROGRESS, 9, RB_PLAN_QUIET},
        {"in_progress", 0, RB_ADAPTER_IN_PROGRESS, 10, RB_PLAN_NEWS},
        {"in_progress", 50, RB_ADAPTER_IN_PROGRESS, 20, RB_PLAN_QUIET},
        {"in_progress", 50, RB_ADAPTER_IN_PROGRESS, NO, RB_PLAN_QUIET},
        {"in_progress", NO, RB_ADAPTER_IN_PROGRESS, 60, RB_PLAN_NEWS},
        {"in_progress", 95, RB_ADAPTER_IN_PROGRESS, 100, RB_PLAN_QUIET},
        {"in_progress", 50, RB_ADAPTER_COMPLETED, NO, RB_PLAN_END},
        {"in_progress", 50, RB_ADAPTER_FAILED, NO, RB_PLAN_END},
        {NULL, NO, RB_ADAPTER_EXPIRED, NO, RB_PLAN_END},
        {"completed", 100, RB_ADAPTER_COMPLETED, 100, RB_PLAN_END},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_poll_row row = row_of(60000, rows[i].before, rows[i].progress);
        struct rb_adapter_answer answer = answer_of(rows[i].status, rows[i].now), given_up = {0};

        assert_int_equal(rb_poll_plan(&row, &policy, &answer, NULL, &given_up), rows[i].verdict);
    }
}

static void a_deadline_ends_with_the_next_answer_that_is_no_end(void **state)
{
    struct rb_adapter_answer going = answer_of(RB_ADAPTER_IN_PROGRESS, 40), done = answer_of(RB_ADAPTER_COMPLETED, 100);
    struct rb_poll_row row = row_of(24 * HOUR - 1, "in_progress", 40);
    RB_AUTO_ADAPTER_ANSWER given_up = {0};

    (void)state;
    assert_int_equal(rb_poll_plan(&row, &policy, &going, NULL, &given_up), RB_PLAN_QUIET);
    row.waiting_since_ms--;
    assert_int_equal(rb_poll_plan(&row, &policy, &done, NULL, &given_up), RB_PLAN_END);
    assert_int_equal(rb_poll_plan(&row, &policy, &going, NULL, &given_up), RB_PLAN_GIVE_UP);
    assert_int_equal(given_up.status, RB_ADAPTER_FAILED);
    assert_string_equal(given_up.error_code, "generation_timeout");
    assert_string_equal(given_up.error_message, "no result within 1d; the provider still says 'in_progress'");
}

static void without_any_answer_a_video_has_twice_the_time(void **state)
{
    struct rb_error err = {0};
    struct rb_poll_row row = row_of(48 * HOUR - 1, NULL, NO);
    RB_AUTO_ADAPTER_ANSWER given_up = {0};

    (void)state;
    rb_fail(&err, RB_E_PROVIDER_DENIED, 401, "the provider's API answers with status 401");
    assert_int_equal(rb_poll_plan(&row, &policy, NULL, &err, &given_up), RB_PLAN_QUIET);
    row.waiting_since_ms--;
    assert_int_equal(rb_poll_plan(&row, &policy, NULL, &err, &given_up), RB_PLAN_GIVE_UP);
    assert_string_equal(given_up.error_code, "generation_timeout");
    assert_non_null(strstr(given_up.error_message, "status 401"));
}

static void an_announced_end_is_never_taken_back(void **state)
{
    struct rb_error err = {0};
    struct rb_poll_row row = row_of(100 * HOUR, "completed", 100);
    struct rb_adapter_answer going = answer_of(RB_ADAPTER_IN_PROGRESS, 40), given_up = {0};

    (void)state;
    row.announced = 1;
    row.missing_since_ms = row.waiting_since_ms;
    rb_fail(&err, RB_E_PROVIDER_LACKS, 404, "gone");
    assert_int_equal(rb_poll_plan(&row, &policy, NULL, &err, &given_up), RB_PLAN_QUIET);
    assert_int_equal(rb_poll_plan(&row, &policy, &going, NULL, &given_up), RB_PLAN_QUIET);
}

static void a_video_that_the_provider_does_not_know_has_a_grace_period(void **state)
{
    struct rb_error lacks = {0}, busy = {0};
    struct rb_poll_row row = row_of(HOUR, NULL, NO);
    RB_AUTO_ADAPTER_ANSWER given_up = {0};

    (void)state;
    rb_fail(&lacks, RB_E_PROVIDER_LACKS, 404, "the provider's API answers with status 404");
    rb_fail(&busy, RB_E_PROVIDER_BUSY, 503, "busy");
    assert_int_equal(rb_poll_plan(&row, &policy, NULL, &lacks, &given_up), RB_PLAN_QUIET);
    row.missing_since_ms = row.now_ms - 599999;
    assert_int_equal(rb_poll_plan(&row, &policy, NULL, &lacks, &given_up), RB_PLAN_QUIET);
    row.missing_since_ms--;
    assert_int_equal(rb_poll_plan(&row, &policy, NULL, &busy, &given_up), RB_PLAN_QUIET);
    assert_int_equal(rb_poll_plan(&row, &policy, NULL, &lacks, &given_up), RB_PLAN_GIVE_UP);
    assert_string_equal(given_up.error_code, "provider_lacks_video");
}

static void an_id_that_cannot_be_asked_for_is_given_up_at_once(void **state)
{
    struct rb_error err = {0};
    struct rb_poll_row row = row_of(0, NULL, NO);
    RB_AUTO_ADAPTER_ANSWER given_up = {0};

    (void)state;
    rb_fail(&err, RB_E_BAD_REQUEST, 0, "no id");
    assert_int_equal(rb_poll_plan(&row, &policy, NULL, &err, &given_up), RB_PLAN_GIVE_UP);
    assert_string_equal(given_up.error_code, "bad_provider_video_id");
}

static void rests_grow_and_jitter_stays_within_a_fifth(void **state)
{
    static const uint64_t randoms[] = {0, 1, UINT64_MAX / 3, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(randoms); i++) {
        for (int64_t announced = 0; announced < 70; announced++) {
            int64_t wanted = announced < 3 ? 300000 << announced : announced == 3 ? 2400000 : HOUR;
            int64_t rest = rb_poll_plan_rest_ms(&policy, announced, randoms[i]);

            assert_in_range(rest, wanted - wanted / 5, wanted + wanted / 5);
        }
        assert_in_range(rb_poll_plan_jitter_ms(5000, randoms[i]), 4000, 6000);
        assert_in_range(rb_poll_plan_jitter_ms(1, randoms[i]), 1, 1);
    }
    assert_int_equal(rb_poll_plan_jitter_ms(5000, 0), 4000);
    assert_int_equal(rb_poll_plan_jitter_ms(5000, 2000), 6000);
}

static void a_window_opens_with_good_answers(void **state)
{
    struct rb_pace pace;

    (void)state;
    rb_pace_init(&pace, 3);
    for (int wanted = 1; wanted <= 3; wanted++) {
        assert_int_equal(rb_pace_room(&pace, 0), wanted);
        rb_pace_begin(&pace);
        assert_int_equal(rb_pace_room(&pace, 0), wanted - 1);
        assert_true(rb_pace_good(&pace, 0));
    }
    assert_int_equal(rb_pace_room(&pace, 0), 3);
    rb_pace_begin(&pace);
    rb_pace_end(&pace);
    assert_int_equal(rb_pace_room(&pace, 0), 3);
}

static void trouble_closes_it_once_for_all_that_were_under_way(void **state)
{
    struct rb_pace pace;

    (void)state;
    rb_pace_init(&pace, 8);
    for (int i = 0; i < 8; i++) {
        rb_pace_begin(&pace);
        assert_true(rb_pace_good(&pace, 0));
    }
    for (int i = 0; i < 8; i++)
        rb_pace_begin(&pace);
    assert_true(rb_pace_bad(&pace, 100, 200, 0, UINT64_MAX));
    assert_int_equal(pace.backoff.tries, 1);
    rb_pace_begin(&pace);
    assert_false(rb_pace_good(&pace, 199)); /* it was well before that */
    rb_pace_begin(&pace);
    assert_false(rb_pace_good(&pace, 200)); /* begun in the turn in which it was noticed */
    assert_int_equal(pace.backoff.tries, 1);
    assert_int_equal(pace.window, 1);
    for (int i = 0; i < 7; i++)
        assert_false(rb_pace_bad(&pace, 100, 200 + i, 0, UINT64_MAX));
    assert_int_equal(pace.backoff.tries, 1);
    assert_int_equal(pace.in_flight, 0);
    assert_int_equal(rb_pace_room(&pace, 201), 0);
    assert_in_range(rb_pace_closed_ms(&pace, 200), 500, 1000);
    assert_int_equal(rb_pace_room(&pace, 1200), 1);
}

static void pauses_grow_until_a_good_answer(void **state)
{
    struct rb_pace pace;
    int64_t now = 0, longest = 0;

    (void)state;
    rb_pace_init(&pace, 8);
    for (int i = 0; i < 20; i++) {
        rb_pace_begin(&pace);
        assert_true(rb_pace_bad(&pace, now, now, 0, UINT64_C(0xffffffffffffffff) - (uint64_t)i));
        assert_in_range(rb_pace_closed_ms(&pace, now), 500, 300000);
        longest = RB_MAX(longest, rb_pace_closed_ms(&pace, now));
        now += rb_pace_closed_ms(&pace, now);
        assert_int_equal(rb_pace_room(&pace, now), 1);
    }
    assert_true(longest > 10000);
    rb_pace_begin(&pace);
    assert_true(rb_pace_good(&pace, now));
    rb_pace_begin(&pace);
    assert_true(rb_pace_bad(&pace, now, now, 0, 77));
    assert_in_range(rb_pace_closed_ms(&pace, now), 500, 1000);
}

static void what_the_provider_asks_for_is_kept_to(void **state)
{
    static const uint64_t randoms[] = {0, 12345, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(randoms); i++) {
        struct rb_pace pace;

        rb_pace_init(&pace, 8);
        rb_pace_begin(&pace);
        assert_true(rb_pace_bad(&pace, 0, 0, 30000, randoms[i]));
        assert_in_range(rb_pace_closed_ms(&pace, 0), 30000, 36000);
        rb_pace_begin(&pace);
        assert_true(rb_pace_bad(&pace, 40000, 40000, INT64_MAX, randoms[i]));
        assert_in_range(rb_pace_closed_ms(&pace, 40000), HOUR, HOUR + HOUR / 5);
    }
}

static void a_provider_may_have_times_of_its_own(void **state)
{
    const struct rb_provider_api none = {.kind = RB_API_OPENAI}, both = {.poll_interval_ms = 7, .poll_deadline_ms = 8};
    struct rb_poll_policy own = rb_poll_plan_policy(&policy, &none);

    (void)state;
    assert_memory_equal(&own, &policy, sizeof(own));
    own = rb_poll_plan_policy(&policy, &both);
    assert_true(own.interval_ms == 7 && own.deadline_ms == 8);
    own.interval_ms = policy.interval_ms;
    own.deadline_ms = policy.deadline_ms;
    assert_memory_equal(&own, &policy, sizeof(own));
}

UNIT_MAIN(T(a_provider_may_have_times_of_its_own), T(only_what_has_changed_is_news),
          T(a_deadline_ends_with_the_next_answer_that_is_no_end), T(without_any_answer_a_video_has_twice_the_time),
          T(an_announced_end_is_never_taken_back), T(a_video_that_the_provider_does_not_know_has_a_grace_period),
          T(an_id_that_cannot_be_asked_for_is_given_up_at_once), T(rests_grow_and_jitter_stays_within_a_fifth),
          T(a_window_opens_with_good_answers), T(trouble_closes_it_once_for_all_that_were_under_way),
          T(pauses_grow_until_a_good_answer), T(what_the_provider_asks_for_is_kept_to))

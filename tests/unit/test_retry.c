/* When and in which order videos are tried again: budget, outcome, heap, slots, delay, circuit, lifetime. */
#include "tests/unit/unit.h"

#include "consumer/circuit.h"
#include "consumer/delay.h"
#include "consumer/lifetime.h"
#include "consumer/metrics_table.h"
#include "consumer/outcome.h"

/* -- budget -------------------------------------------------------------------------------------------------------- */

static const struct rb_budget_policy policy = {.unknown_ms = 3600, .longest_ms = 100000, .keep_ms = 60};

static void a_budget_ends_when_the_url_expires(void **state)
{
    (void)state;
    assert_int_equal(rb_budget_make(&policy, 1000, 1500, 200).until, 1500);                      /* said */
    assert_int_equal(rb_budget_make(&policy, 1000, RB_NO_LONG, 200).until, 1200);                /* learnt */
    assert_int_equal(rb_budget_make(&policy, 1000, RB_NO_LONG, RB_NO_LONG).until, 4600);         /* the option */
    assert_int_equal(rb_budget_make(&policy, 1000, INT64_C(1) << 53, RB_NO_LONG).until, 101000); /* and not for ever */
    assert_int_equal(rb_budget_make(&policy, 1000, 10, RB_NO_LONG).until, 10);
}

static void the_last_try_is_kept_for_just_before_the_end(void **state)
{
    const struct rb_budget hour = {.since = 0, .until = 3600, .keep_ms = 60};
    const struct rb_budget moment = {.since = 0, .until = 100, .keep_ms = 60};

    (void)state;
    assert_int_equal(rb_budget_last_try(&hour), 3540);
    assert_int_equal(rb_budget_last_try(&moment), 90); /* a tenth */
    assert_int_equal(rb_budget_next(&hour, 1000, 999, 500), 1500);
    assert_int_equal(rb_budget_next(&hour, 3500, 3499, 500), 3540);      /* not behind the end: the last try */
    assert_int_equal(rb_budget_next(&hour, 3545, 3539, 500), 3545);      /* late for it: at once */
    assert_int_equal(rb_budget_next(&hour, 3545, 3540, 10), RB_NO_LONG); /* it was made */
    assert_int_equal(rb_budget_next(&hour, 3600, 3000, 10), RB_NO_LONG); /* too late */
    assert_int_equal(rb_budget_next(&hour, 99999, 3000, 10), RB_NO_LONG);
}

static void a_budget_of_nothing_allows_no_second_try(void **state)
{
    const struct rb_budget_policy none = {.unknown_ms = 0, .longest_ms = 1000, .keep_ms = 60};
    struct rb_budget budget = rb_budget_make(&none, 1000, RB_NO_LONG, RB_NO_LONG);

    (void)state;
    assert_int_equal(rb_budget_next(&budget, 1000, 1000, 1), RB_NO_LONG);
    budget = rb_budget_make(&policy, 1000, 0, RB_NO_LONG); /* expired before it came */
    assert_int_equal(rb_budget_next(&budget, 1000, 1000, 1), RB_NO_LONG);
}

/* However pauses fall: tries come in order, one of them at the last moment, none after the end. */
static void tries_fill_a_budget_and_end_with_the_last_one(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 200; seed++) {
        struct rb_budget budget = {.since = 0, .until = 1000 + seed * 37, .keep_ms = seed % 7 * 10};
        int64_t now = 0, next;
        size_t tries = 1;

        srandom(seed);
        while ((next = rb_budget_next(&budget, now, now, 1 + random() % 300)) != RB_NO_LONG) {
            assert_true(next > now && next < budget.until + (budget.keep_ms == 0));
            now = next;
            tries++;
        }
        assert_true(tries >= 4);
        assert_true(now == rb_budget_last_try(&budget));
    }
}

/* -- outcome ------------------------------------------------------------------------------------------------------- */

static const struct rb_budget budget = {.since = 0, .until = 100000, .keep_ms = 1000};
static const struct rb_budget over = {.since = 0, .until = 10, .keep_ms = 1};
static const struct rb_budget asking = {.since = 0, .until = 900000};

static struct rb_situation at(const struct rb_budget *of_url, const struct rb_budget *of_asking, int64_t bound_ms)
{
    return (struct rb_situation){
        .budget = of_url,
        .asking = of_asking,
        .now = 5000,
        .tried_at = of_url == &over ? 5 : 4900,
        .pause_ms = bound_ms / 2,
        .bound_ms = bound_ms,
        .in_place_ms = 1000,
    };
}

static void the_class_of_an_error_decides_what_is_next(void **state)
{
    static const struct {
        enum rb_code code;
        const struct rb_budget *budget, *asking;
        bool asked;
        int64_t bound_ms;
        enum rb_next next;
    } rows[] = {
        {RB_E_SOURCE_CUT, &budget, NULL, false, 1000, RB_NEXT_IN_PLACE},
        {RB_E_SOURCE_CUT, &budget, &asking, false, 1000, RB_NEXT_IN_PLACE},
        {RB_E_SOURCE_CUT, &budget, NULL, false, 1001, RB_NEXT_LATER}, /* it did not help for long enough */
        {RB_E_SOURCE_CUT, &over, NULL, false, 1000, RB_NEXT_GIVE_UP},
        {RB_E_SOURCE_CUT, &over, &asking, false, 1000, RB_NEXT_ASK},
        {RB_E_SOURCE_CUT, &over, &asking, true, 1000, RB_NEXT_ASK_LATER},
        {RB_E_SOURCE_CUT, &over, &over, true, 1000, RB_NEXT_GIVE_UP},
        {RB_E_SOURCE_LIMITS, &budget, NULL, false, 10, RB_NEXT_LATER},
        {RB_E_SOURCE_DENIED, &budget, &asking, false, 10, RB_NEXT_ASK},
        {RB_E_SOURCE_DENIED, &budget, &asking, true, 10, RB_NEXT_ASK_LATER},
        {RB_E_SOURCE_DENIED, &budget, NULL, false, 10, RB_NEXT_LATER},
        {RB_E_SOURCE_DENIED, &over, NULL, false, 10, RB_NEXT_GIVE_UP},
        {RB_E_SOURCE_GONE, &budget, &asking, false, 10, RB_NEXT_ASK},
        {RB_E_SOURCE_GONE, &budget, NULL, false, 10, RB_NEXT_GIVE_UP},
        {RB_E_NOT_A_VIDEO, &budget, &asking, false, 10, RB_NEXT_GIVE_UP},
        {RB_E_DB_AWAY, &over, NULL, false, 10, RB_NEXT_WAIT},
        {RB_E_STORE_FULL, &over, NULL, false, 10, RB_NEXT_WAIT},
        {RB_E_PROVIDER_BUSY, &asking, NULL, true, 10, RB_NEXT_LATER},
        {RB_E_GROUP_FENCED, &budget, NULL, false, 10, RB_NEXT_STOP},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_situation situation = at(rows[i].budget, rows[i].asking, rows[i].bound_ms);
        struct rb_error err = {0};
        int64_t pause_ms = -1;

        situation.asked = rows[i].asked;
        rb_fail(&err, rows[i].code, 0, "x");
        if (rb_outcome_next(&err, &situation, &pause_ms) != rows[i].next)
            fail_msg("row %zu: %s", i, rb_code_name(rows[i].code));
    }
}

static void what_the_other_side_asks_for_is_waited_for(void **state)
{
    struct rb_situation situation = at(&budget, NULL, 100);
    struct rb_error err = {0};
    int64_t pause_ms = 0;

    (void)state;
    rb_fail(&err, RB_E_SOURCE_BUSY, 503, "x");
    err.wait_ms = 700;
    assert_int_equal(rb_outcome_next(&err, &situation, &pause_ms), RB_NEXT_IN_PLACE);
    assert_int_equal(pause_ms, 700);
    err.wait_ms = 7000; /* too long to wait for here */
    assert_int_equal(rb_outcome_next(&err, &situation, &pause_ms), RB_NEXT_LATER);
    assert_int_equal(pause_ms, 7000);
    err.wait_ms = 700000; /* longer than the URL lives: the last try is made all the same */
    assert_int_equal(rb_outcome_next(&err, &situation, &pause_ms), RB_NEXT_LATER);
    assert_int_equal(pause_ms, 99000 - 5000);
    rb_fail(&err, RB_E_STORE_BUSY, 503, "x");
    err.wait_ms = 70000; /* our own store: it is not looked at before */
    assert_int_equal(rb_outcome_next(&err, &situation, &pause_ms), RB_NEXT_WAIT);
    assert_int_equal(pause_ms, 70000);
}

static void no_outage_of_ours_ever_gives_a_video_up(void **state)
{
    (void)state;
    for (int code = 1; code < RB_E_COUNT; code++) {
        struct rb_situation situation = at(&over, NULL, 100);
        struct rb_error err = {0};
        int64_t pause_ms = 0;

        rb_fail(&err, (enum rb_code)code, 0, "x");
        if (err.class == RB_OUTAGE)
            assert_int_equal(rb_outcome_next(&err, &situation, &pause_ms), RB_NEXT_WAIT);
    }
}

/* -- heap ---------------------------------------------------------------------------------------------------------- */

static void a_heap_gives_the_lowest_rank_and_of_equals_the_first_one(void **state)
{
    static struct rb_heap_node nodes[500];
    struct rb_heap heap = {0};
    const struct rb_heap_node *last = NULL;
    struct rb_heap_node *node;

    (void)state;
    srandom(7);
    memset(nodes, 0, sizeof(nodes));
    assert_null(rb_heap_first(&heap));
    for (size_t i = 0; i < RB_COUNT(nodes); i++) {
        nodes[i].rank = random() % 50;
        rb_heap_add(&heap, &nodes[i]);
        rb_heap_check(&heap);
    }
    for (size_t i = 0; i < RB_COUNT(nodes); i += 3) {
        rb_heap_remove(&heap, &nodes[i]);
        rb_heap_remove(&heap, &nodes[i]); /* again: nothing */
        rb_heap_check(&heap);
    }
    for (size_t i = 0; (node = rb_heap_first(&heap)) != NULL; i++, last = node) {
        assert_true(last == NULL || last->rank < node->rank ||
                    (last->rank == node->rank && last->ticket < node->ticket));
        rb_heap_remove(&heap, node);
        rb_heap_check(&heap);
    }
    assert_int_equal(heap.count, 0);
    rb_heap_done(&heap);
}

/* -- slots --------------------------------------------------------------------------------------------------------- */

#define VIDEOS 1001

static struct rb_slot places[VIDEOS];
static size_t turns[VIDEOS]; /* who came in, in order */
static size_t turn_count;

static void on_turn(void *arg)
{
    turns[turn_count++] = (size_t)((struct rb_slot *)arg - places);
}

static bool enter(struct rb_slots *slots, size_t index, const char *user, const char *host, int64_t rank)
{
    places[index] =
        (struct rb_slot){.user = user, .host = host, .rank = rank, .on_turn = on_turn, .arg = &places[index]};
    return rb_slots_enter(slots, &places[index]);
}

static size_t next_in(struct rb_slots *slots, size_t leaves)
{
    size_t before = turn_count;

    rb_slots_leave(slots, &places[leaves]);
    return turn_count == before + 1 ? turns[before] : SIZE_MAX;
}

static void of_one_user_the_video_goes_first_that_expires_first(void **state)
{
    struct rb_slots *slots = rb_slots_new(1, 1);

    (void)state;
    turn_count = 0;
    assert_true(enter(slots, 0, "a", "h", 9));
    assert_false(enter(slots, 1, "a", "h", 5));
    assert_false(enter(slots, 2, "a", "h", 3));
    assert_false(enter(slots, 3, "a", "h", 5));
    assert_int_equal(rb_slots_waiting(slots), 3);
    assert_int_equal(next_in(slots, 0), 2);
    assert_int_equal(next_in(slots, 2), 1); /* first come, first served */
    rb_slots_leave(slots, &places[3]);      /* out of the line */
    assert_int_equal(next_in(slots, 1), SIZE_MAX);
    rb_slots_leave(slots, &places[1]); /* again: nothing */
    assert_int_equal(rb_slots_used(slots), 0);
    rb_slots_free(slots);
}

static void a_thousand_videos_of_one_user_do_not_hold_up_the_one_of_another(void **state)
{
    struct rb_slots *slots = rb_slots_new(4, 4);

    (void)state;
    turn_count = 0;
    for (size_t i = 0; i < VIDEOS - 1; i++)
        assert_int_equal(enter(slots, i, "a", "h", (int64_t)i), i < 4);
    assert_false(enter(slots, VIDEOS - 1, "b", "h", 999999)); /* it has more time than all the others */
    assert_int_equal(next_in(slots, 0), VIDEOS - 1);
    assert_int_equal(next_in(slots, 1), 4); /* and then the first user goes on */
    assert_int_equal(next_in(slots, VIDEOS - 1), 5);
    for (size_t i = 0; i < VIDEOS; i++)
        rb_slots_leave(slots, &places[i]);
    assert_int_equal(rb_slots_used(slots) + rb_slots_waiting(slots), 0);
    rb_slots_free(slots);
}

static void among_users_with_equally_many_the_earliest_expiry_goes_first(void **state)
{
    struct rb_slots *slots = rb_slots_new(1, 1);
    static const char *const users[] = {"a", "b", "c", "d"};
    static const int64_t ranks[] = {0, 30, 10, 20};

    (void)state;
    turn_count = 0;
    for (size_t i = 0; i < 4; i++)
        enter(slots, i, users[i], "h", ranks[i]);
    assert_int_equal(next_in(slots, 0), 2);
    assert_int_equal(next_in(slots, 2), 3);
    assert_int_equal(next_in(slots, 3), 1);
    rb_slots_leave(slots, &places[1]);
    rb_slots_free(slots);
}

static void where_slots_are_scarce_users_take_turns(void **state)
{
    struct rb_slots *slots = rb_slots_new(1, 1);
    size_t first_b = 0, of_b = 0;

    (void)state;
    turn_count = 0;
    for (size_t i = 0; i < 100; i++)
        (void)enter(slots, i, i < 90 ? "a" : "b", "h", (int64_t)i); /* all of a's expire earlier */
    for (size_t at = 0; turn_count < 30; at = turns[turn_count - 1])
        assert_true(next_in(slots, at) < 100);
    for (size_t i = 0; i < 30; i++) {
        first_b = of_b == 0 ? i : first_b;
        of_b += turns[i] >= 90;
    }
    assert_true(first_b < 10);
    assert_int_equal(of_b, 10);
    for (size_t i = 0; i < 100; i++)
        rb_slots_leave(slots, &places[i]);
    rb_slots_free(slots);
}

static void a_host_gets_no_more_than_its_share(void **state)
{
    struct rb_slots *slots = rb_slots_new(3, 2);

    (void)state;
    turn_count = 0;
    assert_true(enter(slots, 0, "a", "slow", 1));
    assert_true(enter(slots, 1, "b", "slow", 1));
    assert_false(enter(slots, 2, "c", "slow", 1));
    assert_true(enter(slots, 3, "c", "quick", 9)); /* the third slot is for somebody else */
    assert_false(enter(slots, 4, "d", "quick", 9));
    assert_int_equal(next_in(slots, 3), 4);
    assert_int_equal(next_in(slots, 4), SIZE_MAX); /* a slot stays free */
    assert_int_equal(next_in(slots, 0), 2);
    rb_slots_leave(slots, &places[1]);
    rb_slots_leave(slots, &places[2]);
    rb_slots_free(slots);
}

static void a_limit_holds_back_and_lets_go(void **state)
{
    struct rb_slots *slots = rb_slots_new(3, 3);

    (void)state;
    turn_count = 0;
    rb_slots_limit(slots, 0);
    for (size_t i = 0; i < 5; i++)
        assert_false(enter(slots, i, "a", "h", (int64_t)i));
    rb_slots_limit(slots, 1);
    assert_int_equal(turn_count, 1);
    assert_int_equal(next_in(slots, 0), 1); /* still one at a time */
    rb_slots_hold(slots, RB_SLOTS_ROOM, true);
    rb_slots_hold(slots, RB_SLOTS_OPERATOR, true);
    rb_slots_limit(slots, SIZE_MAX);
    assert_int_equal(turn_count, 2);
    rb_slots_hold(slots, RB_SLOTS_ROOM, false);
    assert_int_equal(turn_count, 2); /* the other still holds them */
    rb_slots_hold(slots, RB_SLOTS_OPERATOR, false);
    assert_int_equal(turn_count, 4);
    for (size_t i = 0; i < 5; i++)
        rb_slots_leave(slots, &places[i]);
    rb_slots_free(slots);
}

/* -- circuit ------------------------------------------------------------------------------------------------------- */

static const struct rb_metric metric_rows[] = {CONSUMER_METRICS(RB_METRIC_ROW)};

struct bench {
    struct rb_loop *loop;
    struct rb_metrics metrics;
    struct rb_slots *slots;
    struct rb_circuit *circuit;
    struct rb_circuit *fallback; /* NULL when there is none */
};

static void bench_circuits(struct bench *bench, int64_t join_ms, bool spills)
{
    struct rb_circuit_config config = {
        .of = RB_CIRCUIT_OF_FALLBACK,
        .metrics = &bench->metrics,
        .first_ms = 2,
        .max_ms = 2,
        .join_ms = join_ms,
        .spill_after_ms = 1,
    };

    rb_circuit_free(bench->circuit);
    if (spills)
        bench->fallback = rb_circuit_new(bench->loop, &config);
    config.of = RB_CIRCUIT_OF_FIRST;
    config.slots = bench->slots;
    config.fallback = bench->fallback;
    bench->circuit = rb_circuit_new(bench->loop, &config);
}

static void bench_open(struct bench *bench, int64_t join_ms)
{
    bench->loop = rb_loop_new();
    rb_metrics_init(&bench->metrics, metric_rows, RB_COUNT(metric_rows));
    bench->slots = rb_slots_new(3, 3);
    bench_circuits(bench, join_ms, false);
    turn_count = 0;
}

static void bench_close(struct bench *bench)
{
    rb_circuit_free(bench->circuit);
    rb_circuit_free(bench->fallback);
    rb_slots_free(bench->slots);
    rb_metrics_done(&bench->metrics);
    rb_loop_free(bench->loop);
}

static void bad_for(struct rb_circuit *circuit, enum rb_code code)
{
    struct rb_error err = {0};

    rb_fail(&err, code, 0, "x");
    rb_circuit_bad(circuit, &err);
}

static void bad(struct bench *bench, enum rb_code code)
{
    bad_for(bench->circuit, code);
}

static void stop_when_half_open(void *arg)
{
    struct bench *bench = arg;

    if (rb_circuit_state(bench->circuit) != RB_CIRCUIT_OPEN)
        rb_loop_stop(bench->loop);
}

/* Run the loop until the circuit lets a probe through. */
static void wait_for_probe(struct bench *bench)
{
    struct rb_timer *timer = rb_timer_new(bench->loop, stop_when_half_open, bench);

    while (rb_circuit_state(bench->circuit) == RB_CIRCUIT_OPEN) {
        rb_timer_start(timer, 5);
        rb_loop_run(bench->loop);
    }
    rb_timer_free(timer);
}

static void a_full_store_opens_the_circuit_and_one_probe_closes_it(void **state)
{
    struct bench bench = {0};

    (void)state;
    bench_open(&bench, 3600000);
    assert_true(enter(bench.slots, 0, "a", "h", 1));
    bad(&bench, RB_E_STORE_FULL);
    assert_int_equal(rb_circuit_state(bench.circuit), RB_CIRCUIT_OPEN);
    assert_int_equal(bench.metrics.values[METRIC_CIRCUIT_FULL], 1);
    rb_slots_leave(bench.slots, &places[0]);
    for (size_t i = 0; i < 5; i++)
        assert_false(enter(bench.slots, i, "a", "h", (int64_t)i));
    wait_for_probe(&bench);
    assert_int_equal(turn_count, 1); /* one, and not three */
    assert_int_equal(bench.metrics.values[METRIC_CIRCUIT_FULL], 1);
    assert_int_equal(next_in(bench.slots, 0), 1); /* its source failed: the next one is the probe */
    bad(&bench, RB_E_STORE_DENIED);
    assert_int_equal(rb_circuit_state(bench.circuit), RB_CIRCUIT_OPEN);
    assert_int_equal(bench.metrics.values[METRIC_CIRCUIT_FULL], 0);
    assert_int_equal(bench.metrics.values[METRIC_CIRCUIT_DENIED], 1);
    assert_int_equal(next_in(bench.slots, 1), SIZE_MAX);
    wait_for_probe(&bench);
    rb_circuit_good(bench.circuit);
    assert_int_equal(rb_circuit_state(bench.circuit), RB_CIRCUIT_CLOSED);
    assert_int_equal(turn_count, 5);
    assert_int_equal(bench.metrics.values[METRIC_CIRCUIT_DENIED], 0);
    for (size_t i = 0; i < 5; i++)
        rb_slots_leave(bench.slots, &places[i]);
    bench_close(&bench);
}

static void stop_soon(void *arg)
{
    rb_loop_stop(((struct bench *)arg)->loop);
}

static void a_probe_that_takes_long_is_joined_by_another(void **state)
{
    struct bench bench = {0};
    struct rb_timer *timer;

    (void)state;
    bench_open(&bench, 1);
    bad(&bench, RB_E_STORE_FULL);
    for (size_t i = 0; i < 2; i++)
        assert_false(enter(bench.slots, i, "a", "h", (int64_t)i));
    timer = rb_timer_new(bench.loop, stop_soon, &bench);
    while (rb_slots_used(bench.slots) < 2) {
        rb_timer_start(timer, 1);
        rb_loop_run(bench.loop);
    }
    rb_timer_free(timer);
    assert_int_equal(rb_circuit_state(bench.circuit), RB_CIRCUIT_HALF_OPEN);
    bad(&bench, RB_E_STORE_FULL);
    for (size_t i = 0; i < 2; i++)
        rb_slots_leave(bench.slots, &places[i]);
    assert_false(enter(bench.slots, 0, "a", "h", 1));
    rb_slots_leave(bench.slots, &places[0]);
    bench_close(&bench);
}

static void stop_when_spilling(void *arg)
{
    struct bench *bench = arg;

    if (!rb_circuit_blocks(bench->circuit))
        rb_loop_stop(bench->loop);
}

static void a_store_that_is_out_for_long_gets_only_probes_and_the_fallback_the_rest(void **state)
{
    struct bench bench = {0};

    (void)state;
    bench_open(&bench, 3600000);
    bench_circuits(&bench, 60000, true);

    struct rb_timer *timer = rb_timer_new(bench.loop, stop_when_spilling, &bench);

    assert_int_equal(rb_circuit_route(bench.circuit), RB_ROUTE_FIRST);
    bad(&bench, RB_E_STORE_DENIED);
    assert_int_equal(rb_circuit_route(bench.circuit), RB_ROUTE_FIRST);
    while (rb_circuit_blocks(bench.circuit)) {
        rb_timer_start(timer, 5);
        rb_loop_run(bench.loop);
    }
    wait_for_probe(&bench);
    assert_int_equal(rb_circuit_route(bench.circuit), RB_ROUTE_FIRST); /* the probe */
    assert_int_equal(rb_circuit_route(bench.circuit), RB_ROUTE_FALLBACK);
    bad(&bench, RB_E_STORE_DENIED);
    assert_int_equal(rb_circuit_route(bench.circuit), RB_ROUTE_FALLBACK);
    wait_for_probe(&bench);
    assert_int_equal(rb_circuit_route(bench.circuit), RB_ROUTE_FIRST);
    rb_circuit_good(bench.circuit);
    assert_int_equal(rb_circuit_route(bench.circuit), RB_ROUTE_FIRST);
    assert_int_equal(rb_circuit_route(bench.circuit), RB_ROUTE_FIRST);
    rb_timer_free(timer);
    bench_close(&bench);
}

static void run_for_a_moment(struct bench *bench)
{
    struct rb_timer *timer = rb_timer_new(bench->loop, stop_soon, bench);

    rb_timer_start(timer, 5);
    rb_loop_run(bench->loop);
    rb_timer_free(timer);
}

static void wait_until_fallback(struct bench *bench, enum rb_circuit_state state)
{
    while (rb_circuit_state(bench->fallback) != state)
        run_for_a_moment(bench);
}

static void a_fallback_store_that_is_out_as_well_gets_only_probes_too(void **state)
{
    struct bench bench = {0};

    (void)state;
    bench_open(&bench, 3600000);
    bench_circuits(&bench, 3600000, true);
    assert_true(rb_circuit_admits(bench.fallback) && rb_circuit_admits(bench.fallback));
    bad_for(bench.fallback, RB_E_STORE_FULL); /* some videos go there for other reasons */
    assert_false(rb_circuit_admits(bench.fallback));
    assert_int_equal(rb_circuit_why(bench.fallback)->code, RB_E_STORE_FULL);
    assert_int_equal(bench.metrics.values[METRIC_FALLBACK_FULL], 1);
    assert_int_equal(bench.metrics.values[METRIC_CIRCUIT_FULL], 0);
    assert_true(enter(bench.slots, 0, "a", "h", 1)); /* the first store is as it was */
    assert_false(rb_circuit_blocks(bench.circuit));
    rb_slots_leave(bench.slots, &places[0]);
    bad(&bench, RB_E_STORE_DENIED);
    do {
        run_for_a_moment(&bench);
        bad_for(bench.fallback, RB_E_STORE_FULL); /* whatever a probe of it may say */
    } while (rb_circuit_route(bench.circuit) != RB_ROUTE_NOWHERE);
    assert_true(rb_circuit_blocks(bench.circuit)); /* there is nowhere to go: no more records */
    wait_until_fallback(&bench, RB_CIRCUIT_HALF_OPEN);
    assert_true(rb_circuit_admits(bench.fallback)); /* the probe */
    assert_false(rb_circuit_admits(bench.fallback));
    bad_for(bench.fallback, RB_E_SOURCE_GONE); /* it says nothing about the store */
    assert_true(rb_circuit_admits(bench.fallback));
    rb_circuit_good(bench.fallback);
    assert_int_equal(rb_circuit_state(bench.fallback), RB_CIRCUIT_CLOSED);
    assert_int_equal(bench.metrics.values[METRIC_FALLBACK_FULL], 0);
    assert_true(bench.metrics.values[METRIC_FALLBACK_PROBES] >= 1);
    assert_false(rb_circuit_blocks(bench.circuit));
    bench_close(&bench);
}

/* What becomes of videos over the mark is quota_then's matter, before an outage as well as after it. */
static void only_an_outage_spills_and_not_a_quota_of_ones_own(void **state)
{
    struct bench bench = {0};

    (void)state;
    bench_open(&bench, 3600000);
    bench_circuits(&bench, 60000, true);
    bad(&bench, RB_E_QUOTA_ALL);
    run_for_a_moment(&bench);
    wait_for_probe(&bench);
    assert_true(rb_circuit_blocks(bench.circuit));
    bad(&bench, RB_E_STORE_DENIED);
    run_for_a_moment(&bench);
    assert_false(rb_circuit_blocks(bench.circuit));
    wait_for_probe(&bench);
    bad(&bench, RB_E_QUOTA_ALL);
    assert_true(rb_circuit_blocks(bench.circuit));
    assert_int_equal(rb_circuit_route(bench.circuit), RB_ROUTE_FIRST);
    bench_close(&bench);
}

static void one_hiccup_of_the_store_does_not_open_the_circuit_but_a_row_of_them_does(void **state)
{
    struct bench bench = {0};

    (void)state;
    bench_open(&bench, 3600000);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 1; i < rb_circuit_threshold(RB_E_STORE_AWAY); i++)
            bad(&bench, RB_E_STORE_AWAY);
        bad(&bench, RB_E_SOURCE_GONE); /* not the store's */
        assert_int_equal(rb_circuit_state(bench.circuit), RB_CIRCUIT_CLOSED);
        rb_circuit_good(bench.circuit);
    }
    for (unsigned i = 0; i < rb_circuit_threshold(RB_E_STORE_AWAY); i++)
        bad(&bench, RB_E_STORE_AWAY);
    assert_int_equal(rb_circuit_state(bench.circuit), RB_CIRCUIT_OPEN);
    rb_circuit_good(bench.circuit); /* one that had begun before says nothing */
    assert_int_equal(rb_circuit_state(bench.circuit), RB_CIRCUIT_OPEN);
    assert_int_equal(rb_circuit_threshold(RB_E_SOURCE_GONE), 0);
    bench_close(&bench);
}

static void what_is_wrong_with_one_object_opens_no_circuit(void **state)
{
    struct bench bench = {0};

    (void)state;
    bench_open(&bench, 3600000);
    for (int round = 0; round < 20; round++) {
        bad(&bench, RB_E_OBJECT_REFUSED);
        bad(&bench, RB_E_TOO_LARGE);
    }
    assert_int_equal(rb_circuit_state(bench.circuit), RB_CIRCUIT_CLOSED);
    for (int round = 0; round < 20; round++) { /* not understood, while others are stored */
        bad(&bench, RB_E_STORE_ANSWER);
        rb_circuit_good(bench.circuit);
    }
    assert_int_equal(rb_circuit_state(bench.circuit), RB_CIRCUIT_CLOSED);
    for (int round = 0; round < 20; round++) /* no other has come yet: they are still read */
        bad(&bench, RB_E_STORE_ANSWER);
    assert_int_equal(rb_circuit_state(bench.circuit), RB_CIRCUIT_OPEN);
    assert_false(rb_circuit_blocks(bench.circuit));
    bench_close(&bench);
    bench = (struct bench){0};
    bench_open(&bench, 3600000);
    bad(&bench, RB_E_STORE_REFUSED);
    assert_int_equal(rb_circuit_state(bench.circuit), RB_CIRCUIT_OPEN);
    assert_true(rb_circuit_blocks(bench.circuit));
    bench_close(&bench);
}

static bool is_alone(struct bench *bench, struct rb_refusals *refusals, enum rb_code code)
{
    struct rb_error err = {0};

    rb_fail(&err, code, 0, "x");
    return rb_circuit_is_alone(bench->circuit, refusals, &err);
}

static void a_video_is_refused_for_good_only_while_others_are_taken(void **state)
{
    struct bench bench = {0};
    struct rb_refusals refusals = {0};

    (void)state;
    bench_open(&bench, 3600000);
    for (int round = 0; round < 20; round++) /* a store that takes nothing proves nothing */
        assert_false(is_alone(&bench, &refusals, RB_E_STORE_ANSWER));
    rb_circuit_took(bench.circuit);
    assert_false(is_alone(&bench, &refusals, RB_E_STORE_AWAY)); /* says nothing about the video */
    assert_false(is_alone(&bench, &refusals, RB_E_STORE_ANSWER));
    assert_false(is_alone(&bench, &refusals, RB_E_STORE_ANSWER)); /* no other one in between */
    rb_circuit_took(bench.circuit);
    assert_true(is_alone(&bench, &refusals, RB_E_STORE_ANSWER));
    bench_close(&bench);
}

/* -- delay --------------------------------------------------------------------------------------------------------- */

static size_t room_left;

static size_t room(void *arg)
{
    (void)arg;
    return room_left;
}

static void on_due(void *arg)
{
    turns[turn_count++] = (size_t)(uintptr_t)arg;
    room_left -= room_left > 0;
}

static void delayed_records_leave_in_the_order_of_their_times_when_there_is_room(void **state)
{
    struct rb_loop *loop = rb_loop_new();
    struct rb_delay *delay = rb_delay_new(loop, 4);
    struct rb_delayed delayed[6] = {0};
    static const int64_t past_ms[] = {30, 10, 50, 20, 40, -3600000}; /* the last one's time is in an hour */

    (void)state;
    turn_count = 0;
    room_left = 0;
    rb_delay_set_room(delay, room, NULL);
    for (size_t i = 0; i < RB_COUNT(delayed); i++) {
        delayed[i] = (struct rb_delayed){.on_due = on_due, .arg = (void *)(uintptr_t)i};
        rb_delay_enter(delay, &delayed[i], -past_ms[i]);
    }
    assert_true(rb_delay_is_full(delay)); /* what was fetched is kept all the same */
    assert_int_equal(rb_delay_count(delay), 6);
    rb_delay_poke(delay);
    assert_int_equal(turn_count, 0);
    room_left = 2;
    rb_delay_poke(delay);
    assert_int_equal(turn_count, 2);
    assert_int_equal(turns[0], 2);
    assert_int_equal(turns[1], 4);
    assert_true(rb_delay_is_full(delay));
    room_left = 100;
    rb_delay_poke(delay);
    assert_int_equal(turn_count, 5);
    assert_int_equal(turns[4], 1);
    assert_false(rb_delay_is_full(delay));
    assert_true(rb_delay_has(&delayed[5]));
    rb_delay_leave(delay, &delayed[5]);
    rb_delay_leave(delay, &delayed[5]);
    rb_delay_free(delay);
    rb_loop_free(loop);
}

static void nobody_waits_longer_than_was_meant_whatever_the_clocks_show(void **state)
{
    const int64_t now = 1800000000000, hour = 3600000;

    (void)state;
    assert_int_equal(rb_budget_wait_ms(now + 1000, now - 500, now), 1000);
    assert_int_equal(rb_budget_wait_ms(now - 1000, now - 2000, now), -1000);
    assert_int_equal(rb_budget_wait_ms(now + hour + 1000, now + hour, now), 1000); /* the writer's clock was ahead */
    assert_int_equal(rb_budget_wait_ms(now - hour + 1000, now - hour, now), -hour + 1000);
    assert_int_equal(rb_budget_wait_ms(now + 1000, -1, now), 1000); /* Kafka has no time for it */
}

/* -- lifetime ------------------------------------------------------------------------------------------------------ */

#define MINUTE INT64_C(60000)

static void lifetimes_are_learnt_from_what_urls_say_and_from_those_that_die(void **state)
{
    static struct rb_lifetimes lifetimes;
    static const char *const videos[] = {"a", "b", "c"};

    (void)state;
    memset(&lifetimes, 0, sizeof(lifetimes));
    assert_int_equal(rb_lifetime_of(&lifetimes, "openai"), RB_NO_LONG);
    rb_lifetime_said(&lifetimes, "openai", 60 * MINUTE);
    assert_int_equal(rb_lifetime_of(&lifetimes, "openai"), 60 * MINUTE);
    rb_lifetime_said(&lifetimes, "openai", 20 * MINUTE);
    assert_int_equal(rb_lifetime_of(&lifetimes, "openai"), 20 * MINUTE);
    rb_lifetime_said(&lifetimes, "openai", 60 * MINUTE);
    assert_int_equal(rb_lifetime_of(&lifetimes, "openai"), 25 * MINUTE);
    for (int i = 0; i < 3; i++)
        rb_lifetime_died(&lifetimes, "openai", videos[i], MINUTE); /* they may never have worked */
    assert_int_equal(rb_lifetime_of(&lifetimes, "openai"), 25 * MINUTE);
    for (int i = 0; i < 3; i++)
        rb_lifetime_died(&lifetimes, "openai", videos[i], (8 + i) * MINUTE);
    assert_int_equal(rb_lifetime_of(&lifetimes, "openai"), 10 * MINUTE);
    rb_lifetime_lived(&lifetimes, "openai", 15 * MINUTE); /* so it was something else */
    assert_int_equal(rb_lifetime_of(&lifetimes, "openai"), 15 * MINUTE);
    rb_lifetime_lived(&lifetimes, "other", 15 * MINUTE);
    assert_int_equal(rb_lifetime_of(&lifetimes, "other"), RB_NO_LONG);
}

static void a_video_that_was_deleted_does_not_shorten_the_lives_of_all_others(void **state)
{
    static struct rb_lifetimes lifetimes;

    (void)state;
    memset(&lifetimes, 0, sizeof(lifetimes));
    for (int i = 0; i < 10; i++)
        rb_lifetime_died(&lifetimes, "openai", "a", (6 + i) * MINUTE); /* one and the same, tried again and again */
    rb_lifetime_died(&lifetimes, "openai", "b", 7 * MINUTE);
    assert_int_equal(rb_lifetime_of(&lifetimes, "openai"), RB_NO_LONG);
    rb_lifetime_lived(&lifetimes, "openai", 8 * MINUTE); /* so they did not die of age */
    rb_lifetime_died(&lifetimes, "openai", "c", 61 * MINUTE);
    rb_lifetime_died(&lifetimes, "openai", "a", 60 * MINUTE);
    assert_int_equal(rb_lifetime_of(&lifetimes, "openai"), RB_NO_LONG);
    rb_lifetime_died(&lifetimes, "openai", "b", 6 * MINUTE);
    assert_int_equal(rb_lifetime_of(&lifetimes, "openai"), 61 * MINUTE);
}

static void no_more_is_remembered_than_there_is_room_for(void **state)
{
    static struct rb_lifetimes lifetimes;
    char key[32];

    (void)state;
    memset(&lifetimes, 0, sizeof(lifetimes));
    rb_lifetime_said(&lifetimes, "kept", 10 * MINUTE);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "host-%d", i);
        rb_lifetime_said(&lifetimes, key, 20 * MINUTE);
        assert_int_equal(rb_lifetime_of(&lifetimes, "kept"), 10 * MINUTE); /* used all the time */
    }
    assert_int_equal(rb_lifetime_of(&lifetimes, "host-0"), RB_NO_LONG);
    assert_int_equal(rb_lifetime_of(&lifetimes, "host-999"), 20 * MINUTE);
}

UNIT_MAIN(T(a_budget_ends_when_the_url_expires), T(the_last_try_is_kept_for_just_before_the_end),
          T(a_budget_of_nothing_allows_no_second_try), T(tries_fill_a_budget_and_end_with_the_last_one),
          T(the_class_of_an_error_decides_what_is_next), T(what_the_other_side_asks_for_is_waited_for),
          T(no_outage_of_ours_ever_gives_a_video_up), T(a_heap_gives_the_lowest_rank_and_of_equals_the_first_one),
          T(of_one_user_the_video_goes_first_that_expires_first),
          T(a_thousand_videos_of_one_user_do_not_hold_up_the_one_of_another),
          T(where_slots_are_scarce_users_take_turns), T(among_users_with_equally_many_the_earliest_expiry_goes_first),
          T(a_host_gets_no_more_than_its_share), T(a_limit_holds_back_and_lets_go),
          T(a_full_store_opens_the_circuit_and_one_probe_closes_it), T(a_probe_that_takes_long_is_joined_by_another),
          T(a_store_that_is_out_for_long_gets_only_probes_and_the_fallback_the_rest),
          T(a_fallback_store_that_is_out_as_well_gets_only_probes_too),
          T(only_an_outage_spills_and_not_a_quota_of_ones_own),
          T(one_hiccup_of_the_store_does_not_open_the_circuit_but_a_row_of_them_does),
          T(what_is_wrong_with_one_object_opens_no_circuit), T(a_video_is_refused_for_good_only_while_others_are_taken),
          T(delayed_records_leave_in_the_order_of_their_times_when_there_is_room),
          T(nobody_waits_longer_than_was_meant_whatever_the_clocks_show),
          T(lifetimes_are_learnt_from_what_urls_say_and_from_those_that_die),
          T(a_video_that_was_deleted_does_not_shorten_the_lives_of_all_others),
          T(no_more_is_remembered_than_there_is_room_for))

#include "tests/unit/unit.h"

#include "consumer/replay_inside.h"

/* A replay that is to read ten records of one partition, and has read nothing. */
struct fixture {
    struct replay replay;
    struct rb_tail_topic topic;
    struct rb_tail_part part;
    struct replay_part of;
    char name[32];
};

static void fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){.replay = {.magic = REPLAY_MAGIC, .run = 7}, .name = "video.webhook.received"};
    fixture->topic.name = fixture->name;
    fixture->part = (struct rb_tail_part){.topic = &fixture->topic, .number = 2, .from = 0, .to = 10};
    fixture->of = (struct replay_part){.committed = -1};
    fixture->replay.range = (struct rb_tail_range){.parts = &fixture->part, .part_count = 1};
    fixture->replay.parts_of = &fixture->of;
    rb_offsets_init(&fixture->of.offsets);
    (void)rb_offsets_reach(&fixture->of.offsets, 0);
}

static void fixture_done(struct fixture *fixture)
{
    rb_offsets_done(&fixture->of.offsets);
    free(fixture->of.text);
}

/* As the brokers tell of it: record 3 is not finished, 4 and 5 are, by this run. */
static void take(struct fixture *fixture, int64_t run)
{
    uint64_t seed = rb_offset_map_seed(fixture->name, 2);
    char text[24 + RB_OFFSET_MAP_TEXT_BYTES];
    rd_kafka_topic_partition_t entry = {.topic = fixture->name, .partition = 2, .offset = 3, .metadata = text};
    struct rb_offset_map map = {0};
    int used = snprintf(text, sizeof(text), "%d ", (int)run);

    rb_offset_map_add(&map, 4, 6);
    rb_offset_map_write(&map, seed, 3, text + used);
    rb_offset_map_done(&map);
    entry.metadata_size = strlen(text);
    replay_commit_take(&fixture->replay, 0, &entry);
}

static void a_run_goes_on_behind_what_it_has_finished(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    take(&fixture, 7);
    assert_int_equal(fixture.of.next, 3);
    assert_false(fixture.of.done);
    assert_int_equal(rb_offsets_begin(&fixture.of.offsets, 3), RB_OFFSETS_NEW);
    assert_int_equal(rb_offsets_begin(&fixture.of.offsets, 4), RB_OFFSETS_FINISHED);
    assert_int_equal(rb_offsets_begin(&fixture.of.offsets, 5), RB_OFFSETS_FINISHED);
    assert_int_equal(rb_offsets_begin(&fixture.of.offsets, 6), RB_OFFSETS_NEW);
    fixture_done(&fixture);
}

static void what_another_run_has_finished_says_nothing(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    take(&fixture, 77);
    take(&fixture, 6);
    assert_int_equal(fixture.of.next, 0);
    assert_int_equal(fixture.of.committed, -1);
    for (int64_t offset = 0; offset < 10; offset++)
        assert_int_equal(rb_offsets_begin(&fixture.of.offsets, offset), RB_OFFSETS_NEW);
    fixture_done(&fixture);
}

static void nothing_is_left_of_a_partition_that_was_read_to_its_end(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.part.to = 3;
    take(&fixture, 7);
    assert_true(fixture.of.done);
    fixture_done(&fixture);
}

UNIT_MAIN(T(a_run_goes_on_behind_what_it_has_finished), T(what_another_run_has_finished_says_nothing),
          T(nothing_is_left_of_a_partition_that_was_read_to_its_end))

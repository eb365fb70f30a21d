/*
 * replay_commit.c — how far a replay is: offsets that go into the transactions with what it announces.
 *
 * Way:  replay -> [replay_commit] <- offsets, commit
 *
 * Nobody is a member of the group: partitions are not shared, and two replays of one group throw each other out by the
 * transactional id. The number of the run stands before the map: what another run has committed says nothing about this one.
 */
#include <inttypes.h>

#include "common/clock.h"
#include "consumer/replay_inside.h"

#define LOOK_MS       5000
#define LOOK_AGAIN_MS 500
#define RUN_TEXT      24
#define WAIT_MS       20

static size_t find_part(const struct replay *replay, const char *topic, int32_t number)
{
    for (size_t i = 0; i < replay->range.part_count; i++)
        if (replay->range.parts[i].number == number && strcmp(replay->range.parts[i].topic->name, topic) == 0)
            return i;
    return SIZE_MAX;
}

static uint64_t seed_of(const struct replay *replay, size_t part)
{
    return rb_offset_map_seed(replay->range.parts[part].topic->name, replay->range.parts[part].number);
}

static bool stage(const struct rb_origin *origin, void *arg)
{
    struct replay *replay = RB_CAST(replay, arg, REPLAY_MAGIC);
    size_t part = find_part(replay, origin->topic, origin->partition);

    if (part == SIZE_MAX)
        return false;
    rb_offsets_stage(&replay->parts_of[part].offsets, origin->offset);
    replay->parts_of[part].changed = true;
    return true;
}

static void collect_part(struct replay *replay, size_t part, rd_kafka_topic_partition_list_t *list)
{
    struct replay_part *of = &replay->parts_of[part];
    char text[RUN_TEXT + RB_OFFSET_MAP_TEXT_BYTES];
    struct rb_offset_map map = {0};
    int64_t offset = rb_offsets_snapshot(&of->offsets, &map);
    int used = snprintf(text, RUN_TEXT, "%" PRId64 " ", replay->run);
    rd_kafka_topic_partition_t *entry;

    of->changed = false;
    rb_offset_map_write(&map, seed_of(replay, part), offset, text + used);
    rb_offset_map_done(&map);
    if (offset == of->committed && of->text != NULL && strcmp(text, of->text) == 0)
        return;
    entry = rd_kafka_topic_partition_list_add(list, replay->range.parts[part].topic->name,
                                              replay->range.parts[part].number);
    entry->offset = offset;
    entry->metadata = rb_xstrdup(text);
    entry->metadata_size = strlen(text);
}

static rd_kafka_topic_partition_list_t *collect(rd_kafka_consumer_group_metadata_t **ret_group, void *arg)
{
    struct replay *replay = RB_CAST(replay, arg, REPLAY_MAGIC);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

    for (size_t i = 0; i < replay->range.part_count; i++)
        if (replay->parts_of[i].changed)
            collect_part(replay, i, list);
    if (list->cnt == 0) {
        rd_kafka_topic_partition_list_destroy(list);
        return NULL;
    }
    *ret_group = rd_kafka_consumer_group_metadata_new(replay->group);
    return list;
}

static void settle(bool committed, const rd_kafka_topic_partition_list_t *list, void *arg)
{
    struct replay *replay = RB_CAST(replay, arg, REPLAY_MAGIC);

    for (size_t i = 0; i < replay->range.part_count; i++)
        rb_offsets_settle(&replay->parts_of[i].offsets, committed);
    for (int i = 0; i < list->cnt; i++) {
        size_t part = find_part(replay, list->elems[i].topic, list->elems[i].partition);
        struct replay_part *of = &replay->parts_of[part];

        if (!committed) {
            of->changed = true;
            continue;
        }
        of->committed = list->elems[i].offset;
        free(of->text);
        of->text = rb_xstrdup(list->elems[i].metadata);
    }
    if (committed)
        replay->moved_ms = rb_clock_ms();
    replay_poke(replay);
}

/* -- what was committed -------------------------------------------------------------------------------------------- */

rd_kafka_resp_err_t replay_committed(rd_kafka_t *handle, rd_kafka_topic_partition_list_t *list, int wait_ms)
{
    rd_kafka_resp_err_t code = rd_kafka_committed(handle, list, wait_ms);

    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        code = list->elems[i].err;
    return code;
}

/* -- after doubt --------------------------------------------------------------------------------------------------- */

static void ask_found(void *arg)
{
    struct replay *replay = RB_CAST(replay, arg, REPLAY_MAGIC);

    replay->look_code = replay_committed(replay->look_handle, replay->found, LOOK_MS);
}

/* No two transactions of ours commit the same for a partition, and nobody else commits for the group. */
static bool is_there(const rd_kafka_topic_partition_t *wanted, const rd_kafka_topic_partition_t *found)
{
    return found->err == RD_KAFKA_RESP_ERR_NO_ERROR && found->offset == wanted->offset &&
           found->metadata_size == wanted->metadata_size &&
           memcmp(found->metadata, wanted->metadata, found->metadata_size) == 0;
}

static void drop_lists(struct replay *replay)
{
    if (replay->wanted != NULL)
        rd_kafka_topic_partition_list_destroy(replay->wanted);
    if (replay->found != NULL)
        rd_kafka_topic_partition_list_destroy(replay->found);
    replay->wanted = replay->found = NULL;
}

static void on_found(void *arg)
{
    struct replay *replay = RB_CAST(replay, arg, REPLAY_MAGIC);
    bool committed;

    replay->look = NULL;
    if (replay->look_code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rb_timer_start(replay->look_timer, LOOK_AGAIN_MS);
        return;
    }
    committed = is_there(&replay->wanted->elems[0], &replay->found->elems[0]);
    drop_lists(replay);
    rb_commit_looked(rb_emit_commit(replay->parts.emit), committed);
}

static void start_look(void *arg)
{
    struct replay *replay = RB_CAST(replay, arg, REPLAY_MAGIC);

    replay->look_handle = rb_kafka_handle(replay->kafka);
    replay->look = rb_pool_start(replay->command->loop, ask_found, on_found, replay);
}

static void look(const rd_kafka_topic_partition_list_t *list, void *arg)
{
    struct replay *replay = RB_CAST(replay, arg, REPLAY_MAGIC);

    replay->wanted = rd_kafka_topic_partition_list_copy(list);
    replay->found = rd_kafka_topic_partition_list_copy(list);
    start_look(replay);
}

static void wait_a_little(void *arg)
{
    (void)arg;
    uv_sleep(WAIT_MS);
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

void replay_commit_hook(struct replay *replay)
{
    const struct rb_commit_offsets offsets = {stage, collect, settle, look, replay};

    replay->look_timer = rb_timer_new(replay->command->loop, start_look, replay);
    rb_commit_set_offsets(rb_emit_commit(replay->parts.emit), &offsets);
}

void replay_commit_unhook(struct replay *replay)
{
    while (replay->look != NULL)
        rb_command_block(replay->command, wait_a_little, NULL); /* meanwhile the loop runs, and on_found clears it */
    if (replay->parts.emit != NULL)
        rb_commit_set_offsets(rb_emit_commit(replay->parts.emit), NULL);
    rb_timer_free(replay->look_timer);
    replay->look_timer = NULL;
    drop_lists(replay);
}

bool replay_commit_soon(struct replay *replay)
{
    struct rb_commit *commit = replay->parts.emit != NULL ? rb_emit_commit(replay->parts.emit) : NULL;
    bool changed = false;

    for (size_t i = 0; commit != NULL && i < replay->range.part_count; i++)
        changed = changed || replay->parts_of[i].changed;
    if (changed)
        rb_commit_poke(commit);
    return commit == NULL || (!changed && rb_commit_is_idle(commit));
}

void replay_commit_take(struct replay *replay, size_t part, const rd_kafka_topic_partition_t *entry)
{
    struct replay_part *of = &replay->parts_of[part];
    RB_AUTO_TEXT *text = rb_xstrndup(entry->metadata != NULL ? entry->metadata : "", entry->metadata_size);
    RB_AUTO_TEXT *run = rb_xprintf("%" PRId64 " ", replay->run);
    struct rb_offset_map map = {0};

    if (entry->err != RD_KAFKA_RESP_ERR_NO_ERROR || entry->offset < 0 || strncmp(text, run, strlen(run)) != 0)
        return;
    (void)rb_offset_map_read(text + strlen(run), strlen(text) - strlen(run), seed_of(replay, part), entry->offset,
                             &map);
    rb_offsets_done(&of->offsets);
    rb_offsets_resume(&of->offsets, entry->offset, &map);
    of->next = of->reached = RB_MAX(of->next, entry->offset);
    of->done = of->next >= replay->range.parts[part].to;
    of->committed = entry->offset;
    of->text = rb_xstrdup(text);
}

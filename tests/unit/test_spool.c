/* The spool on a real folder: many records, large ones, several segments, opened again at every stage. */
#include "tests/unit/unit.h"

#include <ftw.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/log.h"
#include "producer/spool.h"

#define MAX_BYTES (64 << 20)

struct fixture {
    char path[64];
    struct rb_loop *loop;
    struct rb_spool *spool;
    unsigned put;   /* records that are on the disk */
    unsigned taken; /* records that came out, in their order */
    char *large;    /* what values are a part of */
};

static void stop_loop(void *arg)
{
    struct fixture *fixture = arg;

    rb_loop_stop(fixture->loop);
}

static void open_spool(struct fixture *fixture, int64_t max_bytes)
{
    const struct rb_spool_config config = {fixture->path, max_bytes, stop_loop, fixture};

    fixture->loop = rb_loop_new();
    assert_works(rb_spool_open(fixture->loop, &config, &fixture->spool, &err));
}

static void close_spool(struct fixture *fixture)
{
    rb_spool_close(fixture->spool);
    rb_loop_free(fixture->loop);
}

static int set_up(void **state)
{
    struct fixture *fixture = rb_xalloc(sizeof(*fixture));
    struct rb_error err = {0};

    snprintf(fixture->path, sizeof(fixture->path), "/tmp/reelbus-spool-XXXXXX");
    fixture->large = rb_xalloc(1 << 20);
    *state = fixture;
    return mkdtemp(fixture->path) != NULL && rb_log_start("crit", "logfmt", &err) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *now, int kind, struct FTW *at)
{
    (void)now;
    (void)kind;
    (void)at;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    int result = nftw(fixture->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);

    free(fixture->large);
    free(fixture);
    return result;
}

static void on_put(const struct rb_error *err, void *arg)
{
    struct fixture *fixture = arg;

    assert_null(err);
    fixture->put++;
}

/* Put one record; its number is its time, and its value has this size. */
static void put_one(struct fixture *fixture, unsigned number, size_t value_bytes)
{
    const struct rb_spool_record record = {
        .spooled_unix_ms = number + 1, .topic = "t", .value = fixture->large, .value_bytes = value_bytes};

    assert_works(rb_spool_put(fixture->spool, &record, on_put, fixture, &err));
}

static void put_all(struct fixture *fixture, unsigned count, size_t value_bytes)
{
    unsigned until = fixture->put + count;

    for (unsigned number = fixture->put; number < until; number++)
        put_one(fixture, number, value_bytes);
    while (fixture->put < until)
        rb_loop_run(fixture->loop);
}

/* Take what was read; they must follow on what was taken before. Gives how many. */
static unsigned take_chunk(struct fixture *fixture)
{
    struct rb_spool_record record;
    unsigned count = 0;

    while (rb_spool_take(fixture->spool, &record)) {
        assert_int_equal(record.spooled_unix_ms, fixture->taken + count + 1);
        count++;
    }
    return count;
}

static void take_all(struct fixture *fixture)
{
    unsigned until = fixture->put, count;

    for (rb_spool_read(fixture->spool); fixture->taken < until; fixture->taken += count) {
        while (!rb_spool_has_read(fixture->spool))
            rb_loop_run(fixture->loop);
        count = take_chunk(fixture);
        rb_spool_done(fixture->spool, count);
    }
    assert_true(rb_spool_is_empty(fixture->spool));
    assert_int_equal(rb_spool_stats(fixture->spool).records, 0);
}

static void small_and_large_records_come_out_in_their_order(void **state)
{
    struct fixture *fixture = *state;

    open_spool(fixture, MAX_BYTES);
    put_all(fixture, 1000, 100);
    put_all(fixture, 3, 700000); /* each larger than what is read at once */
    put_all(fixture, 1000, 5000);
    put_all(fixture, 1, 1 << 20);
    put_all(fixture, 10, 0);
    assert_int_equal(rb_spool_stats(fixture->spool).records, 2014);
    assert_int_equal(rb_spool_stats(fixture->spool).oldest_unix_ms, 1);
    take_all(fixture);
    put_all(fixture, 500, 300); /* and once more, in a new segment */
    take_all(fixture);
    assert_int_equal(rb_spool_stats(fixture->spool).damaged, 0);
    close_spool(fixture);
}

static void what_is_not_done_comes_again_in_the_next_process(void **state)
{
    struct fixture *fixture = *state;
    unsigned count;

    open_spool(fixture, MAX_BYTES);
    for (unsigned i = 0; i < 4; i++)
        put_all(fixture, 5000, 500);
    close_spool(fixture);
    for (unsigned round = 0; round < 30; round++) {
        open_spool(fixture, MAX_BYTES);
        assert_int_equal(rb_spool_stats(fixture->spool).records, fixture->put - fixture->taken);
        rb_spool_read(fixture->spool);
        while (!rb_spool_has_read(fixture->spool))
            rb_loop_run(fixture->loop);
        count = take_chunk(fixture);
        assert_true(count > 100);
        count = count * (round % 4) / 3; /* none, a part, all of it */
        rb_spool_done(fixture->spool, count);
        fixture->taken += count;
        if (count > 0)
            rb_loop_run(fixture->loop); /* until the position is on the disk */
        close_spool(fixture);
    }
    open_spool(fixture, MAX_BYTES);
    take_all(fixture);
    close_spool(fixture);
}

static void it_is_full_at_its_size_and_has_room_when_it_was_drained(void **state)
{
    struct fixture *fixture = *state;
    struct rb_spool_record record = {.topic = "t", .value = fixture->large, .value_bytes = 10000};

    open_spool(fixture, 1 << 20);
    while (rb_spool_check(fixture->spool, 11000, &(struct rb_error){0}) == 0)
        put_all(fixture, 1, 10000);
    assert_in_range(fixture->put, 90, 104);
    record.value_bytes = 20000;
    assert_fails(rb_spool_put(fixture->spool, &record, on_put, fixture, &err), SPOOL_FULL);
    take_all(fixture);
    put_all(fixture, 50, 10000);
    take_all(fixture);
    close_spool(fixture);
}

static void on_refused(const struct rb_error *err, void *arg)
{
    assert_non_null(err);
    ++*(unsigned *)arg;
}

static void whoever_waits_when_it_closes_is_told_so(void **state)
{
    struct fixture *fixture = *state;
    const struct rb_spool_record record = {.topic = "t"};
    unsigned refused = 0;

    open_spool(fixture, MAX_BYTES);
    for (unsigned i = 0; i < 5; i++)
        assert_works(rb_spool_put(fixture->spool, &record, on_refused, &refused, &err));
    assert_false(rb_spool_is_empty(fixture->spool));
    close_spool(fixture);
    assert_int_equal(refused, 5);
}

static int64_t size_in_folder(const struct fixture *fixture, const char *name)
{
    char path[128];
    struct stat now;

    snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
    return stat(path, &now) == 0 ? (int64_t)now.st_size : -1;
}

static unsigned take_next_chunk(struct fixture *fixture)
{
    rb_spool_read(fixture->spool);
    while (!rb_spool_has_read(fixture->spool))
        rb_loop_run(fixture->loop);
    return take_chunk(fixture);
}

static const struct rb_error too_large = {.code = RB_E_KAFKA_REFUSED, .class = RB_PERMANENT, .message = "too large"};

static void what_is_refused_is_kept_apart_and_comes_no_more(void **state)
{
    struct fixture *fixture = *state;
    int64_t size;

    open_spool(fixture, MAX_BYTES);
    put_all(fixture, 10, 1000);
    assert_int_equal(take_next_chunk(fixture), 10);
    rb_spool_refuse(fixture->spool, 3, &too_large);
    rb_spool_refuse(fixture->spool, 8, &too_large);
    rb_spool_done(fixture->spool, 5); /* the other one is not done yet */
    rb_loop_run(fixture->loop);
    size = size_in_folder(fixture, "refused");
    assert_in_range(size, 1000, 1999);
    close_spool(fixture);

    open_spool(fixture, MAX_BYTES);
    assert_int_equal(rb_spool_stats(fixture->spool).records, 5);
    fixture->taken = 5;
    assert_int_equal(take_next_chunk(fixture), 5);
    rb_spool_refuse(fixture->spool, 3, &too_large);
    rb_spool_done(fixture->spool, 5);
    rb_loop_run(fixture->loop);
    assert_int_equal(size_in_folder(fixture, "0000000000000001.spool"), -1);
    assert_int_equal(size_in_folder(fixture, "refused"), 2 * size);
    close_spool(fixture);
}

/* Files may not grow beyond this size: writing them fails. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = RB_MIN(bytes, limit.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_could_not_be_finished_on_the_disk_is_finished_later(void **state)
{
    struct fixture *fixture = *state;

    open_spool(fixture, MAX_BYTES);
    put_all(fixture, 10, 1000);
    assert_int_equal(take_next_chunk(fixture), 10);
    limit_files(0);
    rb_spool_refuse(fixture->spool, 0, &too_large);
    rb_spool_done(fixture->spool, 10);
    rb_loop_run(fixture->loop);
    limit_files(RLIM_INFINITY);
    assert_true(rb_spool_has_failed(fixture->spool));
    assert_true(size_in_folder(fixture, "refused") <= 0);
    assert_true(size_in_folder(fixture, "0000000000000001.spool") > 0);
    rb_spool_read(fixture->spool);
    rb_loop_run(fixture->loop);
    assert_false(rb_spool_has_failed(fixture->spool));
    assert_in_range(size_in_folder(fixture, "refused"), 1000, 1999);
    assert_int_equal(size_in_folder(fixture, "0000000000000001.spool"), -1);
    close_spool(fixture);
}

static void only_one_has_the_folder(void **state)
{
    struct fixture *fixture = *state;
    const struct rb_spool_config config = {fixture->path, MAX_BYTES, stop_loop, fixture};
    struct rb_spool *second = NULL;

    open_spool(fixture, MAX_BYTES);
    assert_fails(rb_spool_open(fixture->loop, &config, &second, &err), BAD_OPTION);
    close_spool(fixture);
    open_spool(fixture, MAX_BYTES);
    close_spool(fixture);
}

#define IN_FOLDER(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

UNIT_MAIN(IN_FOLDER(small_and_large_records_come_out_in_their_order),
          IN_FOLDER(what_is_not_done_comes_again_in_the_next_process),
          IN_FOLDER(it_is_full_at_its_size_and_has_room_when_it_was_drained),
          IN_FOLDER(whoever_waits_when_it_closes_is_told_so),
          IN_FOLDER(what_is_refused_is_kept_apart_and_comes_no_more),
          IN_FOLDER(what_could_not_be_finished_on_the_disk_is_finished_later), IN_FOLDER(only_one_has_the_folder))

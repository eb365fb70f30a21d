/* The file store: what a put leaves behind and what is found of it, and whose fault it is when a folder cannot be written to. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "consumer/store_file.h"

#define NOBODY      65534
#define QUEUE_BYTES 4096

struct bench {
    struct rb_loop *loop;
    struct rb_store *store;
    struct rb_byteq *queue;
    int root_fd;
    char root[64];
    enum rb_poll polled;
    struct rb_error error;
    struct rb_put *put;
    int64_t announced;
    const char *sha256;
};

static struct rb_store_file_config config_of(const struct bench *bench)
{
    return (struct rb_store_file_config){
        .root = bench->root, .public_url = "http://x/", .file_mode = "0644", .dir_mode = "0755"};
}

static void bench_open(struct bench *bench)
{
    setenv("UV_THREADPOOL_SIZE", "1", 1); /* so that a test can keep all of the pool busy */
    snprintf(bench->root, sizeof(bench->root), "/tmp/reelbus-store-XXXXXX");
    assert_non_null(mkdtemp(bench->root));
    bench->root_fd = open(bench->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    const struct rb_store_file_config config = config_of(bench);

    bench->loop = rb_loop_new();
    assert_works(rb_store_file_new(bench->loop, &config, &bench->store, &err));
    bench->queue = rb_byteq_new(QUEUE_BYTES, QUEUE_BYTES / 2);
}

static void bench_close(struct bench *bench)
{
    RB_AUTO_TEXT *command = rb_xprintf("rm -rf '%s'", bench->root);

    bench->store->ops->free(bench->store);
    rb_loop_free(bench->loop);
    rb_byteq_free(bench->queue);
    close(bench->root_fd);
    assert_int_equal(system(command), 0);
}

static size_t partial_files(const struct bench *bench)
{
    int fd = openat(bench->root_fd, ".partial", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fdopendir(fd);
    size_t count = 0;

    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void on_change(void *arg)
{
    struct bench *bench = arg;

    bench->polled = bench->store->ops->poll(bench->put, &bench->error);
    rb_loop_stop(bench->loop);
}

static void ignore(void *arg)
{
    (void)arg;
}

static void put_begin(struct bench *bench, const char *key)
{
    const struct rb_object object = {"bucket", key, "video/mp4", NULL};
    const struct rb_put_spec spec = {
        .object = &object, .bytes = bench->announced, .queue = bench->queue, .on_change = on_change, .arg = bench};

    bench->polled = RB_POLL_WAIT;
    bench->error = (struct rb_error){0};
    bench->put = bench->store->ops->begin(bench->store, &spec);
}

/* Put an object of a few bytes. */
static enum rb_code put_whole(struct bench *bench, const char *key)
{
    put_begin(bench, key);
    rb_byteq_put(bench->queue, "bytes", 5);
    bench->store->ops->commit(bench->put, 5, bench->sha256 != NULL ? bench->sha256 : "");
    do
        rb_loop_run(bench->loop);
    while (bench->polled == RB_POLL_WAIT);
    bench->store->ops->end(bench->put, ignore, NULL);
    rb_byteq_take(bench->queue, rb_byteq_used(bench->queue));
    return bench->polled == RB_POLL_FAILED ? bench->error.code : RB_E_NONE;
}

/* One thread of the pool, which waits. */
static void wait_for_go(uv_work_t *work)
{
    sem_wait(work->data);
}

static void on_gone(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
}

/* To remove a large file takes the file system a while, and the loop has other things to do. */
static void what_was_broken_off_is_removed_and_not_by_the_loop(void **state)
{
    struct bench bench = {0};
    sem_t go;
    uv_work_t work = {.data = &go};

    (void)state;
    bench_open(&bench);
    put_begin(&bench, "user/video.mp4");
    rb_loop_run(bench.loop);
    assert_int_equal(partial_files(&bench), 1);
    assert_int_equal(sem_init(&go, 0, 0), 0);
    assert_int_equal(uv_queue_work(rb_loop_uv(bench.loop), &work, wait_for_go, on_gone), 0);
    bench.store->ops->end(bench.put, ignore, NULL);

    size_t left = partial_files(&bench);

    assert_int_equal(sem_post(&go), 0); /* in any case: the end of the program waits for the pool */
    assert_int_equal(left, 1);
    bench.store->ops->free(bench.store); /* while it is still at it */
    rb_loop_free(bench.loop);
    assert_int_equal(partial_files(&bench), 0);
    sem_destroy(&go);
    bench.loop = rb_loop_new();

    const struct rb_store_file_config config = config_of(&bench);

    assert_works(rb_store_file_new(bench.loop, &config, &bench.store, &err));
    bench_close(&bench);
}

static void what_was_stored_stays_and_nothing_beside_it(void **state)
{
    struct bench bench = {0};
    struct stat info;

    (void)state;
    bench_open(&bench);
    assert_int_equal(put_whole(&bench, "user/video.mp4"), RB_E_NONE);
    assert_int_equal(fstatat(bench.root_fd, "bucket/user/video.mp4", &info, 0), 0);
    assert_int_equal(info.st_size, 5);
    assert_int_equal(partial_files(&bench), 0);
    bench_close(&bench);
}

/* A folder of one user is that user's trouble; the bucket is everybody's. Root may do everything, so nobody tries. */
static void a_folder_that_is_shut_stops_nobody_else(void **state)
{
    static const struct {
        const char *folder;
        mode_t mode;
        const char *code;
    } rows[] = {
        {"bucket/shut", 0000, "object_refused"},
        {"bucket/shut", 0555, "object_refused"},
        {"bucket", 0555, "none"}, /* the user's folder is there */
        {"bucket", 0000, "store_refused"},
        {".partial", 0555, "store_refused"},
    };
    bool root = geteuid() == 0;
    struct bench bench = {0};

    (void)state;
    assert_true(!root || seteuid(NOBODY) == 0);
    bench_open(&bench);
    assert_int_equal(put_whole(&bench, "shut/1.mp4"), RB_E_NONE);
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        assert_int_equal(fchmodat(bench.root_fd, rows[i].folder, rows[i].mode, 0), 0);
        assert_string_equal(rb_code_name(put_whole(&bench, "shut/2.mp4")), rows[i].code);
        if (strcmp(rows[i].folder, "bucket/shut") == 0)
            assert_int_equal(put_whole(&bench, "open/1.mp4"), RB_E_NONE);
        assert_int_equal(fchmodat(bench.root_fd, rows[i].folder, 0755, 0), 0);
    }
    assert_int_equal(fchmodat(bench.root_fd, "bucket", 0555, 0), 0); /* a new user's folder cannot be made: nobody's */
    assert_string_equal(rb_code_name(put_whole(&bench, "new/1.mp4")), "store_refused");
    assert_int_equal(fchmodat(bench.root_fd, "bucket", 0755, 0), 0);
    bench_close(&bench);
    assert_true(!root || seteuid(0) == 0);
}

static void on_answer(void *arg)
{
    struct bench *bench = arg;

    rb_loop_stop(bench->loop);
}

static struct rb_store_answer find(struct bench *bench, const char *key)
{
    const struct rb_object object = {"bucket", key, "video/mp4", NULL};
    struct rb_ask *ask = bench->store->ops->find(bench->store, &object, on_answer, bench);
    struct rb_store_answer answer = {0};
    struct rb_error err = {0};

    rb_loop_run(bench->loop);
    assert_int_equal(bench->store->ops->answer(ask, &answer, &err), RB_POLL_DONE);
    bench->store->ops->forget(ask);
    return answer;
}

static void a_file_is_found_with_its_size_and_hash(void **state)
{
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct bench bench = {.sha256 = hash};
    struct rb_store_answer answer;
    RB_AUTO_TEXT *path = NULL;

    (void)state;
    bench_open(&bench);
    assert_false(find(&bench, "user/1.mp4").found);
    assert_int_equal(put_whole(&bench, "user/1.mp4"), RB_E_NONE);
    answer = find(&bench, "user/1.mp4");
    assert_true(answer.found);
    assert_int_equal(answer.bytes, 5);
    path = rb_xprintf("%s/bucket/user/1.mp4", bench.root);
    if (getxattr(path, "user.reelbus.sha256", NULL, 0) >= 0 || errno != ENOTSUP)
        assert_string_equal(answer.sha256, hash);
    for (size_t i = 0; i < 2; i++) { /* too short, and no digits: unknown */
        if (setxattr(path, "user.reelbus.sha256",
                     &"x123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"[i], 64 - i, 0) < 0)
            assert_int_equal(errno, ENOTSUP);
        assert_string_equal(find(&bench, "user/1.mp4").sha256, "");
    }
    assert_int_equal(unlinkat(bench.root_fd, "bucket/user/1.mp4", 0), 0);
    assert_int_equal(symlinkat("/etc/passwd", bench.root_fd, "bucket/user/1.mp4"), 0);
    assert_false(find(&bench, "user/1.mp4").found);
    assert_false(find(&bench, "../../etc/passwd").found);
    assert_false(find(&bench, "user").found);
    bench_close(&bench);
}

static enum rb_poll remove_file(struct bench *bench, const char *key)
{
    const struct rb_object object = {"bucket", key, "", NULL};
    struct rb_ask *ask = bench->store->ops->remove(bench->store, &object, on_answer, bench);
    struct rb_store_answer answer = {0};
    struct rb_error err = {0};
    enum rb_poll polled;

    rb_loop_run(bench->loop);
    polled = bench->store->ops->answer(ask, &answer, &err);
    bench->store->ops->forget(ask);
    return polled;
}

/* Its disk is not mounted, for example, and the files are there again tomorrow. */
static void nothing_is_gone_from_a_bucket_that_is_not_there(void **state)
{
    struct bench bench = {0};

    (void)state;
    bench_open(&bench);
    assert_int_equal(remove_file(&bench, "user/1.mp4"), RB_POLL_FAILED);
    assert_int_equal(put_whole(&bench, "user/1.mp4"), RB_E_NONE);
    assert_int_equal(remove_file(&bench, "user/1.mp4"), RB_POLL_DONE);
    assert_int_equal(remove_file(&bench, "user/1.mp4"), RB_POLL_DONE);
    assert_int_equal(remove_file(&bench, "other/1.mp4"), RB_POLL_DONE);
    assert_int_equal(renameat(bench.root_fd, "bucket", bench.root_fd, "away"), 0);
    assert_int_equal(remove_file(&bench, "user/1.mp4"), RB_POLL_FAILED);
    bench_close(&bench);
}

static mode_t mode_of(const struct bench *bench, const char *path)
{
    struct stat info;

    assert_int_equal(fstatat(bench->root_fd, path, &info, 0), 0);
    return info.st_mode & 07777;
}

static void modes_are_those_of_the_options_whatever_the_umask_is(void **state)
{
    mode_t before = umask(077);
    struct bench bench = {0};

    (void)state;
    bench_open(&bench);
    assert_int_equal(put_whole(&bench, "user/1.mp4"), RB_E_NONE);
    assert_int_equal(mode_of(&bench, "bucket/user/1.mp4"), 0644);
    assert_int_equal(mode_of(&bench, "bucket/user"), 0755);
    assert_int_equal(mode_of(&bench, "bucket"), 0755);
    assert_int_equal(fchmodat(bench.root_fd, "bucket", 02700, 0), 0); /* of another group: that is inherited */
    assert_int_equal(put_whole(&bench, "other/1.mp4"), RB_E_NONE);
    assert_int_equal(mode_of(&bench, "bucket/other"), 02755);
    assert_int_equal(mode_of(&bench, "bucket"), 02700);
    bench_close(&bench);
    umask(before);
}

static void a_mode_that_is_none_is_told(void **state)
{
    static const struct {
        const char *file_mode, *dir_mode;
        bool good;
    } rows[] = {
        {"0600", "0700", true}, {"444", "711", true},    {"0777", "0777", true},  {"0688", "0755", false},
        {"64", "0755", false},  {"0244", "0755", false}, {"0644", "0655", false}, {"0644", "2755", false},
        {"-644", "755", false}, {"0644", "", false},
    };
    struct bench bench = {0};
    struct rb_store *store;

    (void)state;
    bench_open(&bench);
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_store_file_config config = config_of(&bench);
        struct rb_error err = {0};

        config.file_mode = rows[i].file_mode;
        config.dir_mode = rows[i].dir_mode;
        assert_int_equal(rb_store_file_new(bench.loop, &config, &store, &err), rows[i].good ? 0 : -1);
        if (rows[i].good)
            store->ops->free(store);
        else
            assert_int_equal(err.code, RB_E_BAD_OPTION);
    }
    bench_close(&bench);
}

/* Where the file system keeps room at all. */
static void room_for_more_than_came_is_given_back(void **state)
{
    struct bench bench = {.announced = 1 << 20};
    struct stat info;

    (void)state;
    bench_open(&bench);
    assert_int_equal(put_whole(&bench, "user/1.mp4"), RB_E_NONE);
    assert_int_equal(fstatat(bench.root_fd, "bucket/user/1.mp4", &info, 0), 0);
    assert_int_equal(info.st_size, 5);
    assert_in_range(info.st_blocks * 512, 0, 65536);
    bench_close(&bench);
}

UNIT_MAIN(T(what_was_broken_off_is_removed_and_not_by_the_loop), T(what_was_stored_stays_and_nothing_beside_it),
          T(a_folder_that_is_shut_stops_nobody_else), T(nothing_is_gone_from_a_bucket_that_is_not_there),
          T(a_file_is_found_with_its_size_and_hash), T(modes_are_those_of_the_options_whatever_the_umask_is),
          T(a_mode_that_is_none_is_told), T(room_for_more_than_came_is_given_back))

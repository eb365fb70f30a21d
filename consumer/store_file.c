/*
 * store_file.c — objects as files.
 *
 * Way:  download -> [store_file] -> record
 *
 * A put is a row of steps, one at a time on the pool: open, write (again and again), commit. While a step is out, the put
 * may be asked to end; it then cleans up after itself when the step comes back.
 */
#include "consumer/store_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/beneath.h"
#include "common/errmap.h"
#include "common/log.h"
#include "common/random.h"

#define PUT_MAGIC       0x50555446u
#define PARTIAL_DIR     ".partial"
#define WRITE_MIN_BYTES 32768 /* smaller pieces wait for more; far below what a full queue holds */

struct store_file {
    struct rb_store store;
    struct rb_loop *loop; /* borrowed */
    int root_fd;
    int partial_fd;
    char *public_url;
    size_t puts; /* that have not been freed; the last one frees a store that is closing */
    bool closing;
};

enum put_step { STEP_OPEN, STEP_WRITE, STEP_COMMIT };
enum put_state { PUT_OPENING, PUT_WRITING, PUT_COMMITTING, PUT_DONE, PUT_BROKEN };

struct rb_put {
    uint32_t magic;
    struct store_file *store; /* borrowed */
    char *path;               /* {bucket}/{key} */
    char *partial;
    struct rb_byteq *queue; /* borrowed */
    rb_loop_fn on_change;
    void *arg; /* borrowed */
    enum put_state state;
    bool all_there; /* commit was called: what is in the queue is all that is left */
    int64_t bytes;  /* that the object has in the end */
    struct rb_error error;

    uv_work_t work; /* the step that is out */
    bool out;
    enum put_step step;
    int fd;
    const uint8_t *chunk; /* of the queue; stays there while the step is out */
    size_t chunk_bytes;
    int failed_errno;  /* of the step, 0 when it went well */
    bool bucket_fails; /* not only the way to this object */
    const char *failed_doing;

    bool ended;
    rb_loop_fn on_released;
    void *released_arg; /* borrowed */
};

/* The following run on the pool. They touch nothing of the put but what belongs to the step. */

static int fail_step(struct rb_put *put, const char *doing)
{
    put->failed_errno = errno != 0 ? errno : EIO;
    put->failed_doing = doing;
    return -1;
}

/* The folder that a path lies in; "." when it lies in none. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? rb_xstrndup(path, (size_t)(slash - path)) : rb_xstrdup(".");
}

static void close_quietly(int fd)
{
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
}

/* Make one folder, if it is not there. A new one is synced into its parent, or it might be gone after a crash. */
static int make_dir(int root_fd, const char *dir)
{
    RB_AUTO_TEXT *parent = parent_of(dir);
    const char *slash = strrchr(dir, '/');
    int fd = rb_beneath_open(root_fd, parent, O_RDONLY | O_DIRECTORY);
    int result = fd < 0 ? -1 : mkdirat(fd, slash != NULL ? slash + 1 : dir, 0755);

    if (result == 0)
        result = fsync(fd);
    else if (fd >= 0 && errno == EEXIST)
        result = 0;
    close_quietly(fd);
    return result;
}

/* The folder that a file lies in, and all on the way to it. */
static int open_parent(int root_fd, const char *path)
{
    RB_AUTO_TEXT *parent = parent_of(path);
    int fd = rb_beneath_open(root_fd, parent, O_RDONLY | O_DIRECTORY);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        RB_AUTO_TEXT *dir = rb_xstrndup(path, (size_t)(slash - path));

        RB_TRY(make_dir(root_fd, dir));
    }
    return rb_beneath_open(root_fd, parent, O_RDONLY | O_DIRECTORY);
}

static bool bucket_opens(int root_fd, const char *path)
{
    RB_AUTO_TEXT *bucket = rb_xstrndup(path, strcspn(path, "/"));
    int fd = rb_beneath_open(root_fd, bucket, O_RDONLY | O_DIRECTORY);

    close_quietly(fd);
    return fd >= 0;
}

static int step_open(struct rb_put *put)
{
    put->fd = openat(put->store->partial_fd, put->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (put->fd < 0)
        return fail_step(put, "create a file in " PARTIAL_DIR);
    if (flock(put->fd, LOCK_EX | LOCK_NB) < 0) /* says that somebody still writes it */
        return fail_step(put, "lock a file in " PARTIAL_DIR);
    return 0;
}

static int step_write(struct rb_put *put)
{
    for (size_t done = 0; done < put->chunk_bytes;) {
        ssize_t count = write(put->fd, put->chunk + done, put->chunk_bytes - done);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return fail_step(put, "write");
        done += (size_t)count;
    }
    return 0;
}

/* An error of fsync means that the bytes are lost, whatever a second try says: the file is given up. */
static int step_commit(struct rb_put *put)
{
    struct stat info;

    if (fsync(put->fd) < 0)
        return fail_step(put, "sync");
    if (fstat(put->fd, &info) < 0 || info.st_size != put->bytes) {
        errno = EIO;
        return fail_step(put, "find all bytes in the file after writing them");
    }

    int dir_fd = open_parent(put->store->root_fd, put->path);

    if (dir_fd < 0) {
        fail_step(put, "open the folder");
        put->bucket_fails = !bucket_opens(put->store->root_fd, put->path);
        return -1;
    }

    const char *name = strrchr(put->path, '/');
    bool moved = renameat(put->store->partial_fd, put->partial, dir_fd, name != NULL ? name + 1 : put->path) == 0;
    bool synced = moved && fsync(dir_fd) == 0;

    close_quietly(dir_fd);
    return synced ? 0 : fail_step(put, moved ? "sync the folder" : "rename");
}

static void on_work(uv_work_t *work)
{
    struct rb_put *put = RB_CAST(rb_put, work->data, PUT_MAGIC);

    errno = 0;
    switch (put->step) {
    case STEP_OPEN:
        (void)step_open(put);
        break;
    case STEP_WRITE:
        (void)step_write(put);
        break;
    case STEP_COMMIT:
        (void)step_commit(put);
        break;
    }
}

/* From here on all runs on the loop. */

static void on_worked(uv_work_t *work, int status);

static void put_send(struct rb_put *put, enum put_step step)
{
    put->step = step;
    put->out = true;
    put->failed_errno = 0;
    if (uv_queue_work(rb_loop_uv(put->store->loop), &put->work, on_work, on_worked) < 0)
        RB_BUG("libuv takes no work");
}

/* Send the next step that there is something to do for. */
static void put_go_on(struct rb_put *put)
{
    if (put->out || put->ended || put->state != PUT_WRITING)
        return;
    put->chunk_bytes = rb_byteq_peek(put->queue, &put->chunk);
    if (put->chunk_bytes >= WRITE_MIN_BYTES || (put->all_there && put->chunk_bytes > 0) ||
        (put->chunk_bytes > 0 && put->chunk_bytes < rb_byteq_used(put->queue))) {
        put_send(put, STEP_WRITE);
    } else if (put->all_there && put->chunk_bytes == 0) {
        put->state = PUT_COMMITTING;
        put_send(put, STEP_COMMIT);
    }
}

static void store_close(struct store_file *store)
{
    if (store->partial_fd >= 0)
        close(store->partial_fd);
    if (store->root_fd >= 0)
        close(store->root_fd);
    free(store->public_url);
    free(store);
}

static void put_free(struct rb_put *put)
{
    struct store_file *store = put->store;

    if (put->fd >= 0)
        close(put->fd);
    if (put->state != PUT_DONE)
        unlinkat(store->partial_fd, put->partial, 0);
    if (put->on_released != NULL)
        put->on_released(put->released_arg);
    free(put->path);
    free(put->partial);
    put->magic = 0;
    free(put);
    if (--store->puts == 0 && store->closing)
        store_close(store);
}

static void put_break(struct rb_put *put)
{
    enum rb_code code = rb_errmap_store_errno(put->failed_errno);

    if (code == RB_E_OBJECT_REFUSED && put->bucket_fails)
        code = RB_E_STORE_REFUSED;
    put->state = PUT_BROKEN;
    rb_fail(&put->error, code, put->failed_errno, "the file store cannot %s for '%.100s': %s", put->failed_doing,
            put->path, strerror(put->failed_errno));
}

static void on_worked(uv_work_t *work, int status)
{
    struct rb_put *put = RB_CAST(rb_put, work->data, PUT_MAGIC);

    (void)status;
    put->out = false;
    if (put->failed_errno == 0 && put->step == STEP_COMMIT)
        put->state = PUT_DONE;
    if (put->ended) {
        put_free(put);
        return;
    }
    if (put->failed_errno != 0)
        put_break(put);
    else if (put->step == STEP_OPEN)
        put->state = PUT_WRITING;
    else if (put->step == STEP_WRITE)
        rb_byteq_take(put->queue, put->chunk_bytes);
    put_go_on(put);
    put->on_change(put->arg);
}

static struct rb_put *file_begin(struct rb_store *base, const struct rb_put_spec *spec)
{
    struct store_file *store = (struct store_file *)base;
    struct rb_put *put = rb_xalloc(sizeof(*put));
    char unique[RB_UUID_TEXT_BYTES];

    *put = (struct rb_put){
        .magic = PUT_MAGIC,
        .store = store,
        .path = rb_xprintf("%s/%s", spec->object->bucket, spec->object->key),
        .partial = rb_xprintf("%s.part", rb_uuid_new(unique)),
        .queue = spec->queue,
        .on_change = spec->on_change,
        .arg = spec->arg,
        .fd = -1,
    };
    put->work.data = put;
    store->puts++;
    put_send(put, STEP_OPEN);
    return put;
}

static void file_more(struct rb_put *put)
{
    put_go_on(put);
}

static void file_commit(struct rb_put *put, int64_t bytes, const char *sha256)
{
    (void)sha256; /* a file system keeps bytes; the row keeps the hash */
    put->all_there = true;
    put->bytes = bytes;
    put_go_on(put);
}

static enum rb_poll file_poll(const struct rb_put *put, struct rb_error *err)
{
    if (put->state == PUT_BROKEN) {
        *err = put->error;
        return RB_POLL_FAILED;
    }
    return put->state == PUT_DONE ? RB_POLL_DONE : RB_POLL_WAIT;
}

static void file_end(struct rb_put *put, rb_loop_fn on_released, void *arg)
{
    put->ended = true;
    put->on_released = on_released;
    put->released_arg = arg;
    if (!put->out)
        put_free(put);
}

static char *file_url(const struct rb_store *base, const struct rb_object *object)
{
    const struct store_file *store = (const struct store_file *)base;

    return rb_xprintf("%s%s/%s", store->public_url, object->bucket, object->key);
}

/* Puts that have ended may still clean up after themselves on the pool. */
static void file_free(struct rb_store *base)
{
    struct store_file *store = (struct store_file *)base;

    store->closing = true;
    if (store->puts == 0)
        store_close(store);
}

static const struct rb_store_ops file_ops = {
    .kind = "file",
    .begin = file_begin,
    .more = file_more,
    .commit = file_commit,
    .poll = file_poll,
    .end = file_end,
    .url = file_url,
    .free = file_free,
};

/* A file that nobody holds a lock on was left by a process that is gone. */
static bool sweep_one(int partial_fd, const char *name)
{
    int fd = openat(partial_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool swept = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(partial_fd, name, 0) == 0;

    if (fd >= 0)
        close(fd);
    return swept;
}

static void sweep(struct store_file *store)
{
    int fd = openat(store->partial_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    unsigned count = 0;

    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        if (strstr(entry->d_name, ".part") != NULL && sweep_one(store->partial_fd, entry->d_name))
            count++;
    if (dir != NULL)
        closedir(dir);
    if (count > 0)
        rb_log(NULL, RB_EV_STORE_SWEPT, "files=%u", count);
}

static int open_dir(int at_fd, const char *path, int *ret_fd, struct rb_error *err)
{
    if (mkdirat(at_fd, path, 0755) < 0 && errno != EEXIST)
        return rb_fail(err, RB_E_BAD_OPTION, errno, "option 'file_root': cannot make '%s': %s", path, strerror(errno));
    *ret_fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0 || faccessat(*ret_fd, ".", W_OK, AT_EACCESS) < 0)
        return rb_fail(err, RB_E_BAD_OPTION, errno, "option 'file_root': cannot write to '%s': %s", path,
                       strerror(errno));
    return 0;
}

int rb_store_file_new(struct rb_loop *loop, const struct rb_store_file_config *config, struct rb_store **ret_store,
                      struct rb_error *err)
{
    size_t url_bytes = strlen(config->public_url);
    struct store_file *store;

    if (config->root[0] == '\0' || url_bytes == 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "the file store needs the options 'file_root' and 'file_public_url'");
    store = rb_xalloc(sizeof(*store));
    *store = (struct store_file){
        .store = {.ops = &file_ops},
        .loop = loop,
        .root_fd = -1,
        .partial_fd = -1,
        .public_url = rb_xprintf("%s%s", config->public_url, config->public_url[url_bytes - 1] == '/' ? "" : "/"),
    };
    if (open_dir(AT_FDCWD, config->root, &store->root_fd, err) < 0 ||
        open_dir(store->root_fd, PARTIAL_DIR, &store->partial_fd, err) < 0) {
        store_close(store);
        return -1;
    }
    sweep(store);
    *ret_store = &store->store;
    return 0;
}

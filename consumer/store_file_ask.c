/*
 * store_file_ask.c — what the file store is asked, off the loop.
 *
 * Way:  transfer, remove -> [store_file] -> store
 */
#include "consumer/store_file_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/beneath.h"
#include "common/errmap.h"
#include "common/random.h"
#include "consumer/store_file_internal.h"
#include "consumer/store_file_walk.h"
#include "consumer/store_read.h"

#define ASK_MAGIC      0x46415352u
#define BLOCK_BYTES    4096 /* less than that, some file systems keep where there is no room for more */
#define READ_BYTES     (256 << 10)
#define ROOM_MIN_BYTES 65536 /* no video is smaller */

struct rb_ask {
    uint32_t magic;
    uv_work_t work;
    int (*fn)(struct rb_ask *ask); /* on the pool; -1 with errno */
    const char *doing;             /* in words */
    int root_fd, partial_fd;       /* its own: the store may be closed meanwhile */
    struct rb_loop *loop;          /* borrowed */
    struct file_walk *walk;        /* of a list; NULL for others */
    char *folder;                  /* below the root; the bucket for check */
    char *name;
    struct rb_store_answer found;
    int failed_errno; /* 0 when it went well */
    bool forgotten;
    enum rb_poll state;
    struct rb_error error;
    rb_loop_fn on_change;
    void *arg; /* borrowed */
};

static void close_quietly(int fd)
{
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
}

/* -- on the pool --------------------------------------------------------------------------------------------------- */

/* Without its bucket the store is another one, or its disk is not mounted: what is not seen there is not gone. */
static int see_bucket(const struct rb_ask *ask)
{
    RB_AUTO_TEXT *bucket = rb_xprintf("%.*s", (int)strcspn(ask->folder, "/"), ask->folder);
    int fd = rb_beneath_open(ask->root_fd, bucket, O_RDONLY | O_DIRECTORY);

    close_quietly(fd);
    return fd >= 0 ? 0 : -1;
}

/* Synced, because what is gone must not be there again after a crash: nobody would look for it any more. */
static int remove_file(struct rb_ask *ask)
{
    RB_TRY(see_bucket(ask));

    int fd = rb_beneath_open(ask->root_fd, ask->folder, O_RDONLY | O_DIRECTORY);
    bool done = fd >= 0 && (unlinkat(fd, ask->name, 0) == 0 || errno == ENOENT) && fsync(fd) == 0;

    if (fd < 0 && errno == ENOENT)
        return 0;
    close_quietly(fd);
    return done ? 0 : -1;
}

static void read_hash(int fd, char ret_sha256[65])
{
    ssize_t bytes = fgetxattr(fd, HASH_ATTRIBUTE, ret_sha256, 64);

    ret_sha256[bytes == 64 && strspn(ret_sha256, "0123456789abcdef") >= 64 ? 64 : 0] = '\0';
}

/* The folder is synced, because whoever wrote the file may have died before that, and nobody will write it again. */
static int find_file(struct rb_ask *ask)
{
    int dir_fd = rb_beneath_open(ask->root_fd, ask->folder, O_RDONLY | O_DIRECTORY);
    int fd = dir_fd >= 0 ? rb_beneath_open(dir_fd, ask->name, O_RDONLY | O_NONBLOCK) : -1;
    struct stat info;

    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        ask->found.found = true;
        ask->found.bytes = info.st_size;
        read_hash(fd, ask->found.sha256);
        if (ask->found.sha256[0] != '\0' && fsync(dir_fd) < 0)
            ask->found.sha256[0] = '\0'; /* so that it is written again */
    }
    ask->found.refused = !ask->found.found && fd < 0 && errno != ENOENT && errno != ENOTDIR;
    close_quietly(fd);
    close_quietly(dir_fd);
    return 0;
}

static int read_to_end(int fd, struct rb_store_answer *answer)
{
    RB_AUTO_TEXT *room = rb_xalloc(READ_BYTES);
    struct rb_store_read all = {0};
    ssize_t count;

    rb_store_read_begin(&all);
    while ((count = read(fd, room, READ_BYTES)) > 0)
        rb_store_read_take(&all, room, (size_t)count);
    if (count == 0)
        rb_store_read_end(&all, answer);
    rb_store_read_done(&all);
    return count == 0 ? 0 : -1;
}

static int read_file(struct rb_ask *ask)
{
    int dir_fd = rb_beneath_open(ask->root_fd, ask->folder, O_RDONLY | O_DIRECTORY);
    int fd = dir_fd >= 0 ? rb_beneath_open(dir_fd, ask->name, O_RDONLY | O_NONBLOCK) : -1;
    int result = fd >= 0 ? read_to_end(fd, &ask->found) : errno == ENOENT || errno == ENOTDIR ? 0 : -1;

    close_quietly(fd);
    close_quietly(dir_fd);
    return result;
}

static int write_one_file(int dir_fd, const char *name)
{
    static const char block[BLOCK_BYTES];
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t written = fd >= 0 ? write(fd, block, sizeof(block)) : -1;
    int result = written == BLOCK_BYTES ? fsync(fd) : -1;

    if (written >= 0 && written < BLOCK_BYTES)
        errno = ENOSPC;
    close_quietly(fd);

    int saved = errno;

    if (fd >= 0 && unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT && result == 0)
        return -1;
    errno = saved;
    return result;
}

/* What is set aside for root is there for root only. */
static int has_room(int fd)
{
    struct statvfs info;

    if (fstatvfs(fd, &info) < 0)
        return -1;

    uint64_t blocks = geteuid() == 0 ? info.f_bfree : info.f_bavail;

    if (info.f_blocks == 0 || blocks * info.f_frsize >= ROOM_MIN_BYTES)
        return 0;
    errno = ENOSPC;
    return -1;
}

static int check_store(struct rb_ask *ask)
{
    RB_TRY(write_one_file(ask->partial_fd, ask->name));
    RB_TRY(has_room(ask->partial_fd));
    if (file_try_bucket(ask->root_fd, ask->partial_fd, ask->folder) == 0) {
        ask->found.found = true;
        return 0;
    }
    return errno == ENOENT ? faccessat(ask->root_fd, ".", W_OK | X_OK, AT_EACCESS) : -1;
}

static int list_files(struct rb_ask *ask)
{
    return file_walk_page(ask->walk, &ask->found);
}

static void on_work(uv_work_t *work)
{
    struct rb_ask *ask = RB_CAST(rb_ask, work->data, ASK_MAGIC);

    errno = 0;
    if (ask->fn(ask) < 0)
        ask->failed_errno = errno != 0 ? errno : EIO;
}

/* -- on the loop --------------------------------------------------------------------------------------------------- */

static void ask_free(struct rb_ask *ask)
{
    file_walk_free(ask->walk);
    close_quietly(ask->root_fd);
    close_quietly(ask->partial_fd);
    free(ask->folder);
    free(ask->name);
    ask->magic = 0;
    free(ask);
}

static void ask_fail(struct rb_ask *ask)
{
    enum rb_code code = rb_errmap_store_errno(ask->failed_errno);

    if (ask->fn == check_store && code == RB_E_OBJECT_REFUSED)
        code = RB_E_STORE_REFUSED; /* the way to the bucket is everybody's */
    ask->state = RB_POLL_FAILED;
    rb_fail(&ask->error, code, ask->failed_errno, "the file store cannot %s '%.80s': %s", ask->doing,
            ask->fn == check_store ? ask->folder : ask->name, strerror(ask->failed_errno));
}

static void on_worked(uv_work_t *work, int status)
{
    struct rb_ask *ask = RB_CAST(rb_ask, work->data, ASK_MAGIC);

    (void)status;
    ask->state = RB_POLL_DONE;
    if (ask->failed_errno != 0)
        ask_fail(ask);
    if (ask->forgotten)
        ask_free(ask);
    else
        ask->on_change(ask->arg);
}

/* Takes folder and name as its own. */
static struct rb_ask *ask_begin(struct rb_store *base, char *folder, char *name, rb_loop_fn on_change, void *arg)
{
    const struct store_file *store = (const struct store_file *)base;
    struct rb_ask *ask = rb_xalloc(sizeof(*ask));

    *ask = (struct rb_ask){
        .magic = ASK_MAGIC,
        .root_fd = fcntl(store->root_fd, F_DUPFD_CLOEXEC, 0),
        .partial_fd = fcntl(store->partial_fd, F_DUPFD_CLOEXEC, 0),
        .loop = store->loop,
        .folder = folder,
        .name = name,
        .found = {.bytes = -1},
        .state = RB_POLL_WAIT,
        .on_change = on_change,
        .arg = arg,
    };
    ask->work.data = ask;
    return ask;
}

static struct rb_ask *ask_send(struct rb_ask *ask, int (*fn)(struct rb_ask *ask), const char *doing)
{
    ask->fn = fn;
    ask->doing = doing;
    if (uv_queue_work(rb_loop_uv(ask->loop), &ask->work, on_work, on_worked) < 0)
        RB_BUG("libuv takes no work");
    return ask;
}

static struct rb_ask *begin_for(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg)
{
    const char *slash = strrchr(object->key, '/');
    char *folder = slash != NULL ? rb_xprintf("%s/%.*s", object->bucket, (int)(slash - object->key), object->key)
                                 : rb_xstrdup(object->bucket);

    return ask_begin(base, folder, rb_xstrdup(slash != NULL ? slash + 1 : object->key), on_change, arg);
}

struct rb_ask *store_file_ask_find(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change,
                                   void *arg)
{
    return ask_send(begin_for(base, object, on_change, arg), find_file, "look for");
}

struct rb_ask *store_file_ask_read(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change,
                                   void *arg)
{
    return ask_send(begin_for(base, object, on_change, arg), read_file, "read");
}

struct rb_ask *store_file_ask_remove(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change,
                                     void *arg)
{
    return ask_send(begin_for(base, object, on_change, arg), remove_file, "remove");
}

struct rb_ask *store_file_ask_check(struct rb_store *base, const char *bucket, enum rb_check how, rb_loop_fn on_change,
                                    void *arg)
{
    char unique[RB_UUID_TEXT_BYTES];
    char *name = rb_xprintf("%s.check.part", rb_uuid_new(unique)); /* swept away, should this process be killed now */

    (void)how;
    return ask_send(ask_begin(base, rb_xstrdup(bucket), name, on_change, arg), check_store, "write to");
}

struct rb_ask *store_file_ask_list(struct rb_store *base, const char *bucket, const char *prefix, rb_loop_fn on_change,
                                   void *arg)
{
    struct rb_ask *ask = ask_begin(base, rb_xstrdup(bucket), rb_xstrdup(bucket), on_change, arg);

    ask->walk = file_walk_new(ask->root_fd, bucket, prefix);
    return ask_send(ask, list_files, "list");
}

void store_file_ask_list_on(struct rb_ask *ask)
{
    ask->state = RB_POLL_WAIT;
    (void)ask_send(ask, list_files, "list");
}

enum rb_poll store_file_ask_answer(const struct rb_ask *ask, struct rb_store_answer *ret_answer, struct rb_error *err)
{
    if (ask->state == RB_POLL_DONE)
        *ret_answer = ask->found;
    else if (ask->state == RB_POLL_FAILED)
        *err = ask->error;
    return ask->state;
}

void store_file_ask_forget(struct rb_ask *ask)
{
    if (ask->state == RB_POLL_WAIT)
        ask->forgotten = true;
    else
        ask_free(ask);
}

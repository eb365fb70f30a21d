/*
 * store_file_steps.c — objects as files: what is done to them on the pool.
 *
 * Way:  download -> [store_file] -> record
 *
 * All of this runs off the loop, and touches nothing of the put but what belongs to the step.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/beneath.h"
#include "common/failpoint.h"
#include "consumer/store_file_internal.h"

static int fail_step(struct rb_put *put, const char *doing)
{
    put->failed_errno = errno != 0 ? errno : EIO;
    put->failed_doing = doing;
    return -1;
}

/* We own what we have just made: if its mode cannot be set, the file system has none. */
static int set_mode(int fd, mode_t mode)
{
    return fchmod(fd, mode) == 0 || errno == EPERM || errno == EOPNOTSUPP ? 0 : -1;
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

int file_make_dir(int at_fd, const char *name, mode_t mode)
{
    struct stat info;

    RB_TRY(mkdirat(at_fd, name, mode));

    int fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result = fd >= 0 && fstat(fd, &info) == 0 ? set_mode(fd, (info.st_mode & 07000) | mode) : -1;

    close_quietly(fd);
    if (result < 0) {
        int saved = errno;

        unlinkat(at_fd, name, AT_REMOVEDIR); /* or it would stay as it is */
        errno = saved;
    }
    return result;
}

/* Make one folder, if it is not there. A new one is synced into its parent, or it might be gone after a crash. */
static int make_dir(const struct store_file *store, const char *dir)
{
    RB_AUTO_TEXT *parent = parent_of(dir);
    const char *slash = strrchr(dir, '/');
    int fd = rb_beneath_open(store->root_fd, parent, O_RDONLY | O_DIRECTORY);
    int result = fd < 0 ? -1 : file_make_dir(fd, slash != NULL ? slash + 1 : dir, store->dir_mode);

    if (result == 0)
        result = fsync(fd);
    else if (fd >= 0 && errno == EEXIST)
        result = 0;
    close_quietly(fd);
    return result;
}

/* The folder that a file lies in, and all on the way to it. */
static int open_parent(const struct store_file *store, const char *path)
{
    RB_AUTO_TEXT *parent = parent_of(path);
    int fd = rb_beneath_open(store->root_fd, parent, O_RDONLY | O_DIRECTORY);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        RB_AUTO_TEXT *dir = rb_xstrndup(path, (size_t)(slash - path));

        RB_TRY(make_dir(store, dir));
    }
    return rb_beneath_open(store->root_fd, parent, O_RDONLY | O_DIRECTORY);
}

int file_try_bucket(int root_fd, int from_fd, const char *bucket)
{
    int fd = rb_beneath_open(root_fd, bucket, O_RDONLY | O_DIRECTORY);
    struct stat here, from;
    int result = fd >= 0 && fstat(fd, &here) == 0 && fstat(from_fd, &from) == 0
                     ? faccessat(fd, ".", W_OK | X_OK, AT_EACCESS)
                     : -1;

    if (result == 0 && here.st_dev != from.st_dev) {
        errno = EXDEV;
        result = -1;
    }
    close_quietly(fd);
    return result;
}

/* Could objects be moved into the bucket of this one? */
static bool bucket_works(const struct store_file *store, const char *path)
{
    RB_AUTO_TEXT *bucket = rb_xstrndup(path, strcspn(path, "/"));
    int saved = errno;
    bool works = file_try_bucket(store->root_fd, store->partial_fd, bucket) == 0;

    errno = saved;
    return works;
}

static int fail_on_the_way(struct rb_put *put, const char *doing)
{
    put->of_object = bucket_works(put->store, put->path);
    return fail_step(put, doing);
}

/* Room for all of it: that the disk is full should be known before a whole video has come. Where the file system cannot
 * keep room, writing says so in its time. */
static int keep_room(struct rb_put *put)
{
    if (put->announced <= 0 || fallocate(put->fd, FALLOC_FL_KEEP_SIZE, 0, put->announced) == 0)
        return 0;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? fail_step(put, "keep room") : 0;
}

static int step_open(struct rb_put *put)
{
    if (!RB_FAILS(file_open))
        put->fd = openat(put->store->partial_fd, put->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                         put->store->file_mode | 0200);
    if (put->fd < 0)
        return fail_step(put, "create a file in " PARTIAL_DIR);
    if (flock(put->fd, LOCK_EX | LOCK_NB) < 0) /* says that somebody still writes it */
        return fail_step(put, "lock a file in " PARTIAL_DIR);
    return keep_room(put);
}

static int step_write(struct rb_put *put)
{
    for (size_t done = 0; done < put->chunk_bytes;) {
        ssize_t count = RB_FAILS(file_write) ? -1 : write(put->fd, put->chunk + done, put->chunk_bytes - done);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return fail_step(put, "write");
        done += (size_t)count;
    }
    return 0;
}

/* What belongs to the file beside its bytes. The hash only saves work later, so a file system that keeps none is fine; it
 * is set first, because files that even the owner cannot write to take none. */
static int dress(struct rb_put *put)
{
    if (put->bytes < put->announced && ftruncate(put->fd, put->bytes) < 0) /* what was kept too much is given back */
        return fail_step(put, "give room back");
    if (put->sha256[0] != '\0' && fsetxattr(put->fd, HASH_ATTRIBUTE, put->sha256, strlen(put->sha256), 0) < 0)
        errno = 0;
    return set_mode(put->fd, put->store->file_mode) < 0 ? fail_step(put, "set the mode") : 0;
}

/* An error of fsync means that the bytes are lost, whatever a second try says: the file is given up. */
static int step_commit(struct rb_put *put)
{
    struct stat info;

    RB_TRY(dress(put));
    if (RB_FAILS(file_sync) || fsync(put->fd) < 0)
        return fail_step(put, "sync");
    if (fstat(put->fd, &info) < 0 || info.st_size != put->bytes) {
        errno = EIO;
        return fail_step(put, "find all bytes in the file after writing them");
    }

    int dir_fd = open_parent(put->store, put->path);

    if (dir_fd < 0)
        return fail_on_the_way(put, "open the folder");

    const char *name = strrchr(put->path, '/');
    bool moved = !RB_FAILS(file_rename) &&
                 renameat(put->store->partial_fd, put->partial, dir_fd, name != NULL ? name + 1 : put->path) == 0;
    bool synced = moved && !RB_FAILS(file_folder_sync) && fsync(dir_fd) == 0;

    close_quietly(dir_fd);
    if (!moved)
        return fail_on_the_way(put, "rename");
    return synced ? 0 : fail_step(put, "sync the folder");
}

/* The file goes, unless it is the object by now. */
static void step_drop(struct rb_put *put)
{
    if (put->state != PUT_DONE)
        unlinkat(put->store->partial_fd, put->partial, 0);
    close(put->fd);
    put->fd = -1;
}

void file_step(uv_work_t *work)
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
    case STEP_DROP:
        step_drop(put);
        break;
    }
}

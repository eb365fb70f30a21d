/*
 * spool_dir.c — the folder of the spool.
 *
 * Way:  publish -> outbox -> spool -> [spool_dir]
 */
#include "producer/spool_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/failpoint.h"

#define LOCK_NAME     "lock"
#define POSITION_NAME "position"
#define REFUSED_NAME  "refused"
#define SUFFIX        ".spool"
#define NAME_DIGITS   16
#define NAME_BYTES    (NAME_DIGITS + sizeof(SUFFIX))
#define PLACE_BYTES   512 /* each of the two positions has a sector of its own */

static char *name_of(uint64_t segment, char ret_name[NAME_BYTES])
{
    snprintf(ret_name, NAME_BYTES, "%016" PRIx64 SUFFIX, segment);
    return ret_name;
}

static bool number_of(const char *name, uint64_t *ret_segment)
{
    if (strspn(name, "0123456789abcdef") != NAME_DIGITS || strcmp(name + NAME_DIGITS, SUFFIX) != 0)
        return false;
    *ret_segment = strtoull(name, NULL, 16);
    return true;
}

static int refuse(const char *path, const char *doing, struct rb_error *err)
{
    return rb_fail(err, RB_E_BAD_OPTION, errno, "option 'spool': cannot %s '%.100s': %s", doing, path, strerror(errno));
}

/* Whoever has the lock has written who it is. */
static int refuse_lock(const struct rb_spool_dir *dir, struct rb_error *err)
{
    char holder[16] = "";
    ssize_t count = pread(dir->lock_fd, holder, sizeof(holder) - 1, 0);

    holder[RB_MAX(count, 0)] = '\0';
    holder[strspn(holder, "0123456789")] = '\0';
    return rb_fail(err, RB_E_BAD_OPTION, EWOULDBLOCK,
                   "option 'spool': another process (pid %s) uses '%.100s'; give each one a folder of its own",
                   holder[0] != '\0' ? holder : "unknown", dir->path);
}

static int take_lock(const struct rb_spool_dir *dir, struct rb_error *err)
{
    char pid[16];
    int length = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? refuse_lock(dir, err) : refuse(dir->path, "lock", err);
    if (ftruncate(dir->lock_fd, 0) < 0 || pwrite(dir->lock_fd, pid, (size_t)length, 0) != length)
        return refuse(dir->path, "write to", err);
    return 0;
}

/* Both places are there from the start: a full disk does not keep a position from being written. */
static int open_position(struct rb_spool_dir *dir, struct rb_error *err)
{
    struct stat now;

    dir->position_fd = openat(dir->fd, POSITION_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->position_fd < 0 || fstat(dir->position_fd, &now) < 0)
        return refuse(dir->path, "open the position in", err);
    if (now.st_size < 2 * PLACE_BYTES && posix_fallocate(dir->position_fd, 0, (off_t)(2 * PLACE_BYTES)) != 0)
        return refuse(dir->path, "write to", err);
    if (fsync(dir->position_fd) < 0 || fsync(dir->fd) < 0)
        return refuse(dir->path, "write to", err);
    return 0;
}

/* A folder that was just made is on the disk when the one above it is. */
static int sync_parent(int dir_fd)
{
    int fd = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd);

    if (fd >= 0)
        close(fd);
    return result;
}

static int open_folder(struct rb_spool_dir *dir, struct rb_error *err)
{
    bool made = mkdir(dir->path, 0700) == 0;
    struct stat refused;

    if (!made && errno != EEXIST)
        return refuse(dir->path, "make", err);
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0)
        return refuse(dir->path, "open", err);
    if (made && sync_parent(dir->fd) < 0)
        return refuse(dir->path, "make", err);
    dir->refused_bytes = fstatat(dir->fd, REFUSED_NAME, &refused, 0) == 0 ? (uint64_t)refused.st_size : 0;
    return 0;
}

static int open_parts(struct rb_spool_dir *dir, struct rb_error *err)
{
    RB_TRY(open_folder(dir, err));
    dir->lock_fd = openat(dir->fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->lock_fd < 0)
        return refuse(dir->path, "write to", err);
    RB_TRY(take_lock(dir, err));
    return open_position(dir, err);
}

int rb_spool_dir_open(const char *path, struct rb_spool_dir *ret_dir, struct rb_error *err)
{
    struct rb_spool_dir dir = {.path = rb_xstrdup(path), .fd = -1, .lock_fd = -1, .position_fd = -1};

    if (open_parts(&dir, err) < 0) {
        rb_spool_dir_close(&dir);
        return -1;
    }
    *ret_dir = dir;
    return 0;
}

void rb_spool_dir_close(struct rb_spool_dir *dir)
{
    const int fds[] = {dir->position_fd, dir->fd, dir->lock_fd};

    for (size_t i = 0; i < RB_COUNT(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(dir->path);
    *dir = (struct rb_spool_dir){.fd = -1, .lock_fd = -1, .position_fd = -1};
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

int rb_spool_dir_list(const struct rb_spool_dir *dir, uint64_t **ret_numbers, size_t *ret_count, struct rb_error *err)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    uint64_t *numbers = NULL, number;
    size_t count = 0;

    if (stream == NULL) {
        rb_fail(err, RB_E_SYSTEM, errno, "cannot list '%.100s': %s", dir->path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (!number_of(entry->d_name, &number))
            continue;
        numbers = rb_xrealloc(numbers, (count + 1) * sizeof(*numbers));
        numbers[count++] = number;
    }
    closedir(stream);
    if (count > 1)
        qsort(numbers, count, sizeof(*numbers), compare);
    *ret_numbers = numbers;
    *ret_count = count;
    return 0;
}

static int write_all(int fd, const char *bytes, size_t count, off_t offset)
{
    while (count > 0) {
        ssize_t done = pwrite(fd, bytes, count, offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        bytes += done;
        count -= (size_t)done;
        offset += done;
    }
    return 0;
}

/* A file that failed to reach the disk once cannot be believed to do so the next time. */
static int append_to(const struct rb_spool_dir *dir, int fd, uint64_t offset, const void *bytes, size_t count)
{
    if (RB_FAILS(spool_write) || write_all(fd, bytes, count, (off_t)offset) < 0 || RB_FAILS(spool_sync) ||
        fdatasync(fd) < 0)
        return -1;
    return offset == 0 ? fsync(dir->fd) : 0;
}

int rb_spool_dir_append(const struct rb_spool_dir *dir, uint64_t segment, uint64_t offset, const void *bytes,
                        size_t count)
{
    char name[NAME_BYTES];
    int flags = offset == 0 ? O_CREAT | O_EXCL : 0;
    int fd = openat(dir->fd, name_of(segment, name), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    int result = fd < 0 ? -1 : append_to(dir, fd, offset, bytes, count);
    int saved = errno;

    if (result < 0 && fd >= 0 && (offset > 0 ? ftruncate(fd, (off_t)offset) : unlinkat(dir->fd, name, 0)) < 0)
        saved = saved != 0 ? saved : errno; /* what is left there was not promised to anybody */
    if (fd >= 0)
        close(fd);
    errno = saved;
    return result;
}

ssize_t rb_spool_dir_read(const struct rb_spool_dir *dir, uint64_t segment, uint64_t offset, void *ret_bytes,
                          size_t count)
{
    char name[NAME_BYTES];
    int fd = openat(dir->fd, name_of(segment, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    size_t done = 0;
    ssize_t got = fd < 0 ? -1 : 1;

    while (got > 0 && done < count) {
        got = pread(fd, (char *)ret_bytes + done, count - done, (off_t)(offset + done));
        done += got > 0 ? (size_t)got : 0;
        if (got < 0 && errno == EINTR)
            got = 1;
    }

    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
    return got < 0 ? -1 : (ssize_t)done;
}

int64_t rb_spool_dir_size(const struct rb_spool_dir *dir, uint64_t segment)
{
    char name[NAME_BYTES];
    struct stat now;

    return fstatat(dir->fd, name_of(segment, name), &now, AT_SYMLINK_NOFOLLOW) < 0 ? -1 : (int64_t)now.st_size;
}

int rb_spool_dir_cut(const struct rb_spool_dir *dir, uint64_t segment, uint64_t bytes)
{
    char name[NAME_BYTES];
    int fd = openat(dir->fd, name_of(segment, name), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    int result = fd < 0 || ftruncate(fd, (off_t)bytes) < 0 || fsync(fd) < 0 ? -1 : 0;

    if (fd >= 0)
        close(fd);
    return result;
}

int rb_spool_dir_remove(const struct rb_spool_dir *dir, uint64_t segment)
{
    char name[NAME_BYTES];

    return unlinkat(dir->fd, name_of(segment, name), 0);
}

int rb_spool_dir_set_aside(struct rb_spool_dir *dir, const void *bytes, size_t count)
{
    int fd = openat(dir->fd, REFUSED_NAME, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result = fd < 0 ? -1 : append_to(dir, fd, dir->refused_bytes, bytes, count);
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
    if (result == 0)
        dir->refused_bytes += count;
    return result;
}

int rb_spool_dir_save(const struct rb_spool_dir *dir, const struct rb_spool_position *position)
{
    char bytes[RB_SPOOL_POSITION_BYTES];

    rb_spool_format_put_position(position, (uint8_t *)bytes);
    if (RB_FAILS(spool_mark))
        return -1;
    RB_TRY(write_all(dir->position_fd, bytes, sizeof(bytes), (off_t)(position->sequence % 2 * PLACE_BYTES)));
    return fdatasync(dir->position_fd);
}

void rb_spool_dir_load(const struct rb_spool_dir *dir, struct rb_spool_position *ret_position)
{
    uint8_t bytes[RB_SPOOL_POSITION_BYTES];
    struct rb_spool_position best = {0}, position;

    for (off_t place = 0; place < 2; place++)
        if (pread(dir->position_fd, bytes, sizeof(bytes), place * PLACE_BYTES) == (ssize_t)sizeof(bytes) &&
            rb_spool_format_get_position(bytes, &position) == 0 && position.sequence >= best.sequence)
            best = position;
    *ret_position = best;
}

/*
 * beneath.c — opens files below a folder, and nothing else.
 *
 * Way:  common
 */
#include "common/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PART_MAX_BYTES 255

static int open_by_kernel(int dir_fd, const char *path, int flags)
{
    const struct open_how how = {
        .flags = (unsigned)flags | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

/* One part of a path: a name that is neither empty nor "..". */
static int take_part(const char **path, char ret_part[PART_MAX_BYTES + 1])
{
    size_t length = strcspn(*path, "/");

    if (length == 0 || length > PART_MAX_BYTES || (length == 2 && strncmp(*path, "..", 2) == 0)) {
        errno = EXDEV;
        return -1;
    }
    memcpy(ret_part, *path, length);
    ret_part[length] = '\0';
    *path += length + ((*path)[length] == '/' ? 1 : 0);
    return 0;
}

static int open_by_parts(int dir_fd, const char *path, int flags)
{
    char part[PART_MAX_BYTES + 1];
    int at_fd = dir_fd;

    for (;;) {
        bool good = take_part(&path, part) == 0;
        bool last = good && *path == '\0';
        int part_flags = last ? flags : O_PATH | O_DIRECTORY;
        int fd = good ? openat(at_fd, part, part_flags | O_NOFOLLOW | O_CLOEXEC) : -1;
        int saved = errno;

        if (at_fd != dir_fd)
            close(at_fd);
        errno = saved;
        if (fd < 0 || last)
            return fd;
        at_fd = fd;
    }
}

int rb_beneath_open(int dir_fd, const char *path, int flags)
{
    int fd = open_by_kernel(dir_fd, path, flags);

    return fd < 0 && errno == ENOSYS ? open_by_parts(dir_fd, path, flags) : fd;
}

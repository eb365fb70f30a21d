/*
 * store_file_open.c — opens the folders of the file store, and sweeps away what killed processes have left there.
 *
 * Way:  [store_file] -> store
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/log.h"
#include "consumer/store_file_internal.h"

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

static int open_dir(int at_fd, const char *path, mode_t mode, int *ret_fd, struct rb_error *err)
{
    if (file_make_dir(at_fd, path, mode) < 0 && errno != EEXIST)
        return rb_fail(err, RB_E_BAD_OPTION, errno, "option 'file_root': cannot make '%s': %s", path, strerror(errno));
    *ret_fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0 || faccessat(*ret_fd, ".", W_OK, AT_EACCESS) < 0)
        return rb_fail(err, RB_E_BAD_OPTION, errno, "option 'file_root': cannot write to '%s': %s", path,
                       strerror(errno));
    return 0;
}

/* "0644" or "644". Without what is needed, we could not work with what we made. */
static int read_mode(const char *option, const char *text, mode_t needed, mode_t *ret_mode, struct rb_error *err)
{
    size_t length = strlen(text);
    mode_t mode = (mode_t)strtoul(text, NULL, 8);

    if (length < 3 || length > 4 || strspn(text, "01234567") != length || mode > 0777 || (mode & needed) != needed)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option '%s' is '%.10s', expected permissions as of chmod, 0%o to 0777, that give the owner 0%o",
                       option, text, (unsigned)needed, (unsigned)needed);
    *ret_mode = mode;
    return 0;
}

int file_open(struct store_file *store, const struct rb_store_file_config *config, struct rb_error *err)
{
    RB_TRY(read_mode("file_mode", config->file_mode, 0400, &store->file_mode, err));
    RB_TRY(read_mode("file_dir_mode", config->dir_mode, 0700, &store->dir_mode, err));
    RB_TRY(open_dir(AT_FDCWD, config->root, store->dir_mode, &store->root_fd, err));
    RB_TRY(open_dir(store->root_fd, PARTIAL_DIR, store->dir_mode, &store->partial_fd, err));
    if (!config->keeps_unfinished)
        sweep(store);
    return 0;
}

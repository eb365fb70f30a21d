/*
 * store_file_walk.c — walks through the files of a bucket, some at a time.
 *
 * Way:  store_file_ask -> [store_file_walk]
 */
#include "consumer/store_file_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/beneath.h"
#include "common/buffer.h"

#define DEPTH_MAX 32 /* no key has so many folders */

struct folder {
    DIR *dir;
    char *path; /* of keys in it: "" or "user/" */
};

struct file_walk {
    int root_fd; /* borrowed */
    char *bucket;
    char *prefix;
    bool begun;
    struct folder folders[DEPTH_MAX];
    size_t depth;
    struct rb_listed rows[RB_STORE_LIST_MAX];
    size_t count;
};

struct file_walk *file_walk_new(int root_fd, const char *bucket, const char *prefix)
{
    struct file_walk *walk = rb_xalloc(sizeof(*walk));

    walk->root_fd = root_fd;
    walk->bucket = rb_xstrdup(bucket);
    walk->prefix = rb_xstrdup(prefix);
    return walk;
}

static void clear_page(struct file_walk *walk)
{
    for (size_t i = 0; i < walk->count; i++)
        free(walk->rows[i].key);
    walk->count = 0;
}

static void leave(struct file_walk *walk)
{
    struct folder *folder = &walk->folders[--walk->depth];

    closedir(folder->dir);
    free(folder->path);
}

void file_walk_free(struct file_walk *walk)
{
    if (walk == NULL)
        return;
    while (walk->depth > 0)
        leave(walk);
    clear_page(walk);
    free(walk->bucket);
    free(walk->prefix);
    free(walk);
}

/* Takes path as its own. */
static int enter(struct file_walk *walk, int at_fd, const char *name, char *path)
{
    int fd = rb_beneath_open(at_fd, name, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    int saved = errno;

    if (dir != NULL) {
        walk->folders[walk->depth++] = (struct folder){dir, path};
        return 0;
    }
    if (fd >= 0)
        close(fd);
    free(path);
    errno = saved;
    return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
}

/* Could there be a key in this folder, or with this name, that begins with the prefix? */
static bool is_on_the_way(const struct file_walk *walk, const char *path)
{
    size_t shorter = RB_MIN(strlen(path), strlen(walk->prefix));

    return strncmp(path, walk->prefix, shorter) == 0;
}

static void add_file(struct file_walk *walk, const char *key, const struct stat *info)
{
    if (strlen(key) < strlen(walk->prefix))
        return;
    walk->rows[walk->count++] = (struct rb_listed){
        .key = rb_xstrdup(key),
        .bytes = info->st_size,
        .changed_unix_ms = (int64_t)info->st_mtim.tv_sec * 1000 + info->st_mtim.tv_nsec / 1000000,
    };
}

static int take_entry(struct file_walk *walk, const char *name)
{
    const struct folder *folder = &walk->folders[walk->depth - 1];
    RB_AUTO_TEXT *path = rb_xprintf("%s%s", folder->path, name);
    struct stat info;

    if (name[0] == '.' || !is_on_the_way(walk, path) ||
        fstatat(dirfd(folder->dir), name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (S_ISREG(info.st_mode))
        add_file(walk, path, &info);
    else if (S_ISDIR(info.st_mode) && walk->depth < DEPTH_MAX)
        return enter(walk, dirfd(folder->dir), name, rb_xprintf("%s/", path));
    return 0;
}

int file_walk_page(struct file_walk *walk, struct rb_store_answer *ret_answer)
{
    clear_page(walk);
    if (!walk->begun)
        RB_TRY(enter(walk, walk->root_fd, walk->bucket, rb_xstrdup("")));
    walk->begun = true;
    while (walk->depth > 0 && walk->count < RB_STORE_LIST_MAX) {
        const struct dirent *entry;

        errno = 0;
        entry = readdir(walk->folders[walk->depth - 1].dir);
        if (entry != NULL)
            RB_TRY(take_entry(walk, entry->d_name));
        else if (errno != 0)
            return -1;
        else
            leave(walk);
    }
    ret_answer->listed = walk->rows;
    ret_answer->listed_count = walk->count;
    ret_answer->more = walk->depth > 0;
    return 0;
}

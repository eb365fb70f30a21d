/*
 * media.c — serves stored files from a folder, for trying things out.
 *
 * Way:  [status]
 */
#include "producer/media.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/beneath.h"
#include "common/units.h"

int rb_media_init(const char *dir, struct rb_media *ret_media, struct rb_error *err)
{
    int fd;

    if (mkdir(dir, 0755) < 0 && errno != EEXIST)
        return rb_fail(err, RB_E_BAD_OPTION, errno, "option 'media_dir': cannot make '%s': %s", dir, strerror(errno));
    fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return rb_fail(err, RB_E_BAD_OPTION, errno, "option 'media_dir': cannot open '%s': %s", dir, strerror(errno));
    ret_media->dir_fd = fd;
    return 0;
}

void rb_media_done(struct rb_media *media)
{
    close(media->dir_fd);
}

/* Whatever the path holds, the file lies below the folder, is no link and is not hidden. */
static int open_below(int dir_fd, const char *path, struct stat *ret_info)
{
    if (path[0] == '.' || strstr(path, "/.") != NULL)
        return -1;

    int fd = rb_beneath_open(dir_fd, path, O_RDONLY | O_NONBLOCK);

    if (fd < 0)
        return -1;
    if (fstat(fd, ret_info) < 0 || !S_ISREG(ret_info->st_mode)) {
        close(fd);
        return -1;
    }
    return fd;
}

enum range { RANGE_ALL, RANGE_PART, RANGE_BAD };

/* "bytes=a-b", "bytes=a-" and "bytes=-n". Anything else, several ranges too, counts as no range: all is sent. */
static enum range parse_range(const char *header, int64_t size, int64_t *ret_first, int64_t *ret_count)
{
    char first[24] = "", last[24] = "";
    int64_t from = 0, to = size - 1;
    int used = 0;

    if (header == NULL || strncmp(header, "bytes=", 6) != 0)
        return RANGE_ALL;
    header += 6;
    if (sscanf(header, "%20[0-9]-%20[0-9]%n", first, last, &used) == 2 && header[used] == '\0') {
        if (rb_units_parse_number(first, &from) < 0 || rb_units_parse_number(last, &to) < 0 || to < from)
            return RANGE_ALL;
    } else if (sscanf(header, "%20[0-9]-%n", first, &used) == 1 && used > 0 && header[used] == '\0') {
        if (rb_units_parse_number(first, &from) < 0)
            return RANGE_ALL;
    } else if (sscanf(header, "-%20[0-9]%n", last, &used) == 1 && header[used] == '\0') {
        if (rb_units_parse_number(last, &to) < 0)
            return RANGE_ALL;
        from = RB_MAX(size - to, 0);
        to = to == 0 ? -1 : size - 1;
    } else {
        return RANGE_ALL;
    }
    to = RB_MIN(to, size - 1);
    if (from > to)
        return RANGE_BAD;
    *ret_first = from;
    *ret_count = to - from + 1;
    return RANGE_PART;
}

void rb_media_serve(struct rb_exchange *exchange, void *arg)
{
    const struct rb_media *media = arg;
    struct stat info;
    int fd = open_below(media->dir_fd, rb_exchange_path(exchange) + strlen(RB_MEDIA_PATH), &info);
    int64_t first = 0, count = 0;
    char content_range[96];

    if (fd < 0) {
        rb_exchange_reply_error(exchange, 404, "there is no such file", NULL);
        return;
    }

    enum range range = parse_range(rb_exchange_header(exchange, "Range"), info.st_size, &first, &count);

    if (range == RANGE_BAD) {
        close(fd);
        snprintf(content_range, sizeof(content_range), "bytes */%" PRId64, (int64_t)info.st_size);
        rb_exchange_reply_error(exchange, 416, "the range lies outside of the file",
                                &(struct rb_header){"Content-Range", content_range});
        return;
    }

    struct rb_reply reply = {
        .status = range == RANGE_PART ? 206 : 200,
        .content_type = "video/mp4",
        .body_bytes = range == RANGE_PART ? (size_t)count : (size_t)info.st_size,
        .fd = fd,
        .fd_offset = (uint64_t)first,
        .headers = {{"Accept-Ranges", "bytes"}, {"Cache-Control", "private, max-age=60"}},
    };

    if (range == RANGE_PART) {
        snprintf(content_range, sizeof(content_range), "bytes %" PRId64 "-%" PRId64 "/%" PRId64, first,
                 first + count - 1, (int64_t)info.st_size);
        reply.headers[2] = (struct rb_header){"Content-Range", content_range};
    }
    rb_exchange_reply(exchange, &reply);
}

/*
 * media.c — serves stored files from a folder, for trying things out.
 *
 * Way:  [status]
 */
#include "producer/media.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/beneath.h"

#define FILE_MAX_BYTES (INT64_C(1) << 53)

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

/* A number at *at, which moves behind it; -1 when there is none. What is too large for a file becomes the largest one. */
static int64_t take_number(const char **at)
{
    int64_t number = -1;

    for (; isdigit((unsigned char)**at); (*at)++)
        number = number > FILE_MAX_BYTES ? FILE_MAX_BYTES : RB_MAX(number, 0) * 10 + (**at - '0');
    return number;
}

/* "bytes=a-b", "bytes=a-" and "bytes=-n". Anything else, several ranges too, counts as no range: all is sent. */
static enum range parse_range(const char *header, int64_t size, int64_t *ret_first, int64_t *ret_count)
{
    if (header == NULL || strncmp(header, "bytes=", 6) != 0)
        return RANGE_ALL;

    const char *at = header + 6;
    int64_t from = take_number(&at);
    bool dashed = *at++ == '-';
    int64_t to = dashed ? take_number(&at) : -1;

    if (!dashed || *at != '\0' || (from < 0 && to < 0) || (from >= 0 && to >= 0 && to < from))
        return RANGE_ALL;
    if (from < 0 && to == 0)
        return RANGE_BAD; /* the last nothing */
    if (from < 0) {
        from = RB_MAX(size - to, 0);
        to = size - 1;
    }
    to = to < 0 ? size - 1 : RB_MIN(to, size - 1);
    if (from > to)
        return RANGE_BAD;
    *ret_first = from;
    *ret_count = to - from + 1;
    return RANGE_PART;
}

/* Videos, and what is stored next to them. */
static const char *type_of(const char *path)
{
    static const struct {
        const char *ending;
        const char *type;
    } rows[] = {
        {".webm", "video/webm"},
        {".webp", "image/webp"},
        {".jpg", "image/jpeg"},
        {".png", "image/png"},
    };
    size_t length = strlen(path);

    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        size_t ending = strlen(rows[i].ending);

        if (length > ending && strcmp(path + length - ending, rows[i].ending) == 0)
            return rows[i].type;
    }
    return "video/mp4";
}

void rb_media_serve(struct rb_exchange *exchange, void *arg)
{
    const struct rb_media *media = arg;
    struct stat info;
    const char *path = rb_exchange_path(exchange) + strlen(RB_MEDIA_PATH);
    int fd = open_below(media->dir_fd, path, &info);
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
        .content_type = type_of(path),
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

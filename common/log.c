/*
 * log.c — one line per fact, on standard error: of key=value, or a JSON object.
 *
 * Way:  common
 */
#include "common/log.h"

#include <ctype.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log_form.h"

#define PIECE_BYTES 4096 /* a pipe that can be written to has room for so many (PIPE_BUF) */
#define LAST_MS     1000 /* for a reader to make room */

struct event_row {
    const char *name;
    enum rb_level level;
    const char *fields;
    const char *meaning;
};

static const struct event_row event_rows[] = {
#define ROW(event, level, fields, meaning) [RB_EV_##event] = {#event, RB_LEVEL_##level, fields, meaning},
    RB_LOG_EVENTS(ROW)
#undef ROW
};

static const char *const level_names[] = {"crit", "warning", "notice", "info", "debug"};

static const char *const format_names[] = {"logfmt", "json"};

static atomic_int shown_level = RB_LEVEL_INFO;

/* Written before the loop runs, read by all. */
static enum { FORMAT_LOGFMT, FORMAT_JSON } format_wanted;
static bool to_journal; /* standard error leads there */

static int find_name(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

/* systemd says which file the journal is; somebody may have put another one in its place since. */
static bool leads_to_journal(const char *stream)
{
    struct stat status;
    unsigned long long device, inode;

    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
           status.st_dev == device && status.st_ino == inode;
}

static void write_bug(const char *line);

int rb_log_start(const char *level, const char *format, struct rb_error *err)
{
    int level_found = find_name(level_names, RB_COUNT(level_names), level);
    int format_found = find_name(format_names, RB_COUNT(format_names), format);

    if (level_found < 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "log level '%s' is none of crit, warning, notice, info, debug", level);
    if (format_found < 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "log format '%s' is neither logfmt nor json", format);
    atomic_store(&shown_level, level_found);
    format_wanted = (unsigned)format_found;
    to_journal = leads_to_journal(getenv("JOURNAL_STREAM"));
    rb_on_bug(write_bug);
    return 0;
}

static void lower(char *ret_text, size_t room, const char *text)
{
    size_t i = 0;

    for (; i + 1 < room && text[i] != '\0'; i++)
        ret_text[i] = (char)tolower((unsigned char)text[i]);
    ret_text[i] = '\0';
}

/* A line under construction; what does not fit is cut, never written past the end. */
struct line {
    char text[RB_LOG_LINE_BYTES];
    size_t used;
};

/* And as it is written. */
struct written {
    char text[RB_LOG_FORM_BYTES + 8];
    size_t used;
};

RB_PRINTF(2, 0) static void line_vadd(struct line *line, const char *format, va_list args)
{
    size_t room = sizeof(line->text) - 1 - line->used; /* one byte stays free for the line feed */
    int length = vsnprintf(line->text + line->used, room, format, args);

    if (length > 0)
        line->used += RB_MIN((size_t)length, room - 1);
}

RB_PRINTF(2, 3) static void line_add(struct line *line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line_vadd(line, format, args);
    va_end(args);
}

/* What every line begins with: when, what, about whom, and the facts of whoever logs. */
RB_PRINTF(4, 0)
static void line_begin(struct line *line, const struct rb_log_about *about, const struct event_row *row,
                       const char *format, va_list args)
{
    char now[RB_TIME_TEXT_BYTES];
    char name[32];

    line->used = 0;
    lower(name, sizeof(name), row->name);
    line_add(line, "ts=%s level=%s ev=%s", rb_clock_text(rb_clock_unix_ms(), now), level_names[row->level], name);
    if (about != NULL && about->text[0] != '\0')
        line_add(line, " %s", about->text);
    if (format[0] != '\0')
        line_add(line, " ");
    line_vadd(line, format, args);
}

static void finish(const struct line *line, enum rb_level level, struct written *ret_written)
{
    static const int priorities[] = {2, 4, 5, 6, 7}; /* of syslog, for each level */
    size_t used = 0;

    if (to_journal)
        used = (size_t)snprintf(ret_written->text, 8, "<%d>", priorities[level]);
    if (format_wanted == FORMAT_JSON) {
        used += rb_log_json(line->text, line->used, ret_written->text + used);
    } else {
        memcpy(ret_written->text + used, line->text, line->used);
        used += line->used;
    }
    ret_written->text[used++] = '\n';
    ret_written->used = used;
}

/* Lines that wait to be written together. */
static struct {
    pthread_mutex_t lock;
    bool held;
    size_t used;
    char text[32 << 10];
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void write_kept(void)
{
    for (size_t done = 0; done < kept.used;) {
        ssize_t count = write(STDERR_FILENO, kept.text + done, kept.used - done);

        if (count <= 0)
            break; /* nobody reads our log; there is nowhere to complain */
        done += (size_t)count;
    }
    kept.used = 0;
}

static void line_write(const struct line *line, enum rb_level level)
{
    struct written written;

    finish(line, level, &written);
    pthread_mutex_lock(&kept.lock);
    if (written.used > sizeof(kept.text) - kept.used)
        write_kept();
    memcpy(kept.text + kept.used, written.text, written.used);
    kept.used += written.used;
    if (!kept.held || level <= RB_LEVEL_WARNING)
        write_kept();
    pthread_mutex_unlock(&kept.lock);
}

void rb_log_hold(bool held)
{
    pthread_mutex_lock(&kept.lock);
    kept.held = held;
    write_kept();
    pthread_mutex_unlock(&kept.lock);
    rb_on_bug(write_bug);
}

/* Without the lock: whoever has it will not go on. */
static void write_bug(const char *text)
{
    struct line line = {.used = 0};
    struct written written;

    write_kept();
    line_add(&line, "%s", text);
    finish(&line, RB_LEVEL_CRIT, &written);
    if (write(STDERR_FILENO, written.text, written.used) < 0)
        return; /* nobody reads our log */
}

void rb_log_flush(void)
{
    pthread_mutex_lock(&kept.lock);
    write_kept();
    pthread_mutex_unlock(&kept.lock);
}

static bool is_shown(enum rb_level level)
{
    return (int)level <= atomic_load_explicit(&shown_level, memory_order_relaxed);
}

void rb_log(const struct rb_log_about *about, enum rb_log_event event, const char *format, ...)
{
    const struct event_row *row = &event_rows[event];
    struct line line;
    va_list args;

    if (!is_shown(row->level))
        return;
    va_start(args, format);
    line_begin(&line, about, row, format, args);
    va_end(args);
    line_write(&line, row->level);
}

void rb_log_error(const struct rb_log_about *about, enum rb_log_event event, const struct rb_error *err,
                  const char *format, ...)
{
    const struct event_row *row = &event_rows[event];
    char quoted[RB_LOG_QUOTE_BYTES];
    struct line line;
    va_list args;

    if (!is_shown(row->level))
        return;
    va_start(args, format);
    line_begin(&line, about, row, format, args);
    va_end(args);
    line_add(&line, " code=%s", rb_code_name(err->code));
    if (err->detail != 0)
        line_add(&line, " detail=%d", err->detail);
    line_add(&line, " error=%s", rb_log_quote(err->message, quoted));
    line_write(&line, row->level);
}

void rb_log_shift_level(int levels)
{
    int wanted = atomic_load(&shown_level) + levels;
    struct line line = {.used = 0};
    char now[RB_TIME_TEXT_BYTES];

    wanted = RB_MAX(RB_MIN(wanted, RB_LEVEL_DEBUG), RB_LEVEL_CRIT);
    atomic_store(&shown_level, wanted);
    line_add(&line, "ts=%s level=notice ev=log_level shows=%s", rb_clock_text(rb_clock_unix_ms(), now),
             level_names[wanted]);
    line_write(&line, RB_LEVEL_NOTICE);
}

/* As much as goes without waiting. */
static void write_last(const char *text, size_t count)
{
    while (count > 0) {
        struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};
        ssize_t done = 0;

        if (poll(&writable, 1, LAST_MS) == 1)
            done = write(STDERR_FILENO, text, RB_MIN(count, PIECE_BYTES));
        if (done <= 0)
            return;
        text += done;
        count -= (size_t)done;
    }
}

/* Whoever has the lock may be the one that is stuck. */
void rb_log_last(enum rb_log_event event, const char *format, ...)
{
    struct line line;
    struct written written;
    va_list args;

    va_start(args, format);
    line_begin(&line, NULL, &event_rows[event], format, args);
    va_end(args);
    finish(&line, event_rows[event].level, &written);
    if (pthread_mutex_trylock(&kept.lock) == 0) {
        write_last(kept.text, kept.used);
        kept.used = 0;
        pthread_mutex_unlock(&kept.lock);
    }
    write_last(written.text, written.used);
}

char *rb_log_quote(const char *text, char *ret_quoted)
{
    char *out = ret_quoted;
    char *end = ret_quoted + RB_LOG_QUOTE_BYTES - 6; /* room for one \xHH, the quote and the NUL */

    *out++ = '"';
    for (const char *in = text != NULL ? text : ""; *in != '\0' && out < end; in++) {
        unsigned char c = (unsigned char)*in;

        if (c == '"' || c == '\\')
            *out++ = '\\';
        if (c < 0x20 || c == 0x7f)
            out += snprintf(out, 5, "\\x%02x", c);
        else
            *out++ = (char)c;
    }
    *out++ = '"';
    *out = '\0';
    return ret_quoted;
}

void rb_log_print_table(FILE *file)
{
    fputs("| event | level | fields | what it means |\n| --- | --- | --- | --- |\n", file);
    for (size_t i = 0; i < RB_EV_COUNT; i++) {
        char name[32];

        lower(name, sizeof(name), event_rows[i].name);
        fprintf(file, "| `%s` | %s | %s | %s |\n", name, level_names[event_rows[i].level], event_rows[i].fields,
                event_rows[i].meaning);
    }
}

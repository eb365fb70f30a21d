/*
 * failpoint.c — has the program die, stop, hang, or meet an error, where a test wants it to.
 *
 * Way:  common
 */
#include "common/failpoint.h"

#ifdef RB_FAILPOINTS

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "common/log.h"

#define RULES_MAX 256

enum { OF_CONSUMER = 1, OF_PRODUCER = 2, OF_BOTH = 3 };
enum { TAKES_PLAIN, TAKES_ERRNO };

static const struct {
    const char *name;
    int of;
    int takes;
    const char *when;
} rows[] = {
#define ROW(name, of, takes, when) [RB_FAIL_##name] = {#name, OF_##of, TAKES_##takes, when},
    RB_FAILPOINTS_TABLE(ROW)
#undef ROW
};

enum what { WHAT_KILL, WHAT_STOP, WHAT_HANG, WHAT_ERRNO };

static const struct {
    const char *name;
    enum what what;
    int number;
} whats[] = {
    {"kill", WHAT_KILL, 0},
    {"stop", WHAT_STOP, 0},
    {"hang", WHAT_HANG, 0},
    {"EIO", WHAT_ERRNO, EIO},
    {"ENOSPC", WHAT_ERRNO, ENOSPC},
    {"EDQUOT", WHAT_ERRNO, EDQUOT},
    {"EACCES", WHAT_ERRNO, EACCES},
    {"EROFS", WHAT_ERRNO, EROFS},
    {"EMFILE", WHAT_ERRNO, EMFILE},
    {"EAGAIN", WHAT_ERRNO, EAGAIN},
    {"ENOMEM", WHAT_ERRNO, ENOMEM},
    {"ECONNRESET", WHAT_ERRNO, ECONNRESET},
    {"ETIMEDOUT", WHAT_ERRNO, ETIMEDOUT},
};

/* Written before the loop runs, read by all threads afterwards. */
static struct {
    enum rb_failpoint point;
    unsigned long nth;
    bool and_on; /* from the nth on */
    size_t what; /* a row of whats */
} rules[RULES_MAX];

static size_t rule_count;
static bool counting;
static atomic_ulong seen[RB_FAIL_COUNT];

static int of_program(const char *program)
{
    return strcmp(program, "consumer") == 0 ? OF_CONSUMER : OF_PRODUCER;
}

static int fail_unknown(const char *program, const char *name, struct rb_error *err)
{
    return rb_fail(err, RB_E_BAD_OPTION, 0, "REELBUS_FAIL: reelbus-%s has no failpoint '%.60s'", program, name);
}

static int find_point(const char *program, const char *name, enum rb_failpoint *ret_point, struct rb_error *err)
{
    for (size_t i = 0; i < RB_FAIL_COUNT; i++) {
        if (strcmp(rows[i].name, name) == 0 && (rows[i].of & of_program(program)) != 0) {
            *ret_point = (enum rb_failpoint)i;
            return 0;
        }
    }
    return fail_unknown(program, name, err);
}

static int find_what(enum rb_failpoint point, const char *name, size_t *ret_what, struct rb_error *err)
{
    for (size_t i = 0; i < RB_COUNT(whats); i++) {
        if (strcmp(whats[i].name, name) != 0)
            continue;
        if (whats[i].what == WHAT_ERRNO && rows[point].takes != TAKES_ERRNO)
            return rb_fail(err, RB_E_BAD_OPTION, 0, "REELBUS_FAIL: '%s' takes kill, stop and hang, and no errno",
                           rows[point].name);
        *ret_what = i;
        return 0;
    }
    return rb_fail(err, RB_E_BAD_OPTION, 0,
                   "REELBUS_FAIL: '%.60s' is none of kill, stop, hang, and no errno known here", name);
}

/* One rule, name:nth:what; nth+ is the nth and all that come after it. */
static int read_rule(const char *program, char *text, struct rb_error *err)
{
    char *rest = text, *end = NULL;
    const char *name = strsep(&rest, ":"), *nth = strsep(&rest, ":"), *what = rest;
    enum rb_failpoint point = RB_FAIL_COUNT;
    size_t found = 0;

    if (nth == NULL || what == NULL)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "REELBUS_FAIL: expected name:nth:what, parted by commas");
    if (rule_count == RULES_MAX)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "REELBUS_FAIL: more than %d of them", RULES_MAX);
    RB_TRY(find_point(program, name, &point, err));
    RB_TRY(find_what(point, what, &found, err));

    unsigned long number = strtoul(nth, &end, 10);
    bool and_on = *end == '+';

    if (end[and_on] != '\0' || nth[0] < '0' || nth[0] > '9' || number == 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "REELBUS_FAIL: '%.60s' is no number from 1 on", nth);
    rules[rule_count].point = point;
    rules[rule_count].nth = number;
    rules[rule_count].and_on = and_on;
    rules[rule_count++].what = found;
    return 0;
}

int rb_failpoint_read(const char *program, const char *text, struct rb_error *err)
{
    RB_AUTO_TEXT *copy = rb_xstrdup(text);

    rule_count = 0;
    counting = false;
    for (char *rest = copy, *rule; (rule = strsep(&rest, ",")) != NULL;) {
        if (strcmp(rule, "count") == 0)
            counting = true;
        else
            RB_TRY(read_rule(program, rule, err));
    }
    return 0;
}

static void print_counts(void)
{
    for (size_t i = 0; i < RB_FAIL_COUNT; i++)
        if (atomic_load(&seen[i]) > 0)
            dprintf(STDERR_FILENO, "failpoint %s reached=%lu\n", rows[i].name, atomic_load(&seen[i]));
}

static void print_table(const char *program, FILE *file)
{
    for (size_t i = 0; i < RB_FAIL_COUNT; i++)
        if ((rows[i].of & of_program(program)) != 0)
            fprintf(file, "%-22s %-5s %s\n", rows[i].name, rows[i].takes == TAKES_ERRNO ? "errno" : "plain",
                    rows[i].when);
}

int rb_failpoint_start(const char *program, int argc, char **argv, const char *text)
{
    struct rb_error err = {0};

    if (argc == 2 && strcmp(argv[1], "--failpoints") == 0) {
        print_table(program, stdout);
        return 0;
    }
    if (text == NULL || text[0] == '\0')
        return -1;
    if (rb_failpoint_read(program, text, &err) == 0) {
        if (counting)
            atexit(print_counts);
        return -1;
    }
    fprintf(stderr, "reelbus-%s: %s; there are:\n", program, err.message);
    print_table(program, stderr);
    return 2;
}

/* What the log holds back is written first: it tells how it came to this. */
static bool happen(enum rb_failpoint point, unsigned long nth, size_t what)
{
    rb_log_flush();
    dprintf(STDERR_FILENO, "failpoint %s:%lu:%s\n", rows[point].name, nth, whats[what].name);
    switch (whats[what].what) {
    case WHAT_KILL:
        kill(getpid(), SIGKILL);
        for (;;)
            pause();
    case WHAT_STOP:
        raise(SIGSTOP);
        return false;
    case WHAT_HANG:
        for (;;)
            pause();
    case WHAT_ERRNO:
        errno = whats[what].number;
        return true;
    }
    RB_BUG("unknown thing to happen");
}

bool rb_failpoint_fails(enum rb_failpoint point)
{
    bool fails = false;

    if (rule_count == 0 && !counting)
        return false;

    unsigned long nth = atomic_fetch_add(&seen[point], 1) + 1;

    for (size_t i = 0; i < rule_count; i++)
        if (rules[i].point == point && (rules[i].nth == nth || (rules[i].and_on && rules[i].nth < nth)))
            fails |= happen(point, nth, rules[i].what);
    return fails;
}

#endif

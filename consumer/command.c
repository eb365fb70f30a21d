/*
 * command.c — what every command of an operator has at hand.
 *
 * Way:  consumer setup, tail, ...
 */
#include "consumer/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/log.h"
#include "common/pg.h"
#include "common/pool.h"
#include "common/show.h"
#include "consumer/stores.h"

#define COMMAND_MAGIC 0x434f4d44u

/* What an operator has asked for is what he wants to read; what goes on beside it only when he says so. */
static int set_log_level(const struct rb_options *options, struct rb_error *err)
{
    const struct rb_option *row = rb_options_find(options->spec, "log_level", strlen("log_level"));
    const struct consumer_options *values = options->values;
    bool is_default = options->sources[row - options->spec->rows] == RB_FROM_DEFAULT;

    return rb_log_start(is_default ? "warning" : values->common.log_level, values->common.log_format, err);
}

int rb_command_open(struct rb_command *command, const struct rb_options *options, struct rb_error *err)
{
    *command = (struct rb_command){
        .magic = COMMAND_MAGIC, .all_options = options, .options = options->values, .loop = rb_loop_new()};
    return set_log_level(options, err);
}

int rb_command_close(struct rb_command *command, int status)
{
    rb_bar_free(command->bar);
    rb_pg_free(command->pg);
    rb_loop_free(command->loop);
    if (command->fallback.values != NULL)
        rb_options_done(&command->fallback);
    if (!rb_command_flush(command) && command->out_errno != EPIPE) {
        rb_command_note(command, "standard output cannot be written: %s", strerror(command->out_errno));
        status = RB_EXIT_FAILED;
    }
    command->magic = 0;
    return status;
}

int rb_command_fallback(struct rb_command *command, const struct consumer_options **ret_options, struct rb_error *err)
{
    if (command->fallback.values == NULL)
        RB_TRY(rb_stores_read_fallback(command->all_options, &command->fallback, err));
    *ret_options = command->fallback.values;
    return 0;
}

/* -- the loop ------------------------------------------------------------------------------------------------------ */

/* What commands do may end anywhere: kill -9 is normal. A second time, nothing is waited for. */
static void on_signal(void *arg)
{
    struct rb_command *command = RB_CAST(rb_command, arg, COMMAND_MAGIC);

    if (command->stopped) {
        rb_bar_hide(command->bar);
        _exit(RB_EXIT_INTERRUPTED);
    }
    command->stopped = true;
    rb_loop_stop(command->loop);
}

static void run_loop(struct rb_command *command)
{
    if (!command->has_signals)
        rb_loop_on_signal(command->loop, on_signal, command);
    command->has_signals = true;
    command->runs = true;
    rb_loop_run(command->loop);
    command->runs = false;
}

bool rb_command_wait(struct rb_command *command)
{
    while (!command->stopped && !command->awake)
        run_loop(command);
    command->awake = false;
    return !command->stopped;
}

void rb_command_wake(void *arg)
{
    struct rb_command *command = RB_CAST(rb_command, arg, COMMAND_MAGIC);

    command->awake = true;
    if (command->runs) /* else it would not run when it is freed, either */
        rb_loop_stop(command->loop);
}

bool rb_command_pause(struct rb_command *command, int64_t ms)
{
    struct rb_timer *timer = rb_timer_new(command->loop, rb_command_wake, command);
    bool goes_on = true;

    rb_timer_start(timer, ms);
    while (rb_timer_is_started(timer) && (goes_on = rb_command_wait(command)))
        continue;
    rb_timer_free(timer);
    return goes_on;
}

struct work {
    struct rb_command *command; /* borrowed, as is arg */
    rb_loop_fn fn;
    void *arg;
    bool ended;
};

static void do_work(void *arg)
{
    struct work *work = arg;

    work->fn(work->arg);
}

static void on_work_done(void *arg)
{
    struct work *work = arg;

    work->ended = true;
    rb_loop_stop(work->command->loop);
}

void rb_command_block(struct rb_command *command, rb_loop_fn fn, void *arg)
{
    struct work work = {.command = command, .fn = fn, .arg = arg};

    rb_pool_start(command->loop, do_work, on_work_done, &work);
    while (!work.ended)
        run_loop(command);
}

/* -- words --------------------------------------------------------------------------------------------------------- */

int rb_command_status(enum rb_code code)
{
    switch (code) {
    case RB_E_BAD_OPTION:
        return RB_EXIT_USAGE;
    case RB_E_KAFKA_AWAY:
    case RB_E_DB_AWAY:
    case RB_E_STORE_AWAY:
    case RB_E_STORE_BUSY:
    case RB_E_REGISTRY_AWAY:
        return RB_EXIT_AWAY;
    default:
        return RB_EXIT_FAILED;
    }
}

void rb_command_note(struct rb_command *command, const char *format, ...)
{
    va_list args;

    rb_bar_hide(command->bar);
    fprintf(stderr, "reelbus-consumer %s: ", command->all_options->command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

int rb_command_fail(struct rb_command *command, const struct rb_error *err)
{
    RB_AUTO_BUFFER text = {0};

    if (command->stopped)
        return RB_EXIT_INTERRUPTED;
    rb_show_text(&text, err->message, strlen(err->message));
    rb_command_note(command, "%s", text.bytes != NULL ? text.bytes : rb_code_what(err->code));
    return rb_command_status(err->code);
}

void rb_command_print(struct rb_command *command, json_t *value)
{
    rb_bar_hide(command->bar);
    json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(value);
}

bool rb_command_flush(struct rb_command *command)
{
    if (command->out_errno == 0 && fflush(stdout) != 0)
        command->out_errno = errno;
    else if (command->out_errno == 0 && ferror(stdout) != 0)
        command->out_errno = EIO;
    return command->out_errno == 0;
}

json_t *rb_command_text(const char *text)
{
    size_t count = text != NULL ? strlen(text) : 0;
    json_t *value = text != NULL ? json_stringn(text, count) : json_null();
    RB_AUTO_BUFFER clean = {0};

    if (value != NULL)
        return value;
    for (size_t i = 0; i < count;) {
        size_t length = rb_show_character(text + i, count - i);

        rb_buffer_add(&clean, length > 0 ? text + i : "\xef\xbf\xbd", length > 0 ? length : 3);
        i += RB_MAX(length, (size_t)1);
    }
    return json_stringn(clean.bytes, clean.used);
}

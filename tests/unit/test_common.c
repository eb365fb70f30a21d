/* The small files of common/: buffer, clock, error, log, random, tables, trace. */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/pg_array.h"
#include "common/random.h"
#include "common/tables.h"
#include "common/trace.h"

static void a_buffer_grows_and_always_ends_in_a_nul(void **state)
{
    RB_AUTO_BUFFER buffer = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        rb_buffer_print(&buffer, "%d,", i);
    assert_int_equal(buffer.used, 3890);
    assert_int_equal(strlen(buffer.bytes), 3890);
    rb_buffer_add(&buffer, "\0x", 2);
    assert_int_equal(buffer.used, 3892);
    assert_int_equal(buffer.bytes[3892], '\0');
}

static void an_array_of_sql_keeps_each_text_as_it_is(void **state)
{
    RB_AUTO_BUFFER texts = {0}, numbers = {0}, none = {0};

    (void)state;
    rb_pg_array_add(&texts, "plain");
    rb_pg_array_add(&texts, NULL);
    rb_pg_array_add(&texts, "");
    rb_pg_array_add(&texts, "NULL");
    rb_pg_array_add(&texts, "\"},{\\");
    assert_string_equal(rb_pg_array_end(&texts), "{\"plain\",NULL,\"\",\"NULL\",\"\\\"},{\\\\\"}");
    rb_pg_array_add_number(&numbers, -7);
    rb_pg_array_add_number(&numbers, INT64_MAX);
    rb_pg_array_add(&numbers, NULL);
    assert_string_equal(rb_pg_array_end(&numbers), "{-7,9223372036854775807,NULL}");
    assert_string_equal(rb_pg_array_end(&none), "{}");
}

static void an_empty_buffer_gives_empty_text(void **state)
{
    struct rb_buffer buffer = {0};
    RB_AUTO_TEXT *text = rb_buffer_steal(&buffer);

    (void)state;
    assert_string_equal(text, "");
}

static void the_smaller_and_the_larger_are_found_with_one_look_at_each(void **state)
{
    int calls = 0;
    int64_t many = INT64_C(1) << 40;
    size_t none = 0;

    (void)state;
    assert_int_equal(RB_MIN(++calls, 5), 1);
    assert_int_equal(calls, 1);
    assert_int_equal(RB_MAX(++calls, 1), 2);
    assert_int_equal(calls, 2);
    assert_int_equal(RB_MAX(RB_MIN(++calls, 9), RB_MIN(2, ++calls)), 3);
    assert_int_equal(calls, 4);
    assert_true(RB_MAX(calls, many) == many && RB_MIN(many, calls) == 4);
    assert_true(RB_MAX(none, 1) == 1 && RB_MIN(-7, many) == -7);
}

static void times_are_written_in_utc_with_milliseconds(void **state)
{
    char text[RB_TIME_TEXT_BYTES];

    (void)state;
    assert_string_equal(rb_clock_text(0, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(rb_clock_text(1795372200123, text), "2026-11-22T18:30:00.123Z");
    assert_string_equal(rb_clock_text(1795372200004, text), "2026-11-22T18:30:00.004Z");
    assert_string_equal(rb_clock_text(1795372201000, text), "2026-11-22T18:30:01.000Z");
    assert_string_equal(rb_clock_text(999, text), "1970-01-01T00:00:00.999Z");
}

static void times_are_read_with_any_offset_and_fraction(void **state)
{
    static const struct {
        const char *text;
        int64_t unix_ms;
    } rows[] = {
        {"2026-11-22T18:30:00.123Z", 1795372200123},  {"2026-11-22T18:30:00Z", 1795372200000},
        {"2026-11-22t18:30:00.1z", 1795372200100},    {"2026-11-22 20:30:00.123456789+02:00", 1795372200123},
        {"2026-11-22T13:00:00-05:30", 1795372200000}, {"1970-01-01T00:00:00Z", 0},
    };
    static const char *const wrong[] = {
        "",
        "now",
        "2026-11-22",
        "2026-11-22T18:30:00",
        "2026-11-22T18:30Z",
        "2026-13-22T18:30:00Z",
        "2026-11-00T18:30:00Z",
        "2026-11-22T24:30:00Z",
        "2026-11-22T18:30:00.Z",
        "2026-11-22T18:30:00+2:00",
        "2026-11-22T18:30:00Z ",
        "1969-12-31T23:59:59Z",
        "1795372200",
        "2026-11-22T18:30:00+24:00",
    };
    int64_t unix_ms;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        assert_int_equal(rb_clock_parse(rows[i].text, &unix_ms), 0);
        assert_true(unix_ms == rows[i].unix_ms);
    }
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_int_equal(rb_clock_parse(wrong[i], &unix_ms), -1);
    assert_int_equal(rb_clock_parse(NULL, &unix_ms), -1);
}

static void an_error_has_the_class_of_its_row(void **state)
{
    struct rb_error err = {0};

    (void)state;
    assert_int_equal(rb_fail(&err, RB_E_SOURCE_BUSY, 503, "cannot fetch '%s'", "x"), -1);
    assert_int_equal(err.class, RB_IN_PLACE);
    assert_int_equal(err.detail, 503);
    assert_string_equal(err.message, "cannot fetch 'x'");
    assert_string_equal(rb_code_name(err.code), "source_busy");
}

static void every_code_has_a_name_and_a_meaning(void **state)
{
    (void)state;
    for (int code = 0; code < RB_E_COUNT; code++) {
        assert_true(strlen(rb_code_name((enum rb_code)code)) > 0);
        assert_null(strpbrk(rb_code_name((enum rb_code)code), " ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
        assert_true(strlen(rb_code_what((enum rb_code)code)) > 10);
    }
}

static void text_from_outside_stays_on_one_line_of_the_log(void **state)
{
    char quoted[RB_LOG_QUOTE_BYTES];
    char large[2000];

    (void)state;
    assert_string_equal(rb_log_quote("say \"hi\"\\\n\x01", quoted), "\"say \\\"hi\\\"\\\\\\x0a\\x01\"");
    assert_string_equal(rb_log_quote(NULL, quoted), "\"\"");
    memset(large, '\n', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    assert_true(strlen(rb_log_quote(large, quoted)) < RB_LOG_QUOTE_BYTES);
}

/* What a function writes on standard error, up to 4 KiB. */
static char *standard_error_of(void (*fn)(void), char *ret_text)
{
    int ends[2], kept = dup(STDERR_FILENO);
    ssize_t count;

    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    dup2(ends[1], STDERR_FILENO);
    fn();
    dup2(kept, STDERR_FILENO);
    count = read(ends[0], ret_text, 4095);
    ret_text[count > 0 ? count : 0] = '\0';
    close(ends[0]);
    close(ends[1]);
    close(kept);
    return ret_text;
}

static void log_one(void)
{
    rb_log(NULL, RB_EV_READY, "listen=one");
}

static void log_a_warning(void)
{
    struct rb_error err = {0};

    rb_fail(&err, RB_E_KAFKA_AWAY, 0, "gone");
    rb_log_error(NULL, RB_EV_KAFKA_TROUBLE, &err, "");
}

static void log_more_than_is_kept(void)
{
    for (int i = 0; i < 1000; i++)
        rb_log(NULL, RB_EV_READY, "listen=%d", i);
}

static void let_go(void)
{
    rb_log_hold(false);
}

static void lines_are_kept_back_until_they_are_flushed(void **state)
{
    char text[4096];

    (void)state;
    rb_log_hold(true);
    assert_string_equal(standard_error_of(log_one, text), "");
    assert_non_null(strstr(standard_error_of(rb_log_flush, text), "listen=one\n"));
    assert_string_equal(standard_error_of(rb_log_flush, text), "");
    standard_error_of(log_one, text);
    assert_non_null(strstr(standard_error_of(let_go, text), "listen=one\n"));
    assert_non_null(strstr(standard_error_of(log_one, text), "listen=one\n"));
}

static void a_warning_is_written_at_once_behind_what_was_kept(void **state)
{
    char text[4096];
    const char *one, *warning;

    (void)state;
    rb_log_hold(true);
    standard_error_of(log_one, text);
    standard_error_of(log_a_warning, text);
    one = strstr(text, "listen=one\n");
    warning = strstr(text, "level=warning");
    assert_true(one != NULL && warning != NULL && one < warning);
    assert_non_null(strstr(standard_error_of(log_more_than_is_kept, text), "listen=0\n"));
    standard_error_of(let_go, text);
}

static void call_a_bug(void)
{
    pid_t child = fork();

    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        log_one();
        RB_BUG("a test");
    }
    waitpid(child, NULL, 0);
}

static void show_one_more(void)
{
    rb_log_shift_level(1);
}

static void show_few(void)
{
    rb_log_shift_level(-9);
}

static void log_a_step(void)
{
    rb_log(NULL, RB_EV_JOB_STATE, "from=A to=B");
}

static void levels_are_changed_while_it_runs_and_that_is_always_said(void **state)
{
    struct rb_error err = {0};
    char text[4096];

    (void)state;
    assert_string_equal(standard_error_of(log_a_step, text), "");
    assert_non_null(strstr(standard_error_of(show_one_more, text), "level=notice ev=log_level shows=debug\n"));
    assert_non_null(strstr(standard_error_of(log_a_step, text), "ev=job_state from=A to=B\n"));
    assert_non_null(strstr(standard_error_of(show_few, text), "ev=log_level shows=crit\n"));
    assert_string_equal(standard_error_of(log_a_warning, text), "");
    assert_int_equal(rb_log_start("info", "logfmt", &err), 0);
}

static void lines_are_objects_when_that_is_wanted(void **state)
{
    char text[4096];

    (void)state;
    assert_fails(rb_log_start("loud", "json", &err), BAD_OPTION);
    assert_fails(rb_log_start("info", "xml", &err), BAD_OPTION);
    assert_works(rb_log_start("info", "json", &err));
    assert_int_equal(standard_error_of(log_one, text)[0], '{');
    assert_non_null(strstr(text, "\"level\":\"info\",\"ev\":\"ready\",\"listen\":\"one\"}\n"));
    standard_error_of(call_a_bug, text);
    assert_non_null(strstr(text, "\"ev\":\"bug\""));
    assert_works(rb_log_start("info", "logfmt", &err));
}

/* As systemd does it: JOURNAL_STREAM names the file behind standard error. */
static void log_to_journal(void)
{
    struct rb_error err = {0};
    struct stat status;
    char stream[64];

    fstat(STDERR_FILENO, &status);
    snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)status.st_dev, (unsigned long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_int_equal(rb_log_start("info", "logfmt", &err), 0);
    log_one();
    log_a_warning();
}

static void the_journal_is_told_priorities(void **state)
{
    struct rb_error err = {0};
    char text[4096];

    (void)state;
    assert_int_equal(strncmp(standard_error_of(log_to_journal, text), "<6>ts=", 6), 0);
    assert_non_null(strstr(text, "\n<4>ts="));
    assert_int_equal(rb_log_start("info", "logfmt", &err), 0); /* the pipe of then is not there any more */
    assert_int_equal(strncmp(standard_error_of(log_one, text), "ts=", 3), 0);
    unsetenv("JOURNAL_STREAM");
}

static void a_bug_does_not_take_the_log_with_it(void **state)
{
    char text[4096];

    (void)state;
    rb_log_hold(true);
    standard_error_of(call_a_bug, text);
    rb_log_hold(false);
    assert_non_null(strstr(text, "listen=one\n"));
    assert_non_null(strstr(text, "ev=bug"));
}

static void uuids_are_read_in_either_case_and_written_in_lower(void **state)
{
    char text[RB_UUID_TEXT_BYTES];

    (void)state;
    assert_true(rb_uuid_parse("7F3A0C4E-9B1d-4c2f-8a5e-0123456789AB", text));
    assert_string_equal(text, "7f3a0c4e-9b1d-4c2f-8a5e-0123456789ab");
}

static void what_is_no_uuid_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "7f3a0c4e",
        "7f3a0c4e-9b1d-4c2f-8a5e-0123456789a",
        "7f3a0c4e-9b1d-4c2f-8a5e-0123456789abc",
        "7f3a0c4e+9b1d-4c2f-8a5e-0123456789ab",
        "7f3a0c4e-9b1d-4c2f-8a5e-0123456789ag",
        "{7f3a0c4e-9b1d-4c2f-8a5e-0123456789ab}",
        "7f3a0c4e9b1d4c2f8a5e0123456789ab    ",
        "7f3a0c4e-9b1d-4c2f-8a5e-01234567\xc3\xa9xx",
    };

    (void)state;
    assert_false(rb_uuid_parse(NULL, NULL));
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_false(rb_uuid_parse(wrong[i], NULL));
}

static void new_uuids_are_valid_and_different(void **state)
{
    char one[RB_UUID_TEXT_BYTES], two[RB_UUID_TEXT_BYTES];

    (void)state;
    assert_true(rb_uuid_parse(rb_uuid_new(one), NULL));
    assert_int_equal(one[14], '4');
    assert_string_not_equal(one, rb_uuid_new(two));
}

static void random_bits_are_given_out_once(void **state)
{
    enum { COUNT = 4096 };
    static uint64_t seen[COUNT];
    uint8_t large[1000] = {0};
    char digits[33];
    size_t zeros = 0;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        seen[i] = rb_random();
        for (size_t j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    }
    rb_random_fill(large, sizeof(large));
    for (size_t i = 0; i < sizeof(large); i++)
        zeros += large[i] == 0;
    assert_true(zeros < 50); /* 4 are to be expected */
    assert_int_equal(strspn(rb_random_hex(32, digits), "0123456789abcdef"), 32);
    assert_int_equal(strlen(rb_random_hex(2, digits)), 2);
    assert_string_not_equal(digits, "00");
}

static void a_named_uuid_depends_on_the_name_alone(void **state)
{
    char one[RB_UUID_TEXT_BYTES], two[RB_UUID_TEXT_BYTES];

    (void)state;
    rb_uuid_of_name("video.stored/x/1", one);
    assert_string_equal(one, rb_uuid_of_name("video.stored/x/1", two));
    assert_string_not_equal(one, rb_uuid_of_name("video.stored/x/2", two));
    assert_true(rb_uuid_parse(one, NULL));
    assert_int_equal(one[14], '8');
}

static void names_of_the_application_are_quoted_into_sql(void **state)
{
    const struct rb_common_options options = {
        .table = (char[]){"app.Video \"x\""},
        .column_id = (char[]){"id"},
        .column_user_id = (char[]){"user.id"},
        .column_video_url = (char[]){"url"},
        .column_status = (char[]){"status"},
        .column_created_at = (char[]){"created_at"},
    };
    RB_AUTO_TEXT *sql = rb_tables_sql(&options, "SELECT h.{id}, {user_id}, '{other}' FROM {table} h");

    (void)state;
    assert_string_equal(sql, "SELECT h.\"id\", \"user.id\", '{other}' FROM \"app\".\"Video \"\"x\"\"\" h");
}

static void a_trace_goes_on_with_a_new_span(void **state)
{
    struct rb_trace trace;
    char text[RB_TRACEPARENT_BYTES];

    (void)state;
    rb_trace_continue("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", &trace);
    assert_string_equal(trace.parent_id, "00f067aa0ba902b7");
    assert_true(rb_trace_is_sampled(&trace));
    assert_string_equal(trace.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_string_not_equal(trace.span_id, "00f067aa0ba902b7");
    assert_int_equal(rb_trace_parse(rb_trace_text(&trace, text), &trace), 0);
}

static void what_is_no_traceparent_begins_a_new_trace(void **state)
{
    static const char *const wrong[] = {
        "",
        "00",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
    };
    struct rb_trace trace, other;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_int_equal(rb_trace_parse(wrong[i], &trace), -1);
    assert_int_equal(rb_trace_parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", &trace), 0);
    rb_trace_continue(NULL, &trace);
    rb_trace_continue("nonsense", &other);
    assert_string_not_equal(trace.trace_id, other.trace_id);
}

/* The vectors of the FNV draft (draft-eastlake-fnv). */
static void hashes_are_those_of_fnv_1a(void **state)
{
    (void)state;
    assert_true(rb_hash_text("") == UINT64_C(0xcbf29ce484222325));
    assert_true(rb_hash_text("a") == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(rb_hash_text("foobar") == UINT64_C(0x85944171f73967e8));
    assert_true(rb_hash_more(rb_hash_text("foo"), "bar", 3) == rb_hash_text("foobar"));
    assert_true(rb_hash_more(RB_HASH_BEGIN, "foo", 4) != rb_hash_text("foo")); /* the NUL counts when it is counted */
}

UNIT_MAIN(T(the_smaller_and_the_larger_are_found_with_one_look_at_each), T(an_array_of_sql_keeps_each_text_as_it_is),
          T(a_buffer_grows_and_always_ends_in_a_nul), T(an_empty_buffer_gives_empty_text),
          T(times_are_written_in_utc_with_milliseconds), T(times_are_read_with_any_offset_and_fraction),
          T(an_error_has_the_class_of_its_row), T(every_code_has_a_name_and_a_meaning),
          T(text_from_outside_stays_on_one_line_of_the_log), T(lines_are_kept_back_until_they_are_flushed),
          T(a_warning_is_written_at_once_behind_what_was_kept), T(a_bug_does_not_take_the_log_with_it),
          T(levels_are_changed_while_it_runs_and_that_is_always_said), T(lines_are_objects_when_that_is_wanted),
          T(the_journal_is_told_priorities), T(uuids_are_read_in_either_case_and_written_in_lower),
          T(what_is_no_uuid_is_refused), T(new_uuids_are_valid_and_different), T(random_bits_are_given_out_once),
          T(a_named_uuid_depends_on_the_name_alone), T(names_of_the_application_are_quoted_into_sql),
          T(a_trace_goes_on_with_a_new_span), T(what_is_no_traceparent_begins_a_new_trace),
          T(hashes_are_those_of_fnv_1a))

#include "tests/unit/unit.h"

#include "common/options.h"

#define TEST_OPTIONS(X)                                                                                                \
    X(listen, TEXT, "127.0.0.1:1", 3, 20, "", "where")                                                                 \
    X(secret_key, SECRET, "", 0, 40, "APP_SECRET", "what")                                                             \
    X(queue_high_bytes, BYTES, "4MiB", 65536, 268435456, "", "how much")                                               \
    X(shutdown_ms, MS, "20s", 100, 600000, "", "how long")                                                             \
    X(page, BOOL, "true", 0, 1, "", "whether")                                                                         \
    X(kafka, PAIRS, "", 0, 0, "", "more")

struct test_options {
    TEST_OPTIONS(RB_OPTION_FIELD)
    int64_t count;
};

#define ROW(name, type, default_, min, max, also, help)                                                                \
    {#name, RB_OPTION_##type, default_, min, max, also, help, offsetof(struct test_options, name), NULL},

static const struct rb_option rows[] = {
    TEST_OPTIONS(ROW){"count", RB_OPTION_NUMBER, "0", 0, 9, "", "of tail", offsetof(struct test_options, count),
                      "look tail"},
};
static const struct rb_option_command commands[] = {
    {.name = "run", .help = ""},
    {.name = "setup", .help = ""},
    {.name = "tail", .help = "", .operands = "TOPIC...", .operands_min = 1, .operands_max = 2},
};
static const struct rb_option_spec spec = {
    .program = "test",
    .summary = "tests",
    .rows = rows,
    .count = RB_COUNT(rows),
    .values_bytes = sizeof(struct test_options),
    .commands = commands,
    .command_count = RB_COUNT(commands),
    .examples = "",
};

#define READ(options, environment, ...)                                                                                \
    rb_options_read(&spec, (int)RB_COUNT(((const char *[]){"test", __VA_ARGS__})),                                     \
                    (char *[]){(char[]){"test"}, __VA_ARGS__, NULL}, environment, options)
#define NO_ENVIRONMENT ((char *[]){NULL})

static const struct test_options *values(const struct rb_options *options)
{
    return options->values;
}

/* What a refused option says: standard error goes into a file while it is refused. */
static void assert_refused(char **environment, char **arguments, int count, const char *words)
{
    struct rb_options options = {0};
    char said[1024] = "";
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);

    assert_non_null(file);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    int status = rb_options_read(&spec, count, arguments, environment, &options);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(status, 2);
    if (strstr(said, words) == NULL)
        fail_msg("expected '%s' in: %s", words, said);
}

#define REFUSED(words, ...)                                                                                            \
    assert_refused(NO_ENVIRONMENT, (char *[]){(char[]){"test"}, __VA_ARGS__, NULL},                                    \
                   (int)RB_COUNT(((const char *[]){"test", __VA_ARGS__})), words)

static void defaults_are_taken_as_a_person_would_write_them(void **state)
{
    struct rb_options options = {0};

    (void)state;
    assert_int_equal(rb_options_read(&spec, 1, (char *[]){(char[]){"test"}, NULL}, NO_ENVIRONMENT, &options), -1);
    assert_string_equal(values(&options)->listen, "127.0.0.1:1");
    assert_int_equal(values(&options)->queue_high_bytes, 4 << 20);
    assert_int_equal(values(&options)->shutdown_ms, 20000);
    assert_true(values(&options)->page);
    assert_string_equal(values(&options)->secret_key, "");
    assert_string_equal(options.command->name, "run");
    rb_options_done(&options);
}

static void a_flag_beats_the_environment_and_the_environment_beats_the_file(void **state)
{
    struct rb_options options = {0};
    char path[] = "/tmp/reelbus-test-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "# comment\n\nlisten = file:1\nqueue-high-bytes=1MiB\nshutdown_ms = 1s\n") > 0);
    close(fd);
    assert_int_equal(
        READ(&options,
             ((char *[]){(char[]){"REELBUS_SHUTDOWN_MS=2s"}, (char[]){"REELBUS_QUEUE_HIGH_BYTES=2MiB"}, NULL}),
             (char[]){"--config"}, path, (char[]){"--shutdown-ms=3s"}),
        -1);
    assert_string_equal(values(&options)->listen, "file:1");
    assert_int_equal(values(&options)->queue_high_bytes, 2 << 20);
    assert_int_equal(values(&options)->shutdown_ms, 3000);
    rb_options_done(&options);
    unlink(path);
}

static void names_that_users_already_have_keep_working(void **state)
{
    struct rb_options options = {0};

    (void)state;
    assert_int_equal(READ(&options, ((char *[]){(char[]){"APP_SECRET=old"}, NULL}), (char[]){"--no-page"}), -1);
    assert_string_equal(values(&options)->secret_key, "old");
    assert_false(values(&options)->page);
    rb_options_done(&options);
    assert_int_equal(READ(&options, ((char *[]){(char[]){"APP_SECRET=old"}, (char[]){"REELBUS_SECRET_KEY=new"}, NULL}),
                          (char[]){"setup"}),
                     -1);
    assert_string_equal(values(&options)->secret_key, "new");
    assert_string_equal(options.command->name, "setup");
    rb_options_done(&options);
}

static void a_secret_comes_from_a_file_without_its_last_line_feed(void **state)
{
    struct rb_options options = {0};
    char path[] = "/tmp/reelbus-test-XXXXXX", variable[64];
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, "s3cret\n", 7), 7);
    close(fd);
    snprintf(variable, sizeof(variable), "APP_SECRET_FILE=%s", path);
    assert_int_equal(READ(&options, ((char *[]){variable, NULL}), (char[]){"run"}), -1);
    assert_string_equal(values(&options)->secret_key, "s3cret");
    rb_options_done(&options);
    assert_int_equal(READ(&options, NO_ENVIRONMENT, (char[]){"--secret-key-file"}, path), -1);
    assert_string_equal(values(&options)->secret_key, "s3cret");
    rb_options_done(&options);
    unlink(path);
}

static void pairs_add_up_within_a_source_and_a_stronger_source_replaces_them(void **state)
{
    struct rb_options options = {0};
    char *environment[] = {(char[]){"REELBUS_KAFKA=a=1; b=2"}, NULL};

    (void)state;
    assert_int_equal(READ(&options, environment, (char[]){"run"}), -1);
    assert_string_equal(values(&options)->kafka, "a=1\nb=2");
    rb_options_done(&options);
    assert_int_equal(READ(&options, environment, (char[]){"--kafka"}, (char[]){"c=3"}, (char[]){"--kafka=d=x=y"}), -1);
    assert_string_equal(values(&options)->kafka, "c=3\nd=x=y");
    rb_options_done(&options);
}

static void a_wrong_name_is_told_with_the_nearest_right_one(void **state)
{
    (void)state;
    REFUSED("unknown option 'qeue-high-bytes' (from flag --qeue-high-bytes); did you mean 'queue_high_bytes'?",
            (char[]){"--qeue-high-bytes=1MiB"});
    REFUSED("unknown option 'zzzzzzzz'", (char[]){"--zzzzzzzz"}, (char[]){"1"});
    REFUSED("unknown command 'rnu'", (char[]){"rnu"});
    REFUSED("option '--listen' needs a value", (char[]){"--listen"});
}

static void a_wrong_value_is_told_with_the_accepted_range(void **state)
{
    char *environment[] = {(char[]){"REELBUS_SHUTDOWN_MS=1"}, NULL};

    (void)state;
    REFUSED("'1KiB' is not accepted; expected 64KiB to 256MiB", (char[]){"--queue-high-bytes=1KiB"});
    REFUSED("expected text of 3 to 20 bytes", (char[]){"--listen=x"});
    REFUSED("expected true or false", (char[]){"--page=maybe"});
    REFUSED("expected key=value", (char[]){"--kafka=novalue"});
    assert_refused(
        environment, (char *[]){(char[]){"test"}, NULL}, 1,
        "option 'shutdown_ms' (from environment REELBUS_SHUTDOWN_MS): '1' is not accepted; expected 100ms to 10m");
}

static void a_secret_is_never_told(void **state)
{
    struct rb_options options = {0};
    char printed[2048] = "";
    FILE *file = tmpfile();

    (void)state;
    REFUSED("'(hidden)' is not accepted", (char[]){"--secret-key=0123456789012345678901234567890123456789too-long"});
    assert_int_equal(
        READ(&options, NO_ENVIRONMENT, (char[]){"--secret-key=hush"}, (char[]){"--kafka=sasl.password=hush"}), -1);
    rb_options_print_values(&options, file);
    rewind(file);
    printed[fread(printed, 1, sizeof(printed) - 1, file)] = '\0';
    fclose(file);
    assert_null(strstr(printed, "hush"));
    assert_non_null(strstr(printed, "secret_key = (set)  # flag"));
    rb_options_done(&options);
}

static void a_flag_of_one_command_is_refused_by_others_and_is_no_variable(void **state)
{
    struct rb_options options = {0};
    char *environment[] = {(char[]){"REELBUS_COUNT=5"}, NULL};

    (void)state;
    assert_int_equal(READ(&options, environment, (char[]){"tail"}, (char[]){"a"}), -1);
    assert_int_equal(values(&options)->count, 0);
    rb_options_done(&options);
    assert_int_equal(READ(&options, NO_ENVIRONMENT, (char[]){"--count=3"}, (char[]){"tail"}, (char[]){"a"}), -1);
    assert_int_equal(values(&options)->count, 3);
    rb_options_done(&options);
    REFUSED("option 'count' is not of the command 'setup' but of: look tail", (char[]){"setup"}, (char[]){"--count=3"});
    REFUSED("option 'count' is not of the command 'run'", (char[]){"--count=3"});
}

static void a_flag_of_a_command_in_the_file_is_refused(void **state)
{
    char path[] = "/tmp/reelbus-test-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(dprintf(fd, "count = 1\n") > 0);
    close(fd);
    REFUSED("can only be given as a flag", (char[]){"tail"}, (char[]){"a"}, (char[]){"--config"}, path);
    unlink(path);
}

static void words_behind_a_command_are_what_it_is_about(void **state)
{
    struct rb_options options = {0};

    (void)state;
    assert_int_equal(
        READ(&options, NO_ENVIRONMENT, (char[]){"tail"}, (char[]){"a"}, (char[]){"--count=3"}, (char[]){"setup"}), -1);
    assert_string_equal(options.command->name, "tail");
    assert_int_equal(options.operand_count, 2);
    assert_string_equal(options.operands[0], "a");
    assert_string_equal(options.operands[1], "setup");
    rb_options_done(&options);
    REFUSED("the command needs TOPIC...", (char[]){"tail"});
    REFUSED("'c' is too much", (char[]){"tail"}, (char[]){"a"}, (char[]){"b"}, (char[]){"c"});
    REFUSED("'setup' is too much", (char[]){"run"}, (char[]){"setup"});
}

UNIT_MAIN(T(defaults_are_taken_as_a_person_would_write_them),
          T(a_flag_beats_the_environment_and_the_environment_beats_the_file),
          T(names_that_users_already_have_keep_working), T(a_secret_comes_from_a_file_without_its_last_line_feed),
          T(pairs_add_up_within_a_source_and_a_stronger_source_replaces_them),
          T(a_wrong_name_is_told_with_the_nearest_right_one), T(a_wrong_value_is_told_with_the_accepted_range),
          T(a_secret_is_never_told), T(a_flag_of_one_command_is_refused_by_others_and_is_no_variable),
          T(a_flag_of_a_command_in_the_file_is_refused), T(words_behind_a_command_are_what_it_is_about))

/* The watchdog: what counts as stuck, and how a program ends that is. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/exit_codes.h"
#include "common/log.h"
#include "common/supervisor.h"
#include "common/watchdog.h"

#define LIMIT_MS 1000

/* -- pure ---------------------------------------------------------------------------------------------------------- */

static void what_does_not_move_is_stuck_for_as_long_as_that(void **state)
{
    struct rb_stall stall = {.progress = RB_FRONT_IDLE};

    (void)state;
    assert_int_equal(rb_stall_look(&stall, 7, 100), 0);
    assert_int_equal(rb_stall_look(&stall, 7, 100), 100);
    assert_int_equal(rb_stall_look(&stall, 7, 150), 250);
    assert_int_equal(rb_stall_look(&stall, 6, 100), 0); /* any other number will do */
    assert_int_equal(rb_stall_look(&stall, 6, 100), 100);
}

static void what_has_nothing_to_do_is_not_stuck(void **state)
{
    struct rb_stall stall = {.progress = RB_FRONT_IDLE};

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(rb_stall_look(&stall, RB_FRONT_IDLE, 1000), 0);
    assert_int_equal(rb_stall_look(&stall, 3, 1000), 0);
    assert_int_equal(rb_stall_look(&stall, 3, 1000), 1000);
    assert_int_equal(rb_stall_look(&stall, RB_FRONT_IDLE, 1000), 0);
    assert_int_equal(rb_stall_look(&stall, 3, 1000), 0); /* begins anew */
}

static void time_in_which_nobody_looked_hardly_counts(void **state)
{
    int64_t last_ms = 5000;

    (void)state;
    assert_int_equal(rb_stall_passed(&last_ms, 5100, 100), 100);
    assert_int_equal(rb_stall_passed(&last_ms, 5250, 100), 150);
    assert_int_equal(rb_stall_passed(&last_ms, 3605250, 100), 200); /* stopped for an hour */
    assert_int_equal(rb_stall_passed(&last_ms, 3605350, 100), 100);
}

/* -- a program of its own, that may end ---------------------------------------------------------------------------- */

struct child {
    pid_t pid;
    int log_fd;
};

static struct child start(void (*run)(struct rb_loop *loop), bool small_pipe)
{
    struct child child;
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    if (small_pipe)
        assert_true(fcntl(fds[1], F_SETPIPE_SZ, 4096) > 0);
    fflush(NULL);
    child.pid = fork();
    if (child.pid == 0) {
        struct rb_loop *loop = rb_loop_new();
        struct rb_watchdog *watchdog = rb_watchdog_new(loop, LIMIT_MS);

        dup2(fds[1], STDERR_FILENO);
        run(loop);
        rb_watchdog_close(watchdog);
        rb_loop_free(loop);
        rb_watchdog_free(watchdog);
        _exit(0);
    }
    assert_true(child.pid > 0);
    close(fds[1]);
    child.log_fd = fds[0];
    return child;
}

static int status_of(const struct child *child)
{
    int status = 0;

    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* All that it has written. */
static void read_log(struct child *child, char *ret_text, size_t room)
{
    size_t used = 0;

    for (ssize_t count; used + 1 < room && (count = read(child->log_fd, ret_text + used, room - 1 - used)) > 0;)
        used += (size_t)count;
    ret_text[used] = '\0';
    close(child->log_fd);
}

static void assert_stuck(void (*run)(struct rb_loop *loop), const char *front)
{
    struct child child = start(run, false);
    char log[16384], words[64];

    read_log(&child, log, sizeof(log));
    snprintf(words, sizeof(words), "level=crit ev=stuck front=%s ", front);
    assert_int_equal(status_of(&child), RB_EXIT_GIVEN_UP);
    if (strstr(log, words) == NULL)
        fail_msg("no '%s' in: %s", words, log);
}

static void hang(void *arg)
{
    (void)arg;
    for (;;)
        poll(NULL, 0, -1);
}

static void call_in_loop(struct rb_loop *loop, rb_loop_fn fn)
{
    struct rb_timer *timer = rb_timer_new(loop, fn, loop);

    rb_timer_start(timer, 50);
    rb_loop_run(loop);
    rb_timer_free(timer);
}

static void run_until_stuck(struct rb_loop *loop)
{
    call_in_loop(loop, hang);
}

static void a_loop_that_hangs_ends_the_program(void **state)
{
    (void)state;
    assert_stuck(run_until_stuck, "loop");
}

static int64_t seven(void *arg)
{
    (void)arg;
    return 7;
}

static int64_t more(void *arg)
{
    return ++*(int64_t *)arg;
}

static int64_t nothing(void *arg)
{
    (void)arg;
    return RB_FRONT_IDLE;
}

static void run_with_fronts(struct rb_loop *loop)
{
    int64_t number = 0;
    struct rb_front fronts[] = {
        {.name = "idle", .progress = nothing},
        {.name = "left", .progress = seven},
        {.name = "busy", .progress = more, .arg = &number},
        {.name = "mine", .progress = seven},
        {.name = "later", .more_ms = 3600000, .progress = seven},
    };

    for (size_t i = 0; i < RB_COUNT(fronts); i++)
        rb_front_enter(loop, &fronts[i]);
    rb_front_leave(&fronts[1]);
    rb_front_leave(&fronts[1]);
    rb_loop_run(loop);
}

static void a_front_that_does_not_move_ends_the_program_and_is_named(void **state)
{
    (void)state;
    assert_stuck(run_with_fronts, "mine");
}

static void stop(void *arg)
{
    rb_loop_stop(arg);
}

static void run_and_close(struct rb_loop *loop)
{
    call_in_loop(loop, stop);
    rb_watchdog_close(rb_loop_watchdog(loop));
    hang(NULL);
}

static void taking_down_may_not_hang_either(void **state)
{
    (void)state;
    assert_stuck(run_and_close, "close");
}

static void chatter(void *arg)
{
    (void)arg;
    for (;;)
        rb_log(NULL, RB_EV_READY, "a line that nobody reads");
}

static void run_until_log_is_full(struct rb_loop *loop)
{
    call_in_loop(loop, chatter);
}

static void a_log_that_nobody_reads_does_not_keep_it(void **state)
{
    struct child child = start(run_until_log_is_full, true);

    (void)state;
    assert_int_equal(status_of(&child), RB_EXIT_GIVEN_UP);
    close(child.log_fd);
}

/* And then does not turn for a while, so that its watchdog looks before the loop does. */
static void be_stopped(void *arg)
{
    raise(SIGSTOP);
    poll(NULL, 0, LIMIT_MS / 4);
    rb_loop_stop(arg);
}

static void run_while_stopped(struct rb_loop *loop)
{
    call_in_loop(loop, be_stopped);
}

static void a_process_that_was_stopped_has_not_got_stuck(void **state)
{
    struct child child = start(run_while_stopped, false);
    int status = 0;

    (void)state;
    assert_int_equal(waitpid(child.pid, &status, WUNTRACED), child.pid);
    assert_true(WIFSTOPPED(status));
    poll(NULL, 0, LIMIT_MS * 3 / 2); /* longer than the watchdog would wait */
    kill(child.pid, SIGCONT);
    assert_int_equal(status_of(&child), 0);
    close(child.log_fd);
}

/* -- the supervisor ------------------------------------------------------------------------------------------------ */

static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    else
        unlink(name);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
    return fd;
}

static void assert_hears(int fd, const char *expected)
{
    char text[64] = "";

    assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
    assert_string_equal(text, expected);
}

static void the_supervisor_hears_what_it_is_told(void **state)
{
    char name[64], path[] = "/tmp/reelbus-test-XXXXXX", file[64];

    (void)state;
    assert_non_null(mkdtemp(path));
    snprintf(file, sizeof(file), "%s/notify", path);
    snprintf(name, sizeof(name), "@reelbus-test-%d", (int)getpid());
    for (int i = 0; i < 2; i++) {
        const char *address = i == 0 ? name : file;
        int fd = listen_at(address);

        setenv("NOTIFY_SOCKET", address, 1);
        rb_supervisor_tell("READY=1");
        assert_hears(fd, "READY=1");
        close(fd);
        rb_supervisor_tell("READY=1"); /* nobody listens any more */
    }
    unsetenv("NOTIFY_SOCKET");
    rb_supervisor_tell("READY=1");
    unlink(file);
    rmdir(path);
}

static void the_supervisor_says_how_often_it_wants_to_hear(void **state)
{
    char pid[16];

    (void)state;
    assert_int_equal(rb_supervisor_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "3000000", 1);
    assert_int_equal(rb_supervisor_watchdog_ms(), 3000);
    setenv("WATCHDOG_PID", "1", 1); /* meant for another process */
    assert_int_equal(rb_supervisor_watchdog_ms(), 0);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(rb_supervisor_watchdog_ms(), 3000);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

UNIT_MAIN(T(what_does_not_move_is_stuck_for_as_long_as_that), T(what_has_nothing_to_do_is_not_stuck),
          T(time_in_which_nobody_looked_hardly_counts), T(a_loop_that_hangs_ends_the_program),
          T(a_front_that_does_not_move_ends_the_program_and_is_named), T(taking_down_may_not_hang_either),
          T(a_log_that_nobody_reads_does_not_keep_it), T(a_process_that_was_stopped_has_not_got_stuck),
          T(the_supervisor_hears_what_it_is_told), T(the_supervisor_says_how_often_it_wants_to_hear))

/* Both ways of opening: by the kernel, and part by part, which is found here through its own door. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/beneath.h"

static char root[] = "/tmp/reelbus-test-XXXXXX";
static int root_fd = -1;

static void make_file(const char *path)
{
    int fd = openat(root_fd, path, O_WRONLY | O_CREAT, 0644);

    assert_true(fd >= 0);
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(root) == NULL)
        return -1;
    root_fd = open(root, O_PATH | O_DIRECTORY);
    mkdirat(root_fd, "in", 0755);
    mkdirat(root_fd, "in/deep", 0755);
    make_file("in/deep/file");
    make_file("top");
    return symlinkat("/etc/passwd", root_fd, "in/link") | symlinkat("deep", root_fd, "in/turn") |
           symlinkat("..", root_fd, "in/up");
}

static int tear_down(void **state)
{
    static const char *const files[] = {"in/link", "in/turn", "in/up", "in/deep/file", "top"};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(files); i++)
        unlinkat(root_fd, files[i], 0);
    unlinkat(root_fd, "in/deep", AT_REMOVEDIR);
    unlinkat(root_fd, "in", AT_REMOVEDIR);
    close(root_fd);
    return rmdir(root);
}

static bool opens(const char *path, int flags)
{
    int fd = rb_beneath_open(root_fd, path, flags);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool judges_right(void)
{
    static const char *const wrong[] = {"/etc/passwd", "../x", "in/../../x", "in/link", "in/turn/file",
                                        "in/up/top",   "none", "in/none/x",  "",        "top/file",
                                        "in/up"};
    bool right = opens("top", O_RDONLY) && opens("in/deep/file", O_RDONLY) && opens("in/deep", O_RDONLY | O_DIRECTORY);

    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        right = right && !opens(wrong[i], O_RDONLY);
    return right;
}

static void files_below_the_folder_are_opened_and_no_others(void **state)
{
    (void)state;
    assert_true(judges_right());
}

/* In a child for which openat2 does not exist, as on old kernels and in some containers. */
static void without_openat2_the_judgement_is_the_same(void **state)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {RB_COUNT(rules), rules};
    pid_t child = fork();
    int status = 0;

    (void)state;
    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
            _exit(2);
        _exit(judges_right() ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {T(files_below_the_folder_are_opened_and_no_others),
                                       T(without_openat2_the_judgement_is_the_same)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

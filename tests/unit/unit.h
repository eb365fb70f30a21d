/*
 * unit.h — what every unit test needs.
 *
 * Way:  tests
 */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/error.h"

/* The code of an error that a call must fail with. */
#define assert_fails(call, wanted)                                                                                     \
    do {                                                                                                               \
        struct rb_error err = {0};                                                                                     \
        assert_int_equal((call), -1);                                                                                  \
        assert_string_equal(rb_code_name(err.code), rb_code_name(RB_E_##wanted));                                      \
        assert_true(err.message[0] != '\0');                                                                           \
    } while (0)

/* The call must succeed; the message says why it did not. */
#define assert_works(call)                                                                                             \
    do {                                                                                                               \
        struct rb_error err = {0};                                                                                     \
        if ((call) != 0)                                                                                               \
            fail_msg("%s: %s", #call, err.message);                                                                    \
    } while (0)

/* Run a statement in a child, which must be ended by abort(): a bug of ours was caught. */
#define assert_aborts(statement)                                                                                       \
    do {                                                                                                               \
        pid_t child_ = fork();                                                                                         \
        int status_ = 0;                                                                                               \
        if (child_ == 0) {                                                                                             \
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});                                                            \
            if (freopen("/dev/null", "w", stderr) == NULL)                                                             \
                _exit(1);                                                                                              \
            statement;                                                                                                 \
            _exit(0);                                                                                                  \
        }                                                                                                              \
        assert_int_equal(waitpid(child_, &status_, 0), child_);                                                        \
        assert_true(WIFSIGNALED(status_) && WTERMSIG(status_) == SIGABRT);                                             \
    } while (0)

/* All tests of a program: the functions of the list, by their names. */
#define UNIT_MAIN(...)                                                                                                 \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                                               \
        return cmocka_run_group_tests(tests, NULL, NULL);                                                              \
    }
#define T(function) cmocka_unit_test(function)

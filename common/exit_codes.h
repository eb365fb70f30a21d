/*
 * exit_codes.h — what the programs and their commands end with, for scripts and supervisors.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

#define RB_EXIT_CODES(X)                                                                                               \
    /* name       status  when */                                                                                      \
    X(OK, 0, "all of it is done, and all is well")                                                                     \
    X(FAILED, 1, "something failed; standard error says what, and what could be done is done")                         \
    X(USAGE, 2, "an option or an argument is wrong; nothing was done")                                                 \
    X(GIVEN_UP, 3, "another process has our identity, or the program got stuck")                                       \
    X(FOUND, 4, "all was looked at, and something is not as it should be, or is not there")                            \
    X(AWAY, 5, "Kafka, the database, the store or the registry does not answer; try again later")                      \
    X(INTERRUPTED, 130, "ended by Ctrl-C or SIGTERM before it was through; what is done stays done")

enum rb_exit {
#define ROW(name, status, when) RB_EXIT_##name = (status),
    RB_EXIT_CODES(ROW)
#undef ROW
};

/*
 * embed.h — a file of the source tree as bytes of the program.
 *
 * Way:  common
 */
#pragma once

#include <stddef.h>

/*
 * Put the file, named from the root of the source tree, into the program as `name` (its bytes and a NUL behind them) and
 * `name_end` (the address of that NUL). The Makefile knows which files are embedded where.
 */
#define RB_EMBED(name, path)                                                                                           \
    __asm__(".section .rodata\n"                                                                                       \
            ".balign 8\n" #name ":\n"                                                                                  \
            ".incbin \"" path "\"\n" #name "_end:\n"                                                                   \
            ".byte 0\n"                                                                                                \
            ".previous\n");                                                                                            \
    extern const char name[] __attribute__((visibility("hidden")));                                                    \
    extern const char name##_end[] __attribute__((visibility("hidden")))

#define RB_EMBEDDED_BYTES(name) ((size_t)(name##_end - name))

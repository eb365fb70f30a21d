/*
 * base.h — attributes, scope cleanup, tagged casts, memory that cannot be missing.
 *
 * Way:  common
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define RB_MUST_CHECK        __attribute__((warn_unused_result))
#define RB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define RB_NORETURN          __attribute__((noreturn))

#define RB_COUNT(array)      (sizeof(array) / sizeof((array)[0]))

/* The smaller and the larger one, in the type that both convert to. Each is evaluated once. */
#define RB_MIN(a, b) RB_PICK(<, a, b, __COUNTER__)
#define RB_MAX(a, b) RB_PICK(>, a, b, __COUNTER__)
/* The number gives the values names of their own, so that one may stand inside another. */
#define RB_PICK(than, a, b, number) RB_PICK_NAMED(than, a, b, number)
#define RB_PICK_NAMED(than, a, b, number)                                                                              \
    ({                                                                                                                 \
        const __typeof__(true ? (a) : (b)) a_##number = (a), b_##number = (b);                                         \
        a_##number than b_##number ? a_##number : b_##number;                                                          \
    })

/* What a poll function answers: call again later, finished, or failed with an error filled in. */
enum rb_poll { RB_POLL_WAIT, RB_POLL_DONE, RB_POLL_FAILED };

/*
 * Scope cleanup. RB_AUTO(rb_plan) *plan = ...; frees the plan on every way out of the scope; RB_STEAL(plan) hands it
 * on instead. RB_DEFINE_AUTO(rb_plan) stands beside the struct and needs rb_plan_free(struct rb_plan *).
 */
#define RB_AUTO(type) __attribute__((cleanup(type##_auto_free))) struct type
#define RB_DEFINE_AUTO(type)                                                                                           \
    static inline void type##_auto_free(struct type **ptr)                                                             \
    {                                                                                                                  \
        type##_free(*ptr);                                                                                             \
    }                                                                                                                  \
    struct rb_unused_

#define RB_AUTO_TEXT __attribute__((cleanup(rb_text_auto_free))) char
static inline void rb_text_auto_free(char **ptr)
{
    free(*ptr);
}

#define RB_STEAL(p)                                                                                                    \
    ({                                                                                                                 \
        __typeof__(p) stolen_ = (p);                                                                                   \
        (p) = NULL;                                                                                                    \
        stolen_;                                                                                                       \
    })

/* The only macro that may return. */
#define RB_TRY(call)                                                                                                   \
    do {                                                                                                               \
        if ((call) < 0)                                                                                                \
            return -1;                                                                                                 \
    } while (0)

/* A defect of our own: say where and stop. Never for what a peer, a disk or an operator can cause. */
#define RB_BUG(what) rb_bug(__FILE__, __LINE__, (what))
#define RB_ASSERT(truth)                                                                                               \
    do {                                                                                                               \
        if (!(truth))                                                                                                  \
            RB_BUG("not true: " #truth);                                                                               \
    } while (0)

/* A pointer that crossed a library as void *, checked by the magic number that its struct begins with. */
#define RB_CAST(type, ptr, tag)                                                                                        \
    ({                                                                                                                 \
        struct type *cast_ = (ptr);                                                                                    \
        if (cast_ == NULL || cast_->magic != (tag))                                                                    \
            RB_BUG("a stale or foreign pointer came back as struct " #type);                                           \
        cast_;                                                                                                         \
    })

/*
 * Have a function print what rb_bug has to say, before it aborts: whoever keeps what is printed in memory. One at a time.
 *
 * Takes:  fn, NULL for none; it gets a line without its line feed.
 * Loop:   any thread.
 */
void rb_on_bug(void (*fn)(const char *line));

/*
 * Print what is wrong and where, then abort.
 *
 * Loop:   any thread.
 */
RB_NORETURN void rb_bug(const char *file, int line, const char *what);

/*
 * Memory for small things, zeroed. Aborts when there is none: offsets were not committed, so the event comes again.
 *
 * Gives:  owned by the caller; free() it.
 * Loop:   any thread.
 */
void *rb_xalloc(size_t bytes) __attribute__((malloc, returns_nonnull, alloc_size(1)));

/*
 * Grow or shrink a block from rb_xalloc; new bytes are not zeroed. Aborts when there is no memory.
 *
 * Gives:  owned by the caller; replaces ptr.
 * Loop:   any thread.
 */
void *rb_xrealloc(void *ptr, size_t bytes) __attribute__((returns_nonnull));

/*
 * Copy a string; NULL stays NULL.
 *
 * Gives:  owned by the caller; free() it.
 * Loop:   any thread.
 */
char *rb_xstrdup(const char *text);

/*
 * Copy at most length bytes of text and end them with a NUL.
 *
 * Gives:  owned by the caller; free() it.
 * Loop:   any thread.
 */
char *rb_xstrndup(const char *text, size_t length) __attribute__((returns_nonnull));

/*
 * Print into new memory.
 *
 * Gives:  owned by the caller; free() it.
 * Loop:   any thread.
 */
char *rb_xprintf(const char *format, ...) RB_PRINTF(1, 2) __attribute__((returns_nonnull));

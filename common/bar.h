/*
 * bar.h — how far a long command is: a bar on a terminal, a line now and then elsewhere. On standard error.
 *
 * Way:  common
 */
#pragma once

#include "common/loop.h"

#define RB_BAR_TEXT_BYTES 256

struct rb_bar;

struct rb_bar_config {
    const char *name; /* what stands before: the command */
    const char *unit; /* what is counted, in the plural: "videos" */
    int64_t total;    /* of these; -1 when nobody knows */
    bool is_quiet;    /* shows nothing */
    int64_t width;    /* columns of the terminal; 0: it is none, lines then */
    int64_t every_ms; /* between two lines */
};

/* What is shown. */
struct rb_bar_view {
    int64_t done;
    int64_t total;      /* -1 when nobody knows */
    double rate;        /* of done in a second; 0 when nobody knows */
    int64_t elapsed_ms; /* since the beginning */
};

/*
 * A config for standard error as it is: a terminal or not.
 *
 * Takes:  name and unit, borrowed for as long as the config is used; total, -1 when nobody knows.
 * Loop:   any thread.
 */
struct rb_bar_config rb_bar_config_of(const char *name, const char *unit, int64_t total);

/*
 * Begin to show.
 *
 * Takes:  config; its text is borrowed for as long as the bar lives.
 * Gives:  owned by the caller; rb_bar_free it.
 * Loop:   loop thread.
 */
struct rb_bar *rb_bar_new(struct rb_loop *loop, const struct rb_bar_config *config);

/*
 * So many more are done.
 *
 * Loop:   loop thread.
 */
void rb_bar_add(struct rb_bar *bar, int64_t count);

/*
 * Now it is known how many there are, or known better.
 *
 * Loop:   loop thread.
 */
void rb_bar_set_total(struct rb_bar *bar, int64_t total);

/*
 * Take the bar off the terminal, because something else will be written there. It comes back by itself. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_bar_hide(struct rb_bar *bar);

/*
 * What is shown now.
 *
 * Loop:   loop thread.
 */
struct rb_bar_view rb_bar_view(const struct rb_bar *bar);

/*
 * Take it off and free it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_bar_free(struct rb_bar *bar);

/*
 * A view in words: with a drawing when there is a width for it.
 *
 * Takes:  ret_text, at least RB_BAR_TEXT_BYTES bytes.
 * Gives:  ret_text, no longer than width.
 * Loop:   pure, any thread.
 */
char *rb_bar_text(const struct rb_bar_config *config, const struct rb_bar_view *view, char *ret_text);

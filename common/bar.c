/*
 * bar.c — how far a long command is.
 *
 * Way:  common
 */
#include "common/bar.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/show.h"

#define BAR_MAGIC    0x42415221u
#define DRAW_MS      200
#define LINE_MS      10000
#define SAMPLES      16 /* the rate is that of the last so many seconds */
#define SAMPLE_MS    1000
#define DRAWING      24 /* columns between the brackets */
#define WIDTH_SMALL  60 /* below this there is no room for a drawing */
#define WIDTH_BORING 80 /* of a terminal that does not say */

struct sample {
    int64_t at_ms;
    int64_t done;
};

struct rb_bar {
    uint32_t magic;
    struct rb_bar_config config;
    struct rb_timer *timer;
    int64_t begun_ms;
    int64_t done;
    struct sample samples[SAMPLES]; /* a ring; the newest is before next */
    size_t sample_count;
    size_t next;
    bool shown; /* it stands on the terminal */
};

struct rb_bar_config rb_bar_config_of(const char *name, const char *unit, int64_t total)
{
    struct winsize size = {0};
    bool is_terminal = isatty(STDERR_FILENO) == 1;

    if (is_terminal)
        (void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    return (struct rb_bar_config){
        .name = name,
        .unit = unit,
        .total = total,
        .width = !is_terminal      ? 0
                 : size.ws_col > 0 ? size.ws_col
                                   : WIDTH_BORING,
        .every_ms = is_terminal ? DRAW_MS : LINE_MS,
    };
}

static void add_drawing(struct rb_buffer *text, const struct rb_bar_view *view)
{
    int64_t full = RB_MIN(view->done * DRAWING / RB_MAX(view->total, (int64_t)1), (int64_t)DRAWING);

    rb_buffer_print(text, " [");
    for (int64_t i = 0; i < DRAWING; i++)
        rb_buffer_print(text, i < full ? "#" : ".");
    rb_buffer_print(text, "]");
}

static void add_amounts(struct rb_buffer *text, const struct rb_bar_config *config, const struct rb_bar_view *view)
{
    char done[RB_SHOW_TEXT_BYTES], total[RB_SHOW_TEXT_BYTES];

    if (view->total < 0)
        rb_buffer_print(text, " %s %s", rb_show_count(view->done, done), config->unit);
    else
        rb_buffer_print(text, " %3d%%, %s of %s %s", (int)(view->done * 100 / RB_MAX(view->total, (int64_t)1)),
                        rb_show_count(view->done, done), rb_show_count(view->total, total), config->unit);
}

static void add_speed(struct rb_buffer *text, const struct rb_bar_view *view)
{
    char amount[RB_SHOW_TEXT_BYTES];

    if (view->rate >= 10)
        rb_buffer_print(text, ", %s/s", rb_show_count((int64_t)view->rate, amount));
    else if (view->rate > 0)
        rb_buffer_print(text, ", %.1f/s", view->rate);
    if (view->rate > 0 && view->total > view->done)
        rb_buffer_print(text, ", %s left",
                        rb_show_ms((int64_t)((double)(view->total - view->done) / view->rate) * 1000, amount));
}

char *rb_bar_text(const struct rb_bar_config *config, const struct rb_bar_view *view, char *ret_text)
{
    RB_AUTO_BUFFER text = {0};
    size_t room = RB_BAR_TEXT_BYTES;

    if (config->width > 0)
        room = RB_MIN(room, (size_t)config->width);
    rb_buffer_print(&text, "%s:", config->name);
    if (config->width >= WIDTH_SMALL && view->total >= 0)
        add_drawing(&text, view);
    add_amounts(&text, config, view);
    add_speed(&text, view);
    snprintf(ret_text, room, "%s", text.bytes);
    return ret_text;
}

/* The oldest second that is remembered is where the rate is counted from. */
static double rate_of(const struct rb_bar *bar, int64_t now_ms)
{
    const struct sample *oldest = bar->sample_count < SAMPLES ? &bar->samples[0] : &bar->samples[bar->next % SAMPLES];
    int64_t took_ms = now_ms - oldest->at_ms;

    return took_ms > 0 ? (double)(bar->done - oldest->done) * 1000 / (double)took_ms : 0;
}

struct rb_bar_view rb_bar_view(const struct rb_bar *bar)
{
    int64_t now_ms = rb_clock_ms();

    return (struct rb_bar_view){
        .done = bar->done,
        .total = bar->config.total,
        .rate = rate_of(bar, now_ms),
        .elapsed_ms = now_ms - bar->begun_ms,
    };
}

static void take_sample(struct rb_bar *bar)
{
    int64_t now_ms = rb_clock_ms();

    if (bar->sample_count > 0 && now_ms - bar->samples[(bar->next + SAMPLES - 1) % SAMPLES].at_ms < SAMPLE_MS)
        return;
    bar->samples[bar->next] = (struct sample){now_ms, bar->done};
    bar->next = (bar->next + 1) % SAMPLES;
    bar->sample_count = RB_MIN(bar->sample_count + 1, (size_t)SAMPLES);
}

static void draw(void *arg)
{
    struct rb_bar *bar = RB_CAST(rb_bar, arg, BAR_MAGIC);
    struct rb_bar_view view = rb_bar_view(bar);
    char text[RB_BAR_TEXT_BYTES];

    rb_bar_text(&bar->config, &view, text);
    if (bar->config.width > 0)
        fprintf(stderr, "\r\x1b[K%s", text);
    else
        fprintf(stderr, "%s\n", text);
    fflush(stderr);
    bar->shown = bar->config.width > 0;
    take_sample(bar);
    rb_timer_start(bar->timer, bar->config.every_ms);
}

struct rb_bar *rb_bar_new(struct rb_loop *loop, const struct rb_bar_config *config)
{
    struct rb_bar *bar = rb_xalloc(sizeof(*bar));

    *bar = (struct rb_bar){.magic = BAR_MAGIC, .config = *config, .begun_ms = rb_clock_ms()};
    bar->timer = rb_timer_new(loop, draw, bar);
    take_sample(bar);
    if (!config->is_quiet)
        rb_timer_start(bar->timer, config->every_ms);
    return bar;
}

void rb_bar_add(struct rb_bar *bar, int64_t count)
{
    bar->done += count;
}

void rb_bar_set_total(struct rb_bar *bar, int64_t total)
{
    bar->config.total = total;
}

void rb_bar_hide(struct rb_bar *bar)
{
    if (bar == NULL || !bar->shown)
        return;
    fputs("\r\x1b[K", stderr);
    fflush(stderr);
    bar->shown = false;
}

void rb_bar_free(struct rb_bar *bar)
{
    if (bar == NULL)
        return;
    rb_bar_hide(bar);
    rb_timer_free(bar->timer);
    bar->magic = 0;
    free(bar);
}

/*
 * app.h — the parts of reelbus-producer, and the order in which they are made and taken down.
 *
 * Way:  producer
 */
#pragma once

#include <stdio.h>

#include "producer/feed.h"
#include "producer/gate.h"
#include "producer/live.h"
#include "producer/media.h"
#include "producer/options.h"
#include "producer/poller.h"
#include "producer/receive.h"
#include "producer/recent.h"
#include "producer/roster.h"
#include "producer/state.h"
#include "producer/status.h"
#include "producer/story.h"
#include "producer/totals.h"
#include "producer/traffic.h"

#define RB_APP_MAGIC  0x50415050u
#define RB_APP_ROUTES 24

/* Each part is owned, and NULL until it is made. */

struct rb_app {
    uint32_t magic;
    const struct rb_options *all_options;   /* borrowed */
    const struct producer_options *options; /* borrowed; the values of all_options */
    struct rb_loop *loop;
    struct rb_watchdog *watchdog;
    struct rb_metrics metrics;
    struct rb_tracer *tracer; /* NULL also when there is no collector */
    struct rb_pg *pg;
    struct rb_codec *codec;
    struct rb_publish *publish;
    struct rb_lookup *lookup;
    struct rb_resolve *resolve;
    enum rb_poll_mode poll_mode;
    struct rb_heard *heard;
    struct rb_poller *poller; /* NULL when there is nobody to ask */
    struct rb_receive *receive;
    struct rb_roster *roster;
    struct rb_status *status;
    struct rb_live *live;
    struct rb_state *state;
    struct rb_feed *feed;
    struct rb_recent *recent;
    struct rb_story *story;
    struct rb_pg *usage_pg; /* of the usage page alone: its answers take long; NULL when there is no page */
    struct rb_totals *totals;
    struct rb_media media; /* dir_fd -1 when files are not served */
    struct rb_route routes[RB_APP_ROUTES];
    size_t route_count;
    struct rb_gate *gate;
    struct rb_traffic *traffic;
    struct rb_httpd *httpd;
    struct rb_timer *drain;
    int64_t drain_until_ms; /* 0 while it runs */
};

/*
 * Make all parts but the HTTP server.
 *
 * Takes:  app, with its options, all else empty.
 * Fails:  BAD_OPTION, SYSTEM; rb_app_close takes down what was made.
 * Loop:   before the loop runs.
 */
RB_MUST_CHECK int rb_app_open(struct rb_app *app, struct rb_error *err);

/*
 * Make the routes and begin to listen.
 *
 * Fails:  BAD_OPTION, SYSTEM.
 * Loop:   loop thread, after rb_app_open.
 */
RB_MUST_CHECK int rb_app_serve(struct rb_app *app, struct rb_error *err);

/*
 * Read again what an operator may have changed: certificate, providers, secrets. What is wrong is told in the log, and
 * what was in use stays in use.
 *
 * Loop:   loop thread; reads from the file system.
 */
void rb_app_reload(struct rb_app *app);

/*
 * Print what is counted, as a table in Markdown.
 *
 * Loop:   any thread.
 */
void rb_app_show_metrics(FILE *file);

/*
 * Take everything down that was made. Whoever still waits for a part gets its answer.
 *
 * Loop:   loop thread, after the loop has run.
 */
void rb_app_close(struct rb_app *app);

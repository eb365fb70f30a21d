/*
 * parts.h — the parts of reelbus-consumer, and the order in which they are made and taken down.
 *
 * Way:  consumer
 */
#pragma once

#include "common/httpd.h"
#include "common/watchdog.h"
#include "consumer/consume.h"
#include "consumer/hold.h"
#include "consumer/make_room.h"
#include "consumer/options.h"
#include "consumer/redrive_auto.h"
#include "consumer/retain_schedule.h"
#include "consumer/store_probe.h"
#include "consumer/stores.h"

#define RB_PARTS_MAGIC 0x43415050u

/* Each part is owned, and NULL until it is made. */
struct rb_parts {
    uint32_t magic;
    const struct rb_options *all_options;   /* borrowed */
    const struct consumer_options *options; /* borrowed; the values of all_options */
    struct rb_loop *loop;                   /* borrowed when there is one before the parts are made */
    bool loop_is_ours;
    const char *transactional_id; /* borrowed; NULL: as the options say */
    rb_loop_fn on_codec;          /* NULL but for commands: decoding may go on */
    rb_loop_fn on_end;            /* NULL but for commands: the program cannot go on, and exit_status says so */
    void *command;                /* borrowed: the arg of these two */
    struct rb_watchdog *watchdog; /* NULL also when the loop is borrowed: others on it outlive the parts */
    struct rb_metrics metrics;
    struct rb_tracer *tracer; /* NULL also when there is no collector */
    struct rb_pg *pg;
    struct rb_record *record;
    struct rb_progress *progress;
    struct rb_history *history;
    struct rb_codec *codec;
    struct rb_emit *emit;
    struct rb_stores stores;
    struct rb_usage *usage;
    struct rb_remove *remove;
    struct rb_make_room *make_room;       /* NULL also when quota_then does not say so */
    struct rb_retain_schedule *retention; /* NULL also when no option says so */
    struct rb_store_probe *probe;
    struct rb_store_probe *fallback_probe; /* NULL also when there is no fallback store */
    struct rb_http *media_http;
    struct rb_plan_policy policy;
    struct rb_variants_policy variants;
    struct rb_transfer_config transfer;
    struct rb_turns *turns;
    struct rb_in_flight in_flight;
    struct rb_delay *delay;
    struct rb_slots *slots;
    struct rb_circuit *circuit;
    struct rb_circuit *fallback_circuit; /* NULL also when there is no fallback store */
    struct rb_lifetimes lifetimes;
    struct rb_slots *asks;
    struct rb_http *ask_http;
    struct rb_consume *consume;
    struct rb_hold *hold;
    struct rb_redrive_auto *redrive_auto; /* NULL also when nothing is redriven by itself */
    struct rb_route routes[3];
    struct rb_httpd *httpd; /* NULL when metrics are not served */
    struct rb_timer *drain;
    int64_t drain_until_ms; /* 0 while it runs */
    int exit_status;
};

/*
 * Make all parts but the HTTP server.
 *
 * Takes:  parts, with their options, all else empty.
 * Fails:  BAD_OPTION, SYSTEM; rb_parts_close takes down what was made.
 * Loop:   before the loop runs.
 */
RB_MUST_CHECK int rb_parts_open(struct rb_parts *parts, struct rb_error *err);

/*
 * Make all parts but the HTTP server and the input: for commands.
 *
 * Takes:  parts, as of rb_parts_open, perhaps with a loop; announces, false for one that only looks: without emit, which
 *         would throw out whoever has its transactional id, and without remove.
 * Fails:  as rb_parts_open.
 * Loop:   before the loop runs.
 */
RB_MUST_CHECK int rb_parts_open_jobs(struct rb_parts *parts, bool announces, struct rb_error *err);

/*
 * What jobs share.
 *
 * Gives:  all borrowed from the parts.
 * Loop:   loop thread.
 */
struct rb_job_env rb_parts_env(struct rb_parts *parts);

/*
 * Make what fetches and stores: the providers, the guard, the stores and how much may be stored.
 *
 * Fails:  BAD_OPTION, SYSTEM.
 * Loop:   before the loop runs, from rb_parts_open.
 */
RB_MUST_CHECK int rb_parts_open_transfers(struct rb_parts *parts, struct rb_error *err);

/*
 * Make what removes: for room, by rules, and what others have begun to remove.
 *
 * Fails:  BAD_OPTION.
 * Loop:   before the loop runs, from rb_parts_open.
 */
RB_MUST_CHECK int rb_parts_open_removal(struct rb_parts *parts, struct rb_error *err);

/*
 * Read again what an operator may have changed: the providers. What is wrong is told in the log, and what was in use
 * stays in use.
 *
 * Loop:   loop thread; reads from the file system.
 */
void rb_parts_reload(struct rb_parts *parts);

/*
 * Print what is counted, as a table in Markdown.
 *
 * Loop:   any thread.
 */
void rb_parts_show_metrics(FILE *file);

/*
 * Take everything down that was made.
 *
 * Gives:  false when librdkafka does not come back from a call: the process is to end without more ado.
 * Loop:   loop thread, after the loop has run; blocks for at most some seconds.
 */
bool rb_parts_close(struct rb_parts *parts);

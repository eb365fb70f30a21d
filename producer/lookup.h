/*
 * lookup.h — does the application have this video, and whose is it? One query at a time, for all who ask meanwhile.
 *
 * Way:  receive -> verify -> notice -> [lookup] -> resolve -> publish
 */
#pragma once

#include "common/pg.h"
#include "common/tables.h"

struct rb_lookup;

/* What the database knows. Text is borrowed for the call. */
struct rb_lookup_answer {
    bool found;
    const char *video_id; /* in lower case; NULL when it was not found */
    const char *user_id;  /* may be NULL */
    bool stored;          /* its bytes are safe already: there is nothing to publish */
};

/*
 * Called once with the answer.
 *
 * Takes:  answer, NULL with an error; err, NULL when the database has answered.
 */
typedef void (*rb_lookup_fn)(const struct rb_lookup_answer *answer, const struct rb_error *err, void *arg);

/*
 * Make one.
 *
 * Takes:  pg, borrowed for as long as the lookup lives; options, borrowed for the call.
 * Gives:  owned by the caller; rb_lookup_free it.
 * Loop:   loop thread.
 */
struct rb_lookup *rb_lookup_new(struct rb_loop *loop, struct rb_pg *pg, const struct rb_common_options *options);

/*
 * Free it. Questions that were not sent yet are answered with DB_AWAY before this returns. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_lookup_free(struct rb_lookup *lookup);

/*
 * Ask for one video by our id.
 *
 * Takes:  video_id, a UUID, borrowed for the call.
 * Fails:  not itself: fn is called with DB_AWAY at the end of the turn when there is no connection.
 * Loop:   loop thread; fn never comes before this returns, and always comes.
 */
void rb_lookup_ask(struct rb_lookup *lookup, const char *video_id, rb_lookup_fn fn, void *arg);

/*
 * Ask for one video by its provider's name and id; reelbus.expect_video() has told them, or the application's
 * table does.
 *
 * Takes:  provider, provider_video_id, borrowed for the call.
 * Fails:  as rb_lookup_ask.
 * Loop:   as rb_lookup_ask.
 */
void rb_lookup_ask_provider(struct rb_lookup *lookup, const char *provider, const char *provider_video_id,
                            rb_lookup_fn fn, void *arg);

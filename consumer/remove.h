/*
 * remove.h — removes stored videos: the row first, then the event, then the object.
 *
 * Way:  make_room -> [remove] -> store
 *
 * Which ones is for others to choose, by a query. The statement that is made of it lets their rows go; what is left to do is
 * noted in them (deleting_since), and is done by whoever has let them go, or by any worker when that one has died.
 */
#pragma once

#include "common/metrics.h"
#include "common/pg.h"
#include "consumer/emit.h"
#include "consumer/stores.h"

struct rb_remove;

/* Who tells others of it. */
struct rb_remove_announcer {
    bool (*is_up)(const void *arg);
    /* As rb_emit_deleted: receipt's fn is called once, when Kafka has the event or never will. */
    int (*send)(void *arg, const struct rb_video_deleted *event, struct rb_receipt *receipt, struct rb_error *err);
    void *arg; /* borrowed */
};

/* Whoever wants to know what came of each. err is NULL when it is gone. */
struct rb_remove_listener {
    void (*on_end)(const struct rb_video_deleted *event, const struct rb_error *err, void *arg);
    void *arg; /* borrowed */
};

/* All borrowed for as long as it lives. */
struct rb_remove_config {
    struct rb_pg *pg;
    struct rb_remove_announcer announcer;
    const struct rb_stores *stores;
    struct rb_metrics *metrics; /* of the consumer; NULL when nobody counts */
    int64_t every_ms;           /* how often what others have left is looked for */
};

/*
 * Make the statement that lets rows go.
 *
 * Takes:  options, with the application's names; choice, a query that gives video_id (null for none) and verdict, in words for
 *         whoever chose. Its parameters begin at $2: $1 is the reason, as in the event; alone, when the application's row stays
 *         as it is.
 * Gives:  owned by the caller; free() it. Its result is for rb_remove_take; it has the verdict, too.
 * Loop:   pure, any thread.
 */
char *rb_remove_sql(const struct rb_common_options *options, const char *choice, bool alone);

/*
 * Make the statement that lets go all that is known of a user's videos, in whatever state they are: rows stay, so that no record
 * brings the video back, without a URL or a word of their history; when the object is gone they do not even name the user.
 *
 * Takes:  options, alone, as above. The parameters are the reason, the user, and how many at most.
 * Gives:  as above.
 * Loop:   pure, any thread.
 */
char *rb_remove_erase_sql(const struct rb_common_options *options, bool alone);

/*
 * Begin to finish what workers have left half done, now and then.
 *
 * Takes:  config, borrowed for the call; see there for what is in it.
 * Gives:  owned by the caller; rb_remove_free it.
 * Loop:   loop thread.
 */
struct rb_remove *rb_remove_new(struct rb_loop *loop, const struct rb_remove_config *config);

/*
 * Stop and free; before the database, the emitter and the stores. What is half done is left to others. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_remove_free(struct rb_remove *remove);

/*
 * How many are half done here.
 *
 * Loop:   loop thread.
 */
size_t rb_remove_count(const struct rb_remove *remove);

/*
 * May there be more that others have left? Then it is taken over soon.
 *
 * Loop:   loop thread.
 */
bool rb_remove_has_more(const struct rb_remove *remove);

/*
 * Tell somebody from now on what comes of each, also of those that others have left. There is one listener.
 *
 * Takes:  listener, copied; its fn may be called from inside rb_remove_take.
 * Loop:   loop thread.
 */
void rb_remove_listen(struct rb_remove *remove, const struct rb_remove_listener *listener);

/*
 * Announce and remove the objects of rows that were let go.
 *
 * Takes:  result, of a statement of rb_remove_sql, borrowed for the call.
 * Gives:  how many there are.
 * Loop:   loop thread.
 */
size_t rb_remove_take(struct rb_remove *remove, const PGresult *result);

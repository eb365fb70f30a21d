/*
 * redrive_auto.h — failures are tried once more by themselves when their cause is cleared.
 *
 * Way:  Postgres -> [redrive_auto] -> emit -> Kafka
 *
 * Off by default. quota: what was given up for want of room, once less is stored than the warning mark allows, of all and of its
 * user. credentials: what a provider's API has refused us, once the providers were read again. A few each time, by one member.
 */
#pragma once

#include "common/codec.h"
#include "common/marks.h"
#include "common/metrics.h"
#include "common/pg.h"
#include "common/random.h"
#include "consumer/commit.h"

struct rb_redrive_auto;

struct rb_redrive_auto_config {
    struct rb_pg *pg; /* borrowed for as long as it lives, as is all below */
    struct rb_commit *commit;
    struct rb_codec *codec;
    struct rb_metrics *metrics;
    const char *causes; /* as in the option */
    const char *topic_prefix;
    const char *store; /* kind and bucket of the first store */
    const char *bucket;
    struct rb_marks all;
    struct rb_marks user;
    int64_t every_ms;
    int64_t redrives_max;
    bool (*may_go)(void *arg); /* not while nothing is stored */
    void *arg;
};

/*
 * Begin to look.
 *
 * Takes:  config, copied.
 * Gives:  ret_auto, owned by the caller; rb_redrive_auto_free it. NULL when nothing is wanted.
 * Fails:  BAD_OPTION: causes are none of quota and credentials.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_redrive_auto_new(struct rb_loop *loop, const struct rb_redrive_auto_config *config,
                                      struct rb_redrive_auto **ret_auto, struct rb_error *err);

/*
 * Stop. Before pg and commit go. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_redrive_auto_free(struct rb_redrive_auto *redrive);

/*
 * The providers' keys were read again. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_redrive_auto_reloaded(struct rb_redrive_auto *redrive);

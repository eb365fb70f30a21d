/*
 * announcer.h — video.deleted from commands: in no group, and so in no transaction. Each is committed when the brokers have it.
 *
 * Way:  consumer cleanup -> [announcer] -> Kafka
 */
#pragma once

#include "consumer/command.h"
#include "consumer/remove.h"

struct rb_announcer;

/*
 * Begin.
 *
 * Takes:  command, borrowed for as long as it lives.
 * Gives:  ret_announcer, owned by the caller; rb_announcer_free it before the removals.
 * Fails:  BAD_OPTION.
 * Loop:   outside of a running loop, as all below.
 */
RB_MUST_CHECK int rb_announcer_new(struct rb_command *command, struct rb_announcer **ret_announcer,
                                   struct rb_error *err);

/*
 * Stop and free. What is on its way is given up, without a call. NULL is fine.
 *
 * Loop:   as above.
 */
void rb_announcer_free(struct rb_announcer *announcer);

/*
 * Wait until a broker is connected, and the registry has told what we need.
 *
 * Fails:  KAFKA_AWAY, REGISTRY_AWAY, also when the command was ended meanwhile.
 * Loop:   as above; runs the loop.
 */
RB_MUST_CHECK int rb_announcer_wait(struct rb_announcer *announcer, struct rb_error *err);

/*
 * What removals are to be given.
 *
 * Gives:  as long as the announcer lives.
 * Loop:   as above.
 */
struct rb_remove_announcer rb_announcer_of(struct rb_announcer *announcer);

/*
 * roster.h — reads who the providers and senders are, at start and again when the operator asks for it.
 *
 * Way:  [roster] -> receive, poll
 */
#pragma once

#include "producer/options.h"
#include "producer/receive.h"

struct rb_roster;

/* All of it borrowed for as long as the roster lives. */
struct rb_roster_config {
    struct rb_loop *loop;
    const struct rb_options *options; /* those of the producer */
    struct rb_receive *receive;
    bool webhooks; /* false: none are taken, and no secrets of theirs are needed */
};

/*
 * Make one; nothing is read yet.
 *
 * Gives:  owned by the caller; rb_roster_free it.
 * Loop:   loop thread.
 */
struct rb_roster *rb_roster_new(const struct rb_roster_config *config);

/*
 * Free it, after the receiver. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_roster_free(struct rb_roster *roster);

/*
 * Read the providers file and all secrets that come from files, and give them to the receiver.
 *
 * Fails:  BAD_OPTION; what was read before stays then.
 * Loop:   loop thread; reads from the file system.
 */
RB_MUST_CHECK int rb_roster_read(struct rb_roster *roster, struct rb_error *err);

/*
 * The providers of now.
 *
 * Gives:  borrowed from the roster until the next rb_roster_read; rb_providers_ref keeps them. NULL before the first.
 * Loop:   loop thread.
 */
struct rb_providers *rb_roster_providers(const struct rb_roster *roster);

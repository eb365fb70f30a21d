/*
 * listen.h — hears from Postgres which videos change.
 *
 * Way:  Postgres -> [listen] -> live
 *
 * LISTEN needs a session, so this has a connection of its own. Behind a transaction pooler LISTEN is accepted and nothing
 * ever comes: so now and then a word is sent over the other connection, and only when it arrives are we listening.
 */
#pragma once

#include "common/notify.h"
#include "common/pg.h"

struct rb_listen;

struct rb_listen_config {
    const char *url; /* of a session connection; borrowed for the call */
    int64_t connect_timeout_ms;
    int64_t query_timeout_ms;
    struct rb_pg *pg; /* the connection for queries; borrowed for as long as the listener lives */
    void (*on_notify)(const struct rb_notify *notify, void *arg);
    rb_loop_fn on_change; /* rb_listen_works has another answer */
    void *arg;            /* of both; borrowed */
};

/*
 * Begin to listen, and go on trying until rb_listen_free.
 *
 * Takes:  config, borrowed for the call.
 * Gives:  owned by the caller; rb_listen_free it.
 * Loop:   loop thread.
 */
struct rb_listen *rb_listen_new(struct rb_loop *loop, const struct rb_listen_config *config);

/*
 * Close the connection. Before the connection for queries goes. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_listen_free(struct rb_listen *listen);

/*
 * Does every change reach us? What happened before this became true may have been missed.
 *
 * Loop:   loop thread.
 */
bool rb_listen_works(const struct rb_listen *listen);

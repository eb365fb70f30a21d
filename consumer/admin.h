/*
 * admin.h — what operators and their machines ask by HTTP: /metrics, /healthz, /readyz.
 *
 * Way:  [admin]
 */
#pragma once

#include "consumer/parts.h"

/*
 * Begin to listen, when the options say where.
 *
 * Takes:  parts, all open; they get the routes and the server.
 * Fails:  BAD_OPTION, SYSTEM.
 * Loop:   loop thread, after rb_parts_open.
 */
RB_MUST_CHECK int rb_admin_open(struct rb_parts *parts, struct rb_error *err);

/*
 * guard.h — may this URL, this address be fetched at all?
 *
 * Way:  consume -> plan -> [guard] -> download
 *
 * URLs come from outside. Without a guard they reach what only this machine can reach: the cloud's metadata service, the
 * database, the loopback. Names are judged by the addresses that they resolve to, at the moment of connecting.
 */
#pragma once

#include <sys/socket.h>

#include "common/url.h"

#define RB_GUARD_PORTS_MAX 16

struct rb_guard {
    bool https_only;
    bool allow_private; /* loopback, RFC 1918, unique local and shared addresses may be fetched from */
    bool any_port;
    uint16_t ports[RB_GUARD_PORTS_MAX];
    size_t port_count;
};

/*
 * Read the list of ports, "80,443" or "any".
 *
 * Gives:  the ports of guard.
 * Fails:  BAD_OPTION.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_guard_set_ports(struct rb_guard *guard, const char *text, struct rb_error *err);

/*
 * May this URL be asked, as far as its text tells: scheme and port?
 *
 * Fails:  URL_REFUSED.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_guard_url(const struct rb_guard *guard, const struct rb_url *url, struct rb_error *err);

/*
 * May this address be connected to? IPv4 by a list of what is special (IANA's registry, RFC 6890), IPv6 by a list of what
 * is not; an IPv4 address inside an IPv6 address counts as itself only in its mapped form, every other form is refused.
 *
 * Takes:  address, AF_INET or AF_INET6.
 * Fails:  URL_REFUSED, naming the kind of address.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_guard_address(const struct rb_guard *guard, const struct sockaddr *address, struct rb_error *err);

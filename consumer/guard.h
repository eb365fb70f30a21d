/*
 * guard.h — may this URL, this address be fetched at all?
 *
 * Way:  consume -> plan -> [guard] -> download
 *
 * URLs come from outside. Without a guard they reach what only this machine can reach: the cloud's metadata service, the
 * database, the loopback. Names are judged by the addresses that they resolve to, at the moment of connecting.
 */
#pragma once

#include "common/address.h"
#include "common/url.h"

#define RB_GUARD_PORTS_MAX    16
#define RB_GUARD_NETWORKS_MAX 64
#define RB_GUARD_HOSTS_BYTES  2048

struct rb_guard_networks {
    struct rb_network list[RB_GUARD_NETWORKS_MAX];
    size_t count;
};

struct rb_guard {
    bool https_only;
    bool allow_private; /* loopback, RFC 1918, unique local and shared addresses may be fetched from */
    bool any_port;
    uint16_t ports[RB_GUARD_PORTS_MAX];
    size_t port_count;
    char hosts[RB_GUARD_HOSTS_BYTES];        /* these hosts and no others, in lower case, parted by commas; "" is any */
    char deny_hosts[RB_GUARD_HOSTS_BYTES];   /* never these */
    struct rb_guard_networks allow_networks; /* fine although they are special */
    struct rb_guard_networks deny_networks;  /* never these */
};

/* What a guard is made from, as the options of the same names spell it. Texts are borrowed for the call. */
struct rb_guard_config {
    bool https_only;
    bool allow_private;
    const char *ports;
    const char *hosts;
    const char *deny_hosts;
    const char *allow_networks;
    const char *deny_networks;
};

/*
 * Make a guard.
 *
 * Takes:  config; its texts may be NULL for none, ports may not.
 * Gives:  ret_guard.
 * Fails:  BAD_OPTION, naming the option and what was expected.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_guard_init(const struct rb_guard_config *config, struct rb_guard *ret_guard, struct rb_error *err);

/*
 * The address that stands in a URL in the place of a name.
 *
 * Gives:  whether there is one; then ret_address.
 * Loop:   pure, any thread.
 */
bool rb_guard_literal(const struct rb_url *url, struct sockaddr_storage *ret_address);

/*
 * May this URL be asked, as far as its text tells: scheme, host and port? An address in it is judged; a name is not
 * resolved for this, only names that are loopback by definition are refused.
 *
 * Fails:  URL_REFUSED.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_guard_url(const struct rb_guard *guard, const struct rb_url *url, struct rb_error *err);

/*
 * May this address be connected to? IPv4 by a list of what is special (IANA's registry, RFC 6890), IPv6 by a list of what
 * is not; an IPv4 address inside an IPv6 address counts as itself only in its mapped form, every other form is refused. Where
 * the operator has allowed 64:ff9b::/96 (NAT64), what is behind it is judged as well.
 *
 * Takes:  address, AF_INET or AF_INET6.
 * Fails:  URL_REFUSED, naming the kind of address.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_guard_address(const struct rb_guard *guard, const struct sockaddr *address, struct rb_error *err);

/*
 * The same for an address of this machine's own: public or not, behind it is what only this machine should reach.
 *
 * Fails:  URL_REFUSED.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_guard_own_address(const struct rb_guard *guard, const struct sockaddr *address,
                                       struct rb_error *err);

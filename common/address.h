/*
 * address.h — addresses of the Internet, and networks of them, in one form.
 *
 * Way:  common
 */
#pragma once

#include <sys/socket.h>

#include "common/error.h"

#define RB_ADDRESS_TEXT_BYTES 46 /* the longest of IPv6, and its NUL */

/* An IPv6 address; an IPv4 address in its mapped form. */
struct rb_address {
    uint8_t bytes[16];
};

struct rb_network {
    struct rb_address address;
    unsigned bits; /* of the mapped form, 0 to 128 */
};

/*
 * Read an address, "192.0.2.1" or "2001:db8::1", without port or brackets.
 *
 * Gives:  0 and ret_address, or -1 when it is none.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_address_parse(const char *text, struct rb_address *ret_address);

/*
 * The address of a socket.
 *
 * Takes:  from, borrowed, NULL for none.
 * Gives:  whether it is IPv4 or IPv6; then ret_address.
 * Loop:   pure, any thread.
 */
bool rb_address_of(const struct sockaddr *from, struct rb_address *ret_address);

/*
 * Is it an IPv4 address?
 *
 * Loop:   pure, any thread.
 */
bool rb_address_is_mapped(const struct rb_address *address);

/*
 * Write an address as people do; the mapped form as IPv4.
 *
 * Takes:  ret_text, at least RB_ADDRESS_TEXT_BYTES bytes.
 * Gives:  ret_text.
 * Loop:   pure, any thread.
 */
char *rb_address_text(const struct rb_address *address, char *ret_text);

/*
 * What limits go by: an IPv4 address, or the /64 of an IPv6 address, because whoever has one address of it has them all.
 *
 * Gives:  a number that is different for each of them.
 * Loop:   pure, any thread.
 */
uint64_t rb_address_key(const struct rb_address *address);

/*
 * Do two addresses begin with the same bits?
 *
 * Takes:  bits, 0 to 128.
 * Loop:   pure, any thread.
 */
bool rb_address_begins(const struct rb_address *address, const struct rb_address *prefix, unsigned bits);

/*
 * Read a network, "10.0.0.0/8" or "fd00::/8", or one address. Bits that are set behind the prefix are a slip of the pen,
 * and nobody knows in which part of it.
 *
 * Fails:  BAD_OPTION, naming the text.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_network_parse(const char *text, struct rb_network *ret_network, struct rb_error *err);

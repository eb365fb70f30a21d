/*
 * client.h — who asks? The address of a request's sender, as far as those who passed it on can be trusted.
 *
 * Way:  [client] -> limit -> gate -> receive
 *
 * Sources: RFC 7239 (Forwarded); X-Forwarded-For as proxies write it, each adding the address it was asked by at the end.
 * Both are read from the end: what stands there was written by the peer, the one before by the one before. The first
 * address that is not trusted is the client; whatever stands before it, the client may have made up.
 */
#pragma once

#include <sys/socket.h>

#include "common/error.h"

#define RB_CLIENT_RANGES_MAX 64
#define RB_CLIENT_TEXT_BYTES 64

/* An IPv6 address; an IPv4 address in its mapped form. */
struct rb_address {
    uint8_t bytes[16];
};

struct rb_client_range {
    struct rb_address address;
    unsigned bits; /* of the mapped form, 0 to 128 */
};

/* Those who tell the truth about whom they were asked by. */
struct rb_client_trust {
    struct rb_client_range ranges[RB_CLIENT_RANGES_MAX];
    size_t count;
};

/* Which header the proxies write. The other one is whatever the client likes to send, and not looked at. */
enum rb_client_header { RB_CLIENT_X_FORWARDED_FOR, RB_CLIENT_FORWARDED };

struct rb_client {
    bool known;                      /* false: a unix socket without a header */
    struct rb_address address;       /* when known */
    char text[RB_CLIENT_TEXT_BYTES]; /* the address as people write it, or "local" */
};

/*
 * Read a list of trusted proxies: addresses and CIDR ranges, IPv4 and IPv6, and the names "loopback", "private" (RFC
 * 1918 and RFC 4193) and "none", parted by commas.
 *
 * Takes:  text, borrowed for the call; empty for none.
 * Fails:  BAD_OPTION, naming the entry.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_client_trust_parse(const char *text, struct rb_client_trust *ret_trust, struct rb_error *err);

/*
 * Read the name of the header that proxies write.
 *
 * Fails:  BAD_OPTION.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_client_header_parse(const char *text, enum rb_client_header *ret_header, struct rb_error *err);

/*
 * The name of that header.
 *
 * Gives:  static text.
 * Loop:   pure, any thread.
 */
const char *rb_client_header_name(enum rb_client_header header);

/*
 * Is this address in the list?
 *
 * Loop:   pure, any thread.
 */
bool rb_client_is_trusted(const struct rb_client_trust *trust, const struct rb_address *address);

/*
 * Is this peer in the list? A unix socket is: who may open it is a matter of the file system.
 *
 * Takes:  peer, borrowed, NULL for none.
 * Loop:   pure, any thread.
 */
bool rb_client_peer_is_trusted(const struct rb_client_trust *trust, const struct sockaddr *peer);

/*
 * Find out who asks.
 *
 * Takes:  peer, who is connected, borrowed, NULL when that is not known; text, all values of the header, joined by
 *         commas in their order, borrowed, NULL when it is absent. It is looked at only when the peer is trusted.
 * Gives:  ret_client. Where an element cannot be read, or hides its address, it is whoever handed it on.
 * Loop:   pure, any thread.
 */
void rb_client_find(const struct rb_client_trust *trust, const struct sockaddr *peer, enum rb_client_header header,
                    const char *text, struct rb_client *ret_client);

/*
 * Read an address, "192.0.2.1" or "2001:db8::1", without port or brackets.
 *
 * Gives:  0 and ret_address, or -1 when it is none.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_address_parse(const char *text, struct rb_address *ret_address);

/*
 * Write an address as people do; the mapped form as IPv4.
 *
 * Takes:  ret_text, at least RB_CLIENT_TEXT_BYTES bytes.
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

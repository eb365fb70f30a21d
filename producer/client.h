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

#include "common/address.h"

#define RB_CLIENT_RANGES_MAX 64
#define RB_CLIENT_TEXT_BYTES 64

/* Those who tell the truth about whom they were asked by. */
struct rb_client_trust {
    struct rb_network ranges[RB_CLIENT_RANGES_MAX];
    size_t count;
};

/* Which header the proxies write. The other one is whatever the client likes to send, and not looked at. */
enum rb_client_header { RB_CLIENT_X_FORWARDED_FOR, RB_CLIENT_FORWARDED };

/* Who is connected. */
struct rb_client_peer {
    bool known;                /* false: a unix socket, or nobody knows */
    bool trusted;              /* one of the proxies */
    struct rb_address address; /* when known */
};

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
 * Look at who is connected. A unix socket is trusted: who may open it is a matter of the file system.
 *
 * Takes:  from, borrowed, NULL when that is not known.
 * Loop:   pure, any thread.
 */
void rb_client_read_peer(const struct rb_client_trust *trust, const struct sockaddr *from,
                         struct rb_client_peer *ret_peer);

/*
 * Find out who asks.
 *
 * Takes:  text, all values of the header, joined by commas in their order, borrowed, NULL when it is absent. It is
 *         looked at only when the peer is trusted.
 * Gives:  ret_client. Where an element cannot be read, or hides its address, it is whoever handed it on.
 * Loop:   pure, any thread.
 */
void rb_client_find(const struct rb_client_trust *trust, const struct rb_client_peer *peer,
                    enum rb_client_header header, const char *text, struct rb_client *ret_client);

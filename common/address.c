/*
 * address.c — addresses of the Internet, and networks of them, in one form.
 *
 * Way:  common
 */
#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/units.h"

#define MAPPED_BITS 96

static const struct rb_address mapped_prefix = {{[10] = 0xff, [11] = 0xff}};

static void map(const void *address4, struct rb_address *ret_address)
{
    *ret_address = mapped_prefix;
    memcpy(ret_address->bytes + MAPPED_BITS / 8, address4, 4);
}

int rb_address_parse(const char *text, struct rb_address *ret_address)
{
    struct rb_address address;
    struct in_addr address4;

    if (inet_pton(AF_INET, text, &address4) == 1)
        map(&address4, &address);
    else if (inet_pton(AF_INET6, text, address.bytes) != 1)
        return -1;
    *ret_address = address;
    return 0;
}

bool rb_address_of(const struct sockaddr *from, struct rb_address *ret_address)
{
    const struct sockaddr_in *from4 = (const void *)from;
    const struct sockaddr_in6 *from6 = (const void *)from;

    if (from != NULL && from->sa_family == AF_INET) {
        map(&from4->sin_addr, ret_address);
        return true;
    }
    if (from != NULL && from->sa_family == AF_INET6) {
        memcpy(ret_address->bytes, &from6->sin6_addr, sizeof(ret_address->bytes));
        return true;
    }
    return false;
}

bool rb_address_is_mapped(const struct rb_address *address)
{
    return rb_address_begins(address, &mapped_prefix, MAPPED_BITS);
}

char *rb_address_text(const struct rb_address *address, char *ret_text)
{
    const bool mapped = rb_address_is_mapped(address);
    const uint8_t *bytes = mapped ? address->bytes + MAPPED_BITS / 8 : address->bytes;

    if (inet_ntop(mapped ? AF_INET : AF_INET6, bytes, ret_text, RB_ADDRESS_TEXT_BYTES) == NULL)
        RB_BUG("an address does not fit its text");
    return ret_text;
}

/* IPv4 addresses are put where IPv6 has nothing: 0:1::/32 is not, and never was, an address of anybody. */
uint64_t rb_address_key(const struct rb_address *address)
{
    uint64_t key = 0;
    const bool mapped = rb_address_is_mapped(address);

    for (size_t i = 0; i < 8; i++)
        key = key << 8 | (mapped && i < 4 ? (i == 3) : address->bytes[mapped ? i + 8 : i]);
    return key;
}

bool rb_address_begins(const struct rb_address *address, const struct rb_address *prefix, unsigned bits)
{
    size_t whole = bits / 8;
    unsigned rest = bits % 8;

    if (memcmp(address->bytes, prefix->bytes, whole) != 0)
        return false;
    return rest == 0 || (address->bytes[whole] ^ prefix->bytes[whole]) >> (8 - rest) == 0;
}

static bool has_bits_behind(const struct rb_network *network)
{
    for (unsigned bit = network->bits; bit < 128; bit++)
        if (network->address.bytes[bit / 8] & (0x80u >> bit % 8))
            return true;
    return false;
}

int rb_network_parse(const char *text, struct rb_network *ret_network, struct rb_error *err)
{
    struct rb_network network = {.bits = 128};
    RB_AUTO_TEXT *address = rb_xstrdup(text);
    char *slash = strchr(address, '/');
    int64_t bits;

    if (slash != NULL)
        *slash = '\0';
    if (rb_address_parse(address, &network.address) < 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "'%.60s' is no address and no range of addresses", text);
    if (slash != NULL) {
        int64_t most = strchr(address, ':') != NULL ? 128 : 32;

        if (rb_units_parse_number(slash + 1, &bits) < 0 || bits < 0 || bits > most)
            return rb_fail(err, RB_E_BAD_OPTION, 0, "'%.60s': the prefix must be 0 to %d bits", text, (int)most);
        network.bits = (unsigned)(bits + (most == 32 ? MAPPED_BITS : 0));
    }
    if (has_bits_behind(&network))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "'%.60s' has bits set behind its prefix; is the prefix too short?",
                       text);
    *ret_network = network;
    return 0;
}

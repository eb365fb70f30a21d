/*
 * guard.c — may this URL, this address be fetched at all?
 *
 * Way:  consume -> plan -> [guard] -> download
 */
#include "consumer/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/units.h"

struct range4 {
    uint32_t address;
    unsigned bits;
    bool private; /* may be allowed by the option */
    const char *what;
};

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static const struct range4 refused4[] = {
    {IP(0, 0, 0, 0), 8, false, "this network"},
    {IP(10, 0, 0, 0), 8, true, "private"},
    {IP(100, 64, 0, 0), 10, true, "shared address space"},
    {IP(127, 0, 0, 0), 8, true, "loopback"},
    {IP(168, 63, 129, 16), 32, false, "a cloud's host"},
    {IP(169, 254, 0, 0), 16, false, "link-local"},
    {IP(172, 16, 0, 0), 12, true, "private"},
    {IP(192, 0, 0, 0), 24, false, "protocol assignments"},
    {IP(192, 0, 2, 0), 24, false, "documentation"},
    {IP(192, 88, 99, 0), 24, false, "6to4 relay"},
    {IP(192, 168, 0, 0), 16, true, "private"},
    {IP(198, 18, 0, 0), 15, false, "benchmarking"},
    {IP(198, 51, 100, 0), 24, false, "documentation"},
    {IP(203, 0, 113, 0), 24, false, "documentation"},
    {IP(224, 0, 0, 0), 4, false, "multicast"},
    {IP(240, 0, 0, 0), 4, false, "reserved or broadcast"},
};

struct range6 {
    const char *prefix; /* the first bytes */
    unsigned bits;
    const char *what;
};

/* Inside of 2000::/3, which is all that is global unicast; what lies outside of that is refused as a whole. */
static const struct range6 refused6[] = {
    {"\x20\x01\x00\x00", 23, "protocol assignments or Teredo"},
    {"\x20\x01\x0d\xb8", 32, "documentation"},
    {"\x20\x02", 16, "6to4"},
    {"\x3f\xff\x00", 20, "documentation"},
};

static int refuse(struct rb_error *err, const char *what)
{
    return rb_fail(err, RB_E_URL_REFUSED, 0, "the URL leads to a forbidden address (%s)", what);
}

static int check4(const struct rb_guard *guard, uint32_t address, struct rb_error *err)
{
    for (size_t i = 0; i < RB_COUNT(refused4); i++) {
        const struct range4 *range = &refused4[i];

        if ((address ^ range->address) >> (32 - range->bits) == 0 && !(range->private && guard->allow_private))
            return refuse(err, range->what);
    }
    return 0;
}

static bool begins(const uint8_t *address, const char *prefix, unsigned bits)
{
    unsigned bytes = bits / 8;
    unsigned rest = bits % 8;

    if (memcmp(address, prefix, bytes) != 0)
        return false;
    return rest == 0 || ((address[bytes] ^ (uint8_t)prefix[bytes]) >> (8 - rest)) == 0;
}

static int check6(const struct rb_guard *guard, const struct in6_addr *in6, struct rb_error *err)
{
    const uint8_t *address = in6->s6_addr;
    uint32_t mapped;

    if (IN6_IS_ADDR_V4MAPPED(in6)) {
        memcpy(&mapped, address + 12, sizeof(mapped));
        return check4(guard, ntohl(mapped), err);
    }
    if (guard->allow_private && (IN6_IS_ADDR_LOOPBACK(in6) || (address[0] & 0xfe) == 0xfc))
        return 0;
    if ((address[0] & 0xe0) != 0x20)
        return refuse(err, "not global unicast");
    for (size_t i = 0; i < RB_COUNT(refused6); i++)
        if (begins(address, refused6[i].prefix, refused6[i].bits))
            return refuse(err, refused6[i].what);
    return 0;
}

int rb_guard_address(const struct rb_guard *guard, const struct sockaddr *address, struct rb_error *err)
{
    if (address->sa_family == AF_INET)
        return check4(guard, ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr), err);
    if (address->sa_family == AF_INET6)
        return check6(guard, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, err);
    return refuse(err, "neither IPv4 nor IPv6");
}

int rb_guard_set_ports(struct rb_guard *guard, const char *text, struct rb_error *err)
{
    RB_AUTO_TEXT *copy = rb_xstrdup(text);
    char *rest = copy;
    int64_t port;

    guard->any_port = strcmp(text, "any") == 0;
    guard->port_count = 0;
    for (char *word; !guard->any_port && (word = strsep(&rest, ",")) != NULL;) {
        if (rb_units_parse_number(word, &port) < 0 || port < 1 || port > 65535 ||
            guard->port_count == RB_GUARD_PORTS_MAX)
            return rb_fail(
                err, RB_E_BAD_OPTION, 0,
                "option 'source_ports': '%.60s' is not accepted; expected up to %d ports as in '80,443', or 'any'",
                text, RB_GUARD_PORTS_MAX);
        guard->ports[guard->port_count++] = (uint16_t)port;
    }
    return 0;
}

int rb_guard_url(const struct rb_guard *guard, const struct rb_url *url, struct rb_error *err)
{
    bool port_fits = guard->any_port;

    if (guard->https_only && strcmp(url->scheme, "https") != 0)
        return rb_fail(err, RB_E_URL_REFUSED, 0, "the URL is not https, and only https is allowed");
    for (size_t i = 0; i < guard->port_count; i++)
        port_fits = port_fits || guard->ports[i] == url->port;
    if (!port_fits)
        return rb_fail(err, RB_E_URL_REFUSED, url->port, "the URL's port %d is not one of source_ports", url->port);
    return 0;
}

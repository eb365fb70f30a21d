/*
 * guard.c — may this URL, this address be fetched at all?
 *
 * Way:  consume -> plan -> [guard] -> download
 */
#include "consumer/guard.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>

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
    {IP(100, 100, 100, 200), 32, false, "a cloud's host"},
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
    struct rb_network network;
    const char *what;
};

/* Inside of 2000::/3, which is all that is global unicast; what lies outside of that is refused as a whole. */
static const struct range6 refused6[] = {
    {{{{0x20, 0x01, 0x00, 0x00}}, 23}, "protocol assignments or Teredo"},
    {{{{0x20, 0x01, 0x0d, 0xb8}}, 32}, "documentation"},
    {{{{0x20, 0x02}}, 16}, "6to4"},
    {{{{0x3f, 0xff, 0x00}}, 20}, "documentation"},
};

/* Where clouds tell a machine its credentials: private, but not even open to whoever allows private addresses. */
static const struct rb_network clouds6[] = {
    {{{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}}, 128},
    {{{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54}}, 128},
};

static int refuse(struct rb_error *err, const char *what)
{
    return rb_fail(err, RB_E_URL_REFUSED, 0, "the URL leads to a forbidden address (%s)", what);
}

/* An IPv6 network has no IPv4 addresses in it, not even ::/0. */
static bool is_among(const struct rb_guard_networks *networks, const struct rb_address *address)
{
    for (size_t i = 0; i < networks->count; i++) {
        const struct rb_network *network = &networks->list[i];

        if (rb_address_begins(address, &network->address, network->bits) &&
            (network->bits >= 96 || !rb_address_is_mapped(address)))
            return true;
    }
    return false;
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

static int check6(const struct rb_guard *guard, const struct rb_address *address, struct rb_error *err)
{
    for (size_t i = 0; i < RB_COUNT(clouds6); i++)
        if (rb_address_begins(address, &clouds6[i].address, clouds6[i].bits))
            return refuse(err, "a cloud's host");
    if (guard->allow_private && (memcmp(address->bytes, &in6addr_loopback, sizeof(in6addr_loopback)) == 0 ||
                                 (address->bytes[0] & 0xfe) == 0xfc))
        return 0;
    if ((address->bytes[0] & 0xe0) != 0x20)
        return refuse(err, "not global unicast");
    for (size_t i = 0; i < RB_COUNT(refused6); i++)
        if (rb_address_begins(address, &refused6[i].network.address, refused6[i].network.bits))
            return refuse(err, refused6[i].what);
    return 0;
}

/* RFC 6052: behind it is the IPv4 address in its last bytes. */
static const struct rb_network nat64 = {{{0x00, 0x64, 0xff, 0x9b}}, 96};

/* Whoever allows the gateway does not allow all that it leads to. */
static int check_behind_nat64(const struct rb_guard *guard, const struct rb_address *address, struct rb_error *err)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};

    memcpy(&in4.sin_addr, address->bytes + 12, sizeof(in4.sin_addr));
    return rb_guard_address(guard, (const struct sockaddr *)&in4, err);
}

int rb_guard_address(const struct rb_guard *guard, const struct sockaddr *address, struct rb_error *err)
{
    struct rb_address mapped;
    uint32_t in4;

    if (!rb_address_of(address, &mapped))
        return refuse(err, "neither IPv4 nor IPv6");
    if (is_among(&guard->deny_networks, &mapped))
        return refuse(err, "one of source_deny_networks");
    if (is_among(&guard->allow_networks, &mapped))
        return rb_address_begins(&mapped, &nat64.address, nat64.bits) ? check_behind_nat64(guard, &mapped, err) : 0;
    if (!rb_address_is_mapped(&mapped))
        return check6(guard, &mapped, err);
    memcpy(&in4, mapped.bytes + 12, sizeof(in4));
    return check4(guard, ntohl(in4), err);
}

int rb_guard_own_address(const struct rb_guard *guard, const struct sockaddr *address, struct rb_error *err)
{
    struct rb_address mapped;

    RB_TRY(rb_guard_address(guard, address, err));
    if (!guard->allow_private && rb_address_of(address, &mapped) && !is_among(&guard->allow_networks, &mapped))
        return refuse(err, "this machine itself");
    return 0;
}

static int set_ports(struct rb_guard *guard, const char *text, struct rb_error *err)
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

static int set_networks(struct rb_guard_networks *networks, const char *option, const char *text, struct rb_error *err)
{
    RB_AUTO_TEXT *copy = rb_xstrdup(text != NULL ? text : "");
    char *rest = copy;
    struct rb_error ignored = {0};

    networks->count = 0;
    for (char *word; copy[0] != '\0' && (word = strsep(&rest, ",")) != NULL;)
        if (networks->count == RB_GUARD_NETWORKS_MAX ||
            rb_network_parse(word, &networks->list[networks->count++], &ignored) < 0)
            return rb_fail(err, RB_E_BAD_OPTION, 0,
                           "option '%s': '%.60s' is not accepted; expected up to %d networks as in "
                           "'10.1.0.0/16,fd00:1::/32'",
                           option, text, RB_GUARD_NETWORKS_MAX);
    return 0;
}

/* Names, or "*." and a name. Kept as text: lists are short, and are looked at once per URL. */
static int set_hosts(char *ret_hosts, const char *option, const char *text, struct rb_error *err)
{
    size_t length = strlen(text != NULL ? text : "");
    bool fits = length < RB_GUARD_HOSTS_BYTES;

    for (size_t i = 0; fits && i < length; i++) {
        bool starts = i == 0 || text[i - 1] == ',';

        ret_hosts[i] = (char)tolower((unsigned char)text[i]);
        if (text[i] == '*')
            fits = starts && text[i + 1] == '.';
        else
            fits = isalnum((unsigned char)text[i]) || strchr("-_.:[]", text[i]) != NULL || (text[i] == ',' && !starts);
        if (text[i] == '.' && (text[i + 1] == ',' || text[i + 1] == '\0'))
            fits = false; /* the root's dot is taken off from URLs: it would never be met */
    }
    if (!fits || (length > 0 && text[length - 1] == ','))
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option '%s': '%.60s' is not accepted; expected hosts as in 'cdn.example.com,*.example.net'",
                       option, text);
    ret_hosts[length] = '\0';
    return 0;
}

int rb_guard_init(const struct rb_guard_config *config, struct rb_guard *ret_guard, struct rb_error *err)
{
    *ret_guard = (struct rb_guard){.https_only = config->https_only, .allow_private = config->allow_private};
    RB_TRY(set_ports(ret_guard, config->ports, err));
    RB_TRY(set_hosts(ret_guard->hosts, "source_hosts", config->hosts, err));
    RB_TRY(set_hosts(ret_guard->deny_hosts, "source_deny_hosts", config->deny_hosts, err));
    RB_TRY(set_networks(&ret_guard->allow_networks, "source_allow_networks", config->allow_networks, err));
    return set_networks(&ret_guard->deny_networks, "source_deny_networks", config->deny_networks, err);
}

static bool ends_with(const char *host, const char *tail, size_t tail_bytes)
{
    size_t bytes = strlen(host);

    return bytes > tail_bytes && memcmp(host + bytes - tail_bytes, tail, tail_bytes) == 0;
}

/* "*.example.com" stands for what is below example.com, not for that itself. */
static bool is_listed(const char *hosts, const char *host)
{
    for (const char *word = hosts; word[0] != '\0';) {
        size_t bytes = strcspn(word, ",");

        if (word[0] == '*' ? ends_with(host, word + 1, bytes - 1)
                           : strlen(host) == bytes && memcmp(host, word, bytes) == 0)
            return true;
        word += bytes + (word[bytes] == ',');
    }
    return false;
}

bool rb_guard_literal(const struct rb_url *url, struct sockaddr_storage *ret_address)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    char text[INET6_ADDRSTRLEN];

    *ret_address = (struct sockaddr_storage){0};
    if (url->host[0] != '[') {
        if (inet_pton(AF_INET, url->host, &in4.sin_addr) != 1)
            return false;
        memcpy(ret_address, &in4, sizeof(in4));
        return true;
    }
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(url->host + 1, "]"), url->host + 1);
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
        return false;
    memcpy(ret_address, &in6, sizeof(in6));
    return true;
}

static int check_host(const struct rb_guard *guard, const struct rb_url *url, struct rb_error *err)
{
    const char *host = url->host;
    struct sockaddr_storage address;

    if (guard->hosts[0] != '\0' && !is_listed(guard->hosts, host))
        return rb_fail(err, RB_E_URL_REFUSED, 0, "the URL's host '%.80s' is not one of source_hosts", host);
    if (is_listed(guard->deny_hosts, host))
        return rb_fail(err, RB_E_URL_REFUSED, 0, "the URL's host '%.80s' is one of source_deny_hosts", host);
    /* RFC 6761: loopback by definition, whatever a resolver may say */
    if (!guard->allow_private && (strcmp(host, "localhost") == 0 || ends_with(host, ".localhost", 10)))
        return refuse(err, "loopback");
    return rb_guard_literal(url, &address) ? rb_guard_address(guard, (const struct sockaddr *)&address, err) : 0;
}

int rb_guard_url(const struct rb_guard *guard, const struct rb_url *url, struct rb_error *err)
{
    bool port_fits = guard->any_port;

    if (guard->https_only && strcmp(url->scheme, "https") != 0)
        return rb_fail(err, RB_E_URL_REFUSED, 0, "the URL is not https, and only https is allowed");
    RB_TRY(check_host(guard, url, err));
    for (size_t i = 0; i < guard->port_count; i++)
        port_fits = port_fits || guard->ports[i] == url->port;
    if (!port_fits)
        return rb_fail(err, RB_E_URL_REFUSED, url->port, "the URL's port %d is not one of source_ports", url->port);
    return 0;
}

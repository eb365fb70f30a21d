/* Who asks: trusted proxies, X-Forwarded-For, Forwarded. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "producer/client.h"

static struct rb_client_trust trust_of(const char *text)
{
    struct rb_client_trust trust = {0};

    assert_works(rb_client_trust_parse(text, &trust, &err));
    return trust;
}

static struct rb_address address_of(const char *text)
{
    struct rb_address address = {0};

    assert_int_equal(rb_address_parse(text, &address), 0);
    return address;
}

/* Who is found behind this peer, as text. */
static const char *found(const char *trusted, const char *peer, enum rb_client_header header, const char *text)
{
    static struct rb_client client;
    struct rb_client_trust trust = trust_of(trusted);
    struct rb_client_peer from;
    struct sockaddr_storage socket = {.ss_family = strchr(peer, ':') != NULL ? AF_INET6 : AF_INET};
    void *to = socket.ss_family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)&socket)->sin6_addr
                                            : (void *)&((struct sockaddr_in *)&socket)->sin_addr;

    assert_int_equal(inet_pton(socket.ss_family, peer, to), 1);
    rb_client_read_peer(&trust, (struct sockaddr *)&socket, &from);
    rb_client_find(&trust, &from, header, text, &client);
    assert_true(client.known);
    return client.text;
}

struct listing {
    const char *text;
    const char *client;
};

static void each_is_found(enum rb_client_header header, const struct listing *listings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *client = found("loopback, private, 2001:db8::/32", "127.0.0.1", header, listings[i].text);

        if (strcmp(client, listings[i].client) != 0)
            fail_msg("'%s' gives '%s', not '%s'", listings[i].text, client, listings[i].client);
    }
}

static void x_forwarded_for_is_read_from_the_end(void **state)
{
    static const struct listing listings[] = {
        {NULL, "127.0.0.1"},
        {"", "127.0.0.1"},
        {" , ,", "127.0.0.1"},
        {"203.0.113.7", "203.0.113.7"},
        {"  203.0.113.7\t", "203.0.113.7"},
        {"203.0.113.7:4711", "203.0.113.7"},
        {"[2a00::1]", "2a00::1"},
        {"[2a00::1]:443", "2a00::1"},
        {"2a00::1", "2a00::1"},
        {"2A00:0:0:0:0:0:0:1", "2a00::1"},
        {"::ffff:203.0.113.7", "203.0.113.7"},
        {"203.0.113.7, 10.0.0.1", "203.0.113.7"},
        {"203.0.113.7,10.0.0.1,192.168.3.4 , 172.31.255.255", "203.0.113.7"},
        {"203.0.113.7, 2001:db8::5", "203.0.113.7"},
        {"203.0.113.7,,10.0.0.1,", "203.0.113.7"},
        /* made up by the client: what stands before the first that is not trusted */
        {"10.9.9.9, 203.0.113.7", "203.0.113.7"},
        {"1.2.3.4, 203.0.113.7, 10.0.0.1", "203.0.113.7"},
        {"junk, 203.0.113.7", "203.0.113.7"},
        {"\"1.2.3.4, 203.0.113.7", "203.0.113.7"},
        {"1.2.3.4\", 203.0.113.7", "203.0.113.7"},
        /* all of them trusted: the first is the client */
        {"10.0.0.5, 10.0.0.1", "10.0.0.5"},
        /* what cannot be read ends it: whoever handed it on is the client */
        {"junk", "127.0.0.1"},
        {"203.0.113.7, junk", "127.0.0.1"},
        {"203.0.113.7, junk, 10.0.0.1", "10.0.0.1"},
        {"203.0.113.7, unknown", "127.0.0.1"},
        {"203.0.113", "127.0.0.1"},
        {"203.0.113.256", "127.0.0.1"},
        {"203.0.113.07", "127.0.0.1"},
        {"0x7f.0.0.1", "127.0.0.1"},
        {"3405803783", "127.0.0.1"},
        {"203.0.113.7:", "127.0.0.1"},
        {"203.0.113.7:x", "127.0.0.1"},
        {"203.0.113.7:123456", "127.0.0.1"},
        {"[203.0.113.7]", "127.0.0.1"},
        {"[2a00::1", "127.0.0.1"},
        {"[2a00::1]443", "127.0.0.1"},
        {"2a00::1%eth0", "127.0.0.1"},
        {"203.0.113.7 10.0.0.1", "127.0.0.1"},
        {"example.com", "127.0.0.1"},
        {"for=203.0.113.7", "127.0.0.1"},
        {"[2a00:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]", "127.0.0.1"},
    };

    (void)state;
    each_is_found(RB_CLIENT_X_FORWARDED_FOR, listings, RB_COUNT(listings));
}

static void forwarded_is_read_from_the_end(void **state)
{
    static const struct listing listings[] = {
        {NULL, "127.0.0.1"},
        {"for=203.0.113.7", "203.0.113.7"},
        {"For=203.0.113.7", "203.0.113.7"},
        {"FOR=\"203.0.113.7:4711\"", "203.0.113.7"},
        {"for=203.0.113.7:4711", "203.0.113.7"},
        {"for=\"[2a00::1]\"", "2a00::1"},
        {"for=\"[2a00::1]:4711\"", "2a00::1"},
        {"for=203.0.113.7;proto=https;by=10.0.0.1", "203.0.113.7"},
        {"proto=https; by=10.0.0.1 ; for=203.0.113.7", "203.0.113.7"},
        {"by=\"a;for=1.2.3.4,b\";for=203.0.113.7", "203.0.113.7"},
        {"for=203.0.113.7, for=10.0.0.1", "203.0.113.7"},
        {"for=1.2.3.4, for=203.0.113.7;host=\"a, b\", for=\"[2001:db8::9]:80\"", "203.0.113.7"},
        {"for=203.0.113.7;;proto=http", "203.0.113.7"},
        /* made up by the client, however it tries to swallow what the proxy adds */
        {"for=1.2.3.4, for=203.0.113.7", "203.0.113.7"},
        {"for=\", for=203.0.113.7", "203.0.113.7"},
        {"for=1.2.3.4;x=\", for=203.0.113.7", "203.0.113.7"},
        {"for=1.2.3.4;x=\\\", for=203.0.113.7", "203.0.113.7"},
        {"junk, for=203.0.113.7", "203.0.113.7"},
        /* hidden or not to be read: whoever handed it on is the client */
        {"for=unknown", "127.0.0.1"},
        {"for=_hidden", "127.0.0.1"},
        {"for=\"_SEVKISEK\"", "127.0.0.1"},
        {"for=203.0.113.7, for=unknown", "127.0.0.1"},
        {"for=203.0.113.7, for=_gw, for=10.0.0.1", "10.0.0.1"},
        {"for=203.0.113.7;for=1.2.3.4", "127.0.0.1"},
        {"proto=https", "127.0.0.1"},
        {"for", "127.0.0.1"},
        {"for=", "127.0.0.1"},
        {"for=\"\"", "127.0.0.1"},
        {"for=\"203.0.113.7", "127.0.0.1"},
        {"for=203.0.113.7\"", "127.0.0.1"},
        {"for=\"203.0.113.\\7\"", "127.0.0.1"},
        {"for =203.0.113.7", "127.0.0.1"},
        {"203.0.113.7", "127.0.0.1"},
        {"for=[2a00::1", "127.0.0.1"},
        {"for=\"203.0.113.7:_port\"", "127.0.0.1"},
    };

    (void)state;
    each_is_found(RB_CLIENT_FORWARDED, listings, RB_COUNT(listings));
}

static void a_peer_that_is_not_trusted_is_the_client_whatever_it_says(void **state)
{
    (void)state;
    assert_string_equal(found("none", "127.0.0.1", RB_CLIENT_X_FORWARDED_FOR, "1.2.3.4"), "127.0.0.1");
    assert_string_equal(found("", "127.0.0.1", RB_CLIENT_X_FORWARDED_FOR, "1.2.3.4"), "127.0.0.1");
    assert_string_equal(found("loopback", "198.51.100.1", RB_CLIENT_X_FORWARDED_FOR, "1.2.3.4"), "198.51.100.1");
    assert_string_equal(found("loopback", "198.51.100.1", RB_CLIENT_FORWARDED, "for=1.2.3.4"), "198.51.100.1");
    assert_string_equal(found("10.0.0.0/9", "10.128.0.1", RB_CLIENT_X_FORWARDED_FOR, "1.2.3.4"), "10.128.0.1");
    assert_string_equal(found("2001:db8::/33", "2001:db8:8000::1", RB_CLIENT_FORWARDED, "for=1.2.3.4"),
                        "2001:db8:8000::1");
}

static void a_mapped_peer_is_an_ipv4_peer(void **state)
{
    (void)state;
    assert_string_equal(found("loopback", "::ffff:127.0.0.1", RB_CLIENT_X_FORWARDED_FOR, "1.2.3.4"), "1.2.3.4");
    assert_string_equal(found("", "::ffff:192.0.2.1", RB_CLIENT_X_FORWARDED_FOR, NULL), "192.0.2.1");
}

static void a_unix_socket_is_trusted_and_nobody_by_itself(void **state)
{
    struct sockaddr_un socket = {.sun_family = AF_UNIX};
    struct rb_client_peer peer;
    struct rb_client_trust nobody = {0};
    struct rb_client client;

    (void)state;
    rb_client_read_peer(&nobody, (struct sockaddr *)&socket, &peer);
    assert_true(peer.trusted);
    rb_client_find(&nobody, &peer, RB_CLIENT_X_FORWARDED_FOR, "203.0.113.7", &client);
    assert_true(client.known);
    assert_string_equal(client.text, "203.0.113.7");
    rb_client_find(&nobody, &peer, RB_CLIENT_X_FORWARDED_FOR, NULL, &client);
    assert_false(client.known);
    assert_string_equal(client.text, "local");
    rb_client_read_peer(&nobody, NULL, &peer);
    assert_false(peer.trusted || peer.known);
}

static void ranges_end_where_they_say(void **state)
{
    static const struct {
        const char *range, *inside, *outside;
    } cases[] = {
        {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
        {"172.16.0.0/12", "172.31.255.255", "172.32.0.0"},
        {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
        {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
        {"192.0.2.1/32", "192.0.2.1", "192.0.2.0"},
        {"0.0.0.0/0", "255.255.255.255", "2001:db8::1"},
        {"::/0", "10.0.0.1", NULL},
        {"2001:db8::/32", "2001:db8:ffff::", "2001:db9::"},
        {"2001:db8::/127", "2001:db8::1", "2001:db8::2"},
        {"::1", "::1", "::2"},
        {"::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.1"},
        {"loopback", "127.9.9.9", "128.0.0.1"},
        {"loopback", "::1", "::2"},
        {"private", "192.168.255.255", "192.169.0.0"},
        {"private", "fdff::1", "fe80::1"},
        {" loopback ,, 192.0.2.1 ", "192.0.2.1", "192.0.2.2"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(cases); i++) {
        struct rb_client_trust trust = trust_of(cases[i].range);
        struct rb_address inside = address_of(cases[i].inside);

        if (!rb_client_is_trusted(&trust, &inside))
            fail_msg("%s is in %s", cases[i].inside, cases[i].range);
        if (cases[i].outside == NULL)
            continue;
        inside = address_of(cases[i].outside);
        if (rb_client_is_trusted(&trust, &inside))
            fail_msg("%s is not in %s", cases[i].outside, cases[i].range);
    }
}

static void what_is_no_range_is_refused(void **state)
{
    static const char *const wrong[] = {
        "10.0.0.1/8",       "10.0.0.0/33", "10.0.0.0/-1",    "10.0.0.0/",      "10.0.0.0/8x",
        "10.0.0/8",         "localhost",   "2001:db8::/129", "2001:db8::1/64", "::1 ::2",
        "loopback private", "*",           "10.0.0.0/8/8",   "[::1]",
    };
    struct rb_client_trust trust = {.count = 7};
    RB_AUTO_TEXT *many = rb_xstrdup("");

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(rb_client_trust_parse(wrong[i], &trust, &err), BAD_OPTION);
    for (unsigned i = 0; i <= RB_CLIENT_RANGES_MAX; i++) {
        char *longer = rb_xprintf("%s10.0.0.%u,", many, i);

        free(many);
        many = longer;
    }
    assert_fails(rb_client_trust_parse(many, &trust, &err), BAD_OPTION);
    assert_int_equal(trust.count, 7);
}

static void the_header_is_one_of_two(void **state)
{
    enum rb_client_header header = RB_CLIENT_X_FORWARDED_FOR;

    (void)state;
    assert_works(rb_client_header_parse("forwarded", &header, &err));
    assert_string_equal(rb_client_header_name(header), "Forwarded");
    assert_works(rb_client_header_parse("x-forwarded-for", &header, &err));
    assert_string_equal(rb_client_header_name(header), "X-Forwarded-For");
    assert_fails(rb_client_header_parse("x-real-ip", &header, &err), BAD_OPTION);
}

static uint64_t key_of(const char *text)
{
    struct rb_address address = address_of(text);

    return rb_address_key(&address);
}

static void limits_go_by_an_ipv4_address_or_a_64(void **state)
{
    (void)state;
    assert_int_equal(key_of("192.0.2.1"), key_of("::ffff:192.0.2.1"));
    assert_int_not_equal(key_of("192.0.2.1"), key_of("192.0.2.2"));
    assert_int_equal(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:2:ffff::9"));
    assert_int_not_equal(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:3::1"));
    assert_int_not_equal(key_of("::1"), key_of("0.0.0.0"));
}

UNIT_MAIN(T(x_forwarded_for_is_read_from_the_end), T(forwarded_is_read_from_the_end),
          T(a_peer_that_is_not_trusted_is_the_client_whatever_it_says), T(a_mapped_peer_is_an_ipv4_peer),
          T(a_unix_socket_is_trusted_and_nobody_by_itself), T(ranges_end_where_they_say),
          T(what_is_no_range_is_refused), T(the_header_is_one_of_two), T(limits_go_by_an_ipv4_address_or_a_64))

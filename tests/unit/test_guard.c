#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "consumer/guard.h"

static const struct rb_guard strict = {.any_port = true};
static const struct rb_guard lenient = {.any_port = true, .allow_private = true};

/* Make a guard of some options; for assert_works and assert_fails, which have err. */
#define init(guard, ...) rb_guard_init(&(struct rb_guard_config){__VA_ARGS__}, (guard), &err)

static int check(const struct rb_guard *guard, const char *address, struct rb_error *err)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, address, &in4.sin_addr) == 1)
        return rb_guard_address(guard, (const struct sockaddr *)&in4, err);
    assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
    return rb_guard_address(guard, (const struct sockaddr *)&in6, err);
}

static void addresses_of_the_public_internet_are_allowed(void **state)
{
    static const char *const right[] = {
        "1.1.1.1",         "8.8.8.8",         "9.255.255.255",        "11.0.0.0",
        "100.63.255.255",  "100.128.0.0",     "126.255.255.255",      "128.0.0.0",
        "169.253.255.255", "169.255.0.0",     "172.15.255.255",       "172.32.0.0",
        "192.0.1.0",       "192.0.3.0",       "192.88.98.255",        "192.167.255.255",
        "192.169.0.0",     "198.17.255.255",  "198.20.0.0",           "223.255.255.255",
        "168.63.129.15",   "2606:4700::1111", "2001:4860:4860::8888", "2001:200::1",
        "2400::1",         "3ffe::1",         "::ffff:1.1.1.1",
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(right); i++)
        assert_works(check(&strict, right[i], &err));
}

static void every_special_address_is_refused(void **state)
{
    static const char *const wrong[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "::1.1.1.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2001:10::1",
        "2001:1ff:ffff::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        struct rb_error err = {0};

        if (check(&strict, wrong[i], &err) != -1)
            fail_msg("allowed: %s", wrong[i]);
        assert_int_equal(err.code, RB_E_URL_REFUSED);
    }
}

static void private_networks_are_allowed_by_the_option_and_nothing_else_is(void **state)
{
    static const char *const right[] = {"10.0.0.1",   "127.0.0.1", "172.16.0.1", "192.168.1.1",
                                        "100.64.0.1", "::1",       "fd00::1",    "::ffff:127.0.0.1"};
    static const char *const wrong[] = {
        "0.0.0.0", "169.254.169.254", "168.63.129.16", "224.0.0.1",       "255.255.255.255", "::",          "fe80::1",
        "ff02::1", "64:ff9b::7f00:1", "2002:7f00:1::", "100.100.100.200", "fd00:ec2::254",   "fd20:ce::254"};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(right); i++)
        assert_works(check(&lenient, right[i], &err));
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(check(&lenient, wrong[i], &err), URL_REFUSED);
    assert_works(check(&lenient, "fd00:ec2::255", &err));
    assert_works(check(&lenient, "100.100.100.201", &err));
}

static void ports_and_schemes_are_judged(void **state)
{
    struct rb_guard guard = {0};
    RB_AUTO_URL plain = {0}, secure = {0}, odd = {0};

    (void)state;
    assert_works(init(&guard, .ports = "80,443"));
    assert_works(rb_url_parse("http://example.com/", &plain, &err));
    assert_works(rb_url_parse("https://example.com/", &secure, &err));
    assert_works(rb_url_parse("https://example.com:6379/", &odd, &err));
    assert_works(rb_guard_url(&guard, &plain, &err));
    assert_works(rb_guard_url(&guard, &secure, &err));
    assert_fails(rb_guard_url(&guard, &odd, &err), URL_REFUSED);
    assert_works(init(&guard, .ports = "80,443", .https_only = true));
    assert_fails(rb_guard_url(&guard, &plain, &err), URL_REFUSED);
    assert_works(init(&guard, .ports = "any"));
    assert_works(rb_guard_url(&guard, &odd, &err));
}

static void a_list_of_ports_that_is_none_is_refused(void **state)
{
    static const char *const wrong[] = {
        "", "0", "80,", "80;443", "65536", "http", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"};
    struct rb_guard guard;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(init(&guard, .ports = wrong[i]), BAD_OPTION);
}

static int check_url(const struct rb_guard *guard, const char *text, struct rb_error *err)
{
    RB_AUTO_URL url = {0};

    RB_TRY(rb_url_parse(text, &url, err));
    return rb_guard_url(guard, &url, err);
}

static void hosts_can_be_named_that_are_the_only_ones_or_never_asked(void **state)
{
    struct rb_guard guard = {0};

    (void)state;
    assert_works(init(&guard, .ports = "any", .hosts = "CDN.example.com,*.example.net,8.8.8.8",
                      .deny_hosts = "bad.example.net,*.bad.example.net"));
    assert_works(check_url(&guard, "https://cdn.example.com/v", &err));
    assert_works(check_url(&guard, "https://CDN.Example.com./v", &err));
    assert_works(check_url(&guard, "https://a.b.example.net/v", &err));
    assert_works(check_url(&guard, "http://0x8.8.8.8/v", &err));
    assert_fails(check_url(&guard, "https://example.net/v", &err), URL_REFUSED);
    assert_fails(check_url(&guard, "https://evilexample.net/v", &err), URL_REFUSED);
    assert_fails(check_url(&guard, "https://cdn.example.com.evil.org/v", &err), URL_REFUSED);
    assert_fails(check_url(&guard, "https://bad.example.net/v", &err), URL_REFUSED);
    assert_fails(check_url(&guard, "https://very.bad.example.net/v", &err), URL_REFUSED);
}

static void networks_can_be_allowed_or_denied_and_denial_wins(void **state)
{
    struct rb_guard guard = {0};

    (void)state;
    assert_works(init(&guard, .ports = "any", .allow_networks = "10.1.0.0/16,fd00:1::/32,64:ff9b::/96,169.254.1.1",
                      .deny_networks = "10.1.9.0/24,8.8.8.0/24,2606:4700::/32,1.1.1.1"));
    assert_works(check(&guard, "10.1.2.3", &err));
    assert_works(check(&guard, "::ffff:10.1.2.3", &err));
    assert_works(check(&guard, "fd00:1::5", &err));
    assert_works(check(&guard, "64:ff9b::8.8.4.4", &err));
    assert_works(check(&guard, "64:ff9b::10.1.2.3", &err));
    assert_fails(check(&guard, "64:ff9b::10.2.0.0", &err), URL_REFUSED);
    assert_fails(check(&guard, "64:ff9b::10.1.9.1", &err), URL_REFUSED);
    assert_fails(check(&guard, "64:ff9b::169.254.169.254", &err), URL_REFUSED);
    assert_fails(check(&guard, "64:ff9b::127.0.0.1", &err), URL_REFUSED);
    assert_works(check(&guard, "169.254.1.1", &err));
    assert_works(check(&guard, "1.1.1.2", &err));
    assert_fails(check(&guard, "10.2.0.0", &err), URL_REFUSED);
    assert_fails(check(&guard, "10.1.9.1", &err), URL_REFUSED);
    assert_fails(check(&guard, "8.8.8.8", &err), URL_REFUSED);
    assert_fails(check(&guard, "::ffff:8.8.8.8", &err), URL_REFUSED);
    assert_fails(check(&guard, "2606:4700::1111", &err), URL_REFUSED);
    assert_fails(check(&guard, "1.1.1.1", &err), URL_REFUSED);
    assert_fails(check(&guard, "fd00:2::5", &err), URL_REFUSED);
}

static void all_of_ipv6_is_not_ipv4(void **state)
{
    struct rb_guard guard = {0};

    (void)state;
    assert_works(init(&guard, .ports = "any", .deny_networks = "::/0"));
    assert_works(check(&guard, "8.8.8.8", &err));
    assert_works(check(&guard, "::ffff:8.8.8.8", &err));
    assert_fails(check(&guard, "2606:4700::1111", &err), URL_REFUSED);
    assert_works(init(&guard, .ports = "any", .deny_networks = "0.0.0.0/0"));
    assert_works(check(&guard, "2606:4700::1111", &err));
    assert_fails(check(&guard, "8.8.8.8", &err), URL_REFUSED);
}

static void an_address_of_our_own_needs_to_be_allowed(void **state)
{
    const struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x08080808)};
    const struct sockaddr *address = (const struct sockaddr *)&own;
    struct rb_guard named = {0};

    (void)state;
    assert_works(rb_guard_address(&strict, address, &err));
    assert_fails(rb_guard_own_address(&strict, address, &err), URL_REFUSED);
    assert_works(rb_guard_own_address(&lenient, address, &err));
    assert_works(init(&named, .ports = "any", .allow_networks = "8.8.8.8"));
    assert_works(rb_guard_own_address(&named, address, &err));
}

static void names_that_are_loopback_by_definition_are_refused(void **state)
{
    (void)state;
    assert_fails(check_url(&strict, "http://localhost/", &err), URL_REFUSED);
    assert_fails(check_url(&strict, "http://LOCALHOST./", &err), URL_REFUSED);
    assert_fails(check_url(&strict, "http://a.localhost/", &err), URL_REFUSED);
    assert_works(check_url(&strict, "http://notlocalhost/", &err));
    assert_works(check_url(&lenient, "http://a.localhost/", &err));
}

static void lists_that_are_none_are_refused(void **state)
{
    static const char *const hosts[] = {",", "a,", "a,,b", "*", "a*.b", "*b", "http://a", "a b", "a/8", "a.", "a.,b"};
    static const char *const networks[] = {"10.0.0.1/8",  "10.0.0.0/33", "::/129", "example.com", "10.0.0.0/",
                                           "10.0.0.0/8,", "10/8",        "/8",     "1.2.3.4/-1",  "fd00::1/16"};
    RB_AUTO_TEXT *many = rb_xprintf("%0*d", 300, 0);
    struct rb_guard guard;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(hosts); i++)
        assert_fails(init(&guard, .ports = "any", .hosts = hosts[i]), BAD_OPTION);
    for (size_t i = 0; i < RB_COUNT(networks); i++)
        assert_fails(init(&guard, .ports = "any", .deny_networks = networks[i]), BAD_OPTION);
    memcpy(many, "1", 2);
    for (size_t i = 0; i < 65; i++)
        memcpy(many + 4 * i, "::1,", 5);
    many[4 * 65 - 1] = '\0';
    assert_fails(init(&guard, .ports = "any", .deny_networks = many), BAD_OPTION);
    many[4 * 64 - 1] = '\0';
    assert_works(init(&guard, .ports = "any", .deny_networks = many));
}

UNIT_MAIN(T(hosts_can_be_named_that_are_the_only_ones_or_never_asked),
          T(networks_can_be_allowed_or_denied_and_denial_wins), T(all_of_ipv6_is_not_ipv4),
          T(an_address_of_our_own_needs_to_be_allowed), T(names_that_are_loopback_by_definition_are_refused),
          T(lists_that_are_none_are_refused), T(addresses_of_the_public_internet_are_allowed),
          T(every_special_address_is_refused), T(private_networks_are_allowed_by_the_option_and_nothing_else_is),
          T(ports_and_schemes_are_judged), T(a_list_of_ports_that_is_none_is_refused))

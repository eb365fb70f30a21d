#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "consumer/guard.h"

static const struct rb_guard strict = {.any_port = true};
static const struct rb_guard lenient = {.any_port = true, .allow_private = true};

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
        "0.0.0.0", "169.254.169.254", "168.63.129.16", "224.0.0.1",       "255.255.255.255",
        "::",      "fe80::1",         "ff02::1",       "64:ff9b::7f00:1", "2002:7f00:1::"};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(right); i++)
        assert_works(check(&lenient, right[i], &err));
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(check(&lenient, wrong[i], &err), URL_REFUSED);
}

static void ports_and_schemes_are_judged(void **state)
{
    struct rb_guard guard = {0};
    RB_AUTO_URL plain = {0}, secure = {0}, odd = {0};

    (void)state;
    assert_works(rb_guard_set_ports(&guard, "80,443", &err));
    assert_works(rb_url_parse("http://example.com/", &plain, &err));
    assert_works(rb_url_parse("https://example.com/", &secure, &err));
    assert_works(rb_url_parse("https://example.com:6379/", &odd, &err));
    assert_works(rb_guard_url(&guard, &plain, &err));
    assert_works(rb_guard_url(&guard, &secure, &err));
    assert_fails(rb_guard_url(&guard, &odd, &err), URL_REFUSED);
    guard.https_only = true;
    assert_fails(rb_guard_url(&guard, &plain, &err), URL_REFUSED);
    assert_works(rb_guard_set_ports(&guard, "any", &err));
    assert_works(rb_guard_url(&guard, &odd, &err));
}

static void a_list_of_ports_that_is_none_is_refused(void **state)
{
    static const char *const wrong[] = {
        "", "0", "80,", "80;443", "65536", "http", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"};
    struct rb_guard guard;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(rb_guard_set_ports(&guard, wrong[i], &err), BAD_OPTION);
}

UNIT_MAIN(T(addresses_of_the_public_internet_are_allowed), T(every_special_address_is_refused),
          T(private_networks_are_allowed_by_the_option_and_nothing_else_is), T(ports_and_schemes_are_judged),
          T(a_list_of_ports_that_is_none_is_refused))

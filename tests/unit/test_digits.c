#include "tests/unit/unit.h"

#include "common/digits.h"
#include "producer/hmac.h"

typedef int (*read_fn)(const char *text, size_t length, uint8_t *ret_bytes, size_t room);

static void assert_reads(read_fn read, const char *text, const char *bytes, int count)
{
    uint8_t found[8] = {0};

    if (read(text, strlen(text), found, sizeof(found)) != count)
        fail_msg("'%s' has not %d bytes", text, count);
    if (count > 0)
        assert_memory_equal(found, bytes, (size_t)count);
}

static void each_text_has_one_meaning_or_none(void **state)
{
    static const struct {
        const char *text, *bytes;
        int base64, secret, url, hex; /* how many bytes, -1 for none */
    } rows[] = {
        {"", "", 0, 0, 0, 0},
        {"Zg==", "f", 1, 1, -1, -1},
        {"Zg", "f", -1, 1, 1, -1},
        {"Zm8=", "fo", 2, 2, -1, -1},
        {"Zm8", "fo", -1, 2, 2, -1},
        {"Zm9v", "foo", 3, 3, 3, -1},
        {"+/+/", "\xfb\xff\xbf", 3, 3, -1, -1},
        {"-_-_", "\xfb\xff\xbf", -1, -1, 3, -1},
        {"Zh==", "", -1, -1, -1, -1}, /* bits are left over */
        {"Zm9=", "", -1, -1, -1, -1},
        {"Z", "", -1, -1, -1, -1},
        {"Z===", "", -1, -1, -1, -1},
        {"====", "", -1, -1, -1, -1},
        {"Zg=A", "", -1, -1, -1, -1},
        {"Zg==Zg==", "", -1, -1, -1, -1},
        {"Zm 9v", "", -1, -1, -1, -1},
        {"Zm9v\n", "", -1, -1, -1, -1},
        {"ZZZZZZZZZZZZZZZZ", "", -1, -1, -1, -1}, /* no room */
        {"00FFaB", "\x00\xff\xab", -1, -1, -1, 3},
        {"0", "", -1, -1, -1, -1},
        {"0h", "", -1, -1, -1, -1},
        {"000000000000000000", "", -1, -1, -1, -1},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        if (rows[i].hex < 1) {
            assert_reads(rb_digits_from_base64, rows[i].text, rows[i].bytes, rows[i].base64);
            assert_reads(rb_digits_from_secret, rows[i].text, rows[i].bytes, rows[i].secret);
            assert_reads(rb_digits_from_base64url, rows[i].text, rows[i].bytes, rows[i].url);
        }
        assert_reads(rb_digits_from_hex, rows[i].text, rows[i].bytes, rows[i].hex);
    }
}

static void hex_is_written_in_lower_case(void **state)
{
    static const uint8_t bytes[] = {0, 0x1f, 0xab};
    char text[7];

    (void)state;
    assert_string_equal(rb_digits_hex(bytes, sizeof(bytes), text), "001fab");
}

/* RFC 4231, test case 2; signed again and again with one key, in one piece and in several. */
static void a_key_signs_as_often_as_it_is_asked_to(void **state)
{
    static const char wanted[] = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    struct rb_hmac *hmac = rb_hmac_new("Jefe", 4);
    uint8_t digest[RB_HMAC_BYTES];
    char text[65];

    (void)state;
    for (int i = 0; i < 3; i++) {
        rb_hmac_sign(hmac, (const struct rb_piece[]){{"what do ya want ", 16}, {"", 0}, {"for nothing?", 12}}, 3,
                     digest);
        assert_string_equal(rb_digits_hex(digest, sizeof(digest), text), wanted);
        rb_hmac_sign(hmac, &(const struct rb_piece){"what do ya want for nothing?", 28}, 1, digest);
        assert_string_equal(rb_digits_hex(digest, sizeof(digest), text), wanted);
    }
    rb_hmac_free(hmac);
}

UNIT_MAIN(T(each_text_has_one_meaning_or_none), T(hex_is_written_in_lower_case),
          T(a_key_signs_as_often_as_it_is_asked_to))

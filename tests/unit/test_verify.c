/* Signatures: the vectors of those who made the schemes, some of our own made with another library, and what is none. */
#include "tests/unit/unit.h"

#include "producer/verify.h"

#define BODY     "{\"test\": 2432232314}"
#define NOW      1614265330
#define SECRET   "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID       "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define SIGNED   "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define WRONG    "Z0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define PUBLIC   "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
#define PUBLIC_X "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
#define OTHER_X  "ebVWLo_mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ"
#define V1A      "iEefdFFutrjzfRpIHPVkD0OJda55sSkFuOPJiISmxfftsHYsf52TIpu/r3R/h+HNGfFH6O/nzOZUh3JiNSj2Cw=="
#define ROUTED   "43e6dc764b48546d74400d90684f27848c65b0e4196564478afa993c61a0c913"
#define FAL                                                                                                               \
    "285590a25b379c8d216627ef57a56b2ae83793fd914433c6e97f0596a3a33011e19fd482580aaad1a36dfbc49d588354c1cd38bd938e22d6a1f" \
    "5e44556a9cb0a"
#define HASHED "dc511a405e474734fa53a95c939b8b369167a2a7416c16a192486d457924e171"
#define EIGHT  "v1," WRONG " v1," WRONG " v1," WRONG " v1," WRONG " v1," WRONG " v1," WRONG " v1," WRONG " v1," WRONG

static const uint8_t random_key[RB_SECRETS_KEY_BYTES] = {1, 2, 3};

/* Headers as pairs of name and value, NULL at the end; the same name may stand there twice. */
struct headers {
    const char *pairs[16];
};

static const char *find_header(const void *arg, const char *name, size_t *ret_count)
{
    const struct headers *headers = arg;
    const char *first = NULL;

    *ret_count = 0;
    for (size_t i = 0; headers->pairs[i] != NULL; i += 2) {
        if (strcasecmp(headers->pairs[i], name) != 0)
            continue;
        first = first != NULL ? first : headers->pairs[i + 1];
        ++*ret_count;
    }
    return first;
}

struct check {
    const struct rb_provider_webhook webhook;
    const char *body;
    struct headers headers;
    int64_t now_unix_s;
};

static int verify_with(const struct check *check, const struct rb_keyset *keyset, struct rb_verified *ret_verified,
                       struct rb_error *err)
{
    struct rb_provider_webhook webhook = check->webhook;
    struct rb_verifier *verifier = NULL;
    const struct rb_verify_request request = {.body = check->body,
                                              .body_bytes = strlen(check->body),
                                              .header = find_header,
                                              .arg = &check->headers,
                                              .now_unix_s = check->now_unix_s};
    int result;

    webhook.tolerance_ms = 300000;
    RB_TRY(rb_verifier_new(&webhook, random_key, keyset, &verifier, err));
    result = rb_verify(verifier, &request, ret_verified, err);
    if (result == 0) { /* a key that was used once is good for more */
        struct rb_verified again;

        assert_int_equal(rb_verify(verifier, &request, &again, err), 0);
    }
    rb_verifier_free(verifier);
    return result;
}

static int verify(const struct check *check, struct rb_verified *ret_verified, struct rb_error *err)
{
    return verify_with(check, NULL, ret_verified, err);
}

#define STANDARD(secret_)                                                                                              \
    {                                                                                                                  \
        .scheme = RB_SCHEME_STANDARD, .body = RB_BODY_OPENAI, .secret = (char *)(uintptr_t)(secret_)                   \
    }
#define THREE(id, time, signatures)                                                                                    \
    {                                                                                                                  \
        {                                                                                                              \
            "webhook-id", id, "webhook-timestamp", time, "webhook-signature", signatures                               \
        }                                                                                                              \
    }

static void the_vectors_of_the_standard_and_of_openai_are_accepted(void **state)
{
    static const struct check rows[] = {
        {STANDARD(SECRET), BODY, THREE(ID, "1614265330", "v1," SIGNED), NOW},
        {STANDARD("whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c="),
         "{\"id\": \"evt_685c059ae3a481909bdc86819b066fb6\", \"object\": \"event\", \"created_at\": 1750861210, "
         "\"type\": \"response.completed\", \"data\": {\"id\": \"resp_123\"}}",
         THREE("wh_685c059ae39c8190af8c71ed1022a24d", "1750861210", "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY="),
         1750861210},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_verified verified;

        assert_works(verify(&rows[i], &verified, &err));
        assert_string_equal(verified.delivery_id, rows[i].headers.pairs[1]);
        assert_true(verified.id_is_signed);
        assert_true(verified.signed_at_ms == rows[i].now_unix_s * 1000);
    }
}

static void senders_may_differ_in_what_the_standard_leaves_open(void **state)
{
    static const struct check rows[] = {
        /* any of several signatures, unknown versions beside it */
        {STANDARD(SECRET), BODY, THREE(ID, "1614265330", "v1," WRONG " v2," WRONG " v1," SIGNED " v1," WRONG), NOW},
        {STANDARD(SECRET), BODY, THREE(ID, "1614265330", "v1," WRONG " v1,short v1,,, v1,%%% v1," SIGNED), NOW},
        /* any white space, also around */
        {STANDARD(SECRET), BODY, THREE(ID, "1614265330", "\tv1," WRONG " \t v1," SIGNED "  "), NOW},
        /* base64 alone */
        {STANDARD(SECRET), BODY, THREE(ID, "1614265330", SIGNED), NOW},
        {STANDARD(SECRET), BODY, THREE(ID, "1614265330", WRONG " " SIGNED), NOW},
        /* the names of Svix, of any case */
        {STANDARD(SECRET),
         BODY,
         {{"Svix-Id", ID, "SVIX-TIMESTAMP", "1614265330", "svix-signature", "v1," SIGNED}},
         NOW},
        /* with both, those of the standard count */
        {STANDARD(SECRET),
         BODY,
         {{"svix-id", "x", "svix-timestamp", "1", "svix-signature", "v1," WRONG, "webhook-id", ID, "webhook-timestamp",
           "1614265330", "webhook-signature", "v1," SIGNED}},
         NOW},
        /* a list of secrets */
        {STANDARD("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, " SECRET), BODY, THREE(ID, "1614265330", "v1," SIGNED), NOW},
        {STANDARD(SECRET "\nwhpk_" PUBLIC), BODY, THREE(ID, "1614265330", "v1," SIGNED), NOW},
        /* a secret without a prefix: its text, or base64 */
        {STANDARD("my raw secret"), BODY,
         THREE("msg_1", "1614265330", "v1,Y/WWiyFBqAVuyWZn6kycjD3NntOvPQoF+M5gaL3RG00="), NOW},
        {STANDARD("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), BODY,
         THREE("msg_1", "1614265330", "v1,9o7UeFkn1GjVbcY4emAJruJCYqgH2EIf8u/slvVRBZI="), NOW},
        {STANDARD("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), BODY,
         THREE("msg_1", "1614265330", "v1,GSe+EPJFUUfnQ5OrSc+hxV/gQrhxlsU20FVq4/YhczM="), NOW},
        /* public keys */
        {STANDARD("whpk_" PUBLIC), BODY, THREE("msg_1", "1614265330", "v1a," V1A), NOW},
        {STANDARD(SECRET ",whpk_" PUBLIC), BODY, THREE("msg_1", "1614265330", "v1," WRONG " v1a," V1A), NOW},
        /* five minutes, both ways */
        {STANDARD(SECRET), BODY, THREE(ID, "1614265330", "v1," SIGNED), NOW + 300},
        {STANDARD(SECRET), BODY, THREE(ID, "1614265330", "v1," SIGNED), NOW - 300},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_verified verified;
        struct rb_error err = {0};

        if (verify(&rows[i], &verified, &err) < 0)
            fail_msg("row %zu: %s", i, err.message);
    }
}

/* A refusal has its code, and neither secret nor signature in its message. */
static void assert_refused(size_t row, const struct check *check, const struct rb_keyset *keyset, enum rb_code code)
{
    struct rb_verified verified;
    struct rb_error err = {0};

    if (verify_with(check, keyset, &verified, &err) == 0)
        fail_msg("row %zu was accepted", row);
    if (err.code != code)
        fail_msg("row %zu: %s instead of %s", row, rb_code_name(err.code), rb_code_name(code));
    assert_null(strstr(err.message, "g0hM9SsE"));
    assert_null(strstr(err.message, "MfKQ9r8G"));
    assert_null(strstr(err.message, "secret-"));
}

static void a_standard_signature_must_be_right_to_the_last_bit(void **state)
{
    static char long_list[RB_VERIFY_HEADER_BYTES + 64], long_id[RB_PROVIDER_ID_BYTES + 1];
    const struct {
        const char *secret, *body, *id, *time, *signatures;
        int64_t now_unix_s;
        enum rb_code code;
    } rows[] = {
        /* headers that are empty */
        {SECRET, BODY, "", "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "", NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "  \t ", NOW, RB_E_BAD_SIGNATURE},
        /* times */
        {SECRET, BODY, ID, "1614265330", "v1," SIGNED, NOW + 301, RB_E_STALE_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1," SIGNED, NOW - 301, RB_E_STALE_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1," SIGNED, NOW + 400, RB_E_STALE_SIGNATURE},
        {SECRET, BODY, ID, "0", "v1," SIGNED, NOW, RB_E_STALE_SIGNATURE},
        {SECRET, BODY, ID, "161426533000", "v1," SIGNED, NOW, RB_E_STALE_SIGNATURE},
        {SECRET, BODY, ID, "1614265331", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "01614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "hello", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "abc", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1.5", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330.0", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1e9", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "0x6037B7B2", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "+1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "-1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, " 1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330 ", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "99999999999999999999", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330,1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        /* ids */
        {SECRET, BODY, "msg_p5jXN8AQM9LWM0D4loKWxJeK", "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, "a.b", "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, "a b", "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, "\xc3\xa9", "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, long_id, "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        /* bodies */
        {SECRET, "{\"test\": 2432232315}", ID, "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, "{\"test\":2432232314}", ID, "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY " ", ID, "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, "", ID, "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        /* secrets */
        {"whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", BODY, ID, "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {"secret-of-another", BODY, ID, "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {"whpk_" PUBLIC, BODY, ID, "1614265330", "v1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        /* signatures */
        {SECRET, BODY, ID, "1614265330", "v1," WRONG, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v2," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1a," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "V1," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "," SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1,", NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1", NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1=" SIGNED, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1, " WRONG, NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1," SIGNED "=", NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1," SIGNED "AAAA", NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE", NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=", NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1,g0hM9SsE-OTPJTGt_tmIKtSyZlE3uFJELVlNIOLJ1OE=", NOW, RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", "v1,83484cf52b04f8e4cf2531adfed9882ad4b2665137b852442d594d20e2c9d4e1", NOW,
         RB_E_BAD_SIGNATURE},
        {SECRET, BODY, ID, "1614265330", EIGHT " v1," SIGNED, NOW, RB_E_BAD_SIGNATURE}, /* the ninth is not looked at */
        {SECRET, BODY, ID, "1614265330", long_list, NOW, RB_E_BAD_SIGNATURE},
        {"whpk_" PUBLIC, BODY, "msg_2", "1614265330", "v1a," V1A, NOW, RB_E_BAD_SIGNATURE},
        {"whpk_" PUBLIC, BODY, "msg_1", "1614265330", "v1," V1A, NOW, RB_E_BAD_SIGNATURE},
        {"whpk_ebVWLo/mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ=", BODY, "msg_1", "1614265330", "v1a," V1A, NOW,
         RB_E_BAD_SIGNATURE},
    };

    (void)state;
    memset(long_id, 'a', sizeof(long_id) - 1);
    memset(long_list, ' ', RB_VERIFY_HEADER_BYTES);
    memcpy(long_list + RB_VERIFY_HEADER_BYTES, "v1," SIGNED, sizeof("v1," SIGNED));
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        const struct check check = {STANDARD(rows[i].secret), rows[i].body,
                                    THREE(rows[i].id, rows[i].time, rows[i].signatures), rows[i].now_unix_s};

        assert_refused(i, &check, NULL, rows[i].code);
    }
}

static void each_header_of_a_signature_must_be_there_once(void **state)
{
    static const struct headers rows[] = {
        {{NULL}},
        {{"webhook-timestamp", "1614265330", "webhook-signature", "v1," SIGNED}},
        {{"webhook-id", ID, "webhook-signature", "v1," SIGNED}},
        {{"webhook-id", ID, "webhook-timestamp", "1614265330"}},
        {{"svix-id", ID, "svix-timestamp", "1614265330"}},
        {{"webhook-id", ID, "svix-timestamp", "1614265330", "svix-signature", "v1," SIGNED}},
        {{"webhook-id", ID, "Webhook-Id", ID, "webhook-timestamp", "1614265330", "webhook-signature", "v1," SIGNED}},
        {{"webhook-id", ID, "webhook-timestamp", "1614265330", "webhook-timestamp", "1", "webhook-signature",
          "v1," SIGNED}},
        {{"webhook-id", ID, "webhook-timestamp", "1614265330", "webhook-signature", "v1," SIGNED, "webhook-signature",
          "v2"}},
        {{"webhook-id", ID, "webhook-timestamp", "1614265330", "webhook-signature", "v2,x", "webhook-signature",
          "v1," SIGNED}},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        const struct check check = {STANDARD(SECRET), BODY, rows[i], NOW};

        assert_refused(i, &check, NULL, RB_E_BAD_SIGNATURE);
    }
}

static void a_secret_that_is_none_stops_the_start(void **state)
{
    static const char *const rows[] = {"",
                                       " , \n",
                                       "whsec_",
                                       "whsec_====",
                                       "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS*",
                                       "whsec_MfKQ9r8GKYqrT",
                                       SECRET ",whsec_",
                                       "whpk_",
                                       "whpk_AAAA",
                                       "whsk_" PUBLIC,
                                       "1,2,3,4,5,6,7,8,9"};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        const struct rb_provider_webhook webhook = STANDARD(rows[i]);
        struct rb_verifier *verifier = NULL;
        struct rb_error err = {0};

        if (rb_verifier_new(&webhook, random_key, NULL, &verifier, &err) == 0)
            fail_msg("'%s' was taken", rows[i]);
        assert_int_equal(err.code, RB_E_BAD_OPTION);
        assert_null(strstr(err.message, "MfKQ"));
    }
}

#define ROUTER(secret_)                                                                                                \
    {                                                                                                                  \
        .scheme = RB_SCHEME_OPENROUTER, .body = RB_BODY_OPENROUTER, .secret = (char *)(uintptr_t)(secret_)             \
    }

static int verify_router(const char *secret, const char *body, const char *signature, int64_t now_unix_s,
                         struct rb_verified *ret_verified, struct rb_error *err)
{
    const struct check check = {ROUTER(secret),
                                body,
                                {{"X-OpenRouter-Signature", signature, "X-OpenRouter-Idempotency-Key", "key-1"}},
                                now_unix_s};

    return verify(&check, ret_verified, err);
}

static void openrouter_signs_time_and_body_with_a_comma_between(void **state)
{
    static const char *const right[] = {
        "t=1614265330,v1=" ROUTED,
        "v1=" ROUTED ",t=1614265330",
        "t=1614265330, v1=" ROUTED,
        "t=1614265330,v0=x,v1=" HASHED ",v1=" ROUTED ",more=1",
        "t=1614265330,v1=43E6DC764B48546D74400D90684F27848C65B0E4196564478AFA993C61A0C913",
    };
    static const char *const wrong[] = {
        "",
        ",",
        "t=1614265330",
        "v1=" ROUTED,
        "t=,v1=" ROUTED,
        "t=1614265330,v1=",
        "t=1614265330,v1=" HASHED,
        "t=1614265330,v2=" ROUTED,
        "t=1614265331,v1=" ROUTED,
        "t=1614265330,t=1614265330,v1=" ROUTED,
        "t=1614265330;v1=" ROUTED,
        "t=1614265330,v1=" ROUTED "00",
        "t=1614265330,v1=0x" ROUTED,
        "t=1614265330.0,v1=" ROUTED,
        "T=1614265330,V1=" ROUTED,
        /* with a dot instead of the comma */
        "t=1614265330,v1=5c587879898d8697f0ee303e9abd395e43f34f3377c3641dad16cdbb2598f348",
    };
    struct rb_verified verified;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(right); i++)
        assert_works(verify_router("old,or-secret", BODY, right[i], NOW + 300, &verified, &err));
    assert_string_equal(verified.delivery_id, "key-1");
    assert_false(verified.id_is_signed);
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        struct rb_error err = {0};

        if (verify_router("or-secret", BODY, wrong[i], NOW, &verified, &err) == 0)
            fail_msg("'%s' was accepted", wrong[i]);
        assert_int_equal(err.code, RB_E_BAD_SIGNATURE);
    }
    assert_fails(verify_router("or-secret", BODY, right[0], NOW + 301, &verified, &err), STALE_SIGNATURE);
    assert_fails(verify_router("or-secret", BODY, right[0], NOW - 301, &verified, &err), STALE_SIGNATURE);
    assert_fails(verify_router("or-secret", BODY "\n", right[0], NOW, &verified, &err), BAD_SIGNATURE);
    assert_fails(verify_router("other", BODY, right[0], NOW, &verified, &err), BAD_SIGNATURE);
}

static int parse_keys(const char *text, struct rb_keyset *ret_keyset, struct rb_error *err)
{
    return rb_keyset_parse(text, strlen(text), ret_keyset, err);
}

#define KEY(x) "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" x "\"}"
#define FOUR(id, user, time, signature)                                                                                \
    {                                                                                                                  \
        {                                                                                                              \
            "X-Fal-Webhook-Request-Id", id, "X-Fal-Webhook-User-Id", user, "X-Fal-Webhook-Timestamp", time,            \
                "X-Fal-Webhook-Signature", signature                                                                   \
        }                                                                                                              \
    }

static void fal_signs_ids_time_and_hash_with_a_key_of_its_set(void **state)
{
    static const struct rb_provider_webhook fal = {.scheme = RB_SCHEME_FAL, .body = RB_BODY_FAL};
    static const struct {
        struct headers headers;
        const char *body;
        int64_t now_unix_s;
        enum rb_code code;
    } rows[] = {
        {FOUR("req-1", "user-1", "1614265330", FAL), BODY, NOW, RB_E_NONE},
        {FOUR("req-1", "user-1", "1614265330", FAL), BODY, NOW - 300, RB_E_NONE},
        {FOUR("req-1", "user-1", "1614265330", FAL), BODY, NOW + 301, RB_E_STALE_SIGNATURE},
        {FOUR("req-2", "user-1", "1614265330", FAL), BODY, NOW, RB_E_UNKNOWN_KEY},
        {FOUR("req-1", "user-2", "1614265330", FAL), BODY, NOW, RB_E_UNKNOWN_KEY},
        {FOUR("req-1", "user-1", "1614265331", FAL), BODY, NOW, RB_E_UNKNOWN_KEY},
        {FOUR("req-1", "user-1", "1614265330", FAL), BODY " ", NOW, RB_E_UNKNOWN_KEY},
        {FOUR("req-1", "user-1", "1614265330", FAL "00"), BODY, NOW, RB_E_BAD_SIGNATURE},
        {FOUR("req-1", "user-1", "1614265330", "zz"), BODY, NOW, RB_E_BAD_SIGNATURE},
        {FOUR("req-1", "user-1", "1614265330", ""), BODY, NOW, RB_E_BAD_SIGNATURE},
        {FOUR("", "user-1", "1614265330", FAL), BODY, NOW, RB_E_BAD_SIGNATURE},
        {FOUR("req-1\nuser-1", "user-1", "1614265330", FAL), BODY, NOW, RB_E_BAD_SIGNATURE},
        {FOUR("req-1", "", "1614265330", FAL), BODY, NOW, RB_E_BAD_SIGNATURE},
        {FOUR("req-1", "user-1", "", FAL), BODY, NOW, RB_E_BAD_SIGNATURE},
        {{{"X-Fal-Webhook-Request-Id", "req-1"}}, BODY, NOW, RB_E_BAD_SIGNATURE},
    };
    struct rb_keyset keys = {0}, others = {0}, none = {0};
    struct rb_verified verified;

    (void)state;
    assert_works(
        parse_keys("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"x\"}," KEY(OTHER_X) "," KEY(PUBLIC_X) "]}", &keys, &err));
    assert_works(parse_keys("{\"keys\":[" KEY(OTHER_X) "]}", &others, &err));
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        const struct check check = {fal, rows[i].body, rows[i].headers, rows[i].now_unix_s};

        if (rows[i].code == RB_E_NONE) {
            assert_works(verify_with(&check, &keys, &verified, &err));
            assert_string_equal(verified.delivery_id, "req-1");
            assert_refused(i, &check, &others, RB_E_UNKNOWN_KEY);
            assert_refused(i, &check, &none, RB_E_KEYS_AWAY);
        } else {
            assert_refused(i, &check, &keys, rows[i].code);
        }
    }
}

static void a_set_of_keys_is_read_strictly(void **state)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[1,null]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" PUBLIC_X "\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}]}",
        "{\"keys\":[" KEY(PUBLIC) "]}",
        "{\"keys\":[" KEY("AAAA") "]}",
        "{\"keys\":[" KEY(PUBLIC_X "A") "]}",
    };
    struct rb_keyset keys = {0};
    RB_AUTO_TEXT *many = rb_xstrdup("{\"keys\":[");

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(parse_keys(wrong[i], &keys, &err), BAD_REQUEST);
    assert_works(parse_keys("{\"keys\":[" KEY(PUBLIC_X) "," KEY(PUBLIC_X) "]}", &keys, &err));
    assert_int_equal(keys.count, 1);
    assert_works(parse_keys("{\"keys\":[" KEY("AAAA") ",{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}," KEY(PUBLIC_X) "]}",
                            &keys, &err)); /* a broken one does not take the others with it */
    assert_int_equal(keys.count, 1);
    for (size_t i = 0; i < RB_KEYSET_MAX + 1; i++) {
        char *more = rb_xprintf(
            "%s%s{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%cAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", many,
            i == 0 ? "" : ",", (char)('A' + i));

        free(many);
        many = more;
    }
    char *all = rb_xprintf("%s]}", many);

    assert_fails(parse_keys(all, &keys, &err), BAD_REQUEST);
    free(all);
}

static void the_plain_scheme_may_ask_for_a_signature_too(void **state)
{
    static const struct {
        const char *secret, *signature, *body;
        bool good_without, good_with; /* a signature secret configured */
    } rows[] = {
        {"shared", NULL, BODY, true, false},
        {"shared", HASHED, BODY, true, true},
        {"shared", "sha256=" HASHED, BODY, true, true},
        {"shared", "DC511A405E474734FA53A95C939B8B369167A2A7416C16A192486D457924E171", BODY, true, true},
        {"new", HASHED, BODY, true, true},
        {"shared", HASHED, BODY " ", true, false},
        {"shared", "sha1=" HASHED, BODY, true, false},
        {"shared", HASHED "0", BODY, true, false},
        {"shared", "sha256=", BODY, true, false},
        {"shared", ROUTED, BODY, true, false},
        {"Shared", HASHED, BODY, false, false},
        {"shared,new", HASHED, BODY, false, false},
        {"share", HASHED, BODY, false, false},
        {"sharedd", HASHED, BODY, false, false},
        {"", HASHED, BODY, false, false},
        {NULL, HASHED, BODY, false, false},
    };
    char secrets[] = "shared, new", signing[] = "another\nsign-secret";

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct check check = {{.scheme = RB_SCHEME_PLAIN, .body = RB_BODY_PLAIN, .secret = secrets},
                              rows[i].body,
                              {{"webhook-id", "mine"}},
                              NOW};
        struct check signed_check = {
            {.scheme = RB_SCHEME_PLAIN, .secret = secrets, .signature_secret = signing}, rows[i].body, {{NULL}}, NOW};
        struct rb_verified verified;
        struct rb_error err = {0};
        size_t at = 2;

        if (rows[i].secret != NULL) {
            check.headers.pairs[at++] = "X-Webhook-Secret";
            check.headers.pairs[at++] = rows[i].secret;
        }
        if (rows[i].signature != NULL) {
            check.headers.pairs[at++] = "X-Webhook-Signature";
            check.headers.pairs[at++] = rows[i].signature;
        }
        signed_check.headers = check.headers;
        if ((verify(&check, &verified, &err) == 0) != rows[i].good_without)
            fail_msg("row %zu without a signature secret", i);
        if ((verify(&signed_check, &verified, &err) == 0) != rows[i].good_with)
            fail_msg("row %zu with a signature secret", i);
        if (rows[i].good_with)
            assert_string_equal(verified.delivery_id, "mine");
    }
}

static void a_shared_secret_that_came_twice_is_refused(void **state)
{
    char secret[] = "shared";
    const struct check check = {{.scheme = RB_SCHEME_PLAIN, .secret = secret},
                                BODY,
                                {{"x-webhook-secret", "shared", "x-webhook-secret", "shared"}},
                                NOW};

    (void)state;
    assert_refused(0, &check, NULL, RB_E_BAD_SIGNATURE);
}

UNIT_MAIN(T(the_vectors_of_the_standard_and_of_openai_are_accepted),
          T(senders_may_differ_in_what_the_standard_leaves_open), T(a_standard_signature_must_be_right_to_the_last_bit),
          T(each_header_of_a_signature_must_be_there_once), T(a_secret_that_is_none_stops_the_start),
          T(openrouter_signs_time_and_body_with_a_comma_between), T(fal_signs_ids_time_and_hash_with_a_key_of_its_set),
          T(a_set_of_keys_is_read_strictly), T(the_plain_scheme_may_ask_for_a_signature_too),
          T(a_shared_secret_that_came_twice_is_refused))

/*
 * limit.c — how often may one sender ask?
 *
 * Way:  client -> [limit] -> gate -> receive
 */
#include "producer/limit.h"

#include <stdio.h>

#include "common/units.h"

#define NS_PER_MS 1000000
#define NS_PER_S  1000000000
#define QUOTA_MAX 1000000
#define BURST_MAX 1000000

struct bucket {
    uint64_t key;
    int64_t full_ns; /* when it is full again; 0 in a place that was never taken */
};

struct rb_limit {
    struct rb_rate rate;
    int64_t step_ns;  /* what one takes: the time until it is given back */
    int64_t depth_ns; /* what a full bucket has */
    uint64_t seed;
    size_t sets;
    struct bucket *buckets; /* owned; RB_LIMIT_WAYS for each set */
};

static int parse_window(char unit, int64_t *ret_window_s)
{
    switch (unit) {
    case 's':
        *ret_window_s = 1;
        return 0;
    case 'm':
        *ret_window_s = 60;
        return 0;
    case 'h':
        *ret_window_s = 3600;
        return 0;
    default:
        return -1;
    }
}

static int parse_parts(const char *text, struct rb_rate *ret_rate)
{
    static const char burst_word[] = " burst ";
    RB_AUTO_TEXT *copy = rb_xstrdup(text);
    char *slash = strchr(copy, '/');

    if (slash == NULL)
        return -1;
    *slash = '\0';
    RB_TRY(rb_units_parse_number(copy, &ret_rate->quota));
    RB_TRY(parse_window(slash[1], &ret_rate->window_s));
    ret_rate->burst = ret_rate->quota;
    if (slash[2] == '\0')
        return 0;
    if (strncmp(slash + 2, burst_word, strlen(burst_word)) != 0)
        return -1;
    return rb_units_parse_number(slash + 2 + strlen(burst_word), &ret_rate->burst);
}

int rb_rate_parse(const char *text, struct rb_rate *ret_rate, struct rb_error *err)
{
    struct rb_rate rate = {0};

    if (strcmp(text, "0") == 0) {
        *ret_rate = rate;
        return 0;
    }
    if (parse_parts(text, &rate) < 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "'%.60s' is no rate; expected such as 100/s, 600/m burst 50, or 0",
                       text);
    if (rate.quota < 1 || rate.quota > QUOTA_MAX || rate.burst < 1 || rate.burst > BURST_MAX)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "'%.60s': the rate and the burst must be 1 to %d", text, QUOTA_MAX);
    *ret_rate = rate;
    return 0;
}

struct rb_limit *rb_limit_new(const struct rb_rate *rate, size_t slots, uint64_t seed)
{
    struct rb_limit *limit = rb_xalloc(sizeof(*limit));

    RB_ASSERT(rate->quota > 0 && slots >= RB_LIMIT_WAYS && (slots & (slots - 1)) == 0);
    *limit = (struct rb_limit){
        .rate = *rate,
        .step_ns = rate->window_s * NS_PER_S / rate->quota,
        .seed = seed,
        .sets = slots / RB_LIMIT_WAYS,
        .buckets = rb_xalloc(slots * sizeof(*limit->buckets)),
    };
    limit->depth_ns = limit->step_ns * rate->burst;
    return limit;
}

void rb_limit_free(struct rb_limit *limit)
{
    if (limit == NULL)
        return;
    free(limit->buckets);
    free(limit);
}

/* The mixing of MurmurHash3: each bit of the key changes half of those that come out. */
static uint64_t mix(uint64_t bits)
{
    bits = (bits ^ bits >> 33) * 0xff51afd7ed558ccdu;
    bits = (bits ^ bits >> 33) * 0xc4ceb9fe1a85ec53u;
    return bits ^ bits >> 33;
}

static struct bucket *set_of(const struct rb_limit *limit, uint64_t key)
{
    uint64_t hash = mix(mix(key ^ limit->seed) + limit->seed);

    return limit->buckets + (hash & (limit->sets - 1)) * RB_LIMIT_WAYS;
}

/* The key's own bucket, else the fullest one of its set, which it takes over as it is. */
static struct bucket *bucket_of(const struct rb_limit *limit, uint64_t key)
{
    struct bucket *set = set_of(limit, key), *fullest = set;

    for (size_t way = 0; way < RB_LIMIT_WAYS; way++) {
        if (set[way].full_ns != 0 && set[way].key == key)
            return &set[way];
        if (set[way].full_ns < fullest->full_ns)
            fullest = &set[way];
    }
    fullest->key = key;
    return fullest;
}

struct rb_verdict rb_limit_take(struct rb_limit *limit, uint64_t key, int64_t now_ms)
{
    int64_t now_ns = now_ms * NS_PER_MS;
    struct bucket *bucket = bucket_of(limit, key);
    int64_t full_ns = RB_MAX(bucket->full_ns, now_ns);
    int64_t room_ns = limit->depth_ns - (full_ns - now_ns);
    struct rb_verdict verdict = {.allowed = room_ns >= limit->step_ns};

    if (verdict.allowed) {
        full_ns += limit->step_ns;
        room_ns -= limit->step_ns;
    }
    bucket->full_ns = full_ns;
    verdict.left = room_ns / limit->step_ns;
    if (verdict.left == 0)
        verdict.retry_after_s = RB_MAX((limit->step_ns - room_ns + NS_PER_S - 1) / NS_PER_S, 1);
    return verdict;
}

const struct rb_rate *rb_limit_rate(const struct rb_limit *limit)
{
    return &limit->rate;
}

void rb_limit_check(const struct rb_limit *limit)
{
    for (size_t i = 0; i < limit->sets * RB_LIMIT_WAYS; i++) {
        const struct bucket *bucket = &limit->buckets[i];
        const struct bucket *set = limit->buckets + i / RB_LIMIT_WAYS * RB_LIMIT_WAYS;

        if (bucket->full_ns == 0)
            continue;
        RB_ASSERT(set_of(limit, bucket->key) == set);
        for (const struct bucket *other = set; other < bucket; other++)
            RB_ASSERT(other->full_ns == 0 || other->key != bucket->key);
    }
}

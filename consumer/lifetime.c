/*
 * lifetime.c — how long the URLs of each provider live.
 *
 * Way:  job -> [lifetime] -> budget
 */
#include "consumer/lifetime.h"

#include <stdio.h>

#include "common/avro.h"

#define SLOWLY 8 /* one part in so many of a difference */

static struct rb_lifetime_row *find_row(struct rb_lifetimes *lifetimes, const char *key)
{
    struct rb_lifetime_row *oldest = &lifetimes->rows[0];

    for (size_t i = 0; i < RB_LIFETIME_ROWS; i++) {
        struct rb_lifetime_row *row = &lifetimes->rows[i];

        if (row->used > 0 && strncmp(row->key, key, sizeof(row->key) - 1) == 0) {
            row->used = ++lifetimes->uses;
            return row;
        }
        if (row->used < oldest->used)
            oldest = row;
    }
    *oldest = (struct rb_lifetime_row){.used = ++lifetimes->uses};
    snprintf(oldest->key, sizeof(oldest->key), "%s", key);
    return oldest;
}

void rb_lifetime_said(struct rb_lifetimes *lifetimes, const char *key, int64_t ms)
{
    struct rb_lifetime_row *row;

    if (ms < RB_LIFETIME_MIN_MS)
        return;
    row = find_row(lifetimes, key);
    if (row->ms == 0 || ms < row->ms)
        row->ms = ms;
    else
        row->ms += (ms - row->ms) / SLOWLY;
}

/* FNV-1a. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037u;

    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * 1099511628211u;
    return hash;
}

static void forget_deaths(struct rb_lifetime_row *row)
{
    row->deaths = 0;
    row->oldest_ms = 0;
}

void rb_lifetime_died(struct rb_lifetimes *lifetimes, const char *key, const char *video_id, int64_t age_ms)
{
    uint64_t video = hash_of(video_id);
    struct rb_lifetime_row *row;

    if (age_ms < RB_LIFETIME_MIN_MS)
        return;
    row = find_row(lifetimes, key);
    if (row->ms != 0 && age_ms >= row->ms)
        return; /* as was to be expected */
    for (unsigned i = 0; i < row->deaths; i++)
        if (row->dead[i] == video)
            return;
    row->dead[row->deaths++] = video;
    row->oldest_ms = RB_MAX(row->oldest_ms, age_ms);
    if (row->deaths < RB_LIFETIME_DEATHS)
        return;
    row->ms = row->oldest_ms;
    forget_deaths(row);
}

void rb_lifetime_lived(struct rb_lifetimes *lifetimes, const char *key, int64_t age_ms)
{
    struct rb_lifetime_row *row = find_row(lifetimes, key);

    if (row->ms != 0 && age_ms > row->ms)
        row->ms = age_ms;
    if (age_ms > row->oldest_ms)
        forget_deaths(row);
}

int64_t rb_lifetime_of(struct rb_lifetimes *lifetimes, const char *key)
{
    int64_t ms = find_row(lifetimes, key)->ms;

    return ms != 0 ? ms : RB_NO_LONG;
}

/*
 * usage_internal.h — what the files of usage share.
 *
 * Way:  job -> [usage] -> Postgres
 */
#pragma once

#include "consumer/usage.h"

#define USAGE_MAGIC 0x55534147u

struct rb_usage {
    uint32_t magic;
    struct rb_usage_config config;
    char *store; /* owned, as is the bucket; the config's point here */
    char *bucket;
    struct rb_timer *timer;
    struct rb_pg_query *query; /* for the sums, on its way */
    enum rb_marks_level level;
    int64_t said_ms; /* when the sums were last logged; 0: never */
    bool failing;    /* the last look at the sums has failed, and that was said */
};

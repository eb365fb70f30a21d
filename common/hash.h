/*
 * hash.h — FNV-1a, 64 bits: puts short keys into buckets, and tells one version of something from another.
 *
 * Way:  common
 *
 * It withstands nobody who chooses keys. Where strangers do, begin with a seed that they do not know.
 */
#pragma once

#include "common/base.h"

#define RB_HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/*
 * Go on hashing.
 *
 * Takes:  hash, RB_HASH_BEGIN, a seed, or what the bytes before these gave; bytes, borrowed for the call.
 * Gives:  the hash of all so far.
 * Loop:   pure, any thread.
 */
static inline uint64_t rb_hash_more(uint64_t hash, const void *bytes, size_t count)
{
    const uint8_t *byte = bytes;

    for (size_t i = 0; i < count; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/*
 * Hash a text, without its NUL.
 *
 * Loop:   pure, any thread.
 */
static inline uint64_t rb_hash_text(const char *text)
{
    return rb_hash_more(RB_HASH_BEGIN, text, strlen(text));
}

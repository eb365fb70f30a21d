/*
 * heap.h — what comes first, out of many: a binary heap whose nodes are parts of what they order.
 *
 * Way:  job -> lines -> [heap]
 */
#pragma once

#include "common/base.h"

/* Part of its owner; zeroed before its first use. */
struct rb_heap_node {
    int64_t rank; /* the lowest is first; of equal ones the one that came first */
    uint64_t ticket;
    size_t at;   /* its place plus one; 0 while it is in no heap */
    void *owner; /* borrowed */
};

/* Zeroed it is empty. */
struct rb_heap {
    struct rb_heap_node **nodes; /* owned; the nodes are borrowed */
    size_t count;
    size_t room;
    uint64_t tickets;
};

/*
 * Put a node in.
 *
 * Takes:  node, with rank and owner set, in no heap; borrowed until it is taken out.
 * Loop:   pure, any thread.
 */
void rb_heap_add(struct rb_heap *heap, struct rb_heap_node *node);

/*
 * Take a node out, wherever it is; nothing for one that is in none.
 *
 * Loop:   pure, any thread.
 */
void rb_heap_remove(struct rb_heap *heap, struct rb_heap_node *node);

/*
 * The first one.
 *
 * Gives:  borrowed, as it was; NULL when there is none.
 * Loop:   pure, any thread.
 */
struct rb_heap_node *rb_heap_first(const struct rb_heap *heap);

/*
 * Give back the memory; the heap is empty.
 *
 * Loop:   pure, any thread.
 */
void rb_heap_done(struct rb_heap *heap);

/*
 * The invariant as code; aborts when it is broken.
 *
 * Loop:   pure, any thread.
 */
void rb_heap_check(const struct rb_heap *heap);

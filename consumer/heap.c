/*
 * heap.c — what comes first, out of many.
 *
 * Way:  job -> lines -> [heap]
 */
#include "consumer/heap.h"

static bool is_before(const struct rb_heap_node *a, const struct rb_heap_node *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->ticket < b->ticket;
}

static void put_at(struct rb_heap *heap, size_t index, struct rb_heap_node *node)
{
    heap->nodes[index] = node;
    node->at = index + 1;
}

static void move_up(struct rb_heap *heap, size_t index, struct rb_heap_node *node)
{
    while (index > 0 && is_before(node, heap->nodes[(index - 1) / 2])) {
        put_at(heap, index, heap->nodes[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put_at(heap, index, node);
}

static void move_down(struct rb_heap *heap, size_t index, struct rb_heap_node *node)
{
    for (;;) {
        size_t child = 2 * index + 1;

        if (child + 1 < heap->count && is_before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (child >= heap->count || !is_before(heap->nodes[child], node))
            break;
        put_at(heap, index, heap->nodes[child]);
        index = child;
    }
    put_at(heap, index, node);
}

void rb_heap_add(struct rb_heap *heap, struct rb_heap_node *node)
{
    RB_ASSERT(node->at == 0);
    if (heap->count == heap->room) {
        heap->room = RB_MAX(heap->room * 2, 16);
        heap->nodes = rb_xrealloc(heap->nodes, heap->room * sizeof(struct rb_heap_node *));
    }
    node->ticket = heap->tickets++;
    move_up(heap, heap->count++, node);
}

void rb_heap_remove(struct rb_heap *heap, struct rb_heap_node *node)
{
    size_t index = node->at - 1;
    struct rb_heap_node *last;

    if (node->at == 0)
        return;
    RB_ASSERT(index < heap->count && heap->nodes[index] == node);
    node->at = 0;
    last = heap->nodes[--heap->count];
    if (last == node)
        return;
    move_down(heap, index, last);
    move_up(heap, last->at - 1, last);
}

struct rb_heap_node *rb_heap_first(const struct rb_heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}

void rb_heap_done(struct rb_heap *heap)
{
    for (size_t i = 0; i < heap->count; i++)
        heap->nodes[i]->at = 0;
    free(heap->nodes);
    *heap = (struct rb_heap){0};
}

void rb_heap_check(const struct rb_heap *heap)
{
    RB_ASSERT(heap->count <= heap->room);
    for (size_t i = 0; i < heap->count; i++) {
        RB_ASSERT(heap->nodes[i]->at == i + 1);
        RB_ASSERT(i == 0 || !is_before(heap->nodes[i], heap->nodes[(i - 1) / 2]));
    }
}

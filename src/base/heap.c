/* A pairing heap; see heap.h. */
#include "base/heap.h"

#include <stddef.h>

static bool heap_before(const struct vr_heap_node *a, const struct vr_heap_node *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

/* Join two heaps (either may be NULL), whose roots have no siblings. */
static struct vr_heap_node *heap_meld(struct vr_heap_node *a, struct vr_heap_node *b)
{
    if (!a || !b) {
        return a ? a : b;
    }
    if (heap_before(b, a)) {
        struct vr_heap_node *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->sibling = a->child;
    if (a->child) {
        a->child->prev = b;
    }
    a->child = b;
    return a;
}

/* Join the children of a node that goes: in pairs left to right, then the pairs right to left. */
static struct vr_heap_node *heap_pairs(struct vr_heap_node *child)
{
    struct vr_heap_node *pairs = NULL, *heap = NULL;
    while (child) {
        struct vr_heap_node *a = child, *b = a->sibling;
        child = b ? b->sibling : NULL;
        a->sibling = a->prev = NULL;
        if (b) {
            b->sibling = b->prev = NULL;
        }
        a = heap_meld(a, b);
        a->sibling = pairs; /* a stack, linked by the field that a root does not use */
        pairs = a;
    }
    while (pairs) {
        struct vr_heap_node *a = pairs;
        pairs = a->sibling;
        a->sibling = NULL;
        heap = heap_meld(heap, a);
    }
    return heap;
}

void vr_heap_remove(struct vr_heap *heap, struct vr_heap_node *t)
{
    if (t == heap->first) {
        heap->first = heap_pairs(t->child);
    } else {
        if (t->prev->child == t) {
            t->prev->child = t->sibling;
        } else {
            t->prev->sibling = t->sibling;
        }
        if (t->sibling) {
            t->sibling->prev = t->prev;
        }
        heap->first = heap_meld(heap->first, heap_pairs(t->child));
    }
    t->child = t->sibling = t->prev = NULL;
    t->queued = false;
}

void vr_heap_add_ranked(struct vr_heap *heap, struct vr_heap_node *node, uint64_t at, uint64_t rank)
{
    node->queued = true;
    node->at = at;
    node->seq = rank;
    heap->first = heap_meld(heap->first, node);
}

void vr_heap_add(struct vr_heap *heap, struct vr_heap_node *node, uint64_t at)
{
    vr_heap_add_ranked(heap, node, at, heap->next_seq++);
}

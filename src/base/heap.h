/*
 * What waits for a moment, by that moment: a pairing heap (Fredman, Sedgewick, Sleator, Tarjan
 * 1986) of nodes that live in what waits, so that waiting never needs memory. Not thread-safe.
 */
#ifndef VR_BASE_HEAP_H
#define VR_BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

struct vr_heap_node {
    uint64_t at;
    uint64_t seq; /* equal moments: as they were added, or were ranked */
    bool queued;
    struct vr_heap_node *child, *sibling;
    struct vr_heap_node *prev; /* the elder sibling, or the parent of an eldest */
};

/* All zero: empty. */
struct vr_heap {
    struct vr_heap_node *first; /* the earliest; NULL: none */
    uint64_t next_seq;
};

void vr_heap_add(struct vr_heap *heap, struct vr_heap_node *node, uint64_t at); /* not queued */
/* Equal moments: by @rank. For all nodes of a heap, or none. */
void vr_heap_add_ranked(struct vr_heap *heap, struct vr_heap_node *node, uint64_t at,
                        uint64_t rank);
void vr_heap_remove(struct vr_heap *heap, struct vr_heap_node *node); /* queued */

#endif

/* A mapping whose pages are missing, and fault handlers that open them or refuse. */
#ifndef VR_TEST_FAULT_BOX_H
#define VR_TEST_FAULT_BOX_H

#include "test.h"

#include "vireo/host_fault.h"
#include "vireo/host_memory.h"
#include <stdatomic.h>

enum { PAGE = 4096 };

struct box {
    struct vireo_map map;
    atomic_uint asked, mended;
    unsigned order;
    struct vireo_fault last;
};

static inline void box_make(struct box *b)
{
    struct vireo_map_opts o = {.prot = VIREO_PROT_NONE, .node = VIREO_NODE_ANY};
    *b = (struct box){.order = 0};
    assert_int_equal(vireo_map_create(64 * PAGE, &o, &b->map, NULL), 0);
}

/* Open the page that was missing. */
static inline bool mend(void *opaque, struct vireo_fault *fault)
{
    struct box *b = opaque;
    uint8_t *at = fault->hva;
    atomic_fetch_add(&b->asked, 1);
    if (at < b->map.hva || at >= b->map.hva + b->map.len) {
        return false;
    }
    b->last = *fault;
    size_t off = (size_t)(at - b->map.hva) / PAGE * PAGE;
    atomic_fetch_add(&b->mended, 1);
    return vireo_map_protect(&b->map, off, PAGE, VIREO_PROT_READ | VIREO_PROT_WRITE, NULL) == 0;
}

static inline bool refuse(void *opaque, struct vireo_fault *fault)
{
    struct box *b = opaque;
    (void)fault;
    b->order = atomic_fetch_add(&b->asked, 1) + 1;
    return false;
}

#endif

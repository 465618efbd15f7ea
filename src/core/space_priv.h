/* What the files of the address space share; for nobody else. */
#ifndef VR_CORE_SPACE_PRIV_H
#define VR_CORE_SPACE_PRIV_H

#include "core/space.h"
#include "platform/lock.h"

struct vr_listener {
    void (*fn)(void *);
    vr_code_written_fn code_fn;
    void *opaque;
};

struct vr_space {
    char name[32];
    uint64_t limit; /* last address */
    struct vr_mutex lock;
    struct vr_region *regions;
    struct vr_view *view;
    _Atomic uint64_t gen;
    /* Listeners run under the lock of their kind and never under @lock, so they may look at the
     * map. */
    struct vr_mutex change_lock, code_lock;
    struct vr_listener on_change[VR_SPACE_LISTENERS], on_code[VR_SPACE_LISTENERS];
    unsigned change_count, code_count;
};

#endif

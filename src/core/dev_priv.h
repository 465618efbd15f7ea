/* What the files of the device model share; for nobody else. */
#ifndef VR_CORE_DEV_PRIV_H
#define VR_CORE_DEV_PRIV_H

#include "core/dev.h"
#include <stdatomic.h>

/* A register table, ready for look-ups. Arrays may interleave, so a register that starts before an
 * offset need not be the last such one; ends[i] says how far registers 0..i reach, and stops the
 * search. */
struct vr_reg_index {
    unsigned count;
    uint64_t *ends; /* owned */
};

struct vr_dev_priv {
    atomic_uint holds; /* the owner, and each mapped region */
    bool dead;         /* destroyed; late readers of an old view get zeroes. Under the lock */
    struct vr_space *space[VR_DEV_WINDOWS];    /* where each window is mapped */
    struct vr_region *region[VR_DEV_WINDOWS];  /* and how; freed by its last view */
    struct vr_region *overlay[VR_DEV_WINDOWS]; /* what is laid over it; likewise */
    struct vr_reg_index index[VR_DEV_WINDOWS];
};

/* Check @win's register table (a bad one is our bug) and index it. -ENOMEM. */
int vr_reg_index_init(struct vr_reg_index *ix, const struct vr_window *win, struct vr_error *err);
void vr_reg_index_fini(struct vr_reg_index *ix);

/* Set CONFIG fields from "key=value,key,...". -EINVAL, -ERANGE. */
int vr_dev_parse_opts(struct vr_dev *dev, const char *opts, struct vr_error *err);

#endif

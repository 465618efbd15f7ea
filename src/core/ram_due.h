/*
 * Guest RAM whose contents are still to be checked: a view of a snapshot's file, of a machine that
 * runs already.
 *
 * RAM is divided into parts. Each is checked, by a thread of its own at low priority, or by
 * whoever needs it before that thread came to it: a CPU that is about to note where a page is, a
 * device that is about to reach it (vr_ram_ready), who do not wait for that thread. So no byte is
 * used before it was checked, and none is waited for that nobody uses. A part that is bad stays so:
 * for CPUs and devices there is no memory at that place (an access fault, -EFAULT).
 *
 * What is checked is where the contents come from, not RAM itself: the guest may write a part
 * before it was checked.
 */
#ifndef VR_CORE_RAM_DUE_H
#define VR_CORE_RAM_DUE_H

#include "core/space.h"

struct vr_ram_due_how {
    size_t count;        /* of parts */
    const uint64_t *end; /* of each, in order; the last one is RAM's length. Copied */
    /* Is part @i what it should be? Several threads at once, with locks of devices held. */
    int (*check)(void *opaque, size_t i, struct vr_error *err);
    void (*bad)(void *opaque, const struct vr_error *err); /* a part is not; at most once */
    /* No more calls: all were checked, or RAM is being destroyed. On the thread, or the caller's.
     */
    void (*done)(void *opaque);
    void *opaque;
};

/* From now on @ram's contents are due, and checked when they are needed; nobody uses it yet.
 * -ENOMEM: then nothing is called. */
int vr_ram_due_begin(struct vr_ram *ram, const struct vr_ram_due_how *how,
                     struct vr_error *err) VR_MUST;
/* Check the rest in the background. Errors are the host's. */
int vr_ram_due_run(struct vr_ram *ram, struct vr_error *err) VR_MUST;
/* Wait until all of @ram was checked, and help. -EPROTO: some of it is bad. */
int vr_ram_due_all(struct vr_ram *ram, struct vr_error *err) VR_MUST;
/* For machine.c and ram.c: nobody uses @ram any more. Checks are over when it returns; once more is
 * fine. */
void vr_ram_due_destroy(struct vr_ram *ram);

#endif

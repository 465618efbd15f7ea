/*
 * A set of descriptors to wait for that is itself one descriptor: it reads as ready while a member
 * is. Unlike uv_poll it leaves the members' flags alone, so descriptors that are shared with other
 * processes (standard input) can be waited for without making them non-blocking for all.
 * Level-triggered. One thread at a time.
 */
#ifndef VR_PLATFORM_POLLSET_H
#define VR_PLATFORM_POLLSET_H

#include "base/err.h"

struct vr_pollset;

enum {
    VR_POLL_IN = 1 << 0,
    VR_POLL_OUT = 1 << 1,
    VR_POLL_PRI = 1 << 2,
    VR_POLL_ERR = 1 << 3, /* ERR and HUP are always reported for members */
    VR_POLL_HUP = 1 << 4,
};

struct vr_pollset_event {
    int fd;
    unsigned events;
};

int vr_pollset_create(struct vr_pollset **ret_set, struct vr_error *err) VR_MUST;
void vr_pollset_destroy(struct vr_pollset *set); /* NULL is fine; members stay open */
int vr_pollset_fd(const struct vr_pollset *set);
/* Wait for @events of @fd from now on. -EPERM: this kind is always ready (files). */
int vr_pollset_add(struct vr_pollset *set, int fd, unsigned events) VR_MUST;
/* No member, or closed meanwhile: nothing happens. */
void vr_pollset_remove(struct vr_pollset *set, int fd);
/* Who is ready now, at most @max; never waits. */
unsigned vr_pollset_ready(struct vr_pollset *set, struct vr_pollset_event *ret_events,
                          unsigned max);

#endif

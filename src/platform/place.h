/* Where threads run, and before whom: processors and priorities of the calling thread. */
#ifndef VR_PLATFORM_PLACE_H
#define VR_PLATFORM_PLACE_H

#include "base/err.h"
#include "platform/cpuset.h"
#include "vireo/platform.h"

/* Run the calling thread on processors of @set only, numbers of any size. -EINVAL: none of them is
 * online and allowed to this process. */
int vr_place_self(const struct vr_cpuset *set, struct vr_error *err) VR_MUST;
int vr_place_self_on(uint32_t cpu, struct vr_error *err) VR_MUST;
/* Processors that the calling thread may run on. -ENOMEM and what the host says. */
int vr_place_get(struct vr_cpuset *ret_set, struct vr_error *err) VR_MUST;
/* The usable processors of one kind; of hosts whose processors are alike: all for any kind.
 * -ENODEV: none; -ENOMEM. */
int vr_place_of_kind(enum vireo_core_kind kind, struct vr_cpuset *ret_set,
                     struct vr_error *err) VR_MUST;

/* How threads share the host's processors. */
enum vr_place_policy {
    VR_PLACE_NONE,    /* wherever the host likes */
    VR_PLACE_LOCAL,   /* all on one NUMA node, the one with most usable processors */
    VR_PLACE_SPREAD,  /* one on each core, packages in turn, before cores are shared */
    VR_PLACE_COMPACT, /* neighbours: fill a core's threads, then its package */
};
/* The processors for thread @index of @count under @policy; more threads than processors share.
 * From @host's usable processors. -EINVAL: @index; -ENOMEM. */
int vr_place_plan(const struct vireo_platform *host, enum vr_place_policy policy, uint32_t index,
                  uint32_t count, struct vr_cpuset *ret_set, struct vr_error *err) VR_MUST;

enum vr_priority { VR_PRIORITY_LOW, VR_PRIORITY_NORMAL, VR_PRIORITY_HIGH, VR_PRIORITY_REALTIME };
/* Of the calling thread. High and realtime need a right: -EPERM, -EACCES, and the message says
 * which; the thread then stays as it was. */
int vr_priority_self(enum vr_priority priority, struct vr_error *err) VR_MUST;

#endif

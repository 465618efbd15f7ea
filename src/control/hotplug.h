/*
 * The manager of devices that come and go while a machine runs (include/vireo/vm.h tells users).
 *
 * A device is checked, gets its host end, is made and plugged in, and is noted among the machine's
 * settings, so that snapshots know it. One that shall leave is asked for; a thread of the manager's
 * own waits for guests' answers, or for the time to run out, and takes out what was let go.
 */
#ifndef VR_CONTROL_HOTPLUG_H
#define VR_CONTROL_HOTPLUG_H

#include "control/vm_priv.h"

struct vr_hotplug;

/* For @vm, whose board is there. -ENOMEM, -EAGAIN. */
int vr_hotplug_create(struct vireo_vm *vm, struct vr_hotplug **ret_hotplug,
                      struct vr_error *err) VR_MUST;
/* Before the board goes; NULL is fine. */
void vr_hotplug_destroy(struct vr_hotplug *hotplug);
/* No device comes or goes between the two: what is saved and the settings it goes with are of one
 * moment. They may wait; not on the I/O thread. */
void vr_hotplug_hold(struct vr_hotplug *hotplug);
void vr_hotplug_release(struct vr_hotplug *hotplug);

/* Ask the guest to let device @id go, within @timeout_ns of its time, and wait or let events tell:
 * vireo_vm_device_del. */
#define VR_HOTPLUG_NS UINT64_C(60000000000) /* who does not say how long */
int vr_hotplug_ask(struct vr_hotplug *hotplug, const char *id, uint64_t timeout_ns, bool wait,
                   struct vr_error *err) VR_MUST;
/* A host end for devices to come, by the name @name, as @text of the kind's key has it:
 * "path=FILE", "user,...", a SPEC. -EEXIST, -EINVAL, and what opening it may say. */
int vr_hotplug_end_add(struct vr_hotplug *hotplug, enum vr_virt_end_kind kind, const char *name,
                       const char *text, struct vr_error *err) VR_MUST;
/* -ENOENT, -EBUSY. */
int vr_hotplug_end_del(struct vr_hotplug *hotplug, enum vr_virt_end_kind kind, const char *name,
                       struct vr_error *err) VR_MUST;

#endif

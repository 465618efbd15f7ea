/* Building plans: what vireo_plan_run does and undoes. */
#ifndef VR_PLATFORM_PCI_PLAN_H
#define VR_PLATFORM_PCI_PLAN_H

#include "platform/linux/rtnetlink.h"
#include "platform/sysfs.h"
#include "vireo/host_pci.h"

/* What to write when a later step fails; the last step's undo comes first. */
struct vr_plan_undo {
    char path[160]; /* "": nothing */
    char text[64];
};

enum { VR_PLAN_UNDOS = 2 };

/* VIREO_STEP_VF: one setting of a virtual function. */
struct vr_plan_vf {
    uint32_t ifindex; /* of its physical function */
    unsigned index, bit;
    struct vireo_vf_settings want, was;
};

struct vr_plan_entry {
    struct vireo_step step;
    struct vr_plan_undo undo[VR_PLAN_UNDOS]; /* in order */
    struct vr_plan_vf vf;
};

struct vireo_plan {
    struct vr_sysfs fs;
    struct vr_rtnl rtnl; /* steps of kind VF */
    struct vr_plan_entry *entries;
    size_t count, room;
    bool no_memory; /* an entry could not be added */
};

/* An empty plan for the host behind @fs. -ENOMEM, -EMFILE. */
int vr_plan_create(const struct vr_sysfs *fs, struct vireo_plan **ret_plan,
                   struct vr_error *err) VR_MUST;
/* Add a step of the device at @addr: @attr below its folder. The entry is valid until the next
 * one; NULL: no memory, remembered until vr_plan_finish. */
struct vr_plan_entry *vr_plan_add(struct vireo_plan *plan, enum vireo_step_kind kind,
                                  struct vireo_pci_addr addr, const char *attr, const char *text,
                                  const char *why);
/* The plan into *ret_plan, or what went wrong while it was made; then it is destroyed. */
int vr_plan_finish(struct vireo_plan *plan, int code, struct vireo_plan **ret_plan,
                   struct vr_error *err) VR_MUST;
/* Set it and read it back; put it back as it was (false: that failed). */
int vr_plan_vf_run(const struct vireo_plan *plan, const struct vr_plan_vf *vf,
                   struct vr_error *err) VR_MUST;
bool vr_plan_vf_undo(const struct vireo_plan *plan, const struct vr_plan_vf *vf);

#endif

/* Device classes that programs bring along (vireo/device.h): a PCI Express function whose registers
 * are theirs. */
#ifndef VR_DEV_PCI_OWN_H
#define VR_DEV_PCI_OWN_H

#include "core/dev.h"
#include "vireo/device.h"

/* A class, counted: whoever keeps a pointer to it holds it. */
struct vr_own_class;

/* Checks and copies @given; held once. -EINVAL, -ENOMEM. */
int vr_own_class_create(const struct vireo_function_class *given, void *opaque,
                        struct vr_own_class **ret_own, struct vr_error *err) VR_MUST;
void vr_own_class_hold(struct vr_own_class *own);
void vr_own_class_release(struct vr_own_class *own); /* the last one frees; NULL is fine */
const struct vr_dev_class *vr_own_class_of(const struct vr_own_class *own);

#endif

/* What there is to build with: machines, device classes, and what a file could be to them. */
#ifndef VR_BOARD_CATALOG_H
#define VR_BOARD_CATALOG_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct vireo_function_class;
struct vr_dev_class;
struct vr_own_class;

/* Device class @i in the order of dev/list.h; NULL past the end. */
const struct vr_dev_class *vr_catalog_class(unsigned i);
const struct vr_dev_class *vr_catalog_find_class(const char *name); /* or NULL */

/* A class of the program's own (vireo/device.h), counted: held once by who made it. -EINVAL,
 * -EEXIST: one of ours is called so, -ENOMEM. */
int vr_catalog_own_create(const struct vireo_function_class *given, void *opaque,
                          struct vr_own_class **ret_own, struct vr_error *err) VR_MUST;
void vr_catalog_own_hold(struct vr_own_class *own);
void vr_catalog_own_release(struct vr_own_class *own); /* NULL is fine */
const char *vr_catalog_own_name(const struct vr_own_class *own);

struct vr_catalog_machine {
    const char *name, *arch, *help;
    unsigned cpus_max, disks_max, nets_max, slots; /* slots: virtio devices in all */
    uint64_t ram_min_bytes, ram_gpa;
};
const struct vr_catalog_machine *vr_catalog_machine(unsigned i); /* NULL past the end */

/* Does the JIT make code for this host's processor? 0 or -ENOTSUP and why not. */
int vr_catalog_jit(struct vr_error *err) VR_MUST;

/* What `vireo run FILE` makes of a file. */
enum vr_catalog_use { VR_USE_KERNEL, VR_USE_DISK, VR_USE_ROOT };

/* Look at @path's first bytes. *ret_what: "a RISC-V Linux Image", static. A message that says what
 * it looks like and what to do instead: -ENOTSUP (formats and architectures that do not
 * work), -EINVAL (empty, nothing known); -ENOENT, -EACCES, -EIO, ... */
int vr_catalog_identify(const char *path, enum vr_catalog_use *ret_use, const char **ret_what,
                        struct vr_error *err) VR_MUST;

#endif

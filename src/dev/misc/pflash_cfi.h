/*
 * The board's side of the CFI flash: attach the contents, map it.
 *
 * The contents are memory that the board fills (firmware images) and keeps (a file of variables):
 * the device changes it as the guest programs and erases. With option `exec`, code can run from it
 * and reads are as fast as memory while it is in its read-array mode; without, every access is the
 * device's, which suits flash that holds variables.
 */
#ifndef VR_DEV_MISC_PFLASH_CFI_H
#define VR_DEV_MISC_PFLASH_CFI_H

#include "core/dev.h"

enum {
    VR_PFLASH_LEN = 32 << 20,
    VR_PFLASH_SECTOR_LEN = 256 << 10,
    VR_PFLASH_SECTORS = VR_PFLASH_LEN / VR_PFLASH_SECTOR_LEN,
};

extern const struct vr_dev_class vr_pflash_cfi_class;

/* Use [off, off + VR_PFLASH_LEN) of @ram, page-aligned, as the contents; erased flash is all ones.
 * Before mapping. @ram must outlive the device. */
void vr_pflash_attach(struct vr_dev *dev, struct vr_ram *ram, uint64_t off);
int vr_pflash_map(struct vr_dev *dev, struct vr_space *space, uint64_t gpa,
                  struct vr_error *err) VR_MUST;
/* fn(opaque) is called when the contents change for the first time since vr_pflash_take: under the
 * device's lock, so it only notes it. */
void vr_pflash_on_change(struct vr_dev *dev, void (*fn)(void *opaque), void *opaque);

/* Sectors that have changed, as they were at one moment. */
struct vr_pflash_changes {
    unsigned count;
    uint16_t sector[VR_PFLASH_SECTORS]; /* their numbers, ascending */
    uint8_t *data;                      /* VR_PFLASH_SECTOR_LEN bytes each; the caller frees it */
};
/* The sectors that changed since the contents were attached, or since this was asked last. -ENOMEM:
 * nothing is forgotten. The lock is not held. */
int vr_pflash_take(struct vr_dev *dev, struct vr_pflash_changes *ret_changes) VR_MUST;
/* They could not be kept: the next vr_pflash_take gives these sectors again; on_change is not
 * called for that. */
void vr_pflash_untake(struct vr_dev *dev, const struct vr_pflash_changes *changes);

#endif

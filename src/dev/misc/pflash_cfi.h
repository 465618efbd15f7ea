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

enum { VR_PFLASH_LEN = 32 << 20, VR_PFLASH_SECTOR_LEN = 256 << 10 };

extern const struct vr_dev_class vr_pflash_cfi_class;

/* Use [off, off + VR_PFLASH_LEN) of @ram, page-aligned, as the contents; erased flash is all ones.
 * Before mapping. @ram must outlive the device. */
void vr_pflash_attach(struct vr_dev *dev, struct vr_ram *ram, uint64_t off);
int vr_pflash_map(struct vr_dev *dev, struct vr_space *space, uint64_t gpa,
                  struct vr_error *err) VR_MUST;
/* Has the guest changed the contents since they were attached, or since this was asked last? */
bool vr_pflash_changed(struct vr_dev *dev);

#endif

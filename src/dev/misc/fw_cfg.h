/*
 * The board's side of fw_cfg: what firmware can read.
 *
 * Items are added before the machine starts, in an order that is the same at each start (a
 * file's key is its place); they are configuration, not state.
 */
#ifndef VR_DEV_MISC_FW_CFG_H
#define VR_DEV_MISC_FW_CFG_H

#include "core/dev.h"

enum { VR_FW_CFG_FILES = 64, VR_FW_CFG_NAME_LEN = 55 };

/* Numbered items of the specification that a board may want to fill. */
enum {
    VR_FW_CFG_UUID = 0x02,
    VR_FW_CFG_RAM_SIZE = 0x03,
    VR_FW_CFG_NB_CPUS = 0x05,
    VR_FW_CFG_KERNEL_SIZE = 0x08,
    VR_FW_CFG_INITRD_SIZE = 0x0b,
    VR_FW_CFG_BOOT_MENU = 0x0e,
    VR_FW_CFG_MAX_CPUS = 0x0f,
    VR_FW_CFG_KERNEL_DATA = 0x11,
    VR_FW_CFG_INITRD_DATA = 0x12,
    VR_FW_CFG_CMDLINE_SIZE = 0x14,
    VR_FW_CFG_CMDLINE_DATA = 0x15,
    VR_FW_CFG_SETUP_SIZE = 0x17,
    VR_FW_CFG_SETUP_DATA = 0x18,
    VR_FW_CFG_KEYS = 0x19, /* numbered items lie below; the file directory is next */
};

extern const struct vr_dev_class vr_fw_cfg_class;

/* Add a file of @len bytes, which are copied. -EINVAL: no name, or a longer one than
 * VR_FW_CFG_NAME_LEN; -EFBIG: 4 GiB or more; -EEXIST: the name is taken; -ENOSPC: VR_FW_CFG_FILES
 * are there; -ENOMEM. */
int vr_fw_cfg_add(struct vr_dev *dev, const char *name, const void *data, size_t len,
                  struct vr_error *err) VR_MUST;
/* The same without a copy, for kernels and the like: @data must outlive the device, unchanged. */
int vr_fw_cfg_add_ref(struct vr_dev *dev, const char *name, const void *data, size_t len,
                      struct vr_error *err) VR_MUST;
/* Set the numbered item @key below VR_FW_CFG_KEYS; signature (0) and features (1) are taken.
 * Failures as above. */
int vr_fw_cfg_set(struct vr_dev *dev, unsigned key, const void *data, size_t len,
                  struct vr_error *err) VR_MUST;
int vr_fw_cfg_set_ref(struct vr_dev *dev, unsigned key, const void *data, size_t len,
                      struct vr_error *err) VR_MUST;
/* A numbered item that holds a little-endian number. */
int vr_fw_cfg_set_u32(struct vr_dev *dev, unsigned key, uint32_t val, struct vr_error *err) VR_MUST;

#endif

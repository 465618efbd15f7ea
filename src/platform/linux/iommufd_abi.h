/*
 * The part of the kernel's iommufd interface that is used here, for hosts whose headers are older
 * than it (Debian 12's are of 6.1): Documentation/userspace-api/iommufd.rst and the ioctl numbers
 * 0x80 and up of type ';', and "VFIO Device cdev" in Documentation/driver-api/vfio.rst, ioctls
 * 118 and up of the same type. Each structure begins with its own size.
 */
#ifndef VR_PLATFORM_IOMMUFD_ABI_H
#define VR_PLATFORM_IOMMUFD_ABI_H

#include <linux/vfio.h>
#include <stdint.h>

/* On a device's file: tie it to an iommufd (flags 0), then to an address space of that. */
#define VR_VFIO_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
struct vr_vfio_bind_iommufd {
    uint32_t argsz, flags;
    int32_t iommufd;
    uint32_t out_devid;
};
#define VR_VFIO_ATTACH_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
struct vr_vfio_attach_pt {
    uint32_t argsz, flags;
    uint32_t pt_id; /* in: the address space; out: the page table that it got */
};
/* Flags of the hot reset info of a device file: its first words are device ids, not groups. */
enum { VR_VFIO_HOT_RESET_DEV_ID = 1, VR_VFIO_HOT_RESET_OWNED = 2 };

#define VR_IOAS_ALLOC _IO(VFIO_TYPE, 0x81)
struct vr_ioas_alloc {
    uint32_t size, flags, out_ioas_id;
};
#define VR_IOAS_IOVA_RANGES _IO(VFIO_TYPE, 0x84)
struct vr_ioas_iova_ranges {
    uint32_t size, ioas_id;
    uint32_t num_iovas; /* in: room; out: how many there are. More than the room: EMSGSIZE */
    uint32_t reserved;
    uint64_t allowed_iovas; /* address of struct vr_ioas_range[] */
    uint64_t out_iova_alignment;
};
struct vr_ioas_range {
    uint64_t start, last;
};
#define VR_IOAS_MAP _IO(VFIO_TYPE, 0x85)
enum { VR_IOAS_MAP_FIXED = 1, VR_IOAS_MAP_WRITEABLE = 2, VR_IOAS_MAP_READABLE = 4 };
struct vr_ioas_map {
    uint32_t size, flags, ioas_id, reserved;
    uint64_t user_va, length, iova;
};
#define VR_IOAS_UNMAP _IO(VFIO_TYPE, 0x86)
struct vr_ioas_unmap {
    uint32_t size, ioas_id;
    uint64_t iova;
    uint64_t length; /* out: bytes that were unmapped */
};

#endif

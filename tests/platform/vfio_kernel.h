/* A kernel with VFIO, made up: it hands out one PCI device, 0000:01:10.0 of group 10, to what
 * drives it through struct vr_vfio_sys, and can be made to lie. */
#ifndef VR_TEST_VFIO_KERNEL_H
#define VR_TEST_VFIO_KERNEL_H

#include "platform/linux/vfio_priv.h"
#include "tree.h"

#define KERNEL_MDEV "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001" /* in group 10, if the tree says so */

enum { KERNEL_FDS = 32, KERNEL_MAPS = 32, KERNEL_BAR = 0x8000, KERNEL_MSIX = 5 };

struct kernel {
    struct tree tree;
    /* What it is like; set before it is used. */
    bool not_viable, no_pci, no_reset, no_ranges, loses_dma, no_req;
    /* Called behind each honest answer to an ioctl on a file of that kind. */
    void (*damage)(struct kernel *k, char kind, unsigned long request, void *arg);
    unsigned seed;
    int fail_at; /* the call that fails with @fail_code, from 1; 0: none */
    int fail_code;
    bool gone; /* the device: reads give nothing */
    /* What it saw. */
    int calls;
    unsigned open_fds;
    char kinds[KERNEL_FDS]; /* 0, 'c'ontainer, 'g'roup, 'd'evice, 'i'ommufd */
    bool container_set, iommu_set, bound, attached;
    uint8_t config[256];
    struct {
        uint64_t iova, len;
    } maps[KERNEL_MAPS];
    unsigned map_count;
    int irq_fds[5]; /* of vector 0 of each kind, -1 */
    int unmask_fd;
    bool masked;
    unsigned resets, hot_resets, unset;
};

/* @k is zeroed. The tree is that of q35 with the device bound to vfio-pci. */
void kernel_make(struct kernel *k);
/* Fails the test when something is still open. */
void kernel_destroy(struct kernel *k);
struct vr_vfio_sys kernel_sys(struct kernel *k);

#endif

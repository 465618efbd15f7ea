/* The smallest virtio device: writes back what it reads. Two queues; queue 1 keeps its chains until
 * echo_release. For tests of rings and transport. */
#ifndef VR_TEST_ECHO_DEVICE_H
#define VR_TEST_ECHO_DEVICE_H

#include "dev/virtio/class.h"

enum { ECHO_SIZE = 64, ECHO_FEATURE = 1, ECHO_NEEDS_FEATURE = 2, ECHO_KEPT = 128 };

struct echo {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[2];
    uint32_t word; /* in the configuration space */
    struct vr_virtq_tag kept[ECHO_KEPT];
    unsigned kept_count, readies, resets, stops;
    struct vr_chain last; /* as popped */
    uint64_t unpop;       /* this many pops are taken back, once */
    struct vr_virtio_pci pci;
};
#define ECHO(d) ((struct echo *)(d))

extern const struct vr_dev_class vr_virtio_echo_mmio_class, vr_virtio_echo_pci_class;

/* Give back what queue 1 keeps: in order, or the last first. */
void echo_release(struct vr_dev *dev, bool backwards);

#endif

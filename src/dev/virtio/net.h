/* The board's side of the virtio network card. */
#ifndef VR_DEV_VIRTIO_NET_H
#define VR_DEV_VIRTIO_NET_H

#include "core/dev.h"

struct vr_net;

extern const struct vr_dev_class vr_virtio_net_mmio_class, vr_virtio_net_pci_class;

/* Plug the cable in (NULL: out). With the loop's thread quiet, or from it. @net must stay open
 * until it is unplugged or the device is destroyed. */
void vr_virtio_net_attach(struct vr_dev *dev, struct vr_net *net);

struct vr_virtio_net_stats {
    uint64_t tx_frames, tx_bytes, tx_bad; /* bad: refused, not sent */
    uint64_t tx_summed;                   /* checksums completed for the guest */
    uint64_t tx_large, tx_segments;       /* large packets, and into how many they were cut here */
    uint64_t rx_frames, rx_bytes, rx_large;
    uint64_t rx_filtered, rx_too_big, rx_not_ready; /* not delivered */
    uint64_t rx_waits;                              /* the guest had no buffers */
};
/* Ask the guest to tell the network where it is now (gratuitous ARP). False: its driver does not do
 * that. @moved: it was elsewhere, and is not there any more: the card tells switches so itself. */
bool vr_virtio_net_announce(struct vr_dev *dev, bool moved);
void vr_virtio_net_stats(struct vr_dev *dev, struct vr_virtio_net_stats *ret_stats);

#endif

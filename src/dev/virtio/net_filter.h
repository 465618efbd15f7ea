/* Which received frames a network card's driver wants: its address, the modes and tables that it
 * sets by control commands. Specification: VIRTIO 1.3, sections 5.1.6.5.1 to 5.1.6.5.3. */
#ifndef VR_DEV_VIRTIO_NET_FILTER_H
#define VR_DEV_VIRTIO_NET_FILTER_H

#include "dev/virtio/virtq.h"

enum { VR_NET_MAC = 6, VR_NET_FILTER_MACS = 64, VR_NET_VLANS = 4096 };

struct vr_net_filter {
    uint8_t mac[VR_NET_MAC];
    bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
    bool vlans_matter;         /* the driver negotiated it */
    bool uni_full, multi_full; /* the driver named more than we keep: all pass */
    uint8_t uni_count, multi_count;
    uint8_t uni[VR_NET_FILTER_MACS * VR_NET_MAC], multi[VR_NET_FILTER_MACS * VR_NET_MAC];
    uint32_t vlans[VR_NET_VLANS / 32]; /* those that pass */
};
extern const struct vr_field vr_net_filter_fields[];

/* @frame is an Ethernet frame of at least 14 bytes. */
bool vr_net_filter_pass(const struct vr_net_filter *f, const uint8_t *frame, size_t len);
/* Add (or remove) a VLAN. */
bool vr_net_filter_vlan(struct vr_net_filter *f, struct vr_virtq *q, const struct vr_chain *chain,
                        uint64_t off, bool add);
/* Commands; the data starts at offset @off of @chain's readable part. False: malformed or unknown.
 */
bool vr_net_filter_rx(struct vr_net_filter *f, struct vr_virtq *q, const struct vr_chain *chain,
                      uint64_t off, uint8_t command, bool extra);
bool vr_net_filter_mac_table(struct vr_net_filter *f, struct vr_virtq *q,
                             const struct vr_chain *chain, uint64_t off);
bool vr_net_filter_mac_addr(struct vr_net_filter *f, struct vr_virtq *q,
                            const struct vr_chain *chain, uint64_t off);

#endif

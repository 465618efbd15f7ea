/* Receive filtering of the virtio network card. */
#include "dev/virtio/net_filter.h"

#include "base/bits.h"

enum { RX_PROMISC = 0, RX_ALLMULTI = 1 };

static bool filter_has(const uint8_t *table, unsigned count, const uint8_t *mac)
{
    for (unsigned i = 0; i < count; i++) {
        if (memcmp(table + (size_t)i * VR_NET_MAC, mac, VR_NET_MAC) == 0) {
            return true;
        }
    }
    return false;
}

bool vr_net_filter_pass(const struct vr_net_filter *f, const uint8_t *frame)
{
    static const uint8_t broadcast[VR_NET_MAC] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (f->promisc || memcmp(frame, broadcast, VR_NET_MAC) == 0) {
        return true;
    }
    if (frame[0] & 1) {
        return f->allmulti || f->multi_full || filter_has(f->multi, f->multi_count, frame);
    }
    return memcmp(frame, f->mac, VR_NET_MAC) == 0 || f->uni_full ||
           filter_has(f->uni, f->uni_count, frame);
}

bool vr_net_filter_rx(struct vr_net_filter *f, struct vr_virtq *q, const struct vr_chain *chain,
                      uint64_t off, uint8_t command)
{
    uint8_t on;
    if (vr_chain_read(q, chain, off, &on, 1) != 1 || on > 1 || command > RX_ALLMULTI) {
        return false;
    }
    *(command == RX_PROMISC ? &f->promisc : &f->allmulti) = on;
    return true;
}

/* One table: le32 entries, then addresses. *off moves behind it. */
static bool filter_table(struct vr_virtq *q, const struct vr_chain *chain, uint64_t *off,
                         uint8_t *macs, uint8_t *ret_count, bool *ret_full)
{
    uint8_t raw[4];
    if (vr_chain_read(q, chain, *off, raw, sizeof(raw)) != sizeof(raw)) {
        return false;
    }
    uint64_t count = vr_load_le32(raw), bytes = count * VR_NET_MAC;
    *off += sizeof(raw);
    if (!vr_in_range(*off, bytes, chain->read_bytes)) {
        return false;
    }
    *ret_full = count > VR_NET_FILTER_MACS;
    *ret_count = *ret_full ? 0 : (uint8_t)count;
    vr_chain_read(q, chain, *off, macs, *ret_count * (size_t)VR_NET_MAC);
    *off += bytes;
    return true;
}

bool vr_net_filter_mac_table(struct vr_net_filter *f, struct vr_virtq *q,
                             const struct vr_chain *chain, uint64_t off)
{
    struct vr_net_filter to = *f; /* all or nothing */
    if (!filter_table(q, chain, &off, to.uni, &to.uni_count, &to.uni_full) ||
        !filter_table(q, chain, &off, to.multi, &to.multi_count, &to.multi_full)) {
        return false;
    }
    *f = to;
    return true;
}

bool vr_net_filter_mac_addr(struct vr_net_filter *f, struct vr_virtq *q,
                            const struct vr_chain *chain, uint64_t off)
{
    uint8_t mac[VR_NET_MAC];
    if (vr_chain_read(q, chain, off, mac, sizeof(mac)) != sizeof(mac)) {
        return false;
    }
    memcpy(f->mac, mac, sizeof(mac));
    return true;
}

#define VR_SELF struct vr_net_filter
const struct vr_field vr_net_filter_fields[] = {
    VR_STATE_ARRAY(mac, "the card's address"),
    VR_STATE(promisc, "all frames pass", .def = true),
    VR_STATE(allmulti, "all multicast frames pass"),
    VR_STATE(uni_full, "all unicast frames pass: too many were named"),
    VR_STATE(multi_full, "all multicast frames pass: too many were named"),
    VR_STATE(uni_count, "further unicast addresses", .max = VR_NET_FILTER_MACS),
    VR_STATE(multi_count, "multicast addresses", .max = VR_NET_FILTER_MACS),
    VR_STATE_ARRAY(uni, "unicast addresses, 6 bytes each"),
    VR_STATE_ARRAY(multi, "multicast addresses, 6 bytes each"),
    VR_FIELD_END,
};

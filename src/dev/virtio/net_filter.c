/* Receive filtering of the virtio network card. */
#include "dev/virtio/net_filter.h"

#include "base/bits.h"

enum { RX_PROMISC = 0, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST, RX_COMMANDS };
enum { ETH_TYPE = 12, ETH_VLAN = 0x8100, ETH_HEADER = 14 };

static bool filter_has(const uint8_t *table, unsigned count, const uint8_t *mac)
{
    for (unsigned i = 0; i < count; i++) {
        if (memcmp(table + (size_t)i * VR_NET_MAC, mac, VR_NET_MAC) == 0) {
            return true;
        }
    }
    return false;
}

/* Is the frame untagged, or of a VLAN that passes? */
static bool filter_vlan_pass(const struct vr_net_filter *f, const uint8_t *frame, size_t len)
{
    if (!f->vlans_matter || len < ETH_HEADER + 2 || vr_load_be16(frame + ETH_TYPE) != ETH_VLAN) {
        return true;
    }
    unsigned vlan = vr_load_be16(frame + ETH_HEADER) & (VR_NET_VLANS - 1);
    return f->vlans[vlan / 32] >> vlan % 32 & 1;
}

bool vr_net_filter_pass(const struct vr_net_filter *f, const uint8_t *frame, size_t len)
{
    static const uint8_t broadcast[VR_NET_MAC] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (!filter_vlan_pass(f, frame, len)) {
        return false;
    }
    if (f->promisc) {
        return true;
    }
    if (memcmp(frame, broadcast, VR_NET_MAC) == 0) {
        return !f->nobcast;
    }
    if (frame[0] & 1) {
        return !f->nomulti &&
               (f->allmulti || f->multi_full || filter_has(f->multi, f->multi_count, frame));
    }
    return !f->nouni && (memcmp(frame, f->mac, VR_NET_MAC) == 0 || f->alluni || f->uni_full ||
                         filter_has(f->uni, f->uni_count, frame));
}

bool vr_net_filter_vlan(struct vr_net_filter *f, struct vr_virtq *q, const struct vr_chain *chain,
                        uint64_t off, bool add)
{
    uint8_t raw[2];
    if (vr_chain_read(q, chain, off, raw, sizeof(raw)) != sizeof(raw) ||
        vr_load_le16(raw) >= VR_NET_VLANS) {
        return false;
    }
    unsigned vlan = vr_load_le16(raw);
    uint32_t bit = UINT32_C(1) << vlan % 32;
    f->vlans[vlan / 32] = add ? f->vlans[vlan / 32] | bit : f->vlans[vlan / 32] & ~bit;
    return true;
}

bool vr_net_filter_rx(struct vr_net_filter *f, struct vr_virtq *q, const struct vr_chain *chain,
                      uint64_t off, uint8_t command, bool extra)
{
    bool *const modes[RX_COMMANDS] = {&f->promisc, &f->allmulti, &f->alluni,
                                      &f->nomulti, &f->nouni,    &f->nobcast};
    uint8_t on;
    if (command >= (extra ? RX_COMMANDS : RX_ALLMULTI + 1) ||
        vr_chain_read(q, chain, off, &on, 1) != 1 || on > 1) {
        return false;
    }
    *modes[command] = on;
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
    VR_STATE(alluni, "all unicast frames pass"),
    VR_STATE(nomulti, "no multicast frame passes"),
    VR_STATE(nouni, "no unicast frame passes"),
    VR_STATE(nobcast, "no broadcast frame passes"),
    VR_STATE(vlans_matter, "frames of a VLAN pass if it is among `vlans`"),
    VR_STATE(uni_full, "all unicast frames pass: too many were named"),
    VR_STATE(multi_full, "all multicast frames pass: too many were named"),
    VR_STATE(uni_count, "further unicast addresses", .max = VR_NET_FILTER_MACS),
    VR_STATE(multi_count, "multicast addresses", .max = VR_NET_FILTER_MACS),
    VR_STATE_ARRAY(uni, "unicast addresses, 6 bytes each"),
    VR_STATE_ARRAY(multi, "multicast addresses, 6 bytes each"),
    VR_STATE_ARRAY(vlans, "a bit for each VLAN that passes"),
    VR_FIELD_END,
};

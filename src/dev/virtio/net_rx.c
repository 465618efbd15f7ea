/* The network card's frames to the guest: filtered, steered to a queue, spread over buffers.
 * Specification: VIRTIO 1.3, section 5.1.6.4. */
#include "base/bits.h"
#include "core/iov.h"
#include "dev/virtio/net_csum.h"
#include "dev/virtio/net_priv.h"

enum { VLAN_TAG = 4, MTU_DEFAULT = 1500 };

/* A frame on its way in. */
struct net_in {
    const uint8_t *frame;
    size_t len;
    unsigned queue;
    uint8_t header[NET_HEADER_HASH];
};

/* Fill chains with the frame behind room for the header. Returns how many, all popped; 0: there are
 * not enough now; -1: it can never fit. */
static int net_rx_fill(struct net *s, const struct net_in *in)
{
    struct vr_virtq *q = &s->vq[in->queue];
    struct net_rx *rx = s->rx;
    bool merge = vr_virtio_has(&s->v, NET_F_MRG_RXBUF);
    size_t done = 0;
    unsigned count = 0;
    for (; done < in->len || count == 0; count++) {
        struct vr_chain *chain = count ? s->v.host.chain : &rx->first;
        bool whole_ring = count == q->size;
        if (whole_ring || (count && !merge) || !vr_virtq_pop(q, chain)) {
            for (unsigned i = count; i-- > 0;) {
                vr_virtq_unpop(q, rx->tag[i]);
            }
            return whole_ring || (count && !merge) ? -1 : 0;
        }
        uint64_t off = count ? 0 : net_header_len(s);
        if (chain->write_bytes <= off) {
            vr_tally(&q->host.stats.errors, 1);
            vr_virtio_break(&s->v, "receive buffer of %u bytes", (unsigned)chain->write_bytes);
            return 0;
        }
        size_t n = vr_chain_write(q, chain, off, in->frame + done, in->len - done);
        rx->tag[count] = chain->tag;
        rx->written[count] = (uint32_t)(off + n);
        done += n;
    }
    return (int)count;
}

/* Which queue the frame is for, and what its hash is; false: for none that may take it. */
static bool net_rx_steer(struct net *s, struct net_in *in)
{
    const struct net_rss *rss = s->steering;
    bool report = vr_virtio_has(&s->v, NET_F_HASH_REPORT);
    in->queue = 0;
    if (s->pairs == 1 && !rss->steer && !report) {
        return s->vq[0].ready;
    }
    struct vr_packet p;
    uint32_t hash = 0;
    vr_packet_parse(in->frame, in->len, &p);
    uint16_t kind = vr_packet_hash(in->frame, &p, rss->types, rss->key, &hash);
    if (report) {
        vr_store_le32(in->header + H_HASH, hash);
        vr_store_le16(in->header + H_HASH_REPORT, kind);
    }
    if (rss->steer) {
        in->queue = 2u * (kind ? rss->table[hash & rss->mask] : rss->unclassified);
        return s->vq[in->queue].ready;
    }
    unsigned pair = p.version ? s->flow[vr_packet_flow(in->frame, &p) % NET_FLOWS] : 0;
    for (unsigned i = 0; i < s->pairs; i++) { /* one that is being reset is passed over */
        in->queue = 2 * ((pair + i) % s->pairs);
        if (s->vq[in->queue].ready) {
            return true;
        }
    }
    return false;
}

static size_t net_frame_max(const struct net *s)
{
    return (size_t)(s->mtu ? s->mtu : MTU_DEFAULT) + NET_ETH_HEADER + VLAN_TAG;
}

/* A frame that is larger than the link's: as a large TCP packet, if that is what it is and the
 * driver takes them. Its checksum was found right, and is taken back to the pseudo header's. */
static bool net_rx_large(struct net *s, struct net_in *in)
{
    struct vr_packet p;
    vr_packet_parse(in->frame, in->len, &p);
    uint64_t feature = p.version == 4 ? NET_F_GUEST_TSO4 : NET_F_GUEST_TSO6;
    if (p.proto != VR_PACKET_TCP || p.payload >= in->len || !(s->guest_offloads & feature) ||
        in->len > VR_NET_FRAME_MAX || !vr_net_csum_valid(in->frame, in->len)) {
        return false;
    }
    size_t mss = (s->mtu ? s->mtu : MTU_DEFAULT) + (size_t)p.l3 - p.payload;
    bool ecn = in->frame[p.l4 + 13] & 0x80; /* CWR */
    if (ecn && !(s->guest_offloads & NET_F_GUEST_ECN)) {
        return false;
    }
    memcpy(s->scratch, in->frame, in->len);
    size_t l4_len = p.version == 4
                        ? vr_load_be16(in->frame + p.l3 + 2) - (size_t)(p.l4 - p.l3)
                        : vr_load_be16(in->frame + p.l3 + 4) - (size_t)(p.l4 - p.l3 - 40);
    vr_store_be16(s->scratch + p.l4 + TCP_SUM, vr_packet_pseudo_sum(in->frame, &p, l4_len));
    in->frame = s->scratch;
    in->header[H_FLAGS] = FLAG_NEEDS_CSUM;
    in->header[H_GSO_TYPE] =
        (uint8_t)((p.version == 4 ? GSO_TCPV4 : GSO_TCPV6) | (ecn ? GSO_ECN : 0));
    vr_store_le16(in->header + H_HDR_LEN, p.payload);
    vr_store_le16(in->header + H_GSO_SIZE, (uint16_t)mss);
    vr_store_le16(in->header + H_CSUM_START, p.l4);
    vr_store_le16(in->header + H_CSUM_OFFSET, TCP_SUM);
    s->stats.rx_large++;
    return true;
}

bool net_rx(struct net *s, const uint8_t *frame, size_t len)
{
    struct net_in in = {.frame = frame, .len = len};
    if (s->v.host.paused) {
        return false;
    }
    if (!vr_virtio_running(&s->v) || len < NET_ETH_HEADER) {
        s->stats.rx_not_ready++;
        return true;
    }
    if (!vr_net_filter_pass(s->filter, frame, len)) {
        s->stats.rx_filtered++;
        return true;
    }
    if (!net_rx_steer(s, &in)) {
        s->stats.rx_not_ready++;
        return true;
    }
    bool large = len > net_frame_max(s);
    if (large && !net_rx_large(s, &in) && vr_virtio_has(&s->v, NET_F_MTU)) {
        s->stats.rx_too_big++; /* 5.1.4.1 */
        return true;
    }
    struct vr_virtq *q = &s->vq[in.queue];
    int count = net_rx_fill(s, &in);
    if (count <= 0) {
        s->stats.rx_waits += count == 0;
        s->stats.rx_too_big += count < 0;
        return count < 0 || !vr_virtio_running(&s->v);
    }
    if (!in.header[H_FLAGS] && (s->guest_offloads & NET_F_GUEST_CSUM) &&
        vr_net_csum_valid(frame, len)) {
        in.header[H_FLAGS] = FLAG_DATA_VALID;
    }
    vr_store_le16(in.header + H_BUFFERS, (uint16_t)count);
    vr_chain_write(q, &s->rx->first, 0, in.header, net_header_len(s));
    for (int i = 0; i < count; i++) {
        vr_virtq_push(q, s->rx->tag[i], s->rx->written[i]);
    }
    net_coal_notify(s, in.queue, 1);
    s->stats.rx_frames++;
    s->stats.rx_bytes += len;
    return true;
}

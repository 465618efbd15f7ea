/* The network card's frames from the guest: checksums completed, large packets handed on or cut.
 * Specification: VIRTIO 1.3, section 5.1.6.2. */
#include "base/bits.h"
#include "core/iov.h"
#include "dev/virtio/net_csum.h"
#include "dev/virtio/net_priv.h"

/* Complete the checksum that the driver left open (5.1.6.2.2) in the list at s->tx_iov; false: it
 * lies outside the frame. @sum is 2 bytes that live until the frame is sent. */
static bool net_tx_sum(struct net *s, unsigned *count, size_t len, const uint8_t *header,
                       uint8_t *sum)
{
    uint64_t start = vr_load_le16(header + H_CSUM_START);
    uint64_t field = start + vr_load_le16(header + H_CSUM_OFFSET);
    if (!vr_in_range(field, 2, len)) {
        return false;
    }
    /* The field holds the pseudo header's sum, and so counts as part of the data. */
    uint16_t val = (uint16_t)~vr_net_sum(s->tx_iov, *count, start);
    vr_store_be16(sum, val ? val : 0xffff); /* 0 means "none" in UDP; both are zero in the sum */
    unsigned at = 0;
    uint64_t off = field;
    while (off >= s->tx_iov[at].iov_len) {
        off -= s->tx_iov[at++].iov_len;
    }
    /* Behind the checksum: the rest of its last piece, then the pieces after that. */
    unsigned last = at;
    uint64_t end = off + 2;
    while (last < *count && end >= s->tx_iov[last].iov_len) {
        end -= s->tx_iov[last++].iov_len;
    }
    struct iovec rest[1];
    unsigned tail = last < *count ? *count - last : 0, before = at + (off > 0);
    if (tail) {
        rest[0].iov_base = (uint8_t *)s->tx_iov[last].iov_base + end;
        rest[0].iov_len = s->tx_iov[last].iov_len - (size_t)end;
        memmove(&s->tx_iov[before + 1], &s->tx_iov[last], tail * sizeof(s->tx_iov[0]));
        s->tx_iov[before + 1] = rest[0];
    }
    if (off > 0) {
        s->tx_iov[at].iov_len = (size_t)off;
    }
    s->tx_iov[before] = (struct iovec){.iov_base = sum, .iov_len = 2};
    *count = before + 1 + tail;
    s->stats.tx_summed++;
    return true;
}

/* What a segmentation type needs: the feature, and how it is cut. */
struct net_gso {
    uint8_t type, version; /* of IP; 0: either */
    uint64_t feature;
    enum vr_segment kind;
};
static const struct net_gso net_gsos[] = {
    {GSO_TCPV4, 4, NET_F_HOST_TSO4, VR_SEGMENT_TCP},
    {GSO_TCPV6, 6, NET_F_HOST_TSO6, VR_SEGMENT_TCP},
    {GSO_UDP, 0, NET_F_HOST_UFO, VR_FRAGMENT_UDP},
    {GSO_UDP_L4, 0, NET_F_HOST_USO, VR_SEGMENT_UDP},
};

static void net_send_piece(void *opaque, const uint8_t *head, size_t head_len,
                           const uint8_t *payload, size_t payload_len)
{
    struct net *s = opaque;
    const struct iovec iov[] = {
        {.iov_base = (uint8_t *)head, .iov_len = head_len},
        {.iov_base = (uint8_t *)payload, .iov_len = payload_len},
    };
    if (s->net) {
        vr_net_send(s->net, iov, 2, head_len + payload_len);
    }
    s->stats.tx_segments++;
}

/* Send a large packet, which lies in the first @count entries of tx_iov; false: refused. */
static bool net_tx_large(struct net *s, unsigned queue, unsigned count, size_t len,
                         const uint8_t *header)
{
    const struct net_gso *gso = NULL;
    struct vr_packet p;
    uint8_t sum[2];
    for (unsigned i = 0; i < VR_COUNT(net_gsos); i++) {
        if (net_gsos[i].type == (header[H_GSO_TYPE] & ~GSO_ECN)) {
            gso = &net_gsos[i];
        }
    }
    if (!gso || !vr_virtio_has(&s->v, gso->feature) || !(header[H_FLAGS] & FLAG_NEEDS_CSUM) ||
        ((header[H_GSO_TYPE] & GSO_ECN) && !vr_virtio_has(&s->v, NET_F_HOST_ECN))) {
        return false;
    }
    uint8_t head[VR_PACKET_HEAD_MAX];
    size_t head_len = vr_iov_get(s->tx_iov, count, 0, head, sizeof(head));
    vr_packet_parse(head, head_len, &p);
    if ((gso->version && p.version != gso->version) ||
        p.proto != (gso->kind == VR_SEGMENT_TCP ? VR_PACKET_TCP : VR_PACKET_UDP) ||
        p.payload >= len || vr_load_le16(header + H_CSUM_START) != p.l4 ||
        vr_load_le16(header + H_CSUM_OFFSET) != (p.proto == VR_PACKET_TCP ? TCP_SUM : UDP_SUM)) {
        return false;
    }
    size_t size = vr_load_le16(header + H_GSO_SIZE);
    if (s->net && s->net->takes_large && gso->kind != VR_SEGMENT_UDP && size) {
        if (!net_tx_sum(s, &count, len, header, sum)) {
            return false;
        }
        vr_net_send(s->net, s->tx_iov, count, len);
        s->stats.tx_large++;
        return true;
    }
    if (gso->kind == VR_FRAGMENT_UDP && !net_tx_sum(s, &count, len, header, sum)) {
        return false;
    }
    vr_iov_get(s->tx_iov, count, 0, s->scratch, len);
    vr_tally(&s->vq[queue].host.stats.copied, len);
    if (!vr_packet_segment(s->scratch, len, &p, gso->kind, size, (uint32_t)s->stats.tx_frames,
                           net_send_piece, s)) {
        return false;
    }
    s->stats.tx_large++;
    return true;
}

/* Remember on which pair the guest sends of a flow (5.1.6.5.6.1). */
static void net_learn(struct net *s, unsigned queue, unsigned count)
{
    uint8_t head[128];
    struct vr_packet p;
    size_t len = vr_iov_get(s->tx_iov, count, 0, head, sizeof(head));
    vr_packet_parse(head, len, &p);
    if (p.version) {
        s->flow[vr_packet_flow(head, &p) % NET_FLOWS] = (uint8_t)(queue / 2);
    }
}

/* Send one frame; false: it is not one that may be sent. */
static bool net_tx(struct net *s, unsigned queue, const struct vr_chain *chain)
{
    uint8_t header[NET_HEADER], sum[2];
    uint64_t off = net_header_len(s), len = chain->read_bytes - off;
    vr_chain_read(&s->vq[queue], chain, 0, header, sizeof(header));
    if (len < NET_ETH_HEADER || len > VR_NET_FRAME_MAX) {
        return false;
    }
    unsigned count = vr_iov_slice(chain->iov, chain->read_count, off, len, s->tx_iov, NULL);
    if (s->pairs > 1 && !s->steering->steer) {
        net_learn(s, queue, count);
    }
    if (header[H_GSO_TYPE] != GSO_NONE) {
        if (!net_tx_large(s, queue, count, (size_t)len, header)) {
            return false;
        }
    } else {
        if ((header[H_FLAGS] & FLAG_NEEDS_CSUM) &&
            (!vr_virtio_has(&s->v, NET_F_CSUM) ||
             !net_tx_sum(s, &count, (size_t)len, header, sum))) {
            return false;
        }
        if (s->net) {
            vr_net_send(s->net, s->tx_iov, count, (size_t)len);
        }
    }
    s->stats.tx_frames++;
    s->stats.tx_bytes += len;
    return true;
}

void net_tx_all(struct net *s, unsigned queue)
{
    struct vr_virtq *q = &s->vq[queue];
    struct vr_chain *chain = s->v.host.chain;
    uint32_t packets = 0;
    while (vr_virtq_pop(q, chain)) {
        if (chain->read_bytes < net_header_len(s)) {
            vr_tally(&q->host.stats.errors, 1);
            vr_virtio_break(&s->v, "frame without header");
            return;
        }
        if (!net_tx(s, queue, chain)) {
            s->stats.tx_bad++;
            vr_guest_error(&s->dev, "frame of %u bytes refused",
                           (unsigned)(chain->read_bytes - net_header_len(s)));
        }
        vr_virtq_push(q, chain->tag, 0);
        packets++;
    }
    net_coal_notify(s, queue, packets);
}

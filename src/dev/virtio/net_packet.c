/* Headers, hashes and segmentation of packets; see net_packet.h. */
#include "dev/virtio/net_packet.h"

#include "base/bits.h"
#include "dev/virtio/net_csum.h"

enum {
    ETH_TYPE = 12,
    ETH_HEADER = 14,
    ETH_IPV4 = 0x0800,
    ETH_IPV6 = 0x86dd,
    ETH_VLAN = 0x8100,
    ETH_QINQ = 0x88a8,
    VLAN_TAG = 4,
};
enum { IPV4_HEADER = 20, IPV4_MF = 0x2000, IPV4_FRAGMENT = 0x3fff };
enum { IPV6_HEADER = 40, IPV6_HOP = 0, IPV6_ROUTING = 43, IPV6_FRAG = 44, IPV6_DEST = 60 };
enum { IPV6_FRAG_HEADER = 8, EXT_MAX = 8 };
enum { TCP_HEADER = 20, UDP_HEADER = 8, TCP_FIN = 1, TCP_PSH = 8, TCP_CWR = 0x80 };
/* Smallest pieces: Linux's least TCP segment; a fragment's unit. And the most datagrams of one. */
enum { SEGMENT_MIN = 8, DATAGRAMS_MAX = 128 };

/* What stands at l4, and where its payload begins. */
static void packet_transport(const uint8_t *frame, size_t len, uint8_t proto, struct vr_packet *p)
{
    size_t header = 0;
    if (proto == VR_PACKET_UDP && len >= (size_t)p->l4 + UDP_HEADER) {
        header = UDP_HEADER;
    } else if (proto == VR_PACKET_TCP && len >= (size_t)p->l4 + TCP_HEADER) {
        header = (frame[p->l4 + 12] >> 4) * 4u;
        header = header >= TCP_HEADER ? header : 0;
    }
    if (header && p->l4 + header <= len) {
        p->proto = proto;
        p->payload = (uint16_t)(p->l4 + header);
    }
}

static void packet_ipv4(const uint8_t *frame, size_t len, struct vr_packet *p)
{
    const uint8_t *ip = frame + p->l3;
    if (len < (size_t)p->l3 + IPV4_HEADER || ip[0] >> 4 != 4 || (ip[0] & 15) < 5) {
        return;
    }
    p->version = 4;
    p->l4 = (uint16_t)(p->l3 + (ip[0] & 15) * 4);
    if (!(vr_load_be16(ip + 6) & IPV4_FRAGMENT)) {
        packet_transport(frame, len, ip[9], p);
    }
}

static void packet_ipv6(const uint8_t *frame, size_t len, struct vr_packet *p)
{
    const uint8_t *ip = frame + p->l3;
    if (len < (size_t)p->l3 + IPV6_HEADER || ip[0] >> 4 != 6) {
        return;
    }
    p->version = 6;
    p->next = (uint16_t)(p->l3 + 6);
    size_t at = (size_t)p->l3 + IPV6_HEADER;
    for (unsigned i = 0; i < EXT_MAX; i++) {
        uint8_t proto = frame[p->next];
        if (proto != IPV6_HOP && proto != IPV6_ROUTING && proto != IPV6_DEST) {
            break;
        }
        if (at + 8 > len) {
            return;
        }
        p->next = (uint16_t)at;
        at += 8 + 8 * (size_t)frame[at + 1];
    }
    if (at <= len) {
        p->l4 = (uint16_t)at;
        packet_transport(frame, len, frame[p->next], p);
    }
}

void vr_packet_parse(const uint8_t *frame, size_t len, struct vr_packet *p)
{
    *p = (struct vr_packet){0};
    len = len < VR_PACKET_HEAD_MAX ? len : VR_PACKET_HEAD_MAX;
    size_t at = ETH_TYPE;
    for (unsigned tags = 0; at + 2 <= len; tags++) {
        uint16_t type = vr_load_be16(frame + at);
        p->l3 = (uint16_t)(at + 2);
        if (type == ETH_IPV4) {
            packet_ipv4(frame, len, p);
        } else if (type == ETH_IPV6) {
            packet_ipv6(frame, len, p);
        } else if ((type == ETH_VLAN || type == ETH_QINQ) && tags < 2) {
            at += VLAN_TAG;
            continue;
        }
        return;
    }
}

/* --- Hashes --- */

/* Toeplitz: for each bit that is set, the 32 bits of the key that begin there. */
static uint32_t toeplitz(uint32_t hash, const uint8_t *data, size_t len, const uint8_t *key)
{
    for (size_t i = 0; i < len; i++) {
        /* 40 bits of key: a window of 32 for each bit of the byte. */
        uint64_t window = (uint64_t)vr_load_be32(key + i) << 8 | key[i + 4];
        for (unsigned bit = 0; bit < 8; bit++) {
            if (data[i] & 0x80 >> bit) {
                hash ^= (uint32_t)(window >> (8 - bit));
            }
        }
    }
    return hash;
}

uint16_t vr_packet_hash(const uint8_t *frame, const struct vr_packet *p, uint32_t types,
                        const uint8_t *key, uint32_t *ret_hash)
{
    if (p->version == 0) {
        return 0;
    }
    unsigned first = p->version == 4 ? 0 : 3; /* types stand in the order IP, TCP, UDP */
    size_t len = p->version == 4 ? 8 : 32;
    const uint8_t *addresses = frame + p->l3 + (p->version == 4 ? 12 : 8);
    unsigned kind = p->proto == VR_PACKET_TCP ? 1 : p->proto == VR_PACKET_UDP ? 2 : 0;
    if (kind && !(types >> (first + kind) & 1)) {
        kind = 0;
    }
    if (!(types >> (first + kind) & 1)) {
        return 0;
    }
    uint8_t input[36]; /* source and destination, then their ports */
    memcpy(input, addresses, len);
    if (kind) {
        memcpy(input + len, frame + p->l4, 4);
        len += 4;
    }
    *ret_hash = toeplitz(0, input, len, key);
    return (uint16_t)(1 + first + kind);
}

uint32_t vr_packet_flow(const uint8_t *frame, const struct vr_packet *p)
{
    uint64_t sum = p->proto;
    const uint8_t *addresses = frame + p->l3 + (p->version == 4 ? 12 : 8);
    for (unsigned i = 0; p->version && i < (p->version == 4 ? 8u : 32u); i += 4) {
        sum += vr_load_le32(addresses + i);
    }
    if (p->proto) {
        sum += (uint64_t)vr_load_le16(frame + p->l4) + vr_load_le16(frame + p->l4 + 2);
    }
    return (uint32_t)(sum * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

/* --- Segmentation --- */

static uint16_t sum_of(const uint8_t *bytes, size_t len)
{
    struct iovec iov = {.iov_base = (uint8_t *)bytes, .iov_len = len};
    return vr_net_sum(&iov, 1, 0);
}

static uint16_t sum_add(uint32_t a, uint32_t b)
{
    a += b;
    a = (a & UINT16_MAX) + (a >> 16);
    return (uint16_t)((a & UINT16_MAX) + (a >> 16));
}

uint16_t vr_packet_pseudo_sum(const uint8_t *frame, const struct vr_packet *p, size_t len)
{
    bool v4 = p->version == 4;
    uint16_t sum = sum_of(frame + p->l3 + (v4 ? 12 : 8), v4 ? 8 : 32);
    sum = sum_add(sum, (uint32_t)(len & UINT16_MAX));
    return sum_add(sum, (uint32_t)(len >> 16) + p->proto);
}

/* A packet under construction: its headers; its payload is part of the large frame. */
struct segment {
    uint8_t head[VR_PACKET_HEAD_MAX + IPV6_FRAG_HEADER];
    size_t head_len;
    const uint8_t *payload;
    size_t len;
};

/* The IP header's length (and checksum), of @s. @index numbers IPv4 packets. */
static void segment_ip(struct segment *s, const struct vr_packet *p, unsigned index, unsigned frag)
{
    uint8_t *ip = s->head + p->l3;
    size_t total = s->head_len - p->l3 + s->len;
    if (p->version == 6) {
        vr_store_be16(ip + 4, (uint16_t)(total - IPV6_HEADER));
        return;
    }
    vr_store_be16(ip + 2, (uint16_t)total);
    vr_store_be16(ip + 4, (uint16_t)(vr_load_be16(ip + 4) + index));
    if (frag) {
        vr_store_be16(ip + 6, (uint16_t)frag);
    }
    vr_store_be16(ip + 10, 0);
    vr_store_be16(ip + 10, (uint16_t)~sum_of(ip, (size_t)p->l4 - p->l3));
}

/* TCP's or UDP's checksum, at offset @field of l4. */
static void segment_sum(struct segment *s, const struct vr_packet *p, unsigned field)
{
    uint8_t *l4 = s->head + p->l4;
    size_t l4_len = s->head_len - p->l4;
    vr_store_be16(l4 + field, 0);
    uint16_t sum = vr_packet_pseudo_sum(s->head, p, l4_len + s->len);
    sum = sum_add(sum, sum_of(l4, l4_len));
    /* TCP headers are of even length, so the payload's sum needs no swap. */
    sum = (uint16_t)~sum_add(sum, sum_of(s->payload, s->len));
    vr_store_be16(l4 + field, sum == 0 && p->proto == VR_PACKET_UDP ? UINT16_MAX : sum);
}

static void segment_tcp(struct segment *s, const struct vr_packet *p, size_t off, bool last)
{
    uint8_t *tcp = s->head + p->l4;
    vr_store_be32(tcp + 4, vr_load_be32(tcp + 4) + (uint32_t)off);
    tcp[13] &= (uint8_t) ~((last ? 0 : TCP_FIN | TCP_PSH) | (off ? TCP_CWR : 0));
    segment_sum(s, p, 16);
}

static void segment_udp(struct segment *s, const struct vr_packet *p)
{
    vr_store_be16(s->head + p->l4 + 4, (uint16_t)(UDP_HEADER + s->len));
    segment_sum(s, p, 6);
}

/* IPv6: the header that makes it a fragment (RFC 8200, 4.5). */
static void segment_fragment_header(struct segment *s, const struct vr_packet *p, unsigned frag,
                                    uint32_t id)
{
    uint8_t *at = s->head + s->head_len;
    at[0] = s->head[p->next];
    at[1] = 0;
    vr_store_be16(at + 2, (uint16_t)frag);
    vr_store_be32(at + 4, id);
    s->head[p->next] = IPV6_FRAG;
    s->head_len += IPV6_FRAG_HEADER;
}

/* May it be cut so? */
static bool segment_fits(size_t len, const struct vr_packet *p, enum vr_segment kind, size_t size)
{
    if (p->version == 0 || p->proto != (kind == VR_SEGMENT_TCP ? VR_PACKET_TCP : VR_PACKET_UDP) ||
        p->payload >= len || len - p->l3 > UINT16_MAX) {
        return false;
    }
    if (kind == VR_SEGMENT_UDP) {
        return size > 0 && (len - p->payload + size - 1) / size <= DATAGRAMS_MAX;
    }
    return size >= SEGMENT_MIN;
}

bool vr_packet_segment(const uint8_t *frame, size_t len, const struct vr_packet *p,
                       enum vr_segment kind, size_t size, uint32_t id,
                       void (*emit)(void *opaque, const uint8_t *head, size_t head_len,
                                    const uint8_t *payload, size_t payload_len),
                       void *opaque)
{
    if (!segment_fits(len, p, kind, size)) {
        return false;
    }
    bool fragments = kind == VR_FRAGMENT_UDP;
    size_t from = fragments ? p->l4 : p->payload;
    size -= fragments ? size % 8 : 0;
    for (size_t off = 0; from + off < len; off += size) {
        struct segment s = {.head_len = from, .payload = frame + from + off};
        bool last = from + off + size >= len;
        s.len = last ? len - from - off : size;
        memcpy(s.head, frame, from);
        unsigned frag = 0;
        if (fragments) {
            frag = p->version == 4 ? (unsigned)(off / 8) | (last ? 0 : IPV4_MF)
                                   : (unsigned)off | !last;
            if (p->version == 6) {
                segment_fragment_header(&s, p, frag, id);
            }
        }
        segment_ip(&s, p, fragments ? 0 : (unsigned)(off / size), frag);
        if (kind == VR_SEGMENT_TCP) {
            segment_tcp(&s, p, off, last);
        } else if (kind == VR_SEGMENT_UDP) {
            segment_udp(&s, p);
        }
        emit(opaque, s.head, s.head_len, s.payload, s.len);
    }
    return true;
}

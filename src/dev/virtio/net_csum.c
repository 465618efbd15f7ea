/* The Internet checksum. A sum of 16-bit words does not mind in which byte order it is made, as
 * long as the result is swapped back, nor in which width the carries travel: so 32-bit words go
 * into a 64-bit sum, and pieces that start at an odd offset are summed as if even, and swapped. */
#include "dev/virtio/net_csum.h"

#include "base/bits.h"

/* Enough of the sum's high part is folded in to leave 16 bits. */
static uint16_t csum_fold(uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    return (uint16_t)((sum & UINT16_MAX) + (sum >> 16));
}

/* Little-endian words; at most 2^32 bytes, so the sum cannot overflow. */
static uint16_t csum_bytes(const uint8_t *p, size_t len)
{
    uint64_t sum = 0;
    for (; len >= 16; p += 16, len -= 16) {
        sum += (uint64_t)vr_load_le32(p) + vr_load_le32(p + 4);
        sum += (uint64_t)vr_load_le32(p + 8) + vr_load_le32(p + 12);
    }
    for (; len >= 2; p += 2, len -= 2) {
        sum += vr_load_le16(p);
    }
    return csum_fold(sum + (len ? *p : 0));
}

static uint16_t csum_swap(uint16_t v)
{
    return (uint16_t)(v >> 8 | v << 8);
}

uint16_t vr_net_sum(const struct iovec *iov, unsigned count, uint64_t off)
{
    uint64_t sum = 0;
    bool odd = false;
    for (unsigned i = 0; i < count; i++) {
        size_t len = iov[i].iov_len;
        if (off >= len) {
            off -= len;
            continue;
        }
        uint16_t part = csum_bytes((const uint8_t *)iov[i].iov_base + off, len - (size_t)off);
        sum += odd ? csum_swap(part) : part;
        odd ^= (len - (size_t)off) & 1;
        off = 0;
    }
    return csum_swap(csum_fold(sum));
}

enum { ETH_HEADER = 14, ETH_IPV4 = 0x0800, ETH_IPV6 = 0x86dd };
enum { PROTO_TCP = 6, PROTO_UDP = 17 };

/* The transport part of a packet, and what its pseudo header adds to the sum. */
struct csum_part {
    const uint8_t *bytes;
    size_t len;
    uint8_t proto;
    uint64_t pseudo; /* little-endian words */
};

static bool csum_ipv4(const uint8_t *ip, size_t len, struct csum_part *ret_part)
{
    if (len < 20 || ip[0] >> 4 != 4) {
        return false;
    }
    size_t header = (size_t)(ip[0] & 15) * 4, total = vr_load_be16(ip + 2);
    if (header < 20 || total < header || total > len || (vr_load_be16(ip + 6) & 0x3fff)) {
        return false; /* the last: a fragment */
    }
    *ret_part = (struct csum_part){ip + header, total - header, ip[9], csum_bytes(ip + 12, 8)};
    return csum_bytes(ip, header) == 0xffff;
}

static bool csum_ipv6(const uint8_t *ip, size_t len, struct csum_part *ret_part)
{
    if (len < 40 || ip[0] >> 4 != 6 || vr_load_be16(ip + 4) > len - 40) {
        return false;
    }
    *ret_part = (struct csum_part){ip + 40, vr_load_be16(ip + 4), ip[6], csum_bytes(ip + 8, 32)};
    return true;
}

bool vr_net_csum_valid(const uint8_t *frame, size_t len)
{
    struct csum_part t;
    if (len < ETH_HEADER) {
        return false;
    }
    uint16_t type = vr_load_be16(frame + 12);
    if (!(type == ETH_IPV4   ? csum_ipv4(frame + ETH_HEADER, len - ETH_HEADER, &t)
          : type == ETH_IPV6 ? csum_ipv6(frame + ETH_HEADER, len - ETH_HEADER, &t)
                             : false)) {
        return false;
    }
    bool udp = t.proto == PROTO_UDP;
    if (udp ? t.len < 8 || vr_load_be16(t.bytes + 4) != t.len || !vr_load_be16(t.bytes + 6)
            : t.proto != PROTO_TCP || t.len < 20) {
        return false;
    }
    uint64_t sum = t.pseudo + csum_swap(t.proto) + csum_swap((uint16_t)t.len);
    return csum_fold(sum + csum_bytes(t.bytes, t.len)) == 0xffff;
}

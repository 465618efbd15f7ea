/*
 * Headers as in RFC 826 (ARP), RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 768 (UDP),
 * RFC 792 (ICMP), RFC 4861 (neighbour discovery).
 */
#include "backend/net/user_filter.h"

#include "base/bits.h"

#include <string.h>

enum {
    ETH_LEN = 14,
    ETH_IPV4 = 0x0800,
    ETH_ARP = 0x0806,
    ETH_IPV6 = 0x86DD,
    ARP_LEN = 28,
    ARP_REQUEST = 1,
    IPV4_LEN = 20,
    IPV4_MORE = 0x2000,
    IPV4_OFFSET = 0x1FFF,
    IPV6_LEN = 40,
    IP_ICMP = 1,
    IP_TCP = 6,
    IP_UDP = 17,
    IP_ICMPV6 = 58,
    TCP_SYN = 0x02,
    TCP_ACK = 0x10,
    UDP_DHCP_SERVER = 67,
    UDP_DHCPV6_SERVER = 547,
    ND_FIRST = 133, /* router solicitation, router advertisement, */
    ND_SOLICIT = 135,
    ND_LAST = 136, /* neighbour solicitation, neighbour advertisement */
};

#define FILTER_SECOND_NS     UINT64_C(1000000000)
#define FILTER_STRANGERS_MAX 64u

void vr_net_filter_init(struct vr_net_filter *f, unsigned flows_max)
{
    *f = (struct vr_net_filter){.flows_max = flows_max};
}

void vr_net_filter_fini(struct vr_net_filter *f)
{
    vr_net_frags_fini(&f->frags);
}

static struct vr_net_address filter_address(const uint8_t *p, bool v6)
{
    struct vr_net_address a = {{0}};
    memcpy(a.b, p, v6 ? 16 : 4);
    return a;
}

/* Index of @a in @list, or -1. */
static int filter_find(const struct vr_net_address *list, int count, const struct vr_net_address *a)
{
    for (int i = 0; i < count; i++) {
        if (memcmp(&list[i], a, sizeof(*a)) == 0) {
            return i;
        }
    }
    return -1;
}

static bool filter_is_zero(const struct vr_net_address *a)
{
    const struct vr_net_address zero = {{0}};
    return memcmp(a, &zero, sizeof(zero)) == 0;
}

void vr_net_filter_station(struct vr_net_filter *f, const uint8_t *ip, bool v6)
{
    const struct vr_net_address zero = {{0}};
    int i = filter_find(f->stations[v6], VR_NET_STATIONS, &zero);
    if (i >= 0) {
        f->stations[v6][i] = filter_address(ip, v6);
    }
}

static bool filter_is_station(const struct vr_net_filter *f, const uint8_t *ip, bool v6)
{
    struct vr_net_address a = filter_address(ip, v6);
    return !filter_is_zero(&a) && filter_find(f->stations[v6], VR_NET_STATIONS, &a) >= 0;
}

static void filter_learn(struct vr_net_filter *f, const uint8_t *ip, bool v6)
{
    struct vr_net_address a = filter_address(ip, v6);
    if (!filter_is_zero(&a) && filter_find(f->known[v6], VR_NET_NEIGHBOURS, &a) < 0) {
        f->known[v6][f->next[v6]] = a;
        f->next[v6] = (f->next[v6] + 1) % VR_NET_NEIGHBOURS;
    }
}

static void filter_forget(struct vr_net_filter *f, const uint8_t *ip, bool v6)
{
    struct vr_net_address a = filter_address(ip, v6);
    int i = filter_find(f->known[v6], VR_NET_NEIGHBOURS, &a);
    if (i >= 0) {
        f->known[v6][i] = (struct vr_net_address){{0}};
    }
}

static bool filter_is_known(struct vr_net_filter *f, const uint8_t *ip, bool v6, uint64_t now_ns)
{
    struct vr_net_address a = filter_address(ip, v6);
    if (filter_find(f->known[v6], VR_NET_NEIGHBOURS, &a) >= 0) {
        return true;
    }
    if (now_ns - f->window_ns >= FILTER_SECOND_NS) {
        f->window_ns = now_ns;
        f->strangers = 0;
    }
    return f->strangers < FILTER_STRANGERS_MAX && ++f->strangers;
}

/* What IP carries, whole: @p of @len bytes. */
static enum vr_net_verdict filter_payload(const struct vr_net_filter *f, unsigned proto,
                                          const uint8_t *p, size_t len, unsigned flows)
{
    bool room = flows < f->flows_max;
    bool opens = false;
    switch (proto) {
    case IP_TCP:
        if (len < 20 || (size_t)(p[12] >> 4) * 4 > len || p[12] >> 4 < 5) {
            return VR_NET_REFUSE;
        }
        opens = (p[13] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
        break;
    case IP_UDP: {
        if (len < 8 || vr_load_be16(p + 4) < 8 || vr_load_be16(p + 4) > len) {
            return VR_NET_REFUSE;
        }
        unsigned port = vr_load_be16(p + 2);
        opens = port != UDP_DHCP_SERVER && port != UDP_DHCPV6_SERVER;
        break;
    }
    case IP_ICMP:
    case IP_ICMPV6:
        if (len < 8) {
            return VR_NET_REFUSE;
        }
        opens = proto == IP_ICMP; /* an echo to the world has a descriptor too */
        break;
    default:
        return VR_NET_IGNORE;
    }
    return opens && !room ? VR_NET_REFUSE : VR_NET_PASS;
}

/* *@frame, *@len: with the Ethernet header; replaced when the last fragment has come. */
static enum vr_net_verdict filter_ipv4(struct vr_net_filter *f, const uint8_t **frame, size_t *len,
                                       uint64_t now_ns, unsigned flows)
{
    const uint8_t *ip = *frame + ETH_LEN;
    size_t room = *len - ETH_LEN;
    if (room < IPV4_LEN || ip[0] >> 4 != 4) {
        return VR_NET_REFUSE;
    }
    size_t head = (size_t)(ip[0] & 15) * 4, total = vr_load_be16(ip + 2);
    if (head < IPV4_LEN || total < head || total > room) {
        return VR_NET_REFUSE;
    }
    if (head != IPV4_LEN) {
        return VR_NET_IGNORE; /* options: IGMP, and attacks */
    }
    if (vr_load_be16(ip + 6) & (IPV4_MORE | IPV4_OFFSET)) {
        const uint8_t *whole = vr_net_frags_add(&f->frags, *frame, now_ns, len);
        if (!whole) {
            return VR_NET_IGNORE;
        }
        *frame = whole;
        ip = whole + ETH_LEN;
        total = vr_load_be16(ip + 2);
    }
    enum vr_net_verdict v = filter_payload(f, ip[9], ip + IPV4_LEN, total - IPV4_LEN, flows);
    static const uint8_t nobody[4];
    bool dhcp = memcmp(ip + 12, nobody, 4) == 0; /* has no address yet; answered by broadcast */
    if (v == VR_NET_PASS && !dhcp && !filter_is_known(f, ip + 12, false, now_ns)) {
        v = VR_NET_REFUSE;
    }
    return v;
}

static enum vr_net_verdict filter_ipv6(struct vr_net_filter *f, const uint8_t *ip, size_t len,
                                       uint64_t now_ns, unsigned flows)
{
    if (len < IPV6_LEN || ip[0] >> 4 != 6) {
        return VR_NET_REFUSE;
    }
    size_t payload = vr_load_be16(ip + 4);
    if (payload > len - IPV6_LEN) {
        return VR_NET_REFUSE;
    }
    const uint8_t *p = ip + IPV6_LEN;
    enum vr_net_verdict v = filter_payload(f, ip[6], p, payload, flows);
    if (v != VR_NET_PASS) {
        return v;
    }
    if (ip[6] == IP_ICMPV6 && p[0] >= ND_FIRST && p[0] <= ND_LAST) {
        if (p[0] >= ND_SOLICIT && payload < 24) {
            return VR_NET_REFUSE;
        }
        if (ip[7] != 255 || p[1] != 0) {
            return VR_NET_REFUSE; /* from beyond the link: forged */
        }
        if (p[0] == ND_LAST) {
            filter_learn(f, p + 8, true);
        } else if (p[0] == ND_FIRST || (p[0] == ND_SOLICIT && filter_is_station(f, p + 8, true))) {
            filter_learn(f, ip + 8, true);
        }
        return v;
    }
    return filter_is_known(f, ip + 8, true, now_ns) ? v : VR_NET_REFUSE;
}

enum vr_net_verdict vr_net_filter_in(struct vr_net_filter *f, const uint8_t **frame, size_t *len,
                                     uint64_t now_ns, unsigned flows)
{
    if (*len < ETH_LEN) {
        return VR_NET_REFUSE;
    }
    const uint8_t *body = *frame + ETH_LEN;
    switch (vr_load_be16(*frame + 12)) {
    case ETH_ARP:
        if (*len < ETH_LEN + ARP_LEN) {
            return VR_NET_REFUSE;
        }
        if (vr_load_be16(body + 6) != ARP_REQUEST || memcmp(body + 14, body + 24, 4) == 0 ||
            filter_is_station(f, body + 24, false)) {
            filter_learn(f, body + 14, false);
        }
        return VR_NET_PASS;
    case ETH_IPV4:
        return filter_ipv4(f, frame, len, now_ns, flows);
    case ETH_IPV6:
        return filter_ipv6(f, body, *len - ETH_LEN, now_ns, flows);
    default:
        return VR_NET_IGNORE;
    }
}

void vr_net_filter_out(struct vr_net_filter *f, const uint8_t *frame, size_t len)
{
    if (len < ETH_LEN) {
        return;
    }
    const uint8_t *body = frame + ETH_LEN;
    unsigned type = vr_load_be16(frame + 12);
    if (type == ETH_ARP && len >= ETH_LEN + ARP_LEN && vr_load_be16(body + 6) == ARP_REQUEST) {
        filter_forget(f, body + 24, false);
    } else if (type == ETH_IPV6 && len >= ETH_LEN + IPV6_LEN + 24 && body[6] == IP_ICMPV6 &&
               body[IPV6_LEN] == ND_SOLICIT) {
        filter_forget(f, body + IPV6_LEN + 8, true);
    }
}

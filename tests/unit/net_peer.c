#include "net_peer.h"

#include "test.h"

#include "base/bits.h"
#include "vireo/host_time.h"

#include <string.h>

#define PEER_PATIENCE_NS UINT64_C(5000000000)

static bool peer_on_frame(void *opaque, const uint8_t *frame, size_t len)
{
    struct peer *p = opaque;
    if (p->full || p->count == PEER_FRAMES || len > PEER_FRAME_LEN) {
        p->refused++;
        return false;
    }
    memcpy(p->frames[p->count].b, frame, len);
    p->frames[p->count++].len = len;
    return true;
}

void peer_init(struct peer *p, const char *opts)
{
    struct vr_error err = {0};
    *p = (struct peer){.ip = 0x0A00020F, .gateway = 0x0A000202, .mac = {0x52, 0x54, 0, 1, 2, 3}};
    assert_int_equal(vr_loop_create(&p->loop, &err), 0);
    if (vr_net_open_user(opts, p->loop, &p->net, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    const struct vr_net_user user = {.on_frame = peer_on_frame, .opaque = p};
    vr_net_attach(p->net, &user);
}

void peer_fini(struct peer *p)
{
    vr_net_close(p->net);
    vr_loop_destroy(p->loop);
}

void peer_turn(struct peer *p, int timeout_ms)
{
    vr_loop_turn(p->loop, timeout_ms);
}

void peer_send(struct peer *p, const void *frame, size_t len)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)frame, .iov_len = len};
    vr_net_send(p->net, &iov, 1, len);
}

bool peer_expect(struct peer *p, bool (*match)(const uint8_t *frame, size_t len, void *opaque),
                 void *opaque, uint8_t *ret_frame, size_t *ret_len)
{
    uint64_t end_ns = vireo_monotonic_ns() + PEER_PATIENCE_NS;
    for (;;) {
        for (unsigned i = 0; i < p->count; i++) {
            if (match(p->frames[i].b, p->frames[i].len, opaque)) {
                memcpy(ret_frame, p->frames[i].b, p->frames[i].len);
                *ret_len = p->frames[i].len;
                memmove(&p->frames[i], &p->frames[i + 1], (--p->count - i) * sizeof(p->frames[0]));
                return true;
            }
        }
        if (vireo_monotonic_ns() >= end_ns) {
            return false;
        }
        peer_turn(p, 100);
    }
}

void peer_flush(struct peer *p)
{
    for (unsigned i = 0; i < 3; i++) {
        peer_turn(p, 0);
    }
    p->count = 0;
}

static uint32_t peer_sum(uint32_t sum, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        sum += vr_load_be16(p + i);
    }
    return len & 1 ? sum + (uint32_t)p[len - 1] * 256 : sum;
}

static uint16_t peer_fold(uint32_t sum)
{
    while (sum >> 16) {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static void peer_eth(const struct peer *p, uint8_t *frame, unsigned type, bool broadcast)
{
    memcpy(frame, p->gateway_mac, 6);
    if (broadcast) {
        memset(frame, 0xFF, 6);
    }
    memcpy(frame + 6, p->mac, 6);
    vr_store_be16(frame + 12, (uint16_t)type);
}

size_t peer_arp(const struct peer *p, uint8_t *frame, uint32_t target)
{
    static const uint8_t head[8] = {0, 1, 8, 0, 6, 4, 0, 1};
    peer_eth(p, frame, 0x0806, true);
    memcpy(frame + 14, head, 8);
    memcpy(frame + 22, p->mac, 6);
    vr_store_be32(frame + 28, p->ip);
    memset(frame + 32, 0, 6);
    vr_store_be32(frame + 38, target);
    return 42;
}

void peer_fix_ipv4_sum(uint8_t *frame)
{
    vr_store_be16(frame + 24, 0);
    vr_store_be16(frame + 24, peer_fold(peer_sum(0, frame + 14, (size_t)(frame[14] & 15) * 4)));
}

size_t peer_ipv4(const struct peer *p, uint8_t *frame, unsigned proto, uint32_t to,
                 const void *payload, size_t len)
{
    peer_eth(p, frame, 0x0800, to == UINT32_MAX);
    memset(frame + 14, 0, 20);
    frame[14] = 0x45;
    vr_store_be16(frame + 16, (uint16_t)(20 + len));
    frame[22] = 64;
    frame[23] = (uint8_t)proto;
    vr_store_be32(frame + 26, p->ip);
    vr_store_be32(frame + 30, to);
    memmove(frame + 34, payload, len);
    peer_fix_ipv4_sum(frame);
    return 34 + len;
}

/* Checksum over the pseudo header (RFC 9293 section 3.1). */
static uint16_t peer_l4_sum(const uint8_t *frame, size_t len)
{
    return peer_fold(peer_sum(frame[23] + (uint32_t)len, frame + 26, 8) +
                     peer_sum(0, frame + 34, len));
}

size_t peer_udp(const struct peer *p, uint8_t *frame, uint16_t sport, uint32_t to, uint16_t dport,
                const void *payload, size_t len)
{
    uint8_t udp[1600];
    assert_true(len + 8 <= sizeof(udp));
    vr_store_be16(udp, sport);
    vr_store_be16(udp + 2, dport);
    vr_store_be16(udp + 4, (uint16_t)(8 + len));
    vr_store_be16(udp + 6, 0);
    memcpy(udp + 8, payload, len);
    size_t n = peer_ipv4(p, frame, 17, to, udp, 8 + len);
    vr_store_be16(frame + 40, peer_l4_sum(frame, 8 + len));
    return n;
}

size_t peer_tcp(const struct peer *p, uint8_t *frame, const struct peer_tcp *t, unsigned flags,
                const void *payload, size_t len)
{
    uint8_t tcp[1600] = {0};
    assert_true(len + 20 <= sizeof(tcp));
    vr_store_be16(tcp, t->sport);
    vr_store_be16(tcp + 2, t->dport);
    vr_store_be32(tcp + 4, t->seq);
    vr_store_be32(tcp + 8, t->ack);
    tcp[12] = 5 << 4;
    tcp[13] = (uint8_t)flags;
    vr_store_be16(tcp + 14, 32768);
    if (len) {
        memcpy(tcp + 20, payload, len);
    }
    size_t n = peer_ipv4(p, frame, 6, t->ip, tcp, 20 + len);
    vr_store_be16(frame + 50, peer_l4_sum(frame, 20 + len));
    return n;
}

static bool peer_is_arp_reply(const uint8_t *frame, size_t len, void *opaque)
{
    (void)opaque;
    return len >= 42 && vr_load_be16(frame + 12) == 0x0806 && vr_load_be16(frame + 20) == 2;
}

void peer_meet(struct peer *p)
{
    uint8_t frame[PEER_FRAME_LEN];
    size_t len;
    peer_send(p, frame, peer_arp(p, frame, p->gateway));
    assert_true(peer_expect(p, peer_is_arp_reply, NULL, frame, &len));
    assert_int_equal(vr_load_be32(frame + 28), p->gateway);
    memcpy(p->gateway_mac, frame + 22, 6);
}

struct peer_dhcp_match {
    uint8_t type;
};

/* An answer from port 67 to 68 whose option 53 (RFC 2132) says @type. */
static bool peer_is_dhcp(const uint8_t *frame, size_t len, void *opaque)
{
    const struct peer_dhcp_match *m = opaque;
    if (len < 42 + 244 || vr_load_be16(frame + 12) != 0x0800 || frame[23] != 17 ||
        vr_load_be16(frame + 34) != 67 || vr_load_be16(frame + 36) != 68) {
        return false;
    }
    for (size_t i = 42 + 240; i + 2 < len && frame[i] != 255;
         i += frame[i] ? 2u + frame[i + 1] : 1u) {
        if (frame[i] == 53) {
            return frame[i + 2] == m->type;
        }
    }
    return false;
}

uint32_t peer_dhcp(struct peer *p)
{
    uint8_t frame[PEER_FRAME_LEN], dhcp[300] = {1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78};
    static const uint8_t cookie[4] = {0x63, 0x82, 0x53, 0x63};
    uint32_t ip = p->ip, offered;
    size_t len;
    p->ip = 0;
    memcpy(dhcp + 28, p->mac, 6);
    memcpy(dhcp + 236, cookie, 4);
    static const uint8_t discover[] = {53, 1, 1, 255};
    memcpy(dhcp + 240, discover, sizeof(discover));
    peer_send(p, frame, peer_udp(p, frame, 68, UINT32_MAX, 67, dhcp, sizeof(dhcp)));
    struct peer_dhcp_match offer = {.type = 2}, ack = {.type = 5};
    p->ip = ip;
    if (!peer_expect(p, peer_is_dhcp, &offer, frame, &len)) {
        return 0;
    }
    offered = vr_load_be32(frame + 42 + 16);
    uint8_t request[] = {53, 1, 3, 50, 4, 0, 0, 0, 0, 255};
    vr_store_be32(request + 5, offered);
    memcpy(dhcp + 240, request, sizeof(request));
    p->ip = 0;
    peer_send(p, frame, peer_udp(p, frame, 68, UINT32_MAX, 67, dhcp, sizeof(dhcp)));
    p->ip = ip;
    if (!peer_expect(p, peer_is_dhcp, &ack, frame, &len)) {
        return 0;
    }
    return vr_load_be32(frame + 42 + 16) == offered ? offered : 0;
}

/* TCP to our port, from the other's when that is known. */
static bool peer_is_tcp(const uint8_t *frame, size_t len, void *opaque)
{
    const struct peer_tcp *t = opaque;
    return len >= 54 && vr_load_be16(frame + 12) == 0x0800 && frame[23] == 6 &&
           vr_load_be16(frame + 36) == t->sport &&
           (t->dport == 0 || vr_load_be16(frame + 34) == t->dport);
}

bool peer_connect(struct peer *p, struct peer_tcp *t)
{
    uint8_t frame[PEER_FRAME_LEN];
    size_t len;
    peer_send(p, frame, peer_tcp(p, frame, t, 0x02, NULL, 0));
    if (!peer_expect(p, peer_is_tcp, t, frame, &len) || (frame[47] & 0x17) != 0x12) {
        return false;
    }
    t->seq++;
    t->ack = vr_load_be32(frame + 38) + 1;
    peer_send(p, frame, peer_tcp(p, frame, t, 0x10, NULL, 0));
    return true;
}

bool peer_accept(struct peer *p, struct peer_tcp *t, uint16_t port)
{
    uint8_t frame[PEER_FRAME_LEN];
    size_t len;
    *t = (struct peer_tcp){.sport = port, .seq = 5000};
    if (!peer_expect(p, peer_is_tcp, t, frame, &len) || (frame[47] & 0x17) != 0x02) {
        return false;
    }
    t->ip = vr_load_be32(frame + 26);
    t->dport = vr_load_be16(frame + 34);
    t->ack = vr_load_be32(frame + 38) + 1;
    peer_send(p, frame, peer_tcp(p, frame, t, 0x12, NULL, 0));
    t->seq++;
    return true;
}

void peer_tcp_send(struct peer *p, struct peer_tcp *t, const void *buf, size_t len)
{
    uint8_t frame[PEER_FRAME_LEN];
    peer_send(p, frame, peer_tcp(p, frame, t, 0x18, buf, len));
    t->seq += (uint32_t)len;
}

bool peer_tcp_recv(struct peer *p, struct peer_tcp *t, void *buf, size_t len)
{
    uint8_t frame[PEER_FRAME_LEN], *to = buf;
    size_t flen;
    while (len) {
        if (!peer_expect(p, peer_is_tcp, t, frame, &flen) || (frame[47] & 0x04)) {
            return false;
        }
        size_t head = (size_t)(frame[46] >> 4) * 4;
        size_t n = vr_load_be16(frame + 16) - 20u - head;
        if (n == 0 || vr_load_be32(frame + 38) != t->ack || n > len) {
            continue; /* an acknowledgement, or sent again */
        }
        memcpy(to, frame + 34 + head, n);
        to += n;
        len -= n;
        t->ack += (uint32_t)n;
        peer_send(p, frame, peer_tcp(p, frame, t, 0x10, NULL, 0));
    }
    return true;
}

/*
 * Offloads of the network card: large packets are cut into packets that, put together again, are
 * what the guest sent; backends that take them whole get them whole; large packets come in as one;
 * hashes are those that the specification's inventor published.
 * Specification: VIRTIO 1.3, sections 5.1.6.2 to 5.1.6.4.
 */
#include "virtq_driver.h"

#include "base/bits.h"
#include "dev/virtio/net.h"
#include "dev/virtio/net_csum.h"
#include "dev/virtio/net_packet.h"
#include "dev/virtio/net_priv.h"
#include "virtio_fakes.h"

#include <stdlib.h>

enum { RX = 0, TX = 1, CONTROL = 2, HEADER = 12, TCP = 6, UDP = 17 };
enum { LARGE = 9000 };

static int setup(void **state)
{
    return net_setup(state, VD_CLASS(net), "mac=52:54:00:12:34:56," VD_OPTS);
}

/* What a packet is made of. */
struct kind {
    bool v6, vlan;
    uint8_t proto;
    unsigned options; /* bytes, of TCP */
};

static size_t l3_of(const struct kind *k)
{
    return k->vlan ? 18 : 14;
}

static size_t l4_of(const struct kind *k)
{
    return l3_of(k) + (k->v6 ? 40 : 20);
}

static size_t payload_of(const struct kind *k)
{
    return l4_of(k) + (k->proto == TCP ? 20 + k->options : 8);
}

static unsigned field_of(const struct kind *k)
{
    return k->proto == TCP ? 16 : 6;
}

static uint16_t sum_of(const uint8_t *bytes, size_t len)
{
    struct iovec iov = {(void *)bytes, len};
    return vr_net_sum(&iov, 1, 0);
}

/* The sum of pseudo header and transport, slowly: 0xffff when it is right. */
static uint16_t transport_sum(const uint8_t *frame, const struct kind *k, size_t len, bool payload)
{
    const uint8_t *ip = frame + l3_of(k), *t = frame + l4_of(k);
    size_t t_len = len - l4_of(k);
    uint32_t sum = k->proto + (uint32_t)t_len;
    for (unsigned i = k->v6 ? 8 : 12; i < (k->v6 ? 40u : 20u); i += 2) {
        sum += vr_load_be16(ip + i);
    }
    for (size_t i = 0; payload && i < t_len; i++) {
        sum += i % 2 ? t[i] : (uint32_t)t[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

/* A packet of @len bytes with the pseudo header's sum where the checksum belongs. */
static void make_packet(uint8_t *frame, const struct kind *k, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        frame[i] = (uint8_t)rig_random(&seed);
    }
    memcpy(frame, "\x52\x54\x00\x12\x34\x56", 6);
    uint8_t *ip = frame + l3_of(k), *t = frame + l4_of(k);
    vr_store_be16(frame + 12, k->vlan ? 0x8100 : k->v6 ? 0x86dd : 0x0800);
    vr_store_be16(ip - 2, k->v6 ? 0x86dd : 0x0800);
    if (k->v6) {
        ip[0] = 0x60;
        vr_store_be16(ip + 4, (uint16_t)(len - l4_of(k)));
        ip[6] = k->proto;
    } else {
        ip[0] = 0x45;
        vr_store_be16(ip + 2, (uint16_t)(len - l3_of(k)));
        vr_store_be16(ip + 4, 0xfffe);
        vr_store_be16(ip + 6, 0);
        ip[9] = k->proto;
        vr_store_be16(ip + 10, 0);
        vr_store_be16(ip + 10, (uint16_t)~sum_of(ip, 20));
    }
    if (k->proto == TCP) {
        t[12] = (uint8_t)((20 + k->options) / 4 << 4);
        t[13] = 0x99; /* FIN, PSH, ACK, CWR */
    } else {
        vr_store_be16(t + 4, (uint16_t)(len - l4_of(k)));
    }
    vr_store_be16(t + field_of(k), 0);
    vr_store_be16(t + field_of(k), transport_sum(frame, k, len, false));
}

/* Have the guest send @frame as a large packet; in cuts of @cut bytes. */
static void send_large(struct net_fixture *f, const uint8_t *frame, const struct kind *k,
                       size_t len, uint8_t gso_type, uint16_t gso_size, uint32_t cut)
{
    static uint8_t raw[HEADER + LARGE];
    static struct vd_buf bufs[256];
    memset(raw, 0, HEADER);
    raw[0] = 1 | 0xf8; /* what is unknown is ignored */
    raw[1] = gso_type;
    /* Nobody may rely on the length of the headers (5.1.6.2.2). */
    vr_store_le16(raw + 2, (uint16_t)(len % 3 ? payload_of(k) : len % 2 ? 0 : UINT16_MAX));
    vr_store_le16(raw + 4, gso_size);
    vr_store_le16(raw + 6, (uint16_t)l4_of(k));
    vr_store_le16(raw + 8, (uint16_t)field_of(k));
    memcpy(raw + HEADER, frame, len);
    uint64_t heap = f->d.heap;
    struct vd_buf out = vd_out(&f->d, raw, (uint32_t)(HEADER + len));
    (void)vd_do(&f->d, TX, bufs, vd_split(out, cut, bufs, 256));
    assert_memory_equal(vd_hva(&f->d, out.gpa), raw, HEADER + len); /* it is the guest's */
    f->d.heap = heap;
}

#define OFFLOADS                                                                        \
    (NET_F_CSUM | NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_HOST_ECN | NET_F_HOST_UFO | \
     NET_F_HOST_USO | VR_VIRTIO_F_INDIRECT_DESC)

static void check_segments(struct net_fixture *f, const uint8_t *frame, const struct kind *k,
                           size_t len, size_t size)
{
    size_t head = payload_of(k), off = 0;
    for (unsigned i = 0; i < f->net.sent_count; i++) {
        const uint8_t *got = f->net.sent[i], *ip = got + l3_of(k), *t = got + l4_of(k);
        size_t got_len = f->net.sent_len[i], n = got_len - head;
        bool last = i + 1 == f->net.sent_count;
        assert_true(last ? n <= size : n == size);
        assert_memory_equal(got + head, frame + head + off, n);
        assert_int_equal(transport_sum(got, k, got_len, true), 0xffff);
        if (k->v6) {
            assert_int_equal(vr_load_be16(ip + 4), got_len - l4_of(k));
        } else {
            assert_int_equal(vr_load_be16(ip + 2), got_len - l3_of(k));
            assert_int_equal(vr_load_be16(ip + 4), (uint16_t)(0xfffe + i));
            assert_int_equal(sum_of(ip, 20), 0xffff);
        }
        if (k->proto == TCP) {
            assert_int_equal(vr_load_be32(t + 4),
                             (uint32_t)(vr_load_be32(frame + l4_of(k) + 4) + off));
            assert_int_equal(t[13], 0x10 | (last ? 9 : 0) | (i == 0 ? 0x80 : 0));
        } else {
            assert_int_equal(vr_load_be16(t + 4), 8 + n);
        }
        /* Everything else is as it was. */
        assert_memory_equal(got, frame, l3_of(k));
        assert_memory_equal(t, frame + l4_of(k), 4);
        off += n;
    }
    assert_int_equal(head + off, len);
}

static void segments_are_what_the_guest_sent(void **state)
{
    struct net_fixture *f = *state;
    static const uint32_t cuts[] = {54, 1000, 9100};
    uint8_t frame[LARGE];
    unsigned runs = 0;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m += 3) {
        for (unsigned i = 0; i < 96; i++) {
            const struct kind k = {
                .v6 = i & 1, .vlan = i & 2, .proto = i & 4 ? UDP : TCP, .options = i & 8 ? 12 : 0};
            uint16_t size = i & 16 ? 1448 : 536;
            size_t len = payload_of(&k) + (i % 5 == 0 ? size * 4u : 100 + i * 83);
            uint8_t type = k.proto == UDP ? GSO_UDP_L4 : k.v6 ? GSO_TCPV6 : GSO_TCPV4;
            make_packet(frame, &k, len, i + 1);
            vd_start(&f->d, OFFLOADS | vd_modes[m].features, 256);
            send_large(f, frame, &k, len, (uint8_t)(type | (k.proto == TCP ? GSO_ECN : 0)), size,
                       cuts[i % 3]);
            assert_true(f->net.sent_count > 0);
            check_segments(f, frame, &k, len, size);
            fake_net_forget(&f->net);
            runs++;
        }
    }
    assert_int_equal(net_stats(f).tx_large, runs);
    assert_int_equal(f->dev->guest_errors, 0);
}

/* UFO: fragments which, put together, are the datagram with its checksum. */
static void fragments_are_one_datagram(void **state)
{
    struct net_fixture *f = *state;
    uint8_t frame[LARGE], whole[LARGE];
    for (unsigned i = 0; i < 40; i++) {
        const struct kind k = {.v6 = i & 1, .vlan = i & 2, .proto = UDP};
        size_t len = payload_of(&k) + 1 + i * 200, at = l4_of(&k), extra = k.v6 ? 8 : 0;
        make_packet(frame, &k, len, i + 1);
        vd_start(&f->d, OFFLOADS, 256);
        send_large(f, frame, &k, len, GSO_UDP, 1483, 4000);
        memcpy(whole, frame, l4_of(&k));
        uint32_t id = 0;
        for (unsigned n = 0; n < f->net.sent_count; n++) {
            const uint8_t *got = f->net.sent[n], *ip = got + l3_of(&k);
            size_t got_len = f->net.sent_len[n], piece = got_len - l4_of(&k) - extra;
            bool last = n + 1 == f->net.sent_count;
            assert_true(piece <= 1480 && (last || piece == 1480));
            size_t off;
            if (k.v6) {
                const uint8_t *fh = got + l4_of(&k);
                assert_int_equal(ip[6], 44);
                assert_int_equal(vr_load_be16(ip + 4), piece + 8);
                assert_int_equal(fh[0], UDP);
                assert_int_equal(vr_load_be16(fh + 2) & 7, !last);
                off = vr_load_be16(fh + 2) & 0xfff8;
                assert_true(n == 0 || id == vr_load_be32(fh + 4));
                id = vr_load_be32(fh + 4);
            } else {
                assert_int_equal(vr_load_be16(ip + 2), piece + 20);
                assert_int_equal(vr_load_be16(ip + 4), 0xfffe); /* all have the same id */
                assert_int_equal(vr_load_be16(ip + 6) >> 13, !last);
                assert_int_equal(sum_of(ip, 20), 0xffff);
                off = (vr_load_be16(ip + 6) & 0x1fffu) * 8;
            }
            assert_int_equal(l4_of(&k) + off, at);
            memcpy(whole + at, got + l4_of(&k) + extra, piece);
            at += piece;
        }
        assert_int_equal(at, len);
        assert_int_equal(transport_sum(whole, &k, len, true), 0xffff);
        assert_memory_equal(whole + payload_of(&k), frame + payload_of(&k), len - payload_of(&k));
        fake_net_forget(&f->net);
    }
}

/* A backend that takes large packets gets them in one piece, checksum and all, and not copied. */
static void large_packets_stay_whole_where_they_may(void **state)
{
    struct net_fixture *f = *state;
    uint8_t frame[LARGE];
    f->net.net.takes_large = true;
    for (unsigned i = 0; i < 8; i++) {
        const struct kind k = {.v6 = i & 1, .vlan = i & 2, .proto = i & 4 ? UDP : TCP};
        size_t len = 8000 + i;
        make_packet(frame, &k, len, i + 1);
        vd_start(&f->d, OFFLOADS, 256);
        uint64_t copied = vd_stats(&f->d, TX)->copied;
        send_large(f, frame, &k, len,
                   k.proto == UDP ? GSO_UDP
                   : k.v6         ? GSO_TCPV6
                                  : GSO_TCPV4,
                   1400, 3000);
        assert_int_equal(f->net.sent_count, 1);
        assert_int_equal(f->net.sent_len[0], len);
        assert_int_equal(transport_sum(f->net.sent[0], &k, len, true), 0xffff);
        assert_memory_equal(f->net.sent[0] + payload_of(&k), frame + payload_of(&k),
                            len - payload_of(&k));
        assert_int_equal(vd_stats(&f->d, TX)->copied - copied, HEADER);
        fake_net_forget(&f->net);
    }
    /* Datagrams are cut all the same: they are many. */
    const struct kind udp = {.proto = UDP};
    make_packet(frame, &udp, payload_of(&udp) + 3000, 1);
    send_large(f, frame, &udp, payload_of(&udp) + 3000, GSO_UDP_L4, 1000, 9000);
    assert_int_equal(f->net.sent_count, 3);
}

static void large_packets_that_lie_are_refused(void **state)
{
    struct net_fixture *f = *state;
    uint8_t frame[LARGE];
    const struct kind tcp = {.proto = TCP}, tcp6 = {.proto = TCP, .v6 = true}, udp = {.proto = UDP};
    for (unsigned takes = 0; takes < 2; takes++) {
        uint64_t bad = net_stats(f).tx_bad;
        f->net.net.takes_large = takes;
        vd_start(&f->d, OFFLOADS, 256);
        make_packet(frame, &tcp, 4000, 1);
        send_large(f, frame, &tcp, 4000, GSO_TCPV6, 1000, 9000); /* it is IPv4 */
        send_large(f, frame, &tcp, 4000, GSO_UDP, 1000, 9000);   /* it is TCP */
        send_large(f, frame, &tcp, 4000, GSO_UDP_L4, 1000, 9000);
        send_large(f, frame, &tcp, 4000, 2, 1000, 9000); /* no such type */
        send_large(f, frame, &tcp, 4000, GSO_TCPV4, 0, 9000);
        send_large(f, frame, &udp, 4000, GSO_TCPV4, 1000, 9000); /* csum_start of another */
        send_large(f, frame, &tcp6, 4000, GSO_TCPV4, 1000, 9000);
        make_packet(frame, &tcp, payload_of(&tcp), 1);
        send_large(f, frame, &tcp, payload_of(&tcp), GSO_TCPV4, 1000, 9000); /* no payload */
        send_large(f, frame, &tcp, payload_of(&tcp) - 1, GSO_TCPV4, 1000, 9000);
        make_packet(frame, &udp, 4000, 1);
        send_large(f, frame, &udp, 4000, GSO_UDP_L4, 1, 9000); /* thousands of datagrams */
        make_packet(frame, &tcp, 4000, 1);
        frame[l3_of(&tcp)] = 0x44; /* an IP header of 16 bytes */
        send_large(f, frame, &tcp, 4000, GSO_TCPV4, 1000, 9000);
        make_packet(frame, &tcp, 4000, 1);
        frame[l4_of(&tcp) + 12] = 0x40; /* a TCP header of 16 bytes */
        send_large(f, frame, &tcp, 4000, GSO_TCPV4, 1000, 9000);
        vd_start(&f->d, OFFLOADS & ~(NET_F_HOST_TSO4 | NET_F_HOST_ECN), 256);
        make_packet(frame, &tcp, 4000, 1);
        send_large(f, frame, &tcp, 4000, GSO_TCPV4, 1000, 9000); /* not negotiated */
        make_packet(frame, &tcp6, 4000, 1);
        send_large(f, frame, &tcp6, 4000, GSO_TCPV6 | GSO_ECN, 1000, 9000);
        assert_int_equal(net_stats(f).tx_bad - bad, 14);
        assert_int_equal(f->net.sent_count, 0);
        assert_false(vd_needs_reset(&f->d));
    }
}

/* --- To the guest --- */

static void complete_sum(uint8_t *frame, const struct kind *k, size_t len)
{
    uint8_t *field = frame + l4_of(k) + field_of(k);
    vr_store_be16(field, 0);
    vr_store_be16(field, (uint16_t)~transport_sum(frame, k, len, true));
}

static void large_packets_come_in_as_one(void **state)
{
    struct net_fixture *f = *state;
    struct vd *d = &f->d;
    uint8_t frame[LARGE];
    const uint64_t guest =
        NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN | NET_F_MRG_RXBUF;
    for (unsigned i = 0; i < 4; i++) {
        const struct kind k = {.v6 = i & 1, .proto = TCP, .options = i & 2 ? 12 : 0};
        make_packet(frame, &k, LARGE, i + 1);
        complete_sum(frame, &k, LARGE);
        vd_start(d, guest, 64);
        struct vd_buf in = vd_in(d, LARGE + HEADER);
        vd_add(d, RX, &in, 1);
        assert_true(fake_net_offer(&f->net, frame, LARGE));
        const uint8_t *h = vd_hva(d, in.gpa), *got = h + HEADER;
        uint32_t len;
        assert_true(vd_used(d, RX, NULL, &len));
        assert_int_equal(len, HEADER + LARGE);
        assert_int_equal(h[0], 1); /* NEEDS_CSUM */
        assert_int_equal(h[1], (k.v6 ? GSO_TCPV6 : GSO_TCPV4) | GSO_ECN);
        assert_int_equal(vr_load_le16(h + 2), payload_of(&k));
        assert_int_equal(vr_load_le16(h + 4), 1500 + l3_of(&k) - payload_of(&k));
        assert_int_equal(vr_load_le16(h + 6), l4_of(&k));
        assert_int_equal(vr_load_le16(h + 8), 16);
        assert_int_equal(vr_load_be16(got + l4_of(&k) + 16),
                         transport_sum(frame, &k, LARGE, false));
        assert_memory_equal(got + payload_of(&k), frame + payload_of(&k), LARGE - payload_of(&k));
        /* One that does not know of congestion marks gets none as a large packet. */
        vd_start(d, guest & ~NET_F_GUEST_ECN, 64);
        in = vd_in(d, LARGE + HEADER);
        vd_add(d, RX, &in, 1);
        assert_true(fake_net_offer(&f->net, frame, LARGE));
        assert_true(vd_used(d, RX, NULL, NULL));
        assert_int_equal(vd_hva(d, in.gpa)[1], 0);
        /* A driver that turned it off gets no such packets. */
        frame[l4_of(&k) + 13] = 0x10;
        complete_sum(frame, &k, LARGE);
        vd_start(d, NET_F_GUEST_CSUM | NET_F_MRG_RXBUF, 64);
        in = vd_in(d, LARGE + HEADER);
        vd_add(d, RX, &in, 1);
        assert_true(fake_net_offer(&f->net, frame, LARGE));
        assert_true(vd_used(d, RX, NULL, NULL));
        assert_int_equal(vd_hva(d, in.gpa)[0], 2); /* DATA_VALID */
        assert_int_equal(vd_hva(d, in.gpa)[1], 0);
        assert_memory_equal(vd_hva(d, in.gpa) + HEADER, frame, LARGE);
        /* A wrong checksum is not covered up. */
        vd_start(d, guest, 64);
        in = vd_in(d, LARGE + HEADER);
        vd_add(d, RX, &in, 1);
        frame[LARGE - 1] ^= 1;
        assert_true(fake_net_offer(&f->net, frame, LARGE));
        assert_int_equal(vd_hva(d, in.gpa)[0], 0);
        assert_int_equal(vd_hva(d, in.gpa)[1], 0);
    }
    assert_int_equal(net_stats(f).rx_large, 4);
}

static uint8_t command(struct net_fixture *f, const void *bytes, uint32_t len)
{
    struct vd_buf bufs[] = {vd_out(&f->d, bytes, len), vd_in(&f->d, 1)};
    (void)vd_do(&f->d, CONTROL, bufs, 2);
    return *vd_hva(&f->d, bufs[1].gpa);
}

static void offloads_can_be_turned_off(void **state)
{
    struct net_fixture *f = *state;
    struct vd *d = &f->d;
    uint8_t frame[200], set[10] = {5, 0};
    const struct kind k = {.proto = TCP};
    make_packet(frame, &k, sizeof(frame), 1);
    complete_sum(frame, &k, sizeof(frame));
    vd_start(d, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_CTRL_VQ | NET_F_CTRL_GUEST_OFFLOADS,
             64);
    for (unsigned i = 0; i < 3; i++) {
        struct vd_buf in = vd_in(d, 300);
        vr_store_le64(set + 2, i == 1 ? 0 : NET_F_GUEST_CSUM | NET_F_GUEST_TSO4);
        assert_int_equal(command(f, set, 10), 0);
        vd_add(d, RX, &in, 1);
        assert_true(fake_net_offer(&f->net, frame, sizeof(frame)));
        assert_int_equal(vd_hva(d, in.gpa)[0], i == 1 ? 0 : 2);
    }
    vr_store_le64(set + 2, NET_F_GUEST_TSO6); /* not negotiated */
    assert_int_equal(command(f, set, 10), 1);
    assert_int_equal(command(f, set, 9), 1);
    set[1] = 1;
    assert_int_equal(command(f, set, 10), 1);
}

/* --- Hashes --- */

/* The verification suite of the RSS specification (Microsoft, "Verifying the RSS Hash
 * Calculation"). */
static void hashes_are_the_published_ones(void **state)
{
    static const uint8_t key[VR_HASH_KEY] = {
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
        0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
        0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
    static const struct {
        uint8_t from[4], to[4];
        uint16_t from_port, to_port;
        uint32_t with_ports, without;
    } v4[] = {
        {{66, 9, 149, 187}, {161, 142, 100, 80}, 2794, 1766, 0x51ccc178, 0x323e8fc2},
        {{199, 92, 111, 2}, {65, 69, 140, 83}, 14230, 4739, 0xc626b0ea, 0xd718262a},
        {{24, 19, 198, 95}, {12, 22, 207, 184}, 12898, 38024, 0x5c2b394a, 0xd2d0a5de},
    };
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(v4); i++) {
        for (unsigned proto = 0; proto < 2; proto++) {
            uint8_t frame[100];
            const struct kind k = {.proto = proto ? UDP : TCP};
            struct vr_packet p;
            uint32_t hash = 0, exact = proto ? VR_HASH_UDPV4 : VR_HASH_TCPV4;
            make_packet(frame, &k, sizeof(frame), 1);
            memcpy(frame + 26, v4[i].from, 4);
            memcpy(frame + 30, v4[i].to, 4);
            vr_store_be16(frame + 34, v4[i].from_port);
            vr_store_be16(frame + 36, v4[i].to_port);
            vr_packet_parse(frame, sizeof(frame), &p);
            assert_int_equal(vr_packet_hash(frame, &p, VR_HASH_TYPES, key, &hash), 2 + proto);
            assert_int_equal(hash, v4[i].with_ports);
            assert_int_equal(vr_packet_hash(frame, &p, exact, key, &hash), 2 + proto);
            assert_int_equal(vr_packet_hash(frame, &p, VR_HASH_IPV4, key, &hash), 1);
            assert_int_equal(hash, v4[i].without);
            assert_int_equal(vr_packet_hash(frame, &p, VR_HASH_TYPES & ~exact, key, &hash), 1);
            assert_int_equal(vr_packet_hash(frame, &p, VR_HASH_IPV6 | VR_HASH_TCPV6, key, &hash),
                             0);
            frame[20] = 0x20; /* a fragment has no ports */
            vr_packet_parse(frame, sizeof(frame), &p);
            assert_int_equal(vr_packet_hash(frame, &p, VR_HASH_TYPES, key, &hash), 1);
            assert_int_equal(hash, v4[i].without);
        }
    }
    static const uint8_t from[] = {0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0x1f, 0xff,
                                   0,    0,    0,    0,    0,    0, 0,    7};
    static const uint8_t to[] = {0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1};
    uint8_t frame[120];
    const struct kind k = {.proto = TCP, .v6 = true};
    struct vr_packet p;
    uint32_t hash;
    make_packet(frame, &k, sizeof(frame), 1);
    memcpy(frame + 22, from, 16);
    memcpy(frame + 38, to, 16);
    vr_store_be16(frame + 54, 2794);
    vr_store_be16(frame + 56, 1766);
    vr_packet_parse(frame, sizeof(frame), &p);
    assert_int_equal(vr_packet_hash(frame, &p, VR_HASH_TYPES, key, &hash), 5);
    assert_int_equal(hash, 0x40207d3d);
    assert_int_equal(vr_packet_hash(frame, &p, VR_HASH_IPV6, key, &hash), 4);
    assert_int_equal(hash, 0x2cc18cd5);
    vr_store_be16(frame + 12, 0x0806); /* ARP has none */
    vr_packet_parse(frame, sizeof(frame), &p);
    assert_int_equal(vr_packet_hash(frame, &p, VR_HASH_TYPES, key, &hash), 0);
}

/* Headers cut anywhere, of any content: offsets stay inside what was given. */
static void wild_headers_are_parsed_inside_the_frame(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t frame[160];
        size_t len = rig_random(&seed) % sizeof(frame);
        for (size_t k = 0; k < sizeof(frame); k++) {
            frame[k] = (uint8_t)rig_random(&seed);
        }
        static const uint16_t types[] = {0x0800, 0x86dd, 0x8100, 0x88a8};
        vr_store_be16(frame + 12, types[i % 4]);
        vr_store_be16(frame + 16, types[i / 4 % 4]);
        frame[14] = (uint8_t)(i / 16 % 2 ? 0x45 : 0x60);
        frame[20] = (uint8_t)(i % 3 ? 0 : 60);
        uint8_t *copy = malloc(len ? len : 1); /* so that the sanitizer sees its end */
        memcpy(copy, frame, len);
        struct vr_packet p;
        vr_packet_parse(copy, len, &p);
        assert_true(p.version == 0 || p.l3 < len);
        assert_true(p.proto == 0 || (p.l4 < p.payload && p.payload <= len));
        uint32_t hash;
        static const uint8_t key[VR_HASH_KEY] = {1};
        (void)vr_packet_hash(copy, &p, VR_HASH_TYPES, key, &hash);
        (void)vr_packet_flow(copy, &p);
        free(copy);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(segments_are_what_the_guest_sent),
        T(fragments_are_one_datagram),
        T(large_packets_stay_whole_where_they_may),
        T(large_packets_that_lie_are_refused),
        T(large_packets_come_in_as_one),
        T(offloads_can_be_turned_off),
        cmocka_unit_test(hashes_are_the_published_ones),
        cmocka_unit_test(wild_headers_are_parsed_inside_the_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The network card with several pairs of queues: where received packets go, and what the control
 * queue decides: pairs, receive-side scaling, VLANs, further filters, announcements, coalescing.
 * Specification: VIRTIO 1.3, section 5.1.6.5.
 */
#include "virtq_driver.h"

#include "base/bits.h"
#include "dev/virtio/mmio.h"
#include "dev/virtio/net.h"
#include "dev/virtio/net_packet.h"
#include "dev/virtio/net_priv.h"
#include "virtio_fakes.h"

#include <errno.h>

enum { PAIRS = 4, CONTROL = 2 * PAIRS, HEADER = 12, HEADER_HASH = 20 };
#define OPTS "mac=52:54:00:12:34:56,queues=4,rss=on,hash=on," VD_OPTS

static int setup(void **state)
{
    return net_setup(state, VD_CLASS(net), OPTS);
}

static void start(struct net_fixture *f, uint64_t features)
{
    vd_start(&f->d, features | NET_F_CTRL_VQ | NET_F_MRG_RXBUF, 64);
}

static uint8_t command(struct net_fixture *f, unsigned queue, const void *bytes, uint32_t len)
{
    uint64_t heap = f->d.heap;
    struct vd_buf bufs[] = {vd_out(&f->d, bytes, len), vd_in(&f->d, 1)};
    (void)vd_do(&f->d, queue, bufs, 2);
    f->d.heap = heap;
    return *vd_hva(&f->d, bufs[1].gpa);
}

static uint8_t set_pairs(struct net_fixture *f, uint16_t pairs)
{
    uint8_t raw[] = {4, 0, (uint8_t)pairs, (uint8_t)(pairs >> 8)};
    return command(f, CONTROL, raw, 4);
}

static void post(struct net_fixture *f, unsigned pairs, unsigned count)
{
    for (unsigned i = 0; i < pairs; i++) {
        for (unsigned k = 0; k < count; k++) {
            struct vd_buf in = vd_in(&f->d, 300);
            vd_add(&f->d, 2 * i, &in, 1);
        }
    }
}

/* A TCP packet of flow @n, to the guest or from it. */
static void make_flow(uint8_t *frame, unsigned n, bool to_guest)
{
    memset(frame, 0, 100);
    memcpy(frame, to_guest ? "\x52\x54\x00\x12\x34\x56" : "\x52\x55\x0a\x00\x02\x02", 6);
    vr_store_be16(frame + 12, 0x0800);
    frame[14] = 0x45;
    vr_store_be16(frame + 16, 86);
    frame[23] = 6;
    vr_store_be32(frame + 26, to_guest ? 0x0a000202 : 0x0a00020f);
    vr_store_be32(frame + 30, to_guest ? 0x0a00020f : 0x0a000202);
    vr_store_be16(frame + 34, (uint16_t)(to_guest ? 80 : 40000 + n));
    vr_store_be16(frame + 36, (uint16_t)(to_guest ? 40000 + n : 80));
    frame[46] = 0x50;
}

/* On which pair the frame arrived; PAIRS: nowhere. */
static unsigned arrives(struct net_fixture *f, const uint8_t *frame, size_t len)
{
    assert_true(fake_net_offer(&f->net, frame, len));
    for (unsigned i = 0; i < PAIRS; i++) {
        if (vd_used(&f->d, 2 * i, NULL, NULL)) {
            return i;
        }
    }
    return PAIRS;
}

static void send_on(struct net_fixture *f, unsigned pair, const uint8_t *frame)
{
    uint8_t raw[HEADER + 100] = {0};
    uint64_t heap = f->d.heap;
    memcpy(raw + HEADER, frame, 100);
    struct vd_buf out = vd_out(&f->d, raw, sizeof(raw));
    (void)vd_do(&f->d, 2 * pair + 1, &out, 1);
    f->d.heap = heap;
}

static void packets_follow_their_flow(void **state)
{
    struct net_fixture *f = *state;
    uint8_t frame[100];
    assert_int_equal(vd_config(&f->d, 8, 2), PAIRS);
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        start(f, vd_modes[m].features | NET_F_MQ);
        f->net.discard = true;
        post(f, PAIRS, 60);
        for (unsigned n = 0; n < 8; n++) { /* after a reset, only the first queue */
            make_flow(frame, n, true);
            assert_int_equal(arrives(f, frame, 100), 0);
        }
        assert_int_equal(set_pairs(f, PAIRS), 0);
        for (unsigned n = 0; n < 8; n++) {
            make_flow(frame, n, false);
            send_on(f, n % PAIRS, frame);
            make_flow(frame, n, true);
            assert_int_equal(arrives(f, frame, 100), n % PAIRS);
        }
        /* Fewer pairs: never beyond them. */
        assert_int_equal(set_pairs(f, 2), 0);
        for (unsigned n = 0; n < 8; n++) {
            make_flow(frame, n, true);
            assert_true(arrives(f, frame, 100) < 2);
        }
        assert_int_equal(set_pairs(f, 0), 1);
        assert_int_equal(set_pairs(f, PAIRS + 1), 1);
        assert_int_equal(set_pairs(f, 0x8001), 1);
        f->net.discard = false;
    }
}

/* 5.1.6.5.6.1: a queue that is being reset is passed over. */
static void queues_that_are_reset_are_passed_over(void **state)
{
    struct net_fixture *f = *state;
    uint8_t frame[100];
    start(f, NET_F_MQ | VR_VIRTIO_F_RING_RESET);
    post(f, PAIRS, 20);
    assert_int_equal(set_pairs(f, PAIRS), 0);
    f->net.discard = true;
    make_flow(frame, 1, false);
    send_on(f, 2, frame);
    make_flow(frame, 1, true);
    assert_int_equal(arrives(f, frame, 100), 2);
    vd_set(&f->d, VD_QUEUE_SEL, 4);
    vd_set(&f->d, VD_QUEUE_RESET, 1);
    assert_int_equal(vd_get(&f->d, VD_QUEUE_RESET), 0);
    assert_int_equal(arrives(f, frame, 100), 3);
    for (unsigned i = 0; i < PAIRS; i++) {
        vd_set(&f->d, VD_QUEUE_SEL, 2 * i);
        if (vd_get(&f->d, VD_QUEUE_READY)) {
            vd_set(&f->d, VD_QUEUE_RESET, 1);
        }
    }
    assert_int_equal(arrives(f, frame, 100), PAIRS); /* dropped */
}

/* Without MQ the control queue is number 2, and pairs beyond the first do nothing. */
static void the_control_queue_has_two_places(void **state)
{
    struct net_fixture *f = *state;
    static const uint8_t promisc[] = {0, 0, 1};
    start(f, NET_F_CTRL_RX);
    assert_int_equal(command(f, 2, promisc, 3), 0);
    struct vd_buf bufs[] = {vd_out(&f->d, promisc, 3), vd_in(&f->d, 1)};
    vd_add(&f->d, CONTROL, bufs, 2);
    vd_kick(&f->d, CONTROL);
    assert_false(vd_used(&f->d, CONTROL, NULL, NULL));
    start(f, NET_F_CTRL_RX | NET_F_MQ);
    assert_int_equal(command(f, CONTROL, promisc, 3), 0);
}

/* --- Receive-side scaling --- */

static const uint8_t key[VR_HASH_KEY] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

static uint32_t rss_command(uint8_t *raw, uint32_t types, unsigned entries, const uint16_t *table,
                            uint16_t unclassified, uint16_t max_tx)
{
    uint8_t *p = raw;
    *p++ = 4;
    *p++ = 1;
    vr_store_le32(p, types);
    vr_store_le16(p + 4, (uint16_t)(entries - 1));
    vr_store_le16(p + 6, unclassified);
    p += 8;
    for (unsigned i = 0; i < entries; i++, p += 2) {
        vr_store_le16(p, table[i % 8]);
    }
    vr_store_le16(p, max_tx);
    p[2] = VR_HASH_KEY;
    memcpy(p + 3, key, VR_HASH_KEY);
    return (uint32_t)(p + 3 + VR_HASH_KEY - raw);
}

static void rss_spreads_by_the_drivers_table(void **state)
{
    struct net_fixture *f = *state;
    static const uint16_t table[8] = {3, 1, 0, 2, 2, 0, 1, 3};
    uint8_t raw[512], frame[100];
    assert_int_equal(vd_config(&f->d, 17, 1), VR_HASH_KEY);
    assert_int_equal(vd_config(&f->d, 18, 2), NET_RSS_TABLE);
    assert_int_equal(vd_config(&f->d, 20, 4), VR_HASH_TYPES);
    for (unsigned report = 0; report < 2; report++) {
        start(f, NET_F_RSS | VR_VIRTIO_F_RING_RESET | (report ? NET_F_HASH_REPORT : 0));
        uint32_t len = rss_command(raw, VR_HASH_IPV4 | VR_HASH_TCPV4, 8, table, 3, PAIRS);
        assert_int_equal(command(f, CONTROL, raw, len), 0);
        unsigned seen[PAIRS] = {0};
        for (unsigned n = 0; n < 40; n++) {
            struct vr_packet p;
            uint32_t hash = 0;
            make_flow(frame, n, true);
            vr_packet_parse(frame, 100, &p);
            assert_int_equal(vr_packet_hash(frame, &p, VR_HASH_TCPV4, key, &hash), 2);
            unsigned want = table[hash & 7];
            struct vd_buf in = vd_in(&f->d, 300);
            vd_add(&f->d, 2 * want, &in, 1);
            assert_int_equal(arrives(f, frame, 100), want);
            seen[want]++;
            const uint8_t *h = vd_hva(&f->d, in.gpa);
            assert_memory_equal(h + (report ? HEADER_HASH : HEADER), frame, 100);
            if (report) {
                assert_int_equal(vr_load_le32(h + 12), hash);
                assert_int_equal(vr_load_le16(h + 16), 2);
                assert_int_equal(vr_load_le16(h + 18), 0);
            }
        }
        assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
        memset(frame, 0xff, 12);
        vr_store_be16(frame + 12, 0x0806); /* not hashed */
        post(f, PAIRS, 1);
        assert_int_equal(arrives(f, frame, 100), 3);
        /* A queue that is not there: dropped. */
        vd_set(&f->d, VD_QUEUE_SEL, 6);
        vd_set(&f->d, VD_QUEUE_RESET, 1);
        uint64_t dropped = net_stats(f).rx_not_ready;
        assert_int_equal(arrives(f, frame, 100), PAIRS);
        assert_int_equal(net_stats(f).rx_not_ready, dropped + 1);
    }
}

static void bad_rss_is_refused(void **state)
{
    struct net_fixture *f = *state;
    static const uint16_t good[8] = {0, 1, 2, 3, 0, 1, 2, 3}, bad[8] = {0, 1, 2, PAIRS};
    uint8_t raw[2048] = {0};
    start(f, NET_F_RSS);
    uint32_t len = rss_command(raw, VR_HASH_TCPV4, 8, good, 0, PAIRS);
    assert_int_equal(command(f, CONTROL, raw, len), 0);
    struct net_rss before = *NET(f->dev)->steering;
    for (uint32_t cut = 2; cut < len; cut++) {
        assert_int_equal(command(f, CONTROL, raw, cut), 1);
    }
#define REFUSED(types, entries, table, unclassified, max_tx)                                     \
    assert_int_equal(                                                                            \
        command(f, CONTROL, raw, rss_command(raw, types, entries, table, unclassified, max_tx)), \
        1)
    REFUSED(VR_HASH_TCPV4, 8, bad, 0, PAIRS);
    REFUSED(VR_HASH_TCPV4, 8, good, PAIRS, PAIRS);
    REFUSED(VR_HASH_TCPV4, 8, good, 0, PAIRS + 1);
    REFUSED(VR_HASH_TCPV4, 8, good, 0, 0);
    REFUSED(VR_HASH_TCPV4, 7, good, 0, PAIRS);
    REFUSED(VR_HASH_TCPV4, 256, good, 0, PAIRS);
    REFUSED(VR_HASH_TYPES + 1, 8, good, 0, PAIRS);
    len = rss_command(raw, VR_HASH_TCPV4, 8, good, 0, PAIRS);
    raw[len - VR_HASH_KEY - 1] = VR_HASH_KEY + 1;
    assert_int_equal(command(f, CONTROL, raw, len + 1), 1);
    assert_memory_equal(&before, NET(f->dev)->steering, sizeof(before));
    start(f, NET_F_MQ); /* not negotiated */
    len = rss_command(raw, VR_HASH_TCPV4, 8, good, 0, PAIRS);
    assert_int_equal(command(f, CONTROL, raw, len), 1);
    assert_false(vd_needs_reset(&f->d));
}

static void hashes_are_reported_without_rss(void **state)
{
    struct net_fixture *f = *state;
    uint8_t raw[2 + 4 + 8 + 1 + VR_HASH_KEY] = {4, 2, VR_HASH_TCPV4}, frame[100];
    start(f, NET_F_HASH_REPORT | NET_F_MQ);
    raw[14] = VR_HASH_KEY;
    memcpy(raw + 15, key, VR_HASH_KEY);
    make_flow(frame, 5, true);
    for (unsigned on = 0; on < 2; on++) {
        struct vd_buf in = vd_in(&f->d, 300);
        vd_add(&f->d, 0, &in, 1);
        assert_int_equal(arrives(f, frame, 100), 0);
        const uint8_t *h = vd_hva(&f->d, in.gpa);
        assert_int_equal(vr_load_le16(h + 16), on ? 2 : 0); /* none before it is configured */
        assert_int_equal(vr_load_le32(h + 12) != 0, on);
        assert_memory_equal(h + HEADER_HASH, frame, 100);
        assert_int_equal(command(f, CONTROL, raw, sizeof(raw)), 0);
    }
}

/* --- Filters --- */

static void vlans_pass_when_they_are_named(void **state)
{
    struct net_fixture *f = *state;
    uint8_t frame[100], add[] = {2, 0, 0, 0};
    make_flow(frame, 1, true);
    memmove(frame + 16, frame + 12, 80);
    vr_store_be16(frame + 12, 0x8100);
    vr_store_be16(frame + 14, 0xe000 | 100); /* priority 7, VLAN 100 */
    start(f, NET_F_CTRL_RX);
    post(f, 1, 10);
    assert_int_equal(arrives(f, frame, 100), 0); /* not negotiated: all pass */
    start(f, NET_F_CTRL_VLAN | NET_F_MQ);
    post(f, 1, 10);
    assert_int_equal(arrives(f, frame, 100), PAIRS);
    vr_store_le16(add + 2, 100);
    assert_int_equal(command(f, CONTROL, add, 4), 0);
    assert_int_equal(arrives(f, frame, 100), 0);
    vr_store_be16(frame + 14, 101);
    assert_int_equal(arrives(f, frame, 100), PAIRS);
    vr_store_be16(frame + 14, 100);
    add[1] = 1; /* delete */
    assert_int_equal(command(f, CONTROL, add, 4), 0);
    assert_int_equal(arrives(f, frame, 100), PAIRS);
    make_flow(frame, 1, true);
    assert_int_equal(arrives(f, frame, 100), 0); /* untagged */
    assert_int_equal(net_stats(f).rx_filtered, 3);
    vr_store_le16(add + 2, 4096);
    assert_int_equal(command(f, CONTROL, add, 4), 1);
    assert_int_equal(command(f, CONTROL, add, 3), 1);
    add[1] = 2;
    assert_int_equal(command(f, CONTROL, add, 4), 1);
}

static void further_receive_modes(void **state)
{
    struct net_fixture *f = *state;
    enum { PROMISC, ALLMULTI, ALLUNI, NOMULTI, NOUNI, NOBCAST, MODES };
    static const uint8_t to[][6] = {{0x52, 0x54, 0, 0x12, 0x34, 0x56}, /* ours */
                                    {0x52, 0x54, 0, 9, 9, 9},          /* another's */
                                    {1, 0, 0x5e, 0, 0, 1},
                                    {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    /* What passes, a bit for each of @to, with one mode on and promiscuous mode off. */
    static const uint8_t passes[MODES] = {
        [PROMISC] = 15, [ALLMULTI] = 13, [ALLUNI] = 11, [NOMULTI] = 9, [NOUNI] = 8, [NOBCAST] = 1};
    uint8_t frame[100];
    for (unsigned mode = 0; mode < MODES; mode++) {
        uint8_t off[] = {0, PROMISC, 0}, on[] = {0, (uint8_t)mode, 1};
        start(f, NET_F_CTRL_RX | NET_F_CTRL_RX_EXTRA | NET_F_MQ);
        post(f, 1, 10);
        assert_int_equal(command(f, CONTROL, off, 3), 0);
        assert_int_equal(command(f, CONTROL, on, 3), 0);
        for (unsigned i = 0; i < 4; i++) {
            make_flow(frame, 1, true);
            memcpy(frame, to[i], 6);
            assert_int_equal(arrives(f, frame, 100) == 0, passes[mode] >> i & 1);
        }
    }
    uint8_t alluni[] = {0, ALLUNI, 1};
    start(f, NET_F_CTRL_RX | NET_F_MQ); /* without the feature */
    assert_int_equal(command(f, CONTROL, alluni, 3), 1);
}

/* --- Announcement --- */

static void announcements_are_asked_for_and_acknowledged(void **state)
{
    struct net_fixture *f = *state;
    static const uint8_t ack[] = {3, 0};
    start(f, NET_F_STATUS | NET_F_MQ);
    assert_false(vr_virtio_net_announce(f->dev, false));
    start(f, NET_F_STATUS | NET_F_GUEST_ANNOUNCE | NET_F_MQ);
    vd_isr(&f->d);
    assert_int_equal(vd_config(&f->d, 6, 2), 1);
    assert_true(vr_virtio_net_announce(f->dev, false));
    assert_int_equal(vd_isr(&f->d), VR_VIRTIO_ISR_CONFIG);
    assert_int_equal(vd_config(&f->d, 6, 2), 3);
    assert_int_equal(command(f, CONTROL, ack, 2), 0);
    assert_int_equal(vd_config(&f->d, 6, 2), 1);
}

static void a_card_that_moved_tells_switches_so(void **state)
{
    struct net_fixture *f = *state;
    uint8_t want[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint8_t mac[6];
    (void)vr_virtio_net_announce(f->dev, true); /* no driver, no word */
    assert_int_equal(f->net.sent_count, 0);
    start(f, NET_F_MQ);
    for (unsigned i = 0; i < 6; i++) {
        mac[i] = (uint8_t)vd_config(&f->d, i, 1);
    }
    assert_false(vr_virtio_net_announce(f->dev, true));
    assert_int_equal(f->net.sent_count, 1);
    /* RFC 903: Ethernet, IPv4, 6, 4, "request reverse", from and about this card. */
    static const uint8_t head[] = {0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3};
    memcpy(want + 6, mac, 6);
    memcpy(want + 12, head, sizeof(head));
    memcpy(want + 22, mac, 6);
    memcpy(want + 32, mac, 6);
    assert_int_equal(f->net.sent_len[0], 60);
    assert_memory_equal(f->net.sent[0], want, 60);
    (void)vr_virtio_net_announce(f->dev, false);
    assert_int_equal(f->net.sent_count, 1);
}

/* --- Coalescing --- */

static uint8_t coal(struct net_fixture *f, uint8_t what, int queue, uint32_t packets,
                    uint32_t usecs)
{
    uint8_t raw[14] = {6, what};
    unsigned at = 2;
    if (queue >= 0) {
        vr_store_le16(raw + at, (uint16_t)queue);
        at += 4;
    }
    vr_store_le32(raw + at, packets);
    vr_store_le32(raw + at + 4, usecs);
    uint8_t answer = command(f, CONTROL, raw, at + 8);
    vd_isr(&f->d); /* the control queue's own */
    return answer;
}

static bool interrupts(struct net_fixture *f, unsigned flow)
{
    uint8_t frame[100];
    make_flow(frame, flow, true);
    assert_int_equal(arrives(f, frame, 100), 0); /* the packet is there, told or not */
    return vd_isr(&f->d) & VR_VIRTIO_ISR_USED;
}

static void interrupts_are_collected(void **state)
{
    struct net_fixture *f = *state;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        uint64_t features = vd_modes[m].features & ~VR_VIRTIO_F_EVENT_IDX;
        start(f, features | NET_F_MQ | NET_F_NOTF_COAL);
        post(f, 1, 60);
        assert_true(interrupts(f, 1));
        assert_int_equal(coal(f, 1, -1, 4, 100), 0);
        for (unsigned i = 0; i < 12; i++) { /* every fourth */
            assert_int_equal(interrupts(f, 1), i % 4 == 3);
        }
        assert_false(interrupts(f, 1)); /* one, and then time */
        vr_clock_step(f->rig.env.clock, 99000);
        assert_int_equal(vd_isr(&f->d), 0);
        vr_clock_step(f->rig.env.clock, 1000);
        assert_int_equal(vd_isr(&f->d), VR_VIRTIO_ISR_USED);
        vr_clock_step(f->rig.env.clock, 1000000);
        assert_int_equal(vd_isr(&f->d), 0);
        /* What is due under new parameters is told at once. */
        assert_false(interrupts(f, 1));
        assert_false(interrupts(f, 1));
        uint8_t raw[10] = {6, 1};
        vr_store_le32(raw + 2, 2);
        vr_store_le32(raw + 6, 100);
        uint64_t before = vd_stats(&f->d, 0)->interrupts;
        assert_int_equal(command(f, CONTROL, raw, 10), 0);
        assert_int_equal(vd_stats(&f->d, 0)->interrupts, before + 1);
        vd_isr(&f->d);
        assert_int_equal(coal(f, 1, -1, 0, 100), 0);
        assert_true(interrupts(f, 1));
    }
}

static void coalescing_of_one_queue(void **state)
{
    struct net_fixture *f = *state;
    struct vd *d = &f->d;
    start(f, NET_F_MQ | NET_F_NOTF_COAL | NET_F_VQ_NOTF_COAL | VR_VIRTIO_F_RING_RESET);
    post(f, 1, 60);
    assert_int_equal(coal(f, 1, -1, 8, 50), 0); /* all receive queues */
    assert_int_equal(coal(f, 0, -1, 9, 60), 0); /* all send queues */
    assert_int_equal(coal(f, 2, 0, 2, 70), 0);
    static const uint32_t want[][2] = {{2, 70}, {9, 60}, {8, 50}, {9, 60}};
    for (unsigned queue = 0; queue < 4; queue++) {
        uint8_t get[6] = {6, 3, (uint8_t)queue};
        struct vd_buf bufs[] = {vd_out(d, get, 6), vd_in(d, 9)};
        assert_int_equal(vd_do(d, CONTROL, bufs, 2), 9);
        const uint8_t *got = vd_hva(d, bufs[1].gpa);
        assert_int_equal(got[0], 0);
        assert_int_equal(vr_load_le32(got + 1), want[queue][0]);
        assert_int_equal(vr_load_le32(got + 5), want[queue][1]);
        bufs[1].len = 8; /* no room for all of it */
        assert_int_equal(vd_do(d, CONTROL, bufs, 2), 1);
        assert_int_equal(got[0], 1);
    }
    vd_isr(d);
    assert_false(interrupts(f, 1));
    assert_true(interrupts(f, 1));
    assert_int_equal(coal(f, 2, CONTROL, 1, 1), 1); /* not one of frames */
    assert_int_equal(coal(f, 2, 99, 1, 1), 1);
    /* Enabled anew, a queue has what its direction has. */
    vd_set(d, VD_QUEUE_SEL, 0);
    vd_set(d, VD_QUEUE_RESET, 1);
    assert_int_equal(coal(f, 2, 0, 1, 1), 1); /* not enabled */
    assert_int_equal(NET(f->dev)->coal[0].max_packets, 8);
    start(f, NET_F_MQ); /* a reset forgets; and nothing without the features */
    assert_int_equal(NET(f->dev)->coal[0].max_packets, 0);
    assert_int_equal(coal(f, 1, -1, 8, 50), 1);
    assert_int_equal(coal(f, 2, 0, 8, 50), 1);
}

/* A restored card goes on: filters, steering, and an interrupt that was on its way. */
static void snapshots_keep_what_the_control_queue_set(void **state)
{
    struct net_fixture *f = *state;
    static const uint16_t table[8] = {3, 1, 0, 2, 2, 0, 1, 3};
    uint8_t raw[512], frame[100];
    start(f, NET_F_RSS | NET_F_NOTF_COAL | NET_F_CTRL_VLAN);
    uint32_t len = rss_command(raw, VR_HASH_TCPV4, 8, table, 3, PAIRS);
    assert_int_equal(command(f, CONTROL, raw, len), 0);
    assert_int_equal(coal(f, 1, -1, 4, 100), 0);
    post(f, PAIRS, 10);
    make_flow(frame, 3, true);
    unsigned pair = arrives(f, frame, 100);
    assert_true(pair < PAIRS);
    assert_int_equal(vd_isr(&f->d), 0);
    struct vr_dev *twin = rig_dev(&f->rig, VD_CLASS(net), OPTS);
    vr_dev_quiesce(f->dev);
    assert_int_equal(rig_copy(f->dev, twin), 0);
    vr_dev_destroy(f->dev);
    f->dev = twin;
    vr_virtio_net_attach(twin, &f->net.net);
    vd_replace(&f->d, twin);
    vd_isr(&f->d);
    vr_clock_step(f->rig.env.clock, 100000);
    assert_int_equal(vd_isr(&f->d), VR_VIRTIO_ISR_USED);
    assert_int_equal(arrives(f, frame, 100), pair);
    /* Into a card with fewer queues: refused. */
    struct vr_dev *small = rig_dev(&f->rig, VD_CLASS(net), "queues=2,rss=on,hash=on," VD_OPTS);
    vr_dev_quiesce(f->dev);
    assert_int_equal(rig_copy(f->dev, small), -ERANGE);
    vr_dev_destroy(small);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(packets_follow_their_flow),
        T(queues_that_are_reset_are_passed_over),
        T(the_control_queue_has_two_places),
        T(rss_spreads_by_the_drivers_table),
        T(bad_rss_is_refused),
        T(hashes_are_reported_without_rss),
        T(vlans_pass_when_they_are_named),
        T(further_receive_modes),
        T(announcements_are_asked_for_and_acknowledged),
        T(a_card_that_moved_tells_switches_so),
        T(interrupts_are_collected),
        T(coalescing_of_one_queue),
        T(snapshots_keep_what_the_control_queue_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

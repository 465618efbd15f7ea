/* The virtio network card: frames both ways in every mode and cut, checksums, filters, the control
 * queue, waiting and dropping. VIRTIO 1.2, section 5.1. */
#include "virtq_driver.h"

#include "base/bits.h"
#include "dev/virtio/net.h"
#include "dev/virtio/net_csum.h"
#include "dev/virtio/virtio.h"
#include "vireo/host_thread.h"
#include "virtio_fakes.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { RX = 0, TX = 1, CONTROL = 2, HEADER = 12 };
enum {
    F_CSUM = 1 << 0,
    F_GUEST_CSUM = 1 << 1,
    F_MTU = 1 << 3,
    F_MAC = 1 << 5,
    F_MRG_RXBUF = 1 << 15,
    F_STATUS = 1 << 16,
    F_CTRL_VQ = 1 << 17,
    F_CTRL_RX = 1 << 18,
    F_CTRL_MAC_ADDR = 1 << 23
};
#define F_CONTROL (F_CTRL_VQ | F_CTRL_RX | F_CTRL_MAC_ADDR)

static int setup(void **state)
{
    return net_setup(state, VD_CLASS(net), "mac=52:54:00:12:34:56,mtu=1500," VD_OPTS);
}

static void make_frame(uint8_t *frame, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        frame[i] = (uint8_t)rig_random(&seed);
    }
    memcpy(frame, "\x52\x54\x00\x12\x34\x56", 6);
}

static struct vd_buf post_rx(struct vd *d, uint32_t len, uint32_t piece)
{
    struct vd_buf in = vd_in(d, len), bufs[256];
    vd_add(d, RX, bufs, vd_split(in, piece, bufs, 256));
    return in;
}

/* --- To the host --- */

static void frames_go_out_in_every_mode_and_cut(void **state)
{
    struct net_fixture *f = *state;
    struct vd *d = &f->d;
    static const uint32_t cuts[] = {1, 5, 12, 13, 100, 2000};
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        for (unsigned i = 0; i < VR_COUNT(cuts); i++) {
            uint8_t raw[HEADER + 1514] = {0};
            struct vd_buf bufs[256];
            size_t len = cuts[i] < 13 ? 14 + i * 50 : 1514;
            make_frame(raw + HEADER, len, m * 7 + i + 1);
            vd_start(d, vd_modes[m].features, 256);
            struct vd_buf out = vd_out(d, raw, (uint32_t)(HEADER + len));
            assert_int_equal(vd_do(d, TX, bufs, vd_split(out, cuts[i], bufs, 256)), 0);
            assert_int_equal(f->net.sent_count, 1);
            assert_int_equal(f->net.sent_len[0], len);
            assert_memory_equal(f->net.sent[0], raw + HEADER, len);
            fake_net_forget(&f->net);
        }
    }
    assert_int_equal(vd_stats(d, TX)->copied, net_stats(f).tx_frames * HEADER);
    assert_int_equal(f->dev->guest_errors, 0);
}

/* An IPv4 or IPv6 frame with @len bytes of TCP or UDP; the checksum field is left 0. */
static size_t make_packet(uint8_t *frame, bool v6, uint8_t proto, size_t len, uint64_t seed)
{
    size_t ip = v6 ? 40 : 20;
    make_frame(frame, 14 + ip + len, seed);
    uint8_t *p = frame + 14, *t = p + ip;
    vr_store_be16(frame + 12, v6 ? 0x86dd : 0x0800);
    if (v6) {
        p[0] = 0x60;
        vr_store_be16(p + 4, (uint16_t)len);
        p[6] = proto;
    } else {
        p[0] = 0x45;
        vr_store_be16(p + 2, (uint16_t)(20 + len));
        vr_store_be16(p + 6, 0x4000);
        p[9] = proto;
        vr_store_be16(p + 10, 0);
        struct iovec iov = {p, 20};
        vr_store_be16(p + 10, (uint16_t)~vr_net_sum(&iov, 1, 0));
    }
    if (proto == 17) {
        vr_store_be16(t + 4, (uint16_t)len);
    }
    vr_store_be16(t + (proto == 17 ? 6 : 16), 0);
    return 14 + ip + len;
}

/* The checksum the slow way: 16-bit words of pseudo header and payload, as RFC 793 draws it. */
static uint16_t slow_sum(const uint8_t *frame, bool v6, uint8_t proto, size_t len, bool payload)
{
    const uint8_t *ip = frame + 14, *t = ip + (v6 ? 40 : 20);
    uint32_t sum = proto + (uint32_t)len;
    for (unsigned i = v6 ? 8 : 12; i < (v6 ? 40u : 20u); i += 2) {
        sum += (uint32_t)ip[i] << 8 | ip[i + 1];
    }
    for (size_t i = 0; payload && i < len; i++) {
        sum += i % 2 ? t[i] : (uint32_t)t[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

/* The driver leaves the pseudo header's sum in the field; we finish it, in any cut, and leave the
 * driver's memory as it is. */
static void checksums_are_completed(void **state)
{
    struct net_fixture *f = *state;
    struct vd *d = &f->d;
    static const uint32_t cuts[] = {1, 7, 51, 62, 63, 64, 65, 5000};
    for (unsigned i = 0; i < 200; i++) {
        uint8_t raw[HEADER + 1600] = {0}, want[1600];
        struct vd_buf bufs[256];
        bool v6 = i & 1;
        uint8_t proto = i & 2 ? 17 : 6;
        uint32_t cut = cuts[i / 4 % VR_COUNT(cuts)];
        size_t payload = 20 + (cut < 7 ? i % 90 : i * 7 % 1300);
        size_t len = make_packet(raw + HEADER, v6, proto, payload, i + 1);
        size_t start = v6 ? 54 : 34, field = start + (proto == 17 ? 6 : 16);
        memcpy(want, raw + HEADER, len);
        uint16_t sum = (uint16_t)~slow_sum(want, v6, proto, payload, true);
        vr_store_be16(want + field, sum ? sum : 0xffff);
        vr_store_be16(raw + HEADER + field, slow_sum(want, v6, proto, payload, false));
        raw[0] = i % 3 ? 1 : 1 | 0xf8; /* what is unknown is ignored */
        vr_store_le16(raw + 6, (uint16_t)start);
        vr_store_le16(raw + 8, (uint16_t)(field - start));
        vd_start(d, F_CSUM, 256);
        struct vd_buf out = vd_out(d, raw, (uint32_t)(HEADER + len));
        vd_do(d, TX, bufs, vd_split(out, cut, bufs, 256));
        assert_int_equal(f->net.sent_count, 1);
        assert_int_equal(f->net.sent_len[0], len);
        assert_memory_equal(f->net.sent[0], want, len);
        assert_true(vr_net_csum_valid(f->net.sent[0], len));
        assert_memory_equal(vd_hva(d, out.gpa), raw, HEADER + len);
        fake_net_forget(&f->net);
    }
    assert_int_equal(net_stats(f).tx_summed, 200);
}

static void bad_frames_are_refused(void **state)
{
    struct net_fixture *f = *state;
    struct vd *d = &f->d;
    uint8_t raw[HEADER + 100] = {0};
    vd_start(d, F_CSUM | VR_VIRTIO_F_INDIRECT_DESC, 64);
    struct vd_buf out = vd_out(d, raw, sizeof(raw)), tiny = out, huge[70];
    tiny.len = HEADER + 13;
    vd_do(d, TX, &tiny, 1);
    tiny.len = HEADER;
    vd_do(d, TX, &tiny, 1);
    for (unsigned i = 0; i < 70; i++) { /* 70 KB, all from the same place */
        huge[i] = (struct vd_buf){.gpa = d->q[0].desc, .len = 1024};
    }
    huge[0] = out;
    vd_do(d, TX, huge, 70);
    uint8_t *h = vd_hva(d, out.gpa);
    h[1] = 1; /* TCPv4 segmentation was not negotiated */
    vd_do(d, TX, &out, 1);
    h[1] = 0;
    static const uint16_t csum[][2] = {{0, 99},    {99, 0},    {100, 0},       {98, 1},
                                       {65535, 0}, {0, 65535}, {65535, 65535}, {1, 65535}};
    h[0] = 1;
    for (unsigned i = 0; i < VR_COUNT(csum); i++) {
        vr_store_le16(h + 6, csum[i][0]);
        vr_store_le16(h + 8, csum[i][1]);
        vd_do(d, TX, &out, 1);
    }
    assert_int_equal(f->net.sent_count, 0);
    assert_int_equal(net_stats(f).tx_bad, 12);
    vr_store_le16(h + 6, 98); /* the last two bytes */
    vr_store_le16(h + 8, 0);
    vd_do(d, TX, &out, 1);
    assert_int_equal(f->net.sent_count, 1);
    assert_false(vd_needs_reset(d));
    vd_start(d, 0, 64); /* without the feature */
    out = vd_out(d, raw, sizeof(raw));
    *vd_hva(d, out.gpa) = 1;
    vd_do(d, TX, &out, 1);
    assert_int_equal(f->net.sent_count, 1);
}

/* --- To the guest --- */

static void frames_come_in_in_every_mode_and_cut(void **state)
{
    struct net_fixture *f = *state;
    struct vd *d = &f->d;
    static const uint32_t cuts[] = {1, 5, 12, 13, 100, 2000};
    for (unsigned m = 0; m < 2 * VR_COUNT(vd_modes); m++) {
        for (unsigned i = 0; i < VR_COUNT(cuts); i++) {
            uint8_t frame[1514], header[HEADER] = {0};
            uint32_t len, size = cuts[i] < 12 ? 230 : 1700;
            size_t bytes = size == 230 ? 200 : 1514;
            make_frame(frame, bytes, m + i + 1);
            vd_start(d, vd_modes[m / 2].features | (m % 2 ? F_MRG_RXBUF : 0), 256);
            struct vd_buf in = post_rx(d, size, cuts[i]);
            vd_kick(d, RX);
            assert_true(fake_net_offer(&f->net, frame, bytes));
            assert_true(vd_used(d, RX, NULL, &len));
            assert_int_equal(len, HEADER + bytes);
            header[10] = 1; /* num_buffers */
            assert_memory_equal(vd_hva(d, in.gpa), header, HEADER);
            assert_memory_equal(vd_hva(d, in.gpa) + HEADER, frame, bytes);
            assert_int_equal(vd_hva(d, in.gpa)[HEADER + bytes], 0xee);
        }
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

static void big_frames_spread_over_merged_buffers(void **state)
{
    struct net_fixture *f = *state;
    struct vd *d = &f->d;
    uint8_t frame[1514], got[1514];
    make_frame(frame, sizeof(frame), 3);
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(d, vd_modes[m].features | F_MRG_RXBUF, 64);
        struct vd_buf in[7];
        for (unsigned i = 0; i < 7; i++) {
            in[i] = post_rx(d, 256, i % 2 ? 256 : 100);
        }
        vd_kick(d, RX);
        vd_isr(d);
        assert_true(fake_net_offer(&f->net, frame, sizeof(frame)));
        assert_int_equal(vr_load_le16(vd_hva(d, in[0].gpa) + 10), 6);
        size_t at = 0;
        for (unsigned i = 0; i < 6; i++) {
            uint32_t len, head = i ? 0 : HEADER;
            assert_true(vd_used(d, RX, NULL, &len));
            assert_true(i == 5 || len == 256); /* all but the last are full */
            memcpy(got + at, vd_hva(d, in[i].gpa) + head, len - head);
            at += len - head;
        }
        assert_int_equal(at, sizeof(frame));
        assert_memory_equal(got, frame, sizeof(frame));
        assert_false(vd_used(d, RX, NULL, NULL));
        assert_int_equal(vd_isr(d), VR_VIRTIO_ISR_USED);
    }
}

/* Too little room now: the frame waits, whole, and the backend hears when to try again. */
static void frames_wait_for_buffers(void **state)
{
    struct net_fixture *f = *state;
    struct vd *d = &f->d;
    uint8_t frame[1000];
    make_frame(frame, sizeof(frame), 3);
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(d, vd_modes[m].features | F_MRG_RXBUF, 16);
        assert_false(fake_net_offer(&f->net, frame, sizeof(frame)));
        post_rx(d, 600, 600);
        vd_kick(d, RX);
        unsigned resumes = f->net.resumes;
        assert_false(fake_net_offer(&f->net, frame, sizeof(frame)));
        assert_false(vd_used(d, RX, NULL, NULL)); /* not a part of it */
        post_rx(d, 600, 600);
        vd_kick(d, RX);
        assert_int_equal(f->net.resumes, resumes + 1);
        assert_true(fake_net_offer(&f->net, frame, sizeof(frame)));
        assert_true(vd_used(d, RX, NULL, NULL) && vd_used(d, RX, NULL, NULL));
    }
    assert_int_equal(net_stats(f).rx_waits, 2 * VR_COUNT(vd_modes));
    assert_int_equal(net_stats(f).rx_too_big, 0);
}

static void frames_that_never_fit_are_dropped(void **state)
{
    struct net_fixture *f = *state;
    struct vd *d = &f->d;
    uint8_t frame[1518 + 1];
    make_frame(frame, sizeof(frame), 3);
    vd_start(d, 0, 16);
    post_rx(d, 1000, 1000); /* one buffer is all a frame may have */
    post_rx(d, 1000, 1000);
    assert_true(fake_net_offer(&f->net, frame, 1500));
    assert_int_equal(net_stats(f).rx_too_big, 1);
    assert_true(fake_net_offer(&f->net, frame, 988)); /* the buffer is still there */
    assert_true(vd_used(d, RX, NULL, NULL));
    vd_start(d, F_MRG_RXBUF, 4);
    for (unsigned i = 0; i < 4; i++) {
        post_rx(d, 100, 100);
    }
    assert_true(fake_net_offer(&f->net, frame, 400)); /* the whole ring is not enough */
    assert_int_equal(net_stats(f).rx_too_big, 2);
    assert_true(fake_net_offer(&f->net, frame, 388));
    /* Longer than the MTU that the driver was told. */
    vd_start(d, F_MTU, 16);
    post_rx(d, 2000, 2000);
    assert_int_equal(vd_config(d, 10, 2), 1500);
    assert_true(fake_net_offer(&f->net, frame, 1519));
    assert_int_equal(net_stats(f).rx_too_big, 3);
    assert_true(fake_net_offer(&f->net, frame, 1518));
    assert_true(vd_used(d, RX, NULL, NULL));
    assert_true(fake_net_offer(&f->net, frame, 13)); /* not a frame */
    assert_false(vd_needs_reset(d));
}

static void frames_before_the_driver_are_dropped(void **state)
{
    struct net_fixture *f = *state;
    uint8_t frame[60];
    make_frame(frame, sizeof(frame), 3);
    assert_true(fake_net_offer(&f->net, frame, sizeof(frame)));
    assert_true(vd_negotiate(&f->d, 0));
    vd_queue(&f->d, RX, 16);
    post_rx(&f->d, 100, 100);
    assert_true(fake_net_offer(&f->net, frame, sizeof(frame)));
    assert_false(vd_used(&f->d, RX, NULL, NULL));
    assert_int_equal(net_stats(f).rx_not_ready, 2);
}

/* DATA_VALID says that we looked and it is right; never otherwise. */
static void received_checksums_are_checked(void **state)
{
    struct net_fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned i = 0; i < 400; i++) {
        uint8_t frame[1600];
        bool v6 = i & 1, bad = i & 4;
        uint8_t proto = i & 2 ? 17 : 6;
        size_t payload = 20 + i * 13 % 1400;
        size_t len = make_packet(frame, v6, proto, payload, i + 1);
        size_t field = (v6 ? 54 : 34) + (proto == 17 ? 6 : 16);
        uint16_t sum = (uint16_t)~slow_sum(frame, v6, proto, payload, true);
        vr_store_be16(frame + field, sum ? sum : 0xffff);
        uint64_t seed = i + 99;
        if (bad) {
            frame[(v6 ? 54 : 34) + rig_random(&seed) % payload] ^= 1u << i % 8;
        }
        vd_start(d, F_GUEST_CSUM, 16);
        struct vd_buf in = post_rx(d, 1700, 1700);
        assert_true(fake_net_offer(&f->net, frame, len));
        assert_int_equal(*vd_hva(d, in.gpa), bad ? 0 : 2);
    }
    vd_start(d, 0, 16); /* without the feature: nothing is said */
    uint8_t frame[100];
    size_t len = make_packet(frame, false, 6, 40, 5);
    vr_store_be16(frame + 50, (uint16_t)~slow_sum(frame, false, 6, 40, true));
    assert_true(vr_net_csum_valid(frame, len));
    struct vd_buf in = post_rx(d, 1700, 1700);
    assert_true(fake_net_offer(&f->net, frame, len));
    assert_int_equal(*vd_hva(d, in.gpa), 0);
}

/* Whatever comes in place of a packet: no byte beyond it is read (the sanitizer looks). */
static void odd_packets_are_not_vouched_for(void **state)
{
    (void)state;
    uint64_t seed = 12345;
    for (unsigned i = 0; i < 60000; i++) {
        uint8_t raw[100];
        size_t len = make_packet(raw, i & 1, i & 2 ? 17 : 6, 30, i + 1);
        for (unsigned k = 0; k < i % 4; k++) {
            raw[12 + rig_random(&seed) % 30] = (uint8_t)rig_random(&seed);
        }
        len = rig_random(&seed) % 3 ? len : rig_random(&seed) % (len + 1);
        uint8_t *exact = malloc(len ? len : 1);
        memcpy(exact, raw, len);
        (void)vr_net_csum_valid(exact, len);
        free(exact);
    }
}

/* --- Control --- */

static uint8_t command(struct net_fixture *f, uint8_t class, uint8_t cmd, const void *data,
                       uint32_t len, uint32_t cut)
{
    uint8_t raw[1024] = {class, cmd};
    struct vd_buf bufs[60], ack = vd_in(&f->d, 1);
    memcpy(raw + 2, data, len);
    unsigned n = vd_split(vd_out(&f->d, raw, 2 + len), cut, bufs, 59);
    bufs[n++] = ack;
    assert_int_equal(vd_do(&f->d, CONTROL, bufs, n), 1);
    return *vd_hva(&f->d, ack.gpa);
}

static bool hears(struct net_fixture *f, const char *to)
{
    uint8_t frame[60] = {0};
    memcpy(frame, to, 6);
    post_rx(&f->d, 100, 100);
    assert_true(fake_net_offer(&f->net, frame, sizeof(frame)));
    bool heard = vd_used(&f->d, RX, NULL, NULL);
    if (!heard) { /* use the buffer up, so that none is left for the next */
        memcpy(frame, "\xff\xff\xff\xff\xff\xff", 6);
        assert_true(fake_net_offer(&f->net, frame, sizeof(frame)));
        assert_true(vd_used(&f->d, RX, NULL, NULL));
    }
    return heard;
}

#define ME     "\x52\x54\x00\x12\x34\x56"
#define OTHER  "\x52\x54\x00\x12\x34\x57"
#define GROUP  "\x33\x33\x00\x00\x00\x01"
#define GROUP2 "\x33\x33\x00\x00\x00\x02"

static void filters_by_address(void **state)
{
    struct net_fixture *f = *state;
    vd_start(&f->d, F_CONTROL | F_MAC, 64);
    assert_true(hears(f, ME) && hears(f, OTHER) && hears(f, GROUP)); /* until it says otherwise */
    assert_int_equal(command(f, 0, 0, "\0", 1, 100), 0);
    assert_true(hears(f, ME) && !hears(f, OTHER) && !hears(f, GROUP));
    assert_int_equal(command(f, 0, 1, "\1", 1, 1), 0); /* all multicast */
    assert_true(!hears(f, OTHER) && hears(f, GROUP));
    assert_int_equal(command(f, 0, 1, "\0", 1, 100), 0);
    static const char table[] = "\1\0\0\0" OTHER "\1\0\0\0" GROUP;
    assert_int_equal(command(f, 1, 0, table, 20, 3), 0);
    assert_true(hears(f, ME) && hears(f, OTHER) && hears(f, GROUP) && !hears(f, GROUP2));
    assert_int_equal(command(f, 1, 0, "\0\0\0\0\0\0\0\0", 8, 100), 0);
    assert_true(hears(f, ME) && !hears(f, OTHER) && !hears(f, GROUP));
    assert_int_equal(command(f, 1, 1, OTHER, 6, 100), 0); /* another address */
    assert_true(!hears(f, ME) && hears(f, OTHER));
    assert_int_equal(vd_config(&f->d, 5, 1), 0x57);
    /* More addresses than there is room for: all pass. */
    uint8_t big[4 + 65 * 6 + 4] = {65};
    assert_int_equal(command(f, 1, 0, big, sizeof(big), 100), 0);
    assert_true(hears(f, ME) && !hears(f, GROUP));
    assert_true(net_stats(f).rx_filtered > 0);
    vd_start(&f->d, F_MAC, 64); /* a reset forgets */
    assert_int_equal(vd_config(&f->d, 5, 1), 0x56);
    assert_true(hears(f, ME) && hears(f, OTHER));
}

static void bad_commands_are_refused(void **state)
{
    struct net_fixture *f = *state;
    vd_start(&f->d, F_CONTROL, 64);
    assert_int_equal(command(f, 0, 0, "", 0, 100), 1);
    assert_int_equal(command(f, 0, 0, "\2", 1, 100), 1);
    assert_int_equal(command(f, 0, 2, "\1", 1, 100), 1);
    assert_int_equal(command(f, 1, 1, "12345", 5, 100), 1);
    assert_int_equal(command(f, 1, 2, "123456", 6, 100), 1);
    assert_int_equal(command(f, 2, 0, "\1\0", 2, 100), 1);
    assert_int_equal(command(f, 255, 255, "", 0, 100), 1);
    static const char *const tables[] = {
        "",
        "\1\0\0",
        "\1\0\0\0",
        ("\0\0\0\0\1\0\0\0"
         "12345"),
        "\xff\xff\xff\xff\0\0\0\0",
        "\xab\xaa\xaa\x2a\0\0\0\0", /* times 6 wraps to 2 */
    };
    static const uint32_t lens[] = {0, 3, 4, 13, 8, 8};
    for (unsigned i = 0; i < VR_COUNT(tables); i++) {
        assert_int_equal(command(f, 1, 0, tables[i], lens[i], 100), 1);
    }
    assert_false(vd_needs_reset(&f->d));
    /* What was not negotiated does not exist; and the commands need their queue. */
    vd_start(&f->d, F_CTRL_VQ, 64);
    assert_int_equal(command(f, 0, 0, "\0", 1, 100), 1);
    assert_int_equal(command(f, 1, 1, ME, 6, 100), 1);
    assert_false(vd_negotiate(&f->d, F_CTRL_RX));
    assert_false(vd_negotiate(&f->d, F_CTRL_MAC_ADDR));
}

static void link_changes_are_told(void **state)
{
    struct net_fixture *f = *state;
    vd_start(&f->d, F_STATUS, 64);
    assert_int_equal(vd_config(&f->d, 6, 2), 1);
    f->net.net.user.on_link(f->net.net.user.opaque, false);
    assert_int_equal(vd_isr(&f->d), VR_VIRTIO_ISR_CONFIG);
    assert_int_equal(vd_config(&f->d, 6, 2), 0);
    f->net.net.user.on_link(f->net.net.user.opaque, false);
    assert_int_equal(vd_isr(&f->d), 0);
    f->net.net.user.on_link(f->net.net.user.opaque, true);
    assert_int_equal(vd_config(&f->d, 6, 2), 1);
    vr_virtio_net_attach(f->dev, NULL);
    assert_int_equal(vd_config(&f->d, 6, 2), 0);
    uint8_t raw[HEADER + 60] = {0};
    struct vd_buf out = vd_out(&f->d, raw, sizeof(raw));
    vd_do(&f->d, TX, &out, 1); /* into the void */
}

static void restored_with_filters(void **state)
{
    struct net_fixture *f = *state;
    vd_start(&f->d, F_CONTROL | F_MAC | F_MRG_RXBUF, 64);
    assert_int_equal(command(f, 0, 0, "\0", 1, 100), 0);
    static const char table[] = "\1\0\0\0" OTHER "\1\0\0\0" GROUP;
    assert_int_equal(command(f, 1, 0, table, 20, 3), 0);
    assert_int_equal(command(f, 1, 1, "\x52\x54\x00\x12\x34\x99", 6, 100), 0);
    struct vr_dev *twin =
        rig_dev(&f->rig, VD_CLASS(net), "mac=52:54:00:12:34:56,mtu=1500," VD_OPTS);
    assert_int_equal(rig_copy(f->dev, twin), 0);
    vr_dev_destroy(f->dev);
    vr_virtio_net_attach(twin, &f->net.net);
    f->dev = f->d.dev = twin;
    assert_true(!hears(f, ME) && hears(f, OTHER) && hears(f, GROUP) && !hears(f, GROUP2));
    assert_true(hears(f, "\x52\x54\x00\x12\x34\x99"));
    assert_int_equal(vd_config(&f->d, 5, 1), 0x99);
}

/* Memory and devices are saved one after the other: between quiesce and the clock's next run no
 * frame may get into memory. */
static void quiesced_it_takes_no_frames(void **state)
{
    struct net_fixture *f = *state;
    uint8_t frame[60];
    make_frame(frame, sizeof(frame), 3);
    vd_start(&f->d, F_MAC, 64);
    post_rx(&f->d, 100, 100);
    vd_kick(&f->d, RX);
    vr_dev_quiesce(f->dev);
    unsigned resumes = f->net.resumes;
    for (unsigned i = 0; i < 3; i++) {
        assert_false(fake_net_offer(&f->net, frame, sizeof(frame)));
    }
    assert_false(vd_used(&f->d, RX, NULL, NULL));
    assert_int_equal(f->net.resumes, resumes);
    vr_clock_step(f->rig.env.clock, 1);
    assert_true(f->net.resumes > resumes);
    assert_true(fake_net_offer(&f->net, frame, sizeof(frame)));
    assert_true(vd_used(&f->d, RX, NULL, NULL));
    vr_dev_quiesce(f->dev);
    vr_dev_reset(f->dev); /* a reset ends it, too */
    vd_start(&f->d, F_MAC, 64);
    post_rx(&f->d, 100, 100);
    assert_true(fake_net_offer(&f->net, frame, sizeof(frame)));
}

static void options(void **state)
{
    struct net_fixture *f = *state;
    static const char *const bad[] = {
        "mac=",
        "mac=52:54:00:12:34",
        "mac=52:54:00:12:34:5g",
        "mac=52-54-00-12-34-56",
        "mac=53:54:00:12:34:56",
        "mac=00:00:00:00:00:00",
        "mtu=67",
    };
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        struct vr_dev *dev;
        struct vr_error err = {0};
        assert_true(vr_dev_create(VD_CLASS(net), "n", bad[i], &f->rig.env, &dev, &err) < 0);
        assert_true(err.msg[0]);
    }
    struct vr_dev *dev = rig_dev(&f->rig, VD_CLASS(net), "mac=0A:bc:De:f0:12:34");
    struct vd d;
    vd_init(&d, &f->rig, dev);
    assert_int_equal(vd_config(&d, 0, 8) & UINT64_C(0xffffffffffff), UINT64_C(0x3412f0debc0a));
    assert_int_equal(vd_offered(&d) & F_MTU, 0);
    vr_dev_destroy(dev);
}

/* --- Networks on I/O loops of their own --- */

/* A cable whose other end never rests, on its loop's thread. */
struct busy {
    struct fake_net net;
    struct vr_loop *loop;
    atomic_bool stop, stopped;
    atomic_uint offered, wrong;
};

static void busy_turn(void *arg)
{
    struct busy *b = arg;
    const struct vr_net_user *user = &b->net.net.user; /* changed on this thread only */
    uint8_t frame[64] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    b->wrong += !vr_loop_here(b->loop);
    if (user->on_frame) {
        (void)user->on_frame(user->opaque, frame, sizeof(frame));
        b->offered++;
    }
    if (b->stop) {
        b->stopped = true;
    } else {
        vr_loop_post(b->loop, busy_turn, b);
    }
}

static void busy_nothing(void *arg)
{
    (void)arg;
}

static void networks_change_while_they_talk(void **state)
{
    struct net_fixture *f = *state;
    static struct busy b[2];
    vd_start(&f->d, F_MRG_RXBUF, 64);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(vr_loop_create(&b[i].loop, NULL), 0);
        assert_int_equal(vr_loop_start(b[i].loop, NULL), 0);
        fake_net_init(&b[i].net, b[i].loop);
        vr_loop_post(b[i].loop, busy_turn, &b[i]);
    }
    for (unsigned i = 0; i < 40; i++) {
        struct busy *now = &b[i % 2];
        vr_virtio_net_attach(f->dev, &now->net.net);
        unsigned before = now->offered;
        while (now->offered == before) { /* it is heard */
            vireo_thread_yield();
        }
        if (i % 3 == 0) {
            vr_virtio_net_attach(f->dev, NULL);
            before = now->offered;
            vr_virtio_on_loop(now->loop, busy_nothing, NULL);
            vr_virtio_on_loop(now->loop, busy_nothing, NULL); /* a turn lies between */
            assert_int_equal(now->offered, before);
        }
    }
    vr_virtio_net_attach(f->dev, &f->net.net);
    for (unsigned i = 0; i < 2; i++) {
        b[i].stop = true;
        while (!b[i].stopped) {
            vireo_thread_yield();
        }
        vr_loop_destroy(b[i].loop);
        assert_int_equal(b[i].wrong, 0);
        fake_net_fini(&b[i].net);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(frames_go_out_in_every_mode_and_cut),
        T(checksums_are_completed),
        T(bad_frames_are_refused),
        T(frames_come_in_in_every_mode_and_cut),
        T(big_frames_spread_over_merged_buffers),
        T(frames_wait_for_buffers),
        T(frames_that_never_fit_are_dropped),
        T(frames_before_the_driver_are_dropped),
        T(received_checksums_are_checked),
        T(odd_packets_are_not_vouched_for),
        T(filters_by_address),
        T(bad_commands_are_refused),
        T(link_changes_are_told),
        T(restored_with_filters),
        T(quiesced_it_takes_no_frames),
        T(networks_change_while_they_talk),
        T(options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The virtio disk: every request type, in all modes of the ring and all cuts of the buffers; many
 * in flight; stable writes; resets and snapshots in between. VIRTIO 1.2, section 5.2. */
#include "virtq_driver.h"

#include "base/bits.h"
#include "dev/virtio/blk.h"
#include "virtio_fakes.h"

#include <errno.h>
#include <stdlib.h>

enum { DISK = 1 << 20, SECTORS = DISK / 512 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2, S_NONE = 0xee };
enum {
    F_RO = 1 << 5,
    F_FLUSH = 1 << 9,
    F_CONFIG_WCE = 1 << 11,
    F_DISCARD = 1 << 13,
    F_WRITE_ZEROES = 1 << 14
};

struct fixture {
    struct rig rig;
    struct vr_loop *loop;
    struct mem_blk disk;
    struct vr_dev *dev;
    struct vd d;
};

static int setup(void **state)
{
    static struct fixture f;
    rig_init(&f.rig);
    assert_int_equal(vr_loop_create(&f.loop, NULL), 0);
    f.rig.env.loop = f.loop;
    mem_blk_init(&f.disk, DISK, f.loop);
    f.dev = rig_dev(&f.rig, VD_CLASS(blk), "serial=VIREO-0123456789," VD_OPTS);
    vr_virtio_blk_attach(f.dev, &f.disk.blk);
    vd_init(&f.d, &f.rig, f.dev);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    mem_blk_release(&f->disk, UINT32_MAX);
    vr_dev_destroy(f->dev);
    mem_blk_fini(&f->disk);
    vr_loop_destroy(f->loop);
    rig_fini(&f->rig);
    return 0;
}

static struct vd_buf header(struct vd *d, uint32_t type, uint64_t sector)
{
    uint8_t raw[16] = {0};
    vr_store_le32(raw, type);
    vr_store_le64(raw + 8, sector);
    return vd_out(d, raw, sizeof(raw));
}

/* The next completion, if there is one once the loop has run out of work. */
static bool done(struct fixture *f, uint16_t *ret_head, uint32_t *ret_len)
{
    for (unsigned turns = 0; turns < 40; turns++) { /* a request may take several steps */
        if (vd_used(&f->d, 0, ret_head, ret_len)) {
            return true;
        }
        vr_loop_turn(f->loop, 0);
    }
    return false;
}

/* One request; @data may be NULL. Returns the status byte; *ret_len is the used length. */
static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, const struct vd_buf *data,
                       uint32_t *ret_len)
{
    struct vd *d = &f->d;
    struct vd_buf bufs[3] = {header(d, type, sector)}, status = vd_in(d, 1);
    unsigned n = 1;
    if (data) {
        bufs[n++] = *data;
    }
    bufs[n++] = status;
    uint16_t head = vd_add(d, 0, bufs, n), got;
    uint32_t len;
    f->disk.now = !f->disk.now; /* both ways serve the same */
    vd_kick(d, 0);
    assert_true(done(f, &got, &len));
    assert_int_equal(got, head);
    if (ret_len) {
        *ret_len = len;
    }
    return *vd_hva(d, status.gpa);
}

static uint8_t write_sectors(struct fixture *f, uint64_t sector, const void *bytes, uint32_t len)
{
    struct vd_buf out = vd_out(&f->d, bytes, len);
    return request(f, T_OUT, sector, &out, NULL);
}

static void pattern(uint8_t *buf, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)rig_random(&seed);
    }
}

static void data_goes_both_ways_in_every_mode(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[8192];
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        uint32_t len;
        vd_start(&f->d, vd_modes[m].features | F_FLUSH, 64);
        pattern(buf, sizeof(buf), m + 1);
        assert_int_equal(write_sectors(f, 100, buf, sizeof(buf)), S_OK);
        assert_memory_equal(f->disk.data + 100 * 512, buf, sizeof(buf));
        struct vd_buf in = vd_in(&f->d, 4096);
        assert_int_equal(request(f, T_IN, 104, &in, &len), S_OK);
        assert_int_equal(len, 4097);
        assert_memory_equal(vd_hva(&f->d, in.gpa), buf + 4 * 512, 4096);
        assert_int_equal(f->dev->guest_errors, 0);
    }
}

/* The backend gets the guest's own memory. */
static void data_is_never_copied(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[1024] = {1};
    vd_start(&f->d, F_FLUSH, 64);
    struct vd_buf in = vd_in(&f->d, 4096), out = vd_out(&f->d, buf, sizeof(buf));
    request(f, T_IN, 0, &in, NULL);
    assert_ptr_equal(f->disk.last_base, vd_hva(&f->d, in.gpa));
    request(f, T_OUT, 0, &out, NULL);
    assert_ptr_equal(f->disk.last_base, vd_hva(&f->d, out.gpa));
    assert_int_equal(f->disk.last_iovs, 1);
    const struct vr_virtq_stats *s = vd_stats(&f->d, 0);
    assert_int_equal(s->chains, 2);
    assert_int_equal(s->copied, 2 * 16); /* headers */
    assert_int_equal(s->bytes, 2 * 17 + 4096 + 1024);
}

/* Header, data and status in any cut, also with parts of two in one descriptor (2.7.4). */
static void framing_is_the_drivers(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        static const uint32_t cuts[] = {1, 3, 7, 16, 17, 100, 512, 4000};
        for (unsigned i = 0; i < VR_COUNT(cuts); i++) {
            uint8_t raw[16 + 1024] = {T_OUT};
            struct vd_buf bufs[1100];
            uint16_t got;
            bool fine = vd_modes[m].features & VR_VIRTIO_F_INDIRECT_DESC;
            uint32_t bytes = fine || cuts[i] > 16 ? 512 : 0; /* a ring has only so many */
            vr_store_le64(raw + 8, 7);
            pattern(raw + 16, 1024, i + 1);
            vd_start(d, vd_modes[m].features | F_FLUSH, 256);
            struct vd_buf status = vd_in(d, 1), in = vd_in(d, bytes + 1);
            unsigned n = vd_split(vd_out(d, raw, 16 + bytes), cuts[i], bufs, 1000);
            bufs[n++] = status;
            vd_add(d, 0, bufs, n);
            raw[0] = T_IN;
            n = vd_split(vd_out(d, raw, 16), cuts[i], bufs, 1000);
            n += vd_split(in, cuts[i], bufs + n, 1000);
            vd_add(d, 0, bufs, n);
            vd_kick(d, 0);
            assert_true(done(f, &got, NULL) && done(f, &got, NULL));
            assert_int_equal(*vd_hva(d, status.gpa), S_OK);
            assert_int_equal(vd_hva(d, in.gpa)[bytes], S_OK);
            assert_memory_equal(f->disk.data + 7 * 512, raw + 16, bytes);
            assert_memory_equal(vd_hva(d, in.gpa), raw + 16, bytes);
        }
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

static void requests_beyond_the_disk_fail(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[1024] = {0};
    uint32_t len;
    vd_start(&f->d, F_FLUSH, 64);
    struct vd_buf in = vd_in(&f->d, 1024), odd = vd_in(&f->d, 511), none = {.write = true};
    static const uint64_t bad[] = {SECTORS - 1,   SECTORS,          SECTORS + 1,
                                   UINT64_MAX,    UINT64_MAX / 512, UINT64_MAX / 512 + 1,
                                   UINT64_MAX - 1};
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        assert_int_equal(request(f, T_IN, bad[i], &in, &len), S_IOERR);
        assert_int_equal(len, 0); /* nothing of the data was written */
        assert_int_equal(write_sectors(f, bad[i], buf, sizeof(buf)), S_IOERR);
    }
    assert_int_equal(request(f, T_IN, 0, &odd, NULL), S_IOERR);
    assert_int_equal(write_sectors(f, 0, buf, 513), S_IOERR);
    assert_int_equal(f->disk.submitted, 0);
    assert_int_equal(request(f, T_IN, SECTORS - 2, &in, NULL), S_OK);
    assert_int_equal(request(f, T_IN, SECTORS, &none, NULL), S_OK); /* nothing, at the end */
    assert_false(vd_needs_reset(&f->d));
}

static void backend_errors_reach_the_guest(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[512] = {0};
    vd_start(&f->d, F_FLUSH, 64);
    f->disk.fail = -EIO;
    struct vd_buf in = vd_in(&f->d, 512);
    assert_int_equal(request(f, T_IN, 0, &in, NULL), S_IOERR);
    assert_int_equal(write_sectors(f, 0, buf, 512), S_IOERR);
    assert_int_equal(request(f, T_FLUSH, 0, NULL, NULL), S_IOERR);
    f->disk.fail = -EOPNOTSUPP;
    assert_int_equal(request(f, T_FLUSH, 0, NULL, NULL), S_UNSUPP);
    f->disk.fail = 0;
    assert_int_equal(request(f, T_FLUSH, 0, NULL, NULL), S_OK);
    assert_int_equal(f->dev->guest_errors, 0); /* it is not the guest's fault */
}

static void id_and_unknown_types(void **state)
{
    struct fixture *f = *state;
    uint32_t len;
    vd_start(&f->d, F_FLUSH, 64);
    struct vd_buf id = vd_in(&f->d, 20), small = vd_in(&f->d, 5), big = vd_in(&f->d, 30);
    assert_int_equal(request(f, T_GET_ID, 0, &id, &len), S_OK);
    assert_int_equal(len, 21);
    assert_memory_equal(vd_hva(&f->d, id.gpa), "VIREO-0123456789\0\0\0\0", 20);
    assert_int_equal(request(f, T_GET_ID, 0, &small, &len), S_OK);
    assert_int_equal(len, 6);
    assert_memory_equal(vd_hva(&f->d, small.gpa), "VIREO", 5);
    assert_int_equal(request(f, T_GET_ID, 0, &big, &len), S_OK);
    assert_int_equal(len, 20);
    static const uint32_t unknown[] = {2, 3, 5, 7, 9, 10, 12, 14, 16, 26, 0x80000000, UINT32_MAX};
    for (unsigned i = 0; i < VR_COUNT(unknown); i++) {
        assert_int_equal(request(f, unknown[i], 0, &id, NULL), S_UNSUPP);
    }
}

/* --- Flushes --- */

static void writeback_writes_are_flushed_when_asked(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[512] = {0};
    vd_start(&f->d, F_FLUSH | F_CONFIG_WCE, 64);
    assert_int_equal(vd_config(&f->d, 32, 1), 1);
    assert_int_equal(write_sectors(f, 0, buf, 512), S_OK);
    assert_int_equal(f->disk.flushes, 0);
    assert_int_equal(request(f, T_FLUSH, 0, NULL, NULL), S_OK);
    assert_int_equal(f->disk.flushes, 1);
    /* Written through from now on, and back again. */
    vd_config_set(&f->d, 32, 1, 0);
    assert_int_equal(vd_config(&f->d, 32, 1), 0);
    assert_int_equal(write_sectors(f, 0, buf, 512), S_OK);
    assert_int_equal(f->disk.flushes, 2);
    vd_config_set(&f->d, 32, 1, 1);
    assert_int_equal(write_sectors(f, 0, buf, 512), S_OK);
    assert_int_equal(f->disk.flushes, 2);
    assert_int_equal(f->dev->guest_errors, 0);
    vd_config_set(&f->d, 32, 1, 2);
    vd_config_set(&f->d, 0, 4, 2);
    assert_int_equal(f->dev->guest_errors, 2);
}

/* 5.2.6.2: a driver that does not know flushes gets stable writes. */
static void drivers_without_flush_write_through(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[512] = {0};
    vd_start(&f->d, F_CONFIG_WCE, 64);
    assert_int_equal(vd_config(&f->d, 32, 1), 0); /* 5.2.5.2 */
    vd_start(&f->d, 0, 64);
    f->disk.hold = true;
    struct vd_buf bufs[] = {header(&f->d, T_OUT, 3), vd_out(&f->d, buf, 512), vd_in(&f->d, 1)};
    vd_add(&f->d, 0, bufs, 3);
    vd_kick(&f->d, 0);
    mem_blk_release(&f->disk, 1); /* the write */
    assert_false(done(f, NULL, NULL));
    assert_int_equal(f->disk.held, 1);
    assert_int_equal(f->disk.last_op, VR_BLK_FLUSH);
    mem_blk_release(&f->disk, 1);
    assert_true(done(f, NULL, NULL));
    assert_int_equal(*vd_hva(&f->d, bufs[2].gpa), S_OK);
    /* Zeroes are written, too: all of them, and then they are made stable. */
    uint8_t two[32] = {[0] = 4, [8] = 1, [16] = 9, [24] = 2};
    vd_start(&f->d, F_WRITE_ZEROES, 64);
    bufs[0] = header(&f->d, T_WRITE_ZEROES, 0);
    bufs[1] = vd_out(&f->d, two, sizeof(two));
    bufs[2] = vd_in(&f->d, 1);
    vd_add(&f->d, 0, bufs, 3);
    vd_kick(&f->d, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(done(f, NULL, NULL));
        assert_int_equal(f->disk.last_op, i < 2 ? VR_BLK_WRITE_ZEROES : VR_BLK_FLUSH);
        mem_blk_release(&f->disk, 1);
    }
    assert_true(done(f, NULL, NULL));
    assert_int_equal(*vd_hva(&f->d, bufs[2].gpa), S_OK);
    f->disk.hold = false;
}

/* --- Discard and write zeroes --- */

struct range {
    uint64_t sector;
    uint32_t count, flags;
};

static uint8_t ranges(struct fixture *f, uint32_t type, const struct range *r, unsigned count)
{
    uint8_t raw[64 * 16];
    for (unsigned i = 0; i < count; i++) {
        vr_store_le64(raw + 16 * (size_t)i, r[i].sector);
        vr_store_le32(raw + 16 * (size_t)i + 8, r[i].count);
        vr_store_le32(raw + 16 * (size_t)i + 12, r[i].flags);
    }
    struct vd_buf out = vd_out(&f->d, raw, 16 * count);
    return request(f, type, 0, &out, NULL);
}

static bool all(const struct fixture *f, uint64_t sector, uint64_t count, uint8_t byte)
{
    for (uint64_t i = sector * 512; i < (sector + count) * 512; i++) {
        if (f->disk.data[i] != byte) {
            return false;
        }
    }
    return true;
}

static void zeroes_and_discards(void **state)
{
    struct fixture *f = *state;
    memset(f->disk.data, 0x55, DISK);
    vd_start(&f->d, F_FLUSH | F_DISCARD | F_WRITE_ZEROES, 64);
    const struct range two[] = {{10, 5, 0}, {20, 1, 1}};
    assert_int_equal(ranges(f, T_WRITE_ZEROES, two, 2), S_OK);
    assert_true(all(f, 10, 5, 0) && all(f, 20, 1, 0) && all(f, 0, 10, 0x55) &&
                all(f, 15, 5, 0x55) && all(f, 21, 100, 0x55));
    assert_true(f->disk.last_unmap);
    assert_int_equal(ranges(f, T_DISCARD, &(struct range){30, 2, 0}, 1), S_OK);
    assert_true(all(f, 30, 2, 0xdd) && all(f, 32, 10, 0x55));
    assert_int_equal(ranges(f, T_DISCARD, &(struct range){30, 0, 0}, 1), S_OK);
    unsigned submitted = f->disk.submitted;
    const struct range bad[] = {
        {SECTORS, 1, 0},    {SECTORS - 1, 2, 0},   {UINT64_MAX, 1, 0}, {UINT64_MAX, UINT32_MAX, 0},
        {0, UINT32_MAX, 0}, {0, (1 << 22) + 1, 0},
    };
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        assert_int_equal(ranges(f, T_DISCARD, &bad[i], 1), S_IOERR);
        assert_int_equal(ranges(f, T_WRITE_ZEROES, &bad[i], 1), S_IOERR);
        const struct range pair[] = {{40, 1, 0}, bad[i]}; /* all or nothing */
        assert_int_equal(ranges(f, T_WRITE_ZEROES, pair, 2), S_IOERR);
    }
    assert_int_equal(ranges(f, T_DISCARD, &(struct range){0, 1, 1}, 1), S_UNSUPP);
    assert_int_equal(ranges(f, T_WRITE_ZEROES, &(struct range){0, 1, 2}, 1), S_UNSUPP);
    struct range many[17] = {{0}};
    assert_int_equal(ranges(f, T_DISCARD, many, 17), S_IOERR);
    assert_int_equal(ranges(f, T_DISCARD, many, 16), S_OK);
    assert_int_equal(ranges(f, T_DISCARD, many, 0), S_IOERR);
    struct vd_buf odd = vd_out(&f->d, "seventeen bytes..", 17);
    assert_int_equal(request(f, T_DISCARD, 0, &odd, NULL), S_IOERR);
    assert_int_equal(f->disk.submitted, submitted);
    /* Not negotiated: not there. */
    vd_start(&f->d, F_FLUSH, 64);
    assert_int_equal(ranges(f, T_DISCARD, two, 1), S_UNSUPP);
    assert_int_equal(ranges(f, T_WRITE_ZEROES, two, 1), S_UNSUPP);
}

static void read_only_disks_stay_so(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[512] = {1};
    f->disk.blk.read_only = true;
    assert_int_equal(vd_offered(&f->d) & (F_RO | F_DISCARD | F_WRITE_ZEROES), F_RO);
    vd_start(&f->d, F_RO | F_FLUSH, 64);
    assert_int_equal(write_sectors(f, 0, buf, 512), S_IOERR);
    assert_int_equal(f->disk.submitted, 0);
    assert_int_equal(f->disk.data[0], 0);
    struct vd_buf in = vd_in(&f->d, 512);
    assert_int_equal(request(f, T_IN, 0, &in, NULL), S_OK);
}

/* --- Many at once, and the end of them --- */

static void many_are_in_flight_and_end_in_any_order(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(d, vd_modes[m].features | F_FLUSH, 256);
        unsigned count = d->indirect ? 256 : 85;
        struct vd_buf status[256], in[256];
        f->disk.hold = true;
        for (unsigned i = 0; i < count; i++) {
            f->disk.data[i * 512] = (uint8_t)(i + m);
            struct vd_buf bufs[] = {header(d, T_IN, i), vd_in(d, 512), vd_in(d, 1)};
            in[i] = bufs[1];
            status[i] = bufs[2];
            vd_add(d, 0, bufs, 3);
        }
        vd_kick(d, 0);
        assert_int_equal(f->disk.held, count);
        assert_false(done(f, NULL, NULL));
        mem_blk_release(&f->disk, count / 2);
        mem_blk_release(&f->disk, UINT32_MAX);
        for (unsigned i = 0; i < count; i++) {
            assert_true(done(f, NULL, NULL));
            assert_int_equal(*vd_hva(d, status[i].gpa), S_OK);
            assert_int_equal(*vd_hva(d, in[i].gpa), (uint8_t)(i + m));
        }
        f->disk.hold = false;
    }
}

/* What the host end has at hand is answered when the notification returns; so much of it that the
 * driver's CPU is not kept. */
static void what_is_at_hand_is_answered_at_once(void **state)
{
    enum { BIG = 32 << 10 };
    struct fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(d, vd_modes[m].features, 64);
        struct vd_buf status[10];
        f->disk.now = true;
        f->disk.tried = f->disk.flushes = 0;
        for (unsigned i = 0; i < 10; i++) {
            memset(f->disk.data + i * BIG, (int)(i + m), BIG);
            struct vd_buf bufs[] = {header(d, T_IN, i * BIG / 512), vd_in(d, BIG), vd_in(d, 1)};
            status[i] = bufs[2];
            vd_add(d, 0, bufs, 3);
        }
        vd_kick(d, 0);
        uint32_t len;
        for (unsigned i = 0; i < 8; i++) { /* 256 KiB */
            assert_true(vd_used(d, 0, NULL, &len));
            assert_int_equal(len, BIG + 1);
        }
        assert_int_equal(f->disk.tried, 8);
        assert_false(vd_used(d, 0, NULL, NULL));
        assert_true(done(f, NULL, NULL) && done(f, NULL, NULL));
        for (unsigned i = 0; i < 10; i++) {
            assert_int_equal(*vd_hva(d, status[i].gpa), S_OK);
        }
        /* No FLUSH was negotiated: a write is stable before it is reported, in the same go. */
        uint8_t sector[512] = "new";
        struct vd_buf bufs[] = {header(d, T_OUT, 7), vd_out(d, sector, 512), vd_in(d, 1)};
        vd_add(d, 0, bufs, 3);
        vd_kick(d, 0);
        assert_true(vd_used(d, 0, NULL, NULL));
        assert_int_equal(*vd_hva(d, bufs[2].gpa), S_OK);
        assert_int_equal(f->disk.flushes, 1);
        assert_memory_equal(f->disk.data + 7 * 512, sector, 512);
        f->disk.fail = -EIO;
        vd_add(d, 0, bufs, 3);
        vd_kick(d, 0);
        assert_true(vd_used(d, 0, NULL, NULL));
        assert_int_equal(*vd_hva(d, bufs[2].gpa), S_IOERR);
        assert_int_equal(f->disk.flushes, 1);
        f->disk.fail = 0;
        f->disk.now = false;
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

/* What was in flight at a reset ends without a trace in the new rings. */
static void reset_orphans_what_is_in_flight(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    f->disk.hold = true;
    for (unsigned round = 0; round < 20; round++) {
        vd_start(d, F_FLUSH, 64);
        uint64_t heap = d->heap;
        for (unsigned i = 0; i < 20; i++) {
            struct vd_buf bufs[] = {header(d, i % 2 ? T_IN : T_OUT, i), vd_in(d, 512), vd_in(d, 1)};
            bufs[1].write = i % 2;
            vd_add(d, 0, bufs, 3);
        }
        vd_kick(d, 0);
        assert_int_equal(f->disk.held, 20);
        if (round % 2) {
            vd_set(d, VD_STATUS, 0);
        } else {
            vr_dev_reset(f->dev);
        }
        vd_start(d, 0, 64);
        uint64_t used = d->q[0].used;
        uint8_t before[6 + 8 * 64];
        memcpy(before, vd_hva(d, used), sizeof(before));
        d->heap = heap + 65536;
        mem_blk_release(&f->disk, UINT32_MAX);
        assert_false(done(f, NULL, NULL));
        assert_memory_equal(vd_hva(d, used), before, sizeof(before));
        assert_int_equal(vd_isr(d), 0);
    }
    assert_int_equal(f->dev->guest_errors, 0);
    f->disk.hold = false;
}

/* The device status, when @count requests that were held have ended. */
static uint32_t status_after(struct fixture *f, unsigned count)
{
    mem_blk_release(&f->disk, count);
    for (unsigned turns = 0; turns < 40; turns++) {
        vr_loop_turn(f->loop, 0);
    }
    return vd_get(&f->d, VD_STATUS);
}

/* A driver that waits, as 2.4.2 wants it, has its memory for itself afterwards. */
static void reset_is_complete_when_nothing_is_in_flight(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    f->disk.hold = true;
    vd_start(d, F_FLUSH, 64);
    vd_set(d, VD_STATUS, 0);
    assert_int_equal(vd_get(d, VD_STATUS), 0);
    vd_start(d, F_FLUSH, 64);
    for (unsigned i = 0; i < 2; i++) {
        struct vd_buf bufs[] = {header(d, T_IN, i), vd_in(d, 512), vd_in(d, 1)};
        vd_add(d, 0, bufs, 3);
    }
    vd_kick(d, 0);
    vd_set(d, VD_STATUS, 0);
    assert_int_not_equal(vd_get(d, VD_STATUS), 0);
    assert_int_not_equal(status_after(f, 1), 0);
    assert_int_equal(status_after(f, 1), 0);
    /* One that does not wait is told what it wrote. */
    vd_start(d, F_FLUSH, 64);
    struct vd_buf bufs[] = {header(d, T_IN, 1), vd_in(d, 512), vd_in(d, 1)};
    vd_add(d, 0, bufs, 3);
    vd_kick(d, 0);
    vd_set(d, VD_STATUS, 0);
    vd_set(d, VD_STATUS, VR_VIRTIO_ACKNOWLEDGE);
    assert_int_equal(status_after(f, 0), VR_VIRTIO_ACKNOWLEDGE);
    assert_int_equal(status_after(f, 1), VR_VIRTIO_ACKNOWLEDGE);
    assert_int_equal(f->dev->guest_errors, 0);
    f->disk.hold = false;
}

static void quiesced_and_restored_it_goes_on(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    uint8_t buf[512] = {42};
    vd_start(d, F_FLUSH | F_CONFIG_WCE | VR_VIRTIO_F_EVENT_IDX, 64);
    vd_config_set(&f->d, 32, 1, 0);
    assert_int_equal(write_sectors(f, 5, buf, 512), S_OK);
    struct vd_buf bufs[] = {header(d, T_IN, 5), vd_in(d, 512), vd_in(d, 1)};
    vd_add(d, 0, bufs, 3);
    vd_kick(d, 0);
    vr_dev_quiesce(f->dev); /* it is done when this returns */
    assert_int_equal(*vd_hva(d, bufs[1].gpa), 42);
    struct vr_dev *twin = rig_dev(&f->rig, VD_CLASS(blk), "serial=VIREO-0123456789," VD_OPTS);
    vr_virtio_blk_attach(twin, &f->disk.blk);
    assert_int_equal(rig_copy(f->dev, twin), 0);
    vr_dev_destroy(f->dev);
    f->dev = d->dev = twin;
    assert_true(vd_used(d, 0, NULL, NULL));
    assert_int_equal(vd_config(d, 32, 1), 0);
    assert_int_equal(vd_get(d, VD_ISR), VR_VIRTIO_ISR_USED);
    buf[0] = 43;
    unsigned flushes = f->disk.flushes;
    assert_int_equal(write_sectors(f, 6, buf, 512), S_OK);
    assert_int_equal(f->disk.flushes, flushes + 1); /* still written through */
    assert_int_equal(f->disk.data[6 * 512], 43);
}

static void without_a_disk_it_answers(void **state)
{
    struct fixture *f = *state;
    vr_virtio_blk_attach(f->dev, NULL);
    assert_int_equal(vd_config(&f->d, 0, 8), 0);
    vd_start(&f->d, F_FLUSH, 64);
    struct vd_buf in = vd_in(&f->d, 512);
    assert_int_equal(request(f, T_IN, 0, &in, NULL), S_IOERR);
    assert_int_equal(request(f, T_FLUSH, 0, NULL, NULL), S_IOERR);
    vr_virtio_blk_attach(f->dev, &f->disk.blk);
    assert_int_equal(vd_isr(&f->d) & VR_VIRTIO_ISR_CONFIG, VR_VIRTIO_ISR_CONFIG);
    assert_int_equal(vd_config(&f->d, 0, 8), SECTORS);
    assert_int_equal(request(f, T_IN, 0, &in, NULL), S_OK);
}

static void configuration(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    assert_int_equal(vd_get(d, VD_DEVICE_ID), 2);
    assert_int_equal(vd_config(d, 0, 8), SECTORS);
    assert_int_equal(vd_config(d, 0, 4), SECTORS);
    assert_int_equal(vd_config(d, 12, 4), 510); /* seg_max */
    assert_int_equal(vd_config(d, 20, 4), 512);
    assert_int_equal(vd_config(d, 24, 1), 3); /* 4 KiB physical blocks */
    assert_int_equal(vd_config(d, 28, 4), 8);
    assert_int_equal(vd_config(d, 36, 4), 1 << 22);
    assert_int_equal(vd_config(d, 40, 4), 16);
    assert_int_equal(vd_config(d, 44, 4), 8);
    assert_int_equal(vd_config(d, 48, 4), 1 << 22);
    assert_int_equal(vd_config(d, 56, 1), 1);
    assert_int_equal(f->dev->guest_errors, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(configuration),
        T(data_goes_both_ways_in_every_mode),
        T(data_is_never_copied),
        T(framing_is_the_drivers),
        T(requests_beyond_the_disk_fail),
        T(backend_errors_reach_the_guest),
        T(id_and_unknown_types),
        T(writeback_writes_are_flushed_when_asked),
        T(drivers_without_flush_write_through),
        T(zeroes_and_discards),
        T(read_only_disks_stay_so),
        T(many_are_in_flight_and_end_in_any_order),
        T(what_is_at_hand_is_answered_at_once),
        T(reset_orphans_what_is_in_flight),
        T(reset_is_complete_when_nothing_is_in_flight),
        T(quiesced_and_restored_it_goes_on),
        T(without_a_disk_it_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The virtio SCSI controller and its units: requests in all modes of the ring, what each command
 * answers, hostile commands, tasks that are ended, units and discs that come and go. VIRTIO 1.3,
 * section 5.6; SPC-4, SBC-3, MMC-6. */
#include "virtq_driver.h"

#include "base/bits.h"
#include "dev/virtio/scsi.h"
#include "virtio_fakes.h"

#include <errno.h>
#include <stdlib.h>

enum { CONTROL, EVENT, REQUEST };
enum { DISK = 1 << 20, BLOCKS = DISK / 512, DISC = 64 * 2048 };
enum { OK = 0, OVERRUN = 1, ABORTED = 2, BAD_TARGET = 3, RESET = 4, SUCCEEDED = 10, REJECTED = 11 };
enum { INCORRECT_LUN = 12 };
enum { GOOD = 0, CHECK = 2 };
enum { F_HOTPLUG = 2, F_CHANGE = 4 };
enum { RESPONSE = 108 };
#define SENSE(key, asc, ascq) ((unsigned)(key) << 16 | (asc) << 8 | (ascq))

/* Units of the fixture. */
enum { T_DISK, T_CDROM, T_PLAIN };

struct fixture {
    struct rig rig;
    struct vr_loop *loop;
    struct mem_blk disk, disc, plain;
    struct vr_dev *dev;
    struct vd d;
};

/* One command and what came of it. */
struct cmd {
    uint8_t target;
    uint16_t lun;
    const uint8_t *cdb;
    unsigned cdb_len;
    const void *out;
    uint32_t out_len, in_len;
    /* Answer. */
    uint8_t response, status;
    unsigned sense;
    uint32_t residual, used;
    uint8_t *in;
};

static int plug(struct fixture *f, unsigned target, unsigned lun, struct mem_blk *blk, bool cdrom)
{
    struct vr_virtio_scsi_unit u = {.kind = cdrom ? VR_SCSI_CDROM : VR_SCSI_DISK,
                                    .target = target,
                                    .lun = lun,
                                    .blk = blk ? &blk->blk : NULL,
                                    .serial = target == T_DISK ? "SN 12" : NULL};
    return vr_virtio_scsi_plug(f->dev, &u, NULL);
}

static int setup(void **state)
{
    static struct fixture f;
    rig_init(&f.rig);
    assert_int_equal(vr_loop_create(&f.loop, NULL), 0);
    f.rig.env.loop = f.loop;
    mem_blk_init(&f.disk, DISK, f.loop);
    mem_blk_init(&f.disc, DISC, f.loop);
    mem_blk_init(&f.plain, DISK, f.loop);
    f.disc.blk.read_only = true;
    f.plain.blk.discard = false;
    f.dev = rig_dev(&f.rig, &vr_virtio_scsi_mmio_class, "queues=3," VD_OPTS);
    assert_int_equal(plug(&f, T_DISK, 0, &f.disk, false), 0);
    assert_int_equal(plug(&f, T_CDROM, 0, &f.disc, true), 0);
    assert_int_equal(plug(&f, T_PLAIN, 0, &f.plain, false), 0);
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
    mem_blk_fini(&f->disc);
    mem_blk_fini(&f->plain);
    vr_loop_destroy(f->loop);
    rig_fini(&f->rig);
    return 0;
}

static bool done(struct fixture *f, unsigned queue, uint32_t *ret_len)
{
    for (unsigned turns = 0; turns < 2000; turns++) {
        if (vd_used(&f->d, queue, NULL, ret_len)) {
            return true;
        }
        vr_loop_turn(f->loop, 0);
    }
    return false;
}

/* The chain of a command, published on @queue; where its answer will be. */
static uint64_t cmd_add(struct fixture *f, unsigned queue, const struct cmd *c, uint64_t id,
                        unsigned cut)
{
    struct vd *d = &f->d;
    uint8_t head[51] = {1, c->target, (uint8_t)(0x40 | c->lun >> 8), (uint8_t)c->lun};
    vr_store_le64(head + 8, id);
    memcpy(head + 19, c->cdb, c->cdb_len);
    struct vd_buf bufs[128], in = vd_in(d, RESPONSE + c->in_len);
    uint64_t gpa = vd_alloc(d, sizeof(head) + c->out_len, 1);
    memcpy(vd_hva(d, gpa), head, sizeof(head));
    if (c->out_len) {
        memcpy(vd_hva(d, gpa + sizeof(head)), c->out, c->out_len);
    }
    struct vd_buf out = {.gpa = gpa, .len = (uint32_t)sizeof(head) + c->out_len};
    unsigned n = vd_split(out, cut ? cut : UINT32_MAX, bufs, 64);
    n += vd_split(in, cut ? cut : UINT32_MAX, bufs + n, 64);
    vd_add(d, queue, bufs, n);
    vd_kick(d, queue);
    return in.gpa;
}

static void cmd_answer(struct fixture *f, struct cmd *c, uint64_t gpa)
{
    const uint8_t *a = vd_hva(&f->d, gpa);
    c->residual = vr_load_le32(a + 4);
    c->status = a[10];
    c->response = a[11];
    c->sense = vr_load_le32(a) ? SENSE(a[12 + 2], a[12 + 12], a[12 + 13]) : 0;
    c->in = vd_hva(&f->d, gpa) + RESPONSE;
}

static void run(struct fixture *f, struct cmd *c, unsigned cut)
{
    uint64_t gpa = cmd_add(f, REQUEST, c, 77, cut);
    if (!done(f, REQUEST, &c->used)) {
        fail_msg("command 0x%02x never ended", c->cdb[0]);
    }
    cmd_answer(f, c, gpa);
}

#define CDB(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* A command with data to the initiator: returns the data. */
static struct cmd ask(struct fixture *f, uint8_t target, const uint8_t *cdb, unsigned len,
                      uint32_t in_len)
{
    struct cmd c = {.target = target, .cdb = cdb, .cdb_len = len, .in_len = in_len};
    run(f, &c, 0);
    return c;
}

static struct cmd give(struct fixture *f, uint8_t target, const uint8_t *cdb, unsigned len,
                       const void *out, uint32_t out_len)
{
    struct cmd c = {.target = target, .cdb = cdb, .cdb_len = len, .out = out, .out_len = out_len};
    run(f, &c, 0);
    return c;
}

/* Each evaluates the command once. */
#define assert_good(c)                       \
    do {                                     \
        const struct cmd got_ = (c);         \
        assert_int_equal(got_.response, OK); \
        assert_int_equal(got_.sense, 0);     \
        assert_int_equal(got_.status, GOOD); \
    } while (0)
#define assert_sense(c, key, asc, ascq)                      \
    do {                                                     \
        const struct cmd got_ = (c);                         \
        assert_int_equal(got_.response, OK);                 \
        assert_int_equal(got_.sense, SENSE(key, asc, ascq)); \
        assert_int_equal(got_.status, CHECK);                \
    } while (0)

/* Every unit says first that it is new. */
static void start(struct fixture *f, uint64_t features)
{
    vd_start(&f->d, features, 64);
    for (uint8_t t = 0; t < 3; t++) {
        assert_sense(ask(f, t, CDB(0x00), 0), 6, 0x29, 0);
        assert_good(ask(f, t, CDB(0x00), 0));
    }
}

static void data_in_every_mode(void **state)
{
    static const unsigned cuts[] = {0, 1000, 512, 333, 200};
    struct fixture *f = *state;
    uint8_t pattern[4096];
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        start(f, vd_modes[m].features);
        for (unsigned i = 0; i < VR_COUNT(cuts); i++) {
            for (unsigned k = 0; k < sizeof(pattern); k++) {
                pattern[k] = (uint8_t)(k * 7 + i + m);
            }
            const uint8_t block = (uint8_t)(16 * i + m);
            struct cmd w = {.cdb = (const uint8_t[]){0x2a, 0, 0, 0, 0, block, 0, 0, 8, 0},
                            .cdb_len = 10,
                            .out = pattern,
                            .out_len = sizeof(pattern)};
            run(f, &w, cuts[i]);
            assert_good(w);
            assert_int_equal(w.used, RESPONSE);
            assert_int_equal(w.residual, 0);
            assert_memory_equal(f->disk.data + 512 * block, pattern, sizeof(pattern));
            struct cmd r = {.cdb = (const uint8_t[]){0x28, 0, 0, 0, 0, block, 0, 0, 8, 0},
                            .cdb_len = 10,
                            .in_len = sizeof(pattern)};
            run(f, &r, cuts[i]);
            assert_good(r);
            assert_int_equal(r.used, RESPONSE + sizeof(pattern));
            assert_memory_equal(r.in, pattern, sizeof(pattern));
        }
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

static void reads_and_writes_of_all_lengths(void **state)
{
    struct fixture *f = *state;
    uint8_t data[1024];
    memset(data, 0x5a, sizeof(data));
    start(f, 0);
    f->disk.data[512 * 9] = 1;
    assert_int_equal(*ask(f, 0, CDB(0x08, 0, 0, 9, 1, 0), 512).in, 1);
    assert_int_equal(*ask(f, 0, CDB(0xa8, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0), 512).in, 1);
    assert_int_equal(*ask(f, 0, CDB(0x88, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0), 512).in, 1);
    assert_good(give(f, 0, CDB(0x0a, 0, 0, 20, 2, 0), data, 1024));
    assert_good(give(f, 0, CDB(0xaa, 0, 0, 0, 0, 30, 0, 0, 0, 2, 0, 0), data, 1024));
    assert_good(give(f, 0, CDB(0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0), data, 1024));
    for (unsigned at = 20; at <= 40; at += 10) {
        assert_memory_equal(f->disk.data + 512 * at, data, 1024);
    }
    assert_int_equal(f->disk.flushes, 0);
    assert_good(give(f, 0, CDB(0x2a, 8, 0, 0, 0, 0, 0, 0, 2, 0), data, 1024)); /* FUA */
    assert_int_equal(f->disk.flushes, 1);
    assert_good(give(f, 0, CDB(0x2e, 0, 0, 0, 0, 0, 0, 0, 2, 0), data, 1024)); /* and verify */
    assert_int_equal(f->disk.flushes, 2);
    assert_good(ask(f, 0, CDB(0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0));
    assert_good(ask(f, 0, CDB(0x91), 0));
    assert_int_equal(f->disk.flushes, 4);
    assert_good(ask(f, 0, CDB(0x2f, 0, 0, 0, 0, 0, 0, 0, 5, 0), 0));
    assert_good(ask(f, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0)); /* no blocks */
    /* READ (6) of 0 blocks means 256. */
    assert_int_equal(ask(f, 0, CDB(0x08, 0, 0, 0, 0, 0), 256 * 512).used, RESPONSE + 256 * 512);
}

/* Numbers that wrap, end behind the end, or say more than there are buffers for. */
static void hostile_numbers(void **state)
{
    static const uint8_t bad[][16] = {
        {0x28, 0, 0, 0, 0x08, 0, 0, 0, 1},    /* the first behind */
        {0x28, 0, 0, 0, 0x07, 0xff, 0, 0, 2}, /* over the end */
        {0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff},
        {0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1},
        {0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        {0x88, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
        {0x88, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
        {0xa8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
        {0x8a, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1},
        {0x2a, 0, 0, 0, 0x08, 0, 0, 0, 1},
        {0x41, 0, 0, 0, 0x07, 0xff, 0, 0, 2},
        {0x93, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2},
        {0x8f, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2},
        {0x35, 0, 0, 0, 0x08, 0x01, 0, 0, 0},
    };
    struct fixture *f = *state;
    uint8_t data[1024] = {0};
    start(f, 0);
    f->disk.submitted = 0;
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        struct cmd c = {.cdb = bad[i], .cdb_len = 16, .out = data, .out_len = 1024, .in_len = 1024};
        run(f, &c, 0);
        assert_sense(c, 5, 0x21, 0);
        assert_int_equal(c.residual, 2048);
    }
    /* More than the buffers hold: nothing is done. */
    struct cmd c = ask(f, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 3, 0), 1024);
    assert_int_equal(c.response, OVERRUN);
    c = give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 3, 0), data, 1024);
    assert_int_equal(c.response, OVERRUN);
    c = ask(f, 0, CDB(0x12, 0, 0, 0, 36, 0), 20);
    assert_int_equal(c.response, OVERRUN);
    c = give(f, 0, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 3, 0), data, 100);
    assert_int_equal(c.response, OVERRUN);
    c = give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0), data, 8);
    assert_int_equal(c.response, OVERRUN);
    assert_int_equal(f->disk.submitted, 0);
    /* Less than that is fine. */
    c = ask(f, 0, CDB(0x12, 0, 0, 0, 5, 0), 20);
    assert_good(c);
    assert_int_equal(c.used, RESPONSE + 5);
    assert_int_equal(c.residual, 15);
    assert_false(vd_needs_reset(&f->d));
}

/* Every opcode, with bytes of every kind behind it: an answer each, and the units live on. */
static void every_command_is_answered(void **state)
{
    static const uint8_t fill[] = {0x00, 0xff, 0x80, 0x01, 0x10};
    struct fixture *f = *state;
    uint8_t data[4096];
    uint64_t seed = 11;
    for (unsigned op = 0; op < 256; op++) {
        start(f, 0); /* the tray may be out */
        for (unsigned i = 0; i < 12; i++) {
            uint8_t cdb[32];
            memset(cdb, i < VR_COUNT(fill) ? fill[i] : 0, sizeof(cdb));
            for (unsigned k = 0; k < sizeof(cdb) && i >= VR_COUNT(fill); k++) {
                cdb[k] = rig_random(&seed) % 3 ? 0 : (uint8_t)rig_random(&seed);
            }
            for (unsigned k = 0; k < sizeof(data); k++) {
                data[k] = rig_random(&seed) % 4 ? 0 : (uint8_t)rig_random(&seed);
            }
            cdb[0] = (uint8_t)op;
            struct cmd c = {.target = (uint8_t)(i % 3),
                            .cdb = cdb,
                            .cdb_len = 32,
                            .out = data,
                            .out_len = (uint32_t)(rig_random(&seed) % sizeof(data)),
                            .in_len = (uint32_t)(rig_random(&seed) % sizeof(data))};
            run(f, &c, 0);
            assert_true(c.response == OK || c.response == OVERRUN);
            assert_true(c.used <= RESPONSE + c.in_len);
            assert_true(c.residual <= c.in_len + c.out_len);
        }
        assert_false(vd_needs_reset(&f->d));
    }
}

static void what_a_disk_is(void **state)
{
    struct fixture *f = *state;
    start(f, 0);
    struct cmd c = ask(f, 0, CDB(0x12, 0, 0, 0, 36, 0), 36);
    assert_good(c);
    assert_memory_equal(c.in, "\0\0\5\x12\x1f\0\0\2VIREO   disk            1   ", 36);
    c = ask(f, 0, CDB(0x12, 1, 0, 0, 100, 0), 100);
    assert_memory_equal(c.in, "\0\0\0\6\0\x80\x83\xb0\xb1\xb2", 10);
    c = ask(f, 0, CDB(0x12, 1, 0x80, 0, 100, 0), 100);
    assert_memory_equal(c.in, "\0\x80\0\5SN 12", 9);
    c = ask(f, 0, CDB(0x12, 1, 0x83, 0, 100, 0), 100);
    assert_memory_equal(c.in, "\0\x83\0\x11\2\1\0\x0dVIREO   SN 12", 21);
    c = ask(f, 0, CDB(0x12, 1, 0xb0, 0, 100, 0), 100);
    assert_int_equal(c.used, RESPONSE + 64);
    assert_int_equal(c.in[21], 0x40); /* unmaps 2^22 blocks */
    c = ask(f, 2, CDB(0x12, 1, 0xb0, 0, 100, 0), 100);
    assert_int_equal(c.in[21], 0); /* this one not */
    assert_sense(ask(f, 0, CDB(0x12, 1, 0x81, 0, 100, 0), 100), 5, 0x24, 0);
    assert_sense(ask(f, 0, CDB(0x12, 0, 1, 0, 100, 0), 100), 5, 0x24, 0);
    assert_sense(ask(f, 2, CDB(0x12, 1, 0x80, 0, 100, 0), 100), 5, 0x24, 0); /* no serial */
    c = ask(f, 0, CDB(0x25), 8);
    assert_memory_equal(c.in, "\0\0\7\xff\0\0\2\0", 8);
    c = ask(f, 0, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32);
    assert_memory_equal(c.in, "\0\0\0\0\0\0\7\xff\0\0\2\0\0\3\x80", 15);
    assert_sense(ask(f, 0, CDB(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32), 5, 0x24, 0);
    c = ask(f, 0, CDB(0x1a, 0, 0x3f, 0, 255, 0), 255);
    assert_good(c);
    assert_int_equal(c.in[0] + 1, c.used - RESPONSE);
    assert_int_equal(c.in[2], 0x10);
    assert_int_equal(c.in[3], 8);
    assert_int_equal(c.in[12], 0x08);
    assert_int_equal(c.in[14], 0x04);
    c = ask(f, 0, CDB(0x5a, 8, 0x08, 0, 0, 0, 0, 0, 255, 0), 255);
    assert_int_equal(c.used, RESPONSE + 28);
    assert_memory_equal(c.in, "\0\x1a\0\x10\0\0\0\0\x08\x12\4", 11);
    assert_sense(ask(f, 0, CDB(0x1a, 0, 0xc8, 0, 255, 0), 255), 5, 0x39, 0); /* saved values */
    assert_sense(ask(f, 0, CDB(0x1a, 0, 0x01, 0, 255, 0), 255), 5, 0x24, 0);
    c = ask(f, 0, CDB(0x03, 0, 0, 0, 252, 0), 252);
    assert_memory_equal(c.in, "\x70\0\0\0\0\0\0\x0a", 8);
    assert_sense(ask(f, 0, CDB(0xff), 0), 5, 0x20, 0);
}

static void the_write_cache(void **state)
{
    struct fixture *f = *state;
    uint8_t list[24] = {0, 0, 0, 0, 0x08, 0x12}, data[512] = {0};
    start(f, 0);
    assert_good(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24));
    assert_good(give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), data, 512));
    assert_int_equal(f->disk.flushes, 1);
    assert_int_equal(ask(f, 0, CDB(0x1a, 8, 0x08, 0, 255, 0), 255).in[6], 0);
    list[6] = 4;
    assert_good(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24));
    assert_good(give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), data, 512));
    assert_int_equal(f->disk.flushes, 1);
    list[6] = 5; /* the read cache is not ours to change */
    assert_sense(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24), 5, 0x26, 0);
    assert_sense(give(f, 0, CDB(0x15, 0x10, 0, 0, 23, 0), list, 23), 5, 0x1a, 0);
    list[3] = 8; /* a block descriptor that is not there */
    assert_sense(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24), 5, 0x1a, 0);
    list[3] = 255;
    assert_sense(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24), 5, 0x1a, 0);
    assert_sense(give(f, 0, CDB(0x15, 0x11, 0, 0, 24, 0), list, 24), 5, 0x24, 0);
    assert_sense(give(f, 1, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24), 5, 0x20, 0);
}

static void unmap_and_write_same(void **state)
{
    struct fixture *f = *state;
    uint8_t list[8 + 32] = {0, 38, 0, 32}, block[512];
    start(f, 0);
    memset(f->disk.data, 0x11, DISK);
    list[8 + 7] = 4; /* block 4, 2 blocks; block 100, 1 */
    list[8 + 11] = 2;
    list[24 + 7] = 100;
    list[24 + 11] = 1;
    assert_good(give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0), list, 40));
    assert_int_equal(f->disk.data[4 * 512], 0xdd); /* the fake's mark */
    assert_int_equal(f->disk.data[6 * 512 - 1], 0xdd);
    assert_int_equal(f->disk.data[6 * 512], 0x11);
    assert_int_equal(f->disk.data[100 * 512], 0xdd);
    list[24 + 4] = 1; /* behind the end: nothing happens, to the first either */
    list[8 + 7] = 50;
    assert_sense(give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0), list, 40), 5, 0x21, 0);
    assert_int_equal(f->disk.data[50 * 512], 0x11);
    assert_sense(give(f, 2, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0), list, 40), 5, 0x20, 0);
    assert_sense(give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 7, 0), list, 40), 5, 0x1a, 0);
    assert_good(give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0), list, 0));
    /* Zeroes, with and without data; a pattern; to the end. */
    memset(block, 0, sizeof(block));
    assert_good(give(f, 0, CDB(0x41, 0x08, 0, 0, 0, 200, 0, 0, 3, 0), block, 512));
    assert_int_equal(f->disk.last_op, VR_BLK_WRITE_ZEROES);
    assert_good(ask(f, 0, CDB(0x93, 1, 0, 0, 0, 0, 0, 0, 0, 203, 0, 0, 0, 1, 0, 0), 0));
    for (unsigned i = 0; i < 4 * 512; i++) {
        assert_int_equal(f->disk.data[200 * 512 + i], 0);
    }
    for (unsigned i = 0; i < 512; i++) {
        block[i] = (uint8_t)i;
    }
    assert_good(give(f, 0, CDB(0x93, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0), block, 512));
    for (unsigned i = 768; i < BLOCKS; i++) { /* 640 KiB, in steps of 256 */
        assert_memory_equal(f->disk.data + 512 * i, block, 512);
    }
    assert_int_equal(f->disk.data[767 * 512], 0x11);
    assert_sense(give(f, 0, CDB(0x41, 0x02, 0, 0, 0, 0, 0, 0, 1, 0), block, 512), 5, 0x24, 0);
    f->disk.blk.read_only = true;
    assert_sense(give(f, 0, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0), block, 512), 7, 0x27, 0);
    assert_sense(give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0), list, 40), 7, 0x27, 0);
    assert_sense(give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), block, 512), 7, 0x27, 0);
    assert_int_equal(ask(f, 0, CDB(0x1a, 8, 0x3f, 0, 255, 0), 255).in[2], 0x90);
    f->disk.blk.read_only = false;
}

static void the_host_fails(void **state)
{
    static const struct {
        int result;
        unsigned read, write;
    } rows[] = {
        {-EIO, SENSE(3, 0x11, 0), SENSE(3, 0x0c, 0)},
        {-ENOSPC, SENSE(7, 0x27, 7), SENSE(7, 0x27, 7)},
        {-ENOMEM, SENSE(4, 0x55, 0), SENSE(4, 0x55, 0)},
    };
    struct fixture *f = *state;
    uint8_t block[512] = {1};
    start(f, 0);
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        f->disk.fail = rows[i].result;
        struct cmd c = ask(f, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
        assert_int_equal(c.sense, rows[i].read);
        assert_int_equal(c.residual, 512);
        assert_int_equal(c.used, RESPONSE);
        c = give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), block, 512);
        assert_int_equal(c.sense, rows[i].write);
        assert_int_equal(ask(f, 0, CDB(0x35), 0).status, CHECK);
    }
    f->disk.fail = 0;
    assert_good(ask(f, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512));
}

static void a_disc(void **state)
{
    struct fixture *f = *state;
    start(f, 0);
    struct cmd c = ask(f, 1, CDB(0x12, 0, 0, 0, 36, 0), 36);
    assert_memory_equal(c.in, "\5\x80\5\x12\x1f", 5);
    c = ask(f, 1, CDB(0x25), 8);
    assert_memory_equal(c.in, "\0\0\0\x3f\0\0\x08\0", 8);
    f->disc.data[2048 * 16] = 1;
    assert_int_equal(*ask(f, 1, CDB(0x28, 0, 0, 0, 0, 16, 0, 0, 1, 0), 2048).in, 1);
    assert_int_equal(*ask(f, 1, CDB(0xbe, 0, 0, 0, 0, 16, 0, 0, 1, 0x10, 0, 0), 2048).in, 1);
    assert_sense(ask(f, 1, CDB(0xbe, 0, 0, 0, 0, 16, 0, 0, 1, 0xf8, 0, 0), 2352), 5, 0x24, 0);
    assert_sense(ask(f, 1, CDB(0x28, 0, 0, 0, 0, 64, 0, 0, 1, 0), 2048), 5, 0x21, 0);
    assert_sense(ask(f, 1, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0), 5, 0x20, 0);
    c = ask(f, 1, CDB(0x43, 0, 0, 0, 0, 0, 0, 0, 100, 0), 100);
    assert_int_equal(c.used, RESPONSE + 20);
    assert_memory_equal(c.in, "\0\x12\1\1\0\x14\1\0\0\0\0\0\0\x14\xaa\0\0\0\0\x40", 20);
    c = ask(f, 1, CDB(0x43, 2, 0, 0, 0, 0, 0xaa, 0, 100, 0), 100); /* minutes and seconds */
    assert_memory_equal(c.in, "\0\x0a\1\1\0\x14\xaa\0\0\0\2\x40", 12);
    c = ask(f, 1, CDB(0x43, 0, 1, 0, 0, 0, 0, 0, 12, 0), 12); /* sessions */
    assert_memory_equal(c.in, "\0\x0a\1\1\0\x14\1", 7);
    assert_sense(ask(f, 1, CDB(0x43, 0, 0, 0, 0, 0, 2, 0, 12, 0), 12), 5, 0x24, 0);
    c = ask(f, 1, CDB(0x46, 0, 0, 0, 0, 0, 0, 0, 255, 0), 255);
    assert_int_equal(vr_load_le32(c.in) >> 24, c.used - RESPONSE - 4);
    assert_int_equal(c.in[7], 0x08);                            /* a CD */
    c = ask(f, 1, CDB(0x46, 2, 0, 3, 0, 0, 0, 0, 255, 0), 255); /* the tray */
    assert_int_equal(c.used, RESPONSE + 16);
    c = ask(f, 1, CDB(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255, 0), 255);
    assert_int_equal(c.in[8], 0x2a);
    assert_good(ask(f, 1, CDB(0x51, 0, 0, 0, 0, 0, 0, 0, 34, 0), 34));
    assert_good(ask(f, 1, CDB(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), 8));
}

static void the_tray(void **state)
{
    struct fixture *f = *state;
    start(f, 0);
    assert_good(ask(f, 1, CDB(0x1e, 0, 0, 0, 1, 0), 0)); /* locked */
    assert_sense(ask(f, 1, CDB(0x1b, 0, 0, 0, 2, 0), 0), 5, 0x53, 2);
    assert_good(ask(f, 1, CDB(0x1e, 0, 0, 0, 0, 0), 0));
    assert_good(ask(f, 1, CDB(0x1b, 0, 0, 0, 2, 0), 0)); /* out */
    assert_sense(ask(f, 1, CDB(0x00), 0), 2, 0x3a, 2);
    assert_sense(ask(f, 1, CDB(0x28, 0, 0, 0, 0, 16, 0, 0, 1, 0), 2048), 2, 0x3a, 2);
    struct cmd c = ask(f, 1, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0), 8);
    assert_memory_equal(c.in, "\0\6\4\x10\3\1", 6); /* taken out, open */
    assert_memory_equal(ask(f, 1, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0), 8).in, "\0\6\4\x10\0\1",
                        6);
    assert_sense(ask(f, 1, CDB(0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8, 0), 8), 5, 0x24, 0);
    assert_good(ask(f, 1, CDB(0x1b, 0, 0, 0, 3, 0), 0)); /* in */
    assert_sense(ask(f, 1, CDB(0x00), 0), 6, 0x28, 0);
    assert_good(ask(f, 1, CDB(0x00), 0));
    assert_memory_equal(ask(f, 1, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0), 8).in, "\0\6\4\x10\2\2",
                        6);
    /* The host takes it out, lock or not, and puts another in. */
    assert_good(ask(f, 1, CDB(0x1e, 0, 0, 0, 1, 0), 0));
    assert_int_equal(vr_virtio_scsi_medium(f->dev, 1, 0, NULL, NULL), 0);
    assert_sense(ask(f, 1, CDB(0x00), 0), 2, 0x3a, 0);
    assert_int_equal(ask(f, 1, CDB(0x46, 0, 0, 0, 0, 0, 0, 0, 255, 0), 255).in[7], 0);
    assert_int_equal(vr_virtio_scsi_medium(f->dev, 1, 0, &f->disc.blk, NULL), 0);
    assert_sense(ask(f, 1, CDB(0x25), 8), 6, 0x28, 0);
    assert_good(ask(f, 1, CDB(0x25), 8));
    assert_int_equal(vr_virtio_scsi_medium(f->dev, 0, 0, NULL, NULL), -ENOENT); /* no drive */
}

/* --- Addresses --- */

static void nobody_there(void **state)
{
    struct fixture *f = *state;
    start(f, 0);
    struct cmd c = {.target = 9, .cdb = (const uint8_t[]){0x12}, .cdb_len = 1, .in_len = 36};
    run(f, &c, 0);
    assert_int_equal(c.response, BAD_TARGET);
    assert_int_equal(plug(f, T_DISK, 3, &f->plain, false), 0);
    assert_int_equal(plug(f, T_DISK, 300, &f->plain, false), 0);
    assert_sense(ask(f, 0, CDB(0x00), 0), 6, 0x3f, 0x0e); /* units came */
    c = ask(f, 0, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 64);
    assert_int_equal(c.used, RESPONSE + 32);
    assert_memory_equal(c.in, "\0\0\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\x41\x2c", 26);
    assert_int_equal(ask(f, 0, CDB(0xa0, 0, 1, 0, 0, 0, 0, 0, 0, 64, 0, 0), 64).used, RESPONSE + 8);
    assert_sense(ask(f, 0, CDB(0xa0, 0, 3, 0, 0, 0, 0, 0, 0, 64, 0, 0), 64), 5, 0x24, 0);
    c = (struct cmd){
        .lun = 7, .cdb = (const uint8_t[]){0x12, 0, 0, 0, 36}, .cdb_len = 5, .in_len = 36};
    run(f, &c, 0);
    assert_good(c);
    assert_int_equal(c.in[0], 0x7f);
    c = (struct cmd){.lun = 7, .cdb = (const uint8_t[]){0x00}, .cdb_len = 1};
    run(f, &c, 0);
    assert_sense(c, 5, 0x25, 0);
    c = (struct cmd){
        .lun = 300, .cdb = (const uint8_t[]){0x12, 0, 0, 0, 36}, .cdb_len = 5, .in_len = 36};
    run(f, &c, 0);
    assert_int_equal(c.in[0], 0);
}

static void the_configuration(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    assert_int_equal(vd_get(d, VD_DEVICE_ID), 8);
    assert_true(vd_negotiate(d, 0));
    assert_int_equal(vd_config(d, 0, 4), 3);
    assert_int_equal(vd_config(d, 20, 4), 96);
    assert_int_equal(vd_config(d, 24, 4), 32);
    assert_int_equal(f->dev->guest_errors, 0);
    vr_dev_write(f->dev, 0, VD_CONFIG + 20, 4, 18);
    vr_dev_write(f->dev, 0, VD_CONFIG + 24, 4, 12);
    assert_int_equal(vd_config(d, 20, 4), 18);
    assert_int_equal(vd_config(d, 24, 4), 12);
    vr_dev_write(f->dev, 0, VD_CONFIG + 20, 4, 5000);
    vr_dev_write(f->dev, 0, VD_CONFIG + 24, 4, 0);
    vr_dev_write(f->dev, 0, VD_CONFIG + 24, 4, 256);
    vr_dev_write(f->dev, 0, VD_CONFIG, 4, 1);
    vr_dev_write(f->dev, 0, VD_CONFIG + 24, 2, 6);
    assert_int_equal(f->dev->guest_errors, 5);
    vd_queue(d, REQUEST, 16);
    vd_driver_ok(d);
    vr_dev_write(f->dev, 0, VD_CONFIG + 24, 4, 16); /* too late */
    assert_int_equal(f->dev->guest_errors, 6);
    uint8_t head[31] = {1, 0, 0x40};
    struct vd_buf bufs[] = {vd_out(d, head, 31), vd_in(d, 30)};
    vd_add(d, REQUEST, bufs, 2);
    vd_kick(d, REQUEST);
    assert_true(done(f, REQUEST, NULL));
    const uint8_t *a = vd_hva(d, bufs[1].gpa);
    assert_int_equal(vr_load_le32(a), 18);
    assert_int_equal(SENSE(a[14], a[24], a[25]), SENSE(6, 0x29, 0));
    bufs[0].len = 30; /* too short */
    vd_add(d, REQUEST, bufs, 2);
    vd_kick(d, REQUEST);
    assert_true(vd_needs_reset(d));
    vd_start(d, 0, 16);
    assert_int_equal(vd_config(d, 24, 4), 32); /* a reset forgets */
}

/* --- Tasks --- */

static uint8_t task(struct fixture *f, uint32_t what, uint8_t target, uint16_t lun, uint64_t id,
                    bool now)
{
    uint8_t msg[24] = {0};
    vr_store_le32(msg + 4, what);
    msg[8] = 1;
    msg[9] = target;
    msg[10] = (uint8_t)(0x40 | lun >> 8);
    msg[11] = (uint8_t)lun;
    vr_store_le64(msg + 16, id);
    struct vd_buf bufs[] = {vd_out(&f->d, msg, sizeof(msg)), vd_in(&f->d, 1)};
    vd_add(&f->d, CONTROL, bufs, 2);
    vd_kick(&f->d, CONTROL);
    assert_int_equal(vd_used(&f->d, CONTROL, NULL, NULL), now);
    if (!now) {
        mem_blk_release(&f->disk, UINT32_MAX);
        assert_true(done(f, CONTROL, NULL));
    }
    return *vd_hva(&f->d, bufs[1].gpa);
}

static void tasks_are_ended(void **state)
{
    enum { QUERY = 6, QUERY_SET = 7, CLEAR_ACA = 2 };
    static const struct {
        uint32_t what;
        uint8_t first, other; /* answers to the two requests */
    } rows[] = {{0, ABORTED, OK},
                {1, ABORTED, ABORTED},
                {3, ABORTED, ABORTED},
                {5, RESET, RESET},
                {4, RESET, RESET}};
    struct fixture *f = *state;
    struct cmd read = {
        .cdb = (const uint8_t[]){0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, .cdb_len = 10, .in_len = 512};
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        start(f, 0);
        assert_int_equal(task(f, QUERY, 0, 0, 5, true), OK);
        f->disk.hold = true;
        uint64_t first = cmd_add(f, REQUEST, &read, 5, 0);
        uint64_t other = cmd_add(f, REQUEST + 1, &read, 6, 0);
        assert_int_equal(task(f, QUERY, 0, 0, 5, true), SUCCEEDED);
        assert_int_equal(task(f, QUERY_SET, 0, 0, 0, true), SUCCEEDED);
        assert_int_equal(task(f, QUERY, 0, 0, 7, true), OK);
        assert_int_equal(task(f, QUERY, 2, 0, 5, true), OK);
        f->disk.hold = false;
        assert_int_equal(task(f, rows[i].what, 0, 0, 5, false), OK);
        assert_true(done(f, REQUEST, NULL));
        assert_true(done(f, REQUEST + 1, NULL));
        cmd_answer(f, &read, first);
        assert_int_equal(read.response, rows[i].first);
        cmd_answer(f, &read, other);
        assert_int_equal(read.response, rows[i].other);
        struct cmd c = ask(f, 0, CDB(0x00), 0);
        assert_int_equal(c.sense, rows[i].what >= 4 ? SENSE(6, 0x29, 0) : 0);
    }
    assert_int_equal(task(f, 0, 0, 0, 99, true), OK); /* nothing to abort */
    assert_int_equal(task(f, CLEAR_ACA, 0, 0, 0, true), REJECTED);
    assert_int_equal(task(f, 8, 0, 0, 0, true), REJECTED);
    assert_int_equal(task(f, 5, 0, 9, 0, true), INCORRECT_LUN);
    assert_int_equal(task(f, 5, 9, 0, 0, true), BAD_TARGET);
    assert_int_equal(task(f, 4, 0, 9, 0, true), OK); /* a nexus has no lun */
}

static void control_requests_of_all_kinds(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    uint8_t msg[24] = {1};
    for (uint8_t type = 1; type <= 2; type++) { /* asynchronous notifications: none */
        start(f, 0);
        msg[0] = type;
        struct vd_buf bufs[] = {vd_out(d, msg, 16), vd_in(d, 5)};
        assert_int_equal(vd_do(d, CONTROL, bufs, 2), 5);
        assert_memory_equal(vd_hva(d, bufs[1].gpa), "\0\0\0\0\0", 5);
    }
    for (unsigned i = 0; i < 4; i++) {
        start(f, 0);
        msg[0] = i == 0 ? 3 : 0;
        struct vd_buf bufs[] = {vd_out(d, msg, i == 1 ? 23 : i == 2 ? 3 : 24), vd_in(d, 1)};
        vd_add(d, CONTROL, bufs, i == 3 ? 1 : 2);
        vd_kick(d, CONTROL);
        assert_true(vd_needs_reset(d));
    }
}

/* The driver resets the device while its requests, and one to end them, are under way. */
static void reset_in_the_middle(void **state)
{
    struct fixture *f = *state;
    uint8_t block[512] = {1}, msg[24] = {0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0x40};
    struct cmd write = {.cdb = (const uint8_t[]){0x2a, 8, 0, 0, 0, 0, 0, 0, 1, 0},
                        .cdb_len = 10,
                        .out = block,
                        .out_len = 512};
    start(f, 0);
    f->disk.hold = true;
    for (unsigned i = 0; i < 20; i++) {
        cmd_add(f, REQUEST + i % 3, &write, i, 0);
    }
    struct vd_buf bufs[] = {vd_out(&f->d, msg, sizeof(msg)), vd_in(&f->d, 1)};
    vd_add(&f->d, CONTROL, bufs, 2);
    vd_kick(&f->d, CONTROL);
    vd_start(&f->d, 0, 64);
    f->disk.hold = false;
    mem_blk_release(&f->disk, UINT32_MAX);
    for (unsigned i = 0; i < 50; i++) {
        vr_loop_turn(f->loop, 0);
    }
    for (unsigned queue = 0; queue < 5; queue++) {
        assert_false(vd_used(&f->d, queue, NULL, NULL));
    }
    assert_int_equal(f->disk.flushes, 0); /* their second step is not taken */
    start(f, 0);
}

/* --- Units come and go --- */

static struct vd_buf event_buffer(struct fixture *f)
{
    struct vd_buf in = vd_in(&f->d, 16);
    vd_add(&f->d, EVENT, &in, 1);
    vd_kick(&f->d, EVENT);
    return in;
}

static void assert_event(struct fixture *f, struct vd_buf in, uint32_t event, uint8_t target,
                         uint32_t reason)
{
    const uint8_t *e = vd_hva(&f->d, in.gpa);
    assert_true(vd_used(&f->d, EVENT, NULL, NULL));
    assert_int_equal(vr_load_le32(e), event);
    assert_int_equal(e[4], event & 0xff ? 1 : 0);
    assert_int_equal(e[5], target);
    assert_int_equal(e[6] | e[7], 0); /* Linux takes these for the number as they are */
    assert_int_equal(vr_load_le32(e + 12), reason);
}

static void hot_plug(void **state)
{
    struct fixture *f = *state;
    start(f, F_HOTPLUG | F_CHANGE);
    struct vd_buf in = event_buffer(f);
    assert_false(vd_used(&f->d, EVENT, NULL, NULL));
    for (unsigned round = 0; round < 100; round++) {
        assert_int_equal(plug(f, 5, 0, &f->plain, false), 0);
        assert_event(f, in, 1, 5, 1);
        in = event_buffer(f);
        assert_int_equal(plug(f, 5, 0, &f->plain, false), -EEXIST);
        assert_sense(ask(f, 5, CDB(0x00), 0), 6, 0x29, 0);
        assert_good(ask(f, 5, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512));
        assert_int_equal(vr_virtio_scsi_unplug(f->dev, 5, 0, NULL), 0);
        assert_event(f, in, 1, 5, 2);
        in = event_buffer(f);
        struct cmd c = {.target = 5, .cdb = (const uint8_t[]){0x00}, .cdb_len = 1};
        run(f, &c, 0);
        assert_int_equal(c.response, BAD_TARGET);
        assert_int_equal(vr_virtio_scsi_unplug(f->dev, 5, 0, NULL), -ENOENT);
    }
    assert_int_equal(vr_virtio_scsi_medium(f->dev, 1, 0, NULL, NULL), 0);
    assert_event(f, in, 3, 1, 0x28);
    assert_int_equal(vr_virtio_scsi_medium(f->dev, 1, 0, &f->disc.blk, NULL), 0);
    /* Events without a buffer are not lost without a word. */
    assert_int_equal(plug(f, 5, 0, &f->plain, false), 0);
    in = event_buffer(f);
    assert_event(f, in, 0x80000000, 0, 0);
    in = vd_in(&f->d, 15);
    vd_add(&f->d, EVENT, &in, 1);
    assert_int_equal(vr_virtio_scsi_unplug(f->dev, 5, 0, NULL), 0);
    assert_true(vd_needs_reset(&f->d));
    start(f, 0); /* who did not ask is not told */
    event_buffer(f);
    assert_int_equal(plug(f, 5, 0, &f->plain, false), 0);
    assert_false(vd_used(&f->d, EVENT, NULL, NULL));
    for (unsigned t = 6; t < VR_VIRTIO_SCSI_UNITS + 2; t++) {
        int r = plug(f, t % 16, t / 16 * 9, &f->plain, false);
        assert_true(r == 0 || t >= VR_VIRTIO_SCSI_UNITS);
    }
    assert_int_equal(plug(f, 4, 0, &f->plain, false), -ENOSPC);
    assert_int_equal(plug(f, 16, 0, &f->plain, false), -EINVAL);
    assert_int_equal(plug(f, 4, 16384, &f->plain, false), -EINVAL);
    assert_int_equal(plug(f, 4, 0, NULL, false), -EINVAL);
}

/* A unit leaves with requests in flight, of several steps. */
static void unplugged_under_load(void **state)
{
    struct fixture *f = *state;
    uint8_t block[512] = {1};
    struct cmd write = {.cdb = (const uint8_t[]){0x2a, 8, 0, 0, 0, 0, 0, 0, 1, 0},
                        .cdb_len = 10,
                        .out = block,
                        .out_len = 512};
    uint64_t gpa[30];
    start(f, F_HOTPLUG);
    for (unsigned i = 0; i < VR_COUNT(gpa); i++) {
        gpa[i] = cmd_add(f, REQUEST, &write, i, 0); /* the loop has not turned: they are on it */
    }
    assert_int_equal(vr_virtio_scsi_unplug(f->dev, 0, 0, NULL), 0);
    for (unsigned i = 0; i < VR_COUNT(gpa); i++) {
        assert_true(done(f, REQUEST, NULL));
        cmd_answer(f, &write, gpa[i]);
        assert_true(write.response == OK || write.response == BAD_TARGET);
    }
    assert_int_equal(plug(f, T_DISK, 0, &f->disk, false), 0);
    start(f, 0);
}

static void quiesced_and_restored(void **state)
{
    struct fixture *f = *state;
    start(f, F_HOTPLUG);
    assert_good(ask(f, 1, CDB(0x1e, 0, 0, 0, 1, 0), 0));
    uint8_t list[24] = {0, 0, 0, 0, 0x08, 0x12}, block[512] = {1};
    assert_good(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24));
    struct cmd read = {
        .cdb = (const uint8_t[]){0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, .cdb_len = 10, .in_len = 512};
    cmd_add(f, REQUEST, &read, 1, 0);
    vr_dev_quiesce(f->dev);
    struct vr_dev *old = f->dev,
                  *twin = rig_dev(&f->rig, &vr_virtio_scsi_mmio_class, "queues=3," VD_OPTS);
    f->dev = twin;
    plug(f, T_DISK, 0, &f->disk, false);
    plug(f, T_CDROM, 0, &f->disc, true);
    plug(f, T_PLAIN, 0, &f->plain, false);
    assert_int_equal(rig_copy(old, twin), 0);
    vr_dev_destroy(old);
    f->d.dev = twin;
    assert_true(done(f, REQUEST, NULL));
    assert_sense(ask(f, 1, CDB(0x1b, 0, 0, 0, 2, 0), 0), 5, 0x53, 2); /* still locked */
    unsigned before = f->disk.flushes;
    assert_good(give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), block, 512));
    assert_int_equal(f->disk.flushes, before + 1); /* still without a cache */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(data_in_every_mode),
        T(reads_and_writes_of_all_lengths),
        T(hostile_numbers),
        T(every_command_is_answered),
        T(what_a_disk_is),
        T(the_write_cache),
        T(unmap_and_write_same),
        T(the_host_fails),
        T(a_disc),
        T(the_tray),
        T(nobody_there),
        T(the_configuration),
        T(tasks_are_ended),
        T(control_requests_of_all_kinds),
        T(reset_in_the_middle),
        T(hot_plug),
        T(unplugged_under_load),
        T(quiesced_and_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

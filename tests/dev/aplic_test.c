/* APLIC: source modes, delegation, direct delivery, messages, what software may change when. */
#include "core/msi.h"
#include "dev/irqchip/aplic.h"
#include "dev/irqchip/imsic.h"
#include "rig.h"
#include <errno.h>

enum {
    HARTS = 2,
    M = VR_APLIC_M,
    S = VR_APLIC_S,
    DOMAINCFG = 0,
    MMSIADDRCFG = 0x1bc0,
    SETIP = 0x1c00,
    SETIPNUM = 0x1cdc,
    IN_CLRIP = 0x1d00,
    CLRIPNUM = 0x1ddc,
    SETIE = 0x1e00,
    SETIENUM = 0x1edc,
    CLRIE = 0x1f00,
    CLRIENUM = 0x1fdc,
    SETIPNUM_LE = 0x2000,
    GENMSI = 0x3000,
    IDELIVERY = 0,
    IFORCE = 4,
    ITHRESHOLD = 8,
    TOPI = 0x18,
    CLAIMI = 0x1c,
    IE = 0x100,
    DM = 4,
    D = 0x400,
    DETACHED = 1,
    EDGE1 = 4,
    EDGE0,
    LEVEL1,
    LEVEL0,
};
#define M_FILES UINT64_C(0x24000000)
#define S_FILES UINT64_C(0x28000000)

struct bench {
    struct rig rig;
    struct vr_dev *dev, *files[2];
    struct sink out[2][HARTS];
};

static void bench_init(struct bench *b, const char *opts)
{
    rig_init(&b->rig);
    b->dev = rig_dev(&b->rig, &vr_aplic_class, opts);
    for (unsigned i = 0; i < 2 * HARTS; i++) {
        b->out[i % 2][i / 2] = (struct sink){0};
        vr_irq_connect(vr_aplic_out(b->dev, i % 2, i / 2), sink_set, &b->out[i % 2][i / 2], i);
    }
    for (unsigned i = 0; i < 2; i++) {
        b->files[i] = rig_dev(&b->rig, &vr_imsic_class, "harts=2");
        assert_int_equal(vr_dev_map(b->files[i], 0, b->rig.env.mem, i ? S_FILES : M_FILES, NULL),
                         0);
    }
}

static void bench_fini(struct bench *b)
{
    vr_dev_destroy(b->dev);
    vr_dev_destroy(b->files[0]);
    vr_dev_destroy(b->files[1]);
    rig_fini(&b->rig);
}

static void wr(struct bench *b, unsigned domain, uint32_t off, uint32_t val)
{
    vr_dev_write(b->dev, domain, off, 4, val);
}

static uint32_t rd(struct bench *b, unsigned domain, uint32_t off)
{
    return (uint32_t)vr_dev_read(b->dev, domain, off, 4);
}

static uint32_t source(unsigned i)
{
    return 4 * i;
}

static uint32_t target(unsigned i)
{
    return 0x3000 + 4 * i;
}

static uint32_t idc(unsigned hart, unsigned reg)
{
    return 0x4000 + 32 * hart + reg;
}

static bool bit(struct bench *b, unsigned domain, uint32_t map, unsigned i)
{
    return rd(b, domain, map + i / 32 * 4) >> i % 32 & 1;
}

static bool pending(struct bench *b, unsigned domain, unsigned i)
{
    return bit(b, domain, SETIP, i);
}

/* Source @i is active in @domain with @mode, enabled, for @hart. */
static void use(struct bench *b, unsigned domain, unsigned i, uint32_t mode, unsigned hart,
                uint32_t prio_or_id)
{
    if (domain == S) {
        wr(b, M, source(i), D);
    }
    wr(b, domain, source(i), mode);
    wr(b, domain, target(i), hart << 18 | prio_or_id);
    wr(b, domain, SETIENUM, i);
}

static void deliver(struct bench *b, unsigned domain)
{
    wr(b, domain, DOMAINCFG, IE);
    for (unsigned i = 0; i < HARTS; i++) {
        wr(b, domain, idc(i, IDELIVERY), 1);
    }
}

static uint32_t topi(unsigned i, unsigned prio)
{
    return i << 16 | prio;
}

/* The pending identities below 64 of a hart's file. */
static uint64_t messages(struct bench *b, unsigned domain, unsigned hart)
{
    struct vr_irq_file f = vr_imsic_file(b->files[domain], hart);
    uint64_t old;
    assert_true(f.reg(f.chip, f.index, 0x80, UINT64_MAX, 0, &old));
    return old;
}

/* --- Direct delivery --- */

static void level_is_followed(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2");
    deliver(&b, S);
    use(&b, S, 10, LEVEL1, 1, 7);
    vr_aplic_set(b.dev, 10, true);
    assert_true(b.out[S][1].level);
    assert_int_equal(b.out[S][0].rises + b.out[M][0].rises + b.out[M][1].rises, 0);
    assert_true(bit(&b, S, IN_CLRIP, 10));
    assert_int_equal(rd(&b, S, idc(1, TOPI)), topi(10, 7));
    assert_int_equal(rd(&b, S, idc(0, TOPI)), 0);
    /* 4.7: neither claims nor writes change it; the wire alone does. */
    assert_int_equal(rd(&b, S, idc(1, CLAIMI)), topi(10, 7));
    assert_true(pending(&b, S, 10));
    wr(&b, S, CLRIPNUM, 10);
    wr(&b, S, IN_CLRIP, 1 << 10);
    assert_true(pending(&b, S, 10));
    vr_aplic_set(b.dev, 10, false);
    assert_false(b.out[S][1].level);
    assert_false(pending(&b, S, 10));
    wr(&b, S, SETIPNUM, 10);
    wr(&b, S, SETIP, 1 << 10);
    assert_false(pending(&b, S, 10));
    assert_int_equal(rd(&b, S, idc(1, CLAIMI)), 0);
    bench_fini(&b);
}

static void edges_are_remembered(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2");
    deliver(&b, M);
    use(&b, M, 40, EDGE1, 0, 1);
    vr_aplic_set(b.dev, 40, true);
    vr_aplic_set(b.dev, 40, false);
    assert_true(b.out[M][0].level);
    assert_int_equal(rd(&b, M, idc(0, CLAIMI)), topi(40, 1));
    assert_false(b.out[M][0].level);
    assert_int_equal(rd(&b, M, idc(0, CLAIMI)), 0);
    /* The other edge; the wire is low, and that is no edge. */
    wr(&b, M, source(40), EDGE0);
    assert_true(bit(&b, M, IN_CLRIP, 40));
    assert_false(pending(&b, M, 40));
    vr_aplic_set(b.dev, 40, true);
    assert_false(pending(&b, M, 40));
    vr_aplic_set(b.dev, 40, false);
    assert_true(pending(&b, M, 40));
    wr(&b, M, CLRIPNUM, 40);
    assert_false(b.out[M][0].level);
    wr(&b, M, SETIP + 4, 1 << 8);
    assert_int_equal(rd(&b, M, idc(0, CLAIMI)), topi(40, 1));
    bench_fini(&b);
}

static void inverted_and_detached(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2");
    deliver(&b, M);
    use(&b, M, 1, LEVEL0, 0, 3);
    assert_true(b.out[M][0].level); /* low is asserted */
    vr_aplic_set(b.dev, 1, true);
    assert_false(b.out[M][0].level);
    use(&b, M, 95, DETACHED, 1, 4);
    vr_aplic_set(b.dev, 95, true);
    assert_false(bit(&b, M, IN_CLRIP, 95));
    assert_false(b.out[M][1].level);
    wr(&b, M, SETIPNUM_LE, 95);
    assert_int_equal(rd(&b, M, idc(1, CLAIMI)), topi(95, 4));
    assert_int_equal(rd(&b, M, idc(1, CLAIMI)), 0);
    bench_fini(&b);
}

static void smaller_priority_then_smaller_source(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2");
    deliver(&b, S);
    use(&b, S, 9, EDGE1, 0, 200);
    use(&b, S, 33, EDGE1, 0, 5);
    use(&b, S, 34, EDGE1, 0, 5);
    use(&b, S, 2, EDGE1, 1, 1);
    wr(&b, S, SETIP, 1 << 9 | 1 << 2);
    wr(&b, S, SETIP + 4, 1 << 1 | 1 << 2);
    /* ithreshold: only smaller numbers; 0: all. */
    wr(&b, S, idc(0, ITHRESHOLD), 5);
    assert_int_equal(rd(&b, S, idc(0, TOPI)), 0);
    assert_false(b.out[S][0].level);
    wr(&b, S, idc(0, ITHRESHOLD), 6);
    assert_true(b.out[S][0].level);
    assert_int_equal(rd(&b, S, idc(0, CLAIMI)), topi(33, 5));
    assert_int_equal(rd(&b, S, idc(0, CLAIMI)), topi(34, 5));
    assert_int_equal(rd(&b, S, idc(0, CLAIMI)), 0);
    wr(&b, S, idc(0, ITHRESHOLD), 0);
    assert_int_equal(rd(&b, S, idc(0, CLAIMI)), topi(9, 200));
    assert_int_equal(rd(&b, S, idc(1, CLAIMI)), topi(2, 1));
    bench_fini(&b);
}

static void force_and_switches(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2");
    wr(&b, S, idc(0, IFORCE), 1);
    assert_false(b.out[S][0].level);
    wr(&b, S, idc(0, IDELIVERY), 1);
    assert_false(b.out[S][0].level);
    wr(&b, S, DOMAINCFG, IE);
    assert_true(b.out[S][0].level);
    assert_int_equal(rd(&b, S, idc(0, TOPI)), 0);
    assert_int_equal(rd(&b, S, idc(0, IFORCE)), 1);
    assert_int_equal(rd(&b, S, idc(0, CLAIMI)), 0); /* a spurious interrupt, once */
    assert_int_equal(rd(&b, S, idc(0, IFORCE)), 0);
    assert_false(b.out[S][0].level);
    /* topi and claimi know nothing of the switches. */
    use(&b, S, 3, EDGE1, 0, 9);
    wr(&b, S, SETIPNUM, 3);
    wr(&b, S, idc(0, IDELIVERY), 0);
    assert_false(b.out[S][0].level);
    assert_int_equal(rd(&b, S, idc(0, TOPI)), topi(3, 9));
    wr(&b, S, idc(0, IDELIVERY), 1);
    wr(&b, S, DOMAINCFG, 0);
    assert_false(b.out[S][0].level);
    wr(&b, S, DOMAINCFG, IE);
    assert_true(b.out[S][0].level);
    wr(&b, S, CLRIENUM, 3);
    assert_false(b.out[S][0].level);
    assert_true(pending(&b, S, 3));
    /* WARL: what is not 0 or 1 changes nothing. */
    wr(&b, S, idc(0, IDELIVERY), 2);
    wr(&b, S, idc(0, IFORCE), 0xffffffff);
    assert_int_equal(rd(&b, S, idc(0, IDELIVERY)), 1);
    assert_int_equal(rd(&b, S, idc(0, IFORCE)), 0);
    /* A change of target moves the interrupt. */
    wr(&b, S, SETIENUM, 3);
    assert_true(b.out[S][0].level);
    wr(&b, S, idc(1, IDELIVERY), 1);
    wr(&b, S, target(3), 1 << 18 | 9);
    assert_false(b.out[S][0].level);
    assert_true(b.out[S][1].level);
    wr(&b, S, target(3), 63 << 18 | 9); /* a hart that there is not */
    assert_false(b.out[S][1].level);
    bench_fini(&b);
}

/* --- Configuration --- */

static void delegation(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2");
    /* The child's are not there until delegated. */
    wr(&b, S, source(5), LEVEL1);
    assert_int_equal(rd(&b, S, source(5)), 0);
    wr(&b, M, source(5), EDGE1);
    wr(&b, M, target(5), 1 << 18 | 6);
    wr(&b, M, SETIENUM, 5);
    wr(&b, M, SETIPNUM, 5);
    assert_true(pending(&b, M, 5) && bit(&b, M, SETIE, 5));
    assert_int_equal(rd(&b, M, target(5)), 1 << 18 | 6);
    wr(&b, M, source(5), D | 0x3ff);
    assert_int_equal(rd(&b, M, source(5)), D); /* one child: index 0 */
    assert_int_equal(rd(&b, S, source(5)), 0);
    assert_false(pending(&b, M, 5) || bit(&b, M, SETIE, 5));
    assert_int_equal(rd(&b, M, target(5)), 0);
    /* Inactive: read-only zeros. */
    wr(&b, S, target(5), 7);
    wr(&b, S, SETIENUM, 5);
    wr(&b, S, SETIPNUM, 5);
    assert_int_equal(rd(&b, S, target(5)), 0);
    assert_false(pending(&b, S, 5) || bit(&b, S, SETIE, 5));
    wr(&b, S, source(5), EDGE1);
    assert_int_equal(rd(&b, S, source(5)), EDGE1);
    assert_int_equal(rd(&b, S, target(5)), 1);
    assert_false(pending(&b, S, 5) || bit(&b, S, SETIE, 5));
    wr(&b, S, SETIENUM, 5);
    wr(&b, S, SETIPNUM, 5);
    /* It is in one domain only. */
    assert_false(pending(&b, M, 5) || bit(&b, M, SETIE, 5));
    wr(&b, M, CLRIPNUM, 5);
    wr(&b, M, CLRIE, 1 << 5);
    wr(&b, M, target(5), 0x1234);
    assert_true(pending(&b, S, 5) && bit(&b, S, SETIE, 5));
    /* A leaf has nobody to delegate to. */
    wr(&b, S, source(5), D);
    assert_int_equal(rd(&b, S, source(5)), 0);
    assert_false(pending(&b, S, 5));
    /* Taken back, and given again: it begins anew. */
    wr(&b, S, source(5), LEVEL1);
    wr(&b, M, source(5), 0);
    assert_int_equal(rd(&b, S, source(5)), 0);
    wr(&b, M, source(5), D);
    assert_int_equal(rd(&b, S, source(5)), 0);
    bench_fini(&b);
}

static void legal_values(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2,sources=40");
    assert_int_equal(rd(&b, M, DOMAINCFG), 0x80000000);
    wr(&b, M, DOMAINCFG, 0xffffffff);
    assert_int_equal(rd(&b, M, DOMAINCFG), 0x80000100); /* no messages, little-endian */
    wr(&b, S, DOMAINCFG, 0x81000001); /* the specification's trick: nothing of it sticks */
    assert_int_equal(rd(&b, S, DOMAINCFG), 0x80000000);
    for (unsigned sm = 0; sm < 8; sm++) {
        wr(&b, M, source(7), 0xfffff000 | sm);
        assert_int_equal(rd(&b, M, source(7)), sm == 2 || sm == 3 ? 0 : sm);
    }
    wr(&b, M, source(7), LEVEL1);
    wr(&b, M, target(7), 0xffffffff);
    assert_int_equal(rd(&b, M, target(7)), 0xfffc00ff);
    wr(&b, M, target(7), 0x100);
    assert_int_equal(rd(&b, M, target(7)), 1); /* no priority 0 */
    wr(&b, M, idc(0, ITHRESHOLD), 0x1ff);
    assert_int_equal(rd(&b, M, idc(0, ITHRESHOLD)), 0xff);
    /* Source 0, sources beyond the last, harts beyond the last: zeros. */
    for (unsigned i = 41; i <= 1023; i += 61) {
        wr(&b, M, source(i), LEVEL1);
        wr(&b, M, target(i), 1);
        wr(&b, M, SETIENUM, i);
        wr(&b, M, SETIPNUM, i);
        assert_int_equal(rd(&b, M, source(i)) | rd(&b, M, target(i)), 0);
    }
    wr(&b, M, SETIPNUM, 0);
    wr(&b, M, SETIPNUM, 0xffffffff);
    for (unsigned w = 0; w < 32; w++) {
        wr(&b, M, SETIP + 4 * w, 0xffffffff);
        wr(&b, M, SETIE + 4 * w, 0xffffffff);
        assert_int_equal(rd(&b, M, SETIP + 4 * w), 0); /* 7 is a level */
        assert_int_equal(rd(&b, M, SETIE + 4 * w), w ? 0 : 1 << 7);
        assert_int_equal(rd(&b, M, CLRIE + 4 * w), 0);
    }
    for (unsigned reg = 0; reg <= CLAIMI; reg += 4) {
        wr(&b, M, idc(2, reg), 1);
        assert_int_equal(rd(&b, M, idc(2, reg)), 0);
    }
    for (unsigned i = 0; i < 4; i++) { /* without messages there are no addresses */
        wr(&b, M, MMSIADDRCFG + 4 * i, 0xffffffff);
        assert_int_equal(rd(&b, M, MMSIADDRCFG + 4 * i), 0);
    }
    wr(&b, M, GENMSI, 1);
    assert_int_equal(rd(&b, M, GENMSI), 0);
    uint64_t errors = b.dev->guest_errors;
    (void)vr_dev_read(b.dev, 0, DOMAINCFG, 8);
    vr_dev_write(b.dev, 0, SETIPNUM, 1, 7);
    vr_dev_write(b.dev, 1, MMSIADDRCFG, 4, 7); /* of the root only */
    assert_int_equal(b.dev->guest_errors, errors + 3);
    bench_fini(&b);
}

static void no_way_to_deliver(void **state)
{
    struct rig rig;
    struct vr_dev *dev;
    struct vr_error err = {0};
    (void)state;
    rig_init(&rig);
    assert_int_equal(vr_dev_create(&vr_aplic_class, "dut", "direct=off", &rig.env, &dev, &err),
                     -EINVAL);
    assert_non_null(strstr(err.msg, "direct=off"));
    rig_fini(&rig);
}

/* --- Messages --- */

static void firmware_addresses(struct bench *b)
{
    wr(b, M, MMSIADDRCFG, M_FILES >> 12);
    wr(b, M, MMSIADDRCFG + 8, S_FILES >> 12);
    wr(b, M, MMSIADDRCFG + 12, 0);
    wr(b, M, MMSIADDRCFG + 4, 1 << 12); /* one bit of hart index */
}

static void level_as_message(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2,direct=off,msi");
    firmware_addresses(&b);
    assert_int_equal(rd(&b, S, DOMAINCFG), 0x80000004);
    use(&b, S, 10, LEVEL1, 1, 33);
    vr_aplic_set(b.dev, 10, true);
    assert_true(pending(&b, S, 10)); /* IE is off */
    wr(&b, S, DOMAINCFG, IE);
    assert_int_equal(messages(&b, S, 1), UINT64_C(1) << 33);
    assert_false(pending(&b, S, 10));
    /* Once, though the wire stays high; 4.9.2: until software asks. */
    wr(&b, S, DOMAINCFG, IE);
    assert_int_equal(messages(&b, S, 1), 0);
    wr(&b, S, SETIPNUM, 10);
    assert_int_equal(messages(&b, S, 1), UINT64_C(1) << 33);
    vr_aplic_set(b.dev, 10, false);
    wr(&b, S, SETIPNUM_LE, 10);
    wr(&b, S, SETIP, 1 << 10);
    assert_int_equal(messages(&b, S, 1), 0);
    /* Pending and disabled: a low wire takes it back, so does software. */
    wr(&b, S, CLRIENUM, 10);
    vr_aplic_set(b.dev, 10, true);
    assert_true(pending(&b, S, 10));
    vr_aplic_set(b.dev, 10, false);
    assert_false(pending(&b, S, 10));
    vr_aplic_set(b.dev, 10, true);
    wr(&b, S, CLRIPNUM, 10);
    assert_false(pending(&b, S, 10));
    wr(&b, S, SETIENUM, 10);
    assert_int_equal(messages(&b, S, 1), 0);
    assert_int_equal(b.out[S][1].rises, 0); /* no wire is ever driven */
    bench_fini(&b);
}

static void edge_as_message(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2,direct=off,msi");
    firmware_addresses(&b);
    wr(&b, M, DOMAINCFG, IE);
    wr(&b, S, DOMAINCFG, IE);
    use(&b, M, 20, EDGE1, 0, 3);
    use(&b, S, 21, EDGE0, 1, 4);
    use(&b, S, 22, DETACHED, 0, 5);
    vr_aplic_set(b.dev, 20, true);
    vr_aplic_set(b.dev, 21, true);
    assert_int_equal(messages(&b, M, 0), 1 << 3);
    assert_int_equal(messages(&b, S, 1), 0);
    vr_aplic_set(b.dev, 20, false);
    vr_aplic_set(b.dev, 21, false);
    assert_int_equal(messages(&b, M, 0), 0);
    assert_int_equal(messages(&b, S, 1), 1 << 4);
    wr(&b, S, SETIPNUM, 22);
    assert_int_equal(messages(&b, S, 0), 1 << 5);
    /* A device's message to the S domain's port. */
    assert_int_equal(vr_dev_map(b.dev, S, b.rig.env.mem, 0xd000000, NULL), 0);
    assert_int_equal(vr_dev_map(b.dev, M, b.rig.env.mem, 0xc000000, NULL), 0);
    vr_dev_lock(b.files[0]); /* any other device will do */
    assert_true(vr_msi_send(b.files[0], &(struct vr_msi){0xd002000, 22}));
    assert_false(vr_msi_send(b.files[0], &(struct vr_msi){0xc002000, 22}));
    vr_dev_unlock(b.files[0]);
    assert_int_equal(messages(&b, S, 0), 1 << 5);
    bench_fini(&b);
}

static void genmsi(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2,direct=off,msi");
    firmware_addresses(&b);
    wr(&b, S, GENMSI, 1 << 18 | 1 << 12 | 0x800 | 9); /* IE is off, which is no matter */
    assert_int_equal(messages(&b, S, 1), 1 << 9);
    assert_int_equal(rd(&b, S, GENMSI), 1 << 18 | 9); /* not busy */
    wr(&b, M, GENMSI, 0 << 18 | 2);
    assert_int_equal(messages(&b, M, 0), 1 << 2);
    assert_int_equal(rd(&b, M, GENMSI), 2);
    /* No interrupt file there: lost, counted. */
    uint64_t errors = b.files[1]->guest_errors;
    wr(&b, S, GENMSI, 1 << 18 | 0x7ff);
    assert_int_equal(b.files[1]->guest_errors, errors + 1);
    bench_fini(&b);
}

/* 4.9.1, and the lock. */
static void addresses(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2,direct=off,msi");
    for (unsigned i = 0; i < 4; i++) {
        static const uint32_t mask[] = {0xffffffff, 0x1f77ffff, 0xffffffff, 0x00700fff};
        wr(&b, M, MMSIADDRCFG + 4 * i, 0x7fffffff | (i == 1 ? 0 : 0xffffffff));
        assert_int_equal(rd(&b, M, MMSIADDRCFG + 4 * i), mask[i]);
    }
    /* A message to where nothing is. */
    uint64_t errors = b.dev->guest_errors;
    wr(&b, M, GENMSI, 0xffffffff);
    wr(&b, S, GENMSI, 0xffffffff);
    assert_int_equal(b.dev->guest_errors, errors + 2);
    /* To RAM: harts 2 pages apart, groups of 2 that are 2^31 apart, the second one in RAM. */
    wr(&b, M, MMSIADDRCFG, 0);
    wr(&b, M, MMSIADDRCFG + 4, 7 << 24 | 1 << 20 | 1 << 16 | 1 << 12);
    wr(&b, M, MMSIADDRCFG + 8, RIG_RAM_GPA >> 12);
    wr(&b, M, MMSIADDRCFG + 12, 2 << 20);
    wr(&b, M, GENMSI, 3 << 18 | 0x123);
    assert_memory_equal(b.rig.ram->hva + 0x2000, "\x23\x01\0\0", 4);
    wr(&b, S, GENMSI, 3 << 18 | 0x45);
    assert_memory_equal(b.rig.ram->hva + 0x4000, "\x45\0\0\0", 4);
    wr(&b, M, MMSIADDRCFG + 4, 0x80000000);
    for (unsigned i = 0; i < 4; i++) {
        uint32_t was = rd(&b, M, MMSIADDRCFG + 4 * i);
        wr(&b, M, MMSIADDRCFG + 4 * i, ~was);
        assert_int_equal(rd(&b, M, MMSIADDRCFG + 4 * i), was);
    }
    vr_dev_reset(b.dev);
    assert_int_equal(rd(&b, M, MMSIADDRCFG + 4), 0);
    bench_fini(&b);
}

/* A domain can change its mode where there are both. */
static void both_modes(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2,msi");
    firmware_addresses(&b);
    deliver(&b, S);
    use(&b, S, 8, LEVEL1, 0, 40);
    vr_aplic_set(b.dev, 8, true);
    assert_true(b.out[S][0].level);
    wr(&b, S, DOMAINCFG, IE | DM);
    assert_false(b.out[S][0].level);
    assert_int_equal(rd(&b, S, idc(0, TOPI)), 0);
    (void)messages(&b, S, 0);
    wr(&b, S, target(8), 0xffffffff);
    assert_int_equal(rd(&b, S, target(8)), 0xfffc07ff);
    wr(&b, S, target(8), 40);
    wr(&b, S, SETIPNUM, 8);
    assert_int_equal(messages(&b, S, 0), UINT64_C(1) << 40);
    wr(&b, S, DOMAINCFG, IE);
    assert_true(b.out[S][0].level); /* it is a copy of the wire again */
    assert_int_equal(rd(&b, S, idc(0, TOPI)), topi(8, 1));
    assert_int_equal(rd(&b, M, DOMAINCFG), 0x80000000);
    bench_fini(&b);
}

static void handed_down(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "harts=2,direct=off,msi");
    vr_aplic_hand_down(b.dev, M_FILES, S_FILES);
    assert_int_equal(rd(&b, M, source(1)), D);
    assert_int_equal(rd(&b, M, source(95)), D);
    assert_int_equal(rd(&b, M, MMSIADDRCFG + 4), 0x80001000);
    wr(&b, S, DOMAINCFG, IE);
    use(&b, S, 95, EDGE1, 1, 63);
    vr_aplic_set(b.dev, 95, true);
    assert_int_equal(messages(&b, S, 1), UINT64_C(1) << 63);
    bench_fini(&b);
}

/* --- Snapshots --- */

static void snapshot(void **state)
{
    struct bench b, twin;
    (void)state;
    bench_init(&b, "harts=2,msi");
    bench_init(&twin, "harts=2,msi");
    firmware_addresses(&b);
    deliver(&b, S);
    wr(&b, M, DOMAINCFG, IE | DM);
    use(&b, S, 8, LEVEL0, 1, 40);
    use(&b, S, 9, EDGE1, 0, 41);
    use(&b, M, 11, LEVEL1, 0, 12);
    vr_aplic_set(b.dev, 11, true);
    assert_int_equal(messages(&b, M, 0), 1 << 12);
    assert_int_equal(rig_copy(b.dev, twin.dev), 0);
    assert_true(twin.out[S][1].level);
    assert_false(twin.out[S][0].level);
    assert_int_equal(messages(&twin, M, 0), 0); /* sent before */
    vr_aplic_set(twin.dev, 11, true);           /* its source drives the wire as it was */
    assert_int_equal(messages(&twin, M, 0), 0);
    wr(&twin, M, SETIPNUM, 11);
    assert_int_equal(messages(&twin, M, 0), 1 << 12);
    bench_fini(&twin);
    /* One that has no messages cannot take it. */
    bench_init(&twin, "harts=2");
    assert_int_equal(rig_copy(b.dev, twin.dev), -ERANGE);
    assert_int_equal(rd(&twin, S, source(8)), 0);
    bench_fini(&twin);
    bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(level_is_followed),
        cmocka_unit_test(edges_are_remembered),
        cmocka_unit_test(inverted_and_detached),
        cmocka_unit_test(smaller_priority_then_smaller_source),
        cmocka_unit_test(force_and_switches),
        cmocka_unit_test(delegation),
        cmocka_unit_test(legal_values),
        cmocka_unit_test(no_way_to_deliver),
        cmocka_unit_test(level_as_message),
        cmocka_unit_test(edge_as_message),
        cmocka_unit_test(genmsi),
        cmocka_unit_test(addresses),
        cmocka_unit_test(both_modes),
        cmocka_unit_test(handed_down),
        cmocka_unit_test(snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* IMSIC: messages, the registers that a hart reaches through its CSRs, claims, snapshots. */
#include "dev/irqchip/imsic.h"
#include "rig.h"
#include <errno.h>

enum { HARTS = 2, EIDELIVERY = 0x70, EITHRESHOLD = 0x72, EIP = 0x80, EIE = 0xc0 };

struct bench {
    struct rig rig;
    struct vr_dev *dev;
    struct vr_irq_file file[HARTS];
    struct sink out[HARTS];
};

static void bench_init(struct bench *b)
{
    rig_init(&b->rig);
    b->dev = rig_dev(&b->rig, &vr_imsic_class, "harts=2");
    for (unsigned i = 0; i < HARTS; i++) {
        b->file[i] = vr_imsic_file(b->dev, i);
        b->out[i] = (struct sink){0};
        vr_irq_connect(vr_imsic_out(b->dev, i), sink_set, &b->out[i], i);
    }
}

static void bench_fini(struct bench *b)
{
    vr_dev_destroy(b->dev);
    rig_fini(&b->rig);
}

static void message(struct bench *b, unsigned hart, uint32_t id)
{
    vr_dev_write(b->dev, 0, hart * UINT64_C(0x1000), 4, id);
}

/* What the register held; @mask of it is changed. */
static uint64_t swap(struct bench *b, unsigned hart, unsigned sel, uint64_t mask, uint64_t val)
{
    uint64_t old = 0xdead;
    assert_true(b->file[hart].reg(b->file[hart].chip, b->file[hart].index, sel, mask, val, &old));
    return old;
}

static uint64_t get(struct bench *b, unsigned hart, unsigned sel)
{
    return swap(b, hart, sel, 0, 0);
}

static void put(struct bench *b, unsigned hart, unsigned sel, uint64_t val)
{
    (void)swap(b, hart, sel, UINT64_MAX, val);
}

static uint32_t top(struct bench *b, unsigned hart, bool claim)
{
    return b->file[hart].top(b->file[hart].chip, b->file[hart].index, claim);
}

static uint32_t topei(unsigned id)
{
    return id << 16 | id;
}

static void message_to_claim(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b);
    message(&b, 1, 70);
    assert_int_equal(get(&b, 1, EIP + 2), UINT64_C(1) << 6);
    assert_int_equal(top(&b, 1, false), 0); /* not enabled */
    put(&b, 1, EIE + 2, UINT64_C(1) << 6);
    /* The value that the hart reads knows nothing of eidelivery. */
    assert_int_equal(top(&b, 1, false), topei(70));
    assert_false(b.out[1].level);
    put(&b, 1, EIDELIVERY, 1);
    assert_true(b.out[1].level);
    assert_int_equal(b.out[0].rises, 0);
    assert_int_equal(top(&b, 1, true), topei(70));
    assert_false(b.out[1].level);
    assert_int_equal(get(&b, 1, EIP + 2), 0);
    assert_int_equal(top(&b, 1, true), 0);
    /* Claimed: the next message is a new interrupt. */
    message(&b, 1, 70);
    message(&b, 1, 70);
    assert_int_equal(b.out[1].rises, 2);
    assert_int_equal(top(&b, 1, true), topei(70));
    assert_int_equal(top(&b, 1, true), 0);
    bench_fini(&b);
}

static void lowest_identity_first(void **state)
{
    static const uint8_t order[] = {1, 63, 64, 127, 128, 200, 255};
    struct bench b;
    (void)state;
    bench_init(&b);
    put(&b, 0, EIDELIVERY, 1);
    for (unsigned i = 0; i < 4; i++) {
        put(&b, 0, EIE + 2 * i, UINT64_MAX);
    }
    for (unsigned i = sizeof(order); i-- > 0;) {
        message(&b, 0, order[i]);
        assert_int_equal(top(&b, 0, false), topei(order[i]));
    }
    for (unsigned i = 0; i < sizeof(order); i++) {
        assert_true(b.out[0].level);
        assert_int_equal(top(&b, 0, true), topei(order[i]));
    }
    assert_false(b.out[0].level);
    assert_int_equal(b.out[0].rises, 1);
    bench_fini(&b);
}

/* 3.8.2: identities at the threshold and above do not interrupt; zero lets all. */
static void threshold(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b);
    put(&b, 0, EIDELIVERY, 1);
    put(&b, 0, EIE, 1 << 20 | 1 << 21);
    message(&b, 0, 20);
    message(&b, 0, 21);
    put(&b, 0, EITHRESHOLD, 20);
    assert_int_equal(top(&b, 0, true), 0);
    assert_false(b.out[0].level);
    put(&b, 0, EITHRESHOLD, 21);
    assert_true(b.out[0].level);
    assert_int_equal(top(&b, 0, true), topei(20));
    assert_false(b.out[0].level);
    put(&b, 0, EITHRESHOLD, 0);
    assert_int_equal(top(&b, 0, true), topei(21));
    for (unsigned i = 0; i <= 255; i++) {
        put(&b, 0, EITHRESHOLD, i);
        assert_int_equal(get(&b, 0, EITHRESHOLD), i);
    }
    bench_fini(&b);
}

static void registers(void **state)
{
    struct bench b;
    uint64_t old;
    (void)state;
    bench_init(&b);
    for (unsigned sel = 0; sel < 0x200; sel++) {
        struct vr_irq_file *f = &b.file[0];
        bool is = sel >= 0x70 && sel <= 0xff && !(sel >= 0x80 && sel % 2);
        assert_int_equal(f->reg(f->chip, 0, sel, UINT64_MAX, UINT64_MAX, &old), is);
    }
    /* All that was written one above: no identity 0, none beyond 255, reserved ones are zero. */
    for (unsigned sel = 0x73; sel < 0x80; sel++) {
        assert_int_equal(get(&b, 0, sel), 0);
    }
    assert_int_equal(get(&b, 0, 0x71), 0);
    for (unsigned i = 0; i < 64; i += 2) {
        uint64_t want = i >= 8 ? 0 : i == 0 ? ~UINT64_C(1) : UINT64_MAX;
        assert_int_equal(get(&b, 0, EIP + i), want);
        assert_int_equal(get(&b, 0, EIE + i), want);
        assert_int_equal(get(&b, 1, EIP + i), 0); /* another hart's are its own */
    }
    /* eidelivery is WARL: 0 and 1. */
    put(&b, 0, EIDELIVERY, 1);
    put(&b, 0, EIDELIVERY, 0x40000000);
    assert_int_equal(get(&b, 0, EIDELIVERY), 1);
    put(&b, 0, EIDELIVERY, 0);
    assert_int_equal(get(&b, 0, EIDELIVERY), 0);
    /* Bits are changed by themselves, in one step with what is read. */
    put(&b, 1, EIE, 0xf0);
    assert_int_equal(swap(&b, 1, EIE, 0x18, 0x08), 0xf0);
    assert_int_equal(get(&b, 1, EIE), 0xe8);
    bench_fini(&b);
}

/* The hart's own changes of pending and enable bits move the wire as messages do. */
static void wire_follows_registers(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b);
    put(&b, 0, EIDELIVERY, 1);
    put(&b, 0, EIP, 1 << 5);
    assert_false(b.out[0].level);
    put(&b, 0, EIE, 1 << 5);
    assert_true(b.out[0].level);
    (void)swap(&b, 0, EIP, 1 << 5, 0);
    assert_false(b.out[0].level);
    message(&b, 0, 5);
    assert_true(b.out[0].level);
    put(&b, 0, EIE, 0);
    assert_false(b.out[0].level);
    put(&b, 0, EIE, 1 << 5);
    put(&b, 0, EIDELIVERY, 0);
    assert_false(b.out[0].level);
    bench_fini(&b);
}

/* What no driver sends: ignored, counted. */
static void bad_messages(void **state)
{
    static const uint32_t ids[] = {0, 256, 2047, 0x10001, 0xffffffff};
    struct bench b;
    (void)state;
    bench_init(&b);
    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        message(&b, 0, ids[i]);
        assert_int_equal(b.dev->guest_errors, i + 1);
    }
    uint64_t errors = b.dev->guest_errors;
    message(&b, HARTS, 1);
    message(&b, 63, 1);
    vr_dev_write(b.dev, 0, 0, 8, 5);
    vr_dev_write(b.dev, 0, 0, 2, 5);
    vr_dev_write(b.dev, 0, 4, 4, 5 << 24); /* seteipnum_be */
    vr_dev_write(b.dev, 0, 0xffc, 4, 5);
    assert_int_equal(b.dev->guest_errors, errors + 6);
    for (unsigned h = 0; h < HARTS; h++) {
        for (unsigned i = 0; i < 8; i += 2) {
            assert_int_equal(get(&b, h, EIP + i), 0);
        }
        assert_int_equal(vr_dev_read(b.dev, 0, h * 0x1000, 4), 0);
    }
    bench_fini(&b);
}

static void snapshot(void **state)
{
    struct bench b, twin;
    (void)state;
    bench_init(&b);
    bench_init(&twin);
    put(&b, 1, EIDELIVERY, 1);
    put(&b, 1, EITHRESHOLD, 100);
    put(&b, 1, EIE + 2, UINT64_MAX);
    message(&b, 1, 64);
    message(&b, 1, 99);
    message(&b, 1, 101);
    assert_int_equal(rig_copy(b.dev, twin.dev), 0);
    assert_true(twin.out[1].level);
    assert_false(twin.out[0].level);
    assert_int_equal(top(&twin, 1, true), topei(64));
    assert_int_equal(top(&twin, 1, true), topei(99));
    assert_int_equal(top(&twin, 1, true), 0);
    assert_int_equal(get(&twin, 1, EITHRESHOLD), 100);
    vr_dev_reset(b.dev);
    assert_false(b.out[1].level);
    assert_int_equal(top(&b, 1, false), 0);
    assert_int_equal(get(&b, 1, EIDELIVERY), 0);
    bench_fini(&twin);
    bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_to_claim),
        cmocka_unit_test(lowest_identity_first),
        cmocka_unit_test(threshold),
        cmocka_unit_test(registers),
        cmocka_unit_test(wire_follows_registers),
        cmocka_unit_test(bad_messages),
        cmocka_unit_test(snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

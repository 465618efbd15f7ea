/* The i6300esb watchdog, by a driver's accesses: as Linux's i6300esb.c makes them, and others. */
#include "dev/timer/i6300esb.h"
#include "pci_rig.h"
#include <errno.h>

enum { DEVFN = 3 << 3, CONFIG = 0x60, LOCK = 0x68, ON = 2, FREE = 4, QUIET = 0x20, FAST = 4 };
#define BAR                UINT64_C(0x40000000)
/* One count of the slow clock is 2^15 periods of 33 MHz. */
#define COUNT_NS(n, shift) ((uint64_t)(n) * (UINT64_C(1) << (shift)) * 1000 / 33)

struct bench {
    struct pci_rig pci;
    struct vr_dev *dev;
};

static void bench_init(struct bench *b, const char *opts)
{
    pci_rig_init(&b->pci);
    b->dev = pci_rig_add(&b->pci, &vr_i6300esb_class, "wdt", opts,
                         &vr_pci_host_root(b->pci.host)->bus, DEVFN);
    vr_dev_reset(b->dev);
    pci_cfg_set(&b->pci, 0, DEVFN, 0x10, 4, (uint32_t)BAR);
    pci_cfg_set(&b->pci, 0, DEVFN, 4, 2, VR_PCI_CMD_MEM);
}

static void bench_fini(struct bench *b)
{
    vr_dev_destroy(b->dev);
    pci_rig_fini(&b->pci);
}

static void wr(struct bench *b, unsigned off, unsigned width, uint32_t val)
{
    assert_true(pci_poke(&b->pci, BAR + off, width, val));
}

static uint32_t rd(struct bench *b, unsigned off, unsigned width)
{
    return (uint32_t)pci_peek(&b->pci, BAR + off, width);
}

static void keys(struct bench *b)
{
    wr(b, 0xc, 2, 0x80);
    wr(b, 0xc, 2, 0x86);
}

static void preload(struct bench *b, uint32_t one, uint32_t two)
{
    keys(b);
    wr(b, 0, 4, one);
    keys(b);
    wr(b, 4, 4, two);
}

static void reload(struct bench *b)
{
    keys(b);
    wr(b, 0xc, 2, 0x100);
}

static void step(struct bench *b, uint64_t ns)
{
    vr_clock_step(b->pci.rig.env.clock, ns);
}

static void runs_out(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, NULL);
    assert_int_equal(pci_cfg(&b.pci, 0, DEVFN, 0, 4), 0x25ab8086);
    assert_int_equal(rd(&b, 0, 4), 0xfffff);
    pci_cfg_set(&b.pci, 0, DEVFN, CONFIG, 2, 3); /* no interrupt; slow clock; output on */
    preload(&b, 1000, 500);
    assert_int_equal(rd(&b, 0, 4), 1000);
    assert_int_equal(rd(&b, 4, 4), 500);
    pci_cfg_set(&b.pci, 0, DEVFN, LOCK, 1, ON);
    for (unsigned i = 0; i < 5; i++) { /* as long as it is reloaded, nothing happens */
        step(&b, COUNT_NS(999, 15));
        reload(&b);
    }
    step(&b, COUNT_NS(1000, 15) + COUNT_NS(499, 15));
    assert_int_equal(rd(&b, 8, 4), 1);
    assert_int_equal(b.pci.rig.requests, 0);
    reload(&b); /* in the second stage, too */
    step(&b, COUNT_NS(1000, 15) + COUNT_NS(499, 15));
    assert_int_equal(b.pci.rig.requests, 0);
    step(&b, COUNT_NS(2, 15));
    assert_int_equal(b.pci.rig.requests, 1);
    assert_int_equal(b.pci.rig.request, VR_REQ_WATCHDOG);
    assert_int_equal(b.pci.rig.code, VR_WATCHDOG_RESET);
    assert_int_equal(rd(&b, 0xc, 2), 0x200);
    step(&b, COUNT_NS(100000, 15)); /* once */
    assert_int_equal(b.pci.rig.requests, 1);
    /* The next kernel learns of it, and clears it. */
    vr_dev_reset(b.dev);
    assert_int_equal(pci_cfg(&b.pci, 0, DEVFN, LOCK, 1), 0);
    pci_cfg_set(&b.pci, 0, DEVFN, 0x10, 4, (uint32_t)BAR);
    pci_cfg_set(&b.pci, 0, DEVFN, 4, 2, VR_PCI_CMD_MEM);
    assert_int_equal(rd(&b, 0xc, 2), 0x200);
    keys(&b);
    wr(&b, 0xc, 2, 0x200);
    assert_int_equal(rd(&b, 0xc, 2), 0);
    vr_dev_reset(b.dev);
    step(&b, COUNT_NS(100000, 15));
    assert_int_equal(b.pci.rig.requests, 1);
    bench_fini(&b);
}

static void keys_open_one_write(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, NULL);
    wr(&b, 0, 4, 5);
    assert_int_equal(rd(&b, 0, 4), 0xfffff);
    wr(&b, 0xc, 2, 0x86);
    wr(&b, 0xc, 2, 0x80);
    wr(&b, 0, 4, 5);
    assert_int_equal(rd(&b, 0, 4), 0xfffff);
    keys(&b);
    wr(&b, 4, 4, 0xfff00005); /* 20 bits */
    wr(&b, 0, 4, 6);          /* not opened any more */
    assert_int_equal(rd(&b, 4, 4), 5);
    assert_int_equal(rd(&b, 0, 4), 0xfffff);
    assert_true(b.dev->guest_errors >= 3);
    /* A reload without keys does not save the guest. */
    preload(&b, 10, 10);
    pci_cfg_set(&b.pci, 0, DEVFN, LOCK, 1, ON);
    step(&b, COUNT_NS(9, 15));
    wr(&b, 0xc, 2, 0x100);
    step(&b, COUNT_NS(12, 15));
    assert_int_equal(b.pci.rig.requests, 1);
    bench_fini(&b);
}

static void first_stage_interrupts(void **state)
{
    struct bench b;
    unsigned line = DEVFN >> 3 & 3; /* INTA of device 3, swizzled */
    (void)state;
    bench_init(&b, NULL);
    preload(&b, 10, 1000);
    pci_cfg_set(&b.pci, 0, DEVFN, CONFIG, 2, FAST);
    pci_cfg_set(&b.pci, 0, DEVFN, LOCK, 1, ON);
    step(&b, COUNT_NS(10, 5) + 1);
    assert_true(b.pci.line[line].level);
    assert_int_equal(rd(&b, 8, 4), 1);
    wr(&b, 8, 4, 0);
    assert_true(b.pci.line[line].level);
    wr(&b, 8, 4, 1);
    assert_false(b.pci.line[line].level);
    assert_int_equal(rd(&b, 8, 4), 0);
    reload(&b);
    step(&b, COUNT_NS(10, 5) + 1);
    assert_true(b.pci.line[line].level);
    pci_cfg_set(&b.pci, 0, DEVFN, CONFIG, 2, FAST | 3); /* not by a line */
    assert_false(b.pci.line[line].level);
    assert_int_equal(b.pci.rig.requests, 0);
    bench_fini(&b);
}

static void switches(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, "action=none");
    preload(&b, 10, 10);
    /* Off again: it stands. */
    pci_cfg_set(&b.pci, 0, DEVFN, LOCK, 1, ON);
    step(&b, COUNT_NS(9, 15));
    pci_cfg_set(&b.pci, 0, DEVFN, LOCK, 1, 0);
    reload(&b);
    step(&b, COUNT_NS(100, 15));
    assert_int_equal(b.pci.rig.requests, 0);
    assert_int_equal(rd(&b, 8, 4), 0);
    /* Output off: it runs out, and nobody hears it. */
    pci_cfg_set(&b.pci, 0, DEVFN, CONFIG, 2, QUIET | 3);
    pci_cfg_set(&b.pci, 0, DEVFN, LOCK, 1, ON);
    step(&b, COUNT_NS(21, 15));
    assert_int_equal(rd(&b, 0xc, 2), 0x200);
    assert_int_equal(b.pci.rig.requests, 0);
    pci_cfg_set(&b.pci, 0, DEVFN, CONFIG, 2, 3);
    reload(&b); /* from the beginning */
    step(&b, COUNT_NS(21, 15));
    assert_int_equal(b.pci.rig.requests, 1);
    assert_int_equal(b.pci.rig.code, VR_WATCHDOG_NONE);
    /* Free running: one stage. */
    pci_cfg_set(&b.pci, 0, DEVFN, LOCK, 1, 0);
    pci_cfg_set(&b.pci, 0, DEVFN, LOCK, 1, ON | FREE);
    step(&b, COUNT_NS(11, 15));
    assert_int_equal(b.pci.rig.requests, 2);
    step(&b, COUNT_NS(100, 15));
    assert_int_equal(b.pci.rig.requests, 2);
    /* Locked: it cannot be switched off. */
    pci_cfg_set(&b.pci, 0, DEVFN, LOCK, 1, ON | 1);
    pci_cfg_set(&b.pci, 0, DEVFN, LOCK, 1, 0);
    assert_int_equal(pci_cfg(&b.pci, 0, DEVFN, LOCK, 1), ON | 1);
    reload(&b);
    step(&b, COUNT_NS(21, 15));
    assert_int_equal(b.pci.rig.requests, 3);
    vr_dev_reset(b.dev);
    assert_int_equal(pci_cfg(&b.pci, 0, DEVFN, LOCK, 1), 0);
    bench_fini(&b);
}

/* Restored in the middle of a stage, it ends when it would have. */
static void snapshot(void **state)
{
    struct bench b, twin;
    (void)state;
    bench_init(&b, "action=pause");
    bench_init(&twin, "action=pause");
    preload(&b, 1000, 100);
    pci_cfg_set(&b.pci, 0, DEVFN, LOCK, 1, ON | 1);
    step(&b, COUNT_NS(1050, 15));
    vr_clock_set(twin.pci.rig.env.clock, vr_clock_now(b.pci.rig.env.clock));
    struct vr_snap snap;
    vr_snap_init(&snap);
    assert_int_equal(vr_dev_save(b.dev, &snap, NULL), 0);
    assert_int_equal(vr_dev_load(twin.dev, &snap, NULL), 0);
    vr_snap_fini(&snap);
    assert_int_equal(rd(&twin, 8, 4), 1);
    step(&twin, COUNT_NS(49, 15));
    assert_int_equal(twin.pci.rig.requests, 0);
    step(&twin, COUNT_NS(2, 15));
    assert_int_equal(twin.pci.rig.requests, 1);
    assert_int_equal(twin.pci.rig.code, VR_WATCHDOG_PAUSE);
    bench_fini(&twin);
    bench_fini(&b);
}

static void actions(void **state)
{
    static const struct {
        const char *opts, *words;
        int r;
    } bad[] = {
        {"action=nmi", "no kernel hears of them", -ENOTSUP},
        {"action=rest", "expected reset", -EINVAL},
    };
    struct rig rig;
    struct vr_dev *dev;
    (void)state;
    rig_init(&rig);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct vr_error err = {0};
        assert_int_equal(
            vr_dev_create(&vr_i6300esb_class, "wdt", bad[i].opts, &rig.env, &dev, &err), bad[i].r);
        assert_non_null(strstr(err.msg, bad[i].words));
    }
    rig_fini(&rig);
    assert_string_equal(vr_watchdog_name(VR_WATCHDOG_POWEROFF), "poweroff");
    assert_string_equal(vr_watchdog_name(VR_WATCHDOG_SHUTDOWN), "shutdown");
    assert_null(vr_watchdog_name(VR_WATCHDOGS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_out),
        cmocka_unit_test(keys_open_one_write),
        cmocka_unit_test(first_stage_interrupts),
        cmocka_unit_test(switches),
        cmocka_unit_test(snapshot),
        cmocka_unit_test(actions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

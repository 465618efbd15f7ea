/* Virtio over PCI: found and driven through configuration space and base addresses alone, as a
 * driver does, with INTx and MSI-X. VIRTIO 1.3, section 4.1; what is common to both transports is
 * in virtio_mmio_test and virtq_test. */
#include "pci_rig.h"

#include "base/bits.h"
#include "dev/pci/caps.h"
#include "echo_device.h"
#include "virtq_driver.h"
#include <errno.h>
#include <stdlib.h>

enum { SLOT = 3 << 3, LINE = 3 };
#define REGS  UINT64_C(0x400010000)
#define TABLE UINT64_C(0x40000000)
enum { BUFS = 0x80000, WORD = 16 };

struct world {
    struct pci_rig r;
    struct vr_dev *dev;
    unsigned cap[6]; /* virtio capabilities, by type */
    struct vd d;     /* for its rings; registers are reached over the bus */
};

static unsigned w_cap(struct pci_rig *r, unsigned type)
{
    unsigned at = pci_cfg(r, 0, SLOT, VR_PCI_CAP_PTR, 1);
    while (at) {
        uint32_t head = pci_cfg(r, 0, SLOT, at, 4);
        if ((head & 0xff) == 0x09 && head >> 24 == type) {
            return at;
        }
        at = head >> 8 & 0xff;
    }
    fail_msg("no virtio capability %u", type);
    return 0;
}

static void place(struct world *w)
{
    struct pci_rig *r = &w->r;
    pci_cfg_set(r, 0, SLOT, 0x14, 4, (uint32_t)TABLE);
    pci_cfg_set(r, 0, SLOT, 0x20, 4, (uint32_t)REGS);
    pci_cfg_set(r, 0, SLOT, 0x24, 4, REGS >> 32);
    pci_cfg_set(r, 0, SLOT, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM | VR_PCI_CMD_MASTER);
}

static int world_init(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    pci_rig_init(&w->r);
    w->dev = pci_rig_add(&w->r, &vr_virtio_echo_pci_class, "echo", NULL,
                         &vr_pci_host_root(w->r.host)->bus, SLOT);
    w->d = (struct vd){.rig = &w->r.rig, .dev = w->dev, .heap = RIG_RAM_GPA};
    for (unsigned i = 1; i <= 5; i++) {
        w->cap[i] = w_cap(&w->r, i);
    }
    place(w);
    *state = w;
    return 0;
}

static int world_fini(void **state)
{
    struct world *w = *state;
    vr_dev_destroy(w->dev);
    pci_rig_fini(&w->r);
    free(w);
    return 0;
}

/* Common configuration. */
static void set(struct world *w, unsigned off, unsigned width, uint64_t val)
{
    assert_true(pci_poke(&w->r, REGS + off, width, val));
}

static uint64_t get(struct world *w, unsigned off, unsigned width)
{
    return pci_peek(&w->r, REGS + off, width);
}

static void start(struct world *w)
{
    vd_start(&w->d, VR_VIRTIO_F_EVENT_IDX, 16);
}

/* One buffer there and back through queue 0, notified over the bus. */
static void echo(struct world *w)
{
    struct vd_buf bufs[2];
    uint16_t head;
    uint32_t len;
    bufs[0] = vd_out(&w->d, "echo", 4);
    bufs[1] = vd_in(&w->d, 4);
    vd_add(&w->d, 0, bufs, 2);
    assert_true(pci_poke(&w->r, REGS + VR_VIRTIO_PCI_NOTIFY, 2, 0));
    assert_true(vd_used(&w->d, 0, &head, &len));
    assert_memory_equal(vd_hva(&w->d, bufs[1].gpa), "echo", 4);
}

static void is_found_as_what_it_is(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    assert_int_equal(pci_cfg(r, 0, SLOT, 0, 4), 0x1af4 | (0x1040u + 42) << 16);
    assert_int_equal(pci_cfg(r, 0, SLOT, VR_PCI_REVISION, 1), 1); /* 4.1.2: 1 or more */
    assert_int_equal(pci_cfg(r, 0, SLOT, VR_PCI_INT_PIN, 1), 1);
    static const uint32_t at[] = {0, 0, 0x3000, 0x1000, 0x2000};
    for (unsigned i = 1; i <= 4; i++) {
        assert_int_equal(pci_cfg(r, 0, SLOT, w->cap[i] + 4, 1), 4);
        assert_int_equal(pci_cfg(r, 0, SLOT, w->cap[i] + 8, 4), at[i]);
        assert_int_equal(pci_cfg(r, 0, SLOT, w->cap[i] + 12, 4), 0x1000);
        assert_int_equal(pci_cfg(r, 0, SLOT, w->cap[i] + 2, 1), i == 2 ? 20 : 16);
    }
    assert_int_equal(pci_cfg(r, 0, SLOT, w->cap[2] + 16, 4), 4);
    assert_int_equal(pci_cfg(r, 0, SLOT, pci_cap(r, 0, SLOT, 0x11, false) + 2, 2), 2);
    assert_int_equal(get(w, 0x12, 2), 2);
    for (unsigned q = 0; q < 4; q++) {
        set(w, 0x16, 2, q);
        assert_int_equal(get(w, 0x18, 2), q < 2 ? ECHO_SIZE : 0);
        assert_int_equal(get(w, 0x1e, 2), q < 2 ? q : 0);
        assert_int_equal(get(w, 0x1a, 2), 0xffff);
    }
    assert_int_equal(w->dev->guest_errors, 0);
}

static void registers_read_back(void **state)
{
    struct world *w = *state;
    set(w, 0x14, 1, 3);
    set(w, 0x00, 4, 1);
    set(w, 0x08, 4, 1);
    set(w, 0x0c, 4, 0x21);
    assert_true(get(w, 0x00, 4) == 1 && get(w, 0x08, 4) == 1 && get(w, 0x0c, 4) == 0x21);
    set(w, 0x08, 4, 0);
    set(w, 0x0c, 4, 0);
    set(w, 0x08, 4, 1);
    set(w, 0x0c, 4, 1);
    set(w, 0x14, 1, 11);
    assert_int_equal(get(w, 0x14, 1), 11);
    set(w, 0x16, 2, 1);
    set(w, 0x18, 2, 8);
    set(w, 0x20, 8, 0x1122334455667780);
    set(w, 0x28, 4, 0x55667780);
    set(w, 0x2c, 4, 0x11223344);
    assert_int_equal(get(w, 0x20, 4), 0x55667780);
    assert_int_equal(get(w, 0x24, 4), 0x11223344);
    assert_int_equal(get(w, 0x28, 8), 0x1122334455667780);
    assert_int_equal(get(w, 0x30, 8), 0);
    set(w, 0x16, 2, 0);
    assert_int_equal(get(w, 0x20, 8), 0);
    assert_int_equal(get(w, 0x18, 2), ECHO_SIZE);
    set(w, 0x1a, 2, 2);
    assert_int_equal(get(w, 0x1a, 2), 2);
    set(w, 0x1a, 2, 3); /* there are only 0 to 2 */
    assert_int_equal(get(w, 0x1a, 2), 0xffff);
    set(w, 0x10, 2, 1);
    assert_int_equal(get(w, 0x10, 2), 1);
    assert_int_equal(w->dev->guest_errors, 0);
    set(w, 0x1c, 2, 0); /* 4.1.4.3.2: must not */
    set(w, 0x1c, 2, 2);
    (void)get(w, 0x18, 4);
    (void)get(w, 0x40, 4);
    (void)get(w, VR_VIRTIO_PCI_NOTIFY, 4);
    assert_int_equal(w->dev->guest_errors, 5);
    set(w, 0x14, 1, 0);
    assert_int_equal(get(w, 0x10, 2), 0xffff);
    assert_int_equal(get(w, 0x20, 8), 0);
}

static void buffers_go_round_with_the_pin(void **state)
{
    struct world *w = *state;
    start(w);
    for (unsigned i = 0; i < 40; i++) {
        vd_want_irq(&w->d, 0, true);
        echo(w);
        assert_true(w->r.line[LINE].level);
        assert_int_equal(pci_cfg(&w->r, 0, SLOT, VR_PCI_STATUS, 2) & 8, 8);
        assert_int_equal(get(w, VR_VIRTIO_PCI_ISR, 1), 1);
        assert_false(w->r.line[LINE].level);
        assert_int_equal(get(w, VR_VIRTIO_PCI_ISR, 1), 0);
    }
    assert_int_equal(w->r.line[LINE].rises, 40);
    /* The configuration changes: bit 1. */
    vr_dev_lock(w->dev);
    vr_virtio_config_changed(vr_virtio_of(w->dev));
    vr_dev_unlock(w->dev);
    assert_true(w->r.line[LINE].level);
    assert_int_equal(get(w, VR_VIRTIO_PCI_ISR, 1), 2);
    /* A reset by the driver lets the pin go, and leaves the function where it is. */
    vd_want_irq(&w->d, 0, true);
    echo(w);
    assert_true(w->r.line[LINE].level);
    set(w, 0x14, 1, 0);
    assert_false(w->r.line[LINE].level);
    assert_int_equal(get(w, 0x14, 1), 0);
    assert_int_equal(pci_cfg(&w->r, 0, SLOT, 0x24, 4), REGS >> 32);
    assert_int_equal(w->dev->guest_errors, 0);
}

static void messages_are_those_that_the_driver_chose(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    unsigned msix = pci_cap(r, 0, SLOT, 0x11, false);
    uint32_t last;
    pci_cfg_set(r, 0, SLOT, msix + 2, 2, 0x8000);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(pci_poke(r, TABLE + i * 16, 4, (uint32_t)PCI_MSI));
        assert_true(pci_poke(r, TABLE + i * 16 + 8, 4, 0x100 + i));
        assert_true(pci_poke(r, TABLE + i * 16 + 12, 4, 0));
    }
    start(w);
    set(w, 0x10, 2, 0);
    set(w, 0x16, 2, 0);
    set(w, 0x1a, 2, 2);
    vd_want_irq(&w->d, 0, true);
    echo(w);
    assert_int_equal(pci_messages(r, &last), 1);
    assert_int_equal(last, 0x102);
    vr_dev_lock(w->dev);
    vr_virtio_config_changed(vr_virtio_of(w->dev));
    vr_dev_unlock(w->dev);
    assert_int_equal(pci_messages(r, &last), 2);
    assert_int_equal(last, 0x100);
    assert_int_equal(pci_peek(r, REGS + VR_VIRTIO_PCI_ISR, 1), VR_VIRTIO_ISR_CONFIG);
    set(w, 0x10, 2, 0xffff); /* no message for configuration changes */
    vr_dev_lock(w->dev);
    vr_virtio_config_changed(vr_virtio_of(w->dev));
    vr_dev_unlock(w->dev);
    assert_int_equal(pci_messages(r, NULL), 2);
    assert_int_equal(pci_peek(r, REGS + VR_VIRTIO_PCI_ISR, 1), VR_VIRTIO_ISR_CONFIG);
    assert_int_equal(pci_peek(r, REGS + VR_VIRTIO_PCI_ISR, 1), 0);
    set(w, 0x16, 2, 0);
    set(w, 0x1a, 2, 0xffff); /* no message for this queue */
    vd_want_irq(&w->d, 0, true);
    echo(w);
    assert_int_equal(pci_messages(r, NULL), 2);
    set(w, 0x1a, 2, 1);
    assert_true(pci_poke(r, TABLE + 16 + 12, 4, 1)); /* masked: it comes later */
    vd_want_irq(&w->d, 0, true);
    echo(w);
    assert_int_equal(pci_messages(r, NULL), 2);
    assert_true(pci_poke(r, TABLE + 16 + 12, 4, 0));
    assert_int_equal(pci_messages(r, &last), 3);
    assert_int_equal(last, 0x101);
    assert_int_equal(r->line[LINE].rises, 0);
    /* A driver's reset forgets the choice, not the table. */
    set(w, 0x14, 1, 0);
    assert_int_equal(get(w, 0x10, 2), 0xffff);
    assert_int_equal(pci_peek(r, TABLE + 16 + 8, 4), 0x101);
    assert_int_equal(w->dev->guest_errors, 0);
}

/* Without the bus master bit it reads and writes no memory; what waited is done once it is set. */
static void no_master_no_memory(void **state)
{
    struct world *w = *state;
    struct vd_buf bufs[2];
    uint16_t head;
    uint32_t len;
    start(w);
    pci_cfg_set(&w->r, 0, SLOT, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM);
    bufs[0] = vd_out(&w->d, "wait", 4);
    bufs[1] = vd_in(&w->d, 4);
    vd_add(&w->d, 0, bufs, 2);
    assert_true(pci_poke(&w->r, REGS + VR_VIRTIO_PCI_NOTIFY, 2, 0));
    assert_false(vd_used(&w->d, 0, &head, &len));
    pci_cfg_set(&w->r, 0, SLOT, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM | VR_PCI_CMD_MASTER);
    assert_true(vd_used(&w->d, 0, &head, &len));
    assert_memory_equal(vd_hva(&w->d, bufs[1].gpa), "wait", 4);
}

/* 4.1.4.9: registers through configuration space, for who has no other way. */
static void the_window_in_configuration_space(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    unsigned at = w->cap[5];
    assert_int_equal(pci_cfg(r, 0, SLOT, at + 2, 1), 20);
    pci_cfg_set(r, 0, SLOT, at + 4, 1, 4);
    pci_cfg_set(r, 0, SLOT, at + 8, 4, 0x12);
    pci_cfg_set(r, 0, SLOT, at + 12, 4, 2);
    assert_int_equal(pci_cfg(r, 0, SLOT, at + 16, 2), 2); /* num_queues */
    pci_cfg_set(r, 0, SLOT, at + 8, 4, 0x14);
    pci_cfg_set(r, 0, SLOT, at + 12, 4, 1);
    pci_cfg_set(r, 0, SLOT, at + 16, 1, 3);
    assert_int_equal(get(w, 0x14, 1), 3);
    assert_int_equal(pci_cfg(r, 0, SLOT, at + 16, 1), 3);
    pci_cfg_set(r, 0, SLOT, at + 16, 1, 0); /* even a reset */
    assert_int_equal(get(w, 0x14, 1), 0);
    assert_int_equal(w->dev->guest_errors, 0);
    static const uint32_t bad[][3] = {
        {0, 0, 4}, {1, 0, 4},      {4, 0, 3},      {4, 0, 8},          {4, 0, 0},
        {4, 2, 4}, {4, 0x4000, 4}, {4, 0x3ffe, 4}, {4, 0xfffffffc, 4}, {255, 0, 1}};
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        pci_cfg_set(r, 0, SLOT, at + 4, 1, bad[i][0]);
        pci_cfg_set(r, 0, SLOT, at + 8, 4, bad[i][1]);
        pci_cfg_set(r, 0, SLOT, at + 12, 4, bad[i][2]);
        pci_cfg_set(r, 0, SLOT, at + 16, 4, UINT32_MAX);
        (void)pci_cfg(r, 0, SLOT, at + 16, 4);
        assert_int_equal(w->dev->guest_errors, 2 * i + 2);
    }
}

static void a_function_level_reset_starts_over(void **state)
{
    struct world *w = *state;
    start(w);
    vd_want_irq(&w->d, 0, true);
    echo(w);
    unsigned exp = pci_cap(&w->r, 0, SLOT, 0x10, false);
    pci_cfg_set(&w->r, 0, SLOT, exp + 8, 2, 0x8000);
    assert_false(w->r.line[LINE].level);
    assert_false(pci_poke(&w->r, REGS, 4, 0));
    place(w);
    assert_int_equal(get(w, 0x14, 1), 0);
    start(w);
    vd_want_irq(&w->d, 0, true);
    echo(w);
    assert_true(w->r.line[LINE].level);
}

static void a_snapshot_goes_on_in_another_machine(void **state)
{
    struct world *w = *state;
    void *other;
    struct vr_snap snap;
    start(w);
    vd_want_irq(&w->d, 0, true);
    echo(w);
    assert_int_equal(world_init(&other), 0);
    struct world *o = other;
    vr_dev_reset(o->dev);
    vr_snap_init(&snap);
    vr_dev_quiesce(w->dev);
    assert_int_equal(vr_dev_save(w->dev, &snap, NULL), 0);
    assert_int_equal(vr_dev_load(o->dev, &snap, NULL), 0);
    vr_snap_fini(&snap);
    memcpy(o->r.rig.ram->hva, w->r.rig.ram->hva, RIG_RAM_LEN);
    o->d = w->d;
    o->d.rig = &o->r.rig;
    o->d.dev = o->dev;
    assert_true(o->r.line[LINE].level); /* its pin was up */
    assert_int_equal(get(o, VR_VIRTIO_PCI_ISR, 1), 1);
    assert_false(o->r.line[LINE].level);
    vd_want_irq(&o->d, 0, true);
    echo(o);
    assert_true(o->r.line[LINE].level);
    (void)world_fini(&other);
}

/* THREATS 6 and 18: rings and buffers in its own registers, in the interrupt table, in
 * configuration space, in the interrupt controller. */
static void rings_in_windows_are_refused(void **state)
{
    struct world *w = *state;
    static const uint64_t bad[] = {REGS, REGS + VR_VIRTIO_PCI_NOTIFY, TABLE, PCI_ECAM, PCI_MSI};
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        for (unsigned area = 0; area < 3; area++) {
            start(w);
            set(w, 0x14, 1, 0);
            assert_true(vd_negotiate(&w->d, 0));
            set(w, 0x16, 2, 0);
            for (unsigned k = 0; k < 3; k++) {
                set(w, 0x20 + 8 * k, 8, k == area ? bad[i] : RIG_RAM_GPA + 0x1000 * k);
            }
            set(w, 0x1c, 2, 1);
            set(w, 0x14, 1, 15);
            assert_true(pci_poke(&w->r, REGS + VR_VIRTIO_PCI_NOTIFY, 2, 0));
            assert_true(get(w, 0x14, 1) & VR_VIRTIO_NEEDS_RESET || get(w, 0x1c, 2) == 0);
        }
        start(w);
        struct vd_buf bufs[2] = {{.gpa = bad[i], .len = 4},
                                 {.gpa = bad[i], .len = 4, .write = true}};
        vd_add(&w->d, 0, bufs, 2);
        assert_true(pci_poke(&w->r, REGS + VR_VIRTIO_PCI_NOTIFY, 2, 0));
        assert_true(get(w, 0x14, 1) & VR_VIRTIO_NEEDS_RESET);
    }
    assert_int_equal(pci_messages(&w->r, NULL), 0);
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_init, world_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(is_found_as_what_it_is),
        WORLD_TEST(registers_read_back),
        WORLD_TEST(buffers_go_round_with_the_pin),
        WORLD_TEST(messages_are_those_that_the_driver_chose),
        WORLD_TEST(no_master_no_memory),
        WORLD_TEST(the_window_in_configuration_space),
        WORLD_TEST(a_function_level_reset_starts_over),
        WORLD_TEST(a_snapshot_goes_on_in_another_machine),
        WORLD_TEST(rings_in_windows_are_refused),
    };
    return cmocka_run_group_tests_name("virtio_pci", tests, NULL, NULL);
}

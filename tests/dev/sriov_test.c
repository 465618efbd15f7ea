/*
 * SR-IOV: a PF's capability, VFs that appear and go, where they are found and what they answer,
 * behind root ports, past function 7 and past the end of a bus; snapshots; and guests that write
 * whatever they like (THREATS 18: CVE-2024-26327, -26328). Specification: PCI Express 6.0, chapter
 * 9; VIRTIO 1.3, chapter 6.
 */
#include "pci_rig.h"

#include "base/bits.h"
#include "dev/pci/caps.h"
#include "dev/virtio/blk.h"
#include "dev/virtio/class.h"
#include "dev/virtio/rng.h"
#include "virtio_fakes.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PORT = 1 << 3, BUS = 1 };
enum { VFS = 12, CONTROL = VR_PCI_SRIOV_CONTROL, NUM = VR_PCI_SRIOV_NUM };
enum { ID_SRIOV = 0x10, ID_ARI = 0x0e, ID_EXPRESS = 0x10, ID_MSIX = 0x11 };
enum { ON = VR_PCI_SRIOV_ENABLE, MEM = VR_PCI_SRIOV_MEM };
#define MEM32 UINT64_C(0x40000000)
#define MEM64 UINT64_C(0x400000000)

/* A PF behind a port, with VFs. */
struct world {
    struct pci_rig r;
    struct vr_dev *port, *pf, *vf[VFS];
    unsigned cap; /* where the PF's SR-IOV capability is */
};

static void world_make(struct world *w, const struct vr_dev_class *cls, const char *pf_opts,
                       const char *vf_opts)
{
    pci_rig_init(&w->r);
    w->port = pci_rig_add(&w->r, &vr_pci_root_port_class, "port", "slot=7",
                          &vr_pci_host_root(w->r.host)->bus, PORT);
    w->pf = pci_rig_add(&w->r, cls, "pf", pf_opts, vr_pci_of(w->port)->host.below, 0);
    for (unsigned i = 0; i < VFS; i++) {
        char id[16];
        struct vr_error err = {0};
        snprintf(id, sizeof(id), "vf%u", i);
        assert_int_equal(vr_dev_create(cls, id, vf_opts, &w->r.rig.env, &w->vf[i], &err), 0);
        if (vr_pci_sriov_attach(vr_pci_of(w->pf), i, vr_pci_of(w->vf[i]), &err) < 0) {
            fail_msg("%s", err.msg);
        }
    }
    vr_dev_reset(w->port);
    pci_cfg_set(&w->r, 0, PORT, 0x18, 4, 0x00020100); /* buses 1 and 2 */
    pci_cfg_set(&w->r, 0, PORT, 0x20, 4, 0x40704000); /* 8 MiB of 32-bit memory */
    pci_cfg_set(&w->r, 0, PORT, 0x24, 4, 0x00700000); /* and of 64-bit memory */
    pci_cfg_set(&w->r, 0, PORT, 0x28, 4, 4);
    pci_cfg_set(&w->r, 0, PORT, 0x2c, 4, 4);
    pci_cfg_set(&w->r, 0, PORT, VR_PCI_COMMAND, 2, 7);
    w->cap = pci_cap(&w->r, BUS, 0, ID_SRIOV, true);
    assert_int_not_equal(w->cap, 0);
}

static void world_end(struct world *w)
{
    for (unsigned i = VFS; i-- > 0;) {
        vr_dev_destroy(w->vf[i]);
    }
    vr_dev_destroy(w->pf);
    vr_dev_destroy(w->port);
    pci_rig_fini(&w->r);
}

#define TOY_PF "vfs=12"
#define TOY_VF "vf=on"

static int toys_init(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    world_make(w, &pci_toy_class, TOY_PF, TOY_VF);
    *state = w;
    return 0;
}

/* VFs whose routing ids begin on the next bus and skip every other one. */
static int far_toys_init(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    world_make(w, &pci_toy_class, TOY_PF ",offset=252,stride=2", TOY_VF);
    *state = w;
    return 0;
}

static int world_fini(void **state)
{
    world_end(*state);
    free(*state);
    return 0;
}

static uint32_t get(struct world *w, unsigned reg, unsigned width)
{
    return pci_cfg(&w->r, BUS, 0, w->cap + reg, width);
}

static void set(struct world *w, unsigned reg, unsigned width, uint32_t val)
{
    pci_cfg_set(&w->r, BUS, 0, w->cap + reg, width, val);
}

static void forward_ari(struct world *w, bool on)
{
    unsigned at = pci_cap(&w->r, 0, PORT, ID_EXPRESS, false);
    assert_true(pci_cfg(&w->r, 0, PORT, at + VR_PCI_EXP_DEVCAP2, 4) & 1 << 5);
    pci_cfg_set(&w->r, 0, PORT, at + VR_PCI_EXP_DEVCTL2, 2, on ? 0x20 : 0);
}

/* As drivers do: their windows, how many, go. */
static void enable(struct world *w, unsigned num)
{
    set(w, VR_PCI_SRIOV_BAR + 0, 4, (uint32_t)MEM32 + 0x100000);
    set(w, VR_PCI_SRIOV_BAR + 8, 4, (uint32_t)MEM64);
    set(w, VR_PCI_SRIOV_BAR + 12, 4, MEM64 >> 32);
    set(w, VR_PCI_SRIOV_BAR + 16, 4, (uint32_t)MEM64 + 0x200000);
    set(w, VR_PCI_SRIOV_BAR + 20, 4, MEM64 >> 32);
    set(w, NUM, 2, num);
    set(w, CONTROL, 2, ON | MEM);
}

/* Is somebody there? A VF's vendor does not tell; its header's first capability does. */
static bool there(struct world *w, unsigned bus, unsigned devfn)
{
    return pci_cfg(&w->r, bus, devfn, VR_PCI_CAP_PTR, 1) == 0x40;
}

static void the_capability_says_what_there_is(void **state)
{
    struct world *w = *state;
    assert_int_equal(get(w, VR_PCI_SRIOV_INITIAL, 2), VFS);
    assert_int_equal(get(w, VR_PCI_SRIOV_TOTAL, 2), VFS);
    assert_int_equal(get(w, NUM, 2), 0);
    assert_int_equal(get(w, VR_PCI_SRIOV_LINK, 1), 0);
    assert_int_equal(get(w, VR_PCI_SRIOV_OFFSET, 2), 1);
    assert_int_equal(get(w, VR_PCI_SRIOV_STRIDE, 2), 1);
    assert_int_equal(get(w, VR_PCI_SRIOV_DEVICE, 2), 0x5679);
    assert_int_equal(get(w, VR_PCI_SRIOV_PAGES, 4), 0x553);
    assert_int_equal(get(w, VR_PCI_SRIOV_PAGE, 4), 1);
    assert_int_equal(get(w, 0x3c, 4), 0);
    assert_int_not_equal(pci_cap(&w->r, BUS, 0, ID_ARI, true), 0);
    /* The base addresses of the PF, but for its ports, sized as always. */
    static const uint32_t sizes[] = {0xfffff000, 0, 0xffff000c, 0xffffffff, 0xfffff004, 0xffffffff};
    for (unsigned i = 0; i < VR_COUNT(sizes); i++) {
        set(w, VR_PCI_SRIOV_BAR + 4 * i, 4, 0xffffffff);
        assert_int_equal(get(w, VR_PCI_SRIOV_BAR + 4 * i, 4), sizes[i]);
    }
    /* Larger pages of the guest's make larger VFs. */
    set(w, VR_PCI_SRIOV_PAGE, 4, 0x10); /* 64 KiB */
    assert_int_equal(get(w, VR_PCI_SRIOV_BAR, 4), 0xffff0000);
    set(w, VR_PCI_SRIOV_PAGE, 4, 0x400);
    assert_int_equal(get(w, VR_PCI_SRIOV_BAR + 8, 4), 0xffc0000c);
    set(w, VR_PCI_SRIOV_PAGE, 4, 1);
    set(w, VR_PCI_SRIOV_BAR, 4, 0xffffffff);
    assert_int_equal(get(w, VR_PCI_SRIOV_BAR, 4), 0xfffff000);
}

static void virtual_functions_appear_and_answer(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    assert_false(there(w, BUS, 1));
    enable(w, 3);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(there(w, BUS, 1 + i), i < 3);
    }
    assert_int_equal(pci_cfg(r, BUS, 2, 0, 4), 0xffffffff);
    assert_int_equal(pci_cfg(r, BUS, 2, 8, 4), 0xff010203); /* class and revision are the PF's */
    assert_int_equal(pci_cfg(r, BUS, 2, 0x2c, 4), 0xdef09abc);
    for (unsigned off = 0x10; off < 0x28; off += 4) {
        pci_cfg_set(r, BUS, 2, off, 4, 0xffffffff);
        assert_int_equal(pci_cfg(r, BUS, 2, off, 4), 0);
    }
    assert_int_equal(pci_cfg(r, BUS, 2, VR_PCI_INT_PIN, 1), 0);
    pci_cfg_set(r, BUS, 2, VR_PCI_COMMAND, 2, 0xffff);
    assert_int_equal(pci_cfg(r, BUS, 2, VR_PCI_COMMAND, 2), VR_PCI_CMD_MASTER);
    assert_int_not_equal(pci_cap(r, BUS, 2, ID_ARI, true), 0);
    assert_int_equal(pci_cap(r, BUS, 2, ID_SRIOV, true), 0);
    /* Registers of one stand behind those of the other, and are its own. */
    for (unsigned i = 0; i < 3; i++) {
        assert_true(pci_poke(r, MEM32 + 0x100000 + i * 0x1000, 4, 100 + i));
        assert_true(pci_poke(r, MEM64 + i * 0x10000, 8, 200 + i));
    }
    for (unsigned i = 0; i < 3; i++) {
        const struct pci_toy *toy = (struct pci_toy *)w->vf[i];
        assert_int_equal(toy->reg, 100 + i);
        assert_int_equal(toy->big, 200 + i);
        assert_int_equal(pci_peek(r, MEM32 + 0x100000 + i * 0x1000, 4), 100 + i);
    }
    assert_int_equal(pci_peek(r, MEM32 + 0x100000 + 3 * 0x1000, 4), UINT64_MAX);
    /* They decode by the PF's word. */
    set(w, CONTROL, 2, ON);
    assert_int_equal(pci_peek(r, MEM32 + 0x100000, 4), UINT64_MAX);
    assert_true(there(w, BUS, 1));
    set(w, CONTROL, 2, ON | MEM);
    assert_int_equal(pci_peek(r, MEM32 + 0x101000, 4), 101);
    /* Moved while they are at it. */
    set(w, VR_PCI_SRIOV_BAR, 4, (uint32_t)MEM32 + 0x200000);
    assert_int_equal(pci_peek(r, MEM32 + 0x101000, 4), UINT64_MAX);
    assert_int_equal(pci_peek(r, MEM32 + 0x202000, 4), 102);
    /* Disabled they are gone; enabled anew they are new. */
    set(w, CONTROL, 2, 0);
    assert_false(there(w, BUS, 1));
    assert_int_equal(pci_peek(r, MEM32 + 0x202000, 4), UINT64_MAX);
    set(w, CONTROL, 2, ON | MEM);
    assert_int_equal(pci_peek(r, MEM32 + 0x202000, 4), 0);
    assert_int_equal(pci_cfg(r, BUS, 2, VR_PCI_COMMAND, 2), 0);
}

static void each_has_messages_of_its_own(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    uint32_t last;
    enable(w, 2);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t table = MEM64 + 0x200000 + i * 0x1000;
        unsigned msix = pci_cap(r, BUS, 1 + i, ID_MSIX, false);
        assert_true(pci_poke(r, table + 16, 4, PCI_MSI));
        assert_true(pci_poke(r, table + 24, 4, 70 + i));
        assert_true(pci_poke(r, table + 28, 4, 0));
        pci_cfg_set(r, BUS, 1 + i, msix + 2, 2, 0x8000);
        unsigned before = pci_messages(r, NULL);
        assert_true(pci_poke(r, MEM32 + 0x100000 + i * 0x1000 + 12, 4, 1));
        assert_int_equal(pci_messages(r, NULL), before); /* it may not master yet */
        pci_cfg_set(r, BUS, 1 + i, VR_PCI_COMMAND, 2, VR_PCI_CMD_MASTER);
        assert_true(pci_poke(r, MEM32 + 0x100000 + i * 0x1000 + 12, 4, 1));
        assert_int_equal(pci_messages(r, &last), before + 1);
        assert_int_equal(last, 70 + i);
    }
    /* There is no pin to drive. */
    pci_cfg_set(r, BUS, 1, pci_cap(r, BUS, 1, ID_MSIX, false) + 2, 2, 0);
    assert_true(pci_poke(r, MEM32 + 0x100000 + 8, 4, 1));
    for (unsigned i = 0; i < VR_PCI_INTX; i++) {
        assert_false(r->line[i].level);
    }
}

static void function_reset(struct world *w, unsigned devfn)
{
    unsigned exp = pci_cap(&w->r, BUS, devfn, ID_EXPRESS, false);
    assert_true(pci_cfg(&w->r, BUS, devfn, exp + VR_PCI_EXP_DEVCAP, 4) & 1 << 28);
    pci_cfg_set(&w->r, BUS, devfn, exp + VR_PCI_EXP_DEVCTL, 2, 0x8000);
}

static void resets_reach_as_far_as_they_should(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    enable(w, 3);
    for (unsigned i = 0; i < 3; i++) {
        pci_cfg_set(r, BUS, 1 + i, VR_PCI_COMMAND, 2, VR_PCI_CMD_MASTER);
        assert_true(pci_poke(r, MEM32 + 0x100000 + i * 0x1000, 4, 100 + i));
    }
    function_reset(w, 2); /* one VF alone, and it stays */
    assert_true(there(w, BUS, 2));
    assert_int_equal(pci_cfg(r, BUS, 2, VR_PCI_COMMAND, 2), 0);
    assert_int_equal(pci_peek(r, MEM32 + 0x101000, 4), 0);
    assert_int_equal(pci_peek(r, MEM32 + 0x100000, 4), 100);
    assert_int_equal(pci_peek(r, MEM32 + 0x102000, 4), 102);
    function_reset(w, 0); /* the PF: all of it */
    assert_int_equal(get(w, NUM, 2), 0);
    assert_int_equal(get(w, CONTROL, 2), 0);
    assert_int_equal(get(w, VR_PCI_SRIOV_BAR, 4), 0);
    assert_false(there(w, BUS, 1));
    assert_int_equal(((struct pci_toy *)w->vf[0])->reg, 0);
    enable(w, 2);
    assert_true(pci_poke(r, MEM32 + 0x100000, 4, 5));
    pci_cfg_set(r, 0, PORT, 0x3e, 2, 0x40); /* and of the bus */
    pci_cfg_set(r, 0, PORT, 0x3e, 2, 0);
    assert_false(there(w, BUS, 1));
    assert_int_equal(((struct pci_toy *)w->vf[0])->reg, 0);
    /* A PF that sleeps has no VFs that decode. */
    enable(w, 2);
    unsigned power = pci_cap(r, BUS, 0, 1, false);
    pci_cfg_set(r, BUS, 0, power + VR_PCI_PM_CSR, 2, 3);
    assert_int_equal(pci_peek(r, MEM32 + 0x100000, 4), UINT64_MAX);
    pci_cfg_set(r, BUS, 0, power + VR_PCI_PM_CSR, 2, 0);
    assert_int_equal(pci_peek(r, MEM32 + 0x100000, 4), 0);
}

static void past_function_7_ports_have_to_forward(void **state)
{
    struct world *w = *state;
    enable(w, VFS);
    for (unsigned i = 0; i < VFS; i++) {
        assert_int_equal(there(w, BUS, 1 + i), 1 + i < 8);
    }
    forward_ari(w, true);
    for (unsigned i = 0; i < VFS + 3; i++) {
        assert_int_equal(there(w, BUS, 1 + i), i < VFS);
    }
    assert_true(pci_poke(&w->r, MEM32 + 0x100000 + 11 * 0x1000, 4, 7));
    assert_int_equal(((struct pci_toy *)w->vf[11])->reg, 7);
    forward_ari(w, false);
    assert_false(there(w, BUS, 9));
}

static void routing_ids_go_on_behind_the_end_of_a_bus(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    forward_ari(w, true);
    enable(w, VFS);
    for (unsigned rid = 0x101; rid < 0x300; rid++) { /* buses 1 and 2 */
        bool should = rid >= 0x1fc && (rid - 0x1fc) % 2 == 0 && (rid - 0x1fc) / 2 < VFS;
        assert_int_equal(there(w, rid >> 8, rid & 0xff), should);
    }
    pci_cfg_set(r, 2, 0x0e, VR_PCI_COMMAND, 2, VR_PCI_CMD_MASTER); /* VF 9 */
    assert_int_equal(vr_pci_of(w->vf[9])->config[VR_PCI_COMMAND], VR_PCI_CMD_MASTER);
    assert_int_equal(vr_pci_sriov_bus(vr_pci_of(w->vf[1])), 0);
    assert_int_equal(vr_pci_sriov_bus(vr_pci_of(w->vf[2])), 1);
    assert_true(pci_poke(r, MEM32 + 0x100000 + 9 * 0x1000, 4, 99));
    assert_int_equal(((struct pci_toy *)w->vf[9])->reg, 99);
    /* The port's numbers decide whether bus 2 is his. */
    pci_cfg_set(r, 0, PORT, 0x1a, 1, 1);
    assert_true(there(w, 1, 0xfc));
    assert_false(there(w, 2, 0x0e));
    pci_cfg_set(r, 0, PORT, 0x18, 4, 0x00060500); /* they are called 5 and 6 */
    assert_true(there(w, 6, 0x0e));
    assert_false(there(w, 2, 0x0e));
}

static void nonsense_is_taken_back(void **state)
{
    struct world *w = *state;
    uint64_t errors = w->pf->guest_errors;
    set(w, NUM, 2, VFS + 1);
    assert_int_equal(get(w, NUM, 2), 0);
    set(w, NUM, 2, 0xffff);
    assert_int_equal(get(w, NUM, 2), 0);
    set(w, NUM, 1, 0xff); /* half of it */
    assert_int_equal(get(w, NUM, 2), 0);
    set(w, VR_PCI_SRIOV_PAGE, 4, 0);
    assert_int_equal(get(w, VR_PCI_SRIOV_PAGE, 4), 1);
    set(w, VR_PCI_SRIOV_PAGE, 4, 3);
    assert_int_equal(get(w, VR_PCI_SRIOV_PAGE, 4), 1);
    assert_int_equal(w->pf->guest_errors, errors + 5);
    set(w, CONTROL, 2, 0xffff);
    assert_int_equal(get(w, CONTROL, 2), ON | MEM | VR_PCI_SRIOV_ARI);
    assert_false(there(w, BUS, 1)); /* none of none */
    set(w, NUM, 2, 4);              /* too late */
    assert_int_equal(get(w, NUM, 2), 0);
    set(w, CONTROL, 2, 0);
    enable(w, 2);
    set(w, NUM, 2, 4);
    assert_int_equal(get(w, NUM, 2), 2);
    set(w, VR_PCI_SRIOV_PAGE, 4, 0x10);
    assert_int_equal(get(w, VR_PCI_SRIOV_PAGE, 4), 1);
    assert_false(there(w, BUS, 3));
    static const unsigned fixed[] = {0x04, 0x0a, 0x0c, 0x12, 0x14, 0x18, 0x1c, 0x3c};
    for (unsigned i = 0; i < VR_COUNT(fixed); i++) {
        uint32_t is = get(w, fixed[i], 2);
        set(w, fixed[i], 2, ~is);
        assert_int_equal(get(w, fixed[i], 2), is);
    }
}

static void save_all(struct world *w, struct vr_snap *snap)
{
    struct vr_error err = {0};
    vr_snap_init(snap);
    struct vr_dev *all[] = {w->port, w->pf, w->vf[0], w->vf[1], w->vf[2]};
    for (unsigned i = 0; i < VR_COUNT(all); i++) {
        vr_dev_quiesce(all[i]);
        if (vr_dev_save(all[i], snap, &err) < 0) {
            fail_msg("%s", err.msg);
        }
    }
}

static void load_all(struct world *w, struct vr_snap *snap)
{
    struct vr_error err = {0};
    struct vr_dev *all[] = {w->port, w->pf, w->vf[0], w->vf[1], w->vf[2]};
    for (unsigned i = 0; i < VR_COUNT(all); i++) {
        if (vr_dev_load(all[i], snap, &err) < 0) {
            fail_msg("%s: %s", all[i]->id, err.msg);
        }
    }
}

static void a_snapshot_has_them_as_they_were(void **state)
{
    struct world *w = *state, other = {0};
    struct vr_snap snap, before;
    save_all(w, &before);
    enable(w, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(pci_poke(&w->r, MEM32 + 0x100000 + i * 0x1000, 4, 100 + i));
        pci_cfg_set(&w->r, BUS, 1 + i, VR_PCI_COMMAND, 2, VR_PCI_CMD_MASTER);
    }
    save_all(w, &snap);
    world_make(&other, &pci_toy_class, TOY_PF, TOY_VF);
    enable(&other, 7); /* what is there does not matter */
    load_all(&other, &snap);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(there(&other, BUS, 1 + i), i < 3);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pci_peek(&other.r, MEM32 + 0x100000 + i * 0x1000, 4), 100 + i);
        assert_int_equal(pci_cfg(&other.r, BUS, 1 + i, VR_PCI_COMMAND, 2), VR_PCI_CMD_MASTER);
    }
    load_all(&other, &before); /* when there were none */
    assert_false(there(&other, BUS, 1));
    assert_int_equal(pci_peek(&other.r, MEM32 + 0x100000, 4), UINT64_MAX);
    world_end(&other);
    vr_snap_fini(&snap);
    vr_snap_fini(&before);
}

/* A PF's snapshot with @byte of its capability changed. */
static int load_damaged(struct world *w, unsigned reg, uint8_t val)
{
    struct vr_snap snap;
    struct vr_pci *pci = vr_pci_of(w->pf);
    uint8_t *at = &pci->config[w->cap + reg], was = *at;
    struct vr_error err = {0};
    vr_snap_init(&snap);
    *at = val;
    assert_int_equal(vr_dev_save(w->pf, &snap, &err), 0);
    *at = was;
    int r = vr_dev_load(w->pf, &snap, &err);
    assert_true(r == 0 || err.msg[0]);
    vr_snap_fini(&snap);
    return r;
}

static void damaged_snapshots_are_refused(void **state)
{
    struct world *w = *state;
    enable(w, 3);
    assert_int_equal(load_damaged(w, NUM, VFS + 1), -ERANGE);
    enable(w, 3);
    assert_int_equal(load_damaged(w, NUM + 1, 0x80), -ERANGE);
    assert_int_equal(load_damaged(w, VR_PCI_SRIOV_PAGE, 0), -ERANGE);
    assert_int_equal(load_damaged(w, VR_PCI_SRIOV_PAGE, 0x11), -ERANGE);
    assert_int_equal(load_damaged(w, VR_PCI_SRIOV_BAR + 9, 0x10), -ERANGE);
    assert_int_equal(load_damaged(w, VR_PCI_SRIOV_TOTAL, 64), -ERANGE);
    assert_int_equal(load_damaged(w, VR_PCI_SRIOV_OFFSET, 9), -ERANGE);
    assert_int_equal(load_damaged(w, NUM, VFS), 0);
}

static void who_belongs_to_whom_is_checked(void **state)
{
    struct world *w = *state;
    struct vr_error err = {0};
    struct vr_dev *more, *plain;
    assert_int_equal(vr_dev_create(&pci_toy_class, "more", TOY_VF, &w->r.rig.env, &more, &err), 0);
    assert_int_equal(vr_dev_create(&pci_toy_class, "plain", "", &w->r.rig.env, &plain, &err), 0);
    struct vr_pci *pf = vr_pci_of(w->pf);
    assert_int_equal(vr_pci_sriov_attach(pf, 3, vr_pci_of(more), &err), -EBUSY);
    assert_int_equal(vr_pci_sriov_attach(pf, VFS, vr_pci_of(more), &err), -EINVAL);
    assert_int_equal(vr_pci_sriov_attach(pf, 3, vr_pci_of(plain), &err), -EINVAL);
    assert_int_equal(vr_pci_sriov_attach(vr_pci_of(plain), 0, vr_pci_of(more), &err), -EINVAL);
    /* One that is missing does not answer. */
    vr_dev_destroy(w->vf[1]);
    enable(w, 3);
    assert_true(there(w, BUS, 1));
    assert_false(there(w, BUS, 2));
    assert_int_equal(vr_pci_sriov_attach(pf, 1, vr_pci_of(more), &err), 0);
    assert_true(there(w, BUS, 2));
    w->vf[1] = more;
    vr_dev_destroy(plain);
    /* Whoever is destroyed first. */
    vr_dev_destroy(w->pf);
    w->pf = NULL;
    assert_false(there(w, BUS, 1));
}

/* Everything written everywhere: all that can happen is that VFs come, go and move. */
static void noise_does_no_harm(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    uint64_t seed = UINT64_C(0x5eed1234abcd);
    memset(r->rig.ram->hva, 0x5a, 4096);
    for (unsigned round = 0; round < 30000; round++) {
        uint64_t x = rig_random(&seed);
        unsigned width = 1u << (x & 3) % 3, off = (unsigned)(x >> 8) % 0x200 & ~(width - 1);
        unsigned bus = x >> 32 & 7 ? BUS : 2, devfn = (unsigned)(x >> 40) % (round % 2 ? 1 : 16);
        uint32_t val = (uint32_t)(x >> 63 ? rig_random(&seed) : UINT32_MAX * (x >> 62 & 1));
        if (x >> 56 & 1) {
            off = w->cap + off % 0x40;
        }
        if (round % 512 == 0) {
            enable(w, 1 + (unsigned)(x >> 20) % VFS);
        }
        if (x >> 57 & 1) {
            pci_cfg_set(r, bus, devfn, off, width, val);
        } else {
            (void)pci_cfg(r, bus, devfn, off, width);
        }
        (void)pci_poke(r, MEM32 + 0x100000 + (x >> 16) % 0x10000 / 4 * 4, 4, val);
        const struct vr_pci_sriov *s = &((struct pci_toy *)w->pf)->sriov;
        assert_true(s->num <= s->total && get(w, VR_PCI_SRIOV_TOTAL, 2) == VFS);
    }
    for (unsigned i = 0; i < 4096; i++) {
        assert_int_equal(r->rig.ram->hva[i], 0x5a);
    }
    function_reset(w, 0);
    enable(w, 2);
    assert_true(there(w, BUS, 2));
}

/* --- Virtio devices --- */

static int rngs_init(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    world_make(w, &vr_virtio_rng_pci_class, "vfs=12", "sriov_pf=pf");
    *state = w;
    return 0;
}

static void virtio_pfs_offer_it_and_vfs_work(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    assert_int_equal(pci_cfg(r, BUS, 0, 0, 4), 0x10441af4);
    assert_int_equal(get(w, VR_PCI_SRIOV_DEVICE, 2), 0x1044);
    assert_true(vr_virtio_offered(vr_virtio_of(w->pf)) & VR_VIRTIO_F_SR_IOV);
    assert_false(vr_virtio_offered(vr_virtio_of(w->vf[0])) & VR_VIRTIO_F_SR_IOV);
    set(w, VR_PCI_SRIOV_BAR + 4, 4, (uint32_t)MEM32 + 0x100000);
    set(w, VR_PCI_SRIOV_BAR + 16, 4, (uint32_t)MEM64 + 0x200000);
    set(w, VR_PCI_SRIOV_BAR + 20, 4, MEM64 >> 32);
    set(w, NUM, 2, 3);
    set(w, CONTROL, 2, ON | MEM);
    assert_int_equal(pci_cfg(r, BUS, 2, 0, 4), 0xffffffff);
    uint64_t regs = MEM64 + 0x200000 + 0x4000; /* of the second */
    assert_true(pci_poke(r, regs + 0x14, 1, 3));
    assert_int_equal(vr_virtio_of(w->vf[0])->status, 0);
    assert_int_equal(vr_virtio_of(w->vf[1])->status, 3);
    pci_cfg_set(r, BUS, 2, VR_PCI_COMMAND, 2, VR_PCI_CMD_MASTER);
    struct vd d;
    vd_init(&d, &r->rig, w->vf[1]);
    pci_cfg_set(r, BUS, 2, VR_PCI_COMMAND, 2, VR_PCI_CMD_MASTER);
    vd_start(&d, 0, 0);
    struct vd_buf in = vd_in(&d, 64);
    memset(vd_hva(&d, in.gpa), 0, 64);
    assert_int_equal(vd_do(&d, 0, &in, 1), 64);
    unsigned zeroes = 0;
    for (unsigned i = 0; i < 64; i++) {
        zeroes += vd_hva(&d, in.gpa)[i] == 0;
    }
    assert_true(zeroes < 16);
    /* The PF's driver resets its device; VFs do not care. */
    assert_true(there(w, BUS, 2));
    vr_dev_write(w->pf, VR_VIRTIO_PCI_REGS, 0x14, 1, 0);
    assert_true(there(w, BUS, 2));
    assert_int_equal(vd_do(&d, 0, &in, 1), 64);
    set(w, CONTROL, 2, 0);
    assert_int_equal(vr_virtio_of(w->vf[1])->status, 0);
}

/* Requests in flight when the VF is taken away (THREATS 8). */
static void a_vf_goes_with_requests_in_flight(void **state)
{
    struct pci_rig r;
    struct mem_blk disk;
    struct vr_dev *pf, *vf;
    struct vr_error err = {0};
    (void)state;
    pci_rig_init(&r);
    assert_int_equal(vr_loop_create(&r.rig.env.loop, NULL), 0);
    mem_blk_init(&disk, 1 << 20, r.rig.env.loop);
    struct vr_pci_bus *bus = &vr_pci_host_root(r.host)->bus;
    pf = pci_rig_add(&r, &vr_virtio_blk_pci_class, "pf", "vfs=1", bus, 2 << 3);
    assert_int_equal(
        vr_dev_create(&vr_virtio_blk_pci_class, "vf", "sriov_pf=pf", &r.rig.env, &vf, &err), 0);
    assert_int_equal(vr_pci_sriov_attach(vr_pci_of(pf), 0, vr_pci_of(vf), &err), 0);
    vr_virtio_blk_attach(vf, &disk.blk);
    disk.hold = true;
    unsigned cap = pci_cap(&r, 0, 2 << 3, ID_SRIOV, true);
    pci_cfg_set(&r, 0, 2 << 3, cap + NUM, 2, 1);
    for (unsigned round = 0; round < 10; round++) {
        pci_cfg_set(&r, 0, 2 << 3, cap + CONTROL, 2, ON | MEM);
        struct vd d;
        vd_init(&d, &r.rig, vf);
        pci_cfg_set(&r, 0, (2 << 3) + 1, VR_PCI_COMMAND, 2, VR_PCI_CMD_MASTER);
        vd_start(&d, 0, 64);
        for (unsigned i = 0; i < 16; i++) {
            static const uint8_t header[16] = {0};
            struct vd_buf bufs[] = {vd_out(&d, header, 16), vd_in(&d, 512), vd_in(&d, 1)};
            memset(vd_hva(&d, bufs[1].gpa), 0x77, 512);
            vd_add(&d, 0, bufs, 3);
        }
        vd_kick(&d, 0);
        vr_loop_turn(r.rig.env.loop, 0);
        assert_int_equal(disk.held, 16);
        pci_cfg_set(&r, 0, 2 << 3, cap + CONTROL, 2, 0);
        mem_blk_release(&disk, 16);
        vr_loop_turn(r.rig.env.loop, 0);
        uint16_t head;
        uint32_t len;
        assert_false(vd_used(&d, 0, &head, &len));
    }
    vr_dev_quiesce(vf);
    vr_dev_destroy(vf);
    vr_dev_destroy(pf);
    mem_blk_fini(&disk);
    struct vr_loop *loop = r.rig.env.loop;
    pci_rig_fini(&r);
    vr_loop_destroy(loop);
}

#define TOY_TEST(fn) cmocka_unit_test_setup_teardown(fn, toys_init, world_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOY_TEST(the_capability_says_what_there_is),
        TOY_TEST(virtual_functions_appear_and_answer),
        TOY_TEST(each_has_messages_of_its_own),
        TOY_TEST(resets_reach_as_far_as_they_should),
        TOY_TEST(past_function_7_ports_have_to_forward),
        cmocka_unit_test_setup_teardown(routing_ids_go_on_behind_the_end_of_a_bus, far_toys_init,
                                        world_fini),
        TOY_TEST(nonsense_is_taken_back),
        TOY_TEST(a_snapshot_has_them_as_they_were),
        TOY_TEST(damaged_snapshots_are_refused),
        TOY_TEST(who_belongs_to_whom_is_checked),
        TOY_TEST(noise_does_no_harm),
        cmocka_unit_test_setup_teardown(virtio_pfs_offer_it_and_vfs_work, rngs_init, world_fini),
        cmocka_unit_test(a_vf_goes_with_requests_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

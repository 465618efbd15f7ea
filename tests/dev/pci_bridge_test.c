/*
 * Switches and bridges, up to five deep: a driver that gives out numbers and windows as operating
 * systems do, and one that writes nonsense (THREATS 18).
 *
 * Specifications: PCI-to-PCI Bridge Architecture 1.2 (9.1: which line a pin is on); PCI Express
 * Base 6.0, chapter 7.
 */
#include "pci_rig.h"

#include "base/bits.h"
#include "dev/pci/aer.h"
#include "dev/pci/bridge.h"
#include "dev/pci/caps.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { BAR0 = 0x10, BAR1 = 0x14, BAR2 = 0x18, BAR4 = 0x20 };
enum { PRIMARY = 0x18, IO = 0x1c, MEM = 0x20, PREF = 0x24, PREF_HIGH = 0x28, CONTROL = 0x3e };
enum { TOY_ID = 0x56781234, AER_ID = 1, EXPRESS_ID = 0x10, MSI_ID = 5 };
#define MEM32 UINT64_C(0x40000000)
#define MEM64 UINT64_C(0x400000000)

/* The tree: device numbers, and who is above whom. */
enum who { PORT, UP, DOWN, A, DOWN2, OUTER, B, INNER, C, PLAIN, D, COUNT };
static const struct {
    const char *id;
    const struct vr_dev_class *cls;
    int above; /* -1: the root bus */
    unsigned dev;
    unsigned type; /* in its PCI Express capability; NONE: it shows none */
} tree[COUNT] = {
    [PORT] = {"port", &vr_pci_root_port_class, -1, 3, 4},
    [UP] = {"up", &vr_pci_upstream_port_class, PORT, 0, 5},
    [DOWN] = {"down", &vr_pci_downstream_port_class, UP, 1, 6},
    [A] = {"a", &pci_toy_class, DOWN, 0, 0},
    [DOWN2] = {"down2", &vr_pci_downstream_port_class, UP, 2, 6},
    [OUTER] = {"outer", &vr_pci_bridge_class, DOWN2, 0, 7},
    [B] = {"b", &pci_toy_class, OUTER, 5, UINT32_MAX},
    [INNER] = {"inner", &vr_pci_bridge_class, OUTER, 10, UINT32_MAX},
    [C] = {"c", &pci_toy_class, INNER, 8, UINT32_MAX},
    [PLAIN] = {"plain", &vr_pci_bridge_class, -1, 6, UINT32_MAX},
    [D] = {"d", &pci_toy_class, PLAIN, 31, UINT32_MAX},
};
static const enum who toys[] = {A, B, C, D};

struct world {
    struct pci_rig r;
    struct vr_dev *dev[COUNT];
    unsigned bus[COUNT];                         /* the driver's number of the bus it is on */
    uint64_t mem[COUNT], io[COUNT], pref[COUNT]; /* a toy's windows */
    uint64_t next_mem, next_io, next_pref;
    unsigned next_bus;
};

static struct vr_pci_bus *bus_of(struct world *w, enum who i)
{
    return tree[i].above < 0 ? &vr_pci_host_root(w->r.host)->bus
                             : vr_pci_of(w->dev[tree[i].above])->host.below;
}

static int world_init(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    pci_rig_init(&w->r);
    for (enum who i = 0; i < COUNT; i++) {
        w->dev[i] =
            pci_rig_add(&w->r, tree[i].cls, tree[i].id, NULL, bus_of(w, i), tree[i].dev << 3);
    }
    for (enum who i = 0; i < COUNT; i++) {
        vr_dev_reset(w->dev[i]);
    }
    *state = w;
    return 0;
}

static int world_fini(void **state)
{
    struct world *w = *state;
    for (unsigned i = COUNT; i-- > 0;) {
        vr_dev_destroy(w->dev[i]);
    }
    pci_rig_fini(&w->r);
    free(w);
    return 0;
}

static uint32_t get(struct world *w, enum who i, unsigned off, unsigned width)
{
    return pci_cfg(&w->r, w->bus[i], tree[i].dev << 3, off, width);
}

static void set(struct world *w, enum who i, unsigned off, unsigned width, uint32_t val)
{
    pci_cfg_set(&w->r, w->bus[i], tree[i].dev << 3, off, width, val);
}

static unsigned cap(struct world *w, enum who i, unsigned id, bool extended)
{
    return pci_cap(&w->r, w->bus[i], tree[i].dev << 3, id, extended);
}

static struct pci_toy *toy(struct world *w, enum who i)
{
    return (struct pci_toy *)w->dev[i];
}

/* --- A driver that enumerates --- */

static void number_toy(struct world *w, enum who i)
{
    w->mem[i] = w->next_mem;
    w->next_mem += 0x10000;
    w->io[i] = w->next_io;
    w->next_io += 0x100;
    w->pref[i] = w->next_pref;
    w->next_pref += 0x10000;
    set(w, i, BAR0, 4, (uint32_t)w->mem[i]);
    set(w, i, BAR1, 4, (uint32_t)w->io[i]);
    set(w, i, BAR2, 4, (uint32_t)w->pref[i]);
    set(w, i, BAR2 + 4, 4, w->pref[i] >> 32);
    set(w, i, BAR4, 4, (uint32_t)w->mem[i] + 0x8000);
    set(w, i, BAR4 + 4, 4, 0);
    set(w, i, VR_PCI_COMMAND, 2, 7);
}

static void number_bridge(struct world *w, enum who i);

static void number_bus(struct world *w, int above, unsigned nr)
{
    for (enum who i = 0; i < COUNT; i++) {
        if (tree[i].above == above) {
            w->bus[i] = nr;
            if (get(w, i, VR_PCI_HEADER, 1) & 1) {
                number_bridge(w, i);
            } else {
                number_toy(w, i);
            }
        }
    }
}

static void number_bridge(struct world *w, enum who i)
{
    unsigned secondary = ++w->next_bus;
    uint64_t mem = w->next_mem = vr_align_up(w->next_mem, 0x100000);
    uint64_t io = w->next_io = vr_align_up(w->next_io, 0x1000);
    uint64_t pref = w->next_pref = vr_align_up(w->next_pref, 0x100000);
    set(w, i, PRIMARY, 4, 0xff0000 | secondary << 8 | w->bus[i]);
    number_bus(w, (int)i, secondary);
    set(w, i, VR_PCI_SUBORDINATE, 1, w->next_bus);
    w->next_mem = vr_align_up(w->next_mem + 1, 0x100000);
    w->next_io = vr_align_up(w->next_io + 1, 0x1000);
    w->next_pref = vr_align_up(w->next_pref + 1, 0x100000);
    set(w, i, MEM, 4, (uint32_t)(mem >> 16) | ((uint32_t)(w->next_mem - 1) & 0xfff00000));
    set(w, i, IO, 2, (uint32_t)(io >> 8) | ((uint32_t)(w->next_io - 1) & 0xf000));
    set(w, i, PREF, 4,
        ((uint32_t)pref & 0xfff00000) >> 16 | ((uint32_t)(w->next_pref - 1) & 0xfff00000));
    set(w, i, PREF_HIGH, 4, pref >> 32);
    set(w, i, PREF_HIGH + 4, 4, (w->next_pref - 1) >> 32);
    set(w, i, VR_PCI_COMMAND, 2, 7);
}

static void number_all(struct world *w)
{
    w->next_bus = 0;
    w->next_mem = MEM32;
    w->next_io = 0x1000;
    w->next_pref = MEM64;
    number_bus(w, -1, 0);
}

/* Writes to each of its windows, and whether each arrived. */
static unsigned reaches(struct world *w, enum who i)
{
    static uint32_t stamp;
    struct pci_toy *t = toy(w, i);
    struct pci_rig *r = &w->r;
    stamp++;
    unsigned hit = pci_poke(r, w->mem[i], 4, stamp) && t->reg == stamp;
    hit |= (unsigned)(pci_poke(r, PCI_IO + w->io[i], 4, stamp) && t->port_reg == stamp) << 1;
    hit |= (unsigned)(pci_poke(r, w->pref[i], 8, stamp) && t->big == stamp) << 2;
    return hit;
}
enum { MEM_HIT = 1, IO_HIT = 2, PREF_HIT = 4, ALL = 7 };

/* --- Tests --- */

static void each_kind_shows_what_it_is(void **state)
{
    struct world *w = *state;
    number_all(w);
    assert_int_equal(w->next_bus, 7);
    for (enum who i = 0; i < COUNT; i++) {
        unsigned exp = cap(w, i, EXPRESS_ID, false);
        assert_true(cap(w, i, 1, false) != 0);
        assert_int_equal(exp ? get(w, i, exp + 2, 2) >> 4 & 15 : UINT32_MAX, tree[i].type);
        assert_int_equal(get(w, i, VR_PCI_HEADER, 1) & 0x7f, tree[i].cls != &pci_toy_class);
        if (tree[i].type == UINT32_MAX && tree[i].above >= 0) {
            /* There are no extended registers, and none of the hidden ones either. */
            assert_int_equal(get(w, i, 0x100, 4), UINT32_MAX);
            set(w, i, 0x104, 4, UINT32_MAX);
            unsigned at = vr_pci_of(w->dev[i])->host.express_at;
            assert_int_equal(get(w, i, at, 4), 0);
            set(w, i, at + VR_PCI_EXP_DEVCTL, 2, 0x8000); /* nor a reset by them */
            assert_int_equal(get(w, i, VR_PCI_COMMAND, 2), 7);
        }
    }
    assert_int_equal(get(w, PLAIN, 0x100, 4), 0); /* on the root bus, where they exist */
    assert_true(cap(w, DOWN, AER_ID, true) && cap(w, UP, AER_ID, true) && cap(w, DOWN, 0x0d, true));
    assert_int_equal(cap(w, UP, 0x0d, true), 0);
    /* Nobody else is there. */
    assert_int_equal(pci_cfg(&w->r, w->bus[DOWN], 5 << 3, 0, 4), UINT32_MAX);
    assert_int_equal(pci_cfg(&w->r, w->bus[C], 0, 0, 4), UINT32_MAX);
    assert_int_equal(pci_cfg(&w->r, w->bus[A], 1 << 3, 0, 4), UINT32_MAX);
    assert_int_equal(pci_cfg(&w->r, 8, 0, 0, 4), UINT32_MAX);
}

static void windows_go_through_bridges_and_move(void **state)
{
    struct world *w = *state;
    static const enum who way[] = {PORT, UP, DOWN2, OUTER, INNER}; /* to C */
    number_all(w);
    for (unsigned i = 0; i < VR_COUNT(toys); i++) {
        assert_int_equal(reaches(w, toys[i]), ALL);
    }
    /* Each on the way can close each of its windows, all of memory, or go to sleep. */
    for (unsigned i = 0; i < VR_COUNT(way); i++) {
        uint32_t mem = get(w, way[i], MEM, 4), io = get(w, way[i], IO, 2);
        uint32_t pref = get(w, way[i], PREF_HIGH, 4);
        unsigned power = cap(w, way[i], 1, false);
        set(w, way[i], MEM, 4, 0x0000fff0);
        assert_int_equal(reaches(w, C), ALL - MEM_HIT);
        set(w, way[i], MEM, 4, mem);
        set(w, way[i], IO, 2, 0x00f0);
        assert_int_equal(reaches(w, C), ALL - IO_HIT);
        set(w, way[i], IO, 2, io);
        set(w, way[i], PREF_HIGH, 4, 0x1000);
        assert_int_equal(reaches(w, C), ALL - PREF_HIT);
        set(w, way[i], PREF_HIGH, 4, pref);
        set(w, way[i], VR_PCI_COMMAND, 2, VR_PCI_CMD_IO);
        assert_int_equal(reaches(w, C), IO_HIT);
        set(w, way[i], VR_PCI_COMMAND, 2, 7);
        set(w, way[i], power + VR_PCI_PM_CSR, 2, 3);
        assert_int_equal(reaches(w, C), 0);
        set(w, way[i], power + VR_PCI_PM_CSR, 2, 0);
        assert_int_equal(reaches(w, C), ALL);
        assert_int_equal(reaches(w, D), ALL);
    }
    /* The whole way moves by 256 MiB, from the root down, the device last. */
    for (unsigned i = 0; i < VR_COUNT(way); i++) {
        set(w, way[i], MEM, 4, get(w, way[i], MEM, 4) + 0x10001000);
    }
    assert_int_equal(reaches(w, C), ALL - MEM_HIT);
    set(w, C, BAR0, 4, (uint32_t)(w->mem[C] += 0x10000000));
    assert_int_equal(reaches(w, C), ALL);
    /* Other numbers of buses: who has been found keeps its windows. */
    set(w, PORT, PRIMARY, 4, 0x503000);
    assert_int_equal(pci_cfg(&w->r, 1, 0, 0, 4), UINT32_MAX);
    assert_int_equal(pci_cfg(&w->r, 0x30, 0, 0, 4), 0x8232104c);
    pci_cfg_set(&w->r, 0x30, 0, PRIMARY, 4, 0x503130);
    pci_cfg_set(&w->r, 0x31, 2 << 3, PRIMARY, 4, 0x503231);
    pci_cfg_set(&w->r, 0x32, 0, PRIMARY, 4, 0x504032);
    pci_cfg_set(&w->r, 0x40, 10 << 3, PRIMARY, 4, 0x505040);
    assert_int_equal(pci_cfg(&w->r, 0x50, 8 << 3, 0, 4), TOY_ID);
    assert_int_equal(reaches(w, C), ALL);
}

static void pins_are_turned_at_each_bridge(void **state)
{
    struct world *w = *state;
    static const unsigned line[COUNT] = {
        [A] = (0 + 1 + 0 + 3) % 4,
        [B] = (5 + 0 + 2 + 0 + 3) % 4,
        [C] = (8 + 10 + 0 + 2 + 0 + 3) % 4,
        [D] = (31 + 6) % 4,
    };
    number_all(w);
    for (unsigned i = 0; i < VR_COUNT(toys); i++) {
        assert_true(pci_poke(&w->r, w->mem[toys[i]] + 8, 4, 1));
        for (unsigned k = 0; k < VR_PCI_INTX; k++) {
            assert_int_equal(w->r.line[k].level, k == line[toys[i]]);
        }
        assert_true(pci_poke(&w->r, w->mem[toys[i]] + 8, 4, 0));
    }
}

static void messages_go_up_from_everywhere(void **state)
{
    struct world *w = *state;
    number_all(w);
    for (unsigned i = 0; i < VR_COUNT(toys); i++) {
        unsigned msi = cap(w, toys[i], MSI_ID, false);
        uint32_t last;
        set(w, toys[i], msi + 4, 4, PCI_MSI);
        set(w, toys[i], msi + 12, 2, 0x40 * i);
        set(w, toys[i], msi + 2, 2, 0x21);
        assert_true(pci_poke(&w->r, w->mem[toys[i]] + 12, 4, 3));
        assert_int_equal(pci_messages(&w->r, &last), i + 1);
        assert_int_equal(last, 0x40 * i + 3);
    }
}

static void check_fresh(struct world *w, enum who i, bool fresh)
{
    const struct vr_pci *pci = vr_pci_of(w->dev[i]);
    assert_int_equal(pci->config[VR_PCI_COMMAND], fresh ? 0 : 7);
    if (tree[i].cls == &pci_toy_class) {
        assert_true(toy(w, i)->reg == (fresh ? 0 : 0x77));
    } else {
        assert_int_equal(pci->config[VR_PCI_SECONDARY] == 0, fresh);
    }
}

static void a_bus_reset_reaches_all_that_is_behind(void **state)
{
    struct world *w = *state;
    static const struct {
        enum who bridge;
        unsigned fresh; /* a bit each */
    } tests[] = {
        {INNER, 1 << C},
        {OUTER, 1 << C | 1 << INNER | 1 << B},
        {DOWN, 1 << A},
        {UP, 1 << DOWN | 1 << A | 1 << DOWN2 | 1 << OUTER | 1 << B | 1 << INNER | 1 << C},
        {PORT,
         1 << UP | 1 << DOWN | 1 << A | 1 << DOWN2 | 1 << OUTER | 1 << B | 1 << INNER | 1 << C},
        {PLAIN, 1 << D},
    };
    for (unsigned t = 0; t < VR_COUNT(tests); t++) {
        number_all(w);
        for (unsigned i = 0; i < VR_COUNT(toys); i++) {
            assert_true(pci_poke(&w->r, w->mem[toys[i]], 4, 0x77));
        }
        set(w, tests[t].bridge, CONTROL, 2, 0x40);
        set(w, tests[t].bridge, CONTROL, 2, 0);
        for (enum who i = 0; i < COUNT; i++) {
            check_fresh(w, i, tests[t].fresh >> i & 1);
        }
    }
    number_all(w);
    assert_int_equal(reaches(w, C) & reaches(w, A), ALL); /* and all can be had again */
}

static void errors_go_up_to_the_root_port(void **state)
{
    struct world *w = *state;
    const struct vr_pci_error bad_tlp = {.correctable = true, .bit = 6};
    number_all(w);
    unsigned root = cap(w, PORT, AER_ID, true);
    static const enum who from[] = {A, UP, DOWN2};
    for (unsigned i = 0; i < VR_COUNT(from); i++) {
        unsigned exp = cap(w, from[i], EXPRESS_ID, false);
        set(w, from[i], exp + VR_PCI_EXP_DEVCTL, 2, 0x281f);
        vr_pci_report(w->dev[from[i]], &bad_tlp);
        assert_int_equal(get(w, PORT, root + VR_PCI_AER_ROOT_STATUS, 4), 1);
        assert_int_equal(get(w, PORT, root + VR_PCI_AER_SOURCE, 2),
                         w->bus[from[i]] << 8 | tree[from[i]].dev << 3);
        set(w, PORT, root + VR_PCI_AER_ROOT_STATUS, 4, 0x7f);
    }
    vr_pci_report(w->dev[B], &bad_tlp); /* conventional PCI has no such messages */
    assert_int_equal(get(w, PORT, root + VR_PCI_AER_ROOT_STATUS, 4), 0);
}

static void slots_of_a_switch_work(void **state)
{
    struct world *w = *state;
    struct vr_error err;
    number_all(w);
    unsigned exp = cap(w, DOWN, EXPRESS_ID, false), msi = cap(w, DOWN, MSI_ID, false);
    set(w, DOWN, msi + 4, 4, PCI_MSI);
    set(w, DOWN, msi + 2, 2, 1);
    set(w, DOWN, exp + VR_PCI_EXP_SLOTCTL, 2, 0x1139);
    set(w, DOWN, exp + VR_PCI_EXP_SLOTSTA, 2, 0x11f);
    unsigned before = pci_messages(&w->r, NULL);
    assert_ptr_equal(vr_pci_slot_remove(w->dev[DOWN]), vr_pci_of(w->dev[A]));
    assert_true(pci_messages(&w->r, NULL) > before);
    assert_int_equal(get(w, A, 0, 4), UINT32_MAX);
    assert_int_equal(reaches(w, C), ALL);
    assert_int_equal(vr_pci_slot_insert(w->dev[DOWN], vr_pci_of(w->dev[A]), &err), 0);
    assert_int_equal(get(w, A, 0, 4), TOY_ID);
    number_all(w);
    assert_int_equal(reaches(w, A), ALL);
    /* Power away from the switch: all of it is gone, and new when it comes back. */
    exp = cap(w, PORT, EXPRESS_ID, false);
    set(w, PORT, exp + VR_PCI_EXP_SLOTCTL, 2, 0x1739);
    assert_int_equal(reaches(w, A) | reaches(w, C), 0);
    assert_int_equal(get(w, UP, 0, 4) & get(w, C, 0, 4), UINT32_MAX);
    set(w, PORT, exp + VR_PCI_EXP_SLOTCTL, 2, 0x1139);
    number_all(w);
    assert_int_equal(reaches(w, A) & reaches(w, C), ALL);
}

static void a_snapshot_has_windows_and_pins_in_any_order(void **state)
{
    struct world *w = *state;
    struct vr_snap snap[COUNT];
    number_all(w);
    assert_true(pci_poke(&w->r, w->mem[C] + 8, 4, 1));
    for (enum who i = 0; i < COUNT; i++) {
        vr_snap_init(&snap[i]);
        assert_int_equal(vr_dev_save(w->dev[i], &snap[i], NULL), 0);
    }
    for (unsigned back = 0; back < 2; back++) {
        for (enum who i = 0; i < COUNT; i++) {
            vr_dev_reset(w->dev[i]);
        }
        assert_false(w->r.line[3].level);
        assert_int_equal(reaches(w, A) | reaches(w, C) | reaches(w, D), 0);
        for (unsigned i = 0; i < COUNT; i++) {
            unsigned k = back ? COUNT - 1 - i : i;
            snap[k].pos = 0;
            assert_int_equal(vr_dev_load(w->dev[k], &snap[k], NULL), 0);
        }
        assert_true(w->r.line[3].level);
        assert_int_equal(reaches(w, A) & reaches(w, C) & reaches(w, D), ALL);
    }
    for (enum who i = 0; i < COUNT; i++) {
        vr_snap_fini(&snap[i]);
    }
}

/* --- What cannot be --- */

static void refused(struct world *w, const struct vr_dev_class *cls, const char *opts, int above,
                    unsigned dev, int code, const char *words)
{
    struct vr_dev *x = NULL;
    struct vr_error err = {0};
    struct vr_pci_bus *bus =
        above < 0 ? &vr_pci_host_root(w->r.host)->bus : vr_pci_of(w->dev[above])->host.below;
    assert_int_equal(vr_dev_create(cls, "x", opts, &w->r.rig.env, &x, &err), 0);
    int r = vr_pci_plug(bus, dev << 3, vr_pci_of(x), &err);
    if (r != code || !strstr(err.msg, words)) {
        fail_msg("%d, '%s' and not %d, '%s'", r, err.msg, code, words);
    }
    vr_dev_destroy(x);
}

static void what_has_no_place_there_is_refused(void **state)
{
    struct world *w = *state;
    struct vr_dev *more[VR_PCI_BUSES];
    struct vr_error err;
    unsigned devfn, n = 0;
    struct vr_pci_bus *outer = vr_pci_of(w->dev[OUTER])->host.below;
    vr_pci_unplug(vr_pci_of(w->dev[A]));
    refused(w, &vr_pci_root_port_class, NULL, DOWN, 0, -EINVAL, "on the root bus");
    refused(w, &vr_pci_root_port_class, NULL, OUTER, 0, -EINVAL, "on the root bus");
    refused(w, &vr_pci_upstream_port_class, NULL, -1, 9, -EINVAL, "behind a root port");
    refused(w, &vr_pci_upstream_port_class, NULL, OUTER, 0, -EINVAL, "behind a root port");
    refused(w, &vr_pci_downstream_port_class, NULL, -1, 9, -EINVAL, "behind its upstream port");
    refused(w, &vr_pci_downstream_port_class, NULL, DOWN, 0, -EINVAL, "behind its upstream port");
    refused(w, &pci_toy_class, NULL, UP, 9, -EINVAL, "nothing else");
    refused(w, &vr_pci_bridge_class, NULL, UP, 9, -EINVAL, "nothing else");
    refused(w, &pci_toy_class, "vfs=2", OUTER, 0, -EINVAL, "no virtual functions");
    refused(w, &pci_toy_class, NULL, DOWN, 3, -EINVAL, "device 0 alone");
    refused(w, &pci_toy_class, NULL, OUTER, 5, -EBUSY, "is 'b' already");
    assert_int_equal(
        vr_pci_plug(vr_pci_of(w->dev[DOWN])->host.below, 0, vr_pci_of(w->dev[A]), &err), 0);
    /* Places and buses run out. */
    assert_int_equal(vr_pci_bus_place(vr_pci_of(w->dev[DOWN])->host.below, 0, &devfn, &err),
                     -ENOSPC);
    assert_non_null(strstr(err.msg, "all 1 places of the PCI bus behind down"));
    while (vr_pci_bus_place(outer, 0, &devfn, &err) == 0) {
        more[n++] = pci_rig_add(&w->r, &vr_pci_bridge_class, "more", NULL, outer, devfn);
    }
    assert_int_equal(n, 30);
    assert_non_null(strstr(err.msg, "all 32 places of the PCI bus behind outer"));
    struct vr_pci_bus *last = vr_pci_of(more[0])->host.below;
    for (unsigned i = 0; n < VR_PCI_BUSES - 1 - 7; i++) { /* the root's, and those of the tree */
        more[n++] = pci_rig_add(&w->r, &vr_pci_bridge_class, "more", NULL, last, i << 3);
    }
    refused(w, &vr_pci_bridge_class, NULL, -1, 9, -ENOSPC, "all 64 PCI buses");
    while (n) {
        vr_dev_destroy(more[--n]);
    }
    number_all(w);
    assert_int_equal(reaches(w, C), ALL);
}

/* THREATS 18: numbers of buses that overlap, run backwards, or lead round. Whoever answers is one
 * of ours, and looking has an end. */
static void row_18_bus_numbers_that_make_no_sense(void **state)
{
    struct world *w = *state;
    static const enum who bridges[] = {PORT, UP, DOWN, DOWN2, OUTER, INNER, PLAIN};
    static const uint8_t odd[] = {0, 1, 2, 3, 0x7f, 0xfe, 0xff};
    uint64_t seed = 7;
    for (unsigned round = 0; round < 300; round++) {
        number_all(w);
        for (unsigned k = 0; k < 4; k++) {
            enum who b = bridges[rig_random(&seed) % VR_COUNT(bridges)];
            uint32_t x = (uint32_t)rig_random(&seed);
            set(w, b, PRIMARY, 4,
                (uint32_t)(odd[(x & 0xff) % 7] | odd[(x >> 8 & 0xff) % 7] << 8 |
                           odd[(x >> 16 & 0xff) % 7] << 16));
        }
        unsigned found = 0;
        for (unsigned bus = 0; bus < 256; bus += bus < 8 || bus > 0xf8 ? 1 : 16) {
            for (unsigned dev = 0; dev < 32; dev++) {
                uint32_t id = pci_cfg(&w->r, bus, dev << 3, 0, 4);
                found += id == TOY_ID;
                assert_true(id == UINT32_MAX || id == TOY_ID || (id & 0xffff) == 0x1b36 ||
                            (id & 0xffff) == 0x104c);
                pci_cfg_set(&w->r, bus, dev << 3, 0x0c, 1, 0x10);
            }
        }
        assert_true(found <= VR_COUNT(toys)); /* nobody answers twice */
    }
    /* One by one: its own bus, the one above, backwards, and two with the same. */
    number_all(w);
    set(w, INNER, PRIMARY, 4, w->bus[INNER] << 16 | w->bus[INNER] << 8 | w->bus[INNER]);
    assert_int_equal(pci_cfg(&w->r, w->bus[INNER], tree[C].dev << 3, 0, 4), UINT32_MAX);
    assert_int_equal(get(w, C, 0, 4), UINT32_MAX);
    number_all(w);
    set(w, INNER, PRIMARY, 4, 0xff0000);
    assert_int_equal(get(w, C, 0, 4), UINT32_MAX);
    number_all(w);
    set(w, OUTER, VR_PCI_SUBORDINATE, 1, w->bus[OUTER]);
    assert_int_equal(get(w, B, 0, 4), UINT32_MAX);
    number_all(w);
    set(w, DOWN2, PRIMARY, 4, get(w, DOWN, PRIMARY, 4));
    assert_int_equal(get(w, A, 0, 4), TOY_ID);
    number_all(w);
    assert_int_equal(reaches(w, C), ALL);
}

/* THREATS 18: windows over RAM, over each other, of all and of nothing. */
static void row_18_windows_that_make_no_sense(void **state)
{
    struct world *w = *state;
    uint64_t seed = 11;
    number_all(w);
    assert_true(pci_poke(&w->r, RIG_RAM_GPA, 8, 0x5aa5));
    for (unsigned round = 0; round < 3000; round++) {
        enum who i = (enum who)(rig_random(&seed) % COUNT);
        uint32_t x = (uint32_t)rig_random(&seed);
        static const uint32_t odd[] = {0,          UINT32_MAX, 0xfff00000,
                                       0x80008000, 0x40004000, 0x0000fff0};
        unsigned off = BAR0 + (x & 0x1c);
        if (round % 64 == 0) {
            number_all(w);
        }
        set(w, i, off == PRIMARY ? MEM : off, 4,
            x & 0x100 ? odd[(x >> 9) % VR_COUNT(odd)] : (uint32_t)rig_random(&seed));
        set(w, i, VR_PCI_COMMAND, 2, 7);
        (void)pci_peek(&w->r, MEM32 + (x & 0x3fffffff), 4);
        assert_int_equal(pci_peek(&w->r, RIG_RAM_GPA, 8), 0x5aa5);
    }
    for (enum who i = 0; i < COUNT; i++) {
        for (unsigned bar = 0; bar < VR_PCI_BARS; bar++) {
            const struct vr_pci_host *h = &vr_pci_of(w->dev[i])->host;
            assert_true(!h->bar_mapped[bar] || h->bar_gpa[bar] < RIG_RAM_GPA ||
                        h->bar_gpa[bar] >= MEM64);
        }
    }
    number_all(w);
    for (unsigned i = 0; i < VR_COUNT(toys); i++) {
        assert_int_equal(reaches(w, toys[i]), ALL);
    }
    assert_int_equal(pci_messages(&w->r, NULL), 0);
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_init, world_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(each_kind_shows_what_it_is),
        WORLD_TEST(windows_go_through_bridges_and_move),
        WORLD_TEST(pins_are_turned_at_each_bridge),
        WORLD_TEST(messages_go_up_from_everywhere),
        WORLD_TEST(a_bus_reset_reaches_all_that_is_behind),
        WORLD_TEST(errors_go_up_to_the_root_port),
        WORLD_TEST(slots_of_a_switch_work),
        WORLD_TEST(a_snapshot_has_windows_and_pins_in_any_order),
        WORLD_TEST(what_has_no_place_there_is_refused),
        WORLD_TEST(row_18_bus_numbers_that_make_no_sense),
        WORLD_TEST(row_18_windows_that_make_no_sense),
    };
    return cmocka_run_group_tests_name("pci_bridge", tests, NULL, NULL);
}

/* PCI Express: configuration space, base addresses that move, bridges, interrupts, resets, and a
 * guest that writes whatever it likes (THREATS 18). */
#include "pci_rig.h"

#include "base/bits.h"
#include "dev/pci/aer.h"
#include "dev/pci/caps.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLOT1 = 1 << 3, SLOT2 = 2 << 3, SLOT3 = 3 << 3 };
enum { BAR0 = 0x10, BAR1 = 0x14, BAR2 = 0x18, BAR4 = 0x20 };
#define MEM32 UINT64_C(0x40000000)
#define MEM64 UINT64_C(0x400000000)

struct world {
    struct pci_rig r;
    struct vr_dev *port, *a, *b; /* a in slot 2 of the root bus, b behind the port in slot 1 */
};

static int world_init(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    pci_rig_init(&w->r);
    struct vr_pci_bus *bus = &vr_pci_host_root(w->r.host)->bus;
    w->port = pci_rig_add(&w->r, &vr_pci_root_port_class, "port", "slot=7", bus, SLOT1);
    w->a = pci_rig_add(&w->r, &pci_toy_class, "a", NULL, bus, SLOT2);
    w->b = pci_rig_add(&w->r, &pci_toy_class, "b", NULL, vr_pci_of(w->port)->host.below, 0);
    vr_dev_reset(w->port); /* as a machine that starts: who is in the slot has power */
    *state = w;
    return 0;
}

static int world_fini(void **state)
{
    struct world *w = *state;
    vr_dev_destroy(w->b); /* NULL is fine */
    vr_dev_destroy(w->a);
    vr_dev_destroy(w->port);
    pci_rig_fini(&w->r);
    free(w);
    return 0;
}

/* As firmware does: bus 1 behind the port, windows of 1 MiB of memory, 64-bit memory, 4 KiB of
 * ports. */
static void open_port(struct world *w)
{
    pci_cfg_set(&w->r, 0, SLOT1, 0x18, 4, 0x00010100);
    pci_cfg_set(&w->r, 0, SLOT1, 0x1c, 2, 0x1010);
    pci_cfg_set(&w->r, 0, SLOT1, 0x20, 4, 0x40104010);
    pci_cfg_set(&w->r, 0, SLOT1, 0x24, 4, 0x00100010);
    pci_cfg_set(&w->r, 0, SLOT1, 0x28, 4, 4);
    pci_cfg_set(&w->r, 0, SLOT1, 0x2c, 4, 4);
    pci_cfg_set(&w->r, 0, SLOT1, VR_PCI_COMMAND, 2, 7);
}

static void finds_who_is_there_and_nobody_else(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    assert_int_equal(pci_cfg(r, 0, 0, 0, 4), 0x00081b36);
    assert_int_equal(pci_cfg(r, 0, SLOT1, 0, 4), 0x000c1b36);
    assert_int_equal(pci_cfg(r, 0, SLOT1, VR_PCI_HEADER, 1), 1);
    assert_int_equal(pci_cfg(r, 0, SLOT2, 0, 4), 0x56781234);
    assert_int_equal(pci_cfg(r, 0, SLOT2, VR_PCI_DEVICE, 2), 0x5678);
    assert_int_equal(pci_cfg(r, 0, SLOT2, VR_PCI_DEVICE + 1, 1), 0x56);
    assert_int_equal(pci_cfg(r, 0, SLOT2, 8, 4), 0xff010203);
    assert_int_equal(pci_cfg(r, 0, SLOT2, 0x2c, 4), 0xdef09abc);
    assert_int_equal(pci_cfg(r, 0, SLOT3, 0, 4), UINT32_MAX);
    assert_int_equal(pci_cfg(r, 0, SLOT2 + 1, 0, 4), UINT32_MAX);
    assert_int_equal(pci_cfg(r, 1, 0, 0, 4), UINT32_MAX); /* no bus has number 1 yet */
    assert_int_equal(pci_cfg(r, 255, 255, 0xffc, 4), UINT32_MAX);
    pci_cfg_set(r, 9, 0, 4, 4, UINT32_MAX);
    open_port(w);
    assert_int_equal(pci_cfg(r, 1, 0, 0, 4), 0x56781234);
    assert_int_equal(pci_cfg(r, 1, SLOT1, 0, 4), UINT32_MAX);
    assert_int_equal(pci_cfg(r, 2, 0, 0, 4), UINT32_MAX);
    pci_cfg_set(r, 0, SLOT1, 0x18, 4, 0x00090500); /* and now it is number 5 */
    assert_int_equal(pci_cfg(r, 1, 0, 0, 4), UINT32_MAX);
    assert_int_equal(pci_cfg(r, 5, 0, 0, 4), 0x56781234);
    assert_int_equal(pci_cfg(r, 6, 0, 0, 4), UINT32_MAX);
    assert_int_equal(w->a->guest_errors + w->r.host->guest_errors, 0);
    (void)pci_peek(r, PCI_ECAM + (SLOT2 << 12), 8);
    (void)pci_peek(r, PCI_ECAM + (SLOT2 << 12) + 0xffe, 4);
    assert_false(pci_poke(r, PCI_ECAM + VR_PCI_ECAM_LEN - 2, 4, 0));
    assert_int_equal(w->r.host->guest_errors, 2);
}

static void lists_end_and_hold_what_they_should(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    static const unsigned ids[] = {0x01, 0x10, 0x05, 0x11};
    for (unsigned i = 0; i < VR_COUNT(ids); i++) {
        assert_true(pci_cap(r, 0, SLOT2, ids[i], false) >= 0x40);
    }
    assert_int_equal(pci_cap(r, 0, SLOT2, 0x09, false), 0);
    assert_true(pci_cap(r, 0, SLOT2, 1, true) == 0x100);
    assert_int_equal(pci_cap(r, 0, SLOT1, 0x0d, true), 0x138);
    assert_int_equal(pci_cap(r, 0, SLOT1, 0x11, true), 0);
    assert_int_equal(pci_cfg(r, 0, SLOT2, 0x200, 4), 0);
    assert_int_equal(pci_cfg(r, 0, SLOT2, 0xffc, 4), 0);
    /* On the root bus it is integrated and has no link; behind the port it has one. */
    unsigned exp = pci_cap(r, 0, SLOT2, 0x10, false);
    open_port(w);
    assert_int_equal(pci_cfg(r, 0, SLOT2, exp + 2, 2), 0x92);
    assert_int_equal(pci_cfg(r, 0, SLOT2, exp + VR_PCI_EXP_LINKSTA, 2), 0);
    assert_int_equal(pci_cfg(r, 1, 0, exp + 2, 2), 0x02);
    assert_int_equal(pci_cfg(r, 1, 0, exp + VR_PCI_EXP_LINKSTA, 2), 0x11);
}

static void base_addresses_are_sized_and_moved(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    static const struct {
        unsigned off;
        uint32_t mask, low;
    } bars[] = {{BAR0, 0xfffff000, 0},     {BAR1, 0xffffff00, 1}, {BAR2, 0xffff0000, 0xc},
                {BAR2 + 4, UINT32_MAX, 0}, {BAR4, 0xfffff000, 4}, {BAR4 + 4, UINT32_MAX, 0}};
    for (unsigned i = 0; i < VR_COUNT(bars); i++) {
        assert_int_equal(pci_cfg(r, 0, SLOT2, bars[i].off, 4), bars[i].low);
        pci_cfg_set(r, 0, SLOT2, bars[i].off, 4, UINT32_MAX);
        assert_int_equal(pci_cfg(r, 0, SLOT2, bars[i].off, 4), bars[i].mask | bars[i].low);
    }
    pci_cfg_set(r, 0, SLOT2, BAR0, 4, MEM32 + 0x1000);
    pci_cfg_set(r, 0, SLOT2, BAR1, 4, 0x1000);
    pci_cfg_set(r, 0, SLOT2, BAR2, 4, 0x20000);
    pci_cfg_set(r, 0, SLOT2, BAR2 + 4, 4, MEM64 >> 32);
    assert_int_equal(pci_peek(r, MEM32 + 0x1000, 4), UINT64_MAX); /* not decoded yet */
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM);
    assert_true(pci_poke(r, MEM32 + 0x1000, 4, 0x11223344));
    assert_int_equal(((struct pci_toy *)w->a)->reg, 0x11223344);
    assert_true(pci_poke(r, MEM64 + 0x20000, 8, 0x1122334455667788));
    assert_int_equal(pci_peek(r, MEM64 + 0x20004, 4), 0x11223344);
    assert_false(pci_poke(r, PCI_IO + 0x1000, 4, 5)); /* ports are not decoded yet */
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM | VR_PCI_CMD_IO);
    assert_true(pci_poke(r, PCI_IO + 0x1000, 4, 5));
    assert_int_equal(((struct pci_toy *)w->a)->port_reg, 5);
    for (unsigned i = 0; i < 50; i++) { /* while it runs */
        uint64_t to = MEM32 + (uint64_t)i * 0x100000;
        pci_cfg_set(r, 0, SLOT2, BAR0, 4, (uint32_t)to);
        assert_int_equal(pci_peek(r, to, 4), 0x11223344);
        assert_int_equal(pci_peek(r, MEM32 + 0x1000, 4), UINT64_MAX);
    }
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, 0);
    assert_int_equal(pci_peek(r, MEM32 + 49 * 0x100000, 4), UINT64_MAX);
    assert_false(pci_poke(r, MEM64 + 0x20000, 8, 0));
}

/* THREATS 18: over RAM, over the interrupt controller, over the configuration space, over another
 * function, half outside, at the end of memory. */
static void windows_in_bad_places_do_no_harm(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    static const uint64_t bad[] = {
        RIG_RAM_GPA,     RIG_RAM_GPA + 0x10000,
        PCI_MSI,         PCI_ECAM,
        PCI_IO,          0,
        0xffff0000,      0xfffffffffffe0000,
        MEM32 - 0x10000, MEM64 - 0x10000,
        MEM64 + MEM64,   UINT64_C(0x80000000000000),
    };
    assert_true(pci_poke(r, RIG_RAM_GPA, 8, 0x1234));
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, 7);
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        pci_cfg_set(r, 0, SLOT2, BAR0, 4, (uint32_t)bad[i]);
        pci_cfg_set(r, 0, SLOT2, BAR2, 4, (uint32_t)bad[i]);
        pci_cfg_set(r, 0, SLOT2, BAR2 + 4, 4, bad[i] >> 32);
        assert_int_equal(pci_peek(r, RIG_RAM_GPA, 8), 0x1234);
        assert_int_equal(pci_cfg(r, 0, SLOT2, 0, 4), 0x56781234);
        assert_int_equal(vr_pci_of(w->a)->host.bar_mapped[2], false);
    }
    assert_int_equal(pci_messages(r, NULL), 0);
    assert_int_equal(((struct pci_toy *)w->a)->big, 0);
    /* Two functions, and two windows of one, on one place: one of them answers. */
    struct vr_dev *c =
        pci_rig_add(r, &pci_toy_class, "c", NULL, &vr_pci_host_root(r->host)->bus, SLOT3);
    pci_cfg_set(r, 0, SLOT3, VR_PCI_COMMAND, 2, 7);
    pci_cfg_set(r, 0, SLOT2, BAR0, 4, MEM32);
    pci_cfg_set(r, 0, SLOT3, BAR0, 4, MEM32);
    pci_cfg_set(r, 0, SLOT2, BAR2, 4, MEM32);
    pci_cfg_set(r, 0, SLOT2, BAR2 + 4, 4, 0);
    assert_true(pci_poke(r, MEM32, 4, 0x77));
    unsigned hits = (((struct pci_toy *)w->a)->reg == 0x77) + (((struct pci_toy *)c)->reg == 0x77) +
                    (((struct pci_toy *)w->a)->big == 0x77);
    assert_int_equal(hits, 1);
    /* When one goes, the other is there. */
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, 0);
    assert_true(pci_poke(r, MEM32, 4, 0x99));
    assert_int_equal(((struct pci_toy *)c)->reg, 0x99);
    vr_dev_destroy(c);
    assert_false(pci_poke(r, MEM32, 4, 0));
}

static void bridges_let_through_what_is_in_their_windows(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    struct pci_toy *b = (struct pci_toy *)w->b;
    open_port(w);
    pci_cfg_set(r, 1, 0, VR_PCI_COMMAND, 2, 3);
    pci_cfg_set(r, 1, 0, BAR0, 4, MEM32 + 0x100000);
    pci_cfg_set(r, 1, 0, BAR1, 4, 0x1000);
    pci_cfg_set(r, 1, 0, BAR2, 4, 0x00100000);
    pci_cfg_set(r, 1, 0, BAR2 + 4, 4, 4);
    assert_true(pci_poke(r, MEM32 + 0x100000, 4, 1));
    assert_true(pci_poke(r, PCI_IO + 0x1000, 4, 2));
    assert_true(pci_poke(r, MEM64 + 0x100000, 8, 3));
    assert_true(b->reg == 1 && b->port_reg == 2 && b->big == 3);
    pci_cfg_set(r, 1, 0, BAR0, 4, MEM32 + 0x200000); /* out of the window */
    assert_false(pci_poke(r, MEM32 + 0x200000, 4, 1));
    pci_cfg_set(r, 0, SLOT1, 0x22, 2, 0x4020); /* which grows */
    assert_true(pci_poke(r, MEM32 + 0x200000, 4, 4));
    pci_cfg_set(r, 0, SLOT1, 0x20, 4, 0x40104020); /* and closes: base above limit */
    assert_false(pci_poke(r, MEM32 + 0x200000, 4, 1));
    assert_true(pci_poke(r, MEM64 + 0x100000, 8, 5));
    pci_cfg_set(r, 0, SLOT1, VR_PCI_COMMAND, 2, VR_PCI_CMD_IO); /* the port decodes no memory */
    assert_false(pci_poke(r, MEM64 + 0x100000, 8, 1));
    assert_true(pci_poke(r, PCI_IO + 0x1000, 4, 6));
    pci_cfg_set(r, 0, SLOT1, VR_PCI_COMMAND, 2, 0);
    assert_false(pci_poke(r, PCI_IO + 0x1000, 4, 1));
    assert_true(b->reg == 4 && b->port_reg == 6 && b->big == 5);
}

static void pins_are_swizzled_and_shared(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    open_port(w);
    pci_cfg_set(r, 0, SLOT2, BAR0, 4, MEM32);
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM);
    pci_cfg_set(r, 1, 0, BAR0, 4, MEM32 + 0x100000);
    pci_cfg_set(r, 1, 0, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM);
    assert_true(pci_poke(r, MEM32 + 8, 4, 1)); /* slot 2: line 2 */
    assert_true(r->line[2].level && !r->line[1].level);
    assert_int_equal(pci_cfg(r, 0, SLOT2, VR_PCI_STATUS, 2) & 8, 8);
    assert_true(pci_poke(r, MEM32 + 0x100008, 4, 1)); /* slot 0 behind slot 1: line 1 */
    assert_true(r->line[1].level);
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM | VR_PCI_CMD_NO_INTX);
    assert_false(r->line[2].level);
    assert_int_equal(pci_cfg(r, 0, SLOT2, VR_PCI_STATUS, 2) & 8, 8);
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM);
    assert_true(r->line[2].level);
    /* A second function on line 2: it stays up until both are down. */
    struct vr_dev *c =
        pci_rig_add(r, &pci_toy_class, "c", NULL, &vr_pci_host_root(r->host)->bus, 6 << 3);
    pci_cfg_set(r, 0, 6 << 3, BAR0, 4, MEM32 + 0x4000);
    pci_cfg_set(r, 0, 6 << 3, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM);
    assert_true(pci_poke(r, MEM32 + 0x4008, 4, 1));
    assert_true(pci_poke(r, MEM32 + 8, 4, 0));
    assert_true(r->line[2].level);
    vr_dev_destroy(c); /* taken away with its pin up */
    assert_false(r->line[2].level);
    vr_dev_reset(w->b);
    assert_false(r->line[1].level);
    assert_int_equal(r->line[0].rises + r->line[3].rises, 0);
}

static void msi_sends_masks_and_remembers(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    unsigned msi = pci_cap(r, 0, SLOT2, 0x05, false);
    uint32_t last;
    pci_cfg_set(r, 0, SLOT2, BAR0, 4, MEM32);
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, 6);
    pci_cfg_set(r, 0, SLOT2, msi + 4, 4, PCI_MSI + 0x10);
    pci_cfg_set(r, 0, SLOT2, msi + 12, 2, 0x40);
    pci_cfg_set(r, 0, SLOT2, msi + 2, 2, 0x71); /* asks for 128: gets 4 */
    assert_int_equal(pci_cfg(r, 0, SLOT2, msi + 2, 2), 0x1a5);
    assert_true(pci_poke(r, MEM32 + 12, 4, 3));
    assert_int_equal(pci_messages(r, &last), 1);
    assert_int_equal(last, 0x43);
    assert_true(pci_poke(r, MEM32 + 8, 4, 1)); /* no pin while messages are on */
    assert_false(r->line[2].level);
    pci_cfg_set(r, 0, SLOT2, msi + 16, 4, 0x4);
    assert_true(pci_poke(r, MEM32 + 12, 4, 2));
    assert_true(pci_poke(r, MEM32 + 12, 4, 2));
    assert_int_equal(pci_messages(r, NULL), 1);
    assert_int_equal(pci_cfg(r, 0, SLOT2, msi + 20, 4), 4);
    pci_cfg_set(r, 0, SLOT2, msi + 16, 4, 0);
    assert_int_equal(pci_messages(r, &last), 2);
    assert_int_equal(last, 0x42);
    assert_int_equal(pci_cfg(r, 0, SLOT2, msi + 20, 4), 0);
    pci_cfg_set(r, 0, SLOT2, msi + 2, 2, 0); /* off: the pin is seen again */
    assert_true(r->line[2].level);
}

static void msix_sends_masks_and_remembers(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    unsigned msix = pci_cap(r, 0, SLOT2, 0x11, false);
    uint64_t table = MEM32 + 0x8000;
    uint32_t last;
    assert_int_equal(pci_cfg(r, 0, SLOT2, msix + 2, 2), 7);
    assert_int_equal(pci_cfg(r, 0, SLOT2, msix + 4, 4), 4);
    assert_int_equal(pci_cfg(r, 0, SLOT2, msix + 8, 4), 0x804);
    pci_cfg_set(r, 0, SLOT2, BAR0, 4, MEM32);
    pci_cfg_set(r, 0, SLOT2, BAR4, 4, (uint32_t)table);
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, 6);
    assert_int_equal(pci_peek(r, table + 7 * 16 + 12, 4), 1); /* masked at first */
    for (unsigned i = 0; i < 8; i++) {
        assert_true(pci_poke(r, table + i * 16, 8, PCI_MSI + i * 4));
        assert_true(pci_poke(r, table + i * 16 + 8, 4, 100 + i));
        assert_int_equal(pci_peek(r, table + i * 16, 8), PCI_MSI + i * 4);
    }
    assert_true(pci_poke(r, MEM32 + 12, 4, 5)); /* not enabled: nothing */
    pci_cfg_set(r, 0, SLOT2, msix + 2, 2, 0x8000);
    assert_int_equal(pci_messages(r, NULL), 0);
    assert_true(pci_poke(r, MEM32 + 12, 4, 5)); /* masked: remembered */
    assert_int_equal(pci_peek(r, table + 0x800, 4), 0x20);
    assert_int_equal(pci_peek(r, table + 0x800, 8), 0x20);
    assert_true(pci_poke(r, table + 5 * 16 + 12, 4, 0));
    assert_int_equal(pci_messages(r, &last), 1);
    assert_int_equal(last, 105);
    pci_cfg_set(r, 0, SLOT2, msix + 2, 2, 0xc000); /* all masked */
    assert_true(pci_poke(r, MEM32 + 12, 4, 5));
    assert_int_equal(pci_messages(r, NULL), 1);
    pci_cfg_set(r, 0, SLOT2, msix + 2, 2, 0x8000);
    assert_int_equal(pci_messages(r, NULL), 2);
    assert_int_equal(pci_peek(r, table + 0x800, 4), 0);
    assert_true(pci_poke(r, MEM32 + 12, 4, 8)); /* there is no ninth */
    assert_int_equal(pci_messages(r, NULL), 2);
    uint64_t errors = w->a->guest_errors;
    assert_true(pci_poke(r, table + 8 * 16, 4, PCI_MSI)); /* nor an entry for it */
    assert_true(pci_poke(r, table + 0x800, 4, 1));
    assert_int_equal(w->a->guest_errors, errors + 2);
    /* Not a master, asleep, or an address where nobody takes messages: none comes, all is counted.
     */
    struct pci_toy *a = (struct pci_toy *)w->a;
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, 2);
    assert_true(pci_poke(r, MEM32 + 12, 4, 5));
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, 6);
    static const uint64_t bad[] = {PCI_ECAM, MEM32, 0, 0xfffffffffffffffc};
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        assert_true(pci_poke(r, table + 5 * 16, 8, bad[i]));
        assert_true(pci_poke(r, MEM32 + 12, 4, 5));
    }
    assert_int_equal(pci_messages(r, NULL), 2);
    assert_int_equal(a->msix.host.dropped, 5);
}

static void sleeping_functions_do_not_answer(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    unsigned power = pci_cap(r, 0, SLOT2, 0x01, false);
    pci_cfg_set(r, 0, SLOT2, BAR0, 4, MEM32);
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, 6);
    assert_true(pci_poke(r, MEM32, 4, 0x55));
    pci_cfg_set(r, 0, SLOT2, power + 4, 2, 3);
    assert_false(pci_poke(r, MEM32, 4, 0));
    pci_cfg_set(r, 0, SLOT2, power + 4, 2, 0);
    assert_int_equal(pci_peek(r, MEM32, 4), 0x55); /* nothing was lost */
}

static void resets_of_the_function_and_of_the_bus(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    unsigned exp = pci_cap(r, 0, SLOT2, 0x10, false);
    pci_cfg_set(r, 0, SLOT2, BAR0, 4, MEM32);
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, 6);
    assert_true(pci_poke(r, MEM32, 4, 0x55));
    assert_true(pci_poke(r, MEM32 + 8, 4, 1));
    assert_true(pci_cfg(r, 0, SLOT2, exp + 4, 4) & 1 << 28);
    pci_cfg_set(r, 0, SLOT2, exp + 8, 2, 0x8000);
    assert_int_equal(pci_cfg(r, 0, SLOT2, exp + 8, 2), 0x2810);
    assert_int_equal(pci_cfg(r, 0, SLOT2, VR_PCI_COMMAND, 2), 0);
    assert_int_equal(pci_cfg(r, 0, SLOT2, BAR0, 4), 0);
    assert_false(r->line[2].level);
    assert_false(pci_poke(r, MEM32, 4, 0));
    assert_int_equal(((struct pci_toy *)w->a)->reg, 0);

    open_port(w);
    pci_cfg_set(r, 1, 0, VR_PCI_COMMAND, 2, 6);
    pci_cfg_set(r, 1, 0, BAR0, 4, MEM32 + 0x100000);
    assert_true(pci_poke(r, MEM32 + 0x100000, 4, 0x66));
    pci_cfg_set(r, 0, SLOT1, 0x3e, 2, 0x40);
    pci_cfg_set(r, 0, SLOT1, 0x3e, 2, 0);
    assert_int_equal(pci_cfg(r, 1, 0, 0, 4), 0x56781234);
    assert_int_equal(pci_cfg(r, 1, 0, BAR0, 4), 0);
    assert_int_equal(((struct pci_toy *)w->b)->reg, 0);
}

static void a_snapshot_brings_windows_and_pins_back(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    struct vr_dev *const devs[] = {r->host, w->port, w->a, w->b};
    struct vr_snap snap;
    open_port(w);
    pci_cfg_set(r, 0, SLOT2, BAR0, 4, MEM32);
    pci_cfg_set(r, 0, SLOT2, VR_PCI_COMMAND, 2, 6);
    pci_cfg_set(r, 1, 0, BAR0, 4, MEM32 + 0x100000);
    pci_cfg_set(r, 1, 0, VR_PCI_COMMAND, 2, 6);
    assert_true(pci_poke(r, MEM32, 4, 0x1a));
    assert_true(pci_poke(r, MEM32 + 0x100000, 4, 0x1b));
    assert_true(pci_poke(r, MEM32 + 0x100008, 4, 1));
    vr_snap_init(&snap);
    for (unsigned i = 0; i < VR_COUNT(devs); i++) {
        assert_int_equal(vr_dev_save(devs[i], &snap, NULL), 0);
    }
    for (unsigned i = 0; i < VR_COUNT(devs); i++) {
        vr_dev_reset(devs[i]);
    }
    assert_false(pci_poke(r, MEM32, 4, 0));
    assert_false(r->line[1].level);
    for (unsigned i = 0; i < VR_COUNT(devs); i++) {
        assert_int_equal(vr_dev_load(devs[i], &snap, NULL), 0);
    }
    assert_int_equal(pci_peek(r, MEM32, 4), 0x1a);
    assert_int_equal(pci_peek(r, MEM32 + 0x100000, 4), 0x1b);
    assert_true(r->line[1].level);
    vr_snap_fini(&snap);
    /* What the guest cannot have changed is not taken from a snapshot. */
    vr_snap_init(&snap);
    struct vr_pci *pci = vr_pci_of(w->a);
    pci->config[VR_PCI_DEVICE] ^= 1;
    assert_int_equal(vr_dev_save(w->a, &snap, NULL), 0);
    pci->config[VR_PCI_DEVICE] ^= 1;
    assert_int_equal(vr_dev_load(w->a, &snap, NULL), -ERANGE);
    vr_snap_fini(&snap);
}

static void places_run_out_clearly(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    struct vr_pci_bus *bus = &vr_pci_host_root(r->host)->bus;
    struct vr_dev *extra[32];
    struct vr_error err;
    unsigned devfn, n = 0;
    while (vr_pci_bus_place(bus, 0, &devfn, &err) == 0) {
        char id[16];
        snprintf(id, sizeof(id), "x%u", n);
        extra[n++] = pci_rig_add(r, &pci_toy_class, id, NULL, bus, devfn);
    }
    assert_int_equal(n, 29);
    assert_non_null(strstr(err.msg, "all 32 places"));
    vr_pci_unplug(vr_pci_of(extra[0]));
    assert_int_equal(vr_pci_plug(bus, SLOT2, vr_pci_of(extra[0]), &err), -EBUSY);
    assert_non_null(strstr(err.msg, "is 'a' already"));
    while (n) {
        vr_dev_destroy(extra[--n]);
    }
}

/* THREATS 18: all ones, zeroes and noise into every register of every function, byte by byte and in
 * words; nothing breaks, ids and lists stay, RAM stays, and a reset makes it new. */
static void noise_in_configuration_space_does_no_harm(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    uint64_t seed = 0x1234567;
    static const unsigned at[][2] = {{0, 0}, {0, SLOT1}, {0, SLOT2}, {1, 0}, {2, 0}};
    assert_true(pci_poke(r, RIG_RAM_GPA, 8, 0x5aa5));
    open_port(w);
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned off = 0; off < 4096; off++) {
            for (unsigned i = 0; i < VR_COUNT(at); i++) {
                unsigned width = 1u << rig_random(&seed) % 3;
                uint32_t val = round == 0   ? UINT32_MAX
                               : round == 1 ? 0
                                            : (uint32_t)rig_random(&seed);
                unsigned to = off & ~(width - 1);
                pci_cfg_set(r, at[i][0], at[i][1], to, width, val);
                (void)pci_cfg(r, at[i][0], at[i][1], to, width);
            }
            (void)pci_peek(r, MEM32 + rig_random(&seed) % 0x40000000, 4);
        }
        assert_int_equal(pci_peek(r, RIG_RAM_GPA, 8), 0x5aa5);
        assert_int_equal(pci_cfg(r, 0, SLOT2, 0, 4), 0x56781234);
        assert_int_equal(pci_cfg(r, 0, SLOT1, 0, 4), 0x000c1b36);
        assert_true(pci_cap(r, 0, SLOT2, 0x11, false) != 0);
        assert_true(pci_cap(r, 0, SLOT1, 0x0d, true) != 0);
    }
    struct vr_dev *const devs[] = {r->host, w->port, w->a, w->b};
    for (unsigned i = 0; i < VR_COUNT(devs); i++) {
        vr_dev_reset(devs[i]);
    }
    open_port(w);
    bridges_let_through_what_is_in_their_windows(state);
}

/* --- The slot: a driver as pciehp is one --- */

enum { SLOT_ON = 0x1139, SLOT_OFF = 0x1739 }; /* all events wanted, indicators; power */

struct eject {
    unsigned count, refused;
    struct vr_dev *port;
};

static void note_answer(void *opaque, struct vr_dev *port, bool agrees)
{
    struct eject *e = opaque;
    e->count += agrees;
    e->refused += !agrees;
    e->port = port;
}

/* Clear what happened, as an interrupt handler does; returns it. */
static uint32_t slot_events(struct pci_rig *r, unsigned exp)
{
    uint32_t sta = pci_cfg(r, 0, SLOT1, exp + VR_PCI_EXP_SLOTSTA, 2);
    pci_cfg_set(r, 0, SLOT1, exp + VR_PCI_EXP_SLOTSTA, 2, sta & 0x11f);
    return sta;
}

static void a_device_goes_and_comes_a_hundred_times(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    struct eject e = {0};
    struct vr_error err;
    unsigned exp = pci_cap(r, 0, SLOT1, 0x10, false), msi = pci_cap(r, 0, SLOT1, 0x05, false);
    assert_true(pci_cfg(r, 0, SLOT1, exp + 2, 2) & 0x100);
    assert_int_equal(pci_cfg(r, 0, SLOT1, exp + VR_PCI_EXP_SLOTCAP, 4), 0x5b | 7 << 19);
    open_port(w);
    pci_cfg_set(r, 0, SLOT1, msi + 4, 4, PCI_MSI);
    pci_cfg_set(r, 0, SLOT1, msi + 12, 2, 0x70);
    pci_cfg_set(r, 0, SLOT1, msi + 2, 2, 1);
    vr_pci_slot_on_answer(w->port, note_answer, &e);
    pci_cfg_set(r, 0, SLOT1, exp + VR_PCI_EXP_SLOTCTL, 2, SLOT_ON);
    (void)slot_events(r, exp);
    for (unsigned round = 0; round < 100; round++) {
        unsigned before = pci_messages(r, NULL);
        /* In use, and asked to go. */
        pci_cfg_set(r, 1, 0, BAR0, 4, MEM32 + 0x100000);
        pci_cfg_set(r, 1, 0, VR_PCI_COMMAND, 2, 6);
        assert_true(pci_poke(r, MEM32 + 0x100000, 4, round));
        assert_true(pci_poke(r, MEM32 + 0x100008, 4, 1));
        assert_true(r->line[1].level);
        assert_int_equal(vr_pci_slot_ask(w->port, &err), 0);
        assert_int_equal(pci_messages(r, NULL), before + 1);
        assert_int_equal(slot_events(r, exp) & 0x1ff, 0x41); /* button; somebody is there */
        assert_int_equal(e.count, round); /* nothing happens until the guest agrees */
        assert_int_equal(pci_peek(r, MEM32 + 0x100000, 4), round);
        /* It does. */
        pci_cfg_set(r, 0, SLOT1, exp + VR_PCI_EXP_SLOTCTL, 2, SLOT_OFF);
        assert_int_equal(e.count, round + 1);
        assert_ptr_equal(e.port, w->port);
        assert_int_equal(pci_cfg(r, 1, 0, 0, 4), UINT32_MAX);
        assert_false(pci_poke(r, MEM32 + 0x100000, 4, 0));
        assert_false(r->line[1].level);
        assert_int_equal(slot_events(r, exp) & 0x1ff, 0x150); /* link, command; still there */
        struct vr_pci *gone = vr_pci_slot_remove(w->port);
        assert_ptr_equal(gone, vr_pci_of(w->b));
        vr_dev_destroy(w->b);
        w->b = NULL;
        assert_int_equal(slot_events(r, exp) & 0x1ff, 0x08);
        assert_int_equal(vr_pci_slot_ask(w->port, &err), -ENODEV);
        assert_null(vr_pci_slot_remove(w->port));
        /* Another one comes. */
        assert_int_equal(vr_dev_create(&pci_toy_class, "b", NULL, &r->rig.env, &w->b, &err), 0);
        assert_int_equal(vr_pci_slot_insert(w->port, vr_pci_of(w->b), &err), 0);
        assert_int_equal(slot_events(r, exp) & 0x1ff, 0x49);
        assert_int_equal(pci_cfg(r, 1, 0, 0, 4), UINT32_MAX); /* it has no power yet */
        pci_cfg_set(r, 0, SLOT1, exp + VR_PCI_EXP_SLOTCTL, 2, SLOT_ON);
        assert_int_equal(slot_events(r, exp) & 0x1ff, 0x150);
        assert_int_equal(pci_cfg(r, 0, SLOT1, exp + VR_PCI_EXP_LINKSTA, 2), 0x2011);
        assert_int_equal(pci_cfg(r, 1, 0, 0, 4), 0x56781234);
        assert_int_equal(pci_cfg(r, 1, 0, BAR0, 4), 0);
    }
    /* Power away without having been asked: nobody has to go, it is only off. */
    pci_cfg_set(r, 0, SLOT1, exp + VR_PCI_EXP_SLOTCTL, 2, SLOT_OFF);
    assert_int_equal(e.count, 100);
    pci_cfg_set(r, 0, SLOT1, exp + VR_PCI_EXP_SLOTCTL, 2, SLOT_ON);
    assert_int_equal(pci_cfg(r, 1, 0, 0, 4), 0x56781234);
    assert_int_equal(w->port->guest_errors + r->host->guest_errors, 0);
}

static void an_empty_slot_is_not_restored_as_a_full_one(void **state)
{
    struct world *w = *state;
    struct vr_snap full;
    vr_snap_init(&full);
    assert_int_equal(vr_dev_save(w->port, &full, NULL), 0);
    assert_non_null(vr_pci_slot_remove(w->port));
    assert_int_equal(vr_dev_load(w->port, &full, NULL), -ERANGE);
    vr_snap_fini(&full);
}

/* As an error handler does; b is behind the port, a on the root bus. */
static void errors_are_logged_and_told(void **state)
{
    struct world *w = *state;
    struct pci_rig *r = &w->r;
    unsigned exp = pci_cap(r, 0, SLOT2, 0x10, false), aer = pci_cap(r, 0, SLOT2, 1, true);
    unsigned root = pci_cap(r, 0, SLOT1, 1, true), msi = pci_cap(r, 0, SLOT1, 0x05, false);
    const struct vr_pci_error bad_tlp = {.correctable = true, .bit = 6};
    const struct vr_pci_error poisoned = {.bit = 12, .header = {1, 2, 3, 4}};
    const struct vr_pci_error malformed = {.bit = 18, .header = {5, 6, 7, 8}};
    open_port(w);
    pci_cfg_set(r, 0, SLOT1, root + VR_PCI_AER_ROOT_CMD, 4, 7);
    vr_pci_report(w->b, &bad_tlp); /* not enabled in the device: noted there, and nowhere else */
    assert_int_equal(pci_cfg(r, 1, 0, aer + VR_PCI_AER_CORR, 4), 0x40);
    assert_int_equal(pci_cfg(r, 1, 0, exp + VR_PCI_EXP_DEVSTA, 2), 1);
    assert_int_equal(pci_cfg(r, 0, SLOT1, root + VR_PCI_AER_ROOT_STATUS, 4), 0);
    pci_cfg_set(r, 1, 0, exp + VR_PCI_EXP_DEVCTL, 2, 0x281f);
    vr_pci_report(w->b, &bad_tlp);
    assert_int_equal(pci_cfg(r, 0, SLOT1, root + VR_PCI_AER_ROOT_STATUS, 4), 1);
    assert_int_equal(pci_cfg(r, 0, SLOT1, root + VR_PCI_AER_SOURCE, 4), 0x0100);
    assert_true(r->line[1].level); /* by INTA of slot 1 */
    pci_cfg_set(r, 0, SLOT1, root + VR_PCI_AER_ROOT_STATUS, 4, 0x7f);
    assert_false(r->line[1].level);
    /* With messages: the first uncorrectable error is logged, the next one only counted. */
    pci_cfg_set(r, 0, SLOT1, msi + 4, 4, PCI_MSI);
    pci_cfg_set(r, 0, SLOT1, msi + 2, 2, 1);
    vr_pci_report(w->b, &poisoned);
    vr_pci_report(w->b, &malformed);
    assert_int_equal(pci_messages(r, NULL), 1); /* until the first is cleared */
    assert_int_equal(pci_cfg(r, 1, 0, aer + VR_PCI_AER_UNCORR, 4), 1 << 12 | 1 << 18);
    assert_int_equal(pci_cfg(r, 1, 0, aer + VR_PCI_AER_CONTROL, 4) & 0x1f, 12);
    assert_int_equal(pci_cfg(r, 1, 0, aer + VR_PCI_AER_LOG + 4, 4), 2);
    assert_int_equal(pci_cfg(r, 0, SLOT1, root + VR_PCI_AER_ROOT_STATUS, 4), 0x6c);
    assert_int_equal(pci_cfg(r, 0, SLOT1, root + VR_PCI_AER_SOURCE, 4), 0x01000100);
    assert_int_equal(pci_cfg(r, 1, 0, exp + VR_PCI_EXP_DEVSTA, 2), 7);
    /* Masked: noted, not told. */
    pci_cfg_set(r, 0, SLOT1, root + VR_PCI_AER_ROOT_STATUS, 4, 0x7f);
    pci_cfg_set(r, 1, 0, aer + VR_PCI_AER_UNCORR, 4, UINT32_MAX);
    pci_cfg_set(r, 1, 0, aer + VR_PCI_AER_UNCORR_MASK, 4, 1 << 12);
    vr_pci_report(w->b, &poisoned);
    assert_int_equal(pci_cfg(r, 1, 0, aer + VR_PCI_AER_UNCORR, 4), 1 << 12);
    assert_int_equal(pci_cfg(r, 0, SLOT1, root + VR_PCI_AER_ROOT_STATUS, 4), 0);
    /* On the root bus: noted, nobody to tell. */
    pci_cfg_set(r, 0, SLOT2, exp + VR_PCI_EXP_DEVCTL, 2, 0x281f);
    vr_pci_report(w->a, &malformed);
    assert_int_equal(pci_cfg(r, 0, SLOT2, aer + VR_PCI_AER_UNCORR, 4), 1 << 18);
    assert_int_equal(pci_cfg(r, 0, SLOT1, root + VR_PCI_AER_ROOT_STATUS, 4), 0);
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_init, world_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(finds_who_is_there_and_nobody_else),
        WORLD_TEST(lists_end_and_hold_what_they_should),
        WORLD_TEST(base_addresses_are_sized_and_moved),
        WORLD_TEST(windows_in_bad_places_do_no_harm),
        WORLD_TEST(bridges_let_through_what_is_in_their_windows),
        WORLD_TEST(pins_are_swizzled_and_shared),
        WORLD_TEST(msi_sends_masks_and_remembers),
        WORLD_TEST(msix_sends_masks_and_remembers),
        WORLD_TEST(sleeping_functions_do_not_answer),
        WORLD_TEST(resets_of_the_function_and_of_the_bus),
        WORLD_TEST(a_snapshot_brings_windows_and_pins_back),
        WORLD_TEST(a_device_goes_and_comes_a_hundred_times),
        WORLD_TEST(an_empty_slot_is_not_restored_as_a_full_one),
        WORLD_TEST(errors_are_logged_and_told),
        WORLD_TEST(places_run_out_clearly),
        WORLD_TEST(noise_in_configuration_space_does_no_harm),
    };
    return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}

/*
 * A PCI Express tree and a guest that does what it likes: configuration space of every function,
 * windows wherever it moved them, interrupt tables, virtio registers, rings in memory.
 *
 * Input is a list of 8-byte operations: kind and width, place, offset, value. RAM, identities and
 * the lists of capabilities must stay; every function must save and take back what it became.
 */
#include "fuzz.h"

#include "base/bits.h"
#include "core/snap.h"
#include "dev/pci/bridge.h"
#include "dev/pci/host.h"
#include "dev/pci/port.h"
#include "dev/pci/sriov.h"
#include "dev/virtio/balloon.h"
#include "dev/virtio/console.h"
#include "dev/virtio/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RAM_LEN = 64 << 10, OP = 8, FUNCTIONS = 13, VFS = 5, SWITCH = 7 };
#define RAM_GPA UINT64_C(0x80000000)
#define ECAM    UINT64_C(0x30000000)

struct tree {
    struct vr_env env;
    struct vr_ram *ram;
    struct vr_region region;
    struct vr_view_cache cache;
    struct vr_dev *host, *fn[FUNCTIONS];
};

/* A port with an rng, which has two VFs; three on the root bus; and a port with a switch, behind it
 * a bridge, behind that another, and behind all an rng. Where they are once buses have the numbers
 * of a sound start. */
static const struct {
    uint8_t bus, dev, fn, secondary, subordinate; /* the last two: of a bridge */
    uint16_t id;
} places[FUNCTIONS] = {
    {0, 1, 0, 1, 1, 0x000c}, {1, 0, 0, 0, 0, 0x1044}, {0, 2, 0, 0, 0, 0x1045},
    {0, 3, 0, 0, 0, 0x1043}, {0, 4, 0, 0, 0, 0x1044}, {1, 0, 1, 0, 0, 0xffff},
    {1, 0, 2, 0, 0, 0xffff}, {0, 5, 0, 2, 6, 0x000c}, {2, 0, 0, 3, 6, 0x8232},
    {3, 1, 0, 4, 6, 0x8233}, {4, 0, 0, 5, 6, 0x000e}, {5, 2, 0, 6, 6, 0x000e},
    {6, 4, 0, 0, 0, 0x1044},
};

static struct vr_dev *tree_add(struct tree *t, const struct vr_dev_class *cls, const char *id,
                               const char *opts, struct vr_pci_bus *bus, unsigned devfn)
{
    struct vr_dev *dev = NULL;
    KEEPS(vr_dev_create(cls, id, opts, &t->env, &dev, NULL) == 0);
    if (bus) {
        KEEPS(vr_pci_plug(bus, devfn, vr_pci_of(dev), NULL) == 0);
    } else {
        KEEPS(vr_pci_sriov_attach(vr_pci_of(t->fn[1]), devfn - 1, vr_pci_of(dev), NULL) == 0);
    }
    return dev;
}

static void tree_init(struct tree *t)
{
    *t = (struct tree){.env = {.log = NULL}};
    KEEPS(vr_clock_create(VR_CLOCK_STEPPED, &t->env.clock, NULL) == 0);
    KEEPS(vr_space_create("mem", UINT64_MAX, &t->env.mem, NULL) == 0);
    KEEPS(vr_loop_create(&t->env.loop, NULL) == 0);
    KEEPS(vr_ram_create("ram", RAM_LEN, &t->ram, NULL) == 0);
    t->region = (struct vr_region){
        .name = "ram", .kind = VR_REGION_RAM, .gpa = RAM_GPA, .len = RAM_LEN, .ram = t->ram};
    KEEPS(vr_space_add(t->env.mem, &t->region, NULL) == 0);
    KEEPS(vr_dev_create(&vr_pci_host_class, "pci", NULL, &t->env, &t->host, NULL) == 0);
    KEEPS(vr_dev_map(t->host, VR_PCI_HOST_ECAM, t->env.mem, ECAM, NULL) == 0);
    struct vr_pci_bus *bus = &vr_pci_host_root(t->host)->bus;
    t->fn[0] = tree_add(t, &vr_pci_root_port_class, "port", NULL, bus, 1 << 3);
    t->fn[1] =
        tree_add(t, &vr_virtio_rng_pci_class, "rng", "vfs=2", vr_pci_of(t->fn[0])->host.below, 0);
    t->fn[2] = tree_add(t, &vr_virtio_balloon_pci_class, "balloon", NULL, bus, 2 << 3);
    t->fn[3] = tree_add(t, &vr_virtio_console_pci_class, "console", NULL, bus, 3 << 3);
    t->fn[4] = tree_add(t, &vr_virtio_rng_pci_class, "rng2", NULL, bus, 4 << 3);
    for (unsigned i = VFS; i < SWITCH; i++) {
        const char *id = i == VFS ? "vf0" : "vf1";
        t->fn[i] = tree_add(t, &vr_virtio_rng_pci_class, id, "sriov_pf=rng", NULL, i - VFS + 1);
    }
    static const struct vr_dev_class *const deep[] = {
        &vr_pci_root_port_class, &vr_pci_upstream_port_class, &vr_pci_downstream_port_class,
        &vr_pci_bridge_class,    &vr_pci_bridge_class,        &vr_virtio_rng_pci_class,
    };
    for (unsigned i = SWITCH; i < FUNCTIONS; i++) {
        char id[8];
        snprintf(id, sizeof(id), "deep%u", i);
        t->fn[i] = tree_add(t, deep[i - SWITCH], id, NULL, bus, places[i].dev << 3);
        bus = vr_pci_of(t->fn[i])->host.below;
    }
    for (unsigned i = 0; i < FUNCTIONS; i++) { /* slots have power */
        if (vr_pci_has_slot(t->fn[i])) {
            vr_dev_reset(t->fn[i]);
        }
    }
}

static void tree_fini(struct tree *t)
{
    for (unsigned i = FUNCTIONS; i-- > 0;) {
        vr_dev_quiesce(t->fn[i]);
        vr_dev_destroy(t->fn[i]);
    }
    vr_dev_destroy(t->host);
    vr_view_cache_drop(t->env.mem, &t->cache);
    vr_loop_destroy(t->env.loop);
    vr_space_destroy(t->env.mem);
    vr_ram_destroy(t->ram);
    vr_clock_destroy(t->env.clock);
}

static void tree_access(struct tree *t, uint64_t gpa, unsigned width, uint64_t val, bool write)
{
    if (write) {
        (void)!vr_space_write(t->env.mem, &t->cache, gpa, width, val);
    } else {
        (void)!vr_space_read(t->env.mem, &t->cache, gpa, width, &val);
    }
}

/* Where its configuration space is. */
static uint64_t tree_config(unsigned where)
{
    return ECAM +
           ((uint64_t)places[where].bus << 20 | places[where].dev << 15 | places[where].fn << 12);
}

/* Bus numbers, windows, mastering: what is in the windows of the last bridge is in those of all. */
static void tree_start(struct tree *t)
{
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        uint64_t at = tree_config(i);
        if (places[i].secondary) {
            tree_access(t, at + 0x18, 4,
                        places[i].bus | (uint32_t)places[i].secondary << 8 |
                            (uint32_t)places[i].subordinate << 16,
                        true);
            tree_access(t, at + 0x20, 4, i == 0 ? 0x40104010 : 0x40f04080, true);
            tree_access(t, at + 4, 2, 7, true);
            continue;
        }
        tree_access(t, at + 0x14, 4, 0x40000000 + i * 0x100000, true);
        tree_access(t, at + 0x20, 4, 0x40008000 + i * 0x100000, true);
        tree_access(t, at + 0x24, 4, 0, true);
        tree_access(t, at + 4, 2, 6, true);
    }
    /* Both VFs, behind the rest. */
    unsigned off = vr_pci_of(t->fn[1])->host.sriov_cap;
    tree_access(t, tree_config(1) + off + VR_PCI_SRIOV_NUM, 2, 2, true);
    tree_access(t, tree_config(1) + off + VR_PCI_SRIOV_BAR + 4, 4, 0x40180000, true);
    tree_access(t, tree_config(1) + off + VR_PCI_SRIOV_BAR + 16, 4, 0x40190000, true);
    tree_access(t, tree_config(1) + off + VR_PCI_SRIOV_CONTROL, 2, 9, true);
}

static void tree_op(struct tree *t, const uint8_t *p)
{
    static const uint32_t patterns[] = {0,          UINT32_MAX, 0x40000000, 0x80000000,
                                        0x30000000, 6,          0x8000};
    unsigned width = 1u << (p[0] & 3), where = p[1] % FUNCTIONS;
    bool write = p[0] & 4;
    uint32_t off = vr_load_le16(p + 2), raw = vr_load_le32(p + 4);
    uint32_t val = p[0] & 8 ? patterns[raw % VR_COUNT(patterns)] : raw;
    switch (p[0] >> 4 & 7) {
    case 0: /* configuration space, mostly where something is */
    case 1:
        off = p[0] & 0x80 ? off & 0xfff : off & 0x1ff;
        tree_access(t, tree_config(where) + off, width, val, write);
        break;
    case 2: /* where the windows are */
    case 3: {
        const struct vr_pci *pci = vr_pci_of(t->fn[where]);
        unsigned bar = off % VR_PCI_BARS;
        if (pci->host.bar_mapped[bar]) {
            tree_access(t, pci->host.bar_gpa[bar] + off / VR_PCI_BARS % 0x4000, width, val, write);
        }
        break;
    }
    case 4: /* past all mapping: the registers themselves */
        if (!vr_pci_of(t->fn[where])->host.below) {
            off = p[0] & 0x80 ? 0x3000 + off % 0x40 : off % 0x40;
            vr_dev_write(t->fn[where], 1, off & ~(width - 1u), width, val);
        }
        break;
    case 5:
        vr_store_le32(t->ram->hva + off % (RAM_LEN - 4), val);
        break;
    case 6: /* a sound start, from which the rest departs */
        tree_start(t);
        break;
    default:
        tree_access(t, (uint64_t)raw << (off & 31), width, val, write && raw >> 28 != 8);
        break;
    }
    vr_loop_turn(t->env.loop, 0);
    vr_clock_step(t->env.clock, p[1] * 1000u);
}

/* What no guest can change. */
static void tree_check(struct tree *t)
{
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        const struct vr_pci *pci = vr_pci_of(t->fn[i]);
        KEEPS(vr_pci_get(pci, VR_PCI_DEVICE, 2) == places[i].id);
        unsigned at = pci->config[VR_PCI_CAP_PTR], n = 0;
        for (; at && n < VR_PCI_CAPS; n++) {
            at = pci->config[at + 1];
        }
        KEEPS(at == 0 && n >= 1);
        for (unsigned bar = 0; bar < VR_PCI_BARS; bar++) {
            uint64_t gpa = pci->host.bar_gpa[bar];
            KEEPS(!pci->host.bar_mapped[bar] || (gpa >= 0x40000000 && gpa < RAM_GPA) ||
                  (gpa >= UINT64_C(0x400000000) && gpa < UINT64_C(0x800000000)));
        }
        struct vr_snap s;
        vr_dev_quiesce(t->fn[i]);
        vr_snap_init(&s);
        KEEPS(vr_dev_save(t->fn[i], &s, NULL) == 0);
        KEEPS(vr_dev_load(t->fn[i], &s, NULL) == 0);
        vr_snap_fini(&s);
    }
    uint64_t val;
    t->ram->hva[100] = 0x5a;
    KEEPS(vr_space_read(t->env.mem, &t->cache, RAM_GPA + 100, 1, &val) == 0 && val == 0x5a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tree t;
    tree_init(&t);
    for (size_t at = 0; len - at >= OP; at += OP) {
        tree_op(&t, data + at);
    }
    tree_check(&t);
    tree_fini(&t);
    return 0;
}

/* A start, then configuration, windows or registers in turn. */
size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    enum { SEEDS = 12, OPS = 40 };
    uint32_t x = n * 2654435761u + 1;
    if (n >= SEEDS || cap < (OPS + 1) * OP) {
        return 0;
    }
    memset(buf, 0, OP);
    buf[0] = 6 << 4;
    for (unsigned i = 1; i <= OPS; i++) {
        for (unsigned k = 0; k < OP; k++) {
            x = x * 1664525u + 1013904223u;
            buf[i * OP + k] = (uint8_t)(x >> 24);
        }
        buf[i * OP] = (uint8_t)((buf[i * OP] & 0x8f) | (n % 6) << 4);
    }
    return (OPS + 1) * OP;
}

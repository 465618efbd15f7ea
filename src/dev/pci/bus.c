/*
 * PCI buses: plugging, routing of configuration, memory and ports through bridges, INTx swizzle.
 * Specification: PCI-to-PCI Bridge Architecture 1.2; PCI Express Base 6.0, 2.2.8.1 (INTx).
 */
#include "dev/pci/bus.h"

#include "base/bits.h"
#include "dev/pci/caps.h"
#include "dev/pci/sriov.h"

#include <errno.h>
#include <stdio.h>

/* Type 1 header. */
enum {
    IO_BASE = 0x1c,
    IO_LIMIT = 0x1d,
    MEM_BASE = 0x20,
    MEM_LIMIT = 0x22,
    PREF_BASE = 0x24,
    PREF_LIMIT = 0x26,
    PREF_BASE_HIGH = 0x28,
    PREF_LIMIT_HIGH = 0x2c,
    BRIDGE_CONTROL = 0x3e,
};
enum { BUS_RESET = 0x40 };

enum { DEVCTL2_ARI = 0x20 };

/* --- INTx --- */

static void intx_set(void *chip, unsigned line, bool level)
{
    struct vr_pci_root *root = chip;
    vr_mutex_lock(&root->intx_lock);
    vr_assert(level || root->intx_count[line] > 0);
    root->intx_count[line] += level ? 1 : -1u;
    vr_irq_set(&root->intx[line], root->intx_count[line] > 0);
    vr_mutex_unlock(&root->intx_lock);
}

/* Each bridge turns the pins by its device's number, so that device 0 behind each is on another
 * line. */
static unsigned intx_line(const struct vr_pci *pci)
{
    unsigned line = pci->config[VR_PCI_INT_PIN] ? pci->config[VR_PCI_INT_PIN] - 1u : 0;
    for (; pci; pci = pci->host.bus->bridge) {
        line = (line + (pci->host.devfn >> 3)) % VR_PCI_INTX;
    }
    return line;
}

void vr_pci_root_init(struct vr_pci_root *root, struct vr_dev *dev)
{
    root->dev = dev;
    root->mem = dev->env->mem;
    root->bus = (struct vr_pci_bus){.root = root};
    root->bus_used[0] = true;
    vr_mutex_init(&root->intx_lock);
}

void vr_pci_root_fini(struct vr_pci_root *root)
{
    for (unsigned i = 0; i < VR_PCI_DEVFNS; i++) {
        vr_assert(!root->bus.fn[i] || root->bus.fn[i]->host.dev == root->dev);
    }
    vr_mutex_fini(&root->intx_lock);
}

/* --- Plugging --- */

static int bus_add(struct vr_pci_root *root, struct vr_pci_bus *bus, struct vr_error *err)
{
    for (unsigned i = 0; i < VR_PCI_BUSES; i++) {
        if (!root->bus_used[i]) {
            root->bus_used[i] = true;
            bus->index = i;
            bus->root = root;
            return 0;
        }
    }
    return vr_err(err, -ENOSPC, "all %d PCI buses of this machine are taken: each bridge has one",
                  VR_PCI_BUSES);
}

/* What is where: PCI Express Base 6.0, 1.3 (components), 7.3.1 (device numbers). */
static int bus_takes(const struct vr_pci_bus *bus, unsigned devfn, const struct vr_pci *pci,
                     struct vr_error *err)
{
    const char *id = pci->host.dev->id;
    if (vr_pci_is_express(pci, VR_PCI_ROOT_PORT) && bus->kind != VR_PCI_BUS_ROOT) {
        return vr_err(err, -EINVAL, "%s: root ports are on the root bus", id);
    }
    if (vr_pci_is_express(pci, VR_PCI_UPSTREAM) && bus->kind != VR_PCI_BUS_LINK) {
        return vr_err(err, -EINVAL,
                      "%s: a switch's upstream port is behind a root port or another switch's "
                      "downstream port",
                      id);
    }
    if (vr_pci_is_express(pci, VR_PCI_DOWNSTREAM) != (bus->kind == VR_PCI_BUS_SWITCH)) {
        return vr_err(err, -EINVAL,
                      bus->kind == VR_PCI_BUS_SWITCH
                          ? "%s: behind a switch's upstream port are its downstream ports, and "
                            "nothing else"
                          : "%s: a switch's downstream ports are behind its upstream port",
                      id);
    }
    if (bus->kind == VR_PCI_BUS_CONVENTIONAL && pci->host.sriov) {
        return vr_err(err, -EINVAL,
                      "%s: behind a bridge to conventional PCI there are no virtual functions", id);
    }
    return bus->kind == VR_PCI_BUS_LINK && devfn >= 8
               ? vr_err(err, -EINVAL, "%s: behind a port there is device 0 alone, not %u", id,
                        devfn >> 3)
               : 0;
}

int vr_pci_plug(struct vr_pci_bus *bus, unsigned devfn, struct vr_pci *pci, struct vr_error *err)
{
    vr_assert(devfn < VR_PCI_DEVFNS && !pci->host.bus && bus->root);
    if (bus->fn[devfn]) {
        return vr_err(err, -EBUSY, "%s: PCI device %u, function %u is '%s' already",
                      pci->host.dev->id, devfn >> 3, devfn & 7, bus->fn[devfn]->host.dev->id);
    }
    int r = bus_takes(bus, devfn, pci, err);
    r = r == 0 && pci->host.below ? bus_add(bus->root, pci->host.below, err) : r;
    if (r < 0) {
        return r;
    }
    vr_dev_lock(pci->host.dev);
    pci->host.bus = bus;
    pci->host.devfn = (uint8_t)devfn;
    vr_irq_connect(&pci->host.irq, intx_set, bus->root, intx_line(pci));
    vr_pci_express_plugged(pci, bus);
    if (pci->host.sriov) {
        vr_pci_sriov_plugged(pci);
    }
    vr_dev_unlock(pci->host.dev);
    bus->fn[devfn] = pci;
    return 0;
}

void vr_pci_unplug(struct vr_pci *pci)
{
    struct vr_pci_bus *bus = pci->host.bus;
    vr_assert(bus && bus->fn[pci->host.devfn] == pci);
    bus->fn[pci->host.devfn] = NULL;
    vr_dev_lock(pci->host.dev);
    vr_pci_unmap(pci);
    vr_irq_set(&pci->host.irq, false);
    vr_irq_connect(&pci->host.irq, NULL, NULL, 0);
    pci->host.bus = NULL;
    if (pci->host.sriov) {
        vr_pci_sriov_unplugged(pci);
    }
    vr_dev_unlock(pci->host.dev);
    if (pci->host.below) {
        bus->root->bus_used[pci->host.below->index] = false;
        pci->host.below->root = NULL;
    }
}

int vr_pci_bus_place(const struct vr_pci_bus *bus, unsigned first, unsigned *ret_devfn,
                     struct vr_error *err)
{
    unsigned end = bus->kind == VR_PCI_BUS_LINK ? 8 : VR_PCI_DEVFNS;
    for (unsigned i = first << 3; i < end; i += 8) {
        if (!bus->fn[i]) {
            *ret_devfn = i;
            return 0;
        }
    }
    return vr_err(err, -ENOSPC, "all %u places of the PCI bus%s%s are taken", end >> 3,
                  bus->bridge ? " behind " : "", bus->bridge ? bus->bridge->host.dev->id : "");
}

/* --- Routing --- */

/* Does the port above forward ids whose device is a part of the function's number (6.13)? */
static bool bus_has_ari(const struct vr_pci_bus *bus)
{
    const struct vr_pci *port = bus->bridge;
    return port->host.express &&
           (vr_pci_get(port, port->host.express + VR_PCI_EXP_DEVCTL2, 2) & DEVCTL2_ARI);
}

/* A VF of those on @bus. */
static struct vr_pci *bus_find_vf(const struct vr_pci_bus *bus, unsigned rid)
{
    for (unsigned i = 0; i < VR_PCI_DEVFNS; i++) {
        struct vr_pci *vf = bus->fn[i] ? vr_pci_sriov_find(bus->fn[i], rid) : NULL;
        if (vf) {
            return vf;
        }
    }
    return NULL;
}

/* Below @bus, which has number @at. */
static struct vr_pci *bus_find(struct vr_pci_bus *bus, unsigned at, unsigned nr, unsigned devfn)
{
    if (bus->off) {
        return NULL;
    }
    if (at == nr && bus->fn[devfn]) {
        return bus->fn[devfn];
    }
    if (at == nr && bus->kind == VR_PCI_BUS_LINK && devfn >= 8 && !bus_has_ari(bus)) {
        return NULL; /* a link has device 0 alone */
    }
    for (unsigned i = 0; i < VR_PCI_DEVFNS; i++) {
        struct vr_pci *pci = bus->fn[i];
        if (!pci || !pci->host.below) {
            continue;
        }
        unsigned first = pci->config[VR_PCI_SECONDARY], last = pci->config[VR_PCI_SUBORDINATE];
        if (first > at && first <= nr && nr <= last) {
            return bus_find(pci->host.below, first, nr, devfn);
        }
    }
    return bus_find_vf(bus, (nr - at) << 8 | devfn);
}

struct vr_pci *vr_pci_root_find(struct vr_pci_root *root, unsigned nr, unsigned devfn)
{
    return bus_find(&root->bus, 0, nr, devfn);
}

/* A limit of its registers is the first byte of the last unit. */
struct vr_pci_bridge_window vr_pci_bridge_window(const struct vr_pci *b,
                                                 enum vr_pci_bridge_windows which)
{
    struct vr_pci_bridge_window w;
    if (which == VR_PCI_BRIDGE_IO) {
        w.first = (uint64_t)(b->config[IO_BASE] & 0xf0) << 8;
        w.last = (uint64_t)(b->config[IO_LIMIT] & 0xf0) << 8 | 0xfff;
    } else if (which == VR_PCI_BRIDGE_MEM) {
        w.first = (uint64_t)(vr_pci_get(b, MEM_BASE, 2) & 0xfff0) << 16;
        w.last = (uint64_t)(vr_pci_get(b, MEM_LIMIT, 2) & 0xfff0) << 16 | 0xfffff;
    } else {
        w.first = (uint64_t)vr_pci_get(b, PREF_BASE_HIGH, 4) << 32 |
                  (uint64_t)(vr_pci_get(b, PREF_BASE, 2) & 0xfff0) << 16;
        w.last = (uint64_t)vr_pci_get(b, PREF_LIMIT_HIGH, 4) << 32 |
                 (uint64_t)(vr_pci_get(b, PREF_LIMIT, 2) & 0xfff0) << 16 | 0xfffff;
    }
    return w;
}

static bool bridge_has(const struct vr_pci *b, enum vr_pci_bridge_windows which, uint64_t addr,
                       uint64_t end)
{
    struct vr_pci_bridge_window w = vr_pci_bridge_window(b, which);
    return w.first <= addr && end <= w.last;
}

/* Does the bridge forward [addr, end]? */
static bool bridge_forwards(const struct vr_pci *b, bool io, uint64_t addr, uint64_t end)
{
    if (!(b->config[VR_PCI_COMMAND] & (io ? VR_PCI_CMD_IO : VR_PCI_CMD_MEM)) ||
        !vr_pci_is_awake(b)) {
        return false;
    }
    return io ? bridge_has(b, VR_PCI_BRIDGE_IO, addr, end)
              : bridge_has(b, VR_PCI_BRIDGE_MEM, addr, end) ||
                    bridge_has(b, VR_PCI_BRIDGE_PREFETCH, addr, end);
}

static bool root_window(const struct vr_pci_range *w, uint64_t addr, uint64_t len,
                        uint64_t *ret_gpa)
{
    if (addr < w->pci || !vr_in_range(addr - w->pci, len, w->len)) {
        return false;
    }
    *ret_gpa = w->gpa + (addr - w->pci);
    return true;
}

bool vr_pci_bus_route(const struct vr_pci_bus *bus, bool io, uint64_t addr, uint64_t len,
                      uint64_t *ret_gpa)
{
    uint64_t end;
    if (!vr_add_ok(addr, len - 1, &end)) {
        return false;
    }
    for (; bus->bridge; bus = bus->bridge->host.bus) {
        if (bus->off || !bus->bridge->host.bus || !bridge_forwards(bus->bridge, io, addr, end)) {
            return false;
        }
    }
    const struct vr_pci_root *root = bus->root;
    return io ? root_window(&root->io, addr, len, ret_gpa)
              : root_window(&root->mem32, addr, len, ret_gpa) ||
                    root_window(&root->mem64, addr, len, ret_gpa);
}

void vr_pci_bus_remap(struct vr_pci_bus *bus)
{
    for (unsigned i = 0; i < VR_PCI_DEVFNS; i++) {
        struct vr_pci *pci = bus->fn[i];
        if (pci) {
            vr_dev_lock(pci->host.dev);
            vr_pci_remap(pci);
            if (pci->host.below) {
                vr_pci_bus_remap(pci->host.below);
            }
            vr_dev_unlock(pci->host.dev);
        }
    }
}

void vr_pci_bus_reset(struct vr_pci_bus *bus)
{
    for (unsigned i = 0; i < VR_PCI_DEVFNS; i++) {
        struct vr_pci *pci = bus->fn[i];
        if (pci) {
            vr_dev_lock(pci->host.dev);
            vr_pci_function_reset(pci);
            if (pci->host.below) {
                vr_pci_bus_reset(pci->host.below);
            }
            vr_dev_unlock(pci->host.dev);
        }
    }
}

/* --- Bridges --- */

void vr_pci_bridge_init(struct vr_pci *bridge, struct vr_pci_bus *bus, enum vr_pci_bus_kind kind)
{
    *bus = (struct vr_pci_bus){.bridge = bridge, .kind = kind};
    bridge->host.below = bus;
}

void vr_pci_bridge_written(struct vr_pci *bridge, unsigned off, unsigned width)
{
    if (off < VR_PCI_EXT && (off < VR_PCI_CAP_PTR || off >= BRIDGE_CONTROL)) {
        vr_pci_bus_remap(bridge->host.below);
    }
    if (off <= BRIDGE_CONTROL && off + width > BRIDGE_CONTROL &&
        (bridge->config[BRIDGE_CONTROL] & BUS_RESET)) {
        vr_pci_bus_reset(bridge->host.below);
    }
}

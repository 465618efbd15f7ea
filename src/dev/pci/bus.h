/*
 * PCI buses: who is plugged in where, which addresses reach whom, and where INTx pins lead.
 *
 * A host bridge owns the root bus; every bridge owns the bus below it. Numbers of buses are the
 * guest's business (it writes them into the bridges); what is plugged in where is ours.
 *
 * Locks: everything here is called with the host bridge's lock held (vr_pci_root.dev), or while no
 * CPU runs. The locks of functions are taken from the root downwards. INTx lines have a lock of
 * their own, taken last before the interrupt controller's.
 */
#ifndef VR_DEV_PCI_BUS_H
#define VR_DEV_PCI_BUS_H

#include "dev/pci/pci.h"

enum { VR_PCI_INTX = 4, VR_PCI_BUSES = 64, VR_PCI_DEVFNS = 256 };

enum vr_pci_bus_kind {
    VR_PCI_BUS_ROOT,
    VR_PCI_BUS_LINK,         /* behind a port: one device, number 0 */
    VR_PCI_BUS_SWITCH,       /* inside of a switch: its downstream ports */
    VR_PCI_BUS_CONVENTIONAL, /* no extended configuration space */
};

struct vr_pci_bus {
    struct vr_pci_root *root; /* NULL until the bridge is plugged in */
    enum vr_pci_bus_kind kind;
    struct vr_pci *bridge; /* above it; NULL: the root bus */
    unsigned index;        /* its own number among the buses of this root, not the guest's */
    bool off;              /* no power or no link: nobody there answers */
    struct vr_pci *fn[VR_PCI_DEVFNS];
};

/* Addresses as PCI has them, and where the CPU sees them. */
struct vr_pci_range {
    uint64_t pci, gpa, len;
};

struct vr_pci_root {
    struct vr_dev *dev;   /* the host bridge; its lock guards the tree */
    struct vr_space *mem; /* where windows appear */
    struct vr_pci_range io, mem32, mem64;
    struct vr_pci_bus bus;
    bool bus_used[VR_PCI_BUSES]; /* by index */
    struct vr_mutex intx_lock;
    unsigned intx_count[VR_PCI_INTX]; /* functions that drive the line */
    struct vr_irq intx[VR_PCI_INTX];  /* to the interrupt controller */
};

static inline struct vr_pci_root *vr_pci_bus_root(const struct vr_pci_bus *bus)
{
    return bus->root;
}
static inline unsigned vr_pci_bus_index(const struct vr_pci_bus *bus)
{
    return bus->index;
}

void vr_pci_root_init(struct vr_pci_root *root, struct vr_dev *dev);
void vr_pci_root_fini(struct vr_pci_root *root);

/* Plug @pci in at @devfn; -EBUSY: the place is taken; -EINVAL: a thing of its kind is not on buses
 * of this kind; -ENOSPC: it is a bridge, and there are VR_PCI_BUSES buses already. A bridge brings
 * its bus with everything on it... which is nothing. */
int vr_pci_plug(struct vr_pci_bus *bus, unsigned devfn, struct vr_pci *pci,
                struct vr_error *err) VR_MUST;
/* The function's own lock is not held, and its windows may be unmapped already. */
void vr_pci_unplug(struct vr_pci *pci);
/* The lowest free device (function 0) from @first on; -ENOSPC; on a link it is 0. */
int vr_pci_bus_place(const struct vr_pci_bus *bus, unsigned first, unsigned *ret_devfn,
                     struct vr_error *err) VR_MUST;

/* The function that answers to the guest's bus number @nr, or NULL. */
struct vr_pci *vr_pci_root_find(struct vr_pci_root *root, unsigned nr, unsigned devfn);
/* Do the bridges above @bus let all of [addr, addr + len) through? Then where the CPU sees it. */
bool vr_pci_bus_route(const struct vr_pci_bus *bus, bool io, uint64_t addr, uint64_t len,
                      uint64_t *ret_gpa);
/* What a bridge lets through has changed. The bridge's lock is held. */
void vr_pci_bus_remap(struct vr_pci_bus *bus);
/* A bridge resets the bus below it. The bridge's lock is held. */
void vr_pci_bus_reset(struct vr_pci_bus *bus);

/* For the classes of bridges. In init, after vr_pci_init: @bus is below it, with nobody on it; */
void vr_pci_bridge_init(struct vr_pci *bridge, struct vr_pci_bus *bus, enum vr_pci_bus_kind kind);
/* the guest wrote its registers (or the class's `written` is called for another reason). */
void vr_pci_bridge_written(struct vr_pci *bridge, unsigned off, unsigned width);

/* What a bridge lets through now, as its registers have it; first > last: nothing. */
struct vr_pci_bridge_window {
    uint64_t first, last;
};
enum vr_pci_bridge_windows { VR_PCI_BRIDGE_IO, VR_PCI_BRIDGE_MEM, VR_PCI_BRIDGE_PREFETCH };
struct vr_pci_bridge_window vr_pci_bridge_window(const struct vr_pci *bridge,
                                                 enum vr_pci_bridge_windows which);

/* For pci.c. */
void vr_pci_unmap(struct vr_pci *pci);

#endif

/*
 * PCI bridges without a slot.
 *
 * A switch is an upstream port, behind a link, and up to 32 downstream ports (pci/port.c) on the
 * bus inside of it. A bridge leads to a conventional bus of 32 devices. Behind a link it is a PCI
 * Express to PCI bridge; on the root bus or on a conventional bus it is a PCI to PCI bridge, which
 * is the same without a PCI Express capability (pci/caps.c hides it). Neither interrupts.
 *
 * Specifications: PCI Express Base 6.0, 1.3.3 (switches), 7.5; PCI to PCI Bridge Architecture 1.2;
 * PCI Express to PCI/PCI-X Bridge 1.0.
 */
#include "dev/pci/bridge.h"

#include "dev/pci/bus.h"
#include "dev/pci/caps.h"

enum { CLASS_BRIDGE = 0x060400 };

struct bridge {
    struct vr_dev dev;
    struct vr_pci pci;
    struct vr_pci_bus bus;
};
#define BRIDGE(d) ((struct bridge *)(d))

/* As that of its downstream ports: Texas Instruments' XIO3130. */
static const struct vr_pci_class upstream_port_pci = {
    .vendor = 0x104c,
    .device = 0x8232,
    .class_code = CLASS_BRIDGE,
    .revision = 2,
    .bridge = true,
    .written = vr_pci_bridge_written,
};

/* The ids that Red Hat registered for just this: a generic bridge. */
static const struct vr_pci_class conventional_pci = {
    .vendor = 0x1b36,
    .device = 0x000e,
    .class_code = CLASS_BRIDGE,
    .bridge = true,
    .written = vr_pci_bridge_written,
};

static int upstream_port_init(struct vr_dev *d, struct vr_error *err)
{
    struct bridge *s = BRIDGE(d);
    (void)err;
    vr_pci_init(d, &upstream_port_pci);
    vr_pci_bridge_init(&s->pci, &s->bus, VR_PCI_BUS_SWITCH);
    vr_pci_add_power(&s->pci);
    vr_pci_add_express(&s->pci, VR_PCI_UPSTREAM);
    vr_pci_add_aer(&s->pci, false);
    return 0;
}

static int bridge_init(struct vr_dev *d, struct vr_error *err)
{
    struct bridge *s = BRIDGE(d);
    (void)err;
    vr_pci_init(d, &conventional_pci);
    vr_pci_bridge_init(&s->pci, &s->bus, VR_PCI_BUS_CONVENTIONAL);
    vr_pci_add_power(&s->pci);
    vr_pci_add_express(&s->pci, VR_PCI_BRIDGE);
    return 0;
}

static void bridge_reset(struct vr_dev *d)
{
    vr_pci_reset(d);
    vr_pci_bus_remap(&BRIDGE(d)->bus);
}

static int bridge_loaded(struct vr_dev *d, struct vr_error *err)
{
    int r = vr_pci_loaded(d, err);
    if (r == 0) {
        vr_pci_bus_remap(&BRIDGE(d)->bus);
    }
    return r;
}

#define VR_SELF struct bridge
static const struct vr_field bridge_fields[] = {
    VR_PCI_FIELDS(pci),
    VR_HOST(bus, "the bus behind it: who is plugged in, made by the board"),
    VR_FIELD_END,
};

#define BRIDGE_CLASS(what, text, ready)                                             \
    {                                                                               \
        .name = (what), .help = (text), .size = sizeof(struct bridge),              \
        .pci = offsetof(struct bridge, pci), .version = 1, .fields = bridge_fields, \
        .windows = {VR_PCI_CONFIG_WINDOW}, .init = (ready), .reset = bridge_reset,  \
        .loaded = bridge_loaded, .fini = vr_pci_fini,                               \
    }

const struct vr_dev_class vr_pci_upstream_port_class = BRIDGE_CLASS(
    "pci-upstream-port", "PCI Express switch: its upstream port (bus=ID of a root port)",
    upstream_port_init);

const struct vr_dev_class vr_pci_bridge_class =
    BRIDGE_CLASS("pci-bridge", "bridge to a conventional PCI bus of 32 devices", bridge_init);

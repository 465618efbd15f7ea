/*
 * PCI Express root port.
 *
 * Its interrupts, for errors and its slot, are MSI (two vectors) or INTA.
 *
 * Specification: PCI Express Base 6.0, chapters 6.2 (errors), 6.7 (hot plug) and 7.5.
 */
#include "dev/pci/root_port.h"

#include "base/bits.h"
#include "dev/pci/caps.h"

/* The ids that Red Hat registered for just this: a generic root port. */
enum { ID_VENDOR = 0x1b36, ID_PORT = 0x000c, CLASS_BRIDGE = 0x060400 };
enum { BRIDGE_CONTROL = 0x3e, BUS_RESET = 0x40 };

struct root_port {
    struct vr_dev dev;
    struct vr_pci pci;
    uint16_t slot; /* config */
    struct vr_pci_bus bus;
};
#define PORT(d) ((struct root_port *)(d))

struct vr_pci_bus *vr_pci_root_port_bus(struct vr_dev *dev)
{
    return &PORT(dev)->bus;
}

static void port_written(struct vr_pci *pci, unsigned off, unsigned width)
{
    struct root_port *s = PORT(pci->host.dev);
    if (off < VR_PCI_EXT && (off < 0x34 || off >= BRIDGE_CONTROL)) {
        vr_pci_bus_remap(&s->bus);
    }
    if (off <= BRIDGE_CONTROL && off + width > BRIDGE_CONTROL &&
        (pci->config[BRIDGE_CONTROL] & BUS_RESET)) {
        vr_pci_bus_reset(&s->bus);
    }
}

static const struct vr_pci_class port_pci = {
    .vendor = ID_VENDOR,
    .device = ID_PORT,
    .class_code = CLASS_BRIDGE,
    .bridge = true,
    .intx = true,
    .written = port_written,
};

static int port_init(struct vr_dev *d, struct vr_error *err)
{
    struct root_port *s = PORT(d);
    (void)err;
    vr_pci_init(d, &port_pci);
    s->bus = (struct vr_pci_bus){.bridge = &s->pci};
    s->pci.host.below = &s->bus;
    vr_pci_add_power(&s->pci);
    vr_pci_add_express(&s->pci, VR_PCI_ROOT_PORT);
    vr_pci_add_msi(&s->pci, 2);
    vr_pci_add_aer(&s->pci, true);
    vr_pci_add_acs(&s->pci);
    return 0;
}

static void port_reset(struct vr_dev *d)
{
    vr_pci_reset(d);
    vr_pci_bus_remap(&PORT(d)->bus);
}

static int port_loaded(struct vr_dev *d, struct vr_error *err)
{
    int r = vr_pci_loaded(d, err);
    if (r == 0) {
        vr_pci_bus_remap(&PORT(d)->bus);
    }
    return r;
}

#define VR_SELF struct root_port
static const struct vr_field port_fields[] = {
    VR_PCI_FIELDS(pci),
    VR_CONFIG(slot, "number of the slot, as the guest sees it", .def = 1, .max = 0x1fff),
    VR_HOST(bus, "the bus behind it: who is plugged in, made by the board"),
    VR_FIELD_END,
};

const struct vr_dev_class vr_pci_root_port_class = {
    .name = "pci-root-port",
    .help = "PCI Express root port, with a slot",
    .size = sizeof(struct root_port),
    .pci = offsetof(struct root_port, pci),
    .version = 1,
    .fields = port_fields,
    .windows = {VR_PCI_CONFIG_WINDOW},
    .init = port_init,
    .reset = port_reset,
    .loaded = port_loaded,
    .fini = vr_pci_fini,
};

/* A PCI Express root port: a bridge from the root bus to a bus of its own, with one slot. */
#ifndef VR_DEV_PCI_ROOT_PORT_H
#define VR_DEV_PCI_ROOT_PORT_H

#include "dev/pci/bus.h"

extern const struct vr_dev_class vr_pci_root_port_class;

/* The bus behind it, once it is plugged in. */
struct vr_pci_bus *vr_pci_root_port_bus(struct vr_dev *dev);

#endif

/* PCI bridges without a slot: a switch's upstream port, and a bridge to conventional PCI. The bus
 * behind each is vr_pci_of(dev)->host.below. */
#ifndef VR_DEV_PCI_BRIDGE_H
#define VR_DEV_PCI_BRIDGE_H

#include "core/dev.h"

extern const struct vr_dev_class vr_pci_upstream_port_class, vr_pci_bridge_class;

#endif

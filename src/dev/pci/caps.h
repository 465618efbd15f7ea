/* Capabilities that functions of several kinds have. Each is added in the device's init hook. */
#ifndef VR_DEV_PCI_CAPS_H
#define VR_DEV_PCI_CAPS_H

#include "dev/pci/pci.h"

enum { VR_PCI_PM_CSR = 4 }; /* offset in the power management capability */

/* Power management: D0 and D3hot, in which it neither decodes nor masters. */
void vr_pci_add_power(struct vr_pci *pci);

/* PCI Express capability. A VF has the link's that its PF shows. */
enum vr_pci_express_type {
    VR_PCI_ENDPOINT = 0,
    VR_PCI_ROOT_PORT = 4,
    VR_PCI_UPSTREAM = 5,   /* port of a switch */
    VR_PCI_DOWNSTREAM = 6, /* likewise */
    VR_PCI_BRIDGE = 7,     /* to a conventional bus */
    VR_PCI_INTEGRATED = 9, /* what an endpoint on the root bus is; chosen when it is plugged in */
};
/* Offsets in it. */
enum {
    VR_PCI_EXP_FLAGS = 0x02,
    VR_PCI_EXP_DEVCAP = 0x04,
    VR_PCI_EXP_DEVCTL = 0x08,
    VR_PCI_EXP_DEVSTA = 0x0a,
    VR_PCI_EXP_LINKCAP = 0x0c,
    VR_PCI_EXP_LINKCTL = 0x10,
    VR_PCI_EXP_LINKSTA = 0x12,
    VR_PCI_EXP_SLOTCAP = 0x14,
    VR_PCI_EXP_SLOTCTL = 0x18,
    VR_PCI_EXP_SLOTSTA = 0x1a,
    VR_PCI_EXP_ROOTCTL = 0x1c,
    VR_PCI_EXP_DEVCAP2 = 0x24,
    VR_PCI_EXP_DEVCTL2 = 0x28,
    VR_PCI_EXP_LINKCAP2 = 0x2c,
    VR_PCI_EXP_LINKCTL2 = 0x30,
};
void vr_pci_add_express(struct vr_pci *pci, enum vr_pci_express_type type);
/* Does it have one, hidden or not, and which? */
bool vr_pci_is_express(const struct vr_pci *pci, enum vr_pci_express_type type);
/* The bus says where it is: endpoints are integrated on the root bus; what is on a conventional bus
 * shows no such capability, nor does a bridge that is not behind a link. */
void vr_pci_express_plugged(struct vr_pci *pci, const struct vr_pci_bus *bus);

/* Message-signalled interrupts: @count (a power of two, up to 32) vectors with masks. */
void vr_pci_add_msi(struct vr_pci *pci, unsigned count);
bool vr_pci_msi_enabled(const struct vr_pci *pci);
/* Send message @vector, or note it while it is masked. Under the device's lock; MSI is enabled. The
 * guest may have enabled fewer than there are: they share, the number's low bits count. */
void vr_pci_msi_notify(struct vr_pci *pci, unsigned vector);

/* Advanced error reporting; a root port's has the registers of its root complex, too. */
enum {
    VR_PCI_AER_UNCORR = 0x04,
    VR_PCI_AER_UNCORR_MASK = 0x08,
    VR_PCI_AER_SEVERITY = 0x0c,
    VR_PCI_AER_CORR = 0x10,
    VR_PCI_AER_CORR_MASK = 0x14,
    VR_PCI_AER_CONTROL = 0x18,
    VR_PCI_AER_LOG = 0x1c,
    VR_PCI_AER_ROOT_CMD = 0x2c,
    VR_PCI_AER_ROOT_STATUS = 0x30,
    VR_PCI_AER_SOURCE = 0x34,
};
void vr_pci_add_aer(struct vr_pci *pci, bool root);

/* Access control services: all that a root port does anyway. */
void vr_pci_add_acs(struct vr_pci *pci);

#endif

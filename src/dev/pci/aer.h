/* Errors that a function reports: advanced error reporting, up to its root port. */
#ifndef VR_DEV_PCI_AER_H
#define VR_DEV_PCI_AER_H

#include "dev/pci/pci.h"

struct vr_pci_error {
    bool correctable;
    uint8_t bit;        /* of the (un)correctable error status register */
    uint32_t header[4]; /* of the packet, for uncorrectable errors that have one */
};

/* Note @error in @dev (a function with AER that is plugged in) and, unless the guest masked it,
 * tell the root port above, which interrupts if it shall. On the root bus there is nobody to tell;
 * on a conventional bus there are no such messages, and nothing is noted. No device's lock held. */
void vr_pci_report(struct vr_dev *dev, const struct vr_pci_error *error);

#endif

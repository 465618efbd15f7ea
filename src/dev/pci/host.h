/* The board's side of the PCI Express host bridge. */
#ifndef VR_DEV_PCI_HOST_H
#define VR_DEV_PCI_HOST_H

#include "dev/pci/bus.h"

enum { VR_PCI_HOST_ECAM = 1 }; /* its window for configuration space */
#define VR_PCI_ECAM_LEN (UINT64_C(256) << 20)

extern const struct vr_dev_class vr_pci_host_class;

struct vr_pci_root *vr_pci_host_root(struct vr_dev *dev);
/* The wire of line @line (0 to 3), for the board. */
struct vr_irq *vr_pci_host_intx(struct vr_dev *dev, unsigned line);
/* How the lines are described to the guest: cells of each (its number, and a trigger where the
 * controller has two cells), and the controllers messages go to (phandle; 0: none). Before
 * describe.
 */
void vr_pci_host_wiring(struct vr_dev *dev, const uint32_t *cells, unsigned cells_each,
                        uint32_t msi_parent);

#endif

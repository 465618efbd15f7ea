/* A small PCI Express machine for tests: a host bridge, root ports, a toy function with all kinds
 * of windows and interrupts, and a driver's accesses through the address space. */
#ifndef VR_TEST_PCI_RIG_H
#define VR_TEST_PCI_RIG_H

#include "dev/pci/host.h"
#include "dev/pci/msix.h"
#include "dev/pci/port.h"
#include "dev/pci/sriov.h"
#include "rig.h"

#define PCI_ECAM UINT64_C(0x30000000)
#define PCI_IO   UINT64_C(0x3000000)
#define PCI_MSI  UINT64_C(0x28000000) /* who takes messages, 4 KiB */
enum { PCI_BUS_MAX = 8 };

struct pci_rig {
    struct rig rig;
    struct vr_dev *host, *sink; /* sink: takes messages */
    struct sink line[VR_PCI_INTX];
    struct vr_view_cache cache;
};

void pci_rig_init(struct pci_rig *r);
void pci_rig_fini(struct pci_rig *r);
/* Create a device of @cls and plug it in; the test's to destroy, before the rig. */
struct vr_dev *pci_rig_add(struct pci_rig *r, const struct vr_dev_class *cls, const char *id,
                           const char *opts, struct vr_pci_bus *bus, unsigned devfn);

uint32_t pci_cfg(struct pci_rig *r, unsigned bus, unsigned devfn, unsigned off, unsigned width);
void pci_cfg_set(struct pci_rig *r, unsigned bus, unsigned devfn, unsigned off, unsigned width,
                 uint32_t val);
/* Where capability @id (extended: of the second list) is; 0: it has none. */
unsigned pci_cap(struct pci_rig *r, unsigned bus, unsigned devfn, unsigned id, bool extended);
/* An access by the CPU; all ones where nothing is. */
uint64_t pci_peek(struct pci_rig *r, uint64_t gpa, unsigned width);
bool pci_poke(struct pci_rig *r, uint64_t gpa, unsigned width, uint64_t val);
/* Messages that came so far, and the last one's data. */
unsigned pci_messages(struct pci_rig *r, uint32_t *ret_last);

/* The toy: BAR 0 32-bit memory of 4 KiB, BAR 1 ports (256), BAR 2 64-bit prefetchable memory of 64
 * KiB, BAR 4 its MSI-X table; a register at offset 0 of each that holds what is written, and in BAR
 * 0 at 8 its INTx pin, at 0xc "interrupt": MSI-X or MSI vector. With option vfs it is a PF, whose
 * VFs are toys with option vf. */
extern const struct vr_dev_class pci_toy_class;
struct pci_toy {
    struct vr_dev dev;
    struct vr_pci pci;
    struct vr_msix msix;
    uint32_t reg, port_reg;
    uint64_t big;
    uint16_t vfs, offset, stride; /* options */
    bool vf;
    struct vr_pci_sriov sriov;
};

#endif

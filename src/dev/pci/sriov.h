/*
 * Single root I/O virtualization: a physical function (PF) that can be told to bring virtual
 * functions (VFs) into being. Each VF is a device of its own, made with the PF and kept out of the
 * guest's sight until the PF's capability enables it.
 *
 * A PF embeds a struct vr_pci_sriov (VR_HOST in its table: all that counts is in the configuration
 * space) and adds the capability in init. A VF is a device of the PF's class whose init calls
 * vr_pci_init_vf in place of vr_pci_init; after the PF was plugged in, vr_pci_sriov_attach ties
 * them together. A VF's registers stand in the PF's VF base addresses, one VF behind the other; it
 * has neither a pin nor base addresses of its own, and its vendor and device read as all ones.
 *
 * Locks: as for all of configuration space; a PF's lock is taken before its VFs'.
 *
 * Specification: PCI Express Base 6.0, chapter 9 and 7.8.8 (ARI).
 */
#ifndef VR_DEV_PCI_SRIOV_H
#define VR_DEV_PCI_SRIOV_H

#include "dev/pci/pci.h"

enum { VR_PCI_VFS = 64 };

/* Offsets in the capability, and bits of its control register. */
enum {
    VR_PCI_SRIOV_CONTROL = 0x08,
    VR_PCI_SRIOV_INITIAL = 0x0c,
    VR_PCI_SRIOV_TOTAL = 0x0e,
    VR_PCI_SRIOV_NUM = 0x10,
    VR_PCI_SRIOV_LINK = 0x12,
    VR_PCI_SRIOV_OFFSET = 0x14,
    VR_PCI_SRIOV_STRIDE = 0x16,
    VR_PCI_SRIOV_DEVICE = 0x1a,
    VR_PCI_SRIOV_PAGES = 0x1c,
    VR_PCI_SRIOV_PAGE = 0x20,
    VR_PCI_SRIOV_BAR = 0x24,
};
enum {
    VR_PCI_SRIOV_ENABLE = 1,
    VR_PCI_SRIOV_MEM = 8,
    VR_PCI_SRIOV_ARI = 16,
};

struct vr_pci_sriov {
    struct vr_pci *pf;
    unsigned total;
    /* What the capability's registers were found to say, once nonsense was taken back. */
    unsigned num, page;
    bool on;
    struct vr_pci *vf[VR_PCI_VFS]; /* NULL: nobody made it, and nobody answers */
};

/* In a PF's init: up to @total VFs of device id @device; the first one's routing id is the PF's
 * plus
 * @offset, the others follow in steps of @stride. */
void vr_pci_add_sriov(struct vr_pci *pci, struct vr_pci_sriov *sriov, unsigned total,
                      uint16_t device, uint16_t offset, uint16_t stride);
/* In the init of PFs and VFs: alternative routing ids, so that a port with ARI forwarding lets
 * function numbers above 7 through. */
void vr_pci_add_ari(struct vr_pci *pci);
/* In a VF's init, in place of vr_pci_init. */
void vr_pci_init_vf(struct vr_dev *dev, const struct vr_pci_class *cls);

/* Make @vf the PF's VF @index; no CPU runs, or the host bridge's lock is held. -EINVAL: @pf is no
 * PF, is not plugged in, or @vf is another kind of device; -EBUSY: there is one. It goes when the
 * VF is destroyed. */
int vr_pci_sriov_attach(struct vr_pci *pf, unsigned index, struct vr_pci *vf,
                        struct vr_error *err) VR_MUST;

/* The VF at routing id @rid, counted from the PF's bus (bus << 8 | devfn); NULL: none is enabled
 * there. */
struct vr_pci *vr_pci_sriov_find(const struct vr_pci *pf, unsigned rid);
/* How many buses behind its PF's a VF is. */
unsigned vr_pci_sriov_bus(const struct vr_pci *vf);

/* For pci.c and bus.c; the PF's lock is held. */
void vr_pci_sriov_remap(struct vr_pci *pf);
void vr_pci_sriov_was_reset(struct vr_pci *pf);
int vr_pci_sriov_loaded(struct vr_pci *pf, struct vr_error *err) VR_MUST;
void vr_pci_sriov_plugged(struct vr_pci *pf);
void vr_pci_sriov_unplugged(struct vr_pci *pf);
void vr_pci_sriov_detach(struct vr_pci *pci); /* it goes: PF or VF */
/* Where @bar of a VF is; false: nowhere now. */
bool vr_pci_sriov_addr(const struct vr_pci *vf, unsigned bar, uint64_t *ret_addr);

#endif

/*
 * MSI-X: a table of messages in a window of the function, each with a mask, and pending bits for
 * those that came while masked.
 *
 * A device embeds a struct vr_msix, declares it by VR_MSIX_FIELDS, gives it a window by
 * VR_MSIX_WINDOW, and calls vr_msix_init in its init hook.
 *
 * Specification: PCI Local Bus 3.0, 6.8.2.
 */
#ifndef VR_DEV_PCI_MSIX_H
#define VR_DEV_PCI_MSIX_H

#include "dev/pci/pci.h"

enum { VR_MSIX_MAX = 65, VR_MSIX_LEN = 4096, VR_MSIX_PENDING = 0x800 };

struct vr_msix_host {
    struct vr_pci *pci;
    unsigned count;
    unsigned cap; /* where the capability is */
    uint64_t sent, dropped;
};

struct vr_msix {
    uint64_t addr[VR_MSIX_MAX];
    uint64_t pending[2];
    uint32_t data[VR_MSIX_MAX];
    bool masked[VR_MSIX_MAX];
    struct vr_msix_host host;
};
extern const struct vr_field vr_msix_fields[];
extern const struct vr_reg vr_msix_regs[];

#define VR_MSIX_FIELDS(m)                                                              \
    {                                                                                  \
        .name = "msix", .offset = offsetof(VR_SELF, m), .count = 1,                    \
        .elem_size = sizeof(struct vr_msix), .type = VR_STRUCT, .role = VR_ROLE_STATE, \
        .sub = vr_msix_fields, .help = "MSI-X table",                                  \
    }
#define VR_MSIX_WINDOW                                           \
    {                                                            \
        .name = "msix", .len = VR_MSIX_LEN, .regs = vr_msix_regs \
    }

/* @count messages; the table is in base address register @bar. */
void vr_msix_init(struct vr_pci *pci, struct vr_msix *msix, unsigned count, unsigned bar);
int vr_msix_loaded(struct vr_msix *msix, struct vr_error *err) VR_MUST;
bool vr_msix_enabled(const struct vr_pci *pci);
/* Send message @vector, or note it while it is masked. Under the device's lock; MSI-X is enabled,
 * or nothing happens. */
void vr_msix_notify(struct vr_msix *msix, unsigned vector);

#endif

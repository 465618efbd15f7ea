/*
 * Message-signalled interrupts: a 32-bit write by a device, to an address that the guest chose.
 *
 * A device may reach RAM and interrupt controllers with it, never another device's registers
 * (THREATS 6): a window that takes messages says so (struct vr_window, `msi`).
 */
#ifndef VR_CORE_MSI_H
#define VR_CORE_MSI_H

#include "core/dev.h"

/* Write msi->data at msi->addr on behalf of @from, whose lock is held; takes the lock of the
 * interrupt controller that owns the address. False: nothing there takes messages, a guest error
 * of @from, counted. */
bool vr_msi_send(struct vr_dev *from, const struct vr_msi *msi);

#endif

/* PCI Express ports with a slot: a bridge to a bus of its own, from the root bus (a root port) or
 * from the inside of a switch (its downstream port). */
#ifndef VR_DEV_PCI_PORT_H
#define VR_DEV_PCI_PORT_H

#include "dev/pci/bus.h"

extern const struct vr_dev_class vr_pci_root_port_class, vr_pci_downstream_port_class;

bool vr_pci_has_slot(const struct vr_dev *dev); /* is it one of these? */

/*
 * Its slot, for a machine that runs. What is plugged in by vr_pci_plug before the guest begins is
 * just there. None of these with a device's lock held; they take the host bridge's, then the
 * port's.
 */
/* Put @pci (function 0 of a device that is nowhere yet) into the slot and tell the guest. -EBUSY.
 */
int vr_pci_slot_insert(struct vr_dev *port, struct vr_pci *pci, struct vr_error *err) VR_MUST;
/* Press the attention button: ask the guest to let the device go. It agrees by taking the slot's
 * power away, or refuses by showing the power as on again after it blinked; either calls what
 * vr_pci_slot_on_answer was given. -ENODEV: the slot is empty. */
int vr_pci_slot_ask(struct vr_dev *port, struct vr_error *err) VR_MUST;
/* @fn runs under the host bridge's and the port's lock: it may only note, or post. */
void vr_pci_slot_on_answer(struct vr_dev *port,
                           void (*fn)(void *opaque, struct vr_dev *port, bool agrees),
                           void *opaque);
/* Take the device out, whether or not the guest agreed: it is reset, nothing of it is in flight any
 * more, and then the guest is told. NULL: there is none. The caller destroys it. It may wait: not
 * on the loop's thread. */
struct vr_pci *vr_pci_slot_remove(struct vr_dev *port);
/* How the slot looks to the guest. The device in it, or NULL, does not come or go meanwhile. */
struct vr_pci_slot {
    struct vr_pci *pci;
    bool power, asked; /* asked: to let it go, and it has not answered */
};
void vr_pci_slot_get(struct vr_dev *port, struct vr_pci_slot *ret_slot);

/* An error message arrived, from the port itself (NULL) or @from behind it: for vr_pci_report, with
 * the host bridge's lock held. */
enum vr_pci_message { VR_PCI_ERR_COR, VR_PCI_ERR_NONFATAL, VR_PCI_ERR_FATAL };
void vr_pci_root_port_message(struct vr_dev *port, enum vr_pci_message message,
                              const struct vr_pci *from);

#endif

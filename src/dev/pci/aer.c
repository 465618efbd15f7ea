/*
 * Advanced error reporting: what a function notes, and when a message goes up.
 * Specification: PCI Express Base 6.0, 6.2 (signaling and logging), 7.8.4.
 */
#include "dev/pci/aer.h"

#include "base/bits.h"
#include "dev/pci/bus.h"
#include "dev/pci/caps.h"
#include "dev/pci/port.h"

enum { DEVSTA_CORRECTABLE = 1, DEVSTA_NONFATAL = 2, DEVSTA_FATAL = 4 };

static uint32_t aer_get(const struct vr_pci *pci, unsigned reg)
{
    return vr_pci_get(pci, pci->host.aer + reg, 4);
}

static void aer_or(struct vr_pci *pci, unsigned reg, uint32_t bits)
{
    vr_pci_put(pci, pci->host.aer + reg, 4, aer_get(pci, reg) | bits);
}

/* The first unmasked uncorrectable error leaves its number and its packet. */
static void aer_log(struct vr_pci *pci, const struct vr_pci_error *e)
{
    if (aer_get(pci, VR_PCI_AER_UNCORR) & ~aer_get(pci, VR_PCI_AER_UNCORR_MASK)) {
        return;
    }
    vr_pci_put(pci, pci->host.aer + VR_PCI_AER_CONTROL, 4,
               (aer_get(pci, VR_PCI_AER_CONTROL) & ~UINT32_C(0x1f)) | e->bit);
    for (unsigned i = 0; i < VR_COUNT(e->header); i++) {
        vr_pci_put(pci, pci->host.aer + VR_PCI_AER_LOG + 4 * i, 4, e->header[i]);
    }
}

/* Under the function's lock. Does a message go up? */
static bool aer_note(struct vr_pci *pci, const struct vr_pci_error *e,
                     enum vr_pci_message *ret_message)
{
    uint32_t bit = UINT32_C(1) << e->bit;
    unsigned exp = pci->host.express;
    bool fatal = !e->correctable && (aer_get(pci, VR_PCI_AER_SEVERITY) & bit);
    unsigned seen = e->correctable ? DEVSTA_CORRECTABLE : fatal ? DEVSTA_FATAL : DEVSTA_NONFATAL;
    unsigned mask = e->correctable ? VR_PCI_AER_CORR_MASK : VR_PCI_AER_UNCORR_MASK;
    bool masked = aer_get(pci, mask) & bit;
    if (!e->correctable && !masked) {
        aer_log(pci, e);
    }
    aer_or(pci, e->correctable ? VR_PCI_AER_CORR : VR_PCI_AER_UNCORR, bit);
    vr_pci_put(pci, exp + VR_PCI_EXP_DEVSTA, 2, vr_pci_get(pci, exp + VR_PCI_EXP_DEVSTA, 2) | seen);
    *ret_message = e->correctable ? VR_PCI_ERR_COR : fatal ? VR_PCI_ERR_FATAL : VR_PCI_ERR_NONFATAL;
    /* Device control enables each kind with the bit that device status notes it with. */
    return !masked && (vr_pci_get(pci, exp + VR_PCI_EXP_DEVCTL, 2) & seen);
}

void vr_pci_report(struct vr_dev *dev, const struct vr_pci_error *error)
{
    struct vr_pci *pci = vr_pci_of(dev);
    enum vr_pci_message message;
    vr_assert(pci && pci->host.aer && pci->host.bus && error->bit < 32);
    if (!pci->host.express) {
        return;
    }
    struct vr_dev *root = pci->host.bus->root->dev;
    vr_dev_lock(root);
    vr_dev_lock(dev);
    bool up = aer_note(pci, error, &message);
    vr_dev_unlock(dev);
    const struct vr_pci *top = pci;
    while (top->host.bus->bridge) {
        top = top->host.bus->bridge;
    }
    if (up && vr_pci_is_express(top, VR_PCI_ROOT_PORT)) {
        vr_pci_root_port_message(top->host.dev, message, top == pci ? NULL : pci);
    }
    vr_dev_unlock(root);
}

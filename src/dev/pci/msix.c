/* MSI-X. See msix.h. */
#include "dev/pci/msix.h"

#include "base/bits.h"
#include "core/msi.h"

#include <errno.h>

enum { ID_MSIX = 0x11, CONTROL = 2, TABLE = 4, PENDING = 8 };
enum { ENABLE = 0x8000, MASK_ALL = 0x4000, MASKED = 1 };

static struct vr_msix *msix_of(struct vr_dev *dev)
{
    return vr_pci_of(dev)->host.msix;
}

static unsigned msix_control(const struct vr_msix *m)
{
    return vr_pci_get(m->host.pci, m->host.cap + CONTROL, 2);
}

bool vr_msix_enabled(const struct vr_pci *pci)
{
    return pci->host.msix && (msix_control(pci->host.msix) & ENABLE);
}

static bool msix_masked(const struct vr_msix *m, unsigned i)
{
    return (msix_control(m) & MASK_ALL) || (m->masked[i]);
}

static void msix_send(struct vr_msix *m, unsigned i)
{
    const struct vr_msi msi = {.addr = m->addr[i], .data = m->data[i]};
    if (!vr_pci_is_master(m->host.pci) || !vr_msi_send(m->host.pci->host.dev, &msi)) {
        m->host.dropped++;
    } else {
        m->host.sent++;
    }
}

void vr_msix_notify(struct vr_msix *m, unsigned vector)
{
    if (vector >= m->host.count || !(msix_control(m) & ENABLE)) {
        return;
    }
    if (msix_masked(m, vector)) {
        m->pending[vector / 64] |= UINT64_C(1) << vector % 64;
    } else {
        msix_send(m, vector);
    }
}

/* Send what waited for a mask that is gone. */
static void msix_flush(struct vr_msix *m, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        uint64_t bit = UINT64_C(1) << i % 64;
        if ((m->pending[i / 64] & bit) && (msix_control(m) & ENABLE) && !msix_masked(m, i)) {
            m->pending[i / 64] &= ~bit;
            msix_send(m, i);
        }
    }
}

static bool msix_at(struct vr_dev *dev, unsigned i)
{
    if (i < msix_of(dev)->host.count) {
        return true;
    }
    vr_guest_error(dev, "MSI-X: message %u of %u", i, msix_of(dev)->host.count);
    return false;
}

static uint64_t msix_read_low(struct vr_dev *dev, unsigned i)
{
    return msix_at(dev, i) ? (uint32_t)msix_of(dev)->addr[i] : 0;
}

static void msix_write_low(struct vr_dev *dev, unsigned i, uint64_t val)
{
    if (msix_at(dev, i)) {
        uint64_t *addr = &msix_of(dev)->addr[i];
        *addr = (*addr & ~(uint64_t)UINT32_MAX) | (val & ~UINT64_C(3));
    }
}

static uint64_t msix_read_high(struct vr_dev *dev, unsigned i)
{
    return msix_at(dev, i) ? msix_of(dev)->addr[i] >> 32 : 0;
}

static void msix_write_high(struct vr_dev *dev, unsigned i, uint64_t val)
{
    if (msix_at(dev, i)) {
        uint64_t *addr = &msix_of(dev)->addr[i];
        *addr = (uint32_t)*addr | val << 32;
    }
}

static uint64_t msix_read_data(struct vr_dev *dev, unsigned i)
{
    return msix_at(dev, i) ? msix_of(dev)->data[i] : 0;
}

static void msix_write_data(struct vr_dev *dev, unsigned i, uint64_t val)
{
    if (msix_at(dev, i)) {
        msix_of(dev)->data[i] = (uint32_t)val;
    }
}

static uint64_t msix_read_control(struct vr_dev *dev, unsigned i)
{
    return msix_at(dev, i) ? msix_of(dev)->masked[i] : 0;
}

static void msix_write_control(struct vr_dev *dev, unsigned i, uint64_t val)
{
    if (msix_at(dev, i)) {
        msix_of(dev)->masked[i] = val & MASKED;
        msix_flush(msix_of(dev), i, i + 1);
    }
}

static uint64_t msix_read_pending(struct vr_dev *dev, unsigned i)
{
    return (uint32_t)(msix_of(dev)->pending[i / 2] >> (32 * (i % 2)));
}

static void msix_write_pending(struct vr_dev *dev, unsigned i, uint64_t val)
{
    (void)i;
    vr_guest_error(dev, "MSI-X: pending bits written (0x%x)", (unsigned)val);
}

const struct vr_reg vr_msix_regs[] = {
    VR_REG(0x0, 4, "MSIX_ADDR", "message address", .flex = true, .count = VR_MSIX_MAX, .stride = 16,
           .read = msix_read_low, .write = msix_write_low),
    VR_REG(0x4, 4, "MSIX_ADDR_HIGH", "its upper half", .count = VR_MSIX_MAX, .stride = 16,
           .read = msix_read_high, .write = msix_write_high),
    VR_REG(0x8, 4, "MSIX_DATA", "message", .flex = true, .count = VR_MSIX_MAX, .stride = 16,
           .read = msix_read_data, .write = msix_write_data),
    VR_REG(0xc, 4, "MSIX_CONTROL", "1: masked", .count = VR_MSIX_MAX, .stride = 16,
           .read = msix_read_control, .write = msix_write_control),
    VR_REG(VR_MSIX_PENDING, 4, "MSIX_PENDING", "waiting for their mask", .flex = true, .count = 4,
           .stride = 4, .read = msix_read_pending, .write = msix_write_pending),
    VR_REG_END,
};

static void msix_written(struct vr_pci *pci, unsigned off, unsigned width)
{
    (void)off;
    (void)width;
    msix_flush(pci->host.msix, 0, pci->host.msix->host.count);
    vr_pci_sync_intx(pci);
}

static const struct vr_pci_reg msix_cap_regs[] = {
    VR_PCI_REG(2, 2, "MSIX_CONTROL", "enable, mask all, size", .wmask = ENABLE | MASK_ALL),
    VR_PCI_REG(4, 4, "MSIX_TABLE", "where the table is"),
    VR_PCI_REG(8, 4, "MSIX_PBA", "where the pending bits are"),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap msix_cap = {
    .name = "msix",
    .id = ID_MSIX,
    .len = 12,
    .regs = msix_cap_regs,
    .written = msix_written,
};

void vr_msix_init(struct vr_pci *pci, struct vr_msix *m, unsigned count, unsigned bar)
{
    vr_assert(count >= 1 && count <= VR_MSIX_MAX);
    unsigned at = vr_pci_add_cap(pci, &msix_cap);
    m->host = (struct vr_msix_host){.pci = pci, .count = count, .cap = at};
    vr_pci_set_def(pci, at + CONTROL, 2, count - 1);
    vr_pci_set_def(pci, at + TABLE, 4, bar);
    vr_pci_set_def(pci, at + PENDING, 4, VR_MSIX_PENDING | bar);
    pci->host.msix = m;
}

int vr_msix_loaded(struct vr_msix *m, struct vr_error *err)
{
    uint64_t past = 0;
    for (unsigned i = m->host.count; i < 128; i++) {
        past |= m->pending[i / 64] >> i % 64 & 1;
    }
    for (unsigned i = 0; i < VR_MSIX_MAX; i++) {
        bool there = i < m->host.count;
        if ((m->addr[i] & 3) || (!there && (m->addr[i] || m->data[i] || !m->masked[i]))) {
            return vr_err(err, -ERANGE, "MSI-X message %u is not as it may be", i);
        }
    }
    return past ? vr_err(err, -ERANGE, "MSI-X messages beyond %u are pending", m->host.count) : 0;
}

#define VR_SELF struct vr_msix
const struct vr_field vr_msix_fields[] = {
    VR_STATE_ARRAY(addr, "where the messages go"),
    VR_STATE_ARRAY(pending, "messages that wait for their mask, a bit each"),
    VR_STATE_ARRAY(data, "the messages"),
    VR_STATE_ARRAY(masked, "messages that are held back", .def = true),
    VR_HOST(host, "the function, set by init; counters"),
    VR_FIELD_END,
};

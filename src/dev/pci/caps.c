/*
 * Capabilities that functions of several kinds have.
 *
 * Specifications: PCI Power Management 1.2; PCI Express Base 6.0, 7.5.2 (power management), 7.5.3
 * (PCI Express), 7.7.11 (ACS), 7.8.4 (AER); PCI Local Bus 3.0, 6.8.1 (MSI); PCI Express to
 * PCI/PCI-X Bridge 1.0, 5.1 (its PCI Express capability).
 */
#include "dev/pci/caps.h"

#include "base/bits.h"
#include "core/msi.h"
#include "dev/pci/bus.h"

enum { ID_POWER = 0x01, ID_MSI = 0x05, ID_EXPRESS = 0x10, EXT_AER = 0x01, EXT_ACS = 0x0d };

/* --- Power management --- */

static void power_written(struct vr_pci *pci, unsigned off, unsigned width)
{
    (void)off;
    (void)width;
    uint8_t *csr = &pci->config[pci->host.power + VR_PCI_PM_CSR];
    if ((*csr & 3) == 1 || (*csr & 3) == 2) { /* D1, D2 are not there: the write does nothing */
        *csr &= (uint8_t)~3;
    }
    vr_pci_remap(pci);
    vr_pci_sync_intx(pci);
    if (pci->host.cls->written) {
        pci->host.cls->written(pci, VR_PCI_COMMAND, 2); /* mastering may have changed */
    }
}

static const struct vr_pci_reg power_regs[] = {
    VR_PCI_REG(2, 2, "PM_CAP", "version 3, no PME", .def = 3),
    VR_PCI_REG(4, 2, "PM_CSR", "power state; nothing is lost in D3hot", .def = 8, .wmask = 3),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap power_cap = {
    .name = "power",
    .id = ID_POWER,
    .len = 8,
    .regs = power_regs,
    .written = power_written,
};

void vr_pci_add_power(struct vr_pci *pci)
{
    pci->host.power = (uint16_t)vr_pci_add_cap(pci, &power_cap);
}

/* --- PCI Express --- */

enum {
    DEVCAP_FLR = 1 << 28,
    DEVCTL_FLR = 0x8000,
    LINK = 0x0011, /* 2.5 GT/s, one lane */
    LINK_ACTIVE = 0x2000,
    LINKCAP_REPORTS = 1 << 20,
};

/* A device may look after writes, in struct vr_pci_class, by this. */
static void express_written(struct vr_pci *pci, unsigned off, unsigned width)
{
    unsigned ctl = pci->host.express + VR_PCI_EXP_DEVCTL;
    if (vr_pci_get(pci, ctl, 2) & DEVCTL_FLR) {
        vr_pci_put(pci, ctl, 2, vr_pci_get(pci, ctl, 2) & ~(uint32_t)DEVCTL_FLR);
        vr_pci_function_reset(pci);
        return;
    }
    if (pci->host.cls->written) {
        pci->host.cls->written(pci, pci->host.express + off, width);
    }
}

#define EXPRESS_CAP(table)                                                 \
    {                                                                      \
        .name = "express", .id = ID_EXPRESS, .len = 0x3c, .regs = (table), \
        .written = express_written,                                        \
    }

#define EXPRESS_REGS(flr)                                                                 \
    VR_PCI_REG(0x02, 2, "EXP_FLAGS", "version 2, type, slot", .def = 2),                  \
        VR_PCI_REG(0x04, 4, "DEVCAP", "what it can", .def = 0x8000),                      \
        VR_PCI_REG(0x08, 2, "DEVCTL", "what it reports, how it transfers", .def = 0x2810, \
                   .wmask = 0x781f | (flr)),                                              \
        VR_PCI_REG(0x0a, 2, "DEVSTA", "errors seen", .w1c = 0x000f),                      \
        VR_PCI_REG(0x24, 4, "DEVCAP2", "what else it can"),                               \
        VR_PCI_REG(0x2a, 2, "DEVSTA2", "nothing")

static const struct vr_pci_reg endpoint_regs[] = {
    EXPRESS_REGS(DEVCTL_FLR),
    VR_PCI_REG(0x0c, 4, "LINKCAP", "speed and width; 0 on the root bus"),
    VR_PCI_REG(0x10, 2, "LINKCTL", "storage", .wmask = 0x00c0),
    VR_PCI_REG(0x12, 2, "LINKSTA", "speed and width"),
    VR_PCI_REG(0x28, 2, "DEVCTL2", "nothing"),
    VR_PCI_REG(0x2c, 4, "LINKCAP2", "speeds"),
    VR_PCI_REG(0x30, 2, "LINKCTL2", "speed wanted", .wmask = 0x000f),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap endpoint_cap = EXPRESS_CAP(endpoint_regs);

/* 9.5.3: settings are the PF's. */
static const struct vr_pci_reg vf_regs[] = {
    VR_PCI_REG(0x02, 2, "EXP_FLAGS", "version 2, type", .def = 2),
    VR_PCI_REG(0x04, 4, "DEVCAP", "what it can", .def = 0x8000),
    VR_PCI_REG(0x08, 2, "DEVCTL", "reset", .wmask = DEVCTL_FLR),
    VR_PCI_REG(0x0a, 2, "DEVSTA", "errors seen", .w1c = 0x000f),
    VR_PCI_REG(0x0c, 4, "LINKCAP", "speed and width; 0 on the root bus"),
    VR_PCI_REG(0x24, 4, "DEVCAP2", "what else it can"),
    VR_PCI_REG(0x2c, 4, "LINKCAP2", "speeds"),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap vf_cap = EXPRESS_CAP(vf_regs);

/* A port with a link below it and a slot. */
#define PORT_REGS                                                                             \
    EXPRESS_REGS(0),                                                                          \
        VR_PCI_REG(0x0c, 4, "LINKCAP", "speed, width, tells whether it is up",                \
                   .def = LINK | LINKCAP_REPORTS),                                            \
        VR_PCI_REG(0x10, 2, "LINKCTL", "storage", .wmask = 0x00d0),                           \
        VR_PCI_REG(0x12, 2, "LINKSTA", "speed, width, up", .def = LINK, .live = LINK_ACTIVE), \
        VR_PCI_REG(0x14, 4, "SLOTCAP", "what the slot can, its number"),                      \
        VR_PCI_REG(0x18, 2, "SLOTCTL", "events wanted, indicators, power", .def = 0x03c0,     \
                   .wmask = 0x17ff),                                                          \
        VR_PCI_REG(0x1a, 2, "SLOTSTA", "events, presence", .w1c = 0x011f, .live = 0x0040),    \
        VR_PCI_REG(0x28, 2, "DEVCTL2", "alternative routing ids", .wmask = 0x0020),           \
        VR_PCI_REG(0x2c, 4, "LINKCAP2", "speeds", .def = 2),                                  \
        VR_PCI_REG(0x30, 2, "LINKCTL2", "speed wanted", .def = 1, .wmask = 0x000f)

static const struct vr_pci_reg root_port_regs[] = {
    PORT_REGS,
    VR_PCI_REG(0x1c, 2, "ROOTCTL", "errors that interrupt, PME", .wmask = 0x000f),
    VR_PCI_REG(0x20, 4, "ROOTSTA", "PME: none ever", .w1c = 0x00010000),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap root_port_cap = EXPRESS_CAP(root_port_regs);

static const struct vr_pci_reg downstream_regs[] = {PORT_REGS, VR_PCI_REG_END};
static const struct vr_pci_cap downstream_cap = EXPRESS_CAP(downstream_regs);

/* A bridge with a link above it. */
static const struct vr_pci_reg upstream_regs[] = {
    EXPRESS_REGS(0),
    VR_PCI_REG(0x0c, 4, "LINKCAP", "speed and width", .def = LINK),
    VR_PCI_REG(0x10, 2, "LINKCTL", "storage", .wmask = 0x00c0),
    VR_PCI_REG(0x12, 2, "LINKSTA", "speed and width", .def = LINK),
    VR_PCI_REG(0x28, 2, "DEVCTL2", "nothing"),
    VR_PCI_REG(0x2c, 4, "LINKCAP2", "speeds", .def = 2),
    VR_PCI_REG(0x30, 2, "LINKCTL2", "speed wanted", .def = 1, .wmask = 0x000f),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap upstream_cap = EXPRESS_CAP(upstream_regs);

static const struct vr_pci_cap *express_cap(const struct vr_pci *pci, enum vr_pci_express_type type)
{
    switch (type) {
    case VR_PCI_ROOT_PORT:
        return &root_port_cap;
    case VR_PCI_DOWNSTREAM:
        return &downstream_cap;
    case VR_PCI_UPSTREAM:
    case VR_PCI_BRIDGE:
        return &upstream_cap;
    case VR_PCI_ENDPOINT:
    case VR_PCI_INTEGRATED:
        break;
    }
    return pci->host.vf ? &vf_cap : &endpoint_cap;
}

void vr_pci_add_express(struct vr_pci *pci, enum vr_pci_express_type type)
{
    unsigned at = vr_pci_add_cap(pci, express_cap(pci, type));
    pci->host.express = pci->host.express_at = (uint16_t)at;
    vr_pci_set_def(pci, at + VR_PCI_EXP_FLAGS, 2, 2u | (uint32_t)type << 4);
    if (type == VR_PCI_ROOT_PORT || type == VR_PCI_DOWNSTREAM) {
        vr_pci_set_def(pci, at + VR_PCI_EXP_DEVCAP2, 4, 1 << 5); /* forwards ARI */
    } else if (type == VR_PCI_ENDPOINT) {
        vr_pci_set_def(pci, at + VR_PCI_EXP_DEVCAP, 4, 0x8000 | DEVCAP_FLR);
    }
}

bool vr_pci_is_express(const struct vr_pci *pci, enum vr_pci_express_type type)
{
    unsigned at = pci->host.express_at;
    return at && (vr_pci_get(pci, at + VR_PCI_EXP_FLAGS, 2) >> 4 & 15) == (unsigned)type;
}

void vr_pci_express_plugged(struct vr_pci *pci, const struct vr_pci_bus *bus)
{
    unsigned at = pci->host.express_at;
    if (!at) {
        return;
    }
    bool link = bus->kind == VR_PCI_BUS_LINK, own = link && !pci->host.vf;
    bool show =
        bus->kind != VR_PCI_BUS_CONVENTIONAL && (link || !vr_pci_is_express(pci, VR_PCI_BRIDGE));
    pci->host.express = show ? (uint16_t)at : 0;
    vr_pci_show_cap(pci, at, show);
    if (pci->host.below) {
        return;
    }
    unsigned type = link ? VR_PCI_ENDPOINT : VR_PCI_INTEGRATED;
    vr_pci_set_def(pci, at + VR_PCI_EXP_FLAGS, 2, 2 | type << 4);
    vr_pci_set_def(pci, at + VR_PCI_EXP_LINKCAP, 4, link ? LINK : 0);
    vr_pci_set_def(pci, at + VR_PCI_EXP_LINKSTA, 2, own ? LINK : 0);
    vr_pci_set_def(pci, at + VR_PCI_EXP_LINKCAP2, 4, link ? 2 : 0);
    vr_pci_set_def(pci, at + VR_PCI_EXP_LINKCTL2, 2, own ? 1 : 0);
}

/* --- MSI --- */

enum { MSI_CONTROL = 2, MSI_ADDR = 4, MSI_DATA = 12, MSI_MASK = 16, MSI_PENDING = 20 };
enum { MSI_ENABLE = 1 };

static uint32_t msi_field(const struct vr_pci *pci, unsigned off, unsigned width)
{
    return vr_pci_get(pci, pci->host.msi + off, width);
}

bool vr_pci_msi_enabled(const struct vr_pci *pci)
{
    return pci->host.msi && (msi_field(pci, MSI_CONTROL, 2) & MSI_ENABLE);
}

static void msi_pending(struct vr_pci *pci, uint32_t bits)
{
    vr_pci_put(pci, pci->host.msi + MSI_PENDING, 4, bits);
}

static void msi_send(struct vr_pci *pci, unsigned vector)
{
    const struct vr_msi msi = {
        .addr = msi_field(pci, MSI_ADDR, 4) | (uint64_t)msi_field(pci, MSI_ADDR + 4, 4) << 32,
        .data = msi_field(pci, MSI_DATA, 2) | vector, /* the guest left its low bits 0 */
    };
    (void)vr_msi_send(pci->host.dev, &msi);
}

void vr_pci_msi_notify(struct vr_pci *pci, unsigned vector)
{
    unsigned enabled = 1u << (msi_field(pci, MSI_CONTROL, 2) >> 4 & 7);
    vector &= enabled - 1;
    if (msi_field(pci, MSI_MASK, 4) >> vector & 1) {
        msi_pending(pci, msi_field(pci, MSI_PENDING, 4) | 1u << vector);
    } else if (vr_pci_is_master(pci)) {
        msi_send(pci, vector);
    }
}

static void msi_written(struct vr_pci *pci, unsigned off, unsigned width)
{
    (void)off;
    (void)width;
    unsigned control = msi_field(pci, MSI_CONTROL, 2);
    unsigned can = control >> 1 & 7, set = control >> 4 & 7;
    if (set > can) { /* more than there are: reserved */
        control = (control & ~0x70u) | can << 4;
        vr_pci_put(pci, pci->host.msi + MSI_CONTROL, 2, control);
    }
    if (control & MSI_ENABLE) {
        uint32_t due = msi_field(pci, MSI_PENDING, 4) & ~msi_field(pci, MSI_MASK, 4);
        msi_pending(pci, msi_field(pci, MSI_PENDING, 4) & ~due);
        for (unsigned i = 0; due; i++, due >>= 1) {
            if (due & 1) {
                vr_pci_msi_notify(pci, i);
            }
        }
    }
    vr_pci_sync_intx(pci);
}

static const struct vr_pci_reg msi_regs[] = {
    VR_PCI_REG(2, 2, "MSI_CONTROL", "enable, vectors", .def = 0x0180, .wmask = 0x0071),
    VR_PCI_REG(4, 4, "MSI_ADDR", "address", .wmask = 0xfffffffc),
    VR_PCI_REG(8, 4, "MSI_ADDR_HIGH", "its upper half", .wmask = UINT32_MAX),
    VR_PCI_REG(12, 2, "MSI_DATA", "message", .wmask = 0xffff),
    VR_PCI_REG(16, 4, "MSI_MASK", "a bit each vector", .wmask = UINT32_MAX),
    VR_PCI_REG(20, 4, "MSI_PENDING", "a bit each vector", .live = UINT32_MAX),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap msi_cap = {
    .name = "msi",
    .id = ID_MSI,
    .len = 24,
    .regs = msi_regs,
    .written = msi_written,
};

void vr_pci_add_msi(struct vr_pci *pci, unsigned count)
{
    unsigned log2 = 0;
    while (1u << log2 < count) {
        log2++;
    }
    vr_assert(1u << log2 == count && log2 <= 5);
    pci->host.msi = (uint16_t)vr_pci_add_cap(pci, &msi_cap);
    vr_pci_set_def(pci, pci->host.msi + MSI_CONTROL, 2, 0x0180 | log2 << 1);
}

/* --- Advanced error reporting --- */

#define AER_REGS                                                                                   \
    VR_PCI_REG(0x04, 4, "AER_UNCORR", "uncorrectable errors", .w1c = 0x07fff030),                  \
        VR_PCI_REG(0x08, 4, "AER_UNCORR_MASK", "not reported", .def = 0x00400000,                  \
                   .wmask = 0x07fff030),                                                           \
        VR_PCI_REG(0x0c, 4, "AER_SEVERITY", "fatal ones", .def = 0x00462030, .wmask = 0x07fff030), \
        VR_PCI_REG(0x10, 4, "AER_CORR", "correctable errors", .w1c = 0x0000f1c1),                  \
        VR_PCI_REG(0x14, 4, "AER_CORR_MASK", "not reported", .def = 0x0000e000,                    \
                   .wmask = 0x0000f1c1),                                                           \
        VR_PCI_REG(0x18, 4, "AER_CONTROL", "the first error", .live = 0x1f),                       \
        VR_PCI_REG(0x1c, 4, "AER_LOG0", "header of the first error", .live = UINT32_MAX),          \
        VR_PCI_REG(0x20, 4, "AER_LOG1", "header of the first error", .live = UINT32_MAX),          \
        VR_PCI_REG(0x24, 4, "AER_LOG2", "header of the first error", .live = UINT32_MAX),          \
        VR_PCI_REG(0x28, 4, "AER_LOG3", "header of the first error", .live = UINT32_MAX)

static const struct vr_pci_reg aer_regs[] = {AER_REGS, VR_PCI_REG_END};
static const struct vr_pci_reg aer_root_regs[] = {
    AER_REGS,
    VR_PCI_REG(0x2c, 4, "AER_ROOT_CMD", "messages that interrupt", .wmask = 7),
    VR_PCI_REG(0x30, 4, "AER_ROOT_STATUS", "messages seen", .w1c = 0x7f),
    VR_PCI_REG(0x34, 4, "AER_SOURCE", "who sent the first ones", .live = UINT32_MAX),
    VR_PCI_REG_END,
};
/* The device may have to let its pin go. */
static void aer_written(struct vr_pci *pci, unsigned off, unsigned width)
{
    if (pci->host.cls->written) {
        pci->host.cls->written(pci, pci->host.aer + off, width);
    }
}

static const struct vr_pci_cap aer_cap = {
    .name = "aer", .id = EXT_AER, .version = 1, .len = 0x2c, .regs = aer_regs};
static const struct vr_pci_cap aer_root_cap = {.name = "aer",
                                               .id = EXT_AER,
                                               .version = 1,
                                               .len = 0x38,
                                               .regs = aer_root_regs,
                                               .written = aer_written};

void vr_pci_add_aer(struct vr_pci *pci, bool root)
{
    pci->host.aer = (uint16_t)vr_pci_add_cap(pci, root ? &aer_root_cap : &aer_cap);
}

/* --- Access control services --- */

/* Source validation, translation blocking, request and completion redirect, upstream forwarding:
 * nothing that a function sends ever goes anywhere but up. */
static const struct vr_pci_reg acs_regs[] = {
    VR_PCI_REG(4, 2, "ACS_CAP", "services", .def = 0x001f),
    VR_PCI_REG(6, 2, "ACS_CONTROL", "services wanted", .wmask = 0x001f),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap acs_cap = {
    .name = "acs", .id = EXT_ACS, .version = 1, .len = 8, .regs = acs_regs};

void vr_pci_add_acs(struct vr_pci *pci)
{
    (void)vr_pci_add_cap(pci, &acs_cap);
}

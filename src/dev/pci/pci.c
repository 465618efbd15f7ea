/* A PCI Express function: configuration space as its tables say, base address registers, INTx. */
#include "dev/pci/pci.h"

#include "base/bits.h"
#include "dev/pci/bus.h"
#include "dev/pci/caps.h"
#include "dev/pci/msix.h"
#include "dev/pci/sriov.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PCI_HEADER_REGS                                                                          \
    VR_PCI_REG(0x00, 2, "VENDOR", "vendor id"), VR_PCI_REG(0x02, 2, "DEVICE", "device id"),      \
        VR_PCI_REG(0x04, 2, "COMMAND", "what it may do: decode, master, INTx", .wmask = 0x0547), \
        VR_PCI_REG(0x06, 2, "STATUS", "capabilities, INTx, errors", .w1c = VR_PCI_STATUS_ERRORS, \
                   .live = VR_PCI_STATUS_INTX),                                                  \
        VR_PCI_REG(0x08, 1, "REVISION", "revision"),                                             \
        VR_PCI_REG(0x09, 1, "INTERFACE", "class code: programming interface"),                   \
        VR_PCI_REG(0x0a, 2, "CLASS", "class code"),                                              \
        VR_PCI_REG(0x0c, 1, "CACHE_LINE", "storage for the guest", .wmask = 0xff),               \
        VR_PCI_REG(0x0e, 1, "HEADER", "header type"),                                            \
        VR_PCI_REG(0x34, 1, "CAP_PTR", "first capability"),                                      \
        VR_PCI_REG(0x3c, 1, "INT_LINE", "storage for the guest", .wmask = 0xff),                 \
        VR_PCI_REG(0x3d, 1, "INT_PIN", "1: INTA")

/* Base address registers are added as the class says. */
static const struct vr_pci_reg pci_type0_regs[] = {
    PCI_HEADER_REGS,
    VR_PCI_REG(0x2c, 2, "SUBVENDOR", "subsystem vendor id"),
    VR_PCI_REG(0x2e, 2, "SUBDEVICE", "subsystem id"),
    VR_PCI_REG_END,
};

/* 9.3.4.1: most of a VF's header is its PF's. */
static const struct vr_pci_reg pci_vf_regs[] = {
    VR_PCI_REG(0x00, 4, "ID", "not told: its PF knows", .def = UINT32_MAX),
    VR_PCI_REG(0x04, 2, "COMMAND", "may it master", .wmask = VR_PCI_CMD_MASTER),
    VR_PCI_REG(0x06, 2, "STATUS", "capabilities, errors", .w1c = VR_PCI_STATUS_ERRORS),
    VR_PCI_REG(0x08, 1, "REVISION", "revision"),
    VR_PCI_REG(0x09, 1, "INTERFACE", "class code: programming interface"),
    VR_PCI_REG(0x0a, 2, "CLASS", "class code"),
    VR_PCI_REG(0x2c, 2, "SUBVENDOR", "subsystem vendor id"),
    VR_PCI_REG(0x2e, 2, "SUBDEVICE", "subsystem id"),
    VR_PCI_REG(0x34, 1, "CAP_PTR", "first capability"),
    VR_PCI_REG_END,
};

static const struct vr_pci_reg pci_type1_regs[] = {
    PCI_HEADER_REGS,
    VR_PCI_REG(0x18, 1, "PRIMARY", "bus above", .wmask = 0xff),
    VR_PCI_REG(0x19, 1, "SECONDARY", "bus below", .wmask = 0xff),
    VR_PCI_REG(0x1a, 1, "SUBORDINATE", "last bus below", .wmask = 0xff),
    VR_PCI_REG(0x1c, 1, "IO_BASE", "first port forwarded", .wmask = 0xf0),
    VR_PCI_REG(0x1d, 1, "IO_LIMIT", "last port forwarded", .wmask = 0xf0),
    VR_PCI_REG(0x1e, 2, "SECONDARY_STATUS", "errors below", .w1c = VR_PCI_STATUS_ERRORS),
    VR_PCI_REG(0x20, 2, "MEM_BASE", "first MiB forwarded", .wmask = 0xfff0),
    VR_PCI_REG(0x22, 2, "MEM_LIMIT", "last MiB forwarded", .wmask = 0xfff0),
    VR_PCI_REG(0x24, 2, "PREF_BASE", "first prefetchable MiB", .def = 1, .wmask = 0xfff0),
    VR_PCI_REG(0x26, 2, "PREF_LIMIT", "last prefetchable MiB", .def = 1, .wmask = 0xfff0),
    VR_PCI_REG(0x28, 4, "PREF_BASE_HIGH", "its upper half", .wmask = UINT32_MAX),
    VR_PCI_REG(0x2c, 4, "PREF_LIMIT_HIGH", "its upper half", .wmask = UINT32_MAX),
    VR_PCI_REG(0x3e, 2, "BRIDGE_CONTROL", "errors forwarded, reset below", .wmask = 0x0043),
    VR_PCI_REG_END,
};

/* What a row says, byte by byte, from @base on. */
static void pci_lay(struct vr_pci *pci, unsigned base, const struct vr_pci_reg *reg)
{
    struct vr_pci_host *h = &pci->host;
    for (; reg->name; reg++) {
        vr_assert(base + reg->off + reg->width <= VR_PCI_KEPT);
        vr_assert((reg->wmask & reg->w1c) == 0);
        for (unsigned i = 0; i < reg->width; i++) {
            unsigned at = base + reg->off + i, shift = 8 * i;
            h->def[at] = (uint8_t)(reg->def >> shift);
            h->wmask[at] = (uint8_t)(reg->wmask >> shift);
            h->w1c[at] = (uint8_t)(reg->w1c >> shift);
            h->live[at] = (uint8_t)(reg->live >> shift);
            pci->config[at] = h->def[at];
        }
    }
}

void vr_pci_set_def(struct vr_pci *pci, unsigned off, unsigned width, uint32_t val)
{
    vr_assert(off + width <= VR_PCI_KEPT);
    for (unsigned i = 0; i < width; i++) {
        pci->host.def[off + i] = pci->config[off + i] = (uint8_t)(val >> (8 * i));
    }
}

void vr_pci_put(struct vr_pci *pci, unsigned off, unsigned width, uint32_t val)
{
    const struct vr_pci_host *h = &pci->host;
    for (unsigned i = 0; i < width; i++) {
        uint8_t is = (uint8_t)(val >> (8 * i));
        uint8_t may = h->wmask[off + i] | h->w1c[off + i] | h->live[off + i];
        vr_assert(((is ^ pci->config[off + i]) & ~may) == 0);
        pci->config[off + i] = is;
    }
}

/* --- Base address registers --- */

static bool pci_bar_is_64(const struct vr_pci_class *cls, unsigned bar)
{
    return cls->bar[bar].kind >= VR_PCI_BAR_MEM64;
}

static uint64_t pci_bar_len(const struct vr_pci *pci, unsigned bar)
{
    return pci->host.dev->cls->windows[pci->host.cls->bar[bar].window].len;
}

void vr_pci_lay_bar(struct vr_pci *pci, unsigned at, unsigned bar)
{
    static const uint8_t types[] = {
        [VR_PCI_BAR_IO] = 1,
        [VR_PCI_BAR_MEM32] = 0,
        [VR_PCI_BAR_MEM64] = 4,
        [VR_PCI_BAR_MEM64_PREFETCH] = 0xc,
    };
    unsigned kind = pci->host.cls->bar[bar].kind;
    uint64_t len = pci_bar_len(pci, bar);
    vr_assert(vr_is_pow2(len) && len >= (kind == VR_PCI_BAR_IO ? 4 : 4096));
    const struct vr_pci_reg regs[] = {
        VR_PCI_REG(0, 4, "BAR", "base address", .def = types[kind], .wmask = (uint32_t) ~(len - 1)),
        VR_PCI_REG_END,
    };
    const struct vr_pci_reg high[] = {
        VR_PCI_REG(4, 4, "BAR_HIGH", "its upper half", .wmask = (uint32_t)(~(len - 1) >> 32)),
        VR_PCI_REG_END,
    };
    pci_lay(pci, at, regs);
    if (pci_bar_is_64(pci->host.cls, bar)) {
        vr_assert(bar + 1 < (pci->host.cls->bridge ? 2 : VR_PCI_BARS));
        pci_lay(pci, at, high);
    }
}

static uint64_t pci_bar_addr(const struct vr_pci *pci, unsigned bar)
{
    unsigned at = VR_PCI_BAR + 4 * bar;
    uint64_t low = vr_pci_get(pci, at, 4);
    if (pci->host.cls->bar[bar].kind == VR_PCI_BAR_IO) {
        return low & ~UINT64_C(3);
    }
    low &= ~UINT64_C(15);
    return pci_bar_is_64(pci->host.cls, bar) ? low | (uint64_t)vr_pci_get(pci, at + 4, 4) << 32
                                             : low;
}

/* Where the window is, for the bus; false: the function does not decode it now. */
static bool pci_bar_decoded(const struct vr_pci *pci, unsigned bar, uint64_t *ret_addr)
{
    bool io = pci->host.cls->bar[bar].kind == VR_PCI_BAR_IO;
    if (pci->host.vf) {
        return vr_pci_sriov_addr(pci, bar, ret_addr);
    }
    *ret_addr = pci_bar_addr(pci, bar);
    return (pci->config[VR_PCI_COMMAND] & (io ? VR_PCI_CMD_IO : VR_PCI_CMD_MEM)) &&
           vr_pci_is_awake(pci);
}

bool vr_pci_is_awake(const struct vr_pci *pci)
{
    return !pci->host.power || (pci->config[pci->host.power + VR_PCI_PM_CSR] & 3) == 0;
}

bool vr_pci_is_master(const struct vr_pci *pci)
{
    return (pci->config[VR_PCI_COMMAND] & VR_PCI_CMD_MASTER) && vr_pci_is_awake(pci);
}

static void pci_unmap_bar(struct vr_pci *pci, unsigned bar)
{
    if (pci->host.bar_mapped[bar]) {
        pci->host.bar_mapped[bar] = false;
        vr_dev_unmap(pci->host.dev, pci->host.cls->bar[bar].window,
                     vr_pci_bus_root(pci->host.bus)->mem);
    }
}

/* Windows that overlap are no harm: each has a priority of its own, below everything that the
 * machine has there, and they lie in the host bridge's windows. */
static int pci_bar_prio(const struct vr_pci *pci, unsigned bar)
{
    /* A VF is behind all that its PF's place can have: routing ids reach beyond a bus. */
    unsigned place = vr_pci_bus_index(pci->host.bus) << 8 | pci->host.devfn;
    unsigned vf = 0;
    if (pci->host.pf) {
        place = vr_pci_bus_index(pci->host.bus) << 8 | pci->host.pf->host.devfn;
        vf = 1u + pci->host.vf_index;
    }
    return -1 - (int)((place + vf * VR_PCI_BUSES * VR_PCI_DEVFNS) * VR_PCI_BARS + bar);
}

static void pci_map_bar(struct vr_pci *pci, unsigned bar)
{
    struct vr_pci_host *h = &pci->host;
    bool io = h->cls->bar[bar].kind == VR_PCI_BAR_IO;
    uint64_t addr = 0, gpa = 0;
    bool decode = pci_bar_decoded(pci, bar, &addr) &&
                  vr_pci_bus_route(h->bus, io, addr, pci_bar_len(pci, bar), &gpa);
    if (h->bar_mapped[bar] && (!decode || h->bar_gpa[bar] != gpa)) {
        pci_unmap_bar(pci, bar);
    }
    if (decode && !h->bar_mapped[bar]) {
        struct vr_error err;
        if (vr_dev_map_at(h->dev, h->cls->bar[bar].window, vr_pci_bus_root(h->bus)->mem, gpa,
                          pci_bar_prio(pci, bar), &err) < 0) {
            vr_log(h->dev->env->log, VR_WARN, h->dev->id, "base address %u: %s", bar, err.msg);
            return;
        }
        h->bar_mapped[bar] = true;
        h->bar_gpa[bar] = gpa;
    }
}

void vr_pci_remap(struct vr_pci *pci)
{
    for (unsigned i = 0; i < VR_PCI_BARS && pci->host.bus; i++) {
        if (pci->host.cls->bar[i].kind != VR_PCI_BAR_NONE) {
            pci_map_bar(pci, i);
        }
    }
    vr_pci_sriov_remap(pci);
}

void vr_pci_unmap(struct vr_pci *pci)
{
    for (unsigned i = 0; i < VR_PCI_BARS; i++) {
        pci_unmap_bar(pci, i);
    }
}

/* --- INTx --- */

static bool pci_has_messages(const struct vr_pci *pci)
{
    return (pci->host.msix && vr_msix_enabled(pci)) || vr_pci_msi_enabled(pci);
}

void vr_pci_sync_intx(struct vr_pci *pci)
{
    bool level = (pci->config[VR_PCI_STATUS] & VR_PCI_STATUS_INTX) &&
                 !(vr_pci_get(pci, VR_PCI_COMMAND, 2) & VR_PCI_CMD_NO_INTX) &&
                 vr_pci_is_awake(pci) && !pci_has_messages(pci);
    vr_irq_set(&pci->host.irq, level);
}

void vr_pci_set_intx(struct vr_pci *pci, bool level)
{
    vr_assert(pci->host.cls->intx);
    if (pci->host.vf) {
        return;
    }
    uint8_t was = pci->config[VR_PCI_STATUS];
    pci->config[VR_PCI_STATUS] =
        (uint8_t)(level ? was | VR_PCI_STATUS_INTX : was & ~VR_PCI_STATUS_INTX);
    vr_pci_sync_intx(pci);
}

/* --- Configuration space --- */

/* Cycles of conventional buses have no room for the number of an extended register, and the
 * answer of a bridge to one is that nobody took it (PCI Express to PCI Bridge 1.0, 4.1). */
static bool pci_is_out_of_reach(const struct vr_pci *pci, uint64_t off)
{
    return off >= VR_PCI_EXT && pci->host.bus && pci->host.bus->kind == VR_PCI_BUS_CONVENTIONAL;
}

static bool pci_config_at(uint64_t off, unsigned width)
{
    return width <= 4 && vr_is_aligned(off, width);
}

/* The capability that covers @off, or NULL. */
static const struct vr_pci_cap_at *pci_cap_at(const struct vr_pci *pci, uint64_t off)
{
    for (unsigned i = 0; i < pci->host.cap_count; i++) {
        const struct vr_pci_cap_at *c = &pci->host.cap[i];
        if (off >= c->off && off - c->off < c->cap->len) {
            return c;
        }
    }
    return NULL;
}

bool vr_pci_config_read(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t *ret_val)
{
    struct vr_pci *pci = vr_pci_of(dev);
    if (!pci_config_at(off, width)) {
        return false;
    }
    if (pci_is_out_of_reach(pci, off)) {
        *ret_val = UINT64_MAX;
        return true;
    }
    const struct vr_pci_cap_at *c = pci_cap_at(pci, off);
    if (off >= VR_PCI_KEPT || (c && c->hidden)) {
        *ret_val = 0; /* the end of the list of extended capabilities, for one */
        return true;
    }
    if (c && c->cap->reading) {
        c->cap->reading(pci, (unsigned)off - c->off, width);
    }
    *ret_val = vr_pci_get(pci, (unsigned)off, width);
    return true;
}

static void pci_store(struct vr_pci *pci, unsigned off, unsigned width, uint64_t val)
{
    const struct vr_pci_host *h = &pci->host;
    for (unsigned i = off; i < off + width; i++, val >>= 8) {
        uint8_t now = pci->config[i], wr = (uint8_t)val;
        now = (uint8_t)((now & ~h->wmask[i]) | (wr & h->wmask[i]));
        pci->config[i] = (uint8_t)(now & ~(wr & h->w1c[i]));
    }
}

bool vr_pci_config_write(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t val)
{
    struct vr_pci *pci = vr_pci_of(dev);
    if (!pci_config_at(off, width)) {
        return false;
    }
    const struct vr_pci_cap_at *c = pci_cap_at(pci, off);
    if (off >= VR_PCI_KEPT || pci_is_out_of_reach(pci, off) || (c && c->hidden)) {
        return true;
    }
    pci_store(pci, (unsigned)off, width, val);
    if (c) {
        if (c->cap->written) {
            c->cap->written(pci, (unsigned)off - c->off, width);
        }
        return true;
    }
    if (off < VR_PCI_CAP_PTR) {
        vr_pci_remap(pci);
        vr_pci_sync_intx(pci);
    }
    if (pci->host.cls->written) {
        pci->host.cls->written(pci, (unsigned)off, width);
    }
    return true;
}

unsigned vr_pci_add_cap(struct vr_pci *pci, const struct vr_pci_cap *cap)
{
    struct vr_pci_host *h = &pci->host;
    vr_assert(h->cap_count < VR_PCI_CAPS && cap->len >= (cap->version ? 4 : 2));
    unsigned at = cap->version ? h->ext_end : h->cap_end;
    unsigned end = (unsigned)vr_align_up(at + cap->len, 4);
    vr_assert(end <= (cap->version ? VR_PCI_KEPT : VR_PCI_EXT));
    h->cap[h->cap_count++] = (struct vr_pci_cap_at){.cap = cap, .off = (uint16_t)at};
    pci_lay(pci, at, cap->regs);
    if (cap->version) {
        vr_pci_set_def(pci, at, 4, cap->id | (uint32_t)cap->version << 16);
        if (h->ext_last) { /* bits 20 to 31 lead to the next one */
            vr_pci_set_def(pci, h->ext_last + 2u, 2,
                           vr_pci_get(pci, h->ext_last + 2u, 2) | at << 4);
        }
        h->ext_last = (uint16_t)at;
        h->ext_end = (uint16_t)end;
    } else {
        vr_pci_set_def(pci, at, 1, cap->id);
        vr_pci_set_def(pci, h->cap_last ? h->cap_last + 1u : VR_PCI_CAP_PTR, 1, at);
        vr_pci_set_def(pci, VR_PCI_STATUS, 1, VR_PCI_STATUS_CAPS);
        h->cap_last = (uint16_t)at;
        h->cap_end = (uint16_t)end;
    }
    return at;
}

void vr_pci_show_cap(struct vr_pci *pci, unsigned at, bool show)
{
    unsigned link = VR_PCI_CAP_PTR;
    for (unsigned i = 0; i < pci->host.cap_count; i++) {
        struct vr_pci_cap_at *c = &pci->host.cap[i];
        c->hidden = c->off == at ? !show : c->hidden;
        if (!c->cap->version && !c->hidden) {
            vr_pci_set_def(pci, link, 1, c->off);
            link = c->off + 1u;
        }
    }
    vr_pci_set_def(pci, link, 1, 0);
}

void vr_pci_add_regs(struct vr_pci *pci, const struct vr_pci_reg *regs)
{
    pci_lay(pci, 0, regs);
}

/* --- Life --- */

/* What a function and a virtual one have in common. */
static struct vr_pci *pci_begin(struct vr_dev *dev, const struct vr_pci_class *cls, bool vf)
{
    struct vr_pci *pci = vr_pci_of(dev);
    vr_assert(pci && dev->cls->windows[VR_PCI_WINDOW].read == vr_pci_config_read);
    pci->host = (struct vr_pci_host){
        .dev = dev, .cls = cls, .vf = vf, .cap_end = 0x40, .ext_end = VR_PCI_EXT};
    pci_lay(pci, 0, vf ? pci_vf_regs : cls->bridge ? pci_type1_regs : pci_type0_regs);
    vr_pci_set_def(pci, VR_PCI_REVISION, 4, cls->class_code << 8 | cls->revision);
    if (!cls->bridge) {
        vr_pci_set_def(pci, VR_PCI_SUBVENDOR, 2, cls->subvendor);
        vr_pci_set_def(pci, VR_PCI_SUBDEVICE, 2, cls->subdevice);
    }
    return pci;
}

void vr_pci_init_vf(struct vr_dev *dev, const struct vr_pci_class *cls)
{
    vr_assert(!cls->bridge);
    (void)pci_begin(dev, cls, true);
}

void vr_pci_init(struct vr_dev *dev, const struct vr_pci_class *cls)
{
    struct vr_pci *pci = pci_begin(dev, cls, false);
    vr_pci_set_def(pci, VR_PCI_VENDOR, 2, cls->vendor);
    vr_pci_set_def(pci, VR_PCI_DEVICE, 2, cls->device);
    vr_pci_set_def(pci, VR_PCI_HEADER, 1, cls->bridge);
    vr_pci_set_def(pci, VR_PCI_INT_PIN, 1, cls->intx);
    for (unsigned i = 0; i < VR_PCI_BARS; i++) {
        if (cls->bar[i].kind != VR_PCI_BAR_NONE) {
            vr_pci_lay_bar(pci, VR_PCI_BAR + 4 * i, i);
        }
    }
}

void vr_pci_reset(struct vr_dev *dev)
{
    struct vr_pci *pci = vr_pci_of(dev);
    vr_assert(pci);
    memcpy(pci->config, pci->host.def, sizeof(pci->config));
    if (pci->host.sriov) {
        vr_pci_sriov_was_reset(pci);
    }
    vr_pci_remap(pci);
    vr_pci_sync_intx(pci);
}

void vr_pci_function_reset(struct vr_pci *pci)
{
    struct vr_dev *dev = pci->host.dev;
    vr_fields_reset(dev, dev->cls->fields, VR_ROLE_STATE);
    dev->cls->reset(dev);
}

int vr_pci_loaded(struct vr_dev *dev, struct vr_error *err)
{
    struct vr_pci *pci = vr_pci_of(dev);
    const struct vr_pci_host *h = &pci->host;
    for (unsigned i = 0; i < VR_PCI_KEPT; i++) {
        unsigned may = h->wmask[i] | h->w1c[i] | h->live[i];
        if ((pci->config[i] ^ h->def[i]) & ~may & 0xff) {
            return vr_err(err, -ERANGE,
                          "configuration space: byte 0x%x is 0x%02x, here it is 0x%02x: another "
                          "device, or in another place",
                          i, pci->config[i], h->def[i]);
        }
    }
    int r = h->sriov ? vr_pci_sriov_loaded(pci, err) : 0;
    if (r == 0) {
        vr_pci_remap(pci);
        vr_pci_sync_intx(pci);
    }
    return r;
}

void vr_pci_fini(struct vr_dev *dev)
{
    struct vr_pci *pci = vr_pci_of(dev);
    vr_assert(pci);
    memset(pci->host.bar_mapped, 0, sizeof(pci->host.bar_mapped)); /* vr_dev_destroy did */
    if (pci->host.bus && !pci->host.vf) {
        vr_pci_unplug(pci);
    }
    vr_pci_sriov_detach(pci);
}

#define VR_SELF struct vr_pci
const struct vr_field vr_pci_fields[] = {
    VR_STATE_ARRAY(config, "configuration space"),
    VR_HOST(host, "what the tables say, place on the bus and mappings, made by init and plugging"),
    VR_FIELD_END,
};

/* SR-IOV: PFs, their capability, and VFs that come and go by it. See sriov.h. */
#include "dev/pci/sriov.h"

#include "base/bits.h"
#include "dev/pci/bus.h"
#include "dev/pci/caps.h"

#include <errno.h>

enum { EXT_ARI = 0x0e, EXT_SRIOV = 0x10, PAGES = 0x553 /* 4 KiB to 4 MiB: those that must be */ };
enum { CONTROL_BITS = VR_PCI_SRIOV_ENABLE | VR_PCI_SRIOV_MEM | VR_PCI_SRIOV_ARI };

static uint32_t sriov_get(const struct vr_pci *pf, unsigned reg, unsigned width)
{
    return vr_pci_get(pf, pf->host.sriov_cap + reg, width);
}

static void sriov_put(struct vr_pci *pf, unsigned reg, unsigned width, uint32_t val)
{
    vr_pci_put(pf, pf->host.sriov_cap + reg, width, val);
}

static bool sriov_bar_is_mem(const struct vr_pci *pf, unsigned bar)
{
    return pf->host.cls->bar[bar].kind > VR_PCI_BAR_IO;
}

/* Bytes of one VF: its window, in pages of the guest's. */
static uint64_t sriov_slice(const struct vr_pci *pf, unsigned bar)
{
    uint64_t len = pf->host.dev->cls->windows[pf->host.cls->bar[bar].window].len;
    uint64_t page = (uint64_t)pf->host.sriov->page << 12;
    return len > page ? len : page;
}

bool vr_pci_sriov_addr(const struct vr_pci *vf, unsigned bar, uint64_t *ret_addr)
{
    const struct vr_pci *pf = vf->host.pf;
    if (!pf || !(sriov_get(pf, VR_PCI_SRIOV_CONTROL, 2) & VR_PCI_SRIOV_MEM) ||
        !vr_pci_is_awake(pf) || !sriov_bar_is_mem(pf, bar)) {
        return false;
    }
    uint64_t addr = sriov_get(pf, VR_PCI_SRIOV_BAR + 4 * bar, 4) & ~UINT64_C(15);
    if (pf->host.cls->bar[bar].kind != VR_PCI_BAR_MEM32) {
        addr |= (uint64_t)sriov_get(pf, VR_PCI_SRIOV_BAR + 4 * bar + 4, 4) << 32;
    }
    return vr_add_ok(addr, vf->host.vf_index * sriov_slice(pf, bar), ret_addr);
}

/* --- VFs that come and go --- */

static unsigned sriov_rid(const struct vr_pci *pf, unsigned index)
{
    return pf->host.devfn + sriov_get(pf, VR_PCI_SRIOV_OFFSET, 2) +
           index * sriov_get(pf, VR_PCI_SRIOV_STRIDE, 2);
}

struct vr_pci *vr_pci_sriov_find(const struct vr_pci *pf, unsigned rid)
{
    const struct vr_pci_sriov *s = pf->host.sriov;
    for (unsigned i = 0; s && s->on && i < s->num; i++) {
        if (sriov_rid(pf, i) == rid) {
            return s->vf[i];
        }
    }
    return NULL;
}

unsigned vr_pci_sriov_bus(const struct vr_pci *vf)
{
    return vf->host.pf ? sriov_rid(vf->host.pf, vf->host.vf_index) >> 8 : 0;
}

/* @fresh: as after a reset, which is what a VF is when it is enabled; else as a snapshot has it. */
static void sriov_appear(struct vr_pci *pf, struct vr_pci *vf, bool fresh)
{
    vr_dev_lock(vf->host.dev);
    if (fresh) {
        vr_pci_function_reset(vf);
    }
    vf->host.bus = pf->host.bus;
    vf->host.devfn = (uint8_t)sriov_rid(pf, vf->host.vf_index);
    vr_pci_remap(vf);
    vr_dev_unlock(vf->host.dev);
}

static void sriov_vanish(struct vr_pci *vf, bool fresh)
{
    vr_dev_lock(vf->host.dev);
    vr_pci_unmap(vf);
    vf->host.bus = NULL;
    if (fresh) {
        vr_pci_function_reset(vf); /* what it had in flight ends here */
    }
    vr_dev_unlock(vf->host.dev);
}

/* VFs as the registers have it now. */
static void sriov_apply(struct vr_pci *pf, bool fresh)
{
    struct vr_pci_sriov *s = pf->host.sriov;
    s->on = sriov_get(pf, VR_PCI_SRIOV_CONTROL, 2) & VR_PCI_SRIOV_ENABLE;
    for (unsigned i = 0; i < s->total; i++) {
        bool is = s->vf[i] && s->vf[i]->host.bus, should = s->on && i < s->num && pf->host.bus;
        if (s->vf[i] && should && !is) {
            sriov_appear(pf, s->vf[i], fresh);
        } else if (is && !should) {
            sriov_vanish(s->vf[i], fresh);
        }
    }
    vr_pci_sriov_remap(pf);
}

void vr_pci_sriov_remap(struct vr_pci *pf)
{
    const struct vr_pci_sriov *s = pf->host.sriov;
    for (unsigned i = 0; s && s->on && i < s->num; i++) {
        if (s->vf[i]) {
            vr_dev_lock(s->vf[i]->host.dev);
            vr_pci_remap(s->vf[i]);
            vr_dev_unlock(s->vf[i]->host.dev);
        }
    }
}

/* --- The capability --- */

static bool sriov_page_ok(uint32_t page)
{
    return vr_is_pow2(page) && (page & PAGES);
}

/* Base addresses are multiples of a VF's length. */
static bool sriov_align_bars(struct vr_pci *pf, bool fix)
{
    bool good = true;
    for (unsigned i = 0; i < VR_PCI_BARS; i++) {
        if (sriov_bar_is_mem(pf, i)) {
            uint32_t low = sriov_get(pf, VR_PCI_SRIOV_BAR + 4 * i, 4);
            uint32_t past = low & (uint32_t)(sriov_slice(pf, i) - 1) & ~UINT32_C(15);
            good = good && !past;
            if (fix) {
                sriov_put(pf, VR_PCI_SRIOV_BAR + 4 * i, 4, low & ~past);
            }
        }
    }
    return good;
}

/* Take back what has no meaning: more VFs than there are, another number of them or page while they
 * are enabled (9.3.3.7, 9.3.3.13), pages that are none. */
static void sriov_written(struct vr_pci *pf, unsigned off, unsigned width)
{
    struct vr_pci_sriov *s = pf->host.sriov;
    unsigned num = sriov_get(pf, VR_PCI_SRIOV_NUM, 2);
    uint32_t page = sriov_get(pf, VR_PCI_SRIOV_PAGE, 4);
    (void)off;
    (void)width;
    if (num != s->num && (s->on || num > s->total)) {
        vr_guest_error(pf->host.dev, "%u VFs of %u%s", num, s->total,
                       s->on ? " while some are enabled" : "");
        sriov_put(pf, VR_PCI_SRIOV_NUM, 2, s->num);
    } else {
        s->num = num;
    }
    if (page != s->page && (s->on || !sriov_page_ok(page))) {
        vr_guest_error(pf->host.dev, "VF page size 0x%x%s", page, s->on ? " while enabled" : "");
        sriov_put(pf, VR_PCI_SRIOV_PAGE, 4, s->page);
    } else {
        s->page = page;
    }
    sriov_align_bars(pf, true);
    sriov_apply(pf, true);
}

void vr_pci_sriov_was_reset(struct vr_pci *pf)
{
    pf->host.sriov->num = 0;
    pf->host.sriov->page = 1;
    sriov_apply(pf, true);
}

int vr_pci_sriov_loaded(struct vr_pci *pf, struct vr_error *err)
{
    struct vr_pci_sriov *s = pf->host.sriov;
    unsigned num = sriov_get(pf, VR_PCI_SRIOV_NUM, 2);
    uint32_t page = sriov_get(pf, VR_PCI_SRIOV_PAGE, 4);
    if (num > s->total || !sriov_page_ok(page)) {
        return vr_err(err, -ERANGE, "%u VFs with pages of 0x%x: here are %u", num, page, s->total);
    }
    s->page = page;
    if (!sriov_align_bars(pf, false)) {
        return vr_err(err, -ERANGE, "a base address of VFs is not a multiple of their length");
    }
    s->num = num;
    sriov_apply(pf, false);
    return 0;
}

static const struct vr_pci_reg sriov_regs[] = {
    VR_PCI_REG(0x04, 4, "SRIOV_CAP", "the ARI bit outlives D3hot", .def = 2),
    VR_PCI_REG(0x08, 2, "SRIOV_CONTROL", "VFs: enable, decode, ARI", .wmask = CONTROL_BITS),
    VR_PCI_REG(0x0a, 2, "SRIOV_STATUS", "migration: none"),
    VR_PCI_REG(0x0c, 2, "SRIOV_INITIAL", "VFs"),
    VR_PCI_REG(0x0e, 2, "SRIOV_TOTAL", "VFs"),
    VR_PCI_REG(0x10, 2, "SRIOV_NUM", "VFs wanted", .wmask = 0xffff),
    VR_PCI_REG(0x12, 1, "SRIOV_LINK", "depends on itself alone"),
    VR_PCI_REG(0x14, 2, "SRIOV_OFFSET", "from here to the first VF"),
    VR_PCI_REG(0x16, 2, "SRIOV_STRIDE", "from one VF to the next"),
    VR_PCI_REG(0x1a, 2, "SRIOV_DEVICE", "their device id"),
    VR_PCI_REG(0x1c, 4, "SRIOV_PAGES", "page sizes", .def = PAGES),
    VR_PCI_REG(0x20, 4, "SRIOV_PAGE", "the guest's", .def = 1, .wmask = PAGES),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap sriov_cap = {
    .name = "sriov",
    .id = EXT_SRIOV,
    .version = 1,
    .len = 0x40,
    .regs = sriov_regs,
    .written = sriov_written,
};

void vr_pci_add_sriov(struct vr_pci *pci, struct vr_pci_sriov *s, unsigned total, uint16_t device,
                      uint16_t offset, uint16_t stride)
{
    vr_assert(total >= 1 && total <= VR_PCI_VFS && offset && stride);
    *s = (struct vr_pci_sriov){.pf = pci, .total = total, .page = 1};
    unsigned at = vr_pci_add_cap(pci, &sriov_cap);
    pci->host.sriov = s;
    pci->host.sriov_cap = (uint16_t)at;
    vr_pci_set_def(pci, at + VR_PCI_SRIOV_INITIAL, 2, total);
    vr_pci_set_def(pci, at + VR_PCI_SRIOV_TOTAL, 2, total);
    vr_pci_set_def(pci, at + VR_PCI_SRIOV_OFFSET, 2, offset);
    vr_pci_set_def(pci, at + VR_PCI_SRIOV_STRIDE, 2, stride);
    vr_pci_set_def(pci, at + VR_PCI_SRIOV_DEVICE, 2, device);
    for (unsigned i = 0; i < VR_PCI_BARS; i++) {
        if (sriov_bar_is_mem(pci, i)) {
            vr_pci_lay_bar(pci, at + VR_PCI_SRIOV_BAR + 4 * i, i);
        }
    }
}

static const struct vr_pci_reg ari_regs[] = {
    VR_PCI_REG(4, 2, "ARI_CAP", "no groups; no function after this one"),
    VR_PCI_REG(6, 2, "ARI_CONTROL", "nothing"),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap ari_cap = {
    .name = "ari", .id = EXT_ARI, .version = 1, .len = 8, .regs = ari_regs};

void vr_pci_add_ari(struct vr_pci *pci)
{
    (void)vr_pci_add_cap(pci, &ari_cap);
}

/* --- Being together --- */

int vr_pci_sriov_attach(struct vr_pci *pf, unsigned index, struct vr_pci *vf, struct vr_error *err)
{
    struct vr_pci_sriov *s = pf->host.sriov;
    const char *id = pf->host.dev->id;
    if (!s || !pf->host.bus || index >= s->total) {
        return vr_err(err, -EINVAL, "%s is no physical function with %u virtual ones", id,
                      index + 1);
    }
    if (!vf->host.vf || vf->host.dev->cls != pf->host.dev->cls) {
        return vr_err(err, -EINVAL, "%s: a virtual function of %s has to be of its class, %s",
                      vf->host.dev->id, id, pf->host.dev->cls->name);
    }
    if (s->vf[index] || vf->host.pf) {
        return vr_err(err, -EBUSY, "%s: virtual function %u of %s is there already",
                      vf->host.dev->id, index, id);
    }
    vr_dev_lock(pf->host.dev);
    vr_dev_lock(vf->host.dev);
    vf->host.pf = pf;
    vf->host.vf_index = (uint16_t)index;
    vr_pci_express_plugged(vf, pf->host.bus);
    vr_dev_unlock(vf->host.dev);
    s->vf[index] = vf;
    sriov_apply(pf, true);
    vr_dev_unlock(pf->host.dev);
    return 0;
}

void vr_pci_sriov_detach(struct vr_pci *pci)
{
    if (pci->host.pf) {
        pci->host.pf->host.sriov->vf[pci->host.vf_index] = NULL;
        pci->host.pf = NULL;
        pci->host.bus = NULL;
    }
    struct vr_pci_sriov *s = pci->host.sriov;
    for (unsigned i = 0; s && i < s->total; i++) {
        if (s->vf[i]) {
            s->vf[i]->host.pf = NULL;
            s->vf[i] = NULL;
        }
    }
}

void vr_pci_sriov_plugged(struct vr_pci *pf)
{
    struct vr_pci_sriov *s = pf->host.sriov;
    vr_pci_set_def(pf, pf->host.sriov_cap + VR_PCI_SRIOV_LINK, 1, pf->host.devfn & 7);
    for (unsigned i = 0; i < s->total; i++) {
        if (s->vf[i]) {
            vr_pci_express_plugged(s->vf[i], pf->host.bus);
        }
    }
}

/* Its place is gone already. */
void vr_pci_sriov_unplugged(struct vr_pci *pf)
{
    vr_assert(!pf->host.bus);
    sriov_apply(pf, true);
}

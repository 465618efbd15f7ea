/*
 * The virt machine's places for devices: slots of the PCI Express root bus, virtio-mmio slots, and
 * the windows and interrupt lines that go with them. Whoever finds no room is told which room it
 * was.
 */
#include "base/bits.h"
#include "board/catalog.h"
#include "board/virt_riscv_priv.h"
#include "dev/pci/host.h"
#include "dev/pci/sriov.h"
#include "dev/virtio/mmio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int virt_new(struct vr_virt *v, const struct vr_dev_class *cls, const char *id, const char *opts,
             struct vr_dev **ret_dev, struct vr_error *err)
{
    struct vr_dev *dev;
    char more[1200];
    int r = virt_pf_opts(v, cls, id, opts, more, sizeof(more), err);
    r = r < 0 ? r
              : vr_dev_create(cls, id, *more ? more : opts, vr_machine_env(v->machine), &dev, err);
    if (r < 0) {
        return r;
    }
    r = vr_machine_add_dev(v->machine, dev, err);
    if (r < 0) {
        vr_dev_destroy(dev);
        return r;
    }
    *ret_dev = dev;
    return 0;
}

/* 64-bit windows lie behind RAM, as far as that reaches. */
static uint64_t pci_mem64(const struct vr_virt *v)
{
    return vr_align_up(VIRT_RAM + v->ram_bytes, VIRT_PCI_MEM64_LEN);
}

int virt_add_pci(struct vr_virt *v, struct vr_error *err)
{
    char opts[200];
    snprintf(opts, sizeof(opts),
             "io_gpa=%" PRIu64 ",mem32_gpa=%" PRIu64 ",mem64_gpa=%" PRIu64 ",mem64_len=%" PRIu64,
             VIRT_PCI_IO, VIRT_PCI_MEM32, pci_mem64(v), VIRT_PCI_MEM64_LEN);
    int r = virt_new(v, &vr_pci_host_class, "pci", opts, &v->pci, err);
    if (r == 0) {
        r = vr_dev_map(v->pci, VR_PCI_HOST_ECAM, vr_machine_mem(v->machine), VIRT_PCI_ECAM, err);
    }
    if (r < 0) {
        return r;
    }
    vr_assert(v->dev_count < VIRT_DEVS);
    struct virt_dev *d = &v->dev[v->dev_count++];
    *d = (struct virt_dev){.dev = v->pci, .at = {.gpa = {VIRT_PCI_ECAM}, .len = {VR_PCI_ECAM_LEN}}};
    for (unsigned i = 0; i < VR_PCI_INTX; i++) {
        virt_connect(v, vr_pci_host_intx(v->pci, i), VIRT_IRQ_PCI + i);
        d->at.irq[d->at.irq_count++] = VIRT_IRQ_PCI + i;
    }
    /* What lies in these appears where the guest puts it. */
    const struct vr_pci_root *root = vr_pci_host_root(v->pci);
    const struct vr_pci_range *const windows[] = {&root->io, &root->mem32, &root->mem64};
    for (unsigned i = 0; i < VR_COUNT(windows); i++) {
        vr_assert(v->dev_count < VIRT_DEVS);
        v->dev[v->dev_count++] =
            (struct virt_dev){.dev = v->pci,
                              .at = {.gpa = {windows[i]->gpa}, .len = {windows[i]->len}},
                              .in_other = true};
    }
    return 0;
}

int virt_add_to_pci(struct vr_virt *v, const struct virt_pci_at *at, const struct vr_dev_class *cls,
                    const char *id, const char *opts, struct vr_dev **ret_dev, struct vr_error *err)
{
    struct vr_pci_bus *root = &vr_pci_host_root(v->pci)->bus;
    struct vr_pci_bus *bus = at && at->bus ? at->bus : root;
    char pf[VIRT_ID_LEN];
    unsigned devfn = at && at->addr ? (at->addr - 1) << 3 : 0;
    if (virt_vf_of(opts, pf)) {
        return virt_add_vf(v, cls, id, opts, pf, ret_dev, err);
    }
    int r = at && at->addr ? 0 : vr_pci_bus_place(bus, bus == root, &devfn, err);
    if (r < 0) {
        return vr_err_in(err, r, "%s", id);
    }
    struct vr_dev *dev;
    r = virt_new(v, cls, id, opts, &dev, err);
    return r < 0 ? r : virt_settle(v, dev, vr_pci_plug(bus, devfn, vr_pci_of(dev), err), ret_dev);
}

void virt_discard(struct vr_virt *v, struct vr_dev *dev)
{
    vr_machine_remove_dev(v->machine, dev);
    vr_dev_destroy(dev);
}

int virt_settle(struct vr_virt *v, struct vr_dev *dev, int r, struct vr_dev **ret_dev)
{
    if (r < 0) {
        virt_discard(v, dev);
    } else {
        *ret_dev = dev;
    }
    return r;
}

int virt_add_mmio(struct vr_virt *v, const struct vr_dev_class *cls, const char *id,
                  const char *opts, struct vr_dev **ret_dev, struct vr_error *err)
{
    if (v->mmio_slots == VR_VIRT_MMIO_SLOTS) {
        return vr_err(err, -ENOSPC, "%s: all %d virtio-mmio slots of this machine are taken", id,
                      VR_VIRT_MMIO_SLOTS);
    }
    unsigned i = v->mmio_slots++;
    return virt_add(v, cls, id, opts, VIRT_MMIO + i * UINT64_C(0x1000), 0x1000, vr_virtio_mmio_irq,
                    VIRT_IRQ_MMIO + i, ret_dev, err);
}

int virt_add_virtio(struct vr_virt *v, const char *kind, const char *id, const char *opts,
                    struct vr_dev **ret_dev, struct vr_error *err)
{
    char name[48];
    snprintf(name, sizeof(name), "virtio-%s-%s", kind, v->virtio_mmio ? "mmio" : "pci");
    const struct vr_dev_class *cls = vr_catalog_find_class(name);
    vr_assert(cls != NULL);
    return v->virtio_mmio ? virt_add_mmio(v, cls, id, opts, ret_dev, err)
                          : virt_add_to_pci(v, NULL, cls, id, opts, ret_dev, err);
}

static void pci_bars(const struct vr_dev *dev, const struct vr_pci *pci,
                     struct vr_virt_pci_bar ret_bar[VR_VIRT_PCI_BARS])
{
    for (unsigned b = 0; b < VR_PCI_BARS; b++) {
        unsigned kind = pci->host.cls->bar[b].kind;
        if (kind != VR_PCI_BAR_NONE) {
            ret_bar[b] = (struct vr_virt_pci_bar){
                .gpa = pci->host.bar_mapped[b] ? pci->host.bar_gpa[b] : UINT64_MAX,
                .len = dev->cls->windows[pci->host.cls->bar[b].window].len,
                .io = kind == VR_PCI_BAR_IO,
                .wide = kind == VR_PCI_BAR_MEM64 || kind == VR_PCI_BAR_MEM64_PREFETCH,
                .prefetch = kind == VR_PCI_BAR_MEM64_PREFETCH,
            };
        }
    }
}

static struct vr_virt_pci_window pci_window(const struct vr_pci *pci,
                                            enum vr_pci_bridge_windows which)
{
    struct vr_pci_bridge_window w = vr_pci_bridge_window(pci, which);
    return (struct vr_virt_pci_window){w.first, w.last};
}

/* What the function is; under its lock. */
static void pci_describe(const struct vr_dev *dev, const struct vr_pci *pci,
                         struct vr_virt_pci *row)
{
    const struct vr_pci_class *cls = pci->host.cls;
    row->slot = pci->host.devfn >> 3;
    row->function = pci->host.devfn & 7u;
    /* Devices may say more than their class: virtio's all have one. */
    row->vendor = vr_load_le16(pci->config + VR_PCI_VENDOR);
    row->device = vr_load_le16(pci->config + VR_PCI_DEVICE);
    row->subvendor = vr_load_le16(pci->config + VR_PCI_SUBVENDOR);
    row->subdevice = vr_load_le16(pci->config + VR_PCI_SUBDEVICE);
    row->class_code = vr_load_le32(pci->config + VR_PCI_REVISION) >> 8;
    row->irq_pin = pci->config[VR_PCI_INT_PIN];
    row->bridge = cls->bridge;
    if (cls->bridge) {
        row->secondary = pci->config[VR_PCI_SECONDARY];
        row->subordinate = pci->config[VR_PCI_SUBORDINATE];
        row->io = pci_window(pci, VR_PCI_BRIDGE_IO);
        row->mem = pci_window(pci, VR_PCI_BRIDGE_MEM);
        row->prefetch = pci_window(pci, VR_PCI_BRIDGE_PREFETCH);
    }
    pci_bars(dev, pci, row->bar);
}

void virt_pci_place(const struct vr_pci *pci, char *ret_place, size_t size)
{
    const struct vr_pci *port = pci->host.bus ? pci->host.bus->bridge : NULL;
    snprintf(ret_place, size, "%s%s%02x.%x", port ? port->host.dev->id : "", port ? "/" : "",
             pci->host.devfn >> 3, pci->host.devfn & 7u);
}

/* Where the function is; false: nowhere, it comes or goes just now. */
static bool pci_place(struct vr_virt *v, struct vr_dev *dev, const struct vr_pci *pci,
                      struct vr_virt_pci *row)
{
    vr_dev_lock(v->pci);
    const struct vr_pci_bus *bus = pci->host.bus;
    const struct vr_pci *port = bus ? bus->bridge : NULL;
    *row = (struct vr_virt_pci){.dev = dev, .above = port ? port->host.dev : NULL};
    if (port) {
        vr_dev_lock(port->host.dev);
        row->bus = port->config[VR_PCI_SECONDARY] + vr_pci_sriov_bus(pci);
        vr_dev_unlock(port->host.dev);
    }
    virt_pci_place(pci, row->place, sizeof(row->place));
    vr_dev_unlock(v->pci);
    return bus != NULL;
}

bool vr_virt_pci_row(struct vr_virt *v, unsigned i, struct vr_virt_pci *ret_row)
{
    for (unsigned n = 0;; n++) {
        struct vr_dev *dev = vr_machine_dev(v->machine, n);
        if (!dev) {
            return false;
        }
        const struct vr_pci *pci = vr_pci_of(dev);
        if (pci && pci_place(v, dev, pci, ret_row) && i-- == 0) {
            vr_dev_lock(dev);
            pci_describe(dev, pci, ret_row);
            vr_dev_unlock(dev);
            return true;
        }
    }
}

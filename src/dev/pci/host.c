/*
 * PCI Express host bridge: configuration space of all buses in one window (ECAM), three windows for
 * ports and memory, four INTx lines, and, at 00:00.0, a function that only says that it is there.
 *
 * A function that is not there reads as all ones. The lock of this device guards the tree of buses.
 *
 * Specifications: PCI Express Base 6.0, 7.2.2 (ECAM); PCI Bus Binding to IEEE 1275; Linux
 * Documentation/devicetree/bindings/pci/host-generic-pci.yaml.
 */
#include "dev/pci/host.h"

#include "base/bits.h"

#include <inttypes.h>

/* The ids that Red Hat registered for just this: a generic host bridge. */
enum { ID_VENDOR = 0x1b36, ID_HOST = 0x0008, CLASS_HOST = 0x060000 };

struct pci_host {
    struct vr_dev dev;
    struct vr_pci pci;
    uint64_t io_gpa, io_len, mem32_gpa, mem32_len, mem64_gpa, mem64_len;
    struct vr_pci_root root;
    uint32_t cells[VR_PCI_INTX * 2];
    uint32_t cells_each, msi_parent;
};
#define HOST(d) ((struct pci_host *)(d))

struct vr_pci_root *vr_pci_host_root(struct vr_dev *dev)
{
    return &HOST(dev)->root;
}

struct vr_irq *vr_pci_host_intx(struct vr_dev *dev, unsigned line)
{
    vr_assert(line < VR_PCI_INTX);
    return &HOST(dev)->root.intx[line];
}

void vr_pci_host_wiring(struct vr_dev *dev, const uint32_t *cells, unsigned cells_each,
                        uint32_t msi_parent)
{
    struct pci_host *s = HOST(dev);
    vr_assert(cells_each >= 1 && cells_each <= 2);
    for (unsigned i = 0; i < VR_PCI_INTX * cells_each; i++) {
        s->cells[i] = cells[i];
    }
    s->cells_each = cells_each;
    s->msi_parent = msi_parent;
}

static struct vr_pci *host_find(struct pci_host *s, uint64_t off)
{
    return vr_pci_root_find(&s->root, (unsigned)(off >> 20), off >> 12 & 0xff);
}

static bool host_ecam_read(struct vr_dev *d, uint64_t off, unsigned width, uint64_t *ret_val)
{
    struct vr_pci *pci = host_find(HOST(d), off);
    unsigned reg = off & (VR_PCI_CONFIG - 1);
    if (width > 4 || !vr_is_aligned(off, width)) {
        return false;
    }
    if (!pci) {
        *ret_val = UINT64_MAX;
        return true;
    }
    if (pci->host.dev == d) { /* its lock is held */
        return vr_pci_config_read(d, reg, width, ret_val);
    }
    *ret_val = vr_dev_read(pci->host.dev, VR_PCI_WINDOW, reg, width);
    return true;
}

static bool host_ecam_write(struct vr_dev *d, uint64_t off, unsigned width, uint64_t val)
{
    struct vr_pci *pci = host_find(HOST(d), off);
    unsigned reg = off & (VR_PCI_CONFIG - 1);
    if (width > 4 || !vr_is_aligned(off, width)) {
        return false;
    }
    if (pci && pci->host.dev == d) {
        return vr_pci_config_write(d, reg, width, val);
    }
    if (pci) {
        vr_dev_write(pci->host.dev, VR_PCI_WINDOW, reg, width, val);
    }
    return true;
}

static const struct vr_pci_class host_pci = {
    .vendor = ID_VENDOR,
    .device = ID_HOST,
    .subvendor = 0x1af4,
    .subdevice = 0x1100,
    .class_code = CLASS_HOST,
};

static int host_init(struct vr_dev *d, struct vr_error *err)
{
    struct pci_host *s = HOST(d);
    vr_pci_init(d, &host_pci);
    vr_pci_root_init(&s->root, d);
    s->root.io = (struct vr_pci_range){.gpa = s->io_gpa, .len = s->io_len};
    s->root.mem32 =
        (struct vr_pci_range){.pci = s->mem32_gpa, .gpa = s->mem32_gpa, .len = s->mem32_len};
    s->root.mem64 =
        (struct vr_pci_range){.pci = s->mem64_gpa, .gpa = s->mem64_gpa, .len = s->mem64_len};
    return vr_pci_plug(&s->root.bus, 0, &s->pci, err);
}

static void host_fini(struct vr_dev *d)
{
    vr_pci_fini(d);
    vr_pci_root_fini(&HOST(d)->root);
}

/* One row of `ranges`: kind, PCI address, CPU address, length. */
static unsigned host_range(uint32_t *cells, uint32_t kind, const struct vr_pci_range *r)
{
    const uint64_t words[] = {r->pci, r->gpa, r->len};
    if (r->len == 0) {
        return 0;
    }
    cells[0] = kind;
    for (unsigned i = 0; i < VR_COUNT(words); i++) {
        cells[1 + 2 * i] = (uint32_t)(words[i] >> 32);
        cells[2 + 2 * i] = (uint32_t)words[i];
    }
    return 7;
}

static void host_describe_intx(const struct pci_host *s, struct vr_fdt *fdt, uint32_t parent)
{
    static const uint32_t mask[] = {(VR_PCI_INTX - 1) << 11, 0, 0, 7};
    uint32_t map[VR_PCI_INTX * VR_PCI_INTX * 7];
    unsigned n = 0;
    for (unsigned slot = 0; slot < VR_PCI_INTX; slot++) {
        for (unsigned pin = 0; pin < VR_PCI_INTX; pin++) {
            unsigned line = (slot + pin) % VR_PCI_INTX;
            map[n++] = slot << 11;
            map[n++] = 0;
            map[n++] = 0;
            map[n++] = pin + 1;
            map[n++] = parent;
            for (unsigned i = 0; i < s->cells_each; i++) {
                map[n++] = s->cells[line * s->cells_each + i];
            }
        }
    }
    vr_fdt_cells(fdt, "interrupt-map-mask", mask, VR_COUNT(mask));
    vr_fdt_cells(fdt, "interrupt-map", map, n);
}

static int host_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    static const uint32_t buses[] = {0, 255};
    struct pci_host *s = HOST(d);
    const struct vr_fdt_at reg = {.gpa = {at->gpa[0]}, .len = {at->len[0]}};
    uint32_t ranges[21];
    unsigned n = host_range(ranges, 0x01000000, &s->root.io);
    n += host_range(ranges + n, 0x02000000, &s->root.mem32);
    /* Not marked prefetchable, though it could be: U-Boot puts 64-bit windows there then, and
     * cannot write their upper halves. Linux grumbles at its size and uses it. */
    n += host_range(ranges + n, 0x03000000, &s->root.mem64);
    vr_fdt_begin(fdt, "pci@%" PRIx64, at->gpa[0]);
    vr_fdt_str(fdt, "compatible", "pci-host-ecam-generic");
    vr_fdt_str(fdt, "device_type", "pci");
    vr_fdt_reg(fdt, &reg);
    vr_fdt_u32(fdt, "#address-cells", 3);
    vr_fdt_u32(fdt, "#size-cells", 2);
    vr_fdt_u32(fdt, "#interrupt-cells", 1);
    vr_fdt_u32(fdt, "linux,pci-domain", 0);
    vr_fdt_cells(fdt, "bus-range", buses, VR_COUNT(buses));
    vr_fdt_cells(fdt, "ranges", ranges, n);
    vr_fdt_empty(fdt, "dma-coherent");
    if (at->irq_parent && s->cells_each) {
        host_describe_intx(s, fdt, at->irq_parent);
    }
    if (s->msi_parent) {
        vr_fdt_u32(fdt, "msi-parent", s->msi_parent);
    }
    vr_fdt_end(fdt);
    return 0;
}

#define VR_SELF struct pci_host
static const struct vr_field host_fields[] = {
    VR_PCI_FIELDS(pci),
    VR_CONFIG(io_gpa, "where port 0 is", .def = 0x3000000),
    VR_CONFIG(io_len, "bytes of ports", .def = 0x10000),
    VR_CONFIG(mem32_gpa, "window of memory below 4 GiB", .def = 0x40000000, .max = UINT32_MAX),
    VR_CONFIG(mem32_len, "its length", .def = 0x40000000, .max = UINT32_MAX),
    VR_CONFIG(mem64_gpa, "window of memory anywhere", .def = UINT64_C(0x400000000)),
    VR_CONFIG(mem64_len, "its length", .def = UINT64_C(0x400000000)),
    VR_HOST(root, "buses: who is plugged in, made by the board"),
    VR_HOST(cells, "for the device tree"),
    VR_HOST(cells_each, "for the device tree"),
    VR_HOST(msi_parent, "for the device tree"),
    VR_FIELD_END,
};

const struct vr_dev_class vr_pci_host_class = {
    .name = "pci-host",
    .help = "PCI Express host bridge (ECAM)",
    .size = sizeof(struct pci_host),
    .pci = offsetof(struct pci_host, pci),
    .version = 1,
    .fields = host_fields,
    .windows = {VR_PCI_CONFIG_WINDOW,
                {.name = "ecam",
                 .len = VR_PCI_ECAM_LEN,
                 .read = host_ecam_read,
                 .write = host_ecam_write}},
    .init = host_init,
    .reset = vr_pci_reset,
    .loaded = vr_pci_loaded,
    .fini = host_fini,
    .describe = host_describe,
};

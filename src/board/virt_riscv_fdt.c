/*
 * The virt machine's device tree, made from the devices that are there.
 * Devicetree Specification 0.4; bindings as in Linux Documentation/devicetree/bindings/riscv.
 */
#include "board/virt_riscv_priv.h"
#include "dev/pci/host.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Phandles: harts' interrupt controllers from 1 on, then the controllers of the machine. */
enum {
    PHANDLE_CPU_INTC = 1,
    PHANDLE_PLIC = 100,
    PHANDLE_TEST,
    PHANDLE_APLIC_M, /* each pair in this order: aplic.h */
    PHANDLE_APLIC_S,
    PHANDLE_IMSIC_M,
    PHANDLE_IMSIC_S,
};
enum { IRQ_EDGE_RISING = 1, IRQ_LEVEL_HIGH = 4 }; /* the second cell of an interrupt of the APLIC */

static void fdt_cpu(struct vr_virt *v, unsigned i)
{
    static const char *const mmu[] = {"riscv,sv39", "riscv,sv48", "riscv,sv57"};
    struct vr_fdt *f = v->fdt;
    char isa[RV_ISA_STRING_MAX];
    vr_fdt_begin(f, "cpu@%x", i);
    vr_fdt_str(f, "device_type", "cpu");
    vr_fdt_u32(f, "reg", i);
    vr_fdt_str(f, "status", "okay");
    vr_fdt_str(f, "compatible", "riscv");
    rv_isa_string(&v->config, isa);
    vr_fdt_str(f, "riscv,isa", isa);
    vr_fdt_str(f, "riscv,isa-base", "rv64i");
    vr_fdt_strs(f, "riscv,isa-extensions", isa, rv_isa_extensions(&v->config, isa));
    vr_fdt_str(f, "mmu-type", mmu[v->config.satp_max - 8]);
    vr_fdt_u32(f, "riscv,cbom-block-size", 64);
    vr_fdt_u32(f, "riscv,cboz-block-size", 64);
    vr_fdt_begin(f, "interrupt-controller");
    vr_fdt_u32(f, "#address-cells", 0);
    vr_fdt_u32(f, "#interrupt-cells", 1);
    vr_fdt_empty(f, "interrupt-controller");
    vr_fdt_str(f, "compatible", "riscv,cpu-intc");
    vr_fdt_u32(f, "phandle", PHANDLE_CPU_INTC + i);
    vr_fdt_end(f);
    vr_fdt_end(f);
}

static void fdt_cpus(struct vr_virt *v)
{
    vr_fdt_begin(v->fdt, "cpus");
    vr_fdt_u32(v->fdt, "#address-cells", 1);
    vr_fdt_u32(v->fdt, "#size-cells", 0);
    vr_fdt_u32(v->fdt, "timebase-frequency", (uint32_t)v->config.timebase_hz);
    for (unsigned i = 0; i < v->cpus; i++) {
        fdt_cpu(v, i);
    }
    vr_fdt_end(v->fdt);
}

static void fdt_chosen(struct vr_virt *v)
{
    struct vr_fdt *f = v->fdt;
    char path[64];
    vr_fdt_begin(f, "chosen");
    if (v->append) {
        vr_fdt_str(f, "bootargs", v->append);
    }
    snprintf(path, sizeof(path), "/soc/serial@%" PRIx64, VIRT_UART);
    vr_fdt_str(f, "stdout-path", path);
    if (v->initrd_file.len) {
        vr_fdt_u64(f, "linux,initrd-start", v->initrd_gpa);
        vr_fdt_u64(f, "linux,initrd-end", v->initrd_gpa + v->initrd_file.len);
    }
    vr_fdt_bytes(f, "rng-seed", v->rng_seed, sizeof(v->rng_seed));
    vr_fdt_end(f);
}

/* The interrupts-extended cells of a controller that has a wire for two interrupts of each hart, or
 * one (@second 0). */
static unsigned fdt_harts_cells(const struct vr_virt *v, uint32_t *cells, uint32_t first,
                                uint32_t second)
{
    unsigned n = 0;
    for (unsigned i = 0; i < v->cpus; i++) {
        cells[n++] = PHANDLE_CPU_INTC + i;
        cells[n++] = first;
        if (second) {
            cells[n++] = PHANDLE_CPU_INTC + i;
            cells[n++] = second;
        }
    }
    return n;
}

/* What an interrupt controller's node says of the harts and of other controllers. */
static void fdt_controller(const struct vr_virt *v, const struct vr_dev *dev, struct vr_fdt_at *at,
                           uint32_t *cells)
{
    at->irqs_extended = cells;
    if (dev == v->clint) {
        at->irqs_extended_count = fdt_harts_cells(v, cells, RV_MSI, RV_MTI);
    } else if (dev == v->imsic_m || dev == v->imsic_s) {
        bool s = dev == v->imsic_s;
        at->phandle = s ? PHANDLE_IMSIC_S : PHANDLE_IMSIC_M;
        at->irqs_extended_count = fdt_harts_cells(v, cells, s ? RV_SEI : RV_MEI, 0);
    } else if (dev == v->irqchip) {
        at->phandle = v->aia ? PHANDLE_APLIC_M : PHANDLE_PLIC;
        at->irqs_extended_count = fdt_harts_cells(v, cells, RV_MEI, RV_SEI);
        at->msi_parent = v->imsic_m ? PHANDLE_IMSIC_M : 0;
        if (v->aia && v->config.builtin_sbi) {
            at->len[0] = 0; /* the M domain */
        }
    }
}

/* Its lines, and where messages go. */
static void fdt_wire_pci(struct vr_virt *v, const struct virt_dev *d)
{
    uint32_t cells[2 * VR_PCI_INTX];
    unsigned each = v->aia ? 2 : 1;
    for (unsigned i = 0; i < VR_PCI_INTX; i++) {
        cells[each * i] = d->at.irq[i];
        if (v->aia) {
            cells[2 * i + 1] = IRQ_LEVEL_HIGH;
        }
    }
    vr_pci_host_wiring(v->pci, cells, each, v->imsic_s ? PHANDLE_IMSIC_S : 0);
}

static void fdt_device(struct vr_virt *v, const struct virt_dev *d)
{
    uint32_t cells[VR_MAX_VCPUS * 4];
    struct vr_fdt_at at = d->at;
    /* Where there is no M-mode software, its interrupt files are nobody's. */
    bool hidden = v->imsic_m && d->dev == v->imsic_m && v->config.builtin_sbi;
    if (!d->dev->cls->describe || d->in_other || hidden) {
        return;
    }
    at.irq_parent = !at.irq_count ? 0 : v->aia ? PHANDLE_APLIC_S : PHANDLE_PLIC;
    if (v->aia && at.irq_count == 1) {
        at.irq[at.irq_count++] = d->dev == v->genid ? IRQ_EDGE_RISING : IRQ_LEVEL_HIGH;
    }
    at.phandle = d->dev == v->test ? PHANDLE_TEST : 0;
    if (d->dev == v->pci) {
        fdt_wire_pci(v, d);
    }
    fdt_controller(v, d->dev, &at, cells);
    d->dev->cls->describe(d->dev, v->fdt, &at);
}

static void fdt_devices(struct vr_virt *v)
{
    vr_fdt_begin(v->fdt, "soc");
    vr_fdt_u32(v->fdt, "#address-cells", 2);
    vr_fdt_u32(v->fdt, "#size-cells", 2);
    vr_fdt_str(v->fdt, "compatible", "simple-bus");
    vr_fdt_empty(v->fdt, "ranges");
    for (unsigned i = 0; i < v->dev_count; i++) {
        if (v->dev[i].dev != v->test) {
            fdt_device(v, &v->dev[i]);
        }
    }
    vr_fdt_end(v->fdt);
    /* With it come the nodes that power off and reboot, which have no address: not for a bus. */
    for (unsigned i = 0; i < v->dev_count; i++) {
        if (v->dev[i].dev == v->test) {
            fdt_device(v, &v->dev[i]);
        }
    }
}

int virt_make_fdt(struct vr_virt *v, struct vr_error *err)
{
    int r = vr_fdt_create(&v->fdt, err);
    if (r < 0) {
        return r;
    }
    vr_fdt_begin(v->fdt, "/");
    vr_fdt_u32(v->fdt, "#address-cells", 2);
    vr_fdt_u32(v->fdt, "#size-cells", 2);
    vr_fdt_str(v->fdt, "compatible", "riscv-virtio");
    vr_fdt_str(v->fdt, "model", "vireo,virt");
    fdt_chosen(v);
    fdt_cpus(v);
    vr_fdt_begin(v->fdt, "memory@%" PRIx64, VIRT_RAM);
    vr_fdt_str(v->fdt, "device_type", "memory");
    vr_fdt_reg(v->fdt, &(struct vr_fdt_at){.gpa = {VIRT_RAM}, .len = {v->ram_bytes}});
    vr_fdt_end(v->fdt);
    fdt_devices(v);
    vr_fdt_end(v->fdt);
    r = vr_fdt_finish(v->fdt, &v->fdt_blob, &v->fdt_len, err);
    if (r == 0 && v->fdt_len > VIRT_FDT_ROOM) { /* only the command line can be that long */
        r = vr_err(
            err, -E2BIG,
            "the device tree has %zu bytes, at most %d fit: shorten the kernel's command line",
            v->fdt_len, VIRT_FDT_ROOM);
    }
    return r;
}

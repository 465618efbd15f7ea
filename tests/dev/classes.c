/* Every device class, and what the generic test knows of single ones. */
#include "classes.h"

#include "base/bits.h"
#include "dev/char/uart16550.h"
#include "dev/irqchip/aclint_sswi.h"
#include "dev/irqchip/aplic.h"
#include "dev/irqchip/clint.h"
#include "dev/irqchip/imsic.h"
#include "dev/irqchip/plic.h"
#include "dev/misc/fw_cfg.h"
#include "dev/misc/vmgenid.h"
#include "dev/timer/goldfish_rtc.h"
#include "dev/timer/i6300esb.h"

#define VR_DEV(name) extern const struct vr_dev_class vr_##name##_class;
#include "dev/list.h"

#define VR_DEV(name) &vr_##name##_class,
const struct vr_dev_class *const all_classes[] = {
#include "dev/list.h"
};
const unsigned all_class_count = VR_COUNT(all_classes);

/* --- Platform devices --- */

static unsigned uart_wires(struct vr_dev *dev, struct vr_irq **ret_wires)
{
    ret_wires[0] = vr_uart16550_irq(dev);
    return 1;
}

static unsigned rtc_wires(struct vr_dev *dev, struct vr_irq **ret_wires)
{
    ret_wires[0] = vr_goldfish_rtc_irq(dev);
    return 1;
}

static unsigned genid_wires(struct vr_dev *dev, struct vr_irq **ret_wires)
{
    ret_wires[0] = vr_vmgenid_irq(dev);
    return 1;
}

enum { HARTS = 3, CONTEXTS = 6 };

static unsigned clint_wires(struct vr_dev *dev, struct vr_irq **ret_wires)
{
    for (unsigned i = 0; i < HARTS; i++) {
        ret_wires[2 * i] = vr_clint_msip(dev, i);
        ret_wires[2 * i + 1] = vr_clint_mtip(dev, i);
    }
    return 2 * HARTS;
}

static unsigned sswi_wires(struct vr_dev *dev, struct vr_irq **ret_wires)
{
    for (unsigned i = 0; i < HARTS; i++) {
        ret_wires[i] = vr_aclint_sswi_ssip(dev, i);
    }
    return HARTS;
}

static unsigned plic_wires(struct vr_dev *dev, struct vr_irq **ret_wires)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        ret_wires[i] = vr_plic_out(dev, i);
    }
    return CONTEXTS;
}

/* A source's wire moves. */
static void plic_outside(struct dut *dut, uint64_t seed)
{
    vr_plic_set(dut->dev, 1 + seed % VR_PLIC_SOURCES, seed >> 32 & 1);
}

static unsigned aplic_wires(struct vr_dev *dev, struct vr_irq **ret_wires)
{
    for (unsigned i = 0; i < 2 * HARTS; i++) {
        ret_wires[i] = vr_aplic_out(dev, i % 2 ? VR_APLIC_S : VR_APLIC_M, i / 2);
    }
    return 2 * HARTS;
}

/* A source's wire moves; or a driver turns it on, which random accesses seldom do. */
static void aplic_outside(struct dut *dut, uint64_t seed)
{
    unsigned source = 1 + seed % VR_APLIC_SOURCES, window = seed >> 8 & 1;
    uint32_t idc = 0x4000 + 32 * (uint32_t)(seed >> 12 & 3);
    switch (seed >> 16 & 3) {
    case 0:
        vr_dev_write(dut->dev, 0, 4 * source, 4, window ? 0x400 : seed >> 20 & 7);
        vr_dev_write(dut->dev, window, 4 * source, 4, seed >> 20 & 7);
        vr_dev_write(dut->dev, window, 0x1edc, 4, source);
        vr_dev_write(dut->dev, window, 0x3000 + 4 * source, 4, seed & 0xc03ff);
        break;
    case 1:
        vr_dev_write(dut->dev, window, 0, 4, 0x100 | (seed >> 20 & 4));
        vr_dev_write(dut->dev, window, idc, 4, 1);
        (void)vr_dev_read(dut->dev, window, idc + 0x1c, 4);
        break;
    default:
        vr_aplic_set(dut->dev, source, seed >> 32 & 1);
    }
}

static void esb_keyed(struct vr_dev *dev, unsigned off, uint32_t val)
{
    vr_dev_write(dev, 1, 0xc, 2, 0x80);
    vr_dev_write(dev, 1, 0xc, 2, 0x86);
    vr_dev_write(dev, 1, off, 4, val);
}

/* A driver that sets short times, reloads, or switches it on and off. */
static void esb_outside(struct dut *dut, uint64_t seed)
{
    switch (seed & 3) {
    case 0:
        esb_keyed(dut->dev, seed >> 8 & 4, seed >> 16 & 3);
        break;
    case 1:
        esb_keyed(dut->dev, 0xc, seed & 0x300);
        break;
    case 2:
        vr_dev_write(dut->dev, 0, 0x60, 2, seed >> 16 & 0x27);
        break;
    default:
        vr_dev_write(dut->dev, 0, 0x68, 1, seed >> 16 & 6);
    }
}

/* That it ran out is remembered over resets, until the guest clears it. */
static void esb_forget(struct dut *dut)
{
    esb_keyed(dut->dev, 0xc, 0x200);
}

static unsigned imsic_wires(struct vr_dev *dev, struct vr_irq **ret_wires)
{
    for (unsigned i = 0; i < HARTS; i++) {
        ret_wires[i] = vr_imsic_out(dev, i);
    }
    return HARTS;
}

/* A hart uses its interrupt file, or a message comes. */
static void imsic_outside(struct dut *dut, uint64_t seed)
{
    struct vr_irq_file file = vr_imsic_file(dut->dev, seed % HARTS);
    unsigned sel = seed >> 8 & 1 ? 0x70 + (seed >> 12) % 0x90 : 0x80 + (seed >> 12) % 9;
    uint64_t old, ones = seed >> 9 & 1 ? UINT64_MAX : seed;
    switch (seed >> 40 & 3) {
    case 0:
        (void)file.reg(file.chip, file.index, sel, ones, seed >> 10 & 1 ? seed : UINT64_MAX, &old);
        break;
    case 1:
        (void)file.reg(file.chip, file.index, 0x70, UINT64_MAX, seed >> 10 & 1, &old);
        (void)file.reg(file.chip, file.index, 0xc0 + (seed >> 12 & 6), ones, UINT64_MAX, &old);
        break;
    case 2:
        (void)file.top(file.chip, file.index, seed >> 8 & 1);
        break;
    default:
        vr_dev_write(dut->dev, 0, seed % HARTS * VR_IMSIC_PAGE, 4, seed >> 20 & 0xff);
    }
}

static void fw_plug(struct dut *dut)
{
    static const uint8_t data[300] = "some firmware table";
    struct vr_error err = {0};
    if (vr_fw_cfg_add(dut->dev, "etc/table", data, sizeof(data), &err) < 0 ||
        vr_fw_cfg_add(dut->dev, "etc/empty", data, 0, &err) < 0) {
        fail_msg("%s", err.msg);
    }
}

/* A request in memory for the DMA register, and sometimes the order to do it. */
static void fw_outside(struct dut *dut, uint64_t seed)
{
    uint64_t at = (seed >> 8) % 64 * 16;
    uint8_t *request = dut->rig.ram->hva + at;
    vr_store_be32(request, (uint32_t)(rig_random(&seed) & 0x1f) | (uint32_t)(seed % 0x24) << 16);
    vr_store_be32(request + 4, (uint32_t)(rig_random(&seed) % 0x2000));
    vr_store_be64(request + 8, RIG_RAM_GPA + rig_random(&seed) % (RIG_RAM_LEN + 64));
    if (seed & 1) {
        vr_dev_write(dut->dev, 0, 0x10, 8, __builtin_bswap64(RIG_RAM_GPA + at));
    }
}

static const struct class_hooks hooks[] = {
    {.cls = &vr_clint_class, .opts = "harts=3", .wires = clint_wires},
    {.cls = &vr_aclint_sswi_class, .opts = "harts=3", .wires = sswi_wires},
    {.cls = &vr_plic_class, .opts = "contexts=6", .wires = plic_wires, .outside = plic_outside},
    {.cls = &vr_aplic_class, .opts = "harts=3,msi", .wires = aplic_wires, .outside = aplic_outside},
    {.cls = &vr_imsic_class, .opts = "harts=3", .wires = imsic_wires, .outside = imsic_outside},
    {.cls = &vr_uart16550_class, .wires = uart_wires},
    {.cls = &vr_goldfish_rtc_class, .opts = "epoch_ns=0x123456789abcdef", .wires = rtc_wires},
    {.cls = &vr_vmgenid_class, .opts = "low=7,high=0xfedcba9876543210", .wires = genid_wires},
    {.cls = &vr_i6300esb_class, .outside = esb_outside, .forget = esb_forget},
    {.cls = &vr_fw_cfg_class, .plug = fw_plug, .outside = fw_outside},
};
static const struct class_hooks none;
const struct class_hooks *class_hooks(const struct vr_dev_class *cls)
{
    for (unsigned i = 0; i < VR_COUNT(hooks); i++) {
        if (hooks[i].cls == cls) {
            return &hooks[i];
        }
    }
    const struct class_hooks *h = virtio_hooks(cls);
    return h ? h : &none;
}

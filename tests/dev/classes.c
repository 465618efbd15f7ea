/* Every device class, and what the generic test knows of single ones. */
#include "classes.h"

#include "base/bits.h"
#include "dev/char/uart16550.h"
#include "dev/irqchip/aclint_sswi.h"
#include "dev/irqchip/clint.h"
#include "dev/irqchip/plic.h"
#include "dev/misc/fw_cfg.h"
#include "dev/timer/goldfish_rtc.h"

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
    {.cls = &vr_uart16550_class, .wires = uart_wires},
    {.cls = &vr_goldfish_rtc_class, .opts = "epoch_ns=0x123456789abcdef", .wires = rtc_wires},
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

/*
 * ACLINT SSWI: supervisor software interrupts between harts without a call to M mode.
 *
 * One 4-byte register setssip a hart. It reads 0; writing 1 sends one edge, which sets the hart's
 * mip.SSIP; writing 0 does nothing. The device remembers nothing: the bit lives in the hart, where
 * supervisor software clears it.
 * Specification: RISC-V ACLINT specification 1.0-rc4, chapter 4.
 */
#include "dev/irqchip/aclint_sswi.h"

#include <inttypes.h>

struct sswi {
    struct vr_dev dev;
    uint32_t harts; /* config */
    struct vr_irq ssip[VR_SSWI_HARTS];
};
#define SSWI(d) ((struct sswi *)(d))

static uint64_t sswi_read(struct vr_dev *d, unsigned hart)
{
    (void)d;
    (void)hart;
    return 0;
}

static void sswi_write(struct vr_dev *d, unsigned hart, uint64_t val)
{
    if (hart >= SSWI(d)->harts) {
        vr_guest_error(d, "access to hart %u of %u", hart, (unsigned)SSWI(d)->harts);
    } else if (val & 1) {
        vr_irq_set(&SSWI(d)->ssip[hart], true);
        vr_irq_set(&SSWI(d)->ssip[hart], false);
    }
}

static int sswi_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    (void)d;
    vr_fdt_begin(fdt, "sswi@%" PRIx64, at->gpa[0]);
    vr_fdt_str(fdt, "compatible", "riscv,aclint-sswi");
    vr_fdt_reg(fdt, at);
    vr_fdt_empty(fdt, "interrupt-controller");
    vr_fdt_u32(fdt, "#interrupt-cells", 0);
    vr_fdt_end(fdt);
    return 0;
}

struct vr_irq *vr_aclint_sswi_ssip(struct vr_dev *dev, unsigned hart)
{
    vr_assert(hart < SSWI(dev)->harts);
    return &SSWI(dev)->ssip[hart];
}

#define VR_SELF struct sswi
static const struct vr_field sswi_fields[] = {
    VR_CONFIG(harts, "how many harts it serves", .def = 1, .min = 1, .max = VR_SSWI_HARTS),
    VR_HOST(ssip, "wires, low but for the moment of a pulse"),
    VR_FIELD_END,
};
static const struct vr_reg sswi_regs[] = {
    VR_REG(0, 4, "setssip", "write 1: interrupt the hart", .count = VR_SSWI_HARTS, .stride = 4,
           .read = sswi_read, .write = sswi_write),
    VR_REG_END,
};

const struct vr_dev_class vr_aclint_sswi_class = {
    .name = "aclint-sswi",
    .help = "supervisor software interrupts of each hart",
    .size = sizeof(struct sswi),
    .version = 1,
    .fields = sswi_fields,
    .windows = {{.name = "sswi", .len = 0x4000, .regs = sswi_regs}},
    .describe = sswi_describe,
};

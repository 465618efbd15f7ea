/*
 * The host-target interface, as far as test programs use it: the doubleword `tohost`.
 *
 * An odd value ends the machine: 1 is a pass, and 2 * code + 1 a failure with that code. Even
 * values would ask the host for services that Vireo does not have; they are counted and stay where
 * they were written, like in memory. The window lies over the RAM where the program has its symbol
 * `tohost`.
 *
 * Convention: riscv-tests and the RISC-V architecture tests (RVMODEL_HALT).
 */
#include "dev/misc/htif.h"

struct htif {
    struct vr_dev dev;
    uint64_t tohost;
};

static void htif_write(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    if (val == 0) {
        return;
    }
    if (!(val & 1)) {
        vr_guest_error(d, "tohost asks for a service; there are none");
    } else if (d->env->request) {
        uint64_t code = val >> 1;
        d->env->request(d->env->opaque, code ? VR_REQ_FAIL : VR_REQ_POWEROFF,
                        code > UINT32_MAX ? UINT32_MAX : (unsigned)code);
    }
}

#define VR_SELF struct htif
static const struct vr_reg htif_regs[] = {
    VR_REG_OF(0, 8, "tohost", tohost, "1 pass, 2 * code + 1 fail", .wmask = UINT64_MAX,
              .flex = true, .write = htif_write),
    VR_REG_END,
};
static const struct vr_field htif_fields[] = {
    VR_STATE(tohost, "as last written"),
    VR_FIELD_END,
};

const struct vr_dev_class vr_htif_class = {
    .name = "htif",
    .help = "tohost of bare-metal test programs",
    .size = sizeof(struct htif),
    .version = 1,
    .fields = htif_fields,
    .windows = {{.name = "htif", .len = 8, .prio = 1, .regs = htif_regs}},
};

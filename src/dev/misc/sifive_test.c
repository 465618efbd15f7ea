/*
 * SiFive test finisher: one register by which a guest ends the machine.
 *
 *     0x5555               power off: a good end
 *     0x3333 | code << 16  fail, with a code
 *     0x7777               reset
 *
 * It reads as 0, and ignores (and counts) every other value. Narrower writes count as that value
 * with zeros above, so a 16-bit 0x5555 works. Linux, U-Boot and OpenSBI find it by the generic
 * syscon-poweroff and syscon-reboot nodes, which refer to it as a `syscon`.
 *
 * Specification: SiFive test device in the `freedom` platform (sifive,test0, with the reset code of
 * sifive,test1); Linux bindings power/reset/syscon-poweroff, syscon-reboot.
 */
#include "dev/misc/sifive_test.h"

#include <inttypes.h>

enum { FAIL = 0x3333, PASS = 0x5555, RESET = 0x7777 };

struct sifive_test {
    struct vr_dev dev;
};

static uint64_t test_read(struct vr_dev *d, unsigned index)
{
    (void)d;
    (void)index;
    return 0;
}

static void test_write(struct vr_dev *d, unsigned index, uint64_t val)
{
    enum vr_request what = VR_REQ_NONE;
    unsigned code = 0;
    (void)index;
    switch (val & 0xffff) {
    case FAIL:
        what = VR_REQ_FAIL;
        code = val >> 16 & 0xffff;
        break;
    case PASS:
        what = VR_REQ_POWEROFF;
        break;
    case RESET:
        what = VR_REQ_RESET;
        break;
    default:
        vr_guest_error(d, "write of 0x%" PRIx64 ", which means nothing", val);
        return;
    }
    if (d->env->request) {
        d->env->request(d->env->opaque, what, code);
    }
}

static int test_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    static const char compatible[] = "sifive,test1\0sifive,test0\0syscon";
    static const struct {
        const char *node, *compatible;
        uint32_t value;
    } action[] = {{"poweroff", "syscon-poweroff", PASS}, {"reboot", "syscon-reboot", RESET}};
    (void)d;
    vr_fdt_begin(fdt, "test@%" PRIx64, at->gpa[0]);
    vr_fdt_strs(fdt, "compatible", compatible, sizeof(compatible));
    vr_fdt_reg(fdt, at);
    vr_fdt_end(fdt);
    for (unsigned i = 0; at->phandle && i < 2; i++) {
        vr_fdt_begin(fdt, "%s", action[i].node);
        vr_fdt_str(fdt, "compatible", action[i].compatible);
        vr_fdt_u32(fdt, "regmap", at->phandle);
        vr_fdt_u32(fdt, "offset", 0);
        vr_fdt_u32(fdt, "value", action[i].value);
        vr_fdt_end(fdt);
    }
    return 0;
}

static const struct vr_field test_fields[] = {VR_FIELD_END};
static const struct vr_reg test_regs[] = {
    VR_REG(0, 4, "finish", "0x5555 power off, 0x7777 reset, 0x3333 | code << 16 fail", .flex = true,
           .read = test_read, .write = test_write),
    VR_REG_END,
};

const struct vr_dev_class vr_sifive_test_class = {
    .name = "sifive-test",
    .help = "power off, reset, and test results",
    .size = sizeof(struct sifive_test),
    .version = 1,
    .fields = test_fields,
    .windows = {{.name = "test", .len = 0x1000, .regs = test_regs}},
    .describe = test_describe,
};

/* What the platform devices tell Linux: their nodes, read back with libfdt. */
#include "dev/char/uart16550.h"
#include "dev/irqchip/aclint_sswi.h"
#include "dev/irqchip/aplic.h"
#include "dev/irqchip/clint.h"
#include "dev/irqchip/imsic.h"
#include "dev/irqchip/plic.h"
#include "dev/misc/fw_cfg.h"
#include "dev/misc/sifive_test.h"
#include "dev/misc/vmgenid.h"
#include "dev/timer/goldfish_rtc.h"
#include "rig.h"
#include <libfdt.h>

struct tree {
    struct vr_fdt *fdt;
    const void *blob;
};

/* A tree whose root holds @cls's node(s). */
static void describe(struct tree *t, const struct vr_dev_class *cls, const char *opts,
                     const struct vr_fdt_at *at)
{
    struct rig rig;
    size_t len;
    rig_init(&rig);
    struct vr_dev *dev = rig_dev(&rig, cls, opts);
    assert_int_equal(vr_fdt_create(&t->fdt, NULL), 0);
    vr_fdt_begin(t->fdt, "/");
    vr_fdt_u32(t->fdt, "#address-cells", 2);
    vr_fdt_u32(t->fdt, "#size-cells", 2);
    assert_int_equal(cls->describe(dev, t->fdt, at), 0);
    vr_fdt_end(t->fdt);
    assert_int_equal(vr_fdt_finish(t->fdt, &t->blob, &len, NULL), 0);
    assert_int_equal(fdt_check_full(t->blob, len), 0);
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

static int node(const struct tree *t, const char *path, const char *compatible)
{
    int off = fdt_path_offset(t->blob, path);
    assert_true(off >= 0);
    if (compatible) {
        assert_int_equal(fdt_node_check_compatible(t->blob, off, compatible), 0);
    }
    return off;
}

/* Cell @i of a property. */
static uint32_t cell(const struct tree *t, int off, const char *prop, unsigned i)
{
    int len;
    const fdt32_t *p = fdt_getprop(t->blob, off, prop, &len);
    assert_non_null(p);
    assert_true(len >= (int)(4 * (i + 1)));
    return fdt32_ld(p + i);
}

static bool has(const struct tree *t, int off, const char *prop)
{
    return fdt_getprop(t->blob, off, prop, NULL) != NULL;
}

static void check_reg(const struct tree *t, int off, const struct vr_fdt_at *at)
{
    assert_int_equal(cell(t, off, "reg", 1), at->gpa[0]);
    assert_int_equal(cell(t, off, "reg", 3), at->len[0]);
}

static void interrupt_controllers(void **state)
{
    static const uint32_t wires[] = {1, 3, 1, 7, 2, 3, 2, 7};
    struct vr_fdt_at at = {
        .gpa = {0x2000000}, .len = {0x10000}, .irqs_extended = wires, .irqs_extended_count = 8};
    struct tree t;
    (void)state;
    describe(&t, &vr_clint_class, "harts=2", &at);
    int off = node(&t, "/clint@2000000", "sifive,clint0");
    check_reg(&t, off, &at);
    assert_int_equal(fdt_node_check_compatible(t.blob, off, "riscv,clint0"), 0);
    assert_int_equal(cell(&t, off, "interrupts-extended", 7), 7);
    vr_fdt_destroy(t.fdt);

    at.gpa[0] = 0x2f00000;
    at.len[0] = 0x4000;
    describe(&t, &vr_aclint_sswi_class, "harts=2", &at);
    off = node(&t, "/sswi@2f00000", "riscv,aclint-sswi");
    check_reg(&t, off, &at);
    assert_int_equal(cell(&t, off, "#interrupt-cells", 0), 0);
    assert_true(has(&t, off, "interrupt-controller"));
    vr_fdt_destroy(t.fdt);

    at.gpa[0] = 0xc000000;
    at.len[0] = 0x600000;
    at.phandle = 9;
    describe(&t, &vr_plic_class, "contexts=4", &at);
    off = node(&t, "/plic@c000000", "sifive,plic-1.0.0");
    check_reg(&t, off, &at);
    assert_int_equal(fdt_node_check_compatible(t.blob, off, "riscv,plic0"), 0);
    assert_int_equal(cell(&t, off, "riscv,ndev", 0), 95);
    assert_int_equal(cell(&t, off, "#interrupt-cells", 0), 1);
    assert_int_equal(cell(&t, off, "#address-cells", 0), 0);
    assert_int_equal(cell(&t, off, "interrupts-extended", 4), 2);
    assert_true(has(&t, off, "interrupt-controller"));
    assert_int_equal(fdt_get_phandle(t.blob, off), 9);
    vr_fdt_destroy(t.fdt);
}

/* Where it is, and the line that it raises. */
static void check_wired(struct tree *t, int off, const struct vr_fdt_at *at)
{
    check_reg(t, off, at);
    assert_int_equal(cell(t, off, "interrupts", 0), at->irq[0]);
    assert_int_equal(cell(t, off, "interrupt-parent", 0), at->irq_parent);
}

static void serial_and_clock(void **state)
{
    struct vr_fdt_at at = {
        .gpa = {0x10000000}, .len = {0x100}, .irq_parent = 9, .irq = {10}, .irq_count = 1};
    struct tree t;
    (void)state;
    describe(&t, &vr_uart16550_class, NULL, &at);
    int off = node(&t, "/serial@10000000", "ns16550a");
    check_wired(&t, off, &at);
    assert_int_equal(cell(&t, off, "clock-frequency", 0), 3686400);
    vr_fdt_destroy(t.fdt);

    at.gpa[0] = 0x101000;
    at.len[0] = 0x1000;
    at.irq[0] = 11;
    describe(&t, &vr_goldfish_rtc_class, NULL, &at);
    off = node(&t, "/rtc@101000", "google,goldfish-rtc");
    check_wired(&t, off, &at);
    vr_fdt_destroy(t.fdt);

    at.gpa[0] = 0x102000;
    at.irq[0] = 12;
    describe(&t, &vr_vmgenid_class, NULL, &at);
    off = node(&t, "/rng@102000", "microsoft,vmgenid");
    check_wired(&t, off, &at);
    vr_fdt_destroy(t.fdt);
}

static void power_and_firmware(void **state)
{
    struct vr_fdt_at at = {.gpa = {0x100000}, .len = {0x1000}, .phandle = 4};
    struct tree t;
    (void)state;
    describe(&t, &vr_sifive_test_class, NULL, &at);
    int off = node(&t, "/test@100000", "sifive,test1");
    check_reg(&t, off, &at);
    assert_int_equal(fdt_node_check_compatible(t.blob, off, "sifive,test0"), 0);
    assert_int_equal(fdt_node_check_compatible(t.blob, off, "syscon"), 0);
    off = node(&t, "/poweroff", "syscon-poweroff");
    assert_int_equal(cell(&t, off, "regmap", 0), 4);
    assert_int_equal(cell(&t, off, "offset", 0), 0);
    assert_int_equal(cell(&t, off, "value", 0), 0x5555);
    off = node(&t, "/reboot", "syscon-reboot");
    assert_int_equal(cell(&t, off, "regmap", 0), 4);
    assert_int_equal(cell(&t, off, "value", 0), 0x7777);
    vr_fdt_destroy(t.fdt);
    at.phandle = 0; /* nothing can refer to it */
    describe(&t, &vr_sifive_test_class, NULL, &at);
    assert_int_equal(fdt_path_offset(t.blob, "/poweroff"), -FDT_ERR_NOTFOUND);
    vr_fdt_destroy(t.fdt);

    at = (struct vr_fdt_at){.gpa = {0x10100000}, .len = {0x18}};
    describe(&t, &vr_fw_cfg_class, NULL, &at);
    off = node(&t, "/fw-cfg@10100000", "qemu,fw-cfg-mmio");
    check_reg(&t, off, &at);
    assert_true(has(&t, off, "dma-coherent"));
    vr_fdt_destroy(t.fdt);
}

/* Bindings riscv,imsics.yaml and riscv,aplic.yaml of Linux. */
static void message_controllers(void **state)
{
    static const uint32_t wires[] = {1, 9, 2, 9};
    struct vr_fdt_at at = {.gpa = {0x28000000},
                           .len = {0x2000},
                           .irqs_extended = wires,
                           .irqs_extended_count = 4,
                           .phandle = 7};
    struct tree t;
    (void)state;
    describe(&t, &vr_imsic_class, "harts=2", &at);
    int off = node(&t, "/interrupt-controller@28000000", "riscv,imsics");
    check_reg(&t, off, &at);
    assert_int_equal(cell(&t, off, "interrupts-extended", 3), 9);
    assert_int_equal(cell(&t, off, "riscv,num-ids", 0), 255);
    assert_int_equal(cell(&t, off, "#interrupt-cells", 0), 0);
    assert_int_equal(cell(&t, off, "#msi-cells", 0), 0);
    assert_int_equal(cell(&t, off, "phandle", 0), 7);
    assert_true(has(&t, off, "interrupt-controller") && has(&t, off, "msi-controller"));
    vr_fdt_destroy(t.fdt);
}

static void aplic_domains(void **state)
{
    static const uint32_t wires[] = {1, 11, 1, 9, 2, 11, 2, 9};
    struct vr_fdt_at at = {.gpa = {0xc000000, 0xd000000},
                           .len = {0x8000, 0x8000},
                           .irqs_extended = wires,
                           .irqs_extended_count = 8,
                           .phandle = 7};
    struct tree t;
    (void)state;
    describe(&t, &vr_aplic_class, "harts=2,sources=50", &at);
    int m = node(&t, "/interrupt-controller@c000000", "riscv,aplic");
    int s = node(&t, "/interrupt-controller@d000000", "riscv,aplic");
    check_reg(&t, m, &at);
    assert_int_equal(cell(&t, m, "riscv,children", 0), 8);
    assert_int_equal(cell(&t, m, "riscv,delegation", 0), 8);
    assert_int_equal(cell(&t, m, "riscv,delegation", 1), 1);
    assert_int_equal(cell(&t, m, "riscv,delegation", 2), 50);
    assert_int_equal(cell(&t, m, "phandle", 0), 7);
    assert_int_equal(cell(&t, s, "phandle", 0), 8);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(cell(&t, m, "interrupts-extended", i), i % 2 ? 11 : 1 + i / 2);
        assert_int_equal(cell(&t, s, "interrupts-extended", i), i % 2 ? 9 : 1 + i / 2);
    }
    assert_int_equal(cell(&t, s, "#interrupt-cells", 0), 2);
    assert_int_equal(cell(&t, s, "riscv,num-sources", 0), 50);
    assert_true(has(&t, s, "interrupt-controller"));
    assert_false(has(&t, s, "riscv,children") || has(&t, s, "msi-parent"));
    vr_fdt_destroy(t.fdt);

    at.msi_parent = 3; /* with IMSICs; and without machine level */
    at.len[0] = 0;
    describe(&t, &vr_aplic_class, "harts=2,direct=off,msi", &at);
    assert_true(fdt_path_offset(t.blob, "/interrupt-controller@c000000") < 0);
    s = node(&t, "/interrupt-controller@d000000", "riscv,aplic");
    assert_int_equal(cell(&t, s, "msi-parent", 0), 4);
    assert_false(has(&t, s, "interrupts-extended"));
    vr_fdt_destroy(t.fdt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interrupt_controllers), cmocka_unit_test(message_controllers),
        cmocka_unit_test(aplic_domains),         cmocka_unit_test(serial_and_clock),
        cmocka_unit_test(power_and_firmware),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

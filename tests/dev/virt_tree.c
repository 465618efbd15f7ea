/* A virt machine's device tree against the machine that it describes, and in the eyes of dtc. */
#include "virt_rig.h"

#include "base/bits.h"
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct tree {
    const void *blob;
    struct vr_virt *v;
    unsigned phandles, nodes, cpus, serials;
    uint32_t phandle[256];
    uint64_t first[64], last[64]; /* ranges of the bus */
    unsigned ranges, irqs[96];
};

static uint64_t cells_at(const fdt32_t *p, unsigned i)
{
    return (uint64_t)fdt32_ld(p + i) << 32 | fdt32_ld(p + i + 1);
}

/* Is [gpa, gpa + len) one row of the machine's own map? */
static bool in_map(struct vr_virt *v, uint64_t gpa, uint64_t len)
{
    const char *name;
    uint64_t row_gpa, row_len;
    unsigned irq;
    for (unsigned i = 0; vr_virt_map_row(v, i, &name, &row_gpa, &row_len, &irq); i++) {
        if (gpa == row_gpa && len == row_len) {
            return true;
        }
    }
    return false;
}

/* A node of the bus: its windows are the machine's, nobody else's, and its name says where. */
static void check_reg(struct tree *t, int node)
{
    int len;
    const fdt32_t *reg = fdt_getprop(t->blob, node, "reg", &len);
    const char *name = fdt_get_name(t->blob, node, NULL), *at = strchr(name, '@');
    if (!reg) {
        assert_null(at);
        return;
    }
    assert_true(len > 0 && len % 16 == 0);
    assert_non_null(at);
    assert_int_equal(strtoull(at + 1, NULL, 16), cells_at(reg, 0));
    for (unsigned i = 0; i < (unsigned)len / 16; i++) {
        uint64_t gpa = cells_at(reg, i * 4), size = cells_at(reg, i * 4 + 2);
        assert_true(in_map(t->v, gpa, size));
        for (unsigned k = 0; k < t->ranges; k++) {
            assert_true(gpa > t->last[k] || gpa + size - 1 < t->first[k]);
        }
        t->first[t->ranges] = gpa;
        t->last[t->ranges++] = gpa + size - 1;
    }
}

static void check_controller(const struct tree *t, int node, uint32_t cells)
{
    const fdt32_t *p = fdt_getprop(t->blob, node, "#interrupt-cells", NULL);
    assert_non_null(fdt_getprop(t->blob, node, "interrupt-controller", NULL));
    assert_non_null(p);
    assert_int_equal(fdt32_ld(p), cells);
}

static void check_interrupts(struct tree *t, int node)
{
    int len;
    const fdt32_t *p = fdt_getprop(t->blob, node, "interrupts", &len);
    if (p) {
        const fdt32_t *parent = fdt_getprop(t->blob, node, "interrupt-parent", NULL);
        assert_non_null(parent);
        int chip = fdt_node_offset_by_phandle(t->blob, fdt32_ld(parent));
        unsigned cells = t->v->aia ? 2 : 1;
        assert_true(chip >= 0);
        check_controller(t, chip, cells);
        const fdt32_t *ndev =
            fdt_getprop(t->blob, chip, t->v->aia ? "riscv,num-sources" : "riscv,ndev", NULL);
        assert_non_null(ndev);
        for (unsigned i = 0; i < (unsigned)len / 4; i += cells) {
            uint32_t irq = fdt32_ld(p + i);
            assert_in_range(irq, 1, fdt32_ld(ndev));
            assert_int_equal(t->irqs[irq]++, 0); /* nobody shares one */
            uint32_t trigger = cells == 1 ? 4 : fdt32_ld(p + i + 1);
            assert_true(trigger == 4 || trigger == 1); /* a level, or an edge: vmgenid's pulse */
        }
    }
    p = fdt_getprop(t->blob, node, "interrupts-extended", &len);
    if (p) {
        bool aia = fdt_node_check_compatible(t->blob, node, "riscv,imsics") == 0 ||
                   fdt_node_check_compatible(t->blob, node, "riscv,aplic") == 0;
        unsigned wires = aia ? 1 : 2; /* to each hart */
        assert_int_equal(len, 8 * wires * t->v->cpus);
        for (unsigned i = 0; i < (unsigned)len / 8; i++) {
            int intc = fdt_node_offset_by_phandle(t->blob, fdt32_ld(p + i * 2));
            assert_true(intc >= 0);
            check_controller(t, intc, 1);
            assert_int_equal(fdt_node_check_compatible(t->blob, intc, "riscv,cpu-intc"), 0);
            const fdt32_t *hart =
                fdt_getprop(t->blob, fdt_parent_offset(t->blob, intc), "reg", NULL);
            assert_non_null(hart);
            assert_int_equal(fdt32_ld(hart), i / wires); /* in the order of the harts */
        }
    }
}

static void check_node(struct tree *t, int node)
{
    char path[128], parent[128] = "";
    uint32_t phandle = fdt_get_phandle(t->blob, node);
    assert_int_equal(fdt_get_path(t->blob, node, path, sizeof(path)), 0);
    int up = fdt_parent_offset(t->blob, node);
    if (up >= 0) {
        assert_int_equal(fdt_get_path(t->blob, up, parent, sizeof(parent)), 0);
    }
    t->nodes++;
    assert_int_equal(fdt_path_offset(t->blob, path), node); /* the only one of that name */
    if (phandle) {
        assert_int_not_equal(phandle, UINT32_MAX);
        for (unsigned i = 0; i < t->phandles; i++) {
            assert_int_not_equal(t->phandle[i], phandle);
        }
        t->phandle[t->phandles++] = phandle;
    }
    check_interrupts(t, node);
    const fdt32_t *regmap = fdt_getprop(t->blob, node, "regmap", NULL);
    if (regmap) {
        int syscon = fdt_node_offset_by_phandle(t->blob, fdt32_ld(regmap));
        assert_true(syscon >= 0);
        assert_int_equal(fdt_node_check_compatible(t->blob, syscon, "syscon"), 0);
    }
    if (strcmp(parent, "/soc") == 0 || strcmp(path, "/test@100000") == 0) {
        check_reg(t, node);
        assert_non_null(fdt_getprop(t->blob, node, "compatible", NULL));
    } else if (strcmp(parent, "/cpus") == 0) {
        const fdt32_t *reg = fdt_getprop(t->blob, node, "reg", NULL);
        assert_non_null(reg);
        assert_int_equal(fdt32_ld(reg), t->cpus++);
        assert_true(fdt_stringlist_search(t->blob, node, "riscv,isa-extensions", "i") >= 0);
        assert_true(fdt_stringlist_search(t->blob, node, "riscv,isa-extensions", "d") >= 0);
    }
}

/* Interrupt controllers of the AIA: those of M only where there is software for it. */
static void check_aia(const struct tree *t)
{
    enum vr_virt_aia aia = t->v->aia;
    bool m = !t->v->config.builtin_sbi, imsic = aia == VR_VIRT_AIA_APLIC_IMSIC;
    static const char *const aplics[] = {"/soc/interrupt-controller@c000000",
                                         "/soc/interrupt-controller@d000000"};
    static const char *const imsics[] = {"/soc/interrupt-controller@24000000",
                                         "/soc/interrupt-controller@28000000"};
    for (unsigned s = 0; s < 2; s++) {
        int aplic = fdt_path_offset(t->blob, aplics[s]),
            files = fdt_path_offset(t->blob, imsics[s]);
        assert_int_equal(aplic >= 0, aia && (s || m));
        assert_int_equal(files >= 0, imsic && (s || m));
        if (aplic < 0) {
            continue;
        }
        const fdt32_t *parent = fdt_getprop(t->blob, aplic, "msi-parent", NULL);
        assert_int_equal(!!parent, imsic);
        assert_int_equal(!fdt_getprop(t->blob, aplic, "interrupts-extended", NULL), imsic);
        assert_true(!parent || fdt_node_offset_by_phandle(t->blob, fdt32_ld(parent)) == files);
    }
    assert_int_equal(fdt_path_offset(t->blob, "/soc/plic@c000000") >= 0, !aia);
    int cpu = fdt_path_offset(t->blob, "/cpus/cpu@0");
    assert_int_equal(fdt_stringlist_search(t->blob, cpu, "riscv,isa-extensions", "smaia") >= 0,
                     !!aia);
    assert_int_equal(fdt_stringlist_search(t->blob, cpu, "riscv,isa-extensions", "ssaia") >= 0,
                     !!aia);
}

bool virt_has_dtc(void)
{
    return system("command -v dtc >/dev/null") == 0;
}

/* What dtc has to say of it: nothing. (The test that asks for a dtc says when there is none.) */
static void check_with_dtc(const void *blob, size_t len)
{
    char cmd[256], said[4096];
    virt_write_file(virt_blob_path, blob, len);
    (void)snprintf(cmd, sizeof(cmd),
                   "command -v dtc >/dev/null || exit 99; "
                   "dtc -I dtb -O dts -o /dev/null %s 2>&1",
                   virt_blob_path);
    FILE *p = popen(cmd, "r");
    assert_non_null(p);
    size_t n = fread(said, 1, sizeof(said) - 1, p);
    int status = pclose(p);
    said[n] = 0;
    bool none = WIFEXITED(status) && WEXITSTATUS(status) == 99;
    if (!none && (status != 0 || n != 0)) {
        fail_msg("dtc: %s", said);
    }
}

void virt_check_tree(struct vr_virt *v, const char *append)
{
    struct tree t = {.v = v};
    size_t blob_len;
    int len;
    vr_virt_fdt(v, &t.blob, &blob_len);
    assert_int_equal(fdt_check_full(t.blob, blob_len), 0);
    for (int node = 0; node >= 0; node = fdt_next_node(t.blob, node, NULL)) {
        check_node(&t, node);
    }
    assert_int_equal(t.cpus, v->cpus);
    assert_true(t.nodes > 10 + 2 * v->cpus);

    int memory = fdt_path_offset(t.blob, "/memory@80000000");
    const fdt32_t *reg = fdt_getprop(t.blob, memory, "reg", &len);
    assert_non_null(reg);
    assert_int_equal(len, 16);
    assert_int_equal(cells_at(reg, 0), VIRT_RAM);
    assert_int_equal(cells_at(reg, 2), v->ram_bytes);

    int chosen = fdt_path_offset(t.blob, "/chosen");
    const char *out = fdt_getprop(t.blob, chosen, "stdout-path", NULL);
    assert_non_null(out);
    assert_int_equal(fdt_node_check_compatible(t.blob, fdt_path_offset(t.blob, out), "ns16550a"),
                     0);
    assert_non_null(fdt_getprop(t.blob, chosen, "rng-seed", &len));
    assert_int_equal(len, 32);
    const char *args = fdt_getprop(t.blob, chosen, "bootargs", &len);
    if (append) {
        assert_non_null(args);
        assert_string_equal(args, append);
    } else {
        assert_null(args);
    }
    const fdt32_t *start = fdt_getprop(t.blob, chosen, "linux,initrd-start", NULL);
    const fdt32_t *end = fdt_getprop(t.blob, chosen, "linux,initrd-end", NULL);
    assert_int_equal(!!start, v->initrd_file.len != 0);
    assert_int_equal(!!end, !!start);
    if (start) {
        assert_int_equal(cells_at(start, 0), v->initrd_gpa);
        assert_int_equal(cells_at(end, 0) - cells_at(start, 0), v->initrd_file.len);
    }
    check_aia(&t);
    check_with_dtc(t.blob, blob_len);
}

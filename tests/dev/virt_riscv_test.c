/*
 * The virt machine as a board: the device tree against the machine that it describes, what goes
 * where in memory, and settings that make no sense.
 */
#include "test.h"

#include "base/bits.h"
#include "board/virt_riscv_priv.h"
#include "cpu/riscv/priv.h"
#include "vireo/host_thread.h"
#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define MIB (UINT64_C(1) << 20)

static char dir[] = "/tmp/vireo-virt-XXXXXX";
static char kernel_path[64], initrd_path[64], firmware_path[64], disk_path[64], blob_path[64];

/* --- Files --- */

static void write_file(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* @len bytes that differ from place to place. */
static uint8_t *pattern(size_t len, unsigned salt)
{
    uint8_t *d = malloc(len);
    assert_non_null(d);
    for (size_t i = 0; i < len; i++) {
        d[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16) + salt);
    }
    return d;
}

/* A Linux Image of @len bytes that takes @size bytes of memory. */
static void make_image(size_t len, uint64_t size)
{
    uint8_t *d = pattern(len, 1);
    memset(d, 0, 64);
    vr_store_le32(d, 0x6f); /* j . */
    vr_store_le64(d + 8, 2 * MIB);
    vr_store_le64(d + 16, size);
    memcpy(d + 56, "RSC\x05", 4);
    write_file(kernel_path, d, len);
    free(d);
}

static void make_initrd(size_t len)
{
    uint8_t *d = pattern(len, 2);
    write_file(initrd_path, d, len);
    free(d);
}

/* An ELF file with one segment of @len bytes for @gpa. */
static void make_elf(const char *path, uint64_t gpa, size_t len)
{
    uint8_t *d = pattern(0x1000 + len, 3);
    memset(d, 0, 0x1000);
    memcpy(d, "\177ELF\2\1\1", 7);
    vr_store_le16(d + 16, 2);
    vr_store_le16(d + 18, 243);
    vr_store_le64(d + 24, gpa);
    vr_store_le64(d + 32, 64);
    vr_store_le16(d + 54, 56);
    vr_store_le16(d + 56, 1);
    vr_store_le32(d + 64, 1);
    vr_store_le64(d + 72, 0x1000);
    vr_store_le64(d + 80, gpa);
    vr_store_le64(d + 88, gpa);
    vr_store_le64(d + 96, len);
    vr_store_le64(d + 104, len);
    write_file(path, d, 0x1000 + len);
    free(d);
}

static int make_files(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) {
        return -1;
    }
    (void)snprintf(kernel_path, sizeof(kernel_path), "%s/kernel", dir);
    (void)snprintf(initrd_path, sizeof(initrd_path), "%s/initrd", dir);
    (void)snprintf(firmware_path, sizeof(firmware_path), "%s/firmware", dir);
    (void)snprintf(disk_path, sizeof(disk_path), "%s/disk", dir);
    (void)snprintf(blob_path, sizeof(blob_path), "%s/blob", dir);
    FILE *f = fopen(disk_path, "wb");
    return !f || fclose(f) != 0 || truncate(disk_path, 1 << 20) != 0;
}

static int remove_files(void **state)
{
    (void)state;
    (void)unlink(kernel_path);
    (void)unlink(initrd_path);
    (void)unlink(firmware_path);
    (void)unlink(disk_path);
    (void)unlink(blob_path);
    return rmdir(dir);
}

/* --- Machines --- */

static struct vr_virt_opts opts_of(unsigned cpus, uint64_t ram_bytes)
{
    return (struct vr_virt_opts){.cpus = cpus, .ram_bytes = ram_bytes, .kernel = kernel_path};
}

static struct vr_virt *build(const struct vr_virt_opts *o)
{
    struct vr_virt *v = NULL;
    struct vr_error err = {0};
    if (vr_virt_create(o, &v, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return v;
}

/* It fails with @code (0: any), and says one line that holds @words. */
static void refused(const struct vr_virt_opts *o, int code, const char *words)
{
    struct vr_virt *v = NULL;
    struct vr_error err = {0};
    int r = vr_virt_create(o, &v, &err);
    assert_null(v);
    assert_true(code ? r == code : r < 0);
    assert_int_equal(err.code, r);
    assert_null(strchr(err.msg, '\n'));
    if (!strstr(err.msg, words)) {
        fail_msg("'%s' says nothing of '%s'", err.msg, words);
    }
}

/* --- The device tree --- */

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

/* What dtc has to say of it: nothing. */
static void check_with_dtc(const void *blob, size_t len)
{
    static bool told;
    char cmd[256], said[4096];
    write_file(blob_path, blob, len);
    (void)snprintf(cmd, sizeof(cmd),
                   "command -v dtc >/dev/null || exit 99; "
                   "dtc -I dtb -O dts -o /dev/null %s 2>&1",
                   blob_path);
    FILE *p = popen(cmd, "r");
    assert_non_null(p);
    size_t n = fread(said, 1, sizeof(said) - 1, p);
    int status = pclose(p);
    said[n] = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99) {
        if (!told) {
            print_message("# no dtc here\n");
            told = true;
        }
        return;
    }
    if (status != 0 || n != 0) {
        fail_msg("dtc: %s", said);
    }
}

static void check_tree(struct vr_virt *v, const char *append)
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

static void the_device_tree_describes_the_machine(void **state)
{
    static const unsigned cpus[] = {1, 2, 4, 64};
    (void)state;
    make_image(100000, 200000);
    make_initrd(5000);
    for (unsigned i = 0; i < VR_COUNT(cpus); i++) {
        struct vr_virt_opts o = opts_of(cpus[i], 64 * MIB);
        o.initrd = i % 2 ? initrd_path : NULL;
        o.append = i ? "console=ttyS0 \"quoted\" \\ \xc3\xa4" : NULL;
        o.serial.spec = "null";
        if (i == 2) { /* every slot taken */
            o.disk[0] = (struct vr_virt_disk){.path = disk_path, .read_only = true};
            o.disk_count = 1;
            o.net_count = 4;
            o.port[0].spec = o.port[1].spec = "null";
            o.port_count = 2;
        }
        struct vr_virt *v = build(&o);
        check_tree(v, o.append);
        vr_virt_destroy(v);
    }
    make_elf(firmware_path, VIRT_RAM, 2 * MIB);
    for (unsigned i = 0; i < 4; i++) {
        struct vr_virt_opts o = opts_of(i < 2 ? 3 : 64, 64 * MIB);
        o.aia = i % 2 ? VR_VIRT_AIA_APLIC : VR_VIRT_AIA_APLIC_IMSIC;
        o.firmware = i < 2 ? NULL : firmware_path;
        struct vr_virt *v = build(&o);
        check_tree(v, NULL);
        vr_virt_destroy(v);
    }
    struct vr_virt_opts o = opts_of(1, 5 * 1024 * MIB); /* 64-bit cells */
    struct vr_virt *a = build(&o), *b = build(&o);
    check_tree(a, NULL);
    assert_memory_not_equal(a->rng_seed, b->rng_seed, sizeof(a->rng_seed)); /* not a constant */
    vr_virt_destroy(a);
    vr_virt_destroy(b);
}

static void long_command_lines(void **state)
{
    size_t len = 3 * MIB;
    char *text = malloc(len + 1);
    (void)state;
    assert_non_null(text);
    memset(text, 'a', len);
    text[len] = 0;
    make_image(100000, 200000);
    struct vr_virt_opts o = opts_of(1, 16 * MIB);
    o.append = text;
    refused(&o, -E2BIG, "command line"); /* it would run over the end of RAM */
    text[100000] = 0;
    struct vr_virt *v = build(&o);
    check_tree(v, text);
    assert_int_equal(virt_on_reset(v, NULL), 0);
    assert_memory_equal(v->ram->hva + (v->fdt_gpa - VIRT_RAM), v->fdt_blob, v->fdt_len);
    vr_virt_destroy(v);
    free(text);
}

/* --- What goes where --- */

static void apart(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
    assert_true(a < a_end && b < b_end && (a_end <= b || b_end <= a));
}

/* Inside RAM, in nobody's way, and with the right bytes in it after a reset. */
static void check_places(struct vr_virt *v)
{
    uint64_t ram_end = VIRT_RAM + v->ram_bytes, fdt_end = v->fdt_gpa + VIRT_FDT_ROOM;
    struct vr_error err = {0};
    assert_true(v->kernel.low >= VIRT_RAM && v->kernel.high <= ram_end);
    assert_true(v->fdt_gpa >= VIRT_RAM && fdt_end <= ram_end);
    assert_true(vr_is_aligned(v->fdt_gpa, 2 * MIB)); /* as the boot protocol asks */
    apart(v->kernel.low, v->kernel.high, v->fdt_gpa, fdt_end);
    if (v->initrd_file.len) {
        uint64_t end = v->initrd_gpa + v->initrd_file.len;
        assert_true(v->initrd_gpa >= VIRT_RAM && end <= ram_end);
        apart(v->initrd_gpa, end, v->kernel.low, v->kernel.high);
        apart(v->initrd_gpa, end, v->fdt_gpa, fdt_end);
    }
    if (v->has_firmware) {
        uint64_t low = v->firmware.low, high = v->firmware.high;
        apart(low, high, v->kernel.low, v->kernel.high);
        apart(low, high, v->fdt_gpa, fdt_end);
        if (v->initrd_file.len) {
            apart(low, high, v->initrd_gpa, v->initrd_gpa + v->initrd_file.len);
        }
    }
    for (unsigned round = 0; round < 2; round++) { /* the second time, everything is read again */
        uint8_t *hva = v->ram->hva;
        memset(hva + (v->kernel.low - VIRT_RAM), 0xee, 64);
        memset(hva + (v->fdt_gpa - VIRT_RAM), 0xee, v->fdt_len);
        memset(hva + (v->initrd_file.len ? v->initrd_gpa - VIRT_RAM : 0), 0xee, v->initrd_file.len);
        if (virt_on_reset(v, &err) < 0) {
            fail_msg("%s", err.msg);
        }
        assert_int_equal(vr_load_le32(hva + (v->kernel.entry - VIRT_RAM)), 0x6f);
        assert_memory_equal(hva + (v->fdt_gpa - VIRT_RAM), v->fdt_blob, v->fdt_len);
        if (v->initrd_file.len) {
            uint8_t *want = pattern(v->initrd_file.len, 2);
            assert_memory_equal(hva + (v->initrd_gpa - VIRT_RAM), want, v->initrd_file.len);
            free(want);
        }
    }
}

/* Sizes on both sides of every border. */
static void nothing_overlaps_in_memory(void **state)
{
    static const uint64_t rams[] = {16 * MIB,        16 * MIB + 4096,   17 * MIB,
                                    18 * MIB - 4096, 20 * MIB,          64 * MIB,
                                    1024 * MIB,      1024 * MIB + 4096, 3000 * MIB};
    static const uint64_t kernels[] = {64,           4096,     10 * MIB,     12 * MIB - 1, 12 * MIB,
                                       12 * MIB + 1, 14 * MIB, 14 * MIB + 1, 60 * MIB};
    static const size_t initrds[] = {0, 1, 4096, 4097, 2 << 20, (2 << 20) + 1, 10 << 20};
    unsigned good = 0, bad = 0;
    (void)state;
    for (unsigned k = 0; k < VR_COUNT(kernels); k++) {
        make_image(64, kernels[k]);
        for (unsigned n = 0; n < VR_COUNT(initrds); n++) {
            if (initrds[n]) {
                make_initrd(initrds[n]);
            }
            for (unsigned i = 0; i < VR_COUNT(rams); i++) {
                struct vr_virt_opts o = opts_of(1, rams[i]);
                struct vr_virt *v = NULL;
                struct vr_error err = {0};
                o.initrd = initrds[n] ? initrd_path : NULL;
                o.no_rng = true;
                if (vr_virt_create(&o, &v, &err) < 0) {
                    bad++;
                    assert_int_equal(err.code, -EINVAL);
                    assert_non_null(strstr(err.msg, "-m"));
                    /* and it is true: text offset, kernel, initrd and tree are too much */
                    uint64_t top =
                        vr_align_down(rams[i] < 1024 * MIB ? rams[i] : 1024 * MIB, 2 * MIB) -
                        2 * MIB;
                    assert_true(2 * MIB + kernels[k] + vr_align_up(initrds[n], 4096) > top);
                    continue;
                }
                good++;
                check_places(v);
                vr_virt_destroy(v);
            }
        }
    }
    assert_true(good > 100 && bad > 30);
}

static void firmware_above_the_kernel_is_not_overwritten(void **state)
{
    (void)state;
    make_image(64, MIB);
    make_initrd(5 << 20);
    struct vr_virt_opts o = opts_of(1, 32 * MIB);
    o.initrd = initrd_path;
    o.firmware = firmware_path;
    unsigned good = 0, bad = 0;
    for (uint64_t at = 0; at < 32; at++) {
        struct vr_virt *v = NULL;
        struct vr_error err = {0};
        make_elf(firmware_path, VIRT_RAM + at * MIB, MIB);
        if (vr_virt_create(&o, &v, &err) == 0) {
            check_places(v);
            vr_virt_destroy(v);
            good++;
        } else {
            assert_int_equal(err.code, -EINVAL);
            bad++;
        }
    }
    assert_true(good > 10 && bad >= 1 + 7); /* where the kernel is, and the initrd and the tree */
}

/* --- What makes no sense --- */

static void absurd_sizes_are_refused(void **state)
{
    static const uint64_t rams[] = {0,
                                    1,
                                    4095,
                                    4096,
                                    16 * MIB - 4096,
                                    16 * MIB - 1,
                                    16 * MIB + 1,
                                    16 * MIB + 4095,
                                    UINT64_C(1) << 60,
                                    UINT64_C(1) << 63,
                                    UINT64_MAX - 0x80000000,
                                    UINT64_MAX - 0x80000000 - 4095,
                                    UINT64_MAX - 4095,
                                    UINT64_MAX};
    (void)state;
    make_image(64, 64);
    for (unsigned i = 0; i < VR_COUNT(rams); i++) {
        struct vr_virt_opts o = opts_of(1, rams[i]);
        refused(&o, 0, "memory");
    }
    for (unsigned shift = 47; shift < 64; shift++) {
        struct vr_virt_opts o = opts_of(1, UINT64_C(1) << shift);
        refused(&o, -EINVAL, "at most");
        o.ram_bytes |= 0xfffff000;
        refused(&o, -EINVAL, "at most");
    }
    struct vr_virt_opts o = opts_of(0, 16 * MIB);
    refused(&o, -EINVAL, "CPUs");
    o.cpus = 65;
    refused(&o, -EINVAL, "CPUs");
    o.cpus = UINT32_MAX;
    refused(&o, -EINVAL, "CPUs");
}

static void too_many_devices_are_refused(void **state)
{
    (void)state;
    make_image(64, 64);
    struct vr_virt_opts o = opts_of(1, 16 * MIB);
    o.disk_count = VR_VIRT_DISKS + 1;
    refused(&o, -EINVAL, "disks");
    o.disk_count = 0;
    o.net_count = UINT32_MAX;
    refused(&o, -EINVAL, "network cards");
    o.net_count = 0;
    o.port_count = VR_VIRT_PORTS + 1;
    refused(&o, -EINVAL, "console ports");
    o.port_count = 0;
    o.virtio_mmio = true;
    o.net_count = VR_VIRT_NETS; /* and the random source is one too many */
    refused(&o, -ENOSPC, "all 8 virtio-mmio slots");
    o.no_rng = true;
    struct vr_virt *v = build(&o);
    check_tree(v, NULL);
    vr_virt_destroy(v);
    o.virtio_mmio = false;
    v = build(&o);
    check_tree(v, NULL);
    vr_virt_destroy(v);
    for (; o.device_count < 31 - VR_VIRT_NETS; o.device_count++) {
        o.device[o.device_count].cls = "virtio-rng-pci";
    }
    v = build(&o);
    struct vr_virt_pci row;
    for (unsigned i = 0; i < 32; i++) {
        assert_true(vr_virt_pci_row(v, i, &row));
    }
    assert_string_equal(row.place, "1f.0");
    assert_false(vr_virt_pci_row(v, 32, &row));
    vr_virt_destroy(v);
    o.device[o.device_count++].cls = "virtio-rng-pci";
    refused(&o, -ENOSPC, "dev23: all 32 places");
    o.device_count = 1;
    o.device[0].cls = "virtio-blk-pci";
    refused(&o, -EINVAL, "needs path=");
    o.device[0].cls = "plic";
    refused(&o, -EINVAL, "has what it has");
    o.device[0].cls = "virtio-rng-pci";
    o.device[0].opts = "speed=9";
    refused(&o, -EINVAL, "unknown option 'speed'");
    o.device_count = 0;
    o.net[2].opts = "mac=none";
    refused(&o, 0, "mac");
    o.net[2].opts = NULL;
    o.net[3].backend = "tap";
    refused(&o, -EINVAL, "no network backend");
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    make_image(64, 64);
    struct vr_virt_opts o = opts_of(1, 16 * MIB);
    o.kernel = NULL;
    refused(&o, -EINVAL, "nothing to start");
    o.firmware = "none";
    refused(&o, -EINVAL, "nothing to start");
    o.kernel = kernel_path;
    refused(&o, -ENOEXEC, "bare-metal");
    o.firmware = dir;
    refused(&o, -EISDIR, "firmware");
    o.firmware = "/nonexistent/firmware";
    refused(&o, -ENOENT, "firmware");
    write_file(firmware_path, "\x1f\x8b\x08 compressed", 14);
    o.firmware = firmware_path;
    refused(&o, -ENOEXEC, "gzip");
    o.firmware = NULL;
    o.initrd = dir;
    refused(&o, -EISDIR, "initrd");
    o.initrd = "/nonexistent/initrd";
    refused(&o, -ENOENT, "initrd");
    o.initrd = NULL;
    o.disk[0].path = dir;
    o.disk_count = 1;
    refused(&o, 0, dir);
    o.disk_count = 0;
    o.serial.spec = "nothing known";
    refused(&o, -EINVAL, "nothing known");
    o.serial.spec = NULL;
    o.kernel = dir;
    refused(&o, -EISDIR, "kernel");
    o.kernel = disk_path;
    refused(&o, -ENOEXEC, "kernel");
    make_elf(kernel_path, 0x1000, 64); /* where there is ROM */
    o.kernel = kernel_path;
    refused(&o, -EINVAL, "another machine");
    make_elf(kernel_path, UINT64_MAX - 63, 63);
    refused(&o, -EINVAL, "-m");
    make_elf(kernel_path, VIRT_RAM + 16 * MIB - 63, 64);
    refused(&o, -EINVAL, "-m");
}

/* The first reset finds what the machine was made with, a later one may not. */
static void a_kernel_that_changes_ends_the_machine_not_the_process(void **state)
{
    struct vr_error err = {0};
    (void)state;
    make_image(1 << 20, 0);
    struct vr_virt_opts o = opts_of(1, 16 * MIB);
    struct vr_virt *v = build(&o);
    make_image(100, 0); /* still in memory */
    assert_int_equal(virt_on_reset(v, &err), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(virt_on_reset(v, &err), -ESTALE);
        assert_non_null(strstr(err.msg, "changed"));
    }
    vr_virt_destroy(v);
}

/* Compressed or not, the initramfs is the guest's business: each reset hands on the same bytes. */
static void a_compressed_initrd_survives_resets(void **state)
{
    uint8_t gz[4096], *d = pattern(100000, 5);
    struct vr_error err = {0};
    z_stream z = {.next_in = d, .avail_in = 100000, .next_out = gz, .avail_out = sizeof(gz)};
    (void)state;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    deflateEnd(&z);
    make_image(64, 64);
    write_file(initrd_path, gz, n);
    struct vr_virt_opts o = opts_of(1, 16 * MIB);
    o.initrd = initrd_path;
    struct vr_virt *v = build(&o);
    for (unsigned i = 0; i < 3; i++) {
        memset(v->ram->hva, 0, (size_t)(16 * MIB));
        assert_int_equal(virt_on_reset(v, &err), 0);
        assert_memory_equal(v->ram->hva + (v->initrd_gpa - VIRT_RAM), gz, n);
    }
    vr_virt_destroy(v);
    free(d);
}

/* --- Time --- */

static void set_mtime(struct vr_virt *v, uint64_t mtime)
{
    struct vr_view_cache cache = {0};
    struct vr_space *mem = vr_machine_mem(v->machine);
    assert_int_equal(vr_space_write(mem, &cache, VIRT_CLINT + 0xbff8, 8, mtime), 0);
    vr_view_cache_drop(mem, &cache);
}

/* stimecmp is the hart's, mtime the CLINT's: who sets one moves the deadline of the other. */
static void setting_mtime_moves_supervisor_deadlines(void **state)
{
    (void)state;
    make_image(64, 64);
    struct vr_virt_opts o = opts_of(2, 16 * MIB);
    struct vr_virt *v = build(&o);
    struct vr_clock *clock = vr_machine_clock(v->machine);
    for (unsigned i = 0; i < 2; i++) {
        struct rv_hart *h = v->hart[i];
        atomic_store(&h->hsm, RV_HSM_STARTED);
        h->stimecmp = 1000000;
        rv_attention(&h->cpu);
    }
    assert_int_equal(vr_clock_next(clock), UINT64_C(1000000) * 100);
    set_mtime(v, 999990);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(atomic_load(&v->hart[i]->cpu.vcpu.attention));
        rv_attention(&v->hart[i]->cpu);
    }
    assert_int_equal(vr_clock_next(clock), 1000);
    vr_clock_step(clock, 1000);
    rv_attention(&v->hart[1]->cpu);
    assert_true(rv_mip(v->hart[1]) & 1u << RV_STI);
    set_mtime(v, 0); /* and back: no interrupt any more */
    rv_attention(&v->hart[1]->cpu);
    assert_false(rv_mip(v->hart[1]) & 1u << RV_STI);
    vr_virt_destroy(v);
}

/* --- The console that all harts share --- */

enum { TALKERS = 4, LINES = 2000 };

struct talker {
    struct vr_virt *v;
    struct vireo_thread *thread;
    unsigned index;
};

/* Lines as long as what is kept of one, through SBI calls and the 16550's path. */
static void talk(void *arg)
{
    struct talker *t = arg;
    uint8_t line[200];
    memset(line, 'a' + (int)t->index, sizeof(line));
    line[199] = '\n';
    for (unsigned i = 0; i < LINES; i++) {
        size_t len = 1 + (i * 37 + t->index * 11) % sizeof(line);
        (void)t->v->sbi.console_write(t->v, line + sizeof(line) - len, len);
    }
}

static void every_hart_may_write_to_the_console_at_once(void **state)
{
    struct talker talkers[TALKERS];
    (void)state;
    make_image(64, 64);
    struct vr_virt_opts o = opts_of(TALKERS, 16 * MIB);
    o.serial.spec = "null";
    struct vr_virt *v = build(&o);
    for (unsigned i = 0; i < TALKERS; i++) {
        talkers[i] = (struct talker){.v = v, .index = i};
        assert_int_equal(vireo_thread_create("talk", talk, &talkers[i], &talkers[i].thread, NULL),
                         0);
    }
    for (unsigned i = 0; i < TALKERS; i++) {
        vireo_thread_join(talkers[i].thread);
    }
    assert_true(v->panic.len < sizeof(v->panic.line));
    assert_true(v->panic.on_panic && v->panic.on_dead && v->panic.opaque == v);
    vr_virt_destroy(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_tree_describes_the_machine),
        cmocka_unit_test(long_command_lines),
        cmocka_unit_test(nothing_overlaps_in_memory),
        cmocka_unit_test(firmware_above_the_kernel_is_not_overwritten),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(too_many_devices_are_refused),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(a_kernel_that_changes_ends_the_machine_not_the_process),
        cmocka_unit_test(a_compressed_initrd_survives_resets),
        cmocka_unit_test(setting_mtime_moves_supervisor_deadlines),
        cmocka_unit_test(every_hart_may_write_to_the_console_at_once),
    };
    return cmocka_run_group_tests_name("virt_riscv", tests, make_files, remove_files);
}

/* The virt machine as a board: the device tree, what goes where in memory, and settings
 * that make no sense. */
#include "virt_rig.h"

#include "base/bits.h"
#include "core/snap.h"
#include "cpu/riscv/priv.h"
#include "vireo/host_thread.h"
#include "vr_config.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* --- The device tree --- */

static void the_device_tree_describes_the_machine(void **state)
{
    static const unsigned cpus[] = {1, 2, 4, 64};
    (void)state;
    virt_make_image(100000, 200000);
    virt_make_initrd(5000);
    for (unsigned i = 0; i < VR_COUNT(cpus); i++) {
        struct vr_virt_opts o = virt_opts_of(cpus[i], 64 * MIB);
        o.initrd = i % 2 ? virt_initrd_path : NULL;
        o.append = i ? "console=ttyS0 \"quoted\" \\ \xc3\xa4" : NULL;
        o.serial.spec = "null";
        if (i == 2) { /* every slot taken */
            o.disk[0] = (struct vr_virt_disk){.path = virt_disk_path, .read_only = true};
            o.disk_count = 1;
            o.net_count = 4;
            o.port[0].spec = o.port[1].spec = "null";
            o.port_count = 2;
        }
        struct vr_virt *v = virt_build_of(&o);
        virt_check_tree(v, o.append);
        vr_virt_destroy(v);
    }
    virt_make_elf(virt_firmware_path, VIRT_RAM, 2 * MIB);
    for (unsigned i = 0; i < 4; i++) {
        struct vr_virt_opts o = virt_opts_of(i < 2 ? 3 : 64, 64 * MIB);
        o.aia = i % 2 ? VR_VIRT_AIA_APLIC : VR_VIRT_AIA_APLIC_IMSIC;
        o.firmware = i < 2 ? NULL : virt_firmware_path;
        struct vr_virt *v = virt_build_of(&o);
        virt_check_tree(v, NULL);
        vr_virt_destroy(v);
    }
    struct vr_virt_opts o = virt_opts_of(1, 5 * 1024 * MIB); /* 64-bit cells */
    struct vr_virt *a = virt_build_of(&o), *b = virt_build_of(&o);
    virt_check_tree(a, NULL);
    assert_memory_not_equal(a->rng_seed, b->rng_seed, sizeof(a->rng_seed)); /* not a constant */
    vr_virt_destroy(a);
    vr_virt_destroy(b);
}

static void dtc_has_seen_the_device_trees(void **state)
{
    (void)state;
    if (!virt_has_dtc()) {
        skip_because("no dtc here: device trees were compared with their machines only");
    }
}

/* --- What was set of host ends --- */

static int ends_load(struct vr_virt *v, const struct vr_snap *from, size_t len, size_t at,
                     uint8_t flip)
{
    struct vr_snap snap;
    struct vr_error err = {0};
    vr_snap_init(&snap);
    snap.buf = malloc(len + 1);
    assert_non_null(snap.buf);
    memcpy(snap.buf, from->buf, len);
    snap.len = snap.cap = len;
    if (at < len) {
        snap.buf[at] ^= flip;
    }
    int r = virt_ends_get(v, &snap, &err);
    assert_true(r == 0 || *err.msg);
    vr_snap_fini(&snap);
    return r;
}

static void host_ends_take_what_is_good(void **state)
{
    struct vr_virt_opts o = virt_opts_of(1, 64 * MIB);
    struct vr_error err = {0};
    struct vr_snap snap, none;
    struct vr_virt_node node;
    const struct vr_blk_limits set = {.bytes_s = {0, 1 << 20, 7}, .requests_s = {9, 0, 0}};
    struct vr_blk_limits is;
    unsigned taken = 0;
    (void)state;
    virt_make_image(100000, 200000);
    o.disk[0] = (struct vr_virt_disk){.path = virt_disk_path, .read_only = true};
    o.disk_count = 1;
    o.net_count = VR_HAVE_SLIRP;
    o.net[0].backend = "user";
    struct vr_virt *v = virt_build_of(&o);
    vr_snap_init(&snap);
    vr_snap_init(&none);
    assert_int_equal(virt_ends_put(v, &none, &err), 0);
    assert_int_equal(none.len, 0); /* nothing is set */
    assert_true(vr_virt_node(v, 0, &node) && !vr_virt_node(v, 1, &node));
    assert_int_equal(vr_blk_set_limits(node.blk, vr_machine_clock(v->machine), &set, &err), 0);
    struct vr_net *net = VR_HAVE_SLIRP ? vr_virt_net(v, "net0") : NULL;
    if (net) {
        vr_net_set_link(net, false);
    }
    assert_int_equal(virt_ends_put(v, &snap, &err), 0);
    /* No value makes more of a disk or a card than there can be. */
    for (size_t at = 0; at < snap.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            taken += ends_load(v, &snap, snap.len, at, (uint8_t)(1u << bit)) == 0;
            vr_blk_get_limits(node.blk, &is);
            assert_int_equal(vr_blk_check_limits(&is, &err), 0);
        }
        /* Less than its name is some other section, which is not ours to refuse. */
        assert_int_equal(ends_load(v, &snap, at, SIZE_MAX, 0) == 0, at < sizeof("host ends"));
    }
    assert_true(taken > 0 && taken < 8 * snap.len);
    /* Without a section nothing is set; and with it, all. */
    assert_int_equal(virt_ends_get(v, &none, &err), 0);
    vr_blk_get_limits(node.blk, &is);
    assert_true(!is.bytes_s[1] && !is.requests_s[0]);
    bool out = false, up = false;
    if (net) {
        vr_net_get_cable(net, &out, &up);
        assert_true(!out && up);
    }
    assert_int_equal(ends_load(v, &snap, snap.len, SIZE_MAX, 0), 0);
    vr_blk_get_limits(node.blk, &is);
    assert_memory_equal(&is, &set, sizeof(is));
    if (net) {
        vr_net_get_cable(net, &out, &up);
        assert_true(out && !up);
    }
    vr_snap_fini(&snap);
    vr_snap_fini(&none);
    vr_virt_destroy(v);
}

static void long_command_lines(void **state)
{
    size_t len = 3 * MIB;
    char *text = malloc(len + 1);
    (void)state;
    assert_non_null(text);
    memset(text, 'a', len);
    text[len] = 0;
    virt_make_image(100000, 200000);
    struct vr_virt_opts o = virt_opts_of(1, 16 * MIB);
    o.append = text;
    virt_refused(&o, -E2BIG, "command line"); /* it would run over the end of RAM */
    text[100000] = 0;
    struct vr_virt *v = virt_build_of(&o);
    virt_check_tree(v, text);
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
            uint8_t *want = virt_pattern(v->initrd_file.len, 2);
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
        virt_make_image(64, kernels[k]);
        for (unsigned n = 0; n < VR_COUNT(initrds); n++) {
            if (initrds[n]) {
                virt_make_initrd(initrds[n]);
            }
            for (unsigned i = 0; i < VR_COUNT(rams); i++) {
                struct vr_virt_opts o = virt_opts_of(1, rams[i]);
                struct vr_virt *v = NULL;
                struct vr_error err = {0};
                o.initrd = initrds[n] ? virt_initrd_path : NULL;
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
    virt_make_image(64, MIB);
    virt_make_initrd(5 << 20);
    struct vr_virt_opts o = virt_opts_of(1, 32 * MIB);
    o.initrd = virt_initrd_path;
    o.firmware = virt_firmware_path;
    unsigned good = 0, bad = 0;
    for (uint64_t at = 0; at < 32; at++) {
        struct vr_virt *v = NULL;
        struct vr_error err = {0};
        virt_make_elf(virt_firmware_path, VIRT_RAM + at * MIB, MIB);
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
    virt_make_image(64, 64);
    for (unsigned i = 0; i < VR_COUNT(rams); i++) {
        struct vr_virt_opts o = virt_opts_of(1, rams[i]);
        virt_refused(&o, 0, "memory");
    }
    for (unsigned shift = 47; shift < 64; shift++) {
        struct vr_virt_opts o = virt_opts_of(1, UINT64_C(1) << shift);
        virt_refused(&o, -EINVAL, "at most");
        o.ram_bytes |= 0xfffff000;
        virt_refused(&o, -EINVAL, "at most");
    }
    struct vr_virt_opts o = virt_opts_of(0, 16 * MIB);
    virt_refused(&o, -EINVAL, "CPUs");
    o.cpus = 65;
    virt_refused(&o, -EINVAL, "CPUs");
    o.cpus = UINT32_MAX;
    virt_refused(&o, -EINVAL, "CPUs");
}

static void too_many_devices_are_refused(void **state)
{
    (void)state;
    virt_make_image(64, 64);
    struct vr_virt_opts o = virt_opts_of(1, 16 * MIB);
    o.disk_count = VR_VIRT_DISKS + 1;
    virt_refused(&o, -EINVAL, "disks");
    o.disk_count = 0;
    o.net_count = UINT32_MAX;
    virt_refused(&o, -EINVAL, "network cards");
    o.net_count = 0;
    o.port_count = VR_VIRT_PORTS + 1;
    virt_refused(&o, -EINVAL, "console ports");
    o.port_count = 0;
    o.virtio_mmio = true;
    o.net_count = VR_VIRT_NETS; /* and the random source is one too many */
    virt_refused(&o, -ENOSPC, "all 8 virtio-mmio slots");
    o.no_rng = true;
    struct vr_virt *v = virt_build_of(&o);
    virt_check_tree(v, NULL);
    vr_virt_destroy(v);
    o.virtio_mmio = false;
    v = virt_build_of(&o);
    virt_check_tree(v, NULL);
    vr_virt_destroy(v);
    for (; o.device_count < 31 - VR_VIRT_NETS; o.device_count++) {
        o.device[o.device_count].cls = "virtio-rng-pci";
    }
    v = virt_build_of(&o);
    struct vr_virt_pci row;
    for (unsigned i = 0; i < 32; i++) {
        assert_true(vr_virt_pci_row(v, i, &row));
    }
    assert_string_equal(row.place, "1f.0");
    assert_false(vr_virt_pci_row(v, 32, &row));
    vr_virt_destroy(v);
    o.device[o.device_count++].cls = "virtio-rng-pci";
    virt_refused(&o, -ENOSPC, "dev23: all 32 places");
    o.device_count = 1;
    o.device[0].cls = "virtio-blk-pci";
    virt_refused(&o, -EINVAL, "needs path=");
    o.device[0].cls = "plic";
    virt_refused(&o, -EINVAL, "has what it has");
    o.device[0].cls = "virtio-rng-pci";
    o.device[0].opts = "speed=9";
    virt_refused(&o, -EINVAL, "unknown option 'speed'");
    o.device_count = 0;
    o.net[2].opts = "mac=none";
    virt_refused(&o, 0, "mac");
    o.net[2].opts = NULL;
    o.net[3].backend = "tap";
    virt_refused(&o, -EINVAL, "no network backend");
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    virt_make_image(64, 64);
    struct vr_virt_opts o = virt_opts_of(1, 16 * MIB);
    o.kernel = NULL;
    virt_refused(&o, -EINVAL, "nothing to start");
    o.firmware = "none";
    virt_refused(&o, -EINVAL, "nothing to start");
    o.kernel = virt_kernel_path;
    virt_refused(&o, -ENOEXEC, "bare-metal");
    o.firmware = virt_dir;
    virt_refused(&o, -EISDIR, "firmware");
    o.firmware = "/nonexistent/firmware";
    virt_refused(&o, -ENOENT, "firmware");
    virt_write_file(virt_firmware_path, "\x1f\x8b\x08 compressed", 14);
    o.firmware = virt_firmware_path;
    virt_refused(&o, -ENOEXEC, "gzip");
    o.firmware = NULL;
    o.initrd = virt_dir;
    virt_refused(&o, -EISDIR, "initrd");
    o.initrd = "/nonexistent/initrd";
    virt_refused(&o, -ENOENT, "initrd");
    o.initrd = NULL;
    o.disk[0].path = virt_dir;
    o.disk_count = 1;
    virt_refused(&o, 0, virt_dir);
    o.disk_count = 0;
    o.serial.spec = "nothing known";
    virt_refused(&o, -EINVAL, "nothing known");
    o.serial.spec = NULL;
    o.kernel = virt_dir;
    virt_refused(&o, -EISDIR, "kernel");
    o.kernel = virt_disk_path;
    virt_refused(&o, -ENOEXEC, "kernel");
    virt_make_elf(virt_kernel_path, 0x1000, 64); /* where there is ROM */
    o.kernel = virt_kernel_path;
    virt_refused(&o, -EINVAL, "another machine");
    virt_make_elf(virt_kernel_path, UINT64_MAX - 63, 63);
    virt_refused(&o, -EINVAL, "-m");
    virt_make_elf(virt_kernel_path, VIRT_RAM + 16 * MIB - 63, 64);
    virt_refused(&o, -EINVAL, "-m");
}

/* The first reset finds what the machine was made with, a later one may not. */
static void a_kernel_that_changes_ends_the_machine_not_the_process(void **state)
{
    struct vr_error err = {0};
    (void)state;
    virt_make_image(1 << 20, 0);
    struct vr_virt_opts o = virt_opts_of(1, 16 * MIB);
    struct vr_virt *v = virt_build_of(&o);
    virt_make_image(100, 0); /* still in memory */
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
    uint8_t gz[4096], *d = virt_pattern(100000, 5);
    struct vr_error err = {0};
    z_stream z = {.next_in = d, .avail_in = 100000, .next_out = gz, .avail_out = sizeof(gz)};
    (void)state;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    deflateEnd(&z);
    virt_make_image(64, 64);
    virt_write_file(virt_initrd_path, gz, n);
    struct vr_virt_opts o = virt_opts_of(1, 16 * MIB);
    o.initrd = virt_initrd_path;
    struct vr_virt *v = virt_build_of(&o);
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
    virt_make_image(64, 64);
    struct vr_virt_opts o = virt_opts_of(2, 16 * MIB);
    struct vr_virt *v = virt_build_of(&o);
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
    virt_make_image(64, 64);
    struct vr_virt_opts o = virt_opts_of(TALKERS, 16 * MIB);
    o.serial.spec = "null";
    struct vr_virt *v = virt_build_of(&o);
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
        cmocka_unit_test(dtc_has_seen_the_device_trees),
        cmocka_unit_test(host_ends_take_what_is_good),
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
    return cmocka_run_group_tests_name("virt_riscv", tests, virt_make_files, virt_remove_files);
}

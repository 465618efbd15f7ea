/*
 * Starting the virt machine: what goes where in memory, and where the harts begin.
 *
 *   built-in SBI   the kernel in S-mode, hart 0 alone, a0 = hart, a1 = device tree
 *   firmware       every hart in M-mode at the reset ROM, which jumps to the firmware at the start
 * of RAM with a0 = hart, a1 = device tree, a2 = OpenSBI's fw_dynamic_info
 * (its FW_DYNAMIC document) none           the same, to a bare-metal program
 */
#include "base/bits.h"
#include "board/virt_riscv_priv.h"
#include "platform/newfile.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MIB     (UINT64_C(1) << 20)
/* Kernels map their first gigabytes early; a device tree beyond would not be seen. */
#define LOW_END (VIRT_RAM + (UINT64_C(1) << 30))

enum {
    FDT_ROOM = VIRT_FDT_ROOM, /* aligned so, as the boot protocol asks */
    RAW_OFFSET = 2 << 20, /* of a next stage without headers, by the convention of this machine */
};

static int plan_place(struct vr_virt *v, const char *what, uint64_t low, uint64_t high,
                      struct vr_error *err)
{
    uint64_t end = VIRT_RAM + v->ram_bytes;
    if (low < VIRT_RAM || high > end) {
        return vr_err(err, -EINVAL,
                      "%s needs memory from 0x%" PRIx64 " to 0x%" PRIx64
                      ", the machine has 0x%" PRIx64 " to 0x%" PRIx64 ": %s",
                      what, low, high, VIRT_RAM, end,
                      low < VIRT_RAM ? "it was linked for another machine"
                                     : "give it more with -m");
    }
    return 0;
}

/* Code without headers, as it stands. */
static void plan_raw(struct vr_kernel *program, uint64_t gpa, uint64_t len)
{
    *program = (struct vr_kernel){
        .kind = VR_KERNEL_RAW,
        .entry = gpa,
        .low = gpa,
        .high = gpa + len,
        .segment_count = 1,
        .segment[0] = {.gpa = gpa, .file_len = len, .mem_len = len},
    };
}

/* With firmware below it, the next stage may be a boot loader, which is raw code as often as ELF.
 */
static int plan_kernel(struct vr_virt *v, const char *path, struct vr_error *err)
{
    struct vr_blob *file = &v->kernel_file;
    int r = vr_blob_read("kernel", path, (size_t)v->ram_bytes, file, err);
    if (r == 0) {
        r = vr_blob_gunzip("kernel", file, err);
    }
    if (r < 0) {
        return r;
    }
    if (v->has_firmware && file->len && vr_file_kind(file->data, file->len) == VR_FILE_UNKNOWN) {
        plan_raw(&v->kernel, VIRT_RAM + RAW_OFFSET, file->len);
        return 0;
    }
    return vr_kernel_parse(path, file->data, file->len, VIRT_RAM, &v->kernel, err);
}

/* Linkers put a file's headers and notes into a segment of their own, at addresses where this
 * machine has no RAM. A bare-metal program does not miss them. */
static void plan_leave_out(struct vr_virt *v, struct vr_log *log)
{
    struct vr_kernel *k = &v->kernel;
    unsigned kept = 0;
    uint64_t low = UINT64_MAX, high = 0;
    for (unsigned i = 0; i < k->segment_count; i++) {
        struct vr_segment s = k->segment[i];
        uint64_t below = s.gpa < VIRT_RAM ? VIRT_RAM - s.gpa : 0;
        if (below && below < s.file_len) { /* the headers before the first instruction */
            s = (struct vr_segment){.gpa = VIRT_RAM,
                                    .off = s.off + below,
                                    .file_len = s.file_len - below,
                                    .mem_len = s.mem_len - below};
        }
        bool in_ram = s.gpa >= VIRT_RAM && vr_in_range(s.gpa - VIRT_RAM, s.mem_len, v->ram_bytes);
        bool has_entry = k->entry >= s.gpa && k->entry - s.gpa < s.mem_len;
        if (!in_ram && !has_entry) {
            vr_log(log, VR_INFO, "kernel",
                   "%" PRIu64 " bytes at 0x%" PRIx64 " are left out: no RAM there", s.mem_len,
                   s.gpa);
            continue;
        }
        k->segment[kept++] = s;
        low = s.gpa < low ? s.gpa : low;
        high = s.gpa + s.mem_len > high ? s.gpa + s.mem_len : high;
    }
    if (kept) {
        k->segment_count = kept;
        k->low = low;
        k->high = high;
    }
}

/* Firmware is raw code as often as ELF. */
static int plan_firmware(struct vr_virt *v, const char *path, struct vr_error *err)
{
    int r = vr_blob_read("firmware", path, (size_t)v->ram_bytes, &v->firmware_file, err);
    if (r < 0) {
        return r;
    }
    enum vr_file_kind kind = vr_file_kind(v->firmware_file.data, v->firmware_file.len);
    if (kind == VR_FILE_RISCV_ELF) {
        r = vr_kernel_parse(path, v->firmware_file.data, v->firmware_file.len, VIRT_RAM,
                            &v->firmware, err);
    } else if (kind != VR_FILE_UNKNOWN) {
        return vr_err(err, -ENOEXEC,
                      "firmware %s: is %s, not RISC-V firmware (an ELF file or raw code)", path,
                      vr_file_kind_name(kind));
    } else {
        plan_raw(&v->firmware, VIRT_RAM, v->firmware_file.len);
    }
    v->has_firmware = true;
    return r < 0 ? r : plan_place(v, "the firmware", v->firmware.low, v->firmware.high, err);
}

void virt_late_fini(struct vr_virt *v)
{
    free(v->late_kernel);
    free(v->late_initrd);
    free(v->late_firmware);
    v->late_kernel = v->late_initrd = v->late_firmware = NULL;
    v->late = false;
}

static int late_note(const char *what, const char *path, char **to, struct vr_error *err)
{
    struct vr_file_identity id;
    int r = path ? vr_newfile_identify(path, &id) : 0;
    if (r < 0) {
        return vr_err(err, r,
                      "%s %s: %s; the guest would need it at its next reset: say --%s with "
                      "its new place",
                      what, path, strerror(-r), what);
    }
    *to = path ? strdup(path) : NULL;
    return path && !*to ? vr_err(err, -ENOMEM, "no memory for a machine") : 0;
}

/* Nothing of the files is needed before a reset, which may never come, unless devices depend on
 * what they hold: flash, and HTIF of bare-metal programs. */
static int late_plan(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    v->late = true;
    int r = late_note("kernel", o->kernel, &v->late_kernel, err);
    r = r < 0 ? r : late_note("initrd", o->initrd, &v->late_initrd, err);
    return r < 0 ? r : late_note("firmware", o->firmware, &v->late_firmware, err);
}

/* What was left for the first reset. */
static int late_read(struct vr_virt *v, struct vr_error *err)
{
    struct vr_virt_opts o = {.kernel = v->late_kernel,
                             .initrd = v->late_initrd,
                             .firmware = v->late_firmware,
                             .log = v->log};
    int r = virt_plan(v, &o, err);
    if (r == 0) {
        vr_fdt_destroy(v->fdt);
        v->fdt = NULL;
        r = virt_make_fdt(v, err);
    }
    if (r == 0) {
        virt_late_fini(v);
    }
    return r;
}

int virt_plan(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    int r = 0;
    uint64_t end = VIRT_RAM + v->ram_bytes, top = end < LOW_END ? end : LOW_END, used = VIRT_RAM;
    v->bare = o->firmware && strcmp(o->firmware, "none") == 0;
    v->has_flash = o->flash && !v->bare;
    if (o->late_files && !v->bare && !v->has_flash) {
        return late_plan(v, o, err);
    }
    if (!o->kernel && !v->has_flash && (!o->firmware || v->bare)) {
        return vr_err(
            err, -EINVAL,
            "nothing to start: give a kernel (--kernel), firmware (--firmware) or flash (--flash)");
    }
    if (o->firmware && !v->bare) {
        r = plan_firmware(v, o->firmware, err);
        used = v->firmware.high;
    }
    if (r == 0 && v->has_flash) {
        r = virt_flash_kernel(v, o, err);
    } else if (r == 0 && o->kernel) {
        r = plan_kernel(v, o->kernel, err);
        if (r == 0 && v->bare && v->kernel.kind != VR_KERNEL_ELF) {
            r = vr_err(err, -ENOEXEC, "kernel %s: --firmware none starts a bare-metal ELF file",
                       o->kernel);
        }
        if (r == 0 && v->bare) {
            plan_leave_out(v, o->log);
        }
        r = r < 0 ? r : plan_place(v, "the kernel", v->kernel.low, v->kernel.high, err);
        if (r == 0 && v->has_firmware && v->kernel.low < v->firmware.high &&
            v->firmware.low < v->kernel.high) {
            r = vr_err(err, -EINVAL, "the kernel and the firmware want the same memory");
        }
        used = v->kernel.high > used ? v->kernel.high : used;
        v->has_kernel = r == 0;
    }
    if (r < 0) {
        return r;
    }
    v->fdt_gpa = vr_align_down(top - FDT_ROOM, FDT_ROOM);
    if (o->initrd && !v->has_flash) {
        r = vr_blob_read("initrd", o->initrd, (size_t)v->ram_bytes, &v->initrd_file, err);
        if (r < 0) {
            return r;
        }
        v->initrd_gpa = vr_align_down(v->fdt_gpa - v->initrd_file.len, VR_PAGE_SIZE);
    }
    uint64_t floor = v->initrd_file.len ? v->initrd_gpa : v->fdt_gpa;
    if (v->fdt_gpa < v->initrd_file.len || floor < used) {
        return vr_err(err, -EINVAL,
                      "kernel, initrd and device tree do not fit into %" PRIu64
                      " MiB: give more with -m",
                      v->ram_bytes / MIB);
    }
    return 0;
}

static void load_ram(struct vr_virt *v, uint64_t gpa, const void *data, uint64_t len,
                     uint64_t zero_len)
{
    uint8_t *p = v->ram->hva + (gpa - VIRT_RAM);
    memcpy(p, data, len);
    memset(p + len, 0, zero_len);
    vr_ram_wrote(vr_machine_mem(v->machine), v->ram, gpa - VIRT_RAM, len + zero_len);
}

/* The file's bytes are not needed again before the next reset, which may never come. */
static int load_program(struct vr_virt *v, const char *what, struct vr_blob *file,
                        const struct vr_kernel *k, struct vr_error *err)
{
    int r = vr_blob_reload(what, file, err);
    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; i < k->segment_count; i++) {
        const struct vr_segment *s = &k->segment[i];
        r = plan_place(v, "a segment", s->gpa, s->gpa + s->mem_len, err);
        if (r < 0) {
            return r;
        }
        load_ram(v, s->gpa, file->data + s->off, s->file_len, s->mem_len - s->file_len);
    }
    vr_blob_drop(file);
    return 0;
}

/* The reset ROM: load a1 and the target from the words behind the code, and go. */
static void load_rom(struct vr_virt *v, uint64_t target, uint64_t next)
{
    enum { CODE_WORDS = 6, TARGET = 24, FDT = 32, INFO = 40 };
    static const uint32_t code[CODE_WORDS] = {
        0x00000297,                /* auipc t0, 0 */
        0x00028613 | INFO << 20,   /* addi  a2, t0, INFO */
        0xf1402573,                /* csrr  a0, mhartid */
        0x0002b583 | FDT << 20,    /* ld    a1, FDT(t0) */
        0x0002b283 | TARGET << 20, /* ld    t0, TARGET(t0) */
        0x00028067,                /* jr    t0 */
    };
    /* struct fw_dynamic_info: magic "OSBI", version 2, next address, next mode S, options, boot
     * hart. */
    const uint64_t info[] = {0x4942534f, 2, next, RV_S, 0, 0};
    uint8_t *p = v->rom->hva;
    memset(p, 0, v->rom->len);
    for (unsigned i = 0; i < CODE_WORDS; i++) {
        vr_store_le32(p + i * 4, code[i]);
    }
    vr_store_le64(p + TARGET, target);
    vr_store_le64(p + FDT, v->fdt_gpa);
    for (unsigned i = 0; i < VR_COUNT(info); i++) {
        vr_store_le64(p + INFO + i * 8, info[i]);
    }
    vr_ram_wrote(vr_machine_mem(v->machine), v->rom, 0, v->rom->len);
}

int virt_on_reset(void *opaque, struct vr_error *err)
{
    struct vr_virt *v = opaque;
    int r = 0;
    if (v->late && (r = late_read(v, err)) < 0) {
        return r;
    }
    v->reset_ns = vr_clock_now(vr_machine_clock(v->machine));
    virt_flash_reset(v);
    virt_irq_reset(v);
    virt_plugs_reset(v);
    if (v->has_kernel) {
        r = load_program(v, "kernel", &v->kernel_file, &v->kernel, err);
    }
    if (r == 0 && v->has_firmware) {
        r = load_program(v, "firmware", &v->firmware_file, &v->firmware, err);
    }
    if (r == 0 && v->initrd_file.len) {
        r = vr_blob_reload("initrd", &v->initrd_file, err);
    }
    if (r < 0) {
        return r;
    }
    if (v->initrd_file.len) {
        load_ram(v, v->initrd_gpa, v->initrd_file.data, v->initrd_file.len, 0);
        vr_blob_drop(&v->initrd_file);
    }
    load_ram(v, v->fdt_gpa, v->fdt_blob, v->fdt_len, 0);
    uint64_t next = v->has_flash    ? VIRT_FLASH
                    : v->has_kernel ? v->kernel.entry
                                    : VIRT_RAM + RAW_OFFSET;
    if (v->config.builtin_sbi) {
        load_rom(v, 0, 0);
        rv_hart_start(v->hart[0], RV_S, next, 0, v->fdt_gpa);
        return 0;
    }
    load_rom(v, v->has_firmware ? v->firmware.entry : v->kernel.entry, next);
    for (unsigned i = 0; i < v->cpus; i++) {
        rv_hart_start(v->hart[i], RV_M, VIRT_ROM, 0, 0);
    }
    return 0;
}

/* The RISC-V virt machine: which devices, where, on which wires. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/err.h"
#include "board/virt_riscv_priv.h"
#include "cpu/jit/jit.h"
#include "dev/char/uart16550.h"
#include "dev/misc/fw_cfg.h"
#include "dev/misc/htif.h"
#include "dev/misc/sifive_test.h"
#include "dev/misc/vmgenid.h"
#include "dev/timer/goldfish_rtc.h"
#include "dev/virtio/balloon.h"
#include "dev/virtio/fs.h"
#include "dev/virtio/input.h"
#include "dev/virtio/net.h"
#include "dev/virtio/rng.h"
#include "vireo/host_time.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

int virt_add(struct vr_virt *v, const struct vr_dev_class *cls, const char *id, const char *opts,
             uint64_t gpa, uint64_t len, struct vr_irq *(*wire)(struct vr_dev *), unsigned irq,
             struct vr_dev **ret_dev, struct vr_error *err)
{
    struct vr_dev *dev;
    vr_assert(v->dev_count < VIRT_DEVS);
    int r = virt_new(v, cls, id, opts, &dev, err);
    if (r < 0) {
        return r;
    }
    if (wire) {
        virt_connect(v, wire(dev), irq);
    }
    struct virt_dev *d = &v->dev[v->dev_count++];
    *d = (struct virt_dev){.dev = dev, .at = {.gpa = {gpa}, .len = {len}}};
    if (wire) {
        d->at.irq[0] = irq;
        d->at.irq_count = 1;
    }
    *ret_dev = dev;
    return vr_dev_map(dev, 0, vr_machine_mem(v->machine), gpa, err);
}

int virt_add_window(struct vr_virt *v, unsigned window, uint64_t gpa, uint64_t len,
                    struct vr_error *err)
{
    struct virt_dev *first = &v->dev[v->dev_count - 1], *more = &v->dev[v->dev_count++];
    vr_assert(v->dev_count <= VIRT_DEVS);
    first->at.gpa[window] = gpa;
    first->at.len[window] = len;
    *more = (struct virt_dev){.dev = first->dev, .at = {.gpa = {gpa}, .len = {len}}, .in_other = 1};
    return vr_dev_map(first->dev, window, vr_machine_mem(v->machine), gpa, err);
}

static void virt_on_panic(void *virt)
{
    struct vr_virt *v = virt;
    vr_machine_panicked(v->machine);
}

static void virt_on_dead(void *virt)
{
    struct vr_virt *v = virt;
    vr_machine_request(v->machine, VR_REQ_PANIC, 0);
}

static void virt_hear(void *virt, const uint8_t *buf, size_t len)
{
    struct vr_virt *v = virt;
    uint64_t now_ns = vr_clock_now(vr_machine_clock(v->machine));
    vr_mutex_lock(&v->hear_lock);
    vr_panic_watch_feed(&v->panic, buf, len, now_ns - v->reset_ns);
    vr_mutex_unlock(&v->hear_lock);
}

static int virt_add_genid(struct vr_virt *v, struct vr_error *err)
{
    char opts[80];
    uint64_t id[2];
    int r = vr_env_random(vr_machine_env(v->machine), id, sizeof(id), err);
    if (r < 0) {
        return r;
    }
    snprintf(opts, sizeof(opts), "low=%" PRIu64 ",high=%" PRIu64, id[0], id[1]);
    return virt_add(v, &vr_vmgenid_class, "genid", opts, VIRT_GENID, 0x1000, vr_vmgenid_irq,
                    VIRT_IRQ_GENID, &v->genid, err);
}

int vr_virt_new_generation(struct vr_virt *v, struct vr_error *err)
{
    return vr_vmgenid_renew(v->genid, err);
}

static int virt_add_platform(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    struct vr_dev *dev;
    char opts[64];
    int r = 0;
    if (o->serial.spec) {
        const struct vr_virt_end end = {.kind = VR_VIRT_END_CHR, .chr = o->serial};
        struct virt_end *opened;
        r = virt_end_open(v, &end, NULL, &opened, err);
        v->serial = r < 0 ? NULL : opened->host.chr;
    }
    if (r == 0) {
        r = virt_add(v, &vr_uart16550_class, "uart0", NULL, VIRT_UART, 0x100, vr_uart16550_irq,
                     VIRT_IRQ_UART, &v->uart, err);
    }
    if (r < 0) {
        return r;
    }
    vr_uart16550_attach(v->uart, v->serial);
    if (v->serial) {
        v->panic = (struct vr_panic_watch){
            .on_panic = virt_on_panic, .on_dead = virt_on_dead, .opaque = v};
        vr_chr_tap(v->serial, virt_hear, v);
    }
    r = virt_add(v, &vr_sifive_test_class, "test", NULL, VIRT_TEST, 0x1000, NULL, 0, &v->test, err);
    if (r == 0) {
        struct vr_det *det = vr_machine_det(v->machine);
        snprintf(opts, sizeof(opts), "epoch_ns=%" PRIu64,
                 det           ? vr_det_epoch_ns(det)
                 : o->epoch_ns ? o->epoch_ns
                               : vireo_realtime_ns());
        r = virt_add(v, &vr_goldfish_rtc_class, "rtc", opts, VIRT_RTC, 0x1000, vr_goldfish_rtc_irq,
                     VIRT_IRQ_RTC, &v->rtc, err);
        v->rtc_follows = o->epoch_ns == 0;
    }
    if (r == 0) {
        r = virt_add_genid(v, err);
    }
    if (r == 0) {
        r = virt_add(v, &vr_fw_cfg_class, "fw_cfg", NULL, VIRT_FW_CFG, 0x18, NULL, 0, &dev, err);
    }
    if (r == 0) {
        r = vr_fw_cfg_set_u32(dev, VR_FW_CFG_NB_CPUS, v->cpus, err);
    }
    if (r == 0) {
        r = virt_flash_tell(v, dev, err);
    }
    if (r == 0) {
        r = virt_add_flash(v, o, err);
    }
    if (r == 0 && v->bare && v->kernel.tohost >= VIRT_RAM &&
        vr_in_range(v->kernel.tohost - VIRT_RAM, 8, v->ram_bytes)) {
        r = virt_add(v, &vr_htif_class, "htif", NULL, v->kernel.tohost, 8, NULL, 0, &dev, err);
    }
    return r;
}

/* A virtio device and its host end, if it has one. */
static int virt_add_ended(struct vr_virt *v, const char *kind, const char *id, const char *opts,
                          const struct vr_virt_end *end, struct vr_error *err)
{
    struct virt_end *opened = NULL;
    struct vr_dev *dev;
    int r = end->kind == VR_VIRT_END_NONE ? 0 : virt_end_open(v, end, NULL, &opened, err);
    r = r < 0 ? r : virt_add_virtio(v, kind, id, opts, &dev, err);
    if (r == 0 && opened) {
        virt_end_attach(v, opened, dev);
    }
    return r;
}

static int virt_add_disks(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    int r = 0;
    unsigned n = 0;
    for (unsigned k = 0; r == 0 && k < o->disk_count; k++) {
        const struct vr_virt_end end = {.kind = VR_VIRT_END_DISK, .disk = o->disk[k]};
        char id[16];
        if (!o->disk[k].scsi) {
            snprintf(id, sizeof(id), "disk%u", n++);
            r = virt_add_ended(v, "blk", id, o->disk[k].opts, &end, err);
        }
    }
    return r;
}

static int virt_add_nets(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < o->net_count; i++) {
        const struct vr_virt_end end = {.kind =
                                            o->net[i].backend ? VR_VIRT_END_NET : VR_VIRT_END_NONE,
                                        .net = o->net[i].backend,
                                        .net_io_thread = o->net[i].io_thread};
        char id[16], opts[256];
        const char *given = o->net[i].opts ? o->net[i].opts : "";
        snprintf(id, sizeof(id), "net%u", i);
        /* Each card its own address; one that the user gives comes later, and counts. */
        if (snprintf(opts, sizeof(opts), "mac=52:56:52:00:00:%02x%s%s", i + 1, *given ? "," : "",
                     given) >= (int)sizeof(opts)) {
            return vr_err(err, -EINVAL, "%s: options '%.40s...' are too long", id, given);
        }
        r = virt_add_ended(v, "net", id, opts, &end, err);
    }
    return r;
}

_Static_assert((int)VR_VIRT_TAG_MAX == (int)VR_VIRTIO_FS_TAG_MAX, "a tag has one length");

static int virt_add_shares(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < o->share_count; i++) {
        const struct vr_virt_end end = {.kind = VR_VIRT_END_SHARE, .share = o->share[i]};
        char id[16], opts[64];
        snprintf(id, sizeof(id), "share%u", i);
        snprintf(opts, sizeof(opts), "tag=%s", o->share[i].tag);
        r = virt_add_ended(v, "fs", id, opts, &end, err);
    }
    return r;
}

/* Does a watchdog want to press a button? */
static bool virt_wants_button(const struct vr_virt_opts *o)
{
    for (unsigned i = 0; i < o->device_count; i++) {
        const char *opts = o->device[i].opts;
        if (strcmp(o->device[i].cls, "i6300esb") == 0 && opts && strstr(opts, "action=shutdown")) {
            return true;
        }
    }
    return false;
}

/* What deterministic mode cannot be with: things that happen when the host likes. */
static int virt_check_det(const struct vr_virt_opts *o, struct vr_error *err)
{
    bool tape = o->det.record || o->det.replay;
    if (!o->det.on) {
        return 0;
    }
    if (o->engine == VR_VIRT_ENGINE_LOCKSTEP || o->trace_insn) {
        return vr_err(err, -EINVAL,
                      "deterministic mode runs the engines interp and jit, without an instruction "
                      "trace");
    }
    if (o->io_threads > 1) {
        return vr_err(err, -EINVAL,
                      "deterministic mode runs everything on one thread: leave --io-threads out");
    }
    if (o->share_count) {
        return vr_err(err, -EINVAL,
                      "share %s: what is in a shared directory, and when it answers, is not the "
                      "guest's doing: it has no place in deterministic mode; put the files on a "
                      "disk or in the initrd",
                      o->share[0].path);
    }
    if (tape && (o->flash_vars && !o->flash_vars_read_only)) {
        return vr_err(err, -EINVAL,
                      "flash variables %s: they are kept, so the next run would begin with others: "
                      "leave --flash-vars out to record or replay",
                      o->flash_vars);
    }
    return o->det.record && o->det.replay
               ? vr_err(err, -EINVAL, "a machine records or replays, not both")
               : 0;
}

static int virt_check(const struct vr_virt_opts *o, struct vr_error *err)
{
    if (virt_wants_button(o) && !o->power_button) {
        return vr_err(err, -EINVAL,
                      "a watchdog with action=shutdown presses the power button, and this machine "
                      "has none: give it one (--power-button)");
    }
    int r = virt_check_det(o, err);
    if (r < 0) {
        return r;
    }
    if (o->cpus < 1 || o->cpus > VR_MAX_VCPUS) {
        return vr_err(err, -EINVAL, "%u CPUs: this machine can have 1 to %d", o->cpus,
                      VR_MAX_VCPUS);
    }
    if (o->io_threads > VR_MAX_IO_THREADS) {
        return vr_err(err, -EINVAL, "%u I/O threads: this machine can have 1 to %d", o->io_threads,
                      VR_MAX_IO_THREADS);
    }
    if (o->disk_count > VR_VIRT_DISKS || o->net_count > VR_VIRT_NETS ||
        o->port_count > VR_VIRT_PORTS) {
        return vr_err(err, -EINVAL,
                      "%u disks, %u network cards, %u console ports: this machine can have %d, %d "
                      "and %d",
                      o->disk_count, o->net_count, o->port_count, VR_VIRT_DISKS, VR_VIRT_NETS,
                      VR_VIRT_PORTS);
    }
    if (o->ram_bytes > VIRT_RAM_MAX) {
        return vr_err(err, -EINVAL,
                      "memory of %" PRIu64 " GiB: this machine can have at most %" PRIu64 " GiB",
                      o->ram_bytes >> 30, VIRT_RAM_MAX >> 30);
    }
    if (o->ram_bytes < VR_VIRT_RAM_MIN || !vr_is_aligned(o->ram_bytes, VR_PAGE_SIZE)) {
        return vr_err(err, -EINVAL,
                      "memory of %" PRIu64 " bytes: this machine needs at least %" PRIu64
                      " MiB, in pages of 4 KiB",
                      o->ram_bytes, VR_VIRT_RAM_MIN >> 20);
    }
    return 0;
}

/* A watchdog presses the button, when it lets go of its lock. */
static void virt_press(void *virt)
{
    struct vr_virt *v = virt;
    struct vr_error err;
    if (vr_virtio_input_press(v->button, &err) < 0) {
        vr_log(v->log, VR_WARN, v->button->id, "%s", err.msg);
    }
}

static void virt_press_soon(void *virt)
{
    struct vr_virt *v = virt;
    vr_timer_arm(&v->press, 0);
}

static void virt_unwire_button(void *virt)
{
    vr_timer_fini(&((struct vr_virt *)virt)->press);
}

static int virt_wire_button(struct vr_virt *v, struct vr_error *err)
{
    vr_timer_init(&v->press, vr_machine_clock(v->machine), NULL, virt_press, v);
    vr_machine_on_button(v->machine, virt_press_soon, v);
    return vr_machine_own(v->machine, virt_unwire_button, v, err);
}

static int virt_build(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    struct vr_dev *dev;
    int r = virt_plan(v, o, err);
    if (r == 0) {
        r = vr_machine_create(o->name ? o->name : "vm", o->clock, o->own_loop_thread, o->log,
                              &v->machine, err);
    }
    if (r == 0 && o->det.on) {
        r = vr_machine_set_det(v->machine, &o->det, err);
    }
    if (r == 0 && o->use) {
        vr_machine_use_host(v->machine, o->use);
    }
    if (r == 0 && o->ram_view) {
        vr_machine_ram_view(v->machine, o->ram_fd, o->ram_off);
        if (o->jit.mirror != VR_JIT_MIRROR_OFF) {
            vr_log(o->log, VR_INFO, "ram", "a view of a file: without mirrors");
        }
    }
    if (r == 0 && o->io_threads) {
        r = vr_machine_use_io_threads(v->machine, o->io_threads, err);
    }
    r = r < 0 ? r : virt_ends_init(v, err);
    if (r == 0) {
        r = vr_machine_add_ram(v->machine, "ram", VIRT_RAM, v->ram_bytes, VR_REGION_RAM, &v->ram,
                               err);
    }
    if (r == 0) {
        r = vr_machine_add_ram(v->machine, "rom", VIRT_ROM, VIRT_ROM_LEN, VR_REGION_ROM, &v->rom,
                               err);
    }
    if (r == 0) {
        r = virt_add_cpus(v, o, err);
    }
    if (r == 0) {
        r = virt_add_platform(v, o, err);
    }
    if (r == 0) {
        r = virt_add_pci(v, err);
    }
    if (r == 0) {
        r = virt_add_slots(v, o->slot_count, err);
    }
    if (r == 0) {
        r = virt_add_disks(v, o, err);
    }
    if (r == 0) {
        r = virt_add_scsi(v, o, err);
    }
    if (r == 0) {
        r = virt_add_nets(v, o, err);
    }
    if (r == 0) {
        r = virt_add_shares(v, o, err);
    }
    if (r == 0 && !o->no_rng) {
        r = virt_add_virtio(v, "rng", "rng", o->rng_opts, &dev, err);
    }
    if (r == 0) {
        r = virt_add_ports(v, o, err);
    }
    if (r == 0 && o->power_button) {
        r = virt_add_virtio(v, "input", "button", NULL, &v->button, err);
        r = r < 0 ? r : virt_wire_button(v, err);
    }
    if (r == 0 && o->balloon) {
        r = virt_add_virtio(v, "balloon", "balloon", o->balloon_opts, &v->balloon, err);
        r = r < 0 ? r : vr_virt_balloon_set(v, o->balloon_bytes, err);
    }
    if (r == 0) {
        r = virt_add_devices(v, o, err);
    }
    if (r == 0) {
        r = vr_env_random(vr_machine_env(v->machine), v->rng_seed, sizeof(v->rng_seed), err);
    }
    return r < 0 ? r : virt_make_fdt(v, err);
}

/* Lockstep's engines differ: what it says goes to the log, and the machine ends as one whose host
 * failed it. */
static void virt_on_differ(void *virt, unsigned cpu, const char *report)
{
    struct vr_virt *v = virt;
    char who[16];
    snprintf(who, sizeof(who), "hart%u", cpu);
    for (const char *line = report; *line;) {
        size_t len = strcspn(line, "\n");
        vr_log(v->log, VR_ERROR, who, "%.*s", (int)len, line);
        line += len + (line[len] == '\n');
    }
    vr_machine_request(v->machine, VR_REQ_QUIT, VR_VIRT_DIFFERS);
}

static void virt_choose_engine(struct vr_virt *v, const struct vr_virt_opts *o)
{
    struct vr_error why = {0};
    v->config.lockstep = o->engine == VR_VIRT_ENGINE_LOCKSTEP;
    v->config.jit = o->engine == VR_VIRT_ENGINE_JIT || v->config.lockstep;
    v->config.jit_opts = o->jit;
    v->config.jit_opts.differ = virt_on_differ;
    v->config.jit_opts.differ_opaque = v;
    if (o->engine == VR_VIRT_ENGINE_AUTO && !o->trace_insn) {
        v->config.jit = vr_jit_available(&why) == 0;
        snprintf(v->no_jit, sizeof(v->no_jit), "%s", why.msg);
    }
}

const char *vr_virt_no_jit(const struct vr_virt *virt)
{
    return virt->no_jit;
}

uint64_t vr_virt_first_ns(struct vr_virt *v, bool user)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < v->cpus; i++) {
        uint64_t at = atomic_load(&v->hart[i]->first_ns[user ? RV_U : RV_S]);
        first = at && at - 1 < first ? at - 1 : first;
    }
    return first;
}

bool vr_virt_jit_stats(struct vr_virt *v, struct vr_jit_stats *ret_stats)
{
    *ret_stats = (struct vr_jit_stats){0};
    for (unsigned i = 0; v->config.jit && i < v->cpus; i++) {
        struct vr_jit_stats s;
        vr_jit_get_stats(&v->hart[i]->cpu, &s);
        ret_stats->blocks += s.blocks;
        ret_stats->insns += s.insns;
        ret_stats->bytes += s.bytes;
        ret_stats->flushes += s.flushes;
        ret_stats->drops += s.drops;
        ret_stats->exits += s.exits;
        ret_stats->direct += s.direct;
        ret_stats->mirrored += s.mirrored;
        ret_stats->mirror_faults += s.mirror_faults;
        ret_stats->stretches += s.stretches;
        ret_stats->compared += s.compared;
        ret_stats->unrepeated += s.unrepeated;
    }
    return v->config.jit;
}

/* The greatest satp mode. Linux maps all memory into half of a quarter of its address space. */
static uint8_t virt_satp_max(const struct vr_virt_opts *o)
{
    switch (o->mmu) {
    case VR_VIRT_MMU_SV39:
        return 8;
    case VR_VIRT_MMU_SV48:
        return 9;
    case VR_VIRT_MMU_SV57:
        return 10;
    default:
        return o->ram_bytes > UINT64_C(64) << 30 ? 9 : 8;
    }
}

#define VR_SELF struct vr_virt
static const struct vr_field virt_fields[] = {
    VR_STATE(reset_ns, "guest time of the last reset"),
    VR_STATE(saved_ns, "wall time of the snapshot, ns since 1970 UTC"),
    VR_FIELD_END,
};

static void virt_loaded(void *virt)
{
    struct vr_virt *v = virt;
    vr_mutex_lock(&v->hear_lock);
    v->panic.len = 0; /* the line that another guest was writing */
    vr_mutex_unlock(&v->hear_lock);
    if (v->rtc_follows && v->saved_ns) {
        uint64_t now = vireo_realtime_ns(), old = now > v->saved_ns ? now - v->saved_ns : 0;
        vr_goldfish_rtc_advance(v->rtc, old, now - vr_clock_now(vr_machine_clock(v->machine)));
    }
}

static void virt_saving(void *virt)
{
    struct vr_virt *v = virt;
    /* A deterministic life knows no wall clock but its own. */
    v->saved_ns = v->rtc_follows && !vr_machine_det(v->machine) ? vireo_realtime_ns() : 0;
}

int vr_virt_create(const struct vr_virt_opts *o, struct vr_virt **ret_virt, struct vr_error *err)
{
    int r = virt_check(o, err);
    if (r < 0) {
        return r;
    }
    struct vr_virt *v = vr_zalloc(sizeof(*v));
    if (!v) {
        return vr_err(err, -ENOMEM, "no memory for a machine");
    }
    vr_mutex_init(&v->hear_lock);
    v->log = o->log;
    v->cpus = o->cpus;
    v->ram_bytes = o->ram_bytes;
    v->disks_unheld = o->disks_unheld;
    v->own_class = o->own_class;
    v->own_class_count = o->own_class_count;
    v->append = o->append ? strdup(o->append) : NULL;
    rv_config_default(&v->config);
    v->aia = o->aia;
    v->virtio_mmio = o->virtio_mmio;
    if (v->aia == VR_VIRT_AIA_NONE) {
        v->config.ext &= ~(UINT64_C(1) << RV_EXT_smaia | UINT64_C(1) << RV_EXT_ssaia);
    }
    v->config.builtin_sbi = !o->firmware;
    v->config.satp_max = virt_satp_max(o);
    virt_choose_engine(v, o);
    v->wanted = o;
    r = o->append && !v->append ? vr_err(err, -ENOMEM, "no memory for a machine")
                                : virt_build(v, o, err);
    v->wanted = NULL;
    if (r < 0) {
        vr_virt_destroy(v);
        return r;
    }
    virt_sbi_init(v);
    vr_machine_on_save(v->machine, v, virt_fields, virt_saving, virt_loaded, v);
    vr_machine_on_save_ends(v->machine, virt_ends_put, virt_ends_get, v);
    vr_machine_on_reset(v->machine, virt_on_reset, v);
    vr_machine_reboots(v->machine, !o->end_on_reset);
    *ret_virt = v;
    return 0;
}

void vr_virt_destroy(struct vr_virt *v)
{
    if (!v) {
        return;
    }
    virt_flash_close(v);
    vr_machine_destroy(v->machine); /* and with it devices, harts, backends */
    virt_plugs_fini(v);
    virt_late_fini(v);
    vr_blob_fini(&v->kernel_file);
    vr_blob_fini(&v->firmware_file);
    vr_blob_fini(&v->initrd_file);
    virt_flash_fini(v);
    vr_fdt_destroy(v->fdt);
    vr_mutex_fini(&v->hear_lock);
    free(v->append);
    free(v);
}

struct vr_machine *vr_virt_machine(struct vr_virt *v)
{
    return v->machine;
}

struct vr_chr *vr_virt_serial(struct vr_virt *v)
{
    return v->serial;
}

struct vr_chr *vr_virt_port(struct vr_virt *v, unsigned port)
{
    return port < VR_VIRT_PORTS ? v->port[port] : NULL;
}

int vr_virt_power_button(struct vr_virt *v, struct vr_error *err)
{
    return v->button ? vr_virtio_input_press(v->button, err)
                     : vr_err(err, -ENODEV,
                              "this machine has no power button: give it one (--power-button)");
}

struct vr_blk *vr_virt_scsi_disk(struct vr_virt *v, unsigned target)
{
    return target < VR_VIRTIO_SCSI_UNITS ? v->scsi_blk[target] : NULL;
}

void vr_virt_announce(struct vr_virt *v, bool moved)
{
    struct vr_dev *dev;
    for (unsigned i = 0; (dev = vr_machine_dev(v->machine, i)); i++) {
        if (strncmp(dev->cls->name, "virtio-net-", 11) == 0) {
            (void)vr_virtio_net_announce(dev, moved);
        }
    }
}

void vr_virt_fdt(struct vr_virt *v, const void **ret_blob, size_t *ret_len)
{
    *ret_blob = v->fdt_blob;
    *ret_len = v->fdt_len;
}

bool vr_virt_map_row(struct vr_virt *v, unsigned i, const char **ret_name, uint64_t *ret_gpa,
                     uint64_t *ret_len, unsigned *ret_irq)
{
    if (i < v->dev_count) {
        const struct virt_dev *d = &v->dev[i];
        *ret_name = d->dev->id;
        *ret_gpa = d->at.gpa[0];
        *ret_len = d->at.len[0];
        *ret_irq = d->at.irq_count ? d->at.irq[0] : 0;
        return true;
    }
    *ret_irq = 0;
    *ret_name = i == v->dev_count ? "rom" : "ram";
    *ret_gpa = i == v->dev_count ? VIRT_ROM : VIRT_RAM;
    *ret_len = i == v->dev_count ? VIRT_ROM_LEN : v->ram_bytes;
    return i <= v->dev_count + 1;
}

/*
 * What a machine counts, as one list of named numbers. A part of the machine that counts is one
 * function here and one row at the end.
 */
#include "backend/block/block.h"
#include "base/bits.h"
#include "control/vm_priv.h"
#include "vireo/host_time.h"

#include <inttypes.h>
#include <stdio.h>

/* Where numbers go, and whose they are. */
struct stats_to {
    void (*fn)(void *opaque, const struct vireo_stat *stat);
    void *opaque;
    const char *group, *id;
};

static void stats_put(const struct stats_to *to, const char *name, enum vireo_stat_kind kind,
                      uint64_t value, const char *help)
{
    struct vireo_stat stat = {
        .group = to->group, .id = to->id, .name = name, .help = help, .kind = kind, .value = value};
    to->fn(to->opaque, &stat);
}

static void stats_machine(struct vireo_vm *vm, struct stats_to *to)
{
    uint64_t len, used, shared, cpu_ns = 0;
    unsigned devs = 0;
    bool tells_cpu = true;
    vr_machine_ram_bytes(vm->machine, &len, &used, &shared);
    while (vr_machine_dev(vm->machine, devs)) {
        devs++;
    }
    for (unsigned i = 0; i < vm->cpus; i++) {
        uint64_t ns = vr_machine_cpu_ns(vm->machine, i);
        tells_cpu = tells_cpu && ns != UINT64_MAX;
        cpu_ns += ns;
    }
    stats_put(to, "running", VIREO_STAT_NOW, vireo_vm_state(vm) == VIREO_RUNNING,
              "1 while it runs, 0 while it is paused or stopped");
    stats_put(to, "uptime_ns", VIREO_STAT_TOTAL, vireo_vm_time_ns(vm),
              "guest time since power-on; stands still while paused");
    if (tells_cpu) {
        stats_put(to, "cpu_time_ns", VIREO_STAT_TOTAL, cpu_ns,
                  "processor time of the host that all virtual CPUs used");
    }
    stats_put(to, "cpus", VIREO_STAT_NOW, vm->cpus, "virtual CPUs");
    stats_put(to, "devices", VIREO_STAT_NOW, devs, "devices");
    stats_put(to, "memory_bytes", VIREO_STAT_NOW, len, "guest memory");
    if (used != UINT64_MAX) {
        stats_put(to, "memory_used_bytes", VIREO_STAT_NOW, used,
                  "guest memory that the host has pages for, its own and shared ones");
        stats_put(to, "memory_shared_bytes", VIREO_STAT_NOW, shared,
                  "of them, those shared with clones, or of the snapshot that was mapped");
    }
    stats_put(to, "events", VIREO_STAT_TOTAL, vr_events_last(vm->events), "events so far");
}

static void stats_cpus(struct vireo_vm *vm, struct stats_to *to)
{
    for (unsigned i = 0; i < vm->cpus; i++) {
        char id[16];
        uint64_t ns = vr_machine_cpu_ns(vm->machine, i);
        snprintf(id, sizeof(id), "%u", i);
        to->id = id;
        if (ns != UINT64_MAX) {
            stats_put(to, "time_ns", VIREO_STAT_TOTAL, ns,
                      "processor time of the host that this virtual CPU used");
        }
    }
}

static void stats_io_threads(struct vireo_vm *vm, struct stats_to *to)
{
    struct vr_loop *loop;
    for (unsigned i = 0; (loop = vr_machine_io_loop(vm->machine, i)); i++) {
        char id[16];
        uint64_t ns = vr_loop_cpu_ns(loop);
        snprintf(id, sizeof(id), "%u", i);
        to->id = id;
        stats_put(to, "calls", VIREO_STAT_TOTAL, vr_loop_posts(loop),
                  "pieces of work that other threads gave it");
        if (ns != UINT64_MAX) {
            stats_put(to, "time_ns", VIREO_STAT_TOTAL, ns,
                      "processor time of the host that this I/O thread used");
        }
    }
}

/* What devices count themselves: all of theirs, or of their queues. */
struct stats_of_dev {
    struct vr_counts counts;
    const struct stats_to *to;
    const struct vr_dev *dev;
    bool queues;
};

static void stats_dev_put(struct vr_counts *counts, int queue, const char *name, bool total,
                          uint64_t value, const char *help)
{
    const struct stats_of_dev *s = (const struct stats_of_dev *)counts;
    if ((queue >= 0) == s->queues) {
        struct stats_to to = *s->to;
        char id[48];
        snprintf(id, sizeof(id), "%s.%d", s->dev->id, queue);
        to.id = s->queues ? id : s->dev->id;
        stats_put(&to, name, total ? VIREO_STAT_TOTAL : VIREO_STAT_NOW, value, help);
    }
}

static void stats_of_dev(struct vr_dev *dev, const struct stats_to *to, bool queues)
{
    struct stats_of_dev s = {
        .counts = {.put = stats_dev_put}, .to = to, .dev = dev, .queues = queues};
    if (dev->cls->counts) {
        dev->cls->counts(dev, &s.counts);
    }
}

static void stats_devices(struct vireo_vm *vm, struct stats_to *to)
{
    struct vr_dev *dev;
    for (unsigned i = 0; (dev = vr_machine_dev(vm->machine, i)); i++) {
        vr_dev_lock(dev);
        uint64_t reads = dev->reads, writes = dev->writes, errors = dev->guest_errors;
        vr_dev_unlock(dev);
        to->id = dev->id;
        stats_put(to, "reads", VIREO_STAT_TOTAL, reads, "accesses to registers, reading");
        stats_put(to, "writes", VIREO_STAT_TOTAL, writes, "accesses to registers, writing");
        stats_put(to, "guest_errors", VIREO_STAT_TOTAL, errors,
                  "things the guest did that a driver must not");
        stats_of_dev(dev, to, false);
    }
}

/* Virtqueues and the like; the id is the device's and the queue's number. */
static void stats_queues(struct vireo_vm *vm, struct stats_to *to)
{
    struct vr_dev *dev;
    for (unsigned i = 0; (dev = vr_machine_dev(vm->machine, i)); i++) {
        stats_of_dev(dev, to, true);
    }
}

static void stats_disks(struct vireo_vm *vm, struct stats_to *to)
{
    static const struct {
        const char *count, *bytes, *ns;
    } names[VR_BLK_OPS] = {
        [VR_BLK_READ] = {"reads", "read_bytes", "read_ns"},
        [VR_BLK_WRITE] = {"writes", "write_bytes", "write_ns"},
        [VR_BLK_FLUSH] = {"flushes", NULL, "flush_ns"},
        [VR_BLK_DISCARD] = {"discards", "discard_bytes", "discard_ns"},
        [VR_BLK_WRITE_ZEROES] = {"zeroes", "zero_bytes", "zero_ns"},
    };
    struct vr_blk *blk;
    const char *id;
    for (unsigned i = 0; (blk = vr_virt_disk(vm->virt, i, &id)); i++) {
        struct vr_blk_count counts[VR_BLK_OPS];
        uint64_t failed = 0;
        to->id = id;
        vr_blk_stats(blk, counts);
        for (unsigned op = 0; op < VR_BLK_OPS; op++) {
            failed += counts[op].failed;
            stats_put(to, names[op].count, VIREO_STAT_TOTAL, counts[op].count,
                      "requests that were completed");
            if (names[op].bytes) {
                stats_put(to, names[op].bytes, VIREO_STAT_TOTAL, counts[op].bytes, "bytes of them");
            }
            stats_put(to, names[op].ns, VIREO_STAT_TOTAL, counts[op].ns,
                      "the time they took, summed up");
        }
        stats_put(to, "failed", VIREO_STAT_TOTAL, failed, "requests that failed");
    }
}

static void stats_jit(struct vireo_vm *vm, struct stats_to *to)
{
    struct vr_jit_stats s;
    if (!vr_virt_jit_stats(vm->virt, &s)) {
        return;
    }
    stats_put(to, "blocks", VIREO_STAT_TOTAL, s.blocks, "blocks that were compiled");
    stats_put(to, "instructions", VIREO_STAT_TOTAL, s.insns, "guest instructions in them");
    stats_put(to, "code_bytes", VIREO_STAT_TOTAL, s.bytes, "host code that was made of them");
    stats_put(to, "entered", VIREO_STAT_TOTAL, s.exits, "times compiled code was entered");
    stats_put(to, "pages_dropped", VIREO_STAT_TOTAL, s.drops,
              "pages of guest code that were forgotten because they were written to");
    stats_put(to, "flushes", VIREO_STAT_TOTAL, s.flushes,
              "times everything was forgotten because code memory was full");
    stats_put(to, "direct_pages", VIREO_STAT_TOTAL, s.direct,
              "pages of guest code whose accesses the host's MMU translates");
    stats_put(to, "mirrored_pages", VIREO_STAT_TOTAL, s.mirrored,
              "pages of guest memory that were mapped for them");
    stats_put(to, "mirror_faults", VIREO_STAT_TOTAL, s.mirror_faults,
              "faults by which they asked for pages");
}

/* What has not happened yet is 0. */
static void stats_boot(struct vireo_vm *vm, struct stats_to *to)
{
    uint64_t supervisor = vr_virt_first_ns(vm->virt, false),
             user = vr_virt_first_ns(vm->virt, true),
             console = vr_chr_first_ns(vr_vm_console(vm, 0)), started = vm->started_ns;
    stats_put(to, "create_ns", VIREO_STAT_NOW, vm->made_ns - vm->begun_ns,
              "host time to make the machine");
    stats_put(to, "load_ns", VIREO_STAT_NOW, started ? started - vm->starting_ns : 0,
              "host time to start it: kernel into memory, threads; then its first instruction");
    stats_put(to, "supervisor_ns", VIREO_STAT_NOW, supervisor != UINT64_MAX ? supervisor : 0,
              "guest time of the first instruction in supervisor mode: the kernel's, or a boot "
              "loader's");
    stats_put(to, "console_ns", VIREO_STAT_NOW,
              started && console > started ? console - started : 0,
              "host time from the start to the first byte on the serial console");
    stats_put(to, "user_ns", VIREO_STAT_NOW, user != UINT64_MAX ? user : 0,
              "guest time of the first instruction in user mode");
}

static const struct {
    const char *group;
    void (*put)(struct vireo_vm *vm, struct stats_to *to);
} stats_rows[] = {
    {"machine", stats_machine},     {"boot", stats_boot},      {"cpu", stats_cpus},
    {"iothread", stats_io_threads}, {"device", stats_devices}, {"queue", stats_queues},
    {"disk", stats_disks},          {"jit", stats_jit},
};

void vireo_vm_stats(struct vireo_vm *vm, void (*fn)(void *opaque, const struct vireo_stat *stat),
                    void *opaque)
{
    vr_machine_hold_devs(vm->machine);
    for (unsigned i = 0; i < VR_COUNT(stats_rows); i++) {
        struct stats_to to = {.fn = fn, .opaque = opaque, .group = stats_rows[i].group, .id = ""};
        stats_rows[i].put(vm, &to);
    }
    vr_machine_release_devs(vm->machine);
}

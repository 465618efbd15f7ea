/*
 * What a machine leaves behind when its process crashes: a file beside its control socket,
 * NAME.crash, with what raised the fault, what ran, statistics and the last events, a line each.
 *
 * It is written from the fault's handler, so nothing here takes a lock, asks for memory, or calls
 * what is not async-signal-safe; an event that is being noted meanwhile may be torn.
 */
#include "control/events.h"
#include "control/rundir.h"
#include "control/vm_priv.h"
#include "vireo/host_fault.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

struct crash {
    int fd;
    size_t len;
    char line[2048];
};

static void crash_text(struct crash *c, const char *text)
{
    for (; *text && c->len < sizeof(c->line) - 1; text++) {
        c->line[c->len++] = *text;
    }
}

static void crash_number(struct crash *c, uint64_t val, unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[val % base];
        val /= base;
    } while (val);
    crash_text(c, base == 16 ? "0x" : "");
    crash_text(c, digits + at);
}

static void crash_end_line(struct crash *c)
{
    c->line[c->len++] = '\n';
    for (size_t at = 0; at < c->len;) {
        ssize_t n = write(c->fd, c->line + at, c->len - at);
        if (n <= 0) {
            break;
        }
        at += (size_t)n;
    }
    c->len = 0;
}

static void crash_count(struct crash *c, const char *name, uint64_t val)
{
    crash_text(c, name);
    crash_text(c, " ");
    crash_number(c, val, 10);
    crash_end_line(c);
}

static void crash_event(void *opaque, const struct vireo_event *event)
{
    struct crash *c = opaque;
    crash_text(c, "event ");
    crash_number(c, event->seq, 10);
    crash_text(c, " real-ns ");
    crash_number(c, event->real_ns, 10);
    crash_text(c, " guest-ns ");
    crash_number(c, event->time_ns, 10);
    crash_text(c, " ");
    crash_text(c, event->name);
    crash_text(c, " ");
    crash_text(c, event->data);
    crash_end_line(c);
}

static void crash_statistics(struct crash *c, struct vireo_vm *vm)
{
    struct vr_jit_stats jit;
    crash_count(c, "created-ns", vm->created_ns);
    crash_count(c, "uptime-ns", vr_clock_now(vr_machine_clock(vm->machine)));
    crash_count(c, "cpus", vm->cpus);
    crash_count(c, "memory-bytes", vm->memory_bytes);
    if (vr_virt_jit_stats(vm->virt, &jit)) {
        crash_count(c, "jit-blocks", jit.blocks);
        crash_count(c, "jit-code-bytes", jit.bytes);
        crash_count(c, "jit-entered", jit.exits);
        crash_count(c, "jit-flushes", jit.flushes);
    }
}

void vr_vm_crashed(struct vireo_vm *vm, const struct vireo_fault *fault)
{
    static const char *const kinds[] = {
        [VIREO_FAULT_ACCESS] = "access",   [VIREO_FAULT_BUS] = "bus",
        [VIREO_FAULT_ILLEGAL] = "illegal", [VIREO_FAULT_ARITHMETIC] = "arithmetic",
        [VIREO_FAULT_TRAP] = "trap",       [VIREO_FAULT_ABORT] = "abort",
    };
    struct crash c = {.fd = -1};
    if (!*vm->crash_path) {
        return;
    }
    c.fd = open(vm->crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (c.fd < 0) {
        return;
    }
    crash_text(&c, vm->crash_head);
    crash_end_line(&c);
    crash_text(&c, "fault ");
    crash_text(&c, kinds[fault->kind]);
    crash_text(&c, " signal ");
    crash_number(&c, (uint64_t)fault->host_number, 10);
    crash_text(&c, " address ");
    crash_number(&c, (uintptr_t)fault->hva, 16);
    crash_text(&c, " pc ");
    crash_number(&c, fault->pc, 16);
    crash_end_line(&c);
    crash_statistics(&c, vm);
    vr_events_dump(vm->events, crash_event, &c);
    close(c.fd);
}

void vr_vm_crash_prepare(struct vireo_vm *vm)
{
    if (vr_rundir_file(vr_machine_name(vm->machine), ".crash", vm->crash_path,
                       sizeof(vm->crash_path), NULL) < 0) {
        vm->crash_path[0] = '\0';
        return;
    }
    (void)unlink(vm->crash_path); /* of an earlier machine of this name */
    snprintf(vm->crash_head, sizeof(vm->crash_head),
             "pid %d machine %s uuid %s version %s engine %s", (int)uv_os_getpid(),
             vr_machine_name(vm->machine), vm->uuid, vireo_version(),
             vr_machine_vcpu(vm->machine, 0)->ops->engine);
}

bool vr_vm_crash_file(const char *name, uint64_t pid, char *ret_path, size_t size)
{
    char want[40], line[256] = "";
    if (vr_rundir_file(name, ".crash", ret_path, size, NULL) < 0) {
        return false;
    }
    int fd = open(ret_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, line, sizeof(line) - 1);
    close(fd);
    int len = snprintf(want, sizeof(want), "pid %llu ", (unsigned long long)pid);
    return n > 0 && strncmp(line, want, (size_t)len) == 0;
}

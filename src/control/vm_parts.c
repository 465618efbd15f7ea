/* A machine's parts, as its owner has them: events, units of its SCSI controller, the balloon, and
 * what there is to say about it. */
#include "board/catalog.h"
#include "control/host.h"
#include "control/vm_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Setting a listener happens on the I/O thread, where the old one would be called. */
struct vm_on_event {
    struct vireo_vm *vm;
    struct vr_events_hear to;
};

static void vm_set_on_event(void *arg)
{
    struct vm_on_event *set = arg;
    struct vireo_vm *vm = set->vm;
    vr_events_unlisten(vm->events, &vm->on_event);
    vm->on_event = set->to;
    if (set->to.fn) {
        vr_events_listen(vm->events, &vm->on_event);
    }
}

void vireo_vm_on_event(struct vireo_vm *vm,
                       void (*fn)(void *opaque, const struct vireo_event *event), void *opaque)
{
    struct vm_on_event set = {.vm = vm, .to = {.fn = fn, .opaque = opaque}};
    vr_loop_call(vr_machine_loop(vm->machine), vm_set_on_event, &set);
}

uint64_t vireo_vm_events(struct vireo_vm *vm, uint64_t after,
                         void (*fn)(void *opaque, const struct vireo_event *event), void *opaque)
{
    return vr_events_each(vm->events, after, fn, opaque);
}

int vireo_vm_scsi_add(struct vireo_vm *vm, const char *disk, unsigned *ret_target,
                      struct vr_error *err)
{
    struct vr_config_disk d;
    int r = vr_config_disk_parse(vr_opt_find(vr_config_opts, "disk"), disk, &d, err);
    if (r < 0) {
        return r;
    }
    struct vr_virt_disk at = {
        .path = d.path, .read_only = d.read_only, .force_raw = d.raw, .scsi = true, .opts = d.opts};
    r = vr_virt_scsi_add(vm->virt, &at, ret_target, err);
    vr_config_disk_fini(&d);
    return r;
}

int vireo_vm_scsi_remove(struct vireo_vm *vm, unsigned target, struct vr_error *err)
{
    return vr_virt_scsi_remove(vm->virt, target, err);
}

int vireo_vm_cdrom_change(struct vireo_vm *vm, unsigned target, const char *path,
                          struct vr_error *err)
{
    return vr_virt_cdrom_change(vm->virt, target, path, err);
}

int vireo_vm_balloon_set(struct vireo_vm *vm, uint64_t bytes, struct vr_error *err)
{
    return vr_virt_balloon_set(vm->virt, bytes, err);
}

int vireo_vm_balloon_get(struct vireo_vm *vm, struct vireo_balloon *ret_balloon,
                         struct vr_error *err)
{
    return vr_virt_balloon_get(vm->virt, ret_balloon, err);
}

int vireo_vm_balloon_ask(struct vireo_vm *vm, uint64_t timeout_ns, struct vr_error *err)
{
    return vr_virt_balloon_ask(vm->virt, timeout_ns, err);
}

void vr_vm_fdt(struct vireo_vm *vm, const void **ret_blob, size_t *ret_len)
{
    vr_virt_fdt(vm->virt, ret_blob, ret_len);
}

void vr_vm_jit_text(struct vireo_vm *vm, char *ret_text, size_t size)
{
    struct vr_jit_stats s;
    if (!vr_virt_jit_stats(vm->virt, &s)) {
        snprintf(ret_text, size, "JIT: none in this machine, its code was interpreted");
        return;
    }
    snprintf(ret_text, size,
             "JIT: %" PRIu64 " blocks, %" PRIu64 " instructions, %" PRIu64
             " bytes of code; entered %" PRIu64 " times; pages dropped %" PRIu64
             ", everything dropped %" PRIu64 "; pages of direct code %" PRIu64
             ", pages mirrored %" PRIu64 " by %" PRIu64 " faults",
             s.blocks, s.insns, s.bytes, s.exits, s.drops, s.flushes, s.direct, s.mirrored,
             s.mirror_faults);
    if (s.stretches) {
        size_t len = strlen(ret_text);
        snprintf(ret_text + len, size - len,
                 "; compared %" PRIu64 " instructions in %" PRIu64 " runs, %" PRIu64
                 " differences did not come back",
                 s.compared, s.stretches, s.unrepeated);
    }
}

void vr_vm_banner(struct vireo_vm *vm, char *ret_text, size_t size)
{
    const struct vr_catalog_machine *kind = vr_catalog_machine(0);
    char why[120];
    const char *no_jit = vr_virt_no_jit(vm->virt);
    vr_host_no_kvm(why, sizeof(why));
    snprintf(ret_text, size,
             "%s %s, %u hart%s, %" PRIu64 " MiB, own engine (%s%s%s); KVM: not used: %s",
             kind->arch, kind->name, vm->cpus, vm->cpus == 1 ? "" : "s", vm->memory_bytes >> 20,
             vr_machine_vcpu(vm->machine, 0)->ops->engine, *no_jit ? "; " : "", no_jit, why);
}

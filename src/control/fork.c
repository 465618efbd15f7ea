/*
 * Forks: a machine as it was, and clones of it.
 *
 * The parent stands while its state (without RAM) is saved, its RAM becomes a base that is shared
 * copy on write (core/ram_fork.h), and its disks get a moment to be read at (backend/block/past.h).
 * For each fork it keeps one end of a pipe; fork and clones have the other. When the last of them
 * has closed it, however it ended, the parent stops keeping what it overwrites.
 */
#include "control/fork.h"
#include "backend/block/block.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "control/hotplug.h"
#include "control/vm_priv.h"
#include "platform/file.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { FORK_TARGETS = 64 }; /* of a SCSI controller, at most */

struct vr_fork_lease {
    struct vr_fork_lease *next;
    struct vireo_vm *vm;
    int fd; /* our end of the pipe */
    uv_poll_t *poll;
    struct vr_thaw disk[VR_VIRT_DISKS];
    uint32_t ram;
};

/* ---- Leases; on the I/O thread ---- */

static void lease_free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void lease_end(struct vr_fork_lease *l)
{
    struct vr_fork_lease **at = &l->vm->leases;
    while (*at != l) {
        at = &(*at)->next;
    }
    *at = l->next;
    uv_close((uv_handle_t *)l->poll, lease_free_handle);
    vr_file_close(l->fd);
    for (unsigned i = 0; i < VR_COUNT(l->disk); i++) {
        vr_frozen_thaw(&l->disk[i]);
    }
    vr_ram_thaw(vr_machine_ram(l->vm->machine, 0, NULL), l->ram);
    free(l);
}

/* Nobody writes to the pipe: that it is readable means that it was closed. */
static void lease_on_close(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    lease_end(poll->data);
}

/* Once it is begun it is the loop's alone. */
struct lease_call {
    struct vr_fork_lease *lease;
    int result;
};

static void lease_begin(void *arg)
{
    struct lease_call *call = arg;
    struct vr_fork_lease *l = call->lease;
    call->result = uv_poll_init(vr_loop_uv(vr_machine_loop(l->vm->machine)), l->poll, l->fd);
    if (call->result == 0) {
        l->poll->data = l;
        l->next = l->vm->leases;
        l->vm->leases = l;
        uv_poll_start(l->poll, UV_READABLE | UV_DISCONNECT, lease_on_close);
    }
}

static void lease_end_all(void *arg)
{
    struct vireo_vm *vm = arg;
    while (vm->leases) {
        lease_end(vm->leases);
    }
}

void vr_fork_end_leases(struct vireo_vm *vm)
{
    vr_loop_call(vr_machine_loop(vm->machine), lease_end_all, vm);
}

static int lease_open(struct vireo_vm *vm, struct vireo_fork *f, struct vr_error *err)
{
    struct vr_fork_lease *l = vr_zalloc(sizeof(*l));
    uv_file ends[2];
    if (!l || !(l->poll = vr_zalloc(sizeof(*l->poll)))) {
        free(l);
        return vr_err(err, -ENOMEM, "no memory for a fork");
    }
    int r = uv_pipe(ends, 0, 0);
    if (r < 0) {
        free(l->poll);
        free(l);
        return vr_err(err, r, "a pipe for a fork: %s", uv_strerror(r));
    }
    l->vm = vm;
    l->fd = ends[0];
    f->lease = ends[1];
    l->ram = f->ram->moment;
    for (unsigned i = 0; i < VR_COUNT(f->disk); i++) {
        if (f->disk[i]) {
            vr_frozen_take_thaw(f->disk[i], &l->disk[i]);
        }
    }
    struct lease_call call = {.lease = l};
    vr_loop_call(vr_machine_loop(vm->machine), lease_begin, &call);
    if (call.result < 0) {
        r = vr_err(err, call.result, "watching a fork: %s", uv_strerror(call.result));
        for (unsigned i = 0; i < VR_COUNT(l->disk); i++) {
            vr_frozen_thaw(&l->disk[i]);
        }
        vr_file_close(l->fd);
        free(l->poll);
        free(l);
        return r;
    }
    return 0;
}

/* ---- Forking ---- */

struct forking {
    struct vireo_vm *vm;
    struct vireo_fork *fork;
    const char *dir;
    const struct vr_snapshot_ends *ends; /* the disks of settings come first, in their order */
};

/* While nothing moves. */
static int fork_freeze(void *opaque, struct vr_error *err)
{
    struct forking *x = opaque;
    const struct vireo_config *c = x->vm->config;
    unsigned targets = 0;
    int r = vr_machine_freeze_ram(x->vm->machine, &x->fork->ram, err);
    for (unsigned i = 0; r == 0 && i < c->disk_count; i++) {
        targets += c->disk[i].scsi;
        if (x->ends->blk[i]) {
            r = vr_blk_freeze(x->ends->blk[i], x->dir, &x->fork->disk[i], err);
        }
    }
    for (; r == 0 && targets < FORK_TARGETS; targets++) {
        if (vr_virt_scsi_disk(x->vm->virt, targets)) {
            r = vr_err(err, -ENOTSUP,
                       "SCSI target %u was added while the machine ran: remove it to fork the "
                       "machine",
                       targets);
        }
    }
    return r;
}

static int fork_check(struct vireo_vm *vm, struct vr_error *err)
{
    const struct vireo_config *c = vm->config;
    if (vireo_vm_state(vm) == VIREO_STOPPED) {
        return vr_err(err, -EINVAL, "machine '%s' is stopped: nothing to fork", vr_vm_name(vm));
    }
    if (c->flash_vars && !c->flash) {
        return vr_err(err, -ENOTSUP,
                      "a machine with --flash-vars and no --flash cannot be forked: its clones "
                      "would have no flash");
    }
    return 0;
}

/* No device comes or goes meanwhile. */
static int fork_check_devices(const struct vireo_config *c, struct vr_error *err)
{
    for (unsigned i = 0; i < c->device_count; i++) {
        const struct vr_config_device *d = &c->device[i];
        if (d->end == VR_VIRT_END_DISK && !d->disk.read_only) {
            return vr_err(
                err, -ENOTSUP,
                "device '%s' has disk %s: clones get overlays of the disks of --disk, and "
                "share read-only ones",
                d->id, d->disk.path);
        }
    }
    return 0;
}

int vireo_vm_fork(struct vireo_vm *vm, const char *dir, struct vireo_fork **ret_fork,
                  struct vr_error *err)
{
    int r = fork_check(vm, err);
    if (r < 0) {
        return r;
    }
    struct vireo_fork *f = vr_zalloc(sizeof(*f));
    if (!f || !(f->name = strdup(vr_vm_name(vm)))) {
        free(f);
        return vr_err(err, -ENOMEM, "no memory for a fork");
    }
    struct vr_snapshot_ends ends;
    struct forking x = {.vm = vm, .fork = f, .dir = dir, .ends = &ends};
    f->lease = -1;
    vr_snap_init(&f->state);
    vr_hotplug_hold(vm->hotplug);
    vr_snapshot_ends(vm, &ends);
    r = fork_check_devices(vm->config, err);
    r = r < 0 ? r : vr_config_copy(vm->config, &f->config, err);
    if (r == 0) {
        uint64_t begin_ns = vireo_monotonic_ns();
        r = vr_machine_save_state(vm->machine, &f->state, fork_freeze, &x, err);
        f->info.pause_ns = vireo_monotonic_ns() - begin_ns;
    }
    vr_hotplug_release(vm->hotplug);
    r = r < 0 ? r : lease_open(vm, f, err);
    if (r < 0) {
        if (f->ram) {
            vr_ram_thaw(vr_machine_ram(vm->machine, 0, NULL), f->ram->moment);
        }
        vireo_fork_destroy(f);
        return vr_err_in(err, r, "machine '%s' cannot be forked", vr_vm_name(vm));
    }
    f->info.name = f->name;
    f->info.copied_bytes = f->ram->copied_bytes;
    *ret_fork = f;
    return 0;
}

void vireo_fork_destroy(struct vireo_fork *f)
{
    if (!f) {
        return;
    }
    for (unsigned i = 0; i < VR_COUNT(f->disk); i++) {
        vr_frozen_destroy(f->disk[i]);
    }
    vr_ram_frozen_destroy(f->ram);
    vr_snap_fini(&f->state);
    vireo_config_destroy(f->config);
    vr_file_close(f->lease);
    free(f->name);
    free(f);
}

void vireo_fork_info(const struct vireo_fork *f, struct vireo_fork_info *ret_info)
{
    *ret_info = f->info;
}

/* ---- Clones ---- */

void vr_fork_options(const struct vireo_fork *f, const char *dir, struct vr_virt_opts *o)
{
    o->ram_view = true;
    o->late_files = true;
    o->ram_fd = f->ram->file[0];
    o->ram_off = f->ram->off;
    o->flash_vars = NULL; /* what they hold is part of the state */
    for (unsigned i = 0; i < o->disk_count; i++) {
        o->disk[i].under = f->disk[i];
        o->disk[i].dir = dir;
        if (!f->disk[i]) {
            o->disk[i].path = NULL; /* no disc in the drive */
        } else if (!o->disk[i].path) {
            o->disk[i].path = f->disk[i]->path;
        }
    }
}

static int fork_adopt(void *opaque, struct vr_error *err)
{
    const struct forking *x = opaque;
    return vr_ram_adopt(vr_machine_ram(x->vm->machine, 0, NULL), x->fork->ram, err);
}

int vireo_fork_clone(const struct vireo_fork *f, const struct vireo_config *config, const char *dir,
                     struct vireo_vm **ret_vm, struct vr_error *err)
{
    struct vireo_vm *vm = NULL;
    struct vr_snap state = f->state; /* a cursor of our own */
    if (config->memory_bytes != f->ram->len || config->disk_count != f->config->disk_count) {
        return vr_err(err, -EPROTO, "a clone has the memory and the disks of its parent");
    }
    int lease = -1, r = vr_file_dup(f->lease, &lease);
    if (r < 0) {
        return vr_err(err, r, "another descriptor for a clone: %s", strerror(-r));
    }
    r = vr_vm_create_clone(config, f, dir, &vm, err);
    if (r < 0) {
        vr_file_close(lease);
        return r;
    }
    vm->lease = lease;
    struct forking x = {.vm = vm, .fork = (struct vireo_fork *)(uintptr_t)f};
    state.pos = 0;
    r = vr_machine_load_state(vm->machine, &state, fork_adopt, &x, err);
    r = r < 0 ? r : vr_virt_new_generation(vm->virt, err);
    if (r < 0) {
        vireo_vm_destroy(vm);
        return r;
    }
    vr_virt_announce(vm->virt, false);
    *ret_vm = vm;
    return 0;
}

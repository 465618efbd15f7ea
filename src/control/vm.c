/* The public face of a machine: it is made, lives and ends. See vireo/vm.h. */
#include "base/alloc.h"
#include "control/fork.h"
#include "control/gdb.h"
#include "control/host.h"
#include "control/hotplug.h"
#include "control/qmp.h"
#include "control/rundir.h"
#include "control/server.h"
#include "control/vm_priv.h"
#include "core/dirty.h"
#include "platform/file.h"
#include "platform/random.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void vm_log(void *opaque, enum vr_level level, const char *who, const char *line)
{
    struct vireo_vm *vm = opaque;
    vm->log_fn(vm->log_opaque, (enum vireo_log_level)level, who, line);
}

/* Listen where @c says, before anything else is made: the name that is free becomes the machine's.
 * @ret_sock's fd -1: nowhere. */
static int vm_listen_control(struct vireo_vm *vm, const struct vireo_config *c,
                             struct vr_unix *ret_sock, char *ret_name, struct vr_error *err)
{
    struct vr_error why = {0};
    snprintf(ret_name, VR_NAME_MAX + 1, "%s", c->name);
    if (vm->idle || strcmp(c->control, "none") == 0) {
        return 0;
    }
    if (strncmp(c->control, "unix:", 5) == 0) {
        return vr_unix_listen(c->control + 5, ret_sock, err);
    }
    bool named = vr_config_given(c, "name") && !vm->any_name;
    int r = vr_rundir_listen(c->name, !named, ret_sock, ret_name, &why);
    if (r < 0 && (named || vr_config_given(c, "control"))) {
        return vr_err(err, r, "%s", why.msg);
    }
    if (r < 0) {
        vr_log(&vm->log, VR_WARN, c->name,
               "no control socket, so 'vireo ps' and others will not find this machine: %s",
               why.msg);
    }
    return 0;
}

/* RFC 4122, 4.4: a UUID of random numbers. */
static int vm_make_uuid(struct vireo_vm *vm, struct vr_error *err)
{
    uint8_t b[16];
    int r = vr_random_bytes(b, sizeof(b), err);
    if (r == 0) {
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        snprintf(vm->uuid, sizeof(vm->uuid),
                 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
                 b[15]);
    }
    return r;
}

enum vm_how { VM_PLAIN, VM_IDLE, VM_INCOMING };

/* What a clone is made of; NULL: it is none. */
struct vm_clone {
    const struct vireo_fork *fork;
    const char *dir;
};

/* Whether a snapshot's memory may be checked while the machine runs. Lockstep and deterministic
 * machines look at memory in ways of their own. */
static bool vm_checks_late(const struct vireo_config *c)
{
    struct vr_det_opts det;
    vr_config_det_opts(c, &det);
    return !c->snapshot_verify && !c->snapshot_copy && c->use.huge_bytes == 0 && !det.on &&
           c->engine != VR_VIRT_ENGINE_LOCKSTEP;
}

static int vm_create(const struct vireo_config *c, enum vm_how how, bool any_name,
                     const struct vm_clone *clone, struct vireo_vm **ret_vm, struct vr_error *err)
{
    struct vireo_vm *vm = vr_zalloc(sizeof(*vm));
    if (!vm) {
        return vr_err(err, -ENOMEM, "no memory for a machine");
    }
    vr_mutex_init(&vm->since.lock);
    const bool idle = how == VM_IDLE;
    vm->begun_ns = vireo_monotonic_ns();
    vm->idle = idle;
    vm->incoming = how == VM_INCOMING;
    vm->any_name = any_name;
    vm->lease = -1;
    vm->fork = clone ? clone->fork : NULL;
    vm->fork_dir = clone ? clone->dir : NULL;
    vm->paused = c->paused;
    vm->cpus = c->cpus;
    vm->memory_bytes = c->memory_bytes;
    vm->log_fn = c->log_fn;
    vm->log_opaque = c->log_opaque;
    vm->log = (struct vr_log){
        .level = (enum vr_level)c->log_level, .sink = c->log_fn ? vm_log : NULL, .opaque = vm};
    char name[VR_NAME_MAX + 1];
    struct vr_error why = {0};
    struct vr_unix sock = {.fd = -1};
    vm->created_ns = vireo_realtime_ns();
    int r = vm_make_uuid(vm, err);
    r = r < 0 ? r : vm_listen_control(vm, c, &sock, name, err);
    r = r < 0 ? r : vr_config_copy(c, &vm->config, err);
    if (r == 0 && c->snapshot && !idle) {
        vm->snapshot_late = vm_checks_late(c);
        r = vr_snapshot_prepare(c->snapshot, vm->config, c->snapshot_disks, vm->snapshot_late,
                                &vm->snapshot, err);
    }
    r = r < 0 ? r : vr_vm_open_trace(vm, c, err);
    r = r < 0 ? r : vr_vm_open_tales(vm, c, err);
    if (r == 0 && (r = vr_vm_build(vm, c, vm->config, name, &why)) < 0) {
        r = r == -ENOENT && vm->snapshot
                ? vr_err(err, r,
                         "%.170s. It was there when the snapshot was made: if it was moved, give "
                         "its option anew",
                         why.msg)
                : vr_err(err, r, "%s", why.msg);
    }
    if (r == 0) {
        vm->machine = vr_virt_machine(vm->virt);
        r = vr_events_create(vm->machine, &vm->events, err);
    }
    r = r < 0 ? r : vr_migrate_create(vm, &vm->migrate, err);
    for (unsigned i = 0; r == 0 && i < VIREO_CONSOLES; i++) {
        vr_vm_note_console(vm, i, i == 0 ? c->console : i <= c->port_count ? c->port[i - 1] : "");
    }
    if (r == 0 && !idle) {
        r = vr_jobs_create(vr_machine_loop(vm->machine), vm->events, &vm->jobs, err);
        r = r < 0 ? r : vr_hotplug_create(vm, &vm->hotplug, err);
    }
    if (r == 0 && c->gdb && !vm->idle) {
        r = vr_gdb_create(vm, c->gdb, &vm->gdb, err);
    }
    if (r == 0 && sock.fd >= 0) {
        r = vr_server_create(vm, &sock, &vm->server, err);
    }
    if (r == 0 && vm->server) {
        vr_vm_crash_prepare(vm);
    }
    if (r < 0) {
        vr_unix_close(&sock);
        vireo_vm_destroy(vm);
        return r;
    }
    /* Asking takes a while: only where the answer is heard. */
    uint64_t host_bytes = vm->log.sink ? vr_host_memory_bytes() : UINT64_MAX;
    if (vm->memory_bytes > host_bytes) {
        vr_log(&vm->log, VR_WARN, name,
               "%" PRIu64 " MiB of memory are more than this host's %" PRIu64
               ": it may end us when the guest uses them",
               vm->memory_bytes >> 20, host_bytes >> 20);
    }
    vm->fork = NULL;
    vm->fork_dir = NULL;
    vm->made_ns = vireo_monotonic_ns();
    *ret_vm = vm;
    return 0;
}

int vireo_vm_create(const struct vireo_config *config, struct vireo_vm **ret_vm,
                    struct vr_error *err)
{
    return vm_create(config, VM_PLAIN, false, NULL, ret_vm, err);
}

int vr_vm_create_clone(const struct vireo_config *config, const struct vireo_fork *fork,
                       const char *dir, struct vireo_vm **ret_vm, struct vr_error *err)
{
    const struct vm_clone clone = {.fork = fork, .dir = dir};
    return vm_create(config, VM_PLAIN, false, &clone, ret_vm, err);
}

int vr_vm_create_idle(const struct vireo_config *config, struct vireo_vm **ret_vm,
                      struct vr_error *err)
{
    return vm_create(config, VM_IDLE, false, NULL, ret_vm, err);
}

int vr_vm_create_incoming(const struct vireo_config *config, bool any_name,
                          struct vireo_vm **ret_vm, struct vr_error *err)
{
    return vm_create(config, VM_INCOMING, any_name, NULL, ret_vm, err);
}

void vireo_vm_destroy(struct vireo_vm *vm)
{
    if (!vm) {
        return;
    }
    vr_server_destroy(vm->server);
    vr_jobs_destroy(vm->jobs);
    vr_migrate_destroy(vm->migrate);
    vr_hotplug_destroy(vm->hotplug);
    if (vm->machine) {
        vr_fork_end_leases(vm);
    }
    vr_gdb_destroy(vm->gdb);
    vr_dirty_stop(vm->since.dirty);
    vr_virt_destroy(vm->virt);
    vr_file_close(vm->lease);
    vr_events_destroy(vm->events);
    vr_qmp_own_free(vm);
    vireo_config_destroy(vm->config);
    vr_snapshot_close(vm->snapshot);
    if (vm->trace_insn) {
        (void)fclose(vm->trace_insn);
    }
    if (vm->jit_perf) {
        (void)fclose(vm->jit_perf);
    }
    if (vm->jit_dump) {
        (void)fclose(vm->jit_dump);
    }
    vr_mutex_fini(&vm->since.lock);
    free(vm);
}

int vireo_vm_config(struct vireo_vm *vm, struct vireo_config **ret_config, struct vr_error *err)
{
    if (vm->hotplug) {
        vr_hotplug_hold(vm->hotplug);
    }
    int r = vr_config_copy(vm->config, ret_config, err);
    if (vm->hotplug) {
        vr_hotplug_release(vm->hotplug);
    }
    return r;
}

/* The first start of a machine that was made of a snapshot. */
static int vm_continue(struct vireo_vm *vm, struct vr_error *err)
{
    int r = vr_snapshot_continue(vm->snapshot, vm, vm->snapshot_viewed, vm->snapshot_late, err);
    if (r == 0) {
        vm->snapshot = NULL;
        r = vm->paused ? 0 : vireo_vm_resume(vm, err);
    }
    return r;
}

int vireo_vm_start(struct vireo_vm *vm, struct vr_error *err)
{
    vr_assert(!vm->idle);
    vm->begun = true;
    if (vm->snapshot) {
        return vm_continue(vm, err);
    }
    uint64_t none = 0, now_ns = vireo_monotonic_ns();
    (void)atomic_compare_exchange_strong(&vm->starting_ns, &none, now_ns);
    int r =
        vm->paused ? vr_machine_start_paused(vm->machine, err) : vr_machine_start(vm->machine, err);
    none = 0;
    now_ns = vireo_monotonic_ns();
    (void)atomic_compare_exchange_strong(&vm->started_ns, &none, now_ns);
    return r;
}

int vireo_vm_pause(struct vireo_vm *vm, struct vr_error *err)
{
    int r = vr_machine_pause(vm->machine);
    return r < 0 ? vr_err(err, r, "machine '%s' is stopped: nothing to pause",
                          vr_machine_name(vm->machine))
                 : 0;
}

int vireo_vm_resume(struct vireo_vm *vm, struct vr_error *err)
{
    if (vr_machine_moved(vm->machine)) {
        return vr_err(err, -EINVAL, "machine '%s' was migrated: it goes on elsewhere",
                      vr_vm_name(vm));
    }
    if (vm->incoming) {
        return vr_err(err, -EINVAL, "machine '%s' is still on its way here", vr_vm_name(vm));
    }
    int r = vr_machine_resume(vm->machine);
    return r < 0 ? vr_err(err, r, "machine '%s' is stopped: start it", vr_machine_name(vm->machine))
                 : 0;
}

void vireo_vm_reset(struct vireo_vm *vm)
{
    if (vr_machine_state(vm->machine) != VR_STATE_STOPPED) {
        vr_machine_request_as(vm->machine, VR_REQ_RESET, 0, "host-ui");
    }
}

int vireo_vm_shutdown(struct vireo_vm *vm, struct vr_error *err)
{
    int r = vr_machine_state(vm->machine) == VR_STATE_STOPPED
                ? vr_err(err, -EINVAL, "machine '%s' is stopped already", vr_vm_name(vm))
                : vr_virt_power_button(vm->virt, err);
    if (r == 0) {
        vr_events_note(vm->events, &(struct vr_event){.name = "POWERDOWN"});
    }
    return r;
}

void vireo_vm_stop(struct vireo_vm *vm, unsigned code)
{
    vr_machine_request(vm->machine, VR_REQ_QUIT, code);
}

void vr_vm_stop_as(struct vireo_vm *vm, unsigned code, const char *reason)
{
    vr_machine_request_as(vm->machine, VR_REQ_QUIT, code, reason);
}

bool vireo_vm_wait(struct vireo_vm *vm, uint64_t timeout_ns, enum vireo_end *ret_end,
                   unsigned *ret_code)
{
    static const enum vireo_end ends[] = {
        [VR_REQ_NONE] = VIREO_END_STOP,   [VR_REQ_POWEROFF] = VIREO_END_POWEROFF,
        [VR_REQ_RESET] = VIREO_END_RESET, [VR_REQ_FAIL] = VIREO_END_FAIL,
        [VR_REQ_PANIC] = VIREO_END_PANIC, [VR_REQ_QUIT] = VIREO_END_STOP,
    };
    struct vr_exit e;
    if (!vr_machine_wait(vm->machine, timeout_ns, &e)) {
        return false;
    }
    if (ret_end) {
        *ret_end = ends[e.why];
    }
    if (ret_code) {
        *ret_code = e.why == VR_REQ_FAIL || e.why == VR_REQ_QUIT ? e.code : 0;
    }
    return true;
}

enum vireo_state vireo_vm_state(struct vireo_vm *vm)
{
    static const enum vireo_state states[] = {[VR_STATE_STOPPED] = VIREO_STOPPED,
                                              [VR_STATE_RUNNING] = VIREO_RUNNING,
                                              [VR_STATE_PAUSED] = VIREO_PAUSED};
    return states[vr_machine_state(vm->machine)];
}

uint64_t vireo_vm_time_ns(struct vireo_vm *vm)
{
    return vr_clock_now(vr_machine_clock(vm->machine));
}

struct vr_machine *vr_vm_machine(struct vireo_vm *vm)
{
    return vm->machine;
}

struct vr_virt *vr_vm_virt(struct vireo_vm *vm)
{
    return vm->virt;
}

const char *vr_vm_name(struct vireo_vm *vm)
{
    return vr_machine_name(vm->machine);
}

const char *vr_vm_uuid(struct vireo_vm *vm)
{
    return vm->uuid;
}

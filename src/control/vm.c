/* The public face of a machine: from a configuration to a board, and its life. See vireo/vm.h. */
#include "base/alloc.h"
#include "board/catalog.h"
#include "board/rootdir.h"
#include "control/fork.h"
#include "control/gdb.h"
#include "control/host.h"
#include "control/hotplug.h"
#include "control/rundir.h"
#include "control/server.h"
#include "control/vm_priv.h"
#include "platform/file.h"
#include "platform/random.h"
#include "platform/stream.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static void vm_log(void *opaque, enum vr_level level, const char *who, const char *line)
{
    struct vireo_vm *vm = opaque;
    vm->log_fn(vm->log_opaque, (enum vireo_log_level)level, who, line);
}

struct vr_chr *vr_vm_console(struct vireo_vm *vm, unsigned console)
{
    return console == 0 ? vr_virt_serial(vm->virt) : vr_virt_port(vm->virt, console - 1);
}

/* Ctrl-A c: one line on the terminal, about the machine. */
static void vm_say_status(struct vireo_vm *vm)
{
    static const char *const states[] = {"stopped", "running", "paused"};
    uint64_t ms = vireo_vm_time_ns(vm) / 1000000;
    char line[200];
    int len = snprintf(line, sizeof(line),
                       "\r\nvireo: %s: %s, up %" PRIu64 ".%03" PRIu64 " s, %u hart%s, %" PRIu64
                       " MiB\r\n",
                       vr_machine_name(vm->machine), states[vireo_vm_state(vm)], ms / 1000,
                       ms % 1000, vm->cpus, vm->cpus == 1 ? "" : "s", vm->memory_bytes >> 20);
    (void)vr_chr_write(vm->stdio, (const uint8_t *)line, (size_t)len);
}

/* A key after Ctrl-A on the terminal. */
static void vm_on_escape(void *opaque, char key)
{
    struct vireo_vm *vm = opaque;
    if (key == 'x') {
        vireo_vm_stop(vm, 0);
    } else if (key == 'r') {
        vireo_vm_reset(vm);
    } else if (key == 'c') {
        vm_say_status(vm);
    }
}

static struct vr_chr_opts vm_chr_opts(struct vireo_vm *vm, const char *spec)
{
    return (struct vr_chr_opts){
        .spec = vm->idle ? "null" : spec,
        .escape_keys = "xrc",
        .on_escape = vm_on_escape,
        .opaque = vm,
    };
}

static struct vr_virt_disk vm_disk(const struct vireo_vm *vm, const struct vr_config_disk *d)
{
    return (struct vr_virt_disk){.path = d->path,
                                 .read_only = d->read_only || vm->idle,
                                 .force_raw = d->raw,
                                 .scsi = d->scsi,
                                 .cdrom = d->cdrom,
                                 .opts = d->opts,
                                 .io_thread = d->io_thread};
}

void vr_vm_device(struct vireo_vm *vm, const struct vr_config_device *d,
                  struct vr_virt_device *ret_device)
{
    *ret_device = (struct vr_virt_device){
        .cls = d->cls,
        .opts = d->opts,
        .id = d->id,
        .bus = d->bus,
        .target = d->target,
        .end_name = d->end_name,
        .end = {.kind = vm->idle && d->end == VR_VIRT_END_NET ? VR_VIRT_END_NONE : d->end,
                .disk = vm_disk(vm, &d->disk),
                .net = d->net.backend,
                .net_io_thread = d->net.io_thread,
                .share = d->share,
                .chr = vm_chr_opts(vm, d->chr)},
    };
}

/* The backend of network card @i with the published ports of the first one; the caller's. */
static char *vm_net_backend(const struct vireo_config *c, unsigned i)
{
    const char *publish = i == 0 && c->publish ? c->publish : "";
    const char *backend = i < c->net_count ? c->net[i].backend : "user";
    size_t size = strlen(backend) + strlen(publish) + 1;
    char *text = vr_zalloc(size);
    if (text) {
        snprintf(text, size, "%s%s", backend, publish);
    }
    return text;
}

static int vm_open_trace(struct vireo_vm *vm, const struct vireo_config *c, struct vr_error *err)
{
    if (!c->trace_insn || vm->idle) {
        return 0;
    }
    vm->trace_insn = fopen(c->trace_insn, "we");
    return vm->trace_insn ? 0
                          : vr_err(err, -errno, "instruction trace %s: cannot write there: %s",
                                   c->trace_insn, strerror(errno));
}

/* What is told of compiled code: a new file, and no link of anybody's. */
static int vm_open_tale(const char *pattern, const char *what, FILE **ret_file,
                        struct vr_error *err)
{
    char path[64];
    snprintf(path, sizeof(path), pattern, (int)uv_os_getpid());
    FILE *file = fopen(path, "wxe");
    if (!file) {
        return vr_err(err, -errno, "%s, %s: cannot write there: %s", what, path, strerror(errno));
    }
    (void)setvbuf(file, NULL, _IOLBF, BUFSIZ);
    *ret_file = file;
    return 0;
}

/* perf(1) looks there for names of code that has no file. */
static int vm_open_tales(struct vireo_vm *vm, const struct vireo_config *c, struct vr_error *err)
{
    int r = 0;
    if (c->jit_perf && !vm->idle) {
        r = vm_open_tale("/tmp/perf-%d.map", "names for perf", &vm->jit_perf, err);
    }
    if (r == 0 && c->jit_dump_end && !vm->idle) {
        r = vm_open_tale("/tmp/vireo-jit-%d.s", "dump of compiled code", &vm->jit_dump, err);
    }
    return r;
}

/* What is asked of the host, before anything is made; also for a machine that is only explained. */
static int vm_check_host(const struct vireo_config *c, struct vr_error *err)
{
    const struct vireo_platform *host;
    if (c->use.huge_bytes == 0 && c->use.node == VIREO_NODE_ANY &&
        c->use.policy == VIREO_PLACE_NONE) {
        return 0;
    }
    int r = vireo_platform_get(&host, err);
    if (r == 0) {
        struct vireo_platform now = *host; /* huge pages as they are free now */
        r = vireo_platform_memory(&now.memory, err);
        r = r < 0 ? r : vireo_host_use_check(&c->use, &now, c->memory_bytes, err);
    }
    return r;
}

/* A directory as root: the kernel in it, if none was given, and the command line that mounts it.
 * Both are the caller's. */
static int vm_plan_root(const struct vireo_config *c, char **ret_kernel, char **ret_append,
                        struct vr_error *err)
{
    const char *more = c->append ? c->append : "";
    size_t size = strlen(more) + 80;
    int r = c->kernel || c->flash ? 0 : vr_rootdir_kernel(c->root.path, ret_kernel, err);
    if (r == 0) {
        *ret_append = vr_zalloc(size);
        r = *ret_append ? 0 : vr_err(err, -ENOMEM, "no memory for a machine");
    }
    if (r == 0) {
        snprintf(*ret_append, size, "rootfstype=virtiofs root=%s %s%s%s", VR_CONFIG_ROOT_TAG,
                 c->root.read_only ? "ro" : "rw", *more ? " " : "", more);
    }
    return r;
}

/* @own: the copy of @c that the machine keeps, where a snapshot may have moved disks. */
static int vm_build(struct vireo_vm *vm, const struct vireo_config *c,
                    const struct vireo_config *own, const char *name, struct vr_error *err)
{
    char *nets[VR_VIRT_NETS] = {NULL}, *kernel = NULL, *append = NULL;
    struct vr_virt_opts o = {
        .name = name,
        .cpus = c->cpus,
        .io_threads = c->io_threads,
        .mmu = c->mmu,
        .engine = c->engine,
        .jit = c->jit,
        .aia = c->aia,
        .virtio_mmio = c->virtio_mmio,
        .device_count = c->device_count,
        .slot_count = c->slots,
        .ram_bytes = c->memory_bytes,
        .kernel = c->kernel,
        .initrd = c->initrd,
        .append = c->append,
        .firmware = c->firmware,
        .flash = c->flash,
        .flash_vars = c->flash_vars,
        .flash_vars_read_only = vm->idle,
        .disk_count = c->disk_count,
        .disks_unheld = vm->incoming,
        .net_count = c->publish && c->net_count == 0 ? 1 : c->net_count,
        .serial = vm_chr_opts(vm, c->console),
        .port_count = c->port_count,
        .use = vm->idle ? NULL : &c->use,
        .no_rng = c->no_rng,
        .power_button = c->power_button,
        .rng_opts = c->rng_opts,
        .balloon = c->balloon,
        .balloon_opts = c->balloon_opts,
        .balloon_bytes = c->balloon_bytes,
        .trace_insn = vm->trace_insn,
        .end_on_reset = c->no_reboot,
        .clock = VR_CLOCK_REAL,
        .own_loop_thread = true,
        .log = &vm->log,
    };
    o.jit.perf = vm->jit_perf;
    o.jit.dump = vm->jit_dump;
    o.jit.dump_begin = c->jit_dump_begin;
    o.jit.dump_end = c->jit_dump_end;
    if (vm->snapshot) {
        o.late_files = true;
        vm->snapshot_viewed = !c->snapshot_copy && c->use.huge_bytes == 0 &&
                              vr_snapshot_view(vm->snapshot, &o.ram_fd, &o.ram_off);
        o.ram_view = vm->snapshot_viewed;
    }
    vr_config_det_opts(c, &o.det);
    o.det.on = o.det.on && !vm->idle;
    if (o.det.on) {
        o.clock = VR_CLOCK_STEPPED;
        o.det.about = name;
    }
    int r = c->publish && c->net_count == 0 && vr_config_given(c, "net")
                ? vr_err(err, -EINVAL, "a published port (-p) needs a network, but --net is none")
                : 0;
    if (r == 0) {
        r = vm_check_host(c, err);
    }
    if (r == 0 && c->root.path) {
        r = vm_plan_root(c, &kernel, &append, err);
        o.kernel = kernel ? kernel : c->kernel;
        o.append = append;
        o.share[o.share_count++] = c->root;
    }
    for (unsigned i = 0; i < c->share_count; i++) {
        o.share[o.share_count++] = c->share[i];
    }
    for (unsigned i = 0; i < o.device_count; i++) {
        vr_vm_device(vm, &c->device[i], &o.device[i]);
    }
    for (unsigned i = 0; i < o.disk_count; i++) {
        o.disk[i] = vm_disk(vm, &own->disk[i]);
    }
    for (unsigned i = 0; r == 0 && i < o.net_count; i++) {
        nets[i] = vm_net_backend(c, i);
        o.net[i] = (struct vr_virt_net){.backend = vm->idle ? NULL : nets[i],
                                        .opts = i < c->net_count ? c->net[i].opts : NULL,
                                        .io_thread = i < c->net_count ? c->net[i].io_thread : 0};
        r = nets[i] ? 0 : vr_err(err, -ENOMEM, "no memory for a machine");
    }
    for (unsigned i = 0; i < o.port_count; i++) {
        o.port[i] = vm_chr_opts(vm, c->port[i]);
        o.port_name[i] = c->port_name[i];
    }
    if (vm->fork) {
        vr_fork_options(vm->fork, vm->fork_dir, &o);
    }
    r = r < 0 ? r : vr_virt_create(&o, &vm->virt, err);
    free(kernel);
    free(append);
    for (unsigned i = 0; i < o.net_count; i++) {
        free(nets[i]);
    }
    return r;
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

/* What a console is, apart from its path. */
static void vm_note_console(struct vireo_vm *vm, unsigned i, const char *spec)
{
    snprintf(vm->console_kind[i], sizeof(vm->console_kind[i]), "%.*s", (int)strcspn(spec, ":"),
             spec);
    vm->mem[i] = !vm->idle && strcmp(spec, "mem") == 0;
    if (!vm->idle && strcmp(spec, "stdio") == 0) {
        vm->stdio = vr_vm_console(vm, i);
    }
}

enum vm_how { VM_PLAIN, VM_IDLE, VM_INCOMING };

/* What a clone is made of; NULL: it is none. */
struct vm_clone {
    const struct vireo_fork *fork;
    const char *dir;
};

static int vm_create(const struct vireo_config *c, enum vm_how how, bool any_name,
                     const struct vm_clone *clone, struct vireo_vm **ret_vm, struct vr_error *err)
{
    struct vireo_vm *vm = vr_zalloc(sizeof(*vm));
    if (!vm) {
        return vr_err(err, -ENOMEM, "no memory for a machine");
    }
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
    vm->disk_count = c->disk_count;
    vm->memory_bytes = c->memory_bytes;
    vm->log_fn = c->log_fn;
    vm->log_opaque = c->log_opaque;
    vm->log = (struct vr_log){
        .level = (enum vr_level)c->log_level, .sink = c->log_fn ? vm_log : NULL, .opaque = vm};
    char name[VR_NAME_MAX + 1];
    struct vr_unix sock = {.fd = -1};
    vm->created_ns = vireo_realtime_ns();
    int r = vm_make_uuid(vm, err);
    r = r < 0 ? r : vm_listen_control(vm, c, &sock, name, err);
    r = r < 0 ? r : vr_config_copy(c, &vm->config, err);
    if (r == 0 && c->snapshot && !idle) {
        r = vr_snapshot_prepare(c->snapshot, vm->config, c->snapshot_disks, &vm->snapshot, err);
    }
    r = r < 0 ? r : vm_open_trace(vm, c, err);
    r = r < 0 ? r : vm_open_tales(vm, c, err);
    r = r < 0 ? r : vm_build(vm, c, vm->config, name, err);
    if (r == 0) {
        vm->machine = vr_virt_machine(vm->virt);
        r = vr_events_create(vm->machine, &vm->events, err);
    }
    r = r < 0 ? r : vr_migrate_create(vm, &vm->migrate, err);
    for (unsigned i = 0; r == 0 && i < VIREO_CONSOLES; i++) {
        vm_note_console(vm, i, i == 0 ? c->console : i <= c->port_count ? c->port[i - 1] : "");
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
    vr_virt_destroy(vm->virt);
    vr_file_close(vm->lease);
    vr_events_destroy(vm->events);
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
    int r = vr_snapshot_continue(vm->snapshot, vm, vm->snapshot_viewed, err);
    if (r == 0) {
        vr_snapshot_close(vm->snapshot);
        vm->snapshot = NULL;
        r = vm->paused ? 0 : vireo_vm_resume(vm, err);
    }
    return r;
}

int vireo_vm_start(struct vireo_vm *vm, struct vr_error *err)
{
    vr_assert(!vm->idle);
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

size_t vireo_vm_feed(struct vireo_vm *vm, unsigned console, const void *buf, size_t len)
{
    if (console >= VIREO_CONSOLES || !vm->mem[console]) {
        return 0;
    }
    return vr_chr_mem_feed(vr_vm_console(vm, console), buf, len);
}

int vireo_vm_resize(struct vireo_vm *vm, unsigned console, uint16_t cols, uint16_t rows,
                    struct vr_error *err)
{
    if (console == 0 || console >= VIREO_CONSOLES || !vm->mem[console]) {
        return vr_err(err, -EINVAL,
                      "console %u: there is no virtio console whose host end is \"mem\"", console);
    }
    if (!cols || !rows) {
        return vr_err(err, -EINVAL, "console %u: a screen of %u by %u characters", console, cols,
                      rows);
    }
    vr_chr_mem_resize(vr_vm_console(vm, console), cols, rows);
    return 0;
}

static void vm_output(void *opaque, const uint8_t *buf, size_t len)
{
    struct vm_listener *l = opaque;
    l->fn(l->opaque, buf, len);
}

/* Setting a listener happens on the I/O thread, where the old one would be called. */
struct vm_listen {
    struct vr_chr *chr;
    struct vm_listener *at, to;
};

static void vm_listen(void *arg)
{
    struct vm_listen *l = arg;
    *l->at = l->to;
    vr_chr_mem_on_output(l->chr, l->to.fn ? vm_output : NULL, l->at);
}

int vireo_vm_on_output(struct vireo_vm *vm, unsigned console,
                       void (*fn)(void *opaque, const void *buf, size_t len), void *opaque,
                       struct vr_error *err)
{
    if (console >= VIREO_CONSOLES || !vm->mem[console]) {
        return vr_err(err, -EINVAL, "console %u: there is none whose host end is \"mem\"", console);
    }
    struct vm_listen l = {.chr = vr_vm_console(vm, console),
                          .at = &vm->listener[console],
                          .to = {.fn = fn, .opaque = opaque}};
    vr_loop_call(vr_machine_loop(vm->machine), vm_listen, &l);
    return 0;
}

const char *vireo_vm_console_path(struct vireo_vm *vm, unsigned console)
{
    struct vr_chr *chr = console < VIREO_CONSOLES ? vr_vm_console(vm, console) : NULL;
    return chr ? vr_chr_path(chr) : NULL;
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

void vr_vm_restore_tty(struct vireo_vm *vm)
{
    if (vm->stdio) {
        vr_chr_restore_tty(vm->stdio);
    }
}

bool vr_vm_has_keys(const struct vireo_vm *vm)
{
    struct vr_stream in;
    vr_stream_open_std(0, false, &in);
    bool terminal = in.kind == VR_STREAM_TTY;
    vr_stream_close(&in);
    return vm->stdio && terminal;
}

struct vr_machine *vr_vm_machine(struct vireo_vm *vm)
{
    return vm->machine;
}

struct vr_virt *vr_vm_virt(struct vireo_vm *vm)
{
    return vm->virt;
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

const char *vr_vm_name(struct vireo_vm *vm)
{
    return vr_machine_name(vm->machine);
}

const char *vr_vm_uuid(struct vireo_vm *vm)
{
    return vm->uuid;
}

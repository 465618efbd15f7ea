/* A machine's settings become what the board is told to build. */
#include "base/alloc.h"
#include "board/rootdir.h"
#include "control/fork.h"
#include "control/vm_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

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
        .addr = d->addr,
        .target = d->target,
        .end_name = d->end_name,
        .end = {.kind = vm->idle && d->end == VR_VIRT_END_NET ? VR_VIRT_END_NONE : d->end,
                .disk = vm_disk(vm, &d->disk),
                .net = d->net.backend,
                .net_io_thread = d->net.io_thread,
                .share = d->share,
                .chr = vr_vm_chr_opts(vm, d->chr)},
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

int vr_vm_open_trace(struct vireo_vm *vm, const struct vireo_config *c, struct vr_error *err)
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
int vr_vm_open_tales(struct vireo_vm *vm, const struct vireo_config *c, struct vr_error *err)
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

/* @own: the copy of @c that the machine keeps, with absolute names of files, where a snapshot may
 * have moved disks. */
int vr_vm_build(struct vireo_vm *vm, const struct vireo_config *c, const struct vireo_config *own,
                const char *name, struct vr_error *err)
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
        .own_class = own->own_class,
        .own_class_count = own->own_class_count,
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
        .serial = vr_vm_chr_opts(vm, c->console),
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
    if (c->publish && c->net_count && strncmp(c->net[0].backend, "user", 4) != 0) {
        r = vr_err(err, -EINVAL, "a published port (-p) needs --net user as the first network");
    }
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
        vr_vm_device(vm, &own->device[i], &o.device[i]);
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
        o.port[i] = vr_vm_chr_opts(vm, c->port[i]);
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

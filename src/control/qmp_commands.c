/* The commands of the control protocol: one table, a row a command. Those that ask are in
 * qmp_query.c. */
#include "control/qmp_commands.h"
#include "base/bits.h"
#include "base/text.h"
#include "control/fork.h"
#include "control/gdb.h"
#include "control/vm_priv.h"

#include <errno.h>
#include <string.h>

static int qmp_capabilities(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_qmp_negotiate(call->session, json_object_get(call->args, "enable"), err);
}

static int qmp_stop(struct vr_qmp_call *call, struct vr_error *err)
{
    return vireo_vm_pause(call->vm, err);
}

static int qmp_cont(struct vr_qmp_call *call, struct vr_error *err)
{
    return vireo_vm_resume(call->vm, err);
}

static int qmp_quit(struct vr_qmp_call *call, struct vr_error *err)
{
    (void)err;
    vr_vm_stop_as(call->vm, 0, "host-qmp-quit");
    return 0;
}

static int qmp_system_reset(struct vr_qmp_call *call, struct vr_error *err)
{
    if (vireo_vm_state(call->vm) == VIREO_STOPPED) {
        return vr_err(err, -EINVAL, "machine '%s' is stopped: nothing to reset",
                      vr_machine_name(call->vm->machine));
    }
    vr_machine_request_as(call->vm->machine, VR_REQ_RESET, 0, "host-qmp-system-reset");
    return 0;
}

static int qmp_console(struct vr_qmp_call *call, struct vr_error *err)
{
    json_int_t i = json_integer_value(json_object_get(call->args, "index"));
    if (i < 0 || i >= VIREO_CONSOLES) {
        return vr_err(err, -ENODEV, "there is no console %lld", (long long)i);
    }
    return vr_qmp_become_console(call->session, (unsigned)i, err);
}

static int qmp_system_powerdown(struct vr_qmp_call *call, struct vr_error *err)
{
    return vireo_vm_shutdown(call->vm, err);
}

/* The process that asks makes the clones. */
static int qmp_fork(struct vr_qmp_call *call, struct vr_error *err)
{
    struct vireo_fork *fork;
    const char *dir = vr_qmp_arg(call, "overlays");
    int r = vireo_vm_fork(call->vm, dir, &fork, err);
    if (r == 0) {
        r = vr_fork_pack(fork, &call->ret, &call->fds, &call->fd_count, err);
        vireo_fork_destroy(fork);
    }
    return r;
}

/* @value is what the guest shall be left with. */
static int qmp_balloon(struct vr_qmp_call *call, struct vr_error *err)
{
    json_int_t value = json_integer_value(json_object_get(call->args, "value"));
    uint64_t all = call->vm->memory_bytes;
    if (value <= 0) {
        return vr_err(err, -EINVAL, "Parameter 'value' expects a size");
    }
    return vireo_vm_balloon_set(call->vm, (uint64_t)value < all ? all - (uint64_t)value : 0, err);
}

static const struct {
    const char *name, *why;
} qmp_absent[] = {
    {"inject-nmi",
     "RISC-V harts here have no interrupt that cannot be masked, and stock kernels hear "
     "of none; x-vireo-gdb-start looks into a guest that hangs, system_reset ends it"},
    {"query-hotpluggable-cpus",
     "all CPUs are there from the start (--cpus): a RISC-V guest cannot be "
     "told of more; it can take those it has offline and online"},
    {"human-monitor-command", "there is no monitor for people; 'vireo help' lists what there is"},
    {"screendump", "this machine has no screen"},
    {"dump-guest-memory", "a debugger can read memory: x-vireo-gdb-start"},
    {"system_wakeup", "this machine does not suspend"},
    {"set_password", "there is nothing that has one"},
    {"query-vnc", "this machine has no screen"},
    {"query-spice", "this machine has no screen"},
    {"query-kvm-stats", "KVM does not run this machine"},
};

const char *vr_qmp_why_absent(const char *name)
{
    for (unsigned i = 0; i < VR_COUNT(qmp_absent); i++) {
        if (strcmp(name, qmp_absent[i].name) == 0) {
            return qmp_absent[i].why;
        }
    }
    return "";
}

static const char *const qmp_levels[] = {"error", "warn", "info", "debug"};

static int qmp_set(struct vr_qmp_call *call, struct vr_error *err)
{
    const char *level = vr_qmp_arg(call, "log-level");
    int i = level ? vr_word(level, qmp_levels, VR_COUNT(qmp_levels)) : -1;
    if (level && i < 0) {
        return vr_err(err, -EINVAL, "log level '%.20s': there are error, warn, info, debug", level);
    }
    if (level) {
        call->vm->log.level = (enum vr_level)i;
    }
    return 0;
}

static int qmp_gdb_start(struct vr_qmp_call *call, struct vr_error *err)
{
    struct vireo_vm *vm = call->vm;
    const char *address = vr_qmp_arg(call, "address");
    int r = 0;
    if (vm->gdb && address) {
        return vr_err(err, -EBUSY, "a debugger may connect at %s already: x-vireo-gdb-stop first",
                      vr_gdb_target(vm->gdb));
    }
    if (!vm->gdb) {
        r = vr_gdb_create(vm, address ? address : "auto", &vm->gdb, err);
    }
    if (r == 0) {
        r = vr_qmp_done(call, json_pack("{s:s}", "target", vr_gdb_target(vm->gdb)), err);
    }
    return r;
}

static int qmp_gdb_stop(struct vr_qmp_call *call, struct vr_error *err)
{
    (void)err;
    vr_gdb_destroy(call->vm->gdb);
    call->vm->gdb = NULL;
    return 0;
}

const struct vr_qmp_command vr_qmp_commands[] = {
    {"qmp_capabilities", "enable?:[QMPCapability]", NULL, VR_QMP_EARLY, qmp_capabilities,
     "end negotiation; commands and events begin"},
    {"query-version", NULL, "VersionInfo", VR_QMP_OOB, vr_qmp_query_version, "which Vireo this is"},
    {"query-commands", NULL, "[CommandInfo]", VR_QMP_OOB, vr_qmp_query_commands,
     "the commands there are"},
    {"query-qmp-schema", NULL, "[SchemaInfo]", 0, vr_qmp_query_schema,
     "the shape of commands and events"},
    {"query-status", NULL, "StatusInfo", VR_QMP_OOB, vr_qmp_query_status, "the run state"},
    {"query-name", NULL, "NameInfo", VR_QMP_OOB, vr_qmp_query_name, "the machine's name"},
    {"query-uuid", NULL, "UuidInfo", VR_QMP_OOB, vr_qmp_query_uuid,
     "the machine's UUID, made anew for each"},
    {"query-target", NULL, "TargetInfo", VR_QMP_OOB, vr_qmp_query_target,
     "the architecture of the guest"},
    {"query-machines", NULL, "[MachineInfo]", 0, vr_qmp_query_machines,
     "the kinds of machines that this Vireo makes"},
    {"query-current-machine", NULL, "CurrentMachineParams", 0, vr_qmp_query_current_machine,
     "what this machine can"},
    {"query-migrate-capabilities", NULL, "[MigrationCapabilityStatus]", 0,
     vr_qmp_query_migrate_capabilities, "QEMU's switches of migrations: there are none here"},
    {"query-kvm", NULL, "KvmInfo", 0, vr_qmp_query_kvm, "whether KVM runs the guest"},
    {"query-cpus-fast", NULL, "[CpuInfoFast]", 0, vr_qmp_query_cpus, "the virtual CPUs"},
    {"query-memory-size-summary", NULL, "MemoryInfo", 0, vr_qmp_query_memory,
     "how much memory the guest has"},
    {"query-block", NULL, "[BlockInfo]", 0, vr_qmp_query_block, "the disks"},
    {"query-blockstats", "query-nodes?:bool", "[BlockStats]", 0, vr_qmp_query_blockstats,
     "what was read and written"},
    {"query-named-block-nodes", "flat?:bool", "[BlockDeviceInfo]", 0, vr_qmp_query_named_nodes,
     "the images that are open, of disks and of disks to come"},
    {"query-iothreads", NULL, "[IOThreadInfo]", 0, vr_qmp_query_iothreads,
     "the threads that serve host ends (--io-threads)"},
    {"query-chardev", NULL, "[ChardevInfo]", 0, vr_qmp_query_chardev, "where the consoles lead"},
    {"query-pci", NULL, "[PciInfo]", 0, vr_qmp_query_pci,
     "the PCI functions; what is behind a bridge is in it"},
    {"query-balloon", NULL, "BalloonInfo", 0, vr_qmp_query_balloon,
     "how much memory the balloon leaves the guest"},
    {"balloon", "value:int", NULL, 0, qmp_balloon,
     "leave the guest so many bytes of memory; it does what it can"},
    {"query-jobs", NULL, "[JobInfo]", 0, vr_qmp_query_jobs,
     "jobs under way, and those that are concluded and not dismissed"},
    {"job-dismiss", "id:str", NULL, VR_QMP_SLOW, vr_qmp_job_dismiss, "forget a concluded job"},
    {"snapshot-save",
     "job-id:str, tag:str, vmstate?:str, devices?:[str], x-vireo-path?:str, "
     "x-vireo-compress?:bool, "
     "x-vireo-disks?:bool, x-vireo-parent?:str",
     NULL, 0, vr_qmp_snapshot_save,
     "save the machine, as a job: by its tag in the user's folder, or at a path; devices []: "
     "without contents of disks"},
    {"snapshot-load", "job-id:str, tag:str, vmstate?:str, devices?:[str], x-vireo-path?:str", NULL,
     0, vr_qmp_snapshot_load, "take the machine back to a snapshot, as a job"},
    {"snapshot-delete",
     "job-id:str, tag:str, devices?:[str], x-vireo-path?:str, x-vireo-force?:bool", NULL, 0,
     vr_qmp_snapshot_delete, "remove a snapshot, as a job"},
    {"qom-list", "path:str", "[ObjectPropertyInfo]", 0, vr_qmp_qom_list,
     "what is at a path of the object model: the machine, its CPUs and devices"},
    {"qom-get", "path:str, property:str", "any", 0, vr_qmp_qom_get, "a property of it"},
    {"migrate", "uri:str, detach?:bool, blk?:bool, inc?:bool, resume?:bool, x-vireo-end?:bool",
     NULL, 0, vr_qmp_migrate,
     "move the machine to another Vireo, live; x-vireo-end: end here when it goes on there"},
    {"migrate_cancel", NULL, NULL, 0, vr_qmp_migrate_cancel, "call a migration off"},
    {"query-migrate", NULL, "MigrationInfo", 0, vr_qmp_query_migrate, "how a migration goes"},
    {"migrate-set-parameters",
     "max-bandwidth?:int, downtime-limit?:int, cpu-throttle-initial?:int, "
     "cpu-throttle-increment?:int, max-cpu-throttle?:int",
     NULL, 0, vr_qmp_migrate_set,
     "for the next migration: bytes a second (0: no limit), milliseconds that the guest may stand "
     "still, percent to slow it down by if it must be"},
    {"query-migrate-parameters", NULL, "MigrationParameters", 0, vr_qmp_query_migrate_parameters,
     "what migrate-set-parameters set"},
    {"device_add", "driver:str, id?:str, bus?:str, *?:any", NULL, VR_QMP_SLOW, vr_qmp_device_add,
     "plug a device into a slot"},
    {"device_del", "id:str, x-vireo-force?:bool, x-vireo-timeout-ms?:int", NULL, VR_QMP_SLOW,
     vr_qmp_device_del, "ask the guest to let a device go; the event DEVICE_DELETED tells"},
    {"netdev_add",
     "type:NetClientDriver, id:str, addr?:SocketAddress, server?:bool, hostfwd?:[any], "
     "restrict?:bool, net?:str, host?:str, dns?:str, dhcpstart?:str, ipv6?:bool, hostname?:str, "
     "x-vireo-iothread?:int",
     NULL, VR_QMP_SLOW, vr_qmp_netdev_add, "open a network for a card to come"},
    {"netdev_del", "id:str", NULL, VR_QMP_SLOW, vr_qmp_netdev_del, "close it"},
    {"blockdev-add",
     "driver:BlockdevDriver, node-name?:str, filename?:str, read-only?:bool, "
     "auto-read-only?:bool, file?:any, cache?:BlockdevCacheOptions, "
     "discard?:BlockdevDiscardOptions, detect-zeroes?:BlockdevDetectZeroesOptions, "
     "aio?:BlockdevAioOptions, locking?:OnOffAuto, force-share?:bool",
     NULL, VR_QMP_SLOW, vr_qmp_blockdev_add, "open an image for a disk to come"},
    {"blockdev-del", "node-name:str", NULL, VR_QMP_SLOW, vr_qmp_blockdev_del, "close it"},
    {"set_link", "name:str, up:bool", NULL, VR_QMP_SLOW, vr_qmp_set_link,
     "pull the cable of a network card (its id, or its network's) out, or plug it in again"},
    {"block_set_io_throttle",
     "device?:str, id?:str, bps:int, bps_rd:int, bps_wr:int, iops:int, iops_rd:int, iops_wr:int, "
     "bps_max?:int, bps_rd_max?:int, bps_wr_max?:int, iops_max?:int, iops_rd_max?:int, "
     "iops_wr_max?:int, bps_max_length?:int, bps_rd_max_length?:int, bps_wr_max_length?:int, "
     "iops_max_length?:int, iops_rd_max_length?:int, iops_wr_max_length?:int, iops_size?:int, "
     "group?:str",
     NULL, VR_QMP_SLOW, vr_qmp_set_io_throttle,
     "limit a disk: bytes and requests a second, 0: none; the same of reads and of writes"},
    {"chardev-add", "id:str, backend:ChardevBackend", "ChardevReturn", VR_QMP_SLOW,
     vr_qmp_chardev_add, "open the host end of a console to come"},
    {"chardev-remove", "id:str", NULL, VR_QMP_SLOW, vr_qmp_chardev_remove, "close it"},
    {"x-vireo-devices", NULL, "[x-vireo-Device]", 0, vr_qmp_devices, "the devices there are"},
    {"x-vireo-device-add", "device:str", "x-vireo-Device", VR_QMP_SLOW, vr_qmp_x_device_add,
     "plug a device in that is written as for --device"},
    {"stop", NULL, NULL, VR_QMP_SLOW, qmp_stop, "halt CPUs and guest time"},
    {"cont", NULL, NULL, VR_QMP_SLOW, qmp_cont, "go on after stop"},
    {"system_reset", NULL, NULL, 0, qmp_system_reset, "press the reset button"},
    {"system_powerdown", NULL, NULL, 0, qmp_system_powerdown,
     "press the power button: ask the guest to end"},
    {"quit", NULL, NULL, 0, qmp_quit, "end the machine at once, as if power were cut"},
    {"x-vireo-machine", NULL, "x-vireo-Machine", 0, vr_qmp_machine,
     "everything a list of machines shows"},
    {"x-vireo-stats", "group?:str", "[x-vireo-Stat]", 0, vr_qmp_stats, "what the machine counts"},
    {"x-vireo-events", "after?:int", "[x-vireo-Event]", 0, vr_qmp_past_events,
     "events that happened, the last 256, or those above a number"},
    {"x-vireo-hash", NULL, "x-vireo-Hash", VR_QMP_SLOW, vr_qmp_hash,
     "a hash of all of the guest's state: registers, memory, devices"},
    {"x-vireo-query-deterministic", NULL, "x-vireo-Deterministic", VR_QMP_SLOW, vr_qmp_query_det,
     "how far a deterministic machine has come, and its recording"},
    {"x-vireo-console", "index?:int", NULL, 0, qmp_console,
     "the last command: from its answer on, the connection is the console's bytes, both ways; "
     "whoever has the console keeps it"},
    {"x-vireo-set", "log-level?:str", NULL, 0, qmp_set,
     "change what may be changed while it runs: log-level is error, warn, info or debug"},
    {"x-vireo-limits",
     "device:str, bps?:int, bps_rd?:int, bps_wr?:int, iops?:int, iops_rd?:int, iops_wr?:int", NULL,
     VR_QMP_SLOW, vr_qmp_x_limits, "some of a disk's limits; the others stay as they are"},
    {"x-vireo-fork", "overlays?:str", "x-vireo-Fork", VR_QMP_SLOW, qmp_fork,
     "the machine as it is now, to make clones of (vireo fork): descriptors come with the answer"},
    {"x-vireo-gdb-start", "address?:str", "x-vireo-Gdb", VR_QMP_SLOW, qmp_gdb_start,
     "let a debugger connect, at \"auto\", \"unix:PATH\" or \"tcp:127.0.0.1:PORT\"; without an "
     "address: where one may already, else auto"},
    {"x-vireo-gdb-stop", NULL, NULL, VR_QMP_SLOW, qmp_gdb_stop,
     "no debugger any more; breakpoints go, and the machine goes on if one had stopped it"},
    {.name = NULL},
};

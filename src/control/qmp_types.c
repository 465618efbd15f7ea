/* The types and events of the control protocol. Those without x-vireo- are QEMU's (qapi/), with the
 * members that have a meaning here. */
#include "control/qmp.h"

const struct vr_qmp_type vr_qmp_types[] = {
    {"QMPCapability", .values = "oob"},
    {"VersionTriple", "major:int, minor:int, micro:int"},
    {"VersionInfo", "qemu:VersionTriple, package:str"},
    {"CommandInfo", "name:str"},
    {"SchemaInfo", "name:str, meta-type:SchemaMetaType"},
    {"SchemaMetaType", .values = "builtin|enum|array|object|alternate|command|event"},
    {"NameInfo", "name?:str"},
    {"UuidInfo", "UUID:str"},
    {"RunState",
     .values = "prelaunch|running|paused|shutdown|guest-panicked|inmigrate|postmigrate"},
    {"StatusInfo", "running:bool, singlestep:bool, status:RunState"},
    {"SysEmuTarget", .values = "riscv64"},
    {"TargetInfo", "arch:SysEmuTarget"},
    {"MachineInfo", "name:str, is-default?:bool, cpu-max:int, hotpluggable-cpus:bool, "
                    "numa-mem-supported:bool, deprecated:bool, acpi:bool"},
    {"CurrentMachineParams", "wakeup-suspend-support:bool"},
    {"KvmInfo", "enabled:bool, present:bool"},
    {"CpuInfoFast", "cpu-index:int, qom-path:str, thread-id:int, target:SysEmuTarget"},
    {"MemoryInfo", "base-memory:int"},
    {"ChardevInfo", "label:str, filename:str, frontend-open:bool"},
    {"ImageInfo", "filename:str, format:str, virtual-size:int"},
    {"BlockdevCacheInfo", "writeback:bool, direct:bool, no-flush:bool"},
    {"BlockDeviceInfo",
     "file:str, node-name:str, ro:bool, drv:str, backing_file_depth:int, encrypted:bool, "
     "detect_zeroes:str, "
     "bps:int, bps_rd:int, bps_wr:int, iops:int, iops_rd:int, iops_wr:int, image:ImageInfo, "
     "cache:BlockdevCacheInfo, write_threshold:int"},
    {"BlockInfo", "device:str, qdev:str, type:str, removable:bool, locked:bool, "
                  "inserted:BlockDeviceInfo"},
    {"BlockDeviceStats",
     "rd_bytes:int, wr_bytes:int, unmap_bytes:int, rd_operations:int, wr_operations:int, "
     "flush_operations:int, unmap_operations:int, rd_total_time_ns:int, wr_total_time_ns:int, "
     "flush_total_time_ns:int, unmap_total_time_ns:int, failed_rd_operations:int, "
     "failed_wr_operations:int, failed_flush_operations:int, failed_unmap_operations:int, "
     "invalid_rd_operations:int, invalid_wr_operations:int, invalid_flush_operations:int, "
     "invalid_unmap_operations:int, rd_merged:int, wr_merged:int, unmap_merged:int, "
     "wr_highest_offset:int, timed_stats:[BlockDeviceTimedStats], account_invalid:bool, "
     "account_failed:bool"},
    {"BlockDeviceTimedStats",
     "interval_length:int, min_rd_latency_ns:int, max_rd_latency_ns:int, avg_rd_latency_ns:int, "
     "min_wr_latency_ns:int, max_wr_latency_ns:int, avg_wr_latency_ns:int, "
     "min_flush_latency_ns:int, max_flush_latency_ns:int, avg_flush_latency_ns:int, "
     "avg_rd_queue_depth:number, avg_wr_queue_depth:number"},
    {"BlockStats", "device?:str, qdev?:str, node-name:str, stats:BlockDeviceStats"},
    {"IOThreadInfo", "id:str, thread-id:int, poll-max-ns:int, poll-grow:int, poll-shrink:int, "
                     "aio-max-batch:int"},
    {"JobType", .values = "snapshot-save|snapshot-load|snapshot-delete"},
    {"JobStatus", .values = "created|running|waiting|pending|aborting|concluded|null"},
    {"JobInfo", "id:str, type:JobType, status:JobStatus, current-progress:int, total-progress:int, "
                "error?:str"},
    {"MigrationStatus", .values = "none|setup|active|device|completed|failed|cancelled"},
    {"MigrationStats",
     "transferred:int, remaining:int, total:int, duplicate:int, skipped:int, normal:int, "
     "normal-bytes:int, dirty-pages-rate:int, mbps:number, dirty-sync-count:int, page-size:int, "
     "postcopy-requests:int, multifd-bytes:int, pages-per-second:int, precopy-bytes:int, "
     "downtime-bytes:int, postcopy-bytes:int, dirty-sync-missed-zero-copy:int, "
     "x-vireo-hinted:int"},
    {"MigrationInfo",
     "status:MigrationStatus, ram?:MigrationStats, total-time?:int, setup-time?:int, "
     "downtime?:int, expected-downtime?:int, cpu-throttle-percentage?:int, error-desc?:str, "
     "x-vireo-unknown?:bool"},
    {"MigrationCapabilityStatus", "capability:str, state:bool"},
    {"MigrationParameters",
     "max-bandwidth:int, downtime-limit:int, cpu-throttle-initial:int, cpu-throttle-increment:int, "
     "max-cpu-throttle:int"},
    {"ShutdownCause", .values =
                          "none|host-error|host-qmp-quit|host-qmp-system-reset|host-signal|host-ui|"
                          "guest-shutdown|guest-reset|guest-panic"},
    {"GuestPanicAction", .values = "pause|poweroff|run"},
    {"WatchdogAction", .values = "reset|shutdown|poweroff|pause|none"},
    {"PciMemoryRegion", "bar:int, type:str, address:int, size:int, prefetch?:bool, "
                        "mem_type_64?:bool"},
    {"PciDeviceClass", "class:int"},
    {"PciDeviceId", "device:int, vendor:int, subsystem?:int, subsystem-vendor?:int"},
    {"PciDeviceInfo", "bus:int, slot:int, function:int, class_info:PciDeviceClass, id:PciDeviceId, "
                      "irq_pin:int, qdev_id:str, regions:[PciMemoryRegion], "
                      "pci_bridge?:PciBridgeInfo"},
    {"PciMemoryRange", "base:int, limit:int"},
    {"PciBusInfo", "number:int, secondary:int, subordinate:int, io_range:PciMemoryRange, "
                   "memory_range:PciMemoryRange, prefetchable_range:PciMemoryRange"},
    {"PciBridgeInfo", "bus:PciBusInfo, devices:[PciDeviceInfo]"},
    {"PciInfo", "bus:int, devices:[PciDeviceInfo]"},
    {"BalloonInfo", "actual:int"},
    {"ObjectPropertyInfo", "name:str, type:str"},
    {"ChardevBackendKind", .values = "null|pty|file|socket"},
    {"ChardevBackend", "type:ChardevBackendKind, data?:any"},
    {"ChardevReturn", "pty?:str"},
    {"BlockdevDriver", .values = "raw|file|host_device"},
    {"BlockdevDiscardOptions", .values = "unmap"},
    {"BlockdevDetectZeroesOptions", .values = "off"},
    {"BlockdevAioOptions", .values = "threads"},
    {"OnOffAuto", .values = "auto|on|off"},
    {"BlockdevCacheOptions", "direct?:bool, no-flush?:bool"},
    {"NetClientDriver", .values = "user|stream"},
    {"String", "str:str"},
    {"SocketAddressType", .values = "unix"},
    {"SocketAddress", "type:SocketAddressType, path?:str"},
    {"x-vireo-DeviceState", .values = "attached|in-use|leaving|detached"},
    {"x-vireo-Device", "id:str, class:str, bus:str, place:str, host-end:str, "
                       "state:x-vireo-DeviceState, removable:bool"},
    {"x-vireo-Gdb", "target:str"},
    {"x-vireo-Hash", "hash:str"},
    {"x-vireo-Deterministic",
     "deterministic:bool, step?:int, beat?:int, guest-ns?:int, recording?:bool, replaying?:bool, "
     "tape-bytes?:int, "
     "last-step?:int, hashes-compared?:int"},
    {"x-vireo-Console", "index:int, kind:str, path?:str"},
    {"x-vireo-Machine",
     "name:str, uuid:str, pid:int, version:str, status:RunState, arch:str, machine:str, "
     "engine:str, cpus:int, memory-bytes:int, memory-used-bytes?:int, memory-shared-bytes?:int, "
     "uptime-ns:int, "
     "created-ns:int, consoles:[x-vireo-Console]"},
    {"x-vireo-ForkLayer", "some:bool, past:bool, moment:int"},
    {"x-vireo-ForkDisk", "index:int, path:str, size:int, optimal:int, layers:[x-vireo-ForkLayer]"},
    {"x-vireo-Fork",
     "name:str, config:str, pause-ns:int, copied-bytes:int, state-bytes:int, places-offset:int, "
     "ram-bytes:int, ram-chunk:int, ram-offset:int, ram-files:int, disks:[x-vireo-ForkDisk], "
     "descriptors:int"},
    {"x-vireo-StatKind", .values = "total|now"},
    {"x-vireo-Stat", "group:str, id:str, name:str, kind:x-vireo-StatKind, value:int, help:str"},
    {"x-vireo-Timestamp", "seconds:int, microseconds:int"},
    {"x-vireo-Event", "seq:int, timestamp:x-vireo-Timestamp, guest-ns:int, event:str, cause:str, "
                      "data?:any"},
    {.name = NULL},
};

const struct vr_qmp_type vr_qmp_events[] = {
    {"RESUME", NULL},
    {"STOP", NULL},
    {"RESET", "guest:bool, reason:ShutdownCause"},
    {"SHUTDOWN", "guest:bool, reason:ShutdownCause, x-vireo-code?:int"},
    {"POWERDOWN", NULL},
    {"BALLOON_CHANGE", "actual:int"},
    {"MIGRATION", "status:MigrationStatus"},
    {"GUEST_PANICKED", "action:GuestPanicAction"},
    {"WATCHDOG", "action:WatchdogAction"},
    {"DEVICE_DELETED", "device?:str, path:str"},
    {"DEVICE_UNPLUG_GUEST_ERROR", "device?:str, path:str"},
    {"x-vireo-DEVICE_ADDED", "device:str, driver:str, bus:str"},
    {"x-vireo-SNAPSHOT_DAMAGED", "reason:str"},
    {"JOB_STATUS_CHANGE", "id:str, status:JobStatus"},
    {.name = NULL},
};

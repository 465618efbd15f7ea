/* Commands of the control protocol that ask. */
#include "backend/block/block.h"
#include "base/bits.h"
#include "board/catalog.h"
#include "control/qmp_commands.h"
#include "control/rundir.h"
#include "control/vm_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

json_t *vr_qmp_number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* @text from outside: a path may be any bytes. */
json_t *vr_qmp_text(const char *text)
{
    json_t *json = json_string(text);
    return json ? json : json_string("(not UTF-8)");
}

const char *vr_qmp_arg(const struct vr_qmp_call *call, const char *key)
{
    return json_string_value(json_object_get(call->args, key));
}

int vr_qmp_done(struct vr_qmp_call *call, json_t *ret, struct vr_error *err)
{
    call->ret = ret;
    return ret ? 0 : vr_err(err, -ENOMEM, "no memory for the answer");
}

int vr_qmp_query_version(struct vr_qmp_call *call, struct vr_error *err)
{
    int major, minor, micro;
    vr_assert(sscanf(vireo_version(), "%d.%d.%d", &major, &minor, &micro) == 3);
    return vr_qmp_done(call,
                       json_pack("{s:{s:i, s:i, s:i}, s:o}", "qemu", "major", major, "minor", minor,
                                 "micro", micro, "package",
                                 json_sprintf("Vireo %s", vireo_version())),
                       err);
}

int vr_qmp_query_commands(struct vr_qmp_call *call, struct vr_error *err)
{
    json_t *list = json_array();
    for (const struct vr_qmp_command *c = vr_qmp_commands; list && c->name; c++) {
        (void)json_array_append_new(list, json_pack("{s:s}", "name", c->name));
    }
    const struct vr_qmp_command *own;
    for (unsigned i = 0; list && (own = vr_qmp_own(call->vm, i)); i++) {
        (void)json_array_append_new(list, json_pack("{s:s}", "name", own->name));
    }
    return vr_qmp_done(call, list, err);
}

int vr_qmp_query_schema(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_qmp_done(call, vr_qmp_schema(call->vm), err);
}

/* A RunState. */
static const char *query_state(struct vireo_vm *vm)
{
    struct vr_exit why;
    if (vm->incoming) {
        return "inmigrate";
    }
    if (vr_machine_moved(vm->machine)) {
        return "postmigrate";
    }
    switch (vr_machine_state(vm->machine)) {
    case VR_STATE_RUNNING:
        return "running";
    case VR_STATE_PAUSED:
        return "paused";
    case VR_STATE_STOPPED:
        break;
    }
    if (!vr_machine_wait(vm->machine, 0, &why)) {
        return "prelaunch";
    }
    return why.why == VR_REQ_PANIC ? "guest-panicked" : "shutdown";
}

int vr_qmp_query_status(struct vr_qmp_call *call, struct vr_error *err)
{
    const char *state = query_state(call->vm);
    return vr_qmp_done(call,
                       json_pack("{s:b, s:b, s:s}", "running", strcmp(state, "running") == 0,
                                 "singlestep", 0, "status", state),
                       err);
}

int vr_qmp_query_name(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_qmp_done(call, json_pack("{s:s}", "name", vr_machine_name(call->vm->machine)), err);
}

int vr_qmp_query_uuid(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_qmp_done(call, json_pack("{s:s}", "UUID", call->vm->uuid), err);
}

int vr_qmp_query_target(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_qmp_done(call, json_pack("{s:s}", "arch", vr_catalog_machine(0)->arch), err);
}

int vr_qmp_query_machines(struct vr_qmp_call *call, struct vr_error *err)
{
    const struct vr_catalog_machine *m;
    json_t *list = json_array();
    for (unsigned i = 0; list && (m = vr_catalog_machine(i)); i++) {
        json_t *one = json_pack("{s:s, s:i, s:b, s:b, s:b, s:b}", "name", m->name, "cpu-max",
                                (int)m->cpus_max, "hotpluggable-cpus", 0, "numa-mem-supported", 0,
                                "deprecated", 0, "acpi", 0);
        if (one && i == 0) {
            (void)json_object_set_new(one, "is-default", json_true());
        }
        (void)json_array_append_new(list, one);
    }
    return vr_qmp_done(call, list, err);
}

int vr_qmp_query_current_machine(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_qmp_done(call, json_pack("{s:b}", "wakeup-suspend-support", 0), err);
}

/* None of QEMU's is here; what a migration does is told by its parameters. */
int vr_qmp_query_migrate_capabilities(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_qmp_done(call, json_array(), err);
}

int vr_qmp_query_kvm(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_qmp_done(call, json_pack("{s:b, s:b}", "enabled", 0, "present", 0), err);
}

int vr_qmp_query_cpus(struct vr_qmp_call *call, struct vr_error *err)
{
    json_t *list = json_array();
    const struct vr_vcpu *vcpu;
    for (unsigned i = 0; list && (vcpu = vr_machine_vcpu(call->vm->machine, i)); i++) {
        (void)json_array_append_new(
            list, json_pack("{s:i, s:o, s:o, s:s}", "cpu-index", (int)i, "qom-path",
                            json_sprintf("/machine/unattached/device[%u]", i), "thread-id",
                            vr_qmp_number(atomic_load(&vcpu->host_id)), "target",
                            vr_catalog_machine(0)->arch));
    }
    return vr_qmp_done(call, list, err);
}

int vr_qmp_query_memory(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_qmp_done(
        call, json_pack("{s:o}", "base-memory", vr_qmp_number(call->vm->memory_bytes)), err);
}

static json_t *query_block_info(const struct vr_virt_node *node)
{
    const struct vr_blk *blk = node->blk;
    struct vr_blk_limits limits;
    vr_blk_get_limits(blk, &limits);
    const uint64_t *bps = limits.bytes_s, *iops = limits.requests_s;
    json_t *image = json_pack("{s:o, s:s, s:o}", "filename", vr_qmp_text(blk->path), "format",
                              blk->ops->name, "virtual-size", vr_qmp_number(blk->size_bytes));
    return json_pack(
        "{s:o, s:s, s:b, s:s, s:i, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:b, s:b, s:b}, "
        "s:i}",
        "file", vr_qmp_text(blk->path), "node-name", node->name, "ro", blk->read_only, "drv",
        blk->ops->name, "backing_file_depth", 0, "encrypted", 0, "detect_zeroes", "off", "bps",
        vr_qmp_number(bps[VR_BLK_LIMIT_ALL]), "bps_rd", vr_qmp_number(bps[VR_BLK_LIMIT_READ]),
        "bps_wr", vr_qmp_number(bps[VR_BLK_LIMIT_WRITE]), "iops",
        vr_qmp_number(iops[VR_BLK_LIMIT_ALL]), "iops_rd", vr_qmp_number(iops[VR_BLK_LIMIT_READ]),
        "iops_wr", vr_qmp_number(iops[VR_BLK_LIMIT_WRITE]), "image", image, "cache", "writeback", 1,
        "direct", 0, "no-flush", 0, "write_threshold", 0);
}

/* What @one makes of each image (NULL: nothing), as a list. */
static int query_nodes(struct vr_qmp_call *call, json_t *(*one)(const struct vr_virt_node *node),
                       struct vr_error *err)
{
    json_t *list = json_array();
    struct vr_virt_node node;
    vr_machine_hold_devs(call->vm->machine);
    for (unsigned i = 0; list && vr_virt_node(call->vm->virt, i, &node); i++) {
        json_t *info = one(&node);
        if (info) {
            (void)json_array_append_new(list, info);
        }
    }
    vr_machine_release_devs(call->vm->machine);
    return vr_qmp_done(call, list, err);
}

static json_t *query_disk(const struct vr_virt_node *node)
{
    return !*node->id ? NULL
                      : json_pack("{s:s, s:s, s:s, s:b, s:b, s:o}", "device", node->id, "qdev",
                                  node->id, "type", "unknown", "removable", node->removable,
                                  "locked", 0, "inserted", query_block_info(node));
}

int vr_qmp_query_block(struct vr_qmp_call *call, struct vr_error *err)
{
    return query_nodes(call, query_disk, err);
}

int vr_qmp_query_named_nodes(struct vr_qmp_call *call, struct vr_error *err)
{
    return query_nodes(call, query_block_info, err); /* no image has others below it */
}

/* No requests are merged, and none are counted by intervals. */
static json_t *query_blk_stats(const struct vr_blk *blk)
{
    static const struct {
        enum vr_blk_op op;
        const char *bytes, *count, *ns, *failed, *invalid, *merged;
    } rows[] = {
        {VR_BLK_READ, "rd_bytes", "rd_operations", "rd_total_time_ns", "failed_rd_operations",
         "invalid_rd_operations", "rd_merged"},
        {VR_BLK_WRITE, "wr_bytes", "wr_operations", "wr_total_time_ns", "failed_wr_operations",
         "invalid_wr_operations", "wr_merged"},
        {VR_BLK_FLUSH, NULL, "flush_operations", "flush_total_time_ns", "failed_flush_operations",
         "invalid_flush_operations", NULL},
        {VR_BLK_DISCARD, "unmap_bytes", "unmap_operations", "unmap_total_time_ns",
         "failed_unmap_operations", "invalid_unmap_operations", "unmap_merged"},
    };
    struct vr_blk_count counts[VR_BLK_OPS];
    json_t *stats = json_pack("{s:o, s:[], s:b, s:b}", "wr_highest_offset",
                              vr_qmp_number(vr_blk_written_end(blk)), "timed_stats",
                              "account_invalid", 1, "account_failed", 1);
    vr_blk_stats(blk, counts);
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        const struct vr_blk_count *c = &counts[rows[i].op];
        if (rows[i].bytes) {
            (void)json_object_set_new(stats, rows[i].bytes, vr_qmp_number(c->bytes));
        }
        if (rows[i].merged) {
            (void)json_object_set_new(stats, rows[i].merged, json_integer(0));
        }
        (void)json_object_set_new(stats, rows[i].count, vr_qmp_number(c->count - c->failed));
        (void)json_object_set_new(stats, rows[i].ns, vr_qmp_number(c->ns));
        (void)json_object_set_new(stats, rows[i].failed, vr_qmp_number(c->failed - c->invalid));
        (void)json_object_set_new(stats, rows[i].invalid, vr_qmp_number(c->invalid));
    }
    return stats;
}

static json_t *query_disk_stats(const struct vr_virt_node *node)
{
    return !*node->id ? NULL
                      : json_pack("{s:s, s:s, s:s, s:o}", "device", node->id, "qdev", node->id,
                                  "node-name", node->name, "stats", query_blk_stats(node->blk));
}

static json_t *query_node_stats(const struct vr_virt_node *node)
{
    return json_pack("{s:s, s:o}", "node-name", node->name, "stats", query_blk_stats(node->blk));
}

int vr_qmp_query_blockstats(struct vr_qmp_call *call, struct vr_error *err)
{
    bool nodes = json_is_true(json_object_get(call->args, "query-nodes"));
    return query_nodes(call, nodes ? query_node_stats : query_disk_stats, err);
}

/* The I/O threads (--io-threads), by the numbers that iothread= has; none of them polls. */
int vr_qmp_query_iothreads(struct vr_qmp_call *call, struct vr_error *err)
{
    json_t *list = json_array();
    const struct vr_loop *loop;
    for (unsigned i = 0; list && (loop = vr_machine_io_loop(call->vm->machine, i)); i++) {
        (void)json_array_append_new(
            list, json_pack("{s:o, s:o, s:i, s:i, s:i, s:i}", "id", json_sprintf("iothread%u", i),
                            "thread-id", vr_qmp_number(vr_loop_host_id(loop)), "poll-max-ns", 0,
                            "poll-grow", 0, "poll-shrink", 0, "aio-max-batch", 0));
    }
    return vr_qmp_done(call, list, err);
}

int vr_qmp_query_chardev(struct vr_qmp_call *call, struct vr_error *err)
{
    json_t *list = json_array();
    for (unsigned i = 0; list && i < VIREO_CONSOLES; i++) {
        const char *path = vireo_vm_console_path(call->vm, i);
        char where[VR_RUNDIR_PATH_MAX];
        if (!path) {
            continue;
        }
        snprintf(where, sizeof(where), "%s%s%s", call->vm->console_kind[i], *path ? ":" : "", path);
        json_t *label = i == 0 ? json_string("serial0") : json_sprintf("virtio-console%u", i - 1);
        (void)json_array_append_new(list, json_pack("{s:o, s:o, s:b}", "label", label, "filename",
                                                    vr_qmp_text(where), "frontend-open", 1));
    }
    return vr_qmp_done(call, list, err);
}

int vr_qmp_query_balloon(struct vr_qmp_call *call, struct vr_error *err)
{
    struct vireo_balloon balloon;
    uint64_t len = call->vm->memory_bytes;
    int r = vireo_vm_balloon_get(call->vm, &balloon, err);
    if (r < 0) {
        return r;
    }
    /* What the guest is left with. */
    uint64_t left = len - (balloon.actual_bytes < len ? balloon.actual_bytes : len);
    return vr_qmp_done(call, json_pack("{s:o}", "actual", vr_qmp_number(left)), err);
}

static json_t *query_consoles(struct vireo_vm *vm)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < VIREO_CONSOLES; i++) {
        if (!vr_vm_console(vm, i)) {
            continue;
        }
        const char *path = vireo_vm_console_path(vm, i);
        json_t *console = json_pack("{s:i, s:s}", "index", (int)i, "kind", vm->console_kind[i]);
        if (*path) {
            (void)json_object_set_new(console, "path", vr_qmp_text(path));
        }
        (void)json_array_append_new(list, console);
    }
    return list;
}

int vr_qmp_machine(struct vr_qmp_call *call, struct vr_error *err)
{
    struct vireo_vm *vm = call->vm;
    const struct vr_catalog_machine *kind = vr_catalog_machine(0);
    uint64_t len, used, shared;
    vr_machine_ram_bytes(vm->machine, &len, &used, &shared);
    json_t *ret = json_pack(
        "{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o}", "name",
        vr_machine_name(vm->machine), "uuid", vm->uuid, "pid", (json_int_t)uv_os_getpid(),
        "version", vireo_version(), "status", query_state(vm), "arch", kind->arch, "machine",
        kind->name, "engine", vr_machine_vcpu(vm->machine, 0)->ops->engine, "cpus", (int)vm->cpus,
        "memory-bytes", vr_qmp_number(len), "uptime-ns", vr_qmp_number(vireo_vm_time_ns(vm)),
        "created-ns", vr_qmp_number(vm->created_ns), "consoles", query_consoles(vm));
    if (used != UINT64_MAX) {
        (void)json_object_set_new(ret, "memory-used-bytes", vr_qmp_number(used));
        (void)json_object_set_new(ret, "memory-shared-bytes", vr_qmp_number(shared));
    }
    return vr_qmp_done(call, ret, err);
}

struct query_stats {
    json_t *list;
    const char *group; /* NULL: all */
};

static void query_stat(void *opaque, const struct vireo_stat *stat)
{
    struct query_stats *q = opaque;
    if (!q->group || strcmp(q->group, stat->group) == 0) {
        (void)json_array_append_new(
            q->list,
            json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "group", stat->group, "id", stat->id,
                      "name", stat->name, "kind", stat->kind == VIREO_STAT_TOTAL ? "total" : "now",
                      "value", vr_qmp_number(stat->value), "help", stat->help));
    }
}

int vr_qmp_stats(struct vr_qmp_call *call, struct vr_error *err)
{
    struct query_stats q = {.list = json_array(), .group = vr_qmp_arg(call, "group")};
    if (q.list) {
        vireo_vm_stats(call->vm, query_stat, &q);
    }
    return vr_qmp_done(call, q.list, err);
}

static void query_event(void *opaque, const struct vireo_event *event)
{
    json_t *list = opaque;
    json_t *info =
        json_pack("{s:o, s:{s:I, s:I}, s:o, s:s, s:s}", "seq", vr_qmp_number(event->seq),
                  "timestamp", "seconds", (json_int_t)(event->real_ns / 1000000000u),
                  "microseconds", (json_int_t)(event->real_ns / 1000 % 1000000), "guest-ns",
                  vr_qmp_number(event->time_ns), "event", event->name, "cause", event->cause);
    if (*event->data) {
        (void)json_object_set_new(info, "data", json_loads(event->data, 0, NULL));
    }
    (void)json_array_append_new(list, info);
}

int vr_qmp_past_events(struct vr_qmp_call *call, struct vr_error *err)
{
    json_t *list = json_array();
    json_int_t after = json_integer_value(json_object_get(call->args, "after"));
    if (list) {
        (void)vireo_vm_events(call->vm, after < 0 ? 0 : (uint64_t)after, query_event, list);
    }
    return vr_qmp_done(call, list, err);
}

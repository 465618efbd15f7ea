/* Commands of the control protocol about migration (QEMU, qapi/migration.json, as far as it has a
 * meaning here). On the I/O thread. */
#include "base/bits.h"
#include "control/migrate.h"
#include "control/qmp_commands.h"
#include "control/vm_priv.h"

#include <errno.h>

#define QMIG_MS UINT64_C(1000000)

static struct vireo_migrate_opts qmig_opts(const struct vireo_vm *vm)
{
    struct vireo_migrate_opts o = vm->migrate_opts;
    vr_migrate_defaults(&o);
    return o;
}

int vr_qmp_migrate(struct vr_qmp_call *call, struct vr_error *err)
{
    static const struct {
        const char *name, *why;
    } not_here[] = {
        {"blk", "disks are not copied: both sides open the same file"},
        {"inc", "disks are not copied: both sides open the same file"},
        {"resume", "a migration that failed begins anew"},
    };
    struct vireo_migrate_opts o = qmig_opts(call->vm);
    for (unsigned i = 0; i < VR_COUNT(not_here); i++) {
        if (json_is_true(json_object_get(call->args, not_here[i].name))) {
            return vr_err(err, -EINVAL, "Parameter '%s' is not here: %s", not_here[i].name,
                          not_here[i].why);
        }
    }
    o.end = json_is_true(json_object_get(call->args, "x-vireo-end"));
    return vireo_vm_migrate(call->vm, vr_qmp_arg(call, "uri"), &o, err);
}

int vr_qmp_migrate_cancel(struct vr_qmp_call *call, struct vr_error *err)
{
    (void)err;
    vireo_vm_migrate_cancel(call->vm);
    return 0;
}

int vr_qmp_query_migrate(struct vr_qmp_call *call, struct vr_error *err)
{
    struct vireo_migration m;
    vireo_vm_migration(call->vm, &m);
    json_t *ret = json_pack("{s:s}", "status", vr_migrate_status(m.status));
    if (ret && m.status != VIREO_MIGRATE_NONE) {
        (void)json_object_update_new(
            ret,
            json_pack("{s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:f, s:I, s:i, "
                      "s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:I}}",
                      "total-time", (json_int_t)(m.total_ns / QMIG_MS), "setup-time",
                      (json_int_t)(m.setup_ns / QMIG_MS), "cpu-throttle-percentage",
                      (json_int_t)m.throttle, "ram", "transferred", (json_int_t)m.sent_bytes,
                      "remaining", (json_int_t)m.left_bytes, "total", (json_int_t)m.memory_bytes,
                      "duplicate", (json_int_t)m.zero_pages, "skipped", 0, "normal",
                      (json_int_t)m.pages, "normal-bytes", (json_int_t)(m.pages * VR_PAGE_SIZE),
                      "dirty-pages-rate", (json_int_t)m.dirty_rate, "mbps",
                      (double)m.rate_bytes * 8 / 1e6, "dirty-sync-count", (json_int_t)m.rounds,
                      "page-size", VR_PAGE_SIZE, "pages-per-second",
                      (json_int_t)(m.rate_bytes / VR_PAGE_SIZE), "precopy-bytes",
                      (json_int_t)(m.sent_bytes - m.still_bytes), "downtime-bytes",
                      (json_int_t)m.still_bytes, "postcopy-bytes", 0, "postcopy-requests", 0,
                      "multifd-bytes", 0, "dirty-sync-missed-zero-copy", 0, "x-vireo-hinted",
                      (json_int_t)m.hinted_pages));
        if (m.status == VIREO_MIGRATE_COMPLETED) {
            (void)json_object_set_new(ret, "downtime",
                                      json_integer((json_int_t)(m.downtime_ns / QMIG_MS)));
        } else if (m.expected_ns) {
            (void)json_object_set_new(ret, "expected-downtime",
                                      json_integer((json_int_t)(m.expected_ns / QMIG_MS)));
        }
        if (*m.error) {
            (void)json_object_set_new(ret, "error-desc", json_string(m.error));
        }
        if (m.status == VIREO_MIGRATE_UNKNOWN) {
            (void)json_object_set_new(ret, "x-vireo-unknown", json_true());
        }
    }
    return vr_qmp_done(call, ret, err);
}

int vr_qmp_migrate_set(struct vr_qmp_call *call, struct vr_error *err)
{
    static const struct {
        const char *name;
        json_int_t min, max;
    } row[] = {
        {"max-bandwidth", 0, INT64_MAX}, {"downtime-limit", 1, 2000 * 1000},
        {"cpu-throttle-initial", 1, 99}, {"cpu-throttle-increment", 1, 99},
        {"max-cpu-throttle", 1, 99},
    };
    struct vireo_migrate_opts o = qmig_opts(call->vm);
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        const json_t *given = json_object_get(call->args, row[i].name);
        json_int_t value = json_integer_value(given);
        if (!given) {
            continue;
        }
        if (value < row[i].min || value > row[i].max) {
            return vr_err(err, -EINVAL, "Parameter '%s' expects a value from %lld to %lld",
                          row[i].name, (long long)row[i].min, (long long)row[i].max);
        }
        switch (i) {
        case 0:
            o.bandwidth_bytes = (uint64_t)value;
            break;
        case 1:
            o.downtime_ns = (uint64_t)value * QMIG_MS;
            break;
        case 2:
            o.throttle_initial = (unsigned)value;
            break;
        case 3:
            o.throttle_step = (unsigned)value;
            break;
        default:
            o.throttle_max = (unsigned)value;
            break;
        }
    }
    call->vm->migrate_opts = o;
    vr_migrate_tune(call->vm->migrate, &o);
    return 0;
}

int vr_qmp_query_migrate_parameters(struct vr_qmp_call *call, struct vr_error *err)
{
    struct vireo_migrate_opts o = qmig_opts(call->vm);
    return vr_qmp_done(call,
                       json_pack("{s:I, s:I, s:i, s:i, s:i}", "max-bandwidth",
                                 (json_int_t)o.bandwidth_bytes, "downtime-limit",
                                 (json_int_t)(o.downtime_ns / QMIG_MS), "cpu-throttle-initial",
                                 (int)o.throttle_initial, "cpu-throttle-increment",
                                 (int)o.throttle_step, "max-cpu-throttle", (int)o.throttle_max),
                       err);
}

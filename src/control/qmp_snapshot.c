/* Commands of the control protocol about snapshots and jobs (QEMU, qapi/migration.json and
 * qapi/job.json). Where QEMU keeps snapshots in disk images, ours are files: TAG means the user's
 * folder of them, x-vireo-path any other place. */
#include "base/alloc.h"
#include "base/text.h"
#include "control/jobs.h"
#include "control/qmp_commands.h"
#include "control/rundir.h"
#include "control/snapshot.h"
#include "control/vm_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct snapshot_job {
    struct vireo_vm *vm;
    char path[4096], parent[4096], tag[VR_NAME_MAX + 1];
    bool compress, no_disks, force;
    struct vr_qmp_job *job;
};

/* The file that the command is about. */
static int snapshot_place(struct vr_qmp_call *call, bool make, struct snapshot_job *j,
                          struct vr_error *err)
{
    const char *tag = vr_qmp_arg(call, "tag"), *path = vr_qmp_arg(call, "x-vireo-path");
    const char *name = vr_vm_name(call->vm);
    char folder[4096];
    if (!vr_name_good(tag, VR_NAME_MAX)) {
        return vr_err(
            err, -EINVAL,
            "tag '%.40s': expected up to %d letters, digits, '.', '_' and '-', a letter or "
            "digit first",
            tag, VR_NAME_MAX);
    }
    snprintf(j->tag, sizeof(j->tag), "%s", tag);
    if (path) {
        return path[0] != '/' || strlen(path) >= sizeof(j->path)
                   ? vr_err(err, -EINVAL, "x-vireo-path '%.80s': expected an absolute path", path)
                   : (snprintf(j->path, sizeof(j->path), "%s", path), 0);
    }
    int r = vr_snapshot_folder(name, make, folder, sizeof(folder), err);
    return r < 0 ? r : vr_snapshot_path(name, tag, j->path, sizeof(j->path), err);
}

static bool snapshot_knows(struct vr_qmp_call *call, const char *id)
{
    vr_machine_hold_devs(call->vm->machine);
    bool there = vr_machine_find_dev(call->vm->machine, id);
    vr_machine_release_devs(call->vm->machine);
    return there;
}

/* QEMU's clients name disks: those that there are. */
static int snapshot_devices(struct vr_qmp_call *call, bool *ret_none, struct vr_error *err)
{
    const json_t *devices = json_object_get(call->args, "devices");
    const char *vmstate = vr_qmp_arg(call, "vmstate");
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const char *id = json_string_value(json_array_get(devices, i));
        if (!snapshot_knows(call, id)) {
            return vr_err(err, -ENODEV, "No block device node '%.40s'", id);
        }
    }
    if (vmstate && *vmstate && !snapshot_knows(call, vmstate)) {
        return vr_err(err, -ENODEV, "No block device node '%.40s'", vmstate);
    }
    *ret_none = json_is_array(devices) && json_array_size(devices) == 0;
    return 0;
}

static void snapshot_progress(void *opaque, uint64_t done, uint64_t total)
{
    vr_job_progress(((struct snapshot_job *)opaque)->job, done, total);
}

static int snapshot_run_save(struct vr_qmp_job *job, void *arg, struct vr_error *err)
{
    struct snapshot_job *j = arg;
    struct vireo_snapshot_how how = {.path = j->path,
                                     .tag = j->tag,
                                     .parent = *j->parent ? j->parent : NULL,
                                     .compress = j->compress,
                                     .no_disks = j->no_disks,
                                     .progress = snapshot_progress,
                                     .opaque = j};
    j->job = job;
    return vireo_vm_snapshot_save(j->vm, &how, err);
}

static int snapshot_run_load(struct vr_qmp_job *job, void *arg, struct vr_error *err)
{
    struct snapshot_job *j = arg;
    (void)job;
    return vireo_vm_snapshot_restore(j->vm, j->path, err);
}

static int snapshot_run_delete(struct vr_qmp_job *job, void *arg, struct vr_error *err)
{
    struct snapshot_job *j = arg;
    (void)job;
    return vireo_snapshot_delete(j->path, j->force, err);
}

static int snapshot_start(struct vr_qmp_call *call, const char *type, bool make,
                          int (*run)(struct vr_qmp_job *job, void *arg, struct vr_error *err),
                          struct vr_error *err)
{
    struct snapshot_job *j = vr_zalloc(sizeof(*j));
    const char *parent = vr_qmp_arg(call, "x-vireo-parent");
    bool none = false;
    int r = j ? snapshot_place(call, make, j, err) : vr_err(err, -ENOMEM, "no memory");
    r = r < 0 ? r : snapshot_devices(call, &none, err);
    if (r == 0 && parent) {
        r = vr_snapshot_path(vr_vm_name(call->vm), parent, j->parent, sizeof(j->parent), err);
    }
    if (r < 0) {
        free(j);
        return r;
    }
    j->vm = call->vm;
    j->compress = json_is_true(json_object_get(call->args, "x-vireo-compress"));
    j->no_disks = none || json_is_false(json_object_get(call->args, "x-vireo-disks"));
    j->force = json_is_true(json_object_get(call->args, "x-vireo-force"));
    return vr_jobs_start(call->vm->jobs, vr_qmp_arg(call, "job-id"), type, run, j, free, err);
}

int vr_qmp_snapshot_save(struct vr_qmp_call *call, struct vr_error *err)
{
    return snapshot_start(call, "snapshot-save", true, snapshot_run_save, err);
}

int vr_qmp_snapshot_load(struct vr_qmp_call *call, struct vr_error *err)
{
    return snapshot_start(call, "snapshot-load", false, snapshot_run_load, err);
}

int vr_qmp_snapshot_delete(struct vr_qmp_call *call, struct vr_error *err)
{
    return snapshot_start(call, "snapshot-delete", false, snapshot_run_delete, err);
}

int vr_qmp_query_jobs(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_qmp_done(call, vr_jobs_query(call->vm->jobs), err);
}

int vr_qmp_job_dismiss(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_jobs_dismiss(call->vm->jobs, vr_qmp_arg(call, "id"), err);
}

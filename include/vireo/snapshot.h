/*
 * Snapshots: a machine in a file, to be continued later, again, or elsewhere.
 *
 *     struct vireo_snapshot_how how = {.path = "before.vsnap"};
 *     if (vireo_vm_snapshot_save(vm, &how, &err) < 0) { ... }      the machine runs on
 *
 *     struct vireo_config *config;                                  later, in another process
 *     vireo_snapshot_config("before.vsnap", &config, &err);
 *     vireo_vm_create(config, &vm, &err);                           checked here, but for memory
 *     vireo_vm_start(vm, &err);                                     goes on where it stood
 *
 * A snapshot holds memory, processors and devices, what the machine was made of, and the contents
 * of the disks that the guest can write to. One that has a parent holds what changed since. The
 * format is described in docs/snapshots.md. Every byte is checked before it is used: memory, where
 * it is mapped, part by part while the machine runs, unless "snapshot-verify" is set. When damage
 * is found then, the machine tells x-vireo-SNAPSHOT_DAMAGED and stops, with code 5.
 *
 * Errors: negative errno, as in vireo/error.h; the message names the file. -EPROTO: it is no
 * snapshot, or a damaged one, or does not fit. -ESTALE: a disk is not as it was.
 */
#ifndef VIREO_SNAPSHOT_H
#define VIREO_SNAPSHOT_H

#include "vireo/error.h"
#include "vireo/version.h"
#include "vireo/vm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vireo_snapshot_how {
    const char *path;   /* the file; a snapshot that is there is replaced whole, or not at all */
    const char *tag;    /* a name for people; NULL: that of the file */
    const char *parent; /* hold what changed since this snapshot, which has to stay; NULL: all */
    bool compress;      /* with zstd: smaller, slower, and not mapped when it is continued */
    bool no_disks;      /* leave contents of disks out: when it is continued they must be as they
                           are at the moment of the snapshot */
    /* Called, on the caller's thread, while the machine stands still; NULL: not. */
    void (*progress)(void *opaque, uint64_t done_bytes, uint64_t total_bytes);
    void *opaque;
};

/*
 * Save @vm as it is, at any moment: running or paused. CPUs and guest time stand still while memory
 * and disks are written (to the host's cache; it runs on before they are on the medium), and
 * requests in flight are completed first. -EINVAL: it is stopped, so there is nothing to save;
 * -ENOSPC, -EACCES, ...: the file; -EEXIST: something that is no snapshot is there; -EBUSY: others
 * in that folder were made of what is there, or this one is to be; -ENOTSUP: compression in a build
 * without zstd; -EPROTO: @parent is of another machine. After a failure the machine is as before,
 * and what was at the path still is. Not from a callback.
 */
VIREO_API int vireo_vm_snapshot_save(struct vireo_vm *vm, const struct vireo_snapshot_how *how,
                                     struct vr_error *err);
/*
 * Take @vm, a machine of the same parts, back to the snapshot at @path: its memory and state, and
 * the contents of its disks, which are written over. It runs on if it ran. -EPROTO: damaged, or of
 * a machine of other parts; -ESTALE: a disk whose contents are not in the snapshot has changed.
 * These are found before anything is touched; after other failures the machine is stopped. Not
 * from a callback.
 */
VIREO_API int vireo_vm_snapshot_restore(struct vireo_vm *vm, const char *path,
                                        struct vr_error *err);

/*
 * The configuration of the machine in the snapshot at @path, with its key "snapshot" set, which
 * makes vireo_vm_create and vireo_vm_start continue it. Settings may be changed as long as the
 * machine's parts stay the same: where disks are, the name, the engine, consoles, host ports.
 */
VIREO_API int vireo_snapshot_config(const char *path, struct vireo_config **ret_config,
                                    struct vr_error *err);
/* What is known of the snapshot at @path, as a JSON object: docs/snapshots.md. Free it with
 * vireo_config_text_free. Only what is told is checked. */
VIREO_API int vireo_snapshot_info(const char *path, char **ret_json, struct vr_error *err);
/* Check every byte of the snapshot at @path and of those it is made of. */
VIREO_API int vireo_snapshot_verify(const char *path, struct vr_error *err);
/* Write what the snapshot at @path and its parents say into one file @to (which may be @path), that
 * needs no parent. -EEXIST, -EBUSY: as vireo_vm_snapshot_save. */
VIREO_API int vireo_snapshot_merge(const char *path, const char *to, bool compress,
                                   struct vr_error *err);
/* Remove the snapshot at @path. -EBUSY: another one in its folder was made of it, and would be
 * lost; not with @force. */
VIREO_API int vireo_snapshot_delete(const char *path, bool force, struct vr_error *err);

#ifdef __cplusplus
}
#endif

#endif

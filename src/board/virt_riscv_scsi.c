/* The virt machine's SCSI controller: disks and CD-ROM drives, one a target, at the start and
 * later. */
#include "base/err.h"
#include "board/virt_riscv_priv.h"

#include <errno.h>
#include <string.h>

/* Units whose images the machine closes in the end: what is at the target then. */
static void scsi_close(void *blk)
{
    vr_blk_close(*(struct vr_blk **)blk);
}

static int scsi_open(struct vr_virt *v, const struct vr_virt_disk *disk, struct vr_blk **ret_blk,
                     struct vr_error *err)
{
    *ret_blk = NULL;
    return disk->path ? virt_open_disk(v, disk, ret_blk, err) : 0;
}

static int scsi_plug(struct vr_virt *v, const struct vr_virt_disk *disk, unsigned target,
                     struct vr_error *err)
{
    struct vr_blk *blk;
    int r = scsi_open(v, disk, &blk, err);
    if (r < 0) {
        return r;
    }
    struct vr_virtio_scsi_unit unit = {.kind = disk->cdrom ? VR_SCSI_CDROM : VR_SCSI_DISK,
                                       .target = target,
                                       .blk = blk,
                                       .serial =
                                           disk->opts ? disk->opts + strlen("serial=") : NULL};
    r = vr_virtio_scsi_plug(v->scsi, &unit, err);
    if (r < 0) {
        vr_blk_close(blk);
        return r;
    }
    v->scsi_blk[target] = blk;
    v->scsi_used[target] = true;
    return 0;
}

int virt_add_scsi(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    unsigned target = 0;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < o->disk_count; i++) {
        if (!o->disk[i].scsi) {
            continue;
        }
        if (!v->scsi) {
            for (unsigned k = 0; r == 0 && k < VR_VIRTIO_SCSI_UNITS; k++) {
                r = vr_machine_own(v->machine, scsi_close, &v->scsi_blk[k], err);
            }
            r = r < 0 ? r : virt_add_virtio(v, "scsi", "scsi0", NULL, &v->scsi, err);
        }
        r = r < 0 ? r : scsi_plug(v, &o->disk[i], target++, err);
    }
    return r;
}

static int scsi_there(const struct vr_virt *v, struct vr_error *err)
{
    return v->scsi ? 0
                   : vr_err(err, -ENODEV,
                            "this machine has no SCSI controller: give it a --cdrom, or a --disk "
                            "on bus=scsi");
}

int vr_virt_scsi_add(struct vr_virt *v, const struct vr_virt_disk *disk, unsigned *ret_target,
                     struct vr_error *err)
{
    unsigned target = 0;
    int r = scsi_there(v, err);
    if (r < 0) {
        return r;
    }
    while (target < VR_VIRTIO_SCSI_UNITS && v->scsi_used[target]) {
        target++;
    }
    if (target == VR_VIRTIO_SCSI_UNITS) {
        return vr_err(err, -ENOSPC, "the SCSI controller has %d units already",
                      VR_VIRTIO_SCSI_UNITS);
    }
    r = scsi_plug(v, disk, target, err);
    if (r == 0) {
        *ret_target = target;
    }
    return r;
}

/* Units that came as devices have ids, by which they go. */
static int scsi_not_plug(const struct vr_virt *v, unsigned target, struct vr_error *err)
{
    for (const struct virt_plug *p = v->plugs; p; p = p->next) {
        if (p->scsi == v->scsi && p->target == target) {
            return vr_err(err, -EBUSY, "target %u is device '%s': remove that", target, p->id);
        }
    }
    return 0;
}

int vr_virt_scsi_remove(struct vr_virt *v, unsigned target, struct vr_error *err)
{
    int r = scsi_there(v, err);
    r = r < 0 ? r : scsi_not_plug(v, target, err);
    r = r < 0 ? r : vr_virtio_scsi_unplug(v->scsi, target, 0, err);
    if (r == 0) {
        vr_blk_close(v->scsi_blk[target]);
        v->scsi_blk[target] = NULL;
        v->scsi_used[target] = false;
    }
    return r;
}

int vr_virt_cdrom_change(struct vr_virt *v, unsigned target, const char *path, struct vr_error *err)
{
    struct vr_virt_disk disc = {.path = path, .read_only = true, .force_raw = true};
    struct vr_blk *blk = NULL;
    int r = scsi_there(v, err);
    r = r < 0 ? r : scsi_not_plug(v, target, err);
    r = r < 0 ? r : scsi_open(v, &disc, &blk, err);
    if (r < 0) {
        return r;
    }
    r = vr_virtio_scsi_medium(v->scsi, target, 0, blk, err);
    if (r < 0) {
        vr_blk_close(blk);
        return r;
    }
    vr_blk_close(v->scsi_blk[target]);
    v->scsi_blk[target] = blk;
    return 0;
}

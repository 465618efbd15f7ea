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

int virt_scsi_plug(struct vr_dev *dev, bool cdrom, struct vr_blk *blk, const char *opts, int target,
                   unsigned *ret_target, struct vr_error *err)
{
    static const char serial[] = "serial=";
    struct vr_virtio_scsi_unit unit = {.kind = cdrom ? VR_SCSI_CDROM : VR_SCSI_DISK,
                                       .target = target < 0 ? 0 : (unsigned)target,
                                       .blk = blk};
    if (opts) {
        if (strncmp(opts, serial, sizeof(serial) - 1) != 0 || strchr(opts, ',')) {
            return vr_err(err, -EINVAL, "%s: of '%s', a SCSI disk has the serial alone", dev->id,
                          opts);
        }
        unit.serial = opts + sizeof(serial) - 1;
    }
    int r;
    while ((r = vr_virtio_scsi_plug(dev, &unit, err)) == -EEXIST && target < 0) {
        if (++unit.target == VR_VIRTIO_SCSI_UNITS) {
            return vr_err(err, -ENOSPC, "%s: it has %d units already", dev->id,
                          VR_VIRTIO_SCSI_UNITS);
        }
    }
    if (r == 0) {
        *ret_target = unit.target;
    }
    return r;
}

static int scsi_plug(struct vr_virt *v, const struct vr_virt_disk *disk, int target,
                     unsigned *ret_target, struct vr_error *err)
{
    struct vr_blk *blk;
    unsigned at = 0;
    int r = scsi_open(v, disk, &blk, err);
    if (r < 0) {
        return r;
    }
    r = virt_scsi_plug(v->scsi, disk->cdrom, blk, disk->opts, target, &at, err);
    if (r < 0) {
        vr_blk_close(blk);
        return r;
    }
    v->scsi_blk[at] = blk;
    v->scsi_drive[at] = disk->cdrom;
    *ret_target = at;
    return 0;
}

int virt_add_scsi(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    unsigned at;
    int r = 0, target = 0;
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
        r = r < 0 ? r : scsi_plug(v, &o->disk[i], target++, &at, err);
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
    int r = scsi_there(v, err);
    return r < 0 ? r : scsi_plug(v, disk, -1, ret_target, err);
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

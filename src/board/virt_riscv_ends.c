/*
 * The virt machine's host ends: images, networks, directories and character devices, each of one
 * device at a time. The machine closes them when its devices are gone; one that a device brought
 * along is closed when that device leaves, one with a name stays for the next.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "board/virt_riscv_priv.h"
#include "dev/virtio/blk.h"
#include "dev/virtio/console.h"
#include "dev/virtio/fs.h"
#include "dev/virtio/net.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* The loop of I/O thread @io_thread - 1; 0: of the next in turn. -EINVAL: there are fewer. */
static int end_io_loop(struct vr_virt *v, unsigned io_thread, struct vr_loop **ret_loop,
                       struct vr_error *err)
{
    struct vr_loop *loop = NULL;
    if (io_thread) {
        loop = vr_machine_io_loop(v->machine, io_thread - 1);
        if (!loop) {
            return vr_err(err, -EINVAL,
                          "iothread=%u: this machine has fewer; more with --io-threads COUNT",
                          io_thread - 1);
        }
    } else {
        /* Of several, the first one has the consoles and the control socket: it comes last. */
        loop = vr_machine_io_loop(v->machine, ++v->io_next);
        if (!loop) {
            v->io_next = 0;
            loop = vr_machine_io_loop(v->machine, 0);
        }
    }
    *ret_loop = loop;
    return 0;
}

static int end_open_net(struct vr_virt *v, const char *spec, struct vr_loop *loop,
                        struct vr_net **ret_net, struct vr_error *err)
{
    static const char stream[] = "stream,path=";
    bool user = strncmp(spec, "user", 4) == 0 && (!spec[4] || spec[4] == ',');
    if (!user && strncmp(spec, stream, strlen(stream)) != 0) {
        return vr_err(err, -EINVAL, "no network backend '%s'; there are: user, stream", spec);
    }
    if (vr_det_replaying(vr_machine_det(v->machine))) {
        return vr_net_open_replay(loop, user, ret_net, err);
    }
    return user ? vr_net_open_user(spec[4] ? spec + 5 : NULL, loop, ret_net, err)
                : vr_net_open_stream(spec + strlen(stream), loop, ret_net, err);
}

static int end_open_share(struct vr_virt *v, const struct vr_virt_share *share,
                          struct vr_loop *loop, struct vr_fs **ret_fs, struct vr_error *err)
{
    const struct vr_fs_dir_opts dir = {.path = share->path,
                                       .read_only = share->read_only,
                                       .cache = share->cache,
                                       .host_locks = share->host_locks,
                                       .uid = share->uid,
                                       .gid = share->gid,
                                       .log = v->log};
    return vr_fs_open_dir(&dir, loop, ret_fs, err);
}

int virt_open_disk(struct vr_virt *v, const struct vr_virt_disk *disk, struct vr_blk **ret_blk,
                   struct vr_error *err)
{
    const struct vr_blk_opts blk = {.path = disk->path,
                                    .read_only = disk->read_only,
                                    .unheld = v->disks_unheld,
                                    .format = disk->force_raw ? "raw" : NULL};
    struct vr_loop *loop = NULL;
    int r = end_io_loop(v, disk->io_thread, &loop, err);
    if (r < 0) {
        return r;
    }
    return disk->under ? vr_blk_open_overlay(disk->path, disk->under, disk->dir, disk->read_only,
                                             loop, ret_blk, err)
                       : vr_blk_open(&blk, loop, ret_blk, err);
}

static int end_open(struct vr_virt *v, const struct vr_virt_end *o, struct virt_end *end,
                    struct vr_error *err)
{
    const unsigned io_thread = o->kind == VR_VIRT_END_NET     ? o->net_io_thread
                               : o->kind == VR_VIRT_END_SHARE ? o->share.io_thread
                                                              : 1;
    struct vr_loop *loop = NULL;
    if (o->kind == VR_VIRT_END_DISK) {
        return virt_open_disk(v, &o->disk, &end->host.blk, err);
    }
    int r = end_io_loop(v, io_thread, &loop, err);
    if (r < 0) {
        return r;
    }
    switch (o->kind) {
    case VR_VIRT_END_NET:
        return end_open_net(v, o->net, loop, &end->host.net, err);
    case VR_VIRT_END_SHARE:
        return end_open_share(v, &o->share, loop, &end->host.fs, err);
    case VR_VIRT_END_CHR:
        return vr_chr_open(&o->chr, loop, &end->host.chr, err);
    case VR_VIRT_END_DISK:
    case VR_VIRT_END_NONE:
        break;
    }
    vr_assert(!"a kind of host end");
    return -EINVAL;
}

static void end_close(struct virt_end *end)
{
    switch (end->kind) {
    case VR_VIRT_END_DISK:
        vr_blk_close(end->host.blk);
        break;
    case VR_VIRT_END_NET:
        vr_net_close(end->host.net);
        break;
    case VR_VIRT_END_SHARE:
        vr_fs_close(end->host.fs);
        break;
    case VR_VIRT_END_CHR:
        vr_chr_close(end->host.chr);
        break;
    case VR_VIRT_END_NONE:
        break;
    }
    free(end);
}

static void ends_close(void *virt)
{
    struct vr_virt *v = virt;
    while (v->ends) {
        struct virt_end *end = v->ends;
        v->ends = end->next;
        end_close(end);
    }
}

int virt_ends_init(struct vr_virt *v, struct vr_error *err)
{
    return vr_machine_own(v->machine, ends_close, v, err);
}

int virt_end_open(struct vr_virt *v, const struct vr_virt_end *o, const char *name,
                  struct virt_end **ret_end, struct vr_error *err)
{
    struct virt_end *end = vr_zalloc(sizeof(*end));
    if (!end) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    int r = end_open(v, o, end, err);
    if (r < 0) {
        free(end);
        return r;
    }
    end->kind = o->kind;
    snprintf(end->name, sizeof(end->name), "%s", name ? name : "");
    vr_machine_hold_devs(v->machine);
    struct virt_end **at = &v->ends;
    while (*at) { /* in the order in which they were opened */
        at = &(*at)->next;
    }
    *at = end;
    vr_machine_release_devs(v->machine);
    *ret_end = end;
    return 0;
}

static void end_drop(struct vr_virt *v, struct virt_end *end)
{
    struct virt_end **at = &v->ends;
    while (*at != end) {
        at = &(*at)->next;
    }
    vr_machine_hold_devs(v->machine);
    *at = end->next;
    vr_machine_release_devs(v->machine);
    end_close(end);
}

void virt_end_attach(struct vr_virt *v, struct virt_end *end, struct vr_dev *dev)
{
    switch (end->kind) {
    case VR_VIRT_END_DISK:
        vr_virtio_blk_attach(dev, end->host.blk);
        break;
    case VR_VIRT_END_NET:
        vr_virtio_net_attach(dev, end->host.net);
        break;
    case VR_VIRT_END_SHARE:
        vr_virtio_fs_attach(dev, end->host.fs);
        break;
    case VR_VIRT_END_CHR:
        vr_virtio_console_attach(dev, 0, end->host.chr);
        break;
    case VR_VIRT_END_NONE:
        break;
    }
    virt_end_use(v, end, dev->id);
}

void virt_end_use(struct vr_virt *v, struct virt_end *end, const char *id)
{
    vr_machine_hold_devs(v->machine);
    snprintf(end->user, sizeof(end->user), "%s", id);
    vr_machine_release_devs(v->machine);
}

void virt_end_leave(struct vr_virt *v, struct virt_end *end)
{
    if (end && !end->name[0]) {
        end_drop(v, end);
    } else if (end) {
        virt_end_use(v, end, "");
    }
}

struct virt_end *virt_end_find(struct vr_virt *v, const char *name)
{
    struct virt_end *end = v->ends;
    while (end && strcmp(end->name, name) != 0) {
        end = end->next;
    }
    return end;
}

int vr_virt_end_add(struct vr_virt *v, const struct vr_virt_end *o, const char *name,
                    struct vr_error *err)
{
    struct virt_end *end;
    if (!*name || strlen(name) >= sizeof(end->name)) {
        return vr_err(err, -EINVAL, "'%.40s': a name has 1 to %zu characters", name,
                      sizeof(end->name) - 1);
    }
    if (virt_end_find(v, name)) {
        return vr_err(err, -EEXIST, "there is a host end '%s' already", name);
    }
    return virt_end_open(v, o, name, &end, err);
}

const char *vr_virt_end_chr_path(struct vr_virt *v, const char *name)
{
    const struct virt_end *end = virt_end_find(v, name);
    return end && end->kind == VR_VIRT_END_CHR ? vr_chr_path(end->host.chr) : NULL;
}

int vr_virt_end_del(struct vr_virt *v, enum vr_virt_end_kind kind, const char *name,
                    struct vr_error *err)
{
    struct virt_end *end = *name ? virt_end_find(v, name) : NULL;
    if (!end || end->kind != kind) {
        return vr_err(err, -ENOENT, "there is no '%.40s' of this kind", name);
    }
    if (end->user[0]) {
        return vr_err(err, -EBUSY, "'%s' is in use by device '%s'", name, end->user);
    }
    end_drop(v, end);
    return 0;
}

struct vr_blk *vr_virt_disk(struct vr_virt *v, unsigned disk, const char **ret_id)
{
    for (const struct virt_end *end = v->ends; end; end = end->next) {
        if (end->kind == VR_VIRT_END_DISK && end->user[0] && disk-- == 0) {
            *ret_id = end->user;
            return end->host.blk;
        }
    }
    return NULL;
}

static bool end_is_drive(const struct vr_virt *v, const struct virt_end *end)
{
    for (const struct virt_plug *p = v->plugs; p; p = p->next) {
        if (p->end == end) {
            return p->cdrom;
        }
    }
    return false;
}

bool vr_virt_node(struct vr_virt *v, unsigned i, struct vr_virt_node *ret_node)
{
    struct vr_virt_node node = {.blk = NULL};
    for (const struct virt_end *end = v->ends; end && !node.blk; end = end->next) {
        if (end->kind == VR_VIRT_END_DISK && i-- == 0) {
            node.blk = end->host.blk;
            node.removable = end_is_drive(v, end);
            snprintf(node.id, sizeof(node.id), "%s", end->user);
            snprintf(node.name, sizeof(node.name), "%s", end->name);
        }
    }
    for (unsigned k = 0; k < VR_VIRTIO_SCSI_UNITS && !node.blk; k++) {
        if (v->scsi_blk[k] && i-- == 0) {
            node.blk = v->scsi_blk[k];
            node.removable = v->scsi_drive[k];
            snprintf(node.id, sizeof(node.id), "%.16s.%u", v->scsi->id, k);
        }
    }
    if (!node.blk) {
        return false;
    }
    if (!*node.name) {
        snprintf(node.name, sizeof(node.name), "#%s", node.id);
    }
    *ret_node = node;
    return true;
}

struct vr_blk *vr_virt_find_disk(struct vr_virt *v, const char *id)
{
    struct vr_virt_node node;
    for (unsigned i = 0; *id && vr_virt_node(v, i, &node); i++) {
        if (strcmp(node.id, id) == 0) {
            return node.blk;
        }
    }
    return NULL;
}

struct vr_net *vr_virt_net(struct vr_virt *v, const char *name)
{
    for (const struct virt_end *end = v->ends; *name && end; end = end->next) {
        if (end->kind == VR_VIRT_END_NET &&
            (strcmp(end->user, name) == 0 || strcmp(end->name, name) == 0)) {
            return end->host.net;
        }
    }
    return NULL;
}

/* Call fn for each open image, until it fails or *left, which counts down, is 0. */
static int ends_each_disk(struct vr_virt *v, unsigned *left,
                          int (*fn)(struct vr_blk *blk, void *opaque, struct vr_error *err),
                          void *opaque, struct vr_error *err)
{
    int r = 0;
    for (struct virt_end *end = v->ends; end && r == 0; end = end->next) {
        if (end->kind == VR_VIRT_END_DISK && *left > 0) {
            (*left)--;
            r = fn(end->host.blk, opaque, err);
        }
    }
    for (unsigned i = 0; i < VR_VIRTIO_SCSI_UNITS && r == 0; i++) {
        if (v->scsi_blk[i] && *left > 0) {
            (*left)--;
            r = fn(v->scsi_blk[i], opaque, err);
        }
    }
    return r;
}

struct ends_hold {
    struct vr_virt *v;
    bool hold;
    unsigned done;
};

static int ends_hold_one(struct vr_blk *blk, void *opaque, struct vr_error *err)
{
    struct ends_hold *h = opaque;
    int r = vr_blk_hold(blk, h->hold, err);
    h->done += r == 0;
    return r;
}

/* As it was before ends_hold_one. */
static int ends_undo_one(struct vr_blk *blk, void *opaque, struct vr_error *err)
{
    struct ends_hold *h = opaque;
    (void)err;
    if (vr_blk_hold(blk, !h->hold, NULL) < 0) {
        vr_log(h->v->log, VR_ERROR, blk->path, "the lock cannot be %s",
               h->hold ? "let go again" : "taken back");
    }
    return 0;
}

int vr_virt_hold_disks(struct vr_virt *v, bool hold, struct vr_error *err)
{
    struct ends_hold h = {.v = v, .hold = hold};
    unsigned all = UINT_MAX;
    vr_machine_hold_devs(v->machine);
    int r = ends_each_disk(v, &all, ends_hold_one, &h, err);
    if (r < 0) {
        (void)ends_each_disk(v, &h.done, ends_undo_one, &h, NULL);
    }
    vr_machine_release_devs(v->machine);
    v->disks_unheld = v->disks_unheld && !(r == 0 && hold); /* for those that come later */
    return r;
}

static int ends_may_move(struct vr_blk *blk, void *opaque, struct vr_error *err)
{
    (void)opaque;
    return vr_blk_can_hand_over(blk, err);
}

int vr_virt_can_move(struct vr_virt *v, struct vr_error *err)
{
    unsigned all = UINT_MAX;
    if (v->flash_vars) {
        return vr_err(
            err, -ENOTSUP,
            "a machine with --flash-vars cannot be migrated: two processes would have its "
            "file");
    }
    vr_machine_hold_devs(v->machine);
    int r = ends_each_disk(v, &all, ends_may_move, NULL, err);
    vr_machine_release_devs(v->machine);
    return r;
}

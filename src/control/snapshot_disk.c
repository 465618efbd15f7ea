/* Disks in snapshots: their contents, or how to tell that they are what they were. */
#include "backend/block/block.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "control/snapshot.h"
#include "control/vm_priv.h"
#include "platform/file.h"
#include "platform/newfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* Reading this much costs less than being wrong. */
#define DISK_HASHED (UINT64_C(64) << 20)

static void disk_end(struct vr_snapshot_ends *e, struct vr_blk *blk, const char *id, bool plugged)
{
    if (e->count < VR_SNAPSHOT_DISKS) {
        e->blk[e->count] = blk;
        e->disk[e->count].plugged = plugged;
        snprintf(e->disk[e->count++].id, VR_SNAPSHOT_ID, "%s", id);
    }
}

static bool disk_is_listed(const struct vr_snapshot_ends *e, const char *id)
{
    for (unsigned i = 0; i < e->count; i++) {
        if (strcmp(e->disk[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

void vr_snapshot_ends(struct vireo_vm *vm, struct vr_snapshot_ends *e)
{
    unsigned plain = 0, scsi = 0;
    char id[VR_SNAPSHOT_ID];
    const char *is;
    struct vr_blk *blk;
    *e = (struct vr_snapshot_ends){.count = 0};
    for (unsigned i = 0; i < vm->config->disk_count; i++) {
        bool on_scsi = vm->config->disk[i].scsi;
        snprintf(id, sizeof(id), on_scsi ? "scsi0.%u" : "disk%u", on_scsi ? scsi : plain);
        blk = on_scsi ? vr_virt_scsi_disk(vm->virt, scsi++) : vr_virt_find_disk(vm->virt, id);
        plain += !on_scsi;
        disk_end(e, blk, id, false);
    }
    for (unsigned i = 0; (blk = vr_virt_disk(vm->virt, i, &is)); i++) {
        if (!disk_is_listed(e, is)) {
            disk_end(e, blk, is, true);
        }
    }
}

static void disk_image(unsigned index, char *ret_name, size_t size)
{
    snprintf(ret_name, size, "disk%u", index);
}

static int disk_read_failed(const struct vr_blk *blk, int r, struct vr_error *err)
{
    return vr_err(err, r, "disk %s: cannot read it for a snapshot: %s", blk->path, strerror(-r));
}

/* ---- To a snapshot ---- */

struct disk_source {
    struct vr_blk *blk;
    uint8_t *buf;
};

static uint64_t disk_next(void *opaque, uint64_t off)
{
    struct disk_source *d = opaque;
    int fd = vr_blk_file(d->blk);
    return fd < 0 ? off : vr_newfile_next_data(fd, off, d->blk->size_bytes);
}

static const uint8_t *disk_read(void *opaque, uint64_t off, size_t len, struct vr_error *err)
{
    struct disk_source *d = opaque;
    int r = vr_blk_do(d->blk, VR_BLK_READ, off, d->buf, len);
    if (r < 0) {
        (void)disk_read_failed(d->blk, r, err);
        return NULL;
    }
    return d->buf;
}

int vr_snapshot_disk_put(struct vr_snapfile_writer *w, unsigned index, struct vr_blk *blk,
                         const uint64_t *base, void (*done)(void *opaque, uint64_t bytes),
                         void *opaque, struct vr_error *err)
{
    struct disk_source d = {.blk = blk, .buf = malloc(VR_SNAPFILE_PIECE)};
    struct vr_snapfile_source s = {.len_bytes = blk->size_bytes,
                                   .grain_bytes = VR_SNAPSHOT_GRAIN_DISK,
                                   .next = disk_next,
                                   .read = disk_read,
                                   .clone_fd = vr_blk_file(blk),
                                   .base = base,
                                   .opaque = &d};
    char name[VR_SNAPFILE_NAME];
    disk_image(index, name, sizeof(name));
    int r = d.buf ? vr_snapfile_put_image(w, name, &s, done, opaque, err)
                  : vr_err(err, -ENOMEM, "disk %s: no memory for a snapshot", blk->path);
    free(d.buf);
    return r;
}

/* All bytes as one number: zeroes where nothing is. */
static int disk_hash(struct vr_blk *blk, uint64_t *ret_hash, struct vr_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    uint8_t *buf = malloc(VR_SNAPFILE_PIECE);
    int r = state && buf ? 0 : -ENOMEM;
    if (r == 0) {
        (void)XXH3_64bits_reset(state);
    }
    for (uint64_t at = 0; r == 0 && at < blk->size_bytes; at += VR_SNAPFILE_PIECE) {
        uint64_t left = blk->size_bytes - at;
        size_t len = left < VR_SNAPFILE_PIECE ? (size_t)left : VR_SNAPFILE_PIECE;
        r = vr_blk_do(blk, VR_BLK_READ, at, buf, len);
        (void)XXH3_64bits_update(state, buf, len);
    }
    if (r == 0) {
        *ret_hash = XXH3_64bits_digest(state);
    }
    (void)XXH3_freeState(state);
    free(buf);
    return r < 0 ? disk_read_failed(blk, r, err) : 0;
}

int vr_snapshot_disk_note(struct vr_blk *blk, bool contents, struct vr_snapshot_disk *ret_disk,
                          struct vr_error *err)
{
    struct vr_snapshot_disk d = *ret_disk;
    struct vr_file_identity id = {0};
    struct vr_file_info info;
    d.size_bytes = blk->size_bytes;
    d.read_only = blk->read_only;
    d.contents = contents && !blk->read_only;
    bool known = vr_blk_file(blk) >= 0 && vr_file_stat(blk->path, &info) == 0 &&
                 info.kind == VR_FILE_REGULAR && vr_newfile_identify(blk->path, &id) == 0;
    d.mtime_ns = known ? id.mtime_ns : 0;
    if (!d.contents && blk->size_bytes <= DISK_HASHED) {
        int r = disk_hash(blk, &d.hash, err);
        if (r < 0) {
            return r;
        }
        d.hashed = true;
    } else if (!d.contents && !blk->read_only && !known) {
        return vr_err(err, -ENOTSUP,
                      "disk %s: nothing but its contents could tell later whether it was written "
                      "to: save them too",
                      blk->path);
    }
    *ret_disk = d;
    return 0;
}

/* ---- From a snapshot ---- */

/* Is the file or disk of @size and @mtime what @d was? */
static int disk_compare(const struct vr_snapshot_disk *d, const char *path, uint64_t size,
                        uint64_t mtime_ns, const uint64_t *hash, struct vr_error *err)
{
    if (size != d->size_bytes) {
        return vr_err(err, -ESTALE,
                      "disk %s: it has %llu bytes, and had %llu when the snapshot was made", path,
                      (unsigned long long)size, (unsigned long long)d->size_bytes);
    }
    if (d->hashed && hash ? *hash != d->hash : d->mtime_ns && mtime_ns != d->mtime_ns) {
        return vr_err(err, -ESTALE, "disk %s: it was written to since the snapshot was made", path);
    }
    return 0;
}

int vr_snapshot_disk_check(struct vr_snapshot *s, unsigned index, struct vr_blk *blk,
                           struct vr_error *err)
{
    const struct vr_snapshot_disk *d = &s->disk[index];
    struct vr_file_identity id = {0};
    struct vr_error why = {0};
    uint64_t hash = 0;
    if (!d->path || !blk) {
        return !d->path == !blk ? 0
                                : vr_err(err, -ESTALE,
                                         "drive %u: it had %s when the snapshot was "
                                         "made",
                                         index, d->path ? "a disc" : "no disc");
    }
    if (d->contents && !blk->read_only && blk->size_bytes == d->size_bytes) {
        return 0; /* it will be made so */
    }
    if (d->hashed && blk->size_bytes == d->size_bytes) {
        int r = disk_hash(blk, &hash, err);
        if (r < 0) {
            return r;
        }
    } else {
        (void)!vr_newfile_identify(blk->path, &id);
    }
    int r =
        disk_compare(d, blk->path, blk->size_bytes, id.mtime_ns, d->hashed ? &hash : NULL, &why);
    return r < 0 ? vr_err(err, r, "%.200s; its contents are not in the snapshot", why.msg) : 0;
}

static int disk_blk_write(void *opaque, uint64_t off, const void *data, size_t len,
                          struct vr_error *err)
{
    struct vr_blk *blk = opaque;
    int r = vr_blk_do(blk, VR_BLK_WRITE, off, (void *)(uintptr_t)data, len);
    return r < 0 ? vr_err(err, r, "disk %s: cannot write: %s", blk->path, strerror(-r)) : 0;
}

static int disk_blk_zero(void *opaque, uint64_t off, uint64_t len, struct vr_error *err)
{
    struct vr_blk *blk = opaque;
    int r = vr_blk_do(blk, VR_BLK_WRITE_ZEROES, off, NULL, len);
    return r < 0 ? vr_err(err, r, "disk %s: cannot write: %s", blk->path, strerror(-r)) : 0;
}

int vr_snapshot_disk_get(struct vr_snapshot *s, unsigned index, struct vr_blk *blk,
                         struct vr_error *err)
{
    struct vr_snapfile_sink sink = {.write = disk_blk_write, .zero = disk_blk_zero, .opaque = blk};
    char name[VR_SNAPFILE_NAME];
    uint64_t len;
    uint32_t grain;
    if (!blk || !s->disk[index].contents) {
        return 0;
    }
    disk_image(index, name, sizeof(name));
    int r = vr_snapfile_image(s->file, name, &len, &grain, err);
    if (r == 0 && len != blk->size_bytes) {
        r = vr_err(err, -EPROTO, "disk %s: the snapshot has another size of it", blk->path);
    }
    r = r < 0 ? r : vr_snapfile_give(s->file, name, NULL, &sink, err);
    if (r == 0 && (r = vr_blk_do(blk, VR_BLK_FLUSH, 0, NULL, 0)) < 0) {
        r = vr_err(err, r, "disk %s: cannot write: %s", blk->path, strerror(-r));
    }
    return r;
}

/* ---- Files of disks, before there is a machine ---- */

/* The contents in @s as file @f, whose place is @path. */
static int disk_file_fill(struct vr_snapshot *s, unsigned index, const char *path,
                          struct vr_newfile *f, struct vr_error *err)
{
    char name[VR_SNAPFILE_NAME];
    disk_image(index, name, sizeof(name));
    int r = vr_snapfile_give_file(s->file, name, f->fd, err);
    if (r < 0) {
        vr_newfile_drop(f);
        return vr_err_in(err, r, "disk %s", path);
    }
    r = vr_newfile_commit(f, NULL);
    return r < 0 ? vr_err(err, r, "disk %s: cannot write: %s", path, strerror(-r)) : 0;
}

/* @in_place_of: the file that is there, locked against others; -1: there is none. */
static int disk_file_make(struct vr_snapshot *s, unsigned index, const char *path, int in_place_of,
                          struct vr_error *err)
{
    struct vr_newfile f;
    char name[VR_SNAPFILE_NAME];
    uint64_t len = 0;
    uint32_t grain;
    disk_image(index, name, sizeof(name));
    int r = vr_snapfile_image(s->file, name, &len, &grain, err);
    if (r == 0 && len != s->disk[index].size_bytes) {
        r = vr_err(err, -EPROTO, "disk %u: the snapshot has two sizes of it", index);
    }
    if (r < 0) {
        return r;
    }
    r = vr_newfile_create(path, &f);
    if (r < 0) {
        return vr_err(err, r, "disk %s: cannot make it: %s", path, strerror(-r));
    }
    r = in_place_of < 0 ? 0 : vr_newfile_rights(&f, in_place_of);
    if (r < 0) {
        vr_newfile_drop(&f);
        return vr_err(err, r, "disk %s: cannot make it as it was: %s", path, strerror(-r));
    }
    return disk_file_fill(s, index, path, &f, err);
}

/* Write the contents to where they were. Whoever has the file open would go on with one that nobody
 * finds any more, so it has to be free: its lock is ours until the new one is in its place. */
static int disk_file_revert(struct vr_snapshot *s, unsigned index, const char *path,
                            struct vr_error *err)
{
    struct vr_file_info info;
    int fd = -1;
    int r = vr_file_stat(path, &info);
    if (r < 0 && r != -ENOENT) {
        return vr_err(err, r, "disk %s: %s", path, strerror(-r));
    }
    if (r == 0 && info.kind != VR_FILE_REGULAR) {
        return vr_err(err, -ENOTSUP,
                      "disk %s: it is no file: write the contents into a file "
                      "(snapshot-disks=DIR) and copy that",
                      path);
    }
    if (r == 0 && (r = vr_file_open(path, false, &fd, &info)) < 0) {
        return vr_err(err, r, "disk %s: cannot write to it: %s", path, strerror(-r));
    }
    r = fd < 0 ? 0 : vr_file_lock(fd, false);
    if (r == -EBUSY) {
        r = vr_err(err, r,
                   "disk %s: in use by another Vireo, so what was on it is not put back; stop that "
                   "one, or say --snapshot-disks DIR: a file of its own in DIR",
                   path);
    } else if (r < 0) {
        r = vr_err(err, r, "disk %s: cannot be locked against a second writer: %s", path,
                   strerror(-r));
    } else {
        r = disk_file_make(s, index, path, fd, err);
    }
    if (fd >= 0) {
        vr_file_close(fd);
    }
    return r;
}

/* Are the bytes at @path those in the snapshot? Of small files; 1: yes, 0: no. */
static int disk_file_same(struct vr_snapshot *s, unsigned index, int fd, struct vr_error *err)
{
    const struct vr_snapshot_disk *d = &s->disk[index];
    char name[VR_SNAPFILE_NAME];
    uint64_t *hash, len;
    uint32_t grain;
    disk_image(index, name, sizeof(name));
    int r = vr_snapfile_image(s->file, name, &len, &grain, err);
    if (r == 0 && len != d->size_bytes) {
        return 0;
    }
    r = r < 0 ? r : vr_snapfile_hashes(s->file, name, &hash, err);
    if (r < 0) {
        return r;
    }
    uint8_t *buf = malloc(grain);
    int same = buf != NULL;
    for (uint64_t at = 0; same == 1 && at < len; at += grain) {
        size_t n = len - at < grain ? (size_t)(len - at) : grain;
        uint64_t want = hash[at / grain], is = 0;
        if (vr_file_read(fd, buf, n, at) < 0) {
            same = 0;
            break;
        }
        if (!vr_is_zero(buf, n)) {
            is = XXH3_64bits(buf, n);
            is = is ? is : 1;
        }
        same = is == want;
    }
    free(buf);
    free(hash);
    return same;
}

/* Is the file at @path what the disk was? -ENOENT, -ESTALE. */
static int disk_file_check(struct vr_snapshot *s, unsigned index, const char *path,
                           struct vr_error *err)
{
    const struct vr_snapshot_disk *d = &s->disk[index];
    struct vr_file_identity id = {0};
    struct vr_file_info info;
    int fd;
    int r = vr_file_open(path, true, &fd, &info);
    if (r < 0) {
        return vr_err(err, r, "disk %s: %s", path, strerror(-r));
    }
    (void)!vr_newfile_identify(path, &id);
    if (info.size_bytes == d->size_bytes && d->size_bytes <= DISK_HASHED && d->contents) {
        r = disk_file_same(s, index, fd, err);
        r = r < 0    ? r
            : r == 1 ? 0
                     : vr_err(err, -ESTALE,
                              "disk %s: it was written to since the snapshot was made", path);
    } else if (info.size_bytes == d->size_bytes && d->hashed && d->size_bytes <= DISK_HASHED) {
        uint8_t *buf = malloc((size_t)d->size_bytes);
        r = buf ? vr_file_read(fd, buf, (size_t)d->size_bytes, 0) : -ENOMEM;
        uint64_t hash = r == 0 ? XXH3_64bits(buf, (size_t)d->size_bytes) : 0;
        r = r < 0 ? vr_err(err, r, "disk %s: %s", path, strerror(-r))
                  : disk_compare(d, path, info.size_bytes, id.mtime_ns, &hash, err);
        free(buf);
    } else {
        r = disk_compare(d, path, info.size_bytes, info.kind == VR_FILE_REGULAR ? id.mtime_ns : 0,
                         NULL, err);
    }
    vr_file_close(fd);
    return r;
}

/* Where disk @index is now, by the settings; NULL: nowhere. */
static const char *disk_place(const struct vireo_config *c, const struct vr_snapshot_disk *d,
                              unsigned index)
{
    for (unsigned i = 0; d->plugged && i < c->device_count; i++) {
        const struct vr_config_device *dev = &c->device[i];
        if (dev->end == VR_VIRT_END_DISK && strcmp(dev->id, d->id) == 0) {
            return dev->disk.path;
        }
    }
    return d->plugged ? d->path : c->disk[index].path;
}

static int disk_file(struct vr_snapshot *s, unsigned index, struct vireo_config *c, const char *how,
                     struct vr_error *err)
{
    const struct vr_snapshot_disk *d = &s->disk[index];
    const char *path = disk_place(c, d, index);
    struct vr_error why = {0};
    struct vr_file_info info;
    bool in_folder =
        strcmp(how, "check") != 0 && strcmp(how, "revert") != 0 && strcmp(how, "keep") != 0;
    char made[4096];
    if (!path || !d->path) {
        return !path == !d->path ? 0
                                 : vr_err(err, -EINVAL, "drive %u: it had %s in the snapshot",
                                          index, d->path ? "a disc" : "no disc");
    }
    if (in_folder && d->contents && d->plugged) {
        return vr_err(err, -EINVAL,
                      "disk %s: it was plugged in, and can only be put back where it "
                      "was (snapshot-disks=revert)",
                      d->id);
    }
    if (in_folder && d->contents) {
        if ((size_t)snprintf(made, sizeof(made), "%s/%s-disk%u.img", how, c->name, index) >=
            sizeof(made)) {
            return vr_err(err, -ENAMETOOLONG, "disk %u: the path of its folder is too long", index);
        }
        if (vr_file_stat(made, &info) == 0) {
            return vr_err(err, -EEXIST,
                          "disk %s: there is a file already, which is not written over", made);
        }
        int r = disk_file_make(s, index, made, -1, err);
        return r < 0 ? r : vr_config_disk_move(c, index, made, err);
    }
    int r = disk_file_check(s, index, path, &why);
    if (r == 0 || (strcmp(how, "keep") == 0 && r != -ENOENT)) {
        return 0;
    }
    if (d->contents && strcmp(how, "revert") == 0) {
        return disk_file_revert(s, index, path, err);
    }
    if (d->contents) {
        return vr_err(
            err, r,
            "%.120s. Its contents are in the snapshot: --snapshot-disks revert writes them "
            "there, --snapshot-disks DIR into a new file in DIR%s",
            why.msg, r == -ENOENT ? "; or say where it is now, if it was moved" : "");
    }
    return r == -ENOENT
               ? vr_err(err, r, "%.150s. Say --%s with its new place, if it was moved%s", why.msg,
                        d->plugged             ? "device"
                        : c->disk[index].cdrom ? "cdrom"
                                               : "disk",
                        d->plugged ? ", and all other --device" : "")
               : vr_err(err, r, "%.150s. --snapshot-disks keep takes it as it is", why.msg);
}

int vr_snapshot_disk_files(struct vr_snapshot *s, struct vireo_config *c, const char *how,
                           struct vr_error *err)
{
    unsigned settings = 0;
    for (unsigned i = 0; i < s->disk_count; i++) {
        settings += !s->disk[i].plugged;
    }
    if (c->disk_count != settings) {
        return vr_err(err, -EINVAL, "the machine in the snapshot has %u disks, and not %u",
                      settings, c->disk_count);
    }
    int r = 0;
    for (unsigned i = 0; r == 0 && i < s->disk_count; i++) {
        r = disk_file(s, i, c, how, err);
    }
    return r;
}

/* Opening snapshots: what they say of themselves, and the chain of those they are made of. */
#include "base/alloc.h"
#include "control/snapshot.h"
#include "platform/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OPEN_INFO_MAX = 1 << 20 };

void vr_snapshot_id_text(const uint8_t *id, char *ret_text)
{
    for (unsigned i = 0; i < VR_SNAPFILE_ID; i++) {
        sprintf(ret_text + i * 2, "%02x", id[i]);
    }
}

void vr_snapshot_check_text(uint64_t check, char *ret_text)
{
    sprintf(ret_text, "%016" PRIx64, check);
}

static int open_bad(const struct vr_snapshot *s, const char *what, struct vr_error *err)
{
    return vr_err(err, -EPROTO, "snapshot %s: what it says of %s makes no sense",
                  vr_snapfile_path(s->file), what);
}

static bool open_u64(const json_t *object, const char *key, uint64_t *ret_val)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return false;
    }
    *ret_val = (uint64_t)json_integer_value(v);
    return true;
}

static int open_disk(struct vr_snapshot *s, const json_t *from, struct vr_error *err)
{
    struct vr_snapshot_disk *d = &s->disk[s->disk_count];
    const json_t *path = json_object_get(from, "path"), *hash = json_object_get(from, "hash");
    const char *digits = json_string_value(hash);
    const char *id = json_string_value(json_object_get(from, "id"));
    const json_t *plugged = json_object_get(from, "plugged");
    char *end = NULL;
    /* Those of settings come first. */
    if (!id || strlen(id) >= VR_SNAPSHOT_ID || !json_is_boolean(plugged) ||
        (json_is_false(plugged) && s->disk_count && d[-1].plugged) ||
        (json_is_false(plugged) && s->disk_count >= VR_VIRT_DISKS)) {
        return open_bad(s, "a disk", err);
    }
    snprintf(d->id, sizeof(d->id), "%s", id);
    d->plugged = json_is_true(plugged);
    if (json_is_null(path)) {
        s->disk_count++;
        return 0;
    }
    d->hash = digits ? strtoull(digits, &end, 16) : 0;
    if (!json_is_string(path) || !open_u64(from, "size_bytes", &d->size_bytes) ||
        !open_u64(from, "mtime_ns", &d->mtime_ns) ||
        !json_is_boolean(json_object_get(from, "read_only")) ||
        !json_is_boolean(json_object_get(from, "contents")) || (hash && (!end || *end))) {
        return open_bad(s, "a disk", err);
    }
    d->hashed = hash != NULL;
    d->read_only = json_is_true(json_object_get(from, "read_only"));
    d->contents = json_is_true(json_object_get(from, "contents"));
    d->path = strdup(json_string_value(path));
    s->disk_count++;
    return d->path ? 0 : vr_err(err, -ENOMEM, "no memory");
}

static int open_info(struct vr_snapshot *s, struct vr_error *err)
{
    const void *text;
    size_t len, i;
    json_error_t bad;
    json_t *disk;
    int r = vr_snapfile_bytes(s->file, "info", &text, &len, err);
    if (r < 0) {
        return r == -ENOENT ? open_bad(s, "itself", err) : r;
    }
    s->info = len > OPEN_INFO_MAX ? NULL : json_loadb(text, len, JSON_REJECT_DUPLICATES, &bad);
    const json_t *disks = json_object_get(s->info, "disks");
    if (!json_is_object(s->info) || !open_u64(s->info, "memory_bytes", &s->memory_bytes)) {
        return open_bad(s, "itself", err);
    }
    if (!json_is_array(disks) || json_array_size(disks) > VR_SNAPSHOT_DISKS) {
        return open_bad(s, "its disks", err);
    }
    json_array_foreach((json_t *)disks, i, disk)
    {
        r = r < 0 ? r : open_disk(s, disk, err);
    }
    return r;
}

/* The parent is looked for beside the child first, so that both may be moved together. */
static int open_parent_file(struct vr_snapshot *s, const json_t *parent,
                            struct vr_snapshot **ret_parent, struct vr_error *err)
{
    const char *path = json_string_value(json_object_get(parent, "path"));
    const char *own = vr_snapfile_path(s->file), *slash = strrchr(own, '/');
    const char *name = path && strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    struct vr_file_info info;
    char beside[4096];
    int folder = slash ? (int)(slash + 1 - own) : 0;
    if (!path || !*name) {
        return open_bad(s, "its parent", err);
    }
    if ((size_t)snprintf(beside, sizeof(beside), "%.*s%s", folder, own, name) < sizeof(beside) &&
        vr_file_stat(beside, &info) == 0) {
        path = beside;
    }
    int r = vr_snapshot_open(path, false, ret_parent, err);
    return r < 0 ? vr_err_in(err, r, "snapshot %s: it holds what changed since another one", own)
                 : 0;
}

static int open_chain(struct vr_snapshot *s, struct vr_error *err)
{
    struct vr_snapshot *at = s, *next = NULL;
    json_t *parent = json_object_get(s->info, "parent"), *held = NULL;
    struct vr_snapfile *file = s->file;
    int r = 0;
    for (unsigned depth = 1; r == 0 && parent; depth++) {
        char id[VR_SNAPFILE_ID * 2 + 1], check[17];
        const char *want_id = json_string_value(json_object_get(parent, "id"));
        const char *want_check = json_string_value(json_object_get(parent, "check"));
        r = depth == VR_SNAPFILE_CHAIN
                ? vr_err(err, -EPROTO, "snapshot %s: more than %d in its chain: merge it",
                         vr_snapfile_path(s->file), VR_SNAPFILE_CHAIN)
                : open_parent_file(at, parent, &next, err);
        if (r < 0) {
            break;
        }
        vr_snapshot_id_text(vr_snapfile_id(next->file), id);
        vr_snapshot_check_text(vr_snapfile_check(next->file), check);
        if (!want_id || !want_check || strcmp(id, want_id) != 0 || strcmp(check, want_check) != 0) {
            r = vr_err(err, -EPROTO,
                       "snapshot %s: %s is not the one that it was made of: that one was replaced",
                       vr_snapfile_path(at->file), vr_snapfile_path(next->file));
            vr_snapshot_close(next);
            break;
        }
        /* What is needed of the parent goes to the child; `at` is only asked for its path. */
        json_decref(held);
        held = json_incref(next->info);
        vr_snapfile_set_parent(file, next->file);
        file = next->file;
        next->file = NULL;
        vr_snapshot_close(next);
        parent = json_object_get(held, "parent");
    }
    json_decref(held);
    return r;
}

int vr_snapshot_open(const char *path, bool chain, struct vr_snapshot **ret_snapshot,
                     struct vr_error *err)
{
    struct vr_snapshot *s = vr_zalloc(sizeof(*s));
    int r = s ? vr_snapfile_open(path, &s->file, err) : vr_err(err, -ENOMEM, "no memory");
    r = r < 0 ? r : open_info(s, err);
    if (r == 0 && chain) {
        r = open_chain(s, err);
    }
    if (r < 0) {
        vr_snapshot_close(s);
        return r;
    }
    *ret_snapshot = s;
    return 0;
}

void vr_snapshot_close(struct vr_snapshot *s)
{
    if (s) {
        for (unsigned i = 0; i < s->disk_count; i++) {
            free(s->disk[i].path);
        }
        json_decref(s->info);
        vr_snapfile_close(s->file);
        free(s);
    }
}

int vr_snapshot_verify(struct vr_snapshot *s, bool late, struct vr_error *err)
{
    int r = 0, fd;
    uint64_t off;
    const struct vr_snapfile *viewed = late ? vr_snapfile_flat(s->file, "ram", &fd, &off) : NULL;
    for (struct vr_snapfile *f = s->file; r == 0 && f; f = vr_snapfile_parent(f)) {
        r = vr_snapfile_verify(f, f == viewed ? "ram" : NULL, err);
    }
    return r;
}

int vr_snapshot_config(struct vr_snapshot *s, struct vireo_config **ret_config,
                       struct vr_error *err)
{
    const void *text;
    size_t len;
    int r = vr_snapfile_bytes(s->file, "config", &text, &len, err);
    r = r < 0 ? r : vireo_config_load(text, len, ret_config, err);
    return r < 0 ? vr_err_in(err, r, "snapshot %s", vr_snapfile_path(s->file)) : 0;
}

int vireo_snapshot_config(const char *path, struct vireo_config **ret_config, struct vr_error *err)
{
    struct vr_snapshot *s;
    struct vireo_config *c = NULL;
    int r = vr_snapshot_open(path, false, &s, err);
    if (r < 0) {
        return r;
    }
    r = vr_snapshot_config(s, &c, err);
    r = r < 0 ? r : vireo_config_set(c, "snapshot", path, err);
    vr_snapshot_close(s);
    if (r < 0) {
        vireo_config_destroy(c);
        return r;
    }
    *ret_config = c;
    return 0;
}

int vireo_snapshot_verify(const char *path, struct vr_error *err)
{
    struct vr_snapshot *s;
    int r = vr_snapshot_open(path, true, &s, err);
    if (r == 0) {
        r = vr_snapshot_verify(s, false, err);
        vr_snapshot_close(s);
    }
    return r;
}

int vireo_snapshot_info(const char *path, char **ret_json, struct vr_error *err)
{
    struct vr_snapshot *s;
    char id[VR_SNAPFILE_ID * 2 + 1], check[17];
    int r = vr_snapshot_open(path, false, &s, err);
    if (r < 0) {
        return r;
    }
    vr_snapshot_id_text(vr_snapfile_id(s->file), id);
    vr_snapshot_check_text(vr_snapfile_check(s->file), check);
    json_t *all =
        json_pack("{s:s, s:s, s:s, s:I, s:b}", "file", path, "id", id, "check", check, "file_bytes",
                  (json_int_t)vr_snapfile_len(s->file), "compressed", vr_snapfile_packed(s->file));
    char *text = all && json_object_update_missing(all, s->info) == 0
                     ? json_dumps(all, JSON_PRESERVE_ORDER)
                     : NULL;
    json_decref(all);
    vr_snapshot_close(s);
    if (!text) {
        return vr_err(err, -ENOMEM, "snapshot %s: no memory", path);
    }
    *ret_json = text;
    return 0;
}

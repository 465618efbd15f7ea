/*
 * Where snapshots are: files anywhere, and by name in the user's folder of data, MACHINE/TAG.vsnap.
 * Lists, deletes and merges.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "control/rundir.h"
#include "control/snapshot.h"
#include "platform/file.h"
#include "platform/newfile.h"
#include "platform/unixsock.h"
#include "vireo/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { STORE_PATH = 4096 };

int vr_snapshot_absolute(const char *path, char *ret_path, size_t size)
{
    size_t len = size;
    if (path[0] == '/') {
        return (size_t)snprintf(ret_path, size, "%s", path) < size ? 0 : -ENAMETOOLONG;
    }
    int r = uv_cwd(ret_path, &len);
    if (r < 0) {
        return r;
    }
    return (size_t)snprintf(ret_path + len, size - len, "/%s", path) < size - len ? 0
                                                                                  : -ENAMETOOLONG;
}

int vr_snapshot_folder(const char *machine, bool make, char *ret_path, size_t size,
                       struct vr_error *err)
{
    char data[STORE_PATH];
    int r = vireo_platform_path(VIREO_PATH_DATA, data, sizeof(data), err);
    if (r < 0) {
        return r;
    }
    if ((size_t)snprintf(ret_path, size, "%s/snapshots%s%s", data, machine ? "/" : "",
                         machine ? machine : "") >= size) {
        return vr_err(err, -ENAMETOOLONG, "folder %.100s...: the path is too long", data);
    }
    return make ? vr_unix_folder_make(ret_path, err) : 0;
}

static bool store_has_end(const char *text)
{
    size_t len = strlen(text), end = strlen(VR_SNAPSHOT_END);
    return len > end && strcmp(text + len - end, VR_SNAPSHOT_END) == 0;
}

int vr_snapshot_path(const char *machine, const char *text, char *ret_path, size_t size,
                     struct vr_error *err)
{
    struct vr_file_info info;
    char folder[STORE_PATH], of[VR_NAME_MAX + 1] = "";
    const char *slash = strchr(text, '/'), *tag = slash ? slash + 1 : text;
    if (slash && slash - text <= VR_NAME_MAX) {
        snprintf(of, sizeof(of), "%.*s", (int)(slash - text), text);
    }
    const char *whose = slash ? of : machine;
    bool named = whose && *text && vr_name_good(whose, VR_NAME_MAX) &&
                 vr_name_good(tag, VR_NAME_MAX) && !store_has_end(text);
    if (!named || (slash && vr_file_stat(text, &info) == 0)) {
        if (!slash && !store_has_end(text) && vr_file_stat(text, &info) < 0) {
            return vr_err(
                err, -EINVAL,
                "snapshot '%s': expected a file, MACHINE/TAG, or a TAG of up to %d letters,"
                " digits, '.', '_' and '-'",
                text, VR_NAME_MAX);
        }
        return (size_t)snprintf(ret_path, size, "%s", text) < size
                   ? 0
                   : vr_err(err, -ENAMETOOLONG, "snapshot '%.100s...': the path is too long", text);
    }
    int r = vr_snapshot_folder(whose, false, folder, sizeof(folder), err);
    if (r == 0 &&
        (size_t)snprintf(ret_path, size, "%s/%s%s", folder, tag, VR_SNAPSHOT_END) >= size) {
        r = vr_err(err, -ENAMETOOLONG, "snapshot '%s': the path is too long", text);
    }
    return r;
}

void vr_snapshot_tag(const char *path, char *ret_tag, size_t size)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t end = store_has_end(name) ? strlen(VR_SNAPSHOT_END) : 0;
    snprintf(ret_tag, size, "%.*s", (int)(strlen(name) - end), name);
}

bool vr_snapshot_is(const char *path)
{
    struct vr_file_info info;
    char magic[8];
    int fd;
    if (vr_file_open(path, true, &fd, &info) < 0) {
        return false;
    }
    bool is = info.size_bytes >= sizeof(magic) && vr_file_read(fd, magic, sizeof(magic), 0) == 0 &&
              memcmp(magic, "VIREOSNP", sizeof(magic)) == 0;
    vr_file_close(fd);
    return is;
}

/* ---- Lists ---- */

struct store_list {
    const char *folder;
    json_t *list;
};

static int store_note_file(void *opaque, const char *name)
{
    struct store_list *l = opaque;
    char path[STORE_PATH];
    struct vr_error err = {0};
    char *text = NULL;
    if (!store_has_end(name) ||
        (size_t)snprintf(path, sizeof(path), "%s/%s", l->folder, name) >= sizeof(path)) {
        return 0;
    }
    json_t *info = vireo_snapshot_info(path, &text, &err) == 0
                       ? json_loads(text, 0, NULL)
                       : json_pack("{s:s, s:s}", "file", path, "damaged", err.msg);
    vireo_config_text_free(text);
    return info && json_array_append_new(l->list, info) == 0 ? 0 : -ENOMEM;
}

static int store_note_folder(void *opaque, const char *name)
{
    struct store_list *l = opaque, in = *l;
    char folder[STORE_PATH];
    if (!vr_name_good(name, VR_NAME_MAX) ||
        (size_t)snprintf(folder, sizeof(folder), "%s/%s", l->folder, name) >= sizeof(folder)) {
        return 0;
    }
    in.folder = folder;
    int r = vr_unix_folder_each(folder, store_note_file, &in);
    return r == -ENOTDIR || r == -ENOENT ? 0 : r;
}

/* By machine, the oldest first; damaged ones, which do not say, by their files. */
static int store_compare(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    const char *const keys[] = {"machine", "file"};
    const char *text[2][2];
    for (unsigned i = 0; i < 2; i++) {
        const char *of_x = json_string_value(json_object_get(x, keys[i]));
        const char *of_y = json_string_value(json_object_get(y, keys[i]));
        text[i][0] = of_x ? of_x : "";
        text[i][1] = of_y ? of_y : "";
    }
    json_int_t x_ns = json_integer_value(json_object_get(x, "created_ns"));
    json_int_t y_ns = json_integer_value(json_object_get(y, "created_ns"));
    int r = strcmp(text[0][0], text[0][1]);
    return r ? r : x_ns != y_ns ? (x_ns > y_ns) - (x_ns < y_ns) : strcmp(text[1][0], text[1][1]);
}

static json_t *store_sorted(json_t *list)
{
    size_t count = json_array_size(list);
    json_t **all = vr_zalloc_array(count ? count : 1, sizeof(json_t *));
    json_t *sorted = all ? json_array() : NULL;
    for (size_t i = 0; sorted && i < count; i++) {
        all[i] = json_array_get(list, i);
    }
    if (sorted && count) {
        qsort(all, count, sizeof(*all), store_compare);
    }
    for (size_t i = 0; sorted && i < count; i++) {
        (void)json_array_append(sorted, all[i]);
    }
    free(all);
    json_decref(list);
    return sorted;
}

int vr_snapshot_list(const char *machine, json_t **ret_list, struct vr_error *err)
{
    char folder[STORE_PATH];
    struct store_list l = {.folder = folder, .list = json_array()};
    if (machine && !vr_name_good(machine, VR_NAME_MAX)) {
        json_decref(l.list);
        return vr_err(err, -EINVAL, "'%.40s' is no name of a machine", machine);
    }
    int r = l.list ? vr_snapshot_folder(machine, false, folder, sizeof(folder), err)
                   : vr_err(err, -ENOMEM, "no memory");
    if (r == 0) {
        r = vr_unix_folder_each(folder, machine ? store_note_file : store_note_folder, &l);
        r = r == -ENOENT ? 0
            : r < 0      ? vr_err(err, r, "folder %s: cannot list it: %s", folder, strerror(-r))
                         : 0;
    }
    if (r < 0) {
        json_decref(l.list);
        return r;
    }
    l.list = store_sorted(l.list);
    if (!l.list) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    *ret_list = l.list;
    return 0;
}

/* ---- What others were made of ---- */

struct store_child {
    const char *folder, *id;
    char found[STORE_PATH];
};

static int store_look_child(void *opaque, const char *name)
{
    struct store_child *c = opaque;
    char path[STORE_PATH];
    struct vr_snapshot *s;
    if (!store_has_end(name) ||
        (size_t)snprintf(path, sizeof(path), "%s/%s", c->folder, name) >= sizeof(path) ||
        vr_snapshot_open(path, false, &s, NULL) < 0) {
        return 0;
    }
    const char *id = json_string_value(json_object_get(json_object_get(s->info, "parent"), "id"));
    bool child = id && strcmp(id, c->id) == 0;
    vr_snapshot_close(s);
    if (child) {
        memcpy(c->found, path, strlen(path) + 1);
    }
    return child;
}

/* -EBUSY: a snapshot in the folder of @path, which is number @id, was made of it. */
static int store_check_children(const char *path, const char *id, struct vr_error *err)
{
    struct store_child c = {.folder = ".", .id = id};
    char folder[STORE_PATH];
    const char *slash = strrchr(path, '/');
    if (slash) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
        c.folder = *folder ? folder : "/";
    }
    if (vr_unix_folder_each(c.folder, store_look_child, &c) != 1) {
        return 0;
    }
    return vr_err(
        err, -EBUSY,
        "snapshot %s: %s holds what changed since, and would be lost: merge that first, or delete "
        "it",
        path, c.found);
}

int vr_snapshot_may_replace(const char *path, const struct vr_snapshot *parent,
                            struct vr_error *err)
{
    struct vr_file_info info;
    struct vr_snapshot *s;
    char id[VR_SNAPFILE_ID * 2 + 1];
    if (vr_file_stat(path, &info) < 0 || info.kind == VR_FILE_DIR) {
        return 0; /* nothing is there, or making the file says what is wrong */
    }
    if (info.kind == VR_FILE_REGULAR && info.size_bytes == 0) {
        return 0; /* as mktemp leaves one */
    }
    if (info.kind != VR_FILE_REGULAR || !vr_snapshot_is(path)) {
        return vr_err(err, -EEXIST,
                      "snapshot %s: what is there is no snapshot, and is not written over", path);
    }
    if (vr_snapshot_open(path, false, &s, NULL) < 0) {
        return 0; /* a damaged one */
    }
    vr_snapshot_id_text(vr_snapfile_id(s->file), id);
    int r = 0;
    for (struct vr_snapfile *f = parent ? parent->file : NULL; r == 0 && f;
         f = vr_snapfile_parent(f)) {
        if (memcmp(vr_snapfile_id(f), vr_snapfile_id(s->file), VR_SNAPFILE_ID) == 0) {
            r = vr_err(err, -EBUSY,
                       "snapshot %s: the new one would hold what changed since this one, which has "
                       "to stay: choose another name",
                       path);
        }
    }
    vr_snapshot_close(s);
    return r < 0 ? r : store_check_children(path, id, err);
}

/* ---- Delete ---- */

int vireo_snapshot_delete(const char *path, bool force, struct vr_error *err)
{
    struct vr_snapshot *s;
    char id[VR_SNAPFILE_ID * 2 + 1] = "";
    /* A damaged one can be deleted, too, but not what never was one. */
    int r = vr_snapshot_open(path, false, &s, err);
    if (r == 0) {
        vr_snapshot_id_text(vr_snapfile_id(s->file), id);
        vr_snapshot_close(s);
    } else if (r != -EPROTO || !vr_snapshot_is(path)) {
        return r;
    }
    r = !force && *id ? store_check_children(path, id, err) : 0;
    if (r < 0) {
        return r;
    }
    r = vr_newfile_remove(path);
    return r < 0 ? vr_err(err, r, "snapshot %s: cannot remove it: %s", path, strerror(-r)) : 0;
}

/* ---- Merge ---- */

/* An image of the chain, put together in a file without a name. */
struct store_image {
    int fd;
    uint64_t len;
    uint8_t *buf;
};

static uint64_t store_image_next(void *opaque, uint64_t off)
{
    struct store_image *im = opaque;
    return vr_newfile_next_data(im->fd, off, im->len);
}

static const uint8_t *store_image_read(void *opaque, uint64_t off, size_t len, struct vr_error *err)
{
    struct store_image *im = opaque;
    int r = vr_file_read(im->fd, im->buf, len, off);
    if (r < 0) {
        (void)vr_err(err, r, "merging: cannot read: %s", strerror(-r));
        return NULL;
    }
    return im->buf;
}

static int store_merge_image(struct vr_snapshot *s, struct vr_snapfile_writer *w, const char *name,
                             const char *to, bool flat, struct vr_error *err)
{
    struct vr_newfile temp = {.fd = -1};
    struct store_image im = {.fd = -1};
    struct vr_snapfile_source from = {.next = store_image_next,
                                      .read = store_image_read,
                                      .clone_fd = -1,
                                      .flat = flat,
                                      .opaque = &im};
    int r = vr_snapfile_image(s->file, name, &im.len, &from.grain_bytes, err);
    from.len_bytes = im.len;
    if (r == 0 && (r = vr_newfile_create(to, &temp)) < 0) {
        r = vr_err(err, r, "merging into %s: cannot make a file there: %s", to, strerror(-r));
    }
    im.fd = temp.fd;
    im.buf = malloc(VR_SNAPFILE_PIECE);
    if (r == 0 && !im.buf) {
        r = vr_err(err, -ENOMEM, "merging into %s: no memory", to);
    }
    if (r == 0 && (r = vr_snapfile_give_file(s->file, name, temp.fd, err)) < 0) {
        r = vr_err_in(err, r, "merging into %s", to);
    }
    r = r < 0 ? r : vr_snapfile_put_image(w, name, &from, NULL, NULL, err);
    free(im.buf);
    vr_newfile_drop(&temp);
    return r;
}

static int store_merge_bytes(struct vr_snapshot *s, struct vr_snapfile_writer *w, const char *name,
                             struct vr_error *err)
{
    const void *data;
    size_t len;
    int r = vr_snapfile_bytes(s->file, name, &data, &len, err);
    return r < 0 ? r : vr_snapfile_put(w, name, data, len, err);
}

static int store_merge_all(struct vr_snapshot *s, struct vr_snapfile_writer *w, const char *to,
                           bool flat, struct vr_error *err)
{
    int r = store_merge_image(s, w, "ram", to, flat, err);
    for (unsigned i = 0; r == 0 && i < s->disk_count; i++) {
        char name[VR_SNAPFILE_NAME];
        snprintf(name, sizeof(name), "disk%u", i);
        r = s->disk[i].contents ? store_merge_image(s, w, name, to, false, err) : 0;
    }
    r = r < 0 ? r : store_merge_bytes(s, w, "state", err);
    r = r < 0 ? r : store_merge_bytes(s, w, "config", err);
    if (r == 0) {
        json_object_del(s->info, "parent");
        char *text = json_dumps(s->info, JSON_PRESERVE_ORDER);
        r = text ? vr_snapfile_put(w, "info", text, strlen(text), err)
                 : vr_err(err, -ENOMEM, "merging: no memory");
        free(text);
    }
    return r;
}

int vireo_snapshot_merge(const char *path, const char *to, bool compress, struct vr_error *err)
{
    struct vr_snapshot *s;
    struct vr_snapfile_writer *w = NULL;
    int r = vr_snapshot_open(path, true, &s, err);
    if (r < 0) {
        return r;
    }
    r = vr_snapshot_verify(s, false, err);
    r = r < 0 ? r : vr_snapshot_may_replace(to, NULL, err);
    r = r < 0 ? r
              : vr_snapfile_create(to, compress ? VR_SNAPFILE_ZSTD : VR_SNAPFILE_PLAIN, &w, err);
    r = r < 0 ? r : store_merge_all(s, w, to, !compress, err);
    if (r < 0) {
        vr_snapfile_abort(w);
    } else {
        r = vr_snapfile_commit(w, err);
    }
    vr_snapshot_close(s);
    return r;
}

/*
 * Mediated devices over sysfs: Documentation/driver-api/vfio-mediated-device.rst of Linux. Parents
 * are in /sys/class/mdev_bus, each with a folder a type, which has a link to each device made.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/text.h"
#include "platform/pci.h"
#include "platform/random.h"
#include "vireo/host_mdev.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MDEV_PARENTS "sys/class/mdev_bus"
#define MDEV_DEVICES "sys/bus/mdev/devices"

/* "PARENTS/PARENT/mdev_supported_types/TYPE/ATTR"; false: names that no kernel gives. */
static bool mdev_path(char path[VR_SYSFS_PATH], const char *parent, const char *type,
                      const char *attr)
{
    if (!*parent || !*type || strchr(parent, '/') || strchr(type, '/') || parent[0] == '.' ||
        type[0] == '.' || strlen(parent) >= VIREO_MDEV_NAME_SIZE ||
        strlen(type) >= VIREO_MDEV_NAME_SIZE) {
        return false;
    }
    int len = snprintf(path, VR_SYSFS_PATH, MDEV_PARENTS "/%.63s/mdev_supported_types/%.63s/%.63s",
                       parent, type, attr);
    return len < VR_SYSFS_PATH;
}

/* What is done with each type; below 0 ends it. */
typedef int mdev_each_fn(void *opaque, const struct vr_sysfs *fs, const char *parent,
                         const char *type);

static int mdev_each_type(const struct vr_sysfs *fs, const char *parent, mdev_each_fn *fn,
                          void *opaque)
{
    char path[VR_SYSFS_PATH];
    struct vr_sysfs_list types;
    if (strlen(parent) >= VIREO_MDEV_NAME_SIZE) {
        return 0;
    }
    snprintf(path, sizeof(path), MDEV_PARENTS "/%.63s/mdev_supported_types", parent);
    int r = vr_sysfs_list(fs, path, &types);
    if (r < 0) {
        return r == -ENOMEM ? r : 0; /* gone, or not ours to see */
    }
    for (size_t i = 0; r == 0 && i < types.count; i++) {
        r = fn(opaque, fs, parent, types.names[i]);
    }
    vr_sysfs_list_free(&types);
    return r;
}

static int mdev_each(const char *root, mdev_each_fn *fn, void *opaque, struct vr_error *err)
{
    struct vr_sysfs fs;
    struct vr_sysfs_list parents;
    int r = vr_sysfs_open(root, &fs, err);
    if (r < 0) {
        return r;
    }
    r = vr_sysfs_list(&fs, MDEV_PARENTS, &parents);
    if (r == 0) {
        for (size_t i = 0; r == 0 && i < parents.count; i++) {
            r = mdev_each_type(&fs, parents.names[i], fn, opaque);
        }
        vr_sysfs_list_free(&parents);
    } else if (r == -ENOENT) {
        r = 0; /* no driver of that kind is loaded */
    }
    vr_sysfs_close(&fs);
    return r < 0 ? vr_err(err, r, "/" MDEV_PARENTS ": %s", strerror(-r)) : 0;
}

/* ---- Types ---- */

struct mdev_types {
    struct vireo_mdev_type *list;
    size_t cap, count;
};

/* A text attribute, or "". */
static void mdev_text(const struct vr_sysfs *fs, const char *parent, const char *type,
                      const char *attr, char *ret_text, size_t size)
{
    char path[VR_SYSFS_PATH];
    if (!mdev_path(path, parent, type, attr) || vr_sysfs_text(fs, path, ret_text, size) < 0) {
        ret_text[0] = 0;
    }
}

static int mdev_add_type(void *opaque, const struct vr_sysfs *fs, const char *parent,
                         const char *type)
{
    struct mdev_types *types = opaque;
    struct vireo_mdev_type t = {0};
    char path[VR_SYSFS_PATH];
    uint64_t available;
    if (!mdev_path(path, parent, type, "available_instances") ||
        vr_sysfs_u64(fs, path, UINT32_MAX, &available) < 0) {
        return 0;
    }
    snprintf(t.parent, sizeof(t.parent), "%s", parent);
    snprintf(t.type, sizeof(t.type), "%s", type);
    t.available = (unsigned)available;
    mdev_text(fs, parent, type, "name", t.name, sizeof(t.name));
    mdev_text(fs, parent, type, "description", t.description, sizeof(t.description));
    mdev_text(fs, parent, type, "device_api", t.api, sizeof(t.api));
    if (types->count < types->cap) {
        types->list[types->count] = t;
    }
    types->count++;
    return 0;
}

int vireo_mdev_types(const char *root, struct vireo_mdev_type *ret_list, size_t cap,
                     size_t *ret_count, struct vr_error *err)
{
    struct mdev_types types = {.list = ret_list, .cap = cap};
    int r = mdev_each(root, mdev_add_type, &types, err);
    if (r == 0) {
        *ret_count = types.count;
    }
    return r;
}

/* ---- Devices ---- */

struct mdev_devices {
    struct vireo_mdev *list;
    size_t count, room;
};

static int mdev_add_device(struct mdev_devices *all, const struct vr_sysfs *fs, const char *parent,
                           const char *type, const char *uuid)
{
    char path[VR_SYSFS_PATH], text[64];
    uint64_t group;
    if (all->count == all->room) {
        size_t room = all->room ? all->room * 2 : 16;
        struct vireo_mdev *more = realloc(all->list, room * sizeof(*more));
        if (!more) {
            return -ENOMEM;
        }
        all->list = more;
        all->room = room;
    }
    struct vireo_mdev *d = &all->list[all->count++];
    *d = (struct vireo_mdev){.iommu_group = -1};
    snprintf(d->uuid, sizeof(d->uuid), "%.36s", uuid);
    snprintf(d->parent, sizeof(d->parent), "%.63s", parent);
    snprintf(d->type, sizeof(d->type), "%.63s", type);
    snprintf(path, sizeof(path), MDEV_DEVICES "/%.36s/iommu_group", uuid);
    if (vr_sysfs_link(fs, path, text, sizeof(text)) == 0 && vr_parse_u64(text, &group) == 0 &&
        group <= INT32_MAX) {
        d->iommu_group = (int)group;
        d->in_use = vr_vfio_group_busy(fs, d->iommu_group);
    }
    return 0;
}

static int mdev_add_devices(void *opaque, const struct vr_sysfs *fs, const char *parent,
                            const char *type)
{
    char path[VR_SYSFS_PATH];
    struct vr_sysfs_list names;
    if (!mdev_path(path, parent, type, "devices")) {
        return 0;
    }
    int r = vr_sysfs_list(fs, path, &names);
    if (r < 0) {
        return r == -ENOMEM ? r : 0;
    }
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        if (vr_is_uuid(names.names[i])) {
            r = mdev_add_device(opaque, fs, parent, type, names.names[i]);
        }
    }
    vr_sysfs_list_free(&names);
    return r;
}

static int mdev_by_uuid(const void *a, const void *b)
{
    const struct vireo_mdev *x = a, *y = b;
    return strcmp(x->uuid, y->uuid);
}

int vireo_mdev_list(const char *root, struct vireo_mdev *ret_list, size_t cap, size_t *ret_count,
                    struct vr_error *err)
{
    struct mdev_devices all = {0};
    int r = mdev_each(root, mdev_add_devices, &all, err);
    if (r == 0 && all.count) {
        size_t some = all.count < cap ? all.count : cap;
        qsort(all.list, all.count, sizeof(*all.list), mdev_by_uuid);
        if (some) {
            memcpy(ret_list, all.list, some * sizeof(*all.list));
        }
    }
    if (r == 0) {
        *ret_count = all.count;
    }
    free(all.list);
    return r;
}

/* ---- Changes ---- */

/* RFC 4122, version 4. */
static int mdev_random_uuid(char uuid[VIREO_UUID_SIZE], struct vr_error *err)
{
    uint8_t b[16];
    int r = vr_random_bytes(b, sizeof(b), err);
    if (r < 0) {
        return r;
    }
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    for (unsigned i = 0, at = 0; i < 16; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        at += (unsigned)snprintf(uuid + at, VIREO_UUID_SIZE - at, "%s%02x", dash ? "-" : "", b[i]);
    }
    return 0;
}

static const char *mdev_advice(int code)
{
    return code == -EACCES || code == -EPERM || code == -EROFS ? ": that takes root's rights"
           : code == -ENOSPC || code == -EUSERS ? ": none of that type is available any more"
           : code == -EBUSY                     ? ": a guest uses it: stop it first"
                                                : ": the kernel's log (dmesg) may say more";
}

static int mdev_create(const struct vr_sysfs *fs, const char *parent, const char *type,
                       const char *uuid, struct vr_error *err)
{
    char path[VR_SYSFS_PATH], device[VR_SYSFS_PATH];
    uint64_t available;
    if (!mdev_path(path, parent, type, "available_instances") ||
        vr_sysfs_u64(fs, path, UINT32_MAX, &available) < 0) {
        return vr_err(err, -ENOENT, "%.63s makes no mediated devices of type '%.63s'", parent,
                      type);
    }
    snprintf(device, sizeof(device), MDEV_DEVICES "/%.36s", uuid);
    if (vr_sysfs_exists(fs, device)) {
        return vr_err(err, -EEXIST, "there is a mediated device %s already", uuid);
    }
    if (available == 0) {
        return vr_err(err, -ENOSPC, "%s: none of type %s is available any more", parent, type);
    }
    if (!mdev_path(path, parent, type, "create")) {
        return vr_err(err, -ENOENT, "%s: no way to make %s", parent, type);
    }
    int r = vr_sysfs_write(fs, path, uuid);
    if (r < 0) {
        return vr_err(err, r, "writing '%s' to /%s: %s%s", uuid, path, strerror(-r),
                      mdev_advice(r));
    }
    return vr_sysfs_exists(fs, device)
               ? 0
               : vr_err(err, -EIO, "the kernel took %s, but made no device of it", uuid);
}

int vireo_mdev_create(const char *root, const char *parent, const char *type, const char *uuid,
                      char ret_uuid[VIREO_UUID_SIZE], struct vr_error *err)
{
    char name[VIREO_UUID_SIZE];
    struct vr_sysfs fs;
    if (uuid && !vr_is_uuid(uuid)) {
        return vr_err(err, -EINVAL, "'%.40s' is no UUID", uuid);
    }
    int r = uuid ? 0 : mdev_random_uuid(name, err);
    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; uuid && i < VIREO_UUID_SIZE; i++) {
        name[i] = (char)tolower((unsigned char)uuid[i]); /* as the kernel names it */
    }
    r = vr_sysfs_open(root, &fs, err);
    if (r < 0) {
        return r;
    }
    r = mdev_create(&fs, parent, type, name, err);
    vr_sysfs_close(&fs);
    if (r == 0 && ret_uuid) {
        memcpy(ret_uuid, name, sizeof(name));
    }
    return r;
}

static int mdev_destroy(const struct vr_sysfs *fs, const char *uuid, struct vr_error *err)
{
    char path[VR_SYSFS_PATH];
    snprintf(path, sizeof(path), MDEV_DEVICES "/%.36s", uuid);
    if (!vr_sysfs_exists(fs, path)) {
        return vr_err(err, -ENODEV, "%s: this host has no such mediated device", uuid);
    }
    char text[64];
    uint64_t group;
    snprintf(path, sizeof(path), MDEV_DEVICES "/%.36s/iommu_group", uuid);
    /* The kernel would wait for the guest. */
    if (vr_sysfs_link(fs, path, text, sizeof(text)) == 0 && vr_parse_u64(text, &group) == 0 &&
        group <= INT32_MAX && vr_vfio_group_busy(fs, (int)group)) {
        return vr_err(err, -EBUSY, "%s%s", uuid, mdev_advice(-EBUSY));
    }
    snprintf(path, sizeof(path), MDEV_DEVICES "/%.36s/remove", uuid);
    int r = vr_sysfs_write(fs, path, "1");
    return r < 0 ? vr_err(err, r, "writing '1' to /%s: %s%s", path, strerror(-r), mdev_advice(r))
                 : 0;
}

int vireo_mdev_destroy(const char *root, const char *uuid, struct vr_error *err)
{
    struct vr_sysfs fs;
    if (!vr_is_uuid(uuid)) {
        return vr_err(err, -EINVAL, "'%.40s' is no UUID", uuid);
    }
    int r = vr_sysfs_open(root, &fs, err);
    if (r < 0) {
        return r;
    }
    r = mdev_destroy(&fs, uuid, err);
    vr_sysfs_close(&fs);
    return r;
}

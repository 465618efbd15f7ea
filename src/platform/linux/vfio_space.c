/*
 * Address spaces of devices: a container with groups (Documentation/driver-api/vfio.rst of Linux,
 * type1 version 2), or an I/O address space of iommufd (Documentation/userspace-api/iommufd.rst).
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/text.h"
#include "platform/linux/iommufd_abi.h"
#include "platform/linux/vfio_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static int space_ioctl(const struct vireo_vfio_space *s, int fd, unsigned long request, void *arg)
{
    return s->sys.ioctl(s->sys.opaque, fd, request, arg);
}

static int space_value(const struct vireo_vfio_space *s, int fd, unsigned long request,
                       unsigned long value)
{
    return s->sys.ioctl_value(s->sys.opaque, fd, request, value);
}

static void space_close(const struct vireo_vfio_space *s, int fd)
{
    s->sys.close(s->sys.opaque, fd);
}

/* Open @path below the root, with what to do when that fails. */
static int space_open(const struct vireo_vfio_space *s, const char *path, struct vr_error *err)
{
    int fd = s->sys.open(s->sys.opaque, s->fs.root_fd, path, O_RDWR);
    switch (fd < 0 ? -fd : 0) {
    case 0:
        return fd;
    case EACCES:
    case EPERM:
        return vr_err(err, fd, "/%s: %s: have its owner or group changed to yours (chown, udev)",
                      path, strerror(-fd));
    case EBUSY:
        return vr_err(err, fd, "/%s is in use by another process: stop its guest first", path);
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return vr_err(err, -ENODEV,
                      "/%s is not there: load the module (modprobe vfio-pci; iommufd), or, in a "
                      "container, have it passed in",
                      path);
    default:
        return vr_err(err, fd, "/%s: %s", path, strerror(-fd));
    }
}

static int space_start_group(struct vireo_vfio_space *s, struct vr_error *err)
{
    int version = space_value(s, s->fd, VFIO_GET_API_VERSION, 0);
    if (version != VFIO_API_VERSION) {
        return version < 0 ? vr_err(err, version, "/dev/vfio/vfio: %s", strerror(-version))
                           : vr_err(err, -ENOTSUP,
                                    "/dev/vfio/vfio speaks version %d of its API, "
                                    "we speak 0",
                                    version);
    }
    int r = space_value(s, s->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU);
    return r > 0   ? 0
           : r < 0 ? vr_err(err, r, "/dev/vfio/vfio: %s", strerror(-r))
                   : vr_err(err, -ENODEV,
                            "this host's VFIO has no type 1 version 2 mappings: modprobe "
                            "vfio_iommu_type1; if it is loaded, there is no IOMMU");
}

static int space_start_iommufd(struct vireo_vfio_space *s, struct vr_error *err)
{
    struct vr_ioas_alloc alloc = {.size = sizeof(alloc)};
    int r = space_ioctl(s, s->fd, VR_IOAS_ALLOC, &alloc);
    if (r < 0) {
        return vr_err(err, r, "/dev/iommu: no address space: %s", strerror(-r));
    }
    s->ioas_id = alloc.out_ioas_id;
    return 0;
}

int vr_vfio_space_create(const struct vireo_vfio_options *options, const struct vr_vfio_sys *sys,
                         struct vireo_vfio_space **ret_space, struct vr_error *err)
{
    static const struct vireo_vfio_options plain = {0};
    const struct vireo_vfio_options *o = options ? options : &plain;
    if (o->way > VIREO_VFIO_IOMMUFD) {
        return vr_err(err, -EINVAL, "no such way to VFIO: %d", (int)o->way);
    }
    struct vireo_vfio_space *s = vr_zalloc(sizeof(*s));
    if (!s) {
        return vr_err(err, -ENOMEM, "no memory for an address space");
    }
    s->sys = *sys;
    s->users = 1;
    s->fd = s->fs.root_fd = -1;
    s->way = o->way;
    int r = vr_sysfs_open(o->root, &s->fs, err);
    if (r < 0) {
        goto fail;
    }
    if (s->way == VIREO_VFIO_AUTO) {
        s->way = vr_sysfs_exists(&s->fs, "dev/vfio/devices") && vr_sysfs_exists(&s->fs, "dev/iommu")
                     ? VIREO_VFIO_IOMMUFD
                     : VIREO_VFIO_GROUP;
    }
    r = s->fd = space_open(s, s->way == VIREO_VFIO_GROUP ? "dev/vfio/vfio" : "dev/iommu", err);
    if (r < 0) {
        goto fail;
    }
    r = s->way == VIREO_VFIO_GROUP ? space_start_group(s, err) : space_start_iommufd(s, err);
    if (r == 0) {
        *ret_space = s;
        return 0;
    }
fail:
    vr_vfio_space_unref(s);
    return r;
}

int vireo_vfio_space_create(const struct vireo_vfio_options *options,
                            struct vireo_vfio_space **ret_space, struct vr_error *err)
{
    struct vr_vfio_sys sys = vr_vfio_sys_host();
    return vr_vfio_space_create(options, &sys, ret_space, err);
}

void vr_vfio_space_unref(struct vireo_vfio_space *s)
{
    if (--s->users) {
        return;
    }
    if (s->fd >= 0) {
        space_close(s, s->fd);
    }
    vr_sysfs_close(&s->fs);
    free(s->mappings);
    free(s);
}

void vireo_vfio_space_destroy(struct vireo_vfio_space *s)
{
    if (s) {
        vr_vfio_space_unref(s);
    }
}

enum vireo_vfio_way vireo_vfio_space_way(const struct vireo_vfio_space *s)
{
    return s->way;
}

/* ---- What addresses there are ---- */

/* Take @count pairs of first and last as the space's ranges; they have to be sorted and apart. */
static int space_take_ranges(struct vireo_vfio_space *s, const void *pairs, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < VR_VFIO_RANGES; i++) {
        struct vireo_iova_range range;
        memcpy(&range, (const uint8_t *)pairs + i * sizeof(range), sizeof(range));
        if (range.first > range.last || (kept && range.first <= s->ranges[kept - 1].last)) {
            return -EPROTO;
        }
        s->ranges[kept++] = range;
    }
    s->range_count = kept;
    return 0;
}

static int space_limits_group(struct vireo_vfio_space *s)
{
    struct vfio_iommu_type1_info info = {0};
    struct vfio_iommu_type1_info_cap_iova_range cap;
    void *answer;
    size_t len, off, left;
    int r = vr_vfio_ask(&s->sys, s->fd, VFIO_IOMMU_GET_INFO, &info, sizeof(info), &answer, &len);
    if (r < 0) {
        return r;
    }
    memcpy(&info, answer, sizeof(info));
    bool pages = (info.flags & VFIO_IOMMU_INFO_PGSIZES) && info.iova_pgsizes;
    s->align = pages ? info.iova_pgsizes & -info.iova_pgsizes : 4096;
    /* Kernels before 5.4 do not tell their ranges; then they judge each mapping themselves. */
    s->ranges[0] = (struct vireo_iova_range){.first = 0, .last = UINT64_MAX};
    s->range_count = 1;
    r = info.flags & VFIO_IOMMU_INFO_CAPS
            ? vr_vfio_capability(answer, len, sizeof(info), info.cap_offset,
                                 VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, &off, &left)
            : -ENOENT;
    if (r == 0 && left < sizeof(cap)) {
        r = -EPROTO;
    } else if (r == 0) {
        memcpy(&cap, (uint8_t *)answer + off, sizeof(cap));
        r = cap.nr_iovas > (left - sizeof(cap)) / sizeof(struct vfio_iova_range)
                ? -EPROTO
                : space_take_ranges(s, (uint8_t *)answer + off + sizeof(cap), cap.nr_iovas);
    }
    free(answer);
    return r == -ENOENT ? 0 : r;
}

static int space_limits_iommufd(struct vireo_vfio_space *s)
{
    struct vr_ioas_range list[VR_VFIO_RANGES];
    struct vr_ioas_iova_ranges ask = {.size = sizeof(ask),
                                      .ioas_id = s->ioas_id,
                                      .num_iovas = VR_VFIO_RANGES,
                                      .allowed_iovas = (uintptr_t)list};
    int r = space_ioctl(s, s->fd, VR_IOAS_IOVA_RANGES, &ask);
    /* EMSGSIZE: there are more; those that fit are enough to work with. */
    if (r < 0 && r != -EMSGSIZE) {
        return r;
    }
    if (!vr_is_pow2(ask.out_iova_alignment) || (r >= 0 && ask.num_iovas > VR_VFIO_RANGES)) {
        return -EPROTO;
    }
    s->align = ask.out_iova_alignment;
    return space_take_ranges(s, list, r < 0 ? VR_VFIO_RANGES : ask.num_iovas);
}

/* Ask again: each device that joins may narrow them. */
static int space_limits(struct vireo_vfio_space *s, struct vr_error *err)
{
    int r = s->way == VIREO_VFIO_GROUP ? space_limits_group(s) : space_limits_iommufd(s);
    return r < 0 ? vr_err(err, r, "the kernel's answer on DMA addresses: %s", strerror(-r)) : 0;
}

bool vireo_vfio_iova_range(const struct vireo_vfio_space *s, size_t i,
                           struct vireo_iova_range *ret_range)
{
    if (s->devices == 0 || i >= s->range_count) {
        return false;
    }
    *ret_range = s->ranges[i];
    return true;
}

uint64_t vireo_vfio_iova_align(const struct vireo_vfio_space *s)
{
    return s->devices ? s->align : 0;
}

/* ---- Devices come and go ---- */

static struct vr_vfio_group *space_group(struct vireo_vfio_space *s, int number)
{
    for (unsigned i = 0; i < s->group_count; i++) {
        if (s->groups[i].number == number) {
            return &s->groups[i];
        }
    }
    return NULL;
}

static void space_drop_group(struct vireo_vfio_space *s, struct vr_vfio_group *group)
{
    space_ioctl(s, group->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
    space_close(s, group->fd);
    *group = s->groups[--s->group_count];
}

static int space_add_group(struct vireo_vfio_space *s, int number, const char *name,
                           struct vr_error *err)
{
    struct vfio_group_status status = {.argsz = sizeof(status)};
    char path[48];
    if (s->group_count == VR_VFIO_GROUPS) {
        return vr_err(err, -ENOSPC, "%s: at most %d groups share a space", name, VR_VFIO_GROUPS);
    }
    snprintf(path, sizeof(path), "dev/vfio/noiommu-%d", number);
    if (vr_sysfs_exists(&s->fs, path)) {
        return vr_err(err, -ENOTSUP,
                      "%s: VFIO's unsafe mode without IOMMU: it would reach all of the host's "
                      "memory; switch a real IOMMU on",
                      name);
    }
    snprintf(path, sizeof(path), "dev/vfio/%d", number);
    int fd = space_open(s, path, err);
    if (fd < 0) {
        return vr_err_in(err, fd, "%s", name);
    }
    int r = space_ioctl(s, fd, VFIO_GROUP_GET_STATUS, &status);
    if (r < 0) {
        vr_err(err, r, "%s: /%s: %s", name, path, strerror(-r));
    } else if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
        r = vr_err(err, -ENOTSUP,
                   "%s: another device of IOMMU group %d is used by the host: bind all of them to "
                   "vfio-pci ('vireo platform vfio bind --group')",
                   name, number);
    } else if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET) {
        r = vr_err(err, -EBUSY, "%s: its group has a container already", name);
    } else if ((r = space_ioctl(s, fd, VFIO_GROUP_SET_CONTAINER, &s->fd)) < 0) {
        vr_err(err, r, "%s: group %d does not go with the devices that share the space: %s", name,
               number, strerror(-r));
    }
    if (r >= 0) {
        struct vr_vfio_group *group = &s->groups[s->group_count++];
        *group = (struct vr_vfio_group){.number = number, .fd = fd};
        r = s->group_count > 1 ? 0 : space_value(s, s->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
        if (r >= 0) {
            return 0;
        }
        vr_err(err, r, "%s: the IOMMU takes no mappings: %s%s", name, strerror(-r),
               r == -EPERM ? ": the platform does not isolate interrupts" : "");
        group->fd = -1;
        space_ioctl(s, fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
        s->group_count--;
    }
    space_close(s, fd);
    return r;
}

static int space_join_group(struct vireo_vfio_space *s, const char *folder, const char *name,
                            int *ret_group, struct vr_error *err)
{
    char path[VR_SYSFS_PATH], text[64];
    uint64_t number;
    snprintf(path, sizeof(path), "%s/iommu_group", folder);
    int r = vr_sysfs_link(&s->fs, path, text, sizeof(text));
    r = r < 0 ? r : vr_parse_u64(text, &number);
    if (r < 0 || number > INT32_MAX) {
        return vr_err(err, -ENOTSUP, "%s is in no IOMMU group: switch the IOMMU on", name);
    }
    struct vr_vfio_group *group = space_group(s, (int)number);
    r = group ? 0 : space_add_group(s, (int)number, name, err);
    if (r < 0) {
        return r;
    }
    group = space_group(s, (int)number);
    int fd = space_ioctl(s, group->fd, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)name);
    if (fd < 0) {
        if (!group->users) {
            space_drop_group(s, group);
        }
        return vr_err(err, fd, "%s: VFIO does not hand it out: %s%s", name, strerror(-fd),
                      fd == -EBUSY ? ": it is open already" : "");
    }
    group->users++;
    *ret_group = (int)number;
    return fd;
}

/* The one name below FOLDER/vfio-dev. */
static int space_join_iommufd(struct vireo_vfio_space *s, const char *folder, const char *name,
                              struct vr_error *err)
{
    char path[VR_SYSFS_PATH], node[64] = "";
    struct vr_sysfs_list names;
    snprintf(path, sizeof(path), "%s/vfio-dev", folder);
    if (vr_sysfs_list(&s->fs, path, &names) == 0) {
        if (names.count && strlen(names.names[0]) < 32) {
            snprintf(node, sizeof(node), "dev/vfio/devices/%.31s", names.names[0]);
        }
        vr_sysfs_list_free(&names);
    }
    if (!*node) {
        return vr_err(err, -ENODEV,
                      "%s has no file of its own in /dev/vfio/devices: the kernel lacks that, or "
                      "VFIO does not have the device; the way 'group' may work",
                      name);
    }
    int fd = space_open(s, node, err);
    if (fd < 0) {
        return vr_err_in(err, fd, "%s", name);
    }
    struct vr_vfio_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = s->fd};
    struct vr_vfio_attach_pt attach = {.argsz = sizeof(attach), .pt_id = s->ioas_id};
    int r = space_ioctl(s, fd, VR_VFIO_BIND_IOMMUFD, &bind);
    if (r < 0) {
        vr_err(err, r, "%s: iommufd does not take it: %s%s", name, strerror(-r),
               r == -EBUSY || r == -EINVAL ? ": in use, or of a group that the host uses" : "");
    } else if ((r = space_ioctl(s, fd, VR_VFIO_ATTACH_PT, &attach)) < 0) {
        vr_err(err, r, "%s does not go with the devices that share the space: %s", name,
               strerror(-r));
    }
    if (r < 0) {
        space_close(s, fd);
        return r;
    }
    return fd;
}

int vr_vfio_space_join(struct vireo_vfio_space *s, const char *folder, const char *name,
                       int *ret_fd, int *ret_group, struct vr_error *err)
{
    int group = -1;
    int fd = s->way == VIREO_VFIO_GROUP ? space_join_group(s, folder, name, &group, err)
                                        : space_join_iommufd(s, folder, name, err);
    if (fd < 0) {
        return fd;
    }
    s->devices++;
    s->users++;
    int r = space_limits(s, err);
    if (r < 0) {
        space_close(s, fd);
        vr_vfio_space_leave(s, group);
        return vr_err_in(err, r, "%s", name);
    }
    *ret_fd = fd;
    *ret_group = group;
    return 0;
}

/* With its last group a container forgets its mappings; an iommufd is told to. */
static void space_forget(struct vireo_vfio_space *s)
{
    if (s->way == VIREO_VFIO_IOMMUFD) {
        struct vr_ioas_unmap all = {
            .size = sizeof(all), .ioas_id = s->ioas_id, .length = UINT64_MAX};
        space_ioctl(s, s->fd, VR_IOAS_UNMAP, &all);
    }
    s->mapping_count = 0;
}

void vr_vfio_space_leave(struct vireo_vfio_space *s, int number)
{
    struct vr_vfio_group *group = number >= 0 ? space_group(s, number) : NULL;
    if (--s->devices == 0) {
        space_forget(s);
    }
    if (group && --group->users == 0) {
        space_drop_group(s, group);
    }
    vr_vfio_space_unref(s);
}

/* ---- Mappings ---- */

/* The first mapping that ends behind @iova. */
static size_t space_find(const struct vireo_vfio_space *s, uint64_t iova)
{
    size_t lo = 0, hi = s->mapping_count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (s->mappings[mid].iova + (s->mappings[mid].len - 1) < iova) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static int space_may_map(const struct vireo_vfio_space *s, uint64_t iova, const void *hva,
                         uint64_t len, struct vr_error *err)
{
    uint64_t last = iova + (len - 1), align = s->align;
    if (s->devices == 0) {
        return vr_err(err, -ENODEV, "DMA: open a device in the space first");
    }
    if (len == 0 || last < iova || (uintptr_t)hva + (len - 1) < (uintptr_t)hva ||
        !vr_is_aligned(iova | len | (uintptr_t)hva, align)) {
        return vr_err(err, -EINVAL,
                      "DMA: 0x%llx bytes from 0x%llx: start, length and memory have to be "
                      "multiples of 0x%llx, and not wrap",
                      (unsigned long long)len, (unsigned long long)iova, (unsigned long long)align);
    }
    size_t at = space_find(s, iova);
    if (at < s->mapping_count && s->mappings[at].iova <= last) {
        return vr_err(err, -EEXIST, "DMA: 0x%llx to 0x%llx overlaps the mapping at 0x%llx",
                      (unsigned long long)iova, (unsigned long long)last,
                      (unsigned long long)s->mappings[at].iova);
    }
    for (size_t i = 0; i < s->range_count; i++) {
        if (iova >= s->ranges[i].first && last <= s->ranges[i].last) {
            return 0;
        }
    }
    return vr_err(err, -ERANGE,
                  "DMA: 0x%llx to 0x%llx is in no range that the IOMMU can map (the host keeps "
                  "some for interrupts and firmware)",
                  (unsigned long long)iova, (unsigned long long)last);
}

static int space_map_ioctl(struct vireo_vfio_space *s, uint64_t iova, const void *hva, uint64_t len,
                           bool writable)
{
    if (s->way == VIREO_VFIO_GROUP) {
        struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
                                               .flags = VFIO_DMA_MAP_FLAG_READ |
                                                        (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0),
                                               .vaddr = (uintptr_t)hva,
                                               .iova = iova,
                                               .size = len};
        return space_ioctl(s, s->fd, VFIO_IOMMU_MAP_DMA, &map);
    }
    struct vr_ioas_map map = {.size = sizeof(map),
                              .flags = VR_IOAS_MAP_FIXED | VR_IOAS_MAP_READABLE |
                                       (writable ? VR_IOAS_MAP_WRITEABLE : 0),
                              .ioas_id = s->ioas_id,
                              .user_va = (uintptr_t)hva,
                              .length = len,
                              .iova = iova};
    return space_ioctl(s, s->fd, VR_IOAS_MAP, &map);
}

int vireo_vfio_dma_map(struct vireo_vfio_space *s, uint64_t iova, void *hva, uint64_t len,
                       bool writable, struct vr_error *err)
{
    int r = space_may_map(s, iova, hva, len, err);
    if (r < 0) {
        return r;
    }
    if (s->mapping_count == s->mapping_room) {
        size_t room = s->mapping_room ? s->mapping_room * 2 : 16;
        struct vr_vfio_mapping *more = realloc(s->mappings, room * sizeof(*more));
        if (!more) {
            return vr_err(err, -ENOMEM, "DMA: no memory to remember a mapping");
        }
        s->mappings = more;
        s->mapping_room = room;
    }
    r = space_map_ioctl(s, iova, hva, len, writable);
    if (r < 0) {
        return vr_err(err, r, "DMA: 0x%llx bytes at 0x%llx: %s%s", (unsigned long long)len,
                      (unsigned long long)iova, strerror(-r),
                      r == -ENOMEM
                          ? ": memory for devices is locked; raise RLIMIT_MEMLOCK (ulimit -l)"
                      : r == -ENOSPC ? ": the kernel keeps no more mappings than that "
                                       "(vfio_iommu_type1.dma_entry_limit)"
                                     : "");
    }
    size_t at = space_find(s, iova);
    memmove(&s->mappings[at + 1], &s->mappings[at], (s->mapping_count - at) * sizeof(*s->mappings));
    s->mappings[at] = (struct vr_vfio_mapping){.iova = iova, .len = len};
    s->mapping_count++;
    return 0;
}

int vireo_vfio_dma_unmap(struct vireo_vfio_space *s, uint64_t iova, uint64_t len,
                         struct vr_error *err)
{
    size_t at = space_find(s, iova);
    uint64_t done;
    int r;
    if (at == s->mapping_count || s->mappings[at].iova != iova || s->mappings[at].len != len) {
        return vr_err(err, -ENOENT, "DMA: no mapping of 0x%llx bytes begins at 0x%llx",
                      (unsigned long long)len, (unsigned long long)iova);
    }
    if (s->way == VIREO_VFIO_GROUP) {
        struct vfio_iommu_type1_dma_unmap unmap = {
            .argsz = sizeof(unmap), .iova = iova, .size = len};
        r = space_ioctl(s, s->fd, VFIO_IOMMU_UNMAP_DMA, &unmap);
        done = unmap.size;
    } else {
        struct vr_ioas_unmap unmap = {
            .size = sizeof(unmap), .ioas_id = s->ioas_id, .iova = iova, .length = len};
        r = space_ioctl(s, s->fd, VR_IOAS_UNMAP, &unmap);
        done = unmap.length;
    }
    if (r < 0) {
        return vr_err(err, r, "DMA: unmapping 0x%llx: %s", (unsigned long long)iova, strerror(-r));
    }
    s->mapping_count--;
    memmove(&s->mappings[at], &s->mappings[at + 1], (s->mapping_count - at) * sizeof(*s->mappings));
    return done == len
               ? 0
               : vr_err(err, -EIO, "DMA: the kernel unmapped 0x%llx bytes at 0x%llx, not 0x%llx",
                        (unsigned long long)done, (unsigned long long)iova,
                        (unsigned long long)len);
}

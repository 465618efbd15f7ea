/*
 * Mediated devices: parts of a device that its driver cuts out for guests in software (Intel GVT-g,
 * NVIDIA vGPU, the kernel's own samples), Documentation/driver-api/vfio-mediated-device.rst of
 * Linux.
 *
 *     struct vireo_mdev_type types[16];
 *     char uuid[VIREO_UUID_SIZE];
 *     size_t count;
 *     vireo_mdev_types(NULL, types, 16, &count, &err);
 *     vireo_mdev_create(NULL, types[0].parent, types[0].type, NULL, uuid, &err);
 *     vireo_vfio_open_mdev(space, uuid, &dev, &err);
 *
 * A guest gets one by its UUID (vireo/host_vfio.h). Looking needs no rights, creating and
 * destroying root's. Every function looks at the host anew. Errors: as in vireo/vm.h. Any number of
 * threads.
 */
#ifndef VIREO_HOST_MDEV_H
#define VIREO_HOST_MDEV_H

#include "vireo/host_pci.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VIREO_MDEV_NAME_SIZE = 64, VIREO_UUID_SIZE = 37 };

/* A kind of part that a parent can be cut into. */
struct vireo_mdev_type {
    char parent[VIREO_MDEV_NAME_SIZE]; /* the kernel's name: "0000:00:02.0", "mtty" */
    char type[VIREO_MDEV_NAME_SIZE];   /* "i915-GVTg_V5_4", "mtty-1" */
    char name[VIREO_MDEV_NAME_SIZE];   /* for people; "": none */
    char description[512];             /* the driver's words, lines apart by newlines; "": none */
    char api[32];                      /* "vfio-pci": what guests see; only that can be opened */
    unsigned available;                /* how many more can be made now */
};

/* The types of all parents, by parent and type, at most @cap to @ret_list; how many there are to
 * *ret_count: none where the host has no such driver. @root as in struct vireo_pci_options. What is
 * not readable is left out. -ENOENT: no such root; -ENOMEM; -ENOTSUP: not on this host (Windows).
 */
VIREO_API int vireo_mdev_types(const char *root, struct vireo_mdev_type *ret_list, size_t cap,
                               size_t *ret_count, struct vr_error *err);

/* One that was made. */
struct vireo_mdev {
    char uuid[VIREO_UUID_SIZE];
    char parent[VIREO_MDEV_NAME_SIZE];
    char type[VIREO_MDEV_NAME_SIZE];
    int iommu_group; /* -1: unknown */
    bool in_use;     /* a process has its group open */
};

/* All that there are, by UUID. Errors as above. */
VIREO_API int vireo_mdev_list(const char *root, struct vireo_mdev *ret_list, size_t cap,
                              size_t *ret_count, struct vr_error *err);

/*
 * Make one of @type (as vireo_mdev_types told; parent and type count) named @uuid; NULL: a random
 * one. It is assigned to a guest by opening it under that name, which comes to @ret_uuid (NULL:
 * not wanted). -EINVAL: no UUID; -EEXIST: there is one of that name; -ENOENT: no such parent or
 * type; -ENOSPC: none available; -EACCES.
 */
VIREO_API int vireo_mdev_create(const char *root, const char *parent, const char *type,
                                const char *uuid, char ret_uuid[VIREO_UUID_SIZE],
                                struct vr_error *err);
/* Take it away. -ENODEV: no such device; -EBUSY: a guest uses it; -EINVAL: no UUID; -EACCES. */
VIREO_API int vireo_mdev_destroy(const char *root, const char *uuid, struct vr_error *err);

#ifdef __cplusplus
}
#endif

#endif

/* The inside of address spaces and devices of VFIO, and the system calls that they make, which
 * tests replace by a kernel of their own. */
#ifndef VR_PLATFORM_VFIO_PRIV_H
#define VR_PLATFORM_VFIO_PRIV_H

#include "platform/sysfs.h"
#include "vireo/host_memory.h"
#include "vireo/host_vfio.h"

#include <sys/types.h>
#include <unistd.h>

/* Each returns what the call does, or a negative errno. */
struct vr_vfio_sys {
    int (*open)(void *opaque, int dir_fd, const char *path, int flags);
    void (*close)(void *opaque, int fd);
    int (*ioctl)(void *opaque, int fd, unsigned long request, void *arg);
    int (*ioctl_value)(void *opaque, int fd, unsigned long request, unsigned long value);
    ssize_t (*read)(void *opaque, int fd, void *buf, size_t len, uint64_t off);
    ssize_t (*write)(void *opaque, int fd, const void *buf, size_t len, uint64_t off);
    int (*map)(void *opaque, int fd, uint64_t off, size_t len, unsigned prot,
               struct vireo_map *ret_map, struct vr_error *err);
    void *opaque;
};
/* The host's. */
struct vr_vfio_sys vr_vfio_sys_host(void);

enum {
    VR_VFIO_GROUPS = 64,
    VR_VFIO_RANGES = 64,
    VR_VFIO_REGIONS_MAX = 256,   /* more are a lie */
    VR_VFIO_INFO_MAX = 64 << 10, /* so are longer answers */
};

struct vr_vfio_group {
    int number, fd;
    unsigned users; /* devices open */
};

struct vr_vfio_mapping {
    uint64_t iova, len;
};

struct vireo_vfio_space {
    struct vr_vfio_sys sys;
    struct vr_sysfs fs;
    enum vireo_vfio_way way;
    int fd;           /* container, or iommufd */
    uint32_t ioas_id; /* IOMMUFD */
    unsigned users;   /* devices open, and 1 for the owner */
    unsigned devices;
    struct vr_vfio_group groups[VR_VFIO_GROUPS]; /* GROUP */
    unsigned group_count;
    uint64_t align; /* 0: no device yet */
    struct vireo_iova_range ranges[VR_VFIO_RANGES];
    size_t range_count;
    struct vr_vfio_mapping *mappings; /* by iova */
    size_t mapping_count, mapping_room;
};

struct vr_vfio_view { /* something mapped */
    struct vireo_map map;
    struct vr_vfio_view *next;
};

struct vr_vfio_region_state {
    struct vireo_vfio_region pub;
    uint64_t off; /* in the device's file */
};

struct vireo_vfio {
    struct vireo_vfio_space *space; /* holds a reference */
    char name[64];
    int fd;
    int group; /* GROUP: its number; else -1 */
    bool can_reset;
    struct vr_vfio_region_state *regions;
    size_t region_count;
    struct vireo_vfio_irq irqs[VIREO_VFIO_IRQ_KINDS];
    bool irq_on[VIREO_VFIO_IRQ_KINDS];
    struct vr_vfio_view *views;
};

static inline uint64_t vr_vfio_page(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* vireo_vfio_space_create over @sys, which is copied. */
int vr_vfio_space_create(const struct vireo_vfio_options *options, const struct vr_vfio_sys *sys,
                         struct vireo_vfio_space **ret_space, struct vr_error *err) VR_MUST;
/* A device joins: @folder is its own below the root, @name the kernel's for it. Its file's
 * descriptor and group (-1: none) come back. */
int vr_vfio_space_join(struct vireo_vfio_space *space, const char *folder, const char *name,
                       int *ret_fd, int *ret_group, struct vr_error *err) VR_MUST;
/* And leaves; its descriptor has been closed. */
void vr_vfio_space_leave(struct vireo_vfio_space *space, int group);
void vr_vfio_space_unref(struct vireo_vfio_space *space);

/*
 * Ask for an answer of unknown length: the ioctl's structure begins with argsz, which the kernel
 * raises to what it would need. @fixed bytes of @head go in. The answer, at least @fixed bytes, is
 * the caller's to free. -EPROTO: the kernel's length makes no sense.
 */
int vr_vfio_ask(const struct vr_vfio_sys *sys, int fd, unsigned long request, const void *head,
                size_t fixed, void **ret_answer, size_t *ret_len) VR_MUST;
/*
 * Find capability @id in the chain of an answer of @len bytes: @first is the offset of the first
 * header, @fixed what comes before any. Offset and length (to the end of the answer) come back.
 * -ENOENT: not there; -EPROTO: the chain leaves the answer, or loops.
 */
int vr_vfio_capability(const void *answer, size_t len, size_t fixed, uint32_t first, uint16_t id,
                       size_t *ret_off, size_t *ret_len) VR_MUST;
/* Fill dev->regions, @count of them. */
int vr_vfio_read_regions(struct vireo_vfio *dev, unsigned count, struct vr_error *err) VR_MUST;
void vr_vfio_free_regions(struct vireo_vfio *dev);
/* Fill dev->irqs from the first @count kinds. */
int vr_vfio_read_irqs(struct vireo_vfio *dev, unsigned count, struct vr_error *err) VR_MUST;

#endif

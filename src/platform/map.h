/*
 * Memory of the host by the page: mapped, protected, advised, given back. What the host refuses is
 * an error with the reason; nothing is silently less than what was asked for, but where a function
 * says so.
 */
#ifndef VR_PLATFORM_MAP_H
#define VR_PLATFORM_MAP_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits. Write and execute together is refused (-EACCES): code is made in platform/jitmem.h. */
enum { VR_PROT_NONE = 0, VR_PROT_READ = 1, VR_PROT_WRITE = 2, VR_PROT_EXEC = 4 };

enum {
    VR_MAP_SHARED = 1 << 0,    /* with what else maps @fd; else private (copied on write) */
    VR_MAP_FIXED = 1 << 1,     /* at @hva exactly, where nothing may be mapped yet: -EEXIST */
    VR_MAP_REPLACE = 1 << 2,   /* at @hva exactly, in place of what is mapped there */
    VR_MAP_LOCKED = 1 << 3,    /* present now, and never swapped out */
    VR_MAP_POPULATE = 1 << 4,  /* present now */
    VR_MAP_NORESERVE = 1 << 5, /* the host need not be able to fill all of it */
};

enum { VR_NODE_ANY = -1 };

struct vr_map_opts {
    void *hva;            /* FIXED, REPLACE: where; else NULL */
    unsigned prot, flags; /* VR_PROT_*, VR_MAP_* */
    int fd;               /* a file, when @file */
    bool file;            /* false: zeroes */
    uint64_t file_off;    /* in whole pages */
    uint64_t huge_bytes;  /* page size of the host's set-aside pages: 2 MiB, 1 GiB, ...; 0: plain */
    uint64_t align_bytes; /* a power of two; 0: a page */
    int node;             /* on this NUMA node only; VR_NODE_ANY. Zero is node 0! */
};

struct vr_map {
    uint8_t *hva;
    size_t len; /* whole pages */
};

/* Map @len bytes, rounded up to whole pages. -EINVAL: sizes, offsets or flags that make no sense;
 * -ENOMEM: no room, or no such huge pages set aside; -EPERM, -EAGAIN: locking is limited (the
 * message says to how much); -EACCES: rights of @fd, or write and execute together; -EEXIST;
 * -ENODEV: no such node. */
int vr_map_create(size_t len, const struct vr_map_opts *opts, struct vr_map *ret_map,
                  struct vr_error *err) VR_MUST;
void vr_map_destroy(struct vr_map *map); /* a zeroed one is fine */
/* Change [off, off+len), whole pages. -EACCES, -ERANGE, -EINVAL, -ENOMEM. */
int vr_map_protect(const struct vr_map *map, size_t off, size_t len, unsigned prot,
                   struct vr_error *err) VR_MUST;

enum vr_advice {
    VR_ADVICE_NORMAL,
    VR_ADVICE_RANDOM,
    VR_ADVICE_SEQUENTIAL,
    VR_ADVICE_WILLNEED,
    VR_ADVICE_DONTNEED, /* private zeroes: gone, they read as zero again */
    VR_ADVICE_HUGE,     /* join pages to huge ones */
    VR_ADVICE_NO_HUGE,
    VR_ADVICE_NO_DUMP, /* keep it out of core files */
    VR_ADVICE_MERGE,   /* share equal pages (KSM) */
};
/* Tell the host how [off, off+len), whole pages, will be used. -ERANGE; -EINVAL: the host is built
 * without this; -EBUSY, ... */
int vr_map_advise(const struct vr_map *map, size_t off, size_t len, enum vr_advice advice,
                  struct vr_error *err) VR_MUST;
/* Write what a shared file mapping changed to the file, and wait. -ERANGE, -EIO. */
int vr_map_sync(const struct vr_map *map, size_t off, size_t len, struct vr_error *err) VR_MUST;
/* Keep [off, off+len) in memory, or no longer. -EPERM, -ENOMEM, -EAGAIN: limited. */
int vr_map_lock(const struct vr_map *map, size_t off, size_t len, bool lock,
                struct vr_error *err) VR_MUST;
/* The NUMA node that the page at @off is on; it must have been touched. -ENOENT: it was not. */
int vr_map_node(const struct vr_map *map, size_t off, int *ret_node, struct vr_error *err) VR_MUST;

enum { VR_SEAL_SIZE = 1, VR_SEAL_WRITE = 2 };
/* A memory file of @len zero bytes for sharing by descriptor; the caller closes it. @huge_bytes as
 * above; sealable. -ENOMEM, -EINVAL. */
int vr_memfd_create(const char *name, uint64_t len, uint64_t huge_bytes, int *ret_fd,
                    struct vr_error *err) VR_MUST;
/* From now on nobody changes its size (SIZE), or its bytes (WRITE: -EBUSY while somebody maps it
 * for that). Seals can never be undone. */
int vr_memfd_seal(int fd, unsigned seals, struct vr_error *err) VR_MUST;

#endif

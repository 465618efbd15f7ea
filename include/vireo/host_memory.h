/*
 * Memory of this host by the page: mapped, protected, advised, locked, bound to a NUMA node, shared
 * by file descriptor, given back.
 *
 *     struct vireo_map map;
 *     struct vr_error err;
 *     struct vireo_map_opts opts = {.prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
 *                                   .huge_bytes = 2 << 20, .node = VIREO_NODE_ANY};
 *     if (vireo_map_create(64 << 20, &opts, &map, &err) < 0) {
 *         fprintf(stderr, "%s\n", err.msg);
 *     }
 *
 * What the host refuses is an error with the reason; nothing is silently less than what was asked
 * for. Memory is never writable and executable at one address: for code see vireo/host_code.h.
 *
 * Every function may be called from any thread; a map itself is the caller's, who keeps its use and
 * its destruction apart. Errors: negative errno, as in vireo/error.h; ret_ is untouched then.
 *
 * Sources on Linux: mmap(2), mprotect(2), madvise(2), msync(2), mlock(2), mbind(2),
 * memfd_create(2), fcntl(2) for seals.
 */
#ifndef VIREO_HOST_MEMORY_H
#define VIREO_HOST_MEMORY_H

#include "vireo/error.h"
#include "vireo/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bits. Write and execute together is refused: -EACCES. */
enum { VIREO_PROT_NONE = 0, VIREO_PROT_READ = 1, VIREO_PROT_WRITE = 2, VIREO_PROT_EXEC = 4 };

enum {
    VIREO_MAP_SHARED = 1 << 0,    /* with what else maps @fd; else private (copied on write) */
    VIREO_MAP_FIXED = 1 << 1,     /* at @hva exactly, where nothing may be mapped yet: -EEXIST */
    VIREO_MAP_REPLACE = 1 << 2,   /* at @hva exactly, in place of what is mapped there; on failure
                                     that is still there, or cannot be accessed any more */
    VIREO_MAP_LOCKED = 1 << 3,    /* present now, and never swapped out */
    VIREO_MAP_POPULATE = 1 << 4,  /* present now */
    VIREO_MAP_NORESERVE = 1 << 5, /* the host need not be able to fill all of it */
};

enum { VIREO_NODE_ANY = -1 };

struct vireo_map_opts {
    void *hva;            /* FIXED, REPLACE: where; else NULL */
    unsigned prot, flags; /* VIREO_PROT_*, VIREO_MAP_* */
    int fd;               /* a file, when @file; may be closed once it is mapped */
    bool file;            /* false: zeroes */
    uint64_t file_off;    /* bytes, whole pages */
    uint64_t
        huge_bytes; /* page size of the host's set-aside pages: 2 MiB, 1 GiB, ...; 0: plain; with
                       @file: what the file is made of */
    uint64_t align_bytes; /* a power of two; 0: a page */
    int node;             /* on this NUMA node only; VIREO_NODE_ANY. Zero is node 0! */
};

struct vireo_map {
    uint8_t *hva;
    size_t len;          /* bytes, whole pages */
    uint64_t page_bytes; /* what it is made of: the host's page, or huge ones */
};

/* Map @len bytes, rounded up to whole pages. -EINVAL: sizes, offsets or flags that make no sense;
 * -ENOMEM: no room, or no such huge pages set aside; -EPERM, -EAGAIN: locking is limited (the
 * message says to how much); -EACCES: rights of @fd, or write and execute together; -EEXIST;
 * -ENODEV: no such node. */
VIREO_API int vireo_map_create(size_t len, const struct vireo_map_opts *opts,
                               struct vireo_map *ret_map, struct vr_error *err) VIREO_MUST;
VIREO_API void vireo_map_destroy(struct vireo_map *map); /* a zeroed one is fine */
/* Change [off, off+len), whole pages. -EACCES, -ERANGE, -EINVAL, -ENOMEM. */
VIREO_API int vireo_map_protect(const struct vireo_map *map, size_t off, size_t len, unsigned prot,
                                struct vr_error *err) VIREO_MUST;

enum vireo_advice {
    VIREO_ADVICE_NORMAL,
    VIREO_ADVICE_RANDOM,
    VIREO_ADVICE_SEQUENTIAL,
    VIREO_ADVICE_WILLNEED,
    VIREO_ADVICE_DONTNEED, /* private zeroes: gone, they read as zero again */
    VIREO_ADVICE_HUGE,     /* join pages to huge ones */
    VIREO_ADVICE_NO_HUGE,
    VIREO_ADVICE_NO_DUMP, /* keep it out of core files */
    VIREO_ADVICE_MERGE,   /* share equal pages (KSM) */
};
/* Tell the host how [off, off+len), whole pages, will be used. -ERANGE; -EINVAL: the host is built
 * without this; -EBUSY, ... */
VIREO_API int vireo_map_advise(const struct vireo_map *map, size_t off, size_t len,
                               enum vireo_advice advice, struct vr_error *err) VIREO_MUST;
/* Write what a shared file mapping changed to the file, and wait. -ERANGE, -EIO. */
VIREO_API int vireo_map_sync(const struct vireo_map *map, size_t off, size_t len,
                             struct vr_error *err) VIREO_MUST;
/* Keep [off, off+len) in memory, or no longer. -EPERM, -ENOMEM, -EAGAIN: limited. */
VIREO_API int vireo_map_lock(const struct vireo_map *map, size_t off, size_t len, bool lock,
                             struct vr_error *err) VIREO_MUST;
/* The NUMA node that the page at @off is on; it must have been touched. -ENOENT: it was not;
 * -ERANGE. */
VIREO_API int vireo_map_node(const struct vireo_map *map, size_t off, int *ret_node,
                             struct vr_error *err) VIREO_MUST;

/* ---- Memory files -------------------------------------------------------------------------- */

enum { VIREO_SEAL_SIZE = 1, VIREO_SEAL_WRITE = 2 };
/* A memory file of @len zero bytes for sharing by descriptor; the caller closes it. @huge_bytes as
 * above; sealable. @name shows in the host's listings. -ENOMEM, -EINVAL. */
VIREO_API int vireo_memfd_create(const char *name, uint64_t len, uint64_t huge_bytes, int *ret_fd,
                                 struct vr_error *err) VIREO_MUST;
/* From now on nobody changes its size (SIZE), or its bytes (WRITE: -EBUSY while somebody maps it
 * for that). Seals can never be undone. */
VIREO_API int vireo_memfd_seal(int fd, unsigned seals, struct vr_error *err) VIREO_MUST;

/* ---- Memory that is mapped here and shared by descriptor: guest RAM ------------------------- */

struct vireo_shmem {
    void *hva; /* aligned to the host's page */
    uint64_t len;
    int fd; /* map it MAP_SHARED elsewhere to see the same bytes; -1 where the host has none, and
               for a private view of a file */
    struct vireo_map map;
    int base_fd;       /* a private view: of this file, ours, -1: it is none; */
    uint64_t base_off; /* from here on, bytes */
};

struct vireo_shmem_opts {
    uint64_t huge_bytes; /* as in struct vireo_map_opts; then the host has to have all of it now */
    int node;            /* as there: zero is node 0! */
    bool populate;       /* present now, not page by page as it is touched */
    /* A private view of a file instead of zeroes: it begins as the bytes of @fd from @file_off
     * (whole pages) on, which are read as they are touched; what is written stays in this process.
     * The file must not be changed or made shorter while the view lives. @fd may be closed. */
    bool file;
    int fd;
    uint64_t file_off;
};

/* @len bytes of zeroes, given to us by the host page by page as they are touched. @name shows in
 * the host's process listing. @opts NULL: plain pages on any node. -ENOMEM (also when @len is
 * beyond what the host can map), -EINVAL (0; a file that is shorter; one in huge pages), -ENODEV
 * (no such node), -EPERM, -ENOTSUP (a file, on Windows). */
VIREO_API int vireo_shmem_create(const char *name, uint64_t len,
                                 const struct vireo_shmem_opts *opts, struct vireo_shmem *ret_mem,
                                 struct vr_error *err) VIREO_MUST;
VIREO_API void vireo_shmem_destroy(struct vireo_shmem *mem);

/* The first byte at or after @off that was ever written since it was last discarded, to a host
 * page's precision; mem->len: none. What lies between reads as zero, and need not be read, which
 * would make the host find memory for it. In a view of a file, what the file has counts as written.
 */
VIREO_API uint64_t vireo_shmem_next_data(const struct vireo_shmem *mem, uint64_t off);
/* Bytes that the host has found memory for. In a view of a file: pages of its own, which were
 * written, and those of the file's, seen through the view, that are in memory now, whoever had them
 * read; *ret_shared (may be NULL) is how many bytes these are, which all views of the file share: 0
 * where there is no file. UINT64_MAX: the host cannot tell (macOS, Windows). */
VIREO_API uint64_t vireo_shmem_used(const struct vireo_shmem *mem, uint64_t *ret_shared);
/* What is given back of a view of a file is whole pieces of this size, counted from its beginning.
 */
enum { VIREO_SHMEM_PIECE_BYTES = 2 << 20 };
/* Zero [off, off+len), whole pages, and give the memory back to the host, from a view of a file
 * whole pieces. -ERANGE, ... */
VIREO_API int vireo_shmem_discard(const struct vireo_shmem *mem, uint64_t off, uint64_t len,
                                  struct vr_error *err) VIREO_MUST;

/* From now on @mem, which shares its file, is a private view of that file: what is written stays in
 * this process, and the file (mem->base_fd) is what it was. Nobody else may have it mapped for
 * writing from then on. In one step for who accesses it, at the same address. -EINVAL: it is a view
 * already, or in huge pages; -ENOTSUP: on Windows; -ENOMEM. */
VIREO_API int vireo_shmem_make_view(struct vireo_shmem *mem, struct vr_error *err) VIREO_MUST;
/* Of which pieces of @piece_bytes (whole pages) has the view @mem pages of its own, because they
 * were written? @ret_changed has one element a piece, the last may be a part. -EINVAL: it is no
 * view; -ENOTSUP: the host does not tell (not Linux, or without /proc). */
VIREO_API int vireo_shmem_changed(const struct vireo_shmem *mem, uint64_t piece_bytes,
                                  bool *ret_changed, struct vr_error *err) VIREO_MUST;

#ifdef __cplusplus
}
#endif

#endif

/*
 * Address spaces: guest-physical memory or I/O ports.
 *
 * A space is a list of regions with priorities. Readers never see the list: they use an immutable
 * flat view (sorted, non-overlapping ranges), built whole at each change and swapped. A reader
 * keeps a `struct vr_view_cache`, which holds a reference to one view and follows the space's
 * generation; a view, and each region in it, is released when the last cache has moved on (DESIGN
 * 3, rule 5).
 *
 * Threads: add/remove/look-ups may be called from any thread; one vr_view_cache belongs to one user
 * at a time (a vCPU, or a device under its lock).
 */
#ifndef VR_CORE_SPACE_H
#define VR_CORE_SPACE_H

#include "base/err.h"
#include "vireo/host_memory.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec;
struct vr_dev;
struct vr_ram_fork;
struct vr_ram_due;

enum { VR_PAGE_SHIFT = 12, VR_PAGE_SIZE = 1 << VR_PAGE_SHIFT };

/* Bits of vr_ram.page_flags. A set bit makes every writer call vr_ram_wrote after it wrote. */
enum {
    VR_PAGE_CODE = 1,  /* some engine holds translations of this page: tell code_written */
    VR_PAGE_CLEAN = 2, /* not written since somebody asked which pages are (core/dirty.h) */
};

/* Guest memory: one shared mapping of a memory file, so that others may map it too. */
struct vr_ram {
    uint8_t *hva;
    uint64_t len;                /* bytes, a multiple of VR_PAGE_SIZE */
    struct vireo_shmem mem;      /* where it comes from */
    _Atomic uint8_t *page_flags; /* one byte a page */
    struct vr_ram_fork *fork;    /* copy on write with others: ram_fork.h; NULL: never was */
    /* Contents that are to be checked before they are used: ram_due.h; NULL: all may be. */
    struct vr_ram_due *_Atomic due;
    struct vr_ram_due *due_owned; /* the same, until the end */
};

enum vr_region_kind { VR_REGION_RAM, VR_REGION_ROM, VR_REGION_DEV };

/* A range of a space. Owned by whoever creates it; must stay until vr_space_remove returned and
 * `release` (if set) was called: then no view holds it any more. */
struct vr_region {
    const char *name;
    enum vr_region_kind kind;
    int prio;           /* higher wins where regions overlap; equal priority must not overlap */
    uint64_t gpa;       /* first address */
    uint64_t len;       /* bytes; gpa + len does not wrap */
    struct vr_ram *ram; /* RAM and ROM: contents */
    uint64_t ram_off;   /* where in ram the region starts; page-aligned */
    struct vr_dev *dev; /* DEV: who answers; ROM: who hears of writes, or NULL */
    unsigned window;    /* which of its windows */
    void (*release)(struct vr_region *); /* may be NULL */
    struct vr_region *next;              /* the space's list */
    bool mapped;                         /* in the space's list */
    unsigned refs;                       /* views that hold it, under the space's lock */
};

/* One range of a flat view. */
struct vr_flat {
    uint64_t gpa, len;
    struct vr_region *region;
    uint64_t off; /* of gpa inside the region */
};

struct vr_view {
    unsigned refs; /* under the space's lock */
    size_t count;
    struct vr_flat flat[]; /* sorted by gpa */
};

struct vr_space;
enum { VR_SPACE_LISTENERS = 128 };

/* Heard after a page whose VR_PAGE_CODE is set was, or is about to be, written by anyone. Called on
 * the writer's thread with the writer's locks held; must only note and kick. */
typedef void (*vr_code_written_fn)(void *opaque, struct vr_ram *ram, uint64_t off, uint64_t len);

struct vr_view_cache {
    struct vr_view *view;
    uint64_t gen;
};

/* Create a space of addresses 0..@limit (inclusive). Free with vr_space_destroy (NULL is fine)
 * after every cache was dropped. -ENOMEM. */
int vr_space_create(const char *name, uint64_t limit, struct vr_space **ret_space,
                    struct vr_error *err) VR_MUST;
void vr_space_destroy(struct vr_space *space);

/* Map @region. -EINVAL: outside the space, wraps, or empty; -EEXIST: same-priority overlap (both
 * named in @err). vr_space_move re-maps at @gpa in one swap. */
int vr_space_add(struct vr_space *space, struct vr_region *region, struct vr_error *err) VR_MUST;
int vr_space_move(struct vr_space *space, struct vr_region *region, uint64_t gpa,
                  struct vr_error *err) VR_MUST;
void vr_space_remove(struct vr_space *space, struct vr_region *region);

/* Grows by one at each change of the map. An engine compares it at block boundaries. */
uint64_t vr_space_gen(const struct vr_space *space);
/* Called (any thread) after each change of the map, so that engines drop cached pointers; must not
 * change the map itself. At most VR_SPACE_LISTENERS of each kind. */
void vr_space_on_change(struct vr_space *space, void (*fn)(void *), void *opaque);
void vr_space_on_code_written(struct vr_space *space, vr_code_written_fn fn, void *opaque);
/* Drop every listener that was added with @opaque; none of them runs any more after return. Not
 * from one. */
void vr_space_forget(struct vr_space *space, void *opaque);

/* The current view, through @cache (zeroed at first use). Never NULL. Costs one atomic load while
 * the map stays as it is. */
const struct vr_view *vr_space_view(struct vr_space *space, struct vr_view_cache *cache);
void vr_view_cache_drop(struct vr_space *space, struct vr_view_cache *cache);
/* The range that holds @gpa, or NULL where nothing is mapped. */
const struct vr_flat *vr_view_find(const struct vr_view *view, uint64_t gpa);

/* RAM. @name shows in /proc. hva is page-aligned, zero-filled, shared. -ENOMEM; -EINVAL: @len is 0
 * or not whole pages. @how: from which pages of the host, see vireo_shmem_create; NULL: plain. */
int vr_ram_create_as(const char *name, uint64_t len, const struct vireo_shmem_opts *how,
                     struct vr_ram **ret_ram, struct vr_error *err) VR_MUST;
static inline int VR_MUST vr_ram_create(const char *name, uint64_t len, struct vr_ram **ret_ram,
                                        struct vr_error *err)
{
    return vr_ram_create_as(name, len, NULL, ret_ram, err);
}
void vr_ram_destroy(struct vr_ram *ram);
/* Whoever is about to use [off, off+len) of @ram, but for overwriting it, asks this before, and
 * takes no for "there is no memory here": what should be there is damaged. It may read a file. Any
 * thread, locks of devices held. */
bool vr_ram_due_ready(struct vr_ram *ram, uint64_t off, uint64_t len);
static inline bool vr_ram_ready(struct vr_ram *ram, uint64_t off, uint64_t len)
{
    return VR_LIKELY(!atomic_load_explicit(&ram->due, memory_order_acquire)) ||
           vr_ram_due_ready(ram, off, len);
}
/* Every writer of guest RAM calls this after writing [off, off+len): its pages lose VR_PAGE_CLEAN,
 * and those with VR_PAGE_CODE lose it and are reported to every vr_space_on_code_written listener.
 * Cheap when no flag is set. */
void vr_ram_wrote(struct vr_space *space, struct vr_ram *ram, uint64_t off, uint64_t len);
/* The CPU that calls this is about to write the page at @off, without telling from then on, until
 * it is asked to forget what it may write (vr_vcpu_protected). */
static inline void vr_ram_will_write(struct vr_ram *ram, uint64_t off)
{
    _Atomic uint8_t *flags = &ram->page_flags[off >> VR_PAGE_SHIFT];
    if (VR_UNLIKELY(atomic_load_explicit(flags, memory_order_relaxed) & VR_PAGE_CLEAN)) {
        atomic_fetch_and(flags, (uint8_t)~VR_PAGE_CLEAN);
    }
}
/* Give the host's pages that lie wholly in [off, off+len) back to it; they read as zero from then
 * on, and come back when they are written. The rest of the range stays as it is. *ret_bytes: how
 * many were given. Code in them is reported as if they were written. Errors are the host's. */
int vr_ram_discard(struct vr_space *space, struct vr_ram *ram, uint64_t off, uint64_t len,
                   uint64_t *ret_bytes, struct vr_error *err) VR_MUST;

/*
 * DMA: RAM only. A range that is not wholly RAM (reads: RAM or ROM) is refused with -EFAULT, so a
 * device can never reach a device window, its own included (THREATS 6). Lengths are checked for
 * wrap.
 */
int vr_dma_read(struct vr_space *space, struct vr_view_cache *cache, uint64_t gpa, void *buf,
                uint64_t len) VR_MUST;
int vr_dma_write(struct vr_space *space, struct vr_view_cache *cache, uint64_t gpa, const void *buf,
                 uint64_t len) VR_MUST;
/* Describe [gpa, gpa+len) as at most @max iovecs into RAM; returns how many, -EFAULT or -E2BIG. The
 * pointers stay valid while @cache holds its view, i.e. until the next vr_space_view on it... so
 * the region's owner keeps RAM for the machine's whole life. After a device wrote through them it
 * calls vr_dma_wrote with the same range. */
int vr_dma_map(struct vr_space *space, struct vr_view_cache *cache, uint64_t gpa, uint64_t len,
               bool write, struct iovec *iov, unsigned max) VR_MUST;
void vr_dma_wrote(struct vr_space *space, struct vr_view_cache *cache, uint64_t gpa, uint64_t len);
/* vr_ram_discard for a range of guest memory, whose contents the guest gives up. -EFAULT: it is not
 * all RAM, and nothing was done; else the host's errors. */
int vr_dma_discard(struct vr_space *space, struct vr_view_cache *cache, uint64_t gpa, uint64_t len,
                   uint64_t *ret_bytes, struct vr_error *err) VR_MUST;
/* A host pointer to @len bytes (aligned, naturally, to len <= 8, or any range inside one RAM
 * region) for atomic access to rings; NULL if not RAM. */
void *vr_dma_ptr(struct vr_space *space, struct vr_view_cache *cache, uint64_t gpa, uint64_t len,
                 bool write);

/* One access of 1, 2, 4 or 8 bytes by a CPU or a test, to RAM, ROM or a device window; takes the
 * device's lock for the latter. -EFAULT: nothing there, the access straddles two regions, or it
 * writes to ROM that no device listens to. Little-endian value. */
int vr_space_read(struct vr_space *space, struct vr_view_cache *cache, uint64_t gpa, unsigned width,
                  uint64_t *ret_val) VR_MUST;
int vr_space_write(struct vr_space *space, struct vr_view_cache *cache, uint64_t gpa,
                   unsigned width, uint64_t val) VR_MUST;

#endif

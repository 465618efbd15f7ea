/*
 * A disk as it was at a moment: files, one over the other, and how to read them.
 *
 * The lowest layer is an image. Above it lie the overlays of clones that were forked themselves,
 * each with the units that it has of its own. A layer whose owner still writes it has before images
 * (past.h). All of it is descriptors, which may be handed to other processes; whoever reads trusts
 * none of them for more than bytes.
 */
#ifndef VR_BACKEND_BLOCK_FROZEN_H
#define VR_BACKEND_BLOCK_FROZEN_H

#include "backend/block/past.h"
#include <stdatomic.h>
#include <sys/uio.h>

enum { VR_FROZEN_LAYERS = 32 }; /* clones of clones of ... */

struct vr_frozen_layer {
    int data;        /* each unit where it belongs; of an image with its lock */
    bool some;       /* an overlay: it has only the units whose bits are set in */
    int map;         /* this memory, a bit a unit; -1: not @some */
    int index, kept; /* its owner's before images; -1: nobody writes it */
    uint32_t moment; /* which of them; 0: the same */
};

/* For vr_frozen_thaw, in the process that froze it. */
struct vr_thaw {
    struct vr_past *past; /* a reference; NULL: there is nothing to tell */
    uint32_t moment;
};

/* Descriptors are its own. */
struct vr_frozen {
    char *path;
    uint64_t size_bytes;
    uint32_t optimal_bytes;
    unsigned layer_count; /* the top one last */
    struct vr_frozen_layer layer[VR_FROZEN_LAYERS];
    const char *dir;     /* while it is made: vr_blk_freeze's */
    struct vr_thaw thaw; /* not taken yet: done when it is destroyed */
};

int vr_frozen_create(const char *path, uint64_t size_bytes, uint32_t optimal_bytes,
                     struct vr_frozen **ret_frozen, struct vr_error *err) VR_MUST;
void vr_frozen_destroy(struct vr_frozen *frozen); /* NULL is fine */
/* One layer more, on top: other descriptors of @data and @map (both kept open by the caller), and a
 * new moment of @past (NULL: nobody writes it). -E2BIG: too many layers. */
int vr_frozen_put(struct vr_frozen *frozen, int data, bool some, int map, struct vr_past *past,
                  struct vr_error *err) VR_MUST;
/* All layers of @from, below everything that comes. */
int vr_frozen_put_all(struct vr_frozen *frozen, const struct vr_frozen *from,
                      struct vr_error *err) VR_MUST;
/* What is to be told when nobody reads @frozen any more; once. */
void vr_frozen_take_thaw(struct vr_frozen *frozen, struct vr_thaw *ret_thaw);
/* Tell it. Any thread. */
void vr_frozen_thaw(struct vr_thaw *thaw);

/* A disk that is read. @frozen stays the caller's, and open. Any number of threads. */
struct vr_frozen_view;
int vr_frozen_open(const struct vr_frozen *frozen, struct vr_frozen_view **ret_view,
                   struct vr_error *err) VR_MUST;
void vr_frozen_close(struct vr_frozen_view *view); /* NULL is fine */
/* Read [off, off + the iovecs' sum), inside the disk. -EIO: it is lost. */
int vr_frozen_read(const struct vr_frozen_view *view, const struct iovec *iov, unsigned count,
                   uint64_t off, uint64_t len) VR_MUST;

/* Is bit @unit set? For maps of units. */
static inline bool vr_frozen_bit(const _Atomic uint32_t *map, uint64_t unit)
{
    return atomic_load(&map[unit / 32]) >> unit % 32 & 1;
}
/* Bytes of a map for a disk of @size_bytes. */
static inline uint64_t vr_frozen_map_len(uint64_t size_bytes)
{
    uint64_t units = size_bytes / VR_PAST_UNIT + 1;
    return ((units + 31) / 32 * 4 + 4095) & ~UINT64_C(4095);
}

#endif

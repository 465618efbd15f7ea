/*
 * Guest RAM shared copy on write: the memory of a machine that was forked, and of its clones.
 *
 * At the first fork the memory file that RAM is becomes the base, which nobody changes any more:
 * the machine goes on with a private view of it, and so do clones. At the next fork, chunks of
 * which this machine has pages of its own are copied to a second file, which joins the base, and
 * the machine's own pages go; clones map the base with those chunks over it. So a fork costs what
 * was written since the last one, and everybody shares everything that did not change. A clone that
 * is forked adds a file of its own.
 *
 * Chunks of the files that no living clone can ask for any more are given back (vr_ram_thaw).
 */
#ifndef VR_CORE_RAM_FORK_H
#define VR_CORE_RAM_FORK_H

#include "core/space.h"

enum { VR_RAM_FILES = 32 }; /* clones of clones of ... */
#define VR_RAM_ZERO UINT32_MAX

/* Where the bytes of a chunk are. */
struct vr_ram_place {
    uint32_t file; /* VR_RAM_ZERO: they are zeroes */
    uint32_t slot; /* in chunks; in file 0, from `off` on */
};

/* Memory as it was at a moment. Descriptors (for reading only) and places are its own. */
struct vr_ram_frozen {
    uint64_t len, chunk_bytes, off; /* off: bytes, where it begins in file 0 */
    unsigned file_count;
    int file[VR_RAM_FILES];
    uint64_t place_count;
    struct vr_ram_place *place;
    uint32_t moment;       /* for vr_ram_thaw */
    uint64_t copied_bytes; /* what making it copied */
};

/* @ram as it is now. Nobody writes it meanwhile, and afterwards the machine's CPUs forget where
 * they mapped its file (vr_machine_freeze_ram does both). -ENOTSUP: RAM in huge pages, or a host
 * that does not tell which pages are whose; -E2BIG: clones of clones end here; -ENOMEM. */
int vr_ram_freeze(struct vr_ram *ram, struct vr_ram_frozen **ret_frozen,
                  struct vr_error *err) VR_MUST;
/* Nobody maps @ram as it was at @moment any more. Any thread. */
void vr_ram_thaw(struct vr_ram *ram, uint32_t moment);
void vr_ram_frozen_destroy(struct vr_ram_frozen *frozen); /* NULL is fine */
/* Does what it says make sense, and do the files have what it asks for? -EPROTO. */
int vr_ram_frozen_check(const struct vr_ram_frozen *frozen, struct vr_error *err) VR_MUST;
/* @ram, a view of @frozen's file 0, has @frozen's contents from now on. Nobody uses it yet. */
int vr_ram_adopt(struct vr_ram *ram, const struct vr_ram_frozen *frozen,
                 struct vr_error *err) VR_MUST;

/* ---- For ram.c ---- */

void vr_ram_fork_destroy(struct vr_ram *ram);
/* vireo_shmem_discard for RAM, forked or not: what of it is a mapping of zeroes now is noted. */
int vr_ram_fork_discard(struct vr_ram *ram, uint64_t off, uint64_t len,
                        struct vr_error *err) VR_MUST;

/* vireo_shmem_next_data for RAM, forked or not. For guest RAM only this one is right: what a fork
 * put aside lies in files that vireo_shmem_next_data knows nothing of. Any thread. */
uint64_t vr_ram_next_data(const struct vr_ram *ram, uint64_t off);
/* The first page at or after @off, a page's beginning, that is not all zeroes; ram->len: none. For
 * a walk over all of them from 0 on: the host is asked at steps of 2 MiB. */
uint64_t vr_ram_next_page(const struct vr_ram *ram, uint64_t off);

#endif

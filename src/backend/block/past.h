/*
 * Before images: who reads an image as it was at a moment, while its owner goes on writing it.
 *
 * The owner of a writable image marks moments. Before it changes a unit (64 KiB) that somebody may
 * still read as it was at one, it puts what the unit was into a file beside the image, and says so
 * in an index, which is memory that all of them map. A reader looks at the index before and after
 * it read a unit of the image: what it read counts if the index said nothing both times; else it
 * reads what was kept. So a reader never sees a byte that was written after its moment, nor half a
 * write, and the owner never waits for a reader.
 *
 * The index has a list a unit, newest first: each entry was right for all moments up to its own
 * that no older entry covers. One entry a unit and moment is the most there is, and only for
 * moments that somebody reads (vr_past_drop says that nobody does any more).
 *
 * Readers may be in other processes and trust neither index nor file: what they find there leads to
 * bytes of the file or to an error, nowhere else. Should the owner be killed, the image stays as it
 * is, and what was kept stays right: an entry is there before the image changes.
 */
#ifndef VR_BACKEND_BLOCK_PAST_H
#define VR_BACKEND_BLOCK_PAST_H

#include "base/err.h"
#include "vireo/host_memory.h"
#include <stdbool.h>
#include <stdint.h>

enum { VR_PAST_UNIT = 64 << 10 };

/* What a unit was. */
enum vr_past_what {
    VR_PAST_SAME,    /* as the image has it now */
    VR_PAST_KEPT,    /* what was kept in the file */
    VR_PAST_ZERO,    /* zeroes */
    VR_PAST_NOTHING, /* the image had none: what lies below it shows */
};

/* ---- The owner ---- */

struct vr_past;

/* For an image of @size_bytes; files go to folder @dir (vr_file_temp). Readers need *ret_index and
 * *ret_kept, descriptors for reading only that belong to vr_past. */
int vr_past_create(uint64_t size_bytes, const char *dir, struct vr_past **ret_past,
                   struct vr_error *err) VR_MUST;
/* Counted: who marks a moment and tells when it is not read any more may outlive the image. */
struct vr_past *vr_past_get(struct vr_past *past);
void vr_past_put(struct vr_past *past); /* NULL is fine; readers go on */
void vr_past_fds(const struct vr_past *past, int *ret_index, int *ret_kept);
/* The image as it is now is moment *ret_moment, from 1 on. While nothing is being written. */
int vr_past_mark(struct vr_past *past, uint32_t *ret_moment, struct vr_error *err) VR_MUST;
/* Nobody reads the image as it was at @moment any more. Any thread. */
void vr_past_drop(struct vr_past *past, uint32_t moment);
/* [off, off + len) of the image is about to change; returns when it may. @was fills @buf with the
 * unit that begins at @off, @len bytes, and says what it is (KEPT or NOTHING), or a negative errno.
 * What cannot be kept is lost for readers, who get errors then; the owner goes on. Any thread. */
void vr_past_keep(struct vr_past *past, uint64_t off, uint64_t len,
                  int (*was)(void *opaque, uint64_t off, uint8_t *buf, uint32_t len), void *opaque);
/* Does anybody? Any thread. */
bool vr_past_is_read(const struct vr_past *past);
/* Units kept, and units that could not be, so far. */
void vr_past_count(struct vr_past *past, uint64_t *ret_kept, uint64_t *ret_lost);

/* ---- A reader ---- */

struct vr_past_view;

/* Look at @index (which may be closed afterwards) for @moment. -EINVAL: it is no index of such an
 * image. */
int vr_past_open(int index, uint64_t size_bytes, uint32_t moment, struct vr_past_view **ret_view,
                 struct vr_error *err) VR_MUST;
void vr_past_close(struct vr_past_view *view); /* NULL is fine */
/* What was the unit that holds @off? KEPT: *ret_off is where it begins in the file. -EIO: it is
 * lost, or the index is damaged. */
int vr_past_look(const struct vr_past_view *view, uint64_t off, uint64_t *ret_off) VR_MUST;

/* ---- What the owners of an overlay and of a past have alike ---- */

/* A nameless file in folder @dir that holds @what, for messages, and a descriptor for readers. On
 * failure either may be open, or is as it was. */
int vr_past_file(const char *dir, const char *what, int *ret_file, int *ret_read_only,
                 struct vr_error *err) VR_MUST;
/* The same for @len bytes of memory that processes share, whose size stays. */
int vr_past_memory(const char *name, uint64_t len, struct vireo_shmem *ret_mem, int *ret_read_only,
                   struct vr_error *err) VR_MUST;
/* @len bytes of such memory, to read; the file is that long. */
int vr_past_map(int fd, uint64_t len, struct vireo_map *ret_map, struct vr_error *err) VR_MUST;

#endif

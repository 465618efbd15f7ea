/*
 * A tape: the inputs of a deterministic machine, in a file (docs/deterministic.md has the layout).
 *
 * All numbers are little-endian. A head, then records; each ends with a checksum. A reader takes
 * the file as hostile: it reads all of it, and checks every length and sum, before anybody sees a
 * record. A file that ends in the middle of a record was cut off while it was written: what is
 * whole counts.
 *
 * Threads: one at a time.
 */
#ifndef VR_CORE_TAPE_H
#define VR_CORE_TAPE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VR_TAPE_VERSION = 2,
    VR_TAPE_ABOUT_MAX = 64 << 10, /* bytes */
    VR_TAPE_DATA_MAX = 64 << 20,  /* bytes of one record */
};

struct vr_tape_head {
    uint64_t seed, epoch_ns;
    uint64_t hash_steps; /* steps between two state hashes */
    const char *about;   /* of the machine, for people; lives as long as the tape */
};

struct vr_tape_rec {
    uint16_t kind; /* enum vr_det_kind */
    uint16_t src;
    uint64_t beat, steps; /* when */
    const uint8_t *data;
    size_t len;
};

struct vr_tape;

/* A new file, or in place of what was there. -EACCES, -ENOENT, ...; -ENOMEM. */
int vr_tape_create(const char *path, const struct vr_tape_head *head, struct vr_tape **ret_tape,
                   struct vr_error *err) VR_MUST;
/* Append; @rec->data, then @more. Errors are kept for vr_tape_flush. */
void vr_tape_put(struct vr_tape *tape, const struct vr_tape_rec *rec, const void *more,
                 size_t more_len);
/* Hand what was put to the host. 0, or what the first failure was. */
int vr_tape_flush(struct vr_tape *tape);
uint64_t vr_tape_bytes(const struct vr_tape *tape); /* written, or read */

/* Read all of it; one that was cut is the records that are whole. -EPROTO: no tape, or of another
 * version; -EBADMSG: damaged; -EFBIG; -ENOMEM. */
int vr_tape_open(const char *path, struct vr_tape **ret_tape, struct vr_error *err) VR_MUST;
/* The same for bytes in memory, which are copied. */
int vr_tape_open_bytes(const char *name, const void *bytes, size_t len, struct vr_tape **ret_tape,
                       struct vr_error *err) VR_MUST;
void vr_tape_head(const struct vr_tape *tape, struct vr_tape_head *ret_head);
/* Record @i; false past the end. */
bool vr_tape_get(const struct vr_tape *tape, uint64_t i, struct vr_tape_rec *ret_rec);
uint64_t vr_tape_count(const struct vr_tape *tape);

void vr_tape_close(struct vr_tape *tape); /* NULL is fine */

#endif

/*
 * The file of a snapshot (docs/snapshots.md): named sections of bytes, and images (memories, disks)
 * in pieces. Every byte of a file is checked before it is believed: heads, directory and sections
 * by checksums of their own, images piece by piece, what lies between has to be zero.
 *
 * A file may say what changed since another one, its parent, and only that: a chain.
 */
#ifndef VR_CONTROL_SNAPFILE_H
#define VR_CONTROL_SNAPFILE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VR_SNAPFILE_NAME = 32,       /* of a section, with its zero */
    VR_SNAPFILE_PIECE = 1 << 20, /* the most that a piece holds, bytes */
    VR_SNAPFILE_ID = 16,
    VR_SNAPFILE_CHAIN = 64, /* files in a chain */
};

enum vr_snapfile_pack { VR_SNAPFILE_PLAIN, VR_SNAPFILE_ZSTD };

/* ---- Writing ---- */

/* What an image is made of, while it is written. */
struct vr_snapfile_source {
    uint64_t len_bytes;
    uint32_t grain_bytes; /* what changes are told by: a power of two, up to VR_SNAPFILE_PIECE */
    /* The first byte at or after @off that may be other than zero; len_bytes: none. */
    uint64_t (*next)(void *opaque, uint64_t off);
    /* @len bytes at @off, a piece at most; valid until the next call. NULL: @err. */
    const uint8_t *(*read)(void *opaque, uint64_t off, size_t len, struct vr_error *err);
    int clone_fd; /* a file of the same bytes at the same places, to share blocks with; -1: none */
    const uint64_t *base; /* hashes of the parent's grains (vr_snapfile_hashes); NULL: all is new */
    /* With @base: a bit for each grain, clear where it is known to be as the parent has it, so that
     * it need not be looked at; NULL: nothing is known. */
    const uint64_t *may_differ;
    bool flat; /* lay it out as it is in memory, so that it can be mapped; not packed */
    void *opaque;
};

struct vr_snapfile_writer;
/* -ENOENT, -EACCES, ...: of @path's folder; -ENOTSUP: built without zstd. */
int vr_snapfile_create(const char *path, enum vr_snapfile_pack pack,
                       struct vr_snapfile_writer **ret_writer, struct vr_error *err) VR_MUST;
int vr_snapfile_put(struct vr_snapfile_writer *w, const char *name, const void *data, size_t len,
                    struct vr_error *err) VR_MUST;
/* @done (may be NULL) is told of each piece of the image that is done, in bytes. */
int vr_snapfile_put_image(struct vr_snapfile_writer *w, const char *name,
                          const struct vr_snapfile_source *source,
                          void (*done)(void *opaque, uint64_t bytes), void *opaque,
                          struct vr_error *err) VR_MUST;
const uint8_t *vr_snapfile_writer_id(const struct vr_snapfile_writer *w); /* the file's number */
/* Write what is missing, have all on the medium, and let it appear. Ends @w, also on failure. */
int vr_snapfile_commit(struct vr_snapfile_writer *w, struct vr_error *err) VR_MUST;
void vr_snapfile_abort(struct vr_snapfile_writer *w); /* NULL is fine */

/* ---- Reading ---- */

struct vr_snapfile;
/* Open @path; head and directory are checked. -EPROTO: it is no snapshot, a damaged one, or of a
 * later version. */
int vr_snapfile_open(const char *path, struct vr_snapfile **ret_file, struct vr_error *err) VR_MUST;
void vr_snapfile_close(struct vr_snapfile *f); /* with its parents; NULL is fine */
const char *vr_snapfile_path(const struct vr_snapfile *f);
const uint8_t *vr_snapfile_id(const struct vr_snapfile *f);
/* A number that stands for each byte of the file. */
uint64_t vr_snapfile_check(const struct vr_snapfile *f);
uint64_t vr_snapfile_len(const struct vr_snapfile *f); /* bytes, holes included */
bool vr_snapfile_packed(const struct vr_snapfile *f);
/* Section @name, checked; valid as long as @f. -ENOENT: there is none; -EPROTO; -ENOMEM. */
int vr_snapfile_bytes(struct vr_snapfile *f, const char *name, const void **ret_data,
                      size_t *ret_len, struct vr_error *err) VR_MUST;
/* @f says what changed since @parent, which it owns from then on. */
void vr_snapfile_set_parent(struct vr_snapfile *f, struct vr_snapfile *parent);
struct vr_snapfile *vr_snapfile_parent(struct vr_snapfile *f); /* NULL: none */
/* Check every byte of the file (not of its parents). -EPROTO: the message says where. @but: not the
 * data of this image, which vr_snapfile_checks will see to; NULL: all. */
int vr_snapfile_verify(struct vr_snapfile *f, const char *but, struct vr_error *err) VR_MUST;

/* The checks of an image that is laid out flat, stretch by stretch of it. */
struct vr_snapfile_checks;
int vr_snapfile_checks(struct vr_snapfile *f, const char *name,
                       struct vr_snapfile_checks **ret_checks, struct vr_error *err) VR_MUST;
void vr_snapfile_checks_free(struct vr_snapfile_checks *c); /* before @f is closed; NULL is fine */
size_t vr_snapfile_checks_count(const struct vr_snapfile_checks *c);
/* Where in the image stretch @i ends; the next one begins there. */
uint64_t vr_snapfile_checks_end(const struct vr_snapfile_checks *c, size_t i);
/* Check stretch @i. -EPROTO: it is damaged; -ENOMEM; -EIO. Several threads at once. */
int vr_snapfile_checks_do(const struct vr_snapfile_checks *c, size_t i,
                          struct vr_error *err) VR_MUST;

/* An image's length and grain, as the file says; -ENOENT. */
int vr_snapfile_image(struct vr_snapfile *f, const char *name, uint64_t *ret_len_bytes,
                      uint32_t *ret_grain_bytes, struct vr_error *err) VR_MUST;
/* The file of the chain where image @name begins, laid out flat, so that it can be mapped: there at
 * *ret_off of *ret_fd. NULL: it has to be read. */
struct vr_snapfile *vr_snapfile_flat(struct vr_snapfile *f, const char *name, int *ret_fd,
                                     uint64_t *ret_off);

/* Who gets an image. 0 or a negative errno with @err filled. */
struct vr_snapfile_sink {
    int (*write)(void *opaque, uint64_t off, const void *data, size_t len, struct vr_error *err);
    int (*zero)(void *opaque, uint64_t off, uint64_t len, struct vr_error *err);
    void *opaque;
};
/* Give image @name, first as the parents had it, then what changed; checksums are compared once
 * more. @have (may be NULL): what the chain says up to this file is there already. */
int vr_snapfile_give(struct vr_snapfile *f, const char *name, const struct vr_snapfile *have,
                     const struct vr_snapfile_sink *sink, struct vr_error *err) VR_MUST;
/* Make the empty file @fd the image: as long, and with its contents; errors do not name it. */
int vr_snapfile_give_file(struct vr_snapfile *f, const char *name, int fd,
                          struct vr_error *err) VR_MUST;
/* The hashes of all grains, those of parents included: 0, it is zero. The caller's. */
int vr_snapfile_hashes(struct vr_snapfile *f, const char *name, uint64_t **ret_hashes,
                       struct vr_error *err) VR_MUST;

#endif

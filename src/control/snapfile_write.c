/* Writing a snapshot file: sections one behind the other, each at a block, the directory last, the
 * head when all is known. */
#include "base/alloc.h"
#include "base/bits.h"
#include "control/snapfile_priv.h"
#include "platform/file.h"
#include "platform/newfile.h"
#include "platform/random.h"
#include "vr_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#if VR_HAVE_ZSTD
#include <zstd.h>
#endif

enum { WRITE_LEVEL = 1 }; /* of zstd: the machine stands still meanwhile */

struct write_buf {
    uint8_t *data;
    size_t len, cap;
};

struct vr_snapfile_writer {
    struct vr_newfile file;
    char *path;
    enum vr_snapfile_pack pack;
    uint8_t id[VR_SNAPFILE_ID];
    uint64_t end; /* of what was written */
    unsigned count;
    uint8_t dir[DIR_MAX * DIR_ENTRY];
    uint8_t *packed; /* room for a packed piece */
    size_t packed_cap;
#if VR_HAVE_ZSTD
    ZSTD_CCtx *zstd;
#endif
};

static int write_failed(const struct vr_snapfile_writer *w, int r, struct vr_error *err)
{
    return vr_err(err, r, "snapshot %s: cannot write: %s", w->path, strerror(-r));
}

static int write_at(struct vr_snapfile_writer *w, const void *data, size_t len, uint64_t off,
                    struct vr_error *err)
{
    int r = vr_file_write(w->file.fd, data, len, off);
    return r < 0 ? write_failed(w, r, err) : 0;
}

static int write_grow(struct write_buf *b, size_t len, struct vr_error *err)
{
    if (b->cap - b->len < len) {
        size_t cap = (b->cap + len) * 2;
        uint8_t *data = realloc(b->data, cap);
        if (!data) {
            return vr_err(err, -ENOMEM, "snapshot: no memory");
        }
        b->data = data;
        b->cap = cap;
    }
    return 0;
}

int vr_snapfile_create(const char *path, enum vr_snapfile_pack pack,
                       struct vr_snapfile_writer **ret_writer, struct vr_error *err)
{
    struct vr_snapfile_writer *w = vr_zalloc(sizeof(*w));
    if (!w || !(w->path = strdup(path))) {
        free(w);
        return vr_err(err, -ENOMEM, "snapshot %s: no memory", path);
    }
    w->file.fd = -1;
    w->pack = pack;
    w->end = SNAPFILE_BLOCK;
    int r = 0;
    if (pack == VR_SNAPFILE_ZSTD) {
#if VR_HAVE_ZSTD
        w->packed_cap = ZSTD_compressBound(VR_SNAPFILE_PIECE);
        w->packed = malloc(w->packed_cap);
        w->zstd = ZSTD_createCCtx();
        r = w->packed && w->zstd ? 0 : vr_err(err, -ENOMEM, "snapshot %s: no memory", path);
#else
        r = vr_err(err, -ENOTSUP, "this vireo was built without zstd: leave compression out");
#endif
    }
    r = r < 0 ? r : vr_random_bytes(w->id, sizeof(w->id), err);
    if (r == 0 && (r = vr_newfile_create(path, &w->file)) < 0) {
        vr_err(err, r, "snapshot %s: cannot make it: %s", path, strerror(-r));
    }
    if (r < 0) {
        vr_snapfile_abort(w);
        return r;
    }
    *ret_writer = w;
    return 0;
}

void vr_snapfile_abort(struct vr_snapfile_writer *w)
{
    if (w) {
        vr_newfile_drop(&w->file);
#if VR_HAVE_ZSTD
        ZSTD_freeCCtx(w->zstd);
#endif
        free(w->packed);
        free(w->path);
        free(w);
    }
}

/* A section of @len bytes that are, or will be, at the end. */
static int write_note(struct vr_snapfile_writer *w, const char *name, enum snapfile_kind kind,
                      uint64_t len, uint64_t hash, struct vr_error *err)
{
    uint8_t *d = w->dir + w->count * DIR_ENTRY;
    vr_assert(strlen(name) < VR_SNAPFILE_NAME);
    if (w->count == DIR_MAX) {
        return vr_err(err, -ENOSPC, "snapshot %s: more than %d sections", w->path, DIR_MAX);
    }
    memset(d, 0, DIR_ENTRY);
    memcpy(d + DIR_NAME, name, strlen(name));
    vr_store_le32(d + DIR_KIND, kind);
    vr_store_le64(d + DIR_OFF, w->end);
    vr_store_le64(d + DIR_LEN, len);
    vr_store_le64(d + DIR_HASH, hash);
    w->count++;
    w->end = vr_align_up(w->end + len, SNAPFILE_BLOCK);
    return 0;
}

int vr_snapfile_put(struct vr_snapfile_writer *w, const char *name, const void *data, size_t len,
                    struct vr_error *err)
{
    int r = write_at(w, data, len, w->end, err);
    return r < 0 ? r : write_note(w, name, SNAPFILE_BYTES, len, snapfile_hash(data, len), err);
}

/* ---- Images ---- */

struct write_image {
    struct vr_snapfile_writer *w;
    const struct vr_snapfile_source *from;
    uint64_t base;                  /* of the section of data in the file */
    uint64_t end;                   /* of what it holds */
    struct write_buf index, hashes; /* the latter: of grains in PLAIN and ZSTD pieces, in order */
    struct vr_error *err;
};

static int write_piece(struct write_image *im, uint64_t at, uint32_t len, uint32_t kind,
                       uint64_t off, uint32_t stored, uint64_t hash)
{
    int r = write_grow(&im->index, PIECE_ENTRY, im->err);
    if (r == 0) {
        uint8_t *p = im->index.data + im->index.len;
        memset(p, 0, PIECE_ENTRY);
        vr_store_le64(p + PIECE_AT, at);
        vr_store_le32(p + PIECE_LEN, len);
        vr_store_le32(p + PIECE_KIND, kind);
        vr_store_le64(p + PIECE_OFF, off);
        vr_store_le32(p + PIECE_STORED, stored);
        vr_store_le64(p + PIECE_HASH, hash);
        im->index.len += PIECE_ENTRY;
    }
    return r;
}

static size_t write_pack(struct vr_snapfile_writer *w, const void *data, size_t len)
{
#if VR_HAVE_ZSTD
    if (w->pack == VR_SNAPFILE_ZSTD) {
        size_t packed =
            ZSTD_compressCCtx(w->zstd, w->packed, w->packed_cap, data, len, WRITE_LEVEL);
        return ZSTD_isError(packed) || packed >= len ? 0 : packed;
    }
#endif
    (void)w;
    (void)data;
    (void)len;
    return 0;
}

/* @len bytes of the image at @at. */
static int write_data(struct write_image *im, uint64_t at, const uint8_t *data, size_t len)
{
    struct vr_snapfile_writer *w = im->w;
    bool flat = im->from->flat;
    size_t packed = flat ? 0 : write_pack(w, data, len);
    const void *stored = packed ? w->packed : data;
    size_t stored_len = packed ? packed : len;
    uint64_t off = flat ? at : packed ? im->end : vr_align_up(im->end, SNAPFILE_BLOCK);
    int r = -EOPNOTSUPP;
    if (!packed && im->from->clone_fd >= 0) {
        r = vr_newfile_clone(im->from->clone_fd, at, w->file.fd, im->base + off, len);
    }
    if (r == -EOPNOTSUPP) {
        r = write_at(w, stored, stored_len, im->base + off, im->err);
    } else if (r < 0) {
        r = write_failed(w, r, im->err);
    }
    im->end = off + stored_len;
    return r < 0 ? r
                 : write_piece(im, at, (uint32_t)len, packed ? PIECE_ZSTD : PIECE_PLAIN, off,
                               (uint32_t)stored_len, snapfile_hash(stored, stored_len));
}

enum write_class { WRITE_SAME, WRITE_ZERO, WRITE_DATA };

static bool write_known(const struct vr_snapfile_source *s, uint64_t at)
{
    uint64_t g = at / s->grain_bytes;
    return s->may_differ && !(s->may_differ[g / 64] >> g % 64 & 1);
}

static enum write_class write_look(const struct vr_snapfile_source *s, uint64_t at,
                                   const uint8_t *p, size_t len, uint64_t *ret_hash)
{
    if (write_known(s, at)) {
        return WRITE_SAME;
    }
    *ret_hash = vr_is_zero(p, len) ? 0 : snapfile_grain_hash(p, len);
    if (*ret_hash == (s->base ? s->base[at / s->grain_bytes] : 0)) {
        return WRITE_SAME;
    }
    return *ret_hash ? WRITE_DATA : WRITE_ZERO;
}

/* A run of grains of one class ends. */
static int write_run(struct write_image *im, enum write_class cls, uint64_t at, const uint8_t *p,
                     size_t len)
{
    return len == 0 || cls == WRITE_SAME ? 0
           : cls == WRITE_DATA           ? write_data(im, at, p, len)
                               : write_piece(im, at, (uint32_t)len, PIECE_ZEROES, 0, 0, 0);
}

/* What could be one piece. */
static int write_window(struct write_image *im, uint64_t at, const uint8_t *p, size_t len)
{
    const struct vr_snapfile_source *s = im->from;
    enum write_class run = WRITE_SAME;
    size_t begin = 0;
    int r = 0;
    for (size_t off = 0; r == 0 && off < len; off += s->grain_bytes) {
        size_t part = len - off < s->grain_bytes ? len - off : s->grain_bytes;
        uint64_t hash = 0;
        enum write_class cls = write_look(s, at + off, p + off, part, &hash);
        if (cls != run) {
            r = write_run(im, run, at + begin, p + begin, off - begin);
            run = cls;
            begin = off;
        }
        if (r == 0 && cls == WRITE_DATA && (r = write_grow(&im->hashes, 8, im->err)) == 0) {
            vr_store_le64(im->hashes.data + im->hashes.len, hash);
            im->hashes.len += 8;
        }
    }
    return r < 0 ? r : write_run(im, run, at + begin, p + begin, len - begin);
}

/* Did a window that is zero, without a look at its bytes, hold nothing before? */
static bool write_was_zero(const struct vr_snapfile_source *s, uint64_t at, size_t len)
{
    for (uint64_t g = at / s->grain_bytes; s->base && g * s->grain_bytes < at + len; g++) {
        if (s->base[g]) {
            return false;
        }
    }
    return true;
}

/* Is all of a window known to be as the parent has it? */
static bool write_all_known(const struct vr_snapfile_source *s, uint64_t at, size_t len)
{
    for (uint64_t end = at + len; at < end; at += s->grain_bytes) {
        if (!write_known(s, at)) {
            return false;
        }
    }
    return true;
}

static int write_pieces(struct write_image *im, void (*done)(void *opaque, uint64_t bytes),
                        void *opaque)
{
    const struct vr_snapfile_source *s = im->from;
    uint64_t next = 0; /* nothing but zeroes before */
    int r = 0;
    for (uint64_t at = 0; r == 0 && at < s->len_bytes; at += VR_SNAPFILE_PIECE) {
        uint64_t left = s->len_bytes - at;
        size_t len = left < VR_SNAPFILE_PIECE ? (size_t)left : VR_SNAPFILE_PIECE;
        bool known = write_all_known(s, at, len);
        next = next <= at && !known ? s->next(s->opaque, at) : next;
        if (!known && (next < at + len || !write_was_zero(s, at, len))) {
            const uint8_t *p = s->read(s->opaque, at, len, im->err);
            r = p ? write_window(im, at, p, len) : im->err ? im->err->code : -EIO;
        }
        if (done) {
            done(opaque, len);
        }
    }
    return r;
}

/* Sections NAME (the data), NAME.pieces, NAME.grains. */
int vr_snapfile_put_image(struct vr_snapfile_writer *w, const char *name,
                          const struct vr_snapfile_source *s,
                          void (*done)(void *opaque, uint64_t bytes), void *opaque,
                          struct vr_error *err)
{
    struct vr_error own = {0};
    struct write_image im = {.w = w, .from = s, .base = w->end, .err = err ? err : &own};
    char pieces[VR_SNAPFILE_NAME + 8], grains[VR_SNAPFILE_NAME + 8];
    vr_assert(vr_is_pow2(s->grain_bytes) && s->grain_bytes <= VR_SNAPFILE_PIECE);
    snprintf(pieces, sizeof(pieces), "%s.pieces", name);
    snprintf(grains, sizeof(grains), "%s.grains", name);
    int r = write_grow(&im.index, INDEX_HEAD, im.err);
    if (r == 0) {
        memset(im.index.data, 0, INDEX_HEAD);
        vr_store_le64(im.index.data + INDEX_LEN, s->len_bytes);
        vr_store_le32(im.index.data + INDEX_GRAIN, s->grain_bytes);
        vr_store_le32(im.index.data + INDEX_FLAGS,
                      (s->flat ? INDEX_FLAT : 0) | (s->base ? INDEX_DELTA : 0));
        im.index.len = INDEX_HEAD;
        r = write_pieces(&im, done, opaque);
    }
    uint64_t len = s->flat ? s->len_bytes : im.end;
    r = r < 0 ? r : write_note(w, name, SNAPFILE_DATA, len, 0, im.err);
    r = r < 0 ? r : vr_snapfile_put(w, pieces, im.index.data, im.index.len, im.err);
    r = r < 0 ? r : vr_snapfile_put(w, grains, im.hashes.data, im.hashes.len, im.err);
    free(im.index.data);
    free(im.hashes.data);
    return r;
}

/* ---- The end ---- */

const uint8_t *vr_snapfile_writer_id(const struct vr_snapfile_writer *w)
{
    return w->id;
}

int vr_snapfile_commit(struct vr_snapfile_writer *w, struct vr_error *err)
{
    uint8_t head[SNAPFILE_BLOCK] = {0};
    size_t dir_len = (size_t)w->count * DIR_ENTRY;
    memcpy(head + HEAD_MAGIC, SNAPFILE_MAGIC, 8);
    vr_store_le32(head + HEAD_VERSION, SNAPFILE_VERSION);
    vr_store_le32(head + HEAD_PACK, w->pack);
    vr_store_le64(head + HEAD_LEN, w->end + dir_len);
    vr_store_le64(head + HEAD_DIR, w->end);
    vr_store_le64(head + HEAD_DIR_LEN, dir_len);
    vr_store_le64(head + HEAD_DIR_HASH, snapfile_hash(w->dir, dir_len));
    memcpy(head + HEAD_ID, w->id, VR_SNAPFILE_ID);
    vr_store_le64(head + HEAD_HASH, snapfile_hash(head, HEAD_HASH));
    int r = write_at(w, w->dir, dir_len, w->end, err);
    r = r < 0 ? r : write_at(w, head, sizeof(head), 0, err);
    if (r == 0 && (r = vr_newfile_commit(&w->file, NULL)) < 0) {
        r = write_failed(w, r, err);
    }
    vr_snapfile_abort(w);
    return r;
}

/*
 * Reading a snapshot file, which may be anybody's: each number is compared with what it may be,
 * each byte with a checksum, before it is used.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "control/snapfile_priv.h"
#include "platform/file.h"
#include "platform/newfile.h"
#include "vireo/host_thread.h"
#include "vr_config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#if VR_HAVE_ZSTD
#include <zstd.h>
#endif

#define READ_BYTES_MAX (UINT64_C(1) << 30) /* of a section */

/* Of an image whose hashes are asked for: 1 TiB of memory, 16 TiB of a disk. */
enum { READ_GRAINS_MAX = 1 << 28 };

int vr_snapfile_read_at(const struct vr_snapfile *f, void *buf, size_t len, uint64_t off,
                        struct vr_error *err)
{
    int r = vr_file_read(f->fd, buf, len, off);
    return r < 0 ? vr_err(err, r, "snapshot %s: cannot read: %s", f->path,
                          r == -EIO ? "it ends early, or the disk fails" : strerror(-r))
                 : 0;
}

static int read_bad(const struct vr_snapfile *f, const char *what, struct vr_error *err)
{
    return vr_err(err, -EPROTO, "snapshot %s: damaged: %s", f->path, what);
}

/* ---- Head and directory ---- */

static int read_head(struct vr_snapfile *f, const uint8_t *h, struct vr_error *err)
{
    if (memcmp(h + HEAD_MAGIC, SNAPFILE_MAGIC, 8) != 0) {
        return vr_err(err, -EPROTO, "snapshot %s: it is none: it does not begin with '%s'", f->path,
                      SNAPFILE_MAGIC);
    }
    if (vr_load_le64(h + HEAD_HASH) != snapfile_hash(h, HEAD_HASH)) {
        return read_bad(f, "its head", err);
    }
    if (vr_load_le32(h + HEAD_VERSION) != SNAPFILE_VERSION) {
        return vr_err(
            err, -EPROTO,
            "snapshot %s: of version %u, and this Vireo reads version %d: use a newer one", f->path,
            vr_load_le32(h + HEAD_VERSION), SNAPFILE_VERSION);
    }
    uint64_t dir = vr_load_le64(h + HEAD_DIR), dir_len = vr_load_le64(h + HEAD_DIR_LEN);
    if (vr_load_le64(h + HEAD_LEN) != f->len) {
        return vr_err(err, -EPROTO,
                      "snapshot %s: damaged: %" PRIu64 " bytes long, and it was %" PRIu64, f->path,
                      f->len, vr_load_le64(h + HEAD_LEN));
    }
    uint32_t pack = vr_load_le32(h + HEAD_PACK);
    if (dir < SNAPFILE_BLOCK || dir % SNAPFILE_BLOCK || !vr_in_range(dir, dir_len, f->len) ||
        dir + dir_len != f->len || dir_len % DIR_ENTRY || dir_len / DIR_ENTRY > DIR_MAX ||
        pack > VR_SNAPFILE_ZSTD) {
        return read_bad(f, "its head makes no sense", err);
    }
    f->pack = (enum vr_snapfile_pack)pack;
    f->dir_off = dir;
    f->count = (unsigned)(dir_len / DIR_ENTRY);
    f->check = vr_load_le64(h + HEAD_HASH);
    memcpy(f->id, h + HEAD_ID, VR_SNAPFILE_ID);
    return 0;
}

/* Sections in the order of the file, apart, each at a block. */
static int read_dir(struct vr_snapfile *f, const uint8_t *dir, struct vr_error *err)
{
    uint64_t end = SNAPFILE_BLOCK;
    for (unsigned i = 0; i < f->count; i++) {
        const uint8_t *d = dir + (size_t)i * DIR_ENTRY;
        struct snapfile_section *s = &f->section[i];
        memcpy(s->name, d + DIR_NAME, VR_SNAPFILE_NAME);
        s->kind = vr_load_le32(d + DIR_KIND);
        s->off = vr_load_le64(d + DIR_OFF);
        s->len = vr_load_le64(d + DIR_LEN);
        s->hash = vr_load_le64(d + DIR_HASH);
        bool good = memchr(s->name, 0, VR_SNAPFILE_NAME) && s->name[0] && s->off >= end &&
                    s->off - end < SNAPFILE_BLOCK && s->off % SNAPFILE_BLOCK == 0 &&
                    vr_in_range(s->off, s->len, f->dir_off) && !vr_load_le32(d + DIR_ZERO) &&
                    (s->kind == SNAPFILE_BYTES ? s->len <= READ_BYTES_MAX
                                               : s->kind == SNAPFILE_DATA && !s->hash);
        for (unsigned k = 0; good && k < i; k++) {
            good = strcmp(f->section[k].name, s->name) != 0;
        }
        if (!good) {
            return read_bad(f, "its directory makes no sense", err);
        }
        end = s->off + s->len;
    }
    return f->dir_off - end < SNAPFILE_BLOCK ? 0 : read_bad(f, "its directory is apart", err);
}

int vr_snapfile_open(const char *path, struct vr_snapfile **ret_file, struct vr_error *err)
{
    struct vr_snapfile *f = vr_zalloc(sizeof(*f));
    struct vr_file_info info;
    uint8_t buf[DIR_MAX * DIR_ENTRY];
    _Static_assert(sizeof(buf) >= SNAPFILE_BLOCK, "the head fits, too");
    if (!f || !(f->path = strdup(path))) {
        free(f);
        return vr_err(err, -ENOMEM, "snapshot %s: no memory", path);
    }
    int r = vr_file_open(path, true, &f->fd, &info);
    if (r < 0) {
        f->fd = -1;
        vr_err(err, r, "snapshot %s: %s", path,
               r == -EINVAL ? "it is neither a file nor a block device" : strerror(-r));
    } else {
        f->len = info.size_bytes;
        r = f->len >= SNAPFILE_BLOCK
                ? vr_snapfile_read_at(f, buf, SNAPFILE_BLOCK, 0, err)
                : vr_err(err, -EPROTO, "snapshot %s: it is none, or cut off", path);
    }
    uint64_t hash = r < 0 ? 0 : vr_load_le64(buf + HEAD_DIR_HASH);
    r = r < 0 ? r : read_head(f, buf, err);
    r = r < 0 ? r : vr_snapfile_read_at(f, buf, f->count * DIR_ENTRY, f->dir_off, err);
    if (r == 0 && snapfile_hash(buf, f->count * DIR_ENTRY) != hash) {
        r = read_bad(f, "its directory", err);
    }
    r = r < 0 ? r : read_dir(f, buf, err);
    if (r < 0) {
        vr_snapfile_close(f);
        return r;
    }
    *ret_file = f;
    return 0;
}

void vr_snapfile_close(struct vr_snapfile *f)
{
    while (f) {
        struct vr_snapfile *parent = f->parent;
        for (unsigned i = 0; i < f->count; i++) {
            free(f->section[i].data);
        }
        vr_file_close(f->fd);
        free(f->path);
        free(f);
        f = parent;
    }
}

const char *vr_snapfile_path(const struct vr_snapfile *f)
{
    return f->path;
}

const uint8_t *vr_snapfile_id(const struct vr_snapfile *f)
{
    return f->id;
}

uint64_t vr_snapfile_check(const struct vr_snapfile *f)
{
    return f->check;
}

uint64_t vr_snapfile_len(const struct vr_snapfile *f)
{
    return f->len;
}

bool vr_snapfile_packed(const struct vr_snapfile *f)
{
    return f->pack != VR_SNAPFILE_PLAIN;
}

void vr_snapfile_set_parent(struct vr_snapfile *f, struct vr_snapfile *parent)
{
    vr_assert(!f->parent);
    f->parent = parent;
}

struct vr_snapfile *vr_snapfile_parent(struct vr_snapfile *f)
{
    return f->parent;
}

static struct snapfile_section *read_find(struct vr_snapfile *f, const char *name, uint32_t kind)
{
    for (unsigned i = 0; i < f->count; i++) {
        if (strcmp(f->section[i].name, name) == 0 && f->section[i].kind == kind) {
            return &f->section[i];
        }
    }
    return NULL;
}

int vr_snapfile_load(struct vr_snapfile *f, struct snapfile_section *s, struct vr_error *err)
{
    if (s->data) {
        return 0;
    }
    uint8_t *data = vr_zalloc((size_t)s->len + 1); /* text gets its zero */
    if (!data) {
        return vr_err(err, -ENOMEM, "snapshot %s: no memory for its section '%s'", f->path,
                      s->name);
    }
    int r = vr_snapfile_read_at(f, data, (size_t)s->len, s->off, err);
    if (r == 0 && snapfile_hash(data, (size_t)s->len) != s->hash) {
        r = vr_err(err, -EPROTO, "snapshot %s: damaged: its section '%s'", f->path, s->name);
    }
    if (r < 0) {
        free(data);
        return r;
    }
    s->data = data;
    return 0;
}

int vr_snapfile_bytes(struct vr_snapfile *f, const char *name, const void **ret_data,
                      size_t *ret_len, struct vr_error *err)
{
    struct snapfile_section *s = read_find(f, name, SNAPFILE_BYTES);
    if (!s) {
        return vr_err(err, -ENOENT, "snapshot %s: it has no section '%s'", f->path, name);
    }
    int r = vr_snapfile_load(f, s, err);
    if (r == 0) {
        *ret_data = s->data;
        *ret_len = (size_t)s->len;
    }
    return r;
}

/* ---- Images ---- */

static size_t read_grains(const struct snapfile_index *x, uint64_t len)
{
    return (size_t)((len + x->grain - 1) / x->grain);
}

/* In order, apart, whole grains, inside image and data. */
static bool read_piece_good(const struct snapfile_index *x, const struct snapfile_piece *p,
                            uint64_t next, uint64_t end)
{
    if (p->at < next || p->at % x->grain || p->len == 0 || p->len > VR_SNAPFILE_PIECE ||
        !vr_in_range(p->at, p->len, x->len) || (p->len % x->grain && p->at + p->len != x->len)) {
        return false;
    }
    if (p->kind == PIECE_ZEROES) {
        return !p->off && !p->stored && !p->hash && x->flags & INDEX_DELTA;
    }
    bool plain = p->kind == PIECE_PLAIN;
    if ((!plain && (p->kind != PIECE_ZSTD || x->flags & INDEX_FLAT)) || p->off < end ||
        p->stored == 0 || !vr_in_range(p->off, p->stored, x->data->len)) {
        return false;
    }
    return plain ? p->stored == p->len && (!(x->flags & INDEX_FLAT) || p->off == p->at)
                 : p->stored < p->len;
}

int vr_snapfile_index(struct vr_snapfile *f, const char *name, struct snapfile_index *ret_index,
                      struct vr_error *err)
{
    char part[VR_SNAPFILE_NAME + 8];
    const void *pieces = NULL, *hashes = NULL;
    size_t len = 0, hash_len = 0, grains = 0;
    struct snapfile_index x = {.data = read_find(f, name, SNAPFILE_DATA)};
    if (!x.data) {
        return vr_err(err, -ENOENT, "snapshot %s: it has no '%s'", f->path, name);
    }
    snprintf(part, sizeof(part), "%s.pieces", name);
    int r = vr_snapfile_bytes(f, part, &pieces, &len, err);
    snprintf(part, sizeof(part), "%s.grains", name);
    r = r < 0 ? r : vr_snapfile_bytes(f, part, &hashes, &hash_len, err);
    if (r < 0) {
        return r == -ENOENT ? read_bad(f, "an image without its index", err) : r;
    }
    bool good = len >= INDEX_HEAD && (len - INDEX_HEAD) % PIECE_ENTRY == 0 && hash_len % 8 == 0;
    if (good) {
        x.len = vr_load_le64((const uint8_t *)pieces + INDEX_LEN);
        x.grain = vr_load_le32((const uint8_t *)pieces + INDEX_GRAIN);
        x.flags = vr_load_le32((const uint8_t *)pieces + INDEX_FLAGS);
        x.piece = (const uint8_t *)pieces + INDEX_HEAD;
        x.count = (len - INDEX_HEAD) / PIECE_ENTRY;
        x.hash = hashes;
        x.hash_count = hash_len / 8;
        good = x.len && x.len <= INT64_MAX && vr_is_pow2(x.grain) && x.grain >= 512 &&
               x.grain <= VR_SNAPFILE_PIECE && !(x.flags & ~(INDEX_FLAT | INDEX_DELTA)) &&
               (!(x.flags & INDEX_FLAT) || x.data->len == x.len);
    }
    uint64_t next = 0, end = 0;
    for (size_t i = 0; good && i < x.count; i++) {
        struct snapfile_piece p = snapfile_piece(&x, i);
        good = read_piece_good(&x, &p, next, end);
        next = p.at + p.len;
        end = p.kind == PIECE_ZEROES ? end : p.off + p.stored;
        grains += p.kind == PIECE_ZEROES ? 0 : read_grains(&x, p.len);
    }
    if (!good || grains != x.hash_count || (!(x.flags & INDEX_FLAT) && end != x.data->len)) {
        return vr_err(err, -EPROTO, "snapshot %s: damaged: the index of '%s' makes no sense",
                      f->path, name);
    }
    *ret_index = x;
    return 0;
}

int vr_snapfile_image(struct vr_snapfile *f, const char *name, uint64_t *ret_len_bytes,
                      uint32_t *ret_grain_bytes, struct vr_error *err)
{
    struct snapfile_index x;
    int r = vr_snapfile_index(f, name, &x, err);
    if (r == 0) {
        *ret_len_bytes = x.len;
        *ret_grain_bytes = x.grain;
    }
    return r;
}

struct vr_snapfile *vr_snapfile_flat(struct vr_snapfile *f, const char *name, int *ret_fd,
                                     uint64_t *ret_off)
{
    struct snapfile_index x;
    for (; f && vr_snapfile_index(f, name, &x, NULL) == 0; f = f->parent) {
        if (!(x.flags & INDEX_DELTA)) {
            *ret_fd = f->fd;
            *ret_off = x.data->off;
            return x.flags & INDEX_FLAT ? f : NULL;
        }
    }
    return NULL;
}

/* ---- Giving it out ---- */

static int read_unpack(const struct vr_snapfile *f, const uint8_t *stored, size_t stored_len,
                       uint8_t *to, size_t len, struct vr_error *err)
{
#if VR_HAVE_ZSTD
    (void)f;
    size_t got = ZSTD_decompress(to, len, stored, stored_len);
    return !ZSTD_isError(got) && got == len ? 0 : read_bad(f, "a packed piece", err);
#else
    (void)stored;
    (void)stored_len;
    (void)to;
    (void)len;
    return vr_err(err, -ENOTSUP, "snapshot %s: packed, and this vireo was built without zstd",
                  f->path);
#endif
}

static int read_give_piece(struct vr_snapfile *f, const struct snapfile_index *x,
                           const struct snapfile_piece *p, uint8_t *buf,
                           const struct vr_snapfile_sink *sink, struct vr_error *err)
{
    uint8_t *unpacked = buf + VR_SNAPFILE_PIECE, *data = buf;
    if (p->kind == PIECE_ZEROES) {
        return sink->zero(sink->opaque, p->at, p->len, err);
    }
    int r = vr_snapfile_read_at(f, buf, p->stored, x->data->off + p->off, err);
    if (r == 0 && snapfile_hash(buf, p->stored) != p->hash) {
        r = read_bad(f, "it changed while it was read", err);
    }
    if (r == 0 && p->kind == PIECE_ZSTD) {
        r = read_unpack(f, buf, p->stored, unpacked, p->len, err);
        data = unpacked;
    }
    return r < 0 ? r : sink->write(sink->opaque, p->at, data, p->len, err);
}

static int read_give(struct vr_snapfile *f, const struct snapfile_index *x,
                     const struct vr_snapfile_sink *sink, struct vr_error *err)
{
    uint8_t *buf = malloc((size_t)VR_SNAPFILE_PIECE * 2);
    uint64_t end = 0;
    bool delta = x->flags & INDEX_DELTA;
    int r = buf ? 0 : vr_err(err, -ENOMEM, "snapshot %s: no memory", f->path);
    for (size_t i = 0; r == 0 && i < x->count; i++) {
        struct snapfile_piece p = snapfile_piece(x, i);
        if (!delta && p.at > end) {
            r = sink->zero(sink->opaque, end, p.at - end, err);
        }
        r = r < 0 ? r : read_give_piece(f, x, &p, buf, sink, err);
        end = p.at + p.len;
    }
    if (r == 0 && !delta && end < x->len) {
        r = sink->zero(sink->opaque, end, x->len - end, err);
    }
    free(buf);
    return r;
}

/* The files of the chain that image @name is in, from @f up, with their indexes. */
struct read_chain {
    struct vr_snapfile *file[VR_SNAPFILE_CHAIN];
    struct snapfile_index index[VR_SNAPFILE_CHAIN];
    unsigned count;
};

static int read_chain(struct vr_snapfile *f, const char *name, struct read_chain *c,
                      struct vr_error *err)
{
    for (c->count = 0; c->count < VR_SNAPFILE_CHAIN; f = f->parent) {
        struct snapfile_index *x = &c->index[c->count];
        int r = vr_snapfile_index(f, name, x, err);
        if (r < 0) {
            return r;
        }
        c->file[c->count++] = f;
        if (x->len != c->index[0].len || x->grain != c->index[0].grain) {
            return vr_err(err, -EPROTO, "snapshot %s: its '%s' has another size than in %s",
                          f->path, name, c->file[0]->path);
        }
        if (!(x->flags & INDEX_DELTA)) {
            return 0;
        }
        if (!f->parent) {
            return read_bad(f, "it tells changes, but of nothing", err);
        }
    }
    return vr_err(err, -EPROTO, "snapshot %s: more than %d files in its chain", c->file[0]->path,
                  VR_SNAPFILE_CHAIN);
}

int vr_snapfile_give(struct vr_snapfile *f, const char *name, const struct vr_snapfile *have,
                     const struct vr_snapfile_sink *sink, struct vr_error *err)
{
    struct read_chain *c = vr_zalloc(sizeof(*c));
    int r = c ? read_chain(f, name, c, err) : vr_err(err, -ENOMEM, "snapshot: no memory");
    unsigned left = r == 0 ? c->count : 0;
    for (unsigned i = 0; i < left; i++) {
        if (c->file[i] == have) {
            left = i;
        }
    }
    while (r == 0 && left) {
        left--;
        r = read_give(c->file[left], &c->index[left], sink, err);
    }
    free(c);
    return r;
}

static int read_file_write(void *opaque, uint64_t off, const void *data, size_t len,
                           struct vr_error *err)
{
    int r = vr_file_write(*(int *)opaque, data, len, off);
    return r < 0 ? vr_err(err, r, "cannot write: %s", strerror(-r)) : 0;
}

/* A new file has nothing but zeroes; what was written since goes. */
static int read_file_zero(void *opaque, uint64_t off, uint64_t len, struct vr_error *err)
{
    int r = vr_file_write_zeroes(*(int *)opaque, VR_FILE_REGULAR, off, len, true);
    return r < 0 ? vr_err(err, r, "cannot write: %s", strerror(-r)) : 0;
}

int vr_snapfile_give_file(struct vr_snapfile *f, const char *name, int fd, struct vr_error *err)
{
    struct vr_snapfile_sink sink = {
        .write = read_file_write, .zero = read_file_zero, .opaque = &fd};
    uint64_t len;
    uint32_t grain;
    int r = vr_snapfile_image(f, name, &len, &grain, err);
    if (r == 0 && (r = vr_file_set_len(fd, len)) < 0) {
        r = vr_err(err, r, "cannot make it of %" PRIu64 " bytes: %s", len, strerror(-r));
    }
    return r < 0 ? r : vr_snapfile_give(f, name, NULL, &sink, err);
}

static void read_hashes(const struct snapfile_index *x, uint64_t *hashes)
{
    size_t k = 0;
    for (size_t i = 0; i < x->count; i++) {
        struct snapfile_piece p = snapfile_piece(x, i);
        size_t first = (size_t)(p.at / x->grain), count = read_grains(x, p.len);
        for (size_t g = 0; g < count; g++) {
            hashes[first + g] = p.kind == PIECE_ZEROES ? 0 : vr_load_le64(x->hash + k++ * 8);
        }
    }
}

int vr_snapfile_hashes(struct vr_snapfile *f, const char *name, uint64_t **ret_hashes,
                       struct vr_error *err)
{
    struct read_chain *c = vr_zalloc(sizeof(*c));
    uint64_t *hashes = NULL;
    int r = c ? read_chain(f, name, c, err) : vr_err(err, -ENOMEM, "snapshot: no memory");
    if (r == 0 && read_grains(&c->index[0], c->index[0].len) > READ_GRAINS_MAX) {
        r = vr_err(err, -EPROTO, "snapshot %s: its '%s' is too large to be compared", f->path,
                   name);
    }
    if (r == 0) {
        hashes = vr_zalloc_array(read_grains(&c->index[0], c->index[0].len), sizeof(*hashes));
        r = hashes ? 0 : vr_err(err, -ENOMEM, "snapshot %s: no memory", f->path);
    }
    for (unsigned i = r == 0 ? c->count : 0; i > 0; i--) {
        read_hashes(&c->index[i - 1], hashes);
    }
    free(c);
    if (r == 0) {
        *ret_hashes = hashes;
    }
    return r;
}

/* The layout of a snapshot file (docs/snapshots.md), for those who write and read it. */
#ifndef VR_CONTROL_SNAPFILE_PRIV_H
#define VR_CONTROL_SNAPFILE_PRIV_H

#include "base/bits.h"
#include "control/snapfile.h"

#include <xxhash.h>

enum { SNAPFILE_BLOCK = 4096, SNAPFILE_VERSION = 1 };

/* The head: the first block. */
#define SNAPFILE_MAGIC "VIREOSNP"
enum {
    HEAD_MAGIC = 0,
    HEAD_VERSION = 8, /* u32 */
    HEAD_PACK = 12,   /* u32: enum vr_snapfile_pack */
    HEAD_LEN = 16,    /* u64: of the file */
    HEAD_DIR = 24,    /* u64: offset of the directory, which is the last thing in the file */
    HEAD_DIR_LEN = 32,
    HEAD_DIR_HASH = 40,
    HEAD_ID = 48,
    HEAD_HASH = SNAPFILE_BLOCK - 8, /* of what comes before */
};

/* An entry of the directory. */
enum {
    DIR_NAME = 0,
    DIR_KIND = 32, /* u32: enum snapfile_kind */
    DIR_ZERO = 36,
    DIR_OFF = 40,
    DIR_LEN = 48,
    DIR_HASH = 56, /* BYTES: of them; DATA: 0 */
    DIR_ENTRY = 64,
    DIR_MAX = 192, /* entries */
};
enum snapfile_kind {
    SNAPFILE_BYTES = 1,
    SNAPFILE_DATA = 2, /* of the image whose index, ".pieces", says where in it what is */
};

/* The index of an image, section NAME.pieces: a head, then pieces in order. */
enum {
    INDEX_LEN = 0,   /* u64: of the image */
    INDEX_GRAIN = 8, /* u32 */
    INDEX_FLAGS = 12,
    INDEX_HEAD = 16,
    INDEX_FLAT = 1,  /* flag: each byte is at its place */
    INDEX_DELTA = 2, /* flag: what is left out is as in the parent */
};
enum {
    PIECE_AT = 0,      /* u64: where in the image */
    PIECE_LEN = 8,     /* u32: of the image */
    PIECE_KIND = 12,   /* u32: enum snapfile_piece_kind */
    PIECE_OFF = 16,    /* u64: where in the section of data */
    PIECE_STORED = 24, /* u32: bytes there */
    PIECE_ZERO = 28,
    PIECE_HASH = 32, /* u64: of the stored bytes */
    PIECE_ENTRY = 40,
};
enum snapfile_piece_kind { PIECE_PLAIN = 0, PIECE_ZSTD = 1, PIECE_ZEROES = 2 };

static inline uint64_t snapfile_hash(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

/* Of a grain: never 0, which stands for zeroes. */
static inline uint64_t snapfile_grain_hash(const void *data, size_t len)
{
    uint64_t hash = XXH3_64bits(data, len);
    return hash ? hash : 1;
}

/* ---- For those who read (snapfile_read.c) ---- */

struct snapfile_section {
    char name[VR_SNAPFILE_NAME];
    uint32_t kind;
    uint64_t off, len, hash;
    uint8_t *data; /* BYTES that were asked for */
};

struct vr_snapfile {
    char *path;
    int fd;
    uint64_t len, check;
    enum vr_snapfile_pack pack;
    uint8_t id[VR_SNAPFILE_ID];
    unsigned count;
    struct snapfile_section section[DIR_MAX];
    uint64_t dir_off;
    struct vr_snapfile *parent;
};

/* A piece of an image, checked. */
struct snapfile_piece {
    uint64_t at, off, hash;
    uint32_t len, kind, stored;
};

/* An image's index, checked as a whole. */
struct snapfile_index {
    const struct snapfile_section *data;
    uint64_t len;
    uint32_t grain, flags;
    const uint8_t *piece;
    size_t count;
    const uint8_t *hash; /* of grains, little-endian */
    size_t hash_count;
};

static inline struct snapfile_piece snapfile_piece(const struct snapfile_index *x, size_t i)
{
    const uint8_t *p = x->piece + i * PIECE_ENTRY;
    return (struct snapfile_piece){.at = vr_load_le64(p + PIECE_AT),
                                   .len = vr_load_le32(p + PIECE_LEN),
                                   .kind = vr_load_le32(p + PIECE_KIND),
                                   .off = vr_load_le64(p + PIECE_OFF),
                                   .stored = vr_load_le32(p + PIECE_STORED),
                                   .hash = vr_load_le64(p + PIECE_HASH)};
}

/* @len bytes at @off of the file. */
int vr_snapfile_read_at(const struct vr_snapfile *f, void *buf, size_t len, uint64_t off,
                        struct vr_error *err) VR_MUST;
/* Section @s's bytes, checked, in @s->data. */
int vr_snapfile_load(struct vr_snapfile *f, struct snapfile_section *s,
                     struct vr_error *err) VR_MUST;
/* The index of image @name, checked. */
int vr_snapfile_index(struct vr_snapfile *f, const char *name, struct snapfile_index *ret_index,
                      struct vr_error *err) VR_MUST;

#endif

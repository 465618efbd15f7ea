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
    PIECE_KIND = 12,   /* u32: enum snapfile_piece */
    PIECE_OFF = 16,    /* u64: where in the section of data */
    PIECE_STORED = 24, /* u32: bytes there */
    PIECE_ZERO = 28,
    PIECE_HASH = 32, /* u64: of the stored bytes */
    PIECE_ENTRY = 40,
};
enum snapfile_piece { PIECE_PLAIN = 0, PIECE_ZSTD = 1, PIECE_ZEROES = 2 };

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

#endif

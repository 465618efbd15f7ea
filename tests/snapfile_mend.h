/* Snapshot files that tests damage, with checksums made right, so that what is behind them is
 * reached. */
#ifndef VR_TESTS_SNAPFILE_MEND_H
#define VR_TESTS_SNAPFILE_MEND_H

#include "base/bits.h"
#include "control/snapfile_priv.h"

/* @len bytes, of which the head is there. */
static inline void snapfile_mend(uint8_t *b, size_t len)
{
    uint64_t dir = vr_load_le64(b + HEAD_DIR), dir_len = vr_load_le64(b + HEAD_DIR_LEN);
    vr_store_le64(b + HEAD_LEN, len);
    if (vr_in_range(dir, dir_len, len)) {
        for (uint64_t i = 0; i < dir_len / DIR_ENTRY; i++) {
            uint8_t *d = b + dir + i * DIR_ENTRY;
            uint64_t off = vr_load_le64(d + DIR_OFF), size = vr_load_le64(d + DIR_LEN);
            if (vr_load_le32(d + DIR_KIND) == SNAPFILE_BYTES && vr_in_range(off, size, len)) {
                vr_store_le64(d + DIR_HASH, snapfile_hash(b + off, size));
            }
        }
        vr_store_le64(b + HEAD_DIR_HASH, snapfile_hash(b + dir, dir_len));
    }
    vr_store_le64(b + HEAD_HASH, snapfile_hash(b, HEAD_HASH));
}

#endif

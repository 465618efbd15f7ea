/*
 * A fast 64-bit hash of much data, for telling states apart and finding damage; no defence against
 * people. XXH64 as in the xxHash specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
 */
#ifndef VR_BASE_HASH_H
#define VR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct vr_hash {
    uint64_t lane[4], total, seed;
    uint8_t buf[32];
    unsigned held; /* bytes in buf */
};

void vr_hash_init(struct vr_hash *h, uint64_t seed);
void vr_hash_add(struct vr_hash *h, const void *data, size_t len);
uint64_t vr_hash_end(const struct vr_hash *h);
uint64_t vr_hash64(const void *data, size_t len, uint64_t seed); /* at once */

#endif

/*
 * A fast 64-bit hash of much data, for telling states apart and finding damage; no defence against
 * people. XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), which is what recordings have.
 */
#ifndef VR_CORE_HASH_H
#define VR_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>
#define XXH_STATIC_LINKING_ONLY /* how large its state is */
#include <xxhash.h>

struct vr_hash {
    XXH64_state_t state;
};

static inline void vr_hash_init(struct vr_hash *h, uint64_t seed)
{
    (void)XXH64_reset(&h->state, seed);
}

static inline void vr_hash_add(struct vr_hash *h, const void *data, size_t len)
{
    (void)XXH64_update(&h->state, data, len); /* fails for NULL alone */
}

static inline uint64_t vr_hash_end(const struct vr_hash *h)
{
    return XXH64_digest(&h->state);
}

/* At once. */
static inline uint64_t vr_hash64(const void *data, size_t len, uint64_t seed)
{
    return XXH64(data, len, seed);
}

#endif

/* XXH64; see hash.h. */
#include "base/hash.h"
#include "base/bits.h"

#include <string.h>

static const uint64_t hash_p1 = UINT64_C(0x9E3779B185EBCA87),
                      hash_p2 = UINT64_C(0xC2B2AE3D27D4EB4F),
                      hash_p3 = UINT64_C(0x165667B19E3779F9),
                      hash_p4 = UINT64_C(0x85EBCA77C2B2AE63),
                      hash_p5 = UINT64_C(0x27D4EB2F165667C5);

static uint64_t hash_rotl(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static uint64_t hash_round(uint64_t acc, uint64_t word)
{
    return hash_rotl(acc + word * hash_p2, 31) * hash_p1;
}

static void hash_stripe(struct vr_hash *h, const uint8_t *p)
{
    for (unsigned i = 0; i < 4; i++) {
        h->lane[i] = hash_round(h->lane[i], vr_load_le64(p + 8 * i));
    }
}

void vr_hash_init(struct vr_hash *h, uint64_t seed)
{
    *h = (struct vr_hash){.lane = {seed + hash_p1 + hash_p2, seed + hash_p2, seed, seed - hash_p1},
                          .seed = seed};
}

void vr_hash_add(struct vr_hash *h, const void *data, size_t len)
{
    const uint8_t *p = data;
    h->total += len;
    if (h->held) {
        size_t n = sizeof(h->buf) - h->held;
        n = n < len ? n : len;
        memcpy(h->buf + h->held, p, n);
        h->held += (unsigned)n;
        p += n;
        len -= n;
        if (h->held < sizeof(h->buf)) {
            return;
        }
        hash_stripe(h, h->buf);
        h->held = 0;
    }
    for (; len >= sizeof(h->buf); p += sizeof(h->buf), len -= sizeof(h->buf)) {
        hash_stripe(h, p);
    }
    if (len) {
        memcpy(h->buf, p, len);
        h->held = (unsigned)len;
    }
}

uint64_t vr_hash_end(const struct vr_hash *h)
{
    uint64_t acc = h->seed + hash_p5;
    const uint8_t *p = h->buf;
    unsigned left = h->held;
    if (h->total >= sizeof(h->buf)) {
        acc = hash_rotl(h->lane[0], 1) + hash_rotl(h->lane[1], 7) + hash_rotl(h->lane[2], 12) +
              hash_rotl(h->lane[3], 18);
        for (unsigned i = 0; i < 4; i++) {
            acc = (acc ^ hash_round(0, h->lane[i])) * hash_p1 + hash_p4;
        }
    }
    acc += h->total;
    for (; left >= 8; p += 8, left -= 8) {
        acc = hash_rotl(acc ^ hash_round(0, vr_load_le64(p)), 27) * hash_p1 + hash_p4;
    }
    for (; left >= 4; p += 4, left -= 4) {
        acc = hash_rotl(acc ^ vr_load_le32(p) * hash_p1, 23) * hash_p2 + hash_p3;
    }
    for (; left; p++, left--) {
        acc = hash_rotl(acc ^ *p * hash_p5, 11) * hash_p1;
    }
    acc = (acc ^ acc >> 33) * hash_p2;
    acc = (acc ^ acc >> 29) * hash_p3;
    return acc ^ acc >> 32;
}

uint64_t vr_hash64(const void *data, size_t len, uint64_t seed)
{
    struct vr_hash h;
    vr_hash_init(&h, seed);
    vr_hash_add(&h, data, len);
    return vr_hash_end(&h);
}

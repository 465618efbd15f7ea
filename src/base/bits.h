/* Alignment, bit fields, byte order and checked arithmetic. No access here needs an aligned
 * pointer. */
#ifndef VR_BASE_BITS_H
#define VR_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VR_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* @align is a power of two. Up may wrap to 0 near the end: check with vr_align_up_ok where others
 * choose v. */
static inline uint64_t vr_align_down(uint64_t v, uint64_t align)
{
    return v & ~(align - 1);
}

static inline uint64_t vr_align_up(uint64_t v, uint64_t align)
{
    return (v + align - 1) & ~(align - 1);
}

static inline bool vr_is_aligned(uint64_t v, uint64_t align)
{
    return (v & (align - 1)) == 0;
}

static inline bool vr_is_pow2(uint64_t v)
{
    return v && (v & (v - 1)) == 0;
}

/* The lowest @count bits set; @count 0..64. */
static inline uint64_t vr_mask(unsigned count)
{
    return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

/* Bits @lo .. @lo + @count - 1 of @v, shifted down. @lo < 64. */
static inline uint64_t vr_bits(uint64_t v, unsigned lo, unsigned count)
{
    return (v >> lo) & vr_mask(count);
}

/* All values that fit @width bytes (1..8). */
static inline uint64_t vr_width_mask(unsigned width)
{
    return vr_mask(width * 8);
}

/* a + b, a * b: false when the true result does not fit; *ret is then unspecified. */
static inline bool vr_add_ok(uint64_t a, uint64_t b, uint64_t *ret)
{
    return !__builtin_add_overflow(a, b, ret);
}

static inline bool vr_mul_ok(uint64_t a, uint64_t b, uint64_t *ret)
{
    return !__builtin_mul_overflow(a, b, ret);
}

static inline bool vr_align_up_ok(uint64_t v, uint64_t align, uint64_t *ret)
{
    if (!vr_add_ok(v, align - 1, ret)) {
        return false;
    }
    *ret = vr_align_down(*ret, align);
    return true;
}

/* Is [off, off + len) inside [0, size)? Never wraps. */
static inline bool vr_in_range(uint64_t off, uint64_t len, uint64_t size)
{
    return off <= size && len <= size - off;
}

/* Are the @len bytes at @p all zero? */
static inline bool vr_is_zero(const void *p, size_t len)
{
    const uint8_t *b = p;
    return len == 0 || (b[0] == 0 && memcmp(b, b + 1, len - 1) == 0);
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define VR_LE_(bits, v) (v)
#define VR_BE_(bits, v) __builtin_bswap##bits(v)
#else
#define VR_LE_(bits, v) __builtin_bswap##bits(v)
#define VR_BE_(bits, v) (v)
#endif

/* vr_load_le32(p), vr_store_be64(p, v), ... at any alignment. */
#define VR_LOAD_STORE_(bits)                                        \
    static inline uint##bits##_t vr_load_le##bits(const void *p)    \
    {                                                               \
        uint##bits##_t v;                                           \
        memcpy(&v, p, sizeof(v));                                   \
        return VR_LE_(bits, v);                                     \
    }                                                               \
    static inline uint##bits##_t vr_load_be##bits(const void *p)    \
    {                                                               \
        uint##bits##_t v;                                           \
        memcpy(&v, p, sizeof(v));                                   \
        return VR_BE_(bits, v);                                     \
    }                                                               \
    static inline void vr_store_le##bits(void *p, uint##bits##_t v) \
    {                                                               \
        v = VR_LE_(bits, v);                                        \
        memcpy(p, &v, sizeof(v));                                   \
    }                                                               \
    static inline void vr_store_be##bits(void *p, uint##bits##_t v) \
    {                                                               \
        v = VR_BE_(bits, v);                                        \
        memcpy(p, &v, sizeof(v));                                   \
    }
VR_LOAD_STORE_(16)
VR_LOAD_STORE_(32)
VR_LOAD_STORE_(64)

/* @width 1, 2, 4 or 8 bytes, little-endian. */
static inline uint64_t vr_load_le(const void *p, unsigned width)
{
    switch (width) {
    case 1:
        return *(const uint8_t *)p;
    case 2:
        return vr_load_le16(p);
    case 4:
        return vr_load_le32(p);
    default:
        return vr_load_le64(p);
    }
}

static inline void vr_store_le(void *p, unsigned width, uint64_t v)
{
    switch (width) {
    case 1:
        *(uint8_t *)p = (uint8_t)v;
        break;
    case 2:
        vr_store_le16(p, (uint16_t)v);
        break;
    case 4:
        vr_store_le32(p, (uint32_t)v);
        break;
    default:
        vr_store_le64(p, v);
        break;
    }
}

#endif

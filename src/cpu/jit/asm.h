/*
 * Writing to code memory, for any host.
 *
 * The writer never overruns: past `end` bytes are counted but not stored, and asm_full says so;
 * whoever asked for the code then throws it away.
 */
#ifndef VR_CPU_JIT_ASM_H
#define VR_CPU_JIT_ASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct vr_asm {
    uint8_t *base; /* where offset 0 of the code memory is written */
    size_t at, end;
};

static inline bool asm_full(const struct vr_asm *s)
{
    return s->at > s->end;
}

static inline void asm_u8(struct vr_asm *s, unsigned v)
{
    if (s->at < s->end) {
        s->base[s->at] = (uint8_t)v;
    }
    s->at++;
}

static inline void asm_bytes(struct vr_asm *s, const void *p, size_t len)
{
    if (s->at <= s->end && len <= s->end - s->at) {
        memcpy(s->base + s->at, p, len);
    }
    s->at += len;
}

static inline void asm_u32(struct vr_asm *s, uint32_t v)
{
    asm_bytes(s, &v, sizeof(v));
}

static inline void asm_u64(struct vr_asm *s, uint64_t v)
{
    asm_bytes(s, &v, sizeof(v));
}

#endif

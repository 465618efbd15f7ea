/* Arm ARM DDI 0487, B2.7.4.2: data is cleaned to the point of unification, then instructions are
 * invalidated in the whole inner shareable domain, at each address. The compiler's builtin does
 * both for an address range, by the line sizes of CTR_EL0. */
#include "platform/jitmem.h"

const void *vr_jit_sample(size_t *ret_len)
{
    static const uint32_t code[] = {0x52800540, 0xd65f03c0}; /* mov w0, #42; ret */
    *ret_len = sizeof(code);
    return code;
}

void vr_icache_flush(const void *rw, const void *rx, size_t len)
{
    char *w = (char *)(uintptr_t)rw, *x = (char *)(uintptr_t)rx;
    __builtin___clear_cache(w, w + len);
    __builtin___clear_cache(x, x + len);
}

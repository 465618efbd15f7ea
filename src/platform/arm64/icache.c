/* Arm ARM DDI 0487, B2.7.4.2: data is cleaned to the point of unification, then instructions are
 * invalidated in the whole inner shareable domain, at each address. The compiler's builtin does
 * both for an address range, by the line sizes of CTR_EL0. */
#include "platform/host.h"
#include "vireo/host_code.h"

const void *vr_jit_sample(size_t *ret_len)
{
    static const uint32_t code[] = {0x52800540, 0xd65f03c0}; /* mov w0, #42; ret */
    *ret_len = sizeof(code);
    return code;
}

void vireo_icache_flush(const void *rw, const void *rx, size_t len)
{
    char *w = (char *)(uintptr_t)rw, *x = (char *)(uintptr_t)rx;
    __builtin___clear_cache(w, w + len);
    __builtin___clear_cache(x, x + len);
}

/* DC CVAC is open to programs (SCTLR_EL1.UCI), as every OS for this processor has it. */
int vireo_dcache_flush(const void *hva, size_t len)
{
    uint64_t ctr;
    __asm__("mrs %0, ctr_el0" : "=r"(ctr));
    uintptr_t line = (uintptr_t)4 << (ctr >> 16 & 0xf), end = (uintptr_t)hva + len;
    for (uintptr_t at = (uintptr_t)hva & ~(line - 1); at < end; at += line) {
        __asm__ volatile("dc cvac, %0" ::"r"(at) : "memory");
    }
    __asm__ volatile("dsb sy" ::: "memory");
    return 0;
}

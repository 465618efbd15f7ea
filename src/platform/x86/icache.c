/* x86 fetches what was stored, at whatever address (Intel SDM volume 3A, 12.6 "Self modifying
 * code"; a jump to new code at another linear address needs a serializing instruction only where
 * the same processor ran the old bytes). */
#include "platform/host.h"
#include "vireo/host_barrier.h"
#include "vireo/host_code.h"

#include <cpuid.h>

const void *vr_jit_sample(size_t *ret_len)
{
    static const uint8_t code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov eax, 42; ret */
    *ret_len = sizeof(code);
    return code;
}

void vireo_icache_flush(const void *rw, const void *rx, size_t len)
{
    (void)rw;
    (void)rx;
    (void)len;
    vireo_barrier_release(); /* whoever is told of the code next finds it; no instruction needed */
}

int vireo_dcache_flush(const void *hva, size_t len)
{
    unsigned a, b, c, d;
    __cpuid(1, a, b, c, d);
    uintptr_t line = (b >> 8 & 0xff) * 8u; /* CLFLUSH line size, SDM 2A, CPUID leaf 1 */
    uintptr_t end = (uintptr_t)hva + len;
    line = line ? line : 64;
    for (uintptr_t at = (uintptr_t)hva & ~(line - 1); at < end; at += line) {
        __builtin_ia32_clflush((const void *)at);
    }
    __builtin_ia32_mfence();
    return 0;
}

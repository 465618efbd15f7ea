/* x86 fetches what was stored, at whatever address (Intel SDM volume 3A, 12.6 "Self modifying
 * code"; a jump to new code at another linear address needs a serializing instruction only where
 * the same processor ran the old bytes). */
#include "platform/jitmem.h"

const void *vr_jit_sample(size_t *ret_len)
{
    static const uint8_t code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov eax, 42; ret */
    *ret_len = sizeof(code);
    return code;
}

void vr_icache_flush(const void *rw, const void *rx, size_t len)
{
    (void)rw;
    (void)rx;
    (void)len;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Caches by sys_icache_invalidate(3) and sys_dcache_flush(3), which Darwin has in place of the
 * instructions that it keeps to itself. */
#include "platform/host.h"
#include "vireo/host_code.h"

#include <libkern/OSCacheControl.h>

const void *vr_jit_sample(size_t *ret_len)
{
    static const uint32_t code[] = {0x52800540, 0xd65f03c0}; /* mov w0, #42; ret */
    *ret_len = sizeof(code);
    return code;
}

void vireo_icache_flush(const void *rw, const void *rx, size_t len)
{
    sys_dcache_flush((void *)(uintptr_t)rw, len);
    sys_icache_invalidate((void *)(uintptr_t)rx, len);
}

int vireo_dcache_flush(const void *hva, size_t len)
{
    sys_dcache_flush((void *)(uintptr_t)hva, len);
    return 0;
}

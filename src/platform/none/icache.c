/* No code is made for this processor; what others made is flushed as the compiler knows how. */
#include "platform/host.h"
#include "vireo/host_code.h"

#include <errno.h>

const void *vr_jit_sample(size_t *ret_len)
{
    *ret_len = 0;
    return NULL;
}

void vireo_icache_flush(const void *rw, const void *rx, size_t len)
{
    char *w = (char *)(uintptr_t)rw, *x = (char *)(uintptr_t)rx;
    __builtin___clear_cache(w, w + len);
    __builtin___clear_cache(x, x + len);
}

int vireo_dcache_flush(const void *hva, size_t len)
{
    (void)hva;
    (void)len;
    return -ENOTSUP;
}

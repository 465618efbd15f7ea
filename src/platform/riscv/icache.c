/* FENCE.I reaches the hart that runs it only (unprivileged ISA, "Zifencei"): the kernel does it on
 * all harts of the process, riscv_flush_icache(2). */
#include "platform/host.h"
#include "vireo/host_barrier.h"
#include "vireo/host_code.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RV_SYS_FLUSH_ICACHE = 259 };

const void *vr_jit_sample(size_t *ret_len)
{
    static const uint32_t code[] = {0x02a00513, 0x00008067}; /* li a0, 42; ret */
    *ret_len = sizeof(code);
    return code;
}

void vireo_icache_flush(const void *rw, const void *rx, size_t len)
{
    (void)rw;
    vireo_barrier_full();
    syscall(RV_SYS_FLUSH_ICACHE, rx, (const char *)rx + len, 0UL);
}

/* Zicbom's instructions are for the kernel until it opens them, and nothing says whether it did. */
int vireo_dcache_flush(const void *hva, size_t len)
{
    (void)hva;
    (void)len;
    return -ENOTSUP;
}

/* Code memory, once it is there: what is the same on every host. */
#include "base/bits.h"
#include "base/err.h"
#include "vireo/host_code.h"

#include <errno.h>
#include <string.h>

int vireo_jitmem_flush(const struct vireo_jitmem *mem, size_t off, size_t len, struct vr_error *err)
{
    if (!vr_in_range(off, len, mem->len)) {
        return vr_err(err, -ERANGE, "code memory: %zu bytes at %zu do not fit %zu", len, off,
                      mem->len);
    }
    vireo_icache_flush(mem->rw + off, mem->rx + off, len);
    return 0;
}

int vireo_jitmem_publish(const struct vireo_jitmem *mem, size_t off, const void *code, size_t len,
                         struct vr_error *err)
{
    if (!vr_in_range(off, len, mem->len)) {
        return vr_err(err, -ERANGE, "code memory: %zu bytes at %zu do not fit %zu", len, off,
                      mem->len);
    }
    memcpy(mem->rw + off, code, len);
    return vireo_jitmem_flush(mem, off, len, err);
}

/* Memory that is shared by descriptor: a memory file that is mapped. What of it is in use, and
 * giving it back, each system has its own way for. */
#include "base/bits.h"
#include "base/err.h"
#include "vireo/host_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

int vireo_shmem_create(const char *name, uint64_t len, const struct vireo_shmem_opts *opts,
                       struct vireo_shmem *ret_mem, struct vr_error *err)
{
    struct vireo_shmem_opts o = opts ? *opts : (struct vireo_shmem_opts){.node = VIREO_NODE_ANY};
    struct vireo_map map;
    uint64_t whole = len;
    int fd;
    if (len == 0) {
        return vr_err(err, -EINVAL, "memory '%s': the size is 0", name);
    }
    /* In huge pages the file holds whole ones; the rest of the last is nobody's. */
    if (len > INT64_MAX || len > SIZE_MAX ||
        (vr_is_pow2(o.huge_bytes) && !vr_align_up_ok(len, o.huge_bytes, &whole))) {
        return vr_err(err, -ENOMEM, "memory '%s': %" PRIu64 " bytes are more than any host has",
                      name, len);
    }
    int r = vireo_memfd_create(name, whole, o.huge_bytes, &fd, err);
    if (r < 0) {
        return r;
    }
    /* Plain pages come as they are touched; huge ones are few and have to be there now, since a
     * missing one would be a fault of whoever touches it. */
    struct vireo_map_opts m = {
        .prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
        .flags = VIREO_MAP_SHARED | (o.huge_bytes ? 0 : VIREO_MAP_NORESERVE) |
                 (o.populate ? VIREO_MAP_POPULATE : 0),
        .file = true,
        .fd = fd,
        .huge_bytes = o.huge_bytes,
        .node = o.node,
    };
    r = vireo_map_create((size_t)whole, &m, &map, err);
    if (r < 0) {
        close(fd);
        return r == -ENOMEM && !o.huge_bytes
                   ? vr_err(err, r,
                            "memory '%s': the host cannot map %" PRIu64 " MiB; ask for less", name,
                            len >> 20)
                   : vr_err_in(err, r, "memory '%s'", name);
    }
    *ret_mem = (struct vireo_shmem){.hva = map.hva, .len = len, .fd = fd, .map = map};
    return 0;
}

void vireo_shmem_destroy(struct vireo_shmem *mem)
{
    if (mem->hva) {
        vireo_map_destroy(&mem->map);
        close(mem->fd);
    }
    *mem = (struct vireo_shmem){.fd = -1};
}

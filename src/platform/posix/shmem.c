/* Memory that is shared by descriptor: a memory file that is mapped. What of it is in use, and
 * giving it back, each system has its own way for. */
#include "platform/posix/shmem.h"
#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A smaller piece would cost a mapping of its own, of which a process has 65530 on Linux. */
#define SHMEM_PIECE ((uint64_t)VIREO_SHMEM_PIECE_BYTES)

static int shmem_view(const char *name, uint64_t len, const struct vireo_shmem_opts *o,
                      struct vireo_shmem *ret_mem, struct vr_error *err)
{
    struct stat st;
    struct vireo_map map;
    uint64_t end;
    if (o->huge_bytes) {
        return vr_err(err, -EINVAL, "memory '%s': a view of a file cannot be in huge pages", name);
    }
    if (fstat(o->fd, &st) < 0) {
        int r = -errno;
        return vr_err(err, r, "memory '%s': %s", name, strerror(-r));
    }
    if (!vr_add_ok(o->file_off, len, &end) || st.st_size < 0 || end > (uint64_t)st.st_size) {
        return vr_err(err, -EINVAL, "memory '%s': its file ends before it does", name);
    }
    int fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        int r = -errno;
        return vr_err(err, r, "memory '%s': %s", name, strerror(-r));
    }
    struct vireo_map_opts m = {
        .prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
        .flags = VIREO_MAP_NORESERVE | (o->populate ? VIREO_MAP_POPULATE : 0),
        .file = true,
        .fd = fd,
        .file_off = o->file_off,
        .node = o->node,
    };
    int r = len > SIZE_MAX ? vr_err(err, -ENOMEM, "more than any host has")
                           : vireo_map_create((size_t)len, &m, &map, err);
    if (r < 0) {
        close(fd);
        return vr_err_in(err, r, "memory '%s'", name);
    }
    *ret_mem = (struct vireo_shmem){
        .hva = map.hva, .len = len, .fd = -1, .map = map, .base_fd = fd, .base_off = o->file_off};
    return 0;
}

int vr_shmem_discard_view(const struct vireo_shmem *mem, uint64_t off, uint64_t len,
                          struct vr_error *err)
{
    uint64_t from, to = vr_align_down(off + len, SHMEM_PIECE), end = off + len;
    uint8_t *at = mem->hva;
    if (!vr_align_up_ok(off, SHMEM_PIECE, &from) || from >= to) {
        from = to = end;
    } else {
        struct vireo_map_opts m = {.hva = at + from,
                                   .prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
                                   .flags = VIREO_MAP_REPLACE | VIREO_MAP_NORESERVE,
                                   .node = VIREO_NODE_ANY};
        struct vireo_map zeroes;
        int r = vireo_map_create((size_t)(to - from), &m, &zeroes, err);
        if (r < 0) {
            return vr_err_in(err, r, "giving memory back to the host");
        }
    }
    memset(at + off, 0, (size_t)(from - off));
    memset(at + to, 0, (size_t)(end - to));
    return 0;
}

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
    if (o.file) {
        return shmem_view(name, len, &o, ret_mem, err);
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
    *ret_mem =
        (struct vireo_shmem){.hva = map.hva, .len = len, .fd = fd, .map = map, .base_fd = -1};
    return 0;
}

void vireo_shmem_destroy(struct vireo_shmem *mem)
{
    if (mem->hva) {
        vireo_map_destroy(&mem->map);
        close(mem->base_fd >= 0 ? mem->base_fd : mem->fd);
    }
    *mem = (struct vireo_shmem){.fd = -1, .base_fd = -1};
}

int vireo_shmem_make_view(struct vireo_shmem *mem, struct vr_error *err)
{
    struct vireo_map_opts m = {
        .hva = mem->hva,
        .prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
        .flags = VIREO_MAP_REPLACE | VIREO_MAP_NORESERVE,
        .file = true,
        .fd = mem->fd,
        .node = VIREO_NODE_ANY,
    };
    struct vireo_map map;
    if (mem->fd < 0 || mem->map.page_bytes != (uint64_t)sysconf(_SC_PAGESIZE)) {
        return vr_err(err, -EINVAL, "memory: only what is shared, in plain pages, becomes a view");
    }
    int r = vireo_map_create(mem->map.len, &m, &map, err);
    if (r < 0) {
        return vr_err_in(err, r, "memory: a view of itself");
    }
    mem->base_fd = mem->fd;
    mem->base_off = 0;
    mem->fd = -1;
    return 0;
}

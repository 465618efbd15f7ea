/*
 * Memory files by sections of the paging file (MSDN CreateFileMappingW), and guest RAM.
 *
 * Guest RAM must be given back in parts and must know which parts were never written. Windows does
 * both for private memory only (MEM_DECOMMIT; GetWriteWatch, MSDN "Write Watch"), so it is private:
 * there is no descriptor to share it by.
 */
#include "base/bits.h"
#include "platform/windows/map.h"
#include "platform/windows/win.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int vireo_memfd_create(const char *name, uint64_t len, uint64_t huge_bytes, int *ret_fd,
                       struct vr_error *err)
{
    if (len == 0 || (huge_bytes && (!vr_is_pow2(huge_bytes) || !vr_is_aligned(len, huge_bytes)))) {
        return vr_err(err, -EINVAL, "memory file '%s': the size makes no sense", name);
    }
    if (huge_bytes) {
        return vr_err(err, -ENOTSUP,
                      "memory file '%s': on Windows large pages are for memory that is not shared",
                      name);
    }
    if (len > INT64_MAX) {
        return vr_err(err, -ENOMEM, "memory file '%s': %" PRIu64 " bytes do not fit", name, len);
    }
    HANDLE section = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE,
                                        (DWORD)(len >> 32), (DWORD)len, NULL);
    if (!section) {
        DWORD error = GetLastError();
        int r = vr_win_errno(error);
        return r == -EINVAL ? vr_err(err, -ENOMEM, "memory file '%s': %" PRIu64 " bytes do not fit",
                                     name, len)
                            : vr_win_err(err, error, "memory file '%s'", name);
    }
    *ret_fd = vr_win_fd(section);
    return 0;
}

int vireo_memfd_seal(int fd, unsigned seals, struct vr_error *err)
{
    (void)fd;
    if (seals & VIREO_SEAL_WRITE) {
        return vr_err(err, -ENOTSUP,
                      "memory file: Windows cannot end writing for all; hand out a "
                      "read-only handle (DuplicateHandle, FILE_MAP_READ)");
    }
    return 0; /* a section's size never changes */
}

int vireo_shmem_create(const char *name, uint64_t len, const struct vireo_shmem_opts *opts,
                       struct vireo_shmem *ret_mem, struct vr_error *err)
{
    struct vireo_shmem_opts o = opts ? *opts : (struct vireo_shmem_opts){.node = VIREO_NODE_ANY};
    struct vireo_map_opts m = {.prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
                               .flags = o.populate ? VIREO_MAP_POPULATE : 0,
                               .huge_bytes = o.huge_bytes,
                               .node = o.node};
    struct vireo_map map;
    if (len == 0) {
        return vr_err(err, -EINVAL, "memory '%s': the size is 0", name);
    }
    if (o.file) {
        return vr_err(err, -ENOTSUP, "memory '%s': views of files are not made on Windows", name);
    }
    int r = vr_win_map((size_t)len, &m, true, &map, err);
    if (r < 0) {
        return vr_err_in(err, r, "memory '%s'", name);
    }
    *ret_mem =
        (struct vireo_shmem){.hva = map.hva, .len = len, .fd = -1, .map = map, .base_fd = -1};
    return 0;
}

void vireo_shmem_destroy(struct vireo_shmem *mem)
{
    vireo_map_destroy(&mem->map);
    *mem = (struct vireo_shmem){.fd = -1, .base_fd = -1};
}

uint64_t vireo_shmem_next_data(const struct vireo_shmem *mem, uint64_t off)
{
    void *page = NULL;
    ULONG_PTR count = 1;
    ULONG granularity;
    uint8_t *base = mem->hva;
    if (off >= mem->len) {
        return mem->len;
    }
    if (GetWriteWatch(0, base + off, mem->len - off, &page, &count, &granularity) != 0) {
        return off; /* large pages, which are not watched: look at everything */
    }
    uint64_t at = count ? (uint64_t)((uint8_t *)page - base) : mem->len;
    return at > off ? at : off;
}

uint64_t vireo_shmem_used(const struct vireo_shmem *mem, uint64_t *ret_shared)
{
    (void)mem;
    if (ret_shared) {
        *ret_shared = 0;
    }
    return UINT64_MAX;
}

int vireo_shmem_discard(const struct vireo_shmem *mem, uint64_t off, uint64_t len,
                        struct vr_error *err)
{
    if (!vr_in_range(off, len, mem->len)) {
        return vr_err(err, -ERANGE, "memory: %" PRIu64 " bytes at %" PRIu64 " do not lie in it",
                      len, off);
    }
    if (!vr_is_aligned(off | len, vr_win_page())) {
        return vr_err(err, -EINVAL, "memory: %" PRIu64 " bytes at %" PRIu64 " are no whole pages",
                      len, off);
    }
    uint8_t *at = (uint8_t *)mem->hva + off;
    if (mem->map.page_bytes > vr_win_page()) {
        memset(at, 0, len); /* large pages stay until all of them go */
    } else if (len && (!VirtualFree(at, len, MEM_DECOMMIT) ||
                       !VirtualAlloc(at, len, MEM_COMMIT, PAGE_READWRITE) ||
                       ResetWriteWatch(at, len) != 0)) {
        return vr_win_err(err, GetLastError(), "giving memory back to the host");
    }
    return 0;
}

int vireo_shmem_make_view(struct vireo_shmem *mem, struct vr_error *err)
{
    (void)mem;
    return vr_err(err, -ENOTSUP, "memory: views of files are not made on Windows");
}

int vireo_shmem_changed(const struct vireo_shmem *mem, uint64_t piece_bytes, bool *ret_changed,
                        struct vr_error *err)
{
    (void)mem;
    (void)piece_bytes;
    (void)ret_changed;
    return vr_err(err, -ENOTSUP, "memory: views of files are not made on Windows");
}

/* Shared memory by memfd_create(2). */
#include "base/err.h"
#include "vireo/host_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int vireo_shmem_create(const char *name, uint64_t len, struct vireo_shmem *ret_mem,
                       struct vr_error *err)
{
    if (len == 0) {
        return vr_err(err, -EINVAL, "memory '%s': the size is 0", name);
    }
    if (len > (uint64_t)INT64_MAX || len > SIZE_MAX) {
        return vr_err(err, -ENOMEM, "memory '%s': %" PRIu64 " bytes are more than any host has",
                      name, len);
    }
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0) {
        int r = -errno;
        return vr_err(err, r, "memory '%s': memfd_create: %s", name, strerror(-r));
    }
    if (ftruncate(fd, (off_t)len) < 0) {
        int r = errno == EFBIG || errno == EINVAL ? -ENOMEM : -errno;
        close(fd);
        return vr_err(err, r, "memory '%s': %" PRIu64 " MiB do not fit: %s", name, len >> 20,
                      strerror(-r));
    }
    void *hva = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (hva == MAP_FAILED) {
        int r = -errno;
        close(fd);
        return vr_err(err, r, "memory '%s': the host cannot map %" PRIu64 " MiB: %s; ask for less",
                      name, len >> 20, strerror(-r));
    }
    *ret_mem = (struct vireo_shmem){.hva = hva, .len = len, .fd = fd};
    return 0;
}

void vireo_shmem_destroy(struct vireo_shmem *mem)
{
    if (mem->hva) {
        munmap(mem->hva, (size_t)mem->len);
        close(mem->fd);
    }
    *mem = (struct vireo_shmem){.fd = -1};
}

uint64_t vireo_shmem_next_data(const struct vireo_shmem *mem, uint64_t off)
{
    if (off >= mem->len) {
        return mem->len;
    }
    off_t at = lseek(mem->fd, (off_t)off, SEEK_DATA);
    if (at < 0) {
        return errno == ENXIO ? mem->len : off; /* cannot tell: look at everything */
    }
    return (uint64_t)at;
}

int vireo_shmem_discard(const struct vireo_shmem *mem, uint64_t off, uint64_t len,
                        struct vr_error *err)
{
    if (fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) <
        0) {
        int r = -errno;
        return vr_err(err, r, "giving memory back to the host: %s", strerror(-r));
    }
    return 0;
}

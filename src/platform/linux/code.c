/* Code memory: a memfd (memfd_create(2)) that is mapped twice. */
#include "base/bits.h"
#include "base/err.h"
#include "vireo/host_code.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u /* since Linux 6.3, where vm.memfd_noexec may make the default the other */
#endif

static int jitmem_map(int fd, size_t len, struct vireo_jitmem *ret_mem, struct vr_error *err)
{
    if (ftruncate(fd, (off_t)len) < 0) {
        int r = errno == EFBIG || errno == EINVAL ? -ENOMEM : -errno;
        return vr_err(err, r, "code memory: %zu bytes: %s", len, strerror(-r));
    }
    void *rw = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (rw == MAP_FAILED) {
        int r = -errno;
        return vr_err(err, r, "code memory: cannot map %zu bytes: %s", len, strerror(-r));
    }
    void *rx = mmap(NULL, len, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    if (rx == MAP_FAILED) {
        int r = -errno;
        munmap(rw, len);
        return vr_err(err, r,
                      "code memory: the host maps no memory file for execution: %s; a security "
                      "module (SELinux execmem) or vm.memfd_noexec may forbid it",
                      strerror(-r));
    }
    *ret_mem = (struct vireo_jitmem){.rw = rw, .rx = rx, .len = len};
    return 0;
}

int vireo_jitmem_create(size_t len, struct vireo_jitmem *ret_mem, struct vr_error *err)
{
    uint64_t whole;
    if (len == 0) {
        return vr_err(err, -EINVAL, "code memory: the size is 0");
    }
    if (!vr_align_up_ok(len, (uint64_t)sysconf(_SC_PAGESIZE), &whole) || whole > INT64_MAX) {
        return vr_err(err, -ENOMEM, "code memory: %zu bytes are more than any host has", len);
    }
    int fd = memfd_create("vireo-code", MFD_CLOEXEC | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create("vireo-code", MFD_CLOEXEC); /* an older kernel */
    }
    if (fd < 0) {
        int r = -errno;
        return vr_err(err, r, "code memory: memfd_create: %s", strerror(-r));
    }
    int r = jitmem_map(fd, (size_t)whole, ret_mem, err);
    close(fd); /* the mappings keep it; nobody else gets at it */
    return r;
}

void vireo_jitmem_destroy(struct vireo_jitmem *mem)
{
    if (mem->rw) {
        munmap(mem->rw, mem->len);
        munmap((void *)(uintptr_t)mem->rx, mem->len);
    }
    *mem = (struct vireo_jitmem){.len = 0};
}

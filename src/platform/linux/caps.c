/* What Linux can do, by doing it: io_uring_setup(2), pkey_alloc(2), a KVM guest. */
#include "platform/caps.h"
#include "platform/kvm.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void caps_io_uring(struct vireo_ability *ring)
{
    struct io_uring_params params = {.flags = 0};
    long fd = syscall(SYS_io_uring_setup, 4, &params);
    int r = fd < 0 ? -errno : 0;
    ring->present = r != -ENOSYS;
    ring->works = r == 0;
    if (r == 0) {
        close((int)fd);
        snprintf(ring->detail, sizeof(ring->detail),
                 "a ring was set up: %u submissions, %u completions, features 0x%x",
                 params.sq_entries, params.cq_entries, params.features);
    } else if (r == -ENOSYS) {
        snprintf(ring->detail, sizeof(ring->detail),
                 "this kernel has no io_uring, or a sandbox hides it");
    } else if (r == -EPERM || r == -EACCES) {
        snprintf(ring->detail, sizeof(ring->detail),
                 "not allowed: kernel.io_uring_disabled (sysctl), or a sandbox forbids it");
    } else if (r == -ENOMEM) {
        snprintf(ring->detail, sizeof(ring->detail),
                 "no locked memory left for a ring: raise the limit (ulimit -l)");
    } else {
        snprintf(ring->detail, sizeof(ring->detail), "io_uring_setup: %s", strerror(-r));
    }
}

static void caps_keys(struct vireo_ability *keys)
{
    long key = syscall(SYS_pkey_alloc, 0UL, 0UL);
    int r = key < 0 ? -errno : 0;
    keys->works = r == 0;
    keys->present = r == 0;
    if (r == 0) {
        syscall(SYS_pkey_free, key);
        snprintf(keys->detail, sizeof(keys->detail), "the kernel gave us key %ld", key);
    } else {
        snprintf(keys->detail, sizeof(keys->detail), "the kernel gives none: %s",
                 r == -ENOSPC || r == -ENOSYS || r == -EINVAL
                     ? "this processor or kernel has no protection keys"
                     : strerror(-r));
    }
}

void vr_caps_host(struct vireo_caps *c)
{
    vr_kvm_try(&c->kvm);
    snprintf(c->hvf.detail, sizeof(c->hvf.detail), "Hypervisor.framework is macOS's");
    snprintf(c->whpx.detail, sizeof(c->whpx.detail),
             "the Windows Hypervisor Platform is Windows's");
    caps_io_uring(&c->io_uring);
    caps_keys(&c->protection_keys);
}

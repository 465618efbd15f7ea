/* What the host can do, by doing it, once: io_uring_setup(2), pkey_alloc(2), perf_event_open(2), a
 * KVM guest, code of our own. */
#include "base/alloc.h"
#include "platform/host.h"
#include "platform/kvm.h"
#include "vireo/host_code.h"
#include "vireo/host_counters.h"
#include "vireo/platform.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A host is one: what works is tried once for all. Written under the once only. */
static struct vireo_caps caps_found;
static pthread_once_t caps_once = PTHREAD_ONCE_INIT;

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

static void caps_counters(struct vireo_ability *counters)
{
    struct vireo_counters *c;
    struct vireo_counts counts;
    struct vr_error err;
    int r = vireo_counters_open(&c, &err);
    if (r < 0) {
        counters->present = r == -EACCES || r == -EPERM;
        snprintf(counters->detail, sizeof(counters->detail), "%.150s", err.msg);
        return;
    }
    vireo_counters_read(c, &counts);
    vireo_counters_close(c);
    counters->present = true;
    counters->works =
        counts.counted[VIREO_COUNT_INSTRUCTIONS] && counts.count[VIREO_COUNT_INSTRUCTIONS];
    snprintf(counters->detail, sizeof(counters->detail),
             counters->works ? "cycles%s, instructions%s%s of a thread are counted"
                             : "counters open, but instructions are not counted",
             counts.counted[VIREO_COUNT_CYCLES] ? "" : " (not)",
             counts.counted[VIREO_COUNT_CACHE_MISSES] ? ", cache misses" : "",
             counts.counted[VIREO_COUNT_BRANCH_MISSES] ? ", branch misses" : "");
}

static void caps_jit(struct vireo_ability *jit)
{
    struct vireo_jitmem mem;
    struct vr_error err;
    size_t len;
    const void *code = vr_jit_sample(&len);
    if (!code) {
        snprintf(jit->detail, sizeof(jit->detail), "Vireo makes no code for this processor");
        return;
    }
    jit->present = true;
    if (vireo_jitmem_create(len, &mem, &err) < 0) {
        snprintf(jit->detail, sizeof(jit->detail), "%.150s", err.msg);
        return;
    }
    if (vireo_jitmem_publish(&mem, 0, code, len, &err) == 0) {
        int (*fn)(void);
        const uint8_t *at = mem.rx;
        memcpy(&fn, &at, sizeof(fn));
        jit->works = fn() == 42;
    }
    snprintf(jit->detail, sizeof(jit->detail),
             jit->works ? "code written at one address ran at another"
                        : "made code gave a wrong answer");
    vireo_jitmem_destroy(&mem);
}

static void caps_find(void)
{
    struct vireo_caps *c = &caps_found;
    vr_kvm_try(&c->kvm);
    snprintf(c->hvf.detail, sizeof(c->hvf.detail), "Hypervisor.framework is macOS's");
    snprintf(c->whpx.detail, sizeof(c->whpx.detail),
             "the Windows Hypervisor Platform is Windows's");
    caps_io_uring(&c->io_uring);
    caps_counters(&c->counters);
    caps_keys(&c->protection_keys);
    caps_jit(&c->jit);
    c->has_kvm = c->kvm.works;
    c->accelerated = c->has_kvm;
}

const struct vireo_caps *vireo_platform_caps(void)
{
    pthread_once(&caps_once, caps_find);
    return &caps_found;
}

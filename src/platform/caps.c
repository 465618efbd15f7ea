/* What the host can do, by doing it, once: what every host is asked for. The rest is each system's
 * (vr_caps_host). */
#include "platform/caps.h"
#include "base/err.h"
#include "platform/host.h"
#include "platform/lock.h"
#include "vireo/host_code.h"
#include "vireo/host_counters.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A host is one: what works is tried once for all. Written under the once only. */
static struct vireo_caps caps_found;
static struct vr_once caps_once = {VR_ONCE_INIT};

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
    vr_caps_host(c);
    caps_counters(&c->counters);
    caps_jit(&c->jit);
    c->has_kvm = c->kvm.works;
    c->has_hvf = c->hvf.works;
    c->has_whpx = c->whpx.works;
    c->accelerated = c->has_kvm || c->has_hvf || c->has_whpx;
}

const struct vireo_caps *vireo_platform_caps(void)
{
    vr_once(&caps_once, caps_find);
    return &caps_found;
}

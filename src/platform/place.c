/* Choosing processors for threads: by kind, and by the policies of vireo/host_thread.h. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/err.h"
#include "platform/host.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <string.h>

int vireo_place_self_on(uint32_t cpu, struct vr_error *err)
{
    struct vireo_cpuset set = {.bits = NULL};
    int r = vireo_cpuset_add(&set, cpu);
    if (r < 0) {
        return vr_err(err, r, "affinity: processor %u: %s", cpu, strerror(-r));
    }
    r = vireo_place_self(&set, err);
    vireo_cpuset_fini(&set);
    return r;
}

int vireo_place_get(struct vireo_cpuset *ret_set, struct vr_error *err)
{
    int r = vr_host_affinity(ret_set);
    return r < 0 ? vr_err(err, r, "affinity: %s", strerror(-r)) : 0;
}

static int place_done(struct vireo_cpuset *set, int r, struct vireo_cpuset *ret_set,
                      struct vr_error *err)
{
    if (r == 0 && vireo_cpuset_count(set) == 0) {
        r = -ENODEV;
    }
    if (r < 0) {
        vireo_cpuset_fini(set);
        return vr_err(err, r, "affinity: %s",
                      r == -ENODEV ? "no such processors for this process" : strerror(-r));
    }
    *ret_set = *set;
    return 0;
}

int vireo_place_of_kind(enum vireo_core_kind kind, struct vireo_cpuset *ret_set,
                        struct vr_error *err)
{
    const struct vireo_platform *host;
    struct vireo_cpuset set = {.bits = NULL};
    int r = vireo_platform_get(&host, err);
    if (r < 0) {
        return r;
    }
    for (uint32_t i = 0; i < host->cpu.count && r == 0; i++) {
        const struct vireo_cpu *c = &host->cpu.list[i];
        if (c->usable &&
            (c->kind == VIREO_CORE_ALIKE || kind == VIREO_CORE_ALIKE || c->kind == kind)) {
            r = vireo_cpuset_add(&set, c->id);
        }
    }
    return place_done(&set, r, ret_set, err);
}

/* Which of the usable threads of its core @cpu is, and which core of its package that core is. */
static void place_ranks(const struct vireo_cpus *cpus, const struct vireo_cpu *cpu,
                        uint32_t *ret_thread, uint32_t *ret_core)
{
    uint32_t thread = 0, core = 0;
    for (const struct vireo_cpu *c = cpus->list; c < cpus->list + cpus->count; c++) {
        thread += c->usable && c->core == cpu->core && c->id < cpu->id;
        if (!c->usable || c->package != cpu->package || c->core >= cpu->core) {
            continue;
        }
        /* Each core once: by its first usable thread. */
        bool first = true;
        for (const struct vireo_cpu *d = cpus->list; d < c; d++) {
            first &= !(d->usable && d->core == c->core);
        }
        core += first;
    }
    *ret_thread = thread;
    *ret_core = core;
}

/* The place of @cpu in the order that @policy fills processors in: lower comes first. */
static uint64_t place_key(const struct vireo_cpus *cpus, const struct vireo_cpu *cpu,
                          enum vireo_place_policy policy)
{
    uint32_t thread, core;
    place_ranks(cpus, cpu, &thread, &core);
    return policy == VIREO_PLACE_SPREAD
               ? (uint64_t)thread << 48 | (uint64_t)core << 24 | cpu->package
               : (uint64_t)cpu->package << 48 | (uint64_t)core << 24 | thread;
}

/* The usable processor that is number @index in the policy's order. */
static uint32_t place_nth(const struct vireo_cpus *cpus, enum vireo_place_policy policy,
                          uint32_t index)
{
    uint64_t last = 0;
    uint32_t id = 0;
    for (uint32_t n = 0; n <= index; n++) {
        uint64_t best = UINT64_MAX;
        for (uint32_t i = 0; i < cpus->count; i++) {
            uint64_t key = cpus->list[i].usable ? place_key(cpus, &cpus->list[i], policy) : best;
            if (key < best && (n == 0 || key > last)) {
                best = key;
                id = cpus->list[i].id;
            }
        }
        last = best;
    }
    return id;
}

/* The node with most usable processors. */
static uint32_t place_node(const struct vireo_cpus *cpus)
{
    uint32_t best = 0, most = 0;
    for (uint32_t i = 0; i < cpus->count; i++) {
        uint32_t here = 0;
        for (uint32_t k = 0; k < cpus->count; k++) {
            here += cpus->list[k].usable && cpus->list[k].node == cpus->list[i].node;
        }
        if (here > most) {
            most = here;
            best = cpus->list[i].node;
        }
    }
    return best;
}

int vireo_place_plan(const struct vireo_platform *host, enum vireo_place_policy policy,
                     uint32_t index, uint32_t count, struct vireo_cpuset *ret_set,
                     struct vr_error *err)
{
    const struct vireo_cpus *cpus = &host->cpu;
    struct vireo_cpuset set = {.bits = NULL};
    uint32_t usable = 0, node = place_node(cpus);
    int r = 0;
    if (index >= count) {
        return vr_err(err, -EINVAL, "affinity: thread %u of %u", index, count);
    }
    for (uint32_t i = 0; i < cpus->count && r == 0; i++) {
        const struct vireo_cpu *c = &cpus->list[i];
        usable += c->usable;
        if (c->usable &&
            (policy == VIREO_PLACE_NONE || (policy == VIREO_PLACE_LOCAL && c->node == node))) {
            r = vireo_cpuset_add(&set, c->id);
        }
    }
    if (r == 0 && usable && (policy == VIREO_PLACE_SPREAD || policy == VIREO_PLACE_COMPACT)) {
        r = vireo_cpuset_add(&set, place_nth(cpus, policy, index % usable));
    }
    return place_done(&set, r, ret_set, err);
}

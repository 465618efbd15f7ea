/* Affinity by the bare sched_setaffinity(2), whose masks may be of any size; priorities by
 * sched_setscheduler(2) and setpriority(2), which on Linux are a thread's (credentials(7)). */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/err.h"
#include "platform/host.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int vireo_place_self(const struct vireo_cpuset *set, struct vr_error *err)
{
    if (vireo_cpuset_count(set) == 0) {
        return vr_err(err, -EINVAL, "affinity: the set of processors is empty");
    }
    if (syscall(SYS_sched_setaffinity, 0, (size_t)set->words * 8, set->bits) < 0) {
        char list[64];
        int r = -errno;
        vireo_cpuset_format(set, list, sizeof(list));
        return vr_err(err, r, "affinity: processors %s: %s", list,
                      r == -EINVAL ? "none of them is online and allowed to this process"
                                   : strerror(-r));
    }
    return 0;
}

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

/* CFS and EEVDF: @nice -20 .. 19. */
static int priority_nice(int nice, struct vr_error *err)
{
    struct sched_param none = {.sched_priority = 0};
    if (syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &none) < 0 ||
        setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice) < 0) {
        int r = -errno;
        struct rlimit limit = {0};
        getrlimit(RLIMIT_NICE, &limit);
        return vr_err(err, r,
                      r == -EPERM || r == -EACCES
                          ? "priority: nice %d is not allowed: needs CAP_SYS_NICE, or a limit "
                            "(ulimit -e, LimitNICE=) of %d; it is %llu"
                          : "priority: nice %d is refused (limit would be %d, is %llu)",
                      nice, 20 - nice, (unsigned long long)limit.rlim_cur);
    }
    return 0;
}

static int priority_realtime(struct vr_error *err)
{
    struct rlimit limit = {0};
    /* Above what waits, below the kernel's own threads (50). */
    struct sched_param param = {.sched_priority = 10};
    if (syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) == 0) {
        return 0;
    }
    int r = -errno;
    getrlimit(RLIMIT_RTPRIO, &limit);
    if (r == -EPERM) {
        return vr_err(err, r,
                      "priority: realtime is not allowed: needs CAP_SYS_NICE, or a limit (ulimit "
                      "-r, LimitRTPRIO=) of 10, which is %llu, and a cgroup with realtime budget",
                      (unsigned long long)limit.rlim_cur);
    }
    return vr_err(err, r, "priority: realtime: %s", strerror(-r));
}

int vireo_priority_self(enum vireo_priority priority, struct vr_error *err)
{
    switch (priority) {
    case VIREO_PRIORITY_LOW:
        return priority_nice(10, err);
    case VIREO_PRIORITY_NORMAL:
        return priority_nice(0, err);
    case VIREO_PRIORITY_HIGH:
        return priority_nice(-10, err);
    case VIREO_PRIORITY_REALTIME:
        return priority_realtime(err);
    default:
        return vr_err(err, -EINVAL, "priority: unknown: %d", (int)priority);
    }
}

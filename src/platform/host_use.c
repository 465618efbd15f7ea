/* What is asked of a host, against what it has. */
#include "vireo/host_use.h"
#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int use_check_huge(uint64_t huge, const struct vireo_memory *m, uint64_t bytes,
                          struct vr_error *err)
{
    char sizes[96] = "";
    size_t len = 0;
    for (uint32_t i = 0; i < m->huge_count; i++) {
        const struct vireo_huge_pages *h = &m->huge[i];
        uint64_t need = bytes / huge + (bytes % huge != 0);
        if (h->page_bytes == huge) {
            return h->free >= need
                       ? 0
                       : vr_err(
                             err, -ENOMEM,
                             "huge pages: %" PRIu64 " of %" PRIu64 " KiB are needed, %" PRIu64
                             " are free: on Linux, write their number to /sys/kernel/mm/hugepages/"
                             "hugepages-%" PRIu64 "kB/nr_hugepages",
                             need, huge >> 10, h->free, huge >> 10);
        }
        if (len < sizeof(sizes)) {
            len += (size_t)snprintf(sizes + len, sizeof(sizes) - len, "%s%" PRIu64 "K",
                                    len ? ", " : "", h->page_bytes >> 10);
        }
    }
    return vr_err(err, -ENOSYS, "huge pages: the host has none of %" PRIu64 " KiB; it has: %s",
                  huge >> 10, len ? sizes : "none at all");
}

int vireo_host_use_check(const struct vireo_host_use *use, const struct vireo_platform *host,
                         uint64_t memory_bytes, struct vr_error *err)
{
    bool found = use->node == VIREO_NODE_ANY || (use->node == 0 && host->node_count == 0);
    for (uint32_t i = 0; i < host->node_count; i++) {
        found |= use->node >= 0 && host->nodes[i].id == (uint32_t)use->node;
    }
    if (!found) {
        return vr_err(err, -ENOSYS, "NUMA node %d: the host has no such node; it has %u", use->node,
                      host->node_count);
    }
    int r = use->huge_bytes ? use_check_huge(use->huge_bytes, &host->memory, memory_bytes, err) : 0;
    if (r == 0 && use->policy != VIREO_PLACE_NONE) {
        struct vireo_cpuset set;
        r = vireo_host_use_cpus(use, host, 0, 1, &set, err);
        if (r == 0) {
            vireo_cpuset_fini(&set);
        }
    }
    return r;
}

int vireo_host_use_cpus(const struct vireo_host_use *use, const struct vireo_platform *host,
                        uint32_t index, uint32_t count, struct vireo_cpuset *ret_set,
                        struct vr_error *err)
{
    struct vireo_cpuset set = {.bits = NULL};
    int r = 0;
    if (use->policy != VIREO_PLACE_LOCAL || use->node == VIREO_NODE_ANY) {
        return vireo_place_plan(host, use->policy, index, count, ret_set, err);
    }
    for (uint32_t i = 0; i < host->cpu.count && r == 0; i++) {
        const struct vireo_cpu *c = &host->cpu.list[i];
        if (c->usable && c->node == (uint32_t)use->node) {
            r = vireo_cpuset_add(&set, c->id);
        }
    }
    if (r == 0 && vireo_cpuset_count(&set) == 0) {
        r = -ENOSYS;
    }
    if (r < 0) {
        vireo_cpuset_fini(&set);
        return vr_err(err, r, "NUMA node %d: %s", use->node,
                      r == -ENOSYS ? "none of its processors is for this process" : strerror(-r));
    }
    *ret_set = set;
    return 0;
}

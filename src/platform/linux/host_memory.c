/* Memory and its nodes: /proc/meminfo (proc(5)), /sys/kernel/mm/hugepages and
 * /sys/devices/system/node (Linux Documentation/ABI: sysfs-kernel-mm-hugepages,
 * sysfs-devices-node).
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/text.h"
#include "platform/host.h"
#include "platform/sysfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The number of kB behind "@key:" as bytes. */
static bool memory_kb(const char *text, const char *key, uint64_t *ret_bytes)
{
    size_t len = strlen(key);
    const char *p = text;
    while ((p = strstr(p, key))) {
        if ((p == text || p[-1] == '\n' || p[-1] == ' ') && p[len] == ':') {
            char digits[24];
            uint64_t kb;
            p += len + 1;
            p += strspn(p, " \t");
            snprintf(digits, sizeof(digits), "%.*s", (int)strspn(p, "0123456789"), p);
            return vr_parse_u64(digits, &kb) == 0 && vr_mul_ok(kb, 1024, ret_bytes);
        }
        p += len;
    }
    return false;
}

static void memory_huge_add(const struct vr_sysfs *fs, struct vireo_memory *m, uint64_t kb)
{
    struct vireo_huge_pages page;
    uint32_t at = 0;
    if (m->huge_count == VIREO_HUGE_SIZES || kb == 0 || !vr_mul_ok(kb, 1024, &page.page_bytes) ||
        vr_sysfs_u64(fs,
                     VR_SYSFS_AT("sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
                                 (unsigned long long)kb),
                     UINT64_MAX, &page.total) < 0) {
        return;
    }
    if (vr_sysfs_u64(fs,
                     VR_SYSFS_AT("sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
                                 (unsigned long long)kb),
                     UINT64_MAX, &page.free) < 0) {
        page.free = 0;
    }
    while (at < m->huge_count && m->huge[at].page_bytes < page.page_bytes) {
        at++;
    }
    memmove(&m->huge[at + 1], &m->huge[at], (m->huge_count - at) * sizeof(page));
    m->huge[at] = page;
    m->huge_count++;
}

static void memory_huge(const struct vr_sysfs *fs, struct vireo_memory *m)
{
    static const char before[] = "hugepages-";
    struct vr_sysfs_list list;
    if (vr_sysfs_list(fs, "sys/kernel/mm/hugepages", &list) < 0) {
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        const char *name = list.names[i];
        char digits[24];
        uint64_t kb;
        if (strncmp(name, before, strlen(before)) != 0) {
            continue;
        }
        name += strlen(before);
        size_t len = strspn(name, "0123456789");
        snprintf(digits, sizeof(digits), "%.*s", (int)len, name);
        if (strcmp(name + len, "kB") == 0 && vr_parse_u64(digits, &kb) == 0) {
            memory_huge_add(fs, m, kb);
        }
    }
    vr_sysfs_list_free(&list);
}

static int memory_read(const struct vr_sysfs *fs, struct vireo_memory *ret_memory,
                       struct vr_error *err)
{
    char text[VR_SYSFS_TEXT];
    struct vireo_memory m = {.limit_bytes = UINT64_MAX};
    int r = vr_sysfs_text(fs, "proc/meminfo", text, sizeof(text));
    if (r < 0) {
        return vr_err(err, r, "memory: /proc/meminfo: %s; is /proc mounted?", strerror(-r));
    }
    if (!memory_kb(text, "MemTotal", &m.total_bytes)) {
        return vr_err(err, -EINVAL, "memory: /proc/meminfo has no MemTotal");
    }
    (void)memory_kb(text, "MemFree", &m.free_bytes);
    if (!memory_kb(text, "MemAvailable", &m.available_bytes)) {
        m.available_bytes = m.free_bytes;
    }
    if (!fs->replaced) {
        m.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    }
    if (vr_sysfs_text(fs, "sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text)) >= 0) {
        m.transparent_huge = strstr(text, "[always]") || strstr(text, "[madvise]");
    }
    memory_huge(fs, &m);
    vr_host_cgroup_memory(fs, &m.limit_bytes, &m.limit_used_bytes);
    *ret_memory = m;
    return 0;
}

/* After the processors: counts those that are in the list. */
static int memory_read_nodes(const struct vr_sysfs *fs, struct vireo_platform *host,
                             struct vr_error *err)
{
    struct vireo_cpuset online = {.bits = NULL};
    int r = vr_sysfs_cpus(fs, "sys/devices/system/node/online", &online);
    if (r == -ENOMEM) {
        return vr_err(err, r, "memory nodes: no memory");
    }
    uint32_t count = r < 0 ? 0 : vireo_cpuset_count(&online);
    struct vireo_node *nodes = vr_zalloc_array(count, sizeof(*nodes));
    if (!nodes) {
        vireo_cpuset_fini(&online);
        return vr_err(err, -ENOMEM, "memory nodes: no memory");
    }
    uint32_t n = 0;
    for (uint32_t i = vireo_cpuset_next(&online, 0); n < count;
         i = vireo_cpuset_next(&online, i + 1)) {
        char text[4096];
        struct vireo_node *node = &nodes[n++];
        node->id = i;
        if (vr_sysfs_text(fs, VR_SYSFS_AT("sys/devices/system/node/node%u/meminfo", i), text,
                          sizeof(text)) >= 0) {
            (void)memory_kb(text, "MemTotal", &node->total_bytes);
            (void)memory_kb(text, "MemFree", &node->free_bytes);
        }
        for (uint32_t c = 0; c < host->cpu.count; c++) {
            node->cpu_count += host->cpu.list[c].node == i;
        }
    }
    vireo_cpuset_fini(&online);
    host->nodes = nodes;
    host->node_count = count;
    host->numa = count > 1;
    return 0;
}

int vr_host_read_memory(const char *root, struct vireo_memory *ret_memory, struct vr_error *err)
{
    struct vr_sysfs fs;
    int r = vr_sysfs_open(root, &fs, err);
    if (r == 0) {
        r = memory_read(&fs, ret_memory, err);
        vr_sysfs_close(&fs);
    }
    return r;
}

int vr_host_read_nodes(const char *root, struct vireo_platform *host, struct vr_error *err)
{
    struct vr_sysfs fs;
    int r = vr_sysfs_open(root, &fs, err);
    if (r == 0) {
        r = memory_read_nodes(&fs, host, err);
        vr_sysfs_close(&fs);
    }
    return r;
}

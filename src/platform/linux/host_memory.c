/* Memory and its nodes: /proc/meminfo (proc(5)), /sys/kernel/mm/hugepages and
 * /sys/devices/system/node (Linux Documentation/ABI: sysfs-kernel-mm-hugepages,
 * sysfs-devices-node).
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/text.h"
#include "platform/host.h"
#include "platform/hostfile.h"

#include <dirent.h>
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

static void memory_huge_add(const char *root, struct vireo_memory *m, uint64_t kb)
{
    struct vireo_huge_pages page;
    uint32_t at = 0;
    if (m->huge_count == VIREO_HUGE_SIZES || kb == 0 || !vr_mul_ok(kb, 1024, &page.page_bytes) ||
        vr_hostfile_u64(&page.total, root, "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
                        (unsigned long long)kb) < 0) {
        return;
    }
    if (vr_hostfile_u64(&page.free, root,
                        "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
                        (unsigned long long)kb) < 0) {
        page.free = 0;
    }
    while (at < m->huge_count && m->huge[at].page_bytes < page.page_bytes) {
        at++;
    }
    memmove(&m->huge[at + 1], &m->huge[at], (m->huge_count - at) * sizeof(page));
    m->huge[at] = page;
    m->huge_count++;
}

static void memory_huge(const char *root, struct vireo_memory *m)
{
    char path[VR_HOSTFILE_PATH];
    struct dirent *entry;
    int n = snprintf(path, sizeof(path), "%s/sys/kernel/mm/hugepages", root);
    DIR *dir = n > 0 && (size_t)n < sizeof(path) ? opendir(path) : NULL;
    while (dir && (entry = readdir(dir))) {
        static const char before[] = "hugepages-";
        const char *name = entry->d_name;
        char digits[24];
        uint64_t kb;
        if (strncmp(name, before, strlen(before)) != 0) {
            continue;
        }
        name += strlen(before);
        size_t len = strspn(name, "0123456789");
        snprintf(digits, sizeof(digits), "%.*s", (int)len, name);
        if (strcmp(name + len, "kB") == 0 && vr_parse_u64(digits, &kb) == 0) {
            memory_huge_add(root, m, kb);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

int vr_host_read_memory(const char *root, struct vireo_memory *ret_memory, struct vr_error *err)
{
    char text[16384];
    struct vireo_memory m = {.limit_bytes = UINT64_MAX};
    int r = vr_hostfile_text(text, sizeof(text), root, "/proc/meminfo");
    if (r < 0) {
        return vr_err(err, r, "memory: %.100s/proc/meminfo: %s; is /proc mounted?", root,
                      strerror(-r));
    }
    if (!memory_kb(text, "MemTotal", &m.total_bytes)) {
        return vr_err(err, -EINVAL, "memory: %.100s/proc/meminfo has no MemTotal", root);
    }
    (void)memory_kb(text, "MemFree", &m.free_bytes);
    if (!memory_kb(text, "MemAvailable", &m.available_bytes)) {
        m.available_bytes = m.free_bytes;
    }
    if (!*root) {
        m.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    }
    if (vr_hostfile_text(text, sizeof(text), root, "/sys/kernel/mm/transparent_hugepage/enabled") >=
        0) {
        m.transparent_huge = strstr(text, "[always]") || strstr(text, "[madvise]");
    }
    memory_huge(root, &m);
    vr_host_cgroup_memory(root, &m.limit_bytes, &m.limit_used_bytes);
    *ret_memory = m;
    return 0;
}

/* After the processors: counts those that are in the list. */
int vr_host_read_nodes(const char *root, struct vireo_platform *host, struct vr_error *err)
{
    struct vireo_cpuset online = {.bits = NULL};
    int r = vr_hostfile_cpus(&online, root, "/sys/devices/system/node/online");
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
        if (vr_hostfile_text(text, sizeof(text), root, "/sys/devices/system/node/node%u/meminfo",
                             i) >= 0) {
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

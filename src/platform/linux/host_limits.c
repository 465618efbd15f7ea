/*
 * What of the host this process may use: sched_getaffinity(2) by its bare system call, whose mask
 * may be of any size, and cgroup v2 (Linux Documentation/admin-guide/cgroup-v2.rst, "CPU Interface
 * Files", "Memory Interface Files").
 */
#include "base/bits.h"
#include "base/text.h"
#include "platform/host.h"
#include "platform/sysfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int vr_host_affinity(struct vireo_cpuset *ret_set)
{
    /* The kernel refuses masks that are shorter than its own, with EINVAL. */
    for (size_t size = 128; size <= VIREO_CPU_MAX / 8; size *= 2) {
        uint64_t *bits = calloc(1, size);
        if (!bits) {
            return -ENOMEM;
        }
        long got = syscall(SYS_sched_getaffinity, 0, size, bits);
        if (got > 0) {
            *ret_set = (struct vireo_cpuset){.bits = bits, .words = (uint32_t)(size / 8)};
            return 0;
        }
        int r = got < 0 ? -errno : -EINVAL;
        free(bits);
        if (r != -EINVAL) {
            return r;
        }
    }
    return -EINVAL;
}

/* Where this process's v2 group is, below the root of files: "sys/fs/cgroup/user.slice". */
static bool limits_group(const struct vr_sysfs *fs, char *ret_path, size_t size,
                         size_t *ret_mount_len)
{
    char text[VR_SYSFS_TEXT];
    /* Alone, or beside version 1. */
    static const char *const mounts[] = {"sys/fs/cgroup", "sys/fs/cgroup/unified"};
    const char *mount = NULL, *line;
    for (unsigned i = 0; i < VR_COUNT(mounts) && !mount; i++) {
        if (vr_sysfs_exists(fs, VR_SYSFS_AT("%s/cgroup.procs", mounts[i])) &&
            vr_sysfs_exists(fs, VR_SYSFS_AT("%s/cgroup.controllers", mounts[i]))) {
            mount = mounts[i];
        }
    }
    if (!mount || vr_sysfs_text(fs, "proc/self/cgroup", text, sizeof(text)) < 0) {
        return false;
    }
    line = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
    if (!line) {
        return false;
    }
    line = strchr(line, '/');
    int n = snprintf(ret_path, size, "%s%.*s", mount, (int)strcspn(line, "\n"), line);
    *ret_mount_len = strlen(mount);
    /* A group outside of our namespace shows as "/../..". */
    return n > 0 && (size_t)n < size && !strstr(ret_path, "/..");
}

/* Call fn for the group at @path and for each above it. */
static void limits_walk(const struct vr_sysfs *fs,
                        void (*fn)(const struct vr_sysfs *fs, const char *dir, void *arg),
                        void *arg)
{
    char dir[512];
    size_t mount_len;
    if (!limits_group(fs, dir, sizeof(dir), &mount_len)) {
        return;
    }
    for (;;) {
        fn(fs, dir, arg);
        char *slash = strrchr(dir, '/');
        if (strlen(dir) <= mount_len || !slash || (size_t)(slash - dir) < mount_len) {
            return;
        }
        *slash = 0;
    }
}

static void limits_cpu(const struct vr_sysfs *fs, const char *dir, void *arg)
{
    uint32_t *milli = arg;
    char text[64];
    uint64_t quota, period, scaled;
    if (vr_sysfs_text(fs, VR_SYSFS_AT("%s/cpu.max", dir), text, sizeof(text)) < 0) {
        return;
    }
    char *blank = strchr(text, ' ');
    if (!blank) {
        return;
    }
    *blank = 0;
    if (vr_parse_u64(text, &quota) < 0 || vr_parse_u64(blank + 1, &period) < 0 || period == 0 ||
        !vr_mul_ok(quota, 1000, &scaled)) {
        return; /* "max" */
    }
    scaled = (scaled + period - 1) / period;
    if (scaled && scaled < UINT32_MAX && (*milli == 0 || scaled < *milli)) {
        *milli = (uint32_t)scaled;
    }
}

void vr_host_cgroup_cpu(const struct vr_sysfs *fs, uint32_t *ret_quota_milli)
{
    uint32_t milli = 0;
    limits_walk(fs, limits_cpu, &milli);
    *ret_quota_milli = milli;
}

struct limits_memory {
    uint64_t limit, used;
};

static void limits_memory(const struct vr_sysfs *fs, const char *dir, void *arg)
{
    struct limits_memory *m = arg;
    uint64_t limit, used;
    if (vr_sysfs_u64(fs, VR_SYSFS_AT("%s/memory.max", dir), UINT64_MAX, &limit) < 0 ||
        limit >= m->limit) {
        return;
    }
    m->limit = limit;
    m->used =
        vr_sysfs_u64(fs, VR_SYSFS_AT("%s/memory.current", dir), UINT64_MAX, &used) < 0 ? 0 : used;
}

void vr_host_cgroup_memory(const struct vr_sysfs *fs, uint64_t *ret_limit, uint64_t *ret_used)
{
    struct limits_memory m = {.limit = UINT64_MAX};
    limits_walk(fs, limits_memory, &m);
    *ret_limit = m.limit;
    *ret_used = m.used;
}

/* Detection over made-up hosts, whole and damaged; where files belong. */
#include "files.h"
#include "test.h"

#include "base/bits.h"
#include "platform/sysfs.h"
#include "vireo/host_thread.h"
#include "vireo/platform.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void damaged_files_are_told_apart(void **state)
{
    struct tree t;
    struct vr_sysfs fs;
    char text[16], fifo[128];
    uint64_t v = 7;
    (void)state;
    tree_make(&t);
    tree_text(&t, "/good", "12\n");
    tree_text(&t, "/empty", "");
    tree_text(&t, "/blank", "\n");
    tree_text(&t, "/huge", "123456789012345678901234567890");
    tree_text(&t, "/exact", "0123456789abcdef");
    tree_data(&t, "/binary", "1\0002", 3);
    tree_data(&t, "/escape", "\033[2J", 4);
    tree_text(&t, "/words", "twelve");
    tree_text(&t, "/dir/file", "1");
    snprintf(fifo, sizeof(fifo), "%s/fifo", t.root);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(vr_sysfs_open(t.root, &fs, NULL), 0);
    assert_int_equal(vr_sysfs_text(&fs, VR_SYSFS_AT("%s", "good"), text, sizeof(text)), 0);
    assert_string_equal(text, "12");
    assert_int_equal(vr_sysfs_text(&fs, "missing", text, sizeof(text)), -ENOENT);
    assert_int_equal(vr_sysfs_text(&fs, "empty", text, sizeof(text)), 0);
    assert_string_equal(text, "");
    assert_int_equal(vr_sysfs_text(&fs, "blank", text, sizeof(text)), 0);
    assert_string_equal(text, "");
    assert_int_equal(vr_sysfs_text(&fs, "huge", text, sizeof(text)), -EFBIG);
    assert_int_equal(vr_sysfs_text(&fs, "exact", text, sizeof(text)), -EFBIG);
    assert_int_equal(vr_sysfs_text(&fs, "binary", text, sizeof(text)), -EILSEQ);
    assert_int_equal(vr_sysfs_text(&fs, "escape", text, sizeof(text)), -EILSEQ);
    assert_int_equal(vr_sysfs_text(&fs, "dir", text, sizeof(text)), -EISDIR);
    assert_int_equal(vr_sysfs_text(&fs, "fifo", text, sizeof(text)), -EINVAL);
    assert_int_equal(vr_sysfs_u64(&fs, "words", UINT64_MAX, &v), -EINVAL);
    assert_int_equal(v, 7);
    assert_int_equal(vr_sysfs_u64(&fs, "good", UINT64_MAX, &v), 0);
    assert_int_equal(v, 12);
    assert_int_equal(vr_sysfs_u64(&fs, "good", 11, &v), -ERANGE);
    assert_int_equal(vr_sysfs_text(&fs, VR_SYSFS_AT("%2000d", 1), text, sizeof(text)), -ENOENT);
    vr_sysfs_close(&fs);
    tree_remove(&t);
}

/* Files of one processor. @cluster of a big.LITTLE host: its L2. */
static void add_cpu(const struct tree *t, unsigned cpu, unsigned package, const char *siblings,
                    const char *cluster, unsigned capacity)
{
    struct {
        const char *name, *text;
    } caches[] = {
        {"index0/level", "1"},
        {"index0/type", "Data"},
        {"index0/size", "32K"},
        {"index0/coherency_line_size", "64"},
        {"index0/ways_of_associativity", "8"},
        {"index0/shared_cpu_list", siblings},
        {"index1/level", "2"},
        {"index1/type", "Unified"},
        {"index1/size", "1024K"},
        {"index1/coherency_line_size", "64"},
        {"index1/shared_cpu_list", cluster},
    };
    char path[200], text[32];
    for (unsigned i = 0; i < VR_COUNT(caches); i++) {
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cache/%s", cpu, caches[i].name);
        tree_text(t, path, caches[i].text);
    }
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/physical_package_id", cpu);
    snprintf(text, sizeof(text), "%u\n", package);
    tree_text(t, path, text);
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
             cpu);
    tree_text(t, path, siblings);
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cpu_capacity", cpu);
    snprintf(text, sizeof(text), "%u\n", capacity);
    tree_text(t, path, text);
}

/* Two packages of two cores of two threads; processor 3 is offline; the second package is slow. A
 * third node has memory only. A cgroup limits its child. */
static void make_host(struct tree *t)
{
    tree_make(t);
    tree_text(t, "/etc/os-release", "NAME=x\nPRETTY_NAME=\"Test Linux 3\"\nVERSION_ID='3.1'\n");
    tree_text(t, "/proc/sys/kernel/osrelease", "6.12.0\n");
    tree_text(t, "/sys/devices/system/cpu/online", "0-2,4-7\n");
    add_cpu(t, 0, 0, "0,2\n", "0-3\n", 1024);
    add_cpu(t, 1, 0, "1,3\n", "0-3\n", 1024);
    add_cpu(t, 2, 0, "0,2\n", "0-3\n", 1024);
    add_cpu(t, 4, 5, "4,6\n", "4-7\n", 400);
    add_cpu(t, 5, 5, "5,7\n", "4-7\n", 400);
    add_cpu(t, 6, 5, "4,6\n", "4-7\n", 400);
    add_cpu(t, 7, 5, "5,7\n", "4-7\n", 400);
    tree_text(t, "/sys/devices/system/node/online", "0-1,8\n");
    tree_text(t, "/sys/devices/system/node/node0/cpulist", "0-3\n");
    tree_text(t, "/sys/devices/system/node/node1/cpulist", "4-7\n");
    tree_text(t, "/sys/devices/system/node/node8/cpulist", "\n");
    tree_text(t, "/sys/devices/system/node/node8/meminfo",
              "Node 8 MemTotal:       2048 kB\nNode 8 MemFree:        1024 kB\n");
    tree_text(t, "/proc/meminfo",
              "MemTotal:       16000 kB\nMemFree:         4000 kB\nMemAvailable:    9000 kB\n");
    tree_text(t, "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    tree_text(t, "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "2\n");
    tree_text(t, "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1\n");
    tree_text(t, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
    tree_text(t, "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500\n");
    tree_text(t, "/proc/self/cgroup", "12:pids:/x\n0::/a.slice/b.scope\n");
    tree_text(t, "/sys/fs/cgroup/cgroup.procs", "1\n");
    tree_text(t, "/sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    tree_text(t, "/sys/fs/cgroup/a.slice/cpu.max", "250000 100000\n");
    tree_text(t, "/sys/fs/cgroup/a.slice/memory.max", "8388608\n");
    tree_text(t, "/sys/fs/cgroup/a.slice/memory.current", "4096\n");
    tree_text(t, "/sys/fs/cgroup/a.slice/b.scope/cpu.max", "max 100000\n");
    tree_text(t, "/sys/fs/cgroup/a.slice/b.scope/memory.max", "max\n");
}

static void another_host_is_read_from_its_files(void **state)
{
    struct tree t;
    struct vireo_platform *h;
    (void)state;
    make_host(&t);
    assert_int_equal(vireo_platform_read(t.root, &h, NULL), 0);
    assert_int_equal(h->os, VIREO_OS_LINUX);
    assert_string_equal(h->os_name, "Test Linux 3");
    assert_string_equal(h->os_version, "3.1");
    assert_string_equal(h->kernel_version, "6.12.0");
    assert_int_equal(h->cpu.count, 7);
    assert_int_equal(h->cpu.packages, 2);
    assert_int_equal(h->cpu.cores, 4);
    assert_int_equal(h->cpu.threads_per_core, 2);
    assert_int_equal(h->cpu.quota_milli, 2500);
    assert_int_equal(h->cpu.usable_count, 3);
    assert_int_equal(h->cpu.list[2].id, 2);
    assert_int_equal(h->cpu.list[2].core, h->cpu.list[0].core);
    assert_int_equal(h->cpu.list[3].id, 4);
    assert_int_equal(h->cpu.list[3].node, 1);
    assert_int_equal(h->cpu.list[3].kind, VIREO_CORE_LITTLE);
    assert_int_equal(h->cpu.list[0].kind, VIREO_CORE_BIG);
    assert_int_equal(h->cpu.line_bytes, 64);
    assert_int_equal(h->cpu.cache_count, 2);
    assert_int_equal(h->cpu.caches[0].count, 4);
    assert_int_equal(h->cpu.caches[0].size_bytes, 32768);
    assert_int_equal(h->cpu.caches[0].kind, VIREO_CACHE_DATA);
    assert_int_equal(h->cpu.caches[1].count, 2);
    assert_int_equal(h->cpu.caches[1].shared_by, 4);
    assert_true(h->numa);
    assert_int_equal(h->node_count, 3);
    assert_int_equal(h->nodes[1].cpu_count, 4);
    assert_int_equal(h->nodes[2].id, 8);
    assert_int_equal(h->nodes[2].cpu_count, 0);
    assert_int_equal(h->nodes[2].total_bytes, 2048 * 1024);
    assert_int_equal(h->memory.total_bytes, 16000 * 1024);
    assert_int_equal(h->memory.available_bytes, 9000 * 1024);
    assert_int_equal(h->memory.limit_bytes, 8388608);
    assert_int_equal(h->memory.limit_used_bytes, 4096);
    assert_true(h->memory.transparent_huge);
    assert_int_equal(h->memory.huge_count, 2);
    assert_int_equal(h->memory.huge[0].page_bytes, 2 << 20);
    assert_int_equal(h->memory.huge[0].free, 500);
    assert_int_equal(h->memory.huge[1].total, 2);
    assert_int_equal(h->cpu.virt, VIREO_UNKNOWN);
    vireo_platform_free(h);
    vireo_platform_free(NULL);
    tree_remove(&t);
}

static void kinds_of_linux_are_told_apart(void **state)
{
    struct tree t;
    struct vireo_platform *h;
    (void)state;
    make_host(&t);
    tree_text(&t, "/etc/os-release", "");
    tree_text(&t, "/system/build.prop",
              "ro.build.version.release=14\nro.product.model=Thing Six\n");
    assert_int_equal(vireo_platform_read(t.root, &h, NULL), 0);
    assert_int_equal(h->os, VIREO_OS_ANDROID);
    assert_string_equal(h->os_name, "Thing Six");
    assert_string_equal(h->os_version, "14");
    vireo_platform_free(h);
    tree_text(&t, "/system/etc/param/ohos.para", "const.ohos.fullname=OpenHarmony-5.0\n");
    assert_int_equal(vireo_platform_read(t.root, &h, NULL), 0);
    assert_int_equal(h->os, VIREO_OS_HARMONYOS);
    vireo_platform_free(h);
    tree_remove(&t);
}

/* Each file of the host in turn becomes something else: detection may fail with a message, and may
 * know less, but not crash, hang, leak (ASan) or believe nonsense. */
static void damaged_hosts_do_no_harm(void **state)
{
    static const char *const files[] = {
        "/etc/os-release",
        "/sys/devices/system/cpu/online",
        "/sys/devices/system/cpu/cpu0/cache/index0/level",
        "/sys/devices/system/cpu/cpu0/cache/index0/size",
        "/sys/devices/system/cpu/cpu0/cache/index1/shared_cpu_list",
        "/sys/devices/system/cpu/cpu4/topology/physical_package_id",
        "/sys/devices/system/cpu/cpu4/topology/thread_siblings_list",
        "/sys/devices/system/cpu/cpu4/cpu_capacity",
        "/sys/devices/system/node/online",
        "/sys/devices/system/node/node0/cpulist",
        "/sys/devices/system/node/node8/meminfo",
        "/proc/meminfo",
        "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
        "/proc/self/cgroup",
        "/sys/fs/cgroup/a.slice/cpu.max",
        "/sys/fs/cgroup/a.slice/memory.max",
    };
    char *huge = malloc(1 << 20);
    struct tree t;
    struct vr_sysfs fs;
    (void)state;
    assert_non_null(huge);
    make_host(&t);
    assert_int_equal(vr_sysfs_open(t.root, &fs, NULL), 0);
    memset(huge, '9', 1 << 20);
    for (unsigned i = 0; i < VR_COUNT(files); i++) {
        char whole[256], full[300];
        snprintf(full, sizeof(full), "%s%s", t.root, files[i]);
        assert_true(vr_sysfs_text(&fs, files[i] + 1, whole, sizeof(whole)) == 0);
        for (unsigned how = 0; how < 7; how++) {
            struct vireo_platform *h = NULL;
            struct vr_error err = {0};
            switch (how) {
            case 0:
                assert_int_equal(unlink(full), 0);
                break;
            case 1:
                tree_text(&t, files[i], "");
                break;
            case 2:
                tree_data(&t, files[i], huge, 1 << 20);
                break;
            case 3:
                tree_data(&t, files[i], "\0\1\2\xff", 4);
                break;
            case 4:
                tree_text(&t, files[i], "-1\n");
                break;
            case 5:
                tree_text(&t, files[i], "18446744073709551615\n");
                break;
            default:
                assert_int_equal(unlink(full), 0);
                assert_int_equal(mkdir(full, 0700), 0);
                break;
            }
            int r = vireo_platform_read(t.root, &h, &err);
            bool vital = strstr(files[i], "cpu/online") || strcmp(files[i], "/proc/meminfo") == 0;
            if (r < 0) {
                assert_true(vital);
                assert_null(h);
                assert_int_equal(err.code, r);
                assert_true(strlen(err.msg) > 20);
            } else {
                assert_false(vital);
                assert_int_equal(h->cpu.count, 7);
                assert_in_range(h->cpu.packages, 1, 3);
                assert_in_range(h->cpu.cores, 4, 7);
                assert_in_range(h->cpu.usable_count, 1, 7);
                vireo_platform_free(h);
            }
            (void)remove(full);
            tree_text(&t, files[i], whole);
        }
    }
    vr_sysfs_close(&fs);
    tree_remove(&t);
    free(huge);
}

static void paths_follow_xdg(void **state)
{
    char path[256], small[8];
    struct vr_error err;
    (void)state;
    assert_int_equal(setenv("HOME", "/home/u", 1), 0);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_RUNTIME_DIR");
    setenv("XDG_DATA_HOME", "relative/is/ignored", 1);
    setenv("XDG_CACHE_HOME", "/var/c", 1);
    assert_int_equal(vireo_platform_path(VIREO_PATH_CONFIG, path, sizeof(path), NULL), 0);
    assert_string_equal(path, "/home/u/.config/vireo");
    assert_int_equal(vireo_platform_path(VIREO_PATH_DATA, path, sizeof(path), NULL), 0);
    assert_string_equal(path, "/home/u/.local/share/vireo");
    assert_int_equal(vireo_platform_path(VIREO_PATH_CACHE, path, sizeof(path), NULL), 0);
    assert_string_equal(path, "/var/c/vireo");
    assert_int_equal(vireo_platform_path(VIREO_PATH_RUNTIME, path, sizeof(path), NULL), 0);
    assert_string_equal(path, "/var/c/vireo/run");
    unsetenv("XDG_CACHE_HOME");
    assert_int_equal(vireo_platform_path(VIREO_PATH_RUNTIME, path, sizeof(path), NULL), 0);
    assert_string_equal(path, "/home/u/.cache/vireo/run");
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    assert_int_equal(vireo_platform_path(VIREO_PATH_RUNTIME, path, sizeof(path), NULL), 0);
    assert_string_equal(path, "/run/user/7/vireo");
    assert_int_equal(vireo_platform_path(VIREO_PATH_RUNTIME, small, sizeof(small), &err),
                     -ENAMETOOLONG);
    assert_int_equal(vireo_platform_path((enum vireo_path)9, path, sizeof(path), &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files_are_told_apart),
        cmocka_unit_test(another_host_is_read_from_its_files),
        cmocka_unit_test(kinds_of_linux_are_told_apart),
        cmocka_unit_test(damaged_hosts_do_no_harm),
        cmocka_unit_test(paths_follow_xdg),
    };
    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}

/* The texts in which a host describes itself: lists of processors, pci.ids, PCI addresses, and
 * files of a recorded host. The first byte of the input says which; all that is accepted has to be
 * what it says. */
#include "fuzz.h"

#include "base/bits.h"
#include "platform/pci_ids.h"
#include "vireo/host_pci.h"
#include "vireo/host_thread.h"
#include "vireo/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A set survives its own text. */
static void check_cpus(const char *text)
{
    struct vireo_cpuset set = {.bits = NULL}, again = {.bits = NULL};
    if (vireo_cpuset_parse(text, &set) < 0) {
        return;
    }
    uint32_t count = vireo_cpuset_count(&set), seen = 0;
    for (uint32_t i = vireo_cpuset_next(&set, 0); i != UINT32_MAX;
         i = vireo_cpuset_next(&set, i + 1)) {
        KEEPS(i < VIREO_CPU_MAX && vireo_cpuset_has(&set, i));
        seen++;
    }
    KEEPS(seen == count);
    size_t len = (size_t)vireo_cpuset_format(&set, NULL, 0);
    char *list = malloc(len + 1);
    KEEPS(list && (size_t)vireo_cpuset_format(&set, list, len + 1) == len);
    KEEPS(vireo_cpuset_parse(list, &again) == 0 && vireo_cpuset_count(&again) == count);
    for (uint32_t i = 0; i < set.words; i++) {
        KEEPS(set.bits[i] == (i < again.words ? again.bits[i] : 0));
    }
    free(list);
    vireo_cpuset_fini(&set);
    vireo_cpuset_fini(&again);
}

static void check_address(const char *text)
{
    struct vireo_pci_addr addr, again;
    struct vr_error err = {0};
    char full[VIREO_PCI_ADDR_SIZE];
    int r = vireo_pci_addr_parse(text, &addr, &err);
    if (r < 0) {
        KEEPS((r == -EINVAL || r == -ERANGE) && err.msg[0]);
        return;
    }
    KEEPS(addr.device < 32 && addr.function < 8);
    KEEPS(vireo_pci_addr_parse(vireo_pci_addr_format(addr, full), &again, &err) == 0);
    KEEPS(vireo_pci_addr_compare(addr, again) == 0);
}

static void check_name(const char *name)
{
    KEEPS(!name || strlen(name) > 0);
}

static void check_ids(const void *data, size_t len)
{
    struct vr_pci_ids *ids;
    if (vr_pci_ids_parse(data, len, &ids) < 0) {
        return;
    }
    static const uint16_t some[] = {0, 1, 0x1af4, 0x8086, 0x10c9, 0xffff};
    for (size_t i = 0; i < VR_COUNT(some); i++) {
        check_name(vr_pci_ids_vendor(ids, some[i]));
        check_name(vr_pci_ids_class(ids, (uint32_t)some[i] << 8));
        for (size_t k = 0; k < VR_COUNT(some); k++) {
            check_name(vr_pci_ids_device(ids, some[i], some[k]));
            check_name(vr_pci_ids_subsystem(ids, some[i], some[k], some[k], some[i]));
        }
    }
    vr_pci_ids_free(ids);
}

/* The files of a small host. */
static const struct {
    const char *path, *text;
} host_files[] = {
    {"sys/devices/system/cpu/online", "0-1\n"},
    {"proc/meminfo", "MemTotal:       1024 kB\nMemFree:   512 kB\nMemAvailable:  600 kB\n"},
    {"sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0-1\n"},
    {"sys/devices/system/cpu/cpu1/topology/physical_package_id", "1\n"},
    {"sys/devices/system/cpu/cpu0/cache/index0/shared_cpu_list", "0,1\n"},
    {"sys/devices/system/cpu/cpu0/cache/index0/size", "32K\n"},
    {"sys/devices/system/cpu/cpu0/cache/index0/level", "1\n"},
    {"sys/devices/system/node/online", "0\n"},
    {"sys/devices/system/node/node0/cpulist", "0-1\n"},
    {"sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:  1024 kB\nNode 0 MemFree: 1 kB\n"},
    {"etc/os-release", "PRETTY_NAME=\"A System 1\"\nVERSION_ID='1'\n"},
    {"proc/self/cgroup", "0::/a/b\n"},
    {"sys/fs/cgroup/cgroup.controllers", "cpu memory\n"},
    {"sys/fs/cgroup/cgroup.procs", "1\n"},
    {"sys/fs/cgroup/a/cpu.max", "150000 100000\n"},
    {"sys/fs/cgroup/a/memory.max", "1048576\n"},
    {"sys/bus/pci/devices/0000:00:01.0/vendor", "0x8086\n"},
    {"sys/bus/pci/devices/0000:00:01.0/device", "0x10c9\n"},
    {"sys/bus/pci/devices/0000:00:01.0/class", "0x020000\n"},
    {"sys/bus/pci/devices/0000:00:01.0/resource",
     "0x00000000f6000000 0x00000000f6ffffff 0x0000000000040200\n"},
    {"sys/bus/pci/devices/0000:00:01.0/numa_node", "-1\n"},
    {"sys/bus/pci/devices/0000:00:01.0/driver_override", "(null)\n"},
};

static void put(const char *root, unsigned i, const void *data, size_t len)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, host_files[i].path);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        KEEPS(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    KEEPS(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    close(fd);
}

/* The host is made once; an input changes one file of it, which is put back. */
static char host_root[] = "/tmp/vireo-fuzz-XXXXXX";
static bool host_made;

static void host_remove(void)
{
    for (unsigned i = 0; i < VR_COUNT(host_files); i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", host_root, host_files[i].path);
        unlink(path);
        for (char *slash = strrchr(path, '/'); slash > path + strlen(host_root);
             slash = strrchr(path, '/')) {
            *slash = 0;
            rmdir(path);
        }
    }
    rmdir(host_root);
}

static void host_make(void)
{
    if (!host_made) {
        KEEPS(mkdtemp(host_root));
        host_made = true;
        atexit(host_remove);
        for (unsigned i = 0; i < VR_COUNT(host_files); i++) {
            put(host_root, i, host_files[i].text, strlen(host_files[i].text));
        }
    }
}

static void check_host(unsigned which, const uint8_t *data, size_t len)
{
    struct vireo_pci_options o = {.root = host_root, .ids_path = ""};
    struct vireo_platform *host;
    struct vireo_pci *pci;
    struct vr_error err = {0};
    host_make();
    put(host_root, which, data, len);
    int r = vireo_platform_read(host_root, &host, &err);
    if (r == 0) {
        KEEPS(host->cpu.count && host->cpu.usable_count && host->memory.total_bytes);
        KEEPS(memchr(host->os_name, 0, sizeof(host->os_name)));
        vireo_platform_free(host);
    } else {
        KEEPS(err.code == r && err.msg[0]);
    }
    r = vireo_pci_scan(&o, &pci, &err);
    if (r == 0) {
        KEEPS(vireo_pci_count(pci) == 1 || vireo_pci_problem(pci, 0));
        vireo_pci_destroy(pci);
    } else {
        KEEPS(err.code == r && err.msg[0]);
    }
    put(host_root, which, host_files[which].text, strlen(host_files[which].text));
}

enum { FUZZ_CPUS, FUZZ_ADDRESS, FUZZ_IDS, FUZZ_HOST };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    char *text = malloc(len);
    KEEPS(text);
    memcpy(text, data + 1, len - 1);
    text[len - 1] = 0;
    switch (data[0]) {
    case FUZZ_CPUS:
        check_cpus(text);
        break;
    case FUZZ_ADDRESS:
        check_address(text);
        break;
    case FUZZ_IDS:
        check_ids(text, len - 1);
        break;
    default:
        check_host((data[0] - (unsigned)FUZZ_HOST) % VR_COUNT(host_files), data + 1, len - 1);
        break;
    }
    free(text);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    static const struct {
        uint8_t what;
        const char *text;
    } seeds[] = {
        {FUZZ_CPUS, "0-3,8,16-31:2/4,1023,4096-4099"},
        {FUZZ_CPUS, "0"},
        {FUZZ_ADDRESS, "10000:e1:1f.7"},
        {FUZZ_ADDRESS, "3:0"},
        {FUZZ_IDS,
         "8086  Intel\n\t10c9  82576\n\t\t8086 10c9  Card\nC 02  Network\n\t00  Ethernet\n"},
        {FUZZ_IDS, "# comment\n1af4  Red Hat\n\n\tffff  x\nC 00  Unclassified\n\t\t00  odd\n"},
    };
    uint8_t what;
    const char *text;
    if (n < VR_COUNT(seeds)) {
        what = seeds[n].what;
        text = seeds[n].text;
    } else if (n - VR_COUNT(seeds) < VR_COUNT(host_files)) {
        what = (uint8_t)(FUZZ_HOST + n - VR_COUNT(seeds));
        text = host_files[n - VR_COUNT(seeds)].text;
    } else {
        return 0;
    }
    if (strlen(text) + 1 > cap) {
        return 0;
    }
    buf[0] = what;
    memcpy(buf + 1, text, strlen(text));
    return strlen(text) + 1;
}

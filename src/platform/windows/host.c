/*
 * This host: Windows' versions (RtlGetVersion, whose answer no manifest changes; the registry key
 * that winver.exe shows), processors, NUMA nodes, memory. MSDN: RtlGetVersion,
 * GetLogicalProcessorInformationEx, GetNumaAvailableMemoryNodeEx, GlobalMemoryStatusEx,
 * GetLargePageMinimum, IsProcessorFeaturePresent.
 */
#include "platform/host.h"
#include "base/alloc.h"
#include "platform/windows/job.h"
#include "platform/windows/topology.h"
#include "platform/windows/win.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    HOST_WINDOWS_11 = 22000, /* its first build; the registry calls it 10 */
    HOST_TRIES = 1000,
};

#ifndef PF_SECOND_LEVEL_ADDRESS_TRANSLATION
#define PF_SECOND_LEVEL_ADDRESS_TRANSLATION 20
#endif

enum vireo_os vireo_host_os(void)
{
    return VIREO_OS_WINDOWS;
}

static void host_registry(const wchar_t *name, char *ret_text, size_t size)
{
    wchar_t wide[128] = L"";
    DWORD len = sizeof(wide);
    if (RegGetValueW(HKEY_LOCAL_MACHINE, L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", name,
                     RRF_RT_REG_SZ, NULL, wide, &len) == ERROR_SUCCESS) {
        vr_win_utf8(wide, ret_text, size);
    }
}

int vr_host_read_os(const char *root, struct vireo_platform *host, struct vr_error *err)
{
    typedef LONG(WINAPI * version_fn)(PRTL_OSVERSIONINFOW);
    typedef const char *(__cdecl * wine_fn)(void);
    version_fn version = (version_fn)vr_win_proc(L"ntdll.dll", "RtlGetVersion");
    wine_fn wine = (wine_fn)vr_win_proc(L"ntdll.dll", "wine_get_version");
    RTL_OSVERSIONINFOW os = {.dwOSVersionInfoSize = sizeof(os)};
    char product[64] = "";
    DWORD revision = 0, len = sizeof(revision);
    if (*root) {
        return vr_err(err, -ENOTSUP,
                      "host: files of another host are read on Linux only, not on Windows");
    }
    host->os = VIREO_OS_WINDOWS;
    if (version) {
        version(&os);
    }
    RegGetValueW(HKEY_LOCAL_MACHINE, L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", L"UBR",
                 RRF_RT_REG_DWORD, NULL, &revision, &len);
    host_registry(L"ProductName", product, sizeof(product));
    host_registry(L"DisplayVersion", host->os_version, sizeof(host->os_version));
    char *ten = strstr(product, "Windows 10");
    if (ten && os.dwBuildNumber >= HOST_WINDOWS_11) {
        ten[strlen("Windows 1")] = '1';
    }
    snprintf(host->os_name, sizeof(host->os_name), wine ? "%s (Wine %.20s)" : "%s%.0s",
             product[0] ? product : "Windows", wine ? wine() : "");
    snprintf(host->kernel_version, sizeof(host->kernel_version), "%lu.%lu.%lu.%lu",
             os.dwMajorVersion, os.dwMinorVersion, os.dwBuildNumber, revision);
    return 0;
}

void vr_host_correct_cpu(struct vr_cpu_id *id)
{
    if (id->virt == VIREO_YES && id->nested_paging == VIREO_UNKNOWN) {
        id->nested_paging =
            IsProcessorFeaturePresent(PF_SECOND_LEVEL_ADDRESS_TRANSLATION) ? VIREO_YES : VIREO_NO;
    }
}

static int host_usable(struct vireo_cpus *cpus, struct vr_error *err)
{
    struct vireo_cpuset mine;
    USHORT count = 0;
    struct vireo_cpu *list = (struct vireo_cpu *)(uintptr_t)cpus->list;
    int r = vireo_place_get(&mine, err);
    if (r < 0) {
        return r;
    }
    /* With more groups than one, threads begin in one and may go to the others. */
    bool one_group = !GetProcessGroupAffinity(GetCurrentProcess(), &count, NULL) && count <= 1;
    for (uint32_t i = 0; i < cpus->count; i++) {
        uint32_t group = vireo_cpuset_next(&mine, 0) / 64;
        list[i].usable =
            vireo_cpuset_has(&mine, list[i].id) || (!one_group && list[i].id / 64 != group);
        cpus->usable_count += list[i].usable;
    }
    vireo_cpuset_fini(&mine);
    cpus->quota_milli = vr_win_job_cpu_milli(cpus->count);
    uint32_t quota = (cpus->quota_milli + 999) / 1000;
    if (quota && quota < cpus->usable_count) {
        cpus->usable_count = quota;
    }
    cpus->usable_count = cpus->usable_count ? cpus->usable_count : 1;
    return 0;
}

int vr_host_read_cpus(const char *root, struct vireo_platform *host, struct vr_error *err)
{
    (void)root;
    DWORD len = 0;
    void *records = NULL;
    BOOL done = FALSE;
    /* A processor may come between asking for the size and asking for the list. */
    for (unsigned i = 0; i < 4 && !done; i++) {
        free(records);
        records = vr_zalloc(len);
        if (!records) {
            return vr_err(err, -ENOMEM, "processors: no memory");
        }
        done = GetLogicalProcessorInformationEx(RelationAll, records, &len);
        if (!done && GetLastError() != ERROR_INSUFFICIENT_BUFFER) {
            break;
        }
    }
    int r = done ? vr_win_topology(records, len, &host->cpu, err)
                 : vr_win_err(err, GetLastError(), "processors");
    free(records);
    return r < 0 ? r : host_usable(&host->cpu, err);
}

int vr_host_read_nodes(const char *root, struct vireo_platform *host, struct vr_error *err)
{
    (void)root;
    ULONG highest = 0;
    GetNumaHighestNodeNumber(&highest);
    struct vireo_node *nodes = vr_zalloc_array((size_t)highest + 1, sizeof(*nodes));
    if (!nodes) {
        return vr_err(err, -ENOMEM, "memory nodes: no memory");
    }
    host->nodes = nodes;
    for (ULONG i = 0; i <= highest; i++) {
        struct vireo_node node = {.id = i};
        ULONGLONG available = 0;
        for (uint32_t c = 0; c < host->cpu.count; c++) {
            node.cpu_count += host->cpu.list[c].node == i;
        }
        bool has_memory = GetNumaAvailableMemoryNodeEx((USHORT)i, &available);
        node.free_bytes = available;
        if (has_memory || node.cpu_count) { /* numbers may have gaps */
            nodes[host->node_count++] = node;
        }
    }
    host->numa = host->node_count > 1;
    return 0;
}

int vr_host_read_memory(const char *root, struct vireo_memory *ret_memory, struct vr_error *err)
{
    (void)root;
    MEMORYSTATUSEX status = {.ullTotalPhys = 0};
    struct vireo_memory m = {.page_bytes = vr_win_page(), .limit_bytes = UINT64_MAX};
    /* Wine answers with zeroes, the length too, while another thread asks for the first time. */
    for (unsigned i = 0; i < HOST_TRIES && status.ullTotalPhys == 0; i++) {
        status.dwLength = sizeof(status);
        if (!GlobalMemoryStatusEx(&status)) {
            return vr_win_err(err, GetLastError(), "memory");
        }
        SwitchToThread();
    }
    m.total_bytes = status.ullTotalPhys;
    /* What standby pages are, Windows counts as available, and tells no other number. */
    m.free_bytes = status.ullAvailPhys;
    m.available_bytes = status.ullAvailPhys;
    uint64_t large = GetLargePageMinimum();
    if (large) { /* none are set aside: as many as there may be, where memory is in one piece */
        m.huge[m.huge_count++] = (struct vireo_huge_pages){
            .page_bytes = large, .total = m.total_bytes / large, .free = m.free_bytes / large};
    }
    vr_win_job_memory(&m.limit_bytes, &m.limit_used_bytes);
    *ret_memory = m;
    return 0;
}

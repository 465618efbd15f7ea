/* Memory by sysctl(3) and host_statistics64() of Mach (mach/vm_statistics.h). Darwin has no NUMA
 * nodes, and sets no huge pages aside. */
#include "platform/darwin/sysctl.h"
#include "platform/host.h"

#include <errno.h>
#include <mach/mach.h>

int vr_host_read_memory(const char *root, struct vireo_memory *ret_memory, struct vr_error *err)
{
    struct vireo_memory m = {.limit_bytes = UINT64_MAX};
    vm_statistics64_data_t stats;
    mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
    vm_size_t page;
    mach_port_t host = mach_host_self();
    (void)root; /* refused by vr_host_read_os */
    kern_return_t r = host_page_size(host, &page);
    if (r == KERN_SUCCESS) {
        r = host_statistics64(host, HOST_VM_INFO64, (host_info64_t)&stats, &count);
    }
    mach_port_deallocate(mach_task_self(), host);
    if (r != KERN_SUCCESS || !vr_sysctl_u64("hw.memsize", &m.total_bytes)) {
        return vr_err(err, -EACCES, "memory: the kernel does not tell: %s; a sandbox?",
                      r == KERN_SUCCESS ? "hw.memsize" : mach_error_string(r));
    }
    m.page_bytes = vm_page_size; /* a program's own; Rosetta's differs from the kernel's */
    m.free_bytes = (uint64_t)stats.free_count * page; /* with what was read ahead */
    /* And what can be dropped: pages of files that are not mapped, and purgeable memory. */
    m.available_bytes =
        m.free_bytes + ((uint64_t)stats.external_page_count + stats.purgeable_count) * page;
    if (m.available_bytes > m.total_bytes) {
        m.available_bytes = m.total_bytes; /* the counts overlap a little */
    }
    *ret_memory = m;
    return 0;
}

int vr_host_read_nodes(const char *root, struct vireo_platform *host, struct vr_error *err)
{
    (void)root;
    (void)err;
    host->nodes = NULL;
    host->node_count = 0;
    host->numa = false;
    return 0;
}

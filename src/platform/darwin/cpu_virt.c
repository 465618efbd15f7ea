/* Whether guests can run in hardware is for Darwin's kernel to say: kern.hv_support, which
 * "Hypervisor" (Apple's developer documentation) has for this question. It asks for a second stage
 * of translation. */
#include "platform/darwin/sysctl.h"
#include "platform/host.h"

void vr_host_correct_cpu(struct vr_cpu_id *id)
{
    uint64_t support;
    if (vr_sysctl_u64("kern.hv_support", &support)) {
        id->virt = support ? VIREO_YES : VIREO_NO;
        id->nested_paging = support ? VIREO_YES : VIREO_NO;
    }
}

/* A processor that Vireo has no questions for: nothing is known of it. */
#include "platform/host.h"

void vr_cpu_identify(struct vr_cpu_id *ret_id)
{
    *ret_id = (struct vr_cpu_id){.virt_name = ""};
}

/* What Windows can do, by doing it. */
#include "platform/caps.h"
#include "platform/windows/whpx.h"

#include <stdio.h>

void vr_caps_host(struct vireo_caps *c)
{
    vr_whpx_try(NULL, &c->whpx);
    snprintf(c->kvm.detail, sizeof(c->kvm.detail), "KVM is Linux's");
    snprintf(c->hvf.detail, sizeof(c->hvf.detail), "Hypervisor.framework is macOS's");
    snprintf(c->io_uring.detail, sizeof(c->io_uring.detail), "io_uring is Linux's");
    snprintf(c->protection_keys.detail, sizeof(c->protection_keys.detail),
             "Windows gives programs no protection keys");
}

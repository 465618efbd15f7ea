/* What Darwin can do, by doing it: a virtual machine by Hypervisor.framework. What is Linux's or
 * Windows's says so. */
#include "platform/caps.h"
#include "platform/darwin/hvf.h"

#include <stdio.h>

void vr_caps_host(struct vireo_caps *c)
{
    vr_hvf_try(&c->hvf);
    snprintf(c->kvm.detail, sizeof(c->kvm.detail), "KVM is Linux's");
    snprintf(c->whpx.detail, sizeof(c->whpx.detail),
             "the Windows Hypervisor Platform is Windows's");
    snprintf(c->io_uring.detail, sizeof(c->io_uring.detail), "io_uring is Linux's");
    snprintf(c->protection_keys.detail, sizeof(c->protection_keys.detail),
             "Darwin gives programs no protection keys");
}

/* What this host offers to machines, found out by trying. */
#include "control/host.h"
#include "board/catalog.h"
#include "platform/kvm.h"

#include <stdio.h>
#include <string.h>

void vr_host_no_kvm(char *ret_text, size_t size)
{
    const char *guest = vr_catalog_machine(0)->arch, *host = vr_host_cpu();
    if (strcmp(guest, host) != 0) {
        snprintf(ret_text, size, "the guest is %s, this host %s", guest, host);
    } else {
        snprintf(ret_text, size, "this version has no KVM engine");
    }
}

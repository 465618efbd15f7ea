/* The Linux kernel's hypervisor, as seen from outside: is it there, does it answer? */
#ifndef VR_PLATFORM_KVM_H
#define VR_PLATFORM_KVM_H

#include <stdbool.h>

struct vr_kvm_probe {
    bool exists;      /* there is a /dev/kvm */
    int open_error;   /* negative errno of opening it; 0: opened */
    int api;          /* KVM_GET_API_VERSION; 12 is what everybody means; negative errno */
    int create_error; /* negative errno of creating an empty VM; 0: done (and removed again) */
};

/* Ask. On hosts without KVM: exists is false, open_error -ENOTSUP. Takes well under a millisecond.
 */
void vr_kvm_probe(struct vr_kvm_probe *ret_probe);
/* The host's CPU as its kernel calls it: "x86_64". Static. */
const char *vr_host_cpu(void);

#endif

/* The Linux kernel's hypervisor, as seen from outside: is it there, does it run guests? */
#ifndef VR_PLATFORM_KVM_H
#define VR_PLATFORM_KVM_H

#include "vireo/platform.h"
#include <stdint.h>

/* Make a machine with one vCPU and let it run a few instructions, for at most a quarter of a
 * second. @ret_kvm says how far that went. */
void vr_kvm_try(struct vireo_ability *ret_kvm);

/* Does the kernel speak KVM's protocol to us? Makes nothing. */
bool vr_kvm_answers(void);

/* What the guest of that trial is: this host's processor must provide it. */
struct vr_kvm_trial {
    int vm, vcpu;    /* descriptors */
    uint8_t *memory; /* 64 KiB, which no host's page is larger than, from physical address 0 on */
    void *run;       /* struct kvm_run */
};
/* Put the program into memory and set the registers. 0, negative errno, or -ENOTSUP: Vireo has no
 * such program for this processor. */
int vr_kvm_trial_prepare(struct vr_kvm_trial *trial);
/* It left KVM_RUN: 1: and has done all it should; 0: run it again; -EPROTO: something else. */
int vr_kvm_trial_exit(struct vr_kvm_trial *trial);

/* The host's CPU as its kernel calls it: "x86_64". Static. */
const char *vr_host_cpu(void);

#endif

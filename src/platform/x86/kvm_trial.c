/* The trial guest (trial.c) under KVM: linux/kvm.h, Documentation/virt/kvm/api.rst. */
#include "platform/kvm.h"
#include "platform/x86/trial.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

int vr_kvm_trial_prepare(struct vr_kvm_trial *trial)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs = {.rip = VR_TRIAL_AT, .rflags = 2};
    size_t len;
    const uint8_t *code = vr_x86_trial(&len);
    memcpy(trial->memory + VR_TRIAL_AT, code, len);
    if (ioctl(trial->vcpu, KVM_GET_SREGS, &sregs) < 0) {
        return -errno;
    }
    /* After reset CS begins at the top of memory. */
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    if (ioctl(trial->vcpu, KVM_SET_SREGS, &sregs) < 0 ||
        ioctl(trial->vcpu, KVM_SET_REGS, &regs) < 0) {
        return -errno;
    }
    return 0;
}

int vr_kvm_trial_exit(struct vr_kvm_trial *trial)
{
    const struct kvm_run *run = trial->run;
    const uint8_t *data = trial->run;
    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        return run->io.direction == KVM_EXIT_IO_OUT && run->io.port == VR_TRIAL_PORT &&
                       run->io.size == 1 && run->io.count == 1 &&
                       data[run->io.data_offset] == VR_TRIAL_SUM
                   ? 0
                   : -EPROTO;
    case KVM_EXIT_HLT:
        return trial->memory[VR_TRIAL_AT + VR_TRIAL_CELL] == VR_TRIAL_SUM ? 1 : -EPROTO;
    case KVM_EXIT_INTR:
        return 0;
    default:
        return -EPROTO;
    }
}

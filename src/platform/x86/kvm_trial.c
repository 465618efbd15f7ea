/*
 * A guest of a few instructions, in real mode (Intel SDM volume 3A, chapter 21): it adds in a loop,
 * stores to memory, writes its result to port 0x10 and halts. Running it takes a CPU that computes,
 * memory that holds, and exits that come out: what a broken KVM lacks.
 */
#include "platform/kvm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

enum { TRIAL_AT = 0x1000, TRIAL_PORT = 0x10, TRIAL_SUM = 55, TRIAL_CELL = 0x1800 };

static const uint8_t trial_code[] = {
    0x31, 0xc0,                   /* xor ax, ax */
    0xb9, 10,         0,          /* mov cx, 10 */
    0x01, 0xc8,                   /* add ax, cx */
    0xe2, 0xfc,                   /* loop -4 */
    0xa3, 0x00,       0x18,       /* mov [0x1800], ax */
    0x8a, 0x1e,       0x00, 0x18, /* mov bl, [0x1800] */
    0x88, 0xd8,                   /* mov al, bl */
    0xe6, TRIAL_PORT,             /* out 0x10, al */
    0xf4,                         /* hlt */
};

int vr_kvm_trial_prepare(struct vr_kvm_trial *trial)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs = {.rip = TRIAL_AT, .rflags = 2};
    memcpy(trial->memory + TRIAL_AT, trial_code, sizeof(trial_code));
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
        return run->io.direction == KVM_EXIT_IO_OUT && run->io.port == TRIAL_PORT &&
                       run->io.size == 1 && run->io.count == 1 &&
                       data[run->io.data_offset] == TRIAL_SUM
                   ? 0
                   : -EPROTO;
    case KVM_EXIT_HLT:
        return trial->memory[TRIAL_CELL] == TRIAL_SUM ? 1 : -EPROTO;
    case KVM_EXIT_INTR:
        return 0;
    default:
        return -EPROTO;
    }
}

/*
 * A guest of a few instructions, in EL1 with its MMU off (Arm ARM, D8): it adds in a loop, stores
 * to memory, and writes what it reads back to an address where there is none, which comes out.
 * Linux Documentation/virt/kvm/api.rst, 4.82 (KVM_ARM_VCPU_INIT), 4.68 (KVM_SET_ONE_REG).
 */
#include "platform/kvm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

enum { TRIAL_AT = 0x1000, TRIAL_CELL = 0x1800, TRIAL_OUT = 0x10000, TRIAL_SUM = 55 };

static const uint32_t trial_code[] = {
    0xd2800000, /* mov x0, #0 */
    0xd2800141, /* mov x1, #10 */
    0x8b010000, /* add x0, x0, x1 */
    0xf1000421, /* subs x1, x1, #1 */
    0x54ffffc1, /* b.ne -8 */
    0xd2830002, /* mov x2, #0x1800 */
    0xf9000040, /* str x0, [x2] */
    0xf9400043, /* ldr x3, [x2] */
    0xd2a00024, /* mov x4, #0x10000 */
    0xb9000083, /* str w3, [x4] */
    0x14000000, /* b . */
};

int vr_kvm_trial_prepare(struct vr_kvm_trial *trial)
{
    struct kvm_vcpu_init init;
    uint64_t pc = TRIAL_AT;
    struct kvm_one_reg reg = {
        .id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pc),
        .addr = (uint64_t)(uintptr_t)&pc,
    };
    memcpy(trial->memory + TRIAL_AT, trial_code, sizeof(trial_code));
    if (ioctl(trial->vm, KVM_ARM_PREFERRED_TARGET, &init) < 0 ||
        ioctl(trial->vcpu, KVM_ARM_VCPU_INIT, &init) < 0 ||
        ioctl(trial->vcpu, KVM_SET_ONE_REG, &reg) < 0) {
        return -errno;
    }
    return 0;
}

int vr_kvm_trial_exit(struct vr_kvm_trial *trial)
{
    const struct kvm_run *run = trial->run;
    if (run->exit_reason == KVM_EXIT_INTR) {
        return 0;
    }
    return run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write && run->mmio.len == 4 &&
                   run->mmio.phys_addr == TRIAL_OUT && run->mmio.data[0] == TRIAL_SUM &&
                   trial->memory[TRIAL_CELL] == TRIAL_SUM
               ? 1
               : -EPROTO;
}

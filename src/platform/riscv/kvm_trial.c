/*
 * A guest of a few instructions, in VS-mode without translation (RISC-V privileged architecture,
 * "H" extension): it adds in a loop, stores to memory, and writes what it reads back to an address
 * where there is none, which comes out. Linux Documentation/virt/kvm/api.rst, 4.68
 * (KVM_SET_ONE_REG).
 */
#include "platform/kvm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

enum { TRIAL_AT = 0x1000, TRIAL_CELL = 0x1800, TRIAL_OUT = 0x10000, TRIAL_SUM = 55 };

static const uint32_t trial_code[] = {
    0x00000513, /* li a0, 0 */
    0x00a00593, /* li a1, 10 */
    0x00b50533, /* add a0, a0, a1 */
    0xfff58593, /* addi a1, a1, -1 */
    0xfe059ce3, /* bnez a1, -8 */
    0x00002637, /* lui a2, 2 */
    0x80a63023, /* sd a0, -2048(a2) */
    0x80063683, /* ld a3, -2048(a2) */
    0x00010737, /* lui a4, 0x10 */
    0x00d72023, /* sw a3, 0(a4) */
    0x0000006f, /* j . */
};

int vr_kvm_trial_prepare(struct vr_kvm_trial *trial)
{
    uint64_t pc = TRIAL_AT;
    struct kvm_one_reg reg = {
        .id =
            KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE | KVM_REG_RISCV_CORE_REG(regs.pc),
        .addr = (uint64_t)(uintptr_t)&pc,
    };
    memcpy(trial->memory + TRIAL_AT, trial_code, sizeof(trial_code));
    return ioctl(trial->vcpu, KVM_SET_ONE_REG, &reg) < 0 ? -errno : 0;
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

/*
 * The x86-64 back end: where things are while compiled code runs, and what its parts share.
 *
 *   rbp             struct vr_cpu, EMIT_BIAS bytes in: x0..x31 are in reach of short displacements
 *   r15             cpu->icount
 *   rbx rsi rdi r8..r14   ten guest registers (emit_gpr); the others are in memory
 *   xmm3..xmm15     thirteen guest f registers, while cpu->fp_live; MXCSR then gathers fflags
 *   rax rcx rdx xmm0..2   scratch inside one op
 *   rsp             16-byte aligned
 */
#ifndef VR_CPU_JIT_X86_64_EMIT_H
#define VR_CPU_JIT_X86_64_EMIT_H

#include "cpu/jit/emit.h"
#include "cpu/jit/x86_64/asm.h"

#define EMIT_BIAS     ((int64_t)(offsetof(struct vr_cpu, r) + 16 * sizeof(uint64_t)))
#define EMIT_FIELD(m) asm_at(RBP, (int64_t)offsetof(struct vr_cpu, m) - EMIT_BIAS)

/* Constants at fixed offsets of the code memory, each 16 bytes. */
enum {
    EMIT_NAN64 = 64,
    EMIT_NAN32 = 80,
    EMIT_SIGN64 = 96,
    EMIT_SIGN32 = 112,
    EMIT_BOX32 = 128,
    EMIT_MXCSR = 144,
    EMIT_FLAGS = 160, /* 64 bytes: fflags by MXCSR's flags */
    EMIT_SHARED = 224
};

/* The host register of a guest one; NO_REG: in memory. */
int emit_gpr(unsigned slot);
int emit_xmm(unsigned slot);
struct vr_asm_mem emit_slot(unsigned slot);

/* Slot into @reg. */
void emit_get(struct emit *e, int reg, unsigned slot);
/* The host register that holds @slot: its own, or @scratch, into which it is loaded. */
int emit_src(struct emit *e, unsigned slot, int scratch);
/* Where to compute a result for @slot: its own register, or @scratch; then emit_put. */
int emit_dst(unsigned slot, int scratch);
void emit_put(struct emit *e, unsigned slot, int reg);

void emit_find_groups(struct emit *e);
/* The cold halves of loads and stores. */
void emit_slow_faulted(struct emit *e, const struct emit_slow *slow);
void emit_slow_look_up(struct emit *e, const struct emit_slow *slow);
void emit_slow_forget_groups(struct emit *e, const struct emit_slow *slow);

/* e->ip is a division; @ir, the same without looking at what its divisor is now. */
void emit_div(struct emit *e);
void emit_div_plain(struct emit *e, const struct vr_ir *ir);

void emit_helper_end(struct emit *e, const struct vr_ir *ir, uint32_t info);
/* Jump to the guest address in rax, through the TLB. */
void emit_far_rax(struct emit *e);

#endif

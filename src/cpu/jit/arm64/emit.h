/*
 * The arm64 back end: where things are while compiled code runs, and what its parts share.
 *
 *   x28             struct vr_cpu
 *   x27             cpu->icount
 *   x26             the code memory's start
 *   x5..x17 x19..x25  twenty guest registers (emit_gpr); the others are in memory
 *   v8..v31         24 guest f registers, while cpu->fp_live; FPSR then gathers fflags, FPCR.DN
 *                   makes every NaN result the default one, which is RISC-V's canonical one
 *   v7              the upper word of a NaN-boxed single, while cpu->fp_live
 *   x0..x4 x30 v0..v3 scratch inside one op
 *   x18 x29         left alone: the OS may own the one (AAPCS64 6.1.1), the other is the frame
 *                   pointer
 *   sp              the frame of vr_jit_enter (shared.c)
 */
#ifndef VR_CPU_JIT_ARM64_EMIT_H
#define VR_CPU_JIT_ARM64_EMIT_H

#include "cpu/jit/arm64/asm.h"
#include "cpu/jit/emit.h"

enum { EMIT_CPU = X28, EMIT_ICOUNT = X27, EMIT_BASE = X26, EMIT_BOX = 7 };
enum { EMIT_FPCR_DN = 1 << 25 };

#define EMIT_FIELD(m) EMIT_CPU, offsetof(struct vr_cpu, m)

/* The host register of a guest one; NO_REG: in memory. */
int emit_gpr(unsigned slot);
int emit_fpr(unsigned slot);

/* Slot into @reg. */
void emit_get(struct emit *e, int reg, unsigned slot);
/* The host register that holds @slot: its own, xzr, or @scratch, into which it is loaded. Never
 * for operands where 31 is sp. */
int emit_src(struct emit *e, unsigned slot, int scratch);
/* The same, but zero is put into @scratch, too. */
int emit_src_sp(struct emit *e, unsigned slot, int scratch);
/* Where to compute a result for @slot: its own register, or @scratch; then emit_put. */
int emit_dst(unsigned slot, int scratch);
void emit_put(struct emit *e, unsigned slot, int reg);

/* Jump to the guest address in x0, through the TLB. */
void emit_far_x0(struct emit *e);
/* x@reg = address of the TLB entry for the address in @va; @ret_off: what is left to add. */
void emit_tlb_entry(struct emit *e, int reg, int va, size_t *ret_off);
/* Where an access goes: @ret_va, which is x0 or the register of slot a, plus the entry's addend in
 * x2. The miss jumps from the place that is returned. Uses x0 to x4. */
size_t emit_look_up(struct emit *e, unsigned width, enum vr_access access, int *ret_va);
/* LR, SC, AMOs (emit_atomic.c). */
void emit_atomic(struct emit *e);

#endif

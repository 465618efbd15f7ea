/* The less common FP ops and atomics of the interpreter, out of line: enum vr_fpx, enum vr_amo. */
#ifndef VR_CPU_INTERP_FPX_H
#define VR_CPU_INTERP_FPX_H

#include "cpu/ir/cpu.h"

/* Result of `fpx`; @c is used by fma_h alone. @rm is resolved (0..4). */
uint64_t vr_fpx_eval(enum vr_fpx op, unsigned rm, uint64_t a, uint64_t b, uint64_t c,
                     uint32_t *flags);
/* The atomic op at host address @p; returns the old value, sign-extended. */
uint64_t vr_amo_eval(void *p, enum vr_amo kind, unsigned log2_bytes, uint64_t operand);
/* amocas: registers in @r; returns true when memory was written. */
bool vr_amocas_eval(void *p, unsigned log2_bytes, uint64_t *r, const struct vr_ir *ir);

/* The whole ops, with cpu->pc exact; false: an exception was taken. @width: 4 or 8. */
bool vr_load_reserved(struct vr_cpu *cpu, const struct vr_ir *ip, unsigned width);
bool vr_store_conditional(struct vr_cpu *cpu, const struct vr_ir *ip, unsigned width);
bool vr_amo_slow(struct vr_cpu *cpu, const struct vr_ir *ip); /* amo and amocas */
/* Any op that ends no block, accesses no memory but atomically, and is no helper: for engines that
 * have no code of their own for it. cpu->pc is exact; false: an exception was taken. */
bool vr_op_eval(struct vr_cpu *cpu, const struct vr_ir *ip);

#endif

/*
 * Running a CPU by steps, for deterministic mode (core/det.h): an instruction that retires is a
 * step, and so is an exception. Inside cpu/ only.
 *
 * A slice is a number of steps, and ends exactly there on either engine: no block is entered that
 * holds more instructions than are left (compiled code asks at each block's beginning,
 * cpu->budget); its beginning is interpreted then. An instruction that reaches beyond the CPU
 * (vr_outside) runs as a block of its own, by the interpreter: so the machine's clock is exact in
 * it, and what it asked for is seen before the next one.
 *
 * The TLB has one place an entry here, and compiled code asks it for each access: what it holds,
 * and so when a page's accessed bit is set, does not depend on the engine.
 *
 * Threads: the machine's one.
 */
#ifndef VR_CPU_IR_STEPS_H
#define VR_CPU_IR_STEPS_H

#include "cpu/ir/block.h"

/* For a CPU of a machine in deterministic mode. -ENOMEM. */
int vr_steps_create(struct vr_cpu *cpu, struct vr_error *err) VR_MUST;
void vr_steps_destroy(struct vr_cpu *cpu); /* without: nothing */
/* vr_cpu_ops.run_steps. */
uint64_t vr_steps_run(struct vr_vcpu *vcpu, uint64_t steps);
/* The slice ends behind the instruction that runs, if others have something to do. */
void vr_steps_yield(struct vr_cpu *cpu);

/* --- The interpreter's loop. --- */
/* @b, or as much of its beginning as is to be run now; NULL: the slice is over. */
struct vr_block *vr_steps_block(struct vr_cpu *cpu, struct vr_block *b);
/* May compiled code begin with @b? */
bool vr_steps_fits(struct vr_cpu *cpu, const struct vr_block *b);

#endif

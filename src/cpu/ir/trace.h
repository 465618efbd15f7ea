/*
 * The instruction trace: one line a retired instruction, for comparison with other models:
 *   <hart> <mode> <pc> <insn> [x<n>=<hex>] [f<n>=<hex>] [st <gpa> <size>=<hex>]
 * A traced CPU runs one instruction a block.
 */
#ifndef VR_CPU_IR_TRACE_H
#define VR_CPU_IR_TRACE_H

#include "cpu/ir/cpu.h"
#include <stdio.h>

/* Begin tracing into @file (borrowed, must outlive the CPU; several CPUs may share one). While the
 * CPU is stopped. -ENOMEM. */
int vr_trace_start(struct vr_cpu *cpu, FILE *file, struct vr_error *err) VR_MUST;
void vr_trace_stop(struct vr_cpu *cpu);
/* The engine: before and after each block; a store by the running instruction. */
void vr_trace_begin(struct vr_cpu *cpu, const struct vr_block *b);
void vr_trace_end(struct vr_cpu *cpu);
void vr_trace_store(struct vr_cpu *cpu, uint64_t gpa, unsigned width, uint64_t val);

#endif

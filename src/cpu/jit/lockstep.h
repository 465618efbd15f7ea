/*
 * Both engines, each after the other, and compared: the engine "lockstep". Inside cpu/ only.
 *
 * Where the interpreter's loop would enter compiled code (vr_jit_run), vr_lockstep_run stands. It
 * takes the CPU's state, lets compiled code run a stretch on the guest's memory as it always does,
 * puts the state back, lets the interpreter run as many instructions on copies of the pages that
 * the stretch wrote, as they were before, and compares registers, CSRs, counts and pages. What the
 * compiled code did is what stays.
 *
 * A stretch holds nothing but the hart and its RAM. An instruction that reaches beyond (devices,
 * time, entropy, pending interrupts, calls to built-in firmware, waiting) calls vr_outside first:
 * in a stretch that stops the run before it, and then it is interpreted, alone, once, not compared.
 * So side effects happen once. Blocks that are not compiled are interpreted and not compared.
 *
 * Both runs begin with an empty TLB: all they find out about a page goes through C, which keeps
 * the page's content when it is first written, and leads the second run to its copies.
 *
 * Harts of a machine take turns: none runs guest code during another's stretch. Devices do not
 * wait: what they write into RAM during a stretch may make the runs differ. A difference therefore
 * counts only if it comes back when both engines run the stretch again on copies of all the memory
 * that it uses, which nobody else writes.
 *
 * Threads: the CPU's own; turns are handed on under a lock.
 */
#ifndef VR_CPU_JIT_LOCKSTEP_H
#define VR_CPU_JIT_LOCKSTEP_H

#include "cpu/ir/block.h"
#include "cpu/jit/jit_opts.h"

/* Compare what @cpu, which has a JIT, runs. -ENOMEM, -EAGAIN. */
int vr_lockstep_create(struct vr_cpu *cpu, const struct vr_jit_opts *opts,
                       struct vr_error *err) VR_MUST;
void vr_lockstep_destroy(struct vr_cpu *cpu); /* without one: nothing */

/* In place of vr_jit_run. */
void vr_lockstep_run(struct vr_cpu *cpu, uint32_t code);

/* --- The interpreter's loop. All need cpu->lockstep. --- */
/* Let other harts run; wait until it is this one's turn. False: a difference was told of, and this
 * CPU runs no more: return. */
void vr_lockstep_leave_turn(struct vr_cpu *cpu);
bool vr_lockstep_take_turn(struct vr_cpu *cpu) VR_MUST;
/* Is this the run to compare with? */
bool vr_lockstep_again(const struct vr_cpu *cpu);
/* Between blocks: false: it has come as far as the first one. */
bool vr_lockstep_goes_on(const struct vr_cpu *cpu) VR_MUST;
/* @b, or as much of its beginning as is to be run now; NULL: nothing. */
struct vr_block *vr_lockstep_block(struct vr_cpu *cpu, struct vr_block *b);

/* --- Memory. All need cpu->lockstep. --- */
/* Where the byte at @off of @ram is for who runs now. Before it is written: @write. */
uint8_t *vr_lockstep_host(struct vr_cpu *cpu, struct vr_ram *ram, uint64_t off, bool write);
/* May the page at @off be written unseen? */
bool vr_lockstep_may_write(const struct vr_cpu *cpu, const struct vr_ram *ram, uint64_t off);

/* Adds to @stats; any thread. */
void vr_lockstep_add_stats(const struct vr_cpu *cpu, struct vr_jit_stats *stats);

#endif

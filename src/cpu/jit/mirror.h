/*
 * Mirrors: a guest address space laid out in the host's own, so that the host's MMU does what the
 * TLB look-up of compiled code does in ten instructions. Compiled code that asks for it ("direct",
 * struct vr_jit_page) compares an address with cpu->mirror_limit and then simply uses it, at
 * cpu->mirror_addend; where nothing is mapped, or not for this use, the host faults, and the fault
 * leads to the slow path of that very access.
 *
 * A mirror is a reservation of MIRROR_BYTES for one TLB context in user mode. Its pages are those
 * of guest RAM (a shared file, mapped once more), with the rights that the TLB would have given,
 * and go with what makes TLB entries go.
 *
 * A fault and a mapping cost some microseconds, a look-up a nanosecond: so a mirror has to pay.
 * Only code in which guest time is really spent is compiled direct (vr_mirror_sample is called for
 * the guest's interrupts, which come as clocks tick), only address spaces that are found running
 * more than once get a mirror, only so many pages are mapped from one sample to the next, and where
 * the guest often takes back what was mapped, the mirror rests for a while.
 *
 * Everything is the hart's own: called on its thread.
 */
#ifndef VR_CPU_JIT_MIRROR_H
#define VR_CPU_JIT_MIRROR_H

#include "cpu/ir/cpu.h"

struct vr_mirrors;

enum {
    VR_MIRROR_BITS = 38,        /* of virtual addresses: the lower half of Sv39 */
    VR_MIRROR_GUARD = 64 << 10, /* never mapped, below and above: as far as offsets may reach */
};

/* Let @cpu have mirrors, where the host can; else compiled code looks everything up. */
void vr_mirrors_create(struct vr_cpu *cpu, bool always);
/* Is everything to go through mirrors, pay or not? */
bool vr_mirrors_always(const struct vr_cpu *cpu);
void vr_mirrors_destroy(struct vr_cpu *cpu); /* without any: nothing */

/* The regime is user mode in context @ctx from now on: cpu->mirror_ctx, _limit and _addend. */
void vr_mirror_select(struct vr_cpu *cpu, unsigned ctx);
/* An interrupt finds @cpu in user mode: it does spend time there. */
void vr_mirror_sample(struct vr_cpu *cpu);

/* What the TLB forgets, mirrors forget: all; the page of @va everywhere; the right to write the
 * page at @gpa. */
void vr_mirror_flush(struct vr_cpu *cpu);
void vr_mirror_flush_page(struct vr_cpu *cpu, uint64_t va);
void vr_mirror_protect(struct vr_cpu *cpu, uint64_t gpa);
/* The right to write any page: asked for by the host, so it does not count against the guest. */
void vr_mirror_protect_all(struct vr_cpu *cpu);

/* Direct code faulted at @va: map its page, if that is allowed and pays. */
void vr_mirror_fault(struct vr_cpu *cpu, uint64_t va, bool write);

#endif

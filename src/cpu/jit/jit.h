/*
 * The JIT: hot blocks of IR become host code, which runs until it meets something that only C can
 * do. Inside cpu/ only.
 *
 * Shape. The interpreter counts how often it enters a block; a hot one is compiled together with
 * the blocks that followed it. Every block keeps a label of its own, at which the guest's registers
 * are where all host code expects them (some in host registers, the rest in struct vr_cpu), so any
 * block can be entered from anywhere. Blocks of one page jump to each other directly; links to
 * blocks that are not compiled yet lead back here and are patched when they are. Everything else
 * (other pages, indirect jumps) goes through the TLB: an entry that allows fetching knows the table
 * of its page's code, by half word. So code is found by guest-physical address, and survives TLB
 * flushes and address-space switches; what makes a translation invalid makes the jump miss.
 *
 * Code is compiled for one MMU mode, whose TLB it addresses without a pointer. Harts that run in
 * two modes at a time (MPRV) are interpreted meanwhile.
 *
 * Threads: each hart has its own code memory, tables and links; all is done on the hart's thread.
 */
#ifndef VR_CPU_JIT_JIT_H
#define VR_CPU_JIT_JIT_H

#include "cpu/ir/block.h"
#include "cpu/jit/jit_opts.h"

struct vr_jit_link;

/* The code of one guest page for one MMU mode. */
struct vr_jit_page {
    uint32_t *table;           /* offset in code memory by half word of the page; 0: none. NULL: no
                                  code at all */
    struct vr_jit_link *links; /* jumps that wait for a block of this page */
    uint8_t samples;           /* how often an interrupt found the guest here */
    bool direct;               /* compile accesses through the mirror (mirror.h) */
};

/* Does this build make code for this host? 0, or -ENOTSUP and why not. */
int vr_jit_available(struct vr_error *err) VR_MUST;
/* Give @cpu a JIT. -ENOTSUP: this host; -EINVAL: @opts are out of range; -ENOMEM; -EACCES, -EPERM:
 * the host lets no program make code. */
int vr_jit_create(struct vr_cpu *cpu, const struct vr_jit_opts *opts, struct vr_error *err) VR_MUST;
void vr_jit_destroy(struct vr_cpu *cpu); /* without one: nothing */

/* @b, in which the CPU is about to run, is hot: compile it and its successors. When memory is full
 * everything is dropped instead: look at vr_code_epoch. */
void vr_jit_compile(struct vr_cpu *cpu, struct vr_block *b);
/* Run from the code at offset @code, which belongs to cpu->pc in the current mode, until the
 * interpreter is needed. cpu->pc is exact again. */
void vr_jit_run(struct vr_cpu *cpu, uint32_t code);

/* An interrupt found the guest in user mode at @pc: where it spends its time is compiled for that.
 */
void vr_jit_tick(struct vr_cpu *cpu, uint64_t pc);

/* What the TLB entry of an executable page at @gpa holds in @mode. Never NULL; without a JIT: NULL.
 */
const uint32_t *vr_jit_table(struct vr_cpu *cpu, uint64_t gpa, unsigned mode);
/* The blocks of a page are gone; all blocks are. */
void vr_jit_drop(struct vr_cpu *cpu, struct vr_jit_page *page);
void vr_jit_flush(struct vr_cpu *cpu);

/* Any thread; each number by itself is right. Zeros without a JIT. */
void vr_jit_get_stats(const struct vr_cpu *cpu, struct vr_jit_stats *ret_stats);

#endif

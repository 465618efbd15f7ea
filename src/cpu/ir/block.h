/* Translated code of one CPU: blocks by guest-physical address. Inside cpu/ only. */
#ifndef VR_CPU_IR_BLOCK_H
#define VR_CPU_IR_BLOCK_H

#include "cpu/ir/cpu.h"

#define VR_NO_GPA UINT64_MAX

struct vr_block {
    uint64_t gpa;  /* of its first byte */
    uint64_t gpa2; /* page of the last instruction's tail, when it lies in the next page; else
                      VR_NO_GPA */
    struct vr_block *hash_next;
    /* Successors in the same page (so their translation needs no look-up): of a taken branch or
     * jump, and of falling through. NULL: not known, or not in this page. */
    struct vr_block *chain[2];
    /* Where it went last through each exit, when that is in another page: right only if that
     * block's gpa still is where the TLB leads. Such a block may have been dropped, but its memory
     * stays until all are. */
    struct vr_block *far[2];
    uint32_t native[VR_MMU_MODES]; /* where it is in the JIT's code memory; 0: it is not */
    uint16_t len, insn_count, ir_count;
    uint16_t heat; /* how often it was interpreted */
    bool queued;   /* the JIT is gathering it */
    struct vr_ir ir[];
};

/* Guest registers that @b's ops write, whatever the value, by slot. */
uint64_t vr_block_writes(const struct vr_block *b);

/* May control pass from @b to byte offset @off, counted from its start, without a look-up? */
static inline bool vr_block_near(const struct vr_block *b, int64_t off)
{
    return (uint64_t)((int64_t)(b->gpa & (VR_PAGE_SIZE - 1)) + off) < VR_PAGE_SIZE;
}

/* The first @insns instructions of @b, which has more, as a block to be interpreted once: @to has
 * room for VR_BLOCK_IR_MAX operations and one. */
void vr_block_prefix(const struct vr_block *b, unsigned insns, struct vr_block *to);

struct vr_jit_page;
/* The JIT's part of the page of @gpa; NULL: nothing is translated there. */
struct vr_jit_page *vr_code_jit_page(struct vr_cpu *cpu, uint64_t gpa, unsigned mode);

/* Forget the compiled code of the page of @gpa for @mode, not the blocks. */
void vr_code_uncompile(struct vr_cpu *cpu, uint64_t gpa, unsigned mode);

/* Counts every time blocks were dropped: pointers kept from before may be dead. */
uint64_t vr_code_epoch(const struct vr_cpu *cpu);

#endif

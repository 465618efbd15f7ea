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

#include "cpu/jit/jit_priv.h"
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
    EMIT_SHARED = 144
};

/* Shared code, by offset; known once vr_jit_emit_shared has run. */
struct emit_shared {
    uint32_t enter;
    uint32_t exit_rax; /* rax: pc */
    uint32_t exit_off; /* rax: pc's offset from page_va */
    uint32_t load, store, op, helper, helper_end, fp_on;
};
const struct emit_shared *emit_shared(const struct vr_jit *jit);

enum emit_slow_kind {
    SLOW_LOAD,  /* through vr_jit_load into slot d; then on at resume */
    SLOW_STORE, /* value in @reg, or in slot b */
    SLOW_OP,    /* the whole op through vr_jit_op */
    SLOW_FP_ON,
    SLOW_EXIT,  /* leave with pc = page_va + off */
    SLOW_FAR,   /* go to page_va + off, another page */
    SLOW_NAN64, /* @reg: canonical NaN */
    SLOW_NAN32,
};

struct emit_slow {
    enum emit_slow_kind kind;
    size_t site, resume;
    const struct vr_ir *ir;
    uint32_t info;
    int64_t off;
    int reg;
    enum vr_access access;
    size_t found;    /* where to go on with rdx from another entry */
    unsigned group;  /* of the access; 0: none */
    unsigned groups; /* that the block has */
    bool leads;
    bool uncount; /* SLOW_EXIT: the block's last instruction has not run */
};

enum { EMIT_SLOW_MAX = 4096 };

/*
 * Accesses of a block off one base register, which does not change between them, that lie close to
 * each other: the first looks up the range of all, and the others use the addend that it keeps on
 * the stack, at 8 * (number - 1). 0 there: the range is not in one page, or not with the rights;
 * each then looks itself up. Nothing inside a block makes a translation invalid but a store to a
 * device that moves memory, whose slow path clears what was kept.
 */
enum { EMIT_GROUPS = 6, EMIT_GROUP_SPAN = 1024 };
struct emit_group {
    unsigned leader; /* index of its op */
    int64_t lo, hi;  /* first and last byte, from the base */
    bool write;
};

struct emit {
    struct vr_asm s;
    struct vr_cpu *cpu;
    struct vr_jit *jit;
    const struct emit_shared *shared;
    struct vr_jit_page *page;
    unsigned mode;
    const struct vr_block *b;
    const struct vr_ir *ip;
    unsigned page_off; /* of the block's start */
    unsigned left;     /* instructions of the block after this one */
    uint32_t boxed;    /* f registers that surely hold a boxed single */
    bool box_result;   /* this op's result is such a one */
    bool failed;
    struct emit_group group[EMIT_GROUPS];
    unsigned group_count;
    uint8_t group_of[VR_BLOCK_IR_MAX]; /* number of an op's group; 0: none */
    struct emit_slow *slow, spare;     /* spare: where one goes that does not fit */
    unsigned slow_count;
    struct vr_jit_link *links; /* of this region, not yet the page's */
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

uint32_t emit_info(const struct emit *e, unsigned log2_width);
struct emit_slow *emit_slow(struct emit *e, enum emit_slow_kind kind, size_t site);
void emit_slow_paths(struct emit *e);
/* The op through vr_jit_op, right here. */
void emit_call_op(struct emit *e);

/* The kinds of ops; false: not of that kind. */
bool emit_int_op(struct emit *e);
bool emit_mem_op(struct emit *e);
bool emit_fp_op(struct emit *e);
void emit_end_op(struct emit *e, const struct vr_block *next);

void emit_find_groups(struct emit *e);
/* The cold halves of loads and stores. */
void emit_slow_look_up(struct emit *e, const struct emit_slow *slow);
void emit_slow_forget_groups(struct emit *e, const struct emit_slow *slow);

/* Jump to the guest address in rax, through the TLB. */
void emit_far_rax(struct emit *e);
void emit_slow_far(struct emit *e, const struct emit_slow *slow);
/* A jump whose operand is at @site goes to offset @off of this page. */
void emit_link(struct emit *e, size_t site, unsigned off);

#endif

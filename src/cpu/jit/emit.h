/* What the back ends share: blocks from end to end, their slow paths and links. */
#ifndef VR_CPU_JIT_EMIT_H
#define VR_CPU_JIT_EMIT_H

#include "cpu/jit/asm.h"
#include "cpu/jit/jit_priv.h"

enum emit_slow_kind {
    SLOW_LOAD,  /* through vr_jit_load into slot d; then on at resume */
    SLOW_STORE, /* value in @reg, or in slot b */
    SLOW_OP,    /* the whole op through vr_jit_op */
    SLOW_FP_ON,
    SLOW_EXIT,  /* leave with pc = page_va + off */
    SLOW_FAR,   /* go to page_va + off, another page */
    SLOW_END,   /* the helper that ends the block, after all */
    SLOW_NAN64, /* x86-64. @reg: canonical NaN */
    SLOW_NAN32,
    SLOW_DIV,  /* x86-64. The divisor is not the one that was expected */
    SLOW_TINY, /* arm64. Did this op underflow? SLOW_OP if it did */
};

struct emit_slow {
    enum emit_slow_kind kind;
    size_t site, resume;
    const struct vr_ir *ir;
    uint32_t info;
    int64_t off;
    int reg;
    enum vr_access access;
    size_t found;    /* where to go on with the addend from another entry */
    unsigned group;  /* of the access; 0: none */
    unsigned groups; /* that the block has */
    bool leads;
    bool direct;
    size_t fault; /* the instruction that uses a mirror; 0: none */
    bool uncount; /* SLOW_EXIT: the block's last instruction has not run */
};

/* Slow paths stand behind the region, or in it when that many bytes have gone by: conditional jumps
 * of some hosts reach no farther than a megabyte. */
enum { EMIT_SLOW_MAX = 4096, EMIT_NEAR_BYTES = 512 << 10 };

/*
 * Accesses of a block off one base register, which does not change between them, that lie close to
 * each other: the first looks up the range of all, and the others use the addend that it keeps on
 * the stack, at 8 * (number - 1). 0 there: the range is not in one page, or not with the rights;
 * each then looks itself up. Nothing inside a block makes a translation invalid but a store to a
 * device that moves memory, whose slow path clears what was kept. Only x86-64 has them.
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
    const struct vr_jit_shared *shared;
    struct vr_jit_page *page;
    unsigned mode;
    struct vr_block *const *region; /* all blocks that are compiled together */
    unsigned region_count;
    bool written_known;
    uint64_t written; /* guest registers that any of them writes, once a back end asked for it */
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

uint32_t emit_info(const struct emit *e, unsigned log2_width);
struct emit_slow *emit_slow(struct emit *e, enum emit_slow_kind kind, size_t site);
/* A jump whose operand is at @site goes to offset @off of this page. */
void emit_link(struct emit *e, size_t site, unsigned off);

/* Is offset @off in this page? Is it where @next, which is compiled behind this block, begins? */
bool emit_is_near(int64_t off);
bool emit_is_next(const struct vr_block *next, int64_t off);
/* End the block: go on at @off. */
void emit_go(struct emit *e, int64_t off, const struct vr_block *next);

/* --- The back end --- */
/* The parts that all code shares; each begins where @s stands. At offset 0: exit_pc, exit_off,
 * which go on into emit_shared_exit. */
void emit_shared_exits(struct vr_asm *s, struct vr_jit_shared *ret_x);
void emit_shared_exit(struct vr_asm *s);
void emit_shared_enter(struct vr_asm *s, const uint8_t *rx);
void emit_shared_access(struct vr_asm *s, bool load);
void emit_shared_op(struct vr_asm *s, const void *fn);
void emit_shared_helper_end(struct vr_asm *s);
void emit_shared_fp_on(struct vr_asm *s);
void emit_shared_mirror(struct vr_asm *s);
/* Let the jump whose operand is at @site lead to @target. */
void emit_patch(struct vr_asm *s, size_t site, size_t target);
/* A jump, whose operand's place is returned, if e->b has more instructions than cpu->budget allows.
 */
size_t emit_budget(struct emit *e);
/* e->b begins: count its instructions as retired. */
void emit_begin(struct emit *e);
/* @slow's jump leads here; then its code. */
void emit_slow_path(struct emit *e, const struct emit_slow *slow);
/* The op through vr_jit_op, right here. */
void emit_call_op(struct emit *e);
/* The kinds of ops; false: not of that kind. */
bool emit_int_op(struct emit *e);
bool emit_mem_op(struct emit *e);
bool emit_fp_op(struct emit *e);
/* Slot @slot = page_va + @off. */
void emit_pcrel(struct emit *e, unsigned slot, int64_t off);
/* Jumps, whose operands' places are returned: when somebody wants this thread; always. */
size_t emit_attention(struct emit *e);
size_t emit_jump(struct emit *e);
/* Go to page_va + @off, another page, through the TLB. */
void emit_far(struct emit *e, int64_t off);
/* The last instruction of a block: a branch to @taken, or else @on (offsets in the page); jalr; a
 * helper that ends it. */
void emit_end_branch(struct emit *e, int64_t taken, int64_t on, const struct vr_block *next);
void emit_end_jalr(struct emit *e);
void emit_end_helper(struct emit *e, const struct vr_block *next);

#endif

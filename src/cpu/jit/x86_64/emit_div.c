/*
 * Division on x86-64. It is slow there, so a divisor that a region reads and never writes (the size
 * of a table, a modulus) is looked at when the region is compiled: code for just that number
 * multiplies by its reciprocal, behind a comparison. When the number is another one after all, the
 * code divides.
 *
 * Reciprocals: T. Granlund, P. L. Montgomery, "Division by Invariant Integers using Multiplication"
 * (PLDI 1994), figure 5.1 (signed, truncating); unsigned, where 64 bits of a reciprocal rounded up
 * are too few, it is rounded down and multiplied by n + 1, as A. D. Robison shows in "N-Bit
 * Unsigned Division via N-Bit Multiply-Add" (ARITH 2005). Words are divided as the 64-bit numbers
 * that they are: 64 bits of reciprocal are enough for them.
 */
#include "cpu/jit/x86_64/emit.h"

/* What divides by @d. Unsigned: q = m * n >> 64 >> shift; with @more, m * (n + 1). Signed:
 * q = (m * n >> 64) + (n < 0); with @more, n is added before it is shifted. */
struct div_by {
    uint32_t d;
    uint64_t m; /* 0: a power of two */
    unsigned shift;
    bool more;
};

/* The kind of an op of division. */
struct div_kind {
    bool w, is_signed, rem;
};

static struct div_kind div_kind(unsigned op)
{
    switch (op) {
    case VR_IR_div:
        return (struct div_kind){.w = true, .is_signed = true};
    case VR_IR_divu:
        return (struct div_kind){.w = true};
    case VR_IR_rem:
        return (struct div_kind){.w = true, .is_signed = true, .rem = true};
    case VR_IR_remu:
        return (struct div_kind){.w = true, .rem = true};
    case VR_IR_divw:
        return (struct div_kind){.is_signed = true};
    case VR_IR_divuw:
        return (struct div_kind){0};
    case VR_IR_remw:
        return (struct div_kind){.is_signed = true, .rem = true};
    default:
        vr_assert(op == VR_IR_remuw);
        return (struct div_kind){.rem = true};
    }
}

static unsigned div_log2(uint32_t d)
{
    return 31u - (unsigned)__builtin_clz(d);
}

static struct div_by div_word(uint32_t d)
{
    return (struct div_by){.d = d, .m = (uint64_t)(((unsigned __int128)1 << 64) / d) + 1};
}

static struct div_by div_unsigned(uint32_t d)
{
    unsigned l = div_log2(d);
    struct div_by by = {.d = d, .shift = l};
    if ((d & (d - 1)) != 0) {
        unsigned __int128 high = (unsigned __int128)1 << (64 + l);
        by.more = d - (uint64_t)(high % d) >= UINT64_C(1) << l;
        by.m = (uint64_t)(high / d) + !by.more;
    }
    return by;
}

static struct div_by div_signed(uint32_t d)
{
    unsigned l = div_log2(d - 1); /* of the next power of two, less one */
    unsigned __int128 high = (unsigned __int128)1 << (64 + l);
    return (struct div_by){.d = d, .shift = l, .m = (uint64_t)(high / d) + 1, .more = true};
}

/* Division by rcx of rax into rax: x86 traps on zero and on overflow, RISC-V defines both. */
static void div_plain(struct emit *e, struct div_kind k)
{
    struct vr_asm *s = &e->s;
    size_t minus = 0, done_minus = 0;
    asm_test(s, k.w, RCX, RCX);
    size_t zero = asm_jcc(s, CC_E);
    if (k.is_signed) {
        asm_alu_imm(s, k.w, ALU_CMP, RCX, -1);
        minus = asm_jcc(s, CC_E);
        asm_rex(s, k.w, 0, NO_REG, NO_REG, false);
        asm_u8(s, 0x99); /* cqo, cdq */
        asm_group3(s, k.w, 7, RCX);
    } else {
        asm_li(s, RDX, 0);
        asm_group3(s, k.w, 6, RCX);
    }
    if (k.rem) { /* by zero it is the dividend, which rax holds */
        asm_mov(s, RAX, RDX);
    }
    size_t done = 0;
    if (k.is_signed) {
        done = asm_jmp(s);
        asm_patch(s, minus, s->at);
        if (k.rem) {
            asm_li(s, RAX, 0);
        } else {
            asm_group3(s, k.w, 3, RAX); /* neg */
        }
        done_minus = k.rem ? 0 : asm_jmp(s);
    } else if (!k.rem) {
        done = asm_jmp(s);
    }
    asm_patch(s, zero, s->at);
    if (!k.rem) {
        asm_li(s, RAX, UINT64_MAX);
    }
    if (done) {
        asm_patch(s, done, s->at);
    }
    if (done_minus) {
        asm_patch(s, done_minus, s->at);
    }
}

static void div_put(struct emit *e, const struct vr_ir *ir, struct div_kind k, int reg)
{
    if (!k.w) {
        asm_movsxd(&e->s, reg, reg);
    }
    emit_put(e, ir->d, reg);
}

void emit_div_plain(struct emit *e, const struct vr_ir *ir)
{
    struct div_kind k = div_kind(ir->op);
    emit_get(e, RCX, ir->b);
    emit_get(e, RAX, ir->a);
    div_plain(e, k);
    div_put(e, ir, k, RAX);
}

static bool div_is_written(struct emit *e, unsigned slot)
{
    for (unsigned i = 0; i < e->region_count && !e->written_known; i++) {
        e->written |= vr_block_writes(e->region[i]);
    }
    e->written_known = true;
    return e->written >> slot & 1;
}

/* The divisor that @ir may be expected to have; 0: any. Small numbers, because an address or hash
 * that happens to be in the register now will not be there later. */
static uint32_t div_expect(struct emit *e, const struct vr_ir *ir, struct div_kind k)
{
    unsigned b = ir->b;
    if (b == VR_SLOT_ZERO || b >= VR_SLOT_F0 || div_is_written(e, b)) {
        return 0;
    }
    uint64_t d = k.w ? e->cpu->r[b] : (uint32_t)e->cpu->r[b];
    return d >= 2 && d <= INT32_MAX ? (uint32_t)d : 0;
}

/* rdx = n / by.d; uses rax and rcx, where unsigned @n may be. @n is not rax or rdx. */
static void div_multiply(struct vr_asm *s, int n, struct div_by by, bool is_signed)
{
    if (by.m) {
        asm_li(s, RAX, by.m);
        asm_group3(s, true, is_signed ? 5 : 4, n);
    } else {
        asm_mov(s, RDX, n);
    }
    if (is_signed && by.more) {
        asm_alu(s, true, ALU_ADD, RDX, n);
    } else if (by.more) {
        asm_li(s, RCX, by.m);
        asm_alu(s, true, ALU_ADD, RAX, RCX);
        asm_alu_imm(s, true, ALU_ADC, RDX, 0);
    }
    if (by.shift) {
        asm_shift_imm(s, true, is_signed ? SHIFT_SAR : SHIFT_SHR, RDX, by.shift);
    }
    if (is_signed) {
        asm_mov(s, RAX, n);
        asm_shift_imm(s, true, SHIFT_SHR, RAX, 63);
        asm_alu(s, true, ALU_ADD, RDX, RAX);
    }
}

void emit_div(struct emit *e)
{
    const struct vr_ir *ir = e->ip;
    struct vr_asm *s = &e->s;
    struct div_kind k = div_kind(ir->op);
    uint32_t d = div_expect(e, ir, k);
    if (!d) {
        emit_div_plain(e, ir);
        return;
    }
    /* For a signed word, the reciprocal of 2 would be negative. */
    bool word = !k.w && (!k.is_signed || d > 2);
    struct div_by by = word ? div_word(d) : k.is_signed ? div_signed(d) : div_unsigned(d);
    if (emit_gpr(ir->b) != NO_REG) {
        asm_alu_imm(s, k.w, ALU_CMP, emit_gpr(ir->b), (int32_t)d);
    } else {
        asm_alu_mem_imm(s, k.w, ALU_CMP, emit_slot(ir->b), (int32_t)d);
    }
    struct emit_slow *slow = emit_slow(e, SLOW_DIV, asm_jcc(s, CC_NE));
    int n = emit_src(e, ir->a, RCX);
    if (!k.w && k.is_signed) {
        asm_movsxd(s, RCX, n);
        n = RCX;
    } else if (!k.w) {
        asm_mov32(s, RCX, n);
        n = RCX;
    }
    div_multiply(s, n, by, k.is_signed);
    if (k.rem) {
        asm_imul_imm(s, RDX, RDX, (int32_t)d);
        emit_get(e, RAX, ir->a); /* of a word, the lower half counts */
        asm_alu(s, true, ALU_SUB, RAX, RDX);
    }
    div_put(e, ir, k, k.rem ? RAX : RDX);
    slow->resume = s->at;
}

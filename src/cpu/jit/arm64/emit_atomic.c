/*
 * The arm64 back end: LR/SC and AMOs of words and doublewords (ISA manual, A extension, Zacas) as
 * loops of exclusive loads and stores (DDI 0487 B2.12), which every Arm processor has. What does
 * not hit the TLB, is misaligned, or is narrower or wider is C's.
 *
 * SC compares the value with the one that LR read, as the interpreter does (cpu/interp/amo.c), so
 * an exclusive pair never spans guest instructions. Exclusive loads and stores do not order what is
 * around them: barriers do, as strictly as .aqrl asks, also around what C does.
 */
#include "cpu/jit/arm64/emit.h"

#include <assert.h>

enum { STATUS = X30, OLD = X4, AT = X3 };

struct excl {
    size_t misaligned, miss;
    int va;
};

/* x3: where the address in slot a is. Uses x0 to x4. */
static struct excl excl_look_up(struct emit *e, bool w, enum vr_access access)
{
    struct vr_asm *s = &e->s;
    struct excl at;
    int va = emit_src_sp(e, e->ip->a, X0);
    asm_bits(s, A64_UBFM, X1, va, 0, w ? 3 : 2);
    at.misaligned = asm_cbz(s, true, true, X1);
    at.miss = emit_look_up(e, w ? 8 : 4, access, &at.va);
    asm_rrr(s, true, A64_ADD, AT, at.va, X2);
    return at;
}

/* The result is put away; barriers that follow are for C's way, too. */
static void excl_end(struct emit *e, struct excl at)
{
    emit_slow(e, SLOW_OP, at.misaligned)->resume = e->s.at;
    emit_slow(e, SLOW_OP, at.miss)->resume = e->s.at;
}

static void excl_put_old(struct emit *e, bool w)
{
    if (!w) {
        asm_sxtw(&e->s, OLD, OLD);
    }
    emit_put(e, e->ip->d, OLD);
}

/* The register of what is to be stored where x4 was. Uses x2. */
static int excl_combine(struct emit *e, unsigned kind, bool w, int b)
{
    static const uint32_t alu[] = {
        [VR_AMO_ADD] = A64_ADD,
        [VR_AMO_XOR] = A64_EOR,
        [VR_AMO_AND] = A64_AND,
        [VR_AMO_OR] = A64_ORR,
    };
    if (kind == VR_AMO_SWAP) {
        return b;
    }
    if (kind <= VR_AMO_OR) {
        asm_rrr(&e->s, w, alu[kind], X2, OLD, b);
        return X2;
    }
    unsigned keep_old = kind == VR_AMO_MIN    ? CC_LT
                        : kind == VR_AMO_MAX  ? CC_GT
                        : kind == VR_AMO_MINU ? CC_LO
                                              : CC_HI;
    asm_rrr(&e->s, w, A64_SUBS, XZR, OLD, b);
    asm_csel(&e->s, A64_CSEL, keep_old, X2, OLD, b);
    return X2;
}

static bool excl_amo(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    unsigned log2_width = ip->c >> 4, kind = ip->c & 15;
    bool w = log2_width == 3;
    if (log2_width < 2) {
        return false;
    }
    struct excl at = excl_look_up(e, w, VR_WRITE);
    int b = emit_src(e, ip->b, X1);
    size_t again = s->at;
    asm_ldxr(s, w, OLD, AT);
    asm_stxr(s, w, STATUS, excl_combine(e, kind, w, b), AT);
    emit_patch(s, asm_cbz(s, false, true, STATUS), again);
    excl_put_old(e, w);
    excl_end(e, at);
    return true;
}

/* If x0 is at x3, b takes its place; Z tells. */
static void excl_exchange(struct emit *e, bool w, int b)
{
    struct vr_asm *s = &e->s;
    size_t again = s->at;
    asm_ldxr(s, w, OLD, AT);
    asm_rrr(s, w, A64_SUBS, XZR, OLD, X0);
    size_t other = asm_bcc(s, CC_NE);
    asm_stxr(s, w, STATUS, b, AT);
    emit_patch(s, asm_cbz(s, false, true, STATUS), again);
    emit_patch(s, other, s->at);
}

static bool excl_cas(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    bool w = ip->c == 3;
    if (ip->c != 2 && ip->c != 3) {
        return false;
    }
    struct excl at = excl_look_up(e, w, VR_WRITE);
    int b = emit_src(e, ip->b, X1);
    emit_get(e, X0, ip->d);
    excl_exchange(e, w, b);
    excl_put_old(e, w);
    excl_end(e, at);
    return true;
}

/* res_valid and res_size, which are neighbours, as one number. */
static unsigned res_valid(bool w)
{
    static_assert(offsetof(struct vr_cpu, res_size) == offsetof(struct vr_cpu, res_valid) + 1,
                  "they are read and written as one");
    static_assert(offsetof(struct vr_cpu, res_valid) % 2 == 0, "in reach of ldrh");
    return 1 | (w ? 8u : 4u) << 8;
}

/* x4: the guest-physical address of what @va names. Uses x1. */
static void excl_gpa(struct emit *e, int va)
{
    struct vr_asm *s = &e->s;
    size_t off = offsetof(struct vr_cpu, tlb) + e->mode * sizeof(struct vr_tlb) +
                 offsetof(struct vr_tlb, gpa);
    asm_bits(s, A64_UBFM, X1, va, VR_PAGE_SHIFT, VR_TLB_BITS);
    asm_add_imm(s, X4, EMIT_CPU, (int64_t)(off & ~(size_t)0xfff), X4);
    asm_rrr_lsl(s, A64_ADD, X4, X4, X1, 3);
    asm_mem(s, A64_LDR_X, X4, X4, off & 0xfff);
    asm_bits(s, A64_UBFM, X1, va, 0, VR_PAGE_SHIFT);
    asm_rrr(s, true, A64_ORR, X4, X4, X1);
}

static void excl_load_reserved(struct emit *e, bool w)
{
    struct vr_asm *s = &e->s;
    struct excl at = excl_look_up(e, w, VR_READ);
    excl_gpa(e, at.va);
    asm_mem(s, A64_STR_X, X4, EMIT_FIELD(res_gpa));
    asm_mem(s, w ? A64_LDR_X : A64_LDRSW, OLD, AT, 0);
    asm_mem(s, A64_STR_X, OLD, EMIT_FIELD(res_val));
    asm_li(s, X1, res_valid(w));
    asm_mem(s, A64_STRH, X1, EMIT_FIELD(res_valid));
    emit_put(e, e->ip->d, OLD);
    excl_end(e, at);
}

static void excl_store_conditional(struct emit *e, bool w)
{
    struct vr_asm *s = &e->s;
    asm_mem(s, A64_LDRH, X1, EMIT_FIELD(res_valid));
    asm_cmp_imm(s, X1, res_valid(w), X2);
    size_t none = asm_bcc(s, CC_NE);
    struct excl at = excl_look_up(e, w, VR_WRITE);
    excl_gpa(e, at.va);
    asm_mem(s, A64_LDR_X, X1, EMIT_FIELD(res_gpa));
    asm_rrr(s, true, A64_SUBS, XZR, X4, X1);
    size_t other = asm_bcc(s, CC_NE);
    asm_li(s, X1, res_valid(w) & ~1u);
    asm_mem(s, A64_STRH, X1, EMIT_FIELD(res_valid));
    asm_mem(s, A64_LDR_X, X0, EMIT_FIELD(res_val));
    excl_exchange(e, w, emit_src(e, e->ip->b, X1));
    asm_cset(s, CC_NE, X0);
    emit_put(e, e->ip->d, X0);
    emit_slow(e, SLOW_OP, none)->resume = s->at;
    emit_slow(e, SLOW_OP, other)->resume = s->at;
    excl_end(e, at);
}

static bool excl_op(struct emit *e)
{
    switch (e->ip->op) {
    case VR_IR_lr32:
    case VR_IR_lr64:
        return excl_load_reserved(e, e->ip->op == VR_IR_lr64), true;
    case VR_IR_sc32:
    case VR_IR_sc64:
        return excl_store_conditional(e, e->ip->op == VR_IR_sc64), true;
    case VR_IR_amo:
        return excl_amo(e);
    default:
        return excl_cas(e);
    }
}

void emit_atomic(struct emit *e)
{
    asm_dmb(&e->s);
    if (!excl_op(e)) {
        emit_call_op(e);
    }
    asm_dmb(&e->s);
}

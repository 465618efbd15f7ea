/* The arm64 back end: constants, integer arithmetic and bits. */
#include "cpu/jit/arm64/emit.h"

/* A result of 32 bits in @reg, sign-extended when !w, becomes slot d. */
static void int_put(struct emit *e, bool w, int d, int reg)
{
    if (!w) {
        asm_sxtw(&e->s, d, reg);
        reg = d;
    }
    emit_put(e, e->ip->d, reg);
}

/* d = a op b */
static void int_rrr(struct emit *e, uint32_t op, bool w)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, X0);
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    asm_rrr(&e->s, w, op, d, a, b);
    int_put(e, w, d, d);
}

static void int_add_imm(struct emit *e, bool w)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, X0);
    asm_add_imm(&e->s, d, emit_src_sp(e, ip->a, X0), ip->imm, X1);
    int_put(e, w, d, d);
}

static void int_logic_imm(struct emit *e, uint32_t op_imm, uint32_t op)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, X0);
    asm_logic_imm(&e->s, op_imm, op, d, emit_src(e, ip->a, X0), (uint64_t)ip->imm, X1);
    emit_put(e, ip->d, d);
}

/* A bit field of a: shifts by a constant and extensions. */
static void int_bits(struct emit *e, uint32_t op, unsigned lsb, unsigned n)
{
    int d = emit_dst(e->ip->d, X0);
    asm_bits(&e->s, op, d, emit_src(e, e->ip->a, X0), lsb, n);
    emit_put(e, e->ip->d, d);
}

static void int_slli(struct emit *e)
{
    int d = emit_dst(e->ip->d, X0);
    asm_lsl(&e->s, d, emit_src(e, e->ip->a, X0), (unsigned)e->ip->imm);
    emit_put(e, e->ip->d, d);
}

/* Bits [0, 32 - n) of a, shifted left by n, sign-extended from 32: sbfiz. */
static void int_slliw(struct emit *e, uint32_t op, unsigned bits)
{
    unsigned n = (unsigned)e->ip->imm;
    int d = emit_dst(e->ip->d, X0);
    asm_u32(&e->s, op | (-n & 63) << 16 | (bits - 1) << 10 |
                       (unsigned)emit_src(e, e->ip->a, X0) << 5 | (unsigned)d);
    emit_put(e, e->ip->d, d);
}

static void int_srliw(struct emit *e)
{
    unsigned n = (unsigned)e->ip->imm;
    if (n == 0) {
        int_bits(e, A64_SBFM, 0, 32);
    } else {
        int_bits(e, A64_UBFM, n, 32 - n);
    }
}

static void int_set(struct emit *e, unsigned cc)
{
    int d = emit_dst(e->ip->d, X0);
    asm_cset(&e->s, cc, d);
    emit_put(e, e->ip->d, d);
}

static void int_cmp_set(struct emit *e, unsigned cc)
{
    int a = emit_src(e, e->ip->a, X0), b = emit_src(e, e->ip->b, X1);
    asm_rrr(&e->s, true, A64_SUBS, XZR, a, b);
    int_set(e, cc);
}

static void int_cmp_imm_set(struct emit *e, unsigned cc)
{
    asm_cmp_imm(&e->s, emit_src_sp(e, e->ip->a, X0), e->ip->imm, X1);
    int_set(e, cc);
}

static void int_mulhsu(struct emit *e)
{
    const struct vr_ir *ip = e->ip; /* as unsigned a was 2^64 too much, times b */
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    asm_rrr(&e->s, true, A64_UMULH, X2, a, b);
    asm_bits(&e->s, A64_SBFM, X3, a, 63, 1);
    asm_rrr(&e->s, true, A64_AND, X3, X3, b);
    asm_rrr(&e->s, true, A64_SUB, X2, X2, X3);
    emit_put(e, ip->d, X2);
}

/* Arm's quotient by zero is 0, RISC-V's all ones; the overflow is the same. */
static void int_div(struct emit *e, uint32_t op, bool w)
{
    const struct vr_ir *ip = e->ip;
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    asm_rrr(&e->s, w, op, X2, a, b);
    if (!w) {
        asm_sxtw(&e->s, X2, X2);
    }
    asm_rrr(&e->s, w, A64_SUBS, XZR, b, XZR);
    asm_csel(&e->s, A64_CSINV, CC_NE, X2, X2, XZR);
    emit_put(e, ip->d, X2);
}

static void int_rem(struct emit *e, uint32_t op, bool w)
{
    const struct vr_ir *ip = e->ip;
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    asm_rrr(&e->s, w, op, X2, a, b);
    asm_rrr(&e->s, w, 0x9b008000u | (uint32_t)a << 10, X2, X2, b); /* msub: a - x2 * b */
    int_put(e, w, X2, X2);
}

static void int_minmax(struct emit *e, unsigned keep_a_cc)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, X0);
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    asm_rrr(&e->s, true, A64_SUBS, XZR, a, b);
    asm_csel(&e->s, A64_CSEL, keep_a_cc, d, a, b);
    emit_put(e, ip->d, d);
}

static void int_rr(struct emit *e, uint32_t op, bool w)
{
    int d = emit_dst(e->ip->d, X0);
    asm_rr(&e->s, w, op, d, emit_src(e, e->ip->a, X0));
    emit_put(e, e->ip->d, d);
}

static void int_ctz(struct emit *e, bool w)
{
    int d = emit_dst(e->ip->d, X0);
    asm_rr(&e->s, w, A64_RBIT, X0, emit_src(e, e->ip->a, X0));
    asm_rr(&e->s, w, A64_CLZ, d, X0);
    emit_put(e, e->ip->d, d);
}

/* Ones are counted in a vector register: cnt of each byte, and their sum. */
static void int_cpop(struct emit *e, bool w)
{
    int d = emit_dst(e->ip->d, X0), a = emit_src(e, e->ip->a, X0);
    if (!w) {
        asm_mov32(&e->s, X0, a);
        a = X0;
    }
    asm_fmov_from_x(&e->s, 0, a);
    asm_u32(&e->s, 0x0e205800); /* cnt v0.8b, v0.8b */
    asm_u32(&e->s, 0x0e31b800); /* addv b0, v0.8b */
    asm_fmov_to_x(&e->s, d, 0);
    emit_put(e, e->ip->d, d);
}

static void int_rol(struct emit *e, bool w)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, X0);
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    asm_rrr(&e->s, true, A64_SUB, X1, XZR, b);
    asm_rrr(&e->s, w, A64_RORV, d, a, X1);
    int_put(e, w, d, d);
}

static void int_rotate_imm(struct emit *e, bool w)
{
    int d = emit_dst(e->ip->d, X0);
    asm_extr(&e->s, w, d, emit_src(e, e->ip->a, X0), (unsigned)e->ip->imm & (w ? 63 : 31));
    int_put(e, w, d, d);
}

/* a op (1 << b) */
static void int_bit(struct emit *e, uint32_t op)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, X0);
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    asm_li(&e->s, X2, 1);
    asm_rrr(&e->s, true, A64_LSLV, X2, X2, b);
    asm_rrr(&e->s, true, op, d, a, X2);
    emit_put(e, ip->d, d);
}

static void int_bext(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, X0);
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    asm_rrr(&e->s, true, A64_LSRV, d, a, b);
    asm_bits(&e->s, A64_UBFM, d, d, 0, 1);
    emit_put(e, ip->d, d);
}

static void int_shadd(struct emit *e, bool word)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, X0);
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    if (word) {
        asm_mov32(&e->s, X0, a);
        a = X0;
    }
    asm_rrr_lsl(&e->s, A64_ADD, d, b, a, ip->c);
    emit_put(e, ip->d, d);
}

/* d = b is (not) zero ? 0 : a */
static void int_czero(struct emit *e, unsigned keep_cc)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, X0);
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    asm_rrr(&e->s, true, A64_SUBS, XZR, b, XZR);
    asm_csel(&e->s, A64_CSEL, keep_cc, d, a, XZR);
    emit_put(e, ip->d, d);
}

static void int_box(struct emit *e, uint64_t ones)
{
    int a = emit_src(e, e->ip->a, X0);
    asm_logic_imm(&e->s, A64_ORRI, A64_ORR, X0, a, ones, X1);
    emit_put(e, e->ip->d, X0);
    e->box_result = true;
}

static bool int_simple(struct emit *e)
{
    switch (e->ip->op) {
    case VR_IR_add:
        return int_rrr(e, A64_ADD, true), true;
    case VR_IR_sub:
        return int_rrr(e, A64_SUB, true), true;
    case VR_IR_and:
        return int_rrr(e, A64_AND, true), true;
    case VR_IR_or:
        return int_rrr(e, A64_ORR, true), true;
    case VR_IR_xor:
        return int_rrr(e, A64_EOR, true), true;
    case VR_IR_addw:
        return int_rrr(e, A64_ADD, false), true;
    case VR_IR_subw:
        return int_rrr(e, A64_SUB, false), true;
    case VR_IR_sll: /* counts are taken modulo the width, as RISC-V does */
        return int_rrr(e, A64_LSLV, true), true;
    case VR_IR_srl:
        return int_rrr(e, A64_LSRV, true), true;
    case VR_IR_sra:
        return int_rrr(e, A64_ASRV, true), true;
    case VR_IR_sllw:
        return int_rrr(e, A64_LSLV, false), true;
    case VR_IR_srlw:
        return int_rrr(e, A64_LSRV, false), true;
    case VR_IR_sraw:
        return int_rrr(e, A64_ASRV, false), true;
    case VR_IR_mul:
        return int_rrr(e, A64_MUL, true), true;
    case VR_IR_mulw:
        return int_rrr(e, A64_MUL, false), true;
    case VR_IR_mulh:
        return int_rrr(e, A64_SMULH, true), true;
    case VR_IR_mulhu:
        return int_rrr(e, A64_UMULH, true), true;
    case VR_IR_andn:
        return int_rrr(e, A64_BIC, true), true;
    case VR_IR_orn:
        return int_rrr(e, A64_ORN, true), true;
    case VR_IR_xnor:
        return int_rrr(e, A64_EON, true), true;
    case VR_IR_ror:
        return int_rrr(e, A64_RORV, true), true;
    case VR_IR_rorw:
        return int_rrr(e, A64_RORV, false), true;
    case VR_IR_clz:
        return int_rr(e, A64_CLZ, true), true;
    case VR_IR_clzw:
        return int_rr(e, A64_CLZ, false), true;
    case VR_IR_rev8:
        return int_rr(e, A64_REV, true), true;
    default:
        return false;
    }
}

static bool int_immediate(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    unsigned n = (unsigned)ip->imm;
    int d;
    switch (ip->op) {
    case VR_IR_nop:
        return true;
    case VR_IR_li:
        d = emit_dst(ip->d, X0);
        asm_li(&e->s, d, (uint64_t)ip->imm);
        emit_put(e, ip->d, d);
        return true;
    case VR_IR_pcrel:
        return emit_pcrel(e, ip->d, (int64_t)e->page_off + ip->imm), true;
    case VR_IR_mov:
        emit_put(e, ip->d, emit_src(e, ip->a, X0));
        return true;
    case VR_IR_addi:
        return int_add_imm(e, true), true;
    case VR_IR_addiw:
        return int_add_imm(e, false), true;
    case VR_IR_andi:
        return int_logic_imm(e, A64_ANDI, A64_AND), true;
    case VR_IR_ori:
        return int_logic_imm(e, A64_ORRI, A64_ORR), true;
    case VR_IR_xori:
        return int_logic_imm(e, A64_EORI, A64_EOR), true;
    case VR_IR_slli:
        return int_slli(e), true;
    case VR_IR_srli:
        return int_bits(e, A64_UBFM, n, 64 - n), true;
    case VR_IR_srai:
        return int_bits(e, A64_SBFM, n, 64 - n), true;
    case VR_IR_slliw:
        return int_slliw(e, A64_SBFM, 32 - n), true;
    case VR_IR_srliw:
        return int_srliw(e), true;
    case VR_IR_sraiw:
        return int_bits(e, A64_SBFM, n, 32 - n), true;
    case VR_IR_slliuw:
        return int_slliw(e, A64_UBFM, n > 32 ? 64 - n : 32), true;
    case VR_IR_slti:
        return int_cmp_imm_set(e, CC_LT), true;
    case VR_IR_sltiu:
        return int_cmp_imm_set(e, CC_LO), true;
    case VR_IR_sext8:
        return int_bits(e, A64_SBFM, 0, 8), true;
    case VR_IR_sext16:
        return int_bits(e, A64_SBFM, 0, 16), true;
    case VR_IR_sext32:
        return int_bits(e, A64_SBFM, 0, 32), true;
    case VR_IR_zext16:
        return int_bits(e, A64_UBFM, 0, 16), true;
    case VR_IR_zext32:
        return int_bits(e, A64_UBFM, 0, 32), true;
    case VR_IR_rori:
        return int_rotate_imm(e, true), true;
    case VR_IR_roriw:
        return int_rotate_imm(e, false), true;
    case VR_IR_bexti:
        return int_bits(e, A64_UBFM, n, 1), true;
    case VR_IR_box32:
        return int_box(e, UINT64_C(0xffffffff00000000)), true;
    case VR_IR_box16:
        return int_box(e, ~UINT64_C(0xffff)), true;
    case VR_IR_fence:
        return asm_dmb(&e->s), true;
    default:
        return false;
    }
}

bool emit_int_op(struct emit *e)
{
    if (int_simple(e) || int_immediate(e)) {
        return true;
    }
    switch (e->ip->op) {
    case VR_IR_slt:
        return int_cmp_set(e, CC_LT), true;
    case VR_IR_sltu:
        return int_cmp_set(e, CC_LO), true;
    case VR_IR_mulhsu:
        return int_mulhsu(e), true;
    case VR_IR_div:
        return int_div(e, A64_SDIV, true), true;
    case VR_IR_divu:
        return int_div(e, A64_UDIV, true), true;
    case VR_IR_divw:
        return int_div(e, A64_SDIV, false), true;
    case VR_IR_divuw:
        return int_div(e, A64_UDIV, false), true;
    case VR_IR_rem:
        return int_rem(e, A64_SDIV, true), true;
    case VR_IR_remu:
        return int_rem(e, A64_UDIV, true), true;
    case VR_IR_remw:
        return int_rem(e, A64_SDIV, false), true;
    case VR_IR_remuw:
        return int_rem(e, A64_UDIV, false), true;
    case VR_IR_min:
        return int_minmax(e, CC_LT), true;
    case VR_IR_max:
        return int_minmax(e, CC_GT), true;
    case VR_IR_minu:
        return int_minmax(e, CC_LO), true;
    case VR_IR_maxu:
        return int_minmax(e, CC_HI), true;
    case VR_IR_ctz:
        return int_ctz(e, true), true;
    case VR_IR_ctzw:
        return int_ctz(e, false), true;
    case VR_IR_cpop:
        return int_cpop(e, true), true;
    case VR_IR_cpopw:
        return int_cpop(e, false), true;
    case VR_IR_rol:
        return int_rol(e, true), true;
    case VR_IR_rolw:
        return int_rol(e, false), true;
    case VR_IR_bclr:
        return int_bit(e, A64_BIC), true;
    case VR_IR_bset:
        return int_bit(e, A64_ORR), true;
    case VR_IR_binv:
        return int_bit(e, A64_EOR), true;
    case VR_IR_bext:
        return int_bext(e), true;
    case VR_IR_shadd:
        return int_shadd(e, false), true;
    case VR_IR_shadduw:
        return int_shadd(e, true), true;
    case VR_IR_czeqz:
        return int_czero(e, CC_NE), true;
    case VR_IR_cznez:
        return int_czero(e, CC_EQ), true;
    default:
        return false;
    }
}

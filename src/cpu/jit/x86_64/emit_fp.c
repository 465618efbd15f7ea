/*
 * The x86-64 back end: floating point.
 *
 * SSE arithmetic (as VEX forms, with FMA3) has IEEE 754's results and flags, and finds tininess
 * after rounding, as RISC-V does (ISA manual, F 11.2; Intel SDM 1, 11.5 and E.4.2). What differs is
 * put right: a NaN result becomes the canonical one, conversions that overflow and operands that
 * are not NaN-boxed go through C, as does every static rounding mode but to nearest. Code runs here
 * only while fcsr.frm is "to nearest" (vr_jit_fp_on sees to that) and MXCSR gathers the flags.
 */
#include "cpu/fp/fp.h"
#include "cpu/jit/x86_64/emit.h"

/* The xmm register that holds f slot @slot, which may be @scratch. */
static int fp_src(struct emit *e, unsigned slot, int scratch)
{
    int x = emit_xmm(slot);
    if (x != NO_REG) {
        return x;
    }
    asm_vrm(&e->s, MAP_0F, PP_F2, false, 0x10, scratch, 0, emit_slot(slot));
    return scratch;
}

static void fp_put(struct emit *e, unsigned slot, int x)
{
    int own = emit_xmm(slot);
    if (own == NO_REG) {
        asm_vrm(&e->s, MAP_0F, PP_F2, false, 0x11, x, 0, emit_slot(slot));
    } else if (own != x) {
        asm_vrr(&e->s, MAP_0F, PP_NONE, false, 0x28, own, 0, x); /* vmovaps */
    }
}

/* Is the static rounding mode one that the host's FPU is in? */
static bool fp_nearest(const struct vr_ir *ip)
{
    return (ip->imm & 7) == VR_RNE || (ip->imm & 7) == VR_RM_DYN;
}

/* Slow paths of operands that are not boxed singles; settled when the op is done. */
struct fp_boxes {
    size_t site[3];
    unsigned count;
};

static void fp_check_box(struct emit *e, unsigned slot, struct fp_boxes *boxes)
{
    int x = emit_xmm(slot);
    if (e->boxed >> (slot - VR_SLOT_F0) & 1) {
        return;
    }
    if (x != NO_REG) {
        asm_vrr(&e->s, MAP_0F3A, PP_66, false, 0x16, x, 0, RAX); /* vpextrd eax, x, 1 */
        asm_u8(&e->s, 1);
        asm_alu_imm(&e->s, false, ALU_CMP, RAX, -1);
    } else {
        struct vr_asm_mem m = emit_slot(slot);
        m.disp += 4;
        asm_alu_mem_imm(&e->s, false, ALU_CMP, m, -1);
    }
    boxes->site[boxes->count++] = asm_jcc(&e->s, CC_NE);
}

static void fp_settle(struct emit *e, const struct fp_boxes *boxes)
{
    for (unsigned i = 0; i < boxes->count; i++) {
        emit_slow(e, SLOW_OP, boxes->site[i])->resume = e->s.at;
    }
}

/* ucomisd, ucomiss, comisd, comiss */
static void fp_compare(struct emit *e, bool single, bool quiet, int a, int b)
{
    asm_vrr(&e->s, MAP_0F, single ? PP_NONE : PP_66, false, quiet ? 0x2e : 0x2f, a, 0, b);
}

/* A NaN in @x becomes the canonical one. */
static void fp_canonical(struct emit *e, bool single, int x)
{
    fp_compare(e, single, true, x, x);
    struct emit_slow *slow = emit_slow(e, single ? SLOW_NAN32 : SLOW_NAN64, asm_jcc(&e->s, CC_P));
    slow->reg = x;
    slow->resume = e->s.at;
}

static int fp_dst(unsigned slot)
{
    return emit_xmm(slot) != NO_REG ? emit_xmm(slot) : 0;
}

/* add 0x58, mul 0x59, sub 0x5c, div 0x5e, sqrt 0x51 */
static bool fp_arith(struct emit *e, bool single, unsigned op)
{
    const struct vr_ir *ip = e->ip;
    struct fp_boxes boxes = {.count = 0};
    bool unary = op == 0x51;
    unsigned b = unary ? ip->a : ip->b;
    if (!fp_nearest(ip)) {
        return false;
    }
    if (single) {
        fp_check_box(e, ip->a, &boxes);
        if (b != ip->a) {
            fp_check_box(e, b, &boxes);
        }
    }
    int xa = fp_src(e, ip->a, 1), xb = b == ip->a ? xa : fp_src(e, b, 2), d = fp_dst(ip->d);
    asm_vrr(&e->s, MAP_0F, single ? PP_F3 : PP_F2, false, op, d, xa, xb);
    fp_canonical(e, single, d);
    fp_put(e, ip->d, d);
    fp_settle(e, &boxes);
    e->box_result = single;
    return true;
}

/* One rounding. Whether infinity times zero plus a quiet NaN is invalid, processors answer
 * differently: NaN results go through C. */
static bool fp_fma(struct emit *e, bool single)
{
    const struct vr_ir *ip = e->ip;
    struct fp_boxes boxes = {.count = 0};
    unsigned signs = (unsigned)ip->imm & (VR_FMA_NEG_PRODUCT | VR_FMA_NEG_ADDEND);
    /* vfmadd213, vfmsub213, vfnmadd213, vfnmsub213: x0 = b * x0 + c */
    unsigned op = signs == 0                    ? 0xa9
                  : signs == VR_FMA_NEG_ADDEND  ? 0xab
                  : signs == VR_FMA_NEG_PRODUCT ? 0xad
                                                : 0xaf;
    if (!fp_nearest(ip)) {
        return false;
    }
    if (single) {
        fp_check_box(e, ip->a, &boxes);
        fp_check_box(e, ip->b, &boxes);
        fp_check_box(e, ip->c, &boxes);
    }
    int xa = fp_src(e, ip->a, 0);
    if (xa != 0) {
        asm_vrr(&e->s, MAP_0F, PP_NONE, false, 0x28, 0, 0, xa);
    }
    int xb = fp_src(e, ip->b, 1), xc = fp_src(e, ip->c, 2);
    asm_vrr(&e->s, MAP_0F38, PP_66, !single, op, 0, xb, xc);
    fp_compare(e, single, true, 0, 0);
    size_t nan = asm_jcc(&e->s, CC_P);
    fp_put(e, ip->d, 0);
    emit_slow(e, SLOW_OP, nan)->resume = e->s.at;
    fp_settle(e, &boxes);
    e->box_result = single;
    return true;
}

static void fp_sign(struct emit *e, bool single)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    struct fp_boxes boxes = {.count = 0};
    struct vr_asm_mem sign = asm_at(NO_REG, single ? EMIT_SIGN32 : EMIT_SIGN64);
    bool neg = ip->op == VR_IR_fsgnjn_s || ip->op == VR_IR_fsgnjn_d;
    bool xor = ip->op == VR_IR_fsgnjx_s || ip->op == VR_IR_fsgnjx_d;
    if (single) {
        fp_check_box(e, ip->a, &boxes);
        if (ip->b != ip->a) {
            fp_check_box(e, ip->b, &boxes);
        }
    }
    int a = fp_src(e, ip->a, 1);
    asm_vrm(s, MAP_0F, PP_NONE, false, 0x28, 0, 0, sign); /* vmovaps xmm0, sign */
    if (ip->a == ip->b && !neg && !xor) {
        asm_vrr(s, MAP_0F, PP_NONE, false, 0x28, 0, 0, a);
    } else if (ip->a == ip->b) { /* fneg: flip; fabs: clear */
        asm_vrr(s, MAP_0F, PP_NONE, false, xor? 0x55 : 0x57, 0, 0, a);
    } else {
        int b = fp_src(e, ip->b, 2);
        asm_vrr(s, MAP_0F, PP_NONE, false, neg ? 0x55 : 0x54, 2, neg ? b : 0, neg ? 0 : b);
        if (xor) { /* xmm2: the sign of b */
            asm_vrr(s, MAP_0F, PP_NONE, false, 0x57, 0, 2, a);
        } else {
            asm_vrr(s, MAP_0F, PP_NONE, false, 0x55, 0, 0, a); /* a without its sign */
            asm_vrr(s, MAP_0F, PP_NONE, false, 0x56, 0, 0, 2);
        }
    }
    fp_put(e, ip->d, 0);
    fp_settle(e, &boxes);
    e->box_result = single;
}

/* feq is quiet, flt and fle signal; unordered is false. */
static void fp_cmp(struct emit *e, bool single, bool eq, unsigned cc)
{
    const struct vr_ir *ip = e->ip;
    struct fp_boxes boxes = {.count = 0};
    if (single) {
        fp_check_box(e, ip->a, &boxes);
        if (ip->b != ip->a) {
            fp_check_box(e, ip->b, &boxes);
        }
    }
    int a = fp_src(e, ip->a, 1), b = fp_src(e, ip->b, 2);
    if (eq) {
        asm_li(&e->s, RCX, 0);
        fp_compare(e, single, true, a, b);
        asm_setcc(&e->s, CC_NP, RAX); /* leaves the flags alone */
        asm_cmov(&e->s, CC_NE, RAX, RCX);
    } else {
        fp_compare(e, single, false, b, a); /* b above a, or equal */
        asm_setcc(&e->s, cc, RAX);
    }
    emit_put(e, ip->d, RAX);
    fp_settle(e, &boxes);
}

/* To a signed integer. What does not fit, and NaN, gives 0x80..0 and goes through C. */
static bool fp_to_int(struct emit *e, bool single, bool w)
{
    const struct vr_ir *ip = e->ip;
    struct fp_boxes boxes = {.count = 0};
    unsigned rm = (unsigned)ip->imm & 7;
    if (rm != VR_RTZ && rm != VR_RNE && rm != VR_RM_DYN) {
        return false;
    }
    if (single) {
        fp_check_box(e, ip->a, &boxes);
    }
    int a = fp_src(e, ip->a, 1);
    asm_vrr(&e->s, MAP_0F, single ? PP_F3 : PP_F2, w, rm == VR_RTZ ? 0x2c : 0x2d, RAX, 0, a);
    if (w) {
        asm_li(&e->s, RCX, UINT64_C(1) << 63);
        asm_alu(&e->s, true, ALU_CMP, RAX, RCX);
    } else {
        asm_alu_imm(&e->s, false, ALU_CMP, RAX, INT32_MIN);
    }
    size_t odd = asm_jcc(&e->s, CC_E);
    if (!w) {
        asm_movsxd(&e->s, RAX, RAX);
    }
    emit_put(e, ip->d, RAX);
    emit_slow(e, SLOW_OP, odd)->resume = e->s.at;
    fp_settle(e, &boxes);
    return true;
}

static bool fp_from_int(struct emit *e, bool single, bool w)
{
    const struct vr_ir *ip = e->ip;
    if (!fp_nearest(ip)) {
        return false;
    }
    int a = emit_src(e, ip->a, RAX);
    if (single) { /* the upper half of the result comes from xmm1: ones */
        asm_vrr(&e->s, MAP_0F, PP_66, false, 0x76, 1, 1, 1);
    } else {
        asm_vrr(&e->s, MAP_0F, PP_NONE, false, 0x57, 1, 1, 1);
    }
    int d = fp_dst(ip->d);
    asm_vrr(&e->s, MAP_0F, single ? PP_F3 : PP_F2, w, 0x2a, d, 1, a);
    fp_put(e, ip->d, d);
    e->box_result = single;
    return true;
}

/* fcvt.s.d and fcvt.d.s */
static bool fp_convert(struct emit *e, bool to_single)
{
    const struct vr_ir *ip = e->ip;
    struct fp_boxes boxes = {.count = 0};
    if (to_single && !fp_nearest(ip)) {
        return false;
    }
    if (!to_single) {
        fp_check_box(e, ip->a, &boxes);
    }
    int a = fp_src(e, ip->a, 2), d = fp_dst(ip->d);
    asm_vrr(&e->s, MAP_0F, PP_66, false, 0x76, 1, 1, 1);
    asm_vrr(&e->s, MAP_0F, to_single ? PP_F2 : PP_F3, false, 0x5a, d, 1, a);
    fp_canonical(e, to_single, d);
    fp_put(e, ip->d, d);
    fp_settle(e, &boxes);
    e->box_result = to_single;
    return true;
}

static bool fp_fpx(struct emit *e)
{
    switch ((enum vr_fpx)e->ip->c) {
    case VR_FPX_fcvt_w_d:
        return fp_to_int(e, false, false);
    case VR_FPX_fcvt_l_d:
        return fp_to_int(e, false, true);
    case VR_FPX_fcvt_w_s:
        return fp_to_int(e, true, false);
    case VR_FPX_fcvt_l_s:
        return fp_to_int(e, true, true);
    case VR_FPX_fcvt_d_w:
        return fp_from_int(e, false, false);
    case VR_FPX_fcvt_d_l:
        return fp_from_int(e, false, true);
    case VR_FPX_fcvt_s_w:
        return fp_from_int(e, true, false);
    case VR_FPX_fcvt_s_l:
        return fp_from_int(e, true, true);
    case VR_FPX_fcvt_s_d:
        return fp_convert(e, true);
    case VR_FPX_fcvt_d_s:
        return fp_convert(e, false);
    default:
        return false;
    }
}

static void fp_on(struct emit *e)
{
    asm_cmp8_mem_imm(&e->s, EMIT_FIELD(fp_live), 0);
    struct emit_slow *slow = emit_slow(e, SLOW_FP_ON, asm_jcc(&e->s, CC_E));
    slow->resume = e->s.at;
}

bool emit_fp_op(struct emit *e)
{
    switch (e->ip->op) {
    case VR_IR_fpcheck:
        return fp_on(e), true;
    case VR_IR_rmcheck: /* live FP state is in a valid mode */
        return true;
    case VR_IR_fadd_s:
        return fp_arith(e, true, 0x58);
    case VR_IR_fsub_s:
        return fp_arith(e, true, 0x5c);
    case VR_IR_fmul_s:
        return fp_arith(e, true, 0x59);
    case VR_IR_fdiv_s:
        return fp_arith(e, true, 0x5e);
    case VR_IR_fsqrt_s:
        return fp_arith(e, true, 0x51);
    case VR_IR_fma_s:
        return fp_fma(e, true);
    case VR_IR_fadd_d:
        return fp_arith(e, false, 0x58);
    case VR_IR_fsub_d:
        return fp_arith(e, false, 0x5c);
    case VR_IR_fmul_d:
        return fp_arith(e, false, 0x59);
    case VR_IR_fdiv_d:
        return fp_arith(e, false, 0x5e);
    case VR_IR_fsqrt_d:
        return fp_arith(e, false, 0x51);
    case VR_IR_fma_d:
        return fp_fma(e, false);
    case VR_IR_fsgnj_s:
    case VR_IR_fsgnjn_s:
    case VR_IR_fsgnjx_s:
        return fp_sign(e, true), true;
    case VR_IR_fsgnj_d:
    case VR_IR_fsgnjn_d:
    case VR_IR_fsgnjx_d:
        return fp_sign(e, false), true;
    case VR_IR_feq_s:
        return fp_cmp(e, true, true, 0), true;
    case VR_IR_flt_s:
        return fp_cmp(e, true, false, CC_A), true;
    case VR_IR_fle_s:
        return fp_cmp(e, true, false, CC_AE), true;
    case VR_IR_feq_d:
        return fp_cmp(e, false, true, 0), true;
    case VR_IR_flt_d:
        return fp_cmp(e, false, false, CC_A), true;
    case VR_IR_fle_d:
        return fp_cmp(e, false, false, CC_AE), true;
    case VR_IR_fpx:
        return fp_fpx(e);
    default:
        return false;
    }
}

/*
 * The arm64 back end: floating point.
 *
 * Arm's scalar arithmetic has IEEE 754's results and flags (DDI 0487 A1.5); with FPCR.DN every NaN
 * result is RISC-V's canonical one. What differs is put right: tininess, which Arm finds before
 * rounding (SLOW_TINY); what NaN becomes as an integer; the upper word of a single, which Arm
 * clears and RISC-V fills with ones. Operands that are not NaN-boxed go through C, as does
 * arithmetic in every static rounding mode but to nearest. Code runs here only while fcsr.frm is
 * "to nearest" (vr_jit_fp_on sees to that) and FPSR gathers the flags.
 */
#include "cpu/fp/fp.h"
#include "cpu/jit/arm64/emit.h"

/* The register that holds f slot @slot, which may be @scratch. */
static int fp_src(struct emit *e, unsigned slot, int scratch)
{
    int x = emit_fpr(slot);
    if (x != NO_REG) {
        return x;
    }
    asm_mem(&e->s, A64_LDR_D, scratch, EMIT_FIELD(r) + slot * sizeof(uint64_t));
    return scratch;
}

/* The result of @x, boxed when it is a single. */
static void fp_put(struct emit *e, bool single, int x)
{
    unsigned slot = e->ip->d;
    int own = emit_fpr(slot), to = own == NO_REG ? x : own;
    if (single) { /* orr v.8b */
        asm_u32(&e->s, 0x0ea01c00u | EMIT_BOX << 16 | (unsigned)x << 5 | (unsigned)to);
    } else if (to != x) {
        asm_fff(&e->s, false, A64_FMOV, to, x, 0);
    }
    if (own == NO_REG) {
        asm_mem(&e->s, A64_STR_D, to, EMIT_FIELD(r) + slot * sizeof(uint64_t));
    }
    e->box_result = single;
}

/* Is the static rounding mode one that the host's FPU is in? */
static bool fp_nearest(const struct vr_ir *ip)
{
    return (ip->imm & 7) == VR_RNE || (ip->imm & 7) == VR_RM_DYN;
}

/* Jumps to C of operands or results that need it; settled when the op is done. */
struct fp_odd {
    size_t site[4];
    unsigned count;
};

static void fp_check_box(struct emit *e, bool single, unsigned slot, struct fp_odd *odd)
{
    if (!single || e->boxed >> (slot - VR_SLOT_F0) & 1) {
        return;
    }
    emit_get(e, X0, slot);
    asm_bits(&e->s, A64_SBFM, X0, X0, 32, 32);
    asm_cmp_imm(&e->s, X0, -1, X1);
    odd->site[odd->count++] = asm_bcc(&e->s, CC_NE);
}

static void fp_settle(struct emit *e, const struct fp_odd *odd)
{
    for (unsigned i = 0; i < odd->count; i++) {
        emit_slow(e, SLOW_OP, odd->site[i])->resume = e->s.at;
    }
}

/* v0 is the result, which may have underflowed; the returned one gets its `resume` at the end. */
static struct emit_slow *fp_check_tiny(struct emit *e, bool single)
{
    asm_fmov_to_x(&e->s, X0, 0);
    if (single) {
        asm_bits(&e->s, A64_UBFM, X0, X0, 23, 8);
    } else {
        asm_bits(&e->s, A64_UBFM, X0, X0, 52, 11);
    }
    asm_cmp_imm(&e->s, X0, 1, X1);
    struct emit_slow *slow = emit_slow(e, SLOW_TINY, asm_bcc(&e->s, CC_LS));
    slow->off = (int64_t)e->s.at;
    return slow;
}

static bool fp_arith(struct emit *e, bool single, uint32_t op)
{
    const struct vr_ir *ip = e->ip;
    struct fp_odd odd = {.count = 0};
    bool unary = op == A64_FSQRT, tiny = op == A64_FMUL || op == A64_FDIV;
    if (!fp_nearest(ip)) {
        return false;
    }
    fp_check_box(e, single, ip->a, &odd);
    if (!unary && ip->b != ip->a) {
        fp_check_box(e, single, ip->b, &odd);
    }
    int a = fp_src(e, ip->a, 1), b = unary ? 0 : fp_src(e, ip->b, 2);
    asm_fff(&e->s, single, op, 0, a, b);
    struct emit_slow *slow = tiny ? fp_check_tiny(e, single) : NULL;
    fp_put(e, single, 0);
    if (slow) {
        slow->resume = e->s.at;
    }
    fp_settle(e, &odd);
    return true;
}

/* One rounding; a sum of products that is tiny may be inexact. */
static bool fp_fma(struct emit *e, bool single)
{
    const struct vr_ir *ip = e->ip;
    struct fp_odd odd = {.count = 0};
    unsigned signs = (unsigned)ip->imm & (VR_FMA_NEG_PRODUCT | VR_FMA_NEG_ADDEND);
    uint32_t op = signs == 0                    ? 0x1f000000u /* fmadd: c + a * b */
                  : signs == VR_FMA_NEG_PRODUCT ? 0x1f008000u /* fmsub: c - a * b */
                  : signs == VR_FMA_NEG_ADDEND  ? 0x1f208000u /* fnmsub: -c + a * b */
                                                : 0x1f200000u; /* fnmadd: -c - a * b */
    if (!fp_nearest(ip)) {
        return false;
    }
    fp_check_box(e, single, ip->a, &odd);
    fp_check_box(e, single, ip->b, &odd);
    fp_check_box(e, single, ip->c, &odd);
    int a = fp_src(e, ip->a, 1), b = fp_src(e, ip->b, 2), c = fp_src(e, ip->c, 3);
    asm_fff(&e->s, single, op | (uint32_t)c << 10, 0, a, b);
    struct emit_slow *slow = fp_check_tiny(e, single);
    fp_put(e, single, 0);
    slow->resume = e->s.at;
    fp_settle(e, &odd);
    return true;
}

/* a with its sign replaced, or changed, by that of b. */
static bool fp_sign(struct emit *e, bool single, bool neg, bool xor)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    struct fp_odd odd = {.count = 0};
    unsigned top = single ? 31 : 63;
    fp_check_box(e, single, ip->a, &odd);
    if (ip->b != ip->a) {
        fp_check_box(e, single, ip->b, &odd);
    }
    int a = fp_src(e, ip->a, 1);
    if (ip->a == ip->b) {
        asm_fff(s, single, neg ? A64_FNEG : xor? A64_FABS : A64_FMOV, 0, a, 0);
    } else {
        asm_fmov_to_x(s, X0, a);
        asm_fmov_to_x(s, X1, fp_src(e, ip->b, 2));
        if (neg) {
            asm_rrr(s, true, A64_ORN, X1, XZR, X1);
        } else if (xor) {
            asm_rrr(s, true, A64_EOR, X1, X1, X0);
        }
        asm_bits(s, A64_UBFM, X1, X1, top, 1);
        /* bfi x0, x1, #top, #1 */
        asm_u32(s, A64_BFM | (64 - top) << 16 | X1 << 5 | X0);
        asm_fmov_from_x(s, 0, X0);
    }
    fp_put(e, single, 0);
    fp_settle(e, &odd);
    return true;
}

/* feq is quiet, flt and fle signal; unordered is false. */
static bool fp_cmp(struct emit *e, bool single, unsigned cc)
{
    const struct vr_ir *ip = e->ip;
    struct fp_odd odd = {.count = 0};
    fp_check_box(e, single, ip->a, &odd);
    if (ip->b != ip->a) {
        fp_check_box(e, single, ip->b, &odd);
    }
    int a = fp_src(e, ip->a, 1), b = fp_src(e, ip->b, 2), d = emit_dst(ip->d, X0);
    asm_fcmp(&e->s, single, cc != CC_EQ, a, b);
    asm_cset(&e->s, cc, d);
    emit_put(e, ip->d, d);
    fp_settle(e, &odd);
    return true;
}

/* Both saturate; NaN goes through C. */
static bool fp_to_int(struct emit *e, bool single, bool w, bool is_signed)
{
    const struct vr_ir *ip = e->ip;
    struct fp_odd odd = {.count = 0};
    static const uint8_t rmode[8] = {
        [VR_RNE] = 0, [VR_RTZ] = 3, [VR_RDN] = 2, [VR_RUP] = 1, [VR_RM_DYN] = 0};
    unsigned rm = (unsigned)ip->imm & 7;
    unsigned sel = rm == VR_RMM ? 4 : (unsigned)rmode[rm] << 3; /* fcvta: ties away */
    fp_check_box(e, single, ip->a, &odd);
    int a = fp_src(e, ip->a, 1);
    asm_fcmp(&e->s, single, false, a, a);
    odd.site[odd.count++] = asm_bcc(&e->s, CC_VS);
    asm_fcvt_int(&e->s, single, w, sel | (is_signed ? 0 : 1), X0, a);
    if (!w) {
        asm_sxtw(&e->s, X0, X0);
    }
    emit_put(e, ip->d, X0);
    fp_settle(e, &odd);
    return true;
}

static bool fp_from_int(struct emit *e, bool single, bool w, bool is_signed)
{
    if (!fp_nearest(e->ip)) {
        return false;
    }
    asm_fcvt_int(&e->s, single, w, is_signed ? 2 : 3, 0, emit_src(e, e->ip->a, X0));
    fp_put(e, single, 0);
    return true;
}

/* fcvt.s.d and fcvt.d.s */
static bool fp_convert(struct emit *e, bool to_single)
{
    const struct vr_ir *ip = e->ip;
    struct fp_odd odd = {.count = 0};
    struct emit_slow *slow = NULL;
    if (to_single && !fp_nearest(ip)) {
        return false;
    }
    fp_check_box(e, !to_single, ip->a, &odd);
    int a = fp_src(e, ip->a, 1);
    asm_u32(&e->s, (to_single ? 0x1e624000u : 0x1e22c000u) | (unsigned)a << 5);
    if (to_single) {
        slow = fp_check_tiny(e, true);
    }
    fp_put(e, to_single, 0);
    if (slow) {
        slow->resume = e->s.at;
    }
    fp_settle(e, &odd);
    return true;
}

static bool fp_fpx(struct emit *e)
{
    switch ((enum vr_fpx)e->ip->c) {
    case VR_FPX_fcvt_w_d:
        return fp_to_int(e, false, false, true);
    case VR_FPX_fcvt_wu_d:
        return fp_to_int(e, false, false, false);
    case VR_FPX_fcvt_l_d:
        return fp_to_int(e, false, true, true);
    case VR_FPX_fcvt_lu_d:
        return fp_to_int(e, false, true, false);
    case VR_FPX_fcvt_w_s:
        return fp_to_int(e, true, false, true);
    case VR_FPX_fcvt_wu_s:
        return fp_to_int(e, true, false, false);
    case VR_FPX_fcvt_l_s:
        return fp_to_int(e, true, true, true);
    case VR_FPX_fcvt_lu_s:
        return fp_to_int(e, true, true, false);
    case VR_FPX_fcvt_d_w:
        return fp_from_int(e, false, false, true);
    case VR_FPX_fcvt_d_wu:
        return fp_from_int(e, false, false, false);
    case VR_FPX_fcvt_d_l:
        return fp_from_int(e, false, true, true);
    case VR_FPX_fcvt_d_lu:
        return fp_from_int(e, false, true, false);
    case VR_FPX_fcvt_s_w:
        return fp_from_int(e, true, false, true);
    case VR_FPX_fcvt_s_wu:
        return fp_from_int(e, true, false, false);
    case VR_FPX_fcvt_s_l:
        return fp_from_int(e, true, true, true);
    case VR_FPX_fcvt_s_lu:
        return fp_from_int(e, true, true, false);
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
    asm_mem(&e->s, A64_LDRB, X0, EMIT_FIELD(fp_live));
    struct emit_slow *slow = emit_slow(e, SLOW_FP_ON, asm_cbz(&e->s, false, false, X0));
    slow->resume = e->s.at;
}

static bool fp_single(struct emit *e)
{
    switch (e->ip->op) {
    case VR_IR_fadd_s:
        return fp_arith(e, true, A64_FADD);
    case VR_IR_fsub_s:
        return fp_arith(e, true, A64_FSUB);
    case VR_IR_fmul_s:
        return fp_arith(e, true, A64_FMUL);
    case VR_IR_fdiv_s:
        return fp_arith(e, true, A64_FDIV);
    case VR_IR_fsqrt_s:
        return fp_arith(e, true, A64_FSQRT);
    case VR_IR_fma_s:
        return fp_fma(e, true);
    case VR_IR_fsgnj_s:
        return fp_sign(e, true, false, false);
    case VR_IR_fsgnjn_s:
        return fp_sign(e, true, true, false);
    case VR_IR_fsgnjx_s:
        return fp_sign(e, true, false, true);
    case VR_IR_feq_s:
        return fp_cmp(e, true, CC_EQ);
    case VR_IR_flt_s:
        return fp_cmp(e, true, CC_MI);
    case VR_IR_fle_s:
        return fp_cmp(e, true, CC_LS);
    default:
        return false;
    }
}

bool emit_fp_op(struct emit *e)
{
    switch (e->ip->op) {
    case VR_IR_fpcheck:
        return fp_on(e), true;
    case VR_IR_rmcheck: /* live FP state is in a valid mode */
        return true;
    case VR_IR_fadd_d:
        return fp_arith(e, false, A64_FADD);
    case VR_IR_fsub_d:
        return fp_arith(e, false, A64_FSUB);
    case VR_IR_fmul_d:
        return fp_arith(e, false, A64_FMUL);
    case VR_IR_fdiv_d:
        return fp_arith(e, false, A64_FDIV);
    case VR_IR_fsqrt_d:
        return fp_arith(e, false, A64_FSQRT);
    case VR_IR_fma_d:
        return fp_fma(e, false);
    case VR_IR_fsgnj_d:
        return fp_sign(e, false, false, false);
    case VR_IR_fsgnjn_d:
        return fp_sign(e, false, true, false);
    case VR_IR_fsgnjx_d:
        return fp_sign(e, false, false, true);
    case VR_IR_feq_d:
        return fp_cmp(e, false, CC_EQ);
    case VR_IR_flt_d:
        return fp_cmp(e, false, CC_MI);
    case VR_IR_fle_d:
        return fp_cmp(e, false, CC_LS);
    case VR_IR_fpx:
        return fp_fpx(e);
    default:
        return fp_single(e);
    }
}

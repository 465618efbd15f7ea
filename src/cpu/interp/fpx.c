/* The less common FP ops: which function of cpu/fp computes each. ISA manual, F, D, Zfh, Zfa. */
#include "cpu/interp/fpx.h"
#include "cpu/fp/fp.h"
#include "cpu/interp/ops.h"

#define S(v) vr_f32_unbox(v)
#define H(v) vr_f16_unbox(v)

static uint64_t sign_extend_i32(int32_t v)
{
    return (uint64_t)(int64_t)v;
}

/* Rows that the three formats share. */
#define FORMAT(s, T, UN, BOX, BITS)                                      \
    case VR_FPX_fmin_##s:                                                \
        return BOX(vr_##T##_min(UN(a), UN(b), fl));                      \
    case VR_FPX_fmax_##s:                                                \
        return BOX(vr_##T##_max(UN(a), UN(b), fl));                      \
    case VR_FPX_fminm_##s:                                               \
        return BOX(vr_##T##_minm(UN(a), UN(b), fl));                     \
    case VR_FPX_fmaxm_##s:                                               \
        return BOX(vr_##T##_maxm(UN(a), UN(b), fl));                     \
    case VR_FPX_fclass_##s:                                              \
        return vr_##T##_class(UN(a));                                    \
    case VR_FPX_fleq_##s:                                                \
        return vr_##T##_leq(UN(a), UN(b), fl);                           \
    case VR_FPX_fltq_##s:                                                \
        return vr_##T##_ltq(UN(a), UN(b), fl);                           \
    case VR_FPX_fround_##s:                                              \
        return BOX(vr_##T##_round(UN(a), rm, fl));                       \
    case VR_FPX_froundnx_##s:                                            \
        return BOX(vr_##T##_roundnx(UN(a), rm, fl));                     \
    case VR_FPX_fcvt_w_##s:                                              \
        return sign_extend_i32(vr_##T##_to_i32(UN(a), rm, fl));          \
    case VR_FPX_fcvt_wu_##s:                                             \
        return sign_extend_i32((int32_t)vr_##T##_to_u32(UN(a), rm, fl)); \
    case VR_FPX_fcvt_l_##s:                                              \
        return (uint64_t)vr_##T##_to_i64(UN(a), rm, fl);                 \
    case VR_FPX_fcvt_lu_##s:                                             \
        return vr_##T##_to_u64(UN(a), rm, fl);                           \
    case VR_FPX_fcvt_##s##_w:                                            \
        return BOX(vr_##T##_from_i32((int32_t)(uint32_t)a, rm, fl));     \
    case VR_FPX_fcvt_##s##_wu:                                           \
        return BOX(vr_##T##_from_u32((uint32_t)a, rm, fl));              \
    case VR_FPX_fcvt_##s##_l:                                            \
        return BOX(vr_##T##_from_i64((int64_t)a, rm, fl));               \
    case VR_FPX_fcvt_##s##_lu:                                           \
        return BOX(vr_##T##_from_u64(a, rm, fl));

#define D(v) (v)

uint64_t vr_fpx_eval(enum vr_fpx op, unsigned rm, uint64_t a, uint64_t b, uint64_t c, uint32_t *fl)
{
    switch (op) {
        FORMAT(s, f32, S, vr_f32_box, 32)
        FORMAT(d, f64, D, D, 64)
        FORMAT(h, f16, H, vr_f16_box, 16)
    case VR_FPX_fcvt_s_d:
        return vr_f32_box(vr_f64_to_f32(a, rm, fl));
    case VR_FPX_fcvt_d_s:
        return vr_f32_to_f64(S(a), fl);
    case VR_FPX_fcvt_s_h:
        return vr_f32_box(vr_f16_to_f32(H(a), fl));
    case VR_FPX_fcvt_h_s:
        return vr_f16_box(vr_f32_to_f16(S(a), rm, fl));
    case VR_FPX_fcvt_d_h:
        return vr_f16_to_f64(H(a), fl);
    case VR_FPX_fcvt_h_d:
        return vr_f16_box(vr_f64_to_f16(a, rm, fl));
    case VR_FPX_fadd_h:
        return vr_f16_box(vr_f16_add(H(a), H(b), rm, fl));
    case VR_FPX_fsub_h:
        return vr_f16_box(vr_f16_sub(H(a), H(b), rm, fl));
    case VR_FPX_fmul_h:
        return vr_f16_box(vr_f16_mul(H(a), H(b), rm, fl));
    case VR_FPX_fdiv_h:
        return vr_f16_box(vr_f16_div(H(a), H(b), rm, fl));
    case VR_FPX_fsqrt_h:
        return vr_f16_box(vr_f16_sqrt(H(a), rm, fl));
    case VR_FPX_fma_h:
        return vr_f16_box(vr_f16_fma(H(a), H(b), H(c), rm, fl));
    case VR_FPX_fsgnj_h:
        return vr_f16_box((uint16_t)((H(a) & 0x7fff) | (H(b) & 0x8000)));
    case VR_FPX_fsgnjn_h:
        return vr_f16_box((uint16_t)((H(a) & 0x7fff) | (~H(b) & 0x8000)));
    case VR_FPX_fsgnjx_h:
        return vr_f16_box((uint16_t)(H(a) ^ (H(b) & 0x8000)));
    case VR_FPX_feq_h:
        return vr_f16_eq(H(a), H(b), fl);
    case VR_FPX_flt_h:
        return vr_f16_lt(H(a), H(b), fl);
    case VR_FPX_fle_h:
        return vr_f16_le(H(a), H(b), fl);
    case VR_FPX_fcvtmod_w_d:
        return sign_extend_i32(vr_f64_cvtmod_i32(a, fl));
    case VR_FPX_COUNT:
        break;
    }
    vr_assert(!"an fpx op that the list does not have");
    return 0;
}

/* The terms of cpu/interp/op_list.h. In scope there: cpu, ip (the op) and r (the slots). */
#ifndef VR_CPU_INTERP_OP_TERMS_H
#define VR_CPU_INTERP_OP_TERMS_H

#include "cpu/fp/fp_fast.h"
#include "cpu/interp/fpx.h"
#include "cpu/interp/ops.h"

/* clang-format off */
#define A        r[ip->a]
#define B        r[ip->b]
#define C        r[ip->c]
#define IMM      ((uint64_t)ip->imm)
#define FL       (&cpu->fflags)
#define RM(imm)  (VR_LIKELY(((imm) & 7) != VR_RM_DYN) ? (unsigned)(imm) & 7 : cpu->frm)
#define BOX(v)     vr_f32_box(v)
#define UNBOX(v)   vr_f32_unbox(v)
#define SIGN32     UINT32_C(0x80000000)
#define SIGN64     (UINT64_C(1) << 63)
#define NEG32(bit) ((ip->imm & (bit)) ? SIGN32 : 0)
#define NEG64(bit) ((ip->imm & (bit)) ? SIGN64 : 0)
/* clang-format on */

#endif

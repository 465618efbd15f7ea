/* One op at a time: see vr_op_eval in cpu/interp/fpx.h. */
#include "base/bits.h"
#include "cpu/interp/op_terms.h"

bool vr_op_eval(struct vr_cpu *cpu, const struct vr_ir *ip)
{
    uint64_t *const r = cpu->r;
    switch ((enum vr_ir_opcode)ip->op) {
#define OP(name, expr)     \
    case VR_IR_##name:     \
        r[ip->d] = (expr); \
        return true;
#include "cpu/interp/op_list.h"
    case VR_IR_lr32:
        return vr_load_reserved(cpu, ip, 4);
    case VR_IR_lr64:
        return vr_load_reserved(cpu, ip, 8);
    case VR_IR_sc32:
        return vr_store_conditional(cpu, ip, 4);
    case VR_IR_sc64:
        return vr_store_conditional(cpu, ip, 8);
    case VR_IR_amo:
    case VR_IR_amocas:
        return vr_amo_slow(cpu, ip);
    default:
        vr_assert(!"an op that cannot be had alone");
        return false;
    }
}

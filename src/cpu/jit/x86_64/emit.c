/* The x86-64 back end: registers, and slow paths. See emit.h. */
#include "cpu/jit/x86_64/emit.h"

/* The registers that compilers use most, by their allocation order (RISC-V psABI). */
int emit_gpr(unsigned slot)
{
    static const int8_t map[32] = {
        [2] = R14 + 1,  [8] = R9 + 1,  [9] = R10 + 1,  [10] = RBX + 1, [11] = RSI + 1,
        [12] = RDI + 1, [13] = R8 + 1, [14] = R12 + 1, [15] = R13 + 1, [16] = R11 + 1,
    };
    return slot < 32 ? map[slot] - 1 : NO_REG;
}

int emit_xmm(unsigned slot)
{
    static const int8_t map[32] = {
        [10] = 3, [11] = 4, [12] = 5, [13] = 6, [14] = 7, [15] = 8, [0] = 9,
        [1] = 10, [2] = 11, [3] = 12, [4] = 13, [5] = 14, [6] = 15,
    };
    unsigned f = slot - VR_SLOT_F0;
    return f < 32 && map[f] ? map[f] : NO_REG;
}

struct vr_asm_mem emit_slot(unsigned slot)
{
    return asm_at(RBP, ((int64_t)slot - 16) * 8);
}

void emit_get(struct emit *e, int reg, unsigned slot)
{
    int h = emit_gpr(slot), x = emit_xmm(slot);
    if (slot == VR_SLOT_ZERO) {
        asm_li(&e->s, reg, 0);
    } else if (h != NO_REG) {
        asm_mov(&e->s, reg, h);
    } else if (x != NO_REG) {
        asm_vrr(&e->s, MAP_0F, PP_66, true, 0x7e, x, 0, reg); /* vmovq */
    } else {
        asm_load(&e->s, reg, emit_slot(slot));
    }
}

int emit_src(struct emit *e, unsigned slot, int scratch)
{
    int h = emit_gpr(slot);
    if (h != NO_REG) {
        return h;
    }
    emit_get(e, scratch, slot);
    return scratch;
}

int emit_dst(unsigned slot, int scratch)
{
    int h = emit_gpr(slot);
    return h != NO_REG ? h : scratch;
}

void emit_put(struct emit *e, unsigned slot, int reg)
{
    int h = emit_gpr(slot), x = emit_xmm(slot);
    if (slot == VR_SLOT_SINK || slot == VR_SLOT_ZERO) {
        return;
    }
    if (h != NO_REG) {
        asm_mov(&e->s, h, reg);
    } else if (x != NO_REG) {
        asm_vrr(&e->s, MAP_0F, PP_66, true, 0x6e, x, 0, reg);
    } else {
        asm_store(&e->s, emit_slot(slot), reg);
    }
}

void emit_call_op(struct emit *e)
{
    asm_li(&e->s, RDX, (uintptr_t)e->ip);
    asm_li(&e->s, RCX, emit_info(e, 0));
    asm_call_to(&e->s, e->shared->op);
}

/* rax holds what was loaded, as wide as it was. */
static void slow_loaded(struct emit *e, const struct vr_ir *ir)
{
    int d = emit_dst(ir->d, RAX);
    switch (ir->op) {
    case VR_IR_ld8:
        asm_rr(&e->s, true, 0x0fbe, d, RAX);
        break;
    case VR_IR_ld16:
        asm_rr(&e->s, true, 0x0fbf, d, RAX);
        break;
    case VR_IR_ld32:
        asm_movsxd(&e->s, d, RAX);
        break;
    case VR_IR_ldbox32:
        asm_li(&e->s, RDX, UINT64_C(0xffffffff00000000));
        asm_alu(&e->s, true, ALU_OR, RAX, RDX);
        break;
    case VR_IR_ldbox16:
        asm_alu_imm(&e->s, true, ALU_OR, RAX, -65536);
        break;
    default:
        asm_mov(&e->s, d, RAX);
        break;
    }
    emit_put(e, ir->d, d);
}

void emit_slow_path(struct emit *e, const struct emit_slow *slow)
{
    struct vr_asm *s = &e->s;
    if (slow->fault) {
        emit_slow_faulted(e, slow);
    }
    asm_patch(s, slow->site, s->at);
    switch (slow->kind) {
    case SLOW_LOAD:
        emit_slow_look_up(e, slow);
        asm_li(s, RCX, slow->info);
        asm_call_to(s, e->shared->load);
        slow_loaded(e, slow->ir);
        break;
    case SLOW_STORE:
        emit_slow_look_up(e, slow);
        emit_get(e, RDX, slow->ir->b);
        asm_li(s, RCX, slow->info);
        asm_call_to(s, e->shared->store);
        emit_slow_forget_groups(e, slow);
        break;
    case SLOW_OP:
        asm_li(s, RDX, (uintptr_t)slow->ir);
        asm_li(s, RCX, slow->info);
        asm_call_to(s, e->shared->op);
        break;
    case SLOW_FP_ON:
        asm_li(s, RCX, slow->info);
        asm_call_to(s, e->shared->fp_on);
        break;
    case SLOW_EXIT:
        if (slow->uncount) {
            asm_alu_imm(s, true, ALU_SUB, R15, 1);
        }
        asm_li(s, RAX, (uint64_t)slow->off);
        asm_jmp_to(s, e->shared->exit_off);
        return;
    case SLOW_FAR:
        emit_far(e, slow->off);
        return;
    case SLOW_END:
        emit_helper_end(e, slow->ir, slow->info);
        return;
    case SLOW_DIV:
        emit_div_plain(e, slow->ir);
        break;
    case SLOW_TINY: /* not here */
        return;
    case SLOW_NAN64:
        asm_vrm(s, MAP_0F, PP_F2, false, 0x10, slow->reg, 0, asm_at(NO_REG, EMIT_NAN64));
        break;
    case SLOW_NAN32:
        asm_vrm(s, MAP_0F, PP_F2, false, 0x10, slow->reg, 0, asm_at(NO_REG, EMIT_NAN32));
        break;
    }
    asm_jmp_to(s, slow->resume);
}

void emit_patch(struct vr_asm *s, size_t site, size_t target)
{
    asm_patch(s, site, target);
}

size_t emit_budget(struct emit *e)
{
    asm_lea(&e->s, true, RAX, asm_at(R15, e->b->insn_count));
    asm_alu_mem(&e->s, true, ALU_CMP, RAX, EMIT_FIELD(budget));
    return asm_jcc(&e->s, CC_A);
}

void emit_begin(struct emit *e)
{
    e->group_count = 0;
    if (!e->cpu->steps) { /* there each access asks the TLB, as the interpreter's do */
        emit_find_groups(e);
    }
    asm_alu_imm(&e->s, true, ALU_ADD, R15, e->b->insn_count);
}

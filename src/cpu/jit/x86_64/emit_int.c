/* The x86-64 back end: constants, integer arithmetic, bits, and the ends of blocks. */
#include "cpu/jit/x86_64/emit.h"

/* d = a op b, where op is a commutative or not group 1 operation. */
static void int_alu(struct emit *e, unsigned alu, bool w)
{
    const struct vr_ir *ip = e->ip;
    unsigned a = ip->a, b = ip->b;
    int d = emit_dst(ip->d, RAX);
    bool commutes = alu != ALU_SUB;

    if (commutes && emit_gpr(b) == d && d != RAX) {
        unsigned t = a;
        a = b;
        b = t;
    }
    if (alu == ALU_ADD && w && emit_gpr(a) != NO_REG && emit_gpr(b) != NO_REG && emit_gpr(a) != d) {
        asm_lea(&e->s, true, d, asm_at_index(emit_gpr(a), emit_gpr(b), 0, 0));
        emit_put(e, ip->d, d);
        return;
    }
    int work = !commutes && emit_gpr(b) == d ? RAX : d;
    emit_get(e, work, a);
    if (emit_gpr(b) != NO_REG) {
        asm_alu(&e->s, w, alu, work, emit_gpr(b));
    } else if (b != VR_SLOT_ZERO) {
        asm_alu_mem(&e->s, w, alu, work, emit_slot(b));
    } else if (alu == ALU_AND) {
        asm_li(&e->s, work, 0);
    }
    if (!w) {
        asm_movsxd(&e->s, d, work);
        work = d;
    }
    emit_put(e, ip->d, work);
}

static void int_alu_imm(struct emit *e, unsigned alu)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, RAX);
    if (alu == ALU_ADD && asm_is_i32(ip->imm) && emit_gpr(ip->a) != NO_REG) {
        if (emit_gpr(ip->a) == d) {
            asm_alu_imm(&e->s, true, ALU_ADD, d, (int32_t)ip->imm);
        } else {
            asm_lea(&e->s, true, d, asm_at(emit_gpr(ip->a), ip->imm));
        }
    } else if (asm_is_i32(ip->imm)) {
        emit_get(e, d, ip->a);
        asm_alu_imm(&e->s, true, alu, d, (int32_t)ip->imm);
    } else {
        asm_li(&e->s, RCX, (uint64_t)ip->imm);
        emit_get(e, d, ip->a);
        asm_alu(&e->s, true, alu, d, RCX);
    }
    emit_put(e, ip->d, d);
}

static void int_addiw(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, RAX);
    if (ip->imm == 0) {
        asm_movsxd(&e->s, d, emit_src(e, ip->a, RAX));
    } else {
        asm_lea(&e->s, false, RAX, asm_at(emit_src(e, ip->a, RAX), (int32_t)ip->imm));
        asm_movsxd(&e->s, d, RAX);
    }
    emit_put(e, ip->d, d);
}

/* Shifts by a register: shlx and the like take the count modulo the width, as RISC-V does. */
static void int_shift(struct emit *e, unsigned pp, bool w)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, RAX);
    int a = emit_src(e, ip->a, RAX), n = emit_src(e, ip->b, RCX);
    asm_shiftx(&e->s, w, pp, d, a, n);
    if (!w) {
        asm_movsxd(&e->s, d, d);
    }
    emit_put(e, ip->d, d);
}

static void int_shift_imm(struct emit *e, unsigned kind, bool w)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, RAX);
    unsigned n = (unsigned)ip->imm;
    if (!w && kind == SHIFT_SAR) {
        asm_movsxd(&e->s, d, emit_src(e, ip->a, RAX));
        asm_shift_imm(&e->s, true, kind, d, n);
    } else {
        emit_get(e, d, ip->a);
        asm_shift_imm(&e->s, w, kind, d, n);
        if (!w && (kind == SHIFT_SHL || n == 0)) {
            asm_movsxd(&e->s, d, d);
        }
    }
    emit_put(e, ip->d, d);
}

/* Compare slots a and b. */
static void int_cmp(struct emit *e, unsigned a, unsigned b)
{
    if (b == VR_SLOT_ZERO) {
        if (emit_gpr(a) != NO_REG) {
            asm_test(&e->s, true, emit_gpr(a), emit_gpr(a));
        } else if (a == VR_SLOT_ZERO) {
            asm_alu(&e->s, true, ALU_XOR, RAX, RAX);
        } else {
            asm_alu_mem_imm(&e->s, true, ALU_CMP, emit_slot(a), 0);
        }
        return;
    }
    int x = emit_src(e, a, RAX);
    if (emit_gpr(b) != NO_REG) {
        asm_alu(&e->s, true, ALU_CMP, x, emit_gpr(b));
    } else {
        asm_alu_mem(&e->s, true, ALU_CMP, x, emit_slot(b));
    }
}

static void int_set(struct emit *e, unsigned cc)
{
    asm_setcc(&e->s, cc, RAX);
    emit_put(e, e->ip->d, RAX);
}

static void int_cmp_imm(struct emit *e, unsigned cc)
{
    const struct vr_ir *ip = e->ip;
    if (emit_gpr(ip->a) != NO_REG) {
        asm_alu_imm(&e->s, true, ALU_CMP, emit_gpr(ip->a), (int32_t)ip->imm);
    } else if (ip->a == VR_SLOT_ZERO) {
        asm_li(&e->s, RAX, 0);
        asm_alu_imm(&e->s, true, ALU_CMP, RAX, (int32_t)ip->imm);
    } else {
        asm_alu_mem_imm(&e->s, true, ALU_CMP, emit_slot(ip->a), (int32_t)ip->imm);
    }
    int_set(e, cc);
}

static void int_mul(struct emit *e, bool w)
{
    const struct vr_ir *ip = e->ip;
    emit_get(e, RAX, ip->a);
    asm_rr(&e->s, w, 0x0faf, RAX, emit_src(e, ip->b, RCX));
    if (!w) {
        asm_movsxd(&e->s, RAX, RAX);
    }
    emit_put(e, ip->d, RAX);
}

/* The high half: mul is 4, imul 5. */
static void int_mulh(struct emit *e, unsigned kind, bool a_signed)
{
    const struct vr_ir *ip = e->ip;
    emit_get(e, RAX, ip->a);
    asm_group3(&e->s, true, kind, emit_src(e, ip->b, RCX));
    if (a_signed) { /* as unsigned it was 2^64 too much, times b */
        emit_get(e, RCX, ip->a);
        asm_shift_imm(&e->s, true, SHIFT_SAR, RCX, 63);
        emit_get(e, RAX, ip->b);
        asm_alu(&e->s, true, ALU_AND, RCX, RAX);
        asm_alu(&e->s, true, ALU_SUB, RDX, RCX);
    }
    emit_put(e, ip->d, RDX);
}

static void int_minmax(struct emit *e, unsigned keep_b_cc)
{
    const struct vr_ir *ip = e->ip;
    emit_get(e, RAX, ip->a);
    int b = emit_src(e, ip->b, RCX);
    asm_alu(&e->s, true, ALU_CMP, RAX, b);
    asm_cmov(&e->s, keep_b_cc, RAX, b);
    emit_put(e, ip->d, RAX);
}

/* lzcnt 0x0fbd, tzcnt 0x0fbc, popcnt 0x0fb8. */
static void int_count(struct emit *e, unsigned op, bool w)
{
    int d = emit_dst(e->ip->d, RAX);
    int a = emit_src(e, e->ip->a, RCX);
    asm_prr(&e->s, 0xf3, w, op, d, a);
    emit_put(e, e->ip->d, d);
}

static void int_extend(struct emit *e, bool w, unsigned op)
{
    int d = emit_dst(e->ip->d, RAX);
    asm_rr(&e->s, w, op, d, emit_src(e, e->ip->a, RAX));
    emit_put(e, e->ip->d, d);
}

static void int_rotate(struct emit *e, unsigned kind, bool w)
{
    const struct vr_ir *ip = e->ip;
    emit_get(e, RCX, ip->b);
    emit_get(e, RAX, ip->a);
    asm_shift_cl(&e->s, w, kind, RAX);
    if (!w) {
        asm_movsxd(&e->s, RAX, RAX);
    }
    emit_put(e, ip->d, RAX);
}

static void int_rotate_imm(struct emit *e, bool w)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, RAX);
    asm_rorx(&e->s, w, d, emit_src(e, ip->a, RAX), (unsigned)ip->imm & (w ? 63 : 31));
    if (!w) {
        asm_movsxd(&e->s, d, d);
    }
    emit_put(e, ip->d, d);
}

/* bt 0x0fa3, bts 0x0fab, btr 0x0fb3, btc 0x0fbb on a register: the number modulo 64. */
static void int_bit(struct emit *e, unsigned op)
{
    const struct vr_ir *ip = e->ip;
    emit_get(e, RAX, ip->a);
    asm_rr(&e->s, true, op, emit_src(e, ip->b, RCX), RAX);
    if (op == 0x0fa3) {
        asm_setcc(&e->s, CC_B, RAX);
    }
    emit_put(e, ip->d, RAX);
}

static void int_shadd(struct emit *e, bool word)
{
    const struct vr_ir *ip = e->ip;
    int d = emit_dst(ip->d, RAX);
    int a = emit_src(e, ip->a, RAX);
    if (word) {
        asm_mov32(&e->s, RAX, a);
        a = RAX;
    }
    asm_lea(&e->s, true, d, asm_at_index(emit_src(e, ip->b, RCX), a, ip->c, 0));
    emit_put(e, ip->d, d);
}

/* d = b is (not) zero ? 0 : a */
static void int_czero(struct emit *e, unsigned cc)
{
    const struct vr_ir *ip = e->ip;
    emit_get(e, RCX, ip->a);
    int b = emit_src(e, ip->b, RDX);
    asm_li(&e->s, RAX, 0);
    asm_test(&e->s, true, b, b);
    asm_cmov(&e->s, cc, RAX, RCX);
    emit_put(e, ip->d, RAX);
}

static void int_not_first(struct emit *e, unsigned alu)
{
    const struct vr_ir *ip = e->ip; /* a op ~b */
    emit_get(e, RAX, ip->b);
    asm_group3(&e->s, true, 2, RAX);
    int a = emit_src(e, ip->a, RCX);
    asm_alu(&e->s, true, alu, RAX, a);
    emit_put(e, ip->d, RAX);
}

void emit_pcrel(struct emit *e, unsigned slot, int64_t off)
{
    int d = emit_dst(slot, RAX);
    asm_load(&e->s, d, EMIT_FIELD(page_va));
    if (asm_is_i32(off)) {
        asm_alu_imm(&e->s, true, ALU_ADD, d, (int32_t)off);
    } else {
        asm_li(&e->s, RCX, (uint64_t)off);
        asm_alu(&e->s, true, ALU_ADD, d, RCX);
    }
    emit_put(e, slot, d);
}

static void int_fence(struct emit *e)
{
    if (e->ip->imm == 0) { /* a locked operation orders everything, and costs less than mfence */
        static const uint8_t lock_or[] = {0xf0, 0x83, 0x0c, 0x24, 0x00};
        asm_bytes(&e->s, lock_or, sizeof(lock_or));
    }
}

bool emit_int_op(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    int d;
    switch (ip->op) {
    case VR_IR_nop:
        return true;
    case VR_IR_li:
        d = emit_dst(ip->d, RAX);
        asm_li(&e->s, d, (uint64_t)ip->imm);
        emit_put(e, ip->d, d);
        return true;
    case VR_IR_pcrel:
        emit_pcrel(e, ip->d, (int64_t)e->page_off + ip->imm);
        return true;
    case VR_IR_mov:
        emit_put(e, ip->d, emit_src(e, ip->a, RAX));
        return true;
    case VR_IR_add:
        return int_alu(e, ALU_ADD, true), true;
    case VR_IR_sub:
        return int_alu(e, ALU_SUB, true), true;
    case VR_IR_and:
        return int_alu(e, ALU_AND, true), true;
    case VR_IR_or:
        return int_alu(e, ALU_OR, true), true;
    case VR_IR_xor:
        return int_alu(e, ALU_XOR, true), true;
    case VR_IR_addw:
        return int_alu(e, ALU_ADD, false), true;
    case VR_IR_subw:
        return int_alu(e, ALU_SUB, false), true;
    case VR_IR_addi:
        return int_alu_imm(e, ALU_ADD), true;
    case VR_IR_andi:
        return int_alu_imm(e, ALU_AND), true;
    case VR_IR_ori:
        return int_alu_imm(e, ALU_OR), true;
    case VR_IR_xori:
        return int_alu_imm(e, ALU_XOR), true;
    case VR_IR_addiw:
        return int_addiw(e), true;
    case VR_IR_sll:
        return int_shift(e, PP_66, true), true;
    case VR_IR_srl:
        return int_shift(e, PP_F2, true), true;
    case VR_IR_sra:
        return int_shift(e, PP_F3, true), true;
    case VR_IR_sllw:
        return int_shift(e, PP_66, false), true;
    case VR_IR_srlw:
        return int_shift(e, PP_F2, false), true;
    case VR_IR_sraw:
        return int_shift(e, PP_F3, false), true;
    case VR_IR_slli:
        return int_shift_imm(e, SHIFT_SHL, true), true;
    case VR_IR_srli:
        return int_shift_imm(e, SHIFT_SHR, true), true;
    case VR_IR_srai:
        return int_shift_imm(e, SHIFT_SAR, true), true;
    case VR_IR_slliw:
        return int_shift_imm(e, SHIFT_SHL, false), true;
    case VR_IR_srliw:
        return int_shift_imm(e, SHIFT_SHR, false), true;
    case VR_IR_sraiw:
        return int_shift_imm(e, SHIFT_SAR, false), true;
    case VR_IR_slt:
        int_cmp(e, ip->a, ip->b);
        return int_set(e, CC_L), true;
    case VR_IR_sltu:
        int_cmp(e, ip->a, ip->b);
        return int_set(e, CC_B), true;
    case VR_IR_slti:
        return int_cmp_imm(e, CC_L), true;
    case VR_IR_sltiu:
        return int_cmp_imm(e, CC_B), true;
    case VR_IR_mul:
        return int_mul(e, true), true;
    case VR_IR_mulw:
        return int_mul(e, false), true;
    case VR_IR_mulh:
        return int_mulh(e, 5, false), true;
    case VR_IR_mulhu:
        return int_mulh(e, 4, false), true;
    case VR_IR_mulhsu:
        return int_mulh(e, 4, true), true;
    case VR_IR_div:
    case VR_IR_divu:
    case VR_IR_rem:
    case VR_IR_remu:
    case VR_IR_divw:
    case VR_IR_divuw:
    case VR_IR_remw:
    case VR_IR_remuw:
        return emit_div(e), true;
    case VR_IR_sext8:
        return int_extend(e, true, 0x0fbe), true;
    case VR_IR_sext16:
        return int_extend(e, true, 0x0fbf), true;
    case VR_IR_sext32:
        return int_extend(e, true, 0x63), true;
    case VR_IR_zext16:
        return int_extend(e, false, 0x0fb7), true;
    case VR_IR_zext32:
        return int_extend(e, false, 0x8b), true;
    case VR_IR_andn:
        return int_not_first(e, ALU_AND), true;
    case VR_IR_orn:
        return int_not_first(e, ALU_OR), true;
    case VR_IR_xnor:
        return int_not_first(e, ALU_XOR), true;
    case VR_IR_rol:
        return int_rotate(e, SHIFT_ROL, true), true;
    case VR_IR_ror:
        return int_rotate(e, SHIFT_ROR, true), true;
    case VR_IR_rolw:
        return int_rotate(e, SHIFT_ROL, false), true;
    case VR_IR_rorw:
        return int_rotate(e, SHIFT_ROR, false), true;
    case VR_IR_rori:
        return int_rotate_imm(e, true), true;
    case VR_IR_roriw:
        return int_rotate_imm(e, false), true;
    case VR_IR_min:
        return int_minmax(e, CC_G), true;
    case VR_IR_max:
        return int_minmax(e, CC_L), true;
    case VR_IR_minu:
        return int_minmax(e, CC_A), true;
    case VR_IR_maxu:
        return int_minmax(e, CC_B), true;
    case VR_IR_clz:
        return int_count(e, 0x0fbd, true), true;
    case VR_IR_ctz:
        return int_count(e, 0x0fbc, true), true;
    case VR_IR_cpop:
        return int_count(e, 0x0fb8, true), true;
    case VR_IR_clzw:
        return int_count(e, 0x0fbd, false), true;
    case VR_IR_ctzw:
        return int_count(e, 0x0fbc, false), true;
    case VR_IR_cpopw:
        return int_count(e, 0x0fb8, false), true;
    case VR_IR_rev8:
        emit_get(e, RAX, ip->a);
        asm_u8(&e->s, 0x48);
        asm_u8(&e->s, 0x0f);
        asm_u8(&e->s, 0xc8); /* bswap rax */
        emit_put(e, ip->d, RAX);
        return true;
    case VR_IR_shadd:
        return int_shadd(e, false), true;
    case VR_IR_shadduw:
        return int_shadd(e, true), true;
    case VR_IR_slliuw:
        d = emit_dst(ip->d, RAX);
        asm_mov32(&e->s, d, emit_src(e, ip->a, RAX));
        asm_shift_imm(&e->s, true, SHIFT_SHL, d, (unsigned)ip->imm);
        emit_put(e, ip->d, d);
        return true;
    case VR_IR_bclr:
        return int_bit(e, 0x0fb3), true;
    case VR_IR_bset:
        return int_bit(e, 0x0fab), true;
    case VR_IR_binv:
        return int_bit(e, 0x0fbb), true;
    case VR_IR_bext:
        return int_bit(e, 0x0fa3), true;
    case VR_IR_bexti:
        d = emit_dst(ip->d, RAX);
        emit_get(e, d, ip->a);
        asm_shift_imm(&e->s, true, SHIFT_SHR, d, (unsigned)ip->imm);
        asm_alu_imm(&e->s, true, ALU_AND, d, 1);
        emit_put(e, ip->d, d);
        return true;
    case VR_IR_czeqz:
        return int_czero(e, CC_NE), true;
    case VR_IR_cznez:
        return int_czero(e, CC_E), true;
    case VR_IR_fence:
        return int_fence(e), true;
    case VR_IR_box32:
        emit_get(e, RAX, ip->a);
        asm_li(&e->s, RCX, UINT64_C(0xffffffff00000000));
        asm_mov32(&e->s, RAX, RAX);
        asm_alu(&e->s, true, ALU_OR, RAX, RCX);
        emit_put(e, ip->d, RAX);
        e->box_result = true;
        return true;
    case VR_IR_box16:
        emit_get(e, RAX, ip->a);
        asm_alu_imm(&e->s, true, ALU_OR, RAX, -65536);
        emit_put(e, ip->d, RAX);
        e->box_result = true;
        return true;
    default:
        return false;
    }
}

/* --- The ends of blocks --- */

void emit_far_rax(struct emit *e)
{
    struct vr_asm *s = &e->s;
    int64_t set =
        (int64_t)(offsetof(struct vr_cpu, tlb) + e->mode * sizeof(struct vr_tlb)) - EMIT_BIAS;
    asm_cmp8_mem_imm(s, EMIT_FIELD(vcpu.attention), 0);
    asm_jcc_to(s, CC_NE, e->shared->exit_pc);
    asm_rorx(s, false, RCX, RAX, VR_PAGE_SHIFT - 3);
    asm_alu_imm(s, false, ALU_AND, RCX, (VR_TLB_SIZE - 1) << 3);
    asm_mov(s, RDX, RAX);
    asm_alu_imm(s, true, ALU_AND, RDX, -(int32_t)VR_PAGE_SIZE);
    asm_store(s, EMIT_FIELD(page_va), RDX);
    asm_alu_mem(s, true, ALU_OR, RDX, EMIT_FIELD(ictx));
    asm_alu_mem(s, true, ALU_CMP, RDX,
                asm_at_index(RBP, RCX, 2,
                             set + (int64_t)offsetof(struct vr_tlb, entry) +
                                 (int64_t)offsetof(struct vr_tlb_entry, tag[VR_EXEC])));
    asm_jcc_to(s, CC_NE, e->shared->exit_pc);
    asm_load(s, RDX, asm_at_index(RBP, RCX, 0, set + (int64_t)offsetof(struct vr_tlb, code)));
    asm_mov32(s, RCX, RAX);
    asm_alu_imm(s, false, ALU_AND, RCX, VR_PAGE_SIZE - 2);
    asm_rm(s, false, 0x8b, RCX, asm_at_index(RDX, RCX, 1, 0));
    asm_lea(s, true, RDX, asm_at(NO_REG, 0));
    asm_alu(s, true, ALU_ADD, RDX, RCX);
    asm_jmp_reg(s, RDX);
}

size_t emit_attention(struct emit *e)
{
    asm_cmp8_mem_imm(&e->s, EMIT_FIELD(vcpu.attention), 0);
    return asm_jcc(&e->s, CC_NE);
}

size_t emit_jump(struct emit *e)
{
    return asm_jmp(&e->s);
}

void emit_far(struct emit *e, int64_t off)
{
    asm_load(&e->s, RAX, EMIT_FIELD(page_va));
    if (asm_is_i32(off)) {
        asm_alu_imm(&e->s, true, ALU_ADD, RAX, (int32_t)off);
    } else {
        asm_li(&e->s, RCX, (uint64_t)off);
        asm_alu(&e->s, true, ALU_ADD, RAX, RCX);
    }
    emit_far_rax(e);
}

/* The same. In user programs it is often this very page, whose table is known and needs no
 * look-up; kernels are larger. */
static void end_indirect(struct emit *e)
{
    struct vr_asm *s = &e->s;
    if (e->mode != VR_MMU_USER) {
        emit_far_rax(e);
        return;
    }
    asm_load(s, RDX, EMIT_FIELD(page_va));
    asm_alu(s, true, ALU_XOR, RDX, RAX);
    asm_alu_imm(s, true, ALU_CMP, RDX, VR_PAGE_SIZE - 1);
    size_t other = asm_jcc(s, CC_A);
    asm_cmp8_mem_imm(s, EMIT_FIELD(vcpu.attention), 0);
    asm_jcc_to(s, CC_NE, e->shared->exit_pc);
    asm_li(s, RCX, (uintptr_t)e->page->table);
    asm_rm(s, false, 0x8b, RCX, asm_at_index(RCX, RDX, 1, 0));
    asm_lea(s, true, RDX, asm_at(NO_REG, 0));
    asm_alu(s, true, ALU_ADD, RDX, RCX);
    asm_jmp_reg(s, RDX);
    asm_patch(s, other, s->at);
    emit_far_rax(e);
}

static unsigned end_cc(unsigned op)
{
    switch (op) {
    case VR_IR_beq:
        return CC_E;
    case VR_IR_bne:
        return CC_NE;
    case VR_IR_blt:
        return CC_L;
    case VR_IR_bge:
        return CC_GE;
    case VR_IR_bltu:
        return CC_B;
    default:
        return CC_AE;
    }
}

void emit_end_branch(struct emit *e, int64_t taken, int64_t on, const struct vr_block *next)
{
    unsigned cc = end_cc(e->ip->op);
    int_cmp(e, e->ip->a, e->ip->b);
    if (emit_is_next(next, taken) && emit_is_near(on)) {
        emit_link(e, asm_jcc(&e->s, cc ^ 1), (unsigned)on);
        return;
    }
    size_t site = asm_jcc(&e->s, cc);
    if (emit_is_near(taken)) {
        emit_link(e, site, (unsigned)taken);
    } else {
        emit_slow(e, SLOW_FAR, site)->off = taken;
    }
    emit_go(e, on, next);
}

void emit_end_jalr(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    emit_get(e, RAX, ip->a);
    if (ip->imm) {
        asm_alu_imm(s, true, ALU_ADD, RAX, (int32_t)ip->imm);
    }
    asm_alu_imm(s, true, ALU_AND, RAX, -2);
    if (ip->d != VR_SLOT_SINK) {
        int d = emit_dst(ip->d, RDX);
        asm_load(s, d, EMIT_FIELD(page_va));
        asm_alu_imm(s, true, ALU_ADD, d, (int32_t)(e->page_off + ip->at + ip->c));
        emit_put(e, ip->d, d);
    }
    end_indirect(e);
}

/* How long the last instruction is stands where others say how many follow. */
static uint32_t end_info(const struct emit *e)
{
    return JIT_INFO(e->page_off + e->ip->at, e->b->len - e->ip->at, 0);
}

void emit_helper_end(struct emit *e, const struct vr_ir *ir, uint32_t info)
{
    asm_li(&e->s, RDX, (uintptr_t)ir);
    asm_li(&e->s, RCX, info);
    asm_jmp_to(&e->s, e->shared->helper_end);
}

/* The accrued FP flags: some are in MXCSR, if FP is live; else C does it. */
static void end_fflags(struct emit *e, const struct vr_plain *p)
{
    struct vr_asm *s = &e->s;
    asm_cmp8_mem_imm(s, EMIT_FIELD(fp_live), 0);
    emit_slow(e, SLOW_END, asm_jcc(s, CC_E))->info = end_info(e);
    if (p->read) {
        asm_vrm(s, MAP_0F, PP_NONE, false, 0xae, 3, 0, EMIT_FIELD(host_fp)); /* stmxcsr */
        asm_rm(s, false, 0x8b, RAX, EMIT_FIELD(host_fp));
        asm_alu_imm(s, false, ALU_AND, RAX, 0x3f);
        asm_lea(s, true, RDX, asm_at(NO_REG, EMIT_FLAGS));
        asm_rm(s, false, 0x0fb6, RAX, asm_at_index(RDX, RAX, 0, 0));
        asm_alu_mem(s, false, ALU_OR, RAX, EMIT_FIELD(fflags));
    }
    if (p->write) {
        asm_mov32(s, RCX, emit_src(e, e->ip->a, RCX));
        asm_alu_imm(s, false, ALU_AND, RCX, 31);
        asm_rm(s, false, 0x89, RCX, EMIT_FIELD(fflags));
        asm_vrm(s, MAP_0F, PP_NONE, false, 0xae, 2, 0, asm_at(NO_REG, EMIT_MXCSR)); /* ldmxcsr */
    }
    if (p->read) {
        emit_put(e, e->ip->d, RAX);
    }
}

/* A helper that is no more than a move. */
static bool end_plain(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    struct vr_plain p;
    if (!e->cpu->isa->plain || !e->cpu->isa->plain(e->cpu, ip, e->mode, &p)) {
        return false;
    }
    if (p.fflags) {
        end_fflags(e, &p);
        return true;
    }
    struct vr_asm_mem at = asm_at(RBP, (int64_t)p.member - EMIT_BIAS);
    if (p.read) {
        asm_load(s, RAX, at);
    }
    if (p.write) {
        emit_get(e, RCX, ip->a);
        if (p.writable != -1) {
            asm_alu_imm(s, true, ALU_AND, RCX, p.writable);
        }
        asm_store(s, at, RCX);
    }
    if (p.read) {
        emit_put(e, ip->d, RAX);
    }
    return true;
}

void emit_end_helper(struct emit *e, const struct vr_block *next)
{
    if (end_plain(e)) {
        emit_go(e, (int64_t)e->page_off + e->b->len, next);
    } else {
        emit_helper_end(e, e->ip, end_info(e));
    }
}

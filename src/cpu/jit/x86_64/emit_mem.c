/*
 * The x86-64 back end: loads, stores and atomics.
 *
 * The TLB look-up (cpu/ir/cpu.h): the tag that an access needs is made from the address of its last
 * byte, so an access over a page border misses, and one compare decides everything.
 */
#include "cpu/jit/mirror.h"
#include "cpu/jit/x86_64/emit.h"

#include <assert.h>

static int64_t mem_set(const struct emit *e)
{
    return (int64_t)(offsetof(struct vr_cpu, tlb) + e->mode * sizeof(struct vr_tlb) +
                     offsetof(struct vr_tlb, entry)) -
           EMIT_BIAS;
}

/* The entry that rcx (index * 8) selects. */
static struct vr_asm_mem mem_tag(const struct emit *e, enum vr_access access)
{
    return asm_at_index(RBP, RCX, 2,
                        mem_set(e) + (int64_t)offsetof(struct vr_tlb_entry, tag) +
                            (int64_t)access * 8);
}

static struct vr_asm_mem mem_addend(const struct emit *e)
{
    return asm_at_index(RBP, RCX, 2, mem_set(e) + (int64_t)offsetof(struct vr_tlb_entry, addend));
}

/* Look bytes @first to @last of @base up: rcx selects the entry, rdx becomes the tag it must have,
 * and the flags are those of the compare. */
static void mem_compare(struct emit *e, int base, int64_t first, int64_t last,
                        enum vr_access access)
{
    struct vr_asm *s = &e->s;
    if (first) {
        asm_lea(s, false, RCX, asm_at(base, first));
    }
    asm_rorx(s, false, RCX, first ? RCX : base, VR_PAGE_SHIFT - 3);
    asm_alu_imm(s, false, ALU_AND, RCX, (VR_TLB_SIZE - 1) << 3);
    if (last) {
        asm_lea(s, true, RDX, asm_at(base, last));
    } else {
        asm_mov(s, RDX, base);
    }
    asm_alu_imm(s, true, ALU_AND, RDX, -(int32_t)VR_PAGE_SIZE);
    asm_alu_mem(s, true, ALU_OR, RDX, EMIT_FIELD(dctx));
    asm_alu_mem(s, true, ALU_CMP, RDX, mem_tag(e, access));
}

/* rdx: from a guest address to the host's. */
static void mem_take_addend(struct emit *e)
{
    asm_load(&e->s, RDX, mem_addend(e));
}

/* --- Accesses that share a look-up: struct emit_group --- */

static bool group_is_access(const struct vr_ir *ir, unsigned *ret_width, bool *ret_store)
{
    switch (ir->op) {
    case VR_IR_ld8:
    case VR_IR_ld8u:
    case VR_IR_st8:
        *ret_width = 1;
        break;
    case VR_IR_ld16:
    case VR_IR_ld16u:
    case VR_IR_ldbox16:
    case VR_IR_st16:
        *ret_width = 2;
        break;
    case VR_IR_ld32:
    case VR_IR_ld32u:
    case VR_IR_ldbox32:
    case VR_IR_st32:
        *ret_width = 4;
        break;
    case VR_IR_ld64:
    case VR_IR_st64:
        *ret_width = 8;
        break;
    default:
        return false;
    }
    *ret_store =
        ir->op == VR_IR_st8 || ir->op == VR_IR_st16 || ir->op == VR_IR_st32 || ir->op == VR_IR_st64;
    return true;
}

static bool group_writes(const struct vr_ir *ir, unsigned slot)
{
    const char *uses = vr_ir_uses(ir->op);
    if (ir->op == VR_IR_amocas && ir->c == 4 && (ir->d == slot || ir->d + 1u == slot)) {
        return true;
    }
    return ir->d == slot && (uses[0] == 'D' || uses[0] == 'd');
}

void emit_find_groups(struct emit *e)
{
    const struct vr_block *b = e->b;
    e->group_count = 0;
    memset(e->group_of, 0, b->ir_count);
    if (e->page->direct) {
        return; /* looking up is cheap */
    }
    for (unsigned i = 0; i < b->ir_count && e->group_count < EMIT_GROUPS; i++) {
        const struct vr_ir *ir = &b->ir[i];
        unsigned width, members = 1;
        bool store;
        if (e->group_of[i] || !group_is_access(ir, &width, &store)) {
            continue;
        }
        struct emit_group g = {
            .leader = i, .lo = ir->imm, .hi = ir->imm + (int64_t)width - 1, .write = store};
        unsigned slot = ir->a, number = e->group_count + 1;
        e->group_of[i] = (uint8_t)number;
        for (unsigned j = i; j + 1 < b->ir_count && !group_writes(&b->ir[j], slot) &&
                             b->ir[j].op != VR_IR_helper;) {
            const struct vr_ir *at = &b->ir[++j];
            if (!group_is_access(at, &width, &store) || at->a != slot || e->group_of[j]) {
                continue;
            }
            int64_t lo = at->imm < g.lo ? at->imm : g.lo;
            int64_t last = at->imm + (int64_t)width - 1, hi = last > g.hi ? last : g.hi;
            if (hi - lo < EMIT_GROUP_SPAN) {
                g.lo = lo;
                g.hi = hi;
                g.write = g.write || store;
                e->group_of[j] = (uint8_t)number;
                members++;
            }
        }
        if (members > 1) {
            e->group[e->group_count++] = g;
        } else {
            e->group_of[i] = 0;
        }
    }
}

static struct vr_asm_mem group_place(unsigned number)
{
    return asm_at(RSP, (int64_t)(number - 1) * 8);
}

/* mov qword [m], 0 */
static void group_forget(struct vr_asm *s, struct vr_asm_mem m)
{
    asm_rex(s, true, 0, m.index, m.base, false);
    asm_u8(s, 0xc7);
    asm_modrm_mem(s, 0, m, 4);
    asm_u32(s, 0);
}

/* So near to its base that it is in the mirror, or on the guards, if that is. */
static bool mem_is_near(int64_t imm)
{
    return imm >= -(VR_MIRROR_GUARD / 2) && imm <= VR_MIRROR_GUARD / 2;
}

/*
 * Look an access up: afterwards rdx leads from the guest's address to the host's, and the address
 * is the register that is returned plus the op's imm. The slow path that @ret_slow tells of is the
 * caller's to complete.
 */
static int mem_look_up(struct emit *e, unsigned width, enum vr_access access,
                       struct emit_slow **ret_slow, enum emit_slow_kind kind)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    unsigned number = e->group_of[ip - e->b->ir];
    const struct emit_group *g = number ? &e->group[number - 1] : NULL;
    int base = emit_src(e, ip->a, RAX);
    size_t miss;
    bool direct = e->page->direct && mem_is_near(ip->imm);
    if (direct) {
        asm_alu_mem(s, true, ALU_CMP, base, EMIT_FIELD(mirror_limit));
        miss = asm_jcc(s, CC_AE);
        asm_load(s, RDX, EMIT_FIELD(mirror_addend));
    } else if (g && g->leader != (unsigned)(ip - e->b->ir)) {
        asm_load(s, RDX, group_place(number));
        asm_test(s, true, RDX, RDX);
        miss = asm_jcc(s, CC_E);
    } else if (g) {
        mem_compare(e, base, g->lo, g->hi, g->write ? VR_WRITE : VR_READ);
        miss = asm_jcc(s, CC_NE);
        mem_take_addend(e);
        asm_store(s, group_place(number), RDX);
    } else {
        mem_compare(e, base, ip->imm, ip->imm + (int64_t)width - 1, access);
        miss = asm_jcc(s, CC_NE);
        mem_take_addend(e);
    }
    struct emit_slow *slow = emit_slow(e, kind, miss);
    slow->info = emit_info(e, width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3);
    slow->reg = base;
    slow->access = access;
    slow->found = s->at;
    slow->group = g ? number : 0;
    slow->leads = g && g->leader == (unsigned)(ip - e->b->ir);
    slow->groups = e->group_count;
    slow->direct = direct;
    *ret_slow = slow;
    return base;
}

/* The cold half: what the hot one did not find may still be in the TLB. Falls through, with the
 * address in rax, where it is not. */
void emit_slow_look_up(struct emit *e, const struct emit_slow *slow)
{
    struct vr_asm *s = &e->s;
    int64_t first = slow->ir->imm, last = first + (1 << (slow->info >> 20)) - 1;
    if (slow->leads) {
        group_forget(s, group_place(slow->group));
    }
    if (slow->group || slow->direct) {
        mem_compare(e, slow->reg, first, last, slow->access);
        size_t other = asm_jcc(s, CC_NE);
        mem_take_addend(e);
        asm_jmp_to(s, slow->found);
        asm_patch(s, other, s->at);
    }
    asm_alu_imm(s, false, ALU_XOR, RCX, VR_TLB_SECOND << 3);
    asm_alu_mem(s, true, ALU_CMP, RDX, mem_tag(e, slow->access));
    size_t miss = asm_jcc(s, CC_NE);
    mem_take_addend(e);
    asm_jmp_to(s, slow->found);
    asm_patch(s, miss, s->at);
    if (slow->reg != RAX || first) {
        asm_lea(s, true, RAX, asm_at(slow->reg, first));
    }
}

/* A mirror was used where it has nothing, or nothing that may be written: it may get it; and then
 * as if there were none. */
void emit_slow_faulted(struct emit *e, const struct emit_slow *slow)
{
    struct vr_asm *s = &e->s;
    if (!vr_jit_add_site(e->jit, slow->fault, s->at)) {
        e->failed = true;
    }
    asm_lea(s, true, RAX, asm_at(slow->reg, slow->ir->imm));
    asm_li(s, RDX, slow->access == VR_WRITE);
    asm_call_to(s, e->shared->mirror);
    if (slow->reg == RAX) {
        emit_get(e, RAX, slow->ir->a);
    }
}

/* A store may have reached a device that moves memory: addresses found before are not to be used.
 */
void emit_slow_forget_groups(struct emit *e, const struct emit_slow *slow)
{
    for (unsigned i = 1; i <= slow->groups; i++) {
        group_forget(&e->s, group_place(i));
    }
}

/* What the fast path reads with: an opcode and REX.W; 0: an FP register's own. */
static void mem_load(struct emit *e, unsigned width, unsigned op, bool w)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    struct emit_slow *slow;
    int x = emit_xmm(ip->d), d = emit_dst(ip->d, RAX);
    int base = mem_look_up(e, width, VR_READ, &slow, SLOW_LOAD);
    struct vr_asm_mem at = asm_at_index(base, RDX, 0, ip->imm);

    slow->fault = slow->direct ? s->at : 0;
    if (ip->op == VR_IR_ldbox32 && x != NO_REG) {
        asm_vrm(s, MAP_0F, PP_F3, false, 0x10, x, 0, at); /* vmovss: zeros above */
        asm_vrm(s, MAP_0F, PP_NONE, false, 0x56, x, x, asm_at(NO_REG, EMIT_BOX32)); /* vorps */
        e->box_result = true;
    } else if (ip->op == VR_IR_ldbox32) {
        asm_rm(s, false, 0x8b, RAX, at);
        asm_li(s, RCX, UINT64_C(0xffffffff00000000));
        asm_alu(s, true, ALU_OR, RAX, RCX);
        emit_put(e, ip->d, RAX);
        e->box_result = true;
    } else if (ip->op == VR_IR_ldbox16) {
        asm_rm(s, false, 0x0fb7, RAX, at);
        asm_alu_imm(s, true, ALU_OR, RAX, -65536);
        emit_put(e, ip->d, RAX);
        e->box_result = true;
    } else if (x != NO_REG) {
        asm_vrm(s, MAP_0F, PP_F2, false, 0x10, x, 0, at); /* vmovsd */
    } else {
        asm_rm(s, w, op, d, at);
        emit_put(e, ip->d, d);
    }
    slow->resume = s->at;
}

static void mem_store(struct emit *e, unsigned width)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    struct emit_slow *slow;
    int x = emit_xmm(ip->b);
    int base = mem_look_up(e, width, VR_WRITE, &slow, SLOW_STORE);
    struct vr_asm_mem at = asm_at_index(base, RDX, 0, ip->imm);

    int v = x != NO_REG && width >= 4 ? x : emit_src(e, ip->b, RCX);
    slow->fault = slow->direct ? s->at : 0;
    if (x != NO_REG && width == 8) {
        asm_vrm(s, MAP_0F, PP_F2, false, 0x11, x, 0, at);
    } else if (x != NO_REG && width == 4) {
        asm_vrm(s, MAP_0F, PP_F3, false, 0x11, x, 0, at);
    } else {
        if (width == 2) {
            asm_u8(s, 0x66);
        }
        if (width == 1) {
            asm_rex(s, false, v, at.index, at.base, true);
            asm_u8(s, 0x88);
            asm_modrm_mem(s, v, at, 0);
        } else {
            asm_rm(s, width == 8, 0x89, v, at);
        }
    }
    slow->resume = s->at;
}

/* --- Atomics: words and doublewords; what does not hit the TLB is C's --- */

struct mem_atomic {
    size_t misaligned, miss;
};

/* rdx: where the address in slot a is, for @access; rcx selects the TLB's entry. */
static struct mem_atomic atomic_look_up(struct emit *e, bool w, enum vr_access access, int *ret_a)
{
    struct vr_asm *s = &e->s;
    struct mem_atomic m;
    int a = emit_src(e, e->ip->a, RAX);
    asm_rex(s, false, 0, NO_REG, a, true);
    asm_u8(s, 0xf6); /* test a8, imm8 */
    asm_u8(s, 0xc0 | ((unsigned)a & 7));
    asm_u8(s, w ? 7 : 3);
    m.misaligned = asm_jcc(s, CC_NE);
    mem_compare(e, a, 0, 0, access);
    m.miss = asm_jcc(s, CC_NE);
    mem_take_addend(e);
    asm_alu(s, true, ALU_ADD, RDX, a);
    *ret_a = a;
    return m;
}

static void atomic_end(struct emit *e, struct mem_atomic m)
{
    emit_slow(e, SLOW_OP, m.misaligned)->resume = e->s.at;
    emit_slow(e, SLOW_OP, m.miss)->resume = e->s.at;
}

/* rcx = rcx op slot b */
static void atomic_combine(struct emit *e, unsigned kind, bool w)
{
    struct vr_asm *s = &e->s;
    unsigned b = e->ip->b;
    int reg = emit_gpr(b);
    unsigned alu = kind == VR_AMO_XOR ? ALU_XOR : kind == VR_AMO_AND ? ALU_AND : ALU_OR;
    unsigned keep_b = kind == VR_AMO_MIN    ? CC_G
                      : kind == VR_AMO_MAX  ? CC_L
                      : kind == VR_AMO_MINU ? CC_A
                                            : CC_B;
    bool select = kind != VR_AMO_XOR && kind != VR_AMO_AND && kind != VR_AMO_OR;
    alu = select ? ALU_CMP : alu;
    if (reg != NO_REG) {
        asm_alu(s, w, alu, RCX, reg);
    } else {
        asm_alu_mem(s, w, alu, RCX, emit_slot(b));
    }
    if (select && reg != NO_REG) {
        asm_cmov(s, keep_b, RCX, reg);
    } else if (select) {
        asm_rm(s, w, 0x0f40 | keep_b, RCX, emit_slot(b));
    }
}

static bool mem_amo(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    unsigned log2_width = ip->c >> 4, kind = ip->c & 15;
    bool w = log2_width == 3;
    int a;
    if (log2_width < 2) {
        return false;
    }
    struct mem_atomic m = atomic_look_up(e, w, VR_WRITE, &a);
    if (kind == VR_AMO_ADD || kind == VR_AMO_SWAP) {
        emit_get(e, RAX, ip->b);
    } else {
        asm_rm(s, w, 0x8b, RAX, asm_at(RDX, 0));
    }
    if (kind == VR_AMO_ADD) {
        asm_u8(s, 0xf0);
        asm_rm(s, w, 0x0fc1, RAX, asm_at(RDX, 0)); /* lock xadd */
    } else if (kind == VR_AMO_SWAP) {
        asm_rm(s, w, 0x87, RAX, asm_at(RDX, 0)); /* xchg */
    } else {
        size_t again = s->at;
        asm_rr(s, w, 0x8b, RCX, RAX);
        atomic_combine(e, kind, w);
        asm_u8(s, 0xf0);
        asm_rm(s, w, 0x0fb1, RCX, asm_at(RDX, 0)); /* lock cmpxchg */
        asm_jcc_to(s, CC_NE, again);
    }
    if (!w) {
        asm_movsxd(s, RAX, RAX);
    }
    emit_put(e, ip->d, RAX);
    atomic_end(e, m);
    return true;
}

static bool mem_amocas(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    bool w = ip->c == 3;
    int a;
    if (ip->c != 2 && ip->c != 3) {
        return false;
    }
    struct mem_atomic m = atomic_look_up(e, w, VR_WRITE, &a);
    int b = emit_src(e, ip->b, RCX);
    emit_get(e, RAX, ip->d);
    asm_u8(s, 0xf0);
    asm_rm(s, w, 0x0fb1, b, asm_at(RDX, 0)); /* lock cmpxchg */
    if (!w) {
        asm_movsxd(s, RAX, RAX);
    }
    emit_put(e, ip->d, RAX);
    atomic_end(e, m);
    return true;
}

/* res_valid and res_size, which are neighbours, as one number. */
static uint32_t res_valid(bool w)
{
    static_assert(offsetof(struct vr_cpu, res_size) == offsetof(struct vr_cpu, res_valid) + 1,
                  "they are read and written as one");
    return 1 | (w ? 8u : 4u) << 8;
}

/* op word [res_valid], imm16: 0xc7 with @ext 0 stores, 0x81 with 7 compares. */
static void res_valid_op(struct vr_asm *s, unsigned op, unsigned ext, uint32_t imm)
{
    asm_u8(s, 0x66);
    asm_rex(s, false, 0, NO_REG, RBP, false);
    asm_u8(s, op);
    asm_modrm_mem(s, (int)ext, EMIT_FIELD(res_valid), 2);
    asm_u8(s, imm & 0xff);
    asm_u8(s, imm >> 8);
}

/* rcx: the guest-physical address of what @a names. rax is lost. */
static void atomic_gpa(struct emit *e, int a)
{
    struct vr_asm *s = &e->s;
    int64_t set = (int64_t)(offsetof(struct vr_cpu, tlb) + e->mode * sizeof(struct vr_tlb) +
                            offsetof(struct vr_tlb, gpa)) -
                  EMIT_BIAS;
    asm_load(s, RCX, asm_at_index(RBP, RCX, 0, set));
    asm_mov32(s, RAX, a);
    asm_alu_imm(s, false, ALU_AND, RAX, VR_PAGE_SIZE - 1);
    asm_alu(s, true, ALU_OR, RCX, RAX);
}

static void mem_load_reserved(struct emit *e, bool w)
{
    struct vr_asm *s = &e->s;
    int a;
    struct mem_atomic m = atomic_look_up(e, w, VR_READ, &a);
    atomic_gpa(e, a);
    asm_store(s, EMIT_FIELD(res_gpa), RCX);
    asm_rm(s, true, w ? 0x8b : 0x63, RAX, asm_at(RDX, 0));
    asm_store(s, EMIT_FIELD(res_val), RAX);
    res_valid_op(s, 0xc7, 0, res_valid(w));
    emit_put(e, e->ip->d, RAX);
    atomic_end(e, m);
}

static void mem_store_conditional(struct emit *e, bool w)
{
    struct vr_asm *s = &e->s;
    int a;
    res_valid_op(s, 0x81, 7, res_valid(w));
    size_t none = asm_jcc(s, CC_NE);
    struct mem_atomic m = atomic_look_up(e, w, VR_WRITE, &a);
    atomic_gpa(e, a);
    asm_alu_mem(s, true, ALU_CMP, RCX, EMIT_FIELD(res_gpa));
    size_t other = asm_jcc(s, CC_NE);
    res_valid_op(s, 0xc7, 0, res_valid(w) & ~1u);
    asm_load(s, RAX, EMIT_FIELD(res_val));
    int b = emit_src(e, e->ip->b, RCX);
    asm_u8(s, 0xf0);
    asm_rm(s, w, 0x0fb1, b, asm_at(RDX, 0)); /* lock cmpxchg */
    asm_setcc(s, CC_NE, RAX);
    emit_put(e, e->ip->d, RAX);
    emit_slow(e, SLOW_OP, none)->resume = s->at;
    emit_slow(e, SLOW_OP, other)->resume = s->at;
    atomic_end(e, m);
}

bool emit_mem_op(struct emit *e)
{
    switch (e->ip->op) {
    case VR_IR_ld8:
        return mem_load(e, 1, 0x0fbe, true), true;
    case VR_IR_ld8u:
        return mem_load(e, 1, 0x0fb6, false), true;
    case VR_IR_ld16:
        return mem_load(e, 2, 0x0fbf, true), true;
    case VR_IR_ld16u:
        return mem_load(e, 2, 0x0fb7, false), true;
    case VR_IR_ld32:
        return mem_load(e, 4, 0x63, true), true;
    case VR_IR_ld32u:
    case VR_IR_ldbox32:
        return mem_load(e, 4, 0x8b, false), true;
    case VR_IR_ld64:
        return mem_load(e, 8, 0x8b, true), true;
    case VR_IR_ldbox16:
        return mem_load(e, 2, 0, false), true;
    case VR_IR_st8:
        return mem_store(e, 1), true;
    case VR_IR_st16:
        return mem_store(e, 2), true;
    case VR_IR_st32:
        return mem_store(e, 4), true;
    case VR_IR_st64:
        return mem_store(e, 8), true;
    case VR_IR_amo:
        return mem_amo(e);
    case VR_IR_amocas:
        return mem_amocas(e);
    case VR_IR_lr32:
        return mem_load_reserved(e, false), true;
    case VR_IR_lr64:
        return mem_load_reserved(e, true), true;
    case VR_IR_sc32:
        return mem_store_conditional(e, false), true;
    case VR_IR_sc64:
        return mem_store_conditional(e, true), true;
    case VR_IR_helper:
        asm_li(&e->s, RDX, (uintptr_t)e->ip);
        asm_li(&e->s, RCX, emit_info(e, 0));
        asm_call_to(&e->s, e->shared->helper);
        return true;
    default:
        return false;
    }
}

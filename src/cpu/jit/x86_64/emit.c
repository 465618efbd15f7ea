/* The x86-64 back end: registers, slow paths, and blocks from end to end. See emit.h. */
#include "cpu/jit/x86_64/emit.h"
#include "base/alloc.h"
#include "base/bits.h"

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

uint32_t emit_info(const struct emit *e, unsigned log2_width)
{
    return JIT_INFO(e->page_off + e->ip->at, e->left, log2_width);
}

struct emit_slow *emit_slow(struct emit *e, enum emit_slow_kind kind, size_t site)
{
    if (e->slow_count == EMIT_SLOW_MAX) {
        e->failed = true;
        return &e->spare;
    }
    struct emit_slow *slow = &e->slow[e->slow_count++];
    *slow = (struct emit_slow){
        .kind = kind, .site = site, .ir = e->ip, .info = e->ip ? emit_info(e, 0) : 0};
    return slow;
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

static void slow_path(struct emit *e, const struct emit_slow *slow)
{
    struct vr_asm *s = &e->s;
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
        emit_slow_far(e, slow);
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

void emit_link(struct emit *e, size_t site, unsigned off)
{
    uint32_t to = e->page->table ? e->page->table[off >> 1] : 0;
    if (to) {
        asm_patch(&e->s, site, to);
        return;
    }
    struct vr_jit_link *link = vr_jit_link_new(e->jit);
    if (!link) {
        e->failed = true;
        return;
    }
    *link = (struct vr_jit_link){.site = (uint32_t)site, .target = (uint16_t)off, .next = e->links};
    e->links = link;
    emit_slow(e, SLOW_EXIT, site)->off = off;
}

static void emit_block(struct emit *e, const struct vr_block *b, const struct vr_block *next)
{
    struct vr_asm *s = &e->s;
    unsigned seen = 0;
    e->b = b;
    e->page_off = (unsigned)(b->gpa & (VR_PAGE_SIZE - 1));
    e->boxed = 0;
    emit_find_groups(e);
    asm_alu_imm(s, true, ALU_ADD, R15, b->insn_count);
    for (unsigned i = 0; i < b->ir_count; i++) {
        e->ip = &b->ir[i];
        seen += i != 0 && b->ir[i].at != b->ir[i - 1].at;
        e->left = b->insn_count - seen - 1u;
        if (i == b->ir_count - 1u) {
            /* A jmp behind the last instruction belongs to none. */
            e->left = e->left > b->insn_count ? 0 : e->left;
            emit_end_op(e, next);
            break;
        }
        e->box_result = false;
        if (!emit_int_op(e) && !emit_mem_op(e) && !emit_fp_op(e)) {
            emit_call_op(e);
        }
        if (e->ip->d >= VR_SLOT_F0 && e->ip->d < VR_SLOT_TEMP &&
            strpbrk(vr_ir_uses(e->ip->op), "Dd")) {
            uint32_t bit = 1u << (e->ip->d - VR_SLOT_F0);
            e->boxed = e->box_result ? e->boxed | bit : e->boxed & ~bit;
        }
    }
}

void emit_slow_paths(struct emit *e)
{
    e->ip = NULL;
    for (unsigned i = 0; i < e->slow_count; i++) {
        slow_path(e, &e->slow[i]);
    }
}

/* Links that wait for a block of the region find it; the others are the page's. */
static void emit_settle(struct emit *e)
{
    struct vr_jit_page *page = e->page;
    for (struct vr_jit_link *l = e->links, *next; l; l = next) {
        next = l->next;
        l->next = page->links;
        page->links = l;
    }
    for (struct vr_jit_link **l = &page->links; *l;) {
        uint32_t to = page->table[(*l)->target >> 1];
        if (to) {
            struct vr_jit_link *done = *l;
            vr_jit_patch(e->jit, done->site, to);
            *l = done->next;
            done->next = e->jit->links_free;
            e->jit->links_free = done;
        } else {
            l = &(*l)->next;
        }
    }
}

bool vr_jit_emit_blocks(struct vr_cpu *cpu, struct vr_block *const *blocks, unsigned count,
                        unsigned mode, struct vr_jit_page *page)
{
    struct vr_jit *jit = cpu->jit;
    struct emit e = {
        .s = {.base = jit->mem.rw, .at = jit->used, .end = jit->mem.len},
        .cpu = cpu,
        .jit = jit,
        .shared = emit_shared(jit),
        .page = page,
        .mode = mode,
    };
    uint32_t at[JIT_REGION_BLOCKS];
    vr_assert(count <= JIT_REGION_BLOCKS);
    e.slow = malloc(EMIT_SLOW_MAX * sizeof(*e.slow));
    if (!e.slow) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        at[i] = (uint32_t)e.s.at;
        emit_block(&e, blocks[i], i + 1 < count ? blocks[i + 1] : NULL);
    }
    emit_slow_paths(&e);
    bool ok = !e.failed && !asm_full(&e.s);
    free(e.slow);
    if (!ok) {
        for (struct vr_jit_link *l = e.links, *next; l; l = next) {
            next = l->next;
            l->next = jit->links_free;
            jit->links_free = l;
        }
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        page->table[(blocks[i]->gpa & (VR_PAGE_SIZE - 1)) >> 1] = at[i];
        jit->stats.insns += blocks[i]->insn_count;
    }
    jit->stats.blocks += count;
    jit->stats.bytes += e.s.at - jit->used;
    jit->used = (e.s.at + 15) & ~(size_t)15;
    emit_settle(&e);
    return true;
}

void vr_jit_patch(struct vr_jit *jit, uint32_t site, uint32_t code)
{
    struct vr_asm s = {.base = jit->mem.rw, .at = site, .end = jit->mem.len};
    asm_patch(&s, site, code);
}

/* Blocks from end to end, whatever the host: their ops, slow paths, and the links between them. */
#include "cpu/jit/emit.h"
#include "base/alloc.h"
#include "base/bits.h"

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

void emit_link(struct emit *e, size_t site, unsigned off)
{
    uint32_t to = e->page->table ? e->page->table[off >> 1] : 0;
    if (to) {
        emit_patch(&e->s, site, to);
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

/* --- The ends of blocks --- */

bool emit_is_near(int64_t off)
{
    return off >= 0 && off < VR_PAGE_SIZE;
}

bool emit_is_next(const struct vr_block *next, int64_t off)
{
    return next && emit_is_near(off) && (next->gpa & (VR_PAGE_SIZE - 1)) == (uint64_t)off;
}

void emit_go(struct emit *e, int64_t off, const struct vr_block *next)
{
    if (!emit_is_near(off)) {
        emit_far(e, off);
    } else if (!emit_is_next(next, off)) {
        emit_link(e, emit_jump(e), (unsigned)off);
    }
}

/* Before the last instruction of a block, if that may go back: somebody may want this thread. */
static void emit_check(struct emit *e, int64_t target)
{
    if (emit_is_near(target) && target <= (int64_t)e->page_off) {
        struct emit_slow *slow = emit_slow(e, SLOW_EXIT, emit_attention(e));
        slow->off = e->page_off + e->ip->at;
        slow->uncount = true;
    }
}

static void emit_end(struct emit *e, const struct vr_block *next)
{
    const struct vr_ir *ip = e->ip;
    int64_t target = (int64_t)e->page_off + ip->imm;
    switch (ip->op) {
    case VR_IR_jmp:
    case VR_IR_jal:
        emit_check(e, target);
        if (ip->op == VR_IR_jal) {
            emit_pcrel(e, ip->d, (int64_t)e->page_off + ip->at + ip->c);
        }
        emit_go(e, target, next);
        break;
    case VR_IR_jalr:
        emit_end_jalr(e);
        break;
    case VR_IR_beq:
    case VR_IR_bne:
    case VR_IR_blt:
    case VR_IR_bge:
    case VR_IR_bltu:
    case VR_IR_bgeu:
        emit_check(e, target);
        emit_end_branch(e, target, (int64_t)e->page_off + e->b->len, next);
        break;
    case VR_IR_helper_end:
        emit_end_helper(e, next);
        break;
    default:
        e->failed = true;
        break;
    }
}

/* --- Blocks --- */

static void emit_block(struct emit *e, const struct vr_block *b, const struct vr_block *next)
{
    unsigned seen = 0;
    e->b = b;
    e->ip = NULL;
    e->page_off = (unsigned)(b->gpa & (VR_PAGE_SIZE - 1));
    e->boxed = 0;
    if (e->cpu->steps) {
        emit_slow(e, SLOW_EXIT, emit_budget(e))->off = e->page_off;
    }
    emit_begin(e);
    for (unsigned i = 0; i < b->ir_count; i++) {
        e->ip = &b->ir[i];
        seen += i != 0 && b->ir[i].at != b->ir[i - 1].at;
        e->left = b->insn_count - seen - 1u;
        if (i == b->ir_count - 1u) {
            /* A jmp behind the last instruction belongs to none. */
            e->left = e->left > b->insn_count ? 0 : e->left;
            emit_end(e, next);
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

static void emit_slow_paths(struct emit *e)
{
    e->ip = NULL;
    for (unsigned i = 0; i < e->slow_count; i++) {
        emit_slow_path(e, &e->slow[i]);
    }
    e->slow_count = 0;
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
        .shared = &jit->shared,
        .page = page,
        .mode = mode,
        .region = blocks,
        .region_count = count,
    };
    uint32_t at[JIT_REGION_BLOCKS];
    size_t near = e.s.at; /* code from here on has its slow paths still to come */
    vr_assert(count <= JIT_REGION_BLOCKS);
    if (!jit->slow) {
        jit->slow = vr_zalloc_array(EMIT_SLOW_MAX, sizeof(*jit->slow));
    }
    e.slow = jit->slow;
    if (!e.slow) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        bool apart = e.slow_count > EMIT_SLOW_MAX / 2 || e.s.at - near > EMIT_NEAR_BYTES;
        at[i] = (uint32_t)e.s.at;
        emit_block(&e, blocks[i], !apart && i + 1 < count ? blocks[i + 1] : NULL);
        if (apart || i + 1 == count) {
            emit_slow_paths(&e);
            near = e.s.at;
        }
    }
    bool ok = !e.failed && !asm_full(&e.s);
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
        vr_jit_count(&jit->counts.insns, blocks[i]->insn_count);
    }
    vr_jit_count(&jit->counts.blocks, count);
    vr_jit_count(&jit->counts.bytes, e.s.at - jit->used);
    vireo_icache_flush(jit->mem.rw + jit->used, jit->mem.rx + jit->used, e.s.at - jit->used);
    jit->used = (e.s.at + 15) & ~(size_t)15;
    emit_settle(&e);
    return true;
}

void vr_jit_patch(struct vr_jit *jit, uint32_t site, uint32_t code)
{
    struct vr_asm s = {.base = jit->mem.rw, .at = site, .end = jit->mem.len};
    emit_patch(&s, site, code);
    vireo_icache_flush(jit->mem.rw + site, jit->mem.rx + site, sizeof(uint32_t));
}

/* --- What all code shares --- */

void vr_jit_emit_shared(struct vr_jit *jit)
{
    struct vr_asm s = {.base = jit->mem.rw, .at = 0, .end = jit->mem.len};
    struct vr_jit_shared *x = &jit->shared;
    emit_shared_exits(&s, x);
    jit->exit_off = (uint32_t)s.at;
    emit_shared_exit(&s);
    x->enter = (uint32_t)s.at;
    emit_shared_enter(&s, jit->mem.rx);
    x->load = (uint32_t)s.at;
    emit_shared_access(&s, true);
    x->store = (uint32_t)s.at;
    emit_shared_access(&s, false);
    x->mirror = (uint32_t)s.at;
    emit_shared_mirror(&s);
    x->op = (uint32_t)s.at;
    emit_shared_op(&s, (const void *)(uintptr_t)vr_jit_op);
    x->helper = (uint32_t)s.at;
    emit_shared_op(&s, (const void *)(uintptr_t)vr_jit_helper);
    x->helper_end = (uint32_t)s.at;
    emit_shared_helper_end(&s);
    x->fp_on = (uint32_t)s.at;
    emit_shared_fp_on(&s);
    jit->first = jit->used = (s.at + 63) & ~(size_t)63;
}

void vr_jit_enter(struct vr_cpu *cpu, uint32_t code)
{
    const struct vr_jit *jit = cpu->jit;
    void (*enter)(struct vr_cpu *, const void *) =
        (void (*)(struct vr_cpu *, const void *))(uintptr_t)(jit->mem.rx + jit->shared.enter);
    enter(cpu, jit->mem.rx + code);
}

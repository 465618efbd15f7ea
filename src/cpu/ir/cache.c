/*
 * The cache of translated blocks.
 *
 * One a CPU, so that looking up, linking and dropping blocks needs no lock. Blocks are found by
 * guest-physical address and live in an arena that is emptied whole when it is full. Every page
 * with blocks has VR_PAGE_CODE set in its RAM's page flags, so all writers take a slow path, which
 * clears the flag and reports the page to each CPU's inbox (vr_ram_wrote); the owner drops its
 * blocks before it enters another block.
 *
 * Other CPUs may hold TLB entries from before the flag was set, which let them write unseen until
 * they looked into their own inbox. RISC-V asks only that fence.i shows earlier stores: so until
 * all others have answered, fence.i drops the pages translated in the meantime (`fresh`).
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "core/machine.h"
#include "cpu/jit/jit.h"
#include "vireo/host_memory.h"
#include <errno.h>
#include <string.h>

enum {
    HASH_BITS = 17,
    PAGE_HASH_BITS = 13,
    /* A boot runs much code once, and is served best by a small arena; what keeps on filling it
     * gets a larger one. */
    ARENA_FIRST = 6 << 20,
    ARENA_MAX = 48 << 20,
    ARENA_FILLS = 10, /* so often it has to be full before it grows */
    INBOX = 64,
    FRESH = 64,
};

/* A page with blocks, and its blocks. */
struct code_node {
    struct vr_block *block;
    struct code_node *next;
};
struct code_page {
    uint64_t gpa;
    struct code_node *nodes;
    struct code_page *hash_next;
    struct vr_jit_page jit[VR_MMU_MODES];
};

/* What others tell this CPU: a page of RAM was written, or must not be written without notice. */
struct code_note {
    struct vr_ram *ram;
    uint64_t off;
    bool written;
};

struct vr_cache {
    struct vr_block *hash[1 << HASH_BITS];
    struct code_page *pages[1 << PAGE_HASH_BITS];
    struct vireo_map map; /* the arena: ARENA_MAX bytes, of which the host gives what is touched */
    uint8_t *arena;
    size_t used, limit;
    unsigned fills; /* how often it was full */
    uint64_t epoch;
    uint64_t fresh[FRESH]; /* pages translated while another CPU had not answered */
    unsigned fresh_count;  /* more than FRESH: too many to list */
    struct vr_builder builder;
    struct vr_mutex claim; /* the first CPU's is the machine's: one claim at a time */
    struct vr_mutex lock;  /* of the inbox; nothing is taken under it */
    struct code_note inbox[INBOX];
    atomic_uint inbox_count; /* more than INBOX: too many to list */
};

static struct vr_block **cache_slot(struct vr_cache *c, uint64_t gpa)
{
    return &c->hash[(gpa >> 1) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - HASH_BITS)];
}

static struct code_page **cache_page_slot(struct vr_cache *c, uint64_t gpa)
{
    return &c->pages[gpa >> VR_PAGE_SHIFT & ((1 << PAGE_HASH_BITS) - 1)];
}

static void *cache_alloc(struct vr_cache *c, size_t bytes)
{
    void *p = c->arena + c->used;
    c->used += (bytes + 15) & ~(size_t)15;
    vr_assert(c->used <= c->limit);
    return p;
}

uint64_t vr_code_epoch(const struct vr_cpu *cpu)
{
    return cpu->cache->epoch;
}

void vr_code_flush(struct vr_cpu *cpu)
{
    struct vr_cache *c = cpu->cache;
    vr_jit_flush(cpu);
    memset(c->hash, 0, sizeof(c->hash));
    memset(c->pages, 0, sizeof(c->pages));
    c->used = 0;
    c->epoch++;
}

static struct code_page *cache_find_page(struct vr_cache *c, uint64_t gpa)
{
    struct code_page *p = *cache_page_slot(c, gpa);
    while (p && p->gpa != gpa) {
        p = p->hash_next;
    }
    return p;
}

/* Does anyone hold translations of the page, which makes it claimed? */
static bool cache_has_blocks(struct vr_cache *c, uint64_t gpa)
{
    struct code_page *p = cache_find_page(c, gpa);
    return p && p->nodes;
}

/* Drop the blocks of one page. */
static void cache_drop_page(struct vr_cpu *cpu, uint64_t gpa)
{
    struct vr_cache *c = cpu->cache;
    struct code_page *p = cache_find_page(c, gpa);
    if (!p) {
        return;
    }
    for (struct code_node *n = p->nodes; n; n = n->next) {
        struct vr_block **slot = cache_slot(c, n->block->gpa);
        while (*slot && *slot != n->block) {
            slot = &(*slot)->hash_next;
        }
        if (*slot) {
            *slot = n->block->hash_next;
        }
        n->block->chain[0] = n->block->chain[1] = NULL; /* whoever runs it leaves at its end */
        n->block->gpa = VR_NO_GPA;                      /* and whoever remembers it finds it gone */
        memset(n->block->native, 0, sizeof(n->block->native));
    }
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        vr_jit_drop(cpu, &p->jit[m]);
    }
    p->nodes = NULL; /* the page stays known: code that is rewritten comes back */
    c->epoch++;
}

/* --- Inbox: any thread --- */

static void cache_post(struct vr_cpu *cpu, struct vr_ram *ram, uint64_t off, bool written)
{
    struct vr_cache *c = cpu->cache;
    vr_mutex_lock(&c->lock);
    unsigned n = atomic_load(&c->inbox_count);
    if (n < INBOX) {
        c->inbox[n] = (struct code_note){ram, off, written};
    }
    if (n <= INBOX) {
        atomic_store(&c->inbox_count, n + 1);
    }
    vr_mutex_unlock(&c->lock);
    /* Deterministic mode: one that waits would wake, and how its guest lives would depend on what
     * is translated already. It looks before its next instruction, whoever wakes it. */
    if (!(cpu->vcpu.det && cpu->vcpu.idle)) {
        vr_vcpu_notify(&cpu->vcpu);
    }
}

static void cache_on_written(void *opaque, struct vr_ram *ram, uint64_t off, uint64_t len)
{
    uint64_t last = (off + len - 1) >> VR_PAGE_SHIFT;
    for (uint64_t page = off >> VR_PAGE_SHIFT; page <= last; page++) {
        cache_post(opaque, ram, page << VR_PAGE_SHIFT, true);
    }
}

static void cache_on_map_change(void *opaque)
{
    vr_vcpu_notify(&((struct vr_cpu *)opaque)->vcpu);
}

/* Every guest-physical page where the page of @ram at @off is mapped, wholly or with holes. */
static void cache_each_gpa(struct vr_cpu *cpu, const struct code_note *note,
                           void (*fn)(struct vr_cpu *, uint64_t gpa))
{
    const struct vr_view *view = vr_space_view(cpu->mem, &cpu->view);
    for (size_t i = 0; i < view->count; i++) {
        const struct vr_flat *f = &view->flat[i];
        uint64_t start = f->region->ram_off + f->off;
        if (f->region->ram == note->ram && note->off + VR_PAGE_SIZE > start &&
            note->off < start + f->len) {
            uint64_t in = note->off > start ? note->off - start : 0;
            fn(cpu, vr_align_down(f->gpa + in, VR_PAGE_SIZE));
        }
    }
}

static void cache_drop_gpa(struct vr_cpu *cpu, uint64_t gpa)
{
    cache_drop_page(cpu, gpa);
}

void vr_code_drain(struct vr_cpu *cpu)
{
    struct vr_cache *c = cpu->cache;
    if (vr_space_gen(cpu->mem) != cpu->space_gen) {
        cpu->space_gen = vr_space_gen(cpu->mem);
        vr_tlb_flush(cpu);
        vr_code_flush(cpu);
    }
    uint64_t asked = atomic_load(&cpu->vcpu.protect_asked);
    if (VR_UNLIKELY(asked != atomic_load(&cpu->vcpu.protect_done))) {
        vr_tlb_protect_all(cpu);
        vr_vcpu_protected(&cpu->vcpu, asked);
    }
    if (!atomic_load(&c->inbox_count)) {
        return;
    }
    /* Taking the notes is the answer: what this CPU wrote unseen it wrote before, and it runs no
     * guest code until it has dealt with them. */
    struct code_note notes[INBOX];
    vr_mutex_lock(&c->lock);
    unsigned n = atomic_load(&c->inbox_count);
    memcpy(notes, c->inbox, (n < INBOX ? n : INBOX) * sizeof(notes[0]));
    atomic_store(&c->inbox_count, 0);
    vr_mutex_unlock(&c->lock);
    if (n > INBOX) { /* it may be about any page */
        vr_tlb_protect_all(cpu);
        vr_code_flush(cpu);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        cache_each_gpa(cpu, &notes[i], notes[i].written ? cache_drop_gpa : vr_tlb_protect);
    }
}

/* The next CPU after @i that shares the machine and runs on this engine. */
static struct vr_cpu *cache_peer(struct vr_cpu *cpu, unsigned *i)
{
    struct vr_vcpu *v;
    while (cpu->vcpu.machine && (v = vr_machine_vcpu(cpu->vcpu.machine, *i)) != NULL) {
        (*i)++;
        if (v != &cpu->vcpu && v->ops == cpu->vcpu.ops) {
            return (struct vr_cpu *)v;
        }
    }
    return NULL;
}

void vr_code_fence(struct vr_cpu *cpu)
{
    struct vr_cache *c = cpu->cache;
    vr_code_drain(cpu);
    if (!c->fresh_count) {
        return;
    }
    if (c->fresh_count > FRESH) {
        vr_code_flush(cpu);
    } else {
        for (unsigned i = 0; i < c->fresh_count; i++) {
            cache_drop_page(cpu, c->fresh[i]);
        }
    }
    c->fresh_count = 0;
}

/* --- Translation --- */

/* One lock for the machine. */
static struct vr_mutex *cache_claim_lock(struct vr_cpu *cpu)
{
    unsigned i = 0;
    struct vr_cpu *peer = cache_peer(cpu, &i);
    return peer && peer->vcpu.index < cpu->vcpu.index ? &peer->cache->claim : &cpu->cache->claim;
}

/* Announce that this CPU holds translations of the page of @gpa. Who finds the flag set relies on
 * the others having been told, so setting it and telling them is one step. */
static void cache_claim_page(struct vr_cpu *cpu, uint64_t gpa)
{
    struct vr_cache *c = cpu->cache;
    const struct vr_flat *f = vr_view_find(vr_space_view(cpu->mem, &cpu->view), gpa);
    if (!f || f->region->kind == VR_REGION_DEV) {
        return;
    }
    struct vr_ram *ram = f->region->ram;
    uint64_t off = vr_align_down(f->region->ram_off + f->off + (gpa - f->gpa), VR_PAGE_SIZE);
    struct vr_mutex *lock = cache_claim_lock(cpu);
    bool waiting = false;
    unsigned i = 0;
    vr_mutex_lock(lock);
    uint8_t old = atomic_fetch_or(&ram->page_flags[off >> VR_PAGE_SHIFT], VR_PAGE_CODE);
    for (struct vr_cpu *peer; (peer = cache_peer(cpu, &i)) != NULL;) {
        if (!(old & VR_PAGE_CODE)) {
            cache_post(peer, ram, off, false);
        }
        /* In deterministic mode it answers before it runs. */
        waiting = waiting || (!peer->steps && atomic_load(&peer->cache->inbox_count) != 0);
    }
    vr_mutex_unlock(lock);
    vr_tlb_protect(cpu, gpa); /* also when the flag is old: our own answer may still be due */
    if (waiting) {
        if (c->fresh_count < FRESH) {
            c->fresh[c->fresh_count] = vr_align_down(gpa, VR_PAGE_SIZE);
        }
        c->fresh_count += c->fresh_count <= FRESH;
    }
}

struct vr_jit_page *vr_code_jit_page(struct vr_cpu *cpu, uint64_t gpa, unsigned mode)
{
    struct code_page *p = cache_find_page(cpu->cache, vr_align_down(gpa, VR_PAGE_SIZE));
    return p ? &p->jit[mode] : NULL;
}

void vr_code_uncompile(struct vr_cpu *cpu, uint64_t gpa, unsigned mode)
{
    struct code_page *p = cache_find_page(cpu->cache, vr_align_down(gpa, VR_PAGE_SIZE));
    for (struct code_node *n = p ? p->nodes : NULL; n; n = n->next) {
        n->block->native[mode] = 0;
    }
    if (p) {
        vr_jit_drop(cpu, &p->jit[mode]);
    }
}

static void cache_add_to_page(struct vr_cpu *cpu, struct vr_block *b, uint64_t gpa)
{
    struct vr_cache *c = cpu->cache;
    struct code_page **slot = cache_page_slot(c, gpa), *p = cache_find_page(c, gpa);
    if (!p) {
        p = cache_alloc(c, sizeof(*p));
        *p = (struct code_page){.gpa = gpa, .hash_next = *slot};
        *slot = p;
    }
    struct code_node *n = cache_alloc(c, sizeof(*n));
    *n = (struct code_node){.block = b, .next = p->nodes};
    p->nodes = n;
}

/* Where to fetch from: a host pointer to the byte at @va, and its guest-physical address. */
static const uint8_t *cache_fetch(struct vr_cpu *cpu, uint64_t va, uint64_t *ret_gpa,
                                  bool *ret_whole)
{
    struct vr_xlate x;
    if (!vr_tlb_walked(cpu, va, VR_EXEC, &x) && !cpu->isa->translate(cpu, va, 2, VR_EXEC, &x)) {
        return NULL;
    }
    const uint8_t *p = vr_mem_phys(cpu, x.gpa, 2, false);
    if (!p) {
        cpu->isa->access_fault(cpu, va, VR_EXEC);
        return NULL;
    }
    vr_tlb_fill(cpu, va, VR_EXEC, &x);
    *ret_gpa = x.gpa;
    *ret_whole = x.cacheable;
    return p;
}

/* Is a breakpoint to be looked for at @gpa? A step begins where it is told to. */
static bool cache_marked(const struct vr_cpu *cpu, uint64_t gpa)
{
    return VR_UNLIKELY(cpu->vcpu.debug != NULL) && vr_debug_marks(cpu->vcpu.debug, gpa) &&
           !cpu->vcpu.run.step;
}

static void builder_begin(struct vr_cpu *cpu, struct vr_builder *b, uint64_t gpa)
{
    b->count = b->insn_count = 0;
    b->ended = b->fp_checked = b->rm_checked = false;
    if (cache_marked(cpu, gpa)) {
        b->at = 0;
        vr_emit(b, VR_IR_helper, VR_SLOT_SINK, 0, 0, cpu->isa->break_helper, 0);
    }
}

static unsigned builder_decode(struct vr_cpu *cpu, struct vr_builder *b, unsigned off,
                               const uint8_t *code, unsigned avail)
{
    b->at = (uint16_t)off;
    b->temp = VR_SLOT_TEMP;
    unsigned len = cpu->isa->decode(cpu, b, code, avail);
    b->insn_count += len != 0;
    return len;
}

/* Translate what lies at @gpa. Where only a part of the page may be fetched (!@whole) the block is
 * one instruction, which is checked each time: it is not kept, and gpa2 says that nothing may be
 * linked to it. */
static struct vr_block *cache_translate(struct vr_cpu *cpu, uint64_t gpa, const uint8_t *code,
                                        bool whole)
{
    struct vr_cache *c = cpu->cache;
    struct vr_builder *b = &c->builder;
    uint64_t page = gpa & ~(uint64_t)(VR_PAGE_SIZE - 1), gpa2 = VR_NO_GPA;
    unsigned left = VR_PAGE_SIZE - (unsigned)(gpa - page), off = 0;
    unsigned max_insns = cpu->single || !whole ? 1 : VR_BLOCK_INSN_MAX;
    if (c->limit - c->used < sizeof(struct vr_block) + sizeof(b->ir) + 256) {
        c->limit = ++c->fills >= ARENA_FILLS ? ARENA_MAX : ARENA_FIRST;
        vr_code_flush(cpu);
    }
    if (!cache_has_blocks(c, page)) {
        cache_claim_page(cpu, gpa);
    }
    atomic_thread_fence(memory_order_seq_cst); /* flag first, then read what it guards */
    builder_begin(cpu, b, gpa);
    while (!b->ended && off < left && b->insn_count < max_insns &&
           b->count < VR_BLOCK_IR_MAX - 16 && (off == 0 || !cache_marked(cpu, gpa + off))) {
        unsigned len = builder_decode(cpu, b, off, code + off, left - off);
        if (len == 0) {
            break; /* it reaches into the next page */
        }
        off += len;
    }
    if (!whole && off > 2) {
        struct vr_xlate x;
        if (!cpu->isa->translate(cpu, cpu->pc + 2, off - 2, VR_EXEC, &x)) {
            return NULL;
        }
    }
    if (off == 0) {
        uint8_t both[4];
        bool tail_whole;
        const uint8_t *tail = cache_fetch(cpu, cpu->pc + left, &gpa2, &tail_whole);
        if (!tail) {
            return NULL;
        }
        uint64_t tail_gpa = gpa2;
        whole = whole && tail_whole;
        gpa2 = vr_align_down(gpa2, VR_PAGE_SIZE);
        if (!cache_has_blocks(c, gpa2)) {
            cache_claim_page(cpu, tail_gpa);
        }
        atomic_thread_fence(memory_order_seq_cst);
        memcpy(both, code, 2);
        memcpy(both + 2, tail, 2);
        builder_begin(cpu, b, gpa);
        off = builder_decode(cpu, b, 0, both, 4);
        vr_assert(off == 4);
    }
    if (!b->ended) {
        b->at = (uint16_t)off;
        vr_emit(b, VR_IR_jmp, 0, 0, 0, 0, off);
    }
    struct vr_block *blk = cache_alloc(c, sizeof(*blk) + b->count * sizeof(b->ir[0]));
    *blk = (struct vr_block){.gpa = gpa,
                             .gpa2 = gpa2,
                             .len = (uint16_t)off,
                             .insn_count = (uint16_t)b->insn_count,
                             .ir_count = (uint16_t)b->count};
    memcpy(blk->ir, b->ir, b->count * sizeof(b->ir[0]));
    if (!whole) {
        blk->gpa2 = gpa2 == VR_NO_GPA ? gpa + 2 : gpa2;
        return blk;
    }
    struct vr_block **slot = cache_slot(c, gpa);
    blk->hash_next = *slot;
    *slot = blk;
    cache_add_to_page(cpu, blk, page);
    if (gpa2 != VR_NO_GPA) {
        cache_add_to_page(cpu, blk, gpa2);
    }
    return blk;
}

struct vr_block *vr_code_find(struct vr_cpu *cpu)
{
    uint64_t pc = cpu->pc, gpa;
    const uint8_t *code;
    bool whole;
    unsigned i = (unsigned)(pc >> VR_PAGE_SHIFT) & (VR_TLB_SIZE - 1);
    const struct vr_tlb_entry *e = &cpu->itlb->entry[i];

    if (VR_LIKELY(e->tag[VR_EXEC] == ((pc & ~(uint64_t)(VR_PAGE_SIZE - 1)) | cpu->ictx)) ||
        vr_tlb_recall(cpu, pc, VR_EXEC)) {
        gpa = cpu->itlb->gpa[i] | (pc & (VR_PAGE_SIZE - 1));
        code = (const uint8_t *)((uintptr_t)pc + e->addend);
    } else {
        code = cache_fetch(cpu, pc, &gpa, &whole);
        if (!code) {
            return NULL;
        }
        if (!whole) {
            return cache_translate(cpu, gpa, code, false);
        }
    }
    for (struct vr_block *b = *cache_slot(cpu->cache, gpa); b; b = b->hash_next) {
        if (b->gpa != gpa) {
            continue;
        }
        if (VR_LIKELY(b->gpa2 == VR_NO_GPA)) {
            return b;
        }
        uint64_t gpa2; /* the tail may be mapped elsewhere by now */
        if (!cache_fetch(cpu, vr_align_down(pc, VR_PAGE_SIZE) + VR_PAGE_SIZE, &gpa2, &whole)) {
            return NULL;
        }
        if (vr_align_down(gpa2, VR_PAGE_SIZE) == b->gpa2) {
            return b;
        }
    }
    return cache_translate(cpu, gpa, code, true);
}

struct vr_block *vr_code_one(struct vr_cpu *cpu)
{
    uint64_t gpa;
    bool whole;
    const uint8_t *code = cache_fetch(cpu, cpu->pc, &gpa, &whole);
    return code ? cache_translate(cpu, gpa, code, false) : NULL;
}

int vr_code_init(struct vr_cpu *cpu, struct vr_error *err)
{
    struct vr_cache *c = vr_zalloc(sizeof(*c));
    if (!c) {
        return vr_err(err, -ENOMEM, "no memory for the code cache of cpu %u", cpu->vcpu.index);
    }
    struct vireo_map_opts opts = {.prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
                                  .flags = VIREO_MAP_NORESERVE,
                                  .node = VIREO_NODE_ANY};
    int r = vireo_map_create(ARENA_MAX, &opts, &c->map, err);
    if (r < 0) {
        free(c);
        return vr_err_in(err, r, "code cache of cpu %u", cpu->vcpu.index);
    }
    c->arena = c->map.hva;
    c->limit = ARENA_FIRST;
    vr_mutex_init(&c->claim);
    vr_mutex_init(&c->lock);
    cpu->cache = c;
    cpu->space_gen = vr_space_gen(cpu->mem);
    vr_space_on_change(cpu->mem, cache_on_map_change, cpu);
    vr_space_on_code_written(cpu->mem, cache_on_written, cpu);
    return 0;
}

void vr_code_fini(struct vr_cpu *cpu)
{
    struct vr_cache *c = cpu->cache;
    if (c) {
        vr_space_forget(cpu->mem, cpu);
        vr_view_cache_drop(cpu->mem, &cpu->view);
        vireo_map_destroy(&c->map);
        vr_mutex_fini(&c->lock);
        vr_mutex_fini(&c->claim);
        free(c);
        cpu->cache = NULL;
    }
}

void vr_block_prefix(const struct vr_block *b, unsigned insns, struct vr_block *to)
{
    unsigned ops = 0, seen = 1;
    while (ops == 0 || b->ir[ops].at == b->ir[ops - 1].at || ++seen <= insns) {
        ops++;
    }
    *to = (struct vr_block){.gpa = b->gpa,
                            .gpa2 = b->gpa, /* nothing is linked to it */
                            .len = b->ir[ops].at,
                            .insn_count = (uint16_t)insns,
                            .ir_count = (uint16_t)(ops + 1)};
    memcpy(to->ir, b->ir, ops * sizeof(to->ir[0]));
    to->ir[ops] = (struct vr_ir){.op = VR_IR_jmp, .at = to->len, .imm = to->len};
}

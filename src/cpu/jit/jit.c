/* The JIT's memory, what is compiled together, and what becomes of it. See jit.h. */
#include "base/alloc.h"
#include "base/bits.h"
#include "core/machine.h"
#include "cpu/jit/jit_priv.h"
#include "cpu/jit/lockstep.h"
#include "cpu/jit/mirror.h"
#include "vireo/host_fault.h"

#include <errno.h>
#include <inttypes.h>

/* --- Direct accesses --- */

bool vr_jit_add_site(struct vr_jit *jit, size_t at, size_t slow)
{
    if (jit->site_count == jit->site_room) {
        unsigned room = jit->site_room ? jit->site_room * 2 : 1024;
        struct vr_jit_site *sites = vr_zalloc_array(room, sizeof(*sites));
        if (!sites) {
            return false;
        }
        if (jit->site_count) {
            memcpy(sites, jit->sites, jit->site_count * sizeof(*sites));
        }
        free(jit->sites);
        jit->sites = sites;
        jit->site_room = room;
    }
    vr_assert(!jit->site_count || jit->sites[jit->site_count - 1].at < at);
    jit->sites[jit->site_count++] = (struct vr_jit_site){(uint32_t)at, (uint32_t)slow};
    return true;
}

/* If @fault is one of @jit's code, it is its hart's thread that runs this, and nothing else. */
static bool jit_mend(const struct vr_jit *jit, struct vireo_fault *fault)
{
    uintptr_t at = fault->pc - (uintptr_t)jit->mem.rx;
    if (at >= jit->mem.len) {
        return false;
    }
    unsigned lo = 0, hi = jit->site_count;
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        if (jit->sites[mid].at < at) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (lo == jit->site_count || jit->sites[lo].at != at) {
        return false;
    }
    fault->pc = (uintptr_t)jit->mem.rx + jit->sites[lo].slow;
    return true;
}

/* The CPU after @i of @cpu's machine that has a JIT; one without a machine is alone. */
static struct vr_cpu *jit_next(struct vr_cpu *cpu, unsigned *i)
{
    struct vr_vcpu *v;
    if (!cpu->vcpu.machine) {
        return (*i)++ == 0 ? cpu : NULL;
    }
    while ((v = vr_machine_vcpu(cpu->vcpu.machine, *i)) != NULL) {
        (*i)++;
        if (v->ops == cpu->vcpu.ops && ((struct vr_cpu *)v)->jit) {
            return (struct vr_cpu *)v;
        }
    }
    return NULL;
}

static bool jit_fault(void *opaque, struct vireo_fault *fault)
{
    unsigned i = 0;
    bool mended = false;
    for (struct vr_cpu *cpu; fault->can_set_pc && !mended && (cpu = jit_next(opaque, &i));) {
        mended = jit_mend(cpu->jit, fault);
    }
    return mended;
}

/* Hear of faults: a process has few handlers, so the machine's first CPU does for all of them. */
static bool jit_hear_faults(struct vr_cpu *cpu)
{
    unsigned i = 0;
    struct vr_cpu *first = cpu->vcpu.machine ? jit_next(cpu, &i) : NULL;
    return first ? first->jit->fault_id >= 0
                 : vireo_fault_add(jit_fault, cpu, &cpu->jit->fault_id, NULL) == 0;
}

void vr_jit_tick(struct vr_cpu *cpu, uint64_t pc)
{
    const struct vr_tlb *tlb = &cpu->tlb[VR_MMU_USER];
    unsigned i = (unsigned)(pc >> VR_PAGE_SHIFT) & (VR_TLB_SIZE - 1);
    if (!cpu->mirrors) {
        return;
    }
    vr_mirror_sample(cpu);
    if (tlb->entry[i].tag[VR_EXEC] != ((pc & ~(uint64_t)(VR_PAGE_SIZE - 1)) | cpu->mirror_ctx)) {
        return;
    }
    struct vr_jit_page *page = vr_code_jit_page(cpu, tlb->gpa[i], VR_MMU_USER);
    if (page && page->table && !page->direct && cpu->mirror_limit &&
        ++page->samples >= JIT_DIRECT_SAMPLES) {
        vr_code_uncompile(cpu, tlb->gpa[i], VR_MMU_USER);
        page->direct = true;
        vr_jit_count(&cpu->jit->counts.direct, 1);
    }
}

/* --- Life --- */

int vr_jit_create(struct vr_cpu *cpu, const struct vr_jit_opts *opts, struct vr_error *err)
{
    int r = vr_jit_available(err);
    if (r < 0) {
        return r;
    }
    uint32_t bytes = opts->code_bytes ? opts->code_bytes : VR_JIT_CODE_BYTES;
    if (opts->hot > VR_JIT_HOT_MAX || bytes < VR_JIT_CODE_MIN || bytes > VR_JIT_CODE_MAX) {
        return vr_err(err, -EINVAL,
                      "JIT of cpu %u: hot %u, %u bytes of code: outside what there is",
                      cpu->vcpu.index, opts->hot, bytes);
    }
    struct vr_jit *jit = vr_zalloc(sizeof(*jit));
    if (!jit) {
        return vr_err(err, -ENOMEM, "no memory for the JIT of cpu %u", cpu->vcpu.index);
    }
    r = vireo_jitmem_create(bytes, &jit->mem, err);
    if (r < 0) {
        free(jit);
        return vr_err_in(err, r, "JIT of cpu %u", cpu->vcpu.index);
    }
    jit->perf = opts->perf;
    jit->dump = opts->dump;
    jit->dump_begin = opts->dump_begin;
    jit->dump_end = opts->dump_end;
    vr_jit_emit_shared(jit);
    vireo_icache_flush(jit->mem.rw, jit->mem.rx, jit->first);
    cpu->jit = jit;
    cpu->jit_hot = (uint16_t)(opts->hot ? opts->hot : VR_JIT_HOT);
    jit->fault_id = -1;
    if (vr_jit_has_direct && opts->mirror != VR_JIT_MIRROR_OFF && jit_hear_faults(cpu)) {
        vr_mirrors_create(cpu, opts->mirror == VR_JIT_MIRROR_ALWAYS);
    }
    vr_jit_fp_sync(cpu);
    return 0;
}

void vr_jit_destroy(struct vr_cpu *cpu)
{
    struct vr_jit *jit = cpu->jit;
    if (!jit) {
        return;
    }
    vr_jit_flush(cpu);
    vr_mirrors_destroy(cpu);
    if (jit->fault_id >= 0) {
        vireo_fault_remove(jit->fault_id);
    }
    free(jit->sites);
    free(jit->slow);
    for (unsigned i = 0; i < jit->table_count; i++) {
        free(jit->tables[i]);
    }
    for (struct vr_jit_chunk *c = jit->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    vireo_jitmem_destroy(&jit->mem);
    free(jit);
    cpu->jit = NULL;
}

void vr_jit_get_stats(const struct vr_cpu *cpu, struct vr_jit_stats *ret_stats)
{
    const struct vr_jit_counts *c = cpu->jit ? &cpu->jit->counts : NULL;
    *ret_stats = (struct vr_jit_stats){0};
    if (c) {
        ret_stats->blocks = atomic_load_explicit(&c->blocks, memory_order_relaxed);
        ret_stats->insns = atomic_load_explicit(&c->insns, memory_order_relaxed);
        ret_stats->bytes = atomic_load_explicit(&c->bytes, memory_order_relaxed);
        ret_stats->flushes = atomic_load_explicit(&c->flushes, memory_order_relaxed);
        ret_stats->drops = atomic_load_explicit(&c->drops, memory_order_relaxed);
        ret_stats->exits = atomic_load_explicit(&c->exits, memory_order_relaxed);
        ret_stats->direct = atomic_load_explicit(&c->direct, memory_order_relaxed);
        ret_stats->mirrored = atomic_load_explicit(&c->mirrored, memory_order_relaxed);
        ret_stats->mirror_faults = atomic_load_explicit(&c->mirror_faults, memory_order_relaxed);
    }
    vr_lockstep_add_stats(cpu, ret_stats);
}

/* --- Links --- */

struct vr_jit_link *vr_jit_link_new(struct vr_jit *jit)
{
    if (!jit->links_free) {
        struct vr_jit_chunk *c = vr_zalloc(sizeof(*c));
        if (!c) {
            return NULL;
        }
        c->next = jit->chunks;
        jit->chunks = c;
        for (unsigned i = 0; i < JIT_CHUNK_LINKS; i++) {
            c->link[i].next = jit->links_free;
            jit->links_free = &c->link[i];
        }
    }
    struct vr_jit_link *l = jit->links_free;
    jit->links_free = l->next;
    return l;
}

/* --- Tables --- */

const uint32_t *vr_jit_table(struct vr_cpu *cpu, uint64_t gpa, unsigned mode)
{
    const struct vr_jit_page *page = cpu->jit ? vr_code_jit_page(cpu, gpa, mode) : NULL;
    return page && page->table ? page->table : cpu->jit ? cpu->jit->empty : NULL;
}

/* NULL: there are as many as may be. */
static uint32_t *jit_table_new(struct vr_jit *jit)
{
    if (jit->tables_used == JIT_TABLES_MAX) {
        return NULL;
    }
    if (jit->tables_used == jit->table_count) {
        uint32_t *t = vr_zalloc(JIT_TABLE_LEN * sizeof(*t));
        if (!t) {
            return NULL;
        }
        jit->tables[jit->table_count++] = t;
    }
    return jit->tables[jit->tables_used++];
}

void vr_jit_drop(struct vr_cpu *cpu, struct vr_jit_page *page)
{
    struct vr_jit *jit = cpu->jit;
    if (!jit || !page->table) {
        return;
    }
    /* The TLB's entries keep the table, now empty: finding them would take long. */
    memset(page->table, 0, JIT_TABLE_LEN * sizeof(*page->table));
    while (page->links) {
        struct vr_jit_link *l = page->links;
        page->links = l->next;
        l->next = jit->links_free;
        jit->links_free = l;
    }
    page->samples = 0;
    page->direct = page->direct && vr_mirrors_always(cpu);
    vr_jit_count(&jit->counts.drops, 1);
}

void vr_jit_flush(struct vr_cpu *cpu)
{
    struct vr_jit *jit = cpu->jit;
    if (!jit) {
        return;
    }
    vr_tlb_reset_code(cpu, jit->empty);
    for (unsigned i = 0; i < jit->tables_used; i++) {
        memset(jit->tables[i], 0, JIT_TABLE_LEN * sizeof(*jit->tables[i]));
    }
    jit->tables_used = 0;
    jit->links_free = NULL;
    for (struct vr_jit_chunk *c = jit->chunks; c; c = c->next) {
        for (unsigned i = 0; i < JIT_CHUNK_LINKS; i++) {
            c->link[i].next = jit->links_free;
            jit->links_free = &c->link[i];
        }
    }
    jit->used = jit->first;
    jit->site_count = 0;
    vr_jit_count(&jit->counts.flushes, 1);
}

/* --- Compiling --- */

static bool jit_wants(const struct vr_block *b, uint64_t page, unsigned mode)
{
    return b && b->gpa2 == VR_NO_GPA && (b->gpa & ~(uint64_t)(VR_PAGE_SIZE - 1)) == page &&
           !b->native[mode] && !b->queued;
}

/* @b and what followed it when it was interpreted: on first, then aside. */
static unsigned jit_gather(struct vr_block *b, unsigned mode, struct vr_block **ret_blocks)
{
    uint64_t page = b->gpa & ~(uint64_t)(VR_PAGE_SIZE - 1);
    struct vr_block *aside[JIT_REGION_BLOCKS];
    unsigned count = 0, waiting = 0;
    aside[waiting++] = b;
    while (waiting && count < JIT_REGION_BLOCKS) {
        struct vr_block *at = aside[--waiting];
        while (jit_wants(at, page, mode) && count < JIT_REGION_BLOCKS) {
            at->queued = true;
            ret_blocks[count++] = at;
            struct vr_block *next = at->chain[1] ? at->chain[1] : at->chain[0];
            struct vr_block *other = at->chain[1] ? at->chain[0] : NULL;
            if (other && waiting < JIT_REGION_BLOCKS) {
                aside[waiting++] = other;
            }
            at = next;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        ret_blocks[i]->queued = false;
    }
    return count;
}

/* Lines "START SIZE NAME" in hex, one a block; its slow paths count to the last one's. The stream
 * is buffered by lines, and shared by all harts. */
static void jit_tell_perf(struct vr_jit *jit, struct vr_block *const *blocks, unsigned count,
                          unsigned mode)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t at = blocks[i]->native[mode];
        uint32_t end = i + 1 < count ? blocks[i + 1]->native[mode] : (uint32_t)jit->used;
        fprintf(jit->perf, "%" PRIxPTR " %" PRIx32 " guest:%" PRIx64 ":%u\n",
                (uintptr_t)jit->mem.rx + at, end - at, blocks[i]->gpa, mode);
    }
}

/* Drop everything. If there is nothing, the host is short of memory: the guest gets on uncompiled.
 */
static void jit_make_room(struct vr_cpu *cpu)
{
    cpu->interp_once = cpu->jit->used == cpu->jit->first;
    vr_code_flush(cpu);
}

void vr_jit_compile(struct vr_cpu *cpu, struct vr_block *b)
{
    struct vr_jit *jit = cpu->jit;
    unsigned mode = cpu->mode;
    struct vr_jit_page *page = vr_code_jit_page(cpu, b->gpa, mode);
    struct vr_block *blocks[JIT_REGION_BLOCKS];
    if (b->gpa2 != VR_NO_GPA || !page) {
        return;
    }
    if (!page->table) {
        page->table = jit_table_new(jit);
        if (!page->table) {
            jit_make_room(cpu);
            return;
        }
        page->direct = mode == VR_MMU_USER && vr_mirrors_always(cpu);
        vr_tlb_set_code(cpu, mode, b->gpa, page->table);
    }
    unsigned count = jit_gather(b, mode, blocks);
    if (!vr_jit_emit_blocks(cpu, blocks, count, mode, page)) {
        jit_make_room(cpu);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        blocks[i]->native[mode] = page->table[(blocks[i]->gpa & (VR_PAGE_SIZE - 1)) >> 1];
    }
    if (VR_UNLIKELY(jit->perf != NULL)) {
        jit_tell_perf(jit, blocks, count, mode);
    }
    if (VR_UNLIKELY(jit->dump != NULL)) {
        vr_jit_dump(cpu, blocks, count, mode);
    }
}

void vr_jit_run(struct vr_cpu *cpu, uint32_t code)
{
    cpu->page_va = cpu->pc & ~(uint64_t)(VR_PAGE_SIZE - 1);
    vr_jit_count(&cpu->jit->counts.exits, 1);
    vr_jit_enter(cpu, code);
    vr_jit_fp_sync(cpu);
}

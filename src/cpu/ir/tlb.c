/* The TLB of Vireo's own engine: see cpu/ir/cpu.h for its shape. */
#include "cpu/ir/cpu.h"
#include "cpu/jit/jit.h"
#include <string.h>

static unsigned tlb_index(uint64_t va)
{
    return (unsigned)(va >> VR_PAGE_SHIFT) & (VR_TLB_SIZE - 1);
}

void vr_tlb_select(struct vr_cpu *cpu, unsigned dmode, unsigned dctx, unsigned imode, unsigned ictx)
{
    cpu->dtlb = &cpu->tlb[dmode];
    cpu->itlb = &cpu->tlb[imode];
    cpu->dctx = dctx;
    cpu->ictx = ictx;
    cpu->mode = dmode == imode && dctx == ictx ? (uint8_t)dmode : VR_NO_MODE;
}

void vr_tlb_flush(struct vr_cpu *cpu)
{
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        memset(cpu->tlb[m].entry, 0, sizeof(cpu->tlb[m].entry));
        memset(cpu->tlb[m].victim, 0, sizeof(cpu->tlb[m].victim));
    }
    cpu->has_large = false;
}

static bool tlb_covers(const struct vr_tlb_entry *e, uint64_t va)
{
    for (unsigned i = VR_READ; i <= VR_EXEC; i++) {
        if (e->tag[i] && (e->tag[i] ^ va) >> VR_PAGE_SHIFT == 0) {
            return true;
        }
    }
    return false;
}

void vr_tlb_flush_page(struct vr_cpu *cpu, uint64_t va)
{
    if (cpu->has_large && (va & cpu->large_mask) == cpu->large_base) {
        vr_tlb_flush(cpu); /* it may be part of a superpage, whose entries are many */
        return;
    }
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        struct vr_tlb *tlb = &cpu->tlb[m];
        memset(&tlb->entry[tlb_index(va)], 0, sizeof(struct vr_tlb_entry));
        for (unsigned i = 0; i < VR_TLB_VICTIMS; i++) {
            if (tlb_covers(&tlb->victim[i], va)) {
                memset(&tlb->victim[i], 0, sizeof(tlb->victim[i]));
            }
        }
    }
}

void vr_tlb_protect(struct vr_cpu *cpu, uint64_t gpa)
{
    gpa &= ~(uint64_t)(VR_PAGE_SIZE - 1);
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        struct vr_tlb *tlb = &cpu->tlb[m];
        for (unsigned i = 0; i < VR_TLB_SIZE; i++) {
            if (tlb->gpa[i] == gpa) {
                tlb->entry[i].tag[VR_WRITE] = 0;
            }
        }
        for (unsigned i = 0; i < VR_TLB_VICTIMS; i++) {
            if (tlb->victim_gpa[i] == gpa) {
                tlb->victim[i].tag[VR_WRITE] = 0;
            }
        }
    }
}

void vr_tlb_set_code(struct vr_cpu *cpu, unsigned mode, uint64_t gpa, const uint32_t *code)
{
    struct vr_tlb *tlb = &cpu->tlb[mode];
    gpa &= ~(uint64_t)(VR_PAGE_SIZE - 1);
    for (unsigned i = 0; i < VR_TLB_SIZE; i++) {
        tlb->code[i] = tlb->gpa[i] == gpa ? code : tlb->code[i];
    }
    for (unsigned i = 0; i < VR_TLB_VICTIMS; i++) {
        tlb->victim_code[i] = tlb->victim_gpa[i] == gpa ? code : tlb->victim_code[i];
    }
}

void vr_tlb_replace_code(struct vr_cpu *cpu, unsigned mode, const uint32_t *old,
                         const uint32_t *code)
{
    struct vr_tlb *tlb = &cpu->tlb[mode];
    for (unsigned i = 0; i < VR_TLB_SIZE; i++) {
        tlb->code[i] = !old || tlb->code[i] == old ? code : tlb->code[i];
    }
    for (unsigned i = 0; i < VR_TLB_VICTIMS; i++) {
        tlb->victim_code[i] = !old || tlb->victim_code[i] == old ? code : tlb->victim_code[i];
    }
}

bool vr_tlb_recall(struct vr_cpu *cpu, uint64_t va, enum vr_access access)
{
    bool exec = access == VR_EXEC;
    struct vr_tlb *tlb = exec ? cpu->itlb : cpu->dtlb;
    uint64_t tag = (va & ~(uint64_t)(VR_PAGE_SIZE - 1)) | (exec ? cpu->ictx : cpu->dctx);
    unsigned main = tlb_index(va);
    for (unsigned i = 0; i < VR_TLB_VICTIMS; i++) {
        if (tlb->victim[i].tag[access] == tag) {
            struct vr_tlb_entry e = tlb->entry[main];
            uint64_t gpa = tlb->gpa[main];
            const uint32_t *code = tlb->code[main];
            tlb->entry[main] = tlb->victim[i];
            tlb->gpa[main] = tlb->victim_gpa[i];
            tlb->victim[i] = e;
            tlb->victim_gpa[i] = gpa;
            tlb->code[main] = tlb->victim_code[i];
            tlb->victim_code[i] = code;
            return true;
        }
    }
    return false;
}

/* Keep the entry that @slot is about to lose, unless it is for the same page. */
static void tlb_displace(struct vr_tlb *tlb, unsigned slot, uint64_t tag)
{
    const struct vr_tlb_entry *e = &tlb->entry[slot];
    uint64_t old = e->tag[VR_READ] | e->tag[VR_WRITE] | e->tag[VR_EXEC];
    if (old && old != tag) {
        unsigned i = tlb->victim_next++ % VR_TLB_VICTIMS;
        tlb->victim[i] = *e;
        tlb->victim_gpa[i] = tlb->gpa[slot];
        tlb->victim_code[i] = tlb->code[slot];
    }
}

/* Widen the range that holds superpage entries so that it covers this one too. */
static void tlb_note_large(struct vr_cpu *cpu, uint64_t va, uint64_t page_bytes)
{
    uint64_t mask = ~(page_bytes - 1);
    if (cpu->has_large) {
        mask &= cpu->large_mask;
        while ((va & mask) != (cpu->large_base & mask)) {
            mask <<= 1; /* ends at 0, which covers everything */
        }
    }
    cpu->has_large = true;
    cpu->large_mask = mask;
    cpu->large_base = va & mask;
}

void vr_tlb_fill(struct vr_cpu *cpu, uint64_t va, bool exec, const struct vr_xlate *x)
{
    uint64_t page = x->gpa & ~(uint64_t)(VR_PAGE_SIZE - 1);
    uint64_t vpage = va & ~(uint64_t)(VR_PAGE_SIZE - 1);
    const struct vr_window_cache *w = x->cacheable ? vr_mem_window(cpu, page, VR_PAGE_SIZE) : NULL;
    if (!w) {
        return; /* not wholly memory, or not one rule for the whole page */
    }
    struct vr_ram *ram = w->ram;
    uint64_t off = w->ram_off + (page - w->gpa);
    struct vr_tlb *tlb = exec ? cpu->itlb : cpu->dtlb;
    uint64_t tag = vpage | (exec ? cpu->ictx : cpu->dctx);
    struct vr_tlb_entry *e = &tlb->entry[tlb_index(va)];

    tlb_displace(tlb, tlb_index(va), tag);
    memset(e->tag, 0, sizeof(e->tag));
    tlb->gpa[tlb_index(va)] = page;
    e->addend = (uintptr_t)(ram->hva + off) - (uintptr_t)vpage;
    if (x->prot & 1 << VR_READ) {
        e->tag[VR_READ] = tag;
    }
    if (x->prot & 1 << VR_EXEC) {
        e->tag[VR_EXEC] = tag;
        tlb->code[tlb_index(va)] = vr_jit_table(cpu, page, (unsigned)(tlb - cpu->tlb));
    }
    /* A traced CPU takes the slow path for stores, which reports them. */
    if (x->prot & 1 << VR_WRITE && !w->rom && !cpu->trace &&
        !atomic_load(&ram->page_flags[off >> VR_PAGE_SHIFT])) {
        e->tag[VR_WRITE] = tag;
    }
    if (x->page_bytes > VR_PAGE_SIZE) {
        tlb_note_large(cpu, va, x->page_bytes);
    }
}

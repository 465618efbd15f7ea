/* The TLB of Vireo's own engine: see cpu/ir/cpu.h for its shape. */
#include "cpu/ir/cpu.h"
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
}

void vr_tlb_flush(struct vr_cpu *cpu)
{
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        memset(cpu->tlb[m].entry, 0, sizeof(cpu->tlb[m].entry));
    }
    cpu->has_large = false;
}

void vr_tlb_flush_page(struct vr_cpu *cpu, uint64_t va)
{
    if (cpu->has_large && (va & cpu->large_mask) == cpu->large_base) {
        vr_tlb_flush(cpu); /* it may be part of a superpage, whose entries are many */
        return;
    }
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        memset(&cpu->tlb[m].entry[tlb_index(va)], 0, sizeof(struct vr_tlb_entry));
    }
}

void vr_tlb_protect(struct vr_cpu *cpu, uint64_t gpa)
{
    gpa &= ~(uint64_t)(VR_PAGE_SIZE - 1);
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        for (unsigned i = 0; i < VR_TLB_SIZE; i++) {
            if (cpu->tlb[m].gpa[i] == gpa) {
                cpu->tlb[m].entry[i].tag[VR_WRITE] = 0;
            }
        }
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
    const struct vr_flat *flat = vr_view_find(vr_space_view(cpu->mem, &cpu->view), x->gpa);
    if (!x->cacheable || !flat || flat->region->kind == VR_REGION_DEV) {
        return;
    }
    uint64_t page = x->gpa & ~(uint64_t)(VR_PAGE_SIZE - 1);
    uint64_t vpage = va & ~(uint64_t)(VR_PAGE_SIZE - 1);
    if (page < flat->gpa || page - flat->gpa > flat->len - VR_PAGE_SIZE ||
        flat->len < VR_PAGE_SIZE) {
        return; /* the page is not wholly memory */
    }
    struct vr_ram *ram = flat->region->ram;
    uint64_t off = flat->region->ram_off + flat->off + (page - flat->gpa);
    struct vr_tlb *tlb = exec ? cpu->itlb : cpu->dtlb;
    uint64_t tag = vpage | (exec ? cpu->ictx : cpu->dctx);
    struct vr_tlb_entry *e = &tlb->entry[tlb_index(va)];

    memset(e->tag, 0, sizeof(e->tag));
    tlb->gpa[tlb_index(va)] = page;
    e->addend = (uintptr_t)(ram->hva + off) - (uintptr_t)vpage;
    if (x->prot & 1 << VR_READ) {
        e->tag[VR_READ] = tag;
    }
    if (x->prot & 1 << VR_EXEC) {
        e->tag[VR_EXEC] = tag;
    }
    /* A traced CPU takes the slow path for stores, which reports them. */
    if (x->prot & 1 << VR_WRITE && flat->region->kind == VR_REGION_RAM && !cpu->trace &&
        !atomic_load(&ram->page_flags[off >> VR_PAGE_SHIFT])) {
        e->tag[VR_WRITE] = tag;
    }
    if (x->page_bytes > VR_PAGE_SIZE) {
        tlb_note_large(cpu, va, x->page_bytes);
    }
}

/* The TLB of Vireo's own engine: see cpu/ir/cpu.h for its shape. */
#include "cpu/ir/cpu.h"
#include "cpu/jit/jit.h"
#include "cpu/jit/lockstep.h"
#include "cpu/jit/mirror.h"
#include <string.h>

enum { TLB_PART = VR_TLB_SIZE / 64 };

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
    if (cpu->mirrors && cpu->mode == VR_MMU_USER && dctx != cpu->mirror_ctx) {
        vr_mirror_select(cpu, dctx);
    }
}

void vr_tlb_look_again(struct vr_cpu *cpu)
{
    if (!cpu->steps) {
        vr_tlb_flush(cpu);
        return;
    }
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        memset(cpu->tlb[m].entry, 0, sizeof(cpu->tlb[m].entry));
    }
}

bool vr_tlb_walked(const struct vr_cpu *cpu, uint64_t va, enum vr_access access,
                   struct vr_xlate *ret_x)
{
    bool exec = access == VR_EXEC;
    const struct vr_tlb *tlb = exec ? cpu->itlb : cpu->dtlb;
    unsigned i = tlb_index(va);
    uint64_t tag = (va & ~(uint64_t)(VR_PAGE_SIZE - 1)) | (exec ? cpu->ictx : cpu->dctx);
    if (!cpu->steps || tlb->walked[i] != tag || !(tlb->walked_prot[i] >> access & 1)) {
        return false;
    }
    *ret_x = (struct vr_xlate){.gpa = tlb->gpa[i] | (va & (VR_PAGE_SIZE - 1)),
                               .prot = tlb->walked_prot[i],
                               .cacheable = true,
                               .page_bytes = VR_PAGE_SIZE};
    return true;
}

void vr_tlb_flush(struct vr_cpu *cpu)
{
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        struct vr_tlb *tlb = &cpu->tlb[m];
        for (unsigned i = 0; tlb->used; i++, tlb->used >>= 1) {
            if (tlb->used & 1) {
                memset(&tlb->entry[i * TLB_PART], 0, TLB_PART * sizeof(tlb->entry[0]));
                if (cpu->steps) { /* else there is nothing */
                    memset(&tlb->walked[i * TLB_PART], 0, TLB_PART * sizeof(tlb->walked[0]));
                }
            }
        }
        memset(tlb->victim, 0, sizeof(tlb->victim));
    }
    cpu->has_large = false;
    vr_mirror_flush(cpu);
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
    vr_mirror_flush_page(cpu, va);
    if (cpu->has_large && (va & cpu->large_mask) == cpu->large_base) {
        vr_tlb_flush(cpu); /* it may be part of a superpage, whose entries are many */
        return;
    }
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        struct vr_tlb *tlb = &cpu->tlb[m];
        struct vr_tlb_entry *second = &tlb->entry[tlb_index(va) ^ VR_TLB_SECOND];
        memset(&tlb->entry[tlb_index(va)], 0, sizeof(struct vr_tlb_entry));
        tlb->walked[tlb_index(va)] = 0;
        if (tlb_covers(second, va)) {
            memset(second, 0, sizeof(*second));
        }
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
    vr_mirror_protect(cpu, gpa);
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

void vr_tlb_protect_all(struct vr_cpu *cpu)
{
    vr_mirror_protect_all(cpu);
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        struct vr_tlb *tlb = &cpu->tlb[m];
        for (unsigned i = 0; i < VR_TLB_SIZE; i++) {
            if (tlb->used >> i / TLB_PART & 1) {
                tlb->entry[i].tag[VR_WRITE] = 0;
            }
        }
        for (unsigned i = 0; i < VR_TLB_VICTIMS; i++) {
            tlb->victim[i].tag[VR_WRITE] = 0;
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

void vr_tlb_reset_code(struct vr_cpu *cpu, const uint32_t *code)
{
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        struct vr_tlb *tlb = &cpu->tlb[m];
        for (unsigned i = 0; i < VR_TLB_SIZE; i++) {
            tlb->code[i] = code;
        }
        for (unsigned i = 0; i < VR_TLB_VICTIMS; i++) {
            tlb->victim_code[i] = code;
        }
    }
}

/* An entry and what belongs to it, at its place or among the victims. */
struct tlb_place {
    struct vr_tlb_entry *entry;
    uint64_t *gpa;
    const uint32_t **code;
};

static struct tlb_place tlb_main(struct vr_tlb *tlb, unsigned i)
{
    return (struct tlb_place){&tlb->entry[i], &tlb->gpa[i], &tlb->code[i]};
}

static struct tlb_place tlb_victim(struct vr_tlb *tlb, unsigned i)
{
    return (struct tlb_place){&tlb->victim[i], &tlb->victim_gpa[i], &tlb->victim_code[i]};
}

static void tlb_copy(struct tlb_place to, struct tlb_place from)
{
    *to.entry = *from.entry;
    *to.gpa = *from.gpa;
    *to.code = *from.code;
}

static void tlb_swap(struct tlb_place a, struct tlb_place b)
{
    struct vr_tlb_entry entry;
    uint64_t gpa;
    const uint32_t *code;
    struct tlb_place tmp = {&entry, &gpa, &code};
    tlb_copy(tmp, a);
    tlb_copy(a, b);
    tlb_copy(b, tmp);
}

bool vr_tlb_recall(struct vr_cpu *cpu, uint64_t va, enum vr_access access)
{
    bool exec = access == VR_EXEC;
    struct vr_tlb *tlb = exec ? cpu->itlb : cpu->dtlb;
    uint64_t tag = (va & ~(uint64_t)(VR_PAGE_SIZE - 1)) | (exec ? cpu->ictx : cpu->dctx);
    unsigned main = tlb_index(va);
    if (tlb->entry[main ^ VR_TLB_SECOND].tag[access] == tag) {
        tlb_swap(tlb_main(tlb, main), tlb_main(tlb, main ^ VR_TLB_SECOND));
        return true;
    }
    for (unsigned i = 0; i < VR_TLB_VICTIMS; i++) {
        if (tlb->victim[i].tag[access] == tag) {
            tlb_swap(tlb_main(tlb, main), tlb_victim(tlb, i));
            return true;
        }
    }
    return false;
}

static uint64_t tlb_any_tag(const struct vr_tlb_entry *e)
{
    return e->tag[VR_READ] | e->tag[VR_WRITE] | e->tag[VR_EXEC];
}

/* Keep the entry that @slot is about to lose, unless it is for the same page. */
static void tlb_displace(struct vr_tlb *tlb, unsigned slot, uint64_t tag)
{
    uint64_t old = tlb_any_tag(&tlb->entry[slot]),
             second = tlb_any_tag(&tlb->entry[slot ^ VR_TLB_SECOND]);
    tlb->used |= UINT64_C(1) << slot / TLB_PART | UINT64_C(1) << (slot ^ VR_TLB_SECOND) / TLB_PART;
    if (second == tag) { /* an older look at the page itself, with fewer rights */
        memset(&tlb->entry[slot ^ VR_TLB_SECOND], 0, sizeof(struct vr_tlb_entry));
        second = 0;
    }
    if (!old || old == tag) {
        return;
    }
    if (second) {
        tlb_copy(tlb_victim(tlb, tlb->victim_next++ % VR_TLB_VICTIMS),
                 tlb_main(tlb, slot ^ VR_TLB_SECOND));
    }
    tlb_copy(tlb_main(tlb, slot ^ VR_TLB_SECOND), tlb_main(tlb, slot));
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

void vr_tlb_fill(struct vr_cpu *cpu, uint64_t va, enum vr_access access, const struct vr_xlate *x)
{
    bool exec = access == VR_EXEC;
    uint64_t page = x->gpa & ~(uint64_t)(VR_PAGE_SIZE - 1);
    uint64_t vpage = va & ~(uint64_t)(VR_PAGE_SIZE - 1);
    const struct vr_window_cache *w = x->cacheable ? vr_mem_window(cpu, page, VR_PAGE_SIZE) : NULL;
    if (!w) {
        return; /* not wholly memory, or not one rule for the whole page */
    }
    struct vr_ram *ram = w->ram;
    uint64_t off = w->ram_off + (page - w->gpa);
    uint8_t prot = x->prot;
    if (access == VR_WRITE && !w->rom) { /* so that the entry lets the next write pass */
        vr_ram_will_write(ram, off);
    }
    if (VR_UNLIKELY(cpu->vcpu.debug != NULL)) {
        prot &= vr_cpu_unwatched(cpu, vpage);
    }
    struct vr_tlb *tlb = exec ? cpu->itlb : cpu->dtlb;
    uint64_t tag = vpage | (exec ? cpu->ictx : cpu->dctx);
    struct vr_tlb_entry *e = &tlb->entry[tlb_index(va)];

    if (!cpu->steps) {
        tlb_displace(tlb, tlb_index(va), tag);
    } else { /* what is found must not depend on the engine: one place each */
        tlb->used |= UINT64_C(1) << tlb_index(va) / TLB_PART;
        tlb->walked[tlb_index(va)] = tag;
        tlb->walked_prot[tlb_index(va)] = x->prot;
    }
    memset(e->tag, 0, sizeof(e->tag));
    tlb->gpa[tlb_index(va)] = page;
    uint8_t *host = VR_UNLIKELY(cpu->lockstep != NULL) ? vr_lockstep_host(cpu, ram, off, false)
                                                       : ram->hva + off;
    e->addend = (uintptr_t)host - (uintptr_t)vpage;
    if (prot & 1 << VR_READ) {
        e->tag[VR_READ] = tag;
    }
    if (prot & 1 << VR_EXEC) {
        e->tag[VR_EXEC] = tag;
        tlb->code[tlb_index(va)] = vr_jit_table(cpu, page, (unsigned)(tlb - cpu->tlb));
    }
    /* A traced CPU takes the slow path for stores, which reports them. */
    if (prot & 1 << VR_WRITE && !w->rom && !cpu->trace &&
        !atomic_load(&ram->page_flags[off >> VR_PAGE_SHIFT]) &&
        (!cpu->lockstep || vr_lockstep_may_write(cpu, ram, off))) {
        e->tag[VR_WRITE] = tag;
    }
    if (x->page_bytes > VR_PAGE_SIZE) {
        tlb_note_large(cpu, va, x->page_bytes);
    }
}

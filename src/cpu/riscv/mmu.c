/*
 * Address translation: Bare, Sv39, Sv48, Sv57 with Svnapot, Svpbmt, Svade and Svadu, and the choice
 * of the TLB sets and contexts. RISC-V ISA manual, volume II, "Supervisor-Level ISA" 12.3 to 12.6
 * and the Sv* chapters.
 *
 * TLB contexts are small numbers: 1 is every physical address space (M-mode, satp Bare), and each
 * ASID gets one of its own when it is first used. Forgetting an address space means to give it a
 * new number.
 */
#include "base/bits.h"
#include "cpu/riscv/priv.h"

#include <string.h>

enum {
    PTE_V = 1,
    PTE_R = 2,
    PTE_W = 4,
    PTE_X = 8,
    PTE_U = 16,
    PTE_A = 64,
    PTE_D = 128,
    PTE_PPN_SHIFT = 10,
    CTX_PHYS = 1,
    CTX_FIRST = 2,
    CTX_END = 4096,
    NAPOT_BITS = 4, /* log2 of the pages in the one NAPOT size, 64 KiB */
};
#define PTE_RESERVED (UINT64_C(0x7f) << 54)
#define PTE_PBMT     (UINT64_C(3) << 61)
#define PTE_N        RV_BIT(63)

static unsigned mmu_satp_mode(const struct rv_hart *hart)
{
    return (unsigned)(hart->satp >> RV_SATP_MODE_SHIFT);
}

enum rv_priv rv_data_priv(const struct rv_hart *hart)
{
    if (hart->priv == RV_M && hart->mstatus & RV_MSTATUS_MPRV) {
        return (enum rv_priv)(hart->mstatus >> RV_MPP_SHIFT & 3);
    }
    return (enum rv_priv)hart->priv;
}

/* --- The walk --- */

/* May @access be done through this leaf in @priv? */
static bool mmu_allowed(const struct rv_hart *hart, uint64_t pte, enum vr_access access,
                        enum rv_priv priv)
{
    if (priv == RV_U) {
        if (!(pte & PTE_U)) {
            return false;
        }
    } else if (pte & PTE_U && (access == VR_EXEC || !(hart->mstatus & RV_MSTATUS_SUM))) {
        return false;
    }
    switch (access) {
    case VR_READ:
        return pte & PTE_R || (pte & PTE_X && hart->mstatus & RV_MSTATUS_MXR);
    case VR_WRITE:
        return pte & PTE_W;
    default:
        return pte & PTE_X;
    }
}

/* Are the bits that no one may set clear? */
static bool mmu_well_formed(const struct rv_hart *hart, uint64_t pte)
{
    bool leaf = pte & (PTE_R | PTE_X);
    if (!(pte & PTE_V) || (pte & PTE_W && !(pte & PTE_R)) || pte & PTE_RESERVED) {
        return false;
    }
    if (!leaf) {
        return !(pte & (PTE_U | PTE_A | PTE_D | PTE_PBMT | PTE_N));
    }
    if (pte & PTE_PBMT && (!(hart->menvcfg & RV_ENVCFG_PBMTE) || (pte & PTE_PBMT) == PTE_PBMT)) {
        return false;
    }
    return !(pte & PTE_N) || RV_HAS(&hart->config, svnapot);
}

/* Set A, and D for a write, in the leaf at @gpa, which still is *pte. RV_WALK_PAGE: the leaf
 * changed, or software sets these bits itself (or nobody is to: !@may); *ret_again tells the
 * first. */
static enum rv_walk mmu_mark(struct rv_hart *hart, uint64_t gpa, uint64_t *pte,
                             enum vr_access access, bool may, bool *ret_again)
{
    uint64_t want = PTE_A | (access == VR_WRITE ? PTE_D : 0), old = *pte;
    *ret_again = false;
    if ((old & want) == want) {
        return RV_WALK_OK;
    }
    if (!may || !(hart->menvcfg & RV_ENVCFG_ADUE)) {
        return RV_WALK_PAGE;
    }
    if (!(rv_pmp_rights(hart, gpa, 8, RV_S) & 1 << VR_WRITE)) {
        return RV_WALK_ACCESS;
    }
    uint64_t *p = vr_mem_phys(&hart->cpu, gpa, 8, true);
    if (!p) {
        return RV_WALK_ACCESS;
    }
    uint64_t expected = VR_LE_(64, old), next = VR_LE_(64, old | want);
    if (!__atomic_compare_exchange_n(p, &expected, next, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST)) {
        *ret_again = true;
        return RV_WALK_PAGE;
    }
    vr_mem_tell(&hart->cpu, gpa, 8);
    *pte = old | want;
    return RV_WALK_OK;
}

/* Find the leaf of @va; its level goes to *ret_level. */
static enum rv_walk mmu_find(struct rv_hart *hart, uint64_t va, uint64_t *ret_pte,
                             uint64_t *ret_gpa, unsigned *ret_level)
{
    unsigned levels = mmu_satp_mode(hart) - 5; /* 8, 9, 10: three, four, five */
    unsigned va_bits = 12 + 9 * levels;
    uint64_t table = (hart->satp & vr_mask(RV_PPN_BITS)) << 12;

    if ((uint64_t)((int64_t)(va << (64 - va_bits)) >> (64 - va_bits)) != va) {
        return RV_WALK_PAGE;
    }
    for (unsigned level = levels; level-- > 0;) {
        uint64_t gpa = table + vr_bits(va, 12 + 9 * level, 9) * 8;
        uint64_t *p;
        if (!(rv_pmp_rights(hart, gpa, 8, RV_S) & 1 << VR_READ) ||
            !(p = vr_mem_phys(&hart->cpu, gpa, 8, false))) {
            return RV_WALK_ACCESS;
        }
        uint64_t pte = VR_LE_(64, __atomic_load_n(p, __ATOMIC_ACQUIRE));
        if (!mmu_well_formed(hart, pte)) {
            return RV_WALK_PAGE;
        }
        if (pte & (PTE_R | PTE_X)) {
            *ret_pte = pte;
            *ret_gpa = gpa;
            *ret_level = level;
            return RV_WALK_OK;
        }
        table = vr_bits(pte, PTE_PPN_SHIFT, RV_PPN_BITS) << 12;
    }
    return RV_WALK_PAGE;
}

static enum rv_walk mmu_translate(struct rv_hart *hart, uint64_t va, enum vr_access access,
                                  enum rv_priv priv, bool may_mark, struct vr_xlate *x)
{
    uint64_t pte, gpa;
    unsigned level;
    enum rv_walk why;
    bool again;

    do {
        why = mmu_find(hart, va, &pte, &gpa, &level);
        if (why != RV_WALK_OK) {
            return why;
        }
        if (!mmu_allowed(hart, pte, access, priv)) {
            return RV_WALK_PAGE;
        }
        uint64_t ppn = vr_bits(pte, PTE_PPN_SHIFT, RV_PPN_BITS);
        if (ppn & vr_mask(9 * level)) {
            return RV_WALK_PAGE; /* a superpage out of line */
        }
        if (pte & PTE_N && (level != 0 || (ppn & vr_mask(NAPOT_BITS)) != 8)) {
            return RV_WALK_PAGE;
        }
        why = mmu_mark(hart, gpa, &pte, access, may_mark, &again);
    } while (again);
    if (why != RV_WALK_OK) {
        return why;
    }

    unsigned page_bits = pte & PTE_N ? 12 + NAPOT_BITS : 12 + 9 * level;
    uint64_t base = vr_bits(pte, PTE_PPN_SHIFT, RV_PPN_BITS) << 12 & ~vr_mask(page_bits);
    x->gpa = base | (va & vr_mask(page_bits));
    x->page_bytes = UINT64_C(1) << page_bits;
    x->prot = 0;
    for (unsigned i = VR_READ; i <= VR_EXEC; i++) {
        if (mmu_allowed(hart, pte, (enum vr_access)i, priv) && (i != VR_WRITE || pte & PTE_D)) {
            x->prot |= (uint8_t)(1 << i);
        }
    }
    return RV_WALK_OK;
}

bool rv_lookup(struct rv_hart *hart, uint64_t va, uint64_t *ret_gpa, uint64_t *ret_page_bytes)
{
    uint64_t pte, at;
    unsigned level;
    *ret_gpa = va;
    *ret_page_bytes = VR_PAGE_SIZE;
    if (rv_data_priv(hart) == RV_M || mmu_satp_mode(hart) == 0) {
        return true;
    }
    if (mmu_find(hart, va, &pte, &at, &level) != RV_WALK_OK) {
        return false;
    }
    unsigned page_bits = pte & PTE_N ? 12 + NAPOT_BITS : 12 + 9 * level;
    uint64_t base = vr_bits(pte, PTE_PPN_SHIFT, RV_PPN_BITS) << 12 & ~vr_mask(page_bits);
    *ret_gpa = base | (va & vr_mask(page_bits));
    *ret_page_bytes = UINT64_C(1) << page_bits;
    return true;
}

static enum rv_walk mmu_walk(struct rv_hart *hart, uint64_t va, unsigned len, enum vr_access access,
                             bool may_mark, struct vr_xlate *ret_x)
{
    enum rv_priv priv = access == VR_EXEC ? (enum rv_priv)hart->priv : rv_data_priv(hart);
    uint8_t rights;

    if (priv == RV_M || mmu_satp_mode(hart) == 0) {
        *ret_x = (struct vr_xlate){.gpa = va,
                                   .prot = 1 << VR_READ | 1 << VR_WRITE | 1 << VR_EXEC,
                                   .page_bytes = VR_PAGE_SIZE};
    } else {
        enum rv_walk why = mmu_translate(hart, va, access, priv, may_mark, ret_x);
        if (why != RV_WALK_OK) {
            return why;
        }
    }
    /* Rights of the whole page, if it has the same everywhere; else of this access alone. */
    rights = rv_pmp_rights(hart, vr_align_down(ret_x->gpa, VR_PAGE_SIZE), VR_PAGE_SIZE, priv);
    ret_x->cacheable = rights != 0;
    if (!rights) {
        rights = rv_pmp_rights(hart, ret_x->gpa, len, priv);
    }
    ret_x->prot &= rights;
    return rights & 1 << access ? RV_WALK_OK : RV_WALK_ACCESS;
}

enum rv_walk rv_walk(struct rv_hart *hart, uint64_t va, unsigned len, enum vr_access access,
                     struct vr_xlate *ret_x)
{
    return mmu_walk(hart, va, len, access, true, ret_x);
}

bool rv_probe(struct vr_cpu *cpu, uint64_t va, struct vr_xlate *ret_x)
{
    return mmu_walk(RV_HART(cpu), va, 1, VR_READ, false, ret_x) == RV_WALK_OK;
}

unsigned rv_low_va_bits(const struct vr_cpu *cpu)
{
    const struct rv_hart *hart = (const struct rv_hart *)cpu;
    unsigned mode = mmu_satp_mode(hart);
    return hart->priv == RV_M || mode == 0 ? 0 : 12 + 9 * (mode - 5) - 1;
}

void rv_page_fault(struct rv_hart *hart, enum rv_walk why, uint64_t va, enum vr_access access)
{
    static const uint8_t page[] = {RV_CAUSE_LOAD_PAGE, RV_CAUSE_STORE_PAGE, RV_CAUSE_FETCH_PAGE};
    static const uint8_t fault[] = {RV_CAUSE_LOAD_ACCESS, RV_CAUSE_STORE_ACCESS,
                                    RV_CAUSE_FETCH_ACCESS};
    rv_trap(hart, why == RV_WALK_PAGE ? page[access] : fault[access], va);
}

bool rv_translate(struct vr_cpu *cpu, uint64_t va, unsigned len, enum vr_access access,
                  struct vr_xlate *ret_x)
{
    enum rv_walk why = rv_walk(RV_HART(cpu), va, len, access, ret_x);
    if (VR_UNLIKELY(why != RV_WALK_OK)) {
        rv_page_fault(RV_HART(cpu), why, va, access);
    }
    return why == RV_WALK_OK;
}

/* --- The regime --- */

static void mmu_forget_contexts(struct rv_hart *hart)
{
    hart->ctx_floor = hart->cpu.ctx_next;
}

/* The context of the current address space. */
static unsigned mmu_context(struct rv_hart *hart)
{
    unsigned mode = mmu_satp_mode(hart);
    unsigned asid = (unsigned)vr_bits(hart->satp, RV_SATP_ASID_SHIFT, RV_ASID_BITS);

    if (mode == 0) {
        return CTX_PHYS;
    }
    if (hart->ctx_mode != mode) {
        mmu_forget_contexts(hart);
        hart->ctx_mode = (uint8_t)mode;
    }
    if (hart->asid_ctx[asid] < hart->ctx_floor || !hart->asid_ctx[asid]) {
        if (hart->cpu.ctx_next < CTX_FIRST || hart->cpu.ctx_next >= CTX_END) {
            vr_tlb_flush(&hart->cpu);
            memset(hart->asid_ctx, 0, sizeof(hart->asid_ctx));
            hart->cpu.ctx_next = hart->ctx_floor = CTX_FIRST;
        }
        hart->asid_ctx[asid] = hart->cpu.ctx_next++;
    }
    return hart->asid_ctx[asid];
}

static unsigned mmu_set(const struct rv_hart *hart, enum rv_priv priv)
{
    if (priv == RV_M) {
        return RV_MMU_M;
    }
    if (priv == RV_U) {
        return RV_MMU_U;
    }
    return hart->mstatus & RV_MSTATUS_SUM ? RV_MMU_S_SUM : RV_MMU_S;
}

void rv_regime(struct rv_hart *hart)
{
    enum rv_priv data = rv_data_priv(hart);
    bool virt = hart->priv != RV_M || data != RV_M;
    unsigned ctx = virt ? mmu_context(hart) : CTX_PHYS;

    /* Fetching knows no SUM, but has its set: compiled code wants one for both. */
    vr_tlb_select(&hart->cpu, mmu_set(hart, data), data == RV_M ? CTX_PHYS : ctx,
                  mmu_set(hart, (enum rv_priv)hart->priv), hart->priv == RV_M ? CTX_PHYS : ctx);
}

void rv_fence_asid(struct rv_hart *hart, unsigned asid)
{
    hart->asid_ctx[asid & vr_mask(RV_ASID_BITS)] = 0;
    rv_regime(hart);
}

void rv_fence_all(struct rv_hart *hart)
{
    mmu_forget_contexts(hart);
    rv_regime(hart);
}

/* Guest memory as a CPU sees it: the paths that the TLB does not answer. */
#include "base/bits.h"
#include "cpu/ir/cpu.h"
#include "cpu/ir/trace.h"
#include "cpu/jit/lockstep.h"
#include <string.h>

static bool mem_crosses(uint64_t va, unsigned width)
{
    return (va & (VR_PAGE_SIZE - 1)) + width > VR_PAGE_SIZE;
}

static void *mem_host(struct vr_cpu *cpu, uint64_t gpa, unsigned len, bool write);

/* Translate one access that lies in one page, and remember it. */
static bool mem_translate(struct vr_cpu *cpu, uint64_t va, unsigned width, enum vr_access access,
                          uint64_t *ret_gpa)
{
    struct vr_xlate x;
    if (!vr_tlb_walked(cpu, va, access, &x) && !cpu->isa->translate(cpu, va, width, access, &x)) {
        return false;
    }
    if (VR_UNLIKELY(cpu->lockstep != NULL) && access == VR_WRITE) {
        (void)mem_host(cpu, x.gpa, width, true); /* keeps what is there */
    }
    vr_tlb_fill(cpu, va, access, &x);
    *ret_gpa = x.gpa;
    return true;
}

const struct vr_window_cache *vr_mem_window(struct vr_cpu *cpu, uint64_t gpa, uint64_t len)
{
    struct vr_window_cache *w = &cpu->window;
    if (VR_UNLIKELY(w->gen != vr_space_gen(cpu->mem) || gpa < w->gpa ||
                    !vr_in_range(gpa - w->gpa, len, w->len))) {
        uint64_t gen = vr_space_gen(cpu->mem);
        const struct vr_flat *f = vr_view_find(vr_space_view(cpu->mem, &cpu->view), gpa);
        if (!f || f->region->kind == VR_REGION_DEV || !vr_in_range(gpa - f->gpa, len, f->len)) {
            return NULL;
        }
        *w = (struct vr_window_cache){.gen = gen,
                                      .gpa = f->gpa,
                                      .len = f->len,
                                      .ram = f->region->ram,
                                      .ram_off = f->region->ram_off + f->off,
                                      .rom = f->region->kind == VR_REGION_ROM};
    }
    return vr_ram_ready(w->ram, w->ram_off + (gpa - w->gpa), len) ? w : NULL;
}

static void *mem_host(struct vr_cpu *cpu, uint64_t gpa, unsigned len, bool write)
{
    const struct vr_window_cache *w = vr_mem_window(cpu, gpa, len);
    if (!w || (write && w->rom)) {
        return NULL;
    }
    uint64_t off = w->ram_off + (gpa - w->gpa);
    return VR_UNLIKELY(cpu->lockstep != NULL) ? vr_lockstep_host(cpu, w->ram, off, write)
                                              : w->ram->hva + off;
}

/* Lockstep's second run: the memory at @gpa; NULL: not that run, or not memory. */
static void *mem_again(struct vr_cpu *cpu, uint64_t gpa, unsigned width, bool write)
{
    return VR_UNLIKELY(cpu->lockstep != NULL) && vr_lockstep_again(cpu)
               ? mem_host(cpu, gpa, width, write)
               : NULL;
}

/* Is the access for a device, and not to be made now? */
static bool mem_outside(struct vr_cpu *cpu, uint64_t gpa, enum vr_access access)
{
    if (VR_LIKELY(cpu->outside == NULL)) {
        return false;
    }
    const struct vr_flat *f = vr_view_find(vr_space_view(cpu->mem, &cpu->view), gpa);
    bool device = f && (f->region->kind == VR_REGION_DEV ||
                        (f->region->kind == VR_REGION_ROM && f->region->dev && access == VR_WRITE));
    return device && vr_outside(cpu);
}

void vr_mem_tell(struct vr_cpu *cpu, uint64_t gpa, uint64_t len)
{
    if (VR_LIKELY(cpu->lockstep == NULL) || !vr_lockstep_again(cpu)) {
        vr_dma_wrote(cpu->mem, &cpu->view, gpa, len);
    }
}

/* Where @va is, for which the TLB has an entry. */
static void *mem_recalled(struct vr_cpu *cpu, uint64_t va)
{
    const struct vr_tlb_entry *e = &cpu->dtlb->entry[va >> VR_PAGE_SHIFT & (VR_TLB_SIZE - 1)];
    return (void *)((uintptr_t)va + e->addend);
}

/* An access over a page border: both halves are translated before either is done, so that a fault
 * on the second leaves the first untouched. Memory only: devices are never reached this way. */
static bool mem_cross(struct vr_cpu *cpu, uint64_t va, unsigned width, enum vr_access access,
                      uint8_t *buf)
{
    unsigned first = VR_PAGE_SIZE - (unsigned)(va & (VR_PAGE_SIZE - 1));
    uint64_t gpa[2];
    vr_assert(width <= 8 && first < width);
    if (!mem_translate(cpu, va, first, access, &gpa[0]) ||
        !mem_translate(cpu, va + first, width - first, access, &gpa[1])) {
        return false;
    }
    void *p[2];
    for (unsigned i = 0; i < 2; i++) {
        p[i] = mem_host(cpu, gpa[i], i ? width - first : first, access == VR_WRITE);
        if (!p[i]) {
            cpu->isa->access_fault(cpu, i ? va + first : va, access);
            return false;
        }
    }
    if (access == VR_WRITE) {
        memcpy(p[0], buf, first);
        memcpy(p[1], buf + first, width - first);
    } else {
        memcpy(buf, p[0], first);
        memcpy(buf + first, p[1], width - first);
    }
    if (access == VR_WRITE) {
        vr_mem_tell(cpu, gpa[0], first);
        vr_mem_tell(cpu, gpa[1], width - first);
        if (cpu->trace) {
            vr_trace_store(cpu, gpa[0], width, vr_load_le(buf, width));
        }
    }
    return true;
}

bool vr_mem_load(struct vr_cpu *cpu, uint64_t va, unsigned width, uint64_t *ret_val)
{
    if (vr_cpu_watched(cpu, va, width, VR_READ)) {
        return false;
    }
    if (mem_crosses(va, width)) {
        uint8_t buf[8];
        if (!mem_cross(cpu, va, width, VR_READ, buf)) {
            return false;
        }
        *ret_val = vr_load_le(buf, width);
        return true;
    }
    if (vr_tlb_recall(cpu, va, VR_READ)) {
        *ret_val = vr_load_le(mem_recalled(cpu, va), width);
        return true;
    }
    uint64_t gpa;
    if (!mem_translate(cpu, va, width, VR_READ, &gpa)) {
        return false;
    }
    const void *copy = mem_again(cpu, gpa, width, false);
    if (copy) {
        *ret_val = vr_load_le(copy, width);
        return true;
    }
    if (mem_outside(cpu, gpa, VR_READ)) {
        return false;
    }
    if (vr_space_read(cpu->mem, &cpu->view, gpa, width, ret_val) < 0) {
        cpu->isa->access_fault(cpu, va, VR_READ);
        return false;
    }
    return true;
}

bool vr_mem_store(struct vr_cpu *cpu, uint64_t va, unsigned width, uint64_t val)
{
    if (vr_cpu_watched(cpu, va, width, VR_WRITE)) {
        return false;
    }
    if (mem_crosses(va, width)) {
        uint8_t buf[8];
        vr_store_le(buf, width, val);
        return mem_cross(cpu, va, width, VR_WRITE, buf);
    }
    if (vr_tlb_recall(cpu, va, VR_WRITE)) {
        vr_store_le(mem_recalled(cpu, va), width, val);
        return true;
    }
    uint64_t gpa;
    if (!mem_translate(cpu, va, width, VR_WRITE, &gpa)) {
        return false;
    }
    void *copy = mem_again(cpu, gpa, width, true);
    if (copy) {
        vr_store_le(copy, width, val);
        return true;
    }
    if (mem_outside(cpu, gpa, VR_WRITE)) {
        return false;
    }
    if (vr_space_write(cpu->mem, &cpu->view, gpa, width, val) < 0) {
        cpu->isa->access_fault(cpu, va, VR_WRITE);
        return false;
    }
    if (VR_UNLIKELY(vr_space_gen(cpu->mem) != cpu->space_gen)) {
        vr_tlb_flush(
            cpu); /* the store moved something; the code cache follows at the block's end */
    }
    if (cpu->trace) {
        vr_trace_store(cpu, gpa, width, val);
    }
    return true;
}

void *vr_mem_ram(struct vr_cpu *cpu, uint64_t va, unsigned len, enum vr_access access,
                 uint64_t *ret_gpa)
{
    if (va & (len - 1)) {
        cpu->isa->misaligned(cpu, va, access);
        return NULL;
    }
    if (vr_cpu_watched(cpu, va, len, access)) {
        return NULL;
    }
    if (VR_LIKELY(vr_tlb_hits(cpu, va, access) || vr_tlb_recall(cpu, va, access))) {
        *ret_gpa =
            cpu->dtlb->gpa[va >> VR_PAGE_SHIFT & (VR_TLB_SIZE - 1)] | (va & (VR_PAGE_SIZE - 1));
        return mem_recalled(cpu, va);
    }
    if (!mem_translate(cpu, va, len, access, ret_gpa)) {
        return NULL;
    }
    void *p = mem_host(cpu, *ret_gpa, len, access == VR_WRITE);
    if (!p) {
        cpu->isa->access_fault(cpu, va, access);
    }
    return p;
}

void vr_mem_wrote(struct vr_cpu *cpu, uint64_t va, uint64_t gpa, unsigned len)
{
    if (VR_LIKELY(vr_tlb_hits(cpu, va, VR_WRITE))) {
        return; /* a page that may be written unseen: nobody keeps translations, nobody traces */
    }
    vr_mem_tell(cpu, gpa, len);
    if (cpu->trace && len <= 8) {
        uint64_t val = 0;
        if (vr_space_read(cpu->mem, &cpu->view, gpa, len, &val) == 0) {
            vr_trace_store(cpu, gpa, len, val);
        }
    }
}

void *vr_mem_phys(struct vr_cpu *cpu, uint64_t gpa, unsigned width, bool write)
{
    return mem_host(cpu, gpa, width, write);
}

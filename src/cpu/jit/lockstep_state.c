/* What lockstep keeps: contents of pages, and the state of a CPU. See lockstep.h. */
#include "base/bits.h"
#include "cpu/jit/lockstep_priv.h"

#include <string.h>

/* --- Pages --- */

bool lockstep_pages_init(struct lockstep_pages *s)
{
    const struct vireo_map_opts opts = {.prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
                                        .node = VIREO_NODE_ANY};
    memset(s->slot, 0xff, sizeof(s->slot));
    s->count = 0;
    if (vireo_map_create((size_t)LOCKSTEP_PAGES * VR_PAGE_SIZE, &opts, &s->map, NULL) < 0) {
        return false;
    }
    s->data = s->map.hva;
    return true;
}

void lockstep_pages_fini(struct lockstep_pages *s)
{
    vireo_map_destroy(&s->map);
}

static int32_t *pages_slot(struct lockstep_pages *s, uint64_t off)
{
    return &s->slot[off >> VR_PAGE_SHIFT & (LOCKSTEP_HASH - 1)];
}

void lockstep_pages_clear(struct lockstep_pages *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        *pages_slot(s, s->page[i].off) = -1;
    }
    s->count = 0;
}

uint8_t *lockstep_pages_find(const struct lockstep_pages *s, const struct vr_ram *ram, uint64_t off)
{
    for (int32_t i = s->slot[off >> VR_PAGE_SHIFT & (LOCKSTEP_HASH - 1)]; i >= 0;
         i = s->page[i].next) {
        if (s->page[i].off == off && s->page[i].ram == ram) {
            return s->data + (size_t)i * VR_PAGE_SIZE;
        }
    }
    return NULL;
}

uint8_t *lockstep_pages_add(struct lockstep_pages *s, struct vr_ram *ram, uint64_t off,
                            const uint8_t *data)
{
    vr_assert(s->count < LOCKSTEP_PAGES);
    uint8_t *p = s->data + (size_t)s->count * VR_PAGE_SIZE;
    int32_t *slot = pages_slot(s, off);
    s->page[s->count] = (struct lockstep_page){.ram = ram, .off = off, .next = *slot};
    *slot = (int32_t)s->count++;
    memcpy(p, data, VR_PAGE_SIZE);
    return p;
}

const uint8_t *lockstep_base(const struct vr_lockstep *ls, const struct vr_ram *ram, uint64_t off)
{
    const uint8_t *p = lockstep_pages_find(&ls->was, ram, off);
    return p ? p : ram->hva + off;
}

static bool pages_agree(const struct vr_lockstep *ls, const struct lockstep_pages *one,
                        const struct lockstep_pages *other)
{
    for (unsigned i = 0; i < one->count; i++) {
        const struct lockstep_page *at = &one->page[i];
        const uint8_t *p = lockstep_pages_find(other, at->ram, at->off);
        if (memcmp(one->data + (size_t)i * VR_PAGE_SIZE,
                   p ? p : lockstep_base(ls, at->ram, at->off), VR_PAGE_SIZE) != 0) {
            return false;
        }
    }
    return true;
}

bool lockstep_same_pages(const struct vr_lockstep *ls)
{
    return pages_agree(ls, &ls->jit, &ls->interp) && pages_agree(ls, &ls->interp, &ls->jit);
}

/* The first run goes on the guest's memory; what it writes is kept as it was. */
static uint8_t *host_first(struct vr_cpu *cpu, struct vr_ram *ram, uint64_t page, bool write)
{
    struct vr_lockstep *ls = cpu->lockstep;
    if (write && !lockstep_pages_find(&ls->was, ram, page)) {
        lockstep_pages_add(&ls->was, ram, page, ram->hva + page);
        if (ls->was.count >= LOCKSTEP_PAGES_SOFT) {
            atomic_store(&cpu->vcpu.attention, true);
        }
    }
    return ram->hva + page;
}

/* A run on copies reads the guest's memory where nobody wrote; frozen: nothing but copies. */
static uint8_t *host_again(struct vr_cpu *cpu, struct vr_ram *ram, uint64_t page, bool write)
{
    struct vr_lockstep *ls = cpu->lockstep;
    uint8_t *copy = lockstep_pages_find(ls->side, ram, page);
    uint8_t *was = copy ? NULL : lockstep_pages_find(&ls->was, ram, page);
    if (copy) {
        return copy;
    }
    if (!was && ls->frozen && ls->was.count < LOCKSTEP_PAGES) {
        was = lockstep_pages_add(&ls->was, ram, page, ram->hva + page);
        if (ls->was.count >= LOCKSTEP_PAGES_SOFT) {
            atomic_store(&cpu->vcpu.attention, true);
        }
    }
    if (write || (was && !ls->frozen)) {
        copy = lockstep_pages_add(ls->side, ram, page, was ? was : ram->hva + page);
        if (ls->frozen || !was) { /* what was read so far may be in the TLB */
            vr_tlb_flush(cpu);
        }
        return copy;
    }
    return was ? was : ram->hva + page;
}

uint8_t *vr_lockstep_host(struct vr_cpu *cpu, struct vr_ram *ram, uint64_t off, bool write)
{
    uint64_t page = vr_align_down(off, VR_PAGE_SIZE);
    switch (cpu->lockstep->phase) {
    case LOCKSTEP_FIRST:
        return host_first(cpu, ram, page, write) + (off - page);
    case LOCKSTEP_AGAIN:
        return host_again(cpu, ram, page, write) + (off - page);
    default:
        return ram->hva + off;
    }
}

bool vr_lockstep_may_write(const struct vr_cpu *cpu, const struct vr_ram *ram, uint64_t off)
{
    const struct vr_lockstep *ls = cpu->lockstep;
    const struct lockstep_pages *set = ls->phase == LOCKSTEP_FIRST ? &ls->was : ls->side;
    return ls->phase == LOCKSTEP_LIVE ||
           lockstep_pages_find(set, ram, vr_align_down(off, VR_PAGE_SIZE));
}

/* --- State --- */

size_t lockstep_field_bytes(const struct vr_field *f)
{
    /* Temporaries live inside an instruction. */
    return f->offset == offsetof(struct vr_cpu, r) ? VR_SLOT_TEMP * sizeof(uint64_t)
                                                   : (size_t)f->count * f->elem_size;
}

void lockstep_take(struct vr_cpu *cpu, struct lockstep_state *s)
{
    const struct vr_lockstep *ls = cpu->lockstep;
    uint8_t *to = s->bytes;
    s->traps = cpu->traps;
    for (unsigned i = 0; i < ls->field_count; i++) {
        size_t len = lockstep_field_bytes(ls->field[i]);
        memcpy(to, (const char *)cpu + ls->field[i]->offset, len);
        to += len;
    }
}

void lockstep_put(struct vr_cpu *cpu, const struct lockstep_state *s)
{
    const struct vr_lockstep *ls = cpu->lockstep;
    const uint8_t *from = s->bytes;
    cpu->traps = s->traps;
    for (unsigned i = 0; i < ls->field_count; i++) {
        size_t len = lockstep_field_bytes(ls->field[i]);
        memcpy((char *)cpu + ls->field[i]->offset, from, len);
        from += len;
    }
    cpu->trapped = false;
    cpu->isa->state_was_set(cpu);
}

bool lockstep_same_state(const struct vr_lockstep *ls, const struct lockstep_state *a,
                         const struct lockstep_state *b)
{
    return a->traps == b->traps && memcmp(a->bytes, b->bytes, ls->state_bytes) == 0;
}

uint64_t lockstep_state_progress(const struct vr_lockstep *ls, const struct lockstep_state *s)
{
    const uint8_t *at = s->bytes;
    uint64_t icount = 0;
    for (unsigned i = 0; i < ls->field_count; i++) {
        if (ls->field[i]->offset == offsetof(struct vr_cpu, icount)) {
            memcpy(&icount, at, sizeof(icount));
        }
        at += lockstep_field_bytes(ls->field[i]);
    }
    return icount + s->traps;
}

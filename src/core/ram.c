/* Guest RAM, and single accesses to whatever stands at an address. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/err.h"
#include "core/dev.h"
#include "core/ram_due.h"
#include "core/ram_fork.h"
#include "core/space_priv.h"
#include "vireo/host_barrier.h"
#include "vireo/host_memory.h"

#include <errno.h>
#include <inttypes.h>

int vr_ram_create_as(const char *name, uint64_t len, const struct vireo_shmem_opts *how,
                     struct vr_ram **ret_ram, struct vr_error *err)
{
    if (len == 0 || !vr_is_aligned(len, VR_PAGE_SIZE)) {
        return vr_err(err, -EINVAL,
                      "memory '%s': the size, %" PRIu64 " bytes, is not a positive multiple of %d",
                      name, len, VR_PAGE_SIZE);
    }
    struct vireo_shmem mem;
    int r = vireo_shmem_create(name, len, how, &mem, err);
    if (r < 0) {
        return r;
    }
    struct vr_ram *ram = vr_zalloc(sizeof(*ram));
    _Atomic uint8_t *flags = vr_zalloc_array(len >> VR_PAGE_SHIFT, sizeof(*flags));
    if (!ram || !flags) {
        vireo_shmem_destroy(&mem);
        free(ram);
        free(flags);
        return vr_err(err, -ENOMEM, "memory '%s': no memory for its page flags", name);
    }
    *ram = (struct vr_ram){.hva = mem.hva, .len = len, .mem = mem, .page_flags = flags};
    *ret_ram = ram;
    return 0;
}

void vr_ram_destroy(struct vr_ram *ram)
{
    if (ram) {
        vr_ram_due_destroy(ram);
        vr_ram_fork_destroy(ram);
        vireo_shmem_destroy(&ram->mem);
        free(ram->page_flags);
        free(ram);
    }
}

static void ram_tell(struct vr_space *s, struct vr_ram *ram, uint64_t from, uint64_t to)
{
    vr_mutex_lock(&s->code_lock);
    for (unsigned i = 0; i < s->code_count; i++) {
        s->on_code[i].code_fn(s->on_code[i].opaque, ram, from, to - from);
    }
    vr_mutex_unlock(&s->code_lock);
}

void vr_ram_wrote(struct vr_space *s, struct vr_ram *ram, uint64_t off, uint64_t len)
{
    if (len == 0) {
        return;
    }
    vr_assert(vr_in_range(off, len, ram->len));
    /* The writer stores data, then loads the flag; a translator stores the flag, then loads data.
     * With a full fence on both sides at least one of them sees the other. */
    vireo_barrier_full();
    uint64_t end = off + len, first = off >> VR_PAGE_SHIFT, last = (end - 1) >> VR_PAGE_SHIFT;
    uint64_t run = UINT64_MAX; /* first page of a run with code */
    for (uint64_t page = first; page <= last; page++) {
        uint8_t flags = atomic_load_explicit(&ram->page_flags[page], memory_order_relaxed);
        bool code = flags & VR_PAGE_CODE;
        if (VR_UNLIKELY(flags)) {
            /* Those who are told drop what they hold; whoever translates the page anew, or asks
             * what was written, sets it again. */
            atomic_fetch_and(&ram->page_flags[page], (uint8_t) ~(VR_PAGE_CODE | VR_PAGE_CLEAN));
        }
        if (VR_UNLIKELY(code)) {
            run = run == UINT64_MAX ? page : run;
        } else if (!code && VR_UNLIKELY(run != UINT64_MAX)) {
            uint64_t from = run << VR_PAGE_SHIFT;
            ram_tell(s, ram, from > off ? from : off, page << VR_PAGE_SHIFT);
            run = UINT64_MAX;
        }
    }
    if (VR_UNLIKELY(run != UINT64_MAX)) {
        uint64_t from = run << VR_PAGE_SHIFT;
        ram_tell(s, ram, from > off ? from : off, end);
    }
}

int vr_ram_discard(struct vr_space *s, struct vr_ram *ram, uint64_t off, uint64_t len,
                   uint64_t *ret_bytes, struct vr_error *err)
{
    uint64_t page = ram->mem.map.page_bytes;
    vr_assert(vr_in_range(off, len, ram->len) && vr_is_pow2(page));
    /* The end of RAM may lie inside a huge page; then that page stays. */
    uint64_t from = (off + page - 1) & ~(page - 1), to = vr_align_down(off + len, page);
    if (from >= to) {
        *ret_bytes = 0;
        return 0;
    }
    int r = vr_ram_fork_discard(ram, from, to - from, err);
    if (r < 0) {
        return r;
    }
    vr_ram_wrote(s, ram, from, to - from);
    *ret_bytes = to - from;
    return 0;
}

/* Aligned accesses are single-copy atomic, as guests with several CPUs expect. */
static uint64_t ram_load(const uint8_t *p, unsigned width)
{
    if (!vr_is_aligned((uintptr_t)p, width)) {
        return vr_load_le(p, width);
    }
    switch (width) {
    case 1:
        return __atomic_load_n(p, __ATOMIC_RELAXED);
    case 2:
        return VR_LE_(16, __atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_RELAXED));
    case 4:
        return VR_LE_(32, __atomic_load_n((const uint32_t *)(const void *)p, __ATOMIC_RELAXED));
    default:
        return VR_LE_(64, __atomic_load_n((const uint64_t *)(const void *)p, __ATOMIC_RELAXED));
    }
}

static void ram_store(uint8_t *p, unsigned width, uint64_t v)
{
    if (!vr_is_aligned((uintptr_t)p, width)) {
        vr_store_le(p, width, v);
        return;
    }
    switch (width) {
    case 1:
        __atomic_store_n(p, (uint8_t)v, __ATOMIC_RELAXED);
        break;
    case 2:
        __atomic_store_n((uint16_t *)(void *)p, VR_LE_(16, (uint16_t)v), __ATOMIC_RELAXED);
        break;
    case 4:
        __atomic_store_n((uint32_t *)(void *)p, VR_LE_(32, (uint32_t)v), __ATOMIC_RELAXED);
        break;
    default:
        __atomic_store_n((uint64_t *)(void *)p, VR_LE_(64, v), __ATOMIC_RELAXED);
        break;
    }
}

/* The flat range that holds all of [gpa, gpa + width), or NULL. */
static const struct vr_flat *space_at(struct vr_space *s, struct vr_view_cache *cache, uint64_t gpa,
                                      unsigned width, uint64_t *ret_delta)
{
    vr_assert(width == 1 || width == 2 || width == 4 || width == 8);
    const struct vr_flat *f = vr_view_find(vr_space_view(s, cache), gpa);
    if (!f || f->len - (gpa - f->gpa) < width) {
        return NULL;
    }
    *ret_delta = f->off + (gpa - f->gpa);
    return f;
}

int vr_space_read(struct vr_space *s, struct vr_view_cache *cache, uint64_t gpa, unsigned width,
                  uint64_t *ret_val)
{
    uint64_t off;
    const struct vr_flat *f = space_at(s, cache, gpa, width, &off);
    if (!f) {
        return -EFAULT;
    }
    const struct vr_region *r = f->region;
    if (r->kind == VR_REGION_DEV) {
        *ret_val = vr_dev_read(r->dev, r->window, off, width);
    } else if (!vr_ram_ready(r->ram, r->ram_off + off, width)) {
        return -EFAULT;
    } else {
        *ret_val = ram_load(r->ram->hva + r->ram_off + off, width);
    }
    return 0;
}

int vr_space_write(struct vr_space *s, struct vr_view_cache *cache, uint64_t gpa, unsigned width,
                   uint64_t val)
{
    uint64_t off;
    const struct vr_flat *f = space_at(s, cache, gpa, width, &off);
    if (!f || (f->region->kind == VR_REGION_ROM && !f->region->dev)) {
        return -EFAULT;
    }
    const struct vr_region *r = f->region;
    if (r->kind != VR_REGION_RAM) {
        vr_dev_write(r->dev, r->window, off, width, val);
    } else {
        ram_store(r->ram->hva + r->ram_off + off, width, val);
        vr_ram_wrote(s, r->ram, r->ram_off + off, width);
    }
    return 0;
}

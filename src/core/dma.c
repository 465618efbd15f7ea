/*
 * DMA: how devices reach guest RAM, and nothing but RAM.
 *
 * Every function first walks the whole range, so that a range which leaves RAM is refused before a
 * byte of it is touched.
 */
#include "base/bits.h"
#include "core/space_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

/* One contiguous piece of RAM of a range under way. */
struct dma_walk {
    const struct vr_view *view;
    const struct vr_flat *flat; /* of the next piece; NULL: search */
    uint64_t gpa, left;
    bool write;
};

static bool dma_begin(struct dma_walk *w, struct vr_space *s, struct vr_view_cache *cache,
                      uint64_t gpa, uint64_t len, bool write)
{
    uint64_t end;
    *w = (struct dma_walk){.gpa = gpa, .left = len, .write = write};
    if (len && (!vr_add_ok(gpa, len - 1, &end) || end > s->limit)) {
        return false;
    }
    w->view = vr_space_view(s, cache);
    return true;
}

/* The next piece: its region, the offset in the region's RAM, its length. False: not RAM. */
static bool dma_next(struct dma_walk *w, struct vr_ram **ret_ram, uint64_t *ret_off,
                     uint64_t *ret_len)
{
    const struct vr_flat *f = w->flat;
    if (!f) {
        f = vr_view_find(w->view, w->gpa);
    } else if (f == w->view->flat + w->view->count || f->gpa != w->gpa) {
        f = NULL; /* a hole after the last piece */
    }
    if (!f || f->region->kind == VR_REGION_DEV || (w->write && f->region->kind != VR_REGION_RAM)) {
        return false;
    }
    uint64_t delta = w->gpa - f->gpa, n = f->len - delta;
    n = n < w->left ? n : w->left;
    *ret_ram = f->region->ram;
    *ret_off = f->region->ram_off + f->off + delta;
    *ret_len = n;
    w->gpa += n;
    w->left -= n;
    w->flat = f + 1;
    return true;
}

/* Is the whole rest of the walk RAM, and, if it is to be used, good? */
static bool dma_all(struct dma_walk w, bool use)
{
    struct vr_ram *ram;
    uint64_t off, n;
    while (w.left) {
        if (!dma_next(&w, &ram, &off, &n) || (use && !vr_ram_ready(ram, off, n))) {
            return false;
        }
    }
    return true;
}

int vr_dma_read(struct vr_space *s, struct vr_view_cache *cache, uint64_t gpa, void *buf,
                uint64_t len)
{
    struct dma_walk w;
    struct vr_ram *ram;
    uint64_t off, n;
    uint8_t *to = buf;
    if (!dma_begin(&w, s, cache, gpa, len, false) || !dma_all(w, true)) {
        return -EFAULT;
    }
    while (w.left && dma_next(&w, &ram, &off, &n)) {
        memcpy(to, ram->hva + off, (size_t)n);
        to += n;
    }
    return 0;
}

int vr_dma_write(struct vr_space *s, struct vr_view_cache *cache, uint64_t gpa, const void *buf,
                 uint64_t len)
{
    struct dma_walk w;
    struct vr_ram *ram;
    uint64_t off, n;
    const uint8_t *from = buf;
    if (!dma_begin(&w, s, cache, gpa, len, true) || !dma_all(w, false)) {
        return -EFAULT;
    }
    while (w.left && dma_next(&w, &ram, &off, &n)) {
        memcpy(ram->hva + off, from, (size_t)n);
        vr_ram_wrote(s, ram, off, n);
        from += n;
    }
    return 0;
}

int vr_dma_map(struct vr_space *s, struct vr_view_cache *cache, uint64_t gpa, uint64_t len,
               bool write, struct iovec *iov, unsigned max)
{
    struct dma_walk w;
    struct vr_ram *ram;
    uint64_t off, n;
    unsigned count = 0;
    if (!dma_begin(&w, s, cache, gpa, len, write) || !dma_all(w, true)) {
        return -EFAULT;
    }
    while (w.left && dma_next(&w, &ram, &off, &n)) {
        uint8_t *hva = ram->hva + off;
        struct iovec *last = count ? &iov[count - 1] : NULL;
        if (last && (uint8_t *)last->iov_base + last->iov_len == hva) {
            last->iov_len += (size_t)n;
        } else if (count == max) {
            return -E2BIG;
        } else {
            iov[count++] = (struct iovec){.iov_base = hva, .iov_len = (size_t)n};
        }
    }
    return (int)count;
}

void vr_dma_wrote(struct vr_space *s, struct vr_view_cache *cache, uint64_t gpa, uint64_t len)
{
    struct dma_walk w;
    struct vr_ram *ram;
    uint64_t off, n;
    if (!dma_begin(&w, s, cache, gpa, len, true)) {
        return;
    }
    /* Where the map changed since vr_dma_map, what is RAM still is told of. */
    while (w.left && dma_next(&w, &ram, &off, &n)) {
        vr_ram_wrote(s, ram, off, n);
    }
}

int vr_dma_discard(struct vr_space *s, struct vr_view_cache *cache, uint64_t gpa, uint64_t len,
                   uint64_t *ret_bytes, struct vr_error *err)
{
    struct dma_walk w;
    struct vr_ram *ram;
    uint64_t off, n, gave, sum = 0;
    if (!dma_begin(&w, s, cache, gpa, len, true) || !dma_all(w, false)) {
        return vr_err(err, -EFAULT, "not all of it is memory");
    }
    while (w.left && dma_next(&w, &ram, &off, &n)) {
        int r = vr_ram_discard(s, ram, off, n, &gave, err);
        if (r < 0) {
            return r;
        }
        sum += gave;
    }
    *ret_bytes = sum;
    return 0;
}

void *vr_dma_ptr(struct vr_space *s, struct vr_view_cache *cache, uint64_t gpa, uint64_t len,
                 bool write)
{
    struct dma_walk w;
    struct vr_ram *ram;
    uint64_t off, n;
    if (len == 0 || !dma_begin(&w, s, cache, gpa, len, write) || !dma_next(&w, &ram, &off, &n) ||
        n != len || !vr_ram_ready(ram, off, n)) {
        return NULL;
    }
    return ram->hva + off;
}

/*
 * Register access: from an offset and a width to a register, its member and its hooks.
 *
 * The rules are at struct vr_reg in dev.h. Everything here runs under the device's lock.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "core/dev_priv.h"

#include <errno.h>
#include <inttypes.h>

static uint32_t reg_count(const struct vr_reg *reg)
{
    return reg->count ? reg->count : 1;
}

static uint32_t reg_stride(const struct vr_reg *reg)
{
    return reg_count(reg) > 1 ? reg->stride : reg->width;
}

/* One past the last byte of the register (of its last element). */
static uint64_t reg_end(const struct vr_reg *reg)
{
    return reg->off + (uint64_t)(reg_count(reg) - 1) * reg_stride(reg) + reg->width;
}

/* Does @reg have an element that covers @off? */
static bool reg_covers(const struct vr_reg *reg, uint64_t off, unsigned *ret_index)
{
    if (off < reg->off) {
        return false;
    }
    uint64_t rel = off - reg->off, index = rel / reg_stride(reg);
    if (index >= reg_count(reg) || rel - index * reg_stride(reg) >= reg->width) {
        return false;
    }
    *ret_index = (unsigned)index;
    return true;
}

/* Do two registers share a byte? Walks the one with fewer elements. */
static bool reg_clash(const struct vr_reg *a, const struct vr_reg *b)
{
    if (reg_end(a) <= b->off || reg_end(b) <= a->off) {
        return false;
    }
    if (reg_count(a) > reg_count(b)) {
        const struct vr_reg *t = a;
        a = b;
        b = t;
    }
    for (uint32_t i = 0; i < reg_count(a); i++) {
        uint64_t first = a->off + (uint64_t)i * reg_stride(a);
        for (unsigned j = 0; j < a->width; j++) {
            unsigned index;
            if (reg_covers(b, first + j, &index)) {
                return true;
            }
        }
    }
    return false;
}

static bool width_ok(unsigned width)
{
    return width == 1 || width == 2 || width == 4 || width == 8;
}

static unsigned type_bytes(enum vr_type type)
{
    switch (type) {
    case VR_BOOL:
    case VR_U8:
        return 1;
    case VR_U16:
        return 2;
    case VR_U32:
        return 4;
    default:
        vr_assert(type == VR_U64);
        return 8;
    }
}

/* One register by itself. */
static void reg_check(const struct vr_reg *reg, const struct vr_window *win)
{
    vr_assert(width_ok(reg->width));
    vr_assert(reg_end(reg) <= win->len);
    vr_assert(reg_count(reg) == 1 || reg->stride >= reg->width);
    vr_assert(reg->backed || (!reg->wmask && (reg->read || reg->write)));
    if (reg->backed) {
        unsigned bytes = type_bytes((enum vr_type)reg->type);
        vr_assert(bytes <= reg->width);
        vr_assert((reg->wmask & ~(reg->type == VR_BOOL ? 1 : vr_width_mask(bytes))) == 0);
        vr_assert(reg_count(reg) == 1 || reg->member_stride >= bytes);
    }
}

int vr_reg_index_init(struct vr_reg_index *ix, const struct vr_window *win, struct vr_error *err)
{
    const struct vr_reg *regs = win->regs;
    unsigned count = 0;
    while (regs && regs[count].name) {
        count++;
    }
    vr_assert(count || (win->read && win->write));
    ix->ends = vr_zalloc_array(count, sizeof(*ix->ends));
    if (!ix->ends) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    ix->count = count;
    for (unsigned i = 0; i < count; i++) {
        reg_check(&regs[i], win);
        vr_assert(i == 0 || regs[i - 1].off < regs[i].off);
        uint64_t end = reg_end(&regs[i]);
        for (unsigned j = i; j-- > 0 && ix->ends[j] > regs[i].off;) {
            vr_assert(!reg_clash(&regs[j], &regs[i]));
        }
        ix->ends[i] = i && ix->ends[i - 1] > end ? ix->ends[i - 1] : end;
    }
    return 0;
}

void vr_reg_index_fini(struct vr_reg_index *ix)
{
    free(ix->ends);
    *ix = (struct vr_reg_index){0};
}

/* The register that covers @off, or NULL. */
static const struct vr_reg *reg_find(const struct vr_dev *dev, unsigned window, uint64_t off,
                                     unsigned *ret_index)
{
    const struct vr_reg_index *ix = &dev->priv->index[window];
    const struct vr_reg *regs = dev->cls->windows[window].regs;
    unsigned lo = 0, hi = ix->count; /* regs before lo start at or below off */
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        if (regs[mid].off <= off) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    while (lo-- > 0 && ix->ends[lo] > off) {
        if (reg_covers(&regs[lo], off, ret_index)) {
            return &regs[lo];
        }
    }
    return NULL;
}

/* How an access meets a register. */
enum reg_fit { FIT_NONE, FIT_WHOLE, FIT_PART, FIT_SPLIT };

static enum reg_fit reg_fit(const struct vr_reg *reg, unsigned index, uint64_t off, unsigned width)
{
    uint64_t first = reg->off + (uint64_t)index * reg_stride(reg);
    if (off == first && width == reg->width) {
        return FIT_WHOLE;
    }
    if (!reg->flex || (off - first) % width) {
        return FIT_NONE;
    }
    return width < reg->width ? FIT_PART : off == first ? FIT_SPLIT : FIT_NONE;
}

static struct vr_field reg_member(const struct vr_reg *reg)
{
    return (struct vr_field){
        .offset = reg->member,
        .elem_size = reg->member_stride,
        .count = reg_count(reg),
        .type = reg->type,
    };
}

static bool reg_readable(const struct vr_reg *reg)
{
    return reg->read || reg->backed;
}

/* The whole register. */
static uint64_t reg_read(struct vr_dev *dev, const struct vr_reg *reg, unsigned index)
{
    struct vr_field f = reg_member(reg);
    uint64_t v = reg->read ? reg->read(dev, index) : vr_field_get(dev, &f, index);
    return v & vr_width_mask(reg->width);
}

static void reg_write(struct vr_dev *dev, const struct vr_reg *reg, unsigned index, uint64_t val)
{
    if (reg->backed && reg->wmask) {
        struct vr_field f = reg_member(reg);
        val = (vr_field_get(dev, &f, index) & ~reg->wmask) | (val & reg->wmask);
        vr_field_set(dev, &f, index, val);
    }
    if (reg->write) {
        reg->write(dev, index, val);
    }
}

static uint64_t dev_no_read(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width)
{
    vr_guest_error(dev, "no %u-byte read at %s+0x%" PRIx64, width, dev->cls->windows[window].name,
                   off);
    return 0;
}

static void dev_no_write(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width,
                         uint64_t val)
{
    vr_guest_error(dev, "no %u-byte write at %s+0x%" PRIx64 " (of 0x%" PRIx64 ")", width,
                   dev->cls->windows[window].name, off, val);
}

static uint64_t dev_read(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width)
{
    const struct vr_window *win = &dev->cls->windows[window];
    unsigned index = 0;
    const struct vr_reg *reg = reg_find(dev, window, off, &index);
    if (!reg) {
        uint64_t v;
        if (win->read && win->read(dev, off, width, &v)) {
            return v & vr_width_mask(width);
        }
        return dev_no_read(dev, window, off, width);
    }
    switch (reg_readable(reg) ? reg_fit(reg, index, off, width) : FIT_NONE) {
    case FIT_WHOLE:
        return reg_read(dev, reg, index);
    case FIT_PART: {
        unsigned shift = 8 * (unsigned)(off - reg->off - (uint64_t)index * reg_stride(reg));
        return (reg_read(dev, reg, index) >> shift) & vr_width_mask(width);
    }
    case FIT_SPLIT: {
        unsigned half = width / 2;
        uint64_t low = dev_read(dev, window, off, half);
        return low | dev_read(dev, window, off + half, half) << (8 * half);
    }
    default:
        return dev_no_read(dev, window, off, width);
    }
}

static void dev_write(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width,
                      uint64_t val)
{
    const struct vr_window *win = &dev->cls->windows[window];
    unsigned index = 0;
    const struct vr_reg *reg = reg_find(dev, window, off, &index);
    if (!reg) {
        if (!win->write || !win->write(dev, off, width, val)) {
            dev_no_write(dev, window, off, width, val);
        }
        return;
    }
    switch (reg->write || reg->wmask ? reg_fit(reg, index, off, width) : FIT_NONE) {
    case FIT_WHOLE:
        reg_write(dev, reg, index, val);
        break;
    case FIT_PART: {
        unsigned shift = 8 * (unsigned)(off - reg->off - (uint64_t)index * reg_stride(reg));
        struct vr_field f = reg_member(reg);
        uint64_t mask = vr_width_mask(width) << shift;
        uint64_t old = reg->backed ? vr_field_get(dev, &f, index)
                       : reg->read ? reg_read(dev, reg, index)
                                   : 0;
        reg_write(dev, reg, index, (old & ~mask) | (val << shift & mask));
        break;
    }
    case FIT_SPLIT: {
        unsigned half = width / 2;
        dev_write(dev, window, off, half, val & vr_width_mask(half));
        dev_write(dev, window, off + half, half, val >> (8 * half));
        break;
    }
    default:
        dev_no_write(dev, window, off, width, val);
        break;
    }
}

static void dev_check_access(const struct vr_dev *dev, unsigned window, uint64_t off,
                             unsigned width)
{
    vr_assert(window < VR_DEV_WINDOWS && width_ok(width));
    vr_assert(vr_in_range(off, width, dev->cls->windows[window].len));
}

uint64_t vr_dev_read_locked(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width)
{
    dev_check_access(dev, window, off, width);
    return VR_LIKELY(!dev->priv->dead) ? dev_read(dev, window, off, width) : 0;
}

void vr_dev_write_locked(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width,
                         uint64_t val)
{
    dev_check_access(dev, window, off, width);
    if (VR_LIKELY(!dev->priv->dead)) {
        dev_write(dev, window, off, width, val & vr_width_mask(width));
    }
}

uint64_t vr_dev_read(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width)
{
    vr_dev_lock(dev);
    dev->reads++;
    uint64_t v = vr_dev_read_locked(dev, window, off, width);
    vr_dev_unlock(dev);
    return v;
}

void vr_dev_write(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width, uint64_t val)
{
    vr_dev_lock(dev);
    dev->writes++;
    vr_dev_write_locked(dev, window, off, width, val);
    vr_dev_unlock(dev);
}

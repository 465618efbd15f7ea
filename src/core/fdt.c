/* The device tree writer: libfdt's sequential-write functions on a buffer that grows. */
#include "core/fdt.h"

#include "base/alloc.h"

#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FDT_START = 16 << 10, FDT_MOST = 16 << 20, FDT_NAME = 64 };

struct vr_fdt {
    void *buf;
    int size, error;     /* error: the first libfdt error, or 0 */
    unsigned depth;      /* open nodes */
    bool child_seen;     /* in the open node: no more properties, which come before subnodes */
    char path[FDT_NAME]; /* the node or property at fault */
};

/* Did a step fail for want of room, and is there more now? The caller tries again. */
static bool fdt_grow(struct vr_fdt *f)
{
    int size = f->size * 2;
    void *buf = size <= FDT_MOST ? vr_zalloc((size_t)size) : NULL;
    if (!buf) {
        return false;
    }
    int r = fdt_resize(f->buf, buf, size);
    if (r < 0) {
        free(buf);
        return false;
    }
    free(f->buf);
    f->buf = buf;
    f->size = size;
    return true;
}

/* Note the result of a step; true: try it again. */
static bool fdt_again(struct vr_fdt *f, int r, const char *what)
{
    if (r == -FDT_ERR_NOSPACE && fdt_grow(f)) {
        return true;
    }
    if (r < 0) {
        f->error = r;
        snprintf(f->path, sizeof(f->path), "%s", what);
    }
    return false;
}

/* Do @step until it fits, unless an earlier one failed. */
#define FDT_STEP(f, what, step)                       \
    while (!(f)->error && fdt_again(f, step, what)) { \
    }

int vr_fdt_create(struct vr_fdt **ret_fdt, struct vr_error *err)
{
    struct vr_fdt *f = vr_zalloc(sizeof(*f));
    if (f) {
        f->size = FDT_START;
        f->buf = vr_zalloc(FDT_START);
    }
    if (!f || !f->buf) {
        free(f);
        return vr_err(err, -ENOMEM, "device tree: no memory");
    }
    FDT_STEP(f, "(start)", fdt_create(f->buf, f->size));
    FDT_STEP(f, "(start)", fdt_finish_reservemap(f->buf));
    *ret_fdt = f;
    return 0;
}

void vr_fdt_destroy(struct vr_fdt *f)
{
    if (f) {
        free(f->buf);
        free(f);
    }
}

void vr_fdt_begin(struct vr_fdt *f, const char *fmt, ...)
{
    char name[FDT_NAME];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    vr_assert(len > 0 && len < FDT_NAME);
    FDT_STEP(f, name, fdt_begin_node(f->buf, strcmp(name, "/") == 0 ? "" : name));
    f->depth++;
    f->child_seen = false;
}

void vr_fdt_end(struct vr_fdt *f)
{
    FDT_STEP(f, "(end of node)", fdt_end_node(f->buf));
    f->depth -= f->depth > 0;
    f->child_seen = true;
}

/* libfdt writes a property wherever it is told to; readers would not find it. */
static void fdt_check_place(struct vr_fdt *f, const char *prop)
{
    if (!f->error && (f->depth == 0 || f->child_seen)) {
        (void)fdt_again(f, -FDT_ERR_BADSTRUCTURE, prop);
    }
}

void vr_fdt_bytes(struct vr_fdt *f, const char *prop, const void *data, size_t len)
{
    vr_assert(len <= FDT_MOST);
    fdt_check_place(f, prop);
    FDT_STEP(f, prop, fdt_property(f->buf, prop, data, (int)len));
}

void vr_fdt_str(struct vr_fdt *f, const char *prop, const char *val)
{
    vr_fdt_bytes(f, prop, val, strlen(val) + 1);
}

void vr_fdt_strs(struct vr_fdt *f, const char *prop, const char *val, size_t len)
{
    vr_assert(len && val[len - 1] == 0);
    vr_fdt_bytes(f, prop, val, len);
}

void vr_fdt_u32(struct vr_fdt *f, const char *prop, uint32_t val)
{
    uint32_t big = cpu_to_fdt32(val);
    vr_fdt_bytes(f, prop, &big, sizeof(big));
}

void vr_fdt_u64(struct vr_fdt *f, const char *prop, uint64_t val)
{
    uint64_t big = cpu_to_fdt64(val);
    vr_fdt_bytes(f, prop, &big, sizeof(big));
}

void vr_fdt_cells(struct vr_fdt *f, const char *prop, const uint32_t *cells, unsigned count)
{
    fdt32_t *big = vr_zalloc_array(count, sizeof(*big));
    if (!big) {
        (void)fdt_again(f, f->error ? f->error : -FDT_ERR_INTERNAL, prop);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        big[i] = cpu_to_fdt32(cells[i]);
    }
    vr_fdt_bytes(f, prop, big, count * sizeof(*big));
    free(big);
}

void vr_fdt_empty(struct vr_fdt *f, const char *prop)
{
    vr_fdt_bytes(f, prop, "", 0);
}

void vr_fdt_reg(struct vr_fdt *f, const struct vr_fdt_at *at)
{
    uint32_t reg[4 * 6];
    unsigned n = 0;
    for (unsigned i = 0; i < 6 && at->len[i]; i++) {
        reg[n++] = (uint32_t)(at->gpa[i] >> 32);
        reg[n++] = (uint32_t)at->gpa[i];
        reg[n++] = (uint32_t)(at->len[i] >> 32);
        reg[n++] = (uint32_t)at->len[i];
    }
    if (n) {
        vr_fdt_cells(f, "reg", reg, n);
    }
    if (at->irqs_extended_count) {
        vr_fdt_cells(f, "interrupts-extended", at->irqs_extended, at->irqs_extended_count);
    } else if (at->irq_parent && at->irq_count) {
        vr_assert(at->irq_count <= 4);
        vr_fdt_u32(f, "interrupt-parent", at->irq_parent);
        vr_fdt_cells(f, "interrupts", at->irq, at->irq_count);
    }
    if (at->phandle) {
        vr_fdt_u32(f, "phandle", at->phandle);
    }
}

int vr_fdt_finish(struct vr_fdt *f, const void **ret_blob, size_t *ret_len, struct vr_error *err)
{
    if (!f->error && f->depth) {
        (void)fdt_again(f, -FDT_ERR_BADSTRUCTURE, "(a node was not ended)");
    }
    FDT_STEP(f, "(finish)", fdt_finish(f->buf));
    if (f->error) {
        int code = f->error == -FDT_ERR_NOSPACE ? -ENOMEM : -EINVAL;
        return vr_err(err, code, "device tree: at '%s': %s", f->path, fdt_strerror(f->error));
    }
    *ret_blob = f->buf;
    *ret_len = fdt_totalsize(f->buf);
    return 0;
}

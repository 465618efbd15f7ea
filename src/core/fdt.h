/*
 * Writing a device tree: a thin layer over libfdt's sequential writer, so that each device's
 * describe hook is a few lines and nobody handles cells by hand. Errors stick: check once at the
 * end. Specification: Devicetree Specification 0.4.
 */
#ifndef VR_CORE_FDT_H
#define VR_CORE_FDT_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct vr_fdt;

/* Where the board put a device and how it is wired. */
struct vr_fdt_at {
    uint64_t gpa[6], len[6]; /* windows; len 0 ends */
    uint32_t irq_parent;     /* phandle; 0: no interrupt */
    uint32_t irq[4];         /* cells of the interrupts property, irq_count of them */
    unsigned irq_count;
    uint32_t clock_phandle; /* where a device needs one */
    /* For interrupt controllers: interrupts-extended cells (phandle, irq) pairs, harts in order. */
    const uint32_t *irqs_extended;
    unsigned irqs_extended_count; /* cells */
    uint32_t msi_parent;          /* phandle of who takes its messages; 0: it sends none */
    uint32_t phandle;             /* this node's own, if the board gave it one */
};

int vr_fdt_create(struct vr_fdt **ret_fdt, struct vr_error *err) VR_MUST;
void vr_fdt_destroy(struct vr_fdt *fdt);
/* Open a node; the first one is the root and is called "/". */
void vr_fdt_begin(struct vr_fdt *fdt, const char *fmt, ...) VR_PRINTF(2, 3);
void vr_fdt_end(struct vr_fdt *fdt);
void vr_fdt_str(struct vr_fdt *fdt, const char *prop, const char *val);
/* Several strings: val is "a\0b" with total length including the last NUL. */
void vr_fdt_strs(struct vr_fdt *fdt, const char *prop, const char *val, size_t len);
void vr_fdt_u32(struct vr_fdt *fdt, const char *prop, uint32_t val);
void vr_fdt_u64(struct vr_fdt *fdt, const char *prop, uint64_t val);
void vr_fdt_cells(struct vr_fdt *fdt, const char *prop, const uint32_t *cells, unsigned count);
void vr_fdt_empty(struct vr_fdt *fdt, const char *prop);
void vr_fdt_bytes(struct vr_fdt *fdt, const char *prop, const void *data, size_t len);
/* reg (2+2 cells), interrupt-parent/interrupts or interrupts-extended, phandle as @at says. */
void vr_fdt_reg(struct vr_fdt *fdt, const struct vr_fdt_at *at);
/* Finish; the blob belongs to @fdt. Returns -ENOMEM or -EINVAL if any step failed. */
int vr_fdt_finish(struct vr_fdt *fdt, const void **ret_blob, size_t *ret_len,
                  struct vr_error *err) VR_MUST;

#endif

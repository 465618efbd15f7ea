/*
 * Memory for code that we make: one piece, two addresses. At one it is read and written, at the
 * other read and executed; no address is ever both, so hosts that refuse such pages run it too.
 */
#ifndef VR_PLATFORM_JITMEM_H
#define VR_PLATFORM_JITMEM_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct vr_jitmem {
    uint8_t *rw;       /* where code is written */
    const uint8_t *rx; /* where it runs; the same bytes */
    size_t len;
};

/* @len bytes, rounded up to whole pages, zeroed. -EINVAL: 0; -ENOMEM; -EACCES, -EPERM: this host
 * lets no program make code (the message says which rule). */
int vr_jitmem_create(size_t len, struct vr_jitmem *ret_mem, struct vr_error *err) VR_MUST;
void vr_jitmem_destroy(struct vr_jitmem *mem); /* a zeroed one is fine */
/* Copy @code to @off and make it visible to instruction fetch on every processor of the host.
 * Threads that run @rx there meanwhile see old or new bytes. -ERANGE: it does not fit. */
int vr_jitmem_publish(const struct vr_jitmem *mem, size_t off, const void *code, size_t len,
                      struct vr_error *err) VR_MUST;
/* The same for code that was written through @rw already. -ERANGE. */
int vr_jitmem_flush(const struct vr_jitmem *mem, size_t off, size_t len,
                    struct vr_error *err) VR_MUST;

/* Position-independent code of this processor: a function without arguments that returns 42; by it
 * one sees whether made code runs. NULL: Vireo makes no code for this processor. */
const void *vr_jit_sample(size_t *ret_len);
/* Make [rx, rx + len) fetch what was written at [rw, rw + len), on every processor. */
void vr_icache_flush(const void *rw, const void *rx, size_t len);

#endif

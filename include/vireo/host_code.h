/*
 * Memory for code that a program makes: one piece, two addresses. At one it is read and written, at
 * the other read and executed; no address is ever both, so hosts that refuse such pages run it too.
 *
 *     struct vireo_jitmem mem;
 *     struct vr_error err;
 *     if (vireo_jitmem_create(1 << 20, &mem, &err) == 0 &&
 *         vireo_jitmem_publish(&mem, 0, code, code_len, &err) == 0) {
 *         ((int (*)(void))(uintptr_t)mem.rx)();
 *     }
 *
 * Every function may be called from any thread; who writes where is the caller's to order.
 *
 * Sources: memfd_create(2), mmap(2); Intel SDM 3A 9.1.3 and AMD APM 2 7.6.1 (self-modifying code at
 * two addresses), Arm ARM B2.4.4, RISC-V "Zifencei" and riscv_flush_icache(2).
 */
#ifndef VIREO_HOST_CODE_H
#define VIREO_HOST_CODE_H

#include "vireo/error.h"
#include "vireo/version.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vireo_jitmem {
    uint8_t *rw;       /* where code is written */
    const uint8_t *rx; /* where it runs; the same bytes */
    size_t len;
};

/* @len bytes, rounded up to whole pages, zeroed. -EINVAL: 0; -ENOMEM; -EACCES, -EPERM: this host
 * lets no program make code (the message says which rule). */
VIREO_API int vireo_jitmem_create(size_t len, struct vireo_jitmem *ret_mem,
                                  struct vr_error *err) VIREO_MUST;
VIREO_API void vireo_jitmem_destroy(struct vireo_jitmem *mem); /* a zeroed one is fine */
/* Copy @code to @off and make it visible to instruction fetch on every processor of the host.
 * Threads that run @rx there meanwhile see old or new bytes. -ERANGE: it does not fit. */
VIREO_API int vireo_jitmem_publish(const struct vireo_jitmem *mem, size_t off, const void *code,
                                   size_t len, struct vr_error *err) VIREO_MUST;
/* The same for code that was written through @rw already. -ERANGE. */
VIREO_API int vireo_jitmem_flush(const struct vireo_jitmem *mem, size_t off, size_t len,
                                 struct vr_error *err) VIREO_MUST;

/* Make [rx, rx + len) fetch what was written at [rw, rw + len), on every processor. */
VIREO_API void vireo_icache_flush(const void *rw, const void *rx, size_t len);
/* Write [hva, hva + len) from the data caches back to memory, for whoever reads memory past them.
 * 0, or -ENOTSUP: this processor does not let a program do it. */
VIREO_API int vireo_dcache_flush(const void *hva, size_t len) VIREO_MUST;

#ifdef __cplusplus
}
#endif

#endif

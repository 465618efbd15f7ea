/* Filling a struct vr_error, and the attributes every layer uses. */
#ifndef VR_BASE_ERR_H
#define VR_BASE_ERR_H

#include "vireo/error.h"

#define VR_MUST VIREO_MUST
/* mingw-w64's compiler thinks of Microsoft's old printf; _GNU_SOURCE brings C99's. */
#ifdef __MINGW32__
#define VR_PRINTF(a, b) __attribute__((format(gnu_printf, a, b)))
#else
#define VR_PRINTF(a, b) __attribute__((format(printf, a, b)))
#endif
#define VR_COLD        __attribute__((cold))
#define VR_LIKELY(x)   __builtin_expect(!!(x), 1)
#define VR_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Fill @err (may be NULL) and return @code (a negative errno), so a failure is one line. */
int vr_err(struct vr_error *err, int code, const char *fmt, ...) VR_PRINTF(3, 4) VR_COLD;
/* Put "context: " in front of a message already in @err (may be NULL); returns @code. */
int vr_err_in(struct vr_error *err, int code, const char *fmt, ...) VR_PRINTF(3, 4) VR_COLD;

/* Our own bug: prints file, line and condition to standard error and aborts. Always on. */
#define vr_assert(c) (VR_LIKELY(c) ? (void)0 : vr_assert_failed(__FILE__, __LINE__, #c))
_Noreturn void vr_assert_failed(const char *file, int line, const char *cond) VR_COLD;

#endif

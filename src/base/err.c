/* Error messages and the one way to stop on a bug of ours. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int vr_err(struct vr_error *err, int code, const char *fmt, ...)
{
    if (err) {
        /* Through a copy, because an argument may well be the old message. */
        char msg[sizeof(err->msg)];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(msg, sizeof(msg), fmt, ap);
        va_end(ap);
        memcpy(err->msg, msg, sizeof(msg));
        err->code = code;
    }
    return code;
}

int vr_err_in(struct vr_error *err, int code, const char *fmt, ...)
{
    if (err) {
        char msg[sizeof(err->msg)];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(msg, sizeof(msg), fmt, ap);
        va_end(ap);
        const char *parts[] = {": ", err->msg};
        size_t len = strlen(msg);
        for (unsigned i = 0; i < 2; i++) {
            size_t room = sizeof(msg) - 1 - len, want = strlen(parts[i]);
            want = want < room ? want : room; /* a message that is too long loses its tail */
            memcpy(msg + len, parts[i], want);
            len += want;
        }
        msg[len] = 0;
        memcpy(err->msg, msg, sizeof(msg));
        err->code = code;
    }
    return code;
}

_Noreturn void vr_assert_failed(const char *file, int line, const char *cond)
{
    fprintf(stderr, "vireo: bug at %s:%d: %s\n", file, line, cond);
    abort();
}

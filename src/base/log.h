/*
 * Log lines and trace events. Each machine owns one struct vr_log, so that many machines in one
 * process do not mix. Four levels; the device's id comes first.
 */
#ifndef VR_BASE_LOG_H
#define VR_BASE_LOG_H

#include "base/err.h"
#include <stdarg.h>
#include <stdbool.h>

enum vr_level { VR_ERROR, VR_WARN, VR_INFO, VR_DEBUG };

struct vr_log {
    _Atomic unsigned level; /* enum vr_level: lines above it are dropped; may change at any time */
    /* Where lines go (no newline at the end); any thread, must be quick. NULL: nowhere. */
    void (*sink)(void *opaque, enum vr_level level, const char *who, const char *line);
    void *opaque;
};

/* @log may be NULL: nothing happens. */
void vr_log(struct vr_log *log, enum vr_level level, const char *who, const char *fmt, ...)
    VR_PRINTF(4, 5);
void vr_vlog(struct vr_log *log, enum vr_level level, const char *who, const char *fmt, va_list ap)
    VR_PRINTF(4, 0);

#endif

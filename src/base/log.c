/* Formatting of log lines; where they go is the sink's business. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>

void vr_vlog(struct vr_log *log, enum vr_level level, const char *who, const char *fmt, va_list ap)
{
    if (!log || !log->sink || level > log->level) {
        return;
    }
    char line[512];
    vsnprintf(line, sizeof(line), fmt, ap);
    size_t len = strlen(line);
    while (len && line[len - 1] == '\n') {
        line[--len] = 0;
    }
    /* A line may quote the guest: it must not forge further lines or drive a terminal. */
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    log->sink(log->opaque, level, who ? who : "", line);
}

void vr_log(struct vr_log *log, enum vr_level level, const char *who, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vr_vlog(log, level, who, fmt, ap);
    va_end(ap);
}

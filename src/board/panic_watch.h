/*
 * Hears a Linux kernel panic on the console.
 *
 * A stock kernel has no other way to say it that works without drivers. "Kernel panic - not
 * syncing" may be old text that somebody looks at, so a line counts only if it begins with a kernel
 * time stamp close to the machine's uptime. Source: Linux kernel/panic.c, panic().
 */
#ifndef VR_BOARD_PANIC_WATCH_H
#define VR_BOARD_PANIC_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vr_panic_watch {
    char line[160]; /* the start of the line being written */
    size_t len;
    /* The panic began: what follows may be a reboot. Called on the writer's thread. */
    void (*on_panic)(void *opaque);
    /* The kernel has said all, and hangs. */
    void (*on_dead)(void *opaque);
    void *opaque;
};

/* @uptime_ns: guest time since its last reset. */
void vr_panic_watch_feed(struct vr_panic_watch *w, const uint8_t *buf, size_t len,
                         uint64_t uptime_ns);

#endif

/* Hears a Linux kernel panic on the console: see board/panic_watch.h. */
#include "board/panic_watch.h"
#include <stdio.h>
#include <string.h>

enum { SLACK_S = 10 }; /* between the time stamp and the moment the line is out on a slow console */

static void watch_line(struct vr_panic_watch *w, uint64_t uptime_ns)
{
    unsigned long long s, us;
    uint64_t now_s = uptime_ns / 1000000000;
    w->line[w->len] = '\0';
    const char *text = strstr(w->line, "Kernel panic - not syncing");
    if (!text || sscanf(w->line, "[%llu.%6llu]", &s, &us) != 2 || s > now_s + 1 ||
        s + SLACK_S < now_s) {
        return;
    }
    bool dead = strstr(w->line, "---[ end Kernel panic") != NULL;
    void (*fn)(void *) = dead ? w->on_dead : w->on_panic;
    fn(w->opaque);
}

void vr_panic_watch_feed(struct vr_panic_watch *w, const uint8_t *buf, size_t len,
                         uint64_t uptime_ns)
{
    for (size_t i = 0; i < len; i++) {
        if (buf[i] == '\n' || buf[i] == '\r') {
            if (w->len) {
                watch_line(w, uptime_ns);
            }
            w->len = 0;
        } else if (w->len + 1 < sizeof(w->line) && buf[i]) {
            w->line[w->len++] = (char)buf[i];
        }
    }
}

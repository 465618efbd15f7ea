/* One-shot waiting for one descriptor on a loop, leaving the descriptor's flags alone. All on the
 * loop's thread. */
#ifndef VR_BACKEND_CHR_WATCH_H
#define VR_BACKEND_CHR_WATCH_H

#include "core/loop.h"
#include "platform/pollset.h"

struct vr_watch {
    struct vr_pollset *set;
    struct uv_poll_s *poll;
    void (*fn)(void *arg);
    void *arg;
    int fd; /* waited for; -1: none */
};

int vr_watch_init(struct vr_watch *watch, struct vr_loop *loop, void (*fn)(void *arg), void *arg,
                  struct vr_error *err) VR_MUST;
/* fn is called once, when @fd is ready for any of @events. Replaces what was waited for. */
int vr_watch_arm(struct vr_watch *watch, int fd, unsigned events) VR_MUST;
void vr_watch_disarm(struct vr_watch *watch);
void vr_watch_fini(struct vr_watch *watch); /* a zeroed struct is fine */

#endif

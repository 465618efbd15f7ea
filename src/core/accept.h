/*
 * Taking in the clients of a listening UNIX socket on a loop. When the host has no descriptor or
 * memory left they keep waiting in its queue, and are asked for again a moment later: a socket that
 * has somebody waiting stays ready, and a loop that asked at once would do nothing else.
 */
#ifndef VR_CORE_ACCEPT_H
#define VR_CORE_ACCEPT_H

#include "core/loop.h"
#include "platform/unixsock.h"

struct vr_accept;

/* @fn gets each client's descriptor, which is its own, on the loop's thread; only so many in a
 * turn.
 * @sock is borrowed, and listens until vr_accept_close. On the loop's thread. -ENOMEM, and what the
 * loop may say. */
int vr_accept_open(struct vr_loop *loop, const struct vr_unix *sock,
                   void (*fn)(void *opaque, int fd), void *opaque, struct vr_accept **ret_accept,
                   struct vr_error *err) VR_MUST;
/* @fn is not called any more. On the loop's thread, also in @fn; NULL is fine. */
void vr_accept_close(struct vr_accept *accept);

#endif

/* Listening on a path of the host's file system (UNIX domain stream sockets). */
#ifndef VR_PLATFORM_UNIXSOCK_H
#define VR_PLATFORM_UNIXSOCK_H

#include "base/err.h"
#include <stdint.h>

struct vr_unix {
    int fd;
    char *path;
    uint64_t dev, ino; /* of our node at @path */
};

/* Only this user may connect. A node that a dead process left is replaced. -EADDRINUSE: somebody
 * listens there. -EEXIST: the path is something else. -ENAMETOOLONG. */
int vr_unix_listen(const char *path, struct vr_unix *ret_sock, struct vr_error *err) VR_MUST;
/* Stop listening and remove our node. */
void vr_unix_close(struct vr_unix *sock);
/* The next client's descriptor; negative errno: -EAGAIN nobody waits, -EMFILE and the like. */
int vr_unix_accept(const struct vr_unix *sock);

#endif

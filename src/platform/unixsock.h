/* Listening on a path of the host's file system (UNIX domain stream sockets). */
#ifndef VR_PLATFORM_UNIXSOCK_H
#define VR_PLATFORM_UNIXSOCK_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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
/* Connect, waiting a few seconds for room in its queue (-EAGAIN: none); *ret_fd is blocking.
 * *ret_pid: the process that listens, 0 where the host does not tell. -ECONNREFUSED: a dead process
 * left the node; -ENOENT. */
int vr_unix_connect(const char *path, int *ret_fd, uint64_t *ret_pid, struct vr_error *err) VR_MUST;
/* The same without waiting, not even for room (-EAGAIN); *ret_fd never blocks. */
int vr_unix_connect_now(const char *path, int *ret_fd, struct vr_error *err) VR_MUST;

/*
 * Folders of sockets.
 */

/* Make the folder @path, and those it lies in, for this user alone, unless it is there. -EPERM: it
 * is somebody else's, or others may write to it. */
int vr_unix_folder_make(const char *path, struct vr_error *err) VR_MUST;
/* Wait until no other process of this user holds it; close *ret_fd to let others. -ENOENT. */
int vr_unix_folder_hold(const char *path, int *ret_fd) VR_MUST;
/* Call fn for each name in it, in no order, until one returns not 0, which is returned; 0. -ENOENT.
 * What fn removes is not missed. */
int vr_unix_folder_each(const char *path, int (*fn)(void *opaque, const char *name),
                        void *opaque) VR_MUST;
/* Remove the node at @path if nobody listens there. True: it is gone. With the folder held. */
bool vr_unix_sweep(const char *path);

/*
 * Descriptors on their way between processes, with bytes of a connected stream. Nothing waits.
 */
enum { VR_UNIX_FDS = 250 }; /* with one call at most */
/* Send @len bytes (at least one), and with the first of them @count descriptors, which stay ours.
 * Bytes sent; -EAGAIN: not now; other negative errno: broken. */
ssize_t vr_unix_send(int fd, const void *buf, size_t len, const int *fds, unsigned count);
/* Read up to @len bytes. Descriptors that came with them, at most VR_UNIX_FDS, are at @ret_fds,
 * *ret_count of them, the caller's. Bytes read; 0: the end; -EAGAIN, other negative errno. */
ssize_t vr_unix_recv(int fd, void *buf, size_t len, int *ret_fds, unsigned *ret_count);

/* The next client's descriptor; negative errno: -EAGAIN nobody waits, -EMFILE and the like. */
int vr_unix_accept(const struct vr_unix *sock);

#endif

/* TCP connections of the host, by name or number and port. */
#ifndef VR_PLATFORM_TCPSOCK_H
#define VR_PLATFORM_TCPSOCK_H

#include "base/err.h"

/* @where is HOST:PORT, or [HOST]:PORT; neither may be left out. Listen there, non-blocking; the
 * error says what failed. -EINVAL: it is no such thing; -ENOENT: nobody knows the host. */
int vr_tcp_listen(const char *where, int *ret_fd, struct vr_error *err) VR_MUST;
/* Connect, waiting at most @timeout_ms for each of the host's addresses. */
int vr_tcp_connect(const char *where, int timeout_ms, int *ret_fd, struct vr_error *err) VR_MUST;
/* The next who connects, as vr_unix_accept has it. Who listens ends that by vr_file_close. */
int vr_tcp_accept(int fd);

#endif

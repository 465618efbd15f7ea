/* Who is at the other end of a socket: each system has its own way. */
#ifndef VR_PLATFORM_UNIXSOCK_PEER_H
#define VR_PLATFORM_UNIXSOCK_PEER_H

#include <stdint.h>

/* The process that made the other end, or called listen() for it; 0: the host does not tell. */
uint64_t vr_unix_peer(int fd);

#endif

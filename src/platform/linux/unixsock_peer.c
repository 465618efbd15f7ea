/* Peer credentials (unix(7), SO_PEERCRED). */
#include "platform/unixsock_peer.h"

#include <sys/socket.h>

uint64_t vr_unix_peer(int fd)
{
    struct ucred peer = {.pid = 0};
    socklen_t len = sizeof(peer);
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
    return (uint64_t)peer.pid;
}

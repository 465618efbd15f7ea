/*
 * The control socket: clients of the control protocol, on the machine's I/O thread. What a client
 * sends, how fast, and what it does not read, costs the machine a bounded amount of memory and
 * time.
 */
#ifndef VR_CONTROL_SERVER_H
#define VR_CONTROL_SERVER_H

#include "control/events.h"
#include "platform/unixsock.h"
#include "vireo/vm.h"

enum {
    VR_SERVER_CLIENTS = 16,
    VR_SERVER_OUT_PAUSE = 64 << 10, /* bytes not read by a client that stop its input */
    VR_SERVER_OUT_MAX = 4 << 20,    /* and that it is sent away for (events, or one long reply) */
    VR_SERVER_BURST = 4096,         /* commands at once, */
    VR_SERVER_RATE = 32768,         /* and commands a second in the long run; others wait */
};

struct vr_server;

/* Serve @vm at @sock, which is taken over (also on failure). Any thread but the loop's. */
int vr_server_create(struct vireo_vm *vm, struct vr_unix *sock, struct vr_server **ret_server,
                     struct vr_error *err) VR_MUST;
/* Say what there is to say, end all connections, remove the socket. NULL is fine. Not on the I/O
 * thread. */
void vr_server_destroy(struct vr_server *server);

#endif

/*
 * A debugger at a machine, by GDB's remote serial protocol (GDB manual, appendix "GDB Remote Serial
 * Protocol"): all-stop, a thread a hart, addresses are virtual ones of the hart that is looked at.
 *
 * A session is apart from sockets: bytes come in, bytes go out. The server has the socket, and a
 * thread of its own on which everything happens, because stopping a machine waits for its CPUs.
 */
#ifndef VR_CONTROL_GDB_H
#define VR_CONTROL_GDB_H

#include "base/err.h"
#include "control/gdb_packet.h"
#include "vireo/vm.h"

struct vr_gdb;
struct vr_gdb_session;

/* ---- Sessions; one thread, but where it is said ---- */

struct vr_gdb_io {
    void (*send)(void *opaque, const char *buf, size_t len);
    /* A hart has stopped (on its thread): call vr_gdb_stopped soon. */
    void (*hit)(void *opaque);
    /* Reset the machine and wait until that has happened; false: it has not. */
    bool (*reset)(void *opaque);
    void *opaque;
};

/* Stops the machine. -EBUSY: it has a debugger; -ENOTSUP: its engine knows none; -ENOMEM. */
int vr_gdb_open(struct vireo_vm *vm, const struct vr_gdb_io *io,
                struct vr_gdb_session **ret_session, struct vr_error *err) VR_MUST;
/* No breakpoints any more; the machine goes on if the session has stopped it. NULL is fine. */
void vr_gdb_close(struct vr_gdb_session *session);
/* False: it is over; close it. */
bool vr_gdb_input(struct vr_gdb_session *session, const char *buf, size_t len);
/* A hart has stopped, the machine was paused, or it has ended: tell, if the debugger waits for it.
 */
void vr_gdb_stopped(struct vr_gdb_session *session);

/* ---- The server ---- */

enum { VR_GDB_ADDRESS_MAX = 512 };

/* Listen at @address: "unix:PATH", "tcp:[127.0.0.1:]PORT" (0: one that is free), "auto": NAME.gdb
 * beside the control sockets. Any thread but the machine's. -EINVAL: not such an address;
 * -EADDRINUSE. */
int vr_gdb_create(struct vireo_vm *vm, const char *address, struct vr_gdb **ret_gdb,
                  struct vr_error *err) VR_MUST;
void vr_gdb_destroy(struct vr_gdb *gdb); /* NULL is fine */
/* Where it listens, as GDB's "target remote" takes it: a path, or 127.0.0.1:PORT. */
const char *vr_gdb_target(const struct vr_gdb *gdb);
/* Is @address one, as far as can be seen? */
int vr_gdb_check(const char *address, struct vr_error *err) VR_MUST;

#endif

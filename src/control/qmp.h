/*
 * The control protocol: QMP as QEMU's clients speak it (QEMU, docs/interop/qmp-spec.rst), apart
 * from sockets: bytes come in, lines go out.
 *
 * To add a command, write its function and one row of vr_qmp_commands (qmp_commands.c); from the
 * row come the check of its arguments, query-commands and query-qmp-schema. New types and events
 * are rows of qmp_types.c. What is not in QEMU's QMP is called x-vireo-....
 */
#ifndef VR_CONTROL_QMP_H
#define VR_CONTROL_QMP_H

#include "base/err.h"
#include "vireo/vm.h"
#include <jansson.h>
#include <stdbool.h>

struct vr_qmp;
struct vr_qmp_session;

/* ---- Commands ---- */

/* A command that is being carried out. */
struct vr_qmp_call {
    struct vireo_vm *vm;
    const struct vr_qmp_command *command;
    const json_t *args; /* an object; fits the row's args */
    json_t *ret;        /* what it returns, given away; NULL: an empty object */
    struct vr_qmp_session *session;
    int *fds; /* descriptors that go with the answer; given away, closed when they were sent */
    unsigned fd_count;
};

enum {
    VR_QMP_EARLY = 1, /* while capabilities are negotiated, and only then */
    VR_QMP_OOB = 2,   /* may overtake others (exec-oob) */
    VR_QMP_SLOW = 4,  /* may wait: on a thread of its own, one after the other. Others run on the
                         I/O thread, where nothing may wait and the machine may not be paused */
};

struct vr_qmp_command {
    const char *name;
    const char *args; /* members: "device:str, speed?:int"; "*?:any" at the end: and others; NULL:
                         none */
    const char *ret;  /* a type: "StatusInfo", "[NameInfo]"; NULL: nothing */
    unsigned flags;
    /* 0, or a negative errno with @err filled. -ENODEV is told as class DeviceNotFound, -ENOSYS as
     * CommandNotFound, others as GenericError. */
    int (*run)(struct vr_qmp_call *call, struct vr_error *err);
    const char *help;
};
extern const struct vr_qmp_command vr_qmp_commands[]; /* until a NULL name */
const struct vr_qmp_command *vr_qmp_find(const char *name);
/* The same with those of the program that embeds @vm (qmp_own.c), and the latter one by one; NULL
 * behind the last. */
const struct vr_qmp_command *vr_qmp_find_for(const struct vireo_vm *vm, const char *name);
const struct vr_qmp_command *vr_qmp_own(const struct vireo_vm *vm, unsigned i);
void vr_qmp_own_free(struct vireo_vm *vm); /* nobody asks any more */
/* Why there is no command @name that QEMU has, and what does instead; "": it is just not there. */
const char *vr_qmp_why_absent(const char *name);

/* ---- Types (qmp_types.c) ---- */

struct vr_qmp_type {
    const char *name;
    const char *members; /* of an object, as in vr_qmp_command's args; */
    const char *values;  /* or of an enumeration: "running|paused" */
};
extern const struct vr_qmp_type vr_qmp_types[];  /* until a NULL name */
extern const struct vr_qmp_type vr_qmp_events[]; /* the same; members: of their data, or NULL */

/* A member of an object, cut off a list of them. */
struct vr_qmp_member {
    char name[48], type[48]; /* type without brackets */
    bool optional, list;
};
/* The next one of *members, which moves on; false: the end. */
bool vr_qmp_next_member(const char **members, struct vr_qmp_member *ret_member);
/* Do @args fit @members? -EINVAL, in QEMU's words. */
int vr_qmp_check(const char *members, const json_t *args, struct vr_error *err) VR_MUST;
/* SchemaInfo of all there is (QEMU, qapi/introspect.json), with what @vm's program added; NULL: no
 * memory. */
json_t *vr_qmp_schema(const struct vireo_vm *vm);

/* ---- Sessions ---- */

/* What all sessions of a machine share. -ENOMEM, -EAGAIN. */
int vr_qmp_create(struct vireo_vm *vm, struct vr_qmp **ret_qmp, struct vr_error *err) VR_MUST;
/* Wait until no slow command is under way. Not on the I/O thread. */
void vr_qmp_drain(struct vr_qmp *qmp);
/* Without sessions, drained. NULL is fine. */
void vr_qmp_destroy(struct vr_qmp *qmp);

/* A session's other side. */
struct vr_qmp_io {
    void (*send)(void *opaque, const char *text, size_t len);
    /* Descriptors that go with what is sent next; taken over. NULL: cannot. */
    void (*send_fds)(void *opaque, int *fds, unsigned count);
    void (*ready)(void *opaque);  /* a slow command is done; it may take input again */
    void (*broken)(void *opaque); /* no memory to go on with: close it, but not from here */
    /* After the answer that is sent next, the connection is the stream of bytes of @console. NULL:
     * cannot. -ENODEV. */
    int (*become_console)(void *opaque, unsigned console, struct vr_error *err);
    void *opaque;
};

/* All on the I/O thread. Opening sends the greeting. -ENOMEM. */
int vr_qmp_open(struct vr_qmp *qmp, const struct vr_qmp_io *io, struct vr_qmp_session **ret_session,
                struct vr_error *err) VR_MUST;
void vr_qmp_close(struct vr_qmp_session *session);       /* NULL is fine */
bool vr_qmp_takes(const struct vr_qmp_session *session); /* input, now */
/* Take input, which it does now, up to the end of one message at most. Returns how much. */
size_t vr_qmp_input(struct vr_qmp_session *session, const char *buf, size_t len);
/* Send an event, if it is time for events. */
void vr_qmp_event(struct vr_qmp_session *session, const struct vireo_event *event);

/* For commands about the session. */
int vr_qmp_negotiate(struct vr_qmp_session *session, const json_t *enable,
                     struct vr_error *err) VR_MUST;
/* The session ends with the answer. */
int vr_qmp_become_console(struct vr_qmp_session *session, unsigned console,
                          struct vr_error *err) VR_MUST;

#endif

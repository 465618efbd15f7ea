/* Between the files of a debugger's session. */
#ifndef VR_CONTROL_GDB_PRIV_H
#define VR_CONTROL_GDB_PRIV_H

#include "control/gdb.h"
#include "control/vm_priv.h"

enum {
    VR_GDB_SIGINT = 2,
    VR_GDB_SIGTRAP = 5,
    VR_GDB_TEXT = VR_GDB_PACKET / 2, /* what fits as hex */
};

struct vr_gdb_session {
    struct vireo_vm *vm;
    struct vr_machine *machine;
    struct vr_gdb_io io;
    struct vr_gdb_reader in;
    struct vr_gdb_writer out; /* what was sent last, for who did not get it */
    unsigned resent;          /* in a row */
    bool no_ack, over;
    bool running;     /* the debugger waits for a stop */
    bool ours;        /* the machine is paused because of the debugger */
    bool phys;        /* addresses are physical */
    bool devices;     /* registers of devices may be looked at */
    bool noirq;       /* steps are made with interrupts off */
    unsigned general; /* the hart that is looked at */
    unsigned told;    /* the hart whose stop was told last */
    bool resumed_one; /* "Hc" named the hart that old packets let go on: */
    unsigned resumed;
    char *xml; /* target.xml; NULL: not asked for yet */
    struct vr_view_cache view;
};

/* A packet; tables end with a NULL name. In a table a name that another begins with stands behind
 * that. */
struct vr_gdb_row {
    const char *name;
    void (*run)(struct vr_gdb_session *s, const char *args); /* args: behind the name */
    bool alone; /* nothing follows: of "qC" there are others, as "qCRC:" */
};
extern const struct vr_gdb_row vr_gdb_run_rows[], vr_gdb_access_rows[], vr_gdb_query_rows[];

struct vr_vcpu *vr_gdb_vcpu(struct vr_gdb_session *s); /* the one that is looked at */
/* Answer with what is in out, or with @text. */
void vr_gdb_send(struct vr_gdb_session *s);
void vr_gdb_say(struct vr_gdb_session *s, const char *text);
/* "E" and the number that means @r to people who look it up in errno.h. */
void vr_gdb_error(struct vr_gdb_session *s, int r);
/* Read a thread's number, or the one that stands for all, off *at. */
bool vr_gdb_take_thread(const char **at, unsigned *ret_hart, bool *ret_all);
/* Is its life recorded, or was it? Then it is not to be changed, and an error was the answer. */
bool vr_gdb_is_past(struct vr_gdb_session *s);
/* Pause the machine; false: it has ended. */
bool vr_gdb_halt(struct vr_gdb_session *s);
/* Pause it and tell why; @signum if it is no point that a hart has met. */
void vr_gdb_tell_stop(struct vr_gdb_session *s, int signum);
/* Memory as hart @s->general sees it, while the machine stands still: how many bytes, from the
 * first on, could be read or written; an access to a device is one of 1, 2, 4 or 8 bytes. */
size_t vr_gdb_memory(struct vr_gdb_session *s, uint64_t va, uint8_t *buf, size_t len, bool write);
/* "monitor @line": what there is to say; @ret_text of @size bytes. Not while it stands still. */
void vr_gdb_monitor(struct vr_gdb_session *s, const char *line, char *ret_text, size_t size);

#endif

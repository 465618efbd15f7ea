/* Between the files of a debugger's session. */
#ifndef VR_CONTROL_GDB_PRIV_H
#define VR_CONTROL_GDB_PRIV_H

#include "control/gdb.h"
#include "control/vm_priv.h"

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
    char *xml;        /* target.xml; NULL: not asked for yet */
    struct vr_view_cache view;
};

/* Memory as hart @s->general sees it, while the machine stands still: how many bytes, from the
 * first on, could be read or written; an access to a device is one of 1, 2, 4 or 8 bytes. */
size_t vr_gdb_memory(struct vr_gdb_session *s, uint64_t va, uint8_t *buf, size_t len, bool write);
/* "monitor @line": what there is to say; @ret_text of @size bytes. Not while it stands still. */
void vr_gdb_monitor(struct vr_gdb_session *s, const char *line, char *ret_text, size_t size);

#endif

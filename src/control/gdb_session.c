/*
 * A debugger's session: packets in and out, the beginning and the end. What packets mean is in
 * tables, one a file; what is in none is answered by an empty packet, as the protocol wants it.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "control/gdb_priv.h"

#include <errno.h>
#include <stdio.h>

enum { GDB_RESENDS = 8 };

struct vr_vcpu *vr_gdb_vcpu(struct vr_gdb_session *s)
{
    return vr_machine_vcpu(s->machine, s->general);
}

/* ---- Answers ---- */

void vr_gdb_send(struct vr_gdb_session *s)
{
    vr_gdb_end(&s->out);
    s->resent = 0;
    s->io.send(s->io.opaque, s->out.buf, s->out.len);
}

void vr_gdb_say(struct vr_gdb_session *s, const char *text)
{
    vr_gdb_begin(&s->out);
    vr_gdb_text(&s->out, text);
    vr_gdb_send(s);
}

void vr_gdb_error(struct vr_gdb_session *s, int r)
{
    char text[8];
    snprintf(text, sizeof(text), "E%02x", (unsigned)-r & 0xff);
    vr_gdb_say(s, text);
}

/* ---- Packets ---- */

static void gdb_packet(struct vr_gdb_session *s)
{
    static const struct vr_gdb_row *const tables[] = {vr_gdb_run_rows, vr_gdb_access_rows,
                                                      vr_gdb_query_rows};
    for (unsigned i = 0; i < VR_COUNT(tables); i++) {
        for (const struct vr_gdb_row *row = tables[i]; row->name; row++) {
            const char *args = s->in.buf;
            if (vr_gdb_take(&args, row->name) && (!row->alone || !*args)) {
                row->run(s, args);
                return;
            }
        }
    }
    vr_gdb_say(s, "");
}

static void gdb_ack(struct vr_gdb_session *s, const char *sign)
{
    if (!s->no_ack) {
        s->io.send(s->io.opaque, sign, 1);
    }
}

static void gdb_got(struct vr_gdb_session *s, enum vr_gdb_got got)
{
    switch (got) {
    case VR_GDB_COMMAND:
        gdb_ack(s, "+");
        gdb_packet(s);
        break;
    case VR_GDB_TOO_LONG:
        gdb_ack(s, "+");
        vr_gdb_error(s, -E2BIG);
        break;
    case VR_GDB_DAMAGED:
        gdb_ack(s, "-");
        break;
    case VR_GDB_NAK:
        if (!s->no_ack && s->out.len && s->resent++ < GDB_RESENDS) {
            s->io.send(s->io.opaque, s->out.buf, s->out.len);
        }
        break;
    case VR_GDB_INTERRUPT:
        if (s->running) {
            vr_gdb_tell_stop(s, VR_GDB_SIGINT);
        }
        break;
    case VR_GDB_ACK:
    case VR_GDB_MORE:
        break;
    }
}

bool vr_gdb_input(struct vr_gdb_session *s, const char *buf, size_t len)
{
    while (len && !s->over) {
        size_t used;
        enum vr_gdb_got got = vr_gdb_read(&s->in, buf, len, &used);
        buf += used;
        len -= used;
        gdb_got(s, got);
    }
    return !s->over;
}

/* ---- Beginning and end ---- */

static void gdb_on_stop(void *opaque, struct vr_vcpu *vcpu)
{
    struct vr_gdb_session *s = opaque;
    (void)vcpu;
    s->io.hit(s->io.opaque);
}

int vr_gdb_open(struct vireo_vm *vm, const struct vr_gdb_io *io,
                struct vr_gdb_session **ret_session, struct vr_error *err)
{
    struct vr_gdb_session *s = vr_zalloc(sizeof(*s));
    if (!s) {
        return vr_err(err, -ENOMEM, "no memory for a debugger");
    }
    s->vm = vm;
    s->machine = vm->machine;
    s->io = *io;
    s->noirq = true;
    int r = vr_debug_attach(s->machine, gdb_on_stop, s, err);
    if (r < 0) {
        free(s);
        return r;
    }
    (void)vr_gdb_halt(s);
    *ret_session = s;
    return 0;
}

void vr_gdb_close(struct vr_gdb_session *s)
{
    if (!s) {
        return;
    }
    vr_debug_detach(s->machine);
    if (s->ours) {
        (void)vr_machine_resume(s->machine);
    }
    vr_view_cache_drop(vr_machine_mem(s->machine), &s->view);
    free(s->xml);
    free(s);
}

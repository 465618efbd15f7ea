/* A debugger's session: threads, what GDB asks about us, and what it sets. */
#include "control/gdb_priv.h"
#include "core/det.h"
#include "core/vcpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    GDB_SSTEP_ENABLE = 1,  /* QEMU's bits of a single step: */
    GDB_SSTEP_NOIRQ = 2,   /* without interrupts, */
    GDB_SSTEP_NOTIMER = 4, /* without the timer's */
};

/* ---- Threads ---- */

bool vr_gdb_take_thread(const char **at, unsigned *ret_hart, bool *ret_all)
{
    uint64_t id;
    *ret_all = vr_gdb_take(at, "-1") || vr_gdb_take(at, "0");
    if (*ret_all) {
        return true;
    }
    if (!vr_gdb_take_number(at, &id) || id == 0 || id > VR_MAX_VCPUS) {
        return false;
    }
    *ret_hart = (unsigned)id - 1;
    return true;
}

static void gdb_H(struct vr_gdb_session *s, const char *args)
{
    char what = *args;
    unsigned hart = s->general;
    bool all;
    args += what != '\0';
    if (!what || !vr_gdb_take_thread(&args, &hart, &all) || !vr_machine_vcpu(s->machine, hart)) {
        vr_gdb_error(s, -EINVAL);
        return;
    }
    if (what == 'g' && !all) {
        s->general = hart;
    } else if (what == 'c') {
        s->resumed_one = !all;
        s->resumed = hart;
    }
    vr_gdb_say(s, "OK");
}

static void gdb_alive(struct vr_gdb_session *s, const char *args)
{
    unsigned hart;
    bool all;
    if (vr_gdb_take_thread(&args, &hart, &all) && !all && vr_machine_vcpu(s->machine, hart)) {
        vr_gdb_say(s, "OK");
    } else {
        vr_gdb_error(s, -EINVAL);
    }
}

static void gdb_first_threads(struct vr_gdb_session *s, const char *args)
{
    (void)args;
    vr_gdb_begin(&s->out);
    for (unsigned i = 0; vr_machine_vcpu(s->machine, i); i++) {
        vr_gdb_text(&s->out, i ? "," : "m");
        vr_gdb_number(&s->out, i + 1);
    }
    vr_gdb_send(s);
}

static void gdb_more_threads(struct vr_gdb_session *s, const char *args)
{
    (void)args;
    vr_gdb_say(s, "l");
}

static void gdb_current(struct vr_gdb_session *s, const char *args)
{
    char text[16];
    (void)args;
    snprintf(text, sizeof(text), "QC%x", s->general + 1);
    vr_gdb_say(s, text);
}

struct gdb_words {
    struct vr_vcpu *vcpu;
    char text[96];
};

static void gdb_thread_words(void *arg)
{
    struct gdb_words *w = arg;
    int n = snprintf(w->text, sizeof(w->text), "hart %u: ", w->vcpu->index);
    w->vcpu->ops->debug->say(w->vcpu, w->text + n, sizeof(w->text) - (size_t)n);
}

static void gdb_thread_info(struct vr_gdb_session *s, const char *args)
{
    struct gdb_words w;
    unsigned hart;
    bool all;
    if (!vr_gdb_take_thread(&args, &hart, &all) || all ||
        !(w.vcpu = vr_machine_vcpu(s->machine, hart))) {
        vr_gdb_error(s, -EINVAL);
        return;
    }
    vr_machine_still(s->machine, gdb_thread_words, &w);
    vr_gdb_begin(&s->out);
    vr_gdb_hex(&s->out, w.text, strlen(w.text));
    vr_gdb_send(s);
}

/* ---- Queries ---- */

static void gdb_supported(struct vr_gdb_session *s, const char *args)
{
    char text[200];
    (void)args;
    snprintf(text, sizeof(text),
             "PacketSize=%x;QStartNoAckMode+;vContSupported+;qXfer:features:read+;"
             "qXfer:threads:read+;qXfer:memory-map:read+%s",
             VR_GDB_PACKET,
             vr_det_replaying(vr_machine_det(s->machine)) ? ";ReverseStep+;ReverseContinue+" : "");
    vr_gdb_say(s, text);
}

static void gdb_no_ack(struct vr_gdb_session *s, const char *args)
{
    (void)args;
    vr_gdb_say(s, "OK");
    s->no_ack = true;
}

static void gdb_attached(struct vr_gdb_session *s, const char *args)
{
    (void)args;
    vr_gdb_say(s, "1"); /* the machine was there before: who leaves lets it go on */
}

static void gdb_ok(struct vr_gdb_session *s, const char *args)
{
    (void)args;
    vr_gdb_say(s, "OK");
}

/* The part of @text that "OFFSET,LEN" asks for. */
static void gdb_xfer(struct vr_gdb_session *s, const char *args, const char *text)
{
    uint64_t off, want;
    size_t all = strlen(text);
    if (!vr_gdb_take_range(&args, &off, &want) || off > all) {
        vr_gdb_error(s, -EINVAL);
        return;
    }
    size_t left = all - (size_t)off, len = want < left ? (size_t)want : left;
    vr_gdb_begin(&s->out);
    vr_gdb_text(&s->out, "l");
    if (vr_gdb_binary(&s->out, text + off, len) < left) {
        s->out.buf[1] = 'm';
    }
    vr_gdb_send(s);
}

struct gdb_describing {
    struct vr_gdb_session *s;
    int result;
};

static void gdb_describe(void *arg)
{
    struct gdb_describing *d = arg;
    struct vr_vcpu *vcpu = vr_machine_vcpu(d->s->machine, 0);
    d->result = vcpu->ops->debug->describe(vcpu, &d->s->xml, NULL);
}

static void gdb_xfer_features(struct vr_gdb_session *s, const char *args)
{
    struct gdb_describing d = {.s = s};
    if (!vr_gdb_take(&args, "target.xml:")) {
        vr_gdb_say(s, "E00");
        return;
    }
    if (!s->xml) {
        vr_machine_still(s->machine, gdb_describe, &d);
    }
    if (d.result < 0) {
        vr_gdb_error(s, d.result);
    } else {
        gdb_xfer(s, args, s->xml);
    }
}

static void gdb_xfer_threads(struct vr_gdb_session *s, const char *args)
{
    char text[VR_MAX_VCPUS * 160];
    size_t at = (size_t)snprintf(text, sizeof(text), "<?xml version=\"1.0\"?><threads>");
    struct gdb_words w;
    for (unsigned i = 0; (w.vcpu = vr_machine_vcpu(s->machine, i)); i++) {
        vr_machine_still(s->machine, gdb_thread_words, &w);
        at += (size_t)snprintf(text + at, sizeof(text) - at,
                               "<thread id=\"%x\" core=\"%u\" name=\"hart%u\">%s</thread>", i + 1,
                               i, i, w.text);
    }
    snprintf(text + at, sizeof(text) - at, "</threads>");
    gdb_xfer(s, args, text);
}

/* The map is of virtual addresses, any of which a page table may make memory; GDB asks once only.
 */
static void gdb_xfer_memory(struct vr_gdb_session *s, const char *args)
{
    gdb_xfer(s, args,
             "<?xml version=\"1.0\"?><!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory "
             "Map V1.0//EN\" \"http://sourceware.org/gdb/gdb-memory-map.dtd\"><memory-map><memory "
             "type=\"ram\" start=\"0x0\" length=\"0xffffffffffffffff\"/></memory-map>");
}

static void gdb_monitor(struct vr_gdb_session *s, const char *args)
{
    char line[256], text[VR_GDB_TEXT];
    size_t len = s->in.len - (size_t)(args - s->in.buf), chars = len / 2;
    if (len % 2 || chars >= sizeof(line) || !vr_gdb_take_bytes(&args, line, chars)) {
        vr_gdb_error(s, -EINVAL);
        return;
    }
    line[chars] = '\0';
    vr_gdb_monitor(s, line, text, sizeof(text));
    if (!*text) {
        vr_gdb_say(s, "OK");
        return;
    }
    vr_gdb_begin(&s->out);
    vr_gdb_hex(&s->out, text, strlen(text));
    vr_gdb_send(s);
}

static void gdb_phys_query(struct vr_gdb_session *s, const char *args)
{
    (void)args;
    vr_gdb_say(s, s->phys ? "1" : "0");
}

static void gdb_phys_set(struct vr_gdb_session *s, const char *args)
{
    if (strcmp(args, "0") != 0 && strcmp(args, "1") != 0) {
        vr_gdb_error(s, -EINVAL);
        return;
    }
    s->phys = *args == '1';
    vr_gdb_say(s, "OK");
}

static void gdb_sstep_bits(struct vr_gdb_session *s, const char *args)
{
    (void)args;
    vr_gdb_say(s, "ENABLE=1,NOIRQ=2,NOTIMER=4");
}

static void gdb_sstep_query(struct vr_gdb_session *s, const char *args)
{
    char text[8];
    (void)args;
    snprintf(text, sizeof(text), "0x%x",
             GDB_SSTEP_ENABLE | (s->noirq ? GDB_SSTEP_NOIRQ | GDB_SSTEP_NOTIMER : 0));
    vr_gdb_say(s, text);
}

static void gdb_sstep_set(struct vr_gdb_session *s, const char *args)
{
    uint64_t bits;
    (void)vr_gdb_take(&args, "0x");
    if (!vr_gdb_take_number(&args, &bits)) {
        vr_gdb_error(s, -EINVAL);
        return;
    }
    s->noirq = bits & GDB_SSTEP_NOIRQ;
    vr_gdb_say(s, "OK");
}

const struct vr_gdb_row vr_gdb_query_rows[] = {
    {"H", gdb_H, false},
    {"T", gdb_alive, false},
    {"qSupported", gdb_supported, false},
    {"QStartNoAckMode", gdb_no_ack, false},
    {"qAttached", gdb_attached, false},
    {"qSymbol::", gdb_ok, false},
    {"qC", gdb_current, true},
    {"qfThreadInfo", gdb_first_threads, false},
    {"qsThreadInfo", gdb_more_threads, false},
    {"qThreadExtraInfo,", gdb_thread_info, false},
    {"qXfer:features:read:", gdb_xfer_features, false},
    {"qXfer:threads:read::", gdb_xfer_threads, false},
    {"qXfer:memory-map:read::", gdb_xfer_memory, false},
    {"qRcmd,", gdb_monitor, false},
    {"qqemu.PhyMemMode", gdb_phys_query, false},
    {"Qqemu.PhyMemMode:", gdb_phys_set, false},
    {"qqemu.sstepbits", gdb_sstep_bits, false},
    {"qqemu.sstep", gdb_sstep_query, false},
    {"Qqemu.sstep=", gdb_sstep_set, false},
    {0},
};

/*
 * A debugger's session: one function a packet, and one row in the table at the end. What is not in
 * it is answered by an empty packet, as the protocol wants it.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "control/gdb_priv.h"
#include "core/vcpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    GDB_RESENDS = 8,
    GDB_SIGINT = 2,
    GDB_SIGTRAP = 5,
    GDB_TEXT = VR_GDB_PACKET / 2, /* what fits as hex */
    GDB_SSTEP_ENABLE = 1,         /* QEMU's bits of a single step: */
    GDB_SSTEP_NOIRQ = 2,          /* without interrupts, */
    GDB_SSTEP_NOTIMER = 4,        /* without the timer's */
};

static struct vr_vcpu *gdb_vcpu(struct vr_gdb_session *s)
{
    return vr_machine_vcpu(s->machine, s->general);
}

/* ---- Answers ---- */

static void gdb_send(struct vr_gdb_session *s)
{
    vr_gdb_end(&s->out);
    s->resent = 0;
    s->io.send(s->io.opaque, s->out.buf, s->out.len);
}

static void gdb_say(struct vr_gdb_session *s, const char *text)
{
    vr_gdb_begin(&s->out);
    vr_gdb_text(&s->out, text);
    gdb_send(s);
}

/* "E" and the number that means this to people who look it up in errno.h. */
static void gdb_error(struct vr_gdb_session *s, int r)
{
    char text[8];
    snprintf(text, sizeof(text), "E%02x", (unsigned)-r & 0xff);
    gdb_say(s, text);
}

/* ---- Stops ---- */

static void gdb_stop_packet(struct vr_gdb_session *s, int signum, const struct vr_debug_stop *stop)
{
    static const char *const watch[] = {
        [VR_DEBUG_WRITE] = "watch:", [VR_DEBUG_READ] = "rwatch:", [VR_DEBUG_ACCESS] = "awatch:"};
    char text[32];
    snprintf(text, sizeof(text), "T%02xthread:%x;", (unsigned)signum, s->general + 1);
    vr_gdb_begin(&s->out);
    vr_gdb_text(&s->out, text);
    if (stop && stop->why == VR_DEBUG_AT_POINT && stop->kind != VR_DEBUG_BREAK) {
        vr_gdb_text(&s->out, watch[stop->kind]);
        vr_gdb_number(&s->out, stop->va);
        vr_gdb_text(&s->out, ";");
    }
    gdb_send(s);
}

struct gdb_found {
    struct vr_gdb_session *s;
    struct vr_debug_stop stop;
};

/* The hart that has stopped. If several have, they are told of in turn, one at each stop: the
 * points of the others will be met again. */
static void gdb_find_stop(void *arg)
{
    struct gdb_found *f = arg;
    struct vr_gdb_session *s = f->s;
    unsigned count = s->vm->cpus, first = s->told + 1;
    for (unsigned i = 0; i < count; i++) {
        struct vr_vcpu *vcpu = vr_machine_vcpu(s->machine, (first + i) % count);
        if (vcpu->run.stop.why != VR_DEBUG_NOT_STOPPED && f->stop.why == VR_DEBUG_NOT_STOPPED) {
            f->stop = vcpu->run.stop;
            s->general = s->told = vcpu->index;
        }
        vr_debug_let(vcpu, true,
                     false); /* whoever resumes the machine from outside resumes all of it */
    }
}

static void gdb_tell_end(struct vr_gdb_session *s)
{
    struct vr_exit why = {.why = VR_REQ_NONE};
    char text[8];
    (void)vr_machine_wait(s->machine, 0, &why);
    unsigned code = why.why == VR_REQ_PANIC                            ? 1
                    : why.why == VR_REQ_FAIL || why.why == VR_REQ_QUIT ? why.code
                                                                       : 0;
    snprintf(text, sizeof(text), "W%02x", code & 0xff);
    s->running = false;
    gdb_say(s, text);
}

/* Pause it; false: it has ended. */
static bool gdb_halt(struct vr_gdb_session *s)
{
    s->ours = s->ours || vr_machine_state(s->machine) == VR_STATE_RUNNING;
    return vr_machine_pause(s->machine) == 0;
}

static void gdb_tell_stop(struct vr_gdb_session *s, int signum)
{
    struct gdb_found f = {.s = s};
    if (!gdb_halt(s)) {
        gdb_tell_end(s);
        return;
    }
    vr_machine_still(s->machine, gdb_find_stop, &f);
    s->running = false;
    gdb_stop_packet(s, f.stop.why == VR_DEBUG_NOT_STOPPED ? signum : GDB_SIGTRAP, &f.stop);
}

static void gdb_look_for_stop(void *arg)
{
    struct gdb_found *f = arg;
    struct vr_vcpu *vcpu;
    for (unsigned i = 0; (vcpu = vr_machine_vcpu(f->s->machine, i)); i++) {
        if (vcpu->run.stop.why != VR_DEBUG_NOT_STOPPED) {
            f->stop = vcpu->run.stop;
        }
    }
}

void vr_gdb_stopped(struct vr_gdb_session *s)
{
    struct gdb_found f = {.s = s};
    enum vr_state state = vr_machine_state(s->machine);
    if (state == VR_STATE_RUNNING) {
        /* A hart's stop, or old news of a pause that is over. */
        vr_machine_still(s->machine, gdb_look_for_stop, &f);
        if (f.stop.why == VR_DEBUG_NOT_STOPPED) {
            return;
        }
    }
    if (s->running) {
        gdb_tell_stop(s, GDB_SIGINT);
    } else if (state == VR_STATE_RUNNING) {
        (void)gdb_halt(s); /* somebody else let it go on; it will be met again */
    }
}

/* ---- Going on ---- */

struct gdb_action {
    char kind; /* 'c', 's', 'r'; 0: it is held */
    uint64_t begin, end;
};

struct gdb_going {
    struct vr_gdb_session *s;
    struct gdb_action action[VR_MAX_VCPUS];
};

/* GDB makes a step on RISC-V of a breakpoint at the next instruction, and lets only that hart run:
 * in an interrupt it could wait for the others for ever. So what is true of steps is true of it,
 * too: interrupts wait. */
static void gdb_let(void *arg)
{
    struct gdb_going *g = arg;
    struct vr_vcpu *vcpu;
    bool quiet = false;
    for (unsigned i = 0; i < g->s->vm->cpus; i++) {
        quiet = quiet || !g->action[i].kind;
    }
    quiet = quiet && g->s->noirq;
    for (unsigned i = 0; (vcpu = vr_machine_vcpu(g->s->machine, i)); i++) {
        const struct gdb_action *a = &g->action[i];
        if (a->kind == 's' || a->kind == 'r') {
            vr_debug_step(vcpu, a->begin, a->end, g->s->noirq);
        } else {
            vr_debug_let(vcpu, a->kind == 'c', quiet);
        }
    }
}

static void gdb_go(struct vr_gdb_session *s, struct gdb_going *g)
{
    vr_machine_still(s->machine, gdb_let, g);
    s->running = true;
    s->ours = false;
    if (vr_machine_resume(s->machine) < 0) {
        gdb_tell_end(s);
    }
}

static bool gdb_take_thread(const char **at, unsigned *ret_hart, bool *ret_all)
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

/* ";ACTION[:THREAD]", the first that fits a thread is its. */
static bool gdb_take_action(const char **at, struct gdb_going *g)
{
    struct gdb_action a = {.kind = **at};
    uint64_t signum;
    unsigned hart = 0;
    bool all = true;
    if (!a.kind || !strchr("cCsSr", a.kind)) {
        return false;
    }
    (*at)++;
    if ((a.kind == 'C' || a.kind == 'S') && !vr_gdb_take_number(at, &signum)) {
        return false;
    }
    a.kind |= 0x20; /* there are no signals */
    if (a.kind == 'r' && !(vr_gdb_take_number(at, &a.begin) && vr_gdb_take(at, ",") &&
                           vr_gdb_take_number(at, &a.end))) {
        return false;
    }
    if (vr_gdb_take(at, ":") && !gdb_take_thread(at, &hart, &all)) {
        return false;
    }
    for (unsigned i = 0; i < VR_MAX_VCPUS; i++) {
        if ((all || i == hart) && !g->action[i].kind) {
            g->action[i] = a;
        }
    }
    return **at == '\0' || **at == ';';
}

static void gdb_vcont(struct vr_gdb_session *s, const char *args, size_t len)
{
    struct gdb_going g = {.s = s};
    (void)len;
    while (vr_gdb_take(&args, ";")) {
        if (!gdb_take_action(&args, &g)) {
            gdb_error(s, -EINVAL);
            return;
        }
    }
    gdb_go(s, &g);
}

static void gdb_vcont_query(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)args;
    (void)len;
    gdb_say(s, "vCont;c;C;s;S;r");
}

struct gdb_jump {
    struct vr_gdb_session *s;
    uint64_t pc;
};

static void gdb_jump(void *arg)
{
    struct gdb_jump *j = arg;
    struct vr_vcpu *vcpu = gdb_vcpu(j->s);
    (void)vcpu->ops->debug->set(vcpu, vcpu->ops->debug->pc, j->pc);
}

/* The old packets: c[ADDR], s[ADDR], C and S with a signal. */
static void gdb_go_on(struct vr_gdb_session *s, const char *args, bool step)
{
    struct gdb_going g = {.s = s};
    struct gdb_jump j = {.s = s};
    if (vr_gdb_take_number(&args, &j.pc)) {
        vr_machine_still(s->machine, gdb_jump, &j);
    }
    for (unsigned i = 0; i < VR_MAX_VCPUS; i++) {
        g.action[i].kind = step && i == s->general ? 's' : 'c';
    }
    gdb_go(s, &g);
}

static void gdb_continue(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    gdb_go_on(s, args, false);
}

static void gdb_step(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    gdb_go_on(s, args, true);
}

static const char *gdb_after_signal(const char *args)
{
    const char *semicolon = strchr(args, ';');
    return semicolon ? semicolon + 1 : "";
}

static void gdb_continue_signal(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    gdb_go_on(s, gdb_after_signal(args), false);
}

static void gdb_step_signal(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    gdb_go_on(s, gdb_after_signal(args), true);
}

static void gdb_why(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)args;
    (void)len;
    if (vr_machine_state(s->machine) == VR_STATE_STOPPED) {
        gdb_tell_end(s);
    } else {
        gdb_stop_packet(s, GDB_SIGTRAP, NULL);
    }
}

static void gdb_detach(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)args;
    (void)len;
    s->ours = true; /* it goes on */
    s->over = true;
    gdb_say(s, "OK");
}

static void gdb_kill(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    s->over = true;
    s->ours = false;
    vr_machine_request_as(s->machine, VR_REQ_QUIT, 0, "host-ui");
    if (*args == ';') { /* vKill;PID */
        gdb_say(s, "OK");
    }
}

/* ---- Registers ---- */

struct gdb_regs {
    struct vr_gdb_session *s;
    const char *args;
    int result;
};

static int gdb_put_reg(struct vr_gdb_session *s, struct vr_vcpu *vcpu, unsigned reg)
{
    uint64_t val;
    unsigned bytes;
    uint8_t le[8];
    int r = vcpu->ops->debug->get(vcpu, reg, &val, &bytes);
    if (r == 0) {
        vr_store_le64(le, val);
        vr_gdb_hex(&s->out, le, bytes);
    }
    return r;
}

static int gdb_take_reg(struct vr_vcpu *vcpu, unsigned reg, const char **at)
{
    uint64_t val;
    unsigned bytes;
    uint8_t le[8] = {0};
    int r = vcpu->ops->debug->get(vcpu, reg, &val, &bytes);
    if (r == 0 && !vr_gdb_take_bytes(at, le, bytes)) {
        r = -EINVAL;
    }
    return r < 0 ? r : vcpu->ops->debug->set(vcpu, reg, vr_load_le64(le));
}

static void gdb_get_all(void *arg)
{
    struct gdb_regs *regs = arg;
    struct vr_vcpu *vcpu = gdb_vcpu(regs->s);
    vr_gdb_begin(&regs->s->out);
    for (unsigned i = 0; i < vcpu->ops->debug->general_count; i++) {
        (void)gdb_put_reg(regs->s, vcpu, i);
    }
}

static void gdb_set_all(void *arg)
{
    struct gdb_regs *regs = arg;
    struct vr_vcpu *vcpu = gdb_vcpu(regs->s);
    for (unsigned i = 0; regs->result == 0 && i < vcpu->ops->debug->general_count; i++) {
        regs->result = gdb_take_reg(vcpu, i, &regs->args);
    }
}

static void gdb_get_one(void *arg)
{
    struct gdb_regs *regs = arg;
    uint64_t reg;
    vr_gdb_begin(&regs->s->out);
    regs->result = vr_gdb_take_number(&regs->args, &reg) && reg < UINT32_MAX
                       ? gdb_put_reg(regs->s, gdb_vcpu(regs->s), (unsigned)reg)
                       : -EINVAL;
}

static void gdb_set_one(void *arg)
{
    struct gdb_regs *regs = arg;
    uint64_t reg;
    regs->result =
        vr_gdb_take_number(&regs->args, &reg) && reg < UINT32_MAX && vr_gdb_take(&regs->args, "=")
            ? gdb_take_reg(gdb_vcpu(regs->s), (unsigned)reg, &regs->args)
            : -EINVAL;
}

/* @gets: the answer is in out already. */
static void gdb_regs(struct vr_gdb_session *s, const char *args, void (*fn)(void *), bool gets)
{
    struct gdb_regs regs = {.s = s, .args = args};
    vr_machine_still(s->machine, fn, &regs);
    if (regs.result < 0) {
        gdb_error(s, regs.result);
    } else if (gets) {
        gdb_send(s);
    } else {
        gdb_say(s, "OK");
    }
}

static void gdb_g(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    gdb_regs(s, args, gdb_get_all, true);
}

static void gdb_G(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    gdb_regs(s, args, gdb_set_all, false);
}

static void gdb_p(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    gdb_regs(s, args, gdb_get_one, true);
}

static void gdb_P(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    gdb_regs(s, args, gdb_set_one, false);
}

/* ---- Memory ---- */

struct gdb_mem {
    struct vr_gdb_session *s;
    uint64_t va;
    size_t len, done;
    bool write;
    uint8_t *buf;
};

static void gdb_access(void *arg)
{
    struct gdb_mem *m = arg;
    m->done = vr_gdb_memory(m->s, m->va, m->buf, m->len, m->write);
}

/* "ADDR,LEN" */
static bool gdb_take_range(const char **at, uint64_t *ret_va, uint64_t *ret_len)
{
    return vr_gdb_take_number(at, ret_va) && vr_gdb_take(at, ",") &&
           vr_gdb_take_number(at, ret_len);
}

static void gdb_m(struct vr_gdb_session *s, const char *args, size_t len)
{
    uint8_t buf[GDB_TEXT];
    struct gdb_mem m = {.s = s, .buf = buf};
    uint64_t want;
    (void)len;
    if (!gdb_take_range(&args, &m.va, &want)) {
        gdb_error(s, -EINVAL);
        return;
    }
    m.len = want < sizeof(buf) ? (size_t)want : sizeof(buf);
    vr_machine_still(s->machine, gdb_access, &m);
    if (m.done == 0 && m.len) {
        gdb_error(s, -EFAULT);
        return;
    }
    vr_gdb_begin(&s->out);
    vr_gdb_hex(&s->out, buf, m.done);
    gdb_send(s);
}

static void gdb_write(struct vr_gdb_session *s, struct gdb_mem *m)
{
    vr_machine_still(s->machine, gdb_access, m);
    if (m->done == m->len) {
        gdb_say(s, "OK");
    } else {
        gdb_error(s, -EFAULT);
    }
}

static void gdb_M(struct vr_gdb_session *s, const char *args, size_t len)
{
    uint8_t buf[GDB_TEXT];
    struct gdb_mem m = {.s = s, .buf = buf, .write = true};
    uint64_t want;
    (void)len;
    if (!gdb_take_range(&args, &m.va, &want) || want > sizeof(buf) || !vr_gdb_take(&args, ":") ||
        !vr_gdb_take_bytes(&args, buf, (size_t)want) || *args) {
        gdb_error(s, -EINVAL);
        return;
    }
    m.len = (size_t)want;
    gdb_write(s, &m);
}

static void gdb_X(struct vr_gdb_session *s, const char *args, size_t len)
{
    struct gdb_mem m = {.s = s, .write = true};
    const char *begin = args;
    uint64_t want;
    if (!gdb_take_range(&args, &m.va, &want) || !vr_gdb_take(&args, ":")) {
        gdb_error(s, -EINVAL);
        return;
    }
    len -= (size_t)(args - begin);
    char *data = s->in.buf + (args - s->in.buf);
    m.len = vr_gdb_unescape(data, len);
    m.buf = (uint8_t *)data;
    if (m.len != want) {
        gdb_error(s, -EINVAL);
        return;
    }
    gdb_write(s, &m);
}

/* ---- Points ---- */

struct gdb_point {
    struct vr_gdb_session *s;
    struct vr_debug_point point;
    int result;
};

static void gdb_add_point(void *arg)
{
    struct gdb_point *p = arg;
    p->result = vr_debug_add(p->s->machine, &p->point);
}

static void gdb_remove_point(void *arg)
{
    struct gdb_point *p = arg;
    vr_debug_remove(p->s->machine, &p->point);
}

/* "TYPE,ADDR,KIND": of breakpoints the kind is a length of an instruction, of others bytes. */
static void gdb_point(struct vr_gdb_session *s, const char *args, void (*fn)(void *))
{
    static const enum vr_debug_kind kinds[] = {VR_DEBUG_BREAK, VR_DEBUG_BREAK, VR_DEBUG_WRITE,
                                               VR_DEBUG_READ, VR_DEBUG_ACCESS};
    struct gdb_point p = {.s = s};
    uint64_t type;
    if (!vr_gdb_take_number(&args, &type) || !vr_gdb_take(&args, ",") ||
        !gdb_take_range(&args, &p.point.va, &p.point.len)) {
        gdb_error(s, -EINVAL);
        return;
    }
    if (type >= VR_COUNT(kinds)) {
        gdb_say(s, "");
        return;
    }
    p.point.kind = kinds[type];
    p.point.len = p.point.kind == VR_DEBUG_BREAK ? 1 : p.point.len;
    vr_machine_still(s->machine, fn, &p);
    if (p.result < 0) {
        gdb_error(s, p.result);
    } else {
        gdb_say(s, "OK");
    }
}

static void gdb_Z(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    gdb_point(s, args, gdb_add_point);
}

static void gdb_z(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    gdb_point(s, args, gdb_remove_point);
}

/* ---- Threads ---- */

static void gdb_H(struct vr_gdb_session *s, const char *args, size_t len)
{
    char what = *args;
    unsigned hart = s->general;
    bool all;
    (void)len;
    args += what != '\0';
    if (!what || !gdb_take_thread(&args, &hart, &all) || !vr_machine_vcpu(s->machine, hart)) {
        gdb_error(s, -EINVAL);
        return;
    }
    if (what == 'g' && !all) {
        s->general = hart;
    }
    gdb_say(s, "OK");
}

static void gdb_alive(struct vr_gdb_session *s, const char *args, size_t len)
{
    unsigned hart;
    bool all;
    (void)len;
    if (gdb_take_thread(&args, &hart, &all) && !all && vr_machine_vcpu(s->machine, hart)) {
        gdb_say(s, "OK");
    } else {
        gdb_error(s, -EINVAL);
    }
}

static void gdb_first_threads(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)args;
    (void)len;
    vr_gdb_begin(&s->out);
    for (unsigned i = 0; vr_machine_vcpu(s->machine, i); i++) {
        vr_gdb_text(&s->out, i ? "," : "m");
        vr_gdb_number(&s->out, i + 1);
    }
    gdb_send(s);
}

static void gdb_more_threads(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)args;
    (void)len;
    gdb_say(s, "l");
}

static void gdb_current(struct vr_gdb_session *s, const char *args, size_t len)
{
    char text[16];
    (void)args;
    (void)len;
    snprintf(text, sizeof(text), "QC%x", s->general + 1);
    gdb_say(s, text);
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

static void gdb_thread_info(struct vr_gdb_session *s, const char *args, size_t len)
{
    struct gdb_words w;
    unsigned hart;
    bool all;
    (void)len;
    if (!gdb_take_thread(&args, &hart, &all) || all ||
        !(w.vcpu = vr_machine_vcpu(s->machine, hart))) {
        gdb_error(s, -EINVAL);
        return;
    }
    vr_machine_still(s->machine, gdb_thread_words, &w);
    vr_gdb_begin(&s->out);
    vr_gdb_hex(&s->out, w.text, strlen(w.text));
    gdb_send(s);
}

/* ---- Queries ---- */

static void gdb_supported(struct vr_gdb_session *s, const char *args, size_t len)
{
    char text[200];
    (void)args;
    (void)len;
    snprintf(text, sizeof(text),
             "PacketSize=%x;QStartNoAckMode+;vContSupported+;qXfer:features:read+;"
             "qXfer:threads:read+;qXfer:memory-map:read+",
             VR_GDB_PACKET);
    gdb_say(s, text);
}

static void gdb_no_ack(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)args;
    (void)len;
    gdb_say(s, "OK");
    s->no_ack = true;
}

static void gdb_attached(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)args;
    (void)len;
    gdb_say(s, "1"); /* the machine was there before: who leaves lets it go on */
}

static void gdb_ok(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)args;
    (void)len;
    gdb_say(s, "OK");
}

/* The part of @text that "OFFSET,LEN" asks for. */
static void gdb_xfer(struct vr_gdb_session *s, const char *args, const char *text)
{
    uint64_t off, want;
    size_t all = strlen(text);
    if (!gdb_take_range(&args, &off, &want) || off > all) {
        gdb_error(s, -EINVAL);
        return;
    }
    size_t left = all - (size_t)off, len = want < left ? (size_t)want : left;
    vr_gdb_begin(&s->out);
    vr_gdb_text(&s->out, "l");
    if (vr_gdb_binary(&s->out, text + off, len) < left) {
        s->out.buf[1] = 'm';
    }
    gdb_send(s);
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

static void gdb_xfer_features(struct vr_gdb_session *s, const char *args, size_t len)
{
    struct gdb_describing d = {.s = s};
    (void)len;
    if (!vr_gdb_take(&args, "target.xml:")) {
        gdb_say(s, "E00");
        return;
    }
    if (!s->xml) {
        vr_machine_still(s->machine, gdb_describe, &d);
    }
    if (d.result < 0) {
        gdb_error(s, d.result);
    } else {
        gdb_xfer(s, args, s->xml);
    }
}

static void gdb_xfer_threads(struct vr_gdb_session *s, const char *args, size_t len)
{
    char text[VR_MAX_VCPUS * 160];
    size_t at = (size_t)snprintf(text, sizeof(text), "<?xml version=\"1.0\"?><threads>");
    struct gdb_words w;
    (void)len;
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
static void gdb_xfer_memory(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    gdb_xfer(s, args,
             "<?xml version=\"1.0\"?><!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory "
             "Map V1.0//EN\" \"http://sourceware.org/gdb/gdb-memory-map.dtd\"><memory-map><memory "
             "type=\"ram\" start=\"0x0\" length=\"0xffffffffffffffff\"/></memory-map>");
}

static void gdb_monitor(struct vr_gdb_session *s, const char *args, size_t len)
{
    char line[256], text[GDB_TEXT];
    size_t chars = len / 2;
    if (len % 2 || chars >= sizeof(line) || !vr_gdb_take_bytes(&args, line, chars)) {
        gdb_error(s, -EINVAL);
        return;
    }
    line[chars] = '\0';
    vr_gdb_monitor(s, line, text, sizeof(text));
    if (!*text) {
        gdb_say(s, "OK");
        return;
    }
    vr_gdb_begin(&s->out);
    vr_gdb_hex(&s->out, text, strlen(text));
    gdb_send(s);
}

static void gdb_phys_query(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)args;
    (void)len;
    gdb_say(s, s->phys ? "1" : "0");
}

static void gdb_phys_set(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)len;
    if (strcmp(args, "0") != 0 && strcmp(args, "1") != 0) {
        gdb_error(s, -EINVAL);
        return;
    }
    s->phys = *args == '1';
    gdb_say(s, "OK");
}

static void gdb_sstep_bits(struct vr_gdb_session *s, const char *args, size_t len)
{
    (void)args;
    (void)len;
    gdb_say(s, "ENABLE=1,NOIRQ=2,NOTIMER=4");
}

static void gdb_sstep_query(struct vr_gdb_session *s, const char *args, size_t len)
{
    char text[8];
    (void)args;
    (void)len;
    snprintf(text, sizeof(text), "0x%x",
             GDB_SSTEP_ENABLE | (s->noirq ? GDB_SSTEP_NOIRQ | GDB_SSTEP_NOTIMER : 0));
    gdb_say(s, text);
}

static void gdb_sstep_set(struct vr_gdb_session *s, const char *args, size_t len)
{
    uint64_t bits;
    (void)len;
    (void)vr_gdb_take(&args, "0x");
    if (!vr_gdb_take_number(&args, &bits)) {
        gdb_error(s, -EINVAL);
        return;
    }
    s->noirq = bits & GDB_SSTEP_NOIRQ;
    gdb_say(s, "OK");
}

/* ---- Packets ---- */

/* Looked for in this order: a name that another begins with stands behind it. */
static const struct {
    const char *name;
    void (*run)(struct vr_gdb_session *s, const char *args, size_t len); /* args: behind it */
} gdb_packets[] = {
    {"?", gdb_why},
    {"g", gdb_g},
    {"G", gdb_G},
    {"p", gdb_p},
    {"P", gdb_P},
    {"m", gdb_m},
    {"M", gdb_M},
    {"X", gdb_X},
    {"Z", gdb_Z},
    {"z", gdb_z},
    {"H", gdb_H},
    {"T", gdb_alive},
    {"c", gdb_continue},
    {"C", gdb_continue_signal},
    {"s", gdb_step},
    {"S", gdb_step_signal},
    {"vCont?", gdb_vcont_query},
    {"vCont", gdb_vcont},
    {"vKill", gdb_kill},
    {"D", gdb_detach},
    {"k", gdb_kill},
    {"qSupported", gdb_supported},
    {"QStartNoAckMode", gdb_no_ack},
    {"qAttached", gdb_attached},
    {"qSymbol::", gdb_ok},
    {"qC", gdb_current},
    {"qfThreadInfo", gdb_first_threads},
    {"qsThreadInfo", gdb_more_threads},
    {"qThreadExtraInfo,", gdb_thread_info},
    {"qXfer:features:read:", gdb_xfer_features},
    {"qXfer:threads:read::", gdb_xfer_threads},
    {"qXfer:memory-map:read::", gdb_xfer_memory},
    {"qRcmd,", gdb_monitor},
    {"qqemu.PhyMemMode", gdb_phys_query},
    {"Qqemu.PhyMemMode:", gdb_phys_set},
    {"qqemu.sstepbits", gdb_sstep_bits},
    {"qqemu.sstep", gdb_sstep_query},
    {"Qqemu.sstep=", gdb_sstep_set},
};

static void gdb_packet(struct vr_gdb_session *s)
{
    const char *text = s->in.buf;
    for (unsigned i = 0; i < VR_COUNT(gdb_packets); i++) {
        const char *args = text;
        /* Of "qC" there are many, as "qCRC:": that one is asked for alone. */
        if (vr_gdb_take(&args, gdb_packets[i].name) &&
            (gdb_packets[i].run != gdb_current || !*args)) {
            gdb_packets[i].run(s, args, s->in.len - (size_t)(args - text));
            return;
        }
    }
    gdb_say(s, "");
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
        gdb_error(s, -E2BIG);
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
            gdb_tell_stop(s, GDB_SIGINT);
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
    (void)gdb_halt(s);
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

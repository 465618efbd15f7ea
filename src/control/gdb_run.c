/* A debugger's session: how the machine stops, what is told of it, and how it goes on. */
#include "control/gdb_priv.h"
#include "core/det.h"
#include "core/vcpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- Stops ---- */

/* @history: the end of a recording that this is, "begin" or "end"; NULL: neither. */
static void gdb_stop_packet(struct vr_gdb_session *s, int signum, const struct vr_debug_stop *stop,
                            const char *history)
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
    if (history) {
        vr_gdb_text(&s->out, "replaylog:");
        vr_gdb_text(&s->out, history);
        vr_gdb_text(&s->out, ";");
    }
    vr_gdb_send(s);
}

/* Does it stand at the end of its recording? */
static const char *gdb_history(struct vr_gdb_session *s)
{
    struct vr_det_status status;
    if (!vr_det_replaying(vr_machine_det(s->machine))) {
        return NULL;
    }
    vr_det_status(s->machine, &status);
    return status.at_end ? "end" : NULL;
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
    enum vireo_end why = VIREO_END_STOP;
    unsigned code = 0;
    char text[8];
    (void)vireo_vm_wait(s->vm, 0, &why, &code);
    code = why == VIREO_END_PANIC ? 1 : code;
    snprintf(text, sizeof(text), "W%02x", code & 0xff);
    s->running = false;
    vr_gdb_say(s, text);
}

bool vr_gdb_halt(struct vr_gdb_session *s)
{
    s->ours = s->ours || vr_machine_state(s->machine) == VR_STATE_RUNNING;
    return vr_machine_pause(s->machine) == 0;
}

void vr_gdb_tell_stop(struct vr_gdb_session *s, int signum)
{
    struct gdb_found f = {.s = s};
    if (!vr_gdb_halt(s)) {
        gdb_tell_end(s);
        return;
    }
    vr_machine_still(s->machine, gdb_find_stop, &f);
    s->running = false;
    bool met = f.stop.why != VR_DEBUG_NOT_STOPPED;
    const char *history = met ? NULL : gdb_history(s);
    gdb_stop_packet(s, met || history ? VR_GDB_SIGTRAP : signum, &f.stop, history);
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
        vr_gdb_tell_stop(s, VR_GDB_SIGINT);
    } else if (state == VR_STATE_RUNNING) {
        (void)vr_gdb_halt(s); /* somebody else let it go on; it will be met again */
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
    const char *history = gdb_history(s);
    if (history) { /* it goes no farther */
        gdb_stop_packet(s, VR_GDB_SIGTRAP, NULL, history);
        return;
    }
    vr_machine_still(s->machine, gdb_let, g);
    s->running = true;
    s->ours = false;
    if (vr_machine_resume(s->machine) < 0) {
        gdb_tell_end(s);
    }
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
    if (vr_gdb_take(at, ":") && !vr_gdb_take_thread(at, &hart, &all)) {
        return false;
    }
    for (unsigned i = 0; i < VR_MAX_VCPUS; i++) {
        if ((all || i == hart) && !g->action[i].kind) {
            g->action[i] = a;
        }
    }
    return **at == '\0' || **at == ';';
}

static void gdb_vcont(struct vr_gdb_session *s, const char *args)
{
    struct gdb_going g = {.s = s};
    while (vr_gdb_take(&args, ";")) {
        if (!gdb_take_action(&args, &g)) {
            vr_gdb_error(s, -EINVAL);
            return;
        }
    }
    gdb_go(s, &g);
}

static void gdb_vcont_query(struct vr_gdb_session *s, const char *args)
{
    (void)args;
    vr_gdb_say(s, "vCont;c;C;s;S;r");
}

struct gdb_jump {
    struct vr_gdb_session *s;
    uint64_t pc;
};

static void gdb_jump(void *arg)
{
    struct gdb_jump *j = arg;
    struct vr_vcpu *vcpu = vr_gdb_vcpu(j->s);
    (void)vcpu->ops->debug->set(vcpu, vcpu->ops->debug->pc, j->pc);
}

/* The old packets: c[ADDR], s[ADDR], C and S with a signal. */
static void gdb_go_on(struct vr_gdb_session *s, const char *args, bool step)
{
    struct gdb_going g = {.s = s};
    struct gdb_jump j = {.s = s};
    if (vr_gdb_take_number(&args, &j.pc)) {
        if (vr_gdb_is_past(s)) {
            return;
        }
        vr_machine_still(s->machine, gdb_jump, &j);
    }
    for (unsigned i = 0; i < VR_MAX_VCPUS; i++) {
        g.action[i].kind = step && i == s->general ? 's' : 'c';
    }
    gdb_go(s, &g);
}

static void gdb_continue(struct vr_gdb_session *s, const char *args)
{
    gdb_go_on(s, args, false);
}

static void gdb_step(struct vr_gdb_session *s, const char *args)
{
    gdb_go_on(s, args, true);
}

static const char *gdb_after_signal(const char *args)
{
    const char *semicolon = strchr(args, ';');
    return semicolon ? semicolon + 1 : "";
}

static void gdb_continue_signal(struct vr_gdb_session *s, const char *args)
{
    gdb_go_on(s, gdb_after_signal(args), false);
}

static void gdb_step_signal(struct vr_gdb_session *s, const char *args)
{
    gdb_go_on(s, gdb_after_signal(args), true);
}

static void gdb_why(struct vr_gdb_session *s, const char *args)
{
    (void)args;
    if (vr_machine_state(s->machine) == VR_STATE_STOPPED) {
        gdb_tell_end(s);
    } else {
        gdb_stop_packet(s, VR_GDB_SIGTRAP, NULL, NULL);
    }
}

/* ---- Going back ---- */

static void gdb_back(struct vr_gdb_session *s, const struct vr_det_found *found,
                     const struct vr_error *err, int r)
{
    if (r == -ENOTSUP) { /* it does not replay: no such packet */
        vr_gdb_say(s, "");
        return;
    }
    if (r < 0) {
        vr_log(vr_machine_env(s->machine)->log, VR_WARN, "debugger", "%s", err->msg);
        vr_gdb_error(s, r);
        return;
    }
    if (!found->begin) {
        s->general = s->told = found->vcpu;
    }
    gdb_stop_packet(s, VR_GDB_SIGTRAP, &found->stop, found->begin ? "begin" : NULL);
}

static void gdb_back_step(struct vr_gdb_session *s, const char *args)
{
    struct vr_det_found found = {.vcpu = s->resumed_one ? s->resumed : s->general};
    struct vr_error err = {0};
    (void)args;
    int r = vr_det_back_step(s->machine, found.vcpu, &found.begin, &err);
    gdb_back(s, &found, &err, r);
}

static void gdb_back_continue(struct vr_gdb_session *s, const char *args)
{
    struct vr_det_found found = {.begin = false};
    struct vr_error err = {0};
    (void)args;
    int r = vr_det_back_continue(s->machine, &found, &err);
    gdb_back(s, &found, &err, r);
}

static void gdb_detach(struct vr_gdb_session *s, const char *args)
{
    (void)args;
    s->ours = true; /* it goes on */
    s->over = true;
    vr_gdb_say(s, "OK");
}

static void gdb_kill(struct vr_gdb_session *s, const char *args)
{
    s->over = true;
    s->ours = false;
    vr_machine_request_as(s->machine, VR_REQ_QUIT, 0, "host-ui");
    if (*args == ';') { /* vKill;PID */
        vr_gdb_say(s, "OK");
    }
}

const struct vr_gdb_row vr_gdb_run_rows[] = {
    {"?", gdb_why, false},
    {"c", gdb_continue, false},
    {"C", gdb_continue_signal, false},
    {"s", gdb_step, false},
    {"S", gdb_step_signal, false},
    {"vCont?", gdb_vcont_query, false},
    {"vCont", gdb_vcont, false},
    {"vKill", gdb_kill, false},
    {"bs", gdb_back_step, true},
    {"bc", gdb_back_continue, true},
    {"D", gdb_detach, false},
    {"k", gdb_kill, false},
    {0},
};

/*
 * How a machine runs: its threads, and the changes between stopped, running and paused.
 *
 * `change` makes the changes one after the other: it is held by start, pause, resume, save, load,
 * and by the control thread while it carries a request out. `lock` only guards a few words and is
 * never held over a hook, so that a request can be made from anywhere. A vCPU thread enters run()
 * only while `go` is set, and clears its own `kicked` in the same critical section; whoever stops
 * the machine clears `go` there before it kicks. So no kick is lost.
 */
#include "base/err.h"
#include "core/det.h"
#include "core/machine_priv.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Is the caller one of the threads that these functions wait for? */
static bool run_own_thread(struct vr_machine *m)
{
    vr_mutex_lock(&m->lock);
    bool own = (m->control && vireo_thread_is_current(m->control)) ||
               (m->env.det && m->loop_started && vr_det_here(m->env.det));
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        own = own || (m->vcpus[i]->thread && vireo_thread_is_current(m->vcpus[i]->thread));
    }
    vr_mutex_unlock(&m->lock);
    return own;
}

/* To the processors that the machine's policy has for this vCPU. */
static int run_place(const struct vr_vcpu *vcpu, struct vr_error *err)
{
    const struct vr_machine *m = vcpu->machine;
    const struct vireo_platform *host;
    struct vireo_cpuset set;
    int r = vireo_platform_get(&host, err);
    r = r < 0 ? r : vireo_host_use_cpus(&m->use, host, vcpu->index, m->vcpu_count, &set, err);
    if (r == 0) {
        r = vireo_place_self(&set, err);
        vireo_cpuset_fini(&set);
    }
    return r < 0 ? vr_err_in(err, r, "CPU %u", vcpu->index) : 0;
}

static void run_vcpu_main(void *opaque)
{
    struct vr_vcpu *vcpu = opaque;
    struct vr_machine *m = vcpu->machine;
    struct vr_error why = {.code = 0};
    atomic_store(&vcpu->host_id, vireo_thread_host_id());
    if (m->use.policy != VIREO_PLACE_NONE) {
        (void)run_place(vcpu, &why);
    }
    vr_mutex_lock(&m->lock);
    if (why.code) {
        m->place_error = why;
    }
    m->placing--;
    vr_cond_broadcast(&m->out_cond);
    for (;;) {
        while ((!m->go || atomic_load(&vcpu->run.held)) && !m->dying) {
            vr_cond_wait(&m->go_cond, &m->lock);
        }
        if (m->dying) {
            break;
        }
        vcpu->in_run = true;
        m->in_run++;
        atomic_store(&vcpu->kicked, false);
        vr_mutex_unlock(&m->lock);
        vcpu->ops->run(vcpu);
        vr_mutex_lock(&m->lock);
        vcpu->in_run = false;
        if (--m->in_run == 0 || m->protecting) {
            vr_cond_broadcast(&m->out_cond);
        }
    }
    vr_mutex_unlock(&m->lock);
}

void vr_machine_halt(struct vr_machine *m)
{
    vr_mutex_lock(&m->lock);
    m->go = false;
    if (m->env.det) {
        vr_det_wake(m->env.det);
    }
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        if (m->vcpus[i]->in_run) {
            vr_vcpu_kick(m->vcpus[i]);
        }
    }
    while (m->in_run) {
        vr_cond_wait(&m->out_cond, &m->lock);
    }
    vr_mutex_unlock(&m->lock);
    vr_clock_stop(m->env.clock);
}

void vr_vcpu_protected(struct vr_vcpu *vcpu, uint64_t asked)
{
    struct vr_machine *m = vcpu->machine;
    atomic_store(&vcpu->protect_done, asked);
    if (m) {
        vr_mutex_lock(&m->lock);
        if (m->protecting) {
            vr_cond_broadcast(&m->out_cond);
        }
        vr_mutex_unlock(&m->lock);
    }
}

/* A vCPU that is not in run() does what it was asked before it runs the guest's code again. */
static bool run_all_protected(const struct vr_machine *m, const uint64_t *asked)
{
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        if (m->vcpus[i]->in_run && atomic_load(&m->vcpus[i]->protect_done) < asked[i]) {
            return false;
        }
    }
    return true;
}

void vr_machine_protect(struct vr_machine *m)
{
    uint64_t asked[VR_MAX_VCPUS];
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        asked[i] = atomic_fetch_add(&m->vcpus[i]->protect_asked, 1) + 1;
        vr_vcpu_notify(m->vcpus[i]);
    }
    vr_mutex_lock(&m->lock);
    m->protecting++;
    while (!run_all_protected(m, asked)) {
        vr_cond_wait(&m->out_cond, &m->lock);
    }
    m->protecting--;
    vr_mutex_unlock(&m->lock);
}

void vr_machine_go(struct vr_machine *m)
{
    vr_clock_start(m->env.clock);
    vr_mutex_lock(&m->lock);
    m->state = VR_STATE_RUNNING;
    m->go = true;
    if (m->env.det) {
        vr_det_go(m->env.det);
    }
    vr_cond_broadcast(&m->go_cond);
    vr_cond_signal(&m->asked); /* requests that waited for the start */
    vr_mutex_unlock(&m->lock);
}

void vr_machine_quiesce(struct vr_machine *m)
{
    /* There requests are done behind the instruction that made them, so nothing is in flight;
     * and devices that look at their queues once more would see what they were not told of yet. */
    if (m->env.det) {
        return;
    }
    for (unsigned i = 0; i < m->dev_count; i++) {
        vr_dev_quiesce(m->devs[i]);
    }
}

void vr_machine_set_state(struct vr_machine *m, enum vr_state state)
{
    vr_mutex_lock(&m->lock);
    m->state = state;
    vr_cond_signal(&m->asked);
    vr_cond_broadcast(&m->out_cond); /* who waits for a replay that goes back */
    vr_mutex_unlock(&m->lock);
}

/* RESET, SHUTDOWN. */
static void run_tell_why(struct vr_machine *m, const char *name, struct vr_exit why)
{
    struct vr_event event = {
        .name = name,
        .field = {{.key = "guest",
                   .type = VR_EVENT_BOOL,
                   .number = strncmp(why.reason, "guest-", 6) == 0},
                  {.key = "reason", .type = VR_EVENT_TEXT, .text = why.reason}}};
    if (why.why == VR_REQ_FAIL || why.why == VR_REQ_QUIT) {
        event.field[2] = (struct vr_event_field){
            .key = "x-vireo-code", .type = VR_EVENT_NUMBER, .number = why.code};
    }
    vr_machine_tell(m, &event);
}

void vr_machine_end(struct vr_machine *m, struct vr_exit why)
{
    run_tell_why(m, "SHUTDOWN", why); /* before anybody is told that it has ended */
    if (m->env.det) {
        vr_det_ended(m->env.det, &why);
    }
    vr_mutex_lock(&m->lock);
    m->state = VR_STATE_STOPPED;
    m->pending = (struct vr_exit){.why = VR_REQ_NONE};
    m->exit = why;
    m->ended = true;
    vr_cond_broadcast(&m->end_cond);
    vr_cond_broadcast(&m->out_cond);
    vr_mutex_unlock(&m->lock);
}

/* Halted: give everything its reset values, then let the board load the guest. */
static int run_reset(struct vr_machine *m, struct vr_error *err)
{
    /* A request in flight would write into the memory that the board is about to fill. */
    vr_machine_quiesce(m);
    for (unsigned i = 0; i < m->dev_count; i++) {
        vr_dev_reset(m->devs[i]);
    }
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        m->vcpus[i]->ops->reset(m->vcpus[i]);
    }
    return m->on_reset ? m->on_reset(m->on_reset_opaque, err) : 0;
}

static void run_carry_out(struct vr_machine *m, struct vr_exit ask, bool reboots, bool was_running)
{
    struct vr_error err = {0};
    vr_machine_halt(m);
    if (ask.why == VR_REQ_PAUSE) {
        vr_machine_set_state(m, VR_STATE_PAUSED);
        if (was_running) {
            vr_machine_tell(m, &(struct vr_event){.name = "STOP"});
        }
        return;
    }
    if (ask.why != VR_REQ_RESET || !reboots) {
        vr_machine_end(m, ask);
        return;
    }
    /* A guest that asked in a loop until it was stopped has asked once; and what it said of a panic
     * is not of the life that begins. */
    vr_mutex_lock(&m->lock);
    if (m->pending.why == VR_REQ_RESET) {
        m->pending = (struct vr_exit){.why = VR_REQ_NONE};
    }
    m->panicked = false;
    vr_mutex_unlock(&m->lock);
    if (run_reset(m, &err) < 0) {
        vr_log(m->env.log, VR_ERROR, m->name, "reset failed: %s", err.msg);
        vr_machine_end(m, (struct vr_exit){.why = VR_REQ_FAIL, .code = 1, .reason = "host-error"});
        return;
    }
    run_tell_why(m, "RESET", ask);
    if (was_running) {
        vr_machine_go(m);
    }
}

static bool run_has_work_locked(const struct vr_machine *m)
{
    return m->pending.why != VR_REQ_NONE && m->state != VR_STATE_STOPPED;
}

static void run_control_main(void *opaque)
{
    struct vr_machine *m = opaque;
    vr_mutex_lock(&m->lock);
    while (!m->dying) {
        if (!run_has_work_locked(m)) {
            vr_cond_wait(&m->asked, &m->lock);
            continue;
        }
        /* `change` comes before `lock`, so what was asked is looked at again. */
        vr_mutex_unlock(&m->lock);
        vr_mutex_lock(&m->change);
        vr_mutex_lock(&m->lock);
        bool work = run_has_work_locked(m) && !m->dying;
        bool running = m->state == VR_STATE_RUNNING, reboots = m->reboots;
        struct vr_exit ask = m->pending;
        if (work) {
            m->pending = (struct vr_exit){.why = VR_REQ_NONE};
        }
        vr_mutex_unlock(&m->lock);
        if (work) {
            run_carry_out(m, ask, reboots, running);
        }
        vr_mutex_unlock(&m->change);
        vr_mutex_lock(&m->lock);
    }
    vr_mutex_unlock(&m->lock);
}

/* The threads find m->control and vcpu->thread filled in, because they begin by taking m->lock. */
static int run_spawn_locked(struct vr_machine *m, struct vr_error *err)
{
    int r =
        m->control ? 0 : vireo_thread_create("vr-control", run_control_main, m, &m->control, err);
    for (unsigned i = 0; r == 0 && !m->env.det && i < m->vcpu_count; i++) {
        struct vr_vcpu *vcpu = m->vcpus[i];
        char name[16];
        snprintf(name, sizeof(name), "vr-cpu%u", vcpu->index);
        if (!vcpu->thread) {
            r = vireo_thread_create(name, run_vcpu_main, vcpu, &vcpu->thread, err);
            m->placing += r == 0;
        }
    }
    while (m->placing) {
        vr_cond_wait(&m->out_cond, &m->lock);
    }
    if (r == 0 && m->place_error.code) {
        r = vr_err(err, m->place_error.code, "%s", m->place_error.msg);
    }
    return r;
}

/* One that runs is not started again, should a later one have failed. */
static int run_start_loops(struct vr_machine *m, struct vr_error *err)
{
    int r = 0;
    if (!vr_loop_has_thread(m->env.loop)) {
        r = m->env.det ? vr_det_spawn(m->env.det, err) : vr_loop_start(m->env.loop, err);
    }
    for (unsigned i = 1; r == 0 && i < m->io_count; i++) {
        char name[24];
        snprintf(name, sizeof(name), "vr-loop%u", i);
        r = vr_loop_has_thread(m->io[i]) ? 0 : vr_loop_start_with(m->io[i], name, NULL, NULL, err);
    }
    return r;
}

int vr_machine_spawn(struct vr_machine *m, struct vr_error *err)
{
    vr_mutex_lock(&m->lock);
    int r = run_spawn_locked(m, err);
    vr_mutex_unlock(&m->lock);
    if (r == 0 && m->own_loop_thread && !m->loop_started) {
        r = run_start_loops(m, err);
        m->loop_started = r == 0;
    }
    return r;
}

static int run_start(struct vr_machine *m, bool paused, struct vr_error *err)
{
    vr_assert(!run_own_thread(m));
    vr_mutex_lock(&m->change);
    int r = 0;
    if (vr_machine_state(m) != VR_STATE_STOPPED) {
        r = vr_err(err, -EBUSY, "machine '%s' is started already", m->name);
    }
    r = r < 0 ? r : vr_machine_spawn(m, err);
    r = r < 0 ? r : run_reset(m, err);
    if (r == 0) {
        vr_mutex_lock(&m->lock);
        m->ended = m->panicked = false;
        vr_mutex_unlock(&m->lock);
        if (paused) {
            vr_machine_set_state(m, VR_STATE_PAUSED);
        } else {
            vr_machine_tell(m, &(struct vr_event){.name = "RESUME"});
            vr_machine_go(m);
        }
    }
    vr_mutex_unlock(&m->change);
    return r;
}

int vr_machine_start(struct vr_machine *m, struct vr_error *err)
{
    return run_start(m, false, err);
}

int vr_machine_start_paused(struct vr_machine *m, struct vr_error *err)
{
    return run_start(m, true, err);
}

int vr_machine_pause(struct vr_machine *m)
{
    int r = 0;
    vr_assert(!run_own_thread(m));
    vr_mutex_lock(&m->change);
    enum vr_state state = vr_machine_state(m);
    if (state == VR_STATE_RUNNING) {
        vr_machine_halt(m);
        vr_machine_set_state(m, VR_STATE_PAUSED);
        vr_machine_tell(m, &(struct vr_event){.name = "STOP"});
    } else if (state == VR_STATE_STOPPED) {
        r = -EINVAL;
    }
    vr_mutex_unlock(&m->change);
    return r;
}

int vr_machine_resume(struct vr_machine *m)
{
    int r = 0;
    vr_assert(!run_own_thread(m));
    vr_mutex_lock(&m->change);
    enum vr_state state = vr_machine_state(m);
    if (state == VR_STATE_STOPPED || vr_machine_moved(m)) {
        r = -EINVAL;
    } else if (state == VR_STATE_PAUSED) {
        vr_machine_tell(m, &(struct vr_event){.name = "RESUME"});
        vr_machine_go(m);
    }
    vr_mutex_unlock(&m->change);
    return r;
}

void vr_machine_still(struct vr_machine *m, void (*fn)(void *arg), void *arg)
{
    vr_assert(!run_own_thread(m));
    vr_mutex_lock(&m->change);
    bool running = vr_machine_state(m) == VR_STATE_RUNNING;
    if (running) {
        vr_machine_halt(m);
    }
    fn(arg);
    if (running) {
        vr_machine_go(m);
    }
    vr_mutex_unlock(&m->change);
}

enum vr_state vr_machine_state(struct vr_machine *m)
{
    vr_mutex_lock(&m->lock);
    enum vr_state state = m->state;
    vr_mutex_unlock(&m->lock);
    return state;
}

void vr_machine_request_as(struct vr_machine *m, enum vr_request what, unsigned code,
                           const char *reason)
{
    struct vr_det *det = m->env.det;
    bool here = det && vr_det_here(det);
    vr_mutex_lock(&m->lock);
    if (det && !here && vr_det_ask(det, what, code, reason)) {
        vr_mutex_unlock(&m->lock);
        vr_det_wake(det);
        return;
    }
    if (here && vr_det_holds(det, what)) {
        what = VR_REQ_PAUSE;
    }
    /* An end beats a reset or a pause; of two ends, the first says why. */
    bool open = m->pending.why == VR_REQ_NONE || m->pending.why == VR_REQ_RESET ||
                m->pending.why == VR_REQ_PAUSE;
    if (what != VR_REQ_NONE && !m->ended && open) {
        m->pending = (struct vr_exit){.why = what, .code = code, .reason = reason};
        vr_cond_signal(&m->asked);
        if (here) {
            vr_det_stop(det);
        }
    }
    vr_mutex_unlock(&m->lock);
}

/* A guest may let it run out as often as it likes; it is told once a second. */
static bool run_watchdog_is_news(struct vr_machine *m)
{
    uint64_t now = vireo_monotonic_ns();
    vr_mutex_lock(&m->lock);
    bool news = !m->watchdog_ns || now - m->watchdog_ns >= 1000000000;
    m->watchdog_ns = news ? now : m->watchdog_ns;
    vr_mutex_unlock(&m->lock);
    return news;
}

/* A reset by it begins anew also where the kernel panicked: that is what it is for. */
static void run_watchdog(struct vr_machine *m, enum vr_watchdog action)
{
    static const struct {
        const char *name, *reason;
        enum vr_request what;
    } row[VR_WATCHDOGS] = {
        [VR_WATCHDOG_RESET] = {"reset", "guest-reset", VR_REQ_RESET},
        [VR_WATCHDOG_SHUTDOWN] = {"shutdown", "none", VR_REQ_NONE},
        [VR_WATCHDOG_POWEROFF] = {"poweroff", "guest-shutdown", VR_REQ_POWEROFF},
        [VR_WATCHDOG_PAUSE] = {"pause", "none", VR_REQ_PAUSE},
        [VR_WATCHDOG_NONE] = {"none", "none", VR_REQ_NONE},
    };
    vr_assert(action < VR_WATCHDOGS);
    if (row[action].what == VR_REQ_NONE && !run_watchdog_is_news(m)) {
        return;
    }
    vr_log(m->env.log, VR_WARN, m->name, "the guest's watchdog ran out: %s", row[action].name);
    vr_machine_tell(
        m, &(struct vr_event){
               .name = "WATCHDOG",
               .field = {{.key = "action", .type = VR_EVENT_TEXT, .text = row[action].name}}});
    if (action == VR_WATCHDOG_SHUTDOWN && m->on_button) {
        m->on_button(m->on_button_opaque);
    }
    vr_machine_request_as(m, row[action].what, 0, row[action].reason);
}

void vr_machine_request(struct vr_machine *m, enum vr_request what, unsigned code)
{
    static const char *const reasons[] = {
        [VR_REQ_NONE] = "none",         [VR_REQ_POWEROFF] = "guest-shutdown",
        [VR_REQ_RESET] = "guest-reset", [VR_REQ_FAIL] = "guest-shutdown",
        [VR_REQ_PANIC] = "guest-panic", [VR_REQ_QUIT] = "host-ui",
        [VR_REQ_PAUSE] = "none",
    };
    if (what == VR_REQ_WATCHDOG) {
        run_watchdog(m, (enum vr_watchdog)code);
        return;
    }
    vr_mutex_lock(&m->lock);
    if (what == VR_REQ_RESET && m->panicked) {
        what = VR_REQ_PANIC;
    }
    vr_mutex_unlock(&m->lock);
    if (what == VR_REQ_PANIC) {
        vr_machine_panicked(m);
    }
    vr_machine_request_as(m, what, code, reasons[what]);
}

void vr_machine_panicked(struct vr_machine *m)
{
    static const struct vr_event event = {
        .name = "GUEST_PANICKED",
        .field = {{.key = "action", .type = VR_EVENT_TEXT, .text = "poweroff"}}};
    vr_mutex_lock(&m->lock);
    bool first = !m->panicked;
    m->panicked = true;
    vr_mutex_unlock(&m->lock);
    if (first) {
        vr_machine_tell(m, &event);
    }
}

bool vr_machine_wait(struct vr_machine *m, uint64_t timeout_ns, struct vr_exit *ret_exit)
{
    uint64_t now = vireo_monotonic_ns();
    bool for_ever = timeout_ns > (uint64_t)INT64_MAX - now;
    vr_mutex_lock(&m->lock);
    while (!m->ended) {
        if (for_ever) {
            vr_cond_wait(&m->end_cond, &m->lock);
        } else if (!vr_cond_wait_until(&m->end_cond, &m->lock, now + timeout_ns)) {
            break;
        }
    }
    bool ended = m->ended;
    if (ended && ret_exit) {
        *ret_exit = m->exit;
    }
    vr_mutex_unlock(&m->lock);
    return ended;
}

void vr_machine_reboots(struct vr_machine *m, bool reboots)
{
    vr_mutex_lock(&m->lock);
    m->reboots = reboots;
    vr_mutex_unlock(&m->lock);
}

uint64_t vr_machine_cpu_ns(struct vr_machine *m, unsigned i)
{
    uint64_t ns = 0;
    vr_mutex_lock(&m->lock);
    if (i < m->vcpu_count && m->vcpus[i]->thread) {
        ns = vireo_thread_cpu_ns(m->vcpus[i]->thread);
    } else if (m->env.det && i == 0) {
        ns = vr_loop_cpu_ns(m->env.loop); /* one thread does it all */
    }
    vr_mutex_unlock(&m->lock);
    return ns;
}

void vr_machine_kill(struct vr_machine *m)
{
    vr_assert(!run_own_thread(m));
    vr_mutex_lock(&m->lock);
    m->dying = true;
    vr_cond_signal(&m->asked);
    vr_mutex_unlock(&m->lock);
    vireo_thread_join(m->control);
    m->control = NULL;
    if (m->env.clock) {
        vr_machine_halt(m);
    }
    vr_mutex_lock(&m->lock);
    vr_cond_broadcast(&m->go_cond);
    vr_mutex_unlock(&m->lock);
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        vireo_thread_join(m->vcpus[i]->thread);
        m->vcpus[i]->thread = NULL;
    }
    vr_machine_quiesce(m);
}

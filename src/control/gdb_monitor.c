/* What GDB's "monitor" command does. */
#include "base/bits.h"
#include "base/text.h"
#include "control/gdb_priv.h"
#include "core/det.h"
#include "core/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Commands ---- */

/* One under way. */
struct monitor {
    struct vr_gdb_session *s;
    const char *args;
    char *text;
    size_t size, len;
};

static void monitor_say(struct monitor *m, const char *fmt, ...) VR_PRINTF(2, 3);
static void monitor_say(struct monitor *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(m->text + m->len, m->size - m->len, fmt, ap);
    va_end(ap);
    m->len += n > 0 && (size_t)n < m->size - m->len ? (size_t)n : m->size - m->len - 1;
}

static struct vr_vcpu *monitor_vcpu(struct monitor *m)
{
    return vr_machine_vcpu(m->s->machine, m->s->general);
}

static uint64_t monitor_reg(struct vr_vcpu *vcpu, unsigned reg)
{
    uint64_t val = 0;
    unsigned bytes;
    (void)vcpu->ops->debug->get(vcpu, reg, &val, &bytes);
    return val;
}

static void monitor_status(void *arg)
{
    static const char *const states[] = {"stopped", "running", "paused"};
    struct monitor *m = arg;
    struct vr_machine *machine = m->s->machine;
    struct vr_vcpu *vcpu;
    monitor_say(m, "%s: %s, engine %s, guest time %" PRIu64 " us\n", vr_machine_name(machine),
                states[vr_machine_state(machine)], monitor_vcpu(m)->ops->engine,
                vr_clock_now(vr_machine_clock(machine)) / 1000);
    if (vr_machine_det(machine)) {
        monitor_say(m, "step %" PRIu64 "\n", vr_det_steps(vr_machine_det(machine)));
    }
    for (unsigned i = 0; (vcpu = vr_machine_vcpu(machine, i)); i++) {
        char words[64];
        vcpu->ops->debug->say(vcpu, words, sizeof(words));
        monitor_say(m, "%c hart %u: pc 0x%" PRIx64 ", %s\n", i == m->s->general ? '*' : ' ', i,
                    monitor_reg(vcpu, vcpu->ops->debug->pc), words);
    }
}

static void monitor_registers(void *arg)
{
    struct monitor *m = arg;
    struct vr_vcpu *vcpu = monitor_vcpu(m);
    const struct vr_cpu_debug *d = vcpu->ops->debug;
    for (unsigned i = 0; i < d->general_count; i++) {
        char name[8];
        snprintf(name, sizeof(name), i == d->pc ? "pc" : "x%u", i);
        monitor_say(m, "%-4s%016" PRIx64 "%s", name, monitor_reg(vcpu, i),
                    i % 4 == 3 || i + 1 == d->general_count ? "\n" : "  ");
    }
}

static void monitor_translate(void *arg)
{
    struct monitor *m = arg;
    struct vr_vcpu *vcpu = monitor_vcpu(m);
    uint64_t va, gpa, len;
    if (vr_parse_u64(m->args, &va) < 0) {
        monitor_say(m, "translate ADDRESS: which address?\n");
    } else if (!vcpu->ops->debug->translate(vcpu, va, &gpa, &len)) {
        monitor_say(m, "0x%" PRIx64 ": hart %u has no page there\n", va, m->s->general);
    } else {
        const struct vr_flat *f =
            vr_view_find(vr_space_view(vr_machine_mem(m->s->machine), &m->s->view), gpa);
        monitor_say(m, "0x%" PRIx64 ": physical 0x%" PRIx64 ", %" PRIu64 " bytes on, %s\n", va, gpa,
                    len, f ? f->region->name : "where nothing is");
    }
}

static void monitor_map(void *arg)
{
    static const char *const kinds[] = {"RAM", "ROM", "device"};
    struct monitor *m = arg;
    const struct vr_view *view = vr_space_view(vr_machine_mem(m->s->machine), &m->s->view);
    for (size_t i = 0; i < view->count; i++) {
        const struct vr_flat *f = &view->flat[i];
        monitor_say(m, "%012" PRIx64 "-%012" PRIx64 " %-6s %s\n", f->gpa, f->gpa + (f->len - 1),
                    kinds[f->region->kind], f->region->name);
    }
}

static void monitor_switch(struct monitor *m, const char *what, bool *at)
{
    if (strcmp(m->args, "on") == 0 || strcmp(m->args, "off") == 0) {
        *at = strcmp(m->args, "on") == 0;
    } else if (*m->args) {
        monitor_say(m, "on or off?\n");
        return;
    }
    monitor_say(m, "%s: %s\n", what, *at ? "yes" : "no");
}

static void monitor_phys(void *arg)
{
    struct monitor *m = arg;
    monitor_switch(m, "addresses are physical", &m->s->phys);
}

static void monitor_devices(void *arg)
{
    struct monitor *m = arg;
    monitor_switch(m, "registers of devices may be read and written, with what that does",
                   &m->s->devices);
}

static void monitor_step_irq(void *arg)
{
    struct monitor *m = arg;
    bool on = !m->s->noirq;
    monitor_switch(m, "interrupts are taken in single steps", &on);
    m->s->noirq = !on;
}

static void monitor_help(void *arg);
static void monitor_reset(struct monitor *m);
static void monitor_goto(struct monitor *m);

static const struct {
    const char *name;
    void (*run)(void *arg); /* while the machine stands still; NULL: */
    const char *help;
    void (*run_it)(struct monitor *m); /* that may run it */
} monitor_commands[] = {
    {"help", monitor_help, "this list"},
    {"status", monitor_status, "the machine and its harts"},
    {"registers", monitor_registers, "the integer registers of the current hart"},
    {"translate", monitor_translate, "ADDRESS: where a virtual address leads"},
    {"map", monitor_map, "what is at which physical addresses"},
    {"reset", NULL, "press the reset button; the machine stays stopped", monitor_reset},
    {"goto", NULL, "STEP: go to a step of the recording that is replayed", monitor_goto},
    {"phys", monitor_phys, "on|off: addresses are physical"},
    {"devices", monitor_devices, "on|off: also reach registers of devices"},
    {"step-interrupts", monitor_step_irq, "on|off: take interrupts in single steps"},
};

static void monitor_help(void *arg)
{
    struct monitor *m = arg;
    for (unsigned i = 0; i < VR_COUNT(monitor_commands); i++) {
        monitor_say(m, "%-16s %s\n", monitor_commands[i].name, monitor_commands[i].help);
    }
}

static void monitor_reset(struct monitor *m)
{
    struct vr_gdb_session *s = m->s;
    if (vr_machine_state(s->machine) == VR_STATE_STOPPED) {
        monitor_say(m, "the machine has ended\n");
        return;
    }
    monitor_say(m, "%s\n",
                s->io.reset(s->io.opaque)
                    ? "reset; 'maintenance flush register-cache' shows it to GDB"
                    : "asked for; it has not happened yet");
}

static void monitor_goto(struct monitor *m)
{
    struct vr_error err = {0};
    uint64_t step;
    if (vr_parse_u64(m->args, &step) < 0) {
        monitor_say(m, "goto STEP: which step?\n");
    } else if (vr_det_goto(m->s->machine, step, &err) < 0) {
        monitor_say(m, "%s\n", err.msg);
    } else {
        monitor_say(m, "at step %" PRIu64 "; 'maintenance flush register-cache' shows it to GDB\n",
                    step);
    }
}

void vr_gdb_monitor(struct vr_gdb_session *s, const char *line, char *ret_text, size_t size)
{
    struct monitor m = {.s = s, .text = ret_text, .size = size};
    size_t len = strcspn(line, " ");
    m.args = line + len + strspn(line + len, " ");
    *ret_text = '\0';
    for (unsigned i = 0; i < VR_COUNT(monitor_commands); i++) {
        if (strlen(monitor_commands[i].name) != len ||
            strncmp(line, monitor_commands[i].name, len) != 0) {
            continue;
        }
        if (monitor_commands[i].run) {
            vr_machine_still(s->machine, monitor_commands[i].run, &m);
        } else {
            monitor_commands[i].run_it(&m);
        }
        return;
    }
    monitor_say(&m, "unknown command '%.*s'; there are:\n", (int)(len < 40 ? len : 40), line);
    vr_machine_still(s->machine, monitor_help, &m);
}

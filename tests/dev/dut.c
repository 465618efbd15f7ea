/* Devices under test that are driven, copied and compared. */
#include "dut.h"

#include "base/bits.h"
#include "snap_walk.h"
#include <stdlib.h>

/* One thing done to a device. */
struct act {
    enum { ACT_READ, ACT_WRITE, ACT_OUTSIDE } kind;
    unsigned window, width;
    uint64_t off, val, step_ns;
};

static void dut_wire_set(void *chip, unsigned pin, bool level)
{
    struct dut *dut = chip;
    dut->level[pin] = level;
}

static void dut_find_wires(struct dut *dut)
{
    const struct class_hooks *hooks = class_hooks(dut->dev->cls);
    if (hooks->wires) {
        dut->wires = hooks->wires(dut->dev, dut->wire);
    }
    for (unsigned i = 0; i < dut->wires; i++) {
        vr_irq_connect(dut->wire[i], dut_wire_set, dut, i);
    }
}

void dut_init_at(struct dut *dut, const struct vr_dev_class *cls, uint64_t now_ns, bool plugged,
                 bool setup)
{
    const struct class_hooks *hooks = class_hooks(cls);
    memset(dut, 0, sizeof(*dut));
    rig_init(&dut->rig);
    vr_clock_set(dut->rig.env.clock, now_ns);
    assert_int_equal(vr_loop_create(&dut->loop, NULL), 0);
    dut->rig.env.loop = dut->loop;
    dut->dev = rig_dev(&dut->rig, cls, hooks->opts);
    dut_find_wires(dut);
    if (plugged && hooks->plug) {
        hooks->plug(dut);
    }
    if (setup && hooks->setup) {
        hooks->setup(dut);
    }
}

uint64_t dut_seed(uint64_t seed)
{
    const char *more = getenv("VIREO_TEST_SEED");
    seed ^= more ? strtoull(more, NULL, 0) * UINT64_C(0x9e3779b97f4a7c15) : 0;
    return seed ? seed : 1;
}

void dut_init(struct dut *dut, const struct vr_dev_class *cls)
{
    dut_init_at(dut, cls, 1000, true, true);
}

void dut_quiesce(struct dut *dut)
{
    vr_dev_quiesce(dut->dev);
    vr_loop_turn(dut->loop, 0);
}

void dut_fini(struct dut *dut)
{
    const struct class_hooks *hooks = class_hooks(dut->dev->cls);
    dut_quiesce(dut);
    vr_dev_destroy(dut->dev);
    if (dut->host && hooks->unplug) {
        hooks->unplug(dut);
    }
    vr_loop_destroy(dut->loop);
    rig_fini(&dut->rig);
}

/* Most bugs live near 0, near a limit, near "now" and in memory; plain random values never go
 * there. */
static uint64_t act_value(const struct dut *dut, uint64_t *seed)
{
    switch (rig_random(seed) % 8) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return rig_random(seed) % 256;
    case 3:
        return vr_clock_now(dut->rig.env.clock) + rig_random(seed) % 20000;
    case 4:
        return RIG_RAM_GPA + rig_random(seed) % (RIG_RAM_LEN + 64);
    case 5:
        return UINT64_C(1) << rig_random(seed) % 64;
    case 6:
        return rig_random(seed) % 16;
    default:
        return rig_random(seed);
    }
}

static struct act act_choose(const struct dut *dut, uint64_t *seed)
{
    const struct vr_dev_class *cls = dut->dev->cls;
    unsigned windows = 0, regs = 0;
    while (windows < VR_DEV_WINDOWS && cls->windows[windows].len) {
        windows++;
    }
    struct act act = {.window = (unsigned)(rig_random(seed) % windows)};
    const struct vr_window *win = &cls->windows[act.window];
    while (win->regs && win->regs[regs].name) {
        regs++;
    }
    act.kind = rig_random(seed) % 4 == 0 ? ACT_OUTSIDE
               : rig_random(seed) % 2    ? ACT_READ
                                         : ACT_WRITE;
    act.width = 1u << rig_random(seed) % 4;
    act.off = rig_random(seed) % (rig_random(seed) % 2 ? win->len : 64);
    if (regs && rig_random(seed) % 8) { /* mostly what a driver would do */
        const struct vr_reg *reg = &win->regs[rig_random(seed) % regs];
        unsigned count = reg->count ? reg->count : 1, few = count < 8 ? count : 8;
        unsigned index = (unsigned)(rig_random(seed) % (rig_random(seed) % 2 ? few : count));
        act.off = reg->off + (uint64_t)index * reg->stride;
        act.width = rig_random(seed) % 8 ? reg->width : act.width;
    }
    if (!vr_in_range(act.off, act.width, win->len)) {
        act.width = 1;
        act.off %= win->len;
    }
    act.val = act_value(dut, seed);
    act.step_ns = rig_random(seed) % (rig_random(seed) % 16 ? 1000 : 10000000);
    return act;
}

static uint64_t act_do(struct dut *dut, const struct act *act)
{
    const struct class_hooks *hooks = class_hooks(dut->dev->cls);
    uint64_t val = 0;
    if (act->kind == ACT_READ) {
        val = vr_dev_read(dut->dev, act->window, act->off, act->width);
    } else if (act->kind == ACT_WRITE) {
        vr_dev_write(dut->dev, act->window, act->off, act->width, act->val);
    } else if (hooks->outside) {
        hooks->outside(dut, act->val | 1u << 20); /* never 0, which a xorshift keeps */
    }
    vr_loop_turn(dut->loop, 0);
    vr_clock_step(dut->rig.env.clock, act->step_ns);
    return val;
}

void dut_storm(struct dut *dut, uint64_t *seed, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct act act = act_choose(dut, seed);
        (void)act_do(dut, &act);
    }
}

void dut_save(struct dut *dut, struct vr_snap *ret_snap)
{
    struct vr_error err = {0};
    dut_quiesce(dut);
    vr_snap_init(ret_snap);
    if (vr_dev_save(dut->dev, ret_snap, &err) < 0) {
        fail_msg("%s", err.msg);
    }
}

void dut_copy_outside(struct dut *from, struct dut *to)
{
    const struct class_hooks *hooks = class_hooks(from->dev->cls);
    memcpy(to->rig.ram->hva, from->rig.ram->hva, RIG_RAM_LEN);
    if (from->host && hooks->copy_host) {
        hooks->copy_host(from, to);
    }
}

void dut_copy(struct dut *from, struct dut *to)
{
    struct vr_snap snap;
    struct vr_error err = {0};
    dut_save(from, &snap);
    dut_quiesce(to);
    dut_copy_outside(from, to);
    vr_clock_set(to->rig.env.clock, vr_clock_now(from->rig.env.clock));
    if (vr_dev_load(to->dev, &snap, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(snap.pos, snap.len);
    vr_snap_fini(&snap);
}

static void dut_same_state(struct dut *a, struct dut *b, const char *when)
{
    struct vr_snap sa, sb;
    struct snap_walk wa, wb;
    dut_save(a, &sa);
    dut_save(b, &sb);
    if (sa.len != sb.len || memcmp(sa.buf, sb.buf, sa.len) != 0) {
        snap_walk_begin(&wa, &sa, a->dev->cls->fields);
        snap_walk_begin(&wb, &sb, b->dev->cls->fields);
        while (snap_walk_next(&wa) && snap_walk_next(&wb)) {
            uint64_t va = vr_load_le(sa.buf + wa.at, wa.width);
            uint64_t vb = vr_load_le(sb.buf + wb.at, wb.width);
            if (va != vb) {
                fail_msg("%s: %s[%u] is 0x%llx in one and 0x%llx in the other", when,
                         wa.field->name, wa.index, (unsigned long long)va, (unsigned long long)vb);
            }
        }
        fail_msg("%s: the saved states differ in a buffer", when);
    }
    vr_snap_fini(&sa);
    vr_snap_fini(&sb);
}

void dut_same(struct dut *a, struct dut *b, const char *when)
{
    dut_same_state(a, b, when);
    for (unsigned i = 0; i < a->wires; i++) {
        if (a->wire[i]->level != b->wire[i]->level || a->level[i] != b->level[i]) {
            fail_msg("%s: wire %u is %d in one and %d in the other", when, i, a->wire[i]->level,
                     b->wire[i]->level);
        }
        assert_int_equal(a->level[i], a->wire[i]->level);
    }
    if (a->host && class_hooks(a->dev->cls)->same_host) {
        class_hooks(a->dev->cls)->same_host(a, b);
    }
    if (!class_hooks(a->dev->cls)->random) {
        assert_memory_equal(a->rig.ram->hva, b->rig.ram->hva, RIG_RAM_LEN);
    }
}

void dut_behave_same(struct dut *a, struct dut *b, uint64_t *seed, unsigned count)
{
    unsigned requests_a = a->rig.requests, requests_b = b->rig.requests;
    for (unsigned i = 0; i < count; i++) {
        struct act act = act_choose(a, seed);
        uint64_t va = act_do(a, &act), vb = act_do(b, &act);
        if (va != vb) {
            fail_msg("step %u: %u bytes at %s+0x%llx read 0x%llx in one and 0x%llx in the other", i,
                     act.width, a->dev->cls->windows[act.window].name, (unsigned long long)act.off,
                     (unsigned long long)va, (unsigned long long)vb);
        }
        for (unsigned w = 0; w < a->wires; w++) {
            assert_int_equal(a->level[w], b->level[w]);
        }
        assert_int_equal(a->rig.requests - requests_a, b->rig.requests - requests_b);
    }
    dut_same(a, b, "after equal treatment");
}

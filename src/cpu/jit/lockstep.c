/* Stretches, run twice; turns; and what becomes of a difference. See lockstep.h. */
#include "cpu/jit/lockstep.h"
#include "base/alloc.h"
#include "core/machine.h"
#include "cpu/jit/jit.h"
#include "cpu/jit/lockstep_priv.h"

#include <errno.h>
#include <string.h>

enum {
    LOCKSTEP_TICK_NS = 200000, /* how long a stretch may be, */
    LOCKSTEP_WAIT_NS = 10000,  /* and one that another hart waits for */
    LOCKSTEP_IDLE = 50,        /* ticks with nobody running until they stop */
    LOCKSTEP_SHORT = 16,       /* one stretch of so many is cut short, to be left at every place */
    LOCKSTEP_RETRIES = 2,
    LOCKSTEP_STEPS = 100000, /* to find the place of a difference in */
};

/* --- Turns --- */

static void lockstep_arm(struct vr_lockstep *ls)
{
    vireo_timer_arm(ls->timer, vireo_monotonic_ns() + LOCKSTEP_TICK_NS, LOCKSTEP_TICK_NS);
}

static void lockstep_tick(void *opaque, uint64_t times)
{
    struct vr_cpu *cpu = opaque;
    struct vr_lockstep *ls = cpu->lockstep;
    (void)times;
    if (atomic_load(&ls->running)) {
        ls->idle = 0;
        vr_vcpu_notify(&cpu->vcpu);
    } else if (++ls->idle == LOCKSTEP_IDLE) {
        ls->idle = 0;
        atomic_store(&ls->armed, false);
        vireo_timer_disarm(ls->timer);
        if (atomic_load(&ls->running)) { /* it armed the timer in between, or did not */
            atomic_store(&ls->armed, true);
            lockstep_arm(ls);
        }
    }
}

static struct lockstep_turn *lockstep_turn(struct vr_cpu *cpu)
{
    struct vr_vcpu *first = cpu->vcpu.machine ? vr_machine_vcpu(cpu->vcpu.machine, 0) : NULL;
    return first ? &((struct vr_cpu *)first)->lockstep->turn : &cpu->lockstep->turn;
}

void vr_lockstep_leave_turn(struct vr_cpu *cpu)
{
    struct vr_lockstep *ls = cpu->lockstep;
    struct lockstep_turn *t = lockstep_turn(cpu);
    if (!ls->has_turn) {
        return;
    }
    ls->has_turn = false;
    atomic_store(&ls->running, false);
    vr_mutex_lock(&t->lock);
    atomic_fetch_add(&t->now, 1);
    t->holder = NULL;
    vr_cond_broadcast(&t->changed);
    vr_mutex_unlock(&t->lock);
}

bool vr_lockstep_take_turn(struct vr_cpu *cpu)
{
    struct vr_lockstep *ls = cpu->lockstep;
    struct lockstep_turn *t = lockstep_turn(cpu);
    if (ls->differed) { /* the machine was told, and will want its thread back */
        while (!atomic_load(&cpu->vcpu.kicked)) {
            atomic_store(&cpu->vcpu.attention, false);
            vr_vcpu_sleep(&cpu->vcpu);
        }
        return false;
    }
    unsigned mine = atomic_fetch_add(&t->next, 1);
    if (atomic_load(&t->now) != mine) {
        /* Timed waits of this length would be several times as long. */
        uint64_t until = vireo_monotonic_ns() + LOCKSTEP_WAIT_NS;
        while (atomic_load(&t->now) != mine && vireo_monotonic_ns() < until) {
            vireo_thread_yield();
        }
    }
    vr_mutex_lock(&t->lock);
    while (atomic_load(&t->now) != mine) {
        if (t->holder) {
            atomic_store(&t->holder->attention, true);
        }
        vr_cond_wait(&t->changed, &t->lock);
    }
    t->holder = &cpu->vcpu;
    vr_mutex_unlock(&t->lock);
    ls->has_turn = true;
    atomic_store(&ls->running, true);
    if (!atomic_exchange(&ls->armed, true)) {
        lockstep_arm(ls);
    }
    return true;
}

/* Before what must happen once; see vr_outside. */
static bool lockstep_outside(struct vr_cpu *cpu)
{
    struct vr_lockstep *ls = cpu->lockstep;
    /* Between stretches: done now, and the turn is taken again before the next block. */
    atomic_store(&cpu->vcpu.attention, true);
    if (ls->phase == LOCKSTEP_LIVE) {
        vr_lockstep_leave_turn(cpu);
        return false;
    }
    ls->stopped = true;
    cpu->trapped = true; /* so that the instruction does not count */
    return true;
}

/* --- The second run --- */

bool vr_lockstep_again(const struct vr_cpu *cpu)
{
    return cpu->lockstep->phase == LOCKSTEP_AGAIN;
}

bool vr_lockstep_goes_on(const struct vr_cpu *cpu)
{
    const struct vr_lockstep *ls = cpu->lockstep;
    return ls->phase != LOCKSTEP_AGAIN || (!ls->stopped && lockstep_progress(cpu) < ls->target);
}

struct vr_block *vr_lockstep_block(struct vr_cpu *cpu, struct vr_block *b)
{
    struct vr_lockstep *ls = cpu->lockstep;
    uint64_t left = UINT64_MAX;
    if (ls->phase == LOCKSTEP_AGAIN) {
        if (!vr_lockstep_goes_on(cpu)) {
            return NULL;
        }
        left = ls->target - lockstep_progress(cpu);
    } else if (ls->one_next) {
        left = 1;
        ls->one_next = false;
    }
    if (b->insn_count <= left) {
        return b;
    }
    vr_block_prefix(b, (unsigned)left, ls->prefix);
    return ls->prefix;
}

void lockstep_interpret(struct vr_cpu *cpu, struct lockstep_pages *side, uint64_t target)
{
    struct vr_lockstep *ls = cpu->lockstep;
    ls->phase = LOCKSTEP_AGAIN;
    ls->side = side;
    ls->target = target;
    ls->stopped = false;
    vr_tlb_flush(cpu);
    cpu->interp_once = cpu->interp_all = true;
    vr_interp_run(&cpu->vcpu);
    cpu->interp_once = cpu->interp_all = false;
}

/* --- A stretch --- */

/* Compiled code, until it wants the interpreter. An empty TLB hides other pages' code from it: that
 * is found here. */
static void lockstep_compiled(struct vr_cpu *cpu, uint32_t code)
{
    struct vr_lockstep *ls = cpu->lockstep;
    while (code) {
        struct vr_block *b;
        vr_jit_run(cpu, code);
        if (ls->stopped || cpu->interp_once || cpu->mode == VR_NO_MODE ||
            atomic_load(&cpu->vcpu.attention)) {
            return;
        }
        b = vr_code_find(cpu);
        cpu->trapped = false;
        code = b && cpu->mode != VR_NO_MODE ? b->native[cpu->mode] : 0;
    }
}

/* Code for cpu->pc on a side's copies, made if there is none; 0: none can be. */
static uint32_t lockstep_code(struct vr_cpu *cpu)
{
    uint64_t traps = cpu->traps;
    struct vr_block *b = cpu->mode != VR_NO_MODE ? vr_code_find(cpu) : NULL;
    if (b && !b->native[cpu->mode]) {
        vr_jit_compile(cpu, b);
        b = vr_code_find(cpu);
    }
    cpu->trapped = false;
    return b && traps == cpu->traps ? b->native[cpu->mode] : 0;
}

/* The stretch from ls->start on, both engines on copies. @brief: as little of it as can be. False:
 * they differ. */
static bool lockstep_redo(struct vr_cpu *cpu, bool brief)
{
    struct vr_lockstep *ls = cpu->lockstep;
    uint64_t begin = lockstep_state_progress(ls, &ls->start);
    lockstep_put(cpu, &ls->start);
    ls->phase = LOCKSTEP_AGAIN;
    ls->side = &ls->jit;
    ls->stopped = cpu->interp_once = false;
    vr_tlb_flush(cpu);
    uint32_t code = lockstep_code(cpu);
    atomic_store(&cpu->vcpu.attention, brief);
    lockstep_compiled(cpu, lockstep_progress(cpu) == begin ? code : 0);
    if (lockstep_progress(cpu) == begin && !ls->stopped) {
        lockstep_interpret(cpu, &ls->jit, begin + 1);
    }
    bool stopped = ls->stopped;
    lockstep_take(cpu, &ls->jit_state);
    lockstep_put(cpu, &ls->start);
    lockstep_interpret(cpu, &ls->interp, lockstep_state_progress(ls, &ls->jit_state) + stopped);
    lockstep_take(cpu, &ls->interp_state);
    return lockstep_same_state(ls, &ls->jit_state, &ls->interp_state) && lockstep_same_pages(ls);
}

static void lockstep_copy_pages(struct lockstep_pages *to, const struct lockstep_pages *from)
{
    lockstep_pages_clear(to);
    for (unsigned i = 0; i < from->count; i++) {
        lockstep_pages_add(to, from->page[i].ram, from->page[i].off,
                           from->data + (size_t)i * VR_PAGE_SIZE);
    }
}

static void lockstep_swap(struct lockstep_state *a, struct lockstep_state *b)
{
    struct lockstep_state tmp = *a;
    *a = *b;
    *b = tmp;
}

/* The difference comes back: find where it first is, and tell of it. */
static void lockstep_tell(struct vr_cpu *cpu)
{
    struct vr_lockstep *ls = cpu->lockstep;
    struct lockstep_pages *from = vr_zalloc(sizeof(*from));
    uint64_t end = lockstep_state_progress(ls, &ls->jit_state), begin;
    struct lockstep_state first = {.bytes = vr_zalloc(ls->state_bytes)};
    char *text = NULL;
    bool found = false;

    if (from && first.bytes && lockstep_pages_init(from)) {
        lockstep_swap(&first, &ls->start);
        memcpy(ls->start.bytes, first.bytes, ls->state_bytes);
        ls->start.traps = first.traps;
        lockstep_pages_clear(&ls->jit);
        lockstep_pages_clear(&ls->interp);
        for (unsigned i = 0; i < LOCKSTEP_STEPS && !found; i++) {
            begin = lockstep_state_progress(ls, &ls->start);
            lockstep_copy_pages(from, &ls->interp);
            found = !lockstep_redo(cpu, true);
            if (!found) {
                lockstep_swap(&ls->start, &ls->jit_state);
                if (lockstep_state_progress(ls, &ls->start) == begin || begin >= end) {
                    break;
                }
            }
        }
        if (!found) { /* only the whole stretch shows it */
            lockstep_swap(&first, &ls->start);
            lockstep_pages_clear(from);
            lockstep_pages_clear(&ls->jit);
            lockstep_pages_clear(&ls->interp);
            (void)lockstep_redo(cpu, false);
        }
        text = lockstep_report(cpu, from, !found);
    }
    if (from) {
        lockstep_pages_fini(from);
    }
    free(from);
    free(first.bytes);
    ls->differed = true;
    if (ls->differ) {
        ls->differ(ls->differ_opaque, cpu->vcpu.index,
                   text ? text : "the engines differ, and there is no memory to say how");
    }
    free(text);
}

/* The runs came to different ends. False: it was somebody else's doing, for on memory that nobody
 * else writes they agree. */
static bool lockstep_persists(struct vr_cpu *cpu)
{
    struct vr_lockstep *ls = cpu->lockstep;
    bool same = true;
    ls->frozen = true;
    for (unsigned i = 0; i < LOCKSTEP_RETRIES && same; i++) {
        lockstep_pages_clear(&ls->jit);
        lockstep_pages_clear(&ls->interp);
        same = lockstep_redo(cpu, false);
    }
    return !same;
}

/* Does the guest's memory hold what the second run's copies do? Pages that only the first run wrote
 * are as they were. */
static bool lockstep_same_memory(const struct vr_lockstep *ls)
{
    for (unsigned i = 0; i < ls->was.count; i++) {
        const struct lockstep_page *at = &ls->was.page[i];
        const uint8_t *p = lockstep_pages_find(&ls->interp, at->ram, at->off);
        if (memcmp(p ? p : ls->was.data + (size_t)i * VR_PAGE_SIZE, at->ram->hva + at->off,
                   VR_PAGE_SIZE) != 0) {
            return false;
        }
    }
    for (unsigned i = 0; i < ls->interp.count; i++) {
        const struct lockstep_page *at = &ls->interp.page[i];
        if (memcmp(ls->interp.data + (size_t)i * VR_PAGE_SIZE, at->ram->hva + at->off,
                   VR_PAGE_SIZE) != 0) {
            return false;
        }
    }
    return true;
}

void vr_lockstep_run(struct vr_cpu *cpu, uint32_t code)
{
    struct vr_lockstep *ls = cpu->lockstep;
    struct lockstep_state end = {.bytes = ls->end_bytes};
    uint64_t begin = lockstep_progress(cpu);

    ls->phase = LOCKSTEP_FIRST;
    ls->stopped = false;
    lockstep_pages_clear(&ls->was);
    lockstep_pages_clear(&ls->jit);
    lockstep_pages_clear(&ls->interp);
    lockstep_take(cpu, &ls->start);
    vr_tlb_flush(cpu);
    if (atomic_fetch_add(&ls->stretches, 1) % LOCKSTEP_SHORT == 0) {
        atomic_store(&cpu->vcpu.attention, true);
    }
    lockstep_compiled(cpu, code);
    bool stopped = ls->stopped, once = cpu->interp_once;
    uint64_t reached = lockstep_progress(cpu);
    lockstep_take(cpu, &end);

    lockstep_put(cpu, &ls->start);
    /* Was it stopped, so must this be, by the same instruction, which has begun then: FP state that
     * an FP load is about to change is dirty. */
    lockstep_interpret(cpu, &ls->interp, reached + stopped);
    lockstep_take(cpu, &ls->interp_state);
    atomic_fetch_add(&ls->compared, reached - begin);
    if (VR_UNLIKELY(!lockstep_same_state(ls, &end, &ls->interp_state) ||
                    !lockstep_same_memory(ls))) {
        if (lockstep_persists(cpu)) {
            lockstep_tell(cpu);
        } else {
            atomic_fetch_add(&ls->unrepeated, 1);
        }
        ls->frozen = false;
        vr_code_flush(cpu); /* what was translated from copies */
    }
    ls->phase = LOCKSTEP_LIVE;
    ls->one_next = stopped;
    vr_tlb_flush(cpu);
    lockstep_put(cpu, &end);
    atomic_store(&cpu->vcpu.attention, true);
    cpu->interp_once = once || stopped || reached == begin;
}

/* --- Life --- */

static void lockstep_free(struct vr_lockstep *ls)
{
    vireo_timer_destroy(ls->timer);
    vireo_timers_destroy(ls->timers);
    lockstep_pages_fini(&ls->was);
    lockstep_pages_fini(&ls->jit);
    lockstep_pages_fini(&ls->interp);
    free(ls->start.bytes);
    free(ls->jit_state.bytes);
    free(ls->interp_state.bytes);
    free(ls->end_bytes);
    free(ls->prefix);
    vr_cond_fini(&ls->turn.changed);
    vr_mutex_fini(&ls->turn.lock);
    free(ls);
}

int vr_lockstep_create(struct vr_cpu *cpu, const struct vr_jit_opts *opts, struct vr_error *err)
{
    struct vr_lockstep *ls = vr_zalloc(sizeof(*ls));
    if (!ls) {
        return vr_err(err, -ENOMEM, "no memory for the lockstep of cpu %u", cpu->vcpu.index);
    }
    vr_mutex_init(&ls->turn.lock);
    vr_cond_init(&ls->turn.changed);
    ls->differ = opts->differ;
    ls->differ_opaque = opts->differ_opaque;
    for (const struct vr_field *f = cpu->isa->fields(); f->name; f++) {
        if (f->role == VR_ROLE_STATE && !cpu->isa->field_is_shared(f)) {
            vr_assert(ls->field_count < LOCKSTEP_FIELDS && f->type <= VR_U64);
            ls->field[ls->field_count++] = f;
            ls->state_bytes += lockstep_field_bytes(f);
        }
    }
    ls->start.bytes = vr_zalloc(ls->state_bytes);
    ls->jit_state.bytes = vr_zalloc(ls->state_bytes);
    ls->interp_state.bytes = vr_zalloc(ls->state_bytes);
    ls->end_bytes = vr_zalloc(ls->state_bytes);
    ls->prefix = vr_zalloc(sizeof(*ls->prefix) + LOCKSTEP_PREFIX_OPS * sizeof(ls->prefix->ir[0]));
    bool was = lockstep_pages_init(&ls->was), jit = lockstep_pages_init(&ls->jit),
         interp = lockstep_pages_init(&ls->interp);
    int r = !ls->start.bytes || !ls->jit_state.bytes || !ls->interp_state.bytes || !ls->end_bytes ||
                    !ls->prefix || !was || !jit || !interp
                ? vr_err(err, -ENOMEM, "no memory for the lockstep of cpu %u", cpu->vcpu.index)
                : 0;
    if (r == 0) {
        r = vireo_timers_create("lockstep", &ls->timers, err);
    }
    if (r == 0) {
        r = vireo_timer_create(ls->timers, lockstep_tick, cpu, &ls->timer, err);
    }
    if (r < 0) {
        lockstep_free(ls);
        return r;
    }
    cpu->lockstep = ls;
    cpu->outside = lockstep_outside;
    return 0;
}

void vr_lockstep_destroy(struct vr_cpu *cpu)
{
    if (cpu->lockstep) {
        lockstep_free(cpu->lockstep);
        cpu->lockstep = NULL;
        cpu->outside = NULL;
    }
}

void vr_lockstep_add_stats(const struct vr_cpu *cpu, struct vr_jit_stats *stats)
{
    const struct vr_lockstep *ls = cpu->lockstep;
    if (ls) {
        stats->stretches += atomic_load(&ls->stretches);
        stats->compared += atomic_load(&ls->compared);
        stats->unrepeated += atomic_load(&ls->unrepeated);
    }
}

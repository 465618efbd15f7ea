/*
 * Life of a hart: creation, reset, snapshot, and the work that other threads ask of it.
 *
 * Everything but `lines`, `remote*`, `hsm` and `stimer_fired` belongs to the hart's thread. Others
 * set those and call vr_vcpu_notify; the engine clears vcpu.attention before it calls rv_attention,
 * which then reads them, so that nothing set in the meantime is missed.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "core/machine.h"
#include "core/snap.h"
#include "cpu/ir/steps.h"
#include "cpu/jit/jit.h"
#include "cpu/jit/lockstep.h"
#include "cpu/riscv/decode.h"
#include "cpu/riscv/priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HART_RESET_PC = 0x1000, HART_SPINS = 1000 };

/* --- Requests of other threads --- */

void rv_hart_remote(struct rv_hart *hart, unsigned what)
{
    atomic_fetch_or(&hart->remote, what);
    atomic_fetch_add(&hart->remote_posted, 1);
    vr_vcpu_notify(&hart->cpu.vcpu);
}

void rv_hart_irq(void *chip, unsigned pin, bool level)
{
    struct rv_hart *hart = chip;
    if (pin == RV_SSI) {
        if (level) {
            rv_hart_remote(hart, RV_REMOTE_IPI);
        }
        return;
    }
    if (level) {
        atomic_fetch_or(&hart->lines, RV_BIT(pin));
        vr_vcpu_notify(&hart->cpu.vcpu);
    } else {
        atomic_fetch_and(&hart->lines, ~RV_BIT(pin));
    }
}

void rv_hart_time_was_set(struct rv_hart *hart)
{
    atomic_store(&hart->stimer_fired, true);
    vr_vcpu_notify(&hart->cpu.vcpu);
}

static void hart_timer_fire(void *arg)
{
    rv_hart_time_was_set(arg);
}

void rv_hart_start(struct rv_hart *hart, enum rv_priv priv, uint64_t pc, uint64_t a0, uint64_t a1)
{
    hart->start_priv = (uint8_t)priv;
    hart->start_pc = pc;
    hart->start_a0 = a0;
    hart->start_a1 = a1;
    atomic_store(&hart->hsm, RV_HSM_START_PENDING);
    rv_hart_remote(hart, RV_REMOTE_START);
}

/* The state that SBI's hart_start promises: translation off, interrupts off. */
static void hart_begin(struct rv_hart *hart)
{
    hart->satp = 0;
    hart->mstatus &= ~(RV_MSTATUS_SIE | RV_MSTATUS_MIE | RV_MSTATUS_MPRV);
    hart->cpu.pc = hart->start_pc;
    hart->cpu.r[10] = hart->start_a0;
    hart->cpu.r[11] = hart->start_a1;
    hart->cpu.res_valid = false;
    rv_set_priv(hart, (enum rv_priv)hart->start_priv);
    atomic_store(&hart->hsm, RV_HSM_STARTED);
}

/* Fences first: who asked for them waits. */
static void hart_serve(struct rv_hart *hart, unsigned kinds)
{
    unsigned ticket = atomic_load(&hart->remote_posted);
    unsigned what = atomic_fetch_and(&hart->remote, ~kinds) & kinds;

    if (what & RV_REMOTE_FENCE_I) {
        vr_code_fence(&hart->cpu);
    }
    if (what & RV_REMOTE_SFENCE) {
        rv_fence_all(hart);
    }
    if (what & RV_REMOTE_IPI) {
        hart->mip_soft |= RV_BIT(RV_SSI);
    }
    if (what & RV_REMOTE_STOP) {
        atomic_store(&hart->hsm, RV_HSM_STOPPED);
    }
    if (what & RV_REMOTE_START) {
        hart_begin(hart);
    }
    atomic_store(&hart->remote_done, ticket);
    uint64_t waiters = atomic_exchange(&hart->remote_waiters, 0);
    for (unsigned i = 0; waiters; i++, waiters >>= 1) {
        if (waiters & 1) {
            vr_vcpu_notify(vr_machine_vcpu(hart->cpu.vcpu.machine, i));
        }
    }
    if (atomic_exchange(&hart->stimer_fired, false)) {
        rv_timer_update(hart);
    }
}

void rv_attention(struct vr_cpu *cpu)
{
    struct rv_hart *hart = RV_HART(cpu);
    for (;;) {
        hart_serve(hart, ~0u);
        unsigned hsm = atomic_load(&hart->hsm);
        if (hsm == RV_HSM_SUSPENDED && (rv_due_m(hart) || rv_due_s(hart))) {
            atomic_store(&hart->hsm, RV_HSM_STARTED);
            break;
        }
        if (hsm == RV_HSM_STARTED) {
            break;
        }
        if (atomic_load(&cpu->vcpu.kicked)) {
            return;
        }
        vr_vcpu_sleep(&cpu->vcpu);
        atomic_store(&cpu->vcpu.attention, false);
        vr_code_drain(cpu);
    }
    if (VR_LIKELY(!cpu->vcpu.run.quiet)) {
        rv_interrupt(hart);
    }
}

void rv_hart_settle(struct rv_hart *hart)
{
    if (atomic_load(&hart->remote) & RV_REMOTE_START) {
        hart_serve(hart, RV_REMOTE_START);
    }
}

/* Deterministic mode: all harts are on this thread, and between instructions. */
static bool hart_serve_here(struct rv_hart *self, struct rv_hart *target)
{
    if (self->cpu.vcpu.det) {
        hart_serve(target, RV_REMOTE_FENCE_I | RV_REMOTE_SFENCE);
    }
    return self->cpu.vcpu.det;
}

/* One that a debugger holds will do it before its next instruction. */
static bool hart_done(const struct rv_hart *target, unsigned ticket)
{
    return (int)(atomic_load(&target->remote_done) - ticket) >= 0 ||
           atomic_load(&target->cpu.vcpu.run.held);
}

/* Wait for @target to serve @ticket, serving others' fences meanwhile. When the machine wants this
 * thread back it gives up: all harts then stop between instructions, and each serves its requests
 * before it goes on. */
static void hart_wait(struct rv_hart *self, struct rv_hart *target, unsigned ticket)
{
    struct vr_vcpu *vcpu = &self->cpu.vcpu;
    for (unsigned spin = 0; spin < HART_SPINS; spin++) {
        if (hart_done(target, ticket)) {
            return;
        }
    }
    while (!atomic_load(&vcpu->kicked)) {
        atomic_store(&vcpu->attention, false);
        hart_serve(self, RV_REMOTE_FENCE_I | RV_REMOTE_SFENCE);
        atomic_fetch_or(&target->remote_waiters, RV_BIT(vcpu->index));
        if (hart_done(target, ticket)) {
            break;
        }
        vr_vcpu_sleep(vcpu);
    }
    atomic_store(&vcpu->attention, true); /* what came meanwhile is still to be looked at */
}

void rv_hart_fence(struct rv_hart *self, uint64_t mask, unsigned what)
{
    struct vr_machine *m = self->cpu.vcpu.machine;
    unsigned ticket[VR_MAX_VCPUS] = {0};
    struct vr_vcpu *v;

    for (unsigned i = 0; (v = vr_machine_vcpu(m, i)) != NULL; i++) {
        struct rv_hart *hart = (struct rv_hart *)v;
        if (hart != self && mask >> i & 1) {
            atomic_fetch_or(&hart->remote, what);
            ticket[i] = atomic_fetch_add(&hart->remote_posted, 1) + 1;
            vr_vcpu_notify(v);
        }
    }
    if (mask >> self->cpu.vcpu.index & 1) {
        if (what & RV_REMOTE_FENCE_I) {
            vr_code_fence(&self->cpu);
        }
        if (what & RV_REMOTE_SFENCE) {
            rv_fence_all(self);
        }
    }
    for (unsigned i = 0; (v = vr_machine_vcpu(m, i)) != NULL; i++) {
        struct rv_hart *hart = (struct rv_hart *)v;
        if (hart != self && mask >> i & 1 && !hart_serve_here(self, hart)) {
            hart_wait(self, hart, ticket[i]);
        }
    }
}

/* --- Reset --- */

/* Firmware that never runs: what it would have set up for a supervisor. */
static void hart_sbi_state(struct rv_hart *hart)
{
    const struct rv_config *c = &hart->config;
    hart->medeleg = 0xb1ff; /* all but calls from S */
    hart->mideleg = RV_BIT(RV_SSI) | RV_BIT(RV_STI) | RV_BIT(RV_SEI);
    hart->mcounteren = 0xffffffff;
    hart->scounteren = 7; /* the vDSO reads the time; Linux leaves this to firmware */
    hart->menvcfg = (RV_HAS(c, sstc) ? RV_ENVCFG_STCE : 0) |
                    (RV_HAS(c, svpbmt) ? RV_ENVCFG_PBMTE : 0) |
                    (RV_HAS(c, svadu) && !RV_HAS(c, svade) ? RV_ENVCFG_ADUE : 0) |
                    (RV_HAS(c, zicbom) ? RV_ENVCFG_CBIE | RV_ENVCFG_CBCFE : 0) |
                    (RV_HAS(c, zicboz) ? RV_ENVCFG_CBZE : 0);
    hart->mstateen[0] = RV_STATEEN_SE | RV_STATEEN_ENVCFG;
    if (RV_HAS(c, smaia)) {
        hart->mstateen[0] |= RV_STATEEN_AIA | RV_STATEEN_CSRIND;
        hart->mstateen[0] |= hart->file_s.reg ? RV_STATEEN_IMSIC : 0;
    }
    for (unsigned i = 1; i < 4; i++) {
        hart->mstateen[i] = RV_STATEEN_SE;
    }
    hart->pmpcfg[0] = RV_PMP_A_NAPOT | RV_PMP_R | RV_PMP_W | RV_PMP_X; /* everything */
    hart->pmpaddr[0] = vr_mask(54);
    atomic_store(&hart->hsm, RV_HSM_STOPPED);
}

static const struct vr_field hart_fields[];

/* What follows from the state: TLB regime, PMP ranges, timer. */
static void hart_derive(struct rv_hart *hart)
{
    hart->cpu.r[VR_SLOT_ZERO] = 0;
    rv_pmp_update(hart);
    rv_fence_all(hart);
    atomic_store(&hart->stimer_fired, true); /* armed when it runs: the clock may be set after us */
    atomic_store(&hart->cpu.vcpu.attention, true);
}

void rv_hart_reset(struct rv_hart *hart)
{
    /* Wires know no reset of what they lead to; STI is our own. */
    uint64_t lines = atomic_load(&hart->lines) & ~RV_BIT(RV_STI);
    vr_fields_reset(hart, hart_fields, VR_ROLE_STATE);
    atomic_store(&hart->lines, lines);
    hart->cpu.pc = HART_RESET_PC;
    if (RV_HAS(&hart->config, zkr)) {
        hart->mseccfg =
            RV_MSECCFG_SSEED; /* older firmware does not open it, and kernels rely on it */
    }
    if (!RV_HAS(&hart->config, svade) && RV_HAS(&hart->config, svadu)) {
        hart->menvcfg = RV_ENVCFG_ADUE;
    }
    if (hart->config.builtin_sbi) {
        hart_sbi_state(hart);
    }
    hart_derive(hart);
}

static void hart_op_reset(struct vr_vcpu *vcpu)
{
    rv_hart_reset((struct rv_hart *)vcpu);
}

/* --- Snapshot --- */

#define VR_SELF struct rv_hart
/* clang-format off */
static const struct vr_field hart_fields[] = {
    VR_HOST(cpu.vcpu, "thread and its signals"),
    VR_STATE_ARRAY(cpu.r, "x0 to x31, f0 to f31, and the engine's temporaries"),
    VR_STATE(cpu.pc, "program counter"),
    VR_HOST(cpu.block_pc, "only inside a block"),
    VR_HOST(cpu.dtlb, "from priv and satp"),
    VR_HOST(cpu.itlb, "from priv and satp"),
    VR_HOST(cpu.dctx, "from priv and satp"),
    VR_HOST(cpu.ictx, "from priv and satp"),
    VR_STATE(cpu.icount, "instructions retired"),
    VR_HOST(cpu.traps, "counted for lockstep, since it began"),
    VR_STATE(cpu.fflags, "accrued exceptions", .max = 31),
    VR_STATE(cpu.frm, "dynamic rounding mode", .max = 7),
    VR_HOST(cpu.trapped, "only inside a block"),
    VR_STATE(cpu.res_valid, "LR holds a reservation"),
    VR_STATE(cpu.res_size, "its size, bytes", .max = 8),
    VR_STATE(cpu.res_gpa, "its guest-physical address"),
    VR_STATE(cpu.res_val, "the value that LR read"),
    VR_HOST(cpu.isa, "wiring"),
    VR_HOST(cpu.mem, "wiring"),
    VR_HOST(cpu.view, "cache of the memory map"),
    VR_HOST(cpu.window, "cache of the memory map"),
    VR_HOST(cpu.space_gen, "cache of the memory map"),
    VR_HOST(cpu.ctx_next, "TLB bookkeeping"),
    VR_HOST(cpu.has_large, "TLB bookkeeping"),
    VR_HOST(cpu.large_base, "TLB bookkeeping"),
    VR_HOST(cpu.large_mask, "TLB bookkeeping"),
    VR_HOST(cpu.cache, "translated again"),
    VR_HOST(cpu.trace, "the user's choice"),
    VR_HOST(cpu.single, "the user's choice"),
    VR_HOST(cpu.careful, "the user's choice"),
    VR_HOST(cpu.lockstep, "the user's choice"),
    VR_HOST(cpu.steps, "the user's choice"),
    VR_HOST(cpu.budget, "only while it runs"),
    VR_HOST(cpu.outside, "the user's choice"),
    VR_HOST(cpu.jit, "compiled again"),
    VR_HOST(cpu.jit_hot, "the user's choice"),
    VR_HOST(cpu.page_va, "only inside compiled code"),
    VR_HOST(cpu.host_fp, "only inside compiled code"),
    VR_HOST(cpu.mirrors, "filled again"),
    VR_HOST(cpu.mirror_limit, "from the regime"),
    VR_HOST(cpu.mirror_addend, "from the regime"),
    VR_HOST(cpu.mirror_ctx, "from the regime"),
    VR_HOST(cpu.mode, "from priv and satp"),
    VR_HOST(cpu.fp_live, "only inside compiled code"),
    VR_HOST(cpu.interp_once, "only inside compiled code"),
    VR_HOST(cpu.interp_all, "only inside lockstep"),
    VR_HOST(cpu.tlb, "refilled by page walks"),
    VR_HOST(config, "given by the board; snapshots hold its shape"),
    VR_STATE(priv, "privilege mode: 0 U, 1 S, 3 M", .def = RV_M, .max = RV_M),
    VR_STATE(hsm, "SBI hart state", .max = RV_HSM_SUSPENDED),
    VR_STATE(mstatus, "machine status"),
    VR_STATE(medeleg, "exceptions delegated to S"),
    VR_STATE(mideleg, "interrupts delegated to S"),
    VR_STATE(mie, "interrupt enable"),
    VR_STATE(mip_soft, "interrupts that software made pending"),
    VR_STATE(mtvec, "machine trap vector"),
    VR_STATE(mepc, "machine exception pc"),
    VR_STATE(mcause, "machine trap cause"),
    VR_STATE(mtval, "machine trap value"),
    VR_STATE(mscratch, "machine scratch"),
    VR_STATE(mcounteren, "counters that S may read"),
    VR_STATE(mcountinhibit, "counters that stand still", .max = 5),
    VR_STATE(menvcfg, "environment of S"),
    VR_STATE(mseccfg, "security configuration"),
    VR_STATE_ARRAY(mstateen, "state that S may use"),
    VR_STATE(mvien, "virtual interrupts of S"),
    VR_STATE(mvip, "virtual interrupts that are pending"),
    VR_STATE(miselect, "register behind mireg", .max = RV_ISELECT),
    VR_STATE(siselect, "register behind sireg", .max = RV_ISELECT),
    VR_STATE(sie_own, "virtual interrupts that are enabled"),
    VR_STATE_ARRAY(iprio_m, "priorities of interrupts to M"),
    VR_STATE_ARRAY(iprio_s, "priorities of interrupts to S"),
    VR_STATE(stvec, "supervisor trap vector"),
    VR_STATE(sepc, "supervisor exception pc"),
    VR_STATE(scause, "supervisor trap cause"),
    VR_STATE(stval, "supervisor trap value"),
    VR_STATE(sscratch, "supervisor scratch"),
    VR_STATE(scounteren, "counters that U may read"),
    VR_STATE(senvcfg, "environment of U"),
    VR_STATE(satp, "address translation"),
    VR_STATE(stimecmp, "supervisor timer compare", .def = UINT64_MAX),
    VR_STATE_ARRAY(pmpcfg, "physical memory protection"),
    VR_STATE_ARRAY(pmpaddr, "physical memory protection: addresses"),
    VR_STATE(minstret_delta, "minstret, less instructions retired"),
    VR_STATE(mcycle_delta, "mcycle, less instructions retired"),
    VR_STATE(shape, "extensions, and the greatest satp mode in the top byte"),
    VR_STATE(start_pc, "where a pending start begins"),
    VR_STATE(start_a0, "its first argument"),
    VR_STATE(start_a1, "its second argument"),
    VR_STATE(start_priv, "its mode", .max = RV_M),
    VR_STATE(lines, "interrupt wires from outside"),
    VR_HOST(decoder, "from config"),
    VR_HOST(pmp_first, "from pmpcfg and pmpaddr"),
    VR_HOST(pmp_last, "from pmpcfg and pmpaddr"),
    VR_HOST(pmp_used, "from pmpcfg and pmpaddr"),
    VR_HOST(pmp_open, "from pmpcfg and pmpaddr"),
    VR_HOST(ctx_floor, "TLB bookkeeping"),
    VR_HOST(ctx_mode, "TLB bookkeeping"),
    VR_HOST(asid_ctx, "TLB bookkeeping"),
    VR_HOST(file_m, "wiring"),
    VR_HOST(file_s, "wiring"),
    VR_HOST(stimer, "from stimecmp"),
    VR_HOST(stimer_fired, "from stimecmp"),
    VR_HOST(time, "wiring"),
    VR_HOST(time_opaque, "wiring"),
    VR_HOST(sbi, "wiring"),
    VR_HOST(sbi_opaque, "wiring"),
    VR_HOST(first_ns, "boot profile"),
    VR_STATE(remote, "requests of other harts"),
    VR_HOST(remote_posted, "who waits gives up when the machine stops"),
    VR_HOST(remote_done, "who waits gives up when the machine stops"),
    VR_HOST(remote_waiters, "who waits gives up when the machine stops"),
    VR_FIELD_END
};
/* clang-format on */
#undef VR_SELF

const struct vr_field *rv_hart_fields(void)
{
    return hart_fields;
}

/* Others write them; or they change with them, by what only happens between instructions. */
bool rv_field_is_shared(const struct vr_field *field)
{
    static const uint32_t offset[] = {
        offsetof(struct rv_hart, hsm),        offsetof(struct rv_hart, lines),
        offsetof(struct rv_hart, remote),     offsetof(struct rv_hart, start_pc),
        offsetof(struct rv_hart, start_a0),   offsetof(struct rv_hart, start_a1),
        offsetof(struct rv_hart, start_priv),
    };
    for (unsigned i = 0; i < VR_COUNT(offset); i++) {
        if (field->offset == offset[i]) {
            return true;
        }
    }
    return false;
}

/* PMP is not changed by what can be taken back. */
void rv_state_was_set(struct vr_cpu *cpu)
{
    rv_regime(RV_HART(cpu));
}

static uint64_t hart_shape(const struct rv_config *config)
{
    return config->ext | (uint64_t)config->satp_max << 56;
}

static void hart_settle(struct vr_vcpu *vcpu)
{
    struct rv_hart *hart = (struct rv_hart *)vcpu;
    if (atomic_exchange(&hart->stimer_fired, false)) {
        rv_timer_update(hart);
    }
}

static int hart_op_save(struct vr_vcpu *vcpu, struct vr_snap *snap, struct vr_error *err)
{
    char name[16];
    struct rv_hart *hart = (struct rv_hart *)vcpu;
    hart->shape = hart_shape(&hart->config);
    hart_settle(vcpu); /* what a timer that fired leads to is state, that it fired is not */
    /* Between instructions these hold nothing; what they held depends on the engine. */
    memset(hart->cpu.r + VR_SLOT_TEMP, 0, (VR_SLOTS - VR_SLOT_TEMP) * sizeof(hart->cpu.r[0]));
    snprintf(name, sizeof(name), "hart%u", vcpu->index);
    return vr_snap_save(snap, name, 1, vcpu, hart_fields, err);
}

/* Nothing of a refused snapshot stays; the wires are as they were. */
static void hart_refuse(struct rv_hart *hart, uint64_t lines)
{
    atomic_store(&hart->lines, lines);
    rv_hart_reset(hart);
}

static int hart_op_load(struct vr_vcpu *vcpu, struct vr_snap *snap, struct vr_error *err)
{
    struct rv_hart *hart = (struct rv_hart *)vcpu;
    uint64_t lines = atomic_load(&hart->lines);
    char name[16];
    snprintf(name, sizeof(name), "hart%u", vcpu->index);
    int r = vr_snap_load(snap, name, 1, hart, hart_fields, err);
    if (r < 0) {
        return r;
    }
    if (hart->shape != hart_shape(&hart->config)) {
        hart_refuse(hart, lines);
        return vr_err(err, -EPROTO, "hart %u: the snapshot is of a CPU with other extensions",
                      vcpu->index);
    }
    if (!rv_csr_legal(hart)) {
        hart_refuse(hart, lines);
        return vr_err(err, -ERANGE, "hart %u: the snapshot holds impossible CPU state: damaged?",
                      vcpu->index);
    }
    hart_derive(hart);
    return 0;
}

/* --- Creation --- */

static void hart_op_destroy(struct vr_vcpu *vcpu)
{
    struct rv_hart *hart = (struct rv_hart *)vcpu;
    if (hart->stimer.clock) {
        vr_timer_fini(&hart->stimer);
    }
    vr_cpu_fini(&hart->cpu);
    free(hart->decoder);
    free(hart);
}

static void hart_op_forget(struct vr_vcpu *vcpu)
{
    rv_fence_all((struct rv_hart *)vcpu);
}

#define HART_OPS(name, dbg)                                                                    \
    {                                                                                          \
        .engine = (name), .run = vr_interp_run, .run_steps = vr_steps_run,                     \
        .forget = hart_op_forget, .settle = hart_settle, .reset = hart_op_reset,               \
        .save = hart_op_save, .load = hart_op_load, .destroy = hart_op_destroy, .debug = (dbg) \
    }
static const struct vr_cpu_ops hart_ops_interp = HART_OPS("interp", &rv_debug);
static const struct vr_cpu_ops hart_ops_jit = HART_OPS("jit", &rv_debug);
/* Its second runs would meet the same points. */
static const struct vr_cpu_ops hart_ops_lockstep = HART_OPS("lockstep", NULL);

int rv_hart_create(struct vr_machine *machine, unsigned index, const struct rv_config *config,
                   struct vr_space *mem, struct vr_clock *clock, uint64_t (*time)(void *),
                   void *time_opaque, struct rv_hart **ret_hart, struct vr_error *err)
{
    struct rv_hart *hart;
    if (config->timebase_hz == 0 || config->satp_max < 8 || config->satp_max > 10) {
        return vr_err(err, -EINVAL,
                      "hart %u: timebase %llu Hz, satp mode %u: outside what there is", index,
                      (unsigned long long)config->timebase_hz, config->satp_max);
    }
    hart = vr_zalloc(sizeof(*hart));
    if (!hart) {
        return vr_err(err, -ENOMEM, "no memory for hart %u", index);
    }
    hart->config = *config;
    hart->decoder = rv_decoder_create(config);
    if (!hart->decoder) {
        free(hart);
        return vr_err(err, -ENOMEM, "no memory for the decoder of hart %u", index);
    }
    int r = vr_cpu_init(&hart->cpu, &rv_isa,
                        config->lockstep ? &hart_ops_lockstep
                        : config->jit    ? &hart_ops_jit
                                         : &hart_ops_interp,
                        machine, index, mem, err);
    if (r == 0 && config->jit) {
        struct vr_jit_opts opts = config->jit_opts;
        if (config->lockstep || hart->cpu.steps) {
            opts.mirror = VR_JIT_MIRROR_OFF; /* its writes, or who it is, would not be seen */
        }
        r = vr_jit_create(&hart->cpu, &opts, err);
        if (r == 0 && config->lockstep) {
            r = vr_lockstep_create(&hart->cpu, &opts, err);
        }
        if (r < 0) {
            vr_cpu_fini(&hart->cpu);
        }
    }
    if (r < 0) {
        free(hart->decoder);
        free(hart);
        return r;
    }
    hart->time = time;
    hart->time_opaque = time_opaque;
    if (clock) {
        vr_timer_init(&hart->stimer, clock, NULL, hart_timer_fire, hart);
    }
    rv_hart_reset(hart);
    *ret_hart = hart;
    return 0;
}

void rv_hart_set_sbi(struct rv_hart *hart, rv_sbi_fn fn, void *opaque)
{
    hart->sbi = fn;
    hart->sbi_opaque = opaque;
}

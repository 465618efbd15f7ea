/*
 * Traps: exceptions, interrupts, and the way back. RISC-V ISA manual, volume II, "Machine-Level
 * ISA" 3.1.6 to 3.1.16, 3.3.2, "Supervisor-Level ISA" 12.1; Sstc for stimecmp.
 */
#include "cpu/riscv/priv.h"

void rv_set_priv(struct rv_hart *hart, enum rv_priv priv)
{
    hart->priv = (uint8_t)priv;
    if (VR_UNLIKELY(!atomic_load_explicit(&hart->first_ns[priv], memory_order_relaxed)) &&
        hart->stimer.clock) {
        atomic_store(&hart->first_ns[priv], vr_clock_now(hart->stimer.clock) + 1);
    }
    rv_regime(hart);
}

static uint64_t trap_vector(uint64_t tvec, uint64_t cause)
{
    uint64_t base = tvec & ~UINT64_C(3);
    return tvec & 1 && cause & RV_CAUSE_INTERRUPT ? base + 4 * (cause & ~RV_CAUSE_INTERRUPT) : base;
}

static void trap_enter(struct rv_hart *hart, bool to_s, uint64_t cause, uint64_t tval)
{
    uint64_t st = hart->mstatus;
    if (to_s) {
        hart->scause = cause;
        hart->sepc = hart->cpu.pc;
        hart->stval = tval;
        st &= ~(RV_MSTATUS_SPP | RV_MSTATUS_SPIE);
        st |= hart->priv == RV_S ? RV_MSTATUS_SPP : 0;
        st |= st & RV_MSTATUS_SIE ? RV_MSTATUS_SPIE : 0;
        hart->mstatus = st & ~RV_MSTATUS_SIE;
        hart->cpu.pc = trap_vector(hart->stvec, cause);
    } else {
        hart->mcause = cause;
        hart->mepc = hart->cpu.pc;
        hart->mtval = tval;
        st &= ~(RV_MSTATUS_MPP | RV_MSTATUS_MPIE);
        st |= (uint64_t)hart->priv << RV_MPP_SHIFT;
        st |= st & RV_MSTATUS_MIE ? RV_MSTATUS_MPIE : 0;
        hart->mstatus = st & ~RV_MSTATUS_MIE;
        hart->cpu.pc = trap_vector(hart->mtvec, cause);
    }
    rv_set_priv(hart, to_s ? RV_S : RV_M);
}

void rv_trap(struct rv_hart *hart, uint64_t cause, uint64_t tval)
{
    hart->cpu.trapped = true;
    hart->cpu.traps++;
    hart->cpu.budget--; /* a step, too (cpu/ir/steps.h) */
    trap_enter(hart, hart->priv <= RV_S && hart->medeleg >> cause & 1, cause, tval);
}

/* --- Interrupts --- */

bool rv_stce(const struct rv_hart *hart)
{
    return hart->menvcfg & RV_ENVCFG_STCE && RV_HAS(&hart->config, sstc);
}

uint64_t rv_mip(const struct rv_hart *hart)
{
    uint64_t lines = atomic_load(&hart->lines), soft = hart->mip_soft;
    if (rv_stce(hart)) {
        soft &= ~RV_BIT(RV_STI); /* stimecmp alone decides */
    }
    return (soft & ~(hart->mvien & RV_BIT(RV_SEI))) | lines;
}

uint64_t rv_deliverable(const struct rv_hart *hart, bool *ret_to_s)
{
    uint64_t m = rv_due_m(hart);
    *ret_to_s = false;
    if (m && (hart->priv < RV_M || hart->mstatus & RV_MSTATUS_MIE)) {
        return m;
    }
    *ret_to_s = true;
    if (hart->priv < RV_S || (hart->priv == RV_S && hart->mstatus & RV_MSTATUS_SIE)) {
        return rv_due_s(hart);
    }
    return 0;
}

bool rv_interrupt(struct rv_hart *hart)
{
    bool to_s;
    uint64_t due = rv_deliverable(hart, &to_s);
    if (due) {
        trap_enter(hart, to_s, RV_CAUSE_INTERRUPT | rv_top_irq(hart, to_s, due), 0);
    }
    return due;
}

void rv_recheck(struct rv_hart *hart)
{
    bool to_s;
    if (rv_deliverable(hart, &to_s)) {
        atomic_store(&hart->cpu.vcpu.attention, true);
    }
}

/* --- The supervisor timer --- */

uint64_t rv_time(const struct rv_hart *hart)
{
    return hart->time ? hart->time(hart->time_opaque) : 0;
}

/* Ticks from now as a clock's deadline; UINT64_MAX: beyond its range. Where in a tick it is now
 * does not count, so that a timer that is armed again (a snapshot was restored) falls due when it
 * would have. */
static uint64_t timer_deadline(const struct rv_hart *hart, uint64_t ticks)
{
    uint64_t hz = hart->config.timebase_hz;
    unsigned __int128 now = (unsigned __int128)vr_clock_now(hart->stimer.clock) * hz / 1000000000u;
    unsigned __int128 ns = ((now + ticks) * 1000000000u + hz - 1) / hz;
    return ns > UINT64_MAX - 1 ? UINT64_MAX : (uint64_t)ns;
}

void rv_timer_update(struct rv_hart *hart)
{
    uint64_t at = UINT64_MAX;
    if (rv_stce(hart)) {
        uint64_t now = rv_time(hart);
        if (now >= hart->stimecmp) {
            atomic_fetch_or(&hart->lines, RV_BIT(RV_STI));
            rv_recheck(hart);
        } else {
            atomic_fetch_and(&hart->lines, ~RV_BIT(RV_STI));
            at = hart->stimer.clock ? timer_deadline(hart, hart->stimecmp - now) : UINT64_MAX;
        }
    } else {
        atomic_fetch_and(&hart->lines, ~RV_BIT(RV_STI));
    }
    if (at != UINT64_MAX) {
        vr_timer_arm(&hart->stimer, at);
    } else if (hart->stimer.clock) {
        vr_timer_cancel(&hart->stimer);
    }
}

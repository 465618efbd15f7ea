/*
 * Control and status registers: who may use them, what they hold, what writing them does.
 * RISC-V ISA manual, volume II, chapters "CSRs", "Machine-Level ISA", "Supervisor-Level ISA",
 * Smstateen, Sstc; volume I, "Zicsr", "Zicntr", "Zihpm", "F" (fcsr), "Zkr".
 *
 * A register that is plain storage behind a mask needs no code: only its row. All fields are WARL:
 * a value that a field cannot hold leaves it as it was, or becomes the nearest legal one, as each
 * function says. Hypervisor, vector and debug-mode registers do not exist; the trigger registers
 * are there and empty.
 */
#include "base/bits.h"
#include "core/det.h"
#include "core/machine.h"
#include "cpu/riscv/priv.h"
#include "platform/random.h"

#include <stdio.h>
#include <string.h>

struct csr {
    uint16_t num, count; /* a range of registers that share a row */
    uint8_t ext;         /* exists with it */
    bool stored;         /* plain storage at @member */
    bool outside;        /* not the guest's instructions alone decide what it holds, or does */
    uint32_t member;
    uint64_t wmask;
    const char *name;
    bool (*allowed)(const struct rv_hart *hart,
                    unsigned num); /* beyond the rules of the number; NULL: yes */
    uint64_t (*read)(struct rv_hart *hart, unsigned num);
    void (*write)(struct rv_hart *hart, unsigned num,
                  uint64_t val); /* NULL and not stored: ignored */
    /* Instead of both, where others change the register too: in one step. */
    uint64_t (*swap)(struct rv_hart *hart, unsigned num, bool write, uint64_t mask, uint64_t val);
};

/* --- Floating point --- */

static bool csr_fp_on(const struct rv_hart *hart, unsigned num)
{
    (void)num;
    return hart->mstatus & RV_MSTATUS_FS;
}

static uint64_t csr_read_fflags(struct rv_hart *hart, unsigned num)
{
    (void)num;
    return hart->cpu.fflags & 31;
}

static uint64_t csr_read_frm(struct rv_hart *hart, unsigned num)
{
    (void)num;
    return hart->cpu.frm;
}

static uint64_t csr_read_fcsr(struct rv_hart *hart, unsigned num)
{
    (void)num;
    return (hart->cpu.fflags & 31) | (uint64_t)hart->cpu.frm << 5;
}

static void csr_write_fcsr(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    hart->cpu.fflags = val & 31;
    hart->cpu.frm = val >> 5 & 7;
    hart->mstatus |= RV_MSTATUS_FS;
}

static void csr_write_fflags(struct rv_hart *hart, unsigned num, uint64_t val)
{
    csr_write_fcsr(hart, num, (val & 31) | (uint64_t)hart->cpu.frm << 5);
}

static void csr_write_frm(struct rv_hart *hart, unsigned num, uint64_t val)
{
    csr_write_fcsr(hart, num, (val & 7) << 5 | (hart->cpu.fflags & 31));
}

/* --- mstatus, sstatus --- */

#define SSTATUS_WRITABLE \
    (RV_MSTATUS_SIE | RV_MSTATUS_SPIE | RV_MSTATUS_SPP | RV_MSTATUS_SUM | RV_MSTATUS_MXR)
#define MSTATUS_WRITABLE                                                                      \
    (SSTATUS_WRITABLE | RV_MSTATUS_MIE | RV_MSTATUS_MPIE | RV_MSTATUS_MPP | RV_MSTATUS_MPRV | \
     RV_MSTATUS_TVM | RV_MSTATUS_TW | RV_MSTATUS_TSR)
#define SSTATUS_VISIBLE (SSTATUS_WRITABLE | RV_MSTATUS_FS | RV_MSTATUS_UXL | RV_MSTATUS_SD)

static uint64_t csr_read_mstatus(struct rv_hart *hart, unsigned num)
{
    uint64_t v = hart->mstatus | RV_MSTATUS_UXL | RV_MSTATUS_SXL;
    (void)num;
    return (v & RV_MSTATUS_FS) == RV_MSTATUS_FS ? v | RV_MSTATUS_SD : v;
}

static void csr_change_mstatus(struct rv_hart *hart, uint64_t mask, uint64_t val)
{
    uint64_t old = hart->mstatus;
    if ((val & RV_MSTATUS_MPP) == UINT64_C(2) << RV_MPP_SHIFT) {
        mask &= ~RV_MSTATUS_MPP; /* no such mode */
    }
    if (RV_HAS(&hart->config, f)) {
        mask |= RV_MSTATUS_FS;
    }
    hart->mstatus = (old & ~mask) | (val & mask);
    if ((old ^ hart->mstatus) & RV_MSTATUS_MXR) {
        vr_tlb_flush(&hart->cpu);
    }
    if ((old ^ hart->mstatus) & (RV_MSTATUS_MPRV | RV_MSTATUS_MPP | RV_MSTATUS_SUM)) {
        rv_regime(hart);
    }
    rv_recheck(hart);
}

static void csr_write_mstatus(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    csr_change_mstatus(hart, MSTATUS_WRITABLE, val);
}

static uint64_t csr_read_sstatus(struct rv_hart *hart, unsigned num)
{
    return csr_read_mstatus(hart, num) & SSTATUS_VISIBLE;
}

static void csr_write_sstatus(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    csr_change_mstatus(hart, SSTATUS_WRITABLE, val);
}

/* --- Identity, delegation --- */

static uint64_t csr_read_misa(struct rv_hart *hart, unsigned num)
{
    const struct rv_config *c = &hart->config;
    uint64_t letters = RV_BIT('i' - 'a') | RV_BIT('s' - 'a') | RV_BIT('u' - 'a');
    (void)num;
    letters |= RV_HAS(c, m) ? RV_BIT('m' - 'a') : 0;
    letters |= RV_HAS(c, a) ? RV_BIT('a' - 'a') : 0;
    letters |= RV_HAS(c, f) ? RV_BIT('f' - 'a') : 0;
    letters |= RV_HAS(c, d) ? RV_BIT('d' - 'a') : 0;
    letters |= RV_HAS(c, c) ? RV_BIT('c' - 'a') : 0;
    return UINT64_C(2) << 62 | letters;
}

static uint64_t csr_read_mhartid(struct rv_hart *hart, unsigned num)
{
    (void)num;
    return hart->cpu.vcpu.index;
}

static uint64_t csr_read_zero(struct rv_hart *hart, unsigned num)
{
    (void)hart;
    (void)num;
    return 0;
}

static uint64_t csr_read_tinfo(struct rv_hart *hart, unsigned num)
{
    (void)hart;
    (void)num;
    return 1; /* the only type of trigger: none */
}

/* --- Interrupt enable and pending --- */

static void csr_write_mie(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    hart->mie = val & (RV_MIP_S | RV_MIP_M);
    rv_recheck(hart);
}

static void csr_write_mideleg(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    hart->mideleg = val & RV_MIP_S;
    rv_recheck(hart);
}

/* Interrupts that are S's, but virtual: sip shows mvip, and sie is its own. */
static uint64_t csr_virtual(const struct rv_hart *hart)
{
    return hart->mvien & ~hart->mideleg;
}

static uint64_t csr_read_sie(struct rv_hart *hart, unsigned num)
{
    (void)num;
    return (hart->mie & hart->mideleg) | (hart->sie_own & csr_virtual(hart));
}

static void csr_write_sie(struct rv_hart *hart, unsigned num, uint64_t val)
{
    uint64_t own = csr_virtual(hart);
    hart->sie_own = (hart->sie_own & ~own) | (val & own);
    csr_write_mie(hart, num, (hart->mie & ~hart->mideleg) | (val & hart->mideleg));
}

/* The timer may have come due without anyone having looked. */
static uint64_t csr_read_mip(struct rv_hart *hart, unsigned num)
{
    (void)num;
    if (rv_stce(hart) && rv_time(hart) >= hart->stimecmp) {
        atomic_fetch_or(&hart->lines, RV_BIT(RV_STI));
    }
    return rv_mip(hart);
}

static void csr_write_mip(struct rv_hart *hart, unsigned num, uint64_t val)
{
    uint64_t mask = RV_MIP_S & ~(rv_stce(hart) ? RV_BIT(RV_STI) : 0);
    mask &= ~(hart->mvien & RV_BIT(RV_SEI));
    (void)num;
    hart->mip_soft = (hart->mip_soft & ~mask) | (val & mask);
    rv_recheck(hart);
}

static uint64_t csr_read_sip(struct rv_hart *hart, unsigned num)
{
    uint64_t own = csr_virtual(hart), v = csr_read_mip(hart, num) & hart->mideleg;
    return own ? v | (rv_mvip(hart) & own) : v;
}

static void csr_write_sip(struct rv_hart *hart, unsigned num, uint64_t val)
{
    uint64_t mask = RV_BIT(RV_SSI) & hart->mideleg;
    (void)num;
    hart->mip_soft = (hart->mip_soft & ~mask) | (val & mask);
    mask = RV_BIT(RV_SSI) & csr_virtual(hart);
    hart->mvip = (hart->mvip & ~mask) | (val & mask);
    rv_recheck(hart);
}

/* --- Environment configuration, state enable --- */

/* CBIE has no encoding 2; such a write leaves it. */
static uint64_t csr_envcfg_legal(uint64_t old, uint64_t val, uint64_t mask)
{
    if ((val & RV_ENVCFG_CBIE) == UINT64_C(2) << 4) {
        mask &= ~RV_ENVCFG_CBIE;
    }
    return (old & ~mask) | (val & mask);
}

static uint64_t csr_envcfg_mask(const struct rv_hart *hart)
{
    const struct rv_config *c = &hart->config;
    return RV_ENVCFG_FIOM | (RV_HAS(c, zicbom) ? RV_ENVCFG_CBIE | RV_ENVCFG_CBCFE : 0) |
           (RV_HAS(c, zicboz) ? RV_ENVCFG_CBZE : 0);
}

static void csr_write_menvcfg(struct rv_hart *hart, unsigned num, uint64_t val)
{
    const struct rv_config *c = &hart->config;
    uint64_t old = hart->menvcfg;
    uint64_t mask = csr_envcfg_mask(hart) | (RV_HAS(c, svadu) ? RV_ENVCFG_ADUE : 0) |
                    (RV_HAS(c, svpbmt) ? RV_ENVCFG_PBMTE : 0) |
                    (RV_HAS(c, sstc) ? RV_ENVCFG_STCE : 0);
    (void)num;
    hart->menvcfg = csr_envcfg_legal(old, val, mask);
    if ((old ^ hart->menvcfg) & (RV_ENVCFG_ADUE | RV_ENVCFG_PBMTE)) {
        vr_tlb_flush(&hart->cpu);
    }
    if ((old ^ hart->menvcfg) & RV_ENVCFG_STCE) {
        rv_timer_update(hart);
        rv_recheck(hart);
    }
}

static void csr_write_senvcfg(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    hart->senvcfg = csr_envcfg_legal(hart->senvcfg, val, csr_envcfg_mask(hart));
}

static bool csr_senvcfg_allowed(const struct rv_hart *hart, unsigned num)
{
    (void)num;
    return hart->priv == RV_M || !RV_HAS(&hart->config, smstateen) ||
           hart->mstateen[0] & RV_STATEEN_ENVCFG;
}

static bool csr_sstateen_allowed(const struct rv_hart *hart, unsigned num)
{
    return hart->priv == RV_M || hart->mstateen[num & 3] & RV_STATEEN_SE;
}

static uint64_t csr_read_mstateen(struct rv_hart *hart, unsigned num)
{
    return hart->mstateen[num & 3];
}

static void csr_write_mstateen(struct rv_hart *hart, unsigned num, uint64_t val)
{
    uint64_t mask = RV_STATEEN_SE;
    if ((num & 3) == 0) {
        mask |= RV_STATEEN_ENVCFG;
        mask |= RV_HAS(&hart->config, smaia) ? RV_STATEEN_AIA | RV_STATEEN_CSRIND : 0;
        mask |= hart->file_s.reg ? RV_STATEEN_IMSIC : 0;
    }
    hart->mstateen[num & 3] = val & mask;
}

static void csr_write_mseccfg(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    hart->mseccfg = RV_HAS(&hart->config, zkr) ? val & (RV_MSECCFG_USEED | RV_MSECCFG_SSEED) : 0;
}

/* --- Translation, protection --- */

static bool csr_satp_allowed(const struct rv_hart *hart, unsigned num)
{
    (void)num;
    return hart->priv == RV_M || !(hart->mstatus & RV_MSTATUS_TVM);
}

static void csr_write_satp(struct rv_hart *hart, unsigned num, uint64_t val)
{
    uint64_t mode = val >> RV_SATP_MODE_SHIFT;
    (void)num;
    if (mode != 0 && (mode < 8 || mode > hart->config.satp_max)) {
        return; /* an unsupported mode: the whole write has no effect */
    }
    hart->satp = mode << RV_SATP_MODE_SHIFT |
                 (val & (vr_mask(RV_ASID_BITS) << RV_SATP_ASID_SHIFT | vr_mask(RV_PPN_BITS)));
    rv_regime(hart);
}

static bool csr_pmpcfg_allowed(const struct rv_hart *hart, unsigned num)
{
    (void)hart;
    return !(num & 1); /* RV64: eight entries in each even one */
}

static uint64_t csr_read_pmpcfg(struct rv_hart *hart, unsigned num)
{
    return vr_load_le64(&hart->pmpcfg[(num & 15) * 4]);
}

static void csr_write_pmpcfg(struct rv_hart *hart, unsigned num, uint64_t val)
{
    uint8_t *cfg = &hart->pmpcfg[(num & 15) * 4];
    for (unsigned i = 0; i < 8; i++, val >>= 8) {
        uint8_t v = val & (RV_PMP_R | RV_PMP_W | RV_PMP_X | RV_PMP_A | RV_PMP_L);
        if (!(v & RV_PMP_R)) {
            v &= (uint8_t)~RV_PMP_W; /* write without read is reserved */
        }
        if (!(cfg[i] & RV_PMP_L)) {
            cfg[i] = v;
        }
    }
    rv_pmp_update(hart);
}

static uint64_t csr_read_pmpaddr(struct rv_hart *hart, unsigned num)
{
    return hart->pmpaddr[num & 15];
}

static void csr_write_pmpaddr(struct rv_hart *hart, unsigned num, uint64_t val)
{
    unsigned i = num & 15;
    bool above = i + 1 < RV_PMP_COUNT && hart->pmpcfg[i + 1] & RV_PMP_L &&
                 (hart->pmpcfg[i + 1] & RV_PMP_A) == RV_PMP_A_TOR;
    if (!(hart->pmpcfg[i] & RV_PMP_L) && !above) {
        hart->pmpaddr[i] = val & vr_mask(54);
        rv_pmp_update(hart);
    }
}

/* --- Counters and time --- */

enum { COUNT_CY = 1, COUNT_IR = 4 };

static uint64_t csr_counter(const struct rv_hart *hart, uint64_t delta, unsigned which)
{
    return hart->mcountinhibit & which ? delta : vr_cpu_retired(&hart->cpu) + delta;
}

/* What is written is what the next instruction reads: this one is not counted. */
static uint64_t csr_counter_delta(const struct rv_hart *hart, uint64_t val, unsigned which)
{
    return hart->mcountinhibit & which ? val : val - (vr_cpu_retired(&hart->cpu) + 1);
}

static uint64_t csr_read_cycle(struct rv_hart *hart, unsigned num)
{
    (void)num;
    return csr_counter(hart, hart->mcycle_delta, COUNT_CY);
}

static void csr_write_cycle(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    hart->mcycle_delta = csr_counter_delta(hart, val, COUNT_CY);
}

static uint64_t csr_read_instret(struct rv_hart *hart, unsigned num)
{
    (void)num;
    return csr_counter(hart, hart->minstret_delta, COUNT_IR);
}

static void csr_write_instret(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    hart->minstret_delta = csr_counter_delta(hart, val, COUNT_IR);
}

static uint64_t csr_read_time(struct rv_hart *hart, unsigned num)
{
    (void)num;
    return rv_time(hart);
}

static void csr_inhibit(struct rv_hart *hart, uint64_t *delta, unsigned which, bool stop)
{
    if (stop != !!(hart->mcountinhibit & which)) {
        uint64_t now = vr_cpu_retired(&hart->cpu) + 1;
        *delta = stop ? now + *delta : *delta - now;
    }
}

static void csr_write_mcountinhibit(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    csr_inhibit(hart, &hart->mcycle_delta, COUNT_CY, val & COUNT_CY);
    csr_inhibit(hart, &hart->minstret_delta, COUNT_IR, val & COUNT_IR);
    hart->mcountinhibit = val & (COUNT_CY | COUNT_IR);
}

static bool csr_counter_allowed(const struct rv_hart *hart, unsigned num)
{
    uint64_t bit = RV_BIT(num & 31);
    return hart->priv == RV_M ||
           (hart->mcounteren & bit && (hart->priv == RV_S || hart->scounteren & bit));
}

static bool csr_stimecmp_allowed(const struct rv_hart *hart, unsigned num)
{
    (void)num;
    return hart->priv == RV_M || (hart->mcounteren & 2 && rv_stce(hart));
}

static void csr_write_stimecmp(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    hart->stimecmp = val;
    rv_timer_update(hart);
}

/* --- Zkr --- */

static bool csr_seed_allowed(const struct rv_hart *hart, unsigned num)
{
    (void)num;
    return hart->priv == RV_M ||
           hart->mseccfg & (hart->priv == RV_S ? RV_MSECCFG_SSEED : RV_MSECCFG_USEED);
}

/* Status in bits 31:30: ES16 with 16 bits of entropy, or WAIT when the host has none for now. */
static uint64_t csr_read_seed(struct rv_hart *hart, unsigned num)
{
    uint8_t bytes[2];
    struct vr_machine *m = hart->cpu.vcpu.machine;
    (void)num;
    int r = m ? vr_env_random(vr_machine_env(m), bytes, sizeof(bytes), NULL)
              : vr_random_bytes(bytes, sizeof(bytes), NULL);
    return r < 0 ? UINT64_C(1) << 30 : UINT64_C(2) << 30 | vr_load_le16(bytes);
}

/* --- The table, by number --- */

enum { CSR_SEED = 0x015, CSR_MIP = 0x344 };

/* clang-format off */
#define AT(n, nm, e)             .num = (n), .count = 1, .name = (nm), .ext = RV_EXT_##e
#define RANGE(n, cnt, nm, e)     .num = (n), .count = (cnt), .name = (nm), .ext = RV_EXT_##e
#define STORED(m, mask)          .stored = true, .member = offsetof(struct rv_hart, m), .wmask = (mask)
#define RW(fn)                   .read = csr_read_##fn, .write = csr_write_##fn
#define RO(fn)                   .read = csr_read_##fn
#define IF(fn)                   .allowed = csr_##fn
#define AIA(fn)                  .allowed = rv_##fn##_allowed
#define OUTSIDE                  .outside = true

static const struct csr csr_table[] = {
    { AT(0x001, "fflags", f), IF(fp_on), RW(fflags) },
    { AT(0x002, "frm", f), IF(fp_on), RW(frm) },
    { AT(0x003, "fcsr", f), IF(fp_on), RW(fcsr) },
    { AT(CSR_SEED, "seed", zkr), IF(seed_allowed), RO(seed), OUTSIDE },
    { AT(0x100, "sstatus", i), RW(sstatus) },
    { AT(0x104, "sie", i), RW(sie) },
    { AT(0x105, "stvec", i), STORED(stvec, ~UINT64_C(2)) },
    { AT(0x106, "scounteren", i), STORED(scounteren, 0xffffffff) },
    { AT(0x10a, "senvcfg", i), IF(senvcfg_allowed), STORED(senvcfg, 0), .write = csr_write_senvcfg },
    { RANGE(0x10c, 4, "sstateen", ssstateen), IF(sstateen_allowed), RO(zero) },
    { AT(0x140, "sscratch", i), STORED(sscratch, UINT64_MAX) },
    { AT(0x141, "sepc", i), STORED(sepc, ~UINT64_C(1)) },
    { AT(0x142, "scause", i), STORED(scause, UINT64_MAX) },
    { AT(0x143, "stval", i), STORED(stval, UINT64_MAX) },
    { AT(0x144, "sip", i), RW(sip), OUTSIDE },
    { AT(0x14d, "stimecmp", sstc), IF(stimecmp_allowed), STORED(stimecmp, 0), .write = csr_write_stimecmp, OUTSIDE },
    { AT(0x150, "siselect", ssaia), AIA(siselect), STORED(siselect, RV_ISELECT) },
    { AT(RV_CSR_SIREG, "sireg", ssaia), AIA(sireg), .swap = rv_swap_ireg, OUTSIDE },
    { AT(RV_CSR_STOPEI, "stopei", ssaia), AIA(stopei), .swap = rv_swap_topei, OUTSIDE },
    { AT(0x180, "satp", i), IF(satp_allowed), STORED(satp, 0), .write = csr_write_satp },
    { AT(0x300, "mstatus", i), RW(mstatus) },
    { AT(0x301, "misa", i), RO(misa) },
    { AT(0x302, "medeleg", i), STORED(medeleg, 0xb3ff) },
    { AT(0x303, "mideleg", i), STORED(mideleg, 0), .write = csr_write_mideleg },
    { AT(0x304, "mie", i), STORED(mie, 0), .write = csr_write_mie },
    { AT(0x305, "mtvec", i), STORED(mtvec, ~UINT64_C(2)) },
    { AT(0x306, "mcounteren", i), STORED(mcounteren, 0xffffffff) },
    { AT(0x308, "mvien", smaia), STORED(mvien, 0), .write = rv_write_mvien, OUTSIDE },
    { AT(0x309, "mvip", smaia), .read = rv_read_mvip, .write = rv_write_mvip, OUTSIDE },
    { AT(0x30a, "menvcfg", i), STORED(menvcfg, 0), .write = csr_write_menvcfg, OUTSIDE },
    { RANGE(0x30c, 4, "mstateen", smstateen), RW(mstateen) },
    { AT(0x320, "mcountinhibit", i), STORED(mcountinhibit, 0), .write = csr_write_mcountinhibit },
    { RANGE(0x323, 29, "mhpmevent", zihpm), RO(zero) },
    { AT(0x340, "mscratch", i), STORED(mscratch, UINT64_MAX) },
    { AT(0x341, "mepc", i), STORED(mepc, ~UINT64_C(1)) },
    { AT(0x342, "mcause", i), STORED(mcause, UINT64_MAX) },
    { AT(0x343, "mtval", i), STORED(mtval, UINT64_MAX) },
    { AT(CSR_MIP, "mip", i), RW(mip), OUTSIDE },
    { AT(0x350, "miselect", smaia), STORED(miselect, RV_ISELECT) },
    { AT(0x351, "mireg", smaia), AIA(mireg), .swap = rv_swap_ireg, OUTSIDE },
    { AT(0x35c, "mtopei", smaia), AIA(mtopei), .swap = rv_swap_topei, OUTSIDE },
    { RANGE(0x3a0, 4, "pmpcfg", i), IF(pmpcfg_allowed), RW(pmpcfg), OUTSIDE },
    { RANGE(0x3b0, RV_PMP_COUNT, "pmpaddr", i), RW(pmpaddr), OUTSIDE },
    { AT(0x747, "mseccfg", i), STORED(mseccfg, 0), .write = csr_write_mseccfg },
    { AT(0x7a0, "tselect", i), RO(zero) },
    { RANGE(0x7a1, 3, "tdata", i), RO(zero) },
    { AT(0x7a4, "tinfo", i), RO(tinfo) },
    { AT(0xb00, "mcycle", i), RW(cycle) },
    { AT(0xb02, "minstret", i), RW(instret) },
    { RANGE(0xb03, 29, "mhpmcounter", zihpm), RO(zero) },
    { AT(0xc00, "cycle", zicntr), IF(counter_allowed), RO(cycle) },
    { AT(0xc01, "time", zicntr), IF(counter_allowed), RO(time), OUTSIDE },
    { AT(0xc02, "instret", zicntr), IF(counter_allowed), RO(instret) },
    { RANGE(0xc03, 29, "hpmcounter", zihpm), IF(counter_allowed), RO(zero) },
    { AT(0xdb0, "stopi", ssaia), AIA(stopi), .read = rv_read_stopi, OUTSIDE },
    { AT(0xf11, "mvendorid", i), RO(zero) },
    { AT(0xf12, "marchid", i), RO(zero) },
    { AT(0xf13, "mimpid", i), RO(zero) },
    { AT(0xf14, "mhartid", i), RO(mhartid) },
    { AT(0xf15, "mconfigptr", i), RO(zero) },
    { AT(0xfb0, "mtopi", smaia), .read = rv_read_mtopi, OUTSIDE },
};
/* clang-format on */

static const struct csr *csr_find(unsigned num)
{
    size_t lo = 0, hi = VR_COUNT(csr_table);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const struct csr *c = &csr_table[mid];
        if (num < c->num) {
            hi = mid;
        } else if (num >= (unsigned)c->num + c->count) {
            lo = mid + 1;
        } else {
            return c;
        }
    }
    return NULL;
}

/* The register, if the hart may access it so; else NULL. */
static const struct csr *csr_access(const struct rv_hart *hart, unsigned num, bool write)
{
    const struct csr *c = csr_find(num);
    if (!c || !(hart->config.ext >> c->ext & 1) || hart->priv < (num >> 8 & 3) ||
        (write && num >> 10 == 3) || (c->allowed && !c->allowed(hart, num))) {
        return NULL;
    }
    return c;
}

static uint64_t csr_get(struct rv_hart *hart, const struct csr *c, unsigned num)
{
    uint64_t v;
    if (c->swap) {
        return c->swap(hart, num, false, 0, 0);
    }
    if (c->read) {
        return c->read(hart, num);
    }
    memcpy(&v, (const char *)hart + c->member, sizeof(v));
    return v;
}

static void csr_set(struct rv_hart *hart, const struct csr *c, unsigned num, uint64_t val)
{
    if (c->swap) {
        (void)c->swap(hart, num, true, UINT64_MAX, val);
    } else if (c->write) {
        c->write(hart, num, val);
    } else if (c->stored) {
        val &= c->wmask;
        memcpy((char *)hart + c->member, &val, sizeof(val));
    }
}

bool rv_csr_read(struct rv_hart *hart, unsigned csr, uint64_t *ret_val)
{
    const struct csr *c = csr_access(hart, csr, false);
    if (!c) {
        return false;
    }
    *ret_val = csr_get(hart, c, csr);
    return true;
}

bool rv_csr_write(struct rv_hart *hart, unsigned csr, uint64_t val)
{
    const struct csr *c = csr_access(hart, csr, true);
    if (!c) {
        return false;
    }
    csr_set(hart, c, csr, val);
    return true;
}

/* ---- Debuggers ---- */

/* Not those that change when they are read, nor what is behind a selector. */
static const struct csr *csr_shown(const struct rv_hart *hart, unsigned num)
{
    const struct csr *c = csr_find(num);
    bool shown = c && hart->config.ext >> c->ext & 1 && !c->swap && num != CSR_SEED &&
                 (c->allowed != csr_pmpcfg_allowed || csr_pmpcfg_allowed(hart, num));
    return shown ? c : NULL;
}

unsigned rv_csr_at(const struct rv_hart *hart, unsigned i, char *ret_name)
{
    for (size_t row = 0; row < VR_COUNT(csr_table); row++) {
        const struct csr *c = &csr_table[row];
        unsigned first = c->count == 29 ? 3 : strcmp(c->name, "tdata") == 0 ? 1 : 0;
        for (unsigned k = 0; k < c->count; k++) {
            if (!csr_shown(hart, c->num + k) || i-- != 0) {
                continue;
            }
            if (c->count == 1) {
                snprintf(ret_name, RV_CSR_NAME_MAX, "%s", c->name);
            } else {
                snprintf(ret_name, RV_CSR_NAME_MAX, "%s%u", c->name, first + k);
            }
            return c->num + k;
        }
    }
    return RV_CSR_NONE;
}

/* Counters are read and written in the middle of an instruction, which counts already. */
bool rv_csr_peek(struct rv_hart *hart, unsigned num, uint64_t *ret_val)
{
    const struct csr *c = csr_shown(hart, num);
    if (c) {
        hart->cpu.icount++;
        *ret_val = csr_get(hart, c, num);
        hart->cpu.icount--;
    }
    return c;
}

bool rv_csr_poke(struct rv_hart *hart, unsigned num, uint64_t val)
{
    const struct csr *c = csr_shown(hart, num);
    if (c && num >> 10 != 3) {
        csr_set(hart, c, num, val);
    }
    return c;
}

bool rv_csr_legal(const struct rv_hart *hart)
{
    uint64_t satp_mode = hart->satp >> RV_SATP_MODE_SHIFT;
    uint64_t fixed = RV_MSTATUS_UXL | RV_MSTATUS_SXL | RV_MSTATUS_SD;
    if (hart->priv == 2 || hart->start_priv == 2 ||
        (hart->mstatus & RV_MSTATUS_MPP) == UINT64_C(2) << RV_MPP_SHIFT) {
        return false;
    }
    if (satp_mode != 0 && (satp_mode < 8 || satp_mode > hart->config.satp_max)) {
        return false;
    }
    for (unsigned i = 0; i < RV_PMP_COUNT; i++) {
        if (hart->pmpaddr[i] > vr_mask(54)) {
            return false;
        }
    }
    return !(hart->mstatus & ~(MSTATUS_WRITABLE | RV_MSTATUS_FS | fixed)) &&
           !(hart->mideleg & ~RV_MIP_S) && !(hart->mie & ~(RV_MIP_S | RV_MIP_M)) &&
           !(hart->mip_soft & ~RV_MIP_S) && !(hart->lines & ~(RV_MIP_S | RV_MIP_M)) &&
           rv_aia_legal(hart) && !((hart->mepc | hart->sepc | hart->cpu.pc | hart->start_pc) & 1);
}

bool rv_csr_helper(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    struct rv_hart *hart = RV_HART(cpu);
    uint32_t insn = (uint32_t)ir->imm;
    unsigned num = insn >> 20, op = insn >> 12 & 3, rs1 = insn >> 15 & 31, rd = insn >> 7 & 31;
    uint64_t src = insn & 0x4000 ? rs1 : cpu->r[ir->a], old = 0;
    bool swap = op == 1, write = swap || rs1 != 0;
    const struct csr *c = csr_access(hart, num, write);

    if (!c || (num == CSR_SEED && !write)) {
        return rv_illegal_bits(hart, ir);
    }
    if (c->outside && vr_outside(cpu)) {
        return false;
    }
    if (c->swap) {
        cpu->r[ir->d] = c->swap(hart, num, write, swap ? UINT64_MAX : src, op == 3 ? 0 : src);
        return true;
    }
    if (!swap || rd != 0) {
        old = csr_get(hart, c, num);
    }
    if (write) {
        /* Set and clear of mip work on the bit that software wrote to SEIP, not on the wire. */
        uint64_t base = num == CSR_MIP ? hart->mip_soft : old;
        csr_set(hart, c, num, swap ? src : op == 2 ? base | src : base & ~src);
    }
    cpu->r[ir->d] = old;
    return true;
}

bool rv_csr_plain(const struct vr_cpu *cpu, const struct vr_ir *ir, unsigned mode,
                  struct vr_plain *ret_plain)
{
    const struct rv_hart *hart = (const struct rv_hart *)cpu;
    uint32_t insn = (uint32_t)ir->imm;
    unsigned num = insn >> 20, op = insn >> 12 & 7, rs1 = insn >> 15 & 31, rd = insn >> 7 & 31;
    unsigned priv = mode == RV_MMU_M ? RV_M : mode == RV_MMU_U ? RV_U : RV_S;
    bool swap = op == 1, read = op == 2 && rs1 == 0;
    const struct csr *c = ir->c == RV_H_CSR ? csr_find(num) : NULL;
    if (!c || !(hart->config.ext >> c->ext & 1) || priv < (num >> 8 & 3) || !(swap || read) ||
        (swap && num >> 10 == 3)) {
        return false;
    }
    bool fflags = c->read == csr_read_fflags;
    if (!fflags && (!c->stored || c->read || c->write || c->swap || c->allowed ||
                    (int64_t)c->wmask != (int32_t)c->wmask)) {
        return false;
    }
    *ret_plain = (struct vr_plain){.fflags = fflags,
                                   .read = rd != 0,
                                   .write = swap,
                                   .member = c->member,
                                   .writable = (int32_t)c->wmask};
    return true;
}

/*
 * A RISC-V hart on Vireo's own engine: architectural state beyond the registers, and what the board
 * may do with it. RISC-V Instruction Set Manual, Volumes I and II (20240411 and later ratified
 * extensions).
 */
#ifndef VR_CPU_RISCV_HART_H
#define VR_CPU_RISCV_HART_H

#include "base/field.h"
#include "core/clock.h"
#include "core/irq.h"
#include "core/irq_file.h"
#include "cpu/ir/cpu.h"
#include "cpu/jit/jit_opts.h"
#include "cpu/riscv/ext.h"

enum rv_priv { RV_U = 0, RV_S = 1, RV_M = 3 };

/* Interrupt numbers, and pins of rv_hart_irq. */
enum rv_irq { RV_SSI = 1, RV_MSI = 3, RV_STI = 5, RV_MTI = 7, RV_SEI = 9, RV_MEI = 11 };

/* MMU modes: index of the TLB set, see rv_regime(). */
enum { RV_MMU_U, RV_MMU_S, RV_MMU_S_SUM, RV_MMU_M };

enum { RV_PMP_COUNT = 16, RV_ASID_BITS = 9, RV_IPRIOS = 16 };
#define RV_PMP_ALL ((UINT64_C(1) << 56) - 1) /* every physical address of RV64 */

/* Helpers that the decoder calls by index; imm is the instruction word unless said. They finish by
 * returning true (next op) or false (block over). Those used in helper_end set cpu->pc only when
 * they do not fall through. */
enum rv_helper {
    RV_H_ILLEGAL, /* always traps; mtval = imm */
    RV_H_CSR,     /* Zicsr, all six: helper_end */
    RV_H_ECALL,
    RV_H_EBREAK,
    RV_H_MRET,
    RV_H_SRET,
    RV_H_WFI,
    RV_H_WRS,          /* wrs.nto, wrs.sto: helper_end; pause: helper */
    RV_H_SFENCE,       /* sfence.vma, sinval.vma: helper_end */
    RV_H_SFENCE_INVAL, /* sfence.w.inval, sfence.inval.ir: rights checks only */
    RV_H_FENCE_I,      /* helper_end */
    RV_H_BREAK,        /* a debugger's breakpoint may be at pc */
    RV_H_CBO,          /* cbo.inval, clean, flush, zero: helper; a = rs1 */
    RV_H_COUNT
};

struct rv_config {
    uint64_t ext;     /* bit per enum rv_ext */
    uint8_t satp_max; /* 8, 9 or 10: Sv39, Sv48, Sv57 */
    uint64_t timebase_hz;
    /* ecall from S goes to hart->sbi; the hart is stopped after reset, until rv_hart_start. */
    bool builtin_sbi;
    bool jit;      /* hot code is compiled */
    bool lockstep; /* with jit: and compared with the interpreter */
    struct vr_jit_opts jit_opts;
};

struct rv_hart;

/* What the board's built-in SBI does with an ecall from S-mode: called on the hart's thread with
 * a0..a7 in cpu.r[10..17]; it sets a0, a1. Returns false if the hart must not go on with the next
 * instruction (it set pc itself, or the hart stopped). */
typedef bool (*rv_sbi_fn)(void *opaque, struct rv_hart *hart);

struct rv_hart {
    struct vr_cpu cpu; /* first */
    struct rv_config config;
    uint8_t priv;
    _Atomic uint8_t hsm; /* enum rv_hsm; any thread, see rv_hart_start */
    uint64_t mstatus, medeleg, mideleg, mie;
    uint64_t mip_soft; /* the bits of mip that software may set: SSIP STIP SEIP */
    uint64_t mtvec, mepc, mcause, mtval, mscratch, mcounteren, mcountinhibit, menvcfg, mseccfg;
    uint64_t mstateen[4];
    uint64_t mvien, mvip, miselect, siselect; /* mvip: the bits that are not in mip_soft */
    uint64_t sie_own; /* the bits of sie that are not in mie: of virtual interrupts */
    uint8_t iprio_m[RV_IPRIOS], iprio_s[RV_IPRIOS]; /* priority numbers, by interrupt */
    uint64_t stvec, sepc, scause, stval, sscratch, scounteren, senvcfg, satp, stimecmp;
    uint8_t pmpcfg[RV_PMP_COUNT];
    uint64_t pmpaddr[RV_PMP_COUNT];
    uint64_t minstret_delta, mcycle_delta; /* counter = retired + delta; inhibited: delta itself */
    uint64_t shape;                        /* in a snapshot: what config it is of */
    uint64_t start_pc, start_a0, start_a1; /* what RV_REMOTE_START begins with */
    uint8_t start_priv;
    atomic_uint_fast64_t lines; /* interrupt wires from outside, by interrupt number; any thread */
    /* Host side */
    struct rv_decoder *decoder;                               /* instructions that config has */
    uint64_t pmp_first[RV_PMP_COUNT], pmp_last[RV_PMP_COUNT]; /* ranges, from pmpcfg and pmpaddr */
    unsigned pmp_used;  /* entries before this one may be on */
    bool pmp_open;      /* the first one allows everything up to RV_PMP_ALL */
    uint16_t ctx_floor; /* TLB contexts below it are dead */
    uint8_t ctx_mode;   /* satp mode that the others belong to */
    uint16_t asid_ctx[1 << RV_ASID_BITS];
    struct vr_irq_file file_m, file_s; /* of the external interrupt controller; zero: unknown */
    struct vr_timer stimer;            /* fires at stimecmp */
    atomic_bool stimer_fired;          /* any thread */
    uint64_t (*time)(void *opaque);    /* mtime ticks; any thread */
    void *time_opaque;
    rv_sbi_fn sbi;
    void *sbi_opaque;
    _Atomic uint64_t first_ns[4]; /* by mode: when it was there first, guest time + 1; 0: never */
    /* Work other threads ask of this hart (remote fences, start, stop); flags, any thread. */
    atomic_uint remote;
    atomic_uint remote_posted, remote_done; /* tickets, for who waits */
    atomic_uint_fast64_t remote_waiters;    /* bit per hart to wake when done */
};

/* Requests of rv_hart_remote. IPI: a supervisor software interrupt becomes pending. */
enum {
    RV_REMOTE_FENCE_I = 1,
    RV_REMOTE_SFENCE = 2,
    RV_REMOTE_START = 4,
    RV_REMOTE_STOP = 8,
    RV_REMOTE_IPI = 16,
};
/* A suspended hart goes on, STARTED, when an interrupt that mie enables is pending. The SBI hook
 * sets STOPPED or SUSPENDED for the calling hart as the last thing it does, and returns false. */
enum rv_hsm { RV_HSM_STARTED, RV_HSM_STOPPED, RV_HSM_START_PENDING, RV_HSM_SUSPENDED };

/* @clock drives stimecmp; @time gives mtime in ticks of config->timebase_hz. The hart is in its
 * reset state (M-mode, pc 0x1000). Owned by the machine it is added to (vcpu.ops->destroy frees
 * it). */
int rv_hart_create(struct vr_machine *machine, unsigned index, const struct rv_config *config,
                   struct vr_space *mem, struct vr_clock *clock, uint64_t (*time)(void *),
                   void *time_opaque, struct rv_hart **ret_hart, struct vr_error *err) VR_MUST;
void rv_hart_reset(struct rv_hart *hart);
/* An interrupt wire: chip = the hart, pin = enum rv_irq. For vr_irq_connect. Any thread. RV_SSI is
 * an edge: raising it makes the interrupt pending, the guest clears it. */
void rv_hart_irq(void *hart, unsigned pin, bool level);
/* Whom to ask about external interrupts at level @priv (M or S): their priorities, and, if it has
 * interrupt files, what the AIA's CSRs lead to. Before the machine runs. */
void rv_hart_set_irq_file(struct rv_hart *hart, enum rv_priv priv, const struct vr_irq_file *file);
/* The time that stimecmp is compared with was set: deadlines are reckoned anew. Any thread. */
void rv_hart_time_was_set(struct rv_hart *hart);
/* Begin at @pc in @priv with a0, a1. From on_reset or before the machine runs; or from another
 * hart, which first claims this one by changing hsm from STOPPED to START_PENDING. Takes effect on
 * the hart's own thread. */
void rv_hart_start(struct rv_hart *hart, enum rv_priv priv, uint64_t pc, uint64_t a0, uint64_t a1);
void rv_hart_set_sbi(struct rv_hart *hart, rv_sbi_fn fn, void *opaque);
/* Ask @hart, from any thread, to do RV_REMOTE_* soon (before its next block). */
void rv_hart_remote(struct rv_hart *hart, unsigned what);
/* SBI remote fences: @what (RV_REMOTE_FENCE_I, RV_REMOTE_SFENCE) on every hart of @self's machine
 * whose bit is set in
 * @mask, @self included. Returns when all have done it, or will before their next guest
 * instruction. On @self's thread, in a helper. */
void rv_hart_fence(struct rv_hart *self, uint64_t mask, unsigned what);
/* "rv64imafdc_zicsr_..." as in a device tree's riscv,isa; and the list for riscv,isa-extensions:
 * NUL-separated, returns the total length. @buf of RV_ISA_STRING_MAX. */
enum { RV_ISA_STRING_MAX = 1024 };
size_t rv_isa_string(const struct rv_config *config, char *buf);
size_t rv_isa_extensions(const struct rv_config *config, char *buf);
/* Everything the engine implements; the default. */
void rv_config_default(struct rv_config *config);

/* --- inside cpu/riscv --- */
#define RV_HART(cpu_) ((struct rv_hart *)(cpu_))

/* Take an exception: cpu->pc is the faulting instruction. Sets mode, CSRs, and cpu->pc (trap.c). */
void rv_trap(struct rv_hart *hart, uint64_t cause, uint64_t tval);
/* If an enabled interrupt is pending take the one of highest priority; true if taken. */
bool rv_interrupt(struct rv_hart *hart);
uint64_t rv_mip(const struct rv_hart *hart);
/* Recompute TLB sets and contexts after priv, mstatus (MPRV MPP SUM MXR), satp, PMP changed. */
void rv_regime(struct rv_hart *hart);
/* Go to @priv (mret, sret, traps), with everything that follows from it. */
void rv_set_priv(struct rv_hart *hart, enum rv_priv priv);
bool rv_translate(struct vr_cpu *cpu, uint64_t va, unsigned len, enum vr_access access,
                  struct vr_xlate *ret_x);
bool rv_probe(struct vr_cpu *cpu, uint64_t va, struct vr_xlate *ret_x);
unsigned rv_low_va_bits(const struct vr_cpu *cpu);
/* PMP alone, for @len bytes at @gpa in mode @priv: bits 1 << enum vr_access allowed for the whole
 * range. */
uint8_t rv_pmp_rights(const struct rv_hart *hart, uint64_t gpa, uint64_t len, enum rv_priv priv);
/* CSR access rights and values; false: illegal instruction (nothing happened). */
bool rv_csr_read(struct rv_hart *hart, unsigned csr, uint64_t *ret_val);
bool rv_csr_write(struct rv_hart *hart, unsigned csr, uint64_t val);
void rv_timer_update(struct rv_hart *hart); /* after stimecmp or menvcfg.STCE changed */
unsigned rv_decode(struct vr_cpu *cpu, struct vr_builder *b, const uint8_t *code, unsigned avail);
extern const vr_helper_fn rv_helpers[RV_H_COUNT];
extern const char *const rv_helper_names[RV_H_COUNT];
extern const struct vr_isa rv_isa;

enum rv_cause {
    RV_CAUSE_FETCH_MISALIGNED,
    RV_CAUSE_FETCH_ACCESS,
    RV_CAUSE_ILLEGAL,
    RV_CAUSE_BREAKPOINT,
    RV_CAUSE_LOAD_MISALIGNED,
    RV_CAUSE_LOAD_ACCESS,
    RV_CAUSE_STORE_MISALIGNED,
    RV_CAUSE_STORE_ACCESS,
    RV_CAUSE_ECALL_U,
    RV_CAUSE_ECALL_S,
    RV_CAUSE_ECALL_M = 11,
    RV_CAUSE_FETCH_PAGE,
    RV_CAUSE_LOAD_PAGE,
    RV_CAUSE_STORE_PAGE = 15,
};
#define RV_CAUSE_INTERRUPT (UINT64_C(1) << 63)

#endif

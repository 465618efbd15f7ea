/*
 * Privileged architecture: field positions, and what csr.c, trap.c, mmu.c and hart.c share.
 * RISC-V ISA manual, volume II (20240411). Inside cpu/riscv only.
 */
#ifndef VR_CPU_RISCV_PRIV_H
#define VR_CPU_RISCV_PRIV_H

#include "cpu/riscv/hart.h"

#define RV_BIT(n) (UINT64_C(1) << (n))

/* mstatus */
#define RV_MSTATUS_SIE  RV_BIT(1)
#define RV_MSTATUS_MIE  RV_BIT(3)
#define RV_MSTATUS_SPIE RV_BIT(5)
#define RV_MSTATUS_MPIE RV_BIT(7)
#define RV_MSTATUS_SPP  RV_BIT(8)
#define RV_MSTATUS_MPP  (UINT64_C(3) << 11)
#define RV_MSTATUS_FS   (UINT64_C(3) << 13)
#define RV_MSTATUS_MPRV RV_BIT(17)
#define RV_MSTATUS_SUM  RV_BIT(18)
#define RV_MSTATUS_MXR  RV_BIT(19)
#define RV_MSTATUS_TVM  RV_BIT(20)
#define RV_MSTATUS_TW   RV_BIT(21)
#define RV_MSTATUS_TSR  RV_BIT(22)
#define RV_MSTATUS_UXL  (UINT64_C(2) << 32)
#define RV_MSTATUS_SXL  (UINT64_C(2) << 34)
#define RV_MSTATUS_SD   RV_BIT(63)
enum { RV_MPP_SHIFT = 11 };

/* menvcfg, senvcfg */
#define RV_ENVCFG_FIOM  RV_BIT(0)
#define RV_ENVCFG_CBIE  (UINT64_C(3) << 4)
#define RV_ENVCFG_CBCFE RV_BIT(6)
#define RV_ENVCFG_CBZE  RV_BIT(7)
#define RV_ENVCFG_ADUE  RV_BIT(61)
#define RV_ENVCFG_PBMTE RV_BIT(62)
#define RV_ENVCFG_STCE  RV_BIT(63)

/* mseccfg */
#define RV_MSECCFG_USEED RV_BIT(8)
#define RV_MSECCFG_SSEED RV_BIT(9)

/* mstateen0 */
#define RV_STATEEN_IMSIC  RV_BIT(58)
#define RV_STATEEN_AIA    RV_BIT(59)
#define RV_STATEEN_CSRIND RV_BIT(60)
#define RV_STATEEN_ENVCFG RV_BIT(62)
#define RV_STATEEN_SE     RV_BIT(63)

/* satp */
enum { RV_SATP_MODE_SHIFT = 60, RV_SATP_ASID_SHIFT = 44, RV_PPN_BITS = 44 };

/* pmpcfg */
enum {
    RV_PMP_R = 1,
    RV_PMP_W = 2,
    RV_PMP_X = 4,
    RV_PMP_A = 0x18,
    RV_PMP_A_TOR = 0x08,
    RV_PMP_A_NA4 = 0x10,
    RV_PMP_A_NAPOT = 0x18,
    RV_PMP_L = 0x80,
};

#define RV_IRQ_BIT(n) RV_BIT(n)
#define RV_MIP_S      (RV_BIT(RV_SSI) | RV_BIT(RV_STI) | RV_BIT(RV_SEI))
#define RV_MIP_M      (RV_BIT(RV_MSI) | RV_BIT(RV_MTI) | RV_BIT(RV_MEI))

/* Page walk without taking the exception: 0, or why not. */
enum rv_walk { RV_WALK_OK, RV_WALK_PAGE, RV_WALK_ACCESS };
enum rv_walk rv_walk(struct rv_hart *hart, uint64_t va, unsigned len, enum vr_access access,
                     struct vr_xlate *ret_x);
/* The mode that loads and stores act in: MPRV. */
enum rv_priv rv_data_priv(const struct rv_hart *hart);
void rv_page_fault(struct rv_hart *hart, enum rv_walk why, uint64_t va, enum vr_access access);

/* Forget translations of one address space, or of all; the regime is current again on return. */
void rv_fence_asid(struct rv_hart *hart, unsigned asid);
void rv_fence_all(struct rv_hart *hart);

/* pmpcfg or pmpaddr changed: recompute the ranges, forget translations. */
void rv_pmp_update(struct rv_hart *hart);

/* Look at the interrupts before the next instruction: something that decides them changed. */
void rv_recheck(struct rv_hart *hart);
/* Interrupts that could be taken now, all of them to S or to M; 0: none. */
uint64_t rv_deliverable(const struct rv_hart *hart, bool *ret_to_s);

/* Advanced Interrupt Architecture (aia.c). Interrupts that are pending and enabled for M, and for
 * S, whether or not they can be taken now; the one of @due that comes first at a level. */
uint64_t rv_due_m(const struct rv_hart *hart);
uint64_t rv_due_s(const struct rv_hart *hart);
unsigned rv_top_irq(const struct rv_hart *hart, bool s, uint64_t due);
uint64_t rv_mvip(const struct rv_hart *hart);
void rv_set_mvip(struct rv_hart *hart, uint64_t val);
bool rv_aia_legal(const struct rv_hart *hart);
/* Hooks of its CSRs. A swap returns what was there and, if @write, changes the bits of @mask. */
#define RV_MVIEN   (RV_BIT(RV_SSI) | RV_BIT(RV_SEI))
#define RV_ISELECT 0x1ff
enum { RV_CSR_SIREG = 0x151, RV_CSR_STOPEI = 0x15c };
bool rv_mireg_allowed(const struct rv_hart *hart, unsigned num);
bool rv_siselect_allowed(const struct rv_hart *hart, unsigned num);
bool rv_sireg_allowed(const struct rv_hart *hart, unsigned num);
bool rv_mtopei_allowed(const struct rv_hart *hart, unsigned num);
bool rv_stopei_allowed(const struct rv_hart *hart, unsigned num);
bool rv_stopi_allowed(const struct rv_hart *hart, unsigned num);
uint64_t rv_read_mtopi(struct rv_hart *hart, unsigned num);
uint64_t rv_read_stopi(struct rv_hart *hart, unsigned num);
uint64_t rv_read_mvip(struct rv_hart *hart, unsigned num);
void rv_write_mvip(struct rv_hart *hart, unsigned num, uint64_t val);
void rv_write_mvien(struct rv_hart *hart, unsigned num, uint64_t val);
uint64_t rv_swap_ireg(struct rv_hart *hart, unsigned num, bool write, uint64_t mask, uint64_t val);
uint64_t rv_swap_topei(struct rv_hart *hart, unsigned num, bool write, uint64_t mask, uint64_t val);

bool rv_stce(const struct rv_hart *hart); /* is stimecmp in use? */
uint64_t rv_time(const struct rv_hart *hart);

/* CSR instruction (csr.c), everything else (system.c). */
bool rv_csr_helper(struct vr_cpu *cpu, const struct vr_ir *ir);
/* vr_isa.plain */
bool rv_csr_plain(const struct vr_cpu *cpu, const struct vr_ir *ir, unsigned mode,
                  struct vr_plain *ret_plain);
/* For debuggers. What @va leads to for data in the present mode, whatever the leaf's rights. */
bool rv_lookup(struct rv_hart *hart, uint64_t va, uint64_t *ret_gpa, uint64_t *ret_page_bytes);
/* The number and name of CSR @i of those that a debugger may look at; RV_CSR_NONE: past the end. */
enum { RV_CSR_NONE = 0x1000, RV_CSR_NAME_MAX = 24 };
unsigned rv_csr_at(const struct rv_hart *hart, unsigned i, char *ret_name);
/* Read and write one, whatever the mode is; false: it is none of these. */
bool rv_csr_peek(struct rv_hart *hart, unsigned num, uint64_t *ret_val);
bool rv_csr_poke(struct rv_hart *hart, unsigned num, uint64_t val);
/* Begin where it was told to by rv_hart_start, if that has not happened. The machine stands still.
 */
void rv_hart_settle(struct rv_hart *hart);
extern const struct vr_cpu_debug rv_debug;

bool rv_illegal_bits(struct rv_hart *hart, const struct vr_ir *ir); /* traps; always false */
/* The instruction at cpu->pc, for mtval; 0 if it cannot be read. */
uint32_t rv_fetch_bits(struct rv_hart *hart);

void rv_attention(struct vr_cpu *cpu);
/* All state came from a snapshot: false if some field holds what no instruction could have put
 * there. */
bool rv_csr_legal(const struct rv_hart *hart);
/* The table, for the test that every byte of the struct is in it. */
const struct vr_field *rv_hart_fields(void);
/* For lockstep, see struct vr_isa. */
bool rv_field_is_shared(const struct vr_field *field);
void rv_state_was_set(struct vr_cpu *cpu);

#endif

/*
 * Physical memory protection. RISC-V ISA manual, volume II, "Physical Memory Protection".
 *
 * Granularity is 4 bytes. Ranges are computed when the CSRs change, so that a check compares
 * bounds.
 */
#include "cpu/riscv/priv.h"

/* Entry @i as an inclusive range; false: it matches nothing. */
static bool pmp_range(const struct rv_hart *hart, unsigned i, uint64_t *ret_first,
                      uint64_t *ret_last)
{
    uint64_t addr = hart->pmpaddr[i], before = i ? hart->pmpaddr[i - 1] : 0;
    switch (hart->pmpcfg[i] & RV_PMP_A) {
    case RV_PMP_A_TOR:
        *ret_first = before << 2;
        *ret_last = (addr << 2) - 1;
        return before < addr;
    case RV_PMP_A_NA4:
        *ret_first = addr << 2;
        *ret_last = *ret_first + 3;
        return true;
    case RV_PMP_A_NAPOT: {
        uint64_t low = addr ^ (addr + 1); /* the trailing ones, and the zero above them */
        *ret_first = (addr & ~low) << 2;
        *ret_last = *ret_first | low << 2 | 3;
        return true;
    }
    default:
        return false;
    }
}

void rv_pmp_update(struct rv_hart *hart)
{
    hart->pmp_used = 0;
    for (unsigned i = 0; i < RV_PMP_COUNT; i++) {
        if (pmp_range(hart, i, &hart->pmp_first[i], &hart->pmp_last[i])) {
            hart->pmp_used = i + 1;
        } else { /* an empty range, which nothing overlaps */
            hart->pmp_first[i] = UINT64_MAX;
            hart->pmp_last[i] = 0;
        }
    }
    /* What firmware sets up for a supervisor that may do everything: page walks need not ask. */
    const uint8_t rwx = RV_PMP_R | RV_PMP_W | RV_PMP_X;
    hart->pmp_open = hart->pmp_used && hart->pmp_first[0] == 0 && hart->pmp_last[0] >= RV_PMP_ALL &&
                     (hart->pmpcfg[0] & rwx) == rwx;
    vr_tlb_flush(&hart->cpu);
    vr_code_flush(&hart->cpu);
}

uint8_t rv_pmp_rights(const struct rv_hart *hart, uint64_t gpa, uint64_t len, enum rv_priv priv)
{
    const uint8_t all = 1 << VR_READ | 1 << VR_WRITE | 1 << VR_EXEC;
    uint64_t last = gpa + (len - 1);

    if (hart->pmp_open && last <= RV_PMP_ALL && last >= gpa) {
        return all;
    }
    for (unsigned i = 0; i < hart->pmp_used; i++) {
        if (last < hart->pmp_first[i] || gpa > hart->pmp_last[i]) {
            continue;
        }
        if (gpa < hart->pmp_first[i] || last > hart->pmp_last[i]) {
            return 0; /* it matches a part only: the access fails, whatever the entry says */
        }
        uint8_t cfg = hart->pmpcfg[i];
        if (priv == RV_M && !(cfg & RV_PMP_L)) {
            return all;
        }
        return (uint8_t)((cfg & RV_PMP_R ? 1 << VR_READ : 0) |
                         (cfg & RV_PMP_W ? 1 << VR_WRITE : 0) |
                         (cfg & RV_PMP_X ? 1 << VR_EXEC : 0));
    }
    return priv == RV_M ? all : 0;
}

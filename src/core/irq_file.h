/*
 * What a hart asks of its external interrupt controller, beyond the wire that says that there is
 * something to ask: RISC-V Advanced Interrupt Architecture 1.0, chapters 3 and 5.
 *
 * A controller gives each hart one struct vr_irq_file for each privilege level; the hart calls it
 * on its own thread, holding no lock, and the functions take the controller's. A controller of
 * wires only (APLIC in direct mode) has priorities but no interrupt files: `reg` is NULL.
 */
#ifndef VR_CORE_IRQ_FILE_H
#define VR_CORE_IRQ_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct vr_irq_file {
    void *chip;
    unsigned index; /* which of the chip's files */
    /* The best interrupt that is pending, enabled and above the threshold: identity << 16 |
     * priority, as in the CSRs mtopei and stopei; 0: none. @claim: it is pending no more. */
    uint32_t (*top)(void *chip, unsigned index, bool claim);
    /* Register @sel, 0x70 to 0xff, of a 64-bit hart's interrupt file: what it held, and in one step
     * bits @mask of it become those of @val. False: there is no such register. */
    bool (*reg)(void *chip, unsigned index, unsigned sel, uint64_t mask, uint64_t val,
                uint64_t *ret_old);
};

#endif

/*
 * One interrupt wire from a source to one input pin of an interrupt controller or hart.
 *
 * A wire is level-triggered; an edge is a raise followed by a lower. The source owns the struct and
 * drives it only under its own device lock. set() takes the chip's lock (lock order: device,
 * interrupt controller, vCPU).
 *
 * The level here is not saved. A source's reset and loaded hooks drive the wire again as its state
 * says; a controller saves the levels of its inputs, and a drive that changes nothing has no
 * effect.
 */
#ifndef VR_CORE_IRQ_H
#define VR_CORE_IRQ_H

#include <stdbool.h>
#include <stdint.h>

struct vr_irq {
    void (*set)(void *chip, unsigned pin, bool level); /* NULL: nothing is connected */
    void *chip;
    unsigned pin;
    bool level; /* what was last driven */
};

/* A message-signalled interrupt: a 32-bit write of @data to guest-physical @addr. */
struct vr_msi {
    uint64_t addr;
    uint32_t data;
};

static inline void vr_irq_connect(struct vr_irq *irq, void (*set)(void *, unsigned, bool),
                                  void *chip, unsigned pin)
{
    irq->set = set;
    irq->chip = chip;
    irq->pin = pin;
}

/* Drive the wire; the controller hears of changes only. */
static inline void vr_irq_set(struct vr_irq *irq, bool level)
{
    if (irq->level != level) {
        irq->level = level;
        if (irq->set) {
            irq->set(irq->chip, irq->pin, level);
        }
    }
}

#endif

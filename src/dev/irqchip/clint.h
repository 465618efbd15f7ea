/* The board's side of the CLINT: wires to the harts, and the time of day of the `time` CSR. */
#ifndef VR_DEV_IRQCHIP_CLINT_H
#define VR_DEV_IRQCHIP_CLINT_H

#include "core/dev.h"

enum { VR_CLINT_HARTS = 64, VR_CLINT_TICK_NS = 100, VR_CLINT_HZ = 10000000 };

extern const struct vr_dev_class vr_clint_class;

/* The software and timer interrupt wires of @hart (below the `harts` option), for vr_irq_connect.
 */
struct vr_irq *vr_clint_msip(struct vr_dev *dev, unsigned hart);
struct vr_irq *vr_clint_mtip(struct vr_dev *dev, unsigned hart);

/* mtime now, in ticks of VR_CLINT_HZ. Takes no lock: any thread, also on the CPU's fast path. */
uint64_t vr_clint_mtime(struct vr_dev *dev);
/* The clock's time in ns at which mtime first is at least @mtime: not after now if it already is,
 * UINT64_MAX if the clock ends first. For timers that compare with mtime elsewhere (Sstc). */
uint64_t vr_clint_when_ns(struct vr_dev *dev, uint64_t mtime);
/* Call fn(opaque) whenever mtime was set, by the guest, a reset or a snapshot: for who keeps such
 * deadlines. Under the device's lock: it may only note and kick. Before the machine runs. */
void vr_clint_on_set(struct vr_dev *dev, void (*fn)(void *opaque), void *opaque);

#endif

/*
 * The built-in Supervisor Binary Interface: what firmware would offer to a kernel in S-mode,
 * without firmware.
 *
 * RISC-V Supervisor Binary Interface Specification 2.0: base, TIME, IPI, RFENCE, HSM, SRST, DBCN,
 * SUSP, and the legacy console. The board supplies the machine below as struct vr_sbi_host. Each
 * call comes on the calling hart's thread.
 */
#ifndef VR_BOOT_SBI_H
#define VR_BOOT_SBI_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vr_sbi_hart_state {
    VR_SBI_STARTED,
    VR_SBI_STOPPED,
    VR_SBI_START_PENDING,
    VR_SBI_STOP_PENDING,
    VR_SBI_SUSPENDED
};

enum vr_sbi_fence { VR_SBI_FENCE_I, VR_SBI_FENCE_VMA };

/* What the machine does; hart numbers are 0..hart_count-1. All are required. */
struct vr_sbi_host {
    unsigned hart_count;
    void *opaque;
    void (*set_timer)(void *opaque, unsigned hart, uint64_t ticks); /* also clears a pending one */
    void (*ipi)(void *opaque, unsigned hart);
    /* On every hart in @mask; returns when all have done it or will before their next instruction.
     */
    void (*fence)(void *opaque, unsigned self, uint64_t mask, enum vr_sbi_fence kind);
    enum vr_sbi_hart_state (*state)(void *opaque, unsigned hart);
    /* Start a stopped hart in S-mode at @pc with a0 = hart, a1 = @arg. false: it was not stopped.
     */
    bool (*start)(void *opaque, unsigned hart, uint64_t pc, uint64_t arg);
    void (*stop)(void *opaque, unsigned hart); /* the calling hart */
    /* The calling hart sleeps until an interrupt that it enabled is pending, and goes on behind its
     * ecall with success... */
    void (*suspend)(void *opaque, unsigned hart);
    /* ... or at @pc as if just started. */
    void (*suspend_to)(void *opaque, unsigned hart, uint64_t pc, uint64_t arg);
    bool (*is_ram)(void *opaque, uint64_t gpa, uint64_t len);
    int (*read)(void *opaque, uint64_t gpa, void *buf, size_t len);
    int (*write)(void *opaque, uint64_t gpa, const void *buf, size_t len);
    size_t (*console_write)(void *opaque, const uint8_t *buf, size_t len);
    size_t (*console_read)(void *opaque, uint8_t *buf, size_t len);
    void (*reset)(void *opaque, bool power_off, bool failure);
};

/*
 * Carry out the call in @a: a0..a7 (a7 extension, a6 function). Sets a0 (error) and a1 (value), or
 * a0 alone for legacy calls. Returns false if the calling hart must not go on with its next
 * instruction because it stopped, resumed elsewhere, or the machine is going down.
 */
bool vr_sbi_call(const struct vr_sbi_host *host, unsigned hart, uint64_t *a);

#endif

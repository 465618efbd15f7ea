/*
 * What a debugger does to a machine: it stops harts at instructions and accesses, lets them make
 * single steps, and looks at their registers and memory. Guests see nothing of it: no instruction
 * of theirs is replaced.
 *
 * A stop is made by the hart that meets it: it leaves run(), is held, and tells; whoever listens
 * then pauses the machine. Everything here is changed only while the machine stands still
 * (vr_machine_still), so engines read it without locks.
 *
 * A machine without a debugger pays a branch in paths that are slow anyhow: translating, filling
 * the TLB, leaving straight-line code.
 */
#ifndef VR_CORE_DEBUG_H
#define VR_CORE_DEBUG_H

#include "base/err.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vr_machine;
struct vr_vcpu;

enum vr_debug_kind {
    VR_DEBUG_BREAK,  /* before the instruction at va */
    VR_DEBUG_WRITE,  /* before an instruction that writes a byte of [va, va + len), */
    VR_DEBUG_READ,   /* or reads one, */
    VR_DEBUG_ACCESS, /* or either */
};

struct vr_debug_point {
    enum vr_debug_kind kind;
    uint64_t va, len; /* virtual addresses, of any address space; len is not 0, and does not wrap */
};

enum { VR_DEBUG_POINTS = 256, VR_DEBUG_MARK_WORDS = 32 };

enum vr_debug_why { VR_DEBUG_NOT_STOPPED, VR_DEBUG_AT_POINT, VR_DEBUG_STEPPED };

struct vr_debug_stop {
    enum vr_debug_why why;
    enum vr_debug_kind kind; /* AT_POINT: of which kind, */
    uint64_t va;             /* and the address that was met */
};

/* A debugger at a machine. */
struct vr_debug {
    struct vr_debug_point point[VR_DEBUG_POINTS];
    unsigned count, watch_count;
    /* Half words of a page at which there is a breakpoint, or was one since it came: blocks of code
     * are cut there. Code is found by physical address, of which only the offset in the page is
     * known here. */
    uint64_t marks[VR_DEBUG_MARK_WORDS];
    void (*on_stop)(void *opaque, struct vr_vcpu *vcpu);
    void *opaque;
};

/* The debugger's side of a vCPU. */
struct vr_debug_run {
    atomic_bool held; /* its thread stays out of run() */
    bool turn;        /* the engine has something to do here: a step, something to forget */
    bool forget_code, forget_tlb;
    bool step, stepped; /* make one; it was made */
    bool quiet;         /* interrupts wait */
    /* Deterministic mode, where the driver makes steps (core/det.h), and nobody is held: a step is
     * wanted; this one meets no points. */
    bool goal, pass;
    uint64_t step_begin, step_end; /* step on while pc is in [begin, end) */
    struct vr_debug_stop stop;
};

/* What an engine's CPU shows to a debugger. All while the machine stands still, any thread. */
struct vr_cpu_debug {
    unsigned general_count; /* registers 0 to this are the "general" ones; */
    unsigned pc;            /* one of them is the program counter */
    /* Describe all registers in GDB's terms (GDB manual, "Target Descriptions"); *ret_text is the
     * caller's, who frees it. */
    int (*describe)(struct vr_vcpu *vcpu, char **ret_text, struct vr_error *err);
    /* Register @reg of the description. -ENOENT: there is none. *ret_bytes: 4 or 8. */
    int (*get)(struct vr_vcpu *vcpu, unsigned reg, uint64_t *ret_val, unsigned *ret_bytes);
    /* A register keeps of @val what it can hold; -ENOENT. */
    int (*set)(struct vr_vcpu *vcpu, unsigned reg, uint64_t val);
    /* Where @va is for data in the present mode, whatever its rights; and how many bytes from there
     * on are contiguous. False: nowhere. */
    bool (*translate)(struct vr_vcpu *vcpu, uint64_t va, uint64_t *ret_gpa, uint64_t *ret_len);
    /* A few words: "S-mode, started". */
    void (*say)(struct vr_vcpu *vcpu, char *ret_text, size_t size);
};

/* ---- For the debugger ---- */

/* Be the debugger of @m: @on_stop is called on a vCPU's thread when that has stopped, without
 * locks; its stop is in vcpu->run. -EBUSY: there is one; -ENOTSUP: not this engine. Not on the
 * machine's threads. */
int vr_debug_attach(struct vr_machine *m, void (*on_stop)(void *opaque, struct vr_vcpu *vcpu),
                    void *opaque, struct vr_error *err) VR_MUST;
/* No points, no steps, nobody held; on_stop is not called any more. */
void vr_debug_detach(struct vr_machine *m);

/* While the machine stands still. Adding what is there, removing what is not, is fine. -ENOSPC,
 * -EINVAL. */
int vr_debug_add(struct vr_machine *m, const struct vr_debug_point *point) VR_MUST;
void vr_debug_remove(struct vr_machine *m, const struct vr_debug_point *point);
/* When the machine goes on @vcpu runs, or is held. @quiet: its interrupts wait. Its stop is
 * forgotten. */
void vr_debug_let(struct vr_vcpu *vcpu, bool run, bool quiet);
/* It runs for one step, or as many as it takes to leave [begin, end). */
void vr_debug_step(struct vr_vcpu *vcpu, uint64_t begin, uint64_t end, bool quiet);

/* ---- For engines, on the vCPU's thread ---- */

/* Is there a breakpoint, perhaps, at an address with this offset in its page? */
static inline bool vr_debug_marks(const struct vr_debug *d, uint64_t addr)
{
    unsigned half = (unsigned)(addr >> 1) & (64 * VR_DEBUG_MARK_WORDS - 1);
    return d->marks[half >> 6] >> (half & 63) & 1;
}
/* The first point of @kinds (bits 1 << enum vr_debug_kind) that [va, va + len) touches, or NULL. */
const struct vr_debug_point *vr_debug_find(const struct vr_debug *d, unsigned kinds, uint64_t va,
                                           uint64_t len);
/* @vcpu has stopped: nothing of it may happen before run() has returned. */
void vr_debug_stopped(struct vr_vcpu *vcpu, struct vr_debug_stop stop);

#endif

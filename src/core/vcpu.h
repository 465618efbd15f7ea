/*
 * A virtual CPU as the machine sees it: a thread, a run state, and an engine behind vr_cpu_ops.
 */
#ifndef VR_CORE_VCPU_H
#define VR_CORE_VCPU_H

#include "base/err.h"
#include "core/debug.h"
#include "platform/lock.h"
#include "platform/spin.h"
#include "vireo/host_thread.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct vr_machine;
struct vr_snap;
struct vr_vcpu;

struct vr_cpu_ops {
    const char *engine; /* "interp", "jit", "kvm" */
    /* Run guest code on the calling thread until vcpu->kicked is set (or the engine has nothing to
     * do and waits by vr_vcpu_sleep, which returns when kicked). Clears nothing: the machine does.
     */
    void (*run)(struct vr_vcpu *vcpu);
    /* Deterministic mode, in run's place: at most @steps steps (core/det.h), exactly as many unless
     * the CPU has nothing to do (vcpu->idle then) or vr_det_more says so; returns how many. NULL:
     * the engine cannot. */
    uint64_t (*run_steps)(struct vr_vcpu *vcpu, uint64_t steps);
    /* Make a run() under way return soon. Any thread. vcpu->kicked is already set. May be NULL. */
    void (*kick)(struct vr_vcpu *vcpu);
    /* The same: forget what is no state, and a CPU that was restored would not know. */
    void (*forget)(struct vr_vcpu *vcpu);
    /* Halted: what was put off until it runs, because the clock might be set after it, is done. */
    void (*settle)(struct vr_vcpu *vcpu);
    void (*reset)(struct vr_vcpu *vcpu); /* power-on state; only while stopped */
    int (*save)(struct vr_vcpu *vcpu, struct vr_snap *snap, struct vr_error *err);
    int (*load)(struct vr_vcpu *vcpu, struct vr_snap *snap, struct vr_error *err);
    void (*destroy)(struct vr_vcpu *vcpu);
    const struct vr_cpu_debug *debug; /* for debuggers; NULL: not of this engine */
};

/* First member of every engine's CPU struct. */
struct vr_vcpu {
    const struct vr_cpu_ops *ops;
    struct vr_machine *machine; /* NULL in engine unit tests */
    unsigned index;
    struct vireo_thread *thread; /* the machine's */
    _Atomic uint64_t host_id;    /* of that thread (vireo_thread_host_id); 0: not there yet */
    struct vr_mutex lock;        /* guards sleeping; last in the lock order */
    struct vr_cond wake;
    struct vr_det *det;    /* deterministic mode (core/det.h); NULL: not */
    bool idle, yielded;    /* there: it waits for attention; for others. The driver's thread */
    atomic_bool kicked;    /* run() must return to the machine */
    atomic_bool attention; /* an interrupt line, an invalidation: leave straight-line code */
    atomic_bool sleeping;  /* in vr_vcpu_sleep, or about to be */
    struct vr_spin spin;   /* own thread: how long it looks before it sleeps */
    bool in_run;           /* machine: thread is between run() and its return; under machine lock */
    /* How often it was asked to forget which memory it may write without telling, and which of
     * these times it did. An engine compares them when it sees `attention`. */
    _Atomic uint64_t protect_asked, protect_done;
    struct vr_debug *debug; /* at it; NULL: none. Changes while the machine stands still */
    struct vr_debug_run run;
};

void vr_vcpu_init(struct vr_vcpu *vcpu, const struct vr_cpu_ops *ops, struct vr_machine *machine,
                  unsigned index);
void vr_vcpu_fini(struct vr_vcpu *vcpu);
/* Any thread: make the engine look at its interrupt lines and queues; wakes a sleeper. */
void vr_vcpu_notify(struct vr_vcpu *vcpu);
/* Any thread: make run() return (implies notify). */
void vr_vcpu_kick(struct vr_vcpu *vcpu);
/* Engine, own thread, between two instructions and with no lock held: it has forgotten every right
 * to write memory that it had when protect_asked was @asked; vr_machine_protect is told. */
void vr_vcpu_protected(struct vr_vcpu *vcpu, uint64_t asked);
/* Engine, own thread: wait until attention or kicked is set; clears neither. Sleeps, after a look
 * as long as recent waits say (platform/spin.h). In deterministic
 * mode others use this thread meanwhile: it returns at once, and kicked is set. */
void vr_vcpu_sleep(struct vr_vcpu *vcpu);

#endif

/*
 * Guest time in nanoseconds since power-on, and timers on it.
 *
 * A stepped clock moves only by vr_clock_step (tests, deterministic mode). A real clock follows the
 * host's monotonic clock while it runs, stands still while the machine is paused, and fires timers
 * on a thread of its own with nanosecond deadlines (libuv's timers are too coarse).
 *
 * Threads: arm and cancel from any thread. fire() is called without clock locks held; if the timer
 * has a lock (@lock, usually the device's), it is called under it and never after a cancel made
 * under that lock.
 */
#ifndef VR_CORE_CLOCK_H
#define VR_CORE_CLOCK_H

#include "base/err.h"
#include "base/heap.h"
#include <stdbool.h>
#include <stdint.h>

struct vr_clock;
struct vr_mutex; /* platform/lock.h */

struct vr_timer {
    struct vr_clock *clock;
    struct vr_mutex *lock; /* taken around fire(); may be NULL */
    void (*fire)(void *arg);
    void *arg;
    bool armed;               /* to be read under @lock */
    uint64_t rank;            /* equal deadlines: as they were initialised */
    struct vr_timer *next;    /* the clock's; newest first */
    struct vr_heap_node node; /* the clock's */
};

enum vr_clock_kind { VR_CLOCK_STEPPED, VR_CLOCK_REAL };

/* A real clock starts stopped; -ENOMEM, -EAGAIN (no thread). */
int vr_clock_create(enum vr_clock_kind kind, struct vr_clock **ret_clock,
                    struct vr_error *err) VR_MUST;
void vr_clock_destroy(struct vr_clock *clock); /* after its timers' fini; NULL is fine */
/* Real clocks (no effect on stepped ones): time runs. */
void vr_clock_start(struct vr_clock *clock);
/* Real clocks: time stands; no fire() runs after return. Not from fire(), no timer's lock held. */
void vr_clock_stop(struct vr_clock *clock);
uint64_t vr_clock_now(struct vr_clock *clock); /* takes no lock */
/* Restore; stopped or stepped clocks. Timers keep their deadlines. */
void vr_clock_set(struct vr_clock *clock, uint64_t now_ns);
/* Stepped clocks: move by @ns, firing what falls due in order (equal deadlines: as they were
 * armed), with now at each deadline. No timer's lock held. */
void vr_clock_step(struct vr_clock *clock, uint64_t ns);
/* When the next timer is due; UINT64_MAX: none. */
uint64_t vr_clock_next(struct vr_clock *clock);

void vr_timer_init(struct vr_timer *t, struct vr_clock *clock, struct vr_mutex *lock,
                   void (*fire)(void *), void *arg);
/* (Re-)arm for @at_ns. A time already past fires as soon as the clock runs: on the clock's thread,
 * or in the next vr_clock_step, a step of 0 included; never inside this call. */
void vr_timer_arm(struct vr_timer *t, uint64_t at_ns);
void vr_timer_cancel(struct vr_timer *t); /* fine on a timer that is zeroed or not armed */
/* Deadlines that are armed, by the order in which the timers there are were initialised: the same
 * in each machine that has the same parts, also if others came and went before. Every one, and none
 * (time stands still). */
struct vr_clock_due {
    uint64_t rank, at_ns; /* rank: so many are older */
};
unsigned vr_clock_armed(struct vr_clock *clock, struct vr_clock_due *ret_due, unsigned max);
void vr_clock_cancel_all(struct vr_clock *clock);
bool vr_clock_arm_rank(struct vr_clock *clock, uint64_t rank, uint64_t at_ns); /* false: no such */
/* Cancel, and wait for a fire() under way: not from fire(), and @lock not held. Fine on a zeroed
 * timer. */
void vr_timer_fini(struct vr_timer *t);

#endif

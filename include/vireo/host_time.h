/*
 * The host's clocks, timers on them, and how long a call takes.
 *
 *     struct vireo_timers *timers;
 *     struct vireo_timer *tick;
 *     struct vr_error err;
 *     if (vireo_timers_create("ticks", &timers, &err) == 0 &&
 *         vireo_timer_create(timers, on_tick, me, &tick, &err) == 0) {
 *         vireo_timer_arm(tick, vireo_monotonic_ns() + 1000000, 1000000);
 *     }
 *
 * Any function from any thread, but where it says otherwise.
 *
 * Sources on POSIX hosts: clock_gettime(2), pthread_cond_timedwait(3).
 */
#ifndef VIREO_HOST_TIME_H
#define VIREO_HOST_TIME_H

#include "vireo/error.h"
#include "vireo/version.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

VIREO_API uint64_t vireo_monotonic_ns(void); /* ns since some moment; never goes back */
VIREO_API uint64_t vireo_realtime_ns(void);  /* ns since 1970-01-01 UTC; may jump */

/* ---- Timers -------------------------------------------------------------------------------- */

/* A thread that fires timers, one after the other: what they call should be short. */
struct vireo_timers;
struct vireo_timer;

/* Start the thread, which is called @name. -ENOMEM, -EAGAIN. */
VIREO_API int vireo_timers_create(const char *name, struct vireo_timers **ret_timers,
                                  struct vr_error *err) VIREO_MUST;
/* After its timers. NULL is fine. Not from a timer. */
VIREO_API void vireo_timers_destroy(struct vireo_timers *timers);
/* Is the calling thread the one that fires them? */
VIREO_API bool vireo_timers_is_current(const struct vireo_timers *timers);

/* A timer that calls fire(opaque, times) on the thread of @timers, not armed. @times: 1, or more
 * when a periodic timer's thread came too late for some: they are made up for by one call. -ENOMEM.
 */
VIREO_API int vireo_timer_create(struct vireo_timers *timers,
                                 void (*fire)(void *opaque, uint64_t times), void *opaque,
                                 struct vireo_timer **ret_timer, struct vr_error *err) VIREO_MUST;
/* Fire when vireo_monotonic_ns is @at_ns, never before and as soon after as the host can; then
 * every @period_ns from that moment on (no drift), or with 0 once. What it was armed for before is
 * forgotten. A moment that is past: at once. Never fires inside this call. */
VIREO_API void vireo_timer_arm(struct vireo_timer *timer, uint64_t at_ns, uint64_t period_ns);
/* Not any more; a call that is under way goes on. Fine on a timer that is not armed. */
VIREO_API void vireo_timer_disarm(struct vireo_timer *timer);
/* Disarm, wait for a call that is under way, free. NULL is fine. Not from its own fire, and without
 * locks that fire takes. */
VIREO_API void vireo_timer_destroy(struct vireo_timer *timer);

/* ---- Measuring ----------------------------------------------------------------------------- */

struct vireo_measure {
    uint64_t best_ns, mean_ns, worst_ns; /* of one call, without what reading the clock costs */
};

/* Call fn(opaque) @times times (0 counts as 1) on this thread, and say how long that takes. */
VIREO_API void vireo_measure(void (*fn)(void *opaque), void *opaque, unsigned times,
                             struct vireo_measure *ret_measure);

#ifdef __cplusplus
}
#endif

#endif

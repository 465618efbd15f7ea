/*
 * Work for host ends that may block: jobs, threads that do them, and the account of what is in
 * flight.
 *
 * A job is embedded in the request of a backend. It is begun (vr_flight_begin) when it is
 * submitted, and completed (vr_flight_complete, or _here) from any thread, once; its done() is
 * called with no locks held, exactly once, and never for two jobs of a flight at a time. Between
 * the two, whoever has the job may use its `next`.
 *
 * Where done() is called: on the loop's thread, or (_here) on the worker's that did the job, which
 * spares small requests the way through a third thread: waking it costs more than they do.
 */
#ifndef VR_BACKEND_WORK_H
#define VR_BACKEND_WORK_H

#include "base/err.h"
#include "core/loop.h"

struct vr_job {
    void (*done)(struct vr_job *job, int result);
    struct vr_job *next; /* of who has the job */
    int result;          /* the flight's */
};

struct vr_flight;
/* -ENOMEM. @loop must outlive it. */
int vr_flight_create(struct vr_loop *loop, struct vr_flight **ret_flight,
                     struct vr_error *err) VR_MUST;
void vr_flight_destroy(struct vr_flight *flight); /* nothing is in flight; NULL is fine */
void vr_flight_begin(struct vr_flight *flight);
/* May end the flight: when another thread drains, job, flight and their owner may be gone when this
 * returns. done() is called later, on the loop's thread. */
void vr_flight_complete(struct vr_flight *flight, struct vr_job *job, int result);
/* The same, from a worker's thread that holds no lock: done() is called before this returns, or by
 * the thread that is at it. A loop without a thread of its own (tests, embedders) is turned by
 * somebody who wants things to happen in turns: there it is as above. */
void vr_flight_complete_here(struct vr_flight *flight, struct vr_job *job, int result);
/* Wait until nothing is in flight; done has been called for all. No device lock held. On the loop's
 * thread, or where the loop has none, done is called from here. */
void vr_flight_drain(struct vr_flight *flight);

/* Up to @max threads called @name that call run(opaque, job). The first starts at once, the others
 * when jobs wait; they stay: an idle one costs a stack that nobody touches. Work goes to who became
 * idle last, whose caches are warm. -ENOMEM, -EAGAIN. */
struct vr_pool;
int vr_pool_create(const char *name, unsigned max, void (*run)(void *opaque, struct vr_job *job),
                   void *opaque, struct vr_pool **ret_pool, struct vr_error *err) VR_MUST;
void vr_pool_submit(struct vr_pool *pool, struct vr_job *job);
/* Nothing is queued, and every submit has returned. NULL is fine. */
void vr_pool_destroy(struct vr_pool *pool);

#endif

/*
 * Jobs of the control protocol: what takes longer than a command may, carried out one after the
 * other on a thread of their own, watched by JOB_STATUS_CHANGE events and query-jobs, and kept
 * until they are dismissed (QEMU, qapi/job.json), or until there are VR_JOBS_MAX and another one
 * begins: then the oldest that is concluded goes.
 */
#ifndef VR_CONTROL_JOBS_H
#define VR_CONTROL_JOBS_H

#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

struct vr_jobs;
struct vr_qmp_job;
struct vr_events;
struct vr_loop;

enum { VR_JOBS_MAX = 16, VR_JOB_ID_MAX = 63 };

/* -ENOMEM, -EAGAIN. @loop and @events must outlive it. */
int vr_jobs_create(struct vr_loop *loop, struct vr_events *events, struct vr_jobs **ret_jobs,
                   struct vr_error *err) VR_MUST;
/* Waits for what is under way. NULL is fine. Not on the I/O thread. */
void vr_jobs_destroy(struct vr_jobs *jobs);

/* Have run(job, arg) called soon; free_arg(arg) in the end, also on failure. @type is static.
 * -EINVAL: @id is no name; -EEXIST: there is a job of that name; -EBUSY: too many at work. Any
 * thread. */
int vr_jobs_start(struct vr_jobs *jobs, const char *id, const char *type,
                  int (*run)(struct vr_qmp_job *job, void *arg, struct vr_error *err), void *arg,
                  void (*free_arg)(void *arg), struct vr_error *err) VR_MUST;
/* For run: how far it is. */
void vr_job_progress(struct vr_qmp_job *job, uint64_t done, uint64_t total);
/* [JobInfo]; NULL: no memory. Any thread. */
json_t *vr_jobs_query(struct vr_jobs *jobs);
/* Forget a job that is concluded. -ENOENT; -EBUSY: it is not. */
int vr_jobs_dismiss(struct vr_jobs *jobs, const char *id, struct vr_error *err) VR_MUST;

#endif

/* Jobs: a list, a thread, and a word at each change. */
#include "control/jobs.h"
#include "backend/work.h"
#include "base/alloc.h"
#include "control/events.h"
#include "control/rundir.h"
#include "platform/lock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum job_status {
    JOB_CREATED,
    JOB_RUNNING,
    JOB_WAITING,
    JOB_PENDING,
    JOB_ABORTING,
    JOB_CONCLUDED,
    JOB_NULL
};

static const char *const job_status[] = {
    [JOB_CREATED] = "created", [JOB_RUNNING] = "running",   [JOB_WAITING] = "waiting",
    [JOB_PENDING] = "pending", [JOB_ABORTING] = "aborting", [JOB_CONCLUDED] = "concluded",
    [JOB_NULL] = "null",
};

struct vr_qmp_job {
    struct vr_job job; /* first: the pool's */
    struct vr_jobs *jobs;
    char id[VR_JOB_ID_MAX + 1];
    const char *type;
    int (*run)(struct vr_qmp_job *job, void *arg, struct vr_error *err);
    void (*free_arg)(void *arg);
    void *arg;
    enum job_status status; /* under the lock, as what follows */
    uint64_t done, total;
    struct vr_error err; /* code 0: none */
    bool over;           /* the pool is done with it */
    bool dismissed;      /* whoever did it waits until then */
    struct vr_qmp_job *next;
};

struct vr_jobs {
    struct vr_events *events;
    struct vr_flight *flight;
    struct vr_pool *pool;
    struct vr_mutex lock;
    struct vr_cond gone;
    struct vr_qmp_job *first; /* oldest first */
    unsigned count;
};

static void job_set(struct vr_qmp_job *j, enum job_status status)
{
    vr_mutex_lock(&j->jobs->lock);
    j->status = status;
    vr_mutex_unlock(&j->jobs->lock);
    vr_events_note(
        j->jobs->events,
        &(struct vr_event){
            .name = "JOB_STATUS_CHANGE",
            .field = {{.key = "id", .type = VR_EVENT_TEXT, .text = j->id},
                      {.key = "status", .type = VR_EVENT_TEXT, .text = job_status[status]}}});
}

/* Words about it are out before anybody may dismiss, and free, it. */
static void job_over(struct vr_job *job, int result)
{
    struct vr_qmp_job *j = (struct vr_qmp_job *)job;
    (void)result;
    vr_mutex_lock(&j->jobs->lock);
    j->over = true;
    vr_cond_broadcast(&j->jobs->gone);
    vr_mutex_unlock(&j->jobs->lock);
}

static void job_run(void *opaque, struct vr_job *job)
{
    struct vr_jobs *jobs = opaque;
    struct vr_qmp_job *j = (struct vr_qmp_job *)job;
    struct vr_error err = {0};
    job_set(j, JOB_RUNNING);
    int r = j->run(j, j->arg, &err);
    j->free_arg(j->arg);
    vr_mutex_lock(&jobs->lock);
    j->err = err;
    j->err.code = r < 0 ? r : 0;
    j->done = r < 0 ? j->done : j->total;
    vr_mutex_unlock(&jobs->lock);
    if (r < 0) {
        job_set(j, JOB_ABORTING);
    } else {
        job_set(j, JOB_WAITING);
        job_set(j, JOB_PENDING);
    }
    job_set(j, JOB_CONCLUDED);
    vr_flight_complete(jobs->flight, job, 0);
}

int vr_jobs_create(struct vr_loop *loop, struct vr_events *events, struct vr_jobs **ret_jobs,
                   struct vr_error *err)
{
    struct vr_jobs *jobs = vr_zalloc(sizeof(*jobs));
    if (!jobs) {
        return vr_err(err, -ENOMEM, "jobs: no memory");
    }
    jobs->events = events;
    vr_mutex_init(&jobs->lock);
    vr_cond_init(&jobs->gone);
    int r = vr_flight_create(loop, &jobs->flight, err);
    r = r < 0 ? r : vr_pool_create("vr-jobs", 1, job_run, jobs, &jobs->pool, err);
    if (r < 0) {
        vr_jobs_destroy(jobs);
        return vr_err_in(err, r, "jobs");
    }
    *ret_jobs = jobs;
    return 0;
}

void vr_jobs_destroy(struct vr_jobs *jobs)
{
    if (!jobs) {
        return;
    }
    if (jobs->flight) {
        vr_flight_drain(jobs->flight);
    }
    vr_pool_destroy(jobs->pool);
    vr_flight_destroy(jobs->flight);
    while (jobs->first) {
        struct vr_qmp_job *j = jobs->first;
        jobs->first = j->next;
        free(j);
    }
    vr_cond_fini(&jobs->gone);
    vr_mutex_fini(&jobs->lock);
    free(jobs);
}

static struct vr_qmp_job **jobs_find_locked(struct vr_jobs *jobs, const char *id)
{
    struct vr_qmp_job **at = &jobs->first;
    while (*at && strcmp((*at)->id, id) != 0) {
        at = &(*at)->next;
    }
    return at;
}

/* When there are as many as there may be, the oldest one whose client has not come back to dismiss
 * it makes room: clients may be killed while they wait. Out of the list; NULL: all are at work. */
static struct vr_qmp_job *jobs_take_oldest_locked(struct vr_jobs *jobs)
{
    struct vr_qmp_job **at = &jobs->first;
    if (jobs->count < VR_JOBS_MAX) {
        return NULL;
    }
    while (*at && ((*at)->status != JOB_CONCLUDED || !(*at)->over || (*at)->dismissed)) {
        at = &(*at)->next;
    }
    struct vr_qmp_job *j = *at;
    if (j) {
        *at = j->next;
        jobs->count--;
    }
    return j;
}

/* QEMU's id_wellformed(): a letter, then letters, digits, '-', '.', '_'. */
static bool jobs_id_good(const char *id)
{
    size_t len = strlen(id);
    bool letter = (id[0] | 32) >= 'a' && (id[0] | 32) <= 'z';
    return letter && len <= VR_JOB_ID_MAX &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == len;
}

int vr_jobs_start(struct vr_jobs *jobs, const char *id, const char *type,
                  int (*run)(struct vr_qmp_job *job, void *arg, struct vr_error *err), void *arg,
                  void (*free_arg)(void *arg), struct vr_error *err)
{
    struct vr_qmp_job *j = jobs_id_good(id) ? vr_zalloc(sizeof(*j)) : NULL;
    int r = !jobs_id_good(id) ? vr_err(err, -EINVAL, "Invalid job ID '%.40s'", id)
            : !j              ? vr_err(err, -ENOMEM, "job %s: no memory", id)
                              : 0;
    struct vr_qmp_job *old = NULL;
    if (r == 0) {
        *j = (struct vr_qmp_job){
            .jobs = jobs, .type = type, .run = run, .arg = arg, .free_arg = free_arg};
        snprintf(j->id, sizeof(j->id), "%s", id);
        j->job.done = job_over;
        vr_mutex_lock(&jobs->lock);
        struct vr_qmp_job **at = jobs_find_locked(jobs, id);
        if (!*at) {
            old = jobs_take_oldest_locked(jobs);
            at = jobs_find_locked(jobs, id); /* the list's end may have been in it */
        }
        if (*at) {
            r = vr_err(err, -EEXIST, "Job ID '%s' already in use", id);
        } else if (jobs->count == VR_JOBS_MAX) {
            r = vr_err(err, -EBUSY, "there are %d jobs at work already", VR_JOBS_MAX);
        } else {
            *at = j;
            jobs->count++;
        }
        vr_mutex_unlock(&jobs->lock);
    }
    if (old) {
        job_set(old, JOB_NULL);
        free(old);
    }
    if (r < 0) {
        free(j);
        free_arg(arg);
        return r;
    }
    job_set(j, JOB_CREATED);
    vr_flight_begin(jobs->flight);
    vr_pool_submit(jobs->pool, &j->job);
    return 0;
}

void vr_job_progress(struct vr_qmp_job *j, uint64_t done, uint64_t total)
{
    vr_mutex_lock(&j->jobs->lock);
    j->done = done;
    j->total = total;
    vr_mutex_unlock(&j->jobs->lock);
}

json_t *vr_jobs_query(struct vr_jobs *jobs)
{
    json_t *list = json_array();
    vr_mutex_lock(&jobs->lock);
    for (const struct vr_qmp_job *j = jobs->first; list && j; j = j->next) {
        json_t *info = json_pack("{s:s, s:s, s:s, s:I, s:I}", "id", j->id, "type", j->type,
                                 "status", job_status[j->status], "current-progress",
                                 (json_int_t)j->done, "total-progress", (json_int_t)j->total);
        if (info && j->err.code) {
            (void)json_object_set_new(info, "error", json_string(j->err.msg));
        }
        (void)json_array_append_new(list, info);
    }
    vr_mutex_unlock(&jobs->lock);
    return list;
}

int vr_jobs_dismiss(struct vr_jobs *jobs, const char *id, struct vr_error *err)
{
    vr_mutex_lock(&jobs->lock);
    struct vr_qmp_job **at = jobs_find_locked(jobs, id), *j = *at;
    int r = !j || j->dismissed ? vr_err(err, -ENOENT, "Job not found")
            : j->status != JOB_CONCLUDED
                ? vr_err(err, -EBUSY, "Job '%s' in state '%s' cannot accept command verb 'dismiss'",
                         id, job_status[j->status])
                : 0;
    if (r == 0) {
        j->dismissed = true;
    }
    while (r == 0 && !j->over) { /* its last steps, on the I/O thread */
        vr_cond_wait(&jobs->gone, &jobs->lock);
    }
    if (r == 0) {
        at = jobs_find_locked(jobs, id); /* the list may be another one since */
        *at = j->next;
        jobs->count--;
    }
    vr_mutex_unlock(&jobs->lock);
    if (r == 0) {
        job_set(j, JOB_NULL);
        free(j);
    }
    return r;
}

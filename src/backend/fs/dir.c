/* A directory of the host as a file server: opening it, the guest's sessions, and threads. */
#include "backend/fs/server.h"
#include "base/alloc.h"
#include "platform/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct dir_fs *dir_of(struct vr_fs *fs)
{
    return (struct dir_fs *)fs;
}

struct fs_session *fs_session_create(struct dir_fs *d)
{
    struct fs_session *s = vr_zalloc(sizeof(*s));
    if (!s) {
        return NULL;
    }
    s->d = d;
    s->refs = 1;
    if (fs_nodes_init(s) < 0) {
        free(s);
        return NULL;
    }
    return s;
}

void fs_session_unref_locked(struct fs_session *s)
{
    if (s && --s->refs == 0) {
        fs_handles_fini(s);
        fs_nodes_fini(s);
        free(s);
    }
}

/* Work of our own on the pool's threads. */
struct dir_task {
    struct vr_job job;
    void (*run)(struct dir_fs *d, void *arg);
    void *arg;
};

static void dir_task_done(struct vr_job *job, int result)
{
    (void)result;
    free(job);
}

struct vr_job *fs_task_begin(struct dir_fs *d, void (*run)(struct dir_fs *d, void *arg), void *arg)
{
    struct dir_task *task = vr_zalloc(sizeof(*task));
    if (!task) {
        return NULL;
    }
    *task = (struct dir_task){.job = {.done = dir_task_done}, .run = run, .arg = arg};
    vr_flight_begin(d->fs.flight);
    return &task->job;
}

void fs_task_run(struct dir_fs *d, struct vr_job *job)
{
    struct dir_task *task = (struct dir_task *)job;
    task->run(d, task->arg);
    vr_flight_complete_here(d->fs.flight, job, 0);
}

bool fs_task(struct dir_fs *d, void (*run)(struct dir_fs *d, void *arg), void *arg)
{
    struct vr_job *job = fs_task_begin(d, run, arg);
    if (job) {
        vr_pool_submit(d->pool, job);
    }
    return job;
}

static void dir_drop_session(struct dir_fs *d, void *session)
{
    fs_locks_interrupt(d, session);
    vr_mutex_lock(&d->lock);
    fs_session_unref_locked(session);
    vr_mutex_unlock(&d->lock);
}

void fs_new_session(struct dir_fs *d)
{
    vr_mutex_lock(&d->lock);
    struct fs_session *old = d->session;
    d->session = fs_session_create(d); /* NULL: without memory, requests fail until the next one */
    vr_mutex_unlock(&d->lock);
    /* Closing files may take a while, and who resets a device has its lock. */
    if (old && !fs_task(d, dir_drop_session, old)) {
        dir_drop_session(d, old);
    }
}

static void dir_submit(struct vr_fs *fs, struct vr_fs_req *req)
{
    struct dir_fs *d = dir_of(fs);
    vr_mutex_lock(&d->lock);
    struct fs_session *s = req->session = d->session;
    if (s) {
        s->refs++;
    }
    vr_mutex_unlock(&d->lock);
    if (s) {
        vr_pool_submit(req->urgent ? d->urgent : d->pool, &req->job);
    } else {
        vr_fs_complete(fs, req, 0);
    }
}

static void dir_run(void *opaque, struct vr_job *job)
{
    struct dir_fs *d = opaque;
    if (job->done == dir_task_done) {
        fs_task_run(d, job);
    } else {
        fs_serve(d, vr_fs_req_of(job));
    }
}

static void dir_reset(struct vr_fs *fs)
{
    fs_new_session(dir_of(fs));
}

static void dir_drain(struct vr_fs *fs, bool begin)
{
    struct dir_fs *d = dir_of(fs);
    vr_mutex_lock(&d->lock);
    d->draining = begin;
    vr_mutex_unlock(&d->lock);
    if (begin) {
        fs_locks_interrupt(d, NULL);
    }
}

static void dir_close(struct vr_fs *fs)
{
    struct dir_fs *d = dir_of(fs);
    fs_locks_fini(d);
    vr_pool_destroy(d->pool);
    vr_pool_destroy(d->urgent);
    vr_mutex_lock(&d->lock);
    fs_session_unref_locked(d->session);
    vr_mutex_unlock(&d->lock);
    vr_assert(d->fds == 0 && d->nodes == 0 && d->aheads == 0);
    fs_owners_destroy(d->owners);
    vr_jail_close(d->jail);
    if (d->fs.flight) {
        vr_fs_fini(&d->fs);
    }
    vr_mutex_fini(&d->lock);
    free(d->path);
    free(d);
}

static const struct vr_fs_ops dir_ops = {
    .name = "dir",
    .submit = dir_submit,
    .reset = dir_reset,
    .drain = dir_drain,
    .save = fs_session_save,
    .load = fs_session_load,
    .close = dir_close,
};

/* A quarter of what this process may open: there may be several shares, and disks. */
static int dir_limits(struct dir_fs *d, const struct vr_fs_dir_opts *o, struct vr_error *err)
{
    uint64_t limit = vr_descriptor_limit() / 4;
    d->fds_max = o->fds_max ? o->fds_max : limit > FS_FDS_MAX ? FS_FDS_MAX : (uint32_t)limit;
    d->nodes_max = o->nodes_max ? o->nodes_max : FS_NODES;
    if (d->fds_max < FS_FDS_MIN) {
        return vr_err(
            err, -EMFILE,
            "share %s: this process may open %u files for it, %d are needed; see ulimit -n",
            o->path, d->fds_max, FS_FDS_MIN);
    }
    return 0;
}

int vr_fs_open_dir(const struct vr_fs_dir_opts *o, struct vr_loop *loop, struct vr_fs **ret_fs,
                   struct vr_error *err)
{
    struct stat st;
    struct dir_fs *d = vr_zalloc(sizeof(*d));
    if (!d) {
        return vr_err(err, -ENOMEM, "share %s: no memory", o->path);
    }
    vr_mutex_init(&d->lock);
    d->log = o->log;
    d->cache = o->cache;
    d->read_only = o->read_only;
    d->host_locks = o->host_locks;
    d->user_uid = geteuid();
    d->user_gid = getegid();
    d->root_user = d->user_uid == 0;
    d->uid = o->uid;
    d->gid = o->gid;
    d->path = strdup(o->path);
    int r = d->path ? dir_limits(d, o, err) : vr_err(err, -ENOMEM, "share: no memory");
    r = r < 0 ? r : vr_fs_init(&d->fs, &dir_ops, loop, err);
    r = r < 0 ? r : vr_jail_open(o->path, o->read_only, &d->jail, err);
    if (r == 0 && (r = vr_jail_stat(vr_jail_root(d->jail), &st)) < 0) {
        r = vr_err(err, r, "share %s: %s", o->path, strerror(-r));
    }
    if (r == 0) {
        d->dev = st.st_dev;
        d->owners = fs_owners_create(d->jail);
        d->session = fs_session_create(d);
        r = d->session ? fs_locks_init(d, err)
                       : vr_err(err, -ENOMEM, "share %s: no memory", o->path);
    }
    r = r < 0 ? r : vr_pool_create("vireo-share", FS_THREADS, dir_run, d, &d->pool, err);
    r = r < 0 ? r : vr_pool_create("vireo-share", 1, dir_run, d, &d->urgent, err);
    if (r < 0) {
        dir_close(&d->fs);
        return r;
    }
    if (!o->read_only && !vr_jail_has_xattrs(d->jail)) {
        vr_log(d->log, VR_WARN, "share",
               "%s: its file system keeps no user attributes: in the guest, everything belongs to "
               "one user, and devices cannot be made",
               o->path);
    }
    *ret_fs = &d->fs;
    return 0;
}

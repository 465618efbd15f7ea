/*
 * Locks that the host's programs and other guests see: each lock owner of the guest has a
 * descriptor of its own on the file, which holds its locks (open file description locks, and
 * flock's). A request that waits for a lock takes no thread: it is put aside, and tried again when
 * this guest unlocks something, and every now and then because others do not tell us.
 *
 * Without the option `locks` nothing of this is used: the guest's kernel then keeps its own locks.
 */
#include "backend/fs/server.h"
#include "base/alloc.h"
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { LOCK_RETRY_NS = 20000000, WIRE_READ = 0, WIRE_WRITE = 1, WIRE_NONE = 2 };

static int lock_kind(uint32_t wire, enum vr_jail_lock *ret_kind)
{
    static const enum vr_jail_lock kinds[] = {VR_JAIL_SHARED, VR_JAIL_EXCLUSIVE, VR_JAIL_UNLOCK};
    if (wire > WIRE_NONE) {
        return -EINVAL;
    }
    *ret_kind = kinds[wire];
    return 0;
}

static struct fs_lock *lock_find(struct fs_node *n, uint64_t owner, bool flock)
{
    struct fs_lock *l = n->locks;
    while (l && (l->owner != owner || l->flock != flock || l->gone)) {
        l = l->next;
    }
    return l;
}

static void lock_free(struct dir_fs *d, struct fs_lock *l)
{
    vr_file_close(l->fd);
    d->fds--;
    free(l);
}

/* The owner's descriptor, to be let go by lock_put; made if it has none and @make. */
static int lock_get(struct fs_call *c, struct fs_node *n, uint64_t owner, bool flock, bool make,
                    struct fs_lock **ret_lock)
{
    vr_mutex_lock(&c->d->lock);
    struct fs_lock *l = lock_find(n, owner, flock);
    if (l) {
        l->uses++;
    }
    vr_mutex_unlock(&c->d->lock);
    *ret_lock = l;
    if (l || !make) {
        return 0;
    }
    int r = fs_fd_take(c->s);
    if (r < 0) {
        return r;
    }
    struct fs_lock *new = vr_zalloc(sizeof(*new));
    r = new ? fs_open(c, n, O_RDWR, &new->fd) : -ENOMEM;
    if (r == -EACCES || r == -EROFS || r == -EISDIR) {
        r = fs_open(c, n, O_RDONLY, &new->fd);
    }
    if (r < 0) {
        free(new);
        fs_fd_give(c->d);
        return r;
    }
    vr_mutex_lock(&c->d->lock);
    l = lock_find(n, owner, flock);
    if (l) { /* somebody was quicker */
        lock_free(c->d, new);
    } else {
        l = new;
        l->owner = owner;
        l->flock = flock;
        l->next = n->locks;
        n->locks = l;
    }
    l->uses++;
    vr_mutex_unlock(&c->d->lock);
    *ret_lock = l;
    return 0;
}

static void lock_put(struct fs_call *c, struct fs_lock *l)
{
    vr_mutex_lock(&c->d->lock);
    if (--l->uses == 0 && l->gone) {
        lock_free(c->d, l);
    }
    vr_mutex_unlock(&c->d->lock);
}

void fs_locks_free_locked(struct dir_fs *d, struct fs_node *n)
{
    while (n->locks) {
        struct fs_lock *l = n->locks;
        n->locks = l->next;
        lock_free(d, l);
    }
}

static void lock_retry(struct dir_fs *d, void *arg);

static void lock_retry_soon(struct dir_fs *d)
{
    vr_mutex_lock(&d->lock);
    bool go = d->waiting && !d->retrying;
    d->retrying |= go;
    vr_mutex_unlock(&d->lock);
    if (go && !fs_task(d, lock_retry, NULL)) { /* no memory now */
        vr_mutex_lock(&d->lock);
        d->retrying = false;
        vireo_timer_arm(d->retry, vireo_monotonic_ns() + LOCK_RETRY_NS, 0);
        vr_mutex_unlock(&d->lock);
    }
}

void fs_locks_drop(struct fs_call *c, struct fs_node *n, uint64_t owner, bool flock)
{
    if (!c->d->host_locks) {
        return;
    }
    vr_mutex_lock(&c->d->lock);
    struct fs_lock *l = lock_find(n, owner, flock), **at = &n->locks;
    if (l) {
        while (*at != l) {
            at = &(*at)->next;
        }
        *at = l->next;
        l->gone = true;
        if (l->uses == 0) {
            lock_free(c->d, l);
        }
    }
    vr_mutex_unlock(&c->d->lock);
    if (l) {
        lock_retry_soon(c->d);
    }
}

/* One try; -EAGAIN: somebody else has it. */
static int lock_try(struct fs_call *c)
{
    const struct fuse_lk_in *in = (const void *)c->arg;
    bool flock = in->flags & FUSE_LK_FLOCK;
    enum vr_jail_lock kind;
    struct fs_handle *h = c->handle[0];
    struct fs_lock *l;
    int r = lock_kind(in->lk.type, &kind);
    r = r < 0 ? r : lock_get(c, h->node, in->owner, flock, kind != VR_JAIL_UNLOCK, &l);
    if (r < 0 || !l) {
        return r;
    }
    r = flock ? vr_jail_flock(l->fd, kind) : vr_jail_lock(l->fd, kind, in->lk.start, in->lk.end);
    if (r == 0 && kind != VR_JAIL_UNLOCK) {
        vr_mutex_lock(&c->d->lock);
        l->pid = in->lk.pid;
        vr_mutex_unlock(&c->d->lock);
    }
    lock_put(c, l);
    if (r == 0 && kind != VR_JAIL_EXCLUSIVE) {
        lock_retry_soon(c->d);
    }
    return r;
}

static int lock_wait(struct fs_call *c)
{
    struct dir_fs *d = c->d;
    vr_mutex_lock(&d->lock);
    int r = d->draining || d->session != c->s ? -EINTR
            : d->waiting_count == FS_WAITERS  ? -ENOLCK
                                              : FS_LATER;
    if (r == FS_LATER) {
        c->next = d->waiting;
        d->waiting = c;
        d->waiting_count++;
        vireo_timer_arm(d->retry, vireo_monotonic_ns() + LOCK_RETRY_NS, 0);
    }
    vr_mutex_unlock(&d->lock);
    return r;
}

/* The handle of the file, and the file held open. */
static int lock_start(struct fs_call *c)
{
    const struct fuse_lk_in *in = (const void *)c->arg;
    struct fs_handle *h;
    struct fs_node *n;
    if (!c->d->host_locks) {
        return -ENOSYS;
    }
    int r = fs_handle_get(c, in->fh, false, &h);
    return r < 0 ? r : fs_node_get(c, c->h.nodeid, &n);
}

int op_setlk(struct fs_call *c)
{
    int r = lock_start(c);
    r = r < 0 ? r : lock_try(c);
    return r == -EAGAIN && c->h.opcode == FUSE_SETLKW ? lock_wait(c) : r;
}

int op_getlk(struct fs_call *c)
{
    const struct fuse_lk_in *in = (const void *)c->arg;
    struct fuse_file_lock out = in->lk;
    enum vr_jail_lock kind;
    struct fs_lock *l;
    int r = lock_start(c);
    r = r < 0 ? r : lock_kind(in->lk.type, &kind);
    r = r < 0 ? r : lock_get(c, c->handle[0]->node, in->owner, false, true, &l);
    if (r < 0) {
        return r;
    }
    r = vr_jail_lock_test(l->fd, &kind, &out.start, &out.end);
    out.type = kind == VR_JAIL_SHARED      ? WIRE_READ
               : kind == VR_JAIL_EXCLUSIVE ? WIRE_WRITE
                                           : WIRE_NONE;
    out.pid = 0;
    /* Whose it is the host does not say. Only one can it be: */
    vr_mutex_lock(&c->d->lock);
    for (const struct fs_lock *o = c->handle[0]->node->locks; o; o = o->next) {
        if (o != l && !o->flock && !o->gone && kind != VR_JAIL_UNLOCK) {
            out.pid = out.pid ? 0 : o->pid;
        }
    }
    vr_mutex_unlock(&c->d->lock);
    lock_put(c, l);
    return r < 0 ? r : fs_reply(c, &out, sizeof(out));
}

/* Take the waiting requests that @which chooses off the list. */
static struct fs_call *lock_take(struct dir_fs *d, const struct fs_session *s, uint64_t unique,
                                 bool all)
{
    struct fs_call *taken = NULL, **at = &d->waiting;
    vr_mutex_lock(&d->lock);
    while (*at) {
        struct fs_call *c = *at;
        if (all ? !s || c->s == s : c->s == s && c->h.unique == unique) {
            *at = c->next;
            c->next = taken;
            taken = c;
            d->waiting_count--;
        } else {
            at = &c->next;
        }
    }
    vr_mutex_unlock(&d->lock);
    return taken;
}

static void lock_finish(struct fs_call *c, int result)
{
    while (c) {
        struct fs_call *next = c->next;
        fs_finish(c, result);
        c = next;
    }
}

void fs_locks_interrupt(struct dir_fs *d, const struct fs_session *s)
{
    lock_finish(lock_take(d, s, 0, true), -EINTR);
}

int op_interrupt(struct fs_call *c)
{
    const struct fuse_interrupt_in *in = (const void *)c->arg;
    struct fs_call *waiting = lock_take(c->d, c->s, in->unique, false);
    lock_finish(waiting, -EINTR);
    /* It may be on its way here, or just be tried again: the client is to say it once more (Linux's
     * filesystems/fuse/fuse.rst, "Interrupting filesystem operations"). */
    return waiting ? 0 : -EAGAIN;
}

/* Try them all again. */
static void lock_retry(struct dir_fs *d, void *arg)
{
    (void)arg;
    vr_mutex_lock(&d->lock);
    d->retrying = false;
    vr_mutex_unlock(&d->lock);
    for (struct fs_call *c = lock_take(d, NULL, 0, true), *next; c; c = next) {
        next = c->next;
        int r = lock_try(c);
        r = r == -EAGAIN ? lock_wait(c) : r;
        if (r != FS_LATER) {
            fs_finish(c, r);
        }
    }
}

static void lock_on_timer(void *opaque, uint64_t times)
{
    (void)times;
    lock_retry_soon(opaque);
}

int fs_locks_init(struct dir_fs *d, struct vr_error *err)
{
    if (!d->host_locks) {
        return 0;
    }
    int r = vireo_timers_create("vireo-locks", &d->timers, err);
    return r < 0 ? r : vireo_timer_create(d->timers, lock_on_timer, d, &d->retry, err);
}

void fs_locks_fini(struct dir_fs *d)
{
    if (d->retry) {
        vireo_timer_destroy(d->retry);
    }
    vireo_timers_destroy(d->timers);
}

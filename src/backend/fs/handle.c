/* Files and directories that the guest has opened. */
#include "backend/fs/server.h"
#include "base/alloc.h"
#include "platform/file.h"

#include <errno.h>

void fs_handle_unref_locked(struct fs_session *s, struct fs_handle *h)
{
    if (--h->refs == 0) {
        vr_file_close(h->fd);
        s->d->fds -= h->fd >= 0;
        s->d->aheads -= h->ahead != NULL;
        fs_node_unref_locked(s, h->node);
        vr_mutex_fini(&h->lock);
        free(h->ahead);
        free(h);
    }
}

static struct fs_handle *handle_new(struct fs_node *n, int fd, uint32_t flags, bool dir)
{
    struct fs_handle *h = vr_zalloc(sizeof(*h));
    if (h) {
        *h = (struct fs_handle){.node = n, .fd = fd, .flags = flags, .dir = dir, .refs = 1};
        vr_mutex_init(&h->lock);
        fs_node_ref_locked(n);
    }
    return h;
}

int fs_handle_open(struct fs_call *c, struct fs_node *n, int fd, uint32_t flags, bool dir,
                   uint64_t *ret_id)
{
    vr_mutex_lock(&c->d->lock);
    struct fs_handle *h = handle_new(n, fd, flags, dir);
    uint64_t id = h ? h->id = fs_ids_add(&c->s->handles, h) : 0;
    if (!h) {
        vr_file_close(fd);
        c->d->fds--;
    } else if (!id) {
        fs_handle_unref_locked(c->s, h);
    }
    vr_mutex_unlock(&c->d->lock);
    if (!id) {
        return -ENOMEM;
    }
    *ret_id = id;
    return 0;
}

int fs_handle_put(struct fs_session *s, uint64_t id, struct fs_node *n, int fd, uint32_t flags,
                  bool dir)
{
    vr_mutex_lock(&s->d->lock);
    struct fs_handle *h = handle_new(n, fd, flags, dir);
    bool put = h && fs_ids_put(&s->handles, id, h, FS_HANDLES);
    if (put) {
        h->id = id;
    } else if (h) {
        fs_handle_unref_locked(s, h);
    } else {
        vr_file_close(fd);
        s->d->fds -= fd >= 0;
    }
    vr_mutex_unlock(&s->d->lock);
    return put ? 0 : h ? -EINVAL : -ENOMEM;
}

int fs_handle_get_of(struct fs_call *c, uint64_t id, uint64_t nodeid, bool dir,
                     struct fs_handle **ret_handle)
{
    vr_mutex_lock(&c->d->lock);
    struct fs_handle *h = fs_ids_get(&c->s->handles, id);
    /* A handle is good for its own file alone. One whose file was not there any more when the
     * session was restored has no descriptor. */
    int r = !h || h->node->id != nodeid || h->dir != dir ? -EBADF : h->fd < 0 ? -ESTALE : 0;
    if (r == 0) {
        h->refs++;
        vr_assert(c->handle_count < 2);
        c->handle[c->handle_count++] = *ret_handle = h;
    }
    vr_mutex_unlock(&c->d->lock);
    return r;
}

int fs_handle_get(struct fs_call *c, uint64_t id, bool dir, struct fs_handle **ret_handle)
{
    return fs_handle_get_of(c, id, c->h.nodeid, dir, ret_handle);
}

void fs_handle_release(struct fs_call *c)
{
    vr_mutex_lock(&c->d->lock);
    while (c->handle_count) {
        fs_handle_unref_locked(c->s, c->handle[--c->handle_count]);
    }
    vr_mutex_unlock(&c->d->lock);
}

void fs_handle_remove(struct fs_session *s, uint64_t id)
{
    vr_mutex_lock(&s->d->lock);
    struct fs_handle *h = fs_ids_get(&s->handles, id);
    if (h) {
        fs_ids_remove(&s->handles, id);
        fs_handle_unref_locked(s, h);
    }
    vr_mutex_unlock(&s->d->lock);
}

void fs_handles_fini(struct fs_session *s)
{
    for (uint32_t i = 0; i < s->handles.count; i++) {
        if (s->handles.slot[i].thing) {
            fs_handle_unref_locked(s, s->handles.slot[i].thing);
        }
    }
    fs_ids_fini(&s->handles);
}

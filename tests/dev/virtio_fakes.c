/* Host ends for tests. */
#include "virtio_fakes.h"

#include "backend/fs/wire.h"
#include "core/iov.h"

#include <errno.h>
#include <stdlib.h>

static void mem_blk_do(struct mem_blk *m, struct vr_blk_req *req)
{
    uint64_t off = req->off_bytes;
    for (unsigned i = 0; i < req->iov_count && !m->fail && req->op <= VR_BLK_WRITE; i++) {
        size_t len = req->iov[i].iov_len;
        if (req->op == VR_BLK_READ) {
            memcpy(req->iov[i].iov_base, m->data + off, len);
        } else {
            memcpy(m->data + off, req->iov[i].iov_base, len);
        }
        off += len;
    }
    if (!m->fail && (req->op == VR_BLK_DISCARD || req->op == VR_BLK_WRITE_ZEROES)) {
        memset(m->data + off, req->op == VR_BLK_DISCARD ? 0xdd : 0, (size_t)req->len_bytes);
    }
}

static void mem_blk_run(struct mem_blk *m, struct vr_blk_req *req)
{
    mem_blk_do(m, req);
    vr_blk_complete(&m->blk, req, m->fail);
}

/* With the lock held. */
static void mem_blk_note(struct mem_blk *m, const struct vr_blk_req *req)
{
    m->submitted++;
    m->flushes += req->op == VR_BLK_FLUSH;
    m->last_op = req->op;
    m->last_unmap = req->may_unmap;
    m->last_iovs = req->iov_count;
    m->last_base = req->iov_count ? req->iov[0].iov_base : NULL;
}

static int mem_blk_try(struct vr_blk *blk, struct vr_blk_req *req)
{
    struct mem_blk *m = (struct mem_blk *)blk;
    if (!m->now || m->hold) {
        return -EAGAIN;
    }
    vr_mutex_lock(&m->lock);
    mem_blk_note(m, req);
    m->tried++;
    vr_mutex_unlock(&m->lock);
    mem_blk_do(m, req);
    return m->fail;
}

static void mem_blk_submit(struct vr_blk *blk, struct vr_blk_req *req)
{
    struct mem_blk *m = (struct mem_blk *)blk;
    for (unsigned i = 0; i < req->iov_count && m->ram; i++) {
        const uint8_t *base = req->iov[i].iov_base;
        vr_assert(base >= m->ram->hva && base + req->iov[i].iov_len <= m->ram->hva + m->ram->len);
    }
    vr_mutex_lock(&m->lock);
    mem_blk_note(m, req);
    if (m->hold) {
        req->next = NULL;
        *m->last = req;
        m->last = &req->next;
        m->held++;
        req = NULL;
    }
    vr_mutex_unlock(&m->lock);
    if (req) {
        mem_blk_run(m, req);
    }
}

static void mem_blk_close(struct vr_blk *blk)
{
    vr_mutex_fini(&((struct mem_blk *)blk)->lock);
    vr_blk_fini(blk);
}

static const struct vr_blk_ops mem_blk_ops = {
    .name = "mem",
    .submit = mem_blk_submit,
    .try = mem_blk_try,
    .close = mem_blk_close,
};

void mem_blk_init(struct mem_blk *m, uint64_t size_bytes, struct vr_loop *loop)
{
    *m = (struct mem_blk){
        .blk = {.size_bytes = size_bytes,
                .sector_bytes = 512,
                .optimal_bytes = 4096,
                .discard = true},
    };
    m->last = &m->first;
    vr_mutex_init(&m->lock);
    m->data = calloc(1, (size_t)size_bytes);
    assert_non_null(m->data);
    assert_int_equal(vr_blk_init(&m->blk, &mem_blk_ops, "mem", loop, NULL), 0);
}

static struct vr_blk_req *mem_blk_take(struct mem_blk *m)
{
    vr_mutex_lock(&m->lock);
    struct vr_blk_req *req = m->first;
    if (req) {
        m->first = req->next;
        if (!m->first) {
            m->last = &m->first;
        }
        m->held--;
    }
    vr_mutex_unlock(&m->lock);
    return req;
}

void mem_blk_release(struct mem_blk *m, unsigned count)
{
    struct vr_blk_req *req;
    while (count-- && (req = mem_blk_take(m))) {
        mem_blk_run(m, req);
    }
}

void mem_blk_fini(struct mem_blk *m)
{
    mem_blk_release(m, UINT32_MAX);
    vr_blk_close(&m->blk);
    free(m->data);
}

static void fake_net_send(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len)
{
    struct fake_net *f = (struct fake_net *)net;
    assert_true(f->discard || f->sent_count < FAKE_FRAMES);
    uint8_t *copy = malloc(len);
    size_t at = 0;
    assert_non_null(copy);
    for (unsigned i = 0; i < count; i++) {
        assert_true(iov[i].iov_len <= len - at);
        memcpy(copy + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    assert_int_equal(at, len);
    if (f->discard) {
        free(copy);
        return;
    }
    f->sent[f->sent_count] = copy;
    f->sent_len[f->sent_count++] = len;
}

static void fake_net_resume(struct vr_net *net)
{
    ((struct fake_net *)net)->resumes++;
}

static void fake_net_close(struct vr_net *net)
{
    (void)net;
}

static const struct vr_net_ops fake_net_ops = {
    .name = "fake",
    .send = fake_net_send,
    .resume = fake_net_resume,
    .close = fake_net_close,
};

void fake_net_init(struct fake_net *f, struct vr_loop *loop)
{
    *f = (struct fake_net){.net = {.ops = &fake_net_ops, .loop = loop}};
    vr_mutex_init(&f->net.stats_lock);
}

bool fake_net_offer(struct fake_net *f, const void *frame, size_t len)
{
    return f->net.user.on_frame(f->net.user.opaque, frame, len);
}

void fake_net_forget(struct fake_net *f)
{
    while (f->sent_count) {
        free(f->sent[--f->sent_count]);
    }
}

void fake_net_fini(struct fake_net *f)
{
    fake_net_forget(f);
    vr_mutex_fini(&f->net.stats_lock);
}

static void fake_fs_check(const struct fake_fs *f, const struct iovec *iov, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *base = iov[i].iov_base;
        vr_assert(base >= f->ram->hva && base + iov[i].iov_len <= f->ram->hva + f->ram->len);
    }
}

static void fake_fs_submit(struct vr_fs *fs, struct vr_fs_req *req)
{
    struct fake_fs *f = (struct fake_fs *)fs;
    struct fuse_in_header in = {.unique = 0};
    fake_fs_check(f, req->in, req->in_count);
    fake_fs_check(f, req->out, req->out_count);
    vr_iov_get(req->in, req->in_count, 0, &in, sizeof(in));
    struct fuse_out_header out = {.len = sizeof(out), .unique = in.unique};
    size_t len = vr_iov_put(req->out, req->out_count, 0, &out, sizeof(out));
    vr_fs_complete(fs, req, (uint32_t)len);
}

static void fake_fs_reset(struct vr_fs *fs)
{
    (void)fs;
}

static int fake_fs_save(struct vr_fs *fs, uint8_t **ret_buf, uint32_t *ret_len,
                        struct vr_error *err)
{
    (void)fs;
    (void)err;
    *ret_buf = calloc(1, 4);
    *ret_len = 4;
    return *ret_buf ? 0 : -ENOMEM;
}

static int fake_fs_load(struct vr_fs *fs, const uint8_t *buf, uint32_t len, struct vr_error *err)
{
    (void)fs;
    return len == 4 && buf[0] == 0 ? 0 : vr_err(err, -EINVAL, "not a session of this server");
}

static void fake_fs_close(struct vr_fs *fs)
{
    vr_fs_fini(fs);
}

static const struct vr_fs_ops fake_fs_ops = {
    .name = "fake",
    .submit = fake_fs_submit,
    .reset = fake_fs_reset,
    .save = fake_fs_save,
    .load = fake_fs_load,
    .close = fake_fs_close,
};

void fake_fs_init(struct fake_fs *f, const struct vr_ram *ram, struct vr_loop *loop)
{
    *f = (struct fake_fs){.ram = ram};
    assert_int_equal(vr_fs_init(&f->fs, &fake_fs_ops, loop, NULL), 0);
}

void fake_fs_fini(struct fake_fs *f)
{
    vr_fs_close(&f->fs);
}

int net_setup(void **state, const struct vr_dev_class *cls, const char *opts)
{
    static struct net_fixture f;
    rig_init(&f.rig);
    fake_net_init(&f.net, NULL);
    f.dev = rig_dev(&f.rig, cls, opts);
    vr_virtio_net_attach(f.dev, &f.net.net);
    vd_init(&f.d, &f.rig, f.dev);
    *state = &f;
    return 0;
}

int net_teardown(void **state)
{
    struct net_fixture *f = *state;
    vr_dev_destroy(f->dev);
    fake_net_fini(&f->net);
    rig_fini(&f->rig);
    return 0;
}

struct vr_virtio_net_stats net_stats(const struct net_fixture *f)
{
    struct vr_virtio_net_stats s;
    vr_virtio_net_stats(f->dev, &s);
    return s;
}

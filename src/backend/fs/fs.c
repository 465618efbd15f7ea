/* What all file servers share: requests are jobs in flight. */
#include "backend/fs/fs.h"

struct vr_fs_req *vr_fs_req_of(struct vr_job *job)
{
    return (struct vr_fs_req *)((char *)job - offsetof(struct vr_fs_req, job));
}

static void fs_done(struct vr_job *job, int len)
{
    vr_fs_req_of(job)->done(vr_fs_req_of(job), (uint32_t)len);
}

int vr_fs_init(struct vr_fs *fs, const struct vr_fs_ops *ops, struct vr_loop *loop,
               struct vr_error *err)
{
    fs->ops = ops;
    return vr_flight_create(loop, &fs->flight, err);
}

void vr_fs_fini(struct vr_fs *fs)
{
    vr_flight_destroy(fs->flight);
    fs->flight = NULL;
}

void vr_fs_submit(struct vr_fs *fs, struct vr_fs_req *req)
{
    vr_flight_begin(fs->flight);
    req->job.done = fs_done;
    fs->ops->submit(fs, req);
}

void vr_fs_complete(struct vr_fs *fs, struct vr_fs_req *req, uint32_t len)
{
    vr_flight_complete(fs->flight, &req->job, (int)len);
}

void vr_fs_complete_here(struct vr_fs *fs, struct vr_fs_req *req, uint32_t len)
{
    vr_flight_complete_here(fs->flight, &req->job, (int)len);
}

void vr_fs_reset(struct vr_fs *fs)
{
    fs->ops->reset(fs);
}

void vr_fs_drain(struct vr_fs *fs)
{
    if (fs->ops->drain) {
        fs->ops->drain(fs, true);
    }
    vr_flight_drain(fs->flight);
    if (fs->ops->drain) {
        fs->ops->drain(fs, false);
    }
}

int vr_fs_save(struct vr_fs *fs, uint8_t **ret_buf, uint32_t *ret_len, struct vr_error *err)
{
    return fs->ops->save(fs, ret_buf, ret_len, err);
}

int vr_fs_load(struct vr_fs *fs, const uint8_t *buf, uint32_t len, struct vr_error *err)
{
    return fs->ops->load(fs, buf, len, err);
}

void vr_fs_close(struct vr_fs *fs)
{
    if (fs) {
        vr_fs_drain(fs);
        fs->ops->close(fs);
    }
}

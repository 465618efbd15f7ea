/*
 * Virtio file system device: a pipe for FUSE messages between the guest's kernel and a file server.
 *
 * Queue 0 (hiprio) is for messages that must not wait behind others (FORGET, INTERRUPT), queue 1
 * for all others. A chain is one message, then room for its reply. The device does not look into
 * them: the server gets iovecs into guest RAM, and many at once.
 *
 * A request that is in flight when the driver resets the device ends without touching the ring; it
 * may still write to its buffers until then, and as long as that the device status does not read 0.
 *
 * A snapshot holds the server's session, which finds the guest's open files again by their paths;
 * what cannot be found again is not saved, but refused.
 *
 * Left out: DAX windows (SETUPMAPPING), the notification queue: no driver in Linux uses it.
 * Specification: VIRTIO 1.3, section 5.11.
 */
#include "dev/virtio/fs.h"

#include "backend/fs/fs.h"
#include "backend/fs/wire.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "core/iov.h"
#include "dev/virtio/class.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { Q_HIPRIO, Q_REQUEST, QUEUES };
enum { ID = 26, HIPRIO_SIZE = 128, REQUEST_SIZE = 1024 };
enum { IN_FLIGHT = 256 }; /* of one queue, at a time: this bounds our memory */
/* struct virtio_fs_config (5.11.4) */
enum { C_TAG = 0, C_QUEUES = 36, CONFIG_LEN = 40 };

struct fs;

/* A request in flight. Of the pieces, the first in_count are the message. */
struct fs_req {
    struct vr_fs_req io;
    struct fs *s;
    unsigned queue;
    uint32_t epoch; /* of the queue when it was taken */
    struct vr_virtq_tag tag;
    uint64_t *gpa; /* of each piece of the reply */
    struct iovec iov[];
};

struct fs {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[QUEUES];
    char tag[VR_VIRTIO_FS_TAG_MAX + 1]; /* config */
    uint32_t session_len;               /* state, filled when it is saved */
    uint8_t *session;
    struct vr_fs *fs;           /* host, from here on */
    unsigned in_flight[QUEUES]; /* with those orphaned by a reset; at most IN_FLIGHT */
    bool stalled[QUEUES];       /* the queue waits for that */
    uint64_t requests, failures;
    struct vr_virtio_pci pci; /* of the PCI class only */
};
#define FS(d) ((struct fs *)(d))

/* The driver gets its chain back with the first @len bytes of the reply written. */
static void fs_done(struct vr_fs_req *io, uint32_t len)
{
    struct fs_req *r = io->opaque;
    struct fs *s = r->s;
    struct vr_virtq *q = &s->vq[r->queue];
    vr_dev_lock(&s->dev);
    s->in_flight[r->queue]--;
    /* An answer of no more than a head says that something failed, perhaps half way. */
    uint64_t left = len > sizeof(struct fuse_out_header) ? len : UINT64_MAX;
    for (unsigned i = 0; i < io->out_count && left; i++) {
        uint64_t n = io->out[i].iov_len < left ? io->out[i].iov_len : left;
        vr_dma_wrote(s->dev.env->mem, &s->dev.dma, r->gpa[i], n);
        left -= n;
    }
    if (r->epoch == q->host.epoch) {
        vr_virtq_push(q, r->tag, len);
        vr_virtq_notify(q);
    }
    if (s->stalled[r->queue]) {
        vr_virtio_handle(&s->v, r->queue);
    }
    vr_dev_unlock(&s->dev);
    free(r->gpa);
    free(r);
}

/* Answer with an error, without a server. */
static void fs_refuse(struct fs *s, unsigned queue, const struct vr_chain *chain,
                      const struct fuse_in_header *h, int error)
{
    struct vr_virtq *q = &s->vq[queue];
    struct fuse_out_header out = {.len = sizeof(out), .error = error, .unique = h->unique};
    size_t len = 0;
    s->failures++;
    if (chain->write_bytes >= sizeof(out)) {
        len = vr_chain_write(q, chain, 0, &out, sizeof(out));
    }
    vr_virtq_push(q, chain->tag, (uint32_t)len);
}

static void fs_begin(struct fs *s, unsigned queue, const struct vr_chain *chain)
{
    struct vr_virtq *q = &s->vq[queue];
    struct fuse_in_header h;
    if (vr_chain_read(q, chain, 0, &h, sizeof(h)) < sizeof(h)) {
        q->host.stats.errors++;
        vr_virtio_break(&s->v, "queue %u: request without a header", queue);
        return;
    }
    unsigned count = chain->read_count + chain->write_count;
    struct fs_req *r = s->fs ? vr_zalloc(sizeof(*r) + count * sizeof(r->iov[0])) : NULL;
    uint64_t *gpa = r ? vr_zalloc_array(chain->write_count, sizeof(*gpa)) : NULL;
    if (!gpa) {
        free(r);
        fs_refuse(s, queue, chain, &h, s->fs ? -ENOMEM : -ENOTCONN);
        return;
    }
    memcpy(r->iov, chain->iov, count * sizeof(r->iov[0]));
    memcpy(gpa, chain->gpa + chain->read_count, chain->write_count * sizeof(*gpa));
    r->s = s;
    r->queue = queue;
    r->epoch = q->host.epoch;
    r->tag = chain->tag;
    r->gpa = gpa;
    r->io = (struct vr_fs_req){
        .in = r->iov,
        .in_count = chain->read_count,
        .out = r->iov + chain->read_count,
        .out_count = chain->write_count,
        .done = fs_done,
        .opaque = r,
        .urgent = queue == Q_HIPRIO, /* 5.11.6.2 */
    };
    s->in_flight[queue]++;
    s->requests++;
    vr_fs_submit(s->fs, &r->io);
}

static void fs_handle(struct vr_dev *d, unsigned queue)
{
    struct fs *s = FS(d);
    s->stalled[queue] = false;
    while (!s->stalled[queue]) {
        if (s->in_flight[queue] >= IN_FLIGHT) {
            s->stalled[queue] = true;
        } else if (vr_virtq_pop(&s->vq[queue], s->v.host.chain)) {
            fs_begin(s, queue, s->v.host.chain);
        } else {
            break;
        }
    }
    vr_virtq_notify(&s->vq[queue]);
}

static void fs_config_read(struct vr_dev *d, uint8_t *config)
{
    memcpy(config + C_TAG, FS(d)->tag, strlen(FS(d)->tag));
    vr_store_le32(config + C_QUEUES, QUEUES - Q_REQUEST);
}

static bool fs_queue_busy(struct vr_dev *d, unsigned queue)
{
    return FS(d)->in_flight[queue] > 0;
}

static void fs_reset(struct vr_dev *d)
{
    if (FS(d)->fs) {
        vr_fs_reset(FS(d)->fs);
    }
}

static const uint16_t fs_queue_sizes[QUEUES] = {HIPRIO_SIZE, REQUEST_SIZE};

static const struct vr_virtio_class fs_class = {
    .name = "fs",
    .device_id = ID,
    .queue_count = QUEUES,
    .queue_sizes = fs_queue_sizes,
    .config_len = CONFIG_LEN,
    .config_read = fs_config_read,
    .handle = fs_handle,
    .queue_busy = fs_queue_busy,
    .reset = fs_reset,
};

static int fs_init(struct vr_dev *d, struct vr_error *err)
{
    if (!FS(d)->tag[0]) {
        return vr_err(err, -EINVAL, "tag: a share needs a name for the guest to mount it by");
    }
    return vr_virtio_init(d, &fs_class, vr_virtio_transport_of(d), FS(d)->vq, err);
}

static void fs_drain(struct vr_dev *d)
{
    if (FS(d)->fs) {
        vr_fs_drain(FS(d)->fs);
    }
}

static void fs_quiesce(struct vr_dev *d)
{
    fs_drain(d);
    vr_virtio_quiesce(d);
}

static int fs_saving(struct vr_dev *d, struct vr_error *err)
{
    struct fs *s = FS(d);
    uint8_t *buf = NULL;
    uint32_t len = 0;
    int r = s->fs ? vr_fs_save(s->fs, &buf, &len, err) : 0;
    if (r == 0 && s->fs) {
        free(s->session);
        s->session = buf;
        s->session_len = len;
    }
    return r;
}

static int fs_loaded(struct vr_dev *d, struct vr_error *err)
{
    struct fs *s = FS(d);
    int r = vr_virtio_loaded(d, err);
    if (r < 0 || !s->fs) {
        return r;
    }
    if (s->session_len) {
        return vr_fs_load(s->fs, s->session, s->session_len, err);
    }
    vr_fs_reset(s->fs);
    return 0;
}

static void fs_fini(struct vr_dev *d)
{
    struct fs *s = FS(d);
    vr_virtio_halt(d);
    fs_drain(d);
    vr_assert(s->in_flight[Q_HIPRIO] == 0 && s->in_flight[Q_REQUEST] == 0);
    vr_virtio_fini(d);
    free(s->session);
}

void vr_virtio_fs_attach(struct vr_dev *dev, struct vr_fs *fs)
{
    fs_drain(dev);
    vr_dev_lock(dev);
    FS(dev)->fs = fs;
    vr_dev_unlock(dev);
}

#define VR_SELF struct fs
#define FS_ROWS                                                                               \
    VR_VIRTIO_FIELDS(vq),                                                                     \
        {.name = "tag",                                                                       \
         .offset = offsetof(VR_SELF, tag),                                                    \
         .count = VR_VIRTIO_FS_TAG_MAX + 1,                                                   \
         .elem_size = 1,                                                                      \
         .type = VR_STR,                                                                      \
         .role = VR_ROLE_CONFIG,                                                              \
         .def_str = "share",                                                                  \
         .help = "the name that the guest mounts it by: mount -t virtiofs TAG /mnt"},         \
        VR_STATE(session_len, "bytes of the session", .max = VR_FS_SAVED_MAX),                \
        VR_STATE_BUF(session, session_len, "the files that the guest knows and has opened",   \
                     .max = VR_FS_SAVED_MAX),                                                 \
        VR_HOST(fs, "the file server, attached by the board"),                                \
        VR_HOST(in_flight, "0 when a snapshot is made"),                                      \
        VR_HOST(stalled, "false when nothing is in flight"), VR_HOST(requests, "statistics"), \
        VR_HOST(failures, "statistics")

VR_VIRTIO_CLASSES(fs, "virtio file system: a shared directory", 1, FS_ROWS, .init = fs_init,
                  .reset = vr_virtio_reset, .saving = fs_saving, .loaded = fs_loaded,
                  .quiesce = fs_quiesce, .fini = fs_fini);

/* Host ends that tests hold in their hands: a disk in memory whose requests wait until they are let
 * go, and a network cable with both ends here. */
#ifndef VR_TEST_VIRTIO_FAKES_H
#define VR_TEST_VIRTIO_FAKES_H

#include "rig.h"
#include "virtq_driver.h"

#include "backend/block/block_impl.h"
#include "backend/fs/fs.h"
#include "backend/net/net.h"
#include "dev/virtio/net.h"

/* A disk. */
struct mem_blk {
    struct vr_blk blk;
    uint8_t *data;
    bool hold;                        /* keep requests until mem_blk_release */
    bool now;                         /* do what comes at once, unless held */
    unsigned tried;                   /* so many times */
    struct vr_mutex lock;             /* of the rest, but for set-up */
    struct vr_blk_req *first, **last; /* held */
    unsigned held, submitted, flushes;
    int fail; /* complete everything with this */
    enum vr_blk_op last_op;
    bool last_unmap;
    const void *last_base; /* of the last request's first iovec */
    unsigned last_iovs;
    const struct vr_ram *ram; /* if set, every iovec must lie in it */
};

void mem_blk_init(struct mem_blk *m, uint64_t size_bytes, struct vr_loop *loop);
void mem_blk_release(struct mem_blk *m, unsigned count); /* at most @count, oldest first */
void mem_blk_fini(struct mem_blk *m);

/* A file server that answers every message with a header that says: done. */
struct fake_fs {
    struct vr_fs fs;
    const struct vr_ram *ram; /* every iovec must lie in it */
};

void fake_fs_init(struct fake_fs *f, const struct vr_ram *ram, struct vr_loop *loop);
void fake_fs_fini(struct fake_fs *f);

/* A cable. */
enum { FAKE_FRAMES = 64 };
struct fake_net {
    struct vr_net net;
    uint8_t *sent[FAKE_FRAMES]; /* what the device sent */
    size_t sent_len[FAKE_FRAMES];
    unsigned sent_count, resumes;
    bool discard; /* look at what is sent, and forget it */
};

void fake_net_init(struct fake_net *f, struct vr_loop *loop);
/* A frame for the device; did it take it? */
bool fake_net_offer(struct fake_net *f, const void *frame, size_t len);
void fake_net_forget(struct fake_net *f); /* what was sent so far */
void fake_net_fini(struct fake_net *f);

/* What a test of the network card stands on: as struct vd_fixture, and a cable. */
struct net_fixture {
    struct rig rig;
    struct fake_net net;
    struct vr_dev *dev;
    struct vd d;
};
int net_setup(void **state, const struct vr_dev_class *cls, const char *opts);
int net_teardown(void **state);
struct vr_virtio_net_stats net_stats(const struct net_fixture *f);

#endif

/*
 * Virtio block device: a disk of 512-byte sectors.
 *
 * A request is {le32 type, le32 reserved, le64 sector}, then data the one or the other way, then a
 * status byte that we write. The driver may cut these into descriptors as it likes. Data is never
 * copied: the backend gets iovecs into guest RAM, as many requests at once as the queue has
 * entries. What the host has in memory is read in the driver's notification: the answer is there
 * when that returns.
 *
 * With the writeback field 0, or a driver that does not know flushes, a write is followed by a
 * flush before it is reported (5.2.6.2). A request that is in flight when the driver resets the
 * device ends without touching the ring; a read may still arrive in its buffers then, and as long
 * as that the device status does not read 0.
 *
 * All queues stand under the device's lock; several of them spare a guest with several CPUs its own
 * locks, and give each an interrupt.
 *
 * Left out: LIFETIME and SECURE_ERASE (nothing is worn out or erased for good in a file), ZONED.
 * Specification: VIRTIO 1.3, section 5.2.
 */
#include "dev/virtio/blk.h"

#include "backend/block/block.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "core/iov.h"
#include "dev/virtio/class.h"

#include <errno.h>

enum {
    QUEUES = 16,
    QUEUE_SIZE = 512, /* so that a request of 1 MiB, 256 pages, is one */
    IN_FLIGHT = 256,  /* of one queue, at a time: this bounds our memory */
    SECTOR = 512,
    HEADER = 16,
    ID_BYTES = 20,
    RANGE_BYTES = 16,
    SIZE_MAX_MIN = 4096, /* a page: less makes no driver happy */
    HEADS = 16,          /* the geometry that everybody makes up */
    TRACK_SECTORS = 63,
    RANGES = 16,             /* of one discard or write-zeroes request */
    RANGE_SECTORS = 1 << 22, /* 2 GiB */
    SEGS_KEPT = 64,          /* pieces that a request at rest keeps room for */
    TRY_BYTES = 256 << 10,   /* moved in one notification; the rest is left to threads */
    ID = 2,
};

enum {
    F_SIZE_MAX = 1 << 1,
    F_SEG_MAX = 1 << 2,
    F_GEOMETRY = 1 << 4,
    F_RO = 1 << 5,
    F_BLK_SIZE = 1 << 6,
    F_FLUSH = 1 << 9,
    F_TOPOLOGY = 1 << 10,
    F_CONFIG_WCE = 1 << 11,
    F_MQ = 1 << 12,
    F_DISCARD = 1 << 13,
    F_WRITE_ZEROES = 1 << 14,
};

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

/* struct virtio_blk_config (5.2.4) */
enum {
    C_CAPACITY = 0,
    C_SIZE_MAX = 8,
    C_SEG_MAX = 12,
    C_CYLINDERS = 16,
    C_HEADS = 18,
    C_TRACK_SECTORS = 19,
    C_BLK_SIZE = 20,
    C_PHYSICAL_EXP = 24,
    C_MIN_IO = 26,
    C_OPT_IO = 28,
    C_WRITEBACK = 32,
    C_QUEUES = 34,
    C_MAX_DISCARD = 36,
    C_MAX_DISCARD_SEG = 40,
    C_DISCARD_ALIGN = 44,
    C_MAX_ZEROES = 48,
    C_MAX_ZEROES_SEG = 52,
    C_ZEROES_UNMAP = 56,
    CONFIG_LEN = 60,
};

struct blk;

struct blk_range {
    uint64_t off_bytes, len_bytes;
    bool unmap;
};

/* A request in flight, or at rest in the free list. */
struct blk_req {
    struct vr_blk_req io;
    struct blk *s;
    struct blk_req *next;
    unsigned queue;
    struct vr_virtq_tag tag;
    uint32_t epoch; /* of the queue when it was taken */
    uint32_t type;
    bool flush_after; /* a write that must be stable when it is reported */
    uint8_t *status;  /* the byte to write, in guest RAM */
    uint64_t status_gpa;
    uint32_t written; /* what the driver will hear when all went well */
    unsigned segs, segs_room;
    struct iovec *iov; /* data */
    uint64_t *gpa;     /* of each iovec */
    unsigned ranges, range;
    struct blk_range range_list[RANGES];
};

struct blk_counters {
    uint64_t reads, writes, flushes, discards, failures;
};

struct blk {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[QUEUES];
    char serial[ID_BYTES + 1]; /* config */
    uint16_t queues;
    uint32_t size_max;
    uint32_t seg_max;
    bool writeback;     /* state */
    struct vr_blk *blk; /* host, from here on */
    struct blk_req *free;
    uint64_t try_bytes;         /* left of TRY_BYTES */
    uint16_t in_flight[QUEUES]; /* with those orphaned by a reset; at most IN_FLIGHT */
    bool stalled[QUEUES];       /* the queue waits for that */
    struct blk_counters counters;
    struct vr_virtio_pci pci; /* of the PCI class only */
};
#define BLK(d) ((struct blk *)(d))

static void blk_free_req(struct blk_req *r)
{
    free(r->iov);
    free(r->gpa);
    free(r);
}

static struct blk_req *blk_take_req(struct blk *s)
{
    struct blk_req *r = s->free;
    if (r) {
        s->free = r->next;
    } else {
        r = vr_zalloc(sizeof(*r));
        if (!r) {
            return NULL;
        }
        r->s = s;
    }
    r->segs = r->ranges = r->range = 0;
    return r;
}

static void blk_put_req(struct blk *s, struct blk_req *r)
{
    if (r->segs_room > SEGS_KEPT) {
        free(r->iov);
        free(r->gpa);
        r->iov = NULL;
        r->gpa = NULL;
        r->segs_room = 0;
    }
    r->next = s->free;
    s->free = r;
}

static bool blk_room(struct blk_req *r, unsigned segs)
{
    if (segs <= r->segs_room) {
        return true;
    }
    unsigned room = segs < SEGS_KEPT ? SEGS_KEPT : segs;
    struct iovec *iov = vr_zalloc_array(room, sizeof(*iov));
    uint64_t *gpa = vr_zalloc_array(room, sizeof(*gpa));
    if (!iov || !gpa) {
        free(iov);
        free(gpa);
        return false;
    }
    free(r->iov);
    free(r->gpa);
    r->iov = iov;
    r->gpa = gpa;
    r->segs_room = room;
    return true;
}

/* Give the request back to the driver; the interrupt is the caller's. */
static void blk_finish(struct blk *s, struct blk_req *r, uint8_t status)
{
    struct vr_virtq *q = &s->vq[r->queue];
    if (status != S_OK) {
        vr_tally(&s->counters.failures, 1);
    }
    if (r->epoch == q->host.epoch) {
        *r->status = status;
        vr_dma_wrote(s->dev.env->mem, &s->dev.dma, r->status_gpa, 1);
        /* The status comes last: what lies before it counts only if all of it was written. */
        vr_virtq_push(q, r->tag, status == S_OK ? r->written : r->written == 1);
    }
    blk_put_req(s, r);
}

static void blk_done(struct vr_blk_req *io, int result);

static int blk_step(struct blk *s, struct blk_req *r, int result);

/* Returns the status, or -1 when the request is on its way. */
static int blk_submit(struct blk *s, struct blk_req *r, enum vr_blk_op op, uint64_t off_bytes,
                      uint64_t len_bytes, bool may_unmap)
{
    r->io = (struct vr_blk_req){
        .op = op,
        .may_unmap = may_unmap,
        .off_bytes = off_bytes,
        .len_bytes = len_bytes,
        .iov = r->iov,
        .iov_count = r->segs,
        .done = blk_done,
        .opaque = r,
    };
    if (len_bytes <= s->try_bytes) {
        int result = vr_blk_try(s->blk, &r->io);
        if (result != -EAGAIN) {
            s->try_bytes -= len_bytes;
            return blk_step(s, r, result);
        }
    }
    s->in_flight[r->queue]++;
    vr_blk_submit(s->blk, &r->io);
    return -1;
}

static int blk_submit_range(struct blk *s, struct blk_req *r)
{
    const struct blk_range *range = &r->range_list[r->range++];
    return blk_submit(s, r, r->type == T_DISCARD ? VR_BLK_DISCARD : VR_BLK_WRITE_ZEROES,
                      range->off_bytes, range->len_bytes, range->unmap);
}

static uint8_t blk_status(int result)
{
    return result == 0 ? S_OK : result == -ENOTSUP || result == -EOPNOTSUPP ? S_UNSUPP : S_IOERR;
}

/* A step was done with @result. A request may need more of them: returns the status in the end, or
 * -1 when the next one is on its way. */
static int blk_step(struct blk *s, struct blk_req *r, int result)
{
    if (r->type == T_IN) {
        for (unsigned i = 0; i < r->segs; i++) {
            vr_dma_wrote(s->dev.env->mem, &s->dev.dma, r->gpa[i], r->iov[i].iov_len);
        }
    }
    if (r->epoch != s->vq[r->queue].host.epoch || result < 0) {
        return blk_status(result);
    }
    if (r->range < r->ranges) {
        return blk_submit_range(s, r);
    }
    if (r->flush_after) {
        r->flush_after = false;
        r->segs = 0;
        return blk_submit(s, r, VR_BLK_FLUSH, 0, 0, false);
    }
    return S_OK;
}

/* The backend did what was submitted. */
static void blk_done(struct vr_blk_req *io, int result)
{
    struct blk_req *r = io->opaque;
    struct blk *s = r->s;
    unsigned queue = r->queue;
    vr_dev_lock(&s->dev);
    s->in_flight[queue]--;
    int status = blk_step(s, r, result);
    if (status >= 0) {
        blk_finish(s, r, (uint8_t)status);
        vr_virtq_notify(&s->vq[queue]);
        if (s->stalled[queue]) {
            vr_virtio_handle(&s->v, queue);
        }
    }
    vr_dev_unlock(&s->dev);
}

static bool blk_stable_writes(struct blk *s)
{
    return vr_virtio_has(&s->v, F_CONFIG_WCE) ? !s->writeback : !vr_virtio_has(&s->v, F_FLUSH);
}

/* Is [sector, sector + count) on the disk? */
static bool blk_on_disk(struct blk *s, uint64_t sector, uint64_t count)
{
    return s->blk && vr_in_range(sector, count, s->blk->size_bytes / SECTOR);
}

/* Read or write: the data's pieces go to the backend as they are. */
static int blk_start_rw(struct blk *s, struct blk_req *r, const struct vr_chain *chain,
                        uint64_t sector)
{
    bool in = r->type == T_IN;
    uint64_t off = in ? 0 : HEADER;
    uint64_t len = in ? chain->write_bytes - 1 : chain->read_bytes - HEADER;
    unsigned base = in ? chain->read_count : 0, first;
    unsigned count = in ? chain->write_count : chain->read_count;
    if (len % SECTOR || !blk_on_disk(s, sector, len / SECTOR) || (!in && s->blk->read_only)) {
        return S_IOERR;
    }
    if (!blk_room(r, count)) {
        return S_IOERR;
    }
    r->segs = vr_iov_slice(chain->iov + base, count, off, len, r->iov, &first);
    for (unsigned i = 0; i < r->segs; i++) {
        const struct iovec *whole = &chain->iov[base + first + i];
        r->gpa[i] = chain->gpa[base + first + i] +
                    (uint64_t)((uint8_t *)r->iov[i].iov_base - (uint8_t *)whole->iov_base);
    }
    if (in) {
        r->written = (uint32_t)(len + 1);
        vr_tally(&s->counters.reads, 1);
    } else {
        r->flush_after = blk_stable_writes(s);
        vr_tally(&s->counters.writes, 1);
    }
    return blk_submit(s, r, in ? VR_BLK_READ : VR_BLK_WRITE, sector * SECTOR, len, false);
}

/* Discard or write zeroes: ranges of {le64 sector, le32 sectors, le32 flags}. */
static int blk_start_ranges(struct blk *s, struct blk_req *r, const struct vr_chain *chain)
{
    uint64_t len = chain->read_bytes - HEADER;
    bool discard = r->type == T_DISCARD;
    if (!vr_virtio_has(&s->v, discard ? F_DISCARD : F_WRITE_ZEROES)) {
        return S_UNSUPP;
    }
    if (!s->blk || s->blk->read_only || len == 0 || len % RANGE_BYTES ||
        len / RANGE_BYTES > RANGES) {
        return S_IOERR;
    }
    for (unsigned i = 0; i < len / RANGE_BYTES; i++) {
        uint8_t raw[RANGE_BYTES] = {0};
        vr_chain_read(&s->vq[r->queue], chain, HEADER + (uint64_t)i * RANGE_BYTES, raw,
                      sizeof(raw));
        uint64_t sector = vr_load_le64(raw);
        uint32_t count = vr_load_le32(raw + 8), flags = vr_load_le32(raw + 12);
        if (flags > 1 || (discard && flags)) {
            return S_UNSUPP; /* 5.2.6.2: unknown bits, and unmap on a discard */
        }
        if (count > RANGE_SECTORS || !blk_on_disk(s, sector, count)) {
            return S_IOERR;
        }
        if (count) {
            r->range_list[r->ranges++] = (struct blk_range){
                .off_bytes = sector * SECTOR,
                .len_bytes = (uint64_t)count * SECTOR,
                .unmap = flags & 1,
            };
        }
    }
    vr_tally(&s->counters.discards, 1);
    if (r->ranges == 0) {
        return S_OK;
    }
    r->flush_after = blk_stable_writes(s);
    return blk_submit_range(s, r);
}

static int blk_get_id(struct blk *s, struct blk_req *r, const struct vr_chain *chain)
{
    uint64_t room = chain->write_bytes - 1;
    size_t len = room < ID_BYTES ? (size_t)room : ID_BYTES;
    vr_chain_write(&s->vq[r->queue], chain, 0, s->serial, len);
    r->written = room == len ? (uint32_t)len + 1 : (uint32_t)len;
    return S_OK;
}

/* Returns the status, or -1 when the request is on its way. */
static int blk_start(struct blk *s, struct blk_req *r, const struct vr_chain *chain,
                     uint64_t sector)
{
    switch (r->type) {
    case T_IN:
    case T_OUT:
        return blk_start_rw(s, r, chain, sector);
    case T_FLUSH:
        if (!s->blk) {
            return S_IOERR;
        }
        vr_tally(&s->counters.flushes, 1);
        return blk_submit(s, r, VR_BLK_FLUSH, 0, 0, false);
    case T_GET_ID:
        return blk_get_id(s, r, chain);
    case T_DISCARD:
    case T_WRITE_ZEROES:
        return blk_start_ranges(s, r, chain);
    default:
        return S_UNSUPP;
    }
}

static void blk_begin(struct blk *s, unsigned queue, const struct vr_chain *chain)
{
    struct vr_virtq *q = &s->vq[queue];
    uint8_t header[HEADER];
    if (chain->write_bytes == 0 || chain->read_bytes < HEADER) {
        vr_tally(&q->host.stats.errors, 1);
        vr_virtio_break(&s->v, "request without %s", chain->write_bytes ? "header" : "status");
        return;
    }
    struct blk_req *r = blk_take_req(s);
    if (!r) { /* the host has no memory: this request fails, the next may not */
        uint8_t status = S_IOERR;
        vr_chain_write(q, chain, chain->write_bytes - 1, &status, 1);
        vr_virtq_push(q, chain->tag, chain->write_bytes == 1);
        return;
    }
    vr_chain_read(q, chain, 0, header, sizeof(header));
    unsigned last = chain->read_count + chain->write_count - 1;
    size_t last_off = chain->iov[last].iov_len - 1;
    r->queue = queue;
    r->tag = chain->tag;
    r->epoch = q->host.epoch;
    r->type = vr_load_le32(header);
    r->flush_after = false;
    r->status = (uint8_t *)chain->iov[last].iov_base + last_off;
    r->status_gpa = chain->gpa[last] + last_off;
    r->written = chain->write_bytes == 1;
    int status = blk_start(s, r, chain, vr_load_le64(header + 8));
    if (status >= 0) {
        blk_finish(s, r, (uint8_t)status);
    }
}

static void blk_handle(struct vr_dev *d, unsigned queue)
{
    struct blk *s = BLK(d);
    s->stalled[queue] = false;
    s->try_bytes = TRY_BYTES;
    while (!s->stalled[queue]) {
        if (s->in_flight[queue] >= IN_FLIGHT) {
            /* A driver that resets us again and again finds a bound, too. */
            s->stalled[queue] = true;
        } else if (vr_virtq_pop(&s->vq[queue], s->v.host.chain)) {
            blk_begin(s, queue, s->v.host.chain);
        } else {
            break;
        }
    }
    vr_virtq_notify(&s->vq[queue]);
}

static bool blk_busy(struct vr_dev *d, unsigned queue)
{
    return BLK(d)->in_flight[queue] > 0;
}

static uint64_t blk_features(struct vr_dev *d)
{
    const struct blk *s = BLK(d);
    const struct vr_blk *blk = s->blk;
    uint64_t f = F_SEG_MAX | F_GEOMETRY | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_CONFIG_WCE |
                 (s->size_max ? F_SIZE_MAX : 0) | (s->queues > 1 ? F_MQ : 0);
    if (blk && blk->read_only) {
        return f | F_RO;
    }
    return f | F_WRITE_ZEROES | (blk && blk->discard ? F_DISCARD : 0);
}

static bool blk_negotiated(struct vr_dev *d, uint64_t features)
{
    BLK(d)->writeback = features & F_FLUSH; /* 5.2.5.2 */
    return true;
}

static void blk_config_read(struct vr_dev *d, uint8_t *config)
{
    struct blk *s = BLK(d);
    uint32_t sector = s->blk ? s->blk->sector_bytes : SECTOR;
    uint32_t best = s->blk ? s->blk->optimal_bytes / sector : 0; /* in blocks */
    uint8_t exp = 0;
    while (best >> (exp + 1) && exp < 3) { /* physical blocks of up to 4 KiB */
        exp++;
    }
    uint64_t sectors = s->blk ? s->blk->size_bytes / SECTOR : 0;
    uint64_t cylinders = sectors / (HEADS * TRACK_SECTORS);
    vr_store_le64(config + C_CAPACITY, sectors);
    vr_store_le32(config + C_SIZE_MAX, s->size_max);
    vr_store_le32(config + C_SEG_MAX, s->seg_max);
    vr_store_le16(config + C_CYLINDERS, cylinders < UINT16_MAX ? (uint16_t)cylinders : UINT16_MAX);
    config[C_HEADS] = HEADS;
    config[C_TRACK_SECTORS] = TRACK_SECTORS;
    vr_store_le32(config + C_BLK_SIZE, sector);
    config[C_PHYSICAL_EXP] = exp;
    vr_store_le16(config + C_MIN_IO, (uint16_t)(1u << exp));
    vr_store_le32(config + C_OPT_IO, best);
    config[C_WRITEBACK] = s->writeback;
    vr_store_le16(config + C_QUEUES, s->queues);
    if (blk_features(d) & F_DISCARD) {
        vr_store_le32(config + C_MAX_DISCARD, RANGE_SECTORS);
        vr_store_le32(config + C_MAX_DISCARD_SEG, RANGES);
        vr_store_le32(config + C_DISCARD_ALIGN, best ? best * (sector / SECTOR) : 1);
    }
    if (blk_features(d) & F_WRITE_ZEROES) {
        vr_store_le32(config + C_MAX_ZEROES, RANGE_SECTORS);
        vr_store_le32(config + C_MAX_ZEROES_SEG, RANGES);
        config[C_ZEROES_UNMAP] = s->blk && s->blk->discard;
    }
}

static bool blk_config_write(struct vr_dev *d, uint32_t off, unsigned width, uint64_t val)
{
    if (off != C_WRITEBACK || width != 1 || val > 1 || !vr_virtio_has(&BLK(d)->v, F_CONFIG_WCE)) {
        return false;
    }
    BLK(d)->writeback = val;
    return true;
}

#define FOUR QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE
static const uint16_t blk_queue_sizes[QUEUES] = {FOUR, FOUR, FOUR, FOUR};

static const struct vr_virtio_class blk_class = {
    .name = "blk",
    .device_id = ID,
    .queue_count = QUEUES,
    .queue_sizes = blk_queue_sizes,
    .config_len = CONFIG_LEN,
    .features = blk_features,
    .negotiated = blk_negotiated,
    .config_read = blk_config_read,
    .config_write = blk_config_write,
    .handle = blk_handle,
    .queue_busy = blk_busy,
};

static int blk_init(struct vr_dev *d, struct vr_error *err)
{
    struct blk *s = BLK(d);
    if (s->size_max && s->size_max < SIZE_MAX_MIN) {
        return vr_err(err, -ERANGE, "size_max %u: at least %d, or 0 for no limit", s->size_max,
                      SIZE_MAX_MIN);
    }
    int r = vr_virtio_init(d, &blk_class, vr_virtio_transport_of(d), s->vq, err);
    if (r == 0) {
        s->v.host.queue_count = s->queues;
    }
    return r;
}

static void blk_drain(struct vr_dev *d)
{
    if (BLK(d)->blk) {
        vr_blk_drain(BLK(d)->blk);
    }
}

static void blk_quiesce(struct vr_dev *d)
{
    blk_drain(d);
    vr_virtio_quiesce(d);
}

static void blk_fini(struct vr_dev *d)
{
    struct blk *s = BLK(d);
    vr_virtio_halt(d);
    blk_drain(d);
    for (unsigned i = 0; i < QUEUES; i++) {
        vr_assert(s->in_flight[i] == 0);
    }
    vr_virtio_fini(d);
    while (s->free) {
        struct blk_req *r = s->free;
        s->free = r->next;
        blk_free_req(r);
    }
}

static void blk_counts(struct vr_dev *d, struct vr_counts *to)
{
    const struct blk_counters *c = &BLK(d)->counters;
    to->put(to, -1, "read_requests", true, vr_tally_get(&c->reads), "requests to read");
    to->put(to, -1, "write_requests", true, vr_tally_get(&c->writes), "requests to write");
    to->put(to, -1, "flush_requests", true, vr_tally_get(&c->flushes), "requests to flush");
    to->put(to, -1, "range_requests", true, vr_tally_get(&c->discards),
            "requests to discard, or to write zeroes");
    to->put(to, -1, "failed_requests", true, vr_tally_get(&c->failures),
            "requests that were refused or failed");
    vr_virtio_counts(d, to);
}

void vr_virtio_blk_attach(struct vr_dev *dev, struct vr_blk *blk)
{
    blk_drain(dev);
    vr_dev_lock(dev);
    BLK(dev)->blk = blk;
    vr_virtio_config_changed(&BLK(dev)->v);
    vr_dev_unlock(dev);
}

#define VR_SELF struct blk
#define BLK_ROWS                                                                               \
    VR_VIRTIO_FIELDS(vq),                                                                      \
        VR_CONFIG_STR(                                                                         \
            serial,                                                                            \
            "serial number, up to 20 characters; Linux shows it in /sys/block/vda/serial"),    \
        VR_CONFIG(queues, "request queues", .def = 1, .min = 1, .max = QUEUES),                \
        VR_CONFIG(size_max,                                                                    \
                  "largest piece of a request that the guest is told, bytes; 0: no limit"),    \
        VR_CONFIG(seg_max,                                                                     \
                  "most pieces of a request that the guest is told, beside header and status", \
                  .def = QUEUE_SIZE - 2, .min = 1, .max = VR_CHAIN_SEGS_MAX - 2),              \
        VR_STATE(writeback, "writes may stay in the host's cache until a flush", .def = true), \
        VR_HOST(blk, "the disk, attached by the board"), VR_HOST(free, "requests at rest"),    \
        VR_HOST(try_bytes, "of the notification that is dealt with"),                          \
        VR_HOST(in_flight, "0 when a snapshot is made"),                                       \
        VR_HOST(stalled, "false when nothing is in flight"), VR_HOST(counters, "statistics")

VR_VIRTIO_CLASSES(blk, "virtio disk", 1, BLK_ROWS, .init = blk_init, .reset = vr_virtio_reset,
                  .loaded = vr_virtio_loaded, .quiesce = blk_quiesce, .fini = blk_fini,
                  .counts = blk_counts);

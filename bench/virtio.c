/*
 * What virtio devices cost without a guest: an in-process driver fills rings in guest RAM, and null
 * host ends take what comes. One thread does all of it, so the figures are of one processor; the
 * time of the driver's own work is counted too ("with driver") or not ("device").
 *
 * Prints a table, and exits with 1 when a goal of the last column is missed (--no-goals: does not
 * care; a machine that is busy with other things proves nothing).
 */
#include "backend/block/block_impl.h"
#include "backend/net/net.h"
#include "base/bits.h"
#include "base/err.h"
#include "core/loop.h"
#include "core/space.h"
#include "dev/virtio/blk.h"
#include "dev/virtio/mmio.h"
#include "dev/virtio/net.h"
#include "vireo/host_time.h"

#include <stdio.h>
#include <string.h>

#define RAM_GPA UINT64_C(0x80000000)
enum { RAM_LEN = 16 << 20, SIZE = 256, ROUND_NS = 2000000, ROUNDS = 150, DISK_BYTES = 1 << 30 };
enum { R_FEATURES_SEL = 0x14, R_DRIVER = 0x20, R_DRIVER_SEL = 0x24, R_QUEUE = 0x30, R_SIZE = 0x38 };
enum { R_READY = 0x44, R_NOTIFY = 0x50, R_STATUS = 0x70, R_DESC = 0x80 };
enum { D_NEXT = 1, D_WRITE = 2, D_AVAIL = 1 << 7, D_USED = 1 << 15 };
enum { AREA = 0x4000, DATA = 0x100000, SLOT = 0x2000 }; /* of queues, and of buffers, in RAM */

/* One queue, as a driver sees it: all its entries are used in turn. */
struct queue {
    unsigned index, next; /* next: place of the next descriptor, over two laps when packed */
    uint16_t avail;
};

struct bench {
    struct vr_env env;
    struct vr_ram *ram;
    struct vr_region region;
    struct vr_dev *dev;
    bool packed;
    struct queue q;
    struct vr_blk blk;
    struct vr_net net;
    uint64_t frames, bytes;
    uint64_t device_ns; /* in notifications, and in the loop */
};

static uint8_t *at(struct bench *b, uint64_t off)
{
    return b->ram->hva + off;
}

static void set(struct bench *b, unsigned reg, uint64_t val)
{
    vr_dev_write(b->dev, 0, reg, 4, val);
}

/* --- Null host ends, and a device that gives back what it gets --- */

static void null_blk_submit(struct vr_blk *blk, struct vr_blk_req *req)
{
    vr_blk_complete(blk, req, 0);
}
static const struct vr_blk_ops null_blk_ops = {.name = "null", .submit = null_blk_submit};

static void null_net_send(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len)
{
    struct bench *b = (struct bench *)((char *)net - offsetof(struct bench, net));
    (void)iov;
    (void)count;
    b->frames++;
    b->bytes += len;
}
static void null_net_resume(struct vr_net *net)
{
    (void)net;
}
static const struct vr_net_ops null_net_ops = {
    .name = "null", .send = null_net_send, .resume = null_net_resume};

struct sink {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[1];
};

static void sink_handle(struct vr_dev *d, unsigned queue)
{
    struct sink *s = (struct sink *)d;
    while (vr_virtq_pop(&s->vq[queue], s->v.host.chain)) {
        vr_virtq_push(&s->vq[queue], s->v.host.chain->tag, 0);
    }
    vr_virtq_notify(&s->vq[queue]);
}

static const uint16_t sink_sizes[] = {SIZE};
static const struct vr_virtio_class sink_virtio = {.name = "sink",
                                                   .device_id = 42,
                                                   .queue_count = 1,
                                                   .queue_sizes = sink_sizes,
                                                   .handle = sink_handle};
static int sink_init(struct vr_dev *d, struct vr_error *err)
{
    return vr_virtio_init(d, &sink_virtio, &vr_virtio_mmio, ((struct sink *)d)->vq, err);
}
#define VR_SELF struct sink
static const struct vr_field sink_fields[] = {VR_VIRTIO_FIELDS(vq), VR_FIELD_END};
static const struct vr_dev_class sink_class = {.name = "sink",
                                               .help = "gives back what it gets",
                                               .size = sizeof(struct sink),
                                               .version = 1,
                                               .fields = sink_fields,
                                               .windows = {VR_VIRTIO_MMIO_WINDOW},
                                               .init = sink_init,
                                               .reset = vr_virtio_reset,
                                               .loaded = vr_virtio_loaded,
                                               .fini = vr_virtio_fini};

/* --- The driver --- */

static void start(struct bench *b, const struct vr_dev_class *cls, const char *opts, bool packed,
                  unsigned queue, uint64_t features)
{
    struct vr_error err = {0};
    *b = (struct bench){.packed = packed};
    vr_assert(vr_clock_create(VR_CLOCK_REAL, &b->env.clock, NULL) == 0);
    vr_clock_start(b->env.clock);
    vr_assert(vr_space_create("mem", UINT64_MAX >> 8, &b->env.mem, NULL) == 0);
    vr_assert(vr_loop_create(&b->env.loop, NULL) == 0);
    vr_assert(vr_ram_create("ram", RAM_LEN, &b->ram, NULL) == 0);
    memset(b->ram->hva, 0, RAM_LEN); /* its pages are there */
    b->region = (struct vr_region){
        .name = "ram", .kind = VR_REGION_RAM, .gpa = RAM_GPA, .len = RAM_LEN, .ram = b->ram};
    vr_assert(vr_space_add(b->env.mem, &b->region, NULL) == 0);
    if (vr_dev_create(cls, "dev", opts, &b->env, &b->dev, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
    }
    vr_assert(b->dev != NULL);
    vr_assert(vr_blk_init(&b->blk, &null_blk_ops, "null", b->env.loop, NULL) == 0);
    b->blk.size_bytes = DISK_BYTES;
    b->blk.sector_bytes = 512;
    b->net = (struct vr_net){.ops = &null_net_ops, .loop = b->env.loop, .takes_large = true};
    vr_mutex_init(&b->net.stats_lock);
    if (cls == &vr_virtio_blk_mmio_class) {
        vr_virtio_blk_attach(b->dev, &b->blk);
    } else if (cls == &vr_virtio_net_mmio_class) {
        vr_virtio_net_attach(b->dev, &b->net);
    }
    features |=
        VR_VIRTIO_F_VERSION_1 | VR_VIRTIO_F_EVENT_IDX | (packed ? VR_VIRTIO_F_RING_PACKED : 0);
    set(b, R_STATUS, 3);
    for (unsigned i = 0; i < 2; i++) {
        set(b, R_DRIVER_SEL, i);
        set(b, R_DRIVER, (uint32_t)(features >> (32 * i)));
    }
    set(b, R_STATUS, 11);
    b->q.index = queue;
    set(b, R_QUEUE, queue);
    set(b, R_SIZE, SIZE);
    for (unsigned i = 0; i < 3; i++) {
        set(b, R_DESC + 16 * i, (uint32_t)(RAM_GPA + i * AREA));
        set(b, R_DESC + 16 * i + 4, (RAM_GPA + i * AREA) >> 32);
    }
    set(b, R_READY, 1);
    set(b, R_STATUS, 15);
    vr_assert(vr_dev_read(b->dev, 0, R_STATUS, 4) == 15);
}

static void stop(struct bench *b)
{
    vr_assert(vr_dev_read(b->dev, 0, R_STATUS, 4) == 15 && b->dev->guest_errors == 0);
    vr_dev_destroy(b->dev);
    vr_mutex_fini(&b->net.stats_lock);
    vr_blk_fini(&b->blk);
    vr_loop_destroy(b->env.loop);
    vr_space_remove(b->env.mem, &b->region);
    vr_space_destroy(b->env.mem);
    vr_ram_destroy(b->ram);
    vr_clock_destroy(b->env.clock);
}

/* One descriptor at the next place. */
static void put(struct bench *b, uint64_t off, uint32_t len, unsigned flags)
{
    unsigned i = b->q.next % SIZE;
    uint8_t *p = at(b, 16 * i);
    vr_store_le64(p, RAM_GPA + off);
    vr_store_le32(p + 8, len);
    if (b->packed) {
        vr_store_le16(p + 12, (uint16_t)i);
        flags |= b->q.next / SIZE % 2 ? D_USED : D_AVAIL;
        vr_store_le16(p + 14, (uint16_t)flags);
    } else {
        vr_store_le16(p + 12, (uint16_t)flags);
        vr_store_le16(p + 14, (uint16_t)((i + 1) % SIZE));
    }
    b->q.next = (b->q.next + 1) % (2 * SIZE);
}

/* A chain was put, which began at place @head. */
static void publish(struct bench *b, unsigned head)
{
    if (!b->packed) {
        vr_store_le16(at(b, AREA) + 4 + 2 * (b->q.avail % SIZE), (uint16_t)(head % SIZE));
        b->q.avail++;
    }
}

static void kick(struct bench *b)
{
    if (!b->packed) {
        /* No interrupts: nobody would look at them. */
        vr_store_le16(at(b, AREA) + 4 + 2 * SIZE, (uint16_t)(b->q.avail - 0x4000));
        __atomic_store_n((uint16_t *)(void *)(at(b, AREA) + 2), VR_LE_(16, b->q.avail),
                         __ATOMIC_RELEASE);
    } else {
        vr_store_le16(at(b, AREA) + 2, 1);
    }
    uint64_t t = vireo_monotonic_ns();
    set(b, R_NOTIFY, b->q.index);
    b->device_ns += vireo_monotonic_ns() - t;
}

/* How many chains came back in all: split rings tell. */
static uint16_t used(struct bench *b)
{
    return vr_load_le16(at(b, 2 * AREA) + 2);
}

/* --- What is measured --- */

struct load {
    const char *name;
    const struct vr_dev_class *cls;
    const char *opts;
    unsigned queue, chains, descs; /* chains a round, and descriptors of each */
    uint32_t len;                  /* of the data */
    uint64_t features;
    double goal; /* of the unit, in a second */
    const char *unit;
    double per_chain; /* units in a chain */
};

static void fill(struct bench *b, const struct load *l)
{
    for (unsigned i = 0; i < l->chains; i++) {
        unsigned head = b->q.next;
        uint64_t data = DATA + (uint64_t)i * SLOT;
        if (l->cls == &vr_virtio_blk_mmio_class) {
            uint8_t *header = at(b, data);
            vr_store_le32(header, 0);
            vr_store_le64(header + 8, i * 8);
            put(b, data, 16, D_NEXT);
            put(b, data + 0x1000, l->len, D_NEXT | D_WRITE);
            put(b, data + 64, 1, D_WRITE);
        } else if (l->cls == &vr_virtio_net_mmio_class && l->queue == 1) {
            put(b, data, 12, D_NEXT);
            put(b, data + 64, l->len, 0);
        } else if (l->cls == &vr_virtio_net_mmio_class) {
            put(b, data, 12 + 1514, D_WRITE);
        } else {
            for (unsigned k = 0; k < l->descs; k++) {
                put(b, data + 64 * k, l->len, k + 1 < l->descs ? D_NEXT : 0);
            }
        }
        publish(b, head);
    }
}

/* A round: chains are made, the device is told, and all come back. */
static void once(struct bench *b, const struct load *l, const uint8_t *frame)
{
    uint16_t want = (uint16_t)(b->q.avail + l->chains);
    fill(b, l);
    kick(b);
    if (l->cls == &vr_virtio_net_mmio_class && l->queue == 0) {
        uint64_t t = vireo_monotonic_ns();
        for (unsigned i = 0; i < l->chains; i++) {
            vr_assert(b->net.user.on_frame(b->net.user.opaque, frame, l->len));
        }
        b->device_ns += vireo_monotonic_ns() - t;
    } else if (l->cls == &vr_virtio_blk_mmio_class) {
        uint64_t t = vireo_monotonic_ns();
        const struct vr_virtq_host *q = &vr_virtio_of(b->dev)->host.vq[0].host;
        while (vr_tally_get(&q->stats.chains) &&
               vr_hist_count(&q->stats.latency) != vr_tally_get(&q->stats.chains)) {
            vr_loop_turn(b->env.loop, 0);
        }
        b->device_ns += vireo_monotonic_ns() - t;
    }
    vr_assert(b->packed || used(b) == want);
}

/* Returns whether the goal was met. */
static bool measure(const struct load *l, bool packed)
{
    struct bench b;
    uint8_t frame[1600] = {0x52, 0x56, 0x52, 0x00, 0x00, 0x01, 2, 2, 2, 2, 2, 2, 0x88, 0xb5};
    double with = 0, device = 0;
    start(&b, l->cls, l->opts, packed, l->queue, l->features);
    /* The best of many short rounds: others use the processor, too. */
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t t0 = vireo_monotonic_ns(), count = 0, now;
        b.device_ns = 0;
        do {
            once(&b, l, frame);
            count += l->chains;
            now = vireo_monotonic_ns();
        } while (now - t0 < ROUND_NS);
        double units = (double)count * l->per_chain * 1e9;
        double a = units / (double)(now - t0), d = units / (double)b.device_ns;
        with = a > with ? a : with;
        device = d > device ? d : device;
    }
    bool met = device >= l->goal;
    printf("%-34s %-6s %9.2f %9.2f  %-8s", l->name, packed ? "packed" : "split", device / 1e6,
           with / 1e6, l->unit);
    if (l->goal > 0) {
        printf(" %5.1f %s", l->goal / 1e6, met ? "met" : "MISSED");
    }
    printf("\n");
    fflush(stdout);
    stop(&b);
    return met;
}

int main(int argc, char **argv)
{
    bool goals = !(argc > 1 && strcmp(argv[1], "--no-goals") == 0), met = true;
    static const struct vr_dev_class *const net = &vr_virtio_net_mmio_class;
    static const struct vr_dev_class *const blk = &vr_virtio_blk_mmio_class;
    const struct load loads[] = {
        {"rings, 1 descriptor a chain", &sink_class, "packed=on", 0, SIZE, 1, 64, 0, 10e6,
         "M desc/s", 1},
        {"rings, 4 descriptors a chain", &sink_class, "packed=on", 0, SIZE / 4, 4, 64, 0, 10e6,
         "M desc/s", 4},
        {"net, sent, 64 B", net, "packed=on", 1, SIZE / 2, 2, 64, 0, 0, "M pkt/s", 1},
        {"net, sent, 1500 B", net, "packed=on", 1, SIZE / 2, 2, 1514, 0, 10e9, "Mbit/s", 1514 * 8},
        {"net, received, 64 B", net, "packed=on", 0, SIZE / 2, 1, 64, 0, 0, "M pkt/s", 1},
        {"net, received, 1500 B", net, "packed=on", 0, SIZE / 2, 1, 1514, 0, 10e9, "Mbit/s",
         1514 * 8},
        {"blk, 4 KiB reads, depth 1", blk, "packed=on", 0, 1, 3, 4096, 0, 0, "M req/s", 1},
        {"blk, 4 KiB reads, depth 32", blk, "packed=on", 0, 32, 3, 4096, 0, 1e6, "M req/s", 1},
    };
    printf("%-34s %-6s %9s %9s  %-8s goal\n", "what", "ring", "device", "with drv.", "unit");
    for (unsigned i = 0; i < VR_COUNT(loads); i++) {
        met &= measure(&loads[i], false);
        met &= measure(&loads[i], true);
    }
    return goals && !met;
}

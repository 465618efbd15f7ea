/*
 * A hostile driver for every virtio device: the input is a program of register accesses, ring and
 * memory writes, host events, snapshots and restarts (enum op below). The rings are set up first,
 * so that programs get deep at once; a restart is one operation.
 *
 * Beyond what the sanitizers see, every iovec that reaches a host end must lie in guest RAM, and at
 * the end the device must restart and be healthy.
 */
#include "fuzz.h"

#include "backend/block/block_impl.h"
#include "backend/chr/chr.h"
#include "backend/net/net.h"
#include "base/bits.h"
#include "core/snap.h"
#include "dev/virtio/balloon.h"
#include "dev/virtio/blk.h"
#include "dev/virtio/console.h"
#include "dev/virtio/input.h"
#include "dev/virtio/mmio.h"
#include "dev/virtio/net.h"
#include "dev/virtio/rng.h"
#include "dev/virtio/scsi.h"

#include <string.h>

enum { PORTS = 2 }; /* of the console */
enum { RAM_LEN = 1 << 17, DISK_LEN = 1 << 16, QUEUE_LEN = 0x1000, TABLES = 0x8000, DATA = 0xa000 };
#define RAM_GPA UINT64_C(0x80000000)
#define WINDOW  UINT64_C(0x10001000)

enum op {
    OP_WRITE,    /* u16 offset, u32 value: a register */
    OP_READ,     /* u16 offset */
    OP_POKE,     /* u32 offset, u8 len, bytes: RAM */
    OP_DESC,     /* u8 queue, u8 index, u8 where, u32 offset, u32 len, u8 flags, u8 next
                  */
    OP_PUBLISH,  /* u8 queue, u8 head, u8 kick */
    OP_INPUT,    /* u8 port, u16 len: from the host end */
    OP_TURN,     /* time goes by, the loop turns, held disk requests are done */
    OP_HOLD,     /* u8: the disk keeps requests, or fails them */
    OP_SNAPSHOT, /* save and load */
    OP_RESTART,  /* u8 ring features (enum ring), u8 other features */
    OP_RESIZE,   /* u16 columns, u16 rows; link up or down; balloon: u32 target, u8 hints */
    OP_COUNT,
};
enum ring { RING_INDIRECT = 1, RING_EVENT = 2, RING_PACKED = 4, RING_IN_ORDER = 8, RING_DATA = 16 };
/* Where a descriptor points. */
enum { AT_DATA, AT_TABLE, AT_RAM, AT_WINDOW, AT_WILD, AT_COUNT };

struct fuzz_blk {
    struct vr_blk blk;
    uint8_t data[DISK_LEN];
    uint8_t mode; /* bit 0: hold, bit 1: fail */
    struct vr_blk_req *held;
};

struct fuzz {
    struct fuzz_reader in;
    struct vr_env env;
    struct vr_ram *ram;
    struct vr_region region;
    struct fuzz_blk blk;
    struct vr_net net;
    struct vr_chr *chr[PORTS];
    struct vr_dev *dev;
    unsigned kind;
    bool packed;
    uint8_t chains[8][32][16]; /* packed: descriptors, until they are published */
    unsigned place[8];         /* packed: how many were published in all */
    uint64_t sum;              /* of the bytes that came out, so that all of them are read */
};

static const struct vr_dev_class *const kinds[] = {
    &vr_virtio_blk_mmio_class,   &vr_virtio_net_mmio_class,     &vr_virtio_console_mmio_class,
    &vr_virtio_rng_mmio_class,   &vr_virtio_balloon_mmio_class, &vr_virtio_scsi_mmio_class,
    &vr_virtio_input_mmio_class,
};

static uint64_t take(struct fuzz *f, unsigned width)
{
    return fuzz_take(&f->in, width);
}

/* --- Host ends --- */

/* All of it can be read, and is guest RAM, but for what a card makes itself (@made): checksums, and
 * the pieces of large packets. */
static void check_iov(struct fuzz *f, const struct iovec *iov, unsigned count, bool made)
{
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *p = iov[i].iov_base;
        bool in_ram = p >= f->ram->hva && p + iov[i].iov_len <= f->ram->hva + RAM_LEN;
        vr_assert(in_ram || made);
        for (size_t k = 0; k < iov[i].iov_len; k += 1 + iov[i].iov_len / 64) {
            f->sum += p[k];
        }
    }
}

static void fuzz_blk_run(struct fuzz_blk *b, struct vr_blk_req *req)
{
    uint64_t off = req->off_bytes;
    for (unsigned i = 0; i < req->iov_count && req->op <= VR_BLK_WRITE; i++) {
        size_t len = req->iov[i].iov_len;
        vr_assert(vr_in_range(off, len, DISK_LEN));
        if (req->op == VR_BLK_READ) {
            memcpy(req->iov[i].iov_base, b->data + off, len);
        } else {
            memcpy(b->data + off, req->iov[i].iov_base, len);
        }
        off += len;
    }
    vr_blk_complete(&b->blk, req, b->mode & 2 ? -5 : 0);
}

static void fuzz_blk_submit(struct vr_blk *blk, struct vr_blk_req *req)
{
    struct fuzz_blk *b = (struct fuzz_blk *)blk;
    struct fuzz *f = (struct fuzz *)((char *)b - offsetof(struct fuzz, blk));
    check_iov(f, req->iov, req->iov_count, false);
    if (b->mode & 1) {
        req->next = b->held;
        b->held = req;
    } else {
        fuzz_blk_run(b, req);
    }
}

static void fuzz_blk_release(struct fuzz_blk *b)
{
    while (b->held) {
        struct vr_blk_req *req = b->held;
        b->held = req->next;
        fuzz_blk_run(b, req);
    }
}

static const struct vr_blk_ops fuzz_blk_ops = {.name = "fuzz", .submit = fuzz_blk_submit};

static void fuzz_net_send(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len)
{
    struct fuzz *f = (struct fuzz *)((char *)net - offsetof(struct fuzz, net));
    size_t sum = 0;
    check_iov(f, iov, count, true);
    for (unsigned i = 0; i < count; i++) {
        sum += iov[i].iov_len;
    }
    vr_assert(sum == len && len <= VR_NET_FRAME_MAX);
}

static void fuzz_net_resume(struct vr_net *net)
{
    (void)net;
}

static const struct vr_net_ops fuzz_net_ops = {
    .name = "fuzz", .send = fuzz_net_send, .resume = fuzz_net_resume};

/* --- The driver --- */

static void set(struct fuzz *f, unsigned reg, uint64_t val)
{
    vr_dev_write(f->dev, 0, reg, 4, val);
}

static uint64_t queue_gpa(unsigned queue)
{
    return RAM_GPA + (uint64_t)(queue % 8) * QUEUE_LEN;
}

static void restart(struct fuzz *f, uint8_t ring, uint8_t other)
{
    uint64_t offered = 0;
    set(f, 0x70, 0);
    set(f, 0x70, 3);
    for (unsigned i = 0; i < 2; i++) {
        set(f, 0x14, i);
        offered |= vr_dev_read(f->dev, 0, 0x10, 4) << (32 * i);
    }
    static const uint64_t ring_features[] = {VR_VIRTIO_F_INDIRECT_DESC, VR_VIRTIO_F_EVENT_IDX,
                                             VR_VIRTIO_F_RING_PACKED, VR_VIRTIO_F_IN_ORDER,
                                             VR_VIRTIO_F_NOTIFICATION_DATA};
    for (unsigned i = 0; i < VR_COUNT(ring_features); i++) {
        offered &= ring >> i & 1 ? UINT64_MAX : ~ring_features[i];
    }
    f->packed = ring & RING_PACKED;
    memset(f->place, 0, sizeof(f->place));
    offered &= ~(uint64_t)other; /* some of the device's own */
    for (unsigned i = 0; i < 2; i++) {
        set(f, 0x24, i);
        set(f, 0x20, (uint32_t)(offered >> (32 * i)));
    }
    set(f, 0x70, 11);
    for (unsigned q = 0; q < 6; q++) {
        uint64_t gpa = queue_gpa(q);
        memset(f->ram->hva + (gpa - RAM_GPA), 0, QUEUE_LEN);
        set(f, 0x30, q);
        set(f, 0x38, 16);
        for (unsigned i = 0; i < 3; i++) { /* 0x400 apart */
            set(f, 0x80 + 16 * i, (uint32_t)(gpa + 0x400 * i));
            set(f, 0x84 + 16 * i, (gpa + 0x400 * i) >> 32);
        }
        set(f, 0x44, 1);
    }
    set(f, 0x70, 15);
}

static void op_desc(struct fuzz *f)
{
    unsigned queue = (unsigned)take(f, 1), index = (unsigned)take(f, 1);
    unsigned where = (unsigned)take(f, 1) % AT_COUNT;
    uint64_t off = take(f, 4), len = take(f, 4), flags = take(f, 1), next = take(f, 1);
    static const uint64_t base[AT_COUNT] = {RAM_GPA + DATA, RAM_GPA + TABLES, RAM_GPA, WINDOW, 0};
    uint64_t gpa = where == AT_WILD ? off * UINT64_C(0x100000001) : base[where] + off % RAM_LEN;
    /* The upper half of the queue numbers are tables of indirect descriptors. */
    uint64_t at =
        queue & 0x80 ? TABLES + (uint64_t)(queue & 0x7f) % 16 * 512 : queue_gpa(queue) - RAM_GPA;
    uint8_t *p = f->ram->hva + at + index % 32 * 16;
    if (f->packed && !(queue & 0x80)) {
        p = f->chains[queue % 8][index % 32];
    }
    vr_store_le64(p, gpa);
    vr_store_le32(p + 8, (uint32_t)len);
    vr_store_le16(p + (f->packed ? 14 : 12), (uint16_t)flags);
    vr_store_le16(p + (f->packed ? 12 : 14), (uint16_t)next);
}

/* The chain that begins at @head, into the ring. */
static void publish_packed(struct fuzz *f, unsigned queue, unsigned head)
{
    uint8_t *ring = f->ram->hva + (queue_gpa(queue) - RAM_GPA);
    for (unsigned i = 0; i < 20; i++) {
        unsigned place = f->place[queue]++;
        uint8_t *from = f->chains[queue][(head + i) % 32], *to = ring + place % 16 * 16;
        uint16_t flags = vr_load_le16(from + 14);
        memcpy(to, from, 14);
        /* Bit 7 of what the program gave makes the mark a wrong one. */
        bool lap = (place / 16 % 2 == 0) != (flags >> 7 & 1);
        vr_store_le16(to + 14, (uint16_t)((flags & 0x7f) | (lap ? 1 << 7 : 1 << 15)));
        if (!(flags & 1)) {
            break;
        }
    }
}

static void op_publish(struct fuzz *f)
{
    unsigned queue = (unsigned)take(f, 1), head = (unsigned)take(f, 1);
    uint8_t *avail = f->ram->hva + (queue_gpa(queue) - RAM_GPA) + 0x400;
    uint16_t index = vr_load_le16(avail + 2);
    if (f->packed) {
        publish_packed(f, queue % 8, head);
    } else {
        vr_store_le16(avail + 4 + index % 16 * 2, (uint16_t)head);
        vr_store_le16(avail + 2, (uint16_t)(index + 1));
    }
    if (take(f, 1) & 1) {
        set(f, 0x50, queue % 8);
    }
}

static void op_poke(struct fuzz *f)
{
    uint64_t off = take(f, 4) % (RAM_LEN - 256), len = take(f, 1);
    for (unsigned i = 0; i < len; i++) {
        f->ram->hva[off + i] = (uint8_t)take(f, 1);
    }
}

static void op_input(struct fuzz *f)
{
    uint8_t frame[2048];
    unsigned port = (unsigned)take(f, 1) % 2;
    size_t len = take(f, 2) % sizeof(frame);
    for (size_t i = 0; i < len; i++) {
        frame[i] = i < 64 ? (uint8_t)take(f, 1) : (uint8_t)i;
    }
    if (f->kind == 1) {
        (void)f->net.user.on_frame(f->net.user.opaque, frame, len);
    } else if (f->kind == 2) {
        (void)vr_chr_mem_feed(f->chr[port], frame, len);
    }
}

static void op_turn(struct fuzz *f)
{
    fuzz_blk_release(&f->blk);
    vr_clock_step(f->env.clock, 100000);
    vr_loop_turn(f->env.loop, 0);
}

static void op_snapshot(struct fuzz *f)
{
    struct vr_snap snap;
    f->blk.mode &= (uint8_t)~1; /* or draining would wait for ever */
    fuzz_blk_release(&f->blk);
    vr_dev_quiesce(f->dev);
    vr_snap_init(&snap);
    vr_assert(vr_dev_save(f->dev, &snap, NULL) == 0);
    vr_assert(vr_dev_load(f->dev, &snap, NULL) == 0); /* what we save we can load */
    vr_snap_fini(&snap);
}

static void op_write(struct fuzz *f)
{
    uint64_t off = take(f, 2);
    unsigned width = 1u << (off >> 14);
    off = off % (VR_VIRTIO_MMIO_LEN - width + 1);
    vr_dev_write(f->dev, 0, off, off < 0x100 && off % 4 == 0 ? 4 : width, take(f, 4));
}

static void op_read(struct fuzz *f)
{
    uint64_t off = take(f, 2);
    unsigned width = 1u << (off >> 14);
    off = off % (VR_VIRTIO_MMIO_LEN - width + 1);
    f->sum += vr_dev_read(f->dev, 0, off, off < 0x100 && off % 4 == 0 ? 4 : width);
}

/* The disk comes and goes, the disc too; u8: which. */
static void op_plug(struct fuzz *f)
{
    const struct vr_virtio_scsi_unit disk = {.kind = VR_SCSI_DISK, .blk = &f->blk.blk};
    bool disc = take(f, 1) & 1;
    f->blk.mode &= 2; /* going waits for what is in flight */
    fuzz_blk_release(&f->blk);
    if (disc) {
        vr_assert(vr_virtio_scsi_medium(f->dev, 1, 0, take(f, 1) & 1 ? &f->blk.blk : NULL, NULL) ==
                  0);
    } else if (vr_virtio_scsi_unplug(f->dev, 0, 0, NULL) < 0) {
        vr_assert(vr_virtio_scsi_plug(f->dev, &disk, NULL) == 0);
    }
}

static void hinted(void *opaque, const void *hva, uint64_t len)
{
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)hva, .iov_len = (size_t)len};
    check_iov(opaque, &piece, 1, false);
}

static void op_hints(struct fuzz *f, unsigned what)
{
    if (what == 1) {
        f->sum += vr_virtio_balloon_hints_begin(f->dev, hinted, f);
    } else if (what) {
        vr_virtio_balloon_hints_end(f->dev, what == 3);
    }
}

static void run(struct fuzz *f)
{
    for (unsigned steps = 0; f->in.len && steps < 500; steps++) {
        switch (take(f, 1) % OP_COUNT) {
        case OP_WRITE:
            op_write(f);
            break;
        case OP_READ:
            op_read(f);
            break;
        case OP_POKE:
            op_poke(f);
            break;
        case OP_DESC:
            op_desc(f);
            break;
        case OP_PUBLISH:
            op_publish(f);
            break;
        case OP_INPUT:
            op_input(f);
            break;
        case OP_TURN:
            op_turn(f);
            break;
        case OP_HOLD:
            f->blk.mode = (uint8_t)take(f, 1);
            break;
        case OP_SNAPSHOT:
            op_snapshot(f);
            break;
        case OP_RESTART: {
            uint8_t ring = (uint8_t)take(f, 1);
            restart(f, ring, (uint8_t)take(f, 1));
            break;
        }
        default:
            if (f->kind == 1) {
                f->net.user.on_link(f->net.user.opaque, take(f, 1) & 1);
            } else if (f->kind == 5) {
                op_plug(f);
            } else if (f->kind == 4) {
                vr_virtio_balloon_target(f->dev, take(f, 4));
                vr_assert(vr_virtio_balloon_ask(f->dev, 0, NULL) != 1);
                op_hints(f, (unsigned)take(f, 1) % 4);
            }
            break;
        }
    }
}

static void fuzz_init(struct fuzz *f)
{
    vr_assert(vr_clock_create(VR_CLOCK_STEPPED, &f->env.clock, NULL) == 0);
    vr_assert(vr_space_create("mem", UINT64_MAX >> 8, &f->env.mem, NULL) == 0);
    vr_assert(vr_loop_create(&f->env.loop, NULL) == 0);
    vr_assert(vr_ram_create("ram", RAM_LEN, &f->ram, NULL) == 0);
    f->region = (struct vr_region){
        .name = "ram", .kind = VR_REGION_RAM, .gpa = RAM_GPA, .len = RAM_LEN, .ram = f->ram};
    vr_assert(vr_space_add(f->env.mem, &f->region, NULL) == 0);
    const char *dev_opts =
        f->kind == 2 ? "packed=on,in_order=on,ports=/x" : "packed=on,in_order=on";
    vr_assert(vr_dev_create(kinds[f->kind], "v", dev_opts, &f->env, &f->dev, NULL) == 0);
    vr_assert(vr_dev_map(f->dev, 0, f->env.mem, WINDOW, NULL) == 0);
    vr_assert(vr_blk_init(&f->blk.blk, &fuzz_blk_ops, "fuzz", f->env.loop, NULL) == 0);
    f->blk.blk.size_bytes = DISK_LEN;
    f->blk.blk.sector_bytes = 512;
    f->blk.blk.discard = true;
    f->net = (struct vr_net){.ops = &fuzz_net_ops, .loop = f->env.loop};
    vr_mutex_init(&f->net.stats_lock);
    if (f->kind == 0) {
        vr_virtio_blk_attach(f->dev, &f->blk.blk);
    } else if (f->kind == 1) {
        vr_virtio_net_attach(f->dev, &f->net);
    } else if (f->kind == 5) {
        struct vr_virtio_scsi_unit unit = {.kind = VR_SCSI_DISK, .blk = &f->blk.blk};
        vr_assert(vr_virtio_scsi_plug(f->dev, &unit, NULL) == 0);
        unit = (struct vr_virtio_scsi_unit){.kind = VR_SCSI_CDROM, .target = 1, .blk = &f->blk.blk};
        vr_assert(vr_virtio_scsi_plug(f->dev, &unit, NULL) == 0);
    }
    for (unsigned i = 0; f->kind == 2 && i < PORTS; i++) {
        const struct vr_chr_opts opts = {.spec = "mem"};
        vr_assert(vr_chr_open(&opts, f->env.loop, &f->chr[i], NULL) == 0);
        vr_virtio_console_attach(f->dev, i, f->chr[i]);
    }
}

static void fuzz_fini(struct fuzz *f)
{
    f->blk.mode = 0;
    op_turn(f);
    restart(f, 3, 0);
    vr_assert(vr_dev_read(f->dev, 0, 0x70, 4) == 15);
    fuzz_blk_release(&f->blk);
    vr_dev_destroy(f->dev);
    vr_mutex_fini(&f->net.stats_lock);
    for (unsigned i = 0; i < PORTS; i++) {
        vr_chr_close(f->chr[i]);
    }
    vr_blk_fini(&f->blk.blk);
    vr_loop_destroy(f->env.loop);
    vr_space_remove(f->env.mem, &f->region);
    vr_space_destroy(f->env.mem);
    vr_ram_destroy(f->ram);
    vr_clock_destroy(f->env.clock);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz f = {.in = {.buf = data, .len = len}};
    f.kind = (unsigned)take(&f, 1) % VR_COUNT(kinds);
    fuzz_init(&f);
    restart(&f, (uint8_t)take(&f, 1), 0);
    run(&f);
    fuzz_fini(&f);
    return 0;
}

/* --- Examples --- */

static void put_poke(struct fuzz_writer *w, uint32_t off, const void *bytes, uint8_t len)
{
    fuzz_put(w, OP_POKE, 1);
    fuzz_put(w, off, 4);
    fuzz_put(w, len, 1);
    for (unsigned i = 0; i < len; i++) {
        fuzz_put(w, ((const uint8_t *)bytes)[i], 1);
    }
}

static void put_desc(struct fuzz_writer *w, unsigned queue, unsigned index, uint32_t off,
                     uint32_t len, unsigned flags)
{
    fuzz_put(w, OP_DESC, 1);
    fuzz_put(w, queue, 1);
    fuzz_put(w, index, 1);
    fuzz_put(w, flags & 4 ? AT_TABLE : AT_DATA, 1);
    fuzz_put(w, off, 4);
    fuzz_put(w, len, 4);
    fuzz_put(w, flags, 1);
    fuzz_put(w, index + 1, 1);
}

static void put_publish(struct fuzz_writer *w, unsigned queue, unsigned head)
{
    fuzz_put(w, OP_PUBLISH, 1);
    fuzz_put(w, queue, 1);
    fuzz_put(w, head, 1);
    fuzz_put(w, 1, 1);
}

static void put_input(struct fuzz_writer *w, unsigned port, unsigned len)
{
    fuzz_put(w, OP_INPUT, 1);
    fuzz_put(w, port, 1);
    fuzz_put(w, len, 2);
    for (unsigned i = 0; i < len && i < 64; i++) {
        fuzz_put(w, i < 6 ? 0xff : i, 1);
    }
}

static void seed_blk(struct fuzz_writer *w, unsigned type, bool indirect)
{
    uint8_t header[16] = {(uint8_t)type, 0, 0, 0, 0, 0, 0, 0, 3},
            range[16] = {5, 0, 0, 0, 0, 0, 0, 0, 2};
    unsigned to = indirect ? 0x80 : 0;
    bool in = type == 0 || type == 8;
    put_poke(w, DATA, header, 16);
    put_poke(w, DATA + 512, range, 16);
    put_desc(w, to, 0, 0, 16, 1);
    put_desc(w, to, 1, 512, type == 8 ? 20 : type > 8 ? 16 : 512, in ? 3 : 1);
    put_desc(w, to, 2, 1024, 1, 2);
    if (indirect) {
        put_desc(w, 0, 7, 0, 48, 4);
    }
    fuzz_put(w, OP_HOLD, 1);
    fuzz_put(w, 1, 1);
    put_publish(w, 0, indirect ? 7 : 0);
    fuzz_put(w, OP_TURN, 1);
    fuzz_put(w, OP_SNAPSHOT, 1);
    put_publish(w, 0, indirect ? 7 : 0);
}

static void seed_net(struct fuzz_writer *w, bool indirect)
{
    uint8_t frame[12 + 60] = {1, 0, 0, 0, 0, 0, 34, 0, 16}, command[] = {0, 0, 0};
    static const uint8_t table[] = {1, 0, 1, 0, 0, 0, 2, 2, 2, 2, 2,
                                    2, 1, 0, 0, 0, 3, 3, 3, 3, 3, 3};
    put_desc(w, 0, 0, 4096, 1600, 2);
    put_desc(w, 0, 1, 6000, 100, 2);
    put_publish(w, 0, 0);
    put_publish(w, 0, 1);
    put_input(w, 0, 300);
    put_poke(w, DATA, frame, sizeof(frame));
    put_desc(w, indirect ? 0x81 : 1, 0, 0, 12, 1);
    put_desc(w, indirect ? 0x81 : 1, 1, 12, 60, 0);
    if (indirect) {
        put_desc(w, 1, 3, 512, 32, 4);
    }
    put_publish(w, 1, indirect ? 3 : 0);
    put_poke(w, DATA + 512, command, sizeof(command));
    put_poke(w, DATA + 600, table, sizeof(table));
    put_desc(w, 2, 0, 512, 3, 1);
    put_desc(w, 2, 1, 520, 1, 2);
    put_desc(w, 2, 4, 600, sizeof(table), 1);
    put_desc(w, 2, 5, 520, 1, 2);
    put_publish(w, 2, 0);
    put_publish(w, 2, 4);
    put_input(w, 0, 80);
    fuzz_put(w, OP_RESIZE, 1);
    fuzz_put(w, 0, 1);
}

static void seed_console(struct fuzz_writer *w)
{
    static const uint8_t messages[] = {0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3, 0, 1, 0,
                                       1, 0, 0, 0, 3, 0, 1, 0, 1, 0, 0, 0, 6, 0, 1, 0};
    for (unsigned i = 0; i < 8; i++) {
        put_desc(w, 2, i, 1024 + 64 * i, 64, 2);
        put_publish(w, 2, i);
    }
    put_poke(w, DATA, messages, sizeof(messages));
    for (unsigned i = 0; i < 4; i++) {
        put_desc(w, 3, i, 8 * i, 8, 0);
        put_publish(w, 3, i);
    }
    put_desc(w, 5, 0, 0, 32, 0);
    put_publish(w, 5, 0);
    put_desc(w, 4, 0, 2048, 16, 2);
    put_publish(w, 4, 0);
    put_input(w, 1, 10);
    fuzz_put(w, OP_TURN, 1);
    fuzz_put(w, OP_SNAPSHOT, 1);
}

static void seed_balloon(struct fuzz_writer *w)
{
    static const uint8_t pages[] = {0x18, 0, 8, 0, 0x19, 0, 8, 0, 0x1f, 0, 8, 0};
    static const uint8_t stats[] = {4, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    put_poke(w, DATA, pages, sizeof(pages));
    put_desc(w, 0, 0, 0, sizeof(pages), 0);
    put_publish(w, 0, 0);
    put_poke(w, DATA + 64, stats, sizeof(stats));
    put_desc(w, 2, 0, 64, sizeof(stats), 0);
    put_publish(w, 2, 0);
    put_desc(w, 4, 0, 4096, 8192, 2);
    put_publish(w, 4, 0);
    fuzz_put(w, OP_RESIZE, 1);
    fuzz_put(w, 0x3000, 4);
}

static const uint8_t scsi_seeds[][16] = {
    {0x00},
    {0x28, 0, 0, 0, 0, 1, 0, 0, 2},
    {0x2a, 8, 0, 0, 0, 1, 0, 0, 2},
    {0x12, 0, 0, 0, 36},
    {0x12, 1, 0x83, 0, 255},
    {0x1a, 0, 0x3f, 0, 255},
    {0x15, 0x10, 0, 0, 24},
    {0x42, 0, 0, 0, 0, 0, 0, 0, 24},
    {0x93, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 8},
    {0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32},
    {0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64},
    {0x43, 0, 0, 0, 0, 0, 0, 0, 20},
    {0x46, 0, 0, 0, 0, 0, 0, 0, 128},
    {0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8},
    {0x1b, 0, 0, 0, 2},
    {0xbe, 0, 0, 0, 0, 1, 0, 0, 1, 0x10},
};

/* The command twice, to the disk and the disc (the first hears that the unit is new); then a task
 * to abort, and units that come and go. */
static void seed_scsi(struct fuzz_writer *w, const uint8_t *cdb)
{
    static const uint8_t abort_task[24] = {0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0x40};
    uint8_t head[51] = {1, 0, 0x40};
    memcpy(head + 19, cdb, 16);
    for (unsigned i = 0; i < 6; i++) {
        head[1] = i & 1;
        put_poke(w, DATA + 64 * i, head, sizeof(head));
        put_desc(w, 2, 4 * i, 64 * i, 51, 1);
        put_desc(w, 2, 4 * i + 1, 2048, 1024, 1);
        put_desc(w, 2, 4 * i + 2, 4096, 108, 3);
        put_desc(w, 2, 4 * i + 3, 4608, 1024, 2);
        if (i == 4) {
            fuzz_put(w, OP_HOLD, 1);
            fuzz_put(w, 1, 1);
        }
        put_publish(w, 2, 4 * i);
        fuzz_put(w, i < 4 ? OP_TURN : OP_READ, 1);
        fuzz_put(w, 0, i < 4 ? 0 : 2);
    }
    put_poke(w, DATA + 1024, abort_task, sizeof(abort_task));
    put_desc(w, 0, 0, 1024, 24, 1);
    put_desc(w, 0, 1, 1100, 1, 2);
    put_publish(w, 0, 0);
    put_desc(w, 1, 0, 1200, 16, 2);
    put_publish(w, 1, 0);
    fuzz_put(w, OP_RESIZE, 1);
    fuzz_put(w, 0, 1);
    fuzz_put(w, OP_TURN, 1);
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    static const uint8_t types[] = {0, 1, 4, 8, 11, 13};
    struct fuzz_writer w = {.buf = buf, .cap = cap};
    unsigned ring = n % 8, what = n / 8;
    if (what < VR_COUNT(types)) {
        fuzz_put(&w, 0, 1);
        fuzz_put(&w, ring, 1);
        seed_blk(&w, types[what], ring & 1);
    } else if (what == VR_COUNT(types)) {
        fuzz_put(&w, 1, 1);
        fuzz_put(&w, ring, 1);
        seed_net(&w, ring & 1);
    } else if (what == VR_COUNT(types) + 1) {
        fuzz_put(&w, 2, 1);
        fuzz_put(&w, ring, 1);
        seed_console(&w);
    } else if (what == VR_COUNT(types) + 2) {
        fuzz_put(&w, 3, 1);
        fuzz_put(&w, ring, 1);
        put_desc(&w, 0, 0, 0, 100, 2);
        put_publish(&w, 0, 0);
        fuzz_put(&w, OP_WRITE, 1);
        fuzz_put(&w, 0x44, 2);
        fuzz_put(&w, 0, 4);
    } else if (what == VR_COUNT(types) + 3) {
        fuzz_put(&w, 4, 1);
        fuzz_put(&w, ring, 1);
        seed_balloon(&w);
    } else if (what < VR_COUNT(types) + 4 + VR_COUNT(scsi_seeds)) {
        fuzz_put(&w, 5, 1);
        fuzz_put(&w, ring, 1);
        seed_scsi(&w, scsi_seeds[what - VR_COUNT(types) - 4]);
    }
    return w.len;
}

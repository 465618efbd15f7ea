/* Every virtio device with its host ends. */
#include "virtio_victims.h"

#include "backend/chr/chr.h"
#include "base/bits.h"
#include "dev/virtio/balloon.h"
#include "dev/virtio/blk.h"
#include "dev/virtio/console.h"
#include "dev/virtio/fs.h"
#include "dev/virtio/net.h"
#include "dev/virtio/rng.h"
#include "dev/virtio/scsi.h"

#define RING                                                                       \
    (VR_VIRTIO_F_INDIRECT_DESC | VR_VIRTIO_F_EVENT_IDX | VR_VIRTIO_F_RING_PACKED | \
     VR_VIRTIO_F_IN_ORDER | VR_VIRTIO_F_NOTIFICATION_DATA | VR_VIRTIO_F_RING_RESET)

static const struct vr_dev_class *const victim_class[VICTIM_COUNT] = {
    &vr_virtio_blk_mmio_class, &vr_virtio_net_mmio_class,     &vr_virtio_console_mmio_class,
    &vr_virtio_rng_mmio_class, &vr_virtio_balloon_mmio_class, &vr_virtio_scsi_mmio_class,
    &vr_virtio_fs_mmio_class,
};

static void victim_output(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    (void)buf;
    (void)len;
}

/* A SCSI disk comes; or goes, if it is there. */
static void victim_plug(struct victim *v, unsigned target)
{
    const struct vr_virtio_scsi_unit unit = {
        .kind = VR_SCSI_DISK, .target = target, .blk = &v->disk.blk};
    if (vr_virtio_scsi_plug(v->dev, &unit, NULL) < 0) {
        assert_int_equal(vr_virtio_scsi_unplug(v->dev, target, 0, NULL), 0);
    }
}

void victim_init(struct victim *v, unsigned kind)
{
    memset(v, 0, sizeof(*v));
    v->kind = kind;
    rig_init(&v->rig);
    assert_int_equal(vr_loop_create(&v->loop, NULL), 0);
    v->rig.env.loop = v->loop;
    mem_blk_init(&v->disk, VICTIM_DISK, v->loop);
    v->disk.ram = v->rig.ram;
    fake_net_init(&v->net, v->loop);
    v->net.discard = true;
    fake_fs_init(&v->fs, v->rig.ram, v->loop);
    assert_int_equal(vr_ram_create("rom", 0x10000, &v->rom, NULL), 0);
    v->rom_region = (struct vr_region){
        .name = "rom", .kind = VR_REGION_ROM, .gpa = VICTIM_ROM, .len = 0x10000, .ram = v->rom};
    assert_int_equal(vr_space_add(v->rig.env.mem, &v->rom_region, NULL), 0);
    v->dev = rig_dev(&v->rig, victim_class[kind],
                     kind == VICTIM_CONSOLE ? VD_OPTS ",ports=/x" : VD_OPTS);
    assert_int_equal(vr_dev_map(v->dev, 0, v->rig.env.mem, VICTIM_WINDOW, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        const struct vr_chr_opts opts = {.spec = "mem"};
        assert_int_equal(vr_chr_open(&opts, v->loop, &v->chr[i], NULL), 0);
        vr_chr_mem_on_output(v->chr[i], victim_output, NULL);
        if (kind == VICTIM_CONSOLE) {
            vr_virtio_console_attach(v->dev, i, v->chr[i]);
        }
    }
    if (kind == VICTIM_BLK) {
        vr_virtio_blk_attach(v->dev, &v->disk.blk);
    } else if (kind == VICTIM_NET) {
        vr_virtio_net_attach(v->dev, &v->net.net);
    } else if (kind == VICTIM_SCSI) {
        victim_plug(v, 0);
    }
    if (kind == VICTIM_FS) {
        vr_virtio_fs_attach(v->dev, &v->fs.fs);
    }
    vd_init(&v->d, &v->rig, v->dev);
    v->features = vd_offered(&v->d) & ~RING & ~VR_VIRTIO_F_VERSION_1;
    v->queues = vr_virtio_of(v->dev)->host.queue_count;
}

void victim_fini(struct victim *v)
{
    mem_blk_release(&v->disk, UINT32_MAX);
    vr_dev_destroy(v->dev);
    for (unsigned i = 0; i < 2; i++) {
        vr_chr_close(v->chr[i]);
    }
    mem_blk_fini(&v->disk);
    fake_net_fini(&v->net);
    fake_fs_fini(&v->fs);
    vr_loop_destroy(v->loop);
    vr_space_remove(v->rig.env.mem, &v->rom_region);
    vr_ram_destroy(v->rom);
    rig_fini(&v->rig);
}

void victim_turn(struct victim *v)
{
    for (unsigned i = 0; i < 20; i++) {
        vr_loop_turn(v->loop, 0);
    }
}

static void victim_open_port(struct victim *v, unsigned port)
{
    uint8_t msg[8] = {(uint8_t)port, 0, 0, 0, 6, 0, 1, 0};
    struct vd_buf out = vd_out(&v->d, msg, sizeof(msg));
    vd_do(&v->d, 3, &out, 1);
}

void victim_start(struct victim *v, uint64_t ring, unsigned size)
{
    vd_start(&v->d, v->features | ring, size);
    if (v->kind == VICTIM_CONSOLE) {
        victim_open_port(v, 0);
        victim_open_port(v, 1);
    }
}

void victim_serves(struct victim *v)
{
    struct vd *d = &v->d;
    uint8_t raw[72] = {0};
    uint32_t len = 0;
    victim_turn(v);
    victim_start(v, 0, 16);
    struct vd_buf bufs[] = {vd_out(d, raw, 16), vd_in(d, 512), vd_in(d, 1)};
    struct vd_buf frame = vd_out(d, raw, sizeof(raw)), in = vd_in(d, 1600);
    switch (v->kind) {
    case VICTIM_BLK:
        vd_add(d, 0, bufs, 3);
        vd_kick(d, 0);
        victim_turn(v);
        assert_true(vd_used(d, 0, NULL, &len));
        assert_int_equal(len, 513);
        assert_int_equal(*vd_hva(d, bufs[2].gpa), 0);
        break;
    case VICTIM_NET:
        vd_do(d, 1, &frame, 1);
        vd_add(d, 0, &in, 1);
        vd_kick(d, 0);
        assert_true(fake_net_offer(&v->net, raw, 60));
        assert_true(vd_used(d, 0, NULL, &len));
        assert_int_equal(len, 72);
        break;
    case VICTIM_CONSOLE:
        vd_do(d, 1, bufs, 1);
        vd_do(d, 5, bufs, 1);
        vd_add(d, 0, &in, 1);
        vd_kick(d, 0);
        (void)vr_chr_mem_feed(v->chr[0], raw, 1);
        victim_turn(v);
        assert_true(vd_used(d, 0, NULL, NULL));
        break;
    case VICTIM_SCSI: /* INQUIRY */
        raw[0] = 1;
        raw[19] = 0x12;
        raw[19 + 4] = 36;
        bufs[0] = vd_out(d, raw, 51);
        assert_int_equal(vd_do(d, 2, bufs, 2), 108 + 36);
        break;
    case VICTIM_FS:
        bufs[0] = vd_out(d, raw, 40);
        vd_add(d, 1, bufs, 2);
        vd_kick(d, 1);
        victim_turn(v);
        assert_true(vd_used(d, 1, NULL, &len));
        assert_int_equal(len, 16);
        break;
    case VICTIM_BALLOON:
        assert_int_equal(vd_do(d, 0, bufs, 1), 0);
        break;
    default:
        assert_int_equal(vd_do(d, 0, &in, 1), 1600);
        break;
    }
    assert_false(vd_needs_reset(d));
}

struct vd_buf victim_room(struct victim *v, uint32_t len, bool write)
{
    struct vd_buf buf = vd_in(&v->d, len);
    buf.write = write;
    return buf;
}

bool victim_takes_when_kicked(const struct victim *v, unsigned queue)
{
    /* Receive queues are looked at when something is received. */
    return !(v->kind == VICTIM_NET && queue == 0) &&
           !(v->kind == VICTIM_CONSOLE && queue % 2 == 0) &&
           !(v->kind == VICTIM_SCSI && queue == 1);
}

void victim_provoke(struct victim *v, unsigned queue)
{
    uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    vd_set(&v->d, VD_QUEUE_NOTIFY, queue);
    if (v->kind == VICTIM_NET && queue == 0) {
        (void)fake_net_offer(&v->net, frame, sizeof(frame));
    } else if (v->kind == VICTIM_CONSOLE && queue == 2) {
        uint8_t ready[8] = {0, 0, 0, 0, 0, 0, 1, 0};
        struct vd_buf out = vd_out(&v->d, ready, 8);
        vd_add(&v->d, 3, &out, 1);
        vd_set(&v->d, VD_QUEUE_NOTIFY, 3);
    } else if (v->kind == VICTIM_CONSOLE && queue % 2 == 0) {
        (void)vr_chr_mem_feed(v->chr[queue ? 1 : 0], frame, sizeof(frame));
    } else if (v->kind == VICTIM_SCSI && queue == 1) {
        victim_plug(v, 5);
    }
    victim_turn(v);
}

void victim_attack(void (*attack)(struct victim *v, unsigned queue), uint64_t ring)
{
    for (unsigned kind = 0; kind < VICTIM_COUNT; kind++) {
        struct victim v;
        victim_init(&v, kind);
        for (unsigned queue = 0; queue < v.queues; queue++) {
            victim_start(&v, ring, 16);
            vd_isr(&v.d);
            uint64_t errors = v.dev->guest_errors;
            attack(&v, queue);
            victim_provoke(&v, queue);
            if (!vd_needs_reset(&v.d)) {
                fail_msg("device %u, queue %u: went on", kind, queue);
            }
            assert_true(v.dev->guest_errors > errors);
            assert_true(vd_isr(&v.d) & VR_VIRTIO_ISR_CONFIG);
            victim_provoke(&v, queue); /* dead until it is reset */
            assert_int_equal(vd_isr(&v.d), 0);
            assert_int_equal(v.disk.submitted, 0);
            victim_serves(&v);
            v.disk.submitted = 0;
        }
        victim_fini(&v);
    }
}

/* --- DMA into devices --- */

static void data_at(struct victim *v, unsigned queue, uint64_t gpa)
{
    struct vd_buf b = {.gpa = gpa, .len = 64, .write = true};
    vd_add(&v->d, queue, &b, 1);
}

static void data_in_own_window(struct victim *v, unsigned queue)
{
    data_at(v, queue, VICTIM_WINDOW + VD_QUEUE_NOTIFY);
}

static void data_runs_into_own_window(struct victim *v, unsigned queue)
{
    data_at(v, queue, VICTIM_WINDOW - 32);
}

static void data_in_rom(struct victim *v, unsigned queue)
{
    data_at(v, queue, VICTIM_ROM);
}

static void data_nowhere(struct victim *v, unsigned queue)
{
    data_at(v, queue, UINT64_C(0x50000000));
}

static void data_beyond_ram(struct victim *v, unsigned queue)
{
    data_at(v, queue, RIG_RAM_GPA + RIG_RAM_LEN - 63);
}

static void data_at_the_end_of_the_world(struct victim *v, unsigned queue)
{
    data_at(v, queue, UINT64_MAX - 62);
}

static void table_at(struct victim *v, unsigned queue, uint64_t gpa, uint32_t len)
{
    if (v->d.packed) {
        vd_packed_put(&v->d, queue, gpa, len, VD_INDIRECT, 0);
    } else {
        vd_desc(&v->d, queue, 0, gpa, len, VD_INDIRECT, 0);
        vd_publish(&v->d, queue, 0);
    }
}

static void table_in_own_window(struct victim *v, unsigned queue)
{
    table_at(v, queue, VICTIM_WINDOW, 64);
}

static void table_at_the_end_of_the_world(struct victim *v, unsigned queue)
{
    table_at(v, queue, UINT64_MAX - 15, 16);
}

void victim_attack_by_dma(uint64_t ring)
{
    static void (*const attacks[])(struct victim * v, unsigned queue) = {
        data_in_own_window,  data_runs_into_own_window,
        data_in_rom,         data_nowhere,
        data_beyond_ram,     data_at_the_end_of_the_world,
        table_in_own_window, table_at_the_end_of_the_world,
    };
    for (unsigned i = 0; i < VR_COUNT(attacks); i++) {
        victim_attack(attacks[i], ring | VR_VIRTIO_F_INDIRECT_DESC);
    }
}

void victim_lose_rings(uint64_t ring)
{
    for (unsigned kind = 0; kind < VICTIM_COUNT; kind++) {
        struct victim v;
        victim_init(&v, kind);
        victim_start(&v, ring, 16);
        vr_space_remove(v.rig.env.mem, &v.rig.region);
        for (unsigned queue = 0; queue < v.queues; queue++) {
            if (victim_takes_when_kicked(&v, queue)) {
                vd_set(&v.d, VD_QUEUE_NOTIFY, queue);
            }
        }
        assert_true(vd_needs_reset(&v.d));
        assert_int_equal(vr_space_add(v.rig.env.mem, &v.rig.region, NULL), 0);
        victim_serves(&v);
        victim_fini(&v);
    }
}

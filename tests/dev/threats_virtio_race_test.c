/*
 * Hostile virtio drivers with a second CPU, slow host ends, and floods (rows 7, 8 and 17 of the
 * project's list of threats). Nothing here waits by sleeping: threads run until the other side has
 * done its rounds.
 */
#include "virtio_victims.h"

#include "backend/chr/chr_impl.h"
#include "base/bits.h"
#include "dev/virtio/blk.h"
#include "vireo/host_thread.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

/* --- Row 7: double fetch --- */

/* A CPU that rewrites rings, descriptors, tables and headers while the device works. */
struct flipper {
    struct victim *v;
    uint64_t seed, lo, hi; /* gpa: what it may write */
    atomic_bool stop;
    struct vireo_thread *thread;
};

static void flip(void *arg)
{
    struct flipper *f = arg;
    static const uint64_t vals[] = {
        0,          1,    UINT32_MAX, UINT64_MAX, RIG_RAM_GPA, RIG_RAM_GPA + RIG_RAM_LEN - 1,
        0x10001050, 4096, 0x10003,    0x20002,    0x10004,     UINT64_C(0x7000700070007)};
    uint64_t seed = f->seed;
    while (!atomic_load_explicit(&f->stop, memory_order_relaxed)) {
        for (unsigned i = 0; i < 256; i++) {
            uint64_t at = f->lo + rig_random(&seed) % (f->hi - f->lo - 8);
            uint64_t val = rig_random(&seed) % 3 ? vals[rig_random(&seed) % VR_COUNT(vals)]
                                                 : rig_random(&seed);
            unsigned width = 1u << rig_random(&seed) % 4;
            at &= ~(uint64_t)(width - 1);
            uint8_t *p = vd_hva(&f->v->d, at);
            switch (width) {
            case 1:
                __atomic_store_n(p, (uint8_t)val, __ATOMIC_RELAXED);
                break;
            case 2:
                __atomic_store_n((uint16_t *)(void *)p, (uint16_t)val, __ATOMIC_RELAXED);
                break;
            case 4:
                __atomic_store_n((uint32_t *)(void *)p, (uint32_t)val, __ATOMIC_RELAXED);
                break;
            default:
                __atomic_store_n((uint64_t *)(void *)p, val, __ATOMIC_RELAXED);
                break;
            }
        }
    }
}

/* The same in packed rings. */
static void add_some_packed(struct victim *v, uint64_t area, uint64_t *seed)
{
    struct vd *d = &v->d;
    for (unsigned queue = 0; queue < v->queues; queue++) {
        for (unsigned n = 0; n < 4; n++) {
            unsigned count = 1 + rig_random(seed) % 4;
            bool indirect = rig_random(seed) % 2;
            uint64_t table = area + (rig_random(seed) % 64) * 64;
            for (unsigned i = 0; i < count; i++) {
                bool write =
                    i || v->kind == VICTIM_RNG || (v->kind != VICTIM_BLK && queue % 2 == 0);
                uint16_t flags = write ? VD_WRITE : 0;
                uint64_t gpa = area + 4096 + rig_random(seed) % 4096;
                uint32_t len = i == 0 ? 16 : i + 1 < count ? 512 : 1 + 1600 * (queue % 2 == 0);
                if (indirect) {
                    vd_desc_at(d, table, i, gpa, len, 0, flags);
                } else {
                    flags |= i + 1 < count ? VD_NEXT : 0;
                    vd_packed_put(d, queue, gpa, len, flags, (uint16_t)n);
                }
            }
            if (indirect) {
                vd_packed_put(d, queue, table, 16 * count, VD_INDIRECT, (uint16_t)n);
            }
        }
        vd_set(d, VD_QUEUE_NOTIFY, queue);
    }
}

/* Sound chains in every queue, with table and header and data where the other CPU writes. */
static void add_some(struct victim *v, uint64_t area, uint64_t *seed)
{
    struct vd *d = &v->d;
    for (unsigned queue = 0; queue < v->queues; queue++) {
        struct vd_queue *q = &d->q[queue];
        for (unsigned n = 0; n < 4; n++) {
            unsigned head = rig_random(seed) % q->size, count = 1 + rig_random(seed) % 4;
            bool indirect = rig_random(seed) % 2;
            uint64_t table = area + (rig_random(seed) % 64) * 64;
            for (unsigned i = 0; i < count; i++) {
                uint16_t flags = (uint16_t)((i + 1 < count ? VD_NEXT : 0) | (i ? VD_WRITE : 0));
                flags |= v->kind == VICTIM_RNG || (v->kind != VICTIM_BLK && queue % 2 == 0)
                             ? VD_WRITE
                             : 0;
                uint64_t gpa = area + 4096 + rig_random(seed) % 4096;
                uint32_t len = i == 0 ? 16 : i + 1 < count ? 512 : 1 + 1600 * (queue % 2 == 0);
                if (indirect) {
                    vd_desc_at(d, table, i, gpa, len, flags, (uint16_t)(i + 1));
                } else {
                    vd_desc(d, queue, (head + i) % q->size, gpa, len, flags,
                            (uint16_t)((head + i + 1) % q->size));
                }
            }
            if (indirect) {
                vd_desc(d, queue, head, table, 16 * count, VD_INDIRECT, 0);
            }
            vd_publish(d, queue, (uint16_t)head);
        }
        vd_set(d, VD_QUEUE_NOTIFY, queue);
    }
}

static void memory_changes(uint64_t ring)
{
    for (unsigned kind = 0; kind < VICTIM_COUNT; kind++) {
        struct victim v;
        struct flipper f = {.v = &v, .seed = 1 + kind};
        uint64_t seed = 99 + kind, broken = 0, served = 0;
        uint8_t frame[600] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
        victim_init(&v, kind);
        victim_start(&v, ring, 16);
        uint64_t area = vd_alloc(&v.d, 16384, 4096);
        f.lo = v.d.q[0].desc;
        f.hi = area + 16384;
        assert_int_equal(vireo_thread_create("flipper", flip, &f, &f.thread, NULL), 0);
        /* On a busy host it may take a while until the other thread meets us. */
        for (unsigned round = 0; round < 4000 || (broken == 0 && round < 1000000); round++) {
            uint64_t chains = 0;
            (v.d.packed ? add_some_packed : add_some)(&v, area, &seed);
            if (kind == VICTIM_NET) {
                (void)fake_net_offer(&v.net, frame, 60 + rig_random(&seed) % 500);
            } else if (kind == VICTIM_CONSOLE) {
                (void)vr_chr_mem_feed(v.chr[round % 2], frame, 100);
            }
            vr_loop_turn(v.loop, 0);
            for (unsigned i = 0; i < v.queues; i++) {
                chains += vd_stats(&v.d, i)->chains;
            }
            if (vd_needs_reset(&v.d)) {
                /* The same rings again: vd_start would read back what the other CPU wrote. */
                broken++;
                assert_true(vd_negotiate(&v.d, v.features | ring));
                for (unsigned i = 0; i < v.queues; i++) {
                    struct vd_queue *q = &v.d.q[i];
                    const uint64_t gpa[] = {q->desc, q->avail, q->used};
                    vd_set(&v.d, VD_QUEUE_SEL, i);
                    vd_set(&v.d, VD_QUEUE_SIZE, q->size);
                    for (unsigned k = 0; k < 3; k++) {
                        vd_set(&v.d, VD_DESC + 16 * k, (uint32_t)gpa[k]);
                        vd_set(&v.d, VD_DESC + 16 * k + 4, (uint32_t)(gpa[k] >> 32));
                    }
                    q->avail_idx = q->used_idx = q->kicked = 0;
                    q->place = q->used_place = 1 << 15;
                    memset(vd_hva(&v.d, q->avail), 0, 4);
                    vd_set(&v.d, VD_QUEUE_READY, 1);
                }
                vd_driver_ok(&v.d);
            }
            served = chains;
        }
        atomic_store(&f.stop, true);
        vireo_thread_join(f.thread);
        print_message("# device %u: %llu chains, broken %llu times\n", kind,
                      (unsigned long long)served, (unsigned long long)broken);
        assert_true(served > 0 && broken > 0);
        victim_turn(&v);
        victim_serves(&v);
        victim_fini(&v);
    }
}

static void row_7_memory_changes_while_the_device_works(void **state)
{
    (void)state;
    memory_changes(VR_VIRTIO_F_INDIRECT_DESC | VR_VIRTIO_F_EVENT_IDX);
}

static void row_7_memory_changes_under_packed_rings(void **state)
{
    (void)state;
    memory_changes(VR_VIRTIO_F_INDIRECT_DESC | VR_VIRTIO_F_EVENT_IDX | VR_VIRTIO_F_RING_PACKED);
}

/* --- Row 8: reset, unplug and snapshot with requests in flight --- */

/* A host end that completes on its own, slowly, while the guest does as it likes. */
struct slow {
    struct victim *v;
    atomic_bool stop;
    struct vireo_thread *thread;
};

static void slow_end(void *arg)
{
    struct slow *s = arg;
    while (!atomic_load(&s->stop)) {
        mem_blk_release(&s->v->disk, 7);
    }
}

static void in_flight(struct victim *v, unsigned count)
{
    struct vd *d = &v->d;
    uint64_t heap = d->heap;
    for (unsigned i = 0; i < count; i++) {
        uint8_t raw[16] = {i % 2, 0, 0, 0, 0, 0, 0, 0, (uint8_t)i};
        struct vd_buf bufs[] = {vd_out(d, raw, 16), vd_in(d, 512), vd_in(d, 1)};
        bufs[1].write = i % 2 == 0;
        vd_add(d, 0, bufs, 3);
    }
    vd_kick(d, 0);
    d->heap = heap;
}

static void row_8_reset_with_requests_in_flight(void **state)
{
    (void)state;
    struct victim v;
    struct slow s = {.v = &v};
    victim_init(&v, VICTIM_BLK);
    v.disk.hold = true;
    assert_int_equal(vr_loop_start(v.loop, NULL), 0);
    assert_int_equal(vireo_thread_create("slow", slow_end, &s, &s.thread, NULL), 0);
    struct vr_snap snap;
    for (unsigned round = 0; round < 400; round++) {
        victim_start(&v,
                     VR_VIRTIO_F_INDIRECT_DESC | (round / 5 % 2 ? VR_VIRTIO_F_RING_PACKED : 0) |
                         (round / 10 % 2 ? VR_VIRTIO_F_IN_ORDER : 0),
                     256);
        for (unsigned n = 0; n < 5; n++) {
            in_flight(&v, 50);
        }
        switch (round % 5) {
        case 0:
            vd_set(&v.d, VD_STATUS, 0);
            break;
        case 1:
            vr_dev_reset(v.dev);
            break;
        case 2: /* the driver takes the queue away */
            vd_set(&v.d, VD_QUEUE_SEL, 0);
            vd_set(&v.d, VD_QUEUE_READY, 0);
            break;
        case 3: /* unplugged, and another in its place */
            vr_dev_destroy(v.dev);
            v.dev = v.d.dev = rig_dev(&v.rig, &vr_virtio_blk_mmio_class, VD_OPTS);
            vr_virtio_blk_attach(v.dev, &v.disk.blk);
            break;
        default:
            vr_dev_quiesce(v.dev);
            vr_snap_init(&snap);
            assert_int_equal(vr_dev_save(v.dev, &snap, NULL), 0);
            for (unsigned i = 0; i < 250; i++) { /* all of them are done */
                assert_true(vd_used(&v.d, 0, NULL, NULL));
            }
            assert_int_equal(vr_dev_load(v.dev, &snap, NULL), 0);
            vr_snap_fini(&snap);
            break;
        }
    }
    vr_dev_quiesce(v.dev);
    atomic_store(&s.stop, true);
    vireo_thread_join(s.thread);
    v.disk.hold = false;
    assert_int_equal(v.disk.held, 0);
    assert_true(v.disk.submitted > 400 * 50);
    victim_fini(&v);
}

/* Input arrives on the loop's thread while the guest resets, and the device is unplugged. */
struct feeder {
    struct victim *v;
    atomic_bool stop;
    struct vireo_thread *thread;
};

static void feed(void *arg)
{
    struct feeder *f = arg;
    const uint8_t bytes[64] = "input";
    while (!atomic_load(&f->stop)) {
        (void)vr_chr_mem_feed(f->v->chr[0], bytes, sizeof(bytes));
        (void)vr_chr_mem_feed(f->v->chr[1], bytes, sizeof(bytes));
    }
}

static void row_8_reset_while_input_arrives(void **state)
{
    (void)state;
    struct victim v;
    struct feeder f = {.v = &v};
    victim_init(&v, VICTIM_CONSOLE);
    assert_int_equal(vr_loop_start(v.loop, NULL), 0);
    assert_int_equal(vireo_thread_create("feeder", feed, &f, &f.thread, NULL), 0);
    uint64_t received = 0;
    for (unsigned round = 0; round < 300 || received == 0; round++) {
        victim_start(&v, VR_VIRTIO_F_EVENT_IDX, 16);
        for (unsigned i = 0; i < 12; i++) {
            struct vd_buf in = vd_in(&v.d, 32);
            vd_add(&v.d, i % 2 ? 4 : 0, &in, 1);
        }
        vd_kick(&v.d, 0);
        vd_kick(&v.d, 4);
        if (round % 3 == 0) {
            vr_dev_reset(v.dev);
        } else if (round % 3 == 1) {
            vd_set(&v.d, VD_STATUS, 0);
        }
        vr_dev_lock(v.dev);
        received += vd_stats(&v.d, 0)->chains;
        vr_dev_unlock(v.dev);
    }
    atomic_store(&f.stop, true);
    vireo_thread_join(f.thread);
    victim_fini(&v);
}

/* --- Row 17: floods --- */

/* Bytes that the C library has given out; 0 where it does not count (sanitizers). */
static size_t heap_bytes(void)
{
    return mallinfo2().uordblks;
}

static void row_17_floods_find_bounds(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < VICTIM_COUNT; kind++) {
        struct victim v;
        struct vd *d = &v.d;
        victim_init(&v, kind);
        v.disk.hold = true; /* the host end stands still, and the loop does not turn */
        for (unsigned i = 0; i < 2; i++) {
            while (v.chr[i] && vr_chr_write(v.chr[i], (const uint8_t *)"x", 1)) {
            }
        }
        size_t before = heap_bytes();
        for (unsigned round = 0; round < 200; round++) {
            victim_start(&v, VR_VIRTIO_F_INDIRECT_DESC, 64);
            struct vd_buf many[600];
            uint8_t raw[16] = {0};
            struct vd_buf head = vd_out(d, raw, 16), data = vd_in(d, 512), last = vd_in(d, 1);
            unsigned n = 0;
            many[n++] = head;
            for (unsigned i = 0; i < 512; i++) { /* as many pieces as there can be */
                many[n++] = (struct vd_buf){.gpa = data.gpa + i, .len = 1, .write = true};
            }
            many[n++] = last;
            for (unsigned queue = 0; queue < v.queues; queue++) {
                for (unsigned i = 0; i < 10; i++) {
                    vd_add(d, queue, many, kind == VICTIM_BLK ? n : 1);
                }
                for (unsigned i = 0; i < 100; i++) {
                    vd_set(d, VD_QUEUE_NOTIFY, queue);
                }
            }
            assert_true(v.disk.held <= 256); /* however often the device is reset */
        }
        size_t after = heap_bytes();
        /* A disk's 256 requests with 512 pieces of 24 bytes each, and nothing else. */
        if (before && after > before + (4u << 20)) {
            fail_msg("device %u: %zu bytes more than before", kind, after - before);
        }
        v.disk.hold = false;
        mem_blk_release(&v.disk, UINT32_MAX);
        victim_turn(&v); /* what stalled goes on */
        victim_serves(&v);
        victim_fini(&v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_7_memory_changes_while_the_device_works),
        cmocka_unit_test(row_7_memory_changes_under_packed_rings),
        cmocka_unit_test(row_8_reset_with_requests_in_flight),
        cmocka_unit_test(row_8_reset_while_input_arrives),
        cmocka_unit_test(row_17_floods_find_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Rings, part two: every combination of ring features that a driver may choose, packed rings'
 * places and events, use in order, reset of one queue, notification data.
 * Specification: VIRTIO 1.3, sections 2.6.1, 2.7.9, 2.8, 2.9.
 */
#include "virtq_driver.h"

#include "base/bits.h"
#include "echo_device.h"

#define PACKED VR_VIRTIO_F_RING_PACKED
#define EVENT  VR_VIRTIO_F_EVENT_IDX

static int setup(void **state)
{
    return vd_setup(state, VD_CLASS(echo), VD_OPTS);
}

static void echo_once(struct vd *d, uint32_t len, uint32_t piece, uint64_t *seed)
{
    uint8_t data[512];
    struct vd_buf bufs[64];
    uint64_t heap = d->heap;
    for (uint32_t i = 0; i < len; i++) {
        data[i] = (uint8_t)rig_random(seed);
    }
    struct vd_buf out = vd_out(d, data, len), in = vd_in(d, len);
    unsigned n = vd_split(out, piece, bufs, 32);
    n += vd_split(in, piece + 1, bufs + n, 32);
    assert_int_equal(vd_do(d, 0, bufs, n), len);
    assert_memory_equal(vd_hva(d, in.gpa), data, len);
    d->heap = heap;
}

/* Queue 1 keeps chains; they come back last first, as the driver sees them or in order. */
static void keep_and_release(struct vd_fixture *f, unsigned count)
{
    struct vd *d = &f->d;
    uint64_t heap = d->heap;
    uint16_t ids[64], id;
    for (unsigned i = 0; i < count; i++) {
        struct vd_buf in = vd_in(d, 4);
        ids[i] = vd_add(d, 1, &in, 1);
    }
    vd_kick(d, 1);
    vr_clock_step(f->rig.env.clock, 1000000); /* a queue that was cut short goes on */
    assert_int_equal(ECHO(f->dev)->kept_count, count);
    assert_false(vd_used(d, 1, NULL, NULL));
    echo_release(f->dev, true);
    bool in_order = d->features & VR_VIRTIO_F_IN_ORDER;
    for (unsigned i = 0; i < count; i++) {
        assert_true(vd_used(d, 1, &id, NULL));
        assert_int_equal(id, ids[in_order ? i : count - 1 - i]);
    }
    assert_false(vd_used(d, 1, NULL, NULL));
    d->heap = heap;
}

/* 2.2: all that is offered may be chosen in any combination; each gives the same data, laps
 * included. */
static void every_combination_of_ring_features(void **state)
{
    struct vd_fixture *f = *state;
    for (unsigned i = 0; i < VD_RINGS; i++) {
        uint64_t ring = vd_ring(i), seed = 1 + i;
        for (unsigned size = 64; size >= 16; size /= 2) {
            vd_start(&f->d, ring, size);
            for (unsigned k = 0; k < 300; k++) {
                uint32_t len = 1 + (uint32_t)(rig_random(&seed) % 300);
                uint32_t piece = len / (size / 4) + 1 + (uint32_t)(rig_random(&seed) % 40);
                echo_once(&f->d, len, piece, &seed);
                if (k % 16 == 0) {
                    keep_and_release(f, 1 + (unsigned)(rig_random(&seed) % size));
                }
            }
        }
        assert_int_equal(f->dev->guest_errors, 0);
    }
}

/* 2.8.10.1: Queue Size need not be a power of two. */
static void packed_rings_of_any_size(void **state)
{
    struct vd_fixture *f = *state;
    for (unsigned size = 1; size <= ECHO_SIZE; size++) {
        uint64_t seed = size;
        vd_start(&f->d, PACKED | (size % 2 ? EVENT : 0) | (size % 3 ? VR_VIRTIO_F_IN_ORDER : 0),
                 size);
        for (unsigned k = 0; k < 200; k++) {
            if (size > 1) {
                echo_once(&f->d, 8, size > 9 ? 3 : 8, &seed);
            }
            keep_and_release(f, 1 + (unsigned)(rig_random(&seed) % size));
        }
        assert_int_equal(f->dev->guest_errors, 0);
    }
}

/* Sequence numbers, counters and indexes pass 16 bits. */
static void packed_rings_go_round_and_round(void **state)
{
    struct vd_fixture *f = *state;
    uint64_t seed = 3;
    vd_start(&f->d, PACKED | EVENT | VR_VIRTIO_F_IN_ORDER, 5);
    for (unsigned i = 0; i < 70000; i++) {
        echo_once(&f->d, 4, i % 2 ? 4 : 2, &seed);
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

/* 2.8.6 to 2.8.9: what the device writes, and what it leaves alone. */
static void packed_used_descriptors(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, PACKED, 8);
    const uint8_t *ring = vd_hva(d, d->q[0].desc);
    struct vd_buf bufs[] = {vd_out(d, "abc", 3), vd_in(d, 3)};
    assert_int_equal(vd_do(d, 0, bufs, 2), 3);
    assert_int_equal(vr_load_le16(ring + 14), 0x8082); /* used in lap 1, written */
    assert_int_equal(vr_load_le16(ring + 12), 0);
    assert_int_equal(vr_load_le32(ring + 8), 3);
    assert_int_equal(vr_load_le16(ring + 30), 0x82); /* the second: as the driver wrote it */
    assert_int_equal(vd_do(d, 0, bufs, 1), 0);
    assert_int_equal(vr_load_le16(ring + 2 * 16 + 14), 0x8080); /* nothing written: no WRITE */
    assert_int_equal(vr_load_le16(ring + 2 * 16 + 12), 1);
    for (unsigned i = 0; i < 6; i++) {
        (void)vd_do(d, 0, bufs, 1);
    }
    assert_int_equal(vr_load_le16(ring + 14), 0x0000); /* used in lap 2 */
}

/* A batch is seen as a whole: nothing of it before notify. */
static void a_batch_is_seen_at_once(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(d, vd_modes[m].features, 8);
        struct vd_buf in = vd_in(d, 4);
        for (unsigned i = 0; i < 3; i++) {
            vd_add(d, 1, &in, 1);
        }
        vd_kick(d, 1);
        struct echo *s = ECHO(f->dev);
        vr_dev_lock(f->dev);
        for (unsigned i = 0; i < 3; i++) {
            vr_virtq_push(&s->vq[1], s->kept[i], 0);
            assert_false(vd_used(d, 1, NULL, NULL));
        }
        vr_virtq_notify(&s->vq[1]);
        s->kept_count = 0;
        vr_dev_unlock(f->dev);
        for (unsigned i = 0; i < 3; i++) {
            assert_true(vd_used(d, 1, NULL, NULL));
        }
    }
}

/* --- Events of packed rings (2.8.7, 2.8.14) --- */

static void packed_interrupts_by_flag(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < 2; m++) {
        vd_start(d, PACKED | (m ? EVENT : 0), 8);
        struct vd_buf in = vd_in(d, 4);
        uint8_t *events = vd_hva(d, d->q[0].avail);
        for (unsigned flags = 0; flags < 4; flags++) {
            vr_store_le16(events, 0x7fff); /* no such place */
            vr_store_le16(events + 2, (uint16_t)flags);
            vd_do(d, 0, &in, 1);
            /* DESC counts with EVENT_IDX only; 3 is reserved, and better one too many. */
            bool wanted = flags == 0 || flags == 3 || (flags == 2 && !m);
            assert_int_equal(vd_isr(d), wanted ? VR_VIRTIO_ISR_USED : 0);
        }
    }
}

static void packed_interrupts_by_place(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, PACKED | EVENT, 7);
    struct vd_buf in = vd_in(d, 4);
    struct vd_queue *q = &d->q[0];
    uint8_t *events = vd_hva(d, q->avail);
    vr_store_le16(events + 2, 2);
    for (unsigned start = 0; start < 500; start++) {
        vr_store_le16(events, vd_place_add(q, q->used_place, 2));
        for (unsigned i = 0; i < 4; i++) {
            vd_do(d, 0, &in, 1);
            assert_int_equal(vd_isr(d), i == 2 ? VR_VIRTIO_ISR_USED : 0);
        }
        /* A chain of three, and the event in the places that it skips. */
        vr_store_le16(events, vd_place_add(q, q->used_place, 1));
        struct vd_buf three[] = {vd_out(d, "ab", 1), in, in};
        d->heap -= 1;
        vd_do(d, 0, three, 3);
        assert_int_equal(vd_isr(d), VR_VIRTIO_ISR_USED);
        /* The same place one lap later. */
        vr_store_le16(events, vd_place_add(q, q->used_place, 7));
        for (unsigned i = 0; i < 8; i++) {
            vd_do(d, 0, &in, 1);
            assert_int_equal(vd_isr(d), i == 7 ? VR_VIRTIO_ISR_USED : 0);
        }
    }
}

static void packed_kicks_are_withheld_and_none_is_lost(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, PACKED | EVENT, 30);
    struct vd_buf in = vd_in(d, 4);
    for (unsigned i = 0; i < 1000; i++) {
        vd_do(d, 0, &in, 1);
    }
    assert_int_equal(d->q[0].kicks, 1000);
    ECHO(f->dev)->unpop = 1;
    vd_add(d, 0, &in, 1);
    vd_kick(d, 0);
    for (unsigned i = 0; i < 5; i++) {
        vd_add(d, 0, &in, 1);
        vd_kick(d, 0);
    }
    assert_int_equal(d->q[0].kicks, 1001);
    assert_int_equal(d->q[0].kicks_withheld, 5);
    vd_set(d, VD_QUEUE_NOTIFY, 0);
    for (unsigned i = 0; i < 6; i++) {
        assert_true(vd_used(d, 0, NULL, NULL));
    }
}

/* The device clears its event structure, whatever was there. */
static void packed_events_begin_enabled(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    assert_true(vd_negotiate(d, PACKED | VR_VIRTIO_F_RING_RESET));
    d->heap = RIG_RAM_GPA;
    vd_queue(d, 0, 8);
    uint64_t at = d->q[0].used;
    const uint64_t gpa[] = {d->q[0].desc, d->q[0].avail, at};
    vd_set(d, VD_QUEUE_RESET, 1);
    vr_store_le32(vd_hva(d, at), UINT32_MAX);
    vd_set(d, VD_QUEUE_SIZE, 8);
    for (unsigned i = 0; i < 3; i++) {
        vd_set(d, VD_DESC + 16 * i, (uint32_t)gpa[i]);
        vd_set(d, VD_DESC + 16 * i + 4, (uint32_t)(gpa[i] >> 32));
    }
    vd_set(d, VD_QUEUE_READY, 1);
    assert_int_equal(vr_load_le32(vd_hva(d, at)), 0);
}

/* --- Use in order --- */

static void push_kept(struct vd_fixture *f, unsigned first, unsigned count)
{
    struct echo *s = ECHO(f->dev);
    vr_dev_lock(f->dev);
    for (unsigned i = first; i < first + count; i++) {
        vr_virtq_push(&s->vq[1], s->kept[i], i + 1);
    }
    vr_virtq_notify(&s->vq[1]);
    vr_dev_unlock(f->dev);
}

/* 2.7.9, 2.8.9; snapshots while chains wait for their turn. */
static void early_chains_wait_for_their_turn(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        for (unsigned copy = 0; copy < 2; copy++) {
            vd_start(d, vd_modes[m].features | VR_VIRTIO_F_IN_ORDER, 8);
            struct vd_buf in = vd_in(d, 64);
            for (unsigned i = 0; i < 6; i++) {
                vd_add(d, 1, &in, 1);
            }
            vd_kick(d, 1);
            vd_isr(d);
            push_kept(f, 3, 3);
            push_kept(f, 1, 1);
            assert_false(vd_used(d, 1, NULL, NULL));
            assert_int_equal(vd_isr(d), 0);
            if (copy) {
                struct vr_dev *twin = rig_dev(&f->rig, VD_CLASS(echo), VD_OPTS);
                assert_int_equal(rig_copy(f->dev, twin), 0);
                memcpy(ECHO(twin)->kept, ECHO(f->dev)->kept, sizeof(ECHO(twin)->kept));
                vr_dev_destroy(f->dev);
                f->dev = twin;
                vd_replace(d, twin);
            }
            push_kept(f, 0, 1);
            uint32_t len;
            for (unsigned i = 0; i < 2; i++) {
                assert_true(vd_used(d, 1, NULL, &len));
                assert_int_equal(len, i + 1);
            }
            assert_false(vd_used(d, 1, NULL, NULL));
            push_kept(f, 2, 1);
            for (unsigned i = 2; i < 6; i++) {
                assert_true(vd_used(d, 1, NULL, &len));
                assert_int_equal(len, i + 1);
            }
            ECHO(f->dev)->kept_count = 0;
        }
    }
}

/* --- One queue is reset (2.6.1) --- */

static void a_queue_is_reset_alone(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        uint64_t seed = m, errors = f->dev->guest_errors;
        assert_true(vd_negotiate(d, vd_modes[m].features | VR_VIRTIO_F_RING_RESET));
        vd_set(d, VD_QUEUE_SEL, 1);
        uint32_t size = vd_get(d, VD_QUEUE_SIZE_MAX);
        vd_start(d, vd_modes[m].features | VR_VIRTIO_F_RING_RESET, 16);
        struct vd_buf in = vd_in(d, 4);
        for (unsigned i = 0; i < 5; i++) {
            vd_add(d, 1, &in, 1);
        }
        vd_kick(d, 1);
        vd_set(d, VD_QUEUE_SEL, 1);
        assert_int_equal(vd_get(d, VD_QUEUE_RESET), 0);
        vd_set(d, VD_QUEUE_RESET, 1);
        assert_int_equal(vd_get(d, VD_QUEUE_READY), 0);
        assert_int_equal(vd_get(d, VD_QUEUE_RESET), 1); /* the device still has five */
        vd_set(d, VD_QUEUE_SEL, 0);
        assert_int_equal(vd_get(d, VD_QUEUE_RESET), 0);
        echo_once(d, 10, 3, &seed); /* the other queue goes on */
        assert_int_equal(f->dev->guest_errors, errors);
        vd_set(d, VD_QUEUE_SEL, 1);
        vd_set(d, VD_QUEUE_READY, 1); /* too early */
        assert_int_equal(vd_get(d, VD_QUEUE_READY), 0);
        assert_int_equal(f->dev->guest_errors, errors + 1);
        vd_isr(d);
        echo_release(f->dev, false);
        assert_int_equal(vd_isr(d), 0);
        assert_false(vd_used(d, 1, NULL, NULL));
        assert_int_equal(vd_get(d, VD_QUEUE_RESET), 0);
        if (vd_over_pci()) { /* where it can be read: as at first */
            assert_int_not_equal(size, 16);
            assert_int_equal(vd_get(d, VD_QUEUE_SIZE), size);
            for (unsigned i = 0; i < 6; i++) {
                assert_int_equal(vd_get(d, VD_DESC + 16 * (i / 2) + 4 * (i % 2)), 0);
            }
        }
        vd_queue(d, 1, 8); /* another size, and another place */
        assert_int_equal(vd_get(d, VD_QUEUE_READY), 1);
        assert_int_equal(vd_get(d, VD_QUEUE_RESET), 0);
        keep_and_release(f, 8);
        assert_int_equal(f->dev->guest_errors, errors + 1);
    }
}

static void wrong_queue_resets_are_refused(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, 0, 16);
    vd_set(d, VD_QUEUE_SEL, 0);
    vd_set(d, VD_QUEUE_RESET, 1); /* not negotiated */
    assert_int_equal(vd_get(d, VD_QUEUE_READY), 1);
    assert_int_equal(f->dev->guest_errors, 1);
    vd_start(d, VR_VIRTIO_F_RING_RESET, 16);
    vd_set(d, VD_QUEUE_SEL, 0);
    vd_set(d, VD_QUEUE_RESET, 2);
    assert_int_equal(vd_get(d, VD_QUEUE_READY), 1);
    vd_set(d, VD_QUEUE_READY, 0);
    vd_set(d, VD_QUEUE_RESET, 1); /* not enabled */
    assert_int_equal(vd_get(d, VD_QUEUE_RESET), 0);
    vd_set(d, VD_QUEUE_SEL, 7);
    vd_set(d, VD_QUEUE_RESET, 1); /* no such queue */
    assert_int_equal(vd_get(d, VD_QUEUE_RESET), 0);
    assert_int_equal(f->dev->guest_errors, 4);
}

/* 2.9: the upper half tells where the driver stands; it may say anything. */
static void notification_data(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, 0, 16);
    uint64_t errors = vd_over_pci() ? 0 : 1; /* there, the address names the queue */
    vd_set(d, VD_QUEUE_NOTIFY, 0x10000);
    assert_int_equal(f->dev->guest_errors, errors); /* not negotiated: no queue of that number */
    vd_start(d, VR_VIRTIO_F_NOTIFICATION_DATA, 16);
    struct vd_buf bufs[] = {vd_out(d, "data", 4), vd_in(d, 4)};
    vd_add(d, 0, bufs, 2);
    vd_set(d, VD_QUEUE_NOTIFY, 0xffff0000);
    assert_true(vd_used(d, 0, NULL, NULL));
    assert_int_equal(f->dev->guest_errors, errors);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, vd_teardown)
    const struct CMUnitTest tests[] = {
        T(every_combination_of_ring_features),
        T(packed_rings_of_any_size),
        T(packed_rings_go_round_and_round),
        T(packed_used_descriptors),
        T(a_batch_is_seen_at_once),
        T(packed_interrupts_by_flag),
        T(packed_interrupts_by_place),
        T(packed_kicks_are_withheld_and_none_is_lost),
        T(packed_events_begin_enabled),
        T(early_chains_wait_for_their_turn),
        T(a_queue_is_reset_alone),
        T(wrong_queue_resets_are_refused),
        T(notification_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

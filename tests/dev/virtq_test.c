/* Rings: every mode of notification and of descriptors gives the same data; the device takes, gives
 * back and interrupts as VIRTIO 1.2, section 2.7, has it. What hostile drivers do is in
 * threats_virtio_test.c. */
#include "virtq_driver.h"

#include "base/bits.h"
#include "echo_device.h"

#include <stdio.h>

static int setup(void **state)
{
    return vd_setup(state, &vr_virtio_echo_mmio_class, VD_OPTS);
}

/* Echo @len bytes in pieces of @piece. */
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

/* More chains than 16-bit indexes have values, in all cuts. */
static void data_goes_through_in_every_mode(void **state)
{
    struct vd_fixture *f = *state;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        for (unsigned size = 64; size >= 32; size /= 2) {
            uint64_t seed = 1 + m;
            vd_start(&f->d, vd_modes[m].features, size);
            for (unsigned i = 0; i < 400; i++) {
                uint32_t len = 1 + (uint32_t)(rig_random(&seed) % 300);
                uint32_t piece = len / 15 + 1 + (uint32_t)(rig_random(&seed) % 40);
                echo_once(&f->d, len, piece, &seed);
            }
        }
        for (unsigned i = 0; i < 66000; i++) {
            uint64_t seed = 9 + i;
            echo_once(&f->d, 4, 4, &seed);
        }
        assert_int_equal(f->dev->guest_errors, 0);
    }
}

static void single_entry_ring_works(void **state)
{
    struct vd_fixture *f = *state;
    uint64_t seed = 4;
    vd_start(&f->d, VR_VIRTIO_F_INDIRECT_DESC, 1);
    for (unsigned i = 0; i < 100; i++) {
        echo_once(&f->d, 20, 7, &seed);
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

/* 2.7.5.3.2: chained descriptors, then an indirect one, whose WRITE flag means nothing. */
static void direct_then_indirect(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, VR_VIRTIO_F_INDIRECT_DESC, 8);
    struct vd_buf out = vd_out(d, "direct, then indirect", 21), in = vd_in(d, 21);
    uint64_t table = vd_alloc(d, 48, 16) + 8; /* tables need no alignment */
    vd_alloc(d, 16, 1);
    vd_desc_at(d, table, 0, out.gpa + 7, 14, VD_NEXT, 2);
    vd_desc_at(d, table, 2, in.gpa, 21, VD_WRITE, 0);
    vd_desc(d, 0, 3, out.gpa, 7, VD_NEXT, 5);
    vd_desc(d, 0, 5, table, 48, VD_INDIRECT | VD_WRITE, 0);
    vd_publish(d, 0, 3);
    vd_kick(d, 0);
    uint16_t head;
    uint32_t len;
    assert_true(vd_used(d, 0, &head, &len));
    assert_int_equal(head, 3);
    assert_int_equal(len, 21);
    assert_memory_equal(vd_hva(d, in.gpa), "direct, then indirect", 21);
    assert_int_equal(f->dev->guest_errors, 0);
}

static void empty_descriptors_are_legal(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(d, vd_modes[m].features, 16);
        struct vd_buf out = vd_out(d, "abcdef", 6), in = vd_in(d, 6);
        struct vd_buf bufs[] = {
            {.gpa = 0, .len = 0},
            {.gpa = out.gpa, .len = 3},
            {.gpa = UINT64_MAX, .len = 0}, /* nothing is there, and nothing is read */
            {.gpa = out.gpa + 3, .len = 3},
            {.gpa = in.gpa, .len = 0, .write = true},
            in,
        };
        assert_int_equal(vd_do(d, 0, bufs, 6), 6);
        assert_memory_equal(vd_hva(d, in.gpa), "abcdef", 6);
        struct vd_buf none = {.gpa = in.gpa, .len = 0};
        assert_int_equal(vd_do(d, 0, &none, 1), 0);
        assert_false(vd_needs_reset(d));
    }
}

static void chains_come_back_in_any_order(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, 0, 8);
    uint16_t heads[8], head;
    for (unsigned i = 0; i < 8; i++) {
        struct vd_buf in = vd_in(d, 4);
        heads[i] = vd_add(d, 1, &in, 1);
    }
    vd_kick(d, 1);
    assert_int_equal(ECHO(f->dev)->kept_count, 8);
    assert_false(vd_used(d, 1, NULL, NULL));
    echo_release(f->dev, true);
    for (unsigned i = 8; i-- > 0;) {
        assert_true(vd_used(d, 1, &head, NULL));
        assert_int_equal(head, heads[i]);
    }
    assert_false(vd_used(d, 1, NULL, NULL));
}

static void a_pop_can_be_taken_back(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(d, vd_modes[m].features, 8);
        ECHO(f->dev)->unpop = 1;
        struct vd_buf bufs[] = {vd_out(d, "once", 4), vd_in(d, 4)};
        vd_add(d, 0, bufs, 2);
        vd_kick(d, 0);
        assert_false(vd_used(d, 0, NULL, NULL));
        vd_set(d, VD_QUEUE_NOTIFY, 0);
        assert_true(vd_used(d, 0, NULL, NULL));
        assert_memory_equal(vd_hva(d, bufs[1].gpa), "once", 4);
    }
}

/* --- Notifications --- */

static void interrupts_by_flag(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, 0, 8);
    struct vd_buf in = vd_in(d, 4);
    uint8_t *used_event = vd_hva(d, d->q[0].avail) + 4 + 2 * 8; /* means nothing here */
    vd_want_irq(d, 0, true);
    vr_store_le16(used_event, 100);
    vd_do(d, 0, &in, 1);
    assert_true(d->irq.level);
    assert_int_equal(vd_isr(d), VR_VIRTIO_ISR_USED);
    assert_false(d->irq.level);
    vd_want_irq(d, 0, false);
    for (unsigned i = 0; i < 20; i++) {
        vr_store_le16(used_event, d->q[0].used_idx);
        vd_do(d, 0, &in, 1);
        assert_false(d->irq.level);
    }
    assert_int_equal(vd_isr(d), 0);
    assert_int_equal(vd_stats(d, 0)->interrupts, 1);
}

/* used_event: the interrupt comes when the used index passes it, and not again before it moves. */
static void interrupts_by_event_index(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, VR_VIRTIO_F_EVENT_IDX, 8);
    struct vd_buf in = vd_in(d, 4);
    uint8_t *used_event = vd_hva(d, d->q[0].avail) + 4 + 2 * 8;
    for (unsigned start = 0; start < 66000; start += 4) { /* across the wrap */
        uint16_t now = d->q[0].used_idx;
        vr_store_le16(used_event, (uint16_t)(now + 2));
        vr_store_le16(vd_hva(d, d->q[0].avail), start / 4 % 2); /* the flag means nothing here */
        for (unsigned i = 0; i < 4; i++) {
            vd_do(d, 0, &in, 1);
            assert_int_equal(vd_isr(d), i == 2 ? VR_VIRTIO_ISR_USED : 0);
        }
    }
    /* Several at once: one interrupt if the event lies among them. */
    vr_store_le16(used_event, (uint16_t)(d->q[0].used_idx + 1));
    for (unsigned i = 0; i < 3; i++) {
        vd_add(d, 0, &in, 1);
    }
    vd_kick(d, 0);
    assert_int_equal(vd_isr(d), VR_VIRTIO_ISR_USED);
}

/* avail_event: a driver that looks at it never leaves a buffer lying, and seldom kicks. */
static void kicks_are_withheld_and_none_is_lost(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, VR_VIRTIO_F_EVENT_IDX, 32);
    struct vd_buf in = vd_in(d, 4);
    for (unsigned i = 0; i < 1000; i++) {
        vd_do(d, 0, &in, 1); /* the device is idle each time: it must be kicked */
    }
    assert_int_equal(d->q[0].kicks, 1000);
    assert_int_equal(d->q[0].kicks_withheld, 0);
    /* A device that does not look yet asked for the first only. */
    ECHO(f->dev)->unpop = 1;
    vd_add(d, 0, &in, 1);
    vd_kick(d, 0);
    assert_int_equal(d->q[0].kicks, 1001);
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

/* A queue whose driver adds faster than we take gets its turn, then others do, then it goes on. */
static void a_busy_queue_is_cut_short_and_goes_on(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, VR_VIRTIO_F_EVENT_IDX, 16);
    struct vd_buf in = vd_in(d, 4);
    for (unsigned i = 0; i < 16; i++) {
        vd_add(d, 0, &in, 1);
    }
    vd_kick(d, 0);
    assert_int_equal(vr_virtio_of(f->dev)->deferred, 1); /* it took as many as it may in one go */
    for (unsigned i = 0; i < 16; i++) {
        assert_true(vd_used(d, 0, NULL, NULL));
    }
    vd_add(d, 0, &in, 1); /* no kick */
    assert_false(vd_used(d, 0, NULL, NULL));
    vr_clock_step(f->rig.env.clock, 1000000);
    assert_true(vd_used(d, 0, NULL, NULL));
    assert_int_equal(vr_virtio_of(f->dev)->deferred, 0);
}

/* --- Guest memory --- */

struct pages {
    struct vr_ram *ram;
    unsigned told;
};

static void pages_told(void *opaque, struct vr_ram *ram, uint64_t off, uint64_t len)
{
    struct pages *p = opaque;
    (void)off;
    (void)len;
    p->told += ram == p->ram;
}

/* Code in pages that the device writes, be it data or ring, is dropped. */
static void writes_into_code_are_told(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    struct pages p = {.ram = f->rig.ram};
    vd_start(d, 0, 8);
    vr_space_on_code_written(f->rig.env.mem, pages_told, &p);
    d->heap = vr_align_up(d->heap, VR_PAGE_SIZE);
    struct vd_buf out = vd_out(d, "x", 1);
    d->heap = vr_align_up(d->heap, VR_PAGE_SIZE);
    struct vd_buf in = vd_in(d, 1), bufs[] = {out, in};
    vd_do(d, 0, bufs, 2);
    assert_int_equal(p.told, 0);
    atomic_store(&f->rig.ram->page_flags[(in.gpa - RIG_RAM_GPA) >> VR_PAGE_SHIFT], VR_PAGE_CODE);
    vd_do(d, 0, bufs, 2);
    assert_int_equal(p.told, 1);
    atomic_store(&f->rig.ram->page_flags[(d->q[0].used - RIG_RAM_GPA) >> VR_PAGE_SHIFT],
                 VR_PAGE_CODE);
    vd_do(d, 0, bufs, 2);
    assert_int_equal(p.told, 2);
    atomic_store(&f->rig.ram->page_flags[(out.gpa - RIG_RAM_GPA) >> VR_PAGE_SHIFT], VR_PAGE_CODE);
    vd_do(d, 0, bufs, 2); /* only read */
    assert_int_equal(p.told, 2);
    vr_space_forget(f->rig.env.mem, &p);
}

/* The map changes while a queue runs: pointers are found again. */
static void rings_survive_a_change_of_the_map(void **state)
{
    struct vd_fixture *f = *state;
    struct vr_ram *more;
    uint64_t seed = 8;
    vd_start(&f->d, 0, 8);
    echo_once(&f->d, 10, 3, &seed);
    assert_int_equal(vr_ram_create("more", 4096 + 8192, &more, NULL), 0);
    struct vr_region region = {.name = "more",
                               .kind = VR_REGION_RAM,
                               .gpa = RIG_RAM_GPA + RIG_RAM_LEN,
                               .len = 8192,
                               .ram = more,
                               .ram_off = 4096}; /* not beside the other on the host */
    assert_int_equal(vr_space_add(f->rig.env.mem, &region, NULL), 0);
    echo_once(&f->d, 10, 3, &seed);
    /* A buffer across both memories is two pieces of ours, one of the driver's. */
    struct vd_buf bufs[] = {{.gpa = RIG_RAM_GPA + RIG_RAM_LEN - 5, .len = 10}, vd_in(&f->d, 10)};
    memcpy(f->rig.ram->hva + RIG_RAM_LEN - 5, "01234", 5);
    memcpy(more->hva + 4096, "56789", 5);
    assert_int_equal(vd_do(&f->d, 0, bufs, 2), 10);
    assert_memory_equal(vd_hva(&f->d, bufs[1].gpa), "0123456789", 10);
    assert_int_equal(ECHO(f->dev)->last.read_count, 2);
    /* So is an indirect table across them. */
    uint64_t table = RIG_RAM_GPA + RIG_RAM_LEN - 24;
    vd_start(&f->d, VR_VIRTIO_F_INDIRECT_DESC, 8);
    bufs[0] = vd_out(&f->d, "across", 6);
    bufs[1] = vd_in(&f->d, 6);
    uint8_t raw[32] = {0};
    vr_store_le64(raw, bufs[0].gpa);
    vr_store_le32(raw + 8, 6);
    vr_store_le16(raw + 12, VD_NEXT);
    vr_store_le16(raw + 14, 1);
    vr_store_le64(raw + 16, bufs[1].gpa);
    vr_store_le32(raw + 24, 6);
    vr_store_le16(raw + 28, VD_WRITE);
    memcpy(f->rig.ram->hva + RIG_RAM_LEN - 24, raw, 24);
    memcpy(more->hva + 4096, raw + 24, 8);
    vd_desc(&f->d, 0, 0, table, 32, VD_INDIRECT, 0);
    vd_publish(&f->d, 0, 0);
    vd_kick(&f->d, 0);
    assert_true(vd_used(&f->d, 0, NULL, NULL));
    assert_memory_equal(vd_hva(&f->d, bufs[1].gpa), "across", 6);
    vr_space_remove(f->rig.env.mem, &region);
    echo_once(&f->d, 10, 3, &seed);
    vr_dev_reset(f->dev);
    vr_view_cache_drop(f->rig.env.mem, &f->dev->dma);
    vr_ram_destroy(more);
}

/* --- Snapshots and the account --- */

static void a_restored_queue_goes_on(void **state)
{
    struct vd_fixture *f = *state;
    uint64_t seed = 77;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(&f->d, vd_modes[m].features, 16);
        for (unsigned i = 0; i < 300; i++) {
            echo_once(&f->d, 20, 6, &seed);
            struct vr_dev *twin = rig_dev(&f->rig, &vr_virtio_echo_mmio_class, VD_OPTS);
            assert_int_equal(rig_copy(f->dev, twin), 0);
            vr_dev_destroy(f->dev);
            f->dev = f->d.dev = twin;
        }
    }
}

/* What cannot be is refused, and leaves a reset device. */
static void impossible_states_are_refused(void **state)
{
    struct vd_fixture *f = *state;
    struct vr_dev *twin = rig_dev(&f->rig, &vr_virtio_echo_mmio_class, VD_OPTS);
    struct vr_virtio *v = vr_virtio_of(f->dev);
    struct vr_virtq *q = &ECHO(f->dev)->vq[0];
    vd_start(&f->d, 0, 16);
    assert_int_equal(rig_copy(f->dev, twin), 0);
    v->driver_features |= UINT64_C(1) << 50;
    assert_int_equal(rig_copy(f->dev, twin), -34); /* -ERANGE */
    assert_int_equal(vr_virtio_of(twin)->status, 0);
    v->driver_features &= ~(UINT64_C(1) << 50);
    q->size = 12;
    assert_int_equal(rig_copy(f->dev, twin), -34);
    q->size = 128;
    assert_int_equal(rig_copy(f->dev, twin), -34);
    q->size = 16;
    q->desc_gpa += 8;
    assert_int_equal(rig_copy(f->dev, twin), -34);
    q->desc_gpa -= 8;
    v->deferred = 4;
    assert_int_equal(rig_copy(f->dev, twin), -34);
    v->deferred = 0;
    v->status = VR_VIRTIO_DRIVER_OK;
    assert_int_equal(rig_copy(f->dev, twin), -34);
    vr_dev_destroy(twin);
}

static void what_is_copied_is_accounted(void **state)
{
    struct vd_fixture *f = *state;
    vd_start(&f->d, 0, 16);
    const struct vr_virtq_stats before = *vd_stats(&f->d, 0);
    struct vd_buf bufs[] = {vd_out(&f->d, "0123456789", 10), vd_in(&f->d, 30)};
    vd_do(&f->d, 0, bufs, 2);
    const struct vr_virtq_stats *after = vd_stats(&f->d, 0);
    assert_int_equal(after->chains - before.chains, 1);
    assert_int_equal(after->bytes - before.bytes, 40);
    assert_int_equal(after->copied - before.copied, 20); /* this device copies: in and out */
    assert_int_equal(after->kicks - before.kicks, 1);
    assert_int_equal(after->interrupts - before.interrupts, 1);
    assert_int_equal(after->errors, 0);
}

/* From pop to push, in guest time; chains that are kept for long make the top hundredth. */
static void latencies_are_counted(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(d, vd_modes[m].features, 64);
        struct vr_hist *h = &vr_virtio_of(f->dev)->host.vq[1].host.stats.latency;
        memset(h, 0, sizeof(*h));
        struct vd_buf in = vd_in(d, 4);
        for (unsigned i = 0; i < 50; i++) {
            for (unsigned k = 0; k < 2; k++) {
                vd_add(d, 1, &in, 1);
                vd_kick(d, 1);
                vr_clock_step(f->rig.env.clock, 10000);
            }
            vr_clock_step(f->rig.env.clock, i == 0 ? 5000000 : 0);
            echo_release(f->dev, false);
            while (vd_used(d, 1, NULL, NULL)) {
            }
        }
        assert_int_equal(vr_hist_count(h), 100);
        assert_in_range(h->sum_ns, 2 * 5000000 + 100 * 15000 - 2, 2 * 5000000 + 100 * 25000);
        assert_in_range(vr_hist_quantile_ns(h, 500), 10000, 25600);
        assert_in_range(vr_hist_quantile_ns(h, 990), 5000000, 6400000);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, vd_teardown)
    const struct CMUnitTest tests[] = {
        T(data_goes_through_in_every_mode),
        T(single_entry_ring_works),
        T(direct_then_indirect),
        T(empty_descriptors_are_legal),
        T(chains_come_back_in_any_order),
        T(a_pop_can_be_taken_back),
        T(interrupts_by_flag),
        T(interrupts_by_event_index),
        T(kicks_are_withheld_and_none_is_lost),
        T(a_busy_queue_is_cut_short_and_goes_on),
        T(writes_into_code_are_told),
        T(rings_survive_a_change_of_the_map),
        T(a_restored_queue_goes_on),
        T(impossible_states_are_refused),
        T(what_is_copied_is_accounted),
        T(latencies_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

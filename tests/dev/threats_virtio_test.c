/*
 * Hostile virtio drivers, one test for each pattern of attack, against every queue of every device:
 * the device asks for a reset or refuses the request, nothing is touched that the guest does not
 * own, and after a reset it serves as before. Rows of the project's list of threats are named by
 * number.
 */
#include "virtio_victims.h"

#include "base/bits.h"

#include <errno.h>

/* --- Row 2: chains and rings --- */

static void loop_to_self(struct victim *v, unsigned queue)
{
    struct vd_buf b = victim_room(v, 64, true);
    vd_desc(&v->d, queue, 0, b.gpa, 1, VD_NEXT | VD_WRITE, 0);
    vd_publish(&v->d, queue, 0);
}

static void loop_of_empty_descriptors(struct victim *v, unsigned queue)
{
    vd_desc(&v->d, queue, 0, 0, 0, VD_NEXT, 1);
    vd_desc(&v->d, queue, 1, 0, 0, VD_NEXT, 0);
    vd_publish(&v->d, queue, 0);
}

static void longer_than_the_queue(struct victim *v, unsigned queue)
{
    struct vd_buf b = victim_room(v, 64, true);
    for (unsigned i = 0; i < 16; i++) {
        vd_desc(&v->d, queue, i, b.gpa, 1, VD_NEXT | VD_WRITE, (uint16_t)((i + 1) % 16));
    }
    vd_publish(&v->d, queue, 3);
}

static void next_beyond_the_table(struct victim *v, unsigned queue)
{
    struct vd_buf b = victim_room(v, 64, true);
    vd_desc(&v->d, queue, 0, b.gpa, 1, VD_NEXT | VD_WRITE, 16);
    vd_publish(&v->d, queue, 0);
}

static void head_beyond_the_table(struct victim *v, unsigned queue)
{
    vd_publish(&v->d, queue, 16);
}

static void head_65535(struct victim *v, unsigned queue)
{
    vd_publish(&v->d, queue, 65535);
}

static void indirect_loop(struct victim *v, unsigned queue)
{
    struct vd_buf b = victim_room(v, 64, true);
    uint64_t table = vd_alloc(&v->d, 32, 16);
    vd_desc_at(&v->d, table, 0, b.gpa, 1, VD_NEXT | VD_WRITE, 1);
    vd_desc_at(&v->d, table, 1, b.gpa, 1, VD_NEXT | VD_WRITE, 0);
    vd_desc(&v->d, queue, 0, table, 32, VD_INDIRECT, 0);
    vd_publish(&v->d, queue, 0);
}

static void indirect_in_indirect(struct victim *v, unsigned queue)
{
    uint64_t table = vd_alloc(&v->d, 16, 16);
    vd_desc_at(&v->d, table, 0, table, 16, VD_INDIRECT, 0);
    vd_desc(&v->d, queue, 0, table, 16, VD_INDIRECT, 0);
    vd_publish(&v->d, queue, 0);
}

static void indirect_next_beyond(struct victim *v, unsigned queue)
{
    uint64_t table = vd_alloc(&v->d, 32, 16);
    vd_desc_at(&v->d, table, 0, table, 1, VD_NEXT, 2);
    vd_desc(&v->d, queue, 0, table, 32, VD_INDIRECT, 0);
    vd_publish(&v->d, queue, 0);
}

static void indirect_with_next(struct victim *v, unsigned queue)
{
    struct vd_buf b = victim_room(v, 64, true);
    uint64_t table = vd_alloc(&v->d, 16, 16);
    vd_desc_at(&v->d, table, 0, b.gpa, 64, VD_WRITE, 0);
    vd_desc(&v->d, queue, 0, table, 16, VD_INDIRECT | VD_NEXT, 1);
    vd_desc(&v->d, queue, 1, b.gpa, 64, VD_WRITE, 0);
    vd_publish(&v->d, queue, 0);
}

static void indirect_len(struct victim *v, unsigned queue, uint32_t len)
{
    uint64_t table = vd_alloc(&v->d, 32768, 16);
    memset(vd_hva(&v->d, table), 0, 32768);
    vd_desc(&v->d, queue, 0, table, len, VD_INDIRECT, 0);
    vd_publish(&v->d, queue, 0);
}

#define INDIRECT_LEN(n)                                            \
    static void indirect_len_##n(struct victim *v, unsigned queue) \
    {                                                              \
        indirect_len(v, queue, n);                                 \
    }
INDIRECT_LEN(0)
INDIRECT_LEN(15)
INDIRECT_LEN(17)
INDIRECT_LEN(16400)      /* 1025 descriptors */
INDIRECT_LEN(4294967280) /* 2^32 - 16 */
INDIRECT_LEN(4294967295)

static void jump(struct victim *v, unsigned queue, uint16_t by)
{
    struct vd_queue *q = &v->d.q[queue];
    uint16_t idx = vr_load_le16(vd_hva(&v->d, q->avail) + 2);
    for (unsigned i = 0; i < q->size; i++) {
        vd_desc(&v->d, queue, i, q->desc, 1, VD_WRITE, 0);
        vr_store_le16(vd_hva(&v->d, q->avail) + 4 + 2 * i, (uint16_t)i);
    }
    vr_store_le16(vd_hva(&v->d, q->avail) + 2, (uint16_t)(idx + by));
}

static void index_jumps_by_size_and_one(struct victim *v, unsigned queue)
{
    jump(v, queue, 17);
}

static void index_jumps_far(struct victim *v, unsigned queue)
{
    jump(v, queue, 32768);
}

static void index_goes_back(struct victim *v, unsigned queue)
{
    jump(v, queue, 65535);
}

static void row_2_chains_that_loop_or_lie(void **state)
{
    (void)state;
    victim_attack(loop_to_self, 0);
    victim_attack(loop_of_empty_descriptors, 0);
    victim_attack(longer_than_the_queue, 0);
    victim_attack(next_beyond_the_table, 0);
    victim_attack(head_beyond_the_table, 0);
    victim_attack(head_65535, VR_VIRTIO_F_EVENT_IDX);
    victim_attack(indirect_with_next, 0); /* the feature was not negotiated */
    const uint64_t ring = VR_VIRTIO_F_INDIRECT_DESC;
    victim_attack(indirect_with_next, ring);
    victim_attack(indirect_loop, ring);
    victim_attack(indirect_in_indirect, ring);
    victim_attack(indirect_next_beyond, ring);
    victim_attack(indirect_len_0, ring);
    victim_attack(indirect_len_15, ring);
    victim_attack(indirect_len_17, ring);
    victim_attack(indirect_len_16400, ring);
    victim_attack(indirect_len_4294967280, ring);
    victim_attack(indirect_len_4294967295, ring);
    victim_attack(index_jumps_by_size_and_one, 0);
    victim_attack(index_jumps_far, VR_VIRTIO_F_EVENT_IDX);
    victim_attack(index_goes_back, 0);
}

/* The same heads again and again while they are in flight: no more are taken than the ring holds.
 */
static void row_2_requests_are_bounded_by_the_ring(void **state)
{
    (void)state;
    struct victim v;
    uint8_t raw[16] = {0};
    victim_init(&v, VICTIM_BLK);
    v.disk.hold = true;
    victim_start(&v, VR_VIRTIO_F_INDIRECT_DESC, 16);
    struct vd_buf bufs[] = {vd_out(&v.d, raw, 16), vd_in(&v.d, 512), vd_in(&v.d, 1)};
    for (unsigned i = 0; i < 16; i++) {
        vd_add(&v.d, 0, bufs, 3);
    }
    vd_kick(&v.d, 0);
    assert_int_equal(v.disk.held, 16);
    vd_publish(&v.d, 0, 0); /* a seventeenth */
    vd_set(&v.d, VD_QUEUE_NOTIFY, 0);
    assert_int_equal(v.disk.held, 16);
    assert_true(vd_needs_reset(&v.d));
    mem_blk_release(&v.disk, UINT32_MAX);
    v.disk.hold = false;
    victim_serves(&v);
    victim_fini(&v);
}

/* --- Row 3: queue numbers, sizes, features, ring addresses --- */

static void row_3_numbers_from_the_guest(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < VICTIM_COUNT; kind++) {
        struct victim v;
        struct vd *d = &v.d;
        victim_init(&v, kind);
        static const uint32_t wild[] = {
            0, 1, 2, 3, 5, 6, 7, 63, 64, 255, 65535, 65536, 0x7fffffff, 0x80000000, UINT32_MAX};
        assert_true(vd_negotiate(d, 0));
        for (unsigned i = 0; i < VR_COUNT(wild); i++) {
            vd_set(d, VD_QUEUE_SEL, wild[i]);
            vd_set(d, VD_QUEUE_NOTIFY, wild[i]);
            (void)vd_get(d, VD_QUEUE_SIZE_MAX);
            for (unsigned j = 0; j < VR_COUNT(wild); j++) {
                vd_set(d, VD_QUEUE_SIZE, wild[j]);
                vd_set(d, VD_QUEUE_READY, wild[j]);
                vd_set(d, VD_QUEUE_READY, 0);
            }
        }
        victim_start(&v, 0, 16);
        for (unsigned i = 0; i < VR_COUNT(wild); i++) {
            vd_set(d, VD_QUEUE_NOTIFY, wild[i]);
            vd_set(d, VD_DRIVER_FEATURES_SEL, wild[i]);
            vd_set(d, VD_DRIVER_FEATURES, UINT32_MAX); /* after DRIVER_OK */
        }
        assert_int_equal(vr_virtio_of(v.dev)->driver_features, d->features);
        victim_serves(&v);
        victim_fini(&v);
    }
}

/* Enable queue 0 as told, and DRIVER_OK; does the device refuse the ring? */
static bool refused(struct victim *v, uint32_t size, uint64_t desc, uint64_t driver,
                    uint64_t device)
{
    struct vd *d = &v->d;
    assert_true(vd_negotiate(d, 0));
    vd_set(d, VD_QUEUE_SEL, 0);
    vd_set(d, VD_QUEUE_SIZE, size);
    const uint64_t gpa[] = {desc, driver, device};
    for (unsigned i = 0; i < 3; i++) {
        vd_set(d, VD_DESC + 16 * i, (uint32_t)gpa[i]);
        vd_set(d, VD_DESC + 16 * i + 4, (uint32_t)(gpa[i] >> 32));
    }
    vd_set(d, VD_QUEUE_READY, 1);
    bool ready = vd_get(d, VD_QUEUE_READY);
    assert_int_equal(vd_isr(d), 0); /* no driver hears interrupts yet */
    vd_driver_ok(d);
    vd_set(d, VD_QUEUE_NOTIFY, 0);
    assert_int_equal(vd_needs_reset(d), !ready);
    return !ready;
}

static void row_3_rings_in_strange_places(void **state)
{
    (void)state;
    const uint64_t ram = RIG_RAM_GPA, end = ram + RIG_RAM_LEN;
    const uint64_t bad[] = {
        0,
        VICTIM_WINDOW,
        VICTIM_WINDOW + 0x80,
        end,
        end - 16,
        end - 36,
        UINT64_MAX,
        UINT64_MAX - 15,
        UINT64_MAX & ~(uint64_t)15,
        UINT64_MAX << 20,
        UINT64_C(1) << 56,
        ram - 16,
        ram - 4096,
    };
    for (unsigned kind = 0; kind < VICTIM_COUNT; kind++) {
        struct victim v;
        victim_init(&v, kind);
        memset(v.rig.ram->hva, 0, RIG_RAM_LEN);
        assert_false(refused(&v, 16, ram, ram + 256, ram + 512));
        for (unsigned i = 0; i < VR_COUNT(bad); i++) {
            assert_true(refused(&v, 16, bad[i], ram + 256, ram + 512));
            assert_true(refused(&v, 16, ram, bad[i], ram + 512));
            assert_true(refused(&v, 16, ram, ram + 256, bad[i]));
        }
        /* The used ring is written: not in ROM. The others are only read. */
        assert_true(refused(&v, 16, ram, ram + 256, VICTIM_ROM));
        assert_false(refused(&v, 16, VICTIM_ROM, VICTIM_ROM + 512, ram));
        /* Alignment (2.7), sizes. */
        assert_true(refused(&v, 16, ram + 8, ram + 256, ram + 512));
        assert_true(refused(&v, 16, ram, ram + 257, ram + 512));
        assert_true(refused(&v, 16, ram, ram + 256, ram + 514));
        static const uint32_t sizes[] = {0, 3, 15, 17, 48, 512, 1024, 32768, 65536, UINT32_MAX};
        for (unsigned i = 0; i < VR_COUNT(sizes); i++) {
            bool good = sizes[i] == 512 && kind == VICTIM_BLK;
            assert_int_equal(refused(&v, sizes[i], ram, ram + 65536, ram + 131072), !good);
        }
        /* The very end of RAM is RAM. */
        assert_false(refused(&v, 16, end - 256, ram, ram + 512));
        assert_false(refused(&v, 16, ram, end - 38, ram + 512));
        assert_false(refused(&v, 16, ram, ram + 512, end - 136));
        /* All three in the same place: the device's own writes change its rings. It must stand. */
        assert_false(refused(&v, 16, ram, ram, ram));
        victim_serves(&v);
        victim_fini(&v);
    }
}

/* --- Row 4: length arithmetic --- */

static const uint64_t edges[] = {
    0,
    1,
    2,
    11,
    12,
    13,
    15,
    16,
    17,
    511,
    512,
    513,
    1023,
    2047,
    2048,
    4096,
    65535,
    65536,
    0x7fffffff,
    0x80000000,
    0xfffffff0,
    UINT32_MAX,
    UINT64_C(0x100000000),
    UINT64_C(1) << 54,
    (UINT64_C(1) << 55) - 1,
    UINT64_C(1) << 55,
    UINT64_MAX / 512,
    UINT64_MAX - 512,
    UINT64_MAX - 1,
    UINT64_MAX,
};

/* Request fields and data lengths of a disk at their edges: nothing leaves the disk. */
static void row_4_disk_lengths(void **state)
{
    (void)state;
    struct victim v;
    struct vd *d = &v.d;
    victim_init(&v, VICTIM_BLK);
    victim_start(&v, VR_VIRTIO_F_INDIRECT_DESC, 16);
    static const uint32_t types[] = {0, 1, 4, 8, 11, 13};
    static const uint32_t lens[] = {0, 1, 15, 16, 17, 31, 32, 511, 512, 513, 1024, 4096, 65536};
    uint64_t heap = d->heap;
    for (unsigned t = 0; t < VR_COUNT(types); t++) {
        for (unsigned s = 0; s < VR_COUNT(edges); s++) {
            for (unsigned l = 0; l < VR_COUNT(lens); l++) {
                uint8_t raw[16] = {0};
                vr_store_le32(raw, types[t]);
                vr_store_le64(raw + 8, edges[s]);
                struct vd_buf bufs[] = {vd_out(d, raw, 16), vd_in(d, lens[l]), vd_in(d, 1)};
                bufs[1].write = types[t] == 0 || types[t] == 8;
                for (unsigned i = 0; i + 16 <= lens[l] && !bufs[1].write; i += 16) {
                    vr_store_le64(vd_hva(d, bufs[1].gpa) + i, edges[(s + i) % VR_COUNT(edges)]);
                    vr_store_le32(vd_hva(d, bufs[1].gpa) + i + 8,
                                  (uint32_t)edges[(s * 7 + l + i) % VR_COUNT(edges)]);
                    vr_store_le32(vd_hva(d, bufs[1].gpa) + i + 12, (s + l) % 3 ? 0 : s % 4);
                }
                vd_add(d, 0, bufs, 3);
                vd_kick(d, 0);
                for (unsigned turns = 0; !vd_used(d, 0, NULL, NULL); turns++) {
                    assert_true(turns < 50);
                    vr_loop_turn(v.loop, 0);
                }
                assert_in_range(*vd_hva(d, bufs[2].gpa), 0, 2);
                d->heap = heap + 48 * 16; /* tables of chains under way are done with */
            }
        }
    }
    assert_false(vd_needs_reset(d));
    victim_serves(&v);
    victim_fini(&v);
}

/* Every field of the network header, and the tables of the control queue. */
static void row_4_network_lengths(void **state)
{
    (void)state;
    struct victim v;
    struct vd *d = &v.d;
    victim_init(&v, VICTIM_NET);
    victim_start(&v, 0, 16);
    uint64_t heap = d->heap;
    for (unsigned a = 0; a < VR_COUNT(edges); a++) {
        for (unsigned b = 0; b < VR_COUNT(edges); b++) {
            for (unsigned len = 0; len < 80; len += 13) {
                uint8_t raw[12 + 80] = {(uint8_t)(b % 4), (uint8_t)(a % 2 ? 0 : b)};
                d->heap = heap;
                vr_store_le16(raw + 2, (uint16_t)edges[b]); /* hdr_len */
                vr_store_le16(raw + 4, (uint16_t)edges[a]); /* gso_size */
                vr_store_le16(raw + 6, (uint16_t)edges[a]); /* csum_start */
                vr_store_le16(raw + 8, (uint16_t)edges[b]); /* csum_offset */
                vr_store_le16(raw + 10, (uint16_t)edges[a]);
                struct vd_buf out = vd_out(d, raw, 12 + len);
                vd_do(d, 1, &out, 1);
                uint8_t table[2 + 80] = {1, 0};
                vr_store_le32(table + 2, (uint32_t)edges[a]);
                vr_store_le32(table + 6 + edges[a] % 3 * 6, (uint32_t)edges[b]);
                struct vd_buf bufs[] = {vd_out(d, table, 2 + len), vd_in(d, 1)};
                vd_do(d, 2, bufs, 2);
            }
        }
    }
    assert_false(vd_needs_reset(d));
    victim_serves(&v);
    victim_fini(&v);
}

/* Chains whose lengths add up to 2^32 or more, by pieces that each are fine; one byte less is
 * legal. */
static void row_4_chains_longer_than_4_gib(void **state)
{
    (void)state;
    enum { BIG = 16 << 20, COUNT = 256 };
    const uint64_t gpa = UINT64_C(0x100000000);
    for (unsigned kind = 0; kind < VICTIM_COUNT; kind++) {
        struct victim v;
        struct vr_ram *big;
        victim_init(&v, kind);
        assert_int_equal(vr_ram_create("big", BIG, &big, NULL), 0);
        struct vr_region region = {
            .name = "big", .kind = VR_REGION_RAM, .gpa = gpa, .len = BIG, .ram = big};
        assert_int_equal(vr_space_add(v.rig.env.mem, &region, NULL), 0);
        for (unsigned queue = 0; queue < v.queues; queue++) {
            for (unsigned less = 0; less < 2; less++) {
                if (less && kind != VICTIM_RNG) {
                    continue; /* the others would have to read 4 GiB */
                }
                victim_start(&v, VR_VIRTIO_F_INDIRECT_DESC, 16);
                uint64_t table = vd_alloc(&v.d, COUNT * 16, 16);
                for (unsigned i = 0; i < COUNT; i++) {
                    bool last = i + 1 == COUNT;
                    vd_desc_at(&v.d, table, i, gpa, BIG - (last && less),
                               VD_WRITE | (last ? 0 : VD_NEXT), (uint16_t)(i + 1));
                }
                vd_desc(&v.d, queue, 0, table, COUNT * 16, VD_INDIRECT, 0);
                vd_publish(&v.d, queue, 0);
                victim_provoke(&v, queue);
                assert_int_equal(vd_needs_reset(&v.d), !less);
                assert_int_equal(vd_used(&v.d, queue, NULL, NULL), less);
                victim_serves(&v);
            }
        }
        vr_space_remove(v.rig.env.mem, &region);
        vr_view_cache_drop(v.rig.env.mem, &v.dev->dma);
        vr_ram_destroy(big);
        victim_fini(&v);
    }
}

/* --- Row 5: directions and cuts --- */

static void writable_first(struct victim *v, unsigned queue)
{
    struct vd_buf b = victim_room(v, 64, true);
    vd_desc(&v->d, queue, 0, b.gpa, 32, VD_WRITE | VD_NEXT, 1);
    vd_desc(&v->d, queue, 1, b.gpa + 32, 32, 0, 0);
    vd_publish(&v->d, queue, 0);
}

/* The other direction than the queue is for, in all sizes that a header could have. */
static void wrong_way(struct victim *v, unsigned queue)
{
    bool device_writes = v->kind == VICTIM_RNG || (v->kind == VICTIM_NET && queue == 0) ||
                         (v->kind == VICTIM_CONSOLE && queue % 2 == 0) ||
                         (v->kind == VICTIM_BALLOON && queue >= 3) ||
                         (v->kind == VICTIM_SCSI && queue == 1);
    struct vd_buf b = victim_room(v, 600, !device_writes);
    vd_add(&v->d, queue, &b, 1);
}

static void nothing_at_all(struct victim *v, unsigned queue)
{
    vd_desc(&v->d, queue, 0, 0, 0, 0, 0);
    vd_publish(&v->d, queue, 0);
}

static void row_5_wrong_directions(void **state)
{
    (void)state;
    victim_attack(writable_first, 0);
    for (unsigned kind = 0; kind < VICTIM_COUNT; kind++) {
        struct victim v;
        victim_init(&v, kind);
        for (unsigned queue = 0; queue < v.queues; queue++) {
            for (unsigned i = 0; i < 2; i++) {
                victim_start(&v, 0, 16);
                (i ? nothing_at_all : wrong_way)(&v, queue);
                victim_provoke(&v, queue);
                /* Bytes that go out, and statistics, may be none; everything else lacks what it
                 * must have. */
                bool bytes = (v.kind == VICTIM_CONSOLE && queue % 2 && queue != 3) ||
                             (v.kind == VICTIM_BALLOON && queue == 2);
                assert_int_equal(vd_needs_reset(&v.d), !bytes);
                assert_int_equal(v.disk.submitted, 0);
                victim_serves(&v);
                v.disk.submitted = 0;
            }
        }
        victim_fini(&v);
    }
}

/* A disk's request with every part cut short or missing. */
static void row_5_disk_requests_cut_short(void **state)
{
    (void)state;
    struct victim v;
    struct vd *d = &v.d;
    victim_init(&v, VICTIM_BLK);
    for (uint32_t head = 0; head <= 17; head++) {
        for (uint32_t in = 0; in <= 2; in++) {
            uint8_t raw[17] = {0};
            victim_start(&v, 0, 64);
            struct vd_buf bufs[40];
            unsigned n = vd_split(vd_out(d, raw, head), 1, bufs, 20);
            n += vd_split(vd_in(d, in), 1, bufs + n, 20);
            bufs[n++] = (struct vd_buf){.gpa = UINT64_MAX, .write = true}; /* empty */
            vd_add(d, 0, bufs, n);
            vd_kick(d, 0);
            victim_turn(&v);
            bool whole = head >= 16 && in >= 1;
            assert_int_equal(vd_needs_reset(d), !whole);
            assert_int_equal(vd_used(d, 0, NULL, NULL), whole);
        }
    }
    victim_serves(&v);
    victim_fini(&v);
}

/* --- Row 6: DMA into devices --- */

static void row_6_dma_into_devices(void **state)
{
    (void)state;
    victim_attack_by_dma(0);
}

static void row_6_rings_that_leave_ram(void **state)
{
    (void)state;
    victim_lose_rings(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_2_chains_that_loop_or_lie),
        cmocka_unit_test(row_2_requests_are_bounded_by_the_ring),
        cmocka_unit_test(row_3_numbers_from_the_guest),
        cmocka_unit_test(row_3_rings_in_strange_places),
        cmocka_unit_test(row_4_disk_lengths),
        cmocka_unit_test(row_4_network_lengths),
        cmocka_unit_test(row_4_chains_longer_than_4_gib),
        cmocka_unit_test(row_5_wrong_directions),
        cmocka_unit_test(row_5_disk_requests_cut_short),
        cmocka_unit_test(row_6_dma_into_devices),
        cmocka_unit_test(row_6_rings_that_leave_ram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Hostile drivers of packed rings, on every queue of every virtio device; threats_virtio_test.c
 * does the same with split rings. Rows of the project's list of threats are named by number.
 * Specification: VIRTIO 1.3, section 2.8.
 */
#include "virtio_victims.h"

#include "base/bits.h"

enum { PACKED_AVAIL = 1 << 7, PACKED_USED = 1 << 15 };
#define PACKED   VR_VIRTIO_F_RING_PACKED
#define INDIRECT (PACKED | VR_VIRTIO_F_INDIRECT_DESC)

/* --- Row 2: chains and rings --- */

/* Every descriptor of the ring has a next one. */
static void chain_without_end(struct victim *v, unsigned queue)
{
    struct vd_buf b = victim_room(v, 64, true);
    for (unsigned i = 0; i < v->d.q[queue].size; i++) {
        vd_packed_put(&v->d, queue, b.gpa, 1, VD_NEXT | VD_WRITE, 0);
    }
}

/* Empty ones, which add nothing that could grow too long. */
static void empty_chain_without_end(struct victim *v, unsigned queue)
{
    for (unsigned i = 0; i < v->d.q[queue].size; i++) {
        vd_packed_put(&v->d, queue, 0, 0, VD_NEXT, 0);
    }
}

/* The second descriptor of a chain is not marked available, or looks used, or is of another lap. */
static void chain_into(struct victim *v, unsigned queue, uint16_t flags)
{
    struct vd_buf b = victim_room(v, 64, true);
    struct vd_queue *q = &v->d.q[queue];
    unsigned off = q->place & 0x7fff;
    vd_packed_put(&v->d, queue, b.gpa, 1, VD_NEXT | VD_WRITE, 0);
    vd_desc(&v->d, queue, (off + 1) % q->size, b.gpa, 1, 0, (uint16_t)(VD_WRITE | flags));
}

static void chain_into_nothing(struct victim *v, unsigned queue)
{
    chain_into(v, queue, 0);
}

static void chain_into_used(struct victim *v, unsigned queue)
{
    chain_into(v, queue, PACKED_AVAIL | PACKED_USED);
}

static void chain_into_another_lap(struct victim *v, unsigned queue)
{
    chain_into(v, queue, PACKED_USED);
}

static void table_of(struct victim *v, unsigned queue, uint64_t gpa, uint32_t len, uint16_t flags)
{
    vd_packed_put(&v->d, queue, gpa, len, VD_INDIRECT | flags, 0);
}

static void indirect_with_next(struct victim *v, unsigned queue)
{
    uint64_t table = vd_alloc(&v->d, 16, 16);
    vd_desc_at(&v->d, table, 0, table, 16, 0, VD_WRITE);
    table_of(v, queue, table, 16, VD_NEXT);
    vd_packed_put(&v->d, queue, table, 16, VD_WRITE, 0);
}

static void direct_then_indirect(struct victim *v, unsigned queue)
{
    uint64_t table = vd_alloc(&v->d, 32, 16);
    vd_desc_at(&v->d, table, 0, table, 16, 0, VD_WRITE);
    vd_packed_put(&v->d, queue, table, 16, VD_NEXT, 0);
    table_of(v, queue, table, 16, 0);
}

static void indirect_len(struct victim *v, unsigned queue, uint32_t len)
{
    uint64_t table = vd_alloc(&v->d, 32768, 16);
    memset(vd_hva(&v->d, table), 0, 32768);
    table_of(v, queue, table, len, 0);
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

static void row_2_packed_chains_that_loop_or_lie(void **state)
{
    (void)state;
    victim_attack(chain_without_end, PACKED);
    victim_attack(empty_chain_without_end, PACKED | VR_VIRTIO_F_EVENT_IDX);
    victim_attack(chain_into_nothing, PACKED);
    victim_attack(chain_into_used, PACKED);
    victim_attack(chain_into_another_lap, PACKED | VR_VIRTIO_F_IN_ORDER);
    victim_attack(indirect_with_next, PACKED); /* the feature was not negotiated */
    victim_attack(indirect_with_next, INDIRECT);
    victim_attack(direct_then_indirect, INDIRECT);
    victim_attack(indirect_len_0, INDIRECT);
    victim_attack(indirect_len_15, INDIRECT);
    victim_attack(indirect_len_17, INDIRECT);
    victim_attack(indirect_len_16400, INDIRECT);
    victim_attack(indirect_len_4294967280, INDIRECT);
    victim_attack(indirect_len_4294967295, INDIRECT);
}

/* Wrong wrap bits are no chain; right ones over what is in flight are one too many. */
static void row_2_packed_wrap_bits(void **state)
{
    (void)state;
    struct victim v;
    uint8_t raw[16] = {0};
    victim_init(&v, VICTIM_BLK);
    v.disk.hold = true;
    victim_start(&v, INDIRECT, 16);
    static const uint16_t wrong[] = {0, PACKED_USED, PACKED_AVAIL | PACKED_USED};
    for (unsigned i = 0; i < VR_COUNT(wrong); i++) {
        vd_desc(&v.d, 0, 0, RIG_RAM_GPA, 16, 0, wrong[i]);
        vd_set(&v.d, VD_QUEUE_NOTIFY, 0);
        assert_int_equal(v.disk.submitted, 0);
        assert_false(vd_needs_reset(&v.d));
    }
    struct vd_buf bufs[] = {vd_out(&v.d, raw, 16), vd_in(&v.d, 512), vd_in(&v.d, 1)};
    for (unsigned i = 0; i < 16; i++) {
        vd_add(&v.d, 0, bufs, 3);
    }
    vd_kick(&v.d, 0);
    assert_int_equal(v.disk.held, 16);
    vd_add(&v.d, 0, bufs, 3); /* a seventeenth, in the place of the first */
    vd_set(&v.d, VD_QUEUE_NOTIFY, 0);
    assert_int_equal(v.disk.held, 16);
    assert_true(vd_needs_reset(&v.d));
    mem_blk_release(&v.disk, UINT32_MAX);
    v.disk.hold = false;
    victim_serves(&v);
    victim_fini(&v);
}

/* What of an indirect table's flags is reserved is ignored (2.8.8): no nesting, no walking. */
static void row_2_packed_tables_do_not_nest(void **state)
{
    (void)state;
    struct victim v;
    victim_init(&v, VICTIM_RNG);
    victim_start(&v, INDIRECT, 16);
    struct vd_buf in = vd_in(&v.d, 64);
    uint64_t table = vd_alloc(&v.d, 32, 16);
    vd_desc_at(&v.d, table, 0, in.gpa, 32, 0xffff, 0xffff);
    vd_desc_at(&v.d, table, 1, in.gpa + 32, 32, 0xffff, 0xffff);
    for (uint16_t i = 0; i < 2; i++) {
        uint16_t id;
        uint32_t len;
        v.d.q[0].descs[5 + i] = 1;
        vd_packed_put(&v.d, 0, table, 32, (uint16_t)(VD_INDIRECT | (i ? VD_WRITE : 0)),
                      (uint16_t)(5 + i));
        vd_kick(&v.d, 0);
        assert_true(vd_used(&v.d, 0, &id, &len));
        assert_int_equal(id, 5 + i);
        assert_int_equal(len, 64);
    }
    victim_fini(&v);
}

/* --- Row 3: sizes and places --- */

static bool refused(struct victim *v, uint32_t size, uint64_t desc, uint64_t driver,
                    uint64_t device)
{
    struct vd *d = &v->d;
    assert_true(vd_negotiate(d, PACKED));
    vd_set(d, VD_QUEUE_SEL, 0);
    vd_set(d, VD_QUEUE_SIZE, size);
    const uint64_t gpa[] = {desc, driver, device};
    for (unsigned i = 0; i < 3; i++) {
        vd_set(d, VD_DESC + 16 * i, (uint32_t)gpa[i]);
        vd_set(d, VD_DESC + 16 * i + 4, (uint32_t)(gpa[i] >> 32));
    }
    vd_set(d, VD_QUEUE_READY, 1);
    bool ready = vd_get(d, VD_QUEUE_READY);
    vd_driver_ok(d);
    vd_set(d, VD_QUEUE_NOTIFY, 0);
    assert_int_equal(vd_needs_reset(d), !ready);
    return !ready;
}

static void row_3_packed_rings_in_strange_places(void **state)
{
    (void)state;
    const uint64_t ram = RIG_RAM_GPA, end = ram + RIG_RAM_LEN;
    const uint64_t bad[] = {0,
                            VICTIM_WINDOW,
                            VICTIM_WINDOW + 0x80,
                            end,
                            UINT64_MAX,
                            UINT64_MAX - 3,
                            UINT64_MAX & ~(uint64_t)15,
                            UINT64_MAX << 20,
                            UINT64_C(1) << 56,
                            ram - 16,
                            ram - 4096};
    for (unsigned kind = 0; kind < VICTIM_COUNT; kind++) {
        struct victim v;
        victim_init(&v, kind);
        memset(v.rig.ram->hva, 0, RIG_RAM_LEN);
        assert_false(refused(&v, 16, ram, ram + 256, ram + 260));
        for (unsigned i = 0; i < VR_COUNT(bad); i++) {
            assert_true(refused(&v, 16, bad[i], ram + 256, ram + 260));
            assert_true(refused(&v, 16, ram, bad[i], ram + 260));
            assert_true(refused(&v, 16, ram, ram + 256, bad[i]));
        }
        /* Ring and our events are written: not in ROM. The driver's events are only read. */
        assert_true(refused(&v, 16, VICTIM_ROM, ram + 256, ram + 260));
        assert_true(refused(&v, 16, ram, ram + 256, VICTIM_ROM));
        assert_false(refused(&v, 16, ram, VICTIM_ROM, ram + 260));
        /* Alignment (2.8.10.1), sizes (any up to the greatest). */
        assert_true(refused(&v, 16, ram + 8, ram + 256, ram + 260));
        assert_true(refused(&v, 16, ram, ram + 258, ram + 260));
        assert_true(refused(&v, 16, ram, ram + 256, ram + 262));
        static const uint32_t sizes[] = {0, 257, 512, 513, 1024, 32768, 65535, 65536, UINT32_MAX};
        for (unsigned i = 0; i < VR_COUNT(sizes); i++) {
            bool good = kind == VICTIM_BLK && sizes[i] >= 257 && sizes[i] <= 512;
            assert_int_equal(refused(&v, sizes[i], ram, ram + 65536, ram + 131072), !good);
        }
        for (uint32_t size = 1; size <= 64; size += 7) {
            assert_false(refused(&v, size, ram, ram + 65536, ram + 131072));
        }
        /* The very end of RAM is RAM. */
        assert_true(refused(&v, 16, end - 240, ram, ram + 4));
        assert_false(refused(&v, 16, end - 256, ram, ram + 4));
        assert_false(refused(&v, 16, ram, end - 4, ram + 512));
        assert_false(refused(&v, 16, ram, ram + 512, end - 4));
        /* All in the same place: our own writes change the ring. It must stand. */
        assert_false(refused(&v, 16, ram, ram, ram));
        victim_serves(&v);
        victim_fini(&v);
    }
}

/* The driver's event suppression may hold anything. */
static void row_3_packed_wild_events(void **state)
{
    (void)state;
    struct victim v;
    victim_init(&v, VICTIM_RNG);
    for (unsigned event = 0; event < 2; event++) {
        victim_start(&v, PACKED | (event ? VR_VIRTIO_F_EVENT_IDX : 0), 7);
        for (uint32_t off = 0; off < 65536; off += 251) {
            for (unsigned flags = 0; flags < 8; flags++) {
                uint64_t heap = v.d.heap;
                struct vd_buf in = vd_in(&v.d, 4);
                vr_store_le16(vd_hva(&v.d, v.d.q[0].avail), (uint16_t)off);
                vr_store_le16(vd_hva(&v.d, v.d.q[0].avail) + 2, (uint16_t)(flags * 0x5001));
                (void)vd_do(&v.d, 0, &in, 1);
                v.d.heap = heap;
            }
        }
        assert_false(vd_needs_reset(&v.d));
    }
    victim_fini(&v);
}

/* --- Rows 5 and 6: directions, and DMA into devices --- */

static void writable_first(struct victim *v, unsigned queue)
{
    struct vd_buf b = victim_room(v, 64, true);
    vd_packed_put(&v->d, queue, b.gpa, 32, VD_WRITE | VD_NEXT, 0);
    vd_packed_put(&v->d, queue, b.gpa + 32, 32, 0, 0);
}

static void writable_first_in_a_table(struct victim *v, unsigned queue)
{
    struct vd_buf b = victim_room(v, 64, true);
    uint64_t table = vd_alloc(&v->d, 32, 16);
    vd_desc_at(&v->d, table, 0, b.gpa, 32, 0, VD_WRITE);
    vd_desc_at(&v->d, table, 1, b.gpa + 32, 32, 0, 0);
    table_of(v, queue, table, 32, 0);
}

static void row_5_packed_wrong_directions(void **state)
{
    (void)state;
    victim_attack(writable_first, PACKED);
    victim_attack(writable_first_in_a_table, INDIRECT);
}

static void row_6_packed_dma_into_devices(void **state)
{
    (void)state;
    victim_attack_by_dma(PACKED);
}

static void row_6_packed_rings_that_leave_ram(void **state)
{
    (void)state;
    victim_lose_rings(PACKED | VR_VIRTIO_F_EVENT_IDX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_2_packed_chains_that_loop_or_lie),
        cmocka_unit_test(row_2_packed_wrap_bits),
        cmocka_unit_test(row_2_packed_tables_do_not_nest),
        cmocka_unit_test(row_3_packed_rings_in_strange_places),
        cmocka_unit_test(row_3_packed_wild_events),
        cmocka_unit_test(row_5_packed_wrong_directions),
        cmocka_unit_test(row_6_packed_dma_into_devices),
        cmocka_unit_test(row_6_packed_rings_that_leave_ram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

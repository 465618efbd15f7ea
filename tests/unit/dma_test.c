/* DMA and single accesses at the edges: holes, wraps, ROM, device windows, neighbouring memories.
 */
#include "test.h"

#include "base/bits.h"
#include "core/dev.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

struct toy {
    struct vr_dev dev;
    uint32_t reg;
};
#define VR_SELF struct toy
static const struct vr_field toy_fields[] = {
    VR_STATE(reg, "a register"),
    VR_FIELD_END,
};
static const struct vr_reg toy_regs[] = {
    VR_REG_OF(0, 4, "REG", reg, "a register", .wmask = UINT32_MAX),
    VR_REG_END,
};
static const struct vr_dev_class toy_class = {
    .name = "toy",
    .help = "a window in the way",
    .size = sizeof(struct toy),
    .version = 1,
    .fields = toy_fields,
    .windows = {{.name = "toy", .len = 0x1000, .regs = toy_regs}},
};

enum { P = VR_PAGE_SIZE };

/*
 * 0x10000 ram a, 2 pages | 0x12000 ram b, 2 pages | 0x14000 device | 0x15000 ROM | 0x16000 nothing
 * and ram b's second page again at the very top of the space.
 */
struct map {
    struct vr_env env;
    struct vr_space *s;
    struct vr_view_cache c;
    struct vr_ram *a, *b;
    struct vr_region r[4];
    struct vr_dev *dev;
    uint64_t told_off, told_len; /* code listener */
    unsigned told;
};

enum { A = 0x10000, B = 0x12000, DEV = 0x14000, ROM = 0x15000, HOLE = 0x16000, TOP = 0xfffff000 };

static void map_told(void *opaque, struct vr_ram *ram, uint64_t off, uint64_t len)
{
    struct map *m = opaque;
    (void)ram;
    m->told++;
    m->told_off = off;
    m->told_len = len;
}

static int map_init(void **state)
{
    struct map *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    assert_int_equal(vr_clock_create(VR_CLOCK_STEPPED, &m->env.clock, NULL), 0);
    assert_int_equal(vr_space_create("test", 0xffffffff, &m->s, NULL), 0);
    /* With a page more than is mapped: the host may put the two side by side. */
    assert_int_equal(vr_ram_create("a", 3 * P, &m->a, NULL), 0);
    assert_int_equal(vr_ram_create("b", 3 * P, &m->b, NULL), 0);
    m->env.mem = m->s;
    const struct vr_region r[4] = {
        {.name = "a", .kind = VR_REGION_RAM, .gpa = A, .len = 2 * P, .ram = m->a},
        {.name = "b", .kind = VR_REGION_RAM, .gpa = B, .len = 2 * P, .ram = m->b},
        {.name = "rom", .kind = VR_REGION_ROM, .gpa = ROM, .len = P, .ram = m->b, .ram_off = 2 * P},
        {.name = "top", .kind = VR_REGION_RAM, .gpa = TOP, .len = P, .ram = m->b, .ram_off = P},
    };
    memcpy(m->r, r, sizeof(r));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(vr_space_add(m->s, &m->r[i], NULL), 0);
    }
    assert_int_equal(vr_dev_create(&toy_class, "toy0", NULL, &m->env, &m->dev, NULL), 0);
    assert_int_equal(vr_dev_map(m->dev, 0, m->s, DEV, NULL), 0);
    vr_space_on_code_written(m->s, map_told, m);
    *state = m;
    return 0;
}

static int map_fini(void **state)
{
    struct map *m = *state;
    vr_dev_destroy(m->dev);
    vr_view_cache_drop(m->s, &m->c);
    vr_space_destroy(m->s);
    vr_ram_destroy(m->a);
    vr_ram_destroy(m->b);
    vr_clock_destroy(m->env.clock);
    free(m);
    return 0;
}

static void copies_cross_memories(void **state)
{
    struct map *m = *state;
    uint8_t out[3 * P], in[3 * P];
    for (unsigned i = 0; i < sizeof(out); i++) {
        out[i] = (uint8_t)(i * 7 + i / 256);
    }
    assert_int_equal(vr_dma_write(m->s, &m->c, A + 100, out, sizeof(out)), 0);
    assert_memory_equal(m->a->hva + 100, out, 2 * P - 100);
    assert_memory_equal(m->b->hva, out + 2 * P - 100, P + 100);
    assert_int_equal(vr_dma_read(m->s, &m->c, A + 100, in, sizeof(in)), 0);
    assert_memory_equal(in, out, sizeof(in));
    assert_int_equal(vr_dma_write(m->s, &m->c, HOLE, out, 0), 0); /* nothing is nowhere */
    assert_int_equal(vr_dma_read(m->s, &m->c, HOLE, in, 0), 0);
}

static void ranges_that_leave_memory_are_refused_whole(void **state)
{
    static const struct {
        uint64_t gpa, len;
        int read, write;
    } cases[] = {
        {A - 1, 2, -EFAULT, -EFAULT},                /* starts in a hole */
        {A, 4 * P, 0, 0},                            /* both memories */
        {A, 4 * P + 1, -EFAULT, -EFAULT},            /* and into the device */
        {B + P, P + 4, -EFAULT, -EFAULT},            /* memory, then the device */
        {DEV, 4, -EFAULT, -EFAULT},                  /* the device itself */
        {DEV + 0xffe, 4, -EFAULT, -EFAULT},          /* the device, then ROM */
        {ROM, P, 0, -EFAULT},                        /* ROM */
        {ROM + P - 1, 2, -EFAULT, -EFAULT},          /* ROM, then a hole */
        {HOLE, 1, -EFAULT, -EFAULT},                 /* nothing there */
        {TOP, P, 0, 0},                              /* up to the last byte */
        {TOP, P + 1, -EFAULT, -EFAULT},              /* beyond it */
        {TOP + P - 1, UINT64_MAX, -EFAULT, -EFAULT}, /* wraps */
        {A, UINT64_MAX, -EFAULT, -EFAULT},
        {A, UINT64_MAX - A, -EFAULT, -EFAULT},
        {A, UINT64_MAX - A + 1, -EFAULT, -EFAULT},
        {UINT64_MAX, 1, -EFAULT, -EFAULT},
        {UINT64_MAX, 2, -EFAULT, -EFAULT},
        {UINT64_C(1) << 32, 1, -EFAULT, -EFAULT},
    };
    struct map *m = *state;
    static uint8_t buf[5 * P];
    for (unsigned i = 0; i < VR_COUNT(cases); i++) {
        struct iovec iov[8];
        memset(m->a->hva, 0x11, 2 * P);
        memset(m->b->hva, 0x11, 2 * P);
        memset(buf, 0xcc, sizeof(buf));
        assert_int_equal(vr_dma_write(m->s, &m->c, cases[i].gpa, buf, cases[i].len),
                         cases[i].write);
        if (cases[i].write) { /* not a byte of it */
            for (unsigned j = 0; j < 2 * P; j++) {
                assert_int_equal(m->a->hva[j] | m->b->hva[j], 0x11);
            }
        }
        assert_int_equal(vr_dma_read(m->s, &m->c, cases[i].gpa, buf, cases[i].len), cases[i].read);
        int r = vr_dma_map(m->s, &m->c, cases[i].gpa, cases[i].len, false, iov, 8);
        assert_true(cases[i].read ? r == cases[i].read : r > 0);
        r = vr_dma_map(m->s, &m->c, cases[i].gpa, cases[i].len, true, iov, 8);
        assert_true(cases[i].write ? r == cases[i].write : r > 0);
        vr_dma_wrote(m->s, &m->c, cases[i].gpa, cases[i].len);
    }
    assert_int_equal(vr_dev_read(m->dev, 0, 0, 4), 0); /* nobody reached the device */
    assert_int_equal(m->dev->guest_errors, 0);
}

static void map_gives_iovecs(void **state)
{
    struct map *m = *state;
    struct iovec iov[4];
    assert_int_equal(vr_dma_map(m->s, &m->c, A + 8, 2 * P, true, iov, 4), 2);
    assert_ptr_equal(iov[0].iov_base, m->a->hva + 8);
    assert_int_equal(iov[0].iov_len, 2 * P - 8);
    assert_ptr_equal(iov[1].iov_base, m->b->hva);
    assert_int_equal(iov[1].iov_len, 8);
    assert_int_equal(vr_dma_map(m->s, &m->c, A + 8, 2 * P, true, iov, 1), -E2BIG);
    assert_int_equal(vr_dma_map(m->s, &m->c, A, P, true, iov, 0), -E2BIG);
    assert_int_equal(vr_dma_map(m->s, &m->c, A, 0, true, iov, 0), 0);
}

static void pointers_stay_in_one_region(void **state)
{
    struct map *m = *state;
    assert_ptr_equal(vr_dma_ptr(m->s, &m->c, A + 16, 16, true), m->a->hva + 16);
    assert_ptr_equal(vr_dma_ptr(m->s, &m->c, TOP + P - 8, 8, true), m->b->hva + 2 * P - 8);
    assert_null(vr_dma_ptr(m->s, &m->c, B - 4, 8, false)); /* two regions */
    assert_null(vr_dma_ptr(m->s, &m->c, TOP + P - 8, 9, false));
    assert_null(vr_dma_ptr(m->s, &m->c, DEV, 4, false));
    assert_non_null(vr_dma_ptr(m->s, &m->c, ROM, 4, false));
    assert_null(vr_dma_ptr(m->s, &m->c, ROM, 4, true));
    assert_null(vr_dma_ptr(m->s, &m->c, A, 0, true));
    assert_null(vr_dma_ptr(m->s, &m->c, UINT64_MAX, 8, true));
}

static void writes_to_code_are_told(void **state)
{
    struct map *m = *state;
    uint8_t buf[3 * P] = {0};
    assert_int_equal(vr_dma_write(m->s, &m->c, A, buf, 2 * P), 0);
    assert_int_equal(m->told, 0); /* no code, no call */
    atomic_store(&m->a->page_flags[1], VR_PAGE_CODE);
    assert_int_equal(vr_dma_write(m->s, &m->c, A, buf, P), 0);
    assert_int_equal(m->told, 0);
    assert_int_equal(vr_dma_write(m->s, &m->c, A + P - 4, buf, 8), 0);
    assert_int_equal(m->told, 1);
    assert_int_equal(m->told_off, P);
    assert_int_equal(m->told_len, 4);
    atomic_store(&m->a->page_flags[0], VR_PAGE_CODE);
    atomic_store(&m->a->page_flags[1], VR_PAGE_CODE);
    assert_int_equal(vr_space_write(m->s, &m->c, A + P - 3, 8, 0), 0);
    assert_int_equal(m->told, 2); /* neighbours are told as one range */
    assert_int_equal(m->told_off, P - 3);
    assert_int_equal(m->told_len, 8);
    atomic_store(&m->b->page_flags[0], VR_PAGE_CODE);
    atomic_store(&m->b->page_flags[2], VR_PAGE_CODE);
    vr_ram_wrote(m->s, m->b, 10, 3 * P - 20);
    assert_int_equal(m->told, 4);
    assert_int_equal(m->told_off, 2 * P);
    assert_int_equal(m->told_len, P - 10);
    atomic_store(&m->b->page_flags[0], VR_PAGE_CODE);
    vr_space_forget(m->s, m);
    vr_ram_wrote(m->s, m->b, 0, P);
    vr_ram_wrote(m->s, m->b, 3 * P, 0);
    assert_int_equal(m->told, 4);
}

/* Pages go back to the host whole, and only where all of the range is memory. */
static void memory_is_given_back(void **state)
{
    struct map *m = *state;
    struct vr_error err;
    uint64_t gave = 7;
    memset(m->a->hva, 0x11, 2 * P);
    memset(m->b->hva, 0x11, 3 * P);
    assert_int_equal(vr_dma_discard(m->s, &m->c, DEV - 4, 8, &gave, &err), -EFAULT);
    assert_int_equal(vr_dma_discard(m->s, &m->c, ROM, P, &gave, &err), -EFAULT);
    assert_int_equal(vr_dma_discard(m->s, &m->c, B, 3 * P, &gave, &err), -EFAULT);
    assert_int_equal(vr_dma_discard(m->s, &m->c, UINT64_MAX - 4, P, &gave, &err), -EFAULT);
    assert_int_equal(gave, 7);
    assert_int_equal(m->b->hva[0], 0x11);
    assert_int_equal(vr_dma_discard(m->s, &m->c, A + 1, P, &gave, &err), 0); /* no whole page */
    assert_int_equal(gave, 0);
    assert_int_equal(vr_dma_discard(m->s, &m->c, HOLE, 0, &gave, &err), 0);
    atomic_store(&m->a->page_flags[1], VR_PAGE_CODE);
    assert_int_equal(vr_dma_discard(m->s, &m->c, A + 8, 3 * P, &gave, &err), 0);
    assert_int_equal(gave, 2 * P); /* the second page of a, and the first of b */
    assert_int_equal(m->a->hva[P - 1], 0x11);
    assert_int_equal(m->b->hva[P], 0x11);
    for (unsigned i = 0; i < P; i++) {
        assert_int_equal(m->a->hva[P + i] | m->b->hva[i], 0);
    }
    assert_int_equal(m->told, 1); /* code in it is gone too */
    assert_int_equal(m->told_off, P);
    assert_int_equal(vireo_shmem_next_data(&m->b->mem, 0), 0); /* the look at it above */
    assert_int_equal(vr_ram_discard(m->s, m->b, 0, P, &gave, &err), 0);
    assert_int_equal(vireo_shmem_next_data(&m->b->mem, 0), P);
}

static void single_accesses(void **state)
{
    struct map *m = *state;
    uint64_t v;
    for (unsigned width = 1; width <= 8; width *= 2) {
        for (unsigned off = 0; off < 9; off++) { /* at every alignment, in little-endian order */
            assert_int_equal(vr_space_write(m->s, &m->c, A + off, width, 0x8877665544332211), 0);
            assert_int_equal(vr_space_read(m->s, &m->c, A + off, width, &v), 0);
            assert_int_equal(v, 0x8877665544332211 & vr_width_mask(width));
            assert_int_equal(m->a->hva[off], 0x11);
            assert_int_equal(m->a->hva[off + width - 1], width * 0x11);
        }
    }
    assert_int_equal(vr_space_read(m->s, &m->c, B - 4, 8, &v), -EFAULT); /* straddles */
    assert_int_equal(vr_space_write(m->s, &m->c, DEV - 2, 4, 0), -EFAULT);
    assert_int_equal(vr_space_write(m->s, &m->c, DEV + P - 2, 4, 0), -EFAULT);
    assert_int_equal(vr_space_read(m->s, &m->c, ROM, 4, &v), 0);
    assert_int_equal(vr_space_write(m->s, &m->c, ROM, 4, 1), -EFAULT);
    assert_int_equal(vr_space_write(m->s, &m->c, DEV, 4, 0x12345678), 0);
    assert_int_equal(vr_space_read(m->s, &m->c, DEV, 4, &v), 0);
    assert_int_equal(v, 0x12345678);
}

static void bad_memory_sizes(void **state)
{
    struct vr_ram *ram = NULL;
    struct vr_error err = {0};
    (void)state;
    assert_int_equal(vr_ram_create("x", 0, &ram, &err), -EINVAL);
    assert_int_equal(vr_ram_create("x", 100, &ram, &err), -EINVAL);
    assert_int_equal(vr_ram_create("x", UINT64_MAX & ~UINT64_C(0xfff), &ram, &err), -ENOMEM);
    assert_int_equal(vr_ram_create("x", UINT64_C(1) << 62, &ram, &err), -ENOMEM);
    assert_true(err.msg[0] != 0);
    assert_null(ram);
}

#define MAP_TEST(fn) cmocka_unit_test_setup_teardown(fn, map_init, map_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAP_TEST(copies_cross_memories),   MAP_TEST(ranges_that_leave_memory_are_refused_whole),
        MAP_TEST(map_gives_iovecs),        MAP_TEST(pointers_stay_in_one_region),
        MAP_TEST(writes_to_code_are_told), MAP_TEST(memory_is_given_back),
        MAP_TEST(single_accesses),         cmocka_unit_test(bad_memory_sizes),
    };
    return cmocka_run_group_tests_name("dma", tests, NULL, NULL);
}

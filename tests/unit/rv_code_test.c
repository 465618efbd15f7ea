/* Translated code against memory that changes under it, in the ways that only a board can bring
 * about: a device in the middle of a page of code, pages that come and go. */
#include "rv_fixture.h"

#include "dev/misc/htif.h"

enum { CODE = 0x3100, PAGE = 0x3000 };

static bool stop_call(void *opaque, struct rv_hart *hart)
{
    (void)opaque;
    hart->cpu.pc += 4;
    vr_vcpu_kick(&hart->cpu.vcpu);
    return false;
}

/* Run from @gpa in S-mode until an ecall; a0 afterwards. */
static uint64_t run_at(struct fixture *f, uint64_t gpa, uint64_t a0)
{
    rv_hart_set_sbi(f->hart, stop_call, f);
    rv_hart_start(f->hart, RV_S, gpa, a0, 0);
    atomic_store(&f->hart->cpu.vcpu.kicked, false);
    vr_interp_run(&f->hart->cpu.vcpu);
    return f->hart->cpu.r[10];
}

static void use_sbi(struct fixture *f)
{
    struct rv_config config = f->hart->config;
    config.builtin_sbi = true;
    use_config(f, &config);
}

static void put(struct fixture *f, uint64_t off, const uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        vr_store_le32(f->ram->hva + off + 4 * i, words[i]);
    }
    vr_ram_wrote(f->mem, f->ram, off, 4 * count);
}

/* A window of 8 bytes at @off of a page, over RAM that also holds code. */
static void a_page_of_code_may_have_a_device_in_it(void **state)
{
    /* a0 = what the code says; then the code is changed by a store; what it says then */
    static const uint32_t patch[] = {
        0x00b52023, /* sw a1, 0(a0) */
        0x0000100f, /* fence.i */
        0x00050067, /* jr a0 */
    };
    static const uint32_t says[] = {
        0x00100513, /* li a0, 1 */
        0x00000073, /* ecall */
    };
    static const uint64_t holes[] = {PAGE, PAGE + 8, CODE - 8, CODE + 8, PAGE + 0xff8};
    struct fixture *f = *state;
    struct vr_env env = {.clock = f->clock, .mem = f->mem};
    for (unsigned i = 0; i < VR_COUNT(holes); i++) {
        struct vr_dev *dev;
        use_sbi(f);
        assert_int_equal(vr_dev_create(&vr_htif_class, "hole", NULL, &env, &dev, NULL), 0);
        assert_int_equal(vr_dev_map(dev, 0, f->mem, RAM_BASE + holes[i], NULL), 0);
        put(f, CODE, says, VR_COUNT(says));
        put(f, 0x1000, patch, VR_COUNT(patch));
        assert_int_equal(run_at(f, RAM_BASE + CODE, 0), 1);
        rv_hart_start(f->hart, RV_S, RAM_BASE + 0x1000, RAM_BASE + CODE, 0x00200513);
        atomic_store(&f->hart->cpu.vcpu.kicked, false);
        vr_interp_run(&f->hart->cpu.vcpu);
        assert_int_equal(f->hart->cpu.r[10], 2);         /* li a0, 2 */
        put(f, CODE, (const uint32_t[]){0x00300513}, 1); /* and by a device's DMA */
        assert_int_equal(run_at(f, RAM_BASE + CODE, 0), 3);
        vr_dev_destroy(dev);
        assert_int_equal(run_at(f, RAM_BASE + CODE, 0), 3);
    }
}

/* An instruction with two bytes in each of two pages, the second with a hole. */
static void code_across_a_border_sees_both_pages_change(void **state)
{
    struct fixture *f = *state;
    struct vr_env env = {.clock = f->clock, .mem = f->mem};
    struct vr_dev *dev;
    use_sbi(f);
    assert_int_equal(vr_dev_create(&vr_htif_class, "hole", NULL, &env, &dev, NULL), 0);
    assert_int_equal(vr_dev_map(dev, 0, f->mem, RAM_BASE + PAGE + 0x1008, NULL), 0);
    for (unsigned n = 0; n < 16; n++) {
        uint8_t *hva = f->ram->hva;
        vr_store_le32(hva + PAGE + 0xffe, 0x00000513 | n << 20); /* li a0, n: 2 bytes in each */
        vr_store_le32(hva + PAGE + 0x1002, 0x00000073);
        /* told of the half that changed: the immediate is in the second page */
        vr_ram_wrote(f->mem, f->ram, PAGE + 0x1000, 2);
        assert_int_equal(run_at(f, RAM_BASE + PAGE + 0xffe, 99), n);
        vr_store_le32(hva + PAGE + 0xffe, 0x00000593 | n << 20); /* li a1, n: the first page */
        vr_ram_wrote(f->mem, f->ram, PAGE + 0xffe, 2);
        assert_int_equal(run_at(f, RAM_BASE + PAGE + 0xffe, 99), 99);
        assert_int_equal(f->hart->cpu.r[11], n);
    }
    vr_dev_destroy(dev);
}

/* Memory that is mapped elsewhere, and something else in its place. */
static void code_goes_where_its_memory_goes(void **state)
{
    static const uint32_t one[] = {0x00100513, 0x00000073}, two[] = {0x00200513, 0x00000073};
    struct fixture *f = *state;
    struct vr_ram *other;
    use_sbi(f);
    assert_int_equal(vr_ram_create("other", 0x1000, &other, NULL), 0);
    struct vr_region over = {.name = "over",
                             .kind = VR_REGION_RAM,
                             .prio = 1,
                             .gpa = RAM_BASE + PAGE,
                             .len = 0x1000,
                             .ram = other};
    put(f, PAGE, one, VR_COUNT(one));
    put(f, 0x5000, one, VR_COUNT(one));
    for (unsigned i = 0; i < VR_COUNT(two); i++) {
        vr_store_le32(other->hva + 4 * i, two[i]);
    }
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(run_at(f, RAM_BASE + PAGE, 0), 1);
        assert_int_equal(vr_space_add(f->mem, &over, NULL), 0);
        assert_int_equal(run_at(f, RAM_BASE + PAGE, 0), 2);
        assert_int_equal(vr_space_move(f->mem, &over, RAM_BASE + 0x5000, NULL), 0);
        assert_int_equal(run_at(f, RAM_BASE + PAGE, 0), 1);
        assert_int_equal(run_at(f, RAM_BASE + 0x5000, 0), 2);
        vr_space_remove(f->mem, &over);
        over.gpa = RAM_BASE + PAGE;
        assert_int_equal(run_at(f, RAM_BASE + 0x5000, 0), 1);
    }
    vr_ram_destroy(other);
}

int main(void)
{
    if (engine_missing()) {
        return 0;
    }
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_page_of_code_may_have_a_device_in_it),
        T(code_across_a_border_sees_both_pages_change),
        T(code_goes_where_its_memory_goes),
    };
    return cmocka_run_group_tests_name("rv_code", tests, NULL, NULL);
}

/* CFI flash: the command set as EDK2, U-Boot and Linux use it, and running code from it. */
#include "dev/misc/pflash_cfi.h"

#include "base/bits.h"
#include "rig.h"
#include <errno.h>
#include <libfdt.h>

enum { SECTOR = VR_PFLASH_SECTOR_LEN };
enum { READY = 0x80, ERASE_ERROR = 0x20, PROGRAM_ERROR = 0x10, NO_POWER = 8, LOCKED = 2 };
#define FLASH_GPA UINT64_C(0x20000000)

struct flash_rig {
    struct rig rig;
    struct vr_dev *dev;
    struct vr_ram *ram;
    struct vr_view_cache view;
};

static void open_flash(struct flash_rig *f, const char *opts)
{
    memset(f, 0, sizeof(*f));
    rig_init(&f->rig);
    assert_int_equal(vr_ram_create("flash", VR_PFLASH_LEN, &f->ram, NULL), 0);
    memset(f->ram->hva, 0xff, VR_PFLASH_LEN);
    f->dev = rig_dev(&f->rig, &vr_pflash_cfi_class, opts);
    vr_pflash_attach(f->dev, f->ram, 0);
    assert_int_equal(vr_pflash_map(f->dev, f->rig.env.mem, FLASH_GPA, NULL), 0);
}

static void close_flash(struct flash_rig *f)
{
    vr_dev_destroy(f->dev);
    vr_view_cache_drop(f->rig.env.mem, &f->view); /* the last reader of the old view */
    vr_ram_destroy(f->ram);
    rig_fini(&f->rig);
}

static uint64_t get(struct flash_rig *f, uint64_t off, unsigned width)
{
    uint64_t val = 0;
    assert_int_equal(vr_space_read(f->rig.env.mem, &f->view, FLASH_GPA + off, width, &val), 0);
    return val;
}

static void put(struct flash_rig *f, uint64_t off, unsigned width, uint64_t val)
{
    assert_int_equal(vr_space_write(f->rig.env.mem, &f->view, FLASH_GPA + off, width, val), 0);
}

/* The same command to both chips. */
static void command(struct flash_rig *f, uint64_t off, uint32_t val)
{
    put(f, off, 4, val << 16 | val);
}

static uint32_t both(uint32_t val)
{
    return val << 16 | val;
}

static bool is_rom(struct flash_rig *f)
{
    const struct vr_flat *flat =
        vr_view_find(vr_space_view(f->rig.env.mem, &f->view), FLASH_GPA + 100);
    assert_non_null(flat);
    assert_ptr_equal(flat->region->dev, f->dev);
    return flat->region->kind == VR_REGION_ROM;
}

static void cfi_query(void **state)
{
    static const uint8_t head[] = {'Q', 'R', 'Y', 1, 0, 0x31, 0};
    struct flash_rig f;
    (void)state;
    open_flash(&f, NULL);
    command(&f, 0x55 * 4, 0x98);
    for (unsigned i = 0; i < sizeof(head); i++) {
        assert_int_equal(get(&f, (0x10 + i) * 4, 4), both(head[i]));
    }
    assert_int_equal(get(&f, 0x10 * 4, 8), UINT64_C(0x0052005200510051));
    assert_int_equal(get(&f, 0x10 * 4 + 2, 2), 'Q');
    assert_int_equal(get(&f, 0x10 * 4 + 1, 1), 0);
    uint64_t chip = UINT64_C(1) << get(&f, 0x27 * 4, 2);
    assert_int_equal(chip * 2, VR_PFLASH_LEN);
    uint64_t sectors = (get(&f, 0x2d * 4, 2) | get(&f, 0x2e * 4, 2) << 8) + 1;
    uint64_t bytes = (get(&f, 0x2f * 4, 2) | get(&f, 0x30 * 4, 2) << 8) * 256;
    assert_int_equal(sectors * bytes, chip);
    assert_int_equal(bytes * 2, SECTOR);
    assert_int_equal(get(&f, 0x31 * 4, 2), 'P');
    assert_int_equal(get(&f, 0x33 * 4, 2), 'I');
    assert_int_equal(get(&f, 0x3f * 4, 2), 0);
    assert_int_equal(get(&f, 0x40 * 4, 2), 0);
    command(&f, 0, 0x90);
    assert_int_equal(get(&f, 0, 4), both(0x89));
    assert_int_equal(get(&f, 4, 4), both(0x18));
    assert_int_equal(get(&f, 3 * SECTOR + 8, 4), 0); /* not locked */
    command(&f, 0, 0xff);
    assert_int_equal(get(&f, 0, 4), 0xffffffff);
    assert_int_equal(f.dev->guest_errors, 0);
    close_flash(&f);
}

/* How many sectors changed since the last call; *ret_sector: the first of them. */
static unsigned taken(struct flash_rig *f, unsigned *ret_sector)
{
    struct vr_pflash_changes c;
    assert_int_equal(vr_pflash_take(f->dev, &c), 0);
    for (unsigned i = 0; i < c.count; i++) {
        assert_memory_equal(c.data + (size_t)i * SECTOR, f->ram->hva + c.sector[i] * SECTOR,
                            SECTOR);
    }
    if (c.count && ret_sector) {
        *ret_sector = c.sector[0];
    }
    free(c.data);
    return c.count;
}

static void hear(void *calls)
{
    ++*(unsigned *)calls;
}

static void changes(void **state)
{
    struct flash_rig f;
    struct vr_pflash_changes c;
    unsigned calls = 0, sector = 0;
    (void)state;
    open_flash(&f, NULL);
    vr_pflash_on_change(f.dev, hear, &calls);
    assert_int_equal(taken(&f, NULL), 0);
    command(&f, 6 * SECTOR, 0x40);
    assert_int_equal(calls, 0); /* a command changes nothing */
    put(&f, 6 * SECTOR - 4, 4, 1);
    command(&f, 0, 0x20);
    command(&f, 127 * SECTOR, 0xd0);
    assert_int_equal(calls, 1);
    assert_int_equal(vr_pflash_take(f.dev, &c), 0);
    assert_int_equal(c.count, 2);
    assert_int_equal(c.sector[0], 5);
    assert_int_equal(c.sector[1], 127);
    assert_int_equal(vr_load_le32(c.data + SECTOR - 4), 1);
    assert_int_equal(taken(&f, NULL), 0);
    vr_pflash_untake(f.dev, &c);
    free(c.data);
    assert_int_equal(calls, 1);
    assert_int_equal(taken(&f, &sector), 2);
    assert_int_equal(sector, 5);
    command(&f, 0, 0xe8); /* the buffer goes where its data goes, when confirmed */
    command(&f, 0, 0);
    put(&f, 9 * SECTOR + 8, 4, 7);
    assert_int_equal(calls, 1);
    command(&f, 0, 0xd0);
    assert_int_equal(calls, 2);
    assert_int_equal(taken(&f, &sector), 1);
    assert_int_equal(sector, 9);
    vr_pflash_on_change(f.dev, NULL, NULL);
    command(&f, 0, 0x10);
    put(&f, 0, 4, 7);
    assert_int_equal(calls, 2);
    assert_int_equal(taken(&f, &sector), 1);
    assert_int_equal(sector, 0);
    close_flash(&f);
}

/* As EDK2's driver does it. */
static void erase_and_program(void **state)
{
    struct flash_rig f;
    uint64_t at = 5 * SECTOR;
    (void)state;
    open_flash(&f, NULL);
    memset(f.ram->hva + at - 4, 0x11, SECTOR + 8);
    command(&f, at, 0x60);
    command(&f, at, 0xd0);
    command(&f, at + 0x1234 * 4, 0x20);
    command(&f, at + 0x1234 * 4, 0xd0);
    command(&f, at, 0x70);
    assert_int_equal(get(&f, at, 4), both(READY));
    command(&f, at, 0xff);
    assert_int_equal(get(&f, at - 4, 8), UINT64_C(0xffffffff11111111));
    assert_int_equal(get(&f, at + SECTOR - 4, 8), UINT64_C(0x11111111ffffffff));
    command(&f, at + 8, 0x40);
    put(&f, at + 8, 4, 0x12345678);
    assert_int_equal(get(&f, 0, 4), both(READY));
    command(&f, at + 8, 0x10);
    put(&f, at + 8, 4, 0xfffff0ff); /* bits only go down */
    command(&f, 0, 0xff);
    assert_int_equal(get(&f, at + 8, 4), 0x12345078);
    command(&f, at + 12, 0x40);
    put(&f, at + 13, 1, 0x5a);
    command(&f, 0, 0xff);
    assert_int_equal(get(&f, at + 12, 4), 0xffff5aff);
    assert_int_equal(f.dev->guest_errors, 0);
    close_flash(&f);
}

static void buffered_program(void **state)
{
    struct flash_rig f;
    uint64_t at = SECTOR + 0x800;
    (void)state;
    open_flash(&f, NULL);
    command(&f, at, 0xe8);
    assert_int_equal(get(&f, at, 4), both(READY));
    command(&f, at, 31);
    for (unsigned i = 0; i < 32; i++) {
        put(&f, at + 0x100 + 4 * i, 4, i);
    }
    assert_int_equal(f.ram->hva[at + 0x100], 0xff); /* not before it is confirmed */
    command(&f, at, 0xd0);
    assert_int_equal(get(&f, at, 4), both(READY));
    command(&f, at, 0xff);
    for (unsigned i = 0; i < 32; i++) {
        assert_int_equal(get(&f, at + 0x100 + 4 * i, 4), i);
    }
    assert_int_equal(get(&f, at + 0xfc, 4), 0xffffffff);
    assert_int_equal(get(&f, at + 0x180, 4), 0xffffffff);
    /* A full buffer, by 64-bit and by 16-bit stores. */
    command(&f, at, 0xe8);
    command(&f, at, 511);
    for (unsigned i = 0; i < 1024; i += 8) {
        put(&f, at + 0x800 + i, 8, UINT64_C(0x0101010101010101) * (i & 0xff));
    }
    for (unsigned i = 1024; i < 2048; i += 2) {
        put(&f, at + 0x800 + i, 2, i);
    }
    command(&f, at, 0xd0);
    command(&f, at, 0xff);
    assert_int_equal(get(&f, at + 0x800 + 16, 8), UINT64_C(0x1010101010101010));
    assert_int_equal(get(&f, at + 0x800 + 2046, 2), 2046);
    assert_int_equal(f.dev->guest_errors, 0);
    close_flash(&f);
}

/* THREATS 1 and 4: buffers too long, data elsewhere, sequences broken off. */
static void broken_sequences(void **state)
{
    struct flash_rig f;
    (void)state;
    open_flash(&f, NULL);
    static const uint32_t counts[] = {512, 0x7fff, 0xffff};
    for (unsigned i = 0; i < VR_COUNT(counts); i++) {
        command(&f, 0, 0xe8);
        command(&f, 0, counts[i]);
        assert_int_equal(get(&f, 0, 4), both(READY | ERASE_ERROR | PROGRAM_ERROR));
        command(&f, 0, 0x50);
        assert_int_equal(get(&f, 0, 4), both(READY));
    }
    command(&f, 0, 0xe8);
    command(&f, 0, 3);
    put(&f, 0x7fc, 4, 0);
    put(&f, 0x800, 4, 0); /* the next buffer */
    assert_int_equal(get(&f, 0, 4), both(READY | ERASE_ERROR | PROGRAM_ERROR));
    command(&f, 0, 0x50);
    command(&f, 0, 0xe8);
    command(&f, 0, 0);
    put(&f, VR_PFLASH_LEN - 8, 8, 0); /* more than was announced */
    assert_int_equal(get(&f, 0, 2), READY | ERASE_ERROR | PROGRAM_ERROR);
    command(&f, 0, 0x50);
    command(&f, 0, 0xe8);
    command(&f, 0, 0);
    put(&f, 0, 4, 0);
    command(&f, 0, 0xff); /* no confirmation */
    command(&f, 0, 0x20);
    command(&f, 0, 0xff);
    command(&f, 0, 0x60);
    command(&f, 0, 0x77);
    command(&f, 0, 0xee);
    command(&f, 0, 0x70);
    assert_int_equal(get(&f, 0, 1), READY | ERASE_ERROR | PROGRAM_ERROR);
    assert_int_equal(vr_dev_read(f.dev, 0, 1, 4), 0); /* not aligned */
    vr_dev_write(f.dev, 0, 2, 4, 0xff);
    assert_int_equal(get(&f, 0, 1), READY | ERASE_ERROR | PROGRAM_ERROR);
    for (uint64_t i = 0; i < VR_PFLASH_LEN; i += 4096) {
        assert_int_equal(f.ram->hva[i], 0xff);
    }
    assert_int_equal(taken(&f, NULL), 0);
    close_flash(&f);
}

static void readonly_and_empty(void **state)
{
    struct flash_rig f;
    (void)state;
    open_flash(&f, "readonly");
    f.ram->hva[0] = 0x5a;
    command(&f, 0, 0x40);
    put(&f, 0, 4, 0);
    assert_int_equal(get(&f, 0, 4), both(READY | PROGRAM_ERROR | LOCKED));
    command(&f, 0, 0x50);
    command(&f, 0, 0x20);
    command(&f, 0, 0xd0);
    assert_int_equal(get(&f, 0, 4), both(READY | ERASE_ERROR | LOCKED));
    command(&f, 0, 0xff);
    assert_int_equal(get(&f, 0, 4), 0xffffff5a);
    close_flash(&f);

    rig_init(&f.rig);
    f.dev = rig_dev(&f.rig, &vr_pflash_cfi_class, "exec"); /* nothing attached */
    assert_int_equal(vr_dev_read(f.dev, 0, 0, 8), UINT64_MAX);
    vr_dev_write(f.dev, 0, 0, 4, 0x40);
    vr_dev_write(f.dev, 0, 0, 4, 0);
    assert_int_equal(vr_dev_read(f.dev, 0, 0, 2), READY | PROGRAM_ERROR | NO_POWER);
    vr_dev_destroy(f.dev);
    rig_fini(&f.rig);
}

static void code_runs_from_it(void **state)
{
    struct flash_rig f;
    uint8_t buf[4];
    (void)state;
    open_flash(&f, "exec");
    vr_store_le32(f.ram->hva + SECTOR, 0x13);
    assert_true(is_rom(&f));
    assert_int_equal(get(&f, SECTOR, 4), 0x13);
    assert_int_equal(get(&f, SECTOR + 1, 2), 0); /* ROM takes any alignment */
    assert_int_equal(vr_dma_read(f.rig.env.mem, &f.view, FLASH_GPA + SECTOR, buf, 4), 0);
    assert_int_equal(buf[0], 0x13);
    assert_int_equal(vr_dma_write(f.rig.env.mem, &f.view, FLASH_GPA, buf, 4), -EFAULT);
    uint64_t gen = vr_space_gen(f.rig.env.mem);
    command(&f, 0, 0x70); /* a write to ROM reaches the chip */
    assert_false(is_rom(&f));
    assert_int_not_equal(vr_space_gen(f.rig.env.mem), gen);
    assert_int_equal(get(&f, 0, 4), both(READY));
    command(&f, SECTOR, 0x20);
    command(&f, SECTOR, 0xd0);
    command(&f, 0, 0xff);
    assert_true(is_rom(&f));
    assert_int_equal(get(&f, SECTOR, 4), 0xffffffff);
    gen = vr_space_gen(f.rig.env.mem);
    command(&f, 0, 0xff); /* no news, no new map */
    assert_int_equal(vr_space_gen(f.rig.env.mem), gen);
    command(&f, 0, 0x98);
    vr_dev_reset(f.dev);
    assert_true(is_rom(&f));
    for (unsigned i = 0; i < 1000; i++) {
        command(&f, 0, i % 2 ? 0xff : 0x90);
        assert_int_equal(is_rom(&f), i % 2);
    }
    close_flash(&f); /* while a reader still has the old view */
}

static void contents_survive_a_snapshot(void **state)
{
    struct flash_rig f, g;
    struct vr_snap snap;
    (void)state;
    open_flash(&f, NULL);
    open_flash(&g, "exec");
    memset(f.ram->hva + 9 * SECTOR, 0, SECTOR);
    memset(g.ram->hva + 20 * SECTOR, 0x77, SECTOR);
    command(&f, 3 * SECTOR + 4, 0x40);
    put(&f, 3 * SECTOR + 4, 4, 0xcafe);
    command(&f, VR_PFLASH_LEN - 4, 0x40);
    put(&f, VR_PFLASH_LEN - 4, 4, 0xbeef);
    command(&f, 0, 0xe8);
    command(&f, 0, 1);
    put(&f, 0, 4, 1);
    for (unsigned i = 0; i < 2; i++) { /* twice: the second image replaces the first */
        vr_snap_init(&snap);
        vr_dev_quiesce(f.dev);
        assert_int_equal(vr_dev_save(f.dev, &snap, NULL), 0);
        assert_true(snap.len > 2 * SECTOR && snap.len < 3 * SECTOR);
        assert_int_equal(vr_dev_load(g.dev, &snap, NULL), 0);
        vr_snap_fini(&snap);
        assert_memory_equal(f.ram->hva, g.ram->hva, VR_PFLASH_LEN);
        /* Changed by the load: 3, 9, 20 and the last; by the second one, none. */
        assert_int_equal(taken(&g, NULL), i ? 0 : 4);
    }
    assert_false(is_rom(&g)); /* in the middle of a buffered program */
    put(&g, 4, 4, 2);
    command(&g, 0, 0xd0);
    command(&g, 0, 0xff);
    assert_true(is_rom(&g));
    assert_int_equal(get(&g, 0, 8), UINT64_C(0x0000000200000001));
    assert_int_equal(get(&g, 3 * SECTOR + 4, 4), 0xcafe);
    assert_int_equal(get(&g, 20 * SECTOR, 4), 0xffffffff);
    /* Without quiesce, or into a flash that cannot take them: refused, contents untouched. */
    assert_int_equal(rig_copy(g.dev, f.dev), -EINVAL);
    assert_int_equal(vr_load_le32(f.ram->hva), 0xffffffff);
    struct vr_dev *other = rig_dev(&f.rig, &vr_pflash_cfi_class, "readonly");
    vr_dev_quiesce(g.dev);
    assert_int_equal(rig_copy(g.dev, other), -EINVAL);
    vr_dev_destroy(other);
    close_flash(&f);
    close_flash(&g);
}

static void linux_finds_it(void **state)
{
    struct flash_rig f;
    const void *blob;
    size_t len;
    struct vr_fdt *fdt;
    struct vr_fdt_at at = {.gpa = {FLASH_GPA, FLASH_GPA + VR_PFLASH_LEN},
                           .len = {VR_PFLASH_LEN, VR_PFLASH_LEN}};
    (void)state;
    open_flash(&f, NULL);
    assert_int_equal(vr_fdt_create(&fdt, NULL), 0);
    vr_fdt_begin(fdt, "/");
    assert_int_equal(f.dev->cls->describe(f.dev, fdt, &at), 0);
    vr_fdt_end(fdt);
    assert_int_equal(vr_fdt_finish(fdt, &blob, &len, NULL), 0);
    int node = fdt_path_offset(blob, "/flash@20000000");
    int reg_len = 0;
    assert_true(node > 0);
    assert_int_equal(fdt_node_check_compatible(blob, node, "cfi-flash"), 0);
    assert_non_null(fdt_getprop(blob, node, "reg", &reg_len));
    assert_int_equal(reg_len, 32);
    assert_int_equal(fdt32_ld(fdt_getprop(blob, node, "bank-width", NULL)), 4);
    vr_fdt_destroy(fdt);
    close_flash(&f);
}

/* THREATS 1 and 19: any offset, any width, any value, commands more often than not. */
static void random_accesses_do_no_harm(void **state)
{
    static const uint8_t commands[] = {0xff, 0x70, 0x50, 0x90, 0x98, 0x40, 0x10,
                                       0x20, 0x60, 0xe8, 0xd0, 0x01, 0x00, 0x03};
    struct flash_rig f;
    uint64_t seed = 7;
    (void)state;
    open_flash(&f, "exec");
    for (unsigned i = 0; i < 20000; i++) {
        unsigned width = 1u << rig_random(&seed) % 4;
        uint64_t off =
            rig_random(&seed) % (i % 3 ? 0x4000 : VR_PFLASH_LEN) & ~(uint64_t)(width - 1);
        if (rig_random(&seed) % 4) {
            put(&f, off, width, both(commands[rig_random(&seed) % sizeof(commands)]));
        } else {
            put(&f, off, width, rig_random(&seed));
        }
        (void)get(&f, off, width);
    }
    rig_storm(&f.rig, f.dev, 0x2000, 20000);
    vr_dev_reset(f.dev);
    assert_true(is_rom(&f));
    close_flash(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cfi_query),         cmocka_unit_test(erase_and_program),
        cmocka_unit_test(changes),           cmocka_unit_test(buffered_program),
        cmocka_unit_test(broken_sequences),  cmocka_unit_test(readonly_and_empty),
        cmocka_unit_test(code_runs_from_it), cmocka_unit_test(contents_survive_a_snapshot),
        cmocka_unit_test(linux_finds_it),    cmocka_unit_test(random_accesses_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* fw_cfg: items, the directory, and DMA. */
#include "dev/misc/fw_cfg.h"

#include "base/bits.h"
#include "rig.h"
#include <errno.h>
#include <stdio.h>

enum { DATA = 0, SELECTOR = 8, DMA = 0x10 };
enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };
enum { REQUEST_OFF = 0x100, BUFFER_OFF = 0x1000 };

struct fw_rig {
    struct rig rig;
    struct vr_dev *dev;
};

static void open_fw(struct fw_rig *f)
{
    rig_init(&f->rig);
    f->dev = rig_dev(&f->rig, &vr_fw_cfg_class, NULL);
}

static void close_fw(struct fw_rig *f)
{
    vr_dev_destroy(f->dev);
    rig_fini(&f->rig);
}

static void pick(struct fw_rig *f, uint16_t key)
{
    vr_dev_write(f->dev, 0, SELECTOR, 2, __builtin_bswap16(key));
}

/* Put a request into guest memory and start it; returns its control word after that. */
static uint32_t request(struct fw_rig *f, uint32_t control, uint32_t len, uint64_t gpa)
{
    uint8_t *p = f->rig.ram->hva + REQUEST_OFF;
    uint64_t at = RIG_RAM_GPA + REQUEST_OFF;
    vr_store_be32(p, control);
    vr_store_be32(p + 4, len);
    vr_store_be64(p + 8, gpa);
    vr_dev_write(f->dev, 0, DMA, 4, __builtin_bswap32((uint32_t)(at >> 32)));
    vr_dev_write(f->dev, 0, DMA + 4, 4, __builtin_bswap32((uint32_t)at));
    return vr_load_be32(p);
}

static void signature_and_features(void **state)
{
    struct fw_rig f;
    (void)state;
    open_fw(&f);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(vr_dev_read(f.dev, 0, DATA, 1), "QEMU"[i]);
    }
    assert_int_equal(vr_dev_read(f.dev, 0, DATA, 1), 0);
    pick(&f, 1);
    assert_int_equal(vr_dev_read(f.dev, 0, DATA, 4), 3);
    pick(&f, 0);
    assert_int_equal(vr_dev_read(f.dev, 0, DATA, 8), vr_load_le32("QEMU"));
    assert_int_equal(vr_dev_read(f.dev, 0, DMA, 8), vr_load_le64("QEMU CFG"));
    assert_int_equal(vr_dev_read(f.dev, 0, DMA + 4, 4), vr_load_le32(" CFG"));
    pick(&f, 0x1234);
    assert_int_equal(vr_dev_read(f.dev, 0, DATA, 8), 0);
    assert_int_equal(vr_dev_read(f.dev, 0, SELECTOR, 2), 0x3412);
    assert_int_equal(f.dev->guest_errors, 0);
    close_fw(&f);
}

static void directory_lists_the_files(void **state)
{
    struct fw_rig f;
    char name[16];
    (void)state;
    open_fw(&f);
    assert_int_equal(vr_fw_cfg_add(f.dev, "etc/one", "1", 1, NULL), 0);
    assert_int_equal(vr_fw_cfg_add(f.dev, "etc/empty", NULL, 0, NULL), 0);
    assert_int_equal(vr_fw_cfg_add_ref(f.dev, "opt/three", "333", 3, NULL), 0);
    assert_int_equal(vr_fw_cfg_add(f.dev, "etc/one", "2", 1, NULL), -EEXIST);
    assert_int_equal(vr_fw_cfg_add(f.dev, "", "2", 1, NULL), -EINVAL);
    assert_int_equal(vr_fw_cfg_add(f.dev,
                                   "a name of fifty-six bytes, one more than there is room..", "2",
                                   1, NULL),
                     -EINVAL);
    assert_int_equal(vr_fw_cfg_set(f.dev, 0, "2", 1, NULL), -EINVAL);
    assert_int_equal(vr_fw_cfg_set(f.dev, 0x19, "2", 1, NULL), -EINVAL);
    uint8_t *buf = f.rig.ram->hva + BUFFER_OFF;
    memset(buf, 0xee, 4096);
    assert_int_equal(request(&f, 0x19 << 16 | SELECT | READ, 4096, RIG_RAM_GPA + BUFFER_OFF), 0);
    assert_int_equal(vr_load_be32(buf), 3);
    assert_int_equal(vr_load_be32(buf + 4), 1);
    assert_int_equal(vr_load_be16(buf + 8), 0x20);
    assert_string_equal((char *)buf + 12, "etc/one");
    assert_int_equal(vr_load_be32(buf + 4 + 64), 0);
    assert_string_equal((char *)buf + 12 + 64, "etc/empty");
    assert_int_equal(vr_load_be32(buf + 4 + 128), 3);
    assert_int_equal(vr_load_be16(buf + 8 + 128), 0x22);
    assert_string_equal((char *)buf + 12 + 128, "opt/three");
    for (unsigned i = 4 + 3 * 64; i < 4096; i++) {
        assert_int_equal(buf[i], 0); /* zeros after the end */
    }
    pick(&f, 0x22);
    assert_int_equal(vr_dev_read(f.dev, 0, DATA, 4), 0x333333);
    for (unsigned i = 3; i < VR_FW_CFG_FILES; i++) {
        snprintf(name, sizeof(name), "file%u", i);
        assert_int_equal(vr_fw_cfg_add(f.dev, name, name, 5, NULL), 0);
    }
    assert_int_equal(vr_fw_cfg_add(f.dev, "one more", "2", 1, NULL), -ENOSPC);
    pick(&f, 0x20 + VR_FW_CFG_FILES - 1);
    assert_int_equal(vr_dev_read(f.dev, 0, DATA, 4), vr_load_le32("file"));
    close_fw(&f);
}

static void numbered_items(void **state)
{
    struct fw_rig f;
    (void)state;
    open_fw(&f);
    assert_int_equal(vr_fw_cfg_set_u32(f.dev, VR_FW_CFG_NB_CPUS, 4, NULL), 0);
    assert_int_equal(vr_fw_cfg_set(f.dev, VR_FW_CFG_CMDLINE_DATA, "quiet", 6, NULL), 0);
    assert_int_equal(vr_fw_cfg_set(f.dev, VR_FW_CFG_CMDLINE_DATA, "debug", 6, NULL), 0);
    pick(&f, VR_FW_CFG_NB_CPUS);
    assert_int_equal(vr_dev_read(f.dev, 0, DATA, 2), 4);
    pick(&f, VR_FW_CFG_CMDLINE_DATA);
    assert_int_equal(vr_dev_read(f.dev, 0, DATA, 8), vr_load_le64("debug\0\0"));
    close_fw(&f);
}

static void dma_reads_skips_and_refuses(void **state)
{
    struct fw_rig f;
    (void)state;
    open_fw(&f);
    assert_int_equal(vr_fw_cfg_add(f.dev, "f", "0123456789", 10, NULL), 0);
    uint8_t *buf = f.rig.ram->hva + BUFFER_OFF;
    uint64_t gpa = RIG_RAM_GPA + BUFFER_OFF;
    assert_int_equal(request(&f, 0x20 << 16 | SELECT, 0, 0), 0);
    assert_int_equal(request(&f, SKIP, 3, 0), 0);
    assert_int_equal(request(&f, READ, 4, gpa), 0);
    assert_memory_equal(buf, "3456", 4);
    assert_int_equal(vr_dev_read(f.dev, 0, DATA, 1), '7');
    assert_int_equal(request(&f, SKIP, UINT32_MAX, 0), 0);
    assert_int_equal(request(&f, READ, 4, gpa), 0);
    assert_int_equal(vr_load_le32(buf), 0);
    assert_int_equal(request(&f, 0x20 << 16 | SELECT | WRITE, 1, gpa), ERROR);
    assert_int_equal(vr_dev_read(f.dev, 0, DATA, 1), '0');
    /* All 64 bits at once. */
    vr_store_be32(f.rig.ram->hva + REQUEST_OFF, 0x20 << 16 | SELECT | READ);
    vr_store_be32(f.rig.ram->hva + REQUEST_OFF + 4, 10);
    vr_store_be64(f.rig.ram->hva + REQUEST_OFF + 8, gpa);
    vr_dev_write(f.dev, 0, DMA, 8, __builtin_bswap64(RIG_RAM_GPA + REQUEST_OFF));
    assert_memory_equal(buf, "0123456789", 10);
    close_fw(&f);
}

/* THREATS 4 and 6: lengths and addresses that wrap, leave RAM, or point at the device itself. */
static void hostile_requests_are_refused(void **state)
{
    static const uint64_t bad[] = {0,
                                   RIG_RAM_GPA - 1,
                                   RIG_RAM_GPA + RIG_RAM_LEN - 7,
                                   0x10100000,
                                   0x10100010,
                                   UINT64_MAX,
                                   UINT64_MAX - 3,
                                   UINT64_C(1) << 63};
    struct fw_rig f;
    (void)state;
    open_fw(&f);
    assert_int_equal(vr_dev_map(f.dev, 0, f.rig.env.mem, 0x10100000, NULL), 0);
    assert_int_equal(vr_fw_cfg_add(f.dev, "f", "0123456789", 10, NULL), 0);
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        assert_int_equal(request(&f, 0x20 << 16 | SELECT | READ, 8, bad[i]), ERROR);
        assert_int_equal(request(&f, 0x20 << 16 | SELECT | READ, UINT32_MAX, bad[i]), ERROR);
        vr_dev_write(f.dev, 0, DMA, 8, __builtin_bswap64(bad[i])); /* the request itself */
    }
    assert_int_equal(request(&f, 0x20 << 16 | SELECT | READ, UINT32_MAX, RIG_RAM_GPA + BUFFER_OFF),
                     ERROR);
    assert_int_equal(request(&f, READ, 0, UINT64_MAX), 0);
    assert_int_equal(f.dev->guest_errors, 3 * VR_COUNT(bad) + 1);
    close_fw(&f);
}

static void selection_survives_a_snapshot(void **state)
{
    struct fw_rig f;
    (void)state;
    open_fw(&f);
    struct vr_dev *b = rig_dev(&f.rig, &vr_fw_cfg_class, NULL);
    assert_int_equal(vr_fw_cfg_add(f.dev, "f", "0123456789", 10, NULL), 0);
    assert_int_equal(vr_fw_cfg_add(b, "f", "0123456789", 10, NULL), 0);
    pick(&f, 0x20);
    (void)vr_dev_read(f.dev, 0, DATA, 4);
    vr_dev_write(f.dev, 0, DMA, 4, 0x12345678);
    assert_int_equal(rig_copy(f.dev, b), 0);
    assert_int_equal(vr_dev_read(b, 0, DATA, 1), '4');
    vr_dev_reset(b);
    assert_int_equal(vr_dev_read(b, 0, DATA, 1), 'Q');
    vr_dev_destroy(b);
    close_fw(&f);
}

/* THREATS 19: any register, any width, any selector. */
static void random_accesses_do_no_harm(void **state)
{
    struct fw_rig f;
    (void)state;
    open_fw(&f);
    assert_int_equal(vr_fw_cfg_add(f.dev, "f", "0123456789", 10, NULL), 0);
    rig_storm(&f.rig, f.dev, 0x18, 30000);
    for (unsigned key = 0; key < 0x10000; key += 7) {
        pick(&f, (uint16_t)key);
        (void)vr_dev_read(f.dev, 0, DATA, 8);
    }
    struct vr_space *mem = f.rig.env.mem;
    f.rig.env.mem = NULL; /* a machine without DMA */
    vr_dev_write(f.dev, 0, DMA, 8, 0);
    pick(&f, 0);
    assert_int_equal(vr_dev_read(f.dev, 0, DATA, 1), 'Q');
    f.rig.env.mem = mem;
    close_fw(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature_and_features),
        cmocka_unit_test(directory_lists_the_files),
        cmocka_unit_test(numbered_items),
        cmocka_unit_test(dma_reads_skips_and_refuses),
        cmocka_unit_test(hostile_requests_are_refused),
        cmocka_unit_test(selection_survives_a_snapshot),
        cmocka_unit_test(random_accesses_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "test.h"

#include "core/fdt.h"
#include <errno.h>
#include <libfdt.h>
#include <string.h>

static struct vr_fdt *new_fdt(void)
{
    struct vr_fdt *f;
    assert_int_equal(vr_fdt_create(&f, NULL), 0);
    return f;
}

static const void *finish(struct vr_fdt *f)
{
    const void *blob;
    size_t len;
    struct vr_error err = {0};
    if (vr_fdt_finish(f, &blob, &len, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(fdt_check_full(blob, len), 0);
    return blob;
}

static void check_prop(const void *blob, const char *path, const char *prop, const void *want,
                       int want_len)
{
    int len, node = fdt_path_offset(blob, path);
    assert_true(node >= 0);
    const void *got = fdt_getprop(blob, node, prop, &len);
    assert_non_null(got);
    assert_int_equal(len, want_len);
    assert_memory_equal(got, want, (size_t)want_len);
}

static void every_kind_of_property(void **state)
{
    static const uint32_t cells[] = {1, 0x01020304, UINT32_MAX};
    struct vr_fdt *f = new_fdt();
    (void)state;
    vr_fdt_begin(f, "/");
    vr_fdt_str(f, "model", "a model");
    vr_fdt_begin(f, "node@%x", 0x1000);
    vr_fdt_strs(f, "compatible", "one\0two", sizeof("one\0two"));
    vr_fdt_u32(f, "u32", 0x11223344);
    vr_fdt_u64(f, "u64", 0x1122334455667788);
    vr_fdt_cells(f, "cells", cells, 3);
    vr_fdt_empty(f, "empty");
    vr_fdt_bytes(f, "bytes", "\xff\x00\x01", 3);
    vr_fdt_end(f);
    vr_fdt_end(f);
    const void *blob = finish(f);
    check_prop(blob, "/", "model", "a model", 8);
    check_prop(blob, "/node@1000", "compatible", "one\0two", 8);
    check_prop(blob, "/node@1000", "u32", "\x11\x22\x33\x44", 4);
    check_prop(blob, "/node@1000", "u64", "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
    check_prop(blob, "/node@1000", "cells", "\0\0\0\1\1\2\3\4\xff\xff\xff\xff", 12);
    check_prop(blob, "/node@1000", "empty", "", 0);
    check_prop(blob, "/node@1000", "bytes", "\xff\x00\x01", 3);
    vr_fdt_destroy(f);
}

static void wiring_of_a_device(void **state)
{
    static const uint32_t extended[] = {1, 3, 2, 7};
    struct vr_fdt_at at = {.gpa = {UINT64_C(0x123456789a), 0x2000},
                           .len = {0x1000, UINT64_C(0x100000000)},
                           .irq_parent = 5,
                           .irq = {9, 4},
                           .irq_count = 2,
                           .phandle = 77};
    struct vr_fdt *f = new_fdt();
    (void)state;
    vr_fdt_begin(f, "/");
    vr_fdt_begin(f, "a");
    vr_fdt_reg(f, &at);
    vr_fdt_end(f);
    at.irqs_extended = extended;
    at.irqs_extended_count = 4;
    at.phandle = 0;
    vr_fdt_begin(f, "b");
    vr_fdt_reg(f, &at);
    vr_fdt_end(f);
    vr_fdt_end(f);
    const void *blob = finish(f);
    check_prop(blob, "/a", "reg",
               "\0\0\0\x12\x34\x56\x78\x9a\0\0\0\0\0\0\x10\0"
               "\0\0\0\0\0\0\x20\0\0\0\0\1\0\0\0\0",
               32);
    check_prop(blob, "/a", "interrupt-parent", "\0\0\0\5", 4);
    check_prop(blob, "/a", "interrupts", "\0\0\0\x9\0\0\0\4", 8);
    check_prop(blob, "/a", "phandle", "\0\0\0\x4d", 4);
    assert_int_equal(fdt_node_offset_by_phandle(blob, 77), fdt_path_offset(blob, "/a"));
    check_prop(blob, "/b", "interrupts-extended", "\0\0\0\1\0\0\0\3\0\0\0\2\0\0\0\7", 16);
    assert_null(fdt_getprop(blob, fdt_path_offset(blob, "/b"), "interrupts", NULL));
    assert_null(fdt_getprop(blob, fdt_path_offset(blob, "/b"), "phandle", NULL));
    vr_fdt_destroy(f);
}

static void trees_grow_beyond_the_first_buffer(void **state)
{
    static uint8_t big[100000];
    struct vr_fdt *f = new_fdt();
    (void)state;
    memset(big, 0x3c, sizeof(big));
    vr_fdt_begin(f, "/");
    vr_fdt_bytes(f, "big", big, sizeof(big));
    for (unsigned i = 0; i < 2000; i++) {
        vr_fdt_begin(f, "node%u", i);
        vr_fdt_u32(f, "index", i);
        vr_fdt_end(f);
    }
    vr_fdt_end(f);
    const void *blob = finish(f);
    check_prop(blob, "/node1999", "index", "\0\0\x07\xcf", 4);
    vr_fdt_destroy(f);
}

static void failures_stick(void **state)
{
    struct vr_fdt *f = new_fdt();
    struct vr_error err = {0};
    const void *blob;
    size_t len;
    (void)state;
    vr_fdt_begin(f, "/");
    vr_fdt_begin(f, "a");
    vr_fdt_end(f);
    vr_fdt_u32(f, "late", 1); /* a property after a subnode */
    vr_fdt_end(f);
    assert_int_equal(vr_fdt_finish(f, &blob, &len, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "'late'"));
    vr_fdt_destroy(f);

    f = new_fdt();
    vr_fdt_u32(f, "nowhere", 1); /* no node is open */
    vr_fdt_begin(f, "/");
    vr_fdt_end(f);
    assert_int_equal(vr_fdt_finish(f, &blob, &len, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "'nowhere'"));
    vr_fdt_destroy(f);

    f = new_fdt();
    vr_fdt_begin(f, "/"); /* never ended */
    assert_int_equal(vr_fdt_finish(f, &blob, &len, &err), -EINVAL);
    vr_fdt_destroy(f);

    static uint8_t huge[17 << 20];
    f = new_fdt();
    vr_fdt_begin(f, "/");
    for (unsigned i = 0; i < 2; i++) {
        vr_fdt_bytes(f, "huge", huge, sizeof(huge) / 2);
    }
    vr_fdt_end(f);
    assert_int_equal(vr_fdt_finish(f, &blob, &len, &err), -ENOMEM);
    vr_fdt_destroy(f);
    vr_fdt_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_property),
        cmocka_unit_test(wiring_of_a_device),
        cmocka_unit_test(trees_grow_beyond_the_first_buffer),
        cmocka_unit_test(failures_stick),
    };
    return cmocka_run_group_tests_name("fdt", tests, NULL, NULL);
}

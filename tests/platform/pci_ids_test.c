#include "test.h"

#include "platform/pci_ids.h"
#include "tree.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char plain[] = "# a comment\n"
                            "8086  Intel Corporation\n"
                            "\t10c9  82576 Gigabit\n"
                            "\t\t8086 a01c  Quad Port\n"
                            "\r\n"
                            "1b36  Red Hat, Inc.\r\n"
                            "\t0010  QEMU NVM Express Controller\n"
                            "C 02  Network controller\n"
                            "\t00  Ethernet controller\n"
                            "C 0c  Serial bus controller\n"
                            "\t03  USB controller\n"
                            "\t\t30  XHCI";

static struct vr_pci_ids *parse(const void *text, size_t len)
{
    struct vr_pci_ids *ids;
    assert_int_equal(vr_pci_ids_parse(text, len, &ids), 0);
    return ids;
}

static void names_are_found(void **state)
{
    struct vr_pci_ids *ids = parse(plain, sizeof(plain) - 1);
    (void)state;
    assert_int_equal(vr_pci_ids_count(ids), 9);
    assert_int_equal(vr_pci_ids_skipped(ids), 0);
    assert_string_equal(vr_pci_ids_vendor(ids, 0x8086), "Intel Corporation");
    assert_string_equal(vr_pci_ids_vendor(ids, 0x1b36), "Red Hat, Inc.");
    assert_string_equal(vr_pci_ids_device(ids, 0x8086, 0x10c9), "82576 Gigabit");
    assert_string_equal(vr_pci_ids_subsystem(ids, 0x8086, 0x10c9, 0x8086, 0xa01c), "Quad Port");
    assert_string_equal(vr_pci_ids_class(ids, 0x020000), "Ethernet controller");
    assert_string_equal(vr_pci_ids_class(ids, 0x028000), "Network controller");
    assert_string_equal(vr_pci_ids_class(ids, 0x0c0330), "USB controller");
    assert_null(vr_pci_ids_vendor(ids, 0x1234));
    assert_null(vr_pci_ids_device(ids, 0x1b36, 0x10c9));
    assert_null(vr_pci_ids_class(ids, 0x990000));
    assert_null(vr_pci_ids_vendor(NULL, 0x8086));
    vr_pci_ids_free(ids);
    vr_pci_ids_free(NULL);
}

static void lines_that_make_no_sense_are_skipped(void **state)
{
    static const char text[] = "\t10c9  device of nobody\n"
                               "\t\t8086 a01c  subsystem of nobody\n"
                               "808  short\n"
                               "80866  long\n"
                               "zzzz  no number\n"
                               "\t0001  device of what was skipped\n"
                               "8086\n"
                               "8087  \n"
                               "\t\t\t0001  deep\n"
                               "C zz  class\n"
                               "8088  good\n"
                               "\tzz  no device\n"
                               "\t\t0001 0002  subsystem of what was skipped\n"
                               "\t0001  go\0od\x01\n";
    struct vr_pci_ids *ids = parse(text, sizeof(text) - 1);
    (void)state;
    assert_int_equal(vr_pci_ids_count(ids), 2);
    assert_int_equal(vr_pci_ids_skipped(ids), 12);
    assert_string_equal(vr_pci_ids_vendor(ids, 0x8088), "good");
    assert_string_equal(vr_pci_ids_device(ids, 0x8088, 1), "go?od?");
    vr_pci_ids_free(ids);
}

/* Cut anywhere, and with any byte changed: it parses, and look-ups stay in bounds. */
static void damage_does_no_harm(void **state)
{
    uint32_t seed = 7;
    (void)state;
    for (size_t len = 0; len <= sizeof(plain) - 1; len++) {
        struct vr_pci_ids *ids = parse(plain, len);
        assert_true(vr_pci_ids_count(ids) <= 9);
        vr_pci_ids_free(ids);
    }
    for (unsigned round = 0; round < 20000; round++) {
        char text[sizeof(plain)];
        memcpy(text, plain, sizeof(plain));
        for (unsigned i = 0; i < 3; i++) {
            seed = seed * 1664525 + 1013904223;
            text[(seed >> 8) % (sizeof(text) - 1)] = (char)(seed >> 24);
        }
        struct vr_pci_ids *ids = parse(text, sizeof(text) - 1);
        const char *name = vr_pci_ids_device(ids, 0x8086, 0x10c9);
        assert_true(!name || strlen(name) < sizeof(plain));
        vr_pci_ids_free(ids);
    }
}

static void files_that_are_none_are_refused(void **state)
{
    struct tree t = tree_empty();
    struct vr_pci_ids *ids = NULL;
    struct vr_error err;
    char path[128];
    (void)state;
    snprintf(path, sizeof(path), "%s/pci.ids", t.root);
    assert_int_equal(vr_pci_ids_load(path, &ids, &err), -ENOENT);
    assert_non_null(strstr(err.msg, path));
    tree_write(&t, "pci.ids", "");
    assert_int_equal(vr_pci_ids_load(path, &ids, &err), -EINVAL);
    tree_write(&t, "pci.ids", "#!/bin/sh\necho hello\n");
    assert_int_equal(vr_pci_ids_load(path, &ids, &err), -EINVAL);
    assert_int_equal(vr_pci_ids_load(t.root, &ids, &err), -EINVAL);
    assert_null(ids);
    tree_write(&t, "pci.ids", plain);
    assert_int_equal(vr_pci_ids_load(path, &ids, &err), 0);
    assert_int_equal(vr_pci_ids_count(ids), 9);
    vr_pci_ids_free(ids);
    tree_destroy(&t);
}

/* The real thing, where this host has it. */
static void the_hosts_file_is_understood(void **state)
{
    struct vr_pci_ids *ids = NULL;
    (void)state;
    assert_int_equal(vr_pci_ids_load(NULL, &ids, NULL), 0);
    if (!ids) {
        skip_because("no pci.ids on this host");
    }
    assert_true(vr_pci_ids_count(ids) > 10000);
    assert_true(vr_pci_ids_skipped(ids) < 10);
    assert_string_equal(vr_pci_ids_vendor(ids, 0x8086), "Intel Corporation");
    assert_string_equal(vr_pci_ids_class(ids, 0x030000), "VGA compatible controller");
    vr_pci_ids_free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(lines_that_make_no_sense_are_skipped),
        cmocka_unit_test(damage_does_no_harm),
        cmocka_unit_test(files_that_are_none_are_refused),
        cmocka_unit_test(the_hosts_file_is_understood),
    };
    return cmocka_run_group_tests_name("pci_ids", tests, NULL, NULL);
}

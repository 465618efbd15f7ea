#include "test.h"

#include "vireo/host_pci.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 32);
}

static void every_form_is_read(void **state)
{
    static const struct {
        const char *text, *full;
    } cases[] = {
        {"0000:03:00.1", "0000:03:00.1"},
        {"03:00.1", "0000:03:00.1"},
        {"3:0.1", "0000:03:00.1"},
        {"03:00", "0000:03:00.0"},
        {"0:0", "0000:00:00.0"},
        {"1:2:3.4", "0001:02:03.4"},
        {"1:2:3", "0001:02:03.0"},
        {"FFFF:FF:1F.7", "ffff:ff:1f.7"},
        {"10000:e1:00.0", "10000:e1:00.0"},
        {"ffffffff:ff:1f.7", "ffffffff:ff:1f.7"},
        {"00000000:00:00.0", "0000:00:00.0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vireo_pci_addr addr;
        char buf[VIREO_PCI_ADDR_SIZE];
        assert_int_equal(vireo_pci_addr_parse(cases[i].text, &addr, NULL), 0);
        assert_string_equal(vireo_pci_addr_format(addr, buf), cases[i].full);
    }
}

static void nothing_else_is(void **state)
{
    static const char *const bad[] = {
        "",         "x",         "03",       "03:",       ":00",           "03:00.",
        "03:00.1 ", " 03:00.1",  "03:00:",   "3:0.10",    "003:00.0",      "03:000.0",
        "-3:0.0",   "+3:0.0",    "0x3:0.0",  "0:0:0:0",   "3.0",           "3:0,0",
        "3:0.g",    "a:b:c:d.0", "3:0.0\n",  "3:0.0/x",   "123456789:0:0", "::",
        ":::",      "0::0.0",    "\xff:0.0", "03:00.1.0",
    };
    struct vireo_pci_addr addr = {.domain = 77};
    struct vr_error err;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(vireo_pci_addr_parse(bad[i], &addr, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "looks like"));
    }
    assert_int_equal(vireo_pci_addr_parse("0:20.0", &addr, &err), -ERANGE);
    assert_int_equal(vireo_pci_addr_parse("0:1f.8", &addr, &err), -ERANGE);
    assert_int_equal(addr.domain, 77); /* untouched */
}

/* What is written is read back, in short forms too, and text orders as addresses do. */
static void any_address_survives(void **state)
{
    uint64_t seed = 1;
    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        uint32_t r = next_random(&seed), domain = next_random(&seed) >> (r % 32);
        struct vireo_pci_addr a = {domain, (uint8_t)(r >> 8), r >> 16 & 31, r >> 24 & 7}, b;
        char full[VIREO_PCI_ADDR_SIZE], text[40];
        vireo_pci_addr_format(a, full);
        assert_int_equal(vireo_pci_addr_parse(full, &b, NULL), 0);
        assert_int_equal(vireo_pci_addr_compare(a, b), 0);
        snprintf(text, sizeof(text), "%X:%x:%X.%x", a.domain, a.bus, a.device, a.function);
        assert_int_equal(vireo_pci_addr_parse(text, &b, NULL), 0);
        assert_int_equal(vireo_pci_addr_compare(a, b), 0);
    }
}

/* Random text, built from what addresses are made of: refused, or a fixed point of format. */
static void any_text_is_judged(void **state)
{
    static const char letters[] = "0123fF:::..x8";
    uint64_t seed = 2;
    unsigned accepted = 0;
    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        char text[16], again[VIREO_PCI_ADDR_SIZE], twice[VIREO_PCI_ADDR_SIZE];
        unsigned len = next_random(&seed) % sizeof(text);
        for (unsigned k = 0; k < len; k++) {
            text[k] = letters[next_random(&seed) % (sizeof(letters) - 1)];
        }
        text[len] = 0;
        struct vireo_pci_addr a, b;
        int r = vireo_pci_addr_parse(text, &a, NULL);
        assert_true(r == 0 || r == -EINVAL || r == -ERANGE);
        if (r == 0) {
            accepted++;
            assert_int_equal(vireo_pci_addr_parse(vireo_pci_addr_format(a, again), &b, NULL), 0);
            assert_string_equal(vireo_pci_addr_format(b, twice), again);
        }
    }
    assert_true(accepted > 1000);
}

static void addresses_have_an_order(void **state)
{
    static const char *const sorted[] = {"0:0.0",   "0:0.1", "0:1.0",       "1:0.0",
                                         "ff:1f.7", "1:0:0", "ffffffff:0:0"};
    struct vireo_pci_addr a, b;
    (void)state;
    for (int i = 0; i < 7; i++) {
        for (int k = 0; k < 7; k++) {
            assert_int_equal(vireo_pci_addr_parse(sorted[i], &a, NULL), 0);
            assert_int_equal(vireo_pci_addr_parse(sorted[k], &b, NULL), 0);
            int order = vireo_pci_addr_compare(a, b);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),      cmocka_unit_test(nothing_else_is),
        cmocka_unit_test(any_address_survives),    cmocka_unit_test(any_text_is_judged),
        cmocka_unit_test(addresses_have_an_order),
    };
    return cmocka_run_group_tests_name("pci_addr", tests, NULL, NULL);
}

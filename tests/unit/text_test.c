#include "test.h"

#include "base/bits.h"
#include "base/text.h"
#include <errno.h>

static void numbers(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint64_t val;
    } cases[] = {
        {"0", 0, 0},
        {"42", 0, 42},
        {"010", 0, 10},
        {"0x10", 0, 16},
        {"0XfF", 0, 255},
        {"18446744073709551615", 0, UINT64_MAX},
        {"0xffffffffffffffff", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"0x10000000000000000", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"0x", -EINVAL, 0},
        {"0xg", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"1a", -EINVAL, 0},
        {"a", -EINVAL, 0},
        {"1K", -EINVAL, 0},
    };
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(cases); i++) {
        uint64_t v = 0;
        assert_int_equal(vr_parse_u64(cases[i].text, &v), cases[i].r);
        assert_int_equal(v, cases[i].val); /* untouched on failure */
    }
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint64_t val;
    } cases[] = {
        {"512", 0, 512},
        {"1K", 0, 1024},
        {"1k", 0, 1024},
        {"512M", 0, UINT64_C(512) << 20},
        {"2G", 0, UINT64_C(2) << 30},
        {"2GB", 0, UINT64_C(2) << 30},
        {"2GiB", 0, UINT64_C(2) << 30},
        {"2gib", 0, UINT64_C(2) << 30},
        {"3T", 0, UINT64_C(3) << 40},
        {"1P", 0, UINT64_C(1) << 50},
        {"0x10M", 0, UINT64_C(16) << 20},
        {"16383P", 0, UINT64_C(16383) << 50},
        {"16384P", -ERANGE, 0},
        {"1B", -EINVAL, 0},
        {"1MX", -EINVAL, 0},
        {"1iB", -EINVAL, 0},
        {"M", -EINVAL, 0},
        {"1.5G", -EINVAL, 0},
        {"-1G", -EINVAL, 0},
        {"", -EINVAL, 0},
    };
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(cases); i++) {
        uint64_t v = 0;
        assert_int_equal(vr_parse_size(cases[i].text, &v), cases[i].r);
        assert_int_equal(v, cases[i].val);
    }
}

static void booleans(void **state)
{
    static const char *const yes[] = {"on", "ON", "true", "yes", "1"};
    static const char *const no[] = {"off", "False", "no", "0"};
    static const char *const bad[] = {"", "o", "onn", "2", "maybe"};
    bool v;
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(yes); i++) {
        v = false;
        assert_int_equal(vr_parse_bool(yes[i], &v), 0);
        assert_true(v);
    }
    for (unsigned i = 0; i < VR_COUNT(no); i++) {
        v = true;
        assert_int_equal(vr_parse_bool(no[i], &v), 0);
        assert_false(v);
    }
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        assert_int_equal(vr_parse_bool(bad[i], &v), -EINVAL);
    }
}

static void nearest_names(void **state)
{
    static const char *const names[] = {"kernel",  "initrd", "append",   "disk", "net",
                                        "console", "memory", "readonly", "cpus"};
    static const struct {
        const char *word, *want;
    } cases[] = {
        {"kernle", "kernel"},  {"kenrel", "kernel"}, {"Kernel", "kernel"},
        {"inird", "initrd"},   {"appand", "append"}, {"dsik", "disk"},
        {"disks", "disk"},     {"nett", "net"},      {"read", "readonly"},
        {"cosole", "console"}, {"mem", "memory"},    {"xyzzy", NULL},
        {"firmware", NULL},    {"", NULL},           {"q", NULL},
    };
    char huge[300];
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(cases); i++) {
        const char *got = vr_nearest(cases[i].word, names, VR_COUNT(names));
        if (cases[i].want) {
            assert_non_null(got);
            assert_string_equal(got, cases[i].want);
        } else {
            assert_null(got);
        }
    }
    for (unsigned i = 0; i < sizeof(huge); i++) {
        huge[i] = i + 1 < sizeof(huge) ? 'k' : 0;
    }
    assert_null(vr_nearest(huge, names, VR_COUNT(names)));
    assert_null(vr_nearest("kernel", names, 0));
}

static void bits(void **state)
{
    uint64_t v;
    uint8_t b[9] = {0};
    (void)state;
    assert_int_equal(vr_align_up(1, 4096), 4096);
    assert_int_equal(vr_align_down(8191, 4096), 4096);
    assert_true(vr_align_up_ok(UINT64_MAX - 4096, 4096, &v) && v == UINT64_MAX - 4095);
    assert_false(vr_align_up_ok(UINT64_MAX, 4096, &v));
    assert_int_equal(vr_mask(0), 0);
    assert_int_equal(vr_mask(64), UINT64_MAX);
    assert_int_equal(vr_bits(0xabcd, 4, 8), 0xbc);
    assert_int_equal(vr_bits(UINT64_MAX, 63, 64), 1);
    assert_true(vr_is_pow2(1) && vr_is_pow2(UINT64_C(1) << 63));
    assert_false(vr_is_pow2(0) || vr_is_pow2(6));
    assert_true(vr_in_range(10, 0, 10) && vr_in_range(0, 10, 10));
    assert_false(vr_in_range(11, 0, 10) || vr_in_range(1, 10, 10) ||
                 vr_in_range(1, UINT64_MAX, 10));
    vr_store_le32(b + 1, 0x11223344);
    assert_int_equal(b[1], 0x44);
    assert_int_equal(vr_load_be32(b + 1), 0x44332211);
    vr_store_be64(b + 1, 0x0102030405060708);
    assert_int_equal(vr_load_le64(b + 1), 0x0807060504030201);
    for (unsigned width = 1; width <= 8; width *= 2) {
        vr_store_le(b + 1, width, 0x8877665544332211);
        assert_int_equal(vr_load_le(b + 1, width), 0x8877665544332211 & vr_width_mask(width));
    }
}

static void digits_words_and_names(void **state)
{
    static const char *const words[] = {"one", "two", ""};
    static const char digits[] = "0123456789abcdefABCDEF";
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char *at = c ? strchr(digits, c) : NULL;
        int pos = at ? (int)(at - digits) : -1;
        assert_int_equal(vr_hex_digit((char)c), pos > 15 ? pos - 6 : pos);
    }
    assert_int_equal(vr_word("two", words, 3), 1);
    assert_int_equal(vr_word("", words, 3), 2);
    assert_int_equal(vr_word("", words, 2), -1);
    assert_int_equal(vr_word("Two", words, 3), -1);
    assert_true(vr_word_of("on", "auto on off", ' ') && vr_word_of("off", "auto on off", ' '));
    assert_true(vr_word_of("auto", "auto|on", '|') && vr_word_of("a b", "a b", '|'));
    assert_false(vr_word_of("o", "auto on", ' ') || vr_word_of("", "auto on", ' ') ||
                 vr_word_of("auto on", "auto on", ' ') || vr_word_of("on", "onto", ' ') ||
                 vr_word_of("on", "", ' ') || vr_word_of("on", NULL, ' '));
    assert_true(vr_name_good("a", 1) && vr_name_good("0.b_c-D", 7));
    assert_false(vr_name_good("", 7) || vr_name_good("0.b_c-D", 6) || vr_name_good("-a", 7) ||
                 vr_name_good(".a", 7) || vr_name_good("a/b", 7) || vr_name_good("a\xc3\xa4", 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),  cmocka_unit_test(sizes),
        cmocka_unit_test(booleans), cmocka_unit_test(nearest_names),
        cmocka_unit_test(bits),     cmocka_unit_test(digits_words_and_names),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}

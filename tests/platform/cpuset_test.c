/* Sets of processors, and how they are written. */
#include "test.h"

#include "base/bits.h"
#include "vireo/host_thread.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void cpu_lists_are_read_and_written(void **state)
{
    static const struct {
        const char *text, *again;
        int count; /* or an error */
    } cases[] = {
        {"0", "0", 1},
        {"0-3\n", "0-3", 4},
        {"0,2-3,7", "0,2-3,7", 4},
        {"7,0,2-3,2", "0,2-3,7", 4},
        {"", "", 0},
        {"\n", "", 0},
        {"0-7:2/4", "0-1,4-5", 4},
        {"1020-1030,4096", "1020-1030,4096", 12},
        {"65535", "65535", 1},
        {"65536", NULL, -ERANGE},
        {"99999999999999999999", NULL, -ERANGE},
        {"3-1", NULL, -EINVAL},
        {"-1", NULL, -EINVAL},
        {"1-", NULL, -EINVAL},
        {"1,", NULL, -EINVAL},
        {",1", NULL, -EINVAL},
        {"1 2", NULL, -EINVAL},
        {"1-2-3", NULL, -EINVAL},
        {"0x1", NULL, -EINVAL},
        {"0-8:0/2", NULL, -EINVAL},
        {"0-8:2/0", NULL, -EINVAL},
        {"0-8:2", NULL, -EINVAL},
        {"0-8:3/2", NULL, -EINVAL},
    };
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(cases); i++) {
        struct vireo_cpuset set = {.bits = NULL};
        char text[64];
        int r = vireo_cpuset_parse(cases[i].text, &set);
        if (cases[i].count < 0) {
            assert_int_equal(r, cases[i].count);
            assert_null(set.bits);
            continue;
        }
        assert_int_equal(r, 0);
        assert_int_equal(vireo_cpuset_count(&set), cases[i].count);
        assert_int_equal(vireo_cpuset_format(&set, text, sizeof(text)), strlen(cases[i].again));
        assert_string_equal(text, cases[i].again);
        vireo_cpuset_fini(&set);
    }
}

static void any_set_survives_its_list(void **state)
{
    (void)state;
    srand(1);
    for (unsigned round = 0; round < 200; round++) {
        struct vireo_cpuset a = {.bits = NULL}, b = {.bits = NULL};
        char text[8192];
        unsigned count = (unsigned)rand() % 60, spread = 1u << ((unsigned)rand() % 14);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(vireo_cpuset_add(&a, (uint32_t)rand() % spread), 0);
        }
        assert_true(vireo_cpuset_format(&a, text, sizeof(text)) < sizeof(text));
        assert_int_equal(vireo_cpuset_parse(text, &b), 0);
        assert_int_equal(vireo_cpuset_count(&a), vireo_cpuset_count(&b));
        for (uint32_t i = vireo_cpuset_next(&a, 0); i != UINT32_MAX;
             i = vireo_cpuset_next(&a, i + 1)) {
            assert_true(vireo_cpuset_has(&b, i));
        }
        vireo_cpuset_fini(&a);
        vireo_cpuset_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_lists_are_read_and_written),
        cmocka_unit_test(any_set_survives_its_list),
    };
    return cmocka_run_group_tests_name("cpuset", tests, NULL, NULL);
}

#include "test.h"

#include <stdio.h>
#include <vireo/version.h>

static void version_has_three_numbers(void **state)
{
    (void)state;
    unsigned major, minor, patch;
    char rest;
    assert_int_equal(sscanf(vireo_version(), "%u.%u.%u%c", &major, &minor, &patch, &rest), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_has_three_numbers),
    };
    return cmocka_run_group_tests_name("version", tests, NULL, NULL);
}

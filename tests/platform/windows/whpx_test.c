/* Trying a hypervisor: where there is none, and with one that is made up (fakewhp.c). */
#include "test.h"

#include "platform/windows/whpx.h"
#include "platform/windows/win.h"
#include <string.h>
#include <windows.h>

static wchar_t *fake;

static void it_is_absent_or_says_why(void **state)
{
    struct vireo_ability a;
    (void)state;
    vr_whpx_try(L"C:\\no\\such\\WinHvPlatform.dll", &a);
    assert_true(!a.present && !a.works);
    assert_non_null(strstr(a.detail, "Windows Features"));
    vr_whpx_try(NULL, &a);
    print_message("# %s\n", a.detail);
    assert_true(a.present || !a.works);
    assert_true(strlen(a.detail) > 5);
}

static void another_library_lacks_functions(void **state)
{
    struct vireo_ability a;
    (void)state;
    vr_whpx_try(L"kernel32.dll", &a);
    assert_true(a.present && !a.works);
    assert_non_null(strstr(a.detail, "lacks functions"));
}

static void each_way_it_can_go(void **state)
{
    static const struct {
        const char *how;
        bool works;
        const char *detail;
    } cases[] = {
        {"good", true, "ran to its end"},       {"off", false, "firmware"},
        {"denied", false, "could not be made"}, {"wrong", false, "computed wrongly"},
        {"odd", false, "unexpected reason"},    {"stuck", false, "did not end within"},
        {"good", true, "ran to its end"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vireo_ability a;
        assert_true(SetEnvironmentVariableA("FAKE_WHP", cases[i].how));
        vr_whpx_try(fake, &a);
        print_message("# %s: %s\n", cases[i].how, a.detail);
        assert_true(a.present);
        assert_int_equal(a.works, cases[i].works);
        assert_non_null(strstr(a.detail, cases[i].detail));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_absent_or_says_why),
        cmocka_unit_test(another_library_lacks_functions),
        cmocka_unit_test(each_way_it_can_go),
    };
    return argc == 2 && vr_win_wide(argv[1], &fake) == 0
               ? cmocka_run_group_tests_name("win_whpx", tests, NULL, NULL)
               : 1;
}

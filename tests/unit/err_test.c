#include "test.h"

#include "base/err.h"
#include <errno.h>
#include <string.h>

static void fills_and_returns_the_code(void **state)
{
    struct vr_error err = {0};
    (void)state;
    assert_int_equal(vr_err(&err, -ENOENT, "disk %s: %d", "a.img", 7), -ENOENT);
    assert_int_equal(err.code, -ENOENT);
    assert_string_equal(err.msg, "disk a.img: 7");
    assert_int_equal(vr_err(NULL, -EIO, "nobody listens"), -EIO);
    assert_int_equal(vr_err_in(NULL, -EIO, "nobody listens"), -EIO);
}

static void context_comes_first(void **state)
{
    struct vr_error err = {0};
    (void)state;
    (void)vr_err(&err, -EIO, "sector 5 is bad");
    assert_int_equal(vr_err_in(&err, -EIO, "disk %d", 3), -EIO);
    assert_string_equal(err.msg, "disk 3: sector 5 is bad");
    assert_int_equal(vr_err_in(&err, -ENXIO, "vm"), -ENXIO);
    assert_int_equal(err.code, -ENXIO);
    assert_string_equal(err.msg, "vm: disk 3: sector 5 is bad");
}

static void the_old_message_may_be_an_argument(void **state)
{
    struct vr_error err = {0};
    (void)state;
    (void)vr_err(&err, -EIO, "inner");
    (void)vr_err(&err, -EIO, "outer (%s)", err.msg);
    assert_string_equal(err.msg, "outer (inner)");
}

static void long_messages_are_cut(void **state)
{
    char text[1000];
    struct vr_error err = {0};
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    (void)vr_err(&err, -EIO, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    for (int i = 0; i < 100; i++) {
        (void)vr_err_in(&err, -EIO, "in %d", i);
        assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    }
    assert_memory_equal(err.msg, "in 99: in 98: ", 14);
    (void)vr_err_in(&err, -EIO, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_and_returns_the_code),
        cmocka_unit_test(context_comes_first),
        cmocka_unit_test(the_old_message_may_be_an_argument),
        cmocka_unit_test(long_messages_are_cut),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}

#include "test.h"

#include "base/log.h"
#include <stdio.h>
#include <string.h>

struct last {
    int count;
    enum vr_level level;
    char who[32], line[1024];
};

static void keep(void *opaque, enum vr_level level, const char *who, const char *line)
{
    struct last *last = opaque;
    last->count++;
    last->level = level;
    snprintf(last->who, sizeof(last->who), "%s", who);
    snprintf(last->line, sizeof(last->line), "%s", line);
}

static void levels_above_are_dropped(void **state)
{
    struct last last = {0};
    struct vr_log log = {.level = VR_WARN, .sink = keep, .opaque = &last};
    (void)state;
    vr_log(&log, VR_INFO, "uart0", "quiet");
    vr_log(&log, VR_DEBUG, "uart0", "quieter");
    assert_int_equal(last.count, 0);
    vr_log(&log, VR_WARN, "uart0", "byte %d lost", 9);
    assert_int_equal(last.count, 1);
    assert_int_equal(last.level, VR_WARN);
    assert_string_equal(last.who, "uart0");
    assert_string_equal(last.line, "byte 9 lost");
    vr_log(&log, VR_ERROR, NULL, "no name");
    assert_string_equal(last.who, "");
}

static void nobody_listening_is_fine(void **state)
{
    struct vr_log deaf = {.level = VR_DEBUG};
    (void)state;
    vr_log(NULL, VR_ERROR, "x", "y");
    vr_log(&deaf, VR_ERROR, "x", "y");
}

/* A line may quote what a guest wrote. */
static void lines_are_single_and_harmless(void **state)
{
    struct last last = {0};
    struct vr_log log = {.level = VR_DEBUG, .sink = keep, .opaque = &last};
    char text[2000];
    (void)state;
    vr_log(&log, VR_INFO, "a", "ends with newlines\n\n");
    assert_string_equal(last.line, "ends with newlines");
    vr_log(&log, VR_INFO, "a", "one\ntwo\x1b[2J\x7f\ttab");
    assert_string_equal(last.line, "one?two?[2J??tab");
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    vr_log(&log, VR_INFO, "a", "%s", text);
    assert_int_equal(strlen(last.line), 511);
    vr_log(&log, VR_INFO, "a", "%s", "");
    assert_string_equal(last.line, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_above_are_dropped),
        cmocka_unit_test(nobody_listening_is_fine),
        cmocka_unit_test(lines_are_single_and_harmless),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}

#include <cmocka.h>

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAP_ENDED = 1, TAP_FAILED, TAP_SKIPPED };

/* Where a test ends early; only in the thread that runs it. */
static _Thread_local jmp_buf *tap_back;

static void tap_remark(const char *fmt, va_list ap)
{
    char text[2048];
    vsnprintf(text, sizeof(text), fmt, ap);
    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next) {
            *next++ = 0;
        }
        printf("%s%s\n", *line == '#' ? "" : "# ", line);
    }
    fflush(stdout);
}

void print_message(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tap_remark(fmt, ap);
    va_end(ap);
}

_Noreturn static void tap_end(int how)
{
    if (!tap_back) {
        printf("# ... on a thread that runs no test\n");
        fflush(stdout);
        abort();
    }
    longjmp(*tap_back, how);
}

_Noreturn void tap_fail(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    print_message("%s:%d: failed:\n", file, line);
    va_start(ap, fmt);
    tap_remark(fmt, ap);
    va_end(ap);
    tap_end(TAP_FAILED);
}

_Noreturn void tap_skip(void)
{
    tap_end(TAP_SKIPPED);
}

void tap_integers(const char *file, int line, const char *what, uintmax_t a, uintmax_t b, int same)
{
    if ((a == b) != same) {
        tap_fail(file, line, "%s: %#" PRIxMAX " and %#" PRIxMAX, what, a, b);
    }
}

void tap_pointers(const char *file, int line, const char *what, uintptr_t a, uintptr_t b, int same)
{
    if ((a == b) != same) {
        tap_fail(file, line, "%s: %#" PRIxPTR " and %#" PRIxPTR, what, a, b);
    }
}

void tap_strings(const char *file, int line, const char *what, const char *a, const char *b,
                 int same)
{
    if ((strcmp(a, b) == 0) != same) {
        tap_fail(file, line, "%s: \"%s\" and \"%s\"", what, a, b);
    }
}

void tap_bytes(const char *file, int line, const char *what, const void *a, const void *b,
               size_t len, int same)
{
    if ((memcmp(a, b, len) == 0) != same) {
        tap_fail(file, line, "%s, over %zu bytes", what, len);
    }
}

/* One test; returns how it ended. */
static int tap_one(const struct CMUnitTest *test, void **state)
{
    jmp_buf back;
    tap_back = &back;
    int how = setjmp(back);
    if (how == 0) {
        test->test_func(state);
        how = TAP_ENDED;
    }
    tap_back = NULL;
    return how;
}

int tap_run(const char *group, const struct CMUnitTest *tests, size_t count,
            CMFixtureFunction setup, CMFixtureFunction teardown)
{
    void *state = NULL;
    int failed = 0;
    printf("1..%zu\n# %s\n", count, group);
    fflush(stdout);
    if (setup && setup(&state) != 0) {
        printf("Bail out! %s: its preparation failed\n", group);
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        int how = tap_one(&tests[i], &state);
        printf("%sok %zu - %s%s\n", how == TAP_FAILED ? "not " : "", i + 1, tests[i].name,
               how == TAP_SKIPPED ? " # SKIP" : "");
        fflush(stdout);
        failed += how == TAP_FAILED;
    }
    if (teardown && teardown(&state) != 0) {
        printf("Bail out! %s: its clean-up failed\n", group);
        return failed + 1;
    }
    return failed;
}

/*
 * What the portable test suites use of cmocka's interface, for targets that have no cmocka (cross
 * builds): the same tests are built with either. Results are TAP version 13 on standard output.
 *
 * Unlike with cmocka, an assertion may fail on any thread: on one that does not run a test it ends
 * the program, which the runner counts as a failure.
 */
#ifndef VR_TEST_TAP_CMOCKA_H
#define VR_TEST_TAP_CMOCKA_H

#include <stddef.h>
#include <stdint.h>

/* The printf that the compiler checks: mingw-w64's own is C99's. */
#ifdef __MINGW32__
#define TAP_PRINTF(a, b) __attribute__((format(gnu_printf, a, b)))
#else
#define TAP_PRINTF(a, b) __attribute__((format(printf, a, b)))
#endif

struct CMUnitTest {
    const char *name;
    void (*test_func)(void **state);
};

#define cmocka_unit_test(f) ((struct CMUnitTest){.name = #f, .test_func = (f)})

typedef int (*CMFixtureFunction)(void **state);

/* Run @tests in their order; returns how many failed. A group's own preparation and clean-up are
 * called when given; each returns 0, or the group fails. */
#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
    tap_run(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests(tests, setup, teardown) \
    cmocka_run_group_tests_name(#tests, tests, setup, teardown)

int tap_run(const char *group, const struct CMUnitTest *tests, size_t count,
            CMFixtureFunction setup, CMFixtureFunction teardown);
/* A remark, each of whose lines goes out as a TAP comment. */
void print_message(const char *fmt, ...) TAP_PRINTF(1, 2);
/* End this test: failed, with a message; or neither passed nor failed. */
_Noreturn void tap_fail(const char *file, int line, const char *fmt, ...) TAP_PRINTF(3, 4);
_Noreturn void tap_skip(void);

/* Comparisons: each ends the test when it does not hold. */
void tap_integers(const char *file, int line, const char *what, uintmax_t a, uintmax_t b, int same);
void tap_pointers(const char *file, int line, const char *what, uintptr_t a, uintptr_t b, int same);
void tap_strings(const char *file, int line, const char *what, const char *a, const char *b,
                 int same);
void tap_bytes(const char *file, int line, const char *what, const void *a, const void *b,
               size_t len, int same);

#define fail()        tap_fail(__FILE__, __LINE__, "fail()")
#define fail_msg(...) tap_fail(__FILE__, __LINE__, __VA_ARGS__)
#define skip()        tap_skip()

#define assert_true(c)     ((c) ? (void)0 : tap_fail(__FILE__, __LINE__, "%s", #c))
#define assert_false(c)    ((c) ? tap_fail(__FILE__, __LINE__, "not expected: %s", #c) : (void)0)
#define assert_null(p)     tap_pointers(__FILE__, __LINE__, #p " is NULL", (uintptr_t)(p), 0, 1)
#define assert_non_null(p) tap_pointers(__FILE__, __LINE__, #p " is not NULL", (uintptr_t)(p), 0, 0)

/* Of any integer type; both are widened as C does it. */
#define assert_int_equal(a, b) \
    tap_integers(__FILE__, __LINE__, #a " == " #b, (uintmax_t)(a), (uintmax_t)(b), 1)
#define assert_int_not_equal(a, b) \
    tap_integers(__FILE__, __LINE__, #a " != " #b, (uintmax_t)(a), (uintmax_t)(b), 0)
#define assert_in_range(v, low, high)                 \
    (assert_true((uintmax_t)(v) >= (uintmax_t)(low)), \
     assert_true((uintmax_t)(v) <= (uintmax_t)(high)))
#define assert_ptr_equal(a, b) \
    tap_pointers(__FILE__, __LINE__, #a " == " #b, (uintptr_t)(a), (uintptr_t)(b), 1)
#define assert_ptr_not_equal(a, b) \
    tap_pointers(__FILE__, __LINE__, #a " != " #b, (uintptr_t)(a), (uintptr_t)(b), 0)
#define assert_string_equal(a, b)          tap_strings(__FILE__, __LINE__, #a " == " #b, a, b, 1)
#define assert_string_not_equal(a, b)      tap_strings(__FILE__, __LINE__, #a " != " #b, a, b, 0)
#define assert_memory_equal(a, b, len)     tap_bytes(__FILE__, __LINE__, #a " == " #b, a, b, len, 1)
#define assert_memory_not_equal(a, b, len) tap_bytes(__FILE__, __LINE__, #a " != " #b, a, b, len, 0)

#endif

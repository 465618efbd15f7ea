/* Which console output is a kernel's panic, and which only looks like one. */
#include "test.h"

#include "base/bits.h"
#include "board/panic_watch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

struct ear {
    struct vr_panic_watch watch;
    unsigned panics, deaths;
};

static void on_panic(void *opaque)
{
    ((struct ear *)opaque)->panics++;
}

static void on_dead(void *opaque)
{
    ((struct ear *)opaque)->deaths++;
}

static void ear_init(struct ear *e)
{
    *e = (struct ear){.watch = {.on_panic = on_panic, .on_dead = on_dead, .opaque = e}};
}

/* Heard whole, byte by byte, and in pieces of 7: the same. */
static void hears(const char *text, uint64_t uptime_ns, unsigned panics, unsigned deaths)
{
    static const size_t steps[] = {SIZE_MAX, 1, 7};
    size_t len = strlen(text);
    for (unsigned i = 0; i < VR_COUNT(steps); i++) {
        struct ear e;
        ear_init(&e);
        for (size_t at = 0; at < len;) {
            size_t n = len - at < steps[i] ? len - at : steps[i];
            uint8_t *copy = malloc(n);
            assert_non_null(copy);
            memcpy(copy, text + at, n);
            vr_panic_watch_feed(&e.watch, copy, n, uptime_ns);
            free(copy);
            at += n;
        }
        assert_int_equal(e.panics, panics);
        assert_int_equal(e.deaths, deaths);
    }
}

static void a_panic_is_heard(void **state)
{
    (void)state;
    hears("[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n", 2 * SECOND,
          1, 0);
    hears("[12345.000001] Kernel panic - not syncing: sysrq\n", 12345 * SECOND, 1, 0);
    hears("[    0.000000] Kernel panic - not syncing: early\n", 0, 1, 0);
    hears("[    5.1][    T1] Kernel panic - not syncing: with a caller\n", 5 * SECOND, 1, 0);
    hears("text\n\n[    1.2] Kernel panic - not syncing: a\n"
          "[    1.3] ---[ end Kernel panic - not syncing: a ]---\n",
          2 * SECOND, 1, 1);
    hears("[    1.2] Kernel panic - not syncing: a", 2 * SECOND, 0, 0); /* the line is not over */
}

static void what_looks_like_one_is_not(void **state)
{
    static const char *const lines[] = {
        "Kernel panic - not syncing: VFS\n", /* somebody reads a log without stamps */
        "root@debian:~# echo Kernel panic - not syncing\n",
        "x [    1.2] Kernel panic - not syncing: a\n",
        "[    1.2] kernel panic - not syncing: a\n",
        "[    1.2] Kernel panic: a\n",
        "[] Kernel panic - not syncing: a\n",
        "[.] Kernel panic - not syncing: a\n",
        "[-1.2] Kernel panic - not syncing: a\n",
        "[1e3.2] Kernel panic - not syncing: a\n",
        "[99999999999999999999999.2] Kernel panic - not syncing: a\n",
        "[18446744073709551615.2] Kernel panic - not syncing: a\n",
        "[18446744073709551610.2] Kernel panic - not syncing: a\n",
        "[  100.2] Kernel panic - not syncing: of an earlier boot\n",
        "[  113.2] Kernel panic - not syncing: of the future\n",
        "[  110.2\n] Kernel panic - not syncing: a\n",
    };
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(lines); i++) {
        hears(lines[i], 111 * SECOND, 0, 0);
    }
    hears("[  101.9] Kernel panic - not syncing: a slow console\n", 111 * SECOND, 1, 0);
    hears("[  112.0] Kernel panic - not syncing: clocks differ\n", 111 * SECOND, 1, 0);
    hears("[18446744073.9] Kernel panic - not syncing: a\n", UINT64_MAX, 1, 0); /* no wrap */
}

/* No line is so long, or so odd, that it is written outside of the buffer, or hides the next. */
static void long_and_odd_lines_do_no_harm(void **state)
{
    static char big[100000];
    struct ear e;
    uint64_t seed = 1;
    (void)state;
    memset(big, 'a', sizeof(big) - 1);
    memcpy(big + sizeof(big) - 200, "\n[    1.2] Kernel panic - not syncing: a\n", 41);
    hears(big, SECOND, 1, 0);
    memset(big, '[', sizeof(big) - 1);
    hears(big, SECOND, 0, 0);
    for (size_t n = 100; n < 200; n++) { /* the words around the end of what is kept of a line */
        (void)snprintf(big, sizeof(big), "[    1.2] %*sKernel panic - not syncing: a\n", (int)n,
                       "");
        ear_init(&e);
        vr_panic_watch_feed(&e.watch, (const uint8_t *)big, strlen(big), SECOND);
        assert_true(e.panics <= 1 && e.watch.len == 0);
    }
    ear_init(&e);
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t b[64];
        for (unsigned k = 0; k < sizeof(b); k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            b[k] = (uint8_t)(seed >> 56);
        }
        vr_panic_watch_feed(&e.watch, b, seed >> 33 & 63, seed);
        assert_true(e.watch.len < sizeof(e.watch.line));
    }
    assert_int_equal(e.panics + e.deaths, 0);
    uint8_t nul[] = "[    1.2] Kernel pa\0nic - not syncing: a\n"; /* a console drops NULs */
    vr_panic_watch_feed(&e.watch, (const uint8_t *)"\n", 1, SECOND);
    vr_panic_watch_feed(&e.watch, nul, sizeof(nul) - 1, SECOND);
    assert_int_equal(e.panics, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_panic_is_heard),
        cmocka_unit_test(what_looks_like_one_is_not),
        cmocka_unit_test(long_and_odd_lines_do_no_harm),
    };
    return cmocka_run_group_tests_name("panic_watch", tests, NULL, NULL);
}

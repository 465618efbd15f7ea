/* Standard input and output: pipes, files and a terminal, put in place of this process's own. */
#include "chr_fake.h"

#include "base/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* This process's own descriptors, while a test has others there. */
struct own {
    int in, out;
};

static struct own swap_std(int in, int out)
{
    struct own own = {.in = fcntl(0, F_DUPFD_CLOEXEC, 10), .out = fcntl(1, F_DUPFD_CLOEXEC, 10)};
    assert_true(own.in >= 0 && own.out >= 0);
    fflush(stdout);
    assert_int_equal(dup2(in, 0), 0);
    assert_int_equal(dup2(out, 1), 1);
    return own;
}

static void restore_std(const struct own *own)
{
    dup2(own->in, 0);
    dup2(own->out, 1);
    close(own->in);
    close(own->out);
}

struct pipes {
    struct fake f;
    struct own own;
    int to[2], from[2]; /* [0] read, [1] write */
};

static int setup(void **state)
{
    struct pipes *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    assert_int_equal(pipe2(p->to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(p->from, O_CLOEXEC), 0);
    p->own = swap_std(p->to[0], p->from[1]);
    close(p->to[0]);
    close(p->from[1]);
    assert_int_equal(fcntl(p->to[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(p->from[0], F_SETFL, O_NONBLOCK), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pipes *p = *state;
    if (p->f.chr) {
        fake_stop(&p->f);
    }
    restore_std(&p->own);
    close(p->to[1]);
    close(p->from[0]);
    free(p);
    return 0;
}

/* 10 MB, 16 bytes at a time, as a UART takes them: nothing is lost, and little is kept in memory.
 */
static void long_pipe_is_not_lost_nor_hoarded(void **state)
{
    struct pipes *p = *state;
    struct fake *f = &p->f;
    enum { TOTAL = 10 * 1000 * 1000 };
    uint8_t *in = malloc(TOTAL);
    for (unsigned i = 0; i < TOTAL; i++) {
        in[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    in[100] = 1; /* Ctrl-A means nothing on a pipe */
    in[101] = 'x';
    f->take = 16;
    fake_start(f, "stdio", NULL);
    size_t sent = 0;
    uint64_t end_ns = vireo_monotonic_ns() + UINT64_C(60000000000);
    while (f->len < TOTAL) {
        if (sent < TOTAL) {
            ssize_t n = write(p->to[1], in + sent, TOTAL - sent);
            sent += n > 0 ? (size_t)n : 0;
        }
        /* What is under way is what the pipe holds, and one buffer of ours. */
        assert_true(sent - f->len <= 64 * 1024 + 8192);
        assert_false(f->eof);
        vr_chr_resume(f->chr);
        vr_loop_turn(f->loop, 0);
        assert_true(vireo_monotonic_ns() < end_ns);
    }
    close(p->to[1]);
    p->to[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
    TURN_UNTIL(f, f->eof);
    assert_int_equal(f->eof_at, TOTAL);
    assert_memory_equal(f->got, in, TOTAL);
    assert_string_equal(f->keys, "");
    free(in);
}

static void end_waits_for_the_device(void **state)
{
    struct pipes *p = *state;
    struct fake *f = &p->f;
    f->take = 1;
    assert_int_equal(write(p->to[1], "abc", 3), 3);
    close(p->to[1]);
    p->to[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
    fake_start(f, "stdio", NULL);
    TURN_UNTIL(f, f->len == 1);
    TURN_ALL(f);
    assert_false(f->eof);
    vr_chr_resume(f->chr);
    TURN_UNTIL(f, f->len == 2);
    vr_chr_resume(f->chr);
    TURN_UNTIL(f, f->eof);
    assert_int_equal(f->len, 3);
}

static void slow_reader_holds_back_and_loses_nothing(void **state)
{
    struct pipes *p = *state;
    struct fake *f = &p->f;
    fake_start(f, "stdio", NULL);
    size_t written = 0, got = 0;
    uint8_t buf[997];
    for (unsigned i = 0; i < 3000; i++) {
        for (unsigned k = 0; k < sizeof(buf); k++) {
            buf[k] = (uint8_t)((written + k) % 251);
        }
        written += vr_chr_write(f->chr, buf, sizeof(buf));
        if (i % 10 == 0) {
            vr_loop_turn(f->loop, 0);
        }
    }
    assert_true(written <= VR_CHR_OUT_MAX + 128 * 1024);
    assert_int_equal(f->writable, 0);
    /* A full pipe is not tried again and again: the loop sleeps. */
    TURN_ALL(f);
    uint64_t start_ns = vireo_monotonic_ns();
    vr_loop_turn(f->loop, 50);
    assert_true(vireo_monotonic_ns() - start_ns >= 40 * UINT64_C(1000000));
    while (got < written) {
        uint8_t back[5000];
        ssize_t n = read(p->from[0], back, sizeof(back));
        for (ssize_t i = 0; i < n; i++) {
            assert_int_equal(back[i], (got + (size_t)i) % 251);
        }
        got += n > 0 ? (size_t)n : 0;
        vr_loop_turn(f->loop, n > 0 ? 0 : 100);
    }
    assert_int_equal(f->writable, 1);
}

static void closing_waits_a_second_at_most(void **state)
{
    struct pipes *p = *state;
    struct fake *f = &p->f;
    uint8_t buf[1000] = {0};
    fake_start(f, "stdio", NULL);
    for (unsigned i = 0; i < 300; i++) {
        vr_chr_write(f->chr, buf, sizeof(buf));
    }
    uint64_t start_ns = vireo_monotonic_ns();
    fake_stop(f);
    uint64_t took_ns = vireo_monotonic_ns() - start_ns;
    assert_true(took_ns < UINT64_C(3000000000));
    assert_true(took_ns > UINT64_C(500000000));
}

/* SIGPIPE has its default disposition here: dying of it fails the test. */
static void reader_may_leave(void **state)
{
    struct pipes *p = *state;
    struct fake *f = &p->f;
    fake_start(f, "stdio", NULL);
    close(p->from[0]);
    p->from[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Our end of the pipe is 1 and the backend's own opening; nobody reads either. */
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t buf[1000] = {0};
        assert_int_equal(vr_chr_write(f->chr, buf, sizeof(buf)), sizeof(buf));
        vr_loop_turn(f->loop, 0);
    }
    sigset_t pending;
    assert_int_equal(sigpending(&pending), 0);
    assert_false(sigismember(&pending, SIGPIPE));
    assert_int_equal(write(p->to[1], "on", 2), 2); /* input still comes */
    TURN_UNTIL(f, f->len == 2);
}

static void flags_do_not_leak(void **state)
{
    struct pipes *p = *state;
    fake_start(&p->f, "stdio", NULL);
    fake_say(&p->f, "x");
    TURN_ALL(&p->f);
    assert_false(fcntl(0, F_GETFL) & O_NONBLOCK);
    assert_false(fcntl(1, F_GETFL) & O_NONBLOCK);
}

static void there_is_one_only(void **state)
{
    struct pipes *p = *state;
    struct vr_error err = {0};
    struct vr_chr *chr = NULL;
    const struct vr_chr_opts opts = {.spec = "stdio"};
    fake_start(&p->f, "stdio", NULL);
    assert_int_equal(vr_chr_open(&opts, p->f.loop, &chr, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "pty"));
    fake_stop(&p->f);
    fake_start(&p->f, "stdio", NULL); /* free again */
}

/* Standard input that has nothing, or is a file. */
static void input_may_be_anything(void **state)
{
    (void)state;
    static const char text[] = "uname -a\npoweroff -f\n";
    char path[] = "chr_stdin_XXXXXX";
    int file = mkstemp(path), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(write(file, text, sizeof(text) - 1), sizeof(text) - 1);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    unlink(path);
    int write_only = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const struct {
        int fd;
        const char *text;
    } inputs[] = {{null, ""}, {file, text}, {write_only, ""}};
    for (unsigned i = 0; i < VR_COUNT(inputs); i++) {
        struct own own = swap_std(inputs[i].fd, null);
        struct fake f = {0};
        fake_start(&f, "stdio", NULL);
        TURN_UNTIL(&f, f.eof);
        size_t len = f.len;
        char got[64] = "";
        if (len) {
            memcpy(got, f.got, len);
        }
        fake_stop(&f);
        restore_std(&own);
        assert_int_equal(len, strlen(inputs[i].text));
        assert_string_equal(got, inputs[i].text);
    }
    close(file);
    close(null);
    close(write_only);
}

struct term {
    struct fake f;
    struct own own;
    int master, slave;
    struct termios before;
};

static int term_setup(void **state)
{
    struct term *t = calloc(1, sizeof(*t));
    struct winsize size = {.ws_col = 90, .ws_row = 30};
    assert_int_equal(openpty(&t->master, &t->slave, NULL, NULL, &size), 0);
    assert_int_equal(fcntl(t->master, F_SETFL, O_RDWR | O_NONBLOCK), 0);
    assert_int_equal(tcgetattr(t->slave, &t->before), 0);
    t->own = swap_std(t->slave, t->slave);
    *state = t;
    return 0;
}

static int term_teardown(void **state)
{
    struct term *t = *state;
    if (t->f.chr) {
        fake_stop(&t->f);
    }
    restore_std(&t->own);
    if (t->master >= 0) {
        close(t->master);
    }
    close(t->slave);
    free(t);
    return 0;
}

static void type(struct term *t, const char *keys)
{
    assert_int_equal(write(t->master, keys, strlen(keys)), strlen(keys));
}

/* What the terminal shows, once it has @word. */
static void expect_shown(struct term *t, const char *word)
{
    char shown[4096] = "";
    size_t len = 0;
    uint64_t end_ns = vireo_monotonic_ns() + UINT64_C(10000000000);
    while (!strstr(shown, word)) {
        ssize_t n = read(t->master, shown + len, sizeof(shown) - 1 - len);
        len += n > 0 ? (size_t)n : 0;
        shown[len] = '\0';
        assert_true(vireo_monotonic_ns() < end_ns);
        vr_loop_turn(t->f.loop, n > 0 ? 0 : 20);
    }
}

static bool is_restored(const struct term *t)
{
    struct termios now;
    assert_int_equal(tcgetattr(t->slave, &now), 0);
    return now.c_iflag == t->before.c_iflag && now.c_oflag == t->before.c_oflag &&
           now.c_cflag == t->before.c_cflag && now.c_lflag == t->before.c_lflag &&
           memcmp(now.c_cc, t->before.c_cc, sizeof(now.c_cc)) == 0;
}

static void terminal_is_raw_and_restored(void **state)
{
    struct term *t = *state;
    fake_start(&t->f, "stdio", NULL);
    struct termios now;
    assert_int_equal(tcgetattr(t->slave, &now), 0);
    assert_false(now.c_lflag & (ICANON | ECHO | ISIG | IEXTEN));
    assert_false(now.c_iflag & (ICRNL | IXON));
    assert_false(fcntl(0, F_GETFL) & O_NONBLOCK);
    assert_false(fcntl(t->slave, F_GETFL) & O_NONBLOCK);
    type(t, "\x03\x1a\x13\r");
    TURN_UNTIL(&t->f, t->f.len == 4);
    assert_memory_equal(t->f.got, "\x03\x1a\x13\r", 4);
    fake_say(&t->f, "login: ");
    expect_shown(t, "login: ");
    fake_stop(&t->f);
    assert_true(is_restored(t));
}

static void signal_handler_may_restore(void **state)
{
    struct term *t = *state;
    fake_start(&t->f, "stdio", NULL);
    assert_false(is_restored(t));
    vr_chr_restore_tty(t->f.chr);
    assert_true(is_restored(t));
    vr_chr_restore_tty(t->f.chr);
    vr_chr_restore_tty(NULL);
}

static void escapes_are_understood(void **state)
{
    struct term *t = *state;
    fake_start(&t->f, "stdio", "xc");
    type(t, "a\x01\x01"
            "b\x01"
            "c\x01");
    TURN_UNTIL(&t->f, t->f.keys[0]);
    type(t, "x"); /* in another read than its Ctrl-A */
    TURN_UNTIL(&t->f, t->f.keys[1]);
    assert_string_equal(t->f.keys, "cx");
    type(t, "\x01h");
    expect_shown(t, "Ctrl-A Ctrl-A");
    type(t, "\x01z");
    expect_shown(t, "no such key");
    type(t, "\x01r"); /* one that others have and this one has not */
    expect_shown(t, "no such key");
    type(t, "!");
    TURN_UNTIL(&t->f, t->f.len == 4);
    assert_memory_equal(t->f.got,
                        "a\x01"
                        "b!",
                        4);
    assert_string_equal(t->f.keys, "cx");
}

static void escapes_can_be_off(void **state)
{
    struct term *t = *state;
    const struct vr_chr_opts opts = {
        .spec = "stdio", .no_escape = true, .on_escape = fake_escape, .opaque = &t->f};
    const struct vr_chr_user user = {.on_input = fake_input, .opaque = &t->f};
    t->f.take = SIZE_MAX;
    assert_int_equal(vr_loop_create(&t->f.loop, NULL), 0);
    assert_int_equal(vr_chr_open(&opts, t->f.loop, &t->f.chr, NULL), 0);
    vr_chr_attach(t->f.chr, &user);
    type(t, "\x01x\x01\x01");
    TURN_UNTIL(&t->f, t->f.len == 4);
    assert_memory_equal(t->f.got, "\x01x\x01\x01", 4);
}

/* A guest that reads nothing: what is typed is bounded, and Ctrl-A x still gets through. */
static void stuck_guest_can_be_quit(void **state)
{
    struct term *t = *state;
    fake_start(&t->f, "stdio", NULL);
    TURN_ALL(&t->f);
    t->f.take = 0;
    char keys[1024];
    memset(keys, 'k', sizeof(keys));
    uint64_t end_ns = vireo_monotonic_ns() + UINT64_C(60000000000);
    size_t typed = 0;
    while (typed < 100 * 1024) {
        ssize_t n = write(t->master, keys, sizeof(keys));
        typed += n > 0 ? (size_t)n : 0;
        assert_true(vireo_monotonic_ns() < end_ns);
        vr_loop_turn(t->f.loop, n > 0 ? 0 : 100);
    }
    while (write(t->master, "\x01x", 2) != 2) {
        vr_loop_turn(t->f.loop, 100);
        assert_true(vireo_monotonic_ns() < end_ns);
    }
    while (!t->f.keys[0]) {
        vr_loop_turn(t->f.loop, 100);
        assert_true(vireo_monotonic_ns() < end_ns);
    }
    assert_string_equal(t->f.keys, "x");
    /* It wakes up: what was kept arrives. */
    t->f.take = SIZE_MAX;
    vr_chr_resume(t->f.chr);
    TURN_UNTIL(&t->f, t->f.len >= 64 * 1024);
    TURN_ALL(&t->f);
    assert_true(t->f.len < 80 * 1024);
}

/* A guest that is merely slow gets every byte that is pasted. */
static void paste_is_not_lost(void **state)
{
    struct term *t = *state;
    enum { TOTAL = 300 * 1000 };
    t->f.take = 16;
    fake_start(&t->f, "stdio", NULL);
    size_t sent = 0;
    uint64_t end_ns = vireo_monotonic_ns() + UINT64_C(60000000000);
    while (t->f.len < TOTAL) {
        char keys[1000];
        size_t n = TOTAL - sent < sizeof(keys) ? TOTAL - sent : sizeof(keys);
        for (size_t i = 0; i < n; i++) {
            keys[i] = (char)('a' + (sent + i) % 23);
        }
        ssize_t took = n ? write(t->master, keys, n) : 0;
        sent += took > 0 ? (size_t)took : 0;
        vr_chr_resume(t->f.chr);
        vr_loop_turn(t->f.loop, 0);
        assert_true(vireo_monotonic_ns() < end_ns);
    }
    for (size_t i = 0; i < TOTAL; i++) {
        assert_int_equal(t->f.got[i], 'a' + i % 23);
    }
}

static void size_is_told(void **state)
{
    struct term *t = *state;
    fake_start(&t->f, "stdio", NULL);
    TURN_UNTIL(&t->f, t->f.resized == 1);
    assert_int_equal(t->f.cols, 90);
    assert_int_equal(t->f.rows, 30);
    struct winsize size = {.ws_col = 132, .ws_row = 43};
    assert_int_equal(ioctl(t->master, TIOCSWINSZ, &size), 0);
    raise(SIGWINCH); /* the host sends it to the terminal's foreground, which we are not */
    TURN_UNTIL(&t->f, t->f.resized == 2);
    assert_int_equal(t->f.cols, 132);
    assert_int_equal(t->f.rows, 43);
}

static void hanging_up_is_the_end(void **state)
{
    struct term *t = *state;
    fake_start(&t->f, "stdio", NULL);
    type(t, "bye");
    TURN_UNTIL(&t->f, t->f.len == 3);
    close(t->master);
    t->master = -1;
    TURN_UNTIL(&t->f, t->f.eof);
    fake_say(&t->f, "nobody hears this");
    TURN_ALL(&t->f);
}

/* Stopped and continued: a shell has put its own modes in place meanwhile. */
static void continuing_makes_it_raw_again(void **state)
{
    struct term *t = *state;
    fake_start(&t->f, "stdio", NULL);
    assert_int_equal(tcsetattr(t->slave, TCSANOW, &t->before), 0);
    raise(SIGCONT);
    TURN_UNTIL(&t->f, !is_restored(t));
    fake_stop(&t->f);
    assert_true(is_restored(t));
}

int main(void)
{
#define PIPE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define TERM_TEST(fn) cmocka_unit_test_setup_teardown(fn, term_setup, term_teardown)
    const struct CMUnitTest tests[] = {
        PIPE_TEST(long_pipe_is_not_lost_nor_hoarded),
        PIPE_TEST(end_waits_for_the_device),
        PIPE_TEST(slow_reader_holds_back_and_loses_nothing),
        PIPE_TEST(closing_waits_a_second_at_most),
        PIPE_TEST(reader_may_leave),
        PIPE_TEST(flags_do_not_leak),
        PIPE_TEST(there_is_one_only),
        cmocka_unit_test(input_may_be_anything),
        TERM_TEST(terminal_is_raw_and_restored),
        TERM_TEST(signal_handler_may_restore),
        TERM_TEST(escapes_are_understood),
        TERM_TEST(escapes_can_be_off),
        TERM_TEST(stuck_guest_can_be_quit),
        TERM_TEST(paste_is_not_lost),
        TERM_TEST(size_is_told),
        TERM_TEST(hanging_up_is_the_end),
        TERM_TEST(continuing_makes_it_raw_again),
    };
    return cmocka_run_group_tests_name("chr_stdio", tests, NULL, NULL);
}

/* Host ends of character devices but for standard input and output: queues, flow control, and hosts
 * that come, go, and do not read. */
#include "chr_fake.h"

#include "backend/chr/ring.h"
#include "base/bits.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

static void ring_is_a_queue(void **state)
{
    (void)state;
    struct vr_ring ring;
    uint8_t in[3000], out[3000];
    uint32_t seed = 7, put = 0, got = 0;
    vr_ring_init(&ring, 16384);
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        size_t n = (seed >> 8) % sizeof(in);
        if (seed >> 31) {
            for (size_t k = 0; k < n; k++) {
                in[k] = (uint8_t)((put + k) % 251);
            }
            size_t took = vr_ring_put(&ring, in, n);
            assert_true(took == n || ring.len == 16384);
            put += (uint32_t)took;
        } else {
            n = vr_ring_peek(&ring, out, n);
            for (size_t k = 0; k < n; k++) {
                assert_int_equal(out[k], (got + k) % 251);
            }
            vr_ring_drop(&ring, n);
            got += (uint32_t)n;
        }
        assert_int_equal(ring.len, put - got);
    }
    vr_ring_fini(&ring);
}

static void bad_specs_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *word;
        int code;
    } bad[] = {
        {"", "there are", -EINVAL},
        {"stdoi", "did you mean 'stdio'", -EINVAL},
        {"file", "path is needed", -EINVAL},
        {"unix:", "path is needed", -EINVAL},
        {"pty:3", "takes nothing", -EINVAL},
        {"file:/missing/directory/log", "cannot write", -ENOENT},
        {"unix:/missing/directory/sock", "cannot listen", -ENOENT},
        {"unix:/dev/null", "something else", -EEXIST},
    };
    struct vr_loop *loop;
    assert_int_equal(vr_loop_create(&loop, NULL), 0);
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        struct vr_error err = {0};
        struct vr_chr *chr = NULL;
        const struct vr_chr_opts opts = {.spec = bad[i].spec};
        assert_int_equal(vr_chr_open(&opts, loop, &chr, &err), bad[i].code);
        assert_null(chr);
        if (!strstr(err.msg, bad[i].word)) {
            fail_msg("'%s' is not in: %s", bad[i].word, err.msg);
        }
    }
    vr_loop_destroy(loop);
}

static void nobody_swallows_all(void **state)
{
    (void)state;
    struct fake f = {0};
    uint8_t buf[1000] = {0};
    assert_int_equal(vr_chr_write(NULL, buf, sizeof(buf)), sizeof(buf));
    vr_chr_resume(NULL);
    vr_chr_close(NULL);
    fake_start(&f, "null", NULL);
    for (unsigned i = 0; i < 5000; i++) {
        assert_int_equal(vr_chr_write(f.chr, buf, sizeof(buf)), sizeof(buf));
        vr_loop_turn(f.loop, 0);
    }
    assert_true(f.open);
    assert_string_equal(vr_chr_path(f.chr), "");
    fake_stop(&f);
}

struct sink {
    uint8_t buf[4096];
    size_t len;
};

static void sink_put(void *opaque, const uint8_t *buf, size_t len)
{
    struct sink *s = opaque;
    assert_true(s->len + len <= sizeof(s->buf));
    memcpy(s->buf + s->len, buf, len);
    s->len += len;
}

static void memory_goes_both_ways(void **state)
{
    (void)state;
    struct fake f = {.take = 16};
    struct sink s = {.len = 0};
    fake_start(&f, "mem", NULL);
    vr_chr_mem_on_output(f.chr, sink_put, &s);
    fake_say(&f, "hello");
    TURN_UNTIL(&f, s.len == 5);
    assert_memory_equal(s.buf, "hello", 5);
    /* The device takes 16 bytes and then waits; nothing more comes before it resumes. */
    uint8_t in[100];
    for (unsigned i = 0; i < sizeof(in); i++) {
        in[i] = (uint8_t)i;
    }
    assert_int_equal(vr_chr_mem_feed(f.chr, in, sizeof(in)), sizeof(in));
    TURN_UNTIL(&f, f.len == 16);
    TURN_ALL(&f);
    assert_int_equal(f.len, 16);
    while (f.len < sizeof(in)) {
        size_t before = f.len;
        vr_chr_resume(f.chr);
        TURN_UNTIL(&f, f.len > before);
        assert_true(f.len <= before + 16);
    }
    assert_memory_equal(f.got, in, sizeof(in));
    fake_stop(&f);
}

/* THREATS 17: neither side can fill the host's memory. */
static void memory_is_bounded(void **state)
{
    (void)state;
    struct fake f = {.take = 1};
    uint8_t buf[1000] = {0};
    size_t fed = 0;
    fake_start(&f, "mem", NULL);
    vr_loop_turn(f.loop, 0);
    f.take = 0;
    for (unsigned i = 0; i < 5000; i++) {
        fed += vr_chr_mem_feed(f.chr, buf, sizeof(buf));
        vr_loop_turn(f.loop, 0);
    }
    assert_true(fed <= 128 * 1024);
    size_t written = 0; /* the loop does not turn */
    for (unsigned i = 0; i < 5000; i++) {
        written += vr_chr_write(f.chr, buf, sizeof(buf));
    }
    assert_int_equal(written, VR_CHR_OUT_MAX);
    assert_int_equal(f.writable, 0);
    TURN_UNTIL(&f, f.writable == 1);
    fake_stop(&f);
}

static void file_gets_the_output(void **state)
{
    (void)state;
    char path[] = "chr_file_XXXXXX", spec[64], got[64] = "";
    close(mkstemp(path));
    snprintf(spec, sizeof(spec), "file:%s", path);
    struct fake f = {0};
    fake_start(&f, spec, NULL);
    assert_string_equal(vr_chr_path(f.chr), path);
    fake_say(&f, "first ");
    TURN_ALL(&f);
    fake_say(&f, "last"); /* closing flushes */
    fake_stop(&f);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, got, sizeof(got)), 10);
    assert_string_equal(got, "first last");
    close(fd);
    unlink(path);
}

static void full_file_system_is_no_end(void **state)
{
    (void)state;
    struct fake f = {0};
    uint8_t buf[4096] = {0};
    fake_start(&f, "file:/dev/full", NULL);
    TURN_UNTIL(&f, f.open);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(vr_chr_write(f.chr, buf, sizeof(buf)), sizeof(buf));
        vr_loop_turn(f.loop, 0);
    }
    assert_false(f.open);
    fake_stop(&f);
}

static ssize_t read_all(struct fake *f, int fd, void *buf, size_t len)
{
    size_t done = 0;
    uint64_t end_ns = vireo_monotonic_ns() + UINT64_C(10000000000);
    while (done < len) {
        ssize_t n = read(fd, (char *)buf + done, len - done);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            break;
        }
        done += n > 0 ? (size_t)n : 0;
        assert_true(vireo_monotonic_ns() < end_ns);
        vr_loop_turn(f->loop, 0);
    }
    return (ssize_t)done;
}

static void pty_comes_and_goes(void **state)
{
    (void)state;
    struct fake f = {0};
    char buf[32];
    fake_start(&f, "pty", NULL);
    assert_memory_equal(vr_chr_path(f.chr), "/dev/", 5);
    TURN_ALL(&f);
    assert_false(f.open);
    fake_say(&f, "nobody hears this");
    TURN_ALL(&f);
    for (unsigned round = 1; round <= 3; round++) {
        int fd = open(vr_chr_path(f.chr), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        assert_true(fd >= 0);
        TURN_UNTIL(&f, f.open);
        assert_int_equal(f.opened, round);
        struct termios t;
        assert_int_equal(tcgetattr(fd, &t), 0);
        assert_false(t.c_lflag & (ECHO | ICANON | ISIG));
        fake_say(&f, "a\r\nb");
        assert_int_equal(read_all(&f, fd, buf, 4), 4);
        assert_memory_equal(buf, "a\r\nb", 4);
        assert_int_equal(write(fd, "\x03key", 4), 4);
        TURN_UNTIL(&f, f.len == 4 * round);
        assert_memory_equal(f.got + f.len - 4, "\x03key", 4);
        close(fd);
        TURN_UNTIL(&f, !f.open);
        assert_int_equal(f.closed, round);
        fake_say(&f, "nor this");
        TURN_ALL(&f);
    }
    fake_stop(&f);
}

/* What was typed before hanging up still arrives. */
static void pty_last_words_arrive(void **state)
{
    (void)state;
    struct fake f = {0};
    fake_start(&f, "pty", NULL);
    TURN_ALL(&f);
    int fd = open(vr_chr_path(f.chr), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(write(fd, "bye", 3), 3);
    close(fd); /* before the loop has turned once */
    TURN_UNTIL(&f, f.len == 3);
    assert_memory_equal(f.got, "bye", 3);
    TURN_UNTIL(&f, !f.open);
    fake_stop(&f);
}

/* A terminal that does not read holds the output back, to the bound and no further. */
static void pty_that_does_not_read_holds_back(void **state)
{
    (void)state;
    struct fake f = {0};
    uint8_t buf[1000];
    size_t written = 0, read_back = 0;
    memset(buf, 'x', sizeof(buf));
    fake_start(&f, "pty", NULL);
    int fd = open(vr_chr_path(f.chr), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    TURN_UNTIL(&f, f.open);
    for (unsigned i = 0; i < 5000; i++) {
        written += vr_chr_write(f.chr, buf, sizeof(buf));
        vr_loop_turn(f.loop, 0);
    }
    assert_true(written < 2 * VR_CHR_OUT_MAX);
    assert_int_equal(f.writable, 0);
    while (read_back < written) {
        uint8_t back[4096];
        size_t want = written - read_back < sizeof(back) ? written - read_back : sizeof(back);
        assert_int_equal(read_all(&f, fd, back, want), want);
        read_back += want;
    }
    assert_int_equal(f.writable, 1);
    close(fd);
    TURN_UNTIL(&f, !f.open);
    fake_stop(&f);
}

static int connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void socket_serves_one_at_a_time(void **state)
{
    (void)state;
    struct fake f = {0};
    char buf[128];
    fake_start(&f, "unix:chr_test.sock", NULL);
    struct stat st;
    assert_int_equal(stat("chr_test.sock", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    int a = connect_to("chr_test.sock");
    TURN_UNTIL(&f, f.open);
    int b = connect_to("chr_test.sock");
    ssize_t n = read_all(&f, b, buf, sizeof(buf)); /* until it is hung up on */
    assert_true(n > 0 && n < (ssize_t)sizeof(buf));
    assert_non_null(memmem(buf, (size_t)n, "somebody else", 13));
    close(b);
    assert_int_equal(write(a, "in", 2), 2);
    fake_say(&f, "out");
    assert_int_equal(read_all(&f, a, buf, 3), 3);
    assert_memory_equal(buf, "out", 3);
    TURN_UNTIL(&f, f.len == 2);
    close(a);
    TURN_UNTIL(&f, !f.open);
    fake_say(&f, "nobody hears this");
    TURN_ALL(&f);
    a = connect_to("chr_test.sock");
    TURN_UNTIL(&f, f.open);
    assert_int_equal(read(a, buf, 1), -1);
    close(a);
    fake_stop(&f);
    assert_int_equal(stat("chr_test.sock", &st), -1);
}

/* THREATS 16: a thousand clients that connect and vanish, some with half a word. */
static void socket_survives_a_thousand_clients(void **state)
{
    (void)state;
    struct fake f = {0};
    fake_start(&f, "unix:chr_test.sock", NULL);
    for (unsigned i = 0; i < 1000; i++) {
        int fd = connect_to("chr_test.sock");
        if (fd >= 0) {
            if (i % 3 == 0) {
                assert_int_equal(write(fd, "x", 1), 1);
            }
            fake_say(&f, "hello?");
            if (i % 2) {
                vr_loop_turn(f.loop, 0);
            }
            close(fd);
        }
        if (i % 16 == 0) {
            vr_loop_turn(f.loop, 0);
        }
    }
    TURN_ALL(&f);
    char buf[8];
    int fd = connect_to("chr_test.sock");
    assert_true(fd >= 0);
    TURN_UNTIL(&f, f.open);
    TURN_ALL(&f);
    fake_say(&f, "still");
    assert_int_equal(read_all(&f, fd, buf, 5), 5);
    assert_memory_equal(buf, "still", 5);
    close(fd);
    fake_stop(&f);
}

/* A device that takes nothing: the client is held back by the host, and leaving is noticed. */
static void socket_client_is_held_back(void **state)
{
    (void)state;
    struct fake f = {.take = 1};
    uint8_t buf[1000] = {0};
    size_t sent = 0;
    fake_start(&f, "unix:chr_test.sock", NULL);
    int fd = connect_to("chr_test.sock"), other;
    TURN_UNTIL(&f, f.open);
    for (unsigned i = 0; i < 5000; i++) {
        ssize_t n = write(fd, buf, sizeof(buf));
        sent += n > 0 ? (size_t)n : 0;
        vr_loop_turn(f.loop, 0);
    }
    assert_true(sent < 2 << 20);
    assert_int_equal(f.len, 1);
    f.take = SIZE_MAX;
    vr_chr_resume(f.chr);
    TURN_UNTIL(&f, f.len == sent);
    /* Stuck again; the client leaves and another gets its place. */
    f.take = 0;
    assert_int_equal(write(fd, "abc", 3), 3);
    TURN_ALL(&f);
    close(fd);
    other = connect_to("chr_test.sock");
    TURN_UNTIL(&f, f.opened == 2);
    assert_true(f.open);
    close(other);
    fake_stop(&f);
}

static void socket_path_is_minded(void **state)
{
    (void)state;
    struct fake f = {0};
    struct vr_error err = {0};
    struct vr_chr *chr = NULL;
    fake_start(&f, "unix:chr_test.sock", NULL);
    const struct vr_chr_opts same = {.spec = "unix:chr_test.sock"};
    assert_int_equal(vr_chr_open(&same, f.loop, &chr, &err), -EADDRINUSE);
    assert_non_null(strstr(err.msg, "another process listens"));
    char spec[200] = "unix:";
    memset(spec + 5, 'x', sizeof(spec) - 6);
    const struct vr_chr_opts far = {.spec = spec};
    assert_int_equal(vr_chr_open(&far, f.loop, &chr, &err), -ENAMETOOLONG);
    /* Somebody puts their own file there: it is not ours to remove. */
    assert_int_equal(unlink("chr_test.sock"), 0);
    int fd = open("chr_test.sock", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    fake_stop(&f);
    assert_int_equal(access("chr_test.sock", F_OK), 0);
    assert_int_equal(unlink("chr_test.sock"), 0);
    /* A node that a dead process left is replaced. */
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "chr_test.sock"};
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    close(fd);
    fake_start(&f, "unix:chr_test.sock", NULL);
    fd = connect_to("chr_test.sock");
    assert_true(fd >= 0);
    close(fd);
    fake_stop(&f);
}

struct writer {
    struct vr_chr *chr;
    char what;
};

static void write_slowly(void *arg)
{
    struct writer *w = arg;
    for (unsigned i = 0; i < 100000;) {
        i += (unsigned)vr_chr_write(w->chr, (const uint8_t *)&w->what, 1);
    }
}

/* Bytes of two vCPUs, none lost, through a socket that a third reads. */
static void threads_may_write(void **state)
{
    (void)state;
    struct fake f = {0};
    fake_start(&f, "unix:chr_test.sock", NULL);
    int fd = connect_to("chr_test.sock");
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    TURN_UNTIL(&f, f.open);
    assert_int_equal(vr_loop_start(f.loop, NULL), 0);
    struct writer w[2] = {{f.chr, 'a'}, {f.chr, 'b'}};
    struct vireo_thread *threads[2];
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(vireo_thread_create("writer", write_slowly, &w[i], &threads[i], NULL), 0);
    }
    unsigned count[256] = {0};
    for (size_t total = 0; total < 200000;) {
        uint8_t buf[4096];
        ssize_t n = read(fd, buf, sizeof(buf));
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++) {
            count[buf[i]]++;
        }
        total += (size_t)n;
    }
    assert_int_equal(count['a'], 100000);
    assert_int_equal(count['b'], 100000);
    for (unsigned i = 0; i < 2; i++) {
        vireo_thread_join(threads[i]);
    }
    close(fd);
    fake_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_is_a_queue),
        cmocka_unit_test(bad_specs_are_refused),
        cmocka_unit_test(nobody_swallows_all),
        cmocka_unit_test(memory_goes_both_ways),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(file_gets_the_output),
        cmocka_unit_test(full_file_system_is_no_end),
        cmocka_unit_test(pty_comes_and_goes),
        cmocka_unit_test(pty_last_words_arrive),
        cmocka_unit_test(pty_that_does_not_read_holds_back),
        cmocka_unit_test(socket_serves_one_at_a_time),
        cmocka_unit_test(socket_survives_a_thousand_clients),
        cmocka_unit_test(socket_client_is_held_back),
        cmocka_unit_test(socket_path_is_minded),
        cmocka_unit_test(threads_may_write),
    };
    return cmocka_run_group_tests_name("chr", tests, NULL, NULL);
}

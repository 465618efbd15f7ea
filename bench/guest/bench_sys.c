/* The guest kernel's paths: system calls, processes, faults, signals, fresh code. */
#include "bench.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t BENCH_NOINLINE b_getpid(uint64_t n)
{
    uint64_t s = 0;
    while (n--) {
        s += (uint64_t)syscall(SYS_getppid);
    }
    return s;
}
static uint64_t BENCH_NOINLINE b_clock(uint64_t n)
{
    struct timespec t;
    uint64_t s = 0;
    while (n--) {
        clock_gettime(CLOCK_MONOTONIC, &t);
        s += (uint64_t)t.tv_nsec;
    }
    return s;
}
static uint64_t BENCH_NOINLINE b_fork(uint64_t n)
{
    while (n--) {
        pid_t p = fork();
        if (p == 0) {
            _exit(0);
        }
        int st;
        waitpid(p, &st, 0);
    }
    return 0;
}
static uint64_t BENCH_NOINLINE b_forkexec(uint64_t n)
{
    while (n--) {
        pid_t p = fork();
        if (p == 0) {
            execl("/proc/self/exe", "bench", "--nop", (char *)NULL);
            _exit(1);
        }
        int st;
        waitpid(p, &st, 0);
    }
    return 0;
}
static uint64_t BENCH_NOINLINE b_pipe(uint64_t n) /* op = one round trip between two processes */
{
    int a[2], b[2];
    char c = 0;
    if (pipe(a) || pipe(b)) {
        return 0;
    }
    pid_t p = fork();
    if (p == 0) {
        close(a[1]);
        close(b[0]);
        while (read(a[0], &c, 1) == 1) {
            if (write(b[1], &c, 1) != 1) {
                break;
            }
        }
        _exit(0);
    }
    close(a[0]);
    close(b[1]);
    while (n--) {
        if (write(a[1], &c, 1) != 1 || read(b[0], &c, 1) != 1) {
            break;
        }
    }
    close(a[1]);
    close(b[0]);
    int st;
    waitpid(p, &st, 0);
    return (uint64_t)c;
}
static uint64_t BENCH_NOINLINE b_fault(uint64_t n) /* op = one anonymous page fault */
{
    const size_t SZ = 8 << 20;
    for (uint64_t k = 0; k < n; k += SZ / 4096) {
        uint8_t *p = mmap(NULL, SZ, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(p, SZ, MADV_NOHUGEPAGE);
        for (size_t i = 0; i < SZ; i += 4096) {
            p[i] = 1;
        }
        munmap(p, SZ);
    }
    return 0;
}
static uint64_t BENCH_NOINLINE b_mmap(uint64_t n) /* map, touch one page, unmap */
{
    while (n--) {
        uint8_t *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        p[4096] = 1;
        munmap(p, 65536);
    }
    return 0;
}
static uint64_t BENCH_NOINLINE b_mprotect(uint64_t n) /* flip a page's permission and touch it */
{
    static uint8_t *p;
    if (!p) {
        p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    uint64_t s = 0;
    while (n--) {
        mprotect(p, 4096, PROT_READ);
        s += p[0];
        mprotect(p, 4096, PROT_READ | PROT_WRITE);
        p[0] = (uint8_t)n;
    }
    return s;
}
static volatile uint64_t sigs;
static void on_sig(int s)
{
    (void)s;
    sigs++;
}
static uint64_t BENCH_NOINLINE b_signal(uint64_t n)
{
    signal(SIGUSR1, on_sig);
    pid_t me = getpid();
    while (n--) {
        kill(me, SIGUSR1);
    }
    return sigs;
}
static uint64_t BENCH_NOINLINE b_yield(uint64_t n)
{
    while (n--) {
        sched_yield();
    }
    return 0;
}
static uint64_t BENCH_NOINLINE
b_readzero(uint64_t n) /* op = one read of 64 KiB: kernel copy loops */
{
    static char buf[65536];
    int fd = open("/dev/zero", O_RDONLY);
    uint64_t s = 0;
    while (n--) {
        s += (uint64_t)read(fd, buf, sizeof buf);
    }
    close(fd);
    return s;
}
/* freshly written code, run once: what a JIT in the guest costs; op = one write + sync + call */
static uint64_t BENCH_NOINLINE b_newcode(uint64_t n)
{
    static uint8_t *p;
    if (!p) {
        p = mmap(NULL, 65536, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0);
    }
    uint64_t s = 0;
    for (uint64_t k = 0; k < n; k++) {
        uint8_t *q = p + (k & 255) * 256;
#if defined(__riscv)
        uint32_t *w = (uint32_t *)q;
        for (int i = 0; i < 8; i++) {
            w[i] = 0x00150513u | ((uint32_t)(k + (unsigned)i) & 63) << 20;
        }
        w[8] = 0x00008067u;
#elif defined(__x86_64__)
        int o = 0;
        q[o++] = 0x48;
        q[o++] = 0x89;
        q[o++] = 0xf8;
        for (int i = 0; i < 8; i++) {
            q[o++] = 0x48;
            q[o++] = 0x83;
            q[o++] = 0xc0;
            q[o++] = (uint8_t)((k + (unsigned)i) & 63);
        }
        q[o++] = 0xc3;
#elif defined(__aarch64__)
        uint32_t *w = (uint32_t *)q;
        for (int i = 0; i < 8; i++) {
            w[i] = 0x91000400u | ((uint32_t)(k + (unsigned)i) & 63) << 10;
        }
        w[8] = 0xd65f03c0u;
#endif
        __builtin___clear_cache((char *)q, (char *)q + 64);
        s += ((uint64_t(*)(uint64_t))(void *)q)(k);
    }
    return s;
}

const struct bench bench_sys[] = {
    {"getpid", "sys", b_getpid, 1000},
    {"clock", "sys", b_clock, 5000},
    {"fork", "sys", b_fork, 5},
    {"forkexec", "sys", b_forkexec, 2},
    {"pipe", "sys", b_pipe, 100},
    {"fault", "sys", b_fault, 2048},
    {"mmap", "sys", b_mmap, 50},
    {"mprotect", "sys", b_mprotect, 100},
    {"signal", "sys", b_signal, 200},
    {"yield", "sys", b_yield, 1000},
    {"readzero", "sys", b_readzero, 20},
    {"newcode", "sys", b_newcode, 50},
    {NULL, NULL, NULL, 0},
};

/*
 * Signals and memory: faults with their addresses, registers that survive handlers, alternate
 * stacks, copies on write, shared and private mappings. Says "ok" for each part; anything else is a
 * failure.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096 };

static sigjmp_buf back;
static volatile sig_atomic_t caught, code;
static void *volatile address;
static volatile double noise;

static void check(int good, const char *what)
{
    if (!good) {
        printf("%s is wrong (signal %d, code %d, address %p)\n", what, (int)caught, (int)code,
               address);
        exit(1);
    }
}

static void fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    caught = sig;
    code = info->si_code;
    address = info->si_addr;
    siglongjmp(back, 1);
}

static void catch (int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
    struct sigaction act = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};
    check(sigaction(sig, &act, NULL) == 0, "sigaction");
}

#define FAULTS(statement, sig, si, where, what)                                     \
    do {                                                                            \
        caught = 0;                                                                 \
        if (!sigsetjmp(back, 1)) {                                                  \
            statement;                                                              \
        }                                                                           \
        check(caught == (sig) && code == (si) && address == (void *)(where), what); \
    } while (0)

static void faults(void)
{
    catch (SIGSEGV, fault, 0);
    catch (SIGBUS, fault, 0);
    catch (SIGILL, fault, 0);
    catch (SIGTRAP, fault, 0);
    volatile char *p =
        mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect((void *)(p + PAGE), PAGE, PROT_READ);
    mprotect((void *)(p + 2 * PAGE), PAGE, PROT_NONE);
    FAULTS(p[PAGE + 7] = 1, SIGSEGV, SEGV_ACCERR, p + PAGE + 7, "a store to a read-only page");
    FAULTS((void)p[2 * PAGE + 9], SIGSEGV, SEGV_ACCERR, p + 2 * PAGE + 9,
           "a load from a page without access");
    FAULTS(((void (*)(void))(uintptr_t)p)(), SIGSEGV, SEGV_ACCERR, p,
           "a jump to a page that is not code");
    FAULTS((void)*(volatile int *)(uintptr_t)16, SIGSEGV, SEGV_MAPERR, 16, "a load from nowhere");
    FAULTS((void)*(volatile int *)(uintptr_t)0xffffffc000001000, SIGSEGV, SEGV_MAPERR,
           0xffffffc000001000, "a load from the kernel");
    /* A wide store over the boundary faults at the page that it may not touch, and leaves the first
     * as it was. */
    p[PAGE - 1] = p[PAGE - 2] = p[PAGE - 3] = p[PAGE - 4] = 'x';
    caught = 0;
    if (!sigsetjmp(back, 1)) {
        uint64_t v = ~UINT64_C(0);
        __asm__ volatile("sd %0, 0(%1)" ::"r"(v), "r"(p + PAGE - 4) : "memory");
    }
    check(caught == SIGSEGV && (char *)address >= (char *)p + PAGE - 4 &&
              (char *)address <= (char *)p + PAGE,
          "a store over a boundary");
    check(p[PAGE - 5] == 0 && p[PAGE] == 0, "memory around a store that faulted");
    caught = 0;
    if (!sigsetjmp(back, 1)) {
        __asm__ volatile(".4byte 0");
    }
    check(caught == SIGILL && code == ILL_ILLOPC, "an unknown instruction");
    caught = 0;
    if (!sigsetjmp(back, 1)) {
        __asm__ volatile("csrr t0, sstatus" ::: "t0");
    }
    check(caught == SIGILL, "a register of the kernel");
    caught = 0;
    if (!sigsetjmp(back, 1)) {
        __asm__ volatile("ebreak");
    }
    check(caught == SIGTRAP && code == TRAP_BRKPT, "a break point");
    FILE *file = tmpfile();
    check(file && ftruncate(fileno(file), 100) == 0, "tmpfile");
    volatile char *m = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fileno(file), 0);
    check(m[50] == 0, "a mapped file");
    FAULTS((void)m[PAGE + 1], SIGBUS, BUS_ADRERR, m + PAGE + 1, "a load beyond a mapped file");
    puts("faults ok");
}

static void disturb(int sig, siginfo_t *info, void *context)
{
    (void)info, (void)context;
    caught = sig;
    code++;
    double x = code;
    for (int i = 0; i < 30; i++) { /* through all the registers that it likes */
        x = x * 1.0001 + sqrt(x) / 3 - fabs(x - 2);
    }
    noise = x;
}

static double orbit(long rounds)
{
    double x = 0.3, y = 0.1, z = 0.7;
    uint64_t a = 1, b = 2, c = 3;
    for (long i = 0; i < rounds; i++) {
        x = 3.9 * x * (1.0 - x);
        y = 0.5 * y + 0.5 * sqrt(x);
        z = z * 0.99 + x / 7 - y / 9;
        a = a * 6364136223846793005u + b;
        b ^= c >> 7;
        c += a << 3;
    }
    return x + y + z + (double)(a ^ b ^ c);
}

static void timers(void)
{
    double quiet = orbit(600000);
    catch (SIGALRM, disturb, SA_RESTART);
    code = 0;
    struct itimerval timer = {{0, 1000}, {0, 1000}}, off = {0};
    setitimer(ITIMER_REAL, &timer, NULL);
    for (int i = 0; i < 100 && code < 20; i++) {
        check(orbit(600000) == quiet, "a computation between signals");
    }
    setitimer(ITIMER_REAL, &off, NULL);
    check(code >= 20, "the number of timer signals");
    puts("timers ok");
}

static char alternate[65536];
static volatile int deep_seen;

static void overflow(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)info, (void)context;
    char here;
    deep_seen = &here >= alternate && &here < alternate + sizeof(alternate);
    siglongjmp(back, 1);
}

__attribute__((noinline)) static int deep(int n)
{
    volatile char room[8192];
    room[0] = (char)n;
    return n ? deep(n + 1) + room[0] : 0;
}

static void skip_insn(int sig, siginfo_t *info, void *context)
{
    (void)info;
    caught = sig;
    ((ucontext_t *)context)->uc_mcontext.__gregs[REG_PC] += 4;
    ((ucontext_t *)context)->uc_mcontext.__gregs[REG_A0] = 42;
}

static void stacks(void)
{
    stack_t st = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    check(sigaltstack(&st, NULL) == 0, "sigaltstack");
    catch (SIGSEGV, overflow, SA_ONSTACK);
    if (!sigsetjmp(back, 1)) {
        deep(1);
    }
    check(deep_seen, "a handler on the alternate stack");
    catch (SIGILL, skip_insn, 0);
    register long a0 __asm__("a0") = 0;
    __asm__ volatile(".option push\n.option norvc\n.4byte 0\n.option pop" : "+r"(a0)::"memory");
    check(a0 == 42 && caught == SIGILL, "a handler that changes registers");
    puts("stacks ok");
}

static void processes(void)
{
    int status, pipes[2];
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    kill(pid, SIGSTOP);
    check(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status), "SIGSTOP");
    kill(pid, SIGCONT);
    check(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status), "SIGCONT");
    kill(pid, SIGKILL);
    check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
          "SIGKILL");
    signal(SIGPIPE, SIG_IGN);
    check(pipe(pipes) == 0, "pipe");
    close(pipes[0]);
    check(write(pipes[1], "x", 1) == -1 && errno == EPIPE, "a write to a broken pipe");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGUSR1);
    siginfo_t info;
    struct timespec none = {0};
    check(sigtimedwait(&set, &info, &none) == SIGUSR1 && info.si_pid == getpid(),
          "a blocked signal");
    puts("processes ok");
}

static void mappings(void)
{
    enum { PAGES = 512 };
    uint64_t *shared =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t *own =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint64_t i = 0; i < PAGES; i++) {
        own[i * PAGE / 8] = shared[i * PAGE / 8] = i;
    }
    pid_t pid = fork();
    if (pid == 0) {
        for (uint64_t i = 0; i < PAGES; i++) {
            if (own[i * PAGE / 8] != i) {
                _exit(1);
            }
            own[i * PAGE / 8] += 1000;
            shared[i * PAGE / 8] += 1000;
        }
        _exit(own[7 * PAGE / 8] == 1007 ? 0 : 2);
    }
    int status;
    check(waitpid(pid, &status, 0) == pid && status == 0, "a child's memory");
    for (uint64_t i = 0; i < PAGES; i++) {
        check(own[i * PAGE / 8] == i && shared[i * PAGE / 8] == i + 1000, "memory after a fork");
    }
    uint64_t *moved = mremap(own, PAGES * PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE);
    check(moved != MAP_FAILED && moved[100 * PAGE / 8] == 100 && moved[PAGES * PAGE / 8] == 0,
          "mremap");
    madvise(moved, PAGES * PAGE, MADV_DONTNEED);
    check(moved[100 * PAGE / 8] == 0, "MADV_DONTNEED");
    char name[] = "/root/mapXXXXXX";
    int fd = mkstemp(name);
    check(fd >= 0 && ftruncate(fd, 64 * PAGE) == 0, "mkstemp");
    char *file = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(file != MAP_FAILED, "a mapping of a file");
    for (int i = 0; i < 64; i++) {
        memset(file + i * PAGE, i, PAGE);
    }
    check(msync(file, 64 * PAGE, MS_SYNC) == 0, "msync");
    for (int i = 0; i < 64; i++) {
        char byte;
        check(pread(fd, &byte, 1, i * PAGE + 5) == 1 && byte == i, "a file written through memory");
    }
    unlink(name);
    puts("mappings ok");
}

int main(void)
{
    faults();
    timers();
    stacks();
    processes();
    mappings();
    return 0;
}

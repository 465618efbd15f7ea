/*
 * The independent side: a static riscv64 Linux program, run under qemu-user (or on real hardware).
 * Reads a batch (batch.h) from stdin, runs each case natively, writes the results to stdout.
 *
 * No assembly: every case starts by returning from a SIGTRAP handler with a rewritten ucontext,
 * which sets all registers, fcsr and pc at once, and ends in the next signal, whose ucontext is the
 * result. So no register is reserved for the runner. The runner's own state is the ucontext of the
 * first trap.
 */
#include "batch.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

static struct batch_case cur;
static uint8_t cur_code[BATCH_CODE_MAX];
static struct batch_result res;
static ucontext_t home;
static int running;

static void put_all(const void *p, size_t n)
{
    const char *c = p;

    while (n) {
        ssize_t k = write(1, c, n);

        if (k <= 0) {
            _exit(3);
        }
        c += k;
        n -= (size_t)k;
    }
}

static int get_all(void *p, size_t n)
{
    static char buf[65536];
    static size_t have, at;
    char *c = p;

    while (n) {
        if (at == have) {
            ssize_t k = read(0, buf, sizeof(buf));

            if (k <= 0) {
                return 0;
            }
            have = (size_t)k;
            at = 0;
        }
        size_t k = have - at < n ? have - at : n;

        memcpy(c, buf + at, k);
        c += k;
        at += k;
        n -= k;
    }
    return 1;
}

static void enter(ucontext_t *uc)
{
    home = *uc;
    uc->uc_mcontext.__gregs[0] = cur.pc;
    for (int i = 1; i < 32; i++) {
        uc->uc_mcontext.__gregs[i] = cur.x[i];
    }
    memcpy(uc->uc_mcontext.__fpregs.__d.__f, cur.f, sizeof(cur.f));
    uc->uc_mcontext.__fpregs.__d.__fcsr = cur.fcsr;
    running = 1;
}

static void leave(ucontext_t *uc, uint32_t cause)
{
    res.pc = uc->uc_mcontext.__gregs[0];
    res.x[0] = 0;
    for (int i = 1; i < 32; i++) {
        res.x[i] = uc->uc_mcontext.__gregs[i];
    }
    memcpy(res.f, uc->uc_mcontext.__fpregs.__d.__f, sizeof(res.f));
    res.fcsr = uc->uc_mcontext.__fpregs.__d.__fcsr;
    if (cause == CAUSE_BREAK && res.pc == cur.pc + cur.end_off) {
        cause = CAUSE_END;
    }
    res.cause = cause;
    /* Go on after the ebreak that started the case (a 4-byte one: see main). */
    sigset_t keep = uc->uc_sigmask;

    memcpy(&uc->uc_mcontext, &home.uc_mcontext, sizeof(uc->uc_mcontext));
    uc->uc_sigmask = keep;
    uc->uc_mcontext.__gregs[0] += 4;
    running = 0;
}

static void on_signal(int sig, siginfo_t *si, void *ctx)
{
    ucontext_t *uc = ctx;
    uint32_t cause = CAUSE_OTHER;

    if (!running) {
        if (sig == SIGTRAP) {
            enter(uc);
            return;
        }
        if (sig == SIGALRM) {
            return;
        }
        _exit(4); /* the runner itself is broken */
    }
    switch (sig) {
    case SIGTRAP:
        cause = CAUSE_BREAK;
        break;
    case SIGILL:
        cause = CAUSE_ILLEGAL;
        break;
    case SIGSEGV:
        cause = CAUSE_ACCESS;
        break;
    case SIGBUS:
        cause = si->si_code == BUS_ADRALN ? CAUSE_ALIGN : CAUSE_ACCESS;
        break;
    case SIGALRM:
        cause = CAUSE_TIMEOUT;
        break;
    }
    leave(uc, cause);
}

static void *fixed(uint64_t at, uint64_t len, int prot)
{
    void *p = mmap((void *)at, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    if (p != (void *)at) {
        _exit(5);
    }
    return p;
}

int main(void)
{
    static uint8_t altstack[65536] __attribute__((aligned(16)));
    stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static const int sigs[] = {SIGTRAP, SIGILL, SIGSEGV, SIGBUS, SIGALRM, SIGFPE};
    struct batch_head head;
    uint8_t *code, *scratch;

    sigfillset(&sa.sa_mask);
    if (sigaltstack(&ss, NULL)) {
        _exit(6);
    }
    for (unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
        sigaction(sigs[i], &sa, NULL);
    }
    code = fixed(BATCH_CODE, BATCH_CODE_LEN, PROT_READ | PROT_WRITE | PROT_EXEC);
    scratch = fixed(BATCH_SCRATCH, BATCH_SCRATCH_LEN, PROT_READ | PROT_WRITE);
    if (!get_all(&head, sizeof(head)) || head.magic != BATCH_MAGIC) {
        _exit(7);
    }
    struct batch_head out = {RESULT_MAGIC, head.count, head.features};

    put_all(&out, sizeof(out));
    for (uint32_t n = 0; n < head.count; n++) {
        struct itimerval tv = {.it_value = {10, 0}};
        uint64_t padded;

        if (!get_all(&cur, sizeof(cur))) {
            _exit(8);
        }
        padded = (cur.code_bytes + 7u) & ~7u;
        if (padded > sizeof(cur_code) || cur.pc < BATCH_CODE ||
            cur.pc + padded > BATCH_CODE + BATCH_CODE_LEN || !get_all(cur_code, padded)) {
            _exit(9);
        }
        memcpy(code + (cur.pc - BATCH_CODE), cur_code, cur.code_bytes);
        __builtin___clear_cache((char *)cur.pc, (char *)cur.pc + cur.code_bytes);
        batch_fill((uint64_t *)scratch, BATCH_SCRATCH_LEN / 8, cur.scratch_seed);
        if (n % 64 == 0) {
            setitimer(ITIMER_REAL, &tv, NULL);
        }
        __asm__ volatile(".option push\n.option norvc\nebreak\n.option pop" ::: "memory");
        res.hash = batch_hash((uint64_t *)scratch, BATCH_SCRATCH_LEN / 8);
        put_all(&res, sizeof(res));
    }
    return 0;
}

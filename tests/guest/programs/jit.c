/*
 * RISC-V code that writes code: in place, across a page boundary, through a second mapping, in a
 * child's copy, by another thread, and next to what runs. Says "ok" for each part; anything else is
 * a failure.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, ROUNDS = 2000 };
typedef long code(long);

static void check(int good, const char *what)
{
    if (!good) {
        printf("%s is wrong\n", what);
        exit(1);
    }
}

/* addi a0, a0, @n; ret. The compressed form has ret in 2 bytes. */
static void write_add(void *at, int n, int compressed)
{
    uint32_t add = (uint32_t)n << 20 | 10u << 15 | 10u << 7 | 0x13, ret = 0x00008067;
    uint16_t c_ret = 0x8082;
    memcpy(at, &add, 4);
    memcpy((char *)at + 4, compressed ? (void *)&c_ret : (void *)&ret, compressed ? 2 : 4);
}

static void flush(void *at, size_t len)
{
    __builtin___clear_cache(at, (char *)at + len);
}

static char *map(size_t len, int prot)
{
    char *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(p != MAP_FAILED, "mmap");
    return p;
}

static void in_place(void)
{
    char *p = map(2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    static const int at[] = {0, 2, 6, 64, PAGE - 2, PAGE - 4, PAGE - 6, PAGE + 100};
    for (int i = 0; i < ROUNDS; i++) {
        char *where = p + at[i % 8];
        write_add(where, i % 2048, i & 1);
        flush(where, 8);
        for (int k = 0; k < 3; k++) {
            check(((code *)(void *)where)(100) == 100 + i % 2048, "code written in place");
        }
    }
    munmap(p, 2 * PAGE);
    puts("in place ok");
}

static void protect(void)
{
    char *p = map(PAGE, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 300; i++) {
        write_add(p, i, 0);
        check(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
        flush(p, 8);
        check(((code *)(void *)p)(1) == 1 + i, "code behind mprotect");
        check(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
    }
    munmap(p, PAGE);
    puts("mprotect ok");
}

static void two_mappings(void)
{
    int fd = memfd_create("code", 0);
    check(fd >= 0 && ftruncate(fd, PAGE) == 0, "memfd_create");
    char *w = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *x = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    check(w != MAP_FAILED && x != MAP_FAILED, "mmap of a memfd");
    for (int i = 0; i < ROUNDS; i++) {
        write_add(w + i % 32 * 64, i % 2000, 0);
        flush(x + i % 32 * 64, 8);
        check(((code *)(void *)(x + i % 32 * 64))(5) == 5 + i % 2000,
              "code written through another mapping");
    }
    /* And by the kernel, which reads it from a pipe or a file. */
    for (int i = 0; i < 300; i++) {
        char bytes[8];
        write_add(bytes, i, 0);
        check(pwrite(fd, bytes, 8, 128) == 8, "pwrite");
        flush(x + 128, 8);
        check(((code *)(void *)(x + 128))(0) == i, "code written by a system call");
    }
    puts("two mappings ok");
}

static void child(void)
{
    char *p = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (int i = 0; i < 40; i++) {
        write_add(p, i, 0);
        flush(p, 8);
        check(((code *)(void *)p)(0) == i, "the parent's code");
        pid_t pid = fork();
        if (pid == 0) {
            int before = (int)((code *)(void *)p)(0);
            write_add(p, 1000 + i, 0);
            flush(p, 8);
            _exit(before == i && ((code *)(void *)p)(0) == 1000 + i ? 0 : 1);
        }
        int status;
        check(waitpid(pid, &status, 0) == pid && status == 0, "a child's copy of code");
        check(((code *)(void *)p)(0) == i, "the parent's code after a fork");
    }
    munmap(p, PAGE);
    puts("child ok");
}

/* Code whose constant sits behind it in the same page and changes all the time; and code that
 * patches itself. */
static void data_beside(void)
{
    char *p = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    static const uint32_t load[] = {
        0x00000297, /* auipc t0, 0 */
        0x0402b303, /* ld t1, 64(t0) */
        0x00650533, /* add a0, a0, t1 */
        0x00130313, /* addi t1, t1, 1 */
        0x0462b023, /* sd t1, 64(t0) */
        0x00008067, /* ret */
    };
    memcpy(p, load, sizeof(load));
    flush(p, sizeof(load));
    volatile uint64_t *beside = (volatile uint64_t *)(void *)(p + 64);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        *beside = i * 5;
        check(((code *)(void *)p)(7) == (long)(7 + i * 5), "data beside code");
        check(*beside == i * 5 + 1, "a store beside code");
    }
    static const uint32_t patch[] = {
        0x00000297,                                     /* auipc t0, 0 */
        0x00a2ae23,                                     /* sw a0, 28(t0) */
        0x0000100f,                                     /* fence.i */
        0x00000513,                                     /* li a0, 0 */
        0x00000013, 0x00000013, 0x00000013, 0x00000013, /* replaced */
        0x00008067,                                     /* ret */
    };
    memcpy(p + 256, patch, sizeof(patch));
    flush(p + 256, sizeof(patch));
    for (uint32_t i = 0; i < ROUNDS; i++) {
        long insn = (long)((i % 2048) << 20 | 10u << 7 | 0x13); /* li a0, i */
        check(((code *)(void *)(p + 256))(insn) == (long)(i % 2048), "code that patches itself");
    }
    munmap(p, PAGE);
    puts("beside ok");
}

static char *shared;
static atomic_long published, done;

static void *runner(void *arg)
{
    (void)arg;
    for (long i = 1; i <= ROUNDS; i++) {
        while (atomic_load_explicit(&published, memory_order_acquire) != i) {
        }
        check(((code *)(void *)shared)(0) == i % 2048, "code of another thread");
        atomic_store_explicit(&done, i, memory_order_release);
    }
    return NULL;
}

static void threads(void)
{
    pthread_t t;
    shared = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    check(pthread_create(&t, NULL, runner, NULL) == 0, "pthread_create");
    for (long i = 1; i <= ROUNDS; i++) {
        write_add(shared, (int)(i % 2048), 0);
        flush(shared, 8); /* on all harts that this process runs on */
        atomic_store_explicit(&published, i, memory_order_release);
        while (atomic_load_explicit(&done, memory_order_acquire) != i) {
        }
    }
    pthread_join(t, NULL);
    puts("threads ok");
}

int main(void)
{
    in_place();
    protect();
    two_mappings();
    child();
    data_beside();
    threads();
    return 0;
}

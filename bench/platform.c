/* What the platform layer costs next to the bare system call, as ratios from one run.
 *
 *     ninja -C build bench/bench_platform && build/bench/bench_platform
 *
 * Each number is the best of several rounds; the two sides of a ratio take turns. */
#include "vireo/platform.h"
#include "base/bits.h"
#include "vireo/host_barrier.h"
#include "vireo/host_code.h"
#include "vireo/host_memory.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROUNDS = 15, MIB = 1 << 20 };

static struct vireo_cpuset bench_all;
static struct vireo_jitmem bench_code;
static uint8_t bench_bytes[4096];

static void bench_fail(const char *what)
{
    fprintf(stderr, "bench: %s failed\n", what);
    exit(1);
}

static void bench_nothing(size_t len)
{
    (void)len;
    __asm__ volatile("" ::: "memory");
}

static void bench_barrier(size_t len)
{
    (void)len;
    vireo_barrier_full();
}

static void bench_os(size_t len)
{
    (void)len;
    (void)vireo_host_os();
    (void)vireo_host_arch();
}

static void bench_cached(size_t len)
{
    const struct vireo_platform *host;
    (void)len;
    if (vireo_platform_get(&host, NULL) < 0) {
        bench_fail("detection");
    }
}

static void bench_caps(size_t len)
{
    (void)len;
    (void)vireo_platform_caps();
}

static void bench_detect(size_t len)
{
    struct vireo_platform *host;
    (void)len;
    if (vireo_platform_read("", &host, NULL) < 0) {
        bench_fail("detection");
    }
    vireo_platform_free(host);
}

static void bench_affinity(size_t len)
{
    (void)len;
    if (vireo_place_self(&bench_all, NULL) < 0) {
        bench_fail("affinity");
    }
}

static void bench_affinity_bare(size_t len)
{
    (void)len;
    syscall(SYS_sched_setaffinity, 0, (size_t)bench_all.words * 8, bench_all.bits);
}

static void bench_map(size_t len)
{
    const struct vireo_map_opts o = {.prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
                                     .node = VIREO_NODE_ANY};
    struct vireo_map map;
    if (vireo_map_create(len, &o, &map, NULL) < 0 ||
        vireo_map_protect(&map, 0, len, VIREO_PROT_READ, NULL) < 0) {
        bench_fail("map");
    }
    vireo_map_destroy(&map);
}

static void bench_map_bare(size_t len)
{
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || mprotect(at, len, PROT_READ) < 0) {
        bench_fail("mmap");
    }
    munmap(at, len);
}

static void bench_publish(size_t len)
{
    if (vireo_jitmem_publish(&bench_code, 0, bench_bytes, len, NULL) < 0) {
        bench_fail("publish");
    }
}

static void bench_copy(size_t len)
{
    memcpy(bench_code.rw, bench_bytes, len);
    __asm__ volatile("" ::: "memory");
}

static double bench_once(void (*fn)(size_t), size_t len, unsigned times)
{
    uint64_t start = vireo_monotonic_ns();
    for (unsigned i = 0; i < times; i++) {
        fn(len);
    }
    return (double)(vireo_monotonic_ns() - start) / times;
}

int main(void)
{
    static const struct {
        const char *name;
        void (*ours)(size_t), (*bare)(size_t);
        const char *bare_name;
        size_t len;
        unsigned times;
    } rows[] = {
        {"full barrier", bench_barrier, bench_nothing, "an empty call", 0, 100000},
        {"host_os, host_arch", bench_os, bench_nothing, "an empty call", 0, 100000},
        {"platform_get, cached", bench_cached, bench_nothing, "an empty call", 0, 100000},
        {"platform_caps, cached", bench_caps, bench_nothing, "an empty call", 0, 100000},
        {"all facts, read anew", bench_detect, NULL, NULL, 0, 4},
        {"affinity, same set", bench_affinity, bench_affinity_bare, "sched_setaffinity", 0, 2000},
        {"map+protect+unmap 4 KiB", bench_map, bench_map_bare, "mmap+mprotect+munmap", 4096, 2000},
        {"map+protect+unmap 2 MiB", bench_map, bench_map_bare, "mmap+mprotect+munmap", 2 * MIB,
         2000},
        {"map+protect+unmap 1 GiB", bench_map, bench_map_bare, "mmap+mprotect+munmap",
         (size_t)1024 * MIB, 2000},
        {"publish 4 KiB of code", bench_publish, bench_copy, "memcpy", 4096, 2000},
    };
    bench_once(bench_nothing, 0, 1); /* the clock's own first call */
    uint64_t start = vireo_monotonic_ns();
    bench_os(0);
    uint64_t os = vireo_monotonic_ns();
    bench_cached(0);
    uint64_t facts = vireo_monotonic_ns();
    bench_caps(0);
    uint64_t caps = vireo_monotonic_ns();
    printf("first call: host_os, host_arch %.2f us; platform_get %.1f us; platform_caps %.1f us\n",
           (double)(os - start) / 1e3, (double)(facts - os) / 1e3, (double)(caps - facts) / 1e3);
    if (vireo_place_get(&bench_all, NULL) < 0 ||
        vireo_jitmem_create(sizeof(bench_bytes), &bench_code, NULL) < 0) {
        bench_fail("preparation");
    }
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        double ours = 1e18, bare = 1e18;
        for (unsigned round = 0; round < ROUNDS; round++) {
            double t = bench_once(rows[i].ours, rows[i].len, rows[i].times);
            ours = t < ours ? t : ours;
            t = rows[i].bare ? bench_once(rows[i].bare, rows[i].len, rows[i].times) : 0;
            bare = t < bare ? t : bare;
        }
        printf("%-26s %10.1f ns", rows[i].name, ours);
        if (rows[i].bare) {
            printf("  %s %.1f ns, ratio %.2f", rows[i].bare_name, bare, ours / bare);
        }
        printf("\n");
    }
    vireo_jitmem_destroy(&bench_code);
    vireo_cpuset_fini(&bench_all);
    return 0;
}

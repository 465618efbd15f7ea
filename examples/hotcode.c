/*
 * Code that a program makes and measures, by the public headers alone: two views of one memory
 * (vireo/host_code.h), a thread on one processor (host_thread.h), its instructions
 * (host_counters.h) and time, and a timer that says when it has had enough (host_time.h).
 *
 *     cc hotcode.c -lvireo -o hotcode && ./hotcode
 */
#include "vireo/host_code.h"
#include "vireo/host_counters.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* uint64_t f(uint64_t a): a * 3 + 1. */
#if defined(__x86_64__) && defined(_WIN32)
static const unsigned char code[] = {0x48, 0x8d, 0x44, 0x49, 0x01, 0xc3}; /* the same of %rcx */
#elif defined(__x86_64__)
static const unsigned char code[] = {0x48, 0x8d, 0x44,
                                     0x7f, 0x01, 0xc3}; /* lea 1(%rdi,%rdi,2), %rax; ret */
#elif defined(__aarch64__)
static const uint32_t code[] = {0x8b000400, 0x91000400,
                                0xd65f03c0}; /* add x0, x0, x0, lsl 1; add 1; ret */
#elif defined(__riscv)
static const uint32_t code[] = {0x00151793, 0x00f50533, 0x00150513,
                                0x00008067}; /* slli; add; addi; ret */
#else
#error "no code for this processor: write three instructions of it"
#endif

struct work {
    const struct vireo_jitmem *mem;
    atomic_bool enough;
    uint64_t calls, ns;
    int problem;
    struct vr_error err;
};

static void on_time(void *opaque, uint64_t times)
{
    struct work *w = opaque;
    (void)times;
    atomic_store(&w->enough, true);
}

static void work(void *opaque)
{
    struct work *w = opaque;
    struct vireo_counters *counters;
    struct vireo_cpuset mine;
    struct vr_error no_counters;
    uint64_t (*f)(uint64_t) = (uint64_t(*)(uint64_t))(uintptr_t)w->mem->rx;
    w->problem = vireo_place_get(&mine, &w->err);
    if (w->problem < 0) {
        return;
    }
    uint32_t cpu = vireo_cpuset_next(&mine, 0);
    vireo_cpuset_fini(&mine);
    w->problem = vireo_place_self_on(cpu, &w->err);
    if (w->problem < 0) {
        return;
    }
    bool counting = vireo_counters_open(&counters, &no_counters) == 0;
    uint64_t start = vireo_monotonic_ns();
    while (!atomic_load_explicit(&w->enough, memory_order_relaxed)) {
        if (f(w->calls) != w->calls * 3 + 1) {
            w->problem = -1;
            snprintf(w->err.msg, sizeof(w->err.msg), "the code that was made is wrong");
            break;
        }
        w->calls++;
    }
    w->ns = vireo_monotonic_ns() - start;
    printf("processor %" PRIu32 ": %" PRIu64 " calls in %" PRIu64 " us\n", cpu, w->calls,
           w->ns / 1000);
    if (counting) {
        struct vireo_counts counts;
        vireo_counters_read(counters, &counts);
        vireo_counters_close(counters);
        if (counts.counted[VIREO_COUNT_INSTRUCTIONS]) {
            printf("%" PRIu64 " instructions\n", counts.count[VIREO_COUNT_INSTRUCTIONS]);
        }
    } else {
        printf("instructions not counted: %s\n", no_counters.msg);
    }
}

int main(void)
{
    struct vireo_jitmem mem;
    struct vireo_timers *timers;
    struct vireo_timer *timer;
    struct vireo_thread *thread;
    struct vr_error err;
    struct work w = {.mem = &mem};
    if (vireo_jitmem_create(sizeof(code), &mem, &err) < 0 ||
        vireo_jitmem_publish(&mem, 0, code, sizeof(code), &err) < 0 ||
        vireo_timers_create("enough", &timers, &err) < 0 ||
        vireo_timer_create(timers, on_time, &w, &timer, &err) < 0) {
        fprintf(stderr, "hotcode: %s\n", err.msg);
        return 1;
    }
    vireo_timer_arm(timer, vireo_monotonic_ns() + 50000000, 0);
    if (vireo_thread_create("hot", work, &w, &thread, &err) < 0) {
        fprintf(stderr, "hotcode: %s\n", err.msg);
        return 1;
    }
    vireo_thread_join(thread);
    vireo_timer_destroy(timer);
    vireo_timers_destroy(timers);
    vireo_jitmem_destroy(&mem);
    if (w.problem < 0) {
        fprintf(stderr, "hotcode: %s\n", w.err.msg);
    }
    return w.problem < 0 || w.calls == 0;
}

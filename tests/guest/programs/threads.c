/*
 * Threads that share memory: atomics, locks, condition variables, message passing, and time that
 * never runs backwards from one hart to another. Says "ok" for each part; anything else is a
 * failure.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 4, ROUNDS = 50000, MESSAGES = 20000 };

static atomic_long added, swapped;
static _Atomic uint8_t small[THREADS];
static long plain, locked;
static atomic_int spin;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static _Thread_local long own;

static void check(int good, const char *what)
{
    if (!good) {
        printf("%s is wrong\n", what);
        exit(1);
    }
}

static void *count(void *arg)
{
    uintptr_t me = (uintptr_t)arg;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&added, 1);
        long old = atomic_load_explicit(&swapped, memory_order_relaxed);
        while (!atomic_compare_exchange_weak(&swapped, &old, old + 3)) {
        }
        atomic_fetch_add(&small[me], 1); /* neighbours share a word */
        atomic_fetch_xor(&small[(me + 1) % THREADS], 0);
        own++;
        if (i % 8 == 0) {
            while (atomic_exchange_explicit(&spin, 1, memory_order_acquire)) {
                sched_yield();
            }
            plain++;
            atomic_store_explicit(&spin, 0, memory_order_release);
            pthread_mutex_lock(&mutex);
            locked++;
            pthread_mutex_unlock(&mutex);
        }
    }
    return (void *)own;
}

static void counters(void)
{
    pthread_t t[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++) {
        check(pthread_create(&t[i], NULL, count, (void *)i) == 0, "pthread_create");
    }
    for (int i = 0; i < THREADS; i++) {
        void *got;
        pthread_join(t[i], &got);
        check((long)got == ROUNDS, "thread-local storage");
        check(small[i] == (uint8_t)ROUNDS, "a byte's counter");
    }
    check(added == (long)THREADS * ROUNDS, "fetch_add");
    check(swapped == 3L * THREADS * ROUNDS, "compare_exchange");
    check(plain == (long)THREADS * ROUNDS / 8, "a spin lock");
    check(locked == (long)THREADS * ROUNDS / 8, "a mutex");
    puts("counters ok");
}

/* Message passing and store buffering, with as little order as C permits for each. */
static _Atomic uint64_t flag, data[64], ack;

static void *sender(void *arg)
{
    (void)arg;
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        for (unsigned k = 0; k < 64; k += 9) {
            atomic_store_explicit(&data[k], i * (k + 1), memory_order_relaxed);
        }
        atomic_store_explicit(&flag, i, memory_order_release);
        while (atomic_load_explicit(&ack, memory_order_acquire) != i) {
            if (i % 64 == 0) {
                sched_yield();
            }
        }
    }
    return NULL;
}

static void messages(void)
{
    pthread_t t;
    check(pthread_create(&t, NULL, sender, NULL) == 0, "pthread_create");
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        while (atomic_load_explicit(&flag, memory_order_acquire) != i) {
            if (i % 64 == 0) {
                sched_yield();
            }
        }
        for (unsigned k = 0; k < 64; k += 9) {
            check(atomic_load_explicit(&data[k], memory_order_relaxed) == i * (k + 1), "a message");
        }
        atomic_store_explicit(&ack, i, memory_order_release);
    }
    pthread_join(t, NULL);
    puts("messages ok");
}

static _Atomic uint32_t left, right;
static uint32_t saw_right[MESSAGES], saw_left[MESSAGES];

static void *buffer(void *arg)
{
    _Atomic uint32_t *mine = arg ? &right : &left, *other = arg ? &left : &right;
    uint32_t *saw = arg ? saw_left : saw_right;
    pthread_barrier_wait(&barrier);
    for (uint32_t i = 1; i < MESSAGES; i++) {
        atomic_store_explicit(mine, i, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        saw[i] = atomic_load_explicit(other, memory_order_relaxed);
    }
    return NULL;
}

/* When one side saw the other at step j, before its own step i was there, the other sees i or later
 * from j + 1 on. */
static void store_buffers(void)
{
    pthread_t t[2];
    pthread_barrier_init(&barrier, NULL, 2);
    for (uintptr_t i = 0; i < 2; i++) {
        check(pthread_create(&t[i], NULL, buffer, (void *)i) == 0, "pthread_create");
    }
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    for (uint32_t i = 1; i < MESSAGES; i++) {
        uint32_t j = saw_right[i] + 1;
        check(j >= MESSAGES || saw_left[j] >= i, "a fence");
    }
    puts("fences ok");
}

static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn;

static void *player(void *arg)
{
    int me = (int)(uintptr_t)arg;
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != me) {
            pthread_cond_wait(&cond, &mutex);
        }
        turn = (me + 1) % THREADS;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void turns(void)
{
    pthread_t t[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        check(pthread_create(&t[i], NULL, player, (void *)i) == 0, "pthread_create");
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
    }
    check(turn == 0, "turn taking");
    puts("turns ok");
}

static _Atomic int64_t latest;

static int64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void *watch(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t before = atomic_load(&latest), t = now();
        check(t >= before, "the order of two clocks");
        while (before < t && !atomic_compare_exchange_weak(&latest, &before, t)) {
        }
    }
    return NULL;
}

static void clocks(void)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++) {
        check(pthread_create(&t[i], NULL, watch, NULL) == 0, "pthread_create");
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
    }
    puts("clocks ok");
}

int main(void)
{
    counters();
    messages();
    store_buffers();
    turns();
    clocks();
    return 0;
}

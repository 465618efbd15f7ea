/*
 * Memory barriers of this host's processor, and resting it, inline. For variables that threads
 * share, C11's <stdatomic.h> is all that is needed; these are for memory that a device, another
 * process or made code shares with us, where the accesses themselves are plain or volatile.
 *
 * Sources: Intel SDM 3A 9.2, AMD APM 2 7.1 (stores stay in order, loads stay in order; only a store
 * before a load needs an instruction, and a locked add is the quickest); Arm ARM B2.3; RISC-V
 * "RVWMO".
 */
#ifndef VIREO_HOST_BARRIER_H
#define VIREO_HOST_BARRIER_H

#ifdef __cplusplus
extern "C" {
#endif

/* Loads before it come before every access after it. */
static inline void vireo_barrier_acquire(void)
{
#if defined(__x86_64__)
    __asm__ volatile("" ::: "memory");
#elif defined(__aarch64__)
    __asm__ volatile("dmb ishld" ::: "memory");
#elif defined(__riscv)
    __asm__ volatile("fence r, rw" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

/* Every access before it comes before stores after it. */
static inline void vireo_barrier_release(void)
{
#if defined(__x86_64__)
    __asm__ volatile("" ::: "memory");
#elif defined(__aarch64__)
    __asm__ volatile("dmb ish" ::: "memory");
#elif defined(__riscv)
    __asm__ volatile("fence rw, w" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

/* Every access before it comes before every access after it. Not for write-combining memory or
 * non-temporal stores of x86, which take an mfence. */
static inline void vireo_barrier_full(void)
{
#if defined(__x86_64__)
    __asm__ volatile("lock; addl $0, -64(%%rsp)" ::: "memory", "cc");
#elif defined(__aarch64__)
    __asm__ volatile("dmb ish" ::: "memory");
#elif defined(__riscv)
    __asm__ volatile("fence rw, rw" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* For loops that wait for another thread: rests the processor for some tens of cycles, which its
 * neighbour thread can use. (Intel SDM 2B "PAUSE"; Arm ARM C6.2 "ISB", which waits where YIELD does
 * nothing; RISC-V Zihintpause, which older processors take as a fence.) */
static inline void vireo_pause(void)
{
#if defined(__x86_64__)
    __asm__ volatile("pause" ::: "memory");
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#elif defined(__riscv)
    __asm__ volatile(".4byte 0x0100000f" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

#ifdef __cplusplus
}
#endif

#endif

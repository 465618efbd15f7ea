/*
 * Looking a moment longer before a thread sleeps.
 *
 * To put a thread to sleep and wake it again takes the host 10 to 50 us, in a virtual machine even
 * more; an answer that comes sooner is better waited for awake. How long to look is learnt from how
 * long the last waits were: where they are longer than VR_SPIN_MAX_NS, as in an idle guest, nobody
 * looks at all. (KVM does the same for its own virtual CPUs: Linux,
 * Documentation/virt/kvm/halt-polling.rst.)
 *
 *     uint64_t began_ns = vireo_monotonic_ns();
 *     if (!vr_spin_wait(&spin, began_ns, is_ready, arg)) {
 *         ... sleep ...
 *     }
 *     vr_spin_learn(&spin, vireo_monotonic_ns() - began_ns);
 *
 * One thread at a time uses a struct vr_spin.
 */
#ifndef VR_PLATFORM_SPIN_H
#define VR_PLATFORM_SPIN_H

#include <stdbool.h>
#include <stdint.h>

enum {
    VR_SPIN_MAX_NS = 100 * 1000, /* nobody looks longer than this */
    VR_SPIN_FIRST_NS = 10 * 1000,
};

struct vr_spin {
    uint32_t window_ns; /* to look now */
    bool alone;         /* there is one processor: looking would keep it from who shall answer */
};

/* For a thread that is answered by others, which run where the calling thread may. */
void vr_spin_init(struct vr_spin *spin);

/* Ask ready(arg) until it says true, or the window is over: false. */
bool vr_spin_wait(const struct vr_spin *spin, uint64_t began_ns, bool (*ready)(void *arg),
                  void *arg);
/* The whole wait, awake and asleep, took @waited_ns. */
void vr_spin_learn(struct vr_spin *spin, uint64_t waited_ns);

#endif

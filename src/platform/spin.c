/* Looking a moment longer before a thread sleeps: how long. */
#include "platform/spin.h"

#include "platform/host.h"
#include "vireo/host_barrier.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

enum { SPIN_LOOKS = 16 }; /* between two looks at the clock */

void vr_spin_init(struct vr_spin *spin)
{
    struct vireo_cpuset set = {0};
    *spin = (struct vr_spin){.alone = vr_host_affinity(&set) < 0 || vireo_cpuset_count(&set) < 2};
    vireo_cpuset_fini(&set);
}

bool vr_spin_wait(const struct vr_spin *spin, uint64_t began_ns, bool (*ready)(void *arg),
                  void *arg)
{
    if (spin->window_ns == 0) {
        return ready(arg);
    }
    do {
        for (unsigned i = 0; i < SPIN_LOOKS; i++) {
            if (ready(arg)) {
                return true;
            }
            vireo_pause();
        }
    } while (vireo_monotonic_ns() - began_ns < spin->window_ns);
    return ready(arg);
}

void vr_spin_learn(struct vr_spin *spin, uint64_t waited_ns)
{
    if (waited_ns > VR_SPIN_MAX_NS) {
        spin->window_ns /= 4;
        spin->window_ns = spin->window_ns < VR_SPIN_FIRST_NS ? 0 : spin->window_ns;
        return;
    }
    if (!spin->alone && waited_ns > spin->window_ns) {
        uint32_t wider = spin->window_ns ? spin->window_ns * 2 : VR_SPIN_FIRST_NS;
        spin->window_ns = wider < VR_SPIN_MAX_NS ? wider : VR_SPIN_MAX_NS;
    }
}

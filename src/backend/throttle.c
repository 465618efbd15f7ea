/* See throttle.h. */
#include "backend/throttle.h"
#include "base/bits.h"

uint64_t vr_throttle_wait(const struct vr_throttle *t, uint64_t now_ns)
{
    uint64_t open;
    if (!t->rate || !vr_add_ok(now_ns, VR_THROTTLE_BURST_NS, &open)) {
        return 0;
    }
    return t->paid_ns > open ? t->paid_ns - open : 0;
}

void vr_throttle_take(struct vr_throttle *t, uint64_t now_ns, uint64_t amount)
{
    uint64_t from = t->paid_ns > now_ns ? t->paid_ns : now_ns, ns;
    if (!t->rate) {
        return;
    }
    if (!vr_mul_ok(amount, UINT64_C(1000000000), &ns)) {
        ns = UINT64_MAX;
    }
    if (!vr_add_ok(from, ns / t->rate, &t->paid_ns)) {
        t->paid_ns = UINT64_MAX;
    }
}

/* The virt machine's memory balloon. */
#include "board/virt_riscv_priv.h"
#include "dev/virtio/balloon.h"

#include <errno.h>
#include <inttypes.h>

static int virt_balloon(const struct vr_virt *v, struct vr_error *err)
{
    return v->balloon
               ? 0
               : vr_err(err, -ENODEV, "this machine has no balloon: give it one (--balloon)");
}

int vr_virt_balloon_set(struct vr_virt *v, uint64_t bytes, struct vr_error *err)
{
    int r = virt_balloon(v, err);
    if (r < 0) {
        return r;
    }
    if (bytes > v->ram_bytes) {
        return vr_err(err, -ERANGE,
                      "a balloon of %" PRIu64 " MiB: the guest has %" PRIu64 " MiB in all",
                      bytes >> 20, v->ram_bytes >> 20);
    }
    vr_virtio_balloon_target(v->balloon, bytes);
    return 0;
}

int vr_virt_balloon_get(struct vr_virt *v, struct vireo_balloon *ret_balloon, struct vr_error *err)
{
    int r = virt_balloon(v, err);
    if (r == 0) {
        vr_virtio_balloon_info(v->balloon, ret_balloon);
    }
    return r;
}

int vr_virt_balloon_ask(struct vr_virt *v, uint64_t timeout_ns, struct vr_error *err)
{
    int r = virt_balloon(v, err);
    return r < 0 ? r : vr_virtio_balloon_ask(v->balloon, timeout_ns, err);
}

bool vr_virt_hints_begin(struct vr_virt *v,
                         void (*hint)(void *opaque, const void *hva, uint64_t len), void *opaque)
{
    return v->balloon && vr_virtio_balloon_hints_begin(v->balloon, hint, opaque);
}

void vr_virt_hints_end(struct vr_virt *v, bool done)
{
    if (v->balloon) {
        vr_virtio_balloon_hints_end(v->balloon, done);
    }
}

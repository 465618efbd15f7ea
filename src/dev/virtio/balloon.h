/* The board's side of the memory balloon. */
#ifndef VR_DEV_VIRTIO_BALLOON_H
#define VR_DEV_VIRTIO_BALLOON_H

#include "core/dev.h"
#include "vireo/vm.h"

extern const struct vr_dev_class vr_virtio_balloon_mmio_class, vr_virtio_balloon_pci_class;

/* Any thread, no lock of the device held. */

/* What the driver shall keep in the balloon, from now on, after resets as well. */
void vr_virtio_balloon_target(struct vr_dev *dev, uint64_t bytes);
void vr_virtio_balloon_info(struct vr_dev *dev, struct vireo_balloon *ret_info);
/* Ask the driver for new statistics, and wait for them. -ETIMEDOUT: none came (no driver yet, or
 * one without statistics; or the machine is paused). */
int vr_virtio_balloon_ask(struct vr_dev *dev, uint64_t timeout_ns, struct vr_error *err) VR_MUST;

/* The guest had no use for what [hva, hva + len) of its memory held when the round of hints began.
 * Of what was written there since, it says nothing. Under the device's lock; calls nothing of it.
 */
typedef void vr_balloon_hint_fn(void *opaque, const void *hva, uint64_t len);
/* Ask the driver for hints, as a new round. Whoever asks can tell from now on what is written to
 * memory. They come on other threads, in the driver's time, or not at all; false: its driver gives
 * none. One at a time may ask. */
bool vr_virtio_balloon_hints_begin(struct vr_dev *dev, vr_balloon_hint_fn *hint, void *opaque);
/* No hint comes any more once this returns. !@done: the driver keeps the pages, and does not rely
 * on what they hold; @done: it may use them, and they change no more by themselves. */
void vr_virtio_balloon_hints_end(struct vr_dev *dev, bool done);

#endif

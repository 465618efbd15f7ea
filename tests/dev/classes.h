/*
 * What the generic device test stands on: a device with its own clock, RAM and loop, noting what it
 * drives, and, for some classes, what the world outside does to them.
 */
#ifndef VR_TEST_CLASSES_H
#define VR_TEST_CLASSES_H

#include "rig.h"

enum { WIRES_MAX = 160 };

/* A device under test. */
struct dut {
    struct rig rig;
    struct vr_dev *dev;
    struct vr_irq *wire[WIRES_MAX];
    unsigned wires;
    bool level[WIRES_MAX]; /* as the far ends of the wires have it */
    struct vr_loop *loop;  /* turned by the test */
    void *host;            /* the hooks' host end */
};

/* What a class needs beyond the defaults; all may be NULL. */
struct class_hooks {
    const struct vr_dev_class *cls;
    const char *opts;
    /* As a board does: plug in a host end (dut->host). The next three are called only
     * with one plugged in. */
    void (*plug)(struct dut *dut);
    void (*unplug)(struct dut *dut); /* the device is gone */
    void (*copy_host)(struct dut *from, struct dut *to);
    void (*same_host)(struct dut *a, struct dut *b);
    void (*setup)(struct dut *dut); /* as a driver does */
    /* Something happens outside, chosen by @seed alone. */
    void (*outside)(struct dut *dut, uint64_t seed);
    /* Undo what outlives a reset on purpose. */
    void (*forget)(struct dut *dut);
    unsigned (*wires)(struct vr_dev *dev, struct vr_irq **ret_wires);
    uint64_t (*work)(struct vr_dev *dev); /* how much it has done, so that idling is noticed */
    bool random;                          /* what it writes into memory is random on purpose */
};

const struct class_hooks *class_hooks(const struct vr_dev_class *cls);
const struct class_hooks *virtio_hooks(const struct vr_dev_class *cls); /* NULL: not virtio */

extern const struct vr_dev_class *const all_classes[];
extern const unsigned all_class_count;

#endif

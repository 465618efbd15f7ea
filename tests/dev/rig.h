/* What a device test stands on: a stepped clock, some RAM, a note of what was requested, wires that
 * count, and a storm of random accesses. */
#ifndef VR_TEST_RIG_H
#define VR_TEST_RIG_H

#include "test.h"

#include "core/dev.h"
#include "core/snap.h"
#include <string.h>

#define RIG_RAM_GPA UINT64_C(0x80000000)
enum { RIG_RAM_LEN = 1 << 20 };

struct rig {
    struct vr_env env;
    struct vr_ram *ram;
    struct vr_region region;
    enum vr_request request; /* the last one */
    unsigned code, requests;
};

/* The far end of a wire. */
struct sink {
    unsigned pin, rises, falls;
    bool level;
};

static inline void sink_set(void *chip, unsigned pin, bool level)
{
    struct sink *s = chip;
    s->pin = pin;
    s->level = level;
    *(level ? &s->rises : &s->falls) += 1;
}

static inline void rig_request(void *opaque, enum vr_request what, unsigned code)
{
    struct rig *rig = opaque;
    rig->request = what;
    rig->code = code;
    rig->requests++;
}

static inline void rig_init(struct rig *rig)
{
    *rig = (struct rig){.env = {.request = rig_request, .opaque = rig}};
    assert_int_equal(vr_clock_create(VR_CLOCK_STEPPED, &rig->env.clock, NULL), 0);
    assert_int_equal(vr_space_create("mem", UINT64_MAX >> 8, &rig->env.mem, NULL), 0);
    assert_int_equal(vr_ram_create("ram", RIG_RAM_LEN, &rig->ram, NULL), 0);
    rig->region = (struct vr_region){.name = "ram",
                                     .kind = VR_REGION_RAM,
                                     .gpa = RIG_RAM_GPA,
                                     .len = RIG_RAM_LEN,
                                     .ram = rig->ram};
    assert_int_equal(vr_space_add(rig->env.mem, &rig->region, NULL), 0);
}

/* After every device is destroyed. */
static inline void rig_fini(struct rig *rig)
{
    vr_space_remove(rig->env.mem, &rig->region);
    vr_space_destroy(rig->env.mem);
    vr_ram_destroy(rig->ram);
    vr_clock_destroy(rig->env.clock);
}

static inline struct vr_dev *rig_dev(struct rig *rig, const struct vr_dev_class *cls,
                                     const char *opts)
{
    struct vr_dev *dev = NULL;
    struct vr_error err = {0};
    if (vr_dev_create(cls, "dut", opts, &rig->env, &dev, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return dev;
}

/* Move @from's state into @to, a device of the same class and id. */
static inline int rig_copy(struct vr_dev *from, struct vr_dev *to)
{
    struct vr_snap snap;
    vr_snap_init(&snap);
    assert_int_equal(vr_dev_save(from, &snap, NULL), 0);
    int r = vr_dev_load(to, &snap, NULL);
    vr_snap_fini(&snap);
    return r;
}

static inline uint64_t rig_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* @rounds random reads and writes of window 0, in all widths, half of them where registers are
 * (below
 * @busy_len), with edge values, and time going by. */
static inline void rig_storm(struct rig *rig, struct vr_dev *dev, uint64_t busy_len,
                             unsigned rounds)
{
    uint64_t seed = 88172645463325252u, len = dev->cls->windows[0].len;
    for (unsigned i = 0; i < rounds; i++) {
        unsigned width = 1u << rig_random(&seed) % 4;
        uint64_t off = rig_random(&seed) % (rig_random(&seed) % 2 ? busy_len : len);
        off = rig_random(&seed) % 4 ? off & ~(uint64_t)(width - 1) : off;
        off = off > len - width ? len - width : off;
        uint64_t val = rig_random(&seed);
        val = val % 4 == 0   ? 0
              : val % 4 == 1 ? UINT64_MAX
              : val % 4 == 2 ? rig_random(&seed) % 256
                             : rig_random(&seed);
        if (rig_random(&seed) % 2) {
            (void)vr_dev_read(dev, 0, off, width);
        } else {
            vr_dev_write(dev, 0, off, width, val);
        }
        vr_clock_step(rig->env.clock, rig_random(&seed) % 1000);
    }
}

#endif

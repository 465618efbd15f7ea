/*
 * Any device class: a snapshot from an enemy, or a driver that does what it likes.
 *
 * The first byte chooses the class; if the second is odd, the rest is a snapshot, else it is a list
 * of accesses. What a device accepted, it must be able to save and to take back.
 */
#include "fuzz.h"

#include "base/bits.h"
#include "core/dev.h"
#include "core/snap.h"

#include <stdlib.h>
#include <string.h>

#define VR_DEV(name) extern const struct vr_dev_class vr_##name##_class;
#include "dev/list.h"

#define VR_DEV(name) &vr_##name##_class,
static const struct vr_dev_class *const classes[] = {
#include "dev/list.h"
};

enum { RAM_GPA = 0x80000000, RAM_LEN = 64 << 10 };

struct bench {
    struct vr_env env;
    struct vr_ram *ram;
    struct vr_region region;
    struct vr_dev *dev;
};

static void bench_init(struct bench *b, const struct vr_dev_class *cls)
{
    *b = (struct bench){.env = {.log = NULL}};
    KEEPS(vr_clock_create(VR_CLOCK_STEPPED, &b->env.clock, NULL) == 0);
    KEEPS(vr_space_create("mem", UINT64_MAX, &b->env.mem, NULL) == 0);
    KEEPS(vr_loop_create(&b->env.loop, NULL) == 0);
    KEEPS(vr_ram_create("ram", RAM_LEN, &b->ram, NULL) == 0);
    b->region = (struct vr_region){
        .name = "ram", .kind = VR_REGION_RAM, .gpa = RAM_GPA, .len = RAM_LEN, .ram = b->ram};
    KEEPS(vr_space_add(b->env.mem, &b->region, NULL) == 0);
    KEEPS(vr_dev_create(cls, "dut", NULL, &b->env, &b->dev, NULL) == 0);
}

static void bench_fini(struct bench *b)
{
    vr_dev_quiesce(b->dev);
    vr_dev_destroy(b->dev);
    vr_loop_destroy(b->env.loop);
    vr_space_destroy(b->env.mem);
    vr_ram_destroy(b->ram);
    vr_clock_destroy(b->env.clock);
}

/* One access: a byte with kind and width, three of offset, then a value. Returns the bytes eaten.
 */
static size_t bench_access(struct bench *b, const uint8_t *p, size_t len)
{
    const struct vr_dev_class *cls = b->dev->cls;
    unsigned windows = 0, width = 1u << (p[0] & 3), kind = p[0] >> 2 & 3;
    while (windows < VR_DEV_WINDOWS && cls->windows[windows].len) {
        windows++;
    }
    unsigned window = (p[0] >> 4) % windows;
    uint64_t off = (p[1] | p[2] << 8 | p[3] << 16) % cls->windows[window].len, val = 0;
    if (!vr_in_range(off, width, cls->windows[window].len)) {
        width = 1;
    }
    size_t eaten = 4 + width <= len ? 4 + width : len;
    for (size_t i = 4; i < eaten; i++) {
        val |= (uint64_t)p[i] << 8 * (i - 4);
    }
    switch (kind) {
    case 0:
        KEEPS((vr_dev_read(b->dev, window, off, width) & ~vr_width_mask(width)) == 0);
        break;
    case 1:
        memcpy(b->ram->hva + val % (RAM_LEN - 8), p + 1, 3); /* the driver prepares memory */
        break;
    default:
        vr_dev_write(b->dev, window, off, width, val);
        break;
    }
    vr_loop_turn(b->env.loop, 0);
    vr_clock_step(b->env.clock, val % 100000);
    return eaten;
}

static void bench_poke(struct bench *b)
{
    static const uint8_t widths[] = {1, 2, 4, 8};
    for (unsigned w = 0; w < VR_DEV_WINDOWS && b->dev->cls->windows[w].len; w++) {
        const struct vr_reg *r = b->dev->cls->windows[w].regs;
        for (; r && r->name; r++) {
            (void)vr_dev_read(b->dev, w, r->off, r->width);
            vr_dev_write(b->dev, w, r->off, r->width, 1);
        }
        for (unsigned i = 0; i < VR_COUNT(widths) && widths[i] <= b->dev->cls->windows[w].len;
             i++) {
            (void)vr_dev_read(b->dev, w, 0, widths[i]);
        }
    }
    vr_loop_turn(b->env.loop, 0);
    vr_clock_step(b->env.clock, 1000000);
}

static void bench_keeps_its_state(struct bench *b)
{
    struct vr_snap s;
    vr_dev_quiesce(b->dev);
    vr_snap_init(&s);
    KEEPS(vr_dev_save(b->dev, &s, NULL) == 0);
    KEEPS(vr_dev_load(b->dev, &s, NULL) == 0);
    vr_snap_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bench b;
    if (len < 2) {
        return 0;
    }
    bench_init(&b, classes[data[0] % VR_COUNT(classes)]);
    if (data[1] & 1) {
        struct vr_snap s;
        struct vr_error err = {0};
        vr_snap_init(&s);
        s.buf = malloc(len - 1); /* exactly as long, so that the sanitizer sees its end */
        KEEPS(s.buf != NULL);
        s.len = s.cap = len - 2;
        memcpy(s.buf, data + 2, len - 2);
        int r = vr_dev_load(b.dev, &s, &err);
        KEEPS(r == 0 ? s.pos <= s.len : err.code == r && err.msg[0]);
        vr_snap_fini(&s);
    } else {
        for (size_t at = 2; len - at >= 4;) {
            at += bench_access(&b, data + at, len - at);
        }
    }
    bench_keeps_its_state(&b);
    bench_poke(&b);
    bench_keeps_its_state(&b);
    bench_fini(&b);
    return 0;
}

/* For each class, its state at reset, and accesses to each of its first registers. */
size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    struct bench b;
    size_t len = 2;
    if (n / 2 >= VR_COUNT(classes) || cap < 2) {
        return 0;
    }
    buf[0] = (uint8_t)(n / 2);
    buf[1] = (uint8_t)(n & 1);
    bench_init(&b, classes[n / 2]);
    if (n & 1) {
        struct vr_snap s;
        vr_snap_init(&s);
        KEEPS(vr_dev_save(b.dev, &s, NULL) == 0);
        size_t take = s.len <= cap - 2 ? s.len : cap - 2;
        memcpy(buf + 2, s.buf, take);
        len += take;
        vr_snap_fini(&s);
    } else {
        const struct vr_reg *r = b.dev->cls->windows[0].regs;
        for (unsigned i = 0; i < 24 && r && r->name && cap - len >= 16; r++, i++) {
            static const uint8_t log2[] = {[1] = 0, [2] = 1, [4] = 2, [8] = 3};
            for (unsigned kind = 0; kind <= 2; kind += 2) {
                if (cap - len < 4u + r->width) {
                    break;
                }
                buf[len] = (uint8_t)(log2[r->width] | kind << 2);
                buf[len + 1] = (uint8_t)r->off;
                buf[len + 2] = (uint8_t)(r->off >> 8);
                buf[len + 3] = (uint8_t)(r->off >> 16);
                memset(buf + len + 4, (int)i, r->width);
                len += 4u + r->width;
            }
        }
    }
    bench_fini(&b);
    return len;
}

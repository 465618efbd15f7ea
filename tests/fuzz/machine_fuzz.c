/*
 * A whole machine and a guest that is out for harm: the input is a list of operations
 * (tests/dev/hostile.h). If the first byte is odd, it is a snapshot of the machine instead; its
 * other bits choose the interrupt controllers.
 */
#include "fuzz.h"

#include "board/virt_riscv.h"
#include "core/snap.h"
#include "dev/hostile.h"
#include <stdlib.h>
#include <string.h>

/* Building one takes longer than most inputs do; each input begins with a reset. */
static struct hostile *machine(uint8_t first)
{
    static struct hostile h[3];
    unsigned aia = first / 2 % 3;
    if (!h[aia].v) {
        hostile_init(&h[aia], (enum vr_virt_aia)aia);
    }
    return &h[aia];
}

static void restore(struct hostile *h, const uint8_t *data, size_t len)
{
    struct vr_snap s = {.buf = (uint8_t *)(uintptr_t)data, .len = len}, again;
    struct vr_error err = {0};
    if (vr_machine_load(vr_virt_machine(h->v), &s, &err) < 0) {
        KEEPS(err.msg[0]);
        return;
    }
    vr_snap_init(&again); /* what was taken can be given and taken again */
    KEEPS(vr_machine_save(vr_virt_machine(h->v), &again, &err) == 0);
    KEEPS(vr_machine_load(vr_virt_machine(h->v), &again, &err) == 0);
    vr_snap_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hostile *h = machine(len ? data[0] : 0);
    hostile_reset(h);
    size_t at = 1;
    if (len && data[0] & 1) {
        restore(h, data + 1, len - 1);
        return 0;
    }
    for (; at + HOSTILE_OP <= len && at < 4000 * HOSTILE_OP; at += HOSTILE_OP) {
        hostile_do(h, data + at);
    }
    hostile_check(h);
    return 0;
}

static size_t seed_snapshot(unsigned n, uint8_t *buf, size_t cap)
{
    buf[0] = (uint8_t)(1 + 2 * n);
    struct hostile *h = machine(buf[0]);
    struct vr_snap s;
    size_t len;
    hostile_reset(h);
    vr_snap_init(&s);
    KEEPS(vr_machine_save(vr_virt_machine(h->v), &s, NULL) == 0);
    len = s.len + 1;
    KEEPS(len <= cap);
    memcpy(buf + 1, s.buf, s.len);
    vr_snap_fini(&s);
    return len;
}

/* Each device started and given a request of three descriptors, @n times different. */
static size_t seed_requests(unsigned n, uint8_t *buf)
{
    uint8_t *p = buf + 1;
    buf[0] = 0;
    for (unsigned slot = 0; slot < 4; slot++) {
        for (unsigned step = 0; step < 8; step++, p += HOSTILE_OP) {
            unsigned queue = n % 6;
            memset(p, 0, HOSTILE_OP);
            p[1] = (uint8_t)(slot << 3 | queue);
            if (step == 0) {
                p[0] = 4;
                p[1] = (uint8_t)slot;
            } else if (step < 4) {
                p[0] = 5;
                p[2] = (uint8_t)(step - 1);
                p[3] = (uint8_t)(step * 4 - 1);
                p[5] = step == 1 ? 0 : (uint8_t)n;
                p[12] = (uint8_t)((step < 3 ? 1 : 0) | (step > 1 && n & 1 ? 2 : 0));
                p[14] = (uint8_t)step;
            } else if (step == 4) {
                p[0] = 10;
                p[2] = 3;
                p[4] = (uint8_t)(n / 2);
            } else if (step == 5) {
                p[0] = 8;
                p[3] = 1;
            } else {
                p[0] = step == 6 ? 11 : 15;
                p[2] = 100;
            }
        }
    }
    return (size_t)(p - buf);
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    uint64_t x = n * UINT64_C(0x9e3779b97f4a7c15) + 1;
    if (n < 20) {
        return seed_requests(n, buf);
    }
    if (n < 40) { /* noise finds its way, too */
        size_t len = 1 + 60 * HOSTILE_OP;
        for (size_t i = 0; i < len && i < cap; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            buf[i] = (uint8_t)(x >> 56);
        }
        buf[0] = (uint8_t)(2 * n);
        return len;
    }
    return n < 43 ? seed_snapshot(n - 40, buf, cap) : 0;
}

/*
 * Calls of the built-in SBI: the input is a list of calls with arguments that are mostly near
 * something (a hart, RAM's borders). The host of paper accepts nothing that it could not do: harts
 * that do not exist, memory that is not RAM.
 */
#include "fuzz.h"

#include "base/bits.h"
#include "boot/sbi.h"
#include <stdlib.h>
#include <string.h>

#define RAM UINT64_C(0x80000000)

enum { RAM_LEN = 4096, CALL_LEN = 16 };

struct paper {
    struct vr_sbi_host host;
    enum vr_sbi_hart_state state[64];
    uint8_t ram[RAM_LEN];
};

static bool has(const struct paper *p, unsigned hart)
{
    return hart < p->host.hart_count;
}

static bool paper_is_ram(void *opaque, uint64_t gpa, uint64_t len)
{
    (void)opaque;
    return gpa >= RAM && vr_in_range(gpa - RAM, len, RAM_LEN);
}

static void paper_timer(void *opaque, unsigned hart, uint64_t ticks)
{
    (void)ticks;
    KEEPS(has(opaque, hart));
}

static void paper_ipi(void *opaque, unsigned hart)
{
    KEEPS(has(opaque, hart));
}

static void paper_fence(void *opaque, unsigned self, uint64_t mask, enum vr_sbi_fence kind)
{
    const struct paper *p = opaque;
    KEEPS(has(p, self) && (kind == VR_SBI_FENCE_I || kind == VR_SBI_FENCE_VMA));
    KEEPS((mask & ~vr_mask(p->host.hart_count)) == 0);
}

static enum vr_sbi_hart_state paper_state(void *opaque, unsigned hart)
{
    struct paper *p = opaque;
    KEEPS(has(p, hart));
    return p->state[hart];
}

static bool paper_start(void *opaque, unsigned hart, uint64_t pc, uint64_t arg)
{
    struct paper *p = opaque;
    (void)arg;
    KEEPS(has(p, hart) && paper_is_ram(p, pc, 2) && !(pc & 1));
    bool stopped = p->state[hart] == VR_SBI_STOPPED;
    p->state[hart] = VR_SBI_STARTED;
    return stopped;
}

static void paper_stop(void *opaque, unsigned hart)
{
    struct paper *p = opaque;
    KEEPS(has(p, hart));
    p->state[hart] = VR_SBI_STOPPED;
}

static void paper_suspend(void *opaque, unsigned hart)
{
    KEEPS(has(opaque, hart));
}

static void paper_suspend_to(void *opaque, unsigned hart, uint64_t pc, uint64_t arg)
{
    (void)arg;
    KEEPS(has(opaque, hart) && paper_is_ram(opaque, pc, 2) && !(pc & 1));
}

static int paper_read(void *opaque, uint64_t gpa, void *buf, size_t len)
{
    struct paper *p = opaque;
    KEEPS(paper_is_ram(p, gpa, len));
    memcpy(buf, p->ram + (gpa - RAM), len);
    return 0;
}

static int paper_write(void *opaque, uint64_t gpa, const void *buf, size_t len)
{
    struct paper *p = opaque;
    KEEPS(paper_is_ram(p, gpa, len));
    memcpy(p->ram + (gpa - RAM), buf, len);
    return 0;
}

static size_t paper_console_write(void *opaque, const uint8_t *buf, size_t len)
{
    volatile uint8_t sum = 0; /* every byte is there */
    (void)opaque;
    for (size_t i = 0; i < len; i++) {
        sum = (uint8_t)(sum + buf[i]);
    }
    return len ? len - sum % 2 : 0;
}

static size_t paper_console_read(void *opaque, uint8_t *buf, size_t len)
{
    (void)opaque;
    memset(buf, 'x', len / 2);
    return len / 2;
}

static void paper_reset(void *opaque, bool power_off, bool failure)
{
    (void)opaque;
    (void)power_off;
    (void)failure;
}

/* A number from two bytes: what it is near, and how near. */
static uint64_t number(const uint8_t *d)
{
    static const uint64_t near[] = {0,
                                    0,
                                    64,
                                    RAM,
                                    RAM + RAM_LEN,
                                    0x80000000,
                                    UINT64_C(1) << 32,
                                    UINT64_C(0xffffffff80000000),
                                    UINT64_C(1) << 63,
                                    0,
                                    UINT64_C(0) - RAM};
    return near[d[0] % VR_COUNT(near)] + (uint64_t)(int64_t)(int8_t)d[1];
}

static const uint32_t exts[] = {0,          1,          2,          8,          0x10,
                                0x54494d45, 0x735049,   0x52464e43, 0x48534d,   0x53525354,
                                0x4442434e, 0x53555350, 0x504d55,   0xffffffff, 0xf};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct paper p = {.host = {
                          .hart_count = 1 + (len ? data[0] % 64 : 0),
                          .opaque = &p,
                          .set_timer = paper_timer,
                          .ipi = paper_ipi,
                          .fence = paper_fence,
                          .state = paper_state,
                          .start = paper_start,
                          .stop = paper_stop,
                          .suspend = paper_suspend,
                          .suspend_to = paper_suspend_to,
                          .is_ram = paper_is_ram,
                          .read = paper_read,
                          .write = paper_write,
                          .console_write = paper_console_write,
                          .console_read = paper_console_read,
                          .reset = paper_reset,
                      }};
    for (size_t at = 1; at + CALL_LEN <= len; at += CALL_LEN) {
        const uint8_t *d = data + at;
        uint64_t a[8], before[8];
        for (unsigned i = 0; i < 6; i++) {
            a[i] = number(d + 2 * i);
        }
        a[6] = d[12];
        a[7] = exts[d[13] % VR_COUNT(exts)] + (d[14] ? number(d + 14) : 0);
        memcpy(before, a, sizeof(a));
        bool on = vr_sbi_call(&p.host, d[15] % p.host.hart_count, a);
        KEEPS(memcmp(a + 2, before + 2, sizeof(a) - 16) == 0);
        int64_t error = (int64_t)a[0];
        KEEPS(!on || before[7] <= 0xf || (error <= 0 && error >= -9));
    }
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    if (n >= 16 || cap < 1 + VR_COUNT(exts) * CALL_LEN) {
        return 0;
    }
    memset(buf, 0, 1 + VR_COUNT(exts) * CALL_LEN);
    buf[0] = (uint8_t)(n * 9);
    for (unsigned i = 0; i < VR_COUNT(exts); i++) { /* function n of every extension */
        uint8_t *d = buf + 1 + i * CALL_LEN;
        d[0] = (uint8_t)(n / 4 * 3);
        d[1] = 1;
        d[2] = 3;
        d[12] = (uint8_t)(n % 4);
        d[13] = (uint8_t)i;
        d[15] = (uint8_t)n;
    }
    return 1 + VR_COUNT(exts) * CALL_LEN;
}

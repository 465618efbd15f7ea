/*
 * Every call of the built-in SBI against a machine of paper. The oracle is the RISC-V SBI
 * Specification 2.0; section names stand at each test.
 */
#include "test.h"

#include "base/bits.h"
#include "boot/sbi.h"
#include <string.h>

enum {
    SUCCESS = 0,
    FAILED = -1,
    NOT_SUPPORTED = -2,
    INVALID_PARAM = -3,
    DENIED = -4,
    INVALID_ADDRESS = -5,
    ALREADY_AVAILABLE = -6,
};
enum {
    BASE = 0x10,
    TIME = 0x54494d45,
    IPI = 0x735049,
    RFENCE = 0x52464e43,
    HSM = 0x48534d,
    SRST = 0x53525354,
    DBCN = 0x4442434e,
    SUSP = 0x53555350,
    PMU = 0x504d55,
};

#define RAM     UINT64_C(0x80000000)
#define RAM_LEN UINT64_C(0x10000)

/* The machine: notes what was asked of it. */
struct paper {
    struct vr_sbi_host host;
    unsigned calls; /* of any hook that changes something */
    uint64_t timer[64];
    unsigned ipis[64];
    uint64_t fence_mask;
    enum vr_sbi_fence fence_kind;
    unsigned fence_self, fences;
    enum vr_sbi_hart_state state[64];
    uint64_t start_pc, start_arg;
    unsigned start_hart;
    unsigned stopped, suspended, suspended_to;
    uint64_t resume_pc, resume_arg;
    uint8_t ram[RAM_LEN];
    uint8_t out[512];
    size_t out_len, out_room;
    const char *in;
    unsigned resets;
    bool power_off, failure;
};

static void paper_timer(void *opaque, unsigned hart, uint64_t ticks)
{
    struct paper *p = opaque;
    p->timer[hart] = ticks;
    p->calls++;
}

static void paper_ipi(void *opaque, unsigned hart)
{
    struct paper *p = opaque;
    assert_true(hart < p->host.hart_count);
    p->ipis[hart]++;
    p->calls++;
}

static void paper_fence(void *opaque, unsigned self, uint64_t mask, enum vr_sbi_fence kind)
{
    struct paper *p = opaque;
    p->fence_self = self;
    p->fence_mask = mask;
    p->fence_kind = kind;
    p->fences++;
    p->calls++;
}

static enum vr_sbi_hart_state paper_state(void *opaque, unsigned hart)
{
    struct paper *p = opaque;
    assert_true(hart < p->host.hart_count);
    return p->state[hart];
}

static bool paper_start(void *opaque, unsigned hart, uint64_t pc, uint64_t arg)
{
    struct paper *p = opaque;
    assert_true(hart < p->host.hart_count);
    if (p->state[hart] != VR_SBI_STOPPED) {
        return false;
    }
    p->state[hart] = VR_SBI_START_PENDING;
    p->start_hart = hart;
    p->start_pc = pc;
    p->start_arg = arg;
    p->calls++;
    return true;
}

static void paper_stop(void *opaque, unsigned hart)
{
    struct paper *p = opaque;
    p->state[hart] = VR_SBI_STOPPED;
    p->stopped++;
    p->calls++;
}

static void paper_suspend(void *opaque, unsigned hart)
{
    struct paper *p = opaque;
    (void)hart;
    p->suspended++;
    p->calls++;
}

static void paper_suspend_to(void *opaque, unsigned hart, uint64_t pc, uint64_t arg)
{
    struct paper *p = opaque;
    (void)hart;
    p->suspended_to++;
    p->resume_pc = pc;
    p->resume_arg = arg;
    p->calls++;
}

static bool paper_is_ram(void *opaque, uint64_t gpa, uint64_t len)
{
    (void)opaque;
    return gpa >= RAM && vr_in_range(gpa - RAM, len, RAM_LEN);
}

static int paper_read(void *opaque, uint64_t gpa, void *buf, size_t len)
{
    struct paper *p = opaque;
    assert_true(paper_is_ram(p, gpa, len)); /* nobody asks without having looked */
    memcpy(buf, p->ram + (gpa - RAM), len);
    return 0;
}

static int paper_write(void *opaque, uint64_t gpa, const void *buf, size_t len)
{
    struct paper *p = opaque;
    assert_true(paper_is_ram(p, gpa, len));
    memcpy(p->ram + (gpa - RAM), buf, len);
    p->calls++;
    return 0;
}

static size_t paper_console_write(void *opaque, const uint8_t *buf, size_t len)
{
    struct paper *p = opaque;
    size_t room = p->out_room - p->out_len, n = len < room ? len : room;
    memcpy(p->out + p->out_len, buf, n);
    p->out_len += n;
    p->calls++;
    return n;
}

static size_t paper_console_read(void *opaque, uint8_t *buf, size_t len)
{
    struct paper *p = opaque;
    size_t n = 0;
    while (n < len && *p->in) {
        buf[n++] = (uint8_t)*p->in++;
    }
    return n;
}

static void paper_reset(void *opaque, bool power_off, bool failure)
{
    struct paper *p = opaque;
    p->resets++;
    p->power_off = power_off;
    p->failure = failure;
    p->calls++;
}

static void paper_init(struct paper *p, unsigned harts)
{
    memset(p, 0, sizeof(*p));
    p->host = (struct vr_sbi_host){
        .hart_count = harts,
        .opaque = p,
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
    };
    p->in = "";
    p->out_room = sizeof(p->out);
    for (unsigned i = 1; i < 64; i++) {
        p->state[i] = VR_SBI_STOPPED;
    }
}

struct result {
    int64_t error;
    uint64_t value;
    bool go_on;
};

/* As hart @hart; a2 to a7 must come back as they were ("Binary Encoding"). */
static struct result call_on(struct paper *p, unsigned hart, uint64_t ext, uint64_t func,
                             uint64_t a0, uint64_t a1, uint64_t a2)
{
    uint64_t a[8] = {a0, a1, a2, 0xa3, 0xa4, 0xa5, func, ext}, before[8];
    memcpy(before, a, sizeof(a));
    bool go_on = vr_sbi_call(&p->host, hart, a);
    assert_memory_equal(a + 2, before + 2, sizeof(a) - 2 * sizeof(a[0]));
    return (struct result){(int64_t)a[0], a[1], go_on};
}

static struct result call(struct paper *p, uint64_t ext, uint64_t func, uint64_t a0, uint64_t a1,
                          uint64_t a2)
{
    return call_on(p, 0, ext, func, a0, a1, a2);
}

/* It fails so, changes nothing, and the hart goes on. */
static void fails(struct paper *p, int error, uint64_t ext, uint64_t func, uint64_t a0, uint64_t a1,
                  uint64_t a2)
{
    unsigned calls = p->calls;
    struct result r = call(p, ext, func, a0, a1, a2);
    assert_int_equal(r.error, error);
    assert_true(r.go_on);
    assert_int_equal(p->calls, calls);
}

static void succeeds(struct paper *p, uint64_t value, uint64_t ext, uint64_t func, uint64_t a0,
                     uint64_t a1, uint64_t a2)
{
    struct result r = call(p, ext, func, a0, a1, a2);
    assert_int_equal(r.error, SUCCESS);
    assert_int_equal(r.value, value);
    assert_true(r.go_on);
}

static const uint64_t known[] = {0, 1, 2, 8, BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, SUSP};

static bool is_known(uint64_t ext)
{
    for (unsigned i = 0; i < VR_COUNT(known); i++) {
        if (known[i] == ext) {
            return true;
        }
    }
    return false;
}

/* "Base Extension" */
static void base_tells_what_there_is(void **state)
{
    struct paper p;
    (void)state;
    paper_init(&p, 4);
    succeeds(&p, 2 << 24, BASE, 0, 0, 0, 0); /* version 2.0 */
    assert_true(call(&p, BASE, 1, 0, 0, 0).value > 0);
    assert_true(call(&p, BASE, 2, 0, 0, 0).error == SUCCESS);
    for (unsigned i = 0; i < VR_COUNT(known); i++) {
        succeeds(&p, 1, BASE, 3, known[i], 0, 0);
    }
    succeeds(&p, 0, BASE, 3, PMU, 7, 0);
    succeeds(&p, 0, BASE, 3, UINT64_MAX, 7, 0);
    succeeds(&p, 0, BASE, 3, TIME | UINT64_C(1) << 32, 7, 0);
    for (unsigned f = 4; f <= 6; f++) {
        succeeds(&p, 0, BASE, f, 9, 9, 9);
    }
    fails(&p, NOT_SUPPORTED, BASE, 7, 0, 0, 0);
    fails(&p, NOT_SUPPORTED, BASE, UINT64_MAX, 0, 0, 0);
}

/* "An ECALL with an unsupported EID or FID must return SBI_ERR_NOT_SUPPORTED." */
static void unknown_calls_are_not_supported(void **state)
{
    static const unsigned funcs[] = {[0] = 7, 1, 1, 3, 4, 1, 3, 1};
    static const uint64_t exts[] = {BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, SUSP};
    struct paper p;
    uint64_t seed = 88172645463325252u;
    (void)state;
    paper_init(&p, 4);
    for (unsigned i = 0; i < VR_COUNT(exts); i++) {
        for (unsigned f = funcs[i]; f < 100; f++) {
            fails(&p, NOT_SUPPORTED, exts[i], f, 1, 0, RAM);
        }
        fails(&p, NOT_SUPPORTED, exts[i], UINT64_MAX, 1, 0, RAM);
        fails(&p, NOT_SUPPORTED, exts[i], UINT64_C(1) << 32, 1, 0, RAM);
        fails(&p, NOT_SUPPORTED, exts[i] | UINT64_C(1) << 63, 0, 1, 0, RAM);
    }
    for (unsigned i = 0; i < 100000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t ext = i < 1000 ? i : seed >> (seed >> 59);
        if (!is_known(ext)) {
            fails(&p, NOT_SUPPORTED, ext, i % 5, seed, 0, 0);
        }
    }
}

/* "Legacy Extensions": the result is in a0 alone. */
static void legacy_calls_leave_a1_alone(void **state)
{
    struct paper p;
    (void)state;
    paper_init(&p, 2);
    struct result r = call_on(&p, 1, 0, 0, 12345, 77, 0);
    assert_int_equal(r.error, 0);
    assert_int_equal(r.value, 77);
    assert_int_equal(p.timer[1], 12345);
    r = call(&p, 1, 0, 'x' | 0xff00, 77, 0);
    assert_int_equal(r.error, 0);
    assert_int_equal(r.value, 77);
    assert_int_equal(p.out_len, 1);
    assert_int_equal(p.out[0], 'x');
    assert_int_equal(call(&p, 2, 0, 0, 77, 0).error, -1); /* nothing typed */
    p.in = "\xff";
    r = call(&p, 2, 0, 0, 77, 0);
    assert_int_equal(r.error, 255);
    assert_int_equal(r.value, 77);
    r = call(&p, 8, 0, 0, 0, 0);
    assert_false(r.go_on);
    assert_int_equal(p.resets, 1);
    assert_true(p.power_off && !p.failure);
}

/* "Timer Extension" */
static void timers_are_the_calling_harts(void **state)
{
    struct paper p;
    (void)state;
    paper_init(&p, 3);
    assert_int_equal(call_on(&p, 2, TIME, 0, 99, 0, 0).error, SUCCESS);
    assert_int_equal(p.timer[2], 99);
    assert_int_equal(call_on(&p, 2, TIME, 0, UINT64_MAX, 0, 0).error, SUCCESS);
    assert_int_equal(p.timer[2], UINT64_MAX);
    assert_int_equal(p.timer[0] | p.timer[1], 0);
}

static uint64_t all_harts(unsigned count)
{
    return count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

/* "Hart list parameter", for every number of harts, with an oracle that counts on fingers. */
static void hart_masks_name_harts_that_exist(void **state)
{
    static const uint64_t masks[] = {0,
                                     1,
                                     2,
                                     3,
                                     0x8000000000000000,
                                     UINT64_MAX,
                                     0xff,
                                     0x5555555555555555,
                                     0x7fffffffffffffff,
                                     0xffffffff};
    static const uint64_t bases[] = {
        0, 1, 2, 3, 31, 32, 33, 62, 63, 64, 128, 0xffffffff, 1u << 31u, UINT64_MAX - 1, UINT64_MAX};
    struct paper p;
    (void)state;
    for (unsigned n = 1; n <= 64; n++) {
        for (unsigned i = 0; i < VR_COUNT(masks) * VR_COUNT(bases); i++) {
            uint64_t mask = masks[i % VR_COUNT(masks)], base = bases[i / VR_COUNT(masks)];
            uint64_t want = 0;
            bool good = base < n || base == UINT64_MAX;
            for (unsigned b = 0; good && b < 64 && base != UINT64_MAX; b++) {
                if (mask >> b & 1) {
                    good = base + b < n;
                    want |= good ? UINT64_C(1) << (base + b) : 0;
                }
            }
            want = base == UINT64_MAX ? all_harts(n) : want;
            paper_init(&p, n);
            if (!good) {
                fails(&p, INVALID_PARAM, IPI, 0, mask, base, 0);
                fails(&p, INVALID_PARAM, RFENCE, 0, mask, base, 0);
                fails(&p, INVALID_PARAM, RFENCE, 1, mask, base, 0);
                fails(&p, INVALID_PARAM, RFENCE, 2, mask, base, 0);
                continue;
            }
            assert_int_equal(call(&p, IPI, 0, mask, base, 0).error, SUCCESS);
            for (unsigned h = 0; h < 64; h++) {
                assert_int_equal(p.ipis[h], want >> h & 1);
            }
            for (unsigned f = 0; f < 3; f++) {
                assert_int_equal(call_on(&p, n - 1, RFENCE, f, mask, base, 0x1000).error, SUCCESS);
                assert_int_equal(p.fence_mask, want);
                assert_int_equal(p.fence_self, n - 1);
                assert_int_equal(p.fence_kind, f == 0 ? VR_SBI_FENCE_I : VR_SBI_FENCE_VMA);
            }
            assert_int_equal(p.fences, 3);
        }
    }
}

static const uint64_t bad_addresses[] = {0,
                                         RAM - 2,
                                         RAM + 1, /* not where an instruction can be */
                                         RAM + RAM_LEN,
                                         RAM + RAM_LEN - 1,
                                         UINT64_MAX,
                                         UINT64_MAX - 1,
                                         RAM + (UINT64_C(1) << 32)};

/* "Hart start", "Hart get status" */
static void harts_start_when_they_are_stopped(void **state)
{
    struct paper p;
    (void)state;
    paper_init(&p, 4);
    for (unsigned i = 0; i < VR_COUNT(bad_addresses); i++) {
        fails(&p, INVALID_ADDRESS, HSM, 0, 1, bad_addresses[i], 5);
    }
    fails(&p, INVALID_PARAM, HSM, 0, 4, RAM, 5);
    fails(&p, INVALID_PARAM, HSM, 0, UINT64_MAX, RAM, 5);
    fails(&p, INVALID_PARAM, HSM, 0, UINT64_C(1) << 32 | 1, RAM, 5);
    fails(&p, ALREADY_AVAILABLE, HSM, 0, 0, RAM, 5); /* itself */
    assert_int_equal(call(&p, HSM, 0, 3, RAM + RAM_LEN - 2, 5).error, SUCCESS);
    assert_int_equal(p.start_hart, 3);
    assert_int_equal(p.start_pc, RAM + RAM_LEN - 2);
    assert_int_equal(p.start_arg, 5);
    fails(&p, ALREADY_AVAILABLE, HSM, 0, 3, RAM, 5);

    for (unsigned s = VR_SBI_STARTED; s <= VR_SBI_SUSPENDED; s++) {
        p.state[2] = (enum vr_sbi_hart_state)s;
        succeeds(&p, s, HSM, 2, 2, 0, 0); /* the numbers are the specification's */
    }
    assert_int_equal(VR_SBI_STOPPED, 1);
    assert_int_equal(VR_SBI_SUSPENDED, 4);
    fails(&p, INVALID_PARAM, HSM, 2, 4, 0, 0);
    fails(&p, INVALID_PARAM, HSM, 2, UINT64_MAX, 0, 0);
}

/* "Hart stop", "Hart suspend": suspend_type is 32 bits wide, whatever is in the register above. */
static void harts_stop_and_suspend(void **state)
{
    static const uint64_t bad_types[] = {
        1,          0x0fffffff, 0x10000000, 0x7fffffff, 0x80000001,
        0x8fffffff, 0x90000000, 0xffffffff, UINT64_MAX, UINT64_C(0xffffffff90000000)};
    struct paper p;
    (void)state;
    paper_init(&p, 2);
    for (unsigned i = 0; i < VR_COUNT(bad_types); i++) {
        fails(&p, INVALID_PARAM, HSM, 3, bad_types[i], RAM, 5);
    }
    for (unsigned i = 0; i < VR_COUNT(bad_addresses); i++) {
        fails(&p, INVALID_ADDRESS, HSM, 3, 0x80000000, bad_addresses[i], 5);
    }
    assert_false(call(&p, HSM, 3, 0, UINT64_MAX, 5).go_on); /* retentive: no address is needed */
    assert_int_equal(p.suspended, 1);
    assert_false(call(&p, HSM, 3, UINT64_C(0xdead00000000), UINT64_MAX, 5).go_on);
    assert_int_equal(p.suspended, 2);
    assert_false(call(&p, HSM, 3, 0x80000000, RAM + 2, 5).go_on);
    assert_int_equal(p.suspended_to, 1);
    assert_int_equal(p.resume_pc, RAM + 2);
    assert_int_equal(p.resume_arg, 5);
    /* as a C compiler for RV64 passes a uint32_t */
    assert_false(call(&p, HSM, 3, UINT64_C(0xffffffff80000000), RAM + 4, 6).go_on);
    assert_int_equal(p.suspended_to, 2);
    assert_int_equal(p.resume_pc, RAM + 4);
    assert_false(call_on(&p, 1, HSM, 1, 0, 0, 0).go_on);
    assert_int_equal(p.stopped, 1);
    assert_int_equal(p.state[1], VR_SBI_STOPPED);
}

/* "System Reset Extension" */
static void resets_are_what_was_asked_for(void **state)
{
    static const uint64_t bad[] = {3, 0xdfffffff, 0xe0000000, 0xefffffff, 0xf0000000, 0xffffffff};
    struct paper p;
    (void)state;
    paper_init(&p, 1);
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        for (unsigned j = 0; j < 3; j++) {
            fails(&p, INVALID_PARAM, SRST, 0, bad[i], j, 0);
            fails(&p, INVALID_PARAM, SRST, 0, j, bad[i], 0);
            fails(&p, INVALID_PARAM, SRST, 0, bad[i], bad[(i + j) % VR_COUNT(bad)], 0);
        }
    }
    fails(&p, INVALID_PARAM, SRST, 0, 0, 2, 0);
    for (unsigned type = 0; type < 3; type++) {
        for (unsigned reason = 0; reason < 2; reason++) {
            for (unsigned high = 0; high < 2; high++) { /* both parameters have 32 bits */
                uint64_t top = high ? UINT64_C(0xffffffff00000000) : 0;
                paper_init(&p, 1);
                assert_false(call(&p, SRST, 0, type | top, reason | top, 0).go_on);
                assert_int_equal(p.resets, 1);
                assert_int_equal(p.power_off, type == 0);
                assert_int_equal(p.failure, reason == 1);
            }
        }
    }
}

/* "Debug Console Extension" */
static void the_console_reaches_ram_only(void **state)
{
    static const struct {
        uint64_t len, low, high;
    } bad[] = {
        {1, 0, 0},
        {1, RAM - 1, 0},
        {2, RAM - 1, 0},
        {1, RAM + RAM_LEN, 0},
        {2, RAM + RAM_LEN - 1, 0},
        {RAM_LEN + 1, RAM, 0},
        {UINT64_MAX, RAM, 0},
        {UINT64_MAX, RAM + 1, 0},
        {UINT64_MAX - RAM + 1, RAM, 0}, /* wraps to 0 */
        {1, UINT64_MAX, 0},
        {2, UINT64_MAX, 0},
        {1, RAM, 1},
        {1, RAM, UINT64_MAX},
    };
    struct paper p;
    (void)state;
    paper_init(&p, 1);
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        p.in = "typed";
        fails(&p, INVALID_PARAM, DBCN, 0, bad[i].len, bad[i].low, bad[i].high);
        fails(&p, INVALID_PARAM, DBCN, 1, bad[i].len, bad[i].low, bad[i].high);
        assert_string_equal(p.in, "typed");
    }
    memcpy(p.ram, "hello", 5);
    succeeds(&p, 5, DBCN, 0, 5, RAM, 0);
    assert_memory_equal(p.out, "hello", 5);
    succeeds(&p, 0, DBCN, 0, 0, RAM, 0);
    p.ram[RAM_LEN - 1] = '!';
    succeeds(&p, 1, DBCN, 0, 1, RAM + RAM_LEN - 1, 0);
    assert_int_equal(p.out[5], '!');

    /* It may write less than asked; the whole of RAM goes out in steps. */
    struct result r = call(&p, DBCN, 0, RAM_LEN, RAM, 0);
    assert_int_equal(r.error, SUCCESS);
    assert_true(r.value > 0 && r.value <= sizeof(p.out) - 6);
    p.out_room = p.out_len;
    succeeds(&p, 0, DBCN, 0, 5, RAM, 0); /* nobody takes it: none was written, and no waiting */

    p.in = "typed";
    succeeds(&p, 3, DBCN, 1, 3, RAM + 0x100, 0);
    assert_memory_equal(p.ram + 0x100, "typ\0", 4);
    succeeds(&p, 2, DBCN, 1, 100, RAM + RAM_LEN - 100, 0);
    assert_memory_equal(p.ram + RAM_LEN - 100, "ed\0", 3);
    succeeds(&p, 0, DBCN, 1, 100, RAM, 0);

    paper_init(&p, 1);
    succeeds(&p, 0, DBCN, 2, 'y' | 0x1200, 99, 0); /* a byte; value is 0 */
    assert_int_equal(p.out[0], 'y');
    p.out_room = p.out_len;
    assert_int_equal(call(&p, DBCN, 2, 'z', 0, 0).error, FAILED);
}

/* "System Suspend Extension" */
static void suspend_to_ram_wants_to_be_alone(void **state)
{
    static const uint64_t bad_types[] = {1, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX};
    struct paper p;
    (void)state;
    paper_init(&p, 4);
    for (unsigned i = 0; i < VR_COUNT(bad_types); i++) {
        fails(&p, INVALID_PARAM, SUSP, 0, bad_types[i], RAM, 5);
    }
    for (unsigned i = 0; i < VR_COUNT(bad_addresses); i++) {
        fails(&p, INVALID_ADDRESS, SUSP, 0, 0, bad_addresses[i], 5);
    }
    for (unsigned h = 1; h < 4; h++) {
        for (unsigned s = VR_SBI_STARTED; s <= VR_SBI_SUSPENDED; s++) {
            p.state[h] = (enum vr_sbi_hart_state)s;
            if (s != VR_SBI_STOPPED) {
                fails(&p, DENIED, SUSP, 0, 0, RAM, 5);
            }
        }
        p.state[h] = VR_SBI_STOPPED;
    }
    assert_false(call(&p, SUSP, 0, 0, RAM + 6, 5).go_on);
    assert_int_equal(p.suspended_to, 1);
    assert_int_equal(p.resume_pc, RAM + 6);
    assert_int_equal(p.resume_arg, 5);
    assert_false(call(&p, SUSP, 0, UINT64_C(1) << 40, RAM, 5).go_on); /* 32 bits are the type */
    p.state[0] = VR_SBI_STOPPED; /* the caller may be any hart */
    p.state[3] = VR_SBI_STARTED;
    assert_false(call_on(&p, 3, SUSP, 0, 0, RAM, 5).go_on);
    assert_int_equal(p.suspended_to, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_tells_what_there_is),
        cmocka_unit_test(unknown_calls_are_not_supported),
        cmocka_unit_test(legacy_calls_leave_a1_alone),
        cmocka_unit_test(timers_are_the_calling_harts),
        cmocka_unit_test(hart_masks_name_harts_that_exist),
        cmocka_unit_test(harts_start_when_they_are_stopped),
        cmocka_unit_test(harts_stop_and_suspend),
        cmocka_unit_test(resets_are_what_was_asked_for),
        cmocka_unit_test(the_console_reaches_ram_only),
        cmocka_unit_test(suspend_to_ram_wants_to_be_alone),
    };
    return cmocka_run_group_tests_name("sbi", tests, NULL, NULL);
}

/*
 * The built-in Supervisor Binary Interface. RISC-V SBI Specification 2.0; chapter numbers stand at
 * each part.
 */
#include "boot/sbi.h"
#include <string.h>

enum {
    SBI_SUCCESS = 0,
    SBI_ERR_FAILED = -1,
    SBI_ERR_NOT_SUPPORTED = -2,
    SBI_ERR_INVALID_PARAM = -3,
    SBI_ERR_DENIED = -4,
    SBI_ERR_INVALID_ADDRESS = -5,
    SBI_ERR_ALREADY_AVAILABLE = -6,
};

enum {
    EXT_LEGACY_SET_TIMER = 0,
    EXT_LEGACY_PUTCHAR = 1,
    EXT_LEGACY_GETCHAR = 2,
    EXT_LEGACY_SHUTDOWN = 8,
    EXT_BASE = 0x10,
    EXT_TIME = 0x54494d45,
    EXT_IPI = 0x735049,
    EXT_RFENCE = 0x52464e43,
    EXT_HSM = 0x48534d,
    EXT_SRST = 0x53525354,
    EXT_DBCN = 0x4442434e,
    EXT_SUSP = 0x53555350,
};

enum { SPEC_2_0 = 2 << 24, IMPL_ID = 0x56495245, IMPL_VERSION = 1, CONSOLE_CHUNK = 256 };

static bool known_extension(uint64_t ext)
{
    switch (ext) {
    case EXT_LEGACY_SET_TIMER:
    case EXT_LEGACY_PUTCHAR:
    case EXT_LEGACY_GETCHAR:
    case EXT_LEGACY_SHUTDOWN:
    case EXT_BASE:
    case EXT_TIME:
    case EXT_IPI:
    case EXT_RFENCE:
    case EXT_HSM:
    case EXT_SRST:
    case EXT_DBCN:
    case EXT_SUSP:
        return true;
    default:
        return false;
    }
}

/* Chapter 4 */
static int64_t sbi_base(uint64_t func, uint64_t *a)
{
    switch (func) {
    case 0:
        a[1] = SPEC_2_0;
        return SBI_SUCCESS;
    case 1:
        a[1] = IMPL_ID;
        return SBI_SUCCESS;
    case 2:
        a[1] = IMPL_VERSION;
        return SBI_SUCCESS;
    case 3:
        a[1] = known_extension(a[0]);
        return SBI_SUCCESS;
    case 4: /* mvendorid, marchid, mimpid: none registered */
    case 5:
    case 6:
        a[1] = 0;
        return SBI_SUCCESS;
    default:
        return SBI_ERR_NOT_SUPPORTED;
    }
}

/* Parameters that the specification calls 32 bits wide are cut to that ("Binary Encoding": higher
 * privilege software must ensure that it only uses 32 bit data): compilers extend their sign. */

/* Section 3.1: a mask of harts counted from a base; base -1 means all. */
static bool harts_in(const struct vr_sbi_host *h, uint64_t mask, uint64_t base, uint64_t *ret_set)
{
    uint64_t all = h->hart_count == 64 ? UINT64_MAX : (UINT64_C(1) << h->hart_count) - 1;
    if (base == UINT64_MAX) {
        *ret_set = all;
        return true;
    }
    if (base >= h->hart_count) {
        return false;
    }
    *ret_set = mask << base;
    return *ret_set >> base == mask && (*ret_set & ~all) == 0;
}

/* Chapters 7 and 8 */
static int64_t sbi_ipi(const struct vr_sbi_host *h, uint64_t func, uint64_t *a)
{
    uint64_t set;
    if (func != 0) {
        return SBI_ERR_NOT_SUPPORTED;
    }
    if (!harts_in(h, a[0], a[1], &set)) {
        return SBI_ERR_INVALID_PARAM;
    }
    for (unsigned i = 0; i < h->hart_count; i++) {
        if (set >> i & 1) {
            h->ipi(h->opaque, i);
        }
    }
    return SBI_SUCCESS;
}

static int64_t sbi_rfence(const struct vr_sbi_host *h, unsigned hart, uint64_t func, uint64_t *a)
{
    uint64_t set;
    if (func > 2) {
        return SBI_ERR_NOT_SUPPORTED; /* 3..6 fence guests of a hypervisor */
    }
    if (!harts_in(h, a[0], a[1], &set)) {
        return SBI_ERR_INVALID_PARAM;
    }
    h->fence(h->opaque, hart, set, func == 0 ? VR_SBI_FENCE_I : VR_SBI_FENCE_VMA);
    return SBI_SUCCESS;
}

/* Chapter 9 */
static int64_t sbi_hsm(const struct vr_sbi_host *h, unsigned hart, uint64_t func, uint64_t *a,
                       bool *ret_go_on)
{
    uint32_t kind = (uint32_t)a[0];
    switch (func) {
    case 0:
        if (a[0] >= h->hart_count) {
            return SBI_ERR_INVALID_PARAM;
        }
        if (a[1] & 1 || !h->is_ram(h->opaque, a[1], 2)) {
            return SBI_ERR_INVALID_ADDRESS;
        }
        return h->start(h->opaque, (unsigned)a[0], a[1], a[2]) ? SBI_SUCCESS
                                                               : SBI_ERR_ALREADY_AVAILABLE;
    case 1:
        h->stop(h->opaque, hart);
        *ret_go_on = false;
        return SBI_SUCCESS;
    case 2:
        if (a[0] >= h->hart_count) {
            return SBI_ERR_INVALID_PARAM;
        }
        a[1] = (uint64_t)h->state(h->opaque, (unsigned)a[0]);
        return SBI_SUCCESS;
    case 3: /* suspend: the default kinds are a wait, retentive or not; there are no others */
        if (kind != 0 && kind != 0x80000000) {
            return SBI_ERR_INVALID_PARAM;
        }
        if (kind != 0 && (a[1] & 1 || !h->is_ram(h->opaque, a[1], 2))) {
            return SBI_ERR_INVALID_ADDRESS;
        }
        if (kind != 0) {
            h->suspend_to(h->opaque, hart, a[1], a[2]);
        } else {
            h->suspend(h->opaque, hart);
        }
        *ret_go_on = false;
        return SBI_SUCCESS;
    default:
        return SBI_ERR_NOT_SUPPORTED;
    }
}

/* Chapter 10 */
static int64_t sbi_srst(const struct vr_sbi_host *h, uint64_t func, uint64_t *a, bool *ret_go_on)
{
    uint32_t type = (uint32_t)a[0], reason = (uint32_t)a[1];
    if (func != 0) {
        return SBI_ERR_NOT_SUPPORTED;
    }
    if (type > 2 || reason > 1) { /* reserved, or a platform's own, of which there are none */
        return SBI_ERR_INVALID_PARAM;
    }
    h->reset(h->opaque, type == 0, reason == 1);
    *ret_go_on = false;
    return SBI_SUCCESS;
}

/* Chapter 12. Address halves: a1 low, a2 high, which is 0 on RV64. */
static int64_t sbi_dbcn(const struct vr_sbi_host *h, uint64_t func, uint64_t *a)
{
    uint8_t buf[CONSOLE_CHUNK];
    size_t len = a[0] < sizeof(buf) ? (size_t)a[0] : sizeof(buf);
    switch (func) {
    case 0:
        if (a[2] != 0 || !h->is_ram(h->opaque, a[1], a[0]) ||
            h->read(h->opaque, a[1], buf, len) < 0) {
            return SBI_ERR_INVALID_PARAM;
        }
        a[1] = h->console_write(h->opaque, buf, len);
        return SBI_SUCCESS;
    case 1:
        if (a[2] != 0 || !h->is_ram(h->opaque, a[1], a[0])) {
            return SBI_ERR_INVALID_PARAM;
        }
        len = h->console_read(h->opaque, buf, len);
        if (len && h->write(h->opaque, a[1], buf, len) < 0) {
            return SBI_ERR_INVALID_PARAM;
        }
        a[1] = len;
        return SBI_SUCCESS;
    case 2:
        buf[0] = (uint8_t)a[0];
        a[1] = 0;
        return h->console_write(h->opaque, buf, 1) == 1 ? SBI_SUCCESS : SBI_ERR_FAILED;
    default:
        return SBI_ERR_NOT_SUPPORTED;
    }
}

/* Chapter 13: suspend to RAM. All other harts must be stopped; we wait, then resume at the given
 * address. */
static int64_t sbi_susp(const struct vr_sbi_host *h, unsigned hart, uint64_t func, uint64_t *a,
                        bool *ret_go_on)
{
    if (func != 0) {
        return SBI_ERR_NOT_SUPPORTED;
    }
    if ((uint32_t)a[0] != 0) {
        return SBI_ERR_INVALID_PARAM;
    }
    if (a[1] & 1 || !h->is_ram(h->opaque, a[1], 2)) {
        return SBI_ERR_INVALID_ADDRESS;
    }
    for (unsigned i = 0; i < h->hart_count; i++) {
        if (i != hart && h->state(h->opaque, i) != VR_SBI_STOPPED) {
            return SBI_ERR_DENIED;
        }
    }
    h->suspend_to(h->opaque, hart, a[1], a[2]);
    *ret_go_on = false;
    return SBI_SUCCESS;
}

/* Chapter 5 */
static bool sbi_legacy(const struct vr_sbi_host *h, unsigned hart, uint64_t *a)
{
    uint8_t c = (uint8_t)a[0];
    switch (a[7]) {
    case EXT_LEGACY_SET_TIMER:
        h->set_timer(h->opaque, hart, a[0]);
        a[0] = 0;
        return true;
    case EXT_LEGACY_PUTCHAR:
        (void)h->console_write(h->opaque, &c, 1);
        a[0] = 0;
        return true;
    case EXT_LEGACY_GETCHAR:
        a[0] = h->console_read(h->opaque, &c, 1) == 1 ? c : UINT64_MAX;
        return true;
    case EXT_LEGACY_SHUTDOWN:
        h->reset(h->opaque, true, false);
        return false;
    default:
        a[0] = (uint64_t)(int64_t)SBI_ERR_NOT_SUPPORTED;
        return true;
    }
}

bool vr_sbi_call(const struct vr_sbi_host *h, unsigned hart, uint64_t *a)
{
    uint64_t func = a[6];
    bool go_on = true;
    int64_t r;
    if (a[7] <= 0xf) {
        return sbi_legacy(h, hart, a);
    }
    switch (a[7]) {
    case EXT_BASE:
        r = sbi_base(func, a);
        break;
    case EXT_TIME: /* chapter 6 */
        r = func == 0 ? SBI_SUCCESS : SBI_ERR_NOT_SUPPORTED;
        if (func == 0) {
            h->set_timer(h->opaque, hart, a[0]);
        }
        break;
    case EXT_IPI:
        r = sbi_ipi(h, func, a);
        break;
    case EXT_RFENCE:
        r = sbi_rfence(h, hart, func, a);
        break;
    case EXT_HSM:
        r = sbi_hsm(h, hart, func, a, &go_on);
        break;
    case EXT_SRST:
        r = sbi_srst(h, func, a, &go_on);
        break;
    case EXT_DBCN:
        r = sbi_dbcn(h, func, a);
        break;
    case EXT_SUSP:
        r = sbi_susp(h, hart, func, a, &go_on);
        break;
    default:
        r = SBI_ERR_NOT_SUPPORTED;
        break;
    }
    if (go_on) {
        a[0] = (uint64_t)r;
        if (r != SBI_SUCCESS) {
            a[1] = 0;
        }
    }
    return go_on;
}

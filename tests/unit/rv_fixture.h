/* What the tests of a single hart stand on: RAM, a stepped clock, a hart, and no machine. */
#ifndef VR_TEST_RV_FIXTURE_H
#define VR_TEST_RV_FIXTURE_H

#include "rv_engine.h"
#include "test.h"

#include "base/bits.h"
#include "core/machine.h"
#include "core/snap.h"
#include "cpu/riscv/priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BASE UINT64_C(0x80000000)
#define RAM_LEN  UINT64_C(0x100000)

struct fixture {
    struct vr_space *mem;
    struct vr_ram *ram;
    struct vr_region region;
    struct vr_clock *clock;
    struct rv_hart *hart;
    uint64_t seed;
    unsigned calls;
};

static inline uint64_t rnd(struct fixture *f) /* splitmix64 */
{
    uint64_t z = f->seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline uint64_t test_time(void *opaque)
{
    return vr_clock_now(((struct fixture *)opaque)->clock) / 100;
}

static inline struct rv_hart *new_hart(struct fixture *f, const struct rv_config *config)
{
    struct rv_hart *hart;
    assert_int_equal(rv_hart_create(NULL, 3, config, f->mem, f->clock, test_time, f, &hart, NULL),
                     0);
    return hart;
}

static inline void drop_hart(struct rv_hart *hart)
{
    hart->cpu.vcpu.ops->destroy(&hart->cpu.vcpu);
}

static inline void use_config(struct fixture *f, const struct rv_config *config)
{
    drop_hart(f->hart);
    f->hart = new_hart(f, config);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct rv_config config;
    assert_non_null(f);
    assert_int_equal(vr_space_create("mem", UINT64_MAX, &f->mem, NULL), 0);
    assert_int_equal(vr_ram_create("ram", RAM_LEN, &f->ram, NULL), 0);
    f->region = (struct vr_region){
        .name = "ram", .kind = VR_REGION_RAM, .gpa = RAM_BASE, .len = RAM_LEN, .ram = f->ram};
    assert_int_equal(vr_space_add(f->mem, &f->region, NULL), 0);
    assert_int_equal(vr_clock_create(VR_CLOCK_STEPPED, &f->clock, NULL), 0);
    rv_config_default(&config);
    use_engine(&config);
    f->hart = new_hart(f, &config);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    drop_hart(f->hart);
    vr_clock_destroy(f->clock);
    vr_space_remove(f->mem, &f->region);
    vr_space_destroy(f->mem);
    vr_ram_destroy(f->ram);
    free(f);
    return 0;
}

static inline uint64_t get(struct rv_hart *hart, unsigned csr)
{
    uint64_t v = 0;
    if (!rv_csr_read(hart, csr, &v)) {
        fail_msg("csr %03x cannot be read", csr);
    }
    return v;
}

static inline void set(struct rv_hart *hart, unsigned csr, uint64_t v)
{
    if (!rv_csr_write(hart, csr, v)) {
        fail_msg("csr %03x cannot be written", csr);
    }
}

enum {
    CSR_SSTATUS = 0x100,
    CSR_SIE = 0x104,
    CSR_SENVCFG = 0x10a,
    CSR_SIP = 0x144,
    CSR_STIMECMP = 0x14d,
    CSR_SATP = 0x180,
    CSR_MSTATUS = 0x300,
    CSR_MISA = 0x301,
    CSR_MEDELEG = 0x302,
    CSR_MIDELEG = 0x303,
    CSR_MIE = 0x304,
    CSR_MTVEC = 0x305,
    CSR_MCOUNTEREN = 0x306,
    CSR_MENVCFG = 0x30a,
    CSR_MSTATEEN0 = 0x30c,
    CSR_MEPC = 0x341,
    CSR_MIP = 0x344,
    CSR_PMPCFG0 = 0x3a0,
    CSR_PMPADDR0 = 0x3b0,
    CSR_MSECCFG = 0x747,
    CSR_TIME = 0xc01,
    CSR_SEED = 0x015,
};

#endif

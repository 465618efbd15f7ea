/*
 * Counting written pages while guest code runs, on every engine, with paging and mirrors.
 *
 * Two harts write all over their memory from user mode, in many ways: single stores, stores over a
 * page's border, several off one base, atomics, LR/SC, through small and large pages, into pages
 * with code; their kernel clears A and D bits, which page walks set again, and which makes TLBs
 * forget: not in quiet times, so that it is seen who else makes them. Another thread writes
 * like devices do. The test copies what is found to be written, as a migration would: when all
 * stand still, the copy has to be the memory.
 */
#include "rv_engine.h"
#include "test.h"

#include "base/bits.h"
#include "core/dirty.h"
#include "core/machine.h"
#include "cpu/jit/jit_priv.h"
#include "cpu/jit/mirror.h"
#include "cpu/riscv/priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define RAM_BASE UINT64_C(0x80000000)
#define RAM_LEN  UINT64_C(0x810000)
#define DATA     UINT64_C(0x400000) /* in RAM */
enum {
    HARTS = 2,
    DATA_PAGES = 1024,
    USER = 0x1000,    /* in RAM: user code */
    SCRATCH = 0x8000, /* a page a hart, that its kernel writes */
    ROOT = 0x10000,
    TABLE_LOW = 0x11000,
    TABLE_CODE = 0x12000,
    TABLE_DATA = 0x13000, /* three of them */
    TABLE_LARGE = 0x16000,
    V = 1,
    R = 2,
    W = 4,
    X = 8,
    U = 16,
    A = 64,
    D = 128,
    DMA_FIRST = 512, /* page of the data: below it only harts write */
    DMA_LEN = 0x3000,
};

/* clang-format off */
static const uint32_t super[] = {
    /* _start */
    0x18059073, /* 000: csrw satp,a1 */
    0x12000073, /* 004: sfence.vma */
    0x00000297, /* 008: auipc t0,0x0 */
    0x09828293, /* 00c: add t0,t0,152 */
    0x10529073, /* 010: csrw stvec,t0 */
    0x004012b7, /* 014: lui t0,0x401 */
    0x14129073, /* 018: csrw sepc,t0 */
    0x10000293, /* 01c: li t0,256 */
    0x1002b073, /* 020: csrc sstatus,t0 */
    0x00150493, /* 024: add s1,a0,1 */
    0x00161937, /* 028: lui s2,0x161 */
    0x47d9091b, /* 02c: addw s2,s2,1149 */
    0x00e91913, /* 030: sll s2,s2,0xe */
    0x2d590913, /* 034: add s2,s2,725 */
    0x00d91913, /* 038: sll s2,s2,0xd */
    0x92b90913, /* 03c: add s2,s2,-1749 */
    0x00f91913, /* 040: sll s2,s2,0xf */
    0xf2d90913, /* 044: add s2,s2,-211 */
    0x002819b7, /* 048: lui s3,0x281 */
    0xaf79899b, /* 04c: addw s3,s3,-1289 */
    0x00c99993, /* 050: sll s3,s3,0xc */
    0xfdf98993, /* 054: add s3,s3,-33 */
    0x00c99993, /* 058: sll s3,s3,0xc */
    0xecf98993, /* 05c: add s3,s3,-305 */
    0x00f99993, /* 060: sll s3,s3,0xf */
    0x14f98993, /* 064: add s3,s3,335 */
    0x10000a37, /* 068: lui s4,0x10000 */
    0x00400ab7, /* 06c: lui s5,0x400 */
    0xfffa8a9b, /* 070: addw s5,s5,-1 */
    0x04000b13, /* 074: li s6,64 */
    0x00010bb7, /* 078: lui s7,0x10 */
    0x001b8b9b, /* 07c: addw s7,s7,1 */
    0x00fb9b93, /* 080: sll s7,s7,0xf */
    0x00c51293, /* 084: sll t0,a0,0xc */
    0x005b8bb3, /* 088: add s7,s7,t0 */
    0x00080d37, /* 08c: lui s10,0x80 */
    0x013d0d1b, /* 090: addw s10,s10,19 */
    0x00cd1d13, /* 094: sll s10,s10,0xc */
    0x400008b7, /* 098: lui a7,0x40000 */
    0x10200073, /* 09c: sret */
    /* trap */
    0x14102c73, /* 0a0: csrr s8,sepc */
    0x004c0c13, /* 0a4: add s8,s8,4 */
    0x141c1073, /* 0a8: csrw sepc,s8 */
    0x009bb023, /* 0ac: sd s1,0(s7) */
    0x008bbc03, /* 0b0: ld s8,8(s7) */
    0x020c1063, /* 0b4: bnez s8,d4 <back> */
    0x0214dc13, /* 0b8: srl s8,s1,0x21 */
    0x3ffc7c13, /* 0bc: and s8,s8,1023 */
    0x003c1c13, /* 0c0: sll s8,s8,0x3 */
    0x018d0cb3, /* 0c4: add s9,s10,s8 */
    0xf3f00d93, /* 0c8: li s11,-193 */
    0x61bcb02f, /* 0cc: amoand.d zero,s11,(s9) */
    0x12000073, /* 0d0: sfence.vma */
    /* back */
    0x10200073, /* 0d4: sret */
};

static const uint32_t user[] = {
    /* loop */
    0x032484b3, /* 000: mul s1,s1,s2 */
    0x013484b3, /* 004: add s1,s1,s3 */
    0x0184d293, /* 008: srl t0,s1,0x18 */
    0x0152f2b3, /* 00c: and t0,t0,s5 */
    0x03b4d313, /* 010: srl t1,s1,0x3b */
    0x01837393, /* 014: and t2,t1,24 */
    0x00038663, /* 018: beqz t2,1024 <wide> */
    0x03029293, /* 01c: sll t0,t0,0x30 */
    0x0302d293, /* 020: srl t0,t0,0x30 */
    /* wide */
    0x005a0e33, /* 024: add t3,s4,t0 */
    0x00737313, /* 028: and t1,t1,7 */
    0x04030463, /* 02c: beqz t1,1074 <k0> */
    0xfff30313, /* 030: add t1,t1,-1 */
    0x04030463, /* 034: beqz t1,107c <k1> */
    0xfff30313, /* 038: add t1,t1,-1 */
    0xff8e7e13, /* 03c: and t3,t3,-8 */
    0x04030263, /* 040: beqz t1,1084 <k2> */
    0xfff30313, /* 044: add t1,t1,-1 */
    0x04030263, /* 048: beqz t1,108c <k3> */
    0xfff30313, /* 04c: add t1,t1,-1 */
    0x04030463, /* 050: beqz t1,1098 <k4> */
    0xfff30313, /* 054: add t1,t1,-1 */
    0x06030463, /* 058: beqz t1,10c0 <k5> */
    0xfff30313, /* 05c: add t1,t1,-1 */
    0x06030863, /* 060: beqz t1,10d0 <k6> */
    0xff82f293, /* 064: and t0,t0,-8 */
    0x00588e33, /* 068: add t3,a7,t0 */
    0x009e3023, /* 06c: sd s1,0(t3) */
    0x0640006f, /* 070: j 10d4 <next> */
    /* k0 */
    0x009e3023, /* 074: sd s1,0(t3) */
    0x05c0006f, /* 078: j 10d4 <next> */
    /* k1 */
    0x009e0023, /* 07c: sb s1,0(t3) */
    0x0540006f, /* 080: j 10d4 <next> */
    /* k2 */
    0x009e3eaf, /* 084: amoadd.d t4,s1,(t3) */
    0x04c0006f, /* 088: j 10d4 <next> */
    /* k3 */
    0x009e1023, /* 08c: sh s1,0(t3) */
    0x009e3423, /* 090: sd s1,8(t3) */
    0x0400006f, /* 094: j 10d4 <next> */
    /* k4 */
    0xfc0e7e13, /* 098: and t3,t3,-64 */
    0x009e3023, /* 09c: sd s1,0(t3) */
    0x005e3423, /* 0a0: sd t0,8(t3) */
    0x009e3823, /* 0a4: sd s1,16(t3) */
    0x005e3c23, /* 0a8: sd t0,24(t3) */
    0x029e3023, /* 0ac: sd s1,32(t3) */
    0x025e3423, /* 0b0: sd t0,40(t3) */
    0x029e3823, /* 0b4: sd s1,48(t3) */
    0x025e3c23, /* 0b8: sd t0,56(t3) */
    0x0180006f, /* 0bc: j 10d4 <next> */
    /* k5 */
    0x100e3eaf, /* 0c0: lr.d t4,(t3) */
    0x009eceb3, /* 0c4: xor t4,t4,s1 */
    0x19de3f2f, /* 0c8: sc.d t5,t4,(t3) */
    0x0080006f, /* 0cc: j 10d4 <next> */
    /* k6 */
    0x000e3e83, /* 0d0: ld t4,0(t3) */
    /* next */
    0xfffb0b13, /* 0d4: add s6,s6,-1 */
    0xf20b14e3, /* 0d8: bnez s6,1000 <loop> */
    0x04000b13, /* 0dc: li s6,64 */
    0x00000e17, /* 0e0: auipc t3,0x0 */
    0x7f84fe93, /* 0e4: and t4,s1,2040 */
    0x00ce5e13, /* 0e8: srl t3,t3,0xc */
    0x00ce1e13, /* 0ec: sll t3,t3,0xc */
    0x00001f37, /* 0f0: lui t5,0x1 */
    0x800f0f1b, /* 0f4: addw t5,t5,-2048 */
    0x01ee0e33, /* 0f8: add t3,t3,t5 */
    0x01de0e33, /* 0fc: add t3,t3,t4 */
    0xff8e7e13, /* 100: and t3,t3,-8 */
    0x009e3023, /* 104: sd s1,0(t3) */
    0x00000073, /* 108: ecall */
    0xef5ff06f, /* 10c: j 1000 <loop> */
};
/* clang-format on */

struct fixture {
    struct vr_machine *m;
    struct vr_ram *ram;
    struct rv_hart *hart[HARTS];
    uint8_t *copy, *before, *taken;
    atomic_bool stop;
    uint64_t seed;
};

static uint64_t test_time(void *opaque)
{
    return vr_clock_now(vr_machine_clock(((struct fixture *)opaque)->m)) / 100;
}

static void put_pte(struct fixture *f, uint64_t at, uint64_t off, uint64_t rights)
{
    vr_store_le64(f->ram->hva + at, (RAM_BASE + off) >> 12 << 10 | V | rights);
}

static int load(void *opaque, struct vr_error *err)
{
    struct fixture *f = opaque;
    (void)err;
    for (size_t i = 0; i < VR_COUNT(super); i++) {
        vr_store_le32(f->ram->hva + 4 * i, super[i]);
    }
    for (size_t i = 0; i < VR_COUNT(user); i++) {
        vr_store_le32(f->ram->hva + USER + 4 * i, user[i]);
    }
    put_pte(f, ROOT, TABLE_LOW, 0);
    put_pte(f, ROOT + 8, TABLE_LARGE, 0);
    put_pte(f, ROOT + 16, 0, R | W | X | A | D);
    put_pte(f, TABLE_LOW + 8 * 2, TABLE_CODE, 0);
    /* A is set: lockstep looks for the code behind a stretch in one of its runs only. */
    put_pte(f, TABLE_CODE + 8, USER, R | W | X | U | A);
    for (unsigned i = 0; i < 3; i++) {
        put_pte(f, TABLE_LOW + 8 * (128 + i), TABLE_DATA + i * VR_PAGE_SIZE, 0);
    }
    for (unsigned i = 0; i <= DATA_PAGES; i++) {
        put_pte(f, TABLE_DATA + 8 * i, DATA + (uint64_t)i * VR_PAGE_SIZE, R | W | U);
    }
    for (unsigned i = 0; i < 2; i++) {
        put_pte(f, TABLE_LARGE + 8 * i, DATA + (uint64_t)i * (2 << 20), R | W | U);
    }
    vr_ram_wrote(vr_machine_mem(f->m), f->ram, 0, f->ram->len);
    for (unsigned i = 0; i < HARTS; i++) {
        struct rv_hart *h = f->hart[i];
        h->menvcfg |= RV_ENVCFG_ADUE;
        rv_hart_start(h, RV_S, RAM_BASE, i, UINT64_C(8) << 60 | (RAM_BASE + ROOT) >> 12);
    }
    return 0;
}

/* Not by the framework: it takes SIGSEGV, which mirrors need, before each test. */
static struct fixture *setup(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const char *engine = getenv("VR_TEST_ENGINE");
    struct rv_config config;
    assert_non_null(f);
    rv_config_default(&config);
    use_engine(&config);
    config.builtin_sbi = true;
    if (engine && strcmp(engine, "jit") == 0) {
        config.jit_opts.mirror = VR_JIT_MIRROR_ALWAYS;
    }
    assert_int_equal(vr_machine_create("dirty", VR_CLOCK_REAL, false, NULL, &f->m, NULL), 0);
    assert_int_equal(
        vr_machine_add_ram(f->m, "ram", RAM_BASE, RAM_LEN, VR_REGION_RAM, &f->ram, NULL), 0);
    for (unsigned i = 0; i < HARTS; i++) {
        assert_int_equal(rv_hart_create(f->m, i, &config, vr_machine_mem(f->m),
                                        vr_machine_clock(f->m), test_time, f, &f->hart[i], NULL),
                         0);
        assert_int_equal(vr_machine_add_vcpu(f->m, &f->hart[i]->cpu.vcpu, NULL), 0);
    }
    vr_machine_on_reset(f->m, load, f);
    f->copy = calloc(1, RAM_LEN);
    f->before = calloc(1, RAM_LEN);
    f->taken = calloc(1, RAM_LEN >> VR_PAGE_SHIFT);
    assert_true(f->copy && f->before && f->taken);
    return f;
}

static void teardown(struct fixture *f)
{
    vr_machine_destroy(f->m);
    free(f->copy);
    free(f->before);
    free(f->taken);
    free(f);
}

static uint64_t rnd(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t device_place(struct fixture *f)
{
    return RAM_BASE + DATA + (uint64_t)DMA_FIRST * VR_PAGE_SIZE +
           rnd(&f->seed) % ((DATA_PAGES - DMA_FIRST) * VR_PAGE_SIZE - DMA_LEN);
}

/* As a backend's thread does it: pointers are had early, written late, and told of at last. */
static void device_main(void *opaque)
{
    struct fixture *f = opaque;
    struct vr_space *mem = vr_machine_mem(f->m);
    struct vr_view_cache cache = {0};
    uint8_t buf[DMA_LEN];
    uint64_t len;
    while (!atomic_load(&f->stop)) {
        struct iovec iov[2];
        uint64_t gpa = device_place(f);
        memset(buf, (int)rnd(&f->seed), sizeof(buf));
        if (vr_dma_map(mem, &cache, gpa, DMA_LEN, true, iov, 2) != 1) {
            abort();
        }
        for (unsigned at = 0; at < DMA_LEN; at += 512) {
            vireo_thread_yield();
            memcpy((uint8_t *)iov[0].iov_base + at, buf + at, 512);
        }
        vr_dma_wrote(mem, &cache, gpa, DMA_LEN);
        gpa = device_place(f);
        if (vr_dma_write(mem, &cache, gpa, buf, 1 + rnd(&f->seed) % DMA_LEN) < 0 ||
            (rnd(&f->seed) % 16 == 0 &&
             vr_dma_discard(mem, &cache, vr_align_down(gpa, VR_PAGE_SIZE), 2 * VR_PAGE_SIZE, &len,
                            NULL) < 0)) {
            abort();
        }
    }
    vr_view_cache_drop(mem, &cache);
}

static uint64_t progress(const struct fixture *f)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < HARTS; i++) {
        const void *at = f->ram->hva + SCRATCH + i * VR_PAGE_SIZE;
        sum += __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
    }
    return sum;
}

static void be_quiet(struct fixture *f, bool quiet)
{
    for (unsigned i = 0; i < HARTS; i++) {
        uint64_t at = SCRATCH + i * VR_PAGE_SIZE + 8;
        __atomic_store_n((uint64_t *)(void *)(f->ram->hva + at), VR_LE_(64, quiet),
                         __ATOMIC_RELAXED);
        vr_ram_wrote(vr_machine_mem(f->m), f->ram, at, 8);
    }
}

/* Let the guest go on for a while. */
static void work(const struct fixture *f, unsigned times)
{
    while (times--) {
        uint64_t was = progress(f);
        while (progress(f) == was) {
            vireo_thread_yield();
        }
    }
}

static uint64_t copy_found(struct fixture *f, struct vr_dirty *d)
{
    uint64_t n, sum = 0;
    vr_dirty_fetch(d);
    for (uint64_t page = 0; (n = vr_dirty_take(d, 0, &page, 16)) != 0; page += n) {
        size_t off = page << VR_PAGE_SHIFT;
        memcpy(f->copy + off, f->ram->hva + off, n << VR_PAGE_SHIFT);
        memset(f->taken + page, 1, n);
        sum += n;
    }
    assert_int_equal(vr_dirty_count(d), 0);
    return sum;
}

static void the_copy_is_the_memory(void **state)
{
    (void)state;
    struct fixture *f = setup();
    struct vr_dirty *d, *other;
    struct vireo_thread *device;
    unsigned changed = 0, found = 0;
    assert_int_equal(vr_machine_start(f->m, NULL), 0);
    work(f, 10); /* there are rights to forget */
    assert_int_equal(vr_dirty_start(f->m, &d, NULL), 0);
    memcpy(f->copy, f->ram->hva, RAM_LEN);
    for (unsigned cycle = 0; cycle < 12; cycle++) {
        f->seed = cycle;
        be_quiet(f, cycle % 2);
        atomic_store(&f->stop, false);
        assert_int_equal(vireo_thread_create("device", device_main, f, &device, NULL), 0);
        if (cycle % 3 == 2) {
            assert_int_equal(vr_dirty_start(f->m, &other, NULL), 0);
        }
        for (unsigned i = 0; i < 6; i++) {
            work(f, i % 3);
            if (cycle % 3 == 2) {
                vr_dirty_fetch(other);
            }
            copy_found(f, d);
        }
        if (cycle % 3 == 2) {
            vr_dirty_stop(other);
        }
        work(f, cycle % 4 * 4);
        atomic_store(&f->stop, true);
        vireo_thread_join(device);
        assert_int_equal(vr_machine_pause(f->m), 0);
        copy_found(f, d);
        assert_memory_equal(f->copy, f->ram->hva, RAM_LEN);
        for (uint64_t page = 0; cycle && page < RAM_LEN >> VR_PAGE_SHIFT; page++) {
            size_t off = page << VR_PAGE_SHIFT;
            bool is = memcmp(f->before + off, f->ram->hva + off, VR_PAGE_SIZE) != 0;
            assert_true(!is || f->taken[page]);
            changed += is;
            found += f->taken[page];
        }
        assert_int_equal(copy_found(f, d), 0); /* nothing moves, so nothing is found */
        memset(f->taken, 0, RAM_LEN >> VR_PAGE_SHIFT);
        memcpy(f->before, f->ram->hva, RAM_LEN);
        assert_int_equal(vr_machine_resume(f->m), 0);
    }
    assert_true(changed > 100 && found < 12 * (RAM_LEN >> VR_PAGE_SHIFT) * 3 / 4);
    assert_int_equal(vr_machine_pause(f->m), 0);
    vr_dirty_stop(d);
    for (uint64_t page = 0; page < RAM_LEN >> VR_PAGE_SHIFT; page++) {
        assert_int_equal(f->ram->page_flags[page] & VR_PAGE_CLEAN, 0);
    }
    if (vr_jit_has_direct && f->hart[0]->cpu.mirrors && vr_mirrors_always(&f->hart[0]->cpu)) {
        struct vr_jit_stats stats;
        vr_jit_get_stats(&f->hart[0]->cpu, &stats);
        assert_true(stats.mirrored > 0);
    }
    teardown(f);
}

int main(void)
{
    if (engine_missing()) {
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_copy_is_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

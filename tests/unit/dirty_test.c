/* Who writes guest RAM, one after the other: each is found by whoever counts written pages
 * (core/dirty.h). How it goes while guest code runs is in rv_dirty_test.c. */
#include "test.h"

#include "base/bits.h"
#include "core/dirty.h"
#include "core/snap.h"
#include "cpu/riscv/priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define RAM_BASE UINT64_C(0x80000000)
enum { P = VR_PAGE_SIZE, PAGES = 512, LOW_PAGES = 130, ROOT = 16, V = 1, R = 2, W = 4 };
#define LOW_BASE UINT64_C(0x1000000)

struct fixture {
    struct vr_machine *m;
    struct vr_space *mem;
    struct vr_ram *ram, *low;
    struct rv_hart *hart;
    struct vr_dirty *d;
    struct vr_view_cache cache;
};

static uint64_t test_time(void *opaque)
{
    (void)opaque;
    return 0;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct rv_config config;
    struct vr_ram *rom;
    assert_non_null(f);
    rv_config_default(&config);
    assert_int_equal(vr_machine_create("dirty", VR_CLOCK_STEPPED, false, NULL, &f->m, NULL), 0);
    f->mem = vr_machine_mem(f->m);
    assert_int_equal(
        vr_machine_add_ram(f->m, "low", LOW_BASE, LOW_PAGES * P, VR_REGION_RAM, &f->low, NULL), 0);
    assert_int_equal(vr_machine_add_ram(f->m, "rom", 0x1000, P, VR_REGION_ROM, &rom, NULL), 0);
    assert_int_equal(
        vr_machine_add_ram(f->m, "ram", RAM_BASE, PAGES * P, VR_REGION_RAM, &f->ram, NULL), 0);
    assert_int_equal(rv_hart_create(f->m, 0, &config, f->mem, vr_machine_clock(f->m), test_time, f,
                                    &f->hart, NULL),
                     0);
    assert_int_equal(vr_machine_add_vcpu(f->m, &f->hart->cpu.vcpu, NULL), 0);
    assert_int_equal(vr_dirty_start(f->m, &f->d, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    vr_dirty_stop(f->d);
    vr_view_cache_drop(f->mem, &f->cache);
    vr_machine_destroy(f->m);
    free(f);
    return 0;
}

/* Just these pages of "ram" were written since the last call, and the vCPU knows what it must. */
static void expect(struct fixture *f, uint64_t first, uint64_t count)
{
    uint64_t page = 0;
    assert_int_equal(vr_dirty_fetch(f->d), count);
    assert_int_equal(vr_dirty_count(f->d), count);
    vr_code_drain(&f->hart->cpu);
    if (count) {
        assert_int_equal(vr_dirty_take(f->d, 1, &page, UINT64_MAX), count);
        assert_int_equal(page, first);
    }
    assert_int_equal(vr_dirty_count(f->d), 0);
}

static void devices(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[2 * P] = {1};
    struct iovec iov;
    uint64_t len;
    expect(f, 0, 0);
    assert_int_equal(vr_dma_write(f->mem, &f->cache, RAM_BASE + 3 * P - 1, buf, P + 2), 0);
    expect(f, 2, 3);
    assert_int_equal(vr_dma_read(f->mem, &f->cache, RAM_BASE, buf, sizeof(buf)), 0);
    expect(f, 0, 0);
    /* Pointers that are older than the last fetch, and written by whatever thread. */
    assert_int_equal(vr_dma_map(f->mem, &f->cache, RAM_BASE + 7 * P, 10, true, &iov, 1), 1);
    expect(f, 0, 0);
    memset(iov.iov_base, 5, iov.iov_len);
    vr_dma_wrote(f->mem, &f->cache, RAM_BASE + 7 * P, 10);
    expect(f, 7, 1);
    *(uint8_t *)vr_dma_ptr(f->mem, &f->cache, RAM_BASE + 9 * P, 1, true) = 1;
    vr_dma_wrote(f->mem, &f->cache, RAM_BASE + 9 * P, 1);
    expect(f, 9, 1);
    assert_int_equal(vr_dma_discard(f->mem, &f->cache, RAM_BASE + 20 * P, 4 * P, &len, NULL), 0);
    expect(f, 20, len / P);
    assert_int_equal(vr_space_write(f->mem, &f->cache, RAM_BASE + 30 * P, 4, 7), 0);
    expect(f, 30, 1);
    /* What no guest can write does not count. */
    assert_int_equal(vr_dma_write(f->mem, &f->cache, 0x1000, buf, 1), -EFAULT);
    expect(f, 0, 0);
}

static void loading(void **state)
{
    struct fixture *f = *state;
    struct vr_snap snap;
    vr_snap_init(&snap);
    assert_int_equal(vr_snap_save_ram(&snap, "ram", f->ram, NULL), 0);
    expect(f, 0, 0);
    assert_int_equal(vr_snap_load_ram(&snap, "ram", f->mem, f->ram, NULL), 0);
    expect(f, 0, PAGES);
    vr_snap_fini(&snap);
}

/* Each way of a CPU, twice between fetches: the second time by what the first left in the TLB. */
static void cpus(void **state)
{
    struct fixture *f = *state;
    struct vr_cpu *cpu = &f->hart->cpu;
    uint64_t val, gpa, at = RAM_BASE + 40 * P;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(vr_mem_load(cpu, at, 8, &val));
        expect(f, 0, 0);
        assert_true(vr_mem_store(cpu, at, 8, i) && vr_mem_store(cpu, at + 8, 1, i));
        assert_true(vr_tlb_hits(cpu, at, VR_WRITE)); /* nothing slow at the second */
        expect(f, 40, 1);
        assert_false(vr_tlb_hits(cpu, at, VR_WRITE));
        assert_true(vr_tlb_hits(cpu, at, VR_READ));
        assert_true(vr_mem_store(cpu, at + 2 * P - 3, 8, i)); /* over a border */
        expect(f, 41, 2);
        for (unsigned k = 0; k < 2; k++) { /* an atomic */
            uint64_t *p = vr_mem_ram(cpu, at + 8 * P, 8, VR_WRITE, &gpa);
            assert_non_null(p);
            *p += 1;
            vr_mem_wrote(cpu, at + 8 * P, gpa, 8);
        }
        expect(f, 48, 1);
    }
    expect(f, 0, 0);
}

/* An entry that was displaced, to its second place or among the victims, lets nobody write. */
static void displaced(void **state)
{
    struct fixture *f = *state;
    struct vr_cpu *cpu = &f->hart->cpu;
    uint64_t at = RAM_BASE + 64 * P;
    struct vr_tlb *tlb = cpu->dtlb;
    assert_true(vr_mem_store(cpu, at, 8, 1));
    tlb->victim[3] = tlb->entry[at / P % VR_TLB_SIZE];
    tlb->victim_gpa[3] = at;
    tlb->entry[at / P % VR_TLB_SIZE ^ VR_TLB_SECOND] = tlb->entry[at / P % VR_TLB_SIZE];
    tlb->gpa[at / P % VR_TLB_SIZE ^ VR_TLB_SECOND] = at;
    tlb->used = UINT64_MAX;
    expect(f, 64, 1);
    memset(&tlb->entry[at / P % VR_TLB_SIZE], 0, sizeof(tlb->entry[0]));
    assert_false(vr_tlb_recall(cpu, at, VR_WRITE));
    assert_true(vr_mem_store(cpu, at, 8, 2));
    expect(f, 64, 1);
}

/* A walk that sets A, and one that sets D: the page of the table. */
static void page_walks(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    uint64_t val, pte = RAM_BASE >> 12 << 10 | V | R | W;
    uint8_t *root = f->ram->hva + ROOT * P;
    vr_store_le64(root + 16, pte); /* a gigapage at RAM_BASE */
    vr_ram_wrote(f->mem, f->ram, ROOT * P, P);
    h->pmpcfg[0] = RV_PMP_A_NAPOT | RV_PMP_R | RV_PMP_W | RV_PMP_X;
    h->pmpaddr[0] = vr_mask(54);
    rv_pmp_update(h);
    h->menvcfg |= RV_ENVCFG_ADUE;
    h->satp = UINT64_C(8) << RV_SATP_MODE_SHIFT | ((RAM_BASE >> 12) + ROOT);
    rv_set_priv(h, RV_S);
    expect(f, ROOT, 1);
    assert_true(vr_mem_load(&h->cpu, RAM_BASE + 100 * P, 8, &val));
    expect(f, ROOT, 1);
    assert_true(vr_mem_load(&h->cpu, RAM_BASE + 101 * P, 8, &val));
    expect(f, 0, 0);
    assert_true(vr_mem_store(&h->cpu, RAM_BASE + (ROOT + 1) * P, 8, 1));
    expect(f, ROOT, 2);
    assert_true(vr_mem_store(&h->cpu, RAM_BASE + (ROOT + 1) * P, 8, 2));
    expect(f, ROOT + 1, 1);
}

/* A page with translated code that is written: both flags at once. */
static void code(void **state)
{
    struct fixture *f = *state;
    struct vr_cpu *cpu = &f->hart->cpu;
    vr_store_le32(f->ram->hva + 200 * P, 0x00000013); /* nop */
    vr_ram_wrote(f->mem, f->ram, 200 * P, 4);
    expect(f, 200, 1);
    cpu->pc = RAM_BASE + 200 * P;
    assert_non_null(vr_code_find(cpu));
    expect(f, 0, 0);
    assert_int_equal(f->ram->page_flags[200], VR_PAGE_CODE | VR_PAGE_CLEAN);
    assert_true(vr_mem_store(cpu, RAM_BASE + 200 * P + 8, 8, 1));
    assert_int_equal(f->ram->page_flags[200], 0);
    expect(f, 200, 1);
}

static void accounts_are_their_owners(void **state)
{
    struct fixture *f = *state;
    struct vr_dirty *other;
    uint64_t page = 0;
    assert_int_equal(vr_dirty_ram_count(f->d), 2);
    assert_string_equal(vr_dirty_ram_name(f->d, 0), "low"); /* as they were added; no ROM */
    assert_ptr_equal(vr_dirty_ram(f->d, 1), f->ram);
    assert_int_equal(vr_space_write(f->mem, &f->cache, RAM_BASE + 5 * P, 1, 1), 0);
    assert_int_equal(vr_dirty_start(f->m, &other, NULL), 0);
    assert_int_equal(vr_dirty_fetch(other), 0); /* written before it counted */
    assert_int_equal(vr_space_write(f->mem, &f->cache, RAM_BASE + 6 * P, 1, 1), 0);
    assert_int_equal(vr_dirty_fetch(other), 1);
    expect(f, 5, 2);
    vr_dirty_stop(other);
    assert_int_equal(vr_space_write(f->mem, &f->cache, LOW_BASE + 129 * P, 1, 1), 0);
    assert_int_equal(vr_dirty_fetch(f->d), 1);
    assert_int_equal(vr_dirty_take(f->d, 1, &page, 9), 0);
    page = 3;
    assert_int_equal(vr_dirty_take(f->d, 0, &page, 9), 1);
    assert_int_equal(page, 129);
    /* Runs, across words, in pieces. */
    vr_dirty_add(f->d, 1, 60, 140);
    vr_dirty_drop(f->d, f->ram, 70 * P - 1, 2 * P);     /* page 70 */
    vr_dirty_drop(f->d, f->ram, 80 * P + 1, 2 * P - 2); /* no whole one */
    assert_int_equal(vr_dirty_count(f->d), 139);
    page = 0;
    assert_int_equal(vr_dirty_take(f->d, 1, &page, 100), 10);
    assert_int_equal(page, 60);
    assert_int_equal(vr_dirty_take(f->d, 1, &page, 100), 100);
    assert_int_equal(page, 71);
    assert_int_equal(vr_dirty_take(f->d, 1, &page, 100), 29);
    assert_int_equal(page, 171);
    assert_int_equal(vr_dirty_take(f->d, 1, &page, 100), 0);
    /* What was dropped was what a page held; what is written there since is found, also if another
     * one's fetch comes between. */
    assert_int_equal(vr_dirty_start(f->m, &other, NULL), 0);
    vr_dirty_add(f->d, 1, 60, 4);
    assert_int_equal(vr_space_write(f->mem, &f->cache, RAM_BASE + 61 * P, 1, 1), 0);
    assert_int_equal(vr_space_write(f->mem, &f->cache, RAM_BASE + 62 * P, 1, 1), 0);
    assert_int_equal(vr_dirty_fetch(other), 2);
    assert_int_equal(vr_dirty_drop(f->d, f->ram, 60 * P, 3 * P), 3);
    assert_int_equal(vr_dirty_drop(f->d, f->ram, 60 * P, 3 * P), 0);
    assert_int_equal(vr_dirty_count(f->d), 1);
    assert_int_equal(vr_dirty_fetch(f->d), 2);
    page = 0;
    assert_int_equal(vr_dirty_take(f->d, 1, &page, 9), 3);
    assert_int_equal(page, 61);
    vr_dirty_stop(other);
    /* The last one leaves nothing behind. */
    vr_dirty_stop(f->d);
    f->d = NULL;
    for (page = 0; page < PAGES; page++) {
        assert_int_equal(f->ram->page_flags[page], 0);
    }
}

#define DIRTY_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIRTY_TEST(devices),
        DIRTY_TEST(loading),
        DIRTY_TEST(cpus),
        DIRTY_TEST(displaced),
        DIRTY_TEST(page_walks),
        DIRTY_TEST(code),
        DIRTY_TEST(accounts_are_their_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

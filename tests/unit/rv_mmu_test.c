/* PMP, page walks and TLB contexts. The rule of the manual is written out once more and compared.
 */
#include "rv_fixture.h"

/* --- PMP --- */

/* The rule of the manual, byte by byte. */
static uint8_t pmp_model(const struct rv_hart *h, uint64_t gpa, uint64_t len, unsigned priv)
{
    for (unsigned i = 0; i < RV_PMP_COUNT; i++) {
        uint64_t addr = h->pmpaddr[i];
        unsigned cfg = h->pmpcfg[i], matched = 0;
        for (uint64_t a = gpa; a < gpa + len; a++) {
            bool in = false;
            switch (cfg >> 3 & 3) {
            case 1:
                in = a >= (i ? h->pmpaddr[i - 1] << 2 : 0) && a < addr << 2;
                break;
            case 2:
                in = a >> 2 == addr;
                break;
            case 3: {
                unsigned ones = 0;
                while (addr >> ones & 1) {
                    ones++;
                }
                in = a >> (ones + 3) == addr << 2 >> (ones + 3);
                break;
            }
            default:
                break;
            }
            matched += in;
        }
        if (matched && matched != len) {
            return 0;
        }
        if (matched) {
            return priv == RV_M && !(cfg & 0x80) ? 7 : (uint8_t)((cfg & 1) | (cfg & 2) | (cfg & 4));
        }
    }
    return priv == RV_M ? 7 : 0;
}

static void pmp_by_the_book(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    for (unsigned n = 0; n < 3000; n++) {
        for (unsigned i = 0; i < RV_PMP_COUNT; i++) {
            h->pmpcfg[i] = rnd(f) % 3 ? 0 : rnd(f) & 0x9f;
            h->pmpaddr[i] = rnd(f) & 0x3f;
        }
        rv_pmp_update(h);
        for (unsigned k = 0; k < 20; k++) {
            uint64_t len = UINT64_C(1) << rnd(f) % 5, gpa = rnd(f) & 0xff & ~(len - 1);
            unsigned priv = rnd(f) % 2 ? RV_M : RV_S;
            uint8_t want = pmp_model(h, gpa, len, priv);
            uint8_t have = rv_pmp_rights(h, gpa, len, (enum rv_priv)priv);
            if (want != have) { /* R W X are 1 2 4 in both */
                fail_msg("[%llx, +%llu) in mode %u: %u, should be %u", (unsigned long long)gpa,
                         (unsigned long long)len, priv, have, want);
            }
        }
    }
    h->pmpcfg[0] = RV_PMP_A_NAPOT | RV_PMP_R; /* all of memory */
    h->pmpaddr[0] = vr_mask(54);
    rv_pmp_update(h);
    assert_int_equal(rv_pmp_rights(h, vr_mask(56) - 7, 8, RV_S), 1);
}

/* --- Page walks --- */

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };

static void put_pte(struct fixture *f, uint64_t gpa, uint64_t pte)
{
    vr_store_le64(f->ram->hva + (gpa - RAM_BASE), pte);
}

static uint64_t get_pte(struct fixture *f, uint64_t gpa)
{
    return vr_load_le64(f->ram->hva + (gpa - RAM_BASE));
}

/* Tables for va 0 with the leaf @pte at @level; returns where it stands. */
static uint64_t map_zero(struct fixture *f, unsigned levels, unsigned level, uint64_t pte)
{
    uint64_t table = RAM_BASE;
    memset(f->ram->hva, 0, 0x6000);
    for (unsigned l = levels - 1; l > level; l--, table += 0x1000) {
        put_pte(f, table, (table + 0x1000) >> 12 << 10 | V);
    }
    put_pte(f, table, pte);
    set(f->hart, CSR_SATP, (uint64_t)(levels + 5) << 60 | RAM_BASE >> 12);
    return table;
}

static void open_pmp(struct rv_hart *h)
{
    h->pmpcfg[0] = RV_PMP_A_NAPOT | RV_PMP_R | RV_PMP_W | RV_PMP_X;
    h->pmpaddr[0] = vr_mask(54);
    rv_pmp_update(h);
}

#define PPN(gpa) ((uint64_t)(gpa) >> 12 << 10)

static void leaves(void **state)
{
    static const struct {
        uint64_t pte;
        unsigned level;
        uint8_t priv, access;
        uint64_t mstatus, menvcfg;
        enum rv_walk want;
    } cases[] = {
        {V | R | A | D, 0, RV_S, VR_READ, 0, 0, RV_WALK_OK},
        {V | R | A | D, 0, RV_S, VR_WRITE, 0, 0, RV_WALK_PAGE},
        {V | R | A | D, 0, RV_S, VR_EXEC, 0, 0, RV_WALK_PAGE},
        {V | R | A | D, 0, RV_U, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | R | W | A | D, 0, RV_S, VR_WRITE, 0, 0, RV_WALK_OK},
        {V | W | A | D, 0, RV_S, VR_WRITE, 0, 0, RV_WALK_PAGE}, /* reserved */
        {V | W | X | A | D, 0, RV_S, VR_EXEC, 0, 0, RV_WALK_PAGE},
        {R | W | A | D, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE}, /* not valid */
        {V | X | A, 0, RV_S, VR_EXEC, 0, 0, RV_WALK_OK},
        {V | X | A, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | X | A, 0, RV_S, VR_READ, RV_MSTATUS_MXR, 0, RV_WALK_OK},
        {V | R | X | U | A, 0, RV_U, VR_EXEC, 0, 0, RV_WALK_OK},
        {V | R | X | U | A, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | R | X | U | A, 0, RV_S, VR_READ, RV_MSTATUS_SUM, 0, RV_WALK_OK},
        {V | R | X | U | A, 0, RV_S, VR_EXEC, RV_MSTATUS_SUM, 0, RV_WALK_PAGE},
        {V | R | W, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE}, /* Svade */
        {V | R | W | A, 0, RV_S, VR_READ, 0, 0, RV_WALK_OK},
        {V | R | W | A, 0, RV_S, VR_WRITE, 0, 0, RV_WALK_PAGE},
        {V | R | W, 0, RV_S, VR_READ, 0, RV_ENVCFG_ADUE, RV_WALK_OK},
        {V | R | W, 0, RV_S, VR_WRITE, 0, RV_ENVCFG_ADUE, RV_WALK_OK},
        {V | R | W | A | D, 1, RV_S, VR_WRITE, 0, 0, RV_WALK_OK},
        {V | R | W | A | D | 1 << 10, 1, RV_S, VR_WRITE, 0, 0, RV_WALK_PAGE}, /* out of line */
        {V | R | A | D | RV_BIT(54), 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},   /* reserved bits */
        {V | R | A | D | RV_BIT(60), 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | R | A | D | RV_BIT(61), 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE}, /* PBMT is off */
        {V | R | A | D | RV_BIT(61), 0, RV_S, VR_READ, 0, RV_ENVCFG_PBMTE, RV_WALK_OK},
        {V | R | A | D | RV_BIT(62), 0, RV_S, VR_READ, 0, RV_ENVCFG_PBMTE, RV_WALK_OK},
        {V | R | A | D | RV_BIT(61) | RV_BIT(62), 0, RV_S, VR_READ, 0, RV_ENVCFG_PBMTE,
         RV_WALK_PAGE},
        {V | R | A | D | RV_BIT(63) | 8 << 10, 0, RV_S, VR_READ, 0, 0, RV_WALK_OK}, /* 64 KiB */
        {V | R | A | D | RV_BIT(63) | 4 << 10, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | R | A | D | RV_BIT(63) | UINT64_C(8) << 19, 1, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE}, /* a pointer where a leaf is due */
        {V | U | PPN(RAM_BASE + 0x5000), 1, RV_S, VR_READ, 0, 0, RV_WALK_PAGE}, /* bits of a leaf */
        {V | A | PPN(RAM_BASE + 0x5000), 1, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | D | PPN(RAM_BASE + 0x5000), 1, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | RV_BIT(63) | PPN(RAM_BASE + 0x5000), 1, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | PPN(0x1000), 1, RV_S, VR_READ, 0, 0, RV_WALK_ACCESS}, /* a table where nothing is */
    };
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    for (unsigned levels = 3; levels <= 5; levels++) {
        for (unsigned i = 0; i < VR_COUNT(cases); i++) {
            struct vr_xlate x;
            h->priv = RV_M;
            h->mstatus = cases[i].mstatus;
            h->menvcfg = cases[i].menvcfg;
            open_pmp(h);
            uint64_t at = map_zero(f, levels, cases[i].level, cases[i].pte);
            h->priv = cases[i].priv;
            enum rv_walk r = rv_walk(h, 0x123, 4, (enum vr_access)cases[i].access, &x);
            if (r != cases[i].want) {
                fail_msg("case %u, %u levels: %d, should be %d", i, levels, r, cases[i].want);
            }
            uint64_t after = get_pte(f, at);
            if (r == RV_WALK_OK) {
                assert_int_equal(x.gpa & 0xfff, 0x123);
                assert_true(x.prot >> cases[i].access & 1);
                assert_true(x.cacheable);
                assert_int_equal(!!(x.prot & 1 << VR_WRITE), (after & W) && (after & D));
                assert_int_equal(after, cases[i].pte | A | (cases[i].access == VR_WRITE ? D : 0));
            } else {
                assert_int_equal(after, cases[i].pte);
            }
        }
    }
}

static void addresses(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    struct vr_xlate x;
    open_pmp(h);
    /* A leaf at the top covers va 0 up to its size; what lies beyond is out of line or not
     * canonical. */
    for (unsigned levels = 3; levels <= 5; levels++) {
        unsigned bits = 12 + 9 * levels;
        h->priv = RV_M;
        map_zero(f, levels, levels - 1, V | R | A);
        h->priv = RV_S;
        uint64_t last = (UINT64_C(1) << (bits - 9)) - 8;
        assert_int_equal(rv_walk(h, last, 8, VR_READ, &x), RV_WALK_OK);
        assert_int_equal(x.gpa, last);
        assert_int_equal(x.page_bytes, UINT64_C(1) << (bits - 9));
        assert_int_equal(rv_walk(h, last + 8, 8, VR_READ, &x), RV_WALK_PAGE);
        assert_int_equal(rv_walk(h, UINT64_C(1) << (bits - 1), 8, VR_READ, &x), RV_WALK_PAGE);
        assert_int_equal(rv_walk(h, UINT64_C(1) << bits, 8, VR_READ, &x), RV_WALK_PAGE);
        assert_int_equal(rv_walk(h, RV_BIT(63), 8, VR_READ, &x), RV_WALK_PAGE);
        /* The upper half, through the last entry of the root. */
        put_pte(f, RAM_BASE + 511 * 8, V | R | A);
        assert_int_equal(rv_walk(h, UINT64_MAX - 7, 8, VR_READ, &x), RV_WALK_OK);
        assert_int_equal(x.gpa, last);
    }
    /* The 64 KiB of a NAPOT leaf: the low bits of its number say only how large it is. */
    h->priv = RV_M;
    uint64_t at = map_zero(f, 3, 0, V | R | A | RV_BIT(63) | (PPN(RAM_BASE + 0x40000) | 8 << 10));
    h->priv = RV_S;
    assert_int_equal(rv_walk(h, 0x18, 8, VR_READ, &x), RV_WALK_OK);
    assert_int_equal(x.gpa, RAM_BASE + 0x40018);
    assert_int_equal(x.page_bytes, 0x10000);
    for (unsigned i = 1; i < 16; i++) {
        put_pte(f, at + 8 * i, get_pte(f, at));
    }
    assert_int_equal(rv_walk(h, 0xf018, 8, VR_READ, &x), RV_WALK_OK);
    assert_int_equal(x.gpa, RAM_BASE + 0x4f018);
}

static void walks_are_checked_by_pmp(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    struct vr_xlate x;
    uint64_t page = RAM_BASE + 0x8000;
    /* Entry 0: half a page, read only. Entry 1: the tables. Entry 2: everything. */
    h->pmpaddr[0] = (page >> 2) | 0xff;
    h->pmpcfg[0] = RV_PMP_A_NAPOT | RV_PMP_R;
    h->pmpaddr[2] = vr_mask(54);
    h->pmpcfg[2] = RV_PMP_A_NAPOT | RV_PMP_R | RV_PMP_W | RV_PMP_X;
    rv_pmp_update(h);
    map_zero(f, 3, 0, V | R | W | X | A | D | PPN(page));
    h->priv = RV_S;
    assert_int_equal(rv_walk(h, 0x10, 8, VR_READ, &x), RV_WALK_OK);
    assert_false(x.cacheable); /* the page has two kinds of rights */
    assert_int_equal(x.prot, 1 << VR_READ);
    assert_int_equal(rv_walk(h, 0x10, 8, VR_WRITE, &x), RV_WALK_ACCESS);
    assert_int_equal(rv_walk(h, 0x800, 8, VR_WRITE, &x), RV_WALK_OK);
    assert_int_equal(rv_walk(h, 0x7fc, 8, VR_READ, &x), RV_WALK_ACCESS); /* across the border */
    h->pmpaddr[1] = (RAM_BASE >> 2) | 0x1ff;
    h->pmpcfg[1] = RV_PMP_A_NAPOT; /* the root page: nothing */
    rv_pmp_update(h);
    assert_int_equal(rv_walk(h, 0x800, 8, VR_READ, &x), RV_WALK_ACCESS);
    h->pmpcfg[1] = RV_PMP_A_NAPOT | RV_PMP_R;
    rv_pmp_update(h);
    assert_int_equal(rv_walk(h, 0x800, 8, VR_READ, &x), RV_WALK_OK);
    /* Setting A needs the right to write the leaf's table. */
    h->priv = RV_M;
    h->menvcfg = RV_ENVCFG_ADUE;
    uint64_t at = map_zero(f, 3, 2, V | R | W);
    h->priv = RV_S;
    assert_int_equal(rv_walk(h, 0x800, 8, VR_READ, &x), RV_WALK_ACCESS);
    assert_int_equal(get_pte(f, at), V | R | W);
    /* M-mode sees no translation, and with MPRV that of MPP. */
    h->priv = RV_M;
    h->mstatus = RV_MSTATUS_MPRV | (uint64_t)RV_S << RV_MPP_SHIFT;
    assert_int_equal(rv_walk(h, 0x800, 8, VR_READ, &x), RV_WALK_ACCESS);
    assert_int_equal(rv_walk(h, 0x800, 2, VR_EXEC, &x), RV_WALK_OK);
    assert_int_equal(x.gpa, 0x800);
}

/* Contexts: an address space keeps its number, a fence changes it, and running out starts over. */
static void contexts(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    h->priv = RV_S;
    set(h, CSR_SATP, UINT64_C(8) << 60 | UINT64_C(1) << 44);
    uint64_t one = h->cpu.dctx;
    set(h, CSR_SATP, UINT64_C(8) << 60 | UINT64_C(2) << 44);
    uint64_t two = h->cpu.dctx;
    assert_true(one != two && one > 1 && two > 1);
    set(h, CSR_SATP, UINT64_C(8) << 60 | UINT64_C(1) << 44);
    assert_int_equal(h->cpu.dctx, one);
    rv_fence_asid(h, 2);
    assert_int_equal(h->cpu.dctx, one);
    rv_fence_asid(h, 1);
    assert_true(h->cpu.dctx != one && h->cpu.dctx != two);
    rv_set_priv(h, RV_M);
    assert_int_equal(h->cpu.dctx, 1);
    rv_set_priv(h, RV_U);
    assert_true(h->cpu.dctx > 1);
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t before = h->cpu.dctx;
        rv_fence_all(h);
        assert_true(h->cpu.dctx != before);
        assert_true(h->cpu.dctx > 1 && h->cpu.dctx < 4096);
    }
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(pmp_by_the_book), T(leaves), T(addresses), T(walks_are_checked_by_pmp), T(contexts),
    };
    return cmocka_run_group_tests_name("rv_mmu", tests, NULL, NULL);
}

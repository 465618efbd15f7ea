/*
 * A hart, run from any state through any code.
 *
 * The input is a snapshot of a hart (first byte odd), or a machine state of CSR writes, registers
 * and page-table entries (struct setup), and then the contents of memory: code, page tables, data.
 * The hart runs a bounded number of instructions, on the engine that the first byte names; lockstep
 * compares the two. No host address may be in reach of the guest but
 * RAM and ROM: every TLB entry must lead there, and only RAM may be written.
 */
#include "fuzz.h"

#include "base/bits.h"
#include "core/snap.h"
#include "cpu/jit/jit.h"
#include "cpu/jit/lockstep.h"
#include "cpu/riscv/priv.h"
#include "dev/irqchip/clint.h"
#include "dev/irqchip/imsic.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM   UINT64_C(0x80000000)
#define ROM   UINT64_C(0x1000)
#define CLINT UINT64_C(0x2000000)
#define IMSIC UINT64_C(0x24000000)

enum { RAM_LEN = 64 << 10, ROM_LEN = 0x1000, BUDGET = 400, SETUP_LEN = 64, H_COUNT = RV_H_COUNT };
enum { H_STEP = H_COUNT };
enum engine { INTERP, JIT, LOCKSTEP, JIT_SMALL };

struct bench {
    struct vr_env env;
    struct vr_ram *ram, *rom;
    struct vr_region ram_region, rom_region;
    struct vr_dev *clint, *imsic[2]; /* imsic NULL: no such controller */
    struct rv_hart *hart;
    struct vr_isa isa;
    vr_helper_fn helpers[H_COUNT + 1];
    unsigned budget;
};

/* The helpers find the bench through the hart's clock of paper. */
static uint64_t bench_time(void *opaque)
{
    return vr_clint_mtime(((struct bench *)opaque)->clint);
}

static struct bench *bench_of(struct vr_cpu *cpu)
{
    return RV_HART(cpu)->time_opaque;
}

/* Time goes by, and ends; but not where lockstep runs what was run before. */
static void bench_spend(struct bench *b)
{
    const struct vr_cpu *cpu = &b->hart->cpu;
    if (cpu->lockstep && vr_lockstep_again(cpu)) {
        return;
    }
    if (b->budget == 0 || --b->budget == 0) {
        vr_vcpu_kick(&b->hart->cpu.vcpu);
    } else if (b->budget % 16 == 0) {
        vr_clock_step(b->env.clock, 1000);
    }
}

/* Before each instruction; of compiled code, before each block, so that there is something left to
 * compile well. */
static bool bench_step(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    (void)ir;
    KEEPS(cpu->r[VR_SLOT_ZERO] == 0);
    bench_spend(bench_of(cpu));
    return true;
}

/* A handler that cannot be fetched is gone to for ever without an instruction. */
static bool bench_translate(struct vr_cpu *cpu, uint64_t va, unsigned len, enum vr_access access,
                            struct vr_xlate *ret_x)
{
    bench_spend(bench_of(cpu));
    return rv_translate(cpu, va, len, access, ret_x);
}

static bool bench_wfi(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    vr_vcpu_notify(&cpu->vcpu); /* nobody else would wake it */
    return rv_helpers[RV_H_WFI](cpu, ir);
}

static unsigned bench_decode(struct vr_cpu *cpu, struct vr_builder *b, const uint8_t *code,
                             unsigned avail)
{
    unsigned count = b->count;
    if (cpu->jit && count) {
        return rv_decode(cpu, b, code, avail);
    }
    vr_emit(b, VR_IR_helper, VR_SLOT_SINK, 0, 0, H_STEP, 0);
    unsigned len = rv_decode(cpu, b, code, avail);
    if (len == 0) {
        b->count = count;
    }
    return len;
}

static bool bench_sbi(void *opaque, struct rv_hart *hart)
{
    struct bench *b = opaque;
    uint64_t *x = hart->cpu.r;
    switch (x[17] % 8) {
    case 0:
        hart->stimecmp = x[10];
        rv_timer_update(hart);
        return true;
    case 1:
        rv_hart_remote(hart, RV_REMOTE_IPI | RV_REMOTE_FENCE_I | RV_REMOTE_SFENCE);
        return true;
    case 2:
        rv_hart_start(hart, RV_S, x[10] & ~UINT64_C(1), x[11], x[12]);
        return false;
    default:
        (void)b;
        x[10] = (uint64_t)-2;
        return true;
    }
}

static void bench_map(struct bench *b, struct vr_region *r, struct vr_ram *ram,
                      enum vr_region_kind kind, uint64_t gpa)
{
    *r = (struct vr_region){.name = "ram", .kind = kind, .gpa = gpa, .len = ram->len, .ram = ram};
    KEEPS(vr_space_add(b->env.mem, r, NULL) == 0);
}

static void bench_differs(void *opaque, unsigned cpu, const char *report)
{
    (void)opaque;
    fprintf(stderr, "hart %u:\n%s", cpu, report);
    abort();
}

/* Interrupt files of M and S, one page each. */
static void bench_add_imsics(struct bench *b)
{
    for (unsigned i = 0; i < 2; i++) {
        KEEPS(vr_dev_create(&vr_imsic_class, i ? "imsic-s" : "imsic-m", NULL, &b->env, &b->imsic[i],
                            NULL) == 0);
        KEEPS(vr_dev_map(b->imsic[i], 0, b->env.mem, IMSIC + i * UINT64_C(0x100000), NULL) == 0);
        struct vr_irq_file file = vr_imsic_file(b->imsic[i], 0);
        rv_hart_set_irq_file(b->hart, i ? RV_S : RV_M, &file);
        vr_irq_connect(vr_imsic_out(b->imsic[i], 0), rv_hart_irq, b->hart, i ? RV_SEI : RV_MEI);
    }
}

static void bench_init(struct bench *b, bool sbi, bool single, bool imsic, enum engine engine)
{
    struct rv_config config;
    memset(b, 0, sizeof(*b));
    KEEPS(vr_clock_create(VR_CLOCK_STEPPED, &b->env.clock, NULL) == 0);
    KEEPS(vr_space_create("mem", UINT64_MAX, &b->env.mem, NULL) == 0);
    KEEPS(vr_ram_create("ram", RAM_LEN, &b->ram, NULL) == 0);
    KEEPS(vr_ram_create("rom", ROM_LEN, &b->rom, NULL) == 0);
    bench_map(b, &b->ram_region, b->ram, VR_REGION_RAM, RAM);
    bench_map(b, &b->rom_region, b->rom, VR_REGION_ROM, ROM);
    KEEPS(vr_dev_create(&vr_clint_class, "clint", NULL, &b->env, &b->clint, NULL) == 0);
    KEEPS(vr_dev_map(b->clint, 0, b->env.mem, CLINT, NULL) == 0);
    rv_config_default(&config);
    config.builtin_sbi = sbi;
    config.jit = engine != INTERP && vr_jit_available(NULL) == 0;
    config.lockstep = config.jit && engine == LOCKSTEP;
    config.jit_opts = (struct vr_jit_opts){
        .hot = 1, .code_bytes = engine == JIT_SMALL ? VR_JIT_CODE_MIN : 0, .differ = bench_differs};
    KEEPS(rv_hart_create(NULL, 0, &config, b->env.mem, b->env.clock, bench_time, b, &b->hart,
                         NULL) == 0);
    vr_irq_connect(vr_clint_msip(b->clint, 0), rv_hart_irq, b->hart, RV_MSI);
    vr_irq_connect(vr_clint_mtip(b->clint, 0), rv_hart_irq, b->hart, RV_MTI);
    if (imsic) {
        bench_add_imsics(b);
    }
    rv_hart_set_sbi(b->hart, bench_sbi, b);
    b->isa = rv_isa;
    memcpy(b->helpers, rv_helpers, sizeof(rv_helpers));
    b->helpers[RV_H_WFI] = bench_wfi;
    b->helpers[H_STEP] = bench_step;
    b->isa.helpers = b->helpers;
    b->isa.helper_count = H_COUNT + 1;
    b->isa.decode = bench_decode;
    b->isa.translate = bench_translate;
    b->hart->cpu.isa = &b->isa;
    b->hart->cpu.single = single;
}

static void bench_fini(struct bench *b)
{
    vr_dev_unmap(b->clint, 0, b->env.mem);
    for (unsigned i = 0; i < 2 && b->imsic[i]; i++) {
        vr_dev_unmap(b->imsic[i], 0, b->env.mem);
    }
    b->hart->cpu.vcpu.ops->destroy(&b->hart->cpu.vcpu);
    vr_dev_destroy(b->clint);
    vr_dev_destroy(b->imsic[0]);
    vr_dev_destroy(b->imsic[1]);
    vr_space_remove(b->env.mem, &b->ram_region);
    vr_space_remove(b->env.mem, &b->rom_region);
    vr_space_destroy(b->env.mem);
    vr_ram_destroy(b->ram);
    vr_ram_destroy(b->rom);
    vr_clock_destroy(b->env.clock);
}

/* Is [hva, hva + a page) the page of @ram, mapped at @base, that the entry says it is? */
static bool leads_to(const struct vr_ram *ram, uint64_t base, uintptr_t hva, uint64_t gpa)
{
    uintptr_t first = (uintptr_t)ram->hva;
    return hva >= first && hva - first <= ram->len - VR_PAGE_SIZE && hva - first == gpa - base;
}

static void check_entry(const struct bench *b, const struct vr_tlb_entry *e, uint64_t gpa)
{
    uint64_t tag = e->tag[VR_READ] | e->tag[VR_WRITE] | e->tag[VR_EXEC];
    if (!tag) {
        return;
    }
    for (unsigned i = VR_READ; i <= VR_EXEC; i++) {
        KEEPS(e->tag[i] == 0 || e->tag[i] == tag); /* one page, one context */
    }
    KEEPS(tag & (VR_PAGE_SIZE - 1)); /* context 0 never is */
    uintptr_t hva = (uintptr_t)(tag & ~(uint64_t)(VR_PAGE_SIZE - 1)) + e->addend;
    KEEPS(leads_to(b->ram, RAM, hva, gpa) ||
          (leads_to(b->rom, ROM, hva, gpa) && !e->tag[VR_WRITE]));
    /* What holds code is not written unseen. */
    KEEPS(!e->tag[VR_WRITE] ||
          !(atomic_load(&b->ram->page_flags[(gpa - RAM) >> VR_PAGE_SHIFT]) & VR_PAGE_CODE));
}

static void check_tlb(const struct bench *b)
{
    for (unsigned m = 0; m < VR_MMU_MODES; m++) {
        const struct vr_tlb *tlb = &b->hart->cpu.tlb[m];
        for (unsigned i = 0; i < VR_TLB_SIZE; i++) {
            check_entry(b, &tlb->entry[i], tlb->gpa[i]);
        }
        for (unsigned i = 0; i < VR_TLB_VICTIMS; i++) {
            check_entry(b, &tlb->victim[i], tlb->victim_gpa[i]);
        }
    }
}

static void run(struct bench *b)
{
    struct vr_vcpu *vcpu = &b->hart->cpu.vcpu;
    uint8_t hsm = atomic_load(&b->hart->hsm);
    b->budget = BUDGET;
    atomic_store(&vcpu->kicked, false);
    if (hsm == RV_HSM_STOPPED || hsm == RV_HSM_SUSPENDED) {
        vr_vcpu_kick(vcpu); /* it would wait for somebody else */
    }
    vr_interp_run(vcpu);
    check_tlb(b);
}

/* Where things may be: mostly in memory, at its ends, or nowhere. */
static uint64_t place(const uint8_t *d)
{
    static const uint64_t near[] = {RAM,
                                    RAM + 0x1000,
                                    RAM + 0x4000,
                                    RAM + RAM_LEN,
                                    ROM,
                                    CLINT,
                                    CLINT + 0xbff8,
                                    IMSIC,
                                    IMSIC + 0x100000,
                                    0,
                                    UINT64_C(1) << 38,
                                    UINT64_C(1) << 47,
                                    UINT64_C(1) << 56,
                                    UINT64_C(0xffffffc000000000),
                                    UINT64_C(1) << 63};
    return near[d[0] % VR_COUNT(near)] + (uint64_t)(int64_t)(int8_t)d[1] * (d[0] & 0x40 ? 8 : 2);
}

static void csr(struct rv_hart *h, unsigned num, uint64_t val)
{
    h->priv = RV_M;
    (void)rv_csr_write(h, num, val);
}

/* SETUP_LEN bytes: modes, masks, addresses. */
static void set_up(struct bench *b, const uint8_t *d)
{
    struct rv_hart *h = b->hart;
    static const uint8_t privs[] = {RV_U, RV_S, RV_M, RV_M};
    static const uint8_t modes[] = {0, 8, 9, 10};
    csr(h, 0x30a, vr_load_le64(d + 8));                            /* menvcfg */
    csr(h, 0x10a, d[16]);                                          /* senvcfg */
    csr(h, 0x302, vr_load_le16(d + 17) | (d[1] & 1 ? 0xb1ff : 0)); /* medeleg */
    csr(h, 0x303, vr_load_le16(d + 19));                           /* mideleg */
    csr(h, 0x304, vr_load_le16(d + 21));                           /* mie */
    csr(h, 0x305, place(d + 23) & ~UINT64_C(2));                   /* mtvec */
    csr(h, 0x105, place(d + 25) & ~UINT64_C(2));                   /* stvec */
    csr(h, 0x341, place(d + 27));                                  /* mepc */
    csr(h, 0x141, place(d + 29));                                  /* sepc */
    csr(h, 0x14d, d[31]);                                          /* stimecmp */
    csr(h, 0x180,
        (uint64_t)modes[d[2] & 3] << 60 | (uint64_t)(d[3] & 7) << 44 |
            ((RAM + (d[32] & 15) * UINT64_C(0x1000)) >> 12)); /* satp */
    csr(h, 0x306, UINT64_MAX);
    csr(h, 0x106, UINT64_MAX);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t at = place(d + 33 + 2 * i);
        csr(h, 0x3b0 + i, at >> 2 | (d[4] & 1u << i ? 0x1ff : 0));
    }
    csr(h, 0x3b0 + 15, d[4] & 0x80 ? UINT64_MAX : RAM >> 2);
    csr(h, 0x3a0, vr_load_le32(d + 41) & 0x7f7f7f7f);
    csr(h, 0x3a2, (uint64_t)(d[5] & 0x18 ? 0x1f : d[5]) << 56); /* the last entry: mostly all */
    csr(h, 0x308, d[47]);                                       /* mvien */
    csr(h, 0x350, 0x70 + d[48] % 0x90);                         /* miselect */
    csr(h, 0x150, d[49]);                                       /* siselect */
    csr(h, 0x30c, UINT64_C(7) << 58);                           /* mstateen0 */
    csr(h, 0x300, vr_load_le64(d + 45));                        /* mstatus */
    for (unsigned i = 1; i < 32; i++) {
        h->cpu.r[i] = place(d + 46 + i % 17) + i * (d[6] & 1 ? 0 : 8);
        h->cpu.r[32 + i] = vr_load_le64(d + i) | (d[6] & 2 ? UINT64_C(0xffffffff) << 32 : 0);
    }
    rv_set_priv(h, (enum rv_priv)privs[d[1] >> 1 & 3]);
    h->cpu.pc = place(d + 62) & ~UINT64_C(1);
    atomic_store(&h->hsm, RV_HSM_STARTED);
}

static void save_and_load(struct bench *b)
{
    struct vr_snap s;
    vr_snap_init(&s);
    KEEPS(b->hart->cpu.vcpu.ops->save(&b->hart->cpu.vcpu, &s, NULL) == 0);
    struct vr_error err = {0};
    if (b->hart->cpu.vcpu.ops->load(&b->hart->cpu.vcpu, &s, &err) < 0) {
        fprintf(stderr, "a state that was reached is refused: %s\n", err.msg);
        abort();
    }
    KEEPS(s.pos == s.len);
    vr_snap_fini(&s);
}

/* Its files are open, and messages come. */
static void message(struct bench *b, const uint8_t *d)
{
    uint64_t old;
    for (unsigned i = 0; i < 2 && b->imsic[i]; i++) {
        struct vr_irq_file f = vr_imsic_file(b->imsic[i], 0);
        KEEPS(f.reg(f.chip, f.index, 0x70, d[3] & 1, 1, &old));
        KEEPS(f.reg(f.chip, f.index, 0xc0 + (d[2] & 6), UINT64_MAX, vr_load_le64(d), &old));
        vr_dev_write(b->imsic[i], 0, 0, 4, d[i]);
    }
}

/* Memory from the input, over and over. */
static void fill(struct bench *b, const uint8_t *data, size_t len)
{
    for (size_t at = 0; len && at < RAM_LEN; at += len) {
        size_t n = RAM_LEN - at < len ? RAM_LEN - at : len;
        memcpy(b->ram->hva + at, data, n);
    }
    memcpy(b->rom->hva, b->ram->hva, ROM_LEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bench b;
    if (len < SETUP_LEN) {
        return 0;
    }
    bench_init(&b, data[0] & 2, data[0] & 4, data[0] & 0x20, (enum engine)(data[0] >> 3 & 3));
    if (data[0] & 1) {
        struct vr_snap s = {.buf = (uint8_t *)(uintptr_t)data + 1, .len = len - 1};
        struct vr_error err = {0};
        fill(&b, data, len);
        int r = b.hart->cpu.vcpu.ops->load(&b.hart->cpu.vcpu, &s, &err);
        KEEPS(r == 0 || err.msg[0]);
    } else {
        fill(&b, data + SETUP_LEN, len - SETUP_LEN);
        set_up(&b, data);
    }
    for (unsigned i = 0; i < 3; i++) {
        message(&b, data + 8 * i);
        run(&b);
        save_and_load(&b);
    }
    bench_fini(&b);
    return 0;
}

/* A page table at the start of RAM that maps everything at several places, and code behind it. */
static size_t seed_program(unsigned n, uint8_t *buf)
{
    static const uint32_t code[] = {
        0x00a5b023, /* sd a0, 0(a1) */
        0x0005b503, /* ld a0, 0(a1) */
        0x00b5302f, /* amoadd.d zero, a1, (a0) */
        0x1005a52f, /* lr.w a0, (a1) */
        0x18a5a62f, /* sc.w a2, a0, (a1) */
        0x0000100f, /* fence.i */
        0x12000073, /* sfence.vma */
        0x00c58067, /* jr 12(a1) */
        0x30029073, /* csrw mstatus, t0 */
        0x18029073, /* csrw satp, t0 */
        0x10200073, /* sret */
        0x30200073, /* mret */
        0x00000073, /* ecall */
        0x02b57553, /* fadd.d fa0, fa0, fa1 */
        0x0045a00f, /* cbo.zero (a1) */
        0x10500073, /* wfi */
        0x15c01573, /* csrrw a0, stopei, zero */
        0x35c01573, /* csrrw a0, mtopei, zero */
        0x15151573, /* csrrw a0, sireg, a0 */
        0xfb5ff06f, /* j .-76 */
    };
    uint8_t *ram = buf + SETUP_LEN;
    memset(buf, 0, SETUP_LEN + 0x4000);
    buf[0] = (uint8_t)((n & 1) << 2 | (n & 2) | (n & 8) << 2);
    buf[1] = (uint8_t)((n % 3) << 1 | 1);
    buf[2] = (uint8_t)(n / 3);
    buf[4] = 0x80;
    buf[5] = 0x1f;
    memset(buf + 8, n & 4 ? 0xff : 0, 8);
    for (unsigned i = 46; i < SETUP_LEN; i++) {
        buf[i] = (uint8_t)(i * n % 8);
    }
    buf[46] = 0x60; /* FS */
    buf[62] = n & 8 ? 1 : 2;
    buf[63] = 0;
    for (unsigned i = 0; i < 512; i++) { /* root: tables, and large pages */
        uint64_t pte = i % 4 == 0   ? (RAM + 0x1000) >> 2 | 1
                       : i % 4 == 2 ? (RAM & ~UINT64_C(0x3fffffff)) >> 2 | 0xcf
                                    : 0;
        vr_store_le64(ram + i * 8, pte);
        uint64_t page = RAM + i % 16 * 0x1000;
        vr_store_le64(ram + 0x1000 + i * 8,
                      page >> 2 | (i & 32 ? (RAM + 0x1000) >> 2 | 1 : (i * 7 & 0xff) | 1));
    }
    for (unsigned i = 0; i < VR_COUNT(code); i++) {
        vr_store_le32(ram + 0x2000 + i * 4, code[i]);
        vr_store_le32(ram + 0x3000 + i * 4, code[(i * 5 + n) % VR_COUNT(code)]);
    }
    vr_store_le64(buf + 45, n & 2 ? UINT64_C(0x6000) : UINT64_C(0xe2800) | (uint64_t)n << 17);
    return SETUP_LEN + 0x4000;
}

static size_t seed_snapshot(uint8_t *buf, size_t cap)
{
    struct bench b;
    struct vr_snap s;
    size_t len;
    bench_init(&b, false, false, false, INTERP);
    b.hart->cpu.pc = RAM;
    vr_snap_init(&s);
    KEEPS(b.hart->cpu.vcpu.ops->save(&b.hart->cpu.vcpu, &s, NULL) == 0 && s.len + 1 < cap);
    buf[0] = 1;
    memcpy(buf + 1, s.buf, s.len);
    len = s.len + 1;
    vr_snap_fini(&s);
    bench_fini(&b);
    return len;
}

/* The same places, full of random bytes; of every other one half are compressed instructions that
 * exist, for the first ones of random bytes mostly trap. */
static size_t seed_random(unsigned n, uint8_t *buf)
{
    static const uint16_t some[] = {
        0x852e, /* mv a0, a1 */
        0x95aa, /* add a1, a1, a0 */
        0x6188, /* ld a0, 0(a1) */
        0xe188, /* sd a0, 0(a1) */
        0x0505, /* addi a0, a0, 1 */
        0xf16d, /* bnez a0, .-30 */
        0x8d2d, /* xor a0, a0, a1 */
        0xbff1, /* j .-36 */
    };
    size_t len = seed_program(n, buf);
    uint64_t x = n * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (unsigned i = 0x2000; i < 0x4000; i += 2) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        vr_store_le16(buf + SETUP_LEN + i, n & 1 && x >> 32 & 1 ? some[x >> 33 & 7] : (uint16_t)x);
    }
    return len;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    static const uint8_t engines[] = {LOCKSTEP, INTERP, JIT, JIT_SMALL};
    unsigned which = n / VR_COUNT(engines);
    if (which < 48) {
        size_t len = which < 24 ? seed_program(which, buf) : seed_random(which, buf);
        buf[0] |= (uint8_t)(engines[n % VR_COUNT(engines)] << 3);
        return len;
    }
    return n == 48 * VR_COUNT(engines) ? seed_snapshot(buf, cap) : 0;
}

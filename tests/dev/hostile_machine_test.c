/*
 * Hostile guests against whole machines: random operations on all devices, and random code on
 * several harts that share memory and devices while the machine is paused, saved, reset and ended
 * under them. The machine must stay alive, its memory bounded, and nothing of the host in reach.
 */
#include "test.h"

#include "base/bits.h"
#include "board/virt_riscv_priv.h"
#include "core/snap.h"
#include "elf_head.h"
#include "hostile.h"
#include "vireo/host_time.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

/* What a guest can make us hold: queues of consoles (1 MiB each), requests in flight, the harts'
 * code. The address sanitizer keeps up to 256 MiB of what was freed. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GROWTH (320 * MIB)
#else
#define GROWTH (32 * MIB)
#endif

static uint64_t next(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* --- Devices --- */

enum { ROUNDS = 60, OPS = 500 };

static void random_operations(enum vr_virt_aia aia, unsigned rounds)
{
    struct hostile h;
    uint64_t x = 1, first = 0;
    hostile_init(&h, aia);
    for (unsigned round = 0; round < rounds; round++) {
        hostile_reset(&h);
        for (unsigned i = 0; i < OPS; i++) {
            uint8_t op[HOSTILE_OP];
            vr_store_le64(op, next(&x));
            vr_store_le64(op + 8, next(&x));
            if (i < 16) { /* most rounds begin with devices that work */
                memset(op + 2, 0, sizeof(op) - 2);
                op[0] = 4;
                op[1] = (uint8_t)i;
            }
            hostile_do(&h, op);
        }
        hostile_check(&h);
        first = round == rounds / 4 ? hostile_rss() : first;
    }
    for (unsigned i = 0; i < VR_COUNT(h.ops); i++) {
        assert_true(h.ops[i] > rounds);
    }
    assert_true(hostile_rss() < first + GROWTH || first == 0);
    hostile_fini(&h);
}

static void random_operations_leave_the_machine_alive(void **state)
{
    (void)state;
    random_operations(VR_VIRT_AIA_NONE, ROUNDS);
    random_operations(VR_VIRT_AIA_APLIC, ROUNDS / 4);
    random_operations(VR_VIRT_AIA_APLIC_IMSIC, ROUNDS / 4);
}

/* All ones, all zeroes and a walking bit into every register there is, then the same again while
 * the queues are set up: row 3 of docs/threats.md for everything that is no virtio device. */
static void every_address(enum vr_virt_aia aia)
{
    static const uint64_t values[] = {0, UINT64_MAX, 1, 0x80, 0x8000, 0x80000000};
    struct hostile h;
    const char *name;
    uint64_t gpa, len, val;
    unsigned irq;
    hostile_init(&h, aia);
    struct vr_space *mem = vr_machine_mem(h.v->machine);
    for (unsigned row = 0; vr_virt_map_row(h.v, row, &name, &gpa, &len, &irq); row++) {
        uint64_t step = len > 0x10000 ? len / 0x4000 | 1 : 1;
        if (strcmp(name, "ram") == 0) {
            continue;
        }
        for (uint64_t off = 0; off < len; off += step) {
            for (unsigned width = 1; width <= 8; width *= 2) {
                (void)!vr_space_write(mem, h.cache, gpa + off, width,
                                      values[(off + width) % VR_COUNT(values)]);
                (void)!vr_space_read(mem, h.cache, gpa + off, width, &val);
            }
        }
        vr_loop_turn(vr_machine_loop(h.v->machine), 0);
    }
    hostile_check(&h);
    hostile_fini(&h);
}

static void every_address_of_every_window(void **state)
{
    (void)state;
    every_address(VR_VIRT_AIA_NONE);
    every_address(VR_VIRT_AIA_APLIC);
    every_address(VR_VIRT_AIA_APLIC_IMSIC);
}

/* --- Harts --- */

enum { HARTS = 4, CODE_WORDS = 8192, RUNS = 20, RUN_NS = 60000000 };

/* What random code is made of: opcode bits that stay, and bits that are random. */
static const struct {
    uint32_t word, random;
} insns[] = {
    {0x00000013, 0xfff00fe0}, /* addi rd, x0.., imm */
    {0x00000033, 0x41f00fe0}, /* add, sub ... */
    {0x00000037, 0xffffffe0}, /* lui */
    {0x00000017, 0xffffffe0}, /* auipc */
    {0x00003003, 0xfffb8fe0}, /* ld */
    {0x00000003, 0xffffcfe0}, /* loads of any width */
    {0x00003023, 0xffffafe0}, /* stores */
    {0x0000302f, 0xffffdfe0}, /* lr, sc, amo */
    {0x00000063, 0x01fffb00}, /* branches, near */
    {0x0000006f, 0x00f00fe0}, /* jal, near */
    {0x00000067, 0x00ff8fe0}, /* jalr */
    {0x0000100f, 0},          /* fence.i */
    {0x0000000f, 0xfff00000}, /* fence */
    {0x12000073, 0x01ff8000}, /* sfence.vma */
    {0x30001073, 0x0cff8fe0}, /* csr, of every number that M-mode has */
    {0x18001073, 0x000fafe0}, /* satp */
    {0x10001073, 0x04ff8fe0}, /* csr of S */
    {0x3a001073, 0x01ff8fe0}, /* pmp */
    {0x00000073, 0},          /* ecall */
    {0x10200073, 0},          /* sret */
    {0x30200073, 0},          /* mret */
    {0x00000053, 0xffffffe0}, /* floating point */
    {0x0000200f, 0x007f8000}, /* cbo */
    {0x00000001, 0x0000fffe}, /* compressed, in pairs */
    {0x00000000, 0xffffffff}, /* anything */
};

/* clang-format off */
/* Pointers to devices and memory, and a handler that goes on somewhere else in the
 * code, in the same mode. */
static const uint32_t machine_prologue[] = {
    0x00000297, /* 0: auipc t0,0x0 */
    0x02428293, /* 4: add t0,t0,36 */
    0x30529073, /* 8: csrw mtvec,t0 */
    0x10000537, /* c: lui a0,0x10000 */
    0x020005b7, /* 10: lui a1,0x2000 */
    0x0c000637, /* 14: lui a2,0xc000 */
    0x00001497, /* 18: auipc s1,0x1 */
    0x00002417, /* 1c: auipc s0,0x2 */
    0x0380006f, /* 20: j 58 <body> */
    0xb0002373, /* 24: csrr t1,mcycle */
    0x7fc37313, /* 28: and t1,t1,2044 */
    0x00331313, /* 2c: sll t1,t1,0x3 */
    0x00000297, /* 30: auipc t0,0x0 */
    0x006282b3, /* 34: add t0,t0,t1 */
    0x34129073, /* 38: csrw mepc,t0 */
    0x00002337, /* 3c: lui t1,0x2 */
    0x80030313, /* 40: add t1,t1,-2048 */
    0x30032073, /* 44: csrs mstatus,t1 */
    0x100016b7, /* 48: lui a3,0x10001 */
    0x10100737, /* 4c: lui a4,0x10100 */
    0x00001497, /* 50: auipc s1,0x1 */
    0x30200073, /* 54: mret */
};
/* This one first starts the other harts. */
static const uint32_t supervisor_prologue[] = {
    0x00000297, /* 0: auipc t0,0x0 */
    0x05428293, /* 4: add t0,t0,84 */
    0x10529073, /* 8: csrw stvec,t0 */
    0x004858b7, /* c: lui a7,0x485 */
    0x34d88893, /* 10: add a7,a7,845 */
    0x00000813, /* 14: li a6,0 */
    0x00000597, /* 18: auipc a1,0x0 */
    0xfa858593, /* 1c: add a1,a1,-88 */
    0x00100513, /* 20: li a0,1 */
    0x00000073, /* 24: ecall */
    0x00200513, /* 28: li a0,2 */
    0x00000073, /* 2c: ecall */
    0x00300513, /* 30: li a0,3 */
    0x00000073, /* 34: ecall */
    0x10000537, /* 38: lui a0,0x10000 */
    0x020005b7, /* 3c: lui a1,0x2000 */
    0x0c000637, /* 40: lui a2,0xc000 */
    0x100016b7, /* 44: lui a3,0x10001 */
    0x10100737, /* 48: lui a4,0x10100 */
    0x00001497, /* 4c: auipc s1,0x1 */
    0x0300006f, /* 50: j 80 <body> */
    0xc0002373, /* 54: rdcycle t1 */
    0x7fc37313, /* 58: and t1,t1,2044 */
    0x00331313, /* 5c: sll t1,t1,0x3 */
    0x00000297, /* 60: auipc t0,0x0 */
    0x006282b3, /* 64: add t0,t0,t1 */
    0x14129073, /* 68: csrw sepc,t0 */
    0x10000313, /* 6c: li t1,256 */
    0x10032073, /* 70: csrs sstatus,t1 */
    0x00001497, /* 74: auipc s1,0x1 */
    0x00002417, /* 78: auipc s0,0x2 */
    0x10200073, /* 7c: sret */
};
/* This one's handler runs in RAM, and tells the flash to show its contents again. */
static const uint32_t flash_prologue[] = {
    0x00100593, /* 0: li a1,1 */
    0x01f59593, /* 4: sll a1,a1,0x1f */
    0x00058393, /* 8: mv t2,a1 */
    0x00000317, /* c: auipc t1,0x0 */
    0x05830313, /* 10: add t1,t1,88 */
    0x01400e13, /* 14: li t3,20 */
    0x00032e83, /* 18: lw t4,0(t1) */
    0x01d3a023, /* 1c: sw t4,0(t2) */
    0x00430313, /* 20: add t1,t1,4 */
    0x00438393, /* 24: add t2,t2,4 */
    0xfffe0e13, /* 28: add t3,t3,-1 */
    0xfe0e16e3, /* 2c: bnez t3,18 */
    0x0000100f, /* 30: fence.i */
    0x004858b7, /* 34: lui a7,0x485 */
    0x34d88893, /* 38: add a7,a7,845 */
    0x00000813, /* 3c: li a6,0 */
    0x00100513, /* 40: li a0,1 */
    0x00000073, /* 44: ecall */
    0x00100593, /* 48: li a1,1 */
    0x01f59593, /* 4c: sll a1,a1,0x1f */
    0x00200513, /* 50: li a0,2 */
    0x00000073, /* 54: ecall */
    0x00100593, /* 58: li a1,1 */
    0x01f59593, /* 5c: sll a1,a1,0x1f */
    0x00058067, /* 60: jr a1 */
    0x00000397, /* 64: auipc t2,0x0 */
    0x10539073, /* 68: csrw stvec,t2 */
    0x200002b7, /* 6c: lui t0,0x20000 */
    0x0ff00313, /* 70: li t1,255 */
    0x00628023, /* 74: sb t1,0(t0) */
    0xc0002373, /* 78: rdcycle t1 */
    0x7fc37313, /* 7c: and t1,t1,2044 */
    0x00331313, /* 80: sll t1,t1,0x3 */
    0x006282b3, /* 84: add t0,t0,t1 */
    0x10028293, /* 88: add t0,t0,256 */
    0x14129073, /* 8c: csrw sepc,t0 */
    0x10000313, /* 90: li t1,256 */
    0x10032073, /* 94: csrs sstatus,t1 */
    0x100016b7, /* 98: lui a3,0x10001 */
    0x20010437, /* 9c: lui s0,0x20010 */
    0x220004b7, /* a0: lui s1,0x22000 */
    0x10200073, /* a4: sret */
    0x00000013, /* a8: nop */
    0x00000013, /* ac: nop */
    0x00000013, /* b0: nop */
};
/* clang-format on */

static char code_path[64];

static int make_path(void **state)
{
    (void)state;
    (void)snprintf(code_path, sizeof(code_path), "/tmp/vireo-code-XXXXXX");
    int fd = mkstemp(code_path);
    return fd < 0 ? -1 : close(fd);
}

static int drop_path(void **state)
{
    (void)state;
    return unlink(code_path);
}

/* An SBI call of a known extension, mostly of a function that it has, with any arguments. */
static void put_call(uint32_t *code, uint64_t *x)
{
    static const uint32_t exts[] = {0x0,        0x1,        0x2,        0x10,
                                    0x54494d45, 0x735049,   0x52464e43, 0x48534d,
                                    0x4442434e, 0x54494d45, 0x52464e43, 0x735049};
    uint32_t ext = exts[next(x) % VR_COUNT(exts)];
    code[0] = 0x000008b7 | ((ext + 0x800) & 0xfffff000);  /* lui a7 */
    code[1] = 0x00088893 | ext << 20;                     /* addi a7, a7 */
    code[2] = 0x00000813 | (uint32_t)(next(x) % 4) << 20; /* li a6 */
    code[3] = 0x00000073;                                 /* ecall */
}

/* What the code is, and where it starts. */
enum kind { BARE, KERNEL, FLASH };

/* A prologue and random instructions: a bare-metal program, a kernel, or the contents of flash. */
static void make_code(uint64_t *x, enum kind kind)
{
    bool image = kind == KERNEL;
    enum { AT = 0x1000 };
    static uint32_t words[CODE_WORDS];
    uint8_t head[AT] = {0};
    for (unsigned i = 0; i < CODE_WORDS; i++) {
        unsigned k = (unsigned)(next(x) % VR_COUNT(insns));
        words[i] = insns[k].word ^ ((uint32_t)next(x) & insns[k].random);
        if (image && i >= 4 && next(x) % 16 == 0) {
            put_call(&words[i - 3], x);
        } else if (next(x) % 512 == 0) {
            words[i] = 0x10500073; /* wfi: not often, nobody wakes them */
        }
    }
    if (kind == BARE) {
        memcpy(words, machine_prologue, sizeof(machine_prologue));
    } else if (kind == KERNEL) {
        memcpy(words + 16, supervisor_prologue, sizeof(supervisor_prologue));
    } else {
        memcpy(words, flash_prologue, sizeof(flash_prologue));
    }
    if (image) {
        memset(words, 0, 64);
        words[0] = 0x0400006f; /* j 64 */
        words[2] = 2 << 20;    /* text offset */
        words[4] = (uint32_t)sizeof(words);
        words[14] = 0x05435352; /* "RSC\5" */
    } else if (kind == BARE) {
        elf_head(head, VIRT_RAM, AT, sizeof(words));
    }
    FILE *f = fopen(code_path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(head, 1, kind == BARE ? AT : 0, f), kind == BARE ? AT : 0);
    for (unsigned i = 0; i < CODE_WORDS; i++) {
        uint8_t word[4];
        vr_store_le32(word, words[i]);
        assert_int_equal(fwrite(word, 1, 4, f), 4);
    }
    assert_int_equal(fclose(f), 0);
}

static struct vr_virt *build(enum kind kind, unsigned run)
{
    struct vr_virt *v = NULL;
    struct vr_error err = {0};
    struct vr_virt_opts o = {
        .cpus = HARTS,
        .aia = (enum vr_virt_aia)(run % 3),
        .ram_bytes = 16 * MIB,
        .kernel = kind == FLASH ? NULL : code_path,
        .firmware = kind == BARE ? "none" : NULL,
        .flash = kind == FLASH ? code_path : NULL,
        .net_count = 1,
        .serial = {.spec = "null"},
        .port = {{.spec = "null"}},
        .port_count = 1,
        .clock = VR_CLOCK_REAL,
        .own_loop_thread = true,
    };
    if (vr_virt_create(&o, &v, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return v;
}

/* Accesses by somebody who does not wait for the harts. */
static void meddle(struct vr_virt *v, uint64_t *x)
{
    struct vr_view_cache cache = {0};
    struct vr_space *mem = vr_machine_mem(v->machine);
    const char *name;
    uint64_t gpa = 0, len = 0, val;
    unsigned irq, row;
    for (unsigned i = 0; i < 200; i++) {
        row = (unsigned)(next(x) % v->dev_count);
        if (vr_virt_map_row(v, row, &name, &gpa, &len, &irq) && strcmp(name, "test") != 0) {
            gpa += next(x) % (next(x) & 1 ? len : 0x100);
            unsigned width = 1u << next(x) % 4;
            (void)!vr_space_write(mem, &cache, gpa & ~(uint64_t)(width - 1), width, next(x));
            (void)!vr_space_read(mem, &cache, gpa, width, &val);
        }
    }
    vr_view_cache_drop(mem, &cache);
}

/* Resets happen on a thread of the machine's; nobody may look into it meanwhile. */
static atomic_uint resets;

static int counted_reset(void *virt, struct vr_error *err)
{
    int r = virt_on_reset(virt, err);
    atomic_fetch_add(&resets, 1);
    return r;
}

static bool reset_and_wait(struct vr_machine *m)
{
    unsigned before = atomic_load(&resets);
    bool ended = false;
    vr_machine_request(m, VR_REQ_RESET, 0);
    while (!ended && atomic_load(&resets) == before) {
        ended = vr_machine_wait(m, 100000, NULL);
    }
    (void)vr_machine_pause(m); /* comes after what else belongs to the reset */
    (void)vr_machine_resume(m);
    return ended;
}

/* Run it for a while, with everything done to it that an owner may do. True: it ended itself. */
static bool live(struct vr_virt *v, const struct vr_ram *flash, uint64_t *x)
{
    struct vr_machine *m = v->machine;
    struct vr_error err = {0};
    uint64_t until = vireo_monotonic_ns() + RUN_NS;
    while (vireo_monotonic_ns() < until) {
        struct vr_snap s;
        meddle(v, x);
        if (vr_machine_wait(m, next(x) % 3000000, NULL)) {
            return true;
        }
        switch (next(x) % 4) {
        case 0:
            if (reset_and_wait(m)) {
                return true;
            }
            break;
        case 1:
            vr_snap_init(&s);
            if (vr_machine_pause(m) == 0) {
                hostile_check_tlbs(v, flash);
                assert_int_equal(vr_machine_save(m, &s, &err), 0);
                if (vr_machine_load(m, &s, &err) < 0) {
                    fail_msg("%s", err.msg);
                }
                assert_int_equal(s.pos, s.len);
                assert_int_equal(vr_machine_resume(m), 0);
            }
            vr_snap_fini(&s);
            break;
        default:
            if (vr_machine_pause(m) == 0) {
                hostile_check_tlbs(v, flash);
                (void)vr_machine_resume(m);
            }
            break;
        }
    }
    return false;
}

static void run_random_code(enum kind kind)
{
    uint64_t x = 7 + 70 * (uint64_t)kind, retired = 0, first = 0;
    unsigned ended = 0;
    for (unsigned run = 0; run < RUNS; run++) {
        struct vr_error err = {0};
        make_code(&x, kind);
        struct vr_virt *v = build(kind, run);
        const struct vr_ram *flash = hostile_flash(v);
        assert_int_equal(flash != NULL, kind == FLASH);
        vr_machine_on_reset(v->machine, counted_reset, v);
        assert_int_equal(vr_machine_start(v->machine, &err), 0);
        ended += live(v, flash, &x);
        if (vr_machine_pause(v->machine) == 0) {
            hostile_check_tlbs(v, flash);
        }
        for (unsigned i = 0; i < HARTS; i++) {
            retired += v->hart[i]->cpu.icount;
        }
        vr_virt_destroy(v); /* also while it is paused, or has ended */
        first = run == RUNS / 4 ? hostile_rss() : first;
    }
    print_message("# %llu instructions, %u machines ended themselves\n",
                  (unsigned long long)retired, ended);
    assert_true(retired > 10000);
    assert_true(hostile_rss() < first + GROWTH || first == 0);
}

static void random_machine_mode_code(void **state)
{
    (void)state;
    run_random_code(BARE);
}

static void random_supervisor_code(void **state)
{
    (void)state;
    run_random_code(KERNEL);
}

/* Its stores give the flash commands that take the code away from under it. */
static void random_code_in_flash(void **state)
{
    (void)state;
    run_random_code(FLASH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_leave_the_machine_alive),
        cmocka_unit_test(every_address_of_every_window),
        cmocka_unit_test(random_machine_mode_code),
        cmocka_unit_test(random_supervisor_code),
        cmocka_unit_test(random_code_in_flash),
    };
    return cmocka_run_group_tests_name("hostile_machine", tests, make_path, drop_path);
}

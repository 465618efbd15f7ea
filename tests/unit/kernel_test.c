/*
 * Kernel files as an attacker writes them: every header field at its edges, every length.
 * Sources: as in src/boot/kernel.h.
 */
#include "test.h"

#include "base/bits.h"
#include "boot/kernel.h"
#include "vireo/host_time.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BASE UINT64_C(0x80000000)

enum { EHDR = 64, PHDR = 56, SHDR = 64, SYM = 24, PT_LOAD = 1, SHT_SYMTAB = 2 };

/* Values at which length arithmetic breaks. */
static const uint64_t edges[] = {0,
                                 1,
                                 2,
                                 3,
                                 7,
                                 8,
                                 55,
                                 56,
                                 57,
                                 63,
                                 64,
                                 65,
                                 0x7f,
                                 0x80,
                                 0xfe,
                                 0xff,
                                 0x7fff,
                                 0x8000,
                                 0xfffe,
                                 0xffff,
                                 0x7fffffff,
                                 0x80000000,
                                 0xfffffffe,
                                 0xffffffff,
                                 0x100000000,
                                 0x7fffffffffffffff,
                                 0x8000000000000000,
                                 UINT64_MAX - 0x80000000,
                                 UINT64_MAX - 64,
                                 UINT64_MAX - 1,
                                 UINT64_MAX};

/* The same bytes at the end of a heap block of their own, so that the sanitizer sees a byte read
 * too far; and *@k keeps a pattern when nothing was returned. */
static int parse(const uint8_t *data, size_t len, struct vr_kernel *k)
{
    struct vr_error err = {0};
    uint8_t *copy = malloc(len ? len : 1);
    struct vr_kernel untouched;
    assert_non_null(copy);
    memcpy(copy, data, len);
    memset(k, 0xa5, sizeof(*k));
    untouched = *k;
    int r = vr_kernel_parse("file", copy, len, RAM_BASE, k, &err);
    free(copy);
    if (r < 0) {
        assert_true(r == -EINVAL || r == -ENOEXEC);
        assert_int_equal(err.code, r);
        assert_non_null(strstr(err.msg, "file"));
        assert_null(strchr(err.msg, '\n'));
        assert_memory_equal(k, &untouched, sizeof(*k));
    }
    return r;
}

/* What every user of a parsed kernel relies on. */
static void check_sound(const struct vr_kernel *k, size_t len)
{
    uint64_t end;
    assert_in_range(k->segment_count, 1, VR_KERNEL_SEGMENTS);
    for (unsigned i = 0; i < k->segment_count; i++) {
        const struct vr_segment *s = &k->segment[i];
        assert_true(vr_in_range(s->off, s->file_len, len));
        assert_true(s->file_len <= s->mem_len && s->mem_len > 0);
        assert_true(vr_add_ok(s->gpa, s->mem_len, &end));
        assert_true(s->gpa >= k->low && end <= k->high);
    }
    assert_true(k->low < k->high);
}

static void parse_sound(const uint8_t *data, size_t len)
{
    struct vr_kernel k;
    if (parse(data, len, &k) == 0) {
        check_sound(&k, len);
    }
}

/* --- Linux Image --- */

enum { IMAGE_LEN = 4096 };

static void make_image(uint8_t *d, uint64_t text, uint64_t size, uint64_t flags)
{
    memset(d, 0, IMAGE_LEN);
    vr_store_le32(d, 0x0000006f); /* j . */
    vr_store_le64(d + 8, text);
    vr_store_le64(d + 16, size);
    vr_store_le64(d + 24, flags);
    vr_store_le32(d + 32, 2);
    memcpy(d + 48, "RISCV\0\0\0", 8);
    memcpy(d + 56, "RSC\x05", 4);
}

static void a_good_image_is_placed_by_its_header(void **state)
{
    uint8_t d[IMAGE_LEN];
    struct vr_kernel k;
    (void)state;
    make_image(d, 0x200000, 0x10000, 0);
    assert_int_equal(parse(d, sizeof(d), &k), 0);
    check_sound(&k, sizeof(d));
    assert_int_equal(k.kind, VR_KERNEL_LINUX_IMAGE);
    assert_int_equal(k.entry, RAM_BASE + 0x200000);
    assert_int_equal(k.segment_count, 1);
    assert_int_equal(k.segment[0].gpa, k.entry);
    assert_int_equal(k.segment[0].off, 0);
    assert_int_equal(k.segment[0].file_len, sizeof(d));
    assert_int_equal(k.segment[0].mem_len, 0x10000);
    assert_int_equal(k.low, k.entry);
    assert_int_equal(k.high, k.entry + 0x10000);
    assert_int_equal(k.tohost, 0);

    make_image(d, 0x200000, 100, 0); /* a size below the file's: the file's counts */
    assert_int_equal(parse(d, sizeof(d), &k), 0);
    assert_int_equal(k.segment[0].mem_len, sizeof(d));
    make_image(d, 0, 0, 0); /* from before the header had a size */
    assert_int_equal(parse(d, sizeof(d), &k), 0);
    assert_int_equal(k.entry, RAM_BASE + 0x200000);
    assert_int_equal(k.segment[0].mem_len, sizeof(d));
}

static void a_big_endian_image_is_refused(void **state)
{
    uint8_t d[IMAGE_LEN];
    struct vr_kernel k;
    (void)state;
    make_image(d, 0x200000, 0x10000, 1);
    assert_int_equal(parse(d, sizeof(d), &k), -ENOEXEC);
}

static void image_fields_at_their_edges(void **state)
{
    uint8_t d[IMAGE_LEN];
    struct vr_kernel k;
    unsigned good = 0, bad = 0;
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(edges); i++) {
        for (unsigned j = 0; j < VR_COUNT(edges); j++) {
            make_image(d, edges[i], edges[j], 0);
            if (parse(d, sizeof(d), &k) == 0) {
                check_sound(&k, sizeof(d));
                assert_true(k.entry - RAM_BASE <= 1 << 30);
                assert_true(k.high - k.low <= UINT64_C(1) << 36);
                good++;
            } else {
                bad++;
            }
        }
    }
    assert_true(good > 100 && bad > 100);
    for (unsigned off = 0; off < 64; off++) { /* and every other byte of the header */
        for (unsigned v = 0; v < 256; v++) {
            make_image(d, 0x200000, 0x10000, 0);
            d[off] = (uint8_t)v;
            parse_sound(d, sizeof(d));
        }
    }
}

static void an_image_cut_anywhere_in_its_header_is_refused(void **state)
{
    uint8_t d[IMAGE_LEN];
    struct vr_kernel k;
    (void)state;
    make_image(d, 0x200000, 0x10000, 0);
    for (size_t len = 0; len < 64; len++) {
        assert_true(parse(d, len, &k) < 0);
    }
    for (size_t len = 64; len < 200; len++) {
        parse_sound(d, len);
    }
}

/* --- ELF --- */

enum { ELF_MAX = 8192 };

struct elf {
    uint8_t d[ELF_MAX];
    size_t len;
};

static void put_phdr(uint8_t *p, uint32_t type, uint64_t off, uint64_t va, uint64_t pa,
                     uint64_t file_len, uint64_t mem_len)
{
    vr_store_le32(p, type);
    vr_store_le32(p + 4, 5);
    vr_store_le64(p + 8, off);
    vr_store_le64(p + 16, va);
    vr_store_le64(p + 24, pa);
    vr_store_le64(p + 32, file_len);
    vr_store_le64(p + 40, mem_len);
    vr_store_le64(p + 48, 0x1000);
}

/* Program headers follow the header; the rest of the file is there to be loaded. */
static void make_elf(struct elf *e, unsigned phdrs)
{
    memset(e, 0, sizeof(*e));
    e->len = sizeof(e->d);
    memcpy(e->d, "\177ELF\2\1\1", 7);
    vr_store_le16(e->d + 16, 2); /* ET_EXEC */
    vr_store_le16(e->d + 18, 243);
    vr_store_le32(e->d + 20, 1);
    vr_store_le64(e->d + 32, EHDR);
    vr_store_le16(e->d + 52, EHDR);
    vr_store_le16(e->d + 54, PHDR);
    vr_store_le16(e->d + 56, (uint16_t)phdrs);
}

/* Two segments, linked high and loaded at @RAM_BASE, and a symbol table with `tohost`. */
enum { SHDRS_AT = 0x400, SYMS_AT = 0x600, STRS_AT = 0x700, STRS_LEN = 16 };
static void make_good_elf(struct elf *e)
{
    make_elf(e, 2);
    vr_store_le64(e->d + 24, UINT64_C(0xffffffff80000010));
    put_phdr(e->d + EHDR, PT_LOAD, 0x1000, UINT64_C(0xffffffff80000000), RAM_BASE, 0x800, 0x1000);
    put_phdr(e->d + EHDR + PHDR, PT_LOAD, 0x1800, UINT64_C(0xffffffff80002000), RAM_BASE + 0x2000,
             0x100, 0x3000);
    vr_store_le64(e->d + 40, SHDRS_AT);
    vr_store_le16(e->d + 58, SHDR);
    vr_store_le16(e->d + 60, 3);
    uint8_t *symtab = e->d + SHDRS_AT + SHDR, *strtab = e->d + SHDRS_AT + 2 * SHDR;
    vr_store_le32(symtab + 4, SHT_SYMTAB);
    vr_store_le64(symtab + 24, SYMS_AT);
    vr_store_le64(symtab + 32, 3 * SYM);
    vr_store_le32(symtab + 40, 2);
    vr_store_le64(symtab + 56, SYM);
    vr_store_le32(strtab + 4, 3);
    vr_store_le64(strtab + 24, STRS_AT);
    vr_store_le64(strtab + 32, STRS_LEN);
    memcpy(e->d + STRS_AT, "\0main\0tohost\0pad", STRS_LEN);
    vr_store_le32(e->d + SYMS_AT + SYM, 1);
    vr_store_le32(e->d + SYMS_AT + 2 * SYM, 6);
    vr_store_le64(e->d + SYMS_AT + 2 * SYM + 8, RAM_BASE + 0x2040);
}

static void a_good_elf_goes_where_it_says(void **state)
{
    struct elf e;
    struct vr_kernel k;
    (void)state;
    make_good_elf(&e);
    assert_int_equal(parse(e.d, e.len, &k), 0);
    check_sound(&k, e.len);
    assert_int_equal(k.kind, VR_KERNEL_ELF);
    assert_int_equal(k.segment_count, 2);
    assert_int_equal(k.segment[0].gpa, RAM_BASE);
    assert_int_equal(k.segment[0].off, 0x1000);
    assert_int_equal(k.segment[0].file_len, 0x800);
    assert_int_equal(k.segment[0].mem_len, 0x1000);
    assert_int_equal(k.segment[1].gpa, RAM_BASE + 0x2000);
    assert_int_equal(k.entry, RAM_BASE + 0x10); /* started at its physical address */
    assert_int_equal(k.low, RAM_BASE);
    assert_int_equal(k.high, RAM_BASE + 0x5000);
    assert_int_equal(k.tohost, RAM_BASE + 0x2040);

    vr_store_le64(e.d + 24, 0x1234); /* in no segment: as it is */
    assert_int_equal(parse(e.d, e.len, &k), 0);
    assert_int_equal(k.entry, 0x1234);
    vr_store_le16(e.d + 16, 3); /* ET_DYN is fine, too */
    assert_int_equal(parse(e.d, e.len, &k), 0);
}

static void other_elf_files_are_named(void **state)
{
    static const struct {
        unsigned off, val;
    } cases[] = {{4, 1}, {5, 2}, {18, 62}, {18, 183}, {18, 0}};
    struct elf e;
    struct vr_kernel k;
    struct vr_error err = {0};
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(cases); i++) { /* 32 bits, big endian, x86, arm64, none */
        make_good_elf(&e);
        e.d[cases[i].off] = (uint8_t)cases[i].val;
        assert_int_equal(parse(e.d, e.len, &k), -ENOEXEC);
        assert_true(vr_kernel_parse("f", e.d, e.len, RAM_BASE, &k, &err) < 0);
        assert_non_null(strstr(err.msg, "another architecture"));
    }
    for (unsigned type = 0; type < 6; type++) {
        make_good_elf(&e);
        vr_store_le16(e.d + 16, (uint16_t)type);
        assert_int_equal(parse(e.d, e.len, &k), type == 2 || type == 3 ? 0 : -ENOEXEC);
    }
}

static void set_field(uint8_t *d, unsigned off, unsigned width, uint64_t v)
{
    vr_store_le(d + off, width, v);
}

/* Each field of the three kinds of header alone, and pairs of the fields that are added. */
static void elf_fields_at_their_edges(void **state)
{
    static const struct {
        unsigned off, width;
    } fields[] = {
        {4, 1},
        {5, 1},
        {6, 1},
        {16, 2},
        {18, 2},
        {20, 4},
        {24, 8},
        {32, 8},
        {40, 8},
        {48, 4},
        {52, 2},
        {54, 2},
        {56, 2},
        {58, 2},
        {60, 2},
        {62, 2},
        {EHDR, 4},
        {EHDR + 4, 4},
        {EHDR + 8, 8},
        {EHDR + 16, 8},
        {EHDR + 24, 8},
        {EHDR + 32, 8},
        {EHDR + 40, 8},
        {EHDR + 48, 8},
        {SHDRS_AT + SHDR + 4, 4},
        {SHDRS_AT + SHDR + 24, 8},
        {SHDRS_AT + SHDR + 32, 8},
        {SHDRS_AT + SHDR + 40, 4},
        {SHDRS_AT + 2 * SHDR + 24, 8},
        {SHDRS_AT + 2 * SHDR + 32, 8},
        {SYMS_AT + SYM, 4},
        {SYMS_AT + 2 * SYM, 4},
    };
    struct elf e;
    (void)state;
    for (unsigned f = 0; f < VR_COUNT(fields); f++) {
        for (unsigned g = f; g < VR_COUNT(fields); g++) {
            for (unsigned i = 0; i < VR_COUNT(edges); i++) {
                make_good_elf(&e);
                set_field(e.d, fields[f].off, fields[f].width, edges[i]);
                set_field(e.d, fields[g].off, fields[g].width,
                          edges[(i * 7 + g) % VR_COUNT(edges)]);
                parse_sound(e.d, e.len);
            }
        }
    }
}

static void an_elf_cut_anywhere_in_its_headers_is_refused(void **state)
{
    struct elf e;
    struct vr_kernel k;
    (void)state;
    make_good_elf(&e);
    for (size_t len = 0; len < 0x1900; len += len < 0x800 ? 1 : 13) { /* its last byte is needed */
        assert_true(parse(e.d, len, &k) < 0);
    }
    assert_int_equal(parse(e.d, 0x1900, &k), 0);
}

static void segments_that_wrap_or_leave_the_file_are_refused(void **state)
{
    static const struct {
        uint64_t off, pa, file_len, mem_len;
        int r;
    } cases[] = {
        {0, RAM_BASE, ELF_MAX, ELF_MAX, 0},
        {0, RAM_BASE, ELF_MAX + 1, ELF_MAX + 1, -EINVAL},
        {1, RAM_BASE, ELF_MAX, ELF_MAX, -EINVAL},
        {ELF_MAX, RAM_BASE, 0, 1, 0},
        {ELF_MAX + 1, RAM_BASE, 0, 1, -EINVAL},
        {UINT64_MAX, RAM_BASE, 1, 1, -EINVAL},
        {UINT64_MAX, RAM_BASE, 2, 2, -EINVAL},
        {8, RAM_BASE, UINT64_MAX - 7, UINT64_MAX, -EINVAL},
        {0, RAM_BASE, 2, 1, -EINVAL}, /* more in the file than in memory */
        {0, UINT64_MAX, 0, 1, -EINVAL},
        {0, UINT64_MAX - 1, 0, 1, 0},
        {0, UINT64_MAX - 15, 0, 16, -EINVAL},
        {0, 1, 0, UINT64_MAX, -EINVAL},
        {0, 0, 0, UINT64_MAX, 0},
    };
    struct elf e;
    struct vr_kernel k;
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(cases); i++) {
        make_elf(&e, 1);
        put_phdr(e.d + EHDR, PT_LOAD, cases[i].off, cases[i].pa, cases[i].pa, cases[i].file_len,
                 cases[i].mem_len);
        int r = parse(e.d, e.len, &k);
        assert_int_equal(r, cases[i].r);
        if (r == 0) {
            check_sound(&k, e.len);
        }
    }
}

static void as_many_segments_as_there_is_room_for(void **state)
{
    struct elf e;
    struct vr_kernel k;
    (void)state;
    for (unsigned n = 0; n < 100; n++) {
        make_elf(&e, n * 3);
        for (unsigned i = 0; i < n; i++) { /* between what is not loaded, or empty */
            uint8_t *p = e.d + EHDR + i * 3 * PHDR;
            if (i * 3 * PHDR + 4 * PHDR + EHDR > ELF_MAX) {
                break;
            }
            put_phdr(p, 4, UINT64_MAX, 0, 0, UINT64_MAX, UINT64_MAX);
            put_phdr(p + PHDR, PT_LOAD, 0, 0, RAM_BASE + i * 0x1000, 16, 0x1000);
            put_phdr(p + 2 * PHDR, PT_LOAD, 0, 0, RAM_BASE, 0, 0);
        }
        int r = parse(e.d, e.len, &k);
        assert_int_equal(r, n >= 1 && n <= VR_KERNEL_SEGMENTS ? 0 : -EINVAL);
        if (r == 0) {
            check_sound(&k, e.len);
            assert_int_equal(k.segment_count, n);
            assert_int_equal(k.high, RAM_BASE + n * 0x1000);
        }
    }
}

/* Symbols only help: a bad table means no tohost, not a bad file. */
static void damaged_symbol_tables_have_no_tohost(void **state)
{
    static const struct {
        unsigned off, width;
        uint64_t val;
    } cases[] = {
        {40, 8, ELF_MAX},                                 /* section headers behind the end */
        {40, 8, UINT64_MAX - 63},                         /* ... that wrap */
        {58, 2, SHDR - 1},                                /* of another size */
        {58, 2, 0},                                       /* */
        {60, 2, 0},                                       /* none */
        {60, 2, 2},                                       /* the string table is not among them */
        {60, 2, 0xffff},                                  /* more than the file holds */
        {SHDRS_AT + SHDR + 4, 4, 11},                     /* not a symbol table */
        {SHDRS_AT + SHDR + 24, 8, ELF_MAX - 3 * SYM + 1}, /* symbols leave the file */
        {SHDRS_AT + SHDR + 24, 8, UINT64_MAX},            /* */
        {SHDRS_AT + SHDR + 32, 8, UINT64_MAX},            /* */
        {SHDRS_AT + SHDR + 32, 8, 3 * SYM - 1},           /* the last one is cut off */
        {SHDRS_AT + SHDR + 32, 8, 0},                     /* */
        {SHDRS_AT + SHDR + 40, 4, 3},                     /* strings that are not there */
        {SHDRS_AT + SHDR + 40, 4, UINT32_MAX},            /* */
        {SHDRS_AT + 2 * SHDR + 24, 8, ELF_MAX},           /* strings leave the file */
        {SHDRS_AT + 2 * SHDR + 24, 8, UINT64_MAX},        /* */
        {SHDRS_AT + 2 * SHDR + 32, 8, UINT64_MAX},        /* */
        {SHDRS_AT + 2 * SHDR + 32, 8, 12},                /* the name's end is cut off */
        {SHDRS_AT + 2 * SHDR + 32, 8, 0},                 /* */
        {SYMS_AT + 2 * SYM, 4, STRS_LEN},                 /* a name behind the strings */
        {SYMS_AT + 2 * SYM, 4, UINT32_MAX},               /* */
        {SYMS_AT + 2 * SYM, 4, 7},                        /* "ohost" */
        {STRS_AT + 12, 1, 's'},                           /* "tohosts" */
    };
    struct elf e;
    struct vr_kernel k;
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(cases); i++) {
        make_good_elf(&e);
        set_field(e.d, cases[i].off, cases[i].width, cases[i].val);
        assert_int_equal(parse(e.d, e.len, &k), 0);
        assert_int_equal(k.tohost, 0);
        assert_int_equal(k.entry, RAM_BASE + 0x10);
    }
}

/* 65535 section headers, each a symbol table as long as the file: reading them all takes hours. */
static void symbol_tables_do_not_multiply(void **state)
{
    enum { COUNT = 65535 };
    size_t len = EHDR + PHDR + (size_t)COUNT * SHDR;
    uint8_t *d = calloc(1, len);
    struct elf e;
    struct vr_kernel k;
    (void)state;
    assert_non_null(d);
    make_elf(&e, 1);
    put_phdr(e.d + EHDR, PT_LOAD, 0, 0, RAM_BASE, 16, 16);
    vr_store_le64(e.d + 40, EHDR + PHDR);
    vr_store_le16(e.d + 58, SHDR);
    vr_store_le16(e.d + 60, COUNT);
    memcpy(d, e.d, EHDR + PHDR);
    for (unsigned i = 0; i < COUNT; i++) {
        uint8_t *sh = d + EHDR + PHDR + (size_t)i * SHDR;
        vr_store_le32(sh + 4, SHT_SYMTAB);
        vr_store_le64(sh + 32, len);
    }
    uint64_t start_ns = vireo_monotonic_ns();
    assert_int_equal(vr_kernel_parse("f", d, len, RAM_BASE, &k, NULL), 0);
    assert_int_equal(k.tohost, 0);
    assert_true(vireo_monotonic_ns() - start_ns < UINT64_C(5000000000));
    free(d);
}

/* --- Telling files apart --- */

static void files_are_told_apart_by_their_bytes(void **state)
{
    static const struct {
        unsigned off;
        const char *magic;
        unsigned len;
        enum vr_file_kind kind;
    } kinds[] = {
        {0, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\xf3\0", 20, VR_FILE_RISCV_ELF},
        {0, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\x3e\0", 20, VR_FILE_OTHER_ELF},
        {0, "\177ELF\1\1\1\0\0\0\0\0\0\0\0\0\2\0\xf3\0", 20, VR_FILE_OTHER_ELF},
        {56, "RSC\x05", 4, VR_FILE_RISCV_IMAGE},
        {56, "ARM\x64", 4, VR_FILE_OTHER_KERNEL},
        {0x202, "HdrS", 4, VR_FILE_OTHER_KERNEL},
        {0, "MZ", 2, VR_FILE_OTHER_KERNEL},
        {0, "\x1f\x8b", 2, VR_FILE_GZIP},
        {0, "\x28\xb5\x2f\xfd", 4, VR_FILE_ZSTD},
        {0, "QFI\xfb", 4, VR_FILE_QCOW2},
        {32769, "CD001", 5, VR_FILE_ISO},
        {0, "#!", 2, VR_FILE_SCRIPT},
        {510, "\x55\xaa", 2, VR_FILE_RAW_DISK},
        {512, "EFI PART", 8, VR_FILE_RAW_DISK},
        {1080, "\x53\xef", 2, VR_FILE_RAW_DISK},
        {0, "XFSB", 4, VR_FILE_RAW_DISK},
    };
    uint8_t *d = calloc(1, VR_FILE_PROBE_LEN);
    struct vr_kernel k;
    (void)state;
    assert_non_null(d);
    assert_int_equal(vr_file_kind(d, VR_FILE_PROBE_LEN), VR_FILE_UNKNOWN);
    assert_int_equal(vr_file_kind(d, 0), VR_FILE_UNKNOWN);
    for (unsigned i = 0; i < VR_COUNT(kinds); i++) {
        memset(d, 0, VR_FILE_PROBE_LEN);
        memcpy(d + kinds[i].off, kinds[i].magic, kinds[i].len);
        assert_int_equal(vr_file_kind(d, VR_FILE_PROBE_LEN), kinds[i].kind);
        for (size_t len = 0; len < kinds[i].off + kinds[i].len; len += len < 1200 ? 1 : 97) {
            uint8_t *cut = malloc(len ? len : 1);
            assert_non_null(cut);
            memcpy(cut, d, len);
            enum vr_file_kind kind = vr_file_kind(cut, len);
            assert_true(kind == VR_FILE_UNKNOWN || kind == VR_FILE_OTHER_ELF);
            free(cut);
        }
        if (kinds[i].kind != VR_FILE_RISCV_ELF && kinds[i].kind != VR_FILE_RISCV_IMAGE) {
            struct vr_error err = {0};
            assert_int_equal(vr_kernel_parse("f", d, VR_FILE_PROBE_LEN, RAM_BASE, &k, &err),
                             -ENOEXEC);
            assert_non_null(strstr(err.msg, vr_file_kind_name(kinds[i].kind)));
        }
    }
    for (unsigned i = 0; i <= VR_FILE_RAW_DISK; i++) {
        assert_non_null(vr_file_kind_name((enum vr_file_kind)i));
    }
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_image_is_placed_by_its_header),
        cmocka_unit_test(a_big_endian_image_is_refused),
        cmocka_unit_test(image_fields_at_their_edges),
        cmocka_unit_test(an_image_cut_anywhere_in_its_header_is_refused),
        cmocka_unit_test(a_good_elf_goes_where_it_says),
        cmocka_unit_test(other_elf_files_are_named),
        cmocka_unit_test(elf_fields_at_their_edges),
        cmocka_unit_test(an_elf_cut_anywhere_in_its_headers_is_refused),
        cmocka_unit_test(segments_that_wrap_or_leave_the_file_are_refused),
        cmocka_unit_test(as_many_segments_as_there_is_room_for),
        cmocka_unit_test(damaged_symbol_tables_have_no_tohost),
        cmocka_unit_test(symbol_tables_do_not_multiply),
        cmocka_unit_test(files_are_told_apart_by_their_bytes),
    };
    return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}

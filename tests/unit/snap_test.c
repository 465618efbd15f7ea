/* The snapshot stream: round trips, versions, and everything that can be wrong with one. */
#include "test.h"

#include "base/bits.h"
#include "core/snap.h"
#include "core/space.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ring {
    uint64_t gpa;
    uint16_t size;
    void *cache;
};

struct thing {
    uint64_t config;
    void *host;
    uint8_t a, fifo[5];
    uint16_t b[3];
    uint32_t c;
    uint64_t d;
    bool on;
    struct ring ring[3];
    uint8_t *buf;
    uint32_t buf_len;
    uint32_t later; /* since version 2 */
};

#define VR_SELF struct ring
static const struct vr_field ring_fields[] = {
    VR_STATE(gpa, "where"),
    VR_STATE(size, "entries", .def = 8, .max = 256),
    VR_HOST(cache, "rebuilt"),
    VR_FIELD_END,
};
#undef VR_SELF
#define VR_SELF struct thing
static const struct vr_field thing_fields[] = {
    VR_CONFIG(config, "not saved"),
    VR_HOST(host, "not saved"),
    VR_STATE(a, "a", .min = 1, .max = 10, .def = 1),
    VR_STATE_ARRAY(fifo, "bytes"),
    VR_STATE_ARRAY(b, "b"),
    VR_STATE(c, "c"),
    VR_STATE(d, "d"),
    VR_STATE(on, "on"),
    VR_STATE_STRUCTS(ring, ring_fields, "rings"),
    VR_STATE_BUF(buf, buf_len, "bytes", .max = 64),
    VR_STATE(buf_len, "how many", .max = 64),
    VR_STATE(later, "new in version 2", .since = 2, .def = 77),
    VR_FIELD_END,
};
/* The class as it was in version 1. */
static const struct vr_field old_fields[] = {
    VR_STATE(a, "a", .min = 1, .max = 10, .def = 1),
    VR_STATE_ARRAY(fifo, "bytes"),
    VR_STATE_ARRAY(b, "b"),
    VR_STATE(c, "c"),
    VR_STATE(d, "d"),
    VR_STATE(on, "on"),
    VR_STATE_STRUCTS(ring, ring_fields, "rings"),
    VR_STATE_BUF(buf, buf_len, "bytes", .max = 64),
    VR_STATE(buf_len, "how many", .max = 64),
    VR_FIELD_END,
};

static struct thing sample(void)
{
    struct thing t = {
        .config = 3,
        .host = &t,
        .a = 9,
        .fifo = {1, 2, 3, 4, 5},
        .b = {0xffff, 0, 0x1234},
        .c = 0xdeadbeef,
        .d = UINT64_MAX,
        .on = true,
        .buf_len = 20,
        .later = 5,
        .ring = {{.gpa = 1, .size = 2}, {.gpa = UINT64_MAX, .size = 256}, {.gpa = 5, .size = 0}},
    };
    t.buf = malloc(20);
    assert_non_null(t.buf);
    memset(t.buf, 0x5a, 20);
    return t;
}

static struct thing fresh(void)
{
    struct thing t = {.config = 44, .host = (void *)1, .ring = {{.cache = (void *)2}}};
    vr_fields_reset(&t, thing_fields, VR_ROLE_STATE);
    return t;
}

static void save(struct vr_snap *s, const struct thing *t)
{
    vr_snap_init(s);
    assert_int_equal(vr_snap_save(s, "thing0", 2, t, thing_fields, NULL), 0);
}

static void same(const struct thing *a, const struct thing *b)
{
    assert_int_equal(a->a, b->a);
    assert_memory_equal(a->fifo, b->fifo, sizeof(a->fifo));
    assert_memory_equal(a->b, b->b, sizeof(a->b));
    assert_int_equal(a->c, b->c);
    assert_int_equal(a->d, b->d);
    assert_int_equal(a->on, b->on);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(a->ring[i].gpa, b->ring[i].gpa);
        assert_int_equal(a->ring[i].size, b->ring[i].size);
    }
    assert_int_equal(a->buf_len, b->buf_len);
    if (a->buf_len) {
        assert_memory_equal(a->buf, b->buf, a->buf_len);
    }
    assert_int_equal(a->later, b->later);
}

static void what_is_saved_comes_back(void **state)
{
    struct thing a = sample(), b = fresh();
    struct vr_snap s;
    (void)state;
    save(&s, &a);
    assert_int_equal(vr_snap_save(&s, "thing1", 2, &b, thing_fields, NULL), 0);
    assert_int_equal(vr_snap_load(&s, "thing0", 2, &b, thing_fields, NULL), 0);
    same(&a, &b);
    assert_ptr_not_equal(a.buf, b.buf);
    assert_int_equal(b.config, 44); /* neither config nor host side is touched */
    assert_ptr_equal(b.host, (void *)1);
    assert_ptr_equal(b.ring[0].cache, (void *)2);
    assert_int_equal(vr_snap_load(&s, "thing1", 2, &b, thing_fields, NULL), 0);
    assert_int_equal(s.pos, s.len);
    struct thing c = fresh();
    same(&c, &b); /* the buffer went, too */
    assert_null(b.buf);
    assert_int_equal(vr_snap_load(&s, "thing1", 2, &b, thing_fields, NULL), -ENODATA);
    free(a.buf);
    vr_snap_fini(&s);
}

static void other_names_and_versions_are_refused(void **state)
{
    struct thing a = sample(), b = fresh();
    struct vr_error err = {0};
    struct vr_snap s;
    (void)state;
    save(&s, &a);
    assert_int_equal(vr_snap_load(&s, "thing1", 2, &b, thing_fields, &err), -EPROTO);
    assert_non_null(strstr(err.msg, "thing0"));
    assert_int_equal(vr_snap_load(&s, "thing0", 1, &b, thing_fields, &err), -EPROTO);
    assert_int_equal(s.pos, 0);
    assert_int_equal(vr_snap_load(&s, "thing0", 2, &b, old_fields, &err), -EPROTO);
    assert_non_null(strstr(err.msg, "'later'"));
    free(a.buf);
    vr_snap_fini(&s);
}

static void older_versions_get_defaults_for_what_they_lack(void **state)
{
    struct thing a = sample(), b = fresh();
    struct vr_snap s;
    (void)state;
    b.later = 1;
    vr_snap_init(&s);
    assert_int_equal(vr_snap_save(&s, "thing0", 1, &a, old_fields, NULL), 0);
    assert_int_equal(vr_snap_load(&s, "thing0", 2, &b, thing_fields, NULL), 0);
    assert_int_equal(b.later, 77);
    a.later = 77;
    same(&a, &b);
    free(b.buf);
    b = fresh();
    s.len = s.pos = 0; /* the same bytes, but said to be version 2: the field is missing */
    assert_int_equal(vr_snap_save(&s, "thing0", 2, &a, old_fields, NULL), 0);
    assert_int_equal(vr_snap_load(&s, "thing0", 2, &b, thing_fields, NULL), -EPROTO);
    s.len = s.pos = 0; /* and a version 1 that has it all the same */
    assert_int_equal(vr_snap_save(&s, "thing0", 1, &a, thing_fields, NULL), 0);
    assert_int_equal(vr_snap_load(&s, "thing0", 2, &b, thing_fields, NULL), -EPROTO);
    free(a.buf);
    vr_snap_fini(&s);
}

static void a_field_that_comes_twice_is_refused(void **state)
{
    static const struct vr_field once[] = {VR_STATE(c, "c"), VR_FIELD_END};
    static const struct vr_field twice[] = {VR_STATE(c, "c"), VR_STATE(c, "c"), VR_FIELD_END};
    struct thing a = {.c = 5}, b = {.c = 6};
    struct vr_snap s;
    struct vr_error err = {0};
    (void)state;
    vr_snap_init(&s);
    assert_int_equal(vr_snap_save(&s, "thing0", 1, &a, twice, NULL), 0);
    assert_int_equal(vr_snap_load(&s, "thing0", 1, &b, once, &err), -EPROTO);
    assert_non_null(strstr(err.msg, "twice"));
    assert_int_equal(b.c, 6);
    vr_snap_fini(&s);
}

static void every_truncation_is_refused(void **state)
{
    struct thing a = sample(), b = fresh(), want = fresh();
    struct vr_snap s;
    (void)state;
    save(&s, &a);
    for (size_t len = 0; len < s.len; len++) {
        struct vr_snap cut = {.buf = s.buf, .len = len};
        assert_int_equal(vr_snap_load(&cut, "thing0", 2, &b, thing_fields, NULL), -ENODATA);
        assert_int_equal(cut.pos, 0);
        same(&want, &b);
    }
    free(a.buf);
    vr_snap_fini(&s);
}

/* Every value of every byte: refused and nothing changed, or all in range. */
static void every_damaged_byte_is_refused_or_in_range(void **state)
{
    struct thing a = sample(), b = fresh();
    struct vr_snap s;
    unsigned accepted = 0, refused = 0;
    (void)state;
    save(&s, &a);
    for (size_t i = 0; i < s.len; i++) {
        uint8_t old = s.buf[i];
        for (unsigned v = 0; v < 256; v++) {
            struct thing before = b;
            struct vr_error err = {0};
            s.buf[i] = (uint8_t)v;
            s.pos = 0;
            int r = vr_snap_load(&s, "thing0", 2, &b, thing_fields, &err);
            assert_true(r == 0 || r == -EPROTO || r == -ENODATA || r == -ERANGE);
            assert_true(r == 0 ? s.pos == s.len : s.pos == 0);
            if (r < 0) {
                refused++;
                assert_memory_equal(&before, &b, sizeof(b));
                assert_true(err.msg[0] && err.code == r);
            } else {
                accepted++;
                assert_true(b.a >= 1 && b.a <= 10 && b.buf_len == 20);
                assert_true(b.ring[0].size <= 256 && b.ring[1].size <= 256);
            }
        }
        s.buf[i] = old;
    }
    assert_true(accepted > 1000 && refused > 10000);
    free(a.buf);
    free(b.buf);
    vr_snap_fini(&s);
}

/* Sections of random bytes behind a good head. */
static void noise_is_refused(void **state)
{
    struct thing a = sample(), b = fresh();
    struct vr_snap s;
    uint64_t seed = 1;
    (void)state;
    save(&s, &a);
    for (unsigned n = 0; n < 20000; n++) {
        for (size_t i = 18; i < s.len; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            s.buf[i] = (uint8_t)(seed >> (seed >> 61 ? 40 : 62));
        }
        s.pos = 0;
        assert_true(vr_snap_load(&s, "thing0", 2, &b, thing_fields, NULL) < 0);
    }
    free(a.buf);
    vr_snap_fini(&s);
}

/* --- Memory --- */

struct mem {
    struct vr_space *space;
    struct vr_ram *ram;
};

static struct mem new_mem(uint64_t len)
{
    struct mem m;
    assert_int_equal(vr_space_create("test", UINT64_MAX, &m.space, NULL), 0);
    assert_int_equal(vr_ram_create("test", len, &m.ram, NULL), 0);
    return m;
}

static void free_mem(struct mem m)
{
    vr_space_destroy(m.space);
    vr_ram_destroy(m.ram);
}

static void memory_comes_back_and_zeroes_take_no_room(void **state)
{
    const uint64_t len = UINT64_C(64) << 20;
    struct mem a = new_mem(len), b = new_mem(len);
    struct vr_snap s;
    (void)state;
    vr_snap_init(&s);
    a.ram->hva[5] = 1;
    a.ram->hva[(UINT64_C(3) << 20) + 4095] = 2;
    a.ram->hva[UINT64_C(40) << 20] = 0; /* touched, but zero */
    a.ram->hva[len - 1] = 3;
    memset(b.ram->hva + (1 << 20), 0xff, 1 << 20); /* must go */
    assert_int_equal(vr_snap_save_ram(&s, "ram", a.ram, NULL), 0);
    assert_true(s.len < 4 * VR_PAGE_SIZE);
    assert_int_equal(vr_snap_load_ram(&s, "ram", b.space, b.ram, NULL), 0);
    assert_int_equal(s.pos, s.len);
    assert_memory_equal(a.ram->hva, b.ram->hva, len);
    vr_snap_fini(&s);
    free_mem(a);
    free_mem(b);
}

static void damaged_memory_sections_change_nothing(void **state)
{
    struct mem a = new_mem(0x10000), b = new_mem(0x10000), c = new_mem(0x20000);
    struct vr_snap s;
    struct vr_error err = {0};
    (void)state;
    vr_snap_init(&s);
    a.ram->hva[0x3000] = 7;
    a.ram->hva[0x8000] = 7;
    memset(b.ram->hva, 0xaa, 0x10000);
    assert_int_equal(vr_snap_save_ram(&s, "ram", a.ram, NULL), 0);
    size_t first = s.len - 8 - 2 * (8 + VR_PAGE_SIZE), second = first + 8 + VR_PAGE_SIZE;
    static const uint64_t bad_pages[] = {16, 1 << 20, UINT64_MAX - 1, 8, 9};
    for (unsigned i = 0; i < VR_COUNT(bad_pages); i++) {
        vr_store_le64(s.buf + first, bad_pages[i]); /* beyond the end, or not before the second */
        s.pos = 0;
        assert_int_equal(vr_snap_load_ram(&s, "ram", b.space, b.ram, &err), -ERANGE);
    }
    vr_store_le64(s.buf + first, 3);
    for (size_t len = 0; len < s.len; len += len < first + 40 || len > s.len - 40 ? 1 : 97) {
        struct vr_snap cut = {.buf = s.buf, .len = len};
        assert_int_equal(vr_snap_load_ram(&cut, "ram", b.space, b.ram, &err), -ENODATA);
    }
    vr_store_le64(s.buf + second, UINT64_MAX); /* an end mark too early */
    assert_int_equal(vr_snap_load_ram(&s, "ram", b.space, b.ram, &err), -EPROTO);
    vr_store_le64(s.buf + second, 8);
    assert_int_equal(vr_snap_load_ram(&s, "ram", c.space, c.ram, &err), -EPROTO); /* other size */
    struct thing t = fresh();
    assert_int_equal(vr_snap_load(&s, "ram", 1, &t, thing_fields, &err), -EPROTO); /* other kind */
    for (unsigned i = 0; i < 0x10000; i++) {
        assert_int_equal(b.ram->hva[i], 0xaa);
    }
    assert_int_equal(vr_snap_load_ram(&s, "ram", b.space, b.ram, &err), 0);
    vr_snap_fini(&s);
    free_mem(a);
    free_mem(b);
    free_mem(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_comes_back),
        cmocka_unit_test(other_names_and_versions_are_refused),
        cmocka_unit_test(older_versions_get_defaults_for_what_they_lack),
        cmocka_unit_test(a_field_that_comes_twice_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_damaged_byte_is_refused_or_in_range),
        cmocka_unit_test(noise_is_refused),
        cmocka_unit_test(memory_comes_back_and_zeroes_take_no_room),
        cmocka_unit_test(damaged_memory_sections_change_nothing),
    };
    return cmocka_run_group_tests_name("snap", tests, NULL, NULL);
}

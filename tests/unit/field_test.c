#include "test.h"

#include "base/field.h"
#include <stdlib.h>
#include <string.h>

struct part {
    uint16_t x;
    bool on;
    uint32_t cache; /* host */
};

struct thing {
    uint64_t speed; /* config */
    char name[16];  /* config */
    void *host;
    uint8_t a;
    uint16_t b[3];
    uint32_t c;
    bool d;
    struct part part[2];
    uint8_t *buf;
    uint32_t buf_len;
};

#define VR_SELF struct part
static const struct vr_field part_fields[] = {
    VR_STATE(x, "x", .def = 5),
    VR_STATE(on, "on", .def = 1),
    VR_HOST(cache, "rebuilt"),
    VR_FIELD_END,
};
#undef VR_SELF
#define VR_SELF struct thing
static const struct vr_field thing_fields[] = {
    VR_CONFIG(speed, "speed", .def = 115200, .min = 300, .max = 1000000),
    VR_CONFIG_STR(name, "name", .def_str = "thing"),
    VR_HOST(host, "a pointer"),
    VR_STATE(a, "a", .def = 7, .max = 10),
    VR_STATE_ARRAY(b, "b", .def = 0xabcd),
    VR_STATE(c, "c"),
    VR_STATE(d, "d"),
    VR_STATE_STRUCTS(part, part_fields, "parts"),
    VR_STATE_BUF(buf, buf_len, "bytes", .max = 100),
    VR_STATE(buf_len, "how many", .max = 100),
    VR_FIELD_END,
};

static void rows_describe_members(void **state)
{
    const struct vr_field *b = vr_field_find(thing_fields, "b");
    (void)state;
    assert_non_null(b);
    assert_int_equal(b->offset, offsetof(struct thing, b));
    assert_int_equal(b->count, 3);
    assert_int_equal(b->elem_size, 2);
    assert_int_equal(b->type, VR_U16);
    assert_null(vr_field_find(thing_fields, "bb"));
    assert_null(vr_field_find(thing_fields, ""));
    assert_string_equal(vr_type_name(VR_U16), "u16");
    assert_string_equal(vr_type_name(VR_BUF), "bytes");
    assert_string_equal(vr_type_name((enum vr_type)99), "?");
}

static void reset_sets_defaults_by_role(void **state)
{
    struct thing t;
    (void)state;
    memset(&t, 0xee, sizeof(t));
    t.buf = malloc(10);
    t.buf_len = 10;
    void *host = t.host;
    vr_fields_reset(&t, thing_fields, VR_ROLE_STATE);
    assert_int_equal(t.speed, 0xeeeeeeeeeeeeeeee);
    assert_ptr_equal(t.host, host);
    assert_int_equal(t.a, 7);
    assert_int_equal(t.b[2], 0xabcd);
    assert_int_equal(t.c, 0);
    assert_false(t.d);
    assert_int_equal(t.part[1].x, 5);
    assert_true(t.part[1].on);
    assert_int_equal(t.part[1].cache, 0xeeeeeeee);
    assert_null(t.buf);
    assert_int_equal(t.buf_len, 0);
    vr_fields_reset(&t, thing_fields, VR_ROLE_CONFIG);
    assert_int_equal(t.speed, 115200);
    assert_string_equal(t.name, "thing");
}

static void get_and_set_every_width(void **state)
{
    struct thing t = {0};
    (void)state;
    for (const struct vr_field *f = thing_fields; f->name; f++) {
        if (f->type > VR_U64) {
            continue;
        }
        uint64_t top = f->type == VR_BOOL  ? 1
                       : f->elem_size == 8 ? UINT64_MAX
                                           : (UINT64_C(1) << 8 * f->elem_size) - 1;
        for (unsigned i = 0; i < f->count; i++) {
            vr_field_set(&t, f, i, UINT64_MAX);
            assert_int_equal(vr_field_get(&t, f, i), top);
            vr_field_set(&t, f, i, 0);
            assert_int_equal(vr_field_get(&t, f, i), 0);
        }
    }
    struct thing zero = {0};
    assert_memory_equal(&t, &zero, sizeof(t)); /* nothing beside the fields was touched */
}

static void ranges(void **state)
{
    const struct vr_field *speed = vr_field_find(thing_fields, "speed");
    const struct vr_field *a = vr_field_find(thing_fields, "a");
    const struct vr_field *b = vr_field_find(thing_fields, "b");
    const struct vr_field *d = vr_field_find(thing_fields, "d");
    (void)state;
    assert_true(vr_field_ok(speed, 300) && vr_field_ok(speed, 1000000));
    assert_false(vr_field_ok(speed, 299) || vr_field_ok(speed, 1000001));
    assert_true(vr_field_ok(a, 10) && vr_field_ok(a, 0));
    assert_false(vr_field_ok(a, 11) || vr_field_ok(a, 256));
    assert_true(vr_field_ok(b, 0xffff));
    assert_false(vr_field_ok(b, 0x10000));
    assert_true(vr_field_ok(d, 1));
    assert_false(vr_field_ok(d, 2));
}

/* A bool that holds another byte than 0 and 1 (a wild write) reads as true, and not as undefined.
 */
static void odd_bools_read_as_one(void **state)
{
    struct thing t = {0};
    uint8_t odd = 0x80;
    (void)state;
    memcpy((char *)&t + offsetof(struct thing, d), &odd, 1);
    assert_int_equal(vr_field_get(&t, vr_field_find(thing_fields, "d"), 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_describe_members),   cmocka_unit_test(reset_sets_defaults_by_role),
        cmocka_unit_test(get_and_set_every_width), cmocka_unit_test(ranges),
        cmocka_unit_test(odd_bools_read_as_one),
    };
    return cmocka_run_group_tests_name("field", tests, NULL, NULL);
}

/*
 * The properties that every device class has: for each class of dev/list.h, without a line of its
 * own.
 *
 * A class is judged by its tables alone: every byte is declared, saved state is all there is, a
 * reset device is a new one, and no snapshot, however damaged, gets further than a refusal or a
 * safe device.
 */
#include "classes.h"

#include "base/bits.h"
#include "core/fdt.h"
#include "dut.h"
#include "snap_walk.h"
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>

static const struct vr_dev_class *class_of(void **state)
{
    return *state;
}

/* --- The tables --- */

static size_t field_align(const struct vr_field *f);

static size_t table_align(const struct vr_field *table)
{
    size_t align = 1;
    for (const struct vr_field *f = table; f->name; f++) {
        align = field_align(f) > align ? field_align(f) : align;
    }
    return align;
}

/* The greatest alignment that the member may have. */
static size_t field_align(const struct vr_field *f)
{
    switch (f->type) {
    case VR_STRUCT:
        return table_align(f->sub);
    case VR_STR:
        return 1;
    case VR_OPAQUE:
        return f->count % 8 == 0 ? 8 : f->count % 4 == 0 ? 4 : f->count % 2 == 0 ? 2 : 1;
    case VR_BUF:
        return sizeof(void *);
    default:
        return f->elem_size;
    }
}

static void check_field(const char *where, const struct vr_field *f)
{
    if (!f->help || !f->help[0]) {
        fail_msg("%s: '%s' has no help text", where, f->name);
    }
    assert_true(f->role == VR_ROLE_STATE || f->role == VR_ROLE_CONFIG || f->role == VR_ROLE_HOST);
    assert_true(f->count >= 1 && f->elem_size >= 1);
    assert_true(strlen(f->name) < 48);
    if (f->type == VR_BUF) {
        assert_true(f->role == VR_ROLE_STATE && f->max > 0 && f->max <= UINT32_MAX);
    } else if (f->type <= VR_U64 && !vr_field_ok(f, f->def)) {
        fail_msg("%s: the default of '%s' is out of its own range", where, f->name);
    }
}

/* Every byte of [from, to) belongs to a field, or is padding that the next one needs. */
static void check_table(const char *where, const struct vr_field *table, size_t from, size_t to,
                        uint16_t version)
{
    size_t at = from;
    for (const struct vr_field *f = table; f->name; f++) {
        check_field(where, f);
        assert_true(f->since <= version);
        for (const struct vr_field *g = table; g < f; g++) {
            assert_string_not_equal(f->name, g->name);
        }
        if (f->offset != vr_align_up(at, field_align(f))) {
            fail_msg("%s: bytes %zu to %u, before '%s', are not declared (or the table is not in "
                     "the struct's order)",
                     where, at, f->offset, f->name);
        }
        if (f->type == VR_STRUCT) {
            check_table(f->name, f->sub, 0, f->elem_size, version);
        }
        at = f->offset + (size_t)f->elem_size * f->count;
    }
    if (to != vr_align_up(at, table_align(table) > 8 || from ? 8 : table_align(table))) {
        fail_msg("%s: bytes %zu to %zu, at the end, are not declared", where, at, to);
    }
}

static void declares_every_byte(void **state)
{
    const struct vr_dev_class *cls = class_of(state);
    assert_true(cls->name && cls->name[0] && cls->help && cls->help[0]);
    assert_true(cls->version >= 1);
    assert_non_null(cls->fields);
    check_table(cls->name, cls->fields, sizeof(struct vr_dev), cls->size, cls->version);
    assert_true(cls->windows[0].len > 0);
    for (unsigned w = 0; w < VR_DEV_WINDOWS && cls->windows[w].len; w++) {
        assert_true(cls->windows[w].name && cls->windows[w].name[0]);
        for (const struct vr_reg *r = cls->windows[w].regs; r && r->name; r++) {
            assert_true(r->name[0] && r->help && r->help[0]);
        }
    }
}

/* What no field covers was never written, however busy the device was: it is padding. */
static void padding_stays_zero(void **state)
{
    struct dut a;
    dut_init(&a, class_of(state));
    uint64_t seed = dut_seed(7);
    dut_storm(&a, &seed, 4000);
    const uint8_t *bytes = (const uint8_t *)a.dev;
    size_t at = sizeof(struct vr_dev);
    for (const struct vr_field *f = a.dev->cls->fields; f->name; f++) {
        for (; at < f->offset; at++) {
            if (bytes[at]) {
                fail_msg("byte %zu, before '%s', is in use but not declared", at, f->name);
            }
        }
        at = f->offset + (size_t)f->elem_size * f->count;
    }
    for (; at < a.dev->cls->size; at++) {
        assert_int_equal(bytes[at], 0);
    }
    dut_fini(&a);
}

/* The other tests would prove little about a device that only hears nonsense. */
static void random_life_is_busy(void **state)
{
    struct dut a;
    dut_init(&a, class_of(state));
    const struct class_hooks *hooks = class_hooks(a.dev->cls);
    uint64_t seed = dut_seed(9);
    dut_storm(&a, &seed, 2000);
    assert_true(a.dev->guest_errors < 1400);
    if (hooks->work) {
        assert_true(hooks->work(a.dev) >= 30);
    }
    dut_fini(&a);
}

/* --- Saved, restored, reset --- */

/* What a device is continues in its twin: equal state, and equal answers to whatever comes. */
static void restored_behaves_like_uninterrupted(void **state)
{
    struct dut a, b;
    dut_init(&a, class_of(state));
    dut_init(&b, class_of(state));
    uint64_t seed = dut_seed(88172645463325252u);
    for (unsigned round = 0; round < 120; round++) {
        dut_storm(&a, &seed, 100);
        dut_storm(&b, &seed, 30); /* what was in b before must not matter */
        dut_copy(&a, &b);
        dut_same(&a, &b, "after restoring");
        dut_behave_same(&a, &b, &seed, 80);
    }
    dut_fini(&a);
    dut_fini(&b);
}

/* With a host end plugged in, "new" includes the reset that every machine begins with. */
static void check_reset(const struct vr_dev_class *cls, bool plugged)
{
    struct dut a;
    dut_init_at(&a, cls, 1000, plugged, true);
    uint64_t seed = dut_seed(0x9e3779b97f4a7c15);
    for (unsigned round = 0; round < 40; round++) {
        struct dut n;
        dut_storm(&a, &seed, 200);
        dut_quiesce(&a);
        if (class_hooks(cls)->forget) {
            class_hooks(cls)->forget(&a);
        }
        vr_dev_reset(a.dev);
        dut_init_at(&n, cls, vr_clock_now(a.rig.env.clock), plugged, false);
        if (n.host) {
            vr_dev_reset(n.dev);
        }
        dut_copy_outside(&a, &n);
        dut_same(&a, &n, "after reset");
        dut_behave_same(&a, &n, &seed, 60);
        dut_fini(&n);
    }
    dut_fini(&a);
}

static void reset_equals_new(void **state)
{
    check_reset(class_of(state), false);
    check_reset(class_of(state), true);
}

/* Save at the end of a busy life, with whatever is in flight drained: twice the same bytes. */
static void saving_changes_nothing(void **state)
{
    struct dut a;
    dut_init(&a, class_of(state));
    uint64_t seed = dut_seed(5);
    for (unsigned round = 0; round < 20; round++) {
        struct vr_snap one, two;
        dut_storm(&a, &seed, 100);
        dut_save(&a, &one);
        dut_save(&a, &two);
        assert_int_equal(one.len, two.len);
        assert_memory_equal(one.buf, two.buf, one.len);
        vr_snap_fini(&one);
        vr_snap_fini(&two);
    }
    dut_fini(&a);
}

/* --- Hostile snapshots --- */

/* Load @snap into @b: refused, with @b as it was or reset; or accepted, and then safe to run and to
 * save. Returns whether it was refused. */
static bool refused_or_safe(struct dut *b, struct vr_snap *snap, uint64_t *seed, unsigned accesses)
{
    struct vr_snap before, after;
    struct vr_error err = {0};
    dut_save(b, &before);
    snap->pos = 0;
    int r = vr_dev_load(b->dev, snap, &err);
    if (r < 0) {
        assert_int_equal(err.code, r);
        assert_true(err.msg[0] != 0);
        dut_save(b, &after);
        if (after.len != before.len || memcmp(after.buf, before.buf, after.len) != 0) {
            /* Its loaded hook refused it, and it was reset. */
            vr_dev_reset(b->dev);
            vr_snap_fini(&before);
            dut_save(b, &before);
            assert_int_equal(after.len, before.len);
            assert_memory_equal(after.buf, before.buf, after.len);
        }
        vr_snap_fini(&after);
    }
    vr_snap_fini(&before);
    dut_storm(b, seed, accesses);
    dut_save(b, &after);
    if (vr_dev_load(b->dev, &after, &err) < 0) {
        fail_msg("it does not take back what it saved: %s", err.msg);
    }
    vr_snap_fini(&after);
    return r < 0;
}

static void damaged_bytes_are_refused_or_harmless(void **state)
{
    struct dut a, b;
    struct vr_snap snap;
    dut_init(&a, class_of(state));
    dut_init(&b, class_of(state));
    uint64_t seed = dut_seed(3);
    dut_storm(&a, &seed, 500);
    dut_save(&a, &snap);
    unsigned refused = 0;
    for (size_t i = 0; i < snap.len; i++) {
        uint8_t old = snap.buf[i];
        snap.buf[i] ^= (uint8_t)(i & 1 ? 1u << rig_random(&seed) % 8 : 0xff);
        refused += refused_or_safe(&b, &snap, &seed, 6);
        snap.buf[i] = old;
    }
    assert_true(refused > 0); /* names, types and lengths at least */
    print_message("# %s: %u of %zu damaged bytes refused\n", a.dev->cls->name, refused, snap.len);
    vr_snap_fini(&snap);
    dut_fini(&a);
    dut_fini(&b);
}

static void truncated_snapshots_are_refused(void **state)
{
    struct dut a, b;
    struct vr_snap snap;
    dut_init(&a, class_of(state));
    dut_init(&b, class_of(state));
    uint64_t seed = dut_seed(11);
    dut_storm(&a, &seed, 300);
    dut_save(&a, &snap);
    for (size_t len = 0; len < snap.len; len++) {
        struct vr_snap cut = {.buf = snap.buf, .len = len};
        assert_int_equal(vr_dev_load(b.dev, &cut, NULL), -ENODATA);
    }
    vr_snap_fini(&snap);
    dut_fini(&a);
    dut_fini(&b);
}

/* Each saved value in turn takes the values that hurt. */
static void mutated_fields_are_refused_or_harmless(void **state)
{
    struct dut a, b;
    struct vr_snap snap;
    struct snap_walk walk;
    dut_init(&a, class_of(state));
    dut_init(&b, class_of(state));
    uint64_t seed = dut_seed(13);
    dut_storm(&a, &seed, 500);
    dut_save(&a, &snap);
    snap_walk_begin(&walk, &snap, a.dev->cls->fields);
    while (snap_walk_next(&walk)) {
        uint8_t *at = snap.buf + walk.at, keep[8];
        /* Of a long array: its ends, and one in between. */
        if (walk.index > 1 && walk.index + 2 < walk.count && rig_random(&seed) % 16) {
            continue;
        }
        memcpy(keep, at, walk.width);
        const uint64_t now = vr_clock_now(b.rig.env.clock);
        const uint64_t vals[] = {
            0,
            1,
            UINT64_MAX,
            UINT64_MAX >> 1,
            walk.field->max,
            walk.field->max + 1,
            walk.field->min - 1,
            walk.count,
            now,
            now + 100,
            rig_random(&seed),
        };
        for (unsigned i = 0; i < VR_COUNT(vals); i++) {
            uint64_t val = vals[i] & vr_width_mask(walk.width);
            vr_store_le(at, walk.width, val);
            bool refused = refused_or_safe(&b, &snap, &seed, 12);
            if (!vr_field_ok(walk.field, val) && !refused) {
                fail_msg("'%s' = 0x%llx is out of range, yet it was restored", walk.field->name,
                         (unsigned long long)val);
            }
        }
        memcpy(at, keep, walk.width);
    }
    vr_snap_fini(&snap);
    dut_fini(&a);
    dut_fini(&b);
}

/* --- Registers --- */

static void poke(struct vr_dev *d, unsigned w, uint64_t off, unsigned width)
{
    static const uint64_t vals[] = {0, 1, UINT64_MAX, 0x5555555555555555, 0x80000000};
    if (!vr_in_range(off, width, d->cls->windows[w].len)) {
        return;
    }
    for (unsigned i = 0; i < VR_COUNT(vals); i++) {
        uint64_t v = vr_dev_read(d, w, off, width);
        assert_int_equal(v & ~vr_width_mask(width), 0);
        vr_dev_write(d, w, off, width, vals[i]);
    }
}

static void every_register_is_poked(void **state)
{
    struct dut a;
    dut_init(&a, class_of(state));
    const struct vr_dev_class *cls = a.dev->cls;
    for (unsigned w = 0; w < VR_DEV_WINDOWS && cls->windows[w].len; w++) {
        const struct vr_window *win = &cls->windows[w];
        for (const struct vr_reg *r = win->regs; r && r->name; r++) {
            unsigned count = r->count ? r->count : 1;
            for (unsigned i = 0; i < count; i += i < 3 || i + 3 > count ? 1 : count / 8 + 1) {
                for (unsigned width = 1; width <= 8; width *= 2) {
                    poke(a.dev, w, r->off + (uint64_t)i * r->stride, width);
                    poke(a.dev, w, r->off + (uint64_t)i * r->stride + 1, width);
                }
            }
        }
        for (uint64_t off = 0; off < win->len && off < 4096; off++) {
            for (unsigned width = 1; width <= 8; width *= 2) {
                poke(a.dev, w, off, width);
            }
        }
        for (unsigned width = 1; width <= 8 && width <= win->len; width *= 2) {
            poke(a.dev, w, win->len - width, width);
        }
        vr_clock_step(a.rig.env.clock, 1000000);
    }
    dut_fini(&a);
}

/* A register that is only storage holds what its mask lets through, and nothing else. */
static void plain_registers_hold_their_mask(void **state)
{
    struct dut a;
    dut_init(&a, class_of(state));
    uint64_t seed = dut_seed(17);
    for (unsigned w = 0; w < VR_DEV_WINDOWS && a.dev->cls->windows[w].len; w++) {
        for (const struct vr_reg *r = a.dev->cls->windows[w].regs; r && r->name; r++) {
            for (unsigned i = 0; r->backed && !r->read && !r->write && i < 20; i++) {
                uint64_t at = r->off + (uint64_t)(r->count > 1 ? i % r->count : 0) * r->stride;
                uint64_t old = vr_dev_read(a.dev, w, at, r->width), val = rig_random(&seed);
                vr_dev_write(a.dev, w, at, r->width, val);
                assert_int_equal(vr_dev_read(a.dev, w, at, r->width),
                                 (old & ~r->wmask) | (val & r->wmask));
            }
        }
    }
    dut_fini(&a);
}

/* --- Options and description --- */

static void try_opts(const struct vr_dev_class *cls, const char *opts, int want)
{
    struct rig rig;
    struct vr_dev *dev = NULL;
    struct vr_error err = {0};
    rig_init(&rig);
    int r = vr_dev_create(cls, "dut", opts, &rig.env, &dev, &err);
    if (r != want) {
        fail_msg("%s,%s: %d (%s), expected %d", cls->name, opts, r, err.msg, want);
    }
    assert_true(r == 0 || err.msg[0] != 0);
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

static void options_are_checked(void **state)
{
    const struct vr_dev_class *cls = class_of(state);
    char opts[128];
    try_opts(cls, "", 0);
    try_opts(cls, "no_such_option=1", -EINVAL);
    for (const struct vr_field *f = cls->fields; f->name; f++) {
        if (f->role != VR_ROLE_CONFIG) {
            snprintf(opts, sizeof(opts), "%s=0", f->name);
            try_opts(cls, opts, -EINVAL);
        } else if (f->type == VR_BOOL) {
            snprintf(opts, sizeof(opts), "%s=maybe", f->name);
            try_opts(cls, opts, -EINVAL);
        } else if (f->type == VR_STR) {
            char text[100];
            memset(text, 'x', sizeof(text));
            text[f->count < sizeof(text) ? f->count : sizeof(text) - 1] = 0;
            snprintf(opts, sizeof(opts), "%s=%s", f->name, text);
            try_opts(cls, opts, f->count < sizeof(text) ? -ERANGE : 0);
        } else {
            snprintf(opts, sizeof(opts), "%s=%llu", f->name, (unsigned long long)f->def);
            try_opts(cls, opts, 0);
            snprintf(opts, sizeof(opts), "%s=12monkeys", f->name);
            try_opts(cls, opts, -EINVAL);
            snprintf(opts, sizeof(opts), "%s=99999999999999999999", f->name);
            try_opts(cls, opts, -ERANGE);
            if (f->max && f->max < UINT64_MAX) {
                snprintf(opts, sizeof(opts), "%s=%llu", f->name, (unsigned long long)f->max + 1);
                try_opts(cls, opts, -ERANGE);
            }
        }
    }
}

static void describes_itself(void **state)
{
    static const uint32_t wires[] = {1, 3, 1, 7};
    const struct vr_dev_class *cls = class_of(state);
    struct dut a;
    struct vr_fdt *fdt;
    struct vr_error err = {0};
    const void *blob;
    size_t len;
    if (!cls->describe) {
        return;
    }
    dut_init(&a, cls);
    struct vr_fdt_at at = {.irq_parent = 2,
                           .irq = {5},
                           .irq_count = 1,
                           .clock_phandle = 3,
                           .irqs_extended = wires,
                           .irqs_extended_count = 4,
                           .phandle = 9};
    for (unsigned w = 0; w < VR_DEV_WINDOWS && cls->windows[w].len; w++) {
        at.gpa[w] = 0x10000000 + w * 0x1000000;
        at.len[w] = cls->windows[w].len;
    }
    assert_int_equal(vr_fdt_create(&fdt, &err), 0);
    vr_fdt_begin(fdt, "/");
    assert_int_equal(cls->describe(a.dev, fdt, &at), 0);
    vr_fdt_end(fdt);
    if (vr_fdt_finish(fdt, &blob, &len, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(fdt_check_full(blob, len), 0);
    int node = fdt_first_subnode(blob, 0);
    assert_true(node > 0);
    assert_non_null(fdt_getprop(blob, node, "compatible", NULL));
    vr_fdt_destroy(fdt);
    dut_fini(&a);
}

static const struct {
    const char *name;
    void (*fn)(void **state);
} properties[] = {
    {"declares every byte", declares_every_byte},
    {"padding stays zero", padding_stays_zero},
    {"random life is busy", random_life_is_busy},
    {"restored behaves like uninterrupted", restored_behaves_like_uninterrupted},
    {"reset equals new", reset_equals_new},
    {"saving changes nothing", saving_changes_nothing},
    {"damaged bytes are refused or harmless", damaged_bytes_are_refused_or_harmless},
    {"truncated snapshots are refused", truncated_snapshots_are_refused},
    {"mutated fields are refused or harmless", mutated_fields_are_refused_or_harmless},
    {"every register is poked", every_register_is_poked},
    {"plain registers hold their mask", plain_registers_hold_their_mask},
    {"options are checked", options_are_checked},
    {"describes itself", describes_itself},
};

/* Arguments, if any, name the classes to test. */
int main(int argc, char **argv)
{
    size_t count = 0;
    struct CMUnitTest *tests = calloc(all_class_count * VR_COUNT(properties), sizeof(*tests));
    char(*names)[96] = calloc(all_class_count * VR_COUNT(properties), sizeof(*names));
    if (!tests || !names) {
        return 1;
    }
    for (unsigned c = 0; c < all_class_count; c++) {
        bool wanted = argc < 2;
        for (int i = 1; i < argc; i++) {
            wanted = wanted || strcmp(argv[i], all_classes[c]->name) == 0;
        }
        for (unsigned p = 0; wanted && p < VR_COUNT(properties); p++) {
            snprintf(names[count], sizeof(names[count]), "%s: %s", all_classes[c]->name,
                     properties[p].name);
            tests[count] = (struct CMUnitTest){.name = names[count],
                                               .test_func = properties[p].fn,
                                               .initial_state = (void *)all_classes[c]};
            count++;
        }
    }
    int failed = _cmocka_run_group_tests("all_devices", tests, count, NULL, NULL);
    free(tests);
    free(names);
    return failed;
}

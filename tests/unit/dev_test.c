/* The device model: the rules of register access, options, life and death. */
#include "test.h"

#include "base/bits.h"
#include "core/dev.h"
#include "core/msi.h"
#include "core/snap.h"
#include "vireo/host_thread.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct toy {
    struct vr_dev dev;
    uint64_t speed; /* config */
    uint32_t level;
    bool fast;
    char label[8];
    uint32_t plain; /* state */
    uint16_t half;
    uint8_t narrow;
    uint64_t wide;
    uint32_t flex;
    uint32_t lane[4];
    bool flag;
    uint32_t last_index; /* host: what hooks saw */
    uint64_t last_val;
    unsigned writes, reads, resets, fins;
    int loaded_says;
};
#define TOY(d) ((struct toy *)(d))

static void toy_write(struct vr_dev *d, unsigned index, uint64_t val)
{
    TOY(d)->writes++;
    TOY(d)->last_index = index;
    TOY(d)->last_val = val;
}

static uint64_t toy_read(struct vr_dev *d, unsigned index)
{
    TOY(d)->reads++;
    return UINT64_C(0x1122334455667788) + ((uint64_t)index << 56);
}

static bool toy_any_read(struct vr_dev *d, uint64_t off, unsigned width, uint64_t *ret_val)
{
    (void)d;
    *ret_val = 0xabcdef0123456789;
    return off >= 0x100 && width <= 4;
}

static bool toy_any_write(struct vr_dev *d, uint64_t off, unsigned width, uint64_t val)
{
    toy_write(d, width, val);
    return off >= 0x100;
}

static void toy_reset(struct vr_dev *d)
{
    TOY(d)->resets++;
}

static int toy_loaded(struct vr_dev *d, struct vr_error *err)
{
    return TOY(d)->loaded_says ? vr_err(err, TOY(d)->loaded_says, "it does not add up") : 0;
}

static void toy_fini(struct vr_dev *d)
{
    ++*(unsigned *)d->env->opaque;
}

static int toy_init(struct vr_dev *d, struct vr_error *err)
{
    return TOY(d)->level == 99 ? vr_err(err, -EIO, "99 is too much") : 0;
}

#define VR_SELF struct toy
static const struct vr_field toy_fields[] = {
    VR_CONFIG(speed, "bits a second", .def = 9600, .min = 300, .max = UINT64_C(8) << 30),
    VR_CONFIG(level, "level", .max = 100),
    VR_CONFIG(fast, "go fast"),
    VR_CONFIG_STR(label, "label", .def_str = "toy"),
    VR_STATE(plain, "plain", .def = 0x11),
    VR_STATE(half, "half"),
    VR_STATE(narrow, "narrow"),
    VR_STATE(wide, "wide"),
    VR_STATE(flex, "flex"),
    VR_STATE_ARRAY(lane, "lanes"),
    VR_STATE(flag, "flag"),
    VR_HOST(last_index, "the test's"),
    VR_FIELD_END,
};
static const struct vr_reg toy_regs[] = {
    VR_REG_OF(0x00, 4, "PLAIN", plain, "storage", .wmask = 0x0000ffff),
    VR_REG_OF(0x04, 2, "HALF", half, "2 bytes", .wmask = 0xffff),
    VR_REG_OF(0x06, 1, "NARROW", narrow, "1 byte, read only"),
    VR_REG(0x08, 8, "HOOK", "hooks, 8 bytes", .flex = true, .read = toy_read, .write = toy_write),
    VR_REG_OF(0x10, 8, "WIDE", wide, "8 bytes", .wmask = UINT64_MAX, .flex = true),
    VR_REG_OF(0x18, 4, "FLEX", flex, "storage, any width", .wmask = 0xffff00ff, .flex = true,
              .write = toy_write),
    VR_REG(0x1c, 4, "WO", "write only", .flex = true, .write = toy_write),
    VR_REG_ARRAY_OF(0x20, 4, "LANE", lane, 4, 8, "lanes", .wmask = UINT32_MAX),
    VR_REG(0x24, 4, "ODD", "between the lanes", .count = 4, .stride = 8, .read = toy_read,
           .write = toy_write),
    VR_REG_OF(0x40, 4, "FLAG", flag, "a bool", .wmask = 1),
    VR_REG(0x44, 4, "RO", "read only", .read = toy_read),
    VR_REG_END,
};
static const struct vr_dev_class toy_class = {
    .name = "toy",
    .help = "all the rules",
    .size = sizeof(struct toy),
    .version = 1,
    .fields = toy_fields,
    .windows = {{.name = "regs",
                 .len = 0x200,
                 .regs = toy_regs,
                 .read = toy_any_read,
                 .write = toy_any_write},
                {.name = "bare", .len = 0x10, .read = toy_any_read, .write = toy_any_write},
                {.name = "msi", .len = 0x200, .msi = true, .regs = toy_regs}},
    .init = toy_init,
    .reset = toy_reset,
    .loaded = toy_loaded,
    .fini = toy_fini,
};

struct bench {
    struct vr_env env;
    struct vr_log log;
    unsigned fins, lines;
    char line[256];
    struct vr_dev *dev;
};

static void bench_log(void *opaque, enum vr_level level, const char *who, const char *line)
{
    struct bench *b = opaque;
    assert_int_equal(level, VR_DEBUG);
    snprintf(b->line, sizeof(b->line), "%s: %s", who, line);
    b->lines++;
}

static int bench_init(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    b->log = (struct vr_log){.level = VR_DEBUG, .sink = bench_log, .opaque = b};
    b->env.log = &b->log;
    b->env.opaque = &b->fins;
    assert_int_equal(vr_clock_create(VR_CLOCK_STEPPED, &b->env.clock, NULL), 0);
    assert_int_equal(vr_space_create("mem", UINT64_MAX, &b->env.mem, NULL), 0);
    assert_int_equal(vr_dev_create(&toy_class, "toy0", NULL, &b->env, &b->dev, NULL), 0);
    *state = b;
    return 0;
}

static int bench_fini(void **state)
{
    struct bench *b = *state;
    vr_dev_destroy(b->dev);
    assert_true(b->fins >= 1);
    vr_space_destroy(b->env.mem);
    vr_clock_destroy(b->env.clock);
    free(b);
    return 0;
}

static void whole_registers(void **state)
{
    struct vr_dev *d = ((struct bench *)*state)->dev;
    assert_int_equal(vr_dev_read(d, 0, 0x00, 4), 0x11);
    vr_dev_write(d, 0, 0x00, 4, 0xffffffffffffffff);
    assert_int_equal(vr_dev_read(d, 0, 0x00, 4), 0xffff);
    vr_dev_write(d, 0, 0x04, 2, 0x12345);
    assert_int_equal(vr_dev_read(d, 0, 0x04, 2), 0x2345);
    assert_int_equal(vr_dev_read(d, 0, 0x08, 8), 0x1122334455667788);
    vr_dev_write(d, 0, 0x08, 8, 77);
    assert_int_equal(TOY(d)->last_val, 77);
    vr_dev_write(d, 0, 0x40, 4, 0xff);
    assert_int_equal(vr_dev_read(d, 0, 0x40, 4), 1);
    assert_int_equal(d->guest_errors, 0);
}

static void wrong_accesses_are_guest_errors(void **state)
{
    struct bench *b = *state;
    struct vr_dev *d = b->dev;
    static const struct {
        uint64_t off;
        unsigned width;
    } bad[] = {
        {0x00, 2}, {0x00, 8}, {0x02, 2}, {0x01, 4}, {0x04, 1},
        {0x05, 1}, {0x04, 4}, {0x06, 2}, {0x07, 1},            /* nothing there */
        {0x0a, 4}, {0x09, 2}, {0x0c, 8}, {0x1a, 4}, {0x19, 2}, /* flex, but not aligned */
        {0x20, 8}, {0x22, 2}, {0x24, 8}, {0x50, 4}, {0xf8, 8},
    };
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        assert_int_equal(vr_dev_read(d, 0, bad[i].off, bad[i].width), 0);
        assert_int_equal(d->guest_errors, 2 * i + 1);
        vr_dev_write(d, 0, bad[i].off, bad[i].width, UINT64_MAX);
        assert_int_equal(d->guest_errors, 2 * i + 2);
    }
    assert_int_equal(vr_dev_read(d, 0, 0x00, 4), 0x11);
    assert_int_equal(TOY(d)->half, 0);
    assert_int_equal(TOY(d)->flex, 0);
    assert_int_equal(TOY(d)->lane[0], 0);
    uint64_t errors = d->guest_errors;
    assert_int_equal(vr_dev_read(d, 0, 0x1c, 4), 0); /* write only */
    vr_dev_write(d, 0, 0x06, 1, 1);                  /* read only, backed */
    vr_dev_write(d, 0, 0x44, 4, 1);                  /* read only, hook */
    assert_int_equal(TOY(d)->narrow, 0);
    assert_int_equal(d->guest_errors, errors + 3);
    assert_int_equal(b->lines, 5); /* counted all, logged a few */
    assert_non_null(strstr(b->line, "toy0: "));
}

static void narrow_accesses_to_flex_registers(void **state)
{
    struct vr_dev *d = ((struct bench *)*state)->dev;
    assert_int_equal(vr_dev_read(d, 0, 0x08, 4), 0x55667788);
    assert_int_equal(vr_dev_read(d, 0, 0x0c, 4), 0x11223344);
    assert_int_equal(vr_dev_read(d, 0, 0x0e, 2), 0x1122);
    assert_int_equal(vr_dev_read(d, 0, 0x0f, 1), 0x11);
    vr_dev_write(d, 0, 0x0c, 4, 0xdddddddd); /* merges into what the read hook says */
    assert_int_equal(TOY(d)->last_val, 0xdddddddd55667788);
    vr_dev_write(d, 0, 0x0a, 1, 0xee);
    assert_int_equal(TOY(d)->last_val, 0x1122334455ee7788);
    vr_dev_write(d, 0, 0x18, 4, 0xffffffff); /* backed: merges into the member, by the mask */
    assert_int_equal(TOY(d)->flex, 0xffff00ff);
    vr_dev_write(d, 0, 0x18, 1, 0x12);
    assert_int_equal(TOY(d)->flex, 0xffff0012);
    assert_int_equal(TOY(d)->last_val, 0xffff0012);
    vr_dev_write(d, 0, 0x19, 1, 0x77); /* masked off */
    assert_int_equal(TOY(d)->flex, 0xffff0012);
    vr_dev_write(d, 0, 0x1a, 2, 0xabcd);
    assert_int_equal(TOY(d)->flex, 0xabcd0012);
    assert_int_equal(vr_dev_read(d, 0, 0x1a, 2), 0xabcd);
    vr_dev_write(d, 0, 0x1e, 2, 0x5555); /* write only: the rest is 0 */
    assert_int_equal(TOY(d)->last_val, 0x55550000);
    vr_dev_write(d, 0, 0x10, 8, 0x8877665544332211);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(vr_dev_read(d, 0, 0x10 + i, 1), (i + 1) * 0x11);
    }
    assert_int_equal(d->guest_errors, 0);
}

static void wide_accesses_to_flex_registers_are_split(void **state)
{
    struct vr_dev *d = ((struct bench *)*state)->dev;
    unsigned writes = TOY(d)->writes;
    vr_dev_write(d, 0, 0x18, 8, 0x99999999ffffffff);
    assert_int_equal(TOY(d)->writes, writes + 2);
    assert_int_equal(TOY(d)->flex, 0xffff00ff);
    assert_int_equal(TOY(d)->last_val, 0x99999999);
    assert_int_equal(d->guest_errors, 0);
    assert_int_equal(vr_dev_read(d, 0, 0x18, 8), 0xffff00ff); /* the other half cannot be read */
    assert_int_equal(d->guest_errors, 1);
}

static void arrays_and_what_lies_between(void **state)
{
    struct vr_dev *d = ((struct bench *)*state)->dev;
    for (unsigned i = 0; i < 4; i++) {
        vr_dev_write(d, 0, 0x20 + 8 * i, 4, 100 + i);
        vr_dev_write(d, 0, 0x24 + 8 * i, 4, 200 + i);
        assert_int_equal(TOY(d)->last_index, i);
        assert_int_equal(TOY(d)->last_val, 200 + i);
        assert_int_equal(vr_dev_read(d, 0, 0x24 + 8 * i, 4), 0x55667788);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(TOY(d)->lane[i], 100 + i);
        assert_int_equal(vr_dev_read(d, 0, 0x20 + 8 * i, 4), 100 + i);
    }
    assert_int_equal(d->guest_errors, 0);
}

static void what_no_register_covers_goes_to_the_window(void **state)
{
    struct vr_dev *d = ((struct bench *)*state)->dev;
    assert_int_equal(vr_dev_read(d, 0, 0x123, 2), 0x6789); /* cut to the width */
    assert_int_equal(vr_dev_read(d, 0, 0x100, 8), 0);      /* the hook says no */
    assert_int_equal(d->guest_errors, 1);
    vr_dev_write(d, 0, 0x1ff, 1, 0x1234);
    assert_int_equal(TOY(d)->last_val, 0x34);
    vr_dev_write(d, 1, 0x0, 4, 1);
    assert_int_equal(d->guest_errors, 2);
}

static struct vr_dev *try_opts(struct bench *b, const char *opts, int want, struct vr_error *err)
{
    struct vr_dev *d = NULL;
    *err = (struct vr_error){0};
    assert_int_equal(vr_dev_create(&toy_class, "toy1", opts, &b->env, &d, err), want);
    assert_true((want == 0) == (d != NULL));
    return d;
}

static void good_options(void **state)
{
    struct bench *b = *state;
    struct vr_error err;
    struct vr_dev *d = try_opts(b, "speed=2M,fast,level=0x10,label=abc", 0, &err);
    assert_int_equal(TOY(d)->speed, 2 << 20);
    assert_int_equal(TOY(d)->level, 16);
    assert_true(TOY(d)->fast);
    assert_string_equal(TOY(d)->label, "abc");
    vr_dev_destroy(d);
    d = try_opts(b, "", 0, &err);
    assert_int_equal(TOY(d)->speed, 9600);
    assert_string_equal(TOY(d)->label, "toy");
    vr_dev_destroy(d);
    d = try_opts(b, "fast=off,label=", 0, &err);
    assert_false(TOY(d)->fast);
    assert_string_equal(TOY(d)->label, "");
    vr_dev_destroy(d);
}

static void bad_options_say_why(void **state)
{
    static const struct {
        const char *opts;
        int r;
        const char *says;
    } cases[] = {
        {"sped=1", -EINVAL, "did you mean 'speed'?"},
        {"xyzzy=1", -EINVAL, "speed, level, fast, label"},
        {"plain=1", -EINVAL, "unknown option 'plain'"}, /* state is not an option */
        {"speed=10", -ERANGE, "300..8589934592"},
        {"speed=9G", -ERANGE, "300..8589934592"},
        {"speed=quick", -EINVAL, "expected a number"},
        {"speed", -EINVAL, "needs a value"},
        {"level=101", -ERANGE, "0..100"},
        {"level=4294967296", -ERANGE, "0..100"},
        {"fast=perhaps", -EINVAL, "on or off"},
        {"label=12345678", -ERANGE, "longer than 7"},
        {"=1", -EINVAL, "unknown option ''"},
        {",", -EINVAL, "empty option"},
        {"fast,,level=1", -EINVAL, "empty option"},
        {"level=99", -EIO, "99 is too much"}, /* from init */
    };
    struct bench *b = *state;
    struct vr_error err;
    unsigned fins = b->fins;
    for (unsigned i = 0; i < VR_COUNT(cases); i++) {
        (void)try_opts(b, cases[i].opts, cases[i].r, &err);
        if (!strstr(err.msg, cases[i].says) || strncmp(err.msg, "device toy1: ", 13) != 0) {
            fail_msg("'%s' got '%s'", cases[i].opts, err.msg);
        }
    }
    char big[600];
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = 0;
    (void)try_opts(b, big, -EINVAL, &err);
    struct vr_dev *d = NULL;
    assert_int_equal(
        vr_dev_create(&toy_class, "an-id-that-is-longer-than-31-bytes", NULL, &b->env, &d, &err),
        -EINVAL);
    assert_int_equal(b->fins, fins); /* what was never made is not unmade */
}

static void reset_restores_state_only(void **state)
{
    struct bench *b = *state;
    struct vr_error err;
    struct vr_dev *d = try_opts(b, "speed=500", 0, &err);
    vr_dev_write(d, 0, 0x00, 4, 0x55);
    vr_dev_reset(d);
    assert_int_equal(vr_dev_read(d, 0, 0x00, 4), 0x11);
    assert_int_equal(TOY(d)->speed, 500);
    assert_int_equal(TOY(d)->resets, 1);
    vr_dev_destroy(d);
}

static void refused_state_leaves_a_reset_device(void **state)
{
    struct bench *b = *state;
    struct vr_snap s;
    struct vr_error err = {0};
    vr_snap_init(&s);
    vr_dev_write(b->dev, 0, 0x00, 4, 0x77);
    assert_int_equal(vr_dev_save(b->dev, &s, &err), 0);
    vr_dev_write(b->dev, 0, 0x00, 4, 0x99);
    TOY(b->dev)->loaded_says = -ERANGE;
    assert_int_equal(vr_dev_load(b->dev, &s, &err), -ERANGE);
    assert_string_equal(err.msg, "restoring toy0: it does not add up");
    assert_int_equal(vr_dev_read(b->dev, 0, 0x00, 4), 0x11);
    TOY(b->dev)->loaded_says = 0;
    s.pos = 0;
    assert_int_equal(vr_dev_load(b->dev, &s, &err), 0);
    assert_int_equal(vr_dev_read(b->dev, 0, 0x00, 4), 0x77);
    vr_snap_fini(&s);
}

static void a_device_outlives_its_old_views(void **state)
{
    struct bench *b = *state;
    struct vr_error err;
    struct vr_view_cache cache = {0};
    uint64_t v;
    struct vr_dev *d = try_opts(b, NULL, 0, &err);
    assert_int_equal(vr_dev_map(d, 0, b->env.mem, 0x1000, &err), 0);
    assert_int_equal(vr_dev_map(d, 1, b->env.mem, 0x1100, &err), -EEXIST);
    assert_int_equal(vr_dev_map(d, 1, b->env.mem, 0x2000, &err), 0);
    assert_int_equal(vr_space_read(b->env.mem, &cache, 0x1000, 4, &v), 0);
    assert_int_equal(v, 0x11);
    vr_dev_unmap(d, 1, b->env.mem);
    assert_int_equal(vr_space_read(b->env.mem, &cache, 0x2000, 4, &v), -EFAULT);
    assert_int_equal(vr_dev_map(d, 1, b->env.mem, 0x2000, &err), 0);
    /* A reader that was about to read when the device went. */
    const struct vr_flat *f = vr_view_find(vr_space_view(b->env.mem, &cache), 0x1000);
    vr_dev_destroy(d);
    assert_int_equal(b->fins, 1);
    assert_int_equal(vr_dev_read(f->region->dev, f->region->window, 0, 4), 0);
    vr_dev_write(f->region->dev, f->region->window, 0x08, 8, 1);
    assert_int_equal(vr_space_read(b->env.mem, &cache, 0x1000, 4, &v), -EFAULT);
    vr_view_cache_drop(b->env.mem, &cache);
    vr_dev_destroy(NULL);
}

/* --- Devices that come and go under their readers --- */

struct race {
    struct vr_space *space;
    atomic_bool stop;
    atomic_ulong hits;
};

static void race_main(void *arg)
{
    struct race *race = arg;
    struct vr_view_cache cache = {0};
    while (!atomic_load(&race->stop)) {
        uint64_t v;
        if (vr_space_read(race->space, &cache, 0x1000, 4, &v) == 0) {
            vr_assert(v == 0x11 || v == 0 ||
                      v == 0x22); /* alive, gone, or the memory laid over it */
            atomic_fetch_add(&race->hits, 1);
        }
        int r = vr_space_write(race->space, &cache, 0x1008, 8, 5);
        vr_assert(r == 0 || r == -EFAULT);
    }
    vr_view_cache_drop(race->space, &cache);
}

/* As a guest moves a BAR about: the old view still shows the window where it was. */
static void a_window_moves_while_an_old_view_has_it(void **state)
{
    struct bench *b = *state;
    struct vr_view_cache cache = {0};
    struct vr_space *mem = b->env.mem;
    uint64_t v;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t gpa = UINT64_C(0x1000) * (i + 1);
        assert_int_equal(vr_dev_map_at(b->dev, 0, mem, gpa, -5, NULL), 0);
        assert_int_equal(vr_space_read(mem, &cache, gpa, 4, &v), 0);
        assert_int_equal(v, 0x11);
        vr_dev_unmap(b->dev, 0, mem);
        assert_int_equal(vr_dev_map_at(b->dev, 0, mem, gpa, -5, NULL), 0);
        vr_dev_unmap(b->dev, 0, mem);
    }
    assert_int_equal(vr_space_read(mem, &cache, 0x1000, 4, &v), -EFAULT);
    vr_view_cache_drop(mem, &cache);
}

/* THREATS 6: what a message may reach, and what not. */
static void messages_reach_who_takes_them_and_ram(void **state)
{
    struct bench *b = *state;
    struct vr_dev *from = b->dev, *to;
    struct vr_ram *ram;
    struct vr_region region;
    assert_int_equal(vr_dev_create(&toy_class, "toy1", NULL, &b->env, &to, NULL), 0);
    assert_int_equal(vr_dev_map(to, 0, b->env.mem, 0x1000, NULL), 0);
    assert_int_equal(vr_dev_map(to, 2, b->env.mem, 0x2000, NULL), 0);
    assert_int_equal(vr_dev_map(from, 2, b->env.mem, 0x3000, NULL), 0);
    assert_int_equal(vr_ram_create("ram", VR_PAGE_SIZE, &ram, NULL), 0);
    region = (struct vr_region){.name = "ram", .gpa = 0x8000, .len = VR_PAGE_SIZE, .ram = ram};
    assert_int_equal(vr_space_add(b->env.mem, &region, NULL), 0);
    vr_dev_lock(from);
    assert_true(vr_msi_send(from, &(struct vr_msi){.addr = 0x2000, .data = 0xffff1234}));
    assert_true(vr_msi_send(from, &(struct vr_msi){.addr = 0x8ffc, .data = 0x55667788}));
    assert_int_equal(from->guest_errors, 0);
    static const uint64_t bad[] = {
        0x1000 /* a window that takes none */,
        0x3000 /* the sender's own */,
        0x2002,
        0x9000,
        0x8ffe,
        UINT64_MAX - 3,
        UINT64_MAX,
    };
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        assert_false(vr_msi_send(from, &(struct vr_msi){.addr = bad[i], .data = 0xeeee}));
        assert_int_equal(from->guest_errors, i + 1);
    }
    vr_dev_unlock(from);
    assert_int_equal(TOY(to)->plain, 0x1234);
    assert_int_equal(vr_load_le32(ram->hva + 0xffc), 0x55667788);
    vr_dev_destroy(to);
    vr_dev_unmap(from, 2, b->env.mem);
    vr_space_remove(b->env.mem, &region);
    vr_view_cache_drop(b->env.mem, &from->dma);
    vr_ram_destroy(ram);
}

static void devices_come_and_go_under_their_readers(void **state)
{
    struct bench *b = *state;
    struct race race = {.space = b->env.mem};
    struct vireo_thread *t[2];
    struct vr_ram *ram;
    struct vr_error err;
    assert_int_equal(vr_ram_create("over", VR_PAGE_SIZE, &ram, &err), 0);
    vr_store_le32(ram->hva, 0x22);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(vireo_thread_create("reader", race_main, &race, &t[i], &err), 0);
    }
    for (unsigned i = 0; i < 1500 || atomic_load(&race.hits) < 500; i++) {
        struct vr_dev *d = try_opts(b, NULL, 0, &err);
        assert_int_equal(vr_dev_map(d, 0, b->env.mem, 0x1000, &err), 0);
        if (i % 3 == 0) {
            assert_int_equal(vr_dev_overlay(d, 0, ram, 0, &err), 0);
        }
        if (i % 4 == 0) {
            vr_dev_unlay(d, 0);
        }
        vr_dev_destroy(d);
    }
    atomic_store(&race.stop, true);
    for (unsigned i = 0; i < 2; i++) {
        vireo_thread_join(t[i]);
    }
    vr_ram_destroy(ram);
}

#define BENCH_TEST(fn) cmocka_unit_test_setup_teardown(fn, bench_init, bench_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(whole_registers),
        BENCH_TEST(wrong_accesses_are_guest_errors),
        BENCH_TEST(narrow_accesses_to_flex_registers),
        BENCH_TEST(wide_accesses_to_flex_registers_are_split),
        BENCH_TEST(arrays_and_what_lies_between),
        BENCH_TEST(what_no_register_covers_goes_to_the_window),
        BENCH_TEST(good_options),
        BENCH_TEST(bad_options_say_why),
        BENCH_TEST(reset_restores_state_only),
        BENCH_TEST(refused_state_leaves_a_reset_device),
        BENCH_TEST(a_device_outlives_its_old_views),
        BENCH_TEST(a_window_moves_while_an_old_view_has_it),
        BENCH_TEST(messages_reach_who_takes_them_and_ram),
        BENCH_TEST(devices_come_and_go_under_their_readers),
    };
    return cmocka_run_group_tests_name("dev", tests, NULL, NULL);
}

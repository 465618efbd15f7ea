/* The virtio balloon's free page hints: rounds, whose hints count, what hostile drivers send,
 * resets and snapshots in between. VIRTIO 1.3, section 5.5.6.7. */
#include "virtq_driver.h"

#include "base/bits.h"
#include "dev/virtio/balloon.h"

enum { STATS = 2, HINT = 3, REPORT = 4 };
enum { F_HINT = 1 << 3, F_POISON = 1 << 4, F_REPORT = 1 << 5 };
enum { STOP = 0, DONE = 1, CONFIG_CMD = 8, CONFIG_POISON = 12 };
enum { PAGE = 4096 };
#define FREE (RIG_RAM_GPA + 128 * PAGE) /* where hinted pages are */

/* Who asked for hints. */
struct asker {
    const uint8_t *ram;
    unsigned count;
    uint64_t off[64], len[64];
};

static int setup(void **state)
{
    return vd_setup(state, VD_CLASS(balloon), VD_OPTS);
}

static void hinted(void *opaque, const void *hva, uint64_t len)
{
    struct asker *a = opaque;
    assert_true(a->count < VR_COUNT(a->off));
    a->off[a->count] = (uint64_t)((const uint8_t *)hva - a->ram);
    a->len[a->count++] = len;
}

static struct asker asker(struct vd_fixture *f)
{
    return (struct asker){.ram = f->rig.ram->hva};
}

static bool begin(struct vd_fixture *f, struct asker *a)
{
    return vr_virtio_balloon_hints_begin(f->dev, hinted, a);
}

static uint32_t cmd(struct vd_fixture *f)
{
    return (uint32_t)vd_config(&f->d, CONFIG_CMD, 4);
}

/* The driver's buffer that begins or ends a round. */
static void say(struct vd_fixture *f, uint32_t id)
{
    uint8_t raw[4];
    vr_store_le32(raw, id);
    struct vd_buf out = vd_out(&f->d, raw, 4);
    assert_int_equal(vd_do(&f->d, HINT, &out, 1), 0);
}

static void hint(struct vd_fixture *f, uint64_t gpa, uint32_t len)
{
    struct vd_buf in = {.gpa = gpa, .len = len, .write = true};
    assert_int_equal(vd_do(&f->d, HINT, &in, 1), 0);
}

struct total {
    struct vr_counts counts;
    const char *name;
    uint64_t value;
};

static void total_put(struct vr_counts *counts, int queue, const char *name, bool total,
                      uint64_t value, const char *help)
{
    struct total *t = (struct total *)counts;
    (void)total;
    (void)help;
    if (queue < 0 && strcmp(name, t->name) == 0) {
        t->value = value;
    }
}

static uint64_t counted(struct vd_fixture *f, const char *name)
{
    struct total t = {.counts = {.put = total_put}, .name = name, .value = UINT64_MAX};
    f->dev->cls->counts(f->dev, &t.counts);
    return t.value;
}

static void a_round(void **state)
{
    struct vd_fixture *f = *state;
    uint64_t bytes = 0;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        struct asker a = asker(f);
        vd_start(&f->d, F_HINT | vd_modes[m].features, 16);
        memset(f->rig.ram->hva + 128 * PAGE, 0xa5, 64 * PAGE);
        assert_int_equal(cmd(f), STOP);
        assert_true(begin(f, &a));
        assert_int_equal(vd_isr(&f->d), VR_VIRTIO_ISR_CONFIG);
        uint32_t id = cmd(f);
        assert_true(id >= 2);
        say(f, id);
        hint(f, FREE, 16 * PAGE);
        struct vd_buf two[] = {{.gpa = FREE + 20 * PAGE, .len = PAGE, .write = true},
                               {.gpa = FREE + 30 * PAGE + 5, .len = 2 * PAGE, .write = true}};
        vd_do(&f->d, HINT, two, 2);
        say(f, STOP);
        hint(f, FREE + 40 * PAGE, PAGE); /* after its end */
        assert_int_equal(a.count, 3);
        assert_int_equal(a.off[0], 128 * PAGE);
        assert_int_equal(a.len[0], 16 * PAGE);
        assert_int_equal(a.off[2], 158 * PAGE + 5);
        bytes += 19 * PAGE;
        assert_int_equal(counted(f, "hinted_bytes"), bytes);
        assert_int_equal(counted(f, "stray_hints"), m + 1);
        for (unsigned i = 0; i < 64 * PAGE; i += 100) { /* the device leaves memory alone */
            assert_int_equal(f->rig.ram->hva[128 * PAGE + i], 0xa5);
        }
        vr_virtio_balloon_hints_end(f->dev, false);
        assert_int_equal(vd_isr(&f->d) & VR_VIRTIO_ISR_CONFIG, VR_VIRTIO_ISR_CONFIG);
        assert_int_equal(cmd(f), STOP);
        vr_virtio_balloon_hints_end(f->dev, true);
        assert_int_equal(vd_isr(&f->d) & VR_VIRTIO_ISR_CONFIG, VR_VIRTIO_ISR_CONFIG);
        assert_int_equal(cmd(f), DONE);
        vr_virtio_balloon_hints_end(f->dev, true); /* nothing new */
        assert_int_equal(vd_isr(&f->d) & VR_VIRTIO_ISR_CONFIG, 0);
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

/* No round's ID is that of an earlier one, and an earlier one's hints do not count. */
static void hints_of_another_round(void **state)
{
    struct vd_fixture *f = *state;
    struct asker a = asker(f);
    vd_start(&f->d, F_HINT, 16);
    hint(f, FREE, PAGE); /* nobody asked */
    say(f, STOP);
    say(f, DONE);
    hint(f, FREE, PAGE);
    assert_true(begin(f, &a));
    uint32_t first = cmd(f);
    hint(f, FREE, PAGE); /* of no round */
    say(f, first + 1);
    hint(f, FREE, PAGE);
    say(f, first);
    vr_virtio_balloon_hints_end(f->dev, false);
    hint(f, FREE, PAGE); /* too late */
    say(f, STOP);
    assert_true(begin(f, &a));
    assert_int_not_equal(cmd(f), first);
    hint(f, FREE, PAGE);
    say(f, first);
    hint(f, FREE, PAGE);
    assert_int_equal(a.count, 0);
    assert_int_equal(counted(f, "stray_hints"), 7);
    say(f, cmd(f));
    hint(f, FREE, PAGE);
    assert_int_equal(a.count, 1);
    vr_virtio_balloon_hints_end(f->dev, true);
    say(f, DONE); /* is no round */
    hint(f, FREE, PAGE);
    assert_int_equal(a.count, 1);
    assert_int_equal(f->dev->guest_errors, 0);
}

static void nobody_waits(void **state)
{
    struct vd_fixture *f = *state;
    struct asker a = asker(f);
    assert_false(begin(f, &a)); /* no driver */
    vr_virtio_balloon_hints_end(f->dev, true);
    assert_int_equal(cmd(f), STOP);
    assert_true(vd_negotiate(&f->d, F_HINT));
    assert_false(begin(f, &a)); /* no driver yet */
    vd_start(&f->d, F_REPORT, 16);
    assert_false(begin(f, &a)); /* one without hints */
    hint(f, FREE, PAGE);        /* which is a report: such drivers have that queue there */
    assert_int_equal(counted(f, "reported_bytes"), PAGE);
    assert_int_equal(counted(f, "stray_hints"), 0);
    vd_start(&f->d, F_HINT | F_REPORT, 16);
    assert_true(begin(f, &a)); /* it begins, and never ends; or never begins */
    say(f, cmd(f));
    vr_virtio_balloon_hints_end(f->dev, true);
    assert_int_equal(cmd(f), DONE);
    assert_true(begin(f, &a));
    vr_virtio_balloon_hints_end(f->dev, true);
    assert_int_equal(cmd(f), DONE);
    hint(f, FREE, PAGE); /* is no report of this driver's */
    assert_int_equal(counted(f, "reported_bytes"), PAGE);
    assert_int_equal(a.count, 0);
    assert_int_equal(f->dev->guest_errors, 0);
}

static void hints_that_make_no_sense(void **state)
{
    static const struct {
        uint64_t gpa;
        uint32_t len;
    } bad[] = {{RIG_RAM_GPA - PAGE, PAGE},
               {RIG_RAM_GPA + RIG_RAM_LEN - 1, 2},
               {FREE, UINT32_MAX},
               {0, UINT32_MAX},
               {UINT64_MAX - PAGE, 2 * PAGE},
               {0x10001000, 16}};
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    struct asker a = asker(f);
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        for (unsigned i = 0; i < VR_COUNT(bad); i++) {
            vd_start(d, F_HINT | vd_modes[m].features, 16);
            assert_true(begin(f, &a));
            say(f, cmd(f));
            struct vd_buf in = {.gpa = bad[i].gpa, .len = bad[i].len, .write = true};
            vd_add(d, HINT, &in, 1);
            vd_kick(d, HINT);
            assert_true(vd_needs_reset(d));
            vr_virtio_balloon_hints_end(f->dev, true);
        }
        vd_start(d, F_HINT | vd_modes[m].features, 16);
        assert_true(begin(f, &a));
        say(f, cmd(f));
        struct vd_buf none = {.gpa = FREE, .len = 0, .write = true};
        vd_add(d, HINT, &none, 1);
        vd_kick(d, HINT);
        assert_true(vd_needs_reset(d)); /* a request without anything */
        vr_virtio_balloon_hints_end(f->dev, true);
    }
    assert_int_equal(a.count, 0);
    for (unsigned len = 1; len <= 5; len++) { /* command IDs that are none */
        uint8_t raw[5] = {0};
        vd_start(d, F_HINT, 16);
        assert_true(begin(f, &a));
        vr_store_le32(raw, cmd(f));
        struct vd_buf out = vd_out(d, raw, len);
        vd_add(d, HINT, &out, 1);
        vd_kick(d, HINT);
        assert_int_equal(vd_needs_reset(d), len != 4);
        vr_virtio_balloon_hints_end(f->dev, true);
    }
    vd_start(d, F_HINT, 16);
    assert_int_equal(a.count, 0);
    uint64_t errors = f->dev->guest_errors;
    vd_config_set(d, CONFIG_CMD, 4, 77); /* is the device's */
    assert_int_not_equal(cmd(f), 77);
    assert_int_equal(f->dev->guest_errors, errors + 1);
}

/* What free pages are filled with is no reason to copy them: whoever lets one go fills it anew. */
static void poisoned_pages_are_hinted(void **state)
{
    struct vd_fixture *f = *state;
    struct asker a = asker(f);
    assert_true(vd_negotiate(&f->d, F_HINT | F_POISON));
    vd_config_set(&f->d, CONFIG_POISON, 4, 0xaaaaaaaa);
    vd_queue(&f->d, HINT, 16);
    vd_driver_ok(&f->d);
    assert_true(begin(f, &a));
    say(f, cmd(f));
    hint(f, FREE, PAGE);
    assert_int_equal(a.count, 1);
    vr_virtio_balloon_hints_end(f->dev, true);
    assert_int_equal(f->dev->guest_errors, 0);
}

static void a_driver_starts_anew(void **state)
{
    struct vd_fixture *f = *state;
    struct asker a = asker(f);
    vd_start(&f->d, F_HINT, 16);
    assert_true(begin(f, &a));
    uint32_t id = cmd(f);
    say(f, id);
    vd_start(&f->d, F_HINT, 16); /* while somebody listens */
    assert_int_equal(cmd(f), STOP);
    hint(f, FREE, PAGE);
    say(f, id);
    hint(f, FREE, PAGE);
    assert_int_equal(a.count, 0);
    vr_virtio_balloon_hints_end(f->dev, false);
    vr_virtio_balloon_hints_end(f->dev, true); /* it holds no pages */
    assert_int_equal(cmd(f), STOP);
    assert_int_equal(vd_isr(&f->d) & VR_VIRTIO_ISR_CONFIG, 0);
}

/* The other side of a migration: nobody asks for hints there, and the driver may have its pages. */
static void a_restored_driver_is_told(void **state)
{
    struct vd_fixture *f = *state;
    struct vr_dev *old = f->dev;
    for (unsigned stopped = 0; stopped < 2; stopped++) {
        struct asker a = asker(f);
        struct vr_dev *other = rig_dev(&f->rig, VD_CLASS(balloon), VD_OPTS);
        vd_start(&f->d, F_HINT, 16);
        assert_true(begin(f, &a));
        uint32_t id = cmd(f);
        say(f, id);
        hint(f, FREE, PAGE);
        if (stopped) {
            vr_virtio_balloon_hints_end(f->dev, false);
        }
        vd_isr(&f->d);
        assert_int_equal(rig_copy(f->dev, other), 0);
        struct vd from = f->d;
        vd_replace(&f->d, other);
        f->dev = other;
        assert_int_equal(cmd(f), DONE);
        vr_clock_step(f->rig.env.clock, 1);
        assert_int_equal(vd_isr(&f->d) & VR_VIRTIO_ISR_CONFIG, VR_VIRTIO_ISR_CONFIG);
        hint(f, FREE, PAGE); /* it did not know */
        assert_int_equal(a.count, 1);
        assert_int_equal(counted(f, "stray_hints"), 1);
        assert_true(begin(f, &a)); /* and it moves on: a new round */
        assert_int_not_equal(cmd(f), id);
        vr_virtio_balloon_hints_end(f->dev, true);
        vd_isr(&f->d);
        assert_int_equal(rig_copy(f->dev, other), 0); /* all had been said */
        vr_clock_step(f->rig.env.clock, 1);
        assert_int_equal(vd_isr(&f->d), 0);
        vr_dev_destroy(other);
        f->dev = old;
        f->d = from;
        vr_virtio_balloon_hints_end(f->dev, true); /* or it did not move after all */
        assert_int_equal(cmd(f), DONE);
    }
}

static void options(void **state)
{
    struct vd_fixture *f = *state;
    assert_true(vd_offered(&f->d) & F_HINT);
    struct vr_dev *other = rig_dev(&f->rig, VD_CLASS(balloon), "hinting=off");
    struct vd d;
    vd_init(&d, &f->rig, other);
    assert_false(vd_offered(&d) & F_HINT);
    vr_dev_destroy(other);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, vd_teardown)
    const struct CMUnitTest tests[] = {
        T(a_round),
        T(hints_of_another_round),
        T(nobody_waits),
        T(hints_that_make_no_sense),
        T(poisoned_pages_are_hinted),
        T(a_driver_starts_anew),
        T(a_restored_driver_is_told),
        T(options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

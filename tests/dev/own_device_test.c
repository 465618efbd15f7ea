/*
 * Devices that programs bring along (vireo/device.h): what the guest sees of them, what their hooks
 * may do, and their life in a machine: at the start, plugged in, saved and restored.
 */
#include "pci_rig.h"
#include "unit/vm_guest.h"
#include "unit/vm_receiver.h"

#include "dev/pci/caps.h"
#include "dev/pci/own.h"
#include "vireo/host_thread.h"
#include "vireo/snapshot.h"
#include <errno.h>
#include <stdatomic.h>

enum { SLOT = 2 << 3, BAR0 = 0x10, BAR1 = 0x14, LINE = 2, STATE = 4096 };
enum { ID_MSIX = 0x11, ID_EXPRESS = 0x10, FLR = 0x8000 };
#define REGS  UINT64_C(0x40000000)
#define TABLE UINT64_C(0x40010000)

/* --- The program's device --- */

enum { R_WORD = 0, R_PIN = 4, R_SEND = 8, R_ALARM = 0x10, R_READ = 0x18, R_WRITE = 0x20 };

/* What is saved; and what is not. */
struct gear {
    uint32_t word;
    uint32_t alarms;
    uint8_t bytes[STATE - 8];
};
struct gear_host {
    struct gears *all;
    bool restored, sent;
    int dma;
};
/* The program: what became of its devices. */
struct gears {
    unsigned made, gone, resets;
    int refuse; /* the next one's creation, or a restored state */
    char options[128];
    struct vireo_function *last;
};

static int gear_create(struct vireo_function *f, void *opaque, void **ret_host,
                       struct vr_error *err)
{
    struct gears *all = opaque;
    struct gear_host *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    assert_null(vireo_function_host(f));
    if (all->refuse) {
        free(h);
        snprintf(err->msg, sizeof(err->msg), "no cogs");
        return err->code = all->refuse;
    }
    h->all = all;
    all->made++;
    all->last = f;
    snprintf(all->options, sizeof(all->options), "%s", vireo_function_options(f));
    *ret_host = h;
    return 0;
}

static void gear_destroy(struct vireo_function *f, void *host)
{
    struct gear_host *h = host;
    h->all->gone++;
    assert_ptr_equal(host, vireo_function_host(f));
    free(h);
}

static void gear_reset(struct vireo_function *f)
{
    const struct gear *s = vireo_function_state(f);
    const struct gear_host *h = vireo_function_host(f);
    h->all->resets++;
    assert_int_equal(s->word + s->alarms + s->bytes[0] + s->bytes[sizeof(s->bytes) - 1], 0);
}

static uint64_t gear_read(struct vireo_function *f, uint64_t off, unsigned width)
{
    const struct gear *s = vireo_function_state(f);
    (void)width;
    return off == R_WORD ? UINT64_C(0xffffffff00000000) | s->word : off < 0x1000 ? 0 : off;
}

static void gear_write(struct vireo_function *f, uint64_t off, unsigned width, uint64_t val)
{
    struct gear *s = vireo_function_state(f);
    struct gear_host *h = vireo_function_host(f);
    switch (off) {
    case R_WORD:
        s->word = (uint32_t)val;
        break;
    case R_PIN:
        vireo_function_set_pin(f, val);
        break;
    case R_SEND:
        h->sent = vireo_function_send(f, (unsigned)val);
        break;
    case R_ALARM:
        assert_int_equal(width, 8);
        vireo_function_timer(f, val);
        break;
    case R_READ:
        h->dma = vireo_function_read_memory(f, val, s->bytes, 64);
        break;
    case R_WRITE:
        h->dma = vireo_function_write_memory(f, val, s->bytes, 64);
        break;
    default:
        vireo_function_guest_error(f, "there is no such register");
    }
}

static void gear_alarm(struct vireo_function *f)
{
    struct gear *s = vireo_function_state(f);
    s->alarms++;
}

static int gear_restored(struct vireo_function *f, struct vr_error *err)
{
    const struct gear *s = vireo_function_state(f);
    struct gear_host *h = vireo_function_host(f);
    h->restored = true;
    if (s->word == 0xbad) {
        snprintf(err->msg, sizeof(err->msg), "a bad word");
        return err->code = -ERANGE;
    }
    return 0;
}

static const struct vireo_function_class gear_class = {
    .size = sizeof(gear_class),
    .name = "gear",
    .help = "a gear of a test's",
    .version = 3,
    .vendor = 0x1234,
    .device = 0x4321,
    .pci_class = 0xff0405,
    .window_bytes = 8192,
    .messages = 3,
    .state_bytes = sizeof(struct gear),
    .create = gear_create,
    .destroy = gear_destroy,
    .reset = gear_reset,
    .read = gear_read,
    .write = gear_write,
    .timer = gear_alarm,
    .restored = gear_restored,
};

/* --- One of them on a bus --- */

struct bench {
    struct pci_rig r;
    struct gears all;
    struct vr_own_class *own;
    struct vr_dev *dev;
    struct gear *s;
    struct gear_host *h;
};

/* Addresses given, memory and bus mastering on, as drivers do. */
static void drive(struct bench *b)
{
    pci_cfg_set(&b->r, 0, SLOT, BAR0, 4, (uint32_t)REGS);
    pci_cfg_set(&b->r, 0, SLOT, BAR1, 4, (uint32_t)TABLE);
    pci_cfg_set(&b->r, 0, SLOT, VR_PCI_COMMAND, 2, 6);
}

static int bench_init(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    pci_rig_init(&b->r);
    assert_int_equal(vr_own_class_create(&gear_class, &b->all, &b->own, NULL), 0);
    b->dev = pci_rig_add(&b->r, vr_own_class_of(b->own), "g", "options=teeth:12",
                         &vr_pci_host_root(b->r.host)->bus, SLOT);
    b->s = vireo_function_state(b->all.last);
    b->h = vireo_function_host(b->all.last);
    drive(b);
    *state = b;
    return 0;
}

static int bench_fini(void **state)
{
    struct bench *b = *state;
    vr_dev_destroy(b->dev);
    assert_int_equal(b->all.made, b->all.gone);
    vr_own_class_release(b->own);
    pci_rig_fini(&b->r);
    free(b);
    return 0;
}

static void the_guest_sees_a_function(void **state)
{
    struct bench *b = *state;
    struct pci_rig *r = &b->r;
    assert_int_equal(pci_cfg(r, 0, SLOT, 0, 4), 0x43211234);
    assert_int_equal(pci_cfg(r, 0, SLOT, 8, 4) >> 8, 0xff0405);
    assert_string_equal(vireo_function_id(b->all.last), "g");
    assert_string_equal(b->all.options, "teeth:12");
    assert_int_equal((uintptr_t)b->s % _Alignof(max_align_t), 0);
    unsigned msix = pci_cap(r, 0, SLOT, ID_MSIX, false);
    assert_int_equal(pci_cfg(r, 0, SLOT, msix + 2, 2), 2); /* three messages */
    assert_int_equal(pci_cfg(r, 0, SLOT, msix + 4, 4), 1); /* in BAR 1 */
    assert_true(pci_cap(r, 0, SLOT, 1, true));             /* error reporting */
    pci_cfg_set(r, 0, SLOT, BAR0, 4, UINT32_MAX);
    assert_int_equal(pci_cfg(r, 0, SLOT, BAR0, 4), 0xffffe000);
    drive(b);
    assert_true(pci_poke(r, REGS + R_WORD, 4, 0x12345678));
    assert_int_equal(pci_peek(r, REGS + R_WORD, 4), 0x12345678);
    assert_int_equal(pci_peek(r, REGS + R_WORD, 2), 0x5678); /* no more than was asked for */
    assert_int_equal(pci_peek(r, REGS + R_WORD, 8), UINT64_C(0xffffffff12345678));
    assert_int_equal(pci_peek(r, REGS + 0x1ffc, 4), 0x1ffc);
    assert_int_equal(b->dev->guest_errors, 0);
    assert_true(pci_poke(r, REGS + 0x100, 4, 0));
    assert_int_equal(b->dev->guest_errors, 1);
}

static void it_interrupts(void **state)
{
    struct bench *b = *state;
    struct pci_rig *r = &b->r;
    uint32_t last;
    unsigned msix = pci_cap(r, 0, SLOT, ID_MSIX, false);
    assert_true(pci_poke(r, REGS + R_PIN, 4, 1));
    assert_true(r->line[LINE].level);
    assert_true(pci_poke(r, REGS + R_PIN, 4, 0));
    assert_false(r->line[LINE].level);
    assert_true(pci_poke(r, REGS + R_SEND, 4, 2));
    assert_false(b->h->sent); /* the guest does not use them */
    for (unsigned i = 0; i < 3; i++) {
        assert_true(pci_poke(r, TABLE + i * 16, 8, PCI_MSI + i * 4));
        assert_true(pci_poke(r, TABLE + i * 16 + 8, 4, 70 + i));
        assert_true(pci_poke(r, TABLE + i * 16 + 12, 4, i == 1)); /* the second is masked */
    }
    pci_cfg_set(r, 0, SLOT, msix + 2, 2, 0x8000);
    assert_true(pci_poke(r, REGS + R_SEND, 4, 2));
    assert_true(b->h->sent);
    assert_int_equal(pci_messages(r, &last), 1);
    assert_int_equal(last, 72);
    assert_true(pci_poke(r, REGS + R_SEND, 4, 1));
    assert_true(b->h->sent);
    assert_int_equal(pci_messages(r, NULL), 1);
    assert_true(pci_poke(r, TABLE + 16 + 12, 4, 0));
    assert_int_equal(pci_messages(r, &last), 2);
    assert_int_equal(last, 71);
    assert_true(pci_poke(r, REGS + R_SEND, 4, 3)); /* there is no fourth */
    assert_false(b->h->sent);
    assert_true(pci_poke(r, REGS + R_PIN, 4, 1));
    assert_false(r->line[LINE].level); /* nobody looks at it now */
}

/* Memory alone, and only when the driver allows it (THREATS 6). */
static void it_reaches_memory_and_nothing_else(void **state)
{
    struct bench *b = *state;
    struct pci_rig *r = &b->r;
    uint8_t *ram = r->rig.ram->hva;
    static const uint64_t bad[] = {REGS,
                                   TABLE,
                                   PCI_ECAM,
                                   0,
                                   UINT64_MAX - 63,
                                   UINT64_MAX - 1,
                                   RIG_RAM_GPA + RIG_RAM_LEN - 63,
                                   RIG_RAM_GPA - 1};
    memset(ram, 0x31, 64);
    assert_true(pci_poke(r, REGS + R_READ, 8, RIG_RAM_GPA));
    assert_int_equal(b->h->dma, 0);
    assert_int_equal(b->s->bytes[0] + b->s->bytes[63], 2 * 0x31);
    assert_int_equal(b->s->bytes[64], 0);
    assert_true(pci_poke(r, REGS + R_WRITE, 8, RIG_RAM_GPA + 0x1001));
    assert_int_equal(b->h->dma, 0);
    assert_memory_equal(ram + 0x1001, ram, 64);
    assert_int_equal(ram[0x1000] + ram[0x1041], 0);
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        assert_true(pci_poke(r, REGS + R_WRITE, 8, bad[i]));
        assert_int_equal(b->h->dma, -EFAULT);
        assert_true(pci_poke(r, REGS + R_READ, 8, bad[i]));
        assert_int_equal(b->h->dma, -EFAULT);
    }
    assert_int_equal(ram[RIG_RAM_LEN - 1] + ram[RIG_RAM_LEN - 63], 0); /* all, or nothing */
    pci_cfg_set(r, 0, SLOT, VR_PCI_COMMAND, 2, 2);
    assert_true(pci_poke(r, REGS + R_WRITE, 8, RIG_RAM_GPA + 0x2000));
    assert_int_equal(b->h->dma, -EPERM);
    assert_int_equal(ram[0x2000], 0);
}

static void its_timer_is_guest_time(void **state)
{
    struct bench *b = *state;
    struct vr_clock *clock = b->r.rig.env.clock;
    assert_true(pci_poke(&b->r, REGS + R_ALARM, 8, 5000));
    vr_clock_step(clock, 4999);
    assert_int_equal(b->s->alarms, 0);
    vr_clock_step(clock, 1);
    assert_int_equal(vireo_function_time_ns(b->all.last), 5000);
    assert_int_equal(b->s->alarms, 1);
    vr_clock_step(clock, 100000);
    assert_int_equal(b->s->alarms, 1);                  /* once */
    assert_true(pci_poke(&b->r, REGS + R_ALARM, 8, 1)); /* late: soon */
    assert_int_equal(b->s->alarms, 1);
    vr_clock_step(clock, 0);
    assert_int_equal(b->s->alarms, 2);
    assert_true(pci_poke(&b->r, REGS + R_ALARM, 8, 200000));
    assert_true(pci_poke(&b->r, REGS + R_ALARM, 8, UINT64_MAX)); /* and not at all */
    vr_clock_step(clock, 1000000);
    assert_int_equal(b->s->alarms, 2);
}

static void resets_begin_anew(void **state)
{
    struct bench *b = *state;
    struct pci_rig *r = &b->r;
    unsigned exp = pci_cap(r, 0, SLOT, ID_EXPRESS, false), before = b->all.resets;
    for (unsigned i = 0; i < 2; i++) {
        drive(b);
        assert_true(pci_poke(r, REGS + R_WORD, 4, 7));
        assert_true(pci_poke(r, REGS + R_PIN, 4, 1));
        assert_true(pci_poke(r, REGS + R_ALARM, 8, 1000000));
        b->s->bytes[sizeof(b->s->bytes) - 1] = 9;
        if (i == 0) {
            pci_cfg_set(r, 0, SLOT, exp + 8, 2, FLR);
        } else {
            vr_dev_reset(b->dev);
        }
        assert_int_equal(b->all.resets, before + i + 1);
        assert_false(r->line[LINE].level);
        assert_false(pci_poke(r, REGS, 4, 0)); /* it is nowhere */
        vr_clock_step(r->rig.env.clock, 10000000);
        assert_int_equal(b->s->word + b->s->alarms, 0);
    }
}

static void it_is_saved_and_restored(void **state)
{
    struct bench *b = *state;
    struct pci_rig *r = &b->r;
    struct vr_snap snap;
    struct vr_error err = {0};
    vr_snap_init(&snap);
    assert_true(pci_poke(r, REGS + R_WORD, 4, 77));
    assert_true(pci_poke(r, REGS + R_PIN, 4, 1));
    assert_true(pci_poke(r, REGS + R_ALARM, 8, 1000));
    for (unsigned i = 0; i < sizeof(b->s->bytes); i++) {
        b->s->bytes[i] = (uint8_t)(i * 7);
    }
    struct gear was = *b->s;
    assert_int_equal(vr_dev_save(b->dev, &snap, NULL), 0);
    vr_dev_reset(b->dev);
    assert_int_equal(vr_dev_load(b->dev, &snap, &err), 0);
    assert_true(b->h->restored);
    assert_memory_equal(b->s, &was, sizeof(was));
    assert_true(r->line[LINE].level);
    assert_int_equal(pci_peek(r, REGS, 4), 77);
    vr_clock_step(r->rig.env.clock, 1000);
    assert_int_equal(b->s->alarms, 1);
    /* What its program refuses does not run. */
    b->s->word = 0xbad;
    snap.len = snap.pos = 0;
    assert_int_equal(vr_dev_save(b->dev, &snap, NULL), 0);
    b->s->word = 5;
    assert_int_equal(vr_dev_load(b->dev, &snap, &err), -ERANGE);
    assert_non_null(strstr(err.msg, "a bad word"));
    assert_int_equal(b->s->word, 0);
    vr_snap_fini(&snap);
}

/* Every byte damaged, every length cut (THREATS 9): refused, or as good as any state. */
static void row_9_damaged_states_of_own_devices(void **state)
{
    struct bench *b = *state;
    struct vr_snap snap, bad;
    vr_snap_init(&snap);
    assert_int_equal(vr_dev_save(b->dev, &snap, NULL), 0);
    for (size_t i = 0; i < snap.len; i += i < 1200 ? 1 : 37) {
        for (unsigned cut = 0; cut < 2; cut++) {
            vr_snap_init(&bad);
            bad.buf = malloc(snap.len);
            assert_non_null(bad.buf);
            memcpy(bad.buf, snap.buf, snap.len);
            bad.len = cut ? i : snap.len;
            bad.cap = snap.len;
            bad.buf[i] ^= cut ? 0 : 0xff;
            int res = vr_dev_load(b->dev, &bad, NULL);
            assert_true(cut ? res < 0 : res <= 0);
            vr_snap_fini(&bad);
        }
    }
    vr_dev_reset(b->dev);
    drive(b);
    assert_true(pci_poke(&b->r, REGS + R_WORD, 4, 3));
    assert_int_equal(pci_peek(&b->r, REGS + R_WORD, 4), 3);
    vr_snap_fini(&snap);
}

/* A thread of the program's moves the pin while the guest resets the function. */
struct mover {
    struct bench *b;
    atomic_bool stop;
    atomic_uint moves;
};

static void move(void *arg)
{
    struct mover *m = arg;
    struct vireo_function *f = m->b->all.last;
    while (!atomic_load(&m->stop)) {
        vireo_function_lock(f);
        vireo_function_set_pin(f, atomic_load(&m->moves) % 2);
        (void)vireo_function_send(f, 0);
        (void)vireo_function_read_memory(f, RIG_RAM_GPA, m->b->s->bytes, 64);
        vireo_function_timer(f, 1);
        vireo_function_unlock(f);
        atomic_fetch_add(&m->moves, 1);
    }
}

static void threads_of_the_program_hold_its_lock(void **state)
{
    struct bench *b = *state;
    struct mover m = {.b = b};
    struct vireo_thread *thread;
    assert_int_equal(vireo_thread_create("mover", move, &m, &thread, NULL), 0);
    for (unsigned i = 0; i < 300 || atomic_load(&m.moves) < 300; i++) {
        vr_dev_reset(b->dev);
        vr_dev_lock(b->r.host);
        vr_dev_unlock(b->r.host);
        drive(b);
        assert_true(pci_poke(&b->r, REGS + R_WORD, 4, i));
        vr_clock_step(b->r.rig.env.clock, 1);
    }
    atomic_store(&m.stop, true);
    vireo_thread_join(thread);
}

/* --- Classes --- */

static void bad_classes_are_refused(void **state)
{
    static const char long_text[] = "12345678901234567890123456789012345678901234567890123456789012"
                                    "3456789012345678901234567890123456789012345678901234567890123"
                                    "4567890";
    static const struct {
        const char *name, *help;
        uint32_t window, messages, state_bytes, pci_class;
        uint16_t version, vendor;
        int code;
    } bad[] = {
        {"", "h", 4096, 0, 0, 0, 1, 1, -EINVAL},
        {NULL, "h", 4096, 0, 0, 0, 1, 1, -EINVAL},
        {"Upper", "h", 4096, 0, 0, 0, 1, 1, -EINVAL},
        {"a,b", "h", 4096, 0, 0, 0, 1, 1, -EINVAL},
        {"9a", "h", 4096, 0, 0, 0, 1, 1, -EINVAL},
        {"virtio-lamp-pci", "h", 4096, 0, 0, 0, 1, 1, -EINVAL},
        {"my-cpu", "h", 4096, 0, 0, 0, 1, 1, -EINVAL},
        {"abcdefghijklmnopqrstuvwxyzabcdefg", "h", 4096, 0, 0, 0, 1, 1, -EINVAL},
        {"plic", "h", 4096, 0, 0, 0, 1, 1, -EEXIST},
        {"x", NULL, 4096, 0, 0, 0, 1, 1, -EINVAL},
        {"x", long_text, 4096, 0, 0, 0, 1, 1, -EINVAL},
        {"x", "h", 0, 0, 0, 0, 1, 1, -EINVAL},
        {"x", "h", 2048, 0, 0, 0, 1, 1, -EINVAL},
        {"x", "h", 12288, 0, 0, 0, 1, 1, -EINVAL},
        {"x", "h", 128 << 20, 0, 0, 0, 1, 1, -EINVAL},
        {"x", "h", 4096, 65, 0, 0, 1, 1, -EINVAL},
        {"x", "h", 4096, 0, (1 << 20) + 1, 0, 1, 1, -EINVAL},
        {"x", "h", 4096, 0, 0, 1 << 24, 1, 1, -EINVAL},
        {"x", "h", 4096, 0, 0, 0, 0, 1, -EINVAL},
        {"x", "h", 4096, 0, 0, 0, 1, 0xffff, -EINVAL},
    };
    struct vireo_config *c;
    struct vr_error err;
    char name[8];
    (void)state;
    assert_int_equal(vireo_config_create(&c, NULL), 0);
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        const struct vireo_function_class cls = {
            .size = sizeof(cls),
            .name = bad[i].name,
            .help = bad[i].help,
            .window_bytes = bad[i].window,
            .messages = bad[i].messages,
            .state_bytes = bad[i].state_bytes,
            .pci_class = bad[i].pci_class,
            .version = bad[i].version,
            .vendor = bad[i].vendor,
        };
        err = (struct vr_error){0};
        assert_int_equal(vireo_config_device_class(c, &cls, NULL, &err), bad[i].code);
        assert_int_equal(err.code, bad[i].code);
        assert_non_null(strstr(err.msg, "device class"));
    }
    struct vireo_function_class cls = gear_class;
    cls.size = 8;
    assert_int_equal(vireo_config_device_class(c, &cls, NULL, NULL), -EINVAL);
    cls = gear_class;
    assert_int_equal(vireo_config_set(c, "device", "gear", &err), -EINVAL);
    assert_non_null(strstr(err.msg, "no device class 'gear'"));
    cls.name = name;
    for (unsigned i = 0; i < 16; i++) {
        snprintf(name, sizeof(name), "gear%u", i);
        assert_int_equal(vireo_config_device_class(c, &cls, NULL, NULL), 0);
        assert_int_equal(vireo_config_device_class(c, &cls, NULL, NULL), -EEXIST);
    }
    snprintf(name, sizeof(name), "gearx"); /* texts were copied */
    assert_int_equal(vireo_config_device_class(c, &cls, NULL, NULL), -ENOSPC);
    assert_int_equal(vireo_config_set(c, "device", "gear7,id=a,options=b", &err), 0);
    vireo_config_destroy(c);
}

/* --- In a machine --- */

struct look {
    const char *id, *cls;
    unsigned found;
};

static void look_at(void *opaque, const struct vireo_device *device)
{
    struct look *l = opaque;
    l->found += strcmp(device->id, l->id) == 0 && strcmp(device->cls, l->cls) == 0;
}

static unsigned there(struct vireo_vm *vm, const char *id)
{
    struct look l = {.id = id, .cls = "gear"};
    vireo_vm_devices(vm, look_at, &l);
    return l.found;
}

static struct vireo_config *config_with(const struct place *p, struct gears *all)
{
    struct vireo_config *c = config_for(p->path);
    assert_int_equal(vireo_config_device_class(c, &gear_class, all, NULL), 0);
    return c;
}

static void it_lives_in_machines(void **state)
{
    struct place p;
    struct gears all = {.made = 0};
    struct guest g;
    struct vr_error err = {0};
    char id[32];
    (void)state;
    place_program(&p, idle, VR_COUNT(idle));
    struct vireo_config *c = config_with(&p, &all);
    assert_int_equal(vireo_config_set(c, "device", "gear,id=one,options=a b", &err), 0);
    assert_int_equal(vireo_config_set(c, "device", "pci-root-port,id=rp", &err), 0);
    assert_int_equal(vireo_config_set(c, "device", "gear,id=two,bus=rp", &err), 0);
    guest_start(&g, c);
    vireo_config_destroy(c); /* the machine has the class now */
    guest_expect(&g, "!");
    assert_int_equal(all.made, 2);
    assert_true(there(g.vm, "one") && there(g.vm, "two"));
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(vireo_vm_device_add(g.vm, "gear,id=hot,options=x", id, 32, &err), 0);
        assert_string_equal(id, "hot");
        assert_string_equal(all.options, "x");
        assert_true(there(g.vm, "hot"));
        assert_int_equal(vireo_vm_device_del(g.vm, "hot", VIREO_DEL_FORCE, 0, &err), 0);
        assert_int_equal(all.gone, i + 1);
    }
    assert_int_equal(vireo_vm_device_add(g.vm, "gear,speed=3", id, 32, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "unknown option 'speed'"));
    all.refuse = -ENODEV;
    assert_int_equal(vireo_vm_device_add(g.vm, "gear,id=hot", id, 32, &err), -ENODEV);
    assert_non_null(strstr(err.msg, "no cogs"));
    assert_false(there(g.vm, "hot"));
    all.refuse = 0;
    unsigned before = all.resets;
    vireo_vm_reset(g.vm);
    guest_expect(&g, "!!");
    assert_int_equal(all.resets, before + 2);
    guest_end(&g);
    assert_int_equal(all.made, all.gone);
    place_remove(&p);
}

/* What a machine of the snapshot's settings needs is the class. */
static void snapshots_name_the_class(void **state)
{
    struct place p;
    struct gears all = {.made = 0};
    struct guest g;
    struct vireo_config *c;
    struct vireo_vm *vm;
    struct vr_error err = {0};
    char path[96];
    (void)state;
    place_program(&p, idle, VR_COUNT(idle));
    c = config_with(&p, &all);
    assert_int_equal(vireo_config_set(c, "device", "gear,id=one", &err), 0);
    guest_start(&g, c);
    vireo_config_destroy(c);
    guest_expect(&g, "!");
    assert_int_equal(vireo_vm_device_add(g.vm, "gear,id=hot", NULL, 0, &err), 0);
    struct gear *s = vireo_function_state(all.last);
    vireo_function_lock(all.last);
    s->word = 4711;
    memset(s->bytes, 0xa5, sizeof(s->bytes));
    vireo_function_unlock(all.last);
    snprintf(path, sizeof(path), "%s/snap", p.dir);
    const struct vireo_snapshot_how how = {.path = path};
    assert_int_equal(vireo_vm_snapshot_save(g.vm, &how, &err), 0);
    guest_end(&g);
    assert_int_equal(all.made, all.gone);
    assert_int_equal(vireo_snapshot_config(path, &c, &err), 0);
    assert_int_equal(vireo_vm_create(c, &vm, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "no device class 'gear'"));
    assert_int_equal(vireo_config_device_class(c, &gear_class, &all, &err), 0);
    assert_int_equal(vireo_vm_create(c, &vm, &err), 0);
    vireo_config_destroy(c);
    assert_int_equal(vireo_vm_start(vm, &err), 0);
    assert_true(there(vm, "one") && there(vm, "hot"));
    s = vireo_function_state(all.last);
    vireo_function_lock(all.last);
    assert_int_equal(s->word, 4711);
    assert_int_equal(s->bytes[sizeof(s->bytes) - 1], 0xa5);
    vireo_function_unlock(all.last);
    vireo_vm_destroy(vm);
    assert_int_equal(all.made, all.gone);
    unlink(path);
    place_remove(&p);
}

/* Both sides know the class, as both have the program. */
static void it_moves_with_its_machine(void **state)
{
    struct place p;
    struct gears here = {.made = 0}, away = {.made = 0};
    struct guest g;
    struct vireo_config *c, *changes;
    struct vr_error err = {0};
    char uri[96];
    (void)state;
    place_program(&p, idle, VR_COUNT(idle));
    c = config_with(&p, &here);
    assert_int_equal(vireo_config_set(c, "device", "gear,id=one", &err), 0);
    guest_start(&g, c);
    vireo_config_destroy(c);
    guest_expect(&g, "!");
    vireo_function_lock(here.last);
    ((struct gear *)vireo_function_state(here.last))->word = 4711;
    vireo_function_unlock(here.last);
    snprintf(uri, sizeof(uri), "unix:%s/socket", p.dir);
    assert_int_equal(vireo_config_create(&changes, &err), 0);
    assert_int_equal(vireo_config_device_class(changes, &gear_class, &away, &err), 0);
    struct receiver rx = {.uri = uri, .changes = changes};
    if (receiver_begin(&rx)) {
        assert_int_equal(vireo_vm_migrate(g.vm, uri, NULL, &err), 0);
    }
    struct vireo_vm *came = receiver_end(&rx);
    vireo_config_destroy(changes);
    assert_true(there(came, "one"));
    vireo_function_lock(away.last);
    assert_int_equal(((struct gear *)vireo_function_state(away.last))->word, 4711);
    vireo_function_unlock(away.last);
    vireo_vm_destroy(came);
    guest_end(&g);
    assert_true(here.made == 1 && here.gone == 1 && away.made == 1 && away.gone == 1);
    place_remove(&p);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_init, bench_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(the_guest_sees_a_function),
        BENCH_TEST(it_interrupts),
        BENCH_TEST(it_reaches_memory_and_nothing_else),
        BENCH_TEST(its_timer_is_guest_time),
        BENCH_TEST(resets_begin_anew),
        BENCH_TEST(it_is_saved_and_restored),
        BENCH_TEST(row_9_damaged_states_of_own_devices),
        BENCH_TEST(threads_of_the_program_hold_its_lock),
        cmocka_unit_test(bad_classes_are_refused),
        cmocka_unit_test(it_lives_in_machines),
        cmocka_unit_test(snapshots_name_the_class),
        cmocka_unit_test(it_moves_with_its_machine),
    };
    return cmocka_run_group_tests_name("own_device", tests, NULL, NULL);
}

/*
 * Devices that come and go on a machine that runs, by the public interface. The guest is a program
 * that waits; a driver of the test's own plays the part of Linux' pciehp at the slots' registers,
 * well-behaved and otherwise.
 *
 * Specification: PCI Express Base 6.0, 6.7 (slots).
 */
#include "unit/vm_guest.h"

#include "control/vm.h"
#include "core/machine.h"
#include "core/snap.h"
#include "dev/pci/caps.h"
#include "dev/pci/host.h"
#include "vireo/host_thread.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

enum { PORT = 31 << 3, SLOTS = 8 };
enum { SECONDARY = 0x18, MEM_BASE = 0x20 };
/* Slot control: interrupts wanted, and the power indicator and the power itself. */
enum { SLOT_ON = 0x0139, SLOT_BLINKS = 0x0239, SLOT_OFF = 0x0739 };
enum { STATUS_BUTTON = 1, STATUS_PRESENCE = 8, STATUS_PRESENT = 0x40 };
#define MEM32 UINT64_C(0x40000000)

struct world {
    struct place place;
    char disk[64];
    struct guest g;
    struct vr_dev *host;
    struct vr_mutex lock;
    struct vr_cond heard;
    unsigned deleted, errors, added;
};

/* --- What the guest does --- */

static uint64_t cfg_off(unsigned bus, unsigned devfn, unsigned reg)
{
    return (uint64_t)bus << 20 | devfn << 12 | reg;
}

static uint32_t cfg(struct world *w, unsigned bus, unsigned devfn, unsigned reg, unsigned width)
{
    uint64_t val = vr_dev_read(w->host, VR_PCI_HOST_ECAM, cfg_off(bus, devfn, reg), width);
    return (uint32_t)(val & (UINT32_MAX >> (32 - 8 * width)));
}

static void cfg_set(struct world *w, unsigned bus, unsigned devfn, unsigned reg, unsigned width,
                    uint32_t val)
{
    vr_dev_write(w->host, VR_PCI_HOST_ECAM, cfg_off(bus, devfn, reg), width, val);
}

static unsigned express(struct world *w, unsigned bus, unsigned devfn)
{
    unsigned at = cfg(w, bus, devfn, VR_PCI_CAP_PTR, 1);
    while (at && cfg(w, bus, devfn, at, 1) != 0x10) {
        at = cfg(w, bus, devfn, at + 1, 1);
    }
    assert_int_not_equal(at, 0);
    return at;
}

static void slot_control(struct world *w, unsigned slot, uint32_t val)
{
    cfg_set(w, 0, PORT + slot, express(w, 0, PORT + slot) + VR_PCI_EXP_SLOTCTL, 2, val);
}

/* Takes the events, as an interrupt handler does. */
static uint32_t slot_events(struct world *w, unsigned slot)
{
    unsigned at = express(w, 0, PORT + slot) + VR_PCI_EXP_SLOTSTA;
    uint32_t sta = cfg(w, 0, PORT + slot, at, 2);
    cfg_set(w, 0, PORT + slot, at, 2, sta & 0x11f);
    return sta;
}

/* Slot @slot's bus is number slot + 1, and has two MiB of memory. */
static void open_slot(struct world *w, unsigned slot)
{
    uint32_t mib = (uint32_t)(MEM32 >> 16) + slot * 0x20;
    cfg_set(w, 0, PORT + slot, SECONDARY, 1, 0);
    cfg_set(w, 0, PORT + slot, SECONDARY + 1, 1, slot + 1);
    cfg_set(w, 0, PORT + slot, SECONDARY + 2, 1, slot + 1);
    cfg_set(w, 0, PORT + slot, MEM_BASE, 4, mib | (mib + 0x10) << 16);
    cfg_set(w, 0, PORT + slot, VR_PCI_COMMAND, 2, 7);
}

/* Power on, base addresses, enabled; true: there is somebody. */
static bool take_in(struct world *w, unsigned slot)
{
    slot_control(w, slot, SLOT_ON);
    uint32_t id = cfg(w, slot + 1, 0, 0, 4);
    if (id == UINT32_MAX) {
        return false;
    }
    uint64_t at = MEM32 + (uint64_t)slot * 0x200000;
    for (unsigned bar = 0; bar < 6; bar++) {
        unsigned reg = VR_PCI_BAR + 4 * bar;
        cfg_set(w, slot + 1, 0, reg, 4, UINT32_MAX);
        uint32_t size = cfg(w, slot + 1, 0, reg, 4);
        if (size && !(size & 1)) {
            cfg_set(w, slot + 1, 0, reg, 4, (uint32_t)at + bar * 0x10000);
            bar += (size & 6) == 4;
            cfg_set(w, slot + 1, 0, VR_PCI_BAR + 4 * bar, 4,
                    (size & 6) == 4 ? 0 : at + bar * 0x10000);
        }
    }
    cfg_set(w, slot + 1, 0, VR_PCI_COMMAND, 2, 6);
    return true;
}

/* --- The world --- */

static void on_event(void *opaque, const struct vireo_event *event)
{
    struct world *w = opaque;
    vr_mutex_lock(&w->lock);
    w->deleted += strcmp(event->name, "DEVICE_DELETED") == 0;
    w->errors += strcmp(event->name, "DEVICE_UNPLUG_GUEST_ERROR") == 0;
    w->added += strcmp(event->name, "x-vireo-DEVICE_ADDED") == 0;
    vr_cond_broadcast(&w->heard);
    vr_mutex_unlock(&w->lock);
}

/* Wait until *count, one of the world's, is @value. */
static void await(struct world *w, const unsigned *count, unsigned value)
{
    vr_mutex_lock(&w->lock);
    while (*count < value) {
        vr_cond_wait(&w->heard, &w->lock);
    }
    assert_int_equal(*count, value);
    vr_mutex_unlock(&w->lock);
}

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    place_program(&w->place, idle, VR_COUNT(idle));
    snprintf(w->disk, sizeof(w->disk), "%s/disk", w->place.dir);
    FILE *f = fopen(w->disk, "wb");
    assert_non_null(f);
    assert_int_equal(ftruncate(fileno(f), 1 << 20), 0);
    assert_int_equal(fclose(f), 0);
    struct vireo_config *config = config_for(w->place.path);
    vr_mutex_init(&w->lock);
    vr_cond_init(&w->heard);
    guest_start(&w->g, config);
    vireo_config_destroy(config);
    guest_expect(&w->g, "!");
    vireo_vm_on_event(w->g.vm, on_event, w);
    w->host = vr_machine_find_dev(vr_vm_machine(w->g.vm), "pci");
    for (unsigned i = 0; i < SLOTS; i++) {
        open_slot(w, i);
    }
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    guest_end(&w->g);
    vr_cond_fini(&w->heard);
    vr_mutex_fini(&w->lock);
    unlink(w->disk);
    place_remove(&w->place);
    free(w);
    return 0;
}

static void add(struct world *w, const char *device, const char *expected_id)
{
    struct vr_error err;
    char id[32];
    if (vireo_vm_device_add(w->g.vm, device, id, sizeof(id), &err) < 0) {
        fail_msg("%s: %s", device, err.msg);
    }
    assert_string_equal(id, expected_id);
}

static void refused(struct world *w, const char *device, int code, const char *says)
{
    struct vr_error err = {0};
    int r = vireo_vm_device_add(w->g.vm, device, NULL, 0, &err);
    if (r != code || !strstr(err.msg, says)) {
        fail_msg("%s: %d, '%s' and not %d, '%s'", device, r, err.msg, code, says);
    }
}

struct look {
    const char *id;
    bool there;
    struct vireo_device row;
    char bus[32];
};

static void look_at(void *opaque, const struct vireo_device *device)
{
    struct look *l = opaque;
    if (strcmp(device->id, l->id) == 0) {
        l->there = true;
        l->row = *device;
        snprintf(l->bus, sizeof(l->bus), "%s", device->bus);
    }
}

static struct look look(struct world *w, const char *id)
{
    struct look l = {.id = id};
    vireo_vm_devices(w->g.vm, look_at, &l);
    return l;
}

static unsigned open_files(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n;
}

/* --- Tests --- */

static void every_class_comes_and_goes(void **state)
{
    struct world *w = *state;
    struct vr_error err;
    char disk[160], share[160], console[160];
    snprintf(disk, sizeof(disk), "virtio-blk-pci,id=x,path=%s", w->disk);
    snprintf(share, sizeof(share), "virtio-fs-pci,id=x,path=%s,tag=t", w->place.dir);
    snprintf(console, sizeof(console), "virtio-console-pci,id=x,path=file:%s/out", w->place.dir);
    const char *const devices[] = {disk,
                                   share,
                                   console,
                                   "virtio-net-pci,id=x",
                                   "virtio-scsi-pci,id=x",
                                   "virtio-rng-pci,id=x",
                                   "virtio-balloon-pci,id=x",
                                   "virtio-input-pci,id=x",
                                   "i6300esb,id=x"};
    unsigned files = 0, gone = 0;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < VR_COUNT(devices); i++) {
            (void)slot_events(w, 0);
            add(w, devices[i], "x");
            assert_int_equal(slot_events(w, 0) & 0x49,
                             STATUS_BUTTON | STATUS_PRESENCE | STATUS_PRESENT);
            assert_true(take_in(w, 0));
            struct look l = look(w, "x");
            assert_true(l.there && l.row.removable && l.row.state == VIREO_DEVICE_IN_USE);
            assert_string_equal(l.bus, "port0");
            (void)slot_events(w, 0);
            assert_int_equal(vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_ASK, 0, &err), 0);
            assert_int_equal(slot_events(w, 0) & STATUS_BUTTON, STATUS_BUTTON);
            assert_int_equal(look(w, "x").row.state, VIREO_DEVICE_LEAVING);
            assert_int_equal(vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_ASK, 0, &err), -EBUSY);
            slot_control(w, 0, SLOT_BLINKS);
            assert_true(look(w, "x").there);
            slot_control(w, 0, SLOT_OFF);
            await(w, &w->deleted, ++gone);
            assert_false(look(w, "x").there);
            assert_int_equal(cfg(w, 1, 0, 0, 4), UINT32_MAX);
            assert_int_equal(slot_events(w, 0) & (STATUS_PRESENCE | STATUS_PRESENT),
                             STATUS_PRESENCE);
        }
        files = round == 0 ? open_files() : files;
        assert_int_equal(open_files(), files);
    }
    assert_int_equal(w->added, gone);
    assert_int_equal(w->errors, 0);
    char out[80];
    snprintf(out, sizeof(out), "%s/out", w->place.dir);
    unlink(out);
}

/* THREATS: a guest that never consents, or refuses, or lets go at odd times. */
static void row_19_guests_that_do_not_let_go(void **state)
{
    struct world *w = *state;
    struct vr_error err;
    add(w, "virtio-rng-pci,id=x", "x");
    assert_true(take_in(w, 0));
    /* Never answers: told, and the device goes on; a late yes counts. */
    assert_int_equal(vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_ASK, 1000000, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.msg, "in time"));
    await(w, &w->errors, 1);
    assert_true(look(w, "x").there);
    slot_control(w, 0, SLOT_OFF);
    await(w, &w->deleted, 1);
    /* Refuses. */
    add(w, "virtio-rng-pci,id=x", "x");
    assert_true(take_in(w, 0));
    assert_int_equal(vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_ASK, 0, &err), 0);
    slot_control(w, 0, SLOT_BLINKS);
    slot_control(w, 0, SLOT_ON);
    await(w, &w->errors, 2);
    assert_int_equal(look(w, "x").row.state, VIREO_DEVICE_IN_USE);
    /* Takes the power away unasked: it stays, and asking then is asking nobody. */
    slot_control(w, 0, SLOT_OFF);
    assert_int_equal(look(w, "x").row.state, VIREO_DEVICE_DETACHED);
    assert_true(take_in(w, 0));
    slot_control(w, 0, SLOT_OFF);
    assert_int_equal(vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_ASK, LONG_S, &err), 0);
    await(w, &w->deleted, 2);
    /* Is asked, and not waited for: by force. */
    add(w, "virtio-rng-pci,id=x", "x");
    assert_true(take_in(w, 0));
    assert_int_equal(vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_ASK, 0, &err), 0);
    assert_int_equal(vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_FORCE, 0, &err), 0);
    await(w, &w->deleted, 3);
    slot_control(w, 0, SLOT_OFF); /* what it says of a device that has gone is nothing */
    assert_int_equal(vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_FORCE, 0, &err), -ENODEV);
    /* A reset is a yes. */
    add(w, "virtio-rng-pci,id=x", "x");
    assert_int_equal(vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_ASK, 0, &err), 0);
    vireo_vm_reset(w->g.vm);
    await(w, &w->deleted, 4);
    await(w, &w->errors, 2);
}

/* What a hostile guest's second CPU does all the time. */
struct noise {
    struct world *w;
    atomic_bool stop;
    uint64_t done;
};

static uint32_t noise_next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void noise_main(void *arg)
{
    static const uint32_t slot[] = {SLOT_ON, SLOT_BLINKS, SLOT_OFF, 0, 0xffff};
    struct noise *n = arg;
    struct world *w = n->w;
    uint64_t seed = 5;
    while (!atomic_load(&n->stop)) {
        uint32_t r = noise_next(&seed);
        unsigned reg = r >> 8 & 0x7c;
        switch (r & 7) {
        case 0:
        case 1:
            slot_control(w, 0, slot[(r >> 8) % VR_COUNT(slot)]);
            break;
        case 2:
            (void)slot_events(w, 0);
            break;
        case 3: /* windows over the ports' own, over RAM, over each other */
            cfg_set(w, 1, 0, VR_PCI_BAR + (r >> 8) % 24 / 4 * 4, 4, noise_next(&seed));
            cfg_set(w, 1, 0, VR_PCI_COMMAND, 2, 7);
            break;
        case 4:
            cfg_set(w, 0, PORT, MEM_BASE, 4, r & 0x100 ? 0xfff00000 : 0x40104000);
            break;
        case 5:
            cfg_set(w, 0, PORT, 0x3e, 2, r & 0x100 ? 0x40 : 0); /* reset of the bus behind */
            break;
        case 6:
            cfg_set(w, 1, 0, reg, 4, noise_next(&seed));
            break;
        default:
            (void)cfg(w, 1, 0, reg, 4);
            cfg_set(w, 0, PORT, SECONDARY, 4, r & 0x100 ? 0x00010100 : noise_next(&seed));
            break;
        }
        if ((r & 0xf00) == 0) {
            open_slot(w, 0);
        }
        n->done++;
    }
}

static void row_19_slots_are_played_with_meanwhile(void **state)
{
    struct world *w = *state;
    struct noise n = {.w = w};
    struct vireo_thread *thread;
    struct vr_error err;
    char disk[160];
    snprintf(disk, sizeof(disk), "virtio-blk-pci,id=x,bus=port0,path=%s", w->disk);
    const char *const devices[] = {disk, "virtio-net-pci,id=x,bus=port0",
                                   "virtio-scsi-pci,id=x,bus=port0", "i6300esb,id=x,bus=port0"};
    assert_int_equal(vireo_thread_create("noise", noise_main, &n, &thread, &err), 0);
    for (unsigned i = 0; i < 200; i++) {
        add(w, devices[i % VR_COUNT(devices)], "x");
        if (i % 3 == 0) {
            /* It may have said yes already, or have refused. */
            int r = vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_ASK, 2000000, &err);
            assert_true(r == 0 || r == -ETIMEDOUT || r == -EPERM);
        }
        int r = vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_FORCE, 0, &err);
        assert_true(r == 0 || r == -ENODEV);
        await(w, &w->deleted, i + 1);
    }
    atomic_store(&n.stop, true);
    vireo_thread_join(thread);
    assert_true(n.done > 1000);
    open_slot(w, 0);
    cfg_set(w, 0, PORT, 0x3e, 2, 0);
    add(w, "virtio-rng-pci,id=x", "x");
    assert_true(take_in(w, 0)); /* it works as ever */
}

/* --- A disk at work --- */

enum { RINGS = 0x800000, DATA = 0x900000, REQUESTS = 40, DATA_LEN = 16384 };
enum {
    C_FEATURES = 8,
    C_STATUS = 0x14,
    C_SELECT = 0x16,
    C_SIZE = 0x18,
    C_ENABLE = 0x1c,
    C_DESC = 0x20,
    NOTIFY = 0x3000
};

static void poke(struct world *w, struct vr_view_cache *cache, uint64_t gpa, unsigned width,
                 uint64_t val)
{
    struct vr_space *mem = vr_machine_mem(vr_vm_machine(w->g.vm));
    assert_int_equal(vr_space_write(mem, cache, gpa, width, val), 0);
}

static uint64_t peek(struct world *w, struct vr_view_cache *cache, uint64_t gpa, unsigned width)
{
    struct vr_space *mem = vr_machine_mem(vr_vm_machine(w->g.vm));
    uint64_t val;
    assert_int_equal(vr_space_read(mem, cache, gpa, width, &val), 0);
    return val;
}

/* The driver takes over the device in @slot and gives it queue @queue; its registers. */
static uint64_t drive(struct world *w, struct vr_view_cache *cache, unsigned slot, unsigned queue)
{
    uint64_t bar = MEM32 + slot * UINT64_C(0x200000) + 0x40000, rings = RAM + RINGS;
    for (unsigned status = 1; status <= 3; status = status * 2 + 1) {
        poke(w, cache, bar + C_STATUS, 1, status);
    }
    poke(w, cache, bar + C_FEATURES, 4, 1);
    poke(w, cache, bar + C_FEATURES + 4, 4, 1); /* VERSION_1 */
    poke(w, cache, bar + C_STATUS, 1, 11);
    poke(w, cache, bar + C_SELECT, 2, queue);
    poke(w, cache, bar + C_SIZE, 2, 128);
    for (unsigned i = 0; i < 3; i++) { /* descriptors, available, used */
        poke(w, cache, bar + C_DESC + 8 * i, 4, (uint32_t)(rings + i * 0x1000));
        poke(w, cache, bar + C_DESC + 8 * i + 4, 4, 0);
    }
    poke(w, cache, bar + C_ENABLE, 2, 1);
    poke(w, cache, bar + C_STATUS, 1, 15);
    return bar;
}

/* 40 reads of 16 KiB, all at once (VIRTIO 1.3, 2.7, 4.1.4.3 and 5.2.6). */
static void disk_reads(struct world *w, struct vr_view_cache *cache, unsigned slot)
{
    uint64_t bar = drive(w, cache, slot, 0), rings = RAM + RINGS;
    for (unsigned i = 0; i < REQUESTS; i++) {
        uint64_t head = RAM + DATA + i * UINT64_C(0x8000), desc = rings + i * 48;
        const struct {
            uint64_t gpa;
            uint32_t len, flags;
        } piece[] = {{head, 16, 1}, {head + 0x1000, DATA_LEN, 3}, {head + 16, 1, 2}};
        for (unsigned k = 0; k < 3; k++) {
            poke(w, cache, desc + 16 * k, 8, piece[k].gpa);
            poke(w, cache, desc + 16 * k + 8, 4, piece[k].len);
            poke(w, cache, desc + 16 * k + 12, 4, piece[k].flags | (3 * i + k + 1) << 16);
        }
        poke(w, cache, head, 8, 0); /* a read, */
        poke(w, cache, head + 8, 8, i * 32);
        poke(w, cache, rings + 0x1004 + 2 * i, 2, 3 * i);
    }
    poke(w, cache, rings + 0x1002, 2, REQUESTS);
    poke(w, cache, bar + NOTIFY, 2, 0);
}

/* All that a request writes: its data, its status, and the ring's index. */
enum { CANARY = 0x5a };

static void canary_each(struct world *w, struct vr_view_cache *cache,
                        void (*fn)(struct world *w, struct vr_view_cache *cache, uint64_t gpa))
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        uint64_t head = RAM + DATA + i * UINT64_C(0x8000);
        fn(w, cache, head + 16);
        for (unsigned at = 0; at < DATA_LEN; at += 512) {
            fn(w, cache, head + 0x1000 + at);
        }
    }
    fn(w, cache, RAM + RINGS + 0x2002);
    fn(w, cache, RAM + RINGS + 0x2003);
}

static void canary_put(struct world *w, struct vr_view_cache *cache, uint64_t gpa)
{
    poke(w, cache, gpa, 1, CANARY);
}

static void canary_lives(struct world *w, struct vr_view_cache *cache, uint64_t gpa)
{
    assert_int_equal(peek(w, cache, gpa, 1), CANARY);
}

static void row_8_pulled_out_with_requests_in_flight(void **state)
{
    struct world *w = *state;
    struct vr_error err;
    struct vr_view_cache cache = {0};
    struct vr_space *mem = vr_machine_mem(vr_vm_machine(w->g.vm));
    char disk[160];
    uint64_t was;
    unsigned began = 0;
    snprintf(disk, sizeof(disk), "virtio-blk-pci,id=x,path=%s", w->disk);
    for (unsigned i = 0; i < 100; i++) {
        add(w, disk, "x");
        assert_true(take_in(w, 0));
        if (i > 0) { /* what the one before it had under way had this long to be written */
            canary_each(w, &cache, canary_lives);
        }
        poke(w, &cache, RAM + RINGS + 0x2002, 2, 0);
        disk_reads(w, &cache, 0);
        if (i % 2) { /* with the guest's consent, which takes the power away under them */
            assert_int_equal(vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_ASK, 0, &err), 0);
            slot_control(w, 0, SLOT_OFF);
        } else {
            assert_int_equal(vireo_vm_device_del(w->g.vm, "x", VIREO_DEL_FORCE, 0, &err), 0);
        }
        await(w, &w->deleted, i + 1);
        was = peek(w, &cache, RAM + RINGS + 0x2002, 2);
        began += was < REQUESTS;
        canary_each(w, &cache, canary_put);
    }
    assert_true(began > 0); /* some were in flight */
    vr_view_cache_drop(mem, &cache);
}

/* The function, or the bus that it is on, is reset under requests in flight. When its status reads
 * 0 (VIRTIO 1.3, 2.4.2), nothing of them is written any more. */
static void row_8_function_and_bus_reset_with_requests_in_flight(void **state)
{
    struct world *w = *state;
    struct vr_view_cache cache = {0};
    char disk[160];
    unsigned began = 0;
    snprintf(disk, sizeof(disk), "virtio-blk-pci,id=x,path=%s", w->disk);
    add(w, disk, "x");
    assert_true(take_in(w, 0));
    for (unsigned i = 0; i < 100; i++) {
        poke(w, &cache, RAM + RINGS + 0x2002, 2, 0);
        disk_reads(w, &cache, 0);
        if (i % 2) {
            unsigned devctl = express(w, 1, 0) + VR_PCI_EXP_DEVCTL;
            cfg_set(w, 1, 0, devctl, 2, cfg(w, 1, 0, devctl, 2) | 0x8000);
        } else { /* bridge control */
            cfg_set(w, 0, PORT, 0x3e, 2, 0x40);
            cfg_set(w, 0, PORT, 0x3e, 2, 0);
        }
        began += peek(w, &cache, RAM + RINGS + 0x2002, 2) < REQUESTS;
        assert_true(take_in(w, 0));
        while (peek(w, &cache, MEM32 + 0x40000 + C_STATUS, 1) !=
               0) { /* the disk's threads end it */
        }
        canary_each(w, &cache, canary_put);
        assert_true(take_in(w, 0)); /* what is under way has this long to be written */
        canary_each(w, &cache, canary_lives);
    }
    assert_true(began > 0); /* some were in flight */
    vr_view_cache_drop(vr_machine_mem(vr_vm_machine(w->g.vm)), &cache);
}

/* The guest asks target 0 of the controller in @slot for its serial (SPC-4, 7.8.16; VIRTIO 1.3,
 * 5.6.6). */
static void unit_serial(struct world *w, unsigned slot, char *ret_serial, size_t size)
{
    enum { QUEUE = 2, HEAD_LEN = 51, ANSWER_LEN = 108 + 64 };
    static const uint8_t head[HEAD_LEN] = {1, 0, 0x40, 0, [19] = 0x12, 1, 0x80, 0, 64};
    struct vr_view_cache cache = {0};
    uint64_t bar = drive(w, &cache, slot, QUEUE), rings = RAM + RINGS, in = RAM + DATA + 0x1000;
    for (unsigned i = 0; i < HEAD_LEN; i++) {
        poke(w, &cache, RAM + DATA + i, 1, head[i]);
    }
    poke(w, &cache, rings, 8, RAM + DATA);
    poke(w, &cache, rings + 8, 8, HEAD_LEN | UINT64_C(1) << 32 | UINT64_C(1) << 48);
    poke(w, &cache, rings + 16, 8, in);
    poke(w, &cache, rings + 24, 8, ANSWER_LEN | UINT64_C(2) << 32);
    poke(w, &cache, rings + 0x1004, 2, 0);
    poke(w, &cache, rings + 0x2002, 2, 0);
    poke(w, &cache, rings + 0x1002, 2, 1);
    poke(w, &cache, bar + NOTIFY + 4 * QUEUE, 2, QUEUE);
    while (peek(w, &cache, rings + 0x2002, 2) == 0) { /* the disk's thread may do it */
    }
    assert_int_equal(peek(w, &cache, in + 10, 2), 0); /* GOOD, OK */
    size_t len = (size_t)peek(w, &cache, in + 108 + 3, 1);
    assert_true(len < size);
    for (size_t i = 0; i < len; i++) {
        ret_serial[i] = (char)peek(w, &cache, in + 108 + 4 + i, 1);
    }
    ret_serial[len] = '\0';
    vr_view_cache_drop(vr_machine_mem(vr_vm_machine(w->g.vm)), &cache);
}

static void scsi_units_come_and_go(void **state)
{
    struct world *w = *state;
    struct vr_error err;
    char unit[160], serial[64];
    refused(w, "scsi-cd", -ENODEV, "virtio-scsi-pci first");
    add(w, "virtio-scsi-pci,id=ctrl", "ctrl");
    snprintf(unit, sizeof(unit), "scsi-hd,id=u,bus=ctrl,path=%s,serial=S", w->disk);
    for (unsigned i = 0; i < 10; i++) {
        add(w, unit, "u");
        if (i == 0) {
            assert_true(take_in(w, 0));
            unit_serial(w, 0, serial, sizeof(serial));
            assert_string_equal(serial, "S");
        }
        refused(w, "scsi-cd,bus=ctrl,target=0,id=v", -EEXIST, "target 0");
        add(w, "scsi-cd,bus=ctrl,id=v", "v");
        assert_string_equal(look(w, "v").bus, "ctrl");
        assert_int_equal(vireo_vm_device_del(w->g.vm, "u", VIREO_DEL_ASK, LONG_S, &err), 0);
        assert_int_equal(vireo_vm_device_del(w->g.vm, "v", VIREO_DEL_ASK, LONG_S, &err), 0);
    }
    add(w, unit, "u"); /* goes with its controller */
    assert_int_equal(vireo_vm_device_del(w->g.vm, "ctrl", VIREO_DEL_FORCE, 0, &err), 0);
    assert_false(look(w, "u").there || look(w, "ctrl").there);
    add(w, "virtio-scsi-pci,id=ctrl", "ctrl");
    add(w, unit, "u");
}

static void what_cannot_be_is_refused(void **state)
{
    struct world *w = *state;
    struct vr_error err;
    char id[32], disk[160], again[160];
    snprintf(disk, sizeof(disk), "virtio-blk-pci,path=%s", w->disk);
    snprintf(again, sizeof(again), "virtio-blk-pci,path=%s,id=b", w->disk);
    refused(w, "virtio-blk-pci", -EINVAL, "path=");
    refused(w, "virtio-blk-pci,path=/nowhere/x", -ENOENT, "/nowhere/x");
    refused(w, "rv64-riscv-cpu", -ENOTSUP, "from the start");
    refused(w, "virtio-rgn-pci", -EINVAL, "did you mean 'virtio-rng-pci'?");
    refused(w, "virtio-rng-pci,speed=9", -EINVAL, "unknown option 'speed'");
    refused(w, "virtio-rng-pci,bus=port99", -ENODEV, "no such port");
    refused(w, "virtio-rng-pci,bus=pci", -ENOTSUP, "no slots");
    refused(w, "virtio-rng-pci,id=uart0", -EEXIST, "already");
    refused(w, "virtio-rng-pci,id=a/b", -EINVAL, "expected up to");
    refused(w, "virtio-rng-mmio", -ENOTSUP, "not on PCI");
    refused(w, "pci-root-port", -ENOTSUP, "from the start");
    refused(w, "pci-bridge,bus=port0", -ENOTSUP, "from the start");
    refused(w, "virtio-rng-pci,bus=port0,addr=1", -EINVAL, "device 0 alone");
    refused(w, "virtio-rng-pci,addr=20", -EINVAL, "0 to 1f");
    refused(w, "plic", -EINVAL, "has what it has");
    refused(w, "virtio-net-pci,netdev=none", -ENODEV, "no host end 'none'");
    refused(w, "", -EINVAL, "no device class");
    assert_int_equal(vireo_vm_device_del(w->g.vm, "none", VIREO_DEL_ASK, 0, &err), -ENODEV);
    assert_int_equal(vireo_vm_device_del(w->g.vm, "uart0", VIREO_DEL_ASK, 0, &err), -ENOTSUP);
    assert_int_equal(vireo_vm_device_del(w->g.vm, "uart0", VIREO_DEL_FORCE, 0, &err), -ENOTSUP);
    unsigned files = open_files();
    for (unsigned i = 0; i < SLOTS; i++) {
        assert_int_equal(vireo_vm_device_add(w->g.vm, "virtio-rng-pci", id, sizeof(id), &err), 0);
    }
    refused(w, disk, -ENOSPC, "all 8 slots");
    assert_int_equal(open_files(), files); /* nothing is left behind */
    assert_int_equal(vireo_vm_device_del(w->g.vm, "dev3", VIREO_DEL_FORCE, 0, &err), 0);
    add(w, disk, "dev3");
    refused(w, again, -ENOSPC, "slots");
    assert_int_equal(vireo_vm_device_del(w->g.vm, "dev4", VIREO_DEL_FORCE, 0, &err), 0);
    refused(w, again, -EBUSY, "");
}

/* Settings say what is plugged in, so that a machine made from them takes the saved state. */
static void snapshots_know_what_came(void **state)
{
    struct world *w = *state;
    struct vireo_config *config;
    struct vireo_vm *twin;
    struct vr_snap snap;
    struct vr_error err;
    char disk[160], *text;
    add(w, "virtio-rng-pci", "dev0");
    add(w, "virtio-net-pci,hostname=a", "dev1");
    snprintf(disk, sizeof(disk), "virtio-blk-pci,ro,path=%s", w->disk);
    add(w, disk, "dev2");
    assert_int_equal(vireo_vm_device_del(w->g.vm, "dev0", VIREO_DEL_FORCE, 0, &err), 0);
    add(w, "virtio-scsi-pci,id=ctrl,bus=port5", "ctrl");
    assert_true(take_in(w, 2));
    assert_int_equal(vireo_vm_device_del(w->g.vm, "dev2", VIREO_DEL_ASK, 0, &err), 0);
    vr_snap_init(&snap);
    assert_int_equal(vireo_vm_pause(w->g.vm, &err), 0);
    assert_int_equal(vr_machine_save(vr_vm_machine(w->g.vm), &snap, &err), 0);
    assert_int_equal(vireo_vm_config(w->g.vm, &config, &err), 0);
    assert_int_equal(vireo_config_save(config, &text, &err), 0);
    assert_null(strstr(text, "virtio-rng-pci"));
    assert_non_null(strstr(text, "id=dev1,bus=port1"));
    assert_non_null(strstr(text, "id=dev2,bus=port2"));
    vireo_config_text_free(text);
    struct world v = {.errors = 0};
    assert_int_equal(vireo_vm_create(config, &twin, &err), 0);
    vireo_config_destroy(config);
    snap.pos = 0;
    if (vr_machine_load(vr_vm_machine(twin), &snap, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    vr_snap_fini(&snap);
    v.g.vm = twin;
    v.host = vr_machine_find_dev(vr_vm_machine(twin), "pci");
    vr_mutex_init(&v.lock);
    vr_cond_init(&v.heard);
    vireo_vm_on_event(twin, on_event, &v);
    assert_int_equal(look(&v, "dev2").row.state, VIREO_DEVICE_LEAVING);
    assert_int_equal(cfg(&v, 3, 0, 0, 4), cfg(w, 3, 0, 0, 4));
    /* The guest was asked before it was saved, and answers here. */
    assert_int_equal(vireo_vm_resume(twin, &err), 0);
    slot_control(&v, 2, SLOT_OFF);
    await(&v, &v.deleted, 1);
    assert_false(look(&v, "dev2").there);
    vireo_vm_destroy(twin);
    vr_cond_fini(&v.heard);
    vr_mutex_fini(&v.lock);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(every_class_comes_and_goes),
        WORLD_TEST(row_19_guests_that_do_not_let_go),
        WORLD_TEST(row_19_slots_are_played_with_meanwhile),
        WORLD_TEST(row_8_pulled_out_with_requests_in_flight),
        WORLD_TEST(row_8_function_and_bus_reset_with_requests_in_flight),
        WORLD_TEST(scsi_units_come_and_go),
        WORLD_TEST(what_cannot_be_is_refused),
        WORLD_TEST(snapshots_know_what_came),
    };
    return cmocka_run_group_tests_name("hotplug", tests, NULL, NULL);
}

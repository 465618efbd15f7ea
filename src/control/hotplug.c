/* Devices that come and go while a machine runs. */
#include "control/hotplug.h"
#include "base/alloc.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ASKS = VR_VIRT_DEVICES + 16, ENDS = 32 };

enum ask_state {
    ASK_FREE,
    ASK_OPEN,    /* the guest has been asked */
    ASK_AGREED,  /* it let go, and the device has to be taken out */
    ASK_REFUSED, /* to be told */
    ASK_TAKEN,   /* the thread does it */
    ASK_DONE,    /* with a result that somebody waits for */
};

/* A device that the guest shall let go. */
struct hotplug_ask {
    enum ask_state state;
    char id[VR_VIRT_ID_LEN];
    uint64_t until_ns; /* guest time */
    bool waited;       /* for the result; else it is free when it is done */
    int result;
};

/* A host end that came before its device: how settings say it. */
struct hotplug_end {
    char name[VR_VIRT_ID_LEN];
    char *text; /* NULL: free */
};

struct vr_hotplug {
    struct vireo_vm *vm;
    struct vr_mutex change; /* one device comes or goes at a time; before the machine's */
    struct hotplug_end end[ENDS];

    struct vr_mutex lock; /* of what follows; nothing is taken under it */
    struct vr_cond news;  /* for the thread */
    struct vr_cond done;  /* for who waits */
    struct hotplug_ask ask[ASKS];
    struct vireo_thread *thread; /* from the first use on */
    bool dying;
};

void vr_hotplug_hold(struct vr_hotplug *h)
{
    vr_mutex_lock(&h->change);
}

void vr_hotplug_release(struct vr_hotplug *h)
{
    vr_mutex_unlock(&h->change);
}

static void hotplug_tell(struct vr_hotplug *h, const char *name, const char *id)
{
    char path[VR_VIRT_ID_LEN + 24];
    snprintf(path, sizeof(path), "/machine/peripheral/%s", id);
    const struct vr_event event = {.name = name,
                                   .field = {{.key = "device", .type = VR_EVENT_TEXT, .text = id},
                                             {.key = "path", .type = VR_EVENT_TEXT, .text = path}}};
    vr_events_note(h->vm->events, &event);
}

/* ---- Going ---- */

static struct hotplug_ask *ask_find(struct vr_hotplug *h, const char *id)
{
    for (unsigned i = 0; i < ASKS; i++) {
        struct hotplug_ask *a = &h->ask[i];
        if (a->state != ASK_FREE && a->state != ASK_DONE && strcmp(a->id, id) == 0) {
            return a;
        }
    }
    return NULL;
}

static struct hotplug_ask *ask_new(struct vr_hotplug *h, const char *id)
{
    for (unsigned i = 0; i < ASKS; i++) {
        struct hotplug_ask *a = &h->ask[i];
        if (a->state == ASK_FREE) {
            *a = (struct hotplug_ask){.state = ASK_OPEN, .until_ns = UINT64_MAX};
            snprintf(a->id, sizeof(a->id), "%s", id);
            return a;
        }
    }
    return NULL;
}

/* A guest answered; with locks of devices held. One that lets go without being asked by us was
 * asked before this process: its machine comes from a snapshot. */
static void hotplug_answered(void *opaque, const char *id, bool agrees)
{
    struct vr_hotplug *h = opaque;
    vr_mutex_lock(&h->lock);
    struct hotplug_ask *a = ask_find(h, id);
    a = a ? a : ask_new(h, id);
    if (a) {
        a->state = agrees ? ASK_AGREED : ASK_REFUSED;
        vr_cond_signal(&h->news);
    }
    vr_mutex_unlock(&h->lock);
}

/* It has gone: nobody need answer any more, settings are without it. */
static void hotplug_gone(struct vr_hotplug *h, const char *id)
{
    struct vr_error err;
    if (vr_config_device_drop(h->vm->config, id, &err) < 0) {
        vr_log(&h->vm->log, VR_WARN, id, "it has gone, but snapshots expect it: %s", err.msg);
    }
    vr_mutex_lock(&h->lock);
    struct hotplug_ask *a = ask_find(h, id);
    if (a) {
        a->result = 0;
        a->state = a->waited ? ASK_DONE : ASK_FREE;
        vr_cond_broadcast(&h->done);
    }
    vr_mutex_unlock(&h->lock);
    hotplug_tell(h, "DEVICE_DELETED", id);
}

/* What goes with a device: the units of a SCSI controller. */
struct hotplug_units {
    const char *bus;
    char id[VR_VIRT_DEVICES][VR_VIRT_ID_LEN];
    unsigned count;
};

static void hotplug_unit(void *opaque, const struct vireo_device *device)
{
    struct hotplug_units *u = opaque;
    if (strcmp(device->bus, u->bus) == 0 && u->count < VR_VIRT_DEVICES) {
        snprintf(u->id[u->count++], VR_VIRT_ID_LEN, "%s", device->id);
    }
}

/* Take it out, forget it among the settings, tell. */
static int hotplug_remove(struct vr_hotplug *h, const char *id, struct vr_error *err)
{
    struct hotplug_units units = {.bus = id};
    vr_hotplug_hold(h);
    vireo_vm_devices(h->vm, hotplug_unit, &units);
    int r = vr_virt_unplug(h->vm->virt, id, err);
    for (unsigned i = 0; r == 0 && i < units.count; i++) {
        hotplug_gone(h, units.id[i]);
    }
    if (r == 0) {
        hotplug_gone(h, id);
    }
    vr_hotplug_release(h);
    return r;
}

/* With the lock held, which is given up meanwhile. */
static void hotplug_finish(struct vr_hotplug *h, struct hotplug_ask *a, int result)
{
    struct vr_error err;
    char id[VR_VIRT_ID_LEN];
    memcpy(id, a->id, sizeof(id));
    a->state = ASK_TAKEN;
    vr_mutex_unlock(&h->lock);
    if (result == 0) {
        result = hotplug_remove(h, id, &err);
        result = result == -ENODEV ? 0 : result; /* somebody was quicker */
    } else {
        hotplug_tell(h, "DEVICE_UNPLUG_GUEST_ERROR", id);
    }
    vr_mutex_lock(&h->lock);
    if (a->state == ASK_TAKEN) {
        a->result = result;
        a->state = a->waited ? ASK_DONE : ASK_FREE;
        vr_cond_broadcast(&h->done);
    }
}

/* What is due is done; returns how long nothing else is. */
static uint64_t hotplug_turn(struct vr_hotplug *h)
{
    uint64_t now_ns = vr_clock_now(vr_machine_clock(h->vm->machine)), wait_ns = UINT64_MAX;
    for (unsigned i = 0; i < ASKS; i++) {
        struct hotplug_ask *a = &h->ask[i];
        bool late = a->state == ASK_OPEN && a->until_ns <= now_ns;
        if (late || a->state == ASK_AGREED || a->state == ASK_REFUSED) {
            hotplug_finish(h, a, a->state == ASK_AGREED ? 0 : late ? -ETIMEDOUT : -EPERM);
            return 0;
        }
        if (a->state == ASK_OPEN && a->until_ns - now_ns < wait_ns) {
            wait_ns = a->until_ns - now_ns;
        }
    }
    return wait_ns;
}

static void hotplug_main(void *opaque)
{
    struct vr_hotplug *h = opaque;
    vr_mutex_lock(&h->lock);
    while (!h->dying) {
        uint64_t wait_ns = hotplug_turn(h), now_ns = vireo_monotonic_ns();
        if (wait_ns > UINT64_MAX / 2 - now_ns) {
            vr_cond_wait(&h->news, &h->lock);
        } else if (wait_ns) { /* guest time may stand still: then look again as late */
            (void)vr_cond_wait_until(&h->news, &h->lock, now_ns + wait_ns);
        }
    }
    vr_mutex_unlock(&h->lock);
}

static int hotplug_spawn(struct vr_hotplug *h, struct vr_error *err)
{
    vr_mutex_lock(&h->lock);
    int r = h->thread ? 0 : vireo_thread_create("vr-hotplug", hotplug_main, h, &h->thread, err);
    vr_mutex_unlock(&h->lock);
    return r;
}

/* Ask the guest; 1: nobody is there to be asked. */
static int hotplug_ask(struct vr_hotplug *h, const char *id, uint64_t timeout_ns, bool wait,
                       struct hotplug_ask **ret_ask, struct vr_error *err)
{
    uint64_t now_ns = vr_clock_now(vr_machine_clock(h->vm->machine));
    vr_mutex_lock(&h->lock);
    struct hotplug_ask *a = ask_find(h, id) ? NULL : ask_new(h, id);
    bool full = !a && !ask_find(h, id);
    if (a) {
        a->until_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
        a->waited = wait;
        vr_cond_signal(&h->news);
    }
    vr_mutex_unlock(&h->lock);
    if (!a) {
        return full ? vr_err(err, -EAGAIN, "too many devices are leaving at a time")
                    : vr_err(err, -EBUSY,
                             "the guest has been asked to let '%s' go, and has not answered; "
                             "--force takes it out anyway",
                             id);
    }
    int r = vr_virt_unplug_ask(h->vm->virt, id, err);
    if (r != 0) {
        vr_mutex_lock(&h->lock);
        a->state = a->state == ASK_OPEN ? ASK_FREE : a->state;
        a->waited = false;
        vr_mutex_unlock(&h->lock);
    }
    *ret_ask = a;
    return r;
}

static int hotplug_wait(struct vr_hotplug *h, struct hotplug_ask *a, const char *id,
                        struct vr_error *err)
{
    vr_mutex_lock(&h->lock);
    while (a->state != ASK_DONE && !h->dying) {
        vr_cond_wait(&h->done, &h->lock);
    }
    int r = a->state == ASK_DONE ? a->result : -ECANCELED;
    a->state = ASK_FREE;
    vr_mutex_unlock(&h->lock);
    return r == 0            ? 0
           : r == -ETIMEDOUT ? vr_err(err, r,
                                      "the guest has not let '%s' go in time: it may still do so, "
                                      "or has no driver for its slot; --force takes it out",
                                      id)
           : r == -EPERM     ? vr_err(err, r, "the guest refused to let '%s' go", id)
                             : vr_err(err, r, "device '%s' could not be removed", id);
}

int vr_hotplug_ask(struct vr_hotplug *h, const char *id, uint64_t timeout_ns, bool wait,
                   struct vr_error *err)
{
    struct hotplug_ask *ask = NULL;
    int r = hotplug_spawn(h, err);
    r = r < 0 ? r : hotplug_ask(h, id, timeout_ns, wait, &ask, err);
    return r == 1 ? hotplug_remove(h, id, err) : r == 0 && wait ? hotplug_wait(h, ask, id, err) : r;
}

int vireo_vm_device_del(struct vireo_vm *vm, const char *id, enum vireo_del how,
                        uint64_t timeout_ns, struct vr_error *err)
{
    return how == VIREO_DEL_FORCE ? hotplug_remove(vm->hotplug, id, err)
           : timeout_ns == 0      ? vr_hotplug_ask(vm->hotplug, id, VR_HOTPLUG_NS, false, err)
                                  : vr_hotplug_ask(vm->hotplug, id, timeout_ns, true, err);
}

/* ---- Coming ---- */

static const struct hotplug_end *hotplug_end(const struct vr_hotplug *h, const char *name)
{
    for (unsigned i = 0; i < ENDS; i++) {
        if (h->end[i].text && strcmp(h->end[i].name, name) == 0) {
            return &h->end[i];
        }
    }
    return NULL;
}

struct hotplug_find {
    const char *id;
    char bus[VR_VIRT_ID_LEN], cls[48];
    int target;
};

static void hotplug_find(void *opaque, const struct vireo_device *device)
{
    struct hotplug_find *f = opaque;
    if (strcmp(device->id, f->id) == 0) {
        snprintf(f->bus, sizeof(f->bus), "%s", device->bus);
        snprintf(f->cls, sizeof(f->cls), "%s", device->cls);
        if (strncmp(device->cls, "scsi-", 5) == 0) {
            f->target = atoi(device->place);
        }
    }
}

/* The device as a setting, from which it is made again in its place: @text with what was chosen for
 * it, and with what its host end is in place of its name. */
static int hotplug_setting(const struct vr_hotplug *h, const struct vr_config_device *d,
                           const char *text, const struct hotplug_find *at, char **ret_setting,
                           struct vr_error *err)
{
    char more[2 * VR_VIRT_ID_LEN + 40];
    const struct hotplug_end *end = d->end_name ? hotplug_end(h, d->end_name) : NULL;
    char *setting = NULL, *key, *value;
    int r = 0;
    while (r == 0 && vr_opt_piece(&text, &key, &value, err) == 1) {
        bool named = d->end_name && value && strcmp(value, d->end_name) == 0 &&
                     (strcmp(key, "drive") == 0 || strcmp(key, "netdev") == 0 ||
                      strcmp(key, "chardev") == 0);
        if (!named && !(setting && (strcmp(key, "id") == 0 || strcmp(key, "bus") == 0 ||
                                    strcmp(key, "target") == 0))) {
            r = vr_config_join_piece(&setting, key, value, err);
        }
        free(key);
    }
    snprintf(more, sizeof(more), "id=%s,bus=%s", at->id, at->bus);
    r = r < 0 ? r : vr_config_join(&setting, ",", more, err);
    if (r == 0 && at->target >= 0) {
        snprintf(more, sizeof(more), "target=%d", at->target);
        r = vr_config_join(&setting, ",", more, err);
    }
    if (r == 0 && end && *end->text) {
        r = vr_config_join(&setting, ",", end->text, err);
    }
    *ret_setting = setting;
    return r;
}

static int hotplug_note(struct vr_hotplug *h, const struct vr_config_device *d, const char *text,
                        const char *id, struct vr_error *err)
{
    struct hotplug_find at = {.id = id, .target = -1};
    char *setting = NULL;
    vireo_vm_devices(h->vm, hotplug_find, &at);
    int r = hotplug_setting(h, d, text, &at, &setting, err);
    r = r < 0 ? r
              : vr_config_apply(h->vm->config, vr_opt_find(vr_config_opts, "device"), setting, err);
    free(setting);
    if (r == 0) {
        const struct vr_event event = {
            .name = "x-vireo-DEVICE_ADDED",
            .field = {{.key = "device", .type = VR_EVENT_TEXT, .text = id},
                      {.key = "driver", .type = VR_EVENT_TEXT, .text = at.cls},
                      {.key = "bus", .type = VR_EVENT_TEXT, .text = at.bus}}};
        vr_events_note(h->vm->events, &event);
    }
    return r;
}

static int hotplug_add(struct vr_hotplug *h, const struct vr_config_device *d, const char *text,
                       char id[VR_VIRT_ID_LEN], struct vr_error *err)
{
    struct vr_virt_device device;
    struct vr_error why;
    if (h->vm->config->device_count == VR_VIRT_DEVICES) {
        return vr_err(err, -ENOSPC, "at most %d devices", VR_VIRT_DEVICES);
    }
    vr_vm_device(h->vm, d, &device);
    int r = vr_virt_plug(h->vm->virt, &device, id, err);
    if (r == 0 && (r = hotplug_note(h, d, text, id, err)) < 0) {
        if (vr_virt_unplug(h->vm->virt, id, &why) < 0) {
            vr_log(&h->vm->log, VR_WARN, id, "%s", why.msg);
        }
    }
    return r;
}

int vireo_vm_device_add(struct vireo_vm *vm, const char *text, char *ret_id, size_t size,
                        struct vr_error *err)
{
    struct vr_config_device d;
    char id[VR_VIRT_ID_LEN];
    int r = hotplug_spawn(vm->hotplug, err);
    r = r < 0 ? r : vr_config_device_parse(vm->config, text, &d, err);
    if (r < 0) {
        return r;
    }
    vr_hotplug_hold(vm->hotplug);
    r = hotplug_add(vm->hotplug, &d, text, id, err);
    vr_hotplug_release(vm->hotplug);
    vr_config_device_fini(&d);
    if (r == 0 && ret_id) {
        snprintf(ret_id, size, "%s", id);
    }
    return r;
}

/* ---- Host ends by name ---- */

static int hotplug_end_opts(struct vr_hotplug *h, enum vr_virt_end_kind kind, const char *text,
                            struct vr_config_device *d, struct vr_virt_end *ret_end,
                            struct vr_error *err)
{
    static const char *const heads[] = {
        [VR_VIRT_END_NONE] = "",
        [VR_VIRT_END_DISK] = "virtio-blk-pci,",
        [VR_VIRT_END_NET] = "virtio-net-pci",
        [VR_VIRT_END_SHARE] = "virtio-fs-pci,",
        [VR_VIRT_END_CHR] = "virtio-console-pci,",
    };
    struct vr_virt_device device;
    char *whole = NULL;
    int r = vr_config_join(&whole, "", heads[kind], err);
    r = r == 0 && *text ? vr_config_join(&whole, kind == VR_VIRT_END_NET ? "," : "", text, err) : r;
    r = r < 0 ? r : vr_config_device_parse(h->vm->config, whole, d, err);
    free(whole);
    if (r == 0) {
        vr_vm_device(h->vm, d, &device);
        *ret_end = device.end;
    }
    return r;
}

int vr_hotplug_end_add(struct vr_hotplug *h, enum vr_virt_end_kind kind, const char *name,
                       const char *text, struct vr_error *err)
{
    struct vr_config_device d;
    struct vr_virt_end end;
    struct hotplug_end *mine = NULL;
    int r = hotplug_end_opts(h, kind, text, &d, &end, err);
    if (r < 0) {
        return r;
    }
    vr_hotplug_hold(h);
    for (unsigned i = 0; i < ENDS && !mine; i++) {
        mine = h->end[i].text ? NULL : &h->end[i];
    }
    char *copy = mine ? strdup(text) : NULL;
    r = !mine   ? vr_err(err, -ENOSPC, "at most %d host ends by name", ENDS)
        : !copy ? vr_err(err, -ENOMEM, "no memory")
                : vr_virt_end_add(h->vm->virt, &end, name, err);
    if (r == 0) {
        snprintf(mine->name, sizeof(mine->name), "%s", name);
        mine->text = copy;
        copy = NULL;
    }
    vr_hotplug_release(h);
    free(copy);
    vr_config_device_fini(&d);
    return r;
}

int vr_hotplug_end_del(struct vr_hotplug *h, enum vr_virt_end_kind kind, const char *name,
                       struct vr_error *err)
{
    vr_hotplug_hold(h);
    int r = vr_virt_end_del(h->vm->virt, kind, name, err);
    for (unsigned i = 0; r == 0 && i < ENDS; i++) {
        if (h->end[i].text && strcmp(h->end[i].name, name) == 0) {
            free(h->end[i].text);
            h->end[i].text = NULL;
        }
    }
    vr_hotplug_release(h);
    return r;
}

/* ---- Looking ---- */

void vireo_vm_devices(struct vireo_vm *vm,
                      void (*fn)(void *opaque, const struct vireo_device *device), void *opaque)
{
    struct vr_virt_row row;
    vr_machine_hold_devs(vm->machine);
    for (unsigned i = 0; vr_virt_row(vm->virt, i, &row); i++) {
        const struct vireo_device device = {.id = row.id,
                                            .cls = row.cls,
                                            .bus = row.bus,
                                            .place = row.place,
                                            .end = row.end,
                                            .state = row.state,
                                            .removable = row.removable};
        fn(opaque, &device);
    }
    vr_machine_release_devs(vm->machine);
}

/* ---- Life ---- */

int vr_hotplug_create(struct vireo_vm *vm, struct vr_hotplug **ret_hotplug, struct vr_error *err)
{
    struct vr_hotplug *h = vr_zalloc(sizeof(*h));
    if (!h) {
        return vr_err(err, -ENOMEM, "no memory for devices that come and go");
    }
    h->vm = vm;
    vr_mutex_init(&h->change);
    vr_mutex_init(&h->lock);
    vr_cond_init(&h->news);
    vr_cond_init(&h->done);
    vr_virt_on_answer(vm->virt, hotplug_answered, h);
    /* What is plugged in from the start may be let go, too. */
    int r = vm->config->device_count ? hotplug_spawn(h, err) : 0;
    if (r < 0) {
        vr_hotplug_destroy(h);
        return r;
    }
    *ret_hotplug = h;
    return 0;
}

void vr_hotplug_destroy(struct vr_hotplug *h)
{
    if (!h) {
        return;
    }
    vr_virt_on_answer(h->vm->virt, NULL, NULL);
    vr_mutex_lock(&h->lock);
    h->dying = true;
    vr_cond_signal(&h->news);
    vr_cond_broadcast(&h->done);
    vr_mutex_unlock(&h->lock);
    vireo_thread_join(h->thread);
    for (unsigned i = 0; i < ENDS; i++) {
        free(h->end[i].text);
    }
    vr_cond_fini(&h->done);
    vr_cond_fini(&h->news);
    vr_mutex_fini(&h->lock);
    vr_mutex_fini(&h->change);
    free(h);
}

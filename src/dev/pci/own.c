/*
 * Device classes that programs bring along (include/vireo/device.h).
 *
 * Each has a class of ours, made when it is registered: fields and windows as those of any PCI
 * function, with what the program keeps (@state_bytes) as one more row of state behind them. BAR 0
 * has its registers, BAR 1 the table of messages if there are some.
 *
 * Specification: PCI Express Base 6.0, chapter 7.
 */
#include "dev/pci/own.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/text.h"
#include "dev/pci/caps.h"
#include "dev/pci/msix.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { OWN_NAME_MAX = 31, OWN_HELP_MAX = 127, OWN_MESSAGES_MAX = 64 };
enum { OWN_WINDOW_MIN = 4096, OWN_WINDOW_MAX = 64 << 20, OWN_STATE_MAX = 1 << 20 };
enum { OWN_BAR_REGS = 0, OWN_BAR_MSIX = 1, OWN_WINDOW_REGS = 1, OWN_WINDOW_MSIX = 2 };

/* What a program knows as one of its devices. */
struct vireo_function {
    struct vr_dev dev;
    char options[128]; /* config */
    struct vr_pci pci; /* state, from here on */
    struct vr_msix msix;
    uint64_t timer_ns;
    void *host; /* host */
    struct vr_timer timer;
    alignas(max_align_t) uint8_t state[];
};
#define OWN(d) ((struct vireo_function *)(void *)(d))

enum { OWN_ROWS = 8 };

struct vr_own_class {
    struct vr_dev_class cls; /* first, so that a device finds the rest */
    struct vireo_function_class given;
    struct vr_pci_class pci;
    struct vr_field fields[OWN_ROWS];
    void *opaque;
    atomic_uint holds;
    char name[OWN_NAME_MAX + 1], help[OWN_HELP_MAX + 1];
};

static const struct vr_own_class *own_of(const struct vr_dev *dev)
{
    return (const struct vr_own_class *)(const void *)dev->cls;
}

/* --- Registers --- */

static bool own_read(struct vr_dev *d, uint64_t off, unsigned width, uint64_t *ret_val)
{
    const struct vireo_function_class *given = &own_of(d)->given;
    if (given->read) {
        *ret_val = given->read(OWN(d), off, width);
        *ret_val &= UINT64_MAX >> (64 - 8 * width);
    }
    return given->read != NULL;
}

static bool own_write(struct vr_dev *d, uint64_t off, unsigned width, uint64_t val)
{
    const struct vireo_function_class *given = &own_of(d)->given;
    if (given->write) {
        given->write(OWN(d), off, width, val);
    }
    return given->write != NULL;
}

static void own_fire(void *arg)
{
    struct vireo_function *f = arg;
    const struct vireo_function_class *given = &own_of(&f->dev)->given;
    f->timer_ns = UINT64_MAX;
    if (given->timer) {
        given->timer(f);
    }
}

/* --- Life --- */

static int own_init(struct vr_dev *d, struct vr_error *err)
{
    struct vireo_function *f = OWN(d);
    const struct vr_own_class *own = own_of(d);
    vr_pci_init(d, &own->pci);
    if (own->given.messages) {
        vr_msix_init(&f->pci, &f->msix, own->given.messages, OWN_BAR_MSIX);
    }
    vr_pci_add_power(&f->pci);
    vr_pci_add_express(&f->pci, VR_PCI_ENDPOINT);
    vr_pci_add_aer(&f->pci, false);
    vr_timer_init(&f->timer, d->env->clock, &d->lock, own_fire, f);
    if (own->given.create) {
        int r = own->given.create(f, own->opaque, &f->host, err);
        if (r < 0) {
            vr_timer_fini(&f->timer);
            return r;
        }
    }
    return 0;
}

static void own_reset(struct vr_dev *d)
{
    vr_timer_cancel(&OWN(d)->timer);
    vr_pci_reset(d);
    if (own_of(d)->given.reset) {
        own_of(d)->given.reset(OWN(d));
    }
}

static int own_loaded(struct vr_dev *d, struct vr_error *err)
{
    struct vireo_function *f = OWN(d);
    int r = vr_msix_loaded(&f->msix, err);
    r = r < 0 ? r : vr_pci_loaded(d, err);
    if (r < 0) {
        return r;
    }
    vireo_function_timer(f, f->timer_ns);
    return own_of(d)->given.restored ? own_of(d)->given.restored(f, err) : 0;
}

static void own_fini(struct vr_dev *d)
{
    struct vireo_function *f = OWN(d);
    vr_timer_fini(&f->timer);
    if (own_of(d)->given.destroy) {
        own_of(d)->given.destroy(f, f->host);
    }
    vr_pci_fini(d);
}

#define VR_SELF struct vireo_function
static const struct vr_field own_fields[] = {
    VR_CONFIG_STR(options, "what the program that made the device takes, up to 127 bytes"),
    VR_PCI_FIELDS(pci),
    VR_MSIX_FIELDS(msix),
    VR_STATE(timer_ns, "when its timer is due; all ones: it is not set", .def = UINT64_MAX),
    VR_HOST(host, "the program's, made by its create hook"),
    VR_HOST(timer, "from timer_ns"),
};
_Static_assert(VR_COUNT(own_fields) + 2 <= OWN_ROWS, "rows, the program's state, the end");

/* --- Classes --- */

static bool own_name_good(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    static const char *const taken[] = {"virtio-", "scsi-", "pci-"};
    size_t len = strlen(name);
    for (const char *p = name; *p; p++) {
        if (!strchr(letters, *p) && (p == name || !strchr("0123456789-", *p))) {
            return false;
        }
    }
    for (unsigned i = 0; i < VR_COUNT(taken); i++) {
        if (strncmp(name, taken[i], strlen(taken[i])) == 0) {
            return false;
        }
    }
    return len && len <= OWN_NAME_MAX && (len < 4 || strcmp(name + len - 4, "-cpu") != 0);
}

static int own_check(const struct vireo_function_class *g, struct vr_error *err)
{
    const char *why = NULL;
    if (g->size < sizeof(*g)) {
        why = "size is not sizeof(struct vireo_function_class)";
    } else if (!g->name || !own_name_good(g->name)) {
        why = "its name has to be of 1 to 31 lower-case letters, digits and '-', a letter first, "
              "and not begin as those of Vireo's own classes do";
    } else if (!g->help || !*g->help || strlen(g->help) > OWN_HELP_MAX) {
        why = "help has to be a line of up to 127 characters";
    } else if (g->version == 0) {
        why = "version begins at 1";
    } else if (g->vendor == UINT16_MAX || g->pci_class >> 24) {
        why = "vendor 0xffff is nobody, and pci_class has 24 bits";
    } else if (!vr_is_pow2(g->window_bytes) || g->window_bytes < OWN_WINDOW_MIN ||
               g->window_bytes > OWN_WINDOW_MAX) {
        why = "window_bytes has to be a power of two from 4 KiB to 64 MiB";
    } else if (g->messages > OWN_MESSAGES_MAX) {
        why = "there are at most 64 messages";
    } else if (g->state_bytes > OWN_STATE_MAX) {
        why = "state_bytes is more than 1 MiB";
    }
    return why ? vr_err(err, -EINVAL, "device class '%.40s': %s", g->name ? g->name : "", why) : 0;
}

static void own_fill(struct vr_own_class *own)
{
    const struct vireo_function_class *g = &own->given;
    const unsigned rows = VR_COUNT(own_fields);
    memcpy(own->fields, own_fields, sizeof(own_fields));
    if (g->state_bytes) {
        own->fields[rows] = (struct vr_field){
            .name = "state",
            .help = "the program's",
            .offset = offsetof(struct vireo_function, state),
            .count = g->state_bytes,
            .elem_size = 1,
            .type = VR_U8,
            .role = VR_ROLE_STATE,
        };
    }
    own->pci = (struct vr_pci_class){
        .vendor = g->vendor,
        .device = g->device,
        .subvendor = g->vendor,
        .subdevice = g->device,
        .class_code = g->pci_class,
        .intx = true,
        .bar = {[OWN_BAR_REGS] = {VR_PCI_BAR_MEM32, OWN_WINDOW_REGS}},
    };
    own->cls = (struct vr_dev_class){
        .name = own->name,
        .help = own->help,
        .size = offsetof(struct vireo_function, state) + g->state_bytes,
        .pci = offsetof(struct vireo_function, pci),
        .version = g->version,
        .fields = own->fields,
        .windows = {VR_PCI_CONFIG_WINDOW,
                    {.name = "regs", .len = g->window_bytes, .read = own_read, .write = own_write}},
        .init = own_init,
        .reset = own_reset,
        .loaded = own_loaded,
        .fini = own_fini,
    };
    if (own->cls.size < sizeof(struct vireo_function)) {
        own->cls.size = sizeof(struct vireo_function);
    }
    if (g->messages) {
        own->pci.bar[OWN_BAR_MSIX].kind = VR_PCI_BAR_MEM32;
        own->pci.bar[OWN_BAR_MSIX].window = OWN_WINDOW_MSIX;
        own->cls.windows[OWN_WINDOW_MSIX] = (struct vr_window)VR_MSIX_WINDOW;
    }
}

int vr_own_class_create(const struct vireo_function_class *given, void *opaque,
                        struct vr_own_class **ret_own, struct vr_error *err)
{
    int r = own_check(given, err);
    if (r < 0) {
        return r;
    }
    struct vr_own_class *own = vr_zalloc(sizeof(*own));
    if (!own) {
        return vr_err(err, -ENOMEM, "device class '%s': no memory", given->name);
    }
    snprintf(own->name, sizeof(own->name), "%s", given->name);
    snprintf(own->help, sizeof(own->help), "%s", given->help);
    own->given = *given;
    own->given.name = own->name;
    own->given.help = own->help;
    own->opaque = opaque;
    atomic_init(&own->holds, 1);
    own_fill(own);
    *ret_own = own;
    return 0;
}

void vr_own_class_hold(struct vr_own_class *own)
{
    atomic_fetch_add(&own->holds, 1);
}

void vr_own_class_release(struct vr_own_class *own)
{
    if (own && atomic_fetch_sub(&own->holds, 1) == 1) {
        free(own);
    }
}

const struct vr_dev_class *vr_own_class_of(const struct vr_own_class *own)
{
    return &own->cls;
}

/* --- What programs call --- */

void *vireo_function_state(struct vireo_function *f)
{
    return f->state;
}

void *vireo_function_host(struct vireo_function *f)
{
    return f->host;
}

const char *vireo_function_id(const struct vireo_function *f)
{
    return f->dev.id;
}

const char *vireo_function_options(const struct vireo_function *f)
{
    return f->options;
}

void vireo_function_set_pin(struct vireo_function *f, bool level)
{
    vr_pci_set_intx(&f->pci, level);
}

bool vireo_function_send(struct vireo_function *f, unsigned message)
{
    bool can = message < own_of(&f->dev)->given.messages && vr_msix_enabled(&f->pci);
    if (can) {
        vr_msix_notify(&f->msix, message);
    }
    return can;
}

int vireo_function_read_memory(struct vireo_function *f, uint64_t gpa, void *buf, size_t len)
{
    return vr_pci_is_master(&f->pci) ? vr_dma_read(f->dev.env->mem, &f->dev.dma, gpa, buf, len)
                                     : -EPERM;
}

int vireo_function_write_memory(struct vireo_function *f, uint64_t gpa, const void *buf, size_t len)
{
    return vr_pci_is_master(&f->pci) ? vr_dma_write(f->dev.env->mem, &f->dev.dma, gpa, buf, len)
                                     : -EPERM;
}

uint64_t vireo_function_time_ns(const struct vireo_function *f)
{
    return vr_clock_now(f->dev.env->clock);
}

void vireo_function_timer(struct vireo_function *f, uint64_t at_ns)
{
    f->timer_ns = at_ns;
    if (at_ns == UINT64_MAX) {
        vr_timer_cancel(&f->timer);
    } else {
        vr_timer_arm(&f->timer, at_ns);
    }
}

void vireo_function_guest_error(struct vireo_function *f, const char *what)
{
    vr_guest_error(&f->dev, "%s", what);
}

void vireo_function_lock(struct vireo_function *f)
{
    vr_dev_lock(&f->dev);
}

void vireo_function_unlock(struct vireo_function *f)
{
    vr_dev_unlock(&f->dev);
}

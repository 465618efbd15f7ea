/*
 * The virt machine's devices by class: at the start, and those that come and go while it runs.
 *
 * What can come and go is in the slot of a root port, or is a unit of a SCSI controller. A device
 * is made, gets its host end and joins the machine before the guest hears of it; it leaves the
 * slot, is drained, leaves the machine, and only then is its host end closed.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/err.h"
#include "base/text.h"
#include "board/catalog.h"
#include "board/virt_riscv_priv.h"
#include "dev/pci/bridge.h"
#include "dev/pci/host.h"
#include "dev/pci/own.h"
#include "dev/pci/port.h"
#include "dev/pci/sriov.h"
#include "dev/virtio/mmio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PLUG_PLACES = 32, PLUG_FUNCTIONS = 8 }; /* devices of the root bus, functions of each */

/* --- Kinds --- */

static bool plug_is_unit(const char *cls)
{
    return strcmp(cls, "scsi-hd") == 0 || strcmp(cls, "scsi-cd") == 0;
}

enum vr_virt_end_kind vr_virt_end_of(const char *cls)
{
    static const struct {
        const char *prefix;
        enum vr_virt_end_kind kind;
    } kinds[] = {
        {"virtio-blk-", VR_VIRT_END_DISK}, {"virtio-net-", VR_VIRT_END_NET},
        {"virtio-fs-", VR_VIRT_END_SHARE}, {"virtio-console-", VR_VIRT_END_CHR},
        {"scsi-hd", VR_VIRT_END_DISK},     {"scsi-cd", VR_VIRT_END_DISK},
    };
    for (unsigned i = 0; i < VR_COUNT(kinds); i++) {
        if (strncmp(cls, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) {
            return kinds[i].kind;
        }
    }
    return VR_VIRT_END_NONE;
}

static bool plug_is_port(const char *cls)
{
    return strcmp(cls, vr_pci_root_port_class.name) == 0 ||
           strcmp(cls, vr_pci_downstream_port_class.name) == 0;
}

static bool plug_is_bridge(const char *cls)
{
    return strcmp(cls, vr_pci_upstream_port_class.name) == 0 ||
           strcmp(cls, vr_pci_bridge_class.name) == 0;
}

/* --- Slots --- */

static unsigned plug_slots(struct vr_virt *v)
{
    struct vr_dev *dev;
    unsigned slots = 0;
    for (unsigned i = 0; (dev = vr_machine_dev(v->machine, i)); i++) {
        slots += vr_pci_has_slot(dev);
    }
    return slots;
}

/* A port's slot is asked for by its device's id; the host bridge's lock is held. */
static void plug_answered(void *virt, struct vr_dev *port, bool agrees)
{
    struct vr_virt *v = virt;
    const struct vr_pci *pci = vr_pci_of(port)->host.below->fn[0];
    if (pci) {
        v->on_answer(v->on_answer_opaque, pci->host.dev->id, agrees);
    }
}

void vr_virt_on_answer(struct vr_virt *v, void (*fn)(void *opaque, const char *id, bool agrees),
                       void *opaque)
{
    struct vr_dev *dev;
    vr_machine_change_begin(v->machine);
    v->on_answer = fn ? fn : v->on_answer;
    v->on_answer_opaque = fn ? opaque : v->on_answer_opaque;
    for (unsigned i = 0; (dev = vr_machine_dev(v->machine, i)); i++) {
        if (vr_pci_has_slot(dev)) { /* under whose lock it is called */
            vr_pci_slot_on_answer(dev, fn ? plug_answered : NULL, v);
        }
    }
    v->on_answer = fn;
    vr_machine_change_end(v->machine);
}

int virt_add_slots(struct vr_virt *v, unsigned count, struct vr_error *err)
{
    struct vr_pci_bus *bus = &vr_pci_host_root(v->pci)->bus;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < count; i++) {
        /* At the end of the bus, out of the way of what the machine has. Wires: what is behind the
         * last device is on line 3, behind the one before on 2, and all ports themselves on 0, so
         * that no two of them ever wait for each other (dev/pci/port.c). */
        unsigned place = PLUG_PLACES - 1 - i / PLUG_FUNCTIONS;
        unsigned pin = (VR_PCI_INTX - place % VR_PCI_INTX) % VR_PCI_INTX + 1;
        char id[VR_VIRT_ID_LEN], opts[48];
        struct vr_dev *port;
        snprintf(id, sizeof(id), "port%u", i);
        snprintf(opts, sizeof(opts), "slot=%u,pin=%u,multifunction=on", i + 1, pin);
        r = virt_new(v, &vr_pci_root_port_class, id, opts, &port, err);
        r = r < 0 ? r : vr_pci_plug(bus, place << 3 | i % PLUG_FUNCTIONS, vr_pci_of(port), err);
    }
    return r;
}

/* The first port whose slot is empty. */
static int plug_find_slot(struct vr_virt *v, struct vr_dev **ret_port, struct vr_error *err)
{
    struct vr_pci_slot slot;
    struct vr_dev *dev;
    unsigned ports = 0;
    for (unsigned i = 0; (dev = vr_machine_dev(v->machine, i)); i++) {
        if (vr_pci_has_slot(dev)) {
            ports++;
            vr_pci_slot_get(dev, &slot);
            if (!slot.pci) {
                *ret_port = dev;
                return 0;
            }
        }
    }
    return vr_err(err, -ENOSPC,
                  ports ? "all %u slots of this machine are taken; --machine virt,slots=N gives it "
                          "more"
                        : "this machine has no slots (%u): --machine virt,slots=N gives it some",
                  ports);
}

/* Where the bus that the user named leads: into the slot of a port, or behind a bridge. */
static int plug_find_bus(struct vr_virt *v, const struct vr_virt_device *d, struct virt_plug *p,
                         struct vr_error *err)
{
    struct vr_dev *dev = vr_machine_find_dev(v->machine, d->bus);
    struct vr_pci *pci = dev ? vr_pci_of(dev) : NULL;
    if (!pci || !pci->host.below) {
        return vr_err(err, -ENODEV, "bus '%.40s': %s", d->bus,
                      dev ? "it is no port and no bridge"
                          : "there is no such port or bridge, or none before this device");
    }
    if (!vr_pci_has_slot(dev)) {
        p->at.bus = pci->host.below;
        return vr_machine_state(v->machine) == VR_STATE_STOPPED
                   ? 0
                   : vr_err(err, -ENOTSUP,
                            "device %s: behind %s there are no slots; while the machine runs, "
                            "devices go behind root ports and a switch's downstream ports",
                            d->cls, d->bus);
    }
    struct vr_pci_slot slot;
    vr_pci_slot_get(dev, &slot);
    p->port = dev;
    if (d->addr > 1) {
        return vr_err(err, -EINVAL, "device %s: addr=%x: behind port %s there is device 0 alone",
                      d->cls, d->addr - 1, d->bus);
    }
    return slot.pci ? vr_err(err, -EBUSY, "the slot of %s has '%s' in it", d->bus,
                             slot.pci->host.dev->id)
                    : 0;
}

/* --- The list --- */

static struct virt_plug *plug_find(const struct vr_virt *v, const char *id)
{
    struct virt_plug *p = v->plugs;
    while (p && strcmp(p->id, id) != 0) {
        p = p->next;
    }
    return p;
}

static void plug_join(struct vr_virt *v, struct virt_plug *p)
{
    struct virt_plug **at = &v->plugs;
    while (*at) {
        at = &(*at)->next;
    }
    vr_machine_hold_devs(v->machine);
    *at = p;
    vr_machine_release_devs(v->machine);
}

static void plug_drop(struct vr_virt *v, struct virt_plug *p)
{
    struct virt_plug **at = &v->plugs;
    while (*at != p) {
        at = &(*at)->next;
    }
    vr_machine_hold_devs(v->machine);
    *at = p->next;
    vr_machine_release_devs(v->machine);
    free(p);
}

void virt_plugs_fini(struct vr_virt *v)
{
    while (v->plugs) {
        struct virt_plug *p = v->plugs;
        v->plugs = p->next;
        free(p);
    }
}

static bool plug_id_taken(const struct vr_virt *v, const char *id)
{
    return plug_find(v, id) || vr_machine_find_dev(v->machine, id);
}

static int plug_name(const struct vr_virt *v, const char *id, struct virt_plug *p,
                     struct vr_error *err)
{
    if (id && !vr_name_good(id, sizeof(p->id) - 1)) {
        return vr_err(err, -EINVAL,
                      "id '%.40s': expected up to %zu letters, digits, '.', '_' and '-', a letter "
                      "or digit first",
                      id, sizeof(p->id) - 1);
    }
    if (id && plug_id_taken(v, id)) {
        return vr_err(err, -EEXIST, "there is a device '%s' already: choose another id", id);
    }
    snprintf(p->id, sizeof(p->id), "%s", id ? id : "dev0");
    for (unsigned i = 1; !id && plug_id_taken(v, p->id); i++) {
        snprintf(p->id, sizeof(p->id), "dev%u", i);
    }
    return 0;
}

/* --- Coming --- */

/* A network card's address unless one is given: by its id, so that it has it again after a restart.
 * Cards of --net have zeroes in the middle. */
static void plug_mac(const char *id, char *text, size_t size)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *id; id++) {
        hash = (hash ^ (uint8_t)*id) * 16777619u;
    }
    snprintf(text, size, "mac=52:56:52:%02x:%02x:%02x", (hash >> 16 & 0x7f) | 0x80,
             hash >> 8 & 0xff, hash & 0xff);
}

static int plug_opts(struct vr_virt *v, const struct vr_virt_device *d, const struct virt_plug *p,
                     char *text, size_t size, struct vr_error *err)
{
    const char *given = d->opts ? d->opts : "";
    char first[48] = "";
    if (vr_virt_end_of(d->cls) == VR_VIRT_END_NET) {
        plug_mac(p->id, first, sizeof(first));
    } else if (vr_virt_end_of(d->cls) == VR_VIRT_END_SHARE) {
        snprintf(first, sizeof(first), "tag=%s", d->end.share.tag);
    } else if (plug_is_port(d->cls)) {
        snprintf(first, sizeof(first), "slot=%u,pin=2", /* not the pin of what is behind it */
                 plug_slots(v) + 1);
    }
    int len = snprintf(text, size, "%s%s%s", first, *first && *given ? "," : "", given);
    return len < (int)size
               ? 0
               : vr_err(err, -EINVAL, "device %s: options '%.40s...' are too long", p->id, given);
}

/* Its host end: the one that is named, or one of its own. */
static int plug_get_end(struct vr_virt *v, const struct vr_virt_device *d, struct virt_plug *p,
                        struct vr_error *err)
{
    enum vr_virt_end_kind kind = vr_virt_end_of(d->cls);
    if (d->end_name) {
        struct virt_end *end = virt_end_find(v, d->end_name);
        if (!end || !*d->end_name || end->kind != kind) {
            return vr_err(err, -ENODEV, "device %s: there is no host end '%.40s' for it", p->id,
                          d->end_name);
        }
        if (end->user[0]) {
            return vr_err(err, -EBUSY, "device %s: '%s' is in use by device '%s'", p->id, end->name,
                          end->user);
        }
        p->end = end;
        return 0;
    }
    if (d->end.kind == VR_VIRT_END_NONE) {
        return 0; /* a network card without a cable, a drive without a disc */
    }
    int r = virt_end_open(v, &d->end, NULL, &p->end, err);
    return r < 0 ? vr_err_in(err, r, "device %s", p->id) : 0;
}

static int plug_unit(struct vr_virt *v, const struct vr_virt_device *d, struct virt_plug *p,
                     struct vr_error *err)
{
    struct vr_dev *dev = d->bus ? vr_machine_find_dev(v->machine, d->bus) : v->scsi;
    if (!dev || (dev->cls != &vr_virtio_scsi_pci_class && dev->cls != &vr_virtio_scsi_mmio_class)) {
        return vr_err(err, -ENODEV, "device %s: there is no SCSI controller%s%.40s", p->id,
                      d->bus ? " " : ": add a virtio-scsi-pci first", d->bus ? d->bus : "");
    }
    struct vr_blk *blk = p->end ? p->end->host.blk : NULL;
    int r = virt_scsi_plug(dev, p->cdrom, blk, d->opts, d->target, &p->target, err);
    p->scsi = dev;
    if (r == 0 && p->end) {
        virt_end_use(v, p->end, p->id);
    }
    return r;
}

/* In the slot of its port. A guest that runs sees it only with its host end. */
static int plug_into_slot(struct vr_virt *v, const struct vr_dev_class *cls, struct virt_plug *p,
                          const char *opts, struct vr_error *err)
{
    int r = virt_new(v, cls, p->id, opts, &p->dev, err);
    if (r < 0) {
        return r;
    }
    if (p->end) {
        virt_end_attach(v, p->end, p->dev);
    }
    if (vr_machine_state(v->machine) != VR_STATE_STOPPED) {
        vr_dev_reset(p->dev); /* its power comes now */
        r = vr_pci_slot_insert(p->port, vr_pci_of(p->dev), err);
    } else {
        r = vr_pci_plug(vr_pci_of(p->port)->host.below, 0, vr_pci_of(p->dev), err);
    }
    if (r < 0) {
        virt_discard(v, p->dev);
    }
    return r;
}

static int plug_make(struct vr_virt *v, const struct vr_dev_class *cls,
                     const struct vr_virt_device *d, struct virt_plug *p, struct vr_error *err)
{
    char opts[1024], pf[VIRT_ID_LEN];
    int r = plug_opts(v, d, p, opts, sizeof(opts), err);
    if (r < 0) {
        return r;
    }
    if (virt_vf_of(opts, pf)) {
        if (vr_machine_state(v->machine) != VR_STATE_STOPPED) {
            return vr_err(err, -ENOTSUP, "device %s: virtual functions are there from the start",
                          p->id);
        }
        p->port = NULL; /* it is where its physical function is */
    }
    if (p->port) {
        return plug_into_slot(v, cls, p, opts, err);
    }
    r = cls->pci ? virt_add_to_pci(v, &p->at, cls, p->id, opts, &p->dev, err)
                 : virt_add_mmio(v, cls, p->id, opts, &p->dev, err);
    if (r == 0 && p->end) {
        virt_end_attach(v, p->end, p->dev);
    }
    return r;
}

/* What is not on PCI. */
static int plug_check_wired(const struct vr_virt *v, const struct vr_virt_device *d,
                            const struct vr_dev_class *cls, struct vr_error *err)
{
    if (cls->windows[0].read != vr_virtio_mmio_read) {
        return vr_err(err, -EINVAL, "device %s: the machine has what it has of these", d->cls);
    }
    if (d->bus || d->addr) {
        return vr_err(err, -EINVAL, "device %s: it is not on PCI, where bus and addr are", d->cls);
    }
    return vr_machine_state(v->machine) == VR_STATE_STOPPED
               ? 0
               : vr_err(err, -ENOTSUP,
                        "device %s: what is not on PCI cannot be added while the machine runs",
                        d->cls);
}

/* Where it goes. */
static int plug_check_pci(struct vr_virt *v, const struct vr_virt_device *d,
                          const struct vr_dev_class *cls, struct virt_plug *p, struct vr_error *err)
{
    bool stopped = vr_machine_state(v->machine) == VR_STATE_STOPPED;
    bool on_root = d->bus && (strcmp(d->bus, "pci") == 0 || strcmp(d->bus, "pcie.0") == 0);
    p->at.addr = d->addr;
    if (cls == &vr_pci_host_class) {
        return vr_err(err, -EINVAL, "device %s: there is one, and only one", d->cls);
    }
    if (!stopped && (plug_is_port(d->cls) || plug_is_bridge(d->cls))) {
        return vr_err(err, -ENOTSUP, "device %s: ports and bridges are there from the start",
                      d->cls);
    }
    if (!stopped && on_root) {
        return vr_err(err, -ENOTSUP,
                      "device %s: the root bus has no slots; while the machine runs, devices go "
                      "behind its ports",
                      d->cls);
    }
    if (d->bus && !on_root) {
        return plug_find_bus(v, d, p, err);
    }
    return stopped ? 0 : plug_find_slot(v, &p->port, err);
}

/* One of ours, or of the program's; NULL: neither. */
static const struct vr_dev_class *plug_class(const struct vr_virt *v, const char *name)
{
    const struct vr_dev_class *cls = vr_catalog_find_class(name);
    for (unsigned i = 0; !cls && i < v->own_class_count; i++) {
        if (strcmp(vr_own_class_of(v->own_class[i])->name, name) == 0) {
            cls = vr_own_class_of(v->own_class[i]);
        }
    }
    return cls;
}

/* What can be said no to before anything is opened; *ret_cls NULL: a unit. */
static int plug_check(struct vr_virt *v, const struct vr_virt_device *d, struct virt_plug *p,
                      const struct vr_dev_class **ret_cls, struct vr_error *err)
{
    enum vr_virt_end_kind kind = vr_virt_end_of(d->cls);
    int r = plug_name(v, d->id, p, err);
    *ret_cls = plug_is_unit(d->cls) ? NULL : plug_class(v, d->cls);
    p->cdrom = strcmp(d->cls, "scsi-cd") == 0;
    if (r == 0 && !*ret_cls && !plug_is_unit(d->cls)) {
        r = vr_err(err, -EINVAL,
                   "no device class '%s' (vireo devices lists them; those that a program makes are "
                   "to be registered by it)",
                   d->cls);
    }
    if (r < 0) {
        return r;
    }
    if ((kind == VR_VIRT_END_DISK || kind == VR_VIRT_END_SHARE) && !p->cdrom && !d->end_name &&
        d->end.kind == VR_VIRT_END_NONE) {
        return vr_err(err, -EINVAL, "device %s: it needs path=", d->cls);
    }
    if (!*ret_cls) {
        return 0;
    }
    return (*ret_cls)->pci ? plug_check_pci(v, d, *ret_cls, p, err)
                           : plug_check_wired(v, d, *ret_cls, err);
}

/* With the machine's `change` held, or before it runs. */
static int plug_add(struct vr_virt *v, const struct vr_virt_device *d, char ret_id[VR_VIRT_ID_LEN],
                    struct vr_error *err)
{
    const struct vr_dev_class *cls;
    struct virt_plug *p = vr_zalloc(sizeof(*p));
    if (!p) {
        return vr_err(err, -ENOMEM, "device %s: no memory", d->cls);
    }
    int r = plug_check(v, d, p, &cls, err);
    r = r < 0 ? r : plug_get_end(v, d, p, err);
    if (r == 0) {
        r = cls ? plug_make(v, cls, d, p, err) : plug_unit(v, d, p, err);
    }
    if (r < 0) {
        virt_end_leave(v, p->end);
        free(p);
        return r;
    }
    plug_join(v, p);
    memcpy(ret_id, p->id, VR_VIRT_ID_LEN);
    return 0;
}

int virt_add_devices(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    char id[VR_VIRT_ID_LEN];
    int r = 0;
    for (unsigned i = 0; r == 0 && i < o->device_count; i++) {
        r = plug_add(v, &o->device[i], id, err);
    }
    return r;
}

int vr_virt_plug(struct vr_virt *v, const struct vr_virt_device *d, char ret_id[VR_VIRT_ID_LEN],
                 struct vr_error *err)
{
    vr_machine_change_begin(v->machine);
    int r = plug_add(v, d, ret_id, err);
    vr_machine_change_end(v->machine);
    return r;
}

/* --- Going --- */

/* The device @id, that can go. */
static int plug_get(struct vr_virt *v, const char *id, struct virt_plug **ret_plug,
                    struct vr_error *err)
{
    struct virt_plug *p = plug_find(v, id);
    if (!p && !vr_machine_find_dev(v->machine, id)) {
        return vr_err(err, -ENODEV, "there is no device '%.40s'", id);
    }
    if (!p || (p->dev && !p->port)) {
        return vr_err(err, -ENOTSUP,
                      "device '%s' is not in a slot, so it stays: what shall go again has to be "
                      "behind a root port (bus=port0)",
                      id);
    }
    const struct vr_pci *pci = p->dev ? vr_pci_of(p->dev) : NULL;
    if (pci && pci->host.below) {
        return vr_err(err, -ENOTSUP, "device '%s' is a bridge, which stays", id);
    }
    if (pci && pci->host.sriov && pci->host.sriov->total) {
        return vr_err(err, -ENOTSUP, "device '%s' has virtual functions, which need it", id);
    }
    *ret_plug = p;
    return 0;
}

static int plug_remove_unit(struct vr_virt *v, struct virt_plug *p, struct vr_error *err)
{
    int r = vr_virtio_scsi_unplug(p->scsi, p->target, 0, err);
    if (r == 0) {
        virt_end_leave(v, p->end);
        plug_drop(v, p);
    }
    return r;
}

/* The units of a controller that has gone: nobody asks for them any more. */
static void plug_forget_units(struct vr_virt *v, const struct vr_dev *scsi)
{
    for (struct virt_plug *p = v->plugs, *next; p; p = next) {
        next = p->next;
        if (p->scsi == scsi) {
            virt_end_leave(v, p->end);
            plug_drop(v, p);
        }
    }
}

int vr_virt_unplug(struct vr_virt *v, const char *id, struct vr_error *err)
{
    struct virt_plug *p;
    vr_machine_change_begin(v->machine);
    int r = plug_get(v, id, &p, err);
    if (r == 0 && !p->dev) {
        r = plug_remove_unit(v, p, err);
    } else if (r == 0) {
        struct vr_dev *dev = p->dev;
        (void)vr_pci_slot_remove(p->port);
        virt_discard(v, dev);
        plug_forget_units(v, dev);
        virt_end_leave(v, p->end);
        plug_drop(v, p);
    }
    vr_machine_change_end(v->machine);
    return r;
}

int vr_virt_unplug_ask(struct vr_virt *v, const char *id, struct vr_error *err)
{
    struct virt_plug *p;
    vr_machine_change_begin(v->machine);
    int r = plug_get(v, id, &p, err);
    if (r == 0 && (!p->dev || vr_machine_state(v->machine) == VR_STATE_STOPPED)) {
        r = 1;
    } else if (r == 0) {
        struct vr_pci_slot slot;
        vr_pci_slot_get(p->port, &slot);
        /* A guest that took the power away has let go already. */
        r = slot.power ? vr_pci_slot_ask(p->port, err) : 1;
        p->asked = r == 0;
    }
    vr_machine_change_end(v->machine);
    return r;
}

void virt_plugs_reset(struct vr_virt *v)
{
    for (struct virt_plug *p = v->plugs; p; p = p->next) {
        if (p->asked && v->on_answer) {
            v->on_answer(v->on_answer_opaque, p->id, true);
        }
        p->asked = false;
    }
}

/* --- Looking --- */

static const char *row_end(const struct vr_virt *v, const char *id)
{
    for (const struct virt_end *end = v->ends; end; end = end->next) {
        if (strcmp(end->user, id) == 0) {
            return end->kind == VR_VIRT_END_DISK  ? end->host.blk->path
                   : end->kind == VR_VIRT_END_NET ? end->host.net->ops->name
                   : end->kind == VR_VIRT_END_CHR ? vr_chr_path(end->host.chr)
                                                  : "";
        }
    }
    return "";
}

static void row_pci(struct vr_virt *v, struct vr_dev *dev, struct vr_virt_row *row)
{
    const struct vr_pci *pci = vr_pci_of(dev);
    vr_dev_lock(v->pci);
    struct vr_pci_bus *bus = pci->host.bus;
    struct vr_dev *port = bus && bus->bridge ? bus->bridge->host.dev : NULL;
    row->bus = port ? port->id : bus ? v->pci->id : "";
    if (bus) {
        virt_pci_place(pci, row->place, sizeof(row->place));
    }
    if (dev != v->pci) {
        vr_dev_lock(dev);
    }
    row->state = vr_pci_is_master(pci) ? VIREO_DEVICE_IN_USE : VIREO_DEVICE_ATTACHED;
    if (dev != v->pci) {
        vr_dev_unlock(dev);
    }
    vr_dev_unlock(v->pci);
    if (port && vr_pci_has_slot(port)) {
        struct vr_pci_slot slot;
        vr_pci_slot_get(port, &slot);
        row->state = slot.asked    ? VIREO_DEVICE_LEAVING
                     : !slot.power ? VIREO_DEVICE_DETACHED
                                   : row->state;
    }
}

static void row_dev(struct vr_virt *v, struct vr_dev *dev, struct vr_virt_row *row)
{
    const struct virt_plug *p = plug_find(v, dev->id);
    *row = (struct vr_virt_row){.id = dev->id,
                                .cls = dev->cls->name,
                                .bus = "",
                                .end = row_end(v, dev->id),
                                .state = VIREO_DEVICE_ATTACHED,
                                .removable = p && p->port};
    if (vr_pci_of(dev)) {
        row_pci(v, dev, row);
    }
}

static void row_unit(const struct vr_virt *v, const struct virt_plug *p, struct vr_virt_row *row)
{
    *row = (struct vr_virt_row){.id = p->id,
                                .cls = p->cdrom ? "scsi-cd" : "scsi-hd",
                                .bus = p->scsi->id,
                                .end = row_end(v, p->id),
                                .state = VIREO_DEVICE_ATTACHED,
                                .removable = true};
    snprintf(row->place, sizeof(row->place), "%u:0", p->target);
}

bool vr_virt_row(struct vr_virt *v, unsigned i, struct vr_virt_row *ret_row)
{
    unsigned devs = 0;
    struct vr_dev *dev;
    while ((dev = vr_machine_dev(v->machine, devs))) {
        if (devs++ == i) {
            row_dev(v, dev, ret_row);
            return true;
        }
    }
    for (const struct virt_plug *p = v->plugs; p; p = p->next) {
        if (!p->dev && devs++ == i) {
            row_unit(v, p, ret_row);
            return true;
        }
    }
    return false;
}

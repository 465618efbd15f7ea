/*
 * PCI Express ports with a slot: root ports, and downstream ports of switches.
 *
 * Its interrupts, for errors and its slot, are MSI (two vectors) or a pin. The pin is an option,
 * for the sake of Linux: its thread for the slot's interrupt waits, while it removes a device, for
 * all threads of that device's interrupt, so that the two must not share a line. The slot has an
 * attention button, indicators and a power controller; commands complete at once. While it has no
 * power nobody behind it answers, and what is there is reset when power comes back. A root port
 * collects the error messages of all that is below it.
 *
 * Specification: PCI Express Base 6.0, chapters 6.2 (errors), 6.7 (hot plug) and 7.5.
 */
#include "dev/pci/port.h"

#include "base/bits.h"
#include "dev/pci/caps.h"
#include "dev/pci/sriov.h"

#include <errno.h>

enum { CLASS_BRIDGE = 0x060400 };
/* PCI Express Base 6.0, 7.5.3.9 to 7.5.3.11 */
enum {
    SLOTCAP_BUTTON = 1 << 0,
    SLOTCAP_POWER = 1 << 1,
    SLOTCAP_ATTENTION_LED = 1 << 3,
    SLOTCAP_POWER_LED = 1 << 4,
    SLOTCAP_HOTPLUG = 1 << 6,
    SLOTCAP_NUMBER = 19,        /* shift */
    SLOTCTL_WANTED = 0x1f,      /* events that interrupt, as they stand in SLOTSTA, */
    SLOTCTL_LINK = 1 << 12,     /* but for this one, */
    SLOTCTL_INTERRUPT = 1 << 5, /* if any does */
    SLOTCTL_OFF = 1 << 10,
    SLOTCTL_LED = 3 << 8, /* the power indicator: */
    SLOTCTL_LED_ON = 1 << 8,
    SLOTCTL_LED_BLINKS = 2 << 8,
    SLOTCTL_IDLE = 0x01c0, /* power on and shown, attention off */
    SLOTSTA_BUTTON = 1 << 0,
    SLOTSTA_PRESENCE_CHANGED = 1 << 3,
    SLOTSTA_COMPLETED = 1 << 4,
    SLOTSTA_PRESENT = 1 << 6,
    SLOTSTA_LINK_CHANGED = 1 << 8,
    LINKSTA_ACTIVE = 1 << 13,
    FLAGS_SLOT = 1 << 8,
};
/* 7.8.4.10: root error status; an uncorrectable error shares its first two bits. */
enum {
    ROOT_COR = 1 << 0,
    ROOT_COR_MORE = 1 << 1,
    ROOT_UNCOR = 1 << 2,
    ROOT_UNCOR_MORE = 1 << 3,
    ROOT_FIRST_FATAL = 1 << 4,
    ROOT_NONFATAL = 1 << 5,
    ROOT_FATAL = 1 << 6,
};

struct port {
    struct vr_dev dev;
    struct vr_pci pci;
    uint16_t slot; /* config */
    uint8_t pin;
    bool multifunction;
    bool asked, thinks; /* state; thinks: the guest has seen that it is asked */
    struct vr_pci_bus bus;
    void (*on_answer)(void *opaque, struct vr_dev *port, bool agrees);
    void *opaque;
};
#define PORT(d) ((struct port *)(d))

bool vr_pci_has_slot(const struct vr_dev *dev)
{
    return dev->cls == &vr_pci_root_port_class || dev->cls == &vr_pci_downstream_port_class;
}

static bool port_is_root(const struct port *s)
{
    return s->dev.cls == &vr_pci_root_port_class;
}

static uint32_t port_get(const struct port *s, unsigned reg)
{
    return vr_pci_get(&s->pci, s->pci.host.express + reg, 2);
}

static void port_put(struct port *s, unsigned reg, uint32_t val)
{
    vr_pci_put(&s->pci, s->pci.host.express + reg, 2, val);
}

/* Events that are there and wanted. */
static uint32_t port_due(const struct port *s)
{
    uint32_t ctl = port_get(s, VR_PCI_EXP_SLOTCTL), sta = port_get(s, VR_PCI_EXP_SLOTSTA);
    uint32_t wanted = (ctl & SLOTCTL_WANTED) | (ctl & SLOTCTL_LINK ? SLOTSTA_LINK_CHANGED : 0);
    return ctl & SLOTCTL_INTERRUPT ? sta & wanted : 0;
}

/* Error messages that arrived and shall interrupt. */
static bool port_errors_due(const struct port *s)
{
    if (!port_is_root(s)) {
        return false;
    }
    uint32_t sta = vr_pci_get(&s->pci, s->pci.host.aer + VR_PCI_AER_ROOT_STATUS, 4);
    uint32_t cmd = vr_pci_get(&s->pci, s->pci.host.aer + VR_PCI_AER_ROOT_CMD, 4);
    return ((sta & ROOT_COR) && (cmd & 1)) || ((sta & ROOT_NONFATAL) && (cmd & 2)) ||
           ((sta & ROOT_FATAL) && (cmd & 4));
}

static void port_sync_intx(struct port *s)
{
    vr_pci_set_intx(&s->pci, port_due(s) != 0 || port_errors_due(s));
}

static void port_sync(struct port *s, uint32_t before)
{
    uint32_t due = port_due(s);
    port_sync_intx(s);
    if ((due & ~before) && vr_pci_msi_enabled(&s->pci)) {
        vr_pci_msi_notify(&s->pci, 0);
    }
}

static void port_event(struct port *s, uint32_t events)
{
    uint32_t before = port_due(s);
    port_put(s, VR_PCI_EXP_SLOTSTA, port_get(s, VR_PCI_EXP_SLOTSTA) | events);
    port_sync(s, before);
}

/* The link is up while there is somebody with power. */
static void port_link(struct port *s)
{
    bool present = s->bus.fn[0] != NULL;
    bool up = present && !(port_get(s, VR_PCI_EXP_SLOTCTL) & SLOTCTL_OFF);
    uint32_t sta = port_get(s, VR_PCI_EXP_LINKSTA);
    s->bus.off = !up;
    if (up != !!(sta & LINKSTA_ACTIVE)) {
        port_put(s, VR_PCI_EXP_LINKSTA, sta ^ LINKSTA_ACTIVE);
        port_event(s, SLOTSTA_LINK_CHANGED);
        vr_pci_bus_reset(&s->bus);
    }
}

/* The guest wrote slot control: a command, which is done at once. */
static void port_command(struct port *s)
{
    port_link(s);
    port_event(s, SLOTSTA_COMPLETED);
    uint32_t ctl = port_get(s, VR_PCI_EXP_SLOTCTL);
    bool agrees = ctl & SLOTCTL_OFF;
    bool refuses = !agrees && s->thinks && (ctl & SLOTCTL_LED) == SLOTCTL_LED_ON;
    s->thinks = s->asked && (ctl & SLOTCTL_LED) == SLOTCTL_LED_BLINKS;
    if (s->asked && (agrees || refuses)) {
        s->asked = s->thinks = false;
        if (s->on_answer) {
            s->on_answer(s->opaque, &s->dev, agrees);
        }
    }
}

static void port_written(struct vr_pci *pci, unsigned off, unsigned width)
{
    struct port *s = PORT(pci->host.dev);
    unsigned ctl = pci->host.express + VR_PCI_EXP_SLOTCTL;
    if (off < ctl + 2 && off + width > ctl) {
        port_command(s);
    } else if (off < ctl + 4 && off + width > ctl + 2) {
        port_sync_intx(s);
    }
    if (off >= pci->host.aer) {
        port_sync_intx(s);
    }
    vr_pci_bridge_written(pci, off, width);
}

/* The ids that Red Hat registered for just this: a generic root port. */
static const struct vr_pci_class root_port_pci = {
    .vendor = 0x1b36,
    .device = 0x000c,
    .class_code = CLASS_BRIDGE,
    .bridge = true,
    .intx = true,
    .written = port_written,
};

/* Nobody registered a generic switch. This is Texas Instruments' XIO3130, as whose ports guests
 * take QEMU's, too; no driver asks for more than its class. */
static const struct vr_pci_class downstream_port_pci = {
    .vendor = 0x104c,
    .device = 0x8233,
    .class_code = CLASS_BRIDGE,
    .revision = 1,
    .bridge = true,
    .intx = true,
    .written = port_written,
};

static int port_init(struct vr_dev *d, struct vr_error *err)
{
    struct port *s = PORT(d);
    bool root = port_is_root(s);
    (void)err;
    vr_pci_init(d, root ? &root_port_pci : &downstream_port_pci);
    vr_pci_set_def(&s->pci, VR_PCI_INT_PIN, 1, s->pin);
    vr_pci_set_def(&s->pci, VR_PCI_HEADER, 1, s->multifunction ? 0x81 : 0x01);
    vr_pci_bridge_init(&s->pci, &s->bus, VR_PCI_BUS_LINK);
    vr_pci_add_power(&s->pci);
    vr_pci_add_express(&s->pci, root ? VR_PCI_ROOT_PORT : VR_PCI_DOWNSTREAM);
    vr_pci_set_def(&s->pci, s->pci.host.express + VR_PCI_EXP_FLAGS, 2,
                   vr_pci_get(&s->pci, s->pci.host.express + VR_PCI_EXP_FLAGS, 2) | FLAGS_SLOT);
    vr_pci_set_def(&s->pci, s->pci.host.express + VR_PCI_EXP_SLOTCAP, 4,
                   SLOTCAP_BUTTON | SLOTCAP_POWER | SLOTCAP_ATTENTION_LED | SLOTCAP_POWER_LED |
                       SLOTCAP_HOTPLUG | (uint32_t)s->slot << SLOTCAP_NUMBER);
    s->bus.off = true;
    vr_pci_add_msi(&s->pci, root ? 2 : 1);
    vr_pci_add_aer(&s->pci, root);
    vr_pci_add_acs(&s->pci);
    return 0;
}

/* Power is on, also for those who come later: a guest without a driver for slots does not turn it
 * on. Its indicator is where somebody is. */
static void port_reset(struct vr_dev *d)
{
    struct port *s = PORT(d);
    vr_pci_reset(d);
    s->bus.off = s->bus.fn[0] == NULL;
    if (s->bus.fn[0]) {
        port_put(s, VR_PCI_EXP_SLOTCTL, SLOTCTL_IDLE);
        port_put(s, VR_PCI_EXP_SLOTSTA, SLOTSTA_PRESENT);
        port_put(s, VR_PCI_EXP_LINKSTA, port_get(s, VR_PCI_EXP_LINKSTA) | LINKSTA_ACTIVE);
    }
    vr_pci_bus_remap(&s->bus);
}

static int port_loaded(struct vr_dev *d, struct vr_error *err)
{
    struct port *s = PORT(d);
    int r = vr_pci_loaded(d, err);
    if (r < 0) {
        return r;
    }
    bool present = port_get(s, VR_PCI_EXP_SLOTSTA) & SLOTSTA_PRESENT;
    bool up = port_get(s, VR_PCI_EXP_LINKSTA) & LINKSTA_ACTIVE;
    bool off = port_get(s, VR_PCI_EXP_SLOTCTL) & SLOTCTL_OFF;
    if (present != (s->bus.fn[0] != NULL) || up != (present && !off)) {
        return vr_err(err, -ERANGE, "slot %u: a device and its link are %s, here %s", s->slot,
                      present ? "there" : "not there", s->bus.fn[0] ? "is one" : "is none");
    }
    s->bus.off = !up;
    port_sync_intx(s);
    vr_pci_bus_remap(&s->bus);
    return 0;
}

void vr_pci_root_port_message(struct vr_dev *port, enum vr_pci_message message,
                              const struct vr_pci *from)
{
    static const uint32_t bits[] = {
        [VR_PCI_ERR_COR] = ROOT_COR,
        [VR_PCI_ERR_NONFATAL] = ROOT_UNCOR | ROOT_NONFATAL,
        [VR_PCI_ERR_FATAL] = ROOT_UNCOR | ROOT_FATAL,
    };
    struct port *s = PORT(port);
    bool cor = message == VR_PCI_ERR_COR;
    vr_assert(port_is_root(s));
    vr_dev_lock(port);
    unsigned at = s->pci.host.aer;
    bool was = port_errors_due(s);
    uint32_t sta = vr_pci_get(&s->pci, at + VR_PCI_AER_ROOT_STATUS, 4), add = bits[message];
    /* Its number is bus, device and function; the bridge above it knows what the guest calls its
     * bus. */
    uint32_t id = s->pci.host.devfn;
    if (from) {
        unsigned bus = from->host.bus->bridge->config[VR_PCI_SECONDARY] + vr_pci_sriov_bus(from);
        id = (bus & 0xff) << 8 | from->host.devfn;
    }
    if (sta & (cor ? ROOT_COR : ROOT_UNCOR)) {
        add |= cor ? ROOT_COR_MORE : ROOT_UNCOR_MORE;
    } else {
        add |= message == VR_PCI_ERR_FATAL ? ROOT_FIRST_FATAL : 0;
        vr_pci_put(&s->pci, at + VR_PCI_AER_SOURCE + (cor ? 0 : 2), 2, id);
    }
    vr_pci_put(&s->pci, at + VR_PCI_AER_ROOT_STATUS, 4, sta | add);
    port_sync_intx(s);
    if (!was && port_errors_due(s) && vr_pci_msi_enabled(&s->pci)) {
        vr_pci_msi_notify(&s->pci, 0);
    }
    vr_dev_unlock(port);
}

/* The tree's lock; a port that is nowhere has none. */
static struct vr_dev *port_lock(struct vr_dev *port)
{
    struct vr_dev *host = PORT(port)->bus.root->dev;
    vr_dev_lock(host);
    return host;
}

/* Somebody came or went. */
static void port_presence(struct port *s, uint32_t events)
{
    vr_dev_lock(&s->dev);
    uint32_t sta = port_get(s, VR_PCI_EXP_SLOTSTA);
    port_put(s, VR_PCI_EXP_SLOTSTA,
             s->bus.fn[0] ? sta | SLOTSTA_PRESENT : sta & ~(uint32_t)SLOTSTA_PRESENT);
    s->asked = s->thinks = false;
    port_event(s, SLOTSTA_PRESENCE_CHANGED | events);
    port_link(s);
    vr_dev_unlock(&s->dev);
}

int vr_pci_slot_insert(struct vr_dev *port, struct vr_pci *pci, struct vr_error *err)
{
    struct port *s = PORT(port);
    struct vr_dev *host = port_lock(port);
    int r = vr_pci_plug(&s->bus, 0, pci, err);
    if (r == 0) {
        port_presence(s, SLOTSTA_BUTTON);
    }
    vr_dev_unlock(host);
    return r;
}

int vr_pci_slot_ask(struct vr_dev *port, struct vr_error *err)
{
    struct port *s = PORT(port);
    struct vr_dev *host = port_lock(port);
    int r = s->bus.fn[0] ? 0 : vr_err(err, -ENODEV, "slot %u is empty", s->slot);
    vr_dev_lock(port);
    if (r == 0) {
        s->asked = true;
        port_event(s, SLOTSTA_BUTTON);
    }
    vr_dev_unlock(port);
    vr_dev_unlock(host);
    return r;
}

void vr_pci_slot_on_answer(struct vr_dev *port,
                           void (*fn)(void *opaque, struct vr_dev *port, bool agrees), void *opaque)
{
    vr_dev_lock(port);
    PORT(port)->on_answer = fn;
    PORT(port)->opaque = opaque;
    vr_dev_unlock(port);
}

struct vr_pci *vr_pci_slot_remove(struct vr_dev *port)
{
    struct port *s = PORT(port);
    struct vr_dev *host = port_lock(port);
    struct vr_pci *pci = s->bus.fn[0];
    if (pci) {
        vr_pci_unplug(pci);
    }
    vr_dev_unlock(host);
    if (!pci) {
        return NULL;
    }
    /* Nobody reaches it now. The guest hears of it when nothing is written to its memory any more.
     */
    vr_dev_reset(pci->host.dev);
    vr_dev_quiesce(pci->host.dev);
    (void)port_lock(port);
    port_presence(s, 0);
    vr_dev_unlock(host);
    return pci;
}

void vr_pci_slot_get(struct vr_dev *port, struct vr_pci_slot *ret_slot)
{
    struct port *s = PORT(port);
    struct vr_dev *host = port_lock(port);
    vr_dev_lock(port);
    *ret_slot = (struct vr_pci_slot){
        .pci = s->bus.fn[0],
        .power = !(port_get(s, VR_PCI_EXP_SLOTCTL) & SLOTCTL_OFF),
        .asked = s->asked,
    };
    vr_dev_unlock(port);
    vr_dev_unlock(host);
}

#define VR_SELF struct port
static const struct vr_field port_fields[] = {
    VR_PCI_FIELDS(pci),
    VR_CONFIG(slot, "number of the slot, as the guest sees it", .def = 1, .max = 0x1fff),
    VR_CONFIG(pin, "its interrupt, where there are no messages: 1 to 4, INTA to INTD", .def = 1,
              .min = 1, .max = 4),
    VR_CONFIG(multifunction, "other ports are functions of the same device"),
    VR_STATE(asked, "the guest is asked to let the device go"),
    VR_STATE(thinks, "and shows that it has heard"),
    VR_HOST(bus, "the bus behind it: who is plugged in, made by the board"),
    VR_HOST(on_answer, "who hears what the guest answers"),
    VR_HOST(opaque, "its own"),
    VR_FIELD_END,
};

#define PORT_CLASS(what, text)                                                     \
    {                                                                              \
        .name = (what), .help = (text), .size = sizeof(struct port),               \
        .pci = offsetof(struct port, pci), .version = 1, .fields = port_fields,    \
        .windows = {VR_PCI_CONFIG_WINDOW}, .init = port_init, .reset = port_reset, \
        .loaded = port_loaded, .fini = vr_pci_fini,                                \
    }

const struct vr_dev_class vr_pci_root_port_class =
    PORT_CLASS("pci-root-port", "PCI Express root port, with a slot");

const struct vr_dev_class vr_pci_downstream_port_class =
    PORT_CLASS("pci-downstream-port",
               "PCI Express switch: a downstream port, with a slot (bus=ID of the upstream port)");

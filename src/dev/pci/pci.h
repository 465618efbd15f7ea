/*
 * A PCI Express function: its configuration space, base address registers, and INTx pin.
 *
 * A device that is a PCI function embeds a struct vr_pci in its struct, declares it by
 * VR_PCI_FIELDS in its field table and by `.pci = offsetof(...)` in its class, has
 * VR_PCI_CONFIG_WINDOW as window 0 and the windows behind its base address registers after it. Its
 * init hook calls vr_pci_init and adds its capabilities; its reset, loaded and fini hooks call
 * vr_pci_reset, _loaded and _fini.
 *
 * Registers are described by tables: from one row come the value after reset, what the guest may
 * change, what a snapshot may differ in, and the name. Only the first VR_PCI_KEPT bytes of the
 * 4096 exist; all capabilities fit there.
 *
 * Locks: configuration space is accessed with the host bridge's lock held (pci/bus.h), then those
 * of the bridges in between, then the function's own.
 *
 * Specifications: PCI Local Bus 3.0, chapter 6; PCI Express Base 6.0, chapter 7.
 */
#ifndef VR_DEV_PCI_PCI_H
#define VR_DEV_PCI_PCI_H

#include "core/dev.h"

struct vr_msix;
struct vr_pci;
struct vr_pci_bus;
struct vr_pci_sriov;

enum { VR_PCI_CONFIG = 4096, VR_PCI_KEPT = 512, VR_PCI_BARS = 6, VR_PCI_CAPS = 12 };

/* Offsets in every header, and bits of them. */
enum {
    VR_PCI_VENDOR = 0x00,
    VR_PCI_DEVICE = 0x02,
    VR_PCI_COMMAND = 0x04,
    VR_PCI_STATUS = 0x06,
    VR_PCI_REVISION = 0x08,
    VR_PCI_CLASS = 0x09,
    VR_PCI_HEADER = 0x0e,
    VR_PCI_BAR = 0x10,
    VR_PCI_SECONDARY = 0x19,   /* of a bridge: the guest's number of the bus below, */
    VR_PCI_SUBORDINATE = 0x1a, /* and of the last one below that */
    VR_PCI_SUBVENDOR = 0x2c,
    VR_PCI_SUBDEVICE = 0x2e,
    VR_PCI_CAP_PTR = 0x34,
    VR_PCI_INT_PIN = 0x3d,
    VR_PCI_EXT = 0x100, /* extended capabilities from here on */
};
enum {
    VR_PCI_CMD_IO = 1,
    VR_PCI_CMD_MEM = 2,
    VR_PCI_CMD_MASTER = 4,
    VR_PCI_CMD_NO_INTX = 0x400,
    VR_PCI_STATUS_INTX = 8,
    VR_PCI_STATUS_CAPS = 0x10,
    VR_PCI_STATUS_ERRORS = 0xf900,
};

/* A register of 1, 2 or 4 bytes. */
struct vr_pci_reg {
    const char *name, *help;
    uint16_t off; /* in the capability, or in the configuration space */
    uint8_t width;
    uint32_t def;   /* after reset */
    uint32_t wmask; /* the guest may change */
    uint32_t w1c;   /* a written 1 clears; the device sets */
    uint32_t live;  /* the device changes */
};
#define VR_PCI_REG(o, w, n, h, ...)                                 \
    {                                                               \
        .name = n, .help = h, .off = (o), .width = (w), __VA_ARGS__ \
    }
#define VR_PCI_REG_END \
    {                  \
        .name = NULL   \
    }

/* A capability. Its id and next pointer are written by vr_pci_add_cap. */
struct vr_pci_cap {
    const char *name;
    uint16_t id, len;
    uint8_t version; /* of an extended capability; 0: it is not one */
    const struct vr_pci_reg *regs;
    /* The guest is about to read, or has written, @width bytes at @off of it. May be NULL. */
    void (*reading)(struct vr_pci *pci, unsigned off, unsigned width);
    void (*written)(struct vr_pci *pci, unsigned off, unsigned width);
};

enum vr_pci_bar_kind {
    VR_PCI_BAR_NONE,
    VR_PCI_BAR_IO,
    VR_PCI_BAR_MEM32,
    VR_PCI_BAR_MEM64,          /* takes the next number too */
    VR_PCI_BAR_MEM64_PREFETCH, /* likewise */
};

/* What kind of function. */
struct vr_pci_class {
    uint16_t vendor, device, subvendor, subdevice;
    uint32_t class_code; /* base class, sub-class, interface */
    uint8_t revision;
    bool bridge; /* header type 1 */
    bool intx;   /* has pin INTA */
    struct {
        uint8_t kind;   /* enum vr_pci_bar_kind */
        uint8_t window; /* of the device class: a power of two long, 4 KiB or more if memory */
    } bar[VR_PCI_BARS];
    /* The guest wrote @width bytes at @off of the header. May be NULL. */
    void (*written)(struct vr_pci *pci, unsigned off, unsigned width);
};

struct vr_pci_cap_at {
    const struct vr_pci_cap *cap;
    uint16_t off;
    bool hidden; /* not in the list, and nothing is there */
};

struct vr_pci_host {
    struct vr_dev *dev;
    const struct vr_pci_class *cls;
    struct vr_pci_bus *bus;   /* NULL: not plugged in; a VF: not enabled */
    struct vr_pci_bus *below; /* NULL: not a bridge */
    uint8_t devfn;            /* device << 3 | function */
    uint8_t cap_count;
    struct vr_pci_cap_at cap[VR_PCI_CAPS];
    uint16_t cap_end, ext_end, cap_last, ext_last;
    uint16_t express, power, msi, aer; /* where these capabilities are; 0: not there */
    uint16_t express_at;               /* also while it is hidden */
    struct vr_irq irq;                 /* INTA, as wired by the bus */
    struct vr_msix *msix;              /* NULL: none */
    struct vr_pci_sriov *sriov;        /* of a PF; NULL: it is none */
    uint16_t sriov_cap;                /* where that capability is */
    bool vf;                           /* it is a virtual function; */
    uint16_t vf_index;                 /* which one */
    struct vr_pci *pf;                 /* of whom; NULL: of nobody yet */
    uint64_t bar_gpa[VR_PCI_BARS];     /* where it is mapped */
    bool bar_mapped[VR_PCI_BARS];
    /* What the tables say of each byte. */
    uint8_t def[VR_PCI_KEPT], wmask[VR_PCI_KEPT], w1c[VR_PCI_KEPT], live[VR_PCI_KEPT];
};

struct vr_pci {
    uint8_t config[VR_PCI_KEPT];
    struct vr_pci_host host;
};
extern const struct vr_field vr_pci_fields[];

/* The row of the device's table; @m is its struct vr_pci. */
#define VR_PCI_FIELDS(m)                                                              \
    {                                                                                 \
        .name = "pci", .offset = offsetof(VR_SELF, m), .count = 1,                    \
        .elem_size = sizeof(struct vr_pci), .type = VR_STRUCT, .role = VR_ROLE_STATE, \
        .sub = vr_pci_fields, .help = "the PCI function",                             \
    }

bool vr_pci_config_read(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t *ret_val);
bool vr_pci_config_write(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t val);
#define VR_PCI_CONFIG_WINDOW                                                \
    {                                                                       \
        .name = "config", .len = VR_PCI_CONFIG, .read = vr_pci_config_read, \
        .write = vr_pci_config_write                                        \
    }
enum { VR_PCI_WINDOW = 0 };

/* The PCI function that @dev is, or NULL. */
static inline struct vr_pci *vr_pci_of(struct vr_dev *dev)
{
    return dev->cls->pci ? (struct vr_pci *)(void *)((char *)dev + dev->cls->pci) : NULL;
}

/* For the device's hooks. */
void vr_pci_init(struct vr_dev *dev, const struct vr_pci_class *cls);
void vr_pci_reset(struct vr_dev *dev);
int vr_pci_loaded(struct vr_dev *dev, struct vr_error *err) VR_MUST;
void vr_pci_fini(struct vr_dev *dev);

/* In init, in the order of the lists; returns where it is. */
unsigned vr_pci_add_cap(struct vr_pci *pci, const struct vr_pci_cap *cap);
/* In init: registers of the device's own, where no capability is; a write is told to the class's
 * `written`. */
void vr_pci_add_regs(struct vr_pci *pci, const struct vr_pci_reg *regs);
/* When plugged in: the capability at @at (not an extended one) is in the list, or it is hidden. */
void vr_pci_show_cap(struct vr_pci *pci, unsigned at, bool show);
/* In init or when plugged in: what @width bytes at @off are after reset, and now. */
void vr_pci_set_def(struct vr_pci *pci, unsigned off, unsigned width, uint32_t val);

static inline uint32_t vr_pci_get(const struct vr_pci *pci, unsigned off, unsigned width)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < width; i++) {
        v |= (uint32_t)pci->config[off + i] << (8 * i);
    }
    return v;
}
/* The device changes its own registers; which the table has to say (w1c, live or wmask). */
void vr_pci_put(struct vr_pci *pci, unsigned off, unsigned width, uint32_t val);

/* Under the device's lock: drive the INTx pin. It is seen while the guest did not disable it and
 * neither MSI nor MSI-X is on. A VF has none: nothing happens. */
void vr_pci_set_intx(struct vr_pci *pci, bool level);
void vr_pci_sync_intx(struct vr_pci *pci); /* after any of that changed */
/* May it master the bus: read and write memory, send messages? */
bool vr_pci_is_master(const struct vr_pci *pci);
/* Map the windows as base address registers, command and the bridges above have it. */
void vr_pci_remap(struct vr_pci *pci);
/* For the files of this folder: what a base address register of @bar's kind and length holds, at
 * @at; D0? */
void vr_pci_lay_bar(struct vr_pci *pci, unsigned at, unsigned bar);
bool vr_pci_is_awake(const struct vr_pci *pci);
/* As the guest's function-level reset. */
void vr_pci_function_reset(struct vr_pci *pci);

#endif

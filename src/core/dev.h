/*
 * The device model: a class is one const struct with a field table and a register table; an
 * instance starts with struct vr_dev.
 *
 * Locking: every hook, every timer, every backend completion of a device runs under dev->lock, but
 * for init, quiesce and fini, which may wait for the loop or a timer and so run without it: init
 * before anyone knows the device (connect the backend last), fini after its windows are gone. Lock
 * order: device, interrupt controller, vCPU. A hook never calls into another device's registers,
 * never sleeps. Lifecycle (checked): created (config set, init ran, state at reset values) ->
 * running; save, load and reset at any later time; fini.
 */
#ifndef VR_CORE_DEV_H
#define VR_CORE_DEV_H

#include "base/err.h"
#include "base/field.h"
#include "base/log.h"
#include "core/clock.h"
#include "core/event.h"
#include "core/fdt.h"
#include "core/irq.h"
#include "core/loop.h"
#include "core/request.h"
#include "core/space.h"
#include "platform/lock.h"
#include <stdbool.h>
#include <stdint.h>

struct vr_det;
struct vr_dev;
struct vr_dev_priv;
struct vr_snap;

/* What a device stands on. Tests make one by hand; a machine owns one. Any pointer but clock may be
 * NULL where a class does not need it. */
struct vr_env {
    struct vr_clock *clock;
    struct vr_det *det;   /* deterministic mode (core/det.h); NULL: not */
    struct vr_space *mem; /* DMA */
    struct vr_loop *loop; /* backends */
    struct vr_log *log;
    /* Guest asks the machine for something (power off, reset, panic); may be NULL. Any thread. */
    void (*request)(void *opaque, enum vr_request what, unsigned code);
    /* Tell what happened; may be NULL. Any thread, any lock held. */
    void (*event)(void *opaque, const struct vr_event *event);
    void *opaque; /* of both */
};

/*
 * One guest-visible register, or an array of them (@count > 1, @stride bytes apart). With no hook
 * it is plain storage behind @wmask in the member @member. Hooks get the array index. Access rules:
 * the access must have the register's width, unless the register is `flex`: then narrower aligned
 * accesses inside it read bytes of its value / merge into it (write hook sees the merged value of a
 * backed register or, unbacked, of its read hook's value), and wider ones are split. Anything else
 * is a guest error: reads 0, writes nothing, counted.
 */
struct vr_reg {
    const char *name, *help;
    uint32_t off;
    uint8_t width; /* bytes: 1, 2, 4 or 8 */
    uint8_t type;  /* of the backing member, when @backed */
    bool backed, flex;
    uint32_t member;        /* offset of the backing member (element 0) */
    uint32_t member_stride; /* bytes between elements of the backing member */
    uint32_t count, stride; /* 0 and 1 mean one register */
    uint64_t wmask;         /* backed: bits the guest may change */
    uint64_t (*read)(struct vr_dev *dev, unsigned index);
    void (*write)(struct vr_dev *dev, unsigned index, uint64_t val); /* backed: after the store */
};
#define VR_REG(o, w, n, ...)                                     \
    {                                                            \
        .name = n, .off = (o), .width = (w), .help = __VA_ARGS__ \
    }
#define VR_REG_OF(o, w, n, m, ...)                                                           \
    {                                                                                        \
        .name = n, .off = (o), .width = (w), .backed = true, .member = offsetof(VR_SELF, m), \
        .type = VR_TYPEOF_(((VR_SELF *)0)->m), .help = __VA_ARGS__                           \
    }
/* An array member: VR_REG_ARRAY_OF(off, width, name, member, count, stride, help, ...) */
#define VR_REG_ARRAY_OF(o, w, n, m, cnt, strd, ...)                                          \
    {                                                                                        \
        .name = n, .off = (o), .width = (w), .backed = true, .member = offsetof(VR_SELF, m), \
        .member_stride = sizeof(((VR_SELF *)0)->m[0]), .count = (cnt), .stride = (strd),     \
        .type = VR_TYPEOF_(((VR_SELF *)0)->m[0]), .help = __VA_ARGS__                        \
    }
#define VR_REG_END   \
    {                \
        .name = NULL \
    }

/* A window: a range of a space that the device answers. */
struct vr_window {
    const char *name;
    uint64_t len;
    int prio;                  /* over what else stands there; RAM has 0 */
    bool msi;                  /* devices may write message-signalled interrupts here */
    const struct vr_reg *regs; /* sorted by off; may be NULL when read/write are given */
    /* For what no register covers (FIFOs, opaque areas): returns false for a guest error. May be
     * NULL. */
    bool (*read)(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t *ret_val);
    bool (*write)(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t val);
};
enum { VR_DEV_WINDOWS = 6 };

/* Where a device's counters go. */
struct vr_counts {
    /* @queue: of which queue, or -1: of the whole device. @total: it only grows; else it goes up
     * and down. @name ends with the unit ("copied_bytes"), @help is a line about it. */
    void (*put)(struct vr_counts *to, int queue, const char *name, bool total, uint64_t value,
                const char *help);
};

struct vr_dev_class {
    const char *name, *help;
    size_t size;      /* of the whole device struct; vr_dev comes first */
    uint32_t pci;     /* offset of its struct vr_pci (dev/pci/pci.h); 0: not a PCI function */
    uint16_t version; /* of the saved state */
    const struct vr_field *fields;
    struct vr_window windows[VR_DEV_WINDOWS];              /* until len is 0 */
    int (*init)(struct vr_dev *dev, struct vr_error *err); /* config is set, state is reset */
    void (*reset)(struct vr_dev *dev);                     /* state is already at its defaults */
    int (*loaded)(struct vr_dev *dev,
                  struct vr_error *err); /* state came from a snapshot: check cross-field
                                            rules, re-arm timers, drive wires */
    /* Fill in what is state only when it is saved (quiesced before), or refuse. May be NULL. */
    int (*saving)(struct vr_dev *dev, struct vr_error *err);
    void (*quiesce)(struct vr_dev *dev); /* before save: nothing in flight when it returns; called
                                            WITHOUT the lock; may wait for the loop. May be NULL */
    void (*fini)(struct vr_dev *dev);
    /* Tell what it counts. Called without the lock, which the hook may take. May be NULL. */
    void (*counts)(struct vr_dev *dev, struct vr_counts *to);
    /* Add this device's node(s) to the device tree; the board passes addresses and interrupt via
     * @at. */
    int (*describe)(struct vr_dev *dev, struct vr_fdt *fdt, const struct vr_fdt_at *at);
};

struct vr_dev {
    const struct vr_dev_class *cls;
    char id[32];
    struct vr_env *env;
    struct vr_mutex lock;
    struct vr_view_cache dma; /* for vr_dma_* under the lock */
    uint64_t guest_errors;    /* counted, the first few logged */
    uint64_t reads, writes;   /* of its windows */
    struct vr_dev_priv *priv; /* the core's */
};

/* @opts: "key=value,key,key=value" for CONFIG fields, or NULL. On failure nothing is left behind.
 */
int vr_dev_create(const struct vr_dev_class *cls, const char *id, const char *opts,
                  struct vr_env *env, struct vr_dev **ret_dev, struct vr_error *err) VR_MUST;
/* Unmaps, calls fini; the memory goes when the last reader has left the old view. NULL is fine. */
void vr_dev_destroy(struct vr_dev *dev);
void vr_dev_reset(struct vr_dev *dev);
void vr_dev_quiesce(struct vr_dev *dev); /* the class's quiesce, if it has one; lock not held */
/* Map window @window at @gpa of @space; or, where the guest moves it about, with a priority of its
 * own. Mapping and unmapping follow each other; a hook may do both (of its own device). */
int vr_dev_map(struct vr_dev *dev, unsigned window, struct vr_space *space, uint64_t gpa,
               struct vr_error *err) VR_MUST;
int vr_dev_map_at(struct vr_dev *dev, unsigned window, struct vr_space *space, uint64_t gpa,
                  int prio, struct vr_error *err) VR_MUST;
void vr_dev_unmap(struct vr_dev *dev, unsigned window, struct vr_space *space);
/* Lay @ram from @ram_off (page-aligned) over mapped window @window, as ROM: reads and code come
 * from it, writes still go to the device. A hook may lay and unlay, so that flash shows its array
 * or its registers; unmapping the window unlays it. */
int vr_dev_overlay(struct vr_dev *dev, unsigned window, struct vr_ram *ram, uint64_t ram_off,
                   struct vr_error *err) VR_MUST;
void vr_dev_unlay(struct vr_dev *dev, unsigned window); /* nothing laid is fine */

static inline void vr_dev_lock(struct vr_dev *dev)
{
    vr_mutex_lock(&dev->lock);
}
static inline void vr_dev_unlock(struct vr_dev *dev)
{
    vr_mutex_unlock(&dev->lock);
}

/* Take the lock and access a window. width 1, 2, 4, 8; off + width inside the window. */
uint64_t vr_dev_read(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width);
void vr_dev_write(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width, uint64_t val);
/* The same for who holds the lock: a device's second door to its own registers. */
uint64_t vr_dev_read_locked(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width);
void vr_dev_write_locked(struct vr_dev *dev, unsigned window, uint64_t off, unsigned width,
                         uint64_t val);

/* One section named by the device's id. Save: quiesced before. A load that fails leaves the device
 * as it was if the section is bad, and reset if the class's loaded hook refused the state. */
int vr_dev_save(struct vr_dev *dev, struct vr_snap *snap, struct vr_error *err) VR_MUST;
int vr_dev_load(struct vr_dev *dev, struct vr_snap *snap, struct vr_error *err) VR_MUST;

/* The guest did something a driver must not: counted, traced, the first few logged at debug level.
 */
void vr_guest_error(struct vr_dev *dev, const char *fmt, ...) VR_PRINTF(2, 3);

#endif

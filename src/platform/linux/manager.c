/*
 * Devices on their way between host and guests: scans, plans (pci_plan.c) and open devices (vfio.c)
 * put together. When the host wants a device back, VFIO tells by its request interrupt
 * (VFIO_PCI_REQ_IRQ_INDEX in linux/vfio.h), an eventfd(2).
 */
#include "base/alloc.h"
#include "platform/linux/manager_priv.h"
#include "platform/pci.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

/* A device that is attached, or that was only bound because it shares a group with one. */
struct mgr_device {
    struct vireo_pci_addr addr;
    int group;
    bool took;              /* it was bound to VFIO here, and is to be given back */
    struct vireo_vfio *dev; /* NULL: not open */
    int unplug_fd;          /* -1: none */
};

struct vireo_manager {
    struct vireo_manager_options options;
    struct vr_vfio_sys sys;
    struct vireo_pci *pci;
    struct vireo_vfio_space *space; /* NULL before the first device */
    struct mgr_device *devices;
    size_t count, room;
};

/* ---- Looking ---- */

int vireo_manager_scan(struct vireo_manager *m, struct vr_error *err)
{
    struct vireo_pci *pci;
    int r = vireo_pci_scan(&m->options.pci, &pci, err);
    if (r < 0) {
        return r;
    }
    vireo_pci_destroy(m->pci);
    m->pci = pci;
    return 0;
}

int vr_manager_create(const struct vireo_manager_options *options, const struct vr_vfio_sys *sys,
                      struct vireo_manager **ret_manager, struct vr_error *err)
{
    struct vireo_manager *m = vr_zalloc(sizeof(*m));
    if (!m) {
        return vr_err(err, -ENOMEM, "no memory for a manager of devices");
    }
    if (options) {
        m->options = *options;
    }
    m->sys = *sys;
    int r = vireo_manager_scan(m, err);
    if (r < 0) {
        free(m);
        return r;
    }
    *ret_manager = m;
    return 0;
}

int vireo_manager_create(const struct vireo_manager_options *options,
                         struct vireo_manager **ret_manager, struct vr_error *err)
{
    struct vr_vfio_sys sys = vr_vfio_sys_host();
    return vr_manager_create(options, &sys, ret_manager, err);
}

void vireo_manager_destroy(struct vireo_manager *m)
{
    if (!m) {
        return;
    }
    while (m->count) {
        size_t i = 0;
        while (i < m->count && !m->devices[i].dev) {
            i++;
        }
        if (i == m->count) {
            break;
        }
        /* Whether it can be given back or not, it is closed. */
        (void)!vireo_manager_detach(m, m->devices[i].addr, NULL);
    }
    vireo_vfio_space_destroy(m->space);
    vireo_pci_destroy(m->pci);
    free(m->devices);
    free(m);
}

const struct vireo_pci *vireo_manager_pci(const struct vireo_manager *m)
{
    return m->pci;
}

struct vireo_vfio_space *vireo_manager_space(const struct vireo_manager *m)
{
    return m->space;
}

static bool mgr_passes(const struct vireo_manager *m, const struct vireo_pci_device *dev,
                       const struct vireo_manager_filter *f)
{
    struct vireo_readiness ready;
    return (!(f->with & VIREO_FILTER_KIND) || dev->kind == f->kind) &&
           (!(f->with & VIREO_FILTER_VENDOR) || dev->vendor_id == f->vendor_id) &&
           (!(f->with & VIREO_FILTER_DEVICE) || dev->device_id == f->device_id) &&
           (!(f->with & VIREO_FILTER_DRIVER) || strcmp(dev->driver, f->driver) == 0) &&
           (!(f->with & VIREO_FILTER_GROUP) || dev->iommu_group == f->iommu_group) &&
           (!(f->with & VIREO_FILTER_READY) ||
            (vireo_pci_readiness(m->pci, dev->addr, &ready, NULL) == 0 &&
             ready.verdict <= f->at_most));
}

size_t vireo_manager_list(const struct vireo_manager *m, const struct vireo_manager_filter *filter,
                          struct vireo_pci_addr *ret_list, size_t cap)
{
    static const struct vireo_manager_filter all = {0};
    size_t count = 0;
    for (size_t i = 0; i < m->pci->count; i++) {
        if (mgr_passes(m, &m->pci->devices[i], filter ? filter : &all)) {
            if (count < cap) {
                ret_list[count] = m->pci->devices[i].addr;
            }
            count++;
        }
    }
    return count;
}

/* ---- States ---- */

static struct mgr_device *mgr_find(const struct vireo_manager *m, struct vireo_pci_addr addr)
{
    for (size_t i = 0; i < m->count; i++) {
        if (vireo_pci_addr_compare(m->devices[i].addr, addr) == 0) {
            return &m->devices[i];
        }
    }
    return NULL;
}

static struct mgr_device *mgr_attached(const struct vireo_manager *m, struct vireo_pci_addr addr)
{
    struct mgr_device *d = mgr_find(m, addr);
    return d && d->dev ? d : NULL;
}

/* 1: the host wants it back. The eventfd is only polled, so that it stays so. */
static int mgr_wanted(const struct mgr_device *d, int timeout_ms)
{
    struct pollfd wait = {.fd = d->unplug_fd, .events = POLLIN};
    int r = poll(&wait, 1, timeout_ms);
    return r < 0 ? -errno : r;
}

enum vireo_manager_state vireo_manager_state(struct vireo_manager *m, struct vireo_pci_addr addr)
{
    char path[VR_SYSFS_PATH], text[VIREO_PCI_DRIVER_SIZE];
    const struct mgr_device *d = mgr_attached(m, addr);
    const struct vr_sysfs *fs = &m->pci->fs;
    uint64_t vendor;
    if (vr_sysfs_u64(fs, vr_pci_path(path, addr, "vendor"), UINT16_MAX, &vendor) < 0) {
        return VIREO_STATE_GONE;
    }
    if (d) {
        return d->unplug_fd >= 0 && mgr_wanted(d, 0) == 1 ? VIREO_STATE_WANTED
                                                          : VIREO_STATE_ATTACHED;
    }
    if (vr_sysfs_link(fs, vr_pci_path(path, addr, "driver"), text, sizeof(text)) < 0) {
        return VIREO_STATE_FREE;
    }
    if (!vr_pci_is_vfio_driver(text)) {
        return VIREO_STATE_HOST;
    }
    const struct vireo_pci_device *dev = vireo_pci_find(m->pci, addr);
    for (size_t i = 0; dev && i < m->count; i++) {
        if (m->devices[i].dev && m->devices[i].group == dev->iommu_group) {
            return VIREO_STATE_BOUND; /* the group is in use, but by us */
        }
    }
    return dev && vr_vfio_group_busy(fs, dev->iommu_group) ? VIREO_STATE_USED : VIREO_STATE_BOUND;
}

struct vireo_vfio *vireo_manager_device(const struct vireo_manager *m, struct vireo_pci_addr addr)
{
    const struct mgr_device *d = mgr_attached(m, addr);
    return d ? d->dev : NULL;
}

int vireo_manager_unplug_fd(const struct vireo_manager *m, struct vireo_pci_addr addr)
{
    const struct mgr_device *d = mgr_attached(m, addr);
    return d ? d->unplug_fd : -1;
}

static int mgr_not_attached(struct vireo_pci_addr addr, struct vr_error *err)
{
    char name[VIREO_PCI_ADDR_SIZE];
    return vr_err(err, -ENODEV, "%s is not attached here", vireo_pci_addr_format(addr, name));
}

int vireo_manager_wait(const struct vireo_manager *m, struct vireo_pci_addr addr, int timeout_ms,
                       struct vr_error *err)
{
    const struct mgr_device *d = mgr_attached(m, addr);
    if (!d) {
        return mgr_not_attached(addr, err);
    }
    if (d->unplug_fd < 0) {
        return vr_err(err, -ENOTSUP, "%s: VFIO does not tell when the host wants it back",
                      vireo_vfio_name(d->dev));
    }
    int r = mgr_wanted(d, timeout_ms);
    return r < 0 ? vr_err(err, r, "%s: %s", vireo_vfio_name(d->dev), strerror(-r)) : r;
}

/* ---- Attach and detach ---- */

static struct mgr_device *mgr_add(struct vireo_manager *m, const struct vireo_pci_device *dev)
{
    struct mgr_device *d = mgr_find(m, dev->addr);
    if (d) {
        return d;
    }
    if (m->count == m->room) {
        size_t room = m->room ? m->room * 2 : 8;
        struct mgr_device *more = realloc(m->devices, room * sizeof(*more));
        if (!more) {
            return NULL;
        }
        m->devices = more;
        m->room = room;
    }
    d = &m->devices[m->count++];
    *d = (struct mgr_device){.addr = dev->addr, .group = dev->iommu_group, .unplug_fd = -1};
    return d;
}

static void mgr_forget(struct vireo_manager *m, struct mgr_device *d)
{
    *d = m->devices[--m->count];
}

/* Note what binding @dev will take from the host's drivers. */
static int mgr_note(struct vireo_manager *m, const struct vireo_pci_device *dev, bool whole_group)
{
    for (size_t i = 0; i < m->pci->count; i++) {
        const struct vireo_pci_device *other = &m->pci->devices[i];
        bool with = other == dev ||
                    (whole_group && dev->iommu_group >= 0 &&
                     other->iommu_group == dev->iommu_group && other->kind != VIREO_PCI_BRIDGE);
        if (!with || (other != dev && vr_pci_is_vfio_driver(other->driver))) {
            continue;
        }
        struct mgr_device *d = mgr_add(m, other);
        if (!d) {
            return -ENOMEM;
        }
        d->took = d->took || !vr_pci_is_vfio_driver(other->driver);
    }
    return 0;
}

static int mgr_run(struct vireo_manager *m, struct vireo_plan *plan, struct vr_error *err)
{
    int r = vireo_plan_run(plan, m->options.step, m->options.opaque, err);
    vireo_plan_destroy(plan);
    return r;
}

/* Is a device of @group open here? */
static bool mgr_group_open(const struct vireo_manager *m, int group)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->devices[i].dev && m->devices[i].group == group) {
            return true;
        }
    }
    return false;
}

/* Give @d back to its driver. One that has gone is back already. */
static int mgr_give_back(struct vireo_manager *m, struct mgr_device *d, struct vr_error *err)
{
    struct vireo_plan *plan;
    if (!d->took || vireo_manager_state(m, d->addr) == VIREO_STATE_GONE) {
        return 0;
    }
    int r = vireo_plan_vfio_unbind(m->pci, d->addr, false, &plan, err);
    r = r < 0 ? r : mgr_run(m, plan, err);
    return r < 0 && vireo_manager_state(m, d->addr) == VIREO_STATE_GONE ? 0 : r;
}

/* What was taken of @group goes back, and is forgotten in any case. The first failure is told. */
static int mgr_settle_group(struct vireo_manager *m, int group, struct vr_error *err)
{
    int code = 0;
    struct vr_error scan_err;
    if (mgr_group_open(m, group)) {
        return 0;
    }
    if (vireo_manager_scan(m, &scan_err) < 0) {
        code = vr_err(err, scan_err.code, "%s", scan_err.msg);
    }
    for (size_t i = m->count; i-- > 0;) {
        struct mgr_device *d = &m->devices[i];
        struct vr_error why;
        if (d->group != group || d->dev) {
            continue;
        }
        int r = code < 0 ? 0 : mgr_give_back(m, d, &why);
        if (r < 0) {
            code = vr_err(err, r, "%s", why.msg);
        }
        mgr_forget(m, d);
    }
    struct vr_error last_err;
    if (vireo_manager_scan(m, &last_err) < 0 && code == 0) {
        code = vr_err(err, last_err.code, "%s", last_err.msg);
    }
    return code;
}

/* The notice of hot-unplug. Devices that have none are used without. */
static int mgr_watch(struct mgr_device *d, struct vr_error *err)
{
    struct vireo_vfio_irq irq;
    int r = vireo_vfio_irq(d->dev, VIREO_VFIO_IRQ_REQ, &irq, err);
    if (r < 0 || irq.count == 0) {
        return r;
    }
    d->unplug_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->unplug_fd < 0) {
        int code = -errno;
        d->unplug_fd = -1;
        return vr_err(err, code, "eventfd: %s", strerror(-code));
    }
    return vireo_vfio_irq_enable(d->dev, VIREO_VFIO_IRQ_REQ, 0, &d->unplug_fd, 1, err);
}

static void mgr_close(struct mgr_device *d)
{
    vireo_vfio_close(d->dev);
    d->dev = NULL;
    if (d->unplug_fd >= 0) {
        close(d->unplug_fd);
    }
    d->unplug_fd = -1;
}

static int mgr_open(struct vireo_manager *m, struct vireo_pci_addr addr, struct vr_error *err)
{
    struct vireo_vfio_options o = {.root = m->options.pci.root, .way = m->options.way};
    struct mgr_device *d = mgr_find(m, addr);
    int r = m->space ? 0 : vr_vfio_space_create(&o, &m->sys, &m->space, err);
    r = r < 0 ? r : vireo_vfio_open(m->space, addr, &d->dev, err);
    if (r < 0) {
        return r;
    }
    r = mgr_watch(d, err);
    if (r < 0) {
        mgr_close(d);
    }
    return r;
}

int vireo_manager_attach(struct vireo_manager *m, struct vireo_pci_addr addr, bool whole_group,
                         struct vireo_vfio **ret_dev, struct vr_error *err)
{
    char name[VIREO_PCI_ADDR_SIZE];
    struct vireo_plan *plan;
    vireo_pci_addr_format(addr, name);
    if (mgr_attached(m, addr)) {
        return vr_err(err, -EALREADY, "%s is attached already", name);
    }
    int r = vireo_manager_scan(m, err);
    r = r < 0 ? r : vireo_plan_vfio_bind(m->pci, addr, whole_group, &plan, err);
    if (r < 0) {
        return r;
    }
    const struct vireo_pci_device *dev = vireo_pci_find(m->pci, addr);
    int group = dev->iommu_group;
    if (mgr_note(m, dev, whole_group) < 0) {
        vireo_plan_destroy(plan);
        return vr_err(err, -ENOMEM, "%s: no memory to attach it", name);
    }
    struct vr_error why = {0};
    r = mgr_run(m, plan, &why);
    r = r < 0 ? r : mgr_open(m, addr, &why);
    if (r < 0) {
        struct vr_error back;
        bool undone = mgr_settle_group(m, group, &back) == 0;
        return vr_err(err, r, "%s%s", why.msg, undone ? "" : " (its driver could not get it back)");
    }
    *ret_dev = mgr_find(m, addr)->dev;
    /* Should this look fail, the last one stays, which is no reason to give the device up. */
    (void)!vireo_manager_scan(m, NULL);
    return 0;
}

int vireo_manager_detach(struct vireo_manager *m, struct vireo_pci_addr addr, struct vr_error *err)
{
    struct mgr_device *d = mgr_attached(m, addr);
    if (!d) {
        return mgr_not_attached(addr, err);
    }
    int group = d->group;
    mgr_close(d);
    return mgr_settle_group(m, group, err);
}

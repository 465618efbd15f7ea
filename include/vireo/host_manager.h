/*
 * One place for the devices of this host that guests are to have: found, judged, taken from the
 * host's drivers, opened, watched, and given back.
 *
 *     struct vireo_manager *m;
 *     struct vireo_manager_filter gpus = {.kind = VIREO_PCI_GPU, .with = VIREO_FILTER_KIND};
 *     struct vireo_pci_addr list[8];
 *     struct vireo_vfio *dev;
 *     if (vireo_manager_create(NULL, &m, &err) == 0 &&
 *         vireo_manager_list(m, &gpus, list, 8) > 0 &&
 *         vireo_manager_attach(m, list[0], true, &dev, &err) == 0) {
 *         ... poll vireo_manager_unplug_fd(m, list[0]) ...
 *         vireo_manager_detach(m, list[0], &err);
 *     }
 *     vireo_manager_destroy(m);
 *
 * All attached devices share one address space (vireo/host_vfio.h). A manager belongs to one thread
 * at a time. Errors: as in vireo/host_pci.h and vireo/host_vfio.h.
 */
#ifndef VIREO_HOST_MANAGER_H
#define VIREO_HOST_MANAGER_H

#include "vireo/host_vfio.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vireo_manager;

struct vireo_manager_options {
    struct vireo_pci_options pci; /* where to look; the strings have to live as long as it */
    enum vireo_vfio_way way;
    /* Called after each step that was carried out on the host; may be NULL. */
    void (*step)(void *opaque, size_t i, const struct vireo_step *step);
    void *opaque;
};

/* Look at the host; nothing is changed or opened. @options NULL: all zero. */
VIREO_API int vireo_manager_create(const struct vireo_manager_options *options,
                                   struct vireo_manager **ret_manager, struct vr_error *err);
/* Detach what is attached, as far as that works, and forget all. NULL is fine. */
VIREO_API void vireo_manager_destroy(struct vireo_manager *manager);

/* Look again. What came from the last look (vireo_manager_pci) is gone then; on failure it stays.
 */
VIREO_API int vireo_manager_scan(struct vireo_manager *manager, struct vr_error *err);
/* The last look, until the next. Attaching and detaching look, too. */
VIREO_API const struct vireo_pci *vireo_manager_pci(const struct vireo_manager *manager);
/* What attached devices see as memory; NULL before the first one. */
VIREO_API struct vireo_vfio_space *vireo_manager_space(const struct vireo_manager *manager);

/* Bits: which members of a filter count. */
enum {
    VIREO_FILTER_KIND = 1 << 0,
    VIREO_FILTER_VENDOR = 1 << 1,
    VIREO_FILTER_DEVICE = 1 << 2,
    VIREO_FILTER_DRIVER = 1 << 3,
    VIREO_FILTER_GROUP = 1 << 4,
    VIREO_FILTER_READY = 1 << 5,
};
struct vireo_manager_filter {
    unsigned with; /* VIREO_FILTER_* */
    enum vireo_pci_kind kind;
    uint16_t vendor_id, device_id;
    const char *driver;       /* "": none bound */
    int iommu_group;          /* -1: in none */
    enum vireo_ready at_most; /* READY: only what can go now; AFTER: what can be made to */
};
/* The devices of the last look that pass @filter (NULL: all), by address, at most @cap to
 * @ret_list. How many there are. */
VIREO_API size_t vireo_manager_list(const struct vireo_manager *manager,
                                    const struct vireo_manager_filter *filter,
                                    struct vireo_pci_addr *ret_list, size_t cap);

enum vireo_manager_state {
    VIREO_STATE_FREE,     /* no driver has it */
    VIREO_STATE_HOST,     /* a driver of the host */
    VIREO_STATE_BOUND,    /* VFIO has it, and nobody uses it */
    VIREO_STATE_USED,     /* another process uses it through VFIO */
    VIREO_STATE_ATTACHED, /* this manager has it open */
    VIREO_STATE_WANTED,   /* the same, and the host wants it back: detach it soon */
    VIREO_STATE_GONE,     /* it is not there (any more) */
};
/* "free", "host", ...: static storage. */
VIREO_API const char *vireo_manager_state_name(enum vireo_manager_state state);
/* How it stands with the device at @addr now; looks at the host. */
VIREO_API enum vireo_manager_state vireo_manager_state(struct vireo_manager *manager,
                                                       struct vireo_pci_addr addr);

/*
 * Take the device at @addr (with @whole_group all of its IOMMU group) from the host's drivers, if
 * need be, and open it; *ret_dev is the manager's. When the opening fails, the drivers get back
 * what they had. -EALREADY: it is attached; and what vireo_plan_vfio_bind, vireo_plan_run and
 * vireo_vfio_open answer.
 */
VIREO_API int vireo_manager_attach(struct vireo_manager *manager, struct vireo_pci_addr addr,
                                   bool whole_group, struct vireo_vfio **ret_dev,
                                   struct vr_error *err);
/*
 * Close it. With the last attached device of a group, the drivers get back what
 * vireo_manager_attach took from them; a device that has gone needs none. -ENODEV: it is not
 * attached. On other failures it is closed, too, and stays bound to VFIO.
 */
VIREO_API int vireo_manager_detach(struct vireo_manager *manager, struct vireo_pci_addr addr,
                                   struct vr_error *err);
/* The open device at @addr; NULL: not attached. */
VIREO_API struct vireo_vfio *vireo_manager_device(const struct vireo_manager *manager,
                                                  struct vireo_pci_addr addr);

/* Hot-unplug: an eventfd that becomes readable when the host wants the attached device at @addr
 * back, which waits for vireo_manager_detach. Only poll it. -1: not attached, or this device cannot
 * tell. */
VIREO_API int vireo_manager_unplug_fd(const struct vireo_manager *manager,
                                      struct vireo_pci_addr addr);
/* Wait for that, at most @timeout_ms (-1: without end). 1: it is wanted; 0: not yet; -ENODEV: not
 * attached; -ENOTSUP: this device cannot tell. */
VIREO_API int vireo_manager_wait(const struct vireo_manager *manager, struct vireo_pci_addr addr,
                                 int timeout_ms, struct vr_error *err);

#ifdef __cplusplus
}
#endif

#endif

/*
 * Where there is no VFIO: the way in says so, and nothing behind it can be reached, for nobody
 * holds an address space or a manager.
 */
#include "base/err.h"
#include "vireo/host_manager.h"

#include <errno.h>
#include <stddef.h>

static int none_err(struct vr_error *err)
{
    return vr_err(err, -ENOTSUP, "devices are given to guests by VFIO, which only Linux has");
}

int vireo_vfio_space_create(const struct vireo_vfio_options *options,
                            struct vireo_vfio_space **ret_space, struct vr_error *err)
{
    (void)options;
    (void)ret_space;
    return none_err(err);
}

void vireo_vfio_space_destroy(struct vireo_vfio_space *space)
{
    vr_assert(!space);
}

enum vireo_vfio_way vireo_vfio_space_way(const struct vireo_vfio_space *space)
{
    vr_assert(!space); /* there are none */
    return VIREO_VFIO_AUTO;
}

bool vireo_vfio_iova_range(const struct vireo_vfio_space *space, size_t i,
                           struct vireo_iova_range *ret_range)
{
    (void)i;
    (void)ret_range;
    vr_assert(!space); /* there are none */
    return false;
}

uint64_t vireo_vfio_iova_align(const struct vireo_vfio_space *space)
{
    vr_assert(!space); /* there are none */
    return 0;
}

int vireo_vfio_dma_map(struct vireo_vfio_space *space, uint64_t iova, void *hva, uint64_t len,
                       bool writable, struct vr_error *err)
{
    (void)iova;
    (void)hva;
    (void)len;
    (void)writable;
    vr_assert(!space); /* there are none */
    return none_err(err);
}

int vireo_vfio_dma_unmap(struct vireo_vfio_space *space, uint64_t iova, uint64_t len,
                         struct vr_error *err)
{
    (void)iova;
    (void)len;
    vr_assert(!space); /* there are none */
    return none_err(err);
}

int vireo_vfio_open(struct vireo_vfio_space *space, struct vireo_pci_addr addr,
                    struct vireo_vfio **ret_dev, struct vr_error *err)
{
    (void)addr;
    (void)ret_dev;
    vr_assert(!space); /* there are none */
    return none_err(err);
}

int vireo_vfio_open_mdev(struct vireo_vfio_space *space, const char *uuid,
                         struct vireo_vfio **ret_dev, struct vr_error *err)
{
    (void)uuid;
    (void)ret_dev;
    vr_assert(!space); /* there are none */
    return none_err(err);
}

void vireo_vfio_close(struct vireo_vfio *dev)
{
    vr_assert(!dev);
}

const char *vireo_vfio_name(const struct vireo_vfio *dev)
{
    vr_assert(!dev); /* there are none */
    return NULL;
}

bool vireo_vfio_can_reset(const struct vireo_vfio *dev)
{
    vr_assert(!dev); /* there are none */
    return false;
}

int vireo_vfio_reset(struct vireo_vfio *dev, struct vr_error *err)
{
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

int vireo_vfio_hot_reset_info(struct vireo_vfio *dev, struct vireo_vfio_dependent *ret_list,
                              size_t cap, size_t *ret_count, struct vr_error *err)
{
    (void)ret_list;
    (void)cap;
    (void)ret_count;
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

int vireo_vfio_hot_reset(struct vireo_vfio *dev, struct vr_error *err)
{
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

size_t vireo_vfio_region_count(const struct vireo_vfio *dev)
{
    vr_assert(!dev); /* there are none */
    return 0;
}

const struct vireo_vfio_region *vireo_vfio_region(const struct vireo_vfio *dev, unsigned index)
{
    (void)index;
    vr_assert(!dev); /* there are none */
    return NULL;
}

int vireo_vfio_read(struct vireo_vfio *dev, unsigned index, uint64_t off, unsigned width,
                    uint64_t *ret_val, struct vr_error *err)
{
    (void)index;
    (void)off;
    (void)width;
    (void)ret_val;
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

int vireo_vfio_write(struct vireo_vfio *dev, unsigned index, uint64_t off, unsigned width,
                     uint64_t val, struct vr_error *err)
{
    (void)index;
    (void)off;
    (void)width;
    (void)val;
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

int vireo_vfio_read_bytes(struct vireo_vfio *dev, unsigned index, uint64_t off, void *buf,
                          size_t len, size_t *ret_len, struct vr_error *err)
{
    (void)index;
    (void)off;
    (void)buf;
    (void)len;
    (void)ret_len;
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

int vireo_vfio_map(struct vireo_vfio *dev, unsigned index, uint64_t off, uint64_t len,
                   bool writable, void **ret_hva, struct vr_error *err)
{
    (void)index;
    (void)off;
    (void)len;
    (void)writable;
    (void)ret_hva;
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

void vireo_vfio_unmap(struct vireo_vfio *dev, void *hva)
{
    (void)hva;
    vr_assert(!dev); /* there are none */
}

int vireo_vfio_irq(const struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind,
                   struct vireo_vfio_irq *ret_irq, struct vr_error *err)
{
    (void)kind;
    (void)ret_irq;
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

int vireo_vfio_irq_enable(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind, unsigned first,
                          const int *fds, unsigned count, struct vr_error *err)
{
    (void)kind;
    (void)first;
    (void)fds;
    (void)count;
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

int vireo_vfio_irq_disable(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind,
                           struct vr_error *err)
{
    (void)kind;
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

int vireo_vfio_irq_mask(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind, unsigned i,
                        bool mask, struct vr_error *err)
{
    (void)kind;
    (void)i;
    (void)mask;
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

int vireo_vfio_intx_unmask_fd(struct vireo_vfio *dev, int fd, struct vr_error *err)
{
    (void)fd;
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

int vireo_vfio_irq_trigger(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind, unsigned i,
                           struct vr_error *err)
{
    (void)kind;
    (void)i;
    vr_assert(!dev); /* there are none */
    return none_err(err);
}

int vireo_vfio_try(struct vireo_vfio_space *space, struct vireo_pci_addr addr,
                   void (*tell)(void *opaque, const char *line), void *opaque, struct vr_error *err)
{
    (void)addr;
    (void)tell;
    (void)opaque;
    vr_assert(!space); /* there are none */
    return none_err(err);
}

int vireo_manager_create(const struct vireo_manager_options *options,
                         struct vireo_manager **ret_manager, struct vr_error *err)
{
    (void)options;
    (void)ret_manager;
    return none_err(err);
}

void vireo_manager_destroy(struct vireo_manager *manager)
{
    vr_assert(!manager);
}

int vireo_manager_scan(struct vireo_manager *manager, struct vr_error *err)
{
    vr_assert(!manager); /* there are none */
    return none_err(err);
}

const struct vireo_pci *vireo_manager_pci(const struct vireo_manager *manager)
{
    vr_assert(!manager); /* there are none */
    return NULL;
}

struct vireo_vfio_space *vireo_manager_space(const struct vireo_manager *manager)
{
    vr_assert(!manager); /* there are none */
    return NULL;
}

size_t vireo_manager_list(const struct vireo_manager *manager,
                          const struct vireo_manager_filter *filter,
                          struct vireo_pci_addr *ret_list, size_t cap)
{
    (void)filter;
    (void)ret_list;
    (void)cap;
    vr_assert(!manager); /* there are none */
    return 0;
}

enum vireo_manager_state vireo_manager_state(struct vireo_manager *manager,
                                             struct vireo_pci_addr addr)
{
    (void)addr;
    vr_assert(!manager); /* there are none */
    return VIREO_STATE_GONE;
}

int vireo_manager_attach(struct vireo_manager *manager, struct vireo_pci_addr addr,
                         bool whole_group, struct vireo_vfio **ret_dev, struct vr_error *err)
{
    (void)addr;
    (void)whole_group;
    (void)ret_dev;
    vr_assert(!manager); /* there are none */
    return none_err(err);
}

int vireo_manager_detach(struct vireo_manager *manager, struct vireo_pci_addr addr,
                         struct vr_error *err)
{
    (void)addr;
    vr_assert(!manager); /* there are none */
    return none_err(err);
}

struct vireo_vfio *vireo_manager_device(const struct vireo_manager *manager,
                                        struct vireo_pci_addr addr)
{
    (void)addr;
    vr_assert(!manager); /* there are none */
    return NULL;
}

int vireo_manager_unplug_fd(const struct vireo_manager *manager, struct vireo_pci_addr addr)
{
    (void)addr;
    vr_assert(!manager); /* there are none */
    return -1;
}

int vireo_manager_wait(const struct vireo_manager *manager, struct vireo_pci_addr addr,
                       int timeout_ms, struct vr_error *err)
{
    (void)addr;
    (void)timeout_ms;
    vr_assert(!manager); /* there are none */
    return none_err(err);
}

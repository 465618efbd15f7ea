/*
 * Where the host's PCI devices are not read: the ways in say so, and nothing behind them can be
 * reached, for nobody holds a picture of devices or a plan.
 */
#include "base/err.h"
#include "vireo/host_mdev.h"
#include "vireo/host_sriov.h"

#include <errno.h>
#include <stddef.h>

static int none_err(struct vr_error *err)
{
    return vr_err(err, -ENOTSUP,
                  "Vireo reads PCI devices from sysfs, which this host does not have");
}

/* ---- Devices and groups -------------------------------------------------------------------- */

int vireo_pci_scan(const struct vireo_pci_options *options, struct vireo_pci **ret_pci,
                   struct vr_error *err)
{
    (void)options;
    (void)ret_pci;
    return none_err(err);
}

void vireo_pci_destroy(struct vireo_pci *pci)
{
    vr_assert(!pci); /* there are none */
}

size_t vireo_pci_count(const struct vireo_pci *pci)
{
    vr_assert(!pci);
    return 0;
}

const struct vireo_pci_device *vireo_pci_at(const struct vireo_pci *pci, size_t i)
{
    (void)i;
    vr_assert(!pci);
    return NULL;
}

const struct vireo_pci_device *vireo_pci_find(const struct vireo_pci *pci,
                                              struct vireo_pci_addr addr)
{
    (void)addr;
    vr_assert(!pci);
    return NULL;
}

const char *vireo_pci_problem(const struct vireo_pci *pci, size_t i)
{
    (void)i;
    vr_assert(!pci);
    return NULL;
}

enum vireo_iommu_kind vireo_iommu_kind(const struct vireo_pci *pci)
{
    vr_assert(!pci);
    return VIREO_IOMMU_NONE;
}

size_t vireo_iommu_group_count(const struct vireo_pci *pci)
{
    vr_assert(!pci);
    return 0;
}

const struct vireo_iommu_group *vireo_iommu_group_at(const struct vireo_pci *pci, size_t i)
{
    (void)i;
    vr_assert(!pci);
    return NULL;
}

const struct vireo_iommu_group *vireo_iommu_group_find(const struct vireo_pci *pci, int number)
{
    (void)number;
    vr_assert(!pci);
    return NULL;
}

int vireo_pci_readiness(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                        struct vireo_readiness *ret_readiness, struct vr_error *err)
{
    (void)addr;
    (void)ret_readiness;
    vr_assert(!pci);
    return none_err(err);
}

/* ---- Plans --------------------------------------------------------------------------------- */

int vireo_plan_sriov_create(const struct vireo_pci *pci, struct vireo_pci_addr addr, unsigned count,
                            struct vireo_plan **ret_plan, struct vr_error *err)
{
    (void)addr;
    (void)count;
    (void)ret_plan;
    vr_assert(!pci);
    return none_err(err);
}

int vireo_plan_sriov_set(const struct vireo_pci *pci, struct vireo_pci_addr addr, unsigned count,
                         struct vireo_plan **ret_plan, struct vr_error *err)
{
    return vireo_plan_sriov_create(pci, addr, count, ret_plan, err);
}

int vireo_plan_sriov_delete(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                            struct vireo_plan **ret_plan, struct vr_error *err)
{
    return vireo_plan_sriov_create(pci, addr, 0, ret_plan, err);
}

int vireo_plan_sriov_delete_used(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                                 struct vireo_plan **ret_plan, struct vr_error *err)
{
    return vireo_plan_sriov_create(pci, addr, 0, ret_plan, err);
}

int vireo_plan_vf_set(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                      const struct vireo_vf_settings *settings, struct vireo_plan **ret_plan,
                      struct vr_error *err)
{
    (void)settings;
    return vireo_plan_sriov_create(pci, addr, 0, ret_plan, err);
}

int vireo_plan_vfio_bind(const struct vireo_pci *pci, struct vireo_pci_addr addr, bool whole_group,
                         struct vireo_plan **ret_plan, struct vr_error *err)
{
    (void)whole_group;
    return vireo_plan_sriov_create(pci, addr, 0, ret_plan, err);
}

int vireo_plan_vfio_unbind(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                           bool whole_group, struct vireo_plan **ret_plan, struct vr_error *err)
{
    (void)whole_group;
    return vireo_plan_sriov_create(pci, addr, 0, ret_plan, err);
}

size_t vireo_plan_count(const struct vireo_plan *plan)
{
    vr_assert(!plan);
    return 0;
}

const struct vireo_step *vireo_plan_step(const struct vireo_plan *plan, size_t i)
{
    (void)i;
    vr_assert(!plan);
    return NULL;
}

int vireo_plan_run(struct vireo_plan *plan,
                   void (*done)(void *opaque, size_t i, const struct vireo_step *step),
                   void *opaque, struct vr_error *err)
{
    (void)done;
    (void)opaque;
    vr_assert(!plan);
    return none_err(err);
}

void vireo_plan_destroy(struct vireo_plan *plan)
{
    vr_assert(!plan); /* there are none */
}

/* ---- Parts of devices ---------------------------------------------------------------------- */

int vireo_sriov_list(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                     struct vireo_vf *ret_list, size_t cap, size_t *ret_count, struct vr_error *err)
{
    (void)addr;
    (void)ret_list;
    (void)cap;
    (void)ret_count;
    vr_assert(!pci);
    return none_err(err);
}

int vireo_mdev_types(const char *root, struct vireo_mdev_type *ret_list, size_t cap,
                     size_t *ret_count, struct vr_error *err)
{
    (void)root;
    (void)ret_list;
    (void)cap;
    (void)ret_count;
    return none_err(err);
}

int vireo_mdev_list(const char *root, struct vireo_mdev *ret_list, size_t cap, size_t *ret_count,
                    struct vr_error *err)
{
    (void)root;
    (void)ret_list;
    (void)cap;
    (void)ret_count;
    return none_err(err);
}

int vireo_mdev_create(const char *root, const char *parent, const char *type, const char *uuid,
                      char ret_uuid[VIREO_UUID_SIZE], struct vr_error *err)
{
    (void)root;
    (void)parent;
    (void)type;
    (void)uuid;
    (void)ret_uuid;
    return none_err(err);
}

int vireo_mdev_destroy(const char *root, const char *uuid, struct vr_error *err)
{
    (void)root;
    (void)uuid;
    return none_err(err);
}

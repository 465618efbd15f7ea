/*
 * Virtual functions one by one: the links virtfnN of Documentation/ABI/testing/sysfs-bus-pci of
 * Linux say which is which, rtnetlink what the driver lets each do.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "platform/linux/rtnetlink.h"
#include "platform/pci.h"
#include "platform/pci_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The first network interface of @pf: its name and number. */
static int sriov_interface(const struct vireo_pci *pci, const struct vireo_pci_device *pf,
                           char ret_name[32], uint32_t *ret_index)
{
    char path[VR_SYSFS_PATH], attr[64];
    struct vr_sysfs_list names;
    uint64_t index;
    int r = vr_sysfs_list(&pci->fs, vr_pci_path(path, pf->addr, "net"), &names);
    if (r < 0) {
        return r;
    }
    r = names.count && strlen(names.names[0]) < 32 ? 0 : -ENOENT;
    if (r == 0) {
        snprintf(attr, sizeof(attr), "net/%.31s/ifindex", names.names[0]);
        r = vr_sysfs_u64(&pci->fs, vr_pci_path(path, pf->addr, attr), INT32_MAX, &index);
    }
    if (r == 0) {
        snprintf(ret_name, 32, "%.31s", names.names[0]);
        *ret_index = (uint32_t)index;
    }
    vr_sysfs_list_free(&names);
    return r;
}

bool vr_vfio_group_busy(const struct vr_sysfs *fs, int group)
{
    char path[32];
    if (group < 0) {
        return false;
    }
    snprintf(path, sizeof(path), "dev/vfio/%d", group);
    int fd = openat(fs->root_fd, path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        close(fd);
    }
    return fd < 0 && errno == EBUSY;
}

static void sriov_owner(const struct vireo_pci *pci, struct vireo_vf *vf)
{
    char path[VR_SYSFS_PATH];
    const struct vireo_pci_device *dev = vireo_pci_find(pci, vf->addr);
    if (vr_sysfs_link(&pci->fs, vr_pci_path(path, vf->addr, "driver"), vf->driver,
                      sizeof(vf->driver)) < 0) {
        vf->driver[0] = 0;
    }
    vf->owner = !*vf->driver                                            ? VIREO_VF_FREE
                : !vr_pci_is_vfio_driver(vf->driver)                    ? VIREO_VF_HOST
                : dev && vr_vfio_group_busy(&pci->fs, dev->iommu_group) ? VIREO_VF_GUEST
                                                                        : VIREO_VF_VFIO;
}

/* The address behind virtfn@index. */
static int sriov_address(const struct vireo_pci *pci, const struct vireo_pci_device *pf,
                         unsigned index, struct vireo_pci_addr *ret_addr)
{
    char path[VR_SYSFS_PATH], attr[24], name[64];
    snprintf(attr, sizeof(attr), "virtfn%u", index);
    int r = vr_sysfs_link(&pci->fs, vr_pci_path(path, pf->addr, attr), name, sizeof(name));
    return r < 0 ? r : vireo_pci_addr_parse(name, ret_addr, NULL);
}

static int sriov_find_pf(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                         const struct vireo_pci_device **ret_pf, struct vr_error *err)
{
    char name[VIREO_PCI_ADDR_SIZE];
    *ret_pf = vireo_pci_find(pci, addr);
    vireo_pci_addr_format(addr, name);
    return !*ret_pf ? vr_err(err, -ENODEV, "%s: this host has no such PCI device", name)
           : (*ret_pf)->sriov_total == 0
               ? vr_err(err, -ENOTSUP, "%s is no physical function with SR-IOV", name)
               : 0;
}

/* The settings of all functions of @pf; *ret_all is the caller's to free, NULL: they are not to be
 * had. */
static int sriov_settings(const struct vireo_pci *pci, const struct vireo_pci_device *pf,
                          unsigned count, struct vr_rtnl_vf **ret_all, struct vr_error *err)
{
    char name[32];
    uint32_t ifindex;
    *ret_all = NULL;
    if (!pci->rtnl.ask || sriov_interface(pci, pf, name, &ifindex) < 0) {
        return 0;
    }
    struct vr_rtnl_vf *all = vr_zalloc_array(count, sizeof(*all));
    if (!all) {
        return vr_err(err, -ENOMEM, "no memory for the settings of %u functions", count);
    }
    int r = vr_rtnl_vfs(&pci->rtnl, ifindex, all, count, err);
    if (r == -ENODEV) { /* it has gone meanwhile, or is in another network namespace */
        free(all);
        return 0;
    }
    if (r < 0) {
        free(all);
        return vr_err_in(err, r, "%s", name);
    }
    *ret_all = all;
    return 0;
}

int vireo_sriov_list(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                     struct vireo_vf *ret_list, size_t cap, size_t *ret_count, struct vr_error *err)
{
    const struct vireo_pci_device *pf;
    struct vr_rtnl_vf *all;
    char path[VR_SYSFS_PATH];
    uint64_t count = 0;
    size_t found = 0;
    int r = sriov_find_pf(pci, addr, &pf, err);
    if (r < 0) {
        return r;
    }
    r = vr_sysfs_u64(&pci->fs, vr_pci_path(path, addr, "sriov_numvfs"), UINT16_MAX, &count);
    if (r < 0) {
        return vr_err(err, r, "/%s: %s", path, strerror(-r));
    }
    r = sriov_settings(pci, pf, (unsigned)count, &all, err);
    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; i < count; i++) {
        struct vireo_vf vf = {.index = i};
        if (sriov_address(pci, pf, i, &vf.addr) < 0) {
            continue; /* gone, or the tree does not have it */
        }
        sriov_owner(pci, &vf);
        if (all && all[i].there) {
            vf.settings = all[i].settings;
            vf.has_stats = all[i].has_stats;
            vf.stats = all[i].stats;
        }
        if (found < cap) {
            ret_list[found] = vf;
        }
        found++;
    }
    free(all);
    *ret_count = found;
    return 0;
}

/* ---- Changing ---- */

/* Which of @pf's functions is at @addr? */
static int sriov_index(const struct vireo_pci *pci, const struct vireo_pci_device *pf,
                       struct vireo_pci_addr addr, unsigned *ret_index)
{
    for (unsigned i = 0; i < pf->sriov_total; i++) {
        struct vireo_pci_addr at;
        if (sriov_address(pci, pf, i, &at) == 0 && vireo_pci_addr_compare(at, addr) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    return -ENODEV;
}

static int sriov_steps(struct vireo_plan *plan, const char *name, uint32_t ifindex, unsigned index,
                       const struct vireo_vf_settings *is, const struct vireo_vf_settings *want)
{
    static const char *const whys[] = {"its MAC",          "its VLAN and priority",
                                       "what it may send", "whether it is trusted",
                                       "spoof check",      "its link"};
    for (unsigned i = 0; i < sizeof(whys) / sizeof(whys[0]); i++) {
        unsigned bit = 1u << i;
        char text[VIREO_VF_SETTING_SIZE];
        if (!(want->known & bit) || ((is->known & bit) && vr_vf_setting_is(is, want, bit))) {
            continue;
        }
        struct vr_plan_entry *entry = vr_plan_add(plan, VIREO_STEP_VF, (struct vireo_pci_addr){0},
                                                  "sys/class/net/", "", whys[i]);
        if (!entry) {
            return -ENOMEM;
        }
        snprintf(entry->step.path, sizeof(entry->step.path), "sys/class/net/%s, function %u", name,
                 index);
        snprintf(entry->step.text, sizeof(entry->step.text), "%s",
                 vireo_vf_setting_format(want, bit, text));
        entry->vf = (struct vr_plan_vf){
            .ifindex = ifindex, .index = index, .bit = bit, .want = *want, .was = *is};
    }
    return 0;
}

int vireo_plan_vf_set(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                      const struct vireo_vf_settings *settings, struct vireo_plan **ret_plan,
                      struct vr_error *err)
{
    const struct vireo_pci_device *dev = vireo_pci_find(pci, addr), *pf;
    char name[VIREO_PCI_ADDR_SIZE], interface[32];
    struct vr_rtnl_vf *all = NULL;
    struct vireo_plan *plan;
    uint32_t ifindex;
    unsigned index;
    vireo_pci_addr_format(addr, name);
    if (!dev) {
        return vr_err(err, -ENODEV, "%s: this host has no such PCI device", name);
    }
    if (!dev->is_vf) {
        return vr_err(err, -ENOTSUP,
                      "%s is no virtual function: name one ('vireo platform sriov' lists them)",
                      name);
    }
    if (!pci->rtnl.ask) {
        return vr_err(err, -ENOTSUP,
                      "%s: settings are in the running kernel, not in files: only this host's can "
                      "be changed, without another root",
                      name);
    }
    pf = vireo_pci_find(pci, dev->physfn);
    if (!pf || sriov_index(pci, pf, addr, &index) < 0) {
        return vr_err(err, -ENODEV, "%s: its physical function does not know it: scan again", name);
    }
    if (sriov_interface(pci, pf, interface, &ifindex) < 0) {
        return vr_err(err, -ENOTSUP,
                      "%s: its physical function has no network interface here: no network device, "
                      "or without its driver",
                      name);
    }
    int r = sriov_settings(pci, pf, index + 1, &all, err);
    if (r < 0) {
        return vr_err_in(err, r, "%s", name);
    }
    if (!all || !all[index].there) {
        free(all);
        return vr_err(err, -ENOTSUP,
                      "%s: the driver %s of its physical function tells nothing of "
                      "it, so it cannot be set",
                      name, pf->driver);
    }
    r = vr_plan_create(&pci->fs, &plan, err);
    if (r == 0) {
        plan->rtnl = pci->rtnl;
        r = sriov_steps(plan, interface, ifindex, index, &all[index].settings, settings);
        r = vr_plan_finish(plan, r == -ENOMEM ? 0 : r, ret_plan, err);
    }
    free(all);
    return r;
}

/* ---- In a plan ---- */

bool vr_vf_setting_is(const struct vireo_vf_settings *is, const struct vireo_vf_settings *want,
                      unsigned bit)
{
    char a[VIREO_VF_SETTING_SIZE], b[VIREO_VF_SETTING_SIZE];
    return !(is->known & bit) ||
           strcmp(vireo_vf_setting_format(is, bit, a), vireo_vf_setting_format(want, bit, b)) == 0;
}

static int sriov_read_back(const struct vireo_plan *plan, const struct vr_plan_vf *vf,
                           struct vr_error *err)
{
    char is[VIREO_VF_SETTING_SIZE];
    struct vr_rtnl_vf *all = vr_zalloc_array(vf->index + 1, sizeof(*all));
    if (!all) {
        return vr_err(err, -ENOMEM, "no memory to read a setting back");
    }
    int r = vr_rtnl_vfs(&plan->rtnl, vf->ifindex, all, vf->index + 1, err);
    const struct vr_rtnl_vf *now = &all[vf->index];
    if (r == 0 && !now->there) {
        r = vr_err(err, -ENODEV, "the function has gone");
    } else if (r == 0 && !vr_vf_setting_is(&now->settings, &vf->want, vf->bit)) {
        r = vr_err(err, -EIO, "the driver accepted it, but it is '%s'",
                   vireo_vf_setting_format(&now->settings, vf->bit, is));
    }
    free(all);
    return r;
}

int vr_plan_vf_run(const struct vireo_plan *plan, const struct vr_plan_vf *vf, struct vr_error *err)
{
    int r = vr_rtnl_change(&plan->rtnl, vf->ifindex, vf->index, vf->bit, &vf->want, err);
    if (r == -EOPNOTSUPP) {
        return vr_err_in(err, r, "the driver cannot do that");
    }
    if (r == -EINVAL || r == -ERANGE) {
        return vr_err_in(err, r, "the driver does not take this value");
    }
    if (r == -EPERM) {
        return vr_err_in(err, r, "that takes root's rights (CAP_NET_ADMIN)");
    }
    if (r < 0) {
        return r;
    }
    r = sriov_read_back(plan, vf, err);
    if (r < 0 && !vr_plan_vf_undo(plan, vf)) {
        return vr_err_in(err, r, "this setting could not be put back");
    }
    return r;
}

bool vr_plan_vf_undo(const struct vireo_plan *plan, const struct vr_plan_vf *vf)
{
    return (vf->was.known & vf->bit) &&
           vr_rtnl_change(&plan->rtnl, vf->ifindex, vf->index, vf->bit, &vf->was, NULL) == 0;
}

/*
 * SR-IOV on the virt machine. A disk, a network card or another virtio device with the option
 * sriov_pf=ID is a virtual function of device ID, which has as many as name it. Each has its own
 * host end, as all devices do; the guest decides when it sees them.
 */
#include "base/bits.h"
#include "base/err.h"
#include "board/virt_riscv_priv.h"
#include "dev/pci/bus.h"
#include "dev/pci/sriov.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Functions of a device on the root bus, where nobody forwards alternative routing ids. */
enum { SRIOV_ROOT_VFS = 7 };

/* What follows @key ("name=") in @opts, or NULL. */
static const char *sriov_opt(const char *opts, const char *key)
{
    size_t len = strlen(key);
    for (const char *at = opts; at && *at; at += strcspn(at, ","), at += *at == ',') {
        if (strncmp(at, key, len) == 0) {
            return at + len;
        }
    }
    return NULL;
}

bool virt_vf_of(const char *opts, char ret_pf[VIRT_ID_LEN])
{
    const char *id = sriov_opt(opts, "sriov_pf=");
    if (id) {
        snprintf(ret_pf, VIRT_ID_LEN, "%.*s", (int)strcspn(id, ","), id);
    }
    return id != NULL;
}

static bool sriov_names(const char *opts, const char *id)
{
    char pf[VIRT_ID_LEN];
    return virt_vf_of(opts, pf) && strcmp(pf, id) == 0;
}

static unsigned sriov_count(const struct vr_virt_opts *o, const char *id)
{
    unsigned count = 0;
    for (unsigned i = 0; i < o->disk_count; i++) {
        count += sriov_names(o->disk[i].opts, id);
    }
    for (unsigned i = 0; i < o->net_count; i++) {
        count += sriov_names(o->net[i].opts, id);
    }
    for (unsigned i = 0; i < o->device_count; i++) {
        count += sriov_names(o->device[i].opts, id);
    }
    return count;
}

int virt_pf_opts(const struct vr_virt *v, const struct vr_dev_class *cls, const char *id,
                 const char *opts, char *ret_opts, size_t size, struct vr_error *err)
{
    unsigned count = v->wanted ? sriov_count(v->wanted, id) : 0;
    if (sriov_opt(opts, "vfs=")) {
        return vr_err(err, -EINVAL, "%s: vfs is counted: give each virtual function sriov_pf=%s",
                      id, id);
    }
    if (count == 0) {
        *ret_opts = '\0';
        return 0;
    }
    if (!vr_field_find(cls->fields, "vfs")) {
        return vr_err(err, -EINVAL,
                      "%s (%s) cannot have virtual functions: virtio devices on PCI can", id,
                      cls->name);
    }
    if (snprintf(ret_opts, size, "%s%svfs=%u", opts ? opts : "", opts && *opts ? "," : "", count) >=
        (int)size) {
        return vr_err(err, -EINVAL, "%s: options '%.40s...' are too long", id, opts);
    }
    return 0;
}

int virt_add_vf(struct vr_virt *v, const struct vr_dev_class *cls, const char *id, const char *opts,
                const char *pf_id, struct vr_dev **ret_dev, struct vr_error *err)
{
    struct vr_dev *dev = vr_machine_find_dev(v->machine, pf_id);
    struct vr_pci *pf = dev ? vr_pci_of(dev) : NULL;
    if (!pf || !pf->host.bus) {
        return vr_err(err, -EINVAL, "%s: sriov_pf=%s: no device of this name stands before it", id,
                      pf_id);
    }
    unsigned index = 0;
    while (pf->host.sriov && index < pf->host.sriov->total && pf->host.sriov->vf[index]) {
        index++;
    }
    if (!pf->host.bus->bridge && index >= SRIOV_ROOT_VFS) {
        return vr_err(
            err, -ENOSPC,
            "%s: %s is on the root bus and has %d virtual functions already: put it behind "
            "a root port",
            id, pf_id, SRIOV_ROOT_VFS);
    }
    int r = virt_new(v, cls, id, opts, &dev, err);
    return r < 0
               ? r
               : virt_settle(v, dev, vr_pci_sriov_attach(pf, index, vr_pci_of(dev), err), ret_dev);
}

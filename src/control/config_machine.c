/* --machine virt,aia=none|aplic|aplic-imsic,virtio=pci|mmio: the kind of machine, and its variants;
 * --device CLASS,KEY=VALUE,... and --watchdog: more devices for it. */
#include "base/bits.h"
#include "base/text.h"
#include "board/catalog.h"
#include "control/config.h"
#include "core/dev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int machine_key(struct vireo_config *c, const struct vr_opt *opt, const char *key,
                       const char *value, struct vr_error *err)
{
    static const char *const aia[] = {[VR_VIRT_AIA_NONE] = "none",
                                      [VR_VIRT_AIA_APLIC] = "aplic",
                                      [VR_VIRT_AIA_APLIC_IMSIC] = "aplic-imsic"};
    if (strcmp(key, "virtio") == 0) {
        bool mmio = value && strcmp(value, "mmio") == 0;
        if (!mmio && (!value || strcmp(value, "pci") != 0)) {
            return vr_err(err, -EINVAL, "virtio=%s: expected pci or mmio", value ? value : "");
        }
        c->virtio_mmio = mmio;
        return 0;
    }
    if (strcmp(key, "aia") != 0) {
        return vr_config_unknown_key(opt, key, err);
    }
    for (unsigned i = 0; value && i < VR_COUNT(aia); i++) {
        if (strcmp(value, aia[i]) == 0) {
            c->aia = (enum vr_virt_aia)i;
            return 0;
        }
    }
    return vr_err(err, -EINVAL, "aia=%s: expected none, aplic or aplic-imsic", value ? value : "");
}

int vr_config_machine(void *target, const struct vr_opt *opt, const char *text,
                      struct vr_error *err)
{
    struct vireo_config *c = target;
    const struct vr_catalog_machine *kind = vr_catalog_machine(0);
    enum vr_virt_aia was = c->aia;
    bool was_mmio = c->virtio_mmio;
    char *key, *value;
    unsigned pieces = 0;
    int r;
    c->aia = VR_VIRT_AIA_NONE;
    c->virtio_mmio = false;
    while ((r = vr_opt_piece(&text, &key, &value, err)) == 1) {
        if (pieces++ > 0 || value) {
            r = machine_key(c, opt, key, value, err);
        } else if (strcmp(key, kind->name) != 0) {
            r = vr_err(err, -EINVAL, "no machine '%s': there is %s", key, kind->name);
        }
        free(key);
        if (r < 0) {
            c->aia = was;
            c->virtio_mmio = was_mmio;
            break;
        }
    }
    return r;
}

const struct vr_opt_key vr_config_machine_keys[] = {
    {"aia", "none|aplic|aplic-imsic",
     "interrupt controllers: none, a PLIC; those of the RISC-V Advanced Interrupt Architecture: "
     "aplic, wires to the harts; aplic-imsic, messages to them"},
    {"virtio", "pci|mmio",
     "where disks, networks and other virtio devices are: pci, PCI Express; mmio, registers at "
     "fixed "
     "addresses, for kernels without PCI"},
    {NULL, NULL, NULL},
};

void vr_config_device_fini(struct vr_config_device *d)
{
    free(d->cls);
    free(d->opts);
    *d = (struct vr_config_device){0};
}

/* The class's options are checked when the device is made: nothing else knows them. */
int vr_config_device(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vireo_config *c = target;
    size_t len = strcspn(text, ",");
    (void)opt;
    if (c->device_count == VR_VIRT_DEVICES) {
        return vr_err(err, -ERANGE, "at most %d devices", VR_VIRT_DEVICES);
    }
    struct vr_config_device d = {.cls = strndup(text, len),
                                 .opts = text[len] ? strdup(text + len + 1) : NULL};
    if (!d.cls || (text[len] && !d.opts)) {
        vr_config_device_fini(&d);
        return vr_err(err, -ENOMEM, "no memory");
    }
    if (!vr_catalog_find_class(d.cls)) {
        const char *names[VR_CONFIG_CLASSES];
        size_t count = 0;
        const struct vr_dev_class *cls;
        while (count < VR_CONFIG_CLASSES && (cls = vr_catalog_class((unsigned)count))) {
            names[count++] = cls->name;
        }
        const char *near = vr_nearest(d.cls, names, count);
        int r = vr_err(err, -EINVAL, "no device class '%s'%s%s%s (vireo devices lists them)", d.cls,
                       near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
        vr_config_device_fini(&d);
        return r;
    }
    c->device[c->device_count++] = d;
    return 0;
}

/* ---- --watchdog i6300esb[,action=...] ---- */

int vr_config_watchdog(void *target, const struct vr_opt *opt, const char *text,
                       struct vr_error *err)
{
    struct vireo_config *c = target;
    static const char cls[] = "i6300esb";
    size_t len = strcspn(text, ",");
    if (len != strlen(cls) || strncmp(text, cls, len) != 0) {
        return vr_err(err, -EINVAL, "no watchdog '%.*s': there is %s", (int)len, text, cls);
    }
    for (unsigned i = 0; i < c->device_count; i++) {
        if (strcmp(c->device[i].cls, cls) == 0) {
            return vr_err(err, -EEXIST, "there is one already");
        }
    }
    return vr_config_device(target, opt, text, err);
}

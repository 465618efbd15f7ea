/* --machine virt,aia=none|aplic|aplic-imsic,virtio=pci|mmio,slots=N: the kind of machine, and its
 * variants; --watchdog, --balloon and --rng: devices that it may have. */
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
    if (strcmp(key, "slots") == 0) {
        uint64_t n;
        if (!value || vr_parse_u64(value, &n) < 0 || n > VR_VIRT_SLOTS_MAX) {
            return vr_err(err, -EINVAL, "slots=%s: expected 0 to %d", value ? value : "",
                          VR_VIRT_SLOTS_MAX);
        }
        c->slots = (unsigned)n;
        return 0;
    }
    if (strcmp(key, "aia") != 0) {
        return vr_config_unknown_key(opt, key, err);
    }
    int i = value ? vr_word(value, aia, VR_COUNT(aia)) : -1;
    if (i < 0) {
        return vr_err(err, -EINVAL, "aia=%s: expected none, aplic or aplic-imsic",
                      value ? value : "");
    }
    c->aia = (enum vr_virt_aia)i;
    return 0;
}

int vr_config_machine(void *target, const struct vr_opt *opt, const char *text,
                      struct vr_error *err)
{
    struct vireo_config *c = target;
    const struct vr_catalog_machine *kind = vr_catalog_machine(0);
    enum vr_virt_aia was = c->aia;
    bool was_mmio = c->virtio_mmio;
    unsigned was_slots = c->slots;
    char *key, *value;
    unsigned pieces = 0;
    int r;
    c->aia = VR_VIRT_AIA_NONE;
    c->virtio_mmio = false;
    c->slots = VR_VIRT_SLOTS;
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
            c->slots = was_slots;
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
    {"slots", "COUNT",
     "empty slots on PCI Express, where devices can be plugged in while the machine runs: port0, "
     "port1, ..."},
    {NULL, NULL, NULL},
};

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

/* ---- --balloon on|off|KEY[=VALUE],... ---- */

const struct vr_opt_key vr_config_balloon_keys[] = {
    {"take", "SIZE", "memory that the guest shall keep in it from the start"},
    {NULL, NULL, NULL},
};

static int machine_balloon_key(struct vireo_config *c, const struct vr_opt *opt, const char *key,
                               const char *value, struct vr_error *err)
{
    if (strcmp(key, "take") == 0) {
        return value && vr_parse_size(value, &c->balloon_bytes) == 0
                   ? 0
                   : vr_err(err, -EINVAL, "take=%s: expected a size such as 256M",
                            value ? value : "");
    }
    int r = vr_config_of_class(opt, key, value, &c->balloon_opts, err);
    return r < 0 ? r : r == 1 ? 0 : vr_config_unknown_key(opt, key, err);
}

int vr_config_balloon(void *target, const struct vr_opt *opt, const char *text,
                      struct vr_error *err)
{
    struct vireo_config *c = target;
    bool on;
    free(c->balloon_opts);
    c->balloon_opts = NULL;
    c->balloon_bytes = 0;
    if (vr_parse_bool(text, &on) == 0) {
        c->balloon = on;
        return 0;
    }
    char *key, *value;
    int r;
    while ((r = vr_opt_piece(&text, &key, &value, err)) == 1) {
        r = machine_balloon_key(c, opt, key, value, err);
        free(key);
        if (r < 0) {
            break;
        }
    }
    c->balloon = r == 0;
    return r;
}

/* ---- --rng on|off|KEY=VALUE,... ---- */

int vr_config_rng(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vireo_config *c = target;
    char *key, *value;
    bool on = true;
    int r;
    free(c->rng_opts);
    c->rng_opts = NULL;
    if (vr_parse_bool(text, &on) == 0) {
        c->no_rng = !on;
        return 0;
    }
    while ((r = vr_opt_piece(&text, &key, &value, err)) == 1) {
        r = vr_config_of_class(opt, key, value, &c->rng_opts, err);
        r = r == 0 ? vr_config_unknown_key(opt, key, err) : r;
        free(key);
        if (r < 0) {
            break;
        }
    }
    c->no_rng = r < 0;
    return r;
}

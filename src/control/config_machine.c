/* --machine virt,aia=none|aplic|aplic-imsic: the kind of machine, and its variants. */
#include "base/bits.h"
#include "board/catalog.h"
#include "control/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int machine_key(struct vireo_config *c, const struct vr_opt *opt, const char *key,
                       const char *value, struct vr_error *err)
{
    static const char *const aia[] = {[VR_VIRT_AIA_NONE] = "none",
                                      [VR_VIRT_AIA_APLIC] = "aplic",
                                      [VR_VIRT_AIA_APLIC_IMSIC] = "aplic-imsic"};
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
    char *key, *value;
    unsigned pieces = 0;
    int r;
    c->aia = VR_VIRT_AIA_NONE;
    while ((r = vr_opt_piece(&text, &key, &value, err)) == 1) {
        if (pieces++ > 0 || value) {
            r = machine_key(c, opt, key, value, err);
        } else if (strcmp(key, kind->name) != 0) {
            r = vr_err(err, -EINVAL, "no machine '%s': there is %s", key, kind->name);
        }
        free(key);
        if (r < 0) {
            c->aia = was;
            break;
        }
    }
    return r;
}

const struct vr_opt_key vr_config_machine_keys[] = {
    {"aia", "none|aplic|aplic-imsic",
     "interrupt controllers: none, a PLIC; those of the RISC-V Advanced Interrupt Architecture: "
     "aplic, wires to the harts; aplic-imsic, messages to them"},
    {NULL, NULL, NULL},
};

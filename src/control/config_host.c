/* --huge-pages, --numa-node and --pin: what a machine takes of the host. */
#include "base/bits.h"
#include "base/text.h"
#include "control/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int vr_config_huge(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vireo_config *c = target;
    uint64_t bytes = 0;
    (void)opt;
    if (strcmp(text, "off") != 0 &&
        (vr_parse_size(text, &bytes) < 0 || bytes < 4096 || !vr_is_pow2(bytes))) {
        return vr_err(err, -EINVAL, "expected a page size such as 2M or 1G, or off");
    }
    c->use.huge_bytes = bytes;
    return 0;
}

int vr_config_node(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vireo_config *c = target;
    uint64_t node;
    (void)opt;
    if (strcmp(text, "any") == 0) {
        c->use.node = VIREO_NODE_ANY;
        return 0;
    }
    if (vr_parse_u64(text, &node) < 0 || node > INT16_MAX) {
        return vr_err(err, -EINVAL, "expected the number of a node, or any");
    }
    c->use.node = (int)node;
    return 0;
}

static const char *const host_policies[] = {
    [VIREO_PLACE_NONE] = "none",
    [VIREO_PLACE_LOCAL] = "local",
    [VIREO_PLACE_SPREAD] = "spread",
    [VIREO_PLACE_COMPACT] = "compact",
};

int vr_config_pin(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vireo_config *c = target;
    int i = vr_word(text, host_policies, VR_COUNT(host_policies));
    (void)opt;
    if (i >= 0) {
        c->use.policy = (enum vireo_place_policy)i;
        return 0;
    }
    const char *near = vr_nearest(text, host_policies, VR_COUNT(host_policies));
    return vr_err(err, -EINVAL, "expected none, local, spread or compact%s%s%s",
                  near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
}

/* As if the user had said it, so that it is explained like that. */
int vireo_config_use_host(struct vireo_config *c, const struct vireo_host_use *use,
                          struct vr_error *err)
{
    char huge[32] = "off", node[16] = "any";
    if ((unsigned)use->policy >= VR_COUNT(host_policies)) {
        return vr_err(err, -EINVAL, "host use: unknown policy %d", (int)use->policy);
    }
    if (use->huge_bytes) {
        snprintf(huge, sizeof(huge), "%" PRIu64, use->huge_bytes);
    }
    if (use->node != VIREO_NODE_ANY) {
        snprintf(node, sizeof(node), "%d", use->node);
    }
    int r = vireo_config_set(c, "huge-pages", huge, err);
    r = r < 0 ? r : vireo_config_set(c, "numa-node", node, err);
    return r < 0 ? r : vireo_config_set(c, "pin", host_policies[use->policy], err);
}

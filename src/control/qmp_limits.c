/* Commands of the control protocol that change host ends while the machine runs: the cable of a
 * network card, the limits of a disk. They are the machine's from then on, also in snapshots, in
 * clones and after a migration. */
#include "backend/block/block.h"
#include "backend/net/net.h"
#include "base/bits.h"
#include "control/qmp_commands.h"
#include "control/vm_priv.h"

#include <errno.h>
#include <string.h>

int vr_qmp_set_link(struct vr_qmp_call *call, struct vr_error *err)
{
    const char *name = vr_qmp_arg(call, "name");
    bool up = json_is_true(json_object_get(call->args, "up"));
    vr_machine_hold_devs(call->vm->machine);
    struct vr_net *net = vr_virt_net(call->vm->virt, name);
    if (net) {
        vr_net_set_link(net, up);
    }
    vr_machine_release_devs(call->vm->machine);
    return net ? 0 : vr_err(err, -ENODEV, "Device '%.80s' not found", name);
}

/* Keys of a disk's limits, in the order of VR_BLK_LIMIT_*. */
static const char *const limits_bytes[] = {"bps", "bps_rd", "bps_wr"};
static const char *const limits_requests[] = {"iops", "iops_rd", "iops_wr"};

/* What is given; the rest stays. */
static int limits_take(const json_t *args, struct vr_blk_limits *limits, struct vr_error *err)
{
    for (unsigned i = 0; i < 2 * VR_BLK_LIMITED; i++) {
        unsigned k = i % VR_BLK_LIMITED;
        const char *key = i < VR_BLK_LIMITED ? limits_bytes[k] : limits_requests[k];
        const json_t *value = json_object_get(args, key);
        if (value && json_integer_value(value) < 0) {
            return vr_err(err, -EINVAL, "%s must be 0 or more", key);
        }
        if (value) {
            *(i < VR_BLK_LIMITED ? &limits->bytes_s[k] : &limits->requests_s[k]) =
                (uint64_t)json_integer_value(value);
        }
    }
    return 0;
}

/* @keep: what is not given stays. */
static int limits_set(struct vr_qmp_call *call, const char *name, bool keep, struct vr_error *err)
{
    struct vr_blk_limits limits = {0};
    vr_machine_hold_devs(call->vm->machine);
    struct vr_blk *blk = vr_virt_find_disk(call->vm->virt, name);
    int r = blk ? 0 : vr_err(err, -ENODEV, "Device '%.80s' not found", name);
    if (r == 0 && keep) {
        vr_blk_get_limits(blk, &limits);
    }
    r = r < 0 ? r : limits_take(call->args, &limits, err);
    r = r < 0 ? r : vr_blk_set_limits(blk, vr_machine_clock(call->vm->machine), &limits, err);
    vr_machine_release_devs(call->vm->machine);
    return r;
}

int vr_qmp_set_io_throttle(struct vr_qmp_call *call, struct vr_error *err)
{
    static const struct {
        const char *name;
        json_int_t none; /* what says the same as leaving it out */
    } more[] = {
        {"bps_max", 0},
        {"bps_rd_max", 0},
        {"bps_wr_max", 0},
        {"iops_max", 0},
        {"iops_rd_max", 0},
        {"iops_wr_max", 0},
        {"bps_max_length", 1},
        {"bps_rd_max_length", 1},
        {"bps_wr_max_length", 1},
        {"iops_max_length", 1},
        {"iops_rd_max_length", 1},
        {"iops_wr_max_length", 1},
        {"iops_size", 0},
        {"group", 0},
    };
    const char *id = vr_qmp_arg(call, "id"), *device = vr_qmp_arg(call, "device");
    if (!id == !device) {
        return vr_err(err, -EINVAL, "Need exactly one of 'device' and 'id'");
    }
    for (unsigned i = 0; i < VR_COUNT(more); i++) {
        const json_t *value = json_object_get(call->args, more[i].name);
        if (value && (json_is_string(value) || json_integer_value(value) != more[i].none)) {
            return vr_err(err, -EINVAL,
                          "'%s' is not here: a disk has a tenth of a second's worth at once, and "
                          "limits of its own",
                          more[i].name);
        }
    }
    return limits_set(call, id ? id : device, false, err);
}

int vr_qmp_x_limits(struct vr_qmp_call *call, struct vr_error *err)
{
    return limits_set(call, vr_qmp_arg(call, "device"), true, err);
}

/*
 * What was set of host ends while the machine ran, in snapshots: limits of disks, cables of network
 * cards. It goes wherever the machine's state goes, so to clones and migrations as well.
 *
 * Sections in front of the devices': "host ends", how many, then a "host end" each. They are there
 * only if something is set; where they are not, nothing is.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "board/virt_riscv_priv.h"
#include "core/snap.h"

#include <errno.h>
#include <string.h>

#define ENDS_HEAD "host ends"
#define ENDS_ONE  "host end"

enum { ENDS_MAX = 256 };

struct ends_head {
    uint32_t count;
};

struct ends_one {
    uint8_t id[VR_VIRT_ID_LEN]; /* the device's, with its zero */
    struct vr_blk_limits limits;
    bool net;              /* or a disk */
    bool unplugged, is_up; /* its cable; what the device knows of the link */
};

#define VR_SELF struct ends_head
static const struct vr_field ends_head_fields[] = {
    VR_STATE(count, "sections of host ends that follow", .min = 1, .max = ENDS_MAX),
    VR_FIELD_END,
};
#undef VR_SELF

#define VR_SELF struct ends_one
static const struct vr_field ends_one_fields[] = {
    VR_STATE_ARRAY(id, "the device"),
    VR_STATE_ARRAY(limits.bytes_s, "bytes a second: all, reads, writes", .max = INT64_MAX),
    VR_STATE_ARRAY(limits.requests_s, "requests a second, likewise", .max = INT64_MAX),
    VR_STATE(net, "a network card's"),
    VR_STATE(unplugged, "its cable is out"),
    VR_STATE(is_up, "the card sees a link", .def = 1),
    VR_FIELD_END,
};
#undef VR_SELF

static bool ends_limited(const struct vr_blk_limits *limits)
{
    static const struct vr_blk_limits none = {{0}, {0}};
    return memcmp(limits, &none, sizeof(none)) != 0;
}

/* Host end @i if something of it is set: 1; 0: nothing is; -1: past the end. */
static int ends_get(struct vr_virt *v, unsigned i, struct ends_one *ret_one)
{
    struct vr_virt_node node;
    unsigned disks = 0;
    *ret_one = (struct ends_one){.is_up = true};
    while (vr_virt_node(v, disks, &node)) {
        if (disks++ == i) {
            memcpy(ret_one->id, node.id, sizeof(node.id));
            vr_blk_get_limits(node.blk, &ret_one->limits);
            return *node.id && ends_limited(&ret_one->limits);
        }
    }
    i -= disks;
    for (const struct virt_end *end = v->ends; end; end = end->next) {
        if (end->kind == VR_VIRT_END_NET && i-- == 0) {
            memcpy(ret_one->id, end->user, sizeof(end->user));
            ret_one->net = true;
            vr_net_get_cable(end->host.net, &ret_one->unplugged, &ret_one->is_up);
            return end->user[0] && (ret_one->unplugged || !ret_one->is_up);
        }
    }
    return -1;
}

int virt_ends_put(void *virt, struct vr_snap *snap, struct vr_error *err)
{
    struct vr_virt *v = virt;
    struct ends_head head = {0};
    struct ends_one one;
    int is, r = 0;
    vr_machine_hold_devs(v->machine);
    for (unsigned i = 0; (is = ends_get(v, i, &one)) >= 0; i++) {
        head.count += (unsigned)is;
    }
    if (head.count) {
        r = vr_snap_save(snap, ENDS_HEAD, 1, &head, ends_head_fields, err);
    }
    for (unsigned i = 0; r == 0 && (is = ends_get(v, i, &one)) >= 0; i++) {
        r = is ? vr_snap_save(snap, ENDS_ONE, 1, &one, ends_one_fields, err) : 0;
    }
    vr_machine_release_devs(v->machine);
    return r;
}

/* What was read, by the device's id. */
struct ends_read {
    struct ends_one *one;
    unsigned count;
};

static const struct ends_one *ends_find(const struct ends_read *read, const char *id, bool net)
{
    for (unsigned i = 0; *id && i < read->count; i++) {
        if (read->one[i].net == net && strcmp((const char *)read->one[i].id, id) == 0) {
            return &read->one[i];
        }
    }
    return NULL;
}

static int ends_check(struct vr_virt *v, const struct ends_one *one, struct vr_error *err)
{
    const char *id = (const char *)one->id;
    if (!memchr(one->id, 0, sizeof(one->id))) {
        return vr_err(err, -EPROTO, "restoring '%s': a device's name does not end", ENDS_ONE);
    }
    if (one->net ? !vr_virt_net(v, id) : !vr_virt_find_disk(v, id)) {
        return vr_err(err, -EPROTO, "restoring '%s': this machine has no %s '%.31s'", ENDS_ONE,
                      one->net ? "network card" : "disk", id);
    }
    return one->net ? 0 : vr_blk_check_limits(&one->limits, err);
}

static int ends_limit(struct vr_virt *v, struct vr_blk *blk, const struct ends_one *one,
                      struct vr_error *err)
{
    const struct vr_blk_limits none = {{0}, {0}}, *want = one ? &one->limits : &none;
    struct vr_blk_limits are;
    vr_blk_get_limits(blk, &are);
    if (!ends_limited(want) && !ends_limited(&are)) {
        return 0;
    }
    if (vr_machine_det(v->machine)) {
        vr_log(v->log, VR_WARN, blk->path,
               "its limits are left out: a deterministic machine has none");
        return 0;
    }
    return vr_blk_set_limits(blk, vr_machine_clock(v->machine), want, err);
}

/* What is not told of is as it is at the start. */
static int ends_set(struct vr_virt *v, const struct ends_read *read, struct vr_error *err)
{
    struct vr_virt_node node;
    int r = 0;
    for (unsigned i = 0; r == 0 && vr_virt_node(v, i, &node); i++) {
        r = ends_limit(v, node.blk, ends_find(read, node.id, false), err);
    }
    for (struct virt_end *end = v->ends; r == 0 && end; end = end->next) {
        if (end->kind == VR_VIRT_END_NET) {
            const struct ends_one *one = ends_find(read, end->user, true);
            vr_net_set_cable(end->host.net, one && one->unplugged, !one || one->is_up);
        }
    }
    return r;
}

int virt_ends_get(void *virt, struct vr_snap *snap, struct vr_error *err)
{
    struct vr_virt *v = virt;
    struct ends_read read = {0};
    struct ends_head head = {0};
    int r = 0;
    if (vr_snap_next_is(snap, ENDS_HEAD)) {
        r = vr_snap_load(snap, ENDS_HEAD, 1, &head, ends_head_fields, err);
        read.one = r < 0 ? NULL : vr_zalloc_array(head.count, sizeof(*read.one));
        r = r == 0 && !read.one ? vr_err(err, -ENOMEM, "no memory for host ends") : r;
    }
    for (; r == 0 && read.count < head.count; read.count++) {
        r = vr_snap_load(snap, ENDS_ONE, 1, &read.one[read.count], ends_one_fields, err);
        r = r < 0 ? r : ends_check(v, &read.one[read.count], err);
    }
    r = r < 0 ? r : ends_set(v, &read, err);
    free(read.one);
    return r;
}

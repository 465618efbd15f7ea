/*
 * A whole machine in a snapshot: a head with what it is made of, then each part in the machine's
 * order.
 *
 * Order of saving: stop vCPUs and clock, drain the backends' work in every device, then save.
 */
#include "core/machine_priv.h"
#include "core/snap.h"

#include <errno.h>
#include <stdio.h>

struct machine_head {
    uint64_t now_ns;
    uint32_t vcpus, devs, rams;
};

#define VR_SELF struct machine_head
static const struct vr_field machine_head_fields[] = {
    VR_STATE(now_ns, "guest time since power-on"),
    VR_STATE(vcpus, "number of vCPUs"),
    VR_STATE(devs, "number of devices"),
    VR_STATE(rams, "number of memories"),
    VR_FIELD_END,
};

/* ROM is made anew by the board, so it does not count. */
static bool machine_saves_ram(const struct vr_machine_ram *ram)
{
    return ram->region.kind == VR_REGION_RAM;
}

static struct machine_head machine_head(struct vr_machine *m)
{
    struct machine_head head = {
        .now_ns = vr_clock_now(m->env.clock), .vcpus = m->vcpu_count, .devs = m->dev_count};
    for (const struct vr_machine_ram *ram = m->rams; ram; ram = ram->next) {
        head.rams += machine_saves_ram(ram);
    }
    return head;
}

static void machine_ram_section(const struct vr_machine_ram *ram, char *ret_name, size_t len)
{
    snprintf(ret_name, len, "ram:%s", ram->name);
}

static int machine_put(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err)
{
    struct machine_head head = machine_head(m);
    int r = vr_snap_save(snap, "machine", 1, &head, machine_head_fields, err);
    for (unsigned i = 0; r == 0 && i < m->vcpu_count; i++) {
        r = m->vcpus[i]->ops->save(m->vcpus[i], snap, err);
    }
    for (const struct vr_machine_ram *ram = m->rams; r == 0 && ram; ram = ram->next) {
        char section[48];
        machine_ram_section(ram, section, sizeof(section));
        r = machine_saves_ram(ram) ? vr_snap_save_ram(snap, section, ram->ram, err) : 0;
    }
    for (unsigned i = 0; r == 0 && i < m->dev_count; i++) {
        r = vr_dev_save(m->devs[i], snap, err);
    }
    return r;
}

int vr_machine_save(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err)
{
    vr_mutex_lock(&m->change);
    enum vr_state state = vr_machine_state(m);
    vr_machine_halt(m);
    vr_machine_quiesce(m);
    int r = machine_put(m, snap, err);
    if (state == VR_STATE_RUNNING) {
        vr_machine_go(m);
    }
    vr_mutex_unlock(&m->change);
    return r;
}

static int machine_get(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err)
{
    struct machine_head head, here = machine_head(m);
    int r = vr_snap_load(snap, "machine", 1, &head, machine_head_fields, err);
    if (r < 0) {
        return r;
    }
    if (head.vcpus != here.vcpus || head.devs != here.devs || head.rams != here.rams) {
        return vr_err(err, -EPROTO,
                      "the snapshot is of a machine with %u CPUs, %u devices and %u memories; this "
                      "one has %u, %u and %u",
                      head.vcpus, head.devs, head.rams, here.vcpus, here.devs, here.rams);
    }
    /* Before the devices: their loaded hooks compare deadlines with it. */
    vr_clock_set(m->env.clock, head.now_ns);
    for (unsigned i = 0; r == 0 && i < m->vcpu_count; i++) {
        r = m->vcpus[i]->ops->load(m->vcpus[i], snap, err);
    }
    for (const struct vr_machine_ram *ram = m->rams; r == 0 && ram; ram = ram->next) {
        char section[48];
        machine_ram_section(ram, section, sizeof(section));
        if (machine_saves_ram(ram)) {
            r = vr_snap_load_ram(snap, section, m->env.mem, ram->ram, err);
        }
    }
    for (unsigned i = 0; r == 0 && i < m->dev_count; i++) {
        r = vr_dev_load(m->devs[i], snap, err);
    }
    if (r == 0 && snap->pos != snap->len) {
        r = vr_err(err, -EPROTO, "bytes follow the last section");
    }
    return r;
}

int vr_machine_load(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err)
{
    vr_mutex_lock(&m->change);
    bool was_stopped = vr_machine_state(m) == VR_STATE_STOPPED;
    vr_machine_halt(m);
    int r = vr_machine_spawn(m, err);
    if (r == 0) {
        vr_machine_quiesce(m);
        r = machine_get(m, snap, err);
    }
    if (r == 0) {
        vr_mutex_lock(&m->lock);
        m->ended = m->panicked = false;
        vr_mutex_unlock(&m->lock);
        vr_machine_set_state(m, VR_STATE_PAUSED);
    } else if (!was_stopped) { /* somebody may be waiting for its end */
        vr_machine_end(m, (struct vr_exit){.why = VR_REQ_FAIL, .code = 1, .reason = "host-error"});
    }
    vr_mutex_unlock(&m->change);
    return r;
}

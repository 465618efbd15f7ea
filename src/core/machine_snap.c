/*
 * A whole machine in a snapshot: a head with what it is made of, then each part in the machine's
 * order.
 *
 * Order of saving: stop vCPUs and clock, drain the backends' work in every device, then save.
 */
#include "core/det_priv.h"
#include "core/machine_priv.h"
#include "core/ram_due.h"
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

static bool machine_is_ram(const struct vr_machine_ram *ram)
{
    return ram->region.kind == VR_REGION_RAM;
}

struct vr_ram *vr_machine_ram(struct vr_machine *m, unsigned i, const char **ret_name)
{
    unsigned count = 0, k = 0;
    for (const struct vr_machine_ram *ram = m->rams; ram; ram = ram->next) {
        count += machine_is_ram(ram);
    }
    for (const struct vr_machine_ram *ram = m->rams; ram; ram = ram->next) {
        if (machine_is_ram(ram) && count - 1 - k++ == i) { /* the list has the newest first */
            if (ret_name) {
                *ret_name = ram->name;
            }
            return ram->ram;
        }
    }
    return NULL;
}

static struct machine_head machine_head(struct vr_machine *m)
{
    struct machine_head head = {
        .now_ns = vr_clock_now(m->env.clock), .vcpus = m->vcpu_count, .devs = m->dev_count};
    for (const struct vr_machine_ram *ram = m->rams; ram; ram = ram->next) {
        head.rams += machine_is_ram(ram);
    }
    return head;
}

/* The name of the head's section says whether RAM is among what follows. */
static const char *machine_section(bool whole)
{
    return whole ? "machine" : "machine without RAM";
}

static void machine_ram_section(const struct vr_machine_ram *ram, char *ret_name, size_t len)
{
    snprintf(ret_name, len, "%s:%s", machine_is_ram(ram) ? "ram" : "rom", ram->name);
}

static int machine_put(struct vr_machine *m, struct vr_snap *snap, bool whole, bool ends,
                       struct vr_error *err)
{
    struct machine_head head = machine_head(m);
    int r = vr_snap_save(snap, machine_section(whole), 1, &head, machine_head_fields, err);
    if (r == 0 && m->board_saving) {
        m->board_saving(m->board_opaque);
    }
    if (r == 0 && m->board_state) {
        r = vr_snap_save(snap, "board", 1, m->board_state, m->board_fields, err);
    }
    if (r == 0 && ends && m->ends_put) {
        r = m->ends_put(m->ends_opaque, snap, err);
    }
    for (unsigned i = 0; r == 0 && i < m->vcpu_count; i++) {
        r = m->vcpus[i]->ops->save(m->vcpus[i], snap, err);
    }
    for (const struct vr_machine_ram *ram = m->rams; r == 0 && ram; ram = ram->next) {
        char section[48];
        machine_ram_section(ram, section, sizeof(section));
        r = whole || !machine_is_ram(ram) ? vr_snap_save_ram(snap, section, ram->ram, err) : 0;
    }
    for (unsigned i = 0; r == 0 && i < m->dev_count; i++) {
        r = vr_dev_save(m->devs[i], snap, err);
    }
    if (r == 0 && m->env.det) {
        r = det_put(m->env.det, snap, err);
    }
    return r;
}

int vr_machine_put(struct vr_machine *m, struct vr_snap *snap, bool whole, struct vr_error *err)
{
    return machine_put(m, snap, whole, true, err);
}

int vr_machine_put_guest(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err)
{
    return machine_put(m, snap, false, false, err);
}

int vr_machine_due_all(struct vr_machine *m, struct vr_error *err)
{
    struct vr_ram *ram;
    int r = 0;
    for (unsigned i = 0; r == 0 && (ram = vr_machine_ram(m, i, NULL)); i++) {
        r = vr_ram_due_all(ram, err);
    }
    return r;
}

/* What was given away is another process's, with its disks. */
static int machine_is_ours(struct vr_machine *m, struct vr_error *err)
{
    return vr_machine_moved(m)
               ? vr_err(err, -EINVAL, "machine '%s' was migrated: it goes on elsewhere", m->name)
               : 0;
}

static int machine_save(struct vr_machine *m, struct vr_snap *snap, bool whole,
                        vr_machine_ram_fn ram, void *opaque, struct vr_error *err)
{
    int r = vr_machine_due_all(m, err); /* while it runs */
    if (r < 0) {
        return r;
    }
    vr_mutex_lock(&m->change);
    enum vr_state state = vr_machine_state(m);
    vr_machine_halt(m);
    vr_machine_quiesce(m);
    r = machine_is_ours(m, err);
    r = r < 0 ? r : vr_machine_put(m, snap, whole, err);
    if (r == 0 && ram) {
        r = ram(opaque, err);
    }
    if (state == VR_STATE_RUNNING) {
        vr_machine_go(m);
    }
    vr_mutex_unlock(&m->change);
    return r;
}

int vr_machine_save(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err)
{
    return machine_save(m, snap, true, NULL, NULL, err);
}

int vr_machine_save_state(struct vr_machine *m, struct vr_snap *snap, vr_machine_ram_fn ram,
                          void *opaque, struct vr_error *err)
{
    return machine_save(m, snap, false, ram, opaque, err);
}

/* What the guest asked for and nobody has carried out yet is in no stream. */
static bool machine_has_request(struct vr_machine *m)
{
    vr_mutex_lock(&m->lock);
    bool has = m->pending.why != VR_REQ_NONE;
    vr_mutex_unlock(&m->lock);
    return has;
}

int vr_machine_hand_over(struct vr_machine *m, struct vr_snap *snap, vr_machine_ram_fn give,
                         void *opaque, struct vr_error *err)
{
    vr_mutex_lock(&m->change);
    enum vr_state state = vr_machine_state(m);
    int r = 0;
    if (state == VR_STATE_STOPPED || m->moved) {
        r = vr_err(err, -EINVAL, "machine '%s' does not run", m->name);
    } else {
        vr_machine_halt(m);
        vr_machine_quiesce(m);
        if (machine_has_request(m)) {
            r = vr_err(err, -EAGAIN, "machine '%s' is about to be reset, or to end", m->name);
        }
        r = r < 0 ? r : vr_machine_put(m, snap, false, err);
        r = r < 0 ? r : give(opaque, err);
        vr_mutex_lock(&m->lock);
        m->moved = r == 0;
        vr_mutex_unlock(&m->lock);
        if (r == 0 || r == -EINPROGRESS) {
            vr_machine_set_state(m, VR_STATE_PAUSED);
            if (state == VR_STATE_RUNNING) {
                vr_machine_tell(m, &(struct vr_event){.name = "STOP"});
            }
        } else if (state == VR_STATE_RUNNING) {
            vr_machine_go(m);
        }
    }
    vr_mutex_unlock(&m->change);
    return r;
}

bool vr_machine_moved(struct vr_machine *m)
{
    vr_mutex_lock(&m->lock);
    bool moved = m->moved;
    vr_mutex_unlock(&m->lock);
    return moved;
}

int vr_machine_get(struct vr_machine *m, struct vr_snap *snap, bool whole, vr_machine_ram_fn fill,
                   void *opaque, struct vr_error *err)
{
    struct machine_head head, here = machine_head(m);
    int r = vr_snap_load(snap, machine_section(whole), 1, &head, machine_head_fields, err);
    if (r < 0) {
        return r;
    }
    if (head.vcpus != here.vcpus || head.devs != here.devs || head.rams != here.rams) {
        return vr_err(err, -EPROTO,
                      "the snapshot is of a machine with %u CPUs, %u devices and %u memories; this "
                      "one has %u, %u and %u",
                      head.vcpus, head.devs, head.rams, here.vcpus, here.devs, here.rams);
    }
    if (m->board_state) {
        r = vr_snap_load(snap, "board", 1, m->board_state, m->board_fields, err);
    }
    if (r == 0 && m->ends_get) {
        r = m->ends_get(m->ends_opaque, snap, err);
    }
    if (r == 0 && fill) {
        r = fill(opaque, err);
    }
    if (r < 0) {
        return r;
    }
    /* Before the devices: their loaded hooks compare deadlines with it. */
    vr_clock_set(m->env.clock, head.now_ns);
    for (unsigned i = 0; r == 0 && i < m->vcpu_count; i++) {
        r = m->vcpus[i]->ops->load(m->vcpus[i], snap, err);
    }
    for (const struct vr_machine_ram *ram = m->rams; r == 0 && ram; ram = ram->next) {
        char section[48];
        machine_ram_section(ram, section, sizeof(section));
        if (whole || !machine_is_ram(ram)) {
            r = vr_snap_load_ram(snap, section, m->env.mem, ram->ram, err);
        }
    }
    for (unsigned i = 0; r == 0 && i < m->dev_count; i++) {
        r = vr_dev_load(m->devs[i], snap, err);
    }
    if (r == 0) {
        r = det_get(m, snap, err);
    }
    if (r == 0 && snap->pos != snap->len) {
        r = vr_err(err, -EPROTO, "bytes follow the last section");
    }
    if (r == 0 && m->board_loaded) {
        m->board_loaded(m->board_opaque);
    }
    return r;
}

/*
 * Would the machine take the state in @snap? It is loaded, without RAM, over what was put aside
 * before; when it is refused that comes back, and *ret_as_was says so: a running machine does not
 * end because somebody called the wrong snapshot. What cannot be put aside is not tried. (A device
 * that takes its state begins nothing: its queues and timers wait for the clock.)
 */
static int machine_try(struct vr_machine *m, struct vr_snap *snap, bool *ret_as_was,
                       struct vr_error *err)
{
    struct vr_snap was;
    const size_t begin = snap->pos;
    vr_snap_init(&was);
    int r = 0;
    if (vr_machine_put(m, &was, false, NULL) == 0) {
        r = vr_machine_get(m, snap, false, NULL, NULL, err);
        snap->pos = begin;
        *ret_as_was = r < 0 && vr_machine_get(m, &was, false, NULL, NULL, NULL) == 0;
    }
    vr_snap_fini(&was);
    return r;
}

static int machine_load(struct vr_machine *m, struct vr_snap *snap, bool whole,
                        vr_machine_ram_fn fill, void *opaque, struct vr_error *err)
{
    vr_mutex_lock(&m->change);
    int r = machine_is_ours(m, err);
    if (r < 0) {
        vr_mutex_unlock(&m->change);
        return r;
    }
    const enum vr_state state = vr_machine_state(m);
    bool was_stopped = state == VR_STATE_STOPPED, as_was = false;
    vr_machine_halt(m);
    r = vr_machine_spawn(m, err);
    if (r == 0) {
        vr_machine_quiesce(m);
        r = fill && !was_stopped ? machine_try(m, snap, &as_was, err) : 0;
        r = r < 0 ? r : vr_machine_get(m, snap, whole, fill, opaque, err);
    }
    if (r == 0) {
        vr_mutex_lock(&m->lock);
        m->ended = m->panicked = false;
        vr_mutex_unlock(&m->lock);
        vr_machine_set_state(m, VR_STATE_PAUSED);
    } else if (as_was) {
        if (state == VR_STATE_RUNNING) {
            vr_machine_go(m);
        }
    } else if (!was_stopped) { /* somebody may be waiting for its end */
        vr_machine_end(m, (struct vr_exit){.why = VR_REQ_FAIL, .code = 1, .reason = "host-error"});
    }
    vr_mutex_unlock(&m->change);
    return r;
}

int vr_machine_load(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err)
{
    return machine_load(m, snap, true, NULL, NULL, err);
}

int vr_machine_load_state(struct vr_machine *m, struct vr_snap *snap, vr_machine_ram_fn ram,
                          void *opaque, struct vr_error *err)
{
    return machine_load(m, snap, false, ram, opaque, err);
}

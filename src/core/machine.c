/* A machine as the owner of its parts. How it runs is in run.c, how it is saved in machine_snap.c.
 */
#include "core/machine.h"

#include "base/alloc.h"
#include "core/det.h"
#include "core/machine_priv.h"
#include "core/ram_due.h"
#include "core/ram_fork.h"
#include "vireo/host_memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void machine_on_request(void *opaque, enum vr_request what, unsigned code)
{
    vr_machine_request(opaque, what, code);
}

static void machine_on_event(void *opaque, const struct vr_event *event)
{
    vr_machine_tell(opaque, event);
}

int vr_machine_create(const char *name, enum vr_clock_kind clock, bool own_loop_thread,
                      struct vr_log *log, struct vr_machine **ret_machine, struct vr_error *err)
{
    struct vr_machine *m = vr_zalloc(sizeof(*m));
    if (!m) {
        return vr_err(err, -ENOMEM, "machine '%s': no memory", name);
    }
    snprintf(m->name, sizeof(m->name), "%s", name);
    m->own_loop_thread = own_loop_thread;
    m->reboots = true;
    m->use.node = VIREO_NODE_ANY;
    m->env.log = log;
    m->env.request = machine_on_request;
    m->env.event = machine_on_event;
    m->env.opaque = m;
    vr_mutex_init(&m->dirty_lock);
    vr_mutex_init(&m->change);
    vr_mutex_init(&m->devs_lock);
    vr_mutex_init(&m->lock);
    vr_cond_init(&m->asked);
    vr_cond_init(&m->go_cond);
    vr_cond_init(&m->out_cond);
    vr_cond_init(&m->end_cond);
    int r = vr_clock_create(clock, &m->env.clock, err);
    r = r < 0 ? r : vr_space_create("memory", UINT64_MAX, &m->env.mem, err);
    r = r < 0 ? r : vr_loop_create(&m->env.loop, err);
    if (r == 0) {
        m->io[m->io_count++] = m->env.loop;
    }
    if (r < 0) {
        vr_machine_destroy(m);
        return vr_err_in(err, r, "machine '%s'", name);
    }
    *ret_machine = m;
    return 0;
}

static void machine_free_rams(struct vr_machine *m)
{
    while (m->rams) {
        struct vr_machine_ram *ram = m->rams;
        m->rams = ram->next;
        vr_ram_destroy(ram->ram);
        free(ram);
    }
}

void vr_machine_destroy(struct vr_machine *m)
{
    if (!m) {
        return;
    }
    vr_machine_kill(m);
    vr_assert(!m->dirty); /* who counts written pages stops before */
    /* The loop still runs: until a device is gone its host end may make it interrupt a vCPU. */
    while (m->dev_count) {
        vr_dev_destroy(m->devs[--m->dev_count]);
    }
    free(m->devs);
    while (m->vcpu_count) {
        struct vr_vcpu *vcpu = m->vcpus[--m->vcpu_count];
        m->vcpus[m->vcpu_count] = NULL;
        vcpu->ops->destroy(vcpu);
    }
    vr_assert(!m->debug);
    while (m->owned) {
        struct vr_machine_owned *owned = m->owned;
        m->owned = owned->next;
        owned->fn(owned->opaque);
        free(owned);
    }
    /* Who still checks memory tells of damage with the clock's time, on a loop. */
    for (struct vr_machine_ram *ram = m->rams; ram; ram = ram->next) {
        vr_ram_due_destroy(ram->ram);
    }
    while (m->io_count) {
        vr_loop_destroy(m->io[--m->io_count]);
    }
    vr_det_destroy(m->env.det);
    vr_clock_destroy(m->env.clock);
    vr_space_destroy(m->env.mem);
    machine_free_rams(m);
    vr_cond_fini(&m->asked);
    vr_cond_fini(&m->go_cond);
    vr_cond_fini(&m->out_cond);
    vr_cond_fini(&m->end_cond);
    vr_mutex_fini(&m->lock);
    vr_mutex_fini(&m->devs_lock);
    vr_mutex_fini(&m->change);
    vr_mutex_fini(&m->dirty_lock);
    free(m);
}

const char *vr_machine_name(const struct vr_machine *m)
{
    return m->name;
}

struct vr_env *vr_machine_env(struct vr_machine *m)
{
    return &m->env;
}

struct vr_space *vr_machine_mem(struct vr_machine *m)
{
    return m->env.mem;
}

struct vr_clock *vr_machine_clock(struct vr_machine *m)
{
    return m->env.clock;
}

struct vr_loop *vr_machine_loop(struct vr_machine *m)
{
    return m->env.loop;
}

int vr_machine_use_io_threads(struct vr_machine *m, unsigned count, struct vr_error *err)
{
    vr_assert(count >= 1 && count <= VR_MAX_IO_THREADS && m->io_count == 1 && !m->loop_started);
    int r = 0;
    while (r == 0 && m->io_count < count) {
        r = vr_loop_create(&m->io[m->io_count], err);
        m->io_count += r == 0;
    }
    return r;
}

struct vr_loop *vr_machine_io_loop(struct vr_machine *m, unsigned i)
{
    return i < m->io_count ? m->io[i] : NULL;
}

int vr_machine_add_dev(struct vr_machine *m, struct vr_dev *dev, struct vr_error *err)
{
    vr_assert(dev->env == &m->env);
    if (vr_machine_find_dev(m, dev->id)) {
        return vr_err(err, -EEXIST, "there is a device '%s' already: choose another id", dev->id);
    }
    if (m->dev_count == m->dev_cap) {
        unsigned cap = m->dev_cap ? m->dev_cap * 2 : 16;
        vr_mutex_lock(&m->devs_lock);
        struct vr_dev **devs = realloc(m->devs, cap * sizeof(struct vr_dev *));
        m->devs = devs ? devs : m->devs;
        m->dev_cap = devs ? cap : m->dev_cap;
        vr_mutex_unlock(&m->devs_lock);
        if (!devs) {
            return vr_err(err, -ENOMEM, "device %s: no memory", dev->id);
        }
    }
    vr_mutex_lock(&m->devs_lock);
    m->devs[m->dev_count++] = dev;
    vr_mutex_unlock(&m->devs_lock);
    return 0;
}

void vr_machine_remove_dev(struct vr_machine *m, struct vr_dev *dev)
{
    unsigned i = 0;
    while (i < m->dev_count && m->devs[i] != dev) {
        i++;
    }
    vr_assert(i < m->dev_count);
    vr_mutex_lock(&m->devs_lock);
    m->dev_count--;
    memmove(m->devs + i, m->devs + i + 1, (m->dev_count - i) * sizeof(struct vr_dev *));
    vr_mutex_unlock(&m->devs_lock);
}

void vr_machine_change_begin(struct vr_machine *m)
{
    vr_mutex_lock(&m->change);
}

void vr_machine_change_end(struct vr_machine *m)
{
    vr_mutex_unlock(&m->change);
}

void vr_machine_hold_devs(struct vr_machine *m)
{
    vr_mutex_lock(&m->devs_lock);
}

void vr_machine_release_devs(struct vr_machine *m)
{
    vr_mutex_unlock(&m->devs_lock);
}

struct vr_dev *vr_machine_find_dev(struct vr_machine *m, const char *id)
{
    for (unsigned i = 0; i < m->dev_count; i++) {
        if (strcmp(m->devs[i]->id, id) == 0) {
            return m->devs[i];
        }
    }
    return NULL;
}

struct vr_dev *vr_machine_dev(struct vr_machine *m, unsigned i)
{
    return i < m->dev_count ? m->devs[i] : NULL;
}

int vr_machine_add_vcpu(struct vr_machine *m, struct vr_vcpu *vcpu, struct vr_error *err)
{
    vr_assert(vr_machine_state(m) == VR_STATE_STOPPED && vcpu->machine == m);
    if (m->vcpu_count == VR_MAX_VCPUS) {
        return vr_err(err, -EINVAL, "a machine has at most %d CPUs", VR_MAX_VCPUS);
    }
    m->vcpus[m->vcpu_count++] = vcpu;
    return 0;
}

struct vr_vcpu *vr_machine_vcpu(struct vr_machine *m, unsigned i)
{
    return i < m->vcpu_count ? m->vcpus[i] : NULL;
}

void vr_machine_use_host(struct vr_machine *m, const struct vireo_host_use *use)
{
    vr_assert(!m->rams && vr_machine_state(m) == VR_STATE_STOPPED);
    m->use = *use;
}

void vr_machine_ram_view(struct vr_machine *m, int fd, uint64_t off)
{
    vr_assert(!m->rams);
    m->ram_view = true;
    m->ram_fd = fd;
    m->ram_off = off;
}

/* The one memory; NULL: there is another number of them. */
static struct vr_machine_ram *machine_only_ram(struct vr_machine *m)
{
    struct vr_machine_ram *only = NULL;
    for (struct vr_machine_ram *ram = m->rams; ram; ram = ram->next) {
        if (ram->region.kind == VR_REGION_RAM) {
            if (only) {
                return NULL;
            }
            only = ram;
        }
    }
    return only;
}

int vr_machine_freeze_ram(struct vr_machine *m, struct vr_ram_frozen **ret_frozen,
                          struct vr_error *err)
{
    struct vr_machine_ram *ram = machine_only_ram(m);
    if (!ram) {
        return vr_err(err, -ENOTSUP, "machine '%s' has more memories than one", m->name);
    }
    /* Mirrors map the file for writing; CPUs forget them before they run again. */
    int r =
        ram->ram->mem.fd >= 0 ? vr_space_move(m->env.mem, &ram->region, ram->region.gpa, err) : 0;
    return r < 0 ? r : vr_ram_freeze(ram->ram, ret_frozen, err);
}

int vr_machine_add_ram(struct vr_machine *m, const char *name, uint64_t gpa, uint64_t len,
                       enum vr_region_kind kind, struct vr_ram **ret_ram, struct vr_error *err)
{
    vr_assert(kind == VR_REGION_RAM || kind == VR_REGION_ROM);
    struct vr_machine_ram *mine = vr_zalloc(sizeof(*mine));
    if (!mine) {
        return vr_err(err, -ENOMEM, "memory '%s': no memory", name);
    }
    const struct vireo_shmem_opts how = {.huge_bytes = m->use.huge_bytes,
                                         .node = m->use.node,
                                         .file = m->ram_view,
                                         .fd = m->ram_fd,
                                         .file_off = m->ram_off};
    int r = vr_ram_create_as(name, len, kind == VR_REGION_RAM ? &how : NULL, &mine->ram, err);
    if (r == 0) {
        snprintf(mine->name, sizeof(mine->name), "%s", name);
        mine->region = (struct vr_region){
            .name = mine->name, .kind = kind, .gpa = gpa, .len = len, .ram = mine->ram};
        r = vr_space_add(m->env.mem, &mine->region, err);
    }
    if (r < 0) {
        vr_ram_destroy(mine->ram);
        free(mine);
        return r;
    }
    mine->next = m->rams;
    m->rams = mine;
    if (ret_ram) {
        *ret_ram = mine->ram;
    }
    return 0;
}

void vr_machine_ram_bytes(struct vr_machine *m, uint64_t *ret_len, uint64_t *ret_used,
                          uint64_t *ret_shared)
{
    *ret_len = *ret_used = *ret_shared = 0;
    for (const struct vr_machine_ram *ram = m->rams; ram; ram = ram->next) {
        if (ram->region.kind == VR_REGION_RAM) {
            uint64_t shared, used = vireo_shmem_used(&ram->ram->mem, &shared);
            *ret_shared += shared;
            *ret_len += ram->ram->len;
            *ret_used =
                used == UINT64_MAX || *ret_used == UINT64_MAX ? UINT64_MAX : *ret_used + used;
        }
    }
}

int vr_machine_own(struct vr_machine *m, void (*fn)(void *opaque), void *opaque,
                   struct vr_error *err)
{
    struct vr_machine_owned *owned = vr_zalloc(sizeof(*owned));
    if (!owned) {
        return vr_err(err, -ENOMEM, "machine '%s': no memory", m->name);
    }
    *owned = (struct vr_machine_owned){.fn = fn, .opaque = opaque, .next = m->owned};
    m->owned = owned;
    return 0;
}

void vr_machine_on_reset(struct vr_machine *m, int (*fn)(void *opaque, struct vr_error *err),
                         void *opaque)
{
    m->on_reset = fn;
    m->on_reset_opaque = opaque;
}

void vr_machine_on_save_ends(struct vr_machine *m,
                             int (*put)(void *opaque, struct vr_snap *snap, struct vr_error *err),
                             int (*get)(void *opaque, struct vr_snap *snap, struct vr_error *err),
                             void *opaque)
{
    m->ends_put = put;
    m->ends_get = get;
    m->ends_opaque = opaque;
}

void vr_machine_on_save(struct vr_machine *m, void *state, const struct vr_field *table,
                        void (*saving)(void *opaque), void (*loaded)(void *opaque), void *opaque)
{
    m->board_saving = saving;
    m->board_state = state;
    m->board_fields = table;
    m->board_loaded = loaded;
    m->board_opaque = opaque;
}

void vr_machine_on_button(struct vr_machine *m, void (*fn)(void *opaque), void *opaque)
{
    m->on_button = fn;
    m->on_button_opaque = opaque;
}

void vr_machine_on_event(struct vr_machine *m,
                         void (*fn)(void *opaque, const struct vr_event *event), void *opaque)
{
    m->on_event = fn;
    m->on_event_opaque = opaque;
}

void vr_machine_tell(struct vr_machine *m, const struct vr_event *event)
{
    if (m->on_event) {
        m->on_event(m->on_event_opaque, event);
    }
}

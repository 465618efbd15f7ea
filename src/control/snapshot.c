/* Saving a machine to a file, and taking it back there: see vireo/snapshot.h. */
#include "control/snapshot.h"
#include "backend/block/block.h"
#include "base/alloc.h"
#include "control/hotplug.h"
#include "control/vm_priv.h"
#include "core/ram_due.h"
#include "core/ram_fork.h"
#include "core/snap.h"
#include "vireo/host_time.h"
#include "vireo/version.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Saving ---- */

struct snapshot_save {
    struct vireo_vm *vm;
    const struct vireo_snapshot_how *how;
    struct vr_snapfile_writer *w;
    struct vr_snapshot *parent;                   /* with its chain; NULL: none */
    uint64_t *ram_base, *base[VR_SNAPSHOT_DISKS]; /* hashes of the parent; NULL: all is new */
    struct vr_snapshot_ends ends;                 /* the machine's disks */
    uint64_t *may_differ; /* pages that were written since the parent; NULL: any may be */
    uint64_t turn;
    uint64_t done, total, guest_ns, now_ns;
    bool running;
};

static void save_progress(void *opaque, uint64_t bytes)
{
    struct snapshot_save *s = opaque;
    s->done += bytes;
    if (s->how->progress) {
        s->how->progress(s->how->opaque, s->done, s->total);
    }
}

static uint64_t save_ram_next(void *ram, uint64_t off)
{
    return vr_ram_next_data(ram, off);
}

static const uint8_t *save_ram_read(void *ram, uint64_t off, size_t len, struct vr_error *err)
{
    (void)len;
    (void)err;
    return ((struct vr_ram *)ram)->hva + off;
}

static int save_ram(struct snapshot_save *s, struct vr_error *err)
{
    const char *name;
    struct vr_ram *ram = vr_machine_ram(s->vm->machine, 0, &name);
    struct vr_snapfile_source from = {.len_bytes = ram->len,
                                      .grain_bytes = VR_SNAPSHOT_GRAIN_RAM,
                                      .next = save_ram_next,
                                      .read = save_ram_read,
                                      .clone_fd = -1,
                                      .base = s->ram_base,
                                      .may_differ = s->may_differ,
                                      .flat = !s->parent && !s->how->compress,
                                      .opaque = ram};
    return vr_snapfile_put_image(s->w, name, &from, save_progress, s, err);
}

static int save_note_disks(struct snapshot_save *s, struct vr_error *err)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < s->ends.count; i++) {
        struct vr_blk *blk = s->ends.blk[i];
        struct vr_snapshot_disk *d = &s->ends.disk[i];
        if (blk) {
            r = vr_snapshot_disk_note(blk, !s->how->no_disks, d, err);
            d->path = r < 0 ? NULL : blk->path;
            s->total += d->contents ? blk->size_bytes : 0;
        }
    }
    return r;
}

/* The machine stands still, nothing is in flight. */
static int save_standing(void *opaque, struct vr_error *err)
{
    struct snapshot_save *s = opaque;
    s->running = vr_machine_state(s->vm->machine) == VR_STATE_RUNNING;
    s->guest_ns = vr_clock_now(vr_machine_clock(s->vm->machine));
    s->now_ns = vireo_realtime_ns();
    s->total = s->vm->memory_bytes;
    _Static_assert((int)VR_SNAPSHOT_GRAIN_RAM == (int)VR_PAGE_SIZE, "a bit is for both");
    if (s->parent) {
        s->may_differ = vr_snapshot_since_take(s->vm, vr_snapfile_id(s->parent->file), &s->turn);
    }
    int r = save_note_disks(s, err);
    r = r < 0 ? r : save_ram(s, err);
    for (unsigned i = 0; r == 0 && i < s->ends.count; i++) {
        if (s->ends.disk[i].contents) {
            r = vr_snapshot_disk_put(s->w, i, s->ends.blk[i], s->base[i], save_progress, s, err);
        }
    }
    return r;
}

static json_t *save_info_disk(const struct vr_snapshot_disk *d)
{
    char hash[17], real[4096];
    if (!d->path) {
        return json_pack("{s:s, s:b, s:n}", "id", d->id, "plugged", d->plugged, "path");
    }
    json_t *j =
        json_pack("{s:s, s:b, s:s, s:I, s:I, s:b, s:b}", "id", d->id, "plugged", d->plugged, "path",
                  vr_snapshot_absolute(d->path, real, sizeof(real)) == 0 ? real : d->path,
                  "size_bytes", (json_int_t)d->size_bytes, "mtime_ns", (json_int_t)d->mtime_ns,
                  "read_only", d->read_only, "contents", d->contents);
    if (j && d->hashed) {
        vr_snapshot_check_text(d->hash, hash);
        json_object_set_new(j, "hash", json_string(hash));
    }
    return j;
}

static json_t *save_info_parent(const struct snapshot_save *s)
{
    char id[VR_SNAPFILE_ID * 2 + 1], check[17], real[4096];
    const char *path = vr_snapfile_path(s->parent->file);
    vr_snapshot_id_text(vr_snapfile_id(s->parent->file), id);
    vr_snapshot_check_text(vr_snapfile_check(s->parent->file), check);
    return json_pack("{s:s, s:s, s:s}", "path",
                     vr_snapshot_absolute(path, real, sizeof(real)) == 0 ? real : path, "id", id,
                     "check", check);
}

static int save_info(struct snapshot_save *s, struct vr_error *err)
{
    struct vireo_vm *vm = s->vm;
    char tag[256];
    json_t *disks = json_array();
    vr_snapshot_tag(s->how->path, tag, sizeof(tag));
    for (unsigned i = 0; i < s->ends.count; i++) {
        json_array_append_new(disks, save_info_disk(&s->ends.disk[i]));
    }
    json_t *info =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:b, s:i, s:I, s:s, s:o}", "machine", vr_vm_name(vm),
                  "tag", s->how->tag ? s->how->tag : tag, "vireo", vireo_version(), "created_ns",
                  (json_int_t)s->now_ns, "guest_ns", (json_int_t)s->guest_ns, "running", s->running,
                  "cpus", (int)vm->cpus, "memory_bytes", (json_int_t)vm->memory_bytes, "engine",
                  vr_machine_vcpu(vm->machine, 0)->ops->engine, "disks", disks);
    if (info && s->parent) {
        json_object_set_new(info, "parent", save_info_parent(s));
        json_object_set_new(
            info, "compared_bytes",
            json_integer((json_int_t)vr_snapshot_since_bytes(s->vm, s->may_differ)));
    }
    char *text = info ? json_dumps(info, JSON_PRESERVE_ORDER) : NULL;
    int r = text ? vr_snapfile_put(s->w, "info", text, strlen(text), err)
                 : vr_err(err, -EINVAL, "a name in this machine is not UTF-8, or no memory");
    free(text);
    json_decref(info);
    return r;
}

static int save_base(struct snapshot_save *s, struct vr_error *err)
{
    int r = vr_snapshot_open(s->how->parent, true, &s->parent, err);
    if (r == 0 && s->parent->memory_bytes != s->vm->memory_bytes) {
        r = vr_err(err, -EPROTO, "snapshot %s: it is of a machine with other memory",
                   s->how->parent);
    }
    r = r < 0 ? r : vr_snapfile_hashes(s->parent->file, "ram", &s->ram_base, err);
    /* A disk that the parent has not, or has in another size, is saved whole. */
    for (unsigned i = 0; r == 0 && i < s->ends.count && i < s->parent->disk_count; i++) {
        const struct vr_snapshot_disk *was = &s->parent->disk[i];
        struct vr_blk *blk = s->ends.blk[i];
        char name[VR_SNAPFILE_NAME];
        snprintf(name, sizeof(name), "disk%u", i);
        if (blk && was->contents && strcmp(was->id, s->ends.disk[i].id) == 0 &&
            was->size_bytes == blk->size_bytes) {
            r = vr_snapfile_hashes(s->parent->file, name, &s->base[i], err);
        }
    }
    return r;
}

static int save_file(struct snapshot_save *s, struct vr_error *err)
{
    struct vr_snap state;
    char *config = NULL;
    vr_snap_init(&state);
    int r = vr_machine_save_state(s->vm->machine, &state, save_standing, s, err);
    /* It runs on; what follows takes its time. */
    r = r < 0 ? r : vireo_config_save(s->vm->config, &config, err);
    r = r < 0 ? r : vr_snapfile_put(s->w, "state", state.buf, state.len, err);
    r = r < 0 ? r : vr_snapfile_put(s->w, "config", config, strlen(config), err);
    r = r < 0 ? r : save_info(s, err);
    vireo_config_text_free(config);
    vr_snap_fini(&state);
    if (r < 0) {
        vr_snapfile_abort(s->w);
        return r;
    }
    uint8_t id[VR_SNAPFILE_ID];
    memcpy(id, vr_snapfile_writer_id(s->w), sizeof(id));
    r = vr_snapfile_commit(s->w, err);
    if (r == 0 && s->parent) {
        vr_snapshot_since_saved(s->vm, id, s->turn);
    }
    return r;
}

int vireo_vm_snapshot_save(struct vireo_vm *vm, const struct vireo_snapshot_how *how,
                           struct vr_error *err)
{
    struct snapshot_save s = {.vm = vm, .how = how}; /* a few KiB */
    if (vireo_vm_state(vm) == VIREO_STOPPED) {
        return vr_err(err, -EINVAL, "machine '%s' is stopped: there is nothing to save",
                      vr_vm_name(vm));
    }
    vr_hotplug_hold(vm->hotplug);
    vr_snapshot_ends(vm, &s.ends);
    int r = how->parent ? save_base(&s, err) : 0;
    r = r < 0 ? r : vr_snapshot_may_replace(how->path, s.parent, err);
    r = r < 0 ? r
              : vr_snapfile_create(how->path, how->compress ? VR_SNAPFILE_ZSTD : VR_SNAPFILE_PLAIN,
                                   &s.w, err);
    r = r < 0 ? r : save_file(&s, err);
    vr_hotplug_release(vm->hotplug);
    free(s.ram_base);
    free(s.may_differ);
    for (unsigned i = 0; i < VR_SNAPSHOT_DISKS; i++) {
        free(s.base[i]);
    }
    vr_snapshot_close(s.parent);
    return r < 0 ? vr_err_in(err, r, "saving machine '%s'", vr_vm_name(vm)) : 0;
}

/* ---- Taking it back ---- */

struct snapshot_fill {
    struct vr_snapshot *s;
    struct vireo_vm *vm;
    struct vr_ram *ram;
    const struct vr_snapfile *have; /* what RAM is a view of, or NULL */
    bool fresh;                     /* RAM was never written: zeroes need not be */
    const struct vr_snapshot_ends
        *ends; /* write these disks, too; NULL: they are as they are due */
};

static int fill_write(void *opaque, uint64_t off, const void *data, size_t len,
                      struct vr_error *err)
{
    struct snapshot_fill *f = opaque;
    (void)err;
    memcpy(f->ram->hva + off, data, len);
    vr_ram_wrote(vr_machine_mem(f->vm->machine), f->ram, off, len);
    return 0;
}

static int fill_zero(void *opaque, uint64_t off, uint64_t len, struct vr_error *err)
{
    struct snapshot_fill *f = opaque;
    uint64_t bytes;
    if (f->fresh && !f->have && !vr_snapfile_parent(f->s->file)) {
        return 0;
    }
    int r = vr_ram_discard(vr_machine_mem(f->vm->machine), f->ram, off, len, &bytes, err);
    if (r == 0 && bytes < len) { /* ends that are no whole pages of the host's */
        memset(f->ram->hva + off, 0, (size_t)len);
        vr_ram_wrote(vr_machine_mem(f->vm->machine), f->ram, off, len);
    }
    return r;
}

static int fill_all(void *opaque, struct vr_error *err)
{
    struct snapshot_fill *f = opaque;
    struct vr_snapfile_sink sink = {.write = fill_write, .zero = fill_zero, .opaque = f};
    int r = vr_snapfile_give(f->s->file, "ram", f->have, &sink, err);
    for (unsigned i = 0; r == 0 && f->ends && i < f->s->disk_count; i++) {
        r = vr_snapshot_disk_get(f->s, i, f->ends->blk[i], err);
    }
    return r;
}

static int snapshot_load(struct snapshot_fill *f, struct vr_error *err)
{
    struct vr_snap state = {0};
    const void *data;
    const char *name;
    f->ram = vr_machine_ram(f->vm->machine, 0, &name);
    int r = vr_snapfile_bytes(f->s->file, "state", &data, &state.len, err);
    if (r == 0) {
        state.buf = (uint8_t *)(uintptr_t)data; /* it is read only */
        r = vr_machine_load_state(f->vm->machine, &state, fill_all, f, err);
    }
    return r < 0 ? vr_err_in(err, r, "snapshot %s", vr_snapfile_path(f->s->file)) : 0;
}

static int snapshot_check_memory(struct vr_snapshot *s, uint64_t memory_bytes, struct vr_error *err)
{
    uint64_t len = 0;
    uint32_t grain;
    int r = vr_snapfile_image(s->file, "ram", &len, &grain, err);
    if (r == 0 && len != memory_bytes) {
        r = vr_err(err, -EPROTO,
                   "snapshot %s: of a machine with %" PRIu64 " MiB of memory, and not %" PRIu64,
                   vr_snapfile_path(s->file), len >> 20, memory_bytes >> 20);
    }
    return r;
}

static int restore_check(struct vr_snapshot *s, struct vireo_vm *vm,
                         const struct vr_snapshot_ends *ends, struct vr_error *err)
{
    int r = vr_snapshot_verify(s, false, err);
    r = r < 0 ? r : snapshot_check_memory(s, vm->memory_bytes, err);
    if (r == 0 && s->disk_count != ends->count) {
        r = vr_err(err, -EPROTO, "snapshot %s: of a machine with %u disks, and this one has %u",
                   vr_snapfile_path(s->file), s->disk_count, ends->count);
    }
    for (unsigned i = 0; r == 0 && i < s->disk_count; i++) {
        if (strcmp(s->disk[i].id, ends->disk[i].id) != 0) {
            r = vr_err(err, -EPROTO, "snapshot %s: of a machine with a disk %s, which has gone",
                       vr_snapfile_path(s->file), s->disk[i].id);
        }
    }
    return r;
}

/* Paused meanwhile, so that no disk changes between the check and the load. */
static int restore_paused(struct vr_snapshot *s, struct vireo_vm *vm,
                          const struct vr_snapshot_ends *ends, struct vr_error *err)
{
    struct snapshot_fill fill = {.s = s, .vm = vm, .ends = ends};
    int r = 0;
    for (unsigned i = 0; r == 0 && i < s->disk_count; i++) {
        if (ends->blk[i]) {
            vr_blk_drain(ends->blk[i]);
        }
        r = vr_snapshot_disk_check(s, i, ends->blk[i], err);
    }
    return r < 0 ? r : snapshot_load(&fill, err);
}

int vireo_vm_snapshot_restore(struct vireo_vm *vm, const char *path, struct vr_error *err)
{
    struct vr_snapshot *s;
    struct vr_snapshot_ends ends;
    int r = vr_snapshot_open(path, true, &s, err);
    if (r < 0) {
        return r;
    }
    vr_hotplug_hold(vm->hotplug);
    vr_snapshot_ends(vm, &ends);
    bool ran = vireo_vm_state(vm) == VIREO_RUNNING;
    r = restore_check(s, vm, &ends, err);
    if (r == 0) {
        (void)vr_machine_pause(vm->machine);
        r = restore_paused(s, vm, &ends, err);
        if (ran) { /* also after a refusal; a machine that a failure stopped stays so */
            (void)vr_machine_resume(vm->machine);
        }
    }
    vr_hotplug_release(vm->hotplug);
    vr_snapshot_close(s);
    return r;
}

/* ---- A new process ---- */

bool vr_snapshot_view(struct vr_snapshot *s, int *ret_fd, uint64_t *ret_off)
{
    return vr_snapfile_flat(s->file, "ram", ret_fd, ret_off) != NULL;
}

int vr_snapshot_prepare(const char *path, struct vireo_config *config, const char *disks, bool late,
                        struct vr_snapshot **ret_snapshot, struct vr_error *err)
{
    struct vr_snapshot *s;
    int r = vr_snapshot_open(path, true, &s, err);
    if (r < 0) {
        return r;
    }
    r = vr_snapshot_verify(s, late, err);
    r = r < 0 ? r : snapshot_check_memory(s, config->memory_bytes, err);
    r = r < 0 ? r : vr_snapshot_disk_files(s, config, disks, err);
    if (r < 0) {
        vr_snapshot_close(s);
        return r;
    }
    *ret_snapshot = s;
    return 0;
}

/* Memory that is checked while the machine runs. */
struct snapshot_late {
    struct vireo_vm *vm;
    struct vr_snapfile_checks *checks;
    struct vr_snapshot *s; /* to be closed in the end, or NULL */
};

static int late_check(void *opaque, size_t i, struct vr_error *err)
{
    const struct snapshot_late *l = opaque;
    return vr_snapfile_checks_do(l->checks, i, err);
}

static void late_bad(void *opaque, const struct vr_error *why)
{
    struct snapshot_late *l = opaque;
    struct vr_event event = {.name = "x-vireo-SNAPSHOT_DAMAGED",
                             .field = {{"reason", VR_EVENT_TEXT, .text = why->msg}}};
    vr_log(&l->vm->log, VR_ERROR, vr_vm_name(l->vm),
           "%s: the machine ends, before it used what is damaged", why->msg);
    vr_events_note(l->vm->events, &event);
    vr_machine_request_as(l->vm->machine, VR_REQ_QUIT, VR_SNAPSHOT_DAMAGED, "host-error");
}

static void late_done(void *opaque)
{
    struct snapshot_late *l = opaque;
    vr_snapfile_checks_free(l->checks);
    vr_snapshot_close(l->s);
    free(l);
}

/* Unless an earlier try to start the machine did: its checks go on. */
static int late_begin(struct vireo_vm *vm, struct vr_snapfile *file, struct vr_ram *ram,
                      struct vr_error *err)
{
    if (vm->snapshot_checks) {
        return 0;
    }
    struct snapshot_late *l = vr_zalloc(sizeof(*l));
    if (!l) {
        return vr_err(err, -ENOMEM, "snapshot: no memory");
    }
    l->vm = vm;
    int r = vr_snapfile_checks(file, "ram", &l->checks, err);
    size_t count = r < 0 ? 0 : vr_snapfile_checks_count(l->checks);
    uint64_t *end = vr_zalloc_array(count, sizeof(*end));
    if (r == 0 && !end) {
        r = vr_err(err, -ENOMEM, "no memory to check memory");
    }
    for (size_t i = 0; r == 0 && i < count; i++) {
        end[i] = vr_snapfile_checks_end(l->checks, i);
    }
    const struct vr_ram_due_how how = {.count = count,
                                       .end = end,
                                       .check = late_check,
                                       .bad = late_bad,
                                       .done = late_done,
                                       .opaque = l};
    r = r < 0 ? r : vr_ram_due_begin(ram, &how, err);
    free(end);
    if (r < 0) {
        late_done(l);
        return r;
    }
    vm->snapshot_checks = l;
    return 0;
}

int vr_snapshot_continue(struct vr_snapshot *s, struct vireo_vm *vm, bool viewed, bool late,
                         struct vr_error *err)
{
    struct snapshot_fill fill = {.s = s, .vm = vm, .fresh = true};
    struct vr_ram *ram = vr_machine_ram(vm->machine, 0, NULL);
    int fd, r = 0;
    uint64_t off;
    struct vr_snapfile *have = viewed ? vr_snapfile_flat(s->file, "ram", &fd, &off) : NULL;
    fill.have = have;
    if (have && late) {
        r = late_begin(vm, have, ram, err);
    }
    r = r < 0 ? r : snapshot_load(&fill, err);
    if (r < 0) {
        return r;
    }
    struct snapshot_late *l = vm->snapshot_checks;
    if (!l) {
        vr_snapshot_close(s);
        return 0;
    }
    l->s = s;
    r = vr_ram_due_run(ram, err);
    if (r < 0) {
        l->s = NULL;
    } else { /* l is the thread's */
        vm->snapshot_checks = NULL;
    }
    return r;
}

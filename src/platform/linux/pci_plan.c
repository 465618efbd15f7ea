/* Plans: a list of writes to sysfs and checks, run in order, undone from the back. */
#include "platform/pci_plan.h"

#include "base/alloc.h"
#include "platform/pci.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int vr_plan_create(const struct vr_sysfs *fs, struct vireo_plan **ret_plan, struct vr_error *err)
{
    struct vireo_plan *plan = vr_zalloc(sizeof(*plan));
    if (!plan) {
        return vr_err(err, -ENOMEM, "no memory for a plan");
    }
    plan->fs.root_fd = fcntl(fs->root_fd, F_DUPFD_CLOEXEC, 0);
    if (plan->fs.root_fd < 0) {
        int code = -errno;
        free(plan);
        return vr_err(err, code, "the host's root: %s", strerror(-code));
    }
    *ret_plan = plan;
    return 0;
}

struct vr_plan_entry *vr_plan_add(struct vireo_plan *plan, enum vireo_step_kind kind,
                                  struct vireo_pci_addr addr, const char *attr, const char *text,
                                  const char *why)
{
    if (plan->count == plan->room) {
        size_t room = plan->room ? plan->room * 2 : 8;
        struct vr_plan_entry *entries = realloc(plan->entries, room * sizeof(*entries));
        if (!entries) {
            plan->no_memory = true;
            return NULL;
        }
        plan->entries = entries;
        plan->room = room;
    }
    struct vr_plan_entry *entry = &plan->entries[plan->count++];
    char name[VIREO_PCI_ADDR_SIZE];
    *entry = (struct vr_plan_entry){.step = {.kind = kind}};
    if (strchr(attr, '/') && strncmp(attr, "driver/", 7) != 0) {
        snprintf(entry->step.path, sizeof(entry->step.path), "%s", attr); /* not the device's */
    } else {
        snprintf(entry->step.path, sizeof(entry->step.path), VR_PCI_DEVICES "/%s/%s",
                 vireo_pci_addr_format(addr, name), attr);
    }
    snprintf(entry->step.text, sizeof(entry->step.text), "%s", text);
    snprintf(entry->step.why, sizeof(entry->step.why), "%s", why);
    return entry;
}

int vr_plan_finish(struct vireo_plan *plan, int code, struct vireo_plan **ret_plan,
                   struct vr_error *err)
{
    if (code == 0 && plan->no_memory) {
        code = vr_err(err, -ENOMEM, "no memory for a plan");
    }
    if (code < 0) {
        vireo_plan_destroy(plan);
        return code;
    }
    *ret_plan = plan;
    return 0;
}

size_t vireo_plan_count(const struct vireo_plan *plan)
{
    return plan->count;
}

const struct vireo_step *vireo_plan_step(const struct vireo_plan *plan, size_t i)
{
    return i < plan->count ? &plan->entries[i].step : NULL;
}

void vireo_plan_destroy(struct vireo_plan *plan)
{
    if (plan) {
        vr_sysfs_close(&plan->fs);
        free(plan->entries);
        free(plan);
    }
}

/* A newline alone is how sysfs is told to forget a text. */
static int plan_write(const struct vr_sysfs *fs, const char *path, const char *text)
{
    char line[80];
    snprintf(line, sizeof(line), "%s\n", text);
    return vr_sysfs_write(fs, path, line);
}

static int plan_check_text(const struct vr_sysfs *fs, const struct vireo_step *s,
                           struct vr_error *err)
{
    char text[64];
    int r = vr_sysfs_text(fs, s->path, text, sizeof(text));
    if (r < 0) {
        return vr_err(err, r, "/%s: %s", s->path, strerror(-r));
    }
    return strcmp(text, s->text) == 0
               ? 0
               : vr_err(err, -EIO, "/%s holds '%s', not '%s'", s->path, text, s->text);
}

static int plan_check_driver(const struct vr_sysfs *fs, const struct vireo_step *s,
                             struct vr_error *err)
{
    char name[VIREO_PCI_DRIVER_SIZE];
    int r = vr_sysfs_link(fs, s->path, name, sizeof(name));
    if (r == -ENOENT) {
        name[0] = 0;
    } else if (r < 0) {
        return vr_err(err, r, "/%s: %s", s->path, strerror(-r));
    }
    if (*s->text ? strcmp(name, s->text) == 0 : !vr_pci_is_vfio_driver(name)) {
        return 0;
    }
    return vr_err(err, -EIO,
                  "the kernel did as it was told, but the device's driver is %s%s%s; its "
                  "log (dmesg) says why",
                  *name ? "'" : "none", name, *name ? "'" : "");
}

static int plan_check_free(const struct vr_sysfs *fs, const struct vireo_step *s,
                           struct vr_error *err)
{
    /* A group can be opened once at a time. */
    int fd = openat(fs->root_fd, s->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        vr_sysfs_close(&(struct vr_sysfs){.root_fd = fd});
        return 0;
    }
    return errno == EBUSY ? vr_err(err, -EBUSY, "/%s is in use: stop the guest first", s->path) : 0;
}

static const char *plan_advice(int code)
{
    switch (-code) {
    case EACCES:
    case EPERM:
    case EROFS:
        return ": that takes root's rights, and a /sys that may be written";
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return ": the device has gone, or the kernel lacks this";
    case ENOMEM:
    case ENOSPC:
    case ENOBUFS:
        return ": no addresses or bus numbers left for it; boot with pci=realloc";
    case EBUSY:
        return ": it is in use";
    default:
        return ": the kernel's log (dmesg) may say more";
    }
}

static int plan_step(const struct vireo_plan *plan, const struct vr_plan_entry *entry,
                     struct vr_error *err)
{
    const struct vireo_step *s = &entry->step;
    const struct vr_sysfs *fs = &plan->fs;
    int r = 0;
    switch (s->kind) {
    case VIREO_STEP_CHECK_TEXT:
        return plan_check_text(fs, s, err);
    case VIREO_STEP_CHECK_DRIVER:
        return plan_check_driver(fs, s, err);
    case VIREO_STEP_CHECK_FREE:
        return plan_check_free(fs, s, err);
    case VIREO_STEP_VF:
        r = vr_plan_vf_run(plan, &entry->vf, err);
        return r < 0 ? vr_err_in(err, r, "%s of /%s", s->text, s->path) : 0;
    case VIREO_STEP_WRITE:
        r = plan_write(fs, s->path, s->text);
        break;
    }
    return r < 0 ? vr_err(err, r, "writing '%s' to /%s: %s%s", s->text, s->path, strerror(-r),
                          plan_advice(r))
                 : 0;
}

/* Write what takes a step back. A driver that is not there needs no unbinding. */
static bool plan_undo_one(const struct vr_sysfs *fs, const struct vr_plan_undo *undo)
{
    if (!*undo->path) {
        return true;
    }
    int r = plan_write(fs, undo->path, undo->text);
    return r == 0 || (r == -ENOENT && strstr(undo->path, "/driver/unbind"));
}

/* Undo the first @count entries, the last one first. False: something could not be. */
static bool plan_undo(const struct vireo_plan *plan, size_t count)
{
    bool all = true;
    while (count--) {
        if (plan->entries[count].step.kind == VIREO_STEP_VF) {
            all = vr_plan_vf_undo(plan, &plan->entries[count].vf) && all;
        }
        for (unsigned i = 0; i < VR_PLAN_UNDOS; i++) {
            all = plan_undo_one(&plan->fs, &plan->entries[count].undo[i]) && all;
        }
    }
    return all;
}

int vireo_plan_run(struct vireo_plan *plan,
                   void (*done)(void *opaque, size_t i, const struct vireo_step *step),
                   void *opaque, struct vr_error *err)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct vr_error why = {0};
        int r = plan_step(plan, &plan->entries[i], &why);
        if (r < 0) {
            bool changed = false;
            for (size_t k = 0; k < i; k++) {
                changed = changed || plan->entries[k].step.kind == VIREO_STEP_WRITE ||
                          plan->entries[k].step.kind == VIREO_STEP_VF;
            }
            bool undone = plan_undo(plan, i);
            return vr_err(err, r, "%s%s", why.msg,
                          !changed ? ""
                          : undone ? " (what was done before is undone)"
                                   : " (what was done before could not be undone whole)");
        }
        if (done) {
            done(opaque, i, &plan->entries[i].step);
        }
    }
    return 0;
}

/* Life of a device: creation, mapping, reset, snapshots, end. Register access is in dev_access.c.
 */
#include "core/dev.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "core/dev_priv.h"
#include "core/snap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DEV_ERRORS_LOGGED = 5 };

/* Drop one hold; the last one frees. */
static void dev_put(struct vr_dev *dev)
{
    if (atomic_fetch_sub(&dev->priv->holds, 1) != 1) {
        return;
    }
    for (unsigned i = 0; i < VR_DEV_WINDOWS; i++) {
        vr_reg_index_fini(&dev->priv->index[i]);
    }
    vr_mutex_fini(&dev->lock);
    free(dev->priv);
    free(dev);
}

static int dev_build(struct vr_dev *dev, const char *opts, struct vr_error *err)
{
    const struct vr_dev_class *cls = dev->cls;
    for (unsigned i = 0; i < VR_DEV_WINDOWS && cls->windows[i].len; i++) {
        int r = vr_reg_index_init(&dev->priv->index[i], &cls->windows[i], err);
        if (r < 0) {
            return r;
        }
    }
    vr_fields_reset(dev, cls->fields, VR_ROLE_STATE | VR_ROLE_CONFIG);
    int r = vr_dev_parse_opts(dev, opts, err);
    return r == 0 && cls->init ? cls->init(dev, err) : r;
}

int vr_dev_create(const struct vr_dev_class *cls, const char *id, const char *opts,
                  struct vr_env *env, struct vr_dev **ret_dev, struct vr_error *err)
{
    vr_assert(cls->size >= sizeof(struct vr_dev));
    if (strlen(id) >= sizeof(((struct vr_dev *)0)->id)) {
        return vr_err(err, -EINVAL, "device id '%s' is longer than %zu characters", id,
                      sizeof(((struct vr_dev *)0)->id) - 1);
    }
    struct vr_dev *dev = vr_zalloc(cls->size);
    struct vr_dev_priv *priv = vr_zalloc(sizeof(*priv));
    if (!dev || !priv) {
        free(dev);
        free(priv);
        return vr_err(err, -ENOMEM, "device %s: no memory", id);
    }
    dev->cls = cls;
    dev->env = env;
    dev->priv = priv;
    snprintf(dev->id, sizeof(dev->id), "%s", id);
    atomic_init(&priv->holds, 1);
    vr_mutex_init(&dev->lock);
    int r = dev_build(dev, opts, err);
    if (r < 0) {
        vr_fields_reset(dev, cls->fields, VR_ROLE_STATE); /* frees buffers that init made */
        if (env->mem) {
            vr_view_cache_drop(env->mem, &dev->dma);
        }
        dev_put(dev);
        return vr_err_in(err, r, "device %s", id);
    }
    *ret_dev = dev;
    return 0;
}

void vr_dev_destroy(struct vr_dev *dev)
{
    if (!dev) {
        return;
    }
    for (unsigned i = 0; i < VR_DEV_WINDOWS; i++) {
        if (dev->priv->space[i]) {
            vr_dev_unmap(dev, i, dev->priv->space[i]);
        }
    }
    vr_dev_lock(dev);
    vr_assert(!dev->priv->dead);
    dev->priv->dead = true;
    vr_dev_unlock(dev);
    if (dev->cls->fini) {
        dev->cls->fini(dev);
    }
    if (dev->env->mem) {
        vr_view_cache_drop(dev->env->mem, &dev->dma);
    }
    dev_put(dev);
}

void vr_dev_reset(struct vr_dev *dev)
{
    vr_dev_lock(dev);
    vr_assert(!dev->priv->dead);
    vr_fields_reset(dev, dev->cls->fields, VR_ROLE_STATE);
    if (dev->cls->reset) {
        dev->cls->reset(dev);
    }
    vr_dev_unlock(dev);
}

void vr_dev_quiesce(struct vr_dev *dev)
{
    if (dev->cls->quiesce) {
        dev->cls->quiesce(dev);
    }
}

static void dev_region_release(struct vr_region *region)
{
    dev_put(region->dev);
    free(region);
}

/* Add a region that shows @window, and holds the device until no view has it any more. */
static int dev_show(struct vr_dev *dev, unsigned window, struct vr_space *space,
                    const struct vr_region *like, struct vr_region **ret_region,
                    struct vr_error *err)
{
    struct vr_region *region = vr_zalloc(sizeof(*region));
    if (!region) {
        return vr_err(err, -ENOMEM, "mapping '%s': no memory", dev->id);
    }
    *region = *like;
    region->name = dev->id;
    region->len = dev->cls->windows[window].len;
    region->dev = dev;
    region->window = window;
    region->release = dev_region_release;
    atomic_fetch_add(&dev->priv->holds, 1);
    int r = vr_space_add(space, region, err);
    if (r < 0) {
        dev_region_release(region);
        return r;
    }
    *ret_region = region;
    return 0;
}

int vr_dev_map_at(struct vr_dev *dev, unsigned window, struct vr_space *space, uint64_t gpa,
                  int prio, struct vr_error *err)
{
    const struct vr_region like = {.kind = VR_REGION_DEV, .gpa = gpa, .prio = prio};
    vr_assert(window < VR_DEV_WINDOWS && dev->cls->windows[window].len);
    vr_assert(!dev->priv->space[window]);
    int r = dev_show(dev, window, space, &like, &dev->priv->region[window], err);
    if (r == 0) {
        dev->priv->space[window] = space;
    }
    return r;
}

int vr_dev_map(struct vr_dev *dev, unsigned window, struct vr_space *space, uint64_t gpa,
               struct vr_error *err)
{
    return vr_dev_map_at(dev, window, space, gpa, dev->cls->windows[window].prio, err);
}

int vr_dev_overlay(struct vr_dev *dev, unsigned window, struct vr_ram *ram, uint64_t ram_off,
                   struct vr_error *err)
{
    vr_assert(window < VR_DEV_WINDOWS && !dev->priv->overlay[window]);
    if (!dev->priv->space[window]) { /* on its way out */
        return vr_err(err, -ENODEV, "laying memory over '%s': not mapped", dev->id);
    }
    const struct vr_region like = {
        .kind = VR_REGION_ROM,
        .prio = dev->priv->region[window]->prio + 1,
        .gpa = dev->priv->region[window]->gpa,
        .ram = ram,
        .ram_off = ram_off,
    };
    return dev_show(dev, window, dev->priv->space[window], &like, &dev->priv->overlay[window], err);
}

void vr_dev_unlay(struct vr_dev *dev, unsigned window)
{
    struct vr_region *over = dev->priv->overlay[window];
    if (over) {
        dev->priv->overlay[window] = NULL;
        vr_space_remove(dev->priv->space[window], over);
    }
}

void vr_dev_unmap(struct vr_dev *dev, unsigned window, struct vr_space *space)
{
    vr_assert(window < VR_DEV_WINDOWS && dev->priv->space[window] == space);
    vr_dev_unlay(dev, window);
    dev->priv->space[window] = NULL;
    struct vr_region *region = dev->priv->region[window];
    dev->priv->region[window] = NULL;
    vr_space_remove(space, region);
}

int vr_dev_save(struct vr_dev *dev, struct vr_snap *snap, struct vr_error *err)
{
    vr_dev_lock(dev);
    int r = dev->cls->saving ? dev->cls->saving(dev, err) : 0;
    if (r < 0) {
        vr_err_in(err, r, "saving %s", dev->id);
    } else {
        r = vr_snap_save(snap, dev->id, dev->cls->version, dev, dev->cls->fields, err);
    }
    vr_dev_unlock(dev);
    return r;
}

int vr_dev_load(struct vr_dev *dev, struct vr_snap *snap, struct vr_error *err)
{
    const struct vr_dev_class *cls = dev->cls;
    vr_dev_lock(dev);
    int r = vr_snap_load(snap, dev->id, cls->version, dev, cls->fields, err);
    if (r == 0 && cls->loaded) {
        r = cls->loaded(dev, err);
        if (r < 0) {
            /* What the hook refused must not run. */
            vr_fields_reset(dev, cls->fields, VR_ROLE_STATE);
            if (cls->reset) {
                cls->reset(dev);
            }
            vr_err_in(err, r, "restoring %s", dev->id);
        }
    }
    vr_dev_unlock(dev);
    return r;
}

void vr_guest_error(struct vr_dev *dev, const char *fmt, ...)
{
    if (dev->guest_errors++ < DEV_ERRORS_LOGGED) {
        va_list ap;
        va_start(ap, fmt);
        vr_vlog(dev->env->log, VR_DEBUG, dev->id, fmt, ap);
        va_end(ap);
    }
}

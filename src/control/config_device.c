/*
 * --device CLASS[,id=NAME][,bus=PORT][,addr=DEV],KEY=VALUE,...: more devices, by their classes. One
 * that has a host end takes the keys of --disk, --net, --share or --virtio-console for it. `vireo
 * device add` and device_add give the same text while the machine runs.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "board/catalog.h"
#include "control/config.h"
#include "core/dev.h"
#include "vireo/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Kinds of devices that are no classes: what is at a SCSI controller. */
static const char *const device_units[] = {"scsi-hd", "scsi-cd"};

/* A value cut into pieces: what is ours, and the rest for who knows it. */
struct device_text {
    char *path, *rest, *opts; /* rest: with commas doubled; opts: as device classes take them */
    char *tag;
};

void vr_config_device_fini(struct vr_config_device *d)
{
    free(d->cls);
    free(d->opts);
    free(d->id);
    free(d->bus);
    free(d->end_name);
    vr_config_disk_fini(&d->disk);
    vr_config_net_fini(&d->net);
    vr_config_share_fini(&d->share);
    free(d->chr);
}

static void device_text_fini(struct device_text *t)
{
    free(t->path);
    free(t->rest);
    free(t->opts);
    free(t->tag);
}

const char *vr_config_device_class(unsigned i)
{
    const struct vr_dev_class *cls = vr_catalog_class(i);
    unsigned classes = i;
    if (cls) {
        return cls->name;
    }
    while (classes && !vr_catalog_class(classes - 1)) {
        classes--;
    }
    return i - classes < 2 ? device_units[i - classes] : NULL;
}

static bool device_is_registered(const struct vireo_config *c, const char *name)
{
    unsigned i = 0;
    while (i < c->own_class_count && strcmp(vr_catalog_own_name(c->own_class[i]), name) != 0) {
        i++;
    }
    return i < c->own_class_count;
}

static int device_check_class(const struct vireo_config *c, const char *name, struct vr_error *err)
{
    const char *names[VR_CONFIG_CLASSES];
    size_t count = 0;
    const char *one;
    /* While settings are loaded it may be one that the program registers before there is a machine.
     */
    if (device_is_registered(c, name) || (c->loading && vr_name_good(name, VR_VIRT_ID_LEN - 1))) {
        return 0;
    }
    while (count < VR_CONFIG_CLASSES && (one = vr_config_device_class((unsigned)count))) {
        if (strcmp(one, name) == 0) {
            return 0;
        }
        names[count++] = one;
    }
    size_t len = strlen(name);
    if (strcmp(name, "cpu") == 0 || (len > 4 && strcmp(name + len - 4, "-cpu") == 0)) {
        return vr_err(err, -ENOTSUP,
                      "'%s': CPUs are there from the start (--cpus): a RISC-V guest cannot be told "
                      "of more; it can take those it has offline and online",
                      name);
    }
    const char *near = vr_nearest(name, names, count);
    return vr_err(err, -EINVAL, "no device class '%s'%s%s%s (vireo devices lists them)", name,
                  near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int device_copy(char **to, const char *key, const char *value, struct vr_error *err)
{
    char *copy = value && *value ? strdup(value) : NULL;
    if (!copy) {
        return value && *value ? vr_err(err, -ENOMEM, "no memory")
                               : vr_err(err, -EINVAL, "%s=: expected a value", key);
    }
    free(*to);
    *to = copy;
    return 0;
}

/* @text at the end of *list, perhaps with commas in it doubled. */
static int device_put(char **list, const char *text, bool doubled, struct vr_error *err)
{
    int r = 0;
    for (const char *at = text; r == 0 && *at;) {
        size_t len = strcspn(at, ",");
        char *piece = strndup(at, len);
        r = piece ? vr_config_join(list, "", piece, err) : vr_err(err, -ENOMEM, "no memory");
        free(piece);
        at += len;
        if (r == 0 && *at) {
            r = vr_config_join(list, "", doubled ? ",," : ",", err);
            at++;
        }
    }
    return r;
}

/* "key=value" at the end of a list; a key without a value may be a path. */
static int device_join(char **list, const char *key, const char *value, bool doubled,
                       struct vr_error *err)
{
    int r = vr_config_join(list, *list ? "," : "", "", err);
    r = r < 0 ? r : device_put(list, key, doubled, err);
    r = r < 0 || !value ? r : vr_config_join(list, "=", "", err);
    return r < 0 || !value ? r : device_put(list, value, doubled, err);
}

int vr_config_join_piece(char **list, const char *key, const char *value, struct vr_error *err)
{
    return device_join(list, key, value, true, err);
}

static int device_target(struct vr_config_device *d, const char *value, struct vr_error *err)
{
    uint64_t n;
    if (!value || vr_parse_u64(value, &n) < 0 || n > 255) {
        return vr_err(err, -EINVAL, "target=%s: expected a number", value ? value : "");
    }
    d->target = (int)n;
    return 0;
}

/* A device's number on its PCI bus, hexadecimal as lspci and QEMU write it, perhaps with its
 * function, which is 0. */
static int device_addr(struct vr_config_device *d, const char *value, struct vr_error *err)
{
    char *end = NULL;
    bool digit = value && vr_hex_digit(*value) >= 0;
    unsigned long n = digit ? strtoul(value, &end, 16) : 0;
    if (!digit || n > 31 || (*end && strcmp(end, ".0") != 0)) {
        return vr_err(err, -EINVAL,
                      "addr=%s: expected the number of a device on its bus, 0 to 1f, of which "
                      "function 0 is meant",
                      value ? value : "");
    }
    d->addr = (unsigned)n + 1;
    return 0;
}

static int device_piece(struct vr_config_device *d, struct device_text *t, const char *key,
                        const char *value, struct vr_error *err)
{
    static const char *const ends[] = {
        [VR_VIRT_END_NONE] = "",       [VR_VIRT_END_DISK] = "drive",  [VR_VIRT_END_NET] = "netdev",
        [VR_VIRT_END_SHARE] = "fsdev", [VR_VIRT_END_CHR] = "chardev",
    };
    enum vr_virt_end_kind kind = vr_virt_end_of(d->cls);
    if (strcmp(key, "id") == 0) {
        d->named = true;
        return device_copy(&d->id, key, value, err);
    }
    if (strcmp(key, "bus") == 0) {
        return device_copy(&d->bus, key, value, err);
    }
    if (strcmp(key, "addr") == 0) {
        return device_addr(d, value, err);
    }
    if (kind != VR_VIRT_END_NONE && strcmp(key, ends[kind]) == 0) {
        return device_copy(&d->end_name, key, value, err);
    }
    if (kind != VR_VIRT_END_NONE && strcmp(key, "path") == 0) {
        return device_copy(&t->path, key, value, err);
    }
    if (strcmp(key, "target") == 0 && strncmp(d->cls, "scsi-", 5) == 0) {
        return device_target(d, value, err);
    }
    int r = device_join(&t->rest, key, value, true, err);
    return r < 0 ? r : device_join(&t->opts, key, value, false, err);
}

/* "head,path=PATH,rest" */
static int device_value(const char *head, const struct device_text *t, char **ret_text,
                        struct vr_error *err)
{
    int r = head ? vr_config_join(ret_text, "", head, err) : 0;
    r = r == 0 && t->path ? device_join(ret_text, "path", t->path, true, err) : r;
    return r == 0 && t->rest ? vr_config_join(ret_text, *ret_text ? "," : "", t->rest, err) : r;
}

static int device_disk(struct vr_config_device *d, const struct device_text *t,
                       struct vr_error *err)
{
    char *text = NULL;
    bool cdrom = strcmp(d->cls, "scsi-cd") == 0, unit = cdrom || strcmp(d->cls, "scsi-hd") == 0;
    if (cdrom && t->rest) {
        return vr_err(err, -EINVAL, "%s: it has path=, id=, bus= and target=, no '%s'", d->cls,
                      t->rest);
    }
    int r = device_value(NULL, t, &text, err);
    r = r == 0 && unit ? vr_config_join(&text, ",", "bus=scsi", err) : r;
    r = r < 0 ? r : vr_config_disk_parse(vr_opt_find(vr_config_opts, "disk"), text, &d->disk, err);
    free(text);
    if (r == 0) {
        d->opts = d->disk.opts;
        d->disk.opts = NULL;
        d->disk.read_only |= cdrom;
        d->disk.raw |= cdrom;
        d->end = VR_VIRT_END_DISK;
    }
    return r;
}

static int device_net(struct vr_config_device *d, const struct device_text *t, struct vr_error *err)
{
    char *text = NULL;
    int r = device_value(t->path ? "stream" : "user", t, &text, err);
    r = r < 0 ? r : vr_config_net_parse(vr_opt_find(vr_config_opts, "net"), text, &d->net, err);
    free(text);
    if (r == 0) {
        d->opts = d->net.opts;
        d->net.opts = NULL;
        d->end = VR_VIRT_END_NET;
    }
    return r;
}

static int device_share(struct vr_config_device *d, const struct device_text *t,
                        struct vr_error *err)
{
    char *text = NULL;
    int r = device_value(NULL, t, &text, err);
    r = r < 0 ? r
              : vr_config_share_parse(vr_opt_find(vr_config_opts, "share"), text,
                                      d->id ? d->id : "share", &d->share, err);
    free(text);
    d->end = r == 0 ? VR_VIRT_END_SHARE : d->end;
    return r;
}

/* The port of a console: path=SPEC[,name=NAME] */
static int device_console(struct vr_config_device *d, const struct device_text *t,
                          struct vr_error *err)
{
    int r = vr_config_chr_check(t->path, err);
    r = r < 0 ? r : device_copy(&d->chr, "path", t->path, err);
    d->end = r == 0 ? VR_VIRT_END_CHR : d->end;
    return r;
}

static int device_end(struct vr_config_device *d, struct device_text *t, struct vr_error *err)
{
    bool unit = strncmp(d->cls, "scsi-", 5) == 0;
    if (d->end_name && t->path) {
        return vr_err(err, -EINVAL, "%s: both '%s' and a path", d->cls, d->end_name);
    }
    if (t->path || (!d->end_name && vr_virt_end_of(d->cls) == VR_VIRT_END_NET)) {
        switch (vr_virt_end_of(d->cls)) {
        case VR_VIRT_END_DISK:
            return device_disk(d, t, err);
        case VR_VIRT_END_NET:
            return device_net(d, t, err);
        case VR_VIRT_END_SHARE:
            return device_share(d, t, err);
        case VR_VIRT_END_CHR:
            if (device_console(d, t, err) < 0) {
                return -EINVAL;
            }
            break;
        case VR_VIRT_END_NONE:
            break;
        }
    }
    if (unit && t->opts) { /* a disk whose image is there already */
        if (strncmp(t->opts, "serial=", 7) != 0 || strchr(t->opts, ',')) {
            return vr_err(err, -EINVAL, "%s: of '%s', a SCSI disk has the serial alone", d->cls,
                          t->opts);
        }
    }
    d->opts = t->opts;
    t->opts = NULL;
    return 0;
}

int vr_config_device_parse(const struct vireo_config *c, const char *text,
                           struct vr_config_device *ret_device, struct vr_error *err)
{
    struct vr_config_device d = {.target = -1};
    struct device_text t = {0};
    char *key, *value;
    int r;
    while ((r = vr_opt_piece(&text, &key, &value, err)) == 1) {
        if (d.cls) {
            r = device_piece(&d, &t, key, value, err);
        } else {
            r = device_check_class(c, key, err);
            d.cls = r < 0 ? NULL : strdup(key);
            r = r == 0 && !d.cls ? vr_err(err, -ENOMEM, "no memory") : r;
        }
        free(key);
        if (r < 0) {
            break;
        }
    }
    if (r == 0 && !d.cls) {
        r = device_check_class(c, "", err);
    }
    r = r < 0 ? r : device_end(&d, &t, err);
    device_text_fini(&t);
    if (r < 0) {
        vr_config_device_fini(&d);
        return r;
    }
    *ret_device = d;
    return 0;
}

/* Those without a name are dev0, dev1, ...: the first that is free. */
static int device_name(const struct vireo_config *c, struct vr_config_device *d,
                       struct vr_error *err)
{
    char id[VR_VIRT_ID_LEN];
    unsigned n = 0;
    for (unsigned i = 0; !d->id && i <= c->device_count; i++) {
        snprintf(id, sizeof(id), "dev%u", n);
        if (i == c->device_count) {
            return device_copy(&d->id, "id", id, err);
        }
        if (c->device[i].id && strcmp(c->device[i].id, id) == 0) {
            n++;
            i = UINT32_MAX; /* from the beginning */
        }
    }
    return 0;
}

static int device_take(struct vireo_config *c, struct vr_config_device *d, struct vr_error *err)
{
    if (c->device_count == VR_VIRT_DEVICES) {
        return vr_err(err, -ERANGE, "at most %d devices", VR_VIRT_DEVICES);
    }
    int r = device_name(c, d, err);
    for (unsigned i = 0; r == 0 && i < c->device_count; i++) {
        if (strcmp(c->device[i].id, d->id) == 0) {
            r = vr_err(err, -EEXIST, "there is a device '%s' already: choose another id", d->id);
        }
    }
    if (r == 0) {
        c->device[c->device_count++] = *d;
    }
    return r;
}

int vr_config_device(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vr_config_device d;
    (void)opt;
    int r = vr_config_device_parse(target, text, &d, err);
    if (r == 0 && (r = device_take(target, &d, err)) < 0) {
        vr_config_device_fini(&d);
    }
    return r;
}

int vireo_config_device_class(struct vireo_config *c, const struct vireo_function_class *cls,
                              void *opaque, struct vr_error *err)
{
    if (cls->name && device_is_registered(c, cls->name)) {
        return vr_err(err, -EEXIST, "device class '%s' is registered already", cls->name);
    }
    if (c->own_class_count == VR_CONFIG_OWN) {
        return vr_err(err, -ENOSPC, "device class '%s': at most %d of a program's own", cls->name,
                      VR_CONFIG_OWN);
    }
    int r = vr_catalog_own_create(cls, opaque, &c->own_class[c->own_class_count], err);
    c->own_class_count += r == 0;
    return r;
}

void vr_config_share_classes(const struct vireo_config *from, struct vireo_config *to)
{
    vr_config_drop_classes(to);
    for (unsigned i = 0; i < from->own_class_count; i++) {
        vr_catalog_own_hold(from->own_class[i]);
        to->own_class[to->own_class_count++] = from->own_class[i];
    }
}

void vr_config_drop_classes(struct vireo_config *c)
{
    while (c->own_class_count) {
        vr_catalog_own_release(c->own_class[--c->own_class_count]);
    }
}

static bool device_says(const struct vr_config_said *said)
{
    return said->opt->apply == vr_config_device || said->opt->apply == vr_config_watchdog;
}

int vr_config_device_drop(struct vireo_config *c, const char *id, struct vr_error *err)
{
    unsigned at = 0, k = 0;
    for (unsigned i = 0; i < c->said_count; i++) {
        struct vr_config_said *said = &c->said[i];
        if (!device_says(said)) {
            continue;
        }
        struct vr_config_device *d = &c->device[k++];
        if (strcmp(d->id, id) == 0) {
            at = i + 1;
        } else if (!d->named) { /* it keeps its name when one before it goes */
            char more[VR_VIRT_ID_LEN + 4];
            snprintf(more, sizeof(more), ",id=%s", d->id);
            int r = vr_config_join(&said->value, "", more, err);
            if (r < 0) {
                return r;
            }
            d->named = true;
        }
    }
    if (at == 0) {
        return 0;
    }
    free(c->said[at - 1].value);
    c->said_count--;
    memmove(&c->said[at - 1], &c->said[at], (c->said_count - at + 1) * sizeof(*c->said));
    for (k = 0; strcmp(c->device[k].id, id) != 0;) {
        k++;
    }
    vr_config_device_fini(&c->device[k]);
    c->device_count--;
    memmove(&c->device[k], &c->device[k + 1], (c->device_count - k) * sizeof(c->device[0]));
    return 0;
}

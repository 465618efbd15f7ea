/* --disk, --cdrom, --net and --publish. */
#include "backend/net/user_opts.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/text.h"
#include "control/config.h"
#include "vr_config.h"

#include <errno.h>
#include <string.h>

const struct vr_opt_key vr_config_disk_keys[] = {
    {"path", "PATH", "the image or block device; the key may be left out when it comes first"},
    {"ro", NULL, "the guest cannot write to it, and several machines may use it at a time"},
    {"format", "raw", "take it as raw even if it begins like another format"},
    {"raw", NULL, "the same as format=raw"},
    {"bus", "virtio|scsi", "as a virtio disk of its own, or at the machine's SCSI controller"},
    {"iothread", "NUMBER", "the I/O thread that serves it, from 0 (--io-threads)"},
    {NULL, NULL, NULL},
};

const struct vr_opt_key vr_config_net_keys[] = {
    {"path", "PATH", "stream: the UNIX socket where the other side listens"},
    {"hostfwd", "[tcp|udp]:[ADDR]:PORT-[ADDR]:PORT",
     "forward a port of the host to one of the guest; may be repeated (-p is shorter)"},
    {"restrict", NULL, "the guest reaches nothing; forwarded ports still work"},
    {"net", "10.0.2.0/24", "the guest's network"},
    {"host", "10.0.2.2", "this host's address there, the guest's gateway"},
    {"dns", "10.0.2.3", "the name server's address there"},
    {"dhcpstart", "10.0.2.15", "the first address that DHCP gives"},
    {"ipv6", "on|off", "IPv6 as well"},
    {"hostname", "NAME", "the name that DHCP gives the guest"},
    {"iothread", "NUMBER", "the I/O thread that serves it, from 0 (--io-threads)"},
    {NULL, NULL, NULL},
};

int vr_config_io_thread(const char *value, unsigned *ret_io_thread, struct vr_error *err)
{
    uint64_t n;
    if (!value || vr_parse_u64(value, &n) < 0 || n >= VR_MAX_IO_THREADS) {
        return vr_err(err, -EINVAL, "iothread=%s: expected a number from 0 to %d",
                      value ? value : "", VR_MAX_IO_THREADS - 1);
    }
    *ret_io_thread = (unsigned)n + 1;
    return 0;
}

/* ---- --disk PATH[,ro][,format=raw][,serial=...] ---- */

static int devices_disk_key(struct vr_config_disk *d, const struct vr_opt *opt, const char *key,
                            const char *value, struct vr_error *err)
{
    if (strcmp(key, "ro") == 0) {
        return vr_config_bool(key, value, &d->read_only, err);
    }
    if (strcmp(key, "raw") == 0) {
        return vr_config_bool(key, value, &d->raw, err);
    }
    if (strcmp(key, "format") == 0) {
        if (!value || strcmp(value, "raw") != 0) {
            return vr_err(err, -EINVAL, "format=%s: this version knows raw", value ? value : "");
        }
        d->raw = true;
        return 0;
    }
    if (strcmp(key, "iothread") == 0) {
        return vr_config_io_thread(value, &d->io_thread, err);
    }
    if (strcmp(key, "bus") == 0) {
        d->scsi = value && strcmp(value, "scsi") == 0;
        return d->scsi || (value && strcmp(value, "virtio") == 0)
                   ? 0
                   : vr_err(err, -EINVAL, "bus=%s: expected virtio or scsi", value ? value : "");
    }
    int r = vr_config_of_class(opt, key, value, &d->opts, err);
    return r < 0 ? r : r == 1 ? 0 : vr_config_unknown_key(opt, key, err);
}

void vr_config_disk_fini(struct vr_config_disk *d)
{
    free(d->path);
    free(d->opts);
}

int vr_config_disk_parse(const struct vr_opt *opt, const char *text,
                         struct vr_config_disk *ret_disk, struct vr_error *err)
{
    struct vr_config_disk d = {0};
    char *key, *value;
    int r;
    while ((r = vr_opt_piece(&text, &key, &value, err)) == 1) {
        if (!d.path && value && strcmp(key, "path") != 0) {
            value[-1] = '='; /* a path with this sign in it */
            value = key;
        } else if (!d.path && !value) {
            value = key;
        }
        if (!d.path) {
            d.path = strdup(value);
            r = !d.path    ? vr_err(err, -ENOMEM, "no memory")
                : !*d.path ? vr_err(err, -EINVAL, "expected PATH[,ro][,serial=...]")
                           : 0;
        } else {
            r = devices_disk_key(&d, opt, key, value, err);
        }
        free(key);
        if (r < 0) {
            break;
        }
    }
    if (r == 0 && !d.path) {
        r = vr_err(err, -EINVAL, "expected PATH[,ro][,serial=...]");
    }
    if (r == 0 && d.scsi && d.opts && (strncmp(d.opts, "serial=", 7) != 0 || strchr(d.opts, ','))) {
        r = vr_err(err, -EINVAL, "bus=scsi: of '%s', a SCSI disk has the serial alone", d.opts);
    }
    if (r < 0) {
        vr_config_disk_fini(&d);
        return r;
    }
    *ret_disk = d;
    return 0;
}

static int devices_add_disk(struct vireo_config *c, const struct vr_config_disk *d,
                            struct vr_error *err)
{
    if (c->disk_count == VR_VIRT_DISKS) {
        return vr_err(err, -ERANGE, "at most %d disks", VR_VIRT_DISKS);
    }
    c->disk[c->disk_count++] = *d;
    return 0;
}

int vr_config_disk(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vr_config_disk d;
    int r = vr_config_disk_parse(opt, text, &d, err);
    if (r == 0 && (r = devices_add_disk(target, &d, err)) < 0) {
        vr_config_disk_fini(&d);
    }
    return r;
}

/* ---- --cdrom PATH | none ---- */

int vr_config_cdrom(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vr_config_disk d = {.read_only = true, .raw = true, .scsi = true, .cdrom = true};
    (void)opt;
    if (!*text) {
        return vr_err(err, -EINVAL, "expected the path of an ISO image, or none");
    }
    if (strcmp(text, "none") != 0 && !(d.path = strdup(text))) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    int r = devices_add_disk(target, &d, err);
    if (r < 0) {
        vr_config_disk_fini(&d);
    }
    return r;
}

/* ---- --net user[,hostfwd=...][,mac=...] | stream,path=PATH[,mac=...] | none ---- */

void vr_config_net_fini(struct vr_config_net *n)
{
    free(n->backend);
    free(n->opts);
}

static int devices_net_pieces(struct vr_config_net *n, const struct vr_opt *opt, const char *text,
                              struct vr_error *err)
{
    char *key, *value;
    int r;
    while ((r = vr_opt_piece(&text, &key, &value, err)) == 1) {
        bool io_thread = strcmp(key, "iothread") == 0;
        r = io_thread ? vr_config_io_thread(value, &n->io_thread, err)
                      : vr_config_of_class(opt, key, value, &n->opts, err);
        if (r == 0 && !io_thread) {
            /* The backend's: it knows its keys. */
            r = vr_config_join(&n->backend, ",", key, err);
            if (r == 0 && value) {
                r = vr_config_join(&n->backend, "=", value, err);
            }
        }
        free(key);
        if (r < 0) {
            break;
        }
    }
    return r;
}

static int devices_net_user(const char *backend, struct vr_error *err)
{
    struct vr_net_user_opts parsed;
    int r = vr_net_user_opts_parse(backend[4] ? backend + 5 : NULL, &parsed, err);
    if (r == 0) {
        vr_net_user_opts_free(&parsed);
    }
    return r;
}

/* It has a path, and nothing else. */
static int devices_net_stream(const char *backend, struct vr_error *err)
{
    static const char head[] = "stream,path=";
    const char *path = backend + strlen(head);
    return strncmp(backend, head, strlen(head)) == 0 && *path && !strchr(path, ',')
               ? 0
               : vr_err(err, -EINVAL,
                        "network stream: it needs path=PATH, has no other option of a host end, "
                        "and its path has no comma");
}

int vr_config_net_parse(const struct vr_opt *opt, const char *text, struct vr_config_net *ret_net,
                        struct vr_error *err)
{
    struct vr_config_net n = {0};
    size_t len = strcspn(text, ",");
    bool user = len == 4 && strncmp(text, "user", 4) == 0;
    if (!user && (len != 6 || strncmp(text, "stream", 6) != 0)) {
        return vr_err(err, -EINVAL, "expected user[,hostfwd=...], stream,path=PATH or none");
    }
    if (user && !VR_HAVE_SLIRP) {
        return vr_err(err, -ENOSYS,
                      "this vireo was built without the user-mode network (libslirp)");
    }
    n.backend = strdup(user ? "user" : "stream");
    int r = n.backend ? devices_net_pieces(&n, opt, text[len] ? text + len + 1 : NULL, err)
                      : vr_err(err, -ENOMEM, "no memory");
    r = r < 0 ? r : user ? devices_net_user(n.backend, err) : devices_net_stream(n.backend, err);
    if (r < 0) {
        vr_config_net_fini(&n);
        return r;
    }
    *ret_net = n;
    return 0;
}

int vr_config_net(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vireo_config *c = target;
    struct vr_config_net n;
    if (strcmp(text, "none") == 0) {
        while (c->net_count) {
            vr_config_net_fini(&c->net[--c->net_count]);
        }
        return 0;
    }
    if (c->net_count == VR_VIRT_NETS) {
        return vr_err(err, -ERANGE, "at most %d network cards", VR_VIRT_NETS);
    }
    int r = vr_config_net_parse(opt, text, &n, err);
    if (r == 0) {
        c->net[c->net_count++] = n;
    }
    return r;
}

/* ---- --publish [ADDR:]HOST:GUEST[/udp] ---- */

int vr_config_publish(void *target, const struct vr_opt *opt, const char *text,
                      struct vr_error *err)
{
    struct vireo_config *c = target;
    struct vr_net_forward forward;
    (void)opt;
    int r = vr_net_forward_parse(text, &forward, err);
    return r < 0 ? r : vr_config_join(&c->publish, ",hostfwd=", text, err);
}

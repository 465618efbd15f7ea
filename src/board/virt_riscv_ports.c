/* The virt machine's virtio console: its ports and their host ends. */
#include "base/err.h"
#include "board/virt_riscv_priv.h"
#include "dev/virtio/console.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

_Static_assert((int)VR_VIRT_PORTS <= (int)VR_VIRTIO_CONSOLE_PORTS, "one device has them all");

/* The ports in the device's order: a console first, since drivers that know one port take port 0
 * for one. */
static void ports_order(const struct vr_virt_opts *o, unsigned *ret_order)
{
    unsigned first = 0, n = 0;
    while (first < o->port_count && o->port_name[first]) {
        first++;
    }
    if (first < o->port_count) {
        ret_order[n++] = first;
    }
    for (unsigned i = 0; i < o->port_count; i++) {
        if (i != first) {
            ret_order[n++] = i;
        }
    }
}

int virt_add_ports(struct vr_virt *v, const struct vr_virt_opts *o, struct vr_error *err)
{
    unsigned order[VR_VIRT_PORTS] = {0};
    char opts[320] = "ports=";
    struct vr_dev *dev;
    if (o->port_count == 0) {
        return 0;
    }
    ports_order(o, order);
    for (unsigned i = 0; i < o->port_count; i++) {
        const char *name = o->port_name[order[i]];
        size_t len = strlen(opts);
        if (snprintf(opts + len, sizeof(opts) - len, "%s%s", i ? "/" : "", name ? name : "") >=
            (int)(sizeof(opts) - len)) {
            return vr_err(err, -EINVAL, "console: the names of its ports are too long");
        }
    }
    int r = virt_add_virtio(v, "console", "console", opts, &dev, err);
    for (unsigned i = 0; r == 0 && i < o->port_count; i++) {
        const struct vr_virt_end end = {.kind = VR_VIRT_END_CHR, .chr = o->port[order[i]]};
        struct virt_end *opened;
        r = virt_end_open(v, &end, NULL, &opened, err);
        if (r == 0) {
            v->port[order[i]] = opened->host.chr;
            vr_virtio_console_attach(dev, i, opened->host.chr);
        }
    }
    return r;
}

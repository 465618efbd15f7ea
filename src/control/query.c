/* What there is: version, machines, device classes with their tables. */
#include "control/query.h"
#include "base/bits.h"
#include "base/text.h"
#include "board/catalog.h"
#include "core/dev.h"
#include "vireo/version.h"
#include "vr_config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

json_t *vr_query_version(void)
{
    json_t *machines = json_array();
    const struct vr_catalog_machine *m;
    for (unsigned i = 0; (m = vr_catalog_machine(i)); i++) {
        json_array_append_new(machines, json_sprintf("%s %s", m->arch, m->name));
    }
    return json_pack("{s:s, s:[s, s, s], s:o, s:{s:b, s:b}}", "version", vireo_version(), "engines",
                     "jit", "interp", "lockstep", "machines", machines, "features", "user-network",
                     VR_HAVE_SLIRP, "kvm", 0);
}

json_t *vr_query_machines(void)
{
    json_t *list = json_array();
    const struct vr_catalog_machine *m;
    for (unsigned i = 0; (m = vr_catalog_machine(i)); i++) {
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:i, s:i, s:i}", "arch", m->arch,
                            "name", m->name, "help", m->help, "cpus_max", (int)m->cpus_max,
                            "memory_min_bytes", (json_int_t)m->ram_min_bytes, "memory_gpa",
                            (json_int_t)m->ram_gpa, "disks_max", (int)m->disks_max, "nets_max",
                            (int)m->nets_max, "virtio_slots", (int)m->slots));
    }
    return list;
}

json_t *vr_query_devices(void)
{
    json_t *list = json_array();
    const struct vr_dev_class *cls;
    for (unsigned i = 0; (cls = vr_catalog_class(i)); i++) {
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", cls->name, "help", cls->help));
    }
    return list;
}

const char *vr_query_device_name(unsigned i)
{
    const struct vr_dev_class *cls = vr_catalog_class(i);
    return cls ? cls->name : NULL;
}

/* A number as JSON, which has no unsigned 64-bit integers that everybody reads: text when large. */
static json_t *query_u64(uint64_t v)
{
    return v <= INT64_MAX ? json_integer((json_int_t)v) : json_sprintf("0x%" PRIx64, v);
}

static json_t *query_default(const struct vr_field *f)
{
    switch (f->type) {
    case VR_STR:
        return json_string(f->def_str ? f->def_str : "");
    case VR_BOOL:
        return json_boolean(f->def);
    default:
        return query_u64(f->def);
    }
}

static void query_fields(const struct vr_field *table, json_t *options, json_t *state)
{
    for (const struct vr_field *f = table; f && f->name; f++) {
        json_t *row = json_pack("{s:s, s:s, s:s}", "name", f->name, "type", vr_type_name(f->type),
                                "help", f->help);
        if (f->role == VR_ROLE_CONFIG) {
            json_object_set_new(row, "default", query_default(f));
            if (f->max || f->min) {
                json_object_set_new(row, "min", query_u64(f->min));
                json_object_set_new(row, "max", query_u64(f->max));
            }
            json_array_append_new(options, row);
        } else if (f->role == VR_ROLE_STATE) {
            json_object_set_new(row, "count", json_integer(f->count));
            json_array_append_new(state, row);
        } else {
            json_decref(row);
        }
    }
}

static const char *query_access(const struct vr_reg *reg)
{
    bool reads = reg->backed || reg->read;
    bool writes = reg->write || (reg->backed && reg->wmask);
    return reads && writes ? "rw" : writes ? "wo" : "ro";
}

static json_t *query_window(const struct vr_window *w)
{
    json_t *regs = json_array();
    for (const struct vr_reg *reg = w->regs; reg && reg->name; reg++) {
        json_array_append_new(regs, json_pack("{s:s, s:i, s:i, s:s, s:i, s:i, s:s}", "name",
                                              reg->name, "offset", (int)reg->off, "width_bytes",
                                              (int)reg->width, "access", query_access(reg), "count",
                                              reg->count > 1 ? (int)reg->count : 1, "stride_bytes",
                                              (int)reg->stride, "help", reg->help));
    }
    return json_pack("{s:s, s:I, s:o}", "name", w->name, "len_bytes", (json_int_t)w->len,
                     "registers", regs);
}

int vr_query_device(const char *name, json_t **ret_json, struct vr_error *err)
{
    enum { CLASSES = 128 };
    const struct vr_dev_class *cls = vr_catalog_find_class(name), *c;
    if (!cls) {
        const char *names[CLASSES];
        unsigned count = 0;
        while (count < CLASSES && (c = vr_catalog_class(count))) {
            names[count++] = c->name;
        }
        const char *near = vr_nearest(name, names, count);
        return vr_err(err, -EINVAL, "no device class '%s'%s%s%s", name,
                      near ? ": did you mean '" : "", near ? near : "",
                      near ? "'?" : "; 'vireo devices' lists them");
    }
    json_t *options = json_array(), *state = json_array(), *windows = json_array();
    query_fields(cls->fields, options, state);
    for (unsigned i = 0; i < VR_DEV_WINDOWS && cls->windows[i].len; i++) {
        json_array_append_new(windows, query_window(&cls->windows[i]));
    }
    json_t *all = json_pack("{s:s, s:s, s:i, s:o, s:o, s:o}", "name", cls->name, "help", cls->help,
                            "state_version", (int)cls->version, "options", options, "windows",
                            windows, "state", state);
    if (!all) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    *ret_json = all;
    return 0;
}

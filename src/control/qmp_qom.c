/*
 * What there is of QEMU's object model (qapi/qom.json): the machine, its CPUs, its devices by id
 * with their class and configuration. Nothing can be set.
 *
 *     /machine/peripheral/ID   a device; properties: type, and the options of its class
 *     /machine/unattached/device[N]   a CPU, as query-cpus-fast names it
 */
#include "control/qmp_commands.h"
#include "control/vm_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What a path leads to. */
struct qom_at {
    const char *type;
    const struct vr_dev *dev; /* of a device */
};

static const char qom_devices[] = "/machine/peripheral", qom_cpus[] = "/machine/unattached";

static bool qom_cpu(struct vireo_vm *vm, const char *path)
{
    unsigned i;
    int len = 0;
    return sscanf(path + sizeof(qom_cpus) - 1, "/device[%u]%n", &i, &len) == 1 && len &&
           !path[sizeof(qom_cpus) - 1 + (size_t)len] && vr_machine_vcpu(vm->machine, i);
}

static int qom_find(struct vireo_vm *vm, const char *path, struct qom_at *ret_at,
                    struct vr_error *err)
{
    static const char *const containers[] = {"/", "/machine", qom_devices, qom_cpus};
    struct qom_at at = {.type = NULL};
    for (unsigned i = 0; i < sizeof(containers) / sizeof(containers[0]); i++) {
        at.type = strcmp(path, containers[i]) == 0 ? "container" : at.type;
    }
    if (!at.type && strncmp(path, qom_devices, sizeof(qom_devices) - 1) == 0 &&
        path[sizeof(qom_devices) - 1] == '/') {
        at.dev = vr_machine_find_dev(vm->machine, path + sizeof(qom_devices));
        at.type = at.dev ? at.dev->cls->name : NULL;
    }
    if (!at.type && strncmp(path, qom_cpus, sizeof(qom_cpus) - 1) == 0 && qom_cpu(vm, path)) {
        at.type = "riscv64-cpu";
    }
    if (!at.type) {
        return vr_err(err, -ENODEV, "Device '%.80s' not found", path);
    }
    *ret_at = at;
    return 0;
}

static void qom_add(json_t *list, const char *name, const char *type)
{
    (void)json_array_append_new(list, json_pack("{s:s, s:s}", "name", name, "type", type));
}

static void qom_add_child(json_t *list, const char *name, const char *type)
{
    char child[96];
    snprintf(child, sizeof(child), "child<%s>", type);
    qom_add(list, name, child);
}

static const char *qom_type(const struct vr_field *f)
{
    return f->type == VR_BOOL ? "bool" : f->type == VR_STR ? "string" : "int";
}

static int qom_list(struct vr_qmp_call *call, struct vr_error *err)
{
    struct vireo_vm *vm = call->vm;
    const char *path = vr_qmp_arg(call, "path");
    struct qom_at at;
    const struct vr_dev *dev;
    char name[32];
    int r = qom_find(vm, path, &at, err);
    if (r < 0) {
        return r;
    }
    json_t *list = json_array();
    qom_add(list, "type", "string");
    if (strcmp(path, "/") == 0) {
        qom_add_child(list, "machine", "container");
    } else if (strcmp(path, "/machine") == 0) {
        qom_add_child(list, "peripheral", "container");
        qom_add_child(list, "unattached", "container");
    } else if (strcmp(path, qom_devices) == 0) {
        for (unsigned i = 0; (dev = vr_machine_dev(vm->machine, i)); i++) {
            qom_add_child(list, dev->id, dev->cls->name);
        }
    } else if (strcmp(path, qom_cpus) == 0) {
        for (unsigned i = 0; vr_machine_vcpu(vm->machine, i); i++) {
            snprintf(name, sizeof(name), "device[%u]", i);
            qom_add_child(list, name, "riscv64-cpu");
        }
    }
    for (const struct vr_field *f = at.dev ? at.dev->cls->fields : NULL; f && f->name; f++) {
        if (f->role == VR_ROLE_CONFIG) {
            qom_add(list, f->name, qom_type(f));
        }
    }
    return vr_qmp_done(call, list, err);
}

static json_t *qom_value(const struct vr_dev *dev, const struct vr_field *f)
{
    if (f->type == VR_STR) {
        return vr_qmp_text((const char *)dev + f->offset);
    }
    uint64_t val = vr_field_get(dev, f, 0);
    return f->type == VR_BOOL ? json_boolean(val) : vr_qmp_number(val);
}

static int qom_get(struct vr_qmp_call *call, struct vr_error *err)
{
    const char *path = vr_qmp_arg(call, "path");
    const char *property = vr_qmp_arg(call, "property");
    struct qom_at at;
    int r = qom_find(call->vm, path, &at, err);
    if (r < 0) {
        return r;
    }
    const struct vr_field *f = at.dev ? vr_field_find(at.dev->cls->fields, property) : NULL;
    bool type = strcmp(property, "type") == 0;
    if (!type && !(f && f->role == VR_ROLE_CONFIG)) {
        return vr_err(err, -EINVAL, "Property '%s.%.60s' not found", at.type, property);
    }
    return vr_qmp_done(call, type ? json_string(at.type) : qom_value(at.dev, f), err);
}

/* Devices may go while they are looked at, so they are held. */
static int qom_held(struct vr_qmp_call *call,
                    int (*run)(struct vr_qmp_call *call, struct vr_error *err),
                    struct vr_error *err)
{
    vr_machine_hold_devs(call->vm->machine);
    int r = run(call, err);
    vr_machine_release_devs(call->vm->machine);
    return r;
}

int vr_qmp_qom_list(struct vr_qmp_call *call, struct vr_error *err)
{
    return qom_held(call, qom_list, err);
}

int vr_qmp_qom_get(struct vr_qmp_call *call, struct vr_error *err)
{
    return qom_held(call, qom_get, err);
}

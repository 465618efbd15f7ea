/*
 * Commands about devices that come and go (QEMU, qapi/qdev.json, net.json, block-core.json,
 * char.json). What they say in JSON is put into words as --device has them; there it is checked.
 */
#include "base/bits.h"
#include "base/text.h"
#include "control/hotplug.h"
#include "control/qmp_commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "key=value" behind *text: a plain JSON value as options have it. */
static int devices_put(char **text, const char *key, const json_t *value, struct vr_error *err)
{
    char number[32];
    if (json_is_boolean(value)) {
        return vr_config_join_piece(text, key, json_is_true(value) ? "on" : "off", err);
    }
    if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
        return vr_config_join_piece(text, key, number, err);
    }
    if (json_is_string(value)) {
        return vr_config_join_piece(text, key, json_string_value(value), err);
    }
    return vr_err(err, -EINVAL, "Parameter '%.40s' is neither text, number nor bool", key);
}

static const char *devices_str(const json_t *args, const char *key)
{
    const char *text = json_string_value(json_object_get(args, key));
    return text ? text : "";
}

int vr_qmp_device_add(struct vr_qmp_call *call, struct vr_error *err)
{
    char *text = NULL;
    const char *key;
    json_t *value;
    int r = vr_config_join_piece(&text, devices_str(call->args, "driver"), NULL, err);
    json_object_foreach((json_t *)call->args, key, value)
    {
        /* Slots have one place, 0. */
        bool place = strcmp(key, "addr") == 0 &&
                     (json_is_integer(value) || strspn(devices_str(call->args, key), "0x.") ==
                                                    strlen(devices_str(call->args, key)));
        if (r == 0 && strcmp(key, "driver") != 0 && !place) {
            r = devices_put(&text, key, value, err);
        }
    }
    r = r < 0 ? r : vireo_vm_device_add(call->vm, text, NULL, 0, err);
    free(text);
    return r;
}

int vr_qmp_device_del(struct vr_qmp_call *call, struct vr_error *err)
{
    const char *id = devices_str(call->args, "id");
    const json_t *ms = json_object_get(call->args, "x-vireo-timeout-ms");
    if (json_is_true(json_object_get(call->args, "x-vireo-force"))) {
        return vireo_vm_device_del(call->vm, id, VIREO_DEL_FORCE, 0, err);
    }
    if (json_integer_value(ms) < 0) {
        return vr_err(err, -EINVAL, "Parameter 'x-vireo-timeout-ms' expects no negative number");
    }
    return vr_hotplug_ask(call->vm->hotplug, id,
                          ms ? (uint64_t)json_integer_value(ms) * 1000000 : VR_HOTPLUG_NS, false,
                          err);
}

/* ---- netdev_add, netdev_del ---- */

/* hostfwd is a list of {"str": "tcp::2222-:22"}. */
static int devices_forwards(char **text, const json_t *list, struct vr_error *err)
{
    size_t i;
    json_t *one;
    int r = 0;
    json_array_foreach(list, i, one)
    {
        const char *spec = json_is_string(one) ? json_string_value(one) : devices_str(one, "str");
        r = r < 0 ? r : vr_config_join_piece(text, "hostfwd", spec, err);
    }
    return r;
}

/* x-vireo-iothread, which all networks have. */
static int devices_io_thread(char **text, const json_t *args, struct vr_error *err)
{
    const json_t *value = json_object_get(args, "x-vireo-iothread");
    return value ? devices_put(text, "iothread", value, err) : 0;
}

/* {"addr": {"type": "unix", "path": PATH}}, and that we are the client. */
static int devices_stream(char **text, const json_t *args, struct vr_error *err)
{
    static const char *const known[] = {"type", "id", "addr", "server", "x-vireo-iothread"};
    const json_t *addr = json_object_get(args, "addr");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)args, key, value)
    {
        if (vr_word(key, known, VR_COUNT(known)) < 0) {
            return vr_err(err, -EINVAL, "Parameter '%.40s' is unexpected", key);
        }
    }
    if (json_is_true(json_object_get(args, "server")) ||
        strcmp(devices_str(addr, "type"), "unix") != 0 || !*devices_str(addr, "path")) {
        return vr_err(
            err, -EINVAL,
            "Parameter 'addr' expects {\"type\": \"unix\", \"path\": ...}, where somebody "
            "listens");
    }
    return vr_config_join_piece(text, "path", devices_str(addr, "path"), err);
}

static int devices_user(char **text, const json_t *args, struct vr_error *err)
{
    const char *key;
    json_t *value;
    int r = 0;
    json_object_foreach((json_t *)args, key, value)
    {
        if (r < 0 || strcmp(key, "type") == 0 || strcmp(key, "id") == 0 ||
            strcmp(key, "x-vireo-iothread") == 0) {
            continue;
        }
        if (strcmp(key, "addr") == 0 || strcmp(key, "server") == 0) {
            return vr_err(err, -EINVAL, "Parameter '%s' is unexpected", key);
        }
        r = strcmp(key, "hostfwd") == 0 && json_is_array(value)
                ? devices_forwards(text, value, err)
                : devices_put(text, key, value, err);
    }
    return r;
}

int vr_qmp_netdev_add(struct vr_qmp_call *call, struct vr_error *err)
{
    char *text = NULL;
    int r;
    if (strcmp(devices_str(call->args, "type"), "stream") == 0) {
        r = devices_stream(&text, call->args, err);
    } else {
        r = devices_user(&text, call->args, err);
    }
    r = r < 0 ? r : devices_io_thread(&text, call->args, err);
    r = r < 0 ? r
              : vr_hotplug_end_add(call->vm->hotplug, VR_VIRT_END_NET,
                                   devices_str(call->args, "id"), text ? text : "", err);
    free(text);
    return r;
}

int vr_qmp_netdev_del(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_hotplug_end_del(call->vm->hotplug, VR_VIRT_END_NET, devices_str(call->args, "id"),
                              err);
}

/* ---- blockdev-add, blockdev-del ---- */

/* What says how an image is used has to say how ours are. */
static int devices_node_use(const char *key, const json_t *value, bool *ret_known,
                            struct vr_error *err)
{
    static const struct {
        const char *key, *values, *is;
    } use[] = {
        {"auto-read-only", "true false", ""}, /* it may be opened so; it is not */
        {"force-share", "false", "images are locked"},
        {"locking", "auto on", "images are locked"},
        {"discard", "unmap", "what the guest discards is given back to the host"},
        {"detect-zeroes", "off", "zeroes that are written are written"},
        {"aio", "threads", "threads read and write"},
        {"direct", "false", "the host's cache is used"},
        {"no-flush", "false", "flushes reach the medium"},
    };
    const char *text =
        json_is_boolean(value) ? json_is_true(value) ? "true" : "false" : json_string_value(value);
    *ret_known = true;
    for (unsigned i = 0; i < VR_COUNT(use); i++) {
        if (strcmp(key, use[i].key) == 0) {
            return text && vr_word_of(text, use[i].values, ' ')
                       ? 0
                       : vr_err(err, -EINVAL, "Parameter '%s' does not accept value '%.40s': %s",
                                key, text ? text : "", use[i].is);
        }
    }
    *ret_known = false;
    return 0;
}

/* What is known of a node; others are refused rather than forgotten. */
static int devices_node(const json_t *node, const char **ret_path, bool *ret_read_only,
                        struct vr_error *err)
{
    const char *key;
    json_t *value;
    bool known;
    json_object_foreach((json_t *)node, key, value)
    {
        if (strcmp(key, "filename") == 0) {
            *ret_path = json_string_value(value);
        } else if (strcmp(key, "read-only") == 0) {
            *ret_read_only |= json_is_true(value);
        } else if ((strcmp(key, "file") == 0 || strcmp(key, "cache") == 0) &&
                   json_is_object(value)) {
            int r = devices_node(value, ret_path, ret_read_only, err);
            if (r < 0) {
                return r;
            }
        } else if (strcmp(key, "driver") == 0) {
            const char *driver = json_string_value(value);
            if (!driver || (strcmp(driver, "raw") != 0 && strcmp(driver, "file") != 0 &&
                            strcmp(driver, "host_device") != 0)) {
                return vr_err(err, -EINVAL,
                              "Parameter 'driver' does not accept value '%.40s'; there are: raw, "
                              "file, host_device",
                              driver ? driver : "");
            }
        } else if (strcmp(key, "node-name") != 0) {
            int r = devices_node_use(key, value, &known, err);
            if (r < 0 || !known) {
                return r < 0 ? r : vr_err(err, -EINVAL, "Parameter '%.40s' is unexpected", key);
            }
        }
    }
    return 0;
}

int vr_qmp_blockdev_add(struct vr_qmp_call *call, struct vr_error *err)
{
    const char *path = NULL;
    bool read_only = false;
    char *text = NULL;
    int r = json_object_get(call->args, "node-name")
                ? devices_node(call->args, &path, &read_only, err)
                : vr_err(err, -EINVAL, "'node-name' must be specified for the root node");
    if (r == 0 && (!path || !*path)) {
        r = vr_err(err, -EINVAL, "Parameter 'filename' is missing");
    }
    /* Who says "raw" means it, whatever the image begins with. */
    r = r < 0 ? r : vr_config_join_piece(&text, "path", path, err);
    r = r < 0 ? r : vr_config_join_piece(&text, "format", "raw", err);
    r = r == 0 && read_only ? vr_config_join_piece(&text, "ro", NULL, err) : r;
    r = r < 0 ? r
              : vr_hotplug_end_add(call->vm->hotplug, VR_VIRT_END_DISK,
                                   devices_str(call->args, "node-name"), text, err);
    free(text);
    return r;
}

int vr_qmp_blockdev_del(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_hotplug_end_del(call->vm->hotplug, VR_VIRT_END_DISK,
                              devices_str(call->args, "node-name"), err);
}

/* ---- chardev-add, chardev-remove ---- */

/* Where the pty is that came as @id. */
static int devices_pty(struct vr_qmp_call *call, const char *id, struct vr_error *err)
{
    vr_machine_hold_devs(call->vm->machine);
    const char *path = vr_virt_end_chr_path(call->vm->virt, id);
    json_t *ret = path ? json_pack("{s:o}", "pty", vr_qmp_text(path)) : json_object();
    vr_machine_release_devs(call->vm->machine);
    return vr_qmp_done(call, ret, err);
}

int vr_qmp_chardev_add(struct vr_qmp_call *call, struct vr_error *err)
{
    const json_t *backend = json_object_get(call->args, "backend");
    const json_t *data = json_object_get(backend, "data");
    const char *type = devices_str(backend, "type"), *file = devices_str(data, "out"), *head = "";
    const json_t *addr = json_object_get(json_object_get(data, "addr"), "data");
    char *spec = NULL, *text = NULL;
    if (strcmp(type, "socket") == 0) {
        file = devices_str(addr, "path");
        head = "unix:";
        if (json_is_false(json_object_get(data, "server")) || !*file) {
            return vr_err(err, -EINVAL,
                          "Parameter 'backend' expects {\"addr\": {\"type\": \"unix\", \"data\": "
                          "{\"path\": ...}}}, where we listen");
        }
    } else if (strcmp(type, "file") == 0) {
        head = "file:";
    } else if (strcmp(type, "null") == 0 || strcmp(type, "pty") == 0) {
        head = type;
        file = "";
    } else { /* the row does not look into backend */
        return vr_err(err, -EINVAL,
                      "Parameter 'type' does not accept value '%.40s'; there are: null, pty, file, "
                      "socket",
                      type);
    }
    int r = vr_config_join(&spec, "", head, err);
    r = r < 0 ? r : vr_config_join(&spec, "", file, err);
    r = r < 0 ? r : vr_config_join_piece(&text, "path", spec, err);
    r = r < 0 ? r
              : vr_hotplug_end_add(call->vm->hotplug, VR_VIRT_END_CHR,
                                   devices_str(call->args, "id"), text, err);
    r = r == 0 && strcmp(type, "pty") == 0 ? devices_pty(call, devices_str(call->args, "id"), err)
                                           : r;
    free(spec);
    free(text);
    return r;
}

int vr_qmp_chardev_remove(struct vr_qmp_call *call, struct vr_error *err)
{
    return vr_hotplug_end_del(call->vm->hotplug, VR_VIRT_END_CHR, devices_str(call->args, "id"),
                              err);
}

/* ---- Ours ---- */

struct devices_list {
    json_t *list;
    const char *only; /* the id of the one that is wanted; NULL: all */
};

static void devices_row(void *opaque, const struct vireo_device *d)
{
    static const char *const states[] = {
        [VIREO_DEVICE_ATTACHED] = "attached",
        [VIREO_DEVICE_IN_USE] = "in-use",
        [VIREO_DEVICE_LEAVING] = "leaving",
        [VIREO_DEVICE_DETACHED] = "detached",
    };
    const struct devices_list *to = opaque;
    if (!to->only || strcmp(to->only, d->id) == 0) {
        (void)json_array_append_new(
            to->list, json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:b}", "id", d->id, "class", d->cls,
                                "bus", d->bus, "place", d->place, "host-end", vr_qmp_text(d->end),
                                "state", states[d->state], "removable", d->removable));
    }
}

int vr_qmp_devices(struct vr_qmp_call *call, struct vr_error *err)
{
    struct devices_list to = {.list = json_array()};
    vireo_vm_devices(call->vm, devices_row, &to);
    return vr_qmp_done(call, to.list, err);
}

int vr_qmp_x_device_add(struct vr_qmp_call *call, struct vr_error *err)
{
    char id[VR_VIRT_ID_LEN];
    struct devices_list to = {.list = NULL, .only = id};
    int r = vireo_vm_device_add(call->vm, devices_str(call->args, "device"), id, sizeof(id), err);
    if (r < 0) {
        return r;
    }
    to.list = json_array();
    vireo_vm_devices(call->vm, devices_row, &to);
    call->ret = json_incref(json_array_get(to.list, 0)); /* NULL: it has gone again */
    json_decref(to.list);
    return 0;
}

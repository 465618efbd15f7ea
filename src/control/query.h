/* Answers about what this Vireo can do, as JSON values: the command prints them as they are with
 * --json, and as text from the same values. NULL: no memory. The caller owns them. */
#ifndef VR_CONTROL_QUERY_H
#define VR_CONTROL_QUERY_H

#include "base/err.h"
#include <jansson.h>

struct vireo_config;
struct vireo_vm;

/* {"version", "engines": [], "machines": [], "features": {name: bool}} */
json_t *vr_query_version(void);
/* [{"arch", "name", "help", "cpus_max", "memory_min_bytes", ...}] */
json_t *vr_query_machines(void);
/* [{"name", "help"}] */
json_t *vr_query_devices(void);
/* Name of device class @i, static; NULL past the end. */
const char *vr_query_device_name(unsigned i);
/* {"name", "help", "options": [], "windows": [{"registers": []}], "state": []}; -EINVAL: no such
 * class, the message names the nearest; -ENOMEM. */
int vr_query_device(const char *name, json_t **ret_json, struct vr_error *err) VR_MUST;
/* {"usable": bool, "checks": [{"name", "status": "ok"|"note"|"missing", "needed", "detail"}]}:
 * what works on this host, by trying. */
json_t *vr_query_host(void);
/* The machine that @config and @vm, made of it, would run: {"machine", "engine", "harts",
 * "memory_bytes", "map": [], "settings": []}. @config has had vr_config_command_defaults. */
json_t *vr_query_explain(const struct vireo_config *config, struct vireo_vm *vm);

#endif

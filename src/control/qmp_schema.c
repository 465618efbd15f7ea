/* The shape of commands, from their rows: checking arguments, and telling clients (SchemaInfo as in
 * QEMU's qapi/introspect.json, with types by their names). */
#include "control/qmp.h"

#include "base/bits.h"
#include "base/text.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *json;
    json_type type;
} schema_builtin[] = {
    {"str", "string", JSON_STRING}, {"int", "int", JSON_INTEGER},  {"number", "number", JSON_REAL},
    {"bool", "boolean", JSON_TRUE}, {"any", "value", JSON_OBJECT},
};

const struct vr_qmp_command *vr_qmp_find(const char *name)
{
    for (const struct vr_qmp_command *c = vr_qmp_commands; c->name; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

static const struct vr_qmp_type *schema_find(const char *name)
{
    for (const struct vr_qmp_type *t = vr_qmp_types; t->name; t++) {
        if (strcmp(t->name, name) == 0) {
            return t;
        }
    }
    return NULL;
}

/* "[Name]" or "Name", @len characters. */
static void schema_type(const char *text, size_t len, struct vr_qmp_member *ret_member)
{
    ret_member->list = text[0] == '[';
    if (ret_member->list) {
        text++;
        len -= 2;
    }
    vr_assert(len > 0 && len < sizeof(ret_member->type));
    snprintf(ret_member->type, sizeof(ret_member->type), "%.*s", (int)len, text);
}

bool vr_qmp_next_member(const char **members, struct vr_qmp_member *ret_member)
{
    const char *text = *members;
    if (!text || !*text) {
        return false;
    }
    size_t len = strcspn(text, ","), name_len = strcspn(text, ":");
    vr_assert(name_len < len);
    ret_member->optional = name_len && text[name_len - 1] == '?';
    snprintf(ret_member->name, sizeof(ret_member->name), "%.*s",
             (int)(name_len - ret_member->optional), text);
    schema_type(text + name_len + 1, len - name_len - 1, ret_member);
    text += len;
    *members = text + strspn(text, ", ");
    return true;
}

/* ---- Checking ---- */

/* What JSON calls values of @type. */
static const char *schema_kind(const char *type)
{
    for (unsigned i = 0; i < VR_COUNT(schema_builtin); i++) {
        if (strcmp(type, schema_builtin[i].name) == 0) {
            return schema_builtin[i].json;
        }
    }
    return schema_find(type)->values ? "string" : "object";
}

static bool schema_fits(const char *kind, const json_t *value)
{
    return strcmp(kind, "string") == 0    ? json_is_string(value)
           : strcmp(kind, "int") == 0     ? json_is_integer(value)
           : strcmp(kind, "number") == 0  ? json_is_number(value)
           : strcmp(kind, "boolean") == 0 ? json_is_boolean(value)
           : strcmp(kind, "object") == 0  ? json_is_object(value)
                                          : true;
}

/* Is @value one of an enumeration's? True for other types. */
static bool schema_value_known(const char *type, const json_t *value)
{
    const struct vr_qmp_type *t = schema_find(type);
    const char *word = json_string_value(value);
    return !t || !t->values || !word || vr_word_of(word, t->values, '|');
}

static int schema_check_member(const struct vr_qmp_member *m, const json_t *value,
                               struct vr_error *err)
{
    const char *kind = schema_kind(m->type);
    if (m->list && !json_is_array(value)) {
        return vr_err(err, -EINVAL, "Invalid parameter type for '%s', expected: array", m->name);
    }
    for (size_t i = 0; i < (m->list ? json_array_size(value) : 1); i++) {
        const json_t *v = m->list ? json_array_get(value, i) : value;
        if (!schema_fits(kind, v)) {
            return vr_err(err, -EINVAL, "Invalid parameter type for '%s', expected: %s", m->name,
                          kind);
        }
        if (!schema_value_known(m->type, v)) {
            return vr_err(err, -EINVAL,
                          "Parameter '%s' does not accept value '%.40s'; there are: %s", m->name,
                          json_string_value(v), schema_find(m->type)->values);
        }
    }
    return 0;
}

int vr_qmp_check(const char *members, const json_t *args, struct vr_error *err)
{
    struct vr_qmp_member m;
    const char *at = members, *key;
    json_t *value;
    while (vr_qmp_next_member(&at, &m)) {
        value = json_object_get(args, m.name);
        if (!value && !m.optional) {
            return vr_err(err, -EINVAL, "Parameter '%s' is missing", m.name);
        }
        int r = value ? schema_check_member(&m, value, err) : 0;
        if (r < 0) {
            return r;
        }
    }
    json_object_foreach((json_t *)args, key, value)
    {
        bool known = false;
        at = members;
        while (!known && vr_qmp_next_member(&at, &m)) {
            known = strcmp(key, m.name) == 0 || strcmp(m.name, "*") == 0;
        }
        if (!known) {
            return vr_err(err, -EINVAL, "Parameter '%.80s' is unexpected", key);
        }
    }
    return 0;
}

/* ---- Telling ---- */

static void schema_add(json_t *list, json_t *info)
{
    if (!info || json_array_append_new(list, info) < 0) {
        json_array_clear(list); /* vr_qmp_schema says NULL then */
    }
}

/* An array type is told once. */
static void schema_list_type(json_t *list, const char *type)
{
    char name[64];
    size_t i;
    json_t *info;
    snprintf(name, sizeof(name), "[%s]", type);
    json_array_foreach(list, i, info)
    {
        if (strcmp(json_string_value(json_object_get(info, "name")), name) == 0) {
            return;
        }
    }
    schema_add(list, json_pack("{s:s, s:s, s:s}", "name", name, "meta-type", "array",
                               "element-type", type));
}

static json_t *schema_name_of(json_t *list, const struct vr_qmp_member *m)
{
    if (m->list) {
        schema_list_type(list, m->type);
        return json_sprintf("[%s]", m->type);
    }
    return json_string(m->type);
}

static void schema_object(json_t *list, const char *name, const char *members)
{
    struct vr_qmp_member m;
    json_t *all = json_array();
    while (vr_qmp_next_member(&members, &m) && strcmp(m.name, "*") != 0) {
        json_t *one = json_pack("{s:s, s:o}", "name", m.name, "type", schema_name_of(list, &m));
        if (m.optional) {
            (void)json_object_set_new(one, "default", json_null());
        }
        (void)json_array_append_new(all, one);
    }
    schema_add(list,
               json_pack("{s:s, s:s, s:o}", "name", name, "meta-type", "object", "members", all));
}

static void schema_enum(json_t *list, const struct vr_qmp_type *t)
{
    json_t *values = json_array(), *members = json_array();
    size_t len;
    for (const char *at = t->values; *at; at += len + (at[len] == '|')) {
        len = strcspn(at, "|");
        (void)json_array_append_new(values, json_stringn(at, len));
        (void)json_array_append_new(members, json_pack("{s:o}", "name", json_stringn(at, len)));
    }
    schema_add(list, json_pack("{s:s, s:s, s:o, s:o}", "name", t->name, "meta-type", "enum",
                               "members", members, "values", values));
}

/* The type of a command's or an event's arguments: its name. */
static void schema_args(json_t *list, const char *of, const char *members, char ret_name[80])
{
    snprintf(ret_name, 80, members ? "q_obj_%s-arg" : "q_empty", of);
    if (members) {
        schema_object(list, ret_name, members);
    }
}

static void schema_command(json_t *list, const struct vr_qmp_command *c)
{
    char args[80];
    struct vr_qmp_member ret = {.type = "q_empty"};
    schema_args(list, c->name, c->args, args);
    if (c->ret) {
        schema_type(c->ret, strlen(c->ret), &ret);
    }
    schema_add(list, json_pack("{s:s, s:s, s:s, s:o, s:b}", "name", c->name, "meta-type", "command",
                               "arg-type", args, "ret-type", schema_name_of(list, &ret),
                               "allow-oob", (c->flags & VR_QMP_OOB) != 0));
}

json_t *vr_qmp_schema(const struct vireo_vm *vm)
{
    json_t *list = json_array();
    if (!list) {
        return NULL;
    }
    for (const struct vr_qmp_command *c = vr_qmp_commands; c->name; c++) {
        schema_command(list, c);
    }
    const struct vr_qmp_command *own;
    for (unsigned i = 0; (own = vr_qmp_own(vm, i)); i++) {
        schema_command(list, own);
    }
    for (const struct vr_qmp_type *t = vr_qmp_events; t->name; t++) {
        char args[80];
        schema_args(list, t->name, t->members, args);
        schema_add(list, json_pack("{s:s, s:s, s:s}", "name", t->name, "meta-type", "event",
                                   "arg-type", args));
    }
    for (const struct vr_qmp_type *t = vr_qmp_types; t->name; t++) {
        if (t->values) {
            schema_enum(list, t);
        } else {
            schema_object(list, t->name, t->members);
        }
    }
    schema_object(list, "q_empty", NULL);
    for (unsigned i = 0; i < VR_COUNT(schema_builtin); i++) {
        schema_add(list, json_pack("{s:s, s:s, s:s}", "name", schema_builtin[i].name, "meta-type",
                                   "builtin", "json-type", schema_builtin[i].json));
    }
    if (json_array_size(list) == 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

/* Reading, writing, checking and resetting what a field table describes. */
#include "base/field.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

uint64_t vr_field_get(const void *obj, const struct vr_field *f, unsigned i)
{
    const char *p = (const char *)obj + f->offset + (size_t)i * f->elem_size;
    switch (f->type) {
    case VR_BOOL: /* through a byte: a bool that holds anything but 0 and 1 must not be loaded as
                     one */
    case VR_U8: {
        uint8_t v;
        memcpy(&v, p, sizeof(v));
        return f->type == VR_BOOL ? v != 0 : v;
    }
    case VR_U16: {
        uint16_t v;
        memcpy(&v, p, sizeof(v));
        return v;
    }
    case VR_U32: {
        uint32_t v;
        memcpy(&v, p, sizeof(v));
        return v;
    }
    default: {
        uint64_t v;
        vr_assert(f->type == VR_U64);
        memcpy(&v, p, sizeof(v));
        return v;
    }
    }
}

void vr_field_set(void *obj, const struct vr_field *f, unsigned i, uint64_t val)
{
    char *p = (char *)obj + f->offset + (size_t)i * f->elem_size;
    switch (f->type) {
    case VR_BOOL:
    case VR_U8: {
        uint8_t v = f->type == VR_BOOL ? val != 0 : (uint8_t)val;
        memcpy(p, &v, sizeof(v));
        break;
    }
    case VR_U16: {
        uint16_t v = (uint16_t)val;
        memcpy(p, &v, sizeof(v));
        break;
    }
    case VR_U32: {
        uint32_t v = (uint32_t)val;
        memcpy(p, &v, sizeof(v));
        break;
    }
    default:
        vr_assert(f->type == VR_U64);
        memcpy(p, &val, sizeof(val));
        break;
    }
}

static uint64_t field_top(const struct vr_field *f)
{
    switch (f->type) {
    case VR_BOOL:
        return 1;
    case VR_U8:
        return UINT8_MAX;
    case VR_U16:
        return UINT16_MAX;
    case VR_U32:
        return UINT32_MAX;
    default:
        return UINT64_MAX;
    }
}

bool vr_field_ok(const struct vr_field *f, uint64_t v)
{
    return v >= f->min && v <= field_top(f) && (!f->max || v <= f->max);
}

const struct vr_field *vr_field_find(const struct vr_field *table, const char *name)
{
    for (const struct vr_field *f = table; f && f->name; f++) {
        if (strcmp(f->name, name) == 0) {
            return f;
        }
    }
    return NULL;
}

void vr_field_reset(void *obj, const struct vr_field *f, unsigned roles)
{
    char *p = (char *)obj + f->offset;
    switch (f->type) {
    case VR_STRUCT:
        for (uint32_t i = 0; i < f->count; i++) {
            vr_fields_reset(p + (size_t)i * f->elem_size, f->sub, roles);
        }
        break;
    case VR_STR: {
        size_t len = f->def_str ? strlen(f->def_str) : 0;
        vr_assert(len < f->count);
        memset(p, 0, f->count);
        memcpy(p, f->def_str ? f->def_str : "", len);
        break;
    }
    case VR_BUF: {
        void *buf;
        uint32_t zero = 0;
        memcpy(&buf, p, sizeof(buf));
        free(buf);
        memset(p, 0, sizeof(buf));
        memcpy((char *)obj + f->len_offset, &zero, sizeof(zero));
        break;
    }
    case VR_OPAQUE: /* host-side: belongs to the class's hooks */
        break;
    default:
        for (uint32_t i = 0; i < f->count; i++) {
            vr_field_set(obj, f, i, f->def);
        }
        break;
    }
}

void vr_fields_reset(void *obj, const struct vr_field *table, unsigned roles)
{
    for (const struct vr_field *f = table; f && f->name; f++) {
        if (f->role & roles) {
            vr_field_reset(obj, f, roles);
        }
    }
}

const char *vr_type_name(enum vr_type type)
{
    static const char *const names[] = {
        [VR_BOOL] = "bool",     [VR_U8] = "u8",      [VR_U16] = "u16",
        [VR_U32] = "u32",       [VR_U64] = "u64",    [VR_OPAQUE] = "opaque",
        [VR_STRUCT] = "struct", [VR_STR] = "string", [VR_BUF] = "bytes",
    };
    return (unsigned)type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

/*
 * The one table: each member of a state struct, described once.
 *
 * From a field table come reset, save, restore with range checks, command-line options, help, the
 * reference, and the test that every byte of a struct is accounted for. A table is preceded by
 * `#define VR_SELF struct my_chip` and ends with VR_FIELD_END; its rows stand in struct order.
 */
#ifndef VR_BASE_FIELD_H
#define VR_BASE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vr_type {
    VR_BOOL,
    VR_U8,
    VR_U16,
    VR_U32,
    VR_U64,
    VR_OPAQUE, /* host-side bytes */
    VR_STRUCT, /* nested: sub-table, count elements of elem_size bytes */
    VR_STR,    /* config only: char[count], zero-terminated */
    VR_BUF,    /* state only: a pointer to bytes; length in another member; see VR_STATE_BUF */
};

enum vr_role { VR_ROLE_STATE = 1, VR_ROLE_CONFIG = 2, VR_ROLE_HOST = 4 };

struct vr_field {
    const char *name; /* stable for ever: snapshots and command lines spell it */
    const char *help;
    uint32_t offset;
    uint32_t count;     /* elements; 1 for a scalar */
    uint32_t elem_size; /* bytes of one element */
    uint8_t type, role;
    uint16_t since;             /* class version that introduced it; 0 = from the start */
    uint64_t def;               /* value after reset (state) or when not given (config) */
    uint64_t min, max;          /* checked on restore and on the command line; max 0 = whole type */
    const char *def_str;        /* VR_STR: the default; NULL is empty */
    const struct vr_field *sub; /* VR_STRUCT */
    uint32_t len_offset; /* VR_BUF: where the length, a uint32_t, stands; max = greatest length */
};

#define VR_TYPEOF_(lv)          \
    _Generic((lv), bool         \
             : VR_BOOL, uint8_t \
             : VR_U8, uint16_t  \
             : VR_U16, uint32_t \
             : VR_U32, uint64_t \
             : VR_U64)
#define VR_COUNTOF_(m) (sizeof(((VR_SELF *)0)->m) / sizeof(((VR_SELF *)0)->m[0]))
#define VR_FIELD_(m, lv, n, r, ...)                                                        \
    {                                                                                      \
        .name = #m, .offset = offsetof(VR_SELF, m), .count = (n), .elem_size = sizeof(lv), \
        .type = VR_TYPEOF_(lv), .role = (r), .help = __VA_ARGS__                           \
    }

/* VR_STATE(member, "help", .def = 1, .max = 3): guest-visible state. */
#define VR_STATE(m, ...) VR_FIELD_(m, ((VR_SELF *)0)->m, 1, VR_ROLE_STATE, __VA_ARGS__)
#define VR_STATE_ARRAY(m, ...) \
    VR_FIELD_(m, ((VR_SELF *)0)->m[0], VR_COUNTOF_(m), VR_ROLE_STATE, __VA_ARGS__)
/* An array of structs (or one struct, count 1), each element described by table @s. */
#define VR_STATE_STRUCTS(m, s, ...)                                                          \
    {                                                                                        \
        .name = #m, .offset = offsetof(VR_SELF, m), .count = VR_COUNTOF_(m),                 \
        .elem_size = sizeof(((VR_SELF *)0)->m[0]), .type = VR_STRUCT, .role = VR_ROLE_STATE, \
        .sub = (s), .help = __VA_ARGS__                                                      \
    }
/* uint8_t *m of length `uint32_t len_m` (itself declared by VR_STATE before or after), at most .max
 * bytes. Reset frees it (NULL, 0); load allocates. The class's fini frees it with free(). */
#define VR_STATE_BUF(m, len_m, ...)                                                             \
    {                                                                                           \
        .name = #m, .offset = offsetof(VR_SELF, m), .count = 1, .elem_size = sizeof(uint8_t *), \
        .len_offset = offsetof(VR_SELF, len_m), .type = VR_BUF, .role = VR_ROLE_STATE,          \
        .help = __VA_ARGS__                                                                     \
    }
/* Options: `--device CLASS,name=value`. */
#define VR_CONFIG(m, ...) VR_FIELD_(m, ((VR_SELF *)0)->m, 1, VR_ROLE_CONFIG, __VA_ARGS__)
#define VR_CONFIG_STR(m, ...)                                                           \
    {                                                                                   \
        .name = #m, .offset = offsetof(VR_SELF, m), .count = sizeof(((VR_SELF *)0)->m), \
        .elem_size = 1, .type = VR_STR, .role = VR_ROLE_CONFIG, .help = __VA_ARGS__     \
    }
/* Host-side: pointers, timers, locks, caches that init and loaded rebuild. Say why it is not saved.
 */
#define VR_HOST(m, why)                                                                \
    {                                                                                  \
        .name = #m, .offset = offsetof(VR_SELF, m), .type = VR_OPAQUE, .elem_size = 1, \
        .count = sizeof(((VR_SELF *)0)->m), .role = VR_ROLE_HOST, .help = why          \
    }
#define VR_FIELD_END \
    {                \
        .name = NULL \
    }

/* Scalar element @i of @f in @obj (BOOL..U64). */
uint64_t vr_field_get(const void *obj, const struct vr_field *f, unsigned i);
void vr_field_set(void *obj, const struct vr_field *f, unsigned i, uint64_t v);
/* Is @v inside the field's declared range and type? */
bool vr_field_ok(const struct vr_field *f, uint64_t v);
const struct vr_field *vr_field_find(const struct vr_field *table, const char *name);
/* Set every field whose role is in @roles to its default; recurses into VR_STRUCT; frees VR_BUF. */
void vr_fields_reset(void *obj, const struct vr_field *table, unsigned roles);
void vr_field_reset(void *obj, const struct vr_field *f, unsigned roles); /* just this one */
const char *vr_type_name(enum vr_type type);                              /* "bool", "u8", ... */

#endif

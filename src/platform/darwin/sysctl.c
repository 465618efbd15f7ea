/* sysctlbyname(3). */
#include "platform/darwin/sysctl.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysctl.h>
#include <sys/types.h>

bool vr_sysctl_u64(const char *name, uint64_t *ret_val)
{
    union {
        int32_t narrow;
        int64_t wide;
    } v = {.wide = 0};
    size_t len = sizeof(v);
    if (sysctlbyname(name, &v, &len, NULL, 0) < 0) {
        return false;
    }
    int64_t val = len == sizeof(v.narrow) ? v.narrow : len == sizeof(v.wide) ? v.wide : -1;
    if (val < 0) {
        return false;
    }
    *ret_val = (uint64_t)val;
    return true;
}

uint32_t vr_sysctl_u32(const char *name)
{
    uint64_t v;
    return vr_sysctl_u64(name, &v) && v <= UINT32_MAX ? (uint32_t)v : 0;
}

bool vr_sysctl_text(const char *name, char *ret_text, size_t size)
{
    char text[256] = "";
    size_t len = sizeof(text) - 1;
    if (sysctlbyname(name, text, &len, NULL, 0) < 0) {
        return false;
    }
    snprintf(ret_text, size, "%s", text);
    return true;
}

bool vr_sysctl_bytes(const char *name, void *ret_bytes, size_t *len)
{
    return sysctlbyname(name, ret_bytes, len, NULL, 0) == 0;
}

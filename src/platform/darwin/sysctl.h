/* Facts by name, as sysctlbyname(3) has them. */
#ifndef VR_PLATFORM_DARWIN_SYSCTL_H
#define VR_PLATFORM_DARWIN_SYSCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An integer of 4 or 8 bytes that is not negative; false: none of that name. */
bool vr_sysctl_u64(const char *name, uint64_t *ret_val);
/* The same within 32 bits; 0: none of that name, or larger. */
uint32_t vr_sysctl_u32(const char *name);
/* A text, cut to @size with its NUL; false: none of that name. */
bool vr_sysctl_text(const char *name, char *ret_text, size_t size);
/* Whatever it is, at most *len bytes, which becomes how many there are; false: none of that name,
 * or more. */
bool vr_sysctl_bytes(const char *name, void *ret_bytes, size_t *len);

#endif

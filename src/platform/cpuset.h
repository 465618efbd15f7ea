/* Sets of host processors, of any size, and the lists that Linux writes them as: "0-3,8,10-11". */
#ifndef VR_PLATFORM_CPUSET_H
#define VR_PLATFORM_CPUSET_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VR_CPU_MAX = 65536 }; /* numbers below this; more than any kernel is built for */

struct vr_cpuset {
    uint64_t *bits; /* NULL: empty */
    uint32_t words;
};

/* An all-zero struct is the empty set. Free what a set holds with fini. */
void vr_cpuset_fini(struct vr_cpuset *set);
bool vr_cpuset_has(const struct vr_cpuset *set, uint32_t cpu);
/* -ERANGE: @cpu is beyond VR_CPU_MAX; -ENOMEM. */
int vr_cpuset_add(struct vr_cpuset *set, uint32_t cpu) VR_MUST;
uint32_t vr_cpuset_count(const struct vr_cpuset *set);
/* The first member at or after @from; UINT32_MAX: none. */
uint32_t vr_cpuset_next(const struct vr_cpuset *set, uint32_t from);
/* Parse a list; blanks only at its end. The empty list is the empty set. Strides ("0-8:2/4") are
 * understood. -EINVAL: no list; -ERANGE: numbers beyond VR_CPU_MAX; -ENOMEM. */
int vr_cpuset_parse(const char *text, struct vr_cpuset *ret_set) VR_MUST;
/* Write the list, as short as it gets, cut to @size with its NUL. Returns the whole length. */
size_t vr_cpuset_format(const struct vr_cpuset *set, char *text, size_t size);

#endif

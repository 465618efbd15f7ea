/* Sets of host processors. The list format: Linux Documentation/admin-guide/kernel-parameters.rst,
 * "cpu lists". */
#include "base/bits.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void vireo_cpuset_fini(struct vireo_cpuset *set)
{
    free(set->bits);
    *set = (struct vireo_cpuset){.bits = NULL};
}

bool vireo_cpuset_has(const struct vireo_cpuset *set, uint32_t cpu)
{
    return cpu / 64 < set->words && (set->bits[cpu / 64] >> (cpu % 64) & 1);
}

int vireo_cpuset_add(struct vireo_cpuset *set, uint32_t cpu)
{
    if (cpu >= VIREO_CPU_MAX) {
        return -ERANGE;
    }
    uint32_t need = cpu / 64 + 1;
    if (need > set->words) {
        uint64_t *bits = realloc(set->bits, need * sizeof(*bits));
        if (!bits) {
            return -ENOMEM;
        }
        memset(bits + set->words, 0, (need - set->words) * sizeof(*bits));
        set->bits = bits;
        set->words = need;
    }
    set->bits[cpu / 64] |= UINT64_C(1) << (cpu % 64);
    return 0;
}

uint32_t vireo_cpuset_count(const struct vireo_cpuset *set)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->words; i++) {
        count += (uint32_t)__builtin_popcountll(set->bits[i]);
    }
    return count;
}

uint32_t vireo_cpuset_next(const struct vireo_cpuset *set, uint32_t from)
{
    for (uint32_t i = from / 64; i < set->words; i++) {
        uint64_t left = set->bits[i] & (i == from / 64 ? ~vr_mask(from % 64) : UINT64_MAX);
        if (left) {
            return i * 64 + (uint32_t)__builtin_ctzll(left);
        }
    }
    return UINT32_MAX;
}

/* The number at *text, which moves behind it. */
static int cpuset_number(const char **text, uint32_t *ret_val)
{
    const char *p = *text;
    uint32_t v = 0;
    if (*p < '0' || *p > '9') {
        return -EINVAL;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (uint32_t)(*p - '0');
        if (v >= VIREO_CPU_MAX) {
            return -ERANGE;
        }
    }
    *text = p;
    *ret_val = v;
    return 0;
}

/* One range at *text: N, N-M, or N-M:used/group. */
static int cpuset_range(struct vireo_cpuset *set, const char **text)
{
    uint32_t first, last, used = 1, group = 1;
    int r = cpuset_number(text, &first);
    last = first;
    if (r == 0 && **text == '-') {
        ++*text;
        r = cpuset_number(text, &last);
        if (r == 0 && **text == ':') {
            ++*text;
            r = cpuset_number(text, &used);
            if (r == 0) {
                r = *(*text)++ == '/' ? cpuset_number(text, &group) : -EINVAL;
            }
        }
    }
    if (r < 0) {
        return r;
    }
    if (first > last || used == 0 || group == 0 || used > group) {
        return -EINVAL;
    }
    for (uint32_t i = first; i <= last && r == 0; i++) {
        if ((i - first) % group < used) {
            r = vireo_cpuset_add(set, i);
        }
    }
    return r;
}

int vireo_cpuset_parse(const char *text, struct vireo_cpuset *ret_set)
{
    struct vireo_cpuset set = {.bits = NULL};
    int r = 0;
    while (r == 0 && *text && *text != '\n' && *text != ' ') {
        r = cpuset_range(&set, &text);
        if (r == 0 && *text == ',') {
            text++;
            r = *text >= '0' && *text <= '9' ? 0 : -EINVAL;
        } else if (r == 0 && *text && *text != '\n' && *text != ' ') {
            r = -EINVAL;
        }
    }
    if (r == 0 && text[strspn(text, " \n")]) {
        r = -EINVAL;
    }
    if (r < 0) {
        vireo_cpuset_fini(&set);
        return r;
    }
    *ret_set = set;
    return 0;
}

size_t vireo_cpuset_format(const struct vireo_cpuset *set, char *text, size_t size)
{
    size_t len = 0;
    if (size) {
        text[0] = 0;
    }
    for (uint32_t i = vireo_cpuset_next(set, 0); i != UINT32_MAX;) {
        uint32_t last = i;
        while (vireo_cpuset_has(set, last + 1)) {
            last++;
        }
        char piece[32];
        int n =
            snprintf(piece, sizeof(piece), last > i ? "%s%u-%u" : "%s%u", len ? "," : "", i, last);
        if (len < size) {
            snprintf(text + len, size - len, "%s", piece);
        }
        len += (size_t)n;
        i = vireo_cpuset_next(set, last + 1);
    }
    return len;
}

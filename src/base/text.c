/* Numbers, sizes and names as people type them. */
#include "base/text.h"

#include "base/bits.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

int vr_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* The number at the start of @text; *ret_end points behind it. */
static int text_number(const char *text, uint64_t *ret_val, const char **ret_end)
{
    unsigned base = 10;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    if ((unsigned)vr_hex_digit(*text) >= base) {
        return -EINVAL;
    }
    uint64_t v = 0;
    for (; (unsigned)vr_hex_digit(*text) < base; text++) {
        if (!vr_mul_ok(v, base, &v) || !vr_add_ok(v, (uint64_t)vr_hex_digit(*text), &v)) {
            return -ERANGE;
        }
    }
    *ret_val = v;
    *ret_end = text;
    return 0;
}

int vr_parse_u64(const char *text, uint64_t *ret_val)
{
    const char *end;
    uint64_t v;
    int r = text_number(text, &v, &end);
    if (r < 0) {
        return r;
    }
    if (*end) {
        return -EINVAL;
    }
    *ret_val = v;
    return 0;
}

int vr_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const char units[] = "kmgtp";
    const char *end;
    uint64_t v;
    int r = text_number(text, &v, &end);
    if (r < 0) {
        return r;
    }
    if (*end) {
        const char *unit = strchr(units, tolower((unsigned char)*end));
        end++;
        if (!unit || (*end && strcasecmp(end, "b") != 0 && strcasecmp(end, "ib") != 0)) {
            return -EINVAL;
        }
        unsigned shift = 10 * (unsigned)(unit - units + 1);
        if (!vr_mul_ok(v, UINT64_C(1) << shift, &v)) {
            return -ERANGE;
        }
    }
    *ret_bytes = v;
    return 0;
}

int vr_parse_bool(const char *text, bool *ret_val)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes", "0", "1"};
    for (unsigned i = 0; i < VR_COUNT(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *ret_val = i & 1;
            return 0;
        }
    }
    return -EINVAL;
}

enum { TEXT_WORD = 48 }; /* longer words are not compared */

/* Edits (insert, delete, replace, swap of neighbours) between two words, ignoring case. */
static unsigned text_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned row[3][TEXT_WORD + 1];
    for (unsigned j = 0; j <= b_len; j++) {
        row[0][j] = j;
    }
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned *cur = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        cur[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
            unsigned best = up[j - 1] + (ca != cb);
            best = up[j] + 1 < best ? up[j] + 1 : best;
            best = cur[j - 1] + 1 < best ? cur[j - 1] + 1 : best;
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]) && up2[j - 2] + 1 < best) {
                best = up2[j - 2] + 1;
            }
            cur[j] = best;
        }
    }
    return row[a_len % 3][b_len];
}

const char *vr_nearest(const char *word, const char *const *names, size_t count)
{
    size_t len = strlen(word);
    if (len == 0 || len > TEXT_WORD) {
        return NULL;
    }
    const char *best = NULL;
    unsigned best_distance = (unsigned)len / 3 + 2; /* farther than this helps nobody */
    for (size_t i = 0; i < count; i++) {
        size_t name_len = strlen(names[i]);
        if (name_len == 0 || name_len > TEXT_WORD) {
            continue;
        }
        unsigned d = text_distance(word, len, names[i], name_len);
        /* Half a word ("read" for "readonly") counts as one slip. */
        if (len >= 3 && strncasecmp(word, names[i], len) == 0 && d > 1) {
            d = 1;
        }
        if (d < best_distance && d < (name_len > len ? name_len : len)) {
            best_distance = d;
            best = names[i];
        }
    }
    return best;
}

bool vr_is_uuid(const char *text)
{
    for (unsigned i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i])) {
            return false;
        }
    }
    return text[36] == 0;
}

bool vr_name_good(const char *name, size_t max)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t len = strlen(name), plain = strspn(name, letters);
    for (const char *p = name; *p; p++) {
        if (!strchr(letters, *p) && !strchr("._-", *p)) {
            return false;
        }
    }
    return len && len <= max && plain;
}

int vr_word(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool vr_word_of(const char *text, const char *words, char sep)
{
    const char end[] = {sep, 0};
    size_t len = strlen(text);
    for (size_t n; words && *words; words += n + (words[n] == sep)) {
        n = strcspn(words, end);
        if (n == len && memcmp(words, text, len) == 0) {
            return true;
        }
    }
    return false;
}

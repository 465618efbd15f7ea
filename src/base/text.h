/* Numbers, sizes and names as people type them. */
#ifndef VR_BASE_TEXT_H
#define VR_BASE_TEXT_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole string of decimal digits, or 0x and hexadecimal digits. No sign, no blanks; a leading 0
 * is not octal. -EINVAL: not a number; -ERANGE: does not fit 64 bits. */
int vr_parse_u64(const char *text, uint64_t *ret_val) VR_MUST;
/* The same with an optional binary suffix, any case: K, M, G, T, P, each also as KB or KiB. */
int vr_parse_size(const char *text, uint64_t *ret_bytes) VR_MUST;
/* on/off, true/false, yes/no, 1/0. -EINVAL. */
int vr_parse_bool(const char *text, bool *ret_val) VR_MUST;

/* As in 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001: digits of either case. */
bool vr_is_uuid(const char *text);

/* 0 to 15, of digits of either case; -1: it is none. */
int vr_hex_digit(char c);

/* Letters, digits, '.', '_', '-', the first one a letter or digit, @max at most: fit to be called
 * by. */
bool vr_name_good(const char *name, size_t max);

/* Which of @count words @text is; -1: none. */
int vr_word(const char *text, const char *const *words, size_t count);
/* Is @text one of @words, which have @sep between them? NULL: there are none. */
bool vr_word_of(const char *text, const char *words, char sep);

/* The candidate that @word is most likely a misspelling of, or NULL when none is near. */
const char *vr_nearest(const char *word, const char *const *names, size_t count);

#endif

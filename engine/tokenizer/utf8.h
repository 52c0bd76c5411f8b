/* UTF-8, the two ways a tokenizer looks at it: by lead byte alone, and decoded. */
#pragma once

#include "macros.h"

#define UTF8_INVALID 0xFFFDu

/* How long the character that starts here claims to be, at most n > 0. A byte that starts none counts as one. */
static inline size_t utf8_length(const char *s, size_t n) {
    unsigned char lead = (unsigned char)*s;
    size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return MIN(length, n);
}

/* Decodes one character of s[0..n), n > 0. An invalid byte (also of a surrogate or an overlong form) is taken alone and
 * gives UTF8_INVALID and *ret_valid = false. */
static inline uint32_t utf8_decode(const char *s, size_t n, size_t *ret_length, bool *ret_valid) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char lead = (unsigned char)s[0];
    *ret_length = 1;
    *ret_valid = true;
    if (lead < 0x80)
        return lead;

    size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 0;
    if (length > 0 && length <= n && lead < 0xF8) {
        uint32_t c = lead & (0x7Fu >> length);
        size_t i = 1;
        for (; i < length && (s[i] & 0xC0) == 0x80; i++)
            c = c << 6 | (s[i] & 0x3Fu);
        if (i == length && c >= smallest[length] && c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF)) {
            *ret_length = length;
            return c;
        }
    }
    *ret_valid = false;
    return UTF8_INVALID;
}

/* Writes a valid code point, returns how many bytes it took. */
static inline size_t utf8_encode(uint32_t c, char out[static 4]) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

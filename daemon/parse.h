/* Numbers, sizes and times as people write them in configuration files and options. Whole string or nothing: trailing
 * text, a sign, NaN and overflow are -EINVAL, so that "512MB of RAM" never means 512. */
#pragma once

#include "macros.h"

int parse_uint64(const char *s, uint64_t *ret);
int parse_double(const char *s, double *ret); /* finite; may be negative */
int parse_bool(const char *s, bool *ret);     /* yes/no, true/false, on/off, 1/0 */
int parse_size(const char *s, uint64_t *ret); /* "512M", "2G", "65536"; powers of 1024 */
int parse_usec(const char *s, uint64_t *ret); /* "30s", "5min", "1h 30min", "250ms"; a bare number is seconds */
bool parse_is_utf8(const char *s, size_t n);  /* well-formed, no surrogates, no NUL */

/* See parse.h. strtoull() and friends accept signs, spaces, hexadecimal and "nan", so digits are checked first. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

/* Reads digits at *s, leaves *s behind them. */
static int take_uint64(const char **s, uint64_t *ret) {
    const char *p = *s;
    uint64_t v = 0;

    if (*p < '0' || *p > '9')
        return -EINVAL;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return -ERANGE;
    *s = p;
    *ret = v;
    return 0;
}

int parse_uint64(const char *s, uint64_t *ret) {
    uint64_t v;

    int r = take_uint64(&s, &v);
    if (r < 0)
        return r;
    if (*s)
        return -EINVAL;
    *ret = v;
    return 0;
}

int parse_double(const char *s, double *ret) {
    const char *p = *s == '-' ? s + 1 : s;
    if (!isdigit((unsigned char)*p) && *p != '.')
        return -EINVAL;
    if (strpbrk(s, "xXpP"))
        return -EINVAL; /* hexadecimal floats are a surprise, not a feature */

    char *end;
    double v = strtod(s, &end);
    if (end == s || *end)
        return -EINVAL;
    if (!isfinite(v))
        return -ERANGE;
    *ret = v;
    return 0;
}

int parse_bool(const char *s, bool *ret) {
    static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};

    for (size_t i = 0; i < ELEMENTSOF(words); i++)
        for (int v = 0; v < 2; v++)
            if (strcasecmp(s, words[i][v]) == 0) {
                *ret = v;
                return 0;
            }
    return -EINVAL;
}

int parse_size(const char *s, uint64_t *ret) {
    static const char units[] = "KMGT";
    uint64_t v;

    int r = take_uint64(&s, &v);
    if (r < 0)
        return r;
    if (*s) {
        const char *u = strchr(units, toupper((unsigned char)*s));
        if (!u)
            return -EINVAL;
        if (__builtin_mul_overflow(v, (uint64_t)1 << (10 * (u - units + 1)), &v))
            return -ERANGE;
        s++;
        if (*s == 'i')
            s++;
        if (*s == 'B')
            s++;
        if (*s)
            return -EINVAL;
    }
    *ret = v;
    return 0;
}

int parse_usec(const char *s, uint64_t *ret) {
    static const struct {
        const char *name;
        uint64_t usec;
    } units[] = {
        {"us", 1},
        {"usec", 1},
        {"ms", 1000},
        {"msec", 1000},
        {"s", 1000000},
        {"sec", 1000000},
        {"m", 60000000},
        {"min", 60000000},
        {"h", 3600000000},
        {"hr", 3600000000},
        {"d", 86400000000},
    };
    uint64_t sum = 0;
    bool any = false;

    for (;;) {
        s += strspn(s, " ");
        if (!*s)
            break;
        uint64_t v, scale = 0;
        int r = take_uint64(&s, &v);
        if (r < 0)
            return r;
        s += strspn(s, " ");
        size_t n = 0;
        while (isalpha((unsigned char)s[n]))
            n++;
        if (n == 0) {
            if (any || *s)
                return -EINVAL; /* "1h 30": thirty what? */
            scale = 1000000;
        }
        for (size_t i = 0; i < ELEMENTSOF(units) && !scale; i++)
            if (strlen(units[i].name) == n && memcmp(units[i].name, s, n) == 0)
                scale = units[i].usec;
        if (!scale)
            return -EINVAL;
        if (__builtin_mul_overflow(v, scale, &v) || __builtin_add_overflow(sum, v, &sum))
            return -ERANGE;
        s += n;
        any = true;
    }
    if (!any)
        return -EINVAL;
    *ret = sum;
    return 0;
}

bool parse_is_utf8(const char *s, size_t n) {
    const unsigned char *p = (const unsigned char *)s, *end = p + n;

    while (p < end) {
        unsigned char c = *p++;
        if (c == 0)
            return false;
        if (c < 0x80)
            continue;

        int follow = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
        uint32_t min = follow == 3 ? 0x10000 : follow == 2 ? 0x800 : 0x80;
        if (c < 0xC2 || c > 0xF4 || end - p < follow)
            return false;
        uint32_t v = c & (0x3F >> follow);
        for (int i = 0; i < follow; i++, p++) {
            if ((*p & 0xC0) != 0x80)
                return false;
            v = v << 6 | (*p & 0x3F);
        }
        if (v < min || v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF))
            return false;
    }
    return true;
}

/* The error that a person reads; see macros.h. */
#include <stdio.h>

#include "macros.h"

/* A message cut inside a UTF-8 sequence would be refused by D-Bus and JSON, so drop a partial last character. */
static void trim_partial_character(char *s, size_t n) {
    size_t i = n;
    while (i > 0 && n - i < 3 && ((unsigned char)s[i - 1] & 0xC0) == 0x80)
        i--;
    if (i == 0)
        return;
    unsigned char lead = (unsigned char)s[i - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (n - (i - 1) < want)
        s[i - 1] = '\0';
}

int error_setv(Error *e, int code, const char *format, va_list ap) {
    if (!e)
        return code;

    e->code = code;
    int n = vsnprintf(e->message, sizeof(e->message), format, ap);
    if (n >= (int)sizeof(e->message))
        trim_partial_character(e->message, sizeof(e->message) - 1);
    return code;
}

int error_set(Error *e, int code, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    error_setv(e, code, format, ap);
    va_end(ap);
    return code;
}

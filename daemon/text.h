/* A growing piece of text. */
#pragma once

#include "macros.h"

typedef struct Text {
    char *data; /* owned; NULL while empty, else NUL-terminated beyond n */
    size_t n;
    size_t n_allocated;
} Text;

int text_append(Text *t, const char *s, size_t n);
/* For D-Bus strings, which end at the first NUL: each becomes U+FFFD. */
int text_append_without_nul(Text *t, const char *s, size_t n);
void text_clear(Text *t); /* keeps the memory */
void text_done(Text *t);
const char *text_string(const Text *t); /* "" while empty */

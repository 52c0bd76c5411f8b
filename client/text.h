/* Text from outside, made fit for where it goes: a bus message, or a terminal. */
#pragma once

#include <stddef.h>

#include "macros.h"

/* More than any model's context holds, and well below what a message bus carries. */
#define TEXT_MAX ((size_t)16 * 1024 * 1024)

typedef struct Text {
    char *bytes; /* owned, NUL-terminated, valid UTF-8 without NUL inside */
    size_t size;
    size_t replaced; /* places that were not text and have become U+FFFD */
} Text;
void text_done(Text *t);

/* Copies n bytes, replacing what a bus string cannot hold: NUL, bytes that are not UTF-8, noncharacters. */
int text_from_bytes(const char *bytes, size_t n, Text *ret);
/* Reads to the end. -EFBIG beyond TEXT_MAX; a closed descriptor is empty. */
int text_read(int fd, Text *ret);
/* Context first, then what to do with it, one blank line between them; either alone as it is. */
int text_join(const char *context, const char *prompt, char **ret);

/* Bytes that text_sanitise() may write for n bytes of input. */
#define TEXT_SANITISED_SIZE(n) ((n)*3)

/* Makes text fit for a terminal: control characters other than line feed and tab become visible symbols, carriage
 * returns vanish, bytes that are not UTF-8 become U+FFFD. `out` holds TEXT_SANITISED_SIZE(n) bytes; returns the bytes
 * written. */
size_t text_sanitise(const char *text, size_t n, char *out);

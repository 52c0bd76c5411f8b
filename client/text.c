/* A model's words are not trusted with the terminal: an escape sequence in them could retitle the window, hide text or
 * answer a query as if the user had typed it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

void text_done(Text *t) {
    free(t->bytes);
    *t = (Text){};
}

/* The length of the well-formed UTF-8 sequence at s (RFC 3629: no surrogates, nothing overlong), or 0. */
static size_t character_length(const unsigned char *s, size_t n) {
    unsigned char low = 0x80, high = 0xBF;
    size_t length;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        length = 2;
    else if (s[0] >= 0xE0 && s[0] <= 0xEF) {
        length = 3;
        low = s[0] == 0xE0 ? 0xA0 : low;
        high = s[0] == 0xED ? 0x9F : high;
    } else if (s[0] >= 0xF0 && s[0] <= 0xF4) {
        length = 4;
        low = s[0] == 0xF0 ? 0x90 : low;
        high = s[0] == 0xF4 ? 0x8F : high;
    } else
        return 0;

    if (n < length || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

static size_t put(char *out, const char *s) {
    size_t n = strlen(s);
    memcpy(out, s, n);
    return n;
}

size_t text_sanitise(const char *text, size_t n, char *out) {
    const unsigned char *s = (const unsigned char *)text;
    size_t w = 0;

    for (size_t i = 0; i < n;) {
        size_t length = character_length(s + i, n - i);
        if (length == 0) {
            w += put(out + w, "\uFFFD");
            i++;
        } else if (s[i] == '\r') {
            i++;
        } else if (s[i] == 0x7F) {
            w += put(out + w, "\u2421");
            i++;
        } else if (s[i] < 0x20 && s[i] != '\n' && s[i] != '\t') {
            w += put(out + w, "\u2400"); /* U+2400 + c is the symbol for control character c */
            out[w - 1] = (char)(0x80 | s[i]);
            i++;
        } else if (s[i] == 0xC2 && s[i + 1] < 0xA0) { /* U+0080 to U+009F: short forms of escape sequences */
            w += put(out + w, "\uFFFD");
            i += 2;
        } else {
            memcpy(out + w, s + i, length);
            w += length;
            i += length;
        }
    }
    return w;
}

/* sd-bus refuses the noncharacters of Unicode (U+FDD0 to U+FDEF, and the last two of each plane), as GLib once did. */
static bool is_noncharacter(const unsigned char *s, size_t length) {
    if (length == 3)
        return (s[0] == 0xEF && s[1] == 0xB7 && s[2] >= 0x90 && s[2] <= 0xAF) ||
               (s[0] == 0xEF && s[1] == 0xBF && s[2] >= 0xBE);
    return length == 4 && (s[1] & 0x0F) == 0x0F && s[2] == 0xBF && s[3] >= 0xBE;
}

int text_from_bytes(const char *bytes, size_t n, Text *ret) {
    size_t size;
    if (__builtin_mul_overflow(n, (size_t)3, &size) || __builtin_add_overflow(size, (size_t)1, &size))
        return -ENOMEM;
    char *out = malloc(size);
    if (!out)
        return -ENOMEM;

    size_t w = 0, replaced = 0;
    for (size_t i = 0; i < n;) {
        const unsigned char *s = (const unsigned char *)bytes + i;
        size_t length = character_length(s, n - i);
        if (length == 0 || *s == '\0' || is_noncharacter(s, length)) {
            w += put(out + w, "\uFFFD");
            replaced++;
            i += MAX(length, (size_t)1);
            continue;
        }
        memcpy(out + w, bytes + i, length);
        w += length;
        i += length;
    }
    out[w] = '\0';

    char *fitted = realloc(out, w + 1);
    *ret = (Text){.bytes = fitted ? fitted : out, .size = w, .replaced = replaced};
    return 0;
}

int text_read(int fd, Text *ret) {
    _cleanup_(freep) char *buffer = NULL;
    size_t size = 0, room = 0;

    for (;;) {
        if (size == room) {
            room = room ? room * 2 : 64 * 1024;
            char *grown = realloc(buffer, room);
            if (!grown)
                return -ENOMEM;
            buffer = grown;
        }
        ssize_t n = read(fd, buffer + size, room - size);
        if (n == 0 || (n < 0 && errno == EBADF))
            return text_from_bytes(buffer, size, ret);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            size += (size_t)n;
        if (size > TEXT_MAX)
            return -EFBIG;
    }
}

int text_join(const char *context, const char *prompt, char **ret) {
    size_t n = strlen(context);
    while (*prompt && n > 0 && context[n - 1] == '\n')
        n--;
    if (asprintf(ret, "%.*s%s%s", (int)n, context, n > 0 && *prompt ? "\n\n" : "", prompt) < 0)
        return -ENOMEM;
    return 0;
}

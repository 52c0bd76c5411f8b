/* See text.h. */
#include <errno.h>
#include <string.h>

#include "text.h"

int text_append(Text *t, const char *s, size_t n) {
    size_t want;

    if (n == 0)
        return 0;
    if (__builtin_add_overflow(t->n, n, &want) || __builtin_add_overflow(want, (size_t)1, &want) || want > SIZE_MAX / 4)
        return -ENOMEM;
    if (want > t->n_allocated) {
        size_t allocate = MAX(want + 32, t->n_allocated * 2);
        char *data = realloc(t->data, allocate);
        if (!data)
            return -ENOMEM;
        t->data = data;
        t->n_allocated = allocate;
    }
    memcpy(t->data + t->n, s, n);
    t->n += n;
    t->data[t->n] = '\0';
    return 0;
}

int text_append_without_nul(Text *t, const char *s, size_t n) {
    int r = 0;

    while (n && r >= 0) {
        size_t k = strnlen(s, n);
        r = text_append(t, s, k);
        s += k;
        n -= k;
        if (n && r >= 0) {
            r = text_append(t, "\xEF\xBF\xBD", 3);
            s++;
            n--;
        }
    }
    return r;
}

void text_clear(Text *t) {
    t->n = 0;
    if (t->data)
        t->data[0] = '\0';
}

void text_done(Text *t) {
    free(t->data);
    *t = (Text){};
}

const char *text_string(const Text *t) {
    return t->data ? t->data : "";
}

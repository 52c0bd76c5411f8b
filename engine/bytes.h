/* A growing run of bytes, always NUL-terminated once something was added. */
#pragma once

#include <errno.h>
#include <string.h>

#include "macros.h"

typedef struct Bytes {
    char *data; /* owned */
    size_t size, capacity;
} Bytes;

static inline int bytes_append(Bytes *b, const char *data, size_t size) {
    if (size >= SIZE_MAX / 4 - b->size)
        return -ENOMEM;
    if (b->size + size + 1 > b->capacity) {
        size_t capacity = MAX(b->capacity * 2, b->size + size + 64);
        char *p = realloc(b->data, capacity);
        if (!p)
            return -ENOMEM;
        b->data = p;
        b->capacity = capacity;
    }
    if (size > 0)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
    return 0;
}

static inline void bytes_done(Bytes *b) {
    free(b->data);
    *b = (Bytes){};
}

/* See http-buffer.h. */
#include <errno.h>
#include <string.h>

#include "http-buffer.h"

int http_buffer_append(HttpBuffer *b, const void *data, size_t size) {
    size_t want;
    if (__builtin_add_overflow(b->size, size, &want) || __builtin_add_overflow(want, 1, &want))
        return -ENOMEM;
    if (want > b->allocated) {
        size_t twice = b->allocated < SIZE_MAX / 2 ? b->allocated * 2 : want;
        size_t allocate = MAX(want, twice);
        char *p = realloc(b->data, allocate);
        if (!p)
            return -ENOMEM;
        b->data = p;
        b->allocated = allocate;
    }
    if (size > 0)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
    return 0;
}

void http_buffer_clear(HttpBuffer *b) {
    b->size = 0;
}

void http_buffer_done(HttpBuffer *b) {
    free(b->data);
    *b = (HttpBuffer){};
}

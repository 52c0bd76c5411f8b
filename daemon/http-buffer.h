/* Bytes that grow: request bodies, text collected for an answer, a serialised event. */
#pragma once

#include "engine.h"

typedef struct HttpBuffer {
    char *data; /* owned; NUL-terminated beyond size once anything was appended */
    size_t size;
    size_t allocated;
} HttpBuffer;

int http_buffer_append(HttpBuffer *b, const void *data, size_t size);
void http_buffer_clear(HttpBuffer *b); /* keeps the memory */
void http_buffer_done(HttpBuffer *b);
